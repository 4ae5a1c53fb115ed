/*
 * core/icount.h - a machine whose time is the number of instructions that its processors have executed.
 *
 * One thread, the driver (accel/counted.c), runs all processors by turns with the machine lock held, and drops
 * it between two slices only.  So whatever else happens to the machine happens at an exact position:
 * the instructions executed so far, and the timers fired so far.  An instruction that reaches a device
 * or asks for the time is executed alone (x86_apart()), so that it finds the count exact, and what it has
 * changed holds from the next instruction on.  The same guest thus runs the same way each time, whatever
 * runs it, unless something comes from outside: core/replay.h.
 *
 * With the machine lock held.
 */
#ifndef CORE_ICOUNT_H
#define CORE_ICOUNT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/machine.h"

enum { ICOUNT_SHIFT_DEFAULT = 3, ICOUNT_SHIFT_MAX = 10 };

typedef struct Replay Replay;

struct Icount {
    unsigned shift;             /* an instruction takes 2^shift ns */
    bool sleep;                 /* an idle guest waits for its next timer as long as that takes; else not at all */
    uint64_t random;            /* state of the generator behind RDRAND */
    uint64_t fired;             /* timers, so far */
    unsigned turn;              /* whose slice it is, and how much of it is left */
    uint64_t turn_left;
    unsigned in_vain;           /* slices, one after the other, that executed nothing */
    int64_t idle_since;         /* host time, in us, since when the guest is idle; 0: it is not */
    int64_t idle_from;          /* guest time then */
    bool stays;                 /* the guest cannot end the machine */
    GThread *driver;            /* NULL: none yet */
    uint64_t history;           /* bytes for going back; 0: not at all */
    Replay *replay;             /* a recording, or the log of one that is only counted */
    uint64_t (*insns)(Machine *m);      /* executed so far by all processors; NULL: none yet */
};

typedef struct IcountPosition { uint64_t insns, fired; } IcountPosition;

/* The machine's clock is a counted one. */
Icount *icount_new(Machine *m, unsigned shift, bool sleep, uint64_t seed);
IcountPosition icount_position(Machine *m);
uint64_t icount_random(Icount *ic);
/* The slice ends behind the instruction that is being executed, if there is one on this thread. */
void icount_cut(Machine *m);

#endif
