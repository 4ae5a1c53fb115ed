/*
 * target/x86/mmu-tlb.c - the software TLB: what is kept of page walks, for whom, and when it goes.
 *
 * Follows the Intel SDM, volume 3A, 4.10 (PCIDs, global pages, what flushes what).  A context holds
 * the entries of one process-context identifier: a table for each privilege, of 4 KiB entries made
 * from pages of any size.  Loading CR3 without a flush swaps contexts; entries of global pages are
 * made anew in each, and survive a flush there.  What is asked of contexts not in use is done when
 * they come into use.  INVLPG of a larger page finds all entries made from it.
 *
 * There are no paging-structure caches: every walk starts at CR3, which 4.10.3 allows.
 */
#include "mmu.h"

enum { LOST_COUNT = X86_TLB_MOST + 1 };         /* of the slots that a local flush has to look at */

static TlbKind privilege(const X86Cpu *c)
{
    return mmu_checks_alignment(c) ? TLB_CHECKED : mmu_privilege(c);
}

/* To be said by whatever takes something from the TLB, or exchanges it. */
static void forget_stack(X86Cpu *c)
{
    memset(c->stack.beyond, 0, sizeof(c->stack.beyond));
    c->stack.patience = 0;
}

void x86_mmu_sync(X86Cpu *c)
{
    TlbKind kind = privilege(c);
    X86TlbEntry *table = kind == TLB_CHECKED ? c->mmu->checked : c->mmu->now->table[kind];

    if (c->tlb != table) {
        forget_stack(c);
    }
    c->tlb = table;
    c->tlb_by_ac[0] = c->mmu->now->table[c->cr4 & CR4_SMAP ? TLB_SUPER_SMAP : TLB_SUPER];
    c->tlb_by_ac[1] = c->mmu->now->table[TLB_SUPER];
}

/* ---- filling ---- */

static unsigned shift_of(uint64_t page) { return (page & PAGE_SHIFT) >> PAGE_SHIFT_AT; }
static unsigned key_of(uint64_t page) { return (page & PAGE_KEY) >> PAGE_KEY_AT; }

/* Where larger pages have been seen: elsewhere INVLPG need not look for their pieces. */
static unsigned large_bit(uint64_t linear, unsigned shift)
{
    return ((linear >> shift) * 0x9e3779b97f4a7c15ull + shift) >> 32 & (LARGE_BITS - 1);
}

static void note_large(X86Mmu *m, uint64_t linear, unsigned shift)
{
    unsigned bit = large_bit(linear, shift);

    if (shift > PAGE_BITS) {
        m->large[bit / 64] |= 1ull << (bit & 63);
    }
}

static bool seen_large(const X86Mmu *m, uint64_t linear)
{
    static const uint8_t shifts[] = { 21, 22, 30 };
    bool seen = false;

    for (unsigned i = 0; i < G_N_ELEMENTS(shifts); i++) {
        unsigned bit = large_bit(linear, shifts[i]);
        seen |= m->large[bit / 64] >> (bit & 63) & 1;
    }
    return seen;
}

/* What the low bits of an entry's page say. */
static uint64_t page_bits(X86Cpu *c, const PageWalk *w)
{
    bool keyed = w->user && (c->cr4 & CR4_PKE) && x86_long_mode(c);

    if (keyed) {
        c->mmu->now->keys |= 1u << w->pkey;
    }
    return (w->gpa & X86_PAGE_MASK) | (uint64_t)w->shift << PAGE_SHIFT_AT | (w->global ? PAGE_GLOBAL : 0)
        | (keyed ? PAGE_KEYED | (uint64_t)w->pkey << PAGE_KEY_AT : 0);
}

void mmu_fill_ram(X86Cpu *c, uint64_t linear, const PageWalk *w, TlbKind kind, uint8_t *host, bool writable)
{
    TlbContext *now = c->mmu->now;
    unsigned slot = x86_tlb_slot(c, linear);
    X86TlbEntry *e = &now->table[kind][slot];
    unsigned watched = c->debug.data ? x86_watch_page(c, linear & X86_PAGE_MASK) : 0;

    if (watched & X86_WATCH_READ) {
        return;                                         /* all accesses go the slow way, and are seen */
    }
    e->read = linear & X86_PAGE_MASK;
    e->write = writable && w->can_write && !watched ? e->read : x86_tlb_none(slot);
    e->host = host - (linear & ~X86_PAGE_MASK);
    e->page = page_bits(c, w);
    if (c->observer && e->write == e->read) {
        g_array_append_val(c->mmu->granted, ((TlbPlace){ e, slot }));
    }
    note_large(c->mmu, linear, w->shift);
    if (!w->global && now->local[kind].n <= c->tlb_mask) {
        now->local[kind].slot[now->local[kind].n++] = slot;
    } else if (!w->global) {
        now->local[kind].n = LOST_COUNT;                /* a flush looks at all */
    }
}

void mmu_fill_io(X86Cpu *c, uint64_t linear, const PageWalk *w, TlbKind kind, const MemSection *s)
{
    X86Mmu *m = c->mmu;

    m->io[linear >> PAGE_BITS & (IO_TLB_SIZE - 1)] = (IoTlbEntry){
        .tag = linear & X86_PAGE_MASK, .gpa = w->gpa & X86_PAGE_MASK, .kind = kind, .writable = w->can_write,
        .generation = w->global ? m->generation : m->now->generation, .shift = w->shift, .section = *s };
}

static unsigned fetched_bit(uint64_t linear, unsigned bits)
{
    uint64_t page = linear >> PAGE_BITS;

    return (page ^ page >> 12 ^ page >> 24) & (bits - 1);
}

static void note_fetched(uint64_t *fetched, unsigned bits, uint64_t linear)
{
    unsigned bit = fetched_bit(linear, bits);

    fetched[bit / 64] |= 1ull << (bit & 63);
}

static CodeTlbEntry *code_entry(X86Cpu *c, uint64_t linear, TlbKind kind)
{
    return &c->mmu->code[kind == TLB_USER][linear >> PAGE_BITS & (CODE_TLB_SIZE - 1)];
}

CodeTlbEntry *mmu_code_entry(X86Cpu *c, uint64_t linear, TlbKind kind)
{
    note_fetched(c->mmu->now->fetched, FETCHED_BITS, linear);
    return code_entry(c, linear, kind);
}

void mmu_fill_code(X86Cpu *c, CodeTlbEntry *e, uint64_t linear, const PageWalk *w, const uint8_t *host)
{
    X86Mmu *m = c->mmu;

    *e = (CodeTlbEntry){ .tag = linear & X86_PAGE_MASK, .page = page_bits(c, w), .host = host,
                         .generation = w->global ? m->generation : m->now->generation };
    note_large(m, linear, w->shift);
}

/* ---- dropping ---- */

static void drop(X86TlbEntry *e, unsigned slot)
{
    e->read = e->write = x86_tlb_none(slot);
}

/* Code may lie elsewhere in this context now. */
static void new_fetch_generation(X86Cpu *c, TlbContext *t)
{
    t->fetch_gen = ++c->mmu->generations;
    memset(t->fetched, 0, sizeof(t->fetched));
    if (t == c->mmu->now) {
        c->fetch_gen = t->fetch_gen;
    }
}

/* ... and in global pages. */
static void new_global_generation(X86Cpu *c)
{
    c->global_gen = ++c->mmu->generations;
    memset(c->mmu->fetched, 0, sizeof(c->mmu->fetched));
}

static bool is_fetched(const uint64_t *fetched, unsigned bits, uint64_t linear)
{
    unsigned bit = fetched_bit(linear, bits);

    return fetched[bit / 64] >> (bit & 63) & 1;
}

uint64_t x86_fetch_generation(X86Cpu *c, uint64_t linear)
{
    X86Mmu *m = c->mmu;
    const CodeTlbEntry *e = code_entry(c, linear, c->cpl == 3 ? TLB_USER : TLB_SUPER);

    if (e->tag != (linear & X86_PAGE_MASK) || e->generation != m->generation) {
        return c->fetch_gen;
    }
    note_fetched(m->fetched, GLOBAL_FETCHED_BITS, linear);
    return c->global_gen;
}

static void flush_context(X86Cpu *c, TlbContext *t, bool global)
{
    forget_stack(c);
    for (unsigned k = 0; k < TLB_CHECKED; k++) {
        bool all = global || t->local[k].n == LOST_COUNT;
        unsigned n = all ? c->tlb_mask + 1 : t->local[k].n;
        for (unsigned i = 0; i < n; i++) {
            unsigned slot = all ? i : t->local[k].slot[i];
            X86TlbEntry *e = &t->table[k][slot];
            if (global || !(e->page & PAGE_GLOBAL)) {
                drop(e, slot);
            }
        }
        t->local[k].n = 0;
    }
    if (global) {
        t->keys = 0;
    }
    t->generation = ++c->mmu->generations;
    new_fetch_generation(c, t);
    t->stale = TLB_FRESH;
}

static void make_stale(TlbContext *t, TlbStale how)
{
    t->stale = MAX(t->stale, how);
}

/* All contexts but the one in use: later. */
static void make_others_stale(X86Mmu *m, TlbStale how)
{
    for (unsigned i = 0; i < TLB_CONTEXTS && m->context[i]; i++) {
        if (m->context[i] != m->now) {
            make_stale(m->context[i], how);
        }
    }
}

static void use_context(X86Cpu *c, TlbContext *t);
static TlbContext *current_context(X86Cpu *c);

void x86_tlb_flush(X86Cpu *c, bool global)
{
    X86Mmu *m = c->mmu;

    if (global) {
        make_stale(m->now, TLB_ALL_STALE);
        make_others_stale(m, TLB_ALL_STALE);
        m->generation = ++m->generations;
        new_global_generation(c);
        memset(m->large, 0, sizeof(m->large));
        m->tables.host = NULL;
        use_context(c, current_context(c));             /* CR3 and CR4.PCIDE may be others now */
    } else {
        flush_context(c, m->now, false);
    }
    m->flushes++;
}

/* Was an entry for the page `tag` made from the page, small or large, that holds `linear`? */
static bool same_page(uint64_t tag, uint64_t linear, unsigned shift)
{
    return tag != X86_TLB_NONE && tag >> shift == linear >> shift;
}

static void drop_if_of(X86TlbEntry *table, unsigned slot, uint64_t linear)
{
    X86TlbEntry *e = &table[slot];
    unsigned shift = shift_of(e->page);

    if (same_page(e->read, linear, shift) || same_page(e->write, linear, shift)) {
        drop(e, slot);
    }
}

static void flush_page_of(X86Cpu *c, TlbContext *t, uint64_t linear, bool large)
{
    forget_stack(c);
    for (unsigned k = 0; k < TLB_CHECKED; k++) {
        drop_if_of(t->table[k], x86_tlb_slot(c, linear), linear);
        for (unsigned i = 0; large && i <= c->tlb_mask; i++) {
            if (shift_of(t->table[k][i].page) > PAGE_BITS) {
                drop_if_of(t->table[k], i, linear);
            }
        }
    }
    if (large || is_fetched(t->fetched, FETCHED_BITS, linear)) {
        new_fetch_generation(c, t);
    }
}

/* The page's entries of every context go: those of global pages must, the others may (4.10.4.1). */
void x86_tlb_flush_page(X86Cpu *c, uint64_t linear)
{
    X86Mmu *m = c->mmu;
    bool large = seen_large(m, linear);

    if (large || is_fetched(m->fetched, GLOBAL_FETCHED_BITS, linear)) {
        new_global_generation(c);
    }
    for (unsigned i = 0; i < TLB_CONTEXTS && m->context[i]; i++) {
        flush_page_of(c, m->context[i], linear, large);
    }
    for (unsigned i = 0; i < 2 * CODE_TLB_SIZE; i++) {
        unsigned at = large ? i : (linear >> PAGE_BITS & (CODE_TLB_SIZE - 1)) + i * CODE_TLB_SIZE;
        if (at >= 2 * CODE_TLB_SIZE) {
            break;
        }
        CodeTlbEntry *e = &m->code[at / CODE_TLB_SIZE][at % CODE_TLB_SIZE];
        if (same_page(e->tag, linear, shift_of(e->page))) {
            e->tag = X86_TLB_NONE;
        }
    }
    for (unsigned i = 0; i < IO_TLB_SIZE; i++) {
        if (same_page(m->io[i].tag, linear, m->io[i].shift)) {
            m->io[i].tag = X86_TLB_NONE;
        }
    }
}

void x86_tlb_protect(X86Cpu *c, hwaddr page)
{
    TlbContext *now = c->mmu->now;

    forget_stack(c);
    now->protects = ++c->mmu->protects;                 /* the others: when they come into use */
    for (unsigned k = 0; k < TLB_CHECKED; k++) {
        for (unsigned i = 0; i <= c->tlb_mask; i++) {
            if ((now->table[k][i].page & X86_PAGE_MASK) == page) {
                now->table[k][i].write = x86_tlb_none(i);
            }
        }
    }
}

/* ---- process-context identifiers ---- */

static TlbContext *find_context(const X86Mmu *m, unsigned pcid)
{
    for (unsigned i = 0; i < TLB_CONTEXTS && m->context[i]; i++) {
        if (m->context[i]->pcid == pcid) {
            return m->context[i];
        }
    }
    return NULL;
}

static TlbContext *context_new(const X86Cpu *c)
{
    TlbContext *t = g_new0(TlbContext, 1);

    for (unsigned k = 0; k < TLB_CHECKED; k++) {
        t->table[k] = g_aligned_alloc0(c->tlb_mask + 1, sizeof(X86TlbEntry), 64);
        t->local[k].slot = g_new(uint16_t, c->tlb_mask + 1);
    }
    return t;
}

static void context_free(TlbContext *t)
{
    for (unsigned k = 0; t && k < TLB_CHECKED; k++) {
        g_aligned_free(t->table[k]);
        g_free(t->local[k].slot);
    }
    g_free(t);
}

/* A new one, or that which has been out of use for longest. */
static TlbContext *take_context(X86Cpu *c, unsigned pcid)
{
    X86Mmu *m = c->mmu;
    TlbContext *oldest = NULL;

    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        if (!m->context[i]) {
            m->context[i] = oldest = context_new(c);
            oldest->stale = TLB_ALL_STALE;
            break;
        }
        if (!oldest || m->context[i]->used < oldest->used) {
            oldest = m->context[i];
        }
    }
    oldest->pcid = pcid;
    make_stale(oldest, TLB_LOCAL_STALE);
    return oldest;
}

/* Stores to pages that hold decoded code since the context was in use have to be noticed. */
static void catch_up(X86Cpu *c, TlbContext *t)
{
    const X86Mmu *m = c->mmu;

    if (t->protects == m->protects) {
        return;
    }
    forget_stack(c);
    t->protects = m->protects;
    for (unsigned k = 0; k < TLB_CHECKED; k++) {
        for (unsigned i = 0; i <= c->tlb_mask; i++) {
            t->table[k][i].write = x86_tlb_none(i);
        }
    }
}

static unsigned current_pcid(const X86Cpu *c)
{
    return c->cr4 & CR4_PCIDE ? c->cr3 & CR3_PCID : 0;
}

static TlbContext *current_context(X86Cpu *c)
{
    unsigned pcid = current_pcid(c);
    TlbContext *t = find_context(c->mmu, pcid);

    return t ? t : take_context(c, pcid);
}

static void use_context(X86Cpu *c, TlbContext *t)
{
    X86Mmu *m = c->mmu;

    m->now = t;
    t->used = ++m->generations;
    if (t->stale) {
        flush_context(c, t, t->stale == TLB_ALL_STALE);
    }
    catch_up(c, t);
    c->fetch_gen = t->fetch_gen;
    x86_mmu_sync(c);
}

void x86_tlb_load_cr3(X86Cpu *c, bool keep)
{
    TlbContext *t = current_context(c);

    if (!keep) {
        make_stale(t, TLB_LOCAL_STALE);
        c->mmu->flushes++;
    }
    use_context(c, t);
}

void x86_tlb_flush_pcid(X86Cpu *c, unsigned pcid)
{
    TlbContext *t = find_context(c->mmu, pcid);

    if (t == c->mmu->now) {
        x86_tlb_flush(c, false);
    } else if (t) {
        make_stale(t, TLB_LOCAL_STALE);
    }
}

void x86_tlb_flush_all_pcids(X86Cpu *c)
{
    make_others_stale(c->mmu, TLB_LOCAL_STALE);
    x86_tlb_flush(c, false);
}

void x86_tlb_flush_page_of_pcid(X86Cpu *c, unsigned pcid, uint64_t linear)
{
    TlbContext *t = find_context(c->mmu, pcid);

    if (t == c->mmu->now) {
        x86_tlb_flush_page(c, linear);
    } else if (t) {
        flush_page_of(c, t, linear, seen_large(c->mmu, linear));
        t->generation = ++c->mmu->generations;          /* its code and device registers */
        new_fetch_generation(c, t);
    }
}

/* ---- protection keys ---- */

/* Keys whose rights `value` takes something from: bit i for key i (4.6.2). */
static uint32_t keys_restricted(uint32_t old, uint32_t value)
{
    uint32_t keys = 0;

    for (unsigned i = 0; i < 16; i++) {
        keys |= (uint32_t)((value & ~old) >> (2 * i) & 3 ? 1 : 0) << i;
    }
    return keys;
}

static void drop_keys(X86Cpu *c, TlbContext *t, uint32_t keys)
{
    forget_stack(c);
    for (unsigned k = 0; k < TLB_CHECKED; k++) {
        for (unsigned i = 0; i <= c->tlb_mask; i++) {
            X86TlbEntry *e = &t->table[k][i];
            if ((e->page & PAGE_KEYED) && (keys >> key_of(e->page) & 1)) {
                drop(e, i);
            }
        }
    }
    t->keys &= ~keys;
}

/* Rights that were given show by themselves: an access that the TLB does not allow walks the tables. */
void x86_write_pkru(X86Cpu *c, uint32_t value)
{
    X86Mmu *m = c->mmu;
    uint32_t keys = keys_restricted(c->pkru, value);

    c->pkru = value;
    if (keys == 0) {
        return;
    }
    if (m->now->keys & keys) {
        drop_keys(c, m->now, keys);
    }
    for (unsigned i = 0; i < TLB_CONTEXTS && m->context[i]; i++) {
        if (m->context[i] != m->now && (m->context[i]->keys & keys)) {
            make_stale(m->context[i], TLB_ALL_STALE);
        }
    }
    for (unsigned i = 0; i < IO_TLB_SIZE; i++) {
        m->io[i].tag = X86_TLB_NONE;
    }
}

/* ---- somebody who watches ---- */

void mmu_touched(X86Cpu *c, hwaddr gpa, const MemSection *s, bool write)
{
    if (c->observer) {
        c->observer->touched(c->observer, c, gpa & X86_PAGE_MASK, s, write);
    }
}

void x86_observe(X86Cpu *c, X86Observer *o)
{
    c->observer = o;
    x86_forget_touched(c, true);
}

void x86_forget_touched(X86Cpu *c, bool reads_too)
{
    forget_stack(c);
    for (guint i = 0; i < c->mmu->granted->len; i++) {
        const TlbPlace *p = &g_array_index(c->mmu->granted, TlbPlace, i);
        p->entry->write = x86_tlb_none(p->slot);
    }
    g_array_set_size(c->mmu->granted, 0);
    if (reads_too) {
        x86_tlb_flush(c, true);
    }
}

/* ---- life ---- */

static void free_tables(X86Mmu *m)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        g_clear_pointer(&m->context[i], context_free);
    }
    g_clear_pointer(&m->checked, g_aligned_free);
}

void x86_tlb_resize(X86Cpu *c, unsigned entries)
{
    X86Mmu *m = c->mmu;

    free_tables(m);
    g_array_set_size(m->granted, 0);
    c->tlb_mask = entries - 1;
    m->checked = g_aligned_alloc0(entries, sizeof(X86TlbEntry), 64);
    for (unsigned i = 0; i < entries; i++) {
        drop(&m->checked[i], i);
    }
    m->now = m->context[0] = context_new(c);
    x86_tlb_flush(c, true);
}

void x86_mmu_new(X86Cpu *c)
{
    X86Mmu *m = c->mmu = g_new0(X86Mmu, 1);

    m->granted = g_array_new(false, false, sizeof(TlbPlace));
    for (unsigned i = 0; i < 2 * CODE_TLB_SIZE; i++) {
        m->code[i / CODE_TLB_SIZE][i % CODE_TLB_SIZE].tag = X86_TLB_NONE;
    }
    for (unsigned i = 0; i < IO_TLB_SIZE; i++) {
        m->io[i].tag = X86_TLB_NONE;
    }
    x86_tlb_resize(c, X86_TLB_DEFAULT);
}

void x86_mmu_free(X86Cpu *c)
{
    if (c->mmu) {
        free_tables(c->mmu);
        g_array_free(c->mmu->granted, true);
    }
    g_clear_pointer(&c->mmu, g_free);
}

void x86_mmu_stats(const X86Cpu *c, uint64_t *misses, uint64_t *flushes)
{
    *misses = c->mmu->misses;
    *flushes = c->mmu->flushes;
}
