/*
 * accel/kvm/irqchip.c - interrupt controllers in the kernel: the local APICs alone (split), or 8259A pair,
 * I/O APIC and 8254 besides (on).
 *
 * core/irqchip.h says how the models of hw/intc work with them.  Routes: with `split` the kernel has one
 * for each pin of the model's I/O APIC, by which it knows the vectors whose end it has to tell; with `on`
 * line n leads to the 8259A's input n and the I/O APIC's pin n, 0 to pin 2, as the kernel sets it up.
 */
#include "kvm.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include "core/doorbell.h"

static void set_line(void *opaque, unsigned line, bool level)
{
    Kvm *k = opaque;
    struct kvm_irq_level l = { .irq = line, .level = level };

    if (line) {                         /* 0 is the kernel's own timer's */
        kvm_ioctl(k->vm, KVM_IRQ_LINE, &l);
    }
}

/* KVM_IRQFD (api.rst 4.75): up and down, by the kernel itself.  The kernel's own timer has line 0, and the second 8259A
 * line 2. */
static bool attach(void *opaque, unsigned line, int fd, bool on)
{
    enum { TIMER = 0, CASCADE = 2 };
    const Kvm *k = opaque;
    struct kvm_irqfd q = { .fd = (uint32_t)fd, .gsi = line, .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN };

    return line != TIMER && line != CASCADE && kvm_ioctl(k->vm, KVM_IRQFD, &q) >= 0;
}

static bool send(void *opaque, uint64_t address, uint32_t data)
{
    Kvm *k = opaque;
    struct kvm_msi m = { .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data };

    return kvm_ioctl(k->vm, KVM_SIGNAL_MSI, &m) > 0;
}

static bool set_routes(Kvm *k)
{
    _Alignas(struct kvm_irq_routing) uint8_t
        buffer[sizeof(struct kvm_irq_routing) + KVM_IOAPIC_NUM_PINS * sizeof(struct kvm_irq_routing_entry)];
    struct kvm_irq_routing *r = (struct kvm_irq_routing *)(void *)buffer;

    *r = (struct kvm_irq_routing){ .nr = KVM_IOAPIC_NUM_PINS };
    memcpy(r->entries, k->routes, sizeof(k->routes));
    return kvm_ioctl(k->vm, KVM_SET_GSI_ROUTING, r) >= 0;
}

static struct kvm_irq_routing_entry route_of(unsigned pin, uint64_t address, uint32_t data)
{
    return (struct kvm_irq_routing_entry){
        .gsi = pin, .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = { .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data },
    };
}

static void route(void *opaque, unsigned pin, uint64_t address, uint32_t data)
{
    Kvm *k = opaque;

    if (pin < KVM_IOAPIC_NUM_PINS) {
        k->routes[pin] = route_of(pin, address, data);
        set_routes(k);
    }
}

/* ---- what `info` shows ---- */

static void describe_pic(const Kvm *k, GString *out)
{
    for (unsigned i = 0; i < 2; i++) {
        struct kvm_irqchip chip = { .chip_id = i ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER };
        const struct kvm_pic_state *p = &chip.chip.pic;

        if (kvm_ioctl(k->vm, KVM_GET_IRQCHIP, &chip) >= 0) {
            g_string_append_printf(out, "pic%u (in the host's kernel): irr=%02x imr=%02x isr=%02x base=%02x "
                                   "elcr=%02x\n", i, p->irr, p->imr, p->isr, p->irq_base, p->elcr);
        }
    }
}

static void describe_ioapic(const Kvm *k, GString *out)
{
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
    const struct kvm_ioapic_state *s = &chip.chip.ioapic;

    if (kvm_ioctl(k->vm, KVM_GET_IRQCHIP, &chip) < 0) {
        return;
    }
    g_string_append_printf(out, "ioapic (in the host's kernel): id=%u irr=%06x\n", s->id, s->irr);
    for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        g_string_append_printf(out, "pin %2u: %016" PRIx64 "\n", i, (uint64_t)s->redirtbl[i].bits);
    }
}

static void describe_pit(const Kvm *k, GString *out)
{
    struct kvm_pit_state2 s;

    if (kvm_ioctl(k->vm, KVM_GET_PIT2, &s) < 0) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        g_string_append_printf(out, "counter %u (in the host's kernel): mode %u count=%04x gate=%u\n", i,
                               s.channels[i].mode, s.channels[i].count, s.channels[i].gate);
    }
}

static void describe(void *opaque, IrqchipPart part, GString *out)
{
    static void (*const parts[])(const Kvm *k, GString *out) = {
        [IRQCHIP_PIC] = describe_pic, [IRQCHIP_IOAPIC] = describe_ioapic, [IRQCHIP_PIT] = describe_pit,
    };

    parts[part](opaque, out);
}

/* ---- life ---- */

bool kvm_irqchip_init(Kvm *k, GError **errp)
{
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { KVM_IOAPIC_NUM_PINS } };
    struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

    k->chip = (Irqchip){
        .all = k->irqchip == KVM_IRQCHIP_ALL, .opaque = k, .set_line = set_line, .send = send, .route = route,
        .describe = describe, .attach = attach,
    };
    if (k->irqchip == KVM_IRQCHIP_NONE) {
        return true;
    }
    if (k->irqchip == KVM_IRQCHIP_SPLIT) {
        if (kvm_ioctl(k->vm, KVM_ENABLE_CAP, &split) < 0) {
            return kvm_failed(errp, errno, "kernel_irqchip=split: KVM makes no local APICs");
        }
        for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
            k->routes[i] = route_of(i, 0xfee00000, 0);
        }
        if (!set_routes(k)) {
            return kvm_failed(errp, errno, "kernel_irqchip=split: KVM takes no interrupt routes");
        }
    } else {
        if (ioctl(k->vm, KVM_CREATE_IRQCHIP, 0) < 0) {
            return kvm_failed(errp, errno, "kernel_irqchip=on: KVM makes no interrupt controllers");
        }
        if (kvm_ioctl(k->vm, KVM_CREATE_PIT2, &pit) < 0) {
            return kvm_failed(errp, errno, "kernel_irqchip=on: KVM makes no timer");
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(k->power_up); i++) {
            k->power_up[i].chip_id = i;
            kvm_ioctl(k->vm, KVM_GET_IRQCHIP, &k->power_up[i]);
        }
        kvm_ioctl(k->vm, KVM_GET_PIT2, &k->pit_power_up);
    }
    k->accel.machine->irqchip = &k->chip;
    irq_pulses_attach(k->accel.machine);
    return true;
}

void kvm_irqchip_fini(Kvm *k)
{
    Machine *m = k->accel.machine;

    if (m->irqchip == &k->chip) {
        irq_pulses_detach(m);
        m->irqchip = NULL;
    }
}

/* The chips as they were made. */
void kvm_irqchip_reset(Kvm *k)
{
    if (k->irqchip == KVM_IRQCHIP_ALL) {
        for (unsigned i = 0; i < G_N_ELEMENTS(k->power_up); i++) {
            kvm_ioctl(k->vm, KVM_SET_IRQCHIP, &k->power_up[i]);
        }
        kvm_ioctl(k->vm, KVM_SET_PIT2, &k->pit_power_up);
    }
}

/* ---- the local APIC's registers: in both directions by the model's (IntCtl) ---- */

enum { REGISTERS = sizeof(struct kvm_lapic_state) / 16 };

bool kvm_lapic_get(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    struct kvm_lapic_state s;
    uint32_t regs[REGISTERS];

    if (v->kvm->irqchip == KVM_IRQCHIP_NONE || !vcpu->intctl) {
        return true;
    }
    if (kvm_ioctl(v->fd, KVM_GET_LAPIC, &s) < 0) {
        return false;
    }
    for (unsigned i = 0; i < REGISTERS; i++) {
        memcpy(&regs[i], s.regs + 16 * i, sizeof(regs[i]));
    }
    machine_lock(vcpu->machine);
    vcpu->intctl->take_registers(vcpu->intctl_opaque, regs);
    machine_unlock(vcpu->machine);
    return true;
}

/* After a reset and after a pause only: its timer starts again with it. */
bool kvm_lapic_put(KvmVcpu *v)
{
    Vcpu *vcpu = &v->cpu->vcpu;
    struct kvm_lapic_state s;
    uint32_t regs[REGISTERS];

    if (v->kvm->irqchip == KVM_IRQCHIP_NONE || !vcpu->intctl || !v->lapic_moved) {
        return true;
    }
    v->lapic_moved = false;
    if (kvm_ioctl(v->fd, KVM_GET_LAPIC, &s) < 0) {
        return false;
    }
    for (unsigned i = 0; i < REGISTERS; i++) {
        memcpy(&regs[i], s.regs + 16 * i, sizeof(regs[i]));
    }
    machine_lock(vcpu->machine);
    vcpu->intctl->give_registers(vcpu->intctl_opaque, regs);
    machine_unlock(vcpu->machine);
    for (unsigned i = 0; i < REGISTERS; i++) {
        memcpy(s.regs + 16 * i, &regs[i], sizeof(regs[i]));
    }
    return kvm_ioctl(v->fd, KVM_SET_LAPIC, &s) >= 0;
}
