/*
 * The vCPU threads: each runs guest code while the machine runs, and parks when it does not.
 *
 *   runner_resume: `running` becomes true, every thread is woken
 *   runner_pause:  `running` becomes false, VCPU_STOP makes every accelerator return; the caller
 *                  sleeps, without the machine lock, until all threads are parked
 *
 * A thread parks on its own after a triple fault, a breakpoint or a failure: it has asked the
 * machine to reset, pause or fail, and starts again with the next runner_resume().
 */
#include "accel/accel.h"

#include "target/x86/exec.h"
#include "util/error.h"

struct Runner {
    Accel *accel;
    GMutex lock;                /* guards what follows; inside the machine lock, never around it */
    GCond changed;
    bool running, quitting;
    unsigned parked;            /* threads that sleep in park() */
    uint64_t resumes;           /* counts runner_resume(): a parked thread waits for the next */
    unsigned n_threads;
    GThread **threads;
};

typedef struct Start {
    Runner *runner;
    Vcpu *vcpu;
} Start;

enum { SLICE = 1 << 30 };       /* instructions; requests end a slice sooner */

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
    *since = r->resumes;
    bool go = !r->quitting;
    g_mutex_unlock(&r->lock);
    return go;
}

/* Runs guest code until this thread has to park. */
static void run_until_parked(Runner *r, Vcpu *v)
{
    Machine *m = r->accel->machine;
    X86Cpu *c = x86_cpu(v);

    for (;;) {
        g_autoptr(GError) err = NULL;
        RunExit why = r->accel->ops->run(r->accel, v, SLICE, &err);
        if (atomic_load(&v->requests) & VCPU_STOP) {
            return;
        }
        switch (why) {
        case RUN_BUDGET:
        case RUN_REQUEST:
            break;
        case RUN_HALTED:
            for (uint32_t seen = atomic_load(&v->requests); !x86_interrupt_due(c);
                 seen = atomic_load(&v->requests)) {
                vcpu_wait(v, seen);
            }
            break;
        case RUN_SHUTDOWN:
            machine_request(m, MACHINE_RESET);
            return;
        case RUN_DEBUG:
            machine_request(m, MACHINE_PAUSE);
            return;
        case RUN_FAILED:
            machine_fail(m, "vCPU %u: %s", v->index, err ? err->message : "the accelerator failed");
            return;
        }
    }
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
        run_until_parked(r, v);
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
    r->n_threads = m->vcpus->len;
    r->threads = g_new0(GThread *, r->n_threads);
    for (unsigned i = 0; i < r->n_threads; i++) {
        Start *s = g_new(Start, 1);
        *s = (Start){ r, g_ptr_array_index(m->vcpus, i) };
        g_autofree char *name = g_strdup_printf("vcpu%u", i);
        r->threads[i] = g_thread_new(name, vcpu_thread, s);
    }
    return r;
}

static void stop_all(Runner *r)
{
    for (unsigned i = 0; i < r->n_threads; i++) {
        vcpu_raise(g_ptr_array_index(r->accel->machine->vcpus, i), VCPU_STOP);
    }
}

void runner_pause(Runner *r)
{
    Machine *m = r->accel->machine;

    g_mutex_lock(&r->lock);
    r->running = false;
    g_mutex_unlock(&r->lock);
    stop_all(r);
    machine_unlock(m);      /* a vCPU may be waiting for it, to finish its instruction */
    g_mutex_lock(&r->lock);
    while (r->parked < r->n_threads) {
        g_cond_wait(&r->changed, &r->lock);
    }
    g_mutex_unlock(&r->lock);
    machine_lock(m);
    for (unsigned i = 0; i < r->n_threads; i++) {
        vcpu_lower(g_ptr_array_index(m->vcpus, i), VCPU_STOP);
    }
    clock_stop(m->clock);
}

void runner_resume(Runner *r)
{
    clock_resume(r->accel->machine->clock);
    g_mutex_lock(&r->lock);
    if (!r->running) {
        r->running = true;
        r->resumes++;
        g_cond_broadcast(&r->changed);
    }
    g_mutex_unlock(&r->lock);
}

bool runner_running(const Runner *r)
{
    return r->running;
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
    for (unsigned i = 0; i < r->n_threads; i++) {
        Vcpu *v = g_ptr_array_index(r->accel->machine->vcpus, i);
        vcpu_lower(v, VCPU_STOP);
        r->accel->ops->vcpu_destroy(r->accel, v);
    }
    g_free(r->threads);
    g_cond_clear(&r->changed);
    g_mutex_clear(&r->lock);
    g_free(r);
}
