/*
 * tests/insn/oracle/rng.h - random numbers, fast (splitmix64) and from a seed.
 */
#ifndef TESTS_INSN_ORACLE_RNG_H
#define TESTS_INSN_ORACLE_RNG_H

#include <stdint.h>

typedef struct Rng { uint64_t state; } Rng;

static inline uint64_t rng64(Rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* 0 .. n - 1 */
static inline unsigned below(Rng *r, unsigned n) { return (unsigned)((rng64(r) >> 32) * n >> 32); }

#endif
