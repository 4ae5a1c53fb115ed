/*
 * hw/intc.h - interrupt controllers as the board wires them: 8259A pair, I/O APIC, local APICs.
 *
 * How a board puts them together (Machine.vcpus filled first, machine lock held):
 *
 *     pic    = device_make(m, "i8259", NULL, isa, NULL, errp);       ports 0x20, 0xa0, 0x4d0
 *     apics  = device_make(m, "apic-bus", NULL, NULL, NULL, errp);   memory at 0xfee00000
 *     for each vCPU i, in order:
 *         device_make(m, "apic", NULL, apic_bus(apics), "cpu=i", errp);   becomes its IntCtl
 *     ioapic = device_make(m, "ioapic", NULL, NULL, NULL, errp);     memory at 0xfec00000
 *     apic_bus_connect_pic(apics, pic);
 *     irq_connect(line n, a sink that calls pic_set_input(pic, n, level) for n < 16 and
 *                 ioapic_set_input(ioapic, n == 0 ? 2 : n, level))
 *
 * A machine without APICs connects the PIC's output itself, by pic_connect_intr().
 */
#ifndef HW_INTC_H
#define HW_INTC_H

#include <stdbool.h>
#include <stdint.h>
#include "core/device.h"
#include "core/irq.h"

/* ---- 8259A pair ---- */

void pic_set_input(void *pic, int irq, bool level);     /* an IrqSink; irq 0..15 */
void pic_connect_intr(Device *pic, IrqSink *sink, void *opaque, int pin);
bool pic_pending(Device *pic);                          /* level of INTR */
int pic_acknowledge(Device *pic);                       /* two INTA cycles: always a vector */

/* ---- I/O APIC ---- */

enum { IOAPIC_PINS = 24 };
void ioapic_set_input(void *ioapic, int pin, bool level);       /* an IrqSink; pin 0..23 */

/* ---- local APICs ---- */

typedef enum ApicMode {         /* SDM vol. 3, 11.6.1: delivery mode */
    APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED, APIC_NMI, APIC_INIT, APIC_SIPI, APIC_EXTINT
} ApicMode;

typedef struct ApicMessage {
    uint32_t dest;              /* 8 bits of xAPIC destination */
    bool logical;               /* destination mode */
    ApicMode mode;
    uint8_t vector;
    bool level;                 /* trigger mode: the I/O APIC wants to hear of the EOI */
} ApicMessage;

Bus *apic_bus(Device *apics);                           /* where "apic" devices plug in */
void apic_bus_connect_pic(Device *apics, Device *pic);  /* PIC INTR to LINT0 of the first processor */
/* Deliver to every processor the message names; false: nobody took it.  apics is also the machine's
 * "apic" service. */
bool apic_bus_deliver(Device *apics, const ApicMessage *msg);
/* A message-signalled interrupt: a write of data to addr, 0xfeexxxxx (SDM vol. 3, 11.11). */
bool apic_bus_deliver_msi(Device *apics, uint64_t addr, uint32_t data);
/* Pulse the NMI pin, LINT1 of every processor. */
void apic_bus_nmi(Device *apics);

#endif
