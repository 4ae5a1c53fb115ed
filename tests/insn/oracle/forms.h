/*
 * tests/insn/oracle/forms.h - which forms of the instruction table cases are made from.
 */
#ifndef TESTS_INSN_ORACLE_FORMS_H
#define TESTS_INSN_ORACLE_FORMS_H

#include "engine.h"
#include "generate.h"

typedef struct Forms Forms;

/* Rows that the host has, and the processors of all engines; engines: up to a NULL, used as long as these forms; h:
 * NULL if nothing is run natively; bits: 0 for all sizes of code; rows: NULL for all. */
Forms *forms_new(Engine *const *engines, const OracleHost *h, unsigned bits, const GRegex *rows);
void forms_free(Forms *f);
bool forms_any(const Forms *f);
void forms_name_missing(const Forms *f);        /* what the host has not got, or the emulated processor */

/* BATCH cases in code of one size, or fewer; 0: there are none in code of this size. */
unsigned forms_batch(const Forms *f, Generator *g, Rng *r, OracleCase *item);
/* May this one be run natively, and compared? */
bool forms_case_wanted(const Forms *f, const OracleCase *c, const X86Insn *in);

#endif
