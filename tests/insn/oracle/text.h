/*
 * tests/insn/oracle/text.h - cases as text.
 */
#ifndef TESTS_INSN_ORACLE_TEXT_H
#define TESTS_INSN_ORACLE_TEXT_H

#include "generate.h"

void case_to_text(const OracleCase *c, GString *out);
bool case_from_text(const char *text, OracleCase *c, GError **errp);
void set_vector(OracleState *s, unsigned n, const uint64_t v[8]);

#endif
