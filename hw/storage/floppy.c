/*
 * Floppy drives and their media.
 *
 * A medium's format is told by the size of its image.  The drive is of the kind that fits the first
 * medium (a 1.44 MB drive when empty), which is what the board tells the firmware.
 *
 * Not modelled: motor and spin-up (a drive always turns), double-stepping of 40-track media in an
 * 80-track drive, sectors that are not 512 bytes, marks of deleted sectors.
 */
#include "fdc-int.h"
#include "hw/ide.h"
#include "util/error.h"

enum { RATE_500 = 1 << 0, RATE_300 = 1 << 1, RATE_250 = 1 << 2, RATE_1000 = 1 << 3 };
enum { CMOS_144 = 4 };

static const FloppyFormat formats[] = {
    { 320, 40, 1, 8, RATE_250 | RATE_300, 6, "160K" },
    { 360, 40, 1, 9, RATE_250 | RATE_300, 7, "180K" },
    { 640, 40, 2, 8, RATE_250 | RATE_300, 8, "320K" },
    { 720, 40, 2, 9, RATE_250 | RATE_300, 1, "360K" },
    { 1440, 80, 2, 9, RATE_250, 3, "720K" },
    { 2400, 80, 2, 15, RATE_500, 2, "1.2M" },
    { 2880, 80, 2, 18, RATE_500, CMOS_144, "1.44M" },
    { 3200, 80, 2, 20, RATE_500, CMOS_144, "1.6M" },
    { 3360, 80, 2, 21, RATE_500, CMOS_144, "1.68M" },
    { 3444, 82, 2, 21, RATE_500, CMOS_144, "1.72M" },
    { 5760, 80, 2, 36, RATE_1000, 5, "2.88M" },
};

/* The format of this size; for other sizes 1.44M or 2.88M, of which the image is the beginning. */
static const FloppyFormat *find_format(uint64_t sectors)
{
    const FloppyFormat *best = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        const FloppyFormat *f = &formats[i];
        if (f->sectors == sectors) {
            return f;
        }
        if (!best && sectors < f->sectors && (f->cmos_type == CMOS_144 || f->cmos_type == 5)) {
            best = f;
        }
    }
    return best;
}

bool floppy_readable(const Fdc *f, const Floppy *d)
{
    return d && d->block && (d->format->rates >> (f->dsr & 3) & 1);
}

/* The medium is usable, and now the drive's. */
static bool insert(Floppy *d, Block *medium, GError **errp)
{
    const FloppyFormat *format = find_format(block_size(medium) / FLOPPY_SECTOR);

    if (!format) {
        error_set(errp,
                  "%s: an image of %" G_GUINT64_FORMAT " bytes is no floppy disk: 160 KiB to 2.88 MB are",
                  d->name, block_size(medium));
        return false;
    }
    if (!block_claim(medium, d->name, errp)) {
        return false;
    }
    d->block = d->drive.medium = medium;
    d->format = format;
    d->owns_block = true;
    return true;
}

static bool change(BlockDrive *drive, Block *medium, bool force, GError **errp)
{
    Floppy *d = drive->device;
    Floppy old = *d;

    if (medium && !insert(d, medium, errp)) {
        return false;
    }
    if (old.owns_block) {
        block_close(old.block);
    }
    if (!medium) {
        d->block = d->drive.medium = NULL;
        d->owns_block = false;
    }
    d->changed = true;
    return true;
}

static bool locked(BlockDrive *drive)
{
    return false;           /* a floppy drive has a button, not a lock */
}

bool floppy_init(Floppy *d, Device *fdc, unsigned number, GError **errp)
{
    Block *medium = d->block;

    d->block = NULL;
    d->name = g_strdup_printf("floppy%u", number);
    if (medium && !insert(d, medium, errp)) {
        return false;
    }
    d->drive = (BlockDrive){ .id = d->name, .removable = true, .medium = medium, .change = change,
                             .locked = locked, .device = d };
    block_drive_add(fdc->machine, &d->drive);
    return true;
}

void floppy_fini(Floppy *d, Machine *m)
{
    if (d->drive.id) {
        block_drive_remove(m, &d->drive);
    }
    if (d->owns_block) {
        block_close(d->block);
    }
    d->block = NULL;
    g_free(d->name);
}

uint8_t floppy_cmos_type(const Device *fdc, unsigned drive)
{
    const Floppy *d = &((const Fdc *)fdc)->floppy[drive % FLOPPY_DRIVES];

    return d->block ? d->format->cmos_type : CMOS_144;
}
