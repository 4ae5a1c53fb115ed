/*
 * accel/dbt/x86_64/bits.c - general registers: multiplication and division, bits, exchanges.
 */
#include "trans.h"

#include "target/x86/model.h"

/* ---- multiplication and division ---- */

static void accumulator_in(Trans *t) { emit_mov(&t->e, H_RAX, trans_pinned[X86_RAX]); }
static void accumulator_out(Trans *t) { emit_mov(&t->e, trans_pinned[X86_RAX], H_RAX); }

/* EDX:EAX = EAX * r/m; of bytes AX = AL * r/m. */
bool trans_multiply1(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0);
    Operand rm;

    if (in->mod3) {
        rm = host_reg(trans_take_rm(t, bits, H_T0, true).host);
    } else if (!trans_memory(t, bits / 8, false, false, &rm)) {
        return false;
    }
    trans_flags_needed(t);
    accumulator_in(t);
    emit_op(&t->e, (bits == 8 ? E_BYTE_RM : 0) | trans_size_flags(bits), in->opcode, in->modrm >> 3 & 7, rm);
    accumulator_out(t);
    trans_flags_written(t);
    return true;
}

bool trans_multiply(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0);
    unsigned kind = in->row->operand[2].kind;

    return trans_reg_rm(t, bits, bits, 0, SETS_FLAGS | (kind == OPK_I ? ONLY_WRITES : 0),
                  kind != OPK_I ? 0 : in->row->operand[2].size == OPS_c ? 1 : -1);
}

/* Where the quotient cannot be too large: DIV with the upper half below the divisor; IDIV of a value that
 * is only sign-extended, by neither 0 nor -1.  Everything else is the handler's. */
bool trans_divide(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0), size = trans_size_flags(bits), divisor = H_T1;
    Emit *e = &t->e;
    Operand rm;

    if (bits < 32) {
        return false;
    }
    if (in->mod3) {
        divisor = trans_use(t, in->rm, H_T1);
    } else {
        if (!trans_memory(t, bits / 8, false, false, &rm)) {
            return false;
        }
        emit_op(e, size, 0x8b, H_T1, rm);
    }
    trans_flags_saved(t);
    if (in->row->op == OP_DIV) {
        emit_op(e, size, 0x3b, trans_pinned[X86_RDX], host_reg(divisor));
        trans_slow_if(t, CC_AE);
    } else {
        emit_op(e, size, 0x8b, H_T0, host_reg(trans_pinned[X86_RAX]));
        emit_op(e, size, 0xc1, 7, host_reg(H_T0));                  /* sar */
        emit8(e, bits - 1);
        emit_op(e, size, 0x3b, H_T0, host_reg(trans_pinned[X86_RDX]));
        trans_slow_if(t, CC_NE);
        emit_op(e, size, 0x8d, H_T0, host_mem(divisor, 1));
        emit_alu_imm(e, size, ALU_CMP, host_reg(H_T0), 1);
        trans_slow_if(t, CC_BE);
    }
    trans_flags_clobbered(t);
    trans_flags_needed(t);
    accumulator_in(t);
    emit_op(e, size, 0xf7, in->modrm >> 3 & 7, host_reg(divisor));
    accumulator_out(t);
    trans_flags_written(t);
    return true;
}

/* CBW CWDE CDQE, CWD CDQ CQO: without touching the flags. */
bool trans_widen(Trans *t)
{
    const X86Insn *in = t->in;
    Emit *e = &t->e;
    unsigned a = trans_pinned[X86_RAX], d = trans_pinned[X86_RDX];

    if (in->row->op == OP_CBW) {
        switch (in->opsize) {
        case 16: emit_op(e, E_66 | E_0F | E_BYTE_RM, 0xbe, a, host_reg(a)); break;
        case 32: emit_op(e, E_0F, 0xbf, a, host_reg(a)); break;
        default: emit_op(e, E_W, 0x63, a, host_reg(a)); break;
        }
        return true;
    }
    if (in->opsize == 16) {
        return false;
    }
    if (in->opsize == 32) {
        emit_op(e, E_W, 0x63, d, host_reg(a));
        emit_ror(e, d, d, 32);
        emit_mov32(e, d, d);
        return true;
    }
    emit_ror(e, d, a, 32);
    emit_op(e, E_W, 0x63, d, host_reg(d));
    emit_ror(e, d, d, 32);
    emit_op(e, E_W, 0x63, d, host_reg(d));
    return true;
}

/* ---- bits ---- */

/* With a register the bit may be anywhere: the word that holds it, and in T0 its number there. */
static bool word_of_bit(Trans *t, bool write, Operand *word)
{
    const X86Insn *in = t->in;
    Emit *e = &t->e;
    unsigned wide = t->code64 ? E_W : 0, bits = in->opsize;

    if (bits < 32 || in->addrsize != (t->code64 ? 64 : 32)) {
        return false;
    }
    trans_flags_saved(t);
    if (!trans_address(t, H_T1)) {
        return false;
    }
    if (bits == 32 && t->code64) {
        emit_op(e, E_W, 0x63, H_T0, trans_reg(in->reg));            /* movsxd */
    } else {
        emit_op(e, wide, 0x8b, H_T0, trans_reg(in->reg));
    }
    emit_op(e, wide, 0xc1, 7, host_reg(H_T0));                      /* sar: which word */
    emit8(e, bits == 64 ? 6 : 5);
    emit_op(e, wide, 0x8d, H_T1, host_mem_index(H_T1, H_T0, bits == 64 ? 3 : 2, 0));
    *word = trans_probe(t, bits / 8, write, true);
    emit_op(e, 0, 0x8b, H_T0, trans_reg(in->reg));
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_T0), (int32_t)bits - 1);
    return true;
}

bool trans_bit(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = in->opsize, how = SETS_FLAGS | (in->row->op == OP_BT ? ONLY_READS : 0);

    if (in->row->operand[1].kind == OPK_I) {
        return trans_rm(t, bits, E_0F | (in->lock ? E_LOCK : 0), in->opcode, in->modrm >> 3 & 7, how, 1);
    }
    if (in->mod3) {
        return trans_rm_reg(t, bits, how | IN_REGISTER, false);
    }
    Operand word;
    if (!word_of_bit(t, in->row->op != OP_BT, &word)) {
        return false;
    }
    trans_flags_needed(t);
    emit_op(&t->e, E_0F | trans_size_flags(bits) | (in->lock ? E_LOCK : 0), in->opcode, H_T0, word);
    trans_flags_written(t);
    return true;
}

/* BSF and BSR leave the register when the source is 0. */
bool trans_scan(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned flags = in->row->pfx == X86_PFX_F3 ? E_F3 : 0;

    if ((in->row->op == OP_TZCNT && !x86_feature(t->c, FEAT_BMI1))
        || (in->row->op == OP_LZCNT && !x86_feature(t->c, FEAT_ABM))) {
        flags = 0;
    }
    return trans_reg_rm(t, in->opsize, in->opsize, flags, SETS_FLAGS, 0);
}

bool trans_bswap(Trans *t)
{
    const X86Insn *in = t->in;
    RegOperand r = trans_take(t, in->rm, false, H_T0, true);

    if (in->opsize == 16) {
        return false;
    }
    unsigned rex = 0x40 | (in->opsize == 64 ? 8 : 0) | (r.host & 8 ? 1 : 0);
    emit8(&t->e, rex);
    emit8(&t->e, 0x0f);
    emit8(&t->e, 0xc8 | (r.host & 7));
    trans_finish(t, r);
    return true;
}

/* ---- exchanges ---- */

static bool exchange_registers(Trans *t, unsigned a, unsigned b, unsigned bits)
{
    Emit *e = &t->e;
    unsigned ha = trans_pinned[a], hb = trans_pinned[b];

    if (bits < 32) {
        if (ha == H_NONE || hb == H_NONE) {
            return false;
        }
        emit_op(e, trans_size_flags(bits) | (bits == 8 ? E_BYTE : 0), bits == 8 ? 0x86 : 0x87, ha,
                host_reg(hb));
        return true;
    }
    unsigned size = trans_size_flags(bits);
    emit_op(e, size, 0x8b, H_T0, trans_reg(a));
    emit_op(e, size, 0x8b, H_T1, trans_reg(b));
    trans_put(t, a, H_T1);
    trans_put(t, b, H_T0);
    return true;
}

bool trans_xchg(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0);
    Operand rm;

    if (in->row->operand[0].kind == OPK_Z) {
        return exchange_registers(t, in->rm, X86_RAX, bits);
    }
    if (in->mod3) {
        if (bits == 8 && (trans_is_high(in->reg8) || trans_is_high(in->rm8))) {
            return false;
        }
        return exchange_registers(t, bits == 8 ? in->rm8 >> 3 : in->rm, bits == 8 ? in->reg8 >> 3 : in->reg,
                                  bits);
    }
    if (!trans_memory(t, bits / 8, true, true, &rm)) {
        return false;
    }
    RegOperand g = trans_take_reg(t, bits, H_T0, true);
    emit_op(&t->e, (bits == 8 ? E_BYTE_REG : 0) | trans_size_flags(bits), in->opcode, g.host, rm);
    trans_finish(t, g);
    return true;
}

bool trans_xadd(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0);
    Operand rm;

    if (in->mod3 || !trans_memory(t, bits / 8, true, true, &rm)) {
        return false;
    }
    RegOperand g = trans_take_reg(t, bits, H_T0, true);
    emit_op(&t->e, (bits == 8 ? E_BYTE_REG : 0) | trans_size_flags(bits) | E_0F | (in->lock ? E_LOCK : 0),
            in->opcode, g.host, rm);
    trans_flags_written(t);
    trans_finish(t, g);
    return true;
}

bool trans_cmpxchg(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned bits = trans_operand_bits(in, 0);
    Operand rm;

    if (in->mod3 || !trans_memory(t, bits / 8, true, true, &rm)) {
        return false;
    }
    RegOperand g = trans_take_reg(t, bits, H_T0, true);
    accumulator_in(t);
    emit_op(&t->e, (bits == 8 ? E_BYTE_REG : 0) | trans_size_flags(bits) | E_0F | (in->lock ? E_LOCK : 0),
            in->opcode, g.host, rm);
    accumulator_out(t);
    trans_flags_written(t);
    return true;
}

/* CMPXCHG8B, CMPXCHG16B: RDX and RBX are where the host's instruction has them.  It sets ZF only. */
bool trans_cmpxchg8b(Trans *t)
{
    Emit *e = &t->e;
    bool pair = t->in->opsize == 64;
    Operand rm;

    if (!trans_memory(t, pair ? 16 : 8, true, true, &rm)) {
        return false;
    }
    if (pair) {                                         /* #GP if it is not aligned */
        emit_lea(e, H_T0, rm);
        emit_op(e, E_BYTE_RM, 0xf6, 0, host_reg(H_T0));             /* test */
        emit8(e, 15);
        trans_slow_if(t, CC_NE);
        trans_flags_clobbered(t);
    }
    trans_flags_needed(t);
    emit_mov(e, H_RAX, trans_pinned[X86_RAX]);
    emit_mov(e, H_RCX, trans_pinned[X86_RCX]);
    emit_op(e, E_0F | (pair ? E_W : 0) | (t->in->lock ? E_LOCK : 0), 0xc7, 1, rm);
    emit_mov(e, trans_pinned[X86_RAX], H_RAX);
    trans_flags_written(t);
    return true;
}

/* ---- what is left ---- */

bool trans_nothing(Trans *t)
{
    return true;
}

bool trans_fence(Trans *t)
{
    emit8(&t->e, 0x0f);
    emit8(&t->e, 0xae);
    emit8(&t->e, t->in->modrm);
    return true;
}

/* CLC STC CMC. */
bool trans_carry(Trans *t)
{
    trans_flags_needed(t);
    emit8(&t->e, t->in->opcode);
    trans_flags_written(t);
    return true;
}
