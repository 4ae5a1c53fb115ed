/*
 * A disk whose writes go to a temporary file that is gone when it is closed: -snapshot.
 *
 * The temporary file is as long as the disk and sparse; a bit for each 64 KiB cluster says whether
 * the cluster's bytes are there or still in the base, which is never written.  The first write to a
 * part of a cluster copies the rest of it.  Readers share a lock; writers have it alone.
 */
#include "block-int.h"

#include "util/error.h"
#include "util/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

enum { CLUSTER = 64 * 1024 };

typedef struct Overlay {
    const BlockDriver *base_driver;
    void *base;
    uint64_t size;
    int fd;
    uint64_t *present;          /* bit n: cluster n is in the temporary file */
    GRWLock lock;
} Overlay;

static bool is_present(const Overlay *d, uint64_t cluster)
{
    return d->present[cluster / 64] >> (cluster % 64) & 1;
}

static void set_present(Overlay *d, uint64_t cluster)
{
    d->present[cluster / 64] |= 1ull << (cluster % 64);
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
        bool here = is_present(d, offset / CLUSTER);
        size_t n = to_cluster_end(offset, len);
        while (n < len && is_present(d, (offset + n) / CLUSTER) == here) {
            n += to_cluster_end(offset + n, len - n);
        }
        err = here ? read_all(d->fd, offset, to, n) : d->base_driver->read(d->base, offset, to, n);
        to += n;
        offset += n;
        len -= n;
    }
    handoff_give(&d->lock);
    g_rw_lock_reader_unlock(&d->lock);
    return err;
}

/* The part of a cluster [from, to) that a write leaves alone, from the base. */
static int copy_from_base(Overlay *d, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return 0;
    }
    g_autofree uint8_t *bytes = g_malloc(to - from);
    int err = d->base_driver->read(d->base, from, bytes, to - from);
    return err ? err : write_all(d->fd, from, bytes, to - from);
}

static int overlay_write(void *disk, uint64_t offset, const void *buf, size_t len)
{
    Overlay *d = disk;
    const uint8_t *from = buf;
    int err = 0;

    g_rw_lock_writer_lock(&d->lock);
    handoff_take(&d->lock);
    while (len && !err) {
        uint64_t cluster = offset / CLUSTER;
        size_t n = to_cluster_end(offset, len);
        if (!is_present(d, cluster)) {
            uint64_t start = cluster * CLUSTER, end = MIN(start + CLUSTER, d->size);
            err = copy_from_base(d, start, offset);
            err = err ? err : copy_from_base(d, offset + n, end);
        }
        err = err ? err : write_all(d->fd, offset, from, n);
        if (!err) {
            set_present(d, cluster);
        }
        from += n;
        offset += n;
        len -= n;
    }
    handoff_give(&d->lock);
    g_rw_lock_writer_unlock(&d->lock);
    return err;
}

/* Whole clusters become holes of the temporary file; the ends of the range keep their bytes. */
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
    if (fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * CLUSTER,
                  (end - first) * CLUSTER) == 0) {
        for (uint64_t c = first; c < end; c++) {
            set_present(d, c);
        }
    } else if (errno != EOPNOTSUPP) {
        err = -errno;
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
    g_free(d->present);
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
    uint64_t words = size / CLUSTER / 64 + 1;
    uint64_t *present = g_try_new0(uint64_t, words);

    if (!present) {
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
        g_free(present);
        return NULL;
    }
    Overlay *d = g_new0(Overlay, 1);
    d->base_driver = base_driver;
    d->base = base;
    d->size = size;
    d->fd = fd;
    d->present = present;
    g_rw_lock_init(&d->lock);
    return d;
}

/* Nothing outlives the process, so there is nothing to flush. */
const BlockDriver block_overlay = {
    .name = "snapshot",
    .summary = "writes to a temporary file over another disk",
    .close = overlay_close,
    .read = overlay_read,
    .write = overlay_write,
    .discard = overlay_discard,
};
