/*
 * util/host.c - see util/host.h.
 */
#include "util/host.h"

#include <glib.h>

bool host_is_said_to_lack(const char *feature)
{
    const char *said = g_getenv("TINAMOU_HOST_LACKS");
    g_auto(GStrv) patterns = said ? g_strsplit(said, ",", -1) : NULL;

    for (unsigned i = 0; patterns && patterns[i]; i++) {
        if (g_pattern_match_simple(patterns[i], feature)) {
            return true;
        }
    }
    return false;
}
