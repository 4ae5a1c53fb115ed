/*
 * accel/accel.h - a way of running guest instructions, and the threads that do it.
 *
 * The architectural registers have one home, the target's CPU struct.  run() may hold them
 * elsewhere, but they are back in it whenever run() has returned, unless `lazy_state`.
 * run() is called on the vCPU's thread without the machine lock; kick() from any thread; the rest
 * while the machine is paused, with the lock.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/machine.h"
#include "target/x86/cpu.h"
#include "util/keyval.h"

typedef struct Accel Accel;
typedef struct AccelOps AccelOps;

typedef enum RunExit {
    RUN_BUDGET,                     /* ran the instructions it was given */
    RUN_REQUEST,                    /* vcpu->requests has VCPU_STOP, or someone called kick() */
    RUN_HALTED,                     /* HLT: wait for a request */
    RUN_SHUTDOWN,                   /* triple fault */
    RUN_DEBUG,                      /* breakpoint, watchpoint, single step */
    RUN_FAILED,                     /* the accelerator itself failed; errp says why */
} RunExit;

typedef enum AccelProbe {           /* all but GOOD say why in errp */
    PROBE_GOOD,
    PROBE_POOR,                     /* works, but whatever comes next in the chain is better here */
    PROBE_NO,                       /* cannot work; the error's code is an errno, where there is one */
} AccelProbe;

struct Accel {                      /* the accelerator's own struct embeds this first */
    const AccelOps *ops;
    Machine *machine;
};

struct AccelOps {
    const char *name, *summary;
    bool only_by_name;              /* never in the default chain */
    bool lazy_state;                /* pull/push needed around register access (KVM) */
    const KeySpec *options;         /* what "-accel name,key=value" takes; NULL: nothing */
    /* Judges quality, not presence, in a few ms; NULL: always good. */
    AccelProbe (*probe)(const KeyVals *options, GError **errp);
    Accel *(*create)(Machine *m, const KeyVals *options, GError **errp);
    void (*destroy)(Accel *a);
    bool (*vcpu_create)(Accel *a, Vcpu *c, GError **errp);
    void (*vcpu_destroy)(Accel *a, Vcpu *c);
    /* max_insns 1 is the debugger's step: exactly one instruction, then RUN_BUDGET; or what a fault or an
     * interrupt led to, before the first instruction there (KVM: maybe behind it).  With vcpu->hold_interrupts
     * none is taken.  KVM counts no instructions: unless it steps it runs until something else ends it. */
    RunExit (*run)(Accel *a, Vcpu *c, uint64_t max_insns, GError **errp);
    /* Registers of a processor that may be running, as they are about now, to the CPU struct; drops the
     * lock to wait.  NULL: they are always there. */
    void (*sync)(Accel *a, Vcpu *c);
    void (*pull)(Accel *a, Vcpu *c);        /* only lazy_state: registers to the CPU struct ... */
    void (*push)(Accel *a, Vcpu *c);        /* ... and back */
    void (*flush)(Accel *a, Vcpu *c);       /* registers or memory were changed from outside */
    void (*reset)(Accel *a, Vcpu *c);       /* x86_reset() was called, or its like; flush follows; may be NULL */
    /* For -cpu help: feature words (target/x86/model.h) that it can run; false: it does not work here.
     * NULL: whatever the interpreter runs. */
    bool (*features)(uint32_t *words, GError **errp);
    /* run() returns RUN_DEBUG before the instruction there, in any address space; called again with RIP
     * still there it executes it.  False: no more can be set. */
    bool (*set_breakpoint)(Accel *a, uint64_t linear, bool on);
    /* Accesses to these bytes make run() return RUN_DEBUG behind the instruction, with the vCPU's debug.stop
     * set and debug.hit, debug.hit_write saying what.  Replaces the list; false: these cannot be watched, and
     * none is.  NULL: there are no watchpoints. */
    bool (*set_watchpoints)(Accel *a, const X86Watch *list, unsigned n, GError **errp);
    uint64_t (*insn_count)(Accel *a, Vcpu *c);  /* executed so far; NULL: not known (KVM) */
    /* Pages that the guest has written since the last call; from the first on.  NULL: X86Observer is told. */
    void (*dirty)(Accel *a, void (*page)(void *opaque, hwaddr at), void *opaque);
    void (*info)(Accel *a, Vcpu *c, GString *out);  /* counters for the monitor; may be NULL */
};

extern const AccelOps *const accel_list[];      /* NULL at its end; the order is the default chain */
extern const AccelOps accel_kvm, accel_dbt, accel_interp, accel_check;

/* Adds to `chain` the elements of "interp", "a:b" (a fallback chain) or "name,key=value": char *, to
 * be freed; names, keys and values checked. */
bool accel_parse(const char *text, GPtrArray *chain, GError **errp);
void accel_default_chain(GPtrArray *chain);
/* The first of a chain that is good here, else the last one if it works at all; says on stderr why it
 * moves on. */
Accel *accel_open_chain(Machine *m, const GPtrArray *chain, GError **errp);
/* The same with a chain as text; NULL: the default chain. */
Accel *accel_open(Machine *m, const char *text, GError **errp);
/* One, good here or not. */
Accel *accel_open_one(Machine *m, const char *text, GError **errp);
const AccelOps *accel_find(const char *text, GError **errp);   /* of the first in "name,key=value" */

/* Of all processors' registers, and of what RAM and ROM hold, too; while no processor runs. */
uint64_t accel_hash(Machine *m, bool memory_too);

/* ---- the vCPU threads (accel/runner.c) ---- */

typedef struct Runner Runner;

Runner *runner_new(Accel *a, GError **errp);    /* a paused thread for every vCPU, or one for all: Machine.icount */
/* As accel_open_chain(), but one that refuses the machine's processors is passed, too. */
Runner *runner_open_chain(Machine *m, const GPtrArray *chain, GError **errp);
void runner_free(Runner *r);                    /* stops and joins; without the lock */
void runner_resume(Runner *r);                  /* starts the clock too */
void runner_pause(Runner *r);                   /* returns when no vCPU runs; drops the lock to wait */
bool runner_running(const Runner *r);

/* For a debugger, while paused.  What a processor does at the next resume, and only then: */
typedef enum RunPlan {
    PLAN_RUN,
    PLAN_STEP,                      /* one instruction, interrupts held unless it is halted; then MACHINE_PAUSE */
    PLAN_STAY,                      /* stands still while others run */
} RunPlan;
void runner_plan(Runner *r, unsigned vcpu, RunPlan plan);
/* Why it stopped by itself since the last resume. */
typedef enum RunStop {
    STOP_NONE,                      /* it did not: it was paused */
    STOP_STEP,
    STOP_DEBUG,                     /* RUN_DEBUG */
    STOP_BEGIN, STOP_END,           /* going backwards, the first state that is known; of a recording */
    STOP_SHUTDOWN,                  /* a triple fault; resumed, it asks for the reset that hardware does */
} RunStop;
RunStop runner_stop(const Runner *r, unsigned vcpu);
/* Going backwards, where time is counted: from now on states are kept, in Icount.history bytes beside a copy of the
 * guest's memory; or no longer, unless a recording is replayed to the end for it (Icount.stays). */
void runner_keep_history(Runner *r, bool on);
/* The machine is being changed: what was before would not lead to it. */
void runner_forget_history(Runner *r);
typedef enum ReverseWhat { REVERSE_NOT, REVERSE_STEP, REVERSE_CONTINUE } ReverseWhat;
char *runner_no_reverse(const Runner *r);       /* NULL: it can be asked to; else why not */
/* At the next resume; `vcpu` is whose step it is. */
void runner_reverse(Runner *r, ReverseWhat what, unsigned vcpu);
bool runner_reversing(const Runner *r);
void runner_catch_shutdown(Runner *r, bool on);     /* a triple fault pauses the machine instead of resetting it */
void runner_reset(Runner *r);                   /* the machine was reset: no processor is shut down any more */
Accel *runner_accel(Runner *r);

#endif
