/*
 * Recordings: the file, and what is due when.
 *
 *   file    "TINAMOU-RR\n" u8 version, u32 length of the head, head, u32 checksum of the head
 *   record  u8 kind, u8 length of the name, u32 length of the data, u64 instructions, u64 timers, u64 guest time,
 *           name, data, u32 checksum of the record so far
 *
 * Numbers are little-endian; checksums are zlib's CRC-32.
 */
#include "core/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include "util/bits.h"
#include "util/error.h"

#define MAGIC "TINAMOU-RR\n"

enum { VERSION = 1, MAGIC_LEN = sizeof(MAGIC) - 1, RECORD_FIXED = 30, CRC_LEN = 4 };
/* Instructions between two records of the registers' hash */
enum { CHECK_EVERY = 1 << 25 };
/* An event that is in no file: up to where the machine had come when it was taken back.  Recording: with the hash of
 * registers and memory, as the end there would have it */
enum { HERE = REPLAY_KINDS };

typedef struct Event {
    ReplayKind kind;
    IcountPosition at;
    int64_t time;               /* an idle guest's goes on while nothing is executed */
    const char *name;
    const uint8_t *data;
    uint32_t len;
} Event;

struct Replay {
    char *path, *head;
    ReplayHost host;
    FILE *out;                  /* of a recording */
    bool live;                  /* what comes, comes from outside; else from `events` */
    bool keep;                  /* what comes becomes an event */
    uint64_t kept;              /* bytes, about */
    uint64_t next_check;
    unsigned nested;
    bool failed;                /* writing has failed; said once */
    GArray *events;             /* of Event, which point into `owned` and `bytes` */
    GPtrArray *owned;
    char *bytes;
    guint next;                 /* of the events; live: behind the last */
    bool ended;
};

/* ---- writing ---- */

static void put(Replay *r, const GByteArray *b)
{
    if (!r->failed && (fwrite(b->data, 1, b->len, r->out) != b->len || fflush(r->out))) {
        r->failed = true;
        fprintf(stderr, "tinamou: -rr record=%s: %s: what comes from now on is not recorded\n", r->path,
                g_strerror(errno));
    }
}

static void put_crc(GByteArray *b, guint from)
{
    uint8_t crc[CRC_LEN];

    st32le(crc, (uint32_t)crc32(0, b->data + from, b->len - from));
    g_byte_array_append(b, crc, sizeof(crc));
}

static void *own(Replay *r, void *p)
{
    g_ptr_array_add(r->owned, p);
    return p;
}

static void keep(Replay *r, Event e)
{
    e.name = own(r, g_strdup(e.name));
    e.data = own(r, g_memdup2(e.data, e.len));
    g_array_append_val(r->events, e);
    r->next = r->events->len;
    r->kept += sizeof(e) + strlen(e.name) + e.len;
}

static void write_record(Replay *r, const Event *e)
{
    g_autoptr(GByteArray) b = g_byte_array_new();
    uint8_t fixed[RECORD_FIXED] = { e->kind, (uint8_t)strlen(e->name) };

    st32le(fixed + 2, e->len);
    st64le(fixed + 6, e->at.insns);
    st64le(fixed + 14, e->at.fired);
    st64le(fixed + 22, (uint64_t)e->time);
    g_byte_array_append(b, fixed, sizeof(fixed));
    g_byte_array_append(b, (const uint8_t *)e->name, fixed[1]);
    g_byte_array_append(b, e->data, e->len);
    put_crc(b, 0);
    put(r, b);
}

static void record(Replay *r, Machine *m, ReplayKind kind, const char *name, const void *data, size_t len)
{
    Event e = { kind, icount_position(m), clock_now(m->clock), name, data, (uint32_t)len };

    if (r->out) {
        write_record(r, &e);
    }
    if (r->keep) {
        keep(r, e);
    }
}

static Replay *replay_new(const char *file, bool live)
{
    Replay *r = g_new0(Replay, 1);

    r->path = g_strdup(file);
    r->live = live;
    r->events = g_array_new(false, false, sizeof(Event));
    r->owned = g_ptr_array_new_with_free_func(g_free);
    return r;
}

Replay *replay_log(void)
{
    return replay_new(NULL, true);
}

Replay *replay_record(const char *file, const char *head, GError **errp)
{
    FILE *f = fopen(file, "wbe");
    uint8_t n[4];

    if (!f) {
        error_set_errno(errp, errno, "%s cannot be written", file);
        return NULL;
    }
    Replay *r = replay_new(file, true);
    g_autoptr(GByteArray) b = g_byte_array_new();
    r->head = g_strdup(head);
    r->out = f;
    g_byte_array_append(b, (const uint8_t *)MAGIC, MAGIC_LEN);
    g_byte_array_append(b, &(uint8_t){ VERSION }, 1);
    st32le(n, (uint32_t)strlen(head));
    g_byte_array_append(b, n, sizeof(n));
    g_byte_array_append(b, (const uint8_t *)head, (guint)strlen(head));
    put_crc(b, 0);
    put(r, b);
    return r;
}

/* ---- reading ---- */

typedef struct Reader {
    const uint8_t *p;
    size_t left;
} Reader;

static const uint8_t *take(Reader *in, size_t n)
{
    const uint8_t *p = in->p;

    if (in->left < n) {
        return NULL;
    }
    in->p += n;
    in->left -= n;
    return p;
}

static bool read_head(Replay *r, Reader *in, GError **errp)
{
    const uint8_t *start = in->p, *fixed = take(in, MAGIC_LEN + 5);
    uint32_t n = fixed ? ld32le(fixed + MAGIC_LEN + 1) : 0;

    if (!fixed || memcmp(fixed, MAGIC, MAGIC_LEN)) {
        error_set(errp, "this is no recording of Tinamou's");
        return false;
    }
    if (fixed[MAGIC_LEN] != VERSION) {
        error_set(errp, "the recording has version %u; this Tinamou knows version %u", fixed[MAGIC_LEN], VERSION);
        return false;
    }
    const uint8_t *text = n <= REPLAY_HEAD_MAX ? take(in, n) : NULL;
    const uint8_t *crc = text ? take(in, CRC_LEN) : NULL;
    if (!crc || ld32le(crc) != (uint32_t)crc32(0, start, MAGIC_LEN + 5 + n) || memchr(text, 0, n)) {
        error_set(errp, "the recording is damaged at its head");
        return false;
    }
    r->head = g_strndup((const char *)text, n);
    return true;
}

/* 1: a record; 0: the end, or one that is cut off; -1: it is damaged. */
static int read_record(Replay *r, Reader *in, IcountPosition *last)
{
    const uint8_t *start = in->p, *fixed = take(in, RECORD_FIXED);
    uint32_t name_len = fixed ? fixed[1] : 0, len = fixed ? ld32le(fixed + 2) : 0;

    if (!fixed) {
        return 0;
    }
    if (len > REPLAY_DATA_MAX || fixed[0] < REPLAY_CHECK || fixed[0] >= REPLAY_KINDS) {
        return -1;
    }
    const uint8_t *name = take(in, name_len), *data = name ? take(in, len) : NULL;
    const uint8_t *crc = data ? take(in, CRC_LEN) : NULL;
    if (!crc) {
        return 0;
    }
    Event e = { fixed[0], { ld64le(fixed + 6), ld64le(fixed + 14) }, (int64_t)ld64le(fixed + 22), NULL, data, len };
    if (ld32le(crc) != (uint32_t)crc32(0, start, RECORD_FIXED + name_len + len) || memchr(name, 0, name_len)
        || e.at.insns < last->insns || e.at.fired < last->fired || e.time < 0) {
        return -1;
    }
    *last = e.at;
    e.name = own(r, g_strndup((const char *)name, name_len));
    g_array_append_val(r->events, e);
    return e.kind == REPLAY_END ? 0 : 1;
}

static bool read_all(Replay *r, size_t size, GError **errp)
{
    Reader in = { (const uint8_t *)r->bytes, size };
    IcountPosition last = { 0 };
    int more = 1;

    if (!read_head(r, &in, errp)) {
        return false;
    }
    while (more > 0) {
        size_t at = size - in.left;
        more = read_record(r, &in, &last);
        if (more < 0) {
            error_set(errp, "the recording is damaged at byte %zu", at);
            return false;
        }
    }
    return true;
}

Replay *replay_open(const char *file, GError **errp)
{
    Replay *r = replay_new(file, false);
    g_autoptr(GError) err = NULL;
    gsize size;

    if (!g_file_get_contents(file, &r->bytes, &size, &err)) {
        error_set(errp, "%s", err->message);
    } else if (read_all(r, size, errp)) {
        return r;
    }
    replay_free(r);
    return NULL;
}

const char *replay_head(const Replay *r)
{
    return r->head;
}

void replay_set_host(Replay *r, const ReplayHost *host)
{
    r->host = *host;
}

void replay_free(Replay *r)
{
    if (!r) {
        return;
    }
    if (r->out) {
        fclose(r->out);
    }
    g_array_free(r->events, true);
    g_ptr_array_free(r->owned, true);
    g_free(r->bytes);
    g_free(r->path);
    g_free(r->head);
    g_free(r);
}

bool replay_replaying(const Replay *r)
{
    return r && !r->live;
}

bool replay_is_file(const Replay *r)
{
    return r && r->path;
}

static void forget_events(Replay *r)
{
    g_array_set_size(r->events, 0);
    g_ptr_array_set_size(r->owned, 0);
    r->next = 0;
    r->kept = 0;
}

/* Behind its past the machine needs nothing of it, if nobody is to go back. */
static void drop_unkept(Replay *r)
{
    if (r->live && !r->keep) {
        forget_events(r);
    }
}

/* Stopped by a debugger where it was taken back from, it is where it was: the driver need not come first. */
static void arrive(Replay *r, Machine *m)
{
    IcountPosition at = icount_position(m);
    const Event *e = r->next + 1 == r->events->len ? &g_array_index(r->events, Event, r->next) : NULL;

    if (e && (unsigned)e->kind == HERE && e->at.insns == at.insns && e->at.fired == at.fired
        && e->time >= clock_now(m->clock)) {
        clock_skip(m->clock, e->time);
        r->next++;
        r->live = true;
        drop_unkept(r);
    }
}

/* ---- the gate ---- */

bool replay_enter(Machine *m, ReplayKind kind, const char *name, const void *data, size_t len)
{
    Replay *r = m->icount ? m->icount->replay : NULL;

    /* The driver's own thread brings what the recording says, or what follows from the guest's doing. */
    if (!r || r->nested || g_thread_self() == m->icount->driver) {
        return true;
    }
    if (!r->live) {
        arrive(r, m);
    }
    if (!r->live) {
        return false;
    }
    if (strlen(name) > REPLAY_NAME_MAX || len > REPLAY_DATA_MAX) {
        return false;
    }
    record(r, m, kind, name, data, len);
    return true;
}

void replay_nest(Machine *m, bool begin)
{
    Replay *r = m->icount ? m->icount->replay : NULL;

    if (r) {
        r->nested += begin ? 1 : -1;
    }
}

/* ---- the driver ---- */

static const Event *next_event(const Replay *r)
{
    return r->next < r->events->len ? &g_array_index(r->events, Event, r->next) : NULL;
}

static void end(Replay *r, const GError *error)
{
    if (!r->ended) {
        r->ended = true;
        r->host.ended(r->host.opaque, error);
    }
}

static void G_GNUC_PRINTF(3, 4) diverged(Replay *r, Machine *m, const char *fmt, ...)
{
    IcountPosition at = icount_position(m);
    g_autoptr(GError) err = NULL;
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_set(&err, "the guest does not do what it did when it was recorded, at instruction %" PRIu64 ": %s", at.insns,
              text);
    end(r, err);
}

static void check_hash(Replay *r, Machine *m, const Event *e)
{
    uint64_t now = r->host.hash(r->host.opaque, e->kind == REPLAY_END);

    if (e->len != 8 || ld64le(e->data) != now) {
        diverged(r, m, "%s differ", e->kind == REPLAY_END ? "registers or memory" : "registers");
    } else if (e->kind == REPLAY_END) {
        end(r, NULL);
    }
}

static void give(Replay *r, Machine *m, const Event *e)
{
    g_autoptr(GError) err = NULL;

    if (e->time < clock_now(m->clock)) {
        diverged(r, m, "its time has gone further");
        return;
    }
    clock_skip(m->clock, e->time);
    if ((unsigned)e->kind == HERE) {
        r->live = r->next == r->events->len;
        drop_unkept(r);
    } else if (e->kind == REPLAY_CHECK || e->kind == REPLAY_END) {
        check_hash(r, m, e);
    } else if (!r->host.deliver(r->host.opaque, e->kind, e->name, e->data, e->len, &err)) {
        diverged(r, m, "%s", err->message);
    }
}

static void put_check(Replay *r, Machine *m, ReplayKind kind)
{
    uint8_t hash[8];

    st64le(hash, r->host.hash(r->host.opaque, kind == REPLAY_END));
    record(r, m, kind, "", hash, sizeof(hash));
}

bool replay_due(Replay *r, Machine *m)
{
    IcountPosition at;

    if (!r || r->ended) {
        return false;
    }
    at = icount_position(m);
    if (r->live) {
        if ((r->out || r->keep) && at.insns >= r->next_check) {
            r->next_check = at.insns + CHECK_EVERY;
            put_check(r, m, REPLAY_CHECK);
        }
        return false;
    }
    const Event *e = next_event(r);
    if (!e) {
        g_autoptr(GError) err = NULL;
        error_set(&err, "the recording is cut off here; it goes no further");
        end(r, err);
        return true;
    }
    if (e->at.insns > at.insns || (e->at.insns == at.insns && e->at.fired > at.fired)) {
        return false;
    }
    if (e->at.insns != at.insns || e->at.fired != at.fired) {
        diverged(r, m, "what came at instruction %" PRIu64 " comes too late", e->at.insns);
        return true;
    }
    r->next++;
    give(r, m, e);
    return true;
}

uint64_t replay_room(const Replay *r, const Machine *m)
{
    if (!replay_replaying(r) || r->ended) {
        return UINT64_MAX;
    }
    const Event *e = next_event(r);
    uint64_t now = icount_position((Machine *)m).insns;
    return e && e->at.insns > now ? e->at.insns - now : UINT64_MAX;
}

void replay_starved(Replay *r, Machine *m)
{
    if (replay_replaying(r) && !r->ended) {
        diverged(r, m, "it waits for something that does not come");
    }
}

unsigned replay_next(const Replay *r)
{
    return r ? r->next : 0;
}

void replay_go_to(Replay *r, unsigned next)
{
    if (r) {
        r->next = next;
        r->ended = false;
    }
}

void replay_keep(Replay *r, bool on)
{
    if (r && (r->out || !r->path)) {
        r->keep = on;
        drop_unkept(r);
    }
}

uint64_t replay_kept(const Replay *r)
{
    return r->kept;
}

void replay_leave(Replay *r, Machine *m)
{
    if (r && r->live) {
        uint8_t hash[8] = { 0 };
        if (r->out) {
            st64le(hash, r->host.hash(r->host.opaque, true));
        }
        keep(r, (Event){ (ReplayKind)HERE, icount_position(m), clock_now(m->clock), "", hash, sizeof(hash) });
        r->live = false;
    }
}

void replay_forget(Replay *r)
{
    if (r->out || !r->path) {
        forget_events(r);
        r->live = true;
        r->ended = false;
    }
}

bool replay_ended(const Replay *r)
{
    return r && r->ended;
}

bool replay_finish(Replay *r, Machine *m, GError **errp)
{
    if (r->out) {
        if (r->live) {
            put_check(r, m, REPLAY_END);
        } else {                        /* in its past: it ends where it was taken back from */
            Event e = g_array_index(r->events, Event, r->events->len - 1);
            e.kind = REPLAY_END;
            write_record(r, &e);
        }
        if (r->failed) {
            error_set(errp, "%s is not complete", r->path);
        }
        return !r->failed;
    }
    while (!r->ended && replay_due(r, m)) {
    }
    return r->ended;
}
