/*
 * system/options-take.c - what each option of the table does to the Config.
 *
 * Everything that can be checked without opening anything is checked here, so that the error names
 * the option.
 */
#include "internal.h"
#include "accel/accel.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "gdbstub/gdbstub.h"
#include "hw/pc.h"
#include "ui/ui.h"
#include "util/error.h"
#include "util/log.h"
#include "util/suggest.h"

#include <string.h>
#include <time.h>

static void set_text(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
}

/* Is `name` in the list?  If not, an error that says so. */
static bool one_of(GPtrArray *names, const char *what, const char *name, GError **errp)
{
    g_autofree char *tail = NULL;

    for (guint i = 0; i < names->len; i++) {
        if (!strcmp(g_ptr_array_index(names, i), name)) {
            return true;
        }
    }
    g_ptr_array_add(names, NULL);
    tail = suggest_tail(name, (const char *const *)names->pdata);
    if (names->len > 1 && names->len < 12) {
        g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
        error_set(errp, "there is no %s '%s'%s (there are: %s)", what, name, tail, all);
    } else {
        error_set(errp, "there is no %s '%s'%s", what, name, tail);
    }
    return false;
}

/* ---- machine ---- */

bool take_accel(Config *c, const OptionUse *use, GError **errp)
{
    return accel_parse(use->value, c->accels, errp);
}

bool take_machine(Config *c, const OptionUse *use, GError **errp)
{
    const char *type = keyvals_str(use->keys, "type"), *accel = keyvals_str(use->keys, "accel");
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    if (type) {
        for (const BoardClass *const *b = board_classes; *b; b++) {
            g_ptr_array_add(names, (char *)(*b)->name);
        }
        if (!one_of(names, "machine", type, errp)) {
            return false;
        }
        set_text(&c->machine, type);
    }
    if (keyvals_str(use->keys, "kernel_irqchip")) {
        set_text(&c->kernel_irqchip, keyvals_str(use->keys, "kernel_irqchip"));
    }
    c->no_acpi = !keyvals_bool(use->keys, "acpi", !c->no_acpi);
    c->no_graphics = !keyvals_bool(use->keys, "graphics", !c->no_graphics);
    return !accel || accel_parse(accel, c->accels, errp);
}

bool take_cpu(Config *c, const OptionUse *use, GError **errp)
{
    set_text(&c->cpu, use->value);
    return true;
}

bool take_memory(Config *c, const OptionUse *use, GError **errp)
{
    c->ram = keyvals_num(use->keys, "size", c->ram);
    if (c->ram % (1 << 20)) {
        error_set(errp, "must be whole MiB");
        return false;
    }
    return true;
}

/* What is not given is 1, or what it takes to come to cpus: cores first, then sockets, then threads. */
static bool fill_topology(const KeyVals *k, unsigned cpus, CpuTopology *t, GError **errp)
{
    const struct { const char *key; unsigned *value; } fill[] = {
        { "cores", &t->cores }, { "sockets", &t->sockets }, { "threads", &t->threads },
    };
    unsigned product = t->sockets * t->dies * t->cores * t->threads;

    for (unsigned i = 0; i < G_N_ELEMENTS(fill) && product != cpus; i++) {
        if (!keyvals_num(k, fill[i].key, 0) && cpus % product == 0) {
            *fill[i].value = cpus / product;
            product = cpus;
        }
    }
    if (product != cpus) {
        error_set(errp, "%u socket%s of %u die%s of %u core%s of %u thread%s cannot be %u processors: make cpus %u, or "
                  "leave one of them out", t->sockets, t->sockets > 1 ? "s" : "", t->dies, t->dies > 1 ? "s" : "",
                  t->cores, t->cores > 1 ? "s" : "", t->threads, t->threads > 1 ? "s" : "", cpus, product);
        return false;
    }
    return true;
}

bool take_smp(Config *c, const OptionUse *use, GError **errp)
{
    const KeyVals *k = use->keys;
    CpuTopology t = { keyvals_num(k, "sockets", 1), keyvals_num(k, "dies", 1), keyvals_num(k, "cores", 1),
                      keyvals_num(k, "threads", 1) };
    unsigned product = t.sockets * t.dies * t.cores * t.threads;
    unsigned cpus = keyvals_num(k, "cpus", keyvals_num(k, "maxcpus", product));

    if (!fill_topology(k, cpus, &t, errp)) {
        return false;
    }
    if (keyvals_num(k, "maxcpus", cpus) != cpus) {
        error_set(errp, "maxcpus must be %u as well: processors cannot be added while the machine runs", cpus);
        return false;
    }
    c->cpus = cpus;
    c->topology = t;
    return true;
}

bool take_name(Config *c, const OptionUse *use, GError **errp)
{
    set_text(&c->name, keyvals_str(use->keys, "guest"));
    return true;
}

bool take_vga(Config *c, const OptionUse *use, GError **errp)
{
    set_text(&c->vga, keyvals_str(use->keys, "type"));
    return true;
}

/* Seconds since 1970 of a date in UTC; false: not one. */
static bool parse_date(const char *text, int64_t *seconds)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (!end) {
        memset(&tm, 0, sizeof(tm));
        end = strptime(text, "%Y-%m-%d", &tm);
    }
    if (!end || *end || tm.tm_year < 70 || tm.tm_year >= 1100) {
        return false;
    }
    *seconds = timegm(&tm);
    return true;
}

bool take_rtc(Config *c, const OptionUse *use, GError **errp)
{
    const char *base = keyvals_str(use->keys, "base");
    int64_t unused;

    if (!base) {
        return true;
    }
    if (strcmp(base, "utc") && strcmp(base, "localtime") && !parse_date(base, &unused)) {
        error_set(errp, "base=%s: must be utc, localtime, or a date as 2026-01-31 or 2026-01-31T12:00:00", base);
        return false;
    }
    set_text(&c->rtc_base, base);
    return true;
}

bool config_is_date(const char *text)
{
    int64_t unused;

    return parse_date(text, &unused);
}

bool take_icount(Config *c, const OptionUse *use, GError **errp)
{
    c->icount = true;
    c->icount_shift = (unsigned)keyvals_num(use->keys, "shift", c->icount_shift);
    c->history = keyvals_num(use->keys, "history", c->history);
    c->icount_awake = !keyvals_bool(use->keys, "sleep", !c->icount_awake);
    return true;
}

bool take_rr(Config *c, const OptionUse *use, GError **errp)
{
    const char *record = keyvals_str(use->keys, "record"), *replay = keyvals_str(use->keys, "replay");

    if (!record == !replay) {
        error_set(errp, "must be record=FILE or replay=FILE");
        return false;
    }
    c->history = keyvals_num(use->keys, "history", c->history);
    g_clear_pointer(&c->rr_record, g_free);
    g_clear_pointer(&c->rr_replay, g_free);
    set_text(record ? &c->rr_record : &c->rr_replay, record ? record : replay);
    return true;
}

int64_t config_rtc_seconds(const Config *c)
{
    int64_t seconds = time(NULL);
    time_t now = seconds;
    struct tm tm;

    if (!c->rtc_base || !strcmp(c->rtc_base, "utc")) {
        return seconds;
    }
    if (!strcmp(c->rtc_base, "localtime")) {
        localtime_r(&now, &tm);
        return seconds + tm.tm_gmtoff;
    }
    parse_date(c->rtc_base, &seconds);
    return seconds;
}

/* ---- disks ---- */

static DriveConfig *plain_drive(Config *c, const OptionUse *use, DriveInterface interface, int index)
{
    DriveConfig *d = config_add_drive(c, use->origin);

    d->file = g_strdup(use->value);
    d->interface = interface;
    d->index = index;
    return d;
}

bool take_disk(Config *c, const OptionUse *use, GError **errp)
{
    plain_drive(c, use, DRIVE_IDE, use->option->number);
    return true;
}

bool take_floppy(Config *c, const OptionUse *use, GError **errp)
{
    plain_drive(c, use, DRIVE_FLOPPY, use->option->number);
    return true;
}

bool take_cdrom(Config *c, const OptionUse *use, GError **errp)
{
    plain_drive(c, use, DRIVE_IDE, 2)->cdrom = true;
    return true;
}

bool take_drive(Config *c, const OptionUse *use, GError **errp)
{
    const KeyVals *k = use->keys;
    unsigned interface = keyvals_num(k, "if", DRIVE_IDE);
    const char *format = keyvals_str(k, "format"), *id = keyvals_str(k, "id");
    bool has_index = keyvals_str(k, "index"), has_unit = keyvals_str(k, "unit") || keyvals_str(k, "bus");
    DriveConfig *d;

    if (format && !block_find_driver(format, errp)) {
        return false;
    }
    if (has_index && has_unit) {
        error_set(errp, "index and bus, unit say the same: give one of them");
        return false;
    }
    if (interface == DRIVE_FLOPPY &&
        (keyvals_num(k, "index", 0) > 1 || keyvals_num(k, "bus", 0) || keyvals_num(k, "media", 0))) {
        error_set(errp, "there are two floppy drives, index 0 and 1, for disks only");
        return false;
    }
    if (interface == DRIVE_NONE && (has_index || has_unit || !id)) {
        error_set(errp, "if=none needs an id, and neither index nor unit: a -device with drive=ID takes it");
        return false;
    }
    if (id && !*id) {
        error_set(errp, "id is empty");
        return false;
    }
    d = config_add_drive(c, use->origin);
    d->file = g_strdup(keyvals_str(k, "file"));
    d->interface = interface;
    if (has_index || has_unit) {
        d->index = keyvals_num(k, "index", keyvals_num(k, "bus", 0) * 2 + keyvals_num(k, "unit", 0));
    }
    d->cdrom = keyvals_num(k, "media", 0);
    d->format = g_strdup(format);
    d->readonly = keyvals_bool(k, "readonly", false);
    d->snapshot = keyvals_bool(k, "snapshot", false);
    d->id = g_strdup(id);
    d->no_lock = keyvals_num(k, "file.locking", 0) == 2;
    return true;
}

/* ---- booting ---- */

static bool check_order(const char *key, const char *order, GError **errp)
{
    for (const char *p = order; *p; p++) {
        if (!strchr("acdn", *p)) {
            error_set(errp, "%s=%s: '%c' is none of a (floppy), c (disk), d (CD-ROM), n (network)", key, order,
                      *p);
            return false;
        }
        if (strchr(p + 1, *p)) {
            error_set(errp, "%s=%s: '%c' is given twice", key, order, *p);
            return false;
        }
    }
    return true;
}

bool take_boot(Config *c, const OptionUse *use, GError **errp)
{
    const char *order = keyvals_str(use->keys, "order"), *once = keyvals_str(use->keys, "once");

    if ((order && !check_order("order", order, errp)) || (once && !check_order("once", once, errp))) {
        return false;
    }
    if (order) {
        set_text(&c->boot_order, order);
    }
    if (once) {
        set_text(&c->boot_once, once);
    }
    c->boot_menu = keyvals_bool(use->keys, "menu", c->boot_menu);
    c->splash_ms = keyvals_num(use->keys, "splash-time", c->splash_ms);
    c->fail_ms = keyvals_num(use->keys, "reboot-timeout", c->fail_ms);
    return true;
}

/* ---- devices ---- */

static bool find_class(const char *name, const DeviceClass **cls, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    *cls = device_class_find(name);
    for (const DeviceClass *const *k = device_classes; !*cls && *k; k++) {
        g_ptr_array_add(names, (char *)(*k)->name);
    }
    return *cls || one_of(names, "device", name, errp);
}

static bool check_property(const DeviceClass *cls, const char *name, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *what = g_strdup_printf("property of %s called", cls->name);

    for (const Property *p = cls->props; p && p->kind != PROP_END; p++) {
        g_ptr_array_add(names, (char *)p->name);
    }
    return one_of(names, what, name, errp);
}

bool take_device(Config *c, const OptionUse *use, GError **errp)
{
    static const char *const ours[] = { "driver", "id", "bus", NULL };
    g_autoptr(KeyVals) k = keyvals_parse(use->value, "driver", NULL, errp);
    const DeviceClass *cls;
    DeviceConfig *d;

    if (!k) {
        return false;
    }
    if (!keyvals_str(k, "driver")) {
        error_set(errp, "no driver is named; -device help lists them");
        return false;
    }
    if (!find_class(keyvals_str(k, "driver"), &cls, errp)) {
        return false;
    }
    if (cls->board_only || !cls->bus) {
        error_set(errp, "%s is part of the board and cannot be added", cls->name);
        return false;
    }
    for (unsigned i = 0; i < k->count; i++) {
        if (!g_strv_contains(ours, k->item[i].key) && !check_property(cls, k->item[i].key, errp)) {
            return false;
        }
    }
    d = g_new0(DeviceConfig, 1);
    d->origin = g_strdup(use->origin);
    d->driver = g_strdup(cls->name);
    d->id = g_strdup(keyvals_str(k, "id"));
    d->bus = g_strdup(keyvals_str(k, "bus"));
    d->props = keyvals_print(k, ours);
    g_ptr_array_add(c->devices, d);
    return true;
}

bool take_global(Config *c, const OptionUse *use, GError **errp)
{
    static const KeySpec long_form[] = {
        { "driver", KEY_STR, "" }, { "property", KEY_STR, "" }, { "value", KEY_STR, "" }, { NULL },
    };
    g_autofree char *text = g_strdup(use->value), *name = NULL, *prop = NULL;
    const char *dot = strchr(text, '.'), *eq = strchr(text, '=');
    const DeviceClass *cls;

    if (g_str_has_prefix(text, "driver=")) {
        g_autoptr(KeyVals) k = keyvals_parse(text, NULL, long_form, errp);
        if (!k) {
            return false;
        }
        g_free(text);
        text = g_strdup_printf("%s.%s=%s", keyvals_str(k, "driver"),
                               keyvals_str(k, "property") ? keyvals_str(k, "property") : "",
                               keyvals_str(k, "value") ? keyvals_str(k, "value") : "");
        dot = strchr(text, '.');
        eq = strchr(text, '=');
    }
    if (!dot || !eq || dot > eq) {
        error_set(errp, "must be driver.property=value");
        return false;
    }
    name = g_strndup(text, dot - text);
    prop = g_strndup(dot + 1, eq - dot - 1);
    if (!find_class(name, &cls, errp) || !check_property(cls, prop, errp)) {
        return false;
    }
    g_ptr_array_add(c->globals, g_steal_pointer(&text));
    return true;
}

/* ---- character devices ---- */

bool take_chardev(Config *c, const OptionUse *use, GError **errp)
{
    return config_add_chardev(c, use->origin, use->value, errp);
}

/* A short form: the id of the chardev it makes or names, or "none"; freed by the caller. */
static char *short_form(Config *c, const OptionUse *use, const char *id, GError **errp)
{
    g_autofree char *spec = NULL;

    if (!strcmp(use->value, "none")) {
        return g_strdup("none");
    }
    if (g_str_has_prefix(use->value, "chardev:")) {
        return g_strdup(use->value + 8);
    }
    spec = chardev_long_form(use->value, id, errp);
    if (!spec || !config_add_chardev(c, use->origin, spec, errp)) {
        return NULL;
    }
    if (g_str_has_prefix(use->value, "mon:")) {
        g_ptr_array_add(c->monitors, g_strdup(id));
    }
    return g_strdup(id);
}

static bool take_port(Config *c, const OptionUse *use, GPtrArray *ports, unsigned most, const char *kind,
                      GError **errp)
{
    g_autofree char *name = g_strdup_printf("%s%u", kind, ports->len);
    char *id;

    if (ports->len == most) {
        error_set(errp, "there are %u %s ports at most", most, kind);
        return false;
    }
    id = short_form(c, use, name, errp);
    if (!id) {
        return false;
    }
    g_ptr_array_add(ports, id);
    return true;
}

bool take_serial(Config *c, const OptionUse *use, GError **errp)
{
    return take_port(c, use, c->serial, G_N_ELEMENTS(((PcConfig *)0)->serial), "serial", errp);
}

bool take_parallel(Config *c, const OptionUse *use, GError **errp)
{
    return take_port(c, use, c->parallel, G_N_ELEMENTS(((PcConfig *)0)->parallel), "parallel", errp);
}

bool take_monitor(Config *c, const OptionUse *use, GError **errp)
{
    g_autofree char *name = g_strdup_printf("monitor%u", c->monitors->len);
    char *id;

    if (g_str_has_prefix(use->value, "mon:")) {
        error_set(errp, "is a monitor already: leave out mon:");
        return false;
    }
    id = short_form(c, use, name, errp);
    if (!id) {
        return false;
    }
    g_ptr_array_add(c->monitors, id);
    return true;
}

bool take_mon(Config *c, const OptionUse *use, GError **errp)
{
    const char *id = keyvals_str(use->keys, "chardev");

    if (!id || !*id) {
        error_set(errp, "needs the id of a -chardev: -mon chardev=ID");
        return false;
    }
    g_ptr_array_add(c->monitors, g_strdup(id));
    return true;
}

bool take_debugcon(Config *c, const OptionUse *use, GError **errp)
{
    g_autofree char *name = g_strdup_printf("debugcon%u", c->devices->len);
    g_autofree char *id = short_form(c, use, name, errp);
    g_autofree char *value = NULL;
    OptionUse device = { .origin = use->origin };

    if (!id) {
        return false;
    }
    value = g_strdup_printf("isa-debugcon,chardev=%s", id);
    device.value = value;
    return !strcmp(id, "none") || take_device(c, &device, errp);
}

bool take_gdb(Config *c, const OptionUse *use, GError **errp)
{
    g_autofree char *spec = NULL;

    if (c->gdb->len) {
        error_set(errp, "there is one line for a debugger, and it has been given already");
        return false;
    }
    if (!strcmp(use->value, "none") || g_str_has_prefix(use->value, "chardev:")) {
        g_ptr_array_add(c->gdb, short_form(c, use, "gdb", errp));
        return true;
    }
    spec = gdb_chardev_spec(use->value, "gdb", errp);
    if (!spec || !config_add_chardev(c, use->origin, spec, errp)) {
        return false;
    }
    g_ptr_array_add(c->gdb, g_strdup("gdb"));
    return true;
}

/* ---- the rest ---- */

bool take_display(Config *c, const OptionUse *use, GError **errp)
{
    const UiBackend *b = ui_find(use->value, errp);
    g_autoptr(GArray) keys = g_array_new(TRUE, TRUE, sizeof(KeySpec));
    KeySpec type = { "type", KEY_STR, "" };

    if (!b) {
        return false;
    }
    g_array_append_val(keys, type);
    for (const UiOption *o = b->options; o && o->name; o++) {
        KeySpec key = { o->name, KEY_BOOL, o->help };
        g_array_append_val(keys, key);
    }
    g_autoptr(KeyVals) k = keyvals_parse(use->value, "type", (const KeySpec *)keys->data, errp);
    if (!k) {
        return false;
    }
    set_text(&c->display, use->value);
    return true;
}

bool take_log(Config *c, const OptionUse *use, GError **errp)
{
    uint32_t mask;
    char *old = c->log_items;

    if (!log_parse(use->value, &mask, errp)) {
        return false;
    }
    c->log_items = old ? g_strdup_printf("%s,%s", old, use->value) : g_strdup(use->value);
    g_free(old);
    return true;
}

bool take_action(Config *c, const OptionUse *use, GError **errp)
{
    /* the second of the two names in each list is the other action */
    c->no_reboot = keyvals_num(use->keys, "reboot", c->no_reboot);
    c->no_shutdown = keyvals_num(use->keys, "shutdown", c->no_shutdown);
    return true;
}
