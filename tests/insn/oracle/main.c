/*
 * insn-oracle - generated instructions on this processor and on the emulated one: every difference is a
 * bug in one of our tables or handlers, and is shrunk to one line that replays it.
 *
 * docs/testing.md says how to read what it prints.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "compare.h"
#include "encode.h"
#include "engine.h"
#include "forms.h"
#include "options.h"
#include "target/x86/cpu.h"
#include "shrink.h"
#include "text.h"

enum { REPORTS_MAX = 40, LOST_MAX = 20, SKIPPED = 77 };

typedef struct Session {
    uint64_t seed;
    Generator *generator;
    Native *native;
    Engine *engine[2];                  /* one; NULL */
    OracleResult *ours;                 /* BATCH */
    OracleCase *shrinking;
    Forms *forms;
    uint64_t cases, faults, differing;
    GHashTable *reported;               /* row and what differs */
    unsigned lost;                      /* cases that did not end */
    bool broken;
} Session;

/* ---- running ---- */

static bool case_differs(const OracleCase *c, const OracleResult *ours, X86Insn *in, Difference *d)
{
    Undefined u = { .all = false };

    if (!results_differ(c, ours, &c->out, &u, d)) {
        return false;                   /* nor with parts left out: most cases end here */
    }
    decode_case(c, in);
    undefined_results(c, in, ours, &c->out, &u);
    return results_differ(c, ours, &c->out, &u, d);
}

/* A case that the kernel never comes back from says nothing of ours: Linux lets some page faults happen
 * again for ever, which it takes for errata of AMD's K8 (a far call out of 32-bit code to 64-bit code).
 * Too many, though, and something is wrong. */
static void lose(Session *s, GError *err)
{
    g_autoptr(GString) text = g_string_new(NULL);

    case_to_text(native_current(s->native), text);
    printf("LOST %s: %s\n", err->message, text->str);
    g_error_free(err);
    s->lost++;
    err = NULL;
    if (s->lost > LOST_MAX || !native_restart(s->native, &err)) {
        fprintf(stderr, "insn-oracle: %s\n", err ? err->message : "too many cases lost");
        g_clear_error(&err);
        s->broken = true;
    }
}

/* One case on both sides; false: the child is gone. */
static bool run_alone(Session *s, const OracleCase *c, OracleCase *result, OracleResult *ours)
{
    GError *err = NULL;
    X86Insn in;

    decode_case(c, &in);
    memcpy(native_items(s->native), c, offsetof(OracleCase, out));
    native_items(s->native)->runs_on = c->runs_on && runs_on(&in, c);
    native_start(s->native, 1);
    if (!native_finish(s->native, &err)
        || !s->engine[0]->ops->run(s->engine[0], native_items(s->native), ours, 1, &err)) {
        lose(s, err);
        return false;
    }
    *result = *native_items(s->native);
    return true;
}

typedef struct Shrinking { Session *s; OracleResult ours; OracleCase result; uint16_t op; } Shrinking;

/* A smaller case must be of the same operation, and one that may run natively. */
static bool shrink_test(void *opaque, const OracleCase *c)
{
    Shrinking *t = opaque;
    Difference d;
    X86Insn in;

    decode_case(c, &in);
    if (!forms_case_wanted(t->s->forms, c, &in) || (in.row ? in.row->op : OP_COUNT) != t->op || t->s->broken) {
        return false;
    }
    return run_alone(t->s, c, &t->result, &t->ours) && case_differs(&t->result, &t->ours, &in, &d);
}

static void print_case(const OracleCase *c, const X86Insn *in, const Difference *d)
{
    g_autoptr(GString) text = g_string_new(NULL), said = g_string_new(NULL), asm_text = g_string_new(NULL);

    case_to_text(c, text);
    difference_print(d, c, "native", said);
    x86_disas(c->code, c->len, c->in.rip, c->bits, asm_text);
    printf("DIFFERS insn-oracle --replay '%s' # %s: %s\n", text->str, asm_text->str, said->str);
    fflush(stdout);
}

static void report(Session *s, const OracleCase *c, const X86Insn *in, const Difference *d)
{
    g_autofree char *key = g_strdup_printf("%s %s", in->row ? in->row->names : "-", d->what);

    s->differing++;
    if (g_hash_table_size(s->reported) >= REPORTS_MAX || g_hash_table_contains(s->reported, key)) {
        return;
    }
    g_hash_table_add(s->reported, g_steal_pointer(&key));
    Shrinking *t = g_aligned_alloc0(1, sizeof(*t), 64);
    OracleCase *small = s->shrinking;
    X86Insn now;
    Difference what = *d;
    t->s = s;
    t->op = in->row ? in->row->op : OP_COUNT;
    *small = *c;
    if (shrink_test(t, small)) {
        shrink_case(small, shrink_test, t);
        if (!s->broken && run_alone(s, small, &t->result, &t->ours)) {
            case_differs(&t->result, &t->ours, &now, &what);
        }
    } else {
        printf("not seen again when run alone:\n");
    }
    print_case(small, in, &what);
    g_aligned_free(t);
}

static bool run_batch(Session *s, Rng *r)
{
    OracleCase *item = native_items(s->native);
    unsigned n = forms_batch(s->forms, s->generator, r, item);
    GError *err = NULL;

    if (n == 0) {
        return true;
    }
    native_start(s->native, n);
    if (!s->engine[0]->ops->run(s->engine[0], item, s->ours, n, &err) || !native_finish(s->native, &err)) {
        lose(s, err);
        return !s->broken;
    }
    GPtrArray *differing = NULL;
    for (unsigned i = 0; i < n; i++) {
        X86Insn in;
        Difference d;
        s->cases++;
        s->faults += item[i].out.vector != ORACLE_NONE;
        if (case_differs(&item[i], &s->ours[i], &in, &d)) {
            OracleCase *copy = g_aligned_alloc0(1, sizeof(*copy), 64);
            *copy = item[i];
            differing = differing ? differing : g_ptr_array_new_with_free_func(g_aligned_free);
            g_ptr_array_add(differing, copy);
            s->ours[differing->len - 1] = s->ours[i];
        }
    }
    for (unsigned i = 0; differing && i < differing->len && !s->broken; i++) {
        X86Insn in;
        Difference d;
        OracleCase *c = g_ptr_array_index(differing, i);
        if (case_differs(c, &s->ours[i], &in, &d)) {
            report(s, c, &in, &d);
        }
    }
    if (differing) {
        g_ptr_array_free(differing, true);
    }
    return !s->broken;
}

static double cpu_seconds(pid_t child)
{
    clockid_t clock;
    struct timespec a = { 0 }, b = { 0 };

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    if (!clock_getcpuclockid(child, &clock)) {
        clock_gettime(clock, &b);
    }
    return a.tv_sec + b.tv_sec + 1e-9 * (a.tv_nsec + b.tv_nsec);
}

static void run_all(Session *s, double seconds, uint64_t count)
{
    Rng r = { s->seed ^ 0x6f7261636c65 };
    double cpu = cpu_seconds(native_pid(s->native));
    g_autoptr(GTimer) timer = g_timer_new();

    while (s->cases < count && (seconds == 0 || g_timer_elapsed(timer, NULL) < seconds)) {
        if (!run_batch(s, &r)) {
            break;
        }
    }
    double wall = g_timer_elapsed(timer, NULL);
    cpu = s->broken ? 0 : cpu_seconds(native_pid(s->native)) - cpu;
    printf("seed %" PRIu64 ": %" PRIu64 " cases, %" PRIu64 " of them faults, in %.1f s: %.0f a second, %.0f a "
           "second of processor time; %" PRIu64 " differ\n", s->seed, s->cases, s->faults, wall, s->cases / wall,
           cpu ? s->cases / cpu : 0, s->differing);
}

static bool replay(Session *s, const char *text)
{
    OracleCase *c = s->shrinking, *result = g_aligned_alloc0(1, sizeof(*result), 64);
    GError *err = NULL;
    X86Insn in;
    Difference d;
    bool same = false;

    if (!case_from_text(text, c, &err)) {
        fprintf(stderr, "insn-oracle: %s\n", err->message);
        g_error_free(err);
    } else if (decode_case(c, &in), !forms_case_wanted(s->forms, c, &in)) {
        fprintf(stderr, "insn-oracle: this instruction is not run natively: %s\n",
                in.row && row_excluded(in.row) ? row_excluded(in.row)
                : "it calls the host's kernel, our processor has not got it, or this host cannot run it");
    } else {
        for (int way = 0; way < 2; way++) {     /* of coming back from it */
            c->runs_on = way;
            same = run_alone(s, c, result, s->ours) && !case_differs(result, s->ours, &in, &d);
            if (!same) {
                break;
            }
        }
        if (same) {
            printf("no difference: exception %d, rip %" PRIx64 ", flags %" PRIx64 "\n", result->out.vector,
                   result->out.state.rip, result->out.state.flags);
        } else if (!s->lost) {
            print_case(c, &in, &d);
        }
    }
    g_aligned_free(result);
    return same;
}

static bool session_open(Session *s)
{
    GError *err = NULL;

    s->generator = generator_new(s->seed);
    s->ours = g_aligned_alloc0(BATCH, sizeof(OracleResult), 64);
    s->shrinking = g_aligned_alloc0(1, sizeof(OracleCase), 64);
    s->reported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    s->native = native_open(case_background(), &err);
    if (!s->native) {
        printf("%s\n", err->message);
        return false;
    }
    s->engine[0] = engine_handlers.create(case_background(), &err);
    if (!s->engine[0]) {
        printf("%s\n", err->message);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    CaseOptions o = { .seconds = 60 };
    g_autoptr(GError) err = NULL;
    Session s = { 0 };

    if (!options_parse(&o, "- the host processor as oracle", NULL, argc, argv, &err)) {
        fprintf(stderr, "insn-oracle: %s\n", err->message);
        options_clear(&o);
        return 2;
    }
    s.seed = (uint64_t)o.seed;
    if (!session_open(&s)) {
        return SKIPPED;
    }
    s.forms = forms_new(s.engine, native_host(s.native), o.bits, o.rows_wanted);
    bool good;
    if (o.replay) {
        good = replay(&s, o.replay);
    } else {
        printf("seed %" PRIu64 "\n", s.seed);
        forms_name_missing(s.forms);
        if (forms_any(s.forms)) {
            run_all(&s, o.seconds, (uint64_t)o.count);
        } else {
            fprintf(stderr, "insn-oracle: no row of this size matches '%s', or this host cannot run it\n",
                    o.rows ? o.rows : "");
        }
        good = !s.broken && s.differing == 0 && s.cases > 0;
    }
    native_close(s.native);
    s.engine[0]->ops->destroy(s.engine[0]);
    generator_free(s.generator);
    g_aligned_free(s.shrinking);
    g_aligned_free(s.ours);
    forms_free(s.forms);
    options_clear(&o);
    return !good;
}
