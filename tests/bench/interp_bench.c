/*
 * Millions of guest instructions a second of processor time, for a few guest loops:
 * interp_bench PROGRAM [seconds].
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "accel/accel.h"
#include "../unit/x86_bench.h"

/* Of this thread, so that other work on the host does not count. */
static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "registers", "memory", "calls", "kernel-like" };
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    GError *err = NULL;
    gchar *program;
    gsize len;

    if (argc < 2 || !g_file_get_contents(argv[1], &program, &len, &err)) {
        fprintf(stderr, "interp_bench: %s\n", err ? err->message : "which program? interp_bench.bin, of the build");
        return 1;
    }
    Bench *b = bench_new("max");
    X86Cpu *c = b->c;

    bench_long(b, 0);
    Accel *a = accel_open(b->m, "interp", &err);
    g_assert_true(a->ops->vcpu_create(a, &c->vcpu, &err));
    as_write(b->m->mem, 0x8000, program, len);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        unsigned at = 0x8000, part = 0;
        for (unsigned off = 1; off < len && part < i; off++) {
            if (off % 256 == 0 && (uint8_t)program[off - 1] == 0xcc) {
                at = 0x8000 + off;
                part++;
            }
        }
        c->regs[X86_RIP] = at;
        c->regs[X86_RSP] = AT_STACK0;
        uint64_t before = c->insn_count;
        double start = cpu_seconds(), now = start;
        while (now - start < seconds) {
            a->ops->run(a, &c->vcpu, 1000000, &err);
            now = cpu_seconds();
        }
        printf("%-12s %7.1f MIPS\n", names[i], (double)(c->insn_count - before) / 1e6 / (now - start));
    }
    GString *s = g_string_new(NULL);
    a->ops->info(a, &c->vcpu, s);
    printf("%s", s->str);
    g_string_free(s, true);
    a->ops->vcpu_destroy(a, &c->vcpu);
    a->ops->destroy(a);
    bench_free(b);
    g_free(program);
    return 0;
}
