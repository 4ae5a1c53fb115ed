/*
 * Reading kvm-gaps.txt.
 */
#include "kvm_gaps.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* Release and the processor's vendor, as in the file. */
static char *this_host(void)
{
    g_autofree char *info = NULL;
    char vendor[64] = "";
    struct utsname u;

    uname(&u);
    if (g_file_get_contents("/proc/cpuinfo", &info, NULL, NULL)) {
        const char *at = strstr(info, "vendor_id");
        if (at) {
            sscanf(at, "vendor_id : %63s", vendor);
        }
    }
    return g_strdup_printf("kernel %s %s", u.release, vendor);
}

static void take_case(KvmGaps *g, const char *name)
{
    if (name[0] == '!') {
        g->end = g_strstrip(g_strdup(name + 1));
    } else {
        g_hash_table_add(g->cases, g_strdup(name));
    }
}

KvmGaps *kvm_gaps_read(const char *path, const char *program, GError **errp)
{
    g_autofree char *text = NULL, *host = this_host(), *head = g_strconcat(program, ": ", NULL);
    bool ours = false;

    if (!g_file_get_contents(path, &text, NULL, errp)) {
        return NULL;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    KvmGaps *g = g_new0(KvmGaps, 1);
    g->cases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (char **l = lines; *l; l++) {
        if (g_str_has_prefix(*l, "    ")) {
            if (ours) {
                take_case(g, *l + 4);
            }
        } else if (**l != '#' && **l) {
            g->complete |= !strcmp(*l, host);
            ours = g_str_has_prefix(*l, head);
            if (ours) {
                g->why = g_strdup(*l + strlen(head));
            }
        }
    }
    return g;
}

void kvm_gaps_free(KvmGaps *g)
{
    if (g) {
        g_hash_table_destroy(g->cases);
        g_free(g->why);
        g_free(g->end);
        g_free(g);
    }
}
