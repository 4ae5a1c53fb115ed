/*
 * The local APIC of one processor ("apic", on the "apic" bus): what arrives for it, what it tells
 * its processor, what comes first, and its life as a device.
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

enum {
    ERROR_RECEIVE_VECTOR = 1 << 6,
    DFR_FLAT = 0xf,
    BROADCAST = 0xff,
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

bool apic_uses_mmio(const Apic *a)
{
    return apic_enabled(a) && !apic_in_x2apic(a);
}

bool apic_takes_vectors(const Apic *a)
{
    return apic_enabled(a) && (a->svr & APIC_SVR_ENABLE);
}

uint8_t apic_processor_priority(const Apic *a)
{
    int in_service = highest_bit(a->isr);
    uint8_t class = in_service < 0 ? 0 : in_service & 0xf0;

    return (a->tpr & 0xf0) >= class ? a->tpr : class;   /* 11.8.3.1 */
}

unsigned apic_arbitration_priority(const Apic *a)
{
    int request = highest_bit(a->irr);
    unsigned ppr = apic_processor_priority(a), class = request < 0 ? 0 : (unsigned)request & 0xf0;

    return ppr >= class ? ppr : class;
}

/* The vector that may interrupt the processor now, or -1. */
static int deliverable(const Apic *a)
{
    int request = highest_bit(a->irr);

    return apic_takes_vectors(a) && request >= 0 && (request >> 4) > (apic_processor_priority(a) >> 4) ? request : -1;
}

/* Does the 8259's INTR reach the processor: by LINT0 as ExtINT, or directly when there is no APIC? */
static bool pic_reaches_cpu(const Apic *a)
{
    uint32_t lint0 = a->lvt[LVT_LINT0];

    return a->lint0 && (!apic_enabled(a) ||
                        (!(lint0 & LVT_MASKED) && ((lint0 >> 8) & 7) == APIC_EXTINT));
}

/* The chip is the kernel's; the 8259's INTR is all that passes here. */
static bool in_kernel(const Apic *a)
{
    return a->dev.machine->irqchip;
}

bool apic_pending(void *opaque)
{
    const Apic *a = opaque;

    if (in_kernel(a)) {
        return a->lint0;
    }
    return pic_reaches_cpu(a) || a->extint || deliverable(a) >= 0;
}

void apic_update(Apic *a)
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

int apic_acknowledge(void *opaque)
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

void apic_end_of_interrupt(Apic *a)
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

void apic_report_error(Apic *a, uint32_t bit)
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
    if (vector < APIC_FIRST_VECTOR) {
        apic_report_error(a, ERROR_RECEIVE_VECTOR);
        return true;
    }
    put_bit(a->irr, vector, true);
    put_bit(a->tmr, vector, level);
    apic_update(a);
    return true;
}

/* SDM vol. 3, 11.4.7.1 and .3: the state after reset, and after INIT (which keeps base and ID). */
void apic_reset_registers(Apic *a)
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
    if (!apic_enabled(a)) {
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
        apic_reset_registers(a);
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
    if (lvt == LVT_ERROR && msg.vector < APIC_FIRST_VECTOR) {
        return;                                 /* its own error could never be told */
    }
    apic_accept(a, &msg);
}

void apic_set_lint0(Apic *a, bool level)
{
    bool edge = level && !a->lint0;

    a->lint0 = level;
    if (edge && !in_kernel(a) && apic_enabled(a) && ((a->lvt[LVT_LINT0] >> 8) & 7) != APIC_EXTINT) {
        apic_local_interrupt(a, LVT_LINT0);
    }
    apic_update(a);
}

void apic_lint1_edge(Apic *a)
{
    if (in_kernel(a) || !apic_enabled(a)) {
        vcpu_raise(a->vcpu, VCPU_NMI);          /* the pin is NMI then: 11.4.3 */
    } else {
        apic_local_interrupt(a, LVT_LINT1);
    }
}

/* SDM vol. 3, 11.6.2 and 11.12.10 */
bool apic_matches(const Apic *a, const ApicMessage *msg)
{
    uint32_t dest = msg->dest;

    if (!msg->logical) {
        return dest == apic_id(a) || dest == BROADCAST || dest == 0xffffffff;
    }
    if (apic_in_x2apic(a)) {
        uint32_t cluster = apic_id(a) >> 4, bit = 1u << (apic_id(a) & 15);

        return dest == 0xffffffff || (dest >> 16 == cluster && (dest & bit));
    }
    if (a->dfr >> 28 == DFR_FLAT) {
        return (a->ldr >> 24) & dest & 0xff;
    }
    return ((dest >> 4 & 0xf) == a->ldr >> 28 || (dest >> 4 & 0xf) == 0xf) && ((a->ldr >> 24) & dest & 0xf);
}

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

    apic_reset_registers(a);
    a->base = APIC_BASE_ADDRESS | BASE_ENABLE | (a->cpu == 0 ? BASE_BSP : 0);
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
                           !apic_enabled(a) ? "off" : apic_in_x2apic(a) ? "x2APIC" : "xAPIC",
                           apic_takes_vectors(a) ? "" : " (software-disabled)", a->base, a->tpr,
                           apic_processor_priority(a), a->svr);
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
