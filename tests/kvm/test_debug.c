/*
 * Watchpoints: what the debug registers are set to, what is made of what they report; and guests that stop
 * behind an access, whether the hardware found it or the interpreter, which runs them where no register can.
 */
#include "kvm_harness.h"

#include <string.h>
#include "accel/kvm/kvm.h"

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

/* With local APICs in the kernel the interpreter cannot run the guest: four registers, and a clear error. */
static void limits(void)
{
    X86Watch five[5];
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(five); i++) {
        five[i] = (X86Watch){ 0x5000 + 8 * i, 8, false, true };
    }
    Bench *b = bench_new(1, "kvm,kernel_irqchip=split");
    ((Kvm *)b->a)->reports_accesses = true;
    watch(b, 4, five);
    g_assert_false(b->a->ops->set_watchpoints(b->a, five, 5, &err));
    g_assert_nonnull(strstr(err->message, "has to fit in the four debug registers"));
    g_assert_cmpuint(((Kvm *)b->a)->watches, ==, 0);
    bench_free(b);
    b = bench_new(1, "kvm");
    X86Watch many[X86_WATCHES + 1] = { { 0x5000, 1, false, true } };
    g_clear_error(&err);
    g_assert_false(b->a->ops->set_watchpoints(b->a, many, G_N_ELEMENTS(many), &err));
    g_assert_nonnull(strstr(err->message, "64 is the most"));
    bench_free(b);
}

/* SDM volume 3B, 18.2.4 and 18.2.5: type and length of each, in as many registers as an odd length takes. */
static void registers(void)
{
    static const X86Watch list[] = { { 0x6008, 8, false, true }, { 0x5001, 3, true, true } };
    struct kvm_guest_debug d;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    Kvm *k = (Kvm *)b->a;
    KvmVcpu *v = b->c[0]->vcpu.accel_data;
    k->reports_accesses = true;                 /* whether it does or not: what it is told is looked at */
    watch(b, 2, list);
    b->a->ops->set_breakpoint(b->a, 0x7c00, true);
    kvm_debug_registers(k, false, &d);
    g_assert_cmphex(d.control, ==, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
    g_assert_cmphex(d.arch.debugreg[0], ==, 0x6008);
    g_assert_cmphex(d.arch.debugreg[1], ==, 0x5001);
    g_assert_cmphex(d.arch.debugreg[2], ==, 0x5002);
    g_assert_cmphex(d.arch.debugreg[3], ==, 0x7c00);
    g_assert_cmphex(d.arch.debugreg[7], ==, 0x400 | 0x55 | 0x9 << 16 | 0x3 << 20 | 0x7 << 24);
    kvm_debug_registers(k, true, &d);           /* a step: off the breakpoint, with an eye on data */
    g_assert_cmphex(d.control, ==, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_SINGLESTEP);
    g_assert_cmphex(d.arch.debugreg[7] & 0xff, ==, 0x15);
    g_assert_true(kvm_watch_hit(v, DR6_FIXED | 1 << 2));
    g_assert_cmphex(b->c[0]->debug.hit.linear, ==, 0x5001);
    g_assert_true(kvm_watch_hit(v, DR6_FIXED | 1 << 0));
    g_assert_cmphex(b->c[0]->debug.hit.linear, ==, 0x6008);
    g_assert_false(kvm_watch_hit(v, DR6_FIXED | 1 << 3));
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/debug/accesses-stop", accesses_stop);
    g_test_add_func("/kvm/debug/steps", steps);
    g_test_add_func("/kvm/debug/limits", limits);
    g_test_add_func("/kvm/debug/registers", registers);
    return g_test_run();
}
