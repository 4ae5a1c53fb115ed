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

/* A kernel that emulates ring 0 does not hide from the guest what ring 3 can execute anyway: there the bits
 * are the model's or the host's. */
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
        g_assert_cmphex(guest[r] & ~(emulated ? host[r] : 0), ==, ours[r] & ~(emulated ? host[r] : 0));
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/kvm/cpu/host", "host", same_as_the_model);
    g_test_add_data_func("/kvm/cpu/max", "max", same_as_the_model);
    g_test_add_data_func("/kvm/cpu/x86-64-v1", "x86-64-v1", same_as_the_model);
    g_test_add_func("/kvm/cpu/identity", identity);
    return g_test_run();
}
