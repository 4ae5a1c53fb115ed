/*
 * The 8237 pair: programming, byte and word channels, autoinit, decrement, verify, terminal count,
 * masks, wrap within the page.
 */
#include "harness.h"

#include <string.h>

static size_t to_memory(Harness *h, unsigned ch, const void *buf, size_t len)
{
    return h->isa.dma_ops->to_memory(h->isa.dma, ch, buf, len);
}

static size_t from_memory(Harness *h, unsigned ch, void *buf, size_t len)
{
    return h->isa.dma_ops->from_memory(h->isa.dma, ch, buf, len);
}

static bool tc(Harness *h, unsigned ch)
{
    return h->isa.dma_ops->terminal_count(h->isa.dma, ch);
}

/* Channel 2, as a floppy driver programs it. */
static void program2(Harness *h, uint8_t mode, uint32_t addr, uint16_t count)
{
    outb(h, 0x0a, 0x06);
    outb(h, 0x0c, 0);
    outb(h, 0x0b, mode | 2);
    outb(h, 0x04, (uint8_t)addr);
    outb(h, 0x04, (uint8_t)(addr >> 8));
    outb(h, 0x81, (uint8_t)(addr >> 16));
    outb(h, 0x05, (uint8_t)count);
    outb(h, 0x05, (uint8_t)(count >> 8));
    outb(h, 0x0a, 0x02);
}

static uint16_t current(Harness *h, uint16_t port)
{
    uint16_t low;

    outb(h, 0x0c, 0);
    low = inb(h, port);
    return low | (uint16_t)(inb(h, port) << 8);
}

static void test_to_memory(void)
{
    Harness *h = harness_new("i8237", NULL);
    uint8_t data[512], back[512];

    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    g_assert_cmpuint(to_memory(h, 2, data, 512), ==, 0);        /* masked */
    program2(h, 0x44, 0x12340, 511);
    g_assert_cmpuint(to_memory(h, 2, data, 200), ==, 200);
    g_assert_false(tc(h, 2));
    g_assert_cmphex(current(h, 0x04), ==, 0x2340 + 200);
    g_assert_cmpuint(current(h, 0x05), ==, 311);
    g_assert_cmpuint(to_memory(h, 2, data + 200, 400), ==, 312);
    g_assert_true(tc(h, 2));
    g_assert_cmphex(current(h, 0x05), ==, 0xffff);
    g_assert_cmphex(inb(h, 0x08), ==, 0x04);
    g_assert_cmphex(inb(h, 0x08), ==, 0);                       /* reading cleared the TC bits */
    g_assert_cmphex(inb(h, 0x0f), ==, 0xff);                    /* TC masks the channel */
    g_assert_cmpuint(to_memory(h, 2, data, 1), ==, 0);
    as_read(h->m->mem, 0x12340, back, 512);
    g_assert_cmpmem(back, 512, data, 512);
    harness_free(h);
}

static void test_from_memory_and_direction(void)
{
    Harness *h = harness_new("i8237", NULL);
    char buf[16];

    as_write(h->m->mem, 0x5000, "sixteen bytes...", 16);
    program2(h, 0x48, 0x5000, 15);
    g_assert_cmpuint(to_memory(h, 2, buf, 16), ==, 0);          /* set for the other way */
    g_assert_cmpuint(from_memory(h, 2, buf, 16), ==, 16);
    g_assert_cmpmem(buf, 16, "sixteen bytes...", 16);
    g_assert_true(tc(h, 2));
    harness_free(h);
}

static void test_autoinit(void)
{
    Harness *h = harness_new("i8237", NULL);

    program2(h, 0x54, 0x6000, 3);
    g_assert_cmpuint(to_memory(h, 2, "abcdefgh", 8), ==, 4);    /* stops at terminal count */
    g_assert_true(tc(h, 2));
    g_assert_cmphex(current(h, 0x04), ==, 0x6000);              /* and starts over */
    g_assert_cmpuint(to_memory(h, 2, "efgh", 2), ==, 2);
    g_assert_false(tc(h, 2));
    g_assert_cmphex(mem_read(h, 0x6000, 4), ==, 0x64636665);
    harness_free(h);
}

static void test_decrement(void)
{
    Harness *h = harness_new("i8237", NULL);

    program2(h, 0x64, 0x7003, 3);
    g_assert_cmpuint(to_memory(h, 2, "abcd", 4), ==, 4);
    g_assert_cmphex(mem_read(h, 0x7000, 4), ==, 0x61626364);
    harness_free(h);
}

static void test_page_wrap(void)
{
    Harness *h = harness_new("i8237", NULL);

    program2(h, 0x44, 0x1fffe, 3);
    g_assert_cmpuint(to_memory(h, 2, "abcd", 4), ==, 4);
    g_assert_cmphex(mem_read(h, 0x1fffe, 2), ==, 0x6261);
    g_assert_cmphex(mem_read(h, 0x10000, 2), ==, 0x6463);       /* not 0x20000 */
    harness_free(h);
}

static void test_verify(void)
{
    Harness *h = harness_new("i8237", NULL);

    program2(h, 0x40, 0x8000, 3);
    g_assert_cmpuint(to_memory(h, 2, "abcd", 4), ==, 4);
    g_assert_cmphex(mem_read(h, 0x8000, 4), ==, 0);             /* counted, not written */
    g_assert_true(tc(h, 2));
    harness_free(h);
}

static void test_words(void)
{
    Harness *h = harness_new("i8237", NULL);

    outb(h, 0xd4, 0x05);
    outb(h, 0xd8, 0);
    outb(h, 0xd6, 0x45);                                        /* channel 5, to memory */
    outb(h, 0xc4, 0x00);
    outb(h, 0xc4, 0x10);                                        /* word address 0x1000 */
    outb(h, 0x8b, 0x03);                                        /* bit 16 comes from the address */
    outb(h, 0xc6, 1);
    outb(h, 0xc6, 0);
    outb(h, 0xd4, 0x01);
    g_assert_cmpuint(to_memory(h, 5, "abcdef", 6), ==, 4);      /* two words */
    g_assert_cmphex(mem_read(h, 0x22000, 4), ==, 0x64636261);
    g_assert_cmphex(inb(h, 0xd0), ==, 0x02);
    harness_free(h);
}

static void test_gates(void)
{
    Harness *h = harness_new("i8237", NULL);

    program2(h, 0x44, 0x9000, 100);
    outb(h, 0x08, 0x04);                                        /* controller off */
    g_assert_cmpuint(to_memory(h, 2, "a", 1), ==, 0);
    outb(h, 0x08, 0x00);
    g_assert_cmpuint(to_memory(h, 2, "a", 1), ==, 1);
    outb(h, 0xd4, 0x04);                                        /* channel 4 masked: no way through */
    g_assert_cmpuint(to_memory(h, 2, "a", 1), ==, 0);
    outb(h, 0xdc, 0);                                           /* clear masks */
    g_assert_cmpuint(to_memory(h, 2, "a", 1), ==, 1);
    outb(h, 0x0d, 0);                                           /* master clear masks all */
    g_assert_cmphex(inb(h, 0x0f), ==, 0xff);
    g_assert_cmpuint(to_memory(h, 2, "a", 1), ==, 0);
    g_assert_cmpuint(to_memory(h, 4, "a", 1), ==, 0);
    g_assert_cmpuint(to_memory(h, 99, "a", 1), ==, 0);
    harness_free(h);
}

static void test_pages(void)
{
    Harness *h = harness_new("i8237", NULL);

    for (uint16_t i = 0; i < 16; i++) {
        outb(h, 0x80 + i, (uint8_t)(i * 3));
    }
    for (uint16_t i = 0; i < 16; i++) {
        g_assert_cmpuint(inb(h, 0x80 + i), ==, i * 3u);
    }
    harness_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dma/to-memory", test_to_memory);
    g_test_add_func("/dma/from-memory-and-direction", test_from_memory_and_direction);
    g_test_add_func("/dma/autoinit", test_autoinit);
    g_test_add_func("/dma/decrement", test_decrement);
    g_test_add_func("/dma/page-wrap", test_page_wrap);
    g_test_add_func("/dma/verify", test_verify);
    g_test_add_func("/dma/words", test_words);
    g_test_add_func("/dma/gates", test_gates);
    g_test_add_func("/dma/pages", test_pages);
    return g_test_run();
}
