/*
 * Nearest names by edit distance (insert, delete, replace, swap of neighbours).
 */
#include "util/suggest.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 63 };      /* names are short; longer ones are compared by their beginning */

static unsigned distance(const char *a, const char *b)
{
    size_t la = MIN(strlen(a), (size_t)LONGEST), lb = MIN(strlen(b), (size_t)LONGEST);
    unsigned row[3][LONGEST + 1];

    for (size_t j = 0; j <= lb; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            bool same = g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 1]);
            now[j] = MIN(MIN(last[j] + 1, now[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = MIN(now[j], before[j - 2] + 1);
            }
        }
    }
    return row[la % 3][lb];
}

const char *suggest_nearest(const char *wrong, const char *const *names)
{
    const char *best = NULL;
    unsigned best_distance = MAX(strlen(wrong) / 3, 1) + 1;

    for (; *names; names++) {
        unsigned d = distance(wrong, *names);
        /* A name that the wrong one begins, or that begins it, is near as well. */
        size_t n = MIN(strlen(wrong), strlen(*names));
        if (n >= 3 && !g_ascii_strncasecmp(wrong, *names, n)) {
            d = MIN(d, 1);
        }
        if (d < best_distance) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

char *suggest_tail(const char *wrong, const char *const *names)
{
    const char *near = suggest_nearest(wrong, names);

    return near ? g_strdup_printf("; did you mean '%s'?", near) : g_strdup("");
}
