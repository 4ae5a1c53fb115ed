/*
 * Watchpoints: what the debug registers are set to, what is made of what they report; and guests that stop
 * behind an access, whether the hardware found it or the interpreter, which runs them where no register can.
 */
#include "kvm_harness.h"

#include <string.h>
#include "accel/kvm.h"

static const uint8_t accesses[] = {
    0xa1, 0x00, 0x50,                   /* mov ax, [5000h] */
    0xfe, 0x06, 0x02, 0x50,             /* inc byte [5002h] */
    0xa3, 0x10, 0x50,                   /* mov [5010h], ax */
    0xeb, 0xf4,                         /* again */
};
enum { BEHIND_READ = TEST_CODE + 3, BEHIND_INC = TEST_CODE + 7, BEHIND_WRITE = TEST_CODE + 10 };

static void watch(Bench *b, unsigned n, const X86Watch *list)
{
    g_autoptr(GError) err = NULL;

    g_assert_true(b->a->ops->set_watchpoints(b->a, list, n, &err));
    g_assert_no_error(err);
}

static void stops(Bench *b, uint64_t rip, uint64_t hit)
{
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_DEBUG);
    g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, rip);
    g_assert_true(b->c[0]->debug.stop);
    g_assert_cmphex(b->c[0]->debug.hit.linear, ==, hit);
}

static void accesses_stop(void)
{
    static const X86Watch write = { 0x5010, 2, false, true }, read = { 0x5000, 1, true, false };
    static const X86Watch access = { 0x5002, 1, true, true };
    const X86Watch all[] = { write, read, access };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    bench_load(b, accesses, sizeof(accesses));
    for (unsigned round = 0; round < 3; round++) {
        watch(b, 1, &write);
        stops(b, BEHIND_WRITE, 0x5010);
        watch(b, 1, &read);
        stops(b, BEHIND_READ, 0x5000);
        watch(b, 1, &access);
        stops(b, BEHIND_INC, 0x5002);
        g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, BEHIND_INC);
    }
    watch(b, 3, all);
    stops(b, BEHIND_WRITE, 0x5010);
    stops(b, BEHIND_READ, 0x5000);
    stops(b, BEHIND_INC, 0x5002);
    g_assert_true(b->a->ops->set_breakpoint(b->a, TEST_CODE, true));   /* both kinds together */
    stops(b, BEHIND_WRITE, 0x5010);
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_DEBUG);
    g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, TEST_CODE);
    g_assert_false(b->c[0]->debug.stop);
    watch(b, 0, NULL);
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_DEBUG);
    g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, TEST_CODE);
    bench_free(b);
}

/* A step over an access says so; a step over another does not. */
static void steps(void)
{
    static const X86Watch write = { 0x5010, 2, false, true };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    bench_load(b, accesses, sizeof(accesses));
    watch(b, 1, &write);
    g_assert_cmpint(bench_run(b, 1), ==, RUN_BUDGET);
    g_assert_cmpint(bench_run(b, 1), ==, RUN_BUDGET);
    g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, BEHIND_INC);
    g_assert_cmpint(bench_run(b, 1), ==, RUN_DEBUG);
    g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, BEHIND_WRITE);
    bench_free(b);
}

/* Each of these is one step: an access that is answered here, and HLT, which halts. */
static void step_over_ports_and_hlt(void)
{
    static const uint8_t code[] = {
        0xe6, 0xf8, 0x40,               /* out 0f8h, al; inc ax */
        0xe4, 0xf8, 0x40,               /* in al, 0f8h; inc ax */
        0x26, 0xa2, 0x00, 0x00, 0x40,   /* mov es:[0], al: device memory; inc ax */
        0xf4, 0x40,                     /* hlt; inc ax */
    };
    static const uint8_t behind[] = { 2, 3, 5, 6, 10, 11, 12 };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    X86Cpu *c = b->c[0];
    bench_load(b, code, sizeof(code));
    x86_seg_set_real(c, X86_ES, 0xd000);
    for (unsigned i = 0; i < G_N_ELEMENTS(behind); i++) {
        g_assert_false(c->vcpu.halted);
        bench_run(b, 1);
        g_assert_cmphex(c->regs[X86_RIP], ==, TEST_CODE + behind[i]);
    }
    g_assert_true(c->vcpu.halted);
    bench_free(b);
}

/* With local APICs in the kernel the interpreter cannot run the guest: a clear error. */
static void limits(void)
{
    static const X86Watch read = { 0x5000, 1, true, false };
    X86Watch many[X86_WATCHES + 1] = { { 0x5000, 1, false, true } };
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm,kernel_irqchip=split");
    g_assert_false(b->a->ops->set_watchpoints(b->a, &read, 1, &err));
    g_assert_nonnull(strstr(err->message, "has to fit in the four debug registers"));
    bench_free(b);
    b = bench_new(1, "kvm");
    g_clear_error(&err);
    g_assert_false(b->a->ops->set_watchpoints(b->a, many, G_N_ELEMENTS(many), &err));
    g_assert_nonnull(strstr(err->message, "64 is the most"));
    bench_free(b);
}

/* SDM volume 3B, 18.2.4 and 18.2.5: type and length of each, in as many registers as an odd length takes. */
static void registers(void)
{
    static const X86Watch list[] = { { 0x6008, 8, false, true }, { 0x5001, 3, true, true } };
    X86Watch five[5];
    KvmWatches w;

    g_assert_true(kvm_watches_fit(&w, list, 2));
    g_assert_cmpuint(w.n, ==, 3);
    g_assert_cmphex(w.at[0].linear, ==, 0x6008);
    g_assert_cmphex(w.at[1].linear, ==, 0x5001);
    g_assert_cmphex(w.at[2].linear, ==, 0x5002);
    g_assert_cmphex(kvm_watches_dr7(&w, 1), ==, 0x400 | 0x55 | 0x9 << 16 | 0x3 << 20 | 0x7 << 24);
    g_assert_true(kvm_watches_hit(&w, DR6_FIXED | 1 << 2, list, 2) == &list[1]);
    g_assert_true(kvm_watches_hit(&w, DR6_FIXED | 1 << 0, list, 2) == &list[0]);
    g_assert_null(kvm_watches_hit(&w, DR6_FIXED | 1 << 3, list, 2));
    for (unsigned i = 0; i < G_N_ELEMENTS(five); i++) {
        five[i] = (X86Watch){ 0x5000 + 8 * i, 8, false, true };
    }
    g_assert_true(kvm_watches_fit(&w, five, 4));
    g_assert_false(kvm_watches_fit(&w, five, 5));
    five[0].write = false;                      /* no register sees reads alone */
    g_assert_false(kvm_watches_fit(&w, five, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/debug/accesses-stop", accesses_stop);
    g_test_add_func("/kvm/debug/steps", steps);
    g_test_add_func("/kvm/debug/step-over-ports-and-hlt", step_over_ports_and_hlt);
    g_test_add_func("/kvm/debug/limits", limits);
    g_test_add_func("/kvm/debug/registers", registers);
    return g_test_run();
}
