/*
 * target/x86/exec/bits.c - BT BTS BTR BTC BSF BSR, and the instructions that only touch flags.
 *
 * Follows the Intel SDM, volume 2.
 */
#include "form.h"
#include "atomic.h"
#include "gen/x86-exec.h"

/* With memory and a register, the bit's number reaches beyond the operand, in its own units. */
static uint64_t bit_address(X86Cpu *c, const X86Insn *in, unsigned width, int64_t bit, bool write)
{
    uint64_t off = x86_offset(c, in) + ((uint64_t)(bit >> (3 + width)) << width);

    return x86_linear(c, in->segment, off & ~0ull >> (64 - in->addrsize), 1 << width, write);
}

static int64_t bit_number(X86Cpu *c, const X86Insn *in)
{
    if (in->row->operand[1].kind == OPK_I) {
        return (int64_t)(in->imm & (in->opsize - 1));
    }
    switch (in->opsize) {
    case 64: return (int64_t)get_reg64(c, in);
    case 32: return (int32_t)get_reg32(c, in);
    default: return (int16_t)get_reg16(c, in);
    }
}

/* The bit `at` of a register; the value in and out. */
#define BIT_OPERATION(op) \
    static uint64_t op##_value(unsigned width, uint64_t v, unsigned at, uint16_t *cc) \
    { \
        return width == 3 ? alu_##op##64(v, at, cc) \
             : width == 2 ? alu_##op##32((uint32_t)v, at, cc) : alu_##op##16((uint16_t)v, (uint16_t)at, cc); \
    }
BIT_OPERATION(bt)
BIT_OPERATION(bts)
BIT_OPERATION(btr)
BIT_OPERATION(btc)

static void set_rm(X86Cpu *c, const X86Insn *in, uint64_t v)
{
    BY_OPSIZE(in, set_rm, c, in, v);
}

void exec_bt(X86Cpu *c, const X86Insn *in)
{
    unsigned width = x86_width(in);
    int64_t bit = bit_number(c, in);
    uint64_t v = in->mod3 ? c->regs[in->rm] : x86_ld(c, bit_address(c, in, width, bit, false), 1 << width);

    bt_value(width, v, bit & (in->opsize - 1), &c->cc);
    x86_next(c, in);
}

/* In memory these are done the locked way, whether LOCK is there or not. */
#define EXEC_BIT(op) \
    void exec_##op(X86Cpu *c, const X86Insn *in) \
    { \
        unsigned width = x86_width(in); \
        int64_t bit = bit_number(c, in); \
        if (in->mod3) { \
            set_rm(c, in, op##_value(width, c->regs[in->rm], bit & (in->opsize - 1), &c->cc)); \
        } else { \
            Atomic a = { .value = bit & (in->opsize - 1), .cc = c->cc }; \
            x86_atomic(c, bit_address(c, in, width, bit, true), width, ATOMIC_##op, &a); \
            c->cc = a.cc; \
        } \
        x86_next(c, in); \
    }
EXEC_BIT(bts)
EXEC_BIT(btr)
EXEC_BIT(btc)

#define SCAN(op, bits) \
    static void op##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t v = load_rm##bits(c, in); \
        c->regs[in->reg] = alu_##op##bits(c->regs[in->reg], v, &c->cc); \
    }
SCAN(bsf, 16)
SCAN(bsf, 32)
SCAN(bsf, 64)
SCAN(bsr, 16)
SCAN(bsr, 32)
SCAN(bsr, 64)

void exec_bsf(X86Cpu *c, const X86Insn *in)
{
    BY_OPSIZE(in, bsf, c, in);
    x86_next(c, in);
}

void exec_bsr(X86Cpu *c, const X86Insn *in)
{
    BY_OPSIZE(in, bsr, c, in);
    x86_next(c, in);
}

/* ---- flags ---- */

void exec_clc(X86Cpu *c, const X86Insn *in)
{
    c->cc &= ~CC_CF;
    x86_next(c, in);
}

void exec_stc(X86Cpu *c, const X86Insn *in)
{
    c->cc |= CC_CF;
    x86_next(c, in);
}

void exec_cmc(X86Cpu *c, const X86Insn *in)
{
    c->cc ^= CC_CF;
    x86_next(c, in);
}

void exec_cld(X86Cpu *c, const X86Insn *in)
{
    c->rflags &= ~FL_DF;
    x86_next(c, in);
}

void exec_std(X86Cpu *c, const X86Insn *in)
{
    c->rflags |= FL_DF;
    x86_next(c, in);
}

void exec_lahf(X86Cpu *c, const X86Insn *in)
{
    *x86_byte(c, 1) = (uint8_t)((cc_to_flags(c->cc) & 0xd5) | FL_1);
    x86_next(c, in);
}

void exec_sahf(X86Cpu *c, const X86Insn *in)
{
    c->cc = (uint16_t)((c->cc & CC_OF) | (cc_from_flags(*x86_byte(c, 1)) & ~CC_OF));
    x86_next(c, in);
}

void exec_salc(X86Cpu *c, const X86Insn *in)
{
    set_acc8(c, in, c->cc & CC_CF ? 0xff : 0);
    x86_next(c, in);
}

void exec_nop(X86Cpu *c, const X86Insn *in)
{
    x86_next(c, in);
}

void exec_pause(X86Cpu *c, const X86Insn *in)
{
    __builtin_ia32_pause();
    x86_next(c, in);
}
