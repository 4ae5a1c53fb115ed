/*
 * Multiboot kernels (Multiboot Specification version 0.6.96): ELF, or any file with addresses in its header.
 *
 * -initrd "FILE ARGUMENTS,FILE ARGUMENTS" gives modules.
 */
#include "kernel.h"

#include <string.h>
#include "util/bits.h"
#include "util/error.h"

enum { HEADER_MAGIC = 0x1badb002, LOADER_MAGIC = 0x2badb002, HEADER_WITHIN = 8192, HEADER_SIZE = 12,
       ADDRESSES_SIZE = 32 };
enum {                                  /* header flags */
    PAGE_ALIGN = 1 << 0, MEMORY_INFO = 1 << 1, VIDEO_MODE = 1 << 2, HAS_ADDRESSES = 1 << 16,
    REQUIRED = 0xffff,
};
enum {                                  /* information structure: offsets and flags */
    INFO_MEM_LOWER = 4, INFO_MEM_UPPER = 8, INFO_CMDLINE = 16, INFO_MODS_COUNT = 20, INFO_MODS_ADDR = 24,
    INFO_MMAP_LENGTH = 44, INFO_MMAP_ADDR = 48, INFO_LOADER_NAME = 64, INFO_SIZE = 96,
    /* memory, command line, modules, memory map, loader's name */
    INFO_HAS = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9,
};
enum { MODULE_ENTRY = 16, MAP_ENTRY_SIZE = 20, LOWER_KB = 639 };

static bool find_header(const BootImage *k, uint64_t *at)
{
    for (uint64_t i = 0; i + HEADER_SIZE <= MIN(k->len, HEADER_WITHIN); i += 4) {
        const uint8_t *h = k->data + i;

        if (ld32le(h) == HEADER_MAGIC && ld32le(h) + ld32le(h + 4) + ld32le(h + 8) == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

bool multiboot_probe(const BootImage *k)
{
    uint64_t at;

    return find_header(k, &at);
}

/* The image is described by the header's addresses, whatever kind of file it is (3.1.3). */
static bool load_by_addresses(BootImage *k, uint64_t header, uint32_t *entry, uint64_t *end, GError **errp)
{
    if (k->len - header < ADDRESSES_SIZE) {
        error_set(errp, "%s: its multiboot header is cut off", k->path);
        return false;
    }
    const uint8_t *h = k->data + header;
    uint64_t header_addr = ld32le(h + 12), load = ld32le(h + 16), load_end = ld32le(h + 20),
             bss_end = ld32le(h + 24);
    uint64_t before = header_addr - load;       /* bytes of the image in front of the header */

    if (load > header_addr || before > header) {
        error_set(errp, "%s: its multiboot header says that the image begins in front of the file", k->path);
        return false;
    }
    uint64_t offset = header - before, len = load_end ? load_end - load : k->len - offset;

    if ((load_end && load_end < load) || len > k->len - offset) {
        error_set(errp, "%s: this multiboot kernel is cut off: its header speaks of %" G_GUINT64_FORMAT
                  " bytes, the file has %" G_GUINT64_FORMAT, k->path, len, k->len - offset);
        return false;
    }
    uint64_t mem_len = bss_end > load + len ? bss_end - load : len;

    if (load < LOAD_LOWEST) {
        error_set(errp, "%s: it belongs at 0x%" G_GINT64_MODIFIER "x, below 1 MiB, where the firmware is",
                  k->path, load);
        return false;
    }
    *entry = ld32le(h + 28);
    *end = load + mem_len;
    return boot_add(k, "the kernel", load, k->data + offset, len, mem_len, errp);
}

/* Append text to the block; its address. */
static uint32_t put_string(GByteArray *info, const char *text)
{
    uint32_t at = INFO_AT + info->len;

    g_byte_array_append(info, (const uint8_t *)text, strlen(text) + 1);
    return at;
}

static bool add_modules(BootImage *k, GByteArray *info, uint64_t end, GError **errp)
{
    g_auto(GStrv) texts = g_strsplit(k->initrd ? k->initrd : "", ",", -1);
    unsigned n = g_strv_length(texts);
    guint list = info->len;

    if (n > ROM_MAX_LOADS) {
        error_set(errp, "-initrd: more than %u modules", ROM_MAX_LOADS);
        return false;
    }
    g_byte_array_set_size(info, list + n * MODULE_ENTRY);
    memset(info->data + list, 0, n * MODULE_ENTRY);
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *path = g_strndup(texts[i], strcspn(texts[i], " "));
        g_autoptr(GMappedFile) file = boot_map_file(k, "a module", path, errp);

        if (!file) {
            return false;
        }
        uint64_t at = (end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
        uint64_t len = g_mapped_file_get_length(file);

        if (!boot_add(k, "a module", at, g_mapped_file_get_contents(file), len, len, errp)) {
            return false;
        }
        end = at + len;
        uint32_t text = put_string(info, texts[i]);
        uint8_t *module = info->data + list + i * MODULE_ENTRY;

        st32le(module, at);
        st32le(module + 4, end);
        st32le(module + 8, text);
    }
    st32le(info->data + INFO_MODS_COUNT, n);
    st32le(info->data + INFO_MODS_ADDR, INFO_AT + list);
    return true;
}

static bool add_info(BootImage *k, uint64_t end, GError **errp)
{
    g_autoptr(GByteArray) info = g_byte_array_new();
    g_autofree char *cmdline = g_strdup_printf("%s %s", k->path, k->append);
    uint64_t ram = k->board->below_4g;
    uint32_t cmdline_at, name_at;

    g_byte_array_set_size(info, INFO_SIZE);
    memset(info->data, 0, INFO_SIZE);
    if (!add_modules(k, info, end, errp)) {
        return false;
    }
    cmdline_at = put_string(info, cmdline);
    name_at = put_string(info, "Tinamou");
    /* Each map entry has its size in front of it; the first one's is written here, the ROM writes on. */
    guint map = (info->len + 15) & ~15u, len = map + 16 + MAP_ENTRIES * MAP_STRIDE;

    if (len > INFO_MAX) {
        error_set(errp, "-append, -initrd: command lines of %u characters are too long", info->len);
        return false;
    }
    g_byte_array_set_size(info, map + 16);
    memset(info->data + map, 0, 16);
    st32le(info->data + map + 12, MAP_ENTRY_SIZE);
    st32le(info->data, INFO_HAS);
    st32le(info->data + INFO_MEM_LOWER, LOWER_KB);
    st32le(info->data + INFO_MEM_UPPER, ram > 2 * FIRMWARE_TOP ? (ram - 2 * FIRMWARE_TOP) >> 10 : 0);
    st32le(info->data + INFO_CMDLINE, cmdline_at);
    st32le(info->data + INFO_MMAP_ADDR, INFO_AT + map + 12);
    st32le(info->data + INFO_LOADER_NAME, name_at);
    k->params.map_at = INFO_AT + map + 16;
    k->params.map_max = MAP_ENTRIES - 1;
    k->params.map_next = MAP_ENTRY_SIZE;
    k->params.count_at = INFO_AT + INFO_MMAP_LENGTH;
    k->params.count_unit = MAP_STRIDE;
    return boot_add(k, "the boot information", INFO_AT, info->data, info->len, info->len, errp);
}

bool multiboot_load(BootImage *k, GError **errp)
{
    uint64_t header = 0, end = 0;
    uint32_t entry, flags;
    bool ok;

    find_header(k, &header);
    flags = ld32le(k->data + header + 4);
    if (flags & REQUIRED & VIDEO_MODE) {
        error_set(errp, "%s: this multiboot kernel wants a graphics mode set, which -kernel cannot do: boot "
                  "it through GRUB", k->path);
        return false;
    }
    if (flags & REQUIRED & ~(PAGE_ALIGN | MEMORY_INFO)) {
        error_set(errp, "%s: this multiboot kernel requires features 0x%x that are not known", k->path,
                  flags & REQUIRED & ~(PAGE_ALIGN | MEMORY_INFO));
        return false;
    }
    if (flags & HAS_ADDRESSES) {
        ok = load_by_addresses(k, header, &entry, &end, errp);
    } else if (elf_probe(k)) {
        ok = elf_load(k, &entry, &end, errp);
    } else {
        error_set(errp, "%s: this multiboot kernel is no ELF file, and its header has no addresses", k->path);
        return false;
    }
    if (!ok || !add_info(k, end, errp)) {
        return false;
    }
    boot_enter_flat(k, entry, LOADER_MAGIC, INFO_AT);
    return true;
}
