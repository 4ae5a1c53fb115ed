/*
 * A disk whose writes go to a temporary file that is gone when it is closed: -snapshot.
 *
 * The temporary file is sparse and has slots of 64 KiB; a table says for each cluster of the disk which
 * slot has its bytes, or that they are still in the base, which is never written.  The first write to a part of
 * a cluster copies the rest of it.  A mark is a copy of the table, and what was in slots then stays there: later
 * writes go to slots of their own.  Readers share a lock; writers have it alone.
 */
#include "block-int.h"

#include "util/error.h"
#include "util/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

enum { CLUSTER = 64 * 1024 };

typedef struct Overlay {
    const BlockDriver *base_driver;
    void *base;
    uint64_t size;
    int fd;
    uint32_t *slot;             /* of each cluster, from 1; 0: in the base */
    uint64_t clusters;
    uint32_t used, kept;        /* slots; those up to `kept` belong to a mark, too */
    GRWLock lock;
} Overlay;

/* Where the byte is in the temporary file, when its cluster has a slot. */
static uint64_t in_file(const Overlay *d, uint64_t offset)
{
    return (uint64_t)(d->slot[offset / CLUSTER] - 1) * CLUSTER + offset % CLUSTER;
}

/* A slot that is all zeros; or -errno. */
static int new_slot(Overlay *d, uint32_t *slot)
{
    if (d->used == UINT32_MAX) {
        return -ENOSPC;
    }
    if (ftruncate(d->fd, ((off_t)d->used + 1) * CLUSTER) < 0) {
        return -errno;
    }
    *slot = ++d->used;
    return 0;
}

static int read_all(int fd, uint64_t offset, uint8_t *to, size_t len)
{
    while (len) {
        ssize_t n = pread(fd, to, len, offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n ? -errno : -EIO;
        }
        to += n;
        offset += n;
        len -= n;
    }
    return 0;
}

static int write_all(int fd, uint64_t offset, const uint8_t *from, size_t len)
{
    while (len) {
        ssize_t n = pwrite(fd, from, len, offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n ? -errno : -ENOSPC;
        }
        from += n;
        offset += n;
        len -= n;
    }
    return 0;
}

static uint64_t to_cluster_end(uint64_t offset, uint64_t len)
{
    return MIN(len, CLUSTER - offset % CLUSTER);
}

static int overlay_read(void *disk, uint64_t offset, void *buf, size_t len)
{
    Overlay *d = disk;
    uint8_t *to = buf;
    int err = 0;

    g_rw_lock_reader_lock(&d->lock);
    handoff_take(&d->lock);
    while (len && !err) {
        bool here = d->slot[offset / CLUSTER];
        size_t n = to_cluster_end(offset, len);
        while (!here && n < len && !d->slot[(offset + n) / CLUSTER]) {
            n += to_cluster_end(offset + n, len - n);
        }
        err = here ? read_all(d->fd, in_file(d, offset), to, n) : d->base_driver->read(d->base, offset, to, n);
        to += n;
        offset += n;
        len -= n;
    }
    handoff_give(&d->lock);
    g_rw_lock_reader_unlock(&d->lock);
    return err;
}

/* The part of a cluster [from, to) that a write leaves alone, from where it is, to its place in a new slot. */
static int copy_rest(Overlay *d, uint64_t from, uint64_t to, uint32_t slot)
{
    if (from >= to) {
        return 0;
    }
    g_autofree uint8_t *bytes = g_malloc(to - from);
    int err = d->slot[from / CLUSTER] ? read_all(d->fd, in_file(d, from), bytes, to - from)
                                      : d->base_driver->read(d->base, from, bytes, to - from);
    return err ? err : write_all(d->fd, (uint64_t)(slot - 1) * CLUSTER + from % CLUSTER, bytes, to - from);
}

/* A slot of its own for a cluster of which [from, to) is about to be written. */
static int give_slot(Overlay *d, uint64_t from, uint64_t to)
{
    uint64_t cluster = from / CLUSTER, start = cluster * CLUSTER, end = MIN(start + CLUSTER, d->size);

    if (d->slot[cluster] > d->kept) {
        return 0;
    }
    uint32_t slot = 0;
    int err = new_slot(d, &slot);
    err = err ? err : copy_rest(d, start, from, slot);
    err = err ? err : copy_rest(d, to, end, slot);
    if (!err) {
        d->slot[cluster] = slot;
    }
    return err;
}

static int overlay_write(void *disk, uint64_t offset, const void *buf, size_t len)
{
    Overlay *d = disk;
    const uint8_t *from = buf;
    int err = 0;

    g_rw_lock_writer_lock(&d->lock);
    handoff_take(&d->lock);
    while (len && !err) {
        size_t n = to_cluster_end(offset, len);
        err = give_slot(d, offset, offset + n);
        err = err ? err : write_all(d->fd, in_file(d, offset), from, n);
        from += n;
        offset += n;
        len -= n;
    }
    handoff_give(&d->lock);
    g_rw_lock_writer_unlock(&d->lock);
    return err;
}

/* Whole clusters become holes of the temporary file; the ends of the range keep their bytes. */
static int punch(Overlay *d, uint64_t cluster)
{
    if (d->slot[cluster] <= d->kept) {
        return new_slot(d, &d->slot[cluster]);
    }
    return fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)in_file(d, cluster * CLUSTER),
                     CLUSTER) < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

static int overlay_discard(void *disk, uint64_t offset, uint64_t len)
{
    Overlay *d = disk;
    uint64_t first = (offset + CLUSTER - 1) / CLUSTER, end = (offset + len) / CLUSTER;
    int err = 0;

    if (first >= end) {
        return 0;
    }
    g_rw_lock_writer_lock(&d->lock);
    handoff_take(&d->lock);
    for (uint64_t c = first; c < end && !err; c++) {
        err = punch(d, c);
    }
    handoff_give(&d->lock);
    g_rw_lock_writer_unlock(&d->lock);
    return err;
}

static void overlay_close(void *disk)
{
    Overlay *d = disk;

    d->base_driver->close(d->base);
    close(d->fd);
    g_rw_lock_clear(&d->lock);
    g_free(d->slot);
    g_free(d);
}

static int temporary_file(GError **errp)
{
    /* Disks are large, and /tmp is memory on many hosts. */
    const char *set = g_getenv("TMPDIR"), *dir = set ? set : "/var/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        g_autofree char *name = g_build_filename(dir, "tinamou-XXXXXX", NULL);
        fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0) {
            unlink(name);
        }
    }
    if (fd < 0) {
        error_set_errno(errp, errno, "no temporary file for -snapshot in '%s' (TMPDIR chooses another place)",
                        dir);
    }
    return fd;
}

void *block_overlay_new(const BlockDriver *base_driver, void *base, uint64_t size, GError **errp)
{
    uint64_t clusters = size / CLUSTER + 1;
    uint32_t *slot = g_try_new0(uint32_t, clusters);

    if (!slot) {
        error_set(errp, "a disk of %" G_GUINT64_FORMAT " bytes is too large for -snapshot", size);
        return NULL;
    }
    int fd = temporary_file(errp);
    if (fd >= 0 && ftruncate(fd, size) < 0) {
        error_set_errno(errp, errno, "a temporary file of %" G_GUINT64_FORMAT " bytes for -snapshot is not "
                        "possible (TMPDIR chooses another place)", size);
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        g_free(slot);
        return NULL;
    }
    Overlay *d = g_new0(Overlay, 1);
    d->base_driver = base_driver;
    d->base = base;
    d->size = size;
    d->fd = fd;
    d->slot = slot;
    d->clusters = clusters;
    g_rw_lock_init(&d->lock);
    return d;
}

static void *overlay_mark(void *disk)
{
    Overlay *d = disk;

    d->kept = d->used;
    return g_memdup2(d->slot, d->clusters * sizeof(*d->slot));
}

static void overlay_back(void *disk, const void *mark)
{
    Overlay *d = disk;

    memcpy(d->slot, mark, d->clusters * sizeof(*d->slot));
    d->kept = d->used;
}

/* Nothing outlives the process, so there is nothing to flush. */
const BlockDriver block_overlay = {
    .name = "snapshot",
    .summary = "writes to a temporary file over another disk",
    .close = overlay_close,
    .read = overlay_read,
    .write = overlay_write,
    .discard = overlay_discard,
    .mark = overlay_mark,
    .back = overlay_back,
};
