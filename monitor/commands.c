/*
 * monitor/commands.c - the table of commands; how a line becomes a command and its arguments.
 */
#include "monitor/command.h"
#include "core/replay.h"
#include "util/error.h"
#include "util/log.h"
#include "util/suggest.h"

#include <inttypes.h>
#include <string.h>

/* ---- commands that fit in a few lines ---- */

X86Cpu *session_cpu(Session *s, GError **errp)
{
    GPtrArray *vcpus = s->all->m->vcpus;

    if (s->cpu >= vcpus->len) {
        error_set(errp, "this machine has no processor %u", s->cpu);
        return NULL;
    }
    return x86_cpu(g_ptr_array_index(vcpus, s->cpu));
}

static bool cmd_cpu(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    if (a[0].number < 0 || a[0].number >= s->all->m->vcpus->len) {
        error_set(errp, "there is no processor %" PRId64 ": there are %u, from 0", a[0].number,
                  s->all->m->vcpus->len);
        return false;
    }
    s->cpu = a[0].number;
    return true;
}

static bool cmd_reset(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    machine_request(s->all->m, MACHINE_RESET);
    return true;
}

static bool cmd_powerdown(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    machine_request(s->all->m, MACHINE_POWERDOWN);
    return true;
}

static bool cmd_stop(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    s->all->host.pause(s->all->host.opaque);
    return true;
}

static bool cmd_cont(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    return s->all->host.resume(s->all->host.opaque, errp);
}

static bool cmd_quit(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    machine_quit(s->all->m, 0);
    return true;
}

static void log_names(Session *s, GPtrArray *names)
{
    for (const LogName *l = log_channels; l->name; l++) {
        g_ptr_array_add(names, (char *)l->name);
    }
    g_ptr_array_add(names, "none");
}

static bool cmd_log(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    uint32_t mask;

    if (!a[0].given || !strcmp(a[0].text, "help")) {
        for (const LogName *l = log_channels; l->name; l++) {
            g_string_append_printf(out, "%c %-12s %s\n", log_on(l->channel) ? '*' : ' ', l->name, l->help);
        }
        return true;
    }
    if (!log_parse(a[0].text, &mask, errp)) {
        return false;
    }
    log_set(mask);
    return true;
}

static bool cmd_ringbuf_read(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    CharBack *c = NULL;
    uint8_t buf[4096];
    size_t n;

    for (unsigned i = 0; (c = s->all->host.chardev(s->all->host.opaque, i)); i++) {
        if (!strcmp(chardev_id(c), a[0].text)) {
            break;
        }
    }
    if (!c) {
        error_set(errp, "there is no chardev '%s'; info chardev lists them", a[0].text);
        return false;
    }
    while ((n = chardev_ringbuf_read(c, buf, sizeof(buf)))) {
        g_string_append_len(out, (char *)buf, n);
    }
    return true;
}

static bool cmd_gdbserver(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    return s->all->host.gdbserver(s->all->host.opaque, a[0].given ? a[0].text : NULL, out, errp);
}

static Handler cmd_help;
static void command_names(Session *s, GPtrArray *names);

const Command monitor_commands[] = {
    { "change", NULL, { { "-f", ARG_FLAG, true }, { "drive", ARG_WORD, .names = drive_names },
                        { "file", ARG_WORD }, { "format", ARG_WORD, true } },
      "put another medium into a removable drive; -f: even when the guest has locked it", false, cmd_change, true },
    { "cont", "c", { { 0 } }, "let the machine run on", false, cmd_cont },
    { "cpu", NULL, { { "index", ARG_NUMBER } }, "processor that the next commands are about", false, cmd_cpu },
    { "eject", NULL, { { "-f", ARG_FLAG, true }, { "drive", ARG_WORD, .names = drive_names } },
      "take the medium out of a drive; -f: even when the guest has locked it", false, cmd_eject, true },
    { "gdbserver", NULL, { { "dev", ARG_WORD, true } },
      "wait for gdb there, as -gdb; none: no longer; without: where", false, cmd_gdbserver },
    { "help", "?", { { "command", ARG_WORD, true, command_names } }, "what commands there are", false, cmd_help },
    { "i", NULL, { { "/fmt", ARG_FORMAT, true }, { "port", ARG_NUMBER } }, "read a port: i/b, i/h, i/w", false,
      cmd_in, true },
    { "info", NULL, { { "item", ARG_WORD, true, info_names }, { "-a", ARG_FLAG, true } },
      "what is the matter; without an item: what can be asked", true, cmd_info },
    { "log", NULL, { { "items", ARG_WORD, true, log_names } },
      "log these items from now on; none: nothing; without: what there is", false, cmd_log },
    { "mouse_button", NULL, { { "mask", ARG_NUMBER } }, "press these mouse buttons: 1 left, 2 right, 4 middle",
      false, cmd_mouse_button, true },
    { "mouse_move", NULL, { { "dx", ARG_NUMBER }, { "dy", ARG_NUMBER }, { "dz", ARG_NUMBER, true } },
      "move the mouse right and down, and turn its wheel", false, cmd_mouse_move, true },
    { "o", NULL, { { "/fmt", ARG_FORMAT, true }, { "port", ARG_NUMBER }, { "value", ARG_NUMBER } },
      "write a port: o/b, o/h, o/w", false, cmd_out, true },
    { "print", "p", { { "/fmt", ARG_FORMAT, true }, { "expression", ARG_NUMBER } },
      "calculate, with registers as $rip: print/d 2*$ecx", true, cmd_print },
    { "quit", "q", { { 0 } }, "end", false, cmd_quit },
    { "ringbuf_read", NULL, { { "chardev", ARG_WORD } }, "take out what a ring buffer holds", false,
      cmd_ringbuf_read },
    { "screendump", NULL, { { "file", ARG_WORD } }, "write a picture of the screen as PNG", false,
      cmd_screendump },
    { "sendkey", NULL, { { "keys", ARG_WORD, .names = key_names }, { "hold_ms", ARG_NUMBER, true } },
      "type keys together: sendkey ctrl-alt-delete", false, cmd_sendkey, true },
    { "stop", "s", { { 0 } }, "pause the machine", false, cmd_stop },
    { "system_powerdown", NULL, { { 0 } }, "press the power button", false, cmd_powerdown, true },
    { "system_reset", NULL, { { 0 } }, "press the reset button", false, cmd_reset, true },
    { "x", NULL, { { "/fmt", ARG_FORMAT, true }, { "address", ARG_NUMBER } },
      "look at linear memory: x/10i $pc, x/4xg 0x1000; x d u o c i, b h w g", true, cmd_x },
    { "xp", NULL, { { "/fmt", ARG_FORMAT, true }, { "address", ARG_NUMBER } }, "the same for physical memory",
      true, cmd_xp },
    { NULL },
};

/* ---- help ---- */

static void command_names(Session *s, GPtrArray *names)
{
    for (const Command *c = monitor_commands; c->name; c++) {
        g_ptr_array_add(names, (char *)c->name);
    }
}

static char *usage(const Command *c)
{
    GString *s = g_string_new(c->name);

    for (unsigned i = 0; i < MONITOR_ARGS && c->args[i].kind != ARG_END; i++) {
        const ArgSpec *a = &c->args[i];
        g_string_append_printf(s, a->optional ? "%s[%s]" : "%s%s", a->kind == ARG_FORMAT ? "" : " ", a->name);
    }
    return g_string_free(s, FALSE);
}

static const Command *find_command(const char *name, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *tail = NULL;

    for (const Command *c = monitor_commands; c->name; c++) {
        if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name))) {
            return c;
        }
    }
    command_names(NULL, names);
    g_ptr_array_add(names, NULL);
    tail = suggest_tail(name, (const char *const *)names->pdata);
    error_set(errp, "unknown command '%s'%s", name, *tail ? tail : "; help lists them");
    return NULL;
}

static bool cmd_help(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    const Command *only = a[0].given ? find_command(a[0].text, errp) : NULL;

    if (a[0].given && !only) {
        return false;
    }
    for (const Command *c = monitor_commands; c->name; c++) {
        if (!only || c == only) {
            g_autofree char *left = usage(c);
            g_string_append_printf(out, "%-36s %s%s%s%s\n", left, c->help, c->alias ? " (short: " : "",
                                   c->alias ? c->alias : "", c->alias ? ")" : "");
        }
    }
    return true;
}

/* ---- a line to a command ---- */

/* The next word, unquoted; NULL at the end of the line.  Freed by the caller. */
static char *next_word(const char **p, GError **errp)
{
    GString *word;
    bool quoted = false;

    while (**p == ' ') {
        (*p)++;
    }
    if (!**p) {
        return NULL;
    }
    word = g_string_new(NULL);
    for (; **p && (quoted || **p != ' '); (*p)++) {
        if (**p == '"') {
            quoted = !quoted;
        } else if (**p == '\\' && quoted && ((*p)[1] == '"' || (*p)[1] == '\\')) {
            g_string_append_c(word, *++*p);
        } else {
            g_string_append_c(word, **p);
        }
    }
    if (quoted) {
        error_set(errp, "a \" is missing at the end");
        g_string_free(word, TRUE);
        return NULL;
    }
    return g_string_free(word, FALSE);
}

static bool take_number(Session *s, ArgValue *v, GError **errp)
{
    GPtrArray *vcpus = s->all->m->vcpus;
    X86Cpu *cpu = s->cpu < vcpus->len ? x86_cpu(g_ptr_array_index(vcpus, s->cpu)) : NULL;
    const char *p = v->text;

    if (!expr_eval(&p, cpu, &v->number, errp)) {
        return false;
    }
    if (*p) {
        error_set(errp, "'%.20s' is left over behind the number", p);
        return false;
    }
    return true;
}

static bool take_arg(Session *s, const ArgSpec *spec, bool last, const char **p, ArgValue *v, GError **errp)
{
    GError *err = NULL;

    while (**p == ' ') {
        (*p)++;
    }
    if (spec->kind == ARG_FLAG) {
        size_t n = strlen(spec->name);
        v->given = !strncmp(*p, spec->name, n) && (!(*p)[n] || (*p)[n] == ' ');
        *p += v->given ? n : 0;
        return true;
    }
    if (spec->kind == ARG_REST || (spec->kind == ARG_NUMBER && last)) {
        v->text = **p ? g_strchomp(g_strdup(*p)) : NULL;
        *p += strlen(*p);
    } else {
        v->text = next_word(p, &err);
        if (err) {
            g_propagate_error(errp, err);
            return false;
        }
    }
    v->given = v->text;
    if (!v->given && !spec->optional) {
        error_set(errp, "%s is missing", spec->name);
        return false;
    }
    return !v->given || spec->kind != ARG_NUMBER || take_number(s, v, errp);
}

static bool take_args(Session *s, const Command *c, const char *format, const char *p, ArgValue *v, GError **errp)
{
    for (unsigned i = 0; i < MONITOR_ARGS && c->args[i].kind != ARG_END; i++) {
        bool last = i + 1 == MONITOR_ARGS || c->args[i + 1].kind == ARG_END;
        if (c->args[i].kind == ARG_FORMAT) {
            v[i].given = format;
            if (format && !format_parse(format, &v[i].format, errp)) {
                return false;
            }
            format = NULL;
        } else if (!take_arg(s, &c->args[i], last, &p, &v[i], errp)) {
            g_autofree char *how = usage(c);
            g_prefix_error(errp, "%s: ", how);
            return false;
        }
    }
    if (format) {
        error_set(errp, "%s takes no format", c->name);
        return false;
    }
    p += strspn(p, " ");
    if (*p) {
        g_autofree char *how = usage(c);
        error_set(errp, "'%.40s' is left over; it is: %s", p, how);
        return false;
    }
    return true;
}

static bool run(Session *s, const Command *c, const char *format, const char *p, GString *out, GError **errp)
{
    ArgValue v[MONITOR_ARGS] = { 0 };
    bool ok = take_args(s, c, format, p, v, errp) && c->run(s, v, out, errp);

    for (unsigned i = 0; i < MONITOR_ARGS; i++) {
        g_free(v[i].text);
    }
    return ok;
}

bool command_run(Session *s, const char *line, GString *out, GError **errp)
{
    const MonitorHost *host = &s->all->host;
    const char *p = line + strspn(line, " \t");
    size_t n = strcspn(p, " /");
    g_autofree char *name = g_strndup(p, n), *format = NULL;
    const Command *c;
    bool ok, pause;

    if (!*p) {
        return true;
    }
    c = find_command(name, errp);
    if (!c) {
        return false;
    }
    p += n;
    if (*p == '/') {
        n = strcspn(p, " ");
        format = g_strndup(p + 1, n - 1);
        p += n;
    }
    s->was_running = host->running(host->opaque);
    if (c->changes && !replay_enter(s->all->m, REPLAY_COMMAND, "", line, strlen(line))) {
        error_set(errp, "what changes the machine comes from its recording, or from its past until it is where it was");
        return false;
    }
    pause = c->paused && s->was_running;
    if (pause) {
        host->pause(host->opaque);
    }
    if (c->changes) {
        replay_nest(s->all->m, true);
    }
    ok = run(s, c, format, p, out, errp);
    if (c->changes) {
        replay_nest(s->all->m, false);
    }
    if (pause && !(atomic_load(&s->all->m->requests) & MACHINE_PAUSE)) {   /* a breakpoint came in between */
        host->resume(host->opaque, NULL);
    }
    return ok;
}

/* ---- completion ---- */

static void keep_prefix(GPtrArray *names, const char *prefix)
{
    for (guint i = 0; i < names->len;) {
        if (g_str_has_prefix(g_ptr_array_index(names, i), prefix)) {
            i++;
        } else {
            g_ptr_array_remove_index(names, i);
        }
    }
}

void command_complete(Session *s, const char *line, size_t *start, GPtrArray *names)
{
    const char *p = line + strspn(line, " "), *word = strrchr(line, ' ');
    g_autofree char *name = g_strndup(p, strcspn(p, " /"));
    unsigned nth = 0;

    word = word ? word + 1 : line;
    *start = word - line;
    if (word == p) {
        command_names(s, names);
        keep_prefix(names, word);
        return;
    }
    for (const char *q = p; q < word; q++) {        /* which argument is it? */
        nth += *q == ' ' && q[1] != ' ';
    }
    for (const Command *c = monitor_commands; c->name; c++) {
        if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name))) {
            for (unsigned i = 0; i < MONITOR_ARGS && nth; i++) {
                if (c->args[i].kind == ARG_WORD && --nth == 0 && c->args[i].names) {
                    c->args[i].names(s, names);
                }
            }
        }
    }
    keep_prefix(names, word);
}
