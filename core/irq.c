/*
 * Connecting wires.
 */
#include "core/irq.h"

void irq_connect(IrqWire *w, IrqSink *sink, void *opaque, int pin)
{
    w->sink = sink;
    w->opaque = opaque;
    w->pin = pin;
}
