/*
 * target/x86/exec/hostrun-vex.c - stubs of instructions with a VEX or EVEX prefix.
 *
 * Encodings follow the Intel SDM, volume 2, 2.3 and 2.7.  As in hostrun.c, RDI points to the memory
 * operand, RSI and R11 to the registers that ModRM names, R10 to the frame.  The operand of ModRM.reg
 * is vector 8, opmask 1 or R8, that of r/m vector 9, opmask 3, R9 or [RDI]; vvvv names vector 10 or
 * RAX, bits 7..4 of an immediate vector 11; the opmask of EVEX is k4.  Vectors are loaded and stored
 * as long as the instruction has them; VZEROUPPER follows where they were longer than XMM, since the
 * emulator's own code is SSE code.
 */
#include "hostrun-emit.h"

enum { BASE_RAX = 0, BASE_RSI = 6, BASE_RDI = 7, BASE_R11 = 11 };
enum { SLOT_REG = 8, SLOT_RM = 9, SLOT_H = 10, SLOT_L = 11, SLOT_K = 1, SLOT_N = 3, SLOT_MASK = 4 };
enum { VMOVUPS_LOAD = 0x10, VMOVUPS_STORE = 0x11 };

typedef struct Prefix {                 /* fields as they are, not inverted */
    unsigned reg, rm, vvvv, map, pp, w, vl, mask, zeroing, b;
    bool evex;
} Prefix;

static void emit_prefix(Emit *e, const Prefix *p)
{
    unsigned rxb = (~p->reg >> 3 & 1) << 7 | 1 << 6 | (~p->rm >> 3 & 1) << 5;

    if (!p->evex) {
        *e->p++ = 0xc4;
        *e->p++ = rxb | p->map;
        *e->p++ = p->w << 7 | (~p->vvvv & 15) << 3 | p->vl << 2 | p->pp;
        return;
    }
    *e->p++ = 0x62;
    *e->p++ = rxb | 1 << 4 | p->map;
    *e->p++ = p->w << 7 | (~p->vvvv & 15) << 3 | 1 << 2 | p->pp;
    *e->p++ = p->zeroing << 7 | p->vl << 5 | p->b << 4 | 1 << 3 | p->mask;
}

/* VMOVUPS between vector `slot` and [base]. */
static void emit_move(Emit *e, unsigned opcode, unsigned slot, unsigned base, unsigned vl)
{
    emit_prefix(e, &(Prefix){ .reg = slot, .rm = base, .map = 1, .vl = vl, .evex = vl == 2 });
    *e->p++ = opcode;
    *e->p++ = (slot & 7) << 3 | (base & 7);
}

/* KMOV between k and [r10 + offset]; `opcode` is 90 to load, 91 to store.  KMOVQ is AVX512BW's; shorter
 * masks do with KMOVW. */
static void emit_kmov(Emit *e, unsigned opcode, unsigned k, size_t offset, bool wide)
{
    emit_prefix(e, &(Prefix){ .rm = 10, .map = 1, .w = wide });
    *e->p++ = opcode;
    *e->p++ = 0x82 | k << 3;
    emit_offset(e, (uint32_t)offset);
}

static void emit_instruction(Emit *e, const X86Insn *in, const HostForm *form)
{
    const X86Row *r = in->row;
    unsigned reg = r->reg != 8 ? r->reg : form->vex & (VEX_K | VEX_PUT_K) ? SLOT_K : SLOT_REG;
    unsigned rm = !in->mod3 ? BASE_RDI : form->vex & VEX_N ? SLOT_N : SLOT_RM;
    bool rounds = in->evex_b && in->mod3 && (r->evex & EVEX_ER);
    Prefix p = {
        .reg = reg, .rm = rm, .map = r->map, .pp = in->pp, .vl = rounds ? in->rounding : in->vl,
        .vvvv = form->vex & (VEX_H | VEX_PUT_H) ? SLOT_H : 0,                   /* RAX, or none */
        .w = r->mode == 1 ? 0 : r->rex & X86_REX_W1 ? 1 : r->rex & X86_REX_W0 ? 0 : in->opsize == 64,
        .mask = form->vex & VEX_MASK ? SLOT_MASK : 0, .zeroing = in->zeroing, .b = in->evex_b,
        .evex = in->enc == X86_EVEX,
    };

    emit_prefix(e, &p);
    *e->p++ = in->opcode;
    *e->p++ = (in->mod3 ? 0xc0 : 0) | (reg & 7) << 3 | (rm & 7);
    if (form->vex & VEX_L) {
        *e->p++ = SLOT_L << 4 | (in->imm & 15);
    } else if (in->imm_at) {
        *e->p++ = in->imm;
    }
}

static void emit_loads(Emit *e, const HostForm *form, unsigned vl)
{
    uint32_t use = form->use, vex = form->vex;
    bool wide = form->vex & VEX_WIDE_MASK;

    EMIT(e, "\x49\x89\xca\x49\x89\xd3");                        /* mov r10, rcx; mov r11, rdx */
    if (vex & VEX_H) {
        EMIT_AT(e, "\x49\x8b\x82", h);                          /* mov rax, [r10 + h] */
        emit_move(e, VMOVUPS_LOAD, SLOT_H, BASE_RAX, vl);
    }
    if (vex & VEX_L) {
        EMIT_AT(e, "\x49\x8b\x82", l);
        emit_move(e, VMOVUPS_LOAD, SLOT_L, BASE_RAX, vl);
    }
    if (use & USE_VREG) {
        emit_move(e, VMOVUPS_LOAD, SLOT_REG, BASE_RSI, vl);
    }
    if (use & USE_VRM) {
        emit_move(e, VMOVUPS_LOAD, SLOT_RM, BASE_R11, vl);
    }
    if (vex & VEX_K) {
        emit_kmov(e, 0x90, SLOT_K, offsetof(HostFrame, k), wide);
    }
    if (vex & VEX_N) {
        emit_kmov(e, 0x90, SLOT_N, offsetof(HostFrame, n), wide);
    }
    if (vex & VEX_MASK) {
        emit_kmov(e, 0x90, SLOT_MASK, offsetof(HostFrame, mask), wide);
    }
    emit_general_loads(e, use);
    if (vex & VEX_B) {
        EMIT_AT(e, "\x49\x8b\x82", b);                          /* mov rax, [r10 + b]: leaves the flags */
    }
}

static void emit_stores(Emit *e, const HostForm *form, unsigned vl)
{
    uint32_t use = form->use, vex = form->vex;

    if (vex & VEX_PUT_B) {
        EMIT_AT(e, "\x49\x89\x82", b);
    }
    emit_general_stores(e, use);
    if (use & PUT_VREG) {
        emit_move(e, VMOVUPS_STORE, SLOT_REG, BASE_RSI, vl);
    }
    if (use & PUT_VRM) {
        emit_move(e, VMOVUPS_STORE, SLOT_RM, BASE_R11, vl);
    }
    if (vex & VEX_PUT_H) {
        EMIT_AT(e, "\x49\x8b\x82", h);
        emit_move(e, VMOVUPS_STORE, SLOT_H, BASE_RAX, vl);
    }
    if (vex & VEX_PUT_K) {
        emit_kmov(e, 0x91, SLOT_K, offsetof(HostFrame, k), form->vex & VEX_WIDE_MASK);
    }
}

void emit_vex_body(Emit *e, const X86Insn *in, const HostForm *form)
{
    emit_loads(e, form, in->vl);
    emit_instruction(e, in, form);
    emit_stores(e, form, in->vl);
}
