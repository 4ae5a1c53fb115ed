/*
 * The VGA's window at 0xa0000 to 0xbffff: four planes of memory behind one byte address.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem": graphics controller, sequencer
 * memory mode.  A read fills the latches from all four planes; a write combines the processor's byte,
 * set/reset and the latches, four planes at once (a lane of 8 bits each in a 32-bit word).
 *
 * Not modelled: the odd/even page bit of the miscellaneous output register, boards with 64 KiB.
 */
#include "vga.h"

#include <string.h>

enum { MISC_RAM_ENABLE = 1 << 1 };
enum { MEMORY_ODD_EVEN_OFF = 1 << 2, MEMORY_CHAIN4 = 1 << 3 };
enum { MODE_READ_COMPARE = 1 << 3, MODE_ODD_EVEN = 1 << 4 };
enum { GFX_MISC_CHAIN_ODD_EVEN = 1 << 1 };

/* Bit p of a nibble to all eight bits of lane p. */
static uint32_t lanes(unsigned nibble)
{
    return (nibble & 1 ? 0xffu : 0) | (nibble & 2 ? 0xff00u : 0) | (nibble & 4 ? 0xff0000u : 0)
           | (nibble & 8 ? 0xff000000u : 0);
}

static uint32_t in_all_lanes(uint8_t byte)
{
    return byte * 0x01010101u;
}

/* The processor's address to an offset in the window; false: this part of it does not answer. */
static bool window_offset(const Vga *v, hwaddr off, uint32_t *addr)
{
    static const struct { uint32_t first, size; } maps[4] = {
        { 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 },
    };
    unsigned map = v->gfx[GFX_MISC] >> 2 & 3;

    *addr = off - maps[map].first;
    return v->misc & MISC_RAM_ENABLE && off >= maps[map].first && *addr < maps[map].size;
}

/* The offset that all four planes are addressed with. */
static uint32_t plane_offset(const Vga *v, uint32_t addr)
{
    if (vga_vbe_on(v)) {                    /* planar: the bank register selects 64 KiB of each plane */
        addr += (uint32_t)v->vbe[VBE_BANK] << 16;
        return addr & (vga_vram_mask(v) >> 2);
    }
    if (v->seq[SEQ_MEMORY_MODE] & MEMORY_CHAIN4) {
        return addr & 0xfffc;
    }
    if (v->gfx[GFX_MISC] & GFX_MISC_CHAIN_ODD_EVEN) {       /* A0 chose the plane; A16 stands in for it */
        return (addr & 0xfffe) | (addr >> 16 & 1);
    }
    return addr & 0xffff;
}

static uint32_t fetch(const Vga *v, uint32_t at)
{
    uint32_t word;

    memcpy(&word, v->vram.ram + 4 * (size_t)at, 4);
    return word;
}

static uint8_t legacy_read_byte(Vga *v, hwaddr off)
{
    uint32_t addr;

    if (!window_offset(v, off, &addr)) {
        return 0xff;
    }
    v->latch = fetch(v, plane_offset(v, addr));
    if (v->gfx[GFX_MODE] & MODE_READ_COMPARE) {
        uint32_t differ = (v->latch ^ lanes(v->gfx[GFX_COLOR_COMPARE])) & lanes(v->gfx[GFX_COLOR_DONT_CARE]);
        differ |= differ >> 16;
        return ~(differ | differ >> 8);
    }
    unsigned plane = v->gfx[GFX_READ_MAP] & 3;
    if (v->seq[SEQ_MEMORY_MODE] & MEMORY_CHAIN4) {
        plane = addr & 3;
    } else if (v->gfx[GFX_MODE] & MODE_ODD_EVEN) {
        plane = (plane & 2) | (addr & 1);
    }
    return v->latch >> (8 * plane);
}

/* What the graphics controller sends to the planes: GFX_MODE bits 1:0 are the write mode. */
static uint32_t combine(const Vga *v, uint8_t byte)
{
    unsigned rotate = v->gfx[GFX_DATA_ROTATE] & 7, write_mode = v->gfx[GFX_MODE] & 3;
    uint8_t rotated = byte >> rotate | byte << (8 - rotate);
    uint32_t mask = in_all_lanes(v->gfx[GFX_BIT_MASK]), data;

    if (write_mode == 1) {
        return v->latch;
    }
    if (write_mode == 3) {
        mask &= in_all_lanes(rotated);
        return (lanes(v->gfx[GFX_SET_RESET]) & mask) | (v->latch & ~mask);
    }
    if (write_mode == 2) {
        data = lanes(byte);
    } else {
        uint32_t set = lanes(v->gfx[GFX_ENABLE_SET_RESET]);
        data = (lanes(v->gfx[GFX_SET_RESET]) & set) | (in_all_lanes(rotated) & ~set);
    }
    switch (v->gfx[GFX_DATA_ROTATE] >> 3 & 3) {
    case 1:
        data &= v->latch;
        break;
    case 2:
        data |= v->latch;
        break;
    case 3:
        data ^= v->latch;
        break;
    default:
        break;
    }
    return (data & mask) | (v->latch & ~mask);
}

static void legacy_write_byte(Vga *v, hwaddr off, uint8_t byte)
{
    unsigned planes = v->seq[SEQ_MAP_MASK];
    uint32_t addr;

    if (!window_offset(v, off, &addr)) {
        return;
    }
    if (v->seq[SEQ_MEMORY_MODE] & MEMORY_CHAIN4) {
        planes &= 1 << (addr & 3);
    } else if (!(v->seq[SEQ_MEMORY_MODE] & MEMORY_ODD_EVEN_OFF)) {
        planes &= addr & 1 ? 0x0a : 0x05;
    }
    uint32_t at = plane_offset(v, addr), mask = lanes(planes);
    uint32_t word = (fetch(v, at) & ~mask) | (combine(v, byte) & mask);
    memcpy(v->vram.ram + 4 * (size_t)at, &word, 4);
    v->written_by_us = true;
}

static uint64_t legacy_read(void *dev, hwaddr off, unsigned size)
{
    uint64_t val = 0;

    for (unsigned i = 0; i < size; i++) {
        val |= (uint64_t)legacy_read_byte(dev, off + i) << (8 * i);
    }
    return val;
}

static void legacy_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        legacy_write_byte(dev, off + i, val >> (8 * i));
    }
}

const RegionOps vga_legacy_ops = { .read = legacy_read, .write = legacy_write, .size_min = 1, .size_max = 8 };
