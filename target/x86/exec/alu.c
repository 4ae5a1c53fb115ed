/*
 * target/x86/exec/alu.c - ADD OR ADC SBB AND SUB XOR CMP TEST, in all their forms.
 *
 * Follows the Intel SDM, volume 2.  The arithmetic is in alu.h, the locked forms are in atomic.c.
 */
#include "form.h"
#include "atomic.h"
#include "gen/x86-exec.h"

/* destination = destination op source, in registers. */
#define HANDLER_REG(op, bits, form, dst, src) \
    static void op##bits##_##form(X86Cpu *c, const X86Insn *in) \
    { \
        set_##dst##bits(c, in, alu_##op##bits(get_##dst##bits(c, in), get_##src##bits(c, in), &c->cc)); \
        x86_next(c, in); \
    }
#define HANDLER_RMW(op, bits, form, at, src) \
    HANDLER_CHANGING(op##bits##_##at##_##form, bits, at, alu_##op##bits(v, get_##src##bits(c, in), cc))
#define HANDLER_LOAD(op, bits, at) \
    HANDLER_LOADING(op##bits##_##at##_rm, bits, at, \
                    set_reg##bits(c, in, alu_##op##bits(get_reg##bits(c, in), v, &c->cc)))
/* CMP and TEST only set flags. */
#define HANDLER_COMPARE(op, bits, form, a, b) \
    static void op##bits##_##form(X86Cpu *c, const X86Insn *in) \
    { \
        alu_##op##bits(get_##a##bits(c, in), get_##b##bits(c, in), &c->cc); \
        x86_next(c, in); \
    }
#define HANDLER_COMPARE_MEM(op, bits, form, at, src) \
    HANDLER_LOADING(op##bits##_##at##_##form, bits, at, alu_##op##bits(v, get_##src##bits(c, in), &c->cc))
#define HANDLER_COMPARE_LOAD(op, bits, at) \
    HANDLER_LOADING(op##bits##_##at##_rm, bits, at, alu_##op##bits(get_reg##bits(c, in), v, &c->cc))

#define HANDLERS(op, bits) \
    HANDLER_REG(op, bits, rr, rm, reg) \
    HANDLER_REG(op, bits, rg, reg, rm) \
    HANDLER_REG(op, bits, ri, rm, imm) \
    HANDLER_REG(op, bits, ai, acc, imm) \
    HANDLER_RMW(op, bits, mr, at_flat, reg) \
    HANDLER_RMW(op, bits, mi, at_flat, imm) \
    HANDLER_LOAD(op, bits, at_flat) \
    HANDLER_RMW(op, bits, mr, at_seg, reg) \
    HANDLER_RMW(op, bits, mi, at_seg, imm) \
    HANDLER_LOAD(op, bits, at_seg)
#define HANDLERS_COMPARE(op, bits) \
    HANDLER_COMPARE(op, bits, rr, rm, reg) \
    HANDLER_COMPARE(op, bits, rg, reg, rm) \
    HANDLER_COMPARE(op, bits, ri, rm, imm) \
    HANDLER_COMPARE(op, bits, ai, acc, imm) \
    HANDLER_COMPARE_MEM(op, bits, mr, at_flat, reg) \
    HANDLER_COMPARE_MEM(op, bits, mi, at_flat, imm) \
    HANDLER_COMPARE_LOAD(op, bits, at_flat) \
    HANDLER_COMPARE_MEM(op, bits, mr, at_seg, reg) \
    HANDLER_COMPARE_MEM(op, bits, mi, at_seg, imm) \
    HANDLER_COMPARE_LOAD(op, bits, at_seg)

#define FOUR(op, form) { op##8_##form, op##16_##form, op##32_##form, op##64_##form }
#define FORMS(op) \
    static X86ExecFn *const op##_forms[FORM_COUNT][4] = { \
        [FORM_RR] = FOUR(op, rr), [FORM_RG] = FOUR(op, rg), \
        [FORM_RI] = FOUR(op, ri), [FORM_AI] = FOUR(op, ai), \
        [FORM_FLAT_MR] = FOUR(op, at_flat_mr), [FORM_FLAT_MI] = FOUR(op, at_flat_mi), \
        [FORM_FLAT_RM] = FOUR(op, at_flat_rm), \
        [FORM_MR] = FOUR(op, at_seg_mr), [FORM_MI] = FOUR(op, at_seg_mi), [FORM_RM] = FOUR(op, at_seg_rm), \
    };
#define OPERATION(op) HANDLERS(op, 8) HANDLERS(op, 16) HANDLERS(op, 32) HANDLERS(op, 64) FORMS(op)
#define OPERATION_COMPARE(op) \
    HANDLERS_COMPARE(op, 8) HANDLERS_COMPARE(op, 16) HANDLERS_COMPARE(op, 32) HANDLERS_COMPARE(op, 64) \
    FORMS(op)

OPERATION(add)
OPERATION(or)
OPERATION(adc)
OPERATION(sbb)
OPERATION(and)
OPERATION(sub)
OPERATION(xor)
OPERATION_COMPARE(cmp)
OPERATION_COMPARE(test)

X86ExecFn *bind_alu(const X86Insn *in, X86Form form, unsigned width)
{
    switch (in->row->op) {
    case OP_ADD: return add_forms[form][width];
    case OP_OR: return or_forms[form][width];
    case OP_ADC: return adc_forms[form][width];
    case OP_SBB: return sbb_forms[form][width];
    case OP_AND: return and_forms[form][width];
    case OP_SUB: return sub_forms[form][width];
    case OP_XOR: return xor_forms[form][width];
    case OP_CMP: return cmp_forms[form][width];
    case OP_TEST: return test_forms[form][width];
    default: return NULL;
    }
}

/* The handler of an instruction that was not bound, or is locked. */
#define EXEC(op) \
    void exec_##op(X86Cpu *c, const X86Insn *in) \
    { \
        if (in->lock) { \
            x86_locked(c, in, ATOMIC_##op); \
        } else { \
            op##_forms[x86_form(c, in)][x86_width(in)](c, in); \
        } \
    }
EXEC(add)
EXEC(or)
EXEC(adc)
EXEC(sbb)
EXEC(and)
EXEC(sub)
EXEC(xor)
void exec_cmp(X86Cpu *c, const X86Insn *in) { cmp_forms[x86_form(c, in)][x86_width(in)](c, in); }
void exec_test(X86Cpu *c, const X86Insn *in) { test_forms[x86_form(c, in)][x86_width(in)](c, in); }
