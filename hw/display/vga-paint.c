/*
 * Painting: each line of the picture is fetched from display memory, compared with what it was painted
 * from last time, and painted again if it differs.  So nobody needs to log which memory was written; but where an
 * accelerator does (as_take_dirty()), lines of linear modes that nobody wrote to are not looked at.
 *
 * What a line was painted from is kept in `shadow`, and the line is painted from there: a processor
 * that writes meanwhile makes it differ again at the next refresh.
 */
#include "vga.h"

#include <string.h>

enum { MAX_CHARS = MAX(VGA_MAX_CHARS, VBE_MAX_X / 8) + 1 };    /* panning shows part of one more */
enum { ATTR_MODE_256 = 1 << 6, ATTR_MODE_P54 = 1 << 7 };
enum { GFX_MODE_CGA = 1 << 5, GFX_MODE_256 = 1 << 6 };

/* ---- colours ---- */

static uint32_t dac_color(const Vga *v, uint8_t index)
{
    const uint8_t *c = v->dac + 3 * (index & v->dac_mask);

    if (vga_vbe_on(v) && v->vbe[VBE_ENABLE] & VBE_8BIT_DAC) {
        return c[0] << 16 | c[1] << 8 | c[2];
    }
    uint32_t rgb = (c[0] & 0x3f) << 18 | (c[1] & 0x3f) << 10 | (c[2] & 0x3f) << 2;
    return rgb | (rgb >> 6 & 0x030303);         /* full scale is 255 */
}

/* From the attribute controller's four bits to the DAC's eight (ATTR_MODE, ATTR_COLOR_SELECT). */
static uint8_t dac_index(const Vga *v, unsigned nibble)
{
    uint8_t color = v->attr[nibble & v->attr[ATTR_PLANE_ENABLE] & 15], select = v->attr[ATTR_COLOR_SELECT];

    if (v->attr[ATTR_MODE] & ATTR_MODE_P54) {
        color = (color & 0x0f) | (select & 3) << 4;
    }
    return (color & 0x3f) | (select & 0x0c) << 4;
}

static void get_look(const Vga *v, const VgaFrame *f, VgaLook *look)
{
    bool wide = f->kind == FRAME_LINEAR ? f->bpp == 8 : f->kind == FRAME_PLANAR && f->attr_mode & ATTR_MODE_256;
    unsigned colors = wide ? 256 : f->kind == FRAME_TEXT || f->kind == FRAME_PLANAR ? 16 : 0;

    memset(look, 0, sizeof(*look));     /* compared as bytes */
    look->kind = f->kind;
    look->width = f->width;
    look->height = f->height;
    look->bpp = f->bpp;
    look->char_dots = f->char_dots;
    look->pan = f->pan;
    look->attr_mode = f->attr_mode;
    look->gfx_mode = f->gfx_mode;
    look->double_dots = f->double_dots;
    look->pan_reset = f->pan_reset ? f->line_compare : 0;
    for (unsigned i = 0; i < colors; i++) {
        look->palette[i] = dac_color(v, wide ? i : dac_index(v, i));
    }
}

/* ---- planar pixels: four bytes of planes 0 to 3 to eight dots ---- */

static void nibbles_planar(uint32_t w, uint8_t *n)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned b = 7 - i;
        n[i] = (w >> b & 1) | (w >> (b + 8) & 1) << 1 | (w >> (b + 16) & 1) << 2 | (w >> (b + 24) & 1) << 3;
    }
}

/* Planes 0 and 1 hold eight two-bit pixels in a row, planes 2 and 3 their upper two bits. */
static void nibbles_cga(uint32_t w, uint8_t *n)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned b = (i < 4 ? 6 : 14 + 8) - 2 * i;
        n[i] = (w >> b & 3) | (w >> (b + 16) & 3) << 2;
    }
}

static void nibbles_256(uint32_t w, uint8_t *n)
{
    for (unsigned i = 0; i < 8; i++) {
        n[i] = w >> (i / 2 * 8 + (i & 1 ? 0 : 4)) & 15;
    }
}

static void planar_dots(const VgaFrame *f, const uint32_t *palette, uint32_t w, uint32_t *dots)
{
    uint8_t n[8];

    if (f->gfx_mode & GFX_MODE_256) {
        nibbles_256(w, n);
    } else if (f->gfx_mode & GFX_MODE_CGA) {
        nibbles_cga(w, n);
    } else {
        nibbles_planar(w, n);
    }
    for (unsigned i = 0; i < 8; i++) {
        dots[i] = palette[f->attr_mode & ATTR_MODE_256 ? n[i & ~1u] << 4 | n[i | 1] : n[i]];
    }
}

/* ---- lines ---- */

typedef struct Painter {
    Vga *v;
    const VgaFrame *f;
    pixman_image_t *surface;
    bool all;                   /* whatever the shadow says */
    const uint64_t *written;    /* a bit for each page of the memory; NULL: it may have been any */
    unsigned band_from, band_to;        /* lines painted, not yet reported */
} Painter;

static uint32_t *surface_line(const Painter *p, unsigned y)
{
    return pixman_image_get_data(p->surface) + (size_t)y * (pixman_image_get_stride(p->surface) / 4);
}

static void report_band(Painter *p)
{
    if (p->band_from < p->band_to) {
        display_damage(p->v->display, 0, p->band_from, p->f->width, p->band_to - p->band_from);
    }
}

static void line_painted(Painter *p, unsigned y)
{
    if (y != p->band_to) {
        report_band(p);
        p->band_from = y;
    }
    p->band_to = y + 1;
}

/* Is line y to be painted from these bytes?  Then they become its shadow. */
static bool line_changed(Painter *p, unsigned y, const void *bytes, size_t len)
{
    uint8_t *old = p->v->shadow + y * p->v->shadow_pitch;

    if (!p->all && !memcmp(old, bytes, len)) {
        return false;
    }
    memcpy(old, bytes, len);
    return true;
}

static void fetch_planes(const Painter *p, uint32_t counter, unsigned row, unsigned chars, uint32_t *words)
{
    const VgaFrame *f = p->f;

    for (unsigned i = 0; i < chars; i++) {
        uint32_t at = counter + (i >> f->count_shift);
        if (f->kind == FRAME_TEXT) {
            words[i] = vga_text_cell(p->v, f, at, row);
        } else {
            memcpy(&words[i], p->v->vram.ram + 4 * (size_t)vga_fetch_address(f, at, row), 4);
        }
    }
}

static void paint_planes(const Painter *p, unsigned y, unsigned pan, unsigned chars, uint32_t *dots)
{
    const VgaFrame *f = p->f;
    const uint32_t *words = (const uint32_t *)(void *)(p->v->shadow + y * p->v->shadow_pitch);
    const uint32_t *palette = p->v->look.palette;
    uint32_t *to = surface_line(p, y);

    for (unsigned i = 0; i < chars; i++) {
        if (f->kind == FRAME_TEXT) {
            vga_text_dots(f, palette, words[i], dots + i * f->char_dots);
        } else {
            planar_dots(f, palette, words[i], dots + i * 8);
        }
    }
    if (!f->double_dots) {
        memcpy(to, dots + pan, f->width * sizeof(*to));
        return;
    }
    for (unsigned x = 0; x < f->width; x++) {
        to[x] = dots[pan + x / 2];
    }
}

/* The CRT controller's walk: row scan counter, address counter, line compare. */
static void paint_all_planes(Painter *p)
{
    const VgaFrame *f = p->f;
    g_autofree uint32_t *words = g_new(uint32_t, MAX_CHARS);
    g_autofree uint32_t *dots = g_new(uint32_t, MAX_CHARS * 9);
    uint32_t counter = f->start;
    unsigned row = f->first_row, pan = f->pan;
    bool again = f->double_scan;

    for (unsigned y = 0; y < f->height; y++) {
        unsigned chars = f->chars + (pan ? 1 : 0);
        fetch_planes(p, counter, row, chars, words);
        if (line_changed(p, y, words, chars * sizeof(*words))) {
            paint_planes(p, y, pan, chars, dots);
            line_painted(p, y);
        }
        if (y == f->line_compare) {
            counter = 0;
            row = 0;
            pan = f->pan_reset ? 0 : pan;
            again = f->double_scan;
        } else if (again) {
            again = false;
        } else {
            again = f->double_scan;
            if (row == f->rows_last) {
                row = 0;
                counter += f->pitch;
            } else {
                row = (row + 1) & 31;
            }
        }
    }
}

static void linear_pixels(const VgaFrame *f, const uint32_t *palette, const uint8_t *from, uint32_t *to)
{
    for (unsigned x = 0; x < f->width; x++) {
        uint32_t c;
        switch (f->bpp) {
        case 8:
            to[x] = palette[from[x]];
            break;
        case 15:
            c = from[2 * x] | from[2 * x + 1] << 8;
            c = (c & 0x7c00) << 9 | (c & 0x03e0) << 6 | (c & 0x001f) << 3;
            to[x] = c | (c >> 5 & 0x070707);
            break;
        case 16:
            c = from[2 * x] | from[2 * x + 1] << 8;
            to[x] = (c & 0xf800) << 8 | (c & 0xe000) << 3 | (c & 0x07e0) << 5 | (c & 0x0600) >> 1
                    | (c & 0x001f) << 3 | (c & 0x001c) >> 2;
            break;
        case 24:
            to[x] = from[3 * x] | from[3 * x + 1] << 8 | from[3 * x + 2] << 16;
            break;
        default:
            memcpy(&to[x], from + 4 * x, 4);
            to[x] &= 0xffffff;
            break;
        }
    }
}

static bool was_written(const uint64_t *pages, size_t at, size_t len)
{
    for (size_t n = at / PAGE_SIZE; n <= (at + len - 1) / PAGE_SIZE; n++) {
        if (pages[n / 64] >> n % 64 & 1) {
            return true;
        }
    }
    return false;
}

/* The dispi registers are kept such that the last line ends inside the memory (vga_vbe_normalize). */
static void paint_all_linear(Painter *p)
{
    const VgaFrame *f = p->f;
    size_t len = (size_t)f->width * ((f->bpp + 7) / 8), at = f->start;

    for (unsigned y = 0; y < f->height && at + len <= p->v->vram.size; y++, at += f->pitch) {
        if ((!p->written || was_written(p->written, at, len)) && line_changed(p, y, p->v->vram.ram + at, len)) {
            linear_pixels(f, p->v->look.palette, p->v->shadow + y * p->v->shadow_pitch, surface_line(p, y));
            line_painted(p, y);
        }
    }
}

/* ---- the display's side ---- */

static void paint_black(Vga *v)
{
    pixman_image_t *s = display_surface(v->display);
    int w = pixman_image_get_width(s), h = pixman_image_get_height(s);

    memset(pixman_image_get_data(s), 0, (size_t)h * pixman_image_get_stride(s));
    display_damage(v->display, 0, 0, w, h);
}

static bool set_size(Vga *v, const VgaFrame *f, size_t line_bytes)
{
    pixman_image_t *s = display_surface(v->display);
    int w = f->width, h = f->height;

    if (pixman_image_get_width(s) != w || pixman_image_get_height(s) != h) {
        s = display_resize(v->display, w, h);
    }
    if (v->shadow_size != line_bytes * f->height) {
        g_free(v->shadow);
        v->shadow_size = line_bytes * f->height;
        v->shadow = g_try_malloc(v->shadow_size);
        v->shadow_size = v->shadow ? v->shadow_size : 0;
    }
    v->shadow_pitch = line_bytes;
    return v->shadow && pixman_image_get_width(s) == w && pixman_image_get_height(s) == h;
}

/* What of the memory of a linear mode was written since the last refresh; NULL: maybe all, or it shows another part. */
static const uint64_t *take_written(Vga *v, const VgaFrame *f)
{
    if (f->kind != FRAME_LINEAR) {
        return NULL;
    }
    memset(v->written, 0, v->vram.size / PAGE_SIZE / 8);
    bool known = as_take_dirty(v->pci.dev.machine->mem, &v->vram, v->written) && !v->written_by_us
        && f->start == v->painted_start && f->pitch == v->painted_pitch;
    v->written_by_us = false;
    v->painted_start = f->start;
    v->painted_pitch = f->pitch;
    return known ? v->written : NULL;
}

static void vga_refresh(void *dev)
{
    Vga *v = dev;
    VgaFrame f;
    VgaLook look;
    Painter p = { .v = v, .f = &f };

    as_flush_writes(v->pci.dev.machine->mem);
    vga_get_frame(v, &f);
    p.written = take_written(v, &f);
    get_look(v, &f, &look);
    if (!v->look_valid || memcmp(&look, &v->look, sizeof(look))) {
        if (f.kind == FRAME_BLANK) {
            paint_black(v);
        } else {
            size_t line_bytes = f.kind == FRAME_LINEAR ? (size_t)f.width * ((f.bpp + 7) / 8)
                                                       : (f.chars + 1) * sizeof(uint32_t);
            v->look_valid = false;
            if (!set_size(v, &f, line_bytes)) {
                return;         /* no memory for it now; the next refresh tries again */
            }
        }
        v->look = look;
        v->look_valid = p.all = true;
        p.written = NULL;
    }
    p.surface = display_surface(v->display);
    if (f.kind == FRAME_LINEAR) {
        paint_all_linear(&p);
    } else if (f.kind != FRAME_BLANK) {
        paint_all_planes(&p);
    }
    report_band(&p);
}

static void vga_invalidate(void *dev)
{
    ((Vga *)dev)->look_valid = false;
}

const DisplaySource vga_display_source = { .refresh = vga_refresh, .invalidate = vga_invalidate, .text = vga_text };
