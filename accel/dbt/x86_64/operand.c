/*
 * accel/dbt/x86_64/operand.c - the guest's instruction again, with its operands where they are here.
 */
#include "trans.h"

/* ---- operands in registers ---- */

RegOperand trans_take(Trans *t, unsigned guest, bool high, unsigned scratch, bool read)
{
    RegOperand r = { .host = trans_pinned[guest], .guest = (uint8_t)guest, .high = high };

    if (high) {
        r.host = (uint8_t)scratch;
        r.scratch = true;
        if (read) {
            emit_ror(&t->e, scratch, trans_pinned[guest], 8);
        }
    } else if (r.host == H_NONE) {
        r.host = (uint8_t)scratch;
        r.scratch = true;
        if (read) {
            emit_load(&t->e, scratch, trans_gs_reg(guest));
        }
    }
    return r;
}

/* RORX and MOV leave the flags. */
void trans_finish(Trans *t, RegOperand r)
{
    if (r.high) {
        unsigned host = trans_pinned[r.guest];
        emit_ror(&t->e, host, host, 8);
        emit_op(&t->e, E_BYTE, 0x8a, host, host_reg(r.host));
        emit_ror(&t->e, host, host, 56);
    } else if (r.scratch) {
        emit_store(&t->e, trans_gs_reg(r.guest), r.host);
    }
}

RegOperand trans_take_reg(Trans *t, unsigned bits, unsigned scratch, bool read)
{
    const X86Insn *in = t->in;

    return bits == 8 ? trans_take(t, in->reg8 >> 3, trans_is_high(in->reg8), scratch, read)
                     : trans_take(t, in->reg, false, scratch, read);
}

RegOperand trans_take_rm(Trans *t, unsigned bits, unsigned scratch, bool read)
{
    const X86Insn *in = t->in;

    return bits == 8 ? trans_take(t, in->rm8 >> 3, trans_is_high(in->rm8), scratch, read)
                     : trans_take(t, in->rm, false, scratch, read);
}

bool trans_reg_is_scratch(const X86Insn *in, unsigned bits)
{
    return bits == 8 ? trans_is_high(in->reg8) || trans_pinned[in->reg8 >> 3] == H_NONE
                     : trans_pinned[in->reg] == H_NONE;
}

/* ---- the instruction again ---- */

/* May the instruction name a register that is in X86Cpu where it is?  A result of 32 bits clears the rest of
 * the register, which memory does not do. */
static bool in_place(const X86Insn *in, unsigned bits, unsigned how)
{
    bool pinned = bits == 8 ? trans_is_high(in->rm8) || trans_pinned[in->rm8 >> 3] != H_NONE
                            : trans_pinned[in->rm] != H_NONE;

    return !pinned && !(how & IN_REGISTER) && ((how & ONLY_READS) || bits != 32);
}

static Operand register_in_place(const X86Insn *in, unsigned bits)
{
    return trans_gs_reg(bits == 8 ? in->rm8 >> 3 : in->rm);
}

static unsigned map_flags(const X86Insn *in) { return (unsigned)in->map << E_MAP_SHIFT; }

void trans_immediate(Trans *t, unsigned bits, bool byte)
{
    if (byte || bits == 8) {
        emit8(&t->e, (uint8_t)t->in->imm);
    } else if (bits == 16) {
        emit8(&t->e, (uint8_t)t->in->imm);
        emit8(&t->e, (uint8_t)(t->in->imm >> 8));
    } else {
        emit32(&t->e, (uint32_t)t->in->imm);
    }
}

void trans_before(Trans *t, unsigned how)
{
    if (how & (SETS_FLAGS | READS_FLAGS)) {
        trans_flags_needed(t);
    }
}

static void load_count(Trans *t, unsigned how)
{
    const X86Row *r = t->in->row;

    if (!(how & COUNT_IN_CL)) {
        return;
    }
    if (r->operand[1].kind == OPK_CL || r->operand[2].kind == OPK_CL) {
        emit_mov32(&t->e, H_T0, trans_pinned[X86_RCX]);
    } else {
        emit_imm(&t->e, H_T0, t->in->imm & 0xff);
    }
}

void trans_after(Trans *t, unsigned how)
{
    if (how & SETS_FLAGS) {
        trans_flags_written(t);
    }
}

/* r/m and what `reg` says: an extension of the opcode; immediate bytes behind. */
bool trans_rm(Trans *t, unsigned bits, unsigned flags, unsigned opcode, unsigned reg, unsigned how,
                    int imm_bytes /* -1: as the operand size */)
{
    const X86Insn *in = t->in;
    RegOperand r = { 0 };
    Operand rm;

    if (bits == 8) {
        flags |= E_BYTE_RM;
    }
    if (in->mod3 && in_place(in, bits, how)) {
        rm = register_in_place(in, bits);
    } else if (in->mod3) {
        /* A part of a register is written: the rest has to be there */
        bool read = !(how & ONLY_WRITES) || bits < 32;
        r = trans_take_rm(t, bits, how & COUNT_IN_CL ? H_T1 : H_T0, read);
        rm = host_reg(r.host);
    } else if (!trans_memory(t, bits / 8, !(how & ONLY_READS), how & COUNT_IN_CL, &rm)) {
        return false;
    }
    trans_before(t, how);
    load_count(t, how);
    emit_op(&t->e, flags | trans_size_flags(bits), opcode, reg, rm);
    if (imm_bytes) {
        trans_immediate(t, bits, imm_bytes == 1);
    }
    trans_after(t, how);
    if (in->mod3 && !(how & ONLY_READS)) {
        trans_finish(t, r);
    }
    return true;
}

/* r/m and a register as source; an immediate byte behind. */
bool trans_rm_reg(Trans *t, unsigned bits, unsigned how, bool imm_byte)
{
    const X86Insn *in = t->in;
    unsigned flags = bits == 8 ? E_BYTE : 0;
    RegOperand r = { 0 }, g;
    Operand rm;

    if (in->mod3 && in_place(in, bits, how)) {
        rm = register_in_place(in, bits);
        g = trans_take_reg(t, bits, H_T1, true);
    } else if (in->mod3) {
        if ((how & COUNT_IN_CL) && trans_pinned[in->rm] == H_NONE) {
            return false;                       /* that would take a third scratch register */
        }
        r = trans_take_rm(t, bits, H_T0, !(how & ONLY_WRITES) || bits < 32);
        rm = host_reg(r.host);
        g = trans_take_reg(t, bits, H_T1, true);
    } else {
        bool scratch = trans_reg_is_scratch(in, bits);
        if (((how & COUNT_IN_CL) && scratch)
            || !trans_memory(t, bits / 8, !(how & ONLY_READS), scratch || (how & COUNT_IN_CL), &rm)) {
            return false;
        }
        g = trans_take_reg(t, bits, H_T0, true);
    }
    trans_before(t, how);
    load_count(t, how);
    emit_op(&t->e, flags | trans_size_flags(bits) | map_flags(in) | (in->lock ? E_LOCK : 0), in->opcode, g.host,
            rm);
    if (imm_byte) {
        emit8(&t->e, (uint8_t)in->imm);
    }
    trans_after(t, how);
    if (in->mod3 && !(how & ONLY_READS)) {
        trans_finish(t, r);
    }
    return true;
}

/* A register as destination, r/m as source, each of its width. */
bool trans_reg_rm(Trans *t, unsigned bits, unsigned rm_bits, unsigned flags, unsigned how, int imm_bytes)
{
    const X86Insn *in = t->in;
    RegOperand r = { 0 }, g;
    Operand rm;

    flags |= (bits == 8 ? E_BYTE_REG : 0) | (rm_bits == 8 ? E_BYTE_RM : 0);
    if (in->mod3) {
        if (rm_bits != 8 && trans_pinned[in->rm] == H_NONE) {
            rm = trans_gs_reg(in->rm);
        } else {
            r = trans_take_rm(t, rm_bits, H_T1, true);
            rm = host_reg(r.host);
        }
    } else if (!trans_memory(t, rm_bits / 8, false, trans_reg_is_scratch(in, bits), &rm)) {
        return false;
    }
    bool read = !(how & ONLY_READS) ? !(how & ONLY_WRITES) || bits < 32 : true;
    g = trans_take_reg(t, bits, H_T0, read);
    trans_before(t, how);
    emit_op(&t->e, flags | trans_size_flags(bits) | map_flags(in), in->opcode, g.host, rm);
    if (imm_bytes) {
        trans_immediate(t, bits, imm_bytes == 1);
    }
    trans_after(t, how);
    if (!(how & ONLY_READS)) {
        trans_finish(t, g);
    }
    return true;
}
