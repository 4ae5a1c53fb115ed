/*
 * Choosing an accelerator: one by name, or the first of a chain that says it is good here.
 */
#include "accel/accel.h"

#include <stdio.h>
#include <string.h>
#include "util/error.h"
#include "util/suggest.h"

const AccelOps *const accel_list[] = { &accel_interp, NULL };

static const AccelOps *find(const char *name, GError **errp)
{
    const char *names[G_N_ELEMENTS(accel_list)];
    unsigned n = 0;

    for (const AccelOps *const *a = accel_list; *a; a++) {
        if (!strcmp((*a)->name, name)) {
            return *a;
        }
        names[n++] = (*a)->name;
    }
    names[n] = NULL;
    g_autofree char *all = g_strjoinv(", ", (char **)names);
    g_autofree char *tail = suggest_tail(name, names);
    error_set(errp, "there is no accelerator '%s'%s; there are: %s", name, tail, all);
    return NULL;
}

static Accel *try_one(Machine *m, const AccelOps *ops, GError **errp)
{
    Accel *a = !ops->probe || ops->probe(errp) ? ops->create(m, errp) : NULL;

    if (a) {
        a->ops = ops;
        a->machine = m;
    }
    return a;
}

Accel *accel_open(Machine *m, const char *chain, GError **errp)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    if (chain) {
        g_auto(GStrv) names = g_strsplit(chain, ":", -1);
        for (char **n = names; *n; n++) {
            const AccelOps *ops = find(*n, errp);
            if (!ops) {
                return NULL;
            }
            g_ptr_array_add(list, (void *)ops);
        }
    } else {
        for (const AccelOps *const *a = accel_list; *a; a++) {
            g_ptr_array_add(list, (void *)*a);
        }
    }
    for (guint i = 0; i < list->len; i++) {
        const AccelOps *ops = g_ptr_array_index(list, i);
        GError *why = NULL;
        Accel *a = try_one(m, ops, &why);
        if (a) {
            return a;
        }
        if (i + 1 == list->len) {
            g_propagate_error(errp, why);
            break;
        }
        const AccelOps *next = g_ptr_array_index(list, i + 1);
        fprintf(stderr, "tinamou: %s\ntinamou: failed to initialize %s\ntinamou: Back to %s accelerator.\n",
                why->message, ops->name, next->name);
        g_error_free(why);
    }
    return NULL;
}
