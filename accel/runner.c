/*
 * The vCPU threads: each runs guest code while the machine runs, and parks when it does not.
 *
 *   runner_resume: `running` becomes true, every thread is woken
 *   runner_pause:  when every thread has come to run, `running` becomes false, VCPU_STOP makes every
 *                  accelerator return; the caller sleeps, without the machine lock, until all threads are parked
 *
 * A pause waits for threads that the host is late to wake: else a processor that stops at a breakpoint soon after
 * each resume would keep the others from ever running.
 *
 * A thread parks on its own after a triple fault, a breakpoint or a failure: it has asked the
 * machine to reset, pause or fail, and starts again with the next runner_resume().
 */
#include "reverse.h"
#include "runner.h"

#include "core/icount.h"
#include "target/x86/exec.h"
#include "util/error.h"

typedef struct Start {
    Runner *runner;
    Vcpu *vcpu;                 /* NULL: all of them */
} Start;

enum { SLICE = 1 << 30 };       /* instructions; requests end a slice sooner */
enum { FIRST_LOOK_US = 50, LAST_LOOK_US = 2000 };

/* Sleep until a resume later than `since`; false: the thread is to end. */
static bool park(Runner *r, uint64_t *since)
{
    g_mutex_lock(&r->lock);
    r->parked++;
    g_cond_broadcast(&r->changed);
    while (!r->quitting && (!r->running || r->resumes == *since)) {
        g_cond_wait(&r->changed, &r->lock);
    }
    r->parked--;
    r->late -= *since != r->resumes;
    *since = r->resumes;
    g_cond_broadcast(&r->changed);
    bool go = !r->quitting;
    g_mutex_unlock(&r->lock);
    return go;
}

/* Until something wakes the processor.  MWAIT's line is looked at less and less often: at first a wake-up is
 * near, later the host's time counts more. */
static void wait_halted(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    unsigned us = FIRST_LOOK_US;

    for (uint32_t seen = atomic_load(&v->requests); !x86_interrupt_due(c) && !x86_mwait_over(c);
         seen = atomic_load(&v->requests)) {
        if (x86_in_mwait(c)) {
            vcpu_wait_for(v, seen, us);
            us = MIN(2 * us, (unsigned)LAST_LOOK_US);
        } else {
            vcpu_wait(v, seen);
        }
    }
}

RunStop runner_ended(Runner *r, Vcpu *v, RunExit why, bool step, const GError *err)
{
    Machine *m = r->accel->machine;

    switch (why) {
    case RUN_BUDGET:
        if (!step) {
            break;
        }
        machine_request(m, MACHINE_PAUSE);
        return STOP_STEP;
    case RUN_SHUTDOWN:
        machine_request(m, r->catch_shutdown ? MACHINE_PAUSE : MACHINE_RESET);
        return STOP_SHUTDOWN;
    case RUN_DEBUG:
        machine_request(m, MACHINE_PAUSE);
        return STOP_DEBUG;
    case RUN_FAILED:
        machine_fail(m, "vCPU %u: %s", v->index, err ? err->message : "the accelerator failed");
        break;
    case RUN_REQUEST: case RUN_HALTED:
        break;
    }
    return STOP_NONE;
}

/* Runs guest code until this thread has to park.  A step that is done counts even if somebody else
 * wants to pause at the same time, and so does a breakpoint: neither comes again. */
static RunStop run_until_parked(Runner *r, Vcpu *v, bool step)
{
    v->hold_interrupts = step && !v->halted;
    for (;;) {
        g_autoptr(GError) err = NULL;
        RunExit why = r->accel->ops->run(r->accel, v, step ? 1 : SLICE, &err);
        bool stop = atomic_load(&v->requests) & VCPU_STOP;
        RunStop ended = runner_ended(r, v, why, step, err);
        if (ended != STOP_NONE || why == RUN_FAILED) {
            return ended;
        }
        if (why == RUN_HALTED) {
            v->hold_interrupts = false;
            wait_halted(v);
        }
        if (stop) {
            return STOP_NONE;
        }
    }
}

/* From one resume to the next pause. */
static void take_turn(Runner *r, Vcpu *v)
{
    Slot *s = &r->slots[v->index];

    if (s->plan == PLAN_STAY) {
        return;
    }
    if (s->stop == STOP_SHUTDOWN) {
        machine_request(r->accel->machine, MACHINE_RESET);
        return;
    }
    s->stop = run_until_parked(r, v, s->plan == PLAN_STEP);
    v->hold_interrupts = false;
}

static gpointer vcpu_thread(gpointer data)
{
    Start *s = data;
    Runner *r = s->runner;
    Vcpu *v = s->vcpu;
    uint64_t since = 0;

    g_free(s);
    vcpu_set_current(v);
    while (park(r, &since)) {
        if (v) {
            take_turn(r, v);
        } else {
            counted_turn(r);
        }
    }
    return NULL;
}

Runner *runner_new(Accel *a, GError **errp)
{
    Machine *m = a->machine;
    Runner *r = g_new0(Runner, 1);

    r->accel = a;
    g_mutex_init(&r->lock);
    g_cond_init(&r->changed);
    for (guint i = 0; i < m->vcpus->len; i++) {
        if (!a->ops->vcpu_create(a, g_ptr_array_index(m->vcpus, i), errp)) {
            while (i--) {
                a->ops->vcpu_destroy(a, g_ptr_array_index(m->vcpus, i));
            }
            g_free(r);
            return NULL;
        }
    }
    r->n_vcpus = m->vcpus->len;
    r->n_threads = m->icount ? 1 : r->n_vcpus;
    r->threads = g_new0(GThread *, r->n_threads);
    r->slots = g_new0(Slot, r->n_vcpus);
    if (m->icount) {
        m->icount->insns = counted_insns;
    }
    for (unsigned i = 0; i < r->n_threads; i++) {
        Start *s = g_new(Start, 1);
        *s = (Start){ r, m->icount ? NULL : g_ptr_array_index(m->vcpus, i) };
        g_autofree char *name = g_strdup_printf("vcpu%u", i);
        r->threads[i] = g_thread_new(name, vcpu_thread, s);
    }
    return r;
}

static void stop_all(Runner *r)
{
    for (unsigned i = 0; i < r->n_vcpus; i++) {
        vcpu_raise(g_ptr_array_index(r->accel->machine->vcpus, i), VCPU_STOP);
    }
}

void runner_pause(Runner *r)
{
    Machine *m = r->accel->machine;

    machine_unlock(m);      /* a vCPU may be waiting for it, to finish its instruction */
    g_mutex_lock(&r->lock);
    while (r->late) {
        g_cond_wait(&r->changed, &r->lock);
    }
    r->running = false;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
    stop_all(r);
    g_mutex_lock(&r->lock);
    while (r->parked < r->n_threads) {
        g_cond_wait(&r->changed, &r->lock);
    }
    g_mutex_unlock(&r->lock);
    machine_lock(m);
    for (unsigned i = 0; i < r->n_vcpus; i++) {
        Vcpu *v = g_ptr_array_index(m->vcpus, i);
        vcpu_lower(v, VCPU_STOP);
        if (r->accel->ops->lazy_state) {
            r->accel->ops->pull(r->accel, v);
        }
        r->slots[i].plan = PLAN_RUN;
    }
    clock_stop(m->clock);
}

void runner_resume(Runner *r)
{
    for (unsigned i = 0; r->accel->ops->lazy_state && !r->running && i < r->n_vcpus; i++) {
        r->accel->ops->push(r->accel, g_ptr_array_index(r->accel->machine->vcpus, i));
    }
    clock_resume(r->accel->machine->clock);
    g_mutex_lock(&r->lock);
    if (!r->running) {
        for (unsigned i = 0; i < r->n_vcpus; i++) {     /* not left to the threads: one may get no turn */
            if (r->slots[i].plan != PLAN_STAY && r->slots[i].stop != STOP_SHUTDOWN) {
                r->slots[i].stop = STOP_NONE;
            }
        }
        r->running = true;
        r->resumes++;
        r->late = r->n_threads;
        g_cond_broadcast(&r->changed);
    }
    g_mutex_unlock(&r->lock);
}

bool runner_running(const Runner *r)
{
    return r->running;
}

void runner_plan(Runner *r, unsigned vcpu, RunPlan plan)
{
    r->slots[vcpu].plan = plan;
}

RunStop runner_stop(const Runner *r, unsigned vcpu)
{
    return r->slots[vcpu].stop;
}

void runner_catch_shutdown(Runner *r, bool on)
{
    r->catch_shutdown = on;
}

void runner_reset(Runner *r)
{
    for (unsigned i = 0; i < r->n_vcpus; i++) {
        r->slots[i].stop = STOP_NONE;
    }
}

void runner_keep_history(Runner *r, bool on)
{
    const Icount *ic = r->accel->machine->icount;

    if (!ic || !ic->history || (!on && (!r->reverse || ic->stays))) {
        return;
    }
    if (!r->reverse) {
        r->reverse = reverse_new(r->accel, ic->history);
    }
    reverse_keep(r->reverse, on);
}

void runner_forget_history(Runner *r)
{
    reverse_forget(r->reverse);
}

char *runner_no_reverse(const Runner *r)
{
    if (!r->accel->machine->icount) {
        return g_strdup("that needs a machine whose time is counted: -icount, or -rr");
    }
    return r->reverse ? reverse_refused(r->reverse) : g_strdup("with history=0 there is nothing to go back to");
}

void runner_reverse(Runner *r, ReverseWhat what, unsigned vcpu)
{
    reverse_ask(r->reverse, what, vcpu);
}

bool runner_reversing(const Runner *r)
{
    return reverse_busy(r->reverse);
}

Accel *runner_accel(Runner *r)
{
    return r->accel;
}

void runner_free(Runner *r)
{
    g_mutex_lock(&r->lock);
    r->quitting = true;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
    stop_all(r);
    for (unsigned i = 0; i < r->n_threads; i++) {
        g_thread_join(r->threads[i]);
    }
    for (unsigned i = 0; i < r->n_vcpus; i++) {
        Vcpu *v = g_ptr_array_index(r->accel->machine->vcpus, i);
        vcpu_lower(v, VCPU_STOP);
        r->accel->ops->vcpu_destroy(r->accel, v);
    }
    reverse_free(r->reverse);
    g_free(r->threads);
    g_free(r->slots);
    g_cond_clear(&r->changed);
    g_mutex_clear(&r->lock);
    g_free(r);
}
