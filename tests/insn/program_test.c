/*
 * One program (program/program.c), as a compiler made it, run natively and by an accelerator: what it
 * computes must be the same to the last bit.
 *
 * Usage: program_test ACCEL IMAGE [MODEL]        skipped where the host cannot give the processor model
 */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include "accel/accel.h"
#include "target/x86/model.h"
#include "unit/x86_bench.h"

enum { AT_PROGRAM = 0x240000, AT_OUTPUT = 0x280000, OUTPUT_SIZE = 0x10000, AT_END = 0x8000, FOR_EVER = 1 << 30 };

static const char *accel_name, *model_name = "max";
static char *image;
static size_t image_size;

static uint8_t *run_natively(void)
{
    uint8_t *memory = mmap((void *)AT_PROGRAM, AT_OUTPUT + OUTPUT_SIZE - AT_PROGRAM,
                           PROT_READ | PROT_WRITE | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    uint8_t *output = (uint8_t *)AT_OUTPUT;

    g_assert_true(memory == (uint8_t *)AT_PROGRAM);
    memcpy(memory, image, image_size);
    ((void (*)(uint8_t *))(uintptr_t)AT_PROGRAM)(output);
    return output;
}

static void test_same_results(void)
{
    GError *err = NULL;
    X86Model *model = x86_model_new(model_name, &err);

    if (!model) {
        g_test_skip(err->message);
        g_error_free(err);
        return;
    }
    x86_model_free(model);
    Bench *b = bench_new(model_name);
    X86Cpu *c = b->c;
    uint8_t *want = run_natively();

    bench_long(b, 0);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT | (x86_cr4_valid(c) & CR4_OSXSAVE)));
    c->xcr0 = x86_xcr0_valid(c);
    g_assert_true(x86_write_cr0(c, c->cr0 | CR0_NE | CR0_MP));
    c->fpu.fcw = 0x37f;
    c->fpu.mxcsr = 0x1f80;
    for (size_t i = 0; i < image_size; i++) {
        poke(b, AT_PROGRAM + i, (uint8_t)image[i], 1);
    }
    c->regs[X86_RDI] = AT_OUTPUT;
    c->regs[X86_RSP] = 0x3ffff8;
    c->regs[X86_RIP] = AT_PROGRAM;
    poke(b, c->regs[X86_RSP], AT_END, 8);
    poke(b, AT_END, 0xf4, 1);                       /* hlt */
    Accel *accel = accel_open(b->m, accel_name, &err);
    g_assert_no_error(err);
    g_assert_true(accel->ops->vcpu_create(accel, &c->vcpu, &err));
    g_assert_cmpint(accel->ops->run(accel, &c->vcpu, FOR_EVER, &err), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_END + 1);
    accel->ops->vcpu_destroy(accel, &c->vcpu);
    accel->ops->destroy(accel);
    for (unsigned i = 0; i < OUTPUT_SIZE; i++) {
        if (peek(b, AT_OUTPUT + i, 1) != want[i]) {
            g_printerr("byte %u of the output: %02x, natively %02x\n", i,
                       (unsigned)peek(b, AT_OUTPUT + i, 1), want[i]);
            g_test_fail();
            break;
        }
    }
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, >=, 3);
    accel_name = argv[1];
    model_name = argc > 3 ? argv[3] : model_name;
    g_assert_true(g_file_get_contents(argv[2], &image, &image_size, NULL));
    g_assert_cmpuint(image_size, <, AT_OUTPUT - AT_PROGRAM);
    g_test_add_func("/insn/program/same-results", test_same_results);
    int rc = g_test_run();
    g_free(image);
    return rc;
}
