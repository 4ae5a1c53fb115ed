/*
 * chardev/file.c - a file that output is written to, and a pair of named pipes.
 */
#include "internal.h"
#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path_describe(const CharBack *c)
{
    return g_strdup(c->priv);
}

static void path_close(CharBack *c)
{
    g_free(c->priv);
}

static bool file_open(CharBack *c, const KeyVals *k, GError **errp)
{
    const char *path = keyvals_str(k, "path");
    int how = keyvals_bool(k, "append", false) ? O_APPEND : O_TRUNC;

    if (!path || !*path) {
        error_set(errp, "needs a path: file,id=%s,path=FILE", c->id);
        return false;
    }
    /* O_NONBLOCK: a named pipe without a reader fails here instead of waiting for one. */
    c->out_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | how, 0666);
    if (c->out_fd < 0) {
        error_set_errno(errp, errno, "cannot write '%s'", path);
        return false;
    }
    c->priv = g_strdup(path);
    return true;
}

static const KeySpec file_keys[] = {
    { "path", KEY_STR, "the file" },
    { "append", KEY_BOOL, "write behind what is there, instead of emptying it first" },
    { NULL },
};

const CharKind char_file = {
    .name = "file",
    .summary = "output goes to a file; nothing comes in",
    .keys = file_keys,
    .open = file_open,
    .close = path_close,
    .describe = path_describe,
};

/* ---- pipe ---- */

static int open_fifo(const char *path, GError **errp)
{
    struct stat st;
    int fd;

    if (stat(path, &st) || !S_ISFIFO(st.st_mode)) {
        return -1;
    }
    /* Opened for both directions, so that a peer that goes away is no end of file. */
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(errp, errno, "cannot open '%s'", path);
    }
    return fd;
}

static bool pipe_open(CharBack *c, const KeyVals *k, GError **errp)
{
    const char *path = keyvals_str(k, "path");
    g_autofree char *in = g_strdup_printf("%s.in", path ? path : "");
    g_autofree char *out = g_strdup_printf("%s.out", path ? path : "");
    GError *err = NULL;

    if (!path || !*path) {
        error_set(errp, "needs a path: pipe,id=%s,path=NAME, with NAME.in and NAME.out made by mkfifo",
                  c->id);
        return false;
    }
    c->in_fd = open_fifo(in, &err);
    if (c->in_fd >= 0) {
        c->out_fd = open_fifo(out, &err);
    } else if (!err) {
        c->in_fd = c->out_fd = open_fifo(path, &err);
    }
    if (c->in_fd < 0 || c->out_fd < 0) {
        if (err) {
            g_propagate_error(errp, err);
        } else {
            error_set(errp, "there is no named pipe '%s' nor '%s' and '%s'; make them with mkfifo", path, in,
                      out);
        }
        return false;
    }
    c->priv = g_strdup(path);
    return true;
}

static const KeySpec pipe_keys[] = {
    { "path", KEY_STR, "NAME.in is read and NAME.out written; or NAME alone, both" },
    { NULL },
};

const CharKind char_pipe = {
    .name = "pipe",
    .summary = "two named pipes",
    .keys = pipe_keys,
    .open = pipe_open,
    .close = path_close,
    .describe = path_describe,
};
