/*
 * tests/insn/oracle/generate.c - a state for an instruction, in which it has something to do.
 *
 * Operands in memory are aimed at: the registers of the address are set so that it hits the data pages,
 * mostly within, often across the edge of a page that cannot be read or written, sometimes nowhere.
 */
#include "generate.h"

#include <string.h>
#include "encode.h"
#include "target/x86/cpu.h"

enum { POOL = 32, INTEGERS = 1024, TRIES = 12, OFFSET_WILD = 0x10000 };

struct Generator {
    Rng rng;
    uint64_t integer[INTEGERS];         /* random_integer() */
    OracleState pool[POOL];             /* vector and x87 state, for instructions that do not look at it */
};

/* ---- the parts of a state ---- */

static void random_controls(Rng *r, OracleState *s)
{
    uint16_t fcw = random_fcw(r), fsw = random_fsw(r, fcw);
    uint32_t mxcsr = random_mxcsr(r);

    memcpy(s->fx + FX_FCW, &fcw, 2);
    memcpy(s->fx + FX_FSW, &fsw, 2);
    s->fx[FX_FTW] = below(r, 4) ? 0xff : below(r, 256);
    memcpy(s->fx + FX_MXCSR, &mxcsr, 4);
}

static void random_fpu(Rng *r, OracleState *s)
{
    random_controls(r, s);
    for (unsigned i = 0; i < 8; i++) {
        random_x87(r, s->fx + FX_ST + 16 * i);
    }
}

static void random_vector(Rng *r, OracleState *s, unsigned n)
{
    uint64_t v[8];

    for (unsigned i = 0; i < 8; i++) {
        v[i] = i && !below(r, 4) ? v[i - 1] : random_element(r);
    }
    if (n < 16) {
        memcpy(s->fx + FX_XMM + 16 * n, v, 16);
        memcpy(s->ymm_high[n], v + 2, 16);
        memcpy(s->zmm_high[n], v + 4, 32);
    } else {
        memcpy(s->zmm16[n & 15], v, 64);
    }
}

const uint8_t *case_background(void)
{
    static uint8_t bytes[DATA_PAGES * ORACLE_PAGE];
    static bool made;
    Rng r = { .state = 1 };

    if (!made) {
        random_background(&r, bytes);
        made = true;
    }
    return bytes;
}

Generator *generator_new(uint64_t seed)
{
    Generator *g = g_aligned_alloc0(1, sizeof(*g), 64);

    g->rng.state = seed;
    for (unsigned i = 0; i < INTEGERS; i++) {
        g->integer[i] = random_integer(&g->rng);
    }
    for (unsigned i = 0; i < POOL; i++) {
        random_fpu(&g->rng, &g->pool[i]);
        for (unsigned n = 0; n < 32; n++) {
            random_vector(&g->rng, &g->pool[i], n);
        }
        for (unsigned n = 0; n < 8; n++) {
            g->pool[i].k[n] = random_integer(&g->rng);
        }
    }
    return g;
}

void generator_free(Generator *g) { g_aligned_free(g); }

/* Where it has not, two thirds of a state need not be moved. */
static bool host_has_avx512(void)
{
    static int has = -1;

    if (has < 0) {
        has = __builtin_cpu_supports("avx512f") != 0;
    }
    return has;
}

void plain_case(OracleCase *c, unsigned bits, uint16_t at)
{
    OracleState *s = &c->in;

    c->bits = bits;
    c->code_at = at;
    c->patches = c->steps = 0;
    c->runs_on = false;
    s->vectors = host_has_avx512() ? ORACLE_AVX | ORACLE_AVX512 : ORACLE_AVX;
    memset(s, 0, offsetof(OracleState, vectors));
    memset(s->fx, 0, FX_END);
    memset(s->ymm_high, 0, sizeof(s->ymm_high));
    if (s->vectors & ORACLE_AVX512) {
        memset(s->k, 0, sizeof(*s) - offsetof(OracleState, k));
    }
    s->flags = FL_1 | FL_IF;
    memcpy(s->fx + FX_FCW, "\x7f\x03", 2);
    memcpy(s->fx + FX_MXCSR, "\x80\x1f", 2);
    s->seg[X86_CS] = bits == 64 ? SEL_USER64 : bits == 32 ? SEL_USER32 : LDT_SEL(LDT_CODE16);
    s->seg[X86_SS] = SEL_USER_DATA;
    s->seg[X86_DS] = s->seg[X86_ES] = bits == 64 ? 0 : SEL_USER_DATA;
    s->rip = bits == 16 ? at : CODE_AT + at;
}

bool decode_case(const OracleCase *c, X86Insn *in)
{
    int n = x86_decode(in, c->code, sizeof(c->code), c->bits);

    if (n < 0) {
        in->row = NULL;
    }
    return n <= (int)ORACLE_PAGE - c->code_at;
}

/* Where a selector's segment begins. */
uint64_t segment_base(const OracleCase *c, unsigned seg)
{
    uint16_t selector = c->in.seg[seg];

    if (c->bits == 64) {
        return seg == X86_FS ? c->in.fs_base : seg == X86_GS ? c->in.gs_base : 0;
    }
    return selector & 4 && selector >> 3 < LDT_USED ? oracle_ldt[selector >> 3].base : 0;
}

static uint16_t random_selector(Rng *r)
{
    static const uint16_t selectors[] = {
        0, 1, 3, SEL_USER32, SEL_USER_DATA, SEL_USER_DATA, SEL_USER64, SEL_USER_DATA & ~3, 0x08, 0x10, 0x18, 0x1b, 0x7b,
        0x80, 0x83, LDT_USED * 8 + 7, 0xffff,
    };

    switch (below(r, 16)) {
    case 0: return rng64(r);
    case 1: case 2: case 3: case 4: case 5: case 6: case 7: return LDT_SEL(below(r, LDT_USED)) & ~below(r, 2);
    default: return selectors[below(r, G_N_ELEMENTS(selectors))];
    }
}

/* Of a far branch: not from 32- to 64-bit code, for a reason that excluded.c tells. */
static uint16_t random_target(Rng *r, const OracleCase *c)
{
    uint16_t selector = random_selector(r);

    return c->bits == 64 || (selector & ~3) != (SEL_USER64 & ~3) ? selector : SEL_USER32;
}

static void random_segments(Rng *r, OracleCase *c)
{
    static const uint16_t data[] = {
        SEL_USER_DATA, SEL_USER_DATA, SEL_USER_DATA, SEL_USER_DATA, SEL_USER_DATA, SEL_USER32, 0,
        LDT_SEL(LDT_DATA16), LDT_SEL(LDT_DATA32), LDT_SEL(LDT_DATA32), LDT_SEL(LDT_DATA32), LDT_SEL(LDT_DOWN32),
        LDT_SEL(LDT_DOWN16), LDT_SEL(LDT_READ_ONLY), LDT_SEL(LDT_CODE32), LDT_SEL(LDT_SHORT),
    };
    static const uint16_t stack[] = {
        SEL_USER_DATA, SEL_USER_DATA, SEL_USER_DATA, LDT_SEL(LDT_DATA16), LDT_SEL(LDT_DATA32), LDT_SEL(LDT_DATA32),
        LDT_SEL(LDT_DOWN32), LDT_SEL(LDT_SHORT),
    };
    OracleState *s = &c->in;

    if (c->bits == 64) {
        s->fs_base = below(r, 4) ? DATA_AT + below(r, 0x6000) : random_integer(r) & 0x7fffffffffff;
        s->gs_base = below(r, 4) ? DATA_AT : DATA_AT - (uint64_t)below(r, 0x10000);
        return;
    }
    if (c->bits == 16 && below(r, 3)) {
        for (unsigned i = 0; i < X86_SEGS; i++) {
            s->seg[i] = i == X86_CS ? s->seg[i] : LDT_SEL(LDT_DATA16);
        }
    } else if (c->bits == 16 || !below(r, 2)) {
        for (unsigned i = 0; i < X86_SEGS; i++) {
            s->seg[i] = i == X86_CS ? s->seg[i] : i == X86_SS ? stack[below(r, G_N_ELEMENTS(stack))]
                      : data[below(r, G_N_ELEMENTS(data))];
        }
        if (c->bits == 32 && !below(r, 3)) {
            s->seg[X86_CS] = LDT_SEL(LDT_CODE32);
            s->rip = c->code_at;
        }
    }
}

/* An offset in the data pages; OFFSET_WILD: nowhere near. */
static unsigned random_offset(Rng *r)
{
    unsigned kind = below(r, 64);

    if (kind < 50) {
        unsigned at = 0x1000 + below(r, 0x1fc0);
        return kind < 8 ? at : kind < 28 ? at & ~15u : at & ~63u;
    }
    if (kind == 63) {
        return OFFSET_WILD;
    }
    static const uint16_t edges[] = { 0x2000, 0x2000, 0x2000, 0x1000, 0x3000, 0x3000, 0x4000, 0x5000, 0x6000, 0x3800 };
    return edges[below(r, G_N_ELEMENTS(edges))] - (below(r, 2) ? below(r, 17) : below(r, 65));
}

static uint64_t random_address(Rng *r, unsigned bits)
{
    static const uint64_t wild64[] = {
        0, 1, 0x7ffffffffff0, 0x7fffffffffff, 0x800000000000, 0x7ffffffffff9, 0xffff7fffffffffff,
        0xffff800000000000, 0xfffffffffffffff8, ~0ull, 0x4141414141414141, 0xffff8000fffffff8,
    };
    static const uint32_t wild32[] = { 0, 1, 0xfffff000, 0xffffff80, 0x80000000, 0xfff, 0xffff };
    unsigned offset = random_offset(r);

    if (offset != OFFSET_WILD) {
        return DATA_AT + offset;
    }
    return bits == 64 ? wild64[below(r, G_N_ELEMENTS(wild64))] : wild32[below(r, G_N_ELEMENTS(wild32))];
}

uint32_t case_word(const OracleCase *c, uint64_t linear)
{
    uint64_t at = linear - DATA_AT;
    uint8_t bytes[4];
    uint32_t v;

    if (at > DATA_PAGES * ORACLE_PAGE - sizeof(bytes)) {
        return 0;
    }
    memcpy(bytes, case_background() + at, sizeof(bytes));
    for (unsigned i = 0; i < c->patches; i++) {
        for (unsigned k = 0; k < sizeof(bytes); k++) {
            uint64_t in_patch = at + k - c->patch[i].at;
            bytes[k] = in_patch < c->patch[i].len ? c->patch[i].bytes[in_patch] : bytes[k];
        }
    }
    memcpy(&v, bytes, sizeof(v));
    return v;
}

static bool can_patch(unsigned at, unsigned len)
{
    return at >= 0x1000 && at + len <= 0x3000;
}

static void add_patch(OracleCase *c, uint64_t linear, const void *bytes, unsigned len)
{
    uint64_t at = linear - DATA_AT;

    if (at < 0x10000 && can_patch(at, len) && c->patches < PATCHES) {
        OraclePatch *p = &c->patch[c->patches++];
        p->at = at;
        p->len = len;
        memcpy(p->bytes, bytes, len);
    }
}

/* ---- aiming ---- */

static void set_low(uint64_t *reg, uint64_t v, unsigned bits)
{
    uint64_t mask = ~0ull >> (64 - bits);

    *reg = (*reg & ~mask) | (v & mask);
}

/* Bytes of the displacement follow ModRM and SIB. */
static void set_displacement(OracleCase *c, const X86Insn *in, uint32_t disp)
{
    unsigned at = in->modrm_at + 1 + (in->addrsize != 16 && (in->modrm & 7) == 4);

    memcpy(c->code + at, &disp, in->addrsize == 16 ? 2 : 4);
}

/* Make the operand of ModRM lie at `linear`, as far as its form allows. */
static void aim_modrm(OracleCase *c, const X86Insn *in, uint64_t linear)
{
    uint64_t *regs = c->in.regs;
    uint64_t off = linear - segment_base(c, in->segment);
    uint64_t index = in->index < 16 ? regs[in->index] << in->scale : 0;

    if (in->base < 16) {
        if (in->index != in->base) {
            unsigned bits = in->addrsize == 16 ? 16 : c->bits == 64 && in->addrsize == 32 ? 32 : in->addrsize;
            set_low(&regs[in->base], off - index - (int64_t)in->disp, bits);
        }
    } else if (in->base == X86_RIP) {
        set_displacement(c, in, (uint32_t)(off - c->in.rip - in->len));
    } else {
        set_displacement(c, in, (uint32_t)(off - index));
    }
}

bool has_operand(const X86Row *r, unsigned kind)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand); i++) {
        if (r->operand[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static void aim_register(Rng *r, OracleCase *c, unsigned reg, unsigned seg, unsigned addrsize)
{
    set_low(&c->in.regs[reg], random_address(r, c->bits) - segment_base(c, seg), addrsize);
}

/* Pointers that the row uses beside ModRM. */
static void aim_implicit(Rng *r, OracleCase *c, const X86Insn *in)
{
    const X86Row *row = in->row;
    bool big_stack = c->bits == 64 || (c->in.seg[X86_SS] == SEL_USER_DATA || (c->in.seg[X86_SS] & 4
                     && oracle_ldt[c->in.seg[X86_SS] >> 3].big));

    aim_register(r, c, X86_RSP, X86_SS, c->bits == 64 ? 64 : big_stack ? 32 : 16);
    if (row->op == OP_LEAVE || row->op == OP_ENTER) {
        aim_register(r, c, X86_RBP, X86_SS, c->bits == 64 ? 64 : big_stack ? 32 : 16);
    }
    if (has_operand(row, OPK_X)) {
        aim_register(r, c, X86_RSI, in->segment, in->addrsize);
    }
    if (has_operand(row, OPK_Y) || row->op == OP_MASKMOVQ || row->op == OP_MASKMOVDQU) {
        aim_register(r, c, X86_RDI, has_operand(row, OPK_Y) ? X86_ES : in->segment, in->addrsize);
    }
    if (row->op == OP_XLAT) {
        aim_register(r, c, X86_RBX, in->segment, in->addrsize);
    }
    if (row->words & (IN_REP | IN_REPZ) || row->op == OP_LOOP || row->op == OP_JCXZ) {
        set_low(&c->in.regs[X86_RCX], below(r, 8) ? below(r, 6) : random_integer(r), in->addrsize);
    }
}

static void random_memory(Rng *r, OracleCase *c, const X86Insn *in, uint64_t linear)
{
    uint8_t bytes[LINE];
    unsigned len = 16 << below(r, 3);

    if (has_operand(in->row, OPK_T) || in->row->operand[0].size == OPS_t || in->row->operand[1].size == OPS_t) {
        random_x87(r, bytes);
        len = 10;
    } else {
        for (unsigned i = 0; i < len; i += 8) {
            uint64_t v = random_element(r);
            memcpy(bytes + i, &v, 8);
        }
    }
    if (in->row->operand[1].size == OPS_p || in->row->operand[0].size == OPS_p) {
        uint16_t selector = random_target(r, c);
        memcpy(bytes + in->opsize / 8, &selector, 2);
    }
    if (in->row->op == OP_LDMXCSR && below(r, 8)) {
        bytes[2] = bytes[3] = 0;
    }
    add_patch(c, linear, bytes, len);
}

/* What RETF, IRET and POP of a segment register find. */
static void random_frame(Rng *r, OracleCase *c, const X86Insn *in)
{
    uint64_t words[5] = { random_integer(r), random_selector(r), random_integer(r), random_integer(r),
                          random_selector(r) };
    uint8_t bytes[5 * 8];
    unsigned size = in->opsize / 8;

    if (in->row->op == OP_POP_SEG) {
        words[0] = random_selector(r) | (below(r, 2) ? 0 : (uint64_t)rng64(r) << 16);
    } else if (below(r, 2)) {
        words[0] &= 0xffff;
        words[1] = c->in.seg[X86_CS];
        words[4] = SEL_USER_DATA;
    }
    for (unsigned i = 0; i < 5; i++) {
        memcpy(bytes + i * size, &words[i], size);
    }
    add_patch(c, c->in.regs[X86_RSP] + segment_base(c, X86_SS), bytes, 5 * size);
}

static void random_operands(Rng *r, OracleCase *c, const X86Insn *in)
{
    const X86Row *row = in->row;
    OracleState *s = &c->in;

    if ((row->op == OP_BT || row->op == OP_BTS || row->op == OP_BTR || row->op == OP_BTC) && below(r, 4)) {
        s->regs[in->reg] = (uint64_t)below(r, 512) - 256;
        s->regs[in->reg] &= c->bits == 64 ? ~0ull : 0xffffffff;
    }
    if (has_operand(row, OPK_S) && in->mod3) {
        set_low(&s->regs[in->rm], random_selector(r), 16);
    }
    if (has_operand(row, OPK_A)) {
        uint16_t selector = random_target(r, c);
        memcpy(c->code + in->imm_at + (in->opsize == 16 ? 2 : 4), &selector, 2);
    }
    if (row->op == OP_CMPXCHG && below(r, 2) && in->mod3) {
        s->regs[X86_RAX] = s->regs[in->rm];
    }
    aim_implicit(r, c, in);
    if (has_operand(row, OPK_O)) {
        uint64_t off = random_address(r, c->bits) - segment_base(c, in->segment);
        memcpy(c->code + in->imm_at, &off, in->addrsize / 8);
    }
    if (row->has_modrm && !in->mod3) {
        uint64_t linear = random_address(r, c->bits);
        aim_modrm(c, in, linear);
        if (below(r, 4)) {
            random_memory(r, c, in, linear);
        }
    }
    if (row->op == OP_RET_FAR || row->op == OP_IRET || row->op == OP_POP_SEG) {
        random_frame(r, c, in);
    }
}

static void random_registers(Generator *g, OracleCase *c, const X86Insn *in)
{
    Rng *r = &g->rng;
    OracleState *s = &c->in;
    const OracleState *from = &g->pool[below(r, POOL)];
    uint64_t v = 0;

    for (unsigned i = 0; i < (c->bits == 64 ? 16 : 8); i++, v >>= 16) {
        v = i % 4 ? v : rng64(r);
        uint64_t *pooled = &g->integer[v % INTEGERS];
        s->regs[i] = *pooled & (c->bits == 64 ? ~0ull : 0xffffffff);
        *pooled = (v & 0x8000) ? *pooled : random_integer(r);
    }
    s->flags = FL_1 | FL_IF | (rng64(r) & FL_STATUS) | (below(r, 4) ? 0 : FL_DF);
    if (!below(r, 8)) {
        s->flags |= (below(r, 2) ? FL_AC : 0) | (below(r, 2) ? FL_ID : 0) | (below(r, 4) ? 0 : FL_NT);
    }
    memcpy(s->fx, from->fx, FX_END);
    memcpy(s->ymm_high, from->ymm_high, sizeof(s->ymm_high));
    if (s->vectors & ORACLE_AVX512) {
        memcpy(s->k, from->k, sizeof(s->k));
        memcpy(s->zmm_high, from->zmm_high, sizeof(s->zmm_high));
        memcpy(s->zmm16, from->zmm16, sizeof(s->zmm16));
    }
    if (in->row && (in->row->words & (IN_MMX | IN_X87))) {
        random_fpu(r, s);
    } else if (in->row && (in->row->words & IN_SSE)) {
        random_controls(r, s);
    }
    if (in->row && (in->row->words & (IN_MMX | IN_SSE))) {
        random_vector(r, s, in->reg & 15);
        random_vector(r, s, in->rm & 15);
        random_vector(r, s, in->vvvv & 15);
    }
}

/* Single-stepping is slow (child.c), but keeps what jumps to itself, or to a place in its own bytes, from
 * going on there. */
static bool wants_single_step(Rng *r, const X86Insn *in, const OracleCase *c)
{
    const X86Row *row = in->row;

    if (!row || row->vsib) {            /* gathers may trap between two elements (volume 2, VPGATHERDD) */
        return !row && !below(r, 8);
    }
    if (has_operand(row, OPK_J)) {
        int64_t to = (int64_t)in->imm + in->len;        /* from its start */
        if (c->bits == 64 && in->opsize_prefix) {
            return true;                /* AMD's is two bytes shorter: what these are might loop */
        }
        if (c->bits == 16 || in->opsize == 16) {
            to = (int16_t)to;
        }
        return (to >= 0 && to < in->len) || !below(r, 128);
    }
    if (row->words & IN_ENDS) {
        bool far = row->op == OP_RET_FAR || row->op == OP_IRET || row->op == OP_CALL_FAR || row->op == OP_JMP_FAR;
        return far || (c->in.seg[X86_CS] & 4) || in->opsize == 16 || !below(r, 128);
    }
    return !below(r, in->rep ? 64 : 256);
}

/* Is what is behind it the next to be executed?  Not so surely after a branch, nor a POPF that sets TF. */
bool runs_on(const X86Insn *in, const OracleCase *c)
{
    return in->row && !(in->row->words & IN_ENDS) && !has_operand(in->row, OPK_J) && in->row->op != OP_POPF
        && !(c->in.flags & FL_TF);
}

static void place_code(Rng *r, OracleCase *c)
{
    unsigned kind = below(r, 16);

    c->code_at = kind == 0 ? ORACLE_PAGE - 1 - below(r, 15) : kind < 4 ? below(r, ORACLE_PAGE - 16)
               : below(r, ORACLE_PAGE / LINE) * LINE;
}

bool generate(Generator *g, const Form *form, unsigned bits, OracleCase *c)
{
    Rng *r = &g->rng;
    uint8_t bytes[ENCODING_MAX];
    X86Insn in;

    for (unsigned tries = 0; tries < TRIES; tries++) {
        random_encoding(r, form, bits, bytes);
        int n = x86_decode(&in, bytes, sizeof(bytes), bits);
        if (n < 0) {
            in.row = NULL;
        }
        if (in.row != form->row && below(r, 16)) {
            continue;                   /* another row, or none: worth a try now and then */
        }
        place_code(r, c);
        plain_case(c, bits, c->code_at);
        c->len = n > 0 ? n : X86_INSN_MAX;
        memcpy(c->code, bytes, sizeof(c->code));
        if (case_excluded(c, &in)) {
            continue;
        }
        random_registers(g, c, &in);
        random_segments(r, c);
        if (in.row) {
            random_operands(r, c, &in);
        }
        if (wants_single_step(r, &in, c)) {
            c->in.flags |= FL_TF;
            c->steps = in.rep && in.row && (in.row->words & (IN_REP | IN_REPZ)) ? below(r, 4) : 0;
        }
        c->runs_on = below(r, 32) && runs_on(&in, c);    /* else RIP is seen, too */
        return true;
    }
    return false;
}
