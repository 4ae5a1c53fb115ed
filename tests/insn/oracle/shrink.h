/*
 * tests/insn/oracle/shrink.h - from a case that differs to the least state that still does.
 */
#ifndef TESTS_INSN_ORACLE_SHRINK_H
#define TESTS_INSN_ORACLE_SHRINK_H

#include "generate.h"

typedef bool ShrinkTest(void *opaque, const OracleCase *c);

/* test() says whether a case still shows the difference; c does so before and after. */
void shrink_case(OracleCase *c, ShrinkTest *test, void *opaque);

#endif
