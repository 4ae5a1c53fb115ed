/*
 * hw/ide.h - the ATA bus of an IDE channel, and the floppy controller's drives, as a board sees them.
 *
 * The board makes the controller, then its disks:
 *
 *     device_make(m, "piix3-ide", NULL, &pci->bus, "addr=01.1", errp);
 *     ide_add_drive(m, 2, true, block, 1, "ide1-cd0", errp);
 *     fdc = device_new(m, "isa-fdc", NULL, errp);
 *     device_set_ptr(fdc, "driveA", block);
 *     device_realize(fdc, &isa->bus, errp);
 *
 * A disk that names no unit takes the first free one: `-device ide-cd,drive=cd0,bus=ide.1`.  The
 * buses' ids are "ide.0" (0x1f0, interrupt 14) and "ide.1" (0x170, 15).  With the machine lock held.
 */
#ifndef HW_IDE_H
#define HW_IDE_H

#include "block/block.h"
#include "core/device.h"
#include "core/machine.h"

enum { IDE_UNIT_AUTO = 255, IDE_CHANNELS = 2, IDE_UNITS = 2 };
enum { BOOT_INDEX_NONE = 0xffffffff };

extern const BusClass ide_bus_class;        /* name "ide" */

/* Disk number index (0..3: channel * 2 + unit) on the machine's IDE buses, an "ide-hd" or "ide-cd".
 * block NULL: an empty CD-ROM drive.  boot_index -1: not to boot from.  The device owns the block,
 * also when this fails. */
Device *ide_add_drive(Machine *m, unsigned index, bool cdrom, Block *block, int boot_index, const char *id,
                      GError **errp);

/* The place of a disk as firmware names it in "bootorder", "/pci@i0cf8/ide@1,1/drive@0/disk@0", and its
 * boot index (BOOT_INDEX_NONE: none given).  NULL when d is no IDE disk.  Freed by the caller. */
char *ide_boot_path(const Device *d, uint32_t *boot_index);

/* What the RTC's CMOS says of a drive (0 or 1) of an "isa-fdc", from its medium; empty: 4, 1.44 MB. */
uint8_t floppy_cmos_type(const Device *fdc, unsigned drive);

#endif
