/*
 * Every row that the host computes for the guest (x87, MMX, SSE ...), and the handlers beside them,
 * against the same bytes run natively: registers, flags, memory and faults must agree.
 *
 * The interpreter's side gets its operands renamed by hostrun.c; the native side (native.c) runs the
 * bytes as they are, with the guest's values in the registers they name.  Memory and exceptions of
 * the processor are fakes, so that faults can be had at will.
 *
 * hostrun_test [-p /insn/hostrun/against-native/avx512] [cases of each row]
 */
#include <glib.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "fake_cpu.h"
#include "gen/x86-exec.h"
#include "native.h"
#include "target/x86/alu.h"
#include "target/x86/exec.h"

static X86ExecFn *const handlers[OP_COUNT] = {
#define H(op, fn) [OP_##op] = fn
    H(EMMS, exec_emms), H(MASKMOVQ, exec_maskmovq), H(MASKMOVDQU, exec_maskmovdqu), H(MOVBE, exec_movbe),
    H(FXSAVE, exec_fxsave), H(FXRSTOR, exec_fxrstor), H(LDMXCSR, exec_ldmxcsr), H(STMXCSR, exec_stmxcsr),
    H(FNINIT, exec_fninit), H(FNCLEX, exec_fnclex), H(FNSTSW, exec_fnstsw), H(FNSTCW, exec_fnstcw),
    H(FLDCW, exec_fldcw), H(FNSTENV, exec_fnstenv), H(FLDENV, exec_fldenv), H(FNSAVE, exec_fnsave),
    H(FRSTOR, exec_frstor), H(WAIT, exec_wait),
    H(TZCNT, exec_tzcnt), H(LZCNT, exec_lzcnt),
    H(VZEROUPPER, exec_vzeroupper), H(VZEROALL, exec_vzeroall), H(VLDMXCSR, exec_vldmxcsr),
    H(VSTMXCSR, exec_vstmxcsr), H(VMASKMOVDQU, exec_vmaskmovdqu),
    H(VMASKMOVPS, exec_vmaskmovps), H(VMASKMOVPD, exec_vmaskmovpd), H(VPMASKMOVD, exec_vpmaskmovd),
    H(VPMASKMOVQ, exec_vpmaskmovq), H(VPGATHERDD, exec_vpgatherdd), H(VPGATHERDQ, exec_vpgatherdq),
    H(VPGATHERQD, exec_vpgatherqd), H(VPGATHERQQ, exec_vpgatherqq), H(VGATHERDPS, exec_vgatherdps),
    H(VGATHERDPD, exec_vgatherdpd), H(VGATHERQPS, exec_vgatherqps), H(VGATHERQPD, exec_vgatherqpd),
    H(VPSCATTERDD, exec_vpscatterdd), H(VPSCATTERDQ, exec_vpscatterdq), H(VPSCATTERQD, exec_vpscatterqd),
    H(VPSCATTERQQ, exec_vpscatterqq), H(VSCATTERDPS, exec_vscatterdps), H(VSCATTERDPD, exec_vscatterdpd),
    H(VSCATTERQPS, exec_vscatterqps), H(VSCATTERQPD, exec_vscatterqpd),
    H(KMOV, exec_kmov), H(KNOT, exec_knot), H(KORTEST, exec_kortest), H(KTEST, exec_ktest),
    H(KSHIFTL, exec_kshiftl), H(KSHIFTR, exec_kshiftr), H(KUNPCK, exec_kunpck), H(KADD, exec_kadd),
    H(KAND, exec_kand), H(KANDN, exec_kandn), H(KOR, exec_kor), H(KXNOR, exec_kxnor), H(KXOR, exec_kxor),
#undef H
};

static X86ExecFn *handler_of(const X86Row *r)
{
    return !(r->words & IN_HOST) ? handlers[r->op]
         : r->words & IN_X87 ? exec_host_x87 : r->enc ? exec_host_vex : exec_host;
}

static int run_guest(X86Insn *in)
{
    return fake_cpu_run(in, handler_of(in->row));
}

static void fill_memory(uint8_t *p, unsigned size)
{
    for (unsigned i = 0; i + 8 <= size; i += 8) {
        uint64_t v = random_element();
        memcpy(p + i, &v, 8);
    }
    if (below(2)) {                     /* an 80-bit float */
        uint64_t m;
        uint16_t e;
        random_x87(&m, &e);
        memcpy(p, &m, 8);
        memcpy(p + 8, &e, 2);
    }
}

/* ---- from the guest's state to the native one, and back ---- */

static void to_native(NativeState *s)
{
    const X86Fpu *f = &cpu->fpu;
    unsigned top = f->fsw >> 11 & 7;

    memset(s, 0, sizeof(*s));
    memcpy(s->fx, &f->fcw, 2);
    memcpy(s->fx + 2, &f->fsw, 2);
    s->fx[4] = f->ftw;
    memcpy(s->fx + 24, &f->mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(s->fx + 32 + 16 * i, &f->st[(top + i) & 7].mantissa, 8);
        memcpy(s->fx + 40 + 16 * i, &f->st[(top + i) & 7].exponent, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->fx + 160 + 16 * i, f->v[i].q, 16);
        memcpy(s->ymm_high[i], f->v[i].q + 2, 16);
    }
    for (unsigned i = 0; i < 32; i++) {
        memcpy(s->zmm[i], f->v[i].q, sizeof(s->zmm[i]));
    }
    memcpy(s->k, f->k, sizeof(s->k));
    memcpy(s->regs, cpu->regs, sizeof(s->regs));
    s->flags = cc_to_flags(cpu->cc) | FL_1 | FL_IF;
}

typedef struct Difference { const char *what; unsigned number; uint64_t guest, native; } Difference;

static bool differ(Difference *d, const char *what, uint64_t guest, uint64_t native)
{
    *d = (Difference){ what, 0, guest, native };
    return guest != native;
}

static bool differ_in(Difference *d, const char *what, unsigned number, uint64_t guest, uint64_t native)
{
    *d = (Difference){ what, number, guest, native };
    return guest != native;
}

static uint64_t bytes_at(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

static bool avx512_differs(const NativeState *s, Difference *d)
{
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned j = 0; j < 8; j++) {
            if (differ_in(d, "zmm quadword", 8 * i + j, cpu->fpu.v[i].q[j], s->zmm[i][j])) {
                return true;
            }
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (differ_in(d, "opmask", i, cpu->fpu.k[i], s->k[i])) {
            return true;
        }
    }
    return false;
}

static bool states_differ(const NativeState *s, Difference *d)
{
    const X86Fpu *f = &cpu->fpu;
    unsigned top = f->fsw >> 11 & 7;

    if (differ(d, "fcw", f->fcw, bytes_at(s->fx, 2)) || differ(d, "fsw", f->fsw, bytes_at(s->fx + 2, 2))
        || differ(d, "ftw", f->ftw, s->fx[4]) || differ(d, "mxcsr", f->mxcsr, bytes_at(s->fx + 24, 4))
        || differ(d, "flags", cc_to_flags(cpu->cc), s->flags & FL_STATUS)) {
        return true;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (differ(d, "st mantissa", f->st[(top + i) & 7].mantissa, bytes_at(s->fx + 32 + 16 * i, 8))
            || differ(d, "st exponent", f->st[(top + i) & 7].exponent, bytes_at(s->fx + 40 + 16 * i, 2))) {
            return true;
        }
    }
    if (native_has("avx512bw") && avx512_differs(s, d)) {
        return true;
    }
    for (unsigned i = 0; i < 16; i++) {
        if (differ(d, "xmm low", f->v[i].q[0], bytes_at(s->fx + 160 + 16 * i, 8))
            || differ(d, "xmm high", f->v[i].q[1], bytes_at(s->fx + 168 + 16 * i, 8))
            || (native_has("avx") && differ(d, "ymm bits 128..191", f->v[i].q[2], bytes_at(s->ymm_high[i], 8)))
            || (native_has("avx") && differ(d, "ymm bits 192..255", f->v[i].q[3], bytes_at(s->ymm_high[i] + 8, 8)))
            || (i != X86_RSP && differ(d, "general register", cpu->regs[i], s->regs[i]))) {
            return true;
        }
    }
    return false;
}

/* ---- one case ---- */

static int native_vector(int sig, const X86Row *r)
{
    switch (sig) {
    case 0: return -1;
    case SIGFPE: return -2;             /* #MF or #XM: the guest's says which */
    case SIGSEGV: return EXC_GP;
    default: return EXC_UD;
    }
}

/* Where the guest's own pointers lie in what an instruction stores. */
static void blank_pointers(const X86Insn *in, uint8_t *p)
{
    unsigned word = in->opsize == 16 ? 2 : 4;

    switch (in->row->op) {
    case OP_FNSTENV: case OP_FNSAVE:
        memset(p + 3 * word, 0, 4 * word);
        break;
    case OP_FXSAVE:
        memset(p + 6, 0, 18);
        memset(p + 28, 0, 4);           /* MXCSR_MASK: AMD has a bit more */
        break;
    }
}

/* Random bytes are no state that FXRSTOR or LDMXCSR takes. */
static void tame_memory(const X86Insn *in, uint8_t *p)
{
    if (in->row->op == OP_FXRSTOR) {
        p[26] = p[27] = 0;
    } else if (in->row->op == OP_LDMXCSR || in->row->op == OP_VLDMXCSR) {
        p[2] = p[3] = 0;
    }
}

/* Indices that stay in the operand's bytes. */
static void small_indices(const X86Insn *in)
{
    X86Vector *v = &cpu->fpu.v[in->vindex];

    for (unsigned i = 0; i < 8; i++) {
        v->q[i] = in->row->vsib == 8 ? below(40) : below(40) | (uint64_t)below(40) << 32;
    }
}

/* AMD's processors let the memory operand of SHA instructions lie anywhere; Intel's volume 2 (exceptions
 * of type 4) wants it aligned. */
static bool is_sha(const X86Row *r) { return g_str_has_prefix(r->names, "sha") && (r->words & IN_ALIGNED); }

static bool native_checks_sha(void)
{
    static int checks = -1;
    static const uint8_t sha1nexte[] = { 0x0f, 0x38, 0xc8, 0x03 };      /* xmm0, [rbx] */

    if (checks < 0) {
        memset(native_state(), 0, sizeof(NativeState));
        memcpy(native_state()->fx + 24, (const uint8_t[]){ 0x80, 0x1f }, 2);
        native_state()->regs[X86_RBX] = (uintptr_t)native_memory() + 1;
        native_run(sha1nexte, sizeof(sha1nexte));
        checks = native_state()->signal != 0;
    }
    return checks;
}

typedef enum Group { LEGACY, VEX, AVX512, GROUPS } Group;     /* AVX512: opmask instructions too */

static const char *const group_names[GROUPS] = { "legacy", "vex", "avx512" };

static Group group_of(const X86Row *r)
{
    return r->words & IN_AVX512 ? AVX512 : r->enc ? VEX : LEGACY;
}

typedef struct Counts { Group group; unsigned rows, skipped, cases, faults; } Counts;

static unsigned cases_of_a_row;

enum { OPERAND_MAX = 512 };

static void run_case(Counts *n, X86Insn *in, const uint8_t *bytes, unsigned bits)
{
    NativeState *s = native_state();
    uint8_t before[OPERAND_MAX + 16], after[OPERAND_MAX + 16];
    uint8_t *mem = native_memory() + 64 + (below(8) ? 0 : below(16));
    Difference d = { "exception", 0, 0, 0 };

    if (is_sha(in->row) && !native_checks_sha()) {
        mem = native_memory() + 64;
    }
    random_cpu(bits);
    fill_memory(native_memory() + 64, sizeof(before));
    tame_memory(in, mem);
    memcpy(before, native_memory() + 64, sizeof(before));
    if (!in->mod3) {
        cpu->regs[in->base] = (uintptr_t)mem - in->disp;
    }
    if (in->row->op == OP_MASKMOVQ || in->row->op == OP_MASKMOVDQU || in->row->op == OP_VMASKMOVDQU) {
        cpu->regs[X86_RDI] = (uintptr_t)mem;
    }
    if (in->row->vsib) {
        small_indices(in);
    }
    to_native(s);
    int got = run_guest(in);
    memcpy(after, native_memory() + 64, sizeof(after));
    memcpy(native_memory() + 64, before, sizeof(before));
    native_run(bytes, in->len);
    int want = native_vector(s->signal, in->row);
    if (!in->mod3) {
        blank_pointers(in, mem);
        blank_pointers(in, after + (mem - (native_memory() + 64)));
    }
    if (want == -2 && (got == EXC_MF || got == EXC_XM)) {
        want = got;
    }
    n->cases++;
    n->faults += want != -1;
    if (got != want || states_differ(s, &d) || memcmp(after, native_memory() + 64, sizeof(after))) {
        GString *text = g_string_new(NULL);
        for (unsigned i = 0; i < in->len; i++) {
            g_string_append_printf(text, "%02x", bytes[i]);
        }
        g_string_append_c(text, ' ');
        x86_disas(bytes, in->len, 0, bits, text);
        g_printerr("%u-bit %s: exception %d, native %d; %s %u is %" PRIx64 ", native %" PRIx64 "; memory %s\n",
                   bits, text->str, got, want, d.what, d.number, d.guest, d.native,
                   memcmp(after, native_memory() + 64, sizeof(after)) ? "differs" : "same");
        g_string_free(text, TRUE);
        g_test_fail();
    }
}

/* ---- all forms of a row ---- */

static bool uses_v(const X86Row *r)
{
    return r->operand[0].size == OPS_v || r->operand[1].size == OPS_v;
}

static bool has_kind(const X86Row *r, const char *kinds)
{
    static const char letter[] = {
        [OPK_V] = 'V', [OPK_W] = 'W', [OPK_U] = 'U', [OPK_P] = 'P', [OPK_Q] = 'Q', [OPK_N] = 'N',
        [OPK_H] = 'H', [OPK_B] = 'B', [OPK_h] = 'h',
    };

    for (unsigned i = 0; i < 4; i++) {
        unsigned k = r->operand[i].kind;
        if (k < sizeof(letter) && letter[k] && strchr(kinds, letter[k])) {
            return true;
        }
    }
    return false;
}

/* C5 where it can say the same, half the time. */
static unsigned put_vex(const X86Row *r, uint8_t *b, unsigned bits)
{
    unsigned rxb = bits == 64 ? below(8) : 0, vl = r->lig ? below(2) : r->lengths == 3 ? below(2) : r->lengths >> 1;
    unsigned w = r->rex & X86_REX_W1 ? 1 : r->rex & X86_REX_W0 || bits != 64 ? 0 : below(2);
    unsigned vvvv = has_kind(r, "HB") ? below(bits == 64 ? 16 : 8) : has_kind(r, "h") ? below(8) : 0;
    unsigned pp = r->pfx == 8 ? 3 : r->pfx >> 1;

    if (vvvv == X86_RSP && has_kind(r, "B")) {
        vvvv = 0;
    }
    if (r->map == 1 && !w && !(rxb & 3) && below(2)) {
        b[0] = 0xc5;
        b[1] = (~rxb & 4) << 5 | (~vvvv & 15) << 3 | vl << 2 | pp;
        b[2] = r->opcode;
        return 3;
    }
    b[0] = 0xc4;
    b[1] = (~rxb & 7) << 5 | r->map;
    b[2] = w << 7 | (~vvvv & 15) << 3 | vl << 2 | pp;
    b[3] = r->opcode;
    return 4;
}

static unsigned put_evex(const X86Row *r, uint8_t *b, unsigned bits)
{
    unsigned w = r->rex & X86_REX_W1 ? 1 : r->rex & X86_REX_W0 || bits != 64 ? 0 : below(2);
    unsigned high = bits == 64 ? below(32) : 0;         /* V', R', R, X, B */
    unsigned vvvv = has_kind(r, "H") ? below(bits == 64 ? 16 : 8) : 0, pp = r->pfx == 8 ? 3 : r->pfx >> 1;

    b[0] = 0x62;
    b[1] = (~high & 7) << 5 | (~high & 8) << 1 | r->map;
    b[2] = w << 7 | (~vvvv & 15) << 3 | 4 | pp;
    b[3] = (below(4) == 0) << 7 | below(4) << 5 | (below(3) == 0) << 4
         | (has_kind(r, "H") || r->vsib ? ~high & 16 : 16) >> 1 | (r->mask && below(4) ? below(8) : 0);
    b[4] = r->opcode;
    return 5;
}

static unsigned put_opcode(const X86Row *r, uint8_t *b, unsigned rex, bool op66)
{
    unsigned n = 0;

    if (op66 || r->pfx == X86_PFX_66) {
        b[n++] = 0x66;
    }
    if (r->pfx == X86_PFX_F3 || r->pfx == X86_PFX_F2) {
        b[n++] = r->pfx == X86_PFX_F3 ? 0xf3 : 0xf2;
    }
    if (rex) {
        b[n++] = rex;
    }
    if (r->map) {
        b[n++] = 0x0f;
    }
    if (r->map > 1) {
        b[n++] = r->map == 2 ? 0x38 : 0x3a;
    }
    b[n++] = r->opcode;
    return n;
}

/* A random encoding of the row; false: this one is not to be run. */
static bool random_form(const X86Row *r, X86Insn *in, uint8_t b[X86_INSN_MAX + 1], unsigned bits)
{
    bool memory = r->mod == 1 || (r->mod == 0 && below(2));
    unsigned rex = bits == 64 && below(2) ? 0x40 | below(16) : 0;
    unsigned reg = r->reg == 8 ? below(8) : r->reg, rm = below(8);
    bool op66 = uses_v(r) && below(3) == 0;

    memset(b, 0, X86_INSN_MAX + 1);
    if (r->op == OP_FNSTENV || r->op == OP_FLDENV || r->op == OP_FNSAVE || r->op == OP_FRSTOR) {
        op66 = below(2);
    }
    unsigned n = r->enc == X86_EVEX ? put_evex(r, b, bits) : r->enc ? put_vex(r, b, bits)
               : put_opcode(r, b, rex, op66);
    if (r->modrm) {
        b[n++] = r->modrm;
    } else if (r->has_modrm) {
        rm = memory ? 3 : rm;           /* [rbx + disp8] or a register that is not RSP */
        if (!memory && rm == 4) {
            rm = 5;
        }
        if (reg == 4 && r->reg == 8) {
            reg = 6;
        }
        b[n++] = (memory ? 0x40 : 0xc0) | reg << 3 | (r->vsib ? 4 : rm);
        if (r->vsib) {
            b[n++] = below(4) << 6 | below(8) << 3 | 3;
        }
        if (memory) {
            b[n++] = below(256);
        }
    }
    b[n] = below(4) || bits != 64 ? below(128) : below(256);
    int len = x86_decode(in, b, X86_INSN_MAX + 1, bits);
    return len > 0 && in->row == r && in->base != X86_RSP;
}

static const char *feature_name(unsigned cpuf)
{
    static const char *const names[CPUF_COUNT] = {
#define X(id, name) [id] = name,
        X86_CPU_FEATURES(X)
#undef X
    };
    return names[cpuf];
}

static bool runs_here(const X86Row *r)
{
    const char *feature = r->op == OP_TZCNT ? "bmi1" : r->op == OP_LZCNT ? "abm" : feature_name(r->cpu);

    if ((r->words & IN_AVX512) && (r->mode == 1 || !native_has("avx512bw") || !native_has("avx512vl"))) {
        return false;                   /* the native side is 64-bit code, and loads 64-bit opmasks */
    }
    return (!feature || native_has(feature))
        && (!r->cpu256 || native_has(feature_name(r->cpu256)));
}

/* The native side is 64-bit code: what has more registers there, or another layout, is not the same. */
static bool only_64(const X86Row *r)
{
    return r->op == OP_FXSAVE || r->op == OP_FXRSTOR || r->op == OP_VZEROALL || r->op == OP_VZEROUPPER;
}

static void test_row(Counts *n, const X86Row *r)
{
    enum { ATTEMPTS = 120 };            /* some random forms are not to be run */
    unsigned ran = 0;

    for (unsigned i = 0; i < ATTEMPTS * cases_of_a_row && ran < cases_of_a_row; i++) {
        X86Insn in;
        uint8_t bytes[X86_INSN_MAX + 1];
        unsigned bits = below(4) || only_64(r) ? 64 : 32;
        if (random_form(r, &in, bytes, bits)) {
            run_case(n, &in, bytes, bits);
            ran++;
        }
    }
    n->rows++;
    if (!ran) {
        g_printerr("%s (map %u, %02x): never run\n", r->names, r->map, r->opcode);
        g_test_fail();
    }
}

static void for_each_row(void (*fn)(const X86Row *r, void *opaque), void *opaque)
{
    for (unsigned map = 0; map < X86_MAPS; map++) {
        for (unsigned op = 0; op < 256; op++) {
            const X86Row *r;
            for (unsigned k = 0; (r = x86_row(map, op, k)); k++) {
                if (r->opcode == op && handler_of(r)) {
                    fn(r, opaque);
                }
            }
        }
    }
}

static void test_if_native(const X86Row *r, void *opaque)
{
    Counts *n = opaque;

    if (group_of(r) != n->group) {
        return;
    }
    if (!runs_here(r)) {
        g_test_message("skipped: %s (this processor has not got it)", r->names);
        n->skipped++;
        return;
    }
    test_row(n, r);
}

static void test_against_native(gconstpointer group)
{
    Counts n = { .group = GPOINTER_TO_UINT(group) };
    static const unsigned least[GROUPS] = { 500, 200, 400 };    /* rows, where the processor has the group */
    static const char *const needed[GROUPS] = { "sse4_1", "avx2", "avx512vl" };

    for_each_row(test_if_native, &n);
    g_test_message("%s: %u rows, %u skipped, %u cases, %u of them faults", group_names[n.group], n.rows,
                   n.skipped, n.cases, n.faults);
    if (!native_has(needed[n.group])) {
        g_test_skip("this processor has not got the instructions");
        return;
    }
    g_assert_cmpuint(n.rows, >, least[n.group]);
    g_assert_cmpuint(n.faults, >, n.cases / 50);
}

/* ---- fault rules that a user program cannot try ---- */

static void expect_fault(const X86Row *r, X86Insn *in, const char *when, int want)
{
    X86Cpu was = *cpu;
    int got = run_guest(in);

    if (got != want) {
        g_printerr("%s (map %u, %02x) with %s: exception %d, not %d\n", r->names, r->map, r->opcode, when,
                   got, want);
        g_test_fail();
    }
    if (got >= 0) {                     /* nothing has changed */
        g_assert_cmpmem(&cpu->fpu, sizeof(cpu->fpu), &was.fpu, sizeof(was.fpu));
        g_assert_cmpmem(cpu->regs, sizeof(cpu->regs) - 16, was.regs, sizeof(cpu->regs) - 16);
        g_assert_cmpint(cpu->cc, ==, was.cc);
    }
}

static void test_fault_rules_of(const X86Row *r)
{
    bool avx = r->words & IN_AVX, avx512 = r->words & IN_AVX512;
    bool sse = (!r->enc && has_kind(r, "VWU")) || r->op == OP_LDMXCSR || r->op == OP_STMXCSR;
    bool mmx = has_kind(r, "PQN") || r->op == OP_EMMS, x87 = r->words & IN_X87, wait = r->op == OP_WAIT;
    bool fx = r->op == OP_FXSAVE || r->op == OP_FXRSTOR;
    uint8_t bytes[X86_INSN_MAX + 1];
    X86Insn in;

    do {
        random_cpu(64);
    } while (!random_form(r, &in, bytes, 64));
    if (has_kind(r, "VWU") && has_kind(r, "Q") && !in.mod3) {
        mmx = false;                    /* CVTPI2PS from memory touches no MMX register */
    }
    cpu->fpu = (X86Fpu){ .fcw = 0x37f, .mxcsr = 0x1f80, .ftw = 0xff };
    memset(cpu->fpu.k, 0xff, sizeof(cpu->fpu.k));       /* no element is spared a fault */
    if (!in.mod3) {
        cpu->regs[in.base] = (uintptr_t)native_memory() + 64 - in.disp;
    }
    if (in.row->op == OP_MASKMOVDQU || in.row->op == OP_MASKMOVQ || in.row->op == OP_VMASKMOVDQU) {
        cpu->regs[X86_RDI] = (uintptr_t)native_memory();
    }
    memset(native_memory(), 0, NATIVE_MEMORY);
    X86Cpu good = *cpu;

    cpu->cr0 |= CR0_EM;
    cpu->mode = (cpu->mode & ~MODE_SSE_ON) | MODE_FPU_OFF;
    expect_fault(r, &in, "EM", sse || mmx ? EXC_UD : x87 || fx ? EXC_NM : -1);
    *cpu = good;
    cpu->cr0 |= CR0_TS;
    cpu->mode |= MODE_FPU_OFF;
    expect_fault(r, &in, "TS", sse || mmx || x87 || wait || fx || avx || avx512 ? EXC_NM : -1);
    *cpu = good;
    cpu->mode &= ~MODE_SSE_ON;
    expect_fault(r, &in, "OSFXSR clear", sse ? EXC_UD : -1);
    *cpu = good;
    cpu->mode &= ~MODE_AVX_ON;
    expect_fault(r, &in, "XCR0 without AVX", avx ? EXC_UD : -1);
    *cpu = good;
    cpu->mode &= ~MODE_AVX512_ON;
    expect_fault(r, &in, "XCR0 without AVX-512", avx512 ? EXC_UD : -1);
    *cpu = good;
    cpu->fpu.fcw = 0x340;
    cpu->fpu.fsw = 0x8081;
    expect_fault(r, &in, "a pending x87 exception",
                 mmx || wait || (x87 && !(r->words & IN_NOWAIT)) ? EXC_MF : -1);
    if (!in.mod3 && r->op != OP_FXRSTOR && (!r->enc || (r->words & IN_HOST))) {
        *cpu = good;
        fake_memory_faults = true;
        expect_fault(r, &in, "memory that faults", EXC_PF);
        fake_memory_faults = false;
    }
}

static void test_fault_rules_if_native(const X86Row *r, void *group)
{
    if (group_of(r) == GPOINTER_TO_UINT(group) && runs_here(r)) {
        test_fault_rules_of(r);
    }
}

static void test_fault_rules(gconstpointer group)
{
    for_each_row(test_fault_rules_if_native, (void *)group);
}

/* An unmasked SIMD exception without an operating system that knows of it is #UD. */
static void test_simd_exception_without_osxmmexcpt(void)
{
    X86Insn in;

    random_cpu(64);
    g_assert_cmpint(x86_decode(&in, (const uint8_t[]){ 0xf3, 0x0f, 0x5e, 0xc1 }, 4, 64), ==, 4);   /* divss */
    cpu->fpu.mxcsr = 0x1f80 & ~(1u << 9);
    cpu->fpu.v[0].q[0] = 0x3f800000;
    cpu->fpu.v[1].q[0] = 0;
    cpu->cr4 &= ~CR4_OSXMMEXCPT;
    g_assert_cmpint(run_guest(&in), ==, EXC_UD);
    g_assert_cmphex(cpu->fpu.mxcsr & 0x3f, ==, 4);
    g_assert_cmphex(cpu->fpu.v[0].q[0], ==, 0x3f800000);
}

static int run_bytes(const uint8_t *b, size_t n)
{
    X86Insn in;

    g_assert_cmpint(x86_decode(&in, b, n, 64), ==, n);
    return run_guest(&in);
}
#define RUN(...) run_bytes((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Beside an unmasked underflow PE is not that of the masked result (volume 1, 4.9.1.5), and DPPS reports the flags
 * of the steps that were made: as this processor does. */
static void test_flags_beside_unmasked_exceptions(void)
{
    static const struct {
        const char *feature;
        uint8_t code[6], len;
        uint64_t a, b;
        uint32_t mxcsr;
    } cases[] = {
        { "sse", { 0xf3, 0x0f, 0x59, 0xc1 }, 4, 0x0d800000, 0x0d800000, 0x1780 },   /* mulss: exact, if tiny */
        { "sse", { 0xf3, 0x0f, 0x59, 0xc1 }, 4, 0x0d800001, 0x0d800001, 0x1780 },   /* and inexact */
        { "sse", { 0xf3, 0x0f, 0x59, 0xc1 }, 4, 0x7f000000, 0x7f000000, 0x1b80 },   /* huge: 2^254 */
        { "sse2", { 0xf2, 0x0f, 0x5a, 0xc1 }, 4, 0, 0x3610000000000000, 0x1780 },   /* cvtsd2ss */
        { "sse4_1", { 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff }, 6,                      /* dpps */
          0x0d8000007f000000, 0x0d8000007f000000, 0x1380 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        NativeState *s = native_state();
        if (!native_has(cases[i].feature)) {
            continue;
        }
        random_cpu(64);
        cpu->fpu = (X86Fpu){ .fcw = 0x37f, .mxcsr = cases[i].mxcsr };
        cpu->fpu.v[0].q[0] = cases[i].a;
        cpu->fpu.v[1].q[0] = cases[i].b;
        to_native(s);
        native_run(cases[i].code, cases[i].len);
        g_assert_cmpint(run_bytes(cases[i].code, cases[i].len), ==, EXC_XM);
        g_assert_cmpint(s->signal, ==, SIGFPE);
        g_assert_cmphex(cpu->fpu.mxcsr, ==, bytes_at(s->fx + 24, 4));
        g_assert_cmphex(cpu->fpu.v[0].q[0], ==, cases[i].a);
    }
}

static void test_x87_pointers(void)
{
    uint8_t *mem = native_memory();

    random_cpu(64);
    cpu->fpu = (X86Fpu){ .fcw = 0x37f };
    cpu->regs[X86_RBX] = (uintptr_t)mem;
    cpu->seg[X86_CS].selector = 0x33;
    cpu->seg[X86_DS].selector = 0x2b;
    memset(mem, 0, 512);
    g_assert_cmpint(RUN(0xdd, 0x43, 0x10), ==, -1);                     /* fld qword [rbx+10h] */
    g_assert_cmphex(cpu->fpu.fip, ==, 0x1000);
    g_assert_cmphex(cpu->fpu.fdp, ==, (uintptr_t)mem + 0x10);
    g_assert_cmphex(cpu->fpu.fop, ==, 0x543);
    g_assert_cmphex(cpu->fpu.fcs, ==, 0x33);
    g_assert_cmphex(cpu->fpu.fds, ==, 0x2b);
    g_assert_cmpint(RUN(0xd9, 0x7b, 0x10), ==, -1);                     /* fnstcw: a control instruction */
    g_assert_cmphex(cpu->fpu.fop, ==, 0x543);
    g_assert_cmpint(RUN(0xd9, 0x33), ==, -1);                           /* fnstenv [rbx] */
    g_assert_cmphex(bytes_at(mem + 12, 4), ==, 0x1000);
    g_assert_cmphex(bytes_at(mem + 16, 4), ==, 0x05430033);
    g_assert_cmphex(bytes_at(mem + 20, 4), ==, (uintptr_t)mem + 0x10);
    g_assert_cmphex(bytes_at(mem + 24, 4), ==, 0xffff002b);
    g_assert_cmpint(RUN(0x48, 0x0f, 0xae, 0x03), ==, -1);               /* fxsave64 */
    g_assert_cmphex(bytes_at(mem + 8, 8), ==, 0x1000);
    g_assert_cmphex(bytes_at(mem + 6, 2), ==, 0x543);
    cpu->mode &= ~(uint32_t)MODE_PE;                                    /* real mode: a linear address */
    g_assert_cmpint(RUN(0x66, 0xd9, 0x33), ==, -1);
    g_assert_cmphex(bytes_at(mem + 6, 2), ==, 0x1330);
    g_assert_cmphex(bytes_at(mem + 8, 2), ==, 0x0543);
}

static void test_mmx_aliases_x87(void)
{
    random_cpu(64);
    cpu->fpu = (X86Fpu){ .fcw = 0x37f, .fsw = 5 << 11 };
    cpu->regs[X86_RAX] = 0x1122334455667788;
    g_assert_cmpint(RUN(0x48, 0x0f, 0x6e, 0xd8), ==, -1);               /* movq mm3, rax */
    g_assert_cmphex(cpu->fpu.st[3].mantissa, ==, 0x1122334455667788);
    g_assert_cmphex(cpu->fpu.st[3].exponent, ==, 0xffff);
    g_assert_cmphex(cpu->fpu.fsw, ==, 0);
    g_assert_cmphex(cpu->fpu.ftw, ==, 0xff);
    g_assert_cmpint(RUN(0x0f, 0x77), ==, -1);
    g_assert_cmphex(cpu->fpu.ftw, ==, 0);
    g_assert_cmpint(RUN(0xd9, 0xe8), ==, -1);                           /* fld1 */
    g_assert_cmphex(cpu->fpu.st[7].exponent, ==, 0x3fff);
    g_assert_cmphex(cpu->fpu.ftw, ==, 0x80);
}

static void test_bit_counts_without_the_feature(void)
{
    random_cpu(64);
    fake_feature = false;
    g_assert_cmpint(RUN(0xf3, 0x0f, 0xbc, 0xc8), ==, -1);
    g_assert_cmphex(cpu->regs[X86_RCX], ==, 0xb5f);
    g_assert_cmpint(RUN(0xf3, 0x0f, 0xbd, 0xd0), ==, -1);
    g_assert_cmphex(cpu->regs[X86_RDX], ==, 0xb54);
    fake_feature = true;
}

/* More forms than fit: the stubs start anew, and go on being right. */
static void test_stub_memory_is_bounded(void)
{
    random_cpu(64);
    for (unsigned op = 0; op < 4; op++) {
        for (unsigned imm = 0; imm < 256; imm++) {
            for (unsigned kind = 0; kind < 12; kind++) {
                static const uint8_t pfx[3] = { 0x66, 0xf3, 0xf2 };
                X86Insn in;
                uint8_t b[8] = { pfx[kind % 3], 0x0f, op == 0 ? 0x70 : op == 1 ? 0xc2 : op == 2 ? 0xc6 : 0x73,
                                 0xd1 - (kind / 3 & 1), imm };
                if (x86_decode(&in, b, 5, 64) == 5) {
                    cpu->fpu.mxcsr = 0x1f80;
                    g_assert_cmpint(run_guest(&in), ==, -1);
                }
                uint8_t c[8] = { 0x66, 0x0f, 0x3a, 0x08 + kind, 0xd1, imm };
                if (op == 0 && x86_decode(&in, c, 6, 64) == 6) {
                    g_assert_cmpint(run_guest(&in), ==, -1);
                }
            }
        }
    }
    cpu->fpu.v[1].q[0] = 0x0706050403020100;
    cpu->fpu.v[1].q[1] = 0;
    g_assert_cmpint(RUN(0x66, 0x0f, 0x70, 0xc1, 0x01), ==, -1);         /* pshufd xmm0, xmm1, 1 */
    g_assert_cmphex(cpu->fpu.v[0].q[0], ==, 0x0302010007060504);
}

int main(int argc, char **argv)
{
    guint64 cases = 40;
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    fake_cpu_new();
    if (argc > 1 && !g_ascii_string_to_unsigned(argv[1], 10, 1, 1000000, &cases, &error)) {
        g_printerr("hostrun_test: cases of each row: %s\n", error->message);
        return 2;
    }
    cases_of_a_row = cases;
    for (Group g = 0; g < GROUPS; g++) {
        g_autofree char *against = g_strconcat("/insn/hostrun/against-native/", group_names[g], NULL);
        g_autofree char *faults = g_strconcat("/insn/hostrun/fault-rules/", group_names[g], NULL);
        g_test_add_data_func(against, GUINT_TO_POINTER(g), test_against_native);
        g_test_add_data_func(faults, GUINT_TO_POINTER(g), test_fault_rules);
    }
    g_test_add_func("/insn/hostrun/no-osxmmexcpt", test_simd_exception_without_osxmmexcpt);
    g_test_add_func("/insn/hostrun/flags-beside-unmasked-exceptions", test_flags_beside_unmasked_exceptions);
    g_test_add_func("/insn/hostrun/x87-pointers", test_x87_pointers);
    g_test_add_func("/insn/hostrun/mmx-aliases-x87", test_mmx_aliases_x87);
    g_test_add_func("/insn/hostrun/tzcnt-without-bmi1", test_bit_counts_without_the_feature);
    g_test_add_func("/insn/hostrun/stub-memory-is-bounded", test_stub_memory_is_bounded);
    int rc = g_test_run();
    fake_cpu_free();
    return rc;
}
