/*
 * The ISA bus: where devices map their ports, and sixteen interrupt lines that several devices may
 * hold up at once.
 *
 * On a real bus a line is edge-triggered and belongs to one card; sharing by wired OR is what PC
 * boards do inside the chip set (COM1 and COM3 on one line).
 *
 * Not modelled: bus timing, the DMA signals themselves (a channel is a call, IsaDmaOps).
 */
#include "hw/isa.h"

static bool isa_plug(Bus *b, Device *d, GError **errp)
{
    return true;        /* no slots: ports and lines are the device's own properties */
}

const BusClass isa_bus_class = {
    .name = "isa",
    .plug = isa_plug,
};

void isa_bus_init(IsaBus *b, Device *controller, Region *io, Region *mem)
{
    bus_init(&b->bus, &isa_bus_class, controller, "isa.0");
    b->io = io;
    b->mem = mem;
}

/* One driver of line `pin` changed: the line is high while anyone holds it. */
static void isa_line_changed(void *opaque, int pin, bool level)
{
    IsaBus *b = opaque;

    if (level) {
        b->irq_drivers[pin]++;
    } else {
        b->irq_drivers[pin]--;
    }
    irq_set(&b->irq[pin], b->irq_drivers[pin] > 0);
}

void isa_bus_connect_irq(IsaBus *b, IrqWire *w, unsigned n)
{
    g_assert(n < G_N_ELEMENTS(b->irq));     /* properties are limited to 0..15 */
    irq_connect(w, isa_line_changed, b, (int)n);
}

void isa_connect_irq(Device *d, IrqWire *w, unsigned n)
{
    isa_bus_connect_irq(isa_bus(d), w, n);
}

void isa_map_io(Device *d, Region *r, uint16_t port)
{
    region_map(isa_bus(d)->io, port, r, 0);
}
