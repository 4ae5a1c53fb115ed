/*
 * Making, plugging and freeing devices; buses.
 */
#include "core/device.h"

#include <string.h>
#include "core/machine.h"
#include "util/error.h"
#include "util/suggest.h"

/* ---- buses ---- */

void bus_init(Bus *b, const BusClass *cls, Device *controller, const char *id)
{
    Machine *m = controller->machine;

    b->cls = cls;
    b->id = g_strdup(id);
    b->controller = controller;
    b->devices = NULL;
    b->next = m->buses;
    m->buses = b;
}

void bus_fini(Bus *b)
{
    if (!b->cls) {
        return;     /* its controller failed before bus_init() */
    }
    while (b->devices) {
        device_free(b->devices);
    }
    for (Bus **p = &b->controller->machine->buses; *p; p = &(*p)->next) {
        if (*p == b) {
            *p = b->next;
            break;
        }
    }
    g_free(b->id);
    b->id = NULL;
    b->cls = NULL;
}

static void bus_add(Bus *b, Device *d)
{
    Device **p = &b->devices;

    while (*p) {
        p = &(*p)->next;
    }
    d->next = NULL;
    *p = d;
    d->bus = b;
}

static void bus_remove(Bus *b, Device *d)
{
    for (Device **p = &b->devices; *p; p = &(*p)->next) {
        if (*p == d) {
            *p = d->next;
            break;
        }
    }
    d->bus = NULL;
}

/* ---- devices ---- */

const DeviceClass *device_class_find(const char *name)
{
    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if (!strcmp((*c)->name, name)) {
            return *c;
        }
    }
    return NULL;
}

static void no_such_class(const char *name, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const DeviceClass *const *c = device_classes; *c; c++) {
        g_ptr_array_add(names, (void *)(*c)->name);
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *tail = suggest_tail(name, (const char *const *)names->pdata);
    error_set(errp, "there is no device '%s'%s", name, *tail ? tail : " (-device help lists them)");
}

static const Property *find_property(const DeviceClass *cls, const char *name)
{
    for (const Property *p = cls->props; p && p->kind != PROP_END; p++) {
        if (!strcmp(p->name, name)) {
            return p;
        }
    }
    return NULL;
}

static void set_defaults(Device *d)
{
    for (const Property *p = d->cls->props; p && p->kind != PROP_END; p++) {
        char *at = (char *)d + p->offset;
        if (p->kind == PROP_STR) {
            *(char **)(void *)at = g_strdup(p->def_str);
        } else if (p->kind != PROP_CHARDEV && p->kind != PROP_BLOCK) {
            memcpy(at, &p->def, p->size);
        }
    }
}

static void free_strings(Device *d)
{
    for (const Property *p = d->cls->props; p && p->kind != PROP_END; p++) {
        if (p->kind == PROP_STR) {
            g_free(*(char **)(void *)((char *)d + p->offset));
        }
    }
}

/* -global driver.property=value */
static bool apply_globals(Device *d, GError **errp)
{
    size_t n = strlen(d->cls->name);

    for (char **g = d->machine->globals; g && *g; g++) {
        const char *eq = strchr(*g, '=');
        if (eq && !strncmp(*g, d->cls->name, n) && (*g)[n] == '.') {
            g_autofree char *prop = g_strndup(*g + n + 1, eq - (*g + n + 1));
            if (!device_set(d, prop, eq + 1, errp)) {
                g_prefix_error(errp, "-global %s: ", *g);
                return false;
            }
        }
    }
    return true;
}

Device *device_new(Machine *m, const char *name, const char *id, GError **errp)
{
    const DeviceClass *cls = device_class_find(name);

    if (!cls) {
        no_such_class(name, errp);
        return NULL;
    }
    if (id && machine_find(m, id)) {
        error_set(errp, "there are two devices with the id '%s'", id);
        return NULL;
    }
    Device *d = g_malloc0(cls->size);
    d->cls = cls;
    d->machine = m;
    if (id) {
        d->id = g_strdup(id);
    } else {
        unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(m->next_ids, cls->name));
        g_hash_table_insert(m->next_ids, (void *)cls->name, GUINT_TO_POINTER(n + 1));
        d->id = g_strdup_printf("%s.%u", cls->name, n);
    }
    set_defaults(d);
    if (!apply_globals(d, errp)) {
        device_free(d);
        return NULL;
    }
    return d;
}

bool device_set(Device *d, const char *name, const char *value, GError **errp)
{
    const Property *p = find_property(d->cls, name);

    if (!p) {
        const char *names[64];
        unsigned n = 0;
        for (const Property *q = d->cls->props; q && q->kind != PROP_END && n < 63; q++) {
            names[n++] = q->name;
        }
        names[n] = NULL;
        g_autofree char *tail = suggest_tail(name, names);
        error_set(errp, "%s has no property '%s'%s", d->cls->name, name, tail);
        return false;
    }
    if (!property_set(d, p, value, errp)) {
        g_prefix_error(errp, "%s: %s=%s: ", d->cls->name, name, value);
        return false;
    }
    return true;
}

void device_set_ptr(Device *d, const char *name, void *ptr)
{
    const Property *p = find_property(d->cls, name);

    g_return_if_fail(p && (p->kind == PROP_CHARDEV || p->kind == PROP_BLOCK));
    *(void **)(void *)((char *)d + p->offset) = ptr;
}

static const char *bus_id_or_kind(const Bus *b)
{
    return b->id ? b->id : b->cls->name;
}

bool device_realize(Device *d, Bus *bus, GError **errp)
{
    const DeviceClass *cls = d->cls;

    if (bus && (!cls->bus || strcmp(cls->bus, bus->cls->name))) {
        error_set(errp, "%s does not fit on bus %s: it wants %s", cls->name, bus_id_or_kind(bus),
                  cls->bus ? cls->bus : "no bus");
        return false;
    }
    if (bus) {
        d->bus = bus;
        if (bus->cls->plug && !bus->cls->plug(bus, d, errp)) {
            d->bus = NULL;
            return false;
        }
        bus_add(bus, d);
    }
    if (cls->realize && !cls->realize(d, errp)) {
        return false;
    }
    d->realized = true;
    g_ptr_array_add(d->machine->devices, d);
    return true;
}

void device_free(Device *d)
{
    if (!d) {
        return;
    }
    if (d->cls->unrealize) {
        d->cls->unrealize(d);
    }
    if (d->bus) {
        if (d->bus->cls->unplug) {
            d->bus->cls->unplug(d->bus, d);
        }
        bus_remove(d->bus, d);
    }
    g_ptr_array_remove(d->machine->devices, d);
    free_strings(d);
    g_free(d->id);
    g_free(d);
}

static bool set_all(Device *d, const char *props, GError **errp)
{
    g_auto(GStrv) items = g_strsplit(props, ",", -1);

    for (char **i = items; *i; i++) {
        char *eq = strchr(*i, '=');
        if (!eq) {
            error_set(errp, "%s: '%s' is not of the form property=value", d->cls->name, *i);
            return false;
        }
        *eq = 0;
        if (!device_set(d, *i, eq + 1, errp)) {
            return false;
        }
    }
    return true;
}

Device *device_make(Machine *m, const char *cls, const char *id, Bus *bus, const char *props, GError **errp)
{
    Device *d = device_new(m, cls, id, errp);

    if (d && ((props && !set_all(d, props, errp)) || !device_realize(d, bus, errp))) {
        device_free(d);
        return NULL;
    }
    return d;
}
