/*
 * One disk: requests go to a few worker threads, completions come back on the loop.
 *
 * A worker puts a finished request on the disk's list and writes to an eventfd that the loop
 * watches; the list is taken one by one, so that a done() may submit, drain or close.  Requests run
 * in any order, as on a disk with a queue: who needs an order waits for the first.
 */
#include "block-int.h"

#include "util/error.h"
#include "util/handoff.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS_PER_DISK = 4, ERRORS_LOGGED_EACH = 8 };

struct Block {
    Loop *loop;
    const BlockDriver *drv;
    void *disk;
    uint64_t size;
    char *id, *path, *user;
    bool readonly, snapshot, guess;     /* guess: "raw" by probing, see guards_format() */
    GThreadPool *pool;
    int event_fd;
    LoopWatch *watch;
    unsigned in_flight;                 /* submitted, done() not yet called; loop side only */
    unsigned nesting;                   /* of complete_one(): a done() may close the disk */
    bool closed;
    uint64_t reads, writes, errors;
    GMutex lock;                        /* guards what follows */
    GCond finished;
    bool closing;
    BlockReq *first, *last;             /* finished, in order */
    Past past;
    Timer done;                         /* where time is counted: the first of them is */
};

static const char *const op_names[] = {
    [BLOCK_READ] = "read", [BLOCK_WRITE] = "write", [BLOCK_FLUSH] = "flush", [BLOCK_DISCARD] = "discard",
};

static void lock(Block *b)
{
    g_mutex_lock(&b->lock);
    handoff_take(&b->lock);
}

static void unlock(Block *b)
{
    handoff_give(&b->lock);
    g_mutex_unlock(&b->lock);
}

/* ---- worker side ---- */

static void append(Block *b, BlockReq *r, int err)
{
    r->err = err;
    r->next = NULL;
    if (b->first) {
        b->last->next = r;
    } else {
        b->first = r;
    }
    b->last = r;
}

static void finish(Block *b, BlockReq *r, int err)
{
    static const uint64_t one = 1;

    lock(b);
    append(b, r, err);
    /* Under the lock: whoever takes the last request off the list may close the eventfd next. */
    if (write(b->event_fd, &one, sizeof(one)) < 0) {
        g_assert(errno == EAGAIN);      /* the counter is full, so it is signalled already */
    }
    g_cond_signal(&b->finished);
    unlock(b);
}

static int perform(Block *b, BlockReq *r)
{
    switch (r->op) {
    case BLOCK_READ:
        return b->drv->read(b->disk, r->offset, r->buf, r->len);
    case BLOCK_WRITE:
        return b->drv->write(b->disk, r->offset, r->buf, r->len);
    case BLOCK_FLUSH:
        return b->drv->flush ? b->drv->flush(b->disk) : 0;
    case BLOCK_DISCARD:
        return b->drv->discard ? b->drv->discard(b->disk, r->offset, r->len) : 0;
    }
    return -EINVAL;
}

static void work(gpointer data, gpointer opaque)
{
    BlockReq *r = data;
    Block *b = opaque;

    handoff_take(r);
    lock(b);
    bool cancel = b->closing;
    unlock(b);
    finish(b, r, cancel ? -ECANCELED : perform(b, r));
}

/* ---- loop side ---- */

/* The host's failures, and our refusals to it; not a request that no disk could serve. */
static void count_error(Block *b, const BlockReq *r)
{
    if (!r->err || r->err == -ECANCELED || r->err == -EINVAL || r->err == -EROFS) {
        return;
    }
    b->errors++;
    /* A full disk fails every request: say the first few, then at each doubling. */
    if (b->errors <= ERRORS_LOGGED_EACH || (b->errors & (b->errors - 1)) == 0) {
        log_printf("%s: %s of %" PRIu64 " bytes at %" PRIu64 " failed: %s (%" PRIu64 " failed so far)\n",
                   b->path ? b->path : b->drv->name, op_names[r->op], r->len, r->offset,
                   g_strerror(-r->err), b->errors);
    }
}

static void release(Block *b)
{
    g_mutex_clear(&b->lock);
    g_cond_clear(&b->finished);
    g_free(b->id);
    g_free(b->path);
    g_free(b->user);
    g_free(b);
}

/* Call the done() of one finished request; false: none is finished. */
static bool complete_one(Block *b)
{
    lock(b);
    BlockReq *r = b->first;
    if (r) {
        b->first = r->next;
    }
    unlock(b);
    if (!r) {
        return false;
    }
    b->in_flight--;
    count_error(b, r);
    r->done(r, r->err);
    return true;
}

static void complete(void *opaque, int fd, unsigned events)
{
    Block *b = opaque;
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0) {
        return;                         /* drained meanwhile */
    }
    b->nesting++;
    while (!b->closed && complete_one(b)) {
    }
    if (--b->nesting == 0 && b->closed) {
        release(b);
    }
}

/* ---- where time is a number of instructions ----
 *
 * The host's disk must not be seen in the guest's time.  A request is done at once, and completes
 * after as long as a disk of one constant speed would take, one request after the other. */

enum { COUNTED_NS = 100 * NS_PER_US };

static void await_counted(Block *b)
{
    if (b->first && !timer_armed(&b->done)) {
        timer_arm(&b->done, clock_now(b->done.clock) + COUNTED_NS + (int64_t)b->first->len);
    }
}

static void complete_counted(void *opaque)
{
    Block *b = opaque;

    b->nesting++;
    if (!b->closed) {
        complete_one(b);
    }
    if (--b->nesting == 0 && b->closed) {
        release(b);
    } else if (!b->closed) {
        await_counted(b);
    }
}

static bool counted_busy(void *opaque)
{
    const Block *b = opaque;

    return b->in_flight;
}

/* A disk that is written for good has no past to go back to. */
static char *counted_stuck(void *opaque)
{
    const Block *b = opaque;

    return b->readonly || b->drv->mark ? NULL
        : g_strdup_printf("%s is written for good: with -snapshot, or readonly=on, there would be a way back",
                          b->path ? b->path : b->id ? b->id : b->drv->name);
}

static void *counted_mark(void *opaque)
{
    Block *b = opaque;

    return b->drv->mark ? b->drv->mark(b->disk) : NULL;
}

static void counted_back(void *opaque, const void *mark)
{
    Block *b = opaque;

    b->drv->back(b->disk, mark);
}

/* A disk that was taken for raw by its first bytes must be so next time too: a guest that writes
 * another format's head there could otherwise choose how its image is read, and what it names. */
static bool guards_format(const Block *b, const BlockReq *r)
{
    return b->guess && r->op == BLOCK_WRITE && r->offset == 0 && block_foreign_format(r->buf, r->len);
}

static int check(const Block *b, const BlockReq *r)
{
    if (b->closed || b->closing) {
        return -ECANCELED;
    }
    if (r->op != BLOCK_FLUSH && (r->offset > b->size || r->len > b->size - r->offset)) {
        return -EINVAL;
    }
    if (b->readonly && (r->op == BLOCK_WRITE || r->op == BLOCK_DISCARD)) {
        return -EROFS;
    }
    return guards_format(b, r) ? -EPERM : 0;
}

void block_submit(Block *b, BlockReq *r)
{
    int err = check(b, r);

    b->in_flight++;
    b->reads += r->op == BLOCK_READ;
    b->writes += r->op == BLOCK_WRITE;
    if (clock_counted(b->done.clock)) {
        append(b, r, err ? err : perform(b, r));
        await_counted(b);
    } else if (err) {
        finish(b, r, err);
    } else {
        handoff_give(r);
        g_thread_pool_push(b->pool, r, NULL);
    }
}

void block_drain(Block *b)
{
    b->nesting++;
    while (!b->closed && b->in_flight) {
        lock(b);
        while (!b->first) {
            handoff_give(&b->lock);
            g_cond_wait(&b->finished, &b->lock);
            handoff_take(&b->lock);
        }
        unlock(b);
        complete_one(b);
    }
    if (--b->nesting == 0 && b->closed) {
        release(b);
    }
}

int block_read_sync(Block *b, uint64_t offset, void *buf, size_t len)
{
    if (offset > b->size || len > b->size - offset) {
        return -EINVAL;
    }
    return b->drv->read(b->disk, offset, buf, len);
}

/* ---- what it is ---- */

const char *block_id(const Block *b) { return b->id; }
const char *block_path(const Block *b) { return b->path; }
const char *block_format(const Block *b) { return b->drv->name; }
uint64_t block_size(const Block *b) { return b->size; }
bool block_readonly(const Block *b) { return b->readonly; }
bool block_can_discard(const Block *b) { return b->drv->discard && !b->readonly; }
const char *block_user(const Block *b) { return b->user; }

void block_info(const Block *b, GString *out)
{
    g_string_append_printf(out, "%s (%s%s%s), %" PRIu64 " bytes", b->path ? b->path : "(no file)",
                           b->snapshot ? "raw under " : "", b->drv->name,
                           b->readonly ? ", read-only" : b->snapshot ? ", writes are temporary" : "",
                           b->size);
    g_string_append_printf(out, ", %" PRIu64 " reads, %" PRIu64 " writes", b->reads, b->writes);
    if (b->errors) {
        g_string_append_printf(out, ", %" PRIu64 " failed", b->errors);
    }
}

bool block_claim(Block *b, const char *user, GError **errp)
{
    if (b->user) {
        error_set(errp, "drive '%s' is already used by '%s'; give each device a drive of its own",
                  b->id ? b->id : b->path ? b->path : b->drv->name, b->user);
        return false;
    }
    b->user = g_strdup(user);
    return true;
}

/* ---- life cycle ---- */

Block *block_new(Loop *loop, const BlockDriver *drv, void *disk, uint64_t size, bool readonly, GError **errp)
{
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (event_fd < 0) {
        error_set_errno(errp, errno, "no eventfd for a disk; raise the limit of open files (ulimit -n)");
        return NULL;
    }
    Block *b = g_new0(Block, 1);
    b->loop = loop;
    b->drv = drv;
    b->disk = disk;
    b->size = size;
    b->readonly = readonly;
    g_mutex_init(&b->lock);
    g_cond_init(&b->finished);
    /* Not exclusive: the threads are shared with other disks and end when idle. */
    b->pool = g_thread_pool_new(work, b, WORKERS_PER_DISK, FALSE, NULL);
    b->event_fd = event_fd;
    b->watch = loop_watch(loop, b->event_fd, LOOP_IN, complete, b);
    timer_init(&b->done, loop_clock(loop), complete_counted, b);
    b->past = (Past){ counted_busy, counted_stuck, counted_mark, counted_back, b, NULL };
    loop_add_past(loop, &b->past);
    return b;
}

void block_describe(Block *b, const BlockOptions *o, bool guess)
{
    b->id = g_strdup(o->id);
    b->path = g_strdup(o->path);
    b->snapshot = o->snapshot;
    b->guess = guess;
}

void block_close(Block *b)
{
    if (!b) {
        return;
    }
    lock(b);
    b->closing = true;
    unlock(b);
    block_drain(b);
    g_thread_pool_free(b->pool, FALSE, TRUE);
    loop_unwatch(b->watch);
    timer_cancel(&b->done);
    loop_remove_past(b->loop, &b->past);
    close(b->event_fd);
    if (b->drv->close) {
        b->drv->close(b->disk);
    }
    b->closed = true;
    if (b->nesting == 0) {
        release(b);                     /* else complete() does, when the done() that called us is back */
    }
}
