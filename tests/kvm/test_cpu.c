/*
 * What a guest finds its processor to be: CPUID as -cpu says it, less what the host's kernel cannot give.
 */
#include "kvm_harness.h"

#include <cpuid.h>
#include <string.h>
#include "target/x86/model.h"

enum { EAX, EBX, ECX, EDX };

/* The guest's own CPUID. */
static void guest_cpuid(Bench *b, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    static const uint8_t code[] = { 0x0f, 0xa2, 0xf4 };         /* cpuid; hlt */
    X86Cpu *c = b->c[0];

    bench_load(b, code, sizeof(code));
    c->vcpu.halted = false;
    c->regs[X86_RAX] = leaf;
    c->regs[X86_RCX] = subleaf;
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    out[EAX] = (uint32_t)c->regs[X86_RAX];
    out[EBX] = (uint32_t)c->regs[X86_RBX];
    out[ECX] = (uint32_t)c->regs[X86_RCX];
    out[EDX] = (uint32_t)c->regs[X86_RDX];
}

/* Registers that are feature bits and nothing else, and those of them that the host's processor need not have. */
static const struct { uint32_t leaf, subleaf; unsigned reg; uint32_t by_kvm; } words[] = {
    { 1, 0, ECX, 1u << 31 | 1u << 24 | 1u << 21 }, { 1, 0, EDX, 1u << 9 }, { 7, 0, EBX, 1u << 1 },
    { 7, 0, ECX, 1u << 2 }, { 7, 0, EDX, 0 }, { 7, 1, EAX, 0 }, { 0xd, 1, EAX, 0 }, { 0x80000001, 0, ECX, 0 },
    { 0x80000001, 0, EDX, 0 }, { 0x80000007, 0, EDX, 1u << 8 },
};

/* A kernel that emulates ring 0 does not hide from the guest what ring 3 can execute anyway, and may hide what
 * the host's processor has not got: there each bit is the model's or the host's. */
static void same_as_the_model(gconstpointer model)
{
    uint32_t guest[4], ours[4], host[4];

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_cpu("kvm", model);
    bool emulated = kvm_emulates_ring0();
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        unsigned r = words[i].reg;
        guest_cpuid(b, words[i].leaf, words[i].subleaf, guest);
        x86_cpuid(b->c[0], words[i].leaf, words[i].subleaf, ours);
        g_test_message("leaf %x/%x register %u: guest %08x, model %08x", words[i].leaf, words[i].subleaf, r, guest[r],
                       ours[r]);
            __cpuid_count(words[i].leaf, words[i].subleaf, host[EAX], host[EBX], host[ECX], host[EDX]);
        uint32_t hosts = emulated ? guest[r] & host[r] : 0, hidden = emulated ? ~(guest[r] | host[r]) : 0;
        g_assert_cmphex(guest[r] & ~hosts, ==, ours[r] & ~hosts & ~hidden);
        g_assert_true(strcmp(model, "host") || !(ours[r] & ~host[r] & ~words[i].by_kvm));
    }
    bench_free(b);
}

/* Vendor, signature, brand. */
static void identity(void)
{
    uint32_t guest[4], host[4];

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_cpu("kvm", "host");
    guest_cpuid(b, 0, 0, guest);
    __cpuid(0, host[EAX], host[EBX], host[ECX], host[EDX]);
    g_assert_cmpmem(guest + 1, 12, host + 1, 12);
    guest_cpuid(b, 1, 0, guest);
    __cpuid(1, host[EAX], host[EBX], host[ECX], host[EDX]);
    g_assert_cmphex(guest[EAX], ==, host[EAX] & 0x0fff0fff);
    for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
        guest_cpuid(b, leaf, 0, guest);
        __cpuid(leaf, host[EAX], host[EBX], host[ECX], host[EDX]);
        g_assert_cmpmem(guest, 16, host, 16);
    }
    bench_free(b);
}

/* Nobody's paravirtual leaves but ours, and none of KVM's MSRs: a clock, steal time, asynchronous page faults. */
static void no_kvmclock(void)
{
    static const uint8_t code[] = {
        0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2,         /* xor eax, eax; xor edx, edx */
        0x0f, 0x30, 0xf4,                           /* wrmsr; hlt */
    };
    static const uint32_t msrs[] = { 0x11, 0x12, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04 };
    enum { HANDLER = 0x5000 };
    uint32_t guest[4];

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    X86Cpu *c = b->c[0];
    guest_cpuid(b, 0x40000000, 0, guest);
    g_assert_cmpmem(guest + 1, 12, "TinamouTinam", 12);
    guest_cpuid(b, 0x40000001, 0, guest);
    g_assert_cmphex(guest[EAX], ==, 0);
    as_write(b->m->mem, 4 * EXC_GP, "\x00\x50\x00\x00", 4);
    as_write(b->m->mem, HANDLER, "\xf4", 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++) {
        bench_load(b, code, sizeof(code));
        c->vcpu.halted = false;
        c->regs[X86_RCX] = msrs[i];
        g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
        g_test_message("MSR %x", msrs[i]);
        g_assert_cmphex(c->regs[X86_RIP], ==, HANDLER + 1);
    }
    bench_free(b);
}

/* What CPUID says of the time-stamp counter is how fast the guest sees it count. */
static void tsc_rate(void)
{
    static const uint8_t code[] = { 0x0f, 0x31, 0xf4 };         /* rdtsc; hlt */
    enum { SLEEP_US = 50000 };
    uint64_t tsc[2];
    int64_t us[2];
    uint32_t guest[4];

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    X86Cpu *c = b->c[0];
    guest_cpuid(b, 0x40000010, 0, guest);
    g_assert_cmpuint(guest[EAX], ==, c->vcpu.tsc_khz);
    for (unsigned i = 0; i < 2; i++) {
        bench_load(b, code, sizeof(code));
        c->vcpu.halted = false;
        us[i] = g_get_monotonic_time();
        g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
        tsc[i] = (uint32_t)c->regs[X86_RAX] | c->regs[X86_RDX] << 32;
        g_usleep(SLEEP_US);
    }
    double khz = (double)(tsc[1] - tsc[0]) / (double)(us[1] - us[0]) * 1000;
    g_test_message("%.0f kHz of %u", khz, c->vcpu.tsc_khz);
    g_assert_cmpfloat(khz / c->vcpu.tsc_khz, >, 0.5);           /* a busy machine may come late to one of them */
    g_assert_cmpfloat(khz / c->vcpu.tsc_khz, <, 1.5);
    bench_free(b);
}

/* The frequency that was asked for, or an error that says what there is. */
static void tsc_asked_for(void)
{
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    Machine *m = machine_new(clock_new_manual());
    X86Cpu *c = x86_cpu_new(m, 0, "max,tsc-frequency=1234567000", NULL);
    g_ptr_array_add(m->vcpus, &c->vcpu);
    machine_lock(m);
    Accel *a = accel_open(m, "kvm", NULL);
    if (a->ops->vcpu_create(a, &c->vcpu, &err)) {
        g_assert_cmpuint(c->vcpu.tsc_khz, ==, 1234567);
        a->ops->vcpu_destroy(a, &c->vcpu);
    } else {
        g_assert_true(g_str_has_prefix(err->message, "tsc-frequency=1234567000: the host's processor cannot scale"));
    }
    a->ops->destroy(a);
    machine_unlock(m);
    g_ptr_array_set_size(m->vcpus, 0);
    x86_cpu_free(c);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/kvm/cpu/host", "host", same_as_the_model);
    g_test_add_data_func("/kvm/cpu/max", "max", same_as_the_model);
    /* QEMU emulates no virtual-8086 mode extensions. */
    g_test_add_data_func("/kvm/cpu/x86-64-v1", kvm_below_is_tcg() ? "x86-64-v1,-vme" : "x86-64-v1", same_as_the_model);
    g_test_add_func("/kvm/cpu/identity", identity);
    g_test_add_func("/kvm/cpu/no-kvmclock", no_kvmclock);
    g_test_add_func("/kvm/cpu/tsc-rate", tsc_rate);
    g_test_add_func("/kvm/cpu/tsc-asked-for", tsc_asked_for);
    return g_test_run();
}
