/*
 * accel/kvm/debug.c - breakpoints, watchpoints and single steps by the kernel's guest debugging.
 *
 * They use the debug registers of the hardware, which the guest meanwhile cannot use for its own: watchpoints
 * first, then breakpoints.  Where there are more breakpoints, every instruction is stepped and its address
 * compared; where watchpoints need more, or what the registers cannot do (reads without writes), or the kernel
 * does not report them, the interpreter runs the guest as long as they are there (run.c).
 */
#include "kvm.h"

#include <string.h>
#include "target/x86/exec.h"
#include "util/error.h"

/* What a kernel does is tried when somebody needs to know, and once. */
static bool reports(Kvm *k, int *known, bool (*try)(int fd))
{
    if (*known < 0) {
        *known = try(k->fd);
    }
    return *known;
}

bool kvm_set_breakpoint(Accel *a, uint64_t linear, bool on)
{
    Kvm *k = (Kvm *)a;

    for (guint i = 0; i < k->breakpoints->len; i++) {
        if (g_array_index(k->breakpoints, uint64_t, i) == linear) {
            g_array_remove_index_fast(k->breakpoints, i);
            break;
        }
    }
    if (on) {
        g_array_append_val(k->breakpoints, linear);
        reports(k, &k->reports_breakpoints, kvm_reports_breakpoints);
    }
    return true;
}

bool kvm_at_breakpoint(const KvmVcpu *v, uint64_t linear)
{
    const GArray *list = v->kvm->breakpoints;

    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, uint64_t, i) == linear) {
            return true;
        }
    }
    return false;
}

/* ---- watchpoints (SDM volume 3B 18.2.4, 18.2.5) ---- */

static bool add_watch(KvmWatches *k, const X86Watch *w)
{
    uint64_t at = w->linear, left = w->len;

    while (left) {
        uint32_t len = 8;
        while (len > left || at & (len - 1)) {
            len /= 2;
        }
        if (k->n == KVM_BREAKPOINTS || !w->write) {
            return false;
        }
        k->at[k->n++] = (X86Watch){ at, len, w->read, true };
        at += len;
        left -= len;
    }
    return true;
}

bool kvm_watches_fit(KvmWatches *w, const X86Watch *list, unsigned n)
{
    bool fits = true;

    w->n = 0;
    for (unsigned i = 0; fits && i < n; i++) {
        fits = add_watch(w, &list[i]);
    }
    return fits;
}

/* L0..L3 switch on, and there is a type and a length for each. */
static uint64_t dr7_of(unsigned reg, unsigned type, unsigned len)
{
    static const uint8_t lengths[9] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

    return 1ull << (2 * reg) | (uint64_t)type << (16 + 4 * reg) | (uint64_t)lengths[len] << (18 + 4 * reg);
}

uint64_t kvm_watches_dr7(const KvmWatches *w, unsigned breakpoints)
{
    enum { EXECUTE = 0, WRITE = 1, ACCESS = 3 };
    uint64_t dr7 = DR7_FIXED;

    for (unsigned i = 0; i < w->n; i++) {
        dr7 |= dr7_of(i, w->at[i].read ? ACCESS : WRITE, w->at[i].len);
    }
    for (unsigned i = w->n; i < w->n + breakpoints; i++) {
        dr7 |= dr7_of(i, EXECUTE, 1);
    }
    return dr7;
}

const X86Watch *kvm_watches_hit(const KvmWatches *w, uint64_t dr6, const X86Watch *list, unsigned n)
{
    for (unsigned r = 0; r < w->n; r++) {
        for (unsigned i = 0; (dr6 >> r & 1) && i < n; i++) {
            if (w->at[r].linear - list[i].linear < list[i].len && w->at[r].read == list[i].read) {
                return &list[i];
            }
        }
    }
    return NULL;
}

bool kvm_set_watchpoints(Accel *a, const X86Watch *list, unsigned n, GError **errp)
{
    Kvm *k = (Kvm *)a;
    bool fits = kvm_watches_fit(&k->watches, list, n) && (!n || reports(k, &k->reports_accesses, kvm_reports_accesses));
    bool ok = n <= X86_WATCHES;

    if (!ok) {
        error_set(errp, "%u is the most that can be watched", X86_WATCHES);
    } else if (!fits && k->irqchip != KVM_IRQCHIP_NONE) {
        error_set(errp, "with kernel_irqchip=off there would be no limit; here what is watched has to fit in the four "
                  "debug registers: writes and accesses, to 8 aligned bytes each");
        ok = false;
    }
    k->interpret_all = ok && !fits;
    if (!ok || !fits) {
        k->watches.n = 0;
    }
    for (guint i = 0; i < a->machine->vcpus->len; i++) {        /* for what is interpreted, be it all or now and then */
        x86_watch_set(x86_cpu(g_ptr_array_index(a->machine->vcpus, i)), list, ok ? n : 0);
    }
    return ok;
}

bool kvm_watch_hit(KvmVcpu *v, uint64_t dr6)
{
    X86Debug *d = &v->cpu->debug;
    const X86Watch *hit = kvm_watches_hit(&v->kvm->watches, dr6, d->list, d->n);

    if (hit) {
        d->stop = d->hit_write = true;
        d->hit = *hit;
    }
    return hit;
}

/* ---- to the kernel ---- */

bool kvm_debug_apply(KvmVcpu *v, bool step)
{
    const GArray *list = v->kvm->breakpoints;
    const KvmWatches *w = &v->kvm->watches;
    struct kvm_guest_debug d = { 0 };
    unsigned breakpoints = step ? 0 : list->len;        /* there is room for them, else it is a step */

    if (step) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    }
    if (w->n + breakpoints) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        d.arch.debugreg[7] = kvm_watches_dr7(w, breakpoints);
    }
    for (unsigned i = 0; i < w->n; i++) {
        d.arch.debugreg[i] = w->at[i].linear;
    }
    for (unsigned i = 0; i < breakpoints; i++) {
        d.arch.debugreg[w->n + i] = g_array_index(list, uint64_t, i);
    }
    if (!d.control && !v->debugging) {
        return true;
    }
    v->debugging = d.control;
    return kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d) >= 0;
}

/* ---- steps over what faults ----
 *
 * An exception clears RFLAGS.TF, by which the kernel steps, after it has pushed it: the guest would run on to the
 * end of its handler.  So there is no IDT during a step; a fault is a shutdown, and the interpreter repeats the
 * instruction from the state before.  A kernel that leaves the #DB of a step in ring 3 to the guest shuts down
 * behind the instruction, with DR6.BS to say so. */

static bool nothing_comes(const KvmVcpu *v)
{
    const struct kvm_vcpu_events *e = &v->events;
    const Vcpu *vcpu = &v->cpu->vcpu;

    return !e->exception.injected && !e->exception.pending && !e->interrupt.injected && !e->nmi.injected &&
        !e->nmi.pending && (vcpu->hold_interrupts || !(atomic_load(&vcpu->requests) & (VCPU_INTR | VCPU_NMI)));
}

/* So that DR6.BS is from this step. */
static bool clear_step_flag(KvmVcpu *v)
{
    struct kvm_debugregs d = { 0 };

    if (kvm_ioctl(v->fd, KVM_GET_DEBUGREGS, &d) < 0) {
        return false;
    }
    d.dr6 &= ~(uint64_t)DR6_BS;
    return kvm_ioctl(v->fd, KVM_SET_DEBUGREGS, &d) >= 0;
}

void kvm_hide_idt(KvmVcpu *v)
{
    X86Cpu *c = v->cpu;
    struct kvm_sregs2 s;

    if (v->kvm->irqchip != KVM_IRQCHIP_NONE || !v->fresh || !nothing_comes(v) ||
        kvm_ioctl(v->fd, KVM_GET_SREGS2, &s) < 0) {
        return;
    }
    v->hidden = (KvmHidden){ .dr6 = c->dr[6], .idt_limit = c->idt.limit };
    v->hidden.by_dr6 = c->cpl == 3 && !reports(v->kvm, &v->kvm->reports_user_steps, kvm_reports_user_steps) &&
        clear_step_flag(v);
    s.idt.limit = 0;
    v->hidden.on = kvm_ioctl(v->fd, KVM_SET_SREGS2, &s) >= 0;
    if (!v->before) {
        v->before = g_aligned_alloc0(1, sizeof(X86Cpu), 64);
    }
    x86_copy_state(v->before, c);
}

bool kvm_hidden_step_done(KvmVcpu *v)
{
    kvm_pull(v);
    v->events.exception.injected = v->events.exception.pending = 0;
    v->events.triple_fault.pending = 0;
    if (!v->hidden.stepped) {
        x86_copy_state(v->cpu, v->before);
    }
    return v->hidden.stepped;
}
