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

/* ---- watchpoints ---- */

/* As many registers as it takes, each for 1, 2, 4 or 8 bytes at a multiple of that (SDM volume 3B 18.2.5). */
static bool add_watch(Kvm *k, const X86Watch *w)
{
    uint64_t at = w->linear, left = w->len;

    while (left) {
        uint32_t len = 8;
        while (len > left || at & (len - 1)) {
            len /= 2;
        }
        if (k->watches == KVM_BREAKPOINTS || !w->write) {
            return false;
        }
        k->watch[k->watches++] = (X86Watch){ at, len, w->read, true };
        at += len;
        left -= len;
    }
    return true;
}

bool kvm_set_watchpoints(Accel *a, const X86Watch *list, unsigned n, GError **errp)
{
    Kvm *k = (Kvm *)a;

    if (n && k->reports_accesses < 0) {
        k->reports_accesses = kvm_reports_accesses(k->fd);
    }
    bool fits = !n || k->reports_accesses, ok = n <= X86_WATCHES;
    k->watches = 0;
    for (unsigned i = 0; fits && i < n; i++) {
        fits = add_watch(k, &list[i]);
    }
    if (!ok) {
        error_set(errp, "%u is the most that can be watched", X86_WATCHES);
    } else if (!fits && k->irqchip != KVM_IRQCHIP_NONE) {
        error_set(errp, "with kernel_irqchip=off there would be no limit; here what is watched has to fit in the four "
                  "debug registers: writes and accesses, to 8 aligned bytes each");
        ok = false;
    }
    k->interpret_all = ok && !fits;
    if (!ok || !fits) {
        k->watches = 0;
    }
    for (guint i = 0; i < a->machine->vcpus->len; i++) {        /* for what is interpreted, be it all or now and then */
        x86_watch_set(x86_cpu(g_ptr_array_index(a->machine->vcpus, i)), list, ok ? n : 0);
    }
    return ok;
}

bool kvm_watch_hit(KvmVcpu *v, uint64_t dr6)
{
    X86Debug *d = &v->cpu->debug;

    for (unsigned r = 0; r < v->kvm->watches; r++) {
        const X86Watch *at = &v->kvm->watch[r];
        for (unsigned i = 0; (dr6 >> r & 1) && i < d->n; i++) {
            const X86Watch *w = &d->list[i];
            if (at->linear - w->linear < w->len && at->read == w->read) {
                d->stop = d->hit_write = true;
                d->hit = *w;
                return true;
            }
        }
    }
    return false;
}

/* ---- to the kernel ---- */

/* DR7: L0..L3 switch on, and for each type and length (SDM volume 3B 18.2.4). */
static uint64_t dr7_of(unsigned reg, unsigned type, unsigned len)
{
    static const uint8_t lengths[9] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

    return 1ull << (2 * reg) | (uint64_t)type << (16 + 4 * reg) | (uint64_t)lengths[len] << (18 + 4 * reg);
}

void kvm_debug_registers(const Kvm *k, bool step, struct kvm_guest_debug *d)
{
    enum { EXECUTE = 0, WRITE = 1, ACCESS = 3 };
    unsigned n = 0;

    *d = (struct kvm_guest_debug){ 0 };
    d->arch.debugreg[7] = DR7_FIXED;
    for (; n < k->watches; n++) {
        d->arch.debugreg[n] = k->watch[n].linear;
        d->arch.debugreg[7] |= dr7_of(n, k->watch[n].read ? ACCESS : WRITE, k->watch[n].len);
    }
    for (guint i = 0; !step && i < k->breakpoints->len; i++, n++) {     /* there is room, else it is a step */
        d->arch.debugreg[n] = g_array_index(k->breakpoints, uint64_t, i);
        d->arch.debugreg[7] |= dr7_of(n, EXECUTE, 1);
    }
    d->control = (n ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP : 0) |
        (step ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0);
}

bool kvm_debug_apply(KvmVcpu *v, bool step)
{
    struct kvm_guest_debug d;

    kvm_debug_registers(v->kvm, step, &d);
    if (!d.control && !v->debugging) {
        return true;
    }
    v->debugging = d.control;
    return kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d) >= 0;
}
