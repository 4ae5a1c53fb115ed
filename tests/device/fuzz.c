/*
 * Random use of every device model, alone and all together on the board: nothing a guest does, and
 * nothing a saved state says, may crash, hang or leak; a state saved and loaded is the same state,
 * and goes on in the same way.
 *
 *     fuzz                          every class, some fixed seeds and a fresh one
 *     fuzz --class isa-serial --seed 7 --ops 5000 --print      one run, its operations as text
 *     fuzz --class isa-serial --replay FILE                    what was printed, cut down by hand
 */
#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY = 64, FOLLOW = 150 };

static const char BOARD[] = "board";

typedef struct Recipe {
    const char *cls;
    const char *props;                  /* what it cannot be made without */
    const char *skip;                   /* or why it is not made alone: the board run has it */
} Recipe;

static const Recipe recipes[] = {
    { "isa-debugcon", "chardev=fake", NULL },
    { "isa-serial", "chardev=fake", NULL },
    { "isa-parallel", "chardev=fake", NULL },
    { "i440FX", NULL, "the board gives it its RAM" },
    { "PIIX3", NULL, "brings an ISA bus of its own" },
    { "pc-board", NULL, "the board's wiring" },
};

static const Recipe *recipe_of(const char *cls)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(recipes); i++) {
        if (!strcmp(recipes[i].cls, cls)) {
            return &recipes[i];
        }
    }
    return NULL;
}

static Harness *make(const char *cls, GError **errp)
{
    const Recipe *r = recipe_of(cls);

    return strcmp(cls, BOARD) ? harness_try(cls, r ? r->props : NULL, errp) : harness_board(errp);
}

static void fail(const char *cls, const char *what)
{
    fprintf(stderr, "fuzz: %s: %s\n", cls, what);
    abort();
}

/* ---- states ---- */

/* The lines that a and b do not share, to see what differs. */
static void print_difference(const char *cls, Harness *a, Harness *b)
{
    for (guint i = 0; i < a->m->devices->len; i++) {
        Device *da = g_ptr_array_index(a->m->devices, i), *db = g_ptr_array_index(b->m->devices, i);
        g_autoptr(GString) ta = g_string_new(NULL), tb = g_string_new(NULL);

        if (!da->cls->state) {
            continue;
        }
        state_print(da->cls->state, da, ta);
        state_print(db->cls->state, db, tb);
        g_auto(GStrv) la = g_strsplit(ta->str, "\n", -1), lb = g_strsplit(tb->str, "\n", -1);
        for (unsigned n = 0; la[n] && lb[n]; n++) {
            if (strcmp(la[n], lb[n])) {
                fprintf(stderr, "fuzz: %s: %s: %s | %s\n", cls, da->id, la[n], lb[n]);
            }
        }
    }
}

static void same_state(const char *cls, Harness *a, Harness *b, const char *when)
{
    g_autoptr(GByteArray) sa = harness_save(a), sb = harness_save(b);

    if (sa->len != sb->len || memcmp(sa->data, sb->data, sa->len)) {
        print_difference(cls, a, b);
        fail(cls, when);
    }
}

static void copy_ram(Region *to, const Region *from)
{
    if (from && from->ram) {
        memcpy(to->ram, from->ram, from->size);
    }
}

/* All that is not the devices' state, and that they see: RAM (a display's, too), time, other ends. */
static void copy_world(Harness *to, Harness *from)
{
    copy_ram(&to->ram, &from->ram);
    if (from->dev && from->dev->bus == &from->pci.bus) {
        for (unsigned i = 0; i < 6; i++) {
            copy_ram(((PciDevice *)to->dev)->bar[i].region, ((PciDevice *)from->dev)->bar[i].region);
        }
    }
    clock_set(to->m->clock, clock_now(from->m->clock));
    for (guint i = 0; i < from->m->vcpus->len; i++) {
        Vcpu *a = g_ptr_array_index(from->m->vcpus, i), *b = g_ptr_array_index(to->m->vcpus, i);

        atomic_store(&b->requests, atomic_load(&a->requests));
        b->sipi_vector = a->sipi_vector;
    }
    g_string_assign(to->chr.output, "");
    g_string_append_len(to->chr.output, from->chr.output->str, (gssize)from->chr.output->len);
    g_byte_array_append(to->chr.input, from->chr.input->data, from->chr.input->len);
    to->chr.limit = from->chr.limit;
}

static void same_outside(const char *cls, Harness *a, Harness *b, const Op *op, uint64_t ra, uint64_t rb)
{
    bool same = ra == rb && a->chr.output->len == b->chr.output->len;

    for (unsigned i = 0; i < 16; i++) {
        same &= wire_level(a, i) == wire_level(b, i);
    }
    for (unsigned i = 0; i < HARNESS_CPUS; i++) {
        same &= atomic_load(&a->vcpu[i].requests) == atomic_load(&b->vcpu[i].requests);
    }
    if (!same) {
        fprintf(stderr, "fuzz: %s: %" PRIx64 " and %" PRIx64 " after: ", cls, ra, rb);
        fuzz_print(op, stderr);
        print_difference(cls, a, b);
        fail(cls, "a loaded device goes on in another way than the saved one");
    }
}

/* Save; load in a fresh device; save again: the same bytes; use both in the same way: the same answers. */
static void check_state(Fuzz *f, const char *cls)
{
    GError *err = NULL;
    g_autoptr(GByteArray) state = harness_save(f->h);
    Harness *h = make(cls, &err);

    g_assert_no_error(err);
    copy_world(h, f->h);
    if (!harness_load(h, state, &err)) {
        fail(cls, err->message);
    }
    same_state(cls, f->h, h, "a state loaded and saved again is not the same");
    /* A board's RAM, and what the other harness does not have, is not copied: it ends here. */
    for (unsigned i = 0; i < FOLLOW && f->h->dev; i++) {
        Op op = fuzz_pick(f);
        uint64_t a = fuzz_run(f->h, &op), b = fuzz_run(h, &op);

        same_outside(cls, f->h, h, &op, a, b);
    }
    if (f->h->dev) {
        same_state(cls, f->h, h, "after the same use, the states differ");
    }
    harness_free(h);
}

/* Turn one bit somewhere in a device's state (not in the harness's own lengths between devices). */
static void damage(GByteArray *state, GRand *rand)
{
    unsigned at = g_rand_int(rand) % state->len;

    for (unsigned frame = 0; frame < state->len;) {
        uint32_t len;

        memcpy(&len, state->data + frame, 4);
        if (at >= frame && at < frame + 4) {
            at = frame + 4 + (len ? at % len : 0);
        }
        frame += 4 + len;
    }
    state->data[at % state->len] ^= (uint8_t)(1 << (g_rand_int(rand) & 7));
}

/* A damaged state is refused, or leaves a device that can be used. */
static void check_damaged_state(Fuzz *f, const char *cls)
{
    GError *err = NULL;
    g_autoptr(GByteArray) state = harness_save(f->h);
    Harness *h;
    Fuzz g = { .rand = f->rand };

    if (state->len == 0) {
        return;
    }
    h = g.h = make(cls, &err);
    g_assert_no_error(err);
    clock_set(h->m->clock, clock_now(f->h->m->clock));
    for (unsigned n = 1 + g_rand_int(f->rand) % 4; n > 0; n--) {
        damage(state, f->rand);
    }
    if (harness_load(h, state, &err)) {
        fuzz_look(&g);
        for (unsigned i = 0; i < FOLLOW; i++) {
            Op op = fuzz_pick(&g);

            fuzz_run(h, &op);
        }
    }
    g_clear_error(&err);
    harness_free(h);
}

/* ---- runs ---- */

static void run_seed(const char *cls, uint32_t seed, unsigned n_ops, bool print)
{
    GError *err = NULL;
    Fuzz f = { .rand = g_rand_new_with_seed(seed) };

    printf("# fuzz --class %s --seed %u --ops %u\n", cls, seed, n_ops);
    fflush(stdout);
    f.h = make(cls, &err);
    if (!f.h) {
        fail(cls, err->message);
    }
    for (unsigned i = 0; i < n_ops; i++) {
        if (i % LOOK_EVERY == 0) {
            fuzz_look(&f);
        }
        Op op = fuzz_pick(&f);

        if (print) {
            fuzz_print(&op, stdout);
            fflush(stdout);
        }
        fuzz_note(&f, fuzz_run(f.h, &op));
        if (i % (n_ops / 8 + 1) == n_ops / 16) {
            check_state(&f, cls);
            check_damaged_state(&f, cls);
        }
    }
    g_autoptr(GString) info = g_string_new(NULL);
    for (guint i = 0; i < f.h->m->devices->len; i++) {
        Device *d = g_ptr_array_index(f.h->m->devices, i);

        if (d->cls->info) {
            d->cls->info(d, info);
        }
    }
    harness_free(f.h);
    g_rand_free(f.rand);
}

static void replay(const char *cls, const char *path)
{
    g_autofree char *text = NULL;
    GError *err = NULL;
    Harness *h = make(cls, &err);

    g_assert_no_error(err);
    if (!g_file_get_contents(path, &text, NULL, &err)) {
        fail(cls, err->message);
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        Op op;

        if (fuzz_parse(*line, &op)) {
            uint64_t v = fuzz_run(h, &op);

            printf("%s -> %" PRIx64 "\n", *line, v);
            fflush(stdout);
        }
    }
    harness_free(h);
}

static void run_class(const char *cls, unsigned seeds, uint32_t fresh, unsigned n_ops)
{
    for (unsigned i = 1; i <= seeds; i++) {
        run_seed(cls, i, n_ops, false);
    }
    run_seed(cls, fresh, n_ops, false);
}

/* Every class of the list that can be made alone, then the whole board. */
static int run_all(unsigned seeds, unsigned n_ops)
{
    uint32_t fresh = g_random_int();
    unsigned done = 0;

    for (const DeviceClass *const *c = device_classes; *c; c++) {
        const Recipe *r = recipe_of((*c)->name);
        GError *err = NULL;
        Harness *h;

        if (r && r->skip) {
            printf("# %s: not alone: %s\n", (*c)->name, r->skip);
            continue;
        }
        h = make((*c)->name, &err);
        if (!h) {
            printf("# %s: not alone: %s\n", (*c)->name, err->message);
            g_clear_error(&err);
            continue;
        }
        harness_free(h);
        run_class((*c)->name, seeds, fresh, n_ops);
        done++;
    }
    run_class(BOARD, seeds, fresh, n_ops);
    printf("# %u classes and the board, seeds 1..%u and %u\n", done, seeds, fresh);
    return done == 0;
}

int main(int argc, char **argv)
{
    char *cls = NULL, *replay_path = NULL;
    int n_ops = 3000, seeds = 2;
    gint64 seed = -1;
    gboolean print = FALSE;
    const GOptionEntry entries[] = {
        { "class", 0, 0, G_OPTION_ARG_STRING, &cls, "one device class, or 'board'", "NAME" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "one seed", "N" },
        { "seeds", 0, 0, G_OPTION_ARG_INT, &seeds, "fixed seeds for each class", "N" },
        { "ops", 0, 0, G_OPTION_ARG_INT, &n_ops, "operations in a run", "N" },
        { "print", 0, 0, G_OPTION_ARG_NONE, &print, "print each operation before it is done", NULL },
        { "replay", 0, 0, G_OPTION_ARG_FILENAME, &replay_path, "do what --print printed", "FILE" },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    GError *err = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        fprintf(stderr, "fuzz: %s\n", err->message);
        return 1;
    }
    if (replay_path && cls) {
        replay(cls, replay_path);
    } else if (cls && seed >= 0) {
        run_seed(cls, (uint32_t)seed, (unsigned)n_ops, print);
    } else if (cls) {
        run_class(cls, (unsigned)seeds, g_random_int(), (unsigned)n_ops);
    } else {
        return run_all((unsigned)seeds, (unsigned)n_ops);
    }
    return 0;
}
