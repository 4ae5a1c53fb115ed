/*
 * Memory operands under an opmask, and SIMD exceptions of EVEX rows: which rule holds was found out on
 * silicon, where the manual's exception classes (SDM volume 2, 2.8) say it in passing or not at all.
 *
 * The host's own instructions run, so that all of it is skipped where it has no AVX-512.
 */
#include <glib.h>
#include <immintrin.h>
#include <string.h>
#include "fake_cpu.h"
#include "gen/x86-exec.h"
#include "native.h"
#include "util/bits.h"

enum { MASK = 5, AT = 1024, ALL_MASKED = 0x1f80, DAZ = 1 << 6, UNMASKED_UE = 1 << 11, FTZ = 1 << 15 };

static uint8_t *mem;                    /* where RBX points to */

/* With this opmask; memory from `from` on faults. */
static int run(uint64_t mask, unsigned from, const uint8_t *bytes, size_t n)
{
    X86Insn in;

    g_assert_cmpint(x86_decode(&in, bytes, n, 64), ==, (int)n);
    cpu->fpu.k[MASK] = mask;
    fake_fault_from = (uintptr_t)mem + from;
    int vector = fake_cpu_run(&in, exec_host_vex);
    fake_fault_from = 0;
    return vector;
}
#define RUN(mask, from, ...) run(mask, from, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
enum { NO_FAULT_IN = 512 };

#define VMOVAPS_LOAD    0x62, 0xf1, 0x7c, 0x4d, 0x28, 0x13      /* vmovaps zmm2{k5}, [rbx] */
#define VMOVAPS_XMM     0x62, 0xf1, 0x7c, 0x0d, 0x28, 0x13      /* vmovaps xmm2{k5}, [rbx] */
#define VMOVAPS_STORE   0x62, 0xf1, 0x7c, 0x4d, 0x29, 0x13
#define VMOVDQU32_STORE 0x62, 0xf1, 0x7e, 0x4d, 0x7f, 0x13
#define VMOVDQU32_LOAD  0x62, 0xf1, 0x7e, 0x4d, 0x6f, 0x13
#define VBROADCASTI64X4 0x62, 0xf2, 0xfd, 0x4d, 0x5b, 0x13      /* zmm2{k5}, [rbx] */
#define VBROADCASTI32X2 0x62, 0xf2, 0x7d, 0x4d, 0x59, 0x13
#define VEXTRACTI32X4   0x62, 0xf3, 0x7d, 0x4d, 0x39, 0x13, 0   /* [rbx]{k5}, zmm2, 0 */
#define VPERMD          0x62, 0xf2, 0x65, 0x4d, 0x36, 0x13      /* zmm2{k5}, zmm3, [rbx] */
#define VPCOMPRESSD     0x62, 0xf2, 0x7d, 0x4d, 0x8b, 0x13      /* [rbx]{k5}, zmm2 */
#define VRCP14PS        0x62, 0xf2, 0x7d, 0x08, 0x4c, 0xd3      /* xmm2, xmm3 */
#define VREDUCEPS       0x62, 0xf3, 0x7d, 0x08, 0x56, 0xd3, 0   /* xmm2, xmm3, 0 */
#define VFMULCPH        0x62, 0xf6, 0x5e, 0x08, 0xd6, 0xd3      /* xmm2, xmm4, xmm3 */

static bool set_up(const char *feature)
{
    if (!native_has("avx512bw") || !native_has("avx512vl") || !native_has(feature)) {
        g_test_skip("this processor has not got it");
        return false;
    }
    random_cpu(64);
    cpu->fpu.mxcsr = ALL_MASKED;
    mem = native_memory() + AT;
    cpu->regs[X86_RBX] = (uintptr_t)mem;
    memset(mem, 0xee, NO_FAULT_IN);
    return true;
}

static void test_alignment_of_active_operands(void)
{
    if (!set_up("avx512f")) {
        return;
    }
    cpu->regs[X86_RBX] += 8;
    g_assert_cmpint(RUN(0, NO_FAULT_IN, VMOVAPS_LOAD), ==, -1);
    g_assert_cmpint(RUN(0, NO_FAULT_IN, VMOVAPS_STORE), ==, -1);
    g_assert_cmpint(RUN(0x10, NO_FAULT_IN, VMOVAPS_XMM), ==, -1);       /* of an element that XMM has not */
    g_assert_cmpint(RUN(0x8, NO_FAULT_IN, VMOVAPS_XMM), ==, EXC_GP);
    g_assert_cmpint(RUN(0x8000, NO_FAULT_IN, VMOVAPS_LOAD), ==, EXC_GP);
    g_assert_cmpint(RUN(0x8000, NO_FAULT_IN, VMOVAPS_STORE), ==, EXC_GP);
    g_assert_cmpint(RUN(0x8000, 0, VMOVAPS_LOAD), ==, EXC_GP);          /* before the page fault */
    cpu->regs[X86_RBX] -= 8;
    g_assert_cmpint(RUN(0x8000, NO_FAULT_IN, VMOVAPS_LOAD), ==, -1);
}

static void test_inactive_elements_do_not_fault(void)
{
    if (!set_up("avx512f")) {
        return;
    }
    g_assert_cmpint(RUN(0, 0, VMOVDQU32_LOAD), ==, -1);
    g_assert_cmpint(RUN(0x0f, 16, VMOVDQU32_LOAD), ==, -1);
    g_assert_cmpint(RUN(0x1f, 16, VMOVDQU32_LOAD), ==, EXC_PF);
    g_assert_cmpint(RUN(0x0f, 16, VMOVDQU32_STORE), ==, -1);
    g_assert_cmphex(ld64le(mem + 8), ==, cpu->fpu.v[2].q[1]);
    memset(mem, 0xee, NO_FAULT_IN);
    g_assert_cmpint(RUN(0x1f, 16, VMOVDQU32_STORE), ==, EXC_PF);
    g_assert_cmphex(ld64le(mem), ==, 0xeeeeeeeeeeeeeeee);               /* all or nothing */
    g_assert_cmpint(RUN(0xf000, 16, VPCOMPRESSD), ==, -1);              /* four, which go to the front */
    g_assert_cmphex(ld64le(mem), ==, cpu->fpu.v[2].q[6]);
}

/* Element 1 of the four in memory is its bytes 8 to 15, though the vector has eight elements. */
static void test_masked_broadcast_reads_its_tuple(void)
{
    if (!set_up("avx512dq")) {
        return;
    }
    g_assert_cmpint(RUN(1 << 1, 12, VBROADCASTI64X4), ==, EXC_PF);
    g_assert_cmpint(RUN(1 << 5, 12, VBROADCASTI64X4), ==, EXC_PF);      /* it is element 5's, too */
    g_assert_cmpint(RUN(1 << 0 | 1 << 4, 8, VBROADCASTI64X4), ==, -1);
    g_assert_cmpint(RUN(0, 0, VBROADCASTI64X4), ==, -1);
    g_assert_cmpint(RUN(0x5555, 4, VBROADCASTI32X2), ==, -1);
    g_assert_cmpint(RUN(0x8000, 4, VBROADCASTI32X2), ==, EXC_PF);
}

/* Classes E4NF and E6NF: no fault suppression. */
static void test_whole_operands_fault_whatever_the_mask_is(void)
{
    if (!set_up("avx512f")) {
        return;
    }
    g_assert_cmpint(RUN(0, 12, VPERMD), ==, EXC_PF);
    g_assert_cmpint(RUN(0, 12, VEXTRACTI32X4), ==, EXC_PF);
    g_assert_cmpint(RUN(2, 16, VEXTRACTI32X4), ==, -1);
    g_assert_cmphex(ld32le(mem), ==, 0xeeeeeeee);                       /* but what is masked off is not stored */
    g_assert_cmphex(ld32le(mem + 4), ==, cpu->fpu.v[2].q[0] >> 32);
}

static void test_vrcp14_heeds_daz(void)
{
    if (!set_up("avx512f")) {
        return;
    }
    cpu->fpu.v[3].q[0] = 0x0040000000000001;            /* denormals of single precision: 1 and 400000H */
    g_assert_cmpint(RUN(0, NO_FAULT_IN, VRCP14PS), ==, -1);
    g_assert_cmphex(cpu->fpu.v[2].q[0], ==, 0x7f0000007f800000);
    cpu->fpu.mxcsr = DAZ;                               /* nothing masked: it raises nothing all the same */
    g_assert_cmpint(RUN(0, NO_FAULT_IN, VRCP14PS), ==, -1);
    g_assert_cmphex(cpu->fpu.v[2].q[0], ==, 0x7f8000007f800000);
    g_assert_cmphex(cpu->fpu.mxcsr, ==, DAZ);
}

__attribute__((target("avx512dq,avx512vl"))) static uint64_t natively_reduced(uint64_t q, uint32_t *mxcsr)
{
    uint32_t before = _mm_getcsr();
    __m128 v = _mm_castsi128_ps(_mm_cvtsi64_si128((int64_t)q));

    _mm_setcsr(*mxcsr);
    __asm__ volatile("vreduceps $0, %0, %0" : "+x"(v));
    *mxcsr = _mm_getcsr();
    _mm_setcsr(before);
    return (uint64_t)_mm_cvtsi128_si64(_mm_castps_si128(v));
}

/* It reports no underflow, so that for Intel flushing to zero does not depend on that being masked; for AMD it
 * does (10.2.3.3 of volume 1 taken by the letter). */
static void test_vreduce_flushes_as_the_host_does(void)
{
    enum { PE = 1 << 5 };
    uint32_t mxcsr = (ALL_MASKED & ~UNMASKED_UE) | FTZ;

    if (!set_up("avx512dq")) {
        return;
    }
    cpu->fpu.mxcsr = mxcsr;
    cpu->fpu.v[3] = (X86Vector){ .q = { 1 } };
    g_assert_cmpint(RUN(0, NO_FAULT_IN, VREDUCEPS), ==, -1);
    g_assert_cmphex(cpu->fpu.v[2].q[0], ==, natively_reduced(1, &mxcsr));
    g_assert_cmphex(cpu->fpu.mxcsr, ==, mxcsr);
    if (__builtin_cpu_is("intel")) {
        g_assert_cmphex(cpu->fpu.v[2].q[0], ==, 0);
        g_assert_cmphex(cpu->fpu.mxcsr & PE, ==, PE);
    }
}

/* Complex multiplication is of class E4, which has no #XM: flags alone tell. */
static void test_complex_multiplication_does_not_fault(void)
{
    enum { IE = 1 };

    if (!set_up("avx512_fp16")) {
        return;
    }
    cpu->fpu.mxcsr = 0;
    cpu->fpu.v[3] = cpu->fpu.v[4] = (X86Vector){ .q = { 0x7c017c01 } };         /* signaling NaNs */
    g_assert_cmpint(RUN(0, NO_FAULT_IN, VFMULCPH), ==, -1);
    g_assert_cmphex(cpu->fpu.v[2].q[0], ==, 0x7e017e01);
    g_assert_cmphex(cpu->fpu.mxcsr, ==, IE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fake_cpu_new();
    g_test_add_func("/insn/evex/alignment-of-active-operands", test_alignment_of_active_operands);
    g_test_add_func("/insn/evex/inactive-elements-do-not-fault", test_inactive_elements_do_not_fault);
    g_test_add_func("/insn/evex/masked-broadcast-reads-its-tuple", test_masked_broadcast_reads_its_tuple);
    g_test_add_func("/insn/evex/whole-operands-fault-whatever-the-mask-is",
                    test_whole_operands_fault_whatever_the_mask_is);
    g_test_add_func("/insn/evex/vrcp14-heeds-daz", test_vrcp14_heeds_daz);
    g_test_add_func("/insn/evex/vreduce-flushes-as-the-host-does", test_vreduce_flushes_as_the_host_does);
    g_test_add_func("/insn/evex/complex-multiplication-does-not-fault", test_complex_multiplication_does_not_fault);
    int rc = g_test_run();
    fake_cpu_free();
    return rc;
}
