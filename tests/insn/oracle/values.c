/*
 * tests/insn/oracle/values.c - random values that find mistakes: the edges of every kind of operand.
 */
#include <string.h>
#include "generate.h"

#define PICK(r, table) (table)[below(r, G_N_ELEMENTS(table))]

uint64_t random_integer(Rng *r)
{
    static const uint64_t edges[] = {
        0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
        0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull,
        0xfffffffffffffffe, 0xffffffff80000000, 0xffffffff7fffffff, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa,
        0x8080808080808080, 0xff00ff00ff00ff00, 0xffffffffffff8000, 0xffffffffffffff80,
    };

    switch (below(r, 6)) {
    case 0: return PICK(r, edges);
    case 1: return 1ull << below(r, 64);
    case 2: return below(r, 256) - (uint64_t)128;
    case 3: return rng64(r) >> below(r, 64);
    default: return rng64(r);
    }
}

static uint32_t random_float(Rng *r)
{
    static const uint32_t special[] = {
        0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001,
        0xffbfffff, 1, 0x80000001, 0x807fffff, 0x00800000, 0x00800001, 0x7f7fffff, 0xff7fffff, 0x4f000000,
        0xcf000000, 0x4effffff, 0x5f000000, 0xdf000000, 0x3f000000, 0x3fc00000, 0x34000000, 0x33800000, 0x3effffff,
    };

    return below(r, 3) ? PICK(r, special) ^ (below(r, 4) ? 0 : below(r, 8)) : (uint32_t)rng64(r);
}

static uint64_t random_double(Rng *r)
{
    static const uint64_t special[] = {
        0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
        0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0xfff7ffffffffffff, 1, 0x800fffffffffffff,
        0x0010000000000000, 0x0010000000000001, 0x7fefffffffffffff, 0x41e0000000000000, 0x41dfffffffc00000,
        0xc1e0000000000001, 0x43e0000000000000, 0xc3e0000000000000, 0x3fe0000000000000, 0x3ff8000000000000,
        0x3810000000000000, 0x47efffffe0000001, 0x36a0000000000001, 0x3690000000000000, 0x3cb0000000000000,
    };

    return below(r, 3) ? PICK(r, special) ^ (below(r, 4) ? 0 : below(r, 8)) : rng64(r);
}

uint64_t random_element(Rng *r)
{
    switch (below(r, 5)) {
    case 0: return rng64(r);
    case 1: return random_float(r) | (uint64_t)random_float(r) << 32;
    case 2: return random_double(r);
    case 3: return rng64(r) & 0x0707070707070707;
    default: return random_integer(r);
    }
}

void random_x87(Rng *r, uint8_t out[10])
{
    static const uint16_t exponents[] = {
        0x3fff, 0x4000, 0x3ffe, 0x7fff, 0, 1, 0x3fff - 63, 0x3fff + 63, 0x3fff + 31, 0x3fff + 62, 0x7ffe,
        0x3fff - 1074, 0x3fff - 1023, 0x3fff + 1024, 0x3fff + 1023, 0x3fff - 127, 0x3fff - 149, 0x3fff + 128,
        0x3fff + 127, 0x3fff + 15, 0x3fff + 14, 0x4022, 0x3fff - 64, 0x3fff - 65, 2, 64,
    };
    static const uint64_t mantissas[] = {
        1ull << 63, 0, 0xc000000000000000, ~0ull, 0x8000000000000001, 1, 0x7fffffffffffffff, 0xa000000000000000,
        0xc90fdaa22168c235, 0xfffffffffffff800, 0xffffff0000000000, 0x8000008000000000, 0x8000000000000400,
    };
    uint16_t exponent = (below(r, 4) ? PICK(r, exponents) : below(r, 0x8000)) | below(r, 2) << 15;
    uint64_t mantissa = below(r, 3) ? PICK(r, mantissas) : rng64(r) | (below(r, 4) ? 1ull << 63 : 0);

    memcpy(out, &mantissa, 8);
    memcpy(out + 8, &exponent, 2);
}

/* Lines of every kind, so that a random address finds something to work on. */
void random_background(Rng *r, uint8_t *p)
{
    for (unsigned at = 0; at < DATA_PAGES * ORACLE_PAGE; at += LINE) {
        unsigned kind = below(r, 6);
        for (unsigned i = 0; i < LINE; i += 8) {
            uint64_t v = kind == 0 ? 0 : kind == 1 ? 0x0101010101010101ull * (at / LINE & 3) : random_element(r);
            memcpy(p + at + i, &v, 8);
        }
        if (kind == 5) {
            random_x87(r, p + at + 16 * below(r, 3));
        }
    }
}

/* ---- control words ---- */

uint16_t random_fcw(Rng *r) { return 0x40 | (below(r, 3) ? 0x3f : below(r, 64)) | below(r, 16) << 8; }

/* With ES and B as the exceptions that are not masked make them. */
uint16_t random_fsw(Rng *r, uint16_t fcw)
{
    uint16_t fsw = (rng64(r) & 0x7f00) | (below(r, 4) ? 0 : below(r, 128));

    if (fsw & ~fcw & 0x3f) {
        fsw = below(r, 4) ? fsw & ~0x3f : fsw | 0x8080;
    }
    return fsw;
}

uint32_t random_mxcsr(Rng *r)
{
    return (below(r, 3) ? 0x1f80 : below(r, 64) << 7) | below(r, 4) << 13 | (below(r, 3) ? 0 : 0x40)
         | (below(r, 3) ? 0 : 0x8000) | (below(r, 2) ? 0 : below(r, 64));
}
