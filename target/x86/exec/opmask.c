/*
 * target/x86/exec/opmask.c - the instructions on opmask registers.
 *
 * Follows the Intel SDM, volume 2 (KADDW to KXORW).  Results are as wide as the instruction and clear
 * the rest of the register.
 */
#include "form.h"
#include "fpu.h"
#include "gen/x86-exec.h"
#include "vector.h"

static unsigned width(const X86Insn *in, unsigned operand)
{
    return 8 * x86_operand_bytes(in, in->row->operand[operand].size);
}

static uint64_t low(uint64_t v, unsigned bits)
{
    return v & ~0ull >> (64 - bits);
}

static uint64_t from_memory(X86Cpu *c, const X86Insn *in, unsigned bits)
{
    uint64_t linear = x86_operand(c, in, bits / 8, false);

    return bits == 64 ? x86_load64(c, in->segment, linear) : bits == 32 ? x86_load32(c, in->segment, linear)
         : bits == 16 ? x86_load16(c, in->segment, linear) : x86_load8(c, in->segment, linear);
}

static void to_memory(X86Cpu *c, const X86Insn *in, uint64_t v, unsigned bits)
{
    uint64_t linear = x86_operand(c, in, bits / 8, true);

    switch (bits) {
    case 64: x86_store64(c, in->segment, linear, v); break;
    case 32: x86_store32(c, in->segment, linear, (uint32_t)v); break;
    case 16: x86_store16(c, in->segment, linear, (uint16_t)v); break;
    default: x86_store8(c, in->segment, linear, (uint8_t)v); break;
    }
}

void exec_kmov(X86Cpu *c, const X86Insn *in)
{
    unsigned to = in->row->operand[0].kind, from = in->row->operand[1].kind;

    vex_check_state(c, in);
    if (to == OPK_M) {
        to_memory(c, in, c->fpu.k[in->reg & 7], width(in, 0));
    } else if (to == OPK_G) {
        c->regs[in->reg] = low(c->fpu.k[in->rm & 7], width(in, 1));
    } else {
        unsigned bits = width(in, 0);
        uint64_t v = from == OPK_R ? c->regs[in->rm] : in->mod3 ? c->fpu.k[in->rm & 7] : from_memory(c, in, bits);
        c->fpu.k[in->reg & 7] = low(v, bits);
    }
}

/* `a` is the operand of vvvv, `b` that of r/m. */
#define BINARY(name, value) \
    void exec_##name(X86Cpu *c, const X86Insn *in) \
    { \
        vex_check_state(c, in); \
        uint64_t a = c->fpu.k[in->vvvv & 7], b = c->fpu.k[in->rm & 7]; \
        c->fpu.k[in->reg & 7] = low(value, width(in, 0)); \
    }
BINARY(kand, a & b)
BINARY(kandn, ~a & b)
BINARY(kor, a | b)
BINARY(kxnor, ~(a ^ b))
BINARY(kxor, a ^ b)
BINARY(kadd, a + b)
BINARY(kunpck, low(a, width(in, 1)) << width(in, 1) | low(b, width(in, 1)))
#undef BINARY

void exec_knot(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    c->fpu.k[in->reg & 7] = low(~c->fpu.k[in->rm & 7], width(in, 0));
}

static void put_flags(X86Cpu *c, bool zero, bool carry)
{
    c->cc = cc_from_flags((zero ? FL_ZF : 0) | (carry ? FL_CF : 0));
}

void exec_kortest(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    uint64_t v = low(c->fpu.k[in->reg & 7] | c->fpu.k[in->rm & 7], width(in, 0));
    put_flags(c, v == 0, v == low(~0ull, width(in, 0)));
}

void exec_ktest(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    uint64_t a = c->fpu.k[in->reg & 7], b = c->fpu.k[in->rm & 7];
    put_flags(c, low(a & b, width(in, 0)) == 0, low(~a & b, width(in, 0)) == 0);
}

static void shift(X86Cpu *c, const X86Insn *in, bool left)
{
    unsigned bits = width(in, 0), by = in->imm & 0xff;

    vex_check_state(c, in);
    uint64_t v = low(c->fpu.k[in->rm & 7], bits);
    c->fpu.k[in->reg & 7] = by >= bits ? 0 : left ? low(v << by, bits) : v >> by;
}

void exec_kshiftl(X86Cpu *c, const X86Insn *in) { shift(c, in, true); }
void exec_kshiftr(X86Cpu *c, const X86Insn *in) { shift(c, in, false); }
