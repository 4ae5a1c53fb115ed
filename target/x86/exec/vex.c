/*
 * target/x86/exec/vex.c - VEX and EVEX rows that the host computes, and those few that are moves of
 * state: VZEROUPPER, VLDMXCSR ...
 *
 * Follows the Intel SDM, volume 2, 2.4 to 2.8 (exception classes) and volume 1, chapters 14 and 15.
 * Gathers and masked moves, whose elements fault one by one, are gather.c's; so is the memory operand
 * of an EVEX row under an opmask.
 */
#include "gather.h"
#include "form.h"
#include "fpu.h"
#include "gen/x86-exec.h"
#include "vector.h"

void vex_check_state(X86Cpu *c, const X86Insn *in)
{
    uint32_t words = in->row->words;

    if (((words & IN_AVX) && !(c->mode & MODE_AVX_ON)) || ((words & IN_AVX512) && !(c->mode & MODE_AVX512_ON))) {
        x86_raise(c, EXC_UD);
    }
    if ((words & (IN_AVX | IN_AVX512)) && (c->cr0 & CR0_TS)) {
        x86_raise(c, EXC_NM);
    }
}

unsigned vector_alignment(const X86Insn *in, unsigned size)
{
    return size > 8 || (in->row->words & IN_LOOSE) || (in->row->evex & EVEX_EXPAND) ? 1 : size;
}

/* Where a memory operand is for the stub: in place, or in the frame, where it has been loaded. */
static void *source(X86Cpu *c, const X86Insn *in, const HostForm *form)
{
    HostFrame *f = hostrun_frame(c->hostrun);

    vector_check_aligned(c, in, form->mem_size);
    uint64_t linear = x86_operand(c, in, form->mem_size, false);
    const void *host = x86_readable(c, linear, form->mem_size);
    if (host) {
        return (void *)host;
    }
    fpu_load(c, in, linear, f->mem, form->mem_size, vector_alignment(in, form->mem_size));
    return f->mem;
}

/* The same of a destination: what is in the frame is stored when the stub has run.  VCVTPS2PH's #XM, and MXCSR's
 * flags, come before anything is asked of the operand. */
static void *destination(X86Cpu *c, const X86Insn *in, const HostForm *form)
{
    void *host = NULL;

    if (!(form->use & USE_MXCSR)) {
        vector_check_aligned(c, in, form->mem_size);
        host = x86_in_place(c, x86_operand(c, in, form->mem_size, true), form->mem_size);
    }
    return host ? host : hostrun_frame(c->hostrun)->mem;
}

static void store(X86Cpu *c, const X86Insn *in, const HostForm *form, const void *mem)
{
    uint64_t linear = x86_operand(c, in, form->mem_size, true);

    fpu_store(c, in, linear, mem, form->mem_size, vector_alignment(in, form->mem_size));
}

static uint64_t opmask(const X86Cpu *c, const X86Insn *in)
{
    return in->mask ? c->fpu.k[in->mask] : ~0ull;
}

static void fill_frame(X86Cpu *c, const X86Insn *in, HostFrame *f, const HostForm *form)
{
    f->h = &c->fpu.v[in->vvvv];
    f->l = &c->fpu.v[in->imm >> 4 & (x86_code_bits(c) == 64 ? 15 : 7)];
    f->b = c->regs[in->vvvv & 15];
    f->k = form->vex & VEX_PUT_K ? 0 : c->fpu.k[in->reg & 7];   /* short results clear the rest */
    f->n = c->fpu.k[in->rm & 7];
    f->mask = opmask(c, in);
    if (form->use & USE_IMPLICIT) {
        vector_fill_implicit(c, f, form->use);
    }
}

static void put_results(X86Cpu *c, const X86Insn *in, const HostFrame *f, const HostForm *form)
{
    unsigned bytes = 16u << in->vl;

    if (form->use & PUT_VREG) {
        vex_zero_above(&c->fpu.v[in->reg], bytes);
    }
    if (form->use & PUT_VRM) {
        vex_zero_above(&c->fpu.v[in->rm], bytes);
    }
    if (form->vex & VEX_PUT_H) {
        vex_zero_above(&c->fpu.v[in->vvvv], bytes);
    }
    if (form->vex & VEX_PUT_K) {
        c->fpu.k[in->reg & 7] = f->k;
    }
    /* MULX: where both halves go to one register the high one, of ModRM.reg, stays. */
    if ((form->vex & VEX_PUT_B) && !((form->use & PUT_GREG) && in->reg == in->vvvv)) {
        c->regs[in->vvvv & 15] = f->b;
    }
    if (form->use & USE_IMPLICIT) {
        vector_put_implicit(c, in, f, form->use);
        if (form->use & PUT_XMM0) {
            vex_zero_above(&c->fpu.v[0], 16);
        }
    }
}

void exec_host_vex(X86Cpu *c, const X86Insn *in)
{
    const HostForm *form = hostrun_form(c->hostrun, in);
    HostFrame *f = hostrun_frame(c->hostrun);
    void *mem = NULL;

    vex_check_state(c, in);
    if (form->mem_size) {
        mem = in->mask ? masked_operand(c, in, form, opmask(c, in))
            : form->use & USE_STORE ? destination(c, in, form) : source(c, in, form);
    }
    fill_frame(c, in, f, form);
    vector_run(c, in, form, mem);
    if ((form->use & USE_STORE) && mem == f->mem) {
        if (in->mask) {
            masked_operand_store(c, in, form, opmask(c, in));
        } else {
            store(c, in, form, mem);
        }
    }
    put_results(c, in, f, form);
    x86_next(c, in);
}

static unsigned vector_count(const X86Cpu *c)
{
    return x86_code_bits(c) == 64 ? 16 : 8;
}

void exec_vzeroupper(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    for (unsigned i = 0; i < vector_count(c); i++) {
        vex_zero_above(&c->fpu.v[i], 16);
    }
}

void exec_vzeroall(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    for (unsigned i = 0; i < vector_count(c); i++) {
        vex_zero_above(&c->fpu.v[i], 0);
    }
}

void exec_vldmxcsr(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    fpu_load_mxcsr(c, in);
}

void exec_vstmxcsr(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    fpu_store_mxcsr(c, in);
}

void exec_vmaskmovdqu(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    vector_masked_store(c, in, (const uint8_t *)&c->fpu.v[in->reg], (const uint8_t *)&c->fpu.v[in->rm], 16);
}
