/*
 * Regions and flat views: the tree that devices and boards arrange, and the sorted array of
 * sections that accesses search.
 *
 * A view is immutable once published.  Lock-free readers may still hold the last one when the next
 * is published, so it is kept until every AsReader has said as_quiescent() since.
 */
#include "core/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "core/loop.h"
#include "memory-view.h"
#include "util/error.h"

/* ---- regions ---- */

static void tree_changed(Region *r)
{
    for (; r; r = r->parent) {
        for (Region *a = r->aliases; a; a = a->next_alias) {
            tree_changed(a);
        }
        if (r->as) {
            r->as->dirty = true;
            if (!r->as->depth) {
                memory_begin(r->as);
                memory_commit(r->as);
            }
        }
    }
}

void region_init(Region *r, const char *name, hwaddr size)
{
    *r = (Region){ .name = name, .size = size, .kind = REGION_CONTAINER, .enabled = true };
}

void region_init_io(Region *r, const char *name, hwaddr size, const RegionOps *ops, void *dev)
{
    region_init(r, name, size);
    r->kind = REGION_IO;
    r->ops = ops;
    r->dev = dev;
}

static bool init_memory(Region *r, const char *name, hwaddr size, GError **errp)
{
    hwaddr bytes = (size + PAGE_SIZE - 1) & ~(hwaddr)(PAGE_SIZE - 1);

    region_init(r, name, size);
    r->ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->ram == MAP_FAILED) {
        error_set_errno(errp, errno, "cannot reserve %" G_GUINT64_FORMAT " MiB for %s: give the guest less memory",
                        size >> 20, name);
        r->ram = NULL;
        return false;
    }
    r->page_flags = g_try_malloc0(bytes >> PAGE_BITS);
    if (!r->page_flags) {
        munmap(r->ram, bytes);
        r->ram = NULL;
        error_set(errp, "out of memory for %s", name);
        return false;
    }
    r->owns_ram = true;
    return true;
}

bool region_init_ram(Region *r, const char *name, hwaddr size, GError **errp)
{
    if (!init_memory(r, name, size, errp)) {
        return false;
    }
    r->kind = REGION_RAM;
    return true;
}

bool region_init_rom(Region *r, const char *name, const void *image, hwaddr len, hwaddr size, GError **errp)
{
    if (!init_memory(r, name, size, errp)) {
        return false;
    }
    r->kind = REGION_ROM;
    memcpy(r->ram, image, MIN(len, size));
    if (len < size) {
        memset(r->ram + len, 0xff, size - len);
    }
    return true;
}

void region_init_alias(Region *r, const char *name, Region *target, hwaddr off, hwaddr size)
{
    region_init(r, name, size);
    r->kind = REGION_ALIAS;
    r->target = target;
    r->target_off = off;
    r->next_alias = target->aliases;
    target->aliases = r;
}

void region_set_readonly(Region *r, bool readonly)
{
    if (r->readonly != readonly) {
        r->readonly = readonly;
        tree_changed(r);
    }
}

void region_set_coalesced(Region *r, bool coalesced)
{
    if (r->coalesced != coalesced) {
        r->coalesced = coalesced;
        tree_changed(r);
    }
}

void region_set_doorbell(Region *r, const Doorbell *d)
{
    g_return_if_fail(!r->parent && r->kind == REGION_IO);
    r->doorbell = d;
}

void region_map(Region *parent, hwaddr at, Region *child, int priority)
{
    Region **p = &parent->children;

    g_return_if_fail(!child->parent);
    child->parent = parent;
    child->at = at;
    child->priority = priority;
    while (*p && (*p)->priority > priority) {
        p = &(*p)->next;
    }
    child->next = *p;
    *p = child;
    tree_changed(child);
}

void region_unmap(Region *child)
{
    Region *parent = child->parent;

    if (!parent) {
        return;
    }
    for (Region **p = &parent->children; *p; p = &(*p)->next) {
        if (*p == child) {
            *p = child->next;
            break;
        }
    }
    child->parent = child->next = NULL;
    tree_changed(parent);
}

void region_enable(Region *r, bool on)
{
    if (r->enabled != on) {
        r->enabled = on;
        tree_changed(r);
    }
}

void region_fini(Region *r)
{
    region_unmap(r);
    while (r->children) {
        region_unmap(r->children);
    }
    if (r->target) {
        for (Region **p = &r->target->aliases; *p; p = &(*p)->next_alias) {
            if (*p == r) {
                *p = r->next_alias;
                break;
            }
        }
    }
    for (Region *a = r->aliases; a; a = a->next_alias) {
        a->target = NULL;
    }
    if (r->owns_ram) {
        munmap(r->ram, (r->size + PAGE_SIZE - 1) & ~(hwaddr)(PAGE_SIZE - 1));
        g_free(r->page_flags);
    }
    *r = (Region){ .name = r->name };
}

/* ---- flattening ---- */

/* Put the parts of s that nothing covers yet into the sorted array. */
static void add_uncovered(GArray *sections, MemSection s)
{
    guint i = 0;

    while (s.len) {
        while (i < sections->len) {
            const MemSection *o = &g_array_index(sections, MemSection, i);
            if (o->at + (o->len - 1) >= s.at) {
                break;
            }
            i++;
        }
        hwaddr part = s.len, skip = 0;
        if (i < sections->len) {
            const MemSection *o = &g_array_index(sections, MemSection, i);
            if (o->at <= s.at) {        /* covered from here to the end of o */
                skip = MIN(o->at + o->len - s.at, s.len);
                part = 0;
            } else {
                part = MIN(o->at - s.at, s.len);
            }
        }
        if (part) {
            MemSection piece = s;
            piece.len = part;
            g_array_insert_val(sections, i, piece);
            skip = part;
        }
        s.at += skip;
        s.off += skip;
        s.host += s.host ? skip : 0;
        s.len -= skip;
    }
}

enum { DEEPEST = 32 };      /* nesting of containers and aliases: a board's mistake, not a guest's */

/* Region r has its offset 0 at `at` (which may lie below 0: an alias into the middle), and only
 * lo..hi-1 of the space shows. */
static void flatten(GArray *sections, Region *r, int64_t at, int64_t lo, int64_t hi, bool readonly,
                    unsigned depth)
{
    int64_t from = MAX(lo, at), to = MIN(hi, at + (int64_t)r->size);

    if (!r->enabled || from >= to || depth > DEEPEST) {
        return;
    }
    readonly |= r->readonly;
    if (r->kind == REGION_ALIAS) {
        if (r->target) {
            Region *t = r->target;
            bool was = t->enabled;
            t->enabled = true;      /* an alias shows its target whether that shows itself or not */
            flatten(sections, t, at - (int64_t)r->target_off, from, to, readonly, depth + 1);
            t->enabled = was;
        }
        return;
    }
    for (Region *c = r->children; c; c = c->next) {
        flatten(sections, c, at + (int64_t)c->at, from, to, readonly, depth + 1);
    }
    if (r->kind != REGION_CONTAINER) {
        MemSection s = { .at = from, .len = to - from, .region = r, .off = from - at,
                         .readonly = readonly || r->kind == REGION_ROM, .coalesced = r->coalesced };
        s.host = r->ram ? r->ram + s.off : NULL;
        add_uncovered(sections, s);
    }
}

static MemView *view_new(AddressSpace *as)
{
    GArray *sections = g_array_new(FALSE, FALSE, sizeof(MemSection));
    MemView *v = g_new0(MemView, 1);

    flatten(sections, as->root, 0, 0, as->root->size, false, 0);
    v->count = sections->len;
    v->sections = (MemSection *)(void *)g_array_free(sections, FALSE);
    return v;
}

static void view_free(MemView *v)
{
    g_free(v->sections);
    g_free(v);
}

static bool view_equal(const MemView *a, const MemView *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const MemSection *x = &a->sections[i], *y = &b->sections[i];
        if (x->at != y->at || x->len != y->len || x->region != y->region || x->off != y->off
            || x->host != y->host || x->readonly != y->readonly || x->coalesced != y->coalesced) {
            return false;
        }
    }
    return true;
}

/* ---- address spaces ---- */

AddressSpace *as_new(const char *name, Region *root, Loop *loop)
{
    AddressSpace *as = g_new0(AddressSpace, 1);

    as->name = name;
    as->root = root;
    as->loop = loop;
    root->as = as;
    atomic_store(&as->view, view_new(as));
    return as;
}

static void free_retired(AddressSpace *as, uint64_t seen_by_all)
{
    for (MemView **p = &as->retired; *p;) {
        MemView *v = *p;
        if (v->retired_at <= seen_by_all) {
            *p = v->next;
            view_free(v);
        } else {
            p = &v->next;
        }
    }
}

void as_free(AddressSpace *as)
{
    as->root->as = NULL;
    free_retired(as, ~0ull);
    view_free(atomic_load(&as->view));
    g_free(as);
}

const char *as_name(const AddressSpace *as)
{
    return as->name;
}

void memory_begin(AddressSpace *as)
{
    as->depth++;
}

static void tell_changed(AddressSpace *as)
{
    for (MemListener *l = as->listeners; l; l = l->next) {
        if (l->changed) {
            l->changed(l);
        }
    }
}

void memory_commit(AddressSpace *as)
{
    if (--as->depth || !as->dirty) {
        return;
    }
    as->dirty = false;
    MemView *now = view_new(as), *old = atomic_load(&as->view);
    if (view_equal(now, old)) {
        view_free(now);
        return;
    }
    atomic_store(&as->view, now);
    old->retired_at = atomic_fetch_add(&as->generation, 1) + 1;
    old->next = as->retired;
    as->retired = old;
    tell_changed(as);
    uint64_t seen = ~0ull;
    for (AsReader *r = as->readers; r; r = r->next) {
        seen = MIN(seen, atomic_load(&r->seen));
    }
    free_retired(as, seen);
}

void as_set_tap(AddressSpace *as, AsTap *t)
{
    as->tap = t;
    tell_changed(as);
}

bool as_tapped(const AddressSpace *as)
{
    return as->tap;
}

void as_listen(AddressSpace *as, MemListener *l)
{
    l->next = as->listeners;
    as->listeners = l;
}

void as_unlisten(AddressSpace *as, MemListener *l)
{
    for (MemListener **p = &as->listeners; *p; p = &(*p)->next) {
        if (*p == l) {
            *p = l->next;
            return;
        }
    }
}

void as_flush_writes(AddressSpace *as)
{
    for (MemListener *l = as->listeners; l; l = l->next) {
        if (l->flush) {
            l->flush(l);
        }
    }
}

bool as_take_dirty(AddressSpace *as, Region *r, uint64_t *pages)
{
    for (MemListener *l = as->listeners; l; l = l->next) {
        if (l->take_dirty) {
            return l->take_dirty(l, r, pages);
        }
    }
    return false;
}

void as_code_changed(AddressSpace *as, hwaddr at, hwaddr len)
{
    for (MemListener *l = as->listeners; l; l = l->next) {
        if (l->code_changed) {
            l->code_changed(l, at, len);
        }
    }
}

void as_reader_add(AddressSpace *as, AsReader *r)
{
    r->as = as;
    r->next = as->readers;
    as->readers = r;
    as_quiescent(r);
}

void as_reader_remove(AsReader *r)
{
    for (AsReader **p = &r->as->readers; *p; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            return;
        }
    }
}

void as_quiescent(AsReader *r)
{
    atomic_store(&r->seen, atomic_load(&r->as->generation));
}

void as_for_each(AddressSpace *as, void (*fn)(const MemSection *s, void *opaque), void *opaque)
{
    const MemView *v = atomic_load(&as->view);

    for (size_t i = 0; i < v->count; i++) {
        fn(&v->sections[i], opaque);
    }
}

static void print_region(const Region *r, hwaddr base, unsigned depth, GString *out)
{
    static const char *const kinds[] = { "container", "ram", "rom", "i/o", "alias" };

    if (depth > DEEPEST) {
        return;
    }
    hwaddr at = base + r->at;
    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", 2 + 2 * (int)depth, "", at,
                           at + r->size - 1, r->priority, kinds[r->kind], r->name);
    if (r->kind == REGION_ALIAS && r->target) {
        g_string_append_printf(out, " -> %s at %" PRIx64, r->target->name, r->target_off);
    }
    g_string_append_printf(out, "%s%s\n", r->readonly ? " [read-only]" : "", r->enabled ? "" : " [disabled]");
    for (const Region *c = r->children; c; c = c->next) {
        print_region(c, at, depth + 1, out);
    }
}

void as_print_tree(AddressSpace *as, GString *out)
{
    const MemView *v = atomic_load(&as->view);

    g_string_append_printf(out, "address space: %s\n", as->name);
    print_region(as->root, 0, 0, out);
    g_string_append_printf(out, "flat view of %s:\n", as->name);
    for (size_t i = 0; i < v->count; i++) {
        const MemSection *s = &v->sections[i];
        g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 ": %s at %" PRIx64 "%s\n", s->at, s->at + s->len - 1,
                               s->region->name, s->off, s->readonly ? " [read-only]" : "");
    }
}
