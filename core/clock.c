/*
 * Guest time and its timers: a sorted list, which for the dozen timers of a PC beats any heap.
 *
 * A running host clock is host monotonic time plus an offset; stopping freezes it.  offset and
 * frozen are read by any thread, hence atomics; a vCPU never runs while the clock is stopped, so
 * the pair needs no more order than that.
 */
#include "core/clock.h"

#include <glib.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

struct Clock {
    bool manual;                /* clock_step(), or counted, moves it */
    int64_t (*counted)(void *opaque);   /* ns, beside `frozen`; NULL: nothing */
    void *counted_opaque;
    bool is_counted;
    GThread *again;             /* on which what happens has happened before; NULL: none */
    _Atomic bool running;
    _Atomic int64_t offset;     /* running: guest = host + offset */
    _Atomic int64_t frozen;     /* stopped, or manual: guest time */
    Timer *timers;              /* by deadline */
    void (*rearm)(void *opaque);
    void *rearm_opaque;
};

static int64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

Clock *clock_new_host(void)
{
    return g_new0(Clock, 1);
}

Clock *clock_new_manual(void)
{
    Clock *c = g_new0(Clock, 1);

    c->manual = true;
    return c;
}

Clock *clock_new_counted(void)
{
    Clock *c = clock_new_manual();

    c->is_counted = true;
    return c;
}

void clock_count_by(Clock *c, int64_t (*counted)(void *opaque), void *opaque)
{
    c->counted = counted;
    c->counted_opaque = opaque;
}

bool clock_counted(const Clock *c)
{
    return c->is_counted;
}

void clock_free(Clock *c)
{
    g_free(c);
}

int64_t clock_now(const Clock *c)
{
    if (c->counted) {
        return atomic_load(&c->frozen) + c->counted(c->counted_opaque);
    }
    return atomic_load(&c->running) && !c->manual ? host_now() + atomic_load(&c->offset) : atomic_load(&c->frozen);
}

bool clock_running(const Clock *c)
{
    return c->manual || atomic_load(&c->running);
}

void clock_stop(Clock *c)
{
    if (!c->manual && atomic_load(&c->running)) {
        atomic_store(&c->frozen, clock_now(c));
        atomic_store(&c->running, false);
    }
}

void clock_resume(Clock *c)
{
    if (!c->manual && !atomic_load(&c->running)) {
        atomic_store(&c->offset, atomic_load(&c->frozen) - host_now());
        atomic_store(&c->running, true);
    }
}

void clock_set(Clock *c, int64_t ns)
{
    atomic_store(&c->frozen, c->counted ? ns - c->counted(c->counted_opaque) : ns);
    atomic_store(&c->offset, ns - host_now());
}

int64_t clock_next_deadline(const Clock *c)
{
    return c->timers ? c->timers->deadline : -1;
}

int64_t clock_host_wait(const Clock *c)
{
    if (!c->timers || c->manual || !atomic_load(&c->running)) {
        return -1;
    }
    return MAX(c->timers->deadline - clock_now(c), 0);
}

static void fire_first(Clock *c)
{
    Timer *t = c->timers;

    c->timers = t->next;
    t->deadline = -1;
    t->fn(t->opaque);
}

/* A timer that re-arms itself in the past must not keep the loop from its other work: what is left
 * after so many fires at the next call. */
enum { FIRE_AT_MOST = 1000 };

unsigned clock_fire(Clock *c)
{
    int64_t now = clock_now(c);
    unsigned n = 0;

    for (; n < FIRE_AT_MOST && clock_running(c) && c->timers && c->timers->deadline <= now; n++) {
        fire_first(c);
    }
    return n;
}

void clock_run(Clock *c)
{
    if (!c->is_counted) {
        clock_fire(c);
    }
}

void clock_skip(Clock *c, int64_t to_ns)
{
    atomic_fetch_add(&c->frozen, to_ns - clock_now(c));
}

void clock_step(Clock *c, int64_t ns)
{
    int64_t end = atomic_load(&c->frozen) + ns;

    while (c->timers && c->timers->deadline <= end) {
        if (c->timers->deadline > atomic_load(&c->frozen)) {
            atomic_store(&c->frozen, c->timers->deadline);
        }
        fire_first(c);
    }
    atomic_store(&c->frozen, end);
}

void clock_on_rearm(Clock *c, void (*fn)(void *opaque), void *opaque)
{
    c->rearm = fn;
    c->rearm_opaque = opaque;
}

void timer_init(Timer *t, Clock *c, TimerFn *fn, void *opaque)
{
    *t = (Timer){ .clock = c, .fn = fn, .opaque = opaque, .deadline = -1 };
}

void timer_cancel(Timer *t)
{
    if (!timer_armed(t)) {
        return;
    }
    for (Timer **p = &t->clock->timers; *p; p = &(*p)->next) {
        if (*p == t) {
            *p = t->next;
            break;
        }
    }
    t->deadline = -1;
}

void timer_arm(Timer *t, int64_t deadline_ns)
{
    Clock *c = t->clock;
    Timer **p = &c->timers;

    timer_cancel(t);
    t->deadline = MAX(deadline_ns, 0);
    while (*p && (*p)->deadline <= t->deadline) {
        p = &(*p)->next;
    }
    t->next = *p;
    *p = t;
    if (c->timers == t && c->rearm) {
        c->rearm(c->rearm_opaque);
    }
}

/* ---- a time to go back to ---- */

struct ClockState {
    int64_t frozen;
    guint n;
    struct { Timer *timer; int64_t deadline; } armed[];
};

ClockState *clock_state_new(const Clock *c)
{
    guint n = 0;

    for (const Timer *t = c->timers; t; t = t->next) {
        n++;
    }
    ClockState *s = g_malloc0(sizeof(*s) + n * sizeof(s->armed[0]));
    s->frozen = atomic_load(&c->frozen);
    for (Timer *t = c->timers; t; t = t->next) {
        s->armed[s->n].timer = t;
        s->armed[s->n++].deadline = t->deadline;
    }
    return s;
}

void clock_state_load(Clock *c, const ClockState *s)
{
    atomic_store(&c->frozen, s->frozen);
    while (c->timers) {
        timer_cancel(c->timers);
    }
    for (guint i = 0; i < s->n; i++) {
        timer_arm(s->armed[i].timer, s->armed[i].deadline);
    }
}

void clock_state_free(ClockState *s)
{
    g_free(s);
}

void clock_set_again(Clock *c, bool again)
{
    c->again = again ? g_thread_self() : NULL;
}

bool clock_again(const Clock *c)
{
    return c->again && c->again == g_thread_self();
}
