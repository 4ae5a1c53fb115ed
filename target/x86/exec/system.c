/*
 * Control and debug registers, MSRs, the time-stamp counter, CPUID, TLB and cache instructions (SDM
 * volume 2, under their names).
 *
 * Not modelled: performance counters (RDPMC of any is #GP).
 */
#include "rights.h"

#include "core/machine.h"
#include "gen/x86-exec.h"
#include "target/x86/xstate.h"
#include "util/log.h"

/* ---- control registers ---- */

static uint64_t read_cr8(X86Cpu *c)
{
    Vcpu *v = &c->vcpu;

    if (!v->intctl) {
        return 0;
    }
    x86_apart(c);
    machine_lock(v->machine);
    uint8_t tpr = v->intctl->get_tpr(v->intctl_opaque);
    machine_unlock(v->machine);
    return tpr;
}

static bool write_cr8(X86Cpu *c, uint64_t value)
{
    Vcpu *v = &c->vcpu;

    if (value & ~0xfull) {
        return false;
    }
    if (v->intctl) {
        x86_apart(c);
        machine_lock(v->machine);
        v->intctl->set_tpr(v->intctl_opaque, (uint8_t)value);
        machine_unlock(v->machine);
    }
    return true;
}

void exec_mov_from_cr(X86Cpu *c, const X86Insn *in)
{
    uint64_t v = 0;

    switch (in->reg) {
    case 0: case 2: case 3: case 4: case 8:
        break;
    default:
        x86_raise(c, EXC_UD);
    }
    require_row(c, in);
    switch (in->reg) {
    case 0: v = c->cr0; break;
    case 2: v = c->cr2; break;
    case 3: v = c->cr3; break;
    case 4: v = c->cr4; break;
    case 8: v = read_cr8(c); break;
    }
    c->regs[in->rm] = x86_in_code64(c) ? v : (uint32_t)v;
}

void exec_mov_to_cr(X86Cpu *c, const X86Insn *in)
{
    uint64_t v = x86_in_code64(c) ? c->regs[in->rm] : (uint32_t)c->regs[in->rm];
    bool ok = true;

    require_ud(c, in->reg == 0 || (in->reg >= 2 && in->reg <= 4) || in->reg == 8);
    require_row(c, in);
    switch (in->reg) {
    case 0: ok = x86_write_cr0(c, v); break;
    case 2: c->cr2 = v; break;
    case 3: ok = x86_write_cr3(c, v); break;
    case 4: ok = x86_write_cr4(c, v); break;
    case 8: ok = write_cr8(c, v); break;
    }
    require_gp(c, ok);
}

/* ---- debug registers (volume 3B 17.2) ---- */

/* Which register is meant; DR4 and DR5 are aliases unless CR4.DE. */
static unsigned debug_register(X86Cpu *c, const X86Insn *in)
{
    unsigned n = in->reg;

    require_ud(c, n < 8 && !((n == 4 || n == 5) && (c->cr4 & CR4_DE)));
    require_row(c, in);
    if (c->dr[7] & DR7_GD) {
        c->exc.dr6 = DR6_BD;
        x86_raise(c, EXC_DB);
    }
    return n == 4 || n == 5 ? n + 2 : n;
}

void exec_mov_from_dr(X86Cpu *c, const X86Insn *in)
{
    uint64_t v = c->dr[debug_register(c, in)];

    c->regs[in->rm] = x86_in_code64(c) ? v : (uint32_t)v;
}

void exec_mov_to_dr(X86Cpu *c, const X86Insn *in)
{
    unsigned n = debug_register(c, in);
    uint64_t v = x86_in_code64(c) ? c->regs[in->rm] : (uint32_t)c->regs[in->rm];

    if (n >= 6) {
        require_gp(c, v >> 32 == 0);
        v = n == 6 ? (v & DR6_WRITABLE) | DR6_FIXED : (v & DR7_WRITABLE) | DR7_FIXED;
    }
    c->dr[n] = v;                   /* any address: one that is not canonical just never matches (17.2.6) */
    x86_debug_changed(c);
}

/* ---- MSRs, counters, identification ---- */

void exec_rdmsr(X86Cpu *c, const X86Insn *in)
{
    uint64_t v;

    require_row(c, in);
    x86_apart(c);
    require_gp(c, x86_msr_read(c, (uint32_t)c->regs[X86_RCX], &v));
    set_edx_eax(c, v);
}

void exec_wrmsr(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    x86_apart(c);
    require_gp(c, x86_msr_write(c, (uint32_t)c->regs[X86_RCX], edx_eax(c)));
}

void exec_rdtsc(X86Cpu *c, const X86Insn *in)
{
    require_tsc(c);
    set_edx_eax(c, vcpu_tsc(&c->vcpu));
}

void exec_rdtscp(X86Cpu *c, const X86Insn *in)
{
    require_tsc(c);
    set_edx_eax(c, vcpu_tsc(&c->vcpu));
    c->regs[X86_RCX] = (uint32_t)c->tsc_aux;
}

void exec_rdpid(X86Cpu *c, const X86Insn *in)
{
    c->regs[in->rm] = (uint32_t)c->tsc_aux;
}

void exec_rdpmc(X86Cpu *c, const X86Insn *in)
{
    log_unimp("cpu", "RDPMC of counter 0x%x", (uint32_t)c->regs[X86_RCX]);
    x86_raise_error(c, EXC_GP, 0);
}

void exec_cpuid(X86Cpu *c, const X86Insn *in)
{
    uint32_t out[4];

    x86_cpuid(c, (uint32_t)c->regs[X86_RAX], (uint32_t)c->regs[X86_RCX], out);
    c->regs[X86_RAX] = out[0];
    c->regs[X86_RBX] = out[1];
    c->regs[X86_RCX] = out[2];
    c->regs[X86_RDX] = out[3];
}

/* ---- TLB and caches ---- */

void exec_invlpg(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    uint64_t off = x86_offset(c, in), linear = off + c->seg[in->segment].base;
    if (x86_in_code64(c)) {
        linear = in->segment >= X86_FS ? linear : off;
    } else {
        linear = (uint32_t)linear;
    }
    if (x86_canonical_base(c, linear)) {
        x86_tlb_flush_page(c, linear);
    }
}

void exec_invpcid(X86Cpu *c, const X86Insn *in)
{
    enum { ONE_ADDRESS, ONE_CONTEXT, ALL_AND_GLOBAL, ALL };

    require_row(c, in);
    uint64_t type = x86_in_code64(c) ? c->regs[in->reg] : (uint32_t)c->regs[in->reg];
    uint64_t linear = x86_operand(c, in, 16, false);
    uint64_t pcid = x86_ld(c, linear, 8), address = x86_ld(c, linear_after(c, linear, 8), 8);
    require_gp(c, type <= ALL);
    if (type <= ONE_CONTEXT) {
        require_gp(c, pcid < 4096 && (pcid == 0 || (c->cr4 & CR4_PCIDE)));
    } else {
        require_gp(c, pcid < 4096);
    }
    switch (type) {
    case ONE_ADDRESS:
        require_gp(c, x86_canonical_base(c, address));
        x86_tlb_flush_page_of_pcid(c, (unsigned)pcid, address);
        break;
    case ONE_CONTEXT:
        x86_tlb_flush_pcid(c, (unsigned)pcid);
        break;
    case ALL_AND_GLOBAL:
        x86_tlb_flush(c, true);
        break;
    case ALL:
        x86_tlb_flush_all_pcids(c);
        break;
    }
}

void exec_invd(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
}

void exec_wbinvd(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
}

/* ---- protection keys, extended control, SMAP ---- */

void exec_rdpkru(X86Cpu *c, const X86Insn *in)
{
    require_ud(c, c->cr4 & CR4_PKE);
    require_gp(c, (uint32_t)c->regs[X86_RCX] == 0);
    set_edx_eax(c, c->pkru);
}

void exec_wrpkru(X86Cpu *c, const X86Insn *in)
{
    require_ud(c, c->cr4 & CR4_PKE);
    require_gp(c, (uint32_t)c->regs[X86_RCX] == 0 && (uint32_t)c->regs[X86_RDX] == 0);
    x86_write_pkru(c, (uint32_t)c->regs[X86_RAX]);
}

void exec_xgetbv(X86Cpu *c, const X86Insn *in)
{
    require_ud(c, c->cr4 & CR4_OSXSAVE);
    uint32_t which = (uint32_t)c->regs[X86_RCX];
    bool in_use = which == 1 && x86_feature(c, FEAT_XGETBV1);

    require_gp(c, which == 0 || in_use);
    set_edx_eax(c, in_use ? c->xcr0 & x86_xinuse(c) : c->xcr0);
}

/* XCR0: x87 always; AVX with SSE; AVX-512's three together, with AVX (volume 1, 13.3). */
static bool xcr0_is_good(const X86Cpu *c, uint64_t v)
{
    return (v & XCR0_X87) && !(v & ~x86_xcr0_valid(c)) && (!(v & XCR0_AVX) || (v & XCR0_SSE))
        && (!(v & XCR0_AVX512) || ((v & XCR0_AVX512) == XCR0_AVX512 && (v & XCR0_AVX)));
}

void exec_xsetbv(X86Cpu *c, const X86Insn *in)
{
    uint64_t v = edx_eax(c);

    require_ud(c, c->cr4 & CR4_OSXSAVE);
    require_row(c, in);
    require_gp(c, (uint32_t)c->regs[X86_RCX] == 0 && xcr0_is_good(c, v));
    c->xcr0 = v;
    x86_mode_changed(c);
}

/* Above level 0 these are #UD, not #GP. */
void exec_clac(X86Cpu *c, const X86Insn *in)
{
    require_ud(c, c->cpl == 0);
    c->rflags &= ~FL_AC;
}

void exec_stac(X86Cpu *c, const X86Insn *in)
{
    require_ud(c, c->cpl == 0);
    c->rflags |= FL_AC;
}

/* ---- waiting, and what there is not ---- */

void exec_hlt(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    c->monitor.waiting = false;
    c->vcpu.halted = true;
}

void exec_rsm(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);           /* outside SMM, and there is none */
}

void exec_ud0(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);
}

void exec_ud1(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);
}

void exec_ud2(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);
}
