/*
 * core/irqchip.h - interrupt controllers that an accelerator keeps in the host's kernel.
 *
 * It sets Machine.irqchip.  The models of hw/intc stay what devices are wired to, and hand over what
 * reaches them: to the kernel's local APICs as messages; where `all` is set, the lines themselves, and
 * the guest's ports and registers of 8259A, I/O APIC and 8254 never come to the models.
 *
 * All functions are called with the machine lock held.
 */
#ifndef CORE_IRQCHIP_H
#define CORE_IRQCHIP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum IrqchipPart { IRQCHIP_PIC, IRQCHIP_IOAPIC, IRQCHIP_PIT } IrqchipPart;

typedef struct Irqchip {
    bool all;
    void *opaque;
    /* all: ISA line 0..15, or I/O APIC pin 16..23 */
    void (*set_line)(void *opaque, unsigned line, bool level);
    /* A message-signalled interrupt (SDM vol. 3, 11.11); false: nobody took it. */
    bool (*send)(void *opaque, uint64_t address, uint32_t data);
    /* all: a write to the eventfd `fd` pulses ISA line `line`, from now on or (not `on`) no more; false: it cannot */
    bool (*attach)(void *opaque, unsigned line, int fd, bool on);
    /* Not all: what the I/O APIC sends for a pin.  The kernel tells of its end (IntCtl.ended). */
    void (*route)(void *opaque, unsigned pin, uint64_t address, uint32_t data);
    void (*describe)(void *opaque, IrqchipPart part, GString *out);     /* all: for `info` */
} Irqchip;

#endif
