/*
 * What the loaders of -kernel share: the pieces that are to be in memory when the kernel is entered.
 */
#ifndef HW_PC_KERNEL_H
#define HW_PC_KERNEL_H

#include "board.h"

enum {
    ROM_KIND_LINUX = 0, ROM_KIND_FLAT = 1, ROM_MAX_LOADS = 24,
    INFO_AT = 0x10000, INFO_MAX = 0x8000,   /* where multiboot and PVH information goes */
    MAP_ENTRIES = 64, MAP_STRIDE = 24,
    FIRMWARE_TOP = 1 << 20,                 /* what firmware may keep at the end of RAM below 4 GiB */
    LOAD_LOWEST = 1 << 20,                  /* kernels below it would lie on the firmware */
};

/* ORDER: kernel-rom - the parameter block of kernel-rom.asm; all little-endian. */
typedef struct RomLoad {
    uint32_t key, addr, len;
} RomLoad;

typedef struct RomParams {
    uint16_t kind, n_loads;
    uint32_t entry, eax, ebx;
    uint32_t map_at, map_max, map_next, count_at, count_unit;
    RomLoad loads[ROM_MAX_LOADS];
} RomParams;

typedef struct BootImage {
    PcBoard *board;
    const char *path, *initrd, *append;     /* of the options; initrd may be NULL */
    const uint8_t *data;                    /* the kernel file */
    uint64_t len;
    RomParams params;
} BootImage;

/* len bytes at data, then zeros up to mem_len, are to lie at addr; what: "the kernel", for errors. */
bool boot_add(BootImage *k, const char *what, uint64_t addr, const void *data, uint64_t len, uint64_t mem_len,
              GError **errp);
/* The same of a file's bytes from offset on, which stay there. */
bool boot_add_part(BootImage *k, const char *what, uint64_t addr, const char *path, uint64_t offset, uint32_t len,
                   GError **errp);
GMappedFile *boot_map_file(BootImage *k, const char *what, const char *path, GError **errp);
/* The initrd as high as it may lie (below limit), above the kernel's end; addr and len are 0 for none. */
bool boot_add_initrd(BootImage *k, uint64_t kernel_end, uint64_t limit, uint32_t *addr, uint32_t *len,
                     GError **errp);
/* Enter in flat protected mode; firmware's memory map goes to map_at. */
void boot_enter_flat(BootImage *k, uint32_t entry, uint32_t eax, uint32_t ebx);

/* kernel-linux.c, kernel-multiboot.c, kernel-pvh.c: is it one; load it. */
bool linux_probe(const BootImage *k);
bool linux_load(BootImage *k, GError **errp);
bool multiboot_probe(const BootImage *k);
bool multiboot_load(BootImage *k, GError **errp);
bool pvh_load(BootImage *k, GError **errp);

/* kernel-elf.c */
bool elf_probe(const BootImage *k);
/* Every PT_LOAD segment by its physical address; entry is translated to a physical address too. */
bool elf_load(BootImage *k, uint32_t *entry, uint64_t *end, GError **errp);
/* The 4 or 8 bytes of a note as a number; false: the file has no such note, or is malformed. */
bool elf_find_note(const BootImage *k, const char *name, uint32_t type, uint64_t *value);

#endif
