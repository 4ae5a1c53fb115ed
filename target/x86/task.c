/*
 * Task switches (SDM volume 3A, chapter 7).
 *
 * Up to the commit point everything that can fail fails in the old task; from there on in the new
 * one, at its first instruction (7.3, table 7-1).
 */
#include "transfer.h"

#include "target/x86/model.h"

enum { TSS_LINK = 0x00 };

/* Where things lie in the two forms of TSS (7.2.1, 7.6). */
typedef struct TssLayout {
    uint8_t width, min_limit, cr3, ip, flags, regs, segs, seg_count, seg_step, ldt, trap;
} TssLayout;
static const TssLayout tss_layouts[2] = {
    { 2, 0x2b, 0, 0x0e, 0x10, 0x12, 0x22, 4, 2, 0x2a, 0 },
    { 4, 0x67, 0x1c, 0x20, 0x24, 0x28, 0x48, 6, 4, 0x60, 0x64 },
};

static const TssLayout *layout_of(unsigned ar)
{
    return &tss_layouts[(ar & 8) != 0];
}

void task_find(X86Cpu *c, uint16_t selector, X86Desc *d, unsigned vector, bool busy)
{
    uint32_t error = selector & 0xfffc;

    if ((selector & 4) || !x86_desc_find(c, selector, d)) {
        x86_raise_error(c, vector, error);
    }
    unsigned type = d->ar & (AR_S | AR_TYPE), free_type = busy ? type & ~2u : type;
    if ((busy && !(type & 2)) || (free_type != SYS_TSS16 && free_type != SYS_TSS32)) {
        x86_raise_error(c, vector, error);
    }
    if (!(d->ar & AR_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
}

typedef struct TaskImage {
    uint64_t cr3, ip;
    uint32_t flags, regs[8];
    uint16_t seg[X86_SEGS], ldt;
    bool trap;
} TaskImage;

static void image_read(X86Cpu *c, TaskImage *t, const X86Desc *d)
{
    const TssLayout *l = layout_of(d->ar);

    *t = (TaskImage){ 0 };
    t->cr3 = l->cr3 ? x86_ld_sys(c, d->base + l->cr3, 4) : 0;
    t->ip = x86_ld_sys(c, d->base + l->ip, l->width);
    t->flags = x86_ld_sys(c, d->base + l->flags, l->width);
    for (unsigned i = 0; i < 8; i++) {
        t->regs[i] = x86_ld_sys(c, d->base + l->regs + i * l->width, l->width);
        if (l->width == 2) {
            t->regs[i] |= 0xffff0000;           /* 7.6: a 16-bit TSS leaves the upper halves undefined */
        }
    }
    for (unsigned i = 0; i < l->seg_count; i++) {
        t->seg[i] = x86_ld_sys(c, d->base + l->segs + i * l->seg_step, 2);
    }
    t->ldt = x86_ld_sys(c, d->base + l->ldt, 2);
    t->trap = l->trap && (x86_ld_sys(c, d->base + l->trap, 1) & 1);
}

static void image_write(X86Cpu *c, uint32_t flags)
{
    const TssLayout *l = layout_of(c->tr.ar);
    uint64_t base = c->tr.base;

    if (c->tr.limit < l->min_limit) {
        x86_raise_error(c, EXC_TS, c->tr.selector & 0xfffc);
    }
    x86_st_sys(c, base + l->ip, c->regs[X86_RIP], l->width);
    x86_st_sys(c, base + l->flags, flags, l->width);
    for (unsigned i = 0; i < 8; i++) {
        x86_st_sys(c, base + l->regs + i * l->width, c->regs[i], l->width);
    }
    for (unsigned i = 0; i < l->seg_count; i++) {
        x86_st_sys(c, base + l->segs + i * l->seg_step, c->seg[i].selector, 2);
    }
}

/* The segment registers of the new task (7.3, step 12 and 13; table 7-1). */
static void load_code(X86Cpu *c, uint16_t selector)
{
    X86Desc d;
    uint32_t error = selector & 0xfffc;

    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_TS, 0);
    }
    x86_desc_get(c, selector, &d, EXC_TS);
    if (!x86_ar_is_code(d.ar)
        || (x86_ar_is_conforming(d.ar) ? x86_ar_dpl(d.ar) > c->cpl : x86_ar_dpl(d.ar) != c->cpl)) {
        x86_raise_error(c, EXC_TS, error);
    }
    if (!(d.ar & AR_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
    x86_desc_set_accessed(c, &d);
    x86_seg_set_desc(c, X86_CS, selector, &d);
}

static void load_stack(X86Cpu *c, uint16_t selector)
{
    X86Desc d;
    uint32_t error = selector & 0xfffc;

    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_TS, 0);
    }
    x86_desc_get(c, selector, &d, EXC_TS);
    if (!x86_ar_is_writable(d.ar) || x86_ar_dpl(d.ar) != c->cpl || (selector & 3) != c->cpl) {
        x86_raise_error(c, EXC_TS, error);
    }
    if (!(d.ar & AR_P)) {
        x86_raise_error(c, EXC_SS, error);
    }
    x86_desc_set_accessed(c, &d);
    x86_seg_set_desc(c, X86_SS, selector, &d);
}

static void load_data(X86Cpu *c, unsigned seg, uint16_t selector)
{
    X86Desc d;
    uint32_t error = selector & 0xfffc;

    if (x86_selector_is_null(selector)) {
        return;                         /* it is null already */
    }
    x86_desc_get(c, selector, &d, EXC_TS);
    if (!x86_ar_is_readable(d.ar) || (!x86_ar_is_conforming(d.ar) && !x86_dpl_admits(c, &d, selector))) {
        x86_raise_error(c, EXC_TS, error);
    }
    if (!(d.ar & AR_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
    x86_desc_set_accessed(c, &d);
    x86_seg_set_desc(c, seg, selector, &d);
}

static void load_segments(X86Cpu *c, const TaskImage *t)
{
    static const uint8_t data[] = { X86_ES, X86_DS, X86_FS, X86_GS };

    if (c->mode & MODE_VM) {
        for (unsigned i = 0; i < X86_SEGS; i++) {
            x86_seg_set_real(c, i, t->seg[i]);
        }
        return;
    }
    load_code(c, t->seg[X86_CS]);
    load_stack(c, t->seg[X86_SS]);
    for (unsigned i = 0; i < G_N_ELEMENTS(data); i++) {
        load_data(c, data[i], t->seg[data[i]]);
    }
}

void task_switch(X86Cpu *c, uint16_t selector, const X86Desc *d, TaskSwitch how, uint32_t flags)
{
    TaskImage t;
    X86Desc old;
    bool nested = how == TASK_CALL || how == TASK_INT;
    bool old_found = x86_desc_find(c, c->tr.selector, &old);

    if (d->limit < layout_of(d->ar)->min_limit) {
        x86_raise_error(c, EXC_TS, selector & 0xfffc);
    }
    image_read(c, &t, d);
    if (nested) {
        x86_st_sys(c, d->base + TSS_LINK, c->tr.selector, 2);
    }
    image_write(c, flags);
    if (!nested && old_found) {
        x86_desc_set_busy(c, &old, false);
    }
    if (how != TASK_IRET) {
        x86_desc_set_busy(c, d, true);
    }

    /* The commit point: what fails below fails in the new task, at its first instruction, so that RIP
     * must not be taken back. */
    c->exc.switched = true;
    c->tr = (X86Segment){ .selector = selector, .base = d->base, .limit = d->limit, .ar = d->ar | 2 };
    c->cr0 |= CR0_TS;
    c->dr[7] &= ~(uint64_t)DR7_LOCAL;                           /* 17.2.4 */
    x86_debug_changed(c);
    c->sti_shadow = c->ss_shadow = false;
    c->vcpu.halted = false;
    for (unsigned i = 0; i < 8; i++) {
        c->regs[i] = t.regs[i];
    }
    c->regs[X86_RIP] = t.ip;
    for (unsigned i = 0; i < X86_SEGS; i++) {
        c->seg[i] = (X86Segment){ .selector = t.seg[i], .read_lo = 1, .write_lo = 1 };
    }
    c->ldt = (X86Segment){ .selector = t.ldt };
    c->cpl = t.flags & FL_VM ? 3 : t.seg[X86_CS] & 3;
    x86_set_rflags(c, t.flags | (nested ? FL_NT : 0));
    if ((c->cr0 & CR0_PG) && (d->ar & 8) && !x86_write_cr3(c, t.cr3)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_load_ldt(c, t.ldt, EXC_TS);
    load_segments(c, &t);
    if (t.ip > c->seg[X86_CS].limit) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->exc.switched = false;
    if (t.trap) {
        x86_trap_pending(c, DR6_BT);                            /* 17.3.1.5 */
    }
}
