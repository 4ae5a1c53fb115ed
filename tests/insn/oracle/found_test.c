/*
 * tests/insn/oracle/found_test.c - the cases of found.txt by the interpreter's handlers and by the translator, whatever
 * the host is: each is something that a comparison once found.
 *
 * A case is three lines: its name and why; the case, as `insn-oracle --replay` takes it; and `=>` with what
 * is different behind it, in the same words, with `exception=`, `error=`, `cr2=` and `lines=` (64-byte lines of
 * memory that changed).  A word that is gone says `=-`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "encode.h"
#include "engine.h"
#include "target/x86/cpu.h"
#include "text.h"
#include "../coverage.h"

static char *value_of(char *const *words, const char *word)
{
    size_t len = strcspn(word, "=");

    for (; *words; words++) {
        if (strcspn(*words, "=") == len && !memcmp(*words, word, len)) {
            return *words + len + 1;
        }
    }
    return NULL;
}

/* What the result has otherwise than the case. */
static void changes(const OracleCase *c, const OracleResult *r, GString *out)
{
    OracleCase *after = g_aligned_alloc0(1, sizeof(*after), 64);
    g_autoptr(GString) a = g_string_new(NULL), b = g_string_new(NULL);

    memcpy(after, c, offsetof(OracleCase, out));
    after->in = r->state;
    after->out.state.vectors = c->in.vectors;
    case_to_text(after, b);
    after->in = c->in;
    case_to_text(after, a);
    g_auto(GStrv) before = g_strsplit(a->str, " ", -1), now = g_strsplit(b->str, " ", -1);
    if (r->vector != ORACLE_NONE) {
        g_string_append_printf(out, " exception=%d error=%x", (int)r->vector,
                               r->vector >= EXC_TS && r->vector <= EXC_AC && r->vector != EXC_MF ? r->error : 0);
    }
    if (r->vector == EXC_PF) {
        g_string_append_printf(out, " cr2=%" G_GINT64_MODIFIER "x", r->cr2);
    }
    for (char **w = now; *w; w++) {
        if (g_strcmp0(value_of(before, *w), strchr(*w, '=') + 1)) {
            g_string_append_printf(out, " %s", *w);
        }
    }
    for (char **w = before; *w; w++) {
        if (!value_of(now, *w)) {
            g_string_append_printf(out, " %.*s=-", (int)strcspn(*w, "="), *w);
        }
    }
    if (r->lines) {
        g_string_append_printf(out, " lines=%u", r->lines);
    }
    g_aligned_free(after);
}

typedef enum Verdict { GOOD, BAD, NOT_HERE } Verdict;

static Verdict run(Engine *e, const char *name, const char *text, const char *want)
{
    OracleCase *c = g_aligned_alloc0(1, sizeof(*c), 64);
    OracleResult *r = g_aligned_alloc0(1, sizeof(*r), 64);
    g_autoptr(GString) got = g_string_new(NULL);
    g_autoptr(GError) err = NULL;
    Verdict v = BAD;
    X86Insn in;

    if (!case_from_text(text, c, &err) || (decode_case(c, &in), !in.row)) {
        printf("%s: %s\n", name, err ? err->message : "no instruction");
    } else if (!e->ops->has(e, in.row)) {
        v = NOT_HERE;
    } else if (!e->ops->run(e, c, r, 1, &err)) {
        printf("%s: %s\n", name, err->message);
    } else {
        changes(c, r, got);
        v = strcmp(got->str, want) ? BAD : GOOD;
        if (v == BAD) {
            printf("%s (%s): %s\n  is     =>%s\n  should =>%s\n", name, e->ops->name, text, got->str, want);
        }
    }
    g_aligned_free(r);
    g_aligned_free(c);
    return v;
}

int main(int argc, char **argv)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;
    Engine *e[] = { NULL, NULL };
    unsigned count[3] = { 0 };

    if (argc != 2 || !(e[0] = engine_handlers.create(case_background(), &err))
        || !(e[1] = engine_dbt.create(case_background(), &err)) || !g_file_get_contents(argv[1], &text, NULL, &err)) {
        fprintf(stderr, "found_test: %s\n", err ? err->message : "usage: found_test FILE");
        return 2;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **l = lines; *l; l++) {
        if (**l == '#' || !**l) {
            continue;
        }
        if (!l[1] || !l[2] || strncmp(l[2], "=>", 2)) {
            fprintf(stderr, "found_test: %s: a case and '=>' must follow\n", *l);
            return 2;
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(e); i++) {
            count[run(e[i], *l, l[1], l[2] + 2)]++;
        }
        l += 2;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(e); i++) {
        e[i]->ops->destroy(e[i]);
    }
    printf("%u runs, %u bad, %u of features that the processor has not got\n", count[GOOD] + count[BAD], count[BAD],
           count[NOT_HERE]);
    return count[BAD] || !count[GOOD];
}
