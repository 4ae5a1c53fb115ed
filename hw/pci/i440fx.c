/*
 * Host bridge of the 440FX chip set: configuration ports, memory controller, the way to PCI.
 *
 * 82441FX (PMC) data sheet, order number 290549: 3.1 (CONFADD, CONFDATA), 3.2.14 (PAM), 3.2.23 (SMRAM).
 * The reset control register 0xcf9 belongs to PIIX3 (82371SB, 2.5.6.3), but lies inside CONFADD's four
 * ports and is told from it by the size of the access, so it is decoded here.
 *
 * What appears where, in order of priority: the segments of PAM0..6 and the VGA window; RAM; PCI.
 *
 * Not modelled: system management mode (SMRAM can be opened and locked, but no SMI is ever taken), DRAM
 * timing, error reporting.
 */
#include "hw/i440fx.h"

#include "hw/pci.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum {
    CONFADD = 0xcf8, CONFDATA = 0xcfc,
    CONFADD_ENABLE = 1u << 31,
    RC_FULL = 1 << 1, RC_CPU = 1 << 2,              /* RC at 0xcf9: kind of reset, do it */
    PAM0 = 0x59, SMRAM = 0x72,
    PAM_RE = 1 << 0, PAM_WE = 1 << 1,
    SMRAM_BASE = 2, SMRAM_G_ENABLE = 1 << 3, SMRAM_LOCK = 1 << 4, SMRAM_OPEN = 1 << 6,
    PAM_SEGMENTS = 13,
    PRIO_UNCLAIMED = -1, PRIO_PCI = -1, PRIO_RAM = 0, PRIO_SEGMENT = 1,
};
static const hwaddr GIB_4 = 4ull << 30;

typedef struct I440fxHost {
    Device dev;
    PciBus pci;
    Region pci_mem, unclaimed, confadd_io, confdata_io;
    uint32_t confadd;
    uint8_t reset_control;
} I440fxHost;

/* ---- "i440FX-pcihost": the ports ---- */

static uint64_t confadd_read(void *dev, hwaddr off, unsigned size)
{
    I440fxHost *s = dev;

    if (size == 4) {
        return s->confadd;
    }
    if (size == 1 && off == 1) {
        return s->reset_control;
    }
    return mask64(8 * size);
}

static void confadd_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    I440fxHost *s = dev;

    if (size == 4) {
        s->confadd = val & (CONFADD_ENABLE | 0x00fffffc);
    } else if (size == 1 && off == 1) {
        bool rising = (val & RC_CPU) && !(s->reset_control & RC_CPU);

        s->reset_control = val & (RC_FULL | RC_CPU);
        if (rising) {
            machine_request(s->dev.machine, MACHINE_RESET);
        }
    }
}

static const RegionOps confadd_ops = {
    .read = confadd_read, .write = confadd_write, .size_min = 1, .size_max = 4,
};

static uint64_t confdata_read(void *dev, hwaddr off, unsigned size)
{
    I440fxHost *s = dev;

    if (!(s->confadd & CONFADD_ENABLE)) {
        return mask64(8 * size);
    }
    return pci_config_read(&s->pci, s->confadd >> 16, s->confadd >> 8, (s->confadd & 0xfc) + off, size);
}

static void confdata_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    I440fxHost *s = dev;

    if (s->confadd & CONFADD_ENABLE) {
        pci_config_write(&s->pci, s->confadd >> 16, s->confadd >> 8, (s->confadd & 0xfc) + off, val, size);
    }
}

static const RegionOps confdata_ops = {
    .read = confdata_read, .write = confdata_write, .size_min = 1, .size_max = 4,
};

/* Where PCI hides RAM below 1 MiB and no device answers: all ones, not the RAM behind. */
static const RegionOps unclaimed_ops = { .read = NULL };

static bool host_realize(Device *d, GError **errp)
{
    I440fxHost *s = (I440fxHost *)d;
    Machine *m = d->machine;

    if (machine_service(m, "pci")) {
        error_set(errp, "there is a PCI host bridge already");
        return false;
    }
    region_init(&s->pci_mem, "pci", m->mem_root.size);
    region_map(&m->mem_root, 0, &s->pci_mem, PRIO_PCI);
    region_init_io(&s->unclaimed, "pci-unclaimed", 1 << 20, &unclaimed_ops, s);
    region_map(&s->pci_mem, 0, &s->unclaimed, PRIO_UNCLAIMED);
    region_init_io(&s->confadd_io, "pci-conf-addr", 4, &confadd_ops, s);
    region_map(&m->io_root, CONFADD, &s->confadd_io, 0);
    region_init_io(&s->confdata_io, "pci-conf-data", 4, &confdata_ops, s);
    region_map(&m->io_root, CONFDATA, &s->confdata_io, 0);
    pci_bus_init(&s->pci, d, &m->io_root, &s->pci_mem);
    machine_provide(m, "pci", &s->pci);
    return true;
}

static void host_unrealize(Device *d)
{
    I440fxHost *s = (I440fxHost *)d;

    bus_fini(&s->pci.bus);
    if (machine_service(d->machine, "pci") == &s->pci) {
        machine_provide(d->machine, "pci", NULL);
    }
    region_fini(&s->confadd_io);
    region_fini(&s->confdata_io);
    region_fini(&s->unclaimed);
    region_fini(&s->pci_mem);
}

static void host_reset(Device *d)
{
    I440fxHost *s = (I440fxHost *)d;

    s->confadd = 0;
    s->reset_control = 0;
}

static void host_info(Device *d, GString *out)
{
    pci_info(&((I440fxHost *)d)->pci, out);
}

static const StateField host_fields[] = {
    STATE_NOT(I440fxHost, dev, "device core"),
    STATE_NOT(I440fxHost, pci, "the devices on it save their own"),
    STATE_NOT(I440fxHost, pci_mem, "mapping, made by realize"),
    STATE_NOT(I440fxHost, unclaimed, "mapping, made by realize"),
    STATE_NOT(I440fxHost, confadd_io, "mapping, made by realize"),
    STATE_NOT(I440fxHost, confdata_io, "mapping, made by realize"),
    STATE_U(I440fxHost, confadd),
    STATE_U(I440fxHost, reset_control),
    STATE_DONE,
};
static const StateTable host_state = { .name = "i440FX-pcihost", .version = 1, .fields = host_fields };

const DeviceClass i440fx_host_class = {
    .name = "i440FX-pcihost",
    .summary = "82441FX host bridge: PCI configuration ports",
    .size = sizeof(I440fxHost),
    .board_only = true,
    .state = &host_state,
    .realize = host_realize,
    .unrealize = host_unrealize,
    .reset = host_reset,
    .info = host_info,
};

/* ---- "i440FX": the memory controller, function 00:00.0 ---- */

typedef struct PamSegment {
    struct I440fx *mc;
    hwaddr at, size;
    Region by_mode[4];          /* what hides RAM there, by PAM_RE | PAM_WE; none for both */
} PamSegment;

typedef struct I440fx {
    PciDevice pci;
    Region *ram;
    hwaddr below_4g;
    Region ram_low, ram_high, vga_window;
    PamSegment pam[PAM_SEGMENTS];
} I440fx;

/* Write-only RAM: reads go to PCI, where the only memory below 1 MiB is the tail of the firmware's ROM,
 * which appears below 4 GiB too. */
static uint64_t write_only_read(void *dev, hwaddr off, unsigned size)
{
    PamSegment *seg = dev;
    uint64_t val = 0;

    as_read(seg->mc->pci.dev.machine->mem, GIB_4 - (1 << 20) + seg->at + off, &val, size);
    return val;
}

/* Nobody can have cached code of RAM that cannot be read, so the pages need no code_changed. */
static void write_only_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    PamSegment *seg = dev;
    hwaddr at = seg->at + off;

    if (at < seg->mc->below_4g) {
        memcpy(seg->mc->ram->ram + at, &val, size);
    }
}

static const RegionOps write_only_ops = {
    .read = write_only_read, .write = write_only_write, .size_min = 1, .size_max = 8,
};

/* PAM0's high half is the 64 KiB of the BIOS; each half of PAM1..6 is 16 KiB from 0xc0000 up. */
static unsigned pam_mode(const I440fx *s, unsigned segment)
{
    unsigned half = segment + 1;

    return s->pci.config[PAM0 + half / 2] >> (4 * (half & 1)) & (PAM_RE | PAM_WE);
}

static void update_map(I440fx *s)
{
    Machine *m = s->pci.dev.machine;
    uint8_t smram = s->pci.config[SMRAM];

    memory_begin(m->mem);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        unsigned mode = pam_mode(s, i);

        for (unsigned k = 0; k < (PAM_RE | PAM_WE); k++) {
            region_enable(&s->pam[i].by_mode[k], k == mode);
        }
    }
    region_enable(&s->vga_window, (smram & (SMRAM_OPEN | SMRAM_G_ENABLE)) != (SMRAM_OPEN | SMRAM_G_ENABLE));
    memory_commit(m->mem);
}

static void i440fx_config_written(PciDevice *d, unsigned reg, unsigned size)
{
    I440fx *s = (I440fx *)d;

    if (reg <= SMRAM && SMRAM < reg + size && (d->config[SMRAM] & SMRAM_LOCK)) {
        d->config[SMRAM] &= ~SMRAM_OPEN;
        d->wmask[SMRAM] = 0;            /* D_LCK: until the next reset */
    }
    if (reg + size > PAM0 && reg <= SMRAM) {
        update_map(s);
    }
}

static void init_segment(I440fx *s, unsigned i)
{
    static const char *const names[PAM_SEGMENTS] = {
        "pam-f0000", "pam-c0000", "pam-c4000", "pam-c8000", "pam-cc000", "pam-d0000", "pam-d4000",
        "pam-d8000", "pam-dc000", "pam-e0000", "pam-e4000", "pam-e8000", "pam-ec000",
    };
    PamSegment *seg = &s->pam[i];
    Region *root = &s->pci.dev.machine->mem_root;

    seg->mc = s;
    seg->at = i == 0 ? 0xf0000 : 0xc0000 + (i - 1) * 0x4000;
    seg->size = i == 0 ? 0x10000 : 0x4000;
    region_init_alias(&seg->by_mode[0], names[i], pci_bus(&s->pci)->mem, seg->at, seg->size);
    region_init_alias(&seg->by_mode[PAM_RE], names[i], s->ram, seg->at, seg->size);
    region_set_readonly(&seg->by_mode[PAM_RE], true);
    region_init_io(&seg->by_mode[PAM_WE], names[i], seg->size, &write_only_ops, seg);
    for (unsigned k = 0; k < (PAM_RE | PAM_WE); k++) {
        region_enable(&seg->by_mode[k], false);
        region_map(root, seg->at, &seg->by_mode[k], PRIO_SEGMENT);
    }
}

void i440fx_set_ram(Device *d, Region *ram, hwaddr below_4g)
{
    I440fx *s = (I440fx *)d;

    g_assert(!d->realized && below_4g <= ram->size);
    s->ram = ram;
    s->below_4g = below_4g;
}

static bool i440fx_realize(Device *d, GError **errp)
{
    I440fx *s = (I440fx *)d;
    Region *root = &d->machine->mem_root;

    if (!s->ram) {
        error_set(errp, "i440FX: the board gave no RAM");
        return false;
    }
    memory_begin(d->machine->mem);
    region_init_alias(&s->ram_low, "ram-below-4g", s->ram, 0, s->below_4g);
    region_map(root, 0, &s->ram_low, PRIO_RAM);
    if (s->ram->size > s->below_4g) {
        region_init_alias(&s->ram_high, "ram-above-4g", s->ram, s->below_4g, s->ram->size - s->below_4g);
        region_map(root, GIB_4, &s->ram_high, PRIO_RAM);
    }
    region_init_alias(&s->vga_window, "vga-window", pci_bus(&s->pci)->mem, 0xa0000, 0x20000);
    region_map(root, 0xa0000, &s->vga_window, PRIO_SEGMENT);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        init_segment(s, i);
    }
    memory_commit(d->machine->mem);
    s->pci.wmask[PAM0] = 0x30;
    memset(s->pci.wmask + PAM0 + 1, 0x33, 6);
    return true;
}

static void i440fx_unrealize(Device *d)
{
    I440fx *s = (I440fx *)d;

    memory_begin(d->machine->mem);
    region_fini(&s->ram_low);
    region_fini(&s->ram_high);
    region_fini(&s->vga_window);
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        for (unsigned k = 0; k < (PAM_RE | PAM_WE); k++) {
            region_fini(&s->pam[i].by_mode[k]);
        }
    }
    memory_commit(d->machine->mem);
}

static void i440fx_reset(Device *d)
{
    I440fx *s = (I440fx *)d;

    s->pci.wmask[SMRAM] = SMRAM_G_ENABLE | SMRAM_LOCK | SMRAM_OPEN | 1 << 5;
    pci_device_reset(&s->pci);
    s->pci.config[SMRAM] = SMRAM_BASE;
    st16le(s->pci.config + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    st16le(s->pci.config + PCI_STATUS, 0x0280);     /* medium DEVSEL#, fast back-to-back: as on silicon */
}

static void i440fx_settle(Device *d)
{
    I440fx *s = (I440fx *)d;

    if (s->pci.config[SMRAM] & SMRAM_LOCK) {
        s->pci.wmask[SMRAM] = 0;        /* a loaded state was locked */
    }
    pci_device_settle(&s->pci);
    update_map(s);
}

static const StateField i440fx_fields[] = {
    STATE_SUB(I440fx, pci, &pci_device_state),
    STATE_NOT(I440fx, ram, "the board's"),
    STATE_NOT(I440fx, below_4g, "option"),
    STATE_NOT(I440fx, ram_low, "mapping, made by realize"),
    STATE_NOT(I440fx, ram_high, "mapping, made by realize"),
    STATE_NOT(I440fx, vga_window, "mapping, redone by settle"),
    STATE_NOT(I440fx, pam, "mapping, redone by settle"),
    STATE_DONE,
};
static const StateTable i440fx_state = { .name = "i440FX", .version = 1, .fields = i440fx_fields };

static const Property i440fx_props[] = { PCI_PROPS(I440fx), PROP_DONE };

/* Firmware tells this kind of machine, and so that there is fw_cfg, by the subsystem IDs. */
const PciClass i440fx_class = {
    .dev = {
        .name = "i440FX",
        .summary = "Host bridge",
        .bus = "pci",
        .size = sizeof(I440fx),
        .board_only = true,
        .props = i440fx_props,
        .state = &i440fx_state,
        .realize = i440fx_realize,
        .unrealize = i440fx_unrealize,
        .reset = i440fx_reset,
        .settle = i440fx_settle,
    },
    .vendor = 0x8086, .device = 0x1237, .revision = 2, .class_code = 0x060000,
    .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
    .config_written = i440fx_config_written,
};
