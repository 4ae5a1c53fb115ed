/*
 * core/vcpu.h - the part of a processor that the rest of the machine may see.
 *
 * A processor's target struct embeds a Vcpu as its first member.  vcpu_raise(), vcpu_lower(),
 * vcpu_post() and vcpu_kick() may be called from any thread; the rest belongs to the vCPU's own
 * thread, or to anyone who holds the machine lock while the machine is paused.
 */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/memory.h"

typedef struct Vcpu Vcpu;
typedef struct Machine Machine;

/* What waits for a processor: bits of Vcpu.requests.  An accelerator looks at the word between
 * blocks; anything set makes it stop and see. */
typedef enum VcpuRequest {
    VCPU_INTR = 1 << 0,         /* level: the interrupt controller has something */
    VCPU_NMI = 1 << 1,          /* edges from here: whoever serves one clears it */
    VCPU_SMI = 1 << 2,
    VCPU_INIT = 1 << 3,
    VCPU_SIPI = 1 << 4,         /* vector in sipi_vector */
    VCPU_WORK = 1 << 5,         /* vcpu_post() */
    VCPU_STOP = 1 << 6,         /* leave the run loop: pause, reset, quit */
} VcpuRequest;

enum { RETURN_AT_BLOCK = 1 << 0,        /* behind one block */
       RETURN_AT_WORK = 1 << 1 };       /* VCPU_WORK: whoever called serves it */

/* What a processor asks of its local interrupt controller; called with the machine lock held. */
typedef struct IntCtl {
    int (*acknowledge)(void *opaque);                   /* vector, or -1: nothing after all */
    bool (*pending)(void *opaque);                      /* would acknowledge give a vector? */
    void (*set_tpr)(void *opaque, uint8_t cr8);         /* CR8: priority class 0..15 */
    uint8_t (*get_tpr)(void *opaque);
    void (*set_base)(void *opaque, uint64_t value);     /* IA32_APIC_BASE */
    uint64_t (*get_base)(void *opaque);
    /* x2APIC MSRs 0x800..0x8ff by register number; false: #GP */
    bool (*read_msr)(void *opaque, unsigned reg, uint64_t *value);
    bool (*write_msr)(void *opaque, unsigned reg, uint64_t value);
    bool (*set_deadline)(void *opaque, uint64_t tsc);   /* IA32_TSC_DEADLINE */
    uint64_t (*get_deadline)(void *opaque);
    /* With Machine.irqchip.  A level-triggered interrupt has ended; registers by number (offset / 16) from
     * the kernel's, for `info`, and to it, after a reset. */
    void (*ended)(void *opaque, uint8_t vector);
    void (*take_registers)(void *opaque, const uint32_t regs[64]);
    void (*give_registers)(void *opaque, uint32_t regs[64]);
} IntCtl;

struct Vcpu {
    unsigned index;
    uint32_t apic_id;           /* where it sits in the machine's topology: machine_apic_id() */
    Machine *machine;
    AddressSpace *mem, *io;
    AsReader mem_reader, io_reader;
    _Atomic uint32_t requests;  /* VcpuRequest bits */
    _Atomic uint32_t calm;      /* 1 while there are none: cheaper to ask for translated code */
    bool halted;                /* HLT: runs on at an interrupt; or waits for SIPI */
    bool hold_interrupts;       /* a debugger's single step: interrupts, NMI and SMI wait */
    uint32_t tsc_khz;           /* of its time-stamp counter; VCPU_TSC_KHZ unless someone chose otherwise */
    uint8_t return_at;          /* RETURN_AT_*: the cross-check wants run() to return sooner */
    bool repeatable;            /* the cross-check: time and random numbers are the target's, whoever executes */
    uint64_t tsc_offset;        /* added to vcpu_tsc() */
    hwaddr a20_mask;            /* ANDed to every physical address */
    uint8_t sipi_vector;
    const IntCtl *intctl;       /* NULL: no local APIC */
    void *intctl_opaque;
    /* FERR# and IGNNE# of the boot processor, which the board connects: a pending x87 exception while CR0.NE
     * is clear calls ferr, with the machine lock; unless ignne, the processor waits for an interrupt. */
    void (*ferr)(void *opaque, bool level);
    void *ferr_opaque;
    _Atomic bool ignne;
    void (*map_changed)(Vcpu *c);       /* the target's: drop what was derived from physical addresses */
    void *accel_data;           /* the accelerator's own, per vCPU */
    /* A request was set: an accelerator that does not look at the word by itself comes out.  Any
     * thread, under `lock`; NULL: it looks. */
    void (*kick)(Vcpu *c);
    GMutex lock;                /* guards work and waiting */
    GCond wake;
    GSList *work;
};

void vcpu_init(Vcpu *c, Machine *m, unsigned index);
void vcpu_fini(Vcpu *c);
void vcpu_set_intctl(Vcpu *c, const IntCtl *ops, void *opaque);
void vcpu_set_kick(Vcpu *c, void (*kick)(Vcpu *c));     /* where others may raise requests already */

void vcpu_raise(Vcpu *c, VcpuRequest what);     /* sets the bit, wakes a halted processor */
void vcpu_lower(Vcpu *c, VcpuRequest what);
void vcpu_start_at(Vcpu *c, uint8_t vector);    /* SIPI */
/* Run fn on the vCPU's thread between two instructions (at once when it is not running). */
void vcpu_post(Vcpu *c, void (*fn)(Vcpu *c, void *arg), void *arg);
void vcpu_run_work(Vcpu *c);                    /* the vCPU's thread, on VCPU_WORK */
void vcpu_wait(Vcpu *c, uint32_t seen);         /* sleep until requests has a bit that `seen` has not ... */
void vcpu_wait_for(Vcpu *c, uint32_t seen, unsigned us);        /* ... but not for longer */
void vcpu_set_a20(Vcpu *c, bool on);            /* posted; then map_changed() */

/* The processor whose thread this is, or NULL: tells a local APIC who is asking. */
Vcpu *vcpu_current(void);
void vcpu_set_current(Vcpu *c);

/* Time-stamp counter: guest clock at tsc_khz, plus the offset that WRMSR sets.  The local APIC's timer
 * runs at VCPU_TSC_KHZ in any case. */
enum { VCPU_TSC_KHZ = 1000000 };
uint64_t vcpu_tsc(const Vcpu *c);

#endif
