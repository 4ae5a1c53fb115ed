/*
 * target/x86/mmu-walk.c - from linear to guest-physical addresses, through the guest's page tables.
 *
 * Follows the Intel SDM, volume 3A, chapter 4: no paging, 32-bit paging with PSE-36, PAE, 4-level and
 * 5-level paging, their rights (4.6), error codes (4.7) and A and D flags (4.8).
 *
 * Not modelled: memory types (PAT, MTRR) have no effect; supervisor protection keys and CET.
 */
#include "mmu.h"

#include "target/x86/model.h"
#include "util/bits.h"

unsigned mmu_levels(const X86Cpu *c, unsigned *entry_size)
{
    *entry_size = 8;
    if (!(c->cr0 & CR0_PG)) {
        return 0;
    }
    if (!(c->cr4 & CR4_PAE)) {
        *entry_size = 4;
        return 2;
    }
    return !(c->efer & EFER_LMA) ? 3 : c->cr4 & CR4_LA57 ? 5 : 4;
}

/* Host memory of a table entry; NULL: it is not RAM or ROM. */
static inline void *table_entry(X86Cpu *c, hwaddr gpa)
{
    MemSection *s = &c->mmu->tables;

    if (G_UNLIKELY(!s->host || gpa - s->at >= s->len)) {
        if (!as_find(c->vcpu.mem, gpa, s)) {
            s->host = NULL;
        }
    }
    if (!s->host || s->len - (gpa - s->at) < 8) {
        return NULL;
    }
    mmu_touched(c, gpa, s, false);
    return s->host + (gpa - s->at);
}

static inline uint64_t read_table(X86Cpu *c, hwaddr gpa, unsigned size)
{
    void *p = table_entry(c, gpa);

    if (!p) {
        return as_load(c->vcpu.mem, gpa, size);
    }
    return size == 4 ? __atomic_load_n((uint32_t *)p, __ATOMIC_RELAXED)
                     : __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED);
}

/* Set A or D; false: the entry has changed meanwhile, walk again.  Tables in ROM stay as they are. */
static bool change_flags(X86Cpu *c, hwaddr gpa, unsigned size, uint64_t old, uint64_t flags)
{
    void *p = table_entry(c, gpa);

    if (!p || c->mmu->tables.readonly) {
        return true;
    }
    mmu_touched(c, gpa, &c->mmu->tables, true);
    if (size == 4) {
        uint32_t was = (uint32_t)old;
        if (!__atomic_compare_exchange_n((uint32_t *)p, &was, (uint32_t)(old | flags), false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            return false;
        }
    } else if (!__atomic_compare_exchange_n((uint64_t *)p, &old, old | flags, false, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED)) {
        return false;
    }
    if ((*section_page_flags(&c->mmu->tables, gpa) & RAM_PAGE_CODE) && c->mmu->stored) {
        c->mmu->stored(c, gpa, size);
    }
    return true;
}

static inline bool set_flags(X86Cpu *c, hwaddr gpa, unsigned size, uint64_t old, uint64_t flags)
{
    return G_LIKELY((old & flags) == flags) || change_flags(c, gpa, size, old, flags);
}

/* Bits that must be 0 in every 8-byte entry (4.3, 4.4.2, 4.5). */
static uint64_t reserved_bits(const X86Cpu *c, unsigned levels)
{
    uint64_t bits = mask64(52) & ~c->phys_mask;

    if (!(c->efer & EFER_NXE)) {
        bits |= PTE_NX;
    }
    if (levels == 3) {
        bits |= mask64(63) & ~mask64(52);
    }
    return bits;
}

/* One level down: an entry, and what it says about reserved bits and where it points. */
typedef struct Step {
    hwaddr at;
    uint64_t entry, target;
    bool large, bad;
} Step;

/* Bits 20:13 of a 4 MiB page's entry are bits 39:32 of its address, as far as there are such (table 4-4). */
uint32_t mmu_pse_reserved(const X86Cpu *c)
{
    uint32_t high = x86_feature(c, FEAT_PSE36) ? (uint32_t)(c->phys_mask >> 32) & 0xff : 0;

    return 1 << 21 | (0xff & ~high) << 13;
}

static Step step32(X86Cpu *c, uint64_t linear, hwaddr table, unsigned level, unsigned shift)
{
    Step s = { .at = (table + 4 * (linear >> shift & 0x3ff)) & c->vcpu.a20_mask };

    s.entry = read_table(c, s.at, 4);
    s.large = level == 2 && (s.entry & PTE_PS) && (c->cr4 & CR4_PSE);
    s.bad = s.large && (s.entry & mmu_pse_reserved(c));
    s.target = s.large ? (s.entry & 0xffc00000) | (s.entry >> 13 & 0xff) << 32 : s.entry & 0xfffff000;
    return s;
}

static inline Step step64(X86Cpu *c, uint64_t linear, hwaddr table, uint64_t reserved, unsigned level, unsigned shift)
{
    Step s = { .at = (table + 8 * (linear >> shift & 0x1ff)) & c->vcpu.a20_mask };

    s.entry = read_table(c, s.at, 8);
    if (G_UNLIKELY((s.entry & PTE_PS) && level > 1)) {
        s.large = level == 2 || (level == 3 && x86_feature(c, FEAT_PDPE1GB));
        reserved |= s.large ? mask64(shift) & ~mask64(13) : PTE_PS;     /* no such page */
    }
    s.bad = s.entry & reserved;
    s.target = s.entry & c->phys_mask & ~(s.large ? mask64(shift) : mask64(12));
    return s;
}

/* Data accesses to user-mode pages only (4.6.2). */
static bool key_forbids(const X86Cpu *c, const PageWalk *w, bool write, bool user)
{
    if (!(c->cr4 & CR4_PKE) || !w->user || !x86_long_mode(c)) {
        return false;
    }
    unsigned rights = c->pkru >> (2 * w->pkey) & 3;
    return (rights & 1) || (write && (rights & 2) && (user || (c->cr0 & CR0_WP)));
}

/* May `access` happen to a page with these rights (4.6)?  A protection key that forbids it shows in the
 * error code whatever else does (4.7). */
static bool allowed(const X86Cpu *c, const PageWalk *w, Access access, TlbKind kind, uint32_t *error)
{
    bool user = kind == TLB_USER, write = access == ACCESS_WRITE;
    bool by_key = access != ACCESS_FETCH && key_forbids(c, w, write, user);

    if (by_key) {
        *error |= PF_PK;
    }
    if (user && !w->user) {
        return false;
    }
    if (write && !w->writable && (user || (c->cr0 & CR0_WP))) {
        return false;
    }
    if (access == ACCESS_FETCH) {
        return w->executable && (user || !w->user || !(c->cr4 & CR4_SMEP));
    }
    if (!user && w->user && kind == TLB_SUPER_SMAP) {
        return false;
    }
    return !by_key;
}

typedef enum WalkResult { WALK_OK, WALK_FAULT, WALK_AGAIN } WalkResult;

/* `kind` TLB_KINDS: the debugger's walk. */
static WalkResult walk_once(X86Cpu *c, uint64_t linear, Access access, TlbKind kind, PageWalk *out,
                            uint32_t *error)
{
    unsigned size, levels = mmu_levels(c, &size), level = levels;
    hwaddr table = size == 4 ? c->cr3 & 0xfffff000 : c->cr3 & c->phys_mask & ~mask64(12);
    bool debug = kind == TLB_KINDS;
    uint64_t reserved = reserved_bits(c, levels);
    uint64_t every = ~0ull, some = 0;       /* rights are those of all levels together (4.6) */

    if (levels == 3) {                      /* the top level is in registers (4.4.1) */
        uint64_t pdpte = c->pdpte[linear >> 30 & 3];
        if (!(pdpte & PTE_P)) {
            *error = 0;
            return WALK_FAULT;
        }
        table = pdpte & c->phys_mask & ~mask64(12);
        level = 2;
    }
    for (;; level--) {
        unsigned shift = 12 + (size == 4 ? 10 : 9) * (level - 1);
        Step s = size == 4 ? step32(c, linear, table, level, shift)
                           : step64(c, linear, table, reserved, level, shift);
        if (G_UNLIKELY(!(s.entry & PTE_P))) {
            *error = 0;
            return WALK_FAULT;
        }
        if (G_UNLIKELY(s.bad)) {
            *error = PF_P | PF_RSVD;
            return WALK_FAULT;
        }
        every &= s.entry;
        some |= s.entry;
        if (level > 1 && !s.large) {
            if (!debug && !set_flags(c, s.at, size, s.entry, PTE_A)) {
                return WALK_AGAIN;
            }
            table = s.target;
            continue;
        }
        *out = (PageWalk){ .gpa = (s.target | (linear & mask64(shift))) & c->vcpu.a20_mask, .shift = shift,
                           .user = every & PTE_U, .writable = every & PTE_W,
                           .executable = size == 4 || !(some & PTE_NX),
                           .global = (s.entry & PTE_G) && (c->cr4 & CR4_PGE), .pkey = s.entry >> 59 & 15 };
        if (debug) {
            out->dirty = s.entry & PTE_D;
            return WALK_OK;
        }
        *error = PF_P;
        if (!allowed(c, out, access, kind, error)) {
            return WALK_FAULT;
        }
        uint64_t flags = PTE_A | (access == ACCESS_WRITE ? PTE_D : 0);
        if (!set_flags(c, s.at, size, s.entry, flags)) {
            return WALK_AGAIN;
        }
        out->dirty = (s.entry | flags) & PTE_D;
        uint32_t unused = 0;
        out->can_write = access == ACCESS_WRITE
            || (out->dirty && allowed(c, out, ACCESS_WRITE, kind, &unused));
        return WALK_OK;
    }
}

static bool no_paging(const X86Cpu *c, uint64_t linear, PageWalk *out)
{
    if (c->cr0 & CR0_PG) {
        return false;
    }
    *out = (PageWalk){ .gpa = linear & c->vcpu.a20_mask, .shift = 12, .user = true, .writable = true,
                       .executable = true, .dirty = true, .can_write = true };
    return true;
}

bool mmu_walk(X86Cpu *c, uint64_t linear, Access access, TlbKind kind, PageWalk *out, uint32_t *error)
{
    WalkResult r;

    if (no_paging(c, linear, out)) {
        return true;
    }
    do {
        r = walk_once(c, linear, access, kind, out, error);
    } while (r == WALK_AGAIN);
    if (r == WALK_FAULT) {
        bool tells_fetch = (c->cr4 & CR4_SMEP) || ((c->cr4 & CR4_PAE) && (c->efer & EFER_NXE));
        *error |= (access == ACCESS_WRITE ? PF_W : 0) | (kind == TLB_USER ? PF_U : 0)
            | (access == ACCESS_FETCH && tells_fetch ? PF_I : 0);
    }
    return r == WALK_OK;
}

bool mmu_walk_debug(X86Cpu *c, uint64_t linear, PageWalk *out)
{
    uint32_t error;

    if (no_paging(c, linear, out)) {
        return true;
    }
    c->mmu->tables.host = NULL;         /* the map may have changed since the processor last looked */
    return (!x86_long_mode(c) || x86_canonical(c, linear))
        && walk_once(c, linear, ACCESS_READ, TLB_KINDS, out, &error) == WALK_OK;
}
