/*
 * CPUID, the models that -cpu names, and what a model lacks (SDM volume 2A, CPUID; volume 1 chapter 13 for XCR0).
 */
#include "x86_bench.h"

#include <cpuid.h>
#include <string.h>
#include "util/bits.h"

static Bench *b;
static X86Cpu *c;

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    x86_cpuid(c, leaf, sub, out);
}

static void test_cpuid_vendor(void)
{
    uint32_t r[4], highest[4];
    char vendor[13] = "", brand[49] = "";

    cpuid(0, 0, r);
    memcpy(vendor, &r[1], 4);
    memcpy(vendor + 4, &r[3], 4);
    memcpy(vendor + 8, &r[2], 4);
    g_assert_cmpstr(vendor, ==, "GenuineIntel");
    cpuid(r[0], 0, highest);
    cpuid(r[0] + 5, 0, r);
    g_assert_cmpmem(r, sizeof(r), highest, sizeof(highest));            /* beyond the last: as the last */
    cpuid(0x80000000, 0, r);
    g_assert_cmphex(r[0], ==, 0x80000008);
    for (unsigned i = 0; i < 3; i++) {
        cpuid(0x80000002 + i, 0, (uint32_t *)(void *)(brand + i * 16));
    }
    g_assert_cmpstr(brand, ==, "Tinamou Virtual Processor");
    cpuid(0x80000008, 0, r);
    g_assert_cmpuint(r[0] & 0xff, ==, 46);
    cpuid(0x40000000, 0, r);
    g_assert_cmphex(r[1], ==, ld32le("Tina"));
    cpuid(0x15, 0, r);
    g_assert_cmpuint((uint64_t)r[2] * r[1] / r[0], ==, VCPU_TSC_KHZ * 1000ull);
    cpuid(0x16, 0, r);
    g_assert_cmpuint(r[0], ==, VCPU_TSC_KHZ / 1000);
}

static void test_cpuid_topology(void)
{
    uint32_t r[4];

    cpuid(1, 0, r);
    g_assert_cmphex(r[3] & 1 << 28, ==, 0);                             /* one processor: no HT */
    for (unsigned i = 0; i < 5; i++) {
        g_ptr_array_add(b->m->vcpus, c);                                /* six in all */
    }
    c->vcpu.apic_id = 5;
    cpuid(1, 0, r);
    g_assert_cmphex(r[1] >> 24, ==, 5);
    g_assert_cmphex(r[1] >> 16 & 0xff, ==, 8);
    g_assert_cmphex(r[3] & 1 << 28, !=, 0);
    cpuid(4, 3, r);
    g_assert_cmphex(r[0] >> 26, ==, 7);
    g_assert_cmphex(r[0] >> 14 & 0xfff, ==, 7);
    cpuid(4, 0, r);
    g_assert_cmphex(r[0] >> 14 & 0xfff, ==, 0);                         /* a core's own */
    cpuid(4, 4, r);
    g_assert_cmphex(r[0], ==, 0);
    cpuid(0xb, 0, r);
    g_assert_cmphex(r[2], ==, 0x100);
    g_assert_cmphex(r[3], ==, 5);
    cpuid(0xb, 1, r);
    g_assert_cmphex(r[0], ==, 3);
    g_assert_cmphex(r[1], ==, 6);
    g_assert_cmphex(r[2], ==, 0x201);
    cpuid(0xb, 2, r);
    g_assert_cmphex(r[1], ==, 0);
    g_ptr_array_set_size(b->m->vcpus, 1);
    c->vcpu.apic_id = 0;
}

/* Packages of two dies of three cores of two threads: 1, 2 and 1 bits below the package's. */
static void test_cpuid_deep_topology(void)
{
    static const struct { unsigned index, id; } row[] = {
        { 0, 0 }, { 1, 1 }, { 2, 2 }, { 5, 5 }, { 6, 8 }, { 11, 13 }, { 12, 16 }, { 23, 29 },
    };
    uint32_t r[4];

    b->m->topology = (CpuTopology){ 2, 2, 3, 2 };
    for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
        g_assert_cmpuint(machine_apic_id(b->m, row[i].index), ==, row[i].id);
    }
    c->vcpu.apic_id = 29;
    cpuid(1, 0, r);
    g_assert_cmphex(r[1] >> 24, ==, 29);
    g_assert_cmphex(r[1] >> 16 & 0xff, ==, 16);
    cpuid(4, 0, r);
    g_assert_cmphex(r[0] >> 14 & 0xfff, ==, 1);                         /* both threads of a core */
    g_assert_cmphex(r[0] >> 26, ==, 7);
    cpuid(4, 3, r);
    g_assert_cmphex(r[0] >> 14 & 0xfff, ==, 7);                         /* a die */
    cpuid(0xb, 0, r);
    g_assert_cmphex(r[0], ==, 1);
    g_assert_cmphex(r[1], ==, 2);
    cpuid(0xb, 1, r);
    g_assert_cmphex(r[0], ==, 4);
    g_assert_cmphex(r[1], ==, 12);
    g_assert_cmphex(r[3], ==, 29);
    cpuid(0x1f, 1, r);
    g_assert_cmphex(r[0], ==, 3);
    g_assert_cmphex(r[1], ==, 6);
    g_assert_cmphex(r[2], ==, 0x201);
    cpuid(0x1f, 2, r);
    g_assert_cmphex(r[0], ==, 4);
    g_assert_cmphex(r[1], ==, 12);
    g_assert_cmphex(r[2], ==, 0x502);
    cpuid(0x1f, 3, r);
    g_assert_cmphex(r[0] | r[1], ==, 0);
    g_assert_cmphex(r[2], ==, 3);
    b->m->topology = (CpuTopology){ 0 };
    c->vcpu.apic_id = 0;
}

/* -cpu tsc-frequency: what RDTSC counts, CPUID says and the deadline timer waits for is one thing. */
static void test_tsc_frequency(void)
{
    Bench *t = bench_new("max,tsc-frequency=2400000000");
    uint32_t r[4];
    uint64_t v, start = vcpu_tsc(&t->c->vcpu);

    machine_lock(t->m);
    clock_step(t->m->clock, NS_PER_MS);
    machine_unlock(t->m);
    g_assert_cmpuint(vcpu_tsc(&t->c->vcpu) - start, ==, 2400000);
    x86_cpuid(t->c, 0x15, 0, r);
    g_assert_cmpuint((uint64_t)r[2] * r[1] / r[0], ==, 2400000000);
    x86_cpuid(t->c, 0x16, 0, r);
    g_assert_cmpuint(r[0], ==, 2400);
    x86_cpuid(t->c, 0x40000010, 0, r);
    g_assert_cmpuint(r[0], ==, 2400000);
    g_assert_true(x86_msr_read(t->c, 0xce, &v));
    g_assert_cmpuint(v >> 8 & 0xff, ==, 24);
    bench_free(t);
}

/* OSXSAVE, OSPKE and APIC follow the processor's state. */
static void test_cpuid_instruction(void)
{
    bench_protected(b, 3);
    c->regs[X86_RAX] = 0xffffffff00000001;
    c->regs[X86_RCX] = 0;
    g_assert_cmpint(EXEC(b, 0x0f, 0xa2), ==, NOTHING);
    g_assert_cmphex(c->regs[X86_RAX], ==, x86_signature(c));
    g_assert_cmphex(c->regs[X86_RDX] & 1 << 9, ==, 0);                  /* no controller is connected here */
}

/* Every feature that gates a row of target/x86/insn/ has a row in features.def. */
static int xsetbv(uint64_t v)
{
    c->regs[X86_RAX] = (uint32_t)v;
    c->regs[X86_RDX] = v >> 32;
    c->regs[X86_RCX] = 0;
    return EXEC(b, 0x0f, 0x01, 0xd1);
}

/* The rules for XCR0 (volume 1, 13.3); AVX's and AVX-512's state can be switched on where there is such. */
static void test_xcr0(void)
{
    static const uint64_t bad[] = { 0, 2, 4, 5, 0x21, 0x23, 0x27, 0x67, 0xa7, 0xc7, 0xe3, 0xe1, 0xe6, 0x10007 };
    bool avx = x86_feature(c, FEAT_AVX), avx512 = x86_feature(c, FEAT_AVX512F);
    uint32_t out[4];

    bench_long(b, 0);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_OSXSAVE));
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_raised(b, xsetbv(bad[i]), EXC_GP, 0);
    }
    g_assert_cmpint(xsetbv(3), ==, NOTHING);
    g_assert_cmphex(c->mode & (MODE_AVX_ON | MODE_AVX512_ON), ==, 0);
    g_assert_cmpint(xsetbv(7), ==, avx ? NOTHING : EXC_GP);
    g_assert_cmphex(c->mode & (MODE_AVX_ON | MODE_AVX512_ON), ==, avx ? MODE_AVX_ON : 0);
    x86_cpuid(c, 0xd, 0, out);
    g_assert_cmpuint(out[1], ==, avx ? 832 : 576);      /* bytes for what XCR0 has now */
    g_assert_cmpint(xsetbv(0xe7), ==, avx512 ? NOTHING : EXC_GP);
    g_assert_cmphex(c->mode & MODE_AVX512_ON, ==, avx512 ? MODE_AVX512_ON : 0);
    x86_cpuid(c, 0xd, 0, out);
    g_assert_cmphex(out[0] & 0xe7, ==, 3 | (avx ? 4 : 0) | (avx512 ? 0xe0 : 0));
    g_assert_cmpuint(out[1], ==, avx512 ? 2688 : avx ? 832 : 576);
    static const uint32_t place[][3] = { { 2, 256, 576 }, { 5, 64, 1088 }, { 6, 512, 1152 }, { 7, 1024, 1664 } };
    for (unsigned i = 0; i < G_N_ELEMENTS(place); i++) {
        bool there = i == 0 ? avx : avx512;
        x86_cpuid(c, 0xd, place[i][0], out);
        g_assert_cmpuint(out[0], ==, there ? place[i][1] : 0);
        g_assert_cmpuint(out[1], ==, there ? place[i][2] : 0);
    }
}

static void test_features_cover_the_table(void)
{
    static const struct { unsigned id; const char *name; } row[] = {
#define NAME(id, name) { id, name },
        X86_CPU_FEATURES(NAME)
#undef NAME
    };

    g_assert_true(x86_has(c, CPUF_NONE));
    for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
        g_autofree char *off = g_strdup_printf("max,-%s", row[i].name);
        GError *err = NULL;
        X86Model *m = x86_model_new(off, &err);
        g_assert_no_error(err);
        x86_model_free(m);
    }
    g_assert_true(x86_has(c, CPUF_SSE2));
    g_assert_true(x86_has(c, CPUF_FPU));
}

static X86Model *model(const char *spec, const char *error)
{
    GError *err = NULL;
    X86Model *m = x86_model_new(spec, &err);

    if (error) {
        g_assert_null(m);
        g_assert_nonnull(strstr(err->message, error));
        g_error_free(err);
    } else {
        g_assert_no_error(err);
    }
    return m;
}

static bool model_has(const char *spec, X86Feature feature)
{
    const X86Model *keep = c->model;
    X86Model *m = model(spec, NULL);

    c->model = m;
    bool has = x86_feature(c, feature);
    c->model = keep;
    x86_model_free(m);
    return has;
}

static void test_models(void)
{
    static const char *const names[] = { "486", "pentium", "pentium3", "core2duo", "x86-64-v1", "x86-64-v2", "max" };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        x86_model_free(model(names[i], NULL));
    }
    g_assert_false(model_has("486", FEAT_TSC));
    g_assert_true(model_has("pentium3", FEAT_SSE));
    g_assert_false(model_has("pentium3", FEAT_LM));
    g_assert_true(model_has("pentium3", FEAT_CX8));                     /* by way of pentium */
    g_assert_true(model_has("x86-64-v2", FEAT_SSE4_2));
    g_assert_false(model_has("max,-x2apic", FEAT_X2APIC));
    g_assert_true(model_has("486,+tsc", FEAT_TSC));
    g_assert_true(model_has("486,tsc=on", FEAT_TSC));
    g_assert_false(model_has("max,pae=off", FEAT_LM));                  /* long mode needs it */
    g_assert_true(model_has("pentium,+sse", FEAT_FXSR));                /* and what SSE needs comes along */
    g_assert_false(model_has("max,-sse4.1", FEAT_SSE4_2));
    g_assert_false(model_has("max,-sse3", FEAT_SSE3));
    model("pentum", "did you mean 'pentium'");
    model("max,+popcnd", "did you mean 'popcnt'");
    model("max,sse=maybe", "neither on nor off");
    model("max,+", "no feature");
    model("max,tsc-frequency=2G", "tsc-frequency=2G: ");
    model("max,tsc-frequency=1000", "must be 10000000 to");
    model("max,tsc-frequency=20000000000", "tsc-frequency=20000000000: ");
}

/* A model as an accelerator that has not got these features takes it. */
static X86Model *limited(const char *spec, const char *error, unsigned n, const X86Feature *lacking)
{
    const X86Model *keep = c->model;
    X86Model *m = model(spec, NULL);
    uint32_t words[CPUID_WORDS];
    GError *err = NULL;

    memset(words, 0xff, sizeof(words));
    for (unsigned i = 0; i < n; i++) {
        words[lacking[i] / 32] &= ~(1u << (lacking[i] % 32));
    }
    c->model = m;
    g_assert_true(x86_limit_features(c, words, "the tester", &err) == !error);
    c->model = keep;
    if (error) {
        g_assert_nonnull(strstr(err->message, error));
        g_clear_error(&err);
    }
    return m;
}

static void test_limited_models(void)
{
    static const X86Feature lacking[] = { FEAT_SSSE3, FEAT_RDTSCP };
    static const char *const same[] = { "x86-64-v1", "pentium", "x86-64-v2,-ssse3,-rdtscp", "max,-ssse3,+nx" };
    X86Model *m = limited("x86-64-v2", "-cpu x86-64-v2: the tester does not give a guest ssse3 rdtscp; take them off "
                          "(-cpu x86-64-v2,-ssse3,-rdtscp)", 2, lacking);

    x86_model_free(m);
    x86_model_free(limited("max,+ssse3", "does not give a guest ssse3;", 2, lacking));
    for (unsigned i = 0; i < G_N_ELEMENTS(same); i++) {
        x86_model_free(limited(same[i], NULL, 2, lacking));
    }
    m = limited("max", NULL, 2, lacking);
    g_assert_cmpstr(x86_model_spec(m), ==, "max,-ssse3,-rdtscp");       /* and so it can be made again */
    g_assert_false(model_has(x86_model_spec(m), FEAT_SSE4_1));          /* which needs SSSE3 */
    g_assert_true(model_has(x86_model_spec(m), FEAT_SSE3));
    x86_model_free(m);
}

/* What it says is what the host's CPUID says, whoever made it; an accelerator takes it from there. */
static void test_host_model(void)
{
    const X86Model *keep = c->model;
    X86Model *m = model("host", NULL);
    uint32_t ours[4], hosts[4];

    c->model = m;
    x86_cpuid(c, 0, 0, ours);
    __cpuid(0, hosts[0], hosts[1], hosts[2], hosts[3]);
    g_assert_cmpmem(ours + 1, 12, hosts + 1, 12);
    x86_cpuid(c, 1, 0, ours);
    __cpuid(1, hosts[0], hosts[1], hosts[2], hosts[3]);
    g_assert_cmphex(ours[0], ==, hosts[0] & 0x0fff0fff);
    for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
        x86_cpuid(c, leaf, 0, ours);
        __cpuid(leaf, hosts[0], hosts[1], hosts[2], hosts[3]);
        g_assert_cmpmem(ours, 16, hosts, 16);
    }
    c->model = keep;
    x86_model_free(m);
}

/* What a processor lacks it refuses: CR4 bits and MSRs of a Pentium. */
static void test_small_model(void)
{
    Bench *p = bench_new("pentium");
    uint64_t v;

    bench_protected(p, 0);
    g_assert_true(x86_write_cr4(p->c, CR4_PSE | CR4_VME));
    g_assert_false(x86_write_cr4(p->c, CR4_PAE));
    g_assert_false(x86_msr_read(p->c, 0xc0000080, &v));
    g_assert_false(x86_msr_read(p->c, 0x277, &v));
    g_assert_true(x86_msr_read(p->c, 0x10, &v));
    g_assert_false(x86_has(p->c, CPUF_CMOV));
    bench_free(p);
}

static void test_help_and_registers(void)
{
    g_autoptr(GString) s = g_string_new(NULL);
    uint64_t v;

    bench_long(b, 0);
    uint32_t words[CPUID_WORDS] = { 0 };
    X86CpuGiver givers[] = { { .name = "all" }, { .name = "none", .words = words },
                             { .name = "no", .why_not = "off" } };
    x86_cpu_help(s, givers, G_N_ELEMENTS(givers));
    g_assert_nonnull(strstr(s->str, "\n  pentium3 "));
    g_assert_nonnull(strstr(s->str, "\n  x86-64-v1 "));
    g_assert_nonnull(strstr(s->str, "\n    all          yes\n    none         lacks: fpu vme\n    no           off\n"));
    g_assert_nonnull(strstr(s->str, "sse4_2"));
    g_string_truncate(s, 0);
    c->regs[X86_R10] = 0x123456789abcdef0;
    x86_info_registers(c, s);
    g_assert_nonnull(strstr(s->str, "R10=123456789abcdef0"));
    g_assert_nonnull(strstr(s->str, "CR3=0000000000100000"));
    g_assert_nonnull(strstr(s->str, "CS64"));
    g_assert_nonnull(strstr(s->str, "TSS-busy"));
    g_assert_true(x86_register_value(c, "r10", &v));
    g_assert_cmphex(v, ==, 0x123456789abcdef0);
    c->regs[X86_RBX] = 0x12345678;
    g_assert_true(x86_register_value(c, "bh", &v));
    g_assert_cmphex(v, ==, 0x56);
    g_assert_true(x86_register_value(c, "EBX", &v));
    g_assert_true(x86_register_value(c, "cr3", &v));
    g_assert_cmphex(v, ==, AT_PAGES);
    g_assert_true(x86_register_value(c, "cs", &v));
    g_assert_cmphex(v, ==, SEL_CODE64);
    g_assert_false(x86_register_value(c, "cr1", &v));
    g_assert_false(x86_register_value(c, "dr8", &v));
    g_assert_false(x86_register_value(c, "rxx", &v));
}

#define ALL_TESTS(X) \
    X(cpuid_vendor) X(cpuid_topology) X(cpuid_deep_topology) X(tsc_frequency) X(cpuid_instruction) \
    X(features_cover_the_table) X(models) X(limited_models) X(host_model) X(xcr0) X(small_model) \
    X(help_and_registers)
ALL_TESTS(BENCH_TEST)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/x86/model/" #name, run_##name);
    ALL_TESTS(ADD)
    return g_test_run();
}
