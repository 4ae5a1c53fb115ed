/*
 * chardev/pty.c - a pseudo-terminal; its path is printed when it is made.
 *
 * The master reports a hang-up for as long as nobody has the other side open, so it is asked from
 * time to time instead of being watched then.
 */
#include "internal.h"
#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { PTY_POLL_MS = 200 };

typedef struct Pty {
    char *path;
    GSource *timer;
} Pty;

static bool hung_up(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) && !(p.revents & POLLIN);
}

static gboolean pty_look(gpointer opaque)
{
    CharBack *c = opaque;

    if (!c->connected && !hung_up(c->in_fd)) {
        char_connected(c, true);
    } else if (c->connected && hung_up(c->in_fd)) {
        char_connected(c, false);
    }
    return G_SOURCE_CONTINUE;
}

static void pty_hangup(CharBack *c)
{
    char_connected(c, false);
}

static bool pty_open(CharBack *c, const KeyVals *k, GError **errp)
{
    struct termios t;
    Pty *p;
    int slave;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || grantpt(fd) || unlockpt(fd)) {
        error_set_errno(errp, errno, "cannot make a pseudo-terminal");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    c->in_fd = c->out_fd = fd;
    p = g_new0(Pty, 1);
    c->priv = p;
    p->path = g_strdup(ptsname(fd));
    /* Raw, and once opened and closed, so that "nobody is there" is a hang-up from the start. */
    slave = open(p->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        error_set_errno(errp, errno, "cannot open '%s'", p->path);
        return false;
    }
    if (!tcgetattr(slave, &t)) {
        cfmakeraw(&t);
        tcsetattr(slave, TCSANOW, &t);
    }
    close(slave);
    c->connected = false;
    p->timer = char_timer(c, PTY_POLL_MS, pty_look);
    fprintf(stderr, "tinamou: chardev %s: %s\n", c->id, p->path);
    return true;
}

static void pty_close(CharBack *c)
{
    Pty *p = c->priv;

    if (p) {
        if (p->timer) {
            g_source_destroy(p->timer);
            g_source_unref(p->timer);
        }
        g_free(p->path);
        g_free(p);
    }
}

static char *pty_describe(const CharBack *c)
{
    const Pty *p = c->priv;

    return g_strdup(p->path);
}

const CharKind char_pty = {
    .name = "pty",
    .summary = "a pseudo-terminal of its own; its path is printed",
    .open = pty_open,
    .close = pty_close,
    .hangup = pty_hangup,
    .describe = pty_describe,
};
