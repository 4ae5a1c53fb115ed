/*
 * system/build.c - from the resolved options to a machine that is ready to run.
 */
#include "machine.h"
#include "hw/fw_cfg.h"
#include "hw/pc.h"
#include "internal.h"
#include "target/x86/cpu.h"
#include "util/error.h"
#include "util/suggest.h"

#include <stdio.h>
#include <string.h>

/* ---- back ends ---- */

CharBack *system_find_chardev(System *s, const char *id)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        CharBack *c = g_ptr_array_index(s->chardevs, i);
        if (!strcmp(chardev_id(c), id)) {
            return c;
        }
    }
    return NULL;
}

static void *find_block(System *s, const char *id)
{
    for (guint i = 0; i < s->blocks->len; i++) {
        Block *b = g_ptr_array_index(s->blocks, i);
        if (!strcmp(block_id(b), id)) {
            return b;
        }
    }
    return NULL;
}

/* Machine.resolve: the object behind a chardev= or drive= property. */
static void *resolve(void *opaque, PropKind kind, const char *id, GError **errp)
{
    System *s = opaque;
    bool chardev = kind == PROP_CHARDEV;
    void *object = chardev ? system_find_chardev(s, id) : find_block(s, id);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *tail = NULL;

    if (object) {
        return object;
    }
    for (guint i = 0; i < (chardev ? s->chardevs : s->blocks)->len; i++) {
        g_ptr_array_add(names, (char *)(chardev ? chardev_id(g_ptr_array_index(s->chardevs, i))
                                                : block_id(g_ptr_array_index(s->blocks, i))));
    }
    g_ptr_array_add(names, NULL);
    tail = suggest_tail(id, (const char *const *)names->pdata);
    error_set(errp, "there is no %s with the id '%s'%s", chardev ? "-chardev" : "-drive with a file", id, tail);
    return NULL;
}

static void quit_typed(void *opaque)
{
    machine_quit(opaque, 0);
}

static bool open_chardevs(System *s, GError **errp)
{
    for (guint i = 0; i < s->cfg->chardevs->len; i++) {
        const ChardevConfig *d = g_ptr_array_index(s->cfg->chardevs, i);
        CharBack *c = chardev_open(s->m->loop, d->spec, errp);
        if (!c) {
            g_prefix_error(errp, "%s: ", d->origin);
            return false;
        }
        g_ptr_array_add(s->chardevs, c);
        chardev_on_quit(c, quit_typed, s->m);
    }
    return true;
}

static bool open_drives(System *s, GError **errp)
{
    for (guint i = 0; i < s->cfg->drives->len; i++) {
        const DriveConfig *d = g_ptr_array_index(s->cfg->drives, i);
        BlockOptions o = { .id = d->id, .path = d->file, .format = d->format, .readonly = d->readonly,
                           .snapshot = d->snapshot, .cdrom = d->cdrom, .no_lock = d->no_lock };
        uint64_t missing = d->cdrom && d->file ? image_iso_missing(d->file) : 0;
        Block *b = d->file ? block_open(s->m->loop, &o, errp) : NULL;

        if (d->file && !b) {
            g_prefix_error(errp, "%s: ", d->origin);
            return false;
        }
        if (missing) {
            fprintf(stderr, "tinamou: %s: the image is cut off, %" G_GUINT64_FORMAT " KiB are missing at its end; "
                    "the guest gets read errors there\n", d->origin, (missing + 1023) / 1024);
        }
        if (b) {
            g_ptr_array_add(s->blocks, b);
        }
    }
    return true;
}

/* ---- the machine ---- */

static bool make_vcpus(System *s, GError **errp)
{
    s->m->topology = s->cfg->topology;
    for (unsigned i = 0; i < s->cfg->cpus; i++) {
        X86Cpu *c = x86_cpu_new(s->m, i, s->cfg->cpu, errp);
        if (!c) {
            return false;
        }
        g_ptr_array_add(s->m->vcpus, &c->vcpu);
    }
    return true;
}

static void fill_ports(System *s, const GPtrArray *ids, CharBack **ports)
{
    for (guint i = 0; i < ids->len; i++) {
        ports[i] = system_find_chardev(s, g_ptr_array_index(ids, i));     /* "none" is no id */
    }
}

static char *find_firmware(const Config *cfg, const char *name, GError **errp)
{
    g_autoptr(GPtrArray) dirs = g_ptr_array_new();

    for (guint i = 0; i < cfg->firmware_dirs->len; i++) {
        g_ptr_array_add(dirs, g_ptr_array_index(cfg->firmware_dirs, i));
    }
    g_ptr_array_add(dirs, NULL);
    return firmware_find((const char *const *)dirs->pdata, name, errp);
}

char *find_bios(const Config *cfg, GError **errp)
{
    if (cfg->bios && (strchr(cfg->bios, '/') || g_file_test(cfg->bios, G_FILE_TEST_EXISTS))) {
        return g_strdup(cfg->bios);
    }
    return find_firmware(cfg, cfg->bios ? cfg->bios : "bios-256k.bin", errp);
}

static void fill_drives(System *s, PcConfig *pc)
{
    for (guint i = 0; i < s->cfg->drives->len; i++) {
        const DriveConfig *d = g_ptr_array_index(s->cfg->drives, i);
        if (d->interface != DRIVE_NONE) {
            pc->drives[pc->n_drives++] = (PcDrive){
                .interface = d->interface == DRIVE_IDE ? PC_DRIVE_IDE : PC_DRIVE_FLOPPY,
                .index = d->index, .cdrom = d->cdrom, .boot_index = -1, .id = d->id,
                .block = d->file ? find_block(s, d->id) : NULL,
            };
        }
    }
}

static bool build_board(System *s, GError **errp)
{
    const Config *cfg = s->cfg;
    const BoardClass *board = board_find(cfg->machine);
    bool vga = strcmp(cfg->vga, "none");
    g_autofree char *bios = find_bios(cfg, errp);
    g_autofree char *vga_bios = bios && vga ? find_firmware(cfg, "vgabios-stdvga.bin", errp) : NULL;
    PcConfig pc = {
        .ram_size = cfg->ram, .cpus = cfg->cpus, .bios = bios, .vga_bios = vga_bios, .kernel = cfg->kernel,
        .initrd = cfg->initrd, .append = cfg->append,
        .boot_order = cfg->boot_once ? cfg->boot_once : cfg->boot_order, .boot_menu = cfg->boot_menu,
        .acpi = !cfg->no_acpi, .vga = cfg->vga, .rtc_base = config_rtc_seconds(cfg),
        .graphics = !cfg->no_graphics, .global_props = s->m->globals,
    };

    if (!bios || (vga && !vga_bios)) {
        return false;
    }
    fill_ports(s, cfg->serial, pc.serial);
    fill_ports(s, cfg->parallel, pc.parallel);
    fill_drives(s, &pc);
    return board->build(s->m, &pc, errp);
}

/* Firmware's waiting times: files that SeaBIOS looks for, two and four bytes, in ms. */
static bool tell_firmware(System *s, GError **errp)
{
    FwCfg *f = machine_service(s->m, "fw_cfg");
    uint16_t splash = GUINT16_TO_LE((uint16_t)s->cfg->splash_ms);
    uint32_t fail = GUINT32_TO_LE((uint32_t)s->cfg->fail_ms);

    if (s->cfg->splash_ms != UINT64_MAX &&
        !fw_cfg_add_file(f, "etc/boot-menu-wait", &splash, sizeof(splash), errp)) {
        return false;
    }
    return s->cfg->fail_ms == UINT64_MAX ||
           fw_cfg_add_file(f, "etc/boot-fail-wait", &fail, sizeof(fail), errp);
}

static Bus *device_bus(System *s, const DeviceConfig *d, GError **errp)
{
    const char *name = d->bus ? d->bus : device_class_find(d->driver)->bus;
    Bus *bus = machine_find_bus(s->m, name);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *tail = NULL;

    if (bus) {
        return bus;
    }
    for (Bus *b = s->m->buses; b; b = b->next) {
        g_ptr_array_add(names, (char *)(b->id ? b->id : b->cls->name));
    }
    g_ptr_array_add(names, NULL);
    tail = suggest_tail(name, (const char *const *)names->pdata);
    error_set(errp, "there is no bus '%s'%s", name, tail);
    return NULL;
}

static bool add_device(System *s, const DeviceConfig *d, GError **errp)
{
    g_autoptr(KeyVals) props = keyvals_parse(d->props, NULL, NULL, errp);
    Bus *bus = device_bus(s, d, errp);
    Device *dev = props && bus ? device_new(s->m, d->driver, d->id, errp) : NULL;
    bool ok = dev;

    for (unsigned i = 0; ok && i < props->count; i++) {
        ok = device_set(dev, props->item[i].key, props->item[i].value, errp);
    }
    ok = ok && device_realize(dev, bus, errp);
    if (dev && !ok) {
        device_free(dev);
    }
    return ok;
}

static bool add_devices(System *s, GError **errp)
{
    for (guint i = 0; i < s->cfg->devices->len; i++) {
        const DeviceConfig *d = g_ptr_array_index(s->cfg->devices, i);
        if (!add_device(s, d, errp)) {
            g_prefix_error(errp, "%s: ", d->origin);
            return false;
        }
    }
    return true;
}

/* ---- what runs it and shows it ---- */

static bool start_engine(System *s, GError **errp)
{
    const GPtrArray *chain = s->cfg->accels;

    s->runner = runner_open_chain(s->m, chain, errp);
    if (s->runner) {
        s->accel = runner_accel(s->runner);
        system_replay_debugger(s);
    } else {
        g_prefix_error(errp, "-accel %s: ", (char *)g_ptr_array_index(chain, chain->len - 1));
    }
    return s->runner;
}

static bool open_monitors(System *s, GError **errp)
{
    MonitorHost host;

    system_monitor_host(s, &host);
    s->monitors = monitors_new(s->m, &host);
    for (guint i = 0; i < s->cfg->monitors->len; i++) {
        const char *id = g_ptr_array_index(s->cfg->monitors, i);
        if (strcmp(id, "none") && !monitors_add(s->monitors, system_find_chardev(s, id), errp)) {
            g_prefix_error(errp, "-monitor chardev:%s: ", id);
            return false;
        }
    }
    return true;
}

static bool open_debugger(System *s, GError **errp)
{
    const char *id = s->cfg->gdb->len ? g_ptr_array_index(s->cfg->gdb, 0) : "none";

    if (strcmp(id, "none") && !system_gdb_open(s, system_find_chardev(s, id), errp)) {
        g_prefix_error(errp, "-gdb chardev:%s: ", id);
        return false;
    }
    return true;
}

static bool open_ui(System *s, GError **errp)
{
    const UiBackend *b = ui_find(s->cfg->display, errp);
    const char *comma = strchr(s->cfg->display, ',');
    UiConfig ui = { .machine = s->m, .name = s->cfg->name, .options = comma ? comma + 1 : NULL };

    s->ui = b ? ui_open(b, &ui, errp) : NULL;
    if (!s->ui) {
        g_prefix_error(errp, "-display %s: ", s->cfg->display);
    }
    return s->ui;
}

static bool build(System *s, GError **errp)
{
    guint i = 0;

    if (!open_chardevs(s, errp) || !open_drives(s, errp) || !make_vcpus(s, errp) ||
        !system_replay_start(s, errp) || !build_board(s, errp) ||
        !tell_firmware(s, errp) || !add_devices(s, errp)) {
        return false;
    }
    while (i < s->blocks->len) {        /* those that have a device are its own from here */
        if (block_user(g_ptr_array_index(s->blocks, i))) {
            g_ptr_array_remove_index(s->blocks, i);
        } else {
            i++;
        }
    }
    machine_reset(s->m);
    for (i = 0; i < s->m->vcpus->len; i++) {
        x86_reset(x86_cpu(g_ptr_array_index(s->m->vcpus, i)));
    }
    return start_engine(s, errp) && open_monitors(s, errp) && open_debugger(s, errp) && open_ui(s, errp);
}

/* What a failed build has opened is left to the end of the process, but not forgotten: volatile keeps
 * the compiler from dropping a pointer that only leak checkers read. */
static System *volatile last_built;

System *system_build(const Config *cfg, GError **errp)
{
    System *s = g_new0(System, 1);
    bool ok;

    last_built = s;

    s->cfg = cfg;
    s->m = machine_new(cfg->icount ? clock_new_counted() : clock_new_host());
    if (cfg->icount) {
        icount_new(s->m, cfg->icount_shift, !cfg->icount_awake, cfg->icount_seed);
    }
    s->chardevs = g_ptr_array_new();
    s->blocks = g_ptr_array_new();
    machine_lock(s->m);
    s->m->resolve = resolve;
    s->m->resolve_opaque = s;
    s->input = input_new();
    machine_provide(s->m, "input", s->input);
    s->m->globals = g_new0(char *, cfg->globals->len + 1);
    for (guint i = 0; i < cfg->globals->len; i++) {
        s->m->globals[i] = g_strdup(g_ptr_array_index(cfg->globals, i));
    }
    ok = build(s, errp);
    machine_unlock(s->m);
    return ok ? s : NULL;
}

void system_free(System *s)
{
    machine_lock(s->m);
    gdb_server_free(s->gdb);
    machine_unlock(s->m);
    runner_free(s->runner);
    machine_lock(s->m);
    ui_close(s->ui);
    monitors_free(s->monitors);
    while (s->m->devices->len) {
        device_free(g_ptr_array_index(s->m->devices, s->m->devices->len - 1));
    }
    for (guint i = 0; i < s->blocks->len; i++) {
        block_close(g_ptr_array_index(s->blocks, i));
    }
    for (guint i = 0; i < s->chardevs->len; i++) {
        chardev_close(g_ptr_array_index(s->chardevs, i));
    }
    input_free(s->input);
    s->accel->ops->destroy(s->accel);
    machine_unlock(s->m);
    for (guint i = 0; i < s->m->vcpus->len; i++) {
        x86_cpu_free(x86_cpu(g_ptr_array_index(s->m->vcpus, i)));
    }
    g_ptr_array_set_size(s->m->vcpus, 0);
    machine_free(s->m);
    g_ptr_array_unref(s->chardevs);
    g_ptr_array_unref(s->blocks);
    last_built = NULL;
    g_free(s);
}
