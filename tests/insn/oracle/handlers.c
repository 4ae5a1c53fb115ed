/*
 * tests/insn/oracle/handlers.c - the engine `interp`: decoder, handlers, MMU and exception delivery of
 * target/x86, one instruction at a time, without an accelerator's run loop.
 */
#include "engine.h"
#include "guest.h"
#include "target/x86/exec.h"

typedef struct Handlers {
    Engine engine;                      /* first */
    Guest guest;
    X86Insn insn[2];
} Handlers;

/* The bytes at CS:RIP as the interpreter's block builder takes them. */
static void fetch(Handlers *h, const OracleCase *oc)
{
    X86Cpu *c = h->guest.c;
    hwaddr gpa;
    const uint8_t *page = x86_fetch_page(c, CODE_AT, &gpa, NULL);
    int len = x86_decode(h->insn, page + oc->code_at, ORACLE_PAGE - oc->code_at, oc->bits);

    if (len == X86_DECODE_SHORT) {
        x86_fetch_page(c, CODE_AT + ORACLE_PAGE, &gpa, NULL);
    }
    if (len == X86_DECODE_LONG) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (len < 0) {
        x86_raise(c, EXC_UD);
    }
    h->insn[0].exec = x86_bind(c, h->insn);
    h->insn[1] = (X86Insn){ .exec = x86_exec_stop };
}

static void run_one(Handlers *h, const OracleCase *oc)
{
    X86Cpu *c = h->guest.c;
    uint64_t start = c->regs[X86_RIP];
    volatile unsigned steps = 0;

    if (setjmp(h->guest.unwind) == 0) {
        fetch(h, oc);
        do {
            c->cur = h->insn;
            c->regs[X86_RIP] += h->insn[0].len;
            h->insn[0].exec(c, h->insn);
        } while (c->cpl == 3 && c->regs[X86_RIP] == start && (!(oc->in.flags & FL_TF) || steps++ < oc->steps));
        c->cur = NULL;
        return;
    }
    while (setjmp(h->guest.unwind)) {
    }
    c->cur = NULL;
    g_assert_true(x86_deliver(c));
}

static bool handlers_has(Engine *e, const X86Row *row) { return guest_has(&((Handlers *)e)->guest, row); }

static void handlers_destroy(Engine *e)
{
    guest_close(&((Handlers *)e)->guest);
    g_free(e);
}

static Engine *handlers_create(const uint8_t *background, GError **errp)
{
    Handlers *h = g_new0(Handlers, 1);

    h->engine.ops = &engine_handlers;
    if (!guest_open(&h->guest, background, errp)) {
        handlers_destroy(&h->engine);
        return NULL;
    }
    guest_start(&h->guest);
    return &h->engine;
}

static bool handlers_run(Engine *e, const OracleCase *item, OracleResult *out, unsigned count, GError **errp)
{
    Handlers *h = (Handlers *)e;

    for (unsigned i = 0; i < count; i++) {
        guest_load(&h->guest, &item[i]);
        run_one(h, &item[i]);
        guest_save(&h->guest, &item[i], &out[i]);
    }
    return true;
}

const EngineOps engine_handlers = {
    .name = "interp",
    .summary = "decoder and handlers of target/x86, one instruction at a time",
    .create = handlers_create,
    .destroy = handlers_destroy,
    .has = handlers_has,
    .run = handlers_run,
};
