/*
 * What firmware and operating systems look up in CMOS RAM: sizes of memory, drives, boot order.
 *
 * The registers of the IBM AT (Technical Reference, "Real-time clock/CMOS RAM information") and those that
 * later PCs and SeaBIOS (src/hw/rtc.h documents them) have agreed on beside them.
 */
#include "board.h"

#include <string.h>
#include "block/block.h"
#include "hw/rtc.h"

enum {
    CMOS_FLOPPY_TYPES = 0x10, CMOS_EQUIPMENT = 0x14, CMOS_BASE_KB = 0x15, CMOS_EXTENDED_KB = 0x17,
    CMOS_EXTENDED_KB_2 = 0x30, CMOS_ABOVE_16M = 0x34, CMOS_BOOT_FLAG1 = 0x38, CMOS_DISK_TRANSLATION = 0x39,
    CMOS_BOOT_FLAG2 = 0x3d, CMOS_ABOVE_4G = 0x5b, CMOS_CPUS = 0x5f,
};
enum {                                  /* equipment byte */
    EQUIPMENT_FLOPPY = 1 << 0, EQUIPMENT_FPU = 1 << 1, EQUIPMENT_MOUSE = 1 << 2,
    EQUIPMENT_SECOND_FLOPPY = 1 << 6,
};
enum { TRANSLATE_NONE, TRANSLATE_LBA };

static void set16(PcBoard *b, uint8_t reg, uint64_t val)
{
    rtc_set_cmos(b->rtc, reg, val);
    rtc_set_cmos(b->rtc, reg + 1, val >> 8);
}

static void set_memory(PcBoard *b)
{
    uint64_t low = b->below_4g, above_1m = low - (1 << 20);

    set16(b, CMOS_BASE_KB, 640);
    set16(b, CMOS_EXTENDED_KB, MIN(above_1m >> 10, 0xffff));
    set16(b, CMOS_EXTENDED_KB_2, MIN(above_1m >> 10, 0xffff));
    set16(b, CMOS_ABOVE_16M, low > 16 << 20 ? MIN((low - (16 << 20)) >> 16, 0xffff) : 0);
    set16(b, CMOS_ABOVE_4G, b->above_4g >> 16);
    rtc_set_cmos(b->rtc, CMOS_ABOVE_4G + 2, b->above_4g >> 32);
}

static void set_floppies(PcBoard *b)
{
    unsigned first = b->drive_types >> 4, second = b->drive_types & 0xf;
    uint8_t equipment = EQUIPMENT_FPU | EQUIPMENT_MOUSE;

    if (first || second) {
        equipment |= EQUIPMENT_FLOPPY;
    }
    if (first && second) {
        equipment |= EQUIPMENT_SECOND_FLOPPY;
    }
    rtc_set_cmos(b->rtc, CMOS_FLOPPY_TYPES, b->drive_types);
    rtc_set_cmos(b->rtc, CMOS_EQUIPMENT, equipment);
}

/* SeaBIOS leaves cylinders as they are only for disks of up to 1024 cylinders of 16 heads of 63 sectors. */
static uint8_t disk_translation(const PcConfig *cfg)
{
    uint8_t bits = 0;

    for (unsigned i = 0; i < cfg->n_drives; i++) {
        const PcDrive *d = &cfg->drives[i];

        if (d->interface == PC_DRIVE_IDE && !d->cdrom && d->block) {
            bool small = block_size(d->block) <= 1024ull * 16 * 63 * 512;

            bits |= (small ? TRANSLATE_NONE : TRANSLATE_LBA) << (2 * (d->index & 3));
        }
    }
    return bits;
}

/* "cad" to the nibbles in which the firmware looks: first, second, third. */
static void set_boot_order(PcBoard *b, const char *letters)
{
    static const char codes[] = "?acdn";        /* 1 floppy, 2 hard disk, 3 CD-ROM, 4 network */
    uint8_t order[3] = { 0 };

    for (unsigned i = 0; i < 3 && letters[i]; i++) {
        order[i] = strchr(codes, letters[i]) - codes;
    }
    rtc_set_cmos(b->rtc, CMOS_BOOT_FLAG2, order[1] << 4 | order[0]);
    rtc_set_cmos(b->rtc, CMOS_BOOT_FLAG1, order[2] << 4);
}

void pc_cmos_init(PcBoard *b, const PcConfig *cfg)
{
    set_memory(b);
    set_floppies(b);
    rtc_set_cmos(b->rtc, CMOS_DISK_TRANSLATION, disk_translation(cfg));
    set_boot_order(b, cfg->boot_order ? cfg->boot_order : "cad");
    rtc_set_cmos(b->rtc, CMOS_CPUS, b->dev.machine->vcpus->len - 1);
}
