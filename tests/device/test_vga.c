/*
 * The VGA's picture: registers and memory written as a guest does, pixels read from the surface.
 */
#include "util/bits.h"
#include "vga_harness.h"

/* A glyph with a pattern that tells its rows and columns apart. */
static uint8_t glyph_row(unsigned ch, unsigned row)
{
    return ch * 7 + row * 37;
}

static void load_font(VgaTest *t, unsigned offset)
{
    reg_out(t, 0x3c4, 2, 0x04);         /* plane 2, sequential addresses, at 0xa0000 */
    reg_out(t, 0x3c4, 4, 0x06);
    reg_out(t, 0x3ce, 5, 0x00);
    reg_out(t, 0x3ce, 6, 0x04);
    for (unsigned ch = 0; ch < 256; ch++) {
        for (unsigned row = 0; row < 16; row++) {
            poke(t, GRAPHICS + offset + ch * 32 + row, glyph_row(ch + offset / 0x2000, row), 1);
        }
    }
    reg_out(t, 0x3c4, 2, 0x03);
    reg_out(t, 0x3c4, 4, 0x02);
    reg_out(t, 0x3ce, 5, 0x10);
    reg_out(t, 0x3ce, 6, 0x0e);
}

static void text_mode(VgaTest *t)
{
    vga_test_init(t, "addr=2");
    set_mode(t, &mode_03h);
    load_font(t, 0);
    reg_out(t, 0x3d4, 0x0a, 0x20);      /* no cursor */
}

static void put_cell(VgaTest *t, unsigned x, unsigned y, uint8_t ch, uint8_t attr)
{
    poke(t, TEXT + 2 * (80 * y + x), ch | attr << 8, 2);
}

static void assert_cell(VgaTest *t, unsigned x, unsigned y, unsigned ch, uint32_t fg, uint32_t bg)
{
    for (unsigned row = 0; row < 16; row++) {
        for (unsigned i = 0; i < 8; i++) {
            bool on = glyph_row(ch, row) >> (7 - i) & 1;
            g_assert_cmphex(pixel(t, x * 9 + i, y * 16 + row), ==, on ? fg : bg);
        }
    }
}

/* The sixteen colours of text go through the attribute controller's palette: 6 is 0x14, 8.. are 0x38.. */
static uint32_t text_color(unsigned c)
{
    return dac_test_color(mode_03h.attr[c]);
}

static void test_text_cells(void)
{
    VgaTest t;

    text_mode(&t);
    for (unsigned i = 0; i < 80 * 25; i++) {
        put_cell(&t, i % 80, i / 80, i, i / 7 & 0x7f);
    }
    assert_size(&t, 720, 400);
    for (unsigned i = 0; i < 80 * 25; i++) {
        uint8_t attr = i / 7 & 0x7f;
        assert_cell(&t, i % 80, i / 80, i & 0xff, text_color(attr & 15), text_color(attr >> 4));
    }
    /* The ninth dot is background, but for line graphics a copy of the eighth. */
    put_cell(&t, 0, 0, 0xc1, 0x1f);
    put_cell(&t, 1, 0, 0x41, 0x1f);
    display_refresh(t.display);
    for (unsigned row = 0; row < 16; row++) {
        g_assert_cmphex(pixel(&t, 8, row), ==, pixel(&t, 7, row));
        g_assert_cmphex(pixel(&t, 17, row), ==, text_color(1));
    }
    attr_out(&t, 0x10, 0x08);
    display_refresh(t.display);
    for (unsigned row = 0; row < 16; row++) {
        g_assert_cmphex(pixel(&t, 8, row), ==, text_color(1));
    }
    vga_test_fini(&t);
}

static void test_text_second_font(void)
{
    VgaTest t;

    text_mode(&t);
    load_font(&t, 0x6000);
    reg_out(&t, 0x3c4, 3, 0x24);        /* attribute bit 3: the font at 24 KiB */
    put_cell(&t, 0, 0, 'A', 0x07);
    put_cell(&t, 1, 0, 'A', 0x0f);
    display_refresh(t.display);
    assert_cell(&t, 0, 0, 'A', text_color(7), text_color(0));
    assert_cell(&t, 1, 0, 'A' + 3, text_color(15), text_color(0));
    vga_test_fini(&t);
}

static void test_text_cursor_and_blink(void)
{
    VgaTest t;

    text_mode(&t);
    put_cell(&t, 5, 2, 0, 0x0a);
    put_cell(&t, 6, 2, 'B', 0x9c);
    reg_out(&t, 0x3d4, 0x0a, 13);
    reg_out(&t, 0x3d4, 0x0b, 14);
    reg_out(&t, 0x3d4, 0x0e, 0);
    reg_out(&t, 0x3d4, 0x0f, 165);
    display_refresh(t.display);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(pixel(&t, 45 + i, 2 * 16 + 12), ==, text_color(glyph_row(0, 12) >> (7 - i) & 1 ? 10 : 0));
        g_assert_cmphex(pixel(&t, 45 + i, 2 * 16 + 13), ==, text_color(10));
        g_assert_cmphex(pixel(&t, 45 + i, 2 * 16 + 14), ==, text_color(10));
    }
    assert_cell(&t, 6, 2, 'B', text_color(12), text_color(1));
    clock_step(t.m->clock, 9 * 14268000);               /* the cursor goes first, then the character */
    display_refresh(t.display);
    assert_cell(&t, 5, 2, 0, text_color(10), text_color(0));
    assert_cell(&t, 6, 2, 'B', text_color(12), text_color(1));
    clock_step(t.m->clock, 9 * 14268000);
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 45, 2 * 16 + 13), ==, text_color(10));
    assert_cell(&t, 6, 2, 'B', text_color(1), text_color(1));
    attr_out(&t, 0x10, 0x04);                           /* bit 7 is background now */
    display_refresh(t.display);
    assert_cell(&t, 6, 2, 'B', text_color(12), text_color(9));
    vga_test_fini(&t);
}

static void test_text_scroll_and_split(void)
{
    VgaTest t;

    text_mode(&t);
    put_cell(&t, 0, 0, 'T', 0x07);
    put_cell(&t, 0, 3, 'M', 0x07);
    put_cell(&t, 1, 3, 'N', 0x07);
    reg_out(&t, 0x3d4, 0x0d, 240);                      /* start in row 3 */
    reg_out(&t, 0x3d4, 0x18, 10 * 16 - 1);              /* below line 159: from the start of memory */
    reg_out(&t, 0x3d4, 0x07, 0x0f);
    reg_out(&t, 0x3d4, 0x09, 0x0f);
    display_refresh(t.display);
    assert_cell(&t, 0, 0, 'M', text_color(7), text_color(0));
    assert_cell(&t, 0, 10, 'T', text_color(7), text_color(0));
    /* Three dots to the left (the register counts from 8), the lower part with it or not. */
    attr_out(&t, 0x13, 2);
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 6, 0), ==, text_color(glyph_row('N', 0) & 0x80 ? 7 : 0));
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmphex(pixel(&t, i, 160), ==, text_color(glyph_row('T', 0) >> (4 - i) & 1 ? 7 : 0));
    }
    attr_out(&t, 0x10, 0x2c);
    display_refresh(t.display);
    assert_cell(&t, 0, 10, 'T', text_color(7), text_color(0));
    g_assert_cmphex(pixel(&t, 6, 0), ==, text_color(glyph_row('N', 0) & 0x80 ? 7 : 0));
    vga_test_fini(&t);
}

static void test_text_as_text(void)
{
    VgaTest t;
    const char *words = "Hello \xb3 world";

    text_mode(&t);
    for (unsigned i = 0; i < 80 * 25; i++) {
        put_cell(&t, i % 80, i / 80, ' ', 7);
    }
    for (unsigned i = 0; words[i]; i++) {
        put_cell(&t, 2 + i, 1, words[i], 7);
    }
    g_autofree char *text = display_text(t.display);
    g_assert_true(g_str_has_prefix(text, "\n  Hello │ world\n\n"));
    g_assert_cmpuint(strlen(text), ==, strlen("  Hello │ world") + 25);
    set_mode(&t, &mode_13h);
    g_assert_null(display_text(t.display));
    vga_test_fini(&t);
}

static void test_mode_13h(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_13h);
    for (unsigned i = 0; i < 64000; i += 4) {
        poke(&t, GRAPHICS + i, (uint32_t)(i * 2654435761u), 4);
    }
    assert_size(&t, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = y / 2 * 320 + x / 2;
            uint8_t c = (uint32_t)((i & ~3u) * 2654435761u) >> (i & 3) * 8;
            g_assert_cmphex(pixel(&t, x, y), ==, dac_test_color(c));
        }
    }
    g_assert_cmphex(peek(&t, GRAPHICS + 1000, 4), ==, (uint32_t)(1000 * 2654435761u));
    out(t.m, 0x3c6, 0x0f, 1);                           /* PEL mask */
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 8, 0), ==, dac_test_color((4 * 2654435761u) & 0x0f));
    vga_test_fini(&t);
}

/* "Mode X": chain 4 off, a byte of each of four planes beside each other. */
static void test_mode_x(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_13h);
    reg_out(&t, 0x3c4, 4, 0x06);
    reg_out(&t, 0x3d4, 0x14, 0x00);
    reg_out(&t, 0x3d4, 0x17, 0xe3);
    for (unsigned plane = 0; plane < 4; plane++) {
        reg_out(&t, 0x3c4, 2, 1 << plane);
        for (unsigned i = 0; i < 80 * 200; i++) {
            poke(&t, GRAPHICS + i, i * 3 + plane * 50, 1);
        }
    }
    reg_out(&t, 0x3d4, 0x0d, 80);                       /* one line down */
    display_refresh(t.display);
    for (unsigned i = 0; i < 80 * 199; i++) {
        for (unsigned plane = 0; plane < 4; plane++) {
            g_assert_cmphex(pixel(&t, i % 80 * 8 + plane * 2, i / 80 * 2), ==,
                            dac_test_color((i * 3 + 240 + plane * 50) & 0xff));
        }
    }
    attr_out(&t, 0x13, 2);                              /* one pixel to the left */
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 0, 0), ==, dac_test_color((240 + 50) & 0xff));
    vga_test_fini(&t);
}

static void test_mode_12h(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_12h);
    for (unsigned plane = 0; plane < 4; plane++) {
        reg_out(&t, 0x3c4, 2, 1 << plane);
        for (unsigned i = 0; i < 80 * 480; i++) {
            poke(&t, GRAPHICS + i, (i + plane * 77) * 29, 1);
        }
    }
    assert_size(&t, 640, 480);
    for (unsigned y = 0; y < 480; y++) {
        for (unsigned x = 0; x < 640; x++) {
            unsigned c = 0, i = y * 80 + x / 8;
            for (unsigned plane = 0; plane < 4; plane++) {
                c |= ((i + plane * 77) * 29 >> (7 - x % 8) & 1) << plane;
            }
            g_assert_cmphex(pixel(&t, x, y), ==, dac_test_color(c));
        }
    }
    attr_out(&t, 0x12, 0x0b);                           /* plane 2 hidden; DAC bits 7:4 from the select register */
    attr_out(&t, 0x10, 0x81);
    attr_out(&t, 0x14, 0x0e);
    display_refresh(t.display);
    unsigned c = (0 & 1) | (77 * 29 >> 7 & 1) << 1 | (231 * 29 >> 7 & 1) << 3;
    g_assert_cmphex(pixel(&t, 0, 0), ==, dac_test_color(0xe0 | c));
    vga_test_fini(&t);
}

static void test_cga_modes(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_04h);
    for (unsigned i = 0; i < 0x4000; i++) {
        poke(&t, TEXT + i, i * 31 ^ i >> 8, 1);
    }
    assert_size(&t, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = (y / 2 & 1) * 0x2000 + y / 4 * 80 + x / 8;
            uint8_t byte = i * 31 ^ i >> 8;
            g_assert_cmphex(pixel(&t, x, y), ==, dac_test_color(byte >> (6 - x / 2 % 4 * 2) & 3));
        }
    }
    set_mode(&t, &mode_06h);
    for (unsigned i = 0; i < 0x4000; i++) {
        poke(&t, TEXT + i, i * 31 ^ i >> 8, 1);
    }
    assert_size(&t, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = (y / 2 & 1) * 0x2000 + y / 4 * 80 + x / 8;
            uint8_t byte = i * 31 ^ i >> 8;
            g_assert_cmphex(pixel(&t, x, y), ==, dac_test_color(byte >> (7 - x % 8) & 1));
        }
    }
    vga_test_fini(&t);
}

static uint32_t vbe_color(VgaTest *t, unsigned bpp, uint32_t v)
{
    switch (bpp) {
    case 8:
        return dac_test_color(v & 0xff);
    case 15:
        return (v >> 10 & 31) * 255 / 31 << 16 | (v >> 5 & 31) * 255 / 31 << 8 | (v & 31) * 255 / 31;
    case 16:
        return (v >> 11 & 31) * 255 / 31 << 16 | (v >> 5 & 63) * 255 / 63 << 8 | (v & 31) * 255 / 31;
    default:
        return v & 0xffffff;
    }
}

static int channel_difference(uint32_t a, uint32_t b)
{
    int most = 0;

    for (unsigned s = 0; s < 24; s += 8) {
        most = MAX(most, ABS((int)(a >> s & 255) - (int)(b >> s & 255)));
    }
    return most;
}

static void test_vbe_depths(void)
{
    static const unsigned depths[] = { 8, 15, 16, 24, 32 };
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_03h);                            /* for the DAC's colours */
    for (unsigned d = 0; d < G_N_ELEMENTS(depths); d++) {
        unsigned bpp = depths[d], bytes = (bpp + 7) / 8, w = 328, h = 50, virt = 400;

        set_vbe(&t, w, h, bpp, 0);
        g_assert_cmpuint(dispi_in(&t, 6), ==, w);
        dispi_out(&t, 6, virt);
        dispi_out(&t, 8, 7);
        dispi_out(&t, 9, 3);
        g_assert_cmpuint(peek(&t, LFB, 4), ==, 0);      /* cleared */
        for (unsigned y = 0; y < h + 3; y++) {
            for (unsigned x = 0; x < virt; x++) {
                poke(&t, LFB + (y * virt + x) * bytes, (y * virt + x) * 2654435761u >> 3 & mask64(8 * bytes), bytes);
            }
        }
        assert_size(&t, w, h);
        for (unsigned y = 0; y < h; y++) {
            for (unsigned x = 0; x < w; x++) {
                uint32_t v = ((y + 3) * virt + x + 7) * 2654435761u >> 3;
                g_assert_cmpint(channel_difference(pixel(&t, x, y), vbe_color(&t, bpp, v)), <=, 1);
            }
        }
    }
    vga_test_fini(&t);
}

static void test_vbe_planar_and_banks(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_12h);
    set_vbe(&t, 800, 600, 4, 0);
    for (unsigned plane = 0; plane < 4; plane++) {
        reg_out(&t, 0x3c4, 2, 1 << plane);
        for (unsigned i = 0; i < 100; i++) {
            poke(&t, GRAPHICS + 599 * 100 + i, (i + 40 * plane) * 5, 1);
        }
    }
    assert_size(&t, 800, 600);
    for (unsigned x = 0; x < 800; x++) {
        unsigned c = 0;
        for (unsigned plane = 0; plane < 4; plane++) {
            c |= ((x / 8 + 40 * plane) * 5 >> (7 - x % 8) & 1) << plane;
        }
        g_assert_cmphex(pixel(&t, x, 599), ==, dac_test_color(c));
    }
    set_vbe(&t, 1024, 768, 32, 0);                      /* 3 MiB: 48 banks */
    for (unsigned bank = 0; bank < 48; bank++) {
        dispi_out(&t, 5, bank);
        poke(&t, GRAPHICS + 0x100, 0x112200 + bank, 4);
    }
    for (unsigned bank = 0; bank < 48; bank++) {
        g_assert_cmphex(peek(&t, LFB + bank * 0x10000 + 0x100, 4), ==, 0x112200 + bank);
    }
    dispi_out(&t, 4, 0x81);                             /* off: the window is planes again */
    dispi_out(&t, 4, 0);
    set_mode(&t, &mode_13h);
    reg_out(&t, 0x3c4, 4, 0x06);
    reg_out(&t, 0x3c4, 2, 0x01);
    poke(&t, GRAPHICS + 1, 0x5a, 1);
    g_assert_cmphex(peek(&t, LFB + 4, 1), ==, 0x5a);
    vga_test_fini(&t);
}

static void test_vbe_registers(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2,vgamem_mb=8");
    g_assert_cmphex(dispi_in(&t, 0), ==, 0xb0c5);
    dispi_out(&t, 0, 0xb0c2);
    g_assert_cmphex(dispi_in(&t, 0), ==, 0xb0c2);
    dispi_out(&t, 0, 0x1234);
    g_assert_cmphex(dispi_in(&t, 0), ==, 0xb0c2);
    g_assert_cmpuint(dispi_in(&t, 10), ==, 8 * 16);
    dispi_out(&t, 4, 2);
    g_assert_cmpuint(dispi_in(&t, 1), >=, 1920);
    g_assert_cmpuint(dispi_in(&t, 3), ==, 32);
    set_vbe(&t, 640, 480, 32, 0);
    g_assert_cmpuint(dispi_in(&t, 7), ==, (8 << 20) / 2560);
    dispi_out(&t, 9, 0xffff);
    g_assert_cmpuint(dispi_in(&t, 9), ==, (8 << 20) / 2560 - 480);
    set_vbe(&t, 60000, 60000, 32, 0);                   /* cut to what the memory holds */
    g_assert_cmpuint(dispi_in(&t, 1) * 4 * dispi_in(&t, 2), <=, 8 << 20);
    display_refresh(t.display);
    /* The same registers by BAR 2, and the VGA ports in it. */
    poke(&t, VGA_MMIO + 0x508, 0, 2);
    poke(&t, VGA_MMIO + 0x502, 800, 2);
    poke(&t, VGA_MMIO + 0x504, 600, 2);
    poke(&t, VGA_MMIO + 0x508, 0x41, 2);
    g_assert_cmpuint(dispi_in(&t, 1), ==, 800);
    g_assert_cmpuint(peek(&t, VGA_MMIO + 0x504, 2), ==, 600);
    poke(&t, VGA_MMIO + 0x404, 0x0a02, 2);
    out(t.m, 0x3c4, 2, 1);
    g_assert_cmphex(in(t.m, 0x3c5, 1), ==, 0x0a);
    vga_test_fini(&t);
}

static void test_vbe_8bit_dac(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_vbe(&t, 640, 480, 8, 0x20);
    out(t.m, 0x3c6, 0xff, 1);
    out(t.m, 0x3c8, 9, 1);
    out(t.m, 0x3c9, 0xfe, 1);
    out(t.m, 0x3c9, 0x81, 1);
    out(t.m, 0x3c9, 0x03, 1);
    poke(&t, LFB, 9, 1);
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 0, 0), ==, 0xfe8103);
    vga_test_fini(&t);
}

typedef struct Seen {
    unsigned lines, calls;
} Seen;

static void seen_damage(void *v, int x, int y, int w, int h)
{
    Seen *s = v;
    s->lines += h;
    s->calls++;
}

static const DisplayViewer viewer = { .damaged = seen_damage };

static void test_only_changes_are_painted(void)
{
    VgaTest t;
    Seen seen = { 0 };

    text_mode(&t);
    display_refresh(t.display);
    display_attach(t.display, &viewer, &seen);
    seen = (Seen){ 0 };
    display_refresh(t.display);
    g_assert_cmpuint(seen.calls, ==, 0);
    put_cell(&t, 3, 4, 'x', 7);
    put_cell(&t, 3, 20, 'y', 7);
    display_refresh(t.display);
    g_assert_cmpuint(seen.calls, ==, 2);
    g_assert_cmpuint(seen.lines, <=, 32);
    seen = (Seen){ 0 };
    out(t.m, 0x3c8, 0x3f, 1);                           /* a colour that text uses */
    for (unsigned i = 0; i < 3; i++) {
        out(t.m, 0x3c9, 1, 1);
    }
    display_refresh(t.display);
    g_assert_cmpuint(seen.lines, ==, 400);
    set_vbe(&t, 1024, 768, 32, 0);
    display_refresh(t.display);
    seen = (Seen){ 0 };
    poke(&t, LFB + 4 * (1024 * 700 + 1023), 0xffffff, 4);
    display_refresh(t.display);
    g_assert_cmpuint(seen.lines, ==, 1);
    g_assert_cmphex(pixel(&t, 1023, 700), ==, 0xffffff);
    vga_test_fini(&t);
}

/* An accelerator's log of what was written. */
typedef struct Log {
    MemListener listener;
    uint64_t pages[64];                 /* of the 16 MiB */
    bool gap;
} Log;

static bool take_log(MemListener *l, Region *r, uint64_t *pages)
{
    Log *log = container_of(l, Log, listener);

    g_assert_cmpuint(r->size, ==, 16 << 20);
    for (unsigned i = 0; i < G_N_ELEMENTS(log->pages); i++) {
        pages[i] |= log->pages[i];
        log->pages[i] = 0;
    }
    return !log->gap;
}

/* Lines 700 and 701, 4 KiB each, become that colour, without the log's knowing. */
static void write_two_lines(VgaTest *t, uint32_t color)
{
    for (unsigned i = 0; i < 2; i++) {
        poke(t, LFB + 0x1000 * (700 + i), color, 4);
    }
}

static void assert_two_lines(VgaTest *t, uint32_t first, uint32_t second)
{
    display_refresh(t->display);
    g_assert_cmphex(pixel(t, 0, 700), ==, first);
    g_assert_cmphex(pixel(t, 0, 701), ==, second);
}

/* With a log lines are looked at that somebody wrote; all, where it is not the whole truth. */
static void test_the_log_says_where_to_look(void)
{
    Log log = { .listener = { .take_dirty = take_log } };
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_vbe(&t, 1024, 768, 32, 0);
    as_listen(t.m->mem, &log.listener);
    write_two_lines(&t, 1);
    assert_two_lines(&t, 1, 1);                         /* a new mode */
    write_two_lines(&t, 2);
    assert_two_lines(&t, 1, 1);                         /* the log has nothing */
    log.pages[700 / 64] = 1ull << 700 % 64;
    assert_two_lines(&t, 2, 1);
    log.pages[701 / 64] = 1ull << 701 % 64;
    assert_two_lines(&t, 2, 2);
    write_two_lines(&t, 3);
    log.gap = true;
    assert_two_lines(&t, 3, 3);
    log.gap = false;
    write_two_lines(&t, 4);
    dispi_out(&t, 9, 1);                                /* a line further: all of it is another part */
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 0, 699), ==, 4);
    dispi_out(&t, 9, 0);
    assert_two_lines(&t, 4, 4);
    write_two_lines(&t, 5);
    dispi_out(&t, 4, 0);                                /* cleared by the device itself */
    dispi_out(&t, 4, 0x41);
    assert_two_lines(&t, 0, 0);
    write_two_lines(&t, 6);
    assert_two_lines(&t, 0, 0);
    reg_out(&t, 0x3ce, 6, 0x0d);                        /* text's window: planes, behind the linear picture */
    reg_out(&t, 0x3c4, 2, 0x0f);
    poke(&t, TEXT, 0x77, 1);
    assert_two_lines(&t, 6, 6);
    as_unlisten(t.m->mem, &log.listener);
    vga_test_fini(&t);
}

static void test_blanking(void)
{
    VgaTest t;

    text_mode(&t);
    put_cell(&t, 0, 0, 'A', 0x70);
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 8, 0), ==, text_color(7));
    reg_out(&t, 0x3c4, 1, 0x20);                        /* screen off */
    assert_size(&t, 720, 400);
    g_assert_cmphex(pixel(&t, 8, 0), ==, 0);
    reg_out(&t, 0x3c4, 1, 0x00);
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 8, 0), ==, text_color(7));
    in(t.m, 0x3da, 1);
    out(t.m, 0x3c0, 0x00, 1);                           /* palette address source */
    display_refresh(t.display);
    g_assert_cmphex(pixel(&t, 8, 0), ==, 0);
    vga_test_fini(&t);
}

static unsigned retraces_in_a_second(VgaTest *t, double *blank_share)
{
    unsigned count = 0, blank = 0, samples = 0;
    bool before = false;

    for (int64_t ns = 0; ns < NS_PER_S; ns += 10 * NS_PER_US, samples++) {
        uint8_t status = in(t->m, 0x3da, 1);
        bool now = status & 8;
        count += now && !before;
        blank += status & 1;
        g_assert_true(!now || status & 1);
        before = now;
        clock_step(t->m->clock, 10 * NS_PER_US);
    }
    *blank_share = (double)blank / samples;
    return count;
}

static void test_retrace_follows_the_clock(void)
{
    double share;
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_03h);
    g_assert_cmpuint(ABS((int)retraces_in_a_second(&t, &share) - 70), <=, 1);
    g_assert_cmpfloat(share, >, 0.2);
    g_assert_cmpfloat(share, <, 0.4);
    set_mode(&t, &mode_12h);
    g_assert_cmpuint(ABS((int)retraces_in_a_second(&t, &share) - 60), <=, 1);
    set_vbe(&t, 1024, 768, 32, 0);
    g_assert_cmpuint(ABS((int)retraces_in_a_second(&t, &share) - 60), <=, 1);
    vga_test_fini(&t);
}

static void test_identity_and_edid(void)
{
    VgaTest t;
    uint8_t sum = 0;

    vga_test_init(&t, "addr=2,xres=1920,yres=1080");
    g_assert_cmphex(config_in(t.m, VGA_DEVFN, 0, 4), ==, 0x11111234);
    g_assert_cmphex(config_in(t.m, VGA_DEVFN, 8, 4) >> 8, ==, 0x030000);
    config_out(t.m, VGA_DEVFN, 0x10, 0xffffffff, 4);
    g_assert_cmphex(config_in(t.m, VGA_DEVFN, 0x10, 4), ==, 0xff000008);
    config_out(t.m, VGA_DEVFN, 0x10, LFB, 4);
    config_out(t.m, VGA_DEVFN, 0x18, 0xffffffff, 4);
    g_assert_cmphex(config_in(t.m, VGA_DEVFN, 0x18, 4), ==, 0xfffff000);
    config_out(t.m, VGA_DEVFN, 0x18, VGA_MMIO, 4);
    for (unsigned i = 0; i < 128; i++) {
        sum += peek(&t, VGA_MMIO + i, 1);
    }
    g_assert_cmpuint(sum, ==, 0);
    g_assert_cmphex(peek(&t, VGA_MMIO, 8), ==, 0x00ffffffffffff00);
    g_assert_cmpuint(peek(&t, VGA_MMIO + 56, 1) | (peek(&t, VGA_MMIO + 58, 1) & 0xf0) << 4, ==, 1920);
    g_assert_cmpuint(peek(&t, VGA_MMIO + 59, 1) | (peek(&t, VGA_MMIO + 61, 1) & 0xf0) << 4, ==, 1080);
    vga_test_fini(&t);
}

static void test_bad_options(void)
{
    static const struct { const char *props, *says; } bad[] = {
        { "vgamem_mb=0", "power of two" }, { "vgamem_mb=12", "power of two" }, { "vgamem_mb=512", "256" },
        { "romfile=/no/such/file", "/no/such/file" }, { "vgamem=16", "vgamem_mb" },
    };
    Chipset c;

    chipset_init(&c);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        GError *err = NULL;
        g_assert_null(device_make(c.m, "VGA", NULL, &c.pci->bus, bad[i].props, &err));
        g_assert_nonnull(err);
        if (!strstr(err->message, bad[i].says)) {
            g_error("%s: '%s' does not say '%s'", bad[i].props, err->message, bad[i].says);
        }
        g_error_free(err);
        g_assert_null(machine_service(c.m, "display"));
    }
    GError *err = NULL;
    g_assert_nonnull(device_make(c.m, "VGA", NULL, &c.pci->bus, NULL, &err));
    g_assert_null(device_make(c.m, "VGA", NULL, &c.pci->bus, NULL, &err));
    g_assert_nonnull(strstr(err->message, "-vga none"));
    g_error_free(err);
    g_assert_nonnull(machine_service(c.m, "display"));
    chipset_fini(&c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vga/text-cells", test_text_cells);
    g_test_add_func("/vga/text-second-font", test_text_second_font);
    g_test_add_func("/vga/text-cursor-and-blink", test_text_cursor_and_blink);
    g_test_add_func("/vga/text-scroll-and-split", test_text_scroll_and_split);
    g_test_add_func("/vga/text-as-text", test_text_as_text);
    g_test_add_func("/vga/mode-13h", test_mode_13h);
    g_test_add_func("/vga/mode-x", test_mode_x);
    g_test_add_func("/vga/mode-12h", test_mode_12h);
    g_test_add_func("/vga/cga-modes", test_cga_modes);
    g_test_add_func("/vga/vbe-depths", test_vbe_depths);
    g_test_add_func("/vga/vbe-planar-and-banks", test_vbe_planar_and_banks);
    g_test_add_func("/vga/vbe-registers", test_vbe_registers);
    g_test_add_func("/vga/vbe-8bit-dac", test_vbe_8bit_dac);
    g_test_add_func("/vga/only-changes-are-painted", test_only_changes_are_painted);
    g_test_add_func("/vga/the-log-says-where-to-look", test_the_log_says_where_to_look);
    g_test_add_func("/vga/blanking", test_blanking);
    g_test_add_func("/vga/retrace", test_retrace_follows_the_clock);
    g_test_add_func("/vga/identity-and-edid", test_identity_and_edid);
    g_test_add_func("/vga/bad-options", test_bad_options);
    return g_test_run();
}
