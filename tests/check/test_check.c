/*
 * The cross-check finds what it is there to find: an accelerator that is wrong about one instruction
 * is caught within a block, named with that instruction, and caught again from the file; one that is
 * right is never blamed.  The list of accelerators is this test's own.
 *
 * Usage: test_check GUEST.bin
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "accel/accel.h"
#include "accel/check.h"
#include "accel/engine.h"
#include "accel/kvm.h"
#include "core/machine.h"
#include "target/x86/cpu.h"
#include "target/x86/segments.h"

/* ---- an accelerator with a mistake ---- */

/* IMUL with three operands gives a result whose lowest bit is wrong, when that result is a multiple of 3. */
static void wrong_imul(X86Cpu *c, const X86Insn *in)
{
    x86_bind(c, in)(c, in);
    if (in->row->op == OP_IMUL3 && in->opsize == 32 && (uint32_t)c->regs[in->reg] % 3 == 0) {
        c->regs[in->reg] ^= 1;
    }
}

static void run_faulty(EngineVcpu *v, X86Cpu *c, Block *b, bool alone)
{
    for (unsigned i = 0; i < b->count; i++) {
        if (b->insns[i].row && b->insns[i].row->op == OP_IMUL3) {
            b->insns[i].exec = wrong_imul;
        }
    }
    engine_run_block(v, c, b);
}

static Accel *faulty_create(Machine *m, const KeyVals *options, GError **errp)
{
    static const EngineOps code = { .vcpu_size = sizeof(EngineVcpu), .run = run_faulty };

    return engine_create(m, sizeof(Engine), &code);
}

static const AccelOps accel_faulty = {
    .name = "faulty", .summary = "wrong on purpose", .create = faulty_create, .destroy = engine_destroy,
    .vcpu_create = engine_vcpu_create, .vcpu_destroy = engine_vcpu_destroy, .run = engine_run, .flush = engine_flush,
    .set_breakpoint = engine_set_breakpoint, .insn_count = engine_insn_count,
};

const AccelOps *const accel_list[] = { &accel_interp, &accel_faulty, &accel_check, &accel_kvm, NULL };

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

static void agree(gconstpointer granularity)
{
    g_autofree char *accel = g_strdup_printf("check,a=interp,b=interp,granularity=%s", (const char *)granularity);
    g_autofree char *difference = NULL;
    Bench b;

    bench_open(&b);
    g_assert_cmpint(run(&b, accel, &difference), ==, RUN_HALTED);
    g_assert_cmpstr(difference, ==, NULL);
    g_assert_true(b.reported);
    bench_close(&b);
}

static void expect_imul(const char *text)
{
    if (g_test_verbose()) {
        g_print("%s\n", text);
    }
    if (!strstr(text, "imul ebx, eax, 3") || !strstr(text, "rbx ") || strstr(text, "rax ")) {
        g_error("the report does not name IMUL and RBX alone:\n%s", text);
    }
}

static void caught(const char *a, const char *b_name, const char *granularity, unsigned most)
{
    g_autofree char *file = g_strdup_printf("%s/tinamou-difference-%d", g_get_tmp_dir(), getpid());
    g_autofree char *accel = g_strdup_printf("check,a=%s,b=%s,granularity=%s,file=%s", a, b_name, granularity, file);
    g_autofree char *text = NULL;
    g_autoptr(GString) again = g_string_new(NULL), agreed = g_string_new(NULL);
    GError *err = NULL;
    unsigned piece = 0;
    Bench b;

    bench_open(&b);
    g_assert_cmpint(run(&b, accel, &text), ==, RUN_FAILED);
    expect_imul(text);
    g_assert_cmpint(sscanf(strstr(text, "in a piece of "), "in a piece of %u", &piece), ==, 1);
    g_assert_cmpuint(piece, <=, most);
    bench_close(&b);
    g_assert_false(check_replay(file, "interp", "faulty", again, &err));
    g_assert_no_error(err);
    expect_imul(again->str);
    g_assert_true(check_replay(file, "interp", "interp", agreed, &err));
    g_assert_no_error(err);
    g_unlink(file);
}

static void caught_in_b(void) { caught("interp", "faulty", "block", 32); }
static void caught_in_a(void) { caught("faulty", "interp", "block", 32); }
static void caught_by_instruction(void) { caught("interp", "faulty", "insn", 1); }
static void caught_in_a_long_piece(void) { caught("interp", "faulty", "700", 700); }

static bool have_kvm(void)
{
    g_autoptr(GError) err = NULL;
    int fd = kvm_open_device(KVM_DEVICE, &err);

    if (fd < 0) {
        g_test_skip(err->message);
        return false;
    }
    close(fd);
    return true;
}

static void caught_beside_kvm(void)
{
    if (have_kvm()) {
        caught("faulty", "kvm", "block", 1);
        caught("kvm", "faulty", "block", 1);
    }
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
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 2);
    guest = argv[1];
    g_test_add_data_func("/check/agree/block", "block", agree);
    g_test_add_data_func("/check/agree/insn", "insn", agree);
    g_test_add_data_func("/check/agree/500", "500", agree);
    g_test_add_func("/check/caught/b", caught_in_b);
    g_test_add_func("/check/caught/a", caught_in_a);
    g_test_add_func("/check/caught/insn", caught_by_instruction);
    g_test_add_func("/check/caught/700", caught_in_a_long_piece);
    g_test_add_func("/check/caught/kvm", caught_beside_kvm);
    g_test_add_func("/check/files", bad_files);
    g_test_add_func("/check/options", bad_options);
    return g_test_run();
}
