/*
 * monitor/command.h - the command table's types, and what the files of the monitor share.
 *
 * A command is a row: its arguments are described, parsed and checked by the table, its handler
 * prints to a string and fails with a GError.  Nothing in a row or handler knows how the command
 * arrived, so that another protocol can use the same table.
 */
#ifndef MONITOR_COMMAND_H
#define MONITOR_COMMAND_H

#include "monitor/monitor.h"
#include "target/x86/cpu.h"
#include "ui/input.h"

enum { MONITOR_ARGS = 4, MONITOR_LINE = 4096 };

typedef enum ArgKind {
    ARG_END,
    ARG_WORD,               /* text; quoted with "" it may have blanks */
    ARG_REST,               /* text to the end of the line */
    ARG_NUMBER,             /* an expression: one word, or the rest of the line when it comes last */
    ARG_FLAG,               /* -f: there or not */
    ARG_FORMAT,             /* /10xw behind the command's name */
} ArgKind;

typedef struct Session Session;

typedef struct ArgSpec {
    const char *name;       /* ARG_FLAG: with its dash */
    ArgKind kind;
    bool optional;
    void (*names)(Session *s, GPtrArray *names);    /* what Tab offers; static strings; NULL: nothing */
} ArgSpec;

typedef struct Format {
    unsigned count;
    char how, size;         /* x d u o c i; b h w g */
} Format;

typedef struct ArgValue {
    bool given;
    char *text;
    int64_t number;
    Format format;
} ArgValue;

typedef struct Command {
    const char *name, *alias;
    ArgSpec args[MONITOR_ARGS];
    const char *help;
    bool paused;            /* processors stand still while it runs */
    bool (*run)(Session *s, const ArgValue *a, GString *out, GError **errp);
    bool changes;           /* the machine: what a recording must know of (core/replay.h) */
} Command;

extern const Command monitor_commands[];            /* ends with a NULL name */

typedef struct KeyQueue KeyQueue;

struct Monitors {
    Machine *m;
    MonitorHost host;
    GPtrArray *list;        /* of Monitor * */
    KeyQueue *keys;
};

struct Session {            /* one user: a monitor, or one call of monitors_run() */
    Monitors *all;
    unsigned cpu;           /* what `cpu` chose */
    bool was_running;       /* before the command, which may have paused the machine for itself */
};

/* ---- commands.c ---- */
bool command_run(Session *s, const char *line, GString *out, GError **errp);
/* What could stand where the line ends; *start: where the word to be replaced begins. */
void command_complete(Session *s, const char *line, size_t *start, GPtrArray *names);
X86Cpu *session_cpu(Session *s, GError **errp);

/* ---- expr.c ---- */
/* Evaluates a prefix of *text and moves *text behind it.  cpu may be NULL: no registers. */
bool expr_eval(const char **text, X86Cpu *cpu, int64_t *value, GError **errp);

/* ---- memory.c: x xp print i o ---- */
bool format_parse(const char *text, Format *f, GError **errp);
typedef bool Handler(Session *s, const ArgValue *a, GString *out, GError **errp);
Handler cmd_x, cmd_xp, cmd_print, cmd_in, cmd_out;

/* ---- info.c ---- */
Handler cmd_info;
void info_names(Session *s, GPtrArray *names);

/* ---- media.c: eject change screendump ---- */
Handler cmd_eject, cmd_change, cmd_screendump;
void drive_names(Session *s, GPtrArray *names);

/* ---- keys.c ---- */
KeyQueue *key_queue_new(Machine *m);
void key_queue_free(KeyQueue *q);
Handler cmd_sendkey, cmd_mouse_move, cmd_mouse_button;
void key_names(Session *s, GPtrArray *names);

/* ---- line.c: a line editor; knows no command ---- */
typedef struct LineEditor LineEditor;
typedef struct LineHost {
    void (*entered)(void *opaque, const char *line);
    void (*complete)(void *opaque, const char *line, size_t *start, GPtrArray *names);
    void *opaque;
} LineHost;
LineEditor *line_new(const char *prompt, const LineHost *host, GString *out);
void line_free(LineEditor *e);
void line_prompt(LineEditor *e);                    /* a fresh prompt, with what was typed so far */
void line_reset(LineEditor *e);                     /* another user: nothing typed, no half escape */
void line_typed(LineEditor *e, const uint8_t *buf, size_t len);

#endif
