/*
 * system/config.c - the Config: its lists, and how what was not said is filled in.
 */
#include "internal.h"
#include "accel/accel.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "hw/pc.h"
#include "ui/ui.h"
#include "util/error.h"
#include "util/suggest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the lists ---- */

static void free_drive(gpointer p)
{
    DriveConfig *d = p;

    g_free(d->origin);
    g_free(d->id);
    g_free(d->file);
    g_free(d->format);
    g_free(d);
}

static void free_device(gpointer p)
{
    DeviceConfig *d = p;

    g_free(d->origin);
    g_free(d->driver);
    g_free(d->id);
    g_free(d->bus);
    g_free(d->props);
    g_free(d);
}

static void free_chardev(gpointer p)
{
    ChardevConfig *d = p;

    g_free(d->origin);
    g_free(d->id);
    g_free(d->spec);
    g_free(d);
}

Config *config_new(void)
{
    Config *c = g_new0(Config, 1);

    c->ram = 1ull << 30;
    c->cpus = 1;
    c->icount_shift = ICOUNT_SHIFT_DEFAULT;
    c->history = 256 << 20;
    c->topology = (CpuTopology){ 1, 1, 1, 1 };
    c->splash_ms = c->fail_ms = UINT64_MAX;
    c->accels = g_ptr_array_new_with_free_func(g_free);
    c->firmware_dirs = g_ptr_array_new_with_free_func(g_free);
    c->drives = g_ptr_array_new_with_free_func(free_drive);
    c->devices = g_ptr_array_new_with_free_func(free_device);
    c->globals = g_ptr_array_new_with_free_func(g_free);
    c->chardevs = g_ptr_array_new_with_free_func(free_chardev);
    c->serial = g_ptr_array_new_with_free_func(g_free);
    c->parallel = g_ptr_array_new_with_free_func(g_free);
    c->monitors = g_ptr_array_new_with_free_func(g_free);
    c->gdb = g_ptr_array_new_with_free_func(g_free);
    return c;
}

void config_free(Config *c)
{
    if (!c) {
        return;
    }
    GPtrArray *lists[] = { c->firmware_dirs, c->drives, c->devices, c->globals, c->chardevs, c->serial,
                           c->parallel, c->monitors, c->gdb, c->accels };
    char *texts[] = { c->machine, c->kernel_irqchip, c->cpu, c->vga, c->name, c->rtc_base, c->bios, c->image, c->kernel,
                      c->initrd, c->append, c->boot_order, c->boot_once, c->display, c->log_items,
                      c->log_file, c->pidfile, c->rr_record, c->rr_replay };
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_ptr_array_unref(lists[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_free(texts[i]);
    }
    g_free(c);
}

DriveConfig *config_add_drive(Config *c, const char *origin)
{
    DriveConfig *d = g_new0(DriveConfig, 1);

    d->origin = g_strdup(origin);
    d->index = -1;
    g_ptr_array_add(c->drives, d);
    return d;
}

ChardevConfig *config_add_chardev(Config *c, const char *origin, const char *spec, GError **errp)
{
    g_autofree char *id = NULL;
    ChardevConfig *d;

    if (!chardev_check(spec, &id, errp)) {
        return NULL;
    }
    for (guint i = 0; i < c->chardevs->len; i++) {
        d = g_ptr_array_index(c->chardevs, i);
        if (!strcmp(d->id, id)) {
            error_set(errp, "the id '%s' is taken by %s", id, d->origin);
            return NULL;
        }
    }
    d = g_new0(ChardevConfig, 1);
    d->origin = g_strdup(origin);
    d->id = g_steal_pointer(&id);
    d->spec = g_strdup(spec);
    g_ptr_array_add(c->chardevs, d);
    return d;
}

/* ---- drives ---- */

static bool add_image(Config *c, GError **errp)
{
    ImageKind kind;
    DriveConfig *d;

    if (!c->image) {
        return true;
    }
    if (!image_kind(c->image, &kind, errp)) {
        return false;
    }
    d = config_add_drive(c, c->image);
    d->file = g_strdup(c->image);
    d->interface = kind == IMAGE_FLOPPY ? DRIVE_FLOPPY : DRIVE_IDE;
    d->cdrom = kind == IMAGE_CDROM;
    d->index = d->cdrom ? 2 : 0;
    if (!c->boot_order && !c->boot_once) {
        c->boot_order = g_strdup(kind == IMAGE_CDROM ? "dc" : kind == IMAGE_FLOPPY ? "ac" : "c");
    }
    return true;
}

static const DriveConfig *drive_at(const Config *c, DriveInterface interface, int index, const DriveConfig *not)
{
    for (guint i = 0; i < c->drives->len; i++) {
        const DriveConfig *d = g_ptr_array_index(c->drives, i);
        if (d != not && d->interface == interface && d->index == index) {
            return d;
        }
    }
    return NULL;
}

static bool place_drive(Config *c, DriveConfig *d, GError **errp)
{
    static const char *const where[] = { "IDE", "floppy" };
    int slots = d->interface == DRIVE_IDE ? 4 : 2;
    const DriveConfig *other;

    if (d->index < 0) {     /* a CD-ROM goes where it is expected, if that is free */
        d->index = d->cdrom && !drive_at(c, d->interface, 2, d) ? 2 : 0;
        while (d->index < slots && drive_at(c, d->interface, d->index, d)) {
            d->index++;
        }
        if (d->index == slots) {
            error_set(errp, "all %d %s places are taken", slots, where[d->interface]);
            return false;
        }
    }
    other = drive_at(c, d->interface, d->index, d);
    if (other) {
        error_set(errp, "%s place %d is taken by %s", where[d->interface], d->index, other->origin);
        return false;
    }
    return true;
}

static char *drive_name(const DriveConfig *d)
{
    if (d->interface == DRIVE_FLOPPY) {
        return g_strdup_printf("floppy%d", d->index);
    }
    return g_strdup_printf("ide%d-%s%d", d->index / 2, d->cdrom ? "cd" : "hd", d->index % 2);
}

static void add_empty_drives(Config *c)
{
    bool cdrom = false, floppy = false;

    for (guint i = 0; i < c->drives->len; i++) {
        const DriveConfig *d = g_ptr_array_index(c->drives, i);
        cdrom |= d->cdrom;
        floppy |= d->interface == DRIVE_FLOPPY;
    }
    if (!cdrom && !drive_at(c, DRIVE_IDE, 2, NULL)) {
        DriveConfig *d = config_add_drive(c, "the default CD-ROM drive");
        d->cdrom = true;
        d->index = 2;
    }
    if (!floppy) {
        DriveConfig *d = config_add_drive(c, "the default floppy drive");
        d->interface = DRIVE_FLOPPY;
        d->index = 0;
    }
}

static bool resolve_drives(Config *c, GError **errp)
{
    if (!add_image(c, errp)) {
        return false;
    }
    for (int given = 1; given >= 0; given--) {      /* those with a place first */
        for (guint i = 0; i < c->drives->len; i++) {
            DriveConfig *d = g_ptr_array_index(c->drives, i);
            if (d->interface != DRIVE_NONE && (d->index >= 0) == given && !place_drive(c, d, errp)) {
                g_prefix_error(errp, "%s: ", d->origin);
                return false;
            }
        }
    }
    if (!c->nodefaults) {
        add_empty_drives(c);
    }
    for (guint i = 0; i < c->drives->len; i++) {
        DriveConfig *d = g_ptr_array_index(c->drives, i);
        d->snapshot = !d->cdrom && d->file && (d->snapshot || c->snapshot);
        if (!d->id) {
            d->id = drive_name(d);
        }
        if (d->file && !*d->file) {
            error_set(errp, "%s: no file is named", d->origin);
            return false;
        }
        for (guint j = 0; j < i; j++) {
            const DriveConfig *other = g_ptr_array_index(c->drives, j);
            if (!strcmp(other->id, d->id)) {
                error_set(errp, "%s: the id '%s' is taken by %s", d->origin, d->id, other->origin);
                return false;
            }
        }
    }
    return true;
}

/* ---- ports and monitors ---- */

static void default_chardev(Config *c, const char *origin, const char *spec)
{
    g_autoptr(GError) err = NULL;

    if (!config_add_chardev(c, origin, spec, &err)) {
        g_assert_not_reached();     /* our own text, and an id that is checked first */
    }
}

static bool stdio_taken(const Config *c)
{
    for (guint i = 0; i < c->chardevs->len; i++) {
        const ChardevConfig *d = g_ptr_array_index(c->chardevs, i);
        if (g_str_has_prefix(d->spec, "stdio") || g_str_has_prefix(d->spec, "backend=stdio")) {
            return true;
        }
    }
    return false;
}

/* A background job that touched its terminal would be stopped. */
static bool own_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static bool id_free(const Config *c, const char *id)
{
    for (guint i = 0; i < c->chardevs->len; i++) {
        if (!strcmp(((ChardevConfig *)g_ptr_array_index(c->chardevs, i))->id, id)) {
            return false;
        }
    }
    return true;
}

/*
 * What ports and monitors there are when nothing is said of them:
 *   -nographic, or no screen    the first serial port and the monitor share the terminal
 *   a window                    the monitor has the terminal, if we were started in one
 * and the first serial port exists in any case.
 */
static void default_ports(Config *c, bool terminal_console)
{
    bool stdio = !c->daemonize && !stdio_taken(c);

    if (c->nodefaults) {
        return;
    }
    if (terminal_console && stdio && !c->serial->len && id_free(c, "serial0")) {
        if (c->monitors->len) {
            default_chardev(c, "the default serial port", "stdio,id=serial0,signal=off");
        } else {
            default_chardev(c, "the default serial port", "stdio,id=serial0,signal=off,mux=on");
            g_ptr_array_add(c->monitors, g_strdup("serial0"));
        }
        g_ptr_array_add(c->serial, g_strdup("serial0"));
        return;
    }
    if (!c->serial->len && id_free(c, "serial0")) {
        default_chardev(c, "the default serial port", "null,id=serial0");
        g_ptr_array_add(c->serial, g_strdup("serial0"));
    }
    if (stdio && !c->monitors->len && (terminal_console || own_terminal()) && id_free(c, "monitor0")) {
        default_chardev(c, "the default monitor", "stdio,id=monitor0");
        g_ptr_array_add(c->monitors, g_strdup("monitor0"));
    }
}

static bool use_chardevs(Config *c, GPtrArray *ids, const char *what, GError **errp)
{
    for (guint i = 0; i < ids->len; i++) {
        const char *id = g_ptr_array_index(ids, i);
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        g_autofree char *tail = NULL;
        bool found = !strcmp(id, "none");

        for (guint j = 0; j < c->chardevs->len; j++) {
            ChardevConfig *d = g_ptr_array_index(c->chardevs, j);
            if (!strcmp(d->id, id)) {
                d->used = found = true;
            }
            g_ptr_array_add(names, d->id);
        }
        if (!found) {
            g_ptr_array_add(names, NULL);
            tail = suggest_tail(id, (const char *const *)names->pdata);
            error_set(errp, "-%s chardev:%s: there is no -chardev with this id%s", what, id, tail);
            return false;
        }
    }
    return true;
}

static bool resolve_ports(Config *c, GError **errp)
{
    const UiBackend *ui = c->display ? ui_find(c->display, errp) : c->nographic ? NULL : ui_default();
    bool none = !ui || !strcmp(ui->name, "none");
    OptionUse gdb_default = { .value = "tcp::1234", .origin = "-s" };

    if (c->display && !ui) {
        return false;
    }
    if (c->daemonize && (c->nographic || stdio_taken(c))) {
        error_set(errp, "-daemonize leaves the terminal: it cannot be used with -nographic or stdio");
        return false;
    }
    default_ports(c, c->nographic || (none && !c->display));
    c->no_graphics |= c->nographic || (none && !c->display);
    if (!c->display) {
        c->display = g_strdup(none ? "none" : ui->name);
    }
    if (c->gdb_default && !take_gdb(c, &gdb_default, errp)) {
        g_prefix_error(errp, "-s: ");
        return false;
    }
    return use_chardevs(c, c->serial, "serial", errp) && use_chardevs(c, c->parallel, "parallel", errp) &&
           use_chardevs(c, c->monitors, "monitor", errp) && use_chardevs(c, c->gdb, "gdb", errp);
}

/* ---- the rest ---- */

static bool check_memory(const Config *c, const BoardClass *board, GError **errp)
{
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    if (c->ram > board->max_ram) {
        error_set(errp, "-m %" G_GUINT64_FORMAT "M: machine '%s' takes at most %" G_GUINT64_FORMAT "M",
                  c->ram >> 20, board->name, board->max_ram >> 20);
        return false;
    }
    if (c->ram > host) {
        error_set(errp, "-m %" G_GUINT64_FORMAT "M: this host has only %" G_GUINT64_FORMAT "M of memory",
                  c->ram >> 20, host >> 20);
        return false;
    }
    return true;
}

/* -machine kernel_irqchip= goes to where it means something. */
static bool resolve_irqchip(Config *c, GError **errp)
{
    bool used = !c->kernel_irqchip;

    for (guint i = 0; !used && i < c->accels->len; i++) {
        char **spec = (char **)&g_ptr_array_index(c->accels, i);
        if (!strcmp(*spec, "kvm") || g_str_has_prefix(*spec, "kvm,")) {
            char *old = *spec;
            *spec = g_strdup_printf("%s,kernel_irqchip=%s", old, c->kernel_irqchip);
            g_free(old);
            used = true;
        }
    }
    if (!used) {
        error_set(errp, "-machine kernel_irqchip=%s: it takes -accel kvm", c->kernel_irqchip);
    }
    return used;
}

static bool resolve_machine(Config *c, GError **errp)
{
    const BoardClass *board = c->machine ? board_find(c->machine) : board_classes[0];

    if (!c->machine) {
        c->machine = g_strdup(board->name);
    }
    if (!config_counted(c, errp)) {
        return false;
    }
    if (!c->accels->len) {
        accel_default_chain(c->accels);
    }
    if (!resolve_irqchip(c, errp)) {
        return false;
    }
    c->cpu = c->cpu ? c->cpu : g_strdup("max");
    c->vga = c->vga ? c->vga : g_strdup("std");
    c->rtc_base = c->rtc_base ? c->rtc_base : g_strdup("utc");
    c->boot_order = c->boot_order ? c->boot_order : g_strdup("cad");
    if (c->cpus > board->max_cpus) {
        error_set(errp, "-smp %u: machine '%s' takes at most %u processors", c->cpus, board->name,
                  board->max_cpus);
        return false;
    }
    return check_memory(c, board, errp);
}

bool config_resolve(Config *c, GError **errp)
{
    if (!c->kernel && (c->initrd || c->append)) {
        error_set(errp, "-%s is for -kernel: give that as well", c->initrd ? "initrd" : "append");
        return false;
    }
    for (guint i = 0; i < c->firmware_dirs->len; i++) {
        const char *dir = g_ptr_array_index(c->firmware_dirs, i);
        if (!g_file_test(dir, G_FILE_TEST_IS_DIR)) {
            error_set(errp, "-L %s: there is no such directory", dir);
            return false;
        }
    }
    c->snapshot |= c->rr_replay != NULL;        /* the image stays as it is */
    c->resolved = resolve_drives(c, errp) && resolve_ports(c, errp) && resolve_machine(c, errp);
    return c->resolved;
}
