/*
 * accel/dbt/x86_64/system.c - what a kernel does on its way in and out: SWAPGS, CLI, STI, STAC and CLAC, PUSHF.
 */
#include "trans.h"

enum { IOPL_SHIFT = 12 };

static unsigned level(const Trans *t) { return (t->b->key & MODE_CPL) >> MODE_CPL_SHIFT; }

static Operand segment_base(unsigned seg)
{
    return host_gs((int32_t)(offsetof(X86Cpu, seg) + seg * sizeof(X86Segment) + offsetof(X86Segment, base)));
}

bool trans_swapgs(Trans *t)
{
    if (!t->code64 || level(t) != 0) {
        return false;
    }
    emit_load(&t->e, H_T0, segment_base(X86_GS));
    emit_load(&t->e, H_T1, GS_OF(kernel_gs_base));
    emit_store(&t->e, GS_OF(kernel_gs_base), H_T0);
    emit_store(&t->e, segment_base(X86_GS), H_T1);
    return true;
}

static bool iopl_admits(const Trans *t)
{
    return !(t->b->key & MODE_VM)
        && (!(t->b->key & MODE_PE) || level(t) <= (t->b->key & MODE_IOPL) >> IOPL_SHIFT);
}

bool trans_cli(Trans *t)
{
    if (!iopl_admits(t)) {
        return false;
    }
    trans_flags_saved(t);
    emit_alu_imm(&t->e, 0, ALU_AND, GS_OF(rflags), ~FL_IF);
    trans_flags_clobbered(t);
    return true;
}

/* The next block follows, and nobody looks for interrupts between its entry and its second instruction: that is
 * STI's shadow.  If the way there leads through C, which would look, dbt.behind_sti tells that it may not.  Where
 * something waits already it is the handler's, as where instructions are counted. */
bool trans_sti(Trans *t)
{
    if (!iopl_admits(t) || (t->b->key & KEY_COUNTED)) {
        return false;
    }
    trans_flags_saved(t);
    emit_alu_imm(&t->e, 0, ALU_CMP, GS_OF(vcpu.requests), 0);
    trans_slow_if(t, CC_NE);
    emit_alu_imm(&t->e, 0, ALU_OR, GS_OF(rflags), FL_IF);
    trans_flags_clobbered(t);
    trans_rip(t, H_T0, t->next);
    emit_store(&t->e, GS_OF(dbt.behind_sti), H_T0);
    trans_exit_to(t, t->next);
    return true;
}

/* SMAP: with AC clear the TLB's table is another. */
static bool set_ac(Trans *t, bool on)
{
    if (level(t) != 0) {
        return false;
    }
    trans_flags_saved(t);
    emit_alu_imm(&t->e, 0, on ? ALU_OR : ALU_AND, GS_OF(rflags), on ? FL_AC : ~FL_AC);
    trans_flags_clobbered(t);
    emit_load(&t->e, H_T0, on ? GS_OF(tlb_by_ac[1]) : GS_OF(tlb_by_ac[0]));
    emit_store(&t->e, GS_OF(tlb), H_T0);
    trans_exit_to(t, t->next);
    return true;
}

bool trans_stac(Trans *t) { return set_ac(t, true); }
bool trans_clac(Trans *t) { return set_ac(t, false); }

/* In translated code RF is clear. */
bool trans_pushf(Trans *t)
{
    Emit *e = &t->e;

    if ((t->b->key & MODE_VM) || t->in->opsize != (t->code64 ? 64 : 32)) {
        return false;
    }
    trans_flags_saved(t);
    emit_mov32(e, H_T1, H_FLAGS);
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_T1), 1);
    emit_op(e, 0, 0xc1, 4, host_reg(H_T1));                         /* shl: OF */
    emit8(e, 11);
    emit_op(e, 0, 0x0b, H_T1, GS_OF(rflags));
    emit_mov32(e, H_T0, H_FLAGS);
    emit_op(e, 0, 0xc1, 5, host_reg(H_T0));                         /* shr: those of LAHF */
    emit8(e, 8);
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_T0), FL_STATUS & 0xff);
    emit_op(e, 0, 0x0b, H_T1, host_reg(H_T0));
    trans_flags_clobbered(t);
    return trans_push_word(t, H_T1);
}
