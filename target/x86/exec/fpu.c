/*
 * target/x86/exec/fpu.c - x87: the rows that compute, run by the host's x87, and the control
 * instructions.
 *
 * Follows the Intel SDM, volume 1, chapter 8.  The whole register stack goes to the host and comes
 * back, with the guest's control word, so results, flags and stack faults are the host's own.  FIP,
 * FDP and FOP are the guest's; FDP and FOP follow every instruction, as on processors before
 * FDP_EXCPTN_ONLY.
 */
#include "form.h"
#include "fpu.h"
#include "gen/x86-exec.h"
#include "target/x86/alu.h"
#include "hostrun.h"

void fpu_check_x87(X86Cpu *c, bool waits)
{
    if (c->mode & MODE_FPU_OFF) {
        x86_raise(c, EXC_NM);
    }
    if (waits) {
        fpu_check_pending(c);
    }
}

void fpu_check_pending(X86Cpu *c)
{
    if (c->fpu.fsw & FSW_ES) {
        x86_numeric_error(c);
    } else if (G_UNLIKELY(c->ferr)) {
        x86_apart(c);
        x86_numeric_clear(c);
    }
}

void fpu_init(X86Fpu *f)
{
    f->fcw = FCW_RESET;
    f->fsw = 0;
    f->ftw = 0;
    f->fop = f->fcs = f->fds = 0;
    f->fip = f->fdp = 0;
}

/* The guest's registers in the order of the stack, as FXRSTOR takes them. */
static void fill_image(const X86Fpu *g, FxImage *fx)
{
    unsigned top = fpu_top(g);

    fx->fcw = g->fcw;
    fx->fsw = g->fsw & ~(FSW_ES | FSW_B | FSW_EXCEPTIONS);
    fx->ftw = g->ftw;
    fx->fop = 0;
    fx->fip = fx->fdp = 0;
    for (unsigned i = 0; i < 8; i++) {
        fx->st[i].mantissa = g->st[(top + i) & 7].mantissa;
        fx->st[i].exponent = g->st[(top + i) & 7].exponent;
    }
}

static void take_image(X86Fpu *g, const FxImage *fx)
{
    uint16_t sticky = g->fsw & (FSW_EXCEPTIONS | FSW_SF);

    g->fsw = fx->fsw | sticky;
    g->ftw = fx->ftw;
    unsigned top = fpu_top(g);
    for (unsigned i = 0; i < 8; i++) {
        g->st[(top + i) & 7].mantissa = fx->st[i].mantissa;
        g->st[(top + i) & 7].exponent = fx->st[i].exponent;
    }
    fpu_update_summary(g);
}

/* Where the last non-control instruction and its operand are (8.1.8). */
static void note_instruction(X86Cpu *c, const X86Insn *in)
{
    X86Fpu *g = &c->fpu;

    g->fop = (in->opcode & 7) << 8 | in->modrm;
    g->fip = c->regs[X86_RIP] - in->len;
    g->fcs = c->seg[X86_CS].selector;
    if (!in->mod3) {
        g->fdp = x86_offset(c, in);
        g->fds = c->seg[in->segment].selector;
    }
}

/* A store that an unmasked invalid operand, overflow or underflow stopped leaves memory and the stack
 * alone (8.5), and has no fault of its address; inexact does not stop it. */
static bool stored(const HostFrame *f, uint16_t fcw)
{
    return !(f->fx.fsw & ~fcw & (FSW_IE | FSW_OE | FSW_UE));
}

void exec_host_x87(X86Cpu *c, const X86Insn *in)
{
    const HostForm *form = hostrun_form(c->hostrun, in);
    HostFrame *f = hostrun_frame(c->hostrun);
    unsigned align = form->mem_size == 10 ? 8 : form->mem_size;

    fpu_check_x87(c, !(in->row->words & IN_NOWAIT));
    if (form->use & USE_LOAD) {
        fpu_load(c, in, x86_operand(c, in, form->mem_size, false), f->mem, form->mem_size, align);
    }
    fill_image(&c->fpu, &f->fx);
    f->flags = cc_to_flags(c->cc) | FL_1;
    form->run(f->mem, NULL, NULL, f);
    if ((form->use & USE_STORE) && stored(f, c->fpu.fcw)) {
        fpu_store(c, in, x86_operand(c, in, form->mem_size, true), f->mem, form->mem_size, align);
    }
    if (!(in->row->words & IN_NOWAIT)) {        /* the 8087's FENI and FDISI, FSETPM: control */
        note_instruction(c, in);
    }
    take_image(&c->fpu, &f->fx);
    if (in->row->flags_written) {
        c->cc = cc_from_flags(f->flags);
    }
    x86_next(c, in);
}

/* ---- control instructions ---- */

void exec_wait(X86Cpu *c, const X86Insn *in)
{
    if ((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        x86_raise(c, EXC_NM);
    }
    fpu_check_pending(c);
}

void exec_fninit(X86Cpu *c, const X86Insn *in)
{
    fpu_check_x87(c, false);
    x86_apart(c);
    fpu_init(&c->fpu);
    x86_numeric_clear(c);
}

void exec_fnclex(X86Cpu *c, const X86Insn *in)
{
    fpu_check_x87(c, false);
    x86_apart(c);
    c->fpu.fsw &= ~(FSW_EXCEPTIONS | FSW_SF | FSW_ES | FSW_B);
    x86_numeric_clear(c);
}

void exec_fnstsw(X86Cpu *c, const X86Insn *in)
{
    fpu_check_x87(c, false);
    if (in->mod3) {
        c->regs[X86_RAX] = (c->regs[X86_RAX] & ~0xffffull) | c->fpu.fsw;
    } else {
        x86_store16(c, in->segment, x86_operand(c, in, 2, true), c->fpu.fsw);
    }
}

void exec_fnstcw(X86Cpu *c, const X86Insn *in)
{
    fpu_check_x87(c, false);
    x86_store16(c, in->segment, x86_operand(c, in, 2, true), c->fpu.fcw);
}

void exec_fldcw(X86Cpu *c, const X86Insn *in)
{
    fpu_check_x87(c, true);
    fpu_set_control(&c->fpu, x86_load16(c, in->segment, x86_operand(c, in, 2, false)));
}
