/*
 * Far JMP, CALL and RET: segments, call gates, inner stacks, tasks (SDM volume 3A chapter 5, volume 2
 * under the instructions' names).
 */
#include "transfer.h"

#define SELECTOR_ERROR(s) ((s) & 0xfffcu)

/* ---- stacks ---- */

/* Is it 64-bit code's? */
static void frame_set_mode(Frame *f, bool flat)
{
    f->flat = flat;
    f->mask = flat ? ~0ull : f->ss.ar & AR_DB ? 0xffffffff : 0xffff;
    f->sp = f->c->regs[X86_RSP] & f->mask;
}

void frame_init(Frame *f, X86Cpu *c)
{
    const X86Segment *ss = &c->seg[X86_SS];

    *f = (Frame){ .c = c, .ss = *ss, .supervisor = c->cpl < 3 };
    frame_set_mode(f, x86_in_code64(c));
}

static uint64_t frame_linear(const Frame *f, uint64_t off, unsigned size, bool write)
{
    uint64_t lo = write ? f->ss.write_lo : f->ss.read_lo, hi = write ? f->ss.write_hi : f->ss.read_hi;

    if (f->flat) {
        if (!x86_canonical(f->c, off) || !x86_canonical(f->c, off + size - 1)) {
            x86_raise_error(f->c, EXC_SS, f->error);
        }
        return off;
    }
    if (off < lo || off + size - 1 > hi) {
        x86_raise_error(f->c, EXC_SS, f->error);
    }
    return (uint32_t)(f->ss.base + off);
}

void frame_push(Frame *f, uint64_t val, unsigned size)
{
    uint64_t sp = (f->sp - size) & f->mask, linear = frame_linear(f, sp, size, true);

    if (f->supervisor && f->c->cpl == 3) {
        x86_st_sys(f->c, linear, val, size);
    } else {
        x86_st(f->c, linear, val, size);
    }
    f->sp = sp;
}

uint64_t frame_peek(Frame *f, uint64_t above, unsigned size)
{
    return x86_ld(f->c, frame_linear(f, (f->sp + above) & f->mask, size, false), size);
}

uint64_t frame_pop(Frame *f, unsigned size)
{
    uint64_t val = frame_peek(f, 0, size);

    f->sp = (f->sp + size) & f->mask;
    return val;
}

void frame_commit_sp(Frame *f)
{
    uint64_t *rsp = &f->c->regs[X86_RSP];

    /* A 32-bit stack pointer clears the upper half, a 16-bit one leaves what is above it. */
    *rsp = f->mask == 0xffff ? (*rsp & ~0xffffull) | f->sp : f->sp;
}

void frame_commit(Frame *f, unsigned level)
{
    X86Cpu *c = f->c;

    if (f->ss.ar & AR_P) {
        x86_seg_set(c, X86_SS, f->ss.selector, f->ss.base, f->ss.limit, f->ss.ar | AR_A);
    } else {
        x86_seg_set_null(c, X86_SS, level);
    }
    frame_commit_sp(f);
}

/* Volume 3A 7.2.1, 7.7: what lies in a TSS at `at`; beyond its limit is #TS(TR). */
static uint64_t tss_field(X86Cpu *c, unsigned at, unsigned size)
{
    if (at + size - 1 > c->tr.limit) {
        x86_raise_error(c, EXC_TS, SELECTOR_ERROR(c->tr.selector));
    }
    return x86_ld_sys(c, c->tr.base + at, size);
}

static void inner_ss(Frame *f, X86Cpu *c, uint16_t selector, unsigned level)
{
    X86Desc *d = &f->desc;

    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_TS, 0);
    }
    x86_desc_get(c, selector, d, EXC_TS);
    if ((selector & 3) != level || x86_ar_dpl(d->ar) != level || !x86_ar_is_writable(d->ar)) {
        x86_raise_error(c, EXC_TS, SELECTOR_ERROR(selector));
    }
    if (!(d->ar & AR_P)) {
        x86_raise_error(c, EXC_SS, SELECTOR_ERROR(selector));
    }
    f->ss = (X86Segment){ .selector = selector, .base = d->base, .limit = d->limit, .ar = d->ar };
    x86_seg_range(&f->ss, false);
    f->mask = d->ar & AR_DB ? 0xffffffff : 0xffff;
    f->error = SELECTOR_ERROR(selector);
}

void frame_init_inner(Frame *f, X86Cpu *c, unsigned level, unsigned ist)
{
    *f = (Frame){ .c = c, .supervisor = level < 3 };
    if (x86_long_mode(c)) {
        f->flat = true;
        f->mask = ~0ull;
        f->sp = tss_field(c, ist ? 28 + ist * 8 : 4 + level * 8, 8);
    } else if (c->tr.ar & 8) {
        uint16_t ss = tss_field(c, 8 + level * 8, 2);
        f->sp = tss_field(c, 4 + level * 8, 4);
        inner_ss(f, c, ss, level);
    } else {
        uint16_t ss = tss_field(c, 4 + level * 4, 2);
        f->sp = tss_field(c, 2 + level * 4, 2);
        inner_ss(f, c, ss, level);
    }
    f->sp &= f->mask;
}

/* ---- code segments ---- */

void code_check_present(X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    if (!(d->ar & AR_P)) {
        x86_raise_error(c, EXC_NP, SELECTOR_ERROR(selector));
    }
}

uint64_t code_check_offset(X86Cpu *c, const X86Desc *d, uint64_t offset)
{
    uint64_t rip = code_is_64(c, d) ? offset : (uint32_t)offset;

    if (code_is_64(c, d) ? !x86_canonical(c, rip) : rip > d->limit) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return rip;
}

void code_commit(X86Cpu *c, X86Desc *d, uint16_t selector, unsigned cpl, uint64_t rip)
{
    c->cpl = cpl;
    x86_seg_set_desc(c, X86_CS, (selector & 0xfffc) | cpl, d);
    c->regs[X86_RIP] = rip;
}

/* A 64-bit segment must not also be a 32-bit one (5.2.1). */
static void code_check_type(X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    if (!x86_ar_is_code(d->ar) || (x86_long_mode(c) && (d->ar & (AR_L | AR_DB)) == (AR_L | AR_DB))) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(selector));
    }
}

/* A direct far jump or call stays at its level (5.8.1). */
static void code_check_direct(X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    unsigned dpl = x86_ar_dpl(d->ar);

    code_check_type(c, d, selector);
    if (x86_ar_is_conforming(d->ar) ? dpl > c->cpl : (selector & 3) > c->cpl || dpl != c->cpl) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(selector));
    }
    code_check_present(c, d, selector);
}

/* ---- call gates (5.8.3) ---- */

typedef struct Gate {
    X86Desc code;
    uint16_t selector;
    uint64_t offset;
    unsigned size, params;
} Gate;

static void gate_read(X86Cpu *c, Gate *g, const X86Desc *d, uint16_t selector)
{
    unsigned type = d->ar & AR_TYPE;
    bool lm = x86_long_mode(c);

    if (!x86_dpl_admits(c, d, selector)) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(selector));
    }
    if (!(d->ar & AR_P)) {
        x86_raise_error(c, EXC_NP, SELECTOR_ERROR(selector));
    }
    *g = (Gate){ .selector = d->lo >> 16, .offset = d->lo & 0xffff, .size = 2, .params = d->hi & 31 };
    if (type == SYS_CALL32) {
        g->offset |= d->hi & 0xffff0000;
        g->size = 4;
    }
    if (lm) {
        g->offset |= x86_desc_high(c, d, selector);
        g->size = 8;
        g->params = 0;
    }
    if (x86_selector_is_null(g->selector)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_desc_get(c, g->selector, &g->code, EXC_GP);
    if (!x86_ar_is_code(g->code.ar) || x86_ar_dpl(g->code.ar) > c->cpl
        || (lm && (g->code.ar & (AR_L | AR_DB)) != AR_L)) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(g->selector));
    }
}

static void jump_gate(X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    Gate g;

    gate_read(c, &g, d, selector);
    if (!x86_ar_is_conforming(g.code.ar) && x86_ar_dpl(g.code.ar) != c->cpl) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(g.selector));
    }
    code_check_present(c, &g.code, g.selector);
    code_check_offset(c, &g.code, g.offset);
    x86_desc_set_accessed(c, &g.code);
    code_commit(c, &g.code, g.selector, c->cpl, g.offset);
}

static void call_gate(X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    Gate g;
    Frame f, old;
    uint64_t params[31];

    gate_read(c, &g, d, selector);
    code_check_present(c, &g.code, g.selector);
    unsigned level = x86_ar_is_conforming(g.code.ar) ? c->cpl : x86_ar_dpl(g.code.ar);
    bool inner = level < c->cpl;
    if (inner) {
        frame_init_inner(&f, c, level, 0);
        frame_init(&old, c);
        for (unsigned i = 0; i < g.params; i++) {
            params[i] = frame_peek(&old, i * g.size, g.size);
        }
        frame_push(&f, c->seg[X86_SS].selector, g.size);
        frame_push(&f, c->regs[X86_RSP], g.size);
        for (unsigned i = g.params; i-- > 0;) {
            frame_push(&f, params[i], g.size);
        }
    } else {
        frame_init(&f, c);
    }
    frame_push(&f, c->seg[X86_CS].selector, g.size);
    frame_push(&f, c->regs[X86_RIP], g.size);
    code_check_offset(c, &g.code, g.offset);
    x86_desc_set_accessed(c, &g.code);
    if (inner) {
        if (f.ss.ar & AR_P) {
            x86_desc_set_accessed(c, &f.desc);
        }
        c->cpl = level;
        frame_commit(&f, level);
    } else {
        frame_commit_sp(&f);
    }
    code_commit(c, &g.code, g.selector, level, g.offset);
}

/* ---- the instructions ---- */

/* Gates and tasks behind a far JMP or CALL; false: it is none of them. */
static bool through_system_descriptor(X86Cpu *c, const X86Desc *d, uint16_t selector, bool call)
{
    unsigned type = d->ar & AR_TYPE;
    bool lm = x86_long_mode(c);
    X86Desc tss = *d;

    if (d->ar & AR_S) {
        return false;
    }
    if (type == SYS_CALL32 || (type == SYS_CALL16 && !lm)) {
        (call ? call_gate : jump_gate)(c, d, selector);
        return true;
    }
    if (lm || (type != SYS_TASK && type != SYS_TSS16 && type != SYS_TSS32)
        || !x86_dpl_admits(c, d, selector)) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(selector));
    }
    if (!(d->ar & AR_P)) {
        x86_raise_error(c, EXC_NP, SELECTOR_ERROR(selector));
    }
    if (type == SYS_TASK) {
        selector = d->lo >> 16;
        task_find(c, selector, &tss, EXC_GP, false);
    }
    task_switch(c, selector, &tss, call ? TASK_CALL : TASK_JMP, x86_rflags(c));
    return true;
}

static uint64_t size_mask(unsigned size)
{
    return size == 8 ? ~0ull : size == 4 ? 0xffffffff : 0xffff;
}

void x86_far_jump(X86Cpu *c, uint16_t selector, uint64_t offset, unsigned size)
{
    X86Desc d;

    offset &= size_mask(size);
    if (!x86_protected(c)) {
        if (offset > c->seg[X86_CS].limit) {
            x86_raise_error(c, EXC_GP, 0);
        }
        x86_seg_set_real(c, X86_CS, selector);
        c->regs[X86_RIP] = offset;
        return;
    }
    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_desc_get(c, selector, &d, EXC_GP);
    if (through_system_descriptor(c, &d, selector, false)) {
        return;
    }
    code_check_direct(c, &d, selector);
    offset = code_check_offset(c, &d, offset);
    x86_desc_set_accessed(c, &d);
    code_commit(c, &d, selector, c->cpl, offset);
}

void x86_far_call(X86Cpu *c, uint16_t selector, uint64_t offset, unsigned size)
{
    X86Desc d;
    Frame f;
    bool real = !x86_protected(c);

    offset &= size_mask(size);
    if (real) {
        if (offset > c->seg[X86_CS].limit) {
            x86_raise_error(c, EXC_GP, 0);
        }
    } else {
        if (x86_selector_is_null(selector)) {
            x86_raise_error(c, EXC_GP, 0);
        }
        x86_desc_get(c, selector, &d, EXC_GP);
        if (through_system_descriptor(c, &d, selector, true)) {
            return;
        }
        code_check_direct(c, &d, selector);
    }
    frame_init(&f, c);
    if (!real) {
        frame_set_mode(&f, code_is_64(c, &d));  /* pushes are the new code's (volume 2, CALL) */
    }
    frame_push(&f, c->seg[X86_CS].selector, size);
    frame_push(&f, c->regs[X86_RIP], size);
    if (real) {
        x86_seg_set_real(c, X86_CS, selector);
        c->regs[X86_RIP] = offset;
    } else {
        offset = code_check_offset(c, &d, offset);
        x86_desc_set_accessed(c, &d);
        code_commit(c, &d, selector, c->cpl, offset);
    }
    frame_commit_sp(&f);
}

/* A return's code segment: volume 2, RET and IRET.  The level is the selector's RPL. */
void return_check_code(X86Cpu *c, X86Desc *d, uint16_t selector)
{
    unsigned rpl = selector & 3, dpl;

    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_desc_get(c, selector, d, EXC_GP);
    code_check_type(c, d, selector);
    dpl = x86_ar_dpl(d->ar);
    if (rpl < c->cpl || (x86_ar_is_conforming(d->ar) ? dpl > rpl : dpl != rpl)) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(selector));
    }
    code_check_present(c, d, selector);
}

/* The stack segment of a return to `rpl`; d->ar 0: null, which 64-bit code below level 3 may have. */
void return_check_stack(X86Cpu *c, X86Desc *d, uint16_t selector, unsigned rpl, bool to_64)
{
    if (x86_selector_is_null(selector)) {
        if (!to_64 || rpl == 3 || (selector & 3) != rpl) {
            x86_raise_error(c, EXC_GP, 0);
        }
        *d = (X86Desc){ 0 };
        return;
    }
    x86_desc_get(c, selector, d, EXC_GP);
    if ((selector & 3) != rpl || !x86_ar_is_writable(d->ar) || x86_ar_dpl(d->ar) != rpl) {
        x86_raise_error(c, EXC_GP, SELECTOR_ERROR(selector));
    }
    if (!(d->ar & AR_P)) {
        x86_raise_error(c, EXC_SS, SELECTOR_ERROR(selector));
    }
}

void return_set_accessed(X86Cpu *c, X86Desc *d)
{
    if (d->ar & AR_P) {
        x86_desc_set_accessed(c, d);
    }
}

void return_commit_stack(X86Cpu *c, const X86Desc *d, uint16_t selector, uint64_t sp)
{
    if (d->ar & AR_P) {
        x86_seg_set_desc(c, X86_SS, selector, d);
    } else {
        x86_seg_set_null(c, X86_SS, selector);
    }
    if (x86_in_code64(c)) {
        c->regs[X86_RSP] = sp;
    } else if (d->ar & AR_DB) {
        c->regs[X86_RSP] = (uint32_t)sp;
    } else {
        c->regs[X86_RSP] = (c->regs[X86_RSP] & ~0xffffull) | (sp & 0xffff);
    }
}

/* 5.8.6: what the outer level may not use, it does not get. */
void return_drop_segments(X86Cpu *c)
{
    static const uint8_t data[] = { X86_ES, X86_DS, X86_FS, X86_GS };

    for (unsigned i = 0; i < G_N_ELEMENTS(data); i++) {
        const X86Segment *s = &c->seg[data[i]];
        if ((s->ar & AR_P) && x86_ar_dpl(s->ar) < c->cpl && !x86_ar_is_conforming(s->ar)) {
            x86_seg_set_null(c, data[i], 0);
        }
    }
}

void x86_far_return(X86Cpu *c, unsigned size, unsigned drop)
{
    X86Desc d, ss;
    Frame f;

    frame_init(&f, c);
    uint16_t selector = frame_peek(&f, size, 2);        /* processors read it first, and no more of its slot */
    uint64_t rip = frame_peek(&f, 0, size);
    f.sp = (f.sp + 2 * size) & f.mask;
    if (!x86_protected(c)) {
        if (rip > c->seg[X86_CS].limit) {
            x86_raise_error(c, EXC_GP, 0);
        }
        x86_seg_set_real(c, X86_CS, selector);
        c->regs[X86_RIP] = rip;
        f.sp = (f.sp + drop) & f.mask;
        frame_commit_sp(&f);
        return;
    }
    return_check_code(c, &d, selector);
    unsigned rpl = selector & 3;
    if (rpl == c->cpl) {
        rip = code_check_offset(c, &d, rip);
        x86_desc_set_accessed(c, &d);
        code_commit(c, &d, selector, rpl, rip);
        frame_commit_sp(&f);
        frame_init(&f, c);              /* the new CS tells how wide the stack pointer is (volume 2, RET) */
        f.sp = (f.sp + drop) & f.mask;
        frame_commit_sp(&f);
        return;
    }
    f.sp = (f.sp + drop) & f.mask;
    uint64_t sp = frame_pop(&f, size);
    uint16_t ss_selector = frame_pop(&f, size);
    return_check_stack(c, &ss, ss_selector, rpl, code_is_64(c, &d));
    rip = code_check_offset(c, &d, rip);
    x86_desc_set_accessed(c, &d);
    return_set_accessed(c, &ss);
    code_commit(c, &d, selector, rpl, rip);
    return_commit_stack(c, &ss, ss_selector, sp + drop);
    return_drop_segments(c);
}
