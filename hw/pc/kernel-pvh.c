/*
 * ELF kernels with a PVH entry point (Xen, "x86/HVM direct boot ABI"): 32-bit protected mode without paging,
 * EBX points at hvm_start_info.
 */
#include "kernel.h"

#include <string.h>
#include "util/bits.h"
#include "util/error.h"

enum { XEN_ELFNOTE_PHYS32_ENTRY = 18, START_MAGIC = 0x336ec578 };
enum {                                  /* hvm_start_info version 1, and what lies behind it */
    START_VERSION = 4, START_NR_MODULES = 12, START_MODLIST = 16, START_CMDLINE = 24, START_MEMMAP = 40,
    START_MEMMAP_ENTRIES = 48, START_SIZE = 56,
    MODULE_AT = 64, MODULE_SIZE = 32, MEMMAP_AT = 96, CMDLINE_AT = MEMMAP_AT + MAP_ENTRIES * MAP_STRIDE,
};

bool pvh_load(BootImage *k, GError **errp)
{
    g_autofree uint8_t *info = NULL;
    size_t cmdline_size = strlen(k->append) + 1, size = CMDLINE_AT + cmdline_size;
    uint32_t elf_entry, initrd_at, initrd_size;
    uint64_t entry, end;

    if (size > INFO_MAX) {
        error_set(errp, "-append: a command line of %zu characters is too long", cmdline_size - 1);
        return false;
    }
    if (!elf_find_note(k, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry) || entry > UINT32_MAX) {
        error_set(errp, "%s: its PVH entry point is not below 4 GiB", k->path);
        return false;
    }
    if (!elf_load(k, &elf_entry, &end, errp) ||
        !boot_add_initrd(k, end, k->board->below_4g, &initrd_at, &initrd_size, errp)) {
        return false;
    }
    info = g_malloc0(size);
    st32le(info, START_MAGIC);
    st32le(info + START_VERSION, 1);
    if (initrd_size) {
        st32le(info + START_NR_MODULES, 1);
        st64le(info + START_MODLIST, INFO_AT + MODULE_AT);
        st64le(info + MODULE_AT, initrd_at);
        st64le(info + MODULE_AT + 8, initrd_size);
    }
    st64le(info + START_CMDLINE, INFO_AT + CMDLINE_AT);
    st64le(info + START_MEMMAP, INFO_AT + MEMMAP_AT);
    memcpy(info + CMDLINE_AT, k->append, cmdline_size);
    k->params.map_at = INFO_AT + MEMMAP_AT;
    k->params.map_max = MAP_ENTRIES;
    k->params.map_next = 0;             /* reserved word of each entry */
    k->params.count_at = INFO_AT + START_MEMMAP_ENTRIES;
    k->params.count_unit = 1;
    boot_enter_flat(k, entry, 0, INFO_AT);
    return boot_add(k, "the start information", INFO_AT, info, size, size, errp);
}
