/*
 * target/x86/exec/vector.c - the `host` rows that are not x87: MMX, SSE to SSE4.2, AES, CRC32, POPCNT ...
 * What is common with VEX and EVEX rows (vex.c) is in vector.h.
 *
 * Values come from the guest's state, the host computes (hostrun.c), results go back.  Fault rules
 * are volume 3A table 13-1 and volume 2, 2.4; SIMD floating-point exceptions volume 1, 11.5.
 */
#include <xmmintrin.h>
#include "form.h"
#include "fpu.h"
#include "gen/x86-exec.h"
#include "target/x86/alu.h"
#include "target/x86/model.h"
#include "vector.h"

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
    fpu_check_pending(c);
}

void fpu_enter_mmx(X86Fpu *f)
{
    f->fsw &= ~FSW_TOP;
    f->ftw = 0xff;
}

/* Where the register is that ModRM.reg, or r/m, names; the kinds exclude each other. */
static void *reg_operand(X86Cpu *c, const X86Insn *in, uint32_t use)
{
    return use & USE_VREG ? (void *)&c->fpu.v[in->reg]
         : use & USE_PREG ? (void *)&c->fpu.st[in->reg & 7].mantissa : (void *)&c->regs[in->reg];
}

static void *rm_operand(X86Cpu *c, const X86Insn *in, uint32_t use)
{
    return use & USE_VRM ? (void *)&c->fpu.v[in->rm]
         : use & USE_PRM ? (void *)&c->fpu.st[in->rm & 7].mantissa
         : use & USE_GRM8 ? (void *)((uint8_t *)c->regs + in->rm8) : (void *)&c->regs[in->rm];
}

void vector_fill_implicit(X86Cpu *c, HostFrame *f, uint32_t use)
{
    if (use & USE_XMM0) {
        f->xmm0 = c->fpu.v[0];
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

static void put_flags(X86Cpu *c, const X86Row *row, uint64_t flags)
{
    uint32_t written = row->flags_written | row->flags_undefined;

    c->cc = cc_from_flags((cc_to_flags(c->cc) & ~written) | (flags & written));
}

void vector_put_implicit(X86Cpu *c, const X86Insn *in, const HostFrame *f, uint32_t use)
{
    if (use & (USE_PREG | USE_PRM)) {
        fpu_enter_mmx(&c->fpu);
    }
    if (use & PUT_PREG) {
        c->fpu.st[in->reg & 7].exponent = 0xffff;
    }
    if (use & PUT_PRM) {
        c->fpu.st[in->rm & 7].exponent = 0xffff;
    }
    if (use & PUT_XMM0) {
        c->fpu.v[0] = f->xmm0;
    }
    if (use & PUT_ECX) {
        c->regs[X86_RCX] = f->rcx;
    }
    if (use & USE_FLAGS_OUT) {
        put_flags(c, in->row, f->flags);
    }
}

/* A SIMD floating-point exception that is not masked: nothing has changed but MXCSR's flags. */
static G_NORETURN void simd_exception(X86Cpu *c, uint32_t use)
{
    if (use & (USE_PREG | USE_PRM)) {
        fpu_enter_mmx(&c->fpu);         /* as silicon does, although the instruction is not done */
    }
    x86_raise(c, c->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

/*
 * Nothing in the emulator looks at the flags of the host's MXCSR.  So when its control bits are the
 * guest's, which is the rule, the instruction runs as things are; only flags that the guest has
 * not set must not be set before.  Changing MXCSR costs more than most instructions.
 */
static void run_fp(X86Cpu *c, const HostForm *form, void *mem, void *reg, void *rm)
{
    HostFrame *f = hostrun_frame(c->hostrun);
    uint32_t guest = c->fpu.mxcsr, host = _mm_getcsr();

    if ((guest ^ host) & ~(uint32_t)MXCSR_FLAGS) {
        if (!hostrun_with_mxcsr(form, mem, reg, rm, f, &c->fpu.mxcsr)) {
            simd_exception(c, form->use);
        }
        return;
    }
    if (host & ~guest & MXCSR_FLAGS) {
        _mm_setcsr(guest);
    }
    form->run(mem, reg, rm, f);
    c->fpu.mxcsr |= _mm_getcsr() & MXCSR_FLAGS;
}

void vector_run(X86Cpu *c, const X86Insn *in, const HostForm *form, void *mem)
{
    uint32_t use = form->use;
    void *reg = reg_operand(c, in, use), *rm = rm_operand(c, in, use);

    if (use & USE_MXCSR) {
        run_fp(c, form, mem, reg, rm);
    } else {
        form->run(mem, reg, rm, hostrun_frame(c->hostrun));
    }
}

/* The memory operand in place where the TLB has it, else in the frame. */
static void *memory_operand(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t *linear)
{
    HostFrame *f = hostrun_frame(c->hostrun);
    bool store = form->use & USE_STORE;

    vector_check_aligned(c, in, 16);
    *linear = x86_operand(c, in, form->mem_size, store);
    const X86TlbEntry *e = x86_tlb_entry(c, *linear);
    if (x86_tlb_hit(store ? e->write : e->read, *linear, form->mem_size)) {
        return x86_tlb_host(e, *linear);
    }
    x86_check_operand(c, in->segment, *linear, form->mem_size, vector_alignment(in, form->mem_size));
    if (!store) {
        x86_ld_bytes(c, *linear, f->mem, form->mem_size);
    }
    return f->mem;
}

void exec_host(X86Cpu *c, const X86Insn *in)
{
    const HostForm *form = hostrun_form(c->hostrun, in);
    HostFrame *f = hostrun_frame(c->hostrun);
    uint32_t use = form->use;
    void *mem = NULL;
    uint64_t linear = 0;

    if (in->row->words & IN_SSE) {
        fpu_check_sse(c);
    }
    if (use & (USE_PREG | USE_PRM)) {
        fpu_check_mmx(c);
    }
    if (form->mem_size) {
        mem = memory_operand(c, in, form, &linear);
    }
    if (use & USE_IMPLICIT) {
        vector_fill_implicit(c, f, use);
    }
    vector_run(c, in, form, mem);
    if ((use & USE_STORE) && mem == f->mem) {
        x86_st_bytes(c, linear, mem, form->mem_size);
    }
    if (use & (USE_IMPLICIT | USE_PREG | USE_PRM)) {
        vector_put_implicit(c, in, f, use);
    }
    x86_next(c, in);
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
void vector_masked_store(X86Cpu *c, const X86Insn *in, const uint8_t *data,
                         const uint8_t *mask, unsigned size)
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
    vector_masked_store(c, in, (const uint8_t *)&c->fpu.v[in->reg], (const uint8_t *)&c->fpu.v[in->rm], 16);
}

void exec_maskmovq(X86Cpu *c, const X86Insn *in)
{
    fpu_check_mmx(c);
    vector_masked_store(c, in, (const uint8_t *)&c->fpu.st[in->reg & 7].mantissa,
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
    uint64_t linear = x86_linear(c, in->segment, x86_offset(c, in), size, store);

    if (store) {
        x86_st(c, linear, swap(c->regs[in->reg], size), size);
    } else if (size == 2) {
        c->regs[in->reg] = (c->regs[in->reg] & ~0xffffull) | swap(x86_ld(c, linear, size), size);
    } else {
        c->regs[in->reg] = swap(x86_ld(c, linear, size), size);
    }
}
