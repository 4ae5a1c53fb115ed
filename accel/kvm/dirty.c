/*
 * accel/kvm/dirty.c - which pages the guest has written: for who asks (AccelOps.dirty), from the first time on.
 *
 * The kernel keeps a ring for each processor (KVM_CAP_DIRTY_LOG_RING), which costs as much as was written; an
 * older one a bitmap for each slot (KVM_GET_DIRTY_LOG), which costs as much as there is memory.
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { RING_ENTRIES = 4096, RING_BYTES = RING_ENTRIES * sizeof(struct kvm_dirty_gfn) };

/* Before there are processors. */
void kvm_dirty_init(Kvm *k)
{
    static const unsigned kinds[] = { KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING };

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds) && !k->dirty_rings; i++) {
        struct kvm_enable_cap ring = { .cap = kinds[i], .args = { RING_BYTES } };
        k->dirty_rings = ioctl(k->vm, KVM_CHECK_EXTENSION, kinds[i]) >= RING_BYTES &&
            kvm_ioctl(k->vm, KVM_ENABLE_CAP, &ring) >= 0;
    }
}

bool kvm_dirty_map(KvmVcpu *v, GError **errp)
{
    if (!v->kvm->dirty_rings) {
        return true;
    }
    void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd,
                      KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
    if (ring == MAP_FAILED) {
        return kvm_failed(errp, errno, "cannot map the dirty ring of processor %u", v->cpu->vcpu.index);
    }
    v->dirty = ring;
    return true;
}

void kvm_dirty_unmap(KvmVcpu *v)
{
    if (v->dirty) {
        munmap(v->dirty, RING_BYTES);
    }
}

static const KvmSlot *slot_of(const Kvm *k, unsigned id)
{
    for (guint i = 0; i < k->slots->len; i++) {
        const KvmSlot *s = &g_array_index(k->slots, KvmSlot, i);
        if (s->id == id) {
            return s;
        }
    }
    return NULL;                        /* it went away meanwhile */
}

void kvm_dirty_take(KvmVcpu *v)
{
    Kvm *k = v->kvm;
    bool some = false;

    machine_lock(k->accel.machine);
    for (;; v->dirty_next++) {
        struct kvm_dirty_gfn *e = &v->dirty[v->dirty_next % RING_ENTRIES];
        if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY)) {
            break;
        }
        const KvmSlot *s = slot_of(k, e->slot & 0xffff);
        if (s) {
            g_hash_table_add(k->dirty, GSIZE_TO_POINTER(s->at + e->offset * PAGE_SIZE));
        }
        __atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        some = true;
    }
    if (some) {
        ioctl(k->vm, KVM_RESET_DIRTY_RINGS, 0);
    }
    machine_unlock(k->accel.machine);
}

static void take_bitmap(Kvm *k, const KvmSlot *s)
{
    size_t pages = s->len / PAGE_SIZE, words = (pages + 63) / 64;
    g_autofree uint64_t *bits = g_new0(uint64_t, words);
    struct kvm_dirty_log log = { .slot = s->id, .dirty_bitmap = bits };

    if (s->readonly || kvm_ioctl(k->vm, KVM_GET_DIRTY_LOG, &log) < 0) {
        return;
    }
    for (size_t i = 0; i < pages; i++) {
        if (bits[i / 64] >> (i % 64) & 1) {
            g_hash_table_add(k->dirty, GSIZE_TO_POINTER(s->at + i * PAGE_SIZE));
        }
    }
}

void kvm_dirty(Accel *a, void (*page)(void *opaque, hwaddr at), void *opaque)
{
    Kvm *k = (Kvm *)a;
    GHashTableIter iter;
    gpointer at;

    if (!k->dirty) {
        k->dirty = g_hash_table_new(NULL, NULL);
        kvm_slots_log(k);
    }
    for (guint i = 0; k->dirty_rings && i < a->machine->vcpus->len; i++) {
        kvm_dirty_take(((Vcpu *)g_ptr_array_index(a->machine->vcpus, i))->accel_data);
    }
    for (guint i = 0; !k->dirty_rings && i < k->slots->len; i++) {
        take_bitmap(k, &g_array_index(k->slots, KvmSlot, i));
    }
    g_hash_table_iter_init(&iter, k->dirty);
    while (g_hash_table_iter_next(&iter, &at, NULL)) {
        page(opaque, GPOINTER_TO_SIZE(at));
    }
    g_hash_table_remove_all(k->dirty);
}
