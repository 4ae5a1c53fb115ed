/*
 * tests/insn/oracle/accelerated.c - the engines `dbt` and `kvm`: cases by the run loop of an accelerator, as a guest's
 * ring 3 has them.
 *
 * What is behind the instruction is as for the child (child.c): INT3, or a jump to a place that is known.  Whatever
 * ends the case, its handler in ring 0 halts the processor.
 */
#include <string.h>
#include "accel/accel.h"
#include "accel/kvm.h"
#include "engine.h"
#include "guest.h"
#include "text.h"
#include "trampoline.h"
#include "target/x86/exec.h"

enum { MANY = 100000 };                 /* instructions; no case has as many ... */
enum { PATIENCE = 200000 };             /* us; ... nor takes that long, where instructions are not counted */

typedef struct Accelerated {
    Engine engine;                      /* first */
    Guest guest;
    Accel *accel;
    GThread *guard;                     /* stops the processor now and then; NULL: instructions are counted */
    GMutex lock;
    GCond quit_cond;
    bool quit;                          /* under lock */
} Accelerated;

/* The case that runs decides whether it has been long enough (run_until_halt()). */
static gpointer guard(gpointer opaque)
{
    Accelerated *a = opaque;

    g_mutex_lock(&a->lock);
    while (!a->quit) {
        if (!g_cond_wait_until(&a->quit_cond, &a->lock, g_get_monotonic_time() + PATIENCE)) {
            vcpu_raise(&a->guest.c->vcpu, VCPU_STOP);
        }
    }
    g_mutex_unlock(&a->lock);
    return NULL;
}

static void stop_guard(Accelerated *a)
{
    if (a->guard) {
        g_mutex_lock(&a->lock);
        a->quit = true;
        g_cond_signal(&a->quit_cond);
        g_mutex_unlock(&a->lock);
        g_thread_join(a->guard);
    }
}

static void accelerated_destroy(Engine *e)
{
    Accelerated *a = (Accelerated *)e;

    stop_guard(a);
    if (a->accel) {
        if (a->guest.c->vcpu.accel_data) {
            a->accel->ops->vcpu_destroy(a->accel, &a->guest.c->vcpu);
        }
        machine_lock(a->guest.m);
        a->accel->ops->destroy(a->accel);
        machine_unlock(a->guest.m);
    }
    guest_close(&a->guest);
    g_free(a);
}

static Engine *create(const EngineOps *ops, const char *spec, const uint8_t *background, GError **errp)
{
    Accelerated *a = g_new0(Accelerated, 1);

    a->engine.ops = ops;
    if (guest_open(&a->guest, background, errp)) {
        a->accel = accel_open(a->guest.m, spec, errp);
    }
    if (!a->accel || !a->accel->ops->vcpu_create(a->accel, &a->guest.c->vcpu, errp)) {
        accelerated_destroy(&a->engine);
        return NULL;
    }
    guest_start(&a->guest);
    return &a->engine;
}

static Engine *dbt_create(const uint8_t *background, GError **errp)
{
    return create(&engine_dbt, "dbt,first-runs=0", background, errp);
}

static Engine *kvm_create(const uint8_t *background, GError **errp)
{
    Engine *e = create(&engine_kvm, "kvm", background, errp);

    if (e) {
        ((Accelerated *)e)->guard = g_thread_new("guard", guard, e);
    }
    return e;
}

/* The code was changed behind the accelerator's back: tell it. */
static void code_changed(Guest *g, const OracleCase *c)
{
    unsigned len = MIN((unsigned)c->len + JUMP_MAX, (unsigned)ORACLE_PAGE - c->code_at);
    uint8_t bytes[X86_INSN_MAX + JUMP_MAX + 1];

    memcpy(bytes, g->mem + PHYS_CODE + c->code_at, len);
    as_write(g->m->mem, PHYS_CODE + c->code_at, bytes, len);
}

static RunExit run_until_halt(Accelerated *a, GError **errp)
{
    Vcpu *vcpu = &a->guest.c->vcpu;
    gint64 end = g_get_monotonic_time() + PATIENCE;
    RunExit why;

    vcpu->halted = false;
    do {
        why = a->accel->ops->run(a->accel, vcpu, MANY, errp);
        vcpu_lower(vcpu, VCPU_STOP);
    } while (why == RUN_REQUEST && g_get_monotonic_time() < end);
    return why;
}

static unsigned vector_of_handler(const X86Cpu *c)
{
    return (unsigned)((c->regs[X86_RIP] - KERNEL_AT - PHYS_HANDLER) / HANDLER_SIZE);
}

/* A REP that traps after each element goes on, as the child lets it. */
static bool goes_on(const Accelerated *a, const OracleCase *oc)
{
    const X86Cpu *c = a->guest.c;
    uint64_t rip;

    memcpy(&rip, a->guest.mem + (c->regs[X86_RSP] - KERNEL_AT), 8);
    return vector_of_handler(c) == EXC_DB && rip == oc->in.rip;
}

/* How child.c tells a case's own exceptions from those that end it. */
static void judge(const OracleCase *oc, OracleResult *out)
{
    enum { FETCH = 1 << 4 };
    OracleState *s = &out->state;
    bool based = (s->seg[X86_CS] & 4) != 0;

    if (out->vector == EXC_GP && s->rip == LOW_AT + LOW_LEAVE) {
        out->vector = ORACLE_NONE;
        s->rip = oc->in.rip + oc->len;
        s->seg[X86_CS] = oc->in.seg[X86_CS];
    } else if (out->vector == EXC_BP && s->rip != oc->in.rip + oc->len) {
        out->vector = ORACLE_NONE;
        s->rip--;
    } else if (out->vector == EXC_PF && (out->error & FETCH) && s->rip != oc->in.rip
               && out->cr2 == (based ? (uint32_t)(s->rip + CODE_AT) : s->rip)) {
        out->vector = ORACLE_NONE;
    }
}

/* No event of the case before is still to be delivered. */
static void begin(Accelerated *a)
{
    if (a->engine.ops == &engine_kvm) {
        a->accel->ops->reset(a->accel, &a->guest.c->vcpu);
    }
}

/* What KVM could not do itself, so far. */
static uint64_t interpreted(const Accelerated *a)
{
    return a->engine.ops == &engine_kvm ? kvm_interpreted(&a->guest.c->vcpu) : 0;
}

static bool run_one(Accelerated *a, const OracleCase *oc, OracleResult *out, GError **errp)
{
    Guest *g = &a->guest;
    X86Cpu *c = g->c;
    uint64_t before = interpreted(a);
    bool resumed = false;

    begin(a);
    guest_load(g, oc);
    code_changed(g, oc);
    RunExit why = run_until_halt(a, errp);
    for (unsigned steps = 0; why == RUN_HALTED && steps < oc->steps && goes_on(a, oc); steps++) {
        c->regs[X86_RIP] = KERNEL_AT + PHYS_HANDLER + HANDLER_IRET;
        why = run_until_halt(a, errp);
        resumed = true;
    }
    out->gap = interpreted(a) != before;
    guest_save(g, oc, out);
    code_changed(g, oc);
    if (resumed) {                      /* IRETQ to a 16-bit stack takes SP alone; Linux mends that, too */
        out->state.regs[X86_RSP] = oc->in.regs[X86_RSP];
    }
    if (why == RUN_HALTED) {
        judge(oc, out);
    } else {
        out->vector = why == RUN_SHUTDOWN ? ORACLE_SHUTDOWN : ORACLE_ENDLESS;
    }
    return why != RUN_FAILED;
}

static bool accelerated_has(Engine *e, const X86Row *row) { return guest_has(&((Accelerated *)e)->guest, row); }

static bool accelerated_run(Engine *e, const OracleCase *item, OracleResult *out, unsigned count, GError **errp)
{
    for (unsigned i = 0; i < count; i++) {
        if (!run_one((Accelerated *)e, &item[i], &out[i], errp)) {
            g_autoptr(GString) text = g_string_new(NULL);
            case_to_text(&item[i], text);
            g_prefix_error(errp, "%s: --replay '%s': ", e->ops->name, text->str);
            return false;
        }
    }
    return true;
}

const EngineOps engine_dbt = {
    .name = "dbt",
    .summary = "the translator, every instruction translated at once",
    .create = dbt_create,
    .destroy = accelerated_destroy,
    .has = accelerated_has,
    .run = accelerated_run,
};

const EngineOps engine_kvm = {
    .name = "kvm",
    .summary = "the processor in its guest mode, by the host's KVM",
    .create = kvm_create,
    .destroy = accelerated_destroy,
    .has = accelerated_has,
    .run = accelerated_run,
};
