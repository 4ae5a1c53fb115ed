/*
 * accel/dbt/x86_64/emit.c - see emit.h.
 */
#include "emit.h"

#include <string.h>

void emit32(Emit *e, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        emit8(e, v >> (8 * i));
    }
}

void emit64(Emit *e, uint64_t v)
{
    emit32(e, (uint32_t)v);
    emit32(e, (uint32_t)(v >> 32));
}

void emit_align(Emit *e, unsigned to)
{
    while ((uintptr_t)e->p & (to - 1) && !e->full) {
        emit8(e, 0x90);
    }
}

static void emit_modrm(Emit *e, unsigned reg, Operand rm)
{
    reg = (reg & 7) << 3;
    if (rm.kind == OPERAND_REG) {
        emit8(e, 0xc0 | reg | (rm.reg & 7));
        return;
    }
    if (rm.kind == OPERAND_RIP) {
        emit8(e, 0x05 | reg);
        emit32(e, 0);
        return;
    }
    if (rm.reg == H_NONE) {        /* SIB without base; index or not */
        emit8(e, 0x04 | reg);
        emit8(e, rm.index == H_NONE ? 0x25 : 0x05 | rm.scale << 6 | (rm.index & 7) << 3);
        emit32(e, (uint32_t)rm.disp);
        return;
    }
    bool sib = rm.index != H_NONE || (rm.reg & 7) == 4;
    unsigned mod = rm.disp == 0 && (rm.reg & 7) != 5 ? 0 : rm.disp == (int8_t)rm.disp ? 1 : 2;

    emit8(e, mod << 6 | reg | (sib ? 4 : rm.reg & 7));
    if (sib) {
        emit8(e, rm.scale << 6 | (rm.index == H_NONE ? 4 : rm.index & 7) << 3 | (rm.reg & 7));
    }
    if (mod == 1) {
        emit8(e, (uint8_t)rm.disp);
    } else if (mod == 2) {
        emit32(e, (uint32_t)rm.disp);
    }
}

void emit_op(Emit *e, unsigned flags, unsigned opcode, unsigned reg, Operand rm)
{
    bool base = rm.reg != H_NONE;
    unsigned rex = (flags & E_W ? 8 : 0) | (reg & 8) >> 1
        | (rm.index != H_NONE ? (rm.index & 8) >> 2 : 0) | (base ? (rm.reg & 8) >> 3 : 0);
    /* SPL, BPL, SIL and DIL need a REX prefix (2.2.1.2) */
    bool plain = ((flags & E_BYTE_REG) && reg >= 4 && reg < 8)
        || ((flags & E_BYTE_RM) && rm.kind == OPERAND_REG && rm.reg >= 4 && rm.reg < 8);

    if (flags & E_LOCK) {
        emit8(e, 0xf0);
    }
    if (flags & E_66) {
        emit8(e, 0x66);
    }
    if (flags & (E_F2 | E_F3)) {
        emit8(e, flags & E_F2 ? 0xf2 : 0xf3);
    }
    if (rm.kind == OPERAND_GS) {
        emit8(e, 0x65);
    }
    if (rex || plain) {
        emit8(e, 0x40 | rex);
    }
    unsigned map = flags >> E_MAP_SHIFT & 3;
    if (map) {
        emit8(e, 0x0f);
    }
    if (map > 1) {
        emit8(e, map == 2 ? 0x38 : 0x3a);
    }
    emit8(e, opcode);
    emit_modrm(e, reg, rm);
}

static void emit_evex_prefix(Emit *e, const VexPrefix *p, unsigned reg, const Operand *rm, unsigned x, unsigned b)
{
    if (rm->kind == OPERAND_REG) {
        x = rm->reg >> 4;
    }
    emit8(e, 0x62);
    emit8(e, (~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~reg >> 4 & 1) << 4 | p->map);
    emit8(e, p->w << 7 | (~p->vvvv & 15) << 3 | 1 << 2 | p->pp);
    emit8(e, p->zeroing << 7 | p->vl << 5 | p->b << 4 | (~p->vvvv >> 4 & 1) << 3 | p->mask);
}

void emit_vex(Emit *e, const VexPrefix *p, unsigned opcode, unsigned reg, Operand rm)
{
    unsigned x = rm.index != H_NONE ? rm.index >> 3 & 1 : 0, b = rm.reg != H_NONE ? rm.reg >> 3 & 1 : 0;

    if (rm.kind == OPERAND_GS) {
        emit8(e, 0x65);
    }
    if (p->evex) {
        emit_evex_prefix(e, p, reg, &rm, x, b);
    } else if (p->map == 1 && !p->w && !x && !b) {
        emit8(e, 0xc5);
        emit8(e, (~reg >> 3 & 1) << 7 | (~p->vvvv & 15) << 3 | p->vl << 2 | p->pp);
    } else {
        emit8(e, 0xc4);
        emit8(e, (~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | p->map);
        emit8(e, p->w << 7 | (~p->vvvv & 15) << 3 | p->vl << 2 | p->pp);
    }
    emit8(e, opcode);
    emit_modrm(e, reg, rm);
}

uint8_t *emit_rip_op(Emit *e, unsigned flags, unsigned opcode, unsigned reg)
{
    emit_op(e, flags, opcode, reg, (Operand){ OPERAND_RIP, H_NONE, H_NONE, 0, 0 });
    return e->p - 4;
}

void emit_mov(Emit *e, unsigned to, unsigned from) { emit_op(e, E_W, 0x8b, to, host_reg(from)); }
void emit_mov32(Emit *e, unsigned to, unsigned from) { emit_op(e, 0, 0x8b, to, host_reg(from)); }
void emit_load(Emit *e, unsigned to, Operand from) { emit_op(e, E_W, 0x8b, to, from); }
void emit_load32(Emit *e, unsigned to, Operand from) { emit_op(e, 0, 0x8b, to, from); }
void emit_store(Emit *e, Operand to, unsigned from) { emit_op(e, E_W, 0x89, from, to); }

void emit_lea(Emit *e, unsigned to, Operand address)
{
    if (address.reg != H_NONE && address.index == H_NONE && address.disp == 0) {
        emit_mov(e, to, address.reg);
    } else {
        emit_op(e, E_W, 0x8d, to, address);
    }
}

void emit_imm(Emit *e, unsigned to, uint64_t value)
{
    if (value == (uint32_t)value) {
        if (to & 8) {
            emit8(e, 0x41);
        }
        emit8(e, 0xb8 | (to & 7));
        emit32(e, (uint32_t)value);
    } else if (value == (uint64_t)(int32_t)value) {
        emit_op(e, E_W, 0xc7, 0, host_reg(to));
        emit32(e, (uint32_t)value);
    } else {
        emit8(e, to & 8 ? 0x49 : 0x48);
        emit8(e, 0xb8 | (to & 7));
        emit64(e, value);
    }
}

/* VEX.LZ.F2.0F3A.W1 F0 /r ib (volume 2, RORX). */
void emit_ror(Emit *e, unsigned to, unsigned from, unsigned by)
{
    emit8(e, 0xc4);
    emit8(e, (to & 8 ? 0 : 0x80) | 0x40 | (from & 8 ? 0 : 0x20) | 3);
    emit8(e, 0xfb);
    emit8(e, 0xf0);
    emit8(e, 0xc0 | (to & 7) << 3 | (from & 7));
    emit8(e, by);
}

void emit_alu_imm(Emit *e, unsigned flags, unsigned alu, Operand rm, int32_t imm)
{
    if (imm == (int8_t)imm) {
        emit_op(e, flags, 0x83, alu, rm);
        emit8(e, (uint8_t)imm);
    } else {
        emit_op(e, flags, 0x81, alu, rm);
        emit32(e, (uint32_t)imm);
    }
}

static uint8_t *displacement(Emit *e)
{
    uint8_t *at = e->p;

    emit32(e, 0);
    return at;
}

uint8_t *emit_jcc(Emit *e, unsigned cc)
{
    emit8(e, 0x0f);
    emit8(e, 0x80 | cc);
    return displacement(e);
}

uint8_t *emit_jmp(Emit *e)
{
    emit8(e, 0xe9);
    return displacement(e);
}

void emit_aim(uint8_t *jump, const uint8_t *at)
{
    int32_t d = (int32_t)(at - (jump + 4));

    memcpy(jump, &d, 4);
}

void emit_land(Emit *e, uint8_t *jump)
{
    if (!e->full) {
        emit_aim(jump, e->p);
    }
}

static void aim_last(Emit *e, uint8_t *jump, const uint8_t *at)
{
    if (!e->full) {
        emit_aim(jump, at);
    }
}

void emit_jmp_to(Emit *e, const uint8_t *at) { aim_last(e, emit_jmp(e), at); }
void emit_jcc_to(Emit *e, unsigned cc, const uint8_t *at) { aim_last(e, emit_jcc(e, cc), at); }

void emit_call_to(Emit *e, const uint8_t *at)
{
    emit8(e, 0xe8);
    aim_last(e, displacement(e), at);
}
