/*
 * PIIX3 ISA bridge, function 0: the ISA bus behind PCI, and the way of PCI interrupts to ISA lines.
 *
 * 82371SB data sheet, order number 290550: 2.2 (configuration registers), 2.2.6 (PIRQRC), 2.5.6 (coprocessor
 * error register).
 *
 * Not modelled: positive decode and recovery timing (XBCS, IORT keep what is written), motherboard device
 * DMA and interrupts, USB (function 2).  The reset control register is decoded by the host bridge.
 */
#include <string.h>
#include "core/machine.h"
#include "hw/isa.h"
#include "hw/pci.h"
#include "util/bits.h"

enum {
    IORT = 0x4c, XBCS = 0x4e, PIRQRC = 0x60, TOM = 0x69,
    PIRQ_OFF = 1 << 7, PIRQ_LINE = 0x0f, PIRQS = 4,
    PIRQ_VALID_LINES = 0xdef8,          /* 3-7, 9-12, 14, 15; the rest is reserved and goes nowhere */
};

typedef struct Piix3 {
    PciDevice pci;
    IsaBus isa;
    IrqWire pirq_out[16];               /* what the PIRQs add to each ISA line */
    bool pirq[PIRQS];
    Region error_io;
    IrqWire irq13;
    bool ferr, ignne, error;            /* what the processor says, what it hears, IRQ 13 */
} Piix3;

/* PIRQ inputs are wired as on Intel's boards: each slot's INTA goes to the next PIRQ, slot 1's to PIRQA. */
static unsigned piix3_map_irq(void *opaque, unsigned slot, unsigned pin)
{
    return (slot + pin - 1) % PIRQS;
}

static void update_lines(Piix3 *s)
{
    unsigned high = 0;

    for (unsigned i = 0; i < PIRQS; i++) {
        uint8_t route = s->pci.config[PIRQRC + i];

        if (s->pirq[i] && !(route & PIRQ_OFF)) {
            high |= 1u << (route & PIRQ_LINE);
        }
    }
    high &= PIRQ_VALID_LINES;
    for (unsigned n = 0; n < G_N_ELEMENTS(s->pirq_out); n++) {
        irq_set(&s->pirq_out[n], high >> n & 1);
    }
}

static void piix3_set_irq(void *opaque, unsigned line, bool level)
{
    Piix3 *s = opaque;

    s->pirq[line % PIRQS] = level;
    update_lines(s);
}

/* ---- x87 exceptions: FERR# becomes IRQ 13, a write to port 0xf0 takes it back and asserts IGNNE# until
 * FERR# goes ---- */

static void update_error(Piix3 *s)
{
    GPtrArray *vcpus = s->pci.dev.machine->vcpus;

    if (vcpus->len) {
        Vcpu *boot = g_ptr_array_index(vcpus, 0);
        atomic_store(&boot->ignne, s->ignne);
    }
    irq_set(&s->irq13, s->error);
}

static void ferr_changed(void *opaque, bool level)
{
    Piix3 *s = opaque;

    s->ferr = s->error = level;
    s->ignne = false;
    update_error(s);
}

static uint64_t error_read(void *dev, hwaddr off, unsigned size)
{
    return 0xff;
}

static void error_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Piix3 *s = dev;

    s->ignne = s->ferr;
    s->error = false;
    update_error(s);
}

static const RegionOps error_ops = { .read = error_read, .write = error_write, .size_min = 1, .size_max = 1 };

static void connect_processor(Piix3 *s, bool on)
{
    GPtrArray *vcpus = s->pci.dev.machine->vcpus;

    if (vcpus->len) {
        Vcpu *boot = g_ptr_array_index(vcpus, 0);
        boot->ferr = on ? ferr_changed : NULL;
        boot->ferr_opaque = s;
    }
}

static const PciBusOps piix3_irqs = { .map_irq = piix3_map_irq, .set_irq = piix3_set_irq };

static void piix3_config_written(PciDevice *d, unsigned reg, unsigned size)
{
    if (reg < PIRQRC + PIRQS && reg + size > PIRQRC) {
        update_lines((Piix3 *)d);
    }
}

static bool piix3_realize(Device *d, GError **errp)
{
    Piix3 *s = (Piix3 *)d;
    PciBus *b = pci_bus(&s->pci);

    isa_bus_init(&s->isa, d, b->io, b->mem);
    for (unsigned n = 0; n < G_N_ELEMENTS(s->pirq_out); n++) {
        isa_bus_connect_irq(&s->isa, &s->pirq_out[n], n);
    }
    isa_bus_connect_irq(&s->isa, &s->irq13, 13);
    region_init_io(&s->error_io, "coprocessor-error", 1, &error_ops, s);
    region_map(b->io, 0xf0, &s->error_io, 0);
    connect_processor(s, true);
    pci_bus_set_irqs(b, &piix3_irqs, s);
    machine_provide(d->machine, "isa", &s->isa);
    s->pci.wmask[IORT] = 0x7f;
    s->pci.wmask[XBCS] = 0xff;
    s->pci.wmask[XBCS + 1] = 0x01;
    memset(s->pci.wmask + PIRQRC, PIRQ_OFF | PIRQ_LINE, PIRQS);
    s->pci.wmask[TOM] = 0xfe;
    return true;
}

static void piix3_unrealize(Device *d)
{
    Piix3 *s = (Piix3 *)d;

    connect_processor(s, false);
    region_fini(&s->error_io);
    bus_fini(&s->isa.bus);
    if (d->bus && pci_bus(&s->pci)->ops_opaque == s) {
        pci_bus_set_irqs(pci_bus(&s->pci), NULL, NULL);
    }
    if (machine_service(d->machine, "isa") == &s->isa) {
        machine_provide(d->machine, "isa", NULL);
    }
}

static void piix3_reset(Device *d)
{
    Piix3 *s = (Piix3 *)d;

    pci_device_reset(&s->pci);
    st16le(s->pci.config + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    st16le(s->pci.config + PCI_STATUS, 0x0200);     /* medium DEVSEL# */
    s->pci.config[IORT] = 0x4d;
    s->pci.config[XBCS] = 0x03;
    memset(s->pci.config + PIRQRC, PIRQ_OFF, PIRQS);
    s->pci.config[TOM] = 0x02;
    s->ferr = s->ignne = s->error = false;
}

static void piix3_settle(Device *d)
{
    Piix3 *s = (Piix3 *)d;

    pci_device_settle(&s->pci);
    update_lines(s);
    update_error(s);
}

static void piix3_info(Device *d, GString *out)
{
    const Piix3 *s = (const Piix3 *)d;

    for (unsigned i = 0; i < PIRQS; i++) {
        uint8_t route = s->pci.config[PIRQRC + i];

        g_string_append_printf(out, "PIRQ%c: %s", 'A' + i, s->pirq[i] ? "high" : "low");
        if (route & PIRQ_OFF) {
            g_string_append(out, ", not routed\n");
        } else {
            g_string_append_printf(out, ", to IRQ %u\n", route & PIRQ_LINE);
        }
    }
}

static const StateField piix3_fields[] = {
    STATE_SUB(Piix3, pci, &pci_device_state),
    STATE_NOT(Piix3, isa, "the devices on it save their own"),
    STATE_NOT(Piix3, pirq_out, "wires, redone by settle"),
    STATE_NOT(Piix3, pirq, "wires, driven by every device's settle"),
    STATE_NOT(Piix3, error_io, "mapping, made by realize"),
    STATE_NOT(Piix3, irq13, "wire, driven by settle"),
    { STATE_F_(Piix3, ferr, STATE_BOOL), .count = 1, .since = 2 },
    { STATE_F_(Piix3, ignne, STATE_BOOL), .count = 1, .since = 2 },
    { STATE_F_(Piix3, error, STATE_BOOL), .count = 1, .since = 2 },
    STATE_DONE,
};
static const StateTable piix3_state = { .name = "PIIX3", .version = 2, .fields = piix3_fields };

static const Property piix3_props[] = { PCI_PROPS(Piix3), PROP_DONE };

const PciClass piix3_class = {
    .dev = {
        .name = "PIIX3",
        .summary = "ISA bridge",
        .bus = "pci",
        .size = sizeof(Piix3),
        .board_only = true,
        .props = piix3_props,
        .state = &piix3_state,
        .realize = piix3_realize,
        .unrealize = piix3_unrealize,
        .reset = piix3_reset,
        .settle = piix3_settle,
        .info = piix3_info,
    },
    .vendor = 0x8086, .device = 0x7000, .class_code = 0x060100, .multifunction = true,
    .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
    .config_written = piix3_config_written,
};
