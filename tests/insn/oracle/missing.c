/*
 * tests/insn/oracle/missing.c - by the names of /proc/cpuinfo, which are those of the table.
 */
#include "missing.h"

#include "../native.h"

const char *feature_of(const X86Row *row)
{
    static const char *const names[CPUF_COUNT] = {
#define X(id, name) [id] = name,
        X86_CPU_FEATURES(X)
#undef X
    };

    /* These two are other instructions without their feature. */
    return row->op == OP_TZCNT ? "bmi1" : row->op == OP_LZCNT ? "abm" : names[row->cpu];
}

const char *feature_missing(const X86Row *row)
{
    const char *name = feature_of(row);

    return name && !native_has(name) ? name : NULL;
}
