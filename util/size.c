/*
 * Sizes and numbers as people write them.
 */
#include "util/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/error.h"

static const char units[] = "BKMGTPE";

static int unit_shift(char c)
{
    const char *at = c ? strchr(units, g_ascii_toupper(c)) : NULL;

    return at ? 10 * (int)(at - units) : -1;
}

bool size_parse(const char *text, char unit, uint64_t *bytes, GError **errp)
{
    char *end;
    int shift = unit_shift(unit);
    bool hex = !g_ascii_strncasecmp(text, "0x", 2);

    if (!g_ascii_isdigit(text[0])) {
        error_set(errp, "'%s' is not a size: write a number and a unit, as in 512M or 6G", text);
        return false;
    }
    errno = 0;
    uint64_t whole = strtoull(text, &end, hex ? 16 : 10);
    bool over = errno == ERANGE;
    double fraction = 0;
    if (*end == '.' && !hex) {
        fraction = g_ascii_strtod(end, &end);
    }
    if (*end) {
        shift = unit_shift(*end++);
        if (g_ascii_toupper(end[-1]) != 'B' && g_ascii_toupper(*end) == 'B') {
            end++;
        }
    }
    if (shift < 0 || *end) {
        error_set(errp, "'%s' is not a size: the units are K, M, G and T, as in 512M or 6G", text);
        return false;
    }
    if (over || (whole << shift) >> shift != whole) {
        error_set(errp, "size '%s' is too large", text);
        return false;
    }
    *bytes = (whole << shift) + (uint64_t)(fraction * (double)(1ull << shift));
    return true;
}

bool number_parse(const char *text, uint64_t max, uint64_t *value, GError **errp)
{
    char *end;

    errno = 0;
    uint64_t v = strtoull(text, &end, 0);
    if (!g_ascii_isdigit(text[0]) || *end) {
        error_set(errp, "'%s' is not a number", text);
        return false;
    }
    if (errno == ERANGE || v > max) {
        error_set(errp, "%s is out of range: at most %" G_GUINT64_FORMAT, text, max);
        return false;
    }
    *value = v;
    return true;
}

bool bool_parse(const char *text, bool *value, GError **errp)
{
    static const char *const yes[] = { "on", "yes", "true", "1" }, *const no[] = { "off", "no", "false", "0" };

    for (unsigned i = 0; i < G_N_ELEMENTS(yes); i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *value = !strcmp(text, yes[i]);
            return true;
        }
    }
    error_set(errp, "'%s' is neither 'on' nor 'off'", text);
    return false;
}
