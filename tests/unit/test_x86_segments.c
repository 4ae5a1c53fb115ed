/*
 * Loading segment registers, what their limits allow, and questions about descriptors (SDM volume 3A
 * chapters 3 and 5; volume 2, MOV, LAR, LSL, VERR, ARPL, LLDT, LTR).
 */
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;

static int mov_seg(unsigned seg, uint16_t selector)     /* MOV seg, AX */
{
    c->regs[X86_RAX] = selector;
    return EXEC(b, 0x8e, 0xc0 | seg << 3);
}

/* ---- loading: volume 2, MOV ---- */

static void test_load_data(void)
{
    bench_protected(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, 0x12345678, 0xabcde, AR_P | AR_S | AR_RW);
    g_assert_cmpint(mov_seg(X86_ES, SEL_FREE), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_ES].base, ==, 0x12345678);
    g_assert_cmphex(c->seg[X86_ES].limit, ==, 0xabcde);
    g_assert_cmphex(c->seg[X86_ES].write_hi, ==, 0xabcde);
    g_assert_cmphex(peek(b, AT_GDT + SEL_FREE + 5, 1) & AR_A, ==, AR_A);    /* 3.4.5.1 */
    bench_desc(b, AT_GDT, SEL_FREE, 0, 0xabcdefff, AR_P | AR_S | AR_RW | AR_G);
    g_assert_cmpint(mov_seg(X86_ES, SEL_FREE), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_ES].limit, ==, 0xabcdefff);
}

static void test_load_ldt_selector(void)
{
    bench_protected(b, 0);
    assert_raised(b, mov_seg(X86_DS, 0xc), EXC_GP, 0xc);
    c->regs[X86_RAX] = SEL_LDT;
    g_assert_cmpint(EXEC(b, 0x0f, 0x00, 0xd0), ==, NOTHING);        /* LLDT AX */
    bench_desc(b, AT_LDT, 8, 0x777000, 0xfff, AR_DATA32 & ~AR_G);
    g_assert_cmpint(mov_seg(X86_DS, 0xc), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_DS].base, ==, 0x777000);
    assert_raised(b, mov_seg(X86_DS, 0x84), EXC_GP, 0x84);          /* beyond its limit of 7F */
}

static void test_load_refused(void)
{
    bench_protected(b, 3);
    assert_raised(b, mov_seg(X86_DS, SEL_DATA0), EXC_GP, SEL_DATA0);        /* CPL above DPL */
    assert_raised(b, mov_seg(X86_DS, SEL_CODE0), EXC_GP, SEL_CODE0);
    assert_raised(b, mov_seg(X86_DS, SEL_TSS), EXC_GP, SEL_TSS);
    assert_raised(b, mov_seg(X86_DS, 0x1000), EXC_GP, 0x1000);
    g_assert_cmpint(mov_seg(X86_DS, SEL_CONFORMING | 3), ==, NOTHING);      /* any level may */
    bench_protected(b, 0);
    assert_raised(b, mov_seg(X86_DS, SEL_DATA0 | 1), EXC_GP, SEL_DATA0);    /* RPL above DPL */
    assert_raised(b, mov_seg(X86_DS, SEL_EXEC_ONLY), EXC_GP, SEL_EXEC_ONLY);
    assert_raised(b, mov_seg(X86_DS, SEL_ABSENT), EXC_NP, SEL_ABSENT);
    g_assert_cmpint(EXEC(b, 0x8e, 0xc8), ==, EXC_UD);                       /* MOV CS, AX */
}

static void test_load_null(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(mov_seg(X86_DS, 3), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_DS].selector, ==, 3);
    /* MOV AL, [0] through it */
    g_assert_cmpint(EXEC(b, 0x8a, 0x05, 0, 0, 0, 0), ==, EXC_GP);
    assert_raised(b, mov_seg(X86_SS, 0), EXC_GP, 0);
}

static void test_load_stack(void)
{
    bench_protected(b, 0);
    assert_raised(b, mov_seg(X86_SS, SEL_DATA3), EXC_GP, SEL_DATA3);
    assert_raised(b, mov_seg(X86_SS, SEL_DATA0 | 3), EXC_GP, SEL_DATA0);
    assert_raised(b, mov_seg(X86_SS, SEL_READ_ONLY), EXC_GP, SEL_READ_ONLY);
    assert_raised(b, mov_seg(X86_SS, SEL_CODE0), EXC_GP, SEL_CODE0);
    assert_raised(b, mov_seg(X86_SS, SEL_ABSENT), EXC_SS, SEL_ABSENT);
    g_assert_cmpint(mov_seg(X86_SS, SEL_DATA16), ==, NOTHING);
    g_assert_cmphex(c->mode & MODE_SS32, ==, 0);
    g_assert_cmpint(mov_seg(X86_SS, SEL_DATA0), ==, NOTHING);
    g_assert_cmphex(c->mode & MODE_SS32, ==, MODE_SS32);
}

/* 5.4.1.1: 64-bit code may run with a null SS, except at level 3. */
static void test_load_null_stack_in_long_mode(void)
{
    bench_long(b, 0);
    uint32_t mode = c->mode;
    g_assert_cmpint(mov_seg(X86_SS, 0), ==, NOTHING);
    g_assert_cmphex(c->mode, ==, mode);         /* else a kernel would be translated twice: behind gates, and SYSCALL */
    assert_raised(b, mov_seg(X86_SS, 3), EXC_GP, 0);
    bench_long(b, 3);
    assert_raised(b, mov_seg(X86_SS, 3), EXC_GP, 0);
}

static void test_load_fs_in_long_mode(void)
{
    bench_long(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, 0x12345678, 0xff, AR_P | AR_S | AR_RW);
    g_assert_cmpint(mov_seg(X86_FS, SEL_FREE), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_FS].base, ==, 0x12345678);
    g_assert_cmpint(mov_seg(X86_FS, 0), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_FS].base, ==, 0);
}

static void test_push_and_pop(void)
{
    bench_protected(b, 0);
    poke(b, AT_STACK0 - 4, 0xaaaaaaaa, 4);
    g_assert_cmpint(EXEC(b, 0x06), ==, NOTHING);                    /* PUSH ES: the low half */
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 4), ==, 0xaaaa0000 | SEL_DATA0);
    g_assert_cmpint(EXEC(b, 0x0f, 0xa1), ==, NOTHING);              /* POP FS */
    g_assert_cmphex(c->seg[X86_FS].selector, ==, SEL_DATA0);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0);
    poke(b, AT_STACK0, SEL_ABSENT, 4);
    assert_raised(b, EXEC(b, 0x1f), EXC_NP, SEL_ABSENT);            /* POP DS: SP stays */
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0);
    bench_long(b, 0);
    g_assert_cmpint(EXEC(b, 0x0f, 0xa8), ==, NOTHING);              /* PUSH GS: 8 bytes */
    g_assert_cmphex(peek(b, AT_STACK0 - 8, 8), ==, SEL_DATA0);
}

static void test_load_far_pointer(void)
{
    bench_protected(b, 0);
    poke(b, AT_DATA, 0xcafe1234, 4);
    poke(b, AT_DATA + 4, SEL_DATA3, 2);
    c->regs[X86_RBX] = AT_DATA;
    g_assert_cmpint(EXEC(b, 0xc4, 0x0b), ==, NOTHING);              /* LES ECX, [EBX] */
    g_assert_cmphex(c->regs[X86_RCX], ==, 0xcafe1234);
    g_assert_cmphex(c->seg[X86_ES].selector, ==, SEL_DATA3);
    poke(b, AT_DATA + 4, SEL_ABSENT, 2);
    assert_raised(b, EXEC(b, 0xc5, 0x13), EXC_NP, SEL_ABSENT);      /* LDS EDX: neither changes */
    g_assert_cmphex(c->regs[X86_RDX] & 0xffffffff, !=, 0xcafe1234);
    poke(b, AT_DATA + 4, SEL_DATA0, 2);
    g_assert_cmpint(EXEC(b, 0x0f, 0xb2, 0x23), ==, NOTHING);        /* LSS ESP, [EBX] */
    g_assert_cmphex(c->regs[X86_RSP], ==, 0xcafe1234);
    g_assert_false(c->sti_shadow);
}

/* ---- limits: 5.3 ---- */

static int read_at(uint32_t off)            /* MOV AL, [ES:off] */
{
    return EXEC(b, 0x26, 0x8a, 0x05, off & 0xff, off >> 8 & 0xff, off >> 16 & 0xff, off >> 24);
}

static int write_word_at(uint32_t off)      /* MOV [ES:off], EAX */
{
    return EXEC(b, 0x26, 0x89, 0x05, off & 0xff, off >> 8 & 0xff, off >> 16 & 0xff, off >> 24);
}

static void test_limit(void)
{
    bench_protected(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, AT_DATA, 0x1003, AR_P | AR_S | AR_RW);
    g_assert_cmpint(mov_seg(X86_ES, SEL_FREE), ==, NOTHING);
    c->regs[X86_RAX] = 0x11223344;
    g_assert_cmpint(write_word_at(0x1000), ==, NOTHING);
    g_assert_cmphex(peek(b, AT_DATA + 0x1000, 4), ==, 0x11223344);
    assert_raised(b, write_word_at(0x1001), EXC_GP, 0);
    g_assert_cmpint(read_at(0x1003), ==, NOTHING);
    assert_raised(b, read_at(0x1004), EXC_GP, 0);
    assert_raised(b, write_word_at(0xfffffffe), EXC_GP, 0);         /* wraps round, beyond the limit */
}

static void test_expand_down(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(mov_seg(X86_ES, SEL_DOWN), ==, NOTHING);        /* limit FFF: valid from 1000 up */
    assert_raised(b, read_at(0xfff), EXC_GP, 0);
    g_assert_cmpint(read_at(0x1000), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_ES].read_hi, ==, 0xffffffff);
    bench_desc(b, AT_GDT, SEL_FREE, 0, 0xfff, AR_P | AR_S | AR_RW | AR_EC);     /* B clear: to FFFF */
    g_assert_cmpint(mov_seg(X86_ES, SEL_FREE), ==, NOTHING);
    g_assert_cmpint(read_at(0xffff), ==, NOTHING);
    assert_raised(b, read_at(0x10000), EXC_GP, 0);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, AR_P | AR_S | AR_RW | AR_EC | AR_G | AR_DB);   /* nothing at all */
    g_assert_cmpint(mov_seg(X86_ES, SEL_FREE), ==, NOTHING);
    assert_raised(b, read_at(0), EXC_GP, 0);
    assert_raised(b, read_at(0xffffffff), EXC_GP, 0);
}

static void test_read_only_and_code(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(mov_seg(X86_ES, SEL_READ_ONLY), ==, NOTHING);
    g_assert_cmpint(read_at(AT_DATA), ==, NOTHING);
    assert_raised(b, write_word_at(AT_DATA), EXC_GP, 0);
    g_assert_cmpint(mov_seg(X86_ES, SEL_CODE0), ==, NOTHING);       /* readable code */
    g_assert_cmpint(read_at(AT_DATA), ==, NOTHING);
    assert_raised(b, write_word_at(AT_DATA), EXC_GP, 0);
}

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

static bool zf(void) { return x86_rflags(c) & FL_ZF; }

static uint64_t ask(uint8_t opcode, uint16_t selector)      /* LAR or LSL EAX, CX */
{
    c->regs[X86_RAX] = 0x55;
    c->regs[X86_RCX] = selector;
    g_assert_cmpint(EXEC(b, 0x0f, opcode, 0xc1), ==, NOTHING);
    return c->regs[X86_RAX];
}

static void test_lar_lsl(void)
{
    bench_protected(b, 0);
    g_assert_cmphex(ask(0x02, SEL_CODE0), ==, 0x00c09a00);
    g_assert_true(zf());
    g_assert_cmphex(ask(0x03, SEL_CODE0), ==, 0xffffffff);
    g_assert_cmphex(ask(0x03, SEL_TSS), ==, 0x200);
    g_assert_cmphex(ask(0x02, 0), ==, 0x55);
    g_assert_false(zf());
    g_assert_cmphex(ask(0x02, 0x1000), ==, 0x55);
    bench_gate(b, AT_GDT + SEL_FREE, SYS_CALL32, 0, SEL_CODE0, 0, 0);
    ask(0x02, SEL_FREE);
    g_assert_true(zf());                            /* LAR knows gates, LSL does not */
    ask(0x03, SEL_FREE);
    g_assert_false(zf());
    bench_gate(b, AT_GDT + SEL_FREE, SYS_INT32, 0, SEL_CODE0, 0, 0);
    ask(0x02, SEL_FREE);
    g_assert_false(zf());
    bench_protected(b, 3);
    ask(0x02, SEL_DATA0 | 3);
    g_assert_false(zf());                           /* not visible from here */
    ask(0x02, SEL_CONFORMING | 3);
    g_assert_true(zf());
    bench_real(b);
    g_assert_cmpint(EXEC(b, 0x0f, 0x02, 0xc1), ==, EXC_UD);
}

static bool verify(unsigned reg, uint16_t selector)
{
    c->regs[X86_RAX] = selector;
    g_assert_cmpint(EXEC(b, 0x0f, 0x00, 0xc0 | reg << 3), ==, NOTHING);
    return zf();
}

static void test_verr_verw(void)
{
    bench_protected(b, 3);
    g_assert_true(verify(4, SEL_DATA3));
    g_assert_true(verify(5, SEL_DATA3));
    g_assert_true(verify(4, SEL_CODE3));
    g_assert_false(verify(5, SEL_CODE3));
    g_assert_false(verify(4, SEL_DATA0));
    g_assert_true(verify(4, SEL_CONFORMING));
    g_assert_false(verify(4, SEL_TSS));
    g_assert_false(verify(4, 0));
    bench_protected(b, 0);
    g_assert_false(verify(4, SEL_EXEC_ONLY));
    g_assert_false(verify(5, SEL_READ_ONLY));
}

static void test_arpl(void)
{
    bench_protected(b, 0);
    c->regs[X86_RAX] = 0x1234550;
    c->regs[X86_RCX] = 3;
    g_assert_cmpint(EXEC(b, 0x63, 0xc8), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x1234553);
    g_assert_true(zf());
    g_assert_cmpint(EXEC(b, 0x63, 0xc8), ==, NOTHING);
    g_assert_false(zf());
}

/* ---- LLDT, LTR ---- */

static int with_ax(unsigned reg, uint16_t selector)
{
    c->regs[X86_RAX] = selector;
    return EXEC(b, 0x0f, 0x00, 0xc0 | reg << 3);
}

static void test_lldt(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(with_ax(2, SEL_LDT), ==, NOTHING);
    g_assert_cmphex(c->ldt.base, ==, AT_LDT);
    g_assert_cmphex(c->ldt.limit, ==, 0x7f);
    assert_raised(b, with_ax(2, SEL_TSS), EXC_GP, SEL_TSS);
    assert_raised(b, with_ax(2, SEL_LDT | 4), EXC_GP, SEL_LDT | 4);
    bench_desc(b, AT_GDT, SEL_FREE, 0, 0, SYS_LDT);
    assert_raised(b, with_ax(2, SEL_FREE), EXC_NP, SEL_FREE);
    g_assert_cmphex(c->ldt.selector, ==, SEL_LDT);
    g_assert_cmpint(with_ax(2, 0), ==, NOTHING);
    assert_raised(b, mov_seg(X86_DS, 0xc), EXC_GP, 0xc);
    bench_protected(b, 3);
    assert_raised(b, with_ax(2, SEL_LDT), EXC_GP, 0);
}

static void test_ltr(void)
{
    bench_protected(b, 0);
    assert_raised(b, with_ax(3, 0), EXC_GP, 0);
    assert_raised(b, with_ax(3, SEL_TSS), EXC_GP, SEL_TSS);         /* busy */
    assert_raised(b, with_ax(3, SEL_LDT), EXC_GP, SEL_LDT);
    g_assert_cmpint(with_ax(3, SEL_TSS_B), ==, NOTHING);
    g_assert_cmphex(peek(b, AT_GDT + SEL_TSS_B + 5, 1), ==, AR_P | SYS_TSS32_BUSY);
    g_assert_cmphex(c->tr.base, ==, AT_TSS_B);
    g_assert_cmpint(with_ax(1, 0), ==, NOTHING);                    /* STR */
    g_assert_cmphex(c->regs[X86_RAX] & 0xffff, ==, SEL_TSS_B);
}

/* 3.5.2: 64-bit system descriptors are 16 bytes. */
static void test_long_ltr(void)
{
    bench_long(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, 0x1000, 0x67, AR_P | SYS_TSS32);
    poke(b, AT_GDT + SEL_FREE + 8, 0xffff8000, 8);
    g_assert_cmpint(with_ax(3, SEL_FREE), ==, NOTHING);
    g_assert_cmphex(c->tr.base, ==, 0xffff800000001000);
    bench_desc(b, AT_GDT, SEL_FREE, 0x1000, 0x67, AR_P | SYS_TSS32);
    poke(b, AT_GDT + SEL_FREE + 8, 0x00008000, 8);
    assert_raised(b, with_ax(3, SEL_FREE), EXC_GP, SEL_FREE);       /* not canonical */
    bench_desc(b, AT_GDT, SEL_FREE, 0x1000, 0x67, AR_P | SYS_TSS16);
    assert_raised(b, with_ax(3, SEL_FREE), EXC_GP, SEL_FREE);
    bench_desc(b, AT_GDT, 0xf8, 0x1000, 0x67, AR_P | SYS_TSS32);
    assert_raised(b, with_ax(3, 0xf8), EXC_GP, 0xf8);               /* its upper half is beyond the limit */
}

#define ALL_TESTS(X) \
    X(load_data) X(load_ldt_selector) X(load_refused) X(load_null) X(load_stack) X(load_null_stack_in_long_mode) \
    X(load_fs_in_long_mode) X(push_and_pop) X(load_far_pointer) X(limit) X(expand_down) X(read_only_and_code) \
    X(lar_lsl) X(verr_verw) X(arpl) X(lldt) X(ltr) X(long_ltr)
ALL_TESTS(BENCH_TEST)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/x86/segments/" #name, run_##name);
    ALL_TESTS(ADD)
    return g_test_run();
}
