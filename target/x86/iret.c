/*
 * IRET in all its forms (SDM volume 2, IRET; volume 3A 6.14.3, 7.4, 20.2.3).
 */
#include "transfer.h"

static void leave_real(X86Cpu *c, unsigned size)
{
    Frame f;
    uint32_t keep = FL_VM | FL_VIF | FL_VIP;

    frame_init(&f, c);
    uint64_t rip = frame_pop(&f, size);
    uint16_t cs = frame_pop(&f, size);
    uint32_t flags = frame_pop(&f, size), old = x86_rflags(c);
    if (rip > c->seg[X86_CS].limit) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (c->mode & MODE_VM) {
        keep |= FL_IOPL;
    }
    if (size == 2) {
        keep |= 0xffff0000;
    }
    frame_commit_sp(&f);
    x86_seg_set_real(c, X86_CS, cs);
    c->regs[X86_RIP] = rip;
    x86_set_rflags(c, (flags & ~keep) | (old & keep));
}

/* 20.3.3: with CR4.VME a 16-bit IRET below IOPL 3 works on VIF instead of IF. */
static void leave_vme(X86Cpu *c)
{
    Frame f;
    uint32_t keep = 0xffff0000 | FL_IOPL | FL_IF, old = x86_rflags(c);

    frame_init(&f, c);
    uint16_t rip = frame_pop(&f, 2), cs = frame_pop(&f, 2);
    uint32_t flags = frame_pop(&f, 2);
    if ((flags & FL_TF) || ((flags & FL_IF) && (old & FL_VIP))) {
        x86_raise_error(c, EXC_GP, 0);
    }
    flags = (flags & ~keep) | (old & keep & ~FL_VIF) | (flags & FL_IF ? FL_VIF : 0);
    frame_commit_sp(&f);
    x86_seg_set_real(c, X86_CS, cs);
    c->regs[X86_RIP] = rip;
    x86_set_rflags(c, flags);
}

static void to_previous_task(X86Cpu *c)
{
    X86Desc d;
    uint16_t selector = x86_ld_sys(c, c->tr.base, 2);

    task_find(c, selector, &d, EXC_TS, true);
    task_switch(c, selector, &d, TASK_IRET, x86_rflags(c) & ~FL_NT);
}

static void to_vm86(X86Cpu *c, Frame *f, uint64_t rip, uint16_t cs, uint32_t flags)
{
    static const uint8_t order[] = { X86_ES, X86_DS, X86_FS, X86_GS };
    uint16_t selector[4];
    uint32_t esp = frame_pop(f, 4);
    uint16_t ss = frame_pop(f, 4);

    for (unsigned i = 0; i < 4; i++) {
        selector[i] = frame_pop(f, 4);
    }
    if (rip > 0xffff) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->cpl = 3;
    x86_set_rflags(c, flags);
    x86_seg_set_real(c, X86_CS, cs);
    x86_seg_set_real(c, X86_SS, ss);
    for (unsigned i = 0; i < 4; i++) {
        x86_seg_set_real(c, order[i], selector[i]);
    }
    c->regs[X86_RSP] = esp;
    c->regs[X86_RIP] = rip;
}

static void leave_protected(X86Cpu *c, unsigned size)
{
    X86Desc d, ss;
    Frame f;
    bool from_64 = x86_in_code64(c), lm = x86_long_mode(c);
    uint32_t take = FL_STATUS | FL_TF | FL_DF | FL_NT;
    uint32_t old = x86_rflags(c);

    frame_init(&f, c);
    uint32_t flags = frame_peek(&f, 2 * size, size);    /* from the top down, as processors do */
    uint16_t selector = frame_peek(&f, size, size);
    uint64_t rip = frame_peek(&f, 0, size);
    f.sp = (f.sp + 3 * size) & f.mask;
    if (size == 4 && (flags & FL_VM) && c->cpl == 0 && !lm) {
        to_vm86(c, &f, rip, selector, flags);
        return;
    }
    return_check_code(c, &d, selector);
    if (size > 2) {
        take |= FL_RF | FL_AC | FL_ID;
    }
    if (c->cpl <= x86_iopl(c)) {
        take |= FL_IF;
    }
    if (c->cpl == 0) {
        take |= FL_IOPL | (size > 2 ? FL_VIF | FL_VIP : 0);
    }
    unsigned rpl = selector & 3;
    bool outer = rpl > c->cpl, new_stack = outer || from_64;
    uint64_t sp = 0;
    uint16_t ss_selector = 0;
    if (new_stack) {
        ss_selector = frame_peek(&f, size, size);
        sp = frame_peek(&f, 0, size);
        return_check_stack(c, &ss, ss_selector, rpl, code_is_64(c, &d));
    }
    rip = code_check_offset(c, &d, rip);
    x86_desc_set_accessed(c, &d);
    if (new_stack) {
        return_set_accessed(c, &ss);
    }

    code_commit(c, &d, selector, rpl, rip);
    if (new_stack) {
        return_commit_stack(c, &ss, ss_selector, sp);
    } else {
        frame_commit_sp(&f);
    }
    if (outer) {
        return_drop_segments(c);
    }
    x86_set_rflags(c, (flags & take) | (old & ~take));
}

void x86_iret(X86Cpu *c, unsigned size)
{
    c->nmi_blocked = false;             /* 6.7.1: by the execution of an IRET, even one that faults */
    if (!(c->cr0 & CR0_PE)) {
        leave_real(c, size);
    } else if (c->mode & MODE_VM) {
        if (x86_iopl(c) == 3) {
            leave_real(c, size);
        } else if ((c->cr4 & CR4_VME) && size == 2) {
            leave_vme(c);
        } else {
            x86_raise_error(c, EXC_GP, 0);
        }
    } else if (c->rflags & FL_NT) {
        if (x86_long_mode(c)) {
            x86_raise_error(c, EXC_GP, 0);
        }
        to_previous_task(c);
    } else {
        leave_protected(c, size);
    }
}
