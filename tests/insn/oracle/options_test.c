/*
 * What the command line of insn-oracle and tinamou-crosscheck says to a mistake, and what it makes of none.
 */
#include <string.h>
#include "options.h"

static bool parse(CaseOptions *o, const char *line, GError **errp)
{
    static gboolean all;
    static const GOptionEntry more[] = { { "all", 0, 0, G_OPTION_ARG_NONE, &all, "all", NULL }, { NULL } };
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    int argc = (int)g_strv_length(argv);
    g_autofree char **shown = g_memdup2(argv, sizeof(*argv) * ((size_t)argc + 1));   /* parsing takes words out */

    *o = (CaseOptions){ .seconds = 7 };
    return options_parse(o, "- test", more, argc, shown, errp);
}

static void mistakes(void)
{
    static const char *const lines[][2] = {
        { "x --secnds 3", "did you mean --seconds?" }, { "x --al", "did you mean --all?" },
        { "x --count 3 --sede=5", "did you mean --seed?" }, { "x --qqqqqqqq", "see --help" },
        { "x --bits 12", "16, 32 or 64" }, { "x --bits 160", "16, 32 or 64" }, { "x --count -3", "positive" },
        { "x --seconds nan", "positive" }, { "x add", "'add' is no option" }, { "x --rows (", "regular expression" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) err = NULL;
        CaseOptions o;
        g_assert_false(parse(&o, lines[i][0], &err));
        g_assert_nonnull(err);
        if (!strstr(err->message, lines[i][1])) {
            g_error("'%s' gives: %s", lines[i][0], err->message);
        }
        options_clear(&o);
    }
}

static void defaults(void)
{
    CaseOptions o;

    g_assert_true(parse(&o, "x", NULL));
    g_assert_cmpfloat(o.seconds, ==, 7);
    g_assert_cmpint(o.count, ==, G_MAXINT64);
    g_assert_cmpint(o.seed, >, 0);
    g_assert_cmpuint(o.bits, ==, 0);
    options_clear(&o);
    g_assert_true(parse(&o, "x --count 9 --bits 32 --rows ^add$ --seed 5", NULL));
    g_assert_cmpfloat(o.seconds, ==, 0);
    g_assert_cmpint(o.count, ==, 9);
    g_assert_cmpint(o.seed, ==, 5);
    g_assert_cmpuint(o.bits, ==, 32);
    g_assert_true(g_regex_match(o.rows_wanted, "add", 0, NULL));
    options_clear(&o);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/mistakes", mistakes);
    g_test_add_func("/options/defaults", defaults);
    return g_test_run();
}
