/*
 * core/replay.h - what comes to a counted machine (core/icount.h) from outside: recorded with the position at
 * which it came, and given to it again at that position.
 *
 * replay_enter() is the one gate: whoever brings something from outside asks there first.  The driver
 * asks, before each step, whether something is due.  All takes NULL for "neither recording nor replaying".
 * With the machine lock held.
 *
 * What is live takes what comes from outside.  A recording and a log are live but for the time from when they have been
 * taken back to when they have come again to where they were: what had come then comes again.
 *
 * The file (docs/replay.md): a head with a text that says what machine it is, then records, each with a
 * checksum, written as they come.  A file is not trusted.
 */
#ifndef CORE_REPLAY_H
#define CORE_REPLAY_H

#include "core/icount.h"

typedef enum ReplayKind {
    REPLAY_CHECK = 1,           /* hash of the processors' registers, now and then */
    REPLAY_BYTES,               /* for a device on a character back end: its id; front number, bytes */
    REPLAY_BREAK,
    REPLAY_KEY,                 /* name of a key; 1 down, 0 up */
    REPLAY_MOVE,                /* three int32 */
    REPLAY_BUTTONS,             /* uint32: a mask */
    REPLAY_REQUEST,             /* uint32: MACHINE_RESET or MACHINE_POWERDOWN */
    REPLAY_COMMAND,             /* a line for the monitor */
    REPLAY_END,                 /* hash of registers and memory */
    REPLAY_KINDS
} ReplayKind;

enum { REPLAY_NAME_MAX = 255, REPLAY_DATA_MAX = 1 << 20, REPLAY_HEAD_MAX = 1 << 20 };

/* What the recording stands on and cannot do itself. */
typedef struct ReplayHost {
    /* To the machine, from the recording; false: there is no such thing, errp says more. */
    bool (*deliver)(void *opaque, ReplayKind kind, const char *name, const uint8_t *data, size_t len, GError **errp);
    uint64_t (*hash)(void *opaque, bool memory_too);
    /* The recording has come to its end; error NULL: as it was recorded. */
    void (*ended)(void *opaque, const GError *error);
    void *opaque;
} ReplayHost;

/* Of what comes to a machine that can be taken back, in memory alone. */
Replay *replay_log(void);
/* `head` describes the machine. */
Replay *replay_record(const char *file, const char *head, GError **errp);
/* Reads and checks all of the file.  A last record that is cut off, as of a crash, is left out. */
Replay *replay_open(const char *file, GError **errp);
const char *replay_head(const Replay *r);
void replay_set_host(Replay *r, const ReplayHost *host);
/* Recording: the last record, with the hash of all.  Replaying: is this the recorded end?  Frees nothing. */
bool replay_finish(Replay *r, Machine *m, GError **errp);
void replay_free(Replay *r);
bool replay_replaying(const Replay *r);         /* it is not live */
bool replay_is_file(const Replay *r);           /* nobody may change what the machine does but what is in it */

/* Something comes from outside.  False: it must not, the recording says what comes. */
bool replay_enter(Machine *m, ReplayKind kind, const char *name, const void *data, size_t len);
/* What enters between these two is part of something that has entered. */
void replay_nest(Machine *m, bool begin);

/* ---- for the driver ---- */
/* Gives the machine what is due at its position; true: something was. */
bool replay_due(Replay *r, Machine *m);
/* Instructions until something is due; a lot: nothing. */
uint64_t replay_room(const Replay *r, const Machine *m);
/* The guest waits for something from outside: is the recording to blame that nothing comes? */
void replay_starved(Replay *r, Machine *m);
/* Which of what is recorded is next; the machine was taken to where that was so. */
unsigned replay_next(const Replay *r);
void replay_go_to(Replay *r, unsigned next);
bool replay_ended(const Replay *r);
/* Recordings and logs: from now on what comes can come again, or no longer; the machine is about to be taken back; what
 * was is not to come again. */
void replay_keep(Replay *r, bool on);
uint64_t replay_kept(const Replay *r);          /* bytes, about */
void replay_leave(Replay *r, Machine *m);
void replay_forget(Replay *r);

#endif
