/*
 * tests/insn/oracle/engine.h - whoever can run a case: this processor, or a way of emulating one.
 *
 * One thread.  A batch goes in, each case's `out` comes back.
 */
#ifndef TESTS_INSN_ORACLE_ENGINE_H
#define TESTS_INSN_ORACLE_ENGINE_H

#include <glib.h>
#include <sys/types.h>
#include "case.h"
#include "target/x86/decode.h"

typedef struct Engine Engine;

typedef struct EngineOps {
    const char *name, *summary;
    Engine *(*create)(const uint8_t *background, GError **errp);
    void (*destroy)(Engine *e);
    /* Has its processor what the row needs? */
    bool (*has)(Engine *e, const X86Row *row);
    /* out[i] for item[i]. */
    bool (*run)(Engine *e, const OracleCase *item, OracleResult *out, unsigned count, GError **errp);
} EngineOps;

struct Engine {                         /* the engine's own struct embeds this first */
    const EngineOps *ops;
};

extern const EngineOps engine_handlers; /* the interpreter's handlers, one instruction at a time (handlers.c) */
extern const EngineOps engine_dbt;      /* the translator, by its run loop (accelerated.c) */
extern const EngineOps engine_kvm;      /* the processor again, in its guest mode (accelerated.c) */

/* ---- the processor that this runs on (native.c) ---- */

typedef struct Native Native;

Native *native_open(const uint8_t *background, GError **errp);
void native_close(Native *n);
bool native_restart(Native *n, GError **errp);          /* after a failure: with a new child */
OracleCase *native_items(Native *n);                    /* BATCH of them, to be filled */
void native_start(Native *n, unsigned count);           /* ... and run, beside us */
bool native_finish(Native *n, GError **errp);           /* false: a case killed the child, or hangs */
const OracleCase *native_current(const Native *n);      /* the one that runs, or ran last */
pid_t native_pid(const Native *n);
const OracleHost *native_host(const Native *n);

#endif
