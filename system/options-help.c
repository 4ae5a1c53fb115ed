/*
 * system/options-help.c - help texts and docs/options.md, from the table of options and from the
 * tables of machines, devices, accelerators and log items.
 */
#include "internal.h"
#include "accel/accel.h"
#include "core/device.h"
#include "hw/pc.h"
#include "target/x86/model.h"
#include "ui/ui.h"
#include "util/log.h"

#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

/* ---- values of single options ---- */

void values_accel(GString *out)
{
    g_string_append(out, "Accelerators, the default first:\n");
    for (const AccelOps *const *a = accel_list; *a; a++) {
        g_string_append_printf(out, "  %-12s %s\n", (*a)->name, (*a)->summary);
        if ((*a)->options) {
            keyspec_help((*a)->options, out);
        }
    }
}

void values_machine(GString *out)
{
    g_string_append(out, "Machines, the default first:\n");
    for (const BoardClass *const *b = board_classes; *b; b++) {
        g_string_append_printf(out, "  %-12s %s\n", (*b)->name, (*b)->summary);
    }
    g_string_append(out, "Keys:\n");
    for (const Option *o = option_table; o->name; o++) {
        if (!strcmp(o->name, "machine")) {
            keyspec_help(o->keys, out);
        }
    }
}

void values_cpu(GString *out)
{
    g_autoptr(GArray) givers = g_array_new(false, true, sizeof(X86CpuGiver));
    g_autoptr(GPtrArray) owned = g_ptr_array_new_with_free_func(g_free);

    for (const AccelOps *const *a = accel_list; *a; a++) {
        X86CpuGiver g = { .name = (*a)->name };
        if ((*a)->features) {
            uint32_t *words = g_new0(uint32_t, CPUID_WORDS);
            g_autoptr(GError) err = NULL;
            g_ptr_array_add(owned, words);
            if ((*a)->features(words, &err)) {
                g.words = words;
            } else {
                char *why = g_strdup(err->message);
                g_ptr_array_add(owned, why);
                g.why_not = why;
            }
        }
        g_array_append_val(givers, g);
    }
    x86_cpu_help(out, (const X86CpuGiver *)(void *)givers->data, givers->len);
}

void values_display(GString *out)
{
    g_string_append(out, "Displays:\n");
    for (const UiBackend *const *b = ui_backends; *b; b++) {
        g_string_append_printf(out, "  %-12s %s\n", (*b)->name, (*b)->summary);
        for (const UiOption *o = (*b)->options; o && o->name; o++) {
            g_autofree char *left = g_strdup_printf("%s=on|off", o->name);
            g_string_append_printf(out, "    %-24s %s (default %s)\n", left, o->help, o->def ? "on" : "off");
        }
    }
}

void values_log(GString *out)
{
    g_string_append(out, "Log items, separated by commas:\n");
    for (const LogName *l = log_channels; l->name; l++) {
        g_string_append_printf(out, "  %-12s %s\n", l->name, l->help);
    }
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const DeviceClass *const *)a)->name, (*(const DeviceClass *const *)b)->name);
}

static void list_devices(GString *out, bool board)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if (((*c)->board_only || !(*c)->bus) == board) {
            g_ptr_array_add(list, (void *)*c);
        }
    }
    g_ptr_array_sort(list, by_name);
    for (guint i = 0; i < list->len; i++) {
        const DeviceClass *c = g_ptr_array_index(list, i);
        g_string_append_printf(out, "  %-18s %-8s %s\n", c->name, c->bus ? c->bus : "-", c->summary);
    }
}

void values_device(GString *out)
{
    g_string_append(out, "Devices that can be added (name, bus):\n");
    list_devices(out, false);
    g_string_append(out, "Devices of the board (for -global):\n");
    list_devices(out, true);
}

static char *property_form(const Property *p)
{
    switch (p->kind) {
    case PROP_BOOL:
        return g_strdup("on|off");
    case PROP_ENUM:
        return g_strjoinv("|", (char **)p->values);
    case PROP_UINT:
        return g_strdup_printf(p->max > 9999 ? "0..0x%" G_GINT64_MODIFIER "x" : "0..%" G_GUINT64_FORMAT, p->max);
    case PROP_SIZE:
        return g_strdup("size");
    case PROP_PCI_ADDR:
        return g_strdup("slot[.function]");
    case PROP_CHARDEV:
        return g_strdup("id of a chardev");
    case PROP_BLOCK:
        return g_strdup("id of a drive");
    case PROP_STR:
    case PROP_END:
        break;
    }
    return g_strdup("text");
}

static char *property_default(const Property *p)
{
    switch (p->kind) {
    case PROP_BOOL:
        return g_strdup(p->def ? "on" : "off");
    case PROP_ENUM:
        return g_strdup(p->values[p->def]);
    case PROP_UINT:
    case PROP_SIZE:
        return g_strdup_printf(p->def > 9 ? "0x%" G_GINT64_MODIFIER "x" : "%" G_GUINT64_FORMAT, p->def);
    case PROP_PCI_ADDR:
        return g_strdup(p->def > 0xff ? "any free slot" : "fixed");
    case PROP_STR:
        return g_strdup(p->def_str ? p->def_str : "none");
    case PROP_CHARDEV:
    case PROP_BLOCK:
    case PROP_END:
        break;
    }
    return g_strdup("none");
}

bool help_device(const char *name, GString *out)
{
    const DeviceClass *c = device_class_find(name);

    if (!c) {
        return false;
    }
    g_string_append_printf(out, "%s: %s\n", c->name, c->summary);
    if (c->bus) {
        g_string_append_printf(out, "  bus: %s\n", c->bus);
    }
    for (const Property *p = c->props; p && p->kind != PROP_END; p++) {
        g_autofree char *form = property_form(p);
        g_autofree char *def = property_default(p);
        g_autofree char *left = g_strdup_printf("%s=%s", p->name, form);
        g_string_append_printf(out, "  %-28s %s (default %s)\n", left, p->help, def);
    }
    return true;
}

/* ---- all options ---- */

/* Text from this column on, broken at blanks. */
static void wrap(GString *out, size_t indent, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    size_t column = indent;

    for (char **w = words; *w; w++) {
        if (column > indent && column + 1 + strlen(*w) > HELP_WIDTH) {
            g_string_append_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent) {
            g_string_append_c(out, ' ');
            column++;
        }
        g_string_append(out, *w);
        column += strlen(*w);
    }
    g_string_append_c(out, '\n');
}

static const char *const notes[] = {
    "Without -nodefaults there are an empty CD-ROM drive, an empty floppy drive and a first serial port.",
    "With -nographic, or where there is no screen, serial port and monitor share the terminal; with a window "
    "the monitor has the terminal that tinamou was started in.",
    "SIGTERM presses the power button of a guest that listens to it, and ends tinamou when the guest has "
    "powered off, after 20 seconds, or at the second SIGTERM; SIGINT and SIGHUP end it at once.",
    "The exit status is 0, 1 after an error, or what the guest wrote to isa-debug-exit.",
    "Programs that test a processor find what they look for with -device pc-testdev (ports 0xe0, 0xe4, "
    "0x2000 and 0x2020, memory at 0xff000000) and -device isa-debug-exit.",
};

static char *option_usage(const Option *o)
{
    return g_strdup_printf("-%s%s%s%s%s", o->name, o->alias ? ", -" : "", o->alias ? o->alias : "",
                           o->arg ? " " : "", o->arg ? o->arg : "");
}

void options_help(GString *out)
{
    g_string_append(out, "Usage: tinamou [option...] [image]\n\n"
                         "`tinamou IMAGE` boots an ISO, a floppy image or a disk image, by its contents and "
                         "size.\n`tinamou doctor` says what this host gives a guest, and what is missing.\n"
                         "Options may be written with one dash or two; -OPTION help says more about most.\n");
    for (unsigned s = 0; s < SECTIONS; s++) {
        g_string_append_printf(out, "\n%s:\n", option_sections[s]);
        for (const Option *o = option_table; o->name; o++) {
            if (o->section == s) {
                g_autofree char *usage = option_usage(o);
                g_string_append_printf(out, "  %-*s", HELP_COLUMN - 2, usage);
                if (strlen(usage) + 2 >= HELP_COLUMN) {
                    g_string_append_printf(out, "\n%*s", HELP_COLUMN, "");
                }
                wrap(out, HELP_COLUMN, o->help);
            }
        }
    }
    g_string_append(out, "\nNotes:\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(notes); i++) {
        g_string_append(out, "  ");
        wrap(out, 2, notes[i]);
    }
}

static void markdown_keys(const KeySpec *keys, const char *before, GString *out)
{
    for (const KeySpec *k = keys; k && k->name; k++) {
        g_autofree char *form = keyspec_form(k);
        g_string_append_printf(out, "%s- `%s%s=%s`: %s\n", k == keys ? "\n" : "", before, k->name, form, k->help);
    }
}

static void markdown_accels(GString *out)
{
    for (const AccelOps *const *a = accel_list; *a; a++) {
        g_autofree char *before = g_strconcat((*a)->name, ",", NULL);
        markdown_keys((*a)->options, before, out);
    }
}

void options_markdown(GString *out)
{
    g_string_append(out, "# Options of tinamou\n\n"
                         "Made by `tinamou -help-markdown` from the table that parses them "
                         "(`system/options.c`); a test compares.\n");
    for (unsigned s = 0; s < SECTIONS; s++) {
        g_string_append_printf(out, "\n## %s\n", option_sections[s]);
        for (const Option *o = option_table; o->name; o++) {
            g_autofree char *usage = option_usage(o);
            if (o->section != s) {
                continue;
            }
            g_string_append_printf(out, "\n`%s`  \n%s\n", usage, o->help);
            markdown_keys(o->keys, "", out);
            if (o->values == values_accel) {
                markdown_accels(out);
            }
        }
    }
    g_string_append(out, "\n## Notes\n\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(notes); i++) {
        g_string_append_printf(out, "- %s\n", notes[i]);
    }
}

void options_version(GString *out)
{
    g_string_append_printf(out, "Tinamou %s\n", tinamou_version);
}
