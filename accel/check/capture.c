/*
 * A piece of execution as a file: the state before it, the pages it uses and what came from outside;
 * enough to run it again under any two accelerators, without the guest it was cut from.
 *
 * The file is text, a line a thing, so that a person can read and cut it.
 */
#include "check.h"
#include "accel/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "target/x86/fields.h"
#include "target/x86/model.h"
#include "target/x86/segments.h"
#include "util/error.h"

static const char header[] = "tinamou cross-check 1\n";

Capture *capture_new(const char *model)
{
    Capture *c = g_new0(Capture, 1);

    c->model = g_strdup(model);
    c->before = g_aligned_alloc0(1, sizeof(X86Cpu), 64);
    c->before->exc.vector = c->before->exc.delivering = -1;
    c->before->vcpu.a20_mask = ~0ull;
    inputs_init(&c->inputs);
    c->pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    c->registers = g_array_new(false, true, sizeof(CaptureRange));
    return c;
}

void capture_free(Capture *c)
{
    g_free(c->model);
    g_aligned_free(c->before);
    inputs_fini(&c->inputs);
    g_hash_table_destroy(c->pages);
    g_array_free(c->registers, true);
    g_free(c);
}

/* ---- to text and back ---- */

static void put_hex(GString *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(out, "%02x", p[i]);
    }
    g_string_append_c(out, '\n');
}

static bool get_hex(const char *text, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++, text += 2) {
        int high = g_ascii_xdigit_value(text[0]), low = high < 0 ? -1 : g_ascii_xdigit_value(text[1]);
        if (low < 0) {
            return false;
        }
        p[i] = high << 4 | low;
    }
    return true;
}

bool capture_write(const Capture *c, const char *file, GError **errp)
{
    g_autoptr(GString) out = g_string_new(header);
    GHashTableIter iter;
    gpointer page, bytes;

    g_string_append_printf(out, "model %s\ninsns %" PRIu64 "\nrequests %x\nintctl %x\nclock %" PRId64
                           "\na20 %" PRIx64 "\n", c->model, c->insns, c->requests, c->intctl, c->clock,
                           c->before->vcpu.a20_mask);
    for (const X86Field *f = x86_fields; f->name; f++) {
        for (unsigned i = 0; i < f->count; i++) {
            g_string_append_printf(out, "state %s %u ", f->name, i);
            put_hex(out, (const uint8_t *)c->before + f->offset + i * f->stride, f->size);
        }
    }
    for (guint i = 0; i < c->registers->len; i++) {
        const CaptureRange *r = &g_array_index(c->registers, CaptureRange, i);
        g_string_append_printf(out, "registers %u %" PRIx64 " %" PRIx64 "\n", r->ports, r->at, r->len);
    }
    inputs_print(&c->inputs, out);
    g_hash_table_iter_init(&iter, c->pages);
    while (g_hash_table_iter_next(&iter, &page, &bytes)) {
        g_string_append_printf(out, "page %zx ", GPOINTER_TO_SIZE(page));
        put_hex(out, bytes, PAGE_SIZE);
    }
    return g_file_set_contents(file, out->str, out->len, errp);
}

static bool read_state(Capture *c, const char *text)
{
    char name[32];
    unsigned i;
    int at = 0;

    if (sscanf(text, "%31s %u %n", name, &i, &at) < 2 || !at) {
        return false;
    }
    for (const X86Field *f = x86_fields; f->name; f++) {
        if (!strcmp(f->name, name)) {
            return i < f->count && get_hex(text + at, (uint8_t *)c->before + f->offset + i * f->stride, f->size);
        }
    }
    return false;
}

static bool read_page(Capture *c, const char *text)
{
    uint64_t page;
    int at = 0;

    if (sscanf(text, "%" SCNx64 " %n", &page, &at) < 1 || !at || (page & (PAGE_SIZE - 1)) || page >> 52) {
        return false;
    }
    uint8_t *bytes = g_malloc(PAGE_SIZE);
    g_hash_table_insert(c->pages, GSIZE_TO_POINTER(page), bytes);
    return get_hex(text + at, bytes, PAGE_SIZE);
}

static bool read_range(Capture *c, const char *text)
{
    CaptureRange r;
    unsigned ports;

    if (sscanf(text, "%u %" SCNx64 " %" SCNx64, &ports, &r.at, &r.len) < 3 || r.len == 0 || r.len > 1ull << 52
        || r.at > (1ull << 52) - r.len || (ports && r.at + r.len > 1 << 16)) {
        return false;
    }
    r.ports = ports;
    g_array_append_val(c->registers, r);
    return true;
}

static bool read_line(Capture *c, const char *line)
{
    const char *text = strchr(line, ' ');

    if (!text) {
        return !*line;
    }
    text++;
    if (g_str_has_prefix(line, "state ")) {
        return read_state(c, text);
    }
    if (g_str_has_prefix(line, "page ")) {
        return read_page(c, text);
    }
    if (g_str_has_prefix(line, "registers ")) {
        return read_range(c, text);
    }
    if (g_str_has_prefix(line, "input ")) {
        return inputs_read_line(&c->inputs, line);
    }
    if (g_str_has_prefix(line, "model ")) {
        g_free(c->model);
        c->model = g_strdup(text);
        return true;
    }
    return sscanf(line, "insns %" SCNu64, &c->insns) == 1 || sscanf(line, "requests %x", &c->requests) == 1
        || sscanf(line, "intctl %x", &c->intctl) == 1 || sscanf(line, "clock %" SCNd64, &c->clock) == 1
        || sscanf(line, "a20 %" SCNx64, &c->before->vcpu.a20_mask) == 1;
}

Capture *capture_read(const char *file, GError **errp)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(file, &text, NULL, errp)) {
        return NULL;
    }
    if (!g_str_has_prefix(text, header)) {
        error_set(errp, "%s is not a file that a cross-check wrote", file);
        return NULL;
    }
    Capture *c = capture_new("max");
    g_auto(GStrv) line = g_strsplit(text + strlen(header), "\n", -1);
    for (unsigned i = 0; line[i]; i++) {
        if (!read_line(c, line[i])) {
            error_set(errp, "%s, line %u: '%.40s' is not understood", file, i + 2, line[i]);
            capture_free(c);
            return NULL;
        }
    }
    return c;
}

/* ---- running it again ---- */

static Twin *twin_of(Capture *c, const char *accel, GError **errp)
{
    X86Model *model = x86_model_new(c->model, errp);
    GHashTableIter iter;
    gpointer page, bytes;
    Twin *t = NULL;

    if (model) {
        c->before->model = model;
        t = twin_new(NULL, c->before, accel, c->intctl, &c->inputs, errp);
        c->before->model = NULL;
        x86_model_free(model);
    }
    if (!t) {
        return NULL;
    }
    bool ok = true;
    machine_lock(t->m);
    memory_begin(t->m->mem);
    memory_begin(t->m->io);
    g_hash_table_iter_init(&iter, c->pages);
    while (ok && g_hash_table_iter_next(&iter, &page, &bytes)) {
        ok = twin_add_page(t, GPOINTER_TO_SIZE(page), bytes, false, errp);
    }
    for (guint i = 0; i < c->registers->len; i++) {
        const CaptureRange *r = &g_array_index(c->registers, CaptureRange, i);
        twin_add_registers(t, r->at, r->len, r->ports);
    }
    memory_commit(t->m->io);
    memory_commit(t->m->mem);
    clock_set(t->m->clock, c->clock);
    machine_unlock(t->m);
    if (!ok) {
        twin_free(t);
        return NULL;
    }
    vcpu_run_work(&t->cpu->vcpu);
    inputs_rewind(&c->inputs);
    twin_load(t, c->before);
    return t;
}

static Twin *run(Capture *c, const char *accel, uint64_t n, char **wrong, RunExit *why, GError **errp)
{
    Twin *t = twin_of(c, accel, errp);

    if (!t) {
        return NULL;
    }
    machine_lock(t->m);
    if (c->requests) {
        twin_serve(t, c->requests);
    }
    *why = twin_run(t, n, NULL);
    *wrong = n == c->insns && !inputs_settled(&c->inputs) ? g_strdup(c->inputs.wrong) : NULL;
    machine_unlock(t->m);
    return t;
}

bool capture_compare(Capture *c, const char *a, const char *b, uint64_t n, GString *out, GError **errp)
{
    g_autofree char *wrong_a = NULL, *wrong_b = NULL;
    RunExit why_a, why_b;
    GHashTableIter iter;
    gpointer page;
    Twin *x = run(c, a, n, &wrong_a, &why_a, errp), *y = x ? run(c, b, n, &wrong_b, &why_b, errp) : NULL;
    bool same = true;

    if (y) {
        same = compare_cpus(x->cpu, y->cpu, !check_steps(x->accel) && !check_steps(y->accel), out);
        if ((why_a == RUN_SHUTDOWN) != (why_b == RUN_SHUTDOWN)) {
            g_string_append_printf(out, "  %s has a triple fault\n", why_a == RUN_SHUTDOWN ? "A" : "B");
            same = false;
        }
        if (g_strcmp0(wrong_a, wrong_b)) {
            g_string_append_printf(out, "  outside: A: %s; B: %s\n", wrong_a ? wrong_a : "as before",
                                   wrong_b ? wrong_b : "as before");
            same = false;
        }
        g_hash_table_iter_init(&iter, c->pages);
        while (g_hash_table_iter_next(&iter, &page, NULL)) {
            hwaddr at = GPOINTER_TO_SIZE(page);
            same &= compare_page(at, twin_page(x, at), twin_page(y, at), out);
        }
        twin_free(y);
    }
    if (x) {
        twin_free(x);
    }
    return same;
}

/* The instruction at RIP after the first n, as text. */
static void name_instruction(Capture *c, const char *accel, uint64_t n, GString *out)
{
    g_autofree char *wrong = NULL;
    RunExit why;
    uint8_t code[X86_INSN_MAX];
    Twin *t = run(c, accel, n, &wrong, &why, NULL);

    if (!t) {
        return;
    }
    X86Cpu *cpu = t->cpu;
    uint64_t linear = cpu->regs[X86_RIP] + (x86_code_bits(cpu) == 64 ? 0 : cpu->seg[X86_CS].base);
    size_t have = 0;
    while (have < sizeof(code) && x86_read_debug(cpu, linear + have, code + have, 1)) {
        have++;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned len = x86_disas(code, have, cpu->regs[X86_RIP], x86_code_bits(cpu), text);
    g_string_append_printf(out, "%04x:%016" PRIx64 "  ", cpu->seg[X86_CS].selector, cpu->regs[X86_RIP]);
    for (unsigned i = 0; i < len; i++) {
        g_string_append_printf(out, "%02x", code[i]);
    }
    g_string_append_printf(out, "  %s\n", len ? text->str : "(no instruction)");
    twin_free(t);
}

bool capture_explain(Capture *c, const char *a, const char *b, GString *out, GError **errp)
{
    enum { LISTED = 40 };
    g_autoptr(GString) differences = g_string_new(NULL), ignored = g_string_new(NULL);
    GError *err = NULL;

    if (capture_compare(c, a, b, c->insns, differences, &err) || err) {
        if (err) {
            g_propagate_error(errp, err);
            return false;
        }
        g_string_append(out, "run again by itself, A and B agree about this piece\n");
        return true;
    }
    /* low: they agree after so many; high: they do not */
    uint64_t low = 0, high = c->insns;
    bool at_start = !capture_compare(c, a, b, 0, ignored, &err);
    while (!err && !at_start && high - low > 1) {
        uint64_t n = c->insns <= LISTED ? low + 1 : (low + high) / 2;
        g_autoptr(GString) found = g_string_new(NULL);
        if (capture_compare(c, a, b, n, found, &err)) {
            low = n;
        } else {
            high = n;
            g_string_assign(differences, found->str);
        }
    }
    if (err) {
        g_propagate_error(errp, err);
        return false;
    }
    if (at_start) {
        g_string_append(out, "They differ before the first instruction, in how an interrupt is delivered:\n");
    } else {
        g_string_append_printf(out, "Instruction %" PRIu64 " of %" PRIu64 " in this piece makes the difference:\n",
                               high, c->insns);
        for (uint64_t n = high > 8 ? high - 8 : 0; n < high; n++) {
            g_string_append(out, n + 1 == high ? "> " : "  ");
            name_instruction(c, b, n, out);
        }
    }
    g_string_append(out, differences->str);
    return false;
}

bool check_replay(const char *file, const char *a, const char *b, GString *out, GError **errp)
{
    g_autoptr(Capture) c = capture_read(file, errp);

    return c && capture_explain(c, a, b, out, errp);
}
