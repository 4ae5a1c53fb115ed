/*
 * Key=value texts against a table: what is taken, and how each mistake is named.
 */
#include <string.h>
#include "util/keyval.h"

static const char *const kinds[] = { "ide", "floppy", "none", NULL };
static const KeySpec specs[] = {
    { "file", KEY_STR, "the image" },
    { "if", KEY_ENUM, "where it goes", .values = kinds },
    { "index", KEY_UINT, "which", 0, 3 },
    { "size", KEY_SIZE, "how large", 1024, 1 << 20 },
    { "server", KEY_BOOL, "who calls whom" },
    { "wait", KEY_BOOL, "or not" },
    { NULL },
};

static void good(void)
{
    g_autoptr(KeyVals) k = keyvals_parse("a,,b c,if=floppy,index=0x3,size=2K,server,nowait", "file", specs, NULL);

    g_assert_nonnull(k);
    g_assert_cmpstr(keyvals_str(k, "file"), ==, "a,b c");
    g_assert_cmpuint(keyvals_num(k, "if", 9), ==, 1);
    g_assert_cmpuint(keyvals_num(k, "index", 9), ==, 3);
    g_assert_cmpuint(keyvals_num(k, "size", 9), ==, 2048);
    g_assert_true(keyvals_bool(k, "server", false));
    g_assert_false(keyvals_bool(k, "wait", true));
    g_assert_null(keyvals_str(k, "nothing"));

    g_autofree char *text = keyvals_print(k, (const char *[]){ "size", NULL });
    g_assert_cmpstr(text, ==, "file=a,,b c,if=floppy,index=0x3,server=on,wait=off");
    g_autoptr(KeyVals) empty = keyvals_parse("", "file", specs, NULL);
    g_assert_cmpuint(empty->count, ==, 0);
}

static void mistakes(void)
{
    static const struct { const char *text, *says; } bad[] = {
        { "fil=x", "unknown key 'fil'; did you mean 'file'?" },
        { "x,if=flopy", "if=flopy: must be one of ide|floppy|none; did you mean 'floppy'?" },
        { "x,index=4", "index=4: must be 0..3" },
        { "x,index=-1", "index=-1: " },
        { "x,size=1", "size=1: must be 1K..1M" },
        { "x,size=9999999999999999999999", "size=9999999999999999999999: " },
        { "x,server=perhaps", "server=perhaps: " },
        { "x,file=y", "'file' is given twice" },
        { "x,index", "'index' needs a value: index=..." },
        { "x,", "a key is missing" },
        { "x,nonsense", "unknown key 'nonsense'" },
        { "x,=3", "unknown key ''" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) err = NULL;
        g_assert_null(keyvals_parse(bad[i].text, "file", specs, &err));
        g_assert_nonnull(err);
        if (!g_str_has_prefix(err->message, bad[i].says)) {
            g_error("%s: '%s' does not begin with '%s'", bad[i].text, err->message, bad[i].says);
        }
    }
}

static void random_text(void)
{
    static const char bits[] = "file=index,,==size=1Ks\xff nowait";

    for (unsigned i = 0; i < 20000; i++) {
        char text[40];
        unsigned len = g_test_rand_int_range(0, sizeof(text));
        for (unsigned j = 0; j < len; j++) {
            text[j] = bits[g_test_rand_int_range(0, sizeof(bits) - 1)];
        }
        text[len ? len - 1 : 0] = 0;
        g_autoptr(GError) err = NULL;
        g_autoptr(KeyVals) k = keyvals_parse(text, i & 1 ? "file" : NULL, i & 2 ? specs : NULL, &err);
        g_assert_true(!k == !!err);
        if (k) {    /* what is printed means the same */
            g_autofree char *once = keyvals_print(k, NULL);
            g_autoptr(KeyVals) k2 = keyvals_parse(once, NULL, i & 2 ? specs : NULL, NULL);
            g_assert_nonnull(k2);
            g_autofree char *twice = keyvals_print(k2, NULL);
            g_assert_cmpstr(once, ==, twice);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyval/good", good);
    g_test_add_func("/keyval/mistakes", mistakes);
    g_test_add_func("/keyval/random", random_text);
    return g_test_run();
}
