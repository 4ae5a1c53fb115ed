/*
 * monitor/line.c - a line typed at a terminal: echo, editing, history, completion.
 *
 * Keys are those of Emacs and the ECMA-48 cursor keys.  Everything is bounded: lines by
 * MONITOR_LINE, the history by HISTORY lines.
 */
#include "monitor/command.h"

#include <string.h>

enum { HISTORY = 64 };

struct LineEditor {
    const char *prompt;
    LineHost host;
    GString *out;               /* what the terminal is to show; the owner sends it */
    GString *line;
    size_t cursor;
    GPtrArray *history;         /* of char *, oldest first */
    unsigned at;                /* in the history; its length: the line being typed */
    char *typed;                /* that line, while the history is looked at */
    enum { PLAIN, ESC, CSI } escape;
    unsigned csi;               /* the number in ESC [ n ~ */
    bool after_cr;              /* a line feed now belongs to the carriage return before */
};

LineEditor *line_new(const char *prompt, const LineHost *host, GString *out)
{
    LineEditor *e = g_new0(LineEditor, 1);

    e->prompt = prompt;
    e->host = *host;
    e->out = out;
    e->line = g_string_new(NULL);
    e->history = g_ptr_array_new_with_free_func(g_free);
    return e;
}

void line_free(LineEditor *e)
{
    g_string_free(e->line, TRUE);
    g_ptr_array_unref(e->history);
    g_free(e->typed);
    g_free(e);
}

/* ---- the picture ---- */

static void back_to_cursor(LineEditor *e)
{
    if (e->cursor < e->line->len) {
        g_string_append_printf(e->out, "\033[%zuD", e->line->len - e->cursor);
    }
}

static void redraw(LineEditor *e)
{
    g_string_append_printf(e->out, "\r%s%s\033[K", e->prompt, e->line->str);
    back_to_cursor(e);
}

void line_prompt(LineEditor *e)
{
    g_string_append_printf(e->out, "%s%s", e->prompt, e->line->str);
    back_to_cursor(e);
}

static void set_line(LineEditor *e, const char *text)
{
    g_string_assign(e->line, text);
    e->cursor = e->line->len;
    redraw(e);
}

/* ---- editing ---- */

static void clear(LineEditor *e)
{
    g_string_truncate(e->line, 0);
    e->cursor = 0;
    e->at = e->history->len;
    g_clear_pointer(&e->typed, g_free);
}

void line_reset(LineEditor *e)
{
    clear(e);
    e->escape = PLAIN;
    e->after_cr = false;
}

static void insert(LineEditor *e, const char *text, size_t len)
{
    if (e->line->len + len >= MONITOR_LINE) {
        g_string_append_c(e->out, '\a');
        return;
    }
    g_string_insert_len(e->line, e->cursor, text, len);
    e->cursor += len;
    if (e->cursor == e->line->len) {
        g_string_append_len(e->out, text, len);
    } else {
        redraw(e);
    }
}

static void erase(LineEditor *e, size_t from, size_t to)
{
    if (from < to) {
        g_string_erase(e->line, from, to - from);
        e->cursor = from;
        redraw(e);
    }
}

static void erase_word(LineEditor *e)
{
    size_t from = e->cursor;

    while (from && e->line->str[from - 1] == ' ') {
        from--;
    }
    while (from && e->line->str[from - 1] != ' ') {
        from--;
    }
    erase(e, from, e->cursor);
}

static void move_to(LineEditor *e, size_t at)
{
    e->cursor = MIN(at, e->line->len);
    redraw(e);
}

/* ---- history ---- */

static void remember(LineEditor *e)
{
    const char *last = e->history->len ? g_ptr_array_index(e->history, e->history->len - 1) : "";

    if (e->line->len && strcmp(last, e->line->str)) {
        g_ptr_array_add(e->history, g_strdup(e->line->str));
        if (e->history->len > HISTORY) {
            g_ptr_array_remove_index(e->history, 0);
        }
    }
}

static void go_history(LineEditor *e, int step)
{
    unsigned to = e->at + step;

    if ((step < 0 && !e->at) || (step > 0 && e->at >= e->history->len)) {
        return;
    }
    if (e->at == e->history->len) {
        g_free(e->typed);
        e->typed = g_strdup(e->line->str);
    }
    e->at = to;
    set_line(e, to == e->history->len ? e->typed : g_ptr_array_index(e->history, to));
}

/* ---- completion ---- */

static size_t common_prefix(const GPtrArray *names)
{
    const char *first = g_ptr_array_index(names, 0);
    size_t n = strlen(first);

    for (guint i = 1; i < names->len; i++) {
        const char *s = g_ptr_array_index(names, i);
        size_t k = 0;
        while (k < n && s[k] == first[k]) {
            k++;
        }
        n = k;
    }
    return n;
}

static void complete(LineEditor *e)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *before = g_strndup(e->line->str, e->cursor);
    size_t start = e->cursor, have, common;

    e->host.complete(e->host.opaque, before, &start, names);
    if (!names->len) {
        return;
    }
    have = e->cursor - start;
    common = common_prefix(names);
    if (common > have) {
        const char *name = g_ptr_array_index(names, 0);
        insert(e, name + have, common - have);
    }
    if (names->len == 1) {
        insert(e, " ", 1);
    } else if (common <= have) {
        g_string_append(e->out, "\r\n");
        for (guint i = 0; i < names->len; i++) {
            g_string_append_printf(e->out, "%-18s%s", (char *)g_ptr_array_index(names, i),
                                   i % 4 == 3 && i + 1 < names->len ? "\r\n" : "");
        }
        g_string_append(e->out, "\r\n");
        line_prompt(e);
    }
}

/* ---- keys ---- */

static void enter(LineEditor *e)
{
    g_autofree char *line = g_strdup(e->line->str);

    g_string_append(e->out, "\r\n");
    remember(e);
    clear(e);
    e->host.entered(e->host.opaque, line);
}

static void control(LineEditor *e, uint8_t key)
{
    switch (key) {
    case 1:                 /* Ctrl-A */
        move_to(e, 0);
        break;
    case 2:                 /* Ctrl-B */
        move_to(e, e->cursor ? e->cursor - 1 : 0);
        break;
    case 3:                 /* Ctrl-C */
        g_string_append(e->out, "^C\r\n");
        clear(e);
        line_prompt(e);
        break;
    case 4:                 /* Ctrl-D */
        erase(e, e->cursor, MIN(e->cursor + 1, e->line->len));
        break;
    case 5:                 /* Ctrl-E */
        move_to(e, e->line->len);
        break;
    case 6:                 /* Ctrl-F */
        move_to(e, e->cursor + 1);
        break;
    case 8:                 /* backspace */
    case 127:
        erase(e, e->cursor ? e->cursor - 1 : 0, e->cursor);
        break;
    case 9:                 /* Tab */
        complete(e);
        break;
    case 10:                /* line feed, unless it belongs to a carriage return */
        if (!e->after_cr) {
            enter(e);
        }
        break;
    case 11:                /* Ctrl-K */
        g_string_truncate(e->line, e->cursor);
        redraw(e);
        break;
    case 12:                /* Ctrl-L */
        redraw(e);
        break;
    case 13:
        enter(e);
        break;
    case 14:                /* Ctrl-N */
        go_history(e, 1);
        break;
    case 16:                /* Ctrl-P */
        go_history(e, -1);
        break;
    case 21:                /* Ctrl-U */
        erase(e, 0, e->cursor);
        break;
    case 23:                /* Ctrl-W */
        erase_word(e);
        break;
    case 27:
        e->escape = ESC;
        break;
    }
    e->after_cr = key == 13;
}

/* ECMA-48 5.4: ESC [ parameters final */
static void cursor_key(LineEditor *e, uint8_t key)
{
    if (g_ascii_isdigit(key)) {
        e->csi = (e->csi * 10 + key - '0') % 100;
        return;
    }
    if (key == ';') {
        e->csi = 0;
        return;
    }
    e->escape = PLAIN;
    switch (key) {
    case 'A':
        go_history(e, -1);
        break;
    case 'B':
        go_history(e, 1);
        break;
    case 'C':
        move_to(e, e->cursor + 1);
        break;
    case 'D':
        move_to(e, e->cursor ? e->cursor - 1 : 0);
        break;
    case 'H':
        move_to(e, 0);
        break;
    case 'F':
        move_to(e, e->line->len);
        break;
    case '~':
        if (e->csi == 1 || e->csi == 7) {
            move_to(e, 0);
        } else if (e->csi == 4 || e->csi == 8) {
            move_to(e, e->line->len);
        } else if (e->csi == 3) {
            control(e, 4);
        }
        break;
    }
}

void line_typed(LineEditor *e, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t key = buf[i];

        if (e->escape == ESC) {
            e->escape = key == '[' || key == 'O' ? CSI : PLAIN;
            e->csi = 0;
        } else if (e->escape == CSI) {
            cursor_key(e, key);
        } else if (key < 32 || key == 127) {
            control(e, key);
        } else {
            char c = key;
            e->after_cr = false;
            insert(e, &c, 1);
        }
    }
}
