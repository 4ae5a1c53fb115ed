/*
 * util/keyval.c - see util/keyval.h.
 */
#include "util/keyval.h"
#include "util/error.h"
#include "util/size.h"
#include "util/suggest.h"

#include <string.h>

/* ---- reading ---- */

/* The text up to the next single comma; *rest is behind it, NULL at the end. */
static char *next_item(const char *text, const char **rest)
{
    GString *item = g_string_new(NULL);
    const char *p = text;

    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        g_string_append_c(item, *p);
    }
    *rest = *p ? p + 1 : NULL;
    return g_string_free(item, FALSE);
}

static const KeySpec *find_spec(const KeySpec *specs, const char *key)
{
    for (; specs->name; specs++) {
        if (!strcmp(specs->name, key)) {
            return specs;
        }
    }
    return NULL;
}

static void unknown_key(const char *key, const KeySpec *specs, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *tail = NULL;

    for (const KeySpec *s = specs; s->name; s++) {
        g_ptr_array_add(names, (char *)s->name);
    }
    g_ptr_array_add(names, NULL);
    tail = suggest_tail(key, (const char *const *)names->pdata);
    error_set(errp, "unknown key '%s'%s", key, tail);
}

static bool check_enum(const KeySpec *s, KeyVal *v, GError **errp)
{
    g_autofree char *form = NULL;
    g_autofree char *tail = NULL;

    for (unsigned i = 0; s->values[i]; i++) {
        if (!strcmp(s->values[i], v->value)) {
            v->number = i;
            return true;
        }
    }
    form = keyspec_form(s);
    tail = suggest_tail(v->value, s->values);
    error_set(errp, "%s=%s: must be one of %s%s", v->key, v->value, form, tail);
    return false;
}

static bool check_number(const KeySpec *s, KeyVal *v, GError **errp)
{
    GError *err = NULL;
    bool ok = s->kind == KEY_SIZE ? size_parse(v->value, s->unit ? s->unit : 'B', &v->number, &err)
                                  : number_parse(v->value, UINT64_MAX, &v->number, &err);

    if (!ok) {
        g_propagate_prefixed_error(errp, err, "%s=%s: ", v->key, v->value);
        return false;
    }
    if ((s->min || s->max) && (v->number < s->min || v->number > s->max)) {
        g_autofree char *form = keyspec_form(s);
        error_set(errp, "%s=%s: must be %s", v->key, v->value, form);
        return false;
    }
    return true;
}

static bool check_value(const KeySpec *s, KeyVal *v, GError **errp)
{
    bool on;
    GError *err = NULL;

    switch (s->kind) {
    case KEY_STR:
        return true;
    case KEY_BOOL:
        if (!bool_parse(v->value, &on, &err)) {
            g_propagate_prefixed_error(errp, err, "%s=%s: ", v->key, v->value);
            return false;
        }
        v->number = on;
        return true;
    case KEY_UINT:
    case KEY_SIZE:
        return check_number(s, v, errp);
    case KEY_ENUM:
        return check_enum(s, v, errp);
    }
    return true;
}

/* An item without '=': "server", "nowait". */
static bool bare_word(KeyVal *v, const KeySpec *specs, GError **errp)
{
    const KeySpec *s = specs ? find_spec(specs, v->key) : NULL;

    if (!specs || (s && s->kind == KEY_BOOL)) {
        v->value = g_strdup("on");
        return true;
    }
    if (s) {
        error_set(errp, "'%s' needs a value: %s=...", v->key, v->key);
        return false;
    }
    if (g_str_has_prefix(v->key, "no")) {
        s = find_spec(specs, v->key + 2);
        if (s && s->kind == KEY_BOOL) {
            g_free(v->key);
            v->key = g_strdup(s->name);
            v->value = g_strdup("off");
            return true;
        }
    }
    unknown_key(v->key, specs, errp);
    return false;
}

static bool parse_item(KeyVals *k, char *item, const char *first, const KeySpec *specs, GError **errp)
{
    char *eq = strchr(item, '=');
    KeyVal *v = &k->item[k->count - 1];
    const KeySpec *s;

    if (!eq && first) {
        v->key = g_strdup(first);
        v->value = g_strdup(item);
    } else if (!eq) {
        v->key = g_strdup(item);
        if (!*item) {
            error_set(errp, "a key is missing between two commas or at the end (a comma in a value is "
                      "written twice)");
            return false;
        }
        if (!bare_word(v, specs, errp)) {
            return false;
        }
    } else {
        v->key = g_strndup(item, eq - item);
        v->value = g_strdup(eq + 1);
    }
    for (unsigned i = 0; i + 1 < k->count; i++) {
        if (!strcmp(k->item[i].key, v->key)) {
            error_set(errp, "'%s' is given twice", v->key);
            return false;
        }
    }
    if (!specs) {
        return true;
    }
    s = find_spec(specs, v->key);
    if (!s) {
        unknown_key(v->key, specs, errp);
        return false;
    }
    return check_value(s, v, errp);
}

KeyVals *keyvals_parse(const char *text, const char *first, const KeySpec *specs, GError **errp)
{
    g_autoptr(KeyVals) k = g_new0(KeyVals, 1);

    while (text && (*text || k->count)) {
        g_autofree char *item = next_item(text, &text);

        k->item = g_renew(KeyVal, k->item, k->count + 1);
        k->item[k->count++] = (KeyVal){ 0 };
        if (!parse_item(k, item, k->count == 1 ? first : NULL, specs, errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&k);
}

void keyvals_free(KeyVals *k)
{
    if (!k) {
        return;
    }
    for (unsigned i = 0; i < k->count; i++) {
        g_free(k->item[i].key);
        g_free(k->item[i].value);
    }
    g_free(k->item);
    g_free(k);
}

/* ---- asking ---- */

static const KeyVal *find(const KeyVals *k, const char *key)
{
    for (unsigned i = 0; i < k->count; i++) {
        if (!strcmp(k->item[i].key, key)) {
            return &k->item[i];
        }
    }
    return NULL;
}

const char *keyvals_str(const KeyVals *k, const char *key)
{
    const KeyVal *v = find(k, key);

    return v ? v->value : NULL;
}

uint64_t keyvals_num(const KeyVals *k, const char *key, uint64_t def)
{
    const KeyVal *v = find(k, key);

    return v ? v->number : def;
}

bool keyvals_bool(const KeyVals *k, const char *key, bool def)
{
    return keyvals_num(k, key, def);
}

/* ---- printing ---- */

char *keyval_escape(const char *value)
{
    GString *s = g_string_new(value);

    g_string_replace(s, ",", ",,", 0);
    return g_string_free(s, FALSE);
}

char *keyvals_print(const KeyVals *k, const char *const *skip)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < k->count; i++) {
        if (!skip || !g_strv_contains(skip, k->item[i].key)) {
            g_autofree char *value = keyval_escape(k->item[i].value);
            g_autofree char *key = keyval_escape(k->item[i].key);
            g_string_append_printf(s, "%s%s=%s", s->len ? "," : "", key, value);
        }
    }
    return g_string_free(s, FALSE);
}

/* 1048576 as "1M" */
static char *short_size(uint64_t n)
{
    static const char unit[] = "KMGTPE";
    unsigned i = 0;

    while (i < 6 && n && n % 1024 == 0) {
        n /= 1024;
        i++;
    }
    return i ? g_strdup_printf("%" G_GUINT64_FORMAT "%c", n, unit[i - 1])
             : g_strdup_printf("%" G_GUINT64_FORMAT, n);
}

char *keyspec_form(const KeySpec *s)
{
    switch (s->kind) {
    case KEY_BOOL:
        return g_strdup("on|off");
    case KEY_ENUM:
        return g_strjoinv("|", (char **)s->values);
    case KEY_UINT:
        if (s->min || s->max) {
            return g_strdup_printf("%" G_GUINT64_FORMAT "..%" G_GUINT64_FORMAT, s->min, s->max);
        }
        return g_strdup("number");
    case KEY_SIZE:
        if (s->min || s->max) {
            g_autofree char *min = short_size(s->min);
            g_autofree char *max = short_size(s->max);
            return g_strdup_printf("%s..%s", min, max);
        }
        return g_strdup("size");
    case KEY_STR:
        break;
    }
    return g_strdup("text");
}

void keyspec_help(const KeySpec *specs, GString *out)
{
    for (; specs->name; specs++) {
        g_autofree char *form = keyspec_form(specs);
        g_autofree char *left = g_strdup_printf("%s=%s", specs->name, form);
        g_string_append_printf(out, "    %-26s %s\n", left, specs->help);
    }
}
