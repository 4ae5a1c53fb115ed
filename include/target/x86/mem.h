/*
 * target/x86/mem.h - memory operands the fast way: the inline part of the MMU.
 *
 * For instruction handlers, on the vCPU's own thread.  A hit in the software TLB is a host load or
 * store; everything else (page walk, page-crossing access, device registers, faults) is behind the
 * two _miss functions of mmu.c.  Alignment is the host's business: accesses that do not cross a page
 * are one host access, and as atomic as the host's.
 */
#ifndef TARGET_X86_MEM_H
#define TARGET_X86_MEM_H

#include <string.h>
#include "target/x86/exec.h"

enum { X86_TLB_LEAST = 256, X86_TLB_DEFAULT = 4096, X86_TLB_MOST = 65536 };    /* entries; a power of two */
enum { X86_TLB_NONE = 1 /* of other tables: no tag is odd */ };
#define X86_PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))

/* One linear page, for one privilege.  Tags are the page's linear address where the access is
 * allowed and lies in host memory; a write tag also means: D is set, no decoded code is there.
 * c->tlb is the table of the privilege, address space (PCID) and protection keys of now: whoever
 * probes it inline need compare nothing but the tag.  The pointer changes with x86_mmu_sync() and
 * with loads of CR3; entries change under any function of mmu.c. */
typedef struct X86TlbEntry {
    uint64_t read, write;
    uint8_t *host;              /* where the page lies */
    uint64_t page;              /* guest-physical; low bits belong to mmu.c */
} X86TlbEntry;

/* The tag of an entry that allows nothing: a page of another slot, so that no address that looks here can
 * be in it. */
static inline uint64_t x86_tlb_none(unsigned slot)
{
    return (uint64_t)(slot ^ 1) << PAGE_BITS;
}

/* Guest memory in host memory: any alignment, any type. */
typedef uint8_t X86Mem8 __attribute__((may_alias));
typedef uint16_t X86Mem16 __attribute__((aligned(1), may_alias));
typedef uint32_t X86Mem32 __attribute__((aligned(1), may_alias));
typedef uint64_t X86Mem64 __attribute__((aligned(1), may_alias));

/* `seg` tells which exception an address that is not canonical is: #SS or #GP. */
uint64_t x86_load_miss(X86Cpu *c, uint64_t linear, unsigned size, unsigned seg);
void x86_store_miss(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size, unsigned seg);
/* A load that a store to the same place follows: it faults as the store would (#PF with W set). */
uint64_t x86_change_miss(X86Cpu *c, uint64_t linear, unsigned size, unsigned seg);
G_NORETURN void x86_segment_fault(X86Cpu *c, unsigned seg);     /* #SS(0) or #GP(0) */

/* Host memory to read from `linear` to the end of its page, whether or not the TLB has room for it; NULL: no RAM, or
 * somebody watches accesses.  Raises #PF. */
const uint8_t *x86_read_in_place(X86Cpu *c, uint64_t linear);

static inline unsigned x86_tlb_slot(const X86Cpu *c, uint64_t linear)
{
    return linear >> PAGE_BITS & c->tlb_mask;
}

static inline X86TlbEntry *x86_tlb_entry(X86Cpu *c, uint64_t linear)
{
    return &c->tlb[x86_tlb_slot(c, linear)];
}

/* Before the first instruction, or with everything flushed.  Entries: a power of two within the limits above. */
void x86_tlb_resize(X86Cpu *c, unsigned entries);


/* The first byte's offset in the tagged page settles both: that it is this page, and that none is crossed. */
static inline bool x86_tlb_hit(uint64_t tag, uint64_t linear, unsigned size)
{
    return G_LIKELY(linear - tag <= PAGE_SIZE - size);
}

static inline void *x86_tlb_host(const X86TlbEntry *e, uint64_t linear)
{
    return e->host + (linear & (PAGE_SIZE - 1));
}

#define X86_MEM_ACCESS(bits) \
    static inline uint##bits##_t x86_load##bits(X86Cpu *c, unsigned seg, uint64_t linear) \
    { \
        const X86TlbEntry *e = x86_tlb_entry(c, linear); \
        if (x86_tlb_hit(e->read, linear, bits / 8)) { \
            return *(const X86Mem##bits *)(e->host + (linear - e->read)); \
        } \
        return (uint##bits##_t)x86_load_miss(c, linear, bits / 8, seg); \
    } \
    static inline void x86_store##bits(X86Cpu *c, unsigned seg, uint64_t linear, uint##bits##_t v) \
    { \
        const X86TlbEntry *e = x86_tlb_entry(c, linear); \
        if (x86_tlb_hit(e->write, linear, bits / 8)) { \
            *(X86Mem##bits *)(e->host + (linear - e->write)) = v; \
            return; \
        } \
        x86_store_miss(c, linear, v, bits / 8, seg); \
    }
X86_MEM_ACCESS(8)
X86_MEM_ACCESS(16)
X86_MEM_ACCESS(32)
X86_MEM_ACCESS(64)
#undef X86_MEM_ACCESS

/* Where in host memory an access may go straight; NULL: by the _miss functions. */
static inline const void *x86_readable(X86Cpu *c, uint64_t linear, unsigned size)
{
    const X86TlbEntry *e = x86_tlb_entry(c, linear);

    return x86_tlb_hit(e->read, linear, size) ? x86_tlb_host(e, linear) : NULL;
}

static inline void *x86_in_place(X86Cpu *c, uint64_t linear, unsigned size)
{
    const X86TlbEntry *e = x86_tlb_entry(c, linear);

    return x86_tlb_hit(e->write, linear, size) ? x86_tlb_host(e, linear) : NULL;
}

/* The offset that ModRM, SIB and displacement name. */
static inline uint64_t x86_offset(const X86Cpu *c, const X86Insn *in)
{
    uint64_t off = c->regs[in->base] + (c->regs[in->index] << in->scale) + (int64_t)in->disp;

    return off & ~0ull >> (64 - in->addrsize);
}

/* Segment base and limits (5.3).  In 64-bit mode only FS and GS have a base, and whether the address
 * is canonical shows at the access. */
static inline uint64_t x86_segmented(X86Cpu *c, unsigned seg, uint64_t off, unsigned size, bool write)
{
    const X86Segment *s = &c->seg[seg];

    if ((c->mode & MODE_CODE) == MODE_CODE64) {
        return seg >= X86_FS ? off + s->base : off;
    }
    uint64_t lo = write ? s->write_lo : s->read_lo, hi = write ? s->write_hi : s->read_hi;
    if (G_UNLIKELY(off < lo || off + size - 1 > hi)) {
        x86_segment_fault(c, seg);
    }
    return (uint32_t)(off + s->base);
}

/* The linear address of the memory operand. */
static inline uint64_t x86_operand(X86Cpu *c, const X86Insn *in, unsigned size, bool write)
{
    return x86_segmented(c, in->segment, x86_offset(c, in), size, write);
}

/* Does bit 47 (56 with five levels) repeat above (volume 1, 3.3.7.1)? */
static inline bool x86_canonical(const X86Cpu *c, uint64_t linear)
{
    unsigned shift = c->cr4 & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

#endif
