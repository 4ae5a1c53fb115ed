/*
 * tests/unit/test_alu.c - target/x86/alu.h against plain C written from the SDM's pseudo code.
 *
 * Bytes exhaustively with every carry in, wider operands at random with a bias to the edges.
 */
#include "target/x86/alu.h"
#include <glib.h>

typedef struct Ref { uint64_t value, high; uint16_t cc, undefined; } Ref;

enum { SZAP = CC_SF | CC_ZF | CC_AF | CC_PF };

static uint64_t rnd(void)
{
    static uint64_t s = 88172645463325252u;
    static const uint64_t edges[] = { 0, 1, ~0ull, 0x80, 0x7f, 0x8000, 0x7fff, 0x80000000, 0x7fffffff,
                                      1ull << 63, ~(1ull << 63), 0xffffffff };

    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return (s & 7) == 0 ? edges[(s >> 8) % G_N_ELEMENTS(edges)] : s >> (s >> 3 & 63);
}

static uint64_t mask_of(unsigned bits) { return bits == 64 ? ~0ull : (1ull << bits) - 1; }

static int64_t sext(uint64_t v, unsigned bits) { return (int64_t)(v << (64 - bits)) >> (64 - bits); }

static uint16_t szp(uint64_t r, unsigned bits)
{
    unsigned ones = 0;

    for (unsigned i = 0; i < 8; i++) {
        ones += r >> i & 1;
    }
    return (r >> (bits - 1) & 1 ? CC_SF : 0) | (r & mask_of(bits) ? 0 : CC_ZF) | (ones & 1 ? 0 : CC_PF);
}

static Ref ref_add(unsigned bits, uint64_t a, uint64_t b, unsigned carry)
{
    unsigned __int128 wide = (unsigned __int128)a + b + carry;
    uint64_t r = (uint64_t)wide & mask_of(bits);
    bool overflow = ((a ^ r) & (b ^ r)) >> (bits - 1) & 1;

    return (Ref){ r, 0, szp(r, bits) | (wide >> bits ? CC_CF : 0) | (overflow ? CC_OF : 0)
                  | ((a & 15) + (b & 15) + carry > 15 ? CC_AF : 0), 0 };
}

static Ref ref_sub(unsigned bits, uint64_t a, uint64_t b, unsigned borrow)
{
    uint64_t r = (a - b - borrow) & mask_of(bits);
    bool overflow = ((a ^ b) & (a ^ r)) >> (bits - 1) & 1;

    return (Ref){ r, 0, szp(r, bits) | ((unsigned __int128)b + borrow > a ? CC_CF : 0)
                  | (overflow ? CC_OF : 0) | ((b & 15) + borrow > (a & 15) ? CC_AF : 0), 0 };
}

static Ref ref_logic(unsigned bits, uint64_t r) { return (Ref){ r, 0, szp(r, bits), CC_AF }; }

static void same(const char *what, unsigned bits, uint64_t a, uint64_t b, uint16_t in, Ref want, uint64_t got,
                 uint16_t cc)
{
    if (got != want.value || ((cc ^ want.cc) & CC_ALL & ~want.undefined)) {
        g_error("%s%u a=%" G_GINT64_MODIFIER "x b=%" G_GINT64_MODIFIER "x cc=%x: got %" G_GINT64_MODIFIER
                "x cc %x, want %" G_GINT64_MODIFIER "x cc %x, undefined %x", what, bits, a, b, in, got,
                cc & CC_ALL, want.value, want.cc, want.undefined);
    }
}

static uint16_t keep(uint16_t cc, uint16_t in, uint16_t mask)
{
    return (uint16_t)((cc & ~mask) | (in & mask));
}

#define TEST_BASIC(bits, type) \
    static void basic##bits(uint64_t x, uint64_t y, uint16_t in) \
    { \
        type a = (type)x, b = (type)y; \
        uint16_t cc; \
        uint64_t v; \
        Ref r; \
        unsigned cf = in & CC_CF ? 1 : 0; \
        cc = in; v = alu_add##bits(a, b, &cc); same("add", bits, a, b, in, ref_add(bits, a, b, 0), v, cc); \
        cc = in; v = alu_adc##bits(a, b, &cc); same("adc", bits, a, b, in, ref_add(bits, a, b, cf), v, cc); \
        cc = in; v = alu_sub##bits(a, b, &cc); same("sub", bits, a, b, in, ref_sub(bits, a, b, 0), v, cc); \
        cc = in; v = alu_sbb##bits(a, b, &cc); same("sbb", bits, a, b, in, ref_sub(bits, a, b, cf), v, cc); \
        r = ref_sub(bits, a, b, 0); \
        cc = in; alu_cmp##bits(a, b, &cc); same("cmp", bits, a, b, in, r, r.value, cc); \
        cc = in; v = alu_and##bits(a, b, &cc); same("and", bits, a, b, in, ref_logic(bits, a & b), v, cc); \
        cc = in; v = alu_or##bits(a, b, &cc); same("or", bits, a, b, in, ref_logic(bits, a | b), v, cc); \
        cc = in; v = alu_xor##bits(a, b, &cc); same("xor", bits, a, b, in, ref_logic(bits, a ^ b), v, cc); \
        cc = in; alu_test##bits(a, b, &cc); same("test", bits, a, b, in, ref_logic(bits, a & b), a & b, cc); \
        cc = in; v = alu_neg##bits(a, &cc); same("neg", bits, a, b, in, ref_sub(bits, 0, a, 0), v, cc); \
        r = ref_add(bits, a, 1, 0); r.cc = keep(r.cc, in, CC_CF); \
        cc = in; v = alu_inc##bits(a, &cc); same("inc", bits, a, b, in, r, v, cc); \
        r = ref_sub(bits, a, 1, 0); r.cc = keep(r.cc, in, CC_CF); \
        cc = in; v = alu_dec##bits(a, &cc); same("dec", bits, a, b, in, r, v, cc); \
    }
TEST_BASIC(8, uint8_t)
TEST_BASIC(16, uint16_t)
TEST_BASIC(32, uint32_t)
TEST_BASIC(64, uint64_t)

static void test_basic(void)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            basic8(a, b, 0);
            basic8(a, b, CC_ALL);
        }
    }
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t a = rnd(), b = rnd();
        uint16_t in = (uint16_t)rnd() & CC_ALL;
        basic16(a, b, in);
        basic32(a, b, in);
        basic64(a, b, in);
    }
}

typedef enum Shift { ROL, ROR, RCL, RCR, SHL, SHR, SAR } Shift;

/* One bit at a time, as the SDM writes them. */
static Ref ref_shift(Shift op, unsigned bits, uint64_t v, unsigned count, uint16_t in)
{
    unsigned n = count & (bits == 64 ? 63 : 31);
    unsigned times = op == RCL || op == RCR ? n % (bits + 1) : n;
    uint64_t top = 1ull << (bits - 1), old = v;
    bool cf = in & CC_CF, of;

    if (n == 0) {
        return (Ref){ v, 0, in, 0 };
    }
    for (unsigned i = 0; i < times; i++) {
        bool msb = v & top, lsb = v & 1, carry = cf;
        switch (op) {
        case ROL: v = v << 1 | msb; cf = msb; break;
        case ROR: v = v >> 1 | (lsb ? top : 0); cf = lsb; break;
        case RCL: v = v << 1 | carry; cf = msb; break;
        case RCR: v = v >> 1 | (carry ? top : 0); cf = lsb; break;
        case SHL: v = v << 1; cf = msb; break;
        case SHR: v = v >> 1; cf = lsb; break;
        case SAR: v = v >> 1 | (msb ? top : 0); cf = lsb; break;
        }
        v &= mask_of(bits);
    }
    switch (op) {
    case ROL: case RCL: case SHL: of = (v >> (bits - 1) & 1) != cf; break;
    case ROR: case RCR: of = (v >> (bits - 1) ^ v >> (bits - 2)) & 1; break;
    case SHR: of = old & top; break;
    default: of = false; break;
    }
    if (op == ROL) {
        cf = v & 1;
    } else if (op == ROR) {
        cf = v & top;
    }
    uint16_t cc = (uint16_t)((cf ? CC_CF : 0) | (of ? CC_OF : 0));
    uint16_t open = n == 1 ? 0 : CC_OF;
    if (op >= SHL) {
        return (Ref){ v, 0, cc | szp(v, bits), open | CC_AF | (n >= bits && op != SAR ? CC_CF : 0) };
    }
    return (Ref){ v, 0, cc | (in & SZAP), open };
}

#define TEST_SHIFTS(bits, type) \
    static void shifts##bits(uint64_t x, unsigned n, uint16_t in) \
    { \
        static type (*const fn[])(type, uint8_t, uint16_t *) = { alu_rol##bits, alu_ror##bits, \
            alu_rcl##bits, alu_rcr##bits, alu_shl##bits, alu_shr##bits, alu_sar##bits }; \
        static const char *const names[] = { "rol", "ror", "rcl", "rcr", "shl", "shr", "sar" }; \
        for (Shift op = ROL; op <= SAR; op++) { \
            uint16_t cc = in; \
            uint64_t v = fn[op]((type)x, (uint8_t)n, &cc); \
            same(names[op], bits, (type)x, n, in, ref_shift(op, bits, (type)x, n, in), v, cc); \
        } \
    }
TEST_SHIFTS(8, uint8_t)
TEST_SHIFTS(16, uint16_t)
TEST_SHIFTS(32, uint32_t)
TEST_SHIFTS(64, uint64_t)

static void test_shifts(void)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned n = 0; n < 256; n++) {
            shifts8(a, n, 0);
            shifts8(a, n, CC_ALL);
        }
    }
    for (unsigned i = 0; i < 50000; i++) {
        uint16_t in = (uint16_t)rnd() & CC_ALL;
        shifts16(rnd(), i & 0xff, in);
        shifts32(rnd(), i & 0xff, in);
        shifts64(rnd(), i & 0xff, in);
    }
}

/* A count beyond the operand leaves everything undefined, so those are not compared. */
static Ref ref_double(bool left, unsigned bits, uint64_t a, uint64_t b, unsigned count, uint16_t in)
{
    unsigned n = count & (bits == 64 ? 63 : 31);
    uint64_t v;
    bool cf;

    if (n == 0) {
        return (Ref){ a, 0, in, 0 };
    }
    if (left) {
        v = n == bits ? b : (a << n | b >> (bits - n)) & mask_of(bits);
        cf = a >> (bits - n) & 1;
    } else {
        v = n == bits ? b : (a >> n | b << (bits - n)) & mask_of(bits);
        cf = a >> (n - 1) & 1;
    }
    bool of = (a ^ v) >> (bits - 1) & 1;
    return (Ref){ v, 0, szp(v, bits) | (cf ? CC_CF : 0) | (of ? CC_OF : 0), CC_AF | (n == 1 ? 0 : CC_OF) };
}

#define TEST_WIDE(bits, type) \
    static void wide##bits(uint64_t x, uint64_t y, unsigned n, uint16_t in) \
    { \
        type a = (type)x, b = (type)y, high; \
        unsigned at = b & (bits - 1); \
        uint16_t cc, rest = CC_OF | CC_SF | CC_AF | CC_PF; \
        uint64_t v, bit = 1ull << at; \
        Ref r; \
        if ((n & (bits == 64 ? 63 : 31)) <= bits) { \
            cc = in; v = alu_shld##bits(a, b, (uint8_t)n, &cc); \
            same("shld", bits, a, b, in, ref_double(true, bits, a, b, n, in), v, cc); \
            cc = in; v = alu_shrd##bits(a, b, (uint8_t)n, &cc); \
            same("shrd", bits, a, b, in, ref_double(false, bits, a, b, n, in), v, cc); \
        } \
        r = (Ref){ a, 0, keep(a & bit ? CC_CF : 0, in, CC_ZF), rest }; \
        cc = in; v = alu_bt##bits(a, (type)at, &cc); same("bt", bits, a, b, in, r, v, cc); \
        r.value = (type)(a | bit); \
        cc = in; v = alu_bts##bits(a, (type)at, &cc); same("bts", bits, a, b, in, r, v, cc); \
        r.value = (type)(a & ~bit); \
        cc = in; v = alu_btr##bits(a, (type)at, &cc); same("btr", bits, a, b, in, r, v, cc); \
        r.value = (type)(a ^ bit); \
        cc = in; v = alu_btc##bits(a, (type)at, &cc); same("btc", bits, a, b, in, r, v, cc); \
        if (a) { \
            unsigned first = 0, last = bits - 1; \
            while (!(a >> first & 1)) { first++; } \
            while (!(a >> last & 1)) { last--; } \
            r = (Ref){ first, 0, 0, CC_ALL & ~CC_ZF }; \
            cc = in; v = alu_bsf##bits(0, a, &cc); same("bsf", bits, a, b, in, r, v, cc); \
            r.value = last; \
            cc = in; v = alu_bsr##bits(0, a, &cc); same("bsr", bits, a, b, in, r, v, cc); \
        } \
        unsigned __int128 p = (unsigned __int128)a * b; \
        r = (Ref){ (type)p, 0, p >> bits ? CC_CF | CC_OF : 0, SZAP }; \
        cc = in; v = alu_mul##bits(a, b, &high, &cc); same("mul", bits, a, b, in, r, v, cc); \
        g_assert_cmphex(high, ==, (type)(p >> bits)); \
        __int128 s = (__int128)sext(a, bits) * sext(b, bits); \
        r = (Ref){ (type)s, 0, s == sext((type)s, bits) ? 0 : CC_CF | CC_OF, SZAP }; \
        cc = in; v = alu_imul##bits(a, b, &high, &cc); same("imul", bits, a, b, in, r, v, cc); \
        g_assert_cmphex(high, ==, (type)(s >> bits)); \
        cc = in; v = alu_imul2_##bits(a, b, &cc); same("imul2", bits, a, b, in, r, v, cc); \
        /* high:low / b, where it fits */ \
        type c = (type)rnd(), q, rem; \
        unsigned __int128 n128 = (unsigned __int128)c << bits | a; \
        g_assert_cmpint(alu_div_fits(c, b), ==, b != 0 && n128 / (b ? b : 1) >> bits == 0); \
        if (alu_div_fits(c, b)) { \
            cc = in; q = alu_div##bits(a, c, b, &rem, &cc); \
            g_assert_cmphex(q, ==, (type)(n128 / b)); \
            g_assert_cmphex(rem, ==, (type)(n128 % b)); \
        } \
        int64_t d = sext(b, bits); \
        __int128 signed_n = bits == 64 ? (__int128)n128 : sext((uint64_t)n128, bits == 64 ? 64 : 2 * bits); \
        if (n & 1) { signed_n = sext(a, bits); c = (type)(signed_n >> bits); } \
        bool fits = d != 0 && !(d == -1 && signed_n == (__int128)((unsigned __int128)1 << 127)) \
            && signed_n / d == sext((type)(signed_n / d), bits); \
        g_assert_cmpint(alu_idiv_fits(signed_n, d, bits), ==, fits); \
        if (fits) { \
            cc = in; q = alu_idiv##bits(a, c, b, &rem, &cc); \
            g_assert_cmphex(q, ==, (type)(signed_n / d)); \
            g_assert_cmphex(rem, ==, (type)(signed_n % d)); \
        } \
    }
TEST_WIDE(16, uint16_t)
TEST_WIDE(32, uint32_t)
TEST_WIDE(64, uint64_t)

static void test_wide(void)
{
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t a = rnd(), b = rnd();
        uint16_t in = (uint16_t)rnd() & CC_ALL;
        wide16(a, b, i & 0xff, in);
        wide32(a, b, i & 0xff, in);
        wide64(a, b, i & 0xff, in);
    }
}

/* The divisions that just fit and just do not. */
static void test_idiv_edges(void)
{
    __int128 top = (__int128)1 << 63;

    g_assert_true(alu_idiv_fits(-top, 1, 64));
    g_assert_false(alu_idiv_fits(-top, -1, 64));
    g_assert_true(alu_idiv_fits(top, -1, 64));
    g_assert_false(alu_idiv_fits((__int128)((unsigned __int128)1 << 127), -1, 64));
    g_assert_false(alu_idiv_fits((__int128)((unsigned __int128)1 << 127), 1, 64));
    g_assert_false(alu_idiv_fits(5, 0, 8));
    g_assert_true(alu_idiv_fits(-128, 1, 8));
    g_assert_false(alu_idiv_fits(128, 1, 8));
    g_assert_true(alu_idiv_fits(128, -1, 8));
    g_assert_false(alu_idiv_fits(-128, -1, 8));
}

static void test_bytes(void)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            uint16_t cc = CC_ALL;
            Ref r = { a * b, 0, a * b > 255 ? CC_CF | CC_OF : 0, SZAP };
            uint64_t v = alu_mul8((uint8_t)a, (uint8_t)b, &cc);
            same("mul", 8, a, b, CC_ALL, r, v, cc);
            int s = (int8_t)a * (int8_t)b;
            r = (Ref){ (uint16_t)s, 0, s == (int8_t)s ? 0 : CC_CF | CC_OF, SZAP };
            v = alu_imul8((uint8_t)a, (uint8_t)b, &cc);
            same("imul", 8, a, b, CC_ALL, r, v, cc);
            for (unsigned high = 0; high < 256; high += 5) {
                unsigned n = high << 8 | a;
                g_assert_cmpint(alu_div_fits(high, b), ==, b && n / b < 256);
                if (alu_div_fits(high, b)) {
                    g_assert_cmphex(alu_div8((uint16_t)n, (uint8_t)b, &cc), ==, (n % b) << 8 | n / b);
                }
                int sn = (int16_t)n, d = (int8_t)b;
                bool fits = d && sn / d == (int8_t)(sn / d);
                g_assert_cmpint(alu_idiv_fits(sn, d, 8), ==, fits);
                if (fits) {
                    g_assert_cmphex(alu_idiv8((uint16_t)n, (uint8_t)b, &cc), ==,
                                    (uint16_t)((uint8_t)(sn % d) << 8 | (uint8_t)(sn / d)));
                }
            }
        }
    }
}

static void test_conditions(void)
{
    for (unsigned i = 0; i < 64; i++) {
        bool of = i & 1, cf = i & 2, zf = i & 4, sf = i & 8, pf = i & 16, af = i & 32;
        uint32_t flags = of << 11 | cf | zf << 6 | sf << 7 | pf << 2 | af << 4;
        uint16_t cc = cc_from_flags(flags);
        const bool want[8] = { of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of };

        g_assert_cmphex(cc_to_flags(cc), ==, flags);
        g_assert_cmphex(cc_to_flags(cc | ~CC_ALL), ==, flags);
        for (unsigned k = 0; k < 16; k++) {
            g_assert_cmpint(cc_holds(cc, k), ==, want[k >> 1] != (k & 1));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/alu/basic", test_basic);
    g_test_add_func("/alu/shifts", test_shifts);
    g_test_add_func("/alu/wide", test_wide);
    g_test_add_func("/alu/bytes", test_bytes);
    g_test_add_func("/alu/idiv-edges", test_idiv_edges);
    g_test_add_func("/alu/conditions", test_conditions);
    return g_test_run();
}
