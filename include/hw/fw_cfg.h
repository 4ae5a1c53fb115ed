/*
 * hw/fw_cfg.h - the firmware configuration device: items and named files that SeaBIOS reads.
 *
 * The board makes the device "fw_cfg", which is also the machine's "fw_cfg" service; the board, devices
 * and the machine builder add items before the first reset.  With the machine lock held.
 */
#ifndef HW_FW_CFG_H
#define HW_FW_CFG_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FwCfg FwCfg;

enum {                          /* item keys that firmware knows */
    FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04, FW_CFG_NB_CPUS = 0x05, FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08, FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a, FW_CFG_INITRD_SIZE = 0x0b, FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d, FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10, FW_CFG_KERNEL_DATA = 0x11, FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13, FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16, FW_CFG_SETUP_SIZE = 0x17, FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ACPI_TABLES = 0x8000, FW_CFG_SMBIOS_ENTRIES = 0x8001, FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_E820_TABLE = 0x8003,
};

/* The bytes are copied; an item that is there already is replaced. */
void fw_cfg_add_bytes(FwCfg *f, uint16_t key, const void *data, size_t len);
/* A part of a file, which is read when the guest reads it: large images take no memory here.  Where it has become
 * shorter the guest finds zeros.  False: it cannot be opened. */
bool fw_cfg_add_part(FwCfg *f, uint16_t key, const char *path, uint64_t offset, uint32_t len, GError **errp);
void fw_cfg_add_u16(FwCfg *f, uint16_t key, uint16_t v);
void fw_cfg_add_u32(FwCfg *f, uint16_t key, uint32_t v);
void fw_cfg_add_u64(FwCfg *f, uint16_t key, uint64_t v);
void fw_cfg_add_string(FwCfg *f, uint16_t key, const char *s);      /* with its NUL */
/* "etc/e820", "bootorder", "genroms/linuxboot.bin"; false: no room, or a name over 55 bytes.  A file that
 * is there already gets the new contents. */
bool fw_cfg_add_file(FwCfg *f, const char *name, const void *data, size_t len, GError **errp);
/* The guest may write it back (DMA interface only); read it with fw_cfg_file(). */
bool fw_cfg_add_writable_file(FwCfg *f, const char *name, const void *data, size_t len, GError **errp);
/* fn is called when the guest is about to read the directory or this file from its start: it may replace
 * contents that depend on what the guest has done since (but not sizes, which the directory has told). */
void fw_cfg_on_select(FwCfg *f, const char *name, void (*fn)(void *opaque), void *opaque);
const void *fw_cfg_file(FwCfg *f, const char *name, size_t *len);   /* NULL: no such file */

#endif
