/*
 * target/x86/segments.h - descriptors and segment registers, and every way control moves to another
 * segment, privilege level or task.  SDM volume 3A chapters 3, 5, 6 and 7.
 *
 * The vCPU's own thread, under c->unwind: these functions raise, or succeed.  Registers change last:
 * whoever raises leaves the state as it was.
 */
#ifndef TARGET_X86_SEGMENTS_H
#define TARGET_X86_SEGMENTS_H

#include "target/x86/cpu.h"

typedef struct X86Desc {            /* an entry of the GDT or LDT */
    uint64_t base;
    uint32_t limit;                 /* granularity applied */
    uint32_t lo, hi;                /* as it lies: gates are read from these */
    uint16_t ar;                    /* AR_* */
    uint64_t at;                    /* its linear address */
} X86Desc;

/* System descriptor types (3.5); in long mode 2, 9, 11, 12, 14, 15 are the 64-bit forms. */
enum { SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK = 5, SYS_INT16 = 6,
       SYS_TRAP16 = 7, SYS_TSS32 = 9, SYS_TSS32_BUSY = 11, SYS_CALL32 = 12, SYS_INT32 = 14,
       SYS_TRAP32 = 15 };

/* ---- questions ---- */
static inline bool x86_protected(const X86Cpu *c)      /* protected mode, and not virtual-8086 */
{
    return (c->mode & (MODE_PE | MODE_VM)) == MODE_PE;
}
static inline bool x86_in_code64(const X86Cpu *c) { return (c->mode & MODE_CODE) == MODE_CODE64; }
static inline unsigned x86_iopl(const X86Cpu *c) { return (c->rflags & FL_IOPL) >> 12; }
static inline unsigned x86_ar_dpl(unsigned ar) { return (ar & AR_DPL) >> 5; }
static inline bool x86_ar_is_code(unsigned ar) { return (ar & (AR_S | AR_CODE)) == (AR_S | AR_CODE); }
static inline bool x86_ar_is_writable(unsigned ar)      /* a data segment that may be written */
{
    return (ar & (AR_S | AR_CODE | AR_RW)) == (AR_S | AR_RW);
}
static inline bool x86_ar_is_readable(unsigned ar)      /* data, or code that may be read */
{
    return (ar & AR_S) && (!(ar & AR_CODE) || (ar & AR_RW));
}
static inline bool x86_ar_is_conforming(unsigned ar)
{
    return (ar & (AR_S | AR_CODE | AR_EC)) == (AR_S | AR_CODE | AR_EC);
}
static inline bool x86_selector_is_null(uint16_t selector) { return (selector & 0xfffc) == 0; }
/* Neither privilege level may be numerically above the descriptor's (5.5). */
static inline bool x86_dpl_admits(const X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    return x86_ar_dpl(d->ar) >= c->cpl && x86_ar_dpl(d->ar) >= (selector & 3);
}

/* ---- descriptors ---- */
/* False: null, or beyond its table. */
bool x86_desc_find(X86Cpu *c, uint16_t selector, X86Desc *d);
/* The same, or raises `vector` with the selector as error code. */
void x86_desc_get(X86Cpu *c, uint16_t selector, X86Desc *d, unsigned vector);
/* The upper half of a 16-byte system descriptor: base 63..32.  Raises #GP(selector). */
uint64_t x86_desc_high(X86Cpu *c, const X86Desc *d, uint16_t selector);
void x86_desc_set_accessed(X86Cpu *c, X86Desc *d);      /* writes the bit when it is clear (3.4.5.1) */
void x86_desc_set_busy(X86Cpu *c, const X86Desc *d, bool busy);

/* ---- segment registers ---- */
void x86_seg_range(X86Segment *s, bool any_type);       /* read_lo.. from limit and ar */
void x86_seg_load(X86Cpu *c, unsigned seg, uint16_t selector);  /* MOV, POP, LDS ... (vol 2, MOV) */
void x86_seg_set(X86Cpu *c, unsigned seg, uint16_t selector, uint64_t base, uint32_t limit, unsigned ar);
void x86_seg_set_desc(X86Cpu *c, unsigned seg, uint16_t selector, const X86Desc *d);
void x86_seg_set_real(X86Cpu *c, unsigned seg, uint16_t selector);      /* real and virtual-8086 mode */
void x86_seg_set_null(X86Cpu *c, unsigned seg, uint16_t selector);
void x86_load_ldt(X86Cpu *c, uint16_t selector, unsigned vector);       /* LLDT; #TS in a task switch */
void x86_load_tr(X86Cpu *c, uint16_t selector);

/* ---- transfers: RIP is behind the instruction; size 2, 4 or 8 is the operand size ---- */
void x86_far_jump(X86Cpu *c, uint16_t selector, uint64_t offset, unsigned size);
void x86_far_call(X86Cpu *c, uint16_t selector, uint64_t offset, unsigned size);
void x86_far_return(X86Cpu *c, unsigned size, unsigned drop);
void x86_iret(X86Cpu *c, unsigned size);
/* INT n, INT3, INTO: delivered at once, so that its faults are the instruction's own. */
void x86_software_interrupt(X86Cpu *c, unsigned vector, bool is_int_n);

#endif
