/*
 * tests/insn/oracle/forms.c - see forms.h.
 */
#include "forms.h"

#include <stdio.h>
#include "encode.h"
#include "missing.h"
#include "../coverage.h"
#include "../native.h"

typedef struct RowForms { unsigned first, count; } RowForms;

typedef struct FormList {               /* for code of one size */
    GArray *forms;                      /* of Form, those of a row together */
    GArray *rows;                       /* of RowForms */
} FormList;

struct Forms {
    Engine *const *engines;             /* NULL at the end */
    const OracleHost *host;             /* NULL: nothing is run natively */
    unsigned bits;                      /* wanted; 0: all */
    FormList list[3];                   /* 16, 32, 64 */
    bool *host_alone;                   /* by row: the host has its feature, the emulated processor has not */
    bool evex_alone;                    /* the same of AVX-512 */
};

static const unsigned code_bits[3] = { 16, 32, 64 };

static bool all_have(const Forms *f, const X86Row *r)
{
    for (unsigned i = 0; f->engines[i]; i++) {
        if (!f->engines[i]->ops->has(f->engines[i], r)) {
            return false;
        }
    }
    return true;
}

static bool row_wanted(const Forms *f, const X86Row *r, unsigned bits, const GRegex *rows)
{
    return !row_excluded(r) && (!f->host || f->host->descriptors || bits == 64)
        && (r->mode == 0 || (r->mode == 2) == (bits == 64))
        && (!rows || g_regex_match(rows, r->names, 0, NULL)) && !feature_missing(r)
        && all_have(f, r);
}

static void add_forms(FormList *l, const X86Row *row)
{
    RowForms rf = { .first = l->forms->len };

    for (unsigned opcode = row->opcode; opcode < 256; opcode++) {
        const X86Row *r = NULL;
        for (unsigned k = 0; (r = x86_row(row->enc * 8 + row->map, opcode, k)) && r != row; k++) {
        }
        if (!r) {
            break;
        }
        Form form = { row, row->map, opcode };
        g_array_append_val(l->forms, form);
        rf.count++;
    }
    g_array_append_val(l->rows, rf);
}

/* What the host alone has got is #UD to us, and rightly so. */
static void list_host_alone(Forms *f)
{
    const X86Row *r;
    unsigned n = 0;

    while (x86_row_at(n)) {
        n++;
    }
    f->host_alone = g_new0(bool, n);
    f->evex_alone = native_has("avx512f");
    for (unsigned i = 0; (r = x86_row_at(i)); i++) {
        bool ours = all_have(f, r);
        f->host_alone[i] = !ours && !feature_missing(r);
        f->evex_alone &= !ours || g_strcmp0(feature_of(r), "avx512f");
    }
}

Forms *forms_new(Engine *const *engines, const OracleHost *h, unsigned bits, const GRegex *rows)
{
    Forms *f = g_new0(Forms, 1);
    const X86Row *r;

    f->engines = engines;
    f->host = h;
    f->bits = bits;
    for (unsigned b = 0; b < 3; b++) {
        FormList *l = &f->list[b];
        l->forms = g_array_new(false, false, sizeof(Form));
        l->rows = g_array_new(false, false, sizeof(RowForms));
        for (unsigned i = 0; (r = x86_row_at(i)); i++) {
            if (row_wanted(f, r, code_bits[b], rows)) {
                add_forms(l, r);
            }
        }
    }
    list_host_alone(f);
    return f;
}

void forms_free(Forms *f)
{
    for (unsigned b = 0; b < 3; b++) {
        g_array_free(f->list[b].forms, true);
        g_array_free(f->list[b].rows, true);
    }
    g_free(f->host_alone);
    g_free(f);
}

bool forms_any(const Forms *f)
{
    bool any = false;

    for (unsigned b = 0; b < 3; b++) {
        any |= f->list[b].rows->len && (!f->bits || f->bits == code_bits[b]);
    }
    return any;
}

void forms_name_missing(const Forms *f)
{
    const X86Row *r;
    g_autoptr(GHashTable) said = g_hash_table_new(g_str_hash, g_str_equal);

    if (f->host && !f->host->descriptors) {
        puts("not run: code of 16 and 32 bits, INT n, loads of segment registers, and cases with NT, an odd RSP or "
             "several traps: this host's hypervisor has no descriptors for programs and alters the rest");
    }
    for (unsigned i = 0; (r = x86_row_at(i)); i++) {
        const char *missing = feature_missing(r);
        if (missing) {
            coverage_excuse(r, missing);
        }
        if ((missing || !all_have(f, r)) && g_hash_table_add(said, (gpointer)feature_of(r))) {
            printf("not run: rows that need %s, which this %s has not got\n", feature_of(r),
                   missing ? "host" : "emulated processor");
        }
    }
}

bool forms_case_wanted(const Forms *f, const OracleCase *c, const X86Insn *in)
{
    return !(in->row && f->host_alone[x86_row_number(in->row)]) && !(in->enc == X86_EVEX && f->evex_alone)
        && !case_excluded(c, in) && (!f->host || host_can(f->host, c, in));
}

unsigned forms_batch(const Forms *f, Generator *g, Rng *r, OracleCase *item)
{
    static const uint8_t mix[] = { 0, 1, 2, 2 };        /* of code sizes */
    unsigned b = mix[below(r, sizeof(mix))], n = 0;

    if (f->bits) {
        b = f->bits == 16 ? 0 : f->bits == 32 ? 1 : 2;
    }
    const FormList *l = &f->list[b];
    for (unsigned tries = 0; l->rows->len && n < BATCH && tries < 4 * BATCH; tries++) {
        const RowForms *rf = &g_array_index(l->rows, RowForms, below(r, l->rows->len));
        X86Insn in;
        if (generate(g, &g_array_index(l->forms, Form, rf->first + below(r, rf->count)), code_bits[b], &item[n])) {
            decode_case(&item[n], &in);
            n += forms_case_wanted(f, &item[n], &in);
        }
    }
    return n;
}
