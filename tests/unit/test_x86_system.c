/*
 * Control and debug registers, flags and IOPL, ports, MSRs (SDM volume 3A chapter 2, volume 1 chapter 19,
 * volume 2, volume 4).
 */
#include "x86_bench.h"

#include "util/bits.h"

static Bench *b;
static X86Cpu *c;

/* ---- CR0: 2.5 ---- */

static int mov_cr(unsigned cr, uint64_t v)          /* MOV CRn, RAX */
{
    c->regs[X86_RAX] = v;
    if (cr == 8) {
        return EXEC(b, 0x44, 0x0f, 0x22, 0xc0);
    }
    return EXEC(b, 0x0f, 0x22, 0xc0 | cr << 3);
}

static void test_cr0(void)
{
    bench_protected(b, 0);
    assert_raised(b, mov_cr(0, CR0_PG), EXC_GP, 0);                     /* PG without PE */
    assert_raised(b, mov_cr(0, CR0_PE | CR0_NW), EXC_GP, 0);            /* NW without CD */
    g_assert_cmpint(mov_cr(0, CR0_PE | CR0_TS | 1 << 20), ==, NOTHING);
    g_assert_cmphex(c->cr0, ==, CR0_PE | CR0_TS | CR0_ET);              /* reserved bits are dropped, ET is fixed */
    g_assert_cmphex(c->mode & MODE_FPU_OFF, ==, MODE_FPU_OFF);
    g_assert_cmpint(EXEC(b, 0x0f, 0x06), ==, NOTHING);                  /* CLTS */
    g_assert_cmphex(c->mode & MODE_FPU_OFF, ==, 0);
    g_assert_cmpint(mov_cr(1, 0), ==, EXC_UD);
    g_assert_cmpint(mov_cr(5, 0), ==, EXC_UD);
    bench_protected(b, 3);
    assert_raised(b, mov_cr(0, 0), EXC_GP, 0);
    assert_raised(b, EXEC(b, 0x0f, 0x20, 0xc0), EXC_GP, 0);
    bench_long(b, 0);
    assert_raised(b, mov_cr(0, c->cr0 | 1ull << 32), EXC_GP, 0);
    assert_raised(b, mov_cr(0, c->cr0 & ~(uint64_t)CR0_PG), EXC_GP, 0); /* in 64-bit code (9.8.5.4) */
}

static void test_lmsw_smsw(void)
{
    bench_protected(b, 0);
    c->regs[X86_RAX] = CR0_TS | CR0_MP;
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xf0), ==, NOTHING);
    g_assert_cmphex(c->cr0, ==, CR0_PE | CR0_MP | CR0_TS | CR0_ET);     /* PE cannot be cleared so */
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xe0), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, c->cr0);
}

/* 9.8.5: long mode needs PAE, and a code segment that is not 64-bit yet. */
static void test_entering_long_mode(void)
{
    bench_protected(b, 0);
    g_assert_true(x86_write_efer(c, EFER_LME));
    g_assert_false(x86_write_cr0(c, CR0_PE | CR0_PG));
    g_assert_true(x86_write_cr4(c, CR4_PAE));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_PG));
    g_assert_cmphex(c->efer, ==, EFER_LME | EFER_LMA);
    g_assert_cmphex(c->mode & (MODE_CODE | MODE_LMA), ==, MODE_CODE32 | MODE_LMA);
    g_assert_false(x86_write_cr4(c, 0));                                /* PAE stays on */
    g_assert_false(x86_write_efer(c, 0));                               /* LME may not change under paging */
    g_assert_true(x86_write_cr0(c, CR0_PE));
    g_assert_cmphex(c->efer, ==, EFER_LME);
    g_assert_cmphex(c->mode & MODE_LMA, ==, 0);
}

static void test_cr4(void)
{
    bench_long(b, 0);
    assert_raised(b, mov_cr(4, c->cr4 | CR4_LA57), EXC_GP, 0);
    assert_raised(b, mov_cr(4, c->cr4 | 1 << 13), EXC_GP, 0);           /* VMXE */
    assert_raised(b, mov_cr(4, c->cr4 | 1ull << 40), EXC_GP, 0);
    g_assert_cmpint(mov_cr(4, c->cr4 | CR4_PCIDE), ==, NOTHING);
    bench_long(b, 0);
    c->cr3 |= 5;
    assert_raised(b, mov_cr(4, c->cr4 | CR4_PCIDE), EXC_GP, 0);         /* CR3 names another PCID */
    bench_protected(b, 0);
    assert_raised(b, mov_cr(4, CR4_PCIDE), EXC_GP, 0);
}

/* 4.4.1: CR3 loads the PDPTEs in PAE paging, and refuses reserved bits. */
static void test_pdptes(void)
{
    bench_protected(b, 0);
    for (unsigned i = 0; i < 4; i++) {
        poke(b, AT_PAGES + i * 8, 0, 8);
    }
    poke(b, AT_PAGES, (AT_PAGES + 0x1000) | 1, 8);
    for (unsigned i = 0; i < 512; i++) {
        poke(b, AT_PAGES + 0x1000 + i * 8, (uint64_t)i << 21 | 0x83, 8);
    }
    g_assert_true(x86_write_cr4(c, CR4_PAE));
    g_assert_true(x86_write_cr3(c, AT_PAGES));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_PG));
    g_assert_cmphex(c->pdpte[0], ==, (AT_PAGES + 0x1000) | 1);
    poke(b, AT_PAGES + 8, 1 | 1 << 5, 8);
    assert_raised(b, mov_cr(3, AT_PAGES), EXC_GP, 0);
    g_assert_cmphex(c->pdpte[1], ==, 0);
    g_assert_cmpint(EXEC(b, 0x0f, 0x20, 0xd8), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, AT_PAGES);
}

/* ---- CR8 and debug registers ---- */

static uint8_t tpr;
static void set_tpr(void *opaque, uint8_t v) { tpr = v; }
static uint8_t get_tpr(void *opaque) { return tpr; }

static void test_cr8(void)
{
    static const IntCtl ctl = { .set_tpr = set_tpr, .get_tpr = get_tpr };

    bench_long(b, 0);
    vcpu_set_intctl(&c->vcpu, &ctl, NULL);
    g_assert_cmpint(mov_cr(8, 9), ==, NOTHING);
    g_assert_cmpint(tpr, ==, 9);
    assert_raised(b, mov_cr(8, 16), EXC_GP, 0);
    tpr = 5;
    g_assert_cmpint(EXEC(b, 0x44, 0x0f, 0x20, 0xc0), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, 5);
}

static int mov_dr(unsigned dr, uint64_t v)
{
    c->regs[X86_RAX] = v;
    return EXEC(b, 0x0f, 0x23, 0xc0 | dr << 3);
}

static void test_debug_registers(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(mov_dr(6, 0), ==, NOTHING);
    g_assert_cmphex(c->dr[6], ==, 0xffff0ff0);
    g_assert_cmpint(mov_dr(4, 0xf), ==, NOTHING);                       /* DR6's other name (17.2.2) */
    g_assert_cmphex(c->dr[6], ==, 0xffff0fff);
    g_assert_cmpint(mov_dr(7, 0), ==, NOTHING);
    g_assert_cmphex(c->dr[7], ==, 0x400);
    g_assert_true(x86_write_cr4(c, CR4_DE));
    g_assert_cmpint(mov_dr(4, 0), ==, EXC_UD);
    g_assert_cmpint(mov_dr(5, 0), ==, EXC_UD);
    g_assert_cmpint(mov_dr(7, 1 << 13), ==, NOTHING);
    g_assert_cmpint(mov_dr(0, 1), ==, EXC_DB);                          /* general detect */
    bench_long(b, 0);
    assert_raised(b, mov_dr(7, 1ull << 32), EXC_GP, 0);
    bench_protected(b, 3);
    assert_raised(b, mov_dr(0, 0), EXC_GP, 0);
}

/* ---- flags and IOPL: volume 2; 20.3.3, 20.4 ---- */

static void test_cli_sti(void)
{
    bench_protected(b, 3);
    x86_set_rflags(c, FL_IF);
    assert_raised(b, EXEC(b, 0xfa), EXC_GP, 0);
    assert_raised(b, EXEC(b, 0xfb), EXC_GP, 0);
    x86_set_rflags(c, FL_IOPL);
    g_assert_cmpint(EXEC(b, 0xfb), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_IOPL | FL_IF | FL_1);
    g_assert_cmpint(EXEC(b, 0xfa), ==, NOTHING);
    /* CR4.PVI: level 3 has a flag of its own */
    g_assert_true(x86_write_cr4(c, CR4_PVI));
    x86_set_rflags(c, FL_IF);
    g_assert_cmpint(EXEC(b, 0xfb), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_IF | FL_VIF | FL_1);
    g_assert_cmpint(EXEC(b, 0xfa), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_IF | FL_1);
    x86_set_rflags(c, FL_VIP);
    assert_raised(b, EXEC(b, 0xfb), EXC_GP, 0);                         /* one waits already */
    bench_vm86(b);
    x86_set_rflags(c, FL_VM);
    assert_raised(b, EXEC(b, 0xfa), EXC_GP, 0);
}

static uint32_t after_popf(unsigned cpl, unsigned iopl, uint32_t before, uint32_t image)
{
    bench_protected(b, cpl);
    x86_set_rflags(c, before | iopl << 12);
    c->regs[X86_RSP] -= 4;
    poke(b, c->regs[X86_RSP], image, 4);
    g_assert_cmpint(EXEC(b, 0x9d), ==, NOTHING);
    return x86_rflags(c);
}

static void test_popf(void)
{
    const uint32_t all = 0xffffffff, user = FL_STATUS | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID | FL_1;

    g_assert_cmphex(after_popf(0, 0, 0, all), ==, user | FL_IF | FL_IOPL);
    g_assert_cmphex(after_popf(3, 3, 0, all), ==, user | FL_IF | FL_IOPL);
    g_assert_cmphex(after_popf(3, 0, 0, all), ==, user);                /* IF and IOPL do not change */
    g_assert_cmphex(after_popf(3, 0, FL_IF, 0), ==, FL_IF | FL_1);
    g_assert_cmphex(after_popf(0, 0, FL_RF | FL_VIF | FL_VIP, 0), ==, FL_VIF | FL_VIP | FL_1);
    bench_protected(b, 0);
    x86_set_rflags(c, FL_AC);
    poke(b, AT_STACK0 - 2, FL_CF, 2);
    c->regs[X86_RSP] -= 2;
    g_assert_cmpint(EXEC(b, 0x66, 0x9d), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_AC | FL_CF | FL_1);
}

static void test_pushf(void)
{
    bench_protected(b, 0);
    x86_set_rflags(c, FL_RF | FL_IF | FL_AC | FL_OF);
    g_assert_cmpint(EXEC(b, 0x9c), ==, NOTHING);
    g_assert_cmphex(peek(b, AT_STACK0 - 4, 4), ==, FL_IF | FL_AC | FL_OF | FL_1);
    bench_vm86(b);
    x86_set_rflags(c, FL_VM | FL_IF);
    assert_raised(b, EXEC(b, 0x9c), EXC_GP, 0);
    g_assert_true(x86_write_cr4(c, CR4_VME));
    g_assert_cmpint(EXEC(b, 0x9c), ==, NOTHING);
    g_assert_cmphex(peek(b, 0x6ffe, 2), ==, FL_IOPL | FL_1);            /* IF shows VIF, IOPL shows 3 */
    assert_raised(b, EXEC(b, 0x66, 0x9c), EXC_GP, 0);                   /* the 32-bit form never works */
}

static void test_popf_vme(void)
{
    bench_vm86(b);
    g_assert_true(x86_write_cr4(c, CR4_VME));
    x86_set_rflags(c, FL_VM | FL_IF);
    poke(b, 0x7000, FL_IF | FL_CF, 2);
    g_assert_cmpint(EXEC(b, 0x9d), ==, NOTHING);
    g_assert_cmphex(x86_rflags(c), ==, FL_VM | FL_IF | FL_VIF | FL_CF | FL_1);
    poke(b, 0x7002, FL_TF, 2);
    assert_raised(b, EXEC(b, 0x9d), EXC_GP, 0);
    x86_set_rflags(c, FL_VM | FL_VIP);
    poke(b, 0x7002, FL_IF, 2);
    assert_raised(b, EXEC(b, 0x9d), EXC_GP, 0);
}

static void test_hlt_and_privilege(void)
{
    bench_protected(b, 0);
    g_assert_cmpint(EXEC(b, 0xf4), ==, NOTHING);
    g_assert_true(c->vcpu.halted);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 1);
    bench_protected(b, 3);
    assert_raised(b, EXEC(b, 0xf4), EXC_GP, 0);
    assert_raised(b, EXEC(b, 0x0f, 0x06), EXC_GP, 0);                   /* CLTS */
    assert_raised(b, EXEC(b, 0x0f, 0x09), EXC_GP, 0);                   /* WBINVD */
    assert_raised(b, EXEC(b, 0x0f, 0x01, 0x38), EXC_GP, 0);             /* INVLPG [EAX] */
    assert_raised(b, EXEC(b, 0x0f, 0x32), EXC_GP, 0);                   /* RDMSR */
    g_assert_cmpint(EXEC(b, 0x0f, 0x0b), ==, EXC_UD);
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xca), ==, EXC_UD);             /* CLAC is #UD, not #GP */
    bench_vm86(b);
    g_assert_cmpint(EXEC(b, 0x0f, 0x00, 0xd0), ==, EXC_UD);             /* LLDT */
}

static void test_umip_and_tsd(void)
{
    bench_protected(b, 3);
    g_assert_cmpint(EXEC(b, 0x0f, 0x00, 0xc0), ==, NOTHING);            /* SLDT EAX */
    g_assert_cmpint(EXEC(b, 0x0f, 0x31), ==, NOTHING);
    g_assert_true(x86_write_cr4(c, CR4_UMIP | CR4_TSD));
    assert_raised(b, EXEC(b, 0x0f, 0x00, 0xc0), EXC_GP, 0);
    assert_raised(b, EXEC(b, 0x0f, 0x01, 0xe0), EXC_GP, 0);             /* SMSW EAX */
    assert_raised(b, EXEC(b, 0x0f, 0x31), EXC_GP, 0);
}

static void test_table_registers(void)
{
    bench_protected(b, 0);
    c->regs[X86_RBX] = AT_DATA;
    poke(b, AT_DATA, 0x1234, 2);
    poke(b, AT_DATA + 2, 0xaabbccdd, 4);
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0x1b), ==, NOTHING);            /* LIDT [EBX] */
    g_assert_cmphex(c->idt.limit, ==, 0x1234);
    g_assert_cmphex(c->idt.base, ==, 0xaabbccdd);
    g_assert_cmpint(EXEC(b, 0x66, 0x0f, 0x01, 0x13), ==, NOTHING);      /* 16-bit LGDT: 24 bits of base */
    g_assert_cmphex(c->gdt.base, ==, 0xbbccdd);
    c->regs[X86_RBX] = AT_DATA + 0x10;
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0x0b), ==, NOTHING);            /* SIDT */
    g_assert_cmphex(peek(b, AT_DATA + 0x10, 2), ==, 0x1234);
    g_assert_cmphex(peek(b, AT_DATA + 0x12, 4), ==, 0xaabbccdd);
    bench_long(b, 0);
    c->regs[X86_RBX] = AT_DATA;
    poke(b, AT_DATA + 2, 0x0100000000000000, 8);
    assert_raised(b, EXEC(b, 0x0f, 0x01, 0x1b), EXC_GP, 0);
    poke(b, AT_DATA + 2, 0xffff800000000000, 8);
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0x1b), ==, NOTHING);
    g_assert_cmphex(c->idt.base, ==, 0xffff800000000000);
}

static void test_fs_gs_base(void)
{
    bench_long(b, 3);
    g_assert_cmpint(EXEC(b, 0xf3, 0x48, 0x0f, 0xae, 0xc0), ==, EXC_UD);     /* RDFSBASE without CR4.FSGSBASE */
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_FSGSBASE));
    c->regs[X86_RAX] = 0x7f1234567890;
    g_assert_cmpint(EXEC(b, 0xf3, 0x48, 0x0f, 0xae, 0xd0), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_FS].base, ==, 0x7f1234567890);
    g_assert_cmpint(EXEC(b, 0xf3, 0x0f, 0xae, 0xc1), ==, NOTHING);          /* RDFSBASE ECX: 32 bits */
    g_assert_cmphex(c->regs[X86_RCX], ==, 0x34567890);
    c->regs[X86_RAX] = 0x100000000000000;
    assert_raised(b, EXEC(b, 0xf3, 0x48, 0x0f, 0xae, 0xd8), EXC_GP, 0);
    assert_raised(b, EXEC(b, 0x0f, 0x01, 0xf8), EXC_GP, 0);                 /* SWAPGS */
    bench_long(b, 0);
    c->kernel_gs_base = 0x1111;
    c->seg[X86_GS].base = 0x2222;
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xf8), ==, NOTHING);
    g_assert_cmphex(c->seg[X86_GS].base, ==, 0x1111);
    g_assert_cmphex(c->kernel_gs_base, ==, 0x2222);
}

/* ---- x87 exceptions with CR0.NE clear: volume 1, 8.7.2 ---- */

static bool ferr_level;

static void see_ferr(void *opaque, bool level)
{
    ferr_level = level;
}

static void test_ferr(void)
{
    bench_protected(b, 0);
    c->fpu.fcw = 0x37f & ~4;                                                /* division by zero is unmasked */
    c->fpu.fsw = 0x8084;
    c->fpu.ftw = 0;
    g_assert_cmpint(EXEC(b, 0x9b), ==, NOTHING);                            /* nothing connected: IGNNE# */
    c->vcpu.ferr = see_ferr;
    ferr_level = false;
    b->rip_before = c->regs[X86_RIP];
    c->exc.vector = NOTHING;
    EXEC(b, 0xd9, 0xe8);                                                    /* FLD1 waits for an interrupt */
    g_assert_true(ferr_level);
    g_assert_true(c->vcpu.halted);
    g_assert_cmphex(c->regs[X86_RIP], ==, b->rip_before);
    g_assert_cmphex(c->fpu.ftw, ==, 0);
    c->vcpu.halted = false;
    atomic_store(&c->vcpu.ignne, true);
    g_assert_cmpint(EXEC(b, 0xd9, 0xe8), ==, NOTHING);                      /* IGNNE#: it goes on */
    g_assert_cmphex(c->fpu.ftw, ==, 0x80);
    atomic_store(&c->vcpu.ignne, false);
    g_assert_cmpint(EXEC(b, 0xdb, 0xe2), ==, NOTHING);                      /* FNCLEX */
    g_assert_false(ferr_level);
    c->fpu.fsw |= 0x8084;
    EXEC(b, 0x0f, 0xef, 0xc0);                                              /* PXOR: MMX waits as well */
    g_assert_true(ferr_level);
    c->vcpu.halted = false;
    c->regs[X86_RBX] = AT_DATA;
    g_assert_cmpint(EXEC(b, 0xd9, 0x33), ==, NOTHING);                      /* FNSTENV masks them all */
    g_assert_false(ferr_level);
    g_assert_cmphex(c->fpu.fsw & 0x80ff, ==, 4);
    /* What FLDENV loads is told of by the next that waits (volume 2, FLDENV), and FNSAVE's FNINIT ends it */
    poke(b, AT_DATA, 0x37b, 2);
    g_assert_cmpint(EXEC(b, 0xd9, 0x23), ==, NOTHING);
    g_assert_cmphex(c->fpu.fsw & 0x80ff, ==, 0x8084);
    g_assert_false(ferr_level);
    EXEC(b, 0x9b);
    g_assert_true(ferr_level);
    c->vcpu.halted = false;
    g_assert_cmpint(EXEC(b, 0xdd, 0x33), ==, NOTHING);                      /* FNSAVE */
    g_assert_false(ferr_level);
    /* FRSTOR the same */
    g_assert_cmpint(EXEC(b, 0xdd, 0x23), ==, NOTHING);
    g_assert_false(ferr_level);
    EXEC(b, 0xd9, 0xe8);
    g_assert_true(ferr_level);
    c->vcpu.halted = false;
    g_assert_true(x86_write_cr0(c, c->cr0 | CR0_NE));
    assert_raised(b, EXEC(b, 0x9b), EXC_MF, 0);
    c->vcpu.ferr = NULL;
    c->ferr = false;
}

/* ---- ports: volume 1, 19.5 ---- */

static void test_in_out(void)
{
    bench_protected(b, 0);
    b->port_value = 0x11223344;
    c->regs[X86_RDX] = 0x300;
    c->regs[X86_RAX] = ~0ull;
    g_assert_cmpint(EXEC(b, 0xec), ==, NOTHING);                        /* IN AL, DX */
    g_assert_cmphex(c->regs[X86_RAX], ==, 0xffffffffffffff44);
    g_assert_cmpint(EXEC(b, 0x66, 0xed), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0xffffffffffff3345);
    g_assert_cmpint(EXEC(b, 0xed), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x11223346);
    g_assert_cmpint(EXEC(b, 0xe4, 0x10), ==, NOTHING);                  /* nothing there */
    g_assert_cmphex(c->regs[X86_RAX] & 0xff, ==, 0xff);
    g_assert_cmpint(EXEC(b, 0xef), ==, NOTHING);
    g_assert_cmphex(b->port_written, ==, 0x112233ff);
}

static void set_bitmap(uint16_t port, uint8_t bits)
{
    poke(b, AT_TSS + 0x66, 0x70, 2);
    poke(b, AT_TSS + 0x70 + port / 8, bits, 1);
    poke(b, AT_TSS + 0x71 + port / 8, 0xfe, 1);
}

static void test_port_rights(void)
{
    bench_protected(b, 3);
    c->regs[X86_RDX] = 0x300;
    set_bitmap(0x300, 0xff);
    assert_raised(b, EXEC(b, 0xec), EXC_GP, 0);
    set_bitmap(0x300, 0xfe);
    g_assert_cmpint(EXEC(b, 0xec), ==, NOTHING);
    assert_raised(b, EXEC(b, 0x66, 0xed), EXC_GP, 0);                   /* the second port is not allowed */
    set_bitmap(0x300, 0xf0);
    g_assert_cmpint(EXEC(b, 0xed), ==, NOTHING);
    c->regs[X86_RDX] = 0x307;
    set_bitmap(0x300, 0x7f);
    g_assert_cmpint(EXEC(b, 0x66, 0xed), ==, NOTHING);                  /* across two bytes of the map */
    c->tr.limit = 0x70 + 0x300 / 8;
    assert_raised(b, EXEC(b, 0xec), EXC_GP, 0);                         /* no byte behind it */
    c->tr.limit = 0x66;
    assert_raised(b, EXEC(b, 0xec), EXC_GP, 0);
    x86_set_rflags(c, FL_IOPL);
    g_assert_cmpint(EXEC(b, 0xec), ==, NOTHING);
    bench_vm86(b);                                                      /* IOPL does not help there */
    c->regs[X86_RDX] = 0x300;
    set_bitmap(0x300, 0xff);
    assert_raised(b, EXEC(b, 0xec), EXC_GP, 0);
}

/* A repeated INS as the run loop sees it: RIP stays until nothing is left. */
static unsigned run_rep(const uint8_t *code, size_t len)
{
    unsigned steps = 0;

    do {
        c->regs[X86_RIP] = AT_CODE;
        g_assert_cmpint(bench_exec(b, code, len), ==, NOTHING);
        steps++;
    } while (c->regs[X86_RIP] == AT_CODE);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + len);
    return steps;
}

static void test_rep_ins(void)
{
    static const uint8_t code[] = { 0xf3, 0x66, 0x6d };

    bench_protected(b, 0);
    c->regs[X86_RDX] = 0x310;
    c->regs[X86_RDI] = AT_DATA + 0xff0;                                 /* crosses a page */
    c->regs[X86_RCX] = 256;
    b->port_value = 0x100;
    unsigned steps = run_rep(code, sizeof(code));
    g_assert_cmpuint(steps, ==, 2);
    g_assert_cmphex(c->regs[X86_RCX], ==, 0);
    g_assert_cmphex(c->regs[X86_RDI], ==, AT_DATA + 0xff0 + 512);
    g_assert_cmpuint(b->port_reads, ==, 256);
    for (unsigned i = 0; i < 256; i++) {
        g_assert_cmphex(peek(b, AT_DATA + 0xff0 + i * 2, 2), ==, 0x100 + i);
    }
    run_rep(code, sizeof(code));                                        /* nothing to do */
    g_assert_cmpuint(b->port_reads, ==, 256);
    /* Downwards */
    x86_set_rflags(c, FL_DF);
    c->regs[X86_RDI] = AT_DATA + 6;
    c->regs[X86_RCX] = 4;
    b->port_value = 1;
    run_rep(code, sizeof(code));
    g_assert_cmphex(peek(b, AT_DATA, 8), ==, 0x0001000200030004);
    g_assert_cmphex(c->regs[X86_RDI], ==, AT_DATA - 2);
}

/* A fault in the middle: what was read is in memory, the registers say so, and no port read is lost. */
static void test_rep_ins_partial(void)
{
    bench_protected(b, 0);
    bench_desc(b, AT_GDT, SEL_FREE, AT_DATA, 7, AR_P | AR_S | AR_RW);
    x86_seg_load(c, X86_ES, SEL_FREE);
    c->regs[X86_RDX] = 0x300;
    c->regs[X86_RDI] = 2;
    c->regs[X86_RCX] = 10;
    int v;
    do {
        v = EXEC(b, 0xf3, 0x66, 0x6d);
    } while (v == NOTHING);
    g_assert_cmpint(v, ==, EXC_GP);
    g_assert_cmphex(c->regs[X86_RCX], ==, 7);
    g_assert_cmphex(c->regs[X86_RDI], ==, 8);
    g_assert_cmpuint(b->port_reads, ==, 3);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
}

/* A 16-bit address size wraps DI, and counts in CX alone. */
static void test_rep_ins_16_bit(void)
{
    static const uint8_t code[] = { 0xf3, 0x6c };

    bench_real(b);
    c->regs[X86_RDX] = 0x300;
    c->regs[X86_RDI] = 0xabcdfffe;
    c->regs[X86_RCX] = 0x12340004;
    b->port_value = 0x40;
    run_rep(code, sizeof(code));
    g_assert_cmphex(c->regs[X86_RDI], ==, 0xabcd0002);
    g_assert_cmphex(c->regs[X86_RCX], ==, 0x12340000);
    g_assert_cmphex(peek(b, 0xfffe, 2), ==, 0x4140);
    g_assert_cmphex(peek(b, 0, 2), ==, 0x4342);
}

static void test_rep_outs(void)
{
    static const uint8_t code[] = { 0xf3, 0x6f };

    bench_protected(b, 0);
    for (unsigned i = 0; i < 4; i++) {
        poke(b, AT_DATA + i * 4, 0x1000 + i, 4);
    }
    c->regs[X86_RDX] = 0x300;
    c->regs[X86_RSI] = AT_DATA;
    c->regs[X86_RCX] = 4;
    run_rep(code, sizeof(code));
    g_assert_cmpuint(b->port_writes, ==, 4);
    g_assert_cmphex(b->port_written, ==, 0x1003);
    g_assert_cmphex(c->regs[X86_RSI], ==, AT_DATA + 16);
}

/* ---- MSRs ---- */

static void test_msr_rules(void)
{
    static const struct { uint32_t msr; uint64_t good, bad; } row[] = {
        { 0x174, 0xffff, 1ull << 32 }, { 0x175, 0xffff800000000000, 0x100000000000000 },
        { 0xc0000082, 0xffffffff81000000, 0x8000000000000000 }, { 0xc0000084, 0x47700, 1ull << 32 },
        { 0xc0000100, 0x7fffffffffff, 0x100000000000000 }, { 0xc0000101, 0, 1ull << 63 },
        { 0xc0000102, ~0ull, 1ull << 62 }, { 0xc0000103, 7, 1ull << 32 },
        { 0x277, 0x0007040600070106, 0x0000000000000002 }, { 0x2ff, 0xc06, 0x300 },
        { 0x200, 0x80000006, 0x80000003 }, { 0x201, 0x3fff80000800, 0x3fff80000001 }, { 0x250, 0x0606060606060606, 2 },
        { 0x26f, 0x0505050505050505, 0x0700000000000000 }, { 0x48, 1, 8 },
    };
    uint64_t v;

    bench_long(b, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
        g_test_message("MSR %x %s", row[i].msr, x86_msr_name(row[i].msr));
        g_assert_true(x86_msr_write(c, row[i].msr, row[i].good));
        g_assert_false(x86_msr_write(c, row[i].msr, row[i].bad));
        g_assert_true(x86_msr_read(c, row[i].msr, &v));
        g_assert_cmphex(v, ==, row[i].good);
    }
    g_assert_false(x86_msr_read(c, 0x12345, &v));
    g_assert_false(x86_msr_write(c, 0x12345, 0));
    g_assert_false(x86_msr_write(c, 0xfe, 0));                          /* MTRRCAP is read-only */
    g_assert_false(x86_msr_read(c, 0x49, &v));                          /* PRED_CMD is write-only */
    g_assert_false(x86_msr_write(c, 0xc0000080, 1 << 1));               /* EFER, reserved */
    g_assert_true(x86_msr_write(c, 0xc0000080, EFER_LME | EFER_NXE));   /* LMA is ignored */
    g_assert_cmphex(c->efer, ==, EFER_LME | EFER_LMA | EFER_NXE);
}

static void test_rdmsr_wrmsr(void)
{
    bench_protected(b, 0);
    c->regs[X86_RCX] = 0x277;
    c->regs[X86_RAX] = 0xffffffff00000605;
    c->regs[X86_RDX] = 0xffffffff00000104;
    g_assert_cmpint(EXEC(b, 0x0f, 0x30), ==, NOTHING);
    g_assert_cmphex(c->pat, ==, 0x0000010400000605);
    g_assert_cmpint(EXEC(b, 0x0f, 0x32), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x605);
    g_assert_cmphex(c->regs[X86_RDX], ==, 0x104);
    c->regs[X86_RCX] = 0xdeadbeef;
    assert_raised(b, EXEC(b, 0x0f, 0x32), EXC_GP, 0);
}

/* 17.17.3: TSC and TSC_ADJUST move each other. */
static void test_tsc(void)
{
    uint64_t v;

    bench_protected(b, 0);
    machine_lock(b->m);
    clock_step(b->m->clock, NS_PER_MS);
    machine_unlock(b->m);
    uint64_t start = vcpu_tsc(&c->vcpu);
    g_assert_cmpuint(start, ==, VCPU_TSC_KHZ);
    g_assert_true(x86_msr_write(c, 0x10, 5000));
    g_assert_cmpuint(vcpu_tsc(&c->vcpu), ==, 5000);
    g_assert_true(x86_msr_read(c, 0x3b, &v));
    g_assert_cmpuint(v, ==, 5000 - start);
    g_assert_true(x86_msr_write(c, 0x3b, 0));
    g_assert_cmpuint(vcpu_tsc(&c->vcpu), ==, start);
    g_assert_cmpint(EXEC(b, 0x0f, 0x31), ==, NOTHING);
    g_assert_cmpuint(c->regs[X86_RAX] | c->regs[X86_RDX] << 32, ==, start);
    c->tsc_aux = 0x42;
    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xf9), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RCX], ==, 0x42);
}

/* 15.3: banks that stay empty; what is 0 only takes 0. */
static void test_machine_check_msrs(void)
{
    uint64_t v;

    g_assert_true(x86_msr_read(c, 0x179, &v));
    g_assert_cmphex(v, ==, X86_MC_BANKS | 1 << 8);
    g_assert_true(x86_msr_write(c, 0x17b, ~0ull));
    g_assert_false(x86_msr_write(c, 0x17a, 1 << 3));
    for (unsigned i = 0; i < X86_MC_BANKS; i++) {
        g_assert_true(x86_msr_write(c, 0x400 + 4 * i, ~0ull));
        g_assert_true(x86_msr_read(c, 0x400 + 4 * i, &v));
        g_assert_cmphex(v, ==, ~0ull);
        for (unsigned k = 1; k < 4; k++) {
            g_assert_true(x86_msr_write(c, 0x400 + 4 * i + k, 0));
            g_assert_false(x86_msr_write(c, 0x400 + 4 * i + k, 1));
            g_assert_true(x86_msr_read(c, 0x400 + 4 * i + k, &v));
            g_assert_cmphex(v, ==, 0);
        }
    }
    g_assert_false(x86_msr_read(c, 0x400 + 4 * X86_MC_BANKS, &v));
}

static uint32_t cpuid_reg(X86Cpu *cpu, uint32_t leaf, unsigned reg)
{
    uint32_t out[4];

    x86_cpuid(cpu, leaf, 0, out);
    return out[reg];
}

/* IA32_MISC_ENABLE takes features away (volume 4, table 2-2). */
static void test_misc_enable(void)
{
    uint64_t v;

    bench_protected(b, 0);
    g_assert_true(x86_msr_read(c, 0x1a0, &v));
    g_assert_cmphex(v, ==, 0x1801);
    g_assert_false(x86_msr_write(c, 0x1a0, v | 1 << 18));               /* no MONITOR to switch on */
    g_assert_false(x86_msr_write(c, 0x1a0, v | 1ull << 35));
    g_assert_true(x86_msr_write(c, 0x1a0, 0));
    g_assert_cmphex(c->misc_enable, ==, 0x1800);                        /* what says "there is no ..." stays */
    g_assert_cmphex(cpuid_reg(c, 0, 0), >, 2);
    g_assert_true(x86_msr_write(c, 0x1a0, 1 << 22));
    g_assert_cmphex(cpuid_reg(c, 0, 0), ==, 2);
    g_assert_true(x86_msr_write(c, 0x1a0, 1ull << 34));
    g_assert_cmphex(cpuid_reg(c, 0x80000001, 3) & 1 << 20, ==, 0);
    g_assert_false(x86_write_efer(c, EFER_NXE));
    g_assert_true(x86_msr_write(c, 0x1a0, 0));
    g_assert_true(x86_write_efer(c, EFER_NXE));
    x86_reset(c);
}

static void monitor(Bench *p, uint32_t address)
{
    p->c->regs[X86_RAX] = address;
    p->c->regs[X86_RCX] = p->c->regs[X86_RDX] = 0;
    g_assert_cmpint(EXEC(p, 0x0f, 0x01, 0xc8), ==, NOTHING);
}

static void mwait(Bench *p, uint32_t extensions)
{
    p->c->regs[X86_RAX] = 0;
    p->c->regs[X86_RCX] = extensions;
    g_assert_cmpint(EXEC(p, 0x0f, 0x01, 0xc9), ==, NOTHING);
}

/* Volume 3A 8.10: MWAIT sleeps until the line changes or an interrupt comes, and only once for a MONITOR. */
static void test_monitor_and_mwait(void)
{
    Bench *p = bench_new("max,+monitor");
    X86Cpu *q = p->c;

    g_assert_cmpint(EXEC(b, 0x0f, 0x01, 0xc8), ==, EXC_UD);             /* `max` alone has it not */
    bench_protected(p, 0);
    g_assert_cmphex(cpuid_reg(q, 1, 2) & 1 << 3, !=, 0);
    g_assert_cmpuint(cpuid_reg(q, 5, 0), ==, 64);
    mwait(p, 0);                                                        /* nothing is monitored */
    g_assert_false(q->vcpu.halted);
    monitor(p, AT_DATA + 5);
    mwait(p, 0);
    g_assert_true(q->vcpu.halted && x86_in_mwait(q));
    g_assert_false(x86_mwait_over(q));
    poke(p, AT_DATA + 64, 1, 1);                                        /* the next line */
    g_assert_false(x86_mwait_over(q));
    poke(p, AT_DATA + 63, 1, 1);
    g_assert_true(x86_mwait_over(q));
    g_assert_false(q->vcpu.halted);
    mwait(p, 0);
    g_assert_false(q->vcpu.halted);
    monitor(p, AT_DATA);
    poke(p, AT_DATA, 7, 1);
    mwait(p, 0);                                                        /* it changed in between */
    g_assert_false(q->vcpu.halted);
    vcpu_raise(&q->vcpu, VCPU_INTR);                                    /* IF is clear */
    monitor(p, AT_DATA);
    mwait(p, 0);
    g_assert_false(x86_mwait_over(q) || x86_interrupt_due(q));
    q->vcpu.halted = false;
    monitor(p, AT_DATA);
    mwait(p, 1);
    g_assert_true(x86_mwait_over(q));
    vcpu_lower(&q->vcpu, VCPU_INTR);
    monitor(p, 0xf0000000);                                             /* no RAM: not armed */
    mwait(p, 0);
    g_assert_false(q->vcpu.halted);
    q->regs[X86_RCX] = 1;
    assert_raised(p, EXEC(p, 0x0f, 0x01, 0xc8), EXC_GP, 0);
    q->regs[X86_RCX] = 2;
    assert_raised(p, EXEC(p, 0x0f, 0x01, 0xc9), EXC_GP, 0);
    g_assert_true(x86_msr_write(q, 0x1a0, 1));
    g_assert_cmphex(cpuid_reg(q, 1, 2) & 1 << 3, ==, 0);
    g_assert_cmpint(EXEC(p, 0x0f, 0x01, 0xc8), ==, EXC_UD);
    bench_protected(p, 3);
    g_assert_cmpint(EXEC(p, 0x0f, 0x01, 0xc9), ==, EXC_UD);
    bench_free(p);
}

static void test_reset_values(void)
{
    x86_reset(c);
    g_assert_cmphex(c->seg[X86_CS].base + c->regs[X86_RIP], ==, 0xfffffff0);
    g_assert_cmphex(c->cr0, ==, 0x60000010);
    g_assert_cmphex(x86_rflags(c), ==, 2);
    g_assert_cmphex(c->dr[6], ==, 0xffff0ff0);
    g_assert_cmphex(c->dr[7], ==, 0x400);
    g_assert_cmphex(c->fpu.mxcsr, ==, 0x1f80);
    g_assert_cmphex(c->fpu.fcw, ==, 0x40);
    g_assert_cmphex(c->regs[X86_RDX], ==, x86_signature(c));
    g_assert_cmphex(c->pat, ==, 0x0007040600070406);
    g_assert_cmphex(c->idt.limit, ==, 0xffff);
}

#define ALL_TESTS(X) \
    X(cr0) X(lmsw_smsw) X(entering_long_mode) X(cr4) X(pdptes) X(cr8) X(debug_registers) X(cli_sti) \
    X(popf) X(pushf) X(popf_vme) X(hlt_and_privilege) X(umip_and_tsd) X(table_registers) X(fs_gs_base) \
    X(ferr) X(in_out) X(port_rights) X(rep_ins) X(rep_ins_partial) X(rep_ins_16_bit) X(rep_outs) \
    X(msr_rules) X(rdmsr_wrmsr) X(tsc) X(machine_check_msrs) X(misc_enable) X(monitor_and_mwait) \
    X(reset_values)
ALL_TESTS(BENCH_TEST)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/x86/system/" #name, run_##name);
    ALL_TESTS(ADD)
    return g_test_run();
}
