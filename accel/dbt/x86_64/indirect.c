/*
 * accel/dbt/x86_64/indirect.c - jumps to an address that is not known before: RET, and JMP and CALL through a register
 * or memory.
 */
#include "trans.h"

/* The entry of the jump table for the RIP in T1 to T0; the jump is for another RIP there. */
uint8_t *emit_jump_entry(Emit *e)
{
    G_STATIC_ASSERT(sizeof(DbtJump) == 32);
    emit_ror(e, H_T0, H_T1, 64 - 5);
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_T0), (DBT_JUMP_SIZE - 1) << 5);
    emit_op(e, E_W, 0x03, H_T0, GS_OF(dbt.jump));
    emit_op(e, E_W, 0x3b, H_T1, host_mem(H_T0, offsetof(DbtJump, rip)));
    return emit_jcc(e, CC_NE);
}

/* To where the entry at T0 says. */
void emit_jump_by_entry(Emit *e)
{
    emit_load(e, H_T1, host_mem(H_T0, offsetof(DbtJump, page)));
    emit_store(e, GS_OF(dbt.page), H_T1);
    emit_op(e, 0, 0xff, 4, host_mem(H_T0, offsetof(DbtJump, code)));        /* jmp */
}

/* By the jump table: each jump has its own copy of this, so that the host can predict each.  Nobody looks for
 * requests: when there is one the table is an empty one. */
void trans_exit_indirect(Trans *t, unsigned pop)
{
    Emit *e = &t->e;

    t->indirect = (IndirectMiss){ .pop = (int32_t)pop, .x87_last = t->x87_last };
    trans_live_point(t);
    t->indirect.other = emit_jump_entry(e);
    emit_load(e, H_T1, t->b->key & MODE_CPL ? GS_OF(dbt.tag) : GS_OF(dbt.global_tag));     /* most likely */
    emit_op(e, E_W, 0x3b, H_T1, host_mem(H_T0, offsetof(DbtJump, tag)));
    t->indirect.old = emit_jcc(e, CC_NE);
    trans_move_sp(t, (int32_t)pop);
    emit_jump_by_entry(e);
    t->ended = true;
}

/* What is in the table is canonical; what is not may be anything, and then nothing has happened yet. */
void trans_indirect_miss(Trans *t)
{
    Emit *e = &t->e;

    if (!t->indirect.other) {
        return;
    }
    t->i = t->b->count - 1;
    t->together = 1;
    t->x87_last = t->indirect.x87_last;
    emit_land(e, t->indirect.old);
    emit_load(e, H_T1, host_mem(H_T0, offsetof(DbtJump, rip)));
    emit_land(e, t->indirect.other);
    trans_check_canonical(t);
    trans_move_sp(t, t->indirect.pop);
    emit_jmp_to(e, t->v->thunk.jump_other);
}
