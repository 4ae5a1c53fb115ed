/*
 * The 8042 with its keyboard and mouse: commands, translation, scan code sets, typematic, lamps,
 * packets, A20 and reset.
 */
#include "harness.h"

#include "hw/i8042.h"

enum { DATA = 0x60, COMMAND = 0x64, STATUS = 0x64, OBF = 1, AUX = 0x20 };

/* The next byte, whenever the cable brings it; -1: none in 10 ms. */
static int next(Harness *h)
{
    for (unsigned i = 0; i < 100; i++) {
        if (inb(h, STATUS) & OBF) {
            return inb(h, DATA);
        }
        step(h, 100000);
    }
    return -1;
}

static void expect(Harness *h, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(next(h), ==, bytes[i]);
    }
    g_assert_cmphex(next(h), ==, -1);
}

#define EXPECT(h, ...) expect((h), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void set_mode(Harness *h, uint8_t mode)
{
    outb(h, COMMAND, 0x60);
    outb(h, DATA, mode);
}

static void aux(Harness *h, uint8_t byte)
{
    outb(h, COMMAND, 0xd4);
    outb(h, DATA, byte);
}

static Harness *kbc_new(void)
{
    Harness *h = harness_new("i8042", NULL);

    set_mode(h, 0x47);                          /* both interrupts, translated */
    return h;
}

static void press(Harness *h, const char *name)
{
    type_key(h, name, true);
    type_key(h, name, false);
}

static void test_controller(void)
{
    Harness *h = kbc_new();

    outb(h, COMMAND, 0xaa);
    EXPECT(h, 0x55);
    outb(h, COMMAND, 0xab);
    EXPECT(h, 0x00);
    outb(h, COMMAND, 0xa9);
    EXPECT(h, 0x00);
    outb(h, COMMAND, 0x20);
    EXPECT(h, 0x47);
    g_assert_cmphex(inb(h, STATUS), ==, 0x1c);  /* unlocked, last write a command, system */
    set_mode(h, 0x65);
    outb(h, COMMAND, 0x20);
    EXPECT(h, 0x65);
    outb(h, COMMAND, 0xa8);
    outb(h, COMMAND, 0xad);
    outb(h, COMMAND, 0x20);
    EXPECT(h, 0x55);
    outb(h, COMMAND, 0x65);                     /* controller memory */
    outb(h, DATA, 0x99);
    outb(h, COMMAND, 0x25);
    EXPECT(h, 0x99);
    outb(h, COMMAND, 0xd2);                     /* as if from the keyboard, and from the mouse */
    outb(h, DATA, 0x12);
    g_assert_cmphex(inb(h, STATUS) & (OBF | AUX), ==, OBF);
    EXPECT(h, 0x12);
    outb(h, COMMAND, 0xd3);
    outb(h, DATA, 0x34);
    g_assert_cmphex(inb(h, STATUS) & (OBF | AUX), ==, OBF | AUX);
    EXPECT(h, 0x34);
    harness_free(h);
}

static void test_typing_translated(void)
{
    Harness *h = kbc_new();

    press(h, "a");
    g_assert_true(wire_level(h, 1));
    g_assert_cmphex(inb(h, DATA), ==, 0x1e);
    g_assert_false(wire_level(h, 1));
    g_assert_cmphex(inb(h, DATA), ==, 0x1e);    /* the register keeps it while the next is on its way */
    step(h, 600000);
    g_assert_true(wire_level(h, 1));
    EXPECT(h, 0x9e);
    press(h, "up");
    EXPECT(h, 0xe0, 0x48, 0xe0, 0xc8);
    press(h, "pause");
    EXPECT(h, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    press(h, "print");
    EXPECT(h, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
    press(h, "f7");
    EXPECT(h, 0x41, 0xc1);
    harness_free(h);
}

/* Every key's set 2 code, through the controller's table, is its set 1 code. */
static void test_translation_of_all_keys(void)
{
    Harness *h = kbc_new();

    for (const InputKey *k = input_keys; k->name; k++) {
        if (!k->set2 || k->set2 == 0xe114 || k->set2 == 0xe07c) {
            continue;
        }
        input_key(h->input, k, true);
        if (k->set1 > 0xff) {
            g_assert_cmphex(next(h), ==, 0xe0);
        }
        g_assert_cmphex(next(h), ==, k->set1 & 0xff);
        input_key(h->input, k, false);
        if (k->set1 > 0xff) {
            g_assert_cmphex(next(h), ==, 0xe0);
        }
        g_assert_cmphex(next(h), ==, (k->set1 & 0xff) | 0x80);
        g_assert_cmphex(next(h), ==, -1);
    }
    harness_free(h);
}

static void test_scan_sets(void)
{
    Harness *h = kbc_new();

    set_mode(h, 0x05);                          /* no translation */
    press(h, "a");
    EXPECT(h, 0x1c, 0xf0, 0x1c);
    press(h, "delete");
    EXPECT(h, 0xe0, 0x71, 0xe0, 0xf0, 0x71);
    outb(h, DATA, 0xf0);
    outb(h, DATA, 0x01);
    EXPECT(h, 0xfa, 0xfa);
    press(h, "a");
    EXPECT(h, 0x1e, 0x9e);
    outb(h, DATA, 0xf0);
    outb(h, DATA, 0x03);
    EXPECT(h, 0xfa, 0xfa);
    press(h, "delete");
    EXPECT(h, 0x64, 0xf0, 0x64);
    outb(h, DATA, 0xf9);                        /* all keys make only */
    EXPECT(h, 0xfa);
    press(h, "ctrl");
    EXPECT(h, 0x11);
    outb(h, DATA, 0xf0);
    outb(h, DATA, 0x00);
    EXPECT(h, 0xfa, 0xfa, 0x03);
    harness_free(h);
}

static void test_keyboard_commands(void)
{
    Harness *h = kbc_new();

    set_mode(h, 0x05);
    outb(h, DATA, 0xf2);
    EXPECT(h, 0xfa, 0xab, 0x83);
    outb(h, DATA, 0xee);
    EXPECT(h, 0xee);
    outb(h, DATA, 0xed);
    EXPECT(h, 0xfa);
    outb(h, DATA, 0x05);
    EXPECT(h, 0xfa);
    g_assert_cmpuint(input_leds(h->input), ==, 5);
    outb(h, DATA, 0xf5);
    EXPECT(h, 0xfa);
    press(h, "b");
    g_assert_cmphex(next(h), ==, -1);           /* scanning is off */
    outb(h, DATA, 0xf4);
    EXPECT(h, 0xfa);
    press(h, "b");
    EXPECT(h, 0x32, 0xf0, 0x32);
    outb(h, DATA, 0xff);
    EXPECT(h, 0xfa, 0xaa);
    g_assert_cmpuint(input_leds(h->input), ==, 0);
    outb(h, DATA, 0x10);
    EXPECT(h, 0xfe);
    outb(h, DATA, 0xfe);
    EXPECT(h, 0xfe);                            /* resend: the same again */
    /* Answers come before what was typed. */
    press(h, "c");
    inb(h, DATA);
    outb(h, DATA, 0xee);
    EXPECT(h, 0xee, 0xf0, 0x21);
    harness_free(h);
}

static void test_typematic(void)
{
    Harness *h = kbc_new();
    unsigned n = 0;

    set_mode(h, 0x05);
    type_key(h, "x", true);
    g_assert_cmphex(next(h), ==, 0x22);
    type_key(h, "x", true);                     /* the host repeats, too: ignored */
    step(h, 470 * NS_PER_MS);
    g_assert_false(inb(h, STATUS) & OBF);
    for (unsigned i = 0; i < 1050; i++) {       /* 10.9 a second after half a second */
        step(h, NS_PER_MS);
        if (inb(h, STATUS) & OBF) {
            g_assert_cmphex(inb(h, DATA), ==, 0x22);
            n++;
        }
    }
    g_assert_cmpuint(n, >=, 11);
    g_assert_cmpuint(n, <=, 12);
    type_key(h, "x", false);
    EXPECT(h, 0xf0, 0x22);
    step(h, NS_PER_S);
    g_assert_false(inb(h, STATUS) & OBF);
    harness_free(h);
}

static void test_queue_is_bounded(void)
{
    Harness *h = kbc_new();
    unsigned n = 0;

    for (unsigned i = 0; i < 1000; i++) {
        press(h, "up");
    }
    while (next(h) >= 0) {
        n++;
    }
    g_assert_cmpuint(n, >, 16);
    g_assert_cmpuint(n, <, 256);
    press(h, "a");
    EXPECT(h, 0x1e, 0x9e);                      /* whole strokes were dropped: still in step */
    harness_free(h);
}

static void test_interrupts_off(void)
{
    Harness *h = kbc_new();

    set_mode(h, 0x44);
    press(h, "a");
    g_assert_true(inb(h, STATUS) & OBF);
    g_assert_false(wire_level(h, 1));
    set_mode(h, 0x45);
    g_assert_true(wire_level(h, 1));
    inb(h, DATA);
    outb(h, COMMAND, 0xad);                     /* keyboard off: what it has waits */
    step(h, NS_PER_MS);
    g_assert_false(inb(h, STATUS) & OBF);
    outb(h, COMMAND, 0xae);
    EXPECT(h, 0x9e);
    harness_free(h);
}

static void test_mouse_commands(void)
{
    Harness *h = kbc_new();

    aux(h, 0xff);
    g_assert_true(inb(h, STATUS) & AUX);
    g_assert_true(wire_level(h, 12));
    g_assert_false(wire_level(h, 1));
    EXPECT(h, 0xfa, 0xaa, 0x00);
    aux(h, 0xe9);
    EXPECT(h, 0xfa, 0x00, 0x02, 100);
    aux(h, 0xf3);
    EXPECT(h, 0xfa);
    aux(h, 40);
    EXPECT(h, 0xfa);
    aux(h, 0xe8);
    EXPECT(h, 0xfa);
    aux(h, 3);
    EXPECT(h, 0xfa);
    aux(h, 0xe8);
    EXPECT(h, 0xfa);
    aux(h, 9);
    EXPECT(h, 0xfc);                            /* no such resolution */
    aux(h, 0xe7);
    EXPECT(h, 0xfa);
    aux(h, 0xf4);
    EXPECT(h, 0xfa);
    aux(h, 0xe9);
    EXPECT(h, 0xfa, 0x30, 0x03, 40);
    aux(h, 0xee);
    EXPECT(h, 0xfa);
    aux(h, 0xf4);
    EXPECT(h, 0xf4);                            /* wrap mode: an echo */
    aux(h, 0xec);
    EXPECT(h, 0xfa);
    aux(h, 0x77);
    EXPECT(h, 0xfe);
    harness_free(h);
}

static void test_mouse_packets(void)
{
    Harness *h = kbc_new();

    aux(h, 0xf4);
    EXPECT(h, 0xfa);
    input_move(h->input, 5, 3, 0);              /* right and down */
    EXPECT(h, 0x28, 5, 0xfd);
    step(h, 20 * NS_PER_MS);
    input_buttons(h->input, INPUT_LEFT | INPUT_MIDDLE);
    EXPECT(h, 0x0d, 0, 0);
    step(h, 20 * NS_PER_MS);
    input_move(h->input, 300, 0, 0);            /* more than a packet holds */
    EXPECT(h, 0x0d, 255, 0, 0x0d, 45, 0);
    step(h, 20 * NS_PER_MS);
    for (unsigned i = 0; i < 50; i++) {
        input_move(h->input, -1, 0, 0);         /* adds up while nobody reads */
    }
    g_assert_cmphex(next(h), ==, 0x1d);
    g_assert_cmphex(next(h), ==, 0xff);
    g_assert_cmphex(next(h), ==, 0);
    EXPECT(h, 0x1d, 0xcf, 0);
    harness_free(h);
}

static void rates(Harness *h, uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t rate[3] = { a, b, c };

    for (unsigned i = 0; i < 3; i++) {
        aux(h, 0xf3);
        EXPECT(h, 0xfa);
        aux(h, rate[i]);
        EXPECT(h, 0xfa);
    }
}

static void test_mouse_wheel(void)
{
    Harness *h = kbc_new();

    aux(h, 0xf2);
    EXPECT(h, 0xfa, 0);
    rates(h, 200, 100, 80);
    aux(h, 0xf2);
    EXPECT(h, 0xfa, 3);
    aux(h, 0xf4);
    EXPECT(h, 0xfa);
    input_move(h->input, 0, 0, -1);             /* away from the user */
    EXPECT(h, 0x08, 0, 0, 0xff);
    rates(h, 200, 200, 80);
    aux(h, 0xf2);
    EXPECT(h, 0xfa, 4);
    input_move(h->input, 1, 0, -1);
    EXPECT(h, 0x08, 1, 0, 0x0f);
    aux(h, 0xff);
    EXPECT(h, 0xfa, 0xaa, 0x00);
    aux(h, 0xf2);
    EXPECT(h, 0xfa, 0);                         /* a reset forgets it */
    harness_free(h);
}

static void test_mouse_remote(void)
{
    Harness *h = kbc_new();

    aux(h, 0xf0);
    EXPECT(h, 0xfa);
    input_move(h->input, 7, 0, 0);
    g_assert_cmphex(next(h), ==, -1);
    aux(h, 0xeb);
    EXPECT(h, 0xfa, 0x08, 7, 0);
    harness_free(h);
}

static bool a20_level;

static void a20_sink(void *opaque, int pin, bool level)
{
    a20_level = level;
}

static void test_a20_and_reset(void)
{
    Harness *h = harness_empty();

    h->dev = harness_add(h, "i8042", NULL);
    i8042_connect_a20(h->dev, a20_sink, NULL, 0);
    machine_reset(h->m);
    g_assert_true(a20_level);
    g_assert_cmphex(inb(h, 0x92), ==, 2);
    outb(h, COMMAND, 0xd1);
    outb(h, DATA, 0xdd);
    g_assert_false(a20_level);
    g_assert_cmphex(inb(h, 0x92), ==, 0);
    outb(h, COMMAND, 0xd0);
    g_assert_cmphex(inb(h, DATA) & 3, ==, 1);
    outb(h, 0x92, 2);
    g_assert_true(a20_level);
    outb(h, COMMAND, 0xdd);
    g_assert_false(a20_level);
    outb(h, COMMAND, 0xdf);
    g_assert_true(a20_level);

    g_assert_false(atomic_load(&h->m->requests) & MACHINE_RESET);
    outb(h, COMMAND, 0xff);                     /* pulses nothing */
    g_assert_false(atomic_load(&h->m->requests) & MACHINE_RESET);
    outb(h, COMMAND, 0xfe);
    g_assert_true(atomic_load(&h->m->requests) & MACHINE_RESET);
    atomic_store(&h->m->requests, 0);
    outb(h, 0x92, 3);
    g_assert_true(atomic_load(&h->m->requests) & MACHINE_RESET);
    atomic_store(&h->m->requests, 0);
    outb(h, COMMAND, 0xd1);
    outb(h, DATA, 0x02);
    g_assert_true(atomic_load(&h->m->requests) & MACHINE_RESET);
    harness_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8042/controller", test_controller);
    g_test_add_func("/i8042/typing-translated", test_typing_translated);
    g_test_add_func("/i8042/translation-of-all-keys", test_translation_of_all_keys);
    g_test_add_func("/i8042/scan-sets", test_scan_sets);
    g_test_add_func("/i8042/keyboard-commands", test_keyboard_commands);
    g_test_add_func("/i8042/typematic", test_typematic);
    g_test_add_func("/i8042/queue-is-bounded", test_queue_is_bounded);
    g_test_add_func("/i8042/interrupts-off", test_interrupts_off);
    g_test_add_func("/i8042/mouse-commands", test_mouse_commands);
    g_test_add_func("/i8042/mouse-packets", test_mouse_packets);
    g_test_add_func("/i8042/mouse-wheel", test_mouse_wheel);
    g_test_add_func("/i8042/mouse-remote", test_mouse_remote);
    g_test_add_func("/i8042/a20-and-reset", test_a20_and_reset);
    return g_test_run();
}
