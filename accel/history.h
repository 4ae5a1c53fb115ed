/*
 * accel/history.h - states of a counted machine to go back to, kept as it runs.
 *
 * A state is what the devices' tables, the processors and the timers hold, and memory: the last state has a
 * copy of all of it, each earlier one the pages that were different then.
 */
#ifndef ACCEL_HISTORY_H
#define ACCEL_HISTORY_H

#include "accel/accel.h"
#include "core/icount.h"

typedef struct History History;

History *history_new(Accel *a, uint64_t most);          /* bytes for pages of earlier states */
void history_free(History *h);
unsigned history_count(const History *h);
IcountPosition history_at(const History *h, unsigned i);
uint64_t history_insns_of(const History *h, unsigned i, unsigned vcpu);     /* executed by then */
/* Between two steps: keeps the state of now, if it is time to. */
void history_keep(History *h);
void history_forget(History *h);        /* all states */
char *history_refused(const History *h);        /* NULL: states can be kept; else why not */
bool history_back(History *h, unsigned i, GError **errp);

#endif
