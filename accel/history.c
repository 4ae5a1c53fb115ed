/*
 * accel/history.c - keeping states of a counted machine, and going back to one (history.h).
 *
 * Memory is compared with its copy as a whole each time: no accelerator has to tell what was written, and it
 * takes no longer than a fifth of the time, since the next state is kept so much later.
 */
#include "history.h"

#include <string.h>
#include <sys/mman.h>
#include "core/past.h"
#include "core/replay.h"
#include "target/x86/exec.h"
#include "util/error.h"

enum { INSNS_BETWEEN = 1 << 18, COST_FACTOR = 4 };

typedef struct State {
    IcountPosition at;
    unsigned turn, replay_next;
    uint64_t turn_left, random;
    ClockState *clock;
    GByteArray *devices;
    X86Cpu *cpus;               /* of all processors: x86_copy_state() of them, and what else is in Saved */
    GPtrArray *marks;           /* in the order of loop_pasts() */
    GHashTable *pages;          /* address of a page in its copy -> its bytes then; where the next state has others */
} State;

typedef struct Copy {           /* of a RAM region, as it was in the last state */
    const Region *of;
    uint8_t *bytes;
} Copy;

struct History {
    Accel *accel;
    Machine *m;
    GPtrArray *states;
    GArray *copies;             /* of Copy */
    uint64_t most, used;
    int64_t next_us;            /* host time of the next state */
    unsigned pasts;             /* loop_pasts_version() of all states */
};

static void free_state(gpointer data)
{
    State *s = data;

    g_ptr_array_free(s->marks, true);
    clock_state_free(s->clock);
    g_byte_array_free(s->devices, true);
    g_aligned_free(s->cpus);
    g_hash_table_destroy(s->pages);
    g_free(s);
}

History *history_new(Accel *a, uint64_t most)
{
    History *h = g_new0(History, 1);

    h->accel = a;
    h->m = a->machine;
    h->most = most;
    h->states = g_ptr_array_new_with_free_func(free_state);
    h->copies = g_array_new(false, false, sizeof(Copy));
    return h;
}

void history_free(History *h)
{
    if (!h) {
        return;
    }
    for (guint i = 0; i < h->copies->len; i++) {
        Copy *c = &g_array_index(h->copies, Copy, i);
        munmap(c->bytes, c->of->size);
    }
    g_ptr_array_free(h->states, true);
    g_array_free(h->copies, true);
    g_free(h);
}

static State *state_at(const History *h, unsigned i)
{
    return g_ptr_array_index(h->states, i);
}

unsigned history_count(const History *h)
{
    /* Behind a change of media there is no way back to before it */
    return h->pasts == loop_pasts_version(h->m->loop) ? h->states->len : 0;
}

IcountPosition history_at(const History *h, unsigned i)
{
    return state_at(h, i)->at;
}

uint64_t history_insns_of(const History *h, unsigned i, unsigned vcpu)
{
    return state_at(h, i)->cpus[vcpu].insn_count;
}

/* ---- memory ---- */

static bool copy_all(History *h)
{
    for (guint i = 0; i < h->m->rams->len; i++) {
        const Region *r = g_ptr_array_index(h->m->rams, i);
        Copy c = { r, mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) };
        if (c.bytes == MAP_FAILED) {
            return false;
        }
        g_array_append_val(h->copies, c);
    }
    return true;
}

/* The bytes of a page that is different now go to the state that had it, and the copy becomes as it is. */
static void keep_pages(History *h, State *last)
{
    for (guint i = 0; i < h->copies->len; i++) {
        const Copy *c = &g_array_index(h->copies, Copy, i);
        for (hwaddr at = 0; at < c->of->size; at += PAGE_SIZE) {
            uint8_t *copy = c->bytes + at;
            if (memcmp(copy, c->of->ram + at, PAGE_SIZE)) {
                if (last) {
                    g_hash_table_insert(last->pages, copy, g_memdup2(copy, PAGE_SIZE));
                    h->used += PAGE_SIZE;
                }
                memcpy(copy, c->of->ram + at, PAGE_SIZE);
            }
        }
    }
}

static uint8_t *live(const History *h, const uint8_t *copy)
{
    for (guint i = 0; i < h->copies->len; i++) {
        const Copy *c = &g_array_index(h->copies, Copy, i);
        if (copy >= c->bytes && copy < c->bytes + c->of->size) {
            return c->of->ram + (copy - c->bytes);
        }
    }
    g_return_val_if_reached(NULL);
}

static void memory_back(History *h, unsigned to)
{
    for (guint i = 0; i < h->copies->len; i++) {
        const Copy *c = &g_array_index(h->copies, Copy, i);
        for (hwaddr at = 0; at < c->of->size; at += PAGE_SIZE) {
            if (memcmp(c->of->ram + at, c->bytes + at, PAGE_SIZE)) {
                memcpy(c->of->ram + at, c->bytes + at, PAGE_SIZE);
            }
        }
    }
    for (unsigned i = h->states->len - 1; i-- > to; ) {
        GHashTableIter iter;
        gpointer page, bytes;
        g_hash_table_iter_init(&iter, state_at(h, i)->pages);
        while (g_hash_table_iter_next(&iter, &page, &bytes)) {
            memcpy(live(h, page), bytes, PAGE_SIZE);
        }
    }
}

/* The state between the two that are nearest to each other goes; its pages are those of the one before, where
 * that has none. */
static void thin_out(History *h)
{
    while (h->used > h->most && h->states->len > 2) {
        unsigned best = 1;
        uint64_t least = UINT64_MAX;
        for (unsigned i = 1; i + 1 < h->states->len; i++) {
            uint64_t gap = state_at(h, i + 1)->at.insns - state_at(h, i - 1)->at.insns;
            if (gap < least) {
                least = gap;
                best = i;
            }
        }
        State *s = state_at(h, best), *before = state_at(h, best - 1);
        GHashTableIter iter;
        gpointer page, bytes;
        g_hash_table_iter_init(&iter, s->pages);
        while (g_hash_table_iter_next(&iter, &page, &bytes)) {
            if (g_hash_table_contains(before->pages, page)) {
                h->used -= PAGE_SIZE;
            } else {
                g_hash_table_iter_steal(&iter);
                g_hash_table_insert(before->pages, page, bytes);
            }
        }
        g_ptr_array_remove_index(h->states, best);
    }
}

/* ---- devices and processors ---- */

static GByteArray *save_devices(Machine *m)
{
    GByteArray *out = g_byte_array_new();

    for (guint i = 0; i < m->devices->len; i++) {
        Device *d = g_ptr_array_index(m->devices, i);
        uint32_t len = 0;
        guint at = out->len;
        g_byte_array_append(out, (uint8_t *)&len, sizeof(len));
        if (d->cls->state) {
            state_save(d->cls->state, d, out);
        }
        len = out->len - at - sizeof(len);
        memcpy(out->data + at, &len, sizeof(len));
    }
    return out;
}

static bool load_devices(Machine *m, const GByteArray *from, GError **errp)
{
    const uint8_t *p = from->data;

    for (guint i = 0; i < m->devices->len; i++) {
        Device *d = g_ptr_array_index(m->devices, i);
        uint32_t len;
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);
        if (d->cls->state && !state_load(d->cls->state, d, p, len, errp)) {
            g_prefix_error(errp, "%s: ", d->id);
            return false;
        }
        p += len;
    }
    return true;
}

/* Settling drives wires, whose levels are of another time, and what they lead to may take that for news: so the
 * devices are loaded once more behind it. */
static bool devices_back(Machine *m, const GByteArray *from, GError **errp)
{
    memory_begin(m->mem);
    memory_begin(m->io);
    bool ok = load_devices(m, from, errp);
    for (guint i = 0; ok && i < m->devices->len; i++) {
        Device *d = g_ptr_array_index(m->devices, i);
        if (d->cls->settle) {
            d->cls->settle(d);
        }
    }
    ok = ok && load_devices(m, from, errp);
    memory_commit(m->io);
    memory_commit(m->mem);
    return ok;
}

static void save_cpu(X86Cpu *to, X86Cpu *from)
{
    vcpu_run_work(&from->vcpu);         /* it would be done before the next instruction */
    x86_copy_state(to, from);
    to->debug.pending = from->debug.pending;
    to->debug.alone = from->debug.alone;
    to->monitor = from->monitor;
    to->insn_count = from->insn_count;
    to->vcpu.sipi_vector = from->vcpu.sipi_vector;
    atomic_store(&to->vcpu.requests, atomic_load(&from->vcpu.requests) & ~(uint32_t)VCPU_STOP);
    atomic_store(&to->vcpu.ignne, atomic_load(&from->vcpu.ignne));
}

static void cpu_back(History *h, X86Cpu *to, const X86Cpu *from)
{
    vcpu_run_work(&to->vcpu);
    x86_copy_state(to, from);
    to->debug.pending = from->debug.pending;
    to->debug.alone |= from->debug.alone;
    to->debug.stop = to->debug.apart = false;
    to->monitor = from->monitor;
    to->insn_count = from->insn_count;
    to->cur = NULL;
    to->vcpu.sipi_vector = from->vcpu.sipi_vector;
    atomic_store(&to->vcpu.requests, atomic_load(&from->vcpu.requests));
    atomic_store(&to->vcpu.ignne, atomic_load(&from->vcpu.ignne));
    if (h->accel->ops->reset) {
        h->accel->ops->reset(h->accel, &to->vcpu);
    }
    h->accel->ops->flush(h->accel, &to->vcpu);
}

/* ---- states ---- */

static bool busy(Machine *m)
{
    for (const Past *p = loop_pasts(m->loop); p; p = p->next) {
        if (p->busy && p->busy(p->opaque)) {
            return true;
        }
    }
    return false;
}

char *history_refused(const History *h)
{
    for (const Past *p = loop_pasts(h->m->loop); p; p = p->next) {
        char *stuck = p->stuck ? p->stuck(p->opaque) : NULL;
        if (stuck) {
            return stuck;
        }
    }
    return NULL;
}

static State *new_state(Machine *m)
{
    State *s = g_new0(State, 1);
    const Icount *ic = m->icount;

    s->pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    s->at = icount_position(m);
    s->turn = ic->turn;
    s->turn_left = ic->turn_left;
    s->random = ic->random;
    s->replay_next = replay_next(ic->replay);
    s->clock = clock_state_new(m->clock);
    s->cpus = g_aligned_alloc0(m->vcpus->len, sizeof(X86Cpu), 64);
    for (guint i = 0; i < m->vcpus->len; i++) {
        save_cpu(&s->cpus[i], x86_cpu(g_ptr_array_index(m->vcpus, i)));
    }
    s->devices = save_devices(m);
    s->marks = g_ptr_array_new_with_free_func(g_free);
    for (const Past *p = loop_pasts(m->loop); p; p = p->next) {
        g_ptr_array_add(s->marks, p->mark ? p->mark(p->opaque) : NULL);
    }
    return s;
}

void history_forget(History *h)
{
    g_ptr_array_set_size(h->states, 0);
    h->used = 0;
    h->next_us = 0;
    h->pasts = loop_pasts_version(h->m->loop);
}

void history_keep(History *h)
{
    if (!history_count(h)) {
        history_forget(h);
    }
    State *last = h->states->len ? state_at(h, h->states->len - 1) : NULL;
    int64_t began = g_get_monotonic_time();

    if (last && (began < h->next_us || icount_position(h->m).insns < last->at.insns + INSNS_BETWEEN)) {
        return;
    }
    g_autofree char *refused = history_refused(h);
    if (refused || busy(h->m) || (!h->copies->len && !copy_all(h))) {
        return;
    }
    keep_pages(h, last);
    g_ptr_array_add(h->states, new_state(h->m));
    thin_out(h);
    h->next_us = g_get_monotonic_time() + COST_FACTOR * (g_get_monotonic_time() - began);
}

bool history_back(History *h, unsigned i, GError **errp)
{
    const State *s = state_at(h, i);
    Machine *m = h->m;
    Icount *ic = m->icount;
    guint n = 0;

    replay_leave(ic->replay, m);
    for (Past *p = loop_pasts(m->loop); p; p = p->next, n++) {
        if (p->back && g_ptr_array_index(s->marks, n)) {
            p->back(p->opaque, g_ptr_array_index(s->marks, n));
        }
    }
    memory_back(h, i);
    if (!devices_back(m, s->devices, errp)) {
        return false;
    }
    for (guint c = 0; c < m->vcpus->len; c++) {
        cpu_back(h, x86_cpu(g_ptr_array_index(m->vcpus, c)), &s->cpus[c]);
    }
    clock_state_load(m->clock, s->clock);
    ic->turn = s->turn;
    ic->turn_left = s->turn_left;
    ic->random = s->random;
    ic->fired = s->at.fired;
    replay_go_to(ic->replay, s->replay_next);
    return true;
}
