/*
 * Descriptors and segment registers (SDM volume 3A, chapters 3 and 5).
 *
 * A segment register keeps its cached limit and rights in real mode and when CR0.PE is cleared: that
 * is "unreal" or "big real" mode, and software depends on it.
 */
#include "target/x86/segments.h"

#include "target/x86/mem.h"

/* any_type: real and virtual-8086 mode, where code is written through CS and limits still count. */
void x86_seg_range(X86Segment *s, bool any_type)
{
    uint64_t lo = 0, hi = s->limit == 0xffffffff ? ~0ull : s->limit;
    bool usable = s->ar & AR_P;

    if ((s->ar & (AR_S | AR_CODE | AR_EC)) == (AR_S | AR_EC)) {        /* expand down (3.4.5.1) */
        lo = (uint64_t)s->limit + 1;
        hi = s->ar & AR_DB ? 0xffffffff : 0xffff;
    }
    bool readable = usable && (any_type || x86_ar_is_readable(s->ar));
    bool writable = usable && (any_type || x86_ar_is_writable(s->ar));
    s->read_lo = readable ? lo : 1;
    s->read_hi = readable ? hi : 0;
    s->write_lo = writable ? lo : 1;
    s->write_hi = writable ? hi : 0;
}

void x86_seg_changed(X86Cpu *c, unsigned seg)
{
    x86_seg_range(&c->seg[seg], !x86_protected(c));
    x86_mode_changed(c);
}

void x86_seg_set(X86Cpu *c, unsigned seg, uint16_t selector, uint64_t base, uint32_t limit, unsigned ar)
{
    X86Segment *s = &c->seg[seg];

    s->selector = selector;
    s->base = base;
    s->limit = limit;
    s->ar = ar;
    x86_seg_changed(c, seg);
}

void x86_seg_set_desc(X86Cpu *c, unsigned seg, uint16_t selector, const X86Desc *d)
{
    x86_seg_set(c, seg, selector, d->base, d->limit, d->ar | AR_A);
}

void x86_seg_set_null(X86Cpu *c, unsigned seg, uint16_t selector)
{
    x86_seg_set(c, seg, selector, 0, 0, 0);
}

/* 20.1.1 and 20.2: only the base follows the selector.  In real mode limit and rights stay as they
 * were; a register that a null selector had made unusable gets the ones of RESET. */
void x86_seg_set_real(X86Cpu *c, unsigned seg, uint16_t selector)
{
    const X86Segment *s = &c->seg[seg];
    uint64_t base = (uint64_t)selector << 4;

    if (c->mode & MODE_VM) {
        x86_seg_set(c, seg, selector, base, 0xffff, AR_P | AR_DPL | AR_S | AR_RW | AR_A);
    } else if (s->ar & AR_P) {
        x86_seg_set(c, seg, selector, base, s->limit, s->ar);
    } else {
        x86_seg_set(c, seg, selector, base, 0xffff, AR_P | AR_S | AR_RW | AR_A);
    }
}

bool x86_desc_find(X86Cpu *c, uint16_t selector, X86Desc *d)
{
    uint64_t base = c->gdt.base;
    uint32_t limit = c->gdt.limit, at = selector & 0xfff8;

    if (x86_selector_is_null(selector)) {
        return false;
    }
    if (selector & 4) {
        if (!(c->ldt.ar & AR_P)) {
            return false;
        }
        base = c->ldt.base;
        limit = c->ldt.limit;
    }
    if (at + 7 > limit) {
        return false;
    }
    d->at = base + at;
    if (!x86_long_mode(c)) {
        d->at = (uint32_t)d->at;
    }
    uint64_t raw = x86_ld_sys(c, d->at, 8);
    d->lo = raw;
    d->hi = raw >> 32;
    d->base = (d->lo >> 16) | (d->hi & 0xff) << 16 | (d->hi & 0xff000000);
    d->limit = (d->lo & 0xffff) | (d->hi & 0xf0000);
    d->ar = (d->hi >> 8) & 0xf0ff;
    if (d->ar & AR_G) {
        d->limit = d->limit << 12 | 0xfff;
    }
    return true;
}

void x86_desc_get(X86Cpu *c, uint16_t selector, X86Desc *d, unsigned vector)
{
    if (!x86_desc_find(c, selector, d)) {
        x86_raise_error(c, vector, selector & 0xfffc);
    }
}

uint64_t x86_desc_high(X86Cpu *c, const X86Desc *d, uint16_t selector)
{
    const X86Segment *ldt = &c->ldt;
    uint32_t limit = selector & 4 ? ldt->limit : c->gdt.limit;

    if ((selector & 0xfff8) + 15u > limit) {
        x86_raise_error(c, EXC_GP, selector & 0xfffc);
    }
    uint64_t high = x86_ld_sys(c, d->at + 8, 8);
    if (high >> 32 & 0x1f00) {                  /* its type field must be 0 (3.5.2, 5.8.3.1) */
        x86_raise_error(c, EXC_GP, selector & 0xfffc);
    }
    return high << 32;
}

void x86_desc_set_accessed(X86Cpu *c, X86Desc *d)
{
    if (!(d->ar & AR_A)) {
        x86_st_sys(c, d->at + 5, (d->ar & 0xff) | AR_A, 1);
        d->ar |= AR_A;
    }
}

void x86_desc_set_busy(X86Cpu *c, const X86Desc *d, bool busy)
{
    uint8_t rights = (d->ar & 0xff & ~2) | (busy ? 2 : 0);

    x86_st_sys(c, d->at + 5, rights, 1);
}

/* Volume 2, MOV, "Loading a segment register while in protected mode". */
static void load_ss(X86Cpu *c, uint16_t selector)
{
    X86Desc d;

    if (x86_selector_is_null(selector)) {
        if (!x86_in_code64(c) || c->cpl == 3 || (selector & 3) != c->cpl) {
            x86_raise_error(c, EXC_GP, 0);
        }
        x86_seg_set_null(c, X86_SS, selector);
        return;
    }
    x86_desc_get(c, selector, &d, EXC_GP);
    if ((selector & 3) != c->cpl || !x86_ar_is_writable(d.ar) || x86_ar_dpl(d.ar) != c->cpl) {
        x86_raise_error(c, EXC_GP, selector & 0xfffc);
    }
    if (!(d.ar & AR_P)) {
        x86_raise_error(c, EXC_SS, selector & 0xfffc);
    }
    x86_desc_set_accessed(c, &d);
    x86_seg_set_desc(c, X86_SS, selector, &d);
}

void x86_seg_load(X86Cpu *c, unsigned seg, uint16_t selector)
{
    X86Desc d;

    if (!x86_protected(c)) {
        x86_seg_set_real(c, seg, selector);
    } else if (seg == X86_SS) {
        load_ss(c, selector);
    } else if (x86_selector_is_null(selector)) {
        x86_seg_set_null(c, seg, selector);
    } else {
        x86_desc_get(c, selector, &d, EXC_GP);
        if (!x86_ar_is_readable(d.ar) || (!x86_ar_is_conforming(d.ar) && !x86_dpl_admits(c, &d, selector))) {
            x86_raise_error(c, EXC_GP, selector & 0xfffc);
        }
        if (!(d.ar & AR_P)) {
            x86_raise_error(c, EXC_NP, selector & 0xfffc);
        }
        x86_desc_set_accessed(c, &d);
        x86_seg_set_desc(c, seg, selector, &d);
    }
}

/* 64-bit system descriptors are 16 bytes (3.5.2). */
static void set_system(X86Cpu *c, X86Segment *s, uint16_t selector, X86Desc *d)
{
    if (x86_long_mode(c)) {
        d->base |= x86_desc_high(c, d, selector);
        if (!x86_canonical(c, d->base)) {
            x86_raise_error(c, EXC_GP, selector & 0xfffc);
        }
    }
    *s = (X86Segment){ .base = d->base, .limit = d->limit, .selector = selector, .ar = d->ar };
}

/* Volume 2, LLDT. */
void x86_load_ldt(X86Cpu *c, uint16_t selector, unsigned vector)
{
    X86Desc d;

    if (x86_selector_is_null(selector)) {
        c->ldt = (X86Segment){ .selector = selector };
        return;
    }
    if (selector & 4) {
        x86_raise_error(c, vector, selector & 0xfffc);
    }
    x86_desc_get(c, selector, &d, vector);
    if ((d.ar & (AR_S | AR_TYPE)) != SYS_LDT) {
        x86_raise_error(c, vector, selector & 0xfffc);
    }
    if (!(d.ar & AR_P)) {
        x86_raise_error(c, vector == EXC_TS ? EXC_TS : EXC_NP, selector & 0xfffc);
    }
    set_system(c, &c->ldt, selector, &d);
}

/* Volume 2, LTR. */
void x86_load_tr(X86Cpu *c, uint16_t selector)
{
    X86Desc d;

    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (selector & 4) {
        x86_raise_error(c, EXC_GP, selector & 0xfffc);
    }
    x86_desc_get(c, selector, &d, EXC_GP);
    unsigned type = d.ar & (AR_S | AR_TYPE);
    if (type != SYS_TSS32 && (type != SYS_TSS16 || x86_long_mode(c))) {
        x86_raise_error(c, EXC_GP, selector & 0xfffc);
    }
    if (!(d.ar & AR_P)) {
        x86_raise_error(c, EXC_NP, selector & 0xfffc);
    }
    X86Segment tr;
    set_system(c, &tr, selector, &d);
    x86_desc_set_busy(c, &d, true);
    tr.ar |= 2;
    c->tr = tr;
}
