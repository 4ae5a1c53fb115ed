/*
 * tests/insn/oracle/trampoline.h - how child.c gets into a case, and out of it without the kernel.
 *
 * Two places in its address space, known to both.  One page of code lies below 4 GiB, where 32-bit code
 * can jump to it; all else is above, out of reach of 32-bit cases.
 */
#ifndef TESTS_INSN_ORACLE_TRAMPOLINE_H
#define TESTS_INSN_ORACLE_TRAMPOLINE_H

#define LOW_AT  0x9b3c7000              /* no address that a case has a reason to come to */
#define HIGH_AT 0x10b3c7000

/* In the page at LOW_AT: entries, and data that 32-bit code reads. */
#define LOW_ENTER  0                    /* runs the case at HIGH_AT: 0 when it came to `leave`, 1 if to `back` */
#define LOW_LEAVE  0x100
#define LOW_BACK   0x300                /* out of a signal handler */
#define LOW_TRAP   0x380                /* as `enter`, by INT3: the signal handler loads the case */
#define LOW_SMALL  0x400                /* 32-bit code */
#define LOW_SS     0x800
#define LOW_TARGET 0x808

/* Offsets in High. */
#define HIGH_REGS  4096
#define HIGH_FLAGS 4224
#define HIGH_STACK 4232
#define HIGH_MASK  4240
#define HIGH_FRAME 4248
#define HIGH_SEG   4288

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <string.h>
#include "case.h"

typedef struct Frame { uint64_t rip, cs, flags, rsp, ss; } Frame;

typedef struct High {
    uint8_t xsave[HIGH_REGS];
    uint64_t regs[16], flags;
    uint64_t stack;                     /* of the loop */
    uint64_t mask;                      /* of XRSTOR and XSAVE */
    Frame frame;                        /* for IRETQ */
    uint16_t seg[6];
} High;

_Static_assert(offsetof(High, flags) == HIGH_FLAGS && offsetof(High, stack) == HIGH_STACK
               && offsetof(High, mask) == HIGH_MASK && offsetof(High, frame) == HIGH_FRAME
               && offsetof(High, seg) == HIGH_SEG, "trampoline.S knows them too");

extern const uint8_t oracle_trampoline[], oracle_trampoline_end[];

enum { JUMP_MAX = 8 };

/* The jump to `leave`, behind the instruction.  Emulators put it there too: an instruction may read it. */
static inline void put_jump(const OracleCase *c, uint8_t *code_page)
{
    const uint32_t leave = LOW_AT + LOW_LEAVE, rel = leave - (CODE_AT + c->code_at + c->len + 5);
    const uint16_t sel = SEL_USER64;
    uint8_t *to = code_page + c->code_at + c->len;

    if (!c->runs_on || c->code_at + c->len + JUMP_MAX > ORACLE_PAGE) {
        return;
    }
    if (c->bits == 64) {
        *to = 0xe9;                     /* JMP rel32 */
        memcpy(to + 1, &rel, 4);
        return;
    }
    if (c->bits == 16) {
        *to++ = 0x66;
    }
    *to = 0xea;                         /* JMP ptr16:32 */
    memcpy(to + 1, &leave, 4);
    memcpy(to + 5, &sel, 2);
}

#endif
#endif
