/*
 * Far jumps, calls and returns, call gates, IRET and task switches (SDM volume 2, JMP, CALL, RET,
 * IRET; volume 3A chapters 5 and 7).
 */
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;

/* ---- the instructions, with their pointers in code or on the stack ---- */

static int jump32(uint16_t selector, uint32_t offset)
{
    return EXEC(b, 0xea, offset & 0xff, offset >> 8 & 0xff, offset >> 16 & 0xff, offset >> 24, selector & 0xff,
                selector >> 8);
}

static int call32(uint16_t selector, uint32_t offset)
{
    return EXEC(b, 0x9a, offset & 0xff, offset >> 8 & 0xff, offset >> 16 & 0xff, offset >> 24, selector & 0xff,
                selector >> 8);
}

static int jump64(uint16_t selector, uint64_t offset)   /* REX.W JMP m16:64 [AT_DATA] */
{
    poke(b, AT_DATA, offset, 8);
    poke(b, AT_DATA + 8, selector, 2);
    return EXEC(b, 0x48, 0xff, 0x2c, 0x25, AT_DATA & 0xff, AT_DATA >> 8 & 0xff, AT_DATA >> 16, 0);
}

static int call64(uint16_t selector, uint64_t offset)
{
    poke(b, AT_DATA, offset, 8);
    poke(b, AT_DATA + 8, selector, 2);
    return EXEC(b, 0x48, 0xff, 0x1c, 0x25, AT_DATA & 0xff, AT_DATA >> 8 & 0xff, AT_DATA >> 16, 0);
}

static void push(unsigned size, uint64_t v)
{
    c->regs[X86_RSP] -= size;
    poke(b, c->seg[X86_SS].base + c->regs[X86_RSP], v, size);
}

static int iret32(void) { return EXEC(b, 0xcf); }
static int iret64(void) { return EXEC(b, 0x48, 0xcf); }
static int retf32(void) { return EXEC(b, 0xcb); }

/* ---- real mode ---- */

static void test_real_jump(void)
{
    bench_real(b);
    c->seg[X86_CS].limit = 0xffff;
    g_assert_cmpint(EXEC(b, 0xea, 0x34, 0x12, 0x00, 0xf0), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x1234);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, 0xf000);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0xf0000);
    c->regs[X86_RIP] = 0x100;
    assert_raised(b, EXEC(b, 0x66, 0xea, 0, 0, 1, 0, 0x00, 0x10), EXC_GP, 0);    /* beyond the limit */
    g_assert_cmphex(c->seg[X86_CS].selector, ==, 0xf000);
}

static void test_real_call_and_return(void)
{
    bench_real(b);
    x86_seg_set_real(c, X86_CS, 0x123);
    g_assert_cmpint(EXEC(b, 0x9a, 0x10, 0x00, 0x00, 0x20), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0x20000);
    g_assert_cmphex(peek(b, 0x6ffc, 2), ==, AT_CODE + 5);
    g_assert_cmphex(peek(b, 0x6ffe, 2), ==, 0x123);
    g_assert_cmpint(EXEC(b, 0xca, 0x10, 0x00), ==, NOTHING);            /* RETF 16 */
    g_assert_cmphex(c->seg[X86_CS].selector, ==, 0x123);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 5);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x7010);
}

static void test_real_iret(void)
{
    bench_real(b);
    push(2, 0xffff);
    push(2, 0x1000);
    push(2, 0x55);
    c->rflags |= FL_AC;
    g_assert_cmpint(EXEC(b, 0xcf), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x55);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0x10000);
    g_assert_cmphex(x86_rflags(c), ==, 0x7fd7 | FL_AC);
}

/* 9.9: into protected mode and out of it; the limits survive ("unreal mode"). */
static void test_unreal_mode(void)
{
    bench_protected(b, 0);
    g_assert_true(x86_write_cr0(c, CR0_ET));
    g_assert_false(x86_protected(c));
    x86_seg_set_real(c, X86_DS, 0x100);
    g_assert_cmphex(c->seg[X86_DS].limit, ==, 0xffffffff);
    g_assert_cmphex(c->seg[X86_DS].base, ==, 0x1000);
    g_assert_cmphex(c->seg[X86_DS].read_hi, ==, ~0ull);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE32);      /* CS.D too, until it is loaded otherwise */
    /* CS may be written in real mode, whatever its type was. */
    g_assert_cmphex(c->seg[X86_CS].write_hi, ==, ~0ull);
    /* A register that held a null selector works again once loaded. */
    g_assert_true(x86_write_cr0(c, CR0_PE));
    x86_seg_set_null(c, X86_FS, 0);
    g_assert_true(x86_write_cr0(c, 0));
    x86_seg_set_real(c, X86_FS, 0x200);
    g_assert_cmphex(c->seg[X86_FS].read_hi, ==, 0xffff);
}

/* ---- protected mode, direct: 5.8.1 ---- */

static void test_jump_direct(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(jump32(SEL_CODE16, 0x1234), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x1234);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE16);
    g_assert_cmphex(peek(b, AT_GDT + SEL_CODE16 + 5, 1) & AR_A, ==, AR_A);
    bench_protected(b, 3);
    g_assert_cmpint(jump32(SEL_CONFORMING, 0x5678), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CONFORMING | 3);
    g_assert_cmpint(c->cpl, ==, 3);
}

static void test_jump_refused(void)
{
    bench_protected(b, 0);
    assert_raised(b, jump32(0, 0), EXC_GP, 0);
    assert_raised(b, jump32(3, 0), EXC_GP, 0);
    assert_raised(b, jump32(0x1008, 0), EXC_GP, 0x1008);
    assert_raised(b, jump32(4 | 8, 0), EXC_GP, 4 | 8);          /* no LDT */
    assert_raised(b, jump32(SEL_DATA0, 0), EXC_GP, SEL_DATA0);
    assert_raised(b, jump32(SEL_CODE3, 0), EXC_GP, SEL_CODE3);
    assert_raised(b, jump32(SEL_CODE0 | 3, 0), EXC_GP, SEL_CODE0);      /* RPL above CPL */
    assert_raised(b, jump32(SEL_CODE16, 0x10000), EXC_GP, 0);
    assert_raised(b, jump32(SEL_LDT, 0), EXC_GP, SEL_LDT);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, AR_CODE32 & ~AR_P);
    assert_raised(b, jump32(SEL_FREE, 0), EXC_NP, SEL_FREE);
    bench_protected(b, 3);
    assert_raised(b, jump32(SEL_CODE0, 0), EXC_GP, SEL_CODE0);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, AR_CODE32 | AR_EC | DPL(3));
    bench_protected(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, AR_CODE32 | AR_EC | DPL(3));
    assert_raised(b, jump32(SEL_FREE, 0), EXC_GP, SEL_FREE);    /* conforming, but less privileged */
}

static void test_call_and_return_same_level(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(call32(SEL_CODE0, 0x1111), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0 - 8);
    g_assert_cmphex(peek(b, AT_STACK0 - 8, 4), ==, AT_CODE + 7);
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 4), ==, SEL_CODE0);
    g_assert_cmpint(retf32(), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 7);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0);
}

/* The stack is looked at before anything moves. */
static void test_call_stack_fault(void)
{
    bench_protected(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, 0, 0xffff, AR_DATA32 & ~AR_G);
    x86_seg_load(c, X86_SS, SEL_FREE);
    c->regs[X86_RSP] = 0x10002 + 8;
    assert_raised(b, call32(SEL_CODE0, 0x1111), EXC_SS, 0);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x1000a);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CODE0);
}

/* ---- returns to an outer level: volume 2, RET; 5.8.6 ---- */

static void test_return_outer(void)
{
    bench_protected(b, 0);
    push(4, SEL_DATA3 | 3);
    push(4, AT_STACK3);
    c->regs[X86_RSP] -= 8;                          /* two parameters */
    push(4, SEL_CODE3 | 3);
    push(4, 0x4321);
    x86_seg_load(c, X86_ES, SEL_DATA0);
    x86_seg_load(c, X86_DS, SEL_DATA3);
    x86_seg_load(c, X86_FS, SEL_CONFORMING);
    x86_seg_load(c, X86_GS, SEL_CODE0);
    g_assert_cmpint(EXEC(b, 0xca, 8, 0), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x4321);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK3 + 8);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA3 | 3);
    g_assert_cmphex(c->seg[X86_ES].selector, ==, 0);
    g_assert_cmphex(c->seg[X86_DS].selector, ==, SEL_DATA3);
    g_assert_cmphex(c->seg[X86_FS].selector, ==, SEL_CONFORMING);
    g_assert_cmphex(c->seg[X86_GS].selector, ==, 0);
}

static void try_return(uint16_t cs, uint32_t ip, uint16_t ss, int vector, uint32_t error)
{
    uint64_t sp = c->regs[X86_RSP];

    push(4, ss);
    push(4, AT_STACK3);
    push(4, cs);
    push(4, ip);
    uint64_t at = c->regs[X86_RSP];
    assert_raised(b, retf32(), vector, error);
    g_assert_cmphex(c->regs[X86_RSP], ==, at);
    c->regs[X86_RSP] = sp;
    push(4, ss);
    push(4, AT_STACK3);
    push(4, FL_1);
    push(4, cs);
    push(4, ip);
    assert_raised(b, iret32(), vector, error);      /* the same rules */
    c->regs[X86_RSP] = sp;
}

static void test_return_refused(void)
{
    bench_protected(b, 0);
    try_return(0, 0, 0, EXC_GP, 0);
    try_return(0x1000, 0, 0, EXC_GP, 0x1000);
    try_return(SEL_DATA0, 0, 0, EXC_GP, SEL_DATA0);
    try_return(SEL_CODE3, 0, 0, EXC_GP, SEL_CODE3);             /* DPL 3, RPL 0 */
    try_return(SEL_CODE0 | 3, 0, 0, EXC_GP, SEL_CODE0);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, (AR_CODE32 | DPL(3)) & ~AR_P);
    try_return(SEL_FREE | 3, 0, 0, EXC_NP, SEL_FREE);
    bench_desc(b, AT_GDT, SEL_FREE, 0, 0xfff, AR_CODE32 & ~AR_G);
    try_return(SEL_FREE, 0x1000, 0, EXC_GP, 0);
    try_return(SEL_CODE3 | 3, 0, 0, EXC_GP, 0);
    try_return(SEL_CODE3 | 3, 0, 0x1003, EXC_GP, 0x1000);
    try_return(SEL_CODE3 | 3, 0, SEL_DATA3, EXC_GP, SEL_DATA3);
    try_return(SEL_CODE3 | 3, 0, SEL_DATA0 | 3, EXC_GP, SEL_DATA0);
    try_return(SEL_CODE3 | 3, 0, SEL_CODE3 | 3, EXC_GP, SEL_CODE3);
    bench_desc(b, AT_GDT, SEL_FREE, 0, ~0u, (AR_DATA32 | DPL(3)) & ~AR_P);
    try_return(SEL_CODE3 | 3, 0, SEL_FREE | 3, EXC_SS, SEL_FREE);
    bench_protected(b, 3);
    try_return(SEL_CODE0, 0, 0, EXC_GP, SEL_CODE0);             /* inward */
}

/* ---- IRET's flags: volume 2 ---- */

static uint32_t flags_after_iret(unsigned cpl, unsigned iopl, uint32_t before, uint32_t image)
{
    bench_protected(b, cpl);
    x86_set_rflags(c, before | iopl << 12);
    push(4, image);
    push(4, cpl == 3 ? SEL_CODE3 | 3 : SEL_CODE0);
    push(4, 0x100);
    g_assert_cmpint(iret32(), ==, NOTHING);
    return x86_rflags(c);
}

static void test_iret_flags(void)
{
    const uint32_t all = 0x3f7fd5 & ~(FL_VM | FL_NT);

    g_assert_cmphex(flags_after_iret(0, 0, 0, all), ==, all | FL_1);
    g_assert_cmphex(flags_after_iret(3, 3, 0, all), ==, (all & ~(FL_VIF | FL_VIP)) | FL_1);
    g_assert_cmphex(flags_after_iret(3, 0, 0, all), ==, (all & ~(FL_VIF | FL_VIP | FL_IF | FL_IOPL)) | FL_1);
    g_assert_cmphex(flags_after_iret(3, 0, FL_IF, 0), ==, FL_IF | FL_1);
    g_assert_cmphex(flags_after_iret(0, 3, FL_IF, 0), ==, FL_1);
    g_assert_cmphex(flags_after_iret(3, 0, 0, FL_VM) & FL_VM, ==, 0);   /* only level 0 enters VM86 */
}

static void test_iret_16_bit(void)
{
    bench_protected(b, 0);
    x86_set_rflags(c, FL_AC | FL_ID);
    push(2, FL_IF | FL_CF);
    push(2, SEL_CODE0);
    push(2, 0x100);
    g_assert_cmpint(EXEC(b, 0x66, 0xcf), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_AC | FL_ID | FL_IF | FL_CF | FL_1);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0);
}

/* 20.2.3: virtual-8086 mode's own IRET. */
static void test_iret_in_vm86(void)
{
    bench_vm86(b);
    push(2, FL_CF);
    push(2, 0x10);
    push(2, 0x20);
    g_assert_cmpint(EXEC(b, 0xcf), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0x100);
    g_assert_cmphex(x86_rflags(c), ==, FL_VM | FL_IOPL | FL_CF | FL_1);     /* IOPL stays */

    bench_vm86(b);
    x86_set_rflags(c, FL_VM | FL_IF);
    push(2, FL_IF);
    push(2, 0x10);
    push(2, 0x20);
    assert_raised(b, EXEC(b, 0xcf), EXC_GP, 0);
    g_assert_true(x86_write_cr4(c, CR4_VME));
    g_assert_cmpint(EXEC(b, 0xcf), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_VM | FL_IF | FL_VIF | FL_1);
    x86_set_rflags(c, FL_VM | FL_VIP);
    push(2, FL_IF);
    push(2, 0x10);
    push(2, 0x20);
    assert_raised(b, EXEC(b, 0xcf), EXC_GP, 0);                 /* an interrupt waits */
}

/* ---- call gates: 5.8.3 ---- */

static void gate(unsigned type, unsigned dpl, uint16_t selector, uint64_t offset, unsigned params)
{
    bench_gate(b, AT_GDT + SEL_FREE, type, dpl, selector, offset, params);
}

static void test_gate_inner(void)
{
    bench_protected(b, 3);
    gate(SYS_CALL32, 3, SEL_CODE0, 0x12345678, 2);
    push(4, 0xaaaa);
    push(4, 0xbbbb);
    g_assert_cmpint(call32(SEL_FREE | 3, 0xdead), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x12345678);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CODE0);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA0);
    uint64_t sp = AT_INNER - 24;
    g_assert_cmphex(c->regs[X86_RSP], ==, sp);
    g_assert_cmphex(peek(b, sp, 4), ==, AT_CODE + 7);
    g_assert_cmphex(peek(b, sp + 4, 4), ==, SEL_CODE3 | 3);
    g_assert_cmphex(peek(b, sp + 8, 4), ==, 0xbbbb);
    g_assert_cmphex(peek(b, sp + 12, 4), ==, 0xaaaa);
    g_assert_cmphex(peek(b, sp + 16, 4), ==, AT_STACK3 - 8);
    g_assert_cmphex(peek(b, sp + 20, 4), ==, SEL_DATA3 | 3);
    g_assert_cmpint(EXEC(b, 0xca, 8, 0), ==, NOTHING);          /* and back, parameters dropped */
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK3);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 7);
}

static void test_gate_16_bit_same_level(void)
{
    bench_protected(b, 0);
    gate(SYS_CALL16, 0, SEL_CODE0, 0x5678, 0);
    g_assert_cmpint(call32(SEL_FREE, 0), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x5678);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0 - 4);
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 2), ==, AT_CODE + 7);
}

static void test_gate_refused(void)
{
    bench_protected(b, 3);
    gate(SYS_CALL32, 0, SEL_CODE0, 0, 0);
    assert_raised(b, call32(SEL_FREE | 3, 0), EXC_GP, SEL_FREE);        /* gate's DPL below CPL */
    gate(SYS_CALL32, 3, SEL_CODE0, 0, 0);
    poke(b, AT_GDT + SEL_FREE + 5, DPL(3) | SYS_CALL32, 1);
    assert_raised(b, call32(SEL_FREE | 3, 0), EXC_NP, SEL_FREE);
    gate(SYS_CALL32, 3, 0, 0, 0);
    assert_raised(b, call32(SEL_FREE | 3, 0), EXC_GP, 0);
    gate(SYS_CALL32, 3, SEL_DATA0, 0, 0);
    assert_raised(b, call32(SEL_FREE | 3, 0), EXC_GP, SEL_DATA0);
    gate(SYS_CALL32, 3, SEL_CODE0, 0, 0);
    assert_raised(b, jump32(SEL_FREE | 3, 0), EXC_GP, SEL_CODE0);       /* JMP never goes inward */
    poke(b, AT_TSS + 8, 0, 2);
    assert_raised(b, call32(SEL_FREE | 3, 0), EXC_TS, 0);
    g_assert_cmpint(c->cpl, ==, 3);
    bench_protected(b, 0);
    gate(SYS_CALL32, 0, SEL_CODE3, 0, 0);
    assert_raised(b, call32(SEL_FREE, 0), EXC_GP, SEL_CODE3);           /* nor does CALL go outward */
}

/* ---- long mode ---- */

static void test_long_jump_between_submodes(void)
{
    bench_long(b, 0);
    g_assert_cmpint(jump64(SEL_CODE0, 0x1234), ==, NOTHING);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE32);
    g_assert_true(x86_long_mode(c));
    g_assert_cmpint(jump32(SEL_CODE64, 0xfffffff0), ==, NOTHING);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE64);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0xfffffff0);
}

/* Of a 64-bit offset compatibility mode takes 32 bits, before the limit is checked: as silicon does. */
static void test_long_to_compatibility_cuts_offset(void)
{
    bench_long(b, 0);
    g_assert_cmpint(jump64(SEL_CODE0, 0x700001234), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x1234);
    bench_long(b, 0);
    push(8, SEL_CODE0);
    push(8, 0x700001234);
    g_assert_cmpint(EXEC(b, 0x48, 0xcb), ==, NOTHING);                  /* retfq */
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x1234);
}

static void test_long_jump_refused(void)
{
    bench_long(b, 0);
    assert_raised(b, jump64(SEL_CODE64, 0x800000000000), EXC_GP, 0);
    assert_raised(b, jump64(SEL_TSS_B, 0), EXC_GP, SEL_TSS_B);          /* no tasks */
    bench_desc(b, AT_GDT, SEL_FREE, 0, 0, AR_P | AR_S | AR_CODE | AR_RW | AR_L | AR_DB);
    assert_raised(b, jump64(SEL_FREE, 0), EXC_GP, SEL_FREE);            /* L and D */
    gate(SYS_TASK, 0, SEL_TSS_B, 0, 0);
    assert_raised(b, jump64(SEL_FREE, 0), EXC_GP, SEL_FREE);
    gate(SYS_CALL16, 0, SEL_CODE64, 0, 0);
    assert_raised(b, jump64(SEL_FREE, 0), EXC_GP, SEL_FREE);
}

/* 5.8.3.1: 16-byte gates, no parameters, 8-byte slots. */
static void test_long_gate(void)
{
    bench_long(b, 3);
    gate(SYS_CALL32, 3, SEL_CODE64, 0x123456789a, 0);
    g_assert_cmpint(call64(SEL_FREE | 3, 0), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x123456789a);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_INNER - 32);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, 0);
    g_assert_cmphex(peek(b, AT_INNER - 8, 8), ==, SEL_DATA3 | 3);
    g_assert_cmphex(peek(b, AT_INNER - 16, 8), ==, AT_STACK3);
    g_assert_cmphex(peek(b, AT_INNER - 24, 8), ==, SEL_CODE64_3 | 3);
    bench_long(b, 3);
    gate(SYS_CALL32, 3, SEL_CODE0, 0, 0);                       /* not 64-bit code */
    assert_raised(b, call64(SEL_FREE | 3, 0), EXC_GP, SEL_CODE0);
    gate(SYS_CALL32, 3, SEL_CODE64, 0x800000000000, 0);
    assert_raised(b, call64(SEL_FREE | 3, 0), EXC_GP, 0);
    gate(SYS_CALL32, 3, SEL_CODE64, 0, 0);
    poke(b, AT_GDT + SEL_FREE + 13, 0x10, 1);                   /* type of the upper half */
    assert_raised(b, call64(SEL_FREE | 3, 0), EXC_GP, SEL_FREE);
}

/* 6.14.3: from 64-bit code IRET always takes SS:RSP. */
static void test_long_iret(void)
{
    bench_long(b, 0);
    push(8, 0);                                     /* a null SS is fine below level 3 */
    push(8, 0x7ffff0);
    push(8, FL_IF);
    push(8, SEL_CODE64);
    push(8, 0x123456789abc);
    g_assert_cmpint(iret64(), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x7ffff0);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x123456789abc);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, 0);
    bench_long(b, 0);
    push(8, SEL_DATA3 | 3);
    push(8, AT_STACK3);
    push(8, FL_IF);
    push(8, SEL_CODE3 | 3);                         /* to compatibility mode */
    push(8, 0x1000);
    g_assert_cmpint(iret64(), ==, NOTHING);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE32);
    g_assert_cmpint(c->cpl, ==, 3);
    bench_long(b, 0);
    push(8, SEL_DATA3 | 3);
    push(8, AT_STACK3);
    push(8, 0);
    push(8, SEL_CODE64_3 | 3);
    push(8, 0x800000000000);
    assert_raised(b, iret64(), EXC_GP, 0);          /* not canonical: still at level 0 */
    g_assert_cmpint(c->cpl, ==, 0);
    c->rflags |= FL_NT;
    assert_raised(b, iret64(), EXC_GP, 0);          /* no nested tasks */
}

/* ---- tasks: 7.3, 7.4 ---- */

static void task_b(uint16_t cs, uint16_t ss, uint16_t ds, uint32_t flags)
{
    for (unsigned i = 0; i < 0x68; i += 4) {
        poke(b, AT_TSS_B + i, 0, 4);
    }
    poke(b, AT_TSS_B + 0x20, 0x777, 4);
    poke(b, AT_TSS_B + 0x24, flags, 4);
    poke(b, AT_TSS_B + 0x28, 0x12345678, 4);        /* EAX */
    poke(b, AT_TSS_B + 0x38, 0x6000, 4);            /* ESP */
    poke(b, AT_TSS_B + 0x4c, cs, 4);
    poke(b, AT_TSS_B + 0x50, ss, 4);
    poke(b, AT_TSS_B + 0x54, ds, 4);
    poke(b, AT_TSS_B + 4, AT_INNER, 4);
    poke(b, AT_TSS_B + 8, SEL_DATA0, 4);
}

static unsigned type_of(uint16_t selector)
{
    return peek(b, AT_GDT + selector + 5, 1) & AR_TYPE;
}

static void test_task_jump(void)
{
    bench_protected(b, 0);
    task_b(SEL_CODE0, SEL_DATA0, SEL_DATA0, FL_CF);
    c->regs[X86_RBX] = 0xbbbbbbbb;
    x86_set_rflags(c, FL_IF | FL_ZF);
    g_assert_cmpint(jump32(SEL_TSS_B, 0), ==, NOTHING);
    g_assert_cmphex(c->tr.selector, ==, SEL_TSS_B);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x777);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x12345678);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x6000);
    g_assert_cmphex(x86_rflags(c), ==, FL_CF | FL_1);
    g_assert_cmphex(c->cr0 & CR0_TS, ==, CR0_TS);
    g_assert_cmpint(type_of(SEL_TSS_B), ==, SYS_TSS32_BUSY);
    g_assert_cmpint(type_of(SEL_TSS), ==, SYS_TSS32);
    g_assert_cmphex(peek(b, AT_TSS + 0x20, 4), ==, AT_CODE + 7);
    g_assert_cmphex(peek(b, AT_TSS + 0x24, 4), ==, FL_IF | FL_ZF | FL_1);
    g_assert_cmphex(peek(b, AT_TSS + 0x34, 4), ==, 0xbbbbbbbb);
    g_assert_cmphex(peek(b, AT_TSS + 0x38, 4), ==, AT_STACK0);
    g_assert_cmphex(peek(b, AT_TSS + 0x4c, 2), ==, SEL_CODE0);
}

static void test_task_call_and_return(void)
{
    bench_protected(b, 0);
    task_b(SEL_CODE3 | 3, SEL_DATA3 | 3, SEL_DATA3, FL_IOPL | FL_1);
    g_assert_cmpint(call32(SEL_TSS_B, 0), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_cmphex(x86_rflags(c), ==, FL_IOPL | FL_NT | FL_1);
    g_assert_cmphex(peek(b, AT_TSS_B, 2), ==, SEL_TSS);
    g_assert_cmpint(type_of(SEL_TSS), ==, SYS_TSS32_BUSY);
    c->regs[X86_RIP] = 0x999;
    g_assert_cmpint(iret32(), ==, NOTHING);
    g_assert_cmphex(c->tr.selector, ==, SEL_TSS);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 7);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmpint(type_of(SEL_TSS_B), ==, SYS_TSS32);
    g_assert_cmphex(peek(b, AT_TSS_B + 0x20, 4), ==, 0x99a);
    g_assert_cmphex(peek(b, AT_TSS_B + 0x24, 4) & FL_NT, ==, 0);
}

static void test_task_gate_interrupt(void)
{
    bench_protected(b, 0);
    task_b(SEL_CODE0, SEL_DATA0, SEL_DATA0, FL_1);
    bench_gate(b, AT_IDT + EXC_GP * 8, SYS_TASK, 0, SEL_TSS_B, 0, 0);
    g_assert_true(bench_fault(b, EXC_GP, 0xabc));
    g_assert_cmphex(c->tr.selector, ==, SEL_TSS_B);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x6000 - 4);
    g_assert_cmphex(peek(b, 0x5ffc, 4), ==, 0xabc);
    g_assert_cmphex(peek(b, AT_TSS + 0x20, 4), ==, AT_CODE);
    g_assert_cmphex(peek(b, AT_TSS + 0x24, 4), ==, FL_RF | FL_1);
    g_assert_cmphex(x86_rflags(c), ==, FL_NT | FL_1);
}

static void test_task_16_bit(void)
{
    bench_protected(b, 0);
    for (unsigned i = 0; i < 0x2c; i += 2) {
        poke(b, AT_TSS16 + i, 0, 2);
    }
    poke(b, AT_TSS16 + 0x0e, 0x1111, 2);
    poke(b, AT_TSS16 + 0x10, FL_CF, 2);
    poke(b, AT_TSS16 + 0x12, 0xaaaa, 2);
    poke(b, AT_TSS16 + 0x24, SEL_CODE16, 2);
    poke(b, AT_TSS16 + 0x26, SEL_DATA16, 2);
    g_assert_cmpint(jump32(SEL_TSS16, 0), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x1111);
    g_assert_cmphex(c->regs[X86_RAX] & 0xffff, ==, 0xaaaa);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE16);
    /* And back to the 32-bit one, which saves the 16-bit state first. */
    c->regs[X86_RAX] = 0x5555;
    poke(b, AT_GDT + SEL_TSS + 5, AR_P | SYS_TSS32, 1);
    g_assert_cmpint(EXEC(b, 0xea, 0, 0, SEL_TSS, 0), ==, NOTHING);
    g_assert_cmphex(peek(b, AT_TSS16 + 0x12, 2), ==, 0x5555);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 7);
}

/* To virtual-8086 mode through a TSS (20.2.5). */
static void test_task_vm86(void)
{
    bench_protected(b, 0);
    task_b(0x100, 0x200, 0x300, FL_VM | FL_1);
    g_assert_cmpint(jump32(SEL_TSS_B, 0), ==, NOTHING);
    g_assert_true(c->mode & MODE_VM);
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_cmphex(c->seg[X86_DS].base, ==, 0x3000);
    g_assert_cmphex(c->seg[X86_CS].base, ==, 0x1000);
}

static void test_task_refused(void)
{
    bench_protected(b, 0);
    task_b(SEL_CODE0, SEL_DATA0, SEL_DATA0, FL_1);
    assert_raised(b, jump32(SEL_TSS, 0), EXC_GP, SEL_TSS);              /* busy */
    bench_desc(b, AT_GDT, SEL_TSS_B, AT_TSS_B, 0x66, AR_P | SYS_TSS32);
    assert_raised(b, jump32(SEL_TSS_B, 0), EXC_TS, SEL_TSS_B);          /* too short */
    g_assert_cmphex(c->tr.selector, ==, SEL_TSS);
    bench_desc(b, AT_GDT, SEL_TSS_B, AT_TSS_B, 0x67, SYS_TSS32);
    assert_raised(b, jump32(SEL_TSS_B, 0), EXC_NP, SEL_TSS_B);
    bench_protected(b, 3);
    assert_raised(b, jump32(SEL_TSS_B | 3, 0), EXC_GP, SEL_TSS_B);      /* DPL 0 */
}

/* Table 7-1: bad segments are found in the new task, and reported there. */
static void test_task_bad_segments(void)
{
    static const struct { uint16_t cs, ss, ds; int vector; uint32_t error; } row[] = {
        { 0, SEL_DATA0, 0, EXC_TS, 0 },
        { SEL_DATA0, SEL_DATA0, 0, EXC_TS, SEL_DATA0 },
        { SEL_CODE3, SEL_DATA0, 0, EXC_TS, SEL_CODE3 },
        { SEL_CODE0, 0, 0, EXC_TS, 0 },
        { SEL_CODE0, SEL_DATA3, 0, EXC_TS, SEL_DATA3 },
        { SEL_CODE0, SEL_ABSENT, 0, EXC_SS, SEL_ABSENT },
        { SEL_CODE0, SEL_DATA0, SEL_EXEC_ONLY, EXC_TS, SEL_EXEC_ONLY },
        { SEL_CODE0, SEL_DATA0, SEL_ABSENT, EXC_NP, SEL_ABSENT },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
        bench_protected(b, 0);
        task_b(row[i].cs, row[i].ss, row[i].ds, FL_1);
        g_assert_cmpint(jump32(SEL_TSS_B, 0), ==, row[i].vector);
        g_assert_cmphex(c->exc.error, ==, row[i].error);
        g_assert_cmphex(c->tr.selector, ==, SEL_TSS_B);
        g_assert_cmphex(c->regs[X86_RIP], ==, 0x777);
    }
}

static void debug_due(X86Cpu *cpu, void *arg)
{
    g_assert_false(x86_debug_due(cpu));
}

/* 7.3, the T flag: a debug trap before the new task's first instruction. */
static void test_task_trap_flag(void)
{
    bench_protected(b, 0);
    task_b(SEL_CODE0, SEL_DATA0, SEL_DATA0, FL_1);
    poke(b, AT_TSS_B + 0x64, 1, 2);
    g_assert_cmpint(jump32(SEL_TSS_B, 0), ==, NOTHING);
    g_assert_cmpint(bench_call(b, debug_due, NULL), ==, EXC_DB);
    g_assert_true(bench_deliver(b));
    assert_in_handler(b, EXC_DB);
    g_assert_cmphex(c->dr[6] & 0x8000, ==, 0x8000);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 4), ==, 0x777);
}

/* ---- fast system calls ---- */

static void test_syscall(void)
{
    bench_long(b, 3);
    c->star = (uint64_t)(SEL_CODE0 | 3) << 48 | (uint64_t)SEL_CODE64 << 32;
    c->lstar = 0xffffffff81000000;
    c->fmask = FL_IF | FL_TF;
    x86_set_rflags(c, FL_IF | FL_ZF);
    g_assert_cmpint(EXEC(b, 0x0f, 0x05), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0xffffffff81000000);
    g_assert_cmphex(c->regs[X86_RCX], ==, AT_CODE + 2);
    g_assert_cmphex(c->regs[X86_R11], ==, FL_IF | FL_ZF | FL_1);
    g_assert_cmphex(x86_rflags(c), ==, FL_ZF | FL_1);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CODE64);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_CODE64 + 8);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK3);
    g_assert_cmpint(EXEC(b, 0x48, 0x0f, 0x07), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 2);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, (SEL_CODE0 + 16) | 3);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, (SEL_CODE0 + 8) | 3);
    g_assert_cmphex(x86_rflags(c), ==, FL_IF | FL_ZF | FL_1);
    g_assert_cmpint(c->cpl, ==, 3);
    assert_raised(b, EXEC(b, 0x48, 0x0f, 0x07), EXC_GP, 0);     /* SYSRET at level 3 */
}

static void test_sysret_checks_rcx(void)
{
    bench_long(b, 0);
    c->regs[X86_RCX] = 0x800000000000;
    assert_raised(b, EXEC(b, 0x48, 0x0f, 0x07), EXC_GP, 0);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmpint(EXEC(b, 0x0f, 0x07), ==, NOTHING);          /* to compatibility mode: ECX */
    g_assert_cmphex(c->regs[X86_RIP], ==, 0);
    g_assert_cmphex(c->mode & MODE_CODE, ==, MODE_CODE32);
    bench_long(b, 3);
    c->efer &= ~(uint64_t)EFER_SCE;
    g_assert_cmpint(EXEC(b, 0x0f, 0x05), ==, EXC_UD);
}

static void test_sysenter(void)
{
    bench_protected(b, 3);
    assert_raised(b, EXEC(b, 0x0f, 0x34), EXC_GP, 0);           /* SYSENTER_CS is null */
    c->sysenter_cs = SEL_CODE0;
    c->sysenter_esp = 0x5000;
    c->sysenter_eip = 0x1234;
    x86_set_rflags(c, FL_IF | FL_ZF);
    g_assert_cmpint(EXEC(b, 0x0f, 0x34), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 0);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x1234);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x5000);
    g_assert_cmphex(x86_rflags(c), ==, FL_ZF | FL_1);
    g_assert_cmphex(c->seg[X86_SS].selector, ==, SEL_DATA0);
    c->regs[X86_RDX] = 0x4000;
    c->regs[X86_RCX] = 0x3000;
    g_assert_cmpint(EXEC(b, 0x0f, 0x35), ==, NOTHING);
    g_assert_cmpint(c->cpl, ==, 3);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x4000);
    g_assert_cmphex(c->regs[X86_RSP], ==, 0x3000);
    g_assert_cmphex(c->seg[X86_CS].selector, ==, SEL_CODE3 | 3);
    assert_raised(b, EXEC(b, 0x0f, 0x35), EXC_GP, 0);
}

#define ALL_TESTS(X) \
    X(real_jump) X(real_call_and_return) X(real_iret) X(unreal_mode) X(jump_direct) X(jump_refused) \
    X(call_and_return_same_level) X(call_stack_fault) X(return_outer) X(return_refused) X(iret_flags) \
    X(iret_16_bit) X(iret_in_vm86) X(gate_inner) X(gate_16_bit_same_level) X(gate_refused) \
    X(long_jump_between_submodes) X(long_jump_refused) X(long_gate) X(long_iret) X(task_jump) \
    X(long_to_compatibility_cuts_offset) \
    X(task_call_and_return) X(task_gate_interrupt) X(task_16_bit) X(task_vm86) X(task_refused) \
    X(task_bad_segments) X(task_trap_flag) X(syscall) X(sysret_checks_rcx) X(sysenter)
ALL_TESTS(BENCH_TEST)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/x86/transfer/" #name, run_##name);
    ALL_TESTS(ADD)
    return g_test_run();
}
