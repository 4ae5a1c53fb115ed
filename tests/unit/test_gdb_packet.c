/*
 * Packets of the debugger's protocol as pure functions: framing, numbers, escapes, run-length encoding, and
 * random bytes of every kind.
 */
#include <string.h>
#include "gdbstub/packet.h"

static GdbFrame frame(const char *text)
{
    return gdb_frame((const uint8_t *)text, strlen(text));
}

static void test_frame_kinds(void)
{
    static const struct { const char *text; GdbFrameKind kind; size_t used; const char *data; } rows[] = {
        { "+$OK#9a", GDB_ACK, 1, NULL }, { "-", GDB_NAK, 1, NULL }, { "\003", GDB_BREAK, 1, NULL },
        { "$OK#9a+", GDB_PACKET, 6, "OK" }, { "$OK#9A", GDB_PACKET, 6, "OK" }, { "$#00", GDB_PACKET, 4, "" },
        { "$OK#9b", GDB_BROKEN, 6, NULL }, { "$OK#xy", GDB_BROKEN, 6, NULL }, { "x$OK#9a", GDB_NOTHING, 1, NULL },
        { "$OK#9", GDB_NOTHING, 0, NULL }, { "$OK", GDB_NOTHING, 0, NULL }, { "", GDB_NOTHING, 0, NULL },
        { "$cut off$OK#9a", GDB_PACKET, 14, "OK" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        GdbFrame f = frame(rows[i].text);
        g_assert_cmpint(f.kind, ==, rows[i].kind);
        g_assert_cmpuint(f.used, ==, rows[i].used);
        if (rows[i].data) {
            g_assert_cmpmem(f.data, f.len, rows[i].data, strlen(rows[i].data));
        }
    }
}

static void test_frame_drops_what_never_ends(void)
{
    g_autofree char *text = g_strnfill(GDB_PACKET_MAX + 100, 'a');

    text[0] = '$';
    g_assert_cmpuint(gdb_frame((uint8_t *)text, GDB_PACKET_MAX).used, ==, 0);
    g_assert_cmpint(frame(text).kind, ==, GDB_BROKEN);
    g_assert_cmpuint(frame(text).used, ==, strlen(text));
}

static void test_frame_keeps_what_stands_behind_a_long_one(void)
{
    g_autofree char *text = g_strnfill(GDB_PACKET_MAX + 100, 'a');

    text[0] = '$';
    memcpy(text + GDB_PACKET_MAX + 20, "#00$OK#9a", 9);
    g_assert_cmpint(frame(text).kind, ==, GDB_BROKEN);
    g_assert_cmpuint(frame(text).used, ==, GDB_PACKET_MAX + 23);
    g_assert_cmpint(frame(text + GDB_PACKET_MAX + 23).kind, ==, GDB_PACKET);
}

static GdbText text_of(const char *s)
{
    return (GdbText){ (const uint8_t *)s, (const uint8_t *)s + strlen(s) };
}

static void test_text_numbers_and_threads(void)
{
    uint64_t v;
    int pid, tid;
    uint8_t buf[4];
    GdbText t = text_of("fFffffffffffffff,rest");

    g_assert_true(gdb_take_number(&t, &v) && v == UINT64_MAX && gdb_take(&t, ",rest") && gdb_empty(&t));
    t = text_of("10000000000000000");           /* 17 digits */
    g_assert_false(gdb_take_number(&t, &v));
    t = text_of("");
    g_assert_false(gdb_take_number(&t, &v));
    t = text_of("g");
    g_assert_false(gdb_take_number(&t, &v));
    t = text_of("0102a");
    g_assert_false(gdb_take_hex(&t, buf, 3));
    g_assert_true(gdb_take_hex(&t, buf, 2) && buf[0] == 1 && buf[1] == 2 && !gdb_empty(&t));
    static const struct { const char *text; bool ok; int pid, tid; } threads[] = {
        { "1f", true, 0, 0x1f }, { "-1", true, 0, -1 }, { "p1.2", true, 1, 2 }, { "p1.-1", true, 1, -1 },
        { "p1", true, 1, -1 }, { "p-1", true, -1, -1 }, { "", false, 0, 0 }, { "p", false, 0, 0 },
        { "p1.", false, 0, 0 }, { "80000000", false, 0, 0 }, { "-2", false, 0, 0 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        t = text_of(threads[i].text);
        g_assert_cmpint(gdb_take_thread(&t, &pid, &tid), ==, threads[i].ok);
        if (threads[i].ok) {
            g_assert_cmpint(pid, ==, threads[i].pid);
            g_assert_cmpint(tid, ==, threads[i].tid);
        }
    }
}

/* What gdb does with a reply: the characters behind * are counts (GDB manual, E.1). */
static GString *decode(const char *packet, size_t len)
{
    GString *s = g_string_new(NULL);

    for (size_t i = 0; i < len; i++) {
        if (packet[i] == '*') {
            g_assert_cmpuint(i + 1, <, len);
            int count = packet[++i] - 29;
            g_assert_cmpint(count, >=, 3);
            g_assert_cmpint(count, <=, 126 - 29);
            while (count--) {
                g_string_append_c(s, s->str[s->len - 1]);
            }
        } else {
            g_string_append_c(s, packet[i]);
        }
    }
    return s;
}

/* Of any payload: one good frame, which decodes to the payload. */
static void round_trip(const char *payload, size_t len)
{
    g_autoptr(GString) out = g_string_new(NULL);

    gdb_encode(out, payload, len);
    GdbFrame f = gdb_frame((const uint8_t *)out->str, out->len);
    g_assert_cmpint(f.kind, ==, GDB_PACKET);
    g_assert_cmpuint(f.used, ==, out->len);
    g_assert_null(memchr(f.data, '$', f.len));
    g_autoptr(GString) back = decode((const char *)f.data, f.len);
    g_assert_cmpmem(back->str, back->len, payload, len);
}

static void test_encode_shortens_runs(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    gdb_encode(out, "0000", 4);
    g_assert_cmpstr(out->str, ==, "$0* #7a");
    for (size_t n = 1; n < 1000; n++) {
        g_autofree char *run = g_strnfill(n, '0');
        round_trip(run, n);
    }
}

static void test_binary_round_trip(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 2000; i++) {
        uint8_t data[200];
        size_t n = g_rand_int_range(r, 0, sizeof(data) + 1);
        bool few = g_rand_boolean(r);           /* of few kinds there are runs */
        for (size_t k = 0; k < n; k++) {
            data[k] = few ? (uint8_t)"#$}*\0a"[g_rand_int_range(r, 0, 6)] : (uint8_t)g_rand_int(r);
        }
        g_autoptr(GString) payload = g_string_new(NULL);
        gdb_put_binary(payload, data, n);
        round_trip(payload->str, payload->len);
        GdbText t = { (const uint8_t *)payload->str, (const uint8_t *)payload->str + payload->len };
        g_autoptr(GByteArray) back = gdb_unescape(&t);
        g_assert_cmpmem(back->data, back->len, data, n);
    }
}

/* Exactly sized allocations, so that a sanitizer sees a read beyond the end. */
static void test_random_bytes(void)
{
    static const char letters[] = "$#+-\003}*0af:;,.p1Z";
    g_autoptr(GRand) r = g_rand_new_with_seed(2);

    for (unsigned i = 0; i < 20000; i++) {
        size_t n = g_rand_int_range(r, 0, 40), used = 0;
        g_autofree uint8_t *data = g_malloc(MAX(n, 1));
        for (size_t k = 0; k < n; k++) {
            data[k] = g_rand_int_range(r, 0, 8) ? (uint8_t)letters[g_rand_int_range(r, 0, sizeof(letters) - 1)]
                                                : (uint8_t)g_rand_int(r);
        }
        while (used < n) {
            GdbFrame f = gdb_frame(data + used, n - used);
            g_assert_cmpuint(f.used, <=, n - used);
            if (f.kind == GDB_PACKET) {
                g_assert_true(f.data >= data + used && f.data + f.len <= data + used + f.used);
            }
            if (!f.used) {
                break;
            }
            used += f.used;
        }
        for (unsigned how = 0; how < 4; how++) {
            GdbText t = { data, data + n };
            uint64_t v;
            int pid, tid;
            uint8_t buf[16];
            switch (how) {
            case 0: gdb_take_number(&t, &v); break;
            case 1: gdb_take_thread(&t, &pid, &tid); break;
            case 2: gdb_take_hex(&t, buf, sizeof(buf)); break;
            case 3: g_byte_array_unref(gdb_unescape(&t)); break;
            }
            g_assert_true(t.p >= data && t.p <= t.end);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdb/frame/kinds", test_frame_kinds);
    g_test_add_func("/gdb/frame/endless", test_frame_drops_what_never_ends);
    g_test_add_func("/gdb/frame/frame-keeps-what-stands-behind-a-long-one",
                    test_frame_keeps_what_stands_behind_a_long_one);
    g_test_add_func("/gdb/text", test_text_numbers_and_threads);
    g_test_add_func("/gdb/encode/runs", test_encode_shortens_runs);
    g_test_add_func("/gdb/encode/binary", test_binary_round_trip);
    g_test_add_func("/gdb/random", test_random_bytes);
    return g_test_run();
}
