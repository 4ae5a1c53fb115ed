/*
 * Saved state: a stream of records, each a name, a length and the bytes, so that a reader finds
 * fields by name and refuses what does not fit.
 *
 *   table:  u8 name length, name, u16 version, u32 length of the fields
 *   field:  u8 name length, name, u32 length, bytes (integers little-endian; a timer's deadline as
 *           i64; a struct as a table)
 */
#include "core/state.h"

#include <inttypes.h>
#include <string.h>
#include "core/clock.h"
#include "util/bits.h"
#include "util/error.h"

static void put(GByteArray *out, const void *p, size_t n)
{
    g_byte_array_append(out, p, n);
}

static void put_name(GByteArray *out, const char *name)
{
    uint8_t n = strlen(name);

    put(out, &n, 1);
    put(out, name, n);
}

/* Reserve a length, to be filled in by end_length(). */
static guint begin_length(GByteArray *out)
{
    uint32_t zero = 0;

    put(out, &zero, 4);
    return out->len;
}

static void end_length(GByteArray *out, guint start)
{
    st32le(out->data + start - 4, out->len - start);
}

void state_save(const StateTable *t, void *obj, GByteArray *out)
{
    uint8_t version[2];

    if (t->before_save) {
        t->before_save(obj);
    }
    put_name(out, t->name);
    st16le(version, t->version);
    put(out, version, 2);
    guint all = begin_length(out);
    for (const StateField *f = t->fields; f->kind != STATE_END; f++) {
        char *at = (char *)obj + f->offset;
        if (f->kind == STATE_SKIP) {
            continue;
        }
        put_name(out, f->name);
        guint one = begin_length(out);
        for (uint32_t i = 0; i < f->count; i++) {
            if (f->kind == STATE_STRUCT) {
                state_save(f->sub, at + (size_t)i * f->size, out);
            } else if (f->kind == STATE_TIMER) {
                put(out, &((const Timer *)(void *)at)->deadline, 8);
            } else {
                put(out, at + (size_t)i * f->size, f->size);
            }
        }
        end_length(out, one);
    }
    end_length(out, all);
}

typedef struct Reader {
    const uint8_t *p;
    size_t left;
} Reader;

static bool take(Reader *r, void *to, size_t n)
{
    if (r->left < n) {
        return false;
    }
    if (to) {
        memcpy(to, r->p, n);
    }
    r->p += n;
    r->left -= n;
    return true;
}

static bool take_name(Reader *r, char name[256])
{
    uint8_t n;

    if (!take(r, &n, 1) || !take(r, name, n)) {
        return false;
    }
    name[n] = 0;
    return true;
}

static bool load_table(const StateTable *t, void *obj, Reader *r, GError **errp);

static bool load_field(const StateField *f, void *obj, Reader r, GError **errp)
{
    char *at = (char *)obj + f->offset;
    size_t need = f->kind == STATE_TIMER ? 8 : (size_t)f->size * f->count;

    if (f->kind != STATE_STRUCT && r.left != need) {
        error_set(errp, "field %s has %zu bytes, not %zu", f->name, r.left, need);
        return false;
    }
    switch (f->kind) {
    case STATE_STRUCT:
        for (uint32_t i = 0; i < f->count; i++) {
            if (!load_table(f->sub, at + (size_t)i * f->size, &r, errp)) {
                return false;
            }
        }
        return true;
    case STATE_TIMER: {
        int64_t deadline;
        take(&r, &deadline, 8);
        timer_cancel((Timer *)(void *)at);
        if (deadline >= 0) {
            timer_arm((Timer *)(void *)at, deadline);
        }
        return true;
    }
    case STATE_BOOL:
        for (size_t i = 0; i < need; i++) {
            if (r.p[i] > 1) {
                error_set(errp, "field %s is %u, not a truth value", f->name, r.p[i]);
                return false;
            }
        }
        take(&r, at, need);
        return true;
    default:
        take(&r, at, need);
        return true;
    }
}

static const StateField *find_field(const StateTable *t, const char *name)
{
    for (const StateField *f = t->fields; f->kind != STATE_END; f++) {
        if (f->kind != STATE_SKIP && !strcmp(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

static bool load_table(const StateTable *t, void *obj, Reader *r, GError **errp)
{
    char name[256];
    uint8_t head[6];

    if (!take_name(r, name) || strcmp(name, t->name) || !take(r, head, 6)) {
        error_set(errp, "no state of %s here", t->name);
        return false;
    }
    Reader fields = { r->p, ld32le(head + 2) };
    if (ld16le(head) > t->version || !take(r, NULL, fields.left)) {
        error_set(errp, "state of %s is cut short, or of a newer version (%u, this one knows %u)", t->name,
                  ld16le(head), t->version);
        return false;
    }
    while (fields.left) {
        uint8_t length[4];
        if (!take_name(&fields, name) || !take(&fields, length, 4) || fields.left < ld32le(length)) {
            error_set(errp, "state of %s is damaged", t->name);
            return false;
        }
        const StateField *f = find_field(t, name);
        if (!f) {
            error_set(errp, "%s has no field '%s'", t->name, name);
            return false;
        }
        if (!load_field(f, obj, (Reader){ fields.p, ld32le(length) }, errp)) {
            g_prefix_error(errp, "%s: ", t->name);
            return false;
        }
        take(&fields, NULL, ld32le(length));
    }
    return !t->after_load || t->after_load(obj, errp);
}

bool state_load(const StateTable *t, void *obj, const uint8_t *data, size_t len, GError **errp)
{
    Reader r = { data, len };

    if (!load_table(t, obj, &r, errp)) {
        return false;
    }
    if (r.left) {
        error_set(errp, "%zu bytes too many behind the state of %s", r.left, t->name);
        return false;
    }
    return true;
}

static uint64_t uint_at(const char *at, uint32_t size)
{
    uint64_t v = 0;

    memcpy(&v, at, MIN(size, 8u));
    return v;
}

void state_print(const StateTable *t, const void *obj, GString *out)
{
    enum { MOST = 32 };     /* of a long array */

    for (const StateField *f = t->fields; f->kind != STATE_END; f++) {
        const char *at = (const char *)obj + f->offset;
        if (f->kind == STATE_SKIP) {
            continue;
        }
        g_string_append_printf(out, "  %s =", f->name);
        if (f->kind == STATE_TIMER) {
            g_string_append_printf(out, " %" PRId64, ((const Timer *)(const void *)at)->deadline);
        }
        bool integers = f->kind == STATE_UINT || f->kind == STATE_BOOL;
        uint32_t n = f->kind == STATE_BYTES ? f->size : integers ? f->count : 0;
        uint32_t size = f->kind == STATE_BYTES ? 1 : f->size;
        for (uint32_t i = 0; i < MIN(n, (uint32_t)MOST); i++) {
            g_string_append_printf(out, " %" PRIx64, uint_at(at + (size_t)i * size, size));
        }
        g_string_append(out, n > MOST ? " ...\n" : "\n");
        for (uint32_t i = 0; f->kind == STATE_STRUCT && i < f->count; i++) {
            state_print(f->sub, at + (size_t)i * f->size, out);
        }
    }
}
