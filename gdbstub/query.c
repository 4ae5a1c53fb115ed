/*
 * gdbstub/query.c - q, Q and v packets: what the two sides can do, threads, the target description, and
 * gdb's `monitor`.
 */
#include "server.h"

#include <errno.h>
#include <string.h>
#include "util/suggest.h"

/* ---- what the two sides can do ---- */

static GString *supported(GdbServer *g, GdbText *t)
{
    g_autofree char *text = g_strndup((const char *)t->p, t->end - t->p);
    g_auto(GStrv) theirs = g_strsplit(text, ";", -1);
    GString *s = g_string_new(NULL);

    for (char **f = theirs; *f; f++) {
        const char *name = **f == ':' ? *f + 1 : *f;
        g->multiprocess |= !strcmp(name, "multiprocess+");
        g->swbreak |= !strcmp(name, "swbreak+");
        g->hwbreak |= !strcmp(name, "hwbreak+");
        g->error_text |= !strcmp(name, "error-message+");
    }
    g_string_append_printf(s, "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+;multiprocess+;"
                           "swbreak+;hwbreak+", GDB_PACKET_MAX);
    if (g->m->icount) {
        g_string_append(s, ";ReverseStep+;ReverseContinue+");
    }
    return s;
}

static GString *no_ack(GdbServer *g, GdbText *t)
{
    g->no_ack = true;
    return g_string_new("OK");
}

static GString *non_stop(GdbServer *g, GdbText *t)
{
    return gdb_take(t, "0") && gdb_empty(t) ? g_string_new("OK")
        : gdb_error(g, ENOSYS, "non-stop mode is not supported: all processors stop together");
}

/* ---- threads ---- */

static GString *current_thread(GdbServer *g, GdbText *t)
{
    GString *s = g_string_new("QC");

    gdb_put_thread(g, s, gdb_general_cpu(g));
    return s;
}

static GString *thread_list(GdbServer *g, GdbText *t)
{
    GString *s = g_string_new(g->attached ? "m" : "l");

    for (unsigned i = 0; g->attached && i < gdb_vcpus(g); i++) {
        g_string_append(s, i ? "," : "");
        gdb_put_thread(g, s, i);
    }
    return s;
}

static GString *list_end(GdbServer *g, GdbText *t)
{
    return g_string_new("l");
}

static GString *thread_text(GdbServer *g, GdbText *t)
{
    int pid, tid;

    if (!gdb_take_thread(t, &pid, &tid) || tid <= 0 || (unsigned)tid > gdb_vcpus(g)) {
        return gdb_error(g, ESRCH, "there is no such thread");
    }
    const X86Cpu *c = gdb_cpu(g, (unsigned)tid - 1);
    g_autofree char *text = g_strdup_printf("CPU#%u [%s]", tid - 1, c->wait_sipi ? "waits for SIPI"
                                            : c->vcpu.halted ? "halted" : "running");
    GString *s = g_string_new(NULL);
    gdb_put_hex(s, text, strlen(text));
    return s;
}

static GString *was_there(GdbServer *g, GdbText *t)
{
    return g_string_new("1");           /* gdb leaves it running when it ends */
}

/* ---- the target description ---- */

void gdb_choose_layout(GdbServer *g)
{
    X86Cpu *c = gdb_cpu(g, gdb_general_cpu(g));
    GdbArch arch = g->arch == GDB_BY_MODEL ? gdb_arch_of_model(c) : g->arch == GDB_BY_MODE ? gdb_arch_of_mode(c)
                   : (GdbArch)g->arch;

    if (!g->layout || gdb_layout_arch(g->layout) != arch) {
        gdb_layout_free(g->layout);
        g->layout = gdb_layout_new(c, arch);
    }
}

static GString *description(GdbServer *g, GdbText *t)
{
    uint64_t at, len;
    GString *s;

    if (!gdb_take(t, "target.xml:") || !gdb_take_number(t, &at) || !gdb_take(t, ",") || !gdb_take_number(t, &len)) {
        return gdb_error(g, ENOENT, "the description is target.xml");
    }
    if (at == 0) {
        gdb_choose_layout(g);
    }
    const char *xml = g->layout ? gdb_layout_xml(g->layout) : "";
    size_t size = strlen(xml);
    at = MIN(at, size);
    len = MIN(len, MIN(size - at, (size_t)GDB_PACKET_MAX / 2 - 1));
    s = g_string_new(at + len < size ? "m" : "l");
    gdb_put_binary(s, xml + at, len);
    return s;
}

/* ---- gdb's `monitor`: the monitor's commands, and `gdb ...` for what belongs to this connection ---- */

static const char *const arch_words[] = { "i8086", "i386", "i386:x86-64", "auto", "model", NULL };
static const char *const catch_words[] = { "reset", "shutdown", "all", "none", NULL };
static const char *const topics[] = { "arch", "catch", "mode", NULL };

static int find_word(const char *const *words, const char *word, GString *out)
{
    for (int i = 0; words[i]; i++) {
        if (!strcmp(words[i], word)) {
            return i;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)words), *tail = suggest_tail(word, words);
    g_string_append_printf(out, "error: '%s' is none of %s%s\n", word, all, tail);
    return -1;
}

static void monitor_arch(GdbServer *g, const char *word, GString *out)
{
    int i = *word ? find_word(arch_words, word, out) : -1;

    if (i >= 0) {
        g->arch = i < GDB_ARCHS ? i : i == GDB_ARCHS ? GDB_BY_MODE : GDB_BY_MODEL;
        g_string_append(out, "`unset tdesc filename` makes gdb read the description again.\n");
    } else if (!*word) {
        g_string_append_printf(out, "%s\n", arch_words[g->arch >= 0 ? g->arch : g->arch == GDB_BY_MODE ? 3 : 4]);
    }
}

static void monitor_catch(GdbServer *g, const char *word, GString *out)
{
    static const unsigned sets[] = { CATCH_RESET, CATCH_SHUTDOWN, CATCH_RESET | CATCH_SHUTDOWN, 0 };
    int i = *word ? find_word(catch_words, word, out) : -1;

    if (i >= 0) {
        g->catches = sets[i];
        runner_catch_shutdown(g->host.runner, g->catches & CATCH_SHUTDOWN);
    }
    for (i = 0; !*word && i < (int)G_N_ELEMENTS(sets); i++) {
        g_string_append_printf(out, "%s", sets[i] == g->catches ? catch_words[i] : "");
    }
    g_string_append(out, *word ? "" : "\n");
}

static void monitor_gdb(GdbServer *g, const char *line, GString *out)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 2);
    const char *topic = words[0] ? words[0] : "", *word = words[0] && words[1] ? words[1] : "";

    if (!*topic || !strcmp(topic, "help")) {
        g_string_append(out,
                        "gdb arch [i8086|i386|i386:x86-64|auto|model]  the registers that gdb is told of: auto by the\n"
                        "                                  mode of the current processor, model the widest there are\n"
                        "gdb catch [reset|shutdown|all|none]  stop after a reset, before that of a triple fault\n"
                        "gdb mode                          what the current processor executes\n");
        return;
    }
    switch (find_word(topics, topic, out)) {
    case 0:
        monitor_arch(g, word, out);
        break;
    case 1:
        monitor_catch(g, word, out);
        break;
    case 2:
        g_string_append_printf(out, "%s\n", gdb_arch_names[gdb_arch_of_mode(gdb_cpu(g, gdb_general_cpu(g)))]);
        break;
    }
}

static GString *monitor(GdbServer *g, GdbText *t)
{
    size_t len = (size_t)(t->end - t->p) / 2;
    g_autofree char *line = g_malloc0(len + 1);
    g_autoptr(GString) out = g_string_new(NULL);

    if (!gdb_take_hex(t, (uint8_t *)line, len) || !gdb_empty(t) || strlen(line) != len) {
        return gdb_error(g, EINVAL, "qRcmd needs a line of text in hexadecimal");
    }
    g_strstrip(line);
    if (!strcmp(line, "gdb") || g_str_has_prefix(line, "gdb ")) {
        monitor_gdb(g, line + 3 + strspn(line + 3, " "), out);
    } else if (g->host.monitors) {
        monitors_run_on(g->host.monitors, gdb_general_cpu(g), line, out);
    } else {
        g_string_append(out, "error: there is no monitor here\n");
    }
    gdb_console(g, out->str);
    return g_string_new("OK");
}

/* ---- memory by physical address: the packets that users of QEMU know ---- */

static GString *is_physical(GdbServer *g, GdbText *t)
{
    return g_string_new(g->physical ? "1" : "0");
}

static GString *set_physical(GdbServer *g, GdbText *t)
{
    bool on = gdb_take(t, "1");

    if ((!on && !gdb_take(t, "0")) || !gdb_empty(t)) {
        return gdb_error(g, EINVAL, "Qqemu.PhyMemMode is 0 or 1");
    }
    g->physical = on;
    return g_string_new("OK");
}

/* ---- v ---- */

static GString *vcont_actions(GdbServer *g, GdbText *t)
{
    return g_string_new("vCont;c;C;s;S");
}

/* ---- the tables ---- */

typedef struct Named {
    const char *name;           /* with what separates it from its arguments; else nothing may follow */
    GdbHandler *handle;
} Named;

static GString *dispatch(GdbServer *g, GdbText *t, const Named *rows)
{
    for (; rows->name; rows++) {
        GdbText rest = *t;
        char last = rows->name[strlen(rows->name) - 1];
        if (gdb_take(&rest, rows->name) && (strchr(":,;", last) || gdb_empty(&rest) || strchr(":;", *rest.p))) {
            return rows->handle(g, &rest);
        }
    }
    return g_string_new(NULL);
}

GString *gdb_query(GdbServer *g, GdbText *t)
{
    static const Named rows[] = {
        { "Attached", was_there }, { "C", current_thread }, { "Rcmd,", monitor }, { "Supported", supported },
        { "ThreadExtraInfo,", thread_text }, { "Xfer:features:read:", description }, { "fThreadInfo", thread_list },
        { "sThreadInfo", list_end }, { "qemu.PhyMemMode", is_physical }, { NULL },
    };

    return dispatch(g, t, rows);
}

GString *gdb_set(GdbServer *g, GdbText *t)
{
    static const Named rows[] = {
        { "NonStop:", non_stop }, { "StartNoAckMode", no_ack }, { "qemu.PhyMemMode:", set_physical }, { NULL },
    };

    return dispatch(g, t, rows);
}

GString *gdb_verbose(GdbServer *g, GdbText *t)
{
    static const Named rows[] = {
        { "Attach", gdb_vattach }, { "Cont?", vcont_actions }, { "Cont", gdb_vcont }, { "Kill", gdb_vkill },
        { "Run", gdb_vrun }, { NULL },
    };

    return dispatch(g, t, rows);
}
