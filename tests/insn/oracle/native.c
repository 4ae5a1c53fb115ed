/*
 * tests/insn/oracle/native.c - the child that runs cases natively: starting it, and handing it batches.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "engine.h"
#include "util/error.h"

enum { PATIENCE = 5 /* seconds for a batch */, SHARED_FD = 3 };

struct Native {
    OracleShared *shared;
    pid_t pid;
    int fd;                             /* of the shared memory */
};

static char *child_path(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(self ? self : ".");

    char *beside = g_build_filename(folder, "insn-oracle-child", NULL);

    if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE)) {
        return beside;
    }
    g_free(beside);
    return g_build_filename(ORACLE_LIBEXEC, "insn-oracle-child", NULL);         /* installed */
}

static void become_child(int fd, const char *path)
{
    if (fd == SHARED_FD ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, SHARED_FD) == SHARED_FD) {
        execl(path, path, (char *)NULL);
    }
    _exit(3);
}

/* One more than `seen` batches are done. */
static bool wait_done(Native *n, uint32_t seen, GError **errp)
{
    OracleShared *s = n->shared;
    struct timespec second = { .tv_sec = 1 };

    for (unsigned tries = 0; atomic_load(&s->done) == seen; tries++) {
        syscall(SYS_futex, &s->done, FUTEX_WAIT, seen, &second, NULL, 0);
        int status;
        if (atomic_load(&s->done) == seen && waitpid(n->pid, &status, WNOHANG) == n->pid) {
            n->pid = 0;
            error_set(errp, "case %u killed the child: %s %d", s->current,
                      WIFSIGNALED(status) ? "signal" : "exit status",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            return false;
        }
        if (tries >= PATIENCE) {
            error_set(errp, "case %u does not end", s->current);
            return false;
        }
    }
    return true;
}

static bool start_child(Native *n, GError **errp)
{
    g_autofree char *path = child_path();
    static const char *const failure[] = {
        [0] = "it did not come up", [NO_LDT] = "no local descriptor table (modify_ldt)",
        [NO_MEMORY] = "its addresses are taken", [NO_SECCOMP] = "no seccomp filter",
    };

    n->shared->ready = 0;
    atomic_store(&n->shared->posted, 1);        /* its set-up counts as one */
    atomic_store(&n->shared->done, 0);
    n->pid = fork();
    if (n->pid == 0) {
        become_child(n->fd, path);
    }
    bool came = n->pid > 0 && wait_done(n, 0, errp);
    if (came && n->shared->ready == READY) {
        return true;
    }
    if (came || n->pid < 0) {
        error_set(errp, "the child cannot run cases: %s", failure[n->shared->ready & 3]);
    }
    return false;
}

static void stop_child(Native *n)
{
    if (n->pid > 0) {
        kill(n->pid, SIGKILL);
        waitpid(n->pid, NULL, 0);
    }
    n->pid = 0;
}

bool native_restart(Native *n, GError **errp)
{
    stop_child(n);
    return start_child(n, errp);
}

Native *native_open(const uint8_t *background, GError **errp)
{
    Native *n = g_new0(Native, 1);
    int fd = n->fd = memfd_create("oracle-cases", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, sizeof(OracleShared))) {
        error_set_errno(errp, errno, "no memory for cases");
        native_close(n);
        return NULL;
    }
    n->shared = mmap(NULL, sizeof(OracleShared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (n->shared == MAP_FAILED) {
        n->shared = NULL;
        error_set_errno(errp, errno, "no memory for cases");
        native_close(n);
        return NULL;
    }
    memcpy(n->shared->background, background, sizeof(n->shared->background));
    if (!start_child(n, errp)) {
        native_close(n);
        return NULL;
    }
    return n;
}

void native_close(Native *n)
{
    stop_child(n);
    if (n->shared) {
        munmap(n->shared, sizeof(*n->shared));
    }
    if (n->fd >= 0) {
        close(n->fd);
    }
    g_free(n);
}

OracleCase *native_items(Native *n) { return n->shared->item; }

void native_start(Native *n, unsigned count)
{
    OracleShared *s = n->shared;

    s->count = count;
    atomic_fetch_add(&s->posted, 1);
    syscall(SYS_futex, &s->posted, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool native_finish(Native *n, GError **errp)
{
    return wait_done(n, atomic_load(&n->shared->posted) - 1, errp);
}

pid_t native_pid(const Native *n) { return n->pid; }

const OracleHost *native_host(const Native *n) { return &n->shared->host; }

const OracleCase *native_current(const Native *n) { return &n->shared->item[n->shared->current % BATCH]; }
