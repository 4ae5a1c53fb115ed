/*
 * accel/reverse.h - going backwards: to a state kept earlier, and on from there to just before now.
 *
 * The driver (counted.c) asks how far a slice may go, and tells what it has ended with.
 */
#ifndef ACCEL_REVERSE_H
#define ACCEL_REVERSE_H

#include "history.h"
#include "runner.h"

typedef struct Reverse Reverse;

Reverse *reverse_new(Accel *a, uint64_t memory);
void reverse_free(Reverse *v);
bool reverse_possible(const Reverse *v);
void reverse_forget(Reverse *v);
/* States are kept from now on, or no longer, and those there are go. */
void reverse_keep(Reverse *v, bool on);
/* NULL: nothing is in the way; else what is. */
char *reverse_refused(const Reverse *v);
void reverse_ask(Reverse *v, ReverseWhat what, unsigned vcpu);
bool reverse_busy(const Reverse *v);
/* Between two steps.  STOP_NONE: run on; else it is done, and this processor has stopped so. */
RunStop reverse_step(Reverse *v, unsigned *vcpu);
/* Instructions that this processor may execute now. */
uint64_t reverse_room(const Reverse *v, const X86Cpu *c);
/* A slice of c has ended with RUN_DEBUG. */
void reverse_hit(Reverse *v, X86Cpu *c);

#endif
