/*
 * The 8259A pair against its data sheet: initialisation, priority, rotation, special modes, poll,
 * spurious requests, cascade, edge and level.
 */
#include "harness.h"

#include "hw/intc.h"

static Harness *pic_new(void)
{
    Harness *h = harness_new("i8259", NULL);
    static const struct { uint16_t port; uint8_t val; } init[] = {
        { 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 },
        { 0xa0, 0x11 }, { 0xa1, 0x70 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(init); i++) {
        outb(h, init[i].port, init[i].val);
    }
    return h;
}

static void drive(Harness *h, int irq)
{
    pic_set_input(h->dev, irq, true);
}

static void release(Harness *h, int irq)
{
    pic_set_input(h->dev, irq, false);
}

static uint8_t isr(Harness *h, uint16_t port)
{
    outb(h, port, 0x0b);
    return inb(h, port);
}

static uint8_t irr(Harness *h, uint16_t port)
{
    outb(h, port, 0x0a);
    return inb(h, port);
}

static void eoi(Harness *h, uint16_t port)
{
    outb(h, port, 0x20);
}

static void test_vectors_and_cascade(void)
{
    Harness *h = pic_new();

    g_assert_false(pic_pending(h->dev));
    drive(h, 4);
    g_assert_true(pic_pending(h->dev));
    g_assert_cmphex(irr(h, 0x20), ==, 0x10);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0c);
    g_assert_cmphex(isr(h, 0x20), ==, 0x10);
    g_assert_cmphex(irr(h, 0x20), ==, 0);
    g_assert_false(pic_pending(h->dev));
    eoi(h, 0x20);
    g_assert_cmphex(isr(h, 0x20), ==, 0);
    release(h, 4);

    drive(h, 12);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x74);
    g_assert_cmphex(isr(h, 0x20), ==, 0x04);
    g_assert_cmphex(isr(h, 0xa0), ==, 0x10);
    eoi(h, 0xa0);
    eoi(h, 0x20);
    harness_free(h);
}

static void test_priority_nests(void)
{
    Harness *h = pic_new();

    drive(h, 5);
    drive(h, 3);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0b);
    g_assert_false(pic_pending(h->dev));        /* 5 is below 3 */
    drive(h, 0);
    g_assert_true(pic_pending(h->dev));         /* 0 is above */
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x08);
    eoi(h, 0x20);
    g_assert_cmphex(isr(h, 0x20), ==, 0x08);
    eoi(h, 0x20);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0d);
    harness_free(h);
}

static void test_slave_requests_in_turn(void)
{
    Harness *h = pic_new();

    drive(h, 10);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x72);
    drive(h, 8);                                /* above 10 on the slave; the master's IR2 is in service */
    g_assert_false(pic_pending(h->dev));
    eoi(h, 0x20);
    g_assert_true(pic_pending(h->dev));
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x70);
    eoi(h, 0xa0);
    eoi(h, 0x20);
    g_assert_cmphex(isr(h, 0xa0), ==, 0x04);    /* 10 is still being served */
    harness_free(h);
}

static void test_special_fully_nested(void)
{
    Harness *h = pic_new();

    outb(h, 0x20, 0x11);
    outb(h, 0x21, 0x08);
    outb(h, 0x21, 0x04);
    outb(h, 0x21, 0x11);                        /* SFNM, 8086 */
    drive(h, 10);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x72);
    drive(h, 8);
    g_assert_true(pic_pending(h->dev));
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x70);
    harness_free(h);
}

static void test_spurious(void)
{
    Harness *h = pic_new();

    drive(h, 3);
    release(h, 3);                                /* gone before INTA */
    g_assert_false(pic_pending(h->dev));
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0f);
    g_assert_cmphex(isr(h, 0x20), ==, 0);       /* a spurious one is not in service */

    /* The slave's request goes away between the master's INTA and its own: as if masked meanwhile. */
    drive(h, 14);
    outb(h, 0xa1, 0x40);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0f);
    harness_free(h);
}

static void test_mask(void)
{
    Harness *h = pic_new();

    outb(h, 0x21, 0x10);
    g_assert_cmphex(inb(h, 0x21), ==, 0x10);
    drive(h, 4);
    g_assert_false(pic_pending(h->dev));
    outb(h, 0x21, 0);
    g_assert_true(pic_pending(h->dev));         /* it was remembered */
    harness_free(h);
}

static void test_rotation(void)
{
    Harness *h = pic_new();

    drive(h, 4);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0c);
    outb(h, 0x20, 0xa0);                        /* rotate on non-specific EOI: 4 is lowest now */
    drive(h, 3);
    drive(h, 5);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0d);
    outb(h, 0x20, 0xe5);                        /* rotate on specific EOI of 5 */
    drive(h, 6);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0e);
    outb(h, 0x20, 0x60 | 6);                    /* specific EOI, no rotation */
    outb(h, 0x20, 0xc0 | 2);                    /* set priority: 2 lowest, 3 highest */
    drive(h, 0);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0b);
    harness_free(h);
}

static void test_auto_eoi(void)
{
    Harness *h = pic_new();

    outb(h, 0x20, 0x11);
    outb(h, 0x21, 0x08);
    outb(h, 0x21, 0x04);
    outb(h, 0x21, 0x03);                        /* AEOI */
    outb(h, 0x20, 0x80);                        /* rotate in AEOI mode */
    drive(h, 1);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x09);
    g_assert_cmphex(isr(h, 0x20), ==, 0);
    release(h, 1);
    drive(h, 1);
    drive(h, 7);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0f);     /* 1 went to the end */
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x09);
    harness_free(h);
}

static void test_special_mask(void)
{
    Harness *h = pic_new();

    drive(h, 3);
    pic_acknowledge(h->dev);
    drive(h, 6);
    g_assert_false(pic_pending(h->dev));
    outb(h, 0x21, 0x08);                        /* mask the level in service ... */
    g_assert_false(pic_pending(h->dev));
    outb(h, 0x20, 0x68);                        /* ... in special mask mode: lower ones may come */
    g_assert_true(pic_pending(h->dev));
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x0e);
    eoi(h, 0x20);                               /* does not touch the masked level */
    g_assert_cmphex(isr(h, 0x20), ==, 0x08);
    outb(h, 0x20, 0x48);                        /* leave */
    eoi(h, 0x20);
    g_assert_cmphex(isr(h, 0x20), ==, 0);
    harness_free(h);
}

static void test_poll(void)
{
    Harness *h = pic_new();

    outb(h, 0x20, 0x0c);
    g_assert_cmphex(inb(h, 0x20), ==, 0);       /* nothing there */
    drive(h, 5);
    outb(h, 0x20, 0x0c);
    g_assert_cmphex(inb(h, 0x20), ==, 0x85);
    g_assert_cmphex(isr(h, 0x20), ==, 0x20);    /* the read was the acknowledge */
    g_assert_false(pic_pending(h->dev));
    harness_free(h);
}

static void test_edge_and_level(void)
{
    Harness *h = pic_new();

    outb(h, 0x4d0, 0xff);
    g_assert_cmphex(inb(h, 0x4d0), ==, 0xf8);   /* 0, 1, 2 are always edges */
    outb(h, 0x4d1, 0xff);
    g_assert_cmphex(inb(h, 0x4d1), ==, 0xde);
    drive(h, 11);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x73);
    eoi(h, 0xa0);
    eoi(h, 0x20);
    g_assert_true(pic_pending(h->dev));         /* the level is still up */
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x73);
    release(h, 11);
    eoi(h, 0xa0);
    eoi(h, 0x20);
    g_assert_false(pic_pending(h->dev));

    drive(h, 1);
    pic_acknowledge(h->dev);
    eoi(h, 0x20);
    g_assert_false(pic_pending(h->dev));        /* an edge counts once */
    harness_free(h);
}

static void test_initialisation(void)
{
    Harness *h = pic_new();

    outb(h, 0x21, 0xff);
    drive(h, 3);
    outb(h, 0x20, 0x13);                        /* single, ICW4 */
    g_assert_cmphex(inb(h, 0x21), ==, 0);       /* clears the mask, forgets edges */
    g_assert_cmphex(irr(h, 0x20), ==, 0);
    outb(h, 0x21, 0x47);                        /* ICW2: the low bits do not count */
    outb(h, 0x21, 0x01);                        /* ICW4 at once: no ICW3 */
    outb(h, 0x21, 0x04);                        /* an OCW1 again */
    g_assert_cmphex(inb(h, 0x21), ==, 0x04);
    release(h, 3);
    drive(h, 3);
    g_assert_cmphex(pic_acknowledge(h->dev), ==, 0x43);
    harness_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pic/vectors-and-cascade", test_vectors_and_cascade);
    g_test_add_func("/pic/priority-nests", test_priority_nests);
    g_test_add_func("/pic/slave-requests-in-turn", test_slave_requests_in_turn);
    g_test_add_func("/pic/special-fully-nested", test_special_fully_nested);
    g_test_add_func("/pic/spurious", test_spurious);
    g_test_add_func("/pic/mask", test_mask);
    g_test_add_func("/pic/rotation", test_rotation);
    g_test_add_func("/pic/auto-eoi", test_auto_eoi);
    g_test_add_func("/pic/special-mask", test_special_mask);
    g_test_add_func("/pic/poll", test_poll);
    g_test_add_func("/pic/edge-and-level", test_edge_and_level);
    g_test_add_func("/pic/initialisation", test_initialisation);
    return g_test_run();
}
