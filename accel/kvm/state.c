/*
 * accel/kvm/state.c - a processor's registers to the kernel and back.
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include "target/x86/segments.h"

/* struct kvm_regs names the general registers in an order of its own. */
#define GENERAL(R) \
    R(rax, RAX) R(rcx, RCX) R(rdx, RDX) R(rbx, RBX) R(rsp, RSP) R(rbp, RBP) R(rsi, RSI) R(rdi, RDI) \
    R(r8, R8) R(r9, R9) R(r10, R10) R(r11, R11) R(r12, R12) R(r13, R13) R(r14, R14) R(r15, R15) R(rip, RIP)

static void failed(KvmVcpu *v, const char *what)
{
    if (!v->failed) {
        v->failed = what;
        v->failed_errno = errno;
    }
}

static bool call(KvmVcpu *v, unsigned long request, void *arg, const char *what)
{
    if (kvm_ioctl(v->fd, request, arg) < 0) {
        failed(v, what);
        return false;
    }
    return true;
}

/* ---- segments ---- */

static struct kvm_segment segment_to_kvm(const X86Segment *s)
{
    bool present = s->ar & AR_P;

    return (struct kvm_segment){
        .base = s->base, .limit = s->limit, .selector = s->selector, .type = s->ar & AR_TYPE,
        .present = present, .dpl = x86_ar_dpl(s->ar), .db = !!(s->ar & AR_DB), .s = !!(s->ar & AR_S),
        .l = !!(s->ar & AR_L), .g = !!(s->ar & AR_G), .avl = !!(s->ar & AR_AVL), .unusable = !present,
    };
}

static void segment_from_kvm(X86Segment *to, const struct kvm_segment *s)
{
    *to = (X86Segment){ .base = s->base, .limit = s->limit, .selector = s->selector };
    to->ar = s->type | (s->s ? AR_S : 0) | s->dpl << 5 | (s->avl ? AR_AVL : 0) | (s->l ? AR_L : 0)
        | (s->db ? AR_DB : 0) | (s->g ? AR_G : 0) | (s->present && !s->unusable ? AR_P : 0);
}

static void tables_from_kvm(X86Cpu *c, const struct kvm_sregs2 *s)
{
    const struct kvm_segment *seg[X86_SEGS] = {
        [X86_ES] = &s->es, [X86_CS] = &s->cs, [X86_SS] = &s->ss, [X86_DS] = &s->ds, [X86_FS] = &s->fs,
        [X86_GS] = &s->gs,
    };

    for (unsigned i = 0; i < X86_SEGS; i++) {
        segment_from_kvm(&c->seg[i], seg[i]);
    }
    segment_from_kvm(&c->ldt, &s->ldt);
    segment_from_kvm(&c->tr, &s->tr);
    c->gdt.base = s->gdt.base;
    c->gdt.limit = s->gdt.limit;
    c->idt.base = s->idt.base;
    c->idt.limit = s->idt.limit;
}

static void sregs_from_kvm(X86Cpu *c, const struct kvm_sregs2 *s)
{
    tables_from_kvm(c, s);
    c->cr0 = s->cr0;
    c->cr2 = s->cr2;
    c->cr3 = s->cr3;
    c->cr4 = s->cr4;
    c->efer = s->efer;
    if (s->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) {
        memcpy(c->pdpte, s->pdptrs, sizeof(c->pdpte));
    }
}

/* The processor keeps its privilege level in SS's descriptor (SDM volume 3C 25.4.1). */
static unsigned privilege(const X86Cpu *c)
{
    if (!(c->cr0 & CR0_PE)) {
        return 0;
    }
    return c->rflags & FL_VM ? 3 : x86_ar_dpl(c->seg[X86_SS].ar);
}

static void sregs_to_kvm(const X86Cpu *c, struct kvm_sregs2 *s)
{
    s->es = segment_to_kvm(&c->seg[X86_ES]);
    s->cs = segment_to_kvm(&c->seg[X86_CS]);
    s->ss = segment_to_kvm(&c->seg[X86_SS]);
    s->ds = segment_to_kvm(&c->seg[X86_DS]);
    s->fs = segment_to_kvm(&c->seg[X86_FS]);
    s->gs = segment_to_kvm(&c->seg[X86_GS]);
    s->ss.dpl = c->cpl;
    s->ldt = segment_to_kvm(&c->ldt);
    s->tr = segment_to_kvm(&c->tr);
    s->gdt = (struct kvm_dtable){ .base = c->gdt.base, .limit = c->gdt.limit };
    s->idt = (struct kvm_dtable){ .base = c->idt.base, .limit = c->idt.limit };
    s->cr0 = c->cr0;
    s->cr2 = c->cr2;
    s->cr3 = c->cr3;
    s->cr4 = c->cr4;
    s->efer = c->efer;
    /* PAE's four entries count as they were loaded, whatever memory says now (SDM 4.4.1). */
    if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !(c->efer & EFER_LMA)) {
        s->flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
        memcpy(s->pdptrs, c->pdpte, sizeof(c->pdpte));
    } else {
        s->flags &= ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID;
    }
}

/* ---- what is between two instructions ---- */

static void events_from_kvm(KvmVcpu *v)
{
    X86Cpu *c = v->cpu;

    c->nmi_blocked = v->events.nmi.masked;
    c->sti_shadow = v->events.interrupt.shadow;
}

static void events_to_kvm(KvmVcpu *v)
{
    struct kvm_vcpu_events *e = &v->events;
    const X86Cpu *c = v->cpu;

    e->nmi.masked = c->nmi_blocked;
    if (!c->sti_shadow) {
        e->interrupt.shadow = 0;
    } else if (!e->interrupt.shadow) {
        e->interrupt.shadow = KVM_X86_SHADOW_INT_STI;
    }
    e->flags &= KVM_VCPUEVENT_VALID_PAYLOAD;
    e->flags |= KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING;
}

static bool get_mp_state(KvmVcpu *v)
{
    struct kvm_mp_state s;
    X86Cpu *c = v->cpu;

    if (v->kvm->irqchip == KVM_IRQCHIP_NONE) {
        return true;                    /* HLT, INIT and SIPI never reach the kernel */
    }
    if (!call(v, KVM_GET_MP_STATE, &s, "KVM_GET_MP_STATE")) {
        return false;
    }
    c->wait_sipi = s.mp_state == KVM_MP_STATE_UNINITIALIZED || s.mp_state == KVM_MP_STATE_INIT_RECEIVED;
    c->vcpu.halted = c->wait_sipi || s.mp_state == KVM_MP_STATE_HALTED;
    return true;
}

static bool put_mp_state(KvmVcpu *v)
{
    const X86Cpu *c = v->cpu;
    struct kvm_mp_state s = {
        c->wait_sipi ? KVM_MP_STATE_INIT_RECEIVED : c->vcpu.halted ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE
    };

    return v->kvm->irqchip == KVM_IRQCHIP_NONE || call(v, KVM_SET_MP_STATE, &s, "KVM_SET_MP_STATE");
}

/* ---- all of it ---- */

static bool get_debug_registers(KvmVcpu *v)
{
    struct kvm_debugregs d;

    if (!call(v, KVM_GET_DEBUGREGS, &d, "KVM_GET_DEBUGREGS")) {
        return false;
    }
    memcpy(v->cpu->dr, d.db, sizeof(d.db));
    v->cpu->dr[6] = d.dr6;
    v->cpu->dr[7] = d.dr7;
    return true;
}

static bool put_debug_registers(KvmVcpu *v)
{
    struct kvm_debugregs d = { .dr6 = (uint32_t)v->cpu->dr[6], .dr7 = (uint32_t)v->cpu->dr[7] };

    memcpy(d.db, v->cpu->dr, sizeof(d.db));
    return call(v, KVM_SET_DEBUGREGS, &d, "KVM_SET_DEBUGREGS");
}

static bool get_xcr0(KvmVcpu *v)
{
    struct kvm_xcrs x;

    if (!call(v, KVM_GET_XCRS, &x, "KVM_GET_XCRS")) {
        return false;
    }
    for (unsigned i = 0; i < x.nr_xcrs; i++) {
        if (x.xcrs[i].xcr == 0) {
            v->cpu->xcr0 = x.xcrs[i].value;
        }
    }
    return true;
}

static bool put_xcr0(KvmVcpu *v)
{
    struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = v->cpu->xcr0 } } };

    return call(v, KVM_SET_XCRS, &x, "KVM_SET_XCRS");
}

void kvm_pull(KvmVcpu *v)
{
    X86Cpu *c = v->cpu;
    struct kvm_regs r;
    struct kvm_sregs2 s;

    if (!v->loaded) {
        return;
    }
    kvm_complete(v);
    v->loaded = false;
    if (!call(v, KVM_GET_REGS, &r, "KVM_GET_REGS") || !call(v, KVM_GET_SREGS2, &s, "KVM_GET_SREGS2") ||
        !call(v, KVM_GET_VCPU_EVENTS, &v->events, "KVM_GET_VCPU_EVENTS") || !get_debug_registers(v) ||
        !get_xcr0(v) || !get_mp_state(v)) {
        return;
    }
    if (!kvm_fpu_get(v)) {
        failed(v, "KVM_GET_XSAVE");
    }
    if (!kvm_msrs_get(v)) {
        failed(v, "KVM_GET_MSRS");
    }
    if (!kvm_lapic_get(v)) {
        failed(v, "KVM_GET_LAPIC");
    }
#define TAKE(field, reg) c->regs[X86_##reg] = r.field;
    GENERAL(TAKE)
#undef TAKE
    sregs_from_kvm(c, &s);
    c->rflags = (uint32_t)r.rflags;
    c->cpl = privilege(c);
    x86_set_rflags(c, (uint32_t)r.rflags);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        x86_seg_changed(c, i);
    }
    if (v->hidden.on) {
        v->hidden.on = false;
        c->idt.limit = v->hidden.idt_limit;
        if (v->hidden.by_dr6) {
            v->hidden.stepped = c->dr[6] & DR6_BS;
            c->dr[6] = (c->dr[6] & ~(uint64_t)DR6_BS) | (v->hidden.dr6 & DR6_BS);
        }
    }
    x86_mode_changed(c);
    events_from_kvm(v);
}

/* On AMD's processors the kernel forgets the root of the nested page tables with everything else when the guest shuts
 * down, and loads it anew only for one of whose control registers something changes: without paging a reset changes
 * nothing.  The guest would fault on its first fetch, for ever (seen with Linux 6.1). */
static bool load_roots(KvmVcpu *v, struct kvm_sregs2 s)
{
    s.cr0 ^= CR0_AM;
    bool ok = !v->roots_lost || call(v, KVM_SET_SREGS2, &s, "KVM_SET_SREGS2");
    v->roots_lost = false;
    return ok;
}

void kvm_push(KvmVcpu *v)
{
    const X86Cpu *c = v->cpu;
    struct kvm_regs r = { .rflags = x86_rflags(c) };
    struct kvm_sregs2 s;

    if (v->loaded) {
        return;
    }
    v->loaded = v->fresh = true;
#define GIVE(field, reg) r.field = c->regs[X86_##reg];
    GENERAL(GIVE)
#undef GIVE
    if (!call(v, KVM_GET_SREGS2, &s, "KVM_GET_SREGS2")) {
        return;
    }
    sregs_to_kvm(c, &s);
    if (c->vcpu.intctl && (v->kvm->irqchip == KVM_IRQCHIP_NONE || v->lapic_moved)) {
        s.apic_base = c->vcpu.intctl->get_base(c->vcpu.intctl_opaque);
        s.cr8 = c->vcpu.intctl->get_tpr(c->vcpu.intctl_opaque);
    } else if (!c->vcpu.intctl) {
        s.apic_base = 0;                        /* no local APIC, and none in CPUID */
    }
    events_to_kvm(v);
    if (!load_roots(v, s) || !call(v, KVM_SET_SREGS2, &s, "KVM_SET_SREGS2") || !put_xcr0(v)) {
        return;
    }
    if (!kvm_fpu_put(v)) {
        failed(v, "KVM_SET_XSAVE");
    }
    if (!kvm_lapic_put(v)) {
        failed(v, "KVM_SET_LAPIC");
    }
    if (!kvm_msrs_put(v)) {
        failed(v, "KVM_SET_MSRS");
    }
    if (call(v, KVM_SET_REGS, &r, "KVM_SET_REGS") && put_debug_registers(v) &&
        call(v, KVM_SET_VCPU_EVENTS, &v->events, "KVM_SET_VCPU_EVENTS")) {
        put_mp_state(v);
    }
}
