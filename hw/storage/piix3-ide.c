/*
 * The IDE function of PIIX3: two channels at their traditional ports, and bus-master DMA.
 *
 * Intel 82371SB (PIIX3) data sheet, sections 2.3 (IDE configuration registers) and 2.7 (bus-master
 * registers); SFF-8038i (the descriptor table).  A channel answers while the I/O bit of the command
 * register and its own enable bit (IDETIM bit 15) are set.
 *
 * Not modelled: timing registers do nothing; native-mode addresses, which PIIX3 has not.
 */
#include "hw/isa.h"
#include "hw/pci.h"
#include "ide-int.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum { IDETIM = 0x40, SIDETIM = 0x44, IDETIM_ENABLE = 1 << 15 };
enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4, BM_REGS = 8 };
enum { BM_START = 1 << 0, BM_TO_MEMORY = 1 << 3 };
enum { BM_ACTIVE = 1 << 0, BM_ERROR = 1 << 1, BM_INTERRUPT = 1 << 2, BM_CAPABLE = 3 << 5 };
enum { PRD_BYTES = 8 };
static const uint32_t PRD_END = 1u << 31;

typedef struct Piix3Ide Piix3Ide;

typedef struct BusMaster {
    Piix3Ide *ide;
    unsigned channel;
    uint8_t command, status;        /* status without its active bit */
    uint32_t table;
    bool active;
    bool last;                      /* the descriptor being used is the table's last */
    uint32_t next;                  /* address of the next descriptor */
    uint32_t addr, left;            /* what remains of the one being used */
} BusMaster;

struct Piix3Ide {
    PciDevice pci;
    IdeChannel channel[IDE_CHANNELS];
    BusMaster master[IDE_CHANNELS];
    Region master_io;
    IsaBus *isa;
};

static const struct { uint16_t command, control; uint8_t irq; } legacy[IDE_CHANNELS] = {
    { 0x1f0, 0x3f6, 14 }, { 0x170, 0x376, 15 },
};

/* ---- bus master ---- */

static bool master_active(void *dma)
{
    return ((const BusMaster *)dma)->active;
}

static void master_interrupt(void *dma)
{
    ((BusMaster *)dma)->status |= BM_INTERRUPT;
}

static void master_fault(BusMaster *b, const char *what)
{
    log_guest(b->ide->pci.dev.id, "channel %u: %s at %08x", b->channel, what, b->next);
    b->status |= BM_ERROR;
    b->active = false;
}

/* SFF-8038i 1.2: a word-aligned address, a byte count of which 0 means 64 KiB, the end bit.  Each moves two
 * bytes at least, so the walk is bounded by the transfer. */
static bool next_descriptor(BusMaster *b)
{
    uint8_t prd[PRD_BYTES];

    if (b->last) {
        b->active = false;
        return false;
    }
    if (pci_dma_read(&b->ide->pci, b->next, prd, sizeof(prd)) != MEM_OK) {
        master_fault(b, "no DMA descriptor");
        return false;
    }
    uint32_t control = ld32le(prd + 4);
    b->addr = ld32le(prd) & ~1u;
    b->left = control & 0xfffe;
    if (b->left == 0) {
        b->left = 0x10000;
    }
    b->last = control & PRD_END;
    b->next += PRD_BYTES;
    return true;
}

static size_t master_move(void *dma, void *buf, size_t len, bool to_memory)
{
    BusMaster *b = dma;
    size_t done = 0;

    if (to_memory != !!(b->command & BM_TO_MEMORY)) {
        master_fault(b, "DMA against the direction of the command");
        return 0;
    }
    while (done < len && b->active) {
        if (b->left == 0 && !next_descriptor(b)) {
            break;
        }
        uint32_t n = MIN(b->left, len - done);
        uint8_t *at = (uint8_t *)buf + done;
        MemResult r = to_memory ? pci_dma_write(&b->ide->pci, b->addr, at, n)
                                : pci_dma_read(&b->ide->pci, b->addr, at, n);
        if (r == MEM_UNMAPPED) {
            master_fault(b, "DMA to no memory");
            break;
        }
        b->addr += n;
        b->left -= n;
        done += n;
    }
    if (b->left == 0 && b->last) {
        b->active = false;          /* table and transfer end together, the usual case */
    }
    return done;
}

static const IdeDmaOps master_ops = {
    .active = master_active, .move = master_move, .interrupt = master_interrupt,
};

static void write_command(BusMaster *b, uint8_t val)
{
    bool start = val & BM_START, started = b->command & BM_START;

    b->command = val & (BM_START | BM_TO_MEMORY);
    if (start && !started) {
        b->active = true;
        b->last = false;
        b->next = b->table;
        b->left = 0;
        ide_channel_dma_started(&b->ide->channel[b->channel]);
    } else if (!start) {
        b->active = false;
    }
}

static uint64_t master_read(void *dev, hwaddr off, unsigned size)
{
    Piix3Ide *ide = dev;
    uint64_t val = 0;

    for (unsigned i = 0; i < size; i++) {
        const BusMaster *b = &ide->master[(off + i) / BM_REGS % IDE_CHANNELS];
        unsigned reg = (off + i) % BM_REGS;
        uint8_t byte = reg == BM_COMMAND ? b->command
                     : reg == BM_STATUS ? b->status | (b->active ? BM_ACTIVE : 0)
                     : reg >= BM_TABLE ? b->table >> (8 * (reg - BM_TABLE)) : 0;
        val |= (uint64_t)byte << (8 * i);
    }
    return val;
}

static void master_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Piix3Ide *ide = dev;

    for (unsigned i = 0; i < size; i++) {
        BusMaster *b = &ide->master[(off + i) / BM_REGS % IDE_CHANNELS];
        unsigned reg = (off + i) % BM_REGS;
        uint8_t byte = val >> (8 * i);
        if (reg == BM_COMMAND) {
            write_command(b, byte);
        } else if (reg == BM_STATUS) {
            b->status &= ~(byte & (BM_ERROR | BM_INTERRUPT));
            b->status = (b->status & ~BM_CAPABLE) | (byte & BM_CAPABLE);
        } else if (reg >= BM_TABLE) {
            unsigned shift = 8 * (reg - BM_TABLE);
            b->table = ((b->table & ~(0xffu << shift)) | (uint32_t)byte << shift) & ~3u;
        }
    }
}

static const RegionOps master_io_ops = {
    .read = master_read, .write = master_write, .size_min = 1, .size_max = 4,
};

/* ---- where the channels answer ---- */

static void update_decode(Piix3Ide *ide)
{
    bool io = ide->pci.config[PCI_COMMAND] & PCI_COMMAND_IO;

    memory_begin(ide->pci.dev.machine->io);
    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        bool on = io && (ld16le(ide->pci.config + IDETIM + 2 * n) & IDETIM_ENABLE);
        region_enable(&ide->channel[n].command_io, on);
        region_enable(&ide->channel[n].control_io, on);
    }
    memory_commit(ide->pci.dev.machine->io);
}

static void ide_config_written(PciDevice *d, unsigned reg, unsigned size)
{
    update_decode((Piix3Ide *)d);
}

/* ---- life cycle ---- */

static bool ide_realize(Device *dev, GError **errp)
{
    Piix3Ide *ide = (Piix3Ide *)dev;
    PciDevice *d = &ide->pci;

    ide->isa = machine_service(dev->machine, "isa");
    if (!ide->isa) {
        error_set(errp, "%s: the machine has no ISA bus to take interrupts 14 and 15", dev->id);
        return false;
    }
    st16le(d->config + PCI_STATUS, 0x0280);         /* medium DEVSEL#, fast back-to-back */
    memset(d->wmask + IDETIM, 0xff, 5);             /* IDETIM of both channels, SIDETIM */
    region_init_io(&ide->master_io, "piix3-ide-master", 2 * BM_REGS, &master_io_ops, ide);
    pci_register_bar(d, 4, PCI_BAR_IO, &ide->master_io);
    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        IdeChannel *c = &ide->channel[n];
        ide->master[n].ide = ide;
        ide->master[n].channel = n;
        ide_channel_init(c, dev, n, &master_ops, &ide->master[n]);
        isa_bus_connect_irq(ide->isa, &c->irq, legacy[n].irq);
        region_map(ide->isa->io, legacy[n].command, &c->command_io, 0);
        region_map(ide->isa->io, legacy[n].control, &c->control_io, 0);
    }
    update_decode(ide);
    return true;
}

static void ide_unrealize(Device *dev)
{
    Piix3Ide *ide = (Piix3Ide *)dev;

    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        if (ide->channel[n].dma) {
            ide_channel_fini(&ide->channel[n]);
        }
    }
}

static void ide_reset(Device *dev)
{
    Piix3Ide *ide = (Piix3Ide *)dev;

    pci_device_reset(&ide->pci);
    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        BusMaster *b = &ide->master[n];
        /* The data sheet says off; firmware for virtual PCs (OVMF) leaves IDETIM alone and finds no drives. */
        st16le(ide->pci.config + IDETIM + 2 * n, IDETIM_ENABLE);
        b->command = b->status = 0;
        b->table = b->next = b->addr = b->left = 0;
        b->active = b->last = false;
        ide_channel_reset(&ide->channel[n]);
    }
}

static void ide_settle(Device *dev)
{
    Piix3Ide *ide = (Piix3Ide *)dev;

    pci_device_settle(&ide->pci);
    update_decode(ide);
    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        ide_update_irq(&ide->channel[n]);
    }
}

static void ide_info(Device *dev, GString *out)
{
    const Piix3Ide *ide = (const Piix3Ide *)dev;

    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        const BusMaster *b = &ide->master[n];
        g_string_append_printf(out,
                               "%s: %s, device %02x control %02x irq %d; DMA %s, status %02x, table %08x\n",
                               ide->channel[n].bus.id, ide->channel[n].command_io.enabled ? "on" : "off",
                               ide->channel[n].device, ide->channel[n].control, ide->channel[n].irq.level,
                               b->active ? "active" : "stopped", b->status, b->table);
    }
}

static const StateField channel_fields[] = {
    STATE_NOT(IdeChannel, bus, "wiring"),
    STATE_NOT(IdeChannel, drives, "devices of their own"),
    STATE_NOT(IdeChannel, number, "wiring"),
    STATE_U(IdeChannel, device),
    STATE_U(IdeChannel, control),
    STATE_U(IdeChannel, diagnosing),
    STATE_NOT(IdeChannel, irq, "driven by settle"),
    STATE_NOT(IdeChannel, dma_ops, "wiring"),
    STATE_NOT(IdeChannel, dma, "wiring"),
    STATE_NOT(IdeChannel, command_io, "mapping, redone by settle"),
    STATE_NOT(IdeChannel, control_io, "mapping, redone by settle"),
    STATE_DONE,
};
static const StateTable channel_state = { .name = "ide-channel", .version = 1, .fields = channel_fields };

static const StateField master_fields[] = {
    STATE_NOT(BusMaster, ide, "wiring"),
    STATE_NOT(BusMaster, channel, "wiring"),
    STATE_U(BusMaster, command),
    STATE_U(BusMaster, status),
    STATE_U(BusMaster, table),
    STATE_U(BusMaster, active),
    STATE_U(BusMaster, last),
    STATE_U(BusMaster, next),
    STATE_U(BusMaster, addr),
    STATE_U(BusMaster, left),
    STATE_DONE,
};
static const StateTable master_state = { .name = "ide-master", .version = 1, .fields = master_fields };

static const StateField ide_fields[] = {
    STATE_SUB(Piix3Ide, pci, &pci_device_state),
    STATE_SUBS(Piix3Ide, channel, &channel_state),
    STATE_SUBS(Piix3Ide, master, &master_state),
    STATE_NOT(Piix3Ide, master_io, "mapping, redone by settle"),
    STATE_NOT(Piix3Ide, isa, "wiring"),
    STATE_DONE,
};
static const StateTable ide_state = { .name = "piix3-ide", .version = 1, .fields = ide_fields };

static const Property ide_props[] = {
    PCI_PROPS(Piix3Ide),
    PROP_DONE,
};

const PciClass piix3_ide_class = {
    .dev = {
        .name = "piix3-ide",
        .summary = "IDE function of the PIIX3: two channels, bus-master DMA",
        .bus = "pci",
        .size = sizeof(Piix3Ide),
        .board_only = true,
        .props = ide_props,
        .state = &ide_state,
        .realize = ide_realize,
        .unrealize = ide_unrealize,
        .reset = ide_reset,
        .settle = ide_settle,
        .info = ide_info,
    },
    .vendor = 0x8086,
    .device = 0x7010,
    .class_code = 0x010180,
    .config_written = ide_config_written,
};
