/*
 * From options to a disk: the driver table, probing, and what is refused with a reason.
 *
 * An image is probed once, before the guest runs.  "raw" is what is left when no other format's
 * magic is found; a disk opened so refuses a write that would plant one (block.c).
 */
#include "block-int.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/suggest.h"

typedef struct Magic {
    const char *format;         /* as qemu-img names it */
    const char *bytes;
    uint8_t len, at;
} Magic;

static const Magic magics[] = {     /* formats known by sight only */
    { "qcow2", "QFI\xfb", 4, 0 },
    { "vmdk", "KDMV", 4, 0 },
    { "vmdk", "COWD", 4, 0 },
    { "vmdk", "# Disk DescriptorFile", 21, 0 },
    { "vdi", "\x7f\x10\xda\xbe", 4, 0x40 },
    { "vhdx", "vhdxfile", 8, 0 },
    { "vpc", "conectix", 8, 0 },
    { "qed", "QED\0", 4, 0 },
    { "parallels", "WithoutFreeSpace", 16, 0 },
    { "parallels", "WithouFreSpacExt", 16, 0 },
};

const BlockDriver *const block_drivers[] = { &block_raw, NULL };

const char *block_foreign_format(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < G_N_ELEMENTS(magics); i++) {
        const Magic *m = &magics[i];
        if (len >= (size_t)m->at + m->len && memcmp(head + m->at, m->bytes, m->len) == 0) {
            return m->format;
        }
    }
    return NULL;
}

/* ECMA-119 section 8.4: the primary volume descriptor, in sector 16, says how long the volume is. */
static bool iso_is_complete(const BlockDriver *drv, void *disk, uint64_t size, const char *path,
                            GError **errp)
{
    /* Some writers count the run-out blocks of a track that the file does not have. */
    enum { SECTOR = 2048, DESCRIPTOR = 16 * SECTOR, RUN_OUT = 300 };
    uint8_t pvd[SECTOR];

    if (size < DESCRIPTOR + SECTOR || drv->read(disk, DESCRIPTOR, pvd, SECTOR) != 0 ||
        memcmp(pvd, "\1CD001", 6) != 0) {
        return true;            /* not ISO 9660: whatever it is, it has no length to hold it to */
    }
    uint64_t expected = (uint64_t)ld32le(pvd + 80) * SECTOR;
    if (expected > size + RUN_OUT * SECTOR) {
        error_set(errp,
                  "CD image '%s' is truncated: it says it has %" G_GUINT64_FORMAT
                  " bytes, the file has %" G_GUINT64_FORMAT
                  "; get it again, or give format=raw to use what is there",
                  path, expected, size);
        return false;
    }
    return true;
}

const BlockDriver *block_find_driver(const char *format, GError **errp)
{
    const char *names[G_N_ELEMENTS(block_drivers)] = { NULL };

    for (unsigned i = 0; block_drivers[i]; i++) {
        if (strcmp(block_drivers[i]->name, format) == 0) {
            return block_drivers[i];
        }
        names[i] = block_drivers[i]->name;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(magics); i++) {
        if (strcmp(magics[i].format, format) == 0) {
            error_set(errp, "image format '%s' is not supported yet; convert the image with "
                      "`qemu-img convert -O raw OLD NEW.img`", format);
            return NULL;
        }
    }
    g_autofree char *tail = suggest_tail(format, names);
    error_set(errp, "there is no image format '%s'%s", format, *tail ? tail : "; there is raw");
    return NULL;
}

/* What the first bytes say, when the user did not: an error if it is nothing we can read. */
static bool accept_guess(const BlockDriver *drv, void *disk, uint64_t size, const BlockOptions *o,
                         GError **errp)
{
    uint8_t head[BLOCK_HEAD];
    size_t len = MIN(size, sizeof(head));
    int err = drv->read(disk, 0, head, len);

    if (err) {
        error_set_errno(errp, -err, "image '%s' cannot be read", o->path);
        return false;
    }
    const char *foreign = block_foreign_format(head, len);
    if (foreign) {
        error_set(errp, "image '%s' is in %s format, which is not supported yet; convert it with "
                  "`qemu-img convert -O raw %s NEW.img` (or give format=raw if its bytes are the disk's)",
                  o->path, foreign, o->path);
        return false;
    }
    return !o->cdrom || iso_is_complete(drv, disk, size, o->path, errp);
}

Block *block_open(Loop *loop, const BlockOptions *o, GError **errp)
{
    const BlockDriver *drv = block_find_driver(o->format ? o->format : "raw", errp);
    uint64_t size = 0;

    if (!drv) {
        return NULL;
    }
    void *disk = drv->open(o, &size, errp);
    if (!disk) {
        return NULL;
    }
    if (!o->format && !accept_guess(drv, disk, size, o, errp)) {
        drv->close(disk);
        return NULL;
    }
    bool readonly = o->readonly || o->cdrom;
    bool snapshot = o->snapshot && !readonly;
    if (snapshot) {
        void *overlay = block_overlay_new(drv, disk, size, errp);
        if (!overlay) {
            drv->close(disk);
            return NULL;
        }
        drv = &block_overlay;
        disk = overlay;
    }
    Block *b = block_new(loop, drv, disk, size, readonly, errp);
    if (!b) {
        drv->close(disk);
        return NULL;
    }
    block_describe(b, o, !o->format && !snapshot);
    return b;
}
