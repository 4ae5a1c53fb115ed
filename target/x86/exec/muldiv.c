/*
 * target/x86/exec/muldiv.c - MUL IMUL DIV IDIV, and the decimal instructions.
 *
 * Follows the Intel SDM, volume 2.
 */
#include "form.h"
#include "gen/x86-exec.h"

/* rDX:rAX = rAX * r/m */
#define MULTIPLY(op, bits) \
    static void op##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t high, by = load_rm##bits(c, in); \
        uint##bits##_t low = alu_##op##bits(get_acc##bits(c, in), by, &high, &c->cc); \
        set_acc##bits(c, in, low); \
        put##bits(&c->regs[X86_RDX], high); \
    }
MULTIPLY(mul, 16)
MULTIPLY(mul, 32)
MULTIPLY(mul, 64)
MULTIPLY(imul, 16)
MULTIPLY(imul, 32)
MULTIPLY(imul, 64)

void exec_mul(X86Cpu *c, const X86Insn *in)
{
    if (x86_width(in) == 0) {
        uint8_t by = load_rm8(c, in);
        set_acc16(c, in, alu_mul8(get_acc8(c, in), by, &c->cc));
    } else {
        BY_OPSIZE(in, mul, c, in);
    }
    x86_next(c, in);
}

void exec_imul1(X86Cpu *c, const X86Insn *in)
{
    if (x86_width(in) == 0) {
        uint8_t by = load_rm8(c, in);
        set_acc16(c, in, alu_imul8(get_acc8(c, in), by, &c->cc));
    } else {
        BY_OPSIZE(in, imul, c, in);
    }
    x86_next(c, in);
}

#define MULTIPLY2(bits) \
    static void imul2_##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t by = load_rm##bits(c, in); \
        set_reg##bits(c, in, alu_imul2_##bits(get_reg##bits(c, in), by, &c->cc)); \
        x86_next(c, in); \
    } \
    static void imul3_##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t a = load_rm##bits(c, in); \
        set_reg##bits(c, in, alu_imul2_##bits(a, get_imm##bits(c, in), &c->cc)); \
        x86_next(c, in); \
    }
MULTIPLY2(16)
MULTIPLY2(32)
MULTIPLY2(64)

static X86ExecFn *const imul2_forms[4] = { NULL, imul2_16, imul2_32, imul2_64 };
static X86ExecFn *const imul3_forms[4] = { NULL, imul3_16, imul3_32, imul3_64 };

X86ExecFn *bind_multiply(const X86Insn *in, X86Form form, unsigned width)
{
    switch (in->row->op) {
    case OP_IMUL2: return imul2_forms[width];
    case OP_IMUL3: return imul3_forms[width];
    default: return NULL;
    }
}

void exec_imul2(X86Cpu *c, const X86Insn *in) { imul2_forms[x86_width(in)](c, in); }
void exec_imul3(X86Cpu *c, const X86Insn *in) { imul3_forms[x86_width(in)](c, in); }

/* ---- division ---- */

static __int128 dividend16(X86Cpu *c)
{
    return (int32_t)(c->regs[X86_RDX] << 16 | (uint16_t)c->regs[X86_RAX]);
}

static __int128 dividend32(X86Cpu *c)
{
    return (int64_t)(c->regs[X86_RDX] << 32 | (uint32_t)c->regs[X86_RAX]);
}

static __int128 dividend64(X86Cpu *c)
{
    return (__int128)((unsigned __int128)c->regs[X86_RDX] << 64 | c->regs[X86_RAX]);
}

#define DIVIDE(bits) \
    static void div##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t high = (uint##bits##_t)c->regs[X86_RDX], rest, by = load_rm##bits(c, in); \
        if (!alu_div_fits(high, by)) { \
            x86_raise(c, EXC_DE); \
        } \
        uint##bits##_t q = alu_div##bits(get_acc##bits(c, in), high, by, &rest, &c->cc); \
        set_acc##bits(c, in, q); \
        put##bits(&c->regs[X86_RDX], rest); \
    } \
    static void idiv##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t high = (uint##bits##_t)c->regs[X86_RDX], rest, by = load_rm##bits(c, in); \
        if (!alu_idiv_fits(dividend##bits(c), (int##bits##_t)by, bits)) { \
            x86_raise(c, EXC_DE); \
        } \
        uint##bits##_t q = alu_idiv##bits(get_acc##bits(c, in), high, by, &rest, &c->cc); \
        set_acc##bits(c, in, q); \
        put##bits(&c->regs[X86_RDX], rest); \
    }
DIVIDE(16)
DIVIDE(32)
DIVIDE(64)

void exec_div(X86Cpu *c, const X86Insn *in)
{
    if (x86_width(in) == 0) {
        uint8_t by = load_rm8(c, in);
        if (!alu_div_fits(get_acc16(c, in) >> 8, by)) {
            x86_raise(c, EXC_DE);
        }
        set_acc16(c, in, alu_div8(get_acc16(c, in), by, &c->cc));
    } else {
        BY_OPSIZE(in, div, c, in);
    }
    x86_next(c, in);
}

void exec_idiv(X86Cpu *c, const X86Insn *in)
{
    if (x86_width(in) == 0) {
        uint8_t by = load_rm8(c, in);
        if (!alu_idiv_fits((int16_t)get_acc16(c, in), (int8_t)by, 8)) {
            x86_raise(c, EXC_DE);
        }
        set_acc16(c, in, alu_idiv8(get_acc16(c, in), by, &c->cc));
    } else {
        BY_OPSIZE(in, idiv, c, in);
    }
    x86_next(c, in);
}

/* ---- decimal: flags that the manual leaves undefined come out as OF 0, the rest of the result ---- */

static uint16_t decimal_flags(uint8_t al, bool cf, bool af)
{
    uint16_t cc = 0;

    alu_test8(al, al, &cc);
    return (uint16_t)((cc & (CC_SF | CC_ZF | CC_PF)) | (cf ? CC_CF : 0) | (af ? CC_AF : 0));
}

static void decimal_adjust(X86Cpu *c, const X86Insn *in, int sign)
{
    uint8_t al = get_acc8(c, in), old = al;
    bool cf = c->cc & CC_CF, af = c->cc & CC_AF, carry = false;

    if ((al & 15) > 9 || af) {
        carry = cf || (sign > 0 ? al > 0xf9 : al < 6);
        al = (uint8_t)(al + 6 * sign);
        af = true;
    }
    if (old > 0x99 || cf) {
        al = (uint8_t)(al + 0x60 * sign);
        carry = true;
    }
    set_acc8(c, in, al);
    c->cc = decimal_flags(al, carry, af);
    x86_next(c, in);
}

void exec_daa(X86Cpu *c, const X86Insn *in) { decimal_adjust(c, in, 1); }
void exec_das(X86Cpu *c, const X86Insn *in) { decimal_adjust(c, in, -1); }

static void ascii_adjust(X86Cpu *c, const X86Insn *in, int sign)
{
    uint16_t ax = get_acc16(c, in);
    bool adjust = (ax & 15) > 9 || (c->cc & CC_AF);

    if (adjust) {
        ax = (uint16_t)(ax + 0x106 * sign);
    }
    ax &= 0xff0f;
    set_acc16(c, in, ax);
    c->cc = decimal_flags((uint8_t)ax, adjust, adjust);
    x86_next(c, in);
}

void exec_aaa(X86Cpu *c, const X86Insn *in) { ascii_adjust(c, in, 1); }
void exec_aas(X86Cpu *c, const X86Insn *in) { ascii_adjust(c, in, -1); }

void exec_aam(X86Cpu *c, const X86Insn *in)
{
    uint8_t al = get_acc8(c, in), base = (uint8_t)in->imm;

    if (base == 0) {
        x86_raise(c, EXC_DE);
    }
    set_acc16(c, in, (uint16_t)((al / base) << 8 | al % base));
    c->cc = decimal_flags(al % base, false, false);
    x86_next(c, in);
}

void exec_aad(X86Cpu *c, const X86Insn *in)
{
    uint16_t ax = get_acc16(c, in);
    uint8_t al = (uint8_t)(ax + (ax >> 8) * (uint8_t)in->imm);

    set_acc16(c, in, al);
    c->cc = decimal_flags(al, false, false);
    x86_next(c, in);
}
