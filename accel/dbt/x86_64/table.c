/*
 * accel/dbt/x86_64/table.c - which operation is translated by whom; the others stay with their handlers.
 */
#include "trans.h"

TransFn *const trans_table[OP_COUNT] = {
    [OP_ADD] = trans_alu, [OP_OR] = trans_alu, [OP_ADC] = trans_alu, [OP_SBB] = trans_alu,
    [OP_AND] = trans_alu, [OP_SUB] = trans_alu, [OP_XOR] = trans_alu, [OP_CMP] = trans_alu, [OP_TEST] = trans_alu,
    [OP_MOV] = trans_mov, [OP_MOVNTI] = trans_mov,
    [OP_MOVZX] = trans_extend, [OP_MOVSX] = trans_extend, [OP_MOVSXD] = trans_extend,
    [OP_LEA] = trans_lea,
    [OP_INC] = trans_unary, [OP_DEC] = trans_unary, [OP_NEG] = trans_unary, [OP_NOT] = trans_unary,
    [OP_ROL] = trans_shift, [OP_ROR] = trans_shift, [OP_RCL] = trans_shift, [OP_RCR] = trans_shift,
    [OP_SHL] = trans_shift, [OP_SHR] = trans_shift, [OP_SAR] = trans_shift,
    [OP_SHLD] = trans_double_shift, [OP_SHRD] = trans_double_shift,
    [OP_MUL] = trans_multiply1, [OP_IMUL1] = trans_multiply1, [OP_IMUL2] = trans_multiply,
    [OP_IMUL3] = trans_multiply, [OP_DIV] = trans_divide, [OP_IDIV] = trans_divide,
    [OP_CBW] = trans_widen, [OP_CWD] = trans_widen,
    [OP_SETCC] = trans_setcc, [OP_CMOV] = trans_cmov,
    [OP_BT] = trans_bit, [OP_BTS] = trans_bit, [OP_BTR] = trans_bit, [OP_BTC] = trans_bit,
    [OP_BSF] = trans_scan, [OP_BSR] = trans_scan, [OP_TZCNT] = trans_scan, [OP_LZCNT] = trans_scan,
    [OP_POPCNT] = trans_scan, [OP_BSWAP] = trans_bswap,
    [OP_XCHG] = trans_xchg, [OP_XADD] = trans_xadd, [OP_CMPXCHG] = trans_cmpxchg,
    [OP_NOP] = trans_nothing, [OP_PAUSE] = trans_nothing,
    [OP_LFENCE] = trans_fence, [OP_MFENCE] = trans_fence, [OP_SFENCE] = trans_fence,
    [OP_CLC] = trans_carry, [OP_STC] = trans_carry, [OP_CMC] = trans_carry,
    [OP_PUSH] = trans_push, [OP_POP] = trans_pop, [OP_LEAVE] = trans_leave,
    [OP_JMP] = trans_jmp, [OP_JCC] = trans_jcc, [OP_CALL] = trans_call, [OP_RET] = trans_ret,
    [OP_LOOP] = trans_loop, [OP_JCXZ] = trans_jcxz,
};
