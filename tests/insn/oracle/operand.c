/*
 * tests/insn/oracle/operand.c - where a case's operand in memory is.
 */
#include "generate.h"
#include "target/x86/cpu.h"

static bool is_bit_of_string(const X86Row *row)
{
    return (row->op == OP_BT || row->op == OP_BTS || row->op == OP_BTR || row->op == OP_BTC)
        && has_operand(row, OPK_G);
}

uint64_t operand_offset(const OracleCase *c, const X86Insn *in)
{
    const uint64_t *regs = c->in.regs, mask = ~0ull >> (64 - in->addrsize);

    if (has_operand(in->row, OPK_X)) {
        return regs[X86_RSI] & mask;
    }
    if (has_operand(in->row, OPK_O)) {
        return in->imm;
    }
    if (in->row->op == OP_XLAT) {
        return (regs[X86_RBX] + (uint8_t)regs[X86_RAX]) & mask;
    }
    if (in->row->op == OP_MASKMOVQ || in->row->op == OP_MASKMOVDQU) {
        return regs[X86_RDI] & mask;
    }
    uint64_t base = in->base < 16 ? regs[in->base] : in->base == X86_RIP ? c->in.rip + in->len : 0;
    uint64_t bits = in->opsize, number = in->reg < 16 ? regs[in->reg] : 0;
    uint64_t off = base + (in->index < 16 ? regs[in->index] << in->scale : 0) + (int64_t)in->disp;

    if (is_bit_of_string(in->row)) {    /* volume 2, BT: the number's sign counts */
        off += (int64_t)(number << (64 - bits)) >> (64 - bits) >> 3 & -(bits / 8);
    }
    return off & mask;
}

uint64_t operand_linear(const OracleCase *c, const X86Insn *in)
{
    uint64_t linear = operand_offset(c, in) + segment_base(c, in->segment);

    return c->bits == 64 ? linear : (uint32_t)linear;
}
