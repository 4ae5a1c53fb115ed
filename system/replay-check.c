/*
 * `tinamou replay-check FILE [a=ACCEL] [b=ACCEL]`: a difference that -accel check wrote, run again.
 */
#include "accel/check.h"
#include "internal.h"
#include "util/error.h"
#include "util/suggest.h"

#include <stdio.h>
#include <string.h>

static bool take_word(const char *word, const char **a, const char **b, GError **errp)
{
    static const char *const keys[] = { "a", "b", NULL };

    if (g_str_has_prefix(word, "a=")) {
        *a = word + 2;
    } else if (g_str_has_prefix(word, "b=")) {
        *b = word + 2;
    } else {
        g_autofree char *key = g_strndup(word, strcspn(word, "="));
        g_autofree char *tail = suggest_tail(key, keys);
        error_set(errp, "replay-check has no word '%s'%s; it takes a file, a=ACCELERATOR and b=ACCELERATOR", word,
                  tail);
        return false;
    }
    return true;
}

int replay_check(int argc, const char *const *argv, GError **errp)
{
    const char *a = "interp", *b = "interp";
    g_autoptr(GString) out = g_string_new(NULL);
    GError *err = NULL;

    if (argc < 1) {
        error_set(errp, "replay-check needs the file that a cross-check wrote");
        return -1;
    }
    for (int i = 1; i < argc; i++) {
        if (!take_word(argv[i], &a, &b, errp)) {
            return -1;
        }
    }
    bool same = check_replay(argv[0], a, b, out, &err);
    fputs(out->str, stdout);
    if (err) {
        g_propagate_error(errp, err);
        return -1;
    }
    return same ? 0 : 1;
}
