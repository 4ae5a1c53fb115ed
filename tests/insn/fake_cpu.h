/*
 * tests/insn/fake_cpu.h - a processor without its MMU, exceptions and integer unit, for tests of the rest.
 *
 * Linear addresses are host addresses within native_memory(); exceptions come back as numbers.
 */
#ifndef TESTS_INSN_FAKE_CPU_H
#define TESTS_INSN_FAKE_CPU_H

#include "target/x86/exec.h"

extern X86Cpu *cpu;
extern uint64_t fake_fault_from;       /* accesses that reach this address fault; 0: none does */
extern bool fake_memory_faults;         /* every access is a page fault */
extern bool fake_feature;               /* what x86_feature() says */

void fake_cpu_new(void);
void fake_cpu_free(void);
/* CR0, CR4 and mode of a system that uses all of it; flat segments. */
void fake_cpu_set_mode(unsigned bits);
/* Run one instruction; the vector it raised, or -1. */
int fake_cpu_run(X86Insn *in, X86ExecFn *fn);

/* Random state: integers, floats with their special values, x87 stacks, control words. */
extern GRand *rnd;
unsigned below(unsigned n);
uint64_t random64(void);
uint64_t random_element(void);          /* of a vector */
void random_x87(uint64_t *mantissa, uint16_t *exponent);
void random_cpu(unsigned bits);

#endif
