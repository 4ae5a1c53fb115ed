/*
 * tests/insn/oracle/missing.h - CPUID features that this processor lacks.
 */
#ifndef TESTS_INSN_ORACLE_MISSING_H
#define TESTS_INSN_ORACLE_MISSING_H

#include "target/x86/decode.h"

/* The feature that a row needs: its name if this host has it not, else NULL. */
const char *feature_missing(const X86Row *row);
const char *feature_of(const X86Row *row);

#endif
