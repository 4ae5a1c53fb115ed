/*
 * accel/interp/interp.c - the interpreter: runs decoded blocks by their handlers.
 *
 * It is the definition of what an instruction does; other accelerators are measured by it.  Each
 * handler goes on with the next by itself (target/x86/exec.h), so that this loop turns once a block.
 */
#include "accel/engine.h"

static void run(EngineVcpu *v, X86Cpu *c, Block *b, bool alone)
{
    engine_run_block(v, c, b);
    while (!alone && engine_undisturbed(v, c)) {
        engine_run_block(v, c, engine_find(v, c, engine_linear_rip(c), c->mode));
    }
}

static Accel *interp_create(Machine *m, const KeyVals *options, GError **errp)
{
    static const EngineOps code = { .vcpu_size = sizeof(EngineVcpu), .run = run };

    return engine_create(m, sizeof(Engine), &code);
}

const AccelOps accel_interp = {
    .name = "interp",
    .summary = "interprets every instruction: exact, on any host",
    .create = interp_create,
    .destroy = engine_destroy,
    .vcpu_create = engine_vcpu_create,
    .vcpu_destroy = engine_vcpu_destroy,
    .run = engine_run,
    .flush = engine_flush,
    .reset = engine_reset,
    .set_breakpoint = engine_set_breakpoint,
    .set_watchpoints = engine_set_watchpoints,
    .insn_count = engine_insn_count,
    .info = engine_info,
};
