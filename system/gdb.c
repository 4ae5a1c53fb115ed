/*
 * system/gdb.c - the line on which a debugger may come: from the command line, or from the monitor later.
 */
#include "machine.h"
#include "util/error.h"

#include <string.h>

static void host_pause(void *opaque)
{
    system_pause(opaque);
}

static bool host_resume(void *opaque, GError **errp)
{
    return system_resume(opaque, errp);
}

bool system_gdb_open(System *s, CharBack *back, GError **errp)
{
    GdbHost host = { host_pause, host_resume, s->runner, s->monitors, s };

    s->gdb = gdb_server_new(s->m, &host, back, errp);
    return s->gdb;
}

static CharBack *line(const System *s, guint *index)
{
    for (*index = 0; s->gdb && *index < s->chardevs->len; ++*index) {
        CharBack *c = g_ptr_array_index(s->chardevs, *index);
        if (c == gdb_server_line(s->gdb)) {
            return c;
        }
    }
    return NULL;
}

static void close_line(System *s)
{
    guint i;
    CharBack *old = line(s, &i);

    gdb_server_free(s->gdb);
    s->gdb = NULL;
    if (old) {
        g_ptr_array_remove_index(s->chardevs, i);
        chardev_close(old);
    }
}

static bool open_line(System *s, const char *dev, GError **errp)
{
    g_autofree char *spec = gdb_chardev_spec(dev, "gdb", errp);
    CharBack *back = spec ? chardev_open(s->m->loop, spec, errp) : NULL;

    if (!back) {
        return false;
    }
    if (!system_gdb_open(s, back, errp)) {
        chardev_close(back);
        return false;
    }
    g_ptr_array_add(s->chardevs, back);
    return true;
}

bool system_gdbserver(void *opaque, const char *dev, GString *out, GError **errp)
{
    System *s = opaque;
    bool none = dev && !strcmp(dev, "none");
    guint i;

    if (s->gdb && dev && gdb_server_busy(s->gdb)) {
        error_set(errp, "the debugger that asks for this is on that line: use another monitor");
        return false;
    }
    if (dev) {
        close_line(s);
    }
    if (dev && !none && !open_line(s, dev, errp)) {
        return false;
    }
    CharBack *c = line(s, &i);
    g_autofree char *text = c ? chardev_describe(c) : NULL;
    g_string_append_printf(out, c ? "waiting for gdb on %s\n" : "no debugger can connect\n", text);
    return true;
}
