/*
 * A serial port on the ISA bus ("isa-serial"): a 16550A at the address and interrupt of COM1 to COM4.
 *
 * PC/AT convention: 0x3f8/4, 0x2f8/3, 0x3e8/4, 0x2e8/3.
 *
 * Not modelled: see uart.c.
 */
#include <string.h>

#include "core/machine.h"
#include "hw/isa.h"
#include "uart.h"
#include "util/error.h"

enum { PORTS = 4, AUTO = 0xff };

typedef struct IsaSerial {
    Device dev;
    uint8_t index, irq;                 /* options; AUTO: the next free one, and what belongs to it */
    uint16_t iobase;                    /* option; 0: by index */
    Region io;
    Uart uart;
} IsaSerial;

static const struct {
    uint16_t iobase;
    uint8_t irq;
} com[PORTS] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

/* The lowest number that no other serial port of the bus has; PORTS: none. */
static unsigned free_index(Device *d)
{
    unsigned used = 0, n = 0;

    for (const Device *o = d->bus->devices; o; o = o->next) {
        if (o != d && o->realized && o->cls == d->cls) {
            used |= 1u << ((const IsaSerial *)o)->index;
        }
    }
    while (n < PORTS && (used >> n & 1)) {
        n++;
    }
    return n;
}

static bool isa_serial_realize(Device *d, GError **errp)
{
    IsaSerial *s = (IsaSerial *)d;

    if (s->index == AUTO) {
        s->index = (uint8_t)free_index(d);
    }
    if (s->index >= PORTS) {
        error_set(errp, "isa-serial: there are %u serial ports, index 0 to %u, and no more", PORTS, PORTS - 1);
        return false;
    }
    if (s->iobase == 0) {
        s->iobase = com[s->index].iobase;
    }
    if (s->irq == AUTO) {
        s->irq = com[s->index].irq;
    }
    if (s->irq > 15 || s->iobase > 0x10000 - 8) {
        error_set(errp, "isa-serial: there is no interrupt %u or no port 0x%x: interrupts are 0 to 15, "
                  "ports below 0xfff9", s->irq, s->iobase);
        return false;
    }
    if (!uart_realize(&s->uart, d->machine->clock, errp)) {
        return false;
    }
    region_init_io(&s->io, "serial", 8, &uart_ops, &s->uart);
    isa_map_io(d, &s->io, s->iobase);
    isa_connect_irq(d, &s->uart.irq, s->irq);
    return true;
}

static void isa_serial_unrealize(Device *d)
{
    IsaSerial *s = (IsaSerial *)d;

    uart_unrealize(&s->uart);
    region_fini(&s->io);
}

static void isa_serial_reset(Device *d)
{
    uart_reset(&((IsaSerial *)d)->uart);
}

static void isa_serial_settle(Device *d)
{
    uart_settle(&((IsaSerial *)d)->uart);
}

static void isa_serial_info(Device *d, GString *out)
{
    uart_info(&((IsaSerial *)d)->uart, d->id, out);
}

static const Property isa_serial_props[] = {
    PROP_U(IsaSerial, iobase, "iobase", 0, 0xffff, "first of 8 I/O ports; 0: by index"),
    PROP_U(IsaSerial, irq, "irq", AUTO, AUTO, "interrupt line 0 to 15; 255: by index"),
    PROP_U(IsaSerial, index, "index", AUTO, AUTO, "which COM port, 0 to 3; 255: the next free one"),
    PROP_B(IsaSerial, uart.pace, "pace", false, "send no faster than the guest's baud rate"),
    PROP_CHR(IsaSerial, uart.chr, "chardev", "the other end of the line"),
    PROP_DONE,
};

static const StateField isa_serial_fields[] = {
    STATE_NOT(IsaSerial, dev, "device core"),
    STATE_NOT(IsaSerial, index, "option"),
    STATE_NOT(IsaSerial, irq, "option"),
    STATE_NOT(IsaSerial, iobase, "option"),
    STATE_NOT(IsaSerial, io, "mapping, made by realize"),
    STATE_SUB(IsaSerial, uart, &uart_state),
    STATE_DONE,
};
static const StateTable isa_serial_state = { .name = "isa-serial", .version = 1, .fields = isa_serial_fields };

const DeviceClass isa_serial_class = {
    .name = "isa-serial",
    .summary = "16550A serial port",
    .bus = "isa",
    .size = sizeof(IsaSerial),
    .props = isa_serial_props,
    .state = &isa_serial_state,
    .realize = isa_serial_realize,
    .unrealize = isa_serial_unrealize,
    .reset = isa_serial_reset,
    .settle = isa_serial_settle,
    .info = isa_serial_info,
};
