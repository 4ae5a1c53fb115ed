/*
 * accel/dbt/x86_64/integer.c - general registers: moves, arithmetic, shifts.
 */
#include "trans.h"

/* ---- ADD OR ADC SBB AND SUB XOR CMP TEST, MOV ---- */

static bool binary(Trans *t, unsigned how)
{
    const X86Insn *in = t->in;
    const X86Row *r = in->row;
    unsigned bits = trans_operand_bits(in, 0), wide = bits != 8, lock = in->lock ? E_LOCK : 0;

    switch (r->operand[0].kind) {
    case OPK_E:
        if (r->operand[1].kind == OPK_G) {
            return trans_rm_reg(t, bits, how, false);
        }
        /* What not every host has is emitted as its twin: 82 is 80 in 32-bit code; F6 and F7 /1 are TEST, too, but in
         * the APM alone (volume 3, table A-6), and QEMU's processor has not got them. */
        return trans_rm(t, bits, lock, in->opcode == 0x82 ? 0x80 : in->opcode,
                        r->op == OP_TEST ? 0 : in->modrm >> 3 & 7, how,
                        r->operand[1].size == OPS_c || r->operand[1].size == OPS_b ? 1 : -1);
    case OPK_G:
        return trans_reg_rm(t, bits, bits, 0, how, 0);
    case OPK_AL: case OPK_rAX:                      /* in->rm is 0 where there is no ModRM */
        trans_before(t, how);
        emit_op(&t->e, (wide ? 0 : E_BYTE_RM) | trans_size_flags(bits), wide ? 0x81 : 0x80,
                in->opcode >> 3 & 7, host_reg(trans_pinned[X86_RAX]));
        trans_immediate(t, bits, false);
        trans_after(t, how);
        return true;
    default:
        return false;
    }
}

static bool test_accumulator(Trans *t)
{
    unsigned bits = trans_operand_bits(t->in, 0);

    trans_before(t, SETS_FLAGS);
    emit_op(&t->e, (bits == 8 ? E_BYTE_RM : 0) | trans_size_flags(bits), bits == 8 ? 0xf6 : 0xf7, 0,
            host_reg(trans_pinned[X86_RAX]));
    trans_immediate(t, bits, false);
    trans_after(t, SETS_FLAGS);
    return true;
}

bool trans_alu(Trans *t)
{
    const X86Row *r = t->in->row;

    switch (r->op) {
    case OP_TEST:
        if (r->operand[0].kind == OPK_AL || r->operand[0].kind == OPK_rAX) {
            return test_accumulator(t);
        }
        return binary(t, SETS_FLAGS | ONLY_READS);
    case OP_CMP:
        if (r->operand[0].kind == OPK_G) {
            return trans_reg_rm(t, trans_operand_bits(t->in, 0), trans_operand_bits(t->in, 0), 0,
                          SETS_FLAGS | ONLY_READS, 0);
        }
        return binary(t, SETS_FLAGS | ONLY_READS);
    case OP_ADC: case OP_SBB:
        return binary(t, SETS_FLAGS | READS_FLAGS);
    default:
        return binary(t, SETS_FLAGS);
    }
}

/* MOV between the accumulator and an address in the instruction. */
static bool move_direct(Trans *t, bool store)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, store ? 1 : 0), host = trans_pinned[X86_RAX];
    Operand m;

    if (!trans_memory(t, bits / 8, store, false, &m)) {
        return false;
    }
    emit_op(&t->e, (bits == 8 ? E_BYTE_REG : 0) | trans_size_flags(bits), (store ? 0x88 : 0x8a) | (bits != 8),
            host, m);
    return true;
}

static bool move_immediate(Trans *t, unsigned bits)
{
    const X86Insn *in = t->in;
    bool wide = bits >= 32;

    if (wide) {
        uint64_t v = bits == 32 ? (uint32_t)in->imm : in->imm;
        unsigned host = trans_pinned[in->rm];
        if (host == H_NONE && v == (uint64_t)(int32_t)v) {
            emit_op(&t->e, E_W, 0xc7, 0, trans_gs_reg(in->rm));
            emit32(&t->e, (uint32_t)v);
        } else {
            emit_imm(&t->e, host == H_NONE ? H_T0 : host, v);
            trans_put(t, in->rm, host == H_NONE ? H_T0 : host);
        }
        return true;
    }
    RegOperand r = trans_take_rm(t, bits, H_T0, true);
    emit_op(&t->e, (bits == 8 ? E_BYTE_RM : 0) | trans_size_flags(bits), bits == 8 ? 0xc6 : 0xc7, 0,
            host_reg(r.host));
    trans_immediate(t, bits, false);
    trans_finish(t, r);
    return true;
}

bool trans_mov(Trans *t)
{
    const X86Insn *in = t->in;
    const X86Row *r = in->row;

    if (r->operand[0].kind == OPK_O || r->operand[1].kind == OPK_O) {
        return move_direct(t, r->operand[0].kind == OPK_O);
    }
    if (r->operand[0].kind == OPK_Z || (r->operand[1].kind == OPK_I && in->mod3)) {
        return move_immediate(t, trans_operand_bits(in, 0));
    }
    if (r->operand[0].kind == OPK_M) {                              /* MOVNTI */
        return trans_rm_reg(t, trans_operand_bits(in, 0), ONLY_WRITES, false);
    }
    return binary(t, ONLY_WRITES);
}

/* ---- MOVZX MOVSX MOVSXD LEA ---- */

bool trans_extend(Trans *t)
{
    if (t->in->row->op == OP_MOVSXD && t->in->opsize == 16) {
        return false;
    }
    return trans_reg_rm(t, trans_operand_bits(t->in, 0), trans_operand_bits(t->in, 1), 0, ONLY_WRITES, 0);
}

bool trans_lea(Trans *t)
{
    const X86Insn *in = t->in;
    X86Insn narrow = *in;
    unsigned host = trans_pinned[in->reg];

    if (in->opsize == 16) {
        return false;
    }
    /* In place where nothing of the address is in scratch registers */
    unsigned to = host != H_NONE ? host : H_T1;
    if ((in->base < 16 && trans_pinned[in->base] == H_NONE)
        || (in->index < 16 && trans_pinned[in->index] == H_NONE)) {
        to = H_T1;
    }
    /* The low half of a sum is the sum of the low halves; but RIP is known as a whole. */
    if (in->opsize == 32 && in->addrsize == 64 && in->base != X86_RIP) {
        narrow.addrsize = 32;
    }
    t->in = &narrow;
    bool ok = trans_effective(t, to);
    t->in = in;
    if (!ok) {
        return false;
    }
    if (in->opsize == 32 && narrow.addrsize == 64) {
        emit_mov32(&t->e, to, to);
    }
    trans_put(t, in->reg, to);
    return true;
}

/* ---- one operand ---- */

bool trans_unary(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0), how = in->row->op == OP_NOT ? 0 : SETS_FLAGS;
    unsigned opcode = in->opcode, reg = in->modrm >> 3 & 7, lock = in->lock ? E_LOCK : 0;

    if (in->row->operand[0].kind == OPK_Z) {                        /* 40..4F are prefixes in 64-bit mode */
        opcode = 0xff;
        reg = in->row->op == OP_DEC;
    }
    return trans_rm(t, bits, lock, opcode, reg, how, 0);
}

/* A rotation by more than 1 leaves OF undefined, and what an Intel processor makes of it depends on where the
 * count comes from.  The handlers always have it in CL; if somebody may see OF, so have we. */
static bool rotates_as_by_cl(const Trans *t)
{
    const X86Insn *in = t->in;

    return (in->row->op == OP_ROL || in->row->op == OP_ROR) && in->row->operand[1].kind == OPK_I
        && (t->live[t->i + 1] & FL_OF);
}

bool trans_shift(Trans *t)
{
    const X86Insn *in = t->in;
    const unsigned by_cl = 0x12;                                    /* opcodes C0, C1 and D2, D3 */
    unsigned bits = trans_operand_bits(in, 0), kind = in->row->operand[1].kind, how = SETS_FLAGS;
    bool as_cl = rotates_as_by_cl(t);

    if (in->row->op == OP_RCL || in->row->op == OP_RCR) {
        how |= READS_FLAGS;
    }
    if (kind == OPK_CL || as_cl) {
        how |= COUNT_IN_CL;
    }
    return trans_rm(t, bits, 0, in->opcode + (as_cl ? by_cl : 0), in->modrm >> 3 & 7, how,
                    kind == OPK_I && !as_cl ? 1 : 0);
}

bool trans_double_shift(Trans *t)
{
    bool by_cl = t->in->row->operand[2].kind != OPK_I;

    return trans_rm_reg(t, trans_operand_bits(t->in, 0), SETS_FLAGS | (by_cl ? COUNT_IN_CL : 0), !by_cl);
}

bool trans_setcc(Trans *t)
{
    return trans_rm(t, 8, E_0F, t->in->opcode, 0, READS_FLAGS | ONLY_WRITES, 0);
}

bool trans_cmov(Trans *t)
{
    return trans_reg_rm(t, t->in->opsize, t->in->opsize, 0, READS_FLAGS, 0);
}
