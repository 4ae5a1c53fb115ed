/*
 * How much host code a guest's instructions become: each line of the table is translated as a block with HLT
 * behind it, and what is in line counted, from the entry to the first call (that of HLT's handler, at the
 * latest) or the block's end.  2 of them are the way to HLT, and 2 more save flags for it where they are in EFLAGS.
 * 0: the first of them is left to its handler.
 *
 * Code quality changes on purpose only: `counts_test TABLE --accept` writes the counts of now, and the
 * table's diff belongs to the change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "accel/accel.h"
#include "accel/dbt.h"
#include "../../unit/x86_bench.h"

enum { STEP = 0x80, PER_PAGE = PAGE_SIZE / STEP };

/* Instructions of the code of these bytes. */
static unsigned count(Bench *b, uint64_t at, const uint8_t *bytes, size_t len)
{
    static const uint8_t hlt = 0xf4;

    g_assert_cmpint(as_write(b->m->mem, at, bytes, len), ==, MEM_OK);
    g_assert_cmpint(as_write(b->m->mem, at + len, &hlt, 1), ==, MEM_OK);
    b->c->regs[X86_RIP] = at;
    return dbt_count_in_line(&b->c->vcpu);
}

static void disassemble(const uint8_t *bytes, size_t len, unsigned bits, GString *out)
{
    for (unsigned n; len; bytes += n, len -= n) {
        n = x86_disas(bytes, len, 0, bits, out);
        g_assert_cmpuint(n, !=, 0);
        if (len > n) {
            g_string_append(out, "; ");
        }
    }
}

static size_t from_hex(const char *hex, uint8_t *bytes, size_t most)
{
    size_t n = strlen(hex) / 2;

    g_assert_cmpuint(n, <=, most);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    }
    return n;
}

static Bench *start(unsigned bits, Accel **accel)
{
    GError *err = NULL;
    Bench *b = bench_new("max");

    if (bits == 64) {
        bench_long(b, 0);
    } else {
        bench_protected(b, 0);
    }
    g_assert_true(x86_write_cr4(b->c, b->c->cr4 | CR4_OSFXSR | CR4_OSXSAVE));
    b->c->xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;                /* what any host of the translator has */
    x86_mode_changed(b->c);
    *accel = accel_open(b->m, "dbt", &err);
    g_assert_no_error(err);
    g_assert_true((*accel)->ops->vcpu_create(*accel, &b->c->vcpu, &err));
    return b;
}

/* The lines for code of so many bits; how many of them are wrong. */
static unsigned check(char **lines, unsigned bits, bool report, GString *out)
{
    Accel *accel;
    Bench *b = start(bits, &accel);
    unsigned wrong = 0;

    for (unsigned i = 0; lines[i]; i++) {
        char hex[64];
        unsigned of, want;
        uint8_t bytes[32];
        if (sscanf(lines[i], "%u %63s %u", &of, hex, &want) != 3 || of != bits) {
            continue;
        }
        size_t len = from_hex(hex, bytes, sizeof(bytes));
        unsigned n = count(b, 0x300000 + i / PER_PAGE * PAGE_SIZE + i % PER_PAGE * STEP, bytes, len);
        g_autoptr(GString) text = g_string_new(NULL);
        disassemble(bytes, len, bits, text);
        g_string_append_printf(out, "%u %-24s %3u  %s\n", bits, hex, n, text->str);
        if (n != want && report) {
            printf("%s: %u host instructions, not %u\n", text->str, n, want);
        }
        wrong += n != want;
    }
    accel->ops->vcpu_destroy(accel, &b->c->vcpu);
    accel->ops->destroy(accel);
    bench_free(b);
    return wrong;
}

int main(int argc, char **argv)
{
    g_autofree char *table = NULL;
    g_autoptr(GString) out = g_string_new("# Bits, guest code, host instructions in line: see counts_test.c.\n");

    if (argc < 2 || !g_file_get_contents(argv[1], &table, NULL, NULL)) {
        fprintf(stderr, "counts_test TABLE [--accept]\n");
        return 2;
    }
    g_auto(GStrv) lines = g_strsplit(table, "\n", 0);
    bool accept = argc > 2 && !strcmp(argv[2], "--accept");
    unsigned wrong = check(lines, 64, !accept, out) + check(lines, 32, !accept, out);
    if (accept) {
        return !g_file_set_contents(argv[1], out->str, -1, NULL);
    }
    if (wrong) {
        printf("%u counts have changed.  If that is meant: %s %s --accept\n", wrong, argv[0], argv[1]);
    }
    return wrong != 0;
}
