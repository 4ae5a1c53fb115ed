/*
 * ui/input: the key table against the 8042's own translation, combinations, routing to sinks.
 */
#include <string.h>
#include "ui/input.h"

/* What the 8042 makes of a set 2 byte (IBM PS/2 Hardware Interface Technical Reference, "Keyboard
 * Scan Code Translation"); a table of its own, so that it can contradict keys.def. */
static const uint8_t set2_to_set1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};

static void test_codes_agree(void)
{
    for (const InputKey *k = input_keys; k->name; k++) {
        g_assert_cmphex(k->set1 & 0xff00, ==, k->set2 & 0xff00);
        g_assert_cmphex(k->set2 & 0xff, <, sizeof(set2_to_set1));
        if (set2_to_set1[k->set2 & 0xff] != (k->set1 & 0xff)) {
            g_error("%s: set 2 %04x translates to %02x, not to %04x", k->name, k->set2,
                    set2_to_set1[k->set2 & 0xff], k->set1);
        }
    }
}

static void test_names_are_unique(void)
{
    unsigned n = 0;

    for (const InputKey *k = input_keys; k->name; k++, n++) {
        g_assert_true(input_key_find(k->name) == k);
        g_assert_cmpstr(input_key_names()[n], ==, k->name);
        if (k->evdev) {
            g_assert_true(input_key_by_evdev(k->evdev) == k);
        }
    }
    g_assert_cmpuint(n, >, 120);
    g_assert_null(input_key_names()[n]);
    g_assert_null(input_key_find("enter"));
    g_assert_null(input_key_by_evdev(0));
    g_assert_null(input_key_by_evdev(0xffff));
}

static void test_known_keys(void)
{
    static const struct { const char *name; uint16_t evdev, set1, set2; } known[] = {
        { "ret", 28, 0x1c, 0x5a }, { "spc", 57, 0x39, 0x29 }, { "f7", 65, 0x41, 0x83 },
        { "alt_r", 100, 0xe038, 0xe011 }, { "pause", 119, 0xe11d, 0xe114 }, { "kp_5", 76, 0x4c, 0x73 },
        { "delete", 111, 0xe053, 0xe071 }, { "meta_l", 125, 0xe05b, 0xe01f }, { "less", 86, 0x56, 0x61 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        const InputKey *k = input_key_find(known[i].name);
        g_assert_nonnull(k);
        g_assert_cmpuint(k->evdev, ==, known[i].evdev);
        g_assert_cmphex(k->set1, ==, known[i].set1);
        g_assert_cmphex(k->set2, ==, known[i].set2);
    }
}

static void test_every_printable_character_has_one_key(void)
{
    for (char ch = ' '; ch <= '~'; ch++) {
        bool shift = false;
        const InputKey *k = input_key_by_char(ch, &shift);
        unsigned owners = 0;

        g_assert_nonnull(k);
        g_assert_cmpint(k->ascii[shift], ==, ch);
        for (const InputKey *o = input_keys; o->name; o++) {
            owners += strchr(o->ascii, ch) != NULL;
        }
        g_assert_cmpuint(owners, ==, 1);
    }
}

static void assert_combo(const char *text, unsigned n, const char *const *names)
{
    const InputKey *keys[4];
    unsigned count;
    GError *err = NULL;

    g_assert_true(input_parse_combo(text, keys, &count, 4, &err));
    g_assert_no_error(err);
    g_assert_cmpuint(count, ==, n);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpstr(keys[i]->name, ==, names[i]);
    }
}

static void assert_refused(const char *text, const char *says)
{
    const InputKey *keys[4];
    unsigned count;
    GError *err = NULL;

    g_assert_false(input_parse_combo(text, keys, &count, 4, &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, says)) {
        g_error("'%s': the error '%s' does not say '%s'", text, err->message, says);
    }
    g_error_free(err);
}

static void test_combos(void)
{
    assert_combo("a", 1, (const char *[]){ "a" });
    assert_combo("A", 1, (const char *[]){ "a" });
    assert_combo("ctrl-alt-delete", 3, (const char *[]){ "ctrl", "alt", "delete" });
    assert_combo("0x1c", 1, (const char *[]){ "ret" });
    assert_combo("ctrl-0xe048", 2, (const char *[]){ "ctrl", "up" });
    assert_combo("0xc8", 1, (const char *[]){ "up" });
    assert_refused("retn", "'ret'");
    assert_refused("ctrl-alt-delet", "'delete'");
    assert_refused("", "no key is named");
    assert_refused("ctrl--", "write minus");
    assert_refused("a-b-c-d-e", "more than 4");
    assert_refused("0x00", "scan code");
    assert_refused("0x1cc", "scan code");
    assert_refused("0x1cg", "scan code");
    assert_refused("0x", "scan code");
}

typedef struct Seen {
    GString *text;
    const char *who;
} Seen;

static void seen_key(void *dev, const InputKey *key, bool down)
{
    Seen *s = dev;
    g_string_append_printf(s->text, "%s%s%s ", s->who, down ? "+" : "-", key->name);
}

static void seen_move(void *dev, int dx, int dy, int dz)
{
    Seen *s = dev;
    g_string_append_printf(s->text, "%s(%d,%d,%d) ", s->who, dx, dy, dz);
}

static void seen_buttons(void *dev, unsigned mask)
{
    Seen *s = dev;
    g_string_append_printf(s->text, "%sb%x ", s->who, mask);
}

static void test_latest_sink_gets_the_event(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Seen a = { text, "A" }, b = { text, "B" };
    InputSink ps2 = { .key = seen_key, .move = seen_move, .buttons = seen_buttons, .dev = &a };
    InputSink mouse = { .move = seen_move, .buttons = seen_buttons, .dev = &b };
    Input *in = input_new();

    input_key(in, input_key_find("a"), true);       /* nobody there: dropped */
    input_add(in, &ps2);
    input_add(in, &mouse);
    input_key(in, input_key_find("a"), true);
    input_move(in, 1, -2, 3);
    input_buttons(in, ~0u);
    input_remove(in, &mouse);
    input_move(in, 4, 5, 6);
    g_assert_true(input_type_char(in, 'x'));
    g_assert_true(input_type_char(in, '~'));
    g_assert_false(input_type_char(in, '\x01'));
    g_assert_cmpstr(text->str, ==, "A+a B(1,-2,3) Bb7 A(4,5,6) A+x A-x A+shift A+grave_accent A-grave_accent A-shift ");
    input_set_leds(in, 0xff);
    g_assert_cmpuint(input_leds(in), ==, 7);
    input_remove(in, &ps2);
    input_free(in);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/input/codes-agree", test_codes_agree);
    g_test_add_func("/input/names-are-unique", test_names_are_unique);
    g_test_add_func("/input/known-keys", test_known_keys);
    g_test_add_func("/input/printable-characters", test_every_printable_character_has_one_key);
    g_test_add_func("/input/combos", test_combos);
    g_test_add_func("/input/latest-sink", test_latest_sink_gets_the_event);
    return g_test_run();
}
