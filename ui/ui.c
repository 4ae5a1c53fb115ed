/*
 * The table of user interfaces, and the options behind their names.
 */
#include "ui/ui.h"
#include "backends.h"
#include "util/error.h"
#include "util/size.h"
#include "util/suggest.h"

#include <string.h>

enum { MAX_OPTIONS = 16 };

static bool none_usable(void)
{
    return true;
}

static Ui *none_open(const UiConfig *cfg, const bool *options, GError **errp)
{
    return g_new0(Ui, 1);
}

static void none_close(Ui *ui)
{
    g_free(ui);
}

static const UiBackend ui_none = {
    .name = "none",
    .summary = "no window: the screen is there, for the guest and for screendump",
    .usable = none_usable,
    .open = none_open,
    .close = none_close,
};

const UiBackend *const ui_backends[] = { &ui_sdl, &ui_none, NULL };

const UiBackend *ui_find(const char *name, GError **errp)
{
    const char *names[G_N_ELEMENTS(ui_backends)] = { NULL };
    g_autofree char *wanted = g_strndup(name, strcspn(name, ","));

    for (unsigned i = 0; ui_backends[i]; i++) {
        if (!strcmp(ui_backends[i]->name, wanted)) {
            return ui_backends[i];
        }
        names[i] = ui_backends[i]->name;
    }
    g_autofree char *tail = suggest_tail(wanted, names);
    g_autofree char *all = g_strjoinv(", ", (char **)names);
    error_set(errp, "unknown display '%s'%s (there are: %s)", wanted, tail, all);
    return NULL;
}

const UiBackend *ui_default(void)
{
    unsigned i = 0;

    while (!ui_backends[i]->usable()) {     /* the last one always is */
        i++;
    }
    return ui_backends[i];
}

static bool parse_option(const UiBackend *b, const char *item, bool *values, GError **errp)
{
    const char *names[MAX_OPTIONS + 1] = { NULL };
    const char *eq = strchr(item, '=');
    g_autofree char *name = eq ? g_strndup(item, eq - item) : g_strdup(item);

    for (unsigned i = 0; b->options && b->options[i].name; i++) {
        names[i] = b->options[i].name;
        if (strcmp(name, names[i])) {
            continue;
        }
        GError *err = NULL;
        if (eq && !bool_parse(eq + 1, &values[i], &err)) {
            error_set(errp, "display %s: %s: %s", b->name, name, err->message);
            g_error_free(err);
            return false;
        }
        if (!eq) {
            values[i] = true;
        }
        return true;
    }
    g_autofree char *tail = suggest_tail(name, names);
    error_set(errp, "display %s has no option '%s'%s", b->name, name, tail);
    return false;
}

Ui *ui_open(const UiBackend *b, const UiConfig *cfg, GError **errp)
{
    bool values[MAX_OPTIONS] = { false };
    g_auto(GStrv) items = g_strsplit(cfg->options ? cfg->options : "", ",", -1);

    for (unsigned i = 0; b->options && b->options[i].name; i++) {
        values[i] = b->options[i].def;
    }
    for (unsigned i = 0; items[i]; i++) {
        if (!parse_option(b, items[i], values, errp)) {
            return NULL;
        }
    }
    Ui *ui = b->open(cfg, values, errp);
    if (ui) {
        ui->backend = b;
    }
    return ui;
}

void ui_close(Ui *ui)
{
    if (ui) {
        ui->backend->close(ui);
    }
}
