/*
 * accel/dbt/x86_64/x87.c - the x87's instructions on the guest's stack in the host's x87 (live.c), and the
 * few that go with them: SAHF behind FNSTSW, EMMS.
 *
 * FIP, FOP and FCS are set where somebody may see them (trans_live_point()), FDP and FDS at once.
 */
#include "trans.h"

enum { FCW_MASKS = 0x3f };

/* FDP is the offset in the segment, which is the linear address for those without a base. */
static void note_operand(Trans *t)
{
    unsigned segment = t->in->segment;

    trans_address(t, H_T1);
    emit_store(&t->e, GS_OF(fpu.fdp), H_T1);
    if (t->x87_segment != segment + 1) {
        emit_op(&t->e, E_0F, 0xb7, H_T0, host_gs((int32_t)(offsetof(X86Cpu, seg) + segment * sizeof(X86Segment)
                                                           + offsetof(X86Segment, selector))));
        emit_op(&t->e, E_66, 0x89, H_T0, GS_OF(fpu.fds));
        t->x87_segment = (uint8_t)(segment + 1);
    }
}

bool trans_host_x87(Trans *t)
{
    const X86Insn *in = t->in;
    const X86Row *r = in->row;
    Operand m;

    if ((!in->mod3 && in->segment >= X86_FS) || !trans_live(t, LIVE_X87)) {
        return false;
    }
    if (in->mod3) {
        if (r->flags_read | r->flags_written) {
            trans_flags_needed(t);
        }
        emit8(&t->e, in->opcode);
        emit8(&t->e, in->modrm);
        if (r->flags_written) {
            trans_flags_written(t);
        }
    } else {
        if (!trans_memory(t, x86_memory_bytes(in), r->operand[0].kind == OPK_M, false, &m)) {
            return false;
        }
        emit_op(&t->e, 0, in->opcode, in->modrm >> 3 & 7, m);
        note_operand(t);
    }
    if (!(r->words & IN_NOWAIT)) {
        t->x87_last = (uint8_t)(t->i + 1);
    }
    return true;
}

bool trans_emms(Trans *t)
{
    if (!trans_live(t, LIVE_X87)) {
        return false;
    }
    emit8(&t->e, 0x0f);
    emit8(&t->e, 0x77);
    return true;
}

/* No exception can be pending while the x87 is live. */
bool trans_wait(Trans *t) { return trans_live(t, LIVE_X87); }

bool trans_fnstsw(Trans *t)
{
    unsigned rax = trans_pinned[X86_RAX];
    Operand m;

    if (!trans_live(t, LIVE_X87)) {
        return false;
    }
    if (!t->in->mod3) {
        if (!trans_memory(t, 2, true, false, &m)) {
            return false;
        }
        emit_op(&t->e, 0, 0xdd, 7, m);
        return true;
    }
    emit_mov32(&t->e, H_T0, H_FLAGS);
    emit8(&t->e, 0xdf);
    emit8(&t->e, 0xe0);
    emit_op(&t->e, E_66, 0x8b, rax, host_reg(H_RAX));
    emit_mov32(&t->e, H_FLAGS, H_T0);
    return true;
}

/* FNSTCW, FLDCW.  A control word that does not mask all exceptions is for the handler. */
bool trans_x87_word(Trans *t)
{
    Emit *e = &t->e;
    bool store = t->in->row->op == OP_FNSTCW;
    Operand m;

    if (!trans_live(t, LIVE_X87) || !trans_memory(t, 2, store, false, &m)) {
        return false;
    }
    if (store) {
        emit_op(e, 0, 0xd9, 7, m);
        return true;
    }
    emit_op(e, E_0F, 0xb7, H_T0, m);
    emit_op(e, E_66, 0x89, H_T0, GS_OF(dbt.temp));
    emit_op(e, 0, 0xf7, 2, host_reg(H_T0));                     /* not; test */
    emit_op(e, E_BYTE_RM, 0xf6, 0, host_reg(H_T0));
    emit8(e, FCW_MASKS);
    trans_slow_if(t, CC_NE);
    emit_op(e, 0, 0xd9, 5, GS_OF(dbt.temp));
    return true;
}

/* ---- AH and the flags: AX has them as LAHF leaves them ---- */

bool trans_lahf(Trans *t)
{
    trans_flags_saved(t);
    emit_ror(&t->e, H_T0, H_FLAGS, 8);
    emit_alu_imm(&t->e, 0, ALU_OR, host_reg(H_T0), FL_1);       /* handlers leave it out of X86Cpu.cc */
    trans_flags_clobbered(t);
    trans_finish(t, (RegOperand){ .host = H_T0, .guest = X86_RAX, .high = true });
    return true;
}

bool trans_sahf(Trans *t)
{
    Emit *e = &t->e;

    trans_flags_saved(t);
    emit_mov32(e, H_T0, trans_pinned[X86_RAX]);
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_T0), (FL_STATUS & 0xff) << 8);
    emit_alu_imm(e, 0, ALU_OR, host_reg(H_T0), FL_1 << 8);
    emit_op(e, E_0F, 0xb6, H_FLAGS, host_reg(H_FLAGS));         /* OF stays */
    emit_op(e, 0, 0x0b, H_FLAGS, host_reg(H_T0));
    t->flags = FLAGS_AX;
    return true;
}
