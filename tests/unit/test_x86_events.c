/*
 * Exceptions and interrupts on their way to a handler, in every mode (SDM volume 3A chapter 6, 20.1.4
 * and 20.3).
 */
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;

/* ---- real mode: 20.1.4 ---- */

static void test_real_int(void)
{
    bench_real(b);
    x86_set_rflags(c, FL_IF | FL_TF | FL_CF | FL_DF);
    x86_seg_set_real(c, X86_CS, 0x10);
    c->regs[X86_RIP] = AT_CODE - 0x100;
    g_assert_cmpint(EXEC(b, 0xcd, 0x21), ==, NOTHING);
    assert_in_handler(b, 0x21);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x7000 - 6);
    g_assert_cmphex(peek(b, 0x6ffa, 2), ==, AT_CODE - 0x100 + 2);
    g_assert_cmphex(peek(b, 0x6ffc, 2), ==, 0x10);
    g_assert_cmphex(peek(b, 0x6ffe, 2), ==, FL_IF | FL_TF | FL_CF | FL_DF | FL_1);
    g_assert_cmphex(x86_rflags(c), ==, FL_CF | FL_DF | FL_1);
}

static void test_real_error_code_is_not_pushed(void)
{
    bench_real(b);
    g_assert_true(bench_fault(b, EXC_GP, 0));
    assert_in_handler(b, EXC_GP);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x7000 - 6);
    g_assert_cmphex(peek(b, 0x6ffe, 2) & FL_RF, ==, 0);
}

/* The IVT's limit counts; 8 is beyond it too, so the third exception is a shutdown (6.15, #DF). */
static void test_real_table_limit(void)
{
    bench_real(b);
    c->idt.limit = 0x20 * 4 - 1;
    int v = EXEC(b, 0xcd, 0x21);
    g_assert_cmpint(v, ==, EXC_GP);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
    g_assert_true(bench_deliver(b));
    assert_in_handler(b, EXC_GP);

    c->idt.limit = 3;
    g_assert_false(bench_fault(b, EXC_UD, -1));
    g_assert_true(b->shutdown);
    g_assert_cmpint(c->exc.delivering, ==, -1);
}

static void test_real_stack_at_one(void)
{
    bench_real(b);
    c->regs[X86_RSP] = 1;
    g_assert_cmpint(EXEC(b, 0xcd, 0x21), ==, EXC_SS);
    g_assert_cmphex(c->regs[X86_RSP], ==, 1);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
}

static void test_real_into_int3(void)
{
    bench_real(b);
    c->cc = 0;
    g_assert_cmpint(EXEC(b, 0xce), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 1);
    c->cc = 1;
    g_assert_cmpint(EXEC(b, 0xce), ==, NOTHING);
    assert_in_handler(b, EXC_OF);
    g_assert_cmpint(EXEC(b, 0xcc), ==, NOTHING);
    assert_in_handler(b, EXC_BP);
}

/* ---- protected mode: 6.12 ---- */

static void test_pm_same_level(void)
{
    bench_protected(b, 0);
    x86_set_rflags(c, FL_IF | FL_TF | FL_NT);
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
    assert_in_handler(b, 0x40);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0 - 12);
    g_assert_cmphex(peek(b, AT_STACK0 - 12, 4), ==, AT_CODE + 2);
    g_assert_cmphex(peek(b, AT_STACK0 - 8, 4), ==, SEL_CODE0);
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 4), ==, FL_IF | FL_TF | FL_NT | FL_1);
    g_assert_cmphex(x86_rflags(c), ==, FL_1);
}

static void test_pm_trap_gate_keeps_if(void)
{
    bench_protected(b, 0);
    bench_idt(b, 0x40, SYS_TRAP32, 0, SEL_CODE0);
    x86_set_rflags(c, FL_IF | FL_TF);
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_IF | FL_1);
}

/* 17.3.1.1: faults push RF, traps and INT n do not. */
static void test_pm_error_code_and_rf(void)
{
    bench_protected(b, 0);
    g_assert_true(bench_fault(b, EXC_GP, 0x1234));
    assert_in_handler(b, EXC_GP);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0 - 16);
    g_assert_cmphex(peek(b, AT_STACK0 - 16, 4), ==, 0x1234);
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 4), ==, FL_RF | FL_1);
    g_assert_cmphex(x86_rflags(c), ==, FL_1);
}

static void test_pm_16_bit_gate(void)
{
    bench_protected(b, 0);
    bench_idt(b, 0x40, SYS_INT16, 0, SEL_CODE0);
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
    assert_in_handler(b, 0x40);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0 - 6);
    g_assert_cmphex(peek(b, AT_STACK0 - 6, 2), ==, AT_CODE + 2);
}

static void test_pm_inner_level(void)
{
    bench_protected(b, 3);
    x86_set_rflags(c, FL_IF);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE0);
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
    assert_in_handler(b, 0x40);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CODE0);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA0);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_INNER - 20);
    g_assert_cmphex(peek(b, AT_INNER - 20, 4), ==, AT_CODE + 2);
    g_assert_cmphex(peek(b, AT_INNER - 16, 4), ==, SEL_CODE3 | 3);
    g_assert_cmphex(peek(b, AT_INNER - 12, 4), ==, FL_IF | FL_1);
    g_assert_cmphex(peek(b, AT_INNER - 8, 4), ==, AT_STACK3);
    g_assert_cmphex(peek(b, AT_INNER - 4, 4), ==, SEL_DATA3 | 3);
}

/* To level 1, through the second stack of the TSS. */
static void test_pm_middle_level(void)
{
    bench_protected(b, 3);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE1);
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 1);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CODE1 | 1);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA1 | 1);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_INNER - 0x1000 - 20);
}

/* A conforming handler runs at the level of the interrupted program. */
static void test_pm_conforming_handler(void)
{
    bench_protected(b, 3);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CONFORMING);
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CONFORMING | 3);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK3 - 12);
}

/* 6.12.1.1: INT n needs the gate's DPL, hardware exceptions do not. */
static void test_pm_gate_dpl(void)
{
    bench_protected(b, 3);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0x40 * 8 + 2);
    assert_raised(b, EXEC(b, 0xcc), EXC_GP, EXC_BP * 8 + 2);
    c->exc.vector = -1;
    g_assert_true(bench_fault(b, EXC_UD, -1));
    assert_in_handler(b, EXC_UD);
}

/* INT1 is not subject to the gate's DPL (volume 2, INT1). */
static void test_pm_int1(void)
{
    bench_protected(b, 3);
    g_assert_cmpint(EXEC(b, 0xf1), ==, EXC_DB);
    g_assert_true(bench_deliver(b));
    assert_in_handler(b, EXC_DB);
    g_assert_cmphex(peek(b, AT_INNER - 20, 4), ==, AT_CODE + 1);
    g_assert_cmphex(peek(b, AT_INNER - 12, 4), ==, FL_1);
}

/* 6.13: error codes of what goes wrong while an exception is delivered: IDT bit, EXT bit. */
static void test_pm_absent_gate(void)
{
    bench_protected(b, 0);
    poke(b, AT_IDT + 0x40 * 8 + 5, SYS_INT32, 1);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_NP, 0x40 * 8 + 2);
    c->exc.vector = -1;

    poke(b, AT_IDT + EXC_UD * 8 + 5, SYS_INT32, 1);
    g_assert_true(bench_fault(b, EXC_UD, -1));
    assert_in_handler(b, EXC_NP);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 4), ==, EXC_UD * 8 + 3);
}

static void test_pm_bad_gate_type(void)
{
    bench_protected(b, 0);
    bench_idt(b, 0x40, SYS_CALL32, 0, SEL_CODE0);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0x40 * 8 + 2);
}

static void test_pm_table_limit(void)
{
    bench_protected(b, 0);
    c->idt.limit = 0x40 * 8 + 6;
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0x40 * 8 + 2);
    c->idt.limit = 0x40 * 8 + 7;
    g_assert_cmpint(EXEC(b, 0xcd, 0x40), ==, NOTHING);
}

/* Volume 2, INT n: what the gate's selector must name. */
static void test_pm_bad_handler_segment(void)
{
    bench_protected(b, 0);
    bench_idt(b, 0x40, SYS_INT32, 0, 0);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0);
    bench_idt(b, 0x40, SYS_INT32, 0, 0x1000);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0x1000);
    bench_idt(b, 0x40, SYS_INT32, 0, SEL_DATA0);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, SEL_DATA0);
    bench_idt(b, 0x40, SYS_INT32, 0, SEL_CODE3);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, SEL_CODE3);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, AR_CODE32 & ~AR_P);
    bench_idt(b, 0x40, SYS_INT32, 0, SEL_FREE);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_NP, SEL_FREE);
    bench_desc(b, AT_GDT, SEL_FREE, 0, AT_HANDLER, AR_CODE32 & ~AR_G);
    bench_idt(b, 0x40, SYS_INT32, 0, SEL_FREE);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0);
}

/* 6.12.1: the inner stack of the TSS, each way to be wrong. */
static void test_pm_bad_inner_stack(void)
{
    static const struct { uint16_t ss; int vector; uint32_t error; } row[] = {
        { 0, EXC_TS, 0 }, { 0x1000, EXC_TS, 0x1000 }, { SEL_DATA0 | 3, EXC_TS, SEL_DATA0 },
        { SEL_DATA3, EXC_TS, SEL_DATA3 }, { SEL_READ_ONLY, EXC_TS, SEL_READ_ONLY }, { SEL_CODE0, EXC_TS, SEL_CODE0 },
        { SEL_ABSENT, EXC_SS, SEL_ABSENT },
    };

    bench_protected(b, 3);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE0);
    for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
        poke(b, AT_TSS + 8, row[i].ss, 2);
        assert_raised(b, EXEC(b, 0xcd, 0x40), row[i].vector, row[i].error);
        g_assert_cmpint(c->cpl, ==, 3);
        g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK3);
    }
    poke(b, AT_TSS + 8, SEL_DATA0, 2);
    c->tr.limit = 8;
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_TS, SEL_TSS);
    c->tr.limit = 0x67;
    bench_desc(b, AT_GDT, SEL_FREE, 0, AT_INNER - 20, AR_DATA32 & ~AR_G);
    poke(b, AT_TSS + 8, SEL_FREE, 2);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_SS, SEL_FREE);
}

/* An exception's own stack fault has EXT set, and is a #DF when both are contributory. */
static void test_pm_stack_fault_in_delivery(void)
{
    bench_protected(b, 3);
    poke(b, AT_TSS + 8, SEL_ABSENT, 2);
    bench_idt(b, EXC_SS, SYS_INT32, 0, SEL_CONFORMING);
    g_assert_true(bench_fault(b, EXC_UD, -1));
    assert_in_handler(b, EXC_SS);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 4), ==, SEL_ABSENT | 1);

    bench_protected(b, 3);
    poke(b, AT_TSS + 8, SEL_ABSENT, 2);
    bench_idt(b, EXC_DF, SYS_INT32, 0, SEL_CONFORMING);
    g_assert_true(bench_fault(b, EXC_GP, 0x5678));
    assert_in_handler(b, EXC_DF);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 4), ==, 0);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 4, 4), ==, AT_CODE);
}

/* ---- two exceptions at once: table 6-5 ---- */

static void break_gate(unsigned vector)
{
    poke(b, AT_IDT + vector * 8 + 5, 0, 1);
}

static void test_double_fault_table(void)
{
    static const struct { unsigned first; int handler; } row[] = {
        { EXC_UD, EXC_GP }, { EXC_NM, EXC_GP }, { EXC_DB, EXC_GP }, { EXC_BR, EXC_GP }, { EXC_MF, EXC_GP },
        { EXC_AC, EXC_GP }, { EXC_XM, EXC_GP },
        { EXC_DE, EXC_DF }, { EXC_TS, EXC_DF }, { EXC_NP, EXC_DF }, { EXC_SS, EXC_DF }, { EXC_PF, EXC_DF },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
        bench_protected(b, 0);
        break_gate(row[i].first);
        g_assert_true(bench_fault(b, row[i].first, row[i].first == EXC_PF ? 2 : -1));
        assert_in_handler(b, row[i].handler);
        g_assert_cmpint(c->exc.delivering, ==, -1);
    }
}

static void test_triple_fault(void)
{
    bench_protected(b, 0);
    break_gate(EXC_GP);
    break_gate(EXC_DF);
    g_assert_false(bench_fault(b, EXC_GP, 0));
    g_assert_true(b->shutdown);
}

static void test_page_fault_sets_cr2(void)
{
    bench_protected(b, 0);
    c->cr2 = 0xdead000;
    g_assert_true(bench_fault(b, EXC_PF, 7));
    assert_in_handler(b, EXC_PF);
    g_assert_cmphex(c->cr2, ==, 0xdead000);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 4), ==, 7);
}

/* A page fault while the first is delivered: the stack is not there. */
static void test_page_fault_in_page_fault(void)
{
    bench_long(b, 0);
    c->regs[X86_RSP] = 0x40001000;                  /* beyond what is mapped */
    bench_gate(b, AT_IDT + EXC_DF * 16, SYS_INT32, 0, SEL_CODE64, AT_HANDLER + EXC_DF * 16, 1);
    c->cr2 = 0x1234;
    g_assert_true(bench_fault(b, EXC_PF, 0));
    assert_in_handler(b, EXC_DF);
    g_assert_cmphex(c->cr2, ==, 0x40000ff8);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_IST + 0x100 - 48);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 8), ==, 0);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 32, 8), ==, 0x40001000);
}

/* ---- virtual-8086 mode: 20.3 ---- */

static void test_vm_to_level_0(void)
{
    bench_vm86(b);
    x86_seg_set_real(c, X86_ES, 0x11);
    x86_seg_set_real(c, X86_DS, 0x22);
    x86_seg_set_real(c, X86_FS, 0x33);
    x86_seg_set_real(c, X86_GS, 0x44);
    g_assert_true(bench_fault(b, EXC_GP, 0));
    assert_in_handler(b, EXC_GP);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_false(c->mode & MODE_VM);
    g_assert_cmphex(x86_rflags(c), ==, FL_IOPL | FL_1);
    uint64_t sp = AT_INNER - 40;
    g_assert_cmphex(c->regs[X86_RSP], ==, sp);
    g_assert_cmphex(peek(b, sp, 4), ==, 0);
    g_assert_cmphex(peek(b, sp + 4, 4), ==, AT_CODE);
    g_assert_cmphex(peek(b, sp + 8, 4), ==, 0);
    g_assert_cmphex(peek(b, sp + 12, 4), ==, FL_VM | FL_IOPL | FL_IF | FL_RF | FL_1);
    g_assert_cmphex(peek(b, sp + 16, 4), ==, 0x7000);
    g_assert_cmphex(peek(b, sp + 20, 4), ==, 0);
    g_assert_cmphex(peek(b, sp + 24, 4), ==, 0x11);
    g_assert_cmphex(peek(b, sp + 28, 4), ==, 0x22);
    g_assert_cmphex(peek(b, sp + 32, 4), ==, 0x33);
    g_assert_cmphex(peek(b, sp + 36, 4), ==, 0x44);
    g_assert_cmphex(c->seg[X86_DS].selector, ==, 0);
    g_assert_cmphex(c->seg[X86_DS].ar & AR_P, ==, 0);

    /* And back again: IRET to virtual-8086 mode (volume 2). */
    c->regs[X86_RSP] += 4;
    g_assert_cmpint(EXEC(b, 0xcf), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_true(c->mode & MODE_VM);
    g_assert_cmphex(c->seg[X86_GS].selector, ==, 0x44);
    g_assert_cmphex(c->seg[X86_DS].base, ==, 0x220);
    g_assert_cmphex(c->seg[X86_DS].limit, ==, 0xffff);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x7000);
}

static void test_vm_handler_must_be_level_0(void)
{
    bench_vm86(b);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CONFORMING);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, SEL_CONFORMING);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE1);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, SEL_CODE1);
}

/* 20.2.7: INT n depends on IOPL, INT3 does not. */
static void test_vm_int_iopl(void)
{
    bench_vm86(b);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE0);
    bench_idt(b, EXC_BP, SYS_INT32, 3, SEL_CODE0);
    x86_set_rflags(c, FL_VM);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0);
    g_assert_cmpint(EXEC(b, 0xcc), ==, NOTHING);
    assert_in_handler(b, EXC_BP);
}

/* 20.3.3.4, method 5 and 6 of table 20-2: straight to the 8086 program's own handler. */
static void test_vm_redirection(void)
{
    bench_vm86(b);
    g_assert_true(x86_write_cr4(c, CR4_VME));
    poke(b, AT_TSS + 0x66, 0x88, 2);                /* redirection map at 0x68 */
    poke(b, AT_TSS + 0x68 + 0x21 / 8, 0, 1);
    poke(b, AT_TSS + 0x68 + 0x40 / 8, 1, 1);
    x86_set_rflags(c, FL_VM | FL_IF | FL_VIF);
    g_assert_cmpint(EXEC(b, 0xcd, 0x21), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_HANDLER + 8 + 0x21 * 16);
    g_assert_true(c->mode & MODE_VM);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x7000 - 6);
    g_assert_cmphex(peek(b, 0x6ffe, 2), ==, FL_IF | FL_IOPL | FL_1);
    g_assert_cmphex(x86_rflags(c), ==, FL_VM | FL_IF | FL_1);      /* VIF cleared, IF not */
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0);           /* its bit is set, IOPL is 0 */
}

/* ---- long mode: 6.14 ---- */

static void test_long_same_level(void)
{
    bench_long(b, 0);
    c->regs[X86_RSP] = AT_STACK0 - 3;               /* aligned down to 16 */
    g_assert_true(bench_fault(b, EXC_GP, 0x10));
    assert_in_handler(b, EXC_GP);
    uint64_t sp = AT_STACK0 - 16 - 48;
    g_assert_cmphex(c->regs[X86_RSP], ==, sp);
    g_assert_cmphex(peek(b, sp, 8), ==, 0x10);
    g_assert_cmphex(peek(b, sp + 8, 8), ==, AT_CODE);
    g_assert_cmphex(peek(b, sp + 16, 8), ==, SEL_CODE64);
    g_assert_cmphex(peek(b, sp + 24, 8), ==, FL_RF | FL_1);
    g_assert_cmphex(peek(b, sp + 32, 8), ==, AT_STACK0 - 3);
    g_assert_cmphex(peek(b, sp + 40, 8), ==, SEL_DATA0);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA0);
}

static void test_long_inner_level(void)
{
    bench_long(b, 3);
    bench_idt(b, 0x80, SYS_INT32, 3, SEL_CODE64);
    g_assert_cmpint(EXEC(b, 0xcd, 0x80), ==, NOTHING);
    assert_in_handler(b, 0x80);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, 0);    /* null, RPL the new level */
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_INNER - 40);
    g_assert_cmphex(peek(b, AT_INNER - 8, 8), ==, SEL_DATA3 | 3);
    g_assert_cmphex(peek(b, AT_INNER - 16, 8), ==, AT_STACK3);
}

static void test_long_ist(void)
{
    bench_long(b, 0);
    bench_gate(b, AT_IDT + 2 * 16, SYS_INT32, 0, SEL_CODE64, AT_HANDLER + 32, 7);
    vcpu_raise(&c->vcpu, VCPU_NMI);
    g_assert_true(bench_serve(b));
    assert_in_handler(b, EXC_NMI);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_IST + 0x700 - 40);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA0);    /* no change of level: SS stays */
}

static void test_long_bad_gates(void)
{
    bench_long(b, 3);
    bench_idt(b, 0x40, SYS_TASK, 3, SEL_TSS_B);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0x40 * 8 + 2);
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE0);        /* not 64-bit code */
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, SEL_CODE0);
    bench_gate(b, AT_IDT + 0x40 * 16, SYS_INT32, 3, SEL_CODE64, 0x800000000000, 0);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0);
    poke(b, AT_TSS + 4, 0x8000000000001000, 8);         /* RSP0 not canonical */
    bench_idt(b, 0x40, SYS_INT32, 3, SEL_CODE64);
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_SS, 0);
    c->idt.limit = 0x40 * 16 + 14;
    assert_raised(b, EXEC(b, 0xcd, 0x40), EXC_GP, 0x40 * 8 + 2);
}

/* ---- requests: 6.8, 6.7.1 ---- */

static int next_vector;
static int test_acknowledge(void *opaque)
{
    int v = next_vector;

    next_vector = -1;
    vcpu_lower(&c->vcpu, VCPU_INTR);
    return v;
}
static bool test_pending(void *opaque) { return next_vector >= 0; }
static const IntCtl test_intctl = { .acknowledge = test_acknowledge, .pending = test_pending };

static void interrupt(int vector)
{
    next_vector = vector;
    vcpu_raise(&c->vcpu, VCPU_INTR);
}

static void test_interrupt_needs_if(void)
{
    bench_protected(b, 0);
    vcpu_set_intctl(&c->vcpu, &test_intctl, NULL);
    interrupt(0x31);
    g_assert_false(x86_interrupt_due(c));
    g_assert_true(bench_serve(b));
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
    vcpu_raise(&c->vcpu, VCPU_STOP);                    /* who sleeps until something is due must wake */
    g_assert_true(x86_interrupt_due(c));
    vcpu_lower(&c->vcpu, VCPU_STOP);
    x86_set_rflags(c, FL_IF);
    g_assert_true(x86_interrupt_due(c));
    c->vcpu.halted = true;
    g_assert_true(bench_serve(b));
    assert_in_handler(b, 0x31);
    g_assert_false(c->vcpu.halted);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 4), ==, FL_IF | FL_1);
}

static void test_interrupt_waits_for_shadow(void)
{
    bench_protected(b, 0);
    vcpu_set_intctl(&c->vcpu, &test_intctl, NULL);
    interrupt(0x31);
    g_assert_cmpint(EXEC(b, 0xfb), ==, NOTHING);        /* STI */
    g_assert_true(c->sti_shadow);
    g_assert_false(x86_interrupt_due(c));
    c->sti_shadow = false;
    g_assert_true(x86_interrupt_due(c));
    g_assert_cmpint(EXEC(b, 0x8e, 0xd0), ==, EXC_GP);   /* MOV SS, AX with a null selector: no shadow */
    g_assert_false(c->sti_shadow);
    c->exc.vector = -1;
    c->regs[X86_RAX] = SEL_DATA0;
    g_assert_cmpint(EXEC(b, 0x8e, 0xd0), ==, NOTHING);
    g_assert_true(c->sti_shadow);
    g_assert_cmpint(EXEC(b, 0xfb), ==, NOTHING);        /* STI with IF set already: none of its own */
    g_assert_false(c->sti_shadow);
}

/* An interrupt is benign: a fault in its delivery is delivered, with EXT, even for vector 13. */
static void test_interrupt_fault_is_no_double_fault(void)
{
    bench_protected(b, 0);
    vcpu_set_intctl(&c->vcpu, &test_intctl, NULL);
    x86_set_rflags(c, FL_IF);
    bench_idt(b, 0x0e, SYS_INT32, 0, SEL_DATA0);
    interrupt(0x0e);
    g_assert_true(bench_serve(b));
    assert_in_handler(b, EXC_GP);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 4), ==, SEL_DATA0 | 1);
}

static void test_nmi_blocked_until_iret(void)
{
    bench_protected(b, 0);
    vcpu_raise(&c->vcpu, VCPU_NMI);
    g_assert_true(bench_serve(b));
    assert_in_handler(b, EXC_NMI);
    vcpu_raise(&c->vcpu, VCPU_NMI);
    g_assert_false(x86_interrupt_due(c));
    g_assert_cmpint(EXEC(b, 0xcf), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
    g_assert_true(x86_interrupt_due(c));
}

/* 8.4.2, 8.4.3 */
static void test_init_and_sipi(void)
{
    bench_protected(b, 0);
    c->vcpu.index = 1;
    c->sysenter_cs = 8;
    c->fpu.fcw = 0x37f;
    vcpu_raise(&c->vcpu, VCPU_INIT);
    g_assert_true(bench_serve(b));
    g_assert_true(c->wait_sipi && c->vcpu.halted);
    g_assert_cmphex(c->cr0 & CR0_PE, ==, 0);
    g_assert_cmphex(c->sysenter_cs, ==, 8);
    g_assert_cmphex(c->fpu.fcw, ==, 0x37f);
    vcpu_raise(&c->vcpu, VCPU_NMI);
    g_assert_false(x86_interrupt_due(c));
    vcpu_start_at(&c->vcpu, 0x9a);
    g_assert_true(x86_interrupt_due(c));
    g_assert_true(bench_serve(b));
    g_assert_false(c->wait_sipi || c->vcpu.halted);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0x9a000);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, 0x9a00);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0);
    vcpu_lower(&c->vcpu, VCPU_NMI);
    /* A second SIPI is dropped. */
    c->regs[X86_RIP] = 5;
    vcpu_start_at(&c->vcpu, 0x55);
    g_assert_true(bench_serve(b));
    g_assert_cmphex(c->regs[X86_RIP], ==, 5);
    g_assert_cmphex(atomic_load(&c->vcpu.requests) & VCPU_SIPI, ==, 0);
}

/* 17.2.4, 17.3: DR6 collects, general detect is a fault that clears DR7.GD. */
static void test_debug_exception(void)
{
    bench_protected(b, 0);
    c->dr[7] |= 1 << 13;
    g_assert_cmpint(EXEC(b, 0x0f, 0x21, 0xc0), ==, EXC_DB);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
    g_assert_true(bench_deliver(b));
    assert_in_handler(b, EXC_DB);
    g_assert_cmphex(c->dr[6], ==, 0xffff0ff0 | 1 << 13);
    g_assert_cmphex(c->dr[7], ==, 0x400);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 4), ==, FL_RF | FL_1);
}

#define ALL_TESTS(X) \
    X(real_int) X(real_error_code_is_not_pushed) X(real_table_limit) X(real_stack_at_one) X(real_into_int3) \
    X(pm_same_level) X(pm_trap_gate_keeps_if) X(pm_error_code_and_rf) X(pm_16_bit_gate) X(pm_inner_level) \
    X(pm_middle_level) X(pm_conforming_handler) X(pm_gate_dpl) X(pm_int1) X(pm_absent_gate) X(pm_bad_gate_type) \
    X(pm_table_limit) X(pm_bad_handler_segment) X(pm_bad_inner_stack) X(pm_stack_fault_in_delivery) \
    X(double_fault_table) X(triple_fault) X(page_fault_sets_cr2) X(page_fault_in_page_fault) X(vm_to_level_0) \
    X(vm_handler_must_be_level_0) X(vm_int_iopl) X(vm_redirection) X(long_same_level) X(long_inner_level) \
    X(long_ist) X(long_bad_gates) X(interrupt_needs_if) X(interrupt_waits_for_shadow) \
    X(interrupt_fault_is_no_double_fault) X(nmi_blocked_until_iret) X(init_and_sipi) X(debug_exception)
ALL_TESTS(BENCH_TEST)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/x86/events/" #name, run_##name);
    ALL_TESTS(ADD)
    return g_test_run();
}
