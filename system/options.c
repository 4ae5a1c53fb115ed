/*
 * system/options.c - the table of options, and the parser that walks it.
 *
 * Names and meanings are those people know from QEMU, as far as they concern what exists here.
 */
#include "internal.h"
#include "chardev/chardev.h"
#include "util/error.h"
#include "util/suggest.h"

#include <string.h>

const char *const option_sections[SECTIONS] = {
    "Machine", "Disks", "Booting", "Devices and back ends", "Display", "Running", "Debugging", "About",
};

const char *const vga_kinds[] = { "std", "none", NULL };
static const char *const media[] = { "disk", "cdrom", NULL };
static const char *const interfaces[] = { "ide", "floppy", "none", NULL };
static const char *const locking[] = { "auto", "on", "off", NULL };
static const char *const clocks[] = { "vm", NULL };
static const char *const modes[] = { "readline", NULL };
static const char *const reboot_actions[] = { "reset", "shutdown", NULL };
static const char *const shutdown_actions[] = { "poweroff", "pause", NULL };

static const char *const irqchips[] = { "off", "split", "on", NULL };

static const KeySpec machine_keys[] = {
    { "type", KEY_STR, "the board" },
    { "accel", KEY_STR, "as -accel" },
    { "kernel_irqchip", KEY_ENUM, "as -accel kvm,kernel_irqchip=", .values = irqchips },
    { "acpi", KEY_BOOL, "off: as -no-acpi" },
    { "graphics", KEY_BOOL, "off: firmware uses the serial port instead of the screen" },
    { NULL },
};

static const KeySpec memory_keys[] = {
    { "size", KEY_SIZE, "a number alone is in MiB (default 1G)", 1 << 20, 1ull << 46, .unit = 'M' },
    { NULL },
};

static const KeySpec smp_keys[] = {
    { "cpus", KEY_UINT, "processors (default 1)", 1, 255 },
    { "sockets", KEY_UINT, "packages (default 1)", 1, 255 },
    { "dies", KEY_UINT, "dies of a package (default 1)", 1, 255 },
    { "cores", KEY_UINT, "cores of a die (default: as many as it takes)", 1, 255 },
    { "threads", KEY_UINT, "threads of a core (default 1)", 1, 255 },
    { "maxcpus", KEY_UINT, "as many as cpus: none can be added later", 1, 255 },
    { NULL },
};

static const KeySpec drive_keys[] = {
    { "file", KEY_STR, "the image; without: an empty drive" },
    { "if", KEY_ENUM, "where it is attached; none: where a -device says drive=ID (default ide)",
      .values = interfaces },
    { "index", KEY_UINT, "which drive: ide 0..3, floppy 0..1 (default the next free one)", 0, 3 },
    { "bus", KEY_UINT, "with unit, instead of index: the IDE channel", 0, 1 },
    { "unit", KEY_UINT, "master (0) or slave (1)", 0, 1 },
    { "media", KEY_ENUM, "what kind of drive (default disk)", .values = media },
    { "format", KEY_STR, "of the image (default: found out by looking)" },
    { "readonly", KEY_BOOL, "the guest cannot write" },
    { "snapshot", KEY_BOOL, "what the guest writes is forgotten at the end" },
    { "id", KEY_STR, "name, for -device and the monitor" },
    { "file.locking", KEY_ENUM, "off: others may have the image open", .values = locking },
    { NULL },
};

static const KeySpec boot_keys[] = {
    { "order", KEY_STR, "letters, tried one after the other: a floppy, c disk, d CD-ROM, n network" },
    { "once", KEY_STR, "the same for the first start only; after a reset, order counts" },
    { "menu", KEY_BOOL, "firmware offers a menu (default off)" },
    { "splash-time", KEY_UINT, "how long the menu waits for a key, in ms", 0, 65535 },
    { "reboot-timeout", KEY_UINT, "when nothing boots, start again after so many ms", 0, 65535 },
    { NULL },
};

static const KeySpec mon_keys[] = {
    { "chardev", KEY_STR, "id of a -chardev" },
    { "mode", KEY_ENUM, "how it talks (default readline)", .values = modes },
    { NULL },
};

static const KeySpec rtc_keys[] = {
    { "base", KEY_STR, "utc, localtime, or a date: 2026-01-31 or 2026-01-31T12:00:00 (default utc)" },
    { "clock", KEY_ENUM, "vm: it stops with the machine (default)", .values = clocks },
    { NULL },
};

static const KeySpec icount_keys[] = {
    { "shift", KEY_UINT, "an instruction takes 2 to the power of this ns (default 3: 125 million in a second)", 0,
      ICOUNT_SHIFT_MAX },
    { "sleep", KEY_BOOL, "off: a guest that waits for its next timer does not wait for the host's clock (default on)" },
    { "history", KEY_SIZE, "with -gdb: memory for going backwards (default 256M); 0: none", .unit = 'M' },
    { NULL },
};

static const KeySpec rr_keys[] = {
    { "record", KEY_STR, "write all that comes from outside to this file" },
    { "replay", KEY_STR, "run again what was recorded there" },
    { "history", KEY_SIZE, "with -gdb: memory for going backwards (default 256M); 0: none",
      .unit = 'M' },
    { NULL },
};

static const KeySpec vga_keys[] = {
    { "type", KEY_ENUM, "std: VGA with VBE modes; none: no display adapter (default std)",
      .values = vga_kinds },
    { NULL },
};

static const KeySpec action_keys[] = {
    { "reboot", KEY_ENUM, "shutdown: as -no-reboot (default reset)", .values = reboot_actions },
    { "shutdown", KEY_ENUM, "pause: as -no-shutdown (default poweroff)", .values = shutdown_actions },
    { NULL },
};

static const KeySpec name_keys[] = {
    { "guest", KEY_STR, "shown in the window's title" },
    { NULL },
};

#define AT(field) .offset = offsetof(Config, field)

const Option option_table[] = {
    { "machine", "M", SECTION_MACHINE, OPTION_KEYS, "type[,key=value...]", "the board (default pc)",
      .first = "type", .keys = machine_keys, .take = take_machine, .values = values_machine },
    { "accel", NULL, SECTION_MACHINE, OPTION_VALUE, "name[:name...][,key=value...]",
      "how guest code is run; of several, or of several -accel, the first that works",
      .take = take_accel, .values = values_accel },
    { "cpu", NULL, SECTION_MACHINE, OPTION_VALUE, "model[,+feature][,-feature][,tsc-frequency=Hz]",
      "what processor the guest sees (default max)", .take = take_cpu, .values = values_cpu },
    { "smp", NULL, SECTION_MACHINE, OPTION_KEYS, "[cpus=]n[,key=value...]", "how many processors",
      .first = "cpus", .keys = smp_keys, .take = take_smp },
    { "m", NULL, SECTION_MACHINE, OPTION_KEYS, "[size=]size", "how much memory",
      .first = "size", .keys = memory_keys, .take = take_memory },
    { "rtc", NULL, SECTION_MACHINE, OPTION_KEYS, "base=utc|localtime|date[,clock=vm]",
      "what the machine's clock shows at the start", .keys = rtc_keys, .take = take_rtc },
    { "no-acpi", NULL, SECTION_MACHINE, OPTION_FLAG, NULL, "no ACPI tables", AT(no_acpi) },
    { "name", NULL, SECTION_MACHINE, OPTION_KEYS, "text", "a name for this machine",
      .first = "guest", .keys = name_keys, .take = take_name },

    { "hda", NULL, SECTION_DISKS, OPTION_VALUE, "file", "disk image, first IDE channel, master",
      .number = 0, .take = take_disk },
    { "hdb", NULL, SECTION_DISKS, OPTION_VALUE, "file", "disk image, first IDE channel, slave",
      .number = 1, .take = take_disk },
    { "hdc", NULL, SECTION_DISKS, OPTION_VALUE, "file", "disk image, second IDE channel, master",
      .number = 2, .take = take_disk },
    { "hdd", NULL, SECTION_DISKS, OPTION_VALUE, "file", "disk image, second IDE channel, slave",
      .number = 3, .take = take_disk },
    { "cdrom", NULL, SECTION_DISKS, OPTION_VALUE, "file", "CD-ROM image, second IDE channel, master",
      .take = take_cdrom },
    { "fda", NULL, SECTION_DISKS, OPTION_VALUE, "file", "floppy image, first drive", .number = 0,
      .take = take_floppy },
    { "fdb", NULL, SECTION_DISKS, OPTION_VALUE, "file", "floppy image, second drive", .number = 1,
      .take = take_floppy },
    { "drive", NULL, SECTION_DISKS, OPTION_KEYS, "[file=file][,key=value...]", "a drive, in every detail",
      .keys = drive_keys, .take = take_drive },
    { "snapshot", NULL, SECTION_DISKS, OPTION_FLAG, NULL,
      "what the guest writes to any disk is forgotten at the end", AT(snapshot) },

    { "boot", NULL, SECTION_BOOT, OPTION_KEYS, "[order=]letters[,key=value...]", "what firmware boots from",
      .first = "order", .keys = boot_keys, .take = take_boot },
    { "kernel", NULL, SECTION_BOOT, OPTION_TEXT, "file",
      "start this Linux bzImage, multiboot image or ELF with a PVH note", AT(kernel) },
    { "initrd", NULL, SECTION_BOOT, OPTION_TEXT, "file", "initial RAM disk for -kernel", AT(initrd) },
    { "append", NULL, SECTION_BOOT, OPTION_TEXT, "text", "command line for -kernel", AT(append) },
    { "bios", NULL, SECTION_BOOT, OPTION_TEXT, "file", "firmware image, 64 KiB to 16 MiB", AT(bios) },
    { "L", NULL, SECTION_BOOT, OPTION_LIST, "directory", "look for firmware here first", AT(firmware_dirs) },

    { "device", NULL, SECTION_DEVICES, OPTION_VALUE, "driver[,property=value...]",
      "add a device; -device help lists them, -device NAME,help its properties",
      .take = take_device, .values = values_device },
    { "global", NULL, SECTION_DEVICES, OPTION_VALUE, "driver.property=value",
      "set a property of every device of this kind", .take = take_global },
    { "serial", NULL, SECTION_DEVICES, OPTION_VALUE, "dev",
      "next serial port: stdio, null, pty, ringbuf, file:F, pipe:F, unix:F, tcp:H:P, chardev:ID, none; "
      "mon:DEV shares it with a monitor", .take = take_serial },
    { "parallel", NULL, SECTION_DEVICES, OPTION_VALUE, "dev", "next parallel port, as -serial",
      .take = take_parallel },
    { "chardev", NULL, SECTION_DEVICES, OPTION_VALUE, "kind,id=id[,key=value...]",
      "a back end for a port or monitor; -chardev help lists the kinds", .take = take_chardev,
      .values = chardev_help },
    { "monitor", NULL, SECTION_DEVICES, OPTION_VALUE, "dev", "a monitor there, as -serial",
      .take = take_monitor },
    { "mon", NULL, SECTION_DEVICES, OPTION_KEYS, "[chardev=]id", "a monitor on a -chardev",
      .first = "chardev", .keys = mon_keys, .take = take_mon },
    { "debugcon", NULL, SECTION_DEVICES, OPTION_VALUE, "dev",
      "what the guest writes to port 0xe9, as -serial", .take = take_debugcon },
    { "nodefaults", NULL, SECTION_DEVICES, OPTION_FLAG, NULL,
      "only the drives, ports and monitors that are asked for", AT(nodefaults) },

    { "display", NULL, SECTION_DISPLAY, OPTION_VALUE, "name[,option=on|off...]",
      "where the screen is shown (default a window where there is a screen)", .take = take_display,
      .values = values_display },
    { "nographic", NULL, SECTION_DISPLAY, OPTION_FLAG, NULL,
      "no window; firmware, the first serial port and the monitor share this terminal (Ctrl-A h: help)",
      AT(nographic) },
    { "vga", NULL, SECTION_DISPLAY, OPTION_KEYS, "std|none", "the display adapter",
      .first = "type", .keys = vga_keys, .take = take_vga },

    { "S", NULL, SECTION_RUN, OPTION_FLAG, NULL, "wait for the monitor's cont, or gdb's, before starting", AT(paused) },
    { "no-reboot", NULL, SECTION_RUN, OPTION_FLAG, NULL, "end instead of resetting", AT(no_reboot) },
    { "no-shutdown", NULL, SECTION_RUN, OPTION_FLAG, NULL, "pause instead of ending when the guest powers off",
      AT(no_shutdown) },
    { "action", NULL, SECTION_RUN, OPTION_KEYS, "event=action[,...]", "the same as one option",
      .keys = action_keys, .take = take_action },
    { "daemonize", NULL, SECTION_RUN, OPTION_FLAG, NULL, "go to the background once the machine runs",
      AT(daemonize) },
    { "pidfile", NULL, SECTION_RUN, OPTION_TEXT, "file", "write the process id there; removed at the end",
      AT(pidfile) },

    { "icount", NULL, SECTION_RUN, OPTION_KEYS, "[shift=]n[,sleep=on|off][,history=size]",
      "guest time is the number of instructions: the guest runs the same way each time", .first = "shift",
      .keys = icount_keys, .take = take_icount },
    { "rr", NULL, SECTION_RUN, OPTION_KEYS, "record=file|replay=file[,history=size]",
      "record a run, or replay it exactly; with -icount, which is implied", .keys = rr_keys, .take = take_rr },

    { "s", NULL, SECTION_DEBUG, OPTION_FLAG, NULL, "the same as -gdb tcp::1234", AT(gdb_default) },
    { "gdb", NULL, SECTION_DEBUG, OPTION_VALUE, "dev",
      "wait for gdb there: tcp::PORT, unix:F, stdio, chardev:ID; with -S before the first instruction",
      .take = take_gdb },
    { "d", NULL, SECTION_DEBUG, OPTION_VALUE, "item[,...]", "log these; -d help lists them", .take = take_log,
      .values = values_log },
    { "D", NULL, SECTION_DEBUG, OPTION_TEXT, "file", "log to this file instead of standard error",
      AT(log_file) },
    { "show-config", NULL, SECTION_DEBUG, OPTION_FLAG, NULL,
      "print the resolved machine, as a command line and for reading, and end", AT(show_config) },

    { "help", "h", SECTION_ABOUT, OPTION_PRINT, NULL, "this list; -OPTION help: more about one of them",
      .print = options_help },
    { "help-markdown", NULL, SECTION_ABOUT, OPTION_PRINT, NULL, "all options in full, as docs/options.md",
      .print = options_markdown },
    { "version", NULL, SECTION_ABOUT, OPTION_PRINT, NULL, "which Tinamou this is", .print = options_version },
    { NULL },
};

static const Option *find_option(const char *name, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    for (const Option *o = option_table; o->name; o++) {
        if (!strcmp(o->name, name) || (o->alias && !strcmp(o->alias, name))) {
            return o;
        }
        g_ptr_array_add(names, (char *)o->name);
    }
    g_ptr_array_add(names, NULL);
    near = suggest_nearest(name, (const char *const *)names->pdata);
    if (near) {
        error_set(errp, "unknown option -%s; did you mean -%s?", name, near);
    } else {
        error_set(errp, "unknown option -%s; -help lists them", name);
    }
    return NULL;
}

/* Whatever can be listed is listed by "help" (or "?") in the value's place. */
static bool print_values(const Option *o, const char *value, GString *out)
{
    if (strcmp(value, "help") && strcmp(value, "?")) {
        return false;
    }
    if (o->values) {
        o->values(out);
        return true;
    }
    if (o->keys) {
        g_string_append_printf(out, "-%s %s: %s\n", o->name, o->arg, o->help);
        keyspec_help(o->keys, out);
        return true;
    }
    return false;
}

static bool take_value(Config *c, OptionUse *use, GError **errp)
{
    const Option *o = use->option;
    g_autoptr(KeyVals) keys = NULL;
    char **text;

    switch (o->kind) {
    case OPTION_TEXT:
        text = (char **)(void *)((char *)c + o->offset);
        g_free(*text);
        *text = g_strdup(use->value);
        return true;
    case OPTION_LIST:
        g_ptr_array_add(*(GPtrArray **)(void *)((char *)c + o->offset), g_strdup(use->value));
        return true;
    case OPTION_KEYS:
        keys = keyvals_parse(use->value, o->first, o->keys, errp);
        use->keys = keys;
        return keys && o->take(c, use, errp);
    case OPTION_VALUE:
        return o->take(c, use, errp);
    case OPTION_FLAG:
    case OPTION_PRINT:
        break;
    }
    return true;
}

static OptionsResult one_option(Config *c, const Option *o, const char *value, GString *out, GError **errp)
{
    g_autofree char *origin = g_strdup_printf("-%s%s%s", o->name, value ? " " : "", value ? value : "");
    OptionUse use = { .option = o, .value = value, .origin = origin };

    if (o->kind == OPTION_PRINT) {
        o->print(out);
        return OPTIONS_PRINTED;
    }
    if (o->kind == OPTION_FLAG) {
        *((bool *)((char *)c + o->offset)) = true;
        return OPTIONS_OK;
    }
    if (print_values(o, value, out)) {
        return OPTIONS_PRINTED;
    }
    if (o->take == take_device && g_str_has_suffix(value, ",help")) {
        g_autofree char *name = g_strndup(value, strcspn(value, ","));
        if (help_device(name, out)) {
            return OPTIONS_PRINTED;
        }
    }
    if (!take_value(c, &use, errp)) {
        g_prefix_error(errp, "%s: ", origin);
        return OPTIONS_ERROR;
    }
    return OPTIONS_OK;
}

OptionsResult options_parse(Config *c, int argc, const char *const *argv, GString *out, GError **errp)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *value = NULL;
        const Option *o;
        OptionsResult r;

        if (arg[0] != '-' || !arg[1]) {
            if (c->image) {
                error_set(errp, "'%s': '%s' is to be booted already; further disks go with -hda, -cdrom or "
                          "-drive", arg, c->image);
                return OPTIONS_ERROR;
            }
            c->image = g_strdup(arg);
            continue;
        }
        o = find_option(arg[1] == '-' ? arg + 2 : arg + 1, errp);
        if (!o) {
            return OPTIONS_ERROR;
        }
        if (o->arg) {
            value = ++i < argc ? argv[i] : NULL;
            if (!value) {
                error_set(errp, "-%s needs a value: -%s %s", o->name, o->name, o->arg);
                return OPTIONS_ERROR;
            }
        }
        r = one_option(c, o, value, out, errp);
        if (r != OPTIONS_OK) {
            return r;
        }
    }
    return OPTIONS_OK;
}
