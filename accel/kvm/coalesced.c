/*
 * accel/kvm/coalesced.c - writes to device registers that the kernel queues instead of leaving the guest
 * (KVM_REGISTER_COALESCED_MMIO, memory and ports): regions that say region_set_coalesced().
 *
 * There is one ring for all processors, in the order of their writes.  It is emptied before anything else that
 * a processor wants is looked at, and when a device asks (as_flush_writes()).
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "util/bits.h"

typedef struct Zone { hwaddr at, len; bool ports; } Zone;

struct KvmQueue {
    Kvm *kvm;
    struct kvm_coalesced_mmio_ring *ring;       /* a page that the kernel shares with us */
    long page;                                  /* of a processor's file: where the ring is */
    bool ports;                                 /* the kernel queues writes to ports, too */
    bool flushing;
    MemListener mem, io;
    GArray *zones;                              /* of Zone: as the kernel knows them */
    uint64_t writes;
};

enum { RING_ENTRIES = (PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio) };

/* ---- the ring ---- */

static void store(KvmQueue *q, const struct kvm_coalesced_mmio *e)
{
    Machine *m = q->kvm->accel.machine;
    uint64_t val = 0;

    memcpy(&val, e->data, MIN(e->len, sizeof(val)));
    as_store(e->pio ? m->io : m->mem, e->phys_addr, val, e->len);
    q->writes++;
}

static bool empty(const KvmQueue *q)
{
    return q->ring->first == __atomic_load_n(&q->ring->last, __ATOMIC_ACQUIRE);
}

void kvm_queue_flush(KvmQueue *q)
{
    if (!q || !q->ring || empty(q)) {
        return;
    }
    machine_lock(q->kvm->accel.machine);
    if (!q->flushing) {                         /* a device that is written may ask for a flush itself */
        q->flushing = true;
        while (!empty(q)) {
            struct kvm_coalesced_mmio e = q->ring->coalesced_mmio[q->ring->first % RING_ENTRIES];
            __atomic_store_n(&q->ring->first, (q->ring->first + 1) % RING_ENTRIES, __ATOMIC_RELEASE);
            store(q, &e);
        }
        q->flushing = false;
    }
    machine_unlock(q->kvm->accel.machine);
}

uint64_t kvm_queue_writes(const KvmQueue *q)
{
    return q ? q->writes : 0;
}

/* ---- zones ---- */

typedef struct Collect { GArray *out; bool ports; } Collect;

static void collect(const MemSection *s, void *opaque)
{
    Collect *c = opaque;
    Zone z = { s->at, s->len, c->ports };

    if (!s->host && s->coalesced) {
        g_array_append_val(c->out, z);
    }
}

static bool in(const GArray *list, const Zone *z)
{
    for (guint i = 0; i < list->len; i++) {
        const Zone *o = &g_array_index(list, Zone, i);
        if (o->at == z->at && o->len == z->len && o->ports == z->ports) {
            return true;
        }
    }
    return false;
}

static bool tell(const KvmQueue *q, unsigned long request, const Zone *z)
{
    struct kvm_coalesced_mmio_zone zone = { .addr = z->at, .size = (uint32_t)z->len, .pio = z->ports };

    return kvm_ioctl(q->kvm->vm, request, &zone) >= 0;
}

/* A zone that the kernel does not take costs an exit for each write, and nothing else. */
static void update(KvmQueue *q)
{
    if (!q->ring) {
        return;
    }
    g_autoptr(GArray) now = g_array_new(false, true, sizeof(Zone));
    Machine *m = q->kvm->accel.machine;

    as_for_each(m->mem, collect, &(Collect){ now, false });
    if (q->ports) {
        as_for_each(m->io, collect, &(Collect){ now, true });
    }
    for (guint i = 0; i < q->zones->len;) {
        const Zone *z = &g_array_index(q->zones, Zone, i);
        if (in(now, z)) {
            i++;
            continue;
        }
        tell(q, KVM_UNREGISTER_COALESCED_MMIO, z);
        g_array_remove_index_fast(q->zones, i);
    }
    for (guint i = 0; i < now->len; i++) {
        const Zone *z = &g_array_index(now, Zone, i);
        if (!in(q->zones, z) && tell(q, KVM_REGISTER_COALESCED_MMIO, z)) {
            g_array_append_val(q->zones, *z);
        }
    }
}

static void mem_changed(MemListener *l) { update(container_of(l, KvmQueue, mem)); }
static void io_changed(MemListener *l) { update(container_of(l, KvmQueue, io)); }
static void mem_flush(MemListener *l) { kvm_queue_flush(container_of(l, KvmQueue, mem)); }

/* ---- life ---- */

/* The ring is in the file of every processor, and the same in all. */
void kvm_queue_map(KvmQueue *q, int vcpu)
{
    if (!q || q->ring) {
        return;
    }
    void *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, q->page * PAGE_SIZE);
    if (page != MAP_FAILED) {
        q->ring = page;
        update(q);
    }
}

/* NULL: this kernel has none. */
KvmQueue *kvm_queue_new(Kvm *k)
{
    int page = ioctl(k->vm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
    Machine *m = k->accel.machine;

    if (page <= 0) {
        return NULL;
    }
    KvmQueue *q = g_new0(KvmQueue, 1);
    q->kvm = k;
    q->page = page;
    q->ports = kvm_has(k, KVM_CAP_COALESCED_PIO);
    q->zones = g_array_new(false, true, sizeof(Zone));
    q->mem = (MemListener){ .changed = mem_changed, .flush = mem_flush };
    q->io = (MemListener){ .changed = io_changed };
    as_listen(m->mem, &q->mem);
    as_listen(m->io, &q->io);
    return q;
}

void kvm_queue_free(KvmQueue *q)
{
    if (!q) {
        return;
    }
    as_unlisten(q->kvm->accel.machine->mem, &q->mem);
    as_unlisten(q->kvm->accel.machine->io, &q->io);
    if (q->ring) {
        munmap(q->ring, PAGE_SIZE);
    }
    g_array_free(q->zones, true);
    g_free(q);
}
