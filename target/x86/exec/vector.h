/*
 * target/x86/exec/vector.h - what legacy (vector.c), VEX and EVEX (vex.c) rows that the host computes
 * share.  The vCPU's own thread; the functions raise, or return.
 */
#ifndef TARGET_X86_EXEC_VECTOR_H
#define TARGET_X86_EXEC_VECTOR_H

#include "hostrun.h"
#include "target/x86/mem.h"

/* Registers that the row uses without naming them, from the guest and back. */
void vector_fill_implicit(X86Cpu *c, HostFrame *f, uint32_t use);
void vector_put_implicit(X86Cpu *c, const X86Insn *in, const HostFrame *f, uint32_t use);

/* The stub on the guest's registers, with the guest's MXCSR; raises #XM before anything has changed. */
void vector_run(X86Cpu *c, const X86Insn *in, const HostForm *form, void *mem);

/* Volume 2, 2.4: an operand that must be aligned and is not is #GP(0), before its segment's limit is looked at. */
static inline void vector_check_aligned(X86Cpu *c, const X86Insn *in, unsigned align)
{
    bool based = (c->mode & MODE_CODE) != MODE_CODE64 || in->segment >= X86_FS;

    if ((in->row->words & IN_ALIGNED) && ((x86_offset(c, in) + (based ? c->seg[in->segment].base : 0)) & (align - 1))) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

/* The bytes whose mask has its top bit set go to DS:rDI (MASKMOVDQU). */
void vector_masked_store(X86Cpu *c, const X86Insn *in, const uint8_t *data, const uint8_t *mask, unsigned size);

/* ---- vex.c ---- */
void vex_check_state(X86Cpu *c, const X86Insn *in);     /* #UD, #NM: XCR0, CR0.TS */
/* What #AC asks of a memory operand of `size` bytes: to be aligned where it has 2, 4 or 8 (volume 2, tables 2-18 to
 * 2-64), unless the row is loose (classes 11, E11) or its elements are packed. */
unsigned vector_alignment(const X86Insn *in, unsigned size);
/* VEX and EVEX results clear the register above the vector length (volume 1, 14.1.3). */
static inline void vex_zero_above(X86Vector *v, unsigned bytes)
{
    for (unsigned i = bytes / 8; i < G_N_ELEMENTS(v->q); i++) {
        v->q[i] = 0;
    }
}

#endif
