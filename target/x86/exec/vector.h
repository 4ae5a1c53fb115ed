/*
 * target/x86/exec/vector.h - what legacy (vector.c), VEX and EVEX (vex.c) rows that the host computes
 * share.  The vCPU's own thread; the functions raise, or return.
 */
#ifndef TARGET_X86_EXEC_VECTOR_H
#define TARGET_X86_EXEC_VECTOR_H

#include "hostrun.h"

/* Registers that the row uses without naming them, from the guest and back. */
void vector_fill_implicit(X86Cpu *c, HostFrame *f, uint32_t use);
void vector_put_implicit(X86Cpu *c, const X86Insn *in, const HostFrame *f, uint32_t use);

/* The stub on the guest's registers, with the guest's MXCSR; raises #XM before anything has changed. */
void vector_run(X86Cpu *c, const X86Insn *in, const HostForm *form, void *mem);

/* The bytes whose mask has its top bit set go to DS:rDI (MASKMOVDQU). */
void vector_masked_store(X86Cpu *c, const X86Insn *in, const uint8_t *data, const uint8_t *mask, unsigned size);

/* ---- vex.c ---- */
void vex_check_state(X86Cpu *c, const X86Insn *in);     /* #UD, #NM: XCR0, CR0.TS */
/* VEX and EVEX results clear the register above the vector length (volume 1, 14.1.3). */
static inline void vex_zero_above(X86Vector *v, unsigned bytes)
{
    for (unsigned i = bytes / 8; i < G_N_ELEMENTS(v->q); i++) {
        v->q[i] = 0;
    }
}

#endif
