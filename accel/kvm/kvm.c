/*
 * accel/kvm/kvm.c - the accelerator: made, unmade, and what the rest of the program asks of it.
 */
#include "kvm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "target/x86/model.h"
#include "util/error.h"

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
    return ioctl(fd, request, arg);
}

bool kvm_has(const Kvm *k, unsigned capability)
{
    return ioctl(k->vm, KVM_CHECK_EXTENSION, capability) > 0;
}

bool kvm_failed(GError **errp, int os_errno, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_set_errno(errp, os_errno, "%s", text);
    return false;
}

/* ---- the virtual machine ---- */

static void kvm_destroy(Accel *a)
{
    Kvm *k = (Kvm *)a;

    kvm_queue_free(k->queue);
    kvm_slots_fini(k);
    kvm_dirty_fini(k);
    kvm_doorbells_free(k->doorbells);
    kvm_irqchip_fini(k);
    if (k->vm >= 0) {
        close(k->vm);
    }
    close(k->fd);
    g_free(k->cpuid);
    g_array_free(k->breakpoints, true);
    g_free(k);
}

static bool make_vm(Kvm *k, const KeyVals *options, GError **errp)
{
    uint64_t identity_map = IDENTITY_MAP_AT;

    do {                                        /* a signal may come in between, for whomever */
        k->vm = ioctl(k->fd, KVM_CREATE_VM, 0);
    } while (k->vm < 0 && errno == EINTR);
    if (k->vm < 0) {
        return kvm_failed(errp, errno, "KVM cannot make a virtual machine");
    }
    int size = ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) {
        return kvm_failed(errp, size < 0 ? errno : EPROTO, "KVM has no mapping for a processor");
    }
    k->run_size = size;
    if (kvm_ioctl(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
        ioctl(k->vm, KVM_SET_TSS_ADDR, TSS_AT) < 0) {
        return kvm_failed(errp, errno, "KVM does not take the pages for real mode");
    }
    struct kvm_enable_cap msrs = {
        .cap = KVM_CAP_X86_USER_SPACE_MSR,
        .args = { KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL },
    };
    if (kvm_ioctl(k->vm, KVM_ENABLE_CAP, &msrs) < 0) {
        return kvm_failed(errp, errno, "KVM does not hand over MSRs");
    }
    /* Ring 3's, too: the interpreter does it, instead of the guest getting #UD. */
    struct kvm_enable_cap emulation = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
    kvm_ioctl(k->vm, KVM_ENABLE_CAP, &emulation);
    k->queue = kvm_queue_new(k);
    if (!kvm_dirty_init(k, options, errp) || !kvm_irqchip_init(k, errp)) {
        return false;
    }
    k->doorbells = kvm_doorbells_new(k);
    return kvm_cpuid_init(k, errp) && kvm_slots_init(k, errp);
}

static Accel *kvm_create(Machine *m, const KeyVals *options, GError **errp)
{
    const char *path = keyvals_str(options, "device");
    int fd = kvm_open_device(path ? path : KVM_DEVICE, errp);

    if (fd < 0) {
        return NULL;
    }
    Kvm *k = g_new0(Kvm, 1);
    k->accel.machine = m;
    k->fd = fd;
    k->vm = -1;
    k->reports_accesses = k->reports_breakpoints = k->reports_user_steps = -1;
    k->irqchip = keyvals_num(options, "kernel_irqchip", KVM_IRQCHIP_NONE);
    k->breakpoints = g_array_new(false, false, sizeof(uint64_t));
    if (!make_vm(k, options, errp)) {
        kvm_destroy(&k->accel);
        return NULL;
    }
    return &k->accel;
}

/* ---- processors ---- */

static void kvm_vcpu_destroy(Accel *a, Vcpu *vcpu)
{
    KvmVcpu *v = vcpu->accel_data;

    vcpu_set_kick(vcpu, NULL);
    vcpu->accel_data = NULL;
    if (v->run != MAP_FAILED) {
        munmap(v->run, v->kvm->run_size);
    }
    kvm_dirty_unmap(v);
    if (v->fd >= 0) {
        close(v->fd);
    }
    g_free(v->msrs);
    g_free(v->msr_field);
    g_free(v->xsave);
    g_aligned_free(v->before);
    g_free(v);
}

/* The host's rate, unless -cpu asks for another: the hardware has to scale that, or to be within the 250 parts
 * in a million that the kernel takes for the same. */
static bool set_tsc_rate(KvmVcpu *v, GError **errp)
{
    enum { SAME = 4000 };
    Vcpu *vcpu = &v->cpu->vcpu;
    int khz = ioctl(v->fd, KVM_GET_TSC_KHZ, 0);

    if (vcpu->repeatable) {             /* the guest never sees the hardware's */
        return true;
    }
    if (!x86_tsc_asked(v->cpu)) {
        vcpu->tsc_khz = khz > 0 ? (uint32_t)khz : vcpu->tsc_khz;
        return true;
    }
    if ((khz > 0 && ABS(khz - (int)vcpu->tsc_khz) <= khz / SAME) ||
        (kvm_has(v->kvm, KVM_CAP_TSC_CONTROL) && ioctl(v->fd, KVM_SET_TSC_KHZ, vcpu->tsc_khz) >= 0)) {
        return true;
    }
    error_set(errp, "tsc-frequency=%u000: the host's processor cannot scale its time-stamp counter, which counts "
              "%d000 times a second", vcpu->tsc_khz, khz);
    return false;
}

/* What CPUID does not offer, KVM's own MSRs (a clock, steal time), is not there. */
static void hide_paravirtual(KvmVcpu *v)
{
    struct kvm_enable_cap enforce = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };

    kvm_ioctl(v->fd, KVM_ENABLE_CAP, &enforce);
}

static bool make_vcpu(KvmVcpu *v, GError **errp)
{
    Kvm *k = v->kvm;

    if (!kvm_cpuid_limit(v, errp)) {
        return false;
    }
    if (v->cpu->vcpu.repeatable) {
        kvm_dirty_stepped(k);
    }
    v->fd = ioctl(k->vm, KVM_CREATE_VCPU, v->cpu->vcpu.apic_id);
    if (v->fd < 0) {
        return kvm_failed(errp, errno, "KVM cannot make processor %u", v->cpu->vcpu.index);
    }
    v->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        return kvm_failed(errp, errno, "cannot map processor %u", v->cpu->vcpu.index);
    }
    kvm_queue_map(k->queue, v->fd);
    hide_paravirtual(v);
    return set_tsc_rate(v, errp) && kvm_dirty_map(v, errp) &&
        kvm_cpuid_put(v, errp) && kvm_fpu_init(v, errp) && kvm_msrs_init(v, errp);
}

static bool kvm_vcpu_create(Accel *a, Vcpu *vcpu, GError **errp)
{
    KvmVcpu *v = g_new0(KvmVcpu, 1);

    v->kvm = (Kvm *)a;
    v->cpu = x86_cpu(vcpu);
    v->fd = -1;
    v->run = MAP_FAILED;
    v->stopped_at = ~0ull;
    v->tsc_moved = v->lapic_moved = true;
    vcpu->accel_data = v;
    if (!make_vcpu(v, errp)) {
        kvm_vcpu_destroy(a, vcpu);
        return false;
    }
    vcpu_set_kick(vcpu, kvm_kick);
    return true;
}

static void kvm_vcpu_reset(Accel *a, Vcpu *vcpu)
{
    KvmVcpu *v = vcpu->accel_data;

    v->events = (struct kvm_vcpu_events){ 0 };
    v->tsc_moved = v->lapic_moved = true;
    v->tsc_deadline = 0;
    if (vcpu->index == 0) {
        kvm_irqchip_reset(v->kvm);
    }
}

/* ---- a look at a processor that runs ---- */

typedef struct Look { GMutex lock; GCond done; bool seen; } Look;

static void free_look(gpointer p)
{
    Look *l = p;

    g_mutex_clear(&l->lock);
    g_cond_clear(&l->done);
}

/* On the vCPU's thread; whatever is posted finds the registers in the CPU struct. */
static void seen(Vcpu *vcpu, void *arg)
{
    Look *l = arg;

    g_mutex_lock(&l->lock);
    l->seen = true;
    g_cond_signal(&l->done);
    g_mutex_unlock(&l->lock);
    g_atomic_rc_box_release_full(l, free_look);
}

static bool in_run(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;

    g_mutex_lock(&vcpu->lock);
    bool running = v->in_run;
    g_mutex_unlock(&vcpu->lock);
    return running;
}

static void kvm_sync(Accel *a, Vcpu *vcpu)
{
    enum { AGAIN_US = 10000 };          /* it may have stopped without a look at what was posted */
    KvmVcpu *v = vcpu->accel_data;

    if (!in_run(v)) {
        return;
    }
    Look *l = g_atomic_rc_box_new0(Look);
    g_mutex_init(&l->lock);
    g_cond_init(&l->done);
    vcpu_post(vcpu, seen, g_atomic_rc_box_acquire(l));
    machine_unlock(a->machine);
    g_mutex_lock(&l->lock);
    while (!l->seen && in_run(v)) {
        g_cond_wait_until(&l->done, &l->lock, g_get_monotonic_time() + AGAIN_US);
    }
    g_mutex_unlock(&l->lock);
    g_atomic_rc_box_release_full(l, free_look);
    machine_lock(a->machine);
}

static void pull(Accel *a, Vcpu *vcpu)
{
    kvm_pull(vcpu->accel_data);
}

static void push(Accel *a, Vcpu *vcpu)
{
    kvm_push(vcpu->accel_data);
}

static void kvm_flush(Accel *a, Vcpu *vcpu)
{
    x86_mode_changed(x86_cpu(vcpu));            /* the kernel follows memory by itself, and takes registers anew */
}

static void kvm_info(Accel *a, Vcpu *vcpu, GString *out)
{
    const KvmVcpu *v = vcpu->accel_data;

    g_string_append_printf(out, "exits                   %" PRIu64 ": ports %" PRIu64 ", memory %" PRIu64
                           ", MSRs %" PRIu64 ", halts %" PRIu64 "\n",
                           v->stats.exits, v->stats.io, v->stats.mmio, v->stats.msr, v->stats.halts);
    g_string_append_printf(out, "writes without an exit  %" PRIu64 "\n", kvm_queue_writes(v->kvm->queue));
    kvm_doorbells_info(v->kvm->doorbells, out);
    g_string_append_printf(out, "interrupts injected     %" PRIu64 "\n", v->stats.interrupts);
    g_string_append_printf(out, "left to the interpreter %" PRIu64 "\n", v->stats.interpreted);
    g_string_append_printf(out, "memory slots            %u\n", v->kvm->slots->len);
    g_string_append_printf(out, "TSC                     %u kHz\n", vcpu->tsc_khz);
}

const AccelOps accel_kvm = {
    .name = "kvm",
    .summary = "runs guest code on the host's processor by Linux's KVM",
    .options = kvm_options,
    .probe = kvm_probe,
    .create = kvm_create,
    .destroy = kvm_destroy,
    .vcpu_create = kvm_vcpu_create,
    .vcpu_destroy = kvm_vcpu_destroy,
    .run = kvm_run_vcpu,
    .reset = kvm_vcpu_reset,
    .sync = kvm_sync,
    .pull = pull,
    .push = push,
    .flush = kvm_flush,
    .features = kvm_features,
    .set_breakpoint = kvm_set_breakpoint,
    .set_watchpoints = kvm_set_watchpoints,
    .dirty = kvm_dirty,
    .info = kvm_info,
};
