/*
 * target/x86/decode.c - one instruction from its bytes, by the rows of target/x86/insn/.
 *
 * Follows the Intel SDM, volume 2, chapter 2 (prefixes, ModRM, SIB, RIP-relative addresses) and
 * appendix A (operand letters).  The index made by gen-insn.py gives the few rows that claim an
 * opcode; the first that fits prefixes, mode and ModRM is the instruction.  VEX and EVEX prefixes are
 * decode-vex.c's.
 */
#include "decode-private.h"

#include <stdio.h>
#include <string.h>
#include "target/x86/cpu.h"

#include "gen/x86-rows.c.inc"

uint64_t decode_take(Cursor *c, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++) {
        if (c->pos >= X86_INSN_MAX || c->pos >= c->avail) {
            c->fault = c->pos >= X86_INSN_MAX ? X86_DECODE_LONG : X86_DECODE_SHORT;
            return 0;
        }
        v |= (uint64_t)c->p[c->pos++] << (8 * i);
    }
    return v;
}

static bool take_prefix(X86Insn *in, uint8_t b, unsigned bits, bool *ad67)
{
    switch (b) {
    case 0xf0:
        in->lock = b;
        return true;
    case 0xf2: case 0xf3:
        in->rep = b;
        return true;
    case 0x26: case 0x2e: case 0x36: case 0x3e:
        if (bits != 64 || (in->segment_prefix != 0x64 && in->segment_prefix != 0x65)) {
            in->segment_prefix = b;     /* in 64-bit mode a hint at most: it does not undo FS or GS */
        }
        return true;
    case 0x64: case 0x65:
        in->segment_prefix = b;
        return true;
    case 0x66:
        in->opsize_prefix = b;
        return true;
    case 0x67:
        *ad67 = true;
        return true;
    default:
        return false;
    }
}

/* Prefixes, then 0F, 0F 38 or 0F 3A, then the opcode byte; false: #UD. */
static bool take_opcode(Cursor *c, X86Insn *in, unsigned bits, bool *ad67)
{
    uint8_t b;

    for (;;) {
        b = decode_take(c, 1);
        if (c->fault) {
            return false;
        }
        if (take_prefix(in, b, bits, ad67)) {
            in->rex = 0;                /* REX counts only right before the opcode (2.2.1) */
        } else if (bits == 64 && (b & 0xf0) == 0x40) {
            in->rex = b;
        } else {
            break;
        }
    }
    if (decode_is_vex(c, b, bits)) {
        return decode_take_vex(c, in, b, bits);
    }
    if (b == 0x0f) {
        in->map = 1;
        b = decode_take(c, 1);
        if (b == 0x38 || b == 0x3a) {
            in->map = b == 0x38 ? 2 : 3;
            b = decode_take(c, 1);
        }
    }
    in->opcode = b;
    return true;
}

static bool row_fits(const X86Row *r, const X86Insn *in, unsigned bits, unsigned pfx, unsigned rex)
{
    return (r->pfx & pfx)
        && !(r->rex & rex)
        && (r->mode == 0 || (r->mode == 2) == (bits == 64))
        && (in->enc == X86_LEGACY || decode_vex_row_fits(r, in))
        && (!r->has_modrm
            || (r->modrm ? r->modrm == in->modrm
                         : (r->reg == 8 || r->reg == ((in->modrm >> 3) & 7))
                           && (r->mod == 0 || (r->mod == 2) == (in->modrm >= 0xc0))));
}

static const X86Row *find_row(Cursor *c, X86Insn *in, unsigned bits)
{
    unsigned map = in->enc * 8 + in->map;
    const uint16_t *cand = x86_candidates + x86_index[map][in->opcode].first;
    unsigned n = x86_index[map][in->opcode].count;
    unsigned pfx = in->enc ? 1u << in->pp : in->rep == 0xf3 ? X86_PFX_F3 : in->rep ? X86_PFX_F2
                 : in->opsize_prefix ? X86_PFX_66 : X86_PFX_NONE;
    /* What a row may not demand */
    unsigned rex = (in->rex & 8 ? X86_REX_W0 : X86_REX_W1) | (in->rex & 1 ? X86_REX_B0 : X86_REX_B1);

    for (unsigned i = 0; i < n; i++) {
        const X86Row *r = &x86_rows[cand[i]];
        if (r->has_modrm && !in->modrm_at && (r->mode == 0 || (r->mode == 2) == (bits == 64))) {
            in->modrm_at = c->pos;
            in->modrm = decode_take(c, 1);
        }
        if (row_fits(r, in, bits, pfx, rex)) {
            return r;
        }
    }
    return NULL;
}

/* Segment registers 6 and 7, CS as a destination, and control registers that do not exist. */
static bool names_no_such_register(const X86Insn *in)
{
    unsigned reg = (in->modrm >> 3 & 7) | (in->rex & 4 ? 8 : 0);

    for (unsigned i = 0; i < 2; i++) {
        switch (in->row->operand[i].kind) {
        case OPK_S:                                     /* REX.R does not count */
            return (reg & 7) > X86_GS || (i == 0 && (reg & 7) == X86_CS);
        case OPK_C:
            return reg > 8 || !(0x11d >> reg & 1);      /* 0, 2, 3, 4 and 8 */
        case OPK_D:
            return reg > 7;
        }
    }
    return false;
}

static void take_address16(Cursor *c, X86Insn *in, unsigned mod, unsigned rm)
{
    static const uint8_t base[8] = { X86_RBX, X86_RBX, X86_RBP, X86_RBP, X86_RSI, X86_RDI, X86_RBP, X86_RBX };
    static const uint8_t index[8] = { X86_RSI, X86_RDI, X86_RSI, X86_RDI,
                                      X86_ZERO, X86_ZERO, X86_ZERO, X86_ZERO };
    in->base = base[rm];
    in->index = index[rm];
    if (mod == 0 && rm == 6) {
        in->base = X86_ZERO;
        mod = 2;
    }
    in->disp = mod == 1 ? (int8_t)decode_take(c, 1) : mod == 2 ? (int16_t)decode_take(c, 2) : 0;
}

static void take_address(Cursor *c, X86Insn *in, unsigned bits)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7, scale = mod == 1 ? decode_disp8_scale(in) : 1;

    in->index = X86_ZERO;
    if (in->addrsize == 16) {
        take_address16(c, in, mod, rm);
    } else {
        in->base = rm | (in->rex & 1) << 3;
        if (rm == 4) {
            uint8_t sib = decode_take(c, 1);
            unsigned index = (sib >> 3 & 7) | (in->rex & 2) << 2;
            rm = sib & 7;
            in->base = rm | (in->rex & 1) << 3;
            in->index = index == 4 || in->row->vsib ? X86_ZERO : index;
            in->vindex = index | (in->vvvv & 16);
            in->scale = sib >> 6;
            if (mod == 0 && rm == 5) {
                in->base = X86_ZERO;
                mod = 2;
            }
        } else if (mod == 0 && rm == 5) {
            in->base = bits == 64 ? X86_RIP : X86_ZERO;
            mod = 2;
        }
        in->disp = mod == 1 ? (int8_t)decode_take(c, 1) : mod == 2 ? (int32_t)decode_take(c, 4) : 0;
    }
    in->disp *= (int32_t)scale;
}

/* The segment of the memory operand: SS where the base is the stack or frame pointer (volume 1, 3.7.4). */
static unsigned pick_segment(const X86Insn *in, unsigned bits)
{
    switch (in->segment_prefix) {
    case 0x64: return X86_FS;
    case 0x65: return X86_GS;
    }
    if (bits != 64) {
        switch (in->segment_prefix) {
        case 0x26: return X86_ES;
        case 0x2e: return X86_CS;
        case 0x36: return X86_SS;
        case 0x3e: return X86_DS;
        }
    }
    return !in->mod3 && (in->base == X86_RSP || in->base == X86_RBP) ? X86_SS : X86_DS;
}

/* Byte offset in regs[] of the byte register `reg`: AH, CH, DH, BH are 4..7 without REX (2.2.1.2). */
static unsigned byte_register(const X86Insn *in, unsigned reg)
{
    return !in->rex && reg >= 4 && reg < 8 ? (reg - 4) * 8 + 1 : reg * 8;
}

static int64_t take_signed(Cursor *c, unsigned bytes)
{
    uint64_t v = decode_take(c, bytes);

    return bytes == 1 ? (int8_t)v : bytes == 2 ? (int16_t)v : bytes == 4 ? (int32_t)v : (int64_t)v;
}

static void take_immediates(Cursor *c, X86Insn *in)
{
    unsigned z = in->opsize == 16 ? 2 : 4;
    bool second = false;

    for (unsigned i = 0; i < G_N_ELEMENTS(in->row->operand) && in->row->operand[i].kind; i++) {
        unsigned kind = in->row->operand[i].kind, size = in->row->operand[i].size;
        if (kind != OPK_I && kind != OPK_J && kind != OPK_A && kind != OPK_O && kind != OPK_L) {
            continue;
        }
        if (!in->imm_at) {
            in->imm_at = c->pos;
        }
        if (second) {
            in->imm2 = decode_take(c, 1);                      /* ENTER's level */
        } else if (kind == OPK_A) {
            in->imm = decode_take(c, z);
            in->imm2 = decode_take(c, 2);
        } else if (kind == OPK_O) {
            in->imm = decode_take(c, in->addrsize / 8);
        } else if (kind == OPK_L) {
            in->imm = decode_take(c, 1);
        } else if (kind == OPK_J) {
            in->imm = take_signed(c, size == OPS_b ? 1 : z);
        } else if (size == OPS_b || size == OPS_w) {
            in->imm = decode_take(c, size == OPS_b ? 1 : 2);
        } else {
            in->imm = take_signed(c, size == OPS_c ? 1 : size == OPS_z ? z : in->opsize / 8);
        }
        second = true;
    }
}

static unsigned operand_size(const X86Insn *in, unsigned bits)
{
    /* A 66 that is part of the opcode does not change the size. */
    bool op66 = in->opsize_prefix && in->row->pfx != X86_PFX_66;

    if (in->enc) {
        return bits == 64 && (in->rex & 8) ? 64 : 32;
    }
    if (bits != 64) {
        return (bits == 32) != op66 ? 32 : 16;
    }
    if ((in->rex & 8) || (in->row->words & IN_F64)) {
        return 64;
    }
    return op66 ? 16 : in->row->words & IN_D64 ? 64 : 32;
}

int x86_decode(X86Insn *in, const uint8_t *p, size_t avail, unsigned bits)
{
    Cursor c = { .p = p, .avail = avail };
    bool ad67 = false;

    memset(in, 0, sizeof(*in));
    in->mod3 = 1;
    in->base = in->index = X86_ZERO;
    bool good = take_opcode(&c, in, bits, &ad67);
    if (c.fault || !good) {
        return c.fault ? c.fault : X86_DECODE_UD;
    }
    in->addrsize = bits == 64 ? (ad67 ? 32 : 64) : (bits == 32) != ad67 ? 32 : 16;
    in->row = find_row(&c, in, bits);
    if (c.fault || !in->row) {
        return c.fault ? c.fault : X86_DECODE_UD;
    }
    in->opsize = operand_size(in, bits);
    if (in->row->has_modrm) {
        if (names_no_such_register(in)) {
            return X86_DECODE_UD;
        }
        in->reg = (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
        in->rm = (in->modrm & 7) | (in->rex & 1) << 3;
        if (in->row->operand[0].kind == OPK_S || in->row->operand[1].kind == OPK_S) {
            in->reg &= 7;
        }
        in->mod3 = in->modrm >= 0xc0 || (in->row->words & IN_ANYMOD);
        if (!in->mod3) {
            take_address(&c, in, bits);
        }
        if (in->enc) {
            decode_vex_registers(in, bits);
        }
    } else {
        in->rm = (in->opcode & 7) | (in->rex & 1) << 3;
    }
    in->reg8 = byte_register(in, in->reg);
    in->rm8 = byte_register(in, in->rm);
    in->segment = pick_segment(in, bits);
    take_immediates(&c, in);
    if (c.fault) {
        return c.fault;
    }
    if (in->enc && decode_vex_is_undefined(in, bits)) {
        return X86_DECODE_UD;
    }
    if (in->lock && (!(in->row->words & IN_LOCK) || in->mod3)) {
        return X86_DECODE_UD;
    }
    if (bits != 64) {
        in->vvvv &= 7;                  /* its top bit counts only where it must be 1 */
    }
    return in->len = c.pos;
}

const X86Row *x86_row(unsigned map, unsigned opcode, unsigned k)
{
    if (map >= G_N_ELEMENTS(x86_index) || k >= x86_index[map][opcode].count) {
        return NULL;
    }
    return &x86_rows[x86_candidates[x86_index[map][opcode].first + k]];
}

const X86Row *x86_row_at(unsigned number) { return number < X86_ROW_COUNT ? &x86_rows[number] : NULL; }
unsigned x86_row_number(const X86Row *r) { return (unsigned)(r - x86_rows); }

size_t x86_mnemonic(const X86Insn *in, char *buf, size_t size)
{
    static const char *const cond[16] = {
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
    };
    const char *n = in->row->names, *bar;
    unsigned by = *n == '@' ? in->addrsize : in->opsize;        /* jcxz goes by the address size */

    n += *n == '@';
    for (unsigned pick = by == 16 ? 0 : by == 32 ? 1 : 2; pick && (bar = strchr(n, '|')); pick--) {
        n = bar + 1;
    }
    int len = strcspn(n, "|{");
    return snprintf(buf, size, "%.*s%s", len, n, n[len] == '{' ? cond[in->opcode & 15] : "");
}
