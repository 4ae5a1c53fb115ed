/*
 * target/x86/bind.c - which handler runs an instruction.
 *
 * The table of gen-insn.py names one handler for each operation; hot instructions have more, one for
 * each form.  What depends on mode and privilege alone is settled here, once, since decoded code is
 * kept by mode.
 */
#include "form.h"
#include "gen/x86-exec.h"
#include "target/x86/model.h"

static X86ExecFn *const handlers[OP_COUNT] = {
#include "gen/x86-exec-table.c.inc"
};

void x86_exec_stop(X86Cpu *c, const X86Insn *in)
{
    c->regs[X86_RIP] -= in->len;
    c->cur = in - 1;
}

static void undefined(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);
}

static void not_privileged(X86Cpu *c, const X86Insn *in)
{
    x86_raise_error(c, EXC_GP, 0);
}

/* For handlers that return when they are done: goes on for them, unless what is behind was decoded
 * for another mode.  Once too often does no harm: there is x86_exec_stop, then. */
static void then_next(X86Cpu *c, const X86Insn *in)
{
    uint32_t mode = c->mode;

    handlers[in->row->op](c, in);
    x86_mmu_sync(c);
    if (c->cur == in && c->mode == mode) {
        x86_next(c, in);
    }
}

unsigned x86_width(const X86Insn *in)
{
    const X86Row *r = in->row;

    if (r->operand[0].kind == OPK_AL || (r->operand[0].kind == OPK_DX && r->operand[1].size == OPS_b)) {
        return 0;
    }
    if (r->operand[0].kind == OPK_O) {                      /* MOV moffs, accumulator */
        return r->operand[1].kind == OPK_AL ? 0 : in->opsize == 64 ? 3 : in->opsize == 32 ? 2 : 1;
    }
    switch (r->operand[0].size) {
    case OPS_b: return 0;
    case OPS_w: return 1;
    case OPS_d: return 2;
    case OPS_q: return 3;
    default: return in->opsize == 64 ? 3 : in->opsize == 32 ? 2 : 1;
    }
}

X86Form x86_form(const X86Cpu *c, const X86Insn *in)
{
    unsigned a = in->row->operand[0].kind, b = in->row->operand[1].kind;
    bool flat = (c->mode & MODE_CODE) == MODE_CODE64 && in->addrsize == 64 && in->segment < X86_FS;

    switch (a) {
    case OPK_E: case OPK_M:
        switch (b) {
        case OPK_G: return in->mod3 ? FORM_RR : flat ? FORM_FLAT_MR : FORM_MR;
        case OPK_I: return in->mod3 ? FORM_RI : flat ? FORM_FLAT_MI : FORM_MI;
        case OPK_none: return in->mod3 ? FORM_R : flat ? FORM_FLAT_M : FORM_M;
        default: return FORM_OTHER;
        }
    case OPK_G:
        return b != OPK_E && b != OPK_M ? FORM_OTHER : in->mod3 ? FORM_RG : flat ? FORM_FLAT_RM : FORM_RM;
    case OPK_Z:
        return b == OPK_I ? FORM_RI : b == OPK_none ? FORM_R : FORM_OTHER;
    case OPK_AL: case OPK_rAX:
        return b == OPK_I ? FORM_AI : FORM_OTHER;
    default:
        return FORM_OTHER;
    }
}

static X86ExecFn *by_form(const X86Cpu *c, const X86Insn *in)
{
    X86Form form = x86_form(c, in);
    unsigned width = x86_width(in);
    X86ExecFn *fn = NULL;

    (void)((fn = bind_mov(in, form, width)) || (fn = bind_alu(in, form, width)) || (fn = bind_branch(c, in))
           || (fn = bind_stack(c, in)) || (fn = bind_unary(in, form, width))
           || (fn = bind_multiply(in, form, width)));
    if (!fn && in->row->operand[1].kind != OPK_none) {
        fn = bind_shift(in, form, width);
    }
    return fn;
}

/* CPUID features, and for VEX and EVEX protected mode (volume 2, 2.4). */
bool x86_is_offered(const X86Cpu *c, const X86Insn *in)
{
    const X86Row *r = in->row;

    if (!x86_has(c, in->vl == 1 ? r->cpu256 : r->cpu)) {
        return false;
    }
    if (in->enc == X86_EVEX && in->vl < 2 && (r->lengths & (r->lengths - 1)) && !r->lig
        && !x86_feature(c, FEAT_AVX512VL)) {
        return false;
    }
    return !in->enc || (c->mode & (MODE_PE | MODE_VM)) == MODE_PE;
}

X86ExecFn *x86_bind(const X86Cpu *c, const X86Insn *in)
{
    uint32_t words = in->row->words;

    if (c->rows_bound) {
        unsigned row = x86_row_number(in->row);
        c->rows_bound[row / 64] |= 1ull << (row % 64);
    }
    if (!x86_is_offered(c, in)) {
        return undefined;
    }
    if ((words & IN_PROT) && (!(c->mode & MODE_PE) || (c->mode & MODE_VM))) {
        return undefined;
    }
    if ((words & IN_CPL0) && (c->mode & MODE_CPL)) {
        return not_privileged;
    }
    if (words & IN_HOST) {
        return handlers[in->row->op];
    }
    X86ExecFn *fn = in->lock ? NULL : by_form(c, in);
    return fn ? fn : then_next;
}
