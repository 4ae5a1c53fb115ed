/*
 * The 16550A: FIFOs, interrupt identification, time-out, line and modem status, loopback, a full
 * back end, pacing; and the option table of isa-serial.
 */
#include "harness.h"

#include <string.h>

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static Harness *uart_new(void)
{
    Harness *h = harness_new("isa-serial", "chardev=fake");

    outb(h, LCR, 0x83);
    outb(h, DATA, 1);                           /* 115200 */
    outb(h, IER, 0);
    outb(h, LCR, 0x03);
    outb(h, MCR, 0x0b);
    return h;
}

static void test_registers(void)
{
    Harness *h = uart_new();

    g_assert_cmphex(inb(h, LSR), ==, 0x60);
    g_assert_cmphex(inb(h, IIR), ==, 0x01);
    g_assert_cmphex(inb(h, MSR), ==, 0xb0);
    outb(h, SCR, 0x5a);
    g_assert_cmphex(inb(h, SCR), ==, 0x5a);
    outb(h, LCR, 0x83);
    g_assert_cmphex(inb(h, DATA), ==, 1);
    outb(h, IER, 0x12);
    g_assert_cmphex(inb(h, IER), ==, 0x12);
    outb(h, LCR, 0x03);
    outb(h, IER, 0xff);
    g_assert_cmphex(inb(h, IER), ==, 0x0f);
    outb(h, MCR, 0xff);
    g_assert_cmphex(inb(h, MCR), ==, 0x1f);
    outb(h, FCR, 0x01);
    g_assert_cmphex(inb(h, IIR) & 0xc0, ==, 0xc0);      /* a 16550A */
    harness_free(h);
}

static void test_transmit(void)
{
    Harness *h = uart_new();

    for (const char *p = "hello\n"; *p; p++) {
        g_assert_true(inb(h, LSR) & 0x20);
        outb(h, DATA, (uint8_t)*p);
    }
    g_assert_cmpstr(h->chr.output->str, ==, "hello\n");
    harness_free(h);
}

static void test_transmit_interrupt(void)
{
    Harness *h = uart_new();

    g_assert_false(wire_level(h, 4));
    outb(h, IER, 0x02);
    g_assert_true(wire_level(h, 4));            /* enabling tells that there is room */
    g_assert_cmphex(inb(h, IIR), ==, 0x02);
    g_assert_false(wire_level(h, 4));           /* reading IIR acknowledges */
    g_assert_cmphex(inb(h, IIR), ==, 0x01);
    wire_edges(h, 4);
    outb(h, DATA, 'x');
    g_assert_cmpuint(wire_edges(h, 4), ==, 1);
    outb(h, MCR, 0x03);                         /* OUT2 off: no interrupt reaches the bus */
    g_assert_false(wire_level(h, 4));
    harness_free(h);
}

static void test_receive_trigger_and_timeout(void)
{
    Harness *h = uart_new();

    outb(h, FCR, 0x81);                         /* FIFOs, trigger at 8 */
    outb(h, IER, 0x01);
    chr_type(h, "abc", 3);
    g_assert_true(inb(h, LSR) & 0x01);
    g_assert_false(wire_level(h, 4));
    step(h, 300000);
    g_assert_false(wire_level(h, 4));
    step(h, 60000);                             /* 4 characters at 115200: 347 us */
    g_assert_true(wire_level(h, 4));
    g_assert_cmphex(inb(h, IIR), ==, 0xcc);
    g_assert_cmphex(inb(h, DATA), ==, 'a');
    g_assert_false(wire_level(h, 4));           /* a read restarts the time-out */
    chr_type(h, "defghi", 6);
    g_assert_true(wire_level(h, 4));
    g_assert_cmphex(inb(h, IIR), ==, 0xc4);
    for (const char *p = "bcdefghi"; *p; p++) {
        g_assert_cmphex(inb(h, DATA), ==, (uint8_t)*p);
    }
    g_assert_false(wire_level(h, 4));
    g_assert_false(inb(h, LSR) & 0x01);
    harness_free(h);
}

static void test_receive_holds_back(void)
{
    Harness *h = uart_new();
    const char *text = "twenty-six letters or so..";

    chr_type(h, text, 26);                      /* no FIFO: one at a time, none lost */
    for (const char *p = text; *p; p++) {
        g_assert_true(inb(h, LSR) & 0x01);
        g_assert_cmphex(inb(h, DATA), ==, (uint8_t)*p);
    }
    g_assert_false(inb(h, LSR) & 0x01);
    outb(h, FCR, 0x01);
    chr_type(h, text, 26);
    g_assert_cmpuint(h->chr.input->len, ==, 10);
    outb(h, FCR, 0x03);                         /* clear: the rest comes in */
    g_assert_cmpuint(h->chr.input->len, ==, 0);
    g_assert_cmphex(inb(h, DATA), ==, (uint8_t)text[16]);
    harness_free(h);
}

static void test_break(void)
{
    Harness *h = uart_new();

    outb(h, FCR, 0x01);
    outb(h, IER, 0x05);
    chr_type(h, "a", 1);
    chr_break(h);
    g_assert_cmphex(inb(h, LSR) & 0x9f, ==, 0x81);      /* in the FIFO, not at its top */
    g_assert_cmphex(inb(h, DATA), ==, 'a');
    g_assert_cmphex(inb(h, IIR), ==, 0xc6);             /* line status is the highest */
    g_assert_cmphex(inb(h, LSR) & 0x1e, ==, 0x18);
    g_assert_cmphex(inb(h, LSR) & 0x1e, ==, 0);         /* reading cleared it */
    g_assert_cmphex(inb(h, DATA), ==, 0);
    harness_free(h);
}

static void test_loopback(void)
{
    Harness *h = uart_new();

    outb(h, MCR, 0x1f);
    g_assert_cmphex(inb(h, MSR) & 0xf0, ==, 0xf0);
    outb(h, MCR, 0x11);                         /* DTR only: DSR */
    g_assert_cmphex(inb(h, MSR), ==, 0x2d);     /* CTS and DCD fell, the end of RI */
    g_assert_cmphex(inb(h, MSR), ==, 0x20);
    outb(h, MCR, 0x18);
    chr_type(h, "outside", 7);                  /* the line is cut ... */
    outb(h, DATA, 0xa5);
    g_assert_cmphex(inb(h, DATA), ==, 0xa5);
    g_assert_cmpuint(h->chr.output->len, ==, 0);
    outb(h, DATA, 1);
    outb(h, DATA, 2);
    g_assert_cmphex(inb(h, LSR) & 0x02, ==, 0x02);      /* overrun */
    g_assert_cmphex(inb(h, DATA), ==, 2);
    outb(h, MCR, 0x0b);                         /* ... until here */
    g_assert_cmphex(inb(h, DATA), ==, 'o');
    harness_free(h);
}

static void test_full_back_end(void)
{
    Harness *h = uart_new();

    outb(h, FCR, 0x01);
    outb(h, IER, 0x02);
    inb(h, IIR);
    chr_set_limit(h, 3);
    for (const char *p = "abcde"; *p; p++) {
        outb(h, DATA, (uint8_t)*p);
    }
    g_assert_cmpstr(h->chr.output->str, ==, "abc");
    g_assert_false(inb(h, LSR) & 0x60);
    inb(h, IIR);
    g_assert_false(wire_level(h, 4));
    chr_set_limit(h, 100);
    g_assert_cmpstr(h->chr.output->str, ==, "abcde");
    g_assert_true(inb(h, LSR) & 0x20);
    g_assert_true(wire_level(h, 4));
    harness_free(h);
}

static void test_pace(void)
{
    Harness *h = harness_new("isa-serial", "chardev=fake,pace=on");

    outb(h, LCR, 0x83);
    outb(h, DATA, 12);                          /* 9600 baud: 1.04 ms a character */
    outb(h, IER, 0);
    outb(h, LCR, 0x03);
    outb(h, FCR, 0x01);
    for (const char *p = "0123456789"; *p; p++) {
        outb(h, DATA, (uint8_t)*p);
    }
    g_assert_cmpuint(h->chr.output->len, ==, 0);
    step(h, 5 * NS_PER_MS);
    g_assert_cmpuint(h->chr.output->len, ==, 4);
    step(h, 10 * NS_PER_MS);
    g_assert_cmpstr(h->chr.output->str, ==, "0123456789");
    g_assert_true(inb(h, LSR) & 0x40);
    harness_free(h);
}

static void test_options(void)
{
    Harness *h = harness_empty();
    GError *err = NULL;

    harness_add(h, "isa-serial", NULL);
    harness_add(h, "isa-serial", NULL);
    harness_add(h, "isa-serial", "iobase=0x1000,irq=9");
    machine_reset(h->m);
    outb(h, 0x2f8 + 7, 0x77);
    g_assert_cmphex(inb(h, 0x2f8 + 7), ==, 0x77);
    outb(h, 0x1007, 0x66);
    g_assert_cmphex(inb(h, 0x1007), ==, 0x66);
    outb(h, 0x1004, 0x08);
    outb(h, 0x1001, 0x02);
    g_assert_true(wire_level(h, 9));
    harness_add(h, "isa-serial", NULL);
    g_assert_null(device_make(h->m, "isa-serial", NULL, &h->isa.bus, NULL, &err));
    g_assert_nonnull(err);
    g_clear_error(&err);
    g_assert_null(device_make(h->m, "isa-serial", NULL, &h->isa.bus, "irq=77", &err));
    g_assert_nonnull(err);
    g_clear_error(&err);
    g_assert_null(device_make(h->m, "isa-serial", NULL, &h->isa.bus, "chardev=none", &err));
    g_assert_nonnull(err);
    g_clear_error(&err);
    harness_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/uart/registers", test_registers);
    g_test_add_func("/uart/transmit", test_transmit);
    g_test_add_func("/uart/transmit-interrupt", test_transmit_interrupt);
    g_test_add_func("/uart/receive-trigger-and-timeout", test_receive_trigger_and_timeout);
    g_test_add_func("/uart/receive-holds-back", test_receive_holds_back);
    g_test_add_func("/uart/break", test_break);
    g_test_add_func("/uart/loopback", test_loopback);
    g_test_add_func("/uart/full-back-end", test_full_back_end);
    g_test_add_func("/uart/pace", test_pace);
    g_test_add_func("/uart/options", test_options);
    return g_test_run();
}
