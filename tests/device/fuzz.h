/*
 * Random use of any device: what can be done to it (fuzz-ops.c), and what is checked (fuzz.c).
 *
 * An operation is a line of text, "name size address value" in hexadecimal, so that a run can be
 * printed, cut down and played again.
 */
#ifndef TESTS_DEVICE_FUZZ_H
#define TESTS_DEVICE_FUZZ_H

#include <stdio.h>
#include "harness.h"

enum { FUZZ_SECTIONS = 96 };

typedef struct Op {
    unsigned kind;                      /* index in the table of fuzz-ops.c */
    unsigned size;
    uint64_t addr, val;
} Op;

typedef struct Fuzz {
    Harness *h;
    GRand *rand;
    MemSection io[FUZZ_SECTIONS], mem[FUZZ_SECTIONS];       /* where there is something to reach */
    unsigned n_io, n_mem;
    uint64_t seen[16];                  /* values lately read or written: worth writing again */
    unsigned n_seen;
} Fuzz;

void fuzz_look(Fuzz *f);                /* find the sections anew */
Op fuzz_pick(Fuzz *f);
uint64_t fuzz_run(Harness *h, const Op *op);    /* what it read; 0 for a write */
void fuzz_note(Fuzz *f, uint64_t value);
void fuzz_print(const Op *op, FILE *to);
bool fuzz_parse(const char *line, Op *op);

#endif
