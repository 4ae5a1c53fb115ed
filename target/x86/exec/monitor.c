/*
 * target/x86/exec/monitor.c - MONITOR and MWAIT (SDM volume 2; volume 3A 8.10.2 to 8.10.4), UMONITOR, UMWAIT and
 * TPAUSE (volume 2).
 *
 * MWAIT halts until an interrupt, or until the line that MONITOR named is not what it was.  Nobody tells of
 * stores: whoever waits for the processor looks at the line now and then, and a value stored that was there
 * already goes unseen - as it does to software, which looks at the value itself.
 *
 * UMWAIT and TPAUSE may end early, for reasons of the processor's own, and software goes round again: here they give
 * the host's processor away once, for LONGEST_PAUSE_US or until something is requested of this one.
 */
#include "rights.h"

#include "gen/x86-exec.h"

enum { LONGEST_PAUSE_US = 50 };

static bool enabled(const X86Cpu *c)
{
    return c->cpl == 0 && (c->misc_enable & MISC_MONITOR);
}

/* False: the line is not RAM. */
static bool look(X86Cpu *c, uint8_t *line)
{
    return as_read(c->vcpu.mem, c->monitor.at, line, X86_MONITOR_LINE) == MEM_OK;
}

/* There is one line that is watched, by MONITOR or by UMONITOR. */
static void arm(X86Cpu *c, const X86Insn *in, uint64_t off, bool user)
{
    X86Monitor *m = &c->monitor;
    uint64_t linear = x86_linear(c, in->segment, off & ~0ull >> (64 - in->addrsize), 1, false);
    hwaddr gpa;

    x86_ld(c, linear, 1);                               /* its faults are those of a load */
    m->user = user;
    m->armed = x86_translate_debug(c, linear, &gpa);
    if (m->armed) {
        m->at = gpa & ~(hwaddr)(X86_MONITOR_LINE - 1);
        m->armed = look(c, m->line);
    }
}

/* It is watched, and is what it was. */
static bool unchanged(X86Cpu *c, bool user)
{
    const X86Monitor *m = &c->monitor;
    uint8_t now[X86_MONITOR_LINE];

    return m->armed && m->user == user && look(c, now) && memcmp(now, m->line, sizeof(now)) == 0;
}

void exec_monitor(X86Cpu *c, const X86Insn *in)
{
    require_ud(c, enabled(c));
    require_gp(c, (uint32_t)c->regs[X86_RCX] == 0);
    arm(c, in, c->regs[X86_RAX], false);
}

void exec_umonitor(X86Cpu *c, const X86Insn *in)
{
    arm(c, in, c->regs[in->rm], true);
}

void exec_mwait(X86Cpu *c, const X86Insn *in)
{
    X86Monitor *m = &c->monitor;

    require_ud(c, enabled(c));
    require_gp(c, (uint32_t)c->regs[X86_RCX] <= 1);
    if (unchanged(c, false)) {
        m->waiting = true;
        m->masked_too = c->regs[X86_RCX] & 1;
        c->vcpu.halted = true;
    }
    m->armed = false;
}

/* Until the counter is at EDX:EAX, at most; and at most as long as the system allows, which CF then tells of. */
static void pause_for_time(X86Cpu *c, const X86Insn *in, bool worth_it)
{
    Vcpu *v = &c->vcpu;
    uint32_t limit = c->umwait_control & ~3u, seen = atomic_load(&v->requests);

    require_tsc(c);
    require_gp(c, ((uint32_t)c->regs[in->rm] & ~1u) == 0);
    uint64_t now = vcpu_tsc(v), until = edx_eax(c);
    bool limited = limit && until > now && until - now > limit;
    if (limited) {
        until = now + limit;
    }
    /* Where time is a number of instructions, none passes by waiting. */
    if (worth_it && until > now && !c->counted && !x86_interrupt_due(c)) {
        uint64_t us = MIN((until - now) / MAX(v->tsc_khz / 1000, 1), LONGEST_PAUSE_US);
        if (us) {
            vcpu_wait_for(v, seen, (unsigned)us);
        }
    }
    c->cc = limited && vcpu_tsc(v) >= until ? FL_CF : 0;
}

void exec_tpause(X86Cpu *c, const X86Insn *in)
{
    pause_for_time(c, in, true);
}

void exec_umwait(X86Cpu *c, const X86Insn *in)
{
    pause_for_time(c, in, unchanged(c, true));
    c->monitor.armed = false;
}

bool x86_in_mwait(const X86Cpu *c)
{
    return c->vcpu.halted && c->monitor.waiting;
}

bool x86_mwait_over(X86Cpu *c)
{
    X86Monitor *m = &c->monitor;
    uint8_t now[X86_MONITOR_LINE];
    bool masked = m->masked_too && (atomic_load(&c->vcpu.requests) & VCPU_INTR);

    if (!x86_in_mwait(c) || (!masked && look(c, now) && memcmp(now, m->line, sizeof(now)) == 0)) {
        return false;
    }
    c->vcpu.halted = m->waiting = false;
    return true;
}
