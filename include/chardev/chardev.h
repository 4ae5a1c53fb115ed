/*
 * chardev/chardev.h - a two-way stream of bytes: terminal, socket, pty, file, pipe, ring buffer.
 *
 * The device (or the monitor) is the front; whatever is behind is the back.  With the machine lock
 * held; receive() and event() are called by the loop.
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/loop.h"

typedef struct CharBack CharBack;

typedef enum CharEvent {
    CHAR_OPENED, CHAR_CLOSED,       /* somebody is at the other end; nobody is */
    CHAR_BREAK,
    CHAR_FOCUS,                     /* multiplexed: what is typed goes to this front from now on */
} CharEvent;

typedef struct CharFront {
    size_t (*room)(void *dev);                                      /* bytes it would take now */
    void (*receive)(void *dev, const uint8_t *buf, size_t len);     /* len <= room() */
    void (*event)(void *dev, CharEvent event);                      /* may be NULL */
    bool machine;                   /* it is a device: what it receives asks the back's gate first */
} CharFront;

/* The long form, "socket,id=x,path=y,server=on", of -chardev. */
CharBack *chardev_open(Loop *loop, const char *spec, GError **errp);
/* The short form of -serial, -parallel, -monitor, -debugcon: "stdio", "null", "file:x",
 * "mon:stdio", "unix:p,server=on", "tcp:h:p", "pty", "pipe:x", "ringbuf".  ("chardev:id", "none" and
 * the monitor that "mon:" asks for are the machine builder's.) */
CharBack *chardev_open_legacy(Loop *loop, const char *spec, const char *id, GError **errp);
/* Is this a valid long form?  Opens nothing. */
bool chardev_check(const char *spec, char **id, GError **errp);
/* A short form as the long one that means the same. */
char *chardev_long_form(const char *spec, const char *id, GError **errp);
void chardev_help(GString *out);            /* every kind with its options, from the table */
const char *chardev_id(const CharBack *c);
char *chardev_describe(const CharBack *c);  /* "pty /dev/pts/3"; freed by the caller */
bool chardev_is_mux(const CharBack *c);

/* One front a back; a multiplexed back (mux=on, mon:) takes several and Ctrl-A c switches. */
bool chardev_attach(CharBack *c, const CharFront *front, void *dev, GError **errp);
void chardev_detach(CharBack *c, void *dev);
/* NULL back: everything is swallowed.  Short when the back is full; never blocks. */
size_t chardev_write(CharBack *c, const uint8_t *buf, size_t len);
void chardev_on_writable(CharBack *c, void (*fn)(void *opaque), void *opaque);  /* after a short write, once */
void chardev_room_changed(CharBack *c);     /* the front has room again */
void chardev_close(CharBack *c);            /* NULL is fine; waits up to a second for output to leave */
/* What comes for a device: bytes, or NULL for a break, for the front of that number; false: it is dropped. */
typedef bool CharGate(void *opaque, CharBack *c, unsigned front, const uint8_t *buf, size_t len);
void chardev_set_gate(CharBack *c, CharGate *gate, void *opaque);
/* The same from a recording, past the gate; false: there is no such device, or it has no room. */
bool chardev_inject(CharBack *c, unsigned front, const uint8_t *buf, size_t len);
/* Ctrl-A x on a multiplexed back. */
void chardev_on_quit(CharBack *c, void (*fn)(void *opaque), void *opaque);
/* What a ring buffer holds, taken out (ringbuf only): tests and the monitor. */
size_t chardev_ringbuf_read(CharBack *c, uint8_t *buf, size_t len);
/* Put the terminal back as it was, at exit and when stopped; and raw again when continued.  Safe in
 * a signal handler. */
void chardev_restore_terminal(void);
void chardev_reapply_terminal(void);

#endif
