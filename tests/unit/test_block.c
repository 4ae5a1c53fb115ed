/*
 * The block layer: what it refuses, random requests against a plain file model, locks, closing.
 */
#include "block/block.h"
#include "core/machine.h"
#include "util/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir;
static Machine *machine;

static char *in_dir(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static char *make_file(const char *name, const void *data, size_t len)
{
    char *path = in_dir(name);

    g_assert_true(g_file_set_contents(path, data, len, NULL));
    return path;
}

static Block *try_open(const BlockOptions *o, GError **errp)
{
    return block_open(machine->loop, o, errp);
}

static Block *open_ok(const BlockOptions *o)
{
    GError *err = NULL;
    Block *b = try_open(o, &err);

    g_assert_no_error(err);
    g_assert_nonnull(b);
    return b;
}

/* Opening fails, and the message has these words in it. */
static void refused(const BlockOptions *o, const char *words)
{
    g_autoptr(GError) err = NULL;

    g_assert_null(try_open(o, &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, words)) {
        g_test_message("'%s' does not say '%s'", err->message, words);
        g_test_fail();
    }
}

typedef struct Wait {
    BlockReq req;
    unsigned calls;
    int err;
    bool submitting;
} Wait;

static void wait_done(BlockReq *r, int err)
{
    Wait *w = r->opaque;

    g_assert_false(w->submitting);      /* never before block_submit() has returned */
    g_assert_true(loop_locked(machine->loop));
    w->calls++;
    w->err = err;
}

static void start(Block *b, Wait *w, BlockOp op, uint64_t offset, void *buf, uint64_t len)
{
    *w = (Wait){
        .req = { .op = op, .offset = offset, .buf = buf, .len = len, .done = wait_done, .opaque = w },
        .submitting = true,
    };
    block_submit(b, &w->req);
    w->submitting = false;
}

static void spin(const Wait *w)
{
    while (!w->calls) {
        machine_unlock(machine);
        loop_run(machine->loop, 100 * NS_PER_MS);
        machine_lock(machine);
    }
}

static int run(Block *b, BlockOp op, uint64_t offset, void *buf, uint64_t len)
{
    Wait w;

    start(b, &w, op, offset, buf, len);
    spin(&w);
    g_assert_cmpuint(w.calls, ==, 1);
    return w.err;
}

/* ---- opening ---- */

static void test_refuses_what_is_no_image(void)
{
    g_autofree char *missing = in_dir("missing.img"), *fifo = in_dir("fifo");
    g_autofree char *empty = make_file("empty.img", "", 0);

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    refused(&(BlockOptions){ .path = missing }, "does not exist");
    refused(&(BlockOptions){ .path = dir }, "is a directory");
    refused(&(BlockOptions){ .path = dir, .readonly = true }, "is a directory");
    refused(&(BlockOptions){ .path = fifo }, "neither a file nor a disk");
    refused(&(BlockOptions){ .path = empty }, "is empty");
    refused(&(BlockOptions){ .path = "/proc/self/status/x" }, "cannot be opened");
}

static void test_refuses_formats_not_ours(void)
{
    static const struct { const char *format, *magic; unsigned len, at; } known[] = {
        { "qcow2", "QFI\xfb\0\0\0\3", 8, 0 }, { "vmdk", "KDMV", 4, 0 }, { "vdi", "\x7f\x10\xda\xbe", 4, 64 },
        { "vhdx", "vhdxfile", 8, 0 }, { "vpc", "conectix", 8, 0 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        uint8_t bytes[4096] = { 0 };
        memcpy(bytes + known[i].at, known[i].magic, known[i].len);
        g_autofree char *path = make_file("foreign.img", bytes, sizeof(bytes));
        refused(&(BlockOptions){ .path = path }, known[i].format);
        refused(&(BlockOptions){ .path = path }, "qemu-img convert -O raw");
        refused(&(BlockOptions){ .path = path, .format = known[i].format }, "not supported yet");
        block_close(open_ok(&(BlockOptions){ .path = path, .format = "raw" }));
    }
    refused(&(BlockOptions){ .path = dir, .format = "rwa" }, "did you mean 'raw'");
}

static void test_a_truncated_cd_is_named(void)
{
    uint8_t *iso = g_malloc0(40 * 2048);

    memcpy(iso + 16 * 2048, "\1CD001\1", 7);
    memcpy(iso + 16 * 2048 + 80, "\x00\x00\x10\x00\x00\x10\x00\x00", 8);    /* 2 GiB */
    g_autofree char *path = make_file("short.iso", iso, 40 * 2048);
    refused(&(BlockOptions){ .path = path, .cdrom = true }, "truncated");
    block_close(open_ok(&(BlockOptions){ .path = path, .cdrom = true, .format = "raw" }));
    memcpy(iso + 16 * 2048 + 80, "\x28\x00\x00\x00\x00\x00\x00\x28", 8);    /* 40 sectors */
    g_assert_true(g_file_set_contents(path, (char *)iso, 40 * 2048, NULL));
    Block *b = open_ok(&(BlockOptions){ .path = path, .cdrom = true });
    g_assert_true(block_readonly(b));
    block_close(b);
    g_free(iso);
}

/* ---- against a model ---- */

enum { MODEL = 1000 * 1000 };       /* neither a multiple of 512 nor of a cluster */

static void random_requests(Block *b, uint8_t *model, uint64_t size)
{
    g_autofree uint8_t *buf = g_malloc(200000);

    for (unsigned i = 0; i < 1500; i++) {
        uint64_t len = g_test_rand_int_range(0, g_test_rand_int_range(0, 4) ? 5000 : 200000);
        uint64_t offset = g_test_rand_int_range(0, size - len + 1);
        switch (g_test_rand_int_range(0, 8)) {
        case 0:
            g_assert_cmpint(run(b, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
            break;
        case 1: case 2: case 3:
            for (uint64_t j = 0; j < len; j++) {
                buf[j] = i + j * 7;
            }
            g_assert_cmpint(run(b, BLOCK_WRITE, offset, buf, len), ==, 0);
            memcpy(model + offset, buf, len);
            break;
        default:
            g_assert_cmpint(run(b, BLOCK_READ, offset, buf, len), ==, 0);
            g_assert_cmpmem(buf, len, model + offset, len);
        }
    }
}

static void test_random(gconstpointer with_snapshot)
{
    bool snapshot = GPOINTER_TO_INT(with_snapshot);
    uint64_t size = (MODEL + 511) / 512 * 512;
    g_autofree uint8_t *model = g_malloc0(size), *before = NULL;
    g_autofree char *after = NULL;
    gsize len;

    for (unsigned i = 0; i < MODEL; i++) {
        model[i] = i * 31 >> 5;
    }
    before = g_memdup2(model, MODEL);
    g_autofree char *path = make_file("model.img", model, MODEL);
    Block *b = open_ok(&(BlockOptions){ .path = path, .snapshot = snapshot });
    g_assert_cmpuint(block_size(b), ==, size);
    random_requests(b, model, size);
    block_close(b);
    g_assert_true(g_file_get_contents(path, &after, &len, NULL));
    if (snapshot) {
        g_assert_cmpmem(after, len, before, MODEL);
    } else {
        g_assert_cmpuint(len, >=, MODEL);
        g_assert_cmpmem(after, len, model, len);
    }
}

static void check_contents(Block *b, const uint8_t *model, uint64_t size)
{
    g_autofree uint8_t *back = g_malloc(size);

    g_assert_cmpint(run(b, BLOCK_READ, 0, back, size), ==, 0);
    g_assert_cmpmem(back, size, model, size);
}

/* As often as one likes, to any of them, whatever was written since. */
static void test_back_to_a_mark(void)
{
    uint64_t size = (MODEL + 511) / 512 * 512;
    g_autofree uint8_t *model = g_malloc0(size);
    g_autofree char *path = make_file("marks.img", model, MODEL);
    Block *b = open_ok(&(BlockOptions){ .path = path, .snapshot = true });
    Past *p = loop_pasts(machine->loop);
    void *marks[4];
    uint8_t *then[4];

    for (unsigned i = 0; i < 4; i++) {
        random_requests(b, model, size);
        g_assert_false(p->busy(p->opaque));
        g_assert_null(p->stuck(p->opaque));
        marks[i] = p->mark(p->opaque);
        then[i] = g_memdup2(model, size);
    }
    for (unsigned i = 0; i < 12; i++) {
        unsigned to = i * 5 % 4;
        g_autofree uint8_t *now = g_memdup2(then[to], size);
        p->back(p->opaque, marks[to]);
        check_contents(b, then[to], size);
        random_requests(b, now, size);
        check_contents(b, now, size);
    }
    for (unsigned i = 0; i < 4; i++) {
        g_free(marks[i]);
        g_free(then[i]);
    }
    block_close(b);
    /* A disk that is written for good has no marks */
    b = open_ok(&(BlockOptions){ .path = path });
    p = loop_pasts(machine->loop);
    g_autofree char *why = p->stuck(p->opaque);
    g_assert_nonnull(strstr(why, "marks.img is written for good"));
    block_close(b);
}

static void test_many_at_once(void)
{
    enum { N = 64 };
    g_autofree uint8_t *data = g_malloc0(N * 4096), *back = g_malloc0(N * 4096);
    g_autofree char *path = make_file("many.img", data, N * 4096);
    Block *b = open_ok(&(BlockOptions){ .path = path, .snapshot = true });
    Wait w[N];

    for (unsigned i = 0; i < N; i++) {
        memset(data + i * 4096, i + 1, 4096);
        start(b, &w[i], BLOCK_WRITE, i * 4096, data + i * 4096, 4096);
    }
    block_drain(b);
    for (unsigned i = 0; i < N; i++) {
        g_assert_cmpuint(w[i].calls, ==, 1);
        g_assert_cmpint(w[i].err, ==, 0);
    }
    g_assert_cmpint(run(b, BLOCK_READ, 0, back, N * 4096), ==, 0);
    g_assert_cmpmem(back, N * 4096, data, N * 4096);
    block_close(b);
}

static void test_limits(void)
{
    uint8_t buf[1024] = { 0 };
    g_autofree char *path = make_file("limits.img", buf, 1000);
    Block *b = open_ok(&(BlockOptions){ .path = path, .readonly = true });

    g_assert_cmpint(run(b, BLOCK_READ, 512, buf, 513), ==, -EINVAL);
    g_assert_cmpint(run(b, BLOCK_READ, UINT64_MAX, buf, 1), ==, -EINVAL);
    g_assert_cmpint(run(b, BLOCK_READ, 1024, buf, 0), ==, 0);
    g_assert_cmpint(run(b, BLOCK_WRITE, 0, buf, 512), ==, -EROFS);
    g_assert_cmpint(run(b, BLOCK_DISCARD, 0, NULL, 512), ==, -EROFS);
    memset(buf, 1, sizeof(buf));
    g_assert_cmpint(run(b, BLOCK_READ, 512, buf, 512), ==, 0);
    g_assert_cmpuint(buf[511], ==, 0);              /* beyond the file's end */
    g_assert_cmpint(truncate(path, 100), ==, 0);
    g_assert_cmpint(run(b, BLOCK_READ, 512, buf, 512), ==, -EIO);
    g_autoptr(GString) info = g_string_new(NULL);
    block_info(b, info);
    g_assert_nonnull(strstr(info->str, ", 1 failed"));
    block_close(b);
}

static void test_discard_makes_holes(void)
{
    g_autofree uint8_t *data = g_malloc(1 << 20), *zeros = g_malloc0(1 << 20);
    memset(data, 0xaa, 1 << 20);
    g_autofree char *path = make_file("discard.img", data, 1 << 20);

    for (int snapshot = 0; snapshot < 2; snapshot++) {
        g_assert_true(g_file_set_contents(path, (char *)data, 1 << 20, NULL));
        Block *b = open_ok(&(BlockOptions){ .path = path, .snapshot = snapshot });
        uint8_t buf[131072];
        g_assert_cmpint(run(b, BLOCK_DISCARD, 65536, NULL, 131072), ==, 0);
        g_assert_cmpint(run(b, BLOCK_READ, 65536, buf, 131072), ==, 0);
        g_assert_cmpmem(buf, 131072, zeros, 131072);
        g_assert_cmpint(run(b, BLOCK_READ, 65536 + 131072, buf, 512), ==, 0);
        g_assert_cmpmem(buf, 512, data, 512);
        block_close(b);
    }
}

static void test_a_probed_disk_stays_raw(void)
{
    uint8_t buf[4096] = { 0 }, qcow[512] = "QFI\xfb";
    g_autofree char *path = make_file("stays.img", buf, sizeof(buf));
    Block *b = open_ok(&(BlockOptions){ .path = path });

    g_assert_cmpint(run(b, BLOCK_WRITE, 0, qcow, 512), ==, -EPERM);
    g_assert_cmpint(run(b, BLOCK_WRITE, 512, qcow, 512), ==, 0);
    block_close(b);
    b = open_ok(&(BlockOptions){ .path = path, .format = "raw" });
    g_assert_cmpint(run(b, BLOCK_WRITE, 0, qcow, 512), ==, 0);
    block_close(b);
    refused(&(BlockOptions){ .path = path }, "qcow2");
}

static void test_host_limit_reaches_the_guest_only(void)
{
    g_autofree uint8_t *data = g_malloc0(4 << 20);
    g_autofree char *path = make_file("limit.img", data, 4 << 20);
    struct rlimit old, small = { 1 << 20, RLIM_INFINITY };
    Block *b = open_ok(&(BlockOptions){ .path = path, .snapshot = true });

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    small.rlim_max = old.rlim_max;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    memset(data, 1, 65536);
    g_assert_cmpint(run(b, BLOCK_WRITE, 0, data, 1 << 20), ==, 0);          /* as much as goes into the file */
    g_assert_cmpint(run(b, BLOCK_WRITE, 3 << 20, data, 65536), ==, -EFBIG);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    g_assert_cmpint(run(b, BLOCK_READ, 3 << 20, data, 65536), ==, 0);
    g_assert_cmpuint(data[0], ==, 0);       /* as before the failed write */
    block_close(b);
}

/* ---- locks ---- */

static void test_locks_hold_in_one_process(void)
{
    uint8_t buf[512] = { 0 };
    g_autofree char *path = make_file("lock.img", buf, sizeof(buf));
    Block *writer = open_ok(&(BlockOptions){ .path = path });

    refused(&(BlockOptions){ .path = path }, "in use by another process");
    refused(&(BlockOptions){ .path = path, .readonly = true }, "in use by another process");
    block_close(open_ok(&(BlockOptions){ .path = path, .no_lock = true }));
    block_close(writer);
    Block *reader = open_ok(&(BlockOptions){ .path = path, .readonly = true });
    block_close(open_ok(&(BlockOptions){ .path = path, .snapshot = true }));
    refused(&(BlockOptions){ .path = path }, "-snapshot");
    block_close(reader);
}

static void test_locks_hold_between_processes(void)
{
    uint8_t buf[512] = { 0 };
    g_autofree char *path = make_file("lock2.img", buf, sizeof(buf));
    int ready[2], end[2];
    char c = 0;

    g_assert_cmpint(pipe(ready), ==, 0);
    g_assert_cmpint(pipe(end), ==, 0);
    pid_t child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {                       /* system calls only: the parent has threads */
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int fd = open(path, O_RDWR);
        close(end[1]);
        bool ok = fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1;
        _exit(ok && read(end[0], &c, 1) == 0 ? 0 : 1);
    }
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    refused(&(BlockOptions){ .path = path }, "in use by another process");
    close(end[1]);
    int status;
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    block_close(open_ok(&(BlockOptions){ .path = path }));
    close(end[0]);
    close(ready[0]);
    close(ready[1]);
}

/* ---- a disk that waits, and fails ---- */

typedef struct Gate {
    GMutex lock;
    GCond cond;
    unsigned waiting;
    bool open, closed;
} Gate;

static void lock_gate(Gate *g)
{
    g_mutex_lock(&g->lock);
    handoff_take(&g->lock);
}

static void unlock_gate(Gate *g)
{
    handoff_give(&g->lock);
    g_mutex_unlock(&g->lock);
}

static void wait_gate(Gate *g)
{
    handoff_give(&g->lock);
    g_cond_wait(&g->cond, &g->lock);
    handoff_take(&g->lock);
}

static int gate_read(void *disk, uint64_t offset, void *buf, size_t len)
{
    Gate *g = disk;

    lock_gate(g);
    g->waiting++;
    g_cond_broadcast(&g->cond);
    while (!g->open) {
        wait_gate(g);
    }
    unlock_gate(g);
    memset(buf, 0x5a, len);
    return offset == 0 ? -EIO : 0;
}

static void gate_close(void *disk)
{
    ((Gate *)disk)->closed = true;
}

static const BlockDriver gate_driver = { .name = "gate", .read = gate_read, .close = gate_close };

static gpointer open_gate(gpointer opaque)
{
    Gate *g = opaque;

    g_usleep(20000);            /* block_close() is waiting by now; the test holds either way */
    lock_gate(g);
    g->open = true;
    g_cond_broadcast(&g->cond);
    unlock_gate(g);
    return NULL;
}

static void test_close_completes_everything_once(void)
{
    enum { N = 20 };
    Gate gate = { 0 };
    uint8_t buf[N][512];
    Wait w[N];
    unsigned read = 0, cancelled = 0;
    Block *b = block_new(machine->loop, &gate_driver, &gate, 1 << 20, false, NULL);

    for (unsigned i = 0; i < N; i++) {
        start(b, &w[i], BLOCK_READ, 512 + 512 * i, buf[i], 512);
    }
    lock_gate(&gate);
    while (!gate.waiting) {
        wait_gate(&gate);
    }
    unlock_gate(&gate);
    GThread *opener = g_thread_new("opener", open_gate, &gate);
    block_close(b);
    g_thread_join(opener);
    g_assert_true(gate.closed);
    for (unsigned i = 0; i < N; i++) {
        g_assert_cmpuint(w[i].calls, ==, 1);
        g_assert_true(w[i].err == 0 || w[i].err == -ECANCELED);
        read += w[i].err == 0 && buf[i][0] == 0x5a;
        cancelled += w[i].err == -ECANCELED;
    }
    g_assert_cmpuint(read, >=, 1);
    g_assert_cmpuint(cancelled, >=, N - 4 - 4);     /* not more than the workers had begun */
    g_assert_cmpuint(read + cancelled, ==, N);
}

static void close_in_done(BlockReq *r, int err)
{
    Block **b = r->opaque;

    g_assert_cmpint(err, ==, -EIO);
    block_close(*b);
    *b = NULL;
}

static void test_done_may_close_the_disk(void)
{
    Gate gate = { .open = true };
    uint8_t buf[512];
    Block *b = block_new(machine->loop, &gate_driver, &gate, 1 << 20, false, NULL);
    BlockReq r = { .op = BLOCK_READ, .buf = buf, .len = 512, .done = close_in_done, .opaque = &b };

    block_submit(b, &r);
    for (unsigned i = 0; b && i < 100; i++) {
        machine_unlock(machine);
        loop_run(machine->loop, 100 * NS_PER_MS);
        machine_lock(machine);
    }
    g_assert_null(b);
    g_assert_true(gate.closed);
}

static void test_one_user(void)
{
    Gate gate = { .open = true };
    Block *b = block_new(machine->loop, &gate_driver, &gate, 1 << 20, false, NULL);
    g_autoptr(GError) err = NULL;

    g_assert_null(block_user(b));
    g_assert_true(block_claim(b, "ide-hd.0", NULL));
    g_assert_false(block_claim(b, "ide-hd.1", &err));
    g_assert_nonnull(strstr(err->message, "ide-hd.0"));
    block_close(b);
}

static void test_drive_list(void)
{
    BlockDrive a = { .id = "a" }, b = { .id = "b" }, c = { .id = "c" };

    g_assert_null(block_drive_first(machine));
    block_drive_add(machine, &a);
    block_drive_add(machine, &b);
    block_drive_add(machine, &c);
    g_assert_true(block_drive_find(machine, "b") == &b);
    g_assert_null(block_drive_find(machine, "d"));
    block_drive_remove(machine, &b);
    g_assert_true(block_drive_first(machine)->next == &c);
    block_drive_remove(machine, &a);
    g_assert_true(block_drive_first(machine) == &c);
    block_drive_remove(machine, &c);
    g_assert_null(block_drive_first(machine));
}

static void remove_dir(void)
{
    const char *name;
    GDir *d = g_dir_open(dir, 0, NULL);

    while ((name = g_dir_read_name(d))) {
        g_autofree char *path = in_dir(name);
        g_unlink(path);
    }
    g_dir_close(d);
    g_rmdir(dir);
    g_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("tinamou-block-XXXXXX", NULL);
    machine = machine_new(clock_new_manual());
    machine_lock(machine);
    g_test_add_func("/block/refuses-what-is-no-image", test_refuses_what_is_no_image);
    g_test_add_func("/block/refuses-formats-not-ours", test_refuses_formats_not_ours);
    g_test_add_func("/block/truncated-cd", test_a_truncated_cd_is_named);
    g_test_add_data_func("/block/random-raw", GINT_TO_POINTER(false), test_random);
    g_test_add_func("/block/back-to-a-mark", test_back_to_a_mark);
    g_test_add_data_func("/block/random-snapshot", GINT_TO_POINTER(true), test_random);
    g_test_add_func("/block/many-at-once", test_many_at_once);
    g_test_add_func("/block/limits", test_limits);
    g_test_add_func("/block/discard", test_discard_makes_holes);
    g_test_add_func("/block/probed-stays-raw", test_a_probed_disk_stays_raw);
    g_test_add_func("/block/host-limit", test_host_limit_reaches_the_guest_only);
    g_test_add_func("/block/locks-one-process", test_locks_hold_in_one_process);
    g_test_add_func("/block/locks-two-processes", test_locks_hold_between_processes);
    g_test_add_func("/block/close-in-flight", test_close_completes_everything_once);
    g_test_add_func("/block/close-in-done", test_done_may_close_the_disk);
    g_test_add_func("/block/one-user", test_one_user);
    g_test_add_func("/block/drives", test_drive_list);
    int status = g_test_run();
    machine_unlock(machine);
    machine_free(machine);
    remove_dir();
    return status;
}
