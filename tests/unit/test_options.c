/*
 * The command line: every option taken, every mistake named, -show-config read back, random words.
 */
#include <glib/gstdio.h>
#include <string.h>
#include "core/device.h"
#include "system/options.h"

/* ---- help ---- */

static Config *parse(const char *line, OptionsResult *result, GString *out, GError **err)
{
    g_auto(GStrv) argv = NULL;
    g_autofree char *full = g_strdup_printf("tinamou %s", line);
    Config *c = config_new();
    int argc;

    g_assert_true(g_shell_parse_argv(full, &argc, &argv, NULL));
    *result = options_parse(c, argc, (const char *const *)argv, out, err);
    return c;
}

/* When only the result matters. */
static OptionsResult outcome(const char *line, GString *out, GError **err)
{
    OptionsResult r;

    config_free(parse(line, &r, out, err));
    return r;
}

static Config *parse_ok(const char *line)
{
    g_autoptr(GString) out = g_string_new(NULL);
    GError *err = NULL;
    OptionsResult r;
    Config *c = parse(line, &r, out, &err);

    g_assert_no_error(err);
    g_assert_cmpint(r, ==, OPTIONS_OK);
    return c;
}

/* The first addable device of the table, so that this test depends on none. */
static const DeviceClass *some_device(void)
{
    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if ((*c)->bus && !(*c)->board_only) {
            return *c;
        }
    }
    return NULL;
}

/* One good use of every option but -device, -global and -debugcon, which depend on the device table. */
static const char *const samples[] = {
    "-machine pc,acpi=off,graphics=off", "-M pc", "-accel interp", "-cpu max,-sse4.2",
    "-smp 4,sockets=1,cores=4,threads=1", "-m 512", "-rtc base=2026-01-31T12:00:00,clock=vm", "-no-acpi",
    "-name guest", "-hda a", "-hdb b", "-hdc c", "-hdd d", "-cdrom e", "-fda f", "-fdb g",
    "-drive file=x,if=ide,bus=1,unit=1,media=disk,format=raw,readonly=on,snapshot=off,id=i,file.locking=off",
    "-snapshot", "-boot order=dc,once=a,menu=on,splash-time=100,reboot-timeout=5", "-kernel k", "-initrd i",
    "-append 'a b'", "-bios b", "-L /tmp", "-serial null", "-parallel file:/tmp/x", "-chardev null,id=x",
    "-monitor none", "-mon chardev=x", "-nodefaults", "-display none", "-nographic", "-vga none", "-S",
    "-s", "-gdb tcp::1234", "-gdb stdio",
    "-no-reboot", "-no-shutdown", "-action reboot=shutdown,shutdown=pause", "-daemonize", "-pidfile p",
    "-d int,guest_errors", "-D log",
    "-icount 0,sleep=off", "-rr record=f",
    "-show-config",
};
static const char *const printing[] = { "-help", "-h", "--help", "-help-markdown", "-version" };

static void every_option(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(samples); i++) {
        config_free(parse_ok(samples[i]));
        g_hash_table_add(seen, g_strndup(samples[i] + 1, strcspn(samples[i] + 1, " ")));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(printing); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_assert_cmpint(outcome(printing[i], out, NULL), ==, OPTIONS_PRINTED);
        g_assert_cmpuint(out->len, >, 5);
        g_hash_table_add(seen, g_strdup(printing[i] + 1));
    }
    for (const char *const *o = (const char *const[]){ "device", "global", "debugcon", NULL }; *o; o++) {
        g_hash_table_add(seen, g_strdup(*o));
    }
    for (const Option *o = option_table; o->name; o++) {
        if (!g_hash_table_contains(seen, o->name)) {
            g_error("-%s has no sample in this test", o->name);
        }
        g_assert_cmpint(o->help[0], !=, 0);
        g_assert_true(!o->arg == (o->kind == OPTION_FLAG || o->kind == OPTION_PRINT));
        g_assert_true((o->kind == OPTION_KEYS) == (o->keys != NULL));
    }
}

static void values_arrive(void)
{
    g_autoptr(Config) c = parse_ok("-machine acpi=off --m size=6G -smp cores=4 -drive if=floppy,file=a,,b,readonly "
                                   "-boot dc -hdb x -cdrom y -serial mon:stdio -serial tcp::4444,server=on,wait=off "
                                   "-accel interp -append 'console=ttyS0 a=b' -m 3G");
    const DriveConfig *d = g_ptr_array_index(c->drives, 0);

    g_assert_true(c->no_acpi);
    g_assert_cmpuint(c->ram, ==, 3ull << 30);
    g_assert_cmpuint(c->cpus, ==, 4);
    g_assert_cmpstr(d->file, ==, "a,b");
    g_assert_true(d->readonly && d->interface == DRIVE_FLOPPY && d->index == -1);
    d = g_ptr_array_index(c->drives, 1);
    g_assert_true(d->index == 1 && !d->cdrom);
    d = g_ptr_array_index(c->drives, 2);
    g_assert_true(d->index == 2 && d->cdrom);
    g_assert_cmpstr(c->boot_order, ==, "dc");
    g_assert_cmpstr(g_ptr_array_index(c->accels, 0), ==, "interp");
    g_assert_cmpstr(c->append, ==, "console=ttyS0 a=b");
    g_assert_cmpuint(c->serial->len, ==, 2);
    g_assert_cmpuint(c->monitors->len, ==, 1);
    g_assert_cmpstr(((ChardevConfig *)g_ptr_array_index(c->chardevs, 1))->spec, ==,
                    "socket,id=serial1,port=4444,server=on,wait=off");
}

static void help_of_values(void)
{
    static const char *const lines[] = { "-machine help", "-accel help", "-display help", "-d help", "-drive help",
                                         "-chardev help", "-boot ?", "-device help", "-cpu help", "-smp help" };

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_assert_cmpint(outcome(lines[i], out, NULL), ==, OPTIONS_PRINTED);
        g_assert_nonnull(strchr(out->str, '\n'));
    }
}

static void devices(void)
{
    const DeviceClass *cls = some_device();
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) err = NULL;

    if (!cls) {
        g_test_skip("no device can be added");
        return;
    }
    g_autofree char *line = g_strdup_printf("-device %s,id=d1", cls->name);
    g_autoptr(Config) c = parse_ok(line);
    const DeviceConfig *d = g_ptr_array_index(c->devices, 0);
    g_assert_cmpstr(d->driver, ==, cls->name);
    g_assert_cmpstr(d->id, ==, "d1");
    g_assert_cmpstr(d->props, ==, "");

    g_autofree char *help = g_strdup_printf("-device %s,help", cls->name);
    g_assert_cmpint(outcome(help, out, NULL), ==, OPTIONS_PRINTED);
    g_assert_true(g_str_has_prefix(out->str, cls->name));

    g_autofree char *bad = g_strdup_printf("-device %s,no-such-thing=1", cls->name);
    g_assert_cmpint(outcome(bad, out, &err), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(err->message, "there is no property of"));
    g_autoptr(GError) err2 = NULL;
    g_autofree char *global = g_strdup_printf("-global %s.no-such-thing=1", cls->name);
    g_assert_cmpint(outcome(global, out, &err2), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(err2->message, "there is no property of"));
}

/* ---- mistakes ---- */

static const struct { const char *line, *says; } mistakes[] = {
    { "-hdaa x", "unknown option -hdaa; did you mean -hda?" },
    { "-nographics", "unknown option -nographics; did you mean -nographic?" },
    { "--qqqqqq", "unknown option -qqqqqq; -help lists them" },
    { "-m", "-m needs a value: -m [size=]size" },
    { "-m 999999999G", "-m 999999999G: size=999999999G: must be 1M..64T" },
    { "-m 0", "-m 0: size=0: must be 1M..64T" },
    { "-m 1.5M", "-m 1.5M: must be whole MiB" },
    { "-m lots", "-m lots: size=lots: 'lots' is not a size" },
    { "-m 1G,slots=2", "-m 1G,slots=2: unknown key 'slots'" },
    { "-smp -1", "-smp -1: cpus=-1: '-1' is not a number" },
    { "-smp 0", "-smp 0: cpus=0: must be 1..255" },
    { "-smp 3,cores=2", "-smp 3,cores=2: 1 socket of 1 die of 2 cores of 1 thread cannot be 3 processors" },
    { "-smp 4,threads=3", "-smp 4,threads=3: 1 socket of 1 die of 1 core of 3 threads cannot be 4 processors" },
    { "-smp 4,sockets=2,cores=2,threads=2",
      "-smp 4,sockets=2,cores=2,threads=2: 2 sockets of 1 die of 2 cores of 2 threads cannot be 4 processors: make "
      "cpus 8, or leave one of them out" },
    { "-smp 2,maxcpus=4", "-smp 2,maxcpus=4: maxcpus must be 2 as well" },
    { "-machine pd", "-machine pd: there is no machine 'pd'; did you mean 'pc'?" },
    { "-machine pc,acip=off", "-machine pc,acip=off: unknown key 'acip'; did you mean 'acpi'?" },
    { "-accel interpp", "-accel interpp: there is no accelerator 'interpp'; did you mean 'interp'?" },
    { "-accel interp:interpp", "-accel interp:interpp: there is no accelerator 'interpp'" },
    { "-accel interp:interp,x=1", "-accel interp:interp,x=1: options belong to one accelerator: give each of "
      "interp:interp an -accel of its own" },
    { "-accel interp,x=1", "-accel interp,x=1: 'interp' has no options, so that 'x=1' cannot be one" },
    { "-vga stdd", "-vga stdd: type=stdd: must be one of std|none; did you mean 'std'?" },
    { "-display sld", "-display sld: unknown display 'sld'" },
    { "-drive file=x,if=scsi", "-drive file=x,if=scsi: if=scsi: must be one of ide|floppy|none" },
    { "-drive fil=x", "-drive fil=x: unknown key 'fil'; did you mean 'file'?" },
    { "-drive file=x,format=rwa", "-drive file=x,format=rwa: there is no image format 'rwa'; did you mean 'raw'?" },
    { "-drive file=x,index=4", "-drive file=x,index=4: index=4: must be 0..3" },
    { "-drive file=x,index=1,bus=0", "-drive file=x,index=1,bus=0: index and bus, unit say the same" },
    { "-drive file=x,if=none", "-drive file=x,if=none: if=none needs an id" },
    { "-drive if=floppy,index=2", "-drive if=floppy,index=2: there are two floppy drives" },
    { "-boot x", "-boot x: order=x: 'x' is none of a (floppy)" },
    { "-boot cc", "-boot cc: order=cc: 'c' is given twice" },
    { "-device no-such-device", "-device no-such-device: there is no device 'no-such-device'" },
    { "-device id=x", "-device id=x: no driver is named" },
    { "-global foo", "-global foo: must be driver.property=value" },
    { "-global no-such.x=1", "-global no-such.x=1: there is no device 'no-such'" },
    { "-serial stdoi", "-serial stdoi: unknown character device 'stdoi'; did you mean 'stdio'?" },
    { "-serial vc", "-serial vc: 'vc': a console inside the window is not available" },
    { "-serial null -serial null -serial null -serial null -serial null", "-serial null: there are 4 serial" },
    { "-monitor mon:stdio", "-monitor mon:stdio: is a monitor already" },
    { "-chardev null", "-chardev null: needs an id" },
    { "-chardev null,id=x -chardev null,id=x", "-chardev null,id=x: the id 'x' is taken by -chardev" },
    { "-mon mode=readline", "-mon mode=readline: needs the id" },
    { "-rtc base=tomorrow", "-rtc base=tomorrow: base=tomorrow: must be utc, localtime, or a date" },
    { "-rtc clock=host", "-rtc clock=host: clock=host: must be one of vm" },
    { "-d intt", "-d intt: " },
    { "-action reboot=never", "-action reboot=never: reboot=never: must be one of reset|shutdown" },
    { "a.img b.img", "'b.img': 'a.img' is to be booted already" },
};

static const struct { const char *line, *says; } resolve_mistakes[] = {
    { "-serial chardev:x -chardev null,id=y", "-serial chardev:x: there is no -chardev with this id" },
    { "-hda a -hda b", "-hda a: IDE place 0 is taken by -hda b" },
    { "-hdc a -cdrom b", "-hdc a: IDE place 2 is taken by -cdrom b" },
    { "-hda a -hdb b -hdc c -hdd d -drive file=e", "-drive file=e: all 4 IDE places are taken" },
    { "-drive file=a,id=x -drive file=b,id=x", "-drive file=b,id=x: the id 'x' is taken by" },
    { "-hda ''", "-hda : no file is named" },
    { "/nonexistent/image", "cannot open '/nonexistent/image': No such file" },
    { "/tmp", "'/tmp' is a directory" },
    { "-initrd x", "-initrd is for -kernel" },
    { "-append x", "-append is for -kernel" },
    { "-L /nonexistent", "-L /nonexistent: there is no such directory" },
    { "-smp 255", "-smp 255: machine 'pc' takes at most" },
    { "-m 60T", "-m 62914560M: machine 'pc' takes at most" },
    { "-daemonize -nographic", "-daemonize leaves the terminal" },
};

static void check_message(const char *line, const GError *err, const char *says)
{
    g_assert_nonnull(err);
    if (!g_str_has_prefix(err->message, says)) {
        g_error("%s: '%s' does not begin with '%s'", line, err->message, says);
    }
    g_assert_null(strchr(err->message, '\n'));
}

static void every_mistake(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GError) err = NULL;
        if (outcome(mistakes[i].line, out, &err) != OPTIONS_ERROR) {
            g_error("%s: no error", mistakes[i].line);
        }
        check_message(mistakes[i].line, err, mistakes[i].says);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(resolve_mistakes); i++) {
        g_autofree char *line = g_strdup_printf("-display none %s", resolve_mistakes[i].line);
        g_autoptr(GError) err = NULL;
        g_autoptr(Config) c = parse_ok(line);
        g_assert_false(config_resolve(c, &err));
        check_message(line, err, resolve_mistakes[i].says);
    }
}

/* ---- defaults and -show-config ---- */

static char *show(const Config *c)
{
    GString *s = g_string_new(NULL);

    config_show(c, s);
    return g_string_free(s, FALSE);
}

static Config *resolved(const char *line)
{
    GError *err = NULL;
    Config *c = parse_ok(line);

    config_resolve(c, &err);
    g_assert_no_error(err);
    return c;
}

static const char *port(const Config *c, const GPtrArray *ids)
{
    for (guint i = 0; ids->len && i < c->chardevs->len; i++) {
        const ChardevConfig *d = g_ptr_array_index(c->chardevs, i);
        if (!strcmp(d->id, g_ptr_array_index(ids, 0))) {
            return d->spec;
        }
    }
    return "none";
}

static void defaults(void)
{
    g_autoptr(Config) a = resolved("-nographic");
    g_assert_cmpstr(port(a, a->serial), ==, "stdio,id=serial0,signal=off,mux=on");
    g_assert_cmpstr(port(a, a->monitors), ==, "stdio,id=serial0,signal=off,mux=on");
    g_assert_true(a->no_graphics);
    g_assert_cmpstr(a->display, ==, "none");
    g_assert_cmpuint(a->drives->len, ==, 2);
    g_assert_cmpuint(a->ram, ==, 1 << 30);

    g_autoptr(Config) b = resolved("-nographic -serial null");
    g_assert_cmpstr(port(b, b->monitors), ==, "stdio,id=monitor0");
    g_autoptr(Config) c = resolved("-nographic -monitor null");
    g_assert_cmpstr(port(c, c->serial), ==, "stdio,id=serial0,signal=off");
    g_autoptr(Config) d = resolved("-display none -serial stdio");
    g_assert_cmpstr(port(d, d->serial), ==, "stdio,id=serial0");
    g_assert_cmpuint(d->monitors->len, ==, 0);
    g_assert_false(d->no_graphics);
    g_autoptr(Config) e = resolved("-display none -nodefaults");
    g_assert_cmpuint(e->serial->len + e->drives->len + e->monitors->len, ==, 0);
}

static char *image_of(const char *dir, const char *name, gsize size, gsize at, const char *mark)
{
    char *path = g_build_filename(dir, name, NULL);
    g_autofree char *data = g_malloc0(size);

    memcpy(data + at, mark, strlen(mark));
    g_assert_true(g_file_set_contents(path, data, size, NULL));
    return path;
}

static void image_alone(void)
{
    static const struct { const char *name; gsize size, at; const char *mark, *id, *order; } images[] = {
        { "a.iso", 0x9000, 0x8001, "CD001", "ide1-cd0", "dc" },
        { "b.img", 1440 * 1024, 0, "x", "floppy0", "ac" },
        { "c.img", 160 * 1024, 0, "x", "floppy0", "ac" },
        { "d.img", 1440 * 1024 + 512, 0, "x", "ide0-hd0", "c" },
        { "e,f.img", 512, 0, "x", "ide0-hd0", "c" },
    };
    g_autofree char *dir = g_dir_make_tmp("tinamou-options-XXXXXX", NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(images); i++) {
        g_autofree char *path = image_of(dir, images[i].name, images[i].size, images[i].at, images[i].mark);
        g_autofree char *line = g_strdup_printf("-display none %s", path);
        g_autoptr(Config) c = resolved(line);
        const DriveConfig *d = g_ptr_array_index(c->drives, 0);
        g_assert_cmpstr(d->id, ==, images[i].id);
        g_assert_cmpstr(d->file, ==, path);
        g_assert_cmpstr(c->boot_order, ==, images[i].order);
        g_unlink(path);
    }
    g_rmdir(dir);
}

/* The command line that -show-config prints gives the same machine. */
static void show_config_round_trip(void)
{
    static const char *const lines[] = {
        "-nographic",
        "-display none -m 6G -smp 2 -hda a -cdrom 'b c,d' -fda f -snapshot -boot once=d,menu=on,splash-time=7",
        "-display none -kernel k -initrd i -append \"console=ttyS0 quoted='x y' \\$HOME\" -no-acpi -S -no-reboot",
        "-nodefaults -display none -chardev socket,id=m,path=/tmp/a,,b,server,nowait -mon m -serial none "
        "-serial chardev:m -name 'my guest' -rtc base=localtime -vga none -d int -D /tmp/log -pidfile p",
        "-display none -drive if=none,id=x,file=y,format=raw,readonly -drive if=ide,index=3,media=cdrom "
        "-daemonize -bios b -L /tmp -accel interp -cpu max,-sse3 -no-shutdown",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(Config) c = resolved(lines[i]);
        g_autofree char *text = show(c);
        g_autofree char *command = g_strndup(text, strstr(text, "\n#") - text);
        g_assert_true(g_str_has_prefix(command, "tinamou "));
        for (char *p = strstr(command, "\\\n"); p; p = strstr(p, "\\\n")) {
            memcpy(p, "  ", 2);
        }
        g_autoptr(Config) c2 = resolved(command + 8);
        g_autofree char *again = show(c2);
        g_assert_cmpstr(text, ==, again);
    }
}

/* ---- random command lines ---- */

static void random_words(void)
{
    static const char *const words[] = {
        "help", "on", "off", "=", ",", ",,", "file=", "id=x", "-1", "0", "99999999999999999999", "stdio", "null",
        "mon:", "none", "pc", "\xff\xfe", "%s%n", "../..", "size=", "1G", "driver=", ".", "unix:", "tcp:", "::",
    };
    unsigned options = 0;

    for (const Option *o = option_table; o->name; o++) {
        options++;
    }
    for (unsigned round = 0; round < 4000; round++) {
        g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GError) err = NULL;
        g_autoptr(Config) c = config_new();
        unsigned n = g_test_rand_int_range(0, 6);
        OptionsResult r;

        g_ptr_array_add(argv, g_strdup("tinamou"));
        while (n--) {
            const Option *o = &option_table[g_test_rand_int_range(0, options)];
            GString *value = g_string_new(NULL);
            g_ptr_array_add(argv, g_strdup_printf("%s%s", g_test_rand_bit() ? "-" : "--", o->name));
            for (int parts = g_test_rand_int_range(0, 5); parts; parts--) {
                const KeySpec *k = o->keys;
                if (k && g_test_rand_bit()) {
                    while (k[1].name && g_test_rand_bit()) {
                        k++;
                    }
                    g_string_append_printf(value, "%s=", k->name);
                }
                g_string_append(value, words[g_test_rand_int_range(0, G_N_ELEMENTS(words))]);
                g_string_append(value, g_test_rand_bit() ? "," : "");
            }
            g_ptr_array_add(argv, g_string_free(value, FALSE));
        }
        r = options_parse(c, argv->len, (const char *const *)argv->pdata, out, &err);
        g_assert_true((r == OPTIONS_ERROR) == (err != NULL));
        if (r == OPTIONS_OK) {
            bool ok = config_resolve(c, &err);
            g_assert_true(ok == (err == NULL));
            if (ok) {
                g_autofree char *text = show(c);
                g_assert_nonnull(text);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/every-option", every_option);
    g_test_add_func("/options/values", values_arrive);
    g_test_add_func("/options/help", help_of_values);
    g_test_add_func("/options/devices", devices);
    g_test_add_func("/options/mistakes", every_mistake);
    g_test_add_func("/options/defaults", defaults);
    g_test_add_func("/options/image-alone", image_alone);
    g_test_add_func("/options/show-config", show_config_round_trip);
    g_test_add_func("/options/random", random_words);
    return g_test_run();
}
