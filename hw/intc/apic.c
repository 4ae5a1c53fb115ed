/*
 * The local APIC of one processor ("apic", on the "apic" bus): what arrives for it, what it tells
 * its processor through IntCtl, and its registers, as memory or as x2APIC MSRs.
 *
 * Intel SDM vol. 3, chapter 11.  Version 0x14 (integrated, no EOI-broadcast suppression, no CMCI).
 * The first processor comes out of reset with LINT0 unmasked as ExtINT, as PC firmware would leave
 * it, so that software that knows no APIC gets the 8259's interrupts; INIT masks it.
 *
 * Not modelled: a relocated register page, remote read, level-triggered fixed LINT pins, writable ID.
 */
#include "apic.h"

#include <inttypes.h>
#include <string.h>

#include "util/error.h"
#include "util/log.h"

enum {
    VERSION = 0x14 | (LVT_COUNT - 1) << 16,
    SVR_ENABLE = 1 << 8,
    ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15,
    ERROR_SEND_VECTOR = 1 << 5, ERROR_RECEIVE_VECTOR = 1 << 6, ERROR_REGISTER = 1 << 7,
    DFR_FLAT = 0xf,
    FIRST_VECTOR = 16,          /* 0..15 are illegal */
    BASE_ADDRESS = 0xfee00000,
    BROADCAST = 0xff,
};

static const uint32_t lvt_writable[LVT_COUNT] = {       /* SDM vol. 3, figure 11-8 */
    [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};

/* ---- 256-bit sets ---- */

static bool get_bit(const uint32_t *set, uint8_t n)
{
    return set[n >> 5] >> (n & 31) & 1;
}

static void put_bit(uint32_t *set, uint8_t n, bool on)
{
    if (on) {
        set[n >> 5] |= 1u << (n & 31);
    } else {
        set[n >> 5] &= ~(1u << (n & 31));
    }
}

static int highest_bit(const uint32_t *set)
{
    for (int i = 7; i >= 0; i--) {
        if (set[i]) {
            return i * 32 + 31 - __builtin_clz(set[i]);
        }
    }
    return -1;
}

/* ---- priorities ---- */

static bool globally_enabled(const Apic *a)
{
    return a->base & BASE_ENABLE;
}

static bool in_x2apic(const Apic *a)
{
    return a->base & BASE_X2APIC;
}

bool apic_uses_mmio(const Apic *a)
{
    return globally_enabled(a) && !in_x2apic(a);
}

bool apic_takes_vectors(const Apic *a)
{
    return globally_enabled(a) && (a->svr & SVR_ENABLE);
}

static uint8_t processor_priority(const Apic *a)
{
    int in_service = highest_bit(a->isr);
    uint8_t class = in_service < 0 ? 0 : in_service & 0xf0;

    return (a->tpr & 0xf0) >= class ? a->tpr : class;   /* 11.8.3.1 */
}

unsigned apic_arbitration_priority(const Apic *a)
{
    int request = highest_bit(a->irr);
    unsigned ppr = processor_priority(a), class = request < 0 ? 0 : (unsigned)request & 0xf0;

    return ppr >= class ? ppr : class;
}

/* The vector that may interrupt the processor now, or -1. */
static int deliverable(const Apic *a)
{
    int request = highest_bit(a->irr);

    return apic_takes_vectors(a) && request >= 0 && (request >> 4) > (processor_priority(a) >> 4) ? request : -1;
}

/* Does the 8259's INTR reach the processor: by LINT0 as ExtINT, or directly when there is no APIC? */
static bool pic_reaches_cpu(const Apic *a)
{
    uint32_t lint0 = a->lvt[LVT_LINT0];

    return a->lint0 && (!globally_enabled(a) ||
                        (!(lint0 & LVT_MASKED) && ((lint0 >> 8) & 7) == APIC_EXTINT));
}

/* The chip is the kernel's; the 8259's INTR is all that passes here. */
static bool in_kernel(const Apic *a)
{
    return a->dev.machine->irqchip;
}

static bool apic_pending(void *opaque)
{
    const Apic *a = opaque;

    if (in_kernel(a)) {
        return a->lint0;
    }
    return pic_reaches_cpu(a) || a->extint || deliverable(a) >= 0;
}

static void apic_update(Apic *a)
{
    bool want = apic_pending(a);

    /* The request word itself is asked: the processor's reset may have cleared it. */
    if (want != (bool)(atomic_load(&a->vcpu->requests) & VCPU_INTR)) {
        if (want) {
            vcpu_raise(a->vcpu, VCPU_INTR);
        } else {
            vcpu_lower(a->vcpu, VCPU_INTR);
        }
    }
}

static int apic_acknowledge(void *opaque)
{
    Apic *a = opaque;
    Device *pic = apic_bus_pic(a->bus);
    int vector = -1;

    if (pic && (in_kernel(a) ? a->lint0 : pic_reaches_cpu(a) || a->extint)) {
        a->extint = false;
        vector = pic_acknowledge(pic);
    } else if ((vector = deliverable(a)) >= 0) {
        put_bit(a->irr, (uint8_t)vector, false);
        put_bit(a->isr, (uint8_t)vector, true);
    }
    apic_update(a);
    return vector;
}

static void end_of_interrupt(Apic *a)
{
    int vector = highest_bit(a->isr);

    if (vector < 0) {
        return;
    }
    put_bit(a->isr, (uint8_t)vector, false);
    if (get_bit(a->tmr, (uint8_t)vector)) {
        apic_bus_eoi(a->bus, (uint8_t)vector);
    }
    apic_update(a);
}

/* ---- what arrives ---- */

static void report_error(Apic *a, uint32_t bit)
{
    bool news = !(a->errors & bit);

    a->errors |= bit;
    if (news) {
        apic_local_interrupt(a, LVT_ERROR);
    }
}

static bool request_vector(Apic *a, uint8_t vector, bool level)
{
    if (!apic_takes_vectors(a)) {
        return false;
    }
    if (vector < FIRST_VECTOR) {
        report_error(a, ERROR_RECEIVE_VECTOR);
        return true;
    }
    put_bit(a->irr, vector, true);
    put_bit(a->tmr, vector, level);
    apic_update(a);
    return true;
}

/* SDM vol. 3, 11.4.7.1 and .3: the state after reset, and after INIT (which keeps base and ID). */
static void set_reset_registers(Apic *a)
{
    memset(a->irr, 0, sizeof(a->irr));
    memset(a->isr, 0, sizeof(a->isr));
    memset(a->tmr, 0, sizeof(a->tmr));
    a->icr_low = a->icr_high = a->ldr = a->divide = a->errors = a->esr = a->initial_count = 0;
    a->tpr = 0;
    a->dfr = 0xffffffff;
    a->svr = 0xff;
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        a->lvt[i] = LVT_MASKED;
    }
    a->tsc_deadline = 0;
    a->count_start = 0;
    a->extint = false;
    timer_cancel(&a->timer);
}

bool apic_accept(Apic *a, const ApicMessage *msg)
{
    if (!globally_enabled(a)) {
        return false;
    }
    switch (msg->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        return request_vector(a, msg->vector, msg->level);
    case APIC_SMI:
        vcpu_raise(a->vcpu, VCPU_SMI);
        return true;
    case APIC_NMI:
        vcpu_raise(a->vcpu, VCPU_NMI);
        return true;
    case APIC_INIT:
        set_reset_registers(a);
        apic_update(a);
        vcpu_raise(a->vcpu, VCPU_INIT);
        return true;
    case APIC_SIPI:
        vcpu_start_at(a->vcpu, msg->vector);
        return true;
    case APIC_EXTINT:
        if (!apic_bus_pic(a->bus)) {
            return false;
        }
        a->extint = true;
        apic_update(a);
        return true;
    default:
        return false;
    }
}

void apic_local_interrupt(Apic *a, unsigned lvt)
{
    uint32_t entry = a->lvt[lvt];
    ApicMessage msg = { .vector = (uint8_t)entry, .mode = (ApicMode)((entry >> 8) & 7) };

    if (entry & LVT_MASKED) {
        return;
    }
    if (lvt == LVT_TIMER || lvt == LVT_ERROR) {
        msg.mode = APIC_FIXED;
    }
    if (lvt == LVT_ERROR && msg.vector < FIRST_VECTOR) {
        return;                                 /* its own error could never be told */
    }
    apic_accept(a, &msg);
}

void apic_set_lint0(Apic *a, bool level)
{
    bool edge = level && !a->lint0;

    a->lint0 = level;
    if (edge && !in_kernel(a) && globally_enabled(a) && ((a->lvt[LVT_LINT0] >> 8) & 7) != APIC_EXTINT) {
        apic_local_interrupt(a, LVT_LINT0);
    }
    apic_update(a);
}

void apic_lint1_edge(Apic *a)
{
    if (in_kernel(a) || !globally_enabled(a)) {
        vcpu_raise(a->vcpu, VCPU_NMI);          /* the pin is NMI then: 11.4.3 */
    } else {
        apic_local_interrupt(a, LVT_LINT1);
    }
}

static uint32_t id(const Apic *a) { return a->vcpu->apic_id; }

/* SDM vol. 3, 11.6.2 and 11.12.10 */
bool apic_matches(const Apic *a, const ApicMessage *msg)
{
    uint32_t dest = msg->dest;

    if (!msg->logical) {
        return dest == id(a) || dest == BROADCAST || dest == 0xffffffff;
    }
    if (in_x2apic(a)) {
        uint32_t cluster = id(a) >> 4, bit = 1u << (id(a) & 15);

        return dest == 0xffffffff || (dest >> 16 == cluster && (dest & bit));
    }
    if (a->dfr >> 28 == DFR_FLAT) {
        return (a->ldr >> 24) & dest & 0xff;
    }
    return ((dest >> 4 & 0xf) == a->ldr >> 28 || (dest >> 4 & 0xf) == 0xf) && ((a->ldr >> 24) & dest & 0xf);
}

/* ---- registers ---- */

static void send_ipi(Apic *a, uint32_t low, uint32_t dest)
{
    unsigned shorthand = low >> 18 & 3;
    ApicMessage msg = {
        .dest = dest, .logical = low & ICR_LOGICAL, .mode = (ApicMode)(low >> 8 & 7),
        .vector = (uint8_t)low,
    };

    if (msg.mode == APIC_INIT && (low & ICR_LEVEL) && !(low & ICR_ASSERT)) {
        return;                                 /* INIT level de-assert: nothing since the Pentium 4 */
    }
    if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < FIRST_VECTOR) {
        report_error(a, ERROR_SEND_VECTOR);
        return;
    }
    if (msg.mode == APIC_RESERVED || msg.mode == APIC_EXTINT ||
        (shorthand == 1 && msg.mode != APIC_FIXED)) {
        log_guest("apic", "interrupt command 0x%08x is not a legal one: ignored", low);
        return;
    }
    apic_bus_send(a->bus, a, shorthand, &msg);
}

static void write_svr(Apic *a, uint32_t val)
{
    a->svr = val & 0x3ff;
    if (!(val & SVR_ENABLE)) {                  /* 11.4.7.2: all LVT masks are set */
        for (unsigned i = 0; i < LVT_COUNT; i++) {
            if (i != LVT_TIMER) {
                a->lvt[i] |= LVT_MASKED;
            }
        }
        apic_timer_set_lvt(a, a->lvt[LVT_TIMER] | LVT_MASKED);
    }
}

static void write_lvt(Apic *a, unsigned i, uint32_t val)
{
    val &= lvt_writable[i];
    if (!(a->svr & SVR_ENABLE)) {
        val |= LVT_MASKED;
    }
    if (i == LVT_TIMER) {
        apic_timer_set_lvt(a, val);
    } else {
        a->lvt[i] = val;
    }
}

uint32_t apic_read(Apic *a, unsigned reg)
{
    switch (reg) {
    case APIC_ID:
        return in_x2apic(a) ? id(a) : id(a) << 24;
    case APIC_VERSION:
        return VERSION;
    case APIC_TPR:
        return a->tpr;
    case APIC_APR:
        return apic_arbitration_priority(a);
    case APIC_PPR:
        return processor_priority(a);
    case APIC_EOI:
    case APIC_RRD:
        return 0;
    case APIC_LDR:
        return in_x2apic(a) ? (id(a) >> 4) << 16 | 1u << (id(a) & 15) : a->ldr;
    case APIC_DFR:
        return a->dfr;
    case APIC_SVR:
        return a->svr;
    case APIC_ISR ... APIC_ISR + 7:
        return a->isr[reg - APIC_ISR];
    case APIC_TMR ... APIC_TMR + 7:
        return a->tmr[reg - APIC_TMR];
    case APIC_IRR ... APIC_IRR + 7:
        return a->irr[reg - APIC_IRR];
    case APIC_ESR:
        return a->esr;
    case APIC_ICR_LOW:
        return a->icr_low;
    case APIC_ICR_HIGH:
        return a->icr_high;
    case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
        return a->lvt[reg - APIC_LVT];
    case APIC_INITIAL_COUNT:
        return a->initial_count;
    case APIC_CURRENT_COUNT:
        return apic_timer_count(a);
    case APIC_DIVIDE:
        return a->divide;
    default:
        report_error(a, ERROR_REGISTER);
        return 0;
    }
}

void apic_write(Apic *a, unsigned reg, uint32_t val)
{
    switch (reg) {
    case APIC_ID:
    case APIC_VERSION:
    case APIC_APR:
    case APIC_PPR:
    case APIC_RRD:
    case APIC_ISR ... APIC_ISR + 7:
    case APIC_TMR ... APIC_TMR + 7:
    case APIC_IRR ... APIC_IRR + 7:
    case APIC_CURRENT_COUNT:
        break;                                  /* read-only */
    case APIC_TPR:
        a->tpr = (uint8_t)val;
        break;
    case APIC_EOI:
        end_of_interrupt(a);
        break;
    case APIC_LDR:
        a->ldr = val & 0xff000000;
        break;
    case APIC_DFR:
        a->dfr = val | 0x0fffffff;
        break;
    case APIC_SVR:
        write_svr(a, val);
        break;
    case APIC_ESR:
        a->esr = a->errors;
        a->errors = 0;
        break;
    case APIC_ICR_LOW:
        a->icr_low = val & 0x000ccfff;          /* delivery status reads idle */
        send_ipi(a, a->icr_low, a->icr_high >> 24);
        break;
    case APIC_ICR_HIGH:
        a->icr_high = val & 0xff000000;
        break;
    case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
        write_lvt(a, reg - APIC_LVT, val);
        break;
    case APIC_INITIAL_COUNT:
        apic_timer_load(a, val);
        break;
    case APIC_DIVIDE:
        apic_timer_set_divide(a, val);
        break;
    default:
        report_error(a, ERROR_REGISTER);
        break;
    }
    apic_update(a);
}

/* ---- what the processor asks (IntCtl) ---- */

static void apic_set_cr8(void *opaque, uint8_t cr8)
{
    Apic *a = opaque;

    a->tpr = (uint8_t)(cr8 << 4);
    apic_update(a);
}

static uint8_t apic_get_cr8(void *opaque)
{
    const Apic *a = opaque;

    return a->tpr >> 4;
}

static uint64_t apic_get_base(void *opaque)
{
    const Apic *a = opaque;

    return a->base;
}

static void apic_set_base(void *opaque, uint64_t value)
{
    Apic *a = opaque;
    uint64_t mode = value & (BASE_ENABLE | BASE_X2APIC), old = a->base & (BASE_ENABLE | BASE_X2APIC);

    /* 11.12.5: off - xAPIC - x2APIC - off, and from xAPIC back to off; nothing else. */
    if (mode == BASE_X2APIC || (old == 0 && mode == (BASE_ENABLE | BASE_X2APIC)) ||
        (old == (BASE_ENABLE | BASE_X2APIC) && mode == BASE_ENABLE)) {
        log_guest("apic", "IA32_APIC_BASE may not go from 0x%" PRIx64 " to 0x%" PRIx64 ": ignored", a->base, value);
        return;
    }
    if ((value & ~0xfffull) != BASE_ADDRESS) {
        log_unimp("apic", "registers at 0x%" PRIx64 ": they stay at 0x%x", value, BASE_ADDRESS);
    }
    if (mode == 0 && old != 0) {
        set_reset_registers(a);                 /* 11.4.3: enabling it again starts from reset */
    }
    a->base = (value & ~(uint64_t)BASE_BSP) | (a->base & BASE_BSP);
    apic_update(a);
}

static bool apic_read_msr(void *opaque, unsigned reg, uint64_t *value)
{
    Apic *a = opaque;

    if (!globally_enabled(a) || !in_x2apic(a)) {
        return false;
    }
    switch (reg) {                              /* SDM vol. 3, table 11-6 */
    case APIC_EOI:
    case APIC_DFR:
    case APIC_APR:
    case APIC_RRD:
    case APIC_ICR_HIGH:
    case APIC_SELF_IPI:
        return false;
    case APIC_ICR_LOW:
        *value = (uint64_t)a->icr_high << 32 | a->icr_low;
        return true;
    case APIC_ID:
    case APIC_VERSION:
    case APIC_TPR:
    case APIC_PPR:
    case APIC_LDR:
    case APIC_SVR:
    case APIC_ISR ... APIC_ISR + 7:
    case APIC_TMR ... APIC_TMR + 7:
    case APIC_IRR ... APIC_IRR + 7:
    case APIC_ESR:
    case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
    case APIC_INITIAL_COUNT:
    case APIC_CURRENT_COUNT:
    case APIC_DIVIDE:
        *value = apic_read(a, reg);
        return true;
    default:
        return false;
    }
}

/* Bits that may be set in a write of an x2APIC register; 0 alone for EOI and ESR; ~0: no such write. */
static uint64_t x2apic_writable(unsigned reg)
{
    switch (reg) {
    case APIC_TPR:
    case APIC_SELF_IPI:
        return 0xff;
    case APIC_EOI:
    case APIC_ESR:
        return 0;
    case APIC_SVR:
        return 0x3ff;
    case APIC_ICR_LOW:
        return 0xffffffff000ccfff;
    case APIC_LVT ... APIC_LVT + LVT_COUNT - 1:
        return lvt_writable[reg - APIC_LVT];
    case APIC_INITIAL_COUNT:
        return 0xffffffff;
    case APIC_DIVIDE:
        return 0xb;
    default:
        return ~0ull;
    }
}

static bool apic_write_msr(void *opaque, unsigned reg, uint64_t value)
{
    Apic *a = opaque;
    uint64_t writable = x2apic_writable(reg);

    if (!globally_enabled(a) || !in_x2apic(a) || writable == ~0ull || (value & ~writable)) {
        return false;
    }
    if (reg == APIC_ICR_LOW) {
        a->icr_low = (uint32_t)value;
        a->icr_high = (uint32_t)(value >> 32);
        send_ipi(a, a->icr_low, a->icr_high);
    } else if (reg == APIC_SELF_IPI) {
        send_ipi(a, 1u << 18 | (uint32_t)value, 0);
    } else {
        apic_write(a, reg, (uint32_t)value);
    }
    return true;
}

/* ---- the kernel's registers (IntCtl) ---- */

static void apic_ended(void *opaque, uint8_t vector)
{
    Apic *a = opaque;

    apic_bus_eoi(a->bus, vector);
}

static void apic_take_registers(void *opaque, const uint32_t regs[64])
{
    Apic *a = opaque;

    memcpy(a->isr, regs + APIC_ISR, sizeof(a->isr));
    memcpy(a->tmr, regs + APIC_TMR, sizeof(a->tmr));
    memcpy(a->irr, regs + APIC_IRR, sizeof(a->irr));
    memcpy(a->lvt, regs + APIC_LVT, sizeof(a->lvt));
    a->tpr = (uint8_t)regs[APIC_TPR];
    a->ldr = regs[APIC_LDR];
    a->dfr = regs[APIC_DFR];
    a->svr = regs[APIC_SVR];
    a->esr = regs[APIC_ESR];
    a->icr_low = regs[APIC_ICR_LOW];
    a->icr_high = regs[APIC_ICR_HIGH];
    a->initial_count = regs[APIC_INITIAL_COUNT];
    a->divide = regs[APIC_DIVIDE];
}

static void apic_give_registers(void *opaque, uint32_t regs[64])
{
    const Apic *a = opaque;

    memcpy(regs + APIC_ISR, a->isr, sizeof(a->isr));
    memcpy(regs + APIC_TMR, a->tmr, sizeof(a->tmr));
    memcpy(regs + APIC_IRR, a->irr, sizeof(a->irr));
    memcpy(regs + APIC_LVT, a->lvt, sizeof(a->lvt));
    regs[APIC_TPR] = a->tpr;
    regs[APIC_LDR] = a->ldr;
    regs[APIC_DFR] = a->dfr;
    regs[APIC_SVR] = a->svr;
    regs[APIC_ESR] = a->esr;
    regs[APIC_ICR_LOW] = a->icr_low;
    regs[APIC_ICR_HIGH] = a->icr_high;
    regs[APIC_INITIAL_COUNT] = a->initial_count;
    regs[APIC_DIVIDE] = a->divide;
}

static const IntCtl apic_intctl = {
    .acknowledge = apic_acknowledge,
    .pending = apic_pending,
    .set_tpr = apic_set_cr8,
    .get_tpr = apic_get_cr8,
    .set_base = apic_set_base,
    .get_base = apic_get_base,
    .read_msr = apic_read_msr,
    .write_msr = apic_write_msr,
    .set_deadline = apic_timer_set_deadline,
    .get_deadline = apic_timer_get_deadline,
    .ended = apic_ended,
    .take_registers = apic_take_registers,
    .give_registers = apic_give_registers,
};

/* ---- life cycle ---- */

static bool apic_realize(Device *d, GError **errp)
{
    Apic *a = (Apic *)d;
    GPtrArray *vcpus = d->machine->vcpus;

    if (a->cpu >= vcpus->len) {
        error_set(errp, "apic: there is no processor %u: the machine has %u", a->cpu, vcpus->len);
        return false;
    }
    apic_timer_init(a);
    if (!apic_bus_attach((ApicBus *)d->bus->controller, a, errp)) {
        return false;
    }
    a->bus = (ApicBus *)d->bus->controller;
    a->vcpu = g_ptr_array_index(vcpus, a->cpu);
    vcpu_set_intctl(a->vcpu, &apic_intctl, a);
    return true;
}

static void apic_unrealize(Device *d)
{
    Apic *a = (Apic *)d;

    if (a->bus) {
        apic_bus_detach(a->bus, a);
        vcpu_set_intctl(a->vcpu, NULL, NULL);
        timer_cancel(&a->timer);
    }
}

static void apic_reset(Device *d)
{
    Apic *a = (Apic *)d;

    set_reset_registers(a);
    a->base = BASE_ADDRESS | BASE_ENABLE | (a->cpu == 0 ? BASE_BSP : 0);
    if (a->cpu == 0) {
        a->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    }
}

static void apic_settle(Device *d)
{
    apic_update((Apic *)d);
}

static void apic_info(Device *d, GString *out)
{
    static const char *const lvt_name[LVT_COUNT] = { "timer", "thermal", "perf", "lint0", "lint1", "error" };
    Apic *a = (Apic *)d;

    g_string_append_printf(out, "cpu %u: %s%s base=0x%" PRIx64 " tpr=%02x ppr=%02x svr=%03x", a->cpu,
                           !globally_enabled(a) ? "off" : in_x2apic(a) ? "x2APIC" : "xAPIC",
                           apic_takes_vectors(a) ? "" : " (software-disabled)", a->base, a->tpr,
                           processor_priority(a), a->svr);
    g_string_append_printf(out, " ldr=%08x dfr=%08x errors=%02x\n", apic_read(a, APIC_LDR), a->dfr, a->errors);
    g_string_append_printf(out, "  icr=%08x:%08x timer: initial=%u current=%u divide=%x deadline=%" PRIu64 "\n",
                           a->icr_high, a->icr_low, a->initial_count, apic_timer_count(a), a->divide,
                           a->tsc_deadline);
    g_string_append(out, "  lvt");
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        g_string_append_printf(out, " %s=%05x", lvt_name[i], a->lvt[i]);
    }
    g_string_append(out, "\n  pending:");
    for (unsigned v = 0; v < 256; v++) {
        if (get_bit(a->irr, (uint8_t)v)) {
            g_string_append_printf(out, " %02x", v);
        }
    }
    g_string_append(out, "\n  in service:");
    for (unsigned v = 0; v < 256; v++) {
        if (get_bit(a->isr, (uint8_t)v)) {
            g_string_append_printf(out, " %02x", v);
        }
    }
    g_string_append_c(out, '\n');
}

static bool apic_after_load(void *obj, GError **errp)
{
    const Apic *a = obj;
    /* Before power-on: a larger divisor has moved it there (apic-timer.c). */
    bool started = a->count_start >= -(int64_t)UINT32_MAX * 128 && a->count_start <= INT64_MAX / 2;

    if (!started || (a->base & (BASE_ENABLE | BASE_X2APIC)) == BASE_X2APIC) {
        error_set(errp, "apic %u: no such state: base 0x%" PRIx64 ", timer started at %" PRId64 " ns", a->cpu,
                  a->base, a->count_start);
        return false;
    }
    return true;
}

static const Property apic_props[] = {
    PROP_U(Apic, cpu, "cpu", 0, APIC_MAX - 1, "index of its processor"),
    PROP_DONE,
};

static const StateField apic_fields[] = {
    STATE_NOT(Apic, dev, "device core"),
    STATE_NOT(Apic, cpu, "option"),
    STATE_NOT(Apic, bus, "set by realize"),
    STATE_NOT(Apic, vcpu, "set by realize"),
    STATE_U(Apic, base), STATE_ARRAY(Apic, irr), STATE_ARRAY(Apic, isr), STATE_ARRAY(Apic, tmr),
    STATE_U(Apic, ldr), STATE_U(Apic, dfr), STATE_U(Apic, svr),
    STATE_U(Apic, icr_low), STATE_U(Apic, icr_high), STATE_ARRAY(Apic, lvt), STATE_U(Apic, divide),
    STATE_U(Apic, errors), STATE_U(Apic, esr), STATE_U(Apic, initial_count),
    STATE_U(Apic, tpr), STATE_U(Apic, lint0), STATE_U(Apic, extint),
    STATE_U(Apic, count_start), STATE_U(Apic, tsc_deadline), STATE_TIM(Apic, timer),
    STATE_DONE,
};
static const StateTable apic_state = {
    .name = "apic", .version = 1, .fields = apic_fields, .after_load = apic_after_load,
};

const DeviceClass apic_class = {
    .name = "apic",
    .summary = "local interrupt controller of one processor",
    .bus = "apic",
    .size = sizeof(Apic),
    .board_only = true,
    .props = apic_props,
    .state = &apic_state,
    .realize = apic_realize,
    .unrealize = apic_unrealize,
    .reset = apic_reset,
    .settle = apic_settle,
    .info = apic_info,
};
