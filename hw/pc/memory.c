/*
 * The board's memory: RAM on both sides of the PCI hole, the firmware's ROM below 4 GiB and its tail
 * below 1 MiB.
 */
#include "board.h"

#include <string.h>
#include "util/error.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };
static const hwaddr GIB = 1 << 30;

/* RAM ends where PCI memory may begin.  A guest that has RAM above 4 GiB anyway gets a hole of a whole
 * GiB; one that has not keeps up to 3.5 GiB in one piece. */
static hwaddr low_limit(uint64_t ram_size)
{
    return ram_size > 7 * GIB / 2 ? 3 * GIB : 7 * GIB / 2;
}

static bool init_bios(PcBoard *b, const char *path, GError **errp)
{
    g_autofree char *found = path ? NULL : firmware_find(NULL, "bios-256k.bin", errp);
    g_autofree char *image = NULL;
    g_autofree uint8_t *rom = NULL;
    g_autoptr(GError) why = NULL;
    gsize len;

    if (!path && !found) {
        return false;
    }
    path = path ? path : found;
    if (!g_file_get_contents(path, &image, &len, &why)) {
        error_set(errp, "cannot read the firmware: %s", why->message);
        return false;
    }
    if (len < 64 * KIB || len > 16 * MIB) {
        error_set(errp, "the firmware %s has %zu bytes; a BIOS image has 64 KiB to 16 MiB", path, len);
        return false;
    }
    /* The end of the image is the end of the address space: that is where the processor starts. */
    gsize size = (len + 64 * KIB - 1) & ~(gsize)(64 * KIB - 1);

    rom = g_malloc(size);
    memset(rom, 0xff, size - len);
    memcpy(rom + size - len, image, len);
    return region_init_rom(&b->bios, "bios", rom, size, size, errp);
}

bool pc_memory_init(PcBoard *b, uint64_t ram_size, const char *bios, GError **errp)
{
    b->below_4g = MIN(ram_size, low_limit(ram_size));
    b->above_4g = ram_size - b->below_4g;
    if (!region_init_ram(&b->ram, "ram", ram_size, errp) || !init_bios(b, bios, errp)) {
        return false;
    }
    g_ptr_array_add(b->dev.machine->rams, &b->ram);
    hwaddr tail = MIN(b->bios.size, 128 * KIB);

    region_init_alias(&b->isa_bios, "isa-bios", &b->bios, b->bios.size - tail, tail);
    return true;
}

/* In front of any BAR that a guest puts there. */
void pc_memory_map_bios(PcBoard *b)
{
    region_map(b->pci->mem, 4 * GIB - b->bios.size, &b->bios, 1);
    region_map(b->pci->mem, MIB - b->isa_bios.size, &b->isa_bios, 1);
}

void pc_memory_fini(PcBoard *b)
{
    region_fini(&b->isa_bios);
    region_fini(&b->bios);
    g_ptr_array_remove(b->dev.machine->rams, &b->ram);
    region_fini(&b->ram);
}
