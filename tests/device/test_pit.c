/*
 * The 8254 against its data sheet: six modes, latches and read-back, BCD, gate, IRQ 0, port 0x61.
 */
#include "harness.h"

enum { HZ = 1193182 };

/* Guest time moves in nanoseconds: to the middle of the tick n further on. */
static void ticks(Harness *h, unsigned n)
{
    int64_t now = clock_now(h->m->clock), tick = (int64_t)muldiv64((uint64_t)now, HZ, NS_PER_S);

    step(h, (int64_t)muldiv64((uint64_t)(tick + n) * 2 + 1, NS_PER_S, 2ull * HZ) - now);
}

static void set_count(Harness *h, unsigned channel, unsigned mode, uint16_t count)
{
    outb(h, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    outb(h, (uint16_t)(0x40 + channel), (uint8_t)count);
    outb(h, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static unsigned value(Harness *h, unsigned channel)
{
    unsigned low;

    outb(h, 0x43, (uint8_t)(channel << 6));
    low = inb(h, (uint16_t)(0x40 + channel));
    return low | (unsigned)inb(h, (uint16_t)(0x40 + channel)) << 8;
}

static uint8_t status(Harness *h, unsigned channel)
{
    outb(h, 0x43, (uint8_t)(0xe0 | 2 << channel));
    return inb(h, (uint16_t)(0x40 + channel));
}

static bool out2(Harness *h)
{
    return inb(h, 0x61) & 0x20;
}

static Harness *pit_new(void)
{
    Harness *h = harness_new("i8254", NULL);

    ticks(h, 1);                                /* to the middle of a tick */
    return h;
}

static void test_mode0(void)
{
    Harness *h = pit_new();

    set_count(h, 0, 0, 1000);
    wire_edges(h, 0);
    g_assert_false(wire_level(h, 0));
    ticks(h, 1);                                /* the count is loaded */
    g_assert_cmpuint(value(h, 0), ==, 1000);
    ticks(h, 999);
    g_assert_cmpuint(value(h, 0), ==, 1);
    g_assert_false(wire_level(h, 0));
    ticks(h, 1);                                /* N + 1 ticks after the write */
    g_assert_true(wire_level(h, 0));
    ticks(h, 1);
    g_assert_cmphex(value(h, 0), ==, 0xffff);   /* counts on */
    g_assert_cmpuint(wire_edges(h, 0), ==, 1);
    outb(h, 0x40, 5);                           /* the first byte alone stops it: OUT low */
    ticks(h, 100);
    g_assert_false(wire_level(h, 0));
    harness_free(h);
}

static void test_mode2(void)
{
    Harness *h = pit_new();

    set_count(h, 0, 2, 100);
    wire_edges(h, 0);
    ticks(h, 1);
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmpuint(value(h, 0), ==, 100);
        ticks(h, 99);
        g_assert_cmpuint(value(h, 0), ==, 1);
        g_assert_false(status(h, 0) & 0x80);    /* low for one tick */
        ticks(h, 1);
        g_assert_cmpuint(wire_edges(h, 0), ==, 1);
    }
    /* A new count takes over at the end of the period. */
    ticks(h, 10);
    outb(h, 0x40, 50);
    outb(h, 0x40, 0);
    g_assert_cmpuint(value(h, 0), ==, 90);
    g_assert_true(status(h, 0) & 0x40);         /* null count */
    ticks(h, 90);
    g_assert_cmpuint(value(h, 0), ==, 50);
    g_assert_false(status(h, 0) & 0x40);
    ticks(h, 500);
    g_assert_cmpuint(wire_edges(h, 0), ==, 11);
    harness_free(h);
}

static void test_mode3(void)
{
    Harness *h = pit_new();

    set_count(h, 0, 3, 101);
    ticks(h, 1);
    g_assert_cmpuint(value(h, 0), ==, 100);     /* an odd count loads less one, counts by two */
    ticks(h, 1);
    g_assert_cmpuint(value(h, 0), ==, 98);
    ticks(h, 49);
    g_assert_true(wire_level(h, 0));
    g_assert_cmpuint(value(h, 0), ==, 0);
    ticks(h, 1);                                /* high for 51, low for 50 */
    g_assert_false(wire_level(h, 0));
    g_assert_cmpuint(value(h, 0), ==, 100);
    ticks(h, 49);
    g_assert_false(wire_level(h, 0));
    ticks(h, 1);
    g_assert_true(wire_level(h, 0));
    wire_edges(h, 0);
    ticks(h, 10 * 101);
    g_assert_cmpuint(wire_edges(h, 0), ==, 10);
    harness_free(h);
}

static void test_rate_18_hz(void)
{
    Harness *h = pit_new();

    set_count(h, 0, 3, 0);                      /* 65536 */
    wire_edges(h, 0);
    step(h, 10 * NS_PER_S);
    g_assert_cmpuint(wire_edges(h, 0), ==, 182);
    harness_free(h);
}

static void test_mode1_and_gate(void)
{
    Harness *h = pit_new();

    set_count(h, 2, 1, 200);
    g_assert_true(out2(h));
    ticks(h, 500);
    g_assert_true(out2(h));                     /* waits for the gate */
    outb(h, 0x61, 1);
    ticks(h, 1);
    g_assert_false(out2(h));
    ticks(h, 100);
    outb(h, 0x61, 0);                           /* falling: nothing */
    outb(h, 0x61, 1);                           /* again: retriggered */
    ticks(h, 1);
    g_assert_cmpuint(value(h, 2), ==, 200);
    ticks(h, 199);
    g_assert_false(out2(h));
    ticks(h, 1);
    g_assert_true(out2(h));
    harness_free(h);
}

static void test_mode4_and_5(void)
{
    Harness *h = pit_new();

    outb(h, 0x61, 1);
    set_count(h, 2, 4, 10);
    ticks(h, 10);
    g_assert_true(out2(h));
    ticks(h, 1);
    g_assert_false(out2(h));                    /* one tick */
    ticks(h, 1);
    g_assert_true(out2(h));

    outb(h, 0x61, 0);
    set_count(h, 2, 5, 10);
    ticks(h, 50);
    g_assert_true(out2(h));
    outb(h, 0x61, 1);
    ticks(h, 11);
    g_assert_false(out2(h));
    ticks(h, 1);
    g_assert_true(out2(h));
    harness_free(h);
}

static void test_gate_pauses(void)
{
    Harness *h = pit_new();

    outb(h, 0x61, 1);
    set_count(h, 2, 0, 1000);
    ticks(h, 101);
    g_assert_cmpuint(value(h, 2), ==, 900);
    outb(h, 0x61, 0);
    ticks(h, 5000);
    g_assert_cmpuint(value(h, 2), ==, 900);
    outb(h, 0x61, 1);
    ticks(h, 100);
    g_assert_cmpuint(value(h, 2), ==, 800);

    set_count(h, 2, 3, 1000);                   /* mode 3: the gate restarts */
    ticks(h, 700);
    outb(h, 0x61, 0);
    g_assert_true(out2(h));
    outb(h, 0x61, 1);
    ticks(h, 1);
    g_assert_cmpuint(value(h, 2), ==, 1000);
    harness_free(h);
}

static void test_latch_and_read_back(void)
{
    Harness *h = pit_new();

    set_count(h, 0, 2, 0x1234);
    ticks(h, 0x35);
    outb(h, 0x43, 0);                           /* latch */
    ticks(h, 0x100);
    outb(h, 0x43, 0);                           /* a second latch does not count */
    g_assert_cmphex(inb(h, 0x40), ==, 0x00);
    g_assert_cmphex(inb(h, 0x40), ==, 0x12);    /* 0x1234 - 0x34 */
    g_assert_cmphex(inb(h, 0x40), ==, 0x00);    /* live again: 0x1100 */
    g_assert_cmphex(inb(h, 0x40), ==, 0x11);

    outb(h, 0x43, 0xc2);                        /* read back count and status of 0 */
    g_assert_cmphex(inb(h, 0x40), ==, 0xb4);    /* OUT, RW both, mode 2 */
    g_assert_cmphex(inb(h, 0x40), ==, 0x00);
    g_assert_cmphex(inb(h, 0x40), ==, 0x11);

    outb(h, 0x43, 0x14);                        /* low byte only */
    outb(h, 0x40, 0x80);
    ticks(h, 1);
    g_assert_cmphex(inb(h, 0x40), ==, 0x80);
    g_assert_cmphex(inb(h, 0x40), ==, 0x80);
    outb(h, 0x43, 0x24);                        /* high byte only */
    outb(h, 0x40, 0x80);
    ticks(h, 1);
    g_assert_cmphex(inb(h, 0x40), ==, 0x80);
    ticks(h, 1);
    g_assert_cmphex(inb(h, 0x40), ==, 0x7f);
    harness_free(h);
}

static void test_bcd(void)
{
    Harness *h = pit_new();

    outb(h, 0x43, 0x35);                        /* mode 2, BCD */
    outb(h, 0x40, 0x00);
    outb(h, 0x40, 0x10);                        /* 1000 */
    ticks(h, 1);
    g_assert_cmphex(value(h, 0), ==, 0x1000);
    ticks(h, 1);
    g_assert_cmphex(value(h, 0), ==, 0x0999);
    ticks(h, 998);
    g_assert_cmphex(value(h, 0), ==, 0x0001);
    ticks(h, 1);
    g_assert_cmphex(value(h, 0), ==, 0x1000);
    harness_free(h);
}

static void test_port_61(void)
{
    Harness *h = pit_new();
    unsigned toggles = 0;
    uint8_t last = inb(h, 0x61) & 0x10;

    outb(h, 0x61, 0xff);
    g_assert_cmphex(inb(h, 0x61) & 0xcf, ==, 0x0f);
    for (unsigned i = 0; i < 1000; i++) {
        step(h, 1000);
        toggles += (inb(h, 0x61) & 0x10) != last;
        last = inb(h, 0x61) & 0x10;
    }
    g_assert_cmpuint(toggles, >=, 65);          /* one each 15 us */
    g_assert_cmpuint(toggles, <=, 68);
    harness_free(h);
}

/* Periods too short to follow: an edge that the timer is late for is late after a load, too. */
static void test_load_with_an_edge_to_come(void)
{
    Harness *h[2] = { pit_new(), pit_new() };
    GError *err = NULL;

    for (unsigned i = 0; i < 2; i++) {
        set_count(h[i], 0, 3, 17);
    }
    for (unsigned tick = 0; tick < 300; tick++) {
        g_autoptr(GByteArray) state = harness_save(h[1]);
        g_assert_true(harness_load(h[1], state, &err));
        g_assert_no_error(err);
        for (unsigned i = 0; i < 2; i++) {
            ticks(h[i], 1);
        }
        g_assert_cmpint(wire_level(h[0], 0), ==, wire_level(h[1], 0));
    }
    harness_free(h[0]);
    harness_free(h[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pit/mode0", test_mode0);
    g_test_add_func("/pit/mode2", test_mode2);
    g_test_add_func("/pit/mode3", test_mode3);
    g_test_add_func("/pit/rate-18-hz", test_rate_18_hz);
    g_test_add_func("/pit/mode1-and-gate", test_mode1_and_gate);
    g_test_add_func("/pit/mode4-and-5", test_mode4_and_5);
    g_test_add_func("/pit/gate-pauses", test_gate_pauses);
    g_test_add_func("/pit/latch-and-read-back", test_latch_and_read_back);
    g_test_add_func("/pit/bcd", test_bcd);
    g_test_add_func("/pit/port-61", test_port_61);
    g_test_add_func("/pit/load-with-an-edge-to-come", test_load_with_an_edge_to_come);
    return g_test_run();
}
