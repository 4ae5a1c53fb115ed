/*
 * accel/kvm/run.c - the loop around KVM_RUN: what waits for the processor before it, what the guest
 * wants of us after it.
 *
 * Coming out on request: vcpu_raise() calls kvm_kick(), which sets immediate_exit and sends a signal that
 * only KVM_RUN leaves open.  The loop clears immediate_exit before it looks at the requests, so that no
 * request falls between.
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include "target/x86/exec.h"
#include "target/x86/model.h"
#include "util/error.h"
#include "util/log.h"

#define KICK_SIGNAL SIGRTMIN

/* ---- kicks ---- */

void kvm_kick(Vcpu *vcpu)
{
    KvmVcpu *v = vcpu->accel_data;

    if (v->in_run) {
        __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        pthread_kill(v->thread, KICK_SIGNAL);
    }
}

static void swallow_kicks(KvmVcpu *v)
{
    const struct timespec none = { 0 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    while (sigtimedwait(&set, NULL, &none) >= 0) {
        v->stats.kicks++;
    }
}

/* From here on the signal waits until KVM_RUN takes it. */
static void enter(KvmVcpu *v)
{
    enum { KERNEL_SIGSET = 8 };         /* bytes of the kernel's set; the C library's is longer */
    _Alignas(struct kvm_signal_mask) uint8_t buffer[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET];
    struct kvm_signal_mask *mask = (struct kvm_signal_mask *)(void *)buffer;
    sigset_t kick, old;

    sigemptyset(&kick);
    sigaddset(&kick, KICK_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &kick, &old);
    sigdelset(&old, KICK_SIGNAL);
    mask->len = KERNEL_SIGSET;
    memcpy(mask->sigset, &old, KERNEL_SIGSET);
    kvm_ioctl(v->fd, KVM_SET_SIGNAL_MASK, mask);
    g_mutex_lock(&v->cpu->vcpu.lock);
    v->thread = pthread_self();
    v->in_run = true;
    g_mutex_unlock(&v->cpu->vcpu.lock);
}

static void leave(KvmVcpu *v)
{
    g_mutex_lock(&v->cpu->vcpu.lock);
    v->in_run = false;
    g_mutex_unlock(&v->cpu->vcpu.lock);
    swallow_kicks(v);
}

/* ---- accesses ---- */

/* Any length from 1 to 8: in pieces that a bus has. */
static void access_memory(AddressSpace *as, hwaddr at, uint8_t *data, unsigned len, bool write)
{
    while (len) {
        unsigned size = len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
        uint64_t val = 0;

        if (write) {
            memcpy(&val, data, size);
            as_store(as, at, val, size);
        } else {
            val = as_load(as, at, size);
            memcpy(data, &val, size);
        }
        at += size;
        data += size;
        len -= size;
    }
}

static void serve_io(KvmVcpu *v)
{
    struct kvm_run *run = v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    v->stats.io++;
    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        access_memory(v->cpu->vcpu.io, run->io.port, data, run->io.size, run->io.direction == KVM_EXIT_IO_OUT);
    }
}

static void serve_mmio(KvmVcpu *v)
{
    struct kvm_run *run = v->run;
    Vcpu *vcpu = &v->cpu->vcpu;

    v->stats.mmio++;
    access_memory(vcpu->mem, run->mmio.phys_addr & vcpu->a20_mask, run->mmio.data, MIN(run->mmio.len, 8u),
                  run->mmio.is_write);
}

/* What the kernel does not know, the model may.  It refuses others for what is in them; those stay #GP,
 * but for the x2APIC's, which it has not got when the local APIC is ours. */
static void serve_msr(KvmVcpu *v, bool write)
{
    struct kvm_run *run = v->run;
    uint32_t msr = run->msr.index;
    bool x2apic = msr >= 0x800 && msr < 0x900 && v->kvm->irqchip == KVM_IRQCHIP_NONE;
    bool ok = false;

    v->stats.msr++;
    if (run->msr.reason == KVM_MSR_EXIT_REASON_UNKNOWN || x2apic) {
        ok = write ? x86_msr_write(v->cpu, msr, run->msr.data) : x86_msr_read(v->cpu, msr, (uint64_t *)&run->msr.data);
    }
    run->msr.error = !ok;
}

/* An access that the kernel waits to have answered; false: the exit is another. */
static bool serve_access(KvmVcpu *v)
{
    switch (v->run->exit_reason) {
    case KVM_EXIT_IO:
        serve_io(v);
        break;
    case KVM_EXIT_MMIO:
        serve_mmio(v);
        break;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
        serve_msr(v, v->run->exit_reason == KVM_EXIT_X86_WRMSR);
        break;
    default:
        return false;
    }
    v->incomplete = true;
    return true;
}

/* The kernel finishes an instruction when it is entered again, and not before (api.rst, kvm_run): until
 * then its registers are those of the middle. */
bool kvm_complete(KvmVcpu *v)
{
    while (v->incomplete) {
        v->incomplete = false;
        __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        int r = kvm_ioctl(v->fd, KVM_RUN, NULL), why = errno;
        kvm_queue_flush(v->kvm->queue);
        if (r < 0) {
            return why == EINTR || why == EAGAIN;
        }
        serve_access(v);
    }
    return true;
}

/* ---- before ---- */

static void sync_a20(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    bool on = vcpu->a20_mask & 1 << 20;

    if (v->kvm->a20_off == on) {
        machine_lock(vcpu->machine);
        kvm_slots_set_a20(v->kvm, on);
        machine_unlock(vcpu->machine);
    }
}

static void inject_interrupt(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    int vector = -1;

    machine_lock(vcpu->machine);
    if (vcpu->intctl) {
        vector = vcpu->intctl->acknowledge(vcpu->intctl_opaque);
    } else {
        vcpu_lower(vcpu, VCPU_INTR);
    }
    machine_unlock(vcpu->machine);
    if (vector >= 0) {
        struct kvm_interrupt irq = { .irq = vector };
        kvm_ioctl(v->fd, KVM_INTERRUPT, &irq);
        v->stats.interrupts++;
        v->window_open = false;
    }
}

/* NMI and interrupts, with the registers in the kernel. */
static void hand_over_requests(KvmVcpu *v, uint32_t requests)
{
    if (v->cpu->vcpu.hold_interrupts) {
        requests &= ~(uint32_t)(VCPU_NMI | VCPU_INTR);
    }
    if (requests & VCPU_NMI) {
        vcpu_lower(&v->cpu->vcpu, VCPU_NMI);
        kvm_ioctl(v->fd, KVM_NMI, NULL);
    }
    if ((requests & VCPU_INTR) && v->window_open) {
        inject_interrupt(v);
        requests = atomic_load(&v->cpu->vcpu.requests);
    }
    v->run->request_interrupt_window = !!(requests & VCPU_INTR);
}

/* ---- after ---- */

/* Only this processor changes its own TPR while it runs, so that reading it takes no lock. */
static uint8_t task_priority(const Vcpu *vcpu)
{
    return vcpu->intctl ? vcpu->intctl->get_tpr(vcpu->intctl_opaque) : 0;
}

static void take_apic_registers(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    const IntCtl *ops = vcpu->intctl;

    if (!ops) {
        return;
    }
    if (v->kvm->irqchip == KVM_IRQCHIP_NONE && v->run->cr8 != task_priority(vcpu)) {
        machine_lock(vcpu->machine);
        ops->set_tpr(vcpu->intctl_opaque, (uint8_t)v->run->cr8);
        machine_unlock(vcpu->machine);
    }
    if (v->run->apic_base != v->apic_base) {
        v->apic_base = v->run->apic_base;
        machine_lock(vcpu->machine);
        ops->set_base(vcpu->intctl_opaque, v->apic_base);
        machine_unlock(vcpu->machine);
    }
}

static void show_state(KvmVcpu *v, GError **errp, const char *what, uint64_t number)
{
    g_autoptr(GString) text = g_string_new(NULL);

    kvm_pull(v);
    x86_info_registers(v->cpu, text);
    error_set(errp, "KVM: %s (0x%" G_GINT64_MODIFIER "x)\n%s", what, number, text->str);
}

/* RUN_BUDGET: go on. */
static RunExit interpreted(KvmVcpu *v, KvmInterpreted how)
{
    static const RunExit why[] = {
        [INTERPRETED] = RUN_BUDGET, [INTERPRETED_SHUTDOWN] = RUN_SHUTDOWN, [INTERPRETED_STOP] = RUN_DEBUG,
    };

    v->stepped = true;
    sync_a20(v);
    return why[how];
}

static RunExit interpret(KvmVcpu *v, bool delivering)
{
    kvm_pull(v);
    return interpreted(v, kvm_interpret(v, delivering));
}

static RunExit internal_error(KvmVcpu *v, GError **errp)
{
    uint32_t what = v->run->internal.suberror;

    if (log_on(LOG_INT)) {
        log_printf("kvm: cpu%u: the kernel gives up (error %u): the interpreter goes on\n", v->cpu->vcpu.index, what);
    }
    if (what == KVM_INTERNAL_ERROR_EMULATION || what == KVM_INTERNAL_ERROR_DELIVERY_EV ||
        what == KVM_INTERNAL_ERROR_SIMUL_EX) {
        return interpret(v, what != KVM_INTERNAL_ERROR_EMULATION);
    }
    show_state(v, errp, "an error inside the host's kernel", what);
    return RUN_FAILED;
}

/* What the kernel was about to deliver, before what is interpreted without it. */
static RunExit interpret_from_here(KvmVcpu *v)
{
    const struct kvm_vcpu_events *e = &v->events;

    kvm_pull(v);
    x86_debug_changed(v->cpu);
    x86_tlb_flush(v->cpu, true);
    return e->exception.injected || e->exception.pending || e->interrupt.injected ? interpret(v, true) : RUN_BUDGET;
}

/* `stepping`: it was asked for by us. */
static RunExit debug_exit(KvmVcpu *v, bool stepping)
{
    uint64_t pc = v->run->debug.arch.pc;

    if (kvm_watch_hit(v, v->run->debug.arch.dr6)) {
        return RUN_DEBUG;
    }
    if (stepping) {
        v->stepped = true;
        return RUN_BUDGET;
    }
    if (kvm_at_breakpoint(v, pc)) {
        v->stopped_at = pc;
        return RUN_DEBUG;
    }
    /* The guest's own #DB: it came here only because somebody debugs. */
    kvm_pull(v);
    v->cpu->dr[6] |= v->run->debug.arch.dr6 & 0xe00f;
    v->events.exception.nr = EXC_DB;
    v->events.exception.injected = 1;
    v->events.exception.has_error_code = 0;
    return interpret(v, true);
}

/* The kernel finishes an access by the next KVM_RUN, and may forget that it was to be a step. */
static void finish_step(KvmVcpu *v)
{
    uint64_t at = v->cpu->regs[X86_RIP];

    kvm_pull(v);
    v->stepped = v->cpu->regs[X86_RIP] != at;
}

/* RUN_BUDGET: go on. */
static RunExit serve_exit(KvmVcpu *v, bool stepping, GError **errp)
{
    struct kvm_run *run = v->run;

    if (serve_access(v)) {
        if (stepping) {
            finish_step(v);
        }
        return RUN_BUDGET;
    }
    switch (run->exit_reason) {
    case KVM_EXIT_HLT:
        v->stats.halts++;
        kvm_pull(v);
        v->cpu->vcpu.halted = true;
        return RUN_BUDGET;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_INTR:
    case KVM_EXIT_SET_TPR:
        return RUN_BUDGET;
    case KVM_EXIT_DIRTY_RING_FULL:
        return kvm_dirty_full(v, errp) ? RUN_BUDGET : RUN_FAILED;
    case KVM_EXIT_IOAPIC_EOI:
        machine_lock(v->cpu->vcpu.machine);
        v->cpu->vcpu.intctl->ended(v->cpu->vcpu.intctl_opaque, run->eoi.vector);
        machine_unlock(v->cpu->vcpu.machine);
        return RUN_BUDGET;
    case KVM_EXIT_SHUTDOWN:
        v->roots_lost = true;
        return RUN_SHUTDOWN;
    case KVM_EXIT_DEBUG:
        return debug_exit(v, stepping);
    case KVM_EXIT_INTERNAL_ERROR:
        return internal_error(v, errp);
    case KVM_EXIT_FAIL_ENTRY:
        show_state(v, errp, "the host's processor refuses the guest's state",
                   run->fail_entry.hardware_entry_failure_reason);
        return RUN_FAILED;
    default:
        show_state(v, errp, "an exit that this program does not know", run->exit_reason);
        return RUN_FAILED;
    }
}

/* ---- the loop ---- */

/* The state is in the CPU struct.  RUN_BUDGET: go on. */
static RunExit serve_pulled(KvmVcpu *v)
{
    X86Cpu *c = v->cpu;

    if (v->kvm->irqchip != KVM_IRQCHIP_NONE) {          /* the kernel does the rest, HLT included */
        if (atomic_load(&c->vcpu.requests) & VCPU_WORK) {
            vcpu_run_work(&c->vcpu);
            sync_a20(v);
        }
        return RUN_BUDGET;
    }
    if (x86_interrupt_due(c)) {
        return interpreted(v, kvm_serve_requests(v));
    }
    return c->vcpu.halted ? RUN_HALTED : RUN_BUDGET;
}

static RunExit before(KvmVcpu *v)
{
    const uint32_t by_us = VCPU_INIT | VCPU_SIPI | VCPU_WORK | VCPU_SMI;
    Vcpu *vcpu = &v->cpu->vcpu;
    RunExit why = RUN_BUDGET;

    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    uint32_t requests = atomic_load(&vcpu->requests);
    if (requests & VCPU_STOP) {
        return RUN_REQUEST;
    }
    if (requests & by_us) {
        kvm_pull(v);
    }
    as_quiescent(&vcpu->mem_reader);
    as_quiescent(&vcpu->io_reader);
    if (!v->loaded) {
        do {
            why = serve_pulled(v);
        } while (why == RUN_BUDGET && v->kvm->irqchip == KVM_IRQCHIP_NONE && (atomic_load(&vcpu->requests) & by_us) &&
                 x86_interrupt_due(v->cpu) && !(atomic_load(&vcpu->requests) & VCPU_STOP));
        if (why != RUN_BUDGET) {
            return why;
        }
        if (vcpu->halted && v->kvm->irqchip == KVM_IRQCHIP_NONE) {
            return RUN_HALTED;
        }
        if (v->kvm->interpret_all) {
            return RUN_BUDGET;
        }
        kvm_push(v);
        v->window_open = false;
        v->apic_base = v->run->apic_base =
            vcpu->intctl ? vcpu->intctl->get_base(vcpu->intctl_opaque) : v->run->apic_base;
    }
    hand_over_requests(v, atomic_load(&vcpu->requests));
    v->run->cr8 = task_priority(vcpu);
    return RUN_BUDGET;
}

/* What faulted, and so came to no end, is for the interpreter. */
static RunExit hidden_step(KvmVcpu *v, RunExit why)
{
    if (why != RUN_SHUTDOWN) {
        kvm_pull(v);
        return why;
    }
    v->stepped = true;
    return kvm_hidden_step_done(v) ? RUN_BUDGET : interpret(v, false);
}

static RunExit run_once(KvmVcpu *v, bool stepping, GError **errp)
{
    if (!kvm_debug_apply(v, stepping)) {
        kvm_failed(errp, errno, "KVM_SET_GUEST_DEBUG");
        return RUN_FAILED;
    }
    v->incomplete = false;
    if (stepping) {
        kvm_hide_idt(v);
    }
    v->fresh = false;
    int r = kvm_ioctl(v->fd, KVM_RUN, NULL), error = errno;
    v->stats.exits++;
    kvm_queue_flush(v->kvm->queue);
    take_apic_registers(v);
    v->window_open = v->run->ready_for_interrupt_injection;
    if (r >= 0) {
        RunExit why = serve_exit(v, stepping, errp);
        return v->hidden.on ? hidden_step(v, why) : why;
    }
    if (v->hidden.on) {
        kvm_pull(v);
    }
    if (error == EINTR || error == EAGAIN) {
        swallow_kicks(v);
        return RUN_BUDGET;
    }
    kvm_failed(errp, error, "KVM_RUN");
    return RUN_FAILED;
}

/* Stands the processor at a breakpoint now?  Asked after what the kernel does not watch: steps, and
 * instructions that were interpreted. */
static bool stopped_by_step(KvmVcpu *v)
{
    if (!v->stepped || !v->kvm->breakpoints->len) {
        return false;
    }
    kvm_pull(v);
    v->stopped_at = kvm_linear_rip(v->cpu);
    return kvm_at_breakpoint(v, v->stopped_at);
}

/* Off the breakpoint it stands at; or through a guest with more of them than there are debug registers, or with some
 * where these stop nothing. */
static bool steps(const KvmVcpu *v)
{
    const Kvm *k = v->kvm;

    return v->step_over || k->breakpoints->len + k->watches.n > KVM_BREAKPOINTS ||
        (k->breakpoints->len && !k->reports_breakpoints);
}

static RunExit loop(KvmVcpu *v, bool single, GError **errp)
{
    uint64_t linear = kvm_linear_rip(v->cpu);
    RunExit why;

    if (!single && kvm_at_breakpoint(v, linear)) {
        if (linear != v->stopped_at) {
            v->stopped_at = linear;
            return RUN_DEBUG;
        }
        v->step_over = true;
    }
    v->stopped_at = ~0ull;
    v->cpu->debug.stop = false;
    if (v->kvm->interpret_all && (why = interpret_from_here(v)) != RUN_BUDGET) {
        return why;
    }
    for (;;) {
        why = before(v);
        if (why != RUN_BUDGET) {
            return why;
        }
        if (v->failed) {
            kvm_failed(errp, v->failed_errno, "%s", v->failed);
            return RUN_FAILED;
        }
        v->stepped = false;
        if (v->kvm->interpret_all) {
            why = interpreted(v, kvm_interpret_next(v));
        } else if (v->fresh && single && kvm_steps_badly(v)) {
            why = interpret(v, false);
        } else {
            why = run_once(v, single || steps(v), errp);
        }
        v->step_over &= !v->stepped;
        if (why != RUN_BUDGET) {
            return why;
        }
        if (stopped_by_step(v)) {
            return RUN_DEBUG;
        }
        if (single && v->stepped) {
            return RUN_BUDGET;
        }
    }
}

RunExit kvm_run_vcpu(Accel *a, Vcpu *vcpu, uint64_t max_insns, GError **errp)
{
    KvmVcpu *v = vcpu->accel_data;

    enter(v);
    RunExit why = loop(v, max_insns == 1, errp);
    kvm_pull(v);
    leave(v);
    if (why == RUN_REQUEST) {                   /* a pause: the TSC stands still with the clock */
        v->tsc_moved = v->lapic_moved = true;
    }
    return why;
}
