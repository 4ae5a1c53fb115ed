/*
 * accel/dbt/x86_64/thunks.c - the way into translated code and out of it, and from it to C and back.
 *
 * Within translated code RSP is the host's, a multiple of 16; a thunk that is called finds it 8 less.
 */
#include "trans.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "util/error.h"

static const uint8_t saved[] = { H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15 };

bool dbt_host_supported(GError **errp)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("bmi2")) {
        error_set(errp, "the translator needs a host processor with BMI2 (Intel since Haswell, AMD since Zen)");
        return false;
    }
    return true;
}

void dbt_enter_thread(X86Cpu *c)
{
    syscall(SYS_arch_prctl, ARCH_SET_GS, c);
}

static void push(Emit *e, unsigned reg)
{
    if (reg & 8) {
        emit8(e, 0x41);
    }
    emit8(e, 0x50 | (reg & 7));
}

static void pop(Emit *e, unsigned reg)
{
    if (reg & 8) {
        emit8(e, 0x41);
    }
    emit8(e, 0x58 | (reg & 7));
}

static void emit_spill(const DbtVcpu *v, Emit *e)
{
    for (unsigned r = 0; r < 16; r++) {
        if (trans_pinned[r] != H_NONE) {
            emit_store(e, trans_gs_reg(r), trans_pinned[r]);
        }
    }
    emit_op(e, E_66, 0x89, H_FLAGS, GS_OF(cc));
    live_emit_spill(v, e);
}

static void emit_reload(Emit *e)
{
    for (unsigned r = 0; r < 16; r++) {
        if (trans_pinned[r] != H_NONE) {
            emit_load(e, trans_pinned[r], trans_gs_reg(r));
        }
    }
    emit_op(e, E_0F, 0xb7, H_FLAGS, GS_OF(cc));                 /* movzx */
}

static const void *make_enter(Emit *e)
{
    uint8_t *at = e->p;

    for (unsigned i = 0; i < G_N_ELEMENTS(saved); i++) {
        push(e, saved[i]);
    }
    emit_alu_imm(e, E_W, ALU_SUB, host_reg(H_RSP), 8);
    emit_store(e, GS_OF(dbt.target), H_RSI);
    emit_reload(e);
    emit_op(e, 0, 0xff, 4, GS_OF(dbt.target));                  /* jmp */
    return at;
}

/* Back to who called `enter`; the answer is in EAX. */
static const uint8_t *make_done(Emit *e)
{
    const uint8_t *at = e->p;

    emit_alu_imm(e, E_W, ALU_ADD, host_reg(H_RSP), 8);
    for (unsigned i = G_N_ELEMENTS(saved); i-- > 0; ) {
        pop(e, saved[i]);
    }
    emit8(e, 0xc3);
    return at;
}

/* Jumped to with something for dbt.what in T0. */
static const uint8_t *make_leave(Emit *e, const DbtVcpu *v, DbtExit why, const uint8_t *done)
{
    const uint8_t *at = e->p;

    emit_store(e, GS_OF(dbt.what), H_T0);
    emit_spill(v, e);
    emit_imm(e, H_RAX, why);
    emit_jmp_to(e, done);
    return at;
}

/* Called with an instruction in T0 and the offset behind it in T1.  Without `returns`, what is called
 * has changed RIP for good, and may say where the code for that is. */
static const uint8_t *make_call(Emit *e, DbtVcpu *v, uintptr_t fn, bool returns, const uint8_t *done)
{
    const uint8_t *at = e->p;

    emit_spill(v, e);
    emit_imm(e, H_RDI, (uintptr_t)v);
    emit_mov(e, H_RSI, H_T0);
    emit_mov32(e, H_RDX, H_T1);
    emit_imm(e, H_RAX, fn);
    emit_alu_imm(e, E_W, ALU_SUB, host_reg(H_RSP), 8);
    emit_op(e, 0, 0xff, 2, host_reg(H_RAX));                    /* call */
    emit_alu_imm(e, E_W, ALU_ADD, host_reg(H_RSP), 8);
    if (returns) {
        emit_op(e, 0, 0x85, H_RAX, host_reg(H_RAX));            /* test */
        uint8_t *out = emit_jcc(e, CC_NE);
        emit_reload(e);
        emit8(e, 0xc3);
        emit_land(e, out);
    } else {
        emit_alu_imm(e, E_W, ALU_ADD, host_reg(H_RSP), 8);
        emit_op(e, E_W, 0x85, H_RAX, host_reg(H_RAX));
        uint8_t *out = emit_jcc(e, CC_E);
        emit_store(e, GS_OF(dbt.target), H_RAX);
        emit_reload(e);
        emit_op(e, 0, 0xff, 4, GS_OF(dbt.target));              /* jmp */
        emit_land(e, out);
        emit_imm(e, H_RAX, EXIT_LOOKUP);
        emit_jmp_to(e, done);
        return at;
    }
    emit_alu_imm(e, E_W, ALU_ADD, host_reg(H_RSP), 8);
    emit_jmp_to(e, done);
    return at;
}

/* The jump table has another RIP than that in T1; or the right one, but with the other of the two tags, or of
 * another time. */
static void make_jump_misses(DbtVcpu *v, Emit *e, const uint8_t *done)
{
    v->thunk.jump_other = e->p;
    uint8_t *other = emit_jump_entry(e);
    emit_load(e, H_T1, host_mem(H_T0, offsetof(DbtJump, tag)));
    emit_op(e, E_W, 0x3b, H_T1, GS_OF(dbt.tag));
    uint8_t *local = emit_jcc(e, CC_E);
    emit_op(e, E_W, 0x3b, H_T1, GS_OF(dbt.global_tag));
    uint8_t *old = emit_jcc(e, CC_NE);
    emit_land(e, local);
    emit_jump_by_entry(e);
    emit_land(e, old);
    emit_load(e, H_T1, host_mem(H_T0, offsetof(DbtJump, rip)));
    emit_land(e, other);
    v->thunk.lookup = e->p;
    emit_store(e, trans_gs_reg(X86_RIP), H_T1);
    emit_spill(v, e);
    emit_imm(e, H_RAX, EXIT_LOOKUP);
    emit_jmp_to(e, done);
}

void dbt_make_thunks(DbtVcpu *v)
{
    Emit e = { .p = v->cache.rw, .end = v->cache.rw + v->cache.size };
    const uint8_t *enter = make_enter(&e), *done = make_done(&e);

    live_make_spill(v, &e);
    v->thunk.not_live = make_call(&e, v, (uintptr_t)dbt_not_live, true, done);
    live_make_loads(v, &e);
    v->thunk.enter = (int (*)(X86Cpu *, const void *))(uintptr_t)(enter + v->cache.exec);
    v->thunk.link_eflags = e.p;
    emit_save_flags(&e);
    v->thunk.link = make_leave(&e, v, EXIT_LINK, done);
    v->thunk.stale = make_leave(&e, v, EXIT_STALE, done);
    v->thunk.budget = make_leave(&e, v, EXIT_BUDGET, done);
    v->thunk.handlers = make_call(&e, v, (uintptr_t)dbt_run_handlers, true, done);
    v->thunk.handlers_last = make_call(&e, v, (uintptr_t)dbt_run_handlers_last, false, done);
    v->thunk.slow = make_call(&e, v, (uintptr_t)dbt_run_slow, true, done);
    v->thunk.slow_last = make_call(&e, v, (uintptr_t)dbt_run_slow_last, false, done);
    v->thunk.far = make_leave(&e, v, EXIT_FAR, done);
    v->thunk.tail = make_leave(&e, v, EXIT_TAIL, done);
    make_jump_misses(v, &e, done);
    stack_make_misses(v, &e);
    g_assert(!e.full);
    v->cache.start = v->cache.used = (size_t)(e.p - v->cache.rw);
}
