/*
 * From a vector to the first instruction of its handler: the real-mode vector table, the legacy IDT
 * with its gates and stack switches, and the 64-bit IDT with interrupt stacks.  SDM volume 3A chapter
 * 6 and 20.1.4, volume 2 "INT n".
 */
#include "transfer.h"

/* Selector-like error code of an IDT entry (6.13); EXT is added by x86_raise_error(). */
static uint32_t idt_error(unsigned vector)
{
    return vector << 3 | 2;
}

static void entered(X86Cpu *c, uint32_t clear)
{
    x86_set_rflags(c, x86_rflags(c) & ~clear);
    c->sti_shadow = c->ss_shadow = false;
    c->vcpu.halted = false;
}

/* 20.1.4; with CR4.VME also virtual-8086 mode's own handlers, through a table at 0 (20.3.3.4). */
void event_deliver_real(X86Cpu *c, unsigned vector, uint32_t flags)
{
    Frame f;
    bool vm = c->mode & MODE_VM;

    if (!vm && vector * 4 + 3 > c->idt.limit) {
        x86_raise_error(c, EXC_GP, idt_error(vector));
    }
    /* The table of virtual-8086 mode is the task's own memory: its accesses are those of level 3. */
    uint32_t entry = vm ? x86_ld(c, vector * 4, 4) : x86_ld_sys(c, c->idt.base + vector * 4, 4);
    frame_init(&f, c);
    frame_push(&f, flags & 0xffff, 2);
    frame_push(&f, c->seg[X86_CS].selector, 2);
    frame_push(&f, c->regs[X86_RIP] & 0xffff, 2);
    frame_commit_sp(&f);
    x86_seg_set_real(c, X86_CS, entry >> 16);
    c->regs[X86_RIP] = entry & 0xffff;
    if (vm) {
        entered(c, FL_TF | (x86_iopl(c) == 3 ? FL_IF : FL_VIF));
    } else {
        entered(c, FL_IF | FL_TF | FL_AC | FL_RF);
    }
}

/* 6.12.2: the handler is a task of its own. */
static void through_task_gate(X86Cpu *c, const Event *e, uint16_t selector)
{
    X86Desc d;
    Frame f;

    task_find(c, selector, &d, EXC_GP, false);
    bool is32 = d.ar & 8;
    task_switch(c, selector, &d, TASK_INT, e->flags);
    if (e->has_error) {
        frame_init(&f, c);
        frame_push(&f, e->error, is32 ? 4 : 2);
        frame_commit_sp(&f);
    }
}

static void push_vm_segments(X86Cpu *c, Frame *f, unsigned size)
{
    static const uint8_t order[] = { X86_GS, X86_FS, X86_DS, X86_ES };

    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        frame_push(f, c->seg[order[i]].selector, size);
    }
}

/* The code segment that a gate names, and whether the level changes: vol 2, INT n, "TRAP-OR-INTERRUPT-
 * GATE".  Returns the new CPL. */
static unsigned gate_target(X86Cpu *c, uint16_t selector, X86Desc *d)
{
    uint32_t error = selector & 0xfffc;

    if (x86_selector_is_null(selector)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_desc_get(c, selector, d, EXC_GP);
    if (!x86_ar_is_code(d->ar) || x86_ar_dpl(d->ar) > c->cpl) {
        x86_raise_error(c, EXC_GP, error);
    }
    if (x86_long_mode(c) && (d->ar & (AR_L | AR_DB)) != AR_L) {
        x86_raise_error(c, EXC_GP, error);
    }
    code_check_present(c, d, selector);
    unsigned level = x86_ar_is_conforming(d->ar) ? c->cpl : x86_ar_dpl(d->ar);
    if ((c->mode & MODE_VM) && level != 0) {
        x86_raise_error(c, EXC_GP, error);
    }
    return level;
}

static void deliver_legacy(X86Cpu *c, const Event *e)
{
    uint32_t at = (uint32_t)c->idt.base + e->vector * 8u;

    if (e->vector * 8u + 7 > c->idt.limit) {
        x86_raise_error(c, EXC_GP, idt_error(e->vector));
    }
    uint64_t gate = x86_ld_sys(c, at, 8);
    unsigned ar = gate >> 40 & 0xff, type = ar & (AR_S | AR_TYPE);
    uint16_t selector = gate >> 16;
    bool trap = type == SYS_TRAP16 || type == SYS_TRAP32;
    bool interrupt = type == SYS_INT16 || type == SYS_INT32;
    if ((!trap && !interrupt && type != SYS_TASK) || (e->soft && x86_ar_dpl(ar) < c->cpl)) {
        x86_raise_error(c, EXC_GP, idt_error(e->vector));
    }
    if (!(ar & AR_P)) {
        x86_raise_error(c, EXC_NP, idt_error(e->vector));
    }
    if (type == SYS_TASK) {
        through_task_gate(c, e, selector);
        return;
    }

    X86Desc d;
    Frame f;
    unsigned level = gate_target(c, selector, &d), size = type & 8 ? 4 : 2;
    uint64_t offset = (gate & 0xffff) | (type & 8 ? gate >> 32 & 0xffff0000 : 0);
    bool vm = c->mode & MODE_VM, inner = level < c->cpl;
    uint16_t old_ss = c->seg[X86_SS].selector;
    uint64_t old_sp = c->regs[X86_RSP];

    if (inner) {
        frame_init_inner(&f, c, level, 0);
    } else {
        frame_init(&f, c);
    }
    code_check_offset(c, &d, offset);
    if (vm) {
        push_vm_segments(c, &f, size);
    }
    if (inner) {
        frame_push(&f, old_ss, size);
        frame_push(&f, old_sp, size);
    }
    frame_push(&f, e->flags, size);
    frame_push(&f, c->seg[X86_CS].selector, size);
    frame_push(&f, c->regs[X86_RIP], size);
    if (e->has_error) {
        frame_push(&f, e->error, size);
    }
    x86_desc_set_accessed(c, &d);
    if (inner) {
        x86_desc_set_accessed(c, &f.desc);
    }

    /* Nothing below can fail.  VM first: what a segment register holds depends on it. */
    c->rflags &= ~FL_VM;
    c->cpl = level;
    x86_mode_changed(c);
    if (vm) {
        static const uint8_t nulled[] = { X86_GS, X86_FS, X86_DS, X86_ES };
        for (unsigned i = 0; i < G_N_ELEMENTS(nulled); i++) {
            x86_seg_set_null(c, nulled[i], 0);
        }
    }
    if (inner) {
        frame_commit(&f, level);
    } else {
        frame_commit_sp(&f);
    }
    code_commit(c, &d, selector, level, offset);
    entered(c, FL_TF | FL_NT | FL_RF | FL_VM | (interrupt ? FL_IF : 0));
}

/* 6.14 */
static void deliver_long(X86Cpu *c, const Event *e)
{
    uint64_t at = c->idt.base + e->vector * 16u;

    if (e->vector * 16u + 15 > c->idt.limit) {
        x86_raise_error(c, EXC_GP, idt_error(e->vector));
    }
    uint64_t gate = x86_ld_sys(c, at, 8), high = x86_ld_sys(c, at + 8, 8);
    unsigned ar = gate >> 40 & 0xff, type = ar & (AR_S | AR_TYPE);
    uint16_t selector = gate >> 16;
    if ((type != SYS_INT32 && type != SYS_TRAP32) || (high >> 32 & 0x1f00)
        || (e->soft && x86_ar_dpl(ar) < c->cpl)) {
        x86_raise_error(c, EXC_GP, idt_error(e->vector));
    }
    if (!(ar & AR_P)) {
        x86_raise_error(c, EXC_NP, idt_error(e->vector));
    }

    X86Desc d;
    Frame f;
    unsigned level = gate_target(c, selector, &d), ist = gate >> 32 & 7;
    uint64_t offset = (gate & 0xffff) | (gate >> 32 & 0xffff0000) | high << 32;
    bool inner = level < c->cpl;
    uint16_t old_ss = c->seg[X86_SS].selector;
    uint64_t old_sp = c->regs[X86_RSP];

    if (inner || ist) {
        frame_init_inner(&f, c, level, ist);
    } else {
        frame_init(&f, c);
        f.flat = true;
        f.mask = ~0ull;
        f.sp = old_sp;
    }
    f.sp &= ~15ull;
    code_check_offset(c, &d, offset);
    frame_push(&f, old_ss, 8);
    frame_push(&f, old_sp, 8);
    frame_push(&f, e->flags, 8);
    frame_push(&f, c->seg[X86_CS].selector, 8);
    frame_push(&f, x86_code_bits(c) == 64 ? c->regs[X86_RIP] : (uint32_t)c->regs[X86_RIP], 8);   /* or EIP wraps */
    if (e->has_error) {
        frame_push(&f, e->error, 8);
    }
    x86_desc_set_accessed(c, &d);

    if (inner) {
        c->cpl = level;
        x86_seg_set_null(c, X86_SS, level);
    }
    c->regs[X86_RSP] = f.sp;
    code_commit(c, &d, selector, level, offset);
    entered(c, FL_TF | FL_NT | FL_RF | FL_VM | (type == SYS_INT32 ? FL_IF : 0));
}

void event_deliver(X86Cpu *c, const Event *e)
{
    if (!(c->cr0 & CR0_PE)) {
        event_deliver_real(c, e->vector, e->flags);
    } else if (x86_long_mode(c)) {
        deliver_long(c, e);
    } else {
        deliver_legacy(c, e);
    }
}
