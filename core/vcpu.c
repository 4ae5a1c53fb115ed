/*
 * The processor handle: requests, posted work, waiting.
 */
#include "core/vcpu.h"

#include "core/machine.h"
#include "util/handoff.h"

typedef struct Work {
    void (*fn)(Vcpu *c, void *arg);
    void *arg;
} Work;

static _Thread_local Vcpu *current;

Vcpu *vcpu_current(void)
{
    return current;
}

void vcpu_set_current(Vcpu *c)
{
    current = c;
}

void vcpu_init(Vcpu *c, Machine *m, unsigned index)
{
    c->index = index;
    c->apic_id = machine_apic_id(m, index);
    c->machine = m;
    c->mem = m->mem;
    c->io = m->io;
    c->a20_mask = ~0ull;
    c->calm = 1;
    c->tsc_khz = VCPU_TSC_KHZ;
    g_mutex_init(&c->lock);
    g_cond_init(&c->wake);
    as_reader_add(m->mem, &c->mem_reader);
    as_reader_add(m->io, &c->io_reader);
}

void vcpu_fini(Vcpu *c)
{
    as_reader_remove(&c->mem_reader);
    as_reader_remove(&c->io_reader);
    g_slist_free_full(c->work, g_free);
    g_cond_clear(&c->wake);
    g_mutex_clear(&c->lock);
}

void vcpu_set_intctl(Vcpu *c, const IntCtl *ops, void *opaque)
{
    c->intctl = ops;
    c->intctl_opaque = opaque;
}

void vcpu_set_kick(Vcpu *c, void (*kick)(Vcpu *c))
{
    g_mutex_lock(&c->lock);
    c->kick = kick;
    g_mutex_unlock(&c->lock);
}

/* The empty critical section orders the bit before a waiter's test: without it the wake-up could
 * fall between the test and the sleep. */
/* Whoever changes `requests` comes here afterwards: the last one sees what it has become. */
static void requests_changed(Vcpu *c)
{
    atomic_store(&c->calm, !atomic_load(&c->requests));
}

void vcpu_raise(Vcpu *c, VcpuRequest what)
{
    if (!(atomic_fetch_or(&c->requests, what) & what)) {
        g_mutex_lock(&c->lock);
        requests_changed(c);
        g_cond_broadcast(&c->wake);
        if (c->kick) {
            c->kick(c);
        }
        g_mutex_unlock(&c->lock);
    }
}

void vcpu_lower(Vcpu *c, VcpuRequest what)
{
    if (atomic_fetch_and(&c->requests, ~(uint32_t)what) & what) {
        g_mutex_lock(&c->lock);
        requests_changed(c);
        g_mutex_unlock(&c->lock);
    }
}

void vcpu_start_at(Vcpu *c, uint8_t vector)
{
    c->sipi_vector = vector;
    vcpu_raise(c, VCPU_SIPI);
}

void vcpu_post(Vcpu *c, void (*fn)(Vcpu *c, void *arg), void *arg)
{
    Work *w = g_new(Work, 1);

    *w = (Work){ fn, arg };
    g_mutex_lock(&c->lock);
    c->work = g_slist_append(c->work, w);
    handoff_give(&c->work);
    g_mutex_unlock(&c->lock);
    vcpu_raise(c, VCPU_WORK);
}

void vcpu_run_work(Vcpu *c)
{
    vcpu_lower(c, VCPU_WORK);
    g_mutex_lock(&c->lock);
    handoff_take(&c->work);
    GSList *list = c->work;
    c->work = NULL;
    g_mutex_unlock(&c->lock);
    for (GSList *l = list; l; l = l->next) {
        const Work *w = l->data;
        w->fn(c, w->arg);
    }
    g_slist_free_full(list, g_free);
}

void vcpu_wait(Vcpu *c, uint32_t seen)
{
    g_mutex_lock(&c->lock);
    while (!(atomic_load(&c->requests) & ~seen)) {
        g_cond_wait(&c->wake, &c->lock);
    }
    g_mutex_unlock(&c->lock);
}

void vcpu_wait_for(Vcpu *c, uint32_t seen, unsigned us)
{
    gint64 end = g_get_monotonic_time() + us;

    g_mutex_lock(&c->lock);
    while (!(atomic_load(&c->requests) & ~seen) && g_cond_wait_until(&c->wake, &c->lock, end)) {
    }
    g_mutex_unlock(&c->lock);
}

static void set_a20_mask(Vcpu *c, void *arg)
{
    c->a20_mask = arg ? ~0ull : ~(1ull << 20);
    if (c->map_changed) {
        c->map_changed(c);
    }
}

void vcpu_set_a20(Vcpu *c, bool on)
{
    vcpu_post(c, set_a20_mask, on ? c : NULL);
}

uint64_t vcpu_tsc(const Vcpu *c)
{
    return muldiv64(clock_now(c->machine->clock), c->tsc_khz, 1000000) + c->tsc_offset;
}
