/*
 * Breakpoints: the debugger's watchpoints and those of DR0..3, under the interpreter (SDM volume 3B, 17.2,
 * 17.3).  What a guest sees of its own is mostly in tests/insn/sys.
 */
#include "accel/accel.h"
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;
static Accel *accel;
static const char *accel_name = "interp";

static void start(void (*mode)(Bench *b))
{
    GError *err = NULL;

    b = bench_new("max");
    c = b->c;
    mode(b);
    accel = accel_open(b->m, accel_name, &err);
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
    return r;
}

static void watch(uint64_t linear, uint32_t len, bool read, bool write)
{
    X86Watch w = { .linear = linear, .len = len, .read = read, .write = write };

    g_assert_true(x86_watch_set(c, &w, 1));
}

/* mov [rbx], eax; mov ecx, [rbx]; inc dword [rbx]; nop; jmp . */
static void accesses(void)
{
    PUT(AT_CODE, 0x89, 0x03, 0x8b, 0x0b, 0xff, 0x03, 0x90, 0xeb, 0xfe);
    c->regs[X86_RBX] = AT_DATA;
    c->regs[X86_RAX] = 0x55;
    c->regs[X86_RIP] = AT_CODE;
}

static void assert_stopped_behind(unsigned bytes, bool write)
{
    g_assert_cmpint(run(1000), ==, RUN_DEBUG);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + bytes);
    g_assert_true(c->debug.stop);
    g_assert_cmphex(c->debug.hit.linear, ==, AT_DATA + 3);
    g_assert_cmpint(c->debug.hit_write, ==, write);
}

/* The debugger is told behind each access of its kind, and of no other; each is made once. */
static void test_watch(void)
{
    start(long0);
    accesses();
    run(1);                                     /* the page is in the TLB */
    c->regs[X86_RIP] = AT_CODE;
    watch(AT_DATA + 3, 1, true, true);
    assert_stopped_behind(2, true);
    assert_stopped_behind(4, false);
    assert_stopped_behind(6, false);
    g_assert_cmphex(peek(b, AT_DATA, 4), ==, 0x56);
    g_assert_cmpint(run(1000), ==, RUN_BUDGET);

    accesses();
    watch(AT_DATA + 3, 1, false, true);
    assert_stopped_behind(2, true);
    assert_stopped_behind(6, true);
    g_assert_cmphex(peek(b, AT_DATA, 4), ==, 0x56);

    accesses();
    watch(AT_DATA + 3, 1, true, false);
    assert_stopped_behind(4, false);

    accesses();
    watch(AT_DATA + 4, 1, true, true);          /* beside it */
    g_assert_cmpint(run(1000), ==, RUN_BUDGET);
    accesses();
    watch(AT_DATA + 3, 1, true, true);
    g_assert_true(x86_watch_set(c, NULL, 0));
    g_assert_cmpint(run(1000), ==, RUN_BUDGET);
    g_assert_cmphex(peek(b, AT_DATA, 4), ==, 0x56);
    finish();
}

/* An instruction that is given up and executed again counts once. */
static void test_watch_counts_once(void)
{
    start(long0);
    accesses();
    watch(AT_DATA + 3, 1, false, true);
    uint64_t before = c->insn_count;
    assert_stopped_behind(2, true);
    assert_stopped_behind(6, true);
    g_assert_cmpuint(c->insn_count - before, ==, 3);
    finish();
}

static void test_watch_too_many(void)
{
    X86Watch list[X86_WATCHES + 1] = { 0 };

    start(long0);
    g_assert_true(x86_watch_set(c, list, X86_WATCHES));
    g_assert_false(x86_watch_set(c, list, X86_WATCHES + 1));
    finish();
}

/* REP STOSB stops behind the element that hit, with the rest to do. */
static void test_watch_rep(void)
{
    start(long0);
    PUT(AT_CODE, 0xf3, 0xaa, 0xeb, 0xfe);
    c->regs[X86_RDI] = AT_DATA;
    c->regs[X86_RCX] = 100;
    c->regs[X86_RAX] = 0x77;
    watch(AT_DATA + 40, 1, false, true);
    g_assert_cmpint(run(1000), ==, RUN_DEBUG);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE);
    g_assert_cmpuint(c->regs[X86_RCX], ==, 59);
    g_assert_cmpint(run(1000), ==, RUN_BUDGET);
    g_assert_cmpuint(c->regs[X86_RCX], ==, 0);
    g_assert_cmphex(peek(b, AT_DATA + 99, 1), ==, 0x77);
    finish();
}

/* REP INSB into a watched page reads each byte of the port once. */
static void test_watch_ins(void)
{
    start(long0);
    PUT(AT_CODE, 0xf3, 0x6c, 0xeb, 0xfe);
    c->regs[X86_RDI] = AT_DATA;
    c->regs[X86_RCX] = 10;
    c->regs[X86_RDX] = 0x300;
    watch(AT_DATA + 4, 1, false, true);
    g_assert_cmpint(run(1000), ==, RUN_DEBUG);
    g_assert_cmpint(run(1000), ==, RUN_BUDGET);
    g_assert_cmpuint(c->regs[X86_RCX], ==, 0);
    g_assert_cmpuint(b->port_reads, ==, 10);
    for (unsigned i = 1; i < 10; i++) {
        g_assert_cmpuint(peek(b, AT_DATA + i, 1), ==, peek(b, AT_DATA, 1) + i);
    }
    finish();
}

/* What the delivery of an exception pushes is seen, and the handler has not begun. */
static void test_watch_delivery(void)
{
    start(long0);
    PUT(AT_CODE, 0x0f, 0x0b);
    c->regs[X86_RSP] = AT_STACK0;
    watch(AT_STACK0 - 8, 8, false, true);
    g_assert_cmpint(run(1000), ==, RUN_DEBUG);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_HANDLER + EXC_UD * 16);
    g_assert_cmphex(c->regs[X86_RSP], ==, AT_STACK0 - 40);
    finish();
}

/* A locked instruction's memory operand. */
static void test_watch_locked(void)
{
    start(long0);
    PUT(AT_CODE, 0xf0, 0xff, 0x03, 0xeb, 0xfe);
    c->regs[X86_RBX] = AT_DATA;
    watch(AT_DATA, 4, false, true);
    g_assert_cmpint(run(1000), ==, RUN_DEBUG);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 3);
    g_assert_cmphex(peek(b, AT_DATA, 4), ==, 1);
    finish();
}

/* The instruction count of a block that a fault ends was lost. */
static void test_fault_counts_its_block(void)
{
    start(long0);
    PUT(AT_CODE, 0x90, 0x90, 0x90, 0x0f, 0x0b);
    PUT(AT_HANDLER + EXC_UD * 16, 0xeb, 0xfe);
    uint64_t before = c->insn_count;
    run(6);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_HANDLER + EXC_UD * 16);
    g_assert_cmpuint(c->insn_count - before, ==, 6);
    finish();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc > 1) {
        accel_name = argv[1];
    }
    g_test_add_func("/debug/watch", test_watch);
    g_test_add_func("/debug/watch-counts-once", test_watch_counts_once);
    g_test_add_func("/debug/watch-too-many", test_watch_too_many);
    g_test_add_func("/debug/watch-rep", test_watch_rep);
    g_test_add_func("/debug/watch-ins", test_watch_ins);
    g_test_add_func("/debug/watch-delivery", test_watch_delivery);
    g_test_add_func("/debug/watch-locked", test_watch_locked);
    g_test_add_func("/debug/fault-counts-its-block", test_fault_counts_its_block);
    return g_test_run();
}
