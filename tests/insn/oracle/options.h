/*
 * tests/insn/oracle/options.h - what insn-oracle and tinamou-crosscheck are both told on their command lines.
 */
#ifndef TESTS_INSN_ORACLE_OPTIONS_H
#define TESTS_INSN_ORACLE_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

typedef struct CaseOptions {
    double seconds;                     /* before parsing: if neither is given; 0: until the count */
    gint64 count;                       /* G_MAXINT64: until the time is up */
    gint64 seed;                        /* never 0 */
    unsigned bits;                      /* 0: code of all sizes */
    char *rows, *replay;
    GRegex *rows_wanted;                /* NULL: all */
} CaseOptions;

/* `more`: options of the program's own, before these.  False: errp says what is wrong with which. */
bool options_parse(CaseOptions *o, const char *summary, const GOptionEntry *more, int argc, char **argv, GError **errp);
void options_clear(CaseOptions *o);

#endif
