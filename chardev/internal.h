/*
 * chardev/internal.h - what the kinds of back ends share.
 *
 * A kind opens its descriptors (or none) and says what writing to it does; buffering, fronts,
 * multiplexing and watching descriptors are done once, in chardev.c, fd.c and mux.c.
 */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include <sys/types.h>
#include "chardev/chardev.h"
#include "util/keyval.h"

enum { CHAR_OUT_MAX = 64 * 1024, CHAR_FRONTS = 8, MUX_INPUT_MAX = 4096, CHAR_COUNTED_MAX = 16 << 20 };

typedef struct CharKind {
    const char *name, *summary;
    const KeySpec *keys;                /* beside the common ones; NULL: none */
    bool (*open)(CharBack *c, const KeyVals *k, GError **errp);
    void (*close)(CharBack *c);         /* what open() made, descriptors apart; NULL: nothing */
    /* Bytes taken now, without blocking; -1 and errno.  NULL: to out_fd. */
    ssize_t (*write)(CharBack *c, const uint8_t *buf, size_t len);
    void (*hangup)(CharBack *c);        /* the other end is gone; NULL: for good */
    char *(*describe)(const CharBack *c);
} CharKind;

typedef struct CharSlot {               /* a front that is attached */
    const CharFront *front;
    void *dev;
    GByteArray *input;                  /* multiplexed only: typed, not yet taken */
} CharSlot;

typedef struct CharWaiter {
    void (*fn)(void *opaque);
    void *opaque;
} CharWaiter;

struct CharBack {
    const CharKind *kind;
    Loop *loop;
    char *id;
    bool connected;                     /* somebody is at the other end */
    bool failed;                        /* a write error was reported */
    CharSlot slot[CHAR_FRONTS];
    unsigned n_slots, focus;
    bool mux, escape;                   /* escape: Ctrl-A was typed */
    CharGate *gate;
    void *gate_opaque;
    void (*quit)(void *opaque);
    void *quit_opaque;
    GByteArray *out;                    /* written by fronts, not yet by us */
    GArray *waiters;                    /* of CharWaiter */
    uint64_t dropped;                   /* bytes nobody was there to read */
    int in_fd, out_fd;                  /* -1: none */
    bool in_eof;
    LoopWatch *in_watch, *out_watch;
    unsigned in_events;
    void *priv;                         /* the kind's own */
};

extern const CharKind char_stdio, char_file, char_pty, char_socket, char_null, char_pipe, char_ringbuf;

/* ---- chardev.c: for kinds ---- */
size_t char_room(CharBack *c);                          /* how much char_received() may be given */
void char_received(CharBack *c, const uint8_t *buf, size_t len);
/* To one front, if the gate lets it */
void char_give(CharBack *c, unsigned front, const uint8_t *buf, size_t len);
void char_break(CharBack *c, unsigned front);
void char_connected(CharBack *c, bool on);              /* tells the fronts */
void char_drop_output(CharBack *c);

/* ---- fd.c ---- */
void char_fd_update(CharBack *c);                       /* watch what is of interest now */
ssize_t char_fd_write(CharBack *c, const uint8_t *buf, size_t len);
void char_fd_close(CharBack *c);
/* A descriptor of the same file that does not block, without changing the one others share;
 * *changed: that was not possible, so the given one was changed. */
int char_fd_twin(int fd, bool *changed, GError **errp);
/* A host-time timer on the loop; g_source_destroy() and unref it to stop it. */
GSource *char_timer(CharBack *c, unsigned ms, gboolean (*fn)(gpointer c));

/* ---- mux.c ---- */
size_t mux_room(CharBack *c);
void mux_received(CharBack *c, const uint8_t *buf, size_t len);
void mux_deliver(CharBack *c);                          /* to the fronts that have room again */
void mux_focus(CharBack *c, unsigned slot);

#endif
