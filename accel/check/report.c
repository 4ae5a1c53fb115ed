/*
 * accel/check/report.c - a difference: shown, and written to a file that runs it again.
 */
#include "check.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/model.h"
#include "util/error.h"

static void add_range(Capture *c, const MemSection *s, bool ports)
{
    CaptureRange r = { s->at, s->len, ports };

    if (!s->host) {
        g_array_append_val(c->registers, r);
    }
}

static void add_mem_range(const MemSection *s, void *opaque) { add_range(opaque, s, false); }
static void add_io_range(const MemSection *s, void *opaque) { add_range(opaque, s, true); }

/* The piece as something that can be run again.  B runs it once more, so that the pages it needs show. */
static Capture *capture(Check *k, uint64_t n)
{
    Capture *c = capture_new(x86_model_spec(k->cpu->model));
    Twin *t = k->twin;
    GHashTableIter iter;
    gpointer page, bytes;

    x86_copy_state(c->before, k->before);
    c->insns = n;
    c->requests = k->requests;
    c->clock = k->clock;
    c->intctl = check_noted_functions(k);
    g_array_append_vals(c->inputs.list, k->inputs.list->data, k->inputs.list->len);
    g_byte_array_append(c->inputs.bytes, k->inputs.bytes->data, k->inputs.bytes->len);
    as_for_each(k->accel.machine->mem, add_mem_range, c);
    as_for_each(k->accel.machine->io, add_io_range, c);
    if (k->kept) {
        g_hash_table_iter_init(&iter, k->kept);
        while (g_hash_table_iter_next(&iter, &page, &bytes)) {
            g_hash_table_insert(c->pages, page, g_memdup2(bytes, PAGE_SIZE));
        }
        return c;
    }
    twin_undo(t);
    inputs_rewind(&k->inputs);
    twin_load(t, k->before);
    x86_forget_touched(t->cpu, true);
    t->read = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    if (k->requests) {
        twin_serve(t, k->requests);
    }
    twin_run(t, n, NULL);
    g_hash_table_iter_init(&iter, t->read);
    while (g_hash_table_iter_next(&iter, &page, &bytes)) {
        g_hash_table_insert(c->pages, page, g_memdup2(bytes, PAGE_SIZE));
    }
    g_clear_pointer(&t->read, g_hash_table_destroy);
    return c;
}

RunExit check_differ(Check *k, uint64_t n, const char *differences, GError **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Capture) c = capture(k, n);
    g_autoptr(GError) err = NULL;

    g_string_append_printf(text, "A (%s) and B (%s) differ after %" PRIu64 " instructions, in a piece of %" PRIu64
                           " that begins at %04x:%" PRIx64 ":\n%s", k->name_a, k->name_b, k->insns, n,
                           k->before->seg[X86_CS].selector, k->before->regs[X86_RIP], differences);
    capture_explain(c, k->name_a, k->name_b, text, &err);
    g_string_append(text, "The last pieces began at");
    for (unsigned i = 0; i < LAST && i < k->pieces; i++) {
        g_string_append_printf(text, " %" PRIx64, k->last[(k->pieces - 1 - i) % LAST]);
    }
    if (!capture_write(c, k->file, &err)) {
        g_string_append_printf(text, "\nIt could not be written to a file: %s", err->message);
    } else {
        g_string_append_printf(text, "\nTo run this piece again: tinamou replay-check %s a=%s b=%s", k->file, k->name_a,
                               k->name_b);
    }
    error_set(errp, "%s", text->str);
    return RUN_FAILED;
}

/* Memory that either has written. */
bool check_compare_memory(Check *k, GString *out)
{
    GHashTableIter iter;
    gpointer key;
    bool same = true;

    g_hash_table_iter_init(&iter, k->written);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        hwaddr page = GPOINTER_TO_SIZE(key);
        MemSection s;
        const uint8_t *b = twin_page(k->twin, page);
        if (!b || g_hash_table_contains(k->twin->before, b)) {
            continue;                   /* not RAM any more; or looked at below */
        }
        if (as_find(k->accel.machine->mem, page, &s) && s.host && s.len - (page - s.at) >= PAGE_SIZE) {
            same &= compare_page(page, s.host + (page - s.at), b, out);
        }
    }
    g_hash_table_iter_init(&iter, k->twin->before);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        for (guint i = 0; i < k->twin->rams->len; i++) {
            const TwinRam *r = g_ptr_array_index(k->twin->rams, i);
            const uint8_t *b = key;
            if (b >= r->copy.ram && b < r->copy.ram + r->of->size) {
                same &= compare_page(b - r->copy.ram, r->of->ram + (b - r->copy.ram), b, out);
            }
        }
    }
    return same;
}

