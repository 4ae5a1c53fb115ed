/*
 * The models that -cpu names, and the features that it adds and takes away.  Both are tables; help
 * and error messages come from them.
 */
#include "model-private.h"

#include <cpuid.h>
#include <string.h>
#include "util/error.h"
#include "util/host.h"
#include "util/size.h"
#include "util/suggest.h"

typedef struct FeatureRow {
    const char *name;
    uint16_t feature;           /* X86Feature */
    uint16_t needs;             /* X86Feature, or NO_FEATURE */
    uint8_t done;
} FeatureRow;

enum { NO_FEATURE = 0xffff, FEAT_NONE = NO_FEATURE, HOST = 2, ASKED = 3 };

static const FeatureRow features[] = {
#define FEATURE(id, name, word, bit, done, needs) { name, FEAT_##id, FEAT_##needs, done },
#include "target/x86/features.def"
#undef FEATURE
};

/* Other spellings that people use. */
static const struct { const char *name, *real; } aliases[] = {
    { "sse3", "pni" }, { "lzcnt", "abm" }, { "invtsc", "nonstop_tsc" }, { "tsc_deadline", "tsc_deadline_timer" },
    { "cmpxchg8b", "cx8" }, { "cmpxchg16b", "cx16" }, { "prefetchw", "3dnowprefetch" }, { "stibp", "intel_stibp" },
    { "sse4.1", "sse4_1" }, { "sse4.2", "sse4_2" }, { "clfsh", "clflush" }, { "ibrs", "spec_ctrl" },
    { "sha", "sha_ni" }, { "xd", "nx" },
};

typedef struct ModelRow {
    const char *name, *summary, *base;  /* base: another row whose features this one has too */
    uint8_t family, model, stepping, phys_bits;
    uint32_t level, xlevel;
    const char *brand, *features;
} ModelRow;

static const ModelRow models[] = {
    { "486", "486DX4: the first with CPUID; no TSC, no APIC", NULL,
      4, 8, 0, 32, 1, 0, NULL, "fpu vme" },
    { "pentium", "Pentium: TSC, 4 MiB pages, local APIC", "486",
      5, 4, 3, 32, 1, 0, NULL, "de pse tsc msr mce cx8 apic" },
    { "pentium3", "Pentium III: PAE, CMOV, MMX, SSE, SYSENTER", "pentium",
      6, 8, 3, 36, 3, 0x80000004, "Tinamou Pentium III", "pae sep mtrr pge mca cmov pat pse36 mmx fxsr sse" },
    { "core2duo", "Core 2: 64-bit, NX, SSSE3", "pentium3",
      6, 15, 11, 36, 10, 0x80000008, "Tinamou Core 2 Duo",
      "clflush sse2 ss ht pni ssse3 cx16 syscall nx lm lahf_lm" },
    { "x86-64-v1", "what every 64-bit processor has", "pentium3",
      6, 15, 11, 40, 13, 0x80000008, "Tinamou x86-64-v1",
      "clflush sse2 ht cx16 syscall nx lm lahf_lm hypervisor x2apic tsc_deadline_timer arat nonstop_tsc" },
    { "x86-64-v2", "SSE4.2 and POPCNT besides: what most distributions ask for today", "x86-64-v1",
      6, 44, 2, 40, 0x16, 0x80000008, "Tinamou x86-64-v2",
      "pni ssse3 sse4_1 sse4_2 popcnt rdtscp tsc_adjust" },
    { "x86-64-v3", "AVX2, FMA, BMI and MOVBE besides: processors since 2013", "x86-64-v2",
      6, 60, 3, 40, 0x16, 0x80000008, "Tinamou x86-64-v3",
      "xsave avx avx2 bmi1 bmi2 f16c fma abm movbe" },
    { "x86-64-v4", "AVX-512 F, BW, CD, DQ and VL besides", "x86-64-v3",
      6, 85, 4, 46, 0x1f, 0x80000008, "Tinamou x86-64-v4",
      "avx512f avx512bw avx512cd avx512dq avx512vl" },
    { "max", "everything that this program can do here (the default)", NULL,
      6, 44, 2, 46, 0x1f, 0x80000008, "Tinamou Virtual Processor", NULL },
    { "host", "the host's own, as far as its kernel gives it to a guest: -accel kvm only", NULL,
      6, 0, 0, 36, 0x1f, 0x80000008, NULL, NULL },
};

static bool is_host(const ModelRow *row)
{
    return g_str_equal(row->name, "host");
}

static bool has(const X86Model *m, unsigned feature)
{
    return m->word[feature / 32] >> (feature % 32) & 1;
}

static void set(X86Model *m, unsigned feature, bool on)
{
    uint32_t bit = 1u << (feature % 32);

    m->word[feature / 32] = on ? m->word[feature / 32] | bit : m->word[feature / 32] & ~bit;
}

static const FeatureRow *feature_row(unsigned feature);

/* AVX and AVX-512 also want their registers saved by the host's kernel: XCR0. */
static bool host_has_state(unsigned feature)
{
    const FeatureRow *f = feature_row(feature);
    uint32_t eax, ebx, ecx, edx, xcr0, high;
    uint64_t want = 0;

    for (; f; f = f->needs == NO_FEATURE ? NULL : feature_row(f->needs)) {
        want |= f->feature == FEAT_AVX ? XCR0_SSE | XCR0_AVX : f->feature == FEAT_AVX512F ? XCR0_AVX512 : 0;
    }
    if (!want) {
        return true;
    }
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx >> 27 & 1)) {
        return false;
    }
    __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    return (xcr0 & want) == want;
}

/* Whether instructions of this feature can be run by the host's own. */
static bool host_has(unsigned feature)
{
    return x86_host_bit(feature) && host_has_state(feature) && !host_is_said_to_lack(feature_row(feature)->name);
}

static bool can_do(const FeatureRow *f)
{
    return f->done == HOST ? host_has(f->feature) : f->done;
}

static const FeatureRow *find_feature(const char *name)
{
    g_autofree char *plain = g_strdelimit(g_ascii_strdown(name, -1), "-", '_');

    for (unsigned i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (g_str_equal(plain, aliases[i].name)) {
            return find_feature(aliases[i].real);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (g_str_equal(plain, features[i].name)) {
            return &features[i];
        }
    }
    return NULL;
}

static const FeatureRow *feature_row(unsigned feature)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (features[i].feature == feature) {
            return &features[i];
        }
    }
    return NULL;
}

static const ModelRow *find_model(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (g_ascii_strcasecmp(name, models[i].name) == 0) {
            return &models[i];
        }
    }
    return NULL;
}

/* What the host has and this program can name; and what KVM makes by itself. */
static void add_host_features(X86Model *m)
{
    static const uint16_t by_kvm[] = { FEAT_HYPERVISOR, FEAT_X2APIC, FEAT_TSC_DEADLINE, FEAT_ARAT };

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        set(m, features[i].feature, host_has(features[i].feature));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(by_kvm); i++) {
        set(m, by_kvm[i], true);
    }
}

/* `max` has all that can be done, but what must be asked for; the others have what they have, done or not. */
static void add_row_features(X86Model *m, const ModelRow *row)
{
    if (is_host(row)) {
        add_host_features(m);
        return;
    }
    if (!row->features) {
        for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
            set(m, features[i].feature, features[i].done != ASKED && can_do(&features[i]));
        }
        return;
    }
    if (row->base) {
        add_row_features(m, find_model(row->base));
    }
    g_auto(GStrv) names = g_strsplit(row->features, " ", -1);
    for (char **n = names; *n; n++) {
        const FeatureRow *f = find_feature(*n);
        g_assert(f);                    /* the table above names what the other one has */
        set(m, f->feature, true);
    }
}

static const char *nearest_feature(const char *wrong, char **tail)
{
    const char *names[G_N_ELEMENTS(features) + 1];

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        names[i] = features[i].name;
    }
    names[G_N_ELEMENTS(features)] = NULL;
    *tail = suggest_tail(wrong, names);
    return *tail;
}

/* And what it needs. */
static void switch_on(X86Model *m, const FeatureRow *f)
{
    set(m, f->feature, true);
    m->firm[f->feature / 32] |= 1u << (f->feature % 32);
    if (f->needs != NO_FEATURE && !has(m, f->needs)) {
        switch_on(m, feature_row(f->needs));
    }
}

/* Features of the model that cannot be given, for one reason: " a b". */
static char *missing(const X86Model *m, bool for_the_host)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (has(m, features[i].feature) && !can_do(&features[i]) && for_the_host == (features[i].done == HOST)) {
            g_string_append_printf(s, " %s", features[i].name);
        }
    }
    return g_string_free(s, false);
}

/* `names` are missing, as missing() makes them: an error that says what to do. */
static void set_lacking(const char *spec, const char *why, const char *names, GError **errp)
{
    g_auto(GStrv) name = g_strsplit(names + 1, " ", -1);
    g_autofree char *off = g_strjoinv(",-", name);

    error_set(errp, "-cpu %s:%s; take them off (-cpu %s,-%s) or use -cpu max, which has all that works here", spec,
              why, spec, off);
}

/* All that is missing in one error. */
static bool check_possible(const X86Model *m, const char *spec, GError **errp)
{
    g_autofree char *host = missing(m, true), *program = missing(m, false);
    g_autoptr(GString) s = g_string_new(NULL);

    if (!*host && !*program) {
        return true;
    }
    if (*host) {
        g_string_append_printf(s, " the host processor has not got%s", host);
    }
    if (*program) {
        g_string_append_printf(s, "%s this program cannot do%s", *host ? ";" : "", program);
    }
    g_autofree char *all = g_strconcat(host, program, NULL);
    set_lacking(spec, s->str, all, errp);
    return false;
}

/* Whatever needs a feature that is off is off too. */
static void drop_orphans(X86Model *m)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
            const FeatureRow *f = &features[i];
            if (f->needs != NO_FEATURE && has(m, f->feature) && !has(m, f->needs)) {
                set(m, f->feature, false);
                changed = true;
            }
        }
    }
}

enum { MIN_TSC_HZ = 10000000 };
#define MAX_TSC_HZ 10000000000ull

static bool take_tsc_frequency(X86Model *m, const char *text, GError **errp)
{
    uint64_t hz;

    if (!number_parse(text, MAX_TSC_HZ, &hz, errp)) {
        g_prefix_error(errp, "-cpu: tsc-frequency=%s: ", text);
        return false;
    }
    if (hz < MIN_TSC_HZ) {
        error_set(errp, "-cpu: tsc-frequency=%s: must be %u to %llu Hz", text, MIN_TSC_HZ, MAX_TSC_HZ);
        return false;
    }
    m->tsc_khz = (uint32_t)(hz / 1000);
    m->tsc_asked = true;
    return true;
}

/* "+name", "-name", "name=on", "name"; "tsc-frequency=Hz" */
static bool apply(X86Model *m, const char *text, GError **errp)
{
    bool on = true;
    g_autofree char *name = NULL, *tail = NULL;
    const char *eq = strchr(text, '=');

    if (g_str_has_prefix(text, "tsc-frequency=")) {
        return take_tsc_frequency(m, eq + 1, errp);
    }
    if (*text == '+' || *text == '-') {
        on = *text == '+';
        name = g_strdup(text + 1);
    } else if (eq) {
        name = g_strndup(text, eq - text);
        if (g_str_equal(eq + 1, "off") || g_str_equal(eq + 1, "no")) {
            on = false;
        } else if (!g_str_equal(eq + 1, "on") && !g_str_equal(eq + 1, "yes")) {
            error_set(errp, "-cpu: '%s' is neither on nor off", text);
            return false;
        }
    } else {
        name = g_strdup(text);
    }
    const FeatureRow *f = find_feature(name);
    if (!f) {
        error_set(errp, "-cpu: no feature is called '%s'%s", name, nearest_feature(name, &tail));
        return false;
    }
    if (!on) {
        set(m, f->feature, false);
        drop_orphans(m);
        return true;
    }
    switch_on(m, f);
    return true;
}

static bool known_model(const char *name, const ModelRow **row, GError **errp)
{
    const char *names[G_N_ELEMENTS(models) + 1];

    *row = find_model(name);
    if (*row) {
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        names[i] = models[i].name;
    }
    names[G_N_ELEMENTS(models)] = NULL;
    g_autofree char *tail = suggest_tail(name, names);
    error_set(errp, "-cpu: no processor is called '%s'%s (-cpu help lists them)", name, tail);
    return false;
}

static void fill_gates(X86Model *m)
{
    static const char *const names[CPUF_COUNT] = {
#define NAME(id, name) [id] = name,
        X86_CPU_FEATURES(NAME)
#undef NAME
    };

    m->gate[CPUF_NONE] = true;
    for (unsigned i = CPUF_NONE + 1; i < CPUF_COUNT; i++) {
        const FeatureRow *f = find_feature(names[i]);
        m->gate[i] = f && has(m, f->feature);
    }
}

X86Model *x86_model_new(const char *spec, GError **errp)
{
    g_auto(GStrv) part = g_strsplit(spec && *spec ? spec : "max", ",", -1);
    const ModelRow *row;

    if (!known_model(part[0], &row, errp)) {
        return NULL;
    }
    X86Model *m = g_new0(X86Model, 1);
    m->name = g_strdup(row->name);
    m->host = is_host(row);
    memcpy(m->vendor, "GenuineIntel", sizeof(m->vendor));
    m->spec = g_strdup(spec && *spec ? spec : "max");
    m->asked = g_strdup(m->spec);
    m->family = row->family;
    m->model = row->model;
    m->stepping = row->stepping;
    m->phys_bits = row->phys_bits;
    m->tsc_khz = VCPU_TSC_KHZ;
    m->level = row->level;
    m->xlevel = row->xlevel;
    if (row->brand) {
        g_strlcpy(m->brand, row->brand, sizeof(m->brand));
    }
    if (m->host) {
        x86_host_identity(m);
    }
    add_row_features(m, row);
    if (row->features) {
        memcpy(m->firm, m->word, sizeof(m->firm));
    }
    bool ok = true;
    for (unsigned i = 1; ok && part[i]; i++) {
        ok = apply(m, part[i], errp);
    }
    if (!ok || (!m->host && !check_possible(m, spec, errp))) {
        x86_model_free(m);
        return NULL;
    }
    fill_gates(m);
    return m;
}

static void drop(X86Model *m, const FeatureRow *f)
{
    char *spec = g_strconcat(m->spec, ",-", f->name, NULL);

    g_free(m->spec);
    m->spec = spec;
    set(m, f->feature, false);
}

bool x86_limit_features(X86Cpu *c, const uint32_t *words, const char *who, GError **errp)
{
    X86Model *m = (X86Model *)c->model;
    g_autoptr(GString) firm = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        unsigned word = features[i].feature / 32, bit = features[i].feature % 32;
        if (m->word[word] & m->firm[word] & ~words[word] & 1u << bit) {
            g_string_append_printf(firm, " %s", features[i].name);
        }
    }
    if (firm->len) {
        g_autofree char *why = g_strdup_printf(" %s does not give a guest%s", who, firm->str);
        set_lacking(m->spec, why, firm->str, errp);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        unsigned word = features[i].feature / 32, bit = features[i].feature % 32;
        if (m->word[word] & ~words[word] & 1u << bit) {
            drop(m, &features[i]);
        }
    }
    drop_orphans(m);
    fill_gates(m);
    return true;
}

void x86_drop_feature(X86Cpu *c, X86Feature feature)
{
    X86Model *m = (X86Model *)c->model;

    if (has(m, feature)) {
        drop(m, feature_row(feature));
        drop_orphans(m);
        fill_gates(m);
    }
}

void x86_restore_model(X86Cpu *c)
{
    X86Model *m = (X86Model *)c->model, *again = x86_model_new(m->asked, NULL);

    if (again) {
        c->model = again;
        x86_model_free(m);
    }
    c->vcpu.tsc_khz = x86_tsc_khz(c);
}

void x86_model_free(X86Model *m)
{
    if (m) {
        g_free(m->name);
        g_free(m->spec);
        g_free(m->asked);
        g_free(m);
    }
}

const char *x86_model_name(const X86Model *m)
{
    return m->name;
}

bool x86_model_is_host(const X86Model *m)
{
    return m->host;
}

const char *x86_model_spec(const X86Model *m)
{
    return m->spec;
}

bool x86_feature(const X86Cpu *c, X86Feature feature)
{
    return has(c->model, feature);
}

unsigned x86_tsc_khz(const X86Cpu *c)
{
    return c->model->tsc_khz;
}

bool x86_tsc_asked(const X86Cpu *c)
{
    return c->model->tsc_asked;
}

unsigned x86_phys_bits(const X86Cpu *c)
{
    return c->model->phys_bits;
}

bool x86_has(const X86Cpu *c, unsigned cpuf)
{
    return cpuf < CPUF_COUNT && c->model->gate[cpuf];
}

/* ---- help ---- */

static void add_word(GString *out, size_t *column, const char *word, unsigned indent)
{
    if (*column + strlen(word) > 100) {
        g_string_append_printf(out, "\n%*s", (int)indent, "");
        *column = indent;
    }
    g_string_append_printf(out, " %s", word);
    *column += strlen(word) + 1;
}

/* What an accelerator runs: NULL for those that run what the interpreter does. */
static bool gives(const X86CpuGiver *g, const ModelRow *row, const FeatureRow *f)
{
    return (is_host(row) || can_do(f)) && (!g->words || (g->words[f->feature / 32] >> (f->feature % 32) & 1));
}

static void help_model(GString *out, const ModelRow *row, const X86CpuGiver *g)
{
    X86Model m = { 0 };
    size_t column = 17;
    unsigned lacking = 0;

    add_row_features(&m, row);
    g_string_append_printf(out, "    %-12s", g->name);
    if (g->why_not || (is_host(row) && !g->words)) {
        g_string_append_printf(out, " %s\n", g->why_not ? g->why_not : "no");
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (has(&m, features[i].feature) && !gives(g, row, &features[i])) {
            if (!lacking++) {
                g_string_append(out, row->features ? " lacks:" : " all but:");
                column += 7;
            }
            add_word(out, &column, features[i].name, 17);
        }
    }
    g_string_append(out, lacking ? "\n" : " yes\n");
}

void x86_cpu_help(GString *out, const X86CpuGiver *givers, unsigned n)
{
    g_string_append(out, "Processors, and what each accelerator can give of them on this host:\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        g_string_append_printf(out, "  %-12s %s\n", models[i].name, models[i].summary);
        for (unsigned k = 0; k < n; k++) {
            help_model(out, &models[i], &givers[k]);
        }
    }
    g_string_append(out, "\nFeatures, to add or take away as in -cpu max,-x2apic,+ht (* only when asked for), and\n"
                    "tsc-frequency=Hz, of the time-stamp counter (default 1000000000):\n ");
    size_t column = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (can_do(&features[i])) {
            g_autofree char *word = g_strconcat(features[i].name, features[i].done == ASKED ? "*" : "", NULL);
            add_word(out, &column, word, 1);
        }
    }
    g_string_append(out, "\n\nNot here, for want of the host or of this program:\n ");
    column = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        if (!can_do(&features[i])) {
            add_word(out, &column, features[i].name, 1);
        }
    }
    g_string_append_c(out, '\n');
}
