/*
 * chardev/chardev.c - the table of kinds, opening by text, fronts, buffered output.
 *
 * Output goes to the back at once as far as it takes it; up to CHAR_OUT_MAX more is kept, and then
 * chardev_write() is short.  With nobody at the other end output is dropped, as on an unplugged
 * cable, and counted (`info chardev`).
 */
#include "internal.h"
#include "util/error.h"
#include "util/suggest.h"

#include <poll.h>
#include <string.h>

static const CharKind *const kinds[] = {
    &char_stdio, &char_file, &char_pty, &char_socket, &char_null, &char_pipe, &char_ringbuf, NULL,
};

static const KeySpec common_keys[] = {
    { "backend", KEY_STR, "the kind" },
    { "id", KEY_STR, "name by which devices refer to it" },
    { "mux", KEY_BOOL, "several devices share it; Ctrl-A c switches" },
    { NULL },
};

/* ---- the long form ---- */

static const CharKind *find_kind(const char *name, GError **errp)
{
    const char *names[G_N_ELEMENTS(kinds)] = { NULL };
    g_autofree char *tail = NULL;

    for (unsigned i = 0; kinds[i]; i++) {
        if (!strcmp(kinds[i]->name, name)) {
            return kinds[i];
        }
        names[i] = kinds[i]->name;
    }
    tail = suggest_tail(name, names);
    error_set(errp, "unknown kind of character device '%s'%s", name, tail);
    return NULL;
}

static KeyVals *parse(const char *spec, const CharKind **kind, GError **errp)
{
    g_autoptr(GArray) keys = g_array_new(TRUE, TRUE, sizeof(KeySpec));
    g_autofree char *name = g_strndup(spec, strcspn(spec, ",="));
    KeyVals *k;

    if (g_str_has_prefix(spec, "backend=")) {
        g_free(name);
        name = g_strndup(spec + 8, strcspn(spec + 8, ","));
    }
    *kind = find_kind(name, errp);
    if (!*kind) {
        return NULL;
    }
    g_array_append_vals(keys, common_keys, G_N_ELEMENTS(common_keys) - 1);
    for (const KeySpec *s = (*kind)->keys; s && s->name; s++) {
        g_array_append_vals(keys, s, 1);
    }
    k = keyvals_parse(spec, "backend", (const KeySpec *)keys->data, errp);
    if (k && (!keyvals_str(k, "id") || !*keyvals_str(k, "id"))) {
        error_set(errp, "needs an id: %s,id=NAME", name);
        keyvals_free(k);
        return NULL;
    }
    return k;
}

bool chardev_check(const char *spec, char **id, GError **errp)
{
    const CharKind *kind;
    g_autoptr(KeyVals) k = parse(spec, &kind, errp);

    if (!k) {
        return false;
    }
    if (id) {
        *id = g_strdup(keyvals_str(k, "id"));
    }
    return true;
}

CharBack *chardev_open(Loop *loop, const char *spec, GError **errp)
{
    const CharKind *kind;
    g_autoptr(KeyVals) k = parse(spec, &kind, errp);
    CharBack *c;

    if (!k) {
        return NULL;
    }
    c = g_new0(CharBack, 1);
    c->kind = kind;
    c->loop = loop;
    c->id = g_strdup(keyvals_str(k, "id"));
    c->mux = keyvals_bool(k, "mux", false);
    c->connected = true;
    c->in_fd = c->out_fd = -1;
    c->out = g_byte_array_new();
    c->waiters = g_array_new(FALSE, FALSE, sizeof(CharWaiter));
    if (!kind->open(c, k, errp)) {
        chardev_close(c);
        return NULL;
    }
    char_fd_update(c);
    return c;
}

/* ---- the short form ---- */

/* "PREFIX" alone, or "PREFIX:rest"; the rest goes to `key` as it stands, or up to the first comma
 * when options may follow. */
static const struct ShortForm {
    const char *prefix, *kind, *key;
    bool options;
} short_forms[] = {
    { "stdio", "stdio", NULL, true },
    { "null", "null", NULL, false },
    { "pty", "pty", NULL, false },
    { "ringbuf", "ringbuf", NULL, true },
    { "file", "file", "path", false },
    { "pipe", "pipe", "path", false },
    { "unix", "socket", "path", true },
    { "tcp", "socket", "host", true },
};

static char *long_form_tcp(const char *rest, const char *id, const char *tail, GError **errp)
{
    const char *comma = strchr(rest, ',');
    g_autofree char *addr = comma ? g_strndup(rest, comma - rest) : g_strdup(rest);
    char *colon = strrchr(addr, ':');
    g_autofree char *host = NULL;

    if (!colon || !colon[1]) {
        error_set(errp, "tcp:%s: must be tcp:HOST:PORT[,server=on][,wait=off]", rest);
        return NULL;
    }
    *colon = 0;
    host = g_strdup(addr[0] == '[' ? addr + 1 : addr);      /* [::1]:4444 */
    if (addr[0] == '[' && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = 0;
    }
    return g_strdup_printf("socket,id=%s%s%s,port=%s%s%s", id, *host ? ",host=" : "", host, colon + 1,
                           comma ? comma : "", tail);
}

static char *not_available(const char *spec, GError **errp)
{
    const char *names[] = { "stdio", "null", "pty", "ringbuf", "file:", "pipe:", "unix:", "tcp:", "mon:",
                            "chardev:", "none", NULL };
    g_autofree char *tail = NULL;

    if (!strcmp(spec, "vc") || g_str_has_prefix(spec, "vc:")) {
        error_set(errp, "'%s': a console inside the window is not available; use stdio, pty or unix:PATH",
                  spec);
    } else if (g_str_has_prefix(spec, "telnet:")) {
        error_set(errp, "'%s': the telnet protocol is not available; use tcp:%s", spec, spec + 7);
    } else {
        tail = suggest_tail(spec, names);
        error_set(errp, "unknown character device '%s'%s", spec, tail);
    }
    return NULL;
}

char *chardev_long_form(const char *spec, const char *id, GError **errp)
{
    bool mon = g_str_has_prefix(spec, "mon:");
    const char *tail = "";

    if (mon) {
        spec += 4;
        tail = g_str_has_prefix(spec, "stdio") && !strstr(spec, "signal") ? ",signal=off,mux=on" : ",mux=on";
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(short_forms); i++) {
        const struct ShortForm *f = &short_forms[i];
        size_t n = strlen(f->prefix);
        const char *rest = spec + n;
        g_autofree char *path = NULL;

        if (strncmp(spec, f->prefix, n)) {
            continue;
        }
        if (!f->key && (!*rest || (f->options && *rest == ','))) {
            return g_strdup_printf("%s,id=%s%s%s", f->kind, id, rest, tail);
        }
        if (!f->key || *rest != ':') {
            continue;
        }
        rest++;
        if (!strcmp(f->key, "host")) {
            return long_form_tcp(rest, id, tail, errp);
        }
        if (f->options) {
            return g_strdup_printf("%s,id=%s,%s=%s%s", f->kind, id, f->key, rest, tail);
        }
        path = keyval_escape(rest);
        return g_strdup_printf("%s,id=%s,%s=%s%s", f->kind, id, f->key, path, tail);
    }
    return not_available(spec, errp);
}

CharBack *chardev_open_legacy(Loop *loop, const char *spec, const char *id, GError **errp)
{
    g_autofree char *text = chardev_long_form(spec, id, errp);

    return text ? chardev_open(loop, text, errp) : NULL;
}

void chardev_help(GString *out)
{
    g_string_append(out, "Kinds of character devices, and their keys:\n");
    for (unsigned i = 0; kinds[i]; i++) {
        g_string_append_printf(out, "  %-8s %s\n", kinds[i]->name, kinds[i]->summary);
        if (kinds[i]->keys) {
            keyspec_help(kinds[i]->keys, out);
        }
    }
    g_string_append(out, "  and for each:\n");
    keyspec_help(common_keys + 1, out);
}

/* ---- asking ---- */

const char *chardev_id(const CharBack *c)
{
    return c->id;
}

bool chardev_is_mux(const CharBack *c)
{
    return c->mux;
}

char *chardev_describe(const CharBack *c)
{
    g_autofree char *what = c->kind->describe ? c->kind->describe(c) : g_strdup("");
    GString *s = g_string_new(c->kind->name);

    if (*what) {
        g_string_append_printf(s, " %s", what);
    }
    if (c->mux) {
        g_string_append(s, ", multiplexed");
    }
    if (!c->connected) {
        g_string_append(s, ", not connected");
    }
    if (c->dropped) {
        g_string_append_printf(s, ", %" G_GUINT64_FORMAT " bytes dropped", c->dropped);
    }
    return g_string_free(s, FALSE);
}

/* ---- fronts ---- */

bool chardev_attach(CharBack *c, const CharFront *front, void *dev, GError **errp)
{
    if (c->n_slots == (c->mux ? CHAR_FRONTS : 1)) {
        if (c->mux) {
            error_set(errp, "chardev '%s' has %u users already, which is the most", c->id, c->n_slots);
        } else {
            error_set(errp, "chardev '%s' is in use already; several may share it with mux=on", c->id);
        }
        return false;
    }
    c->slot[c->n_slots++] = (CharSlot){ front, dev, c->mux ? g_byte_array_new() : NULL };
    if (c->connected && front->event) {
        front->event(dev, CHAR_OPENED);
    }
    char_fd_update(c);
    return true;
}

void chardev_detach(CharBack *c, void *dev)
{
    for (unsigned i = 0; c && i < c->n_slots; i++) {
        if (c->slot[i].dev == dev) {
            if (c->slot[i].input) {
                g_byte_array_unref(c->slot[i].input);
            }
            c->n_slots--;
            memmove(&c->slot[i], &c->slot[i + 1], (c->n_slots - i) * sizeof(CharSlot));
            if (c->focus >= i && c->focus > 0) {
                c->focus--;
            }
            break;
        }
    }
    for (guint i = 0; c && i < c->waiters->len;) {
        if (g_array_index(c->waiters, CharWaiter, i).opaque == dev) {
            g_array_remove_index(c->waiters, i);
        } else {
            i++;
        }
    }
    if (c) {
        char_fd_update(c);
    }
}

size_t char_room(CharBack *c)
{
    if (c->mux) {
        return mux_room(c);
    }
    return c->n_slots ? c->slot[0].front->room(c->slot[0].dev) : 0;
}

void char_received(CharBack *c, const uint8_t *buf, size_t len)
{
    if (c->mux) {
        mux_received(c, buf, len);
    } else if (c->n_slots) {
        char_give(c, 0, buf, len);
    }
}

static bool passes(CharBack *c, unsigned front, const uint8_t *buf, size_t len)
{
    return !c->gate || !c->slot[front].front->machine || c->gate(c->gate_opaque, c, front, buf, len);
}

void char_give(CharBack *c, unsigned front, const uint8_t *buf, size_t len)
{
    if (passes(c, front, buf, len)) {
        c->slot[front].front->receive(c->slot[front].dev, buf, len);
    }
}

void char_break(CharBack *c, unsigned front)
{
    if (c->slot[front].front->event && passes(c, front, NULL, 0)) {
        c->slot[front].front->event(c->slot[front].dev, CHAR_BREAK);
    }
}

void chardev_set_gate(CharBack *c, CharGate *gate, void *opaque)
{
    c->gate = gate;
    c->gate_opaque = opaque;
}

bool chardev_inject(CharBack *c, unsigned front, const uint8_t *buf, size_t len)
{
    if (front >= c->n_slots || !c->slot[front].front->machine) {
        return false;
    }
    const CharSlot *s = &c->slot[front];
    if (!buf) {
        if (s->front->event) {
            s->front->event(s->dev, CHAR_BREAK);
        }
        return true;
    }
    if (len > s->front->room(s->dev)) {
        return false;
    }
    s->front->receive(s->dev, buf, len);
    return true;
}

void chardev_room_changed(CharBack *c)
{
    if (c && c->mux) {
        mux_deliver(c);
    }
    if (c) {
        char_fd_update(c);
    }
}

void chardev_on_quit(CharBack *c, void (*fn)(void *opaque), void *opaque)
{
    c->quit = fn;
    c->quit_opaque = opaque;
}

/* ---- output ---- */

size_t chardev_write(CharBack *c, const uint8_t *buf, size_t len)
{
    size_t done = 0, keep;
    ssize_t n;

    if (!c || clock_again(loop_clock(c->loop))) {
        return len;
    }
    if (!c->connected) {
        c->dropped += len;
        return len;
    }
    while (done < len && !c->out->len) {
        n = c->kind->write ? c->kind->write(c, buf + done, len - done)
                           : char_fd_write(c, buf + done, len - done);
        if (n <= 0) {
            break;
        }
        done += n;
    }
    bool counted = clock_counted(loop_clock(c->loop));
    keep = MIN(len - done, (counted ? CHAR_COUNTED_MAX : CHAR_OUT_MAX) - c->out->len);
    if (keep) {
        g_byte_array_append(c->out, buf + done, keep);
        char_fd_update(c);
    }
    if (counted) {                      /* the guest must not see how fast the host takes it */
        c->dropped += len - done - keep;
        return len;
    }
    return done + keep;
}

void chardev_on_writable(CharBack *c, void (*fn)(void *opaque), void *opaque)
{
    CharWaiter w = { fn, opaque };

    if (!c) {
        return;
    }
    for (guint i = 0; i < c->waiters->len; i++) {
        CharWaiter *old = &g_array_index(c->waiters, CharWaiter, i);
        if (old->fn == fn && old->opaque == opaque) {
            return;
        }
    }
    g_array_append_val(c->waiters, w);
    char_fd_update(c);
}

void char_drop_output(CharBack *c)
{
    g_autoptr(GArray) waiters = c->waiters;

    c->waiters = g_array_new(FALSE, FALSE, sizeof(CharWaiter));
    c->dropped += c->out->len;
    g_byte_array_set_size(c->out, 0);
    for (guint i = 0; i < waiters->len; i++) {
        CharWaiter *w = &g_array_index(waiters, CharWaiter, i);
        w->fn(w->opaque);
    }
}

void char_connected(CharBack *c, bool on)
{
    if (c->connected == on) {
        return;
    }
    c->connected = on;
    if (!on) {
        char_drop_output(c);
    }
    for (unsigned i = 0; i < c->n_slots; i++) {
        if (c->slot[i].front->event) {
            c->slot[i].front->event(c->slot[i].dev, on ? CHAR_OPENED : CHAR_CLOSED);
        }
    }
    char_fd_update(c);
}

/* What was written before the end should be seen: wait, but not for ever. */
static void drain(CharBack *c)
{
    gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC;

    while (c->connected && c->out->len && c->out_fd >= 0) {
        struct pollfd p = { .fd = c->out_fd, .events = POLLOUT };
        gint64 left = (end - g_get_monotonic_time()) / 1000;

        if (left <= 0 || poll(&p, 1, left) <= 0 || !(p.revents & POLLOUT)) {
            break;
        }
        size_t n = char_fd_write(c, c->out->data, c->out->len);
        g_byte_array_remove_range(c->out, 0, MIN(n, c->out->len));      /* a hang-up empties it */
    }
}

void chardev_close(CharBack *c)
{
    if (!c) {
        return;
    }
    for (unsigned i = 0; i < c->n_slots; i++) {
        if (c->slot[i].input) {
            g_byte_array_unref(c->slot[i].input);
        }
    }
    c->n_slots = 0;
    drain(c);
    if (c->kind->close) {
        c->kind->close(c);
    }
    char_fd_close(c);
    g_byte_array_unref(c->out);
    g_array_unref(c->waiters);
    g_free(c->id);
    g_free(c);
}
