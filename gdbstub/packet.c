/*
 * gdbstub/packet.c - framing and the notations inside packets (GDB manual, appendix E.1 Overview).
 */
#include "gdbstub/packet.h"

#include <string.h>

static uint8_t checksum(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;

    while (len--) {
        sum += *p++;
    }
    return sum;
}

/* A packet that is too long is dropped up to the next one: that may be good, and nobody sends it again when
 * there are no acknowledgements. */
static GdbFrame too_long(const uint8_t *buf, size_t len)
{
    const uint8_t *next = memchr(buf + 1, '$', len - 1);

    return (GdbFrame){ GDB_BROKEN, next ? (size_t)(next - buf) : len };
}

/* $payload#xx.  A $ in the payload is the start of another packet: the first was cut off. */
static GdbFrame packet(const uint8_t *buf, size_t len)
{
    const uint8_t *hash = memchr(buf, '#', MIN(len, (size_t)GDB_PACKET_MAX + 2));
    const uint8_t *start = hash ? memrchr(buf, '$', hash - buf) : NULL;
    int high, low;

    if (!hash) {
        return len > GDB_PACKET_MAX + 1 ? too_long(buf, len) : (GdbFrame){ GDB_NOTHING };
    }
    if (buf + len - hash < 3) {
        return (GdbFrame){ GDB_NOTHING };
    }
    high = g_ascii_xdigit_value(hash[1]);
    low = g_ascii_xdigit_value(hash[2]);
    start++;
    GdbFrame f = { GDB_PACKET, hash + 3 - buf, start, hash - start };
    if (high < 0 || low < 0 || (high << 4 | low) != checksum(start, f.len)) {
        f.kind = GDB_BROKEN;
    }
    return f;
}

GdbFrame gdb_frame(const uint8_t *buf, size_t len)
{
    if (!len) {
        return (GdbFrame){ GDB_NOTHING };
    }
    switch (buf[0]) {
    case '+':
        return (GdbFrame){ GDB_ACK, 1 };
    case '-':
        return (GdbFrame){ GDB_NAK, 1 };
    case 3:
        return (GdbFrame){ GDB_BREAK, 1 };
    case '$':
        return packet(buf, len);
    default:
        return (GdbFrame){ GDB_NOTHING, 1 };
    }
}

/* ---- what is in a packet ---- */

bool gdb_take(GdbText *t, const char *what)
{
    size_t n = strlen(what);

    if ((size_t)(t->end - t->p) < n || memcmp(t->p, what, n)) {
        return false;
    }
    t->p += n;
    return true;
}

bool gdb_take_number(GdbText *t, uint64_t *v)
{
    unsigned digits = 0;

    *v = 0;
    while (t->p < t->end && g_ascii_isxdigit(*t->p)) {
        if (++digits > 16) {
            return false;
        }
        *v = *v << 4 | (unsigned)g_ascii_xdigit_value(*t->p++);
    }
    return digits;
}

bool gdb_take_hex(GdbText *t, uint8_t *buf, size_t len)
{
    if ((size_t)(t->end - t->p) / 2 < len) {
        return false;
    }
    for (size_t i = 0; i < len; i++, t->p += 2) {
        int high = g_ascii_xdigit_value(t->p[0]), low = g_ascii_xdigit_value(t->p[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        buf[i] = high << 4 | low;
    }
    return true;
}

static bool take_id(GdbText *t, int *id)
{
    uint64_t v;

    if (gdb_take(t, "-1")) {
        *id = GDB_ALL;
        return true;
    }
    if (!gdb_take_number(t, &v) || v > INT32_MAX) {
        return false;
    }
    *id = (int)v;
    return true;
}

bool gdb_take_thread(GdbText *t, int *pid, int *tid)
{
    *pid = GDB_ANY;
    if (!gdb_take(t, "p")) {
        return take_id(t, tid);
    }
    *tid = GDB_ALL;
    return take_id(t, pid) && (!gdb_take(t, ".") || take_id(t, tid));
}

GByteArray *gdb_unescape(const GdbText *t)
{
    GByteArray *out = g_byte_array_new();

    for (const uint8_t *p = t->p; p < t->end; p++) {
        uint8_t c = *p == '}' && p + 1 < t->end ? *++p ^ 0x20 : *p;
        g_byte_array_append(out, &c, 1);
    }
    return out;
}

/* ---- replies ---- */

void gdb_put_hex(GString *out, const void *buf, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = buf;

    for (size_t i = 0; i < len; i++) {
        g_string_append_c(out, digits[p[i] >> 4]);
        g_string_append_c(out, digits[p[i] & 15]);
    }
}

void gdb_put_binary(GString *out, const void *buf, size_t len)
{
    const char *p = buf;

    for (size_t i = 0; i < len; i++) {
        if (p[i] && strchr("#$}*", p[i])) {
            g_string_append_c(out, '}');
            g_string_append_c(out, p[i] ^ 0x20);
        } else {
            g_string_append_c(out, p[i]);
        }
    }
}

/* "0* " is "0000": a character, *, and how often it comes again plus 29.  Counts that would be one of the
 * characters with a meaning of their own are made smaller. */
void gdb_encode(GString *out, const char *payload, size_t len)
{
    gsize start;

    g_string_append_c(out, '$');
    start = out->len;
    for (size_t i = 0; i < len; ) {
        size_t run = 1;

        while (i + run < len && run < 126 - 29 + 1 && payload[i + run] == payload[i]) {
            run++;
        }
        g_string_append_c(out, payload[i]);
        if (run > 3) {
            while (strchr("#$+-", (int)(run - 1 + 29))) {
                run--;
            }
            g_string_append_c(out, '*');
            g_string_append_c(out, (char)(run - 1 + 29));
            i += run;
        } else {
            i++;
        }
    }
    g_string_append_printf(out, "#%02x", checksum((const uint8_t *)out->str + start, out->len - start));
}
