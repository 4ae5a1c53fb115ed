/*
 * hw/pc.h - boards: a table of machines, and how one is built from its resolved options.
 *
 * Called by system/ (and tests) with the machine lock held.
 */
#ifndef HW_PC_H
#define HW_PC_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "chardev/chardev.h"
#include "core/machine.h"

typedef struct PcDrive {            /* a disk wired by the board, from -hda, -cdrom, -fda, -drive */
    enum { PC_DRIVE_IDE, PC_DRIVE_FLOPPY } interface;
    unsigned index;                 /* IDE: 0..3 (channel * 2 + unit); floppy: 0..1 */
    bool cdrom;
    void *block;                    /* Block *; NULL: an empty drive */
    int boot_index;                 /* 0 first; -1: not to boot from */
    const char *id;
} PcDrive;

typedef struct PcConfig {
    uint64_t ram_size;              /* bytes, at least 1 MiB */
    unsigned cpus;                  /* the board makes local APICs for Machine.vcpus */
    const char *bios;               /* path of the firmware image; NULL: found by firmware_find() */
    const char *vga_bios;           /* likewise, of the VGA BIOS */
    const char *kernel, *initrd, *append;       /* NULL: boot by the firmware */
    const char *boot_order;         /* letters of a c d n; NULL: the default */
    bool boot_menu;
    bool acpi;                      /* off: -no-acpi */
    const char *vga;                /* "std" or "none" */
    int64_t rtc_base;               /* seconds since 1970 that the RTC shows at start */
    bool graphics;                  /* off: firmware is told to use the serial port (-nographic) */
    CharBack *serial[4], *parallel[3];          /* NULL: no such port */
    PcDrive drives[6];
    unsigned n_drives;
    char **global_props;            /* "driver.property=value", NULL at its end; or NULL */
} PcConfig;

typedef struct BoardClass {
    const char *name, *summary;     /* "pc" */
    unsigned max_cpus;
    uint64_t max_ram;
    bool (*build)(Machine *m, const PcConfig *cfg, GError **errp);
} BoardClass;

extern const BoardClass *const board_classes[];     /* NULL at its end; the first is the default */
const BoardClass *board_find(const char *name);

/* Where firmware lies: -L directories first, then where configure found the distribution's.
 * names: "bios-256k.bin", "vgabios-stdvga.bin".  NULL and an error that says which package to install. */
char *firmware_find(const char *const *dirs, const char *name, GError **errp);

#endif
