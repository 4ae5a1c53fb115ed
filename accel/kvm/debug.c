/*
 * accel/kvm/debug.c - breakpoints and single steps by the kernel's guest debugging.
 *
 * Breakpoints use the debug registers of the hardware, which the guest meanwhile cannot use for its own.
 * Where there are more, every instruction is stepped and its address compared (run.c).
 */
#include "kvm.h"

#include <string.h>

/* L0..L3 of DR7 switch on breakpoints 0..3; type 0 is execution (SDM volume 3B 18.2.4). */

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

bool kvm_debug_apply(KvmVcpu *v, bool step)
{
    const GArray *list = v->kvm->breakpoints;
    struct kvm_guest_debug d = { 0 };

    if (step) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    } else if (list->len) {     /* at most KVM_BREAKPOINTS, else it is a step */
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        d.arch.debugreg[7] = DR7_FIXED;
        for (guint i = 0; i < list->len; i++) {
            d.arch.debugreg[i] = g_array_index(list, uint64_t, i);
            d.arch.debugreg[7] |= 1u << (2 * i);
        }
    }
    if (!d.control && !v->debugging) {
        return true;
    }
    v->debugging = d.control;
    return kvm_ioctl(v->fd, KVM_SET_GUEST_DEBUG, &d) >= 0;
}
