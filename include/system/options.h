/*
 * system/options.h - the table of command line options.
 *
 * The parser, -help and docs/options.md come from it.  Start-up thread only.
 */
#ifndef SYSTEM_OPTIONS_H
#define SYSTEM_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include "system/config.h"
#include "util/keyval.h"

typedef enum OptionSection {
    SECTION_MACHINE, SECTION_DISKS, SECTION_BOOT, SECTION_DEVICES, SECTION_DISPLAY, SECTION_RUN,
    SECTION_DEBUG, SECTION_ABOUT, SECTIONS
} OptionSection;

typedef enum OptionKind {
    OPTION_FLAG,            /* takes no value; sets a bool of Config */
    OPTION_TEXT,            /* a char * of Config; the last one given counts */
    OPTION_LIST,            /* added to a GPtrArray of char * */
    OPTION_KEYS,            /* key=value, checked against `keys`, then take() */
    OPTION_VALUE,           /* text as it stands, then take() */
    OPTION_PRINT,           /* prints and ends: print() */
} OptionKind;

typedef struct Option Option;

typedef struct OptionUse {          /* one occurrence on the command line */
    const Option *option;
    const char *value;              /* NULL: OPTION_FLAG */
    const KeyVals *keys;            /* OPTION_KEYS */
    const char *origin;             /* "-drive file=x": to stand before errors that come later */
} OptionUse;

struct Option {
    const char *name, *alias;       /* without dash; alias NULL: none */
    OptionSection section;
    OptionKind kind;
    const char *arg;                /* how help names the value; NULL: takes none */
    const char *help;
    size_t offset;                  /* in Config: FLAG, TEXT, LIST */
    const char *first;              /* KEYS: the key that a bare first word is a value of */
    const KeySpec *keys;
    int number;                     /* for take(): which of several like options */
    bool (*take)(Config *c, const OptionUse *use, GError **errp);
    void (*values)(GString *out);   /* what "-option help" prints; NULL: its keys, if it has some */
    void (*print)(GString *out);
};

extern const Option option_table[];             /* ends with a NULL name */
extern const char *const option_sections[SECTIONS];

typedef enum OptionsResult { OPTIONS_OK, OPTIONS_PRINTED, OPTIONS_ERROR } OptionsResult;

/* OPTIONS_PRINTED: `out` has what -help or the like asked for, and the program ends. */
OptionsResult options_parse(Config *c, int argc, const char *const *argv, GString *out, GError **errp);
void options_help(GString *out);
void options_markdown(GString *out);            /* docs/options.md */
void options_version(GString *out);
extern const char tinamou_version[];

#endif
