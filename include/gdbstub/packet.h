/*
 * gdbstub/packet.h - packets of the remote serial protocol (GDB manual, appendix E.1): framing, numbers,
 * hexadecimal, escapes, run-length encoding.
 *
 * Pure functions over bytes that nobody vouches for: no state, any thread.
 */
#ifndef GDBSTUB_PACKET_H
#define GDBSTUB_PACKET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GDB_PACKET_MAX = 0x4000 };       /* payload, either way; gdb is told */

typedef enum GdbFrameKind {
    GDB_NOTHING,                        /* what was used was noise; or more bytes are needed */
    GDB_ACK, GDB_NAK,
    GDB_BREAK,                          /* Ctrl-C */
    GDB_PACKET,
    GDB_BROKEN,                         /* a packet with a wrong checksum, or too long */
} GdbFrameKind;

typedef struct GdbFrame {
    GdbFrameKind kind;
    size_t used;                        /* bytes to take from the front of the buffer */
    const uint8_t *data;                /* GDB_PACKET: in the buffer */
    size_t len;
} GdbFrame;

GdbFrame gdb_frame(const uint8_t *buf, size_t len);

/* ---- what is in a packet, from front to back ---- */
typedef struct GdbText {
    const uint8_t *p, *end;
} GdbText;

static inline bool gdb_empty(const GdbText *t) { return t->p == t->end; }
bool gdb_take(GdbText *t, const char *what);            /* false: something else is there, nothing taken */
bool gdb_take_number(GdbText *t, uint64_t *v);          /* hexadecimal, 1 to 16 digits */
bool gdb_take_hex(GdbText *t, uint8_t *buf, size_t len);        /* exactly len bytes */
/* "p1.2", "2", "-1": a process and thread; ALL for -1, ANY for 0 */
enum { GDB_ANY = 0, GDB_ALL = -1 };
bool gdb_take_thread(GdbText *t, int *pid, int *tid);
GByteArray *gdb_unescape(const GdbText *t);             /* the rest, binary (E.1) */

/* ---- replies ---- */
void gdb_put_hex(GString *out, const void *buf, size_t len);
void gdb_put_binary(GString *out, const void *buf, size_t len);
void gdb_encode(GString *out, const char *payload, size_t len);         /* $...#xx, runs shortened */

#endif
