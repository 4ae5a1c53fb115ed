/*
 * The cross-check finds what it is there to find: an accelerator that is wrong about one instruction
 * is caught within a block, named with that instruction, and caught again from the file; one that is
 * right is never blamed.  The list of accelerators is this test's own.
 *
 * Usage: test_check GUEST.bin
 */
#include <glib/gstdio.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "accel/accel.h"
#include "accel/check.h"
#include "accel/engine.h"
#include "accel/kvm.h"
#include "core/machine.h"
#include "target/x86/alu.h"
#include "target/x86/cpu.h"
#include "target/x86/mem.h"
#include "target/x86/segments.h"
#include "../kvm/usable.h"

/* ---- an accelerator with a mistake ---- */

typedef struct Fault {
    const char *name;
    uint16_t op;
    void (*spoil)(X86Cpu *c, const X86Insn *in);        /* what the handler has left, by one bit */
    const char *insn, *bytes, *field;   /* in the report */
} Fault;

static void spoil_result(X86Cpu *c, const X86Insn *in)
{
    if (in->opsize == 32 && (uint32_t)c->regs[in->reg] % 3 == 0) {
        c->regs[in->reg] ^= 1;
    }
}

static void spoil_flag(X86Cpu *c, const X86Insn *in)
{
    if (!in->mod3) {
        c->cc ^= CC_CF;
    }
}

static void spoil_store(X86Cpu *c, const X86Insn *in)
{
    uint64_t at = c->seg[in->segment].base + (uint16_t)in->disp;      /* of the 16-bit guest */

    if (!in->mod3 && in->opcode == 0x89) {
        x86_store8(c, in->segment, at, x86_load8(c, in->segment, at) ^ 0x10);
    }
}

static void spoil_vector(X86Cpu *c, const X86Insn *in) { c->fpu.v[in->reg].q[1] ^= 1ull << 40; }

static const Fault faults[] = {
    { "result", OP_IMUL3, spoil_result, "imul ebx, eax, 3", "666bd803", "rbx " },
    { "flag", OP_XOR, spoil_flag, "xor dword ptr [0x9004], eax", "6631060490", "flags " },
    { "store", OP_MOV, spoil_store, "mov dword ptr [0x9300], ebx", "66891e0093", "memory 93" },
    { "vector", OP_PADDD, spoil_vector, "paddd ", "660ffec1", "zmm0[1] " },
};

/* The handler does it, then one bit is wrong. */
static void wrong(X86Cpu *c, const X86Insn *in)
{
    x86_bind(c, in)(c, in);
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        if (in->row->op == faults[i].op) {
            faults[i].spoil(c, in);
        }
    }
}

typedef struct Faulty { Engine engine; const Fault *fault; } Faulty;

static void run_faulty(EngineVcpu *v, X86Cpu *c, Block *b, bool alone)
{
    const Fault *f = ((Faulty *)v->engine)->fault;

    for (unsigned i = 0; i < b->count; i++) {
        if (b->insns[i].row && b->insns[i].row->op == f->op) {
            b->insns[i].exec = wrong;
        }
    }
    engine_run_block(v, c, b);
}

static const char *const fault_names[] = { "result", "flag", "store", "vector", NULL };
static const KeySpec faulty_options[] = { { "in", KEY_ENUM, "what goes wrong", .values = fault_names }, { NULL } };

static Accel *faulty_create(Machine *m, const KeyVals *options, GError **errp)
{
    static const EngineOps code = { .vcpu_size = sizeof(EngineVcpu), .run = run_faulty };
    Accel *a = engine_create(m, sizeof(Faulty), &code);

    const char *in = keyvals_str(options, "in");

    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        if (i == 0 || !g_strcmp0(in, faults[i].name)) {
            ((Faulty *)a)->fault = &faults[i];
        }
    }
    return a;
}

static const AccelOps accel_faulty = {
    .name = "faulty", .summary = "wrong on purpose", .options = faulty_options, .create = faulty_create,
    .destroy = engine_destroy, .vcpu_create = engine_vcpu_create, .vcpu_destroy = engine_vcpu_destroy,
    .run = engine_run, .flush = engine_flush, .set_breakpoint = engine_set_breakpoint, .insn_count = engine_insn_count,
};

const AccelOps *const accel_list[] = { &accel_interp, &accel_dbt, &accel_faulty, &accel_check, &accel_kvm, NULL };

/* ---- a machine with a device that answers, and writes to memory ---- */

typedef struct Bench {
    Machine *m;
    X86Cpu *c;
    Region ram, device, report;
    uint32_t state;
    bool reported;
} Bench;

static const char *guest;

static uint64_t device_read(void *dev, hwaddr off, unsigned size)
{
    Bench *b = dev;

    return b->state = b->state * 1664525 + 1013904223;
}

static void device_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Bench *b = dev;
    uint32_t twice = (uint32_t)val * 2 + b->state;

    as_write(b->m->mem, 0x9200, &twice, sizeof(twice));
}

static void report_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    ((Bench *)dev)->reported = true;
}

static void bench_open(Bench *b)
{
    static const RegionOps device = { .read = device_read, .write = device_write }, report = { .write = report_write };
    g_autofree char *code = NULL;
    gsize len;

    memset(b, 0, sizeof(*b));
    g_assert_true(g_file_get_contents(guest, &code, &len, NULL));
    b->m = machine_new(clock_new_manual());
    machine_lock(b->m);
    g_assert_true(region_init_ram(&b->ram, "ram", 1 << 20, NULL));
    region_map(&b->m->mem_root, 0, &b->ram, 0);
    region_init_io(&b->device, "device", 4, &device, b);
    region_map(&b->m->io_root, 0xe0, &b->device, 0);
    region_init_io(&b->report, "report", 1, &report, b);
    region_map(&b->m->io_root, 0xf4, &b->report, 0);
    machine_unlock(b->m);
    b->c = x86_cpu_new(b->m, 0, "max", NULL);
    g_ptr_array_add(b->m->vcpus, &b->c->vcpu);
    as_write(b->m->mem, 0x7c00, code, len);
    x86_seg_set_real(b->c, X86_CS, 0);
    b->c->regs[X86_RIP] = 0x7c00;
    b->c->regs[X86_RSP] = 0x7000;
}

static void bench_close(Bench *b)
{
    g_ptr_array_set_size(b->m->vcpus, 0);
    x86_cpu_free(b->c);
    machine_lock(b->m);
    region_fini(&b->ram);
    region_fini(&b->device);
    region_fini(&b->report);
    machine_unlock(b->m);
    machine_free(b->m);
}

/* How the guest ended; the difference as text. */
static RunExit run(Bench *b, const char *accel, char **difference)
{
    GError *err = NULL;
    Accel *a = accel_open(b->m, accel, &err);
    RunExit why = RUN_BUDGET;

    g_assert_no_error(err);
    g_assert_true(a->ops->vcpu_create(a, &b->c->vcpu, &err));
    for (unsigned i = 0; i < 1000 && why == RUN_BUDGET; i++) {
        clock_step(b->m->clock, 1000);
        why = a->ops->run(a, &b->c->vcpu, 1000, &err);
    }
    a->ops->vcpu_destroy(a, &b->c->vcpu);
    a->ops->destroy(a);
    *difference = err ? g_strdup(err->message) : NULL;
    g_clear_error(&err);
    return why;
}

/* In a list of options, `,` is `,,`. */
typedef struct Sides { const char *name, *a, *b; bool kvm; } Sides;

static void agree(gconstpointer data)
{
    static const char *const granularities[] = { "block", "insn", "7", "700" };
    const Sides *s = data;

    for (unsigned i = 0; i < G_N_ELEMENTS(granularities); i++) {
        g_autofree char *accel = g_strdup_printf("check,a=%s,b=%s,granularity=%s", s->a, s->b, granularities[i]);
        g_autofree char *difference = NULL;
        Bench b;
        bench_open(&b);
        g_assert_cmpint(run(&b, accel, &difference), ==, RUN_HALTED);
        g_assert_cmpstr(difference, ==, NULL);
        g_assert_true(b.reported);
        bench_close(&b);
    }
}

/* The instruction, its bytes, and of all that could differ behind it this, or this alone. */
static void expect(const Fault *f, const char *text, bool alone)
{
    g_autofree char *insn = g_strdup_printf("  %s  %s", f->bytes, f->insn);
    const char *at = strstr(text, "> 0000:");

    if (g_test_verbose()) {
        g_print("%s\n", text);
    }
    if (!at || !(at = strstr(at, insn))) {
        g_error("the report does not name %s:\n%s", f->insn, text);
    }
    if (!alone) {
        g_assert_nonnull(strstr(at, f->field));
        return;
    }
    at = strchr(at, '\n') + 1 + strspn(strchr(at, '\n') + 1, " ");
    if (!g_str_has_prefix(at, f->field) || !strstr(at, " A ") || !strstr(at, "   B ")
        || g_str_has_prefix(strchr(at, '\n') + 1, "  ")) {
        g_error("the report does not name %s alone:\n%s", f->field, text);
    }
}

static void caught_with(const Fault *f, const Sides *s, const char *granularity, unsigned most)
{
    g_autofree char *file = g_strdup_printf("%s/tinamou-difference-%d", g_get_tmp_dir(), getpid());
    g_autofree char *a = g_strdup_printf(s->a, f->name), *b_name = g_strdup_printf(s->b, f->name);
    g_autofree char *accel = g_strdup_printf("check,a=%s,b=%s,granularity=%s,file=%s", a, b_name, granularity, file);
    g_autofree char *faulty = g_strdup_printf("faulty,in=%s", f->name), *text = NULL;
    g_autoptr(GString) again = g_string_new(NULL), agreed = g_string_new(NULL);
    GError *err = NULL;
    unsigned piece = 0;
    Bench b;

    bench_open(&b);
    g_assert_cmpint(run(&b, accel, &text), ==, RUN_FAILED);
    expect(f, text, true);
    g_assert_nonnull(strstr(text, "The last pieces began at 7c"));
    g_assert_nonnull(strstr(text, "tinamou replay-check"));
    g_assert_cmpint(sscanf(strstr(text, "in a piece of "), "in a piece of %u", &piece), ==, 1);
    g_assert_cmpuint(piece, <=, most);
    bench_close(&b);
    g_assert_false(check_replay(file, "interp", faulty, again, &err));
    g_assert_no_error(err);
    expect(f, again->str, true);
    g_assert_true(check_replay(file, "interp", "interp", agreed, &err));
    g_assert_no_error(err);
    g_unlink(file);
}

static void caught(gconstpointer data)
{
    const Sides *s = data;

    if (s->kvm && !kvm_usable()) {
        return;
    }
    for (unsigned f = 0; f < G_N_ELEMENTS(faults); f++) {
        if (s->kvm) {                   /* compared after each instruction, whatever is asked for */
            caught_with(&faults[f], s, "block", 1);
            continue;
        }
        caught_with(&faults[f], s, "block", BLOCK_INSNS);
        caught_with(&faults[f], s, "insn", 1);
        caught_with(&faults[f], s, "700", 700);
    }
}

/* Only what is behind `start-at` is compared; every instruction from there on stands in the log. */
static void start_and_log(void)
{
    enum { START = 500 };
    g_autofree char *log = g_strdup_printf("%s/tinamou-check-log-%d", g_get_tmp_dir(), getpid());
    g_autofree char *accel = g_strdup_printf("check,a=interp,b=dbt,start-at=%d,granularity=50,log=%s", START, log);
    g_autofree char *difference = NULL, *text = NULL;
    uint64_t insns = 0;
    Bench b;

    bench_open(&b);
    g_assert_cmpint(run(&b, accel, &difference), ==, RUN_HALTED);
    bench_close(&b);
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; *lines[i]; i++) {
        uint64_t behind, cs, rip, n;
        int fields = sscanf(lines[i], "%" SCNu64 " %" SCNx64 ":%" SCNx64 " +%" SCNu64 ",", &behind, &cs, &rip, &n);
        g_assert_cmpint(fields, ==, 4);
        g_assert_cmpuint(n, <=, 50);
        g_assert_cmpuint(behind - n, ==, i ? insns : START);
        insns = behind;
    }
    g_assert_cmpuint(insns, >, 2 * START);
    g_unlink(log);
}

static void bad_files(void)
{
    static const char *const bad[] = {
        "", "nonsense\n", "tinamou cross-check 1\nwhat is this\n", "tinamou cross-check 1\npage 1001 00\n",
        "tinamou cross-check 1\nstate regs 99 00\n", "tinamou cross-check 1\npage 1000 0\n",
        "tinamou cross-check 1\nregisters 1 ffff 2\n", "tinamou cross-check 1\ninput 99 0 0 0 0 0 -\n",
    };
    g_autofree char *file = g_strdup_printf("%s/tinamou-bad-%d", g_get_tmp_dir(), getpid());

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GError) err = NULL;
        g_assert_true(g_file_set_contents(file, bad[i], -1, NULL));
        g_assert_false(check_replay(file, "interp", "interp", out, &err));
        g_assert_nonnull(err);
    }
    g_unlink(file);
}

static void bad_options(void)
{
    static const char *const bad[][2] = {
        { "check,a=check", "none of them" }, { "check,granularity=bloc", "insn, block, or a number" },
        { "check,b=interpp", "interp" }, { "check,granularity=0", "from 1" }, { "check,log=/nonexistent/x", "log=" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) err = NULL;
        Bench b;
        bench_open(&b);
        Accel *a = accel_open(b.m, bad[i][0], &err);
        if (a) {                        /* B's name is looked at when B is made */
            g_assert_true(a->ops->vcpu_create(a, &b.c->vcpu, NULL));
            g_assert_cmpint(a->ops->run(a, &b.c->vcpu, 10, &err), ==, RUN_FAILED);
            a->ops->vcpu_destroy(a, &b.c->vcpu);
            a->ops->destroy(a);
        }
        g_assert_nonnull(err);
        g_assert_nonnull(strstr(err->message, bad[i][1]));
        bench_close(&b);
    }
}

int main(int argc, char **argv)
{
    static const Sides right[] = {
        { "interp-interp", "interp", "interp" }, { "dbt-interp", "dbt,,first-runs=0", "interp" },
        { "interp-dbt", "interp", "dbt,,first-runs=0" }, { "dbt-dbt", "dbt,,first-runs=0", "dbt" },
    };
    static const Sides one_wrong[] = {
        { "interp-faulty", "interp", "faulty,,in=%s" }, { "faulty-interp", "faulty,,in=%s", "interp" },
        { "dbt-faulty", "dbt,,first-runs=0", "faulty,,in=%s" }, { "faulty-dbt", "faulty,,in=%s", "dbt,,first-runs=0" },
        { "kvm-faulty", "kvm", "faulty,,in=%s", true }, { "faulty-kvm", "faulty,,in=%s", "kvm", true },
    };

    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 2);
    guest = argv[1];
    for (unsigned i = 0; i < G_N_ELEMENTS(right); i++) {
        g_autofree char *name = g_strconcat("/check/agree/", right[i].name, NULL);
        g_test_add_data_func(name, &right[i], agree);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(one_wrong); i++) {
        g_autofree char *name = g_strconcat("/check/caught/", one_wrong[i].name, NULL);
        g_test_add_data_func(name, &one_wrong[i], caught);
    }
    g_test_add_func("/check/start-and-log", start_and_log);
    g_test_add_func("/check/files", bad_files);
    g_test_add_func("/check/options", bad_options);
    return g_test_run();
}
