/*
 * Decode the same bytes with our table and with capstone: validity, length and mnemonic must agree,
 * in all modes, for every opcode of the table under the prefixes that matter, on random bytes, and on a whole
 * C library; or, with arguments BITS=FILE, on the code in those files instead (decode_kernel.py).
 *
 * What differs is a row of capstone_differs.c, with a reason that can be checked in a manual, or fails the test.
 */
#include "capstone_differs.h"

#include <glib.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const char *a, const char *b) { return !strcmp(a, b); }

typedef struct Totals {
    unsigned long total, agreed, valid;
    GHashTable *reasons, *unexplained;
} Totals;

static void count(GHashTable *h, char *key)
{
    g_hash_table_insert(h, key, GSIZE_TO_POINTER(GPOINTER_TO_SIZE(g_hash_table_lookup(h, key)) + 1));
}

static char *hex(const uint8_t *p, int n)
{
    GString *s = g_string_new(NULL);

    for (int i = 0; i < n; i++) {
        g_string_append_printf(s, "%02x", p[i]);
    }
    return g_string_free(s, FALSE);
}

static void compare(Totals *t, csh h, cs_insn *ci, Case *c)
{
    const uint8_t *code = c->buf;
    size_t left = X86_INSN_MAX;
    uint64_t addr = 0x1000;

    c->len = x86_decode(&c->in, c->buf, 16, c->bits);
    c->ok = cs_disasm_iter(h, &code, &left, &addr, ci);
    c->cs_len = c->ok ? ci->size : 0;
    strcpy(c->ours, "invalid");
    strcpy(c->theirs, "invalid");
    if (c->len > 0) {
        x86_mnemonic(&c->in, c->ours, sizeof(c->ours));
    }
    if (c->ok) {                    /* capstone prints rep and repne as part of the name */
        const char *space = strrchr(ci->mnemonic, ' ');
        strcpy(c->theirs, space ? space + 1 : ci->mnemonic);
    }
    t->total++;
    if ((c->len > 0) == c->ok && (!c->ok || (c->len == ci->size && is(c->ours, c->theirs)))) {
        t->agreed++;
        t->valid += c->ok;
        return;
    }
    const char *why = capstone_differs(c);
    if (why) {
        count(t->reasons, (char *)why);
    } else {
        static const char *const maps[4] = { "", "0f ", "0f38 ", "0f3a " };
        g_autofree char *bytes = hex(c->buf, MAX(c->len, (int)c->cs_len));
        count(t->unexplained,
              g_strdup_printf("%u-bit pfx[%-6s] %s%02x/%u %s  ours %s (%d)  capstone %s (%u)  %s", c->bits,
                              c->pfx, maps[c->map], c->op, c->modrm >> 3 & 7,
                              c->modrm >= 0xc0 ? "reg" : "mem", c->ours, c->len, c->theirs, c->cs_len, bytes));
    }
}

static const struct { const char *name; uint8_t len, byte[3]; bool only64; } prefixes[] = {
    { "", 0, { 0 }, false }, { "66", 1, { 0x66 }, false }, { "67", 1, { 0x67 }, false },
    { "67 66", 2, { 0x67, 0x66 }, false }, { "f0", 1, { 0xf0 }, false }, { "f2", 1, { 0xf2 }, false },
    { "f3", 1, { 0xf3 }, false }, { "48", 1, { 0x48 }, true }, { "41", 1, { 0x41 }, true },
    { "66 48", 2, { 0x66, 0x48 }, true }, { "f3 48", 2, { 0xf3, 0x48 }, true },
    { "f2 4f", 2, { 0xf2, 0x4f }, true },
};

static void compare_opcode(Totals *t, csh h, cs_insn *ci, Case *c, unsigned pfx)
{
    static const uint8_t rms[] = { 0, 4, 5, 6 };
    static const uint8_t sibs[] = { 0x24, 0x65, 0x8d };
    bool x87 = c->map == 0 && c->op >= 0xd8 && c->op <= 0xdf;

    for (unsigned modrm = 0; modrm < 256; modrm++) {
        bool all = modrm >= 0xc0 && (x87 || (c->map == 1 && (c->op == 0x01 || c->op == 0xae)));
        if (!all && !memchr(rms, modrm & 7, sizeof(rms))) {
            continue;
        }
        bool has_sib = modrm < 0xc0 && (modrm & 7) == 4;
        for (unsigned s = 0; s < (has_sib ? sizeof(sibs) : 1); s++) {
            uint8_t buf[16] = { 0 };
            unsigned n = prefixes[pfx].len;
            memcpy(buf, prefixes[pfx].byte, n);
            if (c->map) {
                buf[n++] = 0x0f;
            }
            if (c->map > 1) {
                buf[n++] = c->map == 2 ? 0x38 : 0x3a;
            }
            buf[n++] = c->op;
            buf[n++] = modrm;
            buf[n++] = sibs[s];
            for (unsigned k = n; k < sizeof(buf); k++) {
                buf[k] = 0x11 * (k - n + 1);
            }
            c->buf = buf;
            c->modrm = modrm;
            compare(t, h, ci, c);
        }
    }
}

static void compare_mode(Totals *t, unsigned bits)
{
    csh h;
    Case c = { .bits = bits };
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;

    g_assert_cmpint(cs_open(CS_ARCH_X86, mode, &h), ==, CS_ERR_OK);
    cs_insn *ci = cs_malloc(h);
    for (unsigned pfx = 0; pfx < G_N_ELEMENTS(prefixes); pfx++) {
        if (prefixes[pfx].only64 && bits != 64) {
            continue;
        }
        c.pfx = prefixes[pfx].name;
        for (c.map = 0; c.map < 4; c.map++) {
            for (c.op = 0; c.op < 256; c.op++) {
                if (x86_row(c.map, c.op, 0) && !(bits == 64 && c.map == 0 && (c.op & 0xf0) == 0x40)) {
                    compare_opcode(t, h, ci, &c, pfx);
                }
            }
        }
    }
    cs_free(ci, 1);
    cs_close(&h);
}

static void compare_vex_opcode(Totals *t, csh h, cs_insn *ci, Case *c, unsigned last, unsigned vvvv)
{
    static const uint8_t rms[] = { 0x01, 0x44, 0x85, 0xc1, 0xd3, 0xee, 0xfc };

    for (unsigned i = 0; i < sizeof(rms); i++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            unsigned modrm = (rms[i] & 0xc7) | reg << 3;
            uint8_t buf[16] = { 0xc4, 0xe0 | c->map, last | (~vvvv & 15) << 3, c->op, modrm, 0x5a, 0x11, 0x22, 0x33,
                                0x44, 0x55, 0x66 };
            c->buf = buf;
            c->modrm = modrm;
            compare(t, h, ci, c);
        }
    }
}

static void compare_vex(Totals *t, unsigned bits)
{
    csh h;
    Case c = { .bits = bits, .pfx = "c4" };

    g_assert_cmpint(cs_open(CS_ARCH_X86, bits == 32 ? CS_MODE_32 : CS_MODE_64, &h), ==, CS_ERR_OK);
    cs_insn *ci = cs_malloc(h);
    for (c.map = 1; c.map < 4; c.map++) {
        for (c.op = 0; c.op < 256; c.op++) {
            for (unsigned w_l_pp = 0; w_l_pp < 16; w_l_pp++) {
                unsigned last = (w_l_pp & 8) << 4 | (w_l_pp & 7);
                compare_vex_opcode(t, h, ci, &c, last, 0);
                compare_vex_opcode(t, h, ci, &c, last, 6);
            }
        }
    }
    cs_free(ci, 1);
    cs_close(&h);
}

/* Bytes as they come: where neither side finds an instruction, one byte on. */
static void compare_stream(Totals *t, unsigned bits, const uint8_t *p, size_t n, const char *name)
{
    csh h;
    Case c = { .bits = bits, .pfx = name };
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;

    g_assert_cmpint(cs_open(CS_ARCH_X86, mode, &h), ==, CS_ERR_OK);
    cs_insn *ci = cs_malloc(h);
    for (size_t at = 0; at + 16 <= n; at += c.len > 0 ? (size_t)c.len : 1) {
        c.buf = p + at;
        c.len = x86_decode(&c.in, c.buf, 16, bits);
        c.map = c.in.enc ? 0 : c.in.map;
        c.op = c.in.opcode;
        c.modrm = c.in.modrm;
        compare(t, h, ci, &c);
    }
    cs_free(ci, 1);
    cs_close(&h);
}

/* DECODE_SEED=n for other bytes than last time. */
static void compare_random(Totals *t)
{
    static uint8_t bytes[400000];
    const char *seed = g_getenv("DECODE_SEED");
    GRand *r = g_rand_new_with_seed(seed ? (guint32)g_ascii_strtoull(seed, NULL, 0) : 1);

    for (unsigned bits = 16; bits <= 64; bits *= 2) {
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = g_rand_int(r) >> 8;
        }
        compare_stream(t, bits, bytes, sizeof(bytes), "random");
    }
    g_rand_free(r);
}

/* The C library that this program runs with. */
static int compare_libc(struct dl_phdr_info *info, size_t size, void *opaque)
{
    if (!strstr(info->dlpi_name, "libc.so")) {
        return 0;
    }
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X)) {
            compare_stream(opaque, 64, (const uint8_t *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz, "libc");
        }
    }
    return 1;
}

/* Code of another program, a whole one: argument BITS=FILE. */
static void compare_file(Totals *t, const char *arg)
{
    g_auto(GStrv) half = g_strsplit(arg, "=", 2);
    g_autofree char *bytes = NULL;
    gsize n;

    g_assert_cmpuint(g_strv_length(half), ==, 2);
    g_assert_true(g_file_get_contents(half[1], &bytes, &n, NULL));
    compare_stream(t, (unsigned)atoi(half[0]), (const uint8_t *)bytes, n, "file");
}

static void compare_all(Totals *t)
{
    for (unsigned bits = 16; bits <= 64; bits *= 2) {
        compare_mode(t, bits);
    }
    compare_vex(t, 32);
    compare_vex(t, 64);
    compare_random(t);
    g_assert_cmpint(dl_iterate_phdr(compare_libc, t), ==, 1);
}

static void test_agrees(gconstpointer opaque)
{
    const char *const *files = opaque;
    Totals t = { .reasons = g_hash_table_new(g_str_hash, g_str_equal),
                 .unexplained = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };
    GHashTableIter it;
    gpointer key, value;

    if (!*files) {
        compare_all(&t);
    }
    for (; *files; files++) {
        compare_file(&t, *files);
    }
    g_test_message("%lu encodings, %lu agree (%lu of them valid), %u unexplained", t.total, t.agreed, t.valid,
                   g_hash_table_size(t.unexplained));
    g_hash_table_iter_init(&it, t.reasons);
    while (g_hash_table_iter_next(&it, &key, &value)) {
        g_test_message("%8zu explained: %s", GPOINTER_TO_SIZE(value), (char *)key);
    }
    g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(t.unexplained), (GCompareFunc)strcmp);
    for (GList *k = keys; k; k = k->next) {
        g_printerr("%6zu  %s\n", GPOINTER_TO_SIZE(g_hash_table_lookup(t.unexplained, k->data)),
                   (char *)k->data);
    }
    g_assert_cmpuint(g_hash_table_size(t.unexplained), ==, 0);
    g_assert_cmpuint(t.valid, >, 500000);
    g_hash_table_unref(t.reasons);
    g_hash_table_unref(t.unexplained);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/insn/decode/agrees-with-capstone", argv + 1, test_agrees);
    return g_test_run();
}
