/*
 * target/x86/exec/atomic.h - read-modify-write of memory that is one step for all processors.
 */
#ifndef TARGET_X86_EXEC_ATOMIC_H
#define TARGET_X86_EXEC_ATOMIC_H

#include "target/x86/exec.h"

typedef enum AtomicKind {
    ATOMIC_add, ATOMIC_or, ATOMIC_adc, ATOMIC_sbb, ATOMIC_and, ATOMIC_sub, ATOMIC_xor,
    ATOMIC_inc, ATOMIC_dec, ATOMIC_neg, ATOMIC_not, ATOMIC_bts, ATOMIC_btr, ATOMIC_btc,
    ATOMIC_xchg, ATOMIC_xadd, ATOMIC_cmpxchg, ATOMIC_KINDS
} AtomicKind;

typedef struct Atomic {
    uint64_t value;             /* in: the operand (bts, btr, btc: a bit below the width); out: what
                                 * memory held (xchg, xadd) */
    uint64_t acc;               /* cmpxchg: RAX, in and out */
    uint16_t cc;                /* flags, in and out */
} Atomic;

/* The operation on memory at a linear address; width 0..3 for 8..64 bits.  Raises before anything
 * has changed. */
void x86_atomic(X86Cpu *c, uint64_t linear, unsigned width, AtomicKind kind, Atomic *a);
/* A whole locked instruction that writes only memory and flags, its operands as the row says. */
void x86_locked(X86Cpu *c, const X86Insn *in, AtomicKind kind);

#endif
