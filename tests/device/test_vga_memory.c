/*
 * The VGA's window at 0xa0000 against a model that works bit by bit and plane by plane; random register
 * and memory accesses with a refresh now and then, for the sanitizers; state saved and loaded.
 */
#include "vga_harness.h"

typedef struct Model {
    uint8_t plane[4][0x10000], latch[4];
    uint8_t map_mask, memory_mode, gfx[9];
} Model;

static bool model_offset(const Model *m, unsigned off, unsigned *addr)
{
    switch (m->gfx[6] >> 2 & 3) {
    case 0:
        *addr = off;
        return true;
    case 1:
        *addr = off;
        return off < 0x10000;
    case 2:
        *addr = off - 0x10000;
        return off >= 0x10000 && off < 0x18000;
    default:
        *addr = off - 0x18000;
        return off >= 0x18000;
    }
}

static unsigned model_plane_address(const Model *m, unsigned addr)
{
    if (m->memory_mode & 8) {
        return addr / 4 * 4 % 0x10000;
    }
    if (m->gfx[6] & 2) {
        return addr / 2 * 2 % 0x10000 + addr / 0x10000;
    }
    return addr % 0x10000;
}

static uint8_t model_read(Model *m, unsigned off)
{
    unsigned addr, plane = m->gfx[4];

    if (!model_offset(m, off, &addr)) {
        return 0xff;
    }
    for (unsigned p = 0; p < 4; p++) {
        m->latch[p] = m->plane[p][model_plane_address(m, addr)];
    }
    if (m->gfx[5] & 8) {
        uint8_t match = 0;
        for (unsigned bit = 0; bit < 8; bit++) {
            bool same = true;
            for (unsigned p = 0; p < 4; p++) {
                same &= !(m->gfx[7] >> p & 1) || (m->latch[p] >> bit & 1) == (m->gfx[2] >> p & 1);
            }
            match |= same << bit;
        }
        return match;
    }
    if (m->memory_mode & 8) {
        plane = addr % 4;
    } else if (m->gfx[5] & 0x10) {
        plane = plane / 2 * 2 + addr % 2;
    }
    return m->latch[plane];
}

/* One bit on its way to one plane. */
static bool model_bit(const Model *m, unsigned p, unsigned bit, uint8_t byte)
{
    bool latch = m->latch[p] >> bit & 1, set = m->gfx[0] >> p & 1, data;
    bool rotated = byte >> ((bit + (m->gfx[3] & 7)) % 8) & 1, masked = m->gfx[8] >> bit & 1;

    switch (m->gfx[5] & 3) {
    case 1:
        return latch;
    case 3:
        return masked && rotated ? set : latch;
    case 2:
        data = byte >> p & 1;
        break;
    default:
        data = m->gfx[1] >> p & 1 ? set : rotated;
        break;
    }
    switch (m->gfx[3] >> 3) {
    case 1:
        data = data && latch;
        break;
    case 2:
        data = data || latch;
        break;
    case 3:
        data = data != latch;
        break;
    default:
        break;
    }
    return masked ? data : latch;
}

static void model_write(Model *m, unsigned off, uint8_t byte)
{
    unsigned addr;

    if (!model_offset(m, off, &addr)) {
        return;
    }
    for (unsigned p = 0; p < 4; p++) {
        bool odd_even = !(m->memory_mode & 4), chain4 = m->memory_mode & 8;
        bool chosen = m->map_mask >> p & 1;
        chosen &= chain4 ? addr % 4 == p : !odd_even || addr % 2 == p % 2;
        if (chosen) {
            uint8_t v = 0;
            for (unsigned bit = 0; bit < 8; bit++) {
                v |= model_bit(m, p, bit, byte) << bit;
            }
            m->plane[p][model_plane_address(m, addr)] = v;
        }
    }
}

static void model_registers(VgaTest *t, Model *m)
{
    static const uint8_t bits[9] = { 15, 15, 15, 31, 3, 0x7b, 15, 15, 255 };
    unsigned i = g_test_rand_int_range(0, 11);

    if (i == 9) {
        m->map_mask = g_test_rand_int() & 15;
        reg_out(t, 0x3c4, 2, m->map_mask);
    } else if (i == 10) {
        m->memory_mode = g_test_rand_int() & 14;
        reg_out(t, 0x3c4, 4, m->memory_mode);
    } else {
        m->gfx[i] = g_test_rand_int() & bits[i];
        reg_out(t, 0x3ce, i, m->gfx[i]);
    }
}

static void test_window_against_model(void)
{
    Model *m = g_new0(Model, 1);
    VgaTest t;

    vga_test_init(&t, "addr=2");
    out(t.m, 0x3c2, 0x03, 1);
    for (unsigned i = 0; i < 400000; i++) {
        /* Few addresses, near the ends of the map's parts, so that they meet again. */
        unsigned off = g_test_rand_int_range(0, 16) << 13 | (g_test_rand_int() & 7);
        uint8_t byte = g_test_rand_int();

        switch (g_test_rand_int_range(0, 4)) {
        case 0:
            model_registers(&t, m);
            break;
        case 1:
            g_assert_cmphex(peek(&t, GRAPHICS + off, 1), ==, model_read(m, off));
            break;
        default:
            poke(&t, GRAPHICS + off, byte, 1);
            model_write(m, off, byte);
            break;
        }
    }
    for (unsigned i = 0; i < 0x40000; i++) {
        g_assert_cmphex(peek(&t, LFB + i, 1), ==, m->plane[i % 4][i / 4]);
    }
    vga_test_fini(&t);
    g_free(m);
}

static void test_wide_accesses_are_bytes_in_order(void)
{
    VgaTest t;

    vga_test_init(&t, "addr=2");
    set_mode(&t, &mode_12h);
    reg_out(&t, 0x3ce, 8, 0x0f);
    poke(&t, GRAPHICS, 0x8877665544332211, 8);
    g_assert_cmphex(peek(&t, GRAPHICS, 8), ==, 0x0807060504030201);
    g_assert_cmphex(peek(&t, GRAPHICS + 3, 4), ==, 0x07060504);
    out(t.m, 0x3c2, 0x61, 1);                           /* memory off */
    g_assert_cmphex(peek(&t, GRAPHICS, 4), ==, 0xffffffff);
    vga_test_fini(&t);
}

/* ---- hostile guests ---- */

static void random_access(VgaTest *t)
{
    static const uint16_t ports[] = { 0x3b4, 0x3ba, 0x3c0, 0x3c2, 0x3c4, 0x3c6, 0x3c8, 0x3ce, 0x3d4, 0x3da, 0x1ce,
                                      0x1cf, 0x1d0 };
    unsigned size = 1 << g_test_rand_int_range(0, 3);
    uint16_t port = ports[g_test_rand_int_range(0, G_N_ELEMENTS(ports))] + (g_test_rand_int() & 1);
    uint32_t val = g_test_rand_int() >> g_test_rand_int_range(0, 32);

    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        in(t->m, port, size);
        break;
    case 1:
        poke(t, GRAPHICS + (g_test_rand_int() & 0x1ffff), val, size);
        break;
    case 2:
        peek(t, GRAPHICS + (g_test_rand_int() & 0x1ffff), size);
        break;
    case 3:
        poke(t, VGA_MMIO + (g_test_rand_int() & 0xfff), val, size);
        break;
    case 4:
        reg_out(t, (const uint16_t[]){ 0x3c4, 0x3ce, 0x3d4 }[g_test_rand_int_range(0, 3)],
                g_test_rand_int_range(0, 32), val);
        break;
    case 5:
        dispi_out(t, g_test_rand_int_range(0, 12), val);
        break;
    default:
        out(t->m, port, val, size);
        break;
    }
}

/* Most random settings are blank: make the picture likely, and keep it small enough to be quick. */
static void make_visible(VgaTest *t)
{
    out(t->m, 0x3c2, 0x67, 1);
    reg_out(t, 0x3c4, 0, 3);
    reg_out(t, 0x3c4, 1, g_test_rand_int() & 0x1d);
    reg_out(t, 0x3d4, 0x11, 0);
    reg_out(t, 0x3d4, 0x17, 0x80 | g_test_rand_int());
    reg_out(t, 0x3d4, 0x12, g_test_rand_int());
    attr_out(t, 0x10, g_test_rand_int());
    if (g_test_rand_int_range(0, 2)) {
        static const uint8_t depths[] = { 4, 8, 15, 16, 24, 32 };
        set_vbe(t, g_test_rand_int_range(0, 900), g_test_rand_int_range(0, 300),
                depths[g_test_rand_int_range(0, G_N_ELEMENTS(depths))], g_test_rand_int() & 0xff);
        dispi_out(t, 6, g_test_rand_int());
        dispi_out(t, 8, g_test_rand_int());
        dispi_out(t, 9, g_test_rand_int());
    } else {
        dispi_out(t, 4, 0);
    }
}

static void test_random_guest(void)
{
    VgaTest t;
    unsigned sizes = 0;

    vga_test_init(&t, "addr=2,vgamem_mb=1");
    for (unsigned round = 0; round < 250; round++) {
        for (unsigned i = 0; i < 300; i++) {
            random_access(&t);
        }
        make_visible(&t);
        for (unsigned i = 0; i < 8; i++) {
            random_access(&t);
        }
        clock_step(t.m->clock, g_test_rand_int() & 0xffffff);
        display_refresh(t.display);
        g_free(display_text(t.display));
        sizes += pixman_image_get_width(display_surface(t.display)) != 640;
        if (round % 16 == 0) {
            g_autoptr(GString) info = g_string_new(NULL);
            t.vga->cls->info(t.vga, info);
            g_assert_cmpuint(info->len, >, 0);
            machine_reset(t.m);
            config_out(t.m, VGA_DEVFN, 0x10, LFB, 4);
            config_out(t.m, VGA_DEVFN, 0x18, VGA_MMIO, 4);
            config_out(t.m, VGA_DEVFN, 0x04, 3, 2);
        }
    }
    g_assert_cmpuint(sizes, >, 50);     /* pictures were painted, not only black */
    vga_test_fini(&t);
}

static void test_state_round_trip(void)
{
    g_autoptr(GByteArray) first = g_byte_array_new(), second = g_byte_array_new();
    VgaTest a, b;
    GError *err = NULL;

    vga_test_init(&a, "addr=2");
    vga_test_init(&b, "addr=2");
    set_mode(&a, &mode_13h);
    set_vbe(&a, 800, 600, 32, 0);
    dispi_out(&a, 5, 3);
    for (unsigned i = 0; i < 3000; i++) {
        out(a.m, 0x3c0 + g_test_rand_int_range(0, 16), g_test_rand_int(), 1);
    }
    reg_out(&a, 0x3ce, 6, 0x05);
    state_save(a.vga->cls->state, a.vga, first);
    g_assert_true(state_load(b.vga->cls->state, b.vga, first->data, first->len, &err));
    g_assert_no_error(err);
    b.vga->cls->settle(b.vga);
    state_save(b.vga->cls->state, b.vga, second);
    g_assert_cmpmem(first->data, first->len, second->data, second->len);
    /* The window shows bank 3 in the loaded machine too. */
    poke(&b, GRAPHICS + 0x20, 0x5a5aa5a5, 4);
    g_assert_cmphex(peek(&b, LFB + 0x30020, 4), ==, 0x5a5aa5a5);
    g_assert_cmpuint(dispi_in(&b, 1), ==, 800);
    vga_test_fini(&a);
    vga_test_fini(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vga/window-against-model", test_window_against_model);
    g_test_add_func("/vga/wide-accesses", test_wide_accesses_are_bytes_in_order);
    g_test_add_func("/vga/random-guest", test_random_guest);
    g_test_add_func("/vga/state-round-trip", test_state_round_trip);
    return g_test_run();
}
