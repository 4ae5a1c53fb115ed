/*
 * accel/kvm/cpuid.c - what CPUID tells the guest: the model's leaves, less the features that the kernel
 * cannot give.
 */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "target/x86/model.h"

enum { EAX, EBX, ECX, EDX };
enum { MOST_ENTRIES = 256, SUBLEAVES = 64 };

/* Registers that hold feature bits.  `ours`: bits that do not depend on the kernel, or that it makes
 * itself (SDM volume 2A, CPUID). */
typedef struct FeatureWord {
    uint32_t leaf, subleaf;
    uint8_t reg;
    uint32_t ours;
    uint8_t word;               /* of a model; CPUID_WORDS: none */
} FeatureWord;

static const FeatureWord feature_words[] = {
    { 1, 0, EDX, 1u << 9 /* APIC */ | 1u << 28 /* HT: several in a package */, CPUID_1_EDX },
    { 1, 0, ECX, 1u << 27 /* OSXSAVE: follows CR4 */ | 1u << 31 /* hypervisor */, CPUID_1_ECX },
    { 6, 0, EAX, 1u << 2 /* ARAT */, CPUID_6_EAX },
    { 7, 0, EBX, 0, CPUID_7_EBX },
    { 7, 0, ECX, 1u << 4 /* OSPKE: follows CR4 */, CPUID_7_ECX },
    { 7, 0, EDX, 0, CPUID_7_EDX },
    { 7, 1, EAX, 0, CPUID_7_1_EAX },
    { 0xd, 0, EAX, 0, CPUID_WORDS },
    { 0xd, 0, EDX, 0, CPUID_WORDS },
    { 0xd, 1, EAX, 0, CPUID_D1_EAX },
    { 0x80000001, 0, EDX, 0, CPUID_8000_0001_EDX },
    { 0x80000001, 0, ECX, 0, CPUID_8000_0001_ECX },
    { 0x80000007, 0, EDX, 1u << 8 /* invariant TSC */, CPUID_8000_0007_EDX },
    { 0x80000008, 0, EBX, 0, CPUID_8000_0008_EBX },
};

bool kvm_cpuid_init(Kvm *k, GError **errp)
{
    k->cpuid = g_malloc0(sizeof(*k->cpuid) + MOST_ENTRIES * sizeof(struct kvm_cpuid_entry2));
    k->cpuid->nent = MOST_ENTRIES;
    if (kvm_ioctl(k->fd, KVM_GET_SUPPORTED_CPUID, k->cpuid) < 0) {
        return kvm_failed(errp, errno, "KVM does not say what processor it has");
    }
    return true;
}

static const struct kvm_cpuid_entry2 *supported(const Kvm *k, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < k->cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &k->cpuid->entries[i];
        if (e->function == leaf && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf)) {
            return e;
        }
    }
    return NULL;
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, unsigned reg)
{
    return reg == EAX ? &e->eax : reg == EBX ? &e->ebx : reg == ECX ? &e->ecx : &e->edx;
}

/* Bits without whose user-space half the kernel's is nothing. */
static uint32_t not_possible(const Kvm *k, const FeatureWord *w)
{
    enum { TSC_DEADLINE = 1 << 24 };

    return w->leaf == 1 && w->reg == ECX && k->irqchip == KVM_IRQCHIP_NONE ? TSC_DEADLINE : 0;
}

static uint32_t possible(const Kvm *k, const FeatureWord *w)
{
    enum { TSC_DEADLINE = 1 << 24, X2APIC = 1 << 21 };
    const struct kvm_cpuid_entry2 *e = supported(k, w->leaf, w->subleaf);
    uint32_t bits = w->ours;

    if (e) {
        bits |= *reg_of((struct kvm_cpuid_entry2 *)e, w->reg);
    }
    if (w->leaf == 1 && w->reg == ECX) {
        bits |= X2APIC | TSC_DEADLINE;
    }
    return bits & ~not_possible(k, w);
}

static void possible_words(const Kvm *k, uint32_t *words)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(feature_words); i++) {
        if (feature_words[i].word < CPUID_WORDS) {
            words[feature_words[i].word] = possible(k, &feature_words[i]);
        }
    }
}

bool kvm_features(uint32_t *words, GError **errp)
{
    int fd = kvm_open_device(KVM_DEVICE, errp);
    Kvm k = { .fd = fd, .irqchip = KVM_IRQCHIP_ALL };

    if (fd < 0) {
        return false;
    }
    bool ok = kvm_cpuid_init(&k, errp);
    if (ok) {
        possible_words(&k, words);
    }
    g_free(k.cpuid);
    close(fd);
    return ok;
}

/* Bits without whose user-space half the kernel's is nothing are no error: no model is asked for because
 * of them. */
bool kvm_cpuid_limit(KvmVcpu *v, GError **errp)
{
    const Kvm all = { .cpuid = v->kvm->cpuid, .irqchip = KVM_IRQCHIP_ALL };
    uint32_t words[CPUID_WORDS];

    possible_words(&all, words);
    if (!x86_limit_features(v->cpu, words, "the host's KVM", errp)) {
        return false;
    }
    if (v->kvm->irqchip == KVM_IRQCHIP_NONE) {
        x86_drop_feature(v->cpu, FEAT_TSC_DEADLINE);
    }
    return true;
}

static void filter(const Kvm *k, struct kvm_cpuid_entry2 *e)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(feature_words); i++) {
        const FeatureWord *w = &feature_words[i];
        if (w->leaf == e->function && w->subleaf == e->index) {
            *reg_of(e, w->reg) &= possible(k, w);
        }
    }
}

static bool has_subleaves(uint32_t leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

/* The layout of the XSAVE area is the hardware's. */
static bool xsave_component(const Kvm *k, struct kvm_cpuid_entry2 *e)
{
    const struct kvm_cpuid_entry2 *host = supported(k, 0xd, e->index), *all = supported(k, 0xd, 0);

    if (!host || !all || !(all->eax >> e->index & 1)) {
        return false;
    }
    e->eax = host->eax;
    e->ebx = host->ebx;
    e->ecx = host->ecx;
    e->edx = host->edx;
    return true;
}

static void add(const KvmVcpu *v, struct kvm_cpuid2 *out, uint32_t leaf, uint32_t subleaf)
{
    struct kvm_cpuid_entry2 e = { .function = leaf, .index = subleaf };
    uint32_t r[4];

    x86_cpuid(v->cpu, leaf, subleaf, r);
    e.eax = r[EAX];
    e.ebx = r[EBX];
    e.ecx = r[ECX];
    e.edx = r[EDX];
    e.flags = has_subleaves(leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
    filter(v->kvm, &e);
    if (subleaf && !(e.eax | e.ebx | e.ecx | e.edx)) {
        return;
    }
    if (leaf == 0xd && subleaf >= 2 && !xsave_component(v->kvm, &e)) {
        return;
    }
    if (out->nent < MOST_ENTRIES) {
        out->entries[out->nent++] = e;
    }
}

static void add_range(const KvmVcpu *v, struct kvm_cpuid2 *out, uint32_t first)
{
    uint32_t r[4];

    x86_cpuid(v->cpu, first, 0, r);
    for (uint32_t leaf = first; leaf <= r[EAX] && leaf - first < 0x100; leaf++) {
        add(v, out, leaf, 0);
        for (uint32_t sub = 1; has_subleaves(leaf) && sub < SUBLEAVES; sub++) {
            add(v, out, leaf, sub);
        }
    }
}

bool kvm_cpuid_put(KvmVcpu *v, GError **errp)
{
    g_autofree struct kvm_cpuid2 *out =
        g_malloc0(sizeof(*out) + MOST_ENTRIES * sizeof(struct kvm_cpuid_entry2));

    add_range(v, out, 0);
    if (x86_feature(v->cpu, FEAT_HYPERVISOR)) {
        add_range(v, out, 0x40000000);
    }
    add_range(v, out, 0x80000000);
    if (kvm_ioctl(v->fd, KVM_SET_CPUID2, out) < 0) {
        return kvm_failed(errp, errno, "KVM does not take the processor model");
    }
    return true;
}
