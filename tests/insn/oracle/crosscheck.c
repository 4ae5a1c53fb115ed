/*
 * tinamou-crosscheck - the same generated instructions by any set of engines, and for each instruction how far
 * they agree: the processor that this runs on, the same in its guest mode, the interpreter's handlers, the translator.
 *
 * docs/check.md has a section on it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "accel/accel.h"
#include "compare.h"
#include "encode.h"
#include "engine.h"
#include "forms.h"
#include "options.h"
#include "text.h"
#include "target/x86/cpu.h"
#include "util/error.h"
#include "util/suggest.h"

/* Silicon comes first, so that it is the first of a pair. */
typedef enum EngineId { NATIVE, KVM, INTERP, DBT, ENGINES } EngineId;
static const char *const names[ENGINES + 1] = { "native", "kvm", "interp", "dbt", NULL };
static const struct {
    const EngineOps *ops;               /* NULL: not in a guest; native.c */
    bool silicon;                       /* the table of undefined.c holds against it */
} kinds[ENGINES] = {
    [NATIVE] = { .silicon = true },
    [KVM] = { .ops = &engine_kvm, .silicon = true },
    [INTERP] = { .ops = &engine_handlers },
    [DBT] = { .ops = &engine_dbt },
};

enum { PAIRS = ENGINES * (ENGINES - 1) / 2, EXAMPLES_MAX = 40 };
enum { BAD_LINE = 2, SKIPPED = 77 };    /* exit statuses */
typedef struct Pair { EngineId a, b; } Pair;

typedef struct Tally {                  /* of one instruction */
    uint64_t cases, gaps /* of KVM */, compared[PAIRS], differ[PAIRS];
} Tally;

typedef struct Check {
    bool wanted[ENGINES];
    Pair pair[PAIRS];
    unsigned pairs;
    Native *native;
    Engine *engine[ENGINES];
    Engine *in_guest[ENGINES + 1];      /* those that are there, and NULL */
    OracleCase *item;                   /* BATCH */
    OracleResult *result[ENGINES];
    Generator *generator;
    Forms *forms;
    GTree *tally;                       /* by mnemonic */
    bool avx512;                        /* of all processors in guests */
    bool kvm_judged;
    GError *kvm_poor;                   /* judge_kvm() */
    unsigned examples;
    uint64_t cases;
} Check;

/* As a start without -accel does, and once: why the hardware does not run ring 0, too; NULL: it does. */
static const GError *judge_kvm(Check *k)
{
    if (!k->kvm_judged) {
        g_autoptr(KeyVals) none = keyvals_parse("", NULL, (const KeySpec[]){ { NULL } }, NULL);
        accel_kvm.probe(none, &k->kvm_poor);
        k->kvm_judged = true;
    }
    return k->kvm_poor;
}

static void list_pairs(Check *k)
{
    for (EngineId a = 0; a < ENGINES; a++) {
        for (EngineId b = a + 1; b < ENGINES; b++) {
            if (k->wanted[a] && k->wanted[b]) {
                k->pair[k->pairs++] = (Pair){ a, b };
            }
        }
    }
}

/* Two of ours must agree in all that the instruction table does not call undefined; against silicon the table of
 * undefined.c holds, too: for the kernels above, even where it is one processor twice. */
static bool pair_differs(const Check *k, unsigned p, const OracleCase *c, const X86Insn *in, unsigned i, Difference *d)
{
    const OracleResult *a = &k->result[k->pair[p].a][i], *b = &k->result[k->pair[p].b][i];
    Undefined u = { .all = false };

    if (!kinds[k->pair[p].a].silicon) {
        u.flags = in->row ? in->row->flags_undefined : 0;
    } else {
        undefined_results(c, in, b, a, &u);
    }
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
        difference_print(d, c, names[k->pair[p].a], said);
        x86_disas(c->code, c->len, c->in.rip, c->bits, asm_text);
        printf("%s against %s: --replay '%s' # %s: %s\n", names[k->pair[p].b], names[k->pair[p].a], text->str,
               asm_text->str, said->str);
    }
}

static bool run_engines(Check *k, unsigned n, GError **errp)
{
    if (k->native) {
        native_start(k->native, n);
    }
    for (EngineId e = 0; e < ENGINES; e++) {
        if (k->engine[e] && !kinds[e].ops->run(k->engine[e], k->item, k->result[e], n, errp)) {
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
        for (EngineId e = 0; !k->avx512 && e < ENGINES; e++) {
            k->result[e][i].state.vectors &= ORACLE_AVX;    /* nobody sees what is above a YMM register */
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
        t->gaps += k->result[KVM][i].gap;
        k->cases++;
        for (unsigned p = 0; p < k->pairs; p++) {
            Difference d;
            if (k->result[k->pair[p].a][i].gap || k->result[k->pair[p].b][i].gap) {
                continue;
            }
            t->compared[p]++;
            if (pair_differs(k, p, &k->item[i], &in, i, &d)) {
                t->differ[p]++;
                print_example(k, &k->item[i], p, &d);
            }
        }
    }
    return true;
}

/* ---- the matrix ---- */

typedef struct Printing { const Check *k; bool all; Tally sum; } Printing;

static void print_row(const Check *k, const char *name, const Tally *t)
{
    printf("%-16s %10" PRIu64, name, t->cases);
    for (unsigned p = 0; p < k->pairs; p++) {
        if (t->compared[p]) {
            printf("  %13.3f%%", 100.0 * (t->compared[p] - t->differ[p]) / t->compared[p]);
        } else {
            printf("  %14s", "not compared");
        }
    }
    putchar('\n');
}

static gboolean print_tally(gpointer name, gpointer value, gpointer opaque)
{
    Printing *q = opaque;
    const Tally *t = value;
    bool any = false;

    q->sum.cases += t->cases;
    q->sum.gaps += t->gaps;
    for (unsigned p = 0; p < PAIRS; p++) {
        q->sum.compared[p] += t->compared[p];
        q->sum.differ[p] += t->differ[p];
        any |= t->differ[p] != 0;
    }
    if (any || q->all) {
        print_row(q->k, name, t);
    }
    return false;
}

static gboolean print_gaps(gpointer name, gpointer value, gpointer opaque)
{
    const Tally *t = value;

    if (t->gaps) {
        printf(" %s (%" PRIu64 " of %" PRIu64 ")", (const char *)name, t->gaps, t->cases);
    }
    return false;
}

/* True: all agree. */
static bool print_matrix(Check *k, bool all)
{
    Printing q = { k, all, { 0 } };
    bool good = k->cases > 0;

    if (k->wanted[KVM]) {
        printf("%s\n", judge_kvm(k) ? k->kvm_poor->message : "kvm: the hardware runs ring 0, too");
    }
    printf("%-16s %10s", "instruction", "cases");
    for (unsigned p = 0; p < k->pairs; p++) {
        g_autofree char *title = g_strdup_printf("%s=%s", names[k->pair[p].a], names[k->pair[p].b]);
        printf("  %14s", title);
    }
    putchar('\n');
    g_tree_foreach(k->tally, print_tally, &q);
    print_row(k, "all", &q.sum);
    if (q.sum.gaps) {
        printf("KVM left to the interpreter, and so not compared with it:");
        g_tree_foreach(k->tally, print_gaps, NULL);
        putchar('\n');
    }
    for (unsigned p = 0; p < k->pairs; p++) {
        good &= q.sum.compared[p] && q.sum.differ[p] == 0;
    }
    return good;
}

/* ---- the command line ---- */

static bool want_engines(Check *k, const char *list, GError **errp)
{
    g_auto(GStrv) word = g_strsplit(list, ",", -1);
    unsigned n = 0;

    for (unsigned i = 0; word[i]; i++) {
        EngineId e = 0;
        while (e < ENGINES && strcmp(names[e], word[i])) {
            e++;
        }
        if (e == ENGINES) {
            g_autofree char *tail = suggest_tail(word[i], names);
            g_autofree char *all = g_strjoinv(", ", (char **)names);
            error_set(errp, "no engine '%s'%s; there are %s", word[i], tail, all);
            return false;
        }
        n += !k->wanted[e];
        k->wanted[e] = true;
    }
    if (n < 2) {
        error_set(errp, "two engines at least are compared");
    }
    list_pairs(k);
    return n >= 2;
}

/* Without --engines: kvm only where it is as good as silicon, and else why not. */
static const char *usual_engines(Check *k)
{
    if (judge_kvm(k)) {
        printf("without kvm: %s\n", k->kvm_poor->message);
        return "native,interp,dbt";
    }
    return "native,kvm,interp,dbt";
}

/* KVM has been asked for, or seen to be there. */
static int status_without(EngineId e) { return e == KVM ? BAD_LINE : SKIPPED; }

static bool open_engines(Check *k, int *status, GError **errp)
{
    unsigned in_guest = 0;

    for (EngineId e = 0; e < ENGINES; e++) {
        k->result[e] = g_aligned_alloc0(BATCH, sizeof(OracleResult), 64);
        if (e == NATIVE && k->wanted[e]) {
            k->native = native_open(case_background(), errp);
        } else if (k->wanted[e]) {
            k->engine[e] = kinds[e].ops->create(case_background(), errp);
            k->in_guest[in_guest] = k->engine[e];
            in_guest += k->engine[e] != NULL;
        }
        if (k->wanted[e] && !(kinds[e].ops ? (void *)k->engine[e] : (void *)k->native)) {
            *status = status_without(e);
            return false;
        }
    }
    k->item = k->native ? native_items(k->native) : g_aligned_alloc0(BATCH, sizeof(OracleCase), 64);
    return true;
}

static void close_engines(Check *k)
{
    for (EngineId e = 0; e < ENGINES; e++) {
        g_aligned_free(k->result[e]);
        if (k->engine[e]) {
            kinds[e].ops->destroy(k->engine[e]);
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

static bool check(Check *k, const CaseOptions *o, bool all)
{
    g_autoptr(GError) err = NULL;
    bool good;

    k->generator = generator_new((uint64_t)o->seed);
    k->avx512 = true;
    for (Engine *const *e = k->in_guest; *e; e++) {
        k->avx512 &= (*e)->ops->has(*e, x86_row(X86_EVEX * 8 + 1, 0x10, 0));
    }
    k->forms = forms_new(k->in_guest, k->native ? native_host(k->native) : NULL, o->bits, o->rows_wanted);
    if (forms_any(k->forms)) {
        good = o->replay ? replay(k, o->replay, &err) : run(k, (uint64_t)o->seed, o->seconds, (uint64_t)o->count, &err);
        if (!good) {
            fprintf(stderr, "tinamou-crosscheck: %s\n", err->message);
        }
        good &= print_matrix(k, all || o->replay);
    } else {
        fprintf(stderr, "tinamou-crosscheck: no instruction of this size matches '%s', or this host cannot run it\n",
                o->rows ? o->rows : "");
        good = false;
    }
    forms_free(k->forms);
    generator_free(k->generator);
    return good;
}

int main(int argc, char **argv)
{
    gboolean all = false;
    g_autofree char *engines = NULL;
    const GOptionEntry entries[] = {
        { "engines", 0, 0, G_OPTION_ARG_STRING, &engines,
          "two or more of native, kvm, interp and dbt (all; kvm where it is good)", "LIST" },
        { "all", 0, 0, G_OPTION_ARG_NONE, &all, "print the instructions that agree, too", NULL },
        { NULL },
    };
    CaseOptions o = { .seconds = 10 };
    g_autoptr(GError) err = NULL;
    Check k = { 0 };
    int status = BAD_LINE;

    if (!options_parse(&o, "- instructions by several engines, compared", entries, argc, argv, &err)
        || !want_engines(&k, engines ? engines : usual_engines(&k), &err)) {
        fprintf(stderr, "tinamou-crosscheck: %s\n", err->message);
        g_clear_error(&k.kvm_poor);
        options_clear(&o);
        return status;
    }
    k.tally = g_tree_new_full(by_name, NULL, g_free, g_free);
    if (open_engines(&k, &status, &err)) {
        status = check(&k, &o, all) ? 0 : 1;
    } else {
        fprintf(status == SKIPPED ? stdout : stderr, "tinamou-crosscheck: %s\n", err->message);
    }
    close_engines(&k);
    g_clear_error(&k.kvm_poor);
    g_tree_destroy(k.tally);
    options_clear(&o);
    return status;
}
