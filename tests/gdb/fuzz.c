/*
 * Random use of the debugger's line: nothing that comes on it may crash, hang or leak, what is answered is
 * well-formed, and whoever connects afterwards is served.
 *
 *     gdb-fuzz                              some fixed seeds and a fresh one
 *     gdb-fuzz --seed 7 --ops 2000 --print  one run, its operations as text
 *     gdb-fuzz --replay FILE                what was printed, cut down by hand
 */
#include <glib/gstdio.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "accel/accel.h"
#include "chardev/chardev.h"
#include "gdbstub/gdbstub.h"
#include "gdbstub/packet.h"
#include "target/x86/cpu.h"

enum { CPUS = 2, RAM = 1 << 20, HANGS = 60 /* seconds for one run of operations */ };

static void fail(const char *what, const char *bytes)
{
    fprintf(stderr, "gdb-fuzz: %s: %.200s\n", what, bytes);
    abort();
}

/* ---- a machine with a server, and what the program around them does ---- */

typedef struct Rig {
    Machine *m;
    Accel *a;
    Runner *runner;
    Region ram;
    CharBack *back;
    GdbServer *server;
    char *dir;
    struct sockaddr_un at;
    int fd;                             /* the debugger's end */
    GString *said;                      /* not yet checked */
} Rig;

static void host_pause(void *opaque)
{
    Rig *r = opaque;

    if (runner_running(r->runner)) {
        runner_pause(r->runner);
        for (MachineWatch *w = r->m->watches; w; w = w->next) {
            w->paused(w->opaque);
        }
    }
}

static bool host_resume(void *opaque, GError **errp)
{
    Rig *r = opaque;

    atomic_fetch_and(&r->m->requests, ~(uint32_t)MACHINE_PAUSE);
    runner_resume(r->runner);
    return true;
}

static void reset(Rig *r)
{
    host_pause(r);
    machine_reset(r->m);
    runner_reset(r->runner);
    for (guint i = 0; i < r->m->vcpus->len; i++) {
        Vcpu *v = g_ptr_array_index(r->m->vcpus, i);

        x86_reset(x86_cpu(v));
        r->a->ops->flush(r->a, v);
    }
    for (MachineWatch *w = r->m->watches; w; w = w->next) {
        w->reset_done(w->opaque);
    }
}

/* Whoever asks for the end of the program gets a reset: there is more to try. */
static void serve(Rig *r)
{
    uint32_t asked = atomic_exchange(&r->m->requests, 0);

    if (asked & (MACHINE_PAUSE | MACHINE_RESET | MACHINE_QUIT | MACHINE_POWEROFF)) {
        host_pause(r);
    }
    if (asked & (MACHINE_RESET | MACHINE_QUIT | MACHINE_POWEROFF)) {
        reset(r);
    }
}

static void turn(Rig *r, int64_t ns)
{
    machine_unlock(r->m);
    loop_run(r->m->loop, ns);
    machine_lock(r->m);
    serve(r);
}

static void connect_to(Rig *r)
{
    r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    g_assert_cmpint(connect(r->fd, (const struct sockaddr *)&r->at, sizeof(r->at)), ==, 0);
    turn(r, 0);
}

/* A loop that counts in memory, with calls, at 7C00: something to step and to watch.  It is the handler of #UD, which
 * is what there is at the reset vector, where there is no memory. */
static const uint8_t program[] = { 0xe8, 0x02, 0x00, 0xeb, 0xfb, 0xff, 0x06, 0x00, 0x10, 0xc3 };
static const uint8_t vector_6[] = { 0x00, 0x7c, 0x00, 0x00 };

static Rig *rig_new(void)
{
    Rig *r = g_new0(Rig, 1);
    GError *err = NULL;
    GdbHost host = { host_pause, host_resume, NULL, NULL, r };

    r->m = machine_new(clock_new_host());
    machine_lock(r->m);
    region_init_ram(&r->ram, "ram", RAM, &err);
    g_assert_no_error(err);
    region_map(&r->m->mem_root, 0, &r->ram, 0);
    memcpy((uint8_t *)r->ram.ram + 0x7c00, program, sizeof(program));
    memcpy((uint8_t *)r->ram.ram + 6 * 4, vector_6, sizeof(vector_6));
    for (unsigned i = 0; i < CPUS; i++) {
        g_ptr_array_add(r->m->vcpus, &x86_cpu_new(r->m, i, "max", &err)->vcpu);
        g_assert_no_error(err);
    }
    r->a = accel_open_one(r->m, "interp", &err);
    g_assert_no_error(err);
    host.runner = r->runner = runner_new(r->a, &err);
    g_assert_no_error(err);
    r->dir = g_dir_make_tmp("tinamou-gdb-fuzz-XXXXXX", &err);
    g_assert_no_error(err);
    r->at.sun_family = AF_UNIX;
    g_snprintf(r->at.sun_path, sizeof(r->at.sun_path), "%s/gdb", r->dir);
    g_autofree char *spec = g_strdup_printf("socket,id=gdb,path=%s,server=on,wait=off", r->at.sun_path);
    r->back = chardev_open(r->m->loop, spec, &err);
    g_assert_no_error(err);
    r->server = gdb_server_new(r->m, &host, r->back, &err);
    g_assert_no_error(err);
    r->said = g_string_new(NULL);
    reset(r);
    connect_to(r);
    return r;
}

static void rig_free(Rig *r)
{
    close(r->fd);
    turn(r, 0);
    host_pause(r);
    gdb_server_free(r->server);
    chardev_close(r->back);
    machine_unlock(r->m);
    runner_free(r->runner);
    r->a->ops->destroy(r->a);
    for (unsigned i = 0; i < CPUS; i++) {
        x86_cpu_free(x86_cpu(g_ptr_array_index(r->m->vcpus, i)));
    }
    g_ptr_array_set_size(r->m->vcpus, 0);
    machine_free(r->m);
    region_fini(&r->ram);
    g_string_free(r->said, true);
    g_rmdir(r->dir);
    g_free(r->dir);
    g_free(r);
}

/* ---- what is done to it; an operation is a line of text, "name bytes" with the bytes as in a URI ---- */

static void hear(Rig *r)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
        g_string_append_len(r->said, buf, n);
    }
}

/* What the server says is acknowledgements and whole packets with the right sum. */
static void check_output(Rig *r)
{
    size_t at = 0;

    hear(r);
    while (at < r->said->len) {
        const char *p = r->said->str + at, *hash = memchr(p, '#', r->said->len - at);
        uint8_t sum = 0;

        if (*p == '+' || *p == '-') {
            at++;
            continue;
        }
        if (*p != '$') {
            fail("said something that is no packet", p);
        }
        if (!hash || hash + 3 > r->said->str + r->said->len) {
            break;
        }
        for (const char *c = p + 1; c < hash; c++) {
            sum += (uint8_t)*c;
        }
        if (sum != strtoul((const char[]){ hash[1], hash[2], 0 }, NULL, 16)) {
            fail("said a packet with a wrong sum", p);
        }
        at = (size_t)(hash + 3 - r->said->str);
    }
    g_string_erase(r->said, 0, (gssize)at);
}

/* Until all of it was taken, with what is said to it heard: a server that is not heard takes no more. */
static void say(Rig *r, const uint8_t *bytes, size_t len)
{
    int waiting = 0;

    while (len || waiting) {
        ssize_t n = len ? write(r->fd, bytes, len) : 0;

        bytes += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
        turn(r, NS_PER_S / 1000);
        hear(r);
        g_assert_cmpint(ioctl(r->fd, SIOCOUTQ, &waiting), ==, 0);
    }
}

static void say_packet(Rig *r, const uint8_t *bytes, size_t len, uint8_t wrong)
{
    g_autoptr(GString) s = g_string_new("$");
    uint8_t sum = wrong;

    for (size_t i = 0; i < len; i++) {
        sum += bytes[i];
    }
    g_string_append_len(s, (const char *)bytes, (gssize)len);
    g_string_append_printf(s, "#%02x", sum);
    say(r, (const uint8_t *)s->str, s->len);
}

static void op_packet(Rig *r, const uint8_t *bytes, size_t len) { say_packet(r, bytes, len, 0); }
static void op_broken(Rig *r, const uint8_t *bytes, size_t len) { say_packet(r, bytes, len, 1); }
static void op_turn(Rig *r, const uint8_t *bytes, size_t len) { turn(r, NS_PER_S / 1000); }

static void op_reconnect(Rig *r, const uint8_t *bytes, size_t len)
{
    close(r->fd);
    turn(r, 0);
    g_string_truncate(r->said, 0);
    connect_to(r);
}

typedef struct Kind {
    const char *name;
    unsigned weight;
    void (*run)(Rig *r, const uint8_t *bytes, size_t len);
} Kind;

static const Kind kinds[] = {
    { "packet", 20, op_packet }, { "broken", 1, op_broken }, { "raw", 2, say }, { "turn", 2, op_turn },
    { "reconnect", 1, op_reconnect },
};

static void run(Rig *r, const Kind *k, const GByteArray *bytes)
{
    k->run(r, bytes->data, bytes->len);
    turn(r, 0);
    check_output(r);
}

/* ---- picking ---- */

/* One of each packet there is; what is picked is changed. */
static const char *const seeds[] = {
    "?", "!", "g", "G00", "p1", "p10", "P10=1122334455667788", "P0=00", "P28=ffffffffffffffff", "m7c00,10",
    "M1000,2:0102", "X1000,4:abcd", "X1000,2:}\x03z", "mfffffffffffffff0,ffffffffffffffff",
    "M0,ffffffffffffffff:00", "Hg1", "Hc-1", "Hcp1.2", "T1", "Tp1.-1", "Z0,7c00,1", "z0,7c00,1", "Z1,7c05,1",
    "Z2,1000,8", "Z3,1000,1", "Z4,1000,100000", "z2,1000,8", "Z2,ffffffffffffffff,8", "c", "s", "C05", "S05",
    "vCont;c", "vCont;s:1", "vCont;s:p1.2;c", "vCont;c:-1", "vCont;c:p-1.-1", "vCont?", "D", "D;1", "k", "R00",
    "vKill;1", "vRun;", "vRun;6162;63", "vAttach;1", "bs", "bc",
    "qSupported:multiprocess+;swbreak+;hwbreak+;error-message+", "qXfer:features:read:target.xml:0,ffff",
    "qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff", "qXfer:features:read:a.xml:0,1",
    "qRcmd,68656c70", "qRcmd,6764622061726368206175746f", "qRcmd,67646220617263682069383038362020",
    "qRcmd,676462206361746368206e6f6e65", "qRcmd,676462206361746368", "qRcmd,00", "qRcmd,6764", "qC",
    "qAttached:1", "qfThreadInfo", "qsThreadInfo", "qThreadExtraInfo,2", "QStartNoAckMode", "QNonStop:1",
    "Qqemu.PhyMemMode:1", "qqemu.PhyMemMode", "vMustReplyEmpty",
};

static uint32_t below(GRand *rand, uint32_t n)
{
    return g_rand_int(rand) % n;
}

static void put(GByteArray *b, guint at, const char *text)
{
    g_autofree uint8_t *tail = g_memdup2(b->data + at, b->len - at);
    guint len = b->len - at;

    g_byte_array_set_size(b, at);
    g_byte_array_append(b, (const uint8_t *)text, (guint)strlen(text));
    g_byte_array_append(b, tail, len);
}

static void change(GRand *rand, GByteArray *b)
{
    static const char *const pieces[] = { ",", ":", ";", "-1", "-", "ffffffffffffffff", "8000000000000000",
                                          "0", "*", "}", "p1.",
                                          "p", ".", "=", "#", "$", "#00$", "fff", "10000", "\x03", "+", "ff" };
    guint at = below(rand, b->len + 1), n = 1 + below(rand, 4);

    switch (below(rand, 5)) {
    case 0:
        if (at < b->len) {
            g_byte_array_remove_range(b, at, MIN(n, b->len - at));
        }
        break;
    case 1:
        if (at < b->len) {
            b->data[at] = (uint8_t)g_rand_int(rand);
        }
        break;
    case 2:                             /* two packets' halves */
        g_byte_array_set_size(b, at);
        put(b, at, seeds[below(rand, G_N_ELEMENTS(seeds))]);
        break;
    default:
        put(b, at, pieces[below(rand, G_N_ELEMENTS(pieces))]);
    }
}

static void pick(GRand *rand, const Kind **kind, GByteArray *b)
{
    unsigned all = 0, at;

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        all += kinds[i].weight;
    }
    at = below(rand, all);
    for (*kind = kinds; at >= (*kind)->weight; ++*kind) {
        at -= (*kind)->weight;
    }
    g_byte_array_set_size(b, 0);
    if ((*kind)->run == op_turn || (*kind)->run == op_reconnect) {
        return;
    }
    put(b, 0, seeds[below(rand, G_N_ELEMENTS(seeds))]);
    for (unsigned n = "\0\0\1\1\2\5"[below(rand, 6)]; n > 0; n--) {
        change(rand, b);
    }
    if (below(rand, 200) == 0) {        /* about as long as the longest, or longer */
        g_autofree char *digits = g_strnfill(GDB_PACKET_MAX - 40 + below(rand, 200), "0f}*a"[below(rand, 5)]);
        put(b, b->len, digits);
    }
}

/* ---- runs ---- */

static void print(const Kind *k, const GByteArray *b)
{
    g_autofree char *text = g_uri_escape_bytes(b->data, b->len, " ,:;=*?!+");

    printf("%s %s\n", k->name, text);
    fflush(stdout);
}

/* Whatever was before: the next one gets answers. */
static void check_alive(Rig *r)
{
    static const char ask[] = "$qAttached#8f", answer[] = "+$1#31";

    op_reconnect(r, NULL, 0);
    say(r, (const uint8_t *)ask, strlen(ask));
    for (unsigned i = 0; i < 1000 && r->said->len < strlen(answer); i++) {
        turn(r, NS_PER_S / 1000);
        hear(r);
    }
    if (strcmp(r->said->str, answer) != 0) {
        fail("a new connection is not answered", r->said->str);
    }
}

static void run_seed(uint32_t seed, unsigned ops, bool printing)
{
    GRand *rand = g_rand_new_with_seed(seed);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Rig *r = rig_new();

    printf("# gdb-fuzz --seed %u --ops %u\n", seed, ops);
    fflush(stdout);
    for (unsigned i = 0; i < ops; i++) {
        const Kind *k;

        if (i % 1000 == 0) {
            alarm(HANGS);
        }
        pick(rand, &k, bytes);
        if (printing) {
            print(k, bytes);
        }
        run(r, k, bytes);
    }
    check_alive(r);
    rig_free(r);
    g_rand_free(rand);
}

static int replay(const char *path)
{
    g_autofree char *text = NULL;
    GError *err = NULL;

    if (!g_file_get_contents(path, &text, NULL, &err)) {
        fprintf(stderr, "gdb-fuzz: %s\n", err->message);
        return 1;
    }
    Rig *r = rig_new();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 2);

        for (unsigned i = 0; words[0] && i < G_N_ELEMENTS(kinds); i++) {
            if (!strcmp(words[0], kinds[i].name)) {
                GBytes *b = g_uri_unescape_bytes(words[1] ? words[1] : "", -1, NULL, NULL);
                g_autoptr(GByteArray) bytes = b ? g_bytes_unref_to_array(b) : g_byte_array_new();

                run(r, &kinds[i], bytes);
            }
        }
    }
    check_alive(r);
    rig_free(r);
    return 0;
}

int main(int argc, char **argv)
{
    char *replay_path = NULL;
    int n_ops = 3000, n_seeds = 2;
    gint64 seed = -1;
    gboolean printing = FALSE;
    const GOptionEntry entries[] = {
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "one seed", "N" },
        { "seeds", 0, 0, G_OPTION_ARG_INT, &n_seeds, "how many fixed seeds", "N" },
        { "ops", 0, 0, G_OPTION_ARG_INT, &n_ops, "operations in a run", "N" },
        { "print", 0, 0, G_OPTION_ARG_NONE, &printing, "print each operation before it is done", NULL },
        { "replay", 0, 0, G_OPTION_ARG_FILENAME, &replay_path, "do what --print printed", "FILE" },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    GError *err = NULL;

    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING | G_LOG_FATAL_MASK);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        fprintf(stderr, "gdb-fuzz: %s\n", err->message);
        return 1;
    }
    if (replay_path) {
        return replay(replay_path);
    }
    if (seed >= 0) {
        run_seed((uint32_t)seed, (unsigned)n_ops, printing);
        return 0;
    }
    for (int i = 1; i <= n_seeds; i++) {
        run_seed((uint32_t)i, (unsigned)n_ops, printing);
    }
    run_seed(g_random_int(), (unsigned)n_ops, printing);
    return 0;
}
