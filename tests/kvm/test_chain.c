/*
 * A chain of accelerators goes on when one of them refuses the machine's processors, and the next finds them as they
 * were asked for.  The list of accelerators is this test's own: `good` is kvm as on a host where it is good, `picky`
 * takes one processor and no more.
 */
#include "kvm_harness.h"

#include <string.h>
#include "accel/kvm.h"
#include "target/x86/model.h"
#include "util/error.h"

static AccelOps good;
static unsigned picky_open, picky_cpus;

static Accel *picky_create(Machine *m, const KeyVals *options, GError **errp)
{
    picky_open++;
    return g_new0(Accel, 1);
}

static void picky_destroy(Accel *a)
{
    picky_open--;
    g_free(a);
}

/* It takes all features away, which `max` allows, and sets the clock's rate, as kvm does. */
static bool picky_vcpu_create(Accel *a, Vcpu *c, GError **errp)
{
    static const uint32_t none[CPUID_WORDS];

    if (!x86_limit_features(x86_cpu(c), none, "picky", errp)) {
        return false;
    }
    c->tsc_khz = 77;
    if (c->index > 0) {
        error_set(errp, "one processor is enough");
        return false;
    }
    picky_cpus++;
    return true;
}

static void picky_vcpu_destroy(Accel *a, Vcpu *c)
{
    picky_cpus--;
}

static const AccelOps picky = {
    .name = "picky", .summary = "for one processor", .create = picky_create, .destroy = picky_destroy,
    .vcpu_create = picky_vcpu_create, .vcpu_destroy = picky_vcpu_destroy,
};

const AccelOps *const accel_list[] = { &good, &picky, &accel_dbt, &accel_interp, NULL };

static Machine *make_machine(unsigned cpus, const char *model)
{
    Machine *m = machine_new(clock_new_manual());

    for (unsigned i = 0; i < cpus; i++) {
        X86Cpu *c = x86_cpu_new(m, i, model, NULL);
        g_assert_nonnull(c);
        g_ptr_array_add(m->vcpus, &c->vcpu);
    }
    return m;
}

static void free_machine(Machine *m)
{
    for (guint i = 0; i < m->vcpus->len; i++) {
        x86_cpu_free(x86_cpu(g_ptr_array_index(m->vcpus, i)));
    }
    g_ptr_array_set_size(m->vcpus, 0);
    machine_free(m);
}

static Runner *open_chain(Machine *m, const char *text, GError **errp)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(g_free);

    g_assert_true(accel_parse(text, chain, NULL));
    machine_lock(m);
    Runner *r = runner_open_chain(m, chain, errp);
    machine_unlock(m);
    return r;
}

static void close_runner(Runner *r)
{
    Accel *a = runner_accel(r);
    Machine *m = a->machine;

    runner_free(r);
    machine_lock(m);
    a->ops->destroy(a);
    machine_unlock(m);
}

/* As it was asked for: the same leaves as one that no accelerator has seen. */
static void assert_as_new(Machine *m, const char *model)
{
    static const uint32_t leaves[] = { 1, 7, 0xd, 0x15, 0x80000001, 0x80000007 };
    Machine *other = make_machine(m->vcpus->len, model);
    uint32_t is[4], was[4];

    for (guint i = 0; i < m->vcpus->len; i++) {
        X86Cpu *c = x86_cpu(g_ptr_array_index(m->vcpus, i)), *fresh = x86_cpu(g_ptr_array_index(other->vcpus, i));
        for (unsigned n = 0; n < G_N_ELEMENTS(leaves); n++) {
            x86_cpuid(c, leaves[n], 0, is);
            x86_cpuid(fresh, leaves[n], 0, was);
            g_assert_cmpmem(is, sizeof(is), was, sizeof(was));
        }
        g_assert_cmpstr(x86_model_spec(c->model), ==, x86_model_spec(fresh->model));
        g_assert_cmpuint(c->vcpu.tsc_khz, ==, fresh->vcpu.tsc_khz);
    }
    free_machine(other);
}

static void refused(void)
{
    if (g_test_subprocess()) {
        Machine *m = make_machine(2, "max");
        Runner *r = open_chain(m, "picky:interp", NULL);
        g_assert_cmpstr(runner_accel(r)->ops->name, ==, "interp");
        g_assert_cmpuint(picky_open + picky_cpus, ==, 0);
        assert_as_new(m, "max");
        close_runner(r);
        free_machine(m);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("tinamou: picky: one processor is enough; going on with interp\n");
}

static void refused_alone(void)
{
    g_autoptr(GError) err = NULL;
    Machine *m = make_machine(2, "max");

    g_assert_null(open_chain(m, "picky", &err));
    g_assert_cmpstr(err->message, ==, "one processor is enough");
    g_assert_cmpuint(picky_open + picky_cpus, ==, 0);
    free_machine(m);
}

/* A named model that kvm cannot give a guest here, and dbt can; NULL: there is none. */
static const char *refused_model(void)
{
    static const char *const names[] = { "x86-64-v2", "x86-64-v3", "x86-64-v4" };
    uint32_t words[CPUID_WORDS];

    g_assert_true(accel_kvm.features(words, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        Machine *m = machine_new(clock_new_manual());
        X86Cpu *c = x86_cpu_new(m, 0, names[i], NULL);
        bool no = c && !x86_limit_features(c, words, "kvm", NULL);
        x86_cpu_free(c);
        machine_free(m);
        if (no) {
            return names[i];
        }
    }
    return NULL;
}

static void model(void)
{
    if (!kvm_usable()) {
        return;
    }
    const char *name = refused_model();
    if (!name) {
        g_test_skip("the host's KVM gives a guest all that dbt has a model for");
        return;
    }
    if (g_test_subprocess()) {
        g_autoptr(GError) err = NULL;
        Machine *m = make_machine(2, name);
        g_assert_null(open_chain(m, "kvm", &err));
        g_assert_nonnull(strstr(err->message, "the host's KVM does not give a guest"));
        g_assert_null(open_chain(m, "kvm,kernel_irqchip=split", NULL));
        g_assert_null(m->irqchip);
        Runner *r = open_chain(m, "kvm:dbt", NULL);
        g_assert_cmpstr(runner_accel(r)->ops->name, ==, "dbt");
        assert_as_new(m, name);
        close_runner(r);
        free_machine(m);
        return;
    }
    g_autofree char *pattern = g_strdup_printf("tinamou: kvm: -cpu %s: the host's KVM does not give a guest *; "
                                               "going on with dbt\n", name);
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr(pattern);
}

/* What kvm gives is kvm's, not the next one's. */
static void accepted(void)
{
    if (!kvm_usable()) {
        return;
    }
    Machine *m = make_machine(2, "max");
    Runner *r = open_chain(m, "kvm:dbt", NULL);
    g_assert_cmpstr(runner_accel(r)->ops->name, ==, "kvm");
    close_runner(r);
    free_machine(m);
}

int main(int argc, char **argv)
{
    good = accel_kvm;
    good.probe = NULL;
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/chain/refused", refused);
    g_test_add_func("/kvm/chain/refused-alone", refused_alone);
    g_test_add_func("/kvm/chain/model", model);
    g_test_add_func("/kvm/chain/accepted", accepted);
    return g_test_run();
}
