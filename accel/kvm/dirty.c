/*
 * accel/kvm/dirty.c - which pages were written: for the cross-check, all that the guest wrote (AccelOps.dirty), and for
 * a device, what of its memory anybody wrote (as_take_dirty()).  Each from the first time that it asks.
 *
 * The kernel keeps a bitmap for each slot (KVM_GET_DIRTY_LOG), which costs as much as there is memory; or a ring for
 * each processor (KVM_CAP_DIRTY_LOG_RING, Documentation/virt/kvm/api.rst 8.29), which costs as much as was written:
 * for the cross-check, which asks for all memory after each step, and for who asks for it by dirty-ring-size.
 *
 * It does not see what is written here.  So the pages of a device's memory that is logged are flagged as if they held
 * code: as_write() then tells kvm_dirty_by_others(), and the interpreter stored().
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "target/x86/exec.h"
#include "util/bits.h"
#include "util/error.h"

enum { RING_ENTRIES = 4096, LEAST_ENTRIES = 1024 };

typedef struct KvmLog {
    struct KvmLog *next;
    Region *region;
    bool gap;                   /* something may be missing */
    size_t words;
    uint64_t pages[];           /* bits; atomic */
} KvmLog;

/* ---- rings ---- */

static size_t ring_bytes(const Kvm *k)
{
    return k->ring_entries * sizeof(struct kvm_dirty_gfn);
}

static bool make_rings(Kvm *k, uint32_t entries)
{
    static const unsigned kinds[] = { KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING };
    int bytes = (int)(entries * sizeof(struct kvm_dirty_gfn));

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds) && !k->ring_entries; i++) {
        struct kvm_enable_cap ring = { .cap = kinds[i], .args = { (uint64_t)bytes } };
        if (ioctl(k->vm, KVM_CHECK_EXTENSION, kinds[i]) >= bytes && kvm_ioctl(k->vm, KVM_ENABLE_CAP, &ring) >= 0) {
            k->ring_entries = entries;
        }
    }
    return k->ring_entries;
}

/* Before there are processors; as kvm_dirty_stepped(). */
bool kvm_dirty_init(Kvm *k, const KeyVals *options, GError **errp)
{
    uint32_t entries = (uint32_t)keyvals_num(options, "dirty-ring-size", 0);

    if (entries && (entries < LEAST_ENTRIES || entries & (entries - 1))) {
        error_set(errp, "dirty-ring-size=%u: must be a power of two from %u to 65536, or 0: bitmaps", entries,
                  LEAST_ENTRIES);
        return false;
    }
    if (entries && !make_rings(k, entries)) {
        error_set(errp, "dirty-ring-size=%u: the host's KVM has no rings of that size", entries);
        return false;
    }
    return true;
}

void kvm_dirty_stepped(Kvm *k)
{
    if (!k->ring_entries) {
        make_rings(k, RING_ENTRIES);
    }
}

void kvm_dirty_fini(Kvm *k)
{
    g_clear_pointer(&k->dirty, g_hash_table_destroy);
    for (KvmLog *l = k->logs, *next; l; l = next) {
        next = l->next;
        g_free(l);
    }
    k->logs = NULL;
}

static void stored(X86Cpu *c, hwaddr gpa, unsigned len);

bool kvm_dirty_map(KvmVcpu *v, GError **errp)
{
    x86_mmu_code_hook(v->cpu, stored);
    if (!v->kvm->ring_entries) {
        return true;
    }
    void *ring = mmap(NULL, ring_bytes(v->kvm), PROT_READ | PROT_WRITE, MAP_SHARED, v->fd,
                      KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
    if (ring == MAP_FAILED) {
        return kvm_failed(errp, errno, "cannot map the dirty ring of processor %u", v->cpu->vcpu.index);
    }
    v->dirty = ring;
    return true;
}

void kvm_dirty_unmap(KvmVcpu *v)
{
    x86_mmu_code_hook(v->cpu, NULL);
    if (v->dirty) {
        munmap(v->dirty, ring_bytes(v->kvm));
    }
}

/* ---- what was written ---- */

static KvmLog *log_of(const Kvm *k, const Region *r)
{
    KvmLog *l = k->logs;

    while (l && l->region != r) {
        l = l->next;
    }
    return l;
}

static void note_pages(KvmLog *l, hwaddr off, hwaddr len)
{
    for (hwaddr n = off / PAGE_SIZE; n <= (off + len - 1) / PAGE_SIZE && n / 64 < l->words; n++) {
        __atomic_or_fetch(&l->pages[n / 64], 1ull << n % 64, __ATOMIC_SEQ_CST);
    }
}

static void note(Kvm *k, const KvmSlot *s, uint64_t page)
{
    KvmLog *l = log_of(k, s->region);

    if (k->dirty) {
        g_hash_table_add(k->dirty, GSIZE_TO_POINTER(s->at + page * PAGE_SIZE));
    }
    if (l) {
        note_pages(l, s->off + page * PAGE_SIZE, 1);
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
    return NULL;
}

/* False: it was empty. */
static bool take_ring(KvmVcpu *v)
{
    Kvm *k = v->kvm;
    uint32_t count = 0;

    machine_lock(k->accel.machine);
    for (;; v->dirty_next++, count++) {
        struct kvm_dirty_gfn *e = &v->dirty[v->dirty_next % k->ring_entries];
        if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY)) {
            break;
        }
        const KvmSlot *s = slot_of(k, e->slot & 0xffff);
        if (s) {
            note(k, s, e->offset);
        }
        __atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
    }
    if (count) {
        ioctl(k->vm, KVM_RESET_DIRTY_RINGS, 0);
    }
    for (KvmLog *l = k->logs; l && count >= k->ring_entries; l = l->next) {
        l->gap = true;          /* the kernel was to stop before the last: it has written over some */
    }
    machine_unlock(k->accel.machine);
    return count;
}

/* It may be empty by now, since others take from it, too; but not each time. */
bool kvm_dirty_full(KvmVcpu *v, GError **errp)
{
    enum { PATIENCE = 8 };

    v->full_in_vain = take_ring(v) ? 0 : v->full_in_vain + 1;
    if (v->full_in_vain > PATIENCE) {
        error_set(errp, "the host's kernel says that its ring of written pages is full, and nothing is in it: "
                  "dirty-ring-size=0 does without");
        return false;
    }
    return true;
}

static void take_bitmap(Kvm *k, const KvmSlot *s)
{
    size_t pages = s->len / PAGE_SIZE, words = (pages + 63) / 64;
    g_autofree uint64_t *bits = g_new0(uint64_t, words);
    struct kvm_dirty_log log = { .slot = s->id, .dirty_bitmap = bits };

    if (s->readonly || !kvm_dirty_wanted(k, s) || kvm_ioctl(k->vm, KVM_GET_DIRTY_LOG, &log) < 0) {
        return;
    }
    for (size_t i = 0; i < pages; i++) {
        if (bits[i / 64] >> (i % 64) & 1) {
            note(k, s, i);
        }
    }
}

static void take_all(Kvm *k)
{
    const GPtrArray *vcpus = k->accel.machine->vcpus;

    for (guint i = 0; k->ring_entries && i < vcpus->len; i++) {
        KvmVcpu *v = ((Vcpu *)g_ptr_array_index(vcpus, i))->accel_data;
        if (v && v->dirty) {
            take_ring(v);
        }
    }
    for (guint i = 0; !k->ring_entries && i < k->slots->len; i++) {
        take_bitmap(k, &g_array_index(k->slots, KvmSlot, i));
    }
}

/* ---- slots ---- */

bool kvm_dirty_wanted(const Kvm *k, const KvmSlot *s)
{
    return k->dirty || log_of(k, s->region);
}

/* Its bitmap goes with it ... */
void kvm_dirty_before_removal(Kvm *k)
{
    if ((k->dirty || k->logs) && !k->ring_entries) {
        take_all(k);
    }
}

/* ... and what is in the rings must not be taken for the next slot with that number. */
void kvm_dirty_after_removal(Kvm *k, const KvmSlot *s)
{
    KvmLog *l = log_of(k, s->region);

    if ((k->dirty || k->logs) && k->ring_entries) {
        take_all(k);
    }
    if (l) {
        l->gap = true;          /* for writes between the two */
    }
}

/* ---- AccelOps.dirty ---- */

void kvm_dirty(Accel *a, void (*page)(void *opaque, hwaddr at), void *opaque)
{
    Kvm *k = (Kvm *)a;
    GHashTableIter iter;
    gpointer at;

    if (!k->dirty) {
        k->dirty = g_hash_table_new(NULL, NULL);
        kvm_slots_log(k);
    }
    take_all(k);
    g_hash_table_iter_init(&iter, k->dirty);
    while (g_hash_table_iter_next(&iter, &at, NULL)) {
        page(opaque, GPOINTER_TO_SIZE(at));
    }
    g_hash_table_remove_all(k->dirty);
}

/* ---- as_take_dirty() ---- */

static void flag_pages(const MemSection *s, hwaddr at, hwaddr len)
{
    for (hwaddr page = at & ~(hwaddr)(PAGE_SIZE - 1); page < at + len; page += PAGE_SIZE) {
        __atomic_or_fetch(section_page_flags(s, MAX(page, s->at)), RAM_PAGE_CODE, __ATOMIC_SEQ_CST);
    }
}

static void start_log(Kvm *k, Region *r)
{
    const MemSection whole = { .len = r->size, .region = r };
    size_t words = (r->size / PAGE_SIZE + 63) / 64;
    KvmLog *l = g_malloc0(sizeof(*l) + words * sizeof(uint64_t));

    l->region = r;
    l->words = words;
    l->next = k->logs;
    k->logs = l;
    flag_pages(&whole, 0, r->size);
    kvm_slots_log(k);
}

/* With watchpoints that only the interpreter finds it runs all, and its TLB knows nothing of the flags that came
 * later. */
bool kvm_dirty_region(MemListener *listener, Region *r, uint64_t *pages)
{
    Kvm *k = container_of(listener, Kvm, mem_listener);
    KvmLog *l = log_of(k, r);

    if (!l) {
        start_log(k, r);
        return false;
    }
    take_all(k);
    for (size_t i = 0; i < l->words; i++) {
        pages[i] |= __atomic_exchange_n(&l->pages[i], 0, __ATOMIC_SEQ_CST);
    }
    bool known = !l->gap && !k->interpret_all;
    l->gap = k->interpret_all;
    return known;
}

/* The flag has been taken off, and is to be there for the next write. */
void kvm_dirty_by_others(MemListener *listener, hwaddr at, hwaddr len)
{
    const Kvm *k = container_of(listener, Kvm, mem_listener);
    MemSection s;
    KvmLog *l = k->logs && as_find(k->accel.machine->mem, at, &s) && s.host ? log_of(k, s.region) : NULL;

    if (l) {
        flag_pages(&s, at, MIN(len, s.at + s.len - at));
        note_pages(l, s.off + (at - s.at), len);
    }
}

/* The interpreter has written; the flag stays. */
static void stored(X86Cpu *c, hwaddr gpa, unsigned len)
{
    KvmVcpu *v = c->vcpu.accel_data;

    kvm_dirty_by_others(&v->kvm->mem_listener, gpa, len);
}
