/*
 * accel/dbt/x86_64/live.c - vectors, opmasks and the x87 in the host's registers of the same name, while
 * translated code runs.
 *
 * X86Cpu.dbt.live says what of X86Fpu is there now and not in X86Cpu.  It is loaded when an instruction needs
 * it, and goes back on every way to C: translated code that uses no vectors pays a compare on such ways.
 * MXCSR and the x87's control word are the guest's own then, with their sticky flags; so only where all
 * exceptions are masked can an instruction run like this.  Otherwise it is left to its handler, which raises
 * what there is to raise.
 */
#include "trans.h"

#include "target/x86/model.h"

enum { MXCSR_MASKS = 0x1f80, MXCSR_CONTROL = 0xffc0, FCW_MASKS = 0x3f, FCW_HOST = 0x37f, FSW_ES = 0x80,
       TAG_BITS = 0x5555 };
enum { ENV_FCW, ENV_FSW = 4, ENV_TAGS = 8 };

/* ---- in blocks ---- */

void trans_live_point(Trans *t)
{
    Emit *e = &t->e;

    if (!t->x87_last) {
        return;
    }
    const X86Insn *in = &t->b->insns[t->x87_last - 1];
    int32_t at = (int32_t)(t->b->gpa & (PAGE_SIZE - 1));
    for (const X86Insn *before = t->b->insns; before < in; before++) {
        at += before->len;
    }
    trans_rip(t, H_T0, at);
    emit_store(e, GS_OF(fpu.fip), H_T0);
    emit_op(e, E_66, 0xc7, 0, GS_OF(fpu.fop));
    emit8(e, in->modrm);
    emit8(e, in->opcode & 7);
    emit_op(e, E_0F, 0xb7, H_T0, GS_OF(seg[X86_CS].selector));
    emit_op(e, E_66, 0x89, H_T0, GS_OF(fpu.fcs));
}

static const uint8_t *loader(const Trans *t, unsigned part)
{
    return part == LIVE_SSE ? t->v->thunk.load_sse : part == LIVE_AVX ? t->v->thunk.load_avx
         : part == LIVE_AVX512 ? t->v->thunk.load_avx512 : t->v->thunk.load_x87;
}

/* The loaders want to know where to go on if they cannot. */
static void emit_load_call(Trans *t, unsigned part, unsigned i, int32_t at)
{
    trans_point_to(t, H_T0, i);
    emit_imm(&t->e, H_T1, (uint32_t)at);
    emit_call_to(&t->e, loader(t, part));
}

static unsigned vector_part(unsigned need)
{
    return need & LIVE_AVX512 ? LIVE_AVX512 : need & LIVE_AVX ? LIVE_AVX : need & LIVE_SSE;
}

static bool may_use(const Trans *t, unsigned need)
{
    uint32_t mode = t->c->mode;

    return !(mode & MODE_FPU_OFF) && (!(need & LIVE_SSE) || (mode & MODE_SSE_ON))
        && (!(need & LIVE_AVX) || ((mode & MODE_AVX_ON) && t->v->thunk.load_avx))
        && (!(need & LIVE_AVX512) || ((mode & MODE_AVX512_ON) && t->v->thunk.load_avx512));
}

static void need_part(Trans *t, unsigned part)
{
    if (!part || (t->known & part)) {
        return;
    }
    if (t->n_load == MAX_LOAD) {
        t->e.full = true;
        return;
    }
    trans_flags_saved(t);
    emit_op(&t->e, 0, 0xf6, 0, GS_OF(dbt.live));                /* test */
    emit8(&t->e, part);
    uint8_t *jump = emit_jcc(&t->e, CC_E);
    trans_flags_clobbered(t);
    t->load[t->n_load++] = (LoadSite){ jump, t->e.p, t->at, (uint8_t)t->i, (uint8_t)part, t->x87_last };
    t->known |= part | (part & (LIVE_AVX | LIVE_AVX512) ? LIVE_SSE : 0) | (part == LIVE_AVX512 ? LIVE_AVX : 0);
}

bool trans_live(Trans *t, unsigned need)
{
    if (!need) {
        return true;
    }
    if (!may_use(t, need)) {
        return false;
    }
    need_part(t, vector_part(need));
    need_part(t, need & LIVE_X87);
    t->last_live = (uint8_t)t->i;
    return true;
}

void trans_live_emit_loads(Trans *t)
{
    for (unsigned k = 0; k < t->n_load; k++) {
        const LoadSite *s = &t->load[k];
        emit_land(&t->e, s->jump);
        t->x87_last = s->x87_last;
        trans_live_point(t);                                    /* it may have to leave */
        emit_load_call(t, s->part, s->insn, s->at);
        emit_jmp_to(&t->e, s->back);
    }
}

/* The slow way of instruction i has put everything into X86Cpu: the code behind relies on more. */
void trans_live_again(Trans *t, unsigned i, unsigned known, int32_t behind)
{
    if (i >= t->last_live) {
        return;
    }
    if (vector_part(known)) {
        emit_load_call(t, vector_part(known), i + 1, behind);
    }
    if (known & LIVE_X87) {
        emit_load_call(t, LIVE_X87, i + 1, behind);
    }
}

/* ---- thunks: to and from X86Cpu ---- */

static bool has_avx(void) { return __builtin_cpu_supports("avx"); }

static bool has_avx512(const DbtVcpu *v)
{
    return x86_feature(v->engine.cpu, FEAT_AVX512F) && __builtin_cpu_supports("avx512bw");
}

enum { XMM = 0, YMM = 1, ZMM = 2, MOVUPS_LOAD = 0x10, MOVUPS_STORE = 0x11 };

static Operand vector_half(unsigned n, unsigned q)
{
    return host_gs((int32_t)(offsetof(X86Cpu, fpu.v) + n * sizeof(X86Vector) + q * 8));
}

static void move_vectors(Emit *e, unsigned vl, unsigned opcode)
{
    for (unsigned n = 0; n < (vl == ZMM ? 32 : 16); n++) {
        if (vl == XMM) {
            emit_op(e, E_0F, opcode, n, vector_half(n, 0));     /* movups */
        } else {
            emit_vex(e, &(VexPrefix){ .map = 1, .vl = vl, .evex = vl == ZMM }, opcode, n, vector_half(n, 0));
        }
    }
    for (unsigned k = 0; vl == ZMM && k < 8; k++) {             /* kmovq */
        emit_vex(e, &(VexPrefix){ .map = 1, .w = true }, opcode == MOVUPS_LOAD ? 0x90 : 0x91, k,
                 host_gs((int32_t)(offsetof(X86Cpu, fpu.k) + k * 8)));
    }
}

static void test_live(Emit *e, unsigned part)
{
    emit_op(e, 0, 0xf6, 0, GS_OF(dbt.live));
    emit8(e, part);
}

static void set_live(Emit *e, unsigned parts)
{
    emit_op(e, 0, 0x80, 1, GS_OF(dbt.live));                    /* or */
    emit8(e, parts);
    emit8(e, 0xc3);
}

static void emit_push(Emit *e, unsigned reg) { emit8(e, 0x50 | reg); }
static void emit_pop(Emit *e, unsigned reg) { emit8(e, 0x58 | reg); }

void emit_vzeroupper(Emit *e)
{
    emit8(e, 0xc5);
    emit8(e, 0xf8);
    emit8(e, 0x77);
}

/* The guest's MXCSR, if it masks all exceptions. */
static void load_mxcsr(Emit *e, const uint8_t *not_live)
{
    emit_push(e, H_RAX);
    emit_load32(e, H_RAX, GS_OF(fpu.mxcsr));
    emit_op(e, 0, 0xf7, 2, host_reg(H_RAX));                    /* not */
    emit8(e, 0xa9);                                             /* test eax */
    emit32(e, MXCSR_MASKS);
    emit_pop(e, H_RAX);
    emit_jcc_to(e, CC_NE, not_live);
    emit_op(e, E_0F, 0xae, 2, GS_OF(fpu.mxcsr));                /* ldmxcsr */
}

/* What is live of less goes to X86Cpu first: a load takes all from there. */
static uint8_t *spill_less(Emit *e, unsigned part, unsigned vl)
{
    test_live(e, part);
    uint8_t *none = emit_jcc(e, CC_E);
    move_vectors(e, vl, MOVUPS_STORE);
    uint8_t *loaded = emit_jmp(e);
    emit_land(e, none);
    return loaded;
}

static void make_load_sse(DbtVcpu *v, Emit *e)
{
    v->thunk.load_sse = e->p;
    load_mxcsr(e, v->thunk.not_live);
    move_vectors(e, XMM, MOVUPS_LOAD);
    set_live(e, LIVE_SSE);
}

static void make_load_avx512(DbtVcpu *v, Emit *e)
{
    v->thunk.load_avx512 = e->p;
    uint8_t *from_avx = spill_less(e, LIVE_AVX, YMM), *from_sse = spill_less(e, LIVE_SSE, XMM);
    load_mxcsr(e, v->thunk.not_live);
    emit_land(e, from_avx);
    emit_land(e, from_sse);
    v->thunk.load_zmm = e->p;
    move_vectors(e, ZMM, MOVUPS_LOAD);
    set_live(e, LIVE_SSE | LIVE_AVX | LIVE_AVX512);
}

/* VEX instructions clear bits 511..256 of their destinations.  So if there is anything there, it has to be
 * live as well. */
static void load_zmm_if_used(DbtVcpu *v, Emit *e)
{
    const VexPrefix vpor = { .map = 1, .pp = 1, .vl = YMM };
    const VexPrefix load = { .map = 1, .vl = YMM }, vptest = { .map = 2, .pp = 1, .vl = YMM };

    emit_vex(e, &load, MOVUPS_LOAD, 0, vector_half(0, 4));
    for (unsigned n = 1; n < 16; n++) {
        emit_vex(e, &vpor, 0xeb, 0, vector_half(n, 4));
    }
    emit_vex(e, &vptest, 0x17, 0, host_reg(0));
    emit_jcc_to(e, CC_NE, v->thunk.load_zmm);
}

static void make_load_avx(DbtVcpu *v, Emit *e)
{
    v->thunk.load_avx = e->p;
    uint8_t *from_sse = spill_less(e, LIVE_SSE, XMM);
    load_mxcsr(e, v->thunk.not_live);
    emit_land(e, from_sse);
    if (v->thunk.load_avx512) {
        load_zmm_if_used(v, e);
    }
    move_vectors(e, YMM, MOVUPS_LOAD);
    set_live(e, LIVE_SSE | LIVE_AVX);
}

static void make_spill_vectors(Emit *e, const DbtVcpu *v)
{
    uint8_t *to_mxcsr[2] = { 0 }, *none;

    test_live(e, LIVE_SSE);
    none = emit_jcc(e, CC_E);
    if (has_avx512(v)) {
        to_mxcsr[0] = spill_less(e, LIVE_AVX512, ZMM);
    }
    if (has_avx()) {
        to_mxcsr[1] = spill_less(e, LIVE_AVX, YMM);
    }
    move_vectors(e, XMM, MOVUPS_STORE);
    for (unsigned i = 0; i < 2; i++) {
        if (to_mxcsr[i]) {
            emit_land(e, to_mxcsr[i]);
        }
    }
    if (has_avx()) {
        emit_vzeroupper(e);
    }
    emit_op(e, E_0F, 0xae, 3, GS_OF(fpu.mxcsr));                /* stmxcsr */
    emit_load32(e, H_RAX, GS_OF(fpu.mxcsr));
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_RAX), MXCSR_CONTROL);
    emit_alu_imm(e, 0, ALU_CMP, host_reg(H_RAX), MXCSR_MASKS);
    uint8_t *same = emit_jcc(e, CC_E);
    emit8(e, 0x68);                                             /* push: the host's is as after a reset */
    emit32(e, MXCSR_MASKS);
    emit_op(e, E_0F, 0xae, 2, host_mem(H_RSP, 0));
    emit_pop(e, H_RAX);
    emit_land(e, same);
    emit_land(e, none);
}

static Operand env(unsigned offset) { return host_gs((int32_t)(offsetof(X86Cpu, dbt.x87_env) + offset)); }

static void set_env(Emit *e, unsigned offset, uint32_t value)
{
    emit_op(e, 0, 0xc7, 0, env(offset));
    emit32(e, value);
}

static void fldenv(Emit *e) { emit_op(e, 0, 0xd9, 4, env(0)); }
static Operand x87_register(unsigned n)
{
    return host_gs((int32_t)(offsetof(X86Cpu, fpu.st) + n * sizeof(X86Float)));
}

/* R7 is pushed first, so that R0 is ST(0) with TOP 0; FLDENV brings TOP and what is empty.  FLD and FSTP of 80
 * bits raise nothing. */
static void make_load_x87(DbtVcpu *v, Emit *e)
{
    v->thunk.load_x87 = e->p;
    emit_push(e, H_RAX);
    emit_push(e, H_RCX);
    emit_op(e, E_0F, 0xb7, H_RAX, GS_OF(fpu.fcw));              /* movzx */
    emit_op(e, 0, 0x89, H_RAX, env(ENV_FCW));
    emit_op(e, 0, 0xf7, 2, host_reg(H_RAX));                    /* not */
    emit_op(e, E_0F, 0xb7, H_RCX, GS_OF(fpu.fsw));
    emit_op(e, 0, 0x89, H_RCX, env(ENV_FSW));
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_RAX), FCW_MASKS);
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_RCX), FSW_ES);
    emit_op(e, 0, 0x0b, H_RAX, host_reg(H_RCX));                /* or: exceptions not masked, or one pending */
    emit_op(e, 0, 0x0a, H_RAX, GS_OF(ferr));
    uint8_t *refused = emit_jcc(e, CC_NE);
    emit_op(e, E_0F, 0xb6, H_RAX, GS_OF(fpu.ftw));
    emit_alu_imm(e, 0, ALU_XOR, host_reg(H_RAX), 0xff);
    emit_imm(e, H_RCX, TAG_BITS);
    emit_vex(e, &(VexPrefix){ .map = 2, .pp = 3, .vvvv = H_RAX }, 0xf5, H_RAX, host_reg(H_RCX));        /* pdep */
    emit_op(e, 0, 0x8d, H_RAX, host_mem_index(H_RAX, H_RAX, 1, 0));         /* lea: times 3 */
    emit_op(e, 0, 0x89, H_RAX, env(ENV_TAGS));
    for (unsigned n = 8; n-- > 0; ) {
        emit_op(e, 0, 0xdb, 5, x87_register(n));
    }
    fldenv(e);
    emit_pop(e, H_RCX);
    emit_pop(e, H_RAX);
    set_live(e, LIVE_X87);
    emit_land(e, refused);
    emit_pop(e, H_RCX);
    emit_pop(e, H_RAX);
    emit_jmp_to(e, v->thunk.not_live);
}

/* Leaves the host's x87 as its C code wants it: empty, all masked.  RCX is T0, which is in use. */
static void make_spill_x87(Emit *e)
{
    test_live(e, LIVE_X87);
    uint8_t *none = emit_jcc(e, CC_E);
    emit_op(e, 0, 0xd9, 6, env(0));                             /* fnstenv */
    emit_load32(e, H_RAX, env(ENV_FCW));
    emit_op(e, E_66, 0x89, H_RAX, GS_OF(fpu.fcw));
    emit_load32(e, H_RAX, env(ENV_FSW));
    emit_op(e, E_66, 0x89, H_RAX, GS_OF(fpu.fsw));
    emit_op(e, E_0F, 0xb7, H_RAX, env(ENV_TAGS));
    emit_mov32(e, H_RDX, H_RAX);
    emit_op(e, 0, 0xd1, 5, host_reg(H_RDX));                    /* shr: both bits are set in an empty one's tag */
    emit_op(e, 0, 0x23, H_RAX, host_reg(H_RDX));
    emit_imm(e, H_RDX, TAG_BITS);
    emit_vex(e, &(VexPrefix){ .map = 2, .pp = 2, .vvvv = H_RAX }, 0xf5, H_RAX, host_reg(H_RDX));        /* pext */
    emit_op(e, 0, 0xf7, 2, host_reg(H_RAX));
    emit_op(e, 0, 0x88, H_RAX, GS_OF(fpu.ftw));
    set_env(e, ENV_FCW, FCW_HOST);
    set_env(e, ENV_FSW, 0);
    set_env(e, ENV_TAGS, 0);
    fldenv(e);
    for (unsigned n = 0; n < 8; n++) {
        emit_op(e, 0, 0xdb, 7, x87_register(n));
    }
    emit_land(e, none);
}

void live_make_spill(DbtVcpu *v, Emit *e)
{
    v->thunk.spill = e->p;
    make_spill_x87(e);
    make_spill_vectors(e, v);
    emit_op(e, 0, 0xc6, 0, GS_OF(dbt.live));
    emit8(e, 0);
    emit8(e, 0xc3);
}

void live_make_loads(DbtVcpu *v, Emit *e)
{
    make_load_sse(v, e);
    if (has_avx512(v)) {
        make_load_avx512(v, e);
    }
    if (has_avx()) {
        make_load_avx(v, e);
    }
    make_load_x87(v, e);
}

void live_emit_spill(const DbtVcpu *v, Emit *e)
{
    emit_op(e, 0, 0x80, 7, GS_OF(dbt.live));                    /* cmp */
    emit8(e, 0);
    uint8_t *none = emit_jcc(e, CC_E);
    emit_call_to(e, v->thunk.spill);
    emit_land(e, none);
}
