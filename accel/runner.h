/*
 * accel/runner.h - the inside of the runner: one thread for each processor (runner.c), or one for all (counted.c).
 */
#ifndef ACCEL_RUNNER_H
#define ACCEL_RUNNER_H

#include "accel/accel.h"

typedef struct Slot {           /* a vCPU's; written while paused, stop also by its own thread */
    _Atomic RunPlan plan;
    _Atomic RunStop stop;
} Slot;

struct Runner {
    Accel *accel;
    GMutex lock;                /* guards what follows; inside the machine lock, never around it */
    GCond changed;
    _Atomic bool running, quitting;     /* read without it by the driver */
    unsigned parked;            /* threads that sleep in park() */
    unsigned late;              /* threads that have not yet seen the last resume */
    uint64_t resumes;           /* counts runner_resume(): a parked thread waits for the next */
    unsigned n_threads, n_vcpus;
    GThread **threads;
    Slot *slots;
    _Atomic bool catch_shutdown;
    struct Reverse *reverse;    /* NULL: no way back */
};

/* What run() has ended with, when it stops the machine: STOP_NONE: it does not, or somebody else is to. */
RunStop runner_ended(Runner *r, Vcpu *v, RunExit why, bool step, const GError *err);
/* From one resume to the next pause, all processors by turns: Machine.icount. */
void counted_turn(Runner *r);
/* All instructions so far: Icount.insns. */
uint64_t counted_insns(Machine *m);

#endif
