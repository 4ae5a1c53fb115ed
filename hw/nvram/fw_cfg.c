/*
 * The firmware configuration device: numbered items and named files, read through ports 0x510 and 0x511 or
 * by DMA through port 0x514.
 *
 * Follows the published interface description ("QEMU Firmware Configuration (fw_cfg) Device" specification):
 * selector register, data register, file directory, DMA access structure.
 *
 * Not modelled: writes through the data register (withdrawn in that specification); what a guest has written
 * to a writable file is not part of a saved state.
 */
#include "hw/fw_cfg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "core/device.h"
#include "core/machine.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum { PORT_SELECT = 0x510, PORT_DMA = 0x514 };
enum { ID_TRADITIONAL = 1 << 0, ID_DMA = 1 << 1 };
enum {                                  /* control word of the DMA access structure */
    DMA_ERROR = 1 << 0, DMA_READ = 1 << 1, DMA_SKIP = 1 << 2, DMA_SELECT = 1 << 3, DMA_WRITE = 1 << 4,
};
enum { NAME_SIZE = 56, DIR_ENTRY = 64, MAX_FILES = 0x1000, KEY_BITS = 0xbfff };
static const uint64_t DMA_SIGNATURE = 0x51454d5520434647;       /* "QEMU CFG", big-endian */

typedef struct Item {
    uint8_t *data;                      /* NULL: `len` bytes of the file `fd` from `part` on ... */
    int fd;                             /* ... negative: nothing */
    uint64_t part;
    uint32_t len;
    bool writable;
    char *name;                         /* files only */
    uint16_t key;
    void (*on_select)(void *opaque);
    void *opaque;
} Item;

struct FwCfg {
    Device dev;
    Region select_io, dma_io;
    GHashTable *items;                  /* key -> Item */
    GPtrArray *files;                   /* of the same Items, sorted by name */
    uint16_t key;
    uint32_t offset;
    uint32_t dma_high;                  /* high half of the access structure's address, until the low comes */
};

/* ---- items ---- */

/* New contents: a copy of its own, or a file. */
static void set_contents(Item *i, uint8_t *data, int fd, size_t len)
{
    if (i->fd >= 0) {
        close(i->fd);
    }
    g_free(i->data);
    i->data = data;
    i->fd = fd;
    i->len = len;
}

static void item_free(void *opaque)
{
    Item *i = opaque;

    set_contents(i, NULL, -1, 0);
    g_free(i->name);
    g_free(i);
}

static Item *find_item(FwCfg *f, uint16_t key)
{
    return g_hash_table_lookup(f->items, GUINT_TO_POINTER(key));
}

static Item *get_item(FwCfg *f, uint16_t key)
{
    Item *i = find_item(f, key);

    if (!i) {
        i = g_new0(Item, 1);
        i->key = key;
        i->fd = -1;
        g_hash_table_insert(f->items, GUINT_TO_POINTER(key), i);
    }
    return i;
}

static void set_data(Item *i, const void *data, size_t len)
{
    set_contents(i, g_memdup2(data, len), -1, len);     /* data may be the item's own */
}

void fw_cfg_add_bytes(FwCfg *f, uint16_t key, const void *data, size_t len)
{
    g_assert(len <= UINT32_MAX);
    set_data(get_item(f, key), data, len);
}

bool fw_cfg_add_part(FwCfg *f, uint16_t key, const char *path, uint64_t offset, uint32_t len, GError **errp)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        error_set_errno(errp, errno, "cannot read %s", path);
        return false;
    }
    Item *i = get_item(f, key);
    set_contents(i, NULL, fd, len);
    i->part = offset;
    return true;
}

void fw_cfg_add_u16(FwCfg *f, uint16_t key, uint16_t v)
{
    uint8_t bytes[2];

    st16le(bytes, v);
    fw_cfg_add_bytes(f, key, bytes, sizeof(bytes));
}

void fw_cfg_add_u32(FwCfg *f, uint16_t key, uint32_t v)
{
    uint8_t bytes[4];

    st32le(bytes, v);
    fw_cfg_add_bytes(f, key, bytes, sizeof(bytes));
}

void fw_cfg_add_u64(FwCfg *f, uint16_t key, uint64_t v)
{
    uint8_t bytes[8];

    st64le(bytes, v);
    fw_cfg_add_bytes(f, key, bytes, sizeof(bytes));
}

void fw_cfg_add_string(FwCfg *f, uint16_t key, const char *s)
{
    fw_cfg_add_bytes(f, key, s, strlen(s) + 1);
}

/* ---- files ---- */

static Item *find_file(FwCfg *f, const char *name)
{
    for (guint i = 0; i < f->files->len; i++) {
        Item *item = g_ptr_array_index(f->files, i);

        if (!strcmp(item->name, name)) {
            return item;
        }
    }
    return NULL;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(Item *const *)a)->name, (*(Item *const *)b)->name);
}

static void update_directory(FwCfg *f)
{
    size_t len = 4 + (size_t)f->files->len * DIR_ENTRY;
    g_autofree uint8_t *dir = g_malloc0(len);

    st32be(dir, f->files->len);
    for (guint i = 0; i < f->files->len; i++) {
        const Item *item = g_ptr_array_index(f->files, i);
        uint8_t *entry = dir + 4 + i * DIR_ENTRY;

        st32be(entry, item->len);
        st16be(entry + 4, item->key);
        g_strlcpy((char *)entry + 8, item->name, NAME_SIZE);
    }
    fw_cfg_add_bytes(f, FW_CFG_FILE_DIR, dir, len);
}

static bool add_file(FwCfg *f, const char *name, const void *data, size_t len, bool writable, GError **errp)
{
    Item *item = find_file(f, name);

    if (strlen(name) >= NAME_SIZE) {
        error_set(errp, "the fw_cfg file name '%s' is longer than %d bytes", name, NAME_SIZE - 1);
        return false;
    }
    if (len > UINT32_MAX) {
        error_set(errp, "the fw_cfg file '%s' is larger than 4 GiB", name);
        return false;
    }
    if (!item) {
        if (f->files->len == MAX_FILES) {
            error_set(errp, "no room for the fw_cfg file '%s': there are %d", name, MAX_FILES);
            return false;
        }
        item = get_item(f, FW_CFG_FILE_FIRST + f->files->len);
        item->name = g_strdup(name);
        g_ptr_array_add(f->files, item);
        g_ptr_array_sort(f->files, by_name);
    }
    item->writable = writable;
    set_data(item, data, len);
    update_directory(f);
    return true;
}

bool fw_cfg_add_file(FwCfg *f, const char *name, const void *data, size_t len, GError **errp)
{
    return add_file(f, name, data, len, false, errp);
}

bool fw_cfg_add_writable_file(FwCfg *f, const char *name, const void *data, size_t len, GError **errp)
{
    return add_file(f, name, data, len, true, errp);
}

void fw_cfg_on_select(FwCfg *f, const char *name, void (*fn)(void *opaque), void *opaque)
{
    Item *item = find_file(f, name);

    g_assert(item);
    item->on_select = fn;
    item->opaque = opaque;
}

const void *fw_cfg_file(FwCfg *f, const char *name, size_t *len)
{
    const Item *item = find_file(f, name);

    *len = item ? item->len : 0;
    return item ? item->data : NULL;
}

/* ---- what the guest does ---- */

static void refresh(Item *item)
{
    if (item->on_select) {
        item->on_select(item->opaque);
    }
}

static void select_item(FwCfg *f, uint16_t key)
{
    f->key = key & KEY_BITS;            /* bit 14 is the withdrawn write channel */
    f->offset = 0;
    if (f->key == FW_CFG_FILE_DIR) {
        for (guint i = 0; i < f->files->len; i++) {
            refresh(g_ptr_array_index(f->files, i));
        }
    } else {
        Item *item = find_item(f, f->key);

        if (item) {
            refresh(item);
        }
    }
}

/* n bytes that the item has. */
static void read_data(const FwCfg *f, const Item *item, uint8_t *buf, uint32_t n)
{
    if (item->data) {
        memcpy(buf, item->data + f->offset, n);
        return;
    }
    for (uint32_t done = 0; done < n; ) {
        ssize_t got = pread(item->fd, buf + done, n - done, (off_t)(item->part + f->offset + done));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            memset(buf + done, 0, n - done);
            break;
        }
        done += (uint32_t)MAX(got, 0);
    }
}

/* The next len bytes of the item: zeros behind its end, and of an item that is not there. */
static void read_item(FwCfg *f, uint8_t *buf, uint32_t len)
{
    const Item *item = find_item(f, f->key);
    uint32_t rest = item && f->offset < item->len ? item->len - f->offset : 0;
    uint32_t n = MIN(rest, len);

    if (n) {
        read_data(f, item, buf, n);
        f->offset += n;
    }
    memset(buf + n, 0, len - n);
}

static bool dma_read(FwCfg *f, uint64_t at, uint32_t len)
{
    uint8_t buf[4096];

    while (len) {
        uint32_t n = MIN(len, sizeof(buf));

        read_item(f, buf, n);
        if (as_write(f->dev.machine->mem, at, buf, n) == MEM_UNMAPPED) {
            return false;
        }
        at += n;
        len -= n;
    }
    return true;
}

static bool dma_write(FwCfg *f, uint64_t at, uint32_t len)
{
    Item *item = find_item(f, f->key);

    if (!item || !item->writable || f->offset > item->len || len > item->len - f->offset) {
        return false;
    }
    if (as_read(f->dev.machine->mem, at, item->data + f->offset, len) != MEM_OK) {
        return false;
    }
    f->offset += len;
    return true;
}

static void dma_skip(FwCfg *f, uint32_t len)
{
    const Item *item = find_item(f, f->key);
    uint32_t rest = item && f->offset < item->len ? item->len - f->offset : 0;

    f->offset += MIN(rest, len);
}

/* One access structure: control, length (32 bits each), address (64 bits), all big-endian. */
static void dma_transfer(FwCfg *f, uint64_t at)
{
    AddressSpace *mem = f->dev.machine->mem;
    uint8_t desc[16];
    bool ok = true;

    if (as_read(mem, at, desc, sizeof(desc)) != MEM_OK) {
        log_guest(f->dev.id, "DMA access structure at 0x%" G_GINT64_MODIFIER "x is not in RAM", at);
        as_write(mem, at, &(uint32_t){ GUINT32_TO_BE(DMA_ERROR) }, 4);
        return;
    }
    uint32_t control = ld32be(desc), len = ld32be(desc + 4);
    uint64_t addr = (uint64_t)ld32be(desc + 8) << 32 | ld32be(desc + 12);

    if (control & DMA_SELECT) {
        select_item(f, control >> 16);
    }
    if (control & DMA_READ) {
        ok = dma_read(f, addr, len);
    } else if (control & DMA_WRITE) {
        ok = dma_write(f, addr, len);
    } else if (control & DMA_SKIP) {
        dma_skip(f, len);
    }
    if (!ok) {
        log_guest(f->dev.id, "DMA of %u bytes at 0x%" G_GINT64_MODIFIER "x failed", len, addr);
    }
    as_write(mem, at, &(uint32_t){ GUINT32_TO_BE(ok ? 0 : DMA_ERROR) }, 4);
}

/* Port 0x510, 16 bits wide: the selector; 0x511, 8 bits wide: data.  A byte at 0x510 selects as well. */
static uint64_t select_read(void *dev, hwaddr off, unsigned size)
{
    FwCfg *f = dev;
    uint8_t byte = 0;

    if (off == 1) {
        read_item(f, &byte, 1);
    }
    return byte;
}

static void select_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    if (off == 0) {
        select_item(dev, val);
    }
}

static const RegionOps select_ops = {
    .read = select_read, .write = select_write, .size_min = 1, .size_max = 2,
};

static uint64_t dma_reg_read(void *dev, hwaddr off, unsigned size)
{
    uint64_t val = 0;

    for (unsigned i = 0; i < size && off + i < 8; i++) {
        val |= (DMA_SIGNATURE >> (8 * (7 - off - i)) & 0xff) << (8 * i);
    }
    return val;
}

/* The register is big-endian; ports are little-endian, so the guest has swapped the halves' bytes. */
static void dma_reg_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    FwCfg *f = dev;

    if (size == 4 && off == 0) {
        f->dma_high = GUINT32_SWAP_LE_BE((uint32_t)val);
    } else if (size == 4 && off == 4) {
        uint64_t at = (uint64_t)f->dma_high << 32 | GUINT32_SWAP_LE_BE((uint32_t)val);

        f->dma_high = 0;
        dma_transfer(f, at);
    }
}

static const RegionOps dma_ops = {
    .read = dma_reg_read, .write = dma_reg_write, .size_min = 1, .size_max = 4,
};

/* ---- life cycle ---- */

static bool fw_cfg_realize(Device *d, GError **errp)
{
    FwCfg *f = (FwCfg *)d;

    f->items = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, item_free);
    f->files = g_ptr_array_new();
    fw_cfg_add_bytes(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(f, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    update_directory(f);
    region_init_io(&f->select_io, "fw-cfg", 2, &select_ops, f);
    region_map(&d->machine->io_root, PORT_SELECT, &f->select_io, 0);
    region_init_io(&f->dma_io, "fw-cfg-dma", 8, &dma_ops, f);
    region_map(&d->machine->io_root, PORT_DMA, &f->dma_io, 0);
    machine_provide(d->machine, "fw_cfg", f);
    return true;
}

static void fw_cfg_unrealize(Device *d)
{
    FwCfg *f = (FwCfg *)d;

    if (machine_service(d->machine, "fw_cfg") == f) {
        machine_provide(d->machine, "fw_cfg", NULL);
    }
    region_fini(&f->select_io);
    region_fini(&f->dma_io);
    g_clear_pointer(&f->files, g_ptr_array_unref);
    g_clear_pointer(&f->items, g_hash_table_unref);
}

static void fw_cfg_reset(Device *d)
{
    FwCfg *f = (FwCfg *)d;

    f->key = FW_CFG_SIGNATURE;
    f->offset = 0;
    f->dma_high = 0;
}

static void fw_cfg_info(Device *d, GString *out)
{
    const FwCfg *f = (const FwCfg *)d;

    for (guint i = 0; i < f->files->len; i++) {
        const Item *item = g_ptr_array_index(f->files, i);

        g_string_append_printf(out, "0x%04x %8u bytes  %s\n", item->key, item->len, item->name);
    }
}

static const StateField fw_cfg_fields[] = {
    STATE_NOT(FwCfg, dev, "device core"),
    STATE_NOT(FwCfg, select_io, "mapping, made by realize"),
    STATE_NOT(FwCfg, dma_io, "mapping, made by realize"),
    STATE_NOT(FwCfg, items, "the board's options"),
    STATE_NOT(FwCfg, files, "the board's options"),
    STATE_U(FwCfg, key),
    STATE_U(FwCfg, offset),
    STATE_U(FwCfg, dma_high),
    STATE_DONE,
};
static const StateTable fw_cfg_state = { .name = "fw_cfg", .version = 1, .fields = fw_cfg_fields };

const DeviceClass fw_cfg_class = {
    .name = "fw_cfg",
    .summary = "Firmware configuration: what the board tells the firmware",
    .size = sizeof(FwCfg),
    .board_only = true,
    .state = &fw_cfg_state,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .reset = fw_cfg_reset,
    .info = fw_cfg_info,
};
