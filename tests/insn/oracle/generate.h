/*
 * tests/insn/oracle/generate.h - cases from the instruction table.
 */
#ifndef TESTS_INSN_ORACLE_GENERATE_H
#define TESTS_INSN_ORACLE_GENERATE_H

#include <glib.h>
#include "case.h"
#include "rng.h"
#include "target/x86/decode.h"

typedef struct Form {                   /* a row, and one of the opcodes that it claims */
    const X86Row *row;
    uint8_t map, opcode;
} Form;

typedef struct Generator Generator;

/* Cases of the forms given, with values from the seed. */
Generator *generator_new(uint64_t seed);
void generator_free(Generator *g);
const uint8_t *case_background(void);   /* the same for all seeds: cases can be told without it */
/* Fill in all but `out`.  False: this form has none in code of these bits (or none was found). */
bool generate(Generator *g, const Form *form, unsigned bits, OracleCase *c);
/* All registers 0, flat segments, control words as FNINIT and RESET leave them, code at `at`. */
void plain_case(OracleCase *c, unsigned bits, uint16_t at);
bool runs_on(const X86Insn *in, const OracleCase *c);     /* what OracleCase.runs_on may be */
/* Decode a case's bytes; row NULL: they are no instruction.  False: their end lies in the absent page. */
bool decode_case(const OracleCase *c, X86Insn *in);

bool has_operand(const X86Row *r, unsigned kind);       /* OPK_* */
/* Four bytes of memory as the instruction finds it; 0 where there is none. */
uint32_t case_word(const OracleCase *c, uint64_t linear);
/* Where the segment begins that a segment register of the case names. */
uint64_t segment_base(const OracleCase *c, unsigned seg);
/* Of the operand in memory, whatever names its address: within its segment, and with the segment's base. */
uint64_t operand_offset(const OracleCase *c, const X86Insn *in);
uint64_t operand_linear(const OracleCase *c, const X86Insn *in);

/* values.c */
uint64_t random_integer(Rng *r);
uint64_t random_element(Rng *r);        /* of a vector */
void random_x87(Rng *r, uint8_t out[10]);
void random_background(Rng *r, uint8_t *p);
uint16_t random_fcw(Rng *r);
uint16_t random_fsw(Rng *r, uint16_t fcw);
uint32_t random_mxcsr(Rng *r);

#endif
