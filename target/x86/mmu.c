/*
 * target/x86/mmu.c - memory as instructions see it: what lies behind a miss in the software TLB.
 *
 * Follows the Intel SDM, volume 3A, chapters 4.6 (rights), 5.3 (limits) and 6.15 (#AC).
 */
#include "mmu.h"

#include <inttypes.h>
#include "util/bits.h"
#include "util/log.h"

/* Where an access goes: host memory, or through the memory map. */
typedef struct Target {
    uint8_t *host;
    hwaddr gpa;
    MemSection section;
    bool found, code;           /* something is there; it has decoded code in it */
} Target;

/* Descriptor tables and TSS: RFLAGS.AC does not open user pages (4.6.1). */
static TlbKind system_privilege(const X86Cpu *c)
{
    return c->cr4 & CR4_SMAP ? TLB_SUPER_SMAP : TLB_SUPER;
}

void x86_segment_fault(X86Cpu *c, unsigned seg)
{
    x86_raise_error(c, seg == X86_SS ? EXC_SS : EXC_GP, 0);
}

uint64_t x86_linear(X86Cpu *c, unsigned seg, uint64_t off, unsigned size, bool write)
{
    uint64_t linear = x86_segmented(c, seg, off, size, write);

    if ((c->mode & MODE_CODE) == MODE_CODE64
        && !(x86_canonical(c, linear) && x86_canonical(c, linear + size - 1))) {
        x86_check_operand(c, seg, linear, size, size);
    }
    return linear;
}

/* ---- filling ---- */

static bool covers_page(const MemSection *s, hwaddr page)
{
    return s->at <= page && s->len - (page - s->at) >= PAGE_SIZE;
}

static bool has_code(const MemSection *s, hwaddr gpa)
{
    return __atomic_load_n(section_page_flags(s, gpa), __ATOMIC_RELAXED) & RAM_PAGE_CODE;
}

/* RAM or ROM; anything else may be a device, which an instruction reaches alone. */
static Target check_device(X86Cpu *c, Target t)
{
    if (!t.host && !(t.found && t.section.host)) {
        x86_apart(c);
    }
    return t;
}

/* The target of an access that lies in one page; raises #PF. */
static Target find_target(X86Cpu *c, uint64_t linear, Access access, TlbKind kind)
{
    const X86TlbEntry *e = &c->mmu->now->table[kind][x86_tlb_slot(c, linear)];
    const IoTlbEntry *io = &c->mmu->io[linear >> PAGE_BITS & (IO_TLB_SIZE - 1)];
    uint64_t page = linear & X86_PAGE_MASK;
    uint32_t error;
    PageWalk w;
    Target t;

    if ((access == ACCESS_WRITE ? e->write : e->read) == page) {
        return (Target){ .host = x86_tlb_host(e, linear), .found = true,
                         .gpa = (e->page & X86_PAGE_MASK) | (linear & ~X86_PAGE_MASK) };
    }
    if (io->tag == page && io->kind == kind && mmu_valid(c->mmu, io->generation)
        && (access == ACCESS_READ || io->writable)) {
        t = (Target){ .gpa = io->gpa | (linear & ~X86_PAGE_MASK), .section = io->section, .found = true };
        return check_device(c, t);
    }
    c->mmu->misses++;
    if (!mmu_walk(c, linear, access, kind, &w, &error)) {
        if (log_on(LOG_MMU)) {
            log_printf("mmu: #PF at %" PRIx64 " error %x rip %" PRIx64 "\n", linear, error, c->regs[X86_RIP]);
        }
        x86_raise_pf(c, linear, error);
    }
    t = (Target){ .gpa = w.gpa };
    t.found = as_find(c->vcpu.mem, w.gpa, &t.section);
    if (!t.found) {
        return check_device(c, t);
    }
    bool whole = covers_page(&t.section, w.gpa & X86_PAGE_MASK);
    if (t.section.host) {
        /* An observer is told of the first write, too */
        bool writable = !t.section.readonly && (!c->observer || access == ACCESS_WRITE);
        mmu_touched(c, w.gpa, &t.section, writable && access == ACCESS_WRITE);
        t.code = has_code(&t.section, w.gpa);
        if (whole) {
            t.host = t.section.host + (w.gpa - t.section.at);
            mmu_fill_ram(c, linear, &w, kind, t.host, writable && !t.code);
        }
        if (t.section.readonly && access == ACCESS_WRITE) {
            t.host = NULL;                              /* section_store() drops the write */
        }
    } else if (whole) {
        mmu_fill_io(c, linear, &w, kind, &t.section);
    }
    return check_device(c, t);
}

/* ---- accesses ---- */

void x86_check_alignment(X86Cpu *c, uint64_t linear, unsigned align)
{
    if (mmu_checks_alignment(c) && (linear & (align - 1))) {
        x86_raise_error(c, EXC_AC, 0);
    }
}

/* An operand that begins within canonical addresses is looked at for alignment before its end is. */
void x86_check_operand(X86Cpu *c, unsigned seg, uint64_t linear, unsigned size, unsigned align)
{
    if (x86_long_mode(c) && !x86_canonical(c, linear)) {
        x86_segment_fault(c, seg);
    }
    x86_check_alignment(c, linear, align);
    if (x86_long_mode(c) && !x86_canonical(c, linear + size - 1)) {
        x86_segment_fault(c, seg);
    }
}

static void check_address(X86Cpu *c, uint64_t linear, unsigned size, unsigned seg)
{
    x86_check_operand(c, seg, linear, size, size);
}

static bool crosses_page(uint64_t linear, unsigned len)
{
    return (linear & ~X86_PAGE_MASK) + len > PAGE_SIZE;
}

/* The next page's first address; 32-bit addresses wrap, 64-bit ones must stay canonical. */
static uint64_t next_page(X86Cpu *c, uint64_t linear)
{
    uint64_t next = (linear | ~X86_PAGE_MASK) + 1;

    if (!x86_long_mode(c)) {
        return (uint32_t)next;
    }
    if (!x86_canonical(c, next)) {
        x86_segment_fault(c, X86_DS);
    }
    return next;
}

static bool inside_section(const Target *t, unsigned len)
{
    return t->section.len - (t->gpa - t->section.at) >= len;
}

/* All bytes lie in one page. */
static void read_target(X86Cpu *c, const Target *t, void *buf, unsigned len)
{
    if (t->host) {
        memcpy(buf, t->host, len);
        return;
    }
    for (unsigned i = 0; i < len; ) {
        unsigned n = len - i >= 8 ? 8 : len - i >= 4 ? 4 : len - i >= 2 ? 2 : 1;
        uint64_t v = t->found && inside_section(t, len)
            ? section_load(c->vcpu.mem, &t->section, t->gpa + i, n) : as_load(c->vcpu.mem, t->gpa + i, n);
        memcpy((uint8_t *)buf + i, &v, n);
        i += n;
    }
}

static void write_target(X86Cpu *c, const Target *t, const void *buf, unsigned len)
{
    if (t->host) {
        memcpy(t->host, buf, len);
        if (t->code && c->mmu->stored) {
            c->mmu->stored(c, t->gpa, len);
        }
        return;
    }
    for (unsigned i = 0; i < len; ) {
        unsigned n = len - i >= 8 ? 8 : len - i >= 4 ? 4 : len - i >= 2 ? 2 : 1;
        uint64_t v = 0;
        memcpy(&v, (const uint8_t *)buf + i, n);
        if (t->found && !t->section.host && inside_section(t, len)) {
            section_store(c->vcpu.mem, &t->section, t->gpa + i, v, n);
        } else {
            as_store(c->vcpu.mem, t->gpa + i, v, n);
        }
        i += n;
    }
}

/* len is at most a page. */
static void read_bytes(X86Cpu *c, uint64_t linear, void *buf, unsigned len, TlbKind kind)
{
    unsigned first = crosses_page(linear, len) ? PAGE_SIZE - (linear & ~X86_PAGE_MASK) : len;

    if (c->debug.data) {
        x86_watch_access(c, linear, len, false);
    }
    Target a = find_target(c, linear, ACCESS_READ, kind);
    if (first == len) {
        read_target(c, &a, buf, len);
        return;
    }
    Target b = find_target(c, next_page(c, linear), ACCESS_READ, kind);
    read_target(c, &a, buf, first);
    read_target(c, &b, (uint8_t *)buf + first, len - first);
}

static void write_bytes(X86Cpu *c, uint64_t linear, const void *buf, unsigned len, TlbKind kind)
{
    unsigned first = crosses_page(linear, len) ? PAGE_SIZE - (linear & ~X86_PAGE_MASK) : len;

    if (c->debug.data) {
        x86_watch_access(c, linear, len, true);
    }
    Target a = find_target(c, linear, ACCESS_WRITE, kind);
    if (first == len) {
        write_target(c, &a, buf, len);
        return;
    }
    Target b = find_target(c, next_page(c, linear), ACCESS_WRITE, kind);
    write_target(c, &a, buf, first);
    write_target(c, &b, (const uint8_t *)buf + first, len - first);
}

uint64_t x86_load_miss(X86Cpu *c, uint64_t linear, unsigned size, unsigned seg)
{
    uint64_t v = 0;

    check_address(c, linear, size, seg);
    read_bytes(c, linear, &v, size, mmu_privilege(c));
    return v;
}

uint64_t x86_change_miss(X86Cpu *c, uint64_t linear, unsigned size, unsigned seg)
{
    check_address(c, linear, size, seg);
    x86_probe_write(c, linear, size);
    return x86_load_miss(c, linear, size, seg);
}

void x86_store_miss(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size, unsigned seg)
{
    check_address(c, linear, size, seg);
    write_bytes(c, linear, &val, size, mmu_privilege(c));
}

const uint8_t *x86_read_in_place(X86Cpu *c, uint64_t linear)
{
    if (c->debug.data || (x86_long_mode(c) && !x86_canonical(c, linear))) {
        return NULL;
    }
    return find_target(c, linear, ACCESS_READ, mmu_privilege(c)).host;
}

uint64_t x86_ld(X86Cpu *c, uint64_t linear, unsigned size)
{
    const X86TlbEntry *e;
    uint64_t v = 0;

    x86_mmu_sync(c);
    e = x86_tlb_entry(c, linear);
    if (x86_tlb_hit(e->read, linear, size)) {
        memcpy(&v, x86_tlb_host(e, linear), size);
        return v;
    }
    return x86_load_miss(c, linear, size, X86_DS);
}

void x86_st(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size)
{
    void *p;

    x86_mmu_sync(c);
    p = x86_in_place(c, linear, size);
    if (p) {
        memcpy(p, &val, size);
        return;
    }
    x86_store_miss(c, linear, val, size, X86_DS);
}

uint64_t x86_ld_sys(X86Cpu *c, uint64_t linear, unsigned size)
{
    uint64_t v = 0;

    if (x86_long_mode(c) && !x86_canonical(c, linear)) {
        x86_segment_fault(c, X86_DS);
    }
    read_bytes(c, linear, &v, size, system_privilege(c));
    return v;
}

void x86_st_sys(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size)
{
    if (x86_long_mode(c) && !x86_canonical(c, linear)) {
        x86_segment_fault(c, X86_DS);
    }
    write_bytes(c, linear, &val, size, system_privilege(c));
}

void x86_ld_bytes(X86Cpu *c, uint64_t linear, void *buf, unsigned len)
{
    check_address(c, linear, 1, X86_DS);
    read_bytes(c, linear, buf, len, mmu_privilege(c));
}

void x86_st_bytes(X86Cpu *c, uint64_t linear, const void *buf, unsigned len)
{
    check_address(c, linear, 1, X86_DS);
    write_bytes(c, linear, buf, len, mmu_privilege(c));
}

void x86_probe_read(X86Cpu *c, uint64_t linear)
{
    check_address(c, linear, 1, X86_DS);
    find_target(c, linear, ACCESS_READ, mmu_privilege(c));
}

void x86_probe_write(X86Cpu *c, uint64_t linear, unsigned len)
{
    check_address(c, linear, 1, X86_DS);
    if (c->debug.data) {
        x86_watch_probe(c, linear, len);
    }
    find_target(c, linear, ACCESS_WRITE, mmu_privilege(c));
    if (crosses_page(linear, len)) {
        find_target(c, next_page(c, linear), ACCESS_WRITE, mmu_privilege(c));
    }
}

/* Code that the operation is about to change is dropped first: nothing of it is decoded again
 * before this instruction is over. */
void *x86_rmw(X86Cpu *c, uint64_t linear, unsigned size)
{
    x86_mmu_sync(c);
    void *p = x86_in_place(c, linear, size);
    if (p) {
        return p;
    }
    check_address(c, linear, size, X86_DS);
    if (crosses_page(linear, size)) {
        x86_probe_write(c, linear, size);               /* its faults are those of a write */
        return NULL;
    }
    if (c->debug.data) {
        x86_watch_access(c, linear, size, false);
        x86_watch_access(c, linear, size, true);
    }
    Target t = find_target(c, linear, ACCESS_WRITE, mmu_privilege(c));
    if (t.host && t.code && c->mmu->stored) {
        c->mmu->stored(c, t.gpa, size);
    }
    return t.host;
}

/* ---- code ---- */

const uint8_t *x86_fetch_page(X86Cpu *c, uint64_t linear, hwaddr *gpa, MemSection *s)
{
    TlbKind kind = c->cpl == 3 ? TLB_USER : TLB_SUPER;
    CodeTlbEntry *e = mmu_code_entry(c, linear, kind);
    MemSection found;

    if (e->tag != (linear & X86_PAGE_MASK) || !mmu_valid(c->mmu, e->generation)) {
        uint32_t error;
        PageWalk w;
        if (x86_long_mode(c) && !x86_canonical(c, linear)) {
            x86_raise_error(c, EXC_GP, 0);
        }
        c->mmu->misses++;
        if (!mmu_walk(c, linear, ACCESS_FETCH, kind, &w, &error)) {
            x86_raise_pf(c, linear, error);
        }
        hwaddr at = w.gpa & X86_PAGE_MASK;
        bool ram = as_find(c->vcpu.mem, at, &found) && found.host && covers_page(&found, at);
        if (ram) {
            mmu_touched(c, at, &found, false);
        }
        mmu_fill_code(c, e, linear, &w, ram ? found.host + (at - found.at) : NULL);
    }
    *gpa = e->page & X86_PAGE_MASK;
    if (s && !as_find(c->vcpu.mem, *gpa, s)) {
        *s = (MemSection){ 0 };
    }
    return e->host;
}

void x86_mmu_code_hook(X86Cpu *c, void (*stored)(X86Cpu *c, hwaddr gpa, unsigned len))
{
    c->mmu->stored = stored;
}
