/*
 * Runs of vector, x87, MMX and opmask instructions among a few others, by the translator and by the interpreter:
 * all of the processor's state and memory must be the same after each.
 *
 * What it is about is what lives in the host's registers from one instruction to the next (accel/dbt/x86_64/live.c):
 * so runs have accesses that miss, faults, blocks that end, handlers in between, and control words that do not
 * mask everything.
 *
 * sequences_test [seconds] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "accel/accel.h"
#include "../insn/oracle/encode.h"
#include "../unit/x86_bench.h"

enum { RUNS = 6000, INSNS_MOST = 20, CODE_MOST = 1024, BUDGET = 1 << 20, FOR_EVER = 1 << 30 };
enum { DATA_SIZE = 0x3000, CODE_SLOTS = 4 /* below AT_HANDLER */, NOWHERE = 0x70000000 };

/* Those that are not the host's rows but have translators. */
static const uint16_t others[] = {
    OP_KMOV, OP_KAND, OP_KANDN, OP_KOR, OP_KXNOR, OP_KXOR, OP_KADD, OP_KUNPCK, OP_KNOT, OP_KORTEST, OP_KTEST,
    OP_KSHIFTL, OP_KSHIFTR, OP_VMASKMOVPS, OP_VMASKMOVPD, OP_VPMASKMOVD, OP_VPMASKMOVQ, OP_VZEROUPPER,
    OP_VZEROALL, OP_LDMXCSR, OP_STMXCSR, OP_VLDMXCSR, OP_VSTMXCSR, OP_EMMS, OP_FNSTSW, OP_FNSTCW, OP_FLDCW,
    OP_FNCLEX, OP_FNINIT, OP_WAIT, OP_FNSTENV, OP_FXSAVE, OP_MOVBE,
};
static const struct { uint8_t bytes[4], len; } between[] = {
    { { 0x01, 0xd8 }, 2 },              /* add eax, ebx */
    { { 0x11, 0xca }, 2 },              /* adc edx, ecx */
    { { 0xff, 0xc6 }, 2 },              /* inc esi */
    { { 0x9e }, 1 }, { { 0x9f }, 1 },   /* sahf, lahf */
    { { 0x0f, 0x92, 0xc1 }, 3 },        /* setc cl */
    { { 0xeb, 0x00 }, 2 },              /* jmp to what is behind */
    { { 0x72, 0x00 }, 2 },              /* jc */
    { { 0xfc }, 1 },                    /* cld: by its handler */
    { { 0x8b, 0x43, 0x04 }, 3 },        /* mov eax, [rbx + 4] */
    { { 0x89, 0x53, 0x0c }, 3 },        /* mov [rbx + 12], edx */
    { { 0x8d, 0x5b, 0x08 }, 3 },        /* lea ebx, [rbx + 8] */
};

typedef struct Side {
    Bench *bench;
    Accel *accel;
    X86Cpu *c;
} Side;

static Rng rng;
static Side by[2];
static Form forms[8192];                /* those of `others` first */
static unsigned n_forms, n_others, code_slot;
static uint8_t code[CODE_MOST];
static unsigned code_len;

static void open_side(Side *s, const char *accel)
{
    GError *err = NULL;

    s->bench = bench_new("max");
    s->c = s->bench->c;
    s->accel = accel_open(s->bench->m, accel, &err);
    g_assert_no_error(err);
    g_assert_true(s->accel->ops->vcpu_create(s->accel, &s->c->vcpu, &err));
}

static void close_side(Side *s)
{
    s->accel->ops->vcpu_destroy(s->accel, &s->c->vcpu);
    s->accel->ops->destroy(s->accel);
    bench_free(s->bench);
}

static bool is_other(const X86Row *r)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        if (others[i] == r->op) {
            return true;
        }
    }
    return false;
}

static void find_forms(bool host)
{
    for (unsigned map = 0; map < X86_MAPS; map++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            const X86Row *r;
            for (unsigned k = 0; (r = x86_row(map, opcode, k)); k++) {
                if ((host ? (bool)(r->words & IN_HOST) : is_other(r)) && !r->vsib && x86_has(by[0].c, r->cpu)) {
                    forms[n_forms++] = (Form){ r, map % 8, (uint8_t)opcode };
                }
            }
        }
    }
}

/* ---- code ---- */

static void add(const uint8_t *bytes, unsigned len)
{
    memcpy(code + code_len, bytes, len);
    code_len += len;
}

static void add_mov(unsigned bits, unsigned reg, uint64_t imm)
{
    uint8_t rex = 0x48 | reg >> 3, opcode = 0xb8 | (reg & 7);

    if (bits == 64) {
        add(&rex, 1);
    }
    add(&opcode, 1);
    add((const uint8_t *)&imm, bits / 8);
}

static uint64_t random_address(void)
{
    unsigned page = AT_DATA + 0x1000 * below(&rng, DATA_SIZE / 0x1000 - 1);

    switch (below(&rng, 16)) {
    case 0: return NOWHERE + below(&rng, 256);
    case 1: return page + 0x1000 - below(&rng, 64);
    case 2: case 3: return page + below(&rng, 0xfc0);
    default: return page + (below(&rng, 0xfc0) & ~63u);
    }
}

/* The registers that a memory operand is addressed by are loaded before; false: not this one. */
static bool add_address(const X86Insn *in, unsigned bits)
{
    uint64_t at = random_address() - (uint64_t)(int64_t)in->disp, index = below(&rng, 64);

    if (in->addrsize != bits || in->base >= 16 || in->base == in->index || in->segment >= X86_FS
        || in->base == X86_RBX || in->index == X86_RBX) {
        return false;
    }
    if (in->index < 16) {
        add_mov(bits, in->index, index);
        at -= index << in->scale;
    }
    add_mov(bits, in->base, at);
    return true;
}

/* RBX is where accesses meet that share a probe (accel/dbt/x86_64/share.c): nothing else changes it. */
static void add_meeting_point(unsigned bits)
{
    unsigned offset = below(&rng, 4) ? below(&rng, 0x1000) : 0xff0 - below(&rng, 64);

    add_mov(bits, X86_RBX, below(&rng, 32) ? AT_DATA + 0x800 + offset : NOWHERE);
}

/* The same instruction with the operand [rbx + disp8]; its length, or 0. */
static int meet(X86Insn *in, uint8_t bytes[ENCODING_MAX], int len, unsigned bits)
{
    const X86Row *row = in->row;
    unsigned at = in->modrm_at, imm = in->imm_at ? in->imm_at : (unsigned)len;
    uint8_t rest[ENCODING_MAX];

    memcpy(rest, bytes + imm, (unsigned)len - imm);
    bytes[at] = 0x40 | (bytes[at] & 0x38) | X86_RBX;
    bytes[at + 1] = (uint8_t)(below(&rng, 48) - 16);
    memcpy(bytes + at + 2, rest, (unsigned)len - imm);
    len = x86_decode(in, bytes, sizeof(rest), bits);
    return in->row == row && in->base == X86_RBX && in->addrsize == bits ? len : 0;
}

static bool names_rbx(const X86Insn *in)
{
    return in->reg == X86_RBX || (in->mod3 && in->rm == X86_RBX) || in->vvvv == X86_RBX
        || in->reg8 >> 3 == X86_RBX || (in->mod3 && in->rm8 >> 3 == X86_RBX);
}

static bool add_instruction(unsigned bits)
{
    const Form *f = &forms[below(&rng, below(&rng, 4) ? n_forms : n_others)];
    uint8_t bytes[ENCODING_MAX];
    X86Insn in;
    int len;

    random_encoding(&rng, f, bits, bytes);
    len = x86_decode(&in, bytes, sizeof(bytes), bits);
    if (len <= 0 || in.row != f->row || in.lock || !x86_is_offered(by[0].c, &in) || names_rbx(&in)) {
        return false;
    }
    if (!in.mod3 && in.row->has_modrm) {
        if (below(&rng, 2)) {
            len = meet(&in, bytes, len, bits);
        } else if (!add_address(&in, bits)) {
            return false;
        }
    }
    if (len <= 0) {
        return false;
    }
    add(bytes, (unsigned)len);
    return true;
}

static void make_code(unsigned bits)
{
    code_len = 0;
    add_meeting_point(bits);
    for (unsigned n = 1 + below(&rng, INSNS_MOST); n > 0; ) {
        if (!below(&rng, 24)) {
            add_meeting_point(bits);
        } else if (!below(&rng, 4)) {
            unsigned k = below(&rng, G_N_ELEMENTS(between));
            add(between[k].bytes, between[k].len);
            n--;
        } else {
            n -= add_instruction(bits);
        }
    }
    add((const uint8_t[]){ 0xf4 }, 1);
}

/* ---- state ---- */

static uint64_t state_components(const X86Cpu *c)
{
    uint64_t all = XCR0_X87 | XCR0_SSE | (x86_feature(c, FEAT_AVX) ? XCR0_AVX : 0)
                 | (x86_feature(c, FEAT_AVX512F) ? XCR0_AVX512 : 0);

    return below(&rng, 16) ? all : all & ~(uint64_t)(below(&rng, 2) ? XCR0_AVX512 : XCR0_AVX512 | XCR0_AVX);
}

static void random_fpu(X86Fpu *f, uint64_t xcr0)
{
    f->fcw = below(&rng, 8) ? random_fcw(&rng) | 0x3f : random_fcw(&rng);
    f->fsw = random_fsw(&rng, f->fcw);
    f->ftw = (uint8_t)rng64(&rng);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t v[10];
        random_x87(&rng, v);
        memcpy(&f->st[i].mantissa, v, 8);
        memcpy(&f->st[i].exponent, v + 8, 2);
    }
    f->mxcsr = below(&rng, 8) ? random_mxcsr(&rng) | 0x1f80 : random_mxcsr(&rng);
    memset(f->v, 0, sizeof(f->v));
    memset(f->k, 0, sizeof(f->k));
    bool wide = below(&rng, 2), zmm = (xcr0 & XCR0_AVX512) && below(&rng, 2);
    for (unsigned i = 0; i < (zmm ? 32 : 16); i++) {
        for (unsigned k = 0; k < (zmm ? 8 : wide && (xcr0 & XCR0_AVX) ? 4 : 2); k++) {
            f->v[i].q[k] = random_element(&rng);
        }
    }
    for (unsigned i = 0; zmm && i < 8; i++) {
        f->k[i] = rng64(&rng);
    }
}

static void set_up(unsigned bits)
{
    static uint8_t data[DATA_SIZE];
    X86Cpu *c = by[0].c;

    for (unsigned i = 0; i < sizeof(data); i += 8) {
        /* MXCSR and x87 control words among it, with all exceptions masked */
        uint64_t control = 0x1fbf00001fbf ^ (below(&rng, 8) << 13 | (uint64_t)below(&rng, 4) << 42);
        uint64_t v = below(&rng, 4) ? random_element(&rng) : control;
        memcpy(data + i, &v, 8);
    }
    for (unsigned s = 0; s < 2; s++) {
        if (bits == 64) {
            bench_long(by[s].bench, 0);
        } else {
            bench_protected(by[s].bench, 0);
        }
        as_write(by[s].bench->m->mem, AT_DATA, data, sizeof(data));
        as_write(by[s].bench->m->mem, AT_CODE + code_slot * CODE_MOST, code, code_len);
        for (unsigned v = 0; v < 32; v++) {
            poke(by[s].bench, AT_HANDLER + v * 16, 0xf4, 1);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        c->regs[i] = i == X86_RSP ? AT_STACK0 : bits == 64 ? random_integer(&rng) : (uint32_t)random_integer(&rng);
    }
    c->regs[X86_RIP] = AT_CODE + code_slot * CODE_MOST;
    c->cc = (uint16_t)((rng64(&rng) & 0xd500) | (rng64(&rng) & 1) | 0x200);
    c->cr0 |= CR0_NE | CR0_MP | (below(&rng, 32) ? 0 : CR0_TS);
    c->cr4 |= CR4_OSFXSR | CR4_OSXSAVE | (below(&rng, 8) ? CR4_OSXMMEXCPT : 0);
    c->xcr0 = state_components(c);
    random_fpu(&c->fpu, c->xcr0);
    x86_mode_changed(c);
    x86_copy_state(by[1].c, c);
}

/* Until it halts, at the end or in the handler of an exception; shuts down where RSP has been lost. */
static RunExit run(Side *s, uint64_t budget)
{
    GError *err = NULL;

    s->c->vcpu.halted = false;
    RunExit r = s->accel->ops->run(s->accel, &s->c->vcpu, budget, &err);
    g_assert_no_error(err);
    g_assert_true(r == RUN_HALTED || r == RUN_SHUTDOWN);
    return r;
}

/* ---- what differs ---- */

static void print_code(unsigned bits)
{
    for (unsigned at = 0, n; at < code_len; at += n) {
        g_autoptr(GString) text = g_string_new(NULL);
        n = x86_disas(code + at, code_len - at, AT_CODE + code_slot * CODE_MOST + at, bits, text);
        n = n ? n : 1;
        printf("# %x  ", AT_CODE + code_slot * CODE_MOST + at);
        for (unsigned i = 0; i < n; i++) {
            printf("%02x", code[at + i]);
        }
        printf("  %s\n", text->str);
    }
}

static void print_words(const char *what, const void *a, const void *b, unsigned words)
{
    for (unsigned i = 0; i < words; i++) {
        uint64_t x, y;
        memcpy(&x, (const uint8_t *)a + i * 8, 8);
        memcpy(&y, (const uint8_t *)b + i * 8, 8);
        if (x != y) {
            printf("# %s, word %u: %016" G_GINT64_MODIFIER "x, the interpreter says %016" G_GINT64_MODIFIER "x\n", what,
                   i, x, y);
        }
    }
}

static void print_difference(unsigned bits)
{
    const X86Cpu *a = by[0].c, *b = by[1].c;

    print_code(bits);
    print_words("registers", a->regs, b->regs, X86_REGS);
    print_words("x87 stack", a->fpu.st, b->fpu.st, 16);
    print_words("vectors", a->fpu.v, b->fpu.v, 256);
    print_words("opmasks", a->fpu.k, b->fpu.k, 8);
    for (unsigned s = 0; s < 2; s++) {
        const X86Cpu *c = by[s].c;
        printf("# cc %04x fcw %04x fsw %04x ftw %02x fop %03x fcs %x fds %x fip %" G_GINT64_MODIFIER "x fdp %"
               G_GINT64_MODIFIER "x mxcsr %08x exception %d, %" G_GINT64_MODIFIER "u instructions\n", c->cc, c->fpu.fcw,
               c->fpu.fsw, c->fpu.ftw, c->fpu.fop, c->fpu.fcs, c->fpu.fds, c->fpu.fip, c->fpu.fdp, c->fpu.mxcsr,
               c->exc.vector, c->insn_count);
    }
}

/* Bit 1 of the flags reads as 1 whatever X86Cpu.cc holds there. */
static bool same_state(void)
{
    by[0].c->cc |= FL_1 << 8;
    by[1].c->cc |= FL_1 << 8;
    return x86_same_state(by[0].c, by[1].c);
}

static bool same_memory(void)
{
    static uint8_t data[2][DATA_SIZE];

    for (unsigned s = 0; s < 2; s++) {
        as_read(by[s].bench->m->mem, AT_DATA, data[s], DATA_SIZE);
    }
    return !memcmp(data[0], data[1], DATA_SIZE);
}

static bool one(unsigned bits)
{
    Rng before = rng;

    code_slot = (code_slot + 1) % CODE_SLOTS;
    make_code(bits);
    set_up(bits);
    uint64_t budget = below(&rng, 2) ? FOR_EVER : BUDGET, count[2] = { by[0].c->insn_count, by[1].c->insn_count };
    bool same = run(&by[0], budget) == run(&by[1], BUDGET);
    same = same && same_state() && same_memory();
    if (budget == BUDGET) {
        same &= by[0].c->insn_count - count[0] == by[1].c->insn_count - count[1];
    }
    if (!same) {
        print_difference(bits);
        printf("# memory is %s; state of the generator %" G_GINT64_MODIFIER "u, %u bits\n",
               same_memory() ? "the same" : "not the same", before.state, bits);
    }
    return same;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0;
    unsigned runs = 0, differing = 0;
    gint64 start = g_get_monotonic_time();

    rng.state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    open_side(&by[0], "dbt,first-runs=0");
    open_side(&by[1], "interp");
    find_forms(false);
    n_others = n_forms;
    find_forms(true);
    while (seconds ? (double)(g_get_monotonic_time() - start) < seconds * 1e6 : runs < RUNS) {
        differing += !one(runs & 1 ? 32 : 64);
        runs++;
        if (differing == 5) {
            break;
        }
    }
    printf("# %u forms, %u runs\n%s 1 sequences\n1..1\n", n_forms, runs, differing ? "not ok" : "ok");
    close_side(&by[0]);
    close_side(&by[1]);
    return differing != 0;
}
