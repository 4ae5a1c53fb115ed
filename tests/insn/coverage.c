/*
 * tests/insn/coverage.c - the file behind coverage.h: a checksum of the table, then a line for each row.
 *
 * A line is the row's number and `x` when it was executed, or the feature for want of which it cannot
 * be.  Programs run at the same time: the file is locked while one adds to it.
 */
#include "coverage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static char *table_checksum(void)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    const X86Row *r;

    for (unsigned i = 0; (r = x86_row_at(i)); i++) {
        uint8_t id[8] = { r->map, r->opcode, r->pfx, r->reg, r->modrm, r->mod, r->mode, r->operand[1].kind };
        g_checksum_update(sum, id, sizeof(id));
        g_checksum_update(sum, (const guchar *)r->names, strlen(r->names));
    }
    return g_strndup(g_checksum_get_string(sum), 16);
}

static unsigned row_count(void)
{
    unsigned n = 0;

    while (x86_row_at(n)) {
        n++;
    }
    return n;
}

/* What the file says of each row, NULL: nothing. */
static char **read_rows(const char *text, const char *checksum)
{
    char **rows = g_new0(char *, row_count());
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 1; lines[0] && !strcmp(lines[0], checksum) && lines[i]; i++) {
        g_auto(GStrv) word = g_strsplit(lines[i], " ", 2);
        unsigned n = word[0] ? strtoul(word[0], NULL, 10) : 0;
        if (word[0] && word[1] && n < row_count()) {
            rows[n] = g_strdup(word[1]);
        }
    }
    return rows;
}

char **coverage_read(void)
{
    const char *path = g_getenv("TINAMOU_COVERAGE");
    g_autofree char *text = NULL, *checksum = table_checksum();

    return path && g_file_get_contents(path, &text, NULL, NULL) && g_str_has_prefix(text, checksum)
           ? read_rows(text, checksum) : NULL;
}

static bool executed(const X86Cpu *c, unsigned row)
{
    return c && c->rows_bound[row / 64] >> (row % 64) & 1;
}

static void add(const X86Cpu *c, const X86Row *excused, const char *feature)
{
    const char *path = g_getenv("TINAMOU_COVERAGE");
    g_autofree char *checksum = table_checksum();
    g_autofree char *text = NULL;
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;

    if (fd < 0 || flock(fd, LOCK_EX) || !g_file_get_contents(path, &text, NULL, NULL)) {
        g_assert_null(path);
        return;
    }
    char **rows = read_rows(text, checksum);
    g_autoptr(GString) out = g_string_new(checksum);
    for (unsigned i = 0; i < row_count(); i++) {
        const char *what = executed(c, i) ? "x" : rows[i];
        if (!what && excused && x86_row_number(excused) == i) {
            what = feature;
        }
        if (what) {
            g_string_append_printf(out, "\n%u %s", i, what);
        }
        g_free(rows[i]);
    }
    g_free(rows);
    g_assert_cmpint(pwrite(fd, out->str, out->len, 0), ==, (gssize)out->len);
    g_assert_cmpint(ftruncate(fd, out->len), ==, 0);
    close(fd);
}

void coverage_watch(X86Cpu *c)
{
    c->rows_bound = g_new0(uint64_t, row_count() / 64 + 1);
}

void coverage_mark(X86Cpu *c, const X86Row *row)
{
    unsigned n = x86_row_number(row);

    c->rows_bound[n / 64] |= 1ull << (n % 64);
}

void coverage_write(X86Cpu *c)
{
    add(c, NULL, NULL);
    g_free(c->rows_bound);
    c->rows_bound = NULL;
}

void coverage_excuse(const X86Row *row, const char *feature)
{
    add(NULL, row, feature);
}
