/*
 * target/x86/exec/string.c - MOVS STOS LODS CMPS SCAS, with and without REP.
 *
 * Follows the Intel SDM, volume 1, 7.3.9 and volume 2 (REP).  Count and pointers are written after
 * every element, or run of elements within a page, so that a fault finds them exact.  After BUDGET
 * elements RIP goes back to the instruction: the run loop looks for interrupts and comes again.
 */
#include "form.h"
#include "gen/x86-exec.h"

enum { BUDGET = 8192 };

static uint64_t address_mask(const X86Insn *in) { return ~0ull >> (64 - in->addrsize); }

static void set_pointer(X86Cpu *c, const X86Insn *in, unsigned reg, uint64_t v)
{
    if (in->addrsize == 16) {
        put16(&c->regs[reg], (uint16_t)v);
    } else {
        c->regs[reg] = v & address_mask(in);
    }
}

static bool downwards(const X86Cpu *c) { return c->rflags & FL_DF; }

static void advance(X86Cpu *c, const X86Insn *in, unsigned reg, uint64_t bytes)
{
    set_pointer(c, in, reg, c->regs[reg] + (downwards(c) ? -bytes : bytes));
}

static uint64_t source(X86Cpu *c, const X86Insn *in, unsigned size)
{
    return x86_segmented(c, in->segment, c->regs[X86_RSI] & address_mask(in), size, false);
}

static uint64_t destination(X86Cpu *c, const X86Insn *in, unsigned size, bool write)
{
    return x86_segmented(c, X86_ES, c->regs[X86_RDI] & address_mask(in), size, write);
}

/* ---- one element ---- */

#define ELEMENT(bits) \
    static void movs##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t v = x86_load##bits(c, in->segment, source(c, in, bits / 8)); \
        x86_store##bits(c, X86_ES, destination(c, in, bits / 8, true), v); \
        advance(c, in, X86_RSI, bits / 8); \
        advance(c, in, X86_RDI, bits / 8); \
    } \
    static void stos##bits(X86Cpu *c, const X86Insn *in) \
    { \
        x86_store##bits(c, X86_ES, destination(c, in, bits / 8, true), get_acc##bits(c, in)); \
        advance(c, in, X86_RDI, bits / 8); \
    } \
    static void lods##bits(X86Cpu *c, const X86Insn *in) \
    { \
        set_acc##bits(c, in, x86_load##bits(c, in->segment, source(c, in, bits / 8))); \
        advance(c, in, X86_RSI, bits / 8); \
    } \
    static void cmps##bits(X86Cpu *c, const X86Insn *in) \
    { \
        /* ES:rDI first, as processors do */ \
        uint##bits##_t b = x86_load##bits(c, X86_ES, destination(c, in, bits / 8, false)); \
        uint##bits##_t a = x86_load##bits(c, in->segment, source(c, in, bits / 8)); \
        alu_cmp##bits(a, b, &c->cc); \
        advance(c, in, X86_RSI, bits / 8); \
        advance(c, in, X86_RDI, bits / 8); \
    } \
    static void scas##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t b = x86_load##bits(c, X86_ES, destination(c, in, bits / 8, false)); \
        alu_cmp##bits(get_acc##bits(c, in), b, &c->cc); \
        advance(c, in, X86_RDI, bits / 8); \
    }
ELEMENT(8)
ELEMENT(16)
ELEMENT(32)
ELEMENT(64)

/* ---- runs of elements in host memory, in the direction that DF says ---- */

/* Elements, at most n, from offset `off` on that stay in their page, do not wrap, and fit the segment;
 * 0: leave it to the one-element form.  The first one's linear address in *linear. */
static uint64_t run_length(X86Cpu *c, const X86Insn *in, unsigned seg, uint64_t off, unsigned size,
                           uint64_t n, bool write, uint64_t *linear)
{
    uint64_t mask = address_mask(in);
    const X86Segment *s = &c->seg[seg];
    bool down = downwards(c);

    off &= mask;
    n = MIN(n, (down ? off : mask - off) / size);       /* the last before the wrap goes the slow way */
    if ((c->mode & MODE_CODE) == MODE_CODE64) {
        *linear = seg >= X86_FS ? off + s->base : off;
    } else {
        uint64_t lo = write ? s->write_lo : s->read_lo, hi = write ? s->write_hi : s->read_hi;
        if (off < lo || off > hi || hi - off < size - 1) {
            return 0;
        }
        n = MIN(n, down ? (off - lo) / size + 1 : hi - off < 0xffffffff ? (hi - off + 1) / size : n);
        *linear = (uint32_t)(off + s->base);
    }
    uint64_t before = *linear & ~X86_PAGE_MASK, room = PAGE_SIZE - before;
    return room < size ? 0 : MIN(n, down ? before / size + 1 : room / size);
}

/* Of the elements from `first` on, the lowest address. */
static uint8_t *lowest(const X86Cpu *c, uint8_t *first, unsigned size, uint64_t n)
{
    return downwards(c) ? first - (n - 1) * size : first;
}

static uint64_t run_movs(X86Cpu *c, const X86Insn *in, unsigned size, uint64_t n)
{
    uint64_t from, to;

    n = run_length(c, in, in->segment, c->regs[X86_RSI], size, n, false, &from);
    n = n ? run_length(c, in, X86_ES, c->regs[X86_RDI], size, n, true, &to) : 0;
    /* Of two pages that share a TLB slot one is there at a time: the destination's is asked for first, as whoever
     * asks for the source's may take its place. */
    uint8_t *dst = n ? x86_in_place(c, to, size) : NULL;
    const uint8_t *src = dst ? x86_read_in_place(c, from) : NULL;
    if (!src) {
        return 0;
    }
    uintptr_t ahead = downwards(c) ? (uintptr_t)src - (uintptr_t)dst : (uintptr_t)dst - (uintptr_t)src;
    if (ahead >= n * size) {
        memmove(lowest(c, dst, size, n), lowest(c, (uint8_t *)src, size, n), n * size);
    } else {                                    /* the destination runs ahead: a pattern spreads */
        int64_t step = downwards(c) ? -(int64_t)size : size;
        for (uint64_t i = 0; i < n; i++, src += step, dst += step) {
            uint64_t v;
            memcpy(&v, src, size);
            memcpy(dst, &v, size);
        }
    }
    advance(c, in, X86_RSI, n * size);
    advance(c, in, X86_RDI, n * size);
    return n;
}

static uint64_t run_stos(X86Cpu *c, const X86Insn *in, unsigned size, uint64_t n)
{
    uint64_t to, v = c->regs[X86_RAX];

    n = run_length(c, in, X86_ES, c->regs[X86_RDI], size, n, true, &to);
    uint8_t *dst = n ? x86_in_place(c, to, size) : NULL;
    if (!dst) {
        return 0;
    }
    dst = lowest(c, dst, size, n);
    if (size == 1 || v == 0) {
        memset(dst, (uint8_t)v, n * size);
    } else {
        for (uint64_t i = 0; i < n; i++) {
            memcpy(dst + i * size, &v, size);
        }
    }
    advance(c, in, X86_RDI, n * size);
    return n;
}

/* ---- repetition ---- */

/* Intel's processors begin a REP with 32-bit addresses in 64-bit code by clearing the upper half of the count, and
 * MOVS and STOS those of their pointers, whether it then faults, or has nothing to do. */
static void truncate_pointers(X86Cpu *c, const X86Insn *in)
{
    if (in->addrsize == 32) {
        c->regs[X86_RCX] = (uint32_t)c->regs[X86_RCX];
        if (in->row->op == OP_MOVS) {
            c->regs[X86_RSI] = (uint32_t)c->regs[X86_RSI];
        }
        if (in->row->op == OP_MOVS || in->row->op == OP_STOS) {
            c->regs[X86_RDI] = (uint32_t)c->regs[X86_RDI];
        }
    }
}

typedef uint64_t RunFn(X86Cpu *c, const X86Insn *in, unsigned size, uint64_t n);

/* One handler for all: `run` does many elements at once where it can. */
static void string(X86Cpu *c, const X86Insn *in, X86ExecFn *const element[4], RunFn *run)
{
    unsigned width = x86_width(in);
    /* Single steps are of one element (volume 3B, 17.3.1.4), and so is what hits a breakpoint. */
    uint64_t budget = (c->mode & MODE_TF) || c->debug.alone ? 1 : BUDGET;
    bool compares = in->row->words & IN_REPZ;
    uint16_t flags = c->cc;

    if (!in->rep) {
        element[width](c, in);
        x86_next(c, in);
        return;
    }
    truncate_pointers(c, in);
    for (uint64_t n; (n = c->regs[X86_RCX] & address_mask(in)) != 0; ) {
        if (budget == 0) {
            c->regs[X86_RIP] -= in->len;
            c->cc = compares ? flags : c->cc;
            c->rflags |= FL_RF;                 /* as it is between two iterations (17.3.1.1) */
            return;
        }
        uint64_t done = run ? run(c, in, 1 << width, MIN(n, budget)) : 0;
        if (done == 0) {
            c->cc = compares ? flags : c->cc;   /* until it ends they stay (volume 2, REP); a comparison writes all */
            element[width](c, in);
            done = 1;
        }
        budget -= done;
        set_pointer(c, in, X86_RCX, n - done);
        if (compares && ((c->cc & CC_ZF) != 0) != (in->rep == 0xf3)) {
            break;
        }
    }
    x86_next(c, in);
}

#define EXEC(op, run) \
    void exec_##op(X86Cpu *c, const X86Insn *in) \
    { \
        static X86ExecFn *const element[4] = { op##8, op##16, op##32, op##64 }; \
        string(c, in, element, run); \
    }
EXEC(movs, run_movs)
EXEC(stos, run_stos)
EXEC(lods, NULL)
EXEC(cmps, NULL)
EXEC(scas, NULL)
