/*
 * core/doorbell.h - signals: a register whose write only rings, and an interrupt that is a pulse.  Where an
 * accelerator can, neither costs an exit from the guest nor the machine lock (KVM: ioeventfd and irqfd); else they
 * work by the same calls.
 *
 * All but irq_pulse() with the machine lock.
 */
#ifndef CORE_DOORBELL_H
#define CORE_DOORBELL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/irq.h"
#include "core/loop.h"
#include "core/memory.h"

typedef struct Machine Machine;

/* A rising edge of an ISA line, for edge-triggered inputs.  The wire stays up until the next: an 8259A takes an
 * interrupt only while its input is up (Intel 231468, "Interrupt sequence").  The kernel's lets it go at once. */
typedef struct IrqPulse {       /* embedded by value; fields belong to core/doorbell.c */
    Machine *machine;
    IrqWire *wire;
    unsigned line;
    int fd;                     /* an eventfd: whoever writes to it pulses the line */
    LoopWatch *watch;           /* we read it; NULL: the host's kernel does */
    struct IrqPulse *next;
} IrqPulse;

/* `wire` is connected to the ISA bus's line `line`. */
bool irq_pulse_init(IrqPulse *p, Machine *m, IrqWire *wire, unsigned line, GError **errp);
void irq_pulse_fini(IrqPulse *p);               /* a zeroed one, too; nobody pulses it any more */
/* Any thread.  With the machine lock the edge has been on return, unless the kernel has the line; without it, it
 * comes on the loop's thread: not for a machine whose runs are to be repeated (Machine.icount). */
void irq_pulse(IrqPulse *p);
/* Machine.irqchip has been set; is about to be cleared. */
void irq_pulses_attach(Machine *m);
void irq_pulses_detach(Machine *m);

/* A region of 1, 2, 4 or 8 bytes.  A write of all of it rings, and does not come to the region's write(); with
 * `matches` only that value does.  Every other access is an ordinary one. */
struct Doorbell {
    bool matches;
    uint64_t value;
    IrqPulse *pulse;            /* what it rings; or, NULL: */
    /* At once, or a little later on the loop's thread and then for several writes; a device that wants to know now
     * calls as_flush_writes() first. */
    void (*ring)(void *opaque, uint64_t times);
    void *opaque;
};

bool doorbell_hit(const Region *r, hwaddr off, uint64_t val, unsigned size);
void doorbell_ring(const Doorbell *d, uint64_t times);

#endif
