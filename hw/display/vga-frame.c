/*
 * What the VGA's registers make of display memory: size of the picture, where each line is fetched.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"; J. D. Neal, FreeVGA ("CRT
 * controller", "Text mode").  One frame description serves text, CGA, EGA, VGA and 256-colour modes
 * alike: they differ in how the address counter is wired to memory and in how bits leave the shifters.
 *
 * Not modelled: interlace, skew of display enable, loading the shifters every second or fourth
 * character (SEQ_CLOCKING bits 2 and 4), borders.
 */
#include "vga.h"

#include <string.h>

enum { CLOCKING_8_DOTS = 1 << 0, CLOCKING_HALF = 1 << 3, CLOCKING_SCREEN_OFF = 1 << 5 };
enum { CURSOR_OFF = 1 << 5 };
enum { CRTC_MODE_ROW0 = 1 << 0, CRTC_MODE_ROW1 = 1 << 1, CRTC_MODE_DOUBLE_V = 1 << 2, CRTC_MODE_COUNT2 = 1 << 3,
       CRTC_MODE_WRAP_15 = 1 << 5, CRTC_MODE_BYTE = 1 << 6, CRTC_MODE_RUN = 1 << 7 };
enum { UNDERLINE_COUNT4 = 1 << 5, UNDERLINE_DWORD = 1 << 6 };
enum { ATTR_MODE_GRAPHICS = 1 << 0, ATTR_MODE_PAN_RESET = 1 << 5 };
enum { FRAME_NS = 14268000 };           /* 70.09 Hz, the text modes' rate: what blinking counts */

/* SEQ_CHARACTER_MAP: fonts of 8 KiB lie at 0, 16, 32, 48, then at 8, 24, 40, 56 KiB. */
static uint32_t font_offset(unsigned low2, unsigned high1)
{
    return low2 << 14 | high1 << 13;
}

static void get_blinking(const Vga *v, VgaFrame *f)
{
    uint64_t frames = clock_now(v->pci.dev.machine->clock) / FRAME_NS;
    const uint8_t *c = v->crtc;

    f->cursor_on = !(c[CRTC_CURSOR_START] & CURSOR_OFF) && !(frames & 8);
    f->blink_on = !(frames & 16);
    f->cursor_first = c[CRTC_CURSOR_START] & 31;
    f->cursor_last = c[CRTC_CURSOR_END] & 31;
    f->cursor_at = ((c[CRTC_CURSOR_HIGH] << 8 | c[CRTC_CURSOR_LOW]) + (c[CRTC_CURSOR_END] >> 5 & 3)) & 0xffff;
}

static void get_text(const Vga *v, VgaFrame *f)
{
    uint8_t map = v->seq[SEQ_CHARACTER_MAP];

    f->kind = FRAME_TEXT;
    f->char_dots = v->seq[SEQ_CLOCKING] & CLOCKING_8_DOTS ? 8 : 9;
    f->font[0] = font_offset(map & 3, map >> 4 & 1);
    f->font[1] = font_offset(map >> 2 & 3, map >> 5 & 1);
    get_blinking(v, f);
}

static unsigned panning(const Vga *v, const VgaFrame *f)
{
    unsigned pan = v->attr[ATTR_PANNING] & 15;

    if (f->char_dots == 9) {            /* 8: no shift; 0 to 7: one dot to eight */
        return pan >= 8 ? 0 : pan + 1;
    }
    return pan & 7;
}

static void get_planar(const Vga *v, VgaFrame *f)
{
    const uint8_t *c = v->crtc;
    unsigned over = c[CRTC_OVERFLOW], underline = c[CRTC_UNDERLINE];
    unsigned lines = (c[CRTC_V_DISPLAY_END] | (over >> 1 & 1) << 8 | (over >> 6 & 1) << 9) + 1;

    f->kind = FRAME_PLANAR;
    f->char_dots = 8;
    f->attr_mode = v->attr[ATTR_MODE];
    f->gfx_mode = v->gfx[GFX_MODE];
    if (!(f->attr_mode & ATTR_MODE_GRAPHICS)) {
        get_text(v, f);
    }
    f->chars = c[CRTC_H_DISPLAY_END] + 1;
    f->double_dots = v->seq[SEQ_CLOCKING] & CLOCKING_HALF;
    f->width = f->chars * f->char_dots * (f->double_dots ? 2 : 1);
    f->height = lines * (c[CRTC_MODE] & CRTC_MODE_DOUBLE_V ? 2 : 1);
    f->rows_last = c[CRTC_MAX_SCAN_LINE] & 31;
    f->double_scan = c[CRTC_MAX_SCAN_LINE] >> 7;
    f->first_row = c[CRTC_PRESET_ROW_SCAN] & 31;
    f->line_compare = c[CRTC_LINE_COMPARE] | (over >> 4 & 1) << 8 | (c[CRTC_MAX_SCAN_LINE] >> 6 & 1) << 9;
    f->start = ((c[CRTC_START_HIGH] << 8 | c[CRTC_START_LOW]) + (c[CRTC_PRESET_ROW_SCAN] >> 5 & 3)) & 0xffff;
    f->pitch = 2 * c[CRTC_OFFSET];
    f->count_shift = underline & UNDERLINE_COUNT4 ? 2 : c[CRTC_MODE] & CRTC_MODE_COUNT2 ? 1 : 0;
    f->crtc_mode = c[CRTC_MODE];
    f->underline = underline;
    f->pan = panning(v, f);
    f->pan_reset = f->attr_mode & ATTR_MODE_PAN_RESET;
    f->address_mask = 0xffff;
}

/* 4 bits a pixel under VBE: planes as ever, their size and place by the dispi registers. */
static void get_vbe_planar(const Vga *v, VgaFrame *f)
{
    f->kind = FRAME_PLANAR;
    f->char_dots = 8;
    f->chars = f->width / 8;
    f->pan = v->vbe[VBE_X_OFFSET] & 7;
    f->start = v->vbe[VBE_Y_OFFSET] * f->pitch + v->vbe[VBE_X_OFFSET] / 8;
    f->line_compare = ~0u;
    f->crtc_mode = CRTC_MODE_BYTE | CRTC_MODE_ROW0 | CRTC_MODE_ROW1;
    f->attr_mode = ATTR_MODE_GRAPHICS;
    f->address_mask = vga_vram_mask(v) >> 2;
}

static void get_vbe(const Vga *v, VgaFrame *f)
{
    f->width = v->vbe[VBE_XRES];
    f->height = v->vbe[VBE_YRES];
    f->bpp = v->vbe[VBE_BPP];
    f->pitch = vga_vbe_pitch(v);
    if (f->bpp == 4) {
        get_vbe_planar(v, f);
        return;
    }
    f->kind = FRAME_LINEAR;
    f->start = v->vbe[VBE_Y_OFFSET] * f->pitch + v->vbe[VBE_X_OFFSET] * ((f->bpp + 7) / 8);
}

void vga_get_frame(const Vga *v, VgaFrame *f)
{
    *f = (VgaFrame){ .kind = FRAME_BLANK };
    if (!(v->attr_index & ATTR_INDEX_PAS) || v->seq[SEQ_CLOCKING] & CLOCKING_SCREEN_OFF) {
        return;
    }
    if (vga_vbe_on(v)) {
        get_vbe(v, f);
    } else if ((v->seq[SEQ_RESET] & 3) == 3 && v->crtc[CRTC_MODE] & CRTC_MODE_RUN) {
        get_planar(v, f);
    }
}

const char *vga_frame_name(const VgaFrame *f)
{
    static const char *const names[] = { "blank", "text", "planar", "linear" };

    return names[f->kind];
}

/* The offset that the CRT controller puts on the planes' address lines (CRTC_MODE, CRTC_UNDERLINE). */
uint32_t vga_fetch_address(const VgaFrame *f, uint32_t counter, unsigned row)
{
    uint32_t addr = counter &= f->address_mask;

    if (f->underline & UNDERLINE_DWORD) {
        addr = counter << 2 | (counter >> 14 & 3);
    } else if (!(f->crtc_mode & CRTC_MODE_BYTE)) {
        addr = counter << 1 | (counter >> (f->crtc_mode & CRTC_MODE_WRAP_15 ? 15 : 13) & 1);
    }
    if (!(f->crtc_mode & CRTC_MODE_ROW0)) {     /* CGA: odd lines lie 8 KiB behind */
        addr = (addr & ~0x2000u) | (row & 1) << 13;
    }
    if (!(f->crtc_mode & CRTC_MODE_ROW1)) {
        addr = (addr & ~0x4000u) | (row >> 1 & 1) << 14;
    }
    return addr & f->address_mask;
}
