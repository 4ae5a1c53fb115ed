/*
 * accel/kvm/kvm.h - the inside of the accelerator that hands guest code to the host's kernel.
 *
 * The interface is Linux's, Documentation/virt/kvm/api.rst; ioctl and field names are as there.
 *
 * While a vCPU's `loaded` is set its registers are in the kernel and the CPU struct is old;
 * kvm_pull() brings them back, kvm_push() hands them over.  Both belong to the vCPU's own thread, or
 * to whoever holds the machine lock while the machine is paused.
 */
#ifndef ACCEL_KVM_PRIVATE_H
#define ACCEL_KVM_PRIVATE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include "accel/accel.h"
#include "accel/kvm.h"
#include "target/x86/cpu.h"

typedef enum KvmIrqchip { KVM_IRQCHIP_NONE /* all models are ours */, KVM_IRQCHIP_SPLIT, KVM_IRQCHIP_ALL } KvmIrqchip;

/* Three pages below the firmware's ROM that some kernels want for real mode on older processors, and a
 * page of page tables for the same. */
#define TSS_AT 0xfeffd000u
#define IDENTITY_MAP_AT 0xfeffc000ull

typedef struct KvmQueue KvmQueue;
typedef struct KvmDoorbells KvmDoorbells;

typedef struct Kvm {
    Accel accel;                                /* first */
    int fd, vm;                                 /* /dev/kvm; the virtual machine */
    KvmIrqchip irqchip;
    size_t run_size;                            /* of the struct kvm_run mapping */
    struct kvm_cpuid2 *cpuid;                   /* what the kernel can give a guest */
    MemListener mem_listener;
    GArray *slots;                              /* of KvmSlot, sorted by address (slots.c) */
    KvmQueue *queue;                            /* of writes that do not leave the guest; NULL: none (coalesced.c) */
    KvmDoorbells *doorbells;                    /* writes that are signals (doorbells.c) */
    GHashTable *dirty;                          /* pages written, not yet asked for; NULL: nobody asks (dirty.c) */
    uint32_t ring_entries;                      /* of each processor's dirty ring; 0: there are bitmaps */
    struct KvmLog *_Atomic logs;                /* regions whose writes are logged (dirty.c); grows at its head */
    bool a20_off;                               /* as the slots are laid out */
    Irqchip chip;                               /* what the machine's models see (irqchip.c) */
    struct kvm_irq_routing_entry routes[KVM_IOAPIC_NUM_PINS];
    struct kvm_irqchip power_up[KVM_NR_IRQCHIPS];
    struct kvm_pit_state2 pit_power_up;
    GArray *breakpoints;                        /* of uint64_t; changed only while paused, as these are: */
    KvmWatches watches;                         /* what the debug registers watch */
    int reports_accesses, reports_breakpoints, reports_user_steps;      /* the kernel does; negative: not yet tried */
    bool interpret_all;                         /* they cannot watch all that is asked for: the interpreter does */
} Kvm;

enum { XSAVE_COMPONENTS = 10 };                 /* the highest known is 9, PKRU */

typedef struct KvmMsrField { uint8_t *at; size_t size; } KvmMsrField;

/* During a step there is no IDT (debug.c). */
typedef struct KvmHidden { uint64_t dr6; uint32_t idt_limit; bool on, by_dr6, stepped; } KvmHidden;

typedef struct KvmVcpu {
    Kvm *kvm;
    X86Cpu *cpu;
    int fd;
    struct kvm_run *run;
    bool loaded;                                /* the registers are in the kernel */
    bool fresh;                                 /* and as in the CPU struct: it has not run since */
    bool roots_lost;                            /* by a shutdown: kvm_push() has them loaded anew */
    KvmHidden hidden;
    X86Cpu *before;                             /* the state before such a step */
    bool incomplete;                            /* an access has been answered, and not yet taken */
    bool window_open;                           /* an interrupt can be injected: as of the last exit */
    bool debugging;                             /* guest debugging is on in the kernel */
    bool step_over;                             /* one step first, off the breakpoint it stands at */
    bool stepped;                               /* a single step, or one instruction interpreted, is done */
    uint64_t stopped_at;                        /* linear address of the breakpoint that ended the last run */
    pthread_t thread;                           /* in run(): the one to signal; under Vcpu.lock */
    bool in_run;
    struct kvm_vcpu_events events;              /* what the CPU struct has no place for */
    struct kvm_dirty_gfn *dirty;                /* its ring; NULL: the kernel has none */
    uint32_t dirty_next;
    unsigned full_in_vain;                      /* how often it has been full, and was empty */
    void *xsave;                                /* of xsave_size bytes: an XSAVE image (fpu.c) */
    size_t xsave_size;
    uint32_t xsave_at[XSAVE_COMPONENTS];        /* where each is; 0: nowhere */
    uint64_t xsave_components;                  /* that the kernel takes: bits of XSTATE_BV */
    struct kvm_msrs *msrs;                      /* those that the kernel has of msrs.c's table ... */
    KvmMsrField *msr_field;                     /* ... and where they are in the CPU struct */
    uint64_t tsc_offset;                        /* as the kernel has it */
    bool tsc_moved;                             /* it is to be set anew */
    uint64_t apic_base;                         /* as the kernel has it */
    bool lapic_moved;                           /* the local APIC in the kernel is to be set anew */
    uint64_t tsc_deadline;                      /* of that APIC */
    const char *failed;                         /* an ioctl of pull or push that failed; NULL: none */
    int failed_errno;
    struct {
        uint64_t exits, io, mmio, halts, kicks, interrupts, interpreted, msr;
    } stats;
} KvmVcpu;

/* ---- kvm.c ---- */
int kvm_ioctl(int fd, unsigned long request, void *arg);        /* -1: errno; EINTR is handed through */
bool kvm_has(const Kvm *k, unsigned capability);
G_GNUC_PRINTF(3, 4) bool kvm_failed(GError **errp, int os_errno, const char *fmt, ...);  /* false */

/* ---- probe.c ---- */
extern const KeySpec kvm_options[];
AccelProbe kvm_probe(const KeyVals *options, GError **errp);
bool kvm_reports_accesses(int fd);              /* debug registers find accesses to data */
bool kvm_reports_breakpoints(int fd);
bool kvm_reports_user_steps(int fd);

/* ---- slots.c: guest memory; with the machine lock ---- */
typedef struct KvmSlot {
    hwaddr at, len;
    uint8_t *host;
    Region *region;                             /* whose memory it is, from there on */
    hwaddr off;
    bool readonly;
    unsigned id;
} KvmSlot;
bool kvm_slots_init(Kvm *k, GError **errp);
void kvm_slots_fini(Kvm *k);
void kvm_slots_set_a20(Kvm *k, bool on);

void kvm_slots_log(Kvm *k);                     /* writes to them are logged from now on */

/* ---- dirty.c ---- */
bool kvm_dirty_init(Kvm *k, const KeyVals *options, GError **errp);
void kvm_dirty_fini(Kvm *k);
bool kvm_dirty_wanted(const Kvm *k, const KvmSlot *s);          /* it is to be logged */
void kvm_dirty_before_removal(Kvm *k);
void kvm_dirty_after_removal(Kvm *k, const KvmSlot *s);
void kvm_dirty_by_others(MemListener *l, hwaddr at, hwaddr len);        /* any thread */
bool kvm_dirty_region(MemListener *l, Region *r, uint64_t *pages);
bool kvm_dirty_map(KvmVcpu *v, GError **errp);
void kvm_dirty_unmap(KvmVcpu *v);
void kvm_dirty_stepped(Kvm *k);                 /* a processor is to be made, which somebody steps */
bool kvm_dirty_full(KvmVcpu *v, GError **errp);         /* makes room in its ring */
void kvm_dirty(Accel *a, void (*page)(void *opaque, hwaddr at), void *opaque);

/* ---- coalesced.c; NULL does nothing ---- */
KvmQueue *kvm_queue_new(Kvm *k);                /* with the machine lock, as kvm_queue_free() */
void kvm_queue_free(KvmQueue *q);
void kvm_queue_map(KvmQueue *q, int vcpu);      /* a processor's file is there */
void kvm_queue_flush(KvmQueue *q);
uint64_t kvm_queue_writes(const KvmQueue *q);

/* ---- doorbells.c; with the machine lock ---- */
KvmDoorbells *kvm_doorbells_new(Kvm *k);        /* the interrupt controllers are there */
void kvm_doorbells_free(KvmDoorbells *all);     /* NULL: nothing */
void kvm_doorbells_info(const KvmDoorbells *all, GString *out);

/* ---- irqchip.c ---- */
bool kvm_irqchip_init(Kvm *k, GError **errp);
void kvm_irqchip_fini(Kvm *k);
void kvm_irqchip_reset(Kvm *k);
bool kvm_lapic_get(KvmVcpu *v);
bool kvm_lapic_put(KvmVcpu *v);

/* ---- state.c, fpu.c, msrs.c, cpuid.c ---- */
void kvm_pull(KvmVcpu *v);
void kvm_push(KvmVcpu *v);
bool kvm_fpu_init(KvmVcpu *v, GError **errp);
bool kvm_fpu_get(KvmVcpu *v);
bool kvm_fpu_put(KvmVcpu *v);
bool kvm_msrs_init(KvmVcpu *v, GError **errp);
bool kvm_msrs_get(KvmVcpu *v);
bool kvm_msrs_put(KvmVcpu *v);
bool kvm_cpuid_init(Kvm *k, GError **errp);             /* asks the kernel */
bool kvm_features(uint32_t *words, GError **errp);      /* AccelOps.features */
bool kvm_cpuid_limit(KvmVcpu *v, GError **errp);        /* the model: less what the kernel cannot do */
bool kvm_cpuid_put(KvmVcpu *v, GError **errp);          /* the model, with what does not depend on it */

/* ---- run.c ---- */
RunExit kvm_run_vcpu(Accel *a, Vcpu *vcpu, uint64_t max_insns, GError **errp);
bool kvm_complete(KvmVcpu *v);          /* let the kernel take the answer of the last access */
void kvm_kick(Vcpu *vcpu);

/* ---- interpret.c: what the kernel cannot do ---- */
typedef enum KvmInterpreted { INTERPRETED, INTERPRETED_SHUTDOWN, INTERPRETED_STOP /* a watchpoint */ } KvmInterpreted;
/* One instruction; or what is being delivered, where there is something. */
KvmInterpreted kvm_interpret(KvmVcpu *v, bool delivering);
bool kvm_steps_badly(KvmVcpu *v);               /* a step over the next one has to be interpreted */
KvmInterpreted kvm_interpret_next(KvmVcpu *v);          /* the kernel has not run since the last */
KvmInterpreted kvm_serve_requests(KvmVcpu *v);          /* INIT, SIPI, work: x86_serve_requests() */

static inline uint64_t kvm_linear_rip(const X86Cpu *c)
{
    uint64_t rip = c->regs[X86_RIP];

    return x86_code_bits(c) == 64 ? rip : (uint32_t)(rip + c->seg[X86_CS].base);
}

/* ---- debug.c ---- */
bool kvm_debug_apply(KvmVcpu *v, bool step);    /* breakpoints and single-step, before the next KVM_RUN */
bool kvm_set_breakpoint(Accel *a, uint64_t linear, bool on);
bool kvm_at_breakpoint(const KvmVcpu *v, uint64_t linear);
void kvm_hide_idt(KvmVcpu *v);                  /* for a step; kvm_pull() ends it */
/* The guest has shut down in it: was it done?  Else the state is that before it. */
bool kvm_hidden_step_done(KvmVcpu *v);
bool kvm_set_watchpoints(Accel *a, const X86Watch *list, unsigned n, GError **errp);
bool kvm_watch_hit(KvmVcpu *v, uint64_t dr6);   /* did an access end the run?  Then debug.stop says which */

#endif
