/*
 * Device properties: text to member and back, by the table's row.
 */
#include <inttypes.h>
#include <string.h>
#include "core/device.h"
#include "core/machine.h"
#include "util/error.h"
#include "util/size.h"
#include "util/suggest.h"

static void *member(const Device *d, const Property *p)
{
    return (char *)d + p->offset;
}

static void store(const Device *d, const Property *p, uint64_t v)
{
    memcpy(member(d, p), &v, p->size);      /* little-endian host */
}

static uint64_t load(const Device *d, const Property *p)
{
    uint64_t v = 0;

    memcpy(&v, member(d, p), p->size);
    return v;
}

static bool parse_enum(const Property *p, const char *text, uint64_t *v, GError **errp)
{
    for (unsigned i = 0; p->values[i]; i++) {
        if (!strcmp(p->values[i], text)) {
            *v = i;
            return true;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)p->values);
    g_autofree char *tail = suggest_tail(text, p->values);
    error_set(errp, "'%s' is not one of %s%s", text, all, tail);
    return false;
}

/* "slot[.function]", both hexadecimal as lspci prints them. */
static bool parse_pci_addr(const char *text, uint64_t *v, GError **errp)
{
    char *end;
    uint64_t slot = g_ascii_strtoull(text, &end, 16), fn = 0;

    if (end != text && *end == '.') {
        char *dot = end;
        fn = g_ascii_strtoull(dot + 1, &end, 16);
        if (end == dot + 1) {
            end = dot;
        }
    }
    if (end == text || *end || slot > 31 || fn > 7) {
        error_set(errp, "'%s' is not a PCI address: write slot or slot.function, as in 5 or 1f.2", text);
        return false;
    }
    *v = slot << 3 | fn;
    return true;
}

bool property_set(Device *d, const Property *p, const char *value, GError **errp)
{
    uint64_t v;
    bool b;

    switch (p->kind) {
    case PROP_BOOL:
        if (!bool_parse(value, &b, errp)) {
            return false;
        }
        store(d, p, b);
        return true;
    case PROP_UINT:
        if (!number_parse(value, p->max, &v, errp)) {
            return false;
        }
        store(d, p, v);
        return true;
    case PROP_SIZE:
        if (!size_parse(value, 'B', &v, errp)) {
            return false;
        }
        if (v > p->max) {
            error_set(errp, "%s is too large: at most %" G_GUINT64_FORMAT " bytes", value, p->max);
            return false;
        }
        store(d, p, v);
        return true;
    case PROP_STR:
        g_free(*(char **)member(d, p));
        *(char **)member(d, p) = g_strdup(value);
        return true;
    case PROP_ENUM:
        if (!parse_enum(p, value, &v, errp)) {
            return false;
        }
        store(d, p, v);
        return true;
    case PROP_PCI_ADDR:
        if (!parse_pci_addr(value, &v, errp)) {
            return false;
        }
        store(d, p, v);
        return true;
    case PROP_CHARDEV:
    case PROP_BLOCK: {
        Machine *m = d->machine;
        if (!m->resolve) {
            error_set(errp, "there is no '%s'", value);
            return false;
        }
        void *object = m->resolve(m->resolve_opaque, p->kind, value, errp);
        if (!object) {
            return false;
        }
        *(void **)member(d, p) = object;
        return true;
    }
    case PROP_END:
        break;
    }
    g_return_val_if_reached(false);
}

char *property_get(const Device *d, const Property *p)
{
    switch (p->kind) {
    case PROP_BOOL:
        return g_strdup(load(d, p) ? "on" : "off");
    case PROP_UINT:
        return g_strdup_printf(load(d, p) > 9 ? "0x%" PRIx64 : "%" PRIx64, load(d, p));
    case PROP_SIZE:
        return g_strdup_printf("%" G_GUINT64_FORMAT, load(d, p));
    case PROP_STR:
        return g_strdup(*(char **)member(d, p) ? *(char **)member(d, p) : "");
    case PROP_ENUM:
        return g_strdup(p->values[load(d, p)]);
    case PROP_PCI_ADDR:
        return load(d, p) > 0xff ? g_strdup("auto")
                                 : g_strdup_printf("%02x.%x", (unsigned)load(d, p) >> 3, (unsigned)load(d, p) & 7);
    case PROP_CHARDEV:
    case PROP_BLOCK:
        return g_strdup(*(void **)member(d, p) ? "connected" : "none");
    case PROP_END:
        break;
    }
    g_return_val_if_reached(NULL);
}
