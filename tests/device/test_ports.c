/*
 * Small ports: the printer port, the debug console, debug exit; and ISA lines that devices share.
 */
#include "harness.h"

static void print_byte(Harness *h, uint8_t byte)
{
    outb(h, 0x378, byte);
    outb(h, 0x37a, 0x1d);
    outb(h, 0x37a, 0x1c);
}

static void test_parallel(void)
{
    Harness *h = harness_new("isa-parallel", "chardev=fake");

    g_assert_cmphex(inb(h, 0x37a), ==, 0xcc);
    g_assert_cmphex(inb(h, 0x379), ==, 0xdf);
    print_byte(h, 'A');
    g_assert_cmpstr(h->chr.output->str, ==, "A");
    g_assert_true(wire_level(h, 7));
    g_assert_cmphex(inb(h, 0x379), ==, 0xdf);
    g_assert_false(wire_level(h, 7));           /* acknowledged by reading the status */
    chr_set_limit(h, 1);
    print_byte(h, 'B');
    g_assert_cmphex(inb(h, 0x379), ==, 0x5f);   /* busy */
    print_byte(h, 'C');                         /* nobody listens */
    g_assert_false(wire_level(h, 7));
    chr_set_limit(h, 10);
    g_assert_cmpstr(h->chr.output->str, ==, "AB");
    g_assert_true(wire_level(h, 7));
    g_assert_cmphex(inb(h, 0x378), ==, 'C');
    harness_free(h);
}

static void test_debugcon(void)
{
    Harness *h = harness_new("isa-debugcon", "iobase=0x402,readback=0xe8,chardev=fake");
    GError *err = NULL;

    g_assert_cmphex(inb(h, 0x402), ==, 0xe8);
    outb(h, 0x402, 'o');
    outb(h, 0x402, 'k');
    g_assert_cmpstr(h->chr.output->str, ==, "ok");
    harness_free(h);

    g_assert_null(harness_try("isa-debugcon", NULL, &err));
    g_assert_nonnull(err);
    g_clear_error(&err);
    h = harness_new("isa-debugcon", "chardev=fake");
    g_assert_cmphex(inb(h, 0xe9), ==, 0xe9);
    harness_free(h);
}

static void test_debug_exit(void)
{
    Harness *h = harness_new("isa-debug-exit", NULL);

    g_assert_cmphex(io_read(h, 0x501, 4), ==, 0);
    g_assert_false(atomic_load(&h->m->requests) & MACHINE_QUIT);
    io_write(h, 0x501, 4, 0x10);
    g_assert_true(atomic_load(&h->m->requests) & MACHINE_QUIT);
    g_assert_cmpint(h->m->quit_status, ==, 0x21);
    outb(h, 0x501, 0);                          /* the first one wins */
    g_assert_cmpint(h->m->quit_status, ==, 0x21);
    harness_free(h);

    h = harness_new("isa-debug-exit", "iobase=0xf4,iosize=1");
    outb(h, 0xf4, 0);
    g_assert_cmpint(h->m->quit_status, ==, 1);
    harness_free(h);

    GError *err = NULL;
    g_assert_null(harness_try("isa-debug-exit", "iobase=0xffff,iosize=4", &err));
    g_assert_nonnull(err);
    g_clear_error(&err);
}

static void count_flush(Vcpu *v)
{
    v->tsc_offset++;
}

static void count_code(MemListener *l, hwaddr at, hwaddr len)
{
    g_assert_cmphex(at, ==, 0x12345000);
    g_assert_cmphex(len, ==, 0x1000);
}

static void map_changed(MemListener *l)
{
}

static void test_testdev(void)
{
    Harness *h = harness_new("pc-testdev", NULL);
    MemListener listener = { .changed = map_changed, .code_changed = count_code };
    Vcpu v = { 0 };

    io_write(h, 0xe0, 4, 0x12345678);
    g_assert_cmphex(io_read(h, 0xe0, 4), ==, 0x12345678);
    outb(h, 0xe0, 0xff);                        /* each width changes its own bytes */
    io_write(h, 0xe2, 2, 0xabcd);
    g_assert_cmphex(io_read(h, 0xe0, 4), ==, 0xabcd56ff);
    g_assert_cmphex(inb(h, 0xe1), ==, 0x56);
    for (unsigned n = 0; n < 16; n++) {
        g_assert_false(wire_level(h, n));
        outb(h, 0x2000 + n, 1);
        g_assert_true(wire_level(h, n));
    }
    outb(h, 0x2003, 0);
    g_assert_false(wire_level(h, 3));
    g_assert_true(wire_level(h, 4));
    outb(h, 0x2017, 1);                         /* a pin of an I/O APIC that is not there */

    for (unsigned n = 0; n < 16; n++) {         /* an edge for each byte */
        unsigned edges = h->edges[n], next = n < 15 ? h->edges[n + 1] : 0;
        outb(h, 0x2000 + n, 0);
        outb(h, 0x2020 + n, 0);
        g_assert_true(wire_level(h, n));
        outb(h, 0x2020 + n, 1);
        g_assert_cmpuint(h->edges[n], ==, edges + 2);
        g_assert_true(n == 15 || h->edges[n + 1] == next);
    }
    unsigned edges[] = { h->edges[6], h->edges[7] };
    io_write(h, 0x2026, 2, 0xffff);
    g_assert_cmpuint(h->edges[6] - edges[0] + h->edges[7] - edges[1], ==, 2);
    g_assert_cmphex(inb(h, 0x2020), ==, 0);

    mem_write(h, 0xff000000, 8, 0x1122334455667788);
    g_assert_cmphex(mem_read(h, 0xff000004, 4), ==, 0x11223344);
    mem_write(h, 0xff00ffff, 1, 0x99);
    g_assert_cmphex(mem_read(h, 0xff00ffff, 1), ==, 0x99);

    vcpu_init(&v, h->m, 0);
    v.map_changed = count_flush;
    v.tsc_offset = 0;
    g_ptr_array_add(h->m->vcpus, &v);
    as_listen(h->m->mem, &listener);
    io_write(h, 0xe4, 4, 0x12345678);
    vcpu_run_work(&v);
    g_assert_cmpuint(v.tsc_offset, ==, 1);
    as_unlisten(h->m->mem, &listener);
    g_ptr_array_set_size(h->m->vcpus, 0);
    vcpu_fini(&v);

    machine_reset(h->m);
    g_assert_false(wire_level(h, 4));
    g_assert_cmphex(io_read(h, 0xe0, 4), ==, 0);
    g_assert_cmphex(mem_read(h, 0xff00ffff, 1), ==, 0);
    harness_free(h);
}

static void test_shared_line(void)
{
    Harness *h = harness_empty();

    harness_add(h, "isa-serial", "iobase=0x1000,irq=5");
    harness_add(h, "isa-serial", "iobase=0x2000,irq=5");
    machine_reset(h->m);
    for (uint16_t port = 0x1000; port <= 0x2000; port += 0x1000) {
        outb(h, port + 4, 0x08);
        outb(h, port + 1, 0x02);
    }
    g_assert_true(wire_level(h, 5));
    inb(h, 0x1002);
    g_assert_true(wire_level(h, 5));            /* the other still holds it */
    inb(h, 0x2002);
    g_assert_false(wire_level(h, 5));
    outb(h, 0x2000, 'x');
    g_assert_true(wire_level(h, 5));
    machine_reset(h->m);
    g_assert_false(wire_level(h, 5));
    harness_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ports/parallel", test_parallel);
    g_test_add_func("/ports/debugcon", test_debugcon);
    g_test_add_func("/ports/debug-exit", test_debug_exit);
    g_test_add_func("/ports/testdev", test_testdev);
    g_test_add_func("/ports/shared-line", test_shared_line);
    return g_test_run();
}
