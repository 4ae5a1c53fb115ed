/*
 * gdbstub/breakpoints.c - Z and z packets.
 *
 * The accelerator keeps breakpoints beside the guest's memory, so that software and hardware ones are the
 * same and the guest sees neither.
 */
#include "server.h"

#include <errno.h>

enum { WATCH_MAX = 1 << 20 };           /* bytes that one watchpoint may cover */

static int find(const GdbServer *g, const GdbBreakpoint *b)
{
    for (guint i = 0; i < g->breakpoints->len; i++) {
        const GdbBreakpoint *o = &g_array_index(g->breakpoints, GdbBreakpoint, i);
        if (o->at == b->at && o->type == b->type && (o->len == b->len || b->type <= GDB_HARDWARE)) {
            return (int)i;
        }
    }
    return -1;
}

bool gdb_has_breakpoint(const GdbServer *g, uint64_t at, unsigned type)
{
    return find(g, &(GdbBreakpoint){ at, 1, (uint8_t)type }) >= 0;
}

const GdbBreakpoint *gdb_hit_watchpoint(const GdbServer *g, const X86Cpu *c)
{
    for (guint i = 0; i < g->breakpoints->len; i++) {
        const GdbBreakpoint *b = &g_array_index(g->breakpoints, GdbBreakpoint, i);
        if (b->at == c->debug.hit.linear && b->len == c->debug.hit.len &&
            (b->type == GDB_ACCESS || b->type == (c->debug.hit_write ? GDB_WRITE : GDB_READ))) {
            return b;
        }
    }
    return NULL;
}

static bool take_breakpoint(GdbText *t, GdbBreakpoint *b)
{
    uint64_t type, len;

    if (!gdb_take_number(t, &type) || type > GDB_ACCESS || !gdb_take(t, ",") || !gdb_take_number(t, &b->at) ||
        !gdb_take(t, ",") || !gdb_take_number(t, &len) || !len || len > WATCH_MAX) {
        return false;
    }
    b->type = (uint8_t)type;
    b->len = (uint32_t)len;
    return true;
}

/* Both types at one address are one breakpoint to the accelerator. */
static bool other_type_there(const GdbServer *g, const GdbBreakpoint *b)
{
    return gdb_has_breakpoint(g, b->at, b->type == GDB_SOFTWARE ? GDB_HARDWARE : GDB_SOFTWARE);
}

/* All watchpoints together, as they are in the list now. */
static bool set_watchpoints(GdbServer *g, GError **errp)
{
    Accel *a = runner_accel(g->host.runner);
    g_autoptr(GArray) list = g_array_new(false, false, sizeof(X86Watch));

    for (guint i = 0; i < g->breakpoints->len; i++) {
        const GdbBreakpoint *b = &g_array_index(g->breakpoints, GdbBreakpoint, i);
        X86Watch w = { b->at, b->len, b->type != GDB_WRITE, b->type != GDB_READ };
        if (b->type >= GDB_WRITE) {
            g_array_append_val(list, w);
        }
    }
    return a->ops->set_watchpoints(a, (const X86Watch *)(void *)list->data, list->len, errp);
}

static bool set(GdbServer *g, const GdbBreakpoint *b, bool on)
{
    Accel *a = runner_accel(g->host.runner);

    return other_type_there(g, b) || a->ops->set_breakpoint(a, b->at, on);
}

static void unset(GdbServer *g, const GdbBreakpoint *b)
{
    if (b->type <= GDB_HARDWARE) {
        set(g, b, false);
    } else {
        set_watchpoints(g, NULL);
    }
}

GString *gdb_insert(GdbServer *g, GdbText *t)
{
    Accel *a = runner_accel(g->host.runner);
    g_autoptr(GError) err = NULL;
    GdbBreakpoint b;

    if (!take_breakpoint(t, &b)) {
        return gdb_error(g, EINVAL, "a breakpoint needs a type from 0 to 4, an address and a length");
    }
    if (b.type > GDB_HARDWARE && !a->ops->set_watchpoints) {
        return g_string_new(NULL);
    }
    if (find(g, &b) >= 0) {
        return g_string_new("OK");
    }
    if (g->breakpoints->len == GDB_BREAKPOINTS_MAX) {
        return gdb_error(g, ENOSPC, "there are 1024 breakpoints already, which is the most");
    }
    g_array_append_val(g->breakpoints, b);
    if (b.type <= GDB_HARDWARE ? !set(g, &b, true) : !set_watchpoints(g, &err)) {
        g_array_set_size(g->breakpoints, g->breakpoints->len - 1);
        if (b.type > GDB_HARDWARE) {
            set_watchpoints(g, NULL);
        }
        return gdb_error(g, ENOSPC, err ? err->message : "this accelerator cannot have so many breakpoints");
    }
    return g_string_new("OK");
}

GString *gdb_remove(GdbServer *g, GdbText *t)
{
    GdbBreakpoint b;
    int i;

    if (!take_breakpoint(t, &b)) {
        return gdb_error(g, EINVAL, "a breakpoint needs a type from 0 to 4, an address and a length");
    }
    i = find(g, &b);
    if (i >= 0) {
        g_array_remove_index_fast(g->breakpoints, i);
        unset(g, &b);
    }
    return g_string_new("OK");
}

void gdb_remove_breakpoints(GdbServer *g)
{
    while (g->breakpoints->len) {
        GdbBreakpoint b = g_array_index(g->breakpoints, GdbBreakpoint, g->breakpoints->len - 1);
        g_array_set_size(g->breakpoints, g->breakpoints->len - 1);
        unset(g, &b);
    }
}
