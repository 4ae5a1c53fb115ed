/*
 * target/x86/mmu.h - the inside of the MMU, shared by mmu.c, mmu-walk.c and mmu-info.c.
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

enum { CODE_TLB_SIZE = 256, IO_TLB_SIZE = 32, FETCHED_BITS = 4096 };

typedef struct CodeTlbEntry {
    uint64_t tag;               /* linear page, or X86_TLB_NONE */
    uint64_t page;              /* guest-physical; low bits: PAGE_GLOBAL, the shift */
    const uint8_t *host;        /* NULL: not RAM or ROM */
} CodeTlbEntry;

typedef struct IoTlbEntry {     /* pages that are not host memory */
    uint64_t tag;
    hwaddr gpa;                 /* of the page */
    TlbKind kind;
    bool writable;              /* as PageWalk.can_write */
    bool global, present;       /* something is there: `section` */
    uint8_t shift;
    MemSection section;
} IoTlbEntry;

/* Low bits of X86TlbEntry.page and CodeTlbEntry.page. */
enum { PAGE_GLOBAL = 1 << 0, PAGE_SHIFT_AT = 1, PAGE_SHIFT = 63 << PAGE_SHIFT_AT };

struct X86Mmu {
    X86TlbEntry table[TLB_KINDS][X86_TLB_SIZE];
    struct { uint16_t slot[X86_TLB_SIZE]; unsigned n; } local[TLB_CHECKED];   /* filled, not global */
    CodeTlbEntry code[2][CODE_TLB_SIZE];        /* [1] for user mode */
    IoTlbEntry io[IO_TLB_SIZE];
    uint64_t fetched[FETCHED_BITS / 64];        /* linear pages (hashed) fetched from in this fetch_gen */
    uint64_t large_lo, large_hi;                /* hull of the pages above 4 KiB since a full flush */
    MemSection tables;                          /* where page tables were read last */
    void (*stored)(X86Cpu *c, hwaddr gpa, unsigned len);
    uint64_t misses, flushes;
};

/* Walk the page tables; false: *error is #PF's error code.  Sets A and D. */
bool mmu_walk(X86Cpu *c, uint64_t linear, Access access, TlbKind kind, PageWalk *out, uint32_t *error);
/* The same for the debugger: no rights checked, nothing set. */
bool mmu_walk_debug(X86Cpu *c, uint64_t linear, PageWalk *out);
/* Physical memory that holds page tables. */
uint64_t mmu_read_table(X86Cpu *c, hwaddr gpa, unsigned size);
/* Geometry of the paging mode in force: levels (0: no paging), bytes of an entry. */
unsigned mmu_levels(const X86Cpu *c, unsigned *entry_size);

#endif
