/*
 * Choosing an accelerator: one by name, or the first of a chain that says it is good here, and takes the machine's
 * processors.
 */
#include "accel/accel.h"

#include <stdio.h>
#include <string.h>
#include "target/x86/model.h"
#include "util/error.h"
#include "util/suggest.h"

static const AccelOps *find(const char *name, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const AccelOps *const *a = accel_list; *a; a++) {
        if (!strcmp((*a)->name, name)) {
            return *a;
        }
        g_ptr_array_add(names, (char *)(*a)->name);
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
    g_autofree char *tail = suggest_tail(name, (const char *const *)names->pdata);
    error_set(errp, "there is no accelerator '%s'%s; there are: %s", name, tail, all);
    return NULL;
}

const AccelOps *accel_find(const char *text, GError **errp)
{
    g_autofree char *name = g_strndup(text, strcspn(text, ",:"));

    return find(name, errp);
}

static KeyVals *parse_options(const char *spec, const AccelOps **ops, GError **errp)
{
    static const KeySpec none[] = { { NULL } };
    const char *comma = strchr(spec, ',');
    g_autofree char *name = comma ? g_strndup(spec, comma - spec) : g_strdup(spec);

    *ops = find(name, errp);
    if (!*ops) {
        return NULL;
    }
    if (comma && !(*ops)->options) {
        error_set(errp, "'%s' has no options, so that '%s' cannot be one", name, comma + 1);
        return NULL;
    }
    return keyvals_parse(comma ? comma + 1 : "", NULL, comma ? (*ops)->options : none, errp);
}

bool accel_parse(const char *text, GPtrArray *chain, GError **errp)
{
    size_t names_len = strcspn(text, ",");
    g_autofree char *names_text = g_strndup(text, names_len);
    g_auto(GStrv) names = g_strsplit(names_text, ":", -1);

    if (!names[0]) {
        error_set(errp, "a name is missing");
        return false;
    }
    if (names[1] && text[names_len]) {
        error_set(errp, "options belong to one accelerator: give each of %s an -accel of its own", names_text);
        return false;
    }
    for (char **n = names; *n; n++) {
        g_autofree char *spec = g_strconcat(*n, text + names_len, NULL);
        const AccelOps *ops;
        g_autoptr(KeyVals) options = parse_options(spec, &ops, errp);
        if (!options) {
            return false;
        }
        g_ptr_array_add(chain, g_steal_pointer(&spec));
    }
    return true;
}

void accel_default_chain(GPtrArray *chain)
{
    for (const AccelOps *const *a = accel_list; *a; a++) {
        if (!(*a)->only_by_name) {
            g_ptr_array_add(chain, g_strdup((*a)->name));
        }
    }
}

/* With a `runner`, the machine's processors are made, too. */
static Accel *make(Machine *m, const AccelOps *ops, const KeyVals *options, Runner **runner, GError **errp)
{
    Accel *a = ops->create(m, options, errp);

    if (!a) {
        return NULL;
    }
    a->ops = ops;
    a->machine = m;
    if (runner && !(*runner = runner_new(a, errp))) {
        ops->destroy(a);
        for (guint i = 0; i < m->vcpus->len; i++) {     /* for whoever is next */
            x86_restore_model(x86_cpu(g_ptr_array_index(m->vcpus, i)));
        }
        return NULL;
    }
    return a;
}

static void say_going_on(const char *name, const char *why, const char *next)
{
    fprintf(stderr, "tinamou: %s%s%s; going on with %s\n", name ? name : "", name ? ": " : "", why, next);
}

/* One element of a chain; `next` is the name of the one behind it, NULL at the end.  NULL without an
 * error: go on with that. */
static Accel *try_one(Machine *m, const char *spec, bool judge, const char *next, Runner **runner, GError **errp)
{
    const AccelOps *ops;
    g_autoptr(KeyVals) options = parse_options(spec, &ops, errp);
    g_autoptr(GError) why = NULL;
    Accel *a = NULL;

    if (!options) {
        return NULL;
    }
    AccelProbe result = judge && ops->probe ? ops->probe(options, &why) : PROBE_GOOD;
    if (result == PROBE_POOR) {
        if (next) {
            say_going_on(NULL, why->message, next);
            return NULL;
        }
        fprintf(stderr, "tinamou: %s\n", why->message);
        g_clear_error(&why);
    }
    if (result != PROBE_NO) {
        a = make(m, ops, options, runner, &why);
    }
    if (a) {
        return a;
    }
    if (!next) {
        g_propagate_error(errp, g_steal_pointer(&why));
    } else if (why->code) {                             /* something of the host's failed */
        fprintf(stderr, "tinamou: %s\ntinamou: failed to initialize %s: %s\ntinamou: Back to %s accelerator.\n",
                why->message, ops->name, g_strerror(why->code), next);
    } else {                                            /* it is not for this machine */
        say_going_on(ops->name, why->message, next);
    }
    return NULL;
}

static Accel *open_chain(Machine *m, const GPtrArray *chain, Runner **runner, GError **errp)
{
    for (guint i = 0; i < chain->len; i++) {
        const char *next = i + 1 < chain->len ? g_ptr_array_index(chain, i + 1) : NULL;
        g_autofree char *next_name = next ? g_strndup(next, strcspn(next, ",")) : NULL;
        GError *err = NULL;
        Accel *a = try_one(m, g_ptr_array_index(chain, i), true, next_name, runner, &err);
        if (a) {
            return a;
        }
        if (err) {
            g_propagate_error(errp, err);
            break;
        }
    }
    return NULL;
}

Accel *accel_open_chain(Machine *m, const GPtrArray *chain, GError **errp)
{
    return open_chain(m, chain, NULL, errp);
}

Runner *runner_open_chain(Machine *m, const GPtrArray *chain, GError **errp)
{
    Runner *r = NULL;

    open_chain(m, chain, &r, errp);
    return r;
}

Accel *accel_open_one(Machine *m, const char *text, GError **errp)
{
    return try_one(m, text, false, NULL, NULL, errp);
}

Accel *accel_open(Machine *m, const char *text, GError **errp)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(g_free);

    if (!text) {
        accel_default_chain(chain);
    } else if (!accel_parse(text, chain, errp)) {
        return NULL;
    }
    return accel_open_chain(m, chain, errp);
}
