/*
 * target/x86/exec/vector.c - the `host` rows that are not x87: MMX, SSE to SSE4.2, AES, CRC32, POPCNT ...
 *
 * Values come from the guest's state, the host computes (hostrun.c), results go back.  Fault rules
 * are volume 3A table 13-1 and volume 2, 2.4; SIMD floating-point exceptions volume 1, 11.5.
 *
 * Not modelled: beside an unmasked underflow PE is that of the masked result; DPPS and DPPD report
 * the flags of all their steps when one of them faults.
 */
#include "fpu.h"
#include "gen/x86-exec.h"
#include "target/x86/alu.h"
#include "target/x86/model.h"
#include "../hostrun.h"

void fpu_check_sse(X86Cpu *c)
{
    if (!(c->mode & MODE_SSE_ON)) {
        x86_raise(c, EXC_UD);
    }
    if (c->mode & MODE_FPU_OFF) {
        x86_raise(c, EXC_NM);
    }
}

void fpu_check_mmx(X86Cpu *c)
{
    if (c->mode & MODE_FPU_OFF) {
        x86_raise(c, c->cr0 & CR0_EM ? EXC_UD : EXC_NM);
    }
    if (c->fpu.fsw & FSW_ES) {
        x86_raise(c, EXC_MF);
    }
}

void fpu_enter_mmx(X86Fpu *f)
{
    f->fsw &= ~FSW_TOP;
    f->ftw = 0xff;
}

/* Legacy forms leave everything above bit 127 alone. */
static void copy_xmm(X86Vector *to, const X86Vector *from)
{
    to->q[0] = from->q[0];
    to->q[1] = from->q[1];
}

static void fill_registers(X86Cpu *c, const X86Insn *in, HostFrame *f, uint32_t use)
{
    if (use & USE_VREG) {
        copy_xmm(&f->vreg, &c->fpu.v[in->reg]);
    }
    if (use & USE_VRM) {
        copy_xmm(&f->vrm, &c->fpu.v[in->rm]);
    }
    if (use & USE_XMM0) {
        copy_xmm(&f->vxmm0, &c->fpu.v[0]);
    }
    if (use & USE_PREG) {
        f->vreg.q[0] = c->fpu.st[in->reg & 7].mantissa;
    }
    if (use & USE_PRM) {
        f->vrm.q[0] = c->fpu.st[in->rm & 7].mantissa;
    }
    if (use & USE_GREG) {
        f->greg = c->regs[in->reg];
    }
    if (use & USE_GRM8) {
        f->grm = ((const uint8_t *)c->regs)[in->rm8];
    } else if (use & USE_GRM) {
        f->grm = c->regs[in->rm];
    }
    if (use & (USE_EAX | USE_ECX | USE_EDX)) {
        f->rax = c->regs[X86_RAX];
        f->rcx = c->regs[X86_RCX];
        f->rdx = c->regs[X86_RDX];
    }
    if (use & USE_FLAGS_IN) {
        f->flags = cc_to_flags(c->cc) | FL_1;
    }
}

static void put_mmx(X86Float *to, uint64_t value)
{
    to->mantissa = value;
    to->exponent = 0xffff;
}

static void put_flags(X86Cpu *c, const X86Row *row, uint64_t flags)
{
    uint32_t written = row->flags_written | row->flags_undefined;

    c->cc = cc_from_flags((cc_to_flags(c->cc) & ~written) | (flags & written));
}

static void put_registers(X86Cpu *c, const X86Insn *in, const HostFrame *f, uint32_t use)
{
    if (use & (USE_PREG | USE_PRM)) {
        fpu_enter_mmx(&c->fpu);
    }
    if (use & PUT_VREG) {
        copy_xmm(&c->fpu.v[in->reg], &f->vreg);
    }
    if (use & PUT_VRM) {
        copy_xmm(&c->fpu.v[in->rm], &f->vrm);
    }
    if (use & PUT_XMM0) {
        copy_xmm(&c->fpu.v[0], &f->vxmm0);
    }
    if (use & PUT_PREG) {
        put_mmx(&c->fpu.st[in->reg & 7], f->vreg.q[0]);
    }
    if (use & PUT_PRM) {
        put_mmx(&c->fpu.st[in->rm & 7], f->vrm.q[0]);
    }
    if (use & PUT_GREG) {
        c->regs[in->reg] = f->greg;
    }
    if (use & PUT_GRM) {
        c->regs[in->rm] = f->grm;
    }
    if (use & PUT_ECX) {
        c->regs[X86_RCX] = f->rcx;
    }
    if (use & USE_FLAGS_OUT) {
        put_flags(c, in->row, f->flags);
    }
}

/* An operation that does not mask underflow reports every tiny result, exact or not: the masked run
 * tells only of inexact ones. */
static bool has_tiny_result(const X86Insn *in, const X86Vector *v)
{
    bool scalar = in->row->operand[1].size != OPS_x;

    if (in->row->words & IN_TINY64) {
        for (unsigned i = 0; i < (scalar ? 1 : 2); i++) {
            if (!(v->q[i] & 0x7ff0000000000000) && (v->q[i] & 0x000fffffffffffff)) {
                return true;
            }
        }
    } else if (in->row->words & IN_TINY32) {
        for (unsigned i = 0; i < (scalar ? 1 : 4); i++) {
            uint32_t e = v->q[i / 2] >> (i & 1) * 32;
            if (!(e & 0x7f800000) && (e & 0x007fffff)) {
                return true;
            }
        }
    }
    return false;
}

/*
 * Some SIMD exception is not masked: run with all masked to see what comes, and deliver it before
 * anything has changed but MXCSR's flags.  Exceptions found before computing (IE, DE, ZE) come
 * first; where one of them is unmasked nothing is computed, and no OE, UE or PE reported.
 */
static void run_unmasked(X86Cpu *c, const X86Insn *in, const HostForm *form, HostFrame *f)
{
    enum { BEFORE = FSW_IE | FSW_DE | FSW_ZE };
    uint32_t mxcsr = c->fpu.mxcsr, unmasked = ~(mxcsr & MXCSR_MASKS) >> 7 & MXCSR_FLAGS, raised;

    f->mxcsr = (mxcsr & ~MXCSR_FLAGS) | MXCSR_MASKS;
    if (!(mxcsr & MXCSR_UM)) {
        f->mxcsr &= ~MXCSR_FTZ;         /* flush to zero works on masked underflow only */
    }
    form->run(f);
    raised = f->mxcsr & MXCSR_FLAGS;
    if (!(mxcsr & MXCSR_UM) && has_tiny_result(in, &f->vreg)) {
        raised |= FSW_UE;
    }
    if (raised & unmasked & BEFORE) {
        raised &= BEFORE;
    }
    c->fpu.mxcsr |= raised;
    if (raised & unmasked) {
        if (form->use & (USE_PREG | USE_PRM)) {
            fpu_enter_mmx(&c->fpu);     /* as silicon does, although the instruction is not done */
        }
        x86_raise(c, c->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    }
}

static void run(X86Cpu *c, const X86Insn *in, const HostForm *form, HostFrame *f)
{
    if (!(form->use & USE_MXCSR)) {
        form->run(f);
    } else if ((c->fpu.mxcsr & MXCSR_MASKS) == MXCSR_MASKS) {
        f->mxcsr = c->fpu.mxcsr;
        form->run(f);
        c->fpu.mxcsr = f->mxcsr;
    } else {
        run_unmasked(c, in, form, f);
    }
}

void exec_host(X86Cpu *c, const X86Insn *in)
{
    const HostForm *form = hostrun_form(c->hostrun, in);
    HostFrame *f = hostrun_frame(c->hostrun);
    uint32_t use = form->use, words = in->row->words;
    uint64_t linear = 0;

    if (words & IN_SSE) {
        fpu_check_sse(c);
    }
    if (use & (USE_PREG | USE_PRM)) {
        fpu_check_mmx(c);
    }
    if (use & (USE_LOAD | USE_STORE)) {
        linear = x86_operand(c, in, form->mem_size, use & USE_STORE);
        if ((words & IN_ALIGN) && (linear & 15)) {
            x86_raise_error(c, EXC_GP, 0);
        }
        if (use & USE_LOAD) {
            fpu_load(c, linear, f->mem, form->mem_size);
        }
    }
    fill_registers(c, in, f, use);
    run(c, in, form, f);
    if (use & USE_STORE) {
        fpu_store(c, linear, f->mem, form->mem_size);
    }
    put_registers(c, in, f, use);
}

/* On processors without them, the F3 of TZCNT and LZCNT is a REP that BSF and BSR ignore. */
void exec_tzcnt(X86Cpu *c, const X86Insn *in)
{
    if (x86_feature(c, FEAT_BMI1)) {
        exec_host(c, in);
    } else {
        exec_bsf(c, in);
    }
}

void exec_lzcnt(X86Cpu *c, const X86Insn *in)
{
    if (x86_feature(c, FEAT_ABM)) {
        exec_host(c, in);
    } else {
        exec_bsr(c, in);
    }
}

void exec_emms(X86Cpu *c, const X86Insn *in)
{
    fpu_check_mmx(c);
    fpu_enter_mmx(&c->fpu);
    c->fpu.ftw = 0;
}

/* MASKMOVQ, MASKMOVDQU: the bytes whose mask has its top bit set go to DS:rDI.  All of the range is
 * probed first, as a faulting store must leave no byte behind. */
static void masked_store(X86Cpu *c, const X86Insn *in, const uint8_t *data, const uint8_t *mask,
                         unsigned size)
{
    uint64_t off = c->regs[X86_RDI] & ~0ull >> (64 - in->addrsize);
    uint64_t linear = x86_segmented(c, in->segment, off, size, true);
    uint8_t any = 0;

    for (unsigned i = 0; i < size; i++) {
        any |= mask[i];
    }
    if (any & 0x80) {
        x86_probe_write(c, linear, size);
        for (unsigned i = 0; i < size; i++) {
            if (mask[i] & 0x80) {
                x86_store8(c, in->segment, linear + i, data[i]);
            }
        }
    }
}

void exec_maskmovdqu(X86Cpu *c, const X86Insn *in)
{
    fpu_check_sse(c);
    masked_store(c, in, (const uint8_t *)&c->fpu.v[in->reg], (const uint8_t *)&c->fpu.v[in->rm], 16);
}

void exec_maskmovq(X86Cpu *c, const X86Insn *in)
{
    fpu_check_mmx(c);
    masked_store(c, in, (const uint8_t *)&c->fpu.st[in->reg & 7].mantissa,
                 (const uint8_t *)&c->fpu.st[in->rm & 7].mantissa, 8);
    fpu_enter_mmx(&c->fpu);
}

static uint64_t swap(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

void exec_movbe(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    bool store = in->row->operand[0].kind == OPK_M;
    uint64_t linear = x86_operand(c, in, size, store);

    if (store) {
        x86_st(c, linear, swap(c->regs[in->reg], size), size);
    } else if (size == 2) {
        c->regs[in->reg] = (c->regs[in->reg] & ~0xffffull) | swap(x86_ld(c, linear, size), size);
    } else {
        c->regs[in->reg] = swap(x86_ld(c, linear, size), size);
    }
}
