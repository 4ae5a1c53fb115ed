/*
 * Instructions that the host processor cannot be the oracle of (tests/insn/oracle/excluded.c) and that no
 * program of tests/insn/sys executes: what the Intel SDM, volume 2, says of each.
 */
#include "x86_bench.h"

static void with_bench(gconstpointer fn)
{
    Bench *b = bench_new("max");

    bench_long(b, 0);
    ((void (*)(Bench *))fn)(b);
    bench_free(b);
}

/* RDRAND, RDSEED: CF says whether there was a number; the other flags are cleared; 32 bits clear the upper half. */
static void test_random(Bench *b)
{
    uint64_t *rax = &b->c->regs[X86_RAX], seen = 0;

    for (unsigned i = 0; i < 64; i++) {
        *rax = ~0ull;
        x86_set_rflags(b->c, FL_STATUS);
        g_assert_cmpint(EXEC(b, 0x0f, 0xc7, i & 1 ? 0xf0 : 0xf8), ==, NOTHING);         /* rdrand eax; rdseed eax */
        g_assert_cmphex(*rax >> 32, ==, 0);
        g_assert_cmphex(x86_rflags(b->c) & FL_STATUS, ==, FL_CF);
        seen |= *rax;
    }
    g_assert_cmphex(seen, ==, 0xffffffff);
    *rax = 0x1111111111110000;
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0xc7, 0xf0), ==, NOTHING);
    g_assert_cmphex(*rax >> 16, ==, 0x111111111111);
    seen = 0;
    for (unsigned i = 0; i < 64; i++) {
        g_assert_cmpint(EXEC(b, 0x48, 0x0f, 0xc7, 0xf8), ==, NOTHING);
        seen |= *rax;
    }
    g_assert_cmphex(seen, ==, ~0ull);
}

static void test_rdpid(Bench *b)
{
    b->c->tsc_aux = 0x12345678;
    b->c->regs[X86_R9] = ~0ull;
    g_assert_cmpint(EXEC(b, 0xf3, 0x41, 0x0f, 0xc7, 0xf9), ==, NOTHING);        /* rdpid r9 */
    g_assert_cmphex(b->c->regs[X86_R9], ==, 0x12345678);
}

/* No performance counters: every index is one that does not exist. */
static void test_rdpmc(Bench *b)
{
    assert_raised(b, EXEC(b, 0x0f, 0x33), EXC_GP, 0);
    bench_long(b, 3);
    assert_raised(b, EXEC(b, 0x0f, 0x33), EXC_GP, 0);
}

static void test_rsm_outside_smm(Bench *b)
{
    assert_raised(b, EXEC(b, 0x0f, 0xaa), EXC_UD, 0);
}

static void test_xgetbv(Bench *b)
{
    assert_raised(b, EXEC(b, 0x0f, 0x01, 0xd0), EXC_UD, 0);                     /* CR4.OSXSAVE clear */
    g_assert_true(x86_write_cr4(b->c, CR4_PAE | CR4_OSXSAVE));
    b->c->xcr0 = 3;
    b->c->regs[X86_RAX] = b->c->regs[X86_RDX] = ~0ull;
    b->c->regs[X86_RCX] = 0;
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xd0), ==, NOTHING);
    g_assert_cmphex(b->c->regs[X86_RAX], ==, 3);
    g_assert_cmphex(b->c->regs[X86_RDX], ==, 0);
    b->c->regs[X86_RCX] = 7;
    assert_raised(b, EXEC(b, 0x0f, 0x01, 0xd0), EXC_GP, 0);
}

/* XSAVE and its kin without CR4.OSXSAVE; what they save is for xsave_test to say. */
static void test_xsave_needs_osxsave(Bench *b)
{
    b->c->regs[X86_RBX] = AT_DATA;
    assert_raised(b, EXEC(b, 0x0f, 0xae, 0x23), EXC_UD, 0);                     /* xsave [rbx] */
    assert_raised(b, EXEC(b, 0x0f, 0xae, 0x2b), EXC_UD, 0);                     /* xrstor */
    assert_raised(b, EXEC(b, 0x0f, 0xae, 0x33), EXC_UD, 0);                     /* xsaveopt */
    assert_raised(b, EXEC(b, 0x0f, 0xc7, 0x23), EXC_UD, 0);                     /* xsavec */
    assert_raised(b, EXEC(b, 0x0f, 0xc7, 0x2b), EXC_UD, 0);                     /* xsaves */
    assert_raised(b, EXEC(b, 0x0f, 0xc7, 0x1b), EXC_UD, 0);                     /* xrstors */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/x86/excluded/random", test_random, with_bench);
    g_test_add_data_func("/x86/excluded/rdpid", test_rdpid, with_bench);
    g_test_add_data_func("/x86/excluded/rdpmc", test_rdpmc, with_bench);
    g_test_add_data_func("/x86/excluded/rsm-outside-smm", test_rsm_outside_smm, with_bench);
    g_test_add_data_func("/x86/excluded/xgetbv", test_xgetbv, with_bench);
    g_test_add_data_func("/x86/excluded/xsave-needs-osxsave", test_xsave_needs_osxsave, with_bench);
    return g_test_run();
}
