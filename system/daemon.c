/*
 * system/daemon.c - -daemonize and -pidfile.
 *
 * The process forks before it has any thread.  The parent waits on a pipe until the child's machine
 * runs (a byte comes) or the child has ended (none does), so that errors are seen where the command
 * was given and its exit status is right.
 */
#include "machine.h"
#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1;
static int pid_fd = -1;
static char *pid_path;

static G_NORETURN void wait_for_child(int fd, pid_t child)
{
    char byte;
    ssize_t n;
    int status;

    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1) {
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

bool daemon_start(GError **errp)
{
    int fds[2];
    pid_t child;

    if (pipe2(fds, O_CLOEXEC)) {
        error_set_errno(errp, errno, "-daemonize");
        return false;
    }
    fflush(NULL);
    child = fork();
    if (child < 0) {
        error_set_errno(errp, errno, "-daemonize");
        return false;
    }
    if (child) {
        close(fds[1]);
        wait_for_child(fds[0], child);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    return true;
}

void daemon_ready(void)
{
    int null;

    if (ready_fd < 0) {
        return;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++) {
        dup2(null, fd);
    }
    close(null);
    while (write(ready_fd, "", 1) < 0 && errno == EINTR) {
    }
    close(ready_fd);
    ready_fd = -1;
}

bool pidfile_write(const char *path, GError **errp)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        error_set_errno(errp, errno, "-pidfile %s", path);
        return false;
    }
    if (lockf(fd, F_TLOCK, 0)) {
        error_set(errp, "-pidfile %s: in use by another process that runs", path);
        close(fd);
        return false;
    }
    if (ftruncate(fd, 0) || write(fd, text, n) != n) {
        error_set_errno(errp, errno, "-pidfile %s", path);
        close(fd);
        return false;
    }
    pid_fd = fd;        /* the lock lasts as long as it is open */
    pid_path = g_strdup(path);
    return true;
}

void pidfile_remove(void)
{
    if (pid_fd >= 0) {
        unlink(pid_path);
        close(pid_fd);
        g_free(pid_path);
        pid_fd = -1;
        pid_path = NULL;
    }
}
