/*
 * FXSAVE outside 64-bit mode and the XSAVE family: what lies where, what is kept, what faults.
 */
#include <glib.h>
#include <string.h>
#include "fake_cpu.h"
#include "gen/x86-exec.h"
#include "native.h"
#include "target/x86/xstate.h"
#include "util/bits.h"

static uint8_t *area;                   /* 64-byte aligned */

static int run(X86ExecFn *fn, unsigned bits, uint8_t reg, unsigned offset)
{
    X86Insn in;
    uint8_t code[] = { 0x0f, fn == exec_xsavec || fn == exec_xrstors ? 0xc7 : 0xae, 0x43 | reg << 3, offset };

    g_assert_cmpint(x86_decode(&in, code, sizeof(code), bits), ==, (int)sizeof(code));
    cpu->regs[X86_RBX] = (uintptr_t)area;
    return fake_cpu_run(&in, fn);
}

static int fxsave(unsigned bits) { return run(exec_fxsave, bits, 0, 0); }
static int fxrstor(unsigned bits) { return run(exec_fxrstor, bits, 1, 0); }
static int xsave(void) { return run(exec_xsave, 64, 4, 0); }
static int xsavec(void) { return run(exec_xsavec, 64, 4, 0); }
static int xrstor(void) { return run(exec_xrstor, 64, 5, 0); }

static void set_up(unsigned bits, uint64_t xcr0, uint32_t mask)
{
    random_cpu(bits);
    cpu->cr4 |= CR4_OSXSAVE;
    cpu->xcr0 = xcr0;
    cpu->regs[X86_RAX] = mask;
    cpu->regs[X86_RDX] = 0;
    area = native_memory();
    memset(area, 0xee, 1024);
    memset(area + 512, 0, 64);
}

static void test_fxsave_32(void)
{
    set_up(32, 1, 0);
    cpu->fpu.fip = 0x12345678;
    cpu->fpu.fcs = 0x23;
    cpu->fpu.fdp = 0x9abcdef0;
    cpu->fpu.fds = 0x2b;
    X86Fpu was = cpu->fpu;
    g_assert_cmpint(fxsave(32), ==, -1);
    g_assert_cmphex(ld32le(area + 8), ==, 0x12345678);
    g_assert_cmphex(ld16le(area + 12), ==, 0x23);
    g_assert_cmphex(ld32le(area + 16), ==, 0x9abcdef0);
    g_assert_cmphex(ld16le(area + 20), ==, 0x2b);
    g_assert_cmpmem(area + 160 + 7 * 16, 16, was.v[7].q, 16);
    g_assert_cmphex(area[160 + 8 * 16], ==, 0xee);      /* XMM8 and up do not exist */
    random_cpu(32);
    X86Vector eighth = cpu->fpu.v[8];
    g_assert_cmpint(fxrstor(32), ==, -1);
    g_assert_cmpmem(cpu->fpu.st, sizeof(was.st), was.st, sizeof(was.st));
    g_assert_cmphex(cpu->fpu.fsw, ==, was.fsw);
    g_assert_cmphex(cpu->fpu.fip, ==, was.fip);
    g_assert_cmphex(cpu->fpu.fds, ==, was.fds);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmpmem(cpu->fpu.v[i].q, 16, was.v[i].q, 16);
    }
    g_assert_cmpmem(&cpu->fpu.v[8], 16, &eighth, 16);
}

static void test_fxrstor_refuses_mxcsr(void)
{
    set_up(64, 1, 0);
    g_assert_cmpint(fxsave(64), ==, -1);
    area[26] = 1;
    X86Fpu was = cpu->fpu;
    g_assert_cmpint(fxrstor(64), ==, EXC_GP);
    g_assert_cmpmem(&cpu->fpu, sizeof(was), &was, sizeof(was));
}

static void test_alignment(void)
{
    set_up(64, 3, 3);
    g_assert_cmpint(run(exec_fxsave, 64, 0, 8), ==, EXC_GP);
    g_assert_cmpint(run(exec_xsave, 64, 4, 16), ==, EXC_GP);
    g_assert_cmpint(run(exec_xsave, 64, 4, 64), ==, -1);
}

static void test_needs_osxsave(void)
{
    set_up(64, 3, 3);
    cpu->cr4 &= ~CR4_OSXSAVE;
    g_assert_cmpint(xsave(), ==, EXC_UD);
    cpu->cr4 |= CR4_OSXSAVE;
    cpu->cr0 |= CR0_TS;
    g_assert_cmpint(xsave(), ==, EXC_NM);
}

static void test_saves_what_is_asked_for(void)
{
    set_up(64, 7, 2);
    st64le(area + 512, 4);              /* the AVX state of before stays */
    g_assert_cmpint(xsave(), ==, -1);
    g_assert_cmphex(area[0], ==, 0xee);
    g_assert_cmphex(ld32le(area + 24), ==, cpu->fpu.mxcsr);
    g_assert_cmpmem(area + 160, 16, cpu->fpu.v[0].q, 16);
    g_assert_cmphex(area[576], ==, 0xee);
    g_assert_cmphex(ld64le(area + 512), ==, 6);
    g_assert_cmphex(ld64le(area + 520), ==, 0);
}

static void test_restores_or_initialises(void)
{
    set_up(64, 7, 7);
    for (unsigned i = 0; i < 16; i++) {
        cpu->fpu.v[i].q[2] = random64();
        cpu->fpu.v[i].q[3] = random64();
    }
    g_assert_cmpint(xsave(), ==, -1);
    X86Fpu was = cpu->fpu;
    g_assert_cmpmem(area + 576 + 16, 16, was.v[1].q + 2, 16);
    random_cpu(64);
    cpu->cr4 |= CR4_OSXSAVE;
    cpu->regs[X86_RAX] = 7;
    cpu->regs[X86_RDX] = 0;
    X86Fpu other = cpu->fpu;
    g_assert_cmpint(xrstor(), ==, -1);
    for (unsigned i = 0; i < 16; i++) { /* and what is not in XCR0 stays */
        g_assert_cmpmem(cpu->fpu.v[i].q, 32, was.v[i].q, 32);
        g_assert_cmpmem(cpu->fpu.v[i].q + 4, 32, other.v[i].q + 4, 32);
    }
    g_assert_cmpmem(cpu->fpu.v + 16, 16 * sizeof(X86Vector), other.v + 16, 16 * sizeof(X86Vector));
    g_assert_cmpmem(cpu->fpu.k, sizeof(other.k), other.k, sizeof(other.k));
    g_assert_cmpmem(cpu->fpu.st, sizeof(was.st), was.st, sizeof(was.st));
    g_assert_cmphex(cpu->fpu.mxcsr, ==, was.mxcsr);
    st64le(area + 512, 1);              /* only x87 is there: SSE and AVX become initial */
    g_assert_cmpint(xrstor(), ==, -1);
    g_assert_cmphex(cpu->fpu.v[3].q[0] | cpu->fpu.v[3].q[1] | cpu->fpu.v[3].q[2] | cpu->fpu.v[3].q[3], ==, 0);
    g_assert_cmphex(cpu->fpu.fcw, ==, was.fcw);
    g_assert_cmphex(cpu->fpu.mxcsr, ==, was.mxcsr);     /* the standard form loads it all the same */
    st64le(area + 512, 0);
    g_assert_cmpint(xrstor(), ==, -1);
    g_assert_cmphex(cpu->fpu.fcw, ==, 0x37f);
}

static void test_compacted(void)
{
    set_up(64, 7, 5);                   /* AVX right behind the header */
    cpu->fpu.v[2].q[2] = 0x1122334455667788;
    g_assert_cmpint(xsavec(), ==, -1);
    g_assert_cmphex(ld64le(area + 512), ==, 5);
    g_assert_cmphex(ld64le(area + 520), ==, 1ull << 63 | 5);
    g_assert_cmphex(ld64le(area + 576 + 32), ==, 0x1122334455667788);
    cpu->fpu.v[2].q[2] = 0;
    cpu->regs[X86_RAX] = 5;
    g_assert_cmpint(xrstor(), ==, -1);
    g_assert_cmphex(cpu->fpu.v[2].q[2], ==, 0x1122334455667788);
}

/* 13.6: what is as after a reset is not in use; XSAVEC and XSAVEOPT leave its bytes. */
static void test_initial_state_is_not_saved(void)
{
    set_up(64, 7, 7);
    for (unsigned i = 0; i < 16; i++) {
        memset(cpu->fpu.v[i].q + 2, 0, sizeof(X86Vector) - 16);
    }
    g_assert_cmphex(x86_xinuse(cpu) & 7, ==, 3);
    g_assert_cmpint(xsavec(), ==, -1);
    g_assert_cmphex(ld64le(area + 512), ==, 3);
    g_assert_cmphex(ld64le(area + 520), ==, 1ull << 63 | 7);
    g_assert_cmphex(area[576], ==, 0xee);
    st64le(area + 520, 0);
    g_assert_cmpint(run(exec_xsaveopt, 64, 6, 0), ==, -1);
    g_assert_cmphex(ld64le(area + 512), ==, 3);
    g_assert_cmphex(area[576], ==, 0xee);
    g_assert_cmpint(xsave(), ==, -1);
    g_assert_cmphex(ld64le(area + 512), ==, 3);
    g_assert_cmphex(area[576], ==, 0);                  /* XSAVE writes it, and says that it is initial */
    memset(cpu->fpu.v, 0, sizeof(cpu->fpu.v));
    cpu->fpu.mxcsr = 0x1f80;
    cpu->fpu.v[3].q[3] = 1;
    g_assert_cmphex(x86_xinuse(cpu) & 7, ==, 5);
    cpu->fpu.mxcsr = 0x1f81;
    g_assert_cmpint(xsavec(), ==, -1);
    g_assert_cmphex(ld64le(area + 512), ==, 7);         /* for MXCSR's sake */
}

/* Where volume 1, 13.5 puts AVX-512's three and PKRU. */
static void test_avx512_layout(void)
{
    set_up(64, 0x2e7, 0x2e7);
    area = native_memory();
    memset(area, 0xee, 2752);
    memset(area + 512, 0, 64);
    cpu->fpu.k[7] = 0x1122334455667788;
    cpu->fpu.v[2].q[4] = 0x2233445566778899;
    cpu->fpu.v[31].q[7] = 0x33445566778899aa;
    cpu->pkru = 0x55aa55aa;
    X86Fpu was = cpu->fpu;
    g_assert_cmpint(xsave(), ==, -1);
    g_assert_cmphex(ld64le(area + 1088 + 56), ==, 0x1122334455667788);
    g_assert_cmphex(ld64le(area + 1152 + 64), ==, 0x2233445566778899);
    g_assert_cmphex(ld64le(area + 1664 + 15 * 64 + 56), ==, 0x33445566778899aa);
    g_assert_cmphex(ld64le(area + 2688), ==, 0x55aa55aa);
    memset(&cpu->fpu, 0, sizeof(cpu->fpu));
    cpu->pkru = 0;
    g_assert_cmpint(xrstor(), ==, -1);
    g_assert_cmpmem(cpu->fpu.v, sizeof(was.v), was.v, sizeof(was.v));
    g_assert_cmpmem(cpu->fpu.k, sizeof(was.k), was.k, sizeof(was.k));
    g_assert_cmphex(cpu->pkru, ==, 0x55aa55aa);
}

/* Of 32-bit code: ZMM16 and up, and the upper registers of each component, are not there (13.5.2). */
static void test_avx_of_32_bit_code(void)
{
    set_up(32, 0xe7, 0xe6);
    memset(area, 0xee, 2752);
    memset(area + 512, 0, 64);
    g_assert_cmpint(run(exec_xsave, 32, 4, 0), ==, -1);
    g_assert_cmpmem(area + 576 + 7 * 16, 16, cpu->fpu.v[7].q + 2, 16);
    g_assert_cmphex(area[576 + 8 * 16], ==, 0xee);
    g_assert_cmphex(area[1664], ==, 0xee);
}

static void test_refuses_bad_headers(void)
{
    static const struct { unsigned at; uint64_t value; } bad[] = {
        { 512, 8 },                             /* a component that XCR0 has not */
        { 520, 1 },                             /* XCOMP_BV without bit 63 */
        { 520, 1ull << 63 | 8 }, { 528, 1 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        set_up(64, 3, 3);
        g_assert_cmpint(xsave(), ==, -1);
        st64le(area + bad[i].at, bad[i].value);
        X86Fpu was = cpu->fpu;
        g_assert_cmpint(xrstor(), ==, EXC_GP);
        g_assert_cmpmem(&cpu->fpu, sizeof(was), &was, sizeof(was));
    }
    set_up(64, 3, 3);
    g_assert_cmpint(xsave(), ==, -1);
    g_assert_cmpint(run(exec_xrstors, 64, 3, 0), ==, EXC_GP);    /* wants the compacted form */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fake_cpu_new();
    g_test_add_func("/insn/xsave/fxsave-32", test_fxsave_32);
    g_test_add_func("/insn/xsave/fxrstor-refuses-mxcsr", test_fxrstor_refuses_mxcsr);
    g_test_add_func("/insn/xsave/alignment", test_alignment);
    g_test_add_func("/insn/xsave/needs-osxsave", test_needs_osxsave);
    g_test_add_func("/insn/xsave/saves-what-is-asked-for", test_saves_what_is_asked_for);
    g_test_add_func("/insn/xsave/restores-or-initialises", test_restores_or_initialises);
    g_test_add_func("/insn/xsave/compacted", test_compacted);
    g_test_add_func("/insn/xsave/initial-state-is-not-saved", test_initial_state_is_not_saved);
    g_test_add_func("/insn/xsave/avx512-layout", test_avx512_layout);
    g_test_add_func("/insn/xsave/avx-of-32-bit-code", test_avx_of_32_bit_code);
    g_test_add_func("/insn/xsave/refuses-bad-headers", test_refuses_bad_headers);
    int rc = g_test_run();
    fake_cpu_free();
    return rc;
}
