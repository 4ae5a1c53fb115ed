/*
 * The interpreter's loop: blocks, code that changes, budgets, faults in the middle, breakpoints,
 * requests, single steps, several processors.
 */
#include "accel/accel.h"
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;
static Accel *accel;

static void start(void (*mode)(Bench *b))
{
    GError *err = NULL;

    b = bench_new("max");
    c = b->c;
    mode(b);
    accel = accel_open(b->m, "interp", &err);
    g_assert_no_error(err);
    g_assert_true(accel->ops->vcpu_create(accel, &c->vcpu, &err));
}

static void finish(void)
{
    accel->ops->vcpu_destroy(accel, &c->vcpu);
    accel->ops->destroy(accel);
    bench_free(b);
}

static void long0(Bench *bench) { bench_long(bench, 0); }
static void long3(Bench *bench) { bench_long(bench, 3); }
static void protected0(Bench *bench) { bench_protected(bench, 0); }

static void put(uint64_t at, const uint8_t *code, size_t len)
{
    g_assert_cmpint(as_write(b->m->mem, at, code, len), ==, MEM_OK);
}
#define PUT(at, ...) put(at, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static RunExit run(uint64_t n)
{
    GError *err = NULL;
    RunExit r = accel->ops->run(accel, &c->vcpu, n, &err);

    g_assert_no_error(err);
    g_assert_null(c->cur);
    return r;
}

/* mov ecx, 1000; 1: add rax, rcx; dec ecx; jnz 1b; jmp . */
static void test_budget_is_exact(void)
{
    start(long0);
    PUT(AT_CODE, 0xb9, 0xe8, 3, 0, 0, 0x48, 1, 0xc8, 0xff, 0xc9, 0x75, 0xf9, 0xeb, 0xfe);
    c->regs[X86_RAX] = 0;
    for (unsigned i = 0; i < 3001; i++) {
        g_assert_cmpint(run(1), ==, RUN_BUDGET);
        g_assert_cmpuint(c->insn_count, ==, i + 1);
    }
    g_assert_cmpuint(c->regs[X86_RAX], ==, 500500);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 12);
    /* The same in one go, and in odd pieces. */
    for (unsigned step = 7; step <= 3001; step += 2994) {
        uint64_t before = c->insn_count;
        c->regs[X86_RIP] = AT_CODE;
        c->regs[X86_RAX] = 0;
        for (unsigned left = 3001; left; left -= MIN(left, step)) {
            g_assert_cmpint(run(MIN(left, step)), ==, RUN_BUDGET);
        }
        g_assert_cmpuint(c->insn_count - before, ==, 3001);
        g_assert_cmpuint(c->regs[X86_RAX], ==, 500500);
        g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 12);
    }
    finish();
}

/* A store changes the very next instruction: it is the new one that runs. */
static void test_code_changes_itself(void)
{
    start(long0);
    /* mov byte [rip+0], 0xff: the next instruction becomes dec eax; before, inc eax (ff c0) */
    PUT(AT_CODE, 0xb8, 10, 0, 0, 0,                     /* mov eax, 10 */
        0xc6, 0x05, 1, 0, 0, 0, 0xc8,                   /* mov byte [rip+1], 0xc8 */
        0xff, 0xc0,                                     /* inc eax, changed to dec eax */
        0xf4);
    g_assert_cmpint(run(100), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 9);
    g_assert_cmpuint(c->insn_count, ==, 4);
    /* Again, the other way: what was decoded is the changed code. */
    c->vcpu.halted = false;
    PUT(AT_CODE + 11, 0xc0);
    c->regs[X86_RIP] = AT_CODE;
    g_assert_cmpint(run(100), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 11);
    finish();
}

/* hlt from another page through a call; the called code is rewritten each time round. */
static void test_code_changes_elsewhere(void)
{
    start(long0);
    PUT(AT_CODE,
        0xb9, 200, 0, 0, 0,                             /* mov ecx, 200 */
        0xbb, 0, 0x80, 1, 0,                            /* mov ebx, AT_DATA */
        0x31, 0xc0,                                     /* xor eax, eax */
        0x88, 0x4b, 1,                                  /* 1: mov [rbx+1], cl */
        0xff, 0xd3,                                     /* call rbx */
        0xff, 0xc9,                                     /* dec ecx */
        0x75, 0xf7,                                     /* jnz 1b */
        0xf4);
    PUT(AT_DATA, 0x83 - 0x83 + 0x04, 0, 0xc3);          /* add al, imm; ret */
    g_assert_cmpint(run(10000), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX] & 0xff, ==, (200 * 201 / 2) & 0xff);
    finish();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interp/budget", test_budget_is_exact);
    g_test_add_func("/interp/smc-next", test_code_changes_itself);
    g_test_add_func("/interp/smc-elsewhere", test_code_changes_elsewhere);
    (void)long3;
    (void)protected0;
    return g_test_run();
}
