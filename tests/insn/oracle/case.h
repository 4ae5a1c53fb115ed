/*
 * tests/insn/oracle/case.h - one case: a state, the bytes of an instruction, and what became of both.
 *
 * What insn-oracle and its child (child.c) share, so it knows nothing of the rest of the project.  A
 * case lies in memory that both map; `in` and what is before it is written by insn-oracle, `out` by
 * the child.
 *
 * Linear addresses are the same for the child and for the emulated processor:
 *
 *   CODE_AT   one page, read and execute; an absent one before it and behind it
 *   DATA_AT   64 KiB: pages 1, 2 and 5 are read and write, 3 is read only, all others are absent
 */
#ifndef TESTS_INSN_ORACLE_CASE_H
#define TESTS_INSN_ORACLE_CASE_H

#include <stdbool.h>
#include <stdint.h>

enum { ORACLE_PAGE = 4096, CODE_AT = 0x20000000, DATA_AT = 0x10000000, DATA_PAGES = 6, LINE = 64 };
enum { DATA_RW = 1, DATA_RO = 2, DATA_ABSENT = 0 };
static const uint8_t data_page_kind[DATA_PAGES] = { DATA_ABSENT, DATA_RW, DATA_RW, DATA_RO, DATA_ABSENT, DATA_RW };

/* The code page is filled with INT3, which also ends a case that does not trap by TF. */
enum { CODE_FILL = 0xcc };

/* Selectors: those of Linux for flat segments, and a local descriptor table of our own. */
enum { SEL_USER32 = 0x23, SEL_USER_DATA = 0x2b, SEL_USER64 = 0x33 };
enum { LDT_CODE16, LDT_DATA16, LDT_DATA32, LDT_DOWN32, LDT_READ_ONLY, LDT_EXEC_ONLY, LDT_ABSENT, LDT_CODE32,
       LDT_DOWN16, LDT_SHORT, LDT_USED };
#define LDT_SEL(entry) ((uint16_t)((entry) * 8 + 7))

/* As modify_ldt() takes them. */
typedef struct OracleSegment {
    uint32_t base, limit;               /* in bytes, or in pages */
    uint8_t contents;                   /* 0 data, 1 data that expands down, 2 code */
    bool big, read_only /* or execute only */, pages, absent;
} OracleSegment;

static const OracleSegment oracle_ldt[LDT_USED] = {
    [LDT_CODE16] = { CODE_AT, 0xffff, 2, false, false, false, false },
    [LDT_DATA16] = { DATA_AT, 0xffff, 0, false, false, false, false },
    [LDT_DATA32] = { DATA_AT, 0xffff, 0, true, false, false, false },
    [LDT_DOWN32] = { DATA_AT, 0x1ffb, 1, true, false, false, false },
    [LDT_READ_ONLY] = { DATA_AT, 0xffff, 0, true, true, false, false },
    [LDT_EXEC_ONLY] = { DATA_AT, 0xffff, 2, true, true, false, false },
    [LDT_ABSENT] = { DATA_AT, 0xffff, 0, true, false, false, true },
    [LDT_CODE32] = { CODE_AT, 0xfffff, 2, true, false, true, false },
    [LDT_DOWN16] = { DATA_AT, 0x1ffb, 1, false, false, false, false },
    [LDT_SHORT] = { DATA_AT, 0x1fee, 0, true, false, false, false },
};

/* General registers in the order of their numbers, segments ES CS SS DS FS GS. */
typedef struct OracleState {
    uint64_t regs[16], rip, flags;
    uint64_t fs_base, gs_base;          /* loaded in 64-bit code only: else the descriptor's */
    uint16_t seg[6];
    uint8_t vectors;                    /* the members below that are there: ORACLE_AVX, ORACLE_AVX512 */
    /* As XSAVE lays its components out; bytes 6..23 of fx (the x87 pointers) are neither loaded nor compared. */
    _Alignas(64) uint8_t fx[512];
    uint64_t ymm_high[16][2];
    uint64_t k[8], zmm_high[16][4], zmm16[16][8];
} OracleState;

enum { ORACLE_AVX = 1, ORACLE_AVX512 = 2 };

typedef struct OraclePatch {            /* of the background: within the read-write pages */
    uint16_t at, len;                   /* at: from DATA_AT */
    uint8_t bytes[LINE];
} OraclePatch;

typedef struct OracleLine {             /* memory that is not as the background */
    uint16_t at;
    uint8_t bytes[LINE];
} OracleLine;

/* No exception: the instruction came to its end. */
enum { ORACLE_NONE = -1, ORACLE_SYSCALL = 0x100 };
enum { ORACLE_ENDLESS = 0x101, ORACLE_SHUTDOWN = 0x102 };       /* an accelerator's */
enum { PATCHES = 3, LINES = 3 * ORACLE_PAGE / LINE };

typedef struct OracleResult {
    int32_t vector;                     /* or ORACLE_NONE; ORACLE_SYSCALL: the kernel was called */
    uint32_t error;
    uint64_t cr2;                       /* of a page fault */
    uint16_t lines;
    bool gap;                           /* the engine could not run it, and let another do it: shows nothing */
    OracleState state;
    OracleLine line[LINES];
} OracleResult;

typedef struct OracleCase {
    uint8_t bits, len;                  /* 16, 32 or 64; bytes in `code` */
    uint8_t patches;
    bool runs_on;                       /* to what is behind it, unless it faults: a jump may stand there */
    uint8_t steps;                      /* how often a REP that traps after each element goes on */
    uint16_t code_at;                   /* in the code page; bytes beyond its end are not there */
    uint8_t code[16];
    OraclePatch patch[PATCHES];
    OracleState in;
    OracleResult out;
} OracleCase;

enum { BATCH = 256 };

typedef struct OracleHost {             /* what the host's kernel lets its programs have */
    bool fsgsbase;                      /* the instructions: without them, bases are what arch_prctl() takes */
    bool descriptors;                   /* 32-bit code, and a local descriptor table */
} OracleHost;

typedef struct OracleShared {
    _Atomic uint32_t posted, done;      /* batches so far: futexes */
    uint32_t count;                     /* cases in this one */
    uint32_t current;                   /* the one that runs: tells which killed the child */
    uint32_t ready;                     /* of the child's set-up: 1, or what failed */
    OracleHost host;
    uint8_t background[DATA_PAGES * ORACLE_PAGE];
    OracleCase item[BATCH];
} OracleShared;

enum { READY = 1, NO_LDT = 2, NO_MEMORY = 3, NO_SECCOMP = 4 };

/* x87 and SSE members of fx. */
enum { FX_FCW = 0, FX_FSW = 2, FX_FTW = 4, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160, FX_END = 416 };

#endif
