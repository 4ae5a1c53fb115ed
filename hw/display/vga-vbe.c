/*
 * The Bochs VBE extension ("dispi"): linear modes by eleven 16-bit registers, at ports 0x1ce to 0x1d1
 * and in BAR 2, which also shows the EDID and the VGA ports.
 *
 * Bochs VBE display interface, id 0xb0c5; layout of BAR 2 as Linux's bochs driver expects it: EDID at
 * 0x000, ports 0x3c0 to 0x3df at 0x400, dispi registers at 0x500.
 *
 * Not modelled: the DDC register, big-endian frame buffers.
 */
#include "vga.h"

#include <string.h>
#include "util/log.h"

enum { VBE_ID_FIRST = 0xb0c0, VBE_ID_LAST = 0xb0c5 };
enum { MMIO_VGA = 0x400, MMIO_VGA_SIZE = 0x20, MMIO_VBE = 0x500 };
enum { MAX_BPP = 32 };

unsigned vga_vbe_pitch(const Vga *v)
{
    unsigned bpp = v->vbe[VBE_BPP];

    return bpp == 4 ? v->vbe[VBE_VIRT_WIDTH] / 8 : v->vbe[VBE_VIRT_WIDTH] * ((bpp + 7) / 8);
}

/* Bytes that a line's pitch must divide among lines: 4 bits a pixel live in four planes. */
static uint32_t memory_for_lines(const Vga *v)
{
    return v->vbe[VBE_BPP] == 4 ? v->vram.size / 4 : v->vram.size;
}

/* The window shows a bank of linear memory; planar modes and text go by the planes. */
void vga_update_bank(Vga *v)
{
    bool linear = vga_vbe_on(v) && v->vbe[VBE_BPP] >= 8 && (v->gfx[GFX_MISC] >> 2 & 3) < 2;
    hwaddr off = ((hwaddr)v->vbe[VBE_BANK] << 16) & vga_vram_mask(v);
    AddressSpace *as = v->pci.dev.machine->mem;

    region_set_coalesced(&v->ports[VGA_PORTS].region, !vga_vbe_on(v));  /* else they could take the bank away */
    if (linear == v->bank.enabled && (!linear || off == v->bank.target_off)) {
        return;
    }
    memory_begin(as);
    region_fini(&v->bank);
    region_init_alias(&v->bank, "vga-bank", &v->vram, off, 0x10000);
    region_enable(&v->bank, linear);
    region_map(&v->legacy, 0, &v->bank, 1);
    memory_commit(as);
}

/* Any values that a guest (or a file) may have left become a mode that lies inside the memory. */
void vga_vbe_normalize(Vga *v)
{
    static const uint8_t depths[] = { 4, 8, 15, 16, 24, 32 };
    uint16_t *r = v->vbe;

    if (r[VBE_ID] < VBE_ID_FIRST || r[VBE_ID] > VBE_ID_LAST) {
        r[VBE_ID] = VBE_ID_LAST;
    }
    if (!memchr(depths, r[VBE_BPP] > MAX_BPP ? 0 : r[VBE_BPP], sizeof(depths))) {
        r[VBE_BPP] = 8;
    }
    r[VBE_ENABLE] &= VBE_ENABLED | VBE_GETCAPS | VBE_8BIT_DAC | VBE_LFB | VBE_NOCLEARMEM;
    uint16_t whole = r[VBE_BPP] == 4 ? ~7 : ~0;         /* planes are addressed by 8 pixels */
    r[VBE_XRES] = CLAMP(r[VBE_XRES], 8, VBE_MAX_X) & whole;
    r[VBE_YRES] = CLAMP(r[VBE_YRES], 1, VBE_MAX_Y);
    r[VBE_VIRT_WIDTH] = MAX(r[VBE_VIRT_WIDTH], r[VBE_XRES]) & whole;
    uint32_t pitch = vga_vbe_pitch(v), lines = memory_for_lines(v) / pitch;
    if (lines == 0) {                   /* a line longer than the memory */
        r[VBE_VIRT_WIDTH] = r[VBE_XRES];
        pitch = vga_vbe_pitch(v);
        lines = memory_for_lines(v) / pitch;
    }
    r[VBE_YRES] = MIN(r[VBE_YRES], lines);
    r[VBE_VIRT_HEIGHT] = MIN(lines, UINT16_MAX);
    r[VBE_X_OFFSET] = MIN(r[VBE_X_OFFSET], r[VBE_VIRT_WIDTH] - r[VBE_XRES]);
    r[VBE_Y_OFFSET] = MIN(r[VBE_Y_OFFSET], lines - r[VBE_YRES]);
    r[VBE_BANK] &= vga_vram_mask(v) >> 16;
}

void vga_vbe_reset(Vga *v)
{
    memset(v->vbe, 0, sizeof(v->vbe));
    v->vbe_index = 0;
    v->vbe[VBE_ID] = VBE_ID_LAST;
    v->vbe[VBE_VIDEO_MEMORY_64K] = v->vram.size >> 16;
}

/* Switching on takes the resolution as set before, a virtual screen as wide, and clears it. */
static void set_enable(Vga *v, uint16_t val)
{
    bool was_on = vga_vbe_on(v);

    v->vbe[VBE_ENABLE] = val;
    if (vga_vbe_on(v) && !was_on) {
        v->vbe[VBE_VIRT_WIDTH] = v->vbe[VBE_XRES];
        v->vbe[VBE_X_OFFSET] = v->vbe[VBE_Y_OFFSET] = 0;
        vga_vbe_normalize(v);
        if (!(val & VBE_NOCLEARMEM)) {
            size_t planes = v->vbe[VBE_BPP] == 4 ? 4 : 1;
            memset(v->vram.ram, 0, planes * vga_vbe_pitch(v) * v->vbe[VBE_YRES]);
            v->written_by_us = true;
        }
    }
    v->vbe[VBE_BANK] = 0;
}

static void vbe_write(Vga *v, unsigned index, uint16_t val)
{
    switch (index) {
    case VBE_ID:
        if (val >= VBE_ID_FIRST && val <= VBE_ID_LAST) {
            v->vbe[VBE_ID] = val;
        }
        break;
    case VBE_ENABLE:
        set_enable(v, val);
        break;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
    case VBE_BANK:
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        v->vbe[index] = val;
        break;
    case VBE_VIRT_HEIGHT:               /* follows from the width */
    case VBE_VIDEO_MEMORY_64K:
        break;
    default:
        log_unimp("VGA", "write %04x to dispi register %u", val, index);
        return;
    }
    if (vga_vbe_on(v)) {
        vga_vbe_normalize(v);
    }
    vga_update_bank(v);
}

static uint16_t vbe_read(const Vga *v, unsigned index)
{
    if (v->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        switch (index) {
        case VBE_XRES:
            return VBE_MAX_X;
        case VBE_YRES:
            return VBE_MAX_Y;
        case VBE_BPP:
            return MAX_BPP;
        default:
            break;
        }
    }
    return index < VBE_REGISTERS ? v->vbe[index] : 0;
}

/* A byte of a register, for those who write it in halves. */
static uint16_t merge(uint16_t old, unsigned lane, uint64_t val, unsigned size)
{
    return size == 2 ? val : lane ? (old & 0x00ff) | val << 8 : (old & 0xff00) | (val & 0xff);
}

/* ---- ports: 0x1ce is the index, 0x1cf and (aligned) 0x1d0 the data ---- */

static uint64_t vbe_port_read(void *dev, hwaddr off, unsigned size)
{
    const Vga *v = ((VgaPorts *)dev)->vga;

    if (size == 1) {            /* 0x1cf is the data's low byte; 0x1d0 its low byte, 0x1d1 its high one */
        return off == 0 ? v->vbe_index : vbe_read(v, v->vbe_index) >> (off == 3 ? 8 : 0) & 0xff;
    }
    return off == 0 ? v->vbe_index : off < 3 ? vbe_read(v, v->vbe_index) : 0xffff;
}

static void vbe_port_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Vga *v = ((VgaPorts *)dev)->vga;

    if (off == 0) {
        v->vbe_index = val;
    } else if (off < 3 || size == 1) {
        vbe_write(v, v->vbe_index, merge(vbe_read(v, v->vbe_index), off == 3, val, size));
    }
}

const RegionOps vga_vbe_ops = { .read = vbe_port_read, .write = vbe_port_write, .size_min = 1, .size_max = 2 };

/* ---- BAR 2 ---- */

static uint8_t mmio_read_byte(Vga *v, hwaddr off)
{
    if (off < EDID_SIZE) {
        return v->edid[off];
    }
    if (off >= MMIO_VGA && off < MMIO_VGA + MMIO_VGA_SIZE) {
        return vga_port_read(v, 0x3c0 + off - MMIO_VGA);
    }
    if (off >= MMIO_VBE && off < MMIO_VBE + 2 * VBE_REGISTERS) {
        return vbe_read(v, (off - MMIO_VBE) / 2) >> (off & 1 ? 8 : 0);
    }
    return 0;
}

static uint64_t mmio_read(void *dev, hwaddr off, unsigned size)
{
    uint64_t val = mmio_read_byte(dev, off);

    return size == 2 ? val | (uint64_t)mmio_read_byte(dev, off + 1) << 8 : val;
}

static void mmio_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Vga *v = dev;

    if (off >= MMIO_VGA && off < MMIO_VGA + MMIO_VGA_SIZE) {
        for (unsigned i = 0; i < size; i++) {
            vga_port_write(v, 0x3c0 + off + i - MMIO_VGA, val >> (8 * i));
        }
    } else if (off >= MMIO_VBE && off < MMIO_VBE + 2 * VBE_REGISTERS) {
        unsigned index = (off - MMIO_VBE) / 2;
        vbe_write(v, index, merge(vbe_read(v, index), off & 1, val, size));
    }
}

const RegionOps vga_mmio_ops = { .read = mmio_read, .write = mmio_write, .size_min = 1, .size_max = 2 };
