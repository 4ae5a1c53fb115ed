/*
 * Integer instructions that the host cannot be asked about: those of the stack, near branches, BOUND,
 * and the decimal ones, which long mode has not got (SDM volume 2).
 */
#include "target/x86/alu.h"
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;

static void with(void (*mode)(Bench *bench, unsigned cpl))
{
    b = bench_new("max");
    c = b->c;
    mode(b, 0);
}

static void real(Bench *bench, unsigned cpl) { bench_real(bench); }

#define RUNS(...) g_assert_cmpint(EXEC(b, __VA_ARGS__), ==, NOTHING)
#define REG(r) c->regs[X86_##r]

static void test_push_pop(void)
{
    with(bench_long);
    REG(RAX) = 0x1122334455667788;
    RUNS(0x50);                                         /* push rax */
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 - 8);
    RUNS(0x66, 0x50);                                   /* push ax */
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 - 10);
    g_assert_cmphex(peek(b, AT_STACK0 - 10, 2), ==, 0x7788);
    RUNS(0x6a, 0xff);                                   /* push -1 */
    g_assert_cmphex(peek(b, AT_STACK0 - 18, 8), ==, ~0ull);
    RUNS(0x54);                                         /* push rsp: as it was */
    g_assert_cmphex(peek(b, AT_STACK0 - 26, 8), ==, AT_STACK0 - 18);
    RUNS(0x5c);                                         /* pop rsp */
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 - 18);
    RUNS(0x8f, 0x44, 0x24, 0x10);                       /* pop [rsp+16]: rsp as it is after */
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 - 10);
    g_assert_cmphex(peek(b, AT_STACK0 + 6, 8), ==, ~0ull);
    bench_free(b);
    with(real);
    REG(RSP) = 0xabcd0000;                              /* SP alone counts, and wraps */
    REG(RBX) = 0x1234;
    RUNS(0x53);
    g_assert_cmphex(REG(RSP), ==, 0xabcdfffe);
    g_assert_cmphex(peek(b, 0xfffe, 2), ==, 0x1234);
    RUNS(0x59);
    g_assert_cmphex(REG(RSP), ==, 0xabcd0000);
    g_assert_cmphex(REG(RCX) & 0xffff, ==, 0x1234);
    bench_free(b);
}

static void test_faulting_pop_changes_nothing(void)
{
    with(bench_protected);
    c->seg[X86_DS].limit = 0xfff;
    x86_seg_changed(c, X86_DS);
    int v = EXEC(b, 0x8f, 0x05, 0xfe, 0x0f, 0, 0);      /* pop dword [0xffe]: beyond the limit */
    assert_raised(b, v, EXC_GP, 0);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0);
    bench_free(b);
}

static void test_all_registers(void)
{
    with(bench_protected);
    for (unsigned i = 0; i < 8; i++) {
        c->regs[i] = i == X86_RSP ? AT_STACK0 : 0x1000 + i;
    }
    RUNS(0x60);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 - 32);
    g_assert_cmphex(peek(b, AT_STACK0 - 20, 4), ==, AT_STACK0);
    for (unsigned i = 0; i < 8; i++) {
        c->regs[i] = i == X86_RSP ? c->regs[i] : 0;
    }
    RUNS(0x61);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(c->regs[i], ==, i == X86_RSP ? AT_STACK0 : 0x1000 + i);
    }
    bench_free(b);
}

static void test_frames(void)
{
    with(bench_protected);
    REG(RBP) = 0x18100;
    poke(b, 0x180fc, 0xaaaa, 4);
    RUNS(0xc8, 0x20, 0, 2);                             /* enter 32, 2 */
    g_assert_cmphex(REG(RBP), ==, AT_STACK0 - 4);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 - 12 - 32);
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 4), ==, 0x18100);
    g_assert_cmphex(peek(b, AT_STACK0 - 8, 4), ==, 0xaaaa);
    g_assert_cmphex(peek(b, AT_STACK0 - 12, 4), ==, AT_STACK0 - 4);
    RUNS(0xc9);
    g_assert_cmphex(REG(RBP), ==, 0x18100);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0);
    bench_free(b);
}

static void test_calls(void)
{
    with(bench_long);
    RUNS(0xe8, 0x10, 0, 0, 0);
    g_assert_cmphex(REG(RIP), ==, AT_CODE + 5 + 0x10);
    g_assert_cmphex(peek(b, AT_STACK0 - 8, 8), ==, AT_CODE + 5);
    RUNS(0xc2, 0x18, 0);                                /* ret 24 */
    g_assert_cmphex(REG(RIP), ==, AT_CODE + 5);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0 + 24);
    REG(RSP) = AT_STACK0;
    REG(RAX) = 1ull << 47;                              /* not canonical: a fault of the branch */
    int v = EXEC(b, 0xff, 0xd0);
    assert_raised(b, v, EXC_GP, 0);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0);
    poke(b, AT_STACK0, 1ull << 47, 8);
    v = EXEC(b, 0xc3);
    assert_raised(b, v, EXC_GP, 0);
    g_assert_cmphex(REG(RSP), ==, AT_STACK0);
    bench_free(b);
    with(real);
    REG(RIP) = 0xfff0;
    RUNS(0xe9, 0x20, 0);                                /* IP wraps at 64 KiB */
    g_assert_cmphex(REG(RIP), ==, 0x13);
    bench_free(b);
}

static void test_loops(void)
{
    with(bench_long);
    REG(RCX) = 0x100000001;
    RUNS(0x67, 0xe2, 0x10);                             /* loop on ECX: 1 becomes 0, and RCX with it */
    g_assert_cmphex(REG(RCX), ==, 0);
    g_assert_cmphex(REG(RIP), ==, AT_CODE + 3);
    RUNS(0xe3, 0x10);                                   /* jrcxz */
    g_assert_cmphex(REG(RIP), ==, AT_CODE + 5 + 0x10);
    c->cc = CC_ZF;
    REG(RCX) = 2;
    RUNS(0xe0, 0x10);                                   /* loopne: ZF is set */
    g_assert_cmphex(REG(RIP), ==, AT_CODE + 5 + 0x12);
    RUNS(0xe1, 0xfe);                                   /* loope: RCX is 0 now */
    g_assert_cmphex(REG(RIP), ==, AT_CODE + 5 + 0x14);
    bench_free(b);
}

static void test_bound(void)
{
    with(bench_protected);
    poke(b, AT_DATA, (uint32_t)-5, 4);
    poke(b, AT_DATA + 4, 10, 4);
    REG(RBX) = AT_DATA;
    for (int i = -7; i < 13; i++) {
        REG(RAX) = (uint32_t)i;
        g_assert_cmpint(EXEC(b, 0x62, 0x03), ==, i < -5 || i > 10 ? EXC_BR : NOTHING);
    }
    bench_free(b);
}

/* Adding and subtracting packed and unpacked digits, then adjusting, must be decimal arithmetic. */
static void test_decimal(void)
{
    with(bench_protected);
    for (unsigned x = 0; x < 100; x++) {
        for (unsigned y = 0; y < 100; y++) {
            unsigned a = (x / 10) << 4 | x % 10, d = (y / 10) << 4 | y % 10;
            unsigned sum = (x + y) % 100, diff = (x + 100 - y) % 100;
            REG(RAX) = a;
            REG(RBX) = d;
            RUNS(0x00, 0xd8);                           /* add al, bl */
            RUNS(0x27);
            g_assert_cmphex(REG(RAX) & 0xff, ==, (sum / 10) << 4 | sum % 10);
            g_assert_cmpint((c->cc & CC_CF) != 0, ==, x + y > 99);
            g_assert_cmpint((c->cc & CC_ZF) != 0, ==, sum == 0);
            REG(RAX) = a;
            RUNS(0x28, 0xd8);
            RUNS(0x2f);
            g_assert_cmphex(REG(RAX) & 0xff, ==, (diff / 10) << 4 | diff % 10);
            g_assert_cmpint((c->cc & CC_CF) != 0, ==, x < y);
        }
    }
    for (unsigned x = 0; x < 10; x++) {
        for (unsigned y = 0; y < 10; y++) {
            REG(RAX) = 0x500 | x;
            REG(RBX) = y;
            RUNS(0x00, 0xd8);
            RUNS(0x37);
            g_assert_cmphex(REG(RAX), ==, (0x5 + (x + y > 9)) << 8 | (x + y) % 10);
            REG(RAX) = 0x500 | x;
            RUNS(0x28, 0xd8);
            RUNS(0x3f);
            g_assert_cmphex(REG(RAX), ==, (0x5 - (x < y)) << 8 | (x + 10 - y) % 10);
            REG(RAX) = x * y;
            RUNS(0xd4, 10);
            g_assert_cmphex(REG(RAX), ==, x * y / 10 << 8 | x * y % 10);
            RUNS(0xd5, 10);
            g_assert_cmphex(REG(RAX), ==, x * y);
        }
    }
    g_assert_cmpint(EXEC(b, 0xd4, 0), ==, EXC_DE);
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integer/push-pop", test_push_pop);
    g_test_add_func("/integer/faulting-pop", test_faulting_pop_changes_nothing);
    g_test_add_func("/integer/pusha-popa", test_all_registers);
    g_test_add_func("/integer/enter-leave", test_frames);
    g_test_add_func("/integer/calls", test_calls);
    g_test_add_func("/integer/loops", test_loops);
    g_test_add_func("/integer/bound", test_bound);
    g_test_add_func("/integer/decimal", test_decimal);
    return g_test_run();
}
