/*
 * core/clock.h - time, and things that happen at a time.
 *
 * Device models use only the machine's guest clock: it stops with the machine, is saved with it,
 * and a test steps it by hand.  Host time is for user interfaces and statistics.
 *
 * clock_now() is for any thread; all else is called with the machine lock held.  A timer armed from
 * a vCPU thread wakes the loop through the on_rearm hook.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll
#define NS_PER_US 1000ll

typedef struct Clock Clock;
typedef void TimerFn(void *opaque);

typedef struct Timer {      /* embedded by value in its owner; fields belong to core/clock.c */
    Clock *clock;
    TimerFn *fn;
    void *opaque;
    int64_t deadline;       /* ns; -1: not armed */
    struct Timer *next;
} Timer;

Clock *clock_new_host(void);            /* follows the host's monotonic clock; made stopped, at 0 */
Clock *clock_new_manual(void);          /* moves only by clock_step(): tests */
/* Guest time is what `counted` says, in ns, plus what clock_skip() has added: -icount.  Its timers are fired by
 * who counts, with clock_fire(), never by the loop; clock_now() needs the machine lock. */
Clock *clock_new_counted(void);
void clock_count_by(Clock *c, int64_t (*counted)(void *opaque), void *opaque);
bool clock_counted(const Clock *c);
void clock_skip(Clock *c, int64_t to_ns);
unsigned clock_fire(Clock *c);          /* what is due, in order; how many that were */
void clock_free(Clock *c);
int64_t clock_now(const Clock *c);      /* ns of guest time since the machine was created */
bool clock_running(const Clock *c);
void clock_stop(Clock *c);
void clock_resume(Clock *c);
void clock_set(Clock *c, int64_t ns);   /* a loaded state's time */
void clock_step(Clock *c, int64_t ns);  /* manual clocks: move on, firing timers in order */
int64_t clock_next_deadline(const Clock *c);    /* ns, or -1: no timer armed */
int64_t clock_host_wait(const Clock *c);        /* host ns until the next deadline; -1: for ever */
void clock_run(Clock *c);               /* fire what is due */
void clock_on_rearm(Clock *c, void (*fn)(void *opaque), void *opaque);

/* A counted clock's time, and which timers are armed, in their order; the timers must be there still. */
typedef struct ClockState ClockState;
ClockState *clock_state_new(const Clock *c);
void clock_state_load(Clock *c, const ClockState *s);
void clock_state_free(ClockState *s);
/* What this thread does now has happened before, and what it says to the outside was said then. */
void clock_set_again(Clock *c, bool again);
bool clock_again(const Clock *c);

void timer_init(Timer *t, Clock *c, TimerFn *fn, void *opaque);
void timer_arm(Timer *t, int64_t deadline_ns);  /* replaces an earlier deadline */
void timer_cancel(Timer *t);
static inline bool timer_armed(const Timer *t) { return t->deadline >= 0; }

/* a * b / c without overflow in between; c is never 0. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
