/*
 * What the files of the board share: its memory, and the steps in which it is put together.
 */
#ifndef HW_PC_BOARD_H
#define HW_PC_BOARD_H

#include "core/machine.h"
#include "hw/fw_cfg.h"
#include "hw/isa.h"
#include "hw/pc.h"
#include "hw/pci.h"

typedef struct PcBoard {
    Device dev;
    Region ram, bios, isa_bios;
    hwaddr below_4g, above_4g;          /* bytes of RAM from address 0 and from 4 GiB */
    PciBus *pci;
    IsaBus *isa;
    FwCfg *fw_cfg;
    Device *pic, *apics, *ioapic, *rtc;
    Device *pm;                         /* NULL: -no-acpi */
    MachineWatch watch;
    int floppy_boot_index[2];           /* -1: not to boot from */
    bool boots_kernel;
    uint8_t drive_types;                /* CMOS 0x10: a nibble a floppy drive */
} PcBoard;

/* memory.c: RAM on both sides of the PCI hole, the firmware's ROM below 4 GiB and below 1 MiB. */
bool pc_memory_init(PcBoard *b, uint64_t ram_size, const char *bios, GError **errp);
void pc_memory_fini(PcBoard *b);
void pc_memory_map_bios(PcBoard *b);

/* cmos.c: what firmware and operating systems look up in CMOS RAM. */
void pc_cmos_init(PcBoard *b, const PcConfig *cfg);

/* boot.c: what firmware reads from fw_cfg, and the order of drives. */
bool pc_boot_init(PcBoard *b, const PcConfig *cfg, GError **errp);
bool pc_boot_order_valid(const char *letters, GError **errp);
void pc_boot_update(PcBoard *b);        /* once all devices are there */

/* acpi.c */
bool pc_acpi_init(PcBoard *b, GError **errp);

/* kernel.c: -kernel, -initrd, -append. */
bool pc_kernel_init(PcBoard *b, const PcConfig *cfg, GError **errp);

extern const uint8_t pc_dsdt_aml[], pc_kernel_rom[];     /* made by the build from dsdt.asl, kernel-rom.asm */
extern const unsigned pc_dsdt_aml_size, pc_kernel_rom_size;
extern const char pc_firmware_dir[];                    /* option firmware_dir */

#endif
