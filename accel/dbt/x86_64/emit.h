/*
 * accel/dbt/x86_64/emit.h - host instructions as bytes.
 *
 * An instruction is an opcode with prefixes, a register and an operand in ModRM's r/m (SDM volume 2,
 * chapter 2).  When there is no room left `full` is set, and what was emitted is worth nothing.
 * Positions are addresses in the writable mapping; jumps are relative, so that they hold in the
 * executable one as well.
 */
#ifndef ACCEL_DBT_X86_64_EMIT_H
#define ACCEL_DBT_X86_64_EMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11, H_R12, H_R13,
       H_R14, H_R15, H_NONE };

/* What an opcode comes with.  BYTE: the register is one of 8 bits, the low one. */
enum { E_66 = 1 << 0, E_F2 = 1 << 1, E_F3 = 1 << 2, E_W = 1 << 3, E_BYTE_REG = 1 << 4, E_BYTE_RM = 1 << 5,
       E_BYTE = E_BYTE_REG | E_BYTE_RM, E_LOCK = 1 << 6, E_MAP_SHIFT = 8, E_0F = 1 << E_MAP_SHIFT,
       E_0F38 = 2 << E_MAP_SHIFT, E_0F3A = 3 << E_MAP_SHIFT };

/* Conditions as the low four bits of Jcc have them. */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE,
       CC_G };

typedef struct Emit {
    uint8_t *p, *end;
    bool full;
} Emit;

typedef struct Operand {
    enum { OPERAND_REG, OPERAND_MEM, OPERAND_GS /* gs:[disp], gs:[reg] */, OPERAND_RIP } kind;
    uint8_t reg, index, scale;      /* the register, or base (H_NONE: none) and index (H_NONE) */
    int32_t disp;
} Operand;

static inline Operand host_reg(unsigned reg) { return (Operand){ OPERAND_REG, reg, H_NONE, 0, 0 }; }
static inline Operand host_gs(int32_t disp) { return (Operand){ OPERAND_GS, H_NONE, H_NONE, 0, disp }; }
static inline Operand host_gs_at(unsigned reg) { return (Operand){ OPERAND_GS, reg, H_NONE, 0, 0 }; }
static inline Operand host_mem(unsigned base, int32_t disp)
{
    return (Operand){ OPERAND_MEM, base, H_NONE, 0, disp };
}
static inline Operand host_mem_index(unsigned base, unsigned index, unsigned scale, int32_t disp)
{
    return (Operand){ OPERAND_MEM, base, index, scale, disp };
}

static inline void emit8(Emit *e, unsigned v)
{
    if (e->p < e->end) {
        *e->p++ = (uint8_t)v;
    } else {
        e->full = true;
    }
}
void emit32(Emit *e, uint32_t v);
void emit64(Emit *e, uint64_t v);
void emit_align(Emit *e, unsigned to);

/* opcode reg, rm - or rm, reg, as the opcode has it; `reg` also for an opcode extension. */
void emit_op(Emit *e, unsigned flags, unsigned opcode, unsigned reg, Operand rm);

/* The same behind a VEX or EVEX prefix (2.3, 2.7).  Fields are as they mean, not inverted; with EVEX
 * vectors have numbers up to 31, and the operand no displacement, as one of a byte would be scaled. */
typedef struct VexPrefix {
    uint8_t map, pp, vvvv, vl, mask;
    bool w, evex, zeroing, b;
} VexPrefix;
void emit_vex(Emit *e, const VexPrefix *p, unsigned opcode, unsigned reg, Operand rm);

/* The same with a place in the code as operand, which emit_aim() names; nothing may follow ModRM. */
uint8_t *emit_rip_op(Emit *e, unsigned flags, unsigned opcode, unsigned reg);

void emit_mov(Emit *e, unsigned to, unsigned from);                     /* 64 bits */
void emit_mov32(Emit *e, unsigned to, unsigned from);
void emit_load(Emit *e, unsigned to, Operand from);                     /* 64 bits */
void emit_load32(Emit *e, unsigned to, Operand from);
void emit_store(Emit *e, Operand to, unsigned from);                    /* 64 bits */
void emit_lea(Emit *e, unsigned to, Operand address);                   /* 64 bits */
void emit_imm(Emit *e, unsigned to, uint64_t value);                    /* shortest form; no flags */
void emit_ror(Emit *e, unsigned to, unsigned from, unsigned by);        /* RORX: no flags */
/* ADD OR ADC SBB AND SUB XOR CMP by their number 0..7. */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
void emit_alu_imm(Emit *e, unsigned flags, unsigned alu, Operand rm, int32_t imm);

/* Jumps with 32-bit displacements; the answer is where that lies, for emit_land(). */
uint8_t *emit_jcc(Emit *e, unsigned cc);
uint8_t *emit_jmp(Emit *e);
void emit_land(Emit *e, uint8_t *jump);                                 /* it goes to here */
void emit_aim(uint8_t *jump, const uint8_t *at);                        /* it goes to there */
void emit_jmp_to(Emit *e, const uint8_t *at);
void emit_jcc_to(Emit *e, unsigned cc, const uint8_t *at);
void emit_call_to(Emit *e, const uint8_t *at);

#endif
