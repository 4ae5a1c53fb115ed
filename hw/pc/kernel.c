/*
 * -kernel: finds out what kind of kernel a file is, and boots it through an option ROM that the firmware
 * runs as its first boot device (kernel-rom.asm).
 *
 * The file is as untrusted as a guest: every offset in it is checked against its length, every address
 * against the machine's memory.
 */
#include "kernel.h"

#include <string.h>
#include "util/bits.h"
#include "util/error.h"

/* fw_cfg keys of the pieces, above those of files. */
enum { KEY_PIECES = 0x2000 };
enum { ROM_PNP = 0x20, ROM_PNP_SIZE = 32, ROM_PNP_CHECKSUM = 9, ROM_PARAMS = 0x40 };

/* The next piece that the firmware loads is to lie there. */
static bool place(BootImage *k, const char *what, uint64_t addr, uint64_t mem_len, GError **errp)
{
    RomParams *p = &k->params;
    uint64_t ram = k->board->below_4g;

    if (mem_len > ram || addr > ram - mem_len) {
        error_set(errp, "%s: %s needs %" G_GUINT64_FORMAT " KiB at 0x%" G_GINT64_MODIFIER "x, but there are %"
                  G_GUINT64_FORMAT " MiB of memory below 4 GiB: give more with -m", k->path, what,
                  (mem_len + 1023) >> 10, addr, ram >> 20);
        return false;
    }
    if (addr < LOAD_LOWEST && addr + mem_len > 0xa0000) {
        error_set(errp, "%s: %s would lie at 0x%" G_GINT64_MODIFIER "x, on the firmware", k->path, what,
                  addr);
        return false;
    }
    if (p->n_loads == ROM_MAX_LOADS) {
        error_set(errp, "%s: more than %u pieces to load", k->path, ROM_MAX_LOADS);
        return false;
    }
    p->loads[p->n_loads] = (RomLoad){ KEY_PIECES + p->n_loads, addr, mem_len };
    p->n_loads++;
    return true;
}

bool boot_add(BootImage *k, const char *what, uint64_t addr, const void *data, uint64_t len,
              uint64_t mem_len, GError **errp)
{
    bool ok = place(k, what, addr, mem_len, errp);

    if (ok) {
        fw_cfg_add_bytes(k->board->fw_cfg, KEY_PIECES + k->params.n_loads - 1, data, len);
    }
    return ok;
}

bool boot_add_part(BootImage *k, const char *what, uint64_t addr, const char *path, uint64_t offset, uint32_t len,
                   GError **errp)
{
    return place(k, what, addr, len, errp) &&
           fw_cfg_add_part(k->board->fw_cfg, KEY_PIECES + k->params.n_loads - 1, path, offset, len, errp);
}

GMappedFile *boot_map_file(BootImage *k, const char *what, const char *path, GError **errp)
{
    g_autoptr(GError) why = NULL;
    GMappedFile *file = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        error_set(errp, "%s: there is no such file (%s)", path, what);
    } else if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        error_set(errp, "%s: %s must be a plain file", path, what);
    } else if (!(file = g_mapped_file_new(path, FALSE, &why))) {
        error_set(errp, "cannot read %s: %s", what, why->message);
    } else if (g_mapped_file_get_length(file) == 0) {
        error_set(errp, "%s: the file is empty, so it cannot be %s", path, what);
        g_clear_pointer(&file, g_mapped_file_unref);
    }
    return file;
}

bool boot_add_initrd(BootImage *k, uint64_t kernel_end, uint64_t limit, uint32_t *addr, uint32_t *len,
                     GError **errp)
{
    uint64_t ram = k->board->below_4g, top = MIN(limit, ram > FIRMWARE_TOP ? ram - FIRMWARE_TOP : 0);

    *addr = *len = 0;
    if (!k->initrd) {
        return true;
    }
    g_autoptr(GMappedFile) file = boot_map_file(k, "the initrd", k->initrd, errp);

    if (!file) {
        return false;
    }
    uint64_t size = g_mapped_file_get_length(file);

    if (size > top || ((top - size) & ~(uint64_t)(PAGE_SIZE - 1)) < kernel_end) {
        error_set(errp, "%s: an initrd of %" G_GUINT64_FORMAT " KiB and the kernel, which ends at %"
                  G_GUINT64_FORMAT " KiB, do not fit below %" G_GUINT64_FORMAT " KiB: give more with -m",
                  k->initrd, size >> 10, kernel_end >> 10, top >> 10);
        return false;
    }
    *addr = (top - size) & ~(uint64_t)(PAGE_SIZE - 1);
    *len = size;
    return boot_add_part(k, "the initrd", *addr, k->initrd, 0, size, errp);
}

void boot_enter_flat(BootImage *k, uint32_t entry, uint32_t eax, uint32_t ebx)
{
    k->params.kind = ROM_KIND_FLAT;
    k->params.entry = entry;
    k->params.eax = eax;
    k->params.ebx = ebx;
}

/* ---- files that are not kernels ---- */

typedef struct KnownFile {
    uint32_t at;
    const char *magic;
    uint8_t len;
    const char *what;
} KnownFile;

static const char *describe(const BootImage *k)
{
    static const KnownFile known[] = {
        { 0, "\x7f" "ELF", 4, "an ELF file with neither a multiboot header nor a PVH entry note" },
        { 0x8001, "CD001", 5, "an ISO image (boot it with -cdrom)" },
        { 0, "QFI\xfb", 4, "a qcow2 disk image (boot it with -hda)" },
        { 0, "\x1f\x8b", 2, "gzip-compressed data" },
        { 0, "BZh", 3, "bzip2-compressed data" },
        { 0, "\xfd" "7zXZ", 5, "xz-compressed data" },
        { 0, "\x28\xb5\x2f\xfd", 4, "zstd-compressed data" },
        { 0, "070701", 6, "a cpio archive (an initrd goes to -initrd)" },
        { 0, "MZ", 2, "a DOS, Windows or EFI program" },
        { 0, "#!", 2, "a script" },
        { 510, "\x55\xaa", 2, "a boot sector or disk image (boot it with -hda or -fda)" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        const KnownFile *f = &known[i];

        if (k->len >= f->at + f->len && !memcmp(k->data + f->at, f->magic, f->len)) {
            return f->what;
        }
    }
    return "nothing known";
}

static bool load(BootImage *k, GError **errp)
{
    uint64_t entry;

    if (linux_probe(k)) {
        return linux_load(k, errp);
    }
    if (multiboot_probe(k)) {
        return multiboot_load(k, errp);
    }
    if (elf_probe(k) && elf_find_note(k, "Xen", 18, &entry)) {
        return pvh_load(k, errp);
    }
    error_set(errp, "%s is not a kernel that can be booted: it is %s.  -kernel takes a Linux bzImage, a "
              "multiboot image, or an ELF file with a PVH entry note", k->path, describe(k));
    return false;
}

/* ---- the ROM ---- */

static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    while (len--) {
        sum += *data++;
    }
    return -sum;
}

static bool add_rom(BootImage *k, GError **errp)
{
    g_autofree uint8_t *rom = g_memdup2(pc_kernel_rom, pc_kernel_rom_size);

    G_STATIC_ASSERT(sizeof(RomParams) == 36 + ROM_MAX_LOADS * 12);
    memcpy(rom + ROM_PARAMS, &k->params, sizeof(k->params));
    rom[ROM_PNP + ROM_PNP_CHECKSUM] = checksum(rom + ROM_PNP, ROM_PNP_SIZE);
    rom[pc_kernel_rom_size - 1] = checksum(rom, pc_kernel_rom_size);
    return fw_cfg_add_file(k->board->fw_cfg, "genroms/kernel.bin", rom, pc_kernel_rom_size, errp);
}

bool pc_kernel_init(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    BootImage k = { .board = b, .path = cfg->kernel, .initrd = cfg->initrd,
                    .append = cfg->append ? cfg->append : "" };

    if (!cfg->kernel) {
        if (cfg->initrd || cfg->append) {
            error_set(errp, "%s is for a kernel: it needs -kernel", cfg->initrd ? "-initrd" : "-append");
            return false;
        }
        return true;
    }
    g_autoptr(GMappedFile) file = boot_map_file(&k, "a kernel", cfg->kernel, errp);

    if (!file) {
        return false;
    }
    k.data = (const uint8_t *)g_mapped_file_get_contents(file);
    k.len = g_mapped_file_get_length(file);
    b->boots_kernel = true;
    return load(&k, errp) && add_rom(&k, errp);
}
