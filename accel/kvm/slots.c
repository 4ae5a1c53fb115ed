/*
 * accel/kvm/slots.c - guest memory as the kernel knows it: the RAM and ROM of the flat view, as slots.
 *
 * Whatever is in no slot comes back as an access to answer (KVM_EXIT_MMIO): device registers, and
 * writes to ROM.  When A20 is off the second MiB shows the first; above it the line is not modelled
 * here (the interpreter masks every address).
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include "util/bits.h"
#include "util/error.h"

enum { MIB = 1 << 20 };

static int by_address(gconstpointer a, gconstpointer b)
{
    const KvmSlot *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

/* The part of a section from lo to hi - 1, moved up by `move`. */
static void add_part(GArray *out, const MemSection *s, hwaddr lo, hwaddr hi, hwaddr move)
{
    hwaddr from = MAX(s->at, lo), to = MIN(s->at + s->len, hi);

    /* Slots are of whole pages; what is left over is answered access by access. */
    hwaddr up = (from + PAGE_SIZE - 1) & ~(hwaddr)(PAGE_SIZE - 1);
    to &= ~(hwaddr)(PAGE_SIZE - 1);
    if (from >= to || up >= to || ((uintptr_t)(s->host + (up - s->at)) & (PAGE_SIZE - 1))) {
        return;
    }
    KvmSlot slot = { up + move, to - up, s->host + (up - s->at), s->region, s->off + (up - s->at), s->readonly, 0 };
    g_array_append_val(out, slot);
}

typedef struct Collect { GArray *out; bool a20_off; } Collect;

static void collect(const MemSection *s, void *opaque)
{
    Collect *c = opaque;

    if (!s->host) {
        return;
    }
    if (!c->a20_off) {
        add_part(c->out, s, 0, ~(hwaddr)0, 0);
        return;
    }
    add_part(c->out, s, 0, MIB, 0);
    add_part(c->out, s, 0, MIB, MIB);
    add_part(c->out, s, 2 * MIB, ~(hwaddr)0, 0);
}

static bool same(const KvmSlot *a, const KvmSlot *b)
{
    return a->at == b->at && a->len == b->len && a->host == b->host && a->readonly == b->readonly;
}

static bool tell(Kvm *k, const KvmSlot *s, bool there)
{
    struct kvm_userspace_memory_region m = {
        .slot = s->id, .guest_phys_addr = s->at,
        .flags = s->readonly ? KVM_MEM_READONLY : kvm_dirty_wanted(k, s) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
        .memory_size = there ? s->len : 0, .userspace_addr = (uintptr_t)s->host,
    };

    return kvm_ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &m) >= 0;
}

static bool in(const GArray *list, const KvmSlot *s)
{
    for (guint i = 0; i < list->len; i++) {
        if (same(&g_array_index(list, KvmSlot, i), s)) {
            return true;
        }
    }
    return false;
}

static unsigned free_id(const GArray *slots)
{
    for (unsigned id = 0;; id++) {
        guint i;
        for (i = 0; i < slots->len && g_array_index(slots, KvmSlot, i).id != id; i++) {
        }
        if (i == slots->len) {
            return id;
        }
    }
}

/* Only what changed is told: a slot that goes away costs all processors their shadow of it.  Slots may
 * not overlap, so that the old go first. */
static bool update(Kvm *k, GError **errp)
{
    g_autoptr(GArray) now = g_array_new(false, false, sizeof(KvmSlot));
    Collect c = { now, k->a20_off };

    as_for_each(k->accel.machine->mem, collect, &c);
    for (guint i = 0; i < k->slots->len;) {
        KvmSlot *s = &g_array_index(k->slots, KvmSlot, i);
        if (in(now, s)) {
            i++;
            continue;
        }
        kvm_dirty_before_removal(k);
        tell(k, s, false);
        kvm_dirty_after_removal(k, s);
        g_array_remove_index(k->slots, i);
    }
    for (guint i = 0; i < now->len; i++) {
        KvmSlot *s = &g_array_index(now, KvmSlot, i);
        if (in(k->slots, s)) {
            continue;
        }
        s->id = free_id(k->slots);
        if (!tell(k, s, true)) {
            return kvm_failed(errp, errno, "KVM refuses %" G_GUINT64_FORMAT " KiB of memory at 0x%"
                              G_GINT64_MODIFIER "x", s->len >> 10, s->at);
        }
        g_array_append_val(k->slots, *s);
    }
    g_array_sort(k->slots, by_address);
    return true;
}

void kvm_slots_log(Kvm *k)
{
    for (guint i = 0; i < k->slots->len; i++) {
        tell(k, &g_array_index(k->slots, KvmSlot, i), true);
    }
}

static void update_or_fail(Kvm *k)
{
    g_autoptr(GError) err = NULL;

    if (!update(k, &err)) {
        machine_fail(k->accel.machine, "%s", err->message);
    }
}

static void mem_changed(MemListener *l)
{
    update_or_fail(container_of(l, Kvm, mem_listener));
}

bool kvm_slots_init(Kvm *k, GError **errp)
{
    k->slots = g_array_new(false, false, sizeof(KvmSlot));
    k->mem_listener = (MemListener){
        .changed = mem_changed, .code_changed = kvm_dirty_by_others, .take_dirty = kvm_dirty_region,
    };
    as_listen(k->accel.machine->mem, &k->mem_listener);
    return update(k, errp);
}

void kvm_slots_fini(Kvm *k)
{
    if (k->slots) {
        as_unlisten(k->accel.machine->mem, &k->mem_listener);
        g_array_free(k->slots, true);
    }
}

void kvm_slots_set_a20(Kvm *k, bool on)
{
    if (k->a20_off == on) {
        k->a20_off = !on;
        update_or_fail(k);
    }
}
