/*
 * target/x86/exec/unary.c - INC DEC NEG NOT, and the shifts and rotates.
 *
 * Follows the Intel SDM, volume 2.  The arithmetic is in alu.h, the locked forms are in atomic.c.
 */
#include "form.h"
#include "atomic.h"
#include "gen/x86-exec.h"

/* NOT changes no flags; as a function it looks like the others. */
#define NOT(bits) \
    static ALWAYS_INLINE uint##bits##_t alu_not##bits(uint##bits##_t a, uint16_t *cc) \
    { \
        return (uint##bits##_t)~a; \
    }
NOT(8)
NOT(16)
NOT(32)
NOT(64)

/* `...` is the count of shifts, as an argument of alu_<op>. */
#define HANDLER_REG(op, bits, form, ...) \
    static void op##bits##_##form(X86Cpu *c, const X86Insn *in) \
    { \
        set_rm##bits(c, in, alu_##op##bits(get_rm##bits(c, in), ##__VA_ARGS__, &c->cc)); \
        x86_next(c, in); \
    }
#define HANDLER_RMW(op, bits, form, at, ...) \
    HANDLER_CHANGING(op##bits##_##at##_##form, bits, at, alu_##op##bits(v, ##__VA_ARGS__, cc))
#define EACH_WIDTH(X, ...) X(8, __VA_ARGS__) X(16, __VA_ARGS__) X(32, __VA_ARGS__) X(64, __VA_ARGS__)
#define FOUR(op, form) { op##8_##form, op##16_##form, op##32_##form, op##64_##form }

#define UNARY_WIDTH(bits, op) \
    HANDLER_REG(op, bits, r) \
    HANDLER_RMW(op, bits, m, at_flat) \
    HANDLER_RMW(op, bits, m, at_seg)
#define UNARY(op) \
    EACH_WIDTH(UNARY_WIDTH, op) \
    static X86ExecFn *const op##_forms[FORM_COUNT][4] = { \
        [FORM_R] = FOUR(op, r), [FORM_FLAT_M] = FOUR(op, at_flat_m), [FORM_M] = FOUR(op, at_seg_m), \
    }; \
    void exec_##op(X86Cpu *c, const X86Insn *in) \
    { \
        if (in->lock) { \
            x86_locked(c, in, ATOMIC_##op); \
        } else { \
            op##_forms[x86_form(c, in)][x86_width(in)](c, in); \
        } \
    }

UNARY(inc)
UNARY(dec)
UNARY(neg)
UNARY(not)

X86ExecFn *bind_unary(const X86Insn *in, X86Form form, unsigned width)
{
    switch (in->row->op) {
    case OP_INC: return inc_forms[form][width];
    case OP_DEC: return dec_forms[form][width];
    case OP_NEG: return neg_forms[form][width];
    case OP_NOT: return not_forms[form][width];
    default: return NULL;
    }
}

/* ---- shifts: by an immediate, by 1, by CL ---- */

#define COUNT_IMM ((uint8_t)in->imm)
#define COUNT_CL ((uint8_t)c->regs[X86_RCX])

#define SHIFT_WIDTH(bits, op) \
    HANDLER_REG(op, bits, i, COUNT_IMM) \
    HANDLER_REG(op, bits, 1, 1) \
    HANDLER_REG(op, bits, cl, COUNT_CL) \
    HANDLER_RMW(op, bits, i, at_seg, COUNT_IMM) \
    HANDLER_RMW(op, bits, 1, at_seg, 1) \
    HANDLER_RMW(op, bits, cl, at_seg, COUNT_CL)
#define SHIFT(op) \
    EACH_WIDTH(SHIFT_WIDTH, op) \
    static X86ExecFn *const op##_forms[2][3][4] = { \
        { FOUR(op, i), FOUR(op, 1), FOUR(op, cl) }, \
        { FOUR(op, at_seg_i), FOUR(op, at_seg_1), FOUR(op, at_seg_cl) }, \
    }; \
    void exec_##op(X86Cpu *c, const X86Insn *in) \
    { \
        op##_forms[!in->mod3][count_kind(in)][x86_width(in)](c, in); \
    }

static unsigned count_kind(const X86Insn *in)
{
    switch (in->row->operand[1].kind) {
    case OPK_I: return 0;
    case OPK_1: return 1;
    default: return 2;
    }
}

SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

/* The shifts by a count that is known not to be 0 write all flags, so none need be loaded. */
#define FAST_SHIFT(op, insn, bits, suffix, type) \
    static void op##bits##_fast(X86Cpu *c, const X86Insn *in) \
    { \
        type v = get_rm##bits(c, in); \
        uint16_t f; \
        __asm__(insn suffix " %%cl, %0\n\tlahf\n\tseto %%al" : "+r"(v), "=&a"(f) : "c"(COUNT_IMM) : "cc"); \
        set_rm##bits(c, in, v); \
        c->cc = f; \
        x86_next(c, in); \
    }
FAST_SHIFT(shl, "shl", 32, "l", uint32_t)
FAST_SHIFT(shl, "shl", 64, "q", uint64_t)
FAST_SHIFT(shr, "shr", 32, "l", uint32_t)
FAST_SHIFT(shr, "shr", 64, "q", uint64_t)
FAST_SHIFT(sar, "sar", 32, "l", uint32_t)
FAST_SHIFT(sar, "sar", 64, "q", uint64_t)

X86ExecFn *bind_shift(const X86Insn *in, X86Form form, unsigned width)
{
    unsigned m = !in->mod3, k = count_kind(in);
    bool fast = !m && k == 0 && width >= 2 && (in->imm & (width == 3 ? 63 : 31)) != 0;

    switch (in->row->op) {
    case OP_ROL: return rol_forms[m][k][width];
    case OP_ROR: return ror_forms[m][k][width];
    case OP_RCL: return rcl_forms[m][k][width];
    case OP_RCR: return rcr_forms[m][k][width];
    case OP_SHL: return !fast ? shl_forms[m][k][width] : width == 3 ? shl64_fast : shl32_fast;
    case OP_SHR: return !fast ? shr_forms[m][k][width] : width == 3 ? shr64_fast : shr32_fast;
    case OP_SAR: return !fast ? sar_forms[m][k][width] : width == 3 ? sar64_fast : sar32_fast;
    default: return NULL;
    }
}

/* ---- SHLD, SHRD ---- */

#define DOUBLE_SHIFT(bits, op) \
    static void op##bits##_any(X86Cpu *c, const X86Insn *in) \
    { \
        uint8_t count = in->row->operand[2].kind == OPK_I ? COUNT_IMM : COUNT_CL; \
        uint16_t cc = c->cc; \
        uint##bits##_t v = alu_##op##bits(change_rm##bits(c, in), get_reg##bits(c, in), count, &cc); \
        store_rm##bits(c, in, v); \
        c->cc = cc; \
    }
DOUBLE_SHIFT(16, shld)
DOUBLE_SHIFT(32, shld)
DOUBLE_SHIFT(64, shld)
DOUBLE_SHIFT(16, shrd)
DOUBLE_SHIFT(32, shrd)
DOUBLE_SHIFT(64, shrd)

#define SIZED(op, in, ...) \
    ((in)->opsize == 64 ? op##64_any : (in)->opsize == 32 ? op##32_any : op##16_any)(__VA_ARGS__)

void exec_shld(X86Cpu *c, const X86Insn *in)
{
    SIZED(shld, in, c, in);
    x86_next(c, in);
}

void exec_shrd(X86Cpu *c, const X86Insn *in)
{
    SIZED(shrd, in, c, in);
    x86_next(c, in);
}
