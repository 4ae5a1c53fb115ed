/*
 * I/O APIC: 24 interrupt pins, a redirection entry each, at 0xfec00000.
 *
 * Intel 82093AA data sheet (290566-001), section 3.0.  An edge on a masked pin is lost, as there.
 * Changing an entry to edge-triggered clears its remote IRR (how kernels end an interrupt by hand).
 * A pin's level here means "asserted": boards connect wires whose truth is independent of voltage,
 * so the polarity bit is kept and read back but turns nothing around.
 *
 * Not modelled: delivery status (a message arrives at once), the serial APIC bus, retries of a message
 * that no processor took.
 */
#include "apic.h"

#include <inttypes.h>
#include "hw/intc.h"
#include "util/error.h"

enum {
    AT = 0xfec00000, IOREGSEL = 0x00, IOWIN = 0x10,
    REG_ID = 0x00, REG_VERSION = 0x01, REG_ARB = 0x02, REG_TABLE = 0x10,
    VERSION = 0x11 | (IOAPIC_PINS - 1) << 16,
    ENTRY_LOGICAL = 1 << 11, ENTRY_STATUS = 1 << 12, ENTRY_POLARITY = 1 << 13, ENTRY_REMOTE_IRR = 1 << 14,
    ENTRY_LEVEL = 1 << 15, ENTRY_MASKED = 1 << 16,
    ENTRY_READONLY = ENTRY_STATUS | ENTRY_REMOTE_IRR, ENTRY_WRITABLE_LOW = 0x1ffff & ~ENTRY_READONLY,
};

typedef struct IoApic {
    Device dev;
    Region io;
    uint32_t lines;                     /* levels at the pins: not the chip's, and not reset with it */
    uint8_t select, id;
    uint64_t entry[IOAPIC_PINS];
    uint64_t irq_count[IOAPIC_PINS];
    Device *apics;
} IoApic;

static ApicMessage message(const IoApic *s, unsigned pin)
{
    uint64_t e = s->entry[pin];

    return (ApicMessage){
        .dest = (uint32_t)(e >> 56), .logical = e & ENTRY_LOGICAL, .mode = (ApicMode)(e >> 8 & 7),
        .vector = (uint8_t)e, .level = e & ENTRY_LEVEL,
    };
}

/* Local APICs in the kernel tell of the end of those vectors only that they know of. */
static void tell_kernel(const IoApic *s, unsigned pin)
{
    const Irqchip *kernel = s->dev.machine->irqchip;

    if (kernel && !kernel->all) {
        ApicMessage msg = message(s, pin);
        uint64_t address;
        uint32_t data;

        apic_message_to_msi(&msg, &address, &data);
        kernel->route(kernel->opaque, pin, address, data);
    }
}

static bool send_entry(IoApic *s, unsigned pin)
{
    ApicMessage msg = message(s, pin);

    s->irq_count[pin]++;
    return s->apics && apic_bus_deliver(s->apics, &msg);
}

/* A level entry whose pin is up and whose last message has been answered by an EOI sends again. */
static void ioapic_service_level(IoApic *s, unsigned pin)
{
    uint64_t e = s->entry[pin];

    if ((e & ENTRY_LEVEL) && !(e & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) && (s->lines >> pin & 1)) {
        ApicMode mode = (ApicMode)(e >> 8 & 7);

        /* Before the message: its EOI may come from within. */
        if (mode == APIC_FIXED || mode == APIC_LOWEST) {
            s->entry[pin] |= ENTRY_REMOTE_IRR;
        }
        if (!send_entry(s, pin)) {
            s->entry[pin] &= ~(uint64_t)ENTRY_REMOTE_IRR;
        }
    }
}

void ioapic_set_input(void *ioapic, int pin, bool level)
{
    IoApic *s = ioapic;
    bool was;

    const Irqchip *kernel = s->dev.machine->irqchip;

    if (pin < 0 || pin >= IOAPIC_PINS) {
        return;
    }
    if (kernel && kernel->all) {
        if (pin > 15) {                         /* the others come by the 8259's model */
            kernel->set_line(kernel->opaque, (unsigned)pin, level);
        }
        return;
    }
    was = s->lines >> pin & 1;
    s->lines = (s->lines & ~(1u << pin)) | (uint32_t)level << pin;
    if (s->entry[pin] & ENTRY_LEVEL) {
        ioapic_service_level(s, (unsigned)pin);
    } else if (level && !was && !(s->entry[pin] & ENTRY_MASKED)) {
        send_entry(s, (unsigned)pin);
    }
}

static void ioapic_eoi(void *ioapic, uint8_t vector)
{
    IoApic *s = ioapic;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if ((s->entry[pin] & ENTRY_REMOTE_IRR) && (uint8_t)s->entry[pin] == vector) {
            s->entry[pin] &= ~(uint64_t)ENTRY_REMOTE_IRR;
            ioapic_service_level(s, pin);
        }
    }
}

static uint32_t read_register(const IoApic *s)
{
    unsigned table = s->select - REG_TABLE;

    switch (s->select) {
    case REG_ID:
    case REG_ARB:
        return (uint32_t)s->id << 24;
    case REG_VERSION:
        return VERSION;
    default:
        return table < 2 * IOAPIC_PINS ? (uint32_t)(s->entry[table / 2] >> (table & 1 ? 32 : 0)) : 0;
    }
}

static void write_register(IoApic *s, uint32_t val)
{
    unsigned table = s->select - REG_TABLE, pin = table / 2;
    uint64_t e;

    if (s->select == REG_ID) {
        s->id = val >> 24 & 0xf;
        return;
    }
    if (table >= 2 * IOAPIC_PINS) {
        return;
    }
    e = s->entry[pin];
    if (table & 1) {
        e = (e & 0xffffffff) | (uint64_t)(val & 0xff000000) << 32;
    } else {
        e = (e & ~(uint64_t)ENTRY_WRITABLE_LOW) | (val & ENTRY_WRITABLE_LOW);
        if (!(e & ENTRY_LEVEL)) {
            e &= ~(uint64_t)ENTRY_REMOTE_IRR;
        }
    }
    s->entry[pin] = e;
    tell_kernel(s, pin);
    ioapic_service_level(s, pin);
}

static uint64_t ioapic_read(void *dev, hwaddr off, unsigned size)
{
    const IoApic *s = dev;

    return off == IOREGSEL ? s->select : off == IOWIN ? read_register(s) : 0;
}

static void ioapic_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    IoApic *s = dev;

    if (off == IOREGSEL) {
        s->select = (uint8_t)val;
    } else if (off == IOWIN) {
        write_register(s, (uint32_t)val);
    }
}

static const RegionOps ioapic_io = {
    .read = ioapic_read, .write = ioapic_write, .size_min = 4, .size_max = 4,
};

/* ---- life cycle ---- */

static bool ioapic_realize(Device *d, GError **errp)
{
    IoApic *s = (IoApic *)d;

    region_init_io(&s->io, "ioapic", PAGE_SIZE, &ioapic_io, s);
    region_map(&d->machine->mem_root, AT, &s->io, 1);
    s->apics = apic_bus_find(d->machine);
    if (s->apics) {
        apic_bus_add_ioapic(s->apics, ioapic_eoi, s);
    }
    return true;
}

static void ioapic_unrealize(Device *d)
{
    IoApic *s = (IoApic *)d;

    if (s->apics) {
        apic_bus_remove_ioapic(s->apics, s);
    }
    region_fini(&s->io);
}

static void ioapic_reset(Device *d)
{
    IoApic *s = (IoApic *)d;

    s->select = 0;
    s->id = 0;
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        s->entry[i] = ENTRY_MASKED;
    }
}

static void ioapic_info(Device *d, GString *out)
{
    static const char *const mode[] = { "fixed", "lowest", "smi", "reserved", "nmi", "init", "sipi", "extint" };
    const IoApic *s = (const IoApic *)d;

    const Irqchip *kernel = d->machine->irqchip;
    if (kernel && kernel->all) {
        kernel->describe(kernel->opaque, IRQCHIP_IOAPIC, out);
        return;
    }

    g_string_append_printf(out, "ioapic: id=%u select=%02x lines=%06x\n", s->id, s->select, s->lines);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        uint64_t e = s->entry[i];

        g_string_append_printf(out, "  pin %2u: 0x%016" PRIx64 " vec=%02x dest=%02x %s %s %s%s%s count=%" PRIu64 "\n",
                               i, e, (unsigned)(e & 0xff), (unsigned)(e >> 56),
                               e & ENTRY_LOGICAL ? "logical" : "physical", mode[e >> 8 & 7],
                               e & ENTRY_LEVEL ? "level" : "edge", e & ENTRY_MASKED ? " masked" : "",
                               e & ENTRY_REMOTE_IRR ? " remote-irr" : "", s->irq_count[i]);
    }
}

static const StateField ioapic_fields[] = {
    STATE_NOT(IoApic, dev, "device core"),
    STATE_NOT(IoApic, io, "mapping, made by realize"),
    STATE_U(IoApic, lines), STATE_U(IoApic, select), STATE_U(IoApic, id), STATE_ARRAY(IoApic, entry),
    STATE_NOT(IoApic, irq_count, "statistics"),
    STATE_NOT(IoApic, apics, "set by realize"),
    STATE_DONE,
};
static const StateTable ioapic_state = { .name = "ioapic", .version = 1, .fields = ioapic_fields };

const DeviceClass ioapic_class = {
    .name = "ioapic",
    .summary = "82093AA I/O APIC",
    .size = sizeof(IoApic),
    .board_only = true,
    .state = &ioapic_state,
    .realize = ioapic_realize,
    .unrealize = ioapic_unrealize,
    .reset = ioapic_reset,
    .info = ioapic_info,
};
