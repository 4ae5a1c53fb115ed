/*
 * Between apic-bus.c (who gets a message), apic.c (what one local APIC does with it), apic-registers.c,
 * apic-timer.c and ioapic.c (who hears of an EOI).
 */
#ifndef INTC_APIC_H
#define INTC_APIC_H

#include "core/machine.h"
#include "core/vcpu.h"
#include "hw/intc.h"

enum { APIC_MAX = 255 };

enum {                          /* IA32_APIC_BASE, SDM vol. 3, 11.4.4 and 11.12.1 */
    BASE_BSP = 1 << 8, BASE_X2APIC = 1 << 10, BASE_ENABLE = 1 << 11,
    APIC_BASE_ADDRESS = 0xfee00000,
};

enum {
    APIC_SVR_ENABLE = 1 << 8,
    APIC_FIRST_VECTOR = 16,     /* 0..15 are illegal */
};

enum {                          /* registers: offset / 16, SDM vol. 3, table 11-1 */
    APIC_ID = 0x02, APIC_VERSION = 0x03, APIC_TPR = 0x08, APIC_APR = 0x09, APIC_PPR = 0x0a,
    APIC_EOI = 0x0b, APIC_RRD = 0x0c, APIC_LDR = 0x0d, APIC_DFR = 0x0e, APIC_SVR = 0x0f,
    APIC_ISR = 0x10, APIC_TMR = 0x18, APIC_IRR = 0x20, APIC_ESR = 0x28,
    APIC_ICR_LOW = 0x30, APIC_ICR_HIGH = 0x31, APIC_LVT = 0x32,
    APIC_INITIAL_COUNT = 0x38, APIC_CURRENT_COUNT = 0x39, APIC_DIVIDE = 0x3e, APIC_SELF_IPI = 0x3f,
};

enum {                          /* LVT entries, in the order of their registers from APIC_LVT on */
    LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT
};

enum {
    LVT_MASKED = 1 << 16, LVT_LEVEL = 1 << 15,
    LVT_PERIODIC = 1 << 17, LVT_TSC_DEADLINE = 2 << 17, LVT_TIMER_MODE = 3 << 17,
};

typedef struct ApicBus ApicBus;

typedef struct Apic {
    Device dev;
    uint32_t cpu;               /* option: index of the vCPU, and the APIC ID */
    ApicBus *bus;
    Vcpu *vcpu;
    uint64_t base;              /* IA32_APIC_BASE */
    uint32_t irr[8], isr[8], tmr[8];
    uint32_t ldr, dfr, svr, icr_low, icr_high, lvt[LVT_COUNT], divide;
    uint32_t errors, esr;       /* seen since the last write of ESR; what that write latched */
    uint32_t initial_count;
    uint8_t tpr;
    bool lint0;                 /* level of the pin: not the chip's */
    bool extint;                /* an ExtINT message waits for the 8259's vector */
    int64_t count_start;        /* guest time the timer was loaded, had it always had this divisor */
    uint64_t tsc_deadline;      /* IA32_TSC_DEADLINE; 0: not armed */
    Timer timer;
} Apic;

/* apic-bus.c */
Device *apic_bus_find(Machine *m);                      /* NULL: a machine without */
void apic_bus_eoi(ApicBus *s, uint8_t vector);          /* tell the I/O APICs */
void apic_bus_add_ioapic(Device *apics, void (*eoi)(void *ioapic, uint8_t vector), void *ioapic);
void apic_bus_remove_ioapic(Device *apics, void *ioapic);
Device *apic_bus_pic(ApicBus *s);                       /* NULL: none connected */
extern const BusClass apic_bus_class;
bool apic_bus_attach(ApicBus *s, Apic *a, GError **errp);
/* As it is written to memory: SDM vol. 3, 11.11. */
void apic_message_to_msi(const ApicMessage *msg, uint64_t *address, uint32_t *data);
void apic_bus_detach(ApicBus *s, Apic *a);
/* The ICR's way: shorthand 0 none, 1 self, 2 all, 3 all but self. */
void apic_bus_send(ApicBus *s, Apic *from, unsigned shorthand, const ApicMessage *msg);

/* apic.c */
bool apic_matches(const Apic *a, const ApicMessage *msg);
bool apic_takes_vectors(const Apic *a);                 /* enabled, by base and by SVR */
unsigned apic_arbitration_priority(const Apic *a);
bool apic_accept(Apic *a, const ApicMessage *msg);
void apic_set_lint0(Apic *a, bool level);
void apic_lint1_edge(Apic *a);
bool apic_uses_mmio(const Apic *a);                     /* enabled, and not in x2APIC mode */
void apic_local_interrupt(Apic *a, unsigned lvt);
uint8_t apic_processor_priority(const Apic *a);         /* PPR */
void apic_update(Apic *a);                              /* after a change: tells the processor */
void apic_report_error(Apic *a, uint32_t bit);          /* a bit of ESR */
void apic_end_of_interrupt(Apic *a);
void apic_reset_registers(Apic *a);
bool apic_pending(void *apic);                          /* this and the next: IntCtl */
int apic_acknowledge(void *apic);

static inline bool apic_enabled(const Apic *a)
{
    return a->base & BASE_ENABLE;
}

static inline bool apic_in_x2apic(const Apic *a)
{
    return a->base & BASE_X2APIC;
}

static inline uint32_t apic_id(const Apic *a)
{
    return a->vcpu->apic_id;
}

/* apic-registers.c */
uint32_t apic_read(Apic *a, unsigned reg);              /* reg: offset / 16 */
void apic_write(Apic *a, unsigned reg, uint32_t val);
extern const IntCtl apic_intctl;                        /* what the processor asks; opaque is its Apic */

/* apic-timer.c */
void apic_timer_init(Apic *a);
void apic_timer_catch_up(Apic *a);      /* before a change: what is due happens first */
void apic_timer_rearm(Apic *a);         /* after one */
uint32_t apic_timer_count(const Apic *a);
void apic_timer_load(Apic *a, uint32_t count);
void apic_timer_set_divide(Apic *a, uint32_t divide);
void apic_timer_set_lvt(Apic *a, uint32_t val);
bool apic_timer_set_deadline(void *apic, uint64_t tsc);
uint64_t apic_timer_get_deadline(void *apic);

#endif
