/*
 * monitor/monitor.c - monitors on character devices: each has a line editor, a prompt, and output
 * that waits for a slow reader.
 */
#include "monitor/command.h"

#include <string.h>

/* While this much waits to be read, no further command is taken. */
enum { OUTPUT_MAX = 1 << 20 };

typedef struct Monitor {
    Session session;
    CharBack *back;
    LineEditor *line;
    GString *out;               /* not yet taken by the back end */
    bool greeted, waiting;      /* waiting: for the back end to have room */
} Monitor;

/* ---- output ---- */

static void flush(void *opaque)
{
    Monitor *mon = opaque;

    mon->waiting = false;
    while (mon->out->len) {
        size_t n = chardev_write(mon->back, (const uint8_t *)mon->out->str, mon->out->len);
        g_string_erase(mon->out, 0, MIN(n, mon->out->len));
        if (mon->out->len) {
            mon->waiting = true;
            chardev_on_writable(mon->back, flush, mon);
            return;
        }
    }
    chardev_room_changed(mon->back);
}

static void flush_unless_waiting(Monitor *mon)
{
    if (!mon->waiting) {
        flush(mon);
    }
}

/* Lines end as terminals want them. */
static void put_text(Monitor *mon, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            g_string_append_c(mon->out, '\r');
        }
        g_string_append_c(mon->out, text[i]);
    }
    if (len && text[len - 1] != '\n') {
        g_string_append(mon->out, "\r\n");
    }
}

/* ---- commands ---- */

static void run_line(Session *s, const char *line, GString *out)
{
    g_autoptr(GError) err = NULL;

    if (!command_run(s, line, out, &err)) {
        if (out->len && out->str[out->len - 1] != '\n') {
            g_string_append_c(out, '\n');
        }
        g_string_append_printf(out, "error: %s\n", err->message);
    }
}

static void entered(void *opaque, const char *line)
{
    Monitor *mon = opaque;
    g_autoptr(GString) out = g_string_new(NULL);

    run_line(&mon->session, line, out);
    put_text(mon, out->str, out->len);
    line_prompt(mon->line);
}

static void complete(void *opaque, const char *line, size_t *start, GPtrArray *names)
{
    Monitor *mon = opaque;

    command_complete(&mon->session, line, start, names);
}

void monitors_run(Monitors *ms, const char *line, GString *out)
{
    monitors_run_on(ms, 0, line, out);
}

void monitors_run_on(Monitors *ms, unsigned cpu, const char *line, GString *out)
{
    Session s = { .all = ms, .cpu = cpu };

    run_line(&s, line, out);
}

/* ---- the front of the character device ---- */

static size_t monitor_room(void *dev)
{
    Monitor *mon = dev;

    return mon->out->len > OUTPUT_MAX ? 0 : MONITOR_LINE;
}

static void monitor_receive(void *dev, const uint8_t *buf, size_t len)
{
    Monitor *mon = dev;

    line_typed(mon->line, buf, len);
    flush_unless_waiting(mon);
}

static void greet(Monitor *mon)
{
    const MonitorHost *host = &mon->session.all->host;

    if (!mon->greeted) {
        g_string_append_printf(mon->out, "Tinamou %s monitor: help lists the commands\r\n",
                               host->version(host->opaque));
        mon->greeted = true;
    }
    line_prompt(mon->line);
    flush_unless_waiting(mon);
}

static void monitor_event(void *dev, CharEvent event)
{
    Monitor *mon = dev;

    switch (event) {
    case CHAR_OPENED:
        if (!chardev_is_mux(mon->back)) {   /* a shared terminal shows it when it is switched to */
            greet(mon);
        }
        break;
    case CHAR_FOCUS:
        g_string_append(mon->out, "\r\n");
        greet(mon);
        break;
    case CHAR_CLOSED:
        line_reset(mon->line);
        g_string_truncate(mon->out, 0);
        mon->waiting = mon->greeted = false;
        break;
    case CHAR_BREAK:
        break;
    }
}

static const CharFront monitor_front = { monitor_room, monitor_receive, monitor_event };

/* ---- life ---- */

static void monitor_free(gpointer p)
{
    Monitor *mon = p;

    chardev_detach(mon->back, mon);
    line_free(mon->line);
    g_string_free(mon->out, TRUE);
    g_free(mon);
}

Monitors *monitors_new(Machine *m, const MonitorHost *host)
{
    Monitors *ms = g_new0(Monitors, 1);

    ms->m = m;
    ms->host = *host;
    ms->list = g_ptr_array_new_with_free_func(monitor_free);
    ms->keys = key_queue_new(m);
    return ms;
}

void monitors_free(Monitors *ms)
{
    if (ms) {
        g_ptr_array_unref(ms->list);
        key_queue_free(ms->keys);
        g_free(ms);
    }
}

bool monitors_add(Monitors *ms, CharBack *back, GError **errp)
{
    Monitor *mon = g_new0(Monitor, 1);
    LineHost host = { entered, complete, mon };

    mon->session.all = ms;
    mon->back = back;
    mon->out = g_string_new(NULL);
    mon->line = line_new("(tinamou) ", &host, mon->out);
    if (!chardev_attach(back, &monitor_front, mon, errp)) {
        line_free(mon->line);
        g_string_free(mon->out, TRUE);
        g_free(mon);
        return false;
    }
    g_ptr_array_add(ms->list, mon);
    return true;
}
