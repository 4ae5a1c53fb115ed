/*
 * target/x86/exec/monitor.c - MONITOR and MWAIT (SDM volume 2; volume 3A 8.10.2 to 8.10.4).
 *
 * MWAIT halts until an interrupt, or until the line that MONITOR named is not what it was.  Nobody tells of
 * stores: whoever waits for the processor looks at the line now and then, and a value stored that was there
 * already goes unseen - as it does to software, which looks at the value itself.
 */
#include "rights.h"

#include "gen/x86-exec.h"

static bool enabled(const X86Cpu *c)
{
    return c->cpl == 0 && (c->misc_enable & MISC_MONITOR);
}

/* False: the line is not RAM. */
static bool look(X86Cpu *c, uint8_t *line)
{
    return as_read(c->vcpu.mem, c->monitor.at, line, X86_MONITOR_LINE) == MEM_OK;
}

void exec_monitor(X86Cpu *c, const X86Insn *in)
{
    X86Monitor *m = &c->monitor;
    uint64_t off = c->regs[X86_RAX] & ~0ull >> (64 - in->addrsize);
    hwaddr gpa;

    require_ud(c, enabled(c));
    require_gp(c, (uint32_t)c->regs[X86_RCX] == 0);
    uint64_t linear = x86_linear(c, in->segment, off, 1, false);
    x86_ld(c, linear, 1);                               /* its faults are those of a load */
    m->armed = x86_translate_debug(c, linear, &gpa);
    if (m->armed) {
        m->at = gpa & ~(hwaddr)(X86_MONITOR_LINE - 1);
        m->armed = look(c, m->line);
    }
}

void exec_mwait(X86Cpu *c, const X86Insn *in)
{
    X86Monitor *m = &c->monitor;
    uint8_t now[X86_MONITOR_LINE];

    require_ud(c, enabled(c));
    require_gp(c, (uint32_t)c->regs[X86_RCX] <= 1);
    if (m->armed && look(c, now) && memcmp(now, m->line, sizeof(now)) == 0) {
        m->waiting = true;
        m->masked_too = c->regs[X86_RCX] & 1;
        c->vcpu.halted = true;
    }
    m->armed = false;
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
