/*
 * What gathers and masked moves owe when some of their elements fault, and what opmask instructions
 * compute, and direct stores: things that hostrun_test cannot ask of the processor it runs on.
 */
#include <glib.h>
#include <string.h>
#include "fake_cpu.h"
#include "gen/x86-exec.h"
#include "native.h"
#include "target/x86/alu.h"

static int run(X86ExecFn *fn, const uint8_t *bytes, size_t n)
{
    X86Insn in;

    g_assert_cmpint(x86_decode(&in, bytes, n, 64), ==, (int)n);
    return fake_cpu_run(&in, fn);
}
#define RUN(fn, ...) run(fn, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static uint32_t lane(unsigned reg, unsigned i) { return cpu->fpu.v[reg].q[i / 2] >> 32 * (i & 1); }

static void set_lane(unsigned reg, unsigned i, uint32_t v)
{
    unsigned shift = 32 * (i & 1);

    cpu->fpu.v[reg].q[i / 2] = (cpu->fpu.v[reg].q[i / 2] & ~(0xffffffffull << shift)) | (uint64_t)v << shift;
}

static void set_up(void)
{
    random_cpu(64);
    cpu->mode |= MODE_AVX512_ON;
    for (unsigned i = 0; i < NATIVE_MEMORY / 4; i++) {
        memcpy(native_memory() + 4 * i, &i, 4);
    }
    cpu->regs[X86_RAX] = (uintptr_t)native_memory();
    fake_fault_from = 0;
}

/* VPGATHERDD: elements before the fault are there, and struck from the mask; the rest is as it was. */
static void test_gather_partial_progress(void)
{
    set_up();
    for (unsigned i = 0; i < 8; i++) {
        set_lane(2, i, 10 * i);                         /* index */
        set_lane(3, i, i == 1 ? 0 : 0x80000000);        /* mask: all but the second */
        set_lane(1, i, 0xaa00 + i);
    }
    fake_fault_from = (uintptr_t)native_memory() + 4 * 40;              /* the fifth */
    g_assert_cmpint(RUN(exec_vpgatherdd, 0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x90), ==, EXC_PF);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(lane(1, i), ==, i < 4 && i != 1 ? 10 * i : 0xaa00 + i);
        g_assert_cmphex(lane(3, i), ==, i < 4 ? 0 : 0x80000000);
    }
    fake_fault_from = 0;                                /* and it goes on from there */
    g_assert_cmpint(RUN(exec_vpgatherdd, 0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x90), ==, -1);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(lane(1, i), ==, i == 1 ? 0xaa01 : 10 * i);
        g_assert_cmphex(lane(3, i), ==, 0);
    }
    g_assert_cmphex(cpu->fpu.v[1].q[4] | cpu->fpu.v[3].q[4], ==, 0);
}

/* VMASKMOVPS: masked elements do not fault; a store that faults leaves no byte behind. */
static void test_masked_move_faults(void)
{
    set_up();
    fake_fault_from = (uintptr_t)native_memory() + 16;
    for (unsigned i = 0; i < 8; i++) {
        set_lane(2, i, i < 3 ? 0x80000000 : 0x7fffffff);
        set_lane(3, i, 0xbb00 + i);
    }
    g_assert_cmpint(RUN(exec_vmaskmovps, 0xc4, 0xe2, 0x6d, 0x2c, 0x08), ==, -1);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(lane(1, i), ==, i < 3 ? i : 0);
    }
    g_assert_cmpint(RUN(exec_vmaskmovps, 0xc4, 0xe2, 0x6d, 0x2e, 0x18), ==, -1);
    g_assert_cmphex(native_memory()[8], ==, 0x02);
    g_assert_cmphex(native_memory()[9], ==, 0xbb);
    g_assert_cmphex(native_memory()[12], ==, 3);
    set_lane(2, 7, 0x80000000);
    set_lane(3, 0, 0xcccc);
    g_assert_cmpint(RUN(exec_vmaskmovps, 0xc4, 0xe2, 0x6d, 0x2e, 0x18), ==, EXC_PF);
    g_assert_cmphex(native_memory()[1], ==, 0xbb);
    set_lane(1, 0, 0x1234);
    g_assert_cmpint(RUN(exec_vmaskmovps, 0xc4, 0xe2, 0x6d, 0x2c, 0x08), ==, EXC_PF);
    g_assert_cmphex(lane(1, 0), ==, 0x1234);
    fake_fault_from = 0;
}

static void test_opmasks(void)
{
    set_up();
    cpu->fpu.k[1] = 0x00ff00ff12345678;
    cpu->fpu.k[2] = 0xf0f0f0f0f0f0aaaa;
    g_assert_cmpint(RUN(exec_kand, 0xc5, 0xf4, 0x41, 0xda), ==, -1);            /* kandw k3, k1, k2 */
    g_assert_cmphex(cpu->fpu.k[3], ==, 0x5678 & 0xaaaa);
    g_assert_cmpint(RUN(exec_kandn, 0xc4, 0xe1, 0xf4, 0x42, 0xda), ==, -1);     /* kandnq */
    g_assert_cmphex(cpu->fpu.k[3], ==, ~0x00ff00ff12345678 & 0xf0f0f0f0f0f0aaaa);
    g_assert_cmpint(RUN(exec_kunpck, 0xc5, 0xf5, 0x4b, 0xda), ==, -1);          /* kunpckbw */
    g_assert_cmphex(cpu->fpu.k[3], ==, 0x78aa);
    g_assert_cmpint(RUN(exec_kshiftr, 0xc4, 0xe3, 0xf9, 0x30, 0xd9, 4), ==, -1);        /* kshiftrw k3, k1, 4 */
    g_assert_cmphex(cpu->fpu.k[3], ==, 0x567);
    g_assert_cmpint(RUN(exec_kshiftl, 0xc4, 0xe3, 0xf9, 0x32, 0xd9, 16), ==, -1);
    g_assert_cmphex(cpu->fpu.k[3], ==, 0);
    g_assert_cmpint(RUN(exec_kmov, 0xc5, 0xfb, 0x92, 0xd9), ==, -1);            /* kmovd k3, ecx */
    g_assert_cmphex(cpu->fpu.k[3], ==, (uint32_t)cpu->regs[X86_RCX]);
    g_assert_cmpint(RUN(exec_kmov, 0xc5, 0xf8, 0x93, 0xc9), ==, -1);            /* kmovw ecx, k1 */
    g_assert_cmphex(cpu->regs[X86_RCX], ==, 0x5678);
    g_assert_cmpint(RUN(exec_kmov, 0xc4, 0xe1, 0xf8, 0x91, 0x08), ==, -1);      /* kmovq [rax], k1 */
    g_assert_cmpmem(native_memory(), 8, &cpu->fpu.k[1], 8);
    cpu->fpu.k[3] = 0xffffffffffff0000;
    cpu->fpu.k[4] = 0;
    g_assert_cmpint(RUN(exec_kortest, 0xc5, 0xf8, 0x98, 0xdc), ==, -1);         /* kortestw k3, k4: ZF */
    g_assert_cmphex(cc_to_flags(cpu->cc), ==, FL_ZF);
    cpu->fpu.k[4] = 0xffff;
    g_assert_cmpint(RUN(exec_kortest, 0xc4, 0xe1, 0xf8, 0x98, 0xdc), ==, -1);   /* kortestq: CF */
    g_assert_cmphex(cc_to_flags(cpu->cc), ==, FL_CF);
    cpu->mode &= ~MODE_AVX512_ON;
    g_assert_cmpint(RUN(exec_kand, 0xc5, 0xf4, 0x41, 0xda), ==, EXC_UD);
}

/* MOVDIR64B: a whole line to ES:reg, which must be aligned. */
static void test_direct_stores(void)
{
    set_up();
    memset(native_memory() + 1024, 0xee, 128);
    cpu->regs[X86_RCX] = (uintptr_t)native_memory() + 1024;
    g_assert_cmpint(RUN(exec_movdir64b, 0x66, 0x0f, 0x38, 0xf8, 0x48, 4), ==, -1);      /* rcx, [rax+4] */
    g_assert_cmpmem(native_memory() + 1024, 64, native_memory() + 4, 64);
    g_assert_cmphex(native_memory()[1024 + 64], ==, 0xee);
    cpu->regs[X86_RCX] += 8;
    g_assert_cmpint(RUN(exec_movdir64b, 0x66, 0x0f, 0x38, 0xf8, 0x48, 4), ==, EXC_GP);
    cpu->regs[X86_RDX] = 0x1122334455667788;
    g_assert_cmpint(RUN(exec_movdiri, 0x48, 0x0f, 0x38, 0xf9, 0x10), ==, -1);           /* [rax], rdx */
    g_assert_cmpmem(native_memory(), 8, &cpu->regs[X86_RDX], 8);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fake_cpu_new();
    g_test_add_func("/insn/vex/gather-partial-progress", test_gather_partial_progress);
    g_test_add_func("/insn/vex/masked-move-faults", test_masked_move_faults);
    g_test_add_func("/insn/vex/opmasks", test_opmasks);
    g_test_add_func("/insn/vex/direct-stores", test_direct_stores);
    int rc = g_test_run();
    fake_cpu_free();
    return rc;
}
