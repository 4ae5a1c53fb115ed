/*
 * One program (program/program.c), as a compiler made it, run natively and in the interpreter: what
 * it computes must be the same to the last bit.
 *
 * Usage: program_test IMAGE
 */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include "unit/x86_bench.h"

enum { AT_PROGRAM = 0x240000, AT_OUTPUT = 0x280000, OUTPUT_SIZE = 0x10000, AT_END = 0x8000 };

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

typedef struct Run { uint8_t *ram; X86Insn *cache; uint64_t executed; } Run;

/* One instruction after another until the program returns; decoded ones are kept by address. */
static void interpret(X86Cpu *c, void *arg)
{
    Run *r = arg;

    while (c->regs[X86_RIP] != AT_END) {
        uint64_t offset = c->regs[X86_RIP] - AT_PROGRAM;
        g_assert_cmpuint(offset, <, image_size);
        X86Insn *in = r->cache + 2 * offset;
        if (!in->len) {
            g_assert_cmpint(x86_decode(in, r->ram + offset, X86_INSN_MAX, 64), >, 0);
            in->exec = x86_bind(c, in);
            in[1].exec = x86_exec_stop;
        }
        c->cur = in;
        c->regs[X86_RIP] += in->len;
        in->exec(c, in);
        r->executed++;
    }
}

static void test_same_results(void)
{
    Bench *b = bench_new("max");
    X86Cpu *c = b->c;
    Run r = { .ram = g_malloc0(image_size + X86_INSN_MAX), .cache = g_new0(X86Insn, 2 * image_size) };
    uint8_t *want = run_natively();

    bench_long(b, 0);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT));
    g_assert_true(x86_write_cr0(c, c->cr0 | CR0_NE | CR0_MP));
    c->fpu.fcw = 0x37f;
    c->fpu.mxcsr = 0x1f80;
    memcpy(r.ram, image, image_size);
    for (size_t i = 0; i < image_size; i++) {
        poke(b, AT_PROGRAM + i, (uint8_t)image[i], 1);
    }
    c->regs[X86_RDI] = AT_OUTPUT;
    c->regs[X86_RSP] = 0x3ffff8;
    c->regs[X86_RIP] = AT_PROGRAM;
    poke(b, c->regs[X86_RSP], AT_END, 8);
    g_assert_cmpint(bench_call(b, interpret, &r), ==, NOTHING);
    for (unsigned i = 0; i < OUTPUT_SIZE; i++) {
        if (peek(b, AT_OUTPUT + i, 1) != want[i]) {
            g_printerr("byte %u of the output: %02x, natively %02x\n", i,
                       (unsigned)peek(b, AT_OUTPUT + i, 1), want[i]);
            g_test_fail();
            break;
        }
    }
    g_test_message("%" G_GUINT64_FORMAT " instructions", r.executed);
    g_assert_cmpuint(r.executed, >, 100000);
    g_free(r.cache);
    g_free(r.ram);
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 2);
    g_assert_true(g_file_get_contents(argv[1], &image, &image_size, NULL));
    g_assert_cmpuint(image_size, <, AT_OUTPUT - AT_PROGRAM);
    g_test_add_func("/insn/program/same-results", test_same_results);
    int rc = g_test_run();
    g_free(image);
    return rc;
}
