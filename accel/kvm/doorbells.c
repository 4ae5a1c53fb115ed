/*
 * accel/kvm/doorbells.c - registers whose write is a signal (core/doorbell.h): the kernel takes it to an eventfd and
 * the guest goes on (KVM_IOEVENTFD, Documentation/virt/kvm/api.rst 4.59).
 *
 * Where the doorbell is an interrupt that the kernel raises itself (KVM_IRQFD, irqchip.c) both have one eventfd, and
 * we never hear of it.  Else the loop's thread reads it and rings.
 */
#include "kvm.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "core/doorbell.h"
#include "util/bits.h"

typedef struct Bell {           /* one that the kernel knows */
    KvmDoorbells *all;
    const Doorbell *door;
    hwaddr at;
    unsigned size;
    bool ports;
    int fd;
    LoopWatch *watch;           /* NULL: fd is a pulse's */
} Bell;

struct KvmDoorbells {
    Kvm *kvm;
    MemListener mem, io;
    GPtrArray *bells;           /* of Bell */
    uint64_t rung;              /* that we have heard of */
};

static bool tell(const Bell *b, bool there)
{
    struct kvm_ioeventfd e = {
        .addr = b->at, .len = b->size, .fd = b->fd, .datamatch = b->door->value,
        .flags = (b->ports ? KVM_IOEVENTFD_FLAG_PIO : 0) | (b->door->matches ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0)
            | (there ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
    };

    return kvm_ioctl(b->all->kvm->vm, KVM_IOEVENTFD, &e) >= 0;
}

static void take(Bell *b)
{
    uint64_t times;

    if (b->watch && read(b->fd, &times, sizeof(times)) == sizeof(times)) {
        b->all->rung += times;
        doorbell_ring(b->door, times);
    }
}

static void rung(void *opaque, int fd, unsigned events)
{
    take(opaque);
}

/* ---- the kernel's follow the memory map ---- */

typedef struct Collect { KvmDoorbells *all; GPtrArray *out; bool ports; } Collect;

static void collect(const MemSection *s, void *opaque)
{
    Collect *c = opaque;
    const Region *r = s->region;

    if (r->doorbell && s->len == r->size && !s->readonly) {
        Bell *b = g_new(Bell, 1);
        *b = (Bell){ c->all, r->doorbell, s->at, (unsigned)s->len, c->ports, -1, NULL };
        g_ptr_array_add(c->out, b);
    }
}

static bool in(const GPtrArray *list, const Bell *b)
{
    for (guint i = 0; i < list->len; i++) {
        const Bell *o = g_ptr_array_index(list, i);
        if (o->door == b->door && o->at == b->at && o->ports == b->ports) {
            return true;
        }
    }
    return false;
}

/* What has been rung is heard: the guest did it before the map changed. */
static void drop(Bell *b)
{
    tell(b, false);
    take(b);
    if (b->watch) {
        loop_unwatch(b->watch);
        close(b->fd);
    }
    g_free(b);
}

/* One that the kernel does not take costs an exit for each write, and nothing else. */
static bool hang(Bell *b)
{
    const IrqPulse *p = b->door->pulse;

    if (p && !p->watch) {
        b->fd = p->fd;
        return tell(b, true);
    }
    b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (b->fd < 0) {
        return false;
    }
    if (!tell(b, true)) {
        close(b->fd);
        return false;
    }
    b->watch = loop_watch(b->all->kvm->accel.machine->loop, b->fd, LOOP_IN, rung, b);
    return true;
}

/* Who watches each store wants to see each: the cross-check. */
static void update(KvmDoorbells *all)
{
    g_autoptr(GPtrArray) now = g_ptr_array_new_with_free_func(g_free);
    Machine *m = all->kvm->accel.machine;

    if (!as_tapped(m->mem) && !as_tapped(m->io)) {
        as_for_each(m->mem, collect, &(Collect){ all, now, false });
        as_for_each(m->io, collect, &(Collect){ all, now, true });
    }
    for (guint i = 0; i < all->bells->len;) {
        Bell *b = g_ptr_array_index(all->bells, i);
        if (in(now, b)) {
            i++;
        } else {
            g_ptr_array_remove_index_fast(all->bells, i);
            drop(b);
        }
    }
    for (guint i = now->len; i-- > 0;) {
        Bell *b = g_ptr_array_index(now, i);
        if (!in(all->bells, b) && hang(b)) {
            g_ptr_array_steal_index_fast(now, i);
            g_ptr_array_add(all->bells, b);
        }
    }
}

static void mem_changed(MemListener *l) { update(container_of(l, KvmDoorbells, mem)); }
static void io_changed(MemListener *l) { update(container_of(l, KvmDoorbells, io)); }

static void flush(MemListener *l)
{
    const KvmDoorbells *all = container_of(l, KvmDoorbells, mem);

    for (guint i = 0; i < all->bells->len; i++) {
        take(g_ptr_array_index(all->bells, i));
    }
}

/* ---- life ---- */

KvmDoorbells *kvm_doorbells_new(Kvm *k)
{
    KvmDoorbells *all = g_new0(KvmDoorbells, 1);
    Machine *m = k->accel.machine;

    all->kvm = k;
    all->bells = g_ptr_array_new();
    all->mem = (MemListener){ .changed = mem_changed, .flush = flush };
    all->io = (MemListener){ .changed = io_changed };
    as_listen(m->mem, &all->mem);
    as_listen(m->io, &all->io);
    update(all);
    return all;
}

void kvm_doorbells_free(KvmDoorbells *all)
{
    if (!all) {
        return;
    }
    as_unlisten(all->kvm->accel.machine->mem, &all->mem);
    as_unlisten(all->kvm->accel.machine->io, &all->io);
    while (all->bells->len) {
        drop(g_ptr_array_steal_index_fast(all->bells, 0));
    }
    g_ptr_array_free(all->bells, true);
    g_free(all);
}

void kvm_doorbells_info(const KvmDoorbells *all, GString *out)
{
    g_string_append_printf(out, "doorbells               %u, rung without an exit %" G_GUINT64_FORMAT "\n",
                           all->bells->len, all->rung);
}
