/*
 * The monitor: expressions, the line editor, every command on a small machine, a session on a
 * character device, random input.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "block/block.h"
#include "monitor/command.h"
#include "ui/display.h"
#include "util/error.h"
#include "util/log.h"

/* ---- a small machine: RAM, one processor, a port, a drive, a keyboard ---- */

typedef struct Rig {
    Machine *m;
    Monitors *ms;
    X86Cpu *cpu;
    Region ram, port;
    uint64_t port_value;
    bool running;
    unsigned pauses;
    GString *keys;
    Input *input;
    InputSink sink;
    BlockDrive drive;
    CharBack *ring;
} Rig;

static uint64_t port_read(void *dev, hwaddr off, unsigned size)
{
    return ((Rig *)dev)->port_value;
}

static void port_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    ((Rig *)dev)->port_value = val;
}

static const RegionOps port_ops = { port_read, port_write, 1, 4 };

static bool host_running(void *opaque)
{
    return ((Rig *)opaque)->running;
}

static void host_pause(void *opaque)
{
    Rig *r = opaque;

    r->running = false;
    r->pauses++;
}

static bool host_resume(void *opaque, GError **errp)
{
    ((Rig *)opaque)->running = true;
    return true;
}

static const AccelOps fake_accel = { .name = "fake", .summary = "nothing" };
static Accel accel = { .ops = &fake_accel };

static Accel *host_accel(void *opaque)
{
    return &accel;
}

static const char *host_text(void *opaque)
{
    return "1.2.3";
}

static bool host_gdbserver(void *opaque, const char *dev, GString *out, GError **errp)
{
    g_string_append_printf(out, "asked for %s\n", dev ? dev : "nothing");
    return true;
}

static CharBack *host_chardev(void *opaque, unsigned i)
{
    return i ? NULL : ((Rig *)opaque)->ring;
}

static void key(void *dev, const InputKey *k, bool down)
{
    g_string_append_printf(((Rig *)dev)->keys, "%s%s ", down ? "+" : "-", k->name);
}

static void move(void *dev, int dx, int dy, int dz)
{
    g_string_append_printf(((Rig *)dev)->keys, "move %d %d %d ", dx, dy, dz);
}

static void buttons(void *dev, unsigned mask)
{
    g_string_append_printf(((Rig *)dev)->keys, "buttons %u ", mask);
}

static bool drive_change(BlockDrive *d, Block *medium, bool force, GError **errp)
{
    if (!force && d->device) {
        error_set(errp, "locked");
        return false;
    }
    block_close(d->medium);
    d->medium = medium;
    return true;
}

static void rig_up(Rig *r, gconstpointer unused)
{
    static const uint8_t code[] = { 0xb8, 0x34, 0x12, 0xcd, 0x10, 0xf4, 'h', 'i', '\'', 0xff };
    MonitorHost host = { host_running, host_pause, host_resume, host_accel, host_text, host_text, host_chardev,
                         host_gdbserver, r };

    r->m = machine_new(clock_new_manual());
    machine_lock(r->m);
    region_init_ram(&r->ram, "ram", 1 << 20, NULL);
    region_map(&r->m->mem_root, 0, &r->ram, 0);
    region_init_io(&r->port, "port", 4, &port_ops, r);
    region_map(&r->m->io_root, 0x80, &r->port, 0);
    as_write(r->m->mem, 0x7c00, code, sizeof(code));
    r->cpu = x86_cpu_new(r->m, 0, "max", NULL);
    g_assert_nonnull(r->cpu);
    x86_reset(r->cpu);
    g_ptr_array_add(r->m->vcpus, &r->cpu->vcpu);
    r->cpu->regs[X86_RAX] = 0x1122334455667788;
    r->keys = g_string_new(NULL);
    r->input = input_new();
    machine_provide(r->m, "input", r->input);
    r->sink = (InputSink){ .key = key, .move = move, .buttons = buttons, .dev = r };
    input_add(r->input, &r->sink);
    r->drive = (BlockDrive){ .id = "cd0", .removable = true, .cdrom = true, .change = drive_change };
    block_drive_add(r->m, &r->drive);
    r->ring = chardev_open(r->m->loop, "ringbuf,id=ring", NULL);
    r->ms = monitors_new(r->m, &host);
    r->running = true;
}

static void rig_down(Rig *r, gconstpointer unused)
{
    monitors_free(r->ms);
    chardev_close(r->ring);
    block_drive_remove(r->m, &r->drive);
    block_close(r->drive.medium);
    input_remove(r->input, &r->sink);
    input_free(r->input);
    g_string_free(r->keys, TRUE);
    x86_cpu_free(r->cpu);
    g_ptr_array_set_size(r->m->vcpus, 0);
    region_fini(&r->port);
    region_fini(&r->ram);
    machine_unlock(r->m);
    machine_free(r->m);
}

static char *say(Rig *r, const char *line)
{
    GString *out = g_string_new(NULL);

    monitors_run(r->ms, line, out);
    return g_string_free(out, FALSE);
}

#define SAYS(line, want) do {                               \
        g_autofree char *got_ = say(r, line);               \
        g_assert_cmpstr(got_, ==, want);                    \
    } while (0)
#define SAYS_IN(line, want) do {                            \
        g_autofree char *got_ = say(r, line);               \
        if (!strstr(got_, want)) {                          \
            g_error("%s: '%s' not in '%s'", line, want, got_); \
        }                                                   \
    } while (0)

/* ---- expressions ---- */

static void expressions(Rig *r, gconstpointer unused)
{
    static const struct { const char *text; int64_t value; } good[] = {
        { "1+2*3", 7 }, { "(1+2)*3", 9 }, { "0x10|3", 19 }, { "-1", -1 }, { "~0&0xff", 255 }, { "1<<40", 1ll << 40 },
        { "1<<64", 0 }, { "7%4-1", 2 }, { "10-3-2", 5 }, { "!5", 0 }, { "'A'", 65 }, { "$rax", 0x1122334455667788 },
        { "$eax+$al", 0x55667810 }, { "0x7fffffffffffffff+1", INT64_MIN }, { " ( 2 ) ", 2 }, { "010", 8 },
        { "1^2&3", 3 },
    };
    static const char *const bad[] = { "", "1+", "(1", "1/0", "1%0", "$nosuch", "$", "09", "1x", "0x", ")", "1 2x",
                                       "99999999999999999999", "''", "@" };
    g_autofree char *deep = g_strnfill(5000, '(');
    g_autofree char *minus = g_strnfill(5000, '-');
    const char *p;
    int64_t v;

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        p = good[i].text;
        g_assert_true(expr_eval(&p, r->cpu, &v, NULL));
        g_assert_cmpint(v, ==, good[i].value);
        g_assert_cmpint(p[strspn(p, " ")], ==, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *line = g_strdup_printf("print %s", bad[i]);
        g_autofree char *text = say(r, line);
        if (!g_str_has_prefix(text, "error: ")) {
            g_error("print %s: %s", bad[i], text);
        }
    }
    p = deep;
    g_assert_false(expr_eval(&p, r->cpu, &v, NULL));
    p = minus;
    g_assert_false(expr_eval(&p, r->cpu, &v, NULL));
}

/* ---- commands ---- */

static void memory_and_ports(Rig *r, gconstpointer unused)
{
    SAYS("print 6*7", "0x2a\n");
    SAYS("p/d -1", "-1\n");
    SAYS("p/c 'A'", "'A'\n");
    SAYS("xp/4xb 0x7c00", "0000000000007c00: 0xb8 0x34 0x12 0xcd\n");
    SAYS("xp/xh 0x7c00", "0000000000007c00: 0x34b8\n");
    SAYS("xp/dg 0x7c02", "0000000000007c02: -60964170453955310\n");
    SAYS("xp/4c 0x7c06", "0000000000007c06: 'h' 'i' '\\'' '\\xff'\n");
    SAYS("xp/2ub 0x7c00", "0000000000007c00: 184 52\n");
    SAYS("xp/ob 0x7c00", "0000000000007c00: 0270\n");
    SAYS("xp/5w 0x7c00+0x100",
         "0000000000007d00: 0x00000000 0x00000000 0x00000000 0x00000000\n0000000000007d10: 0x00000000\n");
    SAYS_IN("xp/3i 0x7c00", "mov");
    SAYS_IN("xp/3i 0x7c00", "0x00007c05:  hlt");
    SAYS_IN("x/2xb 0x7c00", "0xb8 0x34");
    SAYS("print $pc", "0xfffffff0\n");
    SAYS_IN("xp 0x100000", "cannot read physical address 0x100000");
    SAYS_IN("xp/0x 0", "the count is 1 to");
    SAYS_IN("xp/999999999999999999999x 0", "the count is 1 to");
    SAYS_IN("xp/z 0", "'z' is none of");
    SAYS("o/b 0x80 0x5a", "");
    SAYS("i 0x80", "portb[0x0080] = 0x5a\n");
    SAYS("i/w 0x80", "portw[0x0080] = 0x0000005a\n");
    SAYS("i 0x1234", "portb[0x1234] = 0xff\n");
    SAYS_IN("i 0x10000", "out of range");
    SAYS_IN("i/g 0x80", "as b, h or w");
    SAYS_IN("o 0x80", "value is missing");
}

static void running(Rig *r, gconstpointer unused)
{
    SAYS("info status", "VM status: running\n");
    g_assert_true(r->running);
    SAYS("stop", "");
    SAYS("info status", "VM status: paused\n");
    g_assert_false(r->running);
    SAYS_IN("info registers", "55667788");
    g_assert_false(r->running);
    SAYS("c", "");
    r->pauses = 0;
    SAYS_IN("x/xb 0", "0x00");
    g_assert_cmpuint(r->pauses, ==, 1);
    g_assert_true(r->running);
    SAYS("system_reset", "");
    SAYS("system_powerdown", "");
    g_assert_cmpuint(r->m->requests, ==, MACHINE_RESET | MACHINE_POWERDOWN);
    SAYS("q", "");
    g_assert_cmpuint(r->m->requests, ==, MACHINE_RESET | MACHINE_POWERDOWN | MACHINE_QUIT);
    SAYS_IN("cpu 1", "there is no processor 1");
    SAYS("cpu 0", "");
}

static void info_items(Rig *r, gconstpointer unused)
{
    static const char *const quiet[] = { "info registers -a", "info mem", "info tlb", "info cpus", "info mtree",
                                         "info accel", "info block", "info chardev", "info", "help", "help x", "?" };

    for (unsigned i = 0; i < G_N_ELEMENTS(quiet); i++) {
        g_autofree char *text = say(r, quiet[i]);
        g_assert_null(strstr(text, "error:"));
    }
    SAYS("info version", "1.2.3\n");
    SAYS("info name", "1.2.3\n");
    SAYS("info block", "cd0: empty, removable\n");
    SAYS("info chardev", "ring: ringbuf 0 of 65536 bytes\n");
    SAYS_IN("info mtree", "ram");
    SAYS_IN("info cpus", "* CPU #0: pc=0x");
    SAYS_IN("info pci", "no PCI bus");
    SAYS_IN("info irq", "no ISA bus");
    SAYS_IN("info display", "no display");
    SAYS_IN("info pic", "no interrupt controller");
    SAYS_IN("info regsiters", "did you mean 'registers'?");
    SAYS_IN("info nothing-like-it", "info lists them");
    chardev_write(r->ring, (const uint8_t *)"printed", 7);
    SAYS("gdbserver", "asked for nothing\n");
    SAYS("gdbserver unix:x", "asked for unix:x\n");
    SAYS("ringbuf_read ring", "printed");
    SAYS_IN("ringbuf_read rin", "there is no chardev 'rin'");
}

static void media(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "tinamou monitor test.iso", NULL);
    g_autofree char *data = g_malloc0(65536);
    g_autofree char *change = g_strdup_printf("change cd0 \"%s\"", path);

    g_assert_true(g_file_set_contents(path, data, 65536, NULL));
    SAYS(change, "");
    g_assert_nonnull(r->drive.medium);
    g_assert_true(block_readonly(r->drive.medium));
    r->drive.device = r;            /* the guest locks the door */
    SAYS("eject cd0", "error: locked\n");
    SAYS("eject -f cd0", "");
    g_assert_null(r->drive.medium);
    r->drive.device = NULL;
    SAYS_IN("eject cd1", "there is no drive 'cd1'; did you mean 'cd0'?");
    SAYS_IN("change cd0 /nonexistent/x.iso", "/nonexistent/x.iso");
    SAYS_IN("change cd0 \"unfinished", "a \" is missing");
    SAYS_IN("change cd0", "file is missing");
    SAYS_IN("screendump /tmp/x.png", "no display");
    g_unlink(path);
}

static void keys(Rig *r, gconstpointer unused)
{
    SAYS("sendkey ctrl-alt-delete", "");
    SAYS("sendkey a 10", "");
    g_assert_cmpstr(r->keys->str, ==, "+ctrl +alt +delete ");
    clock_step(r->m->clock, 99 * NS_PER_MS);
    g_assert_cmpstr(r->keys->str, ==, "+ctrl +alt +delete ");
    clock_step(r->m->clock, 1000 * NS_PER_MS);
    g_assert_cmpstr(r->keys->str, ==, "+ctrl +alt +delete -delete -alt -ctrl +a -a ");
    g_string_truncate(r->keys, 0);
    SAYS("mouse_move 10 -5", "");
    SAYS("mouse_move -1 2 -3", "");
    SAYS("mouse_button 5", "");
    g_assert_cmpstr(r->keys->str, ==, "move 10 -5 0 move -1 2 -3 buttons 5 ");
    SAYS_IN("mouse_button 8", "the buttons are");
    SAYS_IN("sendkey ctlr-a", "error: ");
    SAYS_IN("sendkey a 0", "keys are held for 1 to");
    for (int i = 0; i < 1024; i++) {
        g_free(say(r, "sendkey b"));
    }
    SAYS_IN("sendkey b", "1024 keys wait");
}

static void mistakes(Rig *r, gconstpointer unused)
{
    SAYS("sendkye a", "error: unknown command 'sendkye'; did you mean 'sendkey'?\n");
    SAYS("zzzzzzz", "error: unknown command 'zzzzzzz'; help lists them\n");
    SAYS_IN("quit now", "'now' is left over");
    SAYS_IN("quit/x", "quit takes no format");
    SAYS_IN("print 1 2", "'2' is left over");
    SAYS_IN("log nosuch", "error: ");
    SAYS("", "");
    SAYS("   ", "");
    g_assert_cmpuint(r->m->requests, ==, 0);
    SAYS("log int,mmu", "");
    g_assert_cmpuint(log_mask, ==, LOG_INT | LOG_MMU);
    SAYS_IN("log", "* int");
    SAYS("log none", "");
    g_assert_cmpuint(log_mask, ==, 0);
}

/* ---- the line editor ---- */

typedef struct Typist {
    GString *entered, *out;
} Typist;

static void on_entered(void *opaque, const char *line)
{
    g_string_append_printf(((Typist *)opaque)->entered, "[%s]", line);
}

static void on_complete(void *opaque, const char *line, size_t *start, GPtrArray *names)
{
    *start = 0;
    for (const char *const *n = (const char *const[]){ "stop", "system_reset", "system_powerdown", NULL }; *n; n++) {
        if (g_str_has_prefix(*n, line)) {
            g_ptr_array_add(names, (char *)*n);
        }
    }
}

static void editing(void)
{
    static const struct { const char *typed, *entered; } cases[] = {
        { "abc\r", "[abc]" },
        { "abc\n", "[abc]" },
        { "abc\r\ndef\r\n", "[abc][def]" },
        { "abd\bc\r", "[abc]" },
        { "\x7f" "a\x7f\x7f" "b\r", "[b]" },
        { "bc\x01" "a\x05" "d\r", "[abcd]" },
        { "abc\x15" "x\r", "[x]" },
        { "abc\x02\x0b\r", "[ab]" },
        { "one two\x17" "2\r", "[one 2]" },
        { "abc\x03xyz\r", "[xyz]" },
        { "ac\033[Db\r", "[abc]" },
        { "ab\033[Hx\033[Fy\033[1~<\033[4~>\r", "[<xaby>]" },
        { "axb\033[D\033[D\033[3~\r", "[ab]" },
        { "first\rsecond\r\033[A\033[A\r\x10\r", "[first][second][first][first]" },
        { "one\rtw\033[A\033[Bo\r", "[one][two]" },
        { "\033[A\033[Bx\r", "[x]" },
        { "sto\t\r", "[stop ]" },
        { "sy\tr\t\r", "[system_reset ]" },
        { "\033[999;999Qz\r", "[z]" },
        { "\033", "" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Typist t = { g_string_new(NULL), g_string_new(NULL) };
        LineHost host = { on_entered, on_complete, &t };
        LineEditor *e = line_new("> ", &host, t.out);
        line_typed(e, (const uint8_t *)cases[i].typed, strlen(cases[i].typed));
        g_assert_cmpstr(t.entered->str, ==, cases[i].entered);
        line_free(e);
        g_string_free(t.entered, TRUE);
        g_string_free(t.out, TRUE);
    }
}

static void random_keys(void)
{
    Typist t = { g_string_new(NULL), g_string_new(NULL) };
    LineHost host = { on_entered, on_complete, &t };
    LineEditor *e = line_new("> ", &host, t.out);

    for (unsigned i = 0; i < 100000; i++) {
        static const uint8_t often[] = "\033[ABCDHF3~\t\x01\x05\x10\x0e\x15s";
        uint8_t b = g_test_rand_bit() ? often[g_test_rand_int_range(0, sizeof(often) - 1)]
                                      : g_test_rand_int_range(0, 256);
        line_typed(e, &b, 1);
        g_string_truncate(t.entered, 0);
        g_string_truncate(t.out, 0);
    }
    line_free(e);
    g_string_free(t.entered, TRUE);
    g_string_free(t.out, TRUE);
}

/* ---- a session ---- */

static int connect_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static void until(Rig *r, int fd, GString *got, const char *end)
{
    gint64 limit = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;
    char buf[4096];

    while (!g_str_has_suffix(got->str, end)) {
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n > 0) {
            g_string_append_len(got, buf, n);
            continue;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
        machine_unlock(r->m);
        loop_run(r->m->loop, 10 * NS_PER_MS);
        machine_lock(r->m);
    }
}

static void two_sessions(Rig *r, gconstpointer unused)
{
    g_autofree char *dir = g_dir_make_tmp("tinamou-monitor-XXXXXX", NULL);
    CharBack *back[2];
    int fd[2];
    g_autoptr(GString) a = g_string_new(NULL);
    g_autoptr(GString) b = g_string_new(NULL);

    for (int i = 0; i < 2; i++) {
        g_autofree char *path = g_strdup_printf("%s/%d", dir, i);
        g_autofree char *spec = g_strdup_printf("socket,id=m%d,path=%s,server,nowait", i, path);
        back[i] = chardev_open(r->m->loop, spec, NULL);
        g_assert_true(monitors_add(r->ms, back[i], NULL));
        fd[i] = connect_unix(path);
    }
    until(r, fd[0], a, "monitor: help lists the commands\r\n(tinamou) ");
    until(r, fd[1], b, "(tinamou) ");
    g_string_truncate(a, 0);
    g_string_truncate(b, 0);
    g_assert_cmpint(write(fd[0], "print 1+", 8), ==, 8);
    g_assert_cmpint(write(fd[1], "print 5\nprint 6\n", 16), ==, 16);
    until(r, fd[1], b, "0x6\r\n(tinamou) ");
    g_assert_nonnull(strstr(b->str, "0x5\r\n(tinamou) "));
    g_assert_cmpint(write(fd[0], "2\n", 2), ==, 2);
    until(r, fd[0], a, "0x3\r\n(tinamou) ");
    g_assert_cmpstr(a->str, ==, "print 1+2\r\n0x3\r\n(tinamou) ");

    /* Much output to a reader that does not read: everything arrives in the end. */
    for (int i = 0; i < 200; i++) {
        ssize_t n = write(fd[0], "xp/4096xb 0\n", 12);
        g_assert_true(n == 12 || (n < 0 && errno == EAGAIN));
        machine_unlock(r->m);
        loop_run(r->m->loop, 0);
        machine_lock(r->m);
    }
    g_assert_cmpint(write(fd[0], "print 77\n", 9), ==, 9);
    until(r, fd[0], a, "0x4d\r\n(tinamou) ");
    unsigned lines = 0;
    for (const char *p = a->str; (p = strstr(p, "0000000000000ff0: ")); p++) {
        lines++;
    }
    g_assert_cmpuint(lines, ==, 200);

    close(fd[0]);
    close(fd[1]);
    monitors_free(r->ms);
    r->ms = NULL;
    chardev_close(back[0]);
    chardev_close(back[1]);
    g_rmdir(dir);
}

static void random_lines(Rig *r, gconstpointer unused)
{
    static const char *const bits[] = {
        "x", "/", "10", "i", " ", "$rip", "(", ")", "+", "-f", "\"", "info ", "0xffffffffffffffff", "\\", "xp",
        "print", "sendkey", "-", "a", "change", "cd0", "log", "cpu", "%n%s", "registers", "-a", "help", "o", "i",
        "0x80", "<<", "mouse_move",
    };

    for (unsigned i = 0; i < 5000; i++) {
        g_autoptr(GString) line = g_string_new(NULL);
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        Session s = { .all = r->ms };
        size_t start;
        for (int n = g_test_rand_int_range(0, 8); n; n--) {
            g_string_append(line, bits[g_test_rand_int_range(0, G_N_ELEMENTS(bits))]);
        }
        g_free(say(r, line->str));
        command_complete(&s, line->str, &start, names);
        g_assert_cmpuint(start, <=, line->len);
    }
    log_set(0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/monitor/" name, Rig, NULL, rig_up, fn, rig_down)
    ADD("expressions", expressions);
    ADD("memory", memory_and_ports);
    ADD("running", running);
    ADD("info", info_items);
    ADD("media", media);
    ADD("keys", keys);
    ADD("mistakes", mistakes);
    g_test_add_func("/monitor/editing", editing);
    g_test_add_func("/monitor/random-keys", random_keys);
    ADD("sessions", two_sessions);
    ADD("random-lines", random_lines);
    return g_test_run();
}
