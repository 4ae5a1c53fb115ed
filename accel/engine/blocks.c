/*
 * accel/engine/blocks.c - decoded code: built, found, and dropped when its bytes change.
 *
 * A block is a run of instructions within a page, decoded and bound for one mode.  It is found by
 * physical address and mode; a table by linear address is in front.  Blocks lie in an arena that is
 * emptied as a whole when it is full.
 *
 * Code that changes: the page of a block is flagged RAM_PAGE_CODE before its bytes are read, and
 * stores to flagged pages come here.  A block that is hit gets x86_exec_stop in place of all its
 * handlers, so that a running one ends after the instruction that stored.
 */
#include "accel/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include "util/error.h"
#include "util/log.h"

enum { PATIENCE_FIRST = 64, PATIENCE_MOST = 1 << 16, GRANULE_BITS = 6 };

typedef struct Range {
    hwaddr at;
    unsigned len;
} Range;

static gpointer page_key(hwaddr gpa) { return (gpointer)(uintptr_t)(gpa >> PAGE_BITS); }

static Block **hash_slot(EngineVcpu *v, hwaddr gpa)
{
    return &v->hash[(gpa * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS)];
}

static hwaddr page_of(hwaddr gpa) { return gpa & ~(hwaddr)(PAGE_SIZE - 1); }

/* ---- dropping ---- */

/* Which of its two list links a block uses in the list of `page`. */
static unsigned link_in(const Block *b, hwaddr page) { return page_of(b->gpa) != page; }

static void unlink_from_page(EngineVcpu *v, Block *b, hwaddr page)
{
    Block *head = g_hash_table_lookup(v->page_blocks, page_key(page)), **link = &head;

    while (*link && *link != b) {
        link = &(*link)->page_next[link_in(*link, page)];
    }
    if (*link) {
        *link = b->page_next[link_in(b, page)];
    }
    if (head) {
        g_hash_table_insert(v->page_blocks, page_key(page), head);
    } else {
        g_hash_table_remove(v->page_blocks, page_key(page));
    }
}

static void invalidate(EngineVcpu *v, Block *b)
{
    Block **link = hash_slot(v, b->gpa);

    while (*link && *link != b) {
        link = &(*link)->hash_next;
    }
    if (*link) {
        *link = b->hash_next;
    }
    unlink_from_page(v, b, page_of(b->gpa));
    if (b->tail_page != NO_PAGE && b->tail_page != page_of(b->gpa)) {
        unlink_from_page(v, b, b->tail_page);
    }
    b->key = KEY_INVALID;
    for (unsigned i = 0; i < b->held; i++) {
        b->insns[i].exec = x86_exec_stop;
    }
    v->stats.invalidated++;
    if (v->engine->code->invalidated) {
        v->engine->code->invalidated(v, b);
    }
}

static bool overlaps(const Block *b, hwaddr page, hwaddr at, unsigned len)
{
    hwaddr from = b->gpa, n = b->bytes;

    if (b->tail_page == page_of(b->gpa)) {
        return true;            /* two neighbours that are the same memory: not worth being exact */
    }
    if (b->tail_page != NO_PAGE) {
        hwaddr first = PAGE_SIZE - (b->gpa & (PAGE_SIZE - 1));
        from = b->tail_page == page ? page : b->gpa;
        n = b->tail_page == page ? b->bytes - first : first;
    }
    return at < from + n && from < at + len;
}

static void drop_range(EngineVcpu *v, hwaddr at, unsigned len)
{
    hwaddr page = page_of(at);
    Block *next;

    for (Block *b = g_hash_table_lookup(v->page_blocks, page_key(page)); b; b = next) {
        next = b->page_next[link_in(b, page)];
        if (overlaps(b, page, at, len)) {
            invalidate(v, b);
        }
    }
}

void blocks_drop_page(EngineVcpu *v, hwaddr page)
{
    drop_range(v, page, PAGE_SIZE);
    v->stats.dropped_pages++;
}

static void drop_posted(Vcpu *vcpu, void *arg)
{
    Range *r = arg;

    if (vcpu->accel_data) {
        drop_range(vcpu->accel_data, r->at, r->len);
    }
    g_free(r);
}

static void tell_others(EngineVcpu *v, hwaddr at, unsigned len)
{
    Engine *a = v->engine;

    for (guint i = 0; i < a->vcpus->len; i++) {
        EngineVcpu *other = g_ptr_array_index(a->vcpus, i);
        if (other != v) {
            Range *r = g_new(Range, 1);
            *r = (Range){ at, len };
            vcpu_post(&other->cpu->vcpu, drop_posted, r);
        }
    }
}

static uint64_t granules(hwaddr at, unsigned len)
{
    unsigned first = at >> GRANULE_BITS & 63, last = (at + len - 1) >> GRANULE_BITS & 63;

    return ~0ull << first & ~0ull >> (63 - last);
}

static void clear_flag(EngineVcpu *v, hwaddr gpa)
{
    MemSection s;

    if (as_find(v->cpu->vcpu.mem, gpa, &s) && s.host) {
        __atomic_and_fetch(section_page_flags(&s, gpa), (uint8_t)~RAM_PAGE_CODE, __ATOMIC_SEQ_CST);
    }
}

/* The store lies within one page.  Data beside code costs a look here for each store: after some
 * patience the code goes, and the page is fast again until somebody executes in it. */
void blocks_stored(X86Cpu *c, hwaddr gpa, unsigned len)
{
    EngineVcpu *v = c->vcpu.accel_data;
    hwaddr page = page_of(gpa);
    bool hit = false, drop = false;

    if (!v) {
        return;
    }
    engine_lock(v->engine);
    CodePage *p = g_hash_table_lookup(v->engine->pages, page_key(gpa));
    if (p) {
        hit = p->granules & granules(gpa, len);
        drop = ++p->stores > p->patience;
        if (drop) {
            p->stores = 0;
            p->patience = MIN(2 * p->patience, (unsigned)PATIENCE_MOST);
            p->granules = 0;
            clear_flag(v, gpa);             /* before anyone drops: whoever decodes later sets it again */
        }
        if (drop || hit) {
            tell_others(v, drop ? page : gpa, drop ? PAGE_SIZE : len);
        }
    }
    engine_unlock(v->engine);
    if (drop || !p) {
        blocks_drop_page(v, page);
    } else if (hit) {
        drop_range(v, gpa, len);
    }
}

void blocks_flush(EngineVcpu *v)
{
    memset(v->jump, 0, sizeof(v->jump));
    memset(v->hash, 0, sizeof(v->hash));
    g_hash_table_remove_all(v->page_blocks);
    v->arena_used = 0;
    memset(v->spare, 0, sizeof(v->spare));
    v->stats.flushes++;
    if (v->engine->code->flushed) {
        v->engine->code->flushed(v);
    }
}

/* ---- building ---- */

static void protect_posted(Vcpu *vcpu, void *arg)
{
    Range *r = arg;

    x86_tlb_protect(x86_cpu(vcpu), r->at);
    g_free(r);
}

/* From now on stores to the page are noticed. */
static void flag_page(EngineVcpu *v, hwaddr gpa, const MemSection *s)
{
    hwaddr page = page_of(gpa);
    Engine *a = v->engine;

    engine_lock(a);
    uint8_t old = __atomic_fetch_or(section_page_flags(s, gpa), RAM_PAGE_CODE, __ATOMIC_SEQ_CST);
    CodePage *p = g_hash_table_lookup(a->pages, page_key(gpa));
    if (!p) {
        p = g_new0(CodePage, 1);
        p->patience = PATIENCE_FIRST;
        g_hash_table_insert(a->pages, page_key(gpa), p);
    }
    if (!(old & RAM_PAGE_CODE)) {
        p->stores = 0;
        for (guint i = 0; i < a->vcpus->len; i++) {
            EngineVcpu *other = g_ptr_array_index(a->vcpus, i);
            if (other != v) {
                Range *r = g_new(Range, 1);
                *r = (Range){ page, 0 };
                vcpu_post(&other->cpu->vcpu, protect_posted, r);
            }
        }
    }
    engine_unlock(a);
    if (!(old & RAM_PAGE_CODE)) {
        x86_tlb_protect(v->cpu, page);
    }
}

static void note_granules(EngineVcpu *v, hwaddr gpa, unsigned len)
{
    engine_lock(v->engine);
    CodePage *p = g_hash_table_lookup(v->engine->pages, page_key(gpa));
    if (p) {
        p->granules |= granules(gpa, len);
    }
    engine_unlock(v->engine);
}

static void exec_undefined(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);
}

static void exec_too_long(X86Cpu *c, const X86Insn *in)
{
    x86_raise_error(c, EXC_GP, 0);
}

/* Bytes to a bound instruction; false: there are not enough bytes. */
static bool decode_one(X86Cpu *c, X86Insn *in, const uint8_t *p, size_t avail)
{
    int len = x86_decode(in, p, avail, x86_code_bits(c));

    if (len == X86_DECODE_SHORT) {
        return false;
    }
    if (len > 0) {
        in->exec = x86_bind(c, in);
    } else {
        in->exec = len == X86_DECODE_LONG ? exec_too_long : exec_undefined;
        in->row = NULL;
        in->len = 0;
    }
    return true;
}

/* Does a block end behind it?  A Jcc that is not taken goes on.  Behind port access there may be an
 * interrupt, or another memory map. */
static bool ends_block(const X86Insn *in)
{
    if (!in->row) {
        return true;
    }
    switch (in->row->op) {
    case OP_JCC:
        return false;
    case OP_IN: case OP_OUT: case OP_INS: case OP_OUTS:
        return true;
    default:
        return (in->row->words & IN_ENDS) || (in->rep && (in->row->words & (IN_REP | IN_REPZ)));
    }
}

unsigned blocks_bytes(const EngineVcpu *v, const Block *b, uint8_t *to, unsigned size)
{
    AddressSpace *mem = v->cpu->vcpu.mem;
    unsigned n = MIN(b->bytes, size), first = MIN(n, PAGE_SIZE - (unsigned)(b->gpa & (PAGE_SIZE - 1)));
    MemSection s;

    if (!as_find(mem, b->gpa, &s) || !s.host) {
        return 0;
    }
    as_read(mem, b->gpa, to, first);
    if (n == first || !as_find(mem, b->tail_page, &s) || !s.host) {
        return first;
    }
    as_read(mem, b->tail_page, to + first, n - first);
    return n;
}

static void log_block(EngineVcpu *v, const Block *b, uint64_t linear)
{
    uint8_t bytes[BLOCK_INSNS * X86_INSN_MAX], *p = bytes;
    const uint8_t *end = bytes + blocks_bytes(v, b, bytes, sizeof(bytes));
    X86Cpu *c = v->cpu;
    g_autoptr(GString) text = g_string_new(NULL);

    log_printf("IN: cpu%u %04x:%" PRIx64 "\n", c->vcpu.index, c->seg[X86_CS].selector, c->regs[X86_RIP]);
    for (unsigned i = 0; i < b->count; i++) {
        const X86Insn *in = &b->insns[i];
        g_string_truncate(text, 0);
        if (!in->len || end - p < in->len || !x86_disas(p, in->len, linear, x86_code_bits(c), text)) {
            g_string_assign(text, in->len ? "(not in RAM)" : "(no instruction)");
        }
        log_printf("0x%08" PRIx64 ":  %s\n", linear, text->str);
        linear += in->len;
        p += in->len;
    }
}

/* Code bytes from `rip` that lie within CS's limit, or before EIP wraps. */
static uint64_t within_limit(const X86Cpu *c, uint64_t rip)
{
    if (x86_code_bits(c) == 64) {
        return ~0ull;
    }
    return rip > c->seg[X86_CS].limit ? 0 : (uint64_t)c->seg[X86_CS].limit - rip + 1;
}

static bool has_breakpoint(const Engine *a, uint64_t linear)
{
    for (guint i = 0; i < a->breakpoints->len; i++) {
        if (g_array_index(a->breakpoints, uint64_t, i) == linear) {
            return true;
        }
    }
    return false;
}

static void finish(EngineVcpu *v, Block *b, uint64_t linear)
{
    b->insns[b->count] = (X86Insn){ .exec = x86_exec_stop };
    v->stats.blocks++;
    v->stats.insns += b->count;
    if (log_on(LOG_IN_ASM)) {
        log_block(v, b, linear);
    }
}

/* One instruction whose bytes are not all in one page of RAM.  False: some are in no RAM at all, so
 * nobody would notice a change. */
static bool build_across(EngineVcpu *v, Block *b, uint64_t linear, const uint8_t *host, uint64_t avail)
{
    X86Cpu *c = v->cpu;
    uint8_t bytes[X86_INSN_MAX];
    unsigned first = MIN(PAGE_SIZE - (linear & (PAGE_SIZE - 1)), (uint64_t)X86_INSN_MAX), n = 0;
    uint64_t next = x86_long_mode(c) ? linear + first : (uint32_t)(linear + first);
    bool ram = host;
    hwaddr gpa;
    MemSection s;

    for (; n < first; n++) {
        bytes[n] = host ? host[n] : (uint8_t)as_load(c->vcpu.mem, b->gpa + n, 1);
    }
    if (first < X86_INSN_MAX && (avail > first || engine_eip_wraps(c)) && !decode_one(c, b->insns, bytes, first)) {
        const uint8_t *tail = x86_fetch_page(c, next, &gpa, &s);
        ram = host && tail;
        if (ram) {
            flag_page(v, gpa, &s);
            b->tail_page = gpa;
        }
        for (; n < X86_INSN_MAX; n++) {
            bytes[n] = tail ? tail[n - first] : (uint8_t)as_load(c->vcpu.mem, gpa + n - first, 1);
        }
    }
    if (!decode_one(c, b->insns, bytes, MIN(n, avail)) && !(engine_eip_wraps(c) && decode_one(c, b->insns, bytes, n))) {
        x86_raise_error(c, EXC_GP, 0);          /* it runs into CS's limit */
    }
    b->count = 1;
    b->bytes = b->insns[0].len;
    return ram;
}

static void build_within(EngineVcpu *v, Block *b, uint64_t linear, const uint8_t *host, uint64_t avail)
{
    unsigned most = b->key & KEY_SINGLE || b->key & MODE_TF ? 1 : BLOCK_INSNS;

    avail = MIN(avail, PAGE_SIZE - (b->gpa & (PAGE_SIZE - 1)));
    while (b->count < most) {
        X86Insn *in = &b->insns[b->count];
        if (b->count && G_UNLIKELY(v->engine->breakpoints->len)
            && has_breakpoint(v->engine, linear + b->bytes)) {
            return;
        }
        if (!decode_one(v->cpu, in, host + b->bytes, avail - b->bytes)) {
            return;
        }
        if (!in->row && b->count) {
            return;             /* no instruction: alone, since its length, and so its reach, is unknown */
        }
        b->count++;
        b->bytes += in->len;
        if (ends_block(in)) {
            return;
        }
    }
}

static void link_page(EngineVcpu *v, Block *b, hwaddr page)
{
    b->page_next[link_in(b, page)] = g_hash_table_lookup(v->page_blocks, page_key(page));
    g_hash_table_insert(v->page_blocks, page_key(page), b);
}

static void *arena_end(EngineVcpu *v) { return v->arena + v->arena_used; }

/* An array of n instructions: one that is free again, or a new one. */
static X86Insn *take_insns(EngineVcpu *v, unsigned n)
{
    void *spare = v->spare[n];

    if (spare) {
        v->spare[n] = *(void **)spare;
        return spare;
    }
    X86Insn *new = arena_end(v);
    v->arena_used += n * sizeof(X86Insn);
    return new;
}

X86Insn *blocks_room(EngineVcpu *v, unsigned most)
{
    return v->arena_used + most * sizeof(X86Insn) > ARENA_BYTES ? NULL : arena_end(v);
}

void blocks_hold(EngineVcpu *v, Block *b, unsigned n)
{
    *(void **)(void *)b->insns = v->spare[b->held];
    v->spare[b->held] = b->insns;
    b->insns = arena_end(v);
    b->held = n;
    v->arena_used += n * sizeof(X86Insn);
}

static Block *build(EngineVcpu *v, uint64_t linear, uint32_t key, hwaddr gpa, const uint8_t *host,
                    const MemSection *s)
{
    const size_t most = sizeof(Block) + (BLOCK_INSNS + 1) * sizeof(X86Insn);
    uint64_t avail = within_limit(v->cpu, v->cpu->regs[X86_RIP]);

    if (avail == 0) {
        x86_raise_error(v->cpu, EXC_GP, 0);
    }
    if (v->arena_used + most > ARENA_BYTES) {
        blocks_flush(v);
    }
    Block *b = host ? arena_end(v) : &v->outside;
    *b = (Block){ .key = key, .gpa = gpa, .tail_page = NO_PAGE, .insns = v->work };
    if (host) {
        flag_page(v, gpa, s);
        build_within(v, b, linear, host, avail);
    }
    bool keep = b->count || build_across(v, b, linear, host, avail);
    finish(v, b, linear);
    b->held = b->count + 1u;
    if (!keep || b->bytes == 0 || b->bytes > avail) {
        b->key = KEY_INVALID;                   /* it is run once: nothing finds it again */
        return b;
    }
    v->arena_used += sizeof(Block);
    b->insns = memcpy(take_insns(v, b->held), v->work, b->held * sizeof(X86Insn));
    unsigned first = b->tail_page == NO_PAGE ? b->bytes : PAGE_SIZE - (gpa & (PAGE_SIZE - 1));
    note_granules(v, gpa, first);
    link_page(v, b, page_of(gpa));
    if (b->tail_page != NO_PAGE) {
        note_granules(v, b->tail_page, b->bytes - first);
    }
    if (b->tail_page != NO_PAGE && b->tail_page != page_of(gpa)) {
        link_page(v, b, b->tail_page);
    }
    Block **slot = hash_slot(v, gpa);
    b->hash_next = *slot;
    *slot = b;
    return b;
}

/* ---- finding ---- */

/* The second page of an instruction that crosses may be another one by now. */
static bool tail_is_there(X86Cpu *c, const Block *b, uint64_t linear)
{
    hwaddr gpa;

    if (b->tail_page == NO_PAGE) {
        return true;
    }
    uint64_t next = (linear | (PAGE_SIZE - 1)) + 1;
    return x86_fetch_page(c, x86_long_mode(c) ? next : (uint32_t)next, &gpa, NULL) && gpa == b->tail_page;
}

Block *blocks_find(EngineVcpu *v, uint64_t linear, uint32_t key)
{
    X86Cpu *c = v->cpu;
    engine_wrap_eip(c);
    uint64_t room = within_limit(c, c->regs[X86_RIP]);
    MemSection s;
    hwaddr page;
    Block *b = NULL;

    v->stats.lookups++;
    const uint8_t *host = x86_fetch_page(c, linear, &page, NULL);
    hwaddr gpa = page | (linear & (PAGE_SIZE - 1));
    if (host) {
        host += linear & (PAGE_SIZE - 1);
        for (b = *hash_slot(v, gpa); b; b = b->hash_next) {
            if (b->gpa == gpa && b->key == key && b->bytes <= room && tail_is_there(c, b, linear)) {
                break;
            }
        }
    }
    if (!b) {
        x86_fetch_page(c, linear, &page, &s);
        b = build(v, linear, key, gpa, host, &s);
    }
    if (b->key == key) {
        uint64_t generation = b->tail_page == NO_PAGE ? x86_fetch_generation(c, linear) : c->fetch_gen;
        *jump_entry(v, linear) = (JumpEntry){ linear, jump_tag(generation, key), b };
    }
    return b;
}

/* ---- life ---- */

bool blocks_init(EngineVcpu *v, GError **errp)
{
    v->arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (v->arena == MAP_FAILED) {
        error_set_errno(errp, errno, "no %u MiB of memory for decoded code", ARENA_BYTES >> 20);
        return false;
    }
    v->page_blocks = g_hash_table_new(NULL, NULL);
    return true;
}

void blocks_fini(EngineVcpu *v)
{
    g_hash_table_destroy(v->page_blocks);
    munmap(v->arena, ARENA_BYTES);
}
