/*
 * core/loop.h - the one thread that runs device models and back ends, and the machine lock.
 *
 * The loop holds the machine lock whenever it calls anyone, and drops it only to poll.  A vCPU
 * thread takes the lock to leave guest code for a device.  Who holds the lock may
 * take it again.
 * loop_post(), loop_lock() and loop_wake() are for any thread; the rest needs the lock.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/clock.h"
#include "core/past.h"

typedef struct Loop Loop;
typedef struct LoopWatch LoopWatch;
typedef void LoopFn(void *opaque);
typedef void LoopFdFn(void *opaque, int fd, unsigned events);

enum { LOOP_IN = 1 << 0, LOOP_OUT = 1 << 1, LOOP_HUP = 1 << 2 };

Loop *loop_new(Clock *clock);                   /* fires the clock's timers; does not own it */
void loop_free(Loop *l);
Clock *loop_clock(const Loop *l);
void loop_add_past(Loop *l, Past *p);
void loop_remove_past(Loop *l, Past *p);
unsigned loop_pasts_version(const Loop *l);     /* changes when one comes or goes */
Past *loop_pasts(const Loop *l);                /* the first; then ->next */
GMainContext *loop_context(Loop *l);            /* for libraries that bring GSources */
/* Poll once (at most max_ns of host time, -1: as long as it takes), then fire timers, watches and
 * posts.  Called without the lock; returns without it. */
void loop_run(Loop *l, int64_t max_ns);
LoopWatch *loop_watch(Loop *l, int fd, unsigned events, LoopFdFn *fn, void *opaque);
void loop_unwatch(LoopWatch *w);                /* NULL is fine; safe inside its own callback */
void loop_post(Loop *l, LoopFn *fn, void *opaque);      /* runs later on the loop thread, in order */
void loop_wake(Loop *l);

void loop_lock(Loop *l);
void loop_unlock(Loop *l);
bool loop_locked(const Loop *l);                /* by this thread: for assertions */

#endif
