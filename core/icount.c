/*
 * Time as a number of instructions: what devices and the driver share.
 */
#include "core/icount.h"

static int64_t counted(void *opaque)
{
    Machine *m = opaque;

    return m->icount->insns ? (int64_t)(m->icount->insns(m) << m->icount->shift) : 0;
}

/* A timer that is due sooner than the slice was to end. */
static void rearmed(void *opaque)
{
    icount_cut(opaque);
}

Icount *icount_new(Machine *m, unsigned shift, bool sleep, uint64_t seed)
{
    Icount *ic = g_new0(Icount, 1);

    *ic = (Icount){ .shift = shift, .sleep = sleep, .random = seed };
    m->icount = ic;
    clock_count_by(m->clock, counted, m);
    clock_on_rearm(m->clock, rearmed, m);
    return ic;
}

IcountPosition icount_position(Machine *m)
{
    return (IcountPosition){ m->icount->insns ? m->icount->insns(m) : 0, m->icount->fired };
}

/* SplitMix64 (Steele, Lea, Flood 2014): any generator will do that has a state of one word. */
uint64_t icount_random(Icount *ic)
{
    uint64_t z = ic->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void icount_cut(Machine *m)
{
    Vcpu *v = vcpu_current();

    if (v && v->machine == m) {
        vcpu_raise(v, VCPU_STOP);
    }
}
