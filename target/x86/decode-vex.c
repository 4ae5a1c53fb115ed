/*
 * target/x86/decode-vex.c - the VEX and EVEX prefixes.
 *
 * Follows the Intel SDM, volume 2, 2.3 (VEX) and 2.7 (EVEX).  Their fields become what REX and legacy
 * prefixes would have said, so that the rest of the decoder need not know; what is new (vvvv, vector
 * length, opmask, broadcast) has its own members in X86Insn.
 */
#include "decode-private.h"

#include "target/x86/cpu.h"

enum { MODRM_MEMORY_MAX = 0xbf };

bool decode_is_vex(Cursor *c, uint8_t byte, unsigned bits)
{
    if (byte != 0xc4 && byte != 0xc5 && byte != 0x62) {
        return false;
    }
    if (bits == 64) {
        return true;
    }
    unsigned next = decode_take(c, 1);
    if (c->fault) {
        return false;
    }
    c->pos--;
    return next > MODRM_MEMORY_MAX;
}

static void set_rex(X86Insn *in, unsigned w, unsigned inverted_rxb)
{
    in->rex = 0x40 | w << 3 | (~inverted_rxb & 7);
}

static bool take_evex(Cursor *c, X86Insn *in, unsigned bits)
{
    unsigned p0 = decode_take(c, 1), p1 = decode_take(c, 1), p2 = decode_take(c, 1);

    in->opcode = decode_take(c, 1);
    in->enc = X86_EVEX;
    set_rex(in, p1 >> 7, p0 >> 5);
    in->map = p0 & 7;
    in->evex_r = ~p0 >> 4 & 1;
    in->pp = p1 & 3;
    in->vvvv = (~p1 >> 3 & 15) | (~p2 >> 3 & 1) << 4;
    in->mask = p2 & 7;
    in->evex_b = p2 >> 4 & 1;
    in->vl = p2 >> 5 & 3;
    in->zeroing = p2 >> 7;
    if (bits != 64) {                   /* table 2-38: B and R' are ignored, V' is not */
        in->rex &= ~1;
        in->evex_r = 0;
    }
    return !(p0 & 8) && (p1 & 4) && in->map != 0 && in->map != 4 && in->map != 7
        && (bits == 64 || in->vvvv < 16);
}

bool decode_take_vex(Cursor *c, X86Insn *in, uint8_t first, unsigned bits)
{
    /* 2.3.2, 2.3.3: a prefix that VEX says itself, REX or LOCK before it is #UD. */
    bool good = !in->rex && !in->rep && !in->opsize_prefix && !in->lock;

    if (first == 0x62) {
        return take_evex(c, in, bits) && good;
    }
    in->enc = X86_VEX;
    unsigned rxb = 0xe1, last;                          /* what C5 cannot say: no X, no B, map 0F */
    if (first == 0xc4) {
        rxb = decode_take(c, 1);
        last = decode_take(c, 1);
    } else {
        last = decode_take(c, 1);
        rxb = (last & 0x80) | 0x61;
    }
    in->opcode = decode_take(c, 1);
    set_rex(in, first == 0xc4 ? last >> 7 : 0, rxb >> 5);
    in->map = rxb & 31;
    in->pp = last & 3;
    in->vl = last >> 2 & 1;
    in->vvvv = ~last >> 3 & 15;
    if (bits != 64) {
        in->rex &= ~1;
    }
    return good && in->map >= 1 && in->map <= 3;
}

bool decode_vex_row_fits(const X86Row *r, const X86Insn *in)
{
    /* With rounding control in a register form L'L is the rounding mode, with sae it does not count:
     * the vector is as long as can be (table 2-36). */
    bool whole = in->evex_b && in->modrm >= 0xc0 && (r->evex & (EVEX_ER | EVEX_SAE));

    return r->lig ? whole || in->vl < 3 : r->lengths >> (whole ? 2 : in->vl) & 1;
}

static bool has_kind(const X86Row *r, const char *kinds)
{
    static const char letter[] = {
        [OPK_V] = 'V', [OPK_W] = 'W', [OPK_U] = 'U', [OPK_H] = 'H', [OPK_B] = 'B',
        [OPK_k] = 'k', [OPK_h] = 'h', [OPK_m] = 'm', [OPK_n] = 'n', [OPK_G] = 'G',
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand) && r->operand[i].kind; i++) {
        unsigned kind = r->operand[i].kind;
        if (kind < sizeof(letter) && letter[kind] && strchr(kinds, letter[kind])) {
            return true;
        }
    }
    return false;
}

void decode_vex_registers(X86Insn *in, unsigned bits)
{
    if (in->evex_b && in->mod3 && (in->row->evex & (EVEX_ER | EVEX_SAE))) {
        in->rounding = in->vl;
        in->vl = 2;
    }
    if (in->row->lig) {
        in->vl = 0;
    }
    if (in->enc == X86_EVEX && has_kind(in->row, "V")) {
        in->reg |= in->evex_r << 4;
    }
    if (has_kind(in->row, "mn")) {
        in->rm &= 7;                    /* an opmask: X and B are ignored */
    }
    if (in->enc == X86_EVEX && in->mod3 && has_kind(in->row, "WU")) {
        in->rm |= (in->rex & 2) << 3;
    }
}

unsigned x86_operand_bytes(const X86Insn *in, unsigned size)
{
    unsigned vector = 16u << in->vl;

    switch (size) {
    case OPS_b: return 1;
    case OPS_w: return 2;
    case OPS_d: return 4;
    case OPS_q: return 8;
    case OPS_t: return 10;
    case OPS_x: return vector;
    case OPS_h: return vector / 2;
    case OPS_f: return vector / 4;
    case OPS_e: return vector / 8;
    case OPS_o: return 16;
    case OPS_i: return 32;
    case OPS_v: return in->opsize / 8;
    default: return in->opsize == 64 ? 8 : 4;           /* y */
    }
}

unsigned x86_memory_bytes(const X86Insn *in)
{
    const X86Row *r = in->row;

    if (in->evex_b && r->bcst) {
        return r->bcst;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand); i++) {
        switch (r->operand[i].kind) {
        case OPK_E: case OPK_M: case OPK_W: case OPK_Q: case OPK_m:
            return x86_operand_bytes(in, r->operand[i].size);
        }
    }
    return 0;
}

unsigned decode_disp8_scale(const X86Insn *in)
{
    if (in->enc != X86_EVEX) {
        return 1;
    }
    return in->row->evex & EVEX_EXPAND ? in->row->mask : x86_memory_bytes(in);
}

/* The destination may be none of the sources, index included. */
static bool operands_clash(const X86Insn *in, unsigned bits)
{
    const X86Row *r = in->row;
    unsigned source = bits == 64 ? in->vvvv : in->vvvv & 7;
    bool vvvv = has_kind(r, "H"), vsib = r->vsib;

    return (vvvv && in->reg == source) || (vsib && in->reg == in->vindex)
        || (vvvv && vsib && source == in->vindex) || (in->mod3 && in->reg == in->rm);
}

static bool evex_is_undefined(const X86Insn *in)
{
    const X86Row *r = in->row;
    bool store = !in->mod3 && (r->operand[0].kind == OPK_W || r->operand[0].kind == OPK_M);

    return (in->zeroing && (!in->mask || store || (r->evex & EVEX_NZ)))
        || (in->mask && !r->mask)
        || (!in->mask && (r->evex & EVEX_NK0))
        || (in->evex_b && !in->mod3 && !r->bcst)
        || (in->evex_b && in->mod3 && !(r->evex & (EVEX_ER | EVEX_SAE)));
}

bool decode_vex_is_undefined(const X86Insn *in, unsigned bits)
{
    const X86Row *r = in->row;
    unsigned vvvv = r->vsib && in->enc == X86_EVEX ? in->vvvv & 15 : in->vvvv;
    bool uses_vvvv = has_kind(r, "HBh");

    if (!uses_vvvv && vvvv) {
        return true;
    }
    if (has_kind(r, "k") && (in->reg > 7 || in->evex_r)) {
        return true;
    }
    if (has_kind(r, "G") && in->evex_r) {
        return true;                    /* there are 16 general registers */
    }
    if (has_kind(r, "h") && (bits == 64 ? in->vvvv : in->vvvv & 7) > 7) {
        return true;
    }
    if (r->vsib && ((in->modrm & 7) != 4 || in->addrsize == 16)) {
        return true;
    }
    return ((r->evex & EVEX_DISTINCT) && operands_clash(in, bits))
        || (in->enc == X86_EVEX && evex_is_undefined(in));
}
