/*
 * ui/ui.h - user interfaces: the table that -display chooses from.
 *
 * Called by system/ on the loop thread with the machine lock held, after the board is built: a user
 * interface finds the machine's "display" and "input" services, and asks for power-down or quit by
 * machine_request().  No graphics library is touched before ui_open() or ui_default().
 */
#ifndef UI_UI_H
#define UI_UI_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/machine.h"

typedef struct Ui Ui;

typedef struct UiOption {           /* on or off, behind the name in -display */
    const char *name, *help;
    bool def;
} UiOption;

typedef struct UiConfig {
    Machine *machine;
    const char *name;               /* -name, for the title; NULL: none given */
    const char *options;            /* "full-screen=on,window-close=off"; NULL: none given */
} UiConfig;

typedef struct UiBackend {
    const char *name, *summary;
    const UiOption *options;        /* ends with a NULL name; NULL: none */
    bool (*usable)(void);           /* would open() find a screen? */
    Ui *(*open)(const UiConfig *cfg, const bool *options, GError **errp);     /* values as in `options` */
    void (*close)(Ui *ui);
} UiBackend;

struct Ui {                         /* first member of a back end's own struct */
    const UiBackend *backend;
};

extern const UiBackend *const ui_backends[];        /* NULL at its end */
/* NULL and an error that names the nearest; an option list behind a ',' is not looked at. */
const UiBackend *ui_find(const char *name, GError **errp);
const UiBackend *ui_default(void);                  /* a window where there is a screen, else "none" */
Ui *ui_open(const UiBackend *b, const UiConfig *cfg, GError **errp);
void ui_close(Ui *ui);                              /* NULL is fine */

#endif
