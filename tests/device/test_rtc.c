/*
 * The MC146818A: time in BCD and binary, 12 and 24 hours, UIP, SET, alarm, update and periodic
 * interrupts, CMOS memory.
 */
#include "harness.h"

#include "hw/rtc.h"

static uint8_t rd(Harness *h, uint8_t reg)
{
    outb(h, 0x70, reg);
    return inb(h, 0x71);
}

static void wr(Harness *h, uint8_t reg, uint8_t val)
{
    outb(h, 0x70, reg);
    outb(h, 0x71, val);
}

static Harness *rtc_new(void)
{
    return harness_new("mc146818rtc", "base=951782399");
}

static void test_bcd_time(void)
{
    Harness *h = rtc_new();

    g_assert_cmphex(rd(h, 0), ==, 0x59);
    g_assert_cmphex(rd(h, 2), ==, 0x59);
    g_assert_cmphex(rd(h, 4), ==, 0x23);
    g_assert_cmphex(rd(h, 6), ==, 2);
    g_assert_cmphex(rd(h, 7), ==, 0x28);
    g_assert_cmphex(rd(h, 8), ==, 0x02);
    g_assert_cmphex(rd(h, 9), ==, 0x00);
    g_assert_cmphex(rd(h, 0x32), ==, 0x20);
    step(h, NS_PER_S);
    g_assert_cmphex(rd(h, 0), ==, 0);
    g_assert_cmphex(rd(h, 4), ==, 0);
    g_assert_cmphex(rd(h, 7), ==, 0x29);        /* 2000 is a leap year */
    g_assert_cmphex(rd(h, 0x0d), ==, 0x80);
    harness_free(h);
}

static void test_binary_and_12_hours(void)
{
    Harness *h = rtc_new();

    wr(h, 0x0b, 0x06);                          /* binary, 24 hours */
    g_assert_cmpuint(rd(h, 0), ==, 59);
    g_assert_cmpuint(rd(h, 4), ==, 23);
    wr(h, 0x0b, 0x00);                          /* BCD, 12 hours */
    g_assert_cmphex(rd(h, 4), ==, 0x91);        /* 11 PM */
    step(h, NS_PER_S);
    g_assert_cmphex(rd(h, 4), ==, 0x12);        /* 12 AM */
    wr(h, 4, 0x92);                             /* 12 PM */
    wr(h, 0x0b, 0x02);
    g_assert_cmphex(rd(h, 4), ==, 0x12);
    harness_free(h);
}

static void test_set_holds(void)
{
    Harness *h = rtc_new();

    wr(h, 0x0b, 0x82);
    step(h, 10 * NS_PER_S);
    g_assert_cmphex(rd(h, 0), ==, 0x59);
    wr(h, 0, 0x30);
    wr(h, 2, 0x15);
    wr(h, 4, 0x12);
    wr(h, 7, 0x31);
    wr(h, 8, 0x12);
    wr(h, 9, 0x99);
    wr(h, 0x32, 0x19);
    wr(h, 0x0b, 0x02);
    step(h, 30 * NS_PER_S);
    g_assert_cmphex(rd(h, 0), ==, 0x00);
    g_assert_cmphex(rd(h, 2), ==, 0x16);
    step(h, 12 * 3600 * NS_PER_S);
    g_assert_cmphex(rd(h, 9), ==, 0x00);
    g_assert_cmphex(rd(h, 0x32), ==, 0x20);
    g_assert_cmphex(rd(h, 8), ==, 0x01);
    harness_free(h);
}

static void test_uip(void)
{
    Harness *h = rtc_new();

    g_assert_false(rd(h, 0x0a) & 0x80);
    step(h, NS_PER_S - 2000000);
    g_assert_true(rd(h, 0x0a) & 0x80);
    step(h, 2000000);
    g_assert_false(rd(h, 0x0a) & 0x80);
    wr(h, 0x0b, 0x82);                          /* never while SET */
    step(h, NS_PER_S - 2000000);
    g_assert_false(rd(h, 0x0a) & 0x80);
    harness_free(h);
}

static void test_divider_reset(void)
{
    Harness *h = rtc_new();

    step(h, 300000000);
    wr(h, 0x0a, 0x76);
    step(h, 10 * NS_PER_S);
    g_assert_cmphex(rd(h, 0), ==, 0x59);
    wr(h, 0x0a, 0x26);                          /* the first update comes after half a second */
    step(h, 490000000);
    g_assert_cmphex(rd(h, 0), ==, 0x59);
    step(h, 20000000);
    g_assert_cmphex(rd(h, 0), ==, 0x00);
    harness_free(h);
}

static void test_update_interrupt(void)
{
    Harness *h = rtc_new();

    wr(h, 1, 0x30);                             /* no alarm here */
    wr(h, 0x0b, 0x12);
    g_assert_false(wire_level(h, 8));
    step(h, NS_PER_S);
    g_assert_true(wire_level(h, 8));
    g_assert_cmphex(rd(h, 0x0c) & 0xb0, ==, 0x90);
    g_assert_false(wire_level(h, 8));
    g_assert_cmphex(rd(h, 0x0c), ==, 0);        /* reading cleared it */
    step(h, 3 * NS_PER_S);
    g_assert_cmpuint(wire_edges(h, 8), ==, 2);  /* the line stays up until register C is read */
    harness_free(h);
}

static void test_alarm(void)
{
    Harness *h = rtc_new();

    wr(h, 1, 0x05);                             /* at xx:01:05, any hour */
    wr(h, 3, 0x01);
    wr(h, 5, 0xff);
    wr(h, 0x0b, 0x22);
    step(h, 65 * NS_PER_S);
    g_assert_false(wire_level(h, 8));
    step(h, NS_PER_S);
    g_assert_true(wire_level(h, 8));
    g_assert_cmphex(rd(h, 0x0c) & 0xa0, ==, 0xa0);
    step(h, 3599 * NS_PER_S);
    g_assert_false(wire_level(h, 8));
    step(h, NS_PER_S);
    g_assert_true(wire_level(h, 8));
    harness_free(h);
}

static unsigned periodic_in_second(uint8_t rate)
{
    Harness *h = rtc_new();
    unsigned n = 0;

    wr(h, 0x0a, 0x20 | rate);
    rd(h, 0x0c);
    wr(h, 0x0b, 0x42);
    for (unsigned i = 0; i < 100000; i++) {
        step(h, 10000);
        if (wire_level(h, 8)) {
            g_assert_cmphex(rd(h, 0x0c) & 0xc0, ==, 0xc0);
            n++;
        }
    }
    harness_free(h);
    return n;
}

static void test_periodic(void)
{
    g_assert_cmpuint(periodic_in_second(6), ==, 1024);
    g_assert_cmpuint(periodic_in_second(15), ==, 2);
    g_assert_cmpuint(periodic_in_second(1), ==, 256);
    g_assert_cmpuint(periodic_in_second(3), ==, 8192);
    g_assert_cmpuint(periodic_in_second(0), ==, 0);
}

static void test_periodic_flag_polled(void)
{
    Harness *h = rtc_new();

    rd(h, 0x0c);
    step(h, 500000);
    g_assert_false(rd(h, 0x0c) & 0x40);
    step(h, 1000000);
    g_assert_true(rd(h, 0x0c) & 0x40);          /* without the interrupt enabled */
    g_assert_false(wire_level(h, 8));
    harness_free(h);
}

static void test_memory(void)
{
    Harness *h = rtc_new();

    rtc_set_cmos(h->dev, 0x34, 0xaa);
    g_assert_cmphex(rd(h, 0x34), ==, 0xaa);
    g_assert_cmphex(rd(h, 0xb4), ==, 0xaa);     /* bit 7 is the NMI mask */
    wr(h, 0x7f, 0x5a);
    wr(h, 0x0b, 0x72);
    machine_reset(h->m);
    g_assert_cmphex(rd(h, 0x7f), ==, 0x5a);     /* battery */
    g_assert_cmphex(rd(h, 0x0b), ==, 0x02);     /* reset turns interrupts off */
    g_assert_cmphex(inb(h, 0x70), ==, 0xff);    /* write-only */
    harness_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtc/bcd-time", test_bcd_time);
    g_test_add_func("/rtc/binary-and-12-hours", test_binary_and_12_hours);
    g_test_add_func("/rtc/set-holds", test_set_holds);
    g_test_add_func("/rtc/uip", test_uip);
    g_test_add_func("/rtc/divider-reset", test_divider_reset);
    g_test_add_func("/rtc/update-interrupt", test_update_interrupt);
    g_test_add_func("/rtc/alarm", test_alarm);
    g_test_add_func("/rtc/periodic", test_periodic);
    g_test_add_func("/rtc/periodic-flag-polled", test_periodic_flag_polled);
    g_test_add_func("/rtc/memory", test_memory);
    return g_test_run();
}
