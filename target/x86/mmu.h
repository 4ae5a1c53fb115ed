/*
 * target/x86/mmu.h - the inside of the MMU, shared by mmu.c, mmu-tlb.c, mmu-walk.c and mmu-info.c.
 */
#ifndef TARGET_X86_MMU_PRIVATE_H
#define TARGET_X86_MMU_PRIVATE_H

#include "target/x86/mem.h"

typedef enum Access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH } Access;

/* Whose access it is.  TLB_CHECKED is a table that stays empty: every access then takes the slow
 * path, which can look at alignment; its entries are in TLB_USER. */
typedef enum TlbKind { TLB_USER, TLB_SUPER, TLB_SUPER_SMAP, TLB_CHECKED, TLB_KINDS } TlbKind;

enum { PTE_P = 1 << 0, PTE_W = 1 << 1, PTE_U = 1 << 2, PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7,
       PTE_G = 1 << 8 };
#define PTE_NX (1ull << 63)

typedef struct PageWalk {       /* what a successful walk found */
    hwaddr gpa;                 /* of the linear address itself, A20 applied */
    uint8_t shift;              /* 12, 21, 22 or 30: size of the page */
    bool user, writable, executable, global, dirty;
    uint8_t pkey;
    bool can_write;             /* a write would be allowed, and D is set already */
} PageWalk;

enum { CODE_TLB_SIZE = 256, IO_TLB_SIZE = 32, FETCHED_BITS = 4096, TLB_CONTEXTS = 8,
       /* A kernel fetches from some thousand pages and has as many large ones: INVLPG of a stack, once a fork and
        * more, must not look like one of them. */
       GLOBAL_FETCHED_BITS = 1 << 20, LARGE_BITS = 1 << 20 };

/* Code and I/O entries belong to the context whose generation they carry, or to all of them: that
 * of X86Mmu.generation.  mmu_valid() tells. */
typedef struct CodeTlbEntry {
    uint64_t tag;               /* linear page, or X86_TLB_NONE */
    uint64_t page;              /* guest-physical; low bits as X86TlbEntry.page */
    uint64_t generation;
    const uint8_t *host;        /* NULL: not RAM or ROM */
} CodeTlbEntry;

typedef struct IoTlbEntry {     /* pages that are not host memory */
    uint64_t tag;
    hwaddr gpa;                 /* of the page */
    TlbKind kind;
    uint64_t generation;
    bool writable;              /* as PageWalk.can_write */
    uint8_t shift;
    MemSection section;
} IoTlbEntry;

/* Low bits of X86TlbEntry.page and CodeTlbEntry.page. */
enum { PAGE_GLOBAL = 1 << 0, PAGE_SHIFT_AT = 1, PAGE_SHIFT = 63 << PAGE_SHIFT_AT, PAGE_KEY_AT = 7,
       PAGE_KEY = 15 << PAGE_KEY_AT, PAGE_KEYED = 1 << 11 /* PKRU has a say */ };

typedef struct TlbPlace { X86TlbEntry *entry; unsigned slot; } TlbPlace;

typedef enum TlbStale { TLB_FRESH, TLB_LOCAL_STALE /* all but global pages */, TLB_ALL_STALE } TlbStale;

typedef struct TlbContext {     /* what is known of the linear addresses of one PCID */
    X86TlbEntry *table[TLB_CHECKED];
    struct { uint16_t *slot; unsigned n; } local[TLB_CHECKED];   /* filled, not global */
    uint64_t fetched[FETCHED_BITS / 64];        /* linear pages (hashed) fetched from in this fetch_gen */
    uint64_t fetch_gen;                         /* X86Cpu.fetch_gen while this is in use */
    uint64_t generation, used, protects;        /* of X86Mmu.generations and .protects */
    uint32_t keys;                              /* protection keys of its pages */
    uint16_t pcid;
    TlbStale stale;                             /* to be flushed before it is used again */
} TlbContext;

struct X86Mmu {
    TlbContext *context[TLB_CONTEXTS], *now;    /* made as they are needed, from the front */
    X86TlbEntry *checked;                       /* stays empty */
    CodeTlbEntry code[2][CODE_TLB_SIZE];        /* [1] for user mode */
    IoTlbEntry io[IO_TLB_SIZE];
    uint64_t generations, generation;           /* counter; and that of global pages */
    uint64_t fetched[GLOBAL_FETCHED_BITS / 64]; /* global pages (hashed) fetched from in this global_gen */
    uint64_t protects;                          /* counts x86_tlb_protect() */
    uint64_t large[LARGE_BITS / 64];            /* pages above 4 KiB (hashed) since a full flush */
    MemSection tables;                          /* where page tables were read last */
    void (*stored)(X86Cpu *c, hwaddr gpa, unsigned len);
    GArray *granted;                            /* TlbPlace of entries with write permission, for an observer */
    uint64_t misses, flushes;
};

/* ---- mmu-tlb.c ---- */
void mmu_fill_ram(X86Cpu *c, uint64_t linear, const PageWalk *w, TlbKind kind, uint8_t *host, bool writable);
void mmu_fill_io(X86Cpu *c, uint64_t linear, const PageWalk *w, TlbKind kind, const MemSection *s);
/* Where a page of code would be known; from now on a flush of it changes fetch_gen. */
CodeTlbEntry *mmu_code_entry(X86Cpu *c, uint64_t linear, TlbKind kind);
void mmu_fill_code(X86Cpu *c, CodeTlbEntry *e, uint64_t linear, const PageWalk *w, const uint8_t *host);

static inline bool mmu_valid(const X86Mmu *m, uint64_t generation)
{
    return generation == m->now->generation || generation == m->generation;
}

/* Tell the observer, if there is one. */
void mmu_touched(X86Cpu *c, hwaddr gpa, const MemSection *s, bool write);

/* ---- mmu.c ---- */
static inline TlbKind mmu_privilege(const X86Cpu *c)
{
    if (c->cpl == 3) {
        return TLB_USER;
    }
    return (c->cr4 & CR4_SMAP) && !(c->rflags & FL_AC) ? TLB_SUPER_SMAP : TLB_SUPER;
}

static inline bool mmu_checks_alignment(const X86Cpu *c)
{
    return c->cpl == 3 && (c->cr0 & CR0_AM) && (c->rflags & FL_AC);
}

/* ---- mmu-walk.c ---- */

/* Walk the page tables; false: *error is #PF's error code.  Sets A and D. */
bool mmu_walk(X86Cpu *c, uint64_t linear, Access access, TlbKind kind, PageWalk *out, uint32_t *error);
/* The same for the debugger: no rights checked, nothing set. */
bool mmu_walk_debug(X86Cpu *c, uint64_t linear, PageWalk *out);
/* Geometry of the paging mode in force: levels (0: no paging), bytes of an entry. */
unsigned mmu_levels(const X86Cpu *c, unsigned *entry_size);
uint32_t mmu_pse_reserved(const X86Cpu *c);     /* bits of an entry for a 4 MiB page that must be 0 */

#endif
