/*
 * chardev/terminal.c - the terminal tinamou was started in, or whatever standard input and output are.
 *
 * A terminal is put in raw mode.  It is one thing of the process, and a fatal signal must find it:
 * hence the one static struct of this folder.
 */
#include "internal.h"
#include "util/error.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

static struct Terminal {
    bool used;                      /* by a back end */
    volatile bool raw;              /* modes were changed */
    struct termios before, now;
    int flags[2];                   /* of descriptors 0 and 1, as they were ... */
    bool flags_changed[2];          /* ... when they had to be changed */
} terminal;

/* Only the foreground process may set modes; another one would be stopped for it (SIGTTOU). */
static bool in_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void chardev_restore_terminal(void)
{
    if (terminal.raw && in_foreground()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
    }
    for (int fd = 0; fd < 2; fd++) {
        if (terminal.flags_changed[fd]) {
            fcntl(fd, F_SETFL, terminal.flags[fd]);
        }
    }
}

void chardev_reapply_terminal(void)
{
    if (terminal.raw && in_foreground()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.now);
    }
    for (int fd = 0; fd < 2; fd++) {
        if (terminal.flags_changed[fd]) {
            fcntl(fd, F_SETFL, terminal.flags[fd] | O_NONBLOCK);
        }
    }
}

static void make_raw(bool signals)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal.before)) {
        return;
    }
    terminal.now = terminal.before;
    terminal.now.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    terminal.now.c_oflag |= OPOST;
    terminal.now.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals) {
        terminal.now.c_lflag &= ~ISIG;
    }
    terminal.now.c_cflag &= ~(CSIZE | PARENB);
    terminal.now.c_cflag |= CS8;
    terminal.now.c_cc[VMIN] = 1;
    terminal.now.c_cc[VTIME] = 0;
    terminal.raw = true;
    chardev_reapply_terminal();
}

static bool stdio_open(CharBack *c, const KeyVals *k, GError **errp)
{
    if (terminal.used) {
        error_set(errp, "stdio is in use already; several may share it with mux=on, or mon:stdio");
        return false;
    }
    terminal.flags[0] = fcntl(STDIN_FILENO, F_GETFL);
    terminal.flags[1] = fcntl(STDOUT_FILENO, F_GETFL);
    c->in_fd = char_fd_twin(STDIN_FILENO, &terminal.flags_changed[0], errp);
    if (c->in_fd < 0) {
        return false;
    }
    c->out_fd = char_fd_twin(STDOUT_FILENO, &terminal.flags_changed[1], errp);
    if (c->out_fd < 0) {
        return false;
    }
    c->priv = &terminal;
    terminal.used = true;
    make_raw(keyvals_bool(k, "signal", true));
    return true;
}

static void stdio_close(CharBack *c)
{
    if (c->priv) {
        chardev_restore_terminal();
        terminal = (struct Terminal){ 0 };
    }
}

static const KeySpec stdio_keys[] = {
    { "signal", KEY_BOOL, "off: Ctrl-C goes to the guest instead of ending tinamou (default on)" },
    { NULL },
};

const CharKind char_stdio = {
    .name = "stdio",
    .summary = "this terminal, or whatever standard input and output are",
    .keys = stdio_keys,
    .open = stdio_open,
    .close = stdio_close,
};
