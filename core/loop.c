/*
 * The event loop on a GMainContext of its own, driven by hand so that the machine lock is dropped
 * for the poll and for nothing else.
 */
#include "core/loop.h"

#include <glib-unix.h>
#include "util/handoff.h"

struct Loop {
    GMainContext *context;
    Clock *clock;
    GMutex mutex;
    GThread *_Atomic owner;     /* of the mutex; for loop_locked() */
    unsigned again;             /* how often the owner has locked it since */
    GMutex gate;                /* the loop holds it while it waits for the mutex */
    _Atomic bool gate_shut;
    GArray *fds;                /* GPollFD, reused between polls */
    Past *pasts;
    unsigned pasts_version;
};

struct LoopWatch {
    GSource *source;
    LoopFdFn *fn;
    void *opaque;
    int fd;
};

typedef struct Post {
    LoopFn *fn;
    void *opaque;
} Post;

void loop_wake(Loop *l)
{
    g_main_context_wakeup(l->context);
}

static void wake_for_timer(void *opaque)
{
    loop_wake(opaque);
}

Loop *loop_new(Clock *clock)
{
    Loop *l = g_new0(Loop, 1);

    l->context = g_main_context_new();
    l->clock = clock;
    g_mutex_init(&l->mutex);
    g_mutex_init(&l->gate);
    l->fds = g_array_new(FALSE, FALSE, sizeof(GPollFD));
    clock_on_rearm(clock, wake_for_timer, l);
    return l;
}

void loop_free(Loop *l)
{
    g_main_context_unref(l->context);
    g_array_free(l->fds, TRUE);
    g_mutex_clear(&l->mutex);
    g_mutex_clear(&l->gate);
    g_free(l);
}

Clock *loop_clock(const Loop *l)
{
    return l->clock;
}

void loop_add_past(Loop *l, Past *p)
{
    p->next = l->pasts;
    l->pasts = p;
    l->pasts_version++;
}

void loop_remove_past(Loop *l, Past *p)
{
    for (Past **at = &l->pasts; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            l->pasts_version++;
            return;
        }
    }
}

unsigned loop_pasts_version(const Loop *l)
{
    return l->pasts_version;
}

Past *loop_pasts(const Loop *l)
{
    return l->pasts;
}

GMainContext *loop_context(Loop *l)
{
    return l->context;
}

static void take_mutex(Loop *l)
{
    g_mutex_lock(&l->mutex);
    handoff_take(&l->mutex);
    l->owner = g_thread_self();
}

void loop_lock(Loop *l)
{
    if (loop_locked(l)) {
        l->again++;
        return;
    }
    if (l->gate_shut) {
        g_mutex_lock(&l->gate);
        g_mutex_unlock(&l->gate);
    }
    take_mutex(l);
}

/* GMutex goes to whoever asks first after it was dropped, which a vCPU that polls a register does again
 * and again before the loop's thread has even been woken: timers and interrupts would stand still for
 * seconds.  So the loop shuts the gate first, and a vCPU that comes then waits its turn. */
static void lock_before_others(Loop *l)
{
    g_mutex_lock(&l->gate);
    l->gate_shut = true;
    take_mutex(l);
    l->gate_shut = false;
    g_mutex_unlock(&l->gate);
}

void loop_unlock(Loop *l)
{
    if (l->again) {
        l->again--;
        return;
    }
    l->owner = NULL;
    handoff_give(&l->mutex);
    g_mutex_unlock(&l->mutex);
}

bool loop_locked(const Loop *l)
{
    return l->owner == g_thread_self();
}

/* The shorter of two waits in ns, -1 meaning for ever; as poll()'s milliseconds, rounded up so that
 * the loop does not spin through the last fraction of one. */
static int poll_timeout(int64_t a, int64_t b, int glib_ms)
{
    int64_t ns = a < 0 ? b : b < 0 ? a : MIN(a, b);
    int64_t ms = ns < 0 ? -1 : (ns + NS_PER_MS - 1) / NS_PER_MS;

    if (glib_ms >= 0 && (ms < 0 || glib_ms < ms)) {
        ms = glib_ms;
    }
    return MIN(ms, 60000);
}

void loop_run(Loop *l, int64_t max_ns)
{
    gint priority, glib_ms;

    lock_before_others(l);
    if (!g_main_context_acquire(l->context)) {
        loop_unlock(l);
        g_return_if_reached();
    }
    g_main_context_prepare(l->context, &priority);
    gint need;
    while ((need = g_main_context_query(l->context, priority, &glib_ms, (GPollFD *)(void *)l->fds->data,
                                        l->fds->len)) > (gint)l->fds->len) {
        g_array_set_size(l->fds, need);
    }
    int ms = poll_timeout(clock_host_wait(l->clock), max_ns, glib_ms);
    loop_unlock(l);
    g_poll((GPollFD *)(void *)l->fds->data, need, ms);
    lock_before_others(l);
    clock_run(l->clock);
    if (g_main_context_check(l->context, priority, (GPollFD *)(void *)l->fds->data, need)) {
        g_main_context_dispatch(l->context);
    }
    g_main_context_release(l->context);
    loop_unlock(l);
}

static gboolean watch_ready(gint fd, GIOCondition cond, gpointer data)
{
    LoopWatch *w = data;
    unsigned events = 0;

    events |= cond & G_IO_IN ? LOOP_IN : 0;
    events |= cond & G_IO_OUT ? LOOP_OUT : 0;
    events |= cond & (G_IO_HUP | G_IO_ERR | G_IO_NVAL) ? LOOP_HUP : 0;
    w->fn(w->opaque, fd, events);
    return G_SOURCE_CONTINUE;
}

LoopWatch *loop_watch(Loop *l, int fd, unsigned events, LoopFdFn *fn, void *opaque)
{
    LoopWatch *w = g_new0(LoopWatch, 1);
    GIOCondition cond = G_IO_HUP | G_IO_ERR;

    cond |= events & LOOP_IN ? G_IO_IN : 0;
    cond |= events & LOOP_OUT ? G_IO_OUT : 0;
    w->fn = fn;
    w->opaque = opaque;
    w->fd = fd;
    w->source = g_unix_fd_source_new(fd, cond);
    g_source_set_callback(w->source, G_SOURCE_FUNC(watch_ready), w, g_free);
    g_source_attach(w->source, l->context);
    return w;
}

/* The watch's memory goes with its source, which GLib keeps while a callback of it runs. */
void loop_unwatch(LoopWatch *w)
{
    if (w) {
        GSource *source = w->source;
        g_source_destroy(source);
        g_source_unref(source);
    }
}

static gboolean post_run(gpointer data)
{
    Post *p = data;

    handoff_take(p);
    p->fn(p->opaque);
    return G_SOURCE_REMOVE;
}

void loop_post(Loop *l, LoopFn *fn, void *opaque)
{
    GSource *s = g_idle_source_new();
    Post *p = g_new(Post, 1);

    *p = (Post){ fn, opaque };
    handoff_give(p);
    g_source_set_priority(s, G_PRIORITY_DEFAULT);
    g_source_set_callback(s, post_run, p, g_free);
    g_source_attach(s, l->context);
    g_source_unref(s);
}
