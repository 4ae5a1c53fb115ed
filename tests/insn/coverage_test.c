/*
 * Every row of the instruction table has been executed by some test, or this host cannot: what the tests
 * wrote by coverage.h.  Runs behind all others.
 */
#include <stdio.h>
#include <stdlib.h>
#include "coverage.h"

enum { SKIPPED = 77 };

int main(void)
{
    const X86Row *r;
    unsigned rows = 0, executed = 0, excused = 0, missing = 0;
    char **what = coverage_read();

    if (!what) {
        printf("no test has told what it executed: run the suites unit and oracle\n");
        return SKIPPED;
    }
    for (; (r = x86_row_at(rows)); rows++) {
        if (!what[rows]) {
            printf("never executed: %s (map %u, opcode %02x, /%u, prefixes %x, mod %u)\n", r->names, r->map, r->opcode,
                   r->reg, r->pfx, r->mod);
            missing++;
        } else if (what[rows][0] == 'x' && !what[rows][1]) {
            executed++;
        } else {
            printf("not here, for want of %s: %s\n", what[rows], r->names);
            excused++;
        }
        g_free(what[rows]);
    }
    g_free(what);
    printf("%u rows: %u executed, %u need a feature that this host has not got, %u never executed\n", rows, executed,
           excused, missing);
    return missing != 0;
}
