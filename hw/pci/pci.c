/*
 * The PCI bus: configuration space, base address registers, expansion ROMs and interrupt pins.
 *
 * PCI Local Bus Specification 3.0: chapter 6 (configuration space), 2.2.6 (interrupt pins).
 *
 * Not modelled: bridges to further buses, capabilities and message-signalled interrupts, parity and
 * system errors, latency timers, special cycles.
 */
#include "hw/pci.h"

#include <inttypes.h>
#include <string.h>
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum {
    STATUS_INTX = 1 << 3,               /* read-only: the interrupt pin's level */
    STATUS_W1C = 0xf900,                /* error bits: cleared by writing one */
    COMMAND_WMASK = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE |
                    1 << 6 | 1 << 8,    /* parity response, SERR# enable: kept, without effect */
    HEADER_MULTIFUNCTION = 0x80,
    ROM_ENABLE = 1 << 0,
    ROM_MAX = 16 << 20,                 /* PCI 3.0, 6.2.5.2 */
};
static const hwaddr UNMAPPED = ~0ull;

/* ---- base address registers ---- */

static unsigned bar_reg(unsigned n)
{
    return n == PCI_ROM_SLOT ? PCI_ROM_ADDRESS : PCI_BAR0 + 4 * n;
}

/* Where BAR n decodes now, or UNMAPPED.  Address 0 and a range that runs to the end of its space are what
 * sizing leaves behind for a moment; neither is ever assigned. */
static hwaddr bar_address(PciDevice *d, unsigned n)
{
    const PciBar *bar = &d->bar[n];
    uint16_t command = ld16le(d->config + PCI_COMMAND);
    uint64_t at = ld32le(d->config + bar_reg(n)) & ~(bar->region->size - 1);
    uint64_t limit = UINT32_MAX;

    if (bar->flags & PCI_BAR_IO) {
        if (!(command & PCI_COMMAND_IO)) {
            return UNMAPPED;
        }
        limit = UINT16_MAX;
    } else {
        if (!(command & PCI_COMMAND_MEMORY)) {
            return UNMAPPED;
        }
        if (n == PCI_ROM_SLOT && !(d->config[PCI_ROM_ADDRESS] & ROM_ENABLE)) {
            return UNMAPPED;
        }
        if (bar->flags & PCI_BAR_MEM64) {
            at |= (uint64_t)ld32le(d->config + bar_reg(n) + 4) << 32;
            limit = pci_bus(d)->mem->size - 1;
        }
    }
    if (at == 0 || at > limit || limit - at < bar->region->size) {
        return UNMAPPED;
    }
    return at;
}

static void update_bars(PciDevice *d)
{
    PciBus *b = pci_bus(d);

    memory_begin(d->dev.machine->mem);
    memory_begin(d->dev.machine->io);
    for (unsigned n = 0; n < G_N_ELEMENTS(d->bar); n++) {
        PciBar *bar = &d->bar[n];

        if (!bar->region) {
            continue;
        }
        hwaddr at = bar_address(d, n);

        if (at == bar->mapped_at) {
            continue;
        }
        region_unmap(bar->region);
        if (at != UNMAPPED) {
            region_map(bar->flags & PCI_BAR_IO ? b->io : b->mem, at, bar->region, 0);
        }
        bar->mapped_at = at;
    }
    memory_commit(d->dev.machine->io);
    memory_commit(d->dev.machine->mem);
}

void pci_register_bar(PciDevice *d, unsigned n, uint8_t flags, Region *region)
{
    uint64_t size = region->size;
    uint64_t mask = ~(size - 1);
    unsigned reg = bar_reg(n);

    g_assert(n <= PCI_ROM_SLOT && !d->bar[n].region);
    g_assert(size >= (flags & PCI_BAR_IO ? 4 : 16) && (size & (size - 1)) == 0);
    g_assert(!(flags & PCI_BAR_MEM64) || n < 5);
    d->bar[n] = (PciBar){ .region = region, .flags = flags, .mapped_at = UNMAPPED };
    st32le(d->config + reg, n == PCI_ROM_SLOT ? 0 : flags);
    st32le(d->wmask + reg, (uint32_t)mask | (n == PCI_ROM_SLOT ? ROM_ENABLE : 0));
    if (flags & PCI_BAR_MEM64) {
        st32le(d->wmask + reg + 4, mask >> 32);
    }
}

bool pci_register_rom(PciDevice *d, const char *path, GError **errp)
{
    g_autofree char *image = NULL;
    g_autoptr(GError) why = NULL;
    gsize len;
    hwaddr size = 2048;                 /* the smallest ROM BAR: bits 10:1 are reserved */

    if (!g_file_get_contents(path, &image, &len, &why)) {
        error_set(errp, "%s: cannot read the ROM image: %s", d->dev.id, why->message);
        return false;
    }
    if (len == 0 || len > ROM_MAX) {
        error_set(errp, "%s: the ROM image %s has %zu bytes; 1 byte to 16 MiB are possible", d->dev.id, path,
                  len);
        return false;
    }
    while (size < len) {
        size *= 2;
    }
    if (!region_init_rom(&d->rom, d->dev.cls->name, image, len, size, errp)) {
        return false;
    }
    pci_register_bar(d, PCI_ROM_SLOT, 0, &d->rom);
    return true;
}

/* ---- interrupt pins ---- */

/* Drive the board's line from what the pin says and the command register allows. */
static void update_intx(PciDevice *d)
{
    PciBus *b = pci_bus(d);
    unsigned pin = pci_class(d)->interrupt_pin;
    bool level = d->intx && !(ld16le(d->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);

    d->config[PCI_STATUS] = (d->config[PCI_STATUS] & ~STATUS_INTX) | (d->intx ? STATUS_INTX : 0);
    if (level == d->intx_driven || pin == 0) {
        return;
    }
    d->intx_driven = level;
    if (!b->ops) {
        return;
    }
    unsigned line = b->ops->map_irq(b->ops_opaque, d->addr >> 3, pin - 1) % G_N_ELEMENTS(b->lines);

    b->lines[line] += level ? 1 : -1;
    b->ops->set_irq(b->ops_opaque, line, b->lines[line] > 0);
}

void pci_set_intx(PciDevice *d, bool level)
{
    if (d->intx != level) {
        d->intx = level;
        update_intx(d);
    }
}

void pci_bus_set_irqs(PciBus *b, const PciBusOps *ops, void *opaque)
{
    b->ops = ops;
    b->ops_opaque = opaque;
}

/* ---- configuration space ---- */

static bool touches(unsigned reg, unsigned size, unsigned at, unsigned len)
{
    return reg < at + len && at < reg + size;
}

static PciDevice *find_device(PciBus *b, uint8_t bus, uint8_t devfn)
{
    return bus == 0 ? b->devices[devfn] : NULL;
}

static bool valid_access(unsigned reg, unsigned size)
{
    return size >= 1 && size <= 4 && reg + size <= sizeof(((PciDevice *)0)->config);
}

uint32_t pci_config_read(PciBus *b, uint8_t bus, uint8_t devfn, unsigned reg, unsigned size)
{
    const PciDevice *d = find_device(b, bus, devfn);
    uint32_t val = 0;

    if (!d || !valid_access(reg, size)) {
        return mask64(8 * size);        /* master abort: all ones (PCI 3.0, 6.1) */
    }
    memcpy(&val, d->config + reg, size);
    return val;
}

void pci_config_write(PciBus *b, uint8_t bus, uint8_t devfn, unsigned reg, uint32_t val, unsigned size)
{
    PciDevice *d = find_device(b, bus, devfn);

    if (!d || !valid_access(reg, size)) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = val >> (8 * i), wmask = d->wmask[reg + i];
        uint8_t *config = &d->config[reg + i];

        *config = (*config & ~wmask) | (byte & wmask);
        *config &= ~(byte & d->w1cmask[reg + i]);
    }
    if (touches(reg, size, PCI_COMMAND, 2) || touches(reg, size, PCI_BAR0, 24) ||
        touches(reg, size, PCI_ROM_ADDRESS, 4)) {
        update_bars(d);
        update_intx(d);
    }
    if (pci_class(d)->config_written) {
        pci_class(d)->config_written(d, reg, size);
    }
}

/* ---- bus-master DMA ---- */

static bool may_master(const PciDevice *d)
{
    return ld16le(d->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

MemResult pci_dma_read(PciDevice *d, hwaddr addr, void *buf, size_t len)
{
    if (!may_master(d)) {
        memset(buf, 0xff, len);
        log_guest(d->dev.id, "DMA while bus mastering is off");
        return MEM_UNMAPPED;
    }
    return as_read(d->dev.machine->mem, addr, buf, len);
}

MemResult pci_dma_write(PciDevice *d, hwaddr addr, const void *buf, size_t len)
{
    if (!may_master(d)) {
        log_guest(d->dev.id, "DMA while bus mastering is off");
        return MEM_UNMAPPED;
    }
    return as_write(d->dev.machine->mem, addr, buf, len);
}

/* ---- life cycle ---- */

/* What the class says of the device, and the bits of the header that every device has. */
static void init_header(PciDevice *d)
{
    const PciClass *c = pci_class(d);

    st16le(d->config + PCI_VENDOR_ID, c->vendor);
    st16le(d->config + PCI_DEVICE_ID, c->device);
    d->config[PCI_REVISION_ID] = c->revision;
    d->config[PCI_CLASS_PROG] = c->class_code;
    st16le(d->config + PCI_CLASS_DEVICE, c->class_code >> 8);
    d->config[PCI_HEADER_TYPE] = c->multifunction ? HEADER_MULTIFUNCTION : 0;
    st16le(d->config + PCI_SUBSYSTEM_VENDOR_ID, c->subsystem_vendor);
    st16le(d->config + PCI_SUBSYSTEM_ID, c->subsystem);
    d->config[PCI_INTERRUPT_PIN] = c->interrupt_pin;
    st16le(d->wmask + PCI_COMMAND, COMMAND_WMASK);
    st16le(d->w1cmask + PCI_STATUS, STATUS_W1C);
    d->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

static bool slot_free(const PciBus *b, unsigned slot)
{
    for (unsigned fn = 0; fn < 8; fn++) {
        if (b->devices[slot * 8 + fn]) {
            return false;
        }
    }
    return true;
}

static bool find_slot(PciBus *b, PciDevice *d, GError **errp)
{
    if (d->addr == PCI_ADDR_AUTO) {
        for (unsigned slot = 1; slot < 32; slot++) {
            if (slot_free(b, slot)) {
                d->addr = slot * 8;
                return true;
            }
        }
        error_set(errp, "%s: all 32 PCI slots are taken", d->dev.id);
        return false;
    }
    unsigned slot = d->addr >> 3, fn = d->addr & 7;

    if (d->addr > 0xff) {
        error_set(errp, "%s: PCI slots are 0 to 31, functions 0 to 7", d->dev.id);
        return false;
    }
    if (b->devices[d->addr]) {
        GString *free_slots = g_string_new(NULL);

        for (unsigned s = 0; s < 32; s++) {
            if (slot_free(b, s)) {
                g_string_append_printf(free_slots, " %u", s);
            }
        }
        error_set(errp, "%s: PCI slot %u.%u is taken by %s; free slots:%s", d->dev.id, slot, fn,
                  b->devices[d->addr]->dev.id, free_slots->len ? free_slots->str : " none");
        g_string_free(free_slots, TRUE);
        return false;
    }
    if (fn != 0 && (!b->devices[slot * 8] || !pci_class(b->devices[slot * 8])->multifunction)) {
        error_set(errp, "%s: PCI slot %u has no multi-function device, so function %u would never be found; "
                  "use addr=%u or a free slot", d->dev.id, slot, fn, slot);
        return false;
    }
    return true;
}

static bool pci_plug(Bus *bus, Device *dev, GError **errp)
{
    PciBus *b = (PciBus *)bus;
    PciDevice *d = (PciDevice *)dev;

    if (!find_slot(b, d, errp)) {
        return false;
    }
    init_header(d);
    b->devices[d->addr] = d;
    return true;
}

static void pci_unplug(Bus *bus, Device *dev)
{
    PciBus *b = (PciBus *)bus;
    PciDevice *d = (PciDevice *)dev;

    for (unsigned n = 0; n < G_N_ELEMENTS(d->bar); n++) {
        if (d->bar[n].region) {
            region_unmap(d->bar[n].region);
        }
    }
    pci_set_intx(d, false);
    region_fini(&d->rom);
    b->devices[d->addr & 0xff] = NULL;
}

static void pci_describe(Bus *bus, Device *dev, GString *out)
{
    const PciDevice *d = (const PciDevice *)dev;

    g_string_append_printf(out, "addr %02x.%x", d->addr >> 3, d->addr & 7);
}

const BusClass pci_bus_class = {
    .name = "pci",
    .plug = pci_plug,
    .unplug = pci_unplug,
    .describe = pci_describe,
};

void pci_bus_init(PciBus *b, Device *controller, Region *io, Region *mem)
{
    bus_init(&b->bus, &pci_bus_class, controller, "pci.0");
    b->io = io;
    b->mem = mem;
}

void pci_device_reset(PciDevice *d)
{
    for (unsigned i = 0; i < sizeof(d->config); i++) {
        d->config[i] &= ~(d->wmask[i] | d->w1cmask[i]);
    }
    d->intx = false;
}

void pci_device_settle(PciDevice *d)
{
    update_bars(d);
    update_intx(d);
}

/* A loaded configuration space may claim anything: what the guest cannot write is the class's. */
static bool pci_after_load(void *obj, GError **errp)
{
    PciDevice *d = obj;

    init_header(d);
    for (unsigned n = 0; n < PCI_ROM_SLOT; n++) {
        if (d->bar[n].region) {
            uint8_t *bar = d->config + bar_reg(n);

            st32le(bar, (ld32le(bar) & ld32le(d->wmask + bar_reg(n))) | d->bar[n].flags);
        }
    }
    return true;
}

static const StateField pci_device_fields[] = {
    STATE_NOT(PciDevice, dev, "device core"),
    STATE_NOT(PciDevice, addr, "option"),
    STATE_BUF(PciDevice, config),
    STATE_NOT(PciDevice, wmask, "made by realize"),
    STATE_NOT(PciDevice, w1cmask, "made by realize"),
    STATE_NOT(PciDevice, bar, "mapping, redone by settle"),
    STATE_NOT(PciDevice, rom, "made by realize"),
    STATE_U(PciDevice, intx),
    STATE_NOT(PciDevice, intx_driven, "wire, redone by settle"),
    STATE_DONE,
};
const StateTable pci_device_state = {
    .name = "pci-device", .version = 1, .fields = pci_device_fields, .after_load = pci_after_load,
};

/* ---- the monitor ---- */

static void describe_bar(const PciDevice *d, unsigned n, GString *out)
{
    const PciBar *bar = &d->bar[n];
    const char *kind = bar->flags & PCI_BAR_IO ? "I/O" : n == PCI_ROM_SLOT ? "ROM memory" :
                       bar->flags & PCI_BAR_MEM64 ? "64 bit memory" : "32 bit memory";

    g_string_append_printf(out, "      BAR%u: %s%s, size 0x%" PRIx64, n, kind,
                           bar->flags & PCI_BAR_PREFETCH ? " prefetchable" : "", bar->region->size);
    if (bar->mapped_at == UNMAPPED) {
        g_string_append(out, ", not mapped\n");
    } else {
        g_string_append_printf(out, " at 0x%0*" PRIx64 "\n", bar->flags & PCI_BAR_IO ? 4 : 8, bar->mapped_at);
    }
}

void pci_info(PciBus *b, GString *out)
{
    for (unsigned devfn = 0; devfn < G_N_ELEMENTS(b->devices); devfn++) {
        const PciDevice *d = b->devices[devfn];

        if (!d) {
            continue;
        }
        unsigned pin = pci_class(d)->interrupt_pin;

        g_string_append_printf(out, "  Bus  0, device %3u, function %u:\n", devfn >> 3, devfn & 7);
        g_string_append_printf(out, "    %s: PCI device %04x:%04x, class %04x\n", d->dev.cls->summary,
                               ld16le(d->config + PCI_VENDOR_ID), ld16le(d->config + PCI_DEVICE_ID),
                               ld16le(d->config + PCI_CLASS_DEVICE));
        if (pin) {
            g_string_append_printf(out, "      IRQ %u, pin %c%s\n", d->config[PCI_INTERRUPT_LINE],
                                   "ABCD"[(pin - 1) & 3], d->intx_driven ? " (raised)" : "");
        }
        for (unsigned n = 0; n < G_N_ELEMENTS(d->bar); n++) {
            if (d->bar[n].region) {
                describe_bar(d, n, out);
            }
        }
        g_string_append_printf(out, "      id \"%s\"\n", d->dev.id);
    }
}
