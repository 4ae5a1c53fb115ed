/*
 * accel/counted.c - the driver: one thread that runs all processors by turns, where time is a number of
 * instructions (core/icount.h).
 *
 * A step is what happens between two moments at which others may have the machine lock: timers that are due are
 * fired, then a slice of one processor is run, which ends no later than the next timer; or, when all are
 * idle, time skips to that timer.  Where slices end changes nothing but for what comes from outside;
 * whose turn it is depends on the numbers in Icount alone.
 */
#include "reverse.h"
#include "runner.h"

#include "core/icount.h"
#include "core/replay.h"
#include "target/x86/exec.h"

enum { SLICE_INSNS = 50000, TURN_INSNS = 20000 };
enum { LOOK_US = 10000 };       /* while idle: at least so often somebody may want to pause */

static X86Cpu *cpu_at(const Machine *m, unsigned i)
{
    return x86_cpu(g_ptr_array_index(m->vcpus, i));
}

uint64_t counted_insns(Machine *m)
{
    uint64_t n = 0;

    for (guint i = 0; i < m->vcpus->len; i++) {
        n += cpu_at(m, i)->insn_count;
    }
    return n;
}

static bool runnable(X86Cpu *c)
{
    return !c->vcpu.halted || x86_interrupt_due(c) || x86_mwait_over(c);
}

/* The processor whose turn it is; NULL: all are idle. */
static X86Cpu *pick(Machine *m)
{
    Icount *ic = m->icount;

    if (ic->turn_left && runnable(cpu_at(m, ic->turn))) {
        return cpu_at(m, ic->turn);
    }
    for (guint i = 1; i <= m->vcpus->len; i++) {
        unsigned next = (ic->turn + i) % m->vcpus->len;
        if (runnable(cpu_at(m, next))) {
            ic->turn = next;
            ic->turn_left = TURN_INSNS;
            return cpu_at(m, next);
        }
    }
    return NULL;
}

/* Instructions until the next timer is due; 0: it is. */
static uint64_t until_timer(Machine *m)
{
    int64_t deadline = clock_next_deadline(m->clock), now = clock_now(m->clock);

    if (deadline < 0) {
        return UINT64_MAX;
    }
    return deadline <= now ? 0 : ((uint64_t)(deadline - now - 1) >> m->icount->shift) + 1;
}

/* Without the lock: until somebody has something, or for `us`. */
static void wait_outside(Runner *r, int64_t us)
{
    machine_unlock(r->accel->machine);
    g_mutex_lock(&r->lock);
    if (r->running) {
        g_cond_wait_until(&r->changed, &r->lock, g_get_monotonic_time() + us);
    }
    g_mutex_unlock(&r->lock);
    machine_lock(r->accel->machine);
}

/* All wait for an interrupt.  Host time and the guest's go on together from where the guest became idle, if they are
 * to, until the next timer is due; what comes from outside meanwhile finds the time as it is then. */
static void idle(Runner *r)
{
    Machine *m = r->accel->machine;
    Icount *ic = m->icount;
    int64_t deadline = clock_next_deadline(m->clock), now = clock_now(m->clock), host = g_get_monotonic_time();

    if (ic->sleep && !replay_replaying(ic->replay)) {
        if (!ic->idle_since) {
            ic->idle_since = host;
            ic->idle_from = now;
        }
        int64_t then = MAX(ic->idle_from + (host - ic->idle_since) * NS_PER_US, now);
        if (deadline < 0 || then < deadline) {
            clock_skip(m->clock, then);
            wait_outside(r, deadline < 0 ? LOOK_US : MIN((deadline - then) / NS_PER_US + 1, LOOK_US));
            return;
        }
    }
    ic->idle_since = 0;
    if (deadline < 0) {
        replay_starved(ic->replay, m);
        wait_outside(r, LOOK_US);
        return;
    }
    clock_skip(m->clock, MAX(deadline, now));
    ic->fired += clock_fire(m->clock);
}

/* `step`: a debugger wants one instruction of this processor. */
static RunStop slice(Runner *r, X86Cpu *c, bool step)
{
    Machine *m = r->accel->machine;
    Icount *ic = m->icount;
    Vcpu *v = &c->vcpu;
    g_autoptr(GError) err = NULL;
    uint64_t most = MIN(MIN(until_timer(m), replay_room(ic->replay, m)), MIN(ic->turn_left, (uint64_t)SLICE_INSNS));
    uint64_t before = c->insn_count;

    most = MIN(most, reverse_room(r->reverse, c));
    /* A timer that is due still, after as many as are fired at once, must not stop the guest for ever */
    most = step ? 1 : MAX(most, 1u);
    ic->idle_since = 0;
    vcpu_set_current(v);
    RunExit why = r->accel->ops->run(r->accel, v, most, &err);
    vcpu_set_current(NULL);
    vcpu_lower(v, VCPU_STOP);
    uint64_t done = c->insn_count - before;
    ic->turn_left -= MIN(done, ic->turn_left);
    if (why == RUN_HALTED) {
        ic->turn_left = 0;
    }
    /* What made it runnable was nothing after all: that must not keep time from going on */
    ic->in_vain = why == RUN_HALTED && !done ? ic->in_vain + 1 : 0;
    if (why == RUN_DEBUG && reverse_busy(r->reverse)) {
        reverse_hit(r->reverse, c);
        return STOP_NONE;
    }
    return runner_ended(r, v, why == RUN_REQUEST && step && done ? RUN_BUDGET : why, step, err);
}

/* False: the machine stops here. */
static bool step(Runner *r)
{
    Machine *m = r->accel->machine;
    Icount *ic = m->icount;

    if (r->reverse) {
        unsigned vcpu;
        RunStop stop = reverse_step(r->reverse, &vcpu);
        if (stop != STOP_NONE) {
            r->slots[vcpu].stop = stop;
            return false;
        }
    }
    bool came = replay_due(ic->replay, m);
    if (replay_ended(ic->replay)) {
        machine_request(m, MACHINE_PAUSE);
        r->slots[ic->turn].stop = STOP_END;
        return false;
    }
    if (came) {
        return true;                    /* it may have asked for something that is served first */
    }
    ic->fired += clock_fire(m->clock);
    X86Cpu *c = pick(m);
    if (!c || ic->in_vain >= m->vcpus->len) {
        ic->in_vain = 0;
        idle(r);
        return true;
    }
    Slot *s = &r->slots[c->vcpu.index];
    if (s->stop == STOP_SHUTDOWN) {     /* it was caught, and is to do now what hardware does */
        machine_request(m, MACHINE_RESET);
        return true;
    }
    s->stop = slice(r, c, s->plan == PLAN_STEP && !reverse_busy(r->reverse));
    return s->stop == STOP_NONE;
}

void counted_turn(Runner *r)
{
    Machine *m = r->accel->machine;

    machine_lock(m);
    m->icount->driver = g_thread_self();
    m->icount->idle_since = 0;
    while (r->running && !r->quitting) {
        if (atomic_load(&m->requests) & ~(uint32_t)MACHINE_PAUSE) {
            wait_outside(r, LOOK_US / 10);
        } else if (!step(r)) {
            break;
        }
        machine_unlock(m);
        machine_lock(m);
    }
    machine_unlock(m);
}
