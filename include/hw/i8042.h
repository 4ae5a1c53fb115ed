/*
 * hw/i8042.h - what a board connects to the keyboard controller "i8042" (ports 0x60, 0x64, 0x92).
 * With the machine lock held.
 */
#ifndef HW_I8042_H
#define HW_I8042_H

#include "core/device.h"
#include "core/irq.h"

/* The A20 gate: level true lets address line 20 through.  The sink is called when the guest changes
 * it and after each reset or load that changes it; it starts as true.  A board's sink calls
 * vcpu_set_a20() for every vCPU. */
void i8042_connect_a20(Device *d, IrqSink *sink, void *opaque, int pin);

#endif
