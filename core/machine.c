/*
 * One machine: what its parts share.
 */
#include "core/machine.h"
#include "core/replay.h"
#include "util/bits.h"

#include <stdarg.h>
#include <string.h>

Machine *machine_new(Clock *clock)
{
    Machine *m = g_new0(Machine, 1);

    m->clock = clock;
    m->loop = loop_new(clock);
    region_init(&m->mem_root, "memory", 1ull << 52);
    region_init(&m->io_root, "io", 1 << 16);
    m->mem = as_new("memory", &m->mem_root, m->loop);
    m->io = as_new("I/O", &m->io_root, m->loop);
    m->vcpus = g_ptr_array_new();
    m->devices = g_ptr_array_new();
    m->rams = g_ptr_array_new();
    m->services = g_hash_table_new(g_str_hash, g_str_equal);
    m->next_ids = g_hash_table_new(g_str_hash, g_str_equal);
    return m;
}

void machine_free(Machine *m)
{
    while (m->devices->len) {
        device_free(g_ptr_array_index(m->devices, m->devices->len - 1));
    }
    g_ptr_array_free(m->devices, TRUE);
    g_ptr_array_free(m->rams, TRUE);
    g_ptr_array_free(m->vcpus, TRUE);
    g_hash_table_destroy(m->services);
    g_hash_table_destroy(m->next_ids);
    region_fini(&m->mem_root);
    region_fini(&m->io_root);
    as_free(m->mem);
    as_free(m->io);
    loop_free(m->loop);
    clock_free(m->clock);
    g_strfreev(m->globals);
    g_free(m->fail_text);
    g_free(m->icount);
    g_free(m);
}

void machine_reset(Machine *m)
{
    memory_begin(m->mem);
    memory_begin(m->io);
    for (guint i = 0; i < m->devices->len; i++) {
        Device *d = g_ptr_array_index(m->devices, i);
        if (d->cls->reset) {
            d->cls->reset(d);
        }
    }
    for (guint i = 0; i < m->devices->len; i++) {
        Device *d = g_ptr_array_index(m->devices, i);
        if (d->cls->settle) {
            d->cls->settle(d);
        }
    }
    memory_commit(m->io);
    memory_commit(m->mem);
    for (MachineWatch *w = m->watches; w; w = w->next) {
        if (w->reset_done) {
            w->reset_done(w->opaque);
        }
    }
}

void machine_request(Machine *m, MachineRequest what)
{
    const MachineRequest outside = MACHINE_RESET | MACHINE_POWERDOWN;
    uint8_t data[4];

    st32le(data, what);
    if (m->icount && (what & outside) && !replay_enter(m, REPLAY_REQUEST, "", data, sizeof(data))) {
        return;
    }
    atomic_fetch_or(&m->requests, what);
    if (m->icount) {
        icount_cut(m);                  /* it is served before another instruction */
    }
    loop_wake(m->loop);
}

void machine_quit(Machine *m, int status)
{
    /* What ends a recorded guest is the end of its recording, from where a debugger may want to go back */
    if (m->icount && m->icount->stays && g_thread_self() == m->icount->driver) {
        icount_cut(m);
        return;
    }
    if (!(atomic_load(&m->requests) & MACHINE_QUIT)) {
        m->quit_status = status;
    }
    machine_request(m, MACHINE_QUIT);
}

void machine_fail(Machine *m, const char *fmt, ...)
{
    va_list ap;

    if (!m->fail_text) {
        va_start(ap, fmt);
        m->fail_text = g_strdup_vprintf(fmt, ap);
        va_end(ap);
    }
    machine_request(m, MACHINE_FAILED);
}

void machine_watch(Machine *m, MachineWatch *w)
{
    w->next = m->watches;
    m->watches = w;
}

void machine_unwatch(Machine *m, MachineWatch *w)
{
    for (MachineWatch **p = &m->watches; *p; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            return;
        }
    }
}

Device *machine_find(Machine *m, const char *id)
{
    Device *by_class = NULL;

    for (guint i = 0; i < m->devices->len; i++) {
        Device *d = g_ptr_array_index(m->devices, i);
        if (!strcmp(d->id, id)) {
            return d;
        }
        if (!by_class && !strcmp(d->cls->name, id)) {
            by_class = d;
        }
    }
    return by_class;
}

Bus *machine_find_bus(Machine *m, const char *name)
{
    Bus *by_kind = NULL;

    for (Bus *b = m->buses; b; b = b->next) {
        if (b->id && !strcmp(b->id, name)) {
            return b;
        }
        if (!strcmp(b->cls->name, name)) {
            by_kind = b;        /* the list runs backwards: ends at the first made */
        }
    }
    return by_kind;
}

void machine_provide(Machine *m, const char *service, void *object)
{
    g_hash_table_insert(m->services, (void *)service, object);
}

void *machine_service(Machine *m, const char *service)
{
    return g_hash_table_lookup(m->services, service);
}

/* ---- topology ---- */

CpuTopology machine_topology(const Machine *m)
{
    CpuTopology t = m->topology;

    if (!t.cores) {
        return (CpuTopology){ 1, 1, MAX(m->vcpus->len, 1u), 1 };
    }
    return t;
}

unsigned machine_id_bits(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n) {
        bits++;
    }
    return bits;
}

uint32_t machine_apic_id(const Machine *m, unsigned index)
{
    const CpuTopology *t = &m->topology;

    if (!t->cores) {
        return index;
    }
    const unsigned levels[] = { t->threads, t->cores, t->dies };
    uint32_t id = 0;
    unsigned shift = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        id |= (uint32_t)(index % levels[i]) << shift;
        index /= levels[i];
        shift += machine_id_bits(levels[i]);
    }
    return id | index << shift;
}
