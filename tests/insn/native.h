/*
 * tests/insn/native.h - run one instruction on this processor, with all of its registers given.
 *
 * The bytes run as they are: every general register but RSP, the flags, and what FXRSTOR loads come
 * from the state and go back to it.  A trap ends the run and is reported, with the registers as they
 * were then.  One thread.
 */
#ifndef TESTS_INSN_NATIVE_H
#define TESTS_INSN_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NativeState {
    _Alignas(64) uint8_t fx[512];       /* FXSAVE64's layout */
    uint8_t ymm_high[16][16];           /* the upper halves of YMM, on processors with AVX */
    uint64_t zmm[32][8], k[8];          /* all of them, on processors with AVX512BW */
    uint64_t regs[16];                  /* [4], RSP, is not loaded */
    uint64_t flags;
    int signal;                         /* SIGFPE, SIGSEGV, SIGILL ...; 0: it ran to its end */
} NativeState;

enum { NATIVE_MEMORY = 4096 };

/* The state, and a page of memory for operands, lie below 2 GiB. */
NativeState *native_state(void);
uint8_t *native_memory(void);
void native_run(const uint8_t *insn, size_t len);

/* Has this processor the feature, by its name in /proc/cpuinfo? */
bool native_has(const char *feature);

#endif
