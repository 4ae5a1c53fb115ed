/*
 * tests/insn/oracle/accelerated.c - the engine `dbt`: cases by the run loop of an accelerator, as a guest's ring 3
 * has them.
 *
 * What is behind the instruction is as for the child (child.c): INT3, or a jump to a place that is known.  Whatever
 * ends the case, its handler in ring 0 halts the processor.
 */
#include <string.h>
#include "accel/accel.h"
#include "engine.h"
#include "guest.h"
#include "trampoline.h"
#include "target/x86/exec.h"

enum { MANY = 100000 };                 /* instructions; no case has as many */

typedef struct Accelerated {
    Engine engine;                      /* first */
    Guest guest;
    Accel *accel;
} Accelerated;

static void accelerated_destroy(Engine *e)
{
    Accelerated *a = (Accelerated *)e;

    if (a->accel) {
        a->accel->ops->vcpu_destroy(a->accel, &a->guest.c->vcpu);
        a->accel->ops->destroy(a->accel);
    }
    guest_close(&a->guest);
    g_free(a);
}

static Engine *accelerated_create(const uint8_t *background, GError **errp)
{
    Accelerated *a = g_new0(Accelerated, 1);

    a->engine.ops = &engine_dbt;
    if (guest_open(&a->guest, background, errp)) {
        a->accel = accel_open(a->guest.m, "dbt,first-runs=0", errp);
    }
    if (!a->accel || !a->accel->ops->vcpu_create(a->accel, &a->guest.c->vcpu, errp)) {
        accelerated_destroy(&a->engine);
        return NULL;
    }
    return &a->engine;
}

/* The code was changed behind the accelerator's back: tell it. */
static void code_changed(Guest *g, const OracleCase *c)
{
    unsigned len = MIN((unsigned)c->len + JUMP_MAX, (unsigned)ORACLE_PAGE - c->code_at);
    uint8_t bytes[X86_INSN_MAX + JUMP_MAX + 1];

    memcpy(bytes, g->mem + PHYS_CODE + c->code_at, len);
    as_write(g->m->mem, PHYS_CODE + c->code_at, bytes, len);
}

static bool run_until_halt(Accelerated *a, GError **errp)
{
    X86Cpu *c = a->guest.c;

    c->vcpu.halted = false;
    return a->accel->ops->run(a->accel, &c->vcpu, MANY, errp) == RUN_HALTED;
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

static bool run_one(Accelerated *a, const OracleCase *oc, OracleResult *out, GError **errp)
{
    Guest *g = &a->guest;
    X86Cpu *c = g->c;
    bool halted, resumed = false;

    guest_load(g, oc);
    code_changed(g, oc);
    halted = run_until_halt(a, errp);
    for (unsigned steps = 0; halted && steps < oc->steps && goes_on(a, oc); steps++) {
        c->regs[X86_RIP] = KERNEL_AT + PHYS_HANDLER + HANDLER_IRET;
        halted = run_until_halt(a, errp);
        resumed = true;
    }
    guest_save(g, oc, out);
    code_changed(g, oc);
    if (resumed) {                      /* IRETQ to a 16-bit stack takes SP alone; Linux mends that, too */
        out->state.regs[X86_RSP] = oc->in.regs[X86_RSP];
    }
    if (halted) {
        judge(oc, out);
    } else {
        out->vector = ORACLE_ENDLESS;
    }
    return !*errp;
}

static bool accelerated_has(Engine *e, const X86Row *row) { return guest_has(&((Accelerated *)e)->guest, row); }

static bool accelerated_run(Engine *e, const OracleCase *item, OracleResult *out, unsigned count, GError **errp)
{
    for (unsigned i = 0; i < count; i++) {
        if (!run_one((Accelerated *)e, &item[i], &out[i], errp)) {
            return false;
        }
    }
    return true;
}

const EngineOps engine_dbt = {
    .name = "dbt",
    .summary = "the translator, every instruction translated at once",
    .create = accelerated_create,
    .destroy = accelerated_destroy,
    .has = accelerated_has,
    .run = accelerated_run,
};
