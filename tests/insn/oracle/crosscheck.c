/*
 * tinamou-crosscheck - the same generated instructions by any set of engines, and for each instruction how far
 * they agree: the processor that this runs on, the interpreter's handlers, the translator.
 *
 * docs/check.md has a section on it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compare.h"
#include "encode.h"
#include "engine.h"
#include "forms.h"
#include "text.h"
#include "target/x86/cpu.h"
#include "util/error.h"
#include "util/suggest.h"

enum { ENGINES = 3, NATIVE = 0, PAIRS = 3, SKIPPED = 77, EXAMPLES_MAX = 40 };
static const EngineOps *const emulated[ENGINES] = { [1] = &engine_handlers, [2] = &engine_dbt };
static const char *const names[ENGINES + 1] = { "native", "interp", "dbt", NULL };
static const uint8_t pairs[PAIRS][2] = { { 0, 1 }, { 0, 2 }, { 1, 2 } };

typedef struct Tally {                  /* of one instruction */
    uint64_t cases, differ[PAIRS];
} Tally;

typedef struct Check {
    bool wanted[ENGINES];
    Native *native;
    Engine *engine[ENGINES];
    Engine *first;                      /* of the emulated ones */
    OracleCase *item;                   /* BATCH */
    OracleResult *result[ENGINES];
    Generator *generator;
    Forms *forms;
    GTree *tally;                       /* by mnemonic */
    bool avx512;                        /* of the emulated processor */
    unsigned examples;
    uint64_t cases;
} Check;

static bool is_pair(const Check *k, unsigned p) { return k->wanted[pairs[p][0]] && k->wanted[pairs[p][1]]; }

/* Two of ours must agree in all that the instruction table does not call undefined; against silicon the table of
 * undefined.c holds, too. */
static bool pair_differs(const Check *k, unsigned p, const OracleCase *c, const X86Insn *in, unsigned i, Difference *d)
{
    const OracleResult *a = &k->result[pairs[p][0]][i], *b = &k->result[pairs[p][1]][i];
    Undefined u = { .all = false };

    if (pairs[p][0] != NATIVE) {
        u.flags = in->row ? in->row->flags_undefined : 0;
        return results_differ(c, b, a, &u, d);
    }
    undefined_results(c, in, b, a, &u);
    return results_differ(c, b, a, &u, d);
}

static Tally *tally_of(Check *k, const X86Insn *in)
{
    char name[32] = "(undefined)";
    Tally *t;

    if (in->row) {
        x86_mnemonic(in, name, sizeof(name));
    }
    t = g_tree_lookup(k->tally, name);
    if (!t) {
        t = g_new0(Tally, 1);
        g_tree_insert(k->tally, g_strdup(name), t);
    }
    return t;
}

static void print_example(Check *k, const OracleCase *c, unsigned p, const Difference *d)
{
    g_autoptr(GString) text = g_string_new(NULL), said = g_string_new(NULL), asm_text = g_string_new(NULL);

    if (k->examples++ < EXAMPLES_MAX) {
        case_to_text(c, text);
        difference_print(d, c, said);
        x86_disas(c->code, c->len, c->in.rip, c->bits, asm_text);
        printf("%s against %s: --replay '%s' # %s: %s\n", names[pairs[p][1]], names[pairs[p][0]], text->str,
               asm_text->str, said->str);
    }
}

static bool run_engines(Check *k, unsigned n, GError **errp)
{
    if (k->native) {
        native_start(k->native, n);
    }
    for (unsigned e = 1; e < ENGINES; e++) {
        if (k->engine[e] && !emulated[e]->run(k->engine[e], k->item, k->result[e], n, errp)) {
            return false;
        }
    }
    if (k->native && !native_finish(k->native, errp)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        OracleResult *r = &k->item[i].out;
        if (k->native) {
            memcpy(&k->result[NATIVE][i], r, offsetof(OracleResult, line) + r->lines * sizeof(OracleLine));
        } else {
            r->state.vectors = k->item[i].in.vectors;   /* for case_to_text() */
        }
        if (!k->avx512) {               /* nobody sees what is above a YMM register */
            k->result[NATIVE][i].state.vectors &= ORACLE_AVX;
            k->result[1][i].state.vectors &= ORACLE_AVX;
        }
    }
    return true;
}

/* The cases in k->item; false: an engine failed. */
static bool check_batch(Check *k, unsigned n, GError **errp)
{
    if (!run_engines(k, n, errp)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        X86Insn in;
        decode_case(&k->item[i], &in);
        Tally *t = tally_of(k, &in);
        t->cases++;
        k->cases++;
        for (unsigned p = 0; p < PAIRS; p++) {
            Difference d;
            if (is_pair(k, p) && pair_differs(k, p, &k->item[i], &in, i, &d)) {
                t->differ[p]++;
                print_example(k, &k->item[i], p, &d);
            }
        }
    }
    return true;
}

/* ---- the matrix ---- */

typedef struct Printing { const Check *k; bool all; uint64_t differ[PAIRS]; } Printing;

static void print_row(const Printing *q, const char *name, uint64_t cases, const uint64_t *differ)
{
    printf("%-16s %10" PRIu64, name, cases);
    for (unsigned p = 0; p < PAIRS; p++) {
        if (is_pair(q->k, p)) {
            printf("  %13.3f%%", cases ? 100.0 * (cases - differ[p]) / cases : 100.0);
        }
    }
    putchar('\n');
}

static gboolean print_tally(gpointer name, gpointer value, gpointer opaque)
{
    Printing *q = opaque;
    const Tally *t = value;
    bool any = false;

    for (unsigned p = 0; p < PAIRS; p++) {
        q->differ[p] += t->differ[p];
        any |= t->differ[p] != 0;
    }
    if (any || q->all) {
        print_row(q, name, t->cases, t->differ);
    }
    return false;
}

/* True: all agree. */
static bool print_matrix(const Check *k, bool all)
{
    Printing q = { k, all, { 0 } };
    bool good = k->cases > 0;

    printf("%-16s %10s", "instruction", "cases");
    for (unsigned p = 0; p < PAIRS; p++) {
        if (is_pair(k, p)) {
            g_autofree char *title = g_strdup_printf("%s=%s", names[pairs[p][0]], names[pairs[p][1]]);
            printf("  %14s", title);
        }
    }
    putchar('\n');
    g_tree_foreach(k->tally, print_tally, &q);
    print_row(&q, "all", k->cases, q.differ);
    for (unsigned p = 0; p < PAIRS; p++) {
        good &= q.differ[p] == 0;
    }
    return good;
}

/* ---- the command line ---- */

static bool want_engines(Check *k, const char *list, GError **errp)
{
    g_auto(GStrv) word = g_strsplit(list, ",", -1);
    unsigned n = 0;

    for (unsigned i = 0; word[i]; i++) {
        unsigned e = 0;
        while (e < ENGINES && strcmp(names[e], word[i])) {
            e++;
        }
        if (e == ENGINES) {
            g_autofree char *tail = suggest_tail(word[i], names);
            error_set(errp, "no engine '%s'%s; there are native, interp and dbt", word[i], tail);
            return false;
        }
        n += !k->wanted[e];
        k->wanted[e] = true;
    }
    if (n < 2) {
        error_set(errp, "two engines at least are compared");
    }
    return n >= 2;
}

static bool open_engines(Check *k, GError **errp)
{
    for (unsigned e = 0; e < ENGINES; e++) {
        k->result[e] = g_aligned_alloc0(BATCH, sizeof(OracleResult), 64);
        if (e == NATIVE && k->wanted[e]) {
            k->native = native_open(case_background(), errp);
        } else if (k->wanted[e]) {
            k->engine[e] = emulated[e]->create(case_background(), errp);
            k->first = k->first ? k->first : k->engine[e];
        }
        if (k->wanted[e] && !k->engine[e] && !k->native) {
            return false;
        }
    }
    k->item = k->native ? native_items(k->native) : g_aligned_alloc0(BATCH, sizeof(OracleCase), 64);
    return true;
}

static void close_engines(Check *k)
{
    for (unsigned e = 0; e < ENGINES; e++) {
        g_aligned_free(k->result[e]);
        if (k->engine[e]) {
            emulated[e]->destroy(k->engine[e]);
        }
    }
    if (!k->native) {
        g_aligned_free(k->item);
    } else {
        native_close(k->native);
    }
}

static bool replay(Check *k, const char *text, GError **errp)
{
    X86Insn in;

    if (!case_from_text(text, k->item, errp)) {
        return false;
    }
    decode_case(k->item, &in);
    if (!forms_case_wanted(k->forms, k->item, &in)) {
        error_set(errp, "this instruction is not compared: see excluded.c");
        return false;
    }
    return check_batch(k, 1, errp);
}

static bool run(Check *k, uint64_t seed, double seconds, uint64_t count, GError **errp)
{
    Rng r = { seed ^ 0x6f7261636c65 };
    g_autoptr(GTimer) timer = g_timer_new();

    printf("seed %" PRIu64 "\n", seed);
    while (k->cases < count && (seconds == 0 || g_timer_elapsed(timer, NULL) < seconds)) {
        if (!check_batch(k, forms_batch(k->forms, k->generator, &r, k->item), errp)) {
            return false;
        }
    }
    return true;
}

static int by_name(const void *a, const void *b, void *opaque) { return strcmp(a, b); }

int main(int argc, char **argv)
{
    static double seconds;
    static gint64 count, seed;
    static gboolean all;
    static char *engines = "native,interp,dbt", *rows, *bits, *text;
    static const GOptionEntry entries[] = {
        { "engines", 0, 0, G_OPTION_ARG_STRING, &engines, "two or three of native, interp and dbt (all)", "LIST" },
        { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "how long (10 if no count is given)", "S" },
        { "count", 0, 0, G_OPTION_ARG_INT64, &count, "how many cases", "N" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the cases (a fresh one is printed)", "N" },
        { "rows", 0, 0, G_OPTION_ARG_STRING, &rows, "only instructions whose name matches", "REGEX" },
        { "bits", 0, 0, G_OPTION_ARG_STRING, &bits, "only code of this size", "16|32|64" },
        { "all", 0, 0, G_OPTION_ARG_NONE, &all, "print the instructions that agree, too", NULL },
        { "replay", 0, 0, G_OPTION_ARG_STRING, &text, "one case, as a line of this program or of insn-oracle has it",
          "CASE" },
        { NULL },
    };
    g_autoptr(GOptionContext) options = g_option_context_new("- instructions by several engines, compared");
    g_autoptr(GRegex) rows_wanted = NULL;
    g_autoptr(GError) err = NULL;
    Check k = { .tally = g_tree_new_full(by_name, NULL, g_free, g_free) };

    g_option_context_add_main_entries(options, entries, NULL);
    if (!g_option_context_parse(options, &argc, &argv, &err) || argc > 1
        || (bits && strcmp(bits, "16") && strcmp(bits, "32") && strcmp(bits, "64"))
        || (rows && !(rows_wanted = g_regex_new(rows, 0, 0, &err))) || !want_engines(&k, engines, &err)) {
        fprintf(stderr, "tinamou-crosscheck: %s\n", err ? err->message : "unknown argument; see --help");
        return 2;
    }
    if (!open_engines(&k, &err)) {
        printf("%s\n", err->message);
        close_engines(&k);
        g_tree_destroy(k.tally);
        return SKIPPED;
    }
    if (!seed && g_getenv("INSN_ORACLE_SEED")) {
        seed = g_ascii_strtoll(g_getenv("INSN_ORACLE_SEED"), NULL, 10);
    }
    uint64_t from = (seed ? (uint64_t)seed : (uint64_t)g_get_real_time() << 16 | (g_random_int() & 0xffff)) & INT64_MAX;
    k.generator = generator_new(from);
    k.avx512 = k.first->ops->has(k.first, x86_row(X86_EVEX * 8 + 1, 0x10, 0));
    k.forms = forms_new(k.first, k.native ? native_host(k.native) : NULL, bits ? (unsigned)atoi(bits) : 0, rows_wanted);
    bool good = forms_any(k.forms);
    if (!good) {
        fprintf(stderr, "tinamou-crosscheck: no instruction of this size matches '%s', or this host cannot run it\n",
                rows ? rows : "");
    } else {
        good = text ? replay(&k, text, &err)
             : run(&k, from, seconds ? seconds : count ? 0 : 10, count ? (uint64_t)count : UINT64_MAX, &err);
        if (!good) {
            fprintf(stderr, "tinamou-crosscheck: %s\n", err->message);
        }
        good &= print_matrix(&k, all || text);
    }
    forms_free(k.forms);
    generator_free(k.generator);
    g_tree_destroy(k.tally);
    close_engines(&k);
    return !good;
}
