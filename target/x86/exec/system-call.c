/*
 * Fast system calls and the bases of FS and GS: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, RDFSBASE
 * and its kin (SDM volume 2, under their names; volume 3A 5.8.7 and 5.8.8).
 *
 * SYSRET checks its address at level 0, as Intel's does.
 */
#include "rights.h"

#include "gen/x86-exec.h"

enum { FLAT_CODE = AR_P | AR_S | AR_CODE | AR_RW | AR_A | AR_G, FLAT_DATA = AR_P | AR_S | AR_RW | AR_A | AR_G | AR_DB };

/* What depends on segments, level and flags together, the mode, is for the caller to bring up to date once. */
static void flat(X86Cpu *c, unsigned seg, uint16_t selector, uint16_t ar)
{
    c->seg[seg] = (X86Segment){ .selector = (selector & 0xfffc) | c->cpl, .limit = 0xffffffff,
                                .ar = ar | c->cpl << 5 };
    x86_seg_range(&c->seg[seg], false);
}

static void flat_code(X86Cpu *c, uint16_t selector, unsigned cpl, bool long_code)
{
    c->cpl = cpl;
    flat(c, X86_CS, selector, FLAT_CODE | (long_code ? AR_L : AR_DB));
}

static void flat_stack(X86Cpu *c, uint16_t selector)
{
    flat(c, X86_SS, selector, FLAT_DATA);
}

/* These two take a single step by the TF that they leave, not by the one that they found: the kernel
 * masks it with FMASK, and a SYSRET that sets it ends the step of the program's SYSCALL. */
static void step_behind(X86Cpu *c)
{
    if (c->rflags & FL_TF) {
        x86_trap_pending(c, DR6_BS);
    }
}

void exec_syscall(X86Cpu *c, const X86Insn *in)
{
    uint16_t cs = c->star >> 32;

    require_ud(c, (c->efer & EFER_SCE) && x86_in_code64(c));
    uint32_t flags = x86_rflags(c) & ~FL_RF;
    c->regs[X86_RCX] = c->regs[X86_RIP];
    c->regs[X86_R11] = flags;
    c->regs[X86_RIP] = c->lstar;
    flat_code(c, cs, 0, true);
    flat_stack(c, cs + 8);
    x86_set_rflags(c, flags & ~(uint32_t)c->fmask);
    step_behind(c);
}

void exec_sysret(X86Cpu *c, const X86Insn *in)
{
    uint16_t base = c->star >> 48;
    bool to_64 = in->opsize == 64;

    require_ud(c, (c->efer & EFER_SCE) && x86_in_code64(c));
    require_row(c, in);
    require_gp(c, !to_64 || x86_canonical(c, c->regs[X86_RCX]));
    uint32_t flags = c->regs[X86_R11] & 0x3c7fd7;
    c->regs[X86_RIP] = to_64 ? c->regs[X86_RCX] : (uint32_t)c->regs[X86_RCX];
    flat_code(c, to_64 ? base + 16 : base, 3, to_64);
    flat_stack(c, base + 8);
    x86_set_rflags(c, flags);
    step_behind(c);
}

void exec_sysenter(X86Cpu *c, const X86Insn *in)
{
    bool lm = x86_long_mode(c);

    require_gp(c, (c->cr0 & CR0_PE) && (c->sysenter_cs & 0xfffc) != 0);
    c->rflags &= ~(FL_VM | FL_IF | FL_RF);
    flat_code(c, c->sysenter_cs, 0, lm);
    flat_stack(c, (c->sysenter_cs & 0xfffc) + 8);
    x86_mode_changed(c);
    c->regs[X86_RSP] = lm ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    c->regs[X86_RIP] = lm ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
}

void exec_sysexit(X86Cpu *c, const X86Insn *in)
{
    uint16_t cs = c->sysenter_cs & 0xfffc;
    bool to_64 = in->opsize == 64;
    uint64_t rip = c->regs[X86_RDX], rsp = c->regs[X86_RCX];

    require_gp(c, (c->cr0 & CR0_PE) && cs != 0 && c->cpl == 0 && !(c->mode & MODE_VM));
    require_gp(c, !to_64 || (x86_canonical(c, rip) && x86_canonical(c, rsp)));
    c->regs[X86_RIP] = to_64 ? rip : (uint32_t)rip;
    c->regs[X86_RSP] = to_64 ? rsp : (uint32_t)rsp;
    flat_code(c, cs + (to_64 ? 32 : 16), 3, to_64);
    flat_stack(c, cs + (to_64 ? 40 : 24));
    x86_mode_changed(c);
}

void exec_swapgs(X86Cpu *c, const X86Insn *in)
{
    uint64_t old = c->seg[X86_GS].base;

    require_row(c, in);
    c->seg[X86_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = old;
}

static void read_base(X86Cpu *c, const X86Insn *in, unsigned seg)
{
    require_ud(c, c->cr4 & CR4_FSGSBASE);
    /* 66 does not make it 16 bits (volume 2, RDFSBASE). */
    put_sized(&c->regs[in->rm], in->opsize == 64 ? 64 : 32, c->seg[seg].base);
}

static void write_base(X86Cpu *c, const X86Insn *in, unsigned seg)
{
    uint64_t v = in->opsize == 64 ? c->regs[in->rm] : (uint32_t)c->regs[in->rm];

    require_ud(c, c->cr4 & CR4_FSGSBASE);
    require_gp(c, x86_canonical_base(c, v));
    c->seg[seg].base = v;
}

void exec_rdfsbase(X86Cpu *c, const X86Insn *in)
{
    read_base(c, in, X86_FS);
}

void exec_rdgsbase(X86Cpu *c, const X86Insn *in)
{
    read_base(c, in, X86_GS);
}

void exec_wrfsbase(X86Cpu *c, const X86Insn *in)
{
    write_base(c, in, X86_FS);
}

void exec_wrgsbase(X86Cpu *c, const X86Insn *in)
{
    write_base(c, in, X86_GS);
}
