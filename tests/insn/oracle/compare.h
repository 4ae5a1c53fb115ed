/*
 * tests/insn/oracle/compare.h - do two results agree, undefined parts left out?
 */
#ifndef TESTS_INSN_ORACLE_COMPARE_H
#define TESTS_INSN_ORACLE_COMPARE_H

#include "generate.h"

/* Parts of a result that the manuals leave open, or the host's kernel does not show. */
typedef struct Undefined {
    uint32_t flags;                     /* bits of RFLAGS */
    uint32_t mxcsr;
    uint16_t fsw;                       /* bits of the x87 status word */
    bool ftw;                           /* x87 tags */
    bool upper_halves;                  /* of RCX, RSI and RDI */
    uint32_t error;                     /* bits of the error code */
    uint64_t cr2;                       /* bits of the faulting address */
    bool which_fault;                   /* of several: they come in an order of the processor's own */
    bool x87;
    uint8_t operand_byte;               /* in rules: not 0, this one of the memory operand */
    uint64_t not_compared;              /* its linear address */
    bool memory;                        /* what was stored */
    bool bases;                         /* of FS and GS */
    bool all;                           /* nothing can be said */
} Undefined;

typedef struct Difference {
    const char *what;
    unsigned index;                     /* of the register, or the address in memory */
    uint64_t ours, native;
} Difference;

/* undefined.c: in->row NULL: no instruction. */
void undefined_results(const OracleCase *c, const X86Insn *in, const OracleResult *ours, const OracleResult *native,
                       Undefined *u);
void undefined_print(GString *out);     /* the table, for docs and reviewers */

/* True: they differ; the first difference in *d. */
bool results_differ(const OracleCase *c, const OracleResult *ours, const OracleResult *native, const Undefined *u,
                    Difference *d);
/* `other`: who the second is called. */
void difference_print(const Difference *d, const OracleCase *c, const char *other, GString *out);

#endif
