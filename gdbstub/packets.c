/*
 * gdbstub/packets.c - the table of packets, threads and registers.
 */
#include "server.h"

#include <errno.h>
#include <string.h>

GString *gdb_error(const GdbServer *g, int number, const char *text)
{
    GString *s = g_string_new(NULL);

    if (g->error_text) {
        g_string_append_printf(s, "E.%s", text);
    } else {
        g_string_append_printf(s, "E%02x", number);
    }
    return s;
}

unsigned gdb_general_cpu(const GdbServer *g)
{
    return g->general > 0 && (unsigned)g->general <= gdb_vcpus(g) ? (unsigned)g->general - 1 : 0;
}

void gdb_session_start(GdbServer *g)
{
    g->greeted = g->no_ack = g->multiprocess = g->error_text = g->swbreak = g->hwbreak = g->extended = false;
    g->physical = g->attached = g->waiting = false;
    g->general = g->resume = GDB_ANY;
    g->catches = CATCH_RESET | CATCH_SHUTDOWN;
    g->arch = GDB_BY_MODEL;
    gdb_layout_free(g->layout);
    g->layout = NULL;
    g_byte_array_set_size(g->in, 0);
}

/* ---- threads ---- */

static bool known_thread(const GdbServer *g, int pid, int tid)
{
    return (pid <= 0 || pid == GDB_PID) && (tid <= 0 || (unsigned)tid <= gdb_vcpus(g));
}

static GString *set_thread(GdbServer *g, GdbText *t)
{
    bool general = gdb_take(t, "g");
    int pid, tid;

    if (!general && !gdb_take(t, "c")) {
        return gdb_error(g, EINVAL, "H is followed by g or c");
    }
    if (!gdb_take_thread(t, &pid, &tid) || !known_thread(g, pid, tid)) {
        return gdb_error(g, ESRCH, "there is no such thread");
    }
    if (!general) {
        g->resume = tid;
    } else if (tid > 0) {
        g->general = tid;
    }
    return g_string_new("OK");
}

static GString *alive(GdbServer *g, GdbText *t)
{
    int pid, tid;

    if (!gdb_take_thread(t, &pid, &tid) || tid <= 0 || !known_thread(g, pid, tid) || !g->attached) {
        return gdb_error(g, ESRCH, "there is no such thread");
    }
    return g_string_new("OK");
}

/* ---- registers ---- */

static const GdbLayout *layout(GdbServer *g)
{
    if (!g->layout) {                   /* gdb did not ask for a description */
        gdb_choose_layout(g);
    }
    return g->layout;
}

static GString *read_registers(GdbServer *g, GdbText *t)
{
    const GdbLayout *l = layout(g);
    X86Cpu *c = gdb_cpu(g, gdb_general_cpu(g));
    GString *s = g_string_new(NULL);
    uint8_t buf[GDB_REGISTER_MAX];

    for (unsigned i = 0; i < gdb_layout_count(l); i++) {
        gdb_register_get(l, c, i, buf);
        gdb_put_hex(s, buf, gdb_register_size(l, i));
    }
    return s;
}

static bool set_register(GdbServer *g, unsigned n, const uint8_t *buf)
{
    unsigned cpu = gdb_general_cpu(g);

    if (!gdb_may_change(g)) {
        return false;
    }
    g->changed[cpu] = true;
    return gdb_register_set(layout(g), gdb_cpu(g, cpu), n, buf);
}

static GString *write_registers(GdbServer *g, GdbText *t)
{
    const GdbLayout *l = layout(g);
    uint8_t buf[GDB_REGISTER_MAX];
    bool ok = true;

    for (unsigned i = 0; i < gdb_layout_count(l) && !gdb_empty(t); i++) {
        if (!gdb_take_hex(t, buf, gdb_register_size(l, i))) {
            return gdb_error(g, EINVAL, "G ends in the middle of a register");
        }
        ok = set_register(g, i, buf) && ok;
    }
    return ok ? g_string_new("OK") : gdb_error(g, EINVAL, "some registers cannot have these values");
}

static GString *read_register(GdbServer *g, GdbText *t)
{
    const GdbLayout *l = layout(g);
    uint8_t buf[GDB_REGISTER_MAX];
    uint64_t n;

    if (!gdb_take_number(t, &n) || n >= gdb_layout_count(l)) {
        return gdb_error(g, EINVAL, "there is no such register");
    }
    GString *s = g_string_new(NULL);
    gdb_register_get(l, gdb_cpu(g, gdb_general_cpu(g)), (unsigned)n, buf);
    gdb_put_hex(s, buf, gdb_register_size(l, (unsigned)n));
    return s;
}

static GString *write_register(GdbServer *g, GdbText *t)
{
    const GdbLayout *l = layout(g);
    uint8_t buf[GDB_REGISTER_MAX];
    uint64_t n;

    if (!gdb_take_number(t, &n) || !gdb_take(t, "=") || n >= gdb_layout_count(l) ||
        !gdb_take_hex(t, buf, gdb_register_size(l, (unsigned)n))) {
        return gdb_error(g, EINVAL, "P needs the number of a register and its bytes");
    }
    return set_register(g, (unsigned)n, buf) ? g_string_new("OK")
        : gdb_error(g, EINVAL, "the register cannot be written, or not with this value");
}

static GString *extended_mode(GdbServer *g, GdbText *t)
{
    g->extended = true;
    return g_string_new("OK");
}

/* ---- the table ---- */

enum { ALONE = 1 << 0 /* nothing may follow */, DEBUGGEE = 1 << 1 /* not behind a detach: the machine runs then */ };

static const struct {
    char letter;
    unsigned flags;
    GdbHandler *handle;
} packets[] = {
    { '!', ALONE, extended_mode }, { '?', ALONE, gdb_stop_reason }, { 'b', 0, gdb_backwards },
    { 'c', 0, gdb_continue }, { 'C', 0, gdb_continue }, { 's', 0, gdb_step }, { 'S', 0, gdb_step },
    { 'D', 0, gdb_detach }, { 'k', ALONE, gdb_kill }, { 'R', 0, gdb_restart },
    { 'g', ALONE | DEBUGGEE, read_registers }, { 'G', DEBUGGEE, write_registers },
    { 'p', DEBUGGEE, read_register }, { 'P', DEBUGGEE, write_register },
    { 'm', DEBUGGEE, gdb_read_memory }, { 'M', DEBUGGEE, gdb_write_memory }, { 'X', DEBUGGEE, gdb_write_binary },
    { 'H', 0, set_thread }, { 'T', 0, alive },
    { 'Z', DEBUGGEE, gdb_insert }, { 'z', DEBUGGEE, gdb_remove },
    { 'q', 0, gdb_query }, { 'Q', 0, gdb_set }, { 'v', 0, gdb_verbose },
};

/* What is not known is answered with nothing: gdb asks to find out. */
static GString *dispatch(GdbServer *g, GdbText *t)
{
    uint8_t letter = *t->p++;

    for (unsigned i = 0; i < G_N_ELEMENTS(packets); i++) {
        if (packets[i].letter != letter) {
            continue;
        }
        if ((packets[i].flags & ALONE) && !gdb_empty(t)) {
            break;
        }
        return (packets[i].flags & DEBUGGEE) && !g->attached ? gdb_error(g, ESRCH, "nothing is debugged: attach first")
            : packets[i].handle(g, t);
    }
    return g_string_new(NULL);
}

void gdb_handle_packet(GdbServer *g, const uint8_t *data, size_t len)
{
    GdbText t = { data, data + len };
    g_autoptr(GString) reply = NULL;

    if (!g->greeted) {          /* not the connection alone: who only looks whether the port is open stops nothing */
        g->greeted = true;
        gdb_attach(g);
    }
    if (g->attached) {          /* the monitor may have let it run; nobody looks into a running machine */
        gdb_pause(g);
    }
    reply = len ? dispatch(g, &t) : g_string_new(NULL);
    if (reply) {
        gdb_send(g, reply);
    }
}
