/*
 * tests/bench/work/work.h - the work that the benchmark gives to a processor, natively and as a guest.
 *
 * A piece of work is a function of its number of rounds.  It returns a checksum, which must be the
 * same wherever it runs.  One thread, but where it says otherwise; no output.
 */
#ifndef TESTS_BENCH_WORK_H
#define TESTS_BENCH_WORK_H

#include <stdint.h>

uint64_t work_integer(unsigned rounds);
uint64_t work_sha256(unsigned rounds);
uint64_t work_compress(unsigned rounds);
uint64_t work_sort(unsigned rounds);
uint64_t work_calls(unsigned rounds);
uint64_t work_switch(unsigned rounds);

uint64_t work_double(unsigned rounds);
uint64_t work_sse(unsigned rounds);
uint64_t work_avx(unsigned rounds);
uint64_t work_x87(unsigned rounds);
uint64_t work_fft(unsigned rounds);

uint64_t work_memcpy(unsigned rounds);
uint64_t work_memset(unsigned rounds);
uint64_t work_strings(unsigned rounds);
uint64_t work_chase(unsigned rounds);

uint64_t work_syscall(unsigned rounds);
uint64_t work_pipe(unsigned rounds);
uint64_t work_fork(unsigned rounds);
uint64_t work_faults(unsigned rounds);
uint64_t work_signals(unsigned rounds);
uint64_t work_two(unsigned rounds);

/* Numbers that look random (xorshift, Marsaglia 2003). */
static inline uint32_t work_random(uint32_t *state)
{
    uint32_t x = *state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* One more value into a checksum. */
static inline uint64_t work_mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x9e3779b97f4a7c15ull;
}

#endif
