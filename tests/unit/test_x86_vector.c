/*
 * Vector and x87 instructions on a whole processor: memory operands that cross pages, segments,
 * 16-bit code, features that -cpu takes away, and the way of their exceptions into handlers.
 */
#include "x86_bench.h"

#include <string.h>

static Bench *b;
static X86Cpu *c;

static void use(void (*mode)(Bench *, unsigned), unsigned cpl)
{
    mode(b, cpl);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT));
    g_assert_true(x86_write_cr0(c, c->cr0 | CR0_NE | CR0_MP));
    c->fpu.fcw = 0x37f;
    c->fpu.fsw = 0;
    c->fpu.ftw = 0;
    c->fpu.mxcsr = 0x1f80;
}

/* The second 2 MiB: present, not present, or read-only. */
static void map_second(uint64_t bits)
{
    poke(b, AT_PAGES + 0x2000 + 8, 0x200000 | 0x80 | bits, 8);
    x86_tlb_flush(c, true);
}

static void test_stores_across_pages_are_whole(void)
{
    use(bench_long, 3);
    map_second(5);                                      /* user, read-only */
    memset(c->fpu.v[1].q, 0xaa, 16);
    poke(b, 0x1ffff8, 0x1111111111111111, 8);
    poke(b, 0x200000, 0x2222222222222222, 8);
    c->regs[X86_RBX] = 0x1ffff8;
    assert_raised(b, EXEC(b, 0x0f, 0x11, 0x0b), EXC_PF, PF_P | PF_W | PF_U);        /* movups [rbx], xmm1 */
    g_assert_cmphex(c->exc.cr2, ==, 0x200000);
    g_assert_cmphex(peek(b, 0x1ffff8, 8), ==, 0x1111111111111111);
    map_second(7);
    g_assert_cmpint(EXEC(b, 0x0f, 0x11, 0x0b), ==, NOTHING);
    g_assert_cmphex(peek(b, 0x1ffff8, 8), ==, 0xaaaaaaaaaaaaaaaa);
    g_assert_cmphex(peek(b, 0x200000, 8), ==, 0xaaaaaaaaaaaaaaaa);
}

static void test_loads_across_pages(void)
{
    use(bench_long, 0);
    map_second(0);
    poke(b, 0x1ffff8, 0x1111111111111111, 8);
    poke(b, 0x200000, 0x2222222222222222, 8);
    c->regs[X86_RBX] = 0x1ffff8;
    X86Vector was = c->fpu.v[2];
    assert_raised(b, EXEC(b, 0x0f, 0x10, 0x13), EXC_PF, 0);                         /* movups xmm2, [rbx] */
    g_assert_cmpmem(&c->fpu.v[2], 16, &was, 16);
    map_second(7);
    g_assert_cmpint(EXEC(b, 0x0f, 0x10, 0x13), ==, NOTHING);
    g_assert_cmphex(c->fpu.v[2].q[0], ==, 0x1111111111111111);
    g_assert_cmphex(c->fpu.v[2].q[1], ==, 0x2222222222222222);
    c->regs[X86_RBX] = 0x1ffffc;                        /* an 80-bit float, too */
    poke(b, 0x1ffffc, 0x8000000000000000, 8);
    poke(b, 0x200004, 0x3fff, 2);
    g_assert_cmpint(EXEC(b, 0xdb, 0x2b), ==, NOTHING);                              /* fld tbyte [rbx] */
    g_assert_cmphex(c->fpu.st[7].exponent, ==, 0x3fff);
}

static void test_masked_stores_probe_all(void)
{
    use(bench_long, 3);
    map_second(5);
    memset(c->fpu.v[0].q, 0x55, 16);
    c->fpu.v[1].q[0] = c->fpu.v[1].q[1] = 0x8000000000000080;
    poke(b, 0x1ffff8, 0, 8);
    c->regs[X86_RDI] = 0x1ffff8;
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0xf7, 0xc1), ==, EXC_PF);           /* maskmovdqu xmm0, xmm1 */
    g_assert_cmphex(peek(b, 0x1ffff8, 8), ==, 0);
    map_second(7);
    poke(b, 0x200000, 0, 8);
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0xf7, 0xc1), ==, NOTHING);
    g_assert_cmphex(peek(b, 0x1ffff8, 8), ==, 0x5500000000000055);
    g_assert_cmphex(peek(b, 0x200000, 8), ==, 0x5500000000000055);
    map_second(0);
    c->fpu.v[1].q[0] = c->fpu.v[1].q[1] = 0;            /* an empty mask touches nothing */
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0xf7, 0xc1), ==, NOTHING);
}

static void test_segment_limits(void)
{
    use(bench_protected, 0);
    c->seg[X86_DS].limit = 0x1800f;
    c->seg[X86_DS].ar &= ~AR_G;
    x86_seg_changed(c, X86_DS);
    c->regs[X86_RBX] = 0x18000;
    g_assert_cmpint(EXEC(b, 0x0f, 0x10, 0x03), ==, NOTHING);
    c->regs[X86_RBX] = 0x18001;
    assert_raised(b, EXEC(b, 0x0f, 0x10, 0x03), EXC_GP, 0);
    g_assert_cmpint(EXEC(b, 0x0f, 0x28, 0x03), ==, EXC_GP);                         /* movaps: alignment */
}

static void test_sixteen_bit_code(void)
{
    bench_real(b);
    g_assert_true(x86_write_cr4(c, CR4_OSFXSR));
    c->fpu.mxcsr = 0x1f80;
    c->regs[X86_RAX] = 0xdeadbeef;
    g_assert_cmpint(EXEC(b, 0x0f, 0x6e, 0xc8), ==, NOTHING);                        /* movd mm1, eax */
    g_assert_cmphex(c->fpu.st[1].mantissa, ==, 0xdeadbeef);
    c->regs[X86_RCX] = 0xffff00ff;
    c->regs[X86_RDX] = 0x12340000;
    g_assert_cmpint(EXEC(b, 0xf3, 0x0f, 0xb8, 0xd1), ==, NOTHING);                  /* popcnt dx, cx */
    g_assert_cmphex(c->regs[X86_RDX], ==, 0x12340008);
    g_assert_cmpint(EXEC(b, 0x66, 0xf3, 0x0f, 0xb8, 0xd1), ==, NOTHING);            /* popcnt edx, ecx */
    g_assert_cmphex(c->regs[X86_RDX], ==, 24);
    c->regs[X86_RCX] = 7;
    g_assert_cmpint(EXEC(b, 0xf2, 0x0f, 0x2a, 0xc1), ==, NOTHING);                  /* cvtsi2sd xmm0, ecx */
    g_assert_cmphex(c->fpu.v[0].q[0], ==, 0x401c000000000000);
}

static void test_models_without_the_feature(void)
{
    Bench *old = bench_new("max,-sse4_1,-popcnt");

    bench_long(old, 0);
    g_assert_true(x86_write_cr4(old->c, old->c->cr4 | CR4_OSFXSR));
    g_assert_cmpint(EXEC(old, 0x66, 0x0f, 0x38, 0x17, 0xc1), ==, EXC_UD);           /* ptest */
    g_assert_cmpint(EXEC(old, 0xf3, 0x0f, 0xb8, 0xc1), ==, EXC_UD);                 /* popcnt */
    g_assert_cmpint(EXEC(old, 0x66, 0x0f, 0xef, 0xc0), ==, NOTHING);                /* pxor */
    bench_free(old);
    old = bench_new("max,-bmi1,-abm");
    bench_long(old, 0);
    old->c->regs[X86_RCX] = 0x10;
    g_assert_cmpint(EXEC(old, 0xf3, 0x0f, 0xbd, 0xc1), ==, NOTHING);                /* lzcnt is bsr there */
    g_assert_cmphex(old->c->regs[X86_RAX], ==, 4);
    bench_free(old);
}

static void test_simd_exception_is_delivered(void)
{
    use(bench_long, 3);
    c->fpu.mxcsr = 0x1d80;                              /* division by zero not masked */
    c->fpu.v[0].q[0] = 0x3ff0000000000000;
    c->fpu.v[1].q[0] = 0;
    g_assert_cmpint(EXEC(b, 0xf2, 0x0f, 0x5e, 0xc1), ==, EXC_XM);                   /* divsd xmm0, xmm1 */
    g_assert_cmphex(c->fpu.v[0].q[0], ==, 0x3ff0000000000000);
    g_assert_cmphex(c->fpu.mxcsr, ==, 0x1d84);
    g_assert_true(bench_deliver(b));
    assert_in_handler(b, EXC_XM);
}

static void test_x87_exception_waits_for_the_next(void)
{
    use(bench_protected, 0);
    c->fpu.fcw = 0x37b;                                 /* division by zero not masked */
    g_assert_cmpint(EXEC(b, 0xd9, 0xe8), ==, NOTHING);                              /* fld1 */
    g_assert_cmpint(EXEC(b, 0xd9, 0xee), ==, NOTHING);                              /* fldz */
    g_assert_cmpint(EXEC(b, 0xde, 0xf9), ==, NOTHING);                              /* fdivp */
    g_assert_cmphex(c->fpu.fsw & 0x8084, ==, 0x8084);
    g_assert_cmpint(EXEC(b, 0xdf, 0xe0), ==, NOTHING);                      /* fnstsw ax does not wait */
    g_assert_cmpint(EXEC(b, 0x9b), ==, EXC_MF);
    g_assert_cmpint(EXEC(b, 0x0f, 0xef, 0xc0), ==, EXC_MF);                         /* pxor mm0, mm0 */
    g_assert_cmpint(EXEC(b, 0xd9, 0xe8), ==, EXC_MF);
    g_assert_true(bench_deliver(b));
    assert_in_handler(b, EXC_MF);
    g_assert_cmpint(EXEC(b, 0xdb, 0xe2), ==, NOTHING);                              /* fnclex */
    g_assert_cmpint(EXEC(b, 0x9b), ==, NOTHING);
}

static void test_device_not_available(void)
{
    use(bench_long, 0);
    g_assert_true(x86_write_cr0(c, c->cr0 | CR0_TS));
    g_assert_cmpint(EXEC(b, 0xd9, 0xe8), ==, EXC_NM);
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0xef, 0xc0), ==, EXC_NM);
    g_assert_cmpint(EXEC(b, 0x9b), ==, EXC_NM);
    g_assert_cmpint(EXEC(b, 0x0f, 0x06), ==, NOTHING);                              /* clts */
    g_assert_cmpint(EXEC(b, 0xd9, 0xe8), ==, NOTHING);
    g_assert_true(x86_write_cr4(c, c->cr4 & ~CR4_OSFXSR));
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0xef, 0xc0), ==, EXC_UD);
}

static void test_stack_segment_fault(void)
{
    use(bench_long, 0);
    c->regs[X86_RBP] = 1ull << 63;
    g_assert_cmpint(EXEC(b, 0x0f, 0x10, 0x45, 0x00), ==, EXC_SS);                   /* movups xmm0, [rbp] */
    c->regs[X86_RBX] = 1ull << 63;
    g_assert_cmpint(EXEC(b, 0x0f, 0x10, 0x03), ==, EXC_GP);
    g_assert_cmpint(EXEC(b, 0x0f, 0x11, 0x45, 0x00), ==, EXC_SS);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*fn)(void); } tests[] = {
        { "stores-across-pages-are-whole", test_stores_across_pages_are_whole },
        { "loads-across-pages", test_loads_across_pages },
        { "masked-stores-probe-all", test_masked_stores_probe_all },
        { "segment-limits", test_segment_limits },
        { "sixteen-bit-code", test_sixteen_bit_code },
        { "models-without-the-feature", test_models_without_the_feature },
        { "simd-exception-is-delivered", test_simd_exception_is_delivered },
        { "x87-exception-waits-for-the-next", test_x87_exception_waits_for_the_next },
        { "device-not-available", test_device_not_available },
        { "stack-segment-fault", test_stack_segment_fault },
    };

    g_test_init(&argc, &argv, NULL);
    b = bench_new("max");
    c = b->c;
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/x86/vector/", tests[i].name, NULL);
        g_test_add_func(path, tests[i].fn);
    }
    int rc = g_test_run();
    bench_free(b);
    return rc;
}
