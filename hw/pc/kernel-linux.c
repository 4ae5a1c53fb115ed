/*
 * Linux kernels: bzImage and zImage of boot protocol 2.00 and later (Linux, Documentation/arch/x86/boot.rst).
 *
 * The kernel is entered at its 16-bit entry point, as a boot loader on a BIOS machine does it, so 32- and
 * 64-bit kernels are the same here.
 */
#include "kernel.h"

#include <string.h>
#include "util/bits.h"
#include "util/error.h"

enum {                                  /* setup header, offsets in the file */
    SETUP_SECTS = 0x1f1, VID_MODE = 0x1fa, BOOT_FLAG = 0x1fe, HEADER = 0x202, VERSION = 0x206,
    TYPE_OF_LOADER = 0x210, LOADFLAGS = 0x211, RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224, CMD_LINE_PTR = 0x228, INITRD_ADDR_MAX = 0x22c, CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258, INIT_SIZE = 0x260, HEADER_END = 0x268,
    OLD_CMDLINE_MAGIC = 0x20, OLD_CMDLINE_OFFSET = 0x22,
};
enum { LOADED_HIGH = 1 << 0, CAN_USE_HEAP = 1 << 7 };
enum { SECTOR = 512, LOADER_UNKNOWN = 0xff, OLD_MAGIC = 0xa33f, OLD_CMDLINE_MAX = 255 };
enum {
    HIGH_SETUP = 0x10000, HIGH_HEAP_END = 0xe000, HIGH_CMDLINE = 0x20000, HIGH_KERNEL = 0x100000,
    LOW_SETUP = 0x90000, LOW_HEAP_END = 0x9800, LOW_KERNEL = 0x10000, CMDLINE_ROOM = 0x10000,
};

bool linux_probe(const BootImage *k)
{
    return k->len >= HEADER_END && ld16le(k->data + BOOT_FLAG) == 0xaa55 &&
           !memcmp(k->data + HEADER, "HdrS", 4);
}

/* vga=normal, ext, ask or a number is for the loader, not for the kernel ("Special command line options"). */
static uint16_t video_mode(const char *append, uint16_t otherwise)
{
    static const struct { const char *name; uint16_t mode; } names[] = {
        { "normal", 0xffff }, { "ext", 0xfffe }, { "ask", 0xfffd },
    };
    g_auto(GStrv) words = g_strsplit(append, " ", -1);

    for (char **w = words; *w; w++) {
        if (strncmp(*w, "vga=", 4)) {
            continue;
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
            if (!strcmp(*w + 4, names[i].name)) {
                return names[i].mode;
            }
        }
        return g_ascii_strtoull(*w + 4, NULL, 0);
    }
    return otherwise;
}

/* Where the kernel runs once it has unpacked itself: an initrd must stay clear of that too. */
static uint64_t running_end(const BootImage *k, unsigned version, uint64_t loaded_end)
{
    if (version < 0x20a) {
        return loaded_end;
    }
    uint64_t at = MAX(ld64le(k->data + PREF_ADDRESS), (uint64_t)HIGH_KERNEL);
    uint64_t size = ld32le(k->data + INIT_SIZE), ram = k->board->below_4g;

    if (at > ram || size > ram - at) {
        at = HIGH_KERNEL;               /* it moves itself to where it fits, if anywhere */
    }
    return MAX(at + size, loaded_end);
}

bool linux_load(BootImage *k, GError **errp)
{
    unsigned version = ld16le(k->data + VERSION), sects = k->data[SETUP_SECTS];
    bool high = k->data[LOADFLAGS] & LOADED_HIGH;
    uint64_t setup_size = ((sects ? sects : 4) + 1) * SECTOR, kernel_size, loaded_end;
    uint32_t setup_at = high ? HIGH_SETUP : LOW_SETUP, kernel_at = high ? HIGH_KERNEL : LOW_KERNEL;
    uint32_t heap_end = high ? HIGH_HEAP_END : LOW_HEAP_END, initrd_at, initrd_size;
    size_t cmdline_size = strlen(k->append) + 1, cmdline_max = OLD_CMDLINE_MAX;

    if (version < 0x200) {
        error_set(errp, "%s: a Linux kernel of boot protocol %u.%02u; 2.00 is the oldest that can be booted",
                  k->path, version >> 8, version & 0xff);
        return false;
    }
    if (k->len <= setup_size) {
        error_set(errp, "%s: this Linux kernel is cut off: its setup code alone has %" G_GUINT64_FORMAT
                  " bytes, the file %" G_GUINT64_FORMAT, k->path, setup_size, k->len);
        return false;
    }
    if (setup_size > heap_end) {
        error_set(errp, "%s: setup code of %" G_GUINT64_FORMAT " bytes is more than fits in %u", k->path,
                  setup_size, heap_end);
        return false;
    }
    kernel_size = k->len - setup_size;
    loaded_end = kernel_at + kernel_size;
    if (!high && loaded_end > LOW_SETUP) {
        error_set(errp, "%s: a zImage of %" G_GUINT64_FORMAT " KiB is more than fits below 640 KiB", k->path,
                  kernel_size >> 10);
        return false;
    }
    if (version >= 0x206) {
        cmdline_max = MIN(ld32le(k->data + CMDLINE_SIZE), CMDLINE_ROOM - 1u);
    }
    if (cmdline_size - 1 > cmdline_max) {
        error_set(errp, "-append: the command line has %zu characters, this kernel takes %zu",
                  cmdline_size - 1, cmdline_max);
        return false;
    }
    uint64_t limit = version >= 0x203 ? (uint64_t)ld32le(k->data + INITRD_ADDR_MAX) + 1 : 0x38000000;

    if (!boot_add_initrd(k, running_end(k, version, loaded_end), limit, &initrd_at, &initrd_size, errp)) {
        return false;
    }

    g_autofree uint8_t *setup = g_memdup2(k->data, setup_size);
    uint32_t cmdline_at = high && version >= 0x202 ? HIGH_CMDLINE : setup_at + heap_end;

    setup[TYPE_OF_LOADER] = LOADER_UNKNOWN;
    st16le(setup + VID_MODE, video_mode(k->append, ld16le(setup + VID_MODE)));
    st32le(setup + RAMDISK_IMAGE, initrd_at);
    st32le(setup + RAMDISK_SIZE, initrd_size);
    if (version >= 0x201) {
        setup[LOADFLAGS] |= CAN_USE_HEAP;
        st16le(setup + HEAP_END_PTR, heap_end - SECTOR);
    }
    if (version >= 0x202) {
        st32le(setup + CMD_LINE_PTR, cmdline_at);
    } else {
        st16le(setup + OLD_CMDLINE_MAGIC, OLD_MAGIC);
        st16le(setup + OLD_CMDLINE_OFFSET, heap_end);
    }
    k->params.kind = ROM_KIND_LINUX;
    k->params.entry = setup_at >> 4;
    k->params.ebx = heap_end;
    return boot_add(k, "the setup code", setup_at, setup, setup_size, setup_size, errp) &&
           boot_add(k, "the command line", cmdline_at, k->append, cmdline_size, cmdline_size, errp) &&
           boot_add_part(k, "the kernel", kernel_at, k->path, setup_size, kernel_size, errp);
}
