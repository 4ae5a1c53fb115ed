/*
 * The local APIC's registers, as memory, as x2APIC MSRs, and as what the host's kernel keeps, and the
 * interrupts that a processor sends by writing one of them.
 *
 * Intel SDM vol. 3, chapter 11: table 11-1 the registers, table 11-6 the MSRs.
 */
#include "apic.h"

#include <inttypes.h>
#include <string.h>

#include "util/log.h"

enum {
    VERSION = 0x14 | (LVT_COUNT - 1) << 16,
    ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15,
    ERROR_SEND_VECTOR = 1 << 5, ERROR_REGISTER = 1 << 7,
};

static const uint32_t lvt_writable[LVT_COUNT] = {       /* SDM vol. 3, figure 11-8 */
    [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};

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
    if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < APIC_FIRST_VECTOR) {
        apic_report_error(a, ERROR_SEND_VECTOR);
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
    if (!(val & APIC_SVR_ENABLE)) {                  /* 11.4.7.2: all LVT masks are set */
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
    if (!(a->svr & APIC_SVR_ENABLE)) {
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
        return apic_in_x2apic(a) ? apic_id(a) : apic_id(a) << 24;
    case APIC_VERSION:
        return VERSION;
    case APIC_TPR:
        return a->tpr;
    case APIC_APR:
        return apic_arbitration_priority(a);
    case APIC_PPR:
        return apic_processor_priority(a);
    case APIC_EOI:
    case APIC_RRD:
        return 0;
    case APIC_LDR:
        return apic_in_x2apic(a) ? (apic_id(a) >> 4) << 16 | 1u << (apic_id(a) & 15) : a->ldr;
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
        apic_report_error(a, ERROR_REGISTER);
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
        apic_end_of_interrupt(a);
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
        apic_report_error(a, ERROR_REGISTER);
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
    if ((value & ~0xfffull) != APIC_BASE_ADDRESS) {
        log_unimp("apic", "registers at 0x%" PRIx64 ": they stay at 0x%x", value, APIC_BASE_ADDRESS);
    }
    if (mode == 0 && old != 0) {
        apic_reset_registers(a);                 /* 11.4.3: enabling it again starts from reset */
    }
    a->base = (value & ~(uint64_t)BASE_BSP) | (a->base & BASE_BSP);
    apic_update(a);
}

static bool apic_read_msr(void *opaque, unsigned reg, uint64_t *value)
{
    Apic *a = opaque;

    if (!apic_enabled(a) || !apic_in_x2apic(a)) {
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

    if (!apic_enabled(a) || !apic_in_x2apic(a) || writable == ~0ull || (value & ~writable)) {
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

const IntCtl apic_intctl = {
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
