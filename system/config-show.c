/*
 * system/config-show.c - -show-config: the resolved machine as a command line that gives it again,
 * and in words.
 */
#include "internal.h"
#include "util/keyval.h"

#include <string.h>

/* One option and its value, quoted for the shell where that is needed. */
static void add(GPtrArray *words, const char *option, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
static void add(GPtrArray *words, const char *option, const char *fmt, ...)
{
    g_autofree char *value = NULL;
    va_list ap;

    va_start(ap, fmt);
    value = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    if (!*value || strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "-_=.,:/+@%^") != strlen(value)) {
        g_autofree char *quoted = g_shell_quote(value);
        g_ptr_array_add(words, g_strdup_printf("%s %s", option, quoted));
    } else {
        g_ptr_array_add(words, g_strdup_printf("%s %s", option, value));
    }
}

static void flag(GPtrArray *words, bool on, const char *option)
{
    if (on) {
        g_ptr_array_add(words, g_strdup(option));
    }
}

static void text(GPtrArray *words, const char *option, const char *value)
{
    if (value) {
        add(words, option, "%s", value);
    }
}

static char *escaped(const char *key, const char *value)
{
    g_autofree char *v = value ? keyval_escape(value) : NULL;

    return v ? g_strdup_printf("%s=%s,", key, v) : g_strdup("");
}

static void add_drive(GPtrArray *words, const DriveConfig *d)
{
    static const char *const interfaces[] = { "ide", "floppy", "none" };
    g_autofree char *file = escaped("file", d->file), *format = escaped("format", d->format),
                    *id = escaped("id", d->id);
    GString *s = g_string_new(NULL);

    g_string_append_printf(s, "%s%sif=%s,", file, format, interfaces[d->interface]);
    if (d->interface != DRIVE_NONE) {
        g_string_append_printf(s, "index=%d,", d->index);
    }
    g_string_append_printf(s, "%smedia=%s", id, d->cdrom ? "cdrom" : "disk");
    g_string_append(s, d->readonly ? ",readonly=on" : "");
    g_string_append(s, d->snapshot ? ",snapshot=on" : "");
    g_string_append(s, d->no_lock ? ",file.locking=off" : "");
    add(words, "-drive", "%s", s->str);
    g_string_free(s, TRUE);
}

static void add_boot(const Config *c, GPtrArray *words)
{
    GString *s = g_string_new(NULL);

    g_string_append_printf(s, "order=%s", c->boot_order);
    if (c->boot_once) {
        g_string_append_printf(s, ",once=%s", c->boot_once);
    }
    g_string_append_printf(s, ",menu=%s", c->boot_menu ? "on" : "off");
    if (c->splash_ms != UINT64_MAX) {
        g_string_append_printf(s, ",splash-time=%" G_GUINT64_FORMAT, c->splash_ms);
    }
    if (c->fail_ms != UINT64_MAX) {
        g_string_append_printf(s, ",reboot-timeout=%" G_GUINT64_FORMAT, c->fail_ms);
    }
    add(words, "-boot", "%s", s->str);
    g_string_free(s, TRUE);
}

static void add_ports(GPtrArray *words, const char *option, const GPtrArray *ids)
{
    for (guint i = 0; i < ids->len; i++) {
        const char *id = g_ptr_array_index(ids, i);
        add(words, option, "%s%s", strcmp(id, "none") ? "chardev:" : "", id);
    }
}

static void command_line(const Config *c, GPtrArray *words)
{
    g_ptr_array_add(words, g_strdup("tinamou -nodefaults"));
    add(words, "-machine", "%s,acpi=%s,graphics=%s", c->machine, c->no_acpi ? "off" : "on",
        c->no_graphics ? "off" : "on");
    for (guint i = 0; i < c->accels->len; i++) {
        text(words, "-accel", g_ptr_array_index(c->accels, i));
    }
    text(words, "-cpu", c->cpu);
    add(words, "-smp", "%u,sockets=%u,dies=%u,cores=%u,threads=%u", c->cpus, c->topology.sockets, c->topology.dies,
        c->topology.cores, c->topology.threads);
    add(words, "-m", "%" G_GUINT64_FORMAT "M", c->ram >> 20);
    text(words, "-vga", c->vga);
    text(words, "-display", c->display);
    add(words, "-rtc", "base=%s,clock=vm", c->rtc_base);
    if (c->name) {
        g_autofree char *name = keyval_escape(c->name);
        add(words, "-name", "guest=%s", name);
    }
    text(words, "-bios", c->bios);
    for (guint i = 0; i < c->firmware_dirs->len; i++) {
        text(words, "-L", g_ptr_array_index(c->firmware_dirs, i));
    }
    text(words, "-kernel", c->kernel);
    text(words, "-initrd", c->initrd);
    text(words, "-append", c->append);
    add_boot(c, words);
    for (guint i = 0; i < c->drives->len; i++) {
        add_drive(words, g_ptr_array_index(c->drives, i));
    }
    for (guint i = 0; i < c->chardevs->len; i++) {
        text(words, "-chardev", ((ChardevConfig *)g_ptr_array_index(c->chardevs, i))->spec);
    }
    add_ports(words, "-serial", c->serial);
    add_ports(words, "-parallel", c->parallel);
    add_ports(words, "-monitor", c->monitors);
    add_ports(words, "-gdb", c->gdb);
    for (guint i = 0; i < c->globals->len; i++) {
        text(words, "-global", g_ptr_array_index(c->globals, i));
    }
    for (guint i = 0; i < c->devices->len; i++) {
        const DeviceConfig *d = g_ptr_array_index(c->devices, i);
        g_autofree char *id = d->id ? keyval_escape(d->id) : NULL, *bus = d->bus ? keyval_escape(d->bus) : NULL;
        add(words, "-device", "%s%s%s%s%s%s%s", d->driver, id ? ",id=" : "", id ? id : "", bus ? ",bus=" : "",
            bus ? bus : "", *d->props ? "," : "", d->props);
    }
    if (c->icount) {
        add(words, "-icount", "shift=%u,sleep=%s,history=%" G_GUINT64_FORMAT "M", c->icount_shift,
            c->icount_awake ? "off" : "on", c->history >> 20);
    }
    if (c->rr_record || c->rr_replay) {
        g_autofree char *file = keyval_escape(c->rr_record ? c->rr_record : c->rr_replay);
        add(words, "-rr", "%s=%s", c->rr_record ? "record" : "replay", file);
    }
    flag(words, c->paused, "-S");
    flag(words, c->no_reboot, "-no-reboot");
    flag(words, c->no_shutdown, "-no-shutdown");
    flag(words, c->daemonize, "-daemonize");
    text(words, "-pidfile", c->pidfile);
    text(words, "-d", c->log_items);
    text(words, "-D", c->log_file);
}

static void describe_drive(const DriveConfig *d, GString *out)
{
    static const char *const where[] = { "IDE", "floppy", "for -device, " };

    g_string_append_printf(out, "# drive %s: %s", d->id, where[d->interface]);
    if (d->interface == DRIVE_IDE) {
        g_string_append_printf(out, " channel %d, %s, ", d->index / 2, d->index % 2 ? "slave" : "master");
    } else if (d->interface == DRIVE_FLOPPY) {
        g_string_append_printf(out, " drive %d, ", d->index);
    }
    g_string_append_printf(out, "%s, %s", d->cdrom ? "CD-ROM" : "disk", d->file ? d->file : "empty");
    g_string_append_printf(out, "%s%s\n", d->readonly ? ", read-only" : "",
                           d->snapshot ? ", writes are forgotten" : "");
}

void config_show(const Config *c, GString *out)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

    command_line(c, words);
    for (guint i = 0; i < words->len; i++) {
        g_string_append_printf(out, "%s%s%s\n", i ? "  " : "", (char *)g_ptr_array_index(words, i),
                               i + 1 < words->len ? " \\" : "");
    }
    g_string_append_printf(out, "# machine %s, %u processor%s (%s) run by %s, %" G_GUINT64_FORMAT " MiB of memory\n",
                           c->machine, c->cpus, c->cpus > 1 ? "s" : "", c->cpu, (char *)g_ptr_array_index(c->accels, 0),
                           c->ram >> 20);
    g_string_append_printf(out, "# display adapter %s, shown by %s; firmware uses the %s\n", c->vga, c->display,
                           c->no_graphics ? "serial port" : "screen");
    if (c->kernel) {
        g_string_append_printf(out, "# starts the kernel %s\n", c->kernel);
    } else {
        g_string_append_printf(out, "# firmware boots in the order %s (a floppy, c disk, d CD-ROM, n network)\n",
                               c->boot_once ? c->boot_once : c->boot_order);
    }
    for (guint i = 0; i < c->drives->len; i++) {
        describe_drive(g_ptr_array_index(c->drives, i), out);
    }
    for (guint i = 0; i < c->serial->len; i++) {
        g_string_append_printf(out, "# serial port %u: %s\n", i, (char *)g_ptr_array_index(c->serial, i));
    }
    for (guint i = 0; i < c->monitors->len; i++) {
        g_string_append_printf(out, "# monitor on %s\n", (char *)g_ptr_array_index(c->monitors, i));
    }
}
