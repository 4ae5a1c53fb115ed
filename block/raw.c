/*
 * Raw images and host disks: the bytes as they lie.
 *
 * A file is locked as a whole by an open-file-description lock (fcntl(2), F_OFD_SETLK): shared by
 * readers, exclusive for a writer, dropped by the kernel with the descriptor.  A size that is no
 * multiple of 512 is rounded up: what is beyond the end reads as zeros, and a write there extends
 * the file.
 *
 * Not modelled: direct I/O; geometry and removable media of host devices.
 */
#include "block-int.h"

#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct RawDisk {
    int fd;
    bool is_device;
    uint64_t size;              /* rounded up to whole sectors */
    _Atomic uint64_t end;       /* of the file itself */
} RawDisk;

static bool lock_file(int fd, const char *path, bool shared, GError **errp)
{
    struct flock lock = { .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return true;
    }
    if (errno != EAGAIN && errno != EACCES) {
        return true;            /* a file system without locks: nothing to hold against the user */
    }
    error_set(errp, "image '%s' is in use by another process or drive%s; close that one first, use -snapshot or "
              "readonly=on in both, or file.locking=off if the other is known not to write", path,
              shared ? " that writes to it" : "");
    return false;
}

static int open_image(const BlockOptions *o, bool readonly, GError **errp)
{
    /* Not to be held up by a FIFO without a writer; it has no effect on files and disks. */
    int fd = open(o->path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0) {
        return fd;
    }
    switch (errno) {
    case ENOENT:
        error_set(errp, "image '%s' does not exist; check the path", o->path);
        break;
    case EISDIR:
        error_set(errp, "'%s' is a directory, not a disk image", o->path);
        break;
    case EACCES: case EPERM: case EROFS: case ETXTBSY:
        error_set_errno(errp, errno, "image '%s' cannot be opened for %s%s", o->path,
                        readonly ? "reading" : "writing",
                        readonly ? "" : " (readonly=on or -snapshot need only read it)");
        break;
    default:
        error_set_errno(errp, errno, "image '%s' cannot be opened", o->path);
    }
    return -1;
}

static bool find_size(RawDisk *d, const char *path, GError **errp)
{
    struct stat st;
    uint64_t bytes = 0;

    if (fstat(d->fd, &st) < 0) {
        error_set_errno(errp, errno, "size of image '%s' not known", path);
        return false;
    }
    if (S_ISDIR(st.st_mode)) {
        error_set(errp, "'%s' is a directory, not a disk image", path);
        return false;
    }
    if (S_ISBLK(st.st_mode)) {
        d->is_device = true;
        if (ioctl(d->fd, BLKGETSIZE64, &bytes) < 0) {
            error_set_errno(errp, errno, "size of host disk '%s' not known (no medium?)", path);
            return false;
        }
    } else if (S_ISREG(st.st_mode)) {
        bytes = st.st_size;
    } else {
        error_set(errp, "'%s' is neither a file nor a disk; a disk image is expected", path);
        return false;
    }
    if (bytes == 0) {
        error_set(errp, "image '%s' is empty (0 bytes); make a blank disk with `truncate -s 8G %s`", path,
                  path);
        return false;
    }
    d->end = bytes;
    d->size = (bytes + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return true;
}

static void raw_close(void *disk)
{
    RawDisk *d = disk;

    close(d->fd);
    g_free(d);
}

static void *raw_open(const BlockOptions *o, uint64_t *size, GError **errp)
{
    bool readonly = o->readonly || o->snapshot || o->cdrom;
    RawDisk *d = g_new0(RawDisk, 1);

    d->fd = open_image(o, readonly, errp);
    if (d->fd < 0) {
        g_free(d);
        return NULL;
    }
    if (!find_size(d, o->path, errp) || (!o->no_lock && !lock_file(d->fd, o->path, readonly, errp))) {
        raw_close(d);
        return NULL;
    }
    *size = d->size;
    return d;
}

static int raw_read(void *disk, uint64_t offset, void *buf, size_t len)
{
    const RawDisk *d = disk;
    uint8_t *to = buf;

    while (len) {
        ssize_t n = pread(d->fd, to, len, offset);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        if (n == 0) {
            if (offset < d->end) {
                return -EIO;            /* someone has made the file shorter */
            }
            memset(to, 0, len);         /* the rest of the last sector */
            return 0;
        }
        to += n;
        offset += n;
        len -= n;
    }
    return 0;
}

static int raw_write(void *disk, uint64_t offset, const void *buf, size_t len)
{
    RawDisk *d = disk;
    const uint8_t *from = buf;

    while (len) {
        ssize_t n = pwrite(d->fd, from, len, offset);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        if (n == 0) {
            return -ENOSPC;
        }
        from += n;
        offset += n;
        len -= n;
        if (offset > d->end) {
            d->end = offset;            /* only ever the file's last sector: no race that matters */
        }
    }
    return 0;
}

static int raw_flush(void *disk)
{
    const RawDisk *d = disk;

    return fdatasync(d->fd) < 0 ? -errno : 0;
}

/* A hint: a host that cannot give the space back is no error. */
static int raw_discard(void *disk, uint64_t offset, uint64_t len)
{
    const RawDisk *d = disk;
    uint64_t range[2] = { offset, len };
    int r = d->is_device ? ioctl(d->fd, BLKDISCARD, range)
                         : fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len);

    if (r < 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != ENOTTY) {
        return -errno;
    }
    return 0;
}

const BlockDriver block_raw = {
    .name = "raw",
    .summary = "the bytes of a file or host disk as they lie",
    .open = raw_open,
    .close = raw_close,
    .read = raw_read,
    .write = raw_write,
    .flush = raw_flush,
    .discard = raw_discard,
};
