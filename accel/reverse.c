/*
 * accel/reverse.c - backwards by running forwards (reverse.h).
 *
 *   step      the last state in which the processor had executed less, then on until it has executed one
 *             instruction less than now
 *   continue  from the last state on, stops are counted, up to where it was (SEARCH); from the same state on again
 *             to the last of them (GO); when there was none, the same with the state before
 *
 * A breakpoint stops before its instruction, and so it does backwards.  A watchpoint is seen behind the
 * access; backwards the machine stops before it, where memory is as it was.
 */
#include "reverse.h"

#include "core/replay.h"
#include "target/x86/exec.h"
#include "util/error.h"

typedef enum Phase { NOTHING, STEP, SEARCH, GO } Phase;

struct Reverse {
    Accel *accel;
    Machine *m;
    History *history;
    uint64_t memory;            /* for states, and as much for what came from outside */
    bool keeps;
    IcountPosition furthest;    /* what is before that has happened already */
    ReverseWhat asked;
    Phase phase;
    unsigned vcpu;              /* whom gdb asked for; then, who has stopped */
    unsigned state;             /* from which this goes on */
    uint64_t until;             /* STEP: of the processor; SEARCH, and GO to a watchpoint: of all */
    uint64_t go_to;             /* where the last stop is, of all */
    unsigned stops, last;       /* SEARCH: so many so far, the last that counts; GO: so many to come.  0: none */
    bool watch, hit_write;      /* the last was one, and: */
    X86Watch hit;
};

static uint64_t insns(const Reverse *v)
{
    return icount_position(v->m).insns;
}

/* An idle guest's timers fire while nothing is executed. */
static bool is_before(IcountPosition a, IcountPosition b)
{
    return a.insns < b.insns || (a.insns == b.insns && a.fired < b.fired);
}

/* What was said between here and the furthest is not said again. */
static void mind_output(Reverse *v)
{
    clock_set_again(v->m->clock, is_before(icount_position(v->m), v->furthest));
}

Reverse *reverse_new(Accel *a, uint64_t memory)
{
    Reverse *v = g_new0(Reverse, 1);

    v->accel = a;
    v->m = a->machine;
    v->memory = memory;
    v->history = history_new(a, memory);
    return v;
}

void reverse_free(Reverse *v)
{
    if (v) {
        history_free(v->history);
        g_free(v);
    }
}

bool reverse_possible(const Reverse *v)
{
    return v && history_count(v->history);
}

void reverse_forget(Reverse *v)
{
    if (v) {
        history_forget(v->history);
        v->furthest = icount_position(v->m);
        mind_output(v);
        replay_forget(v->m->icount->replay);
    }
}

void reverse_keep(Reverse *v, bool on)
{
    v->keeps = on;
    if (!on) {
        reverse_ask(v, REVERSE_NOT, 0);
        history_forget(v->history);
    }
    replay_keep(v->m->icount->replay, on);
}

char *reverse_refused(const Reverse *v)
{
    return history_refused(v->history);
}

void reverse_ask(Reverse *v, ReverseWhat what, unsigned vcpu)
{
    v->asked = what;
    v->vcpu = vcpu;
    v->phase = NOTHING;
}

bool reverse_busy(const Reverse *v)
{
    return v && (v->asked != REVERSE_NOT || v->phase != NOTHING);
}

static X86Cpu *cpu_at(const Reverse *v, unsigned i)
{
    return x86_cpu(g_ptr_array_index(v->m->vcpus, i));
}

static void go_back(Reverse *v, unsigned state)
{
    g_autoptr(GError) err = NULL;

    v->state = state;
    v->stops = 0;
    if (!history_back(v->history, state, &err)) {
        machine_fail(v->m, "going back: %s", err->message);
    }
    mind_output(v);
}

static RunStop done(Reverse *v, RunStop why, unsigned *vcpu)
{
    v->phase = NOTHING;
    v->asked = REVERSE_NOT;
    *vcpu = v->vcpu;
    machine_request(v->m, MACHINE_PAUSE);
    return why;
}

/* The last state for which fn gives less than `bound`; -1: none. */
static int last_below(const Reverse *v, uint64_t bound, bool of_vcpu)
{
    for (unsigned i = history_count(v->history); i-- > 0; ) {
        uint64_t n = of_vcpu ? history_insns_of(v->history, i, v->vcpu) : history_at(v->history, i).insns;
        if (n < bound) {
            return (int)i;
        }
    }
    return -1;
}

static RunStop begin(Reverse *v, unsigned *vcpu)
{
    uint64_t now = v->asked == REVERSE_STEP ? cpu_at(v, v->vcpu)->insn_count : insns(v);
    int state = last_below(v, now, v->asked == REVERSE_STEP);

    v->phase = v->asked == REVERSE_STEP ? STEP : SEARCH;
    v->until = now - (v->asked == REVERSE_STEP);
    v->asked = REVERSE_NOT;
    if (state < 0) {
        if (history_count(v->history)) {
            go_back(v, 0);
        }
        return done(v, STOP_BEGIN, vcpu);
    }
    v->last = 0;
    go_back(v, (unsigned)state);
    return STOP_NONE;
}

static RunStop searched(Reverse *v, unsigned *vcpu)
{
    if (v->last) {
        v->phase = GO;
        v->until = v->go_to;
        go_back(v, v->state);
    } else if (v->state == 0) {
        go_back(v, 0);
        return done(v, STOP_BEGIN, vcpu);
    } else {
        v->until = history_at(v->history, v->state).insns;
        go_back(v, v->state - 1);
    }
    return STOP_NONE;
}

/* Here nothing has been yet. */
static void keep(Reverse *v)
{
    const Replay *log = v->m->icount->replay;

    if (!replay_replaying(log) && replay_kept(log) > v->memory) {
        reverse_forget(v);
    }
    history_keep(v->history);
}

RunStop reverse_step(Reverse *v, unsigned *vcpu)
{
    if (is_before(v->furthest, icount_position(v->m))) {
        v->furthest = icount_position(v->m);
    }
    if (v->asked != REVERSE_NOT) {
        RunStop stop = begin(v, vcpu);
        if (stop != STOP_NONE) {
            return stop;
        }
    }
    uint64_t now = insns(v);
    mind_output(v);
    if (v->phase == NOTHING) {
        if (v->keeps && !is_before(icount_position(v->m), v->furthest)) {
            keep(v);
        }
    } else if (v->phase == STEP && cpu_at(v, v->vcpu)->insn_count >= v->until) {
        return done(v, STOP_STEP, vcpu);
    } else if (v->phase == SEARCH && now >= v->until) {
        return searched(v, vcpu);
    } else if (v->phase == GO && v->watch && now >= v->until) {
        X86Cpu *c = cpu_at(v, v->vcpu);
        c->debug.stop = true;
        c->debug.hit = v->hit;
        c->debug.hit_write = v->hit_write;
        return done(v, STOP_DEBUG, vcpu);
    } else if (v->phase == GO && !v->watch && v->stops == v->last) {
        return done(v, STOP_DEBUG, vcpu);
    }
    return STOP_NONE;
}

uint64_t reverse_room(const Reverse *v, const X86Cpu *c)
{
    uint64_t now = v ? insns(v) : 0;

    if (!v) {
        return UINT64_MAX;
    }
    if (v->phase == SEARCH || (v->phase == GO && v->watch)) {
        return v->until - now;
    }
    if (v->phase == STEP && c->vcpu.index == v->vcpu) {
        return v->until - c->insn_count;
    }
    return now < v->furthest.insns ? v->furthest.insns - now : UINT64_MAX;
}

void reverse_hit(Reverse *v, X86Cpu *c)
{
    uint64_t at = insns(v) - c->debug.stop;     /* before the access */

    v->stops++;
    if (v->phase != SEARCH || at >= v->until) {
        return;
    }
    v->last = v->stops;
    v->vcpu = c->vcpu.index;
    v->watch = c->debug.stop;
    v->hit = c->debug.hit;
    v->hit_write = c->debug.hit_write;
    v->go_to = at;
}
