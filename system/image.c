/*
 * system/image.c - what an image file is, for `tinamou IMAGE`.
 *
 * ECMA-119 (ISO 9660) 8.4: the primary volume descriptor lies at byte 0x8000, "CD001" at its byte 1.
 * Floppy images have no signature; their sizes are those of the formats PCs had.
 */
#include "internal.h"
#include "util/bits.h"
#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PVD_AT = 0x8000, PVD_LEN = 2048, PVD_BLOCKS = 80, PVD_BLOCK_SIZE = 128 };

static const unsigned floppy_kib[] = { 160, 180, 320, 360, 720, 1200, 1440, 1680, 1722, 2880 };

static bool is_iso(int fd, uint8_t pvd[PVD_LEN])
{
    return pread(fd, pvd, PVD_LEN, PVD_AT) == PVD_LEN && !memcmp(pvd + 1, "CD001", 5);
}

bool image_kind(const char *path, ImageKind *kind, GError **errp)
{
    uint8_t pvd[PVD_LEN];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st)) {
        error_set_errno(errp, errno, "cannot open '%s'", path);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    *kind = is_iso(fd, pvd) ? IMAGE_CDROM : IMAGE_DISK;
    close(fd);
    if (S_ISDIR(st.st_mode)) {
        error_set(errp, "'%s' is a directory, not an image", path);
        return false;
    }
    if (S_ISREG(st.st_mode) && st.st_size == 0) {
        error_set(errp, "'%s' is empty", path);
        return false;
    }
    for (unsigned i = 0; *kind == IMAGE_DISK && i < G_N_ELEMENTS(floppy_kib); i++) {
        if (S_ISREG(st.st_mode) && st.st_size == (off_t)floppy_kib[i] * 1024) {
            *kind = IMAGE_FLOPPY;
        }
    }
    return true;
}

uint64_t image_iso_missing(const char *path)
{
    uint8_t pvd[PVD_LEN];
    struct stat st;
    uint64_t volume, missing = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return 0;
    }
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && is_iso(fd, pvd)) {
        volume = (uint64_t)ld32le(pvd + PVD_BLOCKS) * ld16le(pvd + PVD_BLOCK_SIZE);
        missing = volume > (uint64_t)st.st_size ? volume - st.st_size : 0;
    }
    close(fd);
    return missing;
}
