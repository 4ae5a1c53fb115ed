/*
 * chardev/fd.c - back ends that are file descriptors: when to watch them, reading, writing.
 *
 * Nothing here blocks.  Input is watched only while a front has room, because a poll that reports
 * what nobody takes would spin.
 */
#include "internal.h"
#include "util/error.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void lost(CharBack *c)
{
    if (c->kind->hangup) {
        c->kind->hangup(c);
    } else {
        c->in_eof = true;
    }
    char_fd_update(c);
}

static void read_some(CharBack *c)
{
    uint8_t buf[4096];
    size_t room = MIN(char_room(c), sizeof(buf));
    ssize_t n;

    if (!room) {
        char_fd_update(c);
        return;
    }
    n = read(c->in_fd, buf, room);
    if (n > 0) {
        char_received(c, buf, n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        lost(c);
    }
}

static void flush(CharBack *c)
{
    ssize_t n;

    if (c->out->len) {
        n = char_fd_write(c, c->out->data, c->out->len);
        if (n > 0) {
            g_byte_array_remove_range(c->out, 0, MIN((guint)n, c->out->len));
        }
    }
    if (c->out->len < CHAR_OUT_MAX / 2 && c->waiters->len) {
        g_autoptr(GArray) waiters = c->waiters;
        c->waiters = g_array_new(FALSE, FALSE, sizeof(CharWaiter));
        for (guint i = 0; i < waiters->len; i++) {
            CharWaiter *w = &g_array_index(waiters, CharWaiter, i);
            w->fn(w->opaque);
        }
    }
}

static void fd_ready(void *opaque, int fd, unsigned events)
{
    CharBack *c = opaque;

    if ((events & LOOP_OUT) && fd == c->out_fd) {
        flush(c);
    }
    if ((events & (LOOP_IN | LOOP_HUP)) && fd == c->in_fd && c->in_watch) {
        read_some(c);
    } else if ((events & LOOP_HUP) && fd == c->out_fd) {
        char_drop_output(c);
    }
    char_fd_update(c);
}

void char_fd_update(CharBack *c)
{
    bool in = c->in_fd >= 0 && !c->in_eof && c->connected && char_room(c);
    bool out = c->out_fd >= 0 && c->connected && (c->out->len || c->waiters->len);
    bool both = c->in_fd == c->out_fd;
    unsigned in_events = (in ? LOOP_IN : 0) | (both && out ? LOOP_OUT : 0);

    if (in_events != c->in_events) {
        loop_unwatch(c->in_watch);
        c->in_events = in_events;
        c->in_watch = in_events ? loop_watch(c->loop, c->in_fd, in_events, fd_ready, c) : NULL;
    }
    out = out && !both;
    if (out != (c->out_watch != NULL)) {
        loop_unwatch(c->out_watch);
        c->out_watch = out ? loop_watch(c->loop, c->out_fd, LOOP_OUT, fd_ready, c) : NULL;
    }
}

/* What cannot be written is said once and then counted: a full disk must not stop the guest. */
ssize_t char_fd_write(CharBack *c, const uint8_t *buf, size_t len)
{
    ssize_t n;

    do {
        n = write(c->out_fd, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno == EAGAIN) {
        return MAX(n, 0);
    }
    if (c->kind->hangup && (errno == EPIPE || errno == ECONNRESET || errno == EIO)) {
        c->kind->hangup(c);
    } else if (!c->failed) {
        c->failed = true;
        log_printf("tinamou: chardev %s: cannot write: %s; output is lost from here\n", c->id,
                   g_strerror(errno));
    }
    c->dropped += len;
    return len;
}

void char_fd_close(CharBack *c)
{
    loop_unwatch(c->in_watch);
    loop_unwatch(c->out_watch);
    c->in_watch = c->out_watch = NULL;
    c->in_events = 0;
    if (c->in_fd >= 0) {
        close(c->in_fd);
    }
    if (c->out_fd >= 0 && c->out_fd != c->in_fd) {
        close(c->out_fd);
    }
    c->in_fd = c->out_fd = -1;
}

int char_fd_twin(int fd, bool *changed, GError **errp)
{
    struct stat st;
    char path[32];
    int flags = fcntl(fd, F_GETFL), twin;

    *changed = false;
    if (flags < 0 || fstat(fd, &st)) {
        error_set_errno(errp, errno, "descriptor %d", fd);
        return -1;
    }
    if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        twin = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (twin >= 0) {
            return twin;
        }
    }
    twin = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (twin < 0) {
        error_set_errno(errp, errno, "descriptor %d", fd);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        *changed = true;
    }
    return twin;
}

GSource *char_timer(CharBack *c, unsigned ms, gboolean (*fn)(gpointer c))
{
    GSource *s = g_timeout_source_new(ms);

    g_source_set_callback(s, fn, c, NULL);
    g_source_attach(s, loop_context(c->loop));
    return s;
}
