/*
 * Character devices: every kind of back end end to end, multiplexing, full and vanished peers.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "chardev/chardev.h"

/* ---- a front that records ---- */

typedef struct Front {
    GString *got, *events;
    size_t room;
} Front;

static size_t front_room(void *dev)
{
    return ((Front *)dev)->room;
}

static void front_receive(void *dev, const uint8_t *buf, size_t len)
{
    Front *f = dev;

    g_assert_cmpuint(len, <=, f->room);
    f->room -= len;
    g_string_append_len(f->got, (const char *)buf, len);
}

static void front_event(void *dev, CharEvent event)
{
    g_string_append_c(((Front *)dev)->events, "ocbf"[event]);
}

static const CharFront front_ops = { front_room, front_receive, front_event };

static Front *front_new(void)
{
    Front *f = g_new0(Front, 1);

    f->got = g_string_new(NULL);
    f->events = g_string_new(NULL);
    f->room = 1 << 20;
    return f;
}

static void front_free(Front *f)
{
    g_string_free(f->got, TRUE);
    g_string_free(f->events, TRUE);
    g_free(f);
}

/* ---- a loop ---- */

typedef struct Rig {
    Clock *clock;
    Loop *loop;
    char *dir;
} Rig;

static void rig_up(Rig *r, gconstpointer unused)
{
    r->clock = clock_new_host();
    r->loop = loop_new(r->clock);
    r->dir = g_dir_make_tmp("tinamou-chardev-XXXXXX", NULL);
    loop_lock(r->loop);
}

static void rig_down(Rig *r, gconstpointer unused)
{
    loop_unlock(r->loop);
    loop_free(r->loop);
    clock_free(r->clock);
    g_rmdir(r->dir);
    g_free(r->dir);
}

static void turn(Rig *r, int ms)
{
    loop_unlock(r->loop);
    loop_run(r->loop, ms * NS_PER_MS);
    loop_lock(r->loop);
}

#define UNTIL(r, cond) do {                                     \
        gint64 end_ = g_get_monotonic_time() + 5 * G_USEC_PER_SEC; \
        while (!(cond)) {                                       \
            g_assert_cmpint(g_get_monotonic_time(), <, end_);   \
            turn(r, 10);                                        \
        }                                                       \
    } while (0)

static CharBack *open_ok(Rig *r, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static CharBack *open_ok(Rig *r, const char *fmt, ...)
{
    va_list ap;
    GError *err = NULL;

    va_start(ap, fmt);
    g_autofree char *spec = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    CharBack *c = chardev_open(r->loop, spec, &err);
    g_assert_no_error(err);
    return c;
}

static size_t put(CharBack *c, const char *text)
{
    return chardev_write(c, (const uint8_t *)text, strlen(text));
}

/* ---- the kinds ---- */

static void ringbuf_keeps_the_last(Rig *r, gconstpointer unused)
{
    CharBack *c = open_ok(r, "ringbuf,id=r,size=8");
    char buf[16] = "";

    g_assert_cmpuint(put(c, "0123456789ab"), ==, 12);
    g_assert_cmpuint(chardev_ringbuf_read(c, (uint8_t *)buf, 3), ==, 3);
    g_assert_cmpstr(buf, ==, "456");
    put(c, "cd");
    memset(buf, 0, sizeof(buf));
    g_assert_cmpuint(chardev_ringbuf_read(c, (uint8_t *)buf, 16), ==, 7);
    g_assert_cmpstr(buf, ==, "789abcd");
    chardev_close(c);
}

static void null_and_nothing(Rig *r, gconstpointer unused)
{
    CharBack *c = open_ok(r, "null,id=n");

    g_assert_cmpuint(put(c, "x"), ==, 1);
    g_assert_cmpuint(chardev_write(NULL, (const uint8_t *)"abc", 3), ==, 3);
    g_assert_cmpuint(chardev_ringbuf_read(c, (uint8_t[1]){ 0 }, 1), ==, 0);
    chardev_room_changed(NULL);
    chardev_detach(NULL, r);
    chardev_close(c);
    chardev_close(NULL);
}

static void file_truncates_or_appends(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_strdup_printf("%s/a,b", r->dir);
    g_autofree char *text = NULL;
    CharBack *c = open_ok(r, "file,id=f,path=%s/a,,b", r->dir);

    put(c, "one");
    chardev_close(c);
    c = open_ok(r, "file,id=f,append,path=%s/a,,b", r->dir);
    put(c, "two");
    chardev_close(c);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "onetwo");
    g_free(text);
    g_autofree char *legacy = g_strdup_printf("file:%s", path);
    c = chardev_open_legacy(r->loop, legacy, "f", NULL);
    chardev_close(c);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "");
    g_unlink(path);
}

static void full_disk_is_no_hang(Rig *r, gconstpointer unused)
{
    CharBack *c = open_ok(r, "file,id=f,path=/dev/full");

    g_assert_cmpuint(put(c, "lost"), ==, 4);
    g_autofree char *text = chardev_describe(c);
    g_assert_cmpstr(text, ==, "file /dev/full, 4 bytes dropped");
    chardev_close(c);
}

static void pty_round_trip(Rig *r, gconstpointer unused)
{
    Front *f = front_new();
    CharBack *c = open_ok(r, "pty,id=p");
    char buf[16] = "";

    g_assert_true(chardev_attach(c, &front_ops, f, NULL));
    g_assert_cmpuint(put(c, "to nobody"), ==, 9);
    g_autofree char *text = chardev_describe(c);
    char *comma = strchr(text, ',');
    g_assert_cmpstr(comma, ==, ", not connected, 9 bytes dropped");
    *comma = 0;
    int fd = open(text + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
    g_assert_cmpint(fd, >=, 0);
    UNTIL(r, !strcmp(f->events->str, "o"));
    g_assert_cmpint(write(fd, "in\r\x03", 4), ==, 4);
    UNTIL(r, !strcmp(f->got->str, "in\r\x03"));
    put(c, "out\n");
    g_assert_cmpint(read(fd, buf, sizeof(buf)), ==, 4);
    g_assert_cmpstr(buf, ==, "out\n");
    close(fd);
    UNTIL(r, !strcmp(f->events->str, "oc"));
    chardev_close(c);
    front_free(f);
}

static void pipes(Rig *r, gconstpointer unused)
{
    g_autofree char *in = g_strdup_printf("%s/p.in", r->dir);
    g_autofree char *out = g_strdup_printf("%s/p.out", r->dir);
    g_autofree char *legacy = g_strdup_printf("pipe:%s/p", r->dir);
    g_autoptr(GError) err = NULL;
    Front *f = front_new();
    char buf[8] = "";

    g_assert_null(chardev_open_legacy(r->loop, legacy, "p", &err));
    g_assert_nonnull(strstr(err->message, "mkfifo"));
    mkfifo(in, 0600);
    mkfifo(out, 0600);
    CharBack *c = chardev_open_legacy(r->loop, legacy, "p", NULL);
    g_assert_nonnull(c);
    chardev_attach(c, &front_ops, f, NULL);
    int w = open(in, O_WRONLY | O_NONBLOCK), rd = open(out, O_RDONLY | O_NONBLOCK);
    g_assert_cmpint(write(w, "hello", 5), ==, 5);
    close(w);
    UNTIL(r, !strcmp(f->got->str, "hello"));
    put(c, "bye");
    g_assert_cmpint(read(rd, buf, 8), ==, 3);
    close(rd);
    chardev_close(c);
    g_unlink(in);
    g_unlink(out);
    front_free(f);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static void socket_server_takes_one_after_the_other(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_strdup_printf("%s/s", r->dir);
    g_autoptr(GError) err = NULL;
    Front *f = front_new();
    char buf[8] = "";
    CharBack *c = open_ok(r, "socket,id=s,path=%s,server,nowait", path);

    chardev_attach(c, &front_ops, f, NULL);
    g_autofree char *again = g_strdup_printf("socket,id=t,path=%s,server,nowait", path);
    g_assert_null(chardev_open(r->loop, again, &err));
    g_assert_nonnull(strstr(err->message, "in use"));
    UNTIL(r, !strcmp(f->events->str, "oc"));        /* it had to knock to find out */

    put(c, "lost");
    int a = connect_unix(path), b;
    UNTIL(r, !strcmp(f->events->str, "oco"));
    b = connect_unix(path);         /* waits */
    g_assert_cmpint(write(b, "B", 1), ==, 1);
    g_assert_cmpint(write(a, "A", 1), ==, 1);
    UNTIL(r, f->got->len == 1);
    put(c, "x");
    g_assert_cmpint(read(a, buf, 8), ==, 1);
    close(a);
    UNTIL(r, f->got->len == 2);
    g_assert_cmpstr(f->got->str, ==, "AB");
    g_assert_cmpstr(f->events->str, ==, "ococo");
    close(b);
    UNTIL(r, f->events->str[f->events->len - 1] == 'c');
    chardev_close(c);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    front_free(f);
}

static void socket_client_reconnects(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_strdup_printf("%s/s", r->dir);
    Front *f = front_new(), *g = front_new();
    CharBack *c = open_ok(r, "socket,id=c,path=%s,reconnect=1", path);

    chardev_attach(c, &front_ops, f, NULL);
    g_assert_cmpstr(f->events->str, ==, "");
    for (int round = 0; round < 2; round++) {
        CharBack *s = open_ok(r, "socket,id=s,path=%s,server=on,wait=off", path);
        chardev_attach(s, &front_ops, g, NULL);
        UNTIL(r, g->events->len && g->events->str[g->events->len - 1] == 'o');
        UNTIL(r, f->events->len && f->events->str[f->events->len - 1] == 'o');
        put(c, "hi");
        UNTIL(r, !strcmp(g->got->str, "hi"));
        g_string_truncate(g->got, 0);
        chardev_close(s);
        UNTIL(r, f->events->str[f->events->len - 1] == 'c');
    }
    chardev_close(c);
    front_free(f);
    front_free(g);
}

static void tcp_short_form(Rig *r, gconstpointer unused)
{
    Front *f = front_new();
    CharBack *s = chardev_open_legacy(r->loop, "tcp:127.0.0.1:0,server=on,wait=off,nodelay=on", "s", NULL);

    g_assert_nonnull(s);
    chardev_attach(s, &front_ops, f, NULL);
    g_autofree char *text = chardev_describe(s);
    char *port = strrchr(text, ':') + 1;
    *strchr(port, ',') = 0;
    g_assert_cmpstr(port, !=, "0");
    g_autofree char *spec = g_strdup_printf("tcp:127.0.0.1:%s", port);
    CharBack *c = chardev_open_legacy(r->loop, spec, "c", NULL);
    g_assert_nonnull(c);
    put(c, "over tcp");
    UNTIL(r, !strcmp(f->got->str, "over tcp"));
    chardev_close(c);
    chardev_close(s);
    front_free(f);
}

/* ---- what all share ---- */

static void count(void *opaque)
{
    (*(int *)opaque)++;
}

/* A reader that stalls: nothing blocks, writes become short, nothing is lost when it goes on. */
static void slow_reader_loses_nothing(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_strdup_printf("%s/s", r->dir);
    CharBack *c = open_ok(r, "socket,id=s,path=%s,server,nowait", path);
    int fd = connect_unix(path), woken = 0;
    uint8_t next_out = 0, next_in = 0, buf[4096];
    size_t sent = 0, n, got = 0;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        turn(r, 10);
    }
    do {
        for (n = 0; n < sizeof(buf); n++) {
            buf[n] = next_out + n;
        }
        n = chardev_write(c, buf, sizeof(buf));
        next_out += n;
        sent += n;
        g_assert_cmpuint(sent, <, 16 << 20);
    } while (n == sizeof(buf));
    chardev_on_writable(c, count, &woken);
    chardev_on_writable(c, count, &woken);
    turn(r, 10);
    g_assert_cmpint(woken, ==, 0);
    while (got < sent) {
        ssize_t k = read(fd, buf, sizeof(buf));
        for (ssize_t i = 0; i < k; i++) {
            g_assert_cmpuint(buf[i], ==, next_in);
            next_in++;
        }
        got += MAX(k, 0);
        if (k < 0) {
            g_assert_cmpint(errno, ==, EAGAIN);
            turn(r, 10);
        }
    }
    UNTIL(r, woken == 1);
    close(fd);
    chardev_close(c);
}

static void no_room_is_no_loss(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_strdup_printf("%s/s", r->dir);
    Front *f = front_new();
    CharBack *c = open_ok(r, "socket,id=s,path=%s,server,nowait", path);
    int fd = connect_unix(path);

    f->room = 2;
    chardev_attach(c, &front_ops, f, NULL);
    g_assert_cmpint(write(fd, "abcde", 5), ==, 5);
    UNTIL(r, f->got->len == 2);
    turn(r, 1);
    turn(r, 1);
    g_assert_cmpstr(f->got->str, ==, "ab");
    f->room = 3;
    chardev_room_changed(c);
    UNTIL(r, f->got->len == 5);
    g_assert_cmpstr(f->got->str, ==, "abcde");
    close(fd);
    chardev_close(c);
    front_free(f);
}

static void one_front_unless_mux(Rig *r, gconstpointer unused)
{
    Front *a = front_new(), *b = front_new();
    g_autoptr(GError) err = NULL;
    CharBack *c = open_ok(r, "null,id=n");

    g_assert_true(chardev_attach(c, &front_ops, a, NULL));
    g_assert_false(chardev_attach(c, &front_ops, b, &err));
    g_assert_nonnull(strstr(err->message, "mux=on"));
    chardev_detach(c, a);
    g_assert_true(chardev_attach(c, &front_ops, b, NULL));
    chardev_close(c);
    front_free(a);
    front_free(b);
}

static void mux_escapes(Rig *r, gconstpointer unused)
{
    g_autofree char *path = g_strdup_printf("%s/s", r->dir);
    Front *a = front_new(), *b = front_new();
    int quits = 0;
    char help[1024] = "";
    CharBack *c = open_ok(r, "socket,id=s,path=%s,server,nowait,mux", path);
    int fd = connect_unix(path);

    chardev_attach(c, &front_ops, a, NULL);
    chardev_attach(c, &front_ops, b, NULL);
    chardev_on_quit(c, count, &quits);
    a->room = 3;                    /* hangs after three bytes; Ctrl-A must still work */
    g_assert_cmpint(write(fd, "12345\x01" "c" "mon\x01\x01\x01z\x01", 15), ==, 15);
    UNTIL(r, b->got->len == 6);
    g_assert_cmpstr(a->got->str, ==, "123");
    g_assert_cmpstr(b->got->str, ==, "mon\x01\x01z");
    g_assert_cmpstr(strchr(b->events->str, 'f'), ==, "f");
    g_assert_cmpint(write(fd, "b\x01" "c\x01x", 5), ==, 5);
    UNTIL(r, quits == 1);
    g_assert_cmpint(b->events->str[b->events->len - 1], ==, 'b');
    g_assert_cmpint(a->events->str[a->events->len - 1], ==, 'f');
    a->room = 10;
    chardev_room_changed(c);
    g_assert_cmpstr(a->got->str, ==, "12345");
    g_assert_cmpint(write(fd, "\x01h", 2), ==, 2);
    turn(r, 100);
    g_assert_cmpint(recv(fd, help, sizeof(help) - 1, MSG_DONTWAIT), >, 0);
    g_assert_nonnull(strstr(help, "Ctrl-A x"));
    chardev_detach(c, a);
    g_assert_cmpint(write(fd, "rest", 4), ==, 4);
    UNTIL(r, g_str_has_suffix(b->got->str, "rest"));
    close(fd);
    chardev_close(c);
    front_free(a);
    front_free(b);
}

static void mistakes(Rig *r, gconstpointer unused)
{
    static const struct { const char *text, *says; } bad[] = {
        { "stdoi,id=x", "unknown kind of character device 'stdoi'; did you mean 'stdio'?" },
        { "null", "needs an id: null,id=NAME" },
        { "null,id=x,path=y", "unknown key 'path'" },
        { "socket,id=x,pth=y", "unknown key 'pth'; did you mean 'path'?" },
        { "socket,id=x", "needs either path=" },
        { "socket,id=x,path=/a,port=1", "needs either path=" },
        { "socket,id=x,path=/nonexistent/s", "cannot connect to unix:/nonexistent/s: No such file" },
        { "socket,id=x,path=/nonexistent/s,server,nowait", "cannot listen on unix:/nonexistent/s" },
        { "file,id=x,path=/nonexistent/f", "cannot write '/nonexistent/f': No such file" },
        { "file,id=x", "needs a path" },
        { "ringbuf,id=x,size=0", "size=0: must be 1..64M" },
    };
    static const struct { const char *text, *says; } bad_short[] = {
        { "vc", "'vc': a console inside the window is not available" },
        { "telnet:x:1", "'telnet:x:1': the telnet protocol is not available; use tcp:x:1" },
        { "sdtio", "unknown character device 'sdtio'; did you mean 'stdio'?" },
        { "tcp:4444", "tcp:4444: must be tcp:HOST:PORT" },
        { "null:x", "unknown character device 'null:x'" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) err = NULL;
        g_assert_null(chardev_open(r->loop, bad[i].text, &err));
        if (!g_str_has_prefix(err->message, bad[i].says)) {
            g_error("%s: '%s' does not begin with '%s'", bad[i].text, err->message, bad[i].says);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad_short); i++) {
        g_autoptr(GError) err = NULL;
        g_assert_null(chardev_open_legacy(r->loop, bad_short[i].text, "x", &err));
        if (!g_str_has_prefix(err->message, bad_short[i].says)) {
            g_error("%s: '%s' does not begin with '%s'", bad_short[i].text, err->message, bad_short[i].says);
        }
    }
    g_autoptr(GString) help = g_string_new(NULL);
    chardev_help(help);
    g_assert_nonnull(strstr(help->str, "reconnect"));
}

static void short_forms(Rig *r, gconstpointer unused)
{
    static const struct { const char *text, *is; } forms[] = {
        { "stdio", "stdio,id=i" },
        { "mon:stdio", "stdio,id=i,signal=off,mux=on" },
        { "mon:pty", "pty,id=i,mux=on" },
        { "file:a,b", "file,id=i,path=a,,b" },
        { "unix:/x,server=on,wait=off", "socket,id=i,path=/x,server=on,wait=off" },
        { "tcp:h:7,server", "socket,id=i,host=h,port=7,server" },
        { "tcp::7", "socket,id=i,port=7" },
        { "tcp:[::1]:7", "socket,id=i,host=::1,port=7" },
        { "ringbuf,size=1K", "ringbuf,id=i,size=1K" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree char *text = chardev_long_form(forms[i].text, "i", NULL);
        g_assert_cmpstr(text, ==, forms[i].is);
        g_autofree char *id = NULL;
        g_assert_true(chardev_check(text, &id, NULL));
        g_assert_cmpstr(id, ==, "i");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/chardev/" name, Rig, NULL, rig_up, fn, rig_down)
    ADD("ringbuf", ringbuf_keeps_the_last);
    ADD("null", null_and_nothing);
    ADD("file", file_truncates_or_appends);
    ADD("full-disk", full_disk_is_no_hang);
    ADD("pty", pty_round_trip);
    ADD("pipe", pipes);
    ADD("socket-server", socket_server_takes_one_after_the_other);
    ADD("socket-reconnect", socket_client_reconnects);
    ADD("tcp", tcp_short_form);
    ADD("slow-reader", slow_reader_loses_nothing);
    ADD("no-room", no_room_is_no_loss);
    ADD("one-front", one_front_unless_mux);
    ADD("mux", mux_escapes);
    ADD("mistakes", mistakes);
    ADD("short-forms", short_forms);
    return g_test_run();
}
