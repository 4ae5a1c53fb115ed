/*
 * gdbstub/server.c - the connection: bytes in, packets out, acknowledgements.
 *
 * Follows the GDB manual, appendix E (Remote Protocol).  Not modelled: non-stop mode, tracepoints, files
 * (vFile), fork and the other events of processes.
 */
#include "server.h"

#include <string.h>
#include "core/replay.h"
#include "util/error.h"

/* ---- out ---- */

static void flush(void *opaque)
{
    GdbServer *g = opaque;

    g->out_waiting = false;
    while (g->out->len) {
        size_t n = chardev_write(g->back, (const uint8_t *)g->out->str, g->out->len);
        g_string_erase(g->out, 0, MIN(n, g->out->len));
        if (g->out->len) {
            g->out_waiting = true;
            chardev_on_writable(g->back, flush, g);
            return;
        }
    }
}

static void send_bytes(GdbServer *g, const char *bytes, size_t len)
{
    g_string_append_len(g->out, bytes, len);
    if (!g->out_waiting) {
        flush(g);
    }
}

void gdb_send(GdbServer *g, const GString *payload)
{
    g_string_truncate(g->last, 0);
    gdb_encode(g->last, payload->str, payload->len);
    send_bytes(g, g->last->str, g->last->len);
}

void gdb_console(GdbServer *g, const char *text)
{
    size_t len = strlen(text), most = GDB_PACKET_MAX / 2 - 8;

    for (size_t at = 0; at < len; at += most) {
        g_autoptr(GString) s = g_string_new("O");
        gdb_put_hex(s, text + at, MIN(len - at, most));
        gdb_send(g, s);
    }
}

bool gdb_may_change(GdbServer *g)
{
    if (g->m->icount && replay_is_file(g->m->icount->replay)) {
        return false;
    }
    runner_forget_history(g->host.runner);
    return true;
}

void gdb_pause(GdbServer *g)
{
    g->host.pause(g->host.opaque);
}

/* ---- in ---- */

static void packet(GdbServer *g, const GdbFrame *f)
{
    if (!g->no_ack) {
        send_bytes(g, "+", 1);
    }
    g->answering = true;
    gdb_handle_packet(g, f->data, f->len);
    g->answering = false;
}

static void one_frame(GdbServer *g, const GdbFrame *f)
{
    switch (f->kind) {
    case GDB_PACKET:
        packet(g, f);
        break;
    case GDB_BREAK:
        if (g->attached) {
            gdb_pause(g);
        }
        break;
    case GDB_NAK:
        if (!g->no_ack) {
            send_bytes(g, g->last->str, g->last->len);
        }
        break;
    case GDB_BROKEN:
        if (!g->no_ack) {
            send_bytes(g, "-", 1);
        }
        break;
    case GDB_ACK:
    case GDB_NOTHING:
        break;
    }
}

enum { IN_MAX = 2 * GDB_PACKET_MAX };

static size_t server_room(void *dev)
{
    GdbServer *g = dev;

    return g->out->len > IN_MAX ? 0 : IN_MAX - g->in->len;     /* a slow reader gets no further answers */
}

static void server_receive(void *dev, const uint8_t *buf, size_t len)
{
    GdbServer *g = dev;
    size_t done = 0;

    g_byte_array_append(g->in, buf, len);
    while (done < g->in->len) {
        GdbFrame f = gdb_frame(g->in->data + done, g->in->len - done);
        if (!f.used) {
            break;
        }
        one_frame(g, &f);
        done += f.used;
    }
    g_byte_array_remove_range(g->in, 0, done);
}

static void server_event(void *dev, CharEvent event)
{
    GdbServer *g = dev;

    switch (event) {
    case CHAR_OPENED:
        gdb_session_start(g);
        break;
    case CHAR_CLOSED:
        gdb_let_go(g);
        g_byte_array_set_size(g->in, 0);
        g_string_truncate(g->out, 0);
        g->out_waiting = false;
        break;
    case CHAR_BREAK:
        one_frame(g, &(GdbFrame){ GDB_BREAK, 0 });
        break;
    case CHAR_FOCUS:
        break;
    }
}

static const CharFront server_front = { server_room, server_receive, server_event };

/* ---- what happens to the machine ---- */

static gboolean check(gpointer opaque)
{
    GdbServer *g = opaque;

    g_clear_pointer(&g->check, g_source_unref);
    gdb_check_stop(g);
    return G_SOURCE_REMOVE;
}

/* Later, when whoever paused the machine only for a moment has let it run on. */
static void check_later(GdbServer *g)
{
    if (!g->check) {
        g->check = g_idle_source_new();
        g_source_set_priority(g->check, G_PRIORITY_DEFAULT);
        g_source_set_callback(g->check, check, g, NULL);
        g_source_attach(g->check, loop_context(g->m->loop));
    }
}

static void machine_paused(void *opaque)
{
    check_later(opaque);
}

static void machine_reset_done(void *opaque)
{
    GdbServer *g = opaque;

    if (runner_reversing(g->host.runner)) {
        return;                         /* that was long ago */
    }
    if (g->attached && g->waiting && (g->restarting || (g->catches & CATCH_RESET))) {
        g->reset_seen = true;
        machine_request(g->m, MACHINE_PAUSE);
        check_later(g);
    }
}

static void machine_ending(void *opaque, int status)
{
    gdb_ending(opaque, status);
}

/* ---- life ---- */

static void free_all(GdbServer *g)
{
    gdb_layout_free(g->layout);
    g_array_free(g->breakpoints, true);
    g_byte_array_unref(g->in);
    g_string_free(g->out, true);
    g_string_free(g->last, true);
    g_free(g->ran);
    g_free(g->news);
    g_free(g->changed);
    g_free(g);
}

GdbServer *gdb_server_new(Machine *m, const GdbHost *host, CharBack *back, GError **errp)
{
    GdbServer *g = g_new0(GdbServer, 1);

    g->m = m;
    g->host = *host;
    g->back = back;
    g->in = g_byte_array_new();
    g->out = g_string_new(NULL);
    g->last = g_string_new(NULL);
    g->ran = g_new0(bool, m->vcpus->len);
    g->news = g_new0(bool, m->vcpus->len);
    g->changed = g_new0(bool, m->vcpus->len);
    g->breakpoints = g_array_new(false, false, sizeof(GdbBreakpoint));
    gdb_session_start(g);
    if (!chardev_attach(back, &server_front, g, errp)) {
        free_all(g);
        return NULL;
    }
    g->watch = (MachineWatch){ .paused = machine_paused, .reset_done = machine_reset_done,
                               .ending = machine_ending, .opaque = g };
    machine_watch(m, &g->watch);
    return g;
}

void gdb_server_free(GdbServer *g)
{
    if (g) {
        gdb_let_go(g);
        machine_unwatch(g->m, &g->watch);
        chardev_detach(g->back, g);
        if (g->check) {
            g_source_destroy(g->check);
            g_source_unref(g->check);
        }
        free_all(g);
    }
}

CharBack *gdb_server_line(const GdbServer *g)
{
    return g->back;
}

bool gdb_server_busy(const GdbServer *g)
{
    return g->answering;
}

char *gdb_chardev_spec(const char *dev, const char *id, GError **errp)
{
    bool tcp = g_str_has_prefix(dev, "tcp:"), net = tcp || g_str_has_prefix(dev, "unix:");
    g_autofree char *local = g_str_has_prefix(dev, "tcp::") ? g_strdup_printf("tcp:127.0.0.1:%s", dev + 5)
                                                            : g_strdup(dev);
    g_autofree char *spec = NULL;

    if (g_str_has_prefix(dev, "mon:")) {
        error_set(errp, "a debugger does not share its line with a monitor: leave out mon:");
        return NULL;
    }
    spec = chardev_long_form(local, id, errp);
    if (!spec || !net) {
        return g_steal_pointer(&spec);
    }
    return g_strconcat(spec, strstr(spec, ",server") ? "" : ",server=on",
                       strstr(spec, "wait") || strstr(spec, "server=off") ? "" : ",wait=off",
                       tcp && !strstr(spec, "nodelay") ? ",nodelay=on" : "", NULL);
}
