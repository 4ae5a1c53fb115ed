/*
 * accel/dbt/x86_64/vector.c - the rows that the host computes, but for the x87: MMX to AVX-512, BMI, CRC32.
 *
 * Vectors and opmasks have their own number here (live.c), so that such an instruction is the guest's own
 * again; only general registers and memory are renamed.  A memory operand is a TLB hit for all of its bytes,
 * whatever an opmask leaves of them; else the handler finds out which of them matter.
 */
#include "trans.h"

enum { MXCSR_MASKS = 0x1f80, MXCSR_RESERVED = 0xffff0000 };

static unsigned parts(const X86Row *r)
{
    return (r->words & IN_SSE ? LIVE_SSE : 0) | (r->words & IN_AVX ? LIVE_AVX : 0)
         | (r->words & IN_AVX512 ? LIVE_AVX512 : 0) | (r->words & IN_MMX ? LIVE_X87 : 0);
}

/* ---- general registers that it names ---- */

enum { IS_REG, IS_RM, IS_VVVV, PLACES };

typedef struct General {
    RegOperand in[PLACES];
    bool used[PLACES], put[PLACES];
    bool byte;                          /* that of r/m is one of 8 bits */
} General;

static void find_general(const X86Insn *in, General *g)
{
    const X86Row *r = in->row;

    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand); i++) {
        unsigned kind = r->operand[i].kind, place = kind == OPK_G ? IS_REG : kind == OPK_B ? IS_VVVV : IS_RM;
        if (kind == OPK_G || kind == OPK_B || ((kind == OPK_E || kind == OPK_R) && in->mod3)) {
            g->used[place] = true;
            g->put[place] |= i == 0 || (r->op == OP_MULX && place == IS_VVVV);
            g->byte |= place == IS_RM && r->operand[i].size == OPS_b;
        }
    }
}

static unsigned guest_of(const X86Insn *in, unsigned place)
{
    return place == IS_REG ? in->reg : place == IS_RM ? in->rm : in->vvvv & 15;
}

static bool needs_scratch(const X86Insn *in, const General *g, unsigned place)
{
    return g->used[place] && (trans_pinned[guest_of(in, place)] == H_NONE
                              || (place == IS_RM && g->byte && trans_is_high(in->rm8)));
}

static void take_general(Trans *t, General *g)
{
    unsigned scratch = H_T0;            /* memory is addressed by T1 if one is needed */

    for (unsigned place = 0; place < PLACES; place++) {
        if (!g->used[place]) {
            continue;
        }
        unsigned with = scratch;
        scratch = needs_scratch(t->in, g, place) ? H_T1 : scratch;
        g->in[place] = place == IS_RM && g->byte ? trans_take_rm(t, 8, with, true)
                     : trans_take(t, guest_of(t->in, place), false, with, true);
    }
}

/* MULX: where both halves go to one register the high one, of ModRM.reg, stays: so that is last. */
static void put_general(Trans *t, const General *g)
{
    for (unsigned place = PLACES; place-- > 0; ) {
        if (g->used[place] && g->put[place]) {
            trans_finish(t, g->in[place]);
        }
    }
}

/* ---- the instruction ---- */

static void emit_legacy(Trans *t, unsigned reg, Operand rm, bool byte)
{
    static const uint8_t prefix[] = { [X86_PFX_66] = E_66, [X86_PFX_F3] = E_F3, [X86_PFX_F2] = E_F2 };
    const X86Insn *in = t->in;
    const X86Row *r = in->row;
    bool short_operand = in->opsize == 16 && (r->operand[0].size == OPS_v || r->operand[1].size == OPS_v);

    emit_op(&t->e, (r->pfx < sizeof(prefix) ? prefix[r->pfx] : 0) | (short_operand ? E_66 : 0)
            | (in->rex & 8 ? E_W : 0) | (byte ? E_BYTE_RM : 0) | (unsigned)r->map << E_MAP_SHIFT, in->opcode, reg, rm);
    if (in->imm_at) {
        emit8(&t->e, (uint8_t)in->imm);
    }
}

static bool has_kind(const X86Row *r, unsigned kind)
{
    return r->operand[1].kind == kind || r->operand[0].kind == kind || r->operand[2].kind == kind;
}

static void emit_vector(Trans *t, unsigned reg, unsigned vvvv, Operand rm)
{
    const X86Insn *in = t->in;
    const X86Row *r = in->row;
    bool rounds = in->evex_b && in->mod3 && (r->evex & EVEX_ER);
    VexPrefix p = {
        .map = r->map, .pp = in->pp, .vvvv = (uint8_t)vvvv, .vl = rounds ? in->rounding : in->vl, .mask = in->mask,
        .w = r->mode != 1 && (r->rex & X86_REX_W1 || (!(r->rex & X86_REX_W0) && in->opsize == 64)),
        .evex = in->enc == X86_EVEX, .zeroing = in->zeroing, .b = in->evex_b,
    };

    emit_vex(&t->e, &p, in->opcode, reg, rm);
    if (r->operand[3].kind == OPK_L) {
        emit8(&t->e, (in->imm & (t->code64 ? 0xff : 0x7f)));
    } else if (in->imm_at) {
        emit8(&t->e, (uint8_t)in->imm);
    }
}

/* The host's address has the low bits of the guest's; without T0 it is T1 and a displacement. */
static void check_alignment(Trans *t, unsigned bytes, Operand m)
{
    if (t->in->row->words & IN_ALIGNED) {
        unsigned address = m.index == H_NONE && m.disp & (int32_t)(bytes - 1) ? H_T0 : H_T1;
        if (address == H_T0) {
            emit_lea(&t->e, H_T0, m);
        }
        emit_op(&t->e, E_BYTE_RM, 0xf6, 0, host_reg(address));  /* test */
        emit8(&t->e, bytes - 1);
        trans_slow_if(t, CC_NE);
    }
}

static unsigned number_in_reg(const X86Insn *in)
{
    const X86Row *r = in->row;
    bool eight = has_kind(r, OPK_P) || r->operand[0].kind == OPK_k || r->operand[1].kind == OPK_k;

    return r->reg != 8 ? r->reg : eight ? in->reg & 7 : in->reg;
}

static unsigned number_in_rm(const X86Insn *in)
{
    const X86Row *r = in->row;
    bool eight = has_kind(r, OPK_Q) || has_kind(r, OPK_N) || has_kind(r, OPK_n) || has_kind(r, OPK_m);

    return eight ? in->rm & 7 : in->rm;
}

static unsigned number_in_vvvv(const X86Insn *in)
{
    const X86Row *r = in->row;

    return has_kind(r, OPK_H) ? in->vvvv : has_kind(r, OPK_h) ? in->vvvv & 7 : 0;
}

static bool is_memory(unsigned kind)
{
    return kind == OPK_W || kind == OPK_Q || kind == OPK_E || kind == OPK_M;
}

bool trans_host(Trans *t)
{
    const X86Insn *in = t->in;
    const X86Row *r = in->row;
    unsigned bytes = in->mod3 ? 0 : x86_memory_bytes(in), scratches = 0;
    uint16_t written = r->flags_written | r->flags_undefined;
    General g = { 0 };
    Operand rm = host_reg(number_in_rm(in));

    find_general(in, &g);
    for (unsigned place = 0; place < PLACES; place++) {
        scratches += needs_scratch(in, &g, place);
    }
    if (scratches > (bytes ? 1 : 2) || !trans_live(t, parts(r))) {
        return false;
    }
    if (bytes) {
        if (!trans_memory(t, bytes, is_memory(r->operand[0].kind), scratches, &rm)) {
            return false;
        }
        check_alignment(t, bytes, rm);
        if (in->enc == X86_EVEX && rm.disp) {
            emit_lea(&t->e, H_T1, rm);                          /* a displacement of a byte would be scaled */
            rm = host_mem(H_T1, 0);
        }
    }
    take_general(t, &g);
    if (r->flags_read | written) {
        trans_flags_needed(t);
    }
    if (r->words & IN_EAX) {                        /* it sets all flags: those in AX are dead */
        emit_mov(&t->e, H_RAX, trans_pinned[X86_RAX]);
    }
    rm = g.used[IS_RM] ? host_reg(g.in[IS_RM].host) : rm;
    unsigned reg = g.used[IS_REG] ? g.in[IS_REG].host : number_in_reg(in);
    if (in->enc) {
        emit_vector(t, reg, g.used[IS_VVVV] ? g.in[IS_VVVV].host : number_in_vvvv(in), rm);
    } else {
        emit_legacy(t, reg, rm, g.byte);
    }
    if (written) {
        trans_flags_written(t);
    }
    if ((r->words & IN_ECX) && trans_pinned[X86_RCX] != H_RCX) {
        emit_mov(&t->e, trans_pinned[X86_RCX], H_RCX);
    }
    put_general(t, &g);
    if (r->words & IN_ECX) {
        trans_put(t, X86_RCX, H_RCX);
    }
    return true;
}

/* ---- those that have handlers of their own ---- */

/* In 32-bit code there are but eight registers to clear. */
bool trans_vzeroupper(Trans *t)
{
    if (!trans_live(t, LIVE_AVX)) {
        return false;
    }
    if (t->code64) {
        emit_vzeroupper(&t->e);
        return true;
    }
    for (unsigned n = 0; n < 8; n++) {
        emit_vex(&t->e, &(VexPrefix){ .map = 1 }, 0x28, n, host_reg(n));        /* vmovaps */
    }
    return true;
}

/* What does not mask all exceptions is for the handler, and cannot be live behind it. */
bool trans_mxcsr(Trans *t)
{
    Emit *e = &t->e;
    bool store = t->in->row->op == OP_STMXCSR || t->in->row->op == OP_VSTMXCSR;
    Operand m;

    if (!trans_live(t, t->in->enc ? LIVE_AVX : LIVE_SSE) || !trans_memory(t, 4, store, false, &m)) {
        return false;
    }
    if (store) {
        emit_op(e, E_0F, 0xae, 3, m);
        return true;
    }
    emit_load32(e, H_T0, m);
    emit_op(e, 0, 0x89, H_T0, GS_OF(dbt.temp));
    emit_alu_imm(e, 0, ALU_XOR, host_reg(H_T0), MXCSR_MASKS);
    emit_op(e, 0, 0xf7, 0, host_reg(H_T0));                     /* test */
    emit32(e, MXCSR_MASKS | MXCSR_RESERVED);
    trans_slow_if(t, CC_NE);
    emit_op(e, E_0F, 0xae, 2, GS_OF(dbt.temp));
    return true;
}
