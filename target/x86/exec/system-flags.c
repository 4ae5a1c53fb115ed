/*
 * Instructions whose rights depend on IOPL: PUSHF, POPF, CLI, STI (SDM volume 2; volume 3A 20.2 to
 * 20.4 for virtual-8086 mode and virtual interrupts).
 */
#include "rights.h"

#include "gen/x86-exec.h"

static bool in_vm(const X86Cpu *c) { return c->mode & MODE_VM; }

static bool iopl_admits(const X86Cpu *c)
{
    return !(c->mode & MODE_PE) || c->cpl <= x86_iopl(c);
}

/* VME in virtual-8086 mode, PVI at level 3: VIF stands in for IF. */
static bool virtual_if(const X86Cpu *c)
{
    return in_vm(c) ? c->cr4 & CR4_VME : (c->cr4 & CR4_PVI) && c->cpl == 3;
}

void exec_cli(X86Cpu *c, const X86Insn *in)
{
    if (iopl_admits(c)) {
        c->rflags &= ~FL_IF;
    } else {
        require_gp(c, virtual_if(c));
        c->rflags &= ~FL_VIF;
    }
}

void exec_sti(X86Cpu *c, const X86Insn *in)
{
    if (iopl_admits(c)) {
        /* Interrupts wait for one more instruction, if they were off (6.8.1). */
        c->sti_shadow = !(c->rflags & FL_IF);
        c->rflags |= FL_IF;
    } else {
        require_gp(c, virtual_if(c) && !(c->rflags & FL_VIP));
        c->rflags |= FL_VIF;
    }
}

/* Below IOPL 3 in virtual-8086 mode only VME's 16-bit forms work. */
static bool vme_form(X86Cpu *c, const X86Insn *in)
{
    if (!in_vm(c) || x86_iopl(c) == 3) {
        return false;
    }
    require_gp(c, (c->cr4 & CR4_VME) && in->opsize == 16);
    return true;
}

void exec_pushf(X86Cpu *c, const X86Insn *in)
{
    uint32_t flags = x86_rflags(c) & ~(FL_VM | FL_RF);

    if (vme_form(c, in)) {
        flags = (flags & ~FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
    }
    BY_OPSIZE(in, x86_push, c, flags);
}

static uint64_t top_of_stack(X86Cpu *c, unsigned bits)
{
    return bits == 64 ? x86_top64(c) : bits == 32 ? x86_top32(c) : x86_top16(c);
}

void exec_popf(X86Cpu *c, const X86Insn *in)
{
    uint32_t take = FL_STATUS | FL_TF | FL_DF | FL_NT, old = x86_rflags(c) & ~FL_RF;
    bool vme = vme_form(c, in);
    uint32_t flags = top_of_stack(c, in->opsize);

    if (in->opsize != 16) {
        take |= FL_AC | FL_ID;
    }
    if (vme) {
        require_gp(c, !(flags & FL_TF) && !((flags & FL_IF) && (old & FL_VIP)));
        take |= FL_VIF;
        flags = (flags & ~FL_VIF) | (flags & FL_IF ? FL_VIF : 0);
    } else if (iopl_admits(c)) {
        take |= FL_IF;
    }
    if (c->cpl == 0) {
        take |= FL_IOPL;
    }
    x86_set_sp(c, c->regs[X86_RSP] + in->opsize / 8);
    x86_set_rflags(c, (flags & take) | (old & ~take));
}
