/*
 * accel/kvm/msrs.c - model-specific registers that live in the kernel while the guest runs, one table.
 *
 * MSRs that the kernel does not know come back as exits, and are answered by target/x86/msr.c.
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>

typedef struct MsrRow {
    uint32_t msr;
    uint32_t count, stride;     /* several in a row, `stride` numbers apart */
    size_t field, size;         /* in X86Cpu, of one */
} MsrRow;

#define ROW(number, f) { number, 1, 1, offsetof(X86Cpu, f), sizeof(((X86Cpu *)0)->f) }
#define ROWS(number, n, step, f) { number, n, step, offsetof(X86Cpu, f), sizeof(uint64_t) }

static const MsrRow rows[] = {
    ROW(0x03b, tsc_adjust), ROW(0x048, spec_ctrl), ROW(0x0e1, umwait_control),
    ROW(0x174, sysenter_cs), ROW(0x175, sysenter_esp), ROW(0x176, sysenter_eip), ROW(0x1a0, misc_enable),
    ROW(0x277, pat), ROW(0x2ff, mtrr_def_type),
    ROWS(0x200, 8, 2, mtrr_base), ROWS(0x201, 8, 2, mtrr_mask), ROWS(0x250, 1, 1, mtrr_fixed[0]),
    ROWS(0x258, 2, 1, mtrr_fixed[1]), ROWS(0x268, 8, 1, mtrr_fixed[3]), ROW(0xc0000081, star),
    ROW(0xc0000082, lstar), ROW(0xc0000083, cstar), ROW(0xc0000084, fmask), ROW(0xc0000102, kernel_gs_base),
    ROW(0xc0000103, tsc_aux),
};
enum { MSR_TSC = 0x10, MSR_TSC_DEADLINE = 0x6e0, MOST_MSRS = 64 };

/* KVM_GET_MSRS or KVM_SET_MSRS of one. */
static bool access_msr(const KvmVcpu *v, unsigned long request, uint32_t msr, uint64_t *value)
{
    _Alignas(struct kvm_msrs) uint8_t buffer[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)] = { 0 };
    struct kvm_msrs *one = (struct kvm_msrs *)(void *)buffer;

    one->nmsrs = 1;
    one->entries[0].index = msr;
    one->entries[0].data = *value;
    bool ok = kvm_ioctl(v->fd, request, one) == 1;
    *value = one->entries[0].data;
    return ok;
}

/* Some can be read and not set, by a processor model that has not got them. */
static bool known(const KvmVcpu *v, uint32_t msr)
{
    uint64_t value = 0;

    return access_msr(v, KVM_GET_MSRS, msr, &value) && access_msr(v, KVM_SET_MSRS, msr, &value);
}

static uint8_t *field(X86Cpu *c, const MsrRow *r, unsigned i)
{
    return (uint8_t *)c + r->field + i * r->size;
}

bool kvm_msrs_init(KvmVcpu *v, GError **errp)
{
    v->msrs = g_malloc0(sizeof(*v->msrs) + MOST_MSRS * sizeof(struct kvm_msr_entry));
    v->msr_field = g_new0(KvmMsrField, MOST_MSRS);
    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        for (unsigned i = 0; i < rows[n].count; i++) {
            uint32_t msr = rows[n].msr + i * rows[n].stride;
            if (known(v, msr)) {
                v->msr_field[v->msrs->nmsrs] = (KvmMsrField){ field(v->cpu, &rows[n], i), rows[n].size };
                v->msrs->entries[v->msrs->nmsrs++].index = msr;
            }
        }
    }
    return true;
}

bool kvm_msrs_get(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    uint64_t tsc = 0;

    if (kvm_ioctl(v->fd, KVM_GET_MSRS, v->msrs) != (int)v->msrs->nmsrs ||
        !access_msr(v, KVM_GET_MSRS, MSR_TSC, &tsc)) {
        return false;
    }
    if (v->kvm->irqchip != KVM_IRQCHIP_NONE) {
        access_msr(v, KVM_GET_MSRS, MSR_TSC_DEADLINE, &v->tsc_deadline);
    }
    for (unsigned i = 0; i < v->msrs->nmsrs; i++) {
        memcpy(v->msr_field[i].at, &v->msrs->entries[i].data, v->msr_field[i].size);
    }
    if (!vcpu->repeatable) {
        vcpu->tsc_offset = tsc - (vcpu_tsc(vcpu) - vcpu->tsc_offset);
    }
    v->tsc_offset = vcpu->tsc_offset;
    return true;
}

/* The TSC is left alone unless it was moved, or stood still with the machine: setting it anew each time
 * would make it wander. */
bool kvm_msrs_put(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;

    for (unsigned i = 0; i < v->msrs->nmsrs; i++) {
        v->msrs->entries[i].data = 0;
        memcpy(&v->msrs->entries[i].data, v->msr_field[i].at, v->msr_field[i].size);
    }
    if (kvm_ioctl(v->fd, KVM_SET_MSRS, v->msrs) != (int)v->msrs->nmsrs) {
        return false;
    }
    if (v->tsc_moved || vcpu->tsc_offset != v->tsc_offset) {
        uint64_t tsc = vcpu_tsc(vcpu);
        v->tsc_moved = false;
        v->tsc_offset = vcpu->tsc_offset;
        if (!access_msr(v, KVM_SET_MSRS, MSR_TSC, &tsc)) {
            return false;
        }
        if (v->kvm->irqchip != KVM_IRQCHIP_NONE) {          /* it is a time of this TSC */
            access_msr(v, KVM_SET_MSRS, MSR_TSC_DEADLINE, &v->tsc_deadline);
        }
    }
    return true;
}
