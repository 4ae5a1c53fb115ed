/*
 * The vCPU threads, with an accelerator that runs nothing: processor 0 stops at once, as at a breakpoint; the others
 * run until they are asked to stop.
 */
#include "accel/accel.h"

enum { CPUS = 3, ROUNDS = 300 };

static _Atomic unsigned runs[CPUS];

static bool vcpu_create(Accel *a, Vcpu *c, GError **errp)
{
    return true;
}

static void vcpu_destroy(Accel *a, Vcpu *c)
{
}

static RunExit run(Accel *a, Vcpu *c, uint64_t max_insns, GError **errp)
{
    runs[c->index]++;
    if (c->index == 0) {
        return RUN_DEBUG;
    }
    while (!(atomic_load(&c->requests) & VCPU_STOP)) {
        g_thread_yield();
    }
    return RUN_REQUEST;
}

static const AccelOps ops = {
    .name = "none", .summary = "runs nothing", .vcpu_create = vcpu_create, .vcpu_destroy = vcpu_destroy, .run = run,
};

/* However soon one stops, each has run since the last resume. */
static void test_each_gets_its_turn(void)
{
    Machine *m = machine_new(clock_new_host());
    Accel a = { &ops, m };

    for (unsigned i = 0; i < CPUS; i++) {
        X86Cpu *c = x86_cpu_new(m, i, "max", NULL);
        g_ptr_array_add(m->vcpus, &c->vcpu);
    }
    machine_lock(m);
    Runner *r = runner_new(&a, NULL);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        runner_resume(r);
        runner_pause(r);
        for (unsigned i = 0; i < CPUS; i++) {
            g_assert_cmpuint(runs[i], ==, round);
        }
        g_assert_cmpint(runner_stop(r, 0), ==, STOP_DEBUG);
        g_assert_cmpint(runner_stop(r, 1), ==, STOP_NONE);
    }
    runner_plan(r, 1, PLAN_STAY);               /* but one that is to stand still */
    runner_resume(r);
    runner_pause(r);
    g_assert_cmpuint(runs[1], ==, ROUNDS);
    g_assert_cmpuint(runs[2], ==, ROUNDS + 1);
    machine_unlock(m);
    runner_free(r);
    for (unsigned i = 0; i < CPUS; i++) {
        x86_cpu_free(x86_cpu(g_ptr_array_index(m->vcpus, i)));
    }
    g_ptr_array_set_size(m->vcpus, 0);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/runner/each-gets-its-turn", test_each_gets_its_turn);
    return g_test_run();
}
