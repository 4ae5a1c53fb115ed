/*
 * tests/insn/oracle/options.c - see options.h.
 */
#include "options.h"

#include <stdbool.h>
#include <string.h>
#include "util/error.h"
#include "util/suggest.h"

/* GLib says which option it does not know; the nearest that it does is added. */
static void name_nearest(const GOptionEntry *a, const GOptionEntry *b, int argc, char **argv, GError *err)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const GOptionEntry *e = a; e && e->long_name; e++) {
        g_ptr_array_add(names, (gpointer)e->long_name);
    }
    for (const GOptionEntry *e = b; e->long_name; e++) {
        g_ptr_array_add(names, (gpointer)e->long_name);
    }
    g_ptr_array_add(names, "help");
    g_ptr_array_add(names, NULL);
    const char *const *known = (const char *const *)names->pdata;
    for (int i = 1; i < argc; i++) {
        const char *given = g_str_has_prefix(argv[i], "--") ? argv[i] + 2 : "help";
        g_autofree char *word = g_strndup(given, strcspn(given, "="));
        if (!g_strv_contains(known, word)) {
            const char *nearest = suggest_nearest(word, known);
            g_autofree char *tail = nearest ? g_strdup_printf("did you mean --%s?", nearest) : g_strdup("see --help");
            g_autofree char *said = err->message;
            err->message = g_strdup_printf("%s; %s", said, tail);
            return;
        }
    }
}

static bool take_bits(CaseOptions *o, const char *bits, GError **errp)
{
    static const struct { const char *name; unsigned bits; } sizes[] = { { "16", 16 }, { "32", 32 }, { "64", 64 } };

    for (unsigned i = 0; bits && i < G_N_ELEMENTS(sizes); i++) {
        o->bits = strcmp(bits, sizes[i].name) ? o->bits : sizes[i].bits;
    }
    if (bits && !o->bits) {
        error_set(errp, "--bits %s: code is of 16, 32 or 64 bits", bits);
    }
    return !bits || o->bits;
}

static bool take_limits(CaseOptions *o, double seconds, gint64 count, GError **errp)
{
    if (!(seconds >= 0) || count < 0) {
        error_set(errp, "--seconds and --count are positive numbers");
        return false;
    }
    o->seconds = seconds || count ? seconds : o->seconds;
    o->count = count ? count : G_MAXINT64;
    return true;
}

static void take_seed(CaseOptions *o, gint64 seed)
{
    const char *variable = g_getenv("INSN_ORACLE_SEED");

    o->seed = seed || !variable ? seed : g_ascii_strtoll(variable, NULL, 10);
    if (!o->seed) {
        o->seed = ((gint64)((guint64)g_get_real_time() << 16) | (g_random_int() & 0xffff)) & G_MAXINT64;
    }
    o->seed = MAX(o->seed & G_MAXINT64, 1);
}

bool options_parse(CaseOptions *o, const char *summary, const GOptionEntry *more, int argc, char **argv, GError **errp)
{
    g_autofree char *how_long = g_strdup_printf("how long (%g if no count is given)", o->seconds), *bits = NULL;
    double seconds = 0;
    gint64 count = 0, seed = 0;
    const GOptionEntry shared[] = {
        { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, how_long, "S" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &count, "how many cases", "N" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the cases (a fresh one is printed)", "N" },
        { "rows", 0, 0, G_OPTION_ARG_STRING, &o->rows, "only instructions whose name matches", "REGEX" },
        { "bits", 0, 0, G_OPTION_ARG_STRING, &bits, "only code of this size", "16|32|64" },
        { "replay", 0, 0, G_OPTION_ARG_STRING, &o->replay, "one case, as a report of insn-oracle or tinamou-crosscheck "
          "names it", "CASE" },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(summary);
    GError *err = NULL;

    if (more) {
        g_option_context_add_main_entries(context, more, NULL);
    }
    g_option_context_add_main_entries(context, shared, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        if (g_error_matches(err, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION)) {
            name_nearest(more, shared, argc, argv, err);
        }
        g_propagate_error(errp, err);
        return false;
    }
    if (argc > 1) {
        error_set(errp, "'%s' is no option; see --help", argv[1]);
        return false;
    }
    take_seed(o, seed);
    return take_limits(o, seconds, count, errp) && take_bits(o, bits, errp)
        && (!o->rows || (o->rows_wanted = g_regex_new(o->rows, 0, 0, errp)));
}

void options_clear(CaseOptions *o)
{
    g_free(o->rows);
    g_free(o->replay);
    g_clear_pointer(&o->rows_wanted, g_regex_unref);
}
