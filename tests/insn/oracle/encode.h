/*
 * tests/insn/oracle/encode.h - random encodings, and what may not run on this processor.
 */
#ifndef TESTS_INSN_ORACLE_ENCODE_H
#define TESTS_INSN_ORACLE_ENCODE_H

#include "generate.h"

enum { ENCODING_MAX = 40 };             /* room for what follows the longest prefixes */

/* Bytes that begin with an encoding of the form, as a rule; how many. */
unsigned random_encoding(Rng *r, const Form *form, unsigned bits, uint8_t out[ENCODING_MAX]);

/* Why a row is not run natively at all, NULL: it is (excluded.c). */
const char *row_excluded(const X86Row *row);
/* The same for one instruction: what decode_case() gave, and the bytes. */
bool case_excluded(const OracleCase *c, const X86Insn *in);
/* Can this host load the state, and what the instruction loads into segment registers? */
bool host_can(const OracleHost *h, const OracleCase *c, const X86Insn *in);

#endif
