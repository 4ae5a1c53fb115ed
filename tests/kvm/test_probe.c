/*
 * What the probe says: a device that is not there, not ours to use, none, or of another version; and that
 * it is quick.
 */
#include "kvm_harness.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "accel/kvm.h"

static void fails_with(const char *spec, const char *pattern)
{
    Machine *m = machine_new(clock_new_manual());
    g_autoptr(GError) err = NULL;

    g_assert_null(accel_open(m, spec, &err));
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_error("'%s' is not like '%s'", err->message, pattern);
    }
    machine_free(m);
}

static void missing(void)
{
    fails_with("kvm,device=/nonexistent/kvm", "Could not access KVM kernel module: No such file or directory");
}

static void no_device(void)
{
    fails_with("kvm,device=/dev/null", "/dev/null is no KVM device: *");
}

static void unknown_option(void)
{
    fails_with("kvm,kernel_irqchip=yes", "kernel_irqchip=yes: must be one of off|split|on*");
    fails_with("kvm,irqchip=on", "unknown key 'irqchip'*");
}

/* In a process of its own, which gives up being root. */
static void no_permission(void)
{
    if (g_test_subprocess()) {
        g_autofree char *path = NULL;
        int fd = g_file_open_tmp("kvm-XXXXXX", &path, NULL);
        g_assert_cmpint(fchmod(fd, 0), ==, 0);
        if (getuid() == 0) {
            g_assert_cmpint(setresuid(65534, 65534, 65534), ==, 0);
        }
        g_autofree char *spec = g_strdup_printf("kvm,device=%s", path);
        fails_with(spec, "Could not access KVM kernel module: * is for the group kvm: 'sudo usermod -aG kvm *");
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
}

static void wrong_version(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(kvm_check_version("/dev/kvm", 11, &err));
    g_assert_cmpstr(err->message, ==, "/dev/kvm speaks version 11 of the KVM interface, this program version 12: "
                    "Protocol error");
    g_assert_true(kvm_check_version("/dev/kvm", 12, NULL));
}

/* A chain says in three lines why it goes on. */
static void falls_back(void)
{
    if (g_test_subprocess()) {
        Machine *m = machine_new(clock_new_manual());
        g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(g_free);
        g_assert_true(accel_parse("kvm,device=/nonexistent/kvm", chain, NULL));
        g_assert_true(accel_parse("interp", chain, NULL));
        Accel *a = accel_open_chain(m, chain, NULL);
        g_assert_cmpstr(a->ops->name, ==, "interp");
        a->ops->destroy(a);
        machine_free(m);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("tinamou: Could not access KVM kernel module: No such file or directory\n"
                              "tinamou: failed to initialize kvm: No such file or directory\n"
                              "tinamou: Back to interp accelerator.\n");
}

/* One line when it is no good here; a bound on its time that a busy machine keeps, too. */
static void judges(void)
{
    g_autoptr(KeyVals) none = keyvals_parse("", NULL, accel_kvm.options, NULL);
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    int64_t start = g_get_monotonic_time();
    AccelProbe result = accel_kvm.probe(none, &err);
    int64_t took = g_get_monotonic_time() - start;
    g_test_message("%" G_GINT64_FORMAT " us: %s", took, err ? err->message : "good");
    g_assert_true((result == PROBE_GOOD) == !err);
    g_assert_true(!err || !strchr(err->message, '\n'));
    g_assert_cmpint(took, <, 500000);
}

static void poor_and_good(void)
{
    g_autofree char *why = kvm_why_poor(&(KvmQuality){ .ring0_ns = 280 });

    g_assert_null(kvm_why_poor(&(KvmQuality){ .ring0_ns = 0.5 }));
    g_assert_cmpstr(why, ==, "kvm: this host's kernel emulates ring 0 in software, at 280 ns an instruction");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/probe/missing", missing);
    g_test_add_func("/kvm/probe/no-device", no_device);
    g_test_add_func("/kvm/probe/unknown-option", unknown_option);
    g_test_add_func("/kvm/probe/no-permission", no_permission);
    g_test_add_func("/kvm/probe/wrong-version", wrong_version);
    g_test_add_func("/kvm/probe/falls-back", falls_back);
    g_test_add_func("/kvm/probe/judges", judges);
    g_test_add_func("/kvm/probe/poor-and-good", poor_and_good);
    return g_test_run();
}
