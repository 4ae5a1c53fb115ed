/*
 * The decoder on its own: what X86Insn says of chosen instructions, and random bytes.
 */
#include <glib.h>
#include <string.h>
#include "target/x86/cpu.h"
#include "target/x86/decode.h"

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define DECODE(in, bits, ...) decode(in, bits, BYTES(__VA_ARGS__))

static int decode(X86Insn *in, unsigned bits, const uint8_t *p, size_t n)
{
    return x86_decode(in, p, n, bits);
}

static void test_addresses(void)
{
    X86Insn in;

    g_assert_cmpint(DECODE(&in, 64, 0x48, 0x8b, 0x05, 0x10, 0, 0, 0), ==, 7);    /* mov rax, [rip+10h] */
    g_assert_cmpint(in.base, ==, X86_RIP);
    g_assert_cmpint(in.index, ==, X86_ZERO);
    g_assert_cmpint(in.disp, ==, 0x10);
    g_assert_cmpint(in.opsize, ==, 64);
    g_assert_cmpint(DECODE(&in, 32, 0x8b, 0x05, 0x10, 0, 0, 0x80), ==, 6);    /* mov eax, [80000010h] */
    g_assert_cmpint(in.base, ==, X86_ZERO);
    g_assert_cmpint(in.disp, ==, (int32_t)0x80000010);
    g_assert_cmpint(DECODE(&in, 64, 0x43, 0x8b, 0x44, 0xad, 0xf0), ==, 5);    /* mov eax, [r13+r13*4-10h] */
    g_assert_cmpint(in.base, ==, X86_R13);
    g_assert_cmpint(in.index, ==, X86_R13);
    g_assert_cmpint(in.scale, ==, 2);
    g_assert_cmpint(in.disp, ==, -16);
    g_assert_cmpint(in.segment, ==, X86_DS);
    g_assert_cmpint(DECODE(&in, 64, 0x8b, 0x04, 0x25, 1, 0, 0, 0), ==, 7);    /* mov eax, [1] */
    g_assert_cmpint(in.base, ==, X86_ZERO);
    g_assert_cmpint(in.index, ==, X86_ZERO);
    g_assert_cmpint(DECODE(&in, 64, 0x42, 0x8b, 0x04, 0x24), ==, 4);    /* mov eax, [rsp+r12] */
    g_assert_cmpint(in.base, ==, X86_RSP);
    g_assert_cmpint(in.index, ==, X86_R12);
    g_assert_cmpint(in.segment, ==, X86_SS);
    g_assert_cmpint(DECODE(&in, 16, 0x8b, 0x42, 0x80), ==, 3);    /* mov ax, [bp+si-80h] */
    g_assert_cmpint(in.base, ==, X86_RBP);
    g_assert_cmpint(in.index, ==, X86_RSI);
    g_assert_cmpint(in.disp, ==, -128);
    g_assert_cmpint(in.segment, ==, X86_SS);
    g_assert_cmpint(in.opsize, ==, 16);
    g_assert_cmpint(DECODE(&in, 16, 0x8b, 0x06, 0x34, 0x92), ==, 4);    /* mov ax, [9234h] */
    g_assert_cmpint(in.base, ==, X86_ZERO);
    g_assert_cmpint(in.disp, ==, (int16_t)0x9234);
    g_assert_cmpint(in.segment, ==, X86_DS);
    g_assert_cmpint(DECODE(&in, 64, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8), ==, 9); /* moffs */
    g_assert_cmphex(in.imm, ==, 0x0807060504030201);
    g_assert_cmpint(in.base, ==, X86_ZERO);
    g_assert_cmpint(in.imm_at, ==, 1);
}

static void test_segments(void)
{
    X86Insn in;

    g_assert_cmpint(DECODE(&in, 32, 0x2e, 0x8b, 0x45, 0), ==, 4);
    g_assert_cmpint(in.segment, ==, X86_CS);
    g_assert_cmpint(DECODE(&in, 64, 0x2e, 0x8b, 0x45, 0), ==, 4);    /* no CS override in long mode */
    g_assert_cmpint(in.segment, ==, X86_SS);
    g_assert_cmpint(DECODE(&in, 64, 0x65, 0x3e, 0x8b, 0x45, 0), ==, 5);    /* and none that undoes GS */
    g_assert_cmpint(in.segment, ==, X86_GS);
    g_assert_cmpint(DECODE(&in, 32, 0x64, 0xa4), ==, 2);    /* movsb from FS */
    g_assert_cmpint(in.segment, ==, X86_FS);
    g_assert_cmpint(in.mod3, ==, 1);
}

static void test_registers(void)
{
    X86Insn in;

    DECODE(&in, 64, 0x88, 0xe5);    /* mov ch, ah */
    g_assert_cmpint(in.reg8, ==, 1);
    g_assert_cmpint(in.rm8, ==, 9);
    DECODE(&in, 64, 0x40, 0x88, 0xe5);    /* mov bpl, spl */
    g_assert_cmpint(in.reg8, ==, X86_RSP * 8);
    g_assert_cmpint(in.rm8, ==, X86_RBP * 8);
    DECODE(&in, 64, 0x45, 0x88, 0xe5);    /* mov r13b, r12b */
    g_assert_cmpint(in.reg8, ==, X86_R12 * 8);
    g_assert_cmpint(in.rm8, ==, X86_R13 * 8);
    DECODE(&in, 64, 0xb7, 1);    /* mov bh, 1 */
    g_assert_cmpint(in.rm8, ==, X86_RBX * 8 + 1);
    DECODE(&in, 64, 0x49, 0xbf, 1, 2, 3, 4, 5, 6, 7, 0x88);    /* mov r15, imm64 */
    g_assert_cmpint(in.rm, ==, X86_R15);
    g_assert_cmphex(in.imm, ==, 0x8807060504030201);
    DECODE(&in, 64, 0x45, 0x8e, 0xe1);    /* mov fs, r9d: no REX.R */
    g_assert_cmpint(in.reg, ==, X86_FS);
    g_assert_cmpint(in.rm, ==, X86_R9);
    DECODE(&in, 64, 0x44, 0x0f, 0x20, 0x03);    /* mov rbx, cr8: mod ignored */
    g_assert_cmpint(in.len, ==, 4);
    g_assert_cmpint(in.reg, ==, 8);
    g_assert_cmpint(in.mod3, ==, 1);
    g_assert_cmpint(in.opsize, ==, 64);
}

static void test_immediates(void)
{
    X86Insn in;

    DECODE(&in, 64, 0x48, 0x83, 0xc0, 0xff);
    g_assert_cmphex(in.imm, ==, ~0ull);
    DECODE(&in, 64, 0x48, 0x81, 0xc0, 0, 0, 0, 0x80);
    g_assert_cmphex(in.imm, ==, 0xffffffff80000000);
    DECODE(&in, 32, 0xe4, 0xff);    /* in al, ffh */
    g_assert_cmphex(in.imm, ==, 0xff);
    DECODE(&in, 32, 0xc2, 0xff, 0xff);
    g_assert_cmphex(in.imm, ==, 0xffff);
    DECODE(&in, 32, 0xc8, 0x34, 0x12, 0x05);    /* enter 1234h, 5 */
    g_assert_cmphex(in.imm, ==, 0x1234);
    g_assert_cmphex(in.imm2, ==, 5);
    DECODE(&in, 16, 0xea, 1, 2, 3, 4);    /* jmp 0403h:0201h */
    g_assert_cmphex(in.imm, ==, 0x0201);
    g_assert_cmphex(in.imm2, ==, 0x0403);
    DECODE(&in, 16, 0xeb, 0xfe);
    g_assert_cmphex(in.imm, ==, -2ull);
    DECODE(&in, 64, 0xe8, 0xfc, 0xff, 0xff, 0xff);
    g_assert_cmphex(in.imm, ==, -4ull);
}

static void test_refusals(void)
{
    X86Insn in;
    uint8_t prefixed[16];

    g_assert_cmpint(DECODE(&in, 64, 0x8b), ==, X86_DECODE_SHORT);
    memset(prefixed, 0x66, 15);
    prefixed[14] = prefixed[15] = 0x90;
    g_assert_cmpint(decode(&in, 64, prefixed, 16), ==, 15);
    prefixed[14] = 0x66;
    g_assert_cmpint(decode(&in, 64, prefixed, 16), ==, X86_DECODE_LONG);
    g_assert_cmpint(DECODE(&in, 64, 0x06), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0xf0, 0x01, 0xc0), ==, X86_DECODE_UD);    /* lock add eax, eax */
    g_assert_cmpint(DECODE(&in, 64, 0xf0, 0x01, 0x00), ==, 3);
    g_assert_cmpint(DECODE(&in, 64, 0xf0, 0x03, 0x00), ==, X86_DECODE_UD);    /* lock add eax, [rax] */
    g_assert_cmpint(DECODE(&in, 32, 0x8e, 0xc8), ==, X86_DECODE_UD);    /* mov cs, eax */
    g_assert_cmpint(DECODE(&in, 32, 0x0f, 0x22, 0xc8), ==, X86_DECODE_UD);    /* mov cr1, eax */
}

/* Volume 2, 2.3: which VEX prefixes are #UD, and when C4 and C5 are none. */
static void test_vex_refusals(void)
{
    X86Insn in;

    g_assert_cmpint(DECODE(&in, 32, 0xc5, 0xf8, 0x77), ==, 3);                  /* vzeroupper */
    g_assert_cmpint(DECODE(&in, 32, 0xc5, 0x38), ==, 2);                        /* lds edi, [eax] */
    g_assert_cmpint(in.row->op, ==, OP_LDS);
    g_assert_cmpint(DECODE(&in, 64, 0xc5, 0x38, 0x58, 0xc1), ==, 4);            /* vaddps xmm8, xmm8, xmm1 */
    g_assert_cmpint(in.row->op, ==, OP_VADDPS);
    g_assert_cmpint(in.reg, ==, 8);
    g_assert_cmpint(in.vvvv, ==, 8);
    g_assert_cmpint(DECODE(&in, 16, 0x62, 0x00), ==, 2);                        /* bound ax, [bx+si] */
    g_assert_cmpint(in.row->op, ==, OP_BOUND);
    g_assert_cmpint(DECODE(&in, 64, 0x66, 0xc5, 0xf8, 0x58, 0xc1), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0xf3, 0xc5, 0xf8, 0x58, 0xc1), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0x48, 0xc5, 0xf8, 0x58, 0xc1), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0xf0, 0xc5, 0xf8, 0x58, 0x01), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0x65, 0x67, 0xc5, 0xf8, 0x58, 0x01), ==, 6);
    g_assert_cmpint(DECODE(&in, 64, 0xc5, 0xf0, 0x51, 0xc1), ==, X86_DECODE_UD);        /* vsqrtps with a vvvv */
    g_assert_cmpint(DECODE(&in, 64, 0xc5, 0xf8, 0x51, 0xc1), ==, 4);
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe4, 0x78, 0x58, 0xc1), ==, X86_DECODE_UD);  /* no such map */
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x79, 0x36, 0xc1), ==, X86_DECODE_UD);  /* vpermd wants L = 1 */
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x7d, 0x36, 0xc1), ==, 5);
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0xfd, 0x36, 0xc1), ==, X86_DECODE_UD);  /* and W = 0 */
    /* vpgatherdd xmm1, [rax + xmm2], xmm3; then with one register for two; then no index */
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x10), ==, 6);
    g_assert_cmpint(in.vindex, ==, 2);
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x71, 0x90, 0x0c, 0x10), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x61, 0x90, 0x14, 0x10), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x69, 0x90, 0x0c, 0x10), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x61, 0x90, 0x08), ==, X86_DECODE_UD);
    /* the index may be register 4, which no other SIB has */
    g_assert_cmpint(DECODE(&in, 64, 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x20), ==, 6);
    g_assert_cmpint(in.vindex, ==, 4);
    /* in 32-bit code the top bits of vvvv and of the register in an immediate are ignored */
    g_assert_cmpint(DECODE(&in, 32, 0xc4, 0xe1, 0x30, 0x58, 0xc1), ==, 5);
    g_assert_cmpint(in.vvvv, ==, 1);
}

static void test_evex_refusals(void)
{
    X86Insn in;

    g_assert_cmpint(DECODE(&in, 64, 0x62, 0x81, 0x44, 0x40, 0x58, 0xc1), ==, 6);    /* vaddps zmm16, zmm23, zmm25 */
    g_assert_cmpint(in.reg, ==, 16);
    g_assert_cmpint(in.vvvv, ==, 23);
    g_assert_cmpint(in.rm, ==, 25);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0x58, 0x58, 0x49, 0x02), ==, 7);  /* dword [rcx + 8]{1to16} */
    g_assert_cmpint(in.disp, ==, 8);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0x48, 0x58, 0x49, 0x02), ==, 7);
    g_assert_cmpint(in.disp, ==, 128);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0x68, 0x58, 0xc1), ==, X86_DECODE_UD);    /* L'L = 3 */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0x78, 0x58, 0xc1), ==, 6);                /* {rz-sae} */
    g_assert_cmpint(in.rounding, ==, 3);
    g_assert_cmpint(in.vl, ==, 2);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0x58, 0x54, 0xc1), ==, X86_DECODE_UD);    /* vandps rounds not */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0xfc, 0x48, 0x58, 0xc1), ==, X86_DECODE_UD);    /* W = 1 */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0xc8, 0x58, 0xc1), ==, X86_DECODE_UD);    /* {z} without mask */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7c, 0xc9, 0x11, 0x01), ==, X86_DECODE_UD);    /* a store with {z} */
    /* vpsrlw zmm0{k5}{z}, [rcx], 1: memory comes first in the encoding, but is no destination */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7d, 0xcd, 0x71, 0x11, 0x01), ==, 7);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf1, 0x7e, 0x08, 0x78, 0xc1), ==, 6);                /* vcvttss2usi */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xe1, 0x7e, 0x08, 0x78, 0xc1), ==, X86_DECODE_UD);    /* register 16 */
    /* vpmovm2d zmm0, k1: B and X are no part of the number of an opmask */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xd2, 0x7e, 0x48, 0x38, 0xc1), ==, 6);
    g_assert_cmpint(in.rm, ==, 1);
    /* vpgatherdd zmm0{k1}, [rax + zmm2]; without an opmask; onto its index */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf2, 0x7d, 0x49, 0x90, 0x04, 0x10), ==, 7);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf2, 0x7d, 0x48, 0x90, 0x04, 0x10), ==, X86_DECODE_UD);
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf2, 0x7d, 0x49, 0x90, 0x14, 0x10), ==, X86_DECODE_UD);
    /* vfmulcph zmm6, zmm6, [ebx]: in 32-bit code vvvv 14 is register 6, and clashes */
    g_assert_cmpint(DECODE(&in, 64, 0x62, 0xf6, 0x0e, 0x48, 0xd6, 0x33), ==, 6);
    g_assert_cmpint(DECODE(&in, 32, 0x62, 0xf6, 0x0e, 0x48, 0xd6, 0x33), ==, X86_DECODE_UD);
}

static void test_prefix_choices(void)
{
    X86Insn in;
    char name[32];

    DECODE(&in, 64, 0xf3, 0x90);
    g_assert_cmpint(in.row->op, ==, OP_PAUSE);
    DECODE(&in, 64, 0x41, 0x90);
    g_assert_cmpint(in.row->op, ==, OP_XCHG);
    DECODE(&in, 64, 0x66, 0x90);
    g_assert_cmpint(in.row->op, ==, OP_NOP);
    DECODE(&in, 64, 0x66, 0xf2, 0x0f, 0x58, 0xc1);
    g_assert_cmpint(in.row->op, ==, OP_ADDSD);
    DECODE(&in, 64, 0x66, 0x48, 0x0f, 0x6e, 0xc0);
    g_assert_cmpint(in.row->op, ==, OP_MOVD);
    g_assert_cmpint(in.opsize, ==, 64);
    x86_mnemonic(&in, name, sizeof(name));
    g_assert_cmpstr(name, ==, "movq");
    DECODE(&in, 32, 0x66, 0x0f, 0x6e, 0xc0);
    g_assert_cmpint(in.opsize, ==, 32);
}

static void test_random_bytes(void)
{
    GRand *rand = g_rand_new_with_seed(1);

    for (unsigned n = 0; n < 600000; n++) {
        uint8_t buf[16], *tight;
        unsigned avail = g_rand_int_range(rand, 0, 17), bits = 16 << g_rand_int_range(rand, 0, 3);
        X86Insn a, b;
        char name[8];
        for (unsigned i = 0; i < sizeof(buf); i++) {
            buf[i] = g_rand_int(rand);
        }
        if (n & 1) {
            buf[g_rand_int_range(rand, 0, 3)] = 0x0f;
        }
        tight = g_memdup2(buf, avail);    /* so that ASan sees a byte too many */
        int len = x86_decode(&a, tight, avail, bits);
        g_assert_cmpint(len, ==, x86_decode(&b, tight, avail, bits));
        g_assert_cmpmem(&a, sizeof(a), &b, sizeof(b));
        g_assert_cmpint(len, <=, X86_INSN_MAX);
        g_assert_cmpint(len, <=, (int)avail);
        g_assert_cmpint(len, !=, 0);
        if (len > 0) {
            g_assert_cmpint(len, ==, a.len);
            g_assert_cmpint(a.base, <=, X86_ZERO);
            g_assert_cmpint(a.index, <=, X86_ZERO);
            g_assert_cmpint(a.segment, <, X86_SEGS);
            g_assert_cmpint(a.reg8 | a.rm8, <, 16 * 8);
            x86_mnemonic(&a, name, sizeof(name));
            g_assert_cmpint(x86_decode(&b, tight, len, bits), ==, len);
            if (len > 1) {    /* one byte less is never enough */
                g_assert_cmpint(x86_decode(&b, tight, len - 1, bits), ==, X86_DECODE_SHORT);
            }
        }
        g_free(tight);
    }
    g_rand_free(rand);
}

static void test_disassembles(void)
{
    GString *s = g_string_new(NULL);

    g_assert_cmpint(x86_disas((const uint8_t[]){ 0x48, 0x01, 0xd8 }, 3, 0, 64, s), ==, 3);
    g_assert_cmpstr(s->str, ==, "add rax, rbx");
    g_string_truncate(s, 0);
    g_assert_cmpint(x86_disas((const uint8_t[]){ 0xeb, 0xfe }, 2, 0x7c00, 16, s), ==, 2);
    g_assert_cmpstr(s->str, ==, "jmp 0x7c00");
    g_string_truncate(s, 0);
    g_assert_cmpint(x86_disas((const uint8_t[]){ 0x90 }, 1, 0, 32, s), ==, 1);
    g_assert_cmpstr(s->str, ==, "nop");
    g_string_truncate(s, 0);
    g_assert_cmpint(x86_disas((const uint8_t[]){ 0x06 }, 1, 0, 64, s), ==, 0);
    g_assert_cmpstr(s->str, ==, "");
    g_string_free(s, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/insn/decode/addresses", test_addresses);
    g_test_add_func("/insn/decode/segments", test_segments);
    g_test_add_func("/insn/decode/registers", test_registers);
    g_test_add_func("/insn/decode/immediates", test_immediates);
    g_test_add_func("/insn/decode/refusals", test_refusals);
    g_test_add_func("/insn/decode/vex-refusals", test_vex_refusals);
    g_test_add_func("/insn/decode/evex-refusals", test_evex_refusals);
    g_test_add_func("/insn/decode/prefix-choices", test_prefix_choices);
    g_test_add_func("/insn/decode/random-bytes", test_random_bytes);
    g_test_add_func("/insn/disas", test_disassembles);
    return g_test_run();
}
