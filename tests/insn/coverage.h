/*
 * tests/insn/coverage.h - which rows of insn.tab the tests have executed.
 *
 * A test that makes a processor calls coverage_watch() for it, and coverage_write() before it frees it.
 * All of them add to one file, named by the environment variable TINAMOU_COVERAGE, which the test
 * `insn_coverage` looks at when the others are done.  Without the variable nothing is written.
 */
#ifndef TESTS_INSN_COVERAGE_H
#define TESTS_INSN_COVERAGE_H

#include "target/x86/cpu.h"
#include "target/x86/decode.h"

void coverage_watch(X86Cpu *c);
void coverage_write(X86Cpu *c);
/* For tests that call handlers without x86_bind(). */
void coverage_mark(X86Cpu *c, const X86Row *row);
/* For each row of the table NULL, "x" for executed, or the feature for want of which it is not; NULL: no file,
 * or one of another table. */
char **coverage_read(void);
/* A row that this host cannot execute, for want of a CPUID feature. */
void coverage_excuse(const X86Row *row, const char *feature);

#endif
