/*
 * Every integer row that a user program can run, by an accelerator (the interpreter, or the one named as
 * the argument) and by this processor: registers,
 * all status flags (undefined ones too: alu.h promises them), memory and divide errors must agree.
 *
 * In 64-bit mode, and the same bytes again in 32-bit protected mode.  Forms, registers, addresses,
 * prefixes and values are random, from a fixed seed; the first difference is printed with the bytes.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "accel/accel.h"
#include "native.h"
#include "target/x86/alu.h"
#include "../unit/x86_bench.h"

enum { ROUNDS = 150, FLAGS = FL_STATUS, FOR_EVER = 1 << 30 };

static const uint16_t tested[] = {
    OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP, OP_TEST, OP_INC, OP_DEC, OP_NEG, OP_NOT,
    OP_MOV, OP_MOVZX, OP_MOVSX, OP_MOVSXD, OP_LEA, OP_XCHG, OP_XADD, OP_CMPXCHG, OP_CMPXCHG8B, OP_BT, OP_BTS,
    OP_BTR, OP_BTC, OP_BSF, OP_BSR, OP_SHLD, OP_SHRD, OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAR,
    OP_MUL, OP_IMUL1, OP_IMUL2, OP_IMUL3, OP_DIV, OP_IDIV, OP_CBW, OP_CWD, OP_SETCC, OP_CMOV, OP_BSWAP,
    OP_CLC, OP_STC, OP_CMC, OP_LAHF, OP_SAHF, OP_XLAT, OP_MOVNTI, OP_NOP, OP_CLD, OP_STD,
    OP_MOVS, OP_STOS, OP_LODS, OP_CMPS, OP_SCAS,
};

static GRand *rnd;
static Bench *b;
static X86Cpu *c;
static Accel *accel;
static const char *accel_name = "interp";
static Region *shared;
static uint8_t *guest_memory;           /* the guest's, at the same address as native_memory() */
static uint64_t memory_at;
static unsigned code_slot;

static uint64_t random_value(void)
{
    static const uint64_t edges[] = { 0, 1, ~0ull, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fffffff, 0x80000000,
                                      0xffffffff, 1ull << 63, ~0ull >> 1 };
    uint64_t v = (uint64_t)g_rand_int(rnd) << 32 | g_rand_int(rnd);

    return g_rand_int_range(rnd, 0, 6) ? v >> g_rand_int_range(rnd, 0, 64)
                                       : edges[g_rand_int_range(rnd, 0, G_N_ELEMENTS(edges))];
}

static bool is_tested(const X86Row *r)
{
    if (r->map == 1 && r->opcode == 0x0d) {
        return false;                   /* Intel runs PREFETCHW of a register, for AMD it is #UD */
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(tested); i++) {
        if (tested[i] == r->op) {
            return !(r->words & (IN_HOST | IN_CPL0 | IN_ENDS));
        }
    }
    return false;
}

static bool has_kind(const X86Row *r, unsigned kind)
{
    return r->operand[0].kind == kind || r->operand[1].kind == kind;
}

/* Bytes of a random form of the row; 0: not this one. */
static unsigned make(const X86Row *r, unsigned bits, uint8_t *p)
{
    unsigned n = 0, op = r->opcode;

    if (g_rand_int_range(rnd, 0, 4) == 0 && (r->words & IN_LOCK)) {
        p[n++] = 0xf0;
    }
    if (g_rand_boolean(rnd) && (r->words & (IN_REP | IN_REPZ))) {
        p[n++] = 0xf2 + g_rand_boolean(rnd);
    }
    if (g_rand_int_range(rnd, 0, 3) == 0) {
        p[n++] = 0x66;
    }
    if (bits == 64 && g_rand_int_range(rnd, 0, 8) == 0) {
        p[n++] = 0x67;
    }
    if (bits == 64 && g_rand_boolean(rnd)) {
        p[n++] = 0x40 | g_rand_int_range(rnd, 0, 16);
    }
    if (r->map) {
        p[n++] = 0x0f;
    }
    if (r->map > 1) {
        p[n++] = r->map == 2 ? 0x38 : 0x3a;
    }
    op |= has_kind(r, OPK_Z) ? g_rand_int_range(rnd, 0, 8) : r->op == OP_SETCC || r->op == OP_CMOV
        ? g_rand_int_range(rnd, 0, 16) : 0;
    p[n++] = op;
    for (unsigned i = n; i < 16; i++) {
        p[i] = g_rand_int(rnd);
    }
    if (r->has_modrm && r->reg != 8) {
        p[n] = (p[n] & ~0x38) | r->reg << 3;
    }
    if (has_kind(r, OPK_O)) {               /* the address is the immediate */
        uint64_t at = memory_at + 64 + g_rand_int_range(rnd, 0, 1024);
        memcpy(p + n, &at, 8);
    }
    return n;
}

static bool uses_sp(const X86Insn *in)
{
    return in->base == X86_RSP || (has_kind(in->row, OPK_G) && in->reg == X86_RSP)
        || (in->row->has_modrm && in->mod3 && in->rm == X86_RSP)
        || (has_kind(in->row, OPK_Z) && in->rm == X86_RSP);
}

static bool is_string(const X86Insn *in) { return in->row->words & (IN_REP | IN_REPZ); }

/* Registers such that the memory operand lies in the page; false: cannot be had. */
static bool aim(const X86Insn *in, uint64_t *regs)
{
    uint64_t to = memory_at + 1024 + g_rand_int_range(rnd, 0, 1024);

    if (is_string(in)) {
        regs[X86_RSI] = memory_at + 1500 + g_rand_int_range(rnd, 0, 600);
        regs[X86_RDI] = memory_at + 1500 + g_rand_int_range(rnd, 0, 600);
        if (in->rep) {
            regs[X86_RCX] = g_rand_int_range(rnd, 0, 100);
        }
        return true;
    }
    if (in->row->op == OP_XLAT) {
        regs[X86_RBX] = to - (uint8_t)regs[X86_RAX];
        return true;
    }
    if (in->mod3 || in->row->op == OP_LEA || in->row->op == OP_NOP) {
        return in->mod3 || in->base < X86_RIP;
    }
    if (in->base == X86_RIP || in->base == X86_ZERO || in->base == in->index) {
        return false;
    }
    if (in->row->op == OP_CMPXCHG8B) {
        to &= ~15ull;
    }
    if (in->index != X86_ZERO) {
        regs[in->index] = g_rand_int_range(rnd, 0, 64);
    }
    regs[in->base] = to - (int64_t)in->disp - (in->index == X86_ZERO ? 0 : regs[in->index] << in->scale);
    if (in->addrsize == 32 && x86_code_bits(c) == 64) {
        regs[in->base] = (uint32_t)regs[in->base];
    }
    unsigned op = in->row->op;
    if (has_kind(in->row, OPK_G) && (op == OP_BT || op == OP_BTS || op == OP_BTR || op == OP_BTC)) {
        if (in->reg == in->base || in->reg == in->index) {
            return false;
        }
        regs[in->reg] = (uint64_t)(int64_t)g_rand_int_range(rnd, -8000, 8000);
    }
    return true;
}

static void fail(const X86Insn *in, const uint8_t *code, const uint64_t *regs, uint64_t flags, const char *what,
                 uint64_t got, uint64_t want)
{
    g_autoptr(GString) s = g_string_new(NULL);
    char name[32];

    x86_mnemonic(in, name, sizeof(name));
    for (unsigned i = 0; i < in->len; i++) {
        g_string_append_printf(s, "%02x ", code[i]);
    }
    for (unsigned i = 0; i < 16; i++) {
        g_string_append_printf(s, "\n  r%u=%016" G_GINT64_MODIFIER "x", i, regs[i]);
    }
    g_error("%s %s, %u-bit mode, flags %" G_GINT64_MODIFIER "x: %s is %" G_GINT64_MODIFIER
            "x, the host says %" G_GINT64_MODIFIER "x", name, s->str, x86_code_bits(c), flags, what, got, want);
}

/* Undefined flags that the host gives differently to forms which are one operation here: rotates by an
 * immediate leave OF, by CL they do not. */
static unsigned unstable_flags(const X86Insn *in)
{
    switch (in->row->op) {
    case OP_ROL: case OP_ROR: case OP_RCL: case OP_RCR:
        return in->row->flags_undefined;
    default:
        return 0;
    }
}

static void compare(const X86Insn *in, const uint8_t *code, const uint64_t *regs, uint64_t flags)
{
    const NativeState *s = native_state();
    bool trapped = s->signal == SIGFPE;
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

    if (s->signal && !trapped) {
        fail(in, code, regs, flags, "the signal", 0, s->signal);
    }
    if (trapped != (c->regs[X86_RIP] == AT_HANDLER)) {
        fail(in, code, regs, flags, "#DE", c->regs[X86_RIP], trapped);
    }
    for (unsigned i = 0; i < 16; i++) {
        if (i != X86_RSP && c->regs[i] != s->regs[i]) {
            fail(in, code, regs, flags, names[i], c->regs[i], s->regs[i]);
        }
    }
    unsigned mask = (FLAGS | FL_DF) & ~unstable_flags(in);
    if (!trapped && ((x86_rflags(c) ^ s->flags) & mask)) {
        fail(in, code, regs, flags, "flags", x86_rflags(c) & mask, s->flags & mask);
    }
    for (unsigned i = 0; i < NATIVE_MEMORY; i++) {
        if (guest_memory[i] != native_memory()[i]) {
            fail(in, code, regs, flags, "memory", guest_memory[i], native_memory()[i]);
        }
    }
}

static bool run_one(const X86Row *r, unsigned bits)
{
    static uint8_t before[NATIVE_MEMORY];
    NativeState *s = native_state();
    uint8_t code[16 + 8];
    uint64_t regs[16];
    X86Insn in;
    GError *err = NULL;

    make(r, bits, code);
    int len = x86_decode(&in, code, sizeof(code), bits);
    if (in.row && in.row->op == OP_NOP && in.opcode == 0x0d && in.mod3) {
        return false;                   /* PREFETCHW of a register: Intel's do nothing, AMD's raise #UD */
    }
    if (len <= 0 || in.row != r || uses_sp(&in) || in.segment_prefix || in.segment >= X86_FS) {
        return false;
    }
    for (unsigned i = 0; i < 16; i++) {
        regs[i] = bits == 32 ? (uint32_t)random_value() : random_value();
    }
    if (!aim(&in, regs)) {
        return false;
    }
    if (bits == 32) {
        if (in.addrsize == 16 || (!in.mod3 && in.base < X86_RIP && regs[in.base] >> 32)) {
            return false;               /* natively the sum is one of 64 bits */
        }
        for (unsigned i = 0; i < 16; i++) {
            regs[i] = i < 8 ? (uint32_t)regs[i] : 0;
        }
    }
    uint64_t flags = (g_rand_int(rnd) & (FLAGS | FL_DF)) | FL_1 | FL_IF;
    for (unsigned i = 0; i < NATIVE_MEMORY; i += 4) {
        uint32_t v = g_rand_int_range(rnd, 0, 4) ? g_rand_int(rnd) : 0;
        memcpy(native_memory() + i, &v, 4);
    }
    memcpy(before, native_memory(), NATIVE_MEMORY);

    memcpy(s->regs, regs, sizeof(regs));
    s->flags = flags;
    native_run(code, len);

    uint64_t rip = AT_CODE + (code_slot++ & 0x7f) * 16;
    code[len] = 0xf4;
    as_write(b->m->mem, rip, code, len + 1);
    /* Twice, so that the second time what the first has put into the TLB is there */
    for (unsigned i = 0; i < 2; i++) {
        memcpy(guest_memory, before, NATIVE_MEMORY);
        memcpy(c->regs, regs, sizeof(regs));
        c->regs[X86_RSP] = AT_STACK0;
        c->regs[X86_RIP] = rip;
        c->vcpu.halted = false;
        x86_set_rflags(c, flags & ~FL_IF);
        RunExit why = accel->ops->run(accel, &c->vcpu, FOR_EVER, &err);
        g_assert_cmpint(why, ==, RUN_HALTED);
        c->regs[X86_RIP]--;                 /* behind the HLT, there or in the handler of #DE */
        if (c->regs[X86_RIP] != AT_HANDLER && c->regs[X86_RIP] != rip + len) {
            fail(&in, code, regs, flags, "rip", c->regs[X86_RIP], rip + len);
        }
        compare(&in, code, regs, flags);
    }
    return true;
}

static void test_mode(unsigned bits)
{
    unsigned rows = 0, runs = 0;

    for (unsigned map = 0; map < 2; map++) {
        for (unsigned op = 0; op < 256; op++) {
            const X86Row *r;
            for (unsigned k = 0; (r = x86_row(map, op, k)); k++) {
                if (r->opcode != op || !is_tested(r) || r->mode == 1
                    || (bits == 32 && (r->mode == 2 || has_kind(r, OPK_O) || r->rex))) {
                    continue;
                }
                unsigned done = 0;
                for (unsigned i = 0; i < 4 * ROUNDS && done < ROUNDS; i++) {
                    done += run_one(r, bits);
                }
                if (done == 0 && r->opcode != 0x94) {             /* XCHG SP, AX: no SP here */
                    g_error("%s: no form of it could be run", r->names);
                }
                rows++;
                runs += done;
            }
        }
    }
    g_test_message("%u-bit: %u rows, %u runs", bits, rows, runs);
    g_assert_cmpuint(rows, >, 150);
}

static void start(void)
{
    GError *err = NULL;

    rnd = g_rand_new_with_seed(20240917);
    b = bench_new("max");
    c = b->c;
    memory_at = (uintptr_t)native_memory();
    machine_lock(b->m);
    memory_begin(b->m->mem);
    shared = g_new0(Region, 1);
    g_assert_true(region_init_ram(shared, "shared", NATIVE_MEMORY, &err));
    region_map(&b->m->mem_root, memory_at, shared, 0);
    memory_commit(b->m->mem);
    machine_unlock(b->m);
    guest_memory = shared->ram;
    accel = accel_open(b->m, accel_name, &err);
    g_assert_no_error(err);
    g_assert_true(accel->ops->vcpu_create(accel, &c->vcpu, &err));
    poke(b, AT_HANDLER, 0xf4, 1);
}

static void finish(void)
{
    accel->ops->vcpu_destroy(accel, &c->vcpu);
    accel->ops->destroy(accel);
    machine_lock(b->m);
    region_unmap(shared);
    region_fini(shared);
    machine_unlock(b->m);
    g_clear_pointer(&shared, g_free);
    bench_free(b);
    g_rand_free(rnd);
}

static void test_64(void)
{
    start();
    bench_long(b, 0);
    for (unsigned gib = 1; gib < 4; gib++) {        /* the bench maps only the first */
        uint64_t table = AT_PAGES + 0x3000 + gib * 0x1000;
        poke(b, AT_PAGES + 0x1000 + gib * 8, table | 7, 8);
        for (unsigned i = 0; i < 512; i++) {
            poke(b, table + i * 8, (uint64_t)gib << 30 | (uint64_t)i << 21 | 0x87, 8);
        }
    }
    test_mode(64);
    finish();
}

static void test_32(void)
{
    start();
    bench_protected(b, 0);
    test_mode(32);
    finish();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc > 1) {
        accel_name = argv[1];
    }
    g_test_add_func("/alu-vs-host/64", test_64);
    g_test_add_func("/alu-vs-host/32", test_32);
    return g_test_run();
}
