/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline.  SDM vol. 3, 11.5.4.
 *
 * The timer counts guest nanoseconds (a 1 GHz bus clock) divided by the divide configuration.  It is
 * armed on the machine's clock only while someone can notice it expire; the count is computed.
 *
 * Not modelled: periods under 10 us are served every 10 us, the ticks between fall together (as two
 * requests of one vector do in the IRR anyway).
 */
#include "apic.h"

enum { MIN_PERIOD_NS = 10000, NS_PER_KHZ_TICK = 1000000 };

static unsigned divisor(const Apic *a)
{
    unsigned code = (a->divide & 3) | ((a->divide >> 1) & 4);   /* bits 3, 1, 0 */

    return 1u << ((code + 1) & 7);              /* 0: 2 ... 6: 128, 7: 1 */
}

static int64_t period_ns(const Apic *a)
{
    return (int64_t)a->initial_count * divisor(a);
}

static int64_t now_ns(const Apic *a)
{
    return clock_now(a->dev.machine->clock);
}

static uint32_t timer_mode(const Apic *a)
{
    return a->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

/* Guest time at which the vCPU's TSC reaches the deadline; INT64_MAX / 2 when that is beyond reach. */
static int64_t deadline_ns(const Apic *a)
{
    uint64_t ticks = a->tsc_deadline - a->vcpu->tsc_offset;

    if (ticks > (uint64_t)INT64_MAX / 2) {
        return INT64_MAX / 2;
    }
    return (int64_t)muldiv64(ticks, NS_PER_KHZ_TICK, a->vcpu->tsc_khz) + 1;
}

uint32_t apic_timer_count(const Apic *a)
{
    int64_t elapsed = now_ns(a) - a->count_start, period = period_ns(a);

    if (a->initial_count == 0 || timer_mode(a) == LVT_TSC_DEADLINE) {
        return 0;
    }
    if (elapsed < 0) {
        elapsed = 0;
    }
    if (timer_mode(a) == LVT_PERIODIC) {
        elapsed %= period;
    }
    return elapsed >= period ? 0 : a->initial_count - (uint32_t)(elapsed / divisor(a));
}

void apic_timer_rearm(Apic *a)
{
    int64_t now = now_ns(a), period = period_ns(a), elapsed = now - a->count_start;

    timer_cancel(&a->timer);
    if (timer_mode(a) == LVT_TSC_DEADLINE) {
        if (a->tsc_deadline) {
            timer_arm(&a->timer, vcpu_tsc(a->vcpu) >= a->tsc_deadline ? now : deadline_ns(a));
        }
    } else if (a->initial_count == 0 || (a->lvt[LVT_TIMER] & LVT_MASKED)) {
        return;
    } else if (timer_mode(a) == LVT_PERIODIC) {
        int64_t next = a->count_start + (elapsed / period + 1) * period;

        timer_arm(&a->timer, period < MIN_PERIOD_NS ? now + MIN_PERIOD_NS : next);
    } else if (elapsed < period) {
        timer_arm(&a->timer, a->count_start + period);
    }
}

static void apic_timer_fire(void *opaque)
{
    Apic *a = opaque;

    if (timer_mode(a) == LVT_TSC_DEADLINE) {
        /* The guest may have set its TSC back since the timer was armed. */
        if (vcpu_tsc(a->vcpu) >= a->tsc_deadline) {
            a->tsc_deadline = 0;
            apic_local_interrupt(a, LVT_TIMER);
        }
    } else {
        apic_local_interrupt(a, LVT_TIMER);
    }
    apic_timer_rearm(a);
}

void apic_timer_catch_up(Apic *a)
{
    if (timer_armed(&a->timer) && a->timer.deadline <= now_ns(a)) {
        timer_cancel(&a->timer);
        apic_timer_fire(a);
    }
}

void apic_timer_init(Apic *a)
{
    timer_init(&a->timer, a->dev.machine->clock, apic_timer_fire, a);
}

void apic_timer_load(Apic *a, uint32_t count)
{
    if (timer_mode(a) == LVT_TSC_DEADLINE) {
        return;                                 /* 11.5.4.1: such writes are ignored */
    }
    apic_timer_catch_up(a);
    a->initial_count = count;
    a->count_start = now_ns(a);
    apic_timer_rearm(a);
}

void apic_timer_set_divide(Apic *a, uint32_t divide)
{
    uint32_t left;

    apic_timer_catch_up(a);
    left = apic_timer_count(a);
    a->divide = divide & 0xb;
    a->count_start = now_ns(a) - (int64_t)(a->initial_count - left) * divisor(a);
    apic_timer_rearm(a);
}

void apic_timer_set_lvt(Apic *a, uint32_t val)
{
    uint32_t old = timer_mode(a);

    apic_timer_catch_up(a);
    a->lvt[LVT_TIMER] = val;
    if ((old == LVT_TSC_DEADLINE) != (timer_mode(a) == LVT_TSC_DEADLINE)) {
        a->initial_count = 0;                   /* 11.5.4.1: a change of this mode disarms */
        a->tsc_deadline = 0;
    }
    apic_timer_rearm(a);
}

bool apic_timer_set_deadline(void *apic, uint64_t tsc)
{
    Apic *a = apic;

    if (timer_mode(a) == LVT_TSC_DEADLINE) {    /* in other modes the write is ignored */
        apic_timer_catch_up(a);
        a->tsc_deadline = tsc;
        apic_timer_rearm(a);
        apic_timer_catch_up(a);                 /* a deadline in the past is due now */
    }
    return true;
}

uint64_t apic_timer_get_deadline(void *apic)
{
    const Apic *a = apic;

    return a->tsc_deadline;
}
