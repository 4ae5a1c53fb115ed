/*
 * tests/insn/oracle/encode.c - a random encoding of a row of the instruction table.
 *
 * Prefixes that the row demands, and others in any order and number; REX where it counts and where it
 * does not; every addressing form; immediates and displacements at their edges.  What the bytes mean is
 * for the decoder to say.
 */
#include "encode.h"

typedef struct Prefixes { uint8_t b[X86_INSN_MAX]; unsigned n; } Prefixes;

static void add_prefix(Prefixes *p, uint8_t b)
{
    if (p->n < sizeof(p->b)) {
        p->b[p->n++] = b;
    }
}

/* One of the mandatory prefixes that fit; 0: none. */
static uint8_t demanded_prefix(Rng *r, const X86Row *row)
{
    static const uint8_t byte[4] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned k;

    if ((row->pfx & X86_PFX_NONE) && below(r, 3)) {
        return 0;
    }
    do {
        k = below(r, 8);
        k = k < 4 ? k : 1;              /* 66 more often than the others: it changes the operand size */
    } while (!(row->pfx >> k & 1));
    return byte[k];
}

static void add_prefixes(Rng *r, const X86Row *row, Prefixes *p)
{
    static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    uint8_t demanded = demanded_prefix(r, row);

    if (demanded) {
        add_prefix(p, demanded);
    }
    if ((row->words & (IN_REP | IN_REPZ)) && below(r, 2)) {
        add_prefix(p, below(r, 4) ? 0xf3 : 0xf2);
    }
    if (!below(r, 5)) {
        add_prefix(p, segments[below(r, sizeof(segments))]);
    }
    if (!below(r, 8)) {
        add_prefix(p, 0x67);
    }
    if (!below(r, row->words & IN_LOCK ? 3 : 64)) {
        add_prefix(p, 0xf0);
    }
    if (!below(r, 16)) {                /* useless ones */
        static const uint8_t any[] = { 0x66, 0x67, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
        for (unsigned i = below(r, 16) ? 1 + below(r, 3) : 1 + below(r, 12); i; i--) {
            add_prefix(p, below(r, 2) && p->n ? p->b[below(r, p->n)] : any[below(r, sizeof(any))]);
        }
    }
    for (unsigned i = p->n; i > 1; i--) {
        unsigned j = below(r, i);
        uint8_t b = p->b[i - 1];
        p->b[i - 1] = p->b[j];
        p->b[j] = b;
    }
}

/* Displacements and immediates: a third of the bytes at an edge.  Four of them to a random number. */
static void random_bytes(Rng *r, uint8_t *p, unsigned n)
{
    static const uint8_t edges[16] = { 0, 1, 2, 7, 8, 15, 16, 31, 32, 0x40, 0x7f, 0x80, 0xfe, 0xff, 0, 0xff };
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++, v >>= 16) {
        v = i % 4 ? v : rng64(r);
        p[i] = (v & 0xff) < 0x55 ? edges[v >> 8 & 15] : v >> 8;
    }
}

static uint8_t modrm_byte(Rng *r, const X86Row *row)
{
    unsigned mod = row->mod == 1 ? below(r, 3) : row->mod == 2 ? 3 : below(r, 2) ? 3 : below(r, 3);
    unsigned reg = row->reg == 8 ? below(r, 8) : row->reg;

    return row->modrm ? row->modrm : mod << 6 | reg << 3 | below(r, 8);
}

static bool vex_names_register(const X86Row *row)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(row->operand); i++) {
        unsigned kind = row->operand[i].kind;
        if (kind == OPK_H || kind == OPK_B || kind == OPK_h) {
            return true;
        }
    }
    return false;
}

/* Fields that a VEX or EVEX prefix holds: those of the row where it demands them.  Outside 64-bit code
 * registers above 7 do not exist, and the bits that name them tell the prefix from LES, LDS and BOUND. */
typedef struct VexFields { unsigned pp, w, length, vvvv, rxb; } VexFields;

static VexFields vex_fields(Rng *r, const X86Row *row, unsigned bits)
{
    VexFields f = { .w = row->rex & X86_REX_W1 ? 1 : row->rex & X86_REX_W0 ? 0 : below(r, 2) };

    do {
        f.pp = below(r, 4);
    } while (!(row->pfx >> f.pp & 1));
    do {
        f.length = below(r, 3);
    } while (!row->lig && !(row->lengths >> f.length & 1));
    f.vvvv = vex_names_register(row) ? below(r, 16) : below(r, 64) ? 0 : below(r, 16);
    f.rxb = bits == 64 ? below(r, 8) : 0;
    return f;
}

/* Inverted, as they all are. */
static unsigned put_vex(Rng *r, const Form *form, unsigned bits, uint8_t *out)
{
    VexFields f = vex_fields(r, form->row, bits);
    unsigned vvvv = bits == 64 ? f.vvvv : f.vvvv & 7, last = (vvvv ^ 15) << 3 | (f.length & 1) << 2 | f.pp;

    if (form->map == 1 && !f.w && !(f.rxb & 3) && below(r, 2)) {
        out[0] = 0xc5;
        out[1] = (f.rxb & 4 ? 0 : 0x80) | last;
        return 2;
    }
    out[0] = 0xc4;
    out[1] = (f.rxb ^ 7) << 5 | form->map;
    out[2] = f.w << 7 | last;
    return 3;
}

static unsigned put_evex(Rng *r, const Form *form, unsigned bits, uint8_t *out)
{
    const X86Row *row = form->row;
    VexFields f = vex_fields(r, row, bits);
    unsigned high = bits == 64 ? below(r, 4) : 0;       /* R', V' */
    unsigned mask = row->mask ? below(r, 8) : below(r, 64) ? 0 : below(r, 8);

    out[0] = 0x62;
    out[1] = (f.rxb ^ 7) << 5 | (high & 1 ? 0 : 0x10) | form->map;
    out[2] = f.w << 7 | ((bits == 64 ? f.vvvv : f.vvvv & 7) ^ 15) << 3 | 4 | f.pp;
    out[3] = (mask && below(r, 2) ? 0x80 : 0) | f.length << 5 | (below(r, 4) ? 0 : 0x10) | (high & 2 ? 0 : 8) | mask;
    return 4;
}

/* What stands before ModRM. */
static unsigned put_vector_opcode(Rng *r, const Form *form, unsigned bits, uint8_t *out)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0x67 };
    unsigned n = 0;

    for (unsigned i = below(r, 4) ? 0 : 1 + below(r, 2); i; i--) {
        out[n++] = prefixes[below(r, sizeof(prefixes))];
    }
    if (!below(r, 64)) {                /* one that makes it #UD */
        static const uint8_t wrong[] = { 0x66, 0xf2, 0xf3, 0xf0, 0x48 };
        out[n++] = wrong[below(r, sizeof(wrong))];
    }
    n += (form->row->enc == X86_VEX ? put_vex : put_evex)(r, form, bits, out + n);
    out[n++] = form->opcode;
    return n;
}

static unsigned put_legacy_opcode(Rng *r, const Form *form, unsigned bits, uint8_t *out)
{
    Prefixes p = { .n = 0 };
    unsigned n = 0;

    add_prefixes(r, form->row, &p);
    unsigned misplaced = bits == 64 && !below(r, 32) ? below(r, p.n + 1) : p.n + 1;
    for (unsigned i = 0; i < p.n; i++) {
        if (i == misplaced) {
            out[n++] = 0x40 | below(r, 16);
        }
        out[n++] = p.b[i];
    }
    if (bits == 64 && (form->row->rex || below(r, 2))) {
        out[n++] = 0x40 | below(r, 16);
    }
    if (form->map) {
        out[n++] = 0x0f;
    }
    if (form->map > 1) {
        out[n++] = form->map == 2 ? 0x38 : 0x3a;
    }
    out[n++] = form->opcode;
    return n;
}

unsigned random_encoding(Rng *r, const Form *form, unsigned bits, uint8_t out[ENCODING_MAX])
{
    unsigned n = (form->row->enc == X86_LEGACY ? put_legacy_opcode : put_vector_opcode)(r, form, bits, out);

    if (form->row->has_modrm) {
        out[n++] = modrm_byte(r, form->row);
    }
    random_bytes(r, out + n, ENCODING_MAX - n);
    return ENCODING_MAX;
}
