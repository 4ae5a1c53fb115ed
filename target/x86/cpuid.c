/*
 * CPUID (SDM volume 2A): what a model's features, caches and place among its siblings look like.
 *
 * One package holds all processors as cores of one thread each; the APIC ID is the processor's
 * number.  The time-stamp counter and the local APIC's timer share one crystal, so that leaf 15H lets
 * a kernel skip calibrating both.
 *
 * Not modelled: performance monitoring (leaf 0AH is 0), power management beyond ARAT.
 */
#include "model-private.h"

#include "core/machine.h"
#include "util/bits.h"

enum { EAX, EBX, ECX, EDX };

static unsigned processors(const X86Cpu *c)
{
    const Machine *m = c->vcpu.machine;

    return MAX(m->vcpus->len, 1);
}

/* Bits that hold a number below n. */
static unsigned id_bits(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n) {
        bits++;
    }
    return bits;
}

uint32_t x86_signature(const X86Cpu *c)
{
    const X86Model *m = c->model;

    return (uint32_t)m->family << 8 | (m->model & 0xf) << 4 | m->stepping
        | (m->family == 6 || m->family == 15 ? (m->model >> 4) << 16 : 0);
}

static void leaf_vendor(uint32_t out[4], uint32_t highest)
{
    out[EAX] = highest;
    out[EBX] = ld32le("Genu");
    out[EDX] = ld32le("ineI");
    out[ECX] = ld32le("ntel");
}

/* A local APIC that IA32_APIC_BASE has switched off does not show (volume 3A 10.4.3). */
static bool apic_is_off(const X86Cpu *c)
{
    const Vcpu *v = &c->vcpu;
    bool locked = loop_locked(v->machine->loop);

    if (!v->intctl) {
        return true;
    }
    if (!locked) {
        machine_lock(v->machine);
    }
    bool off = !(v->intctl->get_base(v->intctl_opaque) & 0x800);
    if (!locked) {
        machine_unlock(v->machine);
    }
    return off;
}

static void leaf_1(const X86Cpu *c, uint32_t out[4])
{
    const X86Model *m = c->model;
    unsigned n = processors(c);

    out[EAX] = x86_signature(c);
    out[EBX] = c->vcpu.index << 24;
    out[ECX] = m->word[CPUID_1_ECX];
    out[EDX] = m->word[CPUID_1_EDX];
    if (x86_feature(c, FEAT_CLFLUSH)) {
        out[EBX] |= 8 << 8;                             /* 64-byte lines */
    }
    if (x86_feature(c, FEAT_HT)) {
        out[EBX] |= MIN(1u << id_bits(n), 255u) << 16;
        if (n == 1) {
            out[EDX] &= ~(1u << (FEAT_HT % 32));
        }
    }
    if (c->cr4 & CR4_OSXSAVE) {
        out[ECX] |= 1 << 27;
    }
    if (apic_is_off(c)) {
        out[EDX] &= ~(1u << (FEAT_APIC % 32));
    }
}

/* Deterministic cache parameters: level, ways, sets, shared by all. */
static void leaf_4(const X86Cpu *c, uint32_t subleaf, uint32_t out[4])
{
    static const struct { uint8_t type, level, ways; uint16_t sets; bool shared; } cache[] = {
        { 1, 1, 8, 64, false },                         /* 32 KiB data */
        { 2, 1, 4, 128, false },                        /* 32 KiB instructions */
        { 3, 2, 8, 1024, false },                       /* 512 KiB */
        { 3, 3, 16, 8192, true },                       /* 8 MiB */
    };
    unsigned n = processors(c), ids = 1u << id_bits(n);

    if (subleaf >= G_N_ELEMENTS(cache)) {
        return;
    }
    out[EAX] = cache[subleaf].type | cache[subleaf].level << 5 | 1 << 8
        | (cache[subleaf].shared ? MIN(ids - 1, 0xfffu) : 0) << 14 | MIN(ids - 1, 63u) << 26;
    out[EBX] = (64 - 1) | (cache[subleaf].ways - 1u) << 22;
    out[ECX] = cache[subleaf].sets - 1u;
}

static void leaf_b(const X86Cpu *c, uint32_t subleaf, uint32_t out[4])
{
    unsigned n = processors(c);

    out[ECX] = subleaf & 0xff;
    out[EDX] = c->vcpu.index;
    if (subleaf == 0) {                                 /* threads: one a core */
        out[EBX] = 1;
        out[ECX] |= 1 << 8;
    } else if (subleaf == 1) {
        out[EAX] = id_bits(n);
        out[EBX] = n;
        out[ECX] |= 2 << 8;
    }
}

/* The state components that XSAVE knows: x87 and SSE, in the legacy area. */
static void leaf_d(const X86Cpu *c, uint32_t subleaf, uint32_t out[4])
{
    if (!x86_feature(c, FEAT_XSAVE)) {
        return;
    }
    if (subleaf == 0) {
        out[EAX] = 3;
        out[EBX] = out[ECX] = 576;
    } else if (subleaf == 1) {
        out[EAX] = c->model->word[CPUID_D1_EAX];
        out[EBX] = out[EAX] & 2 ? 576 : 0;              /* the compacted form of what XCR0 has on */
    }
}

static void basic(const X86Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const X86Model *m = c->model;

    switch (leaf) {
    case 0:
        leaf_vendor(out, m->level);
        break;
    case 1:
        leaf_1(c, out);
        break;
    case 2:                                             /* look at leaf 4; else the Pentium III's bytes */
        out[EAX] = m->level >= 4 ? 0x00ff0001 : 0x03020101;
        out[EDX] = m->level >= 4 ? 0 : 0x0c040843;
        break;
    case 4:
        leaf_4(c, subleaf, out);
        break;
    case 6:
        out[EAX] = m->word[CPUID_6_EAX];
        break;
    case 7:
        if (subleaf == 0) {
            out[EBX] = m->word[CPUID_7_EBX];
            out[ECX] = m->word[CPUID_7_ECX] | (c->cr4 & CR4_PKE ? 1 << 4 : 0);
            out[EDX] = m->word[CPUID_7_EDX];
        }
        break;
    case 0xb:
        if (x86_feature(c, FEAT_APIC)) {
            leaf_b(c, subleaf, out);
        }
        break;
    case 0xd:
        leaf_d(c, subleaf, out);
        break;
    case 0x15:                                          /* TSC = crystal * EBX / EAX */
        out[EAX] = 1;
        out[EBX] = 1;
        out[ECX] = VCPU_TSC_KHZ * 1000u;
        break;
    case 0x16:                                          /* MHz: base, maximum, bus */
        out[EAX] = out[EBX] = VCPU_TSC_KHZ / 1000;
        out[ECX] = 100;
        break;
    }
}

/* 40000000H..: nobody's but ours, behind CPUID.1:ECX.31 (the generic timing leaf is 40000010H). */
static void hypervisor(uint32_t leaf, uint32_t out[4])
{
    if (leaf == 0x40000000) {
        out[EAX] = 0x40000010;
        out[EBX] = ld32le("Tina");
        out[ECX] = ld32le("mouT");
        out[EDX] = ld32le("inam");
    } else if (leaf == 0x40000010) {
        out[EAX] = VCPU_TSC_KHZ;
        out[EBX] = VCPU_TSC_KHZ;                        /* the local APIC's timer */
    }
}

static void extended(const X86Cpu *c, uint32_t leaf, uint32_t out[4])
{
    const X86Model *m = c->model;

    switch (leaf) {
    case 0x80000000:
        out[EAX] = m->xlevel;
        break;
    case 0x80000001:
        out[ECX] = m->word[CPUID_8000_0001_ECX];
        out[EDX] = m->word[CPUID_8000_0001_EDX];
        break;
    case 0x80000002: case 0x80000003: case 0x80000004:
        for (unsigned i = 0; i < 4; i++) {
            out[i] = ld32le(m->brand + (leaf - 0x80000002) * 16 + i * 4);
        }
        break;
    case 0x80000006:
        out[ECX] = 512u << 16 | 6 << 12 | 64;           /* L2: KiB, 8 ways, line */
        break;
    case 0x80000007:
        out[EDX] = m->word[CPUID_8000_0007_EDX];
        break;
    case 0x80000008:
        out[EAX] = m->phys_bits | (!x86_feature(c, FEAT_LM) ? 32u : x86_feature(c, FEAT_LA57) ? 57u : 48u) << 8;
        break;
    }
}

void x86_cpuid(const X86Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const X86Model *m = c->model;

    memset(out, 0, 4 * sizeof(*out));
    if (leaf >= 0x40000000 && leaf <= 0x400000ff && x86_feature(c, FEAT_HYPERVISOR)) {
        hypervisor(leaf, out);
    } else if (leaf >= 0x80000000 && leaf <= m->xlevel) {
        extended(c, leaf, out);
    } else {
        /* Volume 2A: what is beyond the highest leaf reads as the highest basic one. */
        basic(c, MIN(leaf, m->level), leaf > m->level ? 0 : subleaf, out);
    }
}

static const struct { X86Feature feature; uint32_t cr4; } cr4_features[] = {
    { FEAT_VME, CR4_VME | CR4_PVI }, { FEAT_TSC, CR4_TSD }, { FEAT_DE, CR4_DE }, { FEAT_PSE, CR4_PSE },
    { FEAT_PAE, CR4_PAE }, { FEAT_MCE, CR4_MCE }, { FEAT_PGE, CR4_PGE }, { FEAT_MMX, CR4_PCE },
    { FEAT_FXSR, CR4_OSFXSR }, { FEAT_SSE, CR4_OSXMMEXCPT }, { FEAT_UMIP, CR4_UMIP },
    { FEAT_FSGSBASE, CR4_FSGSBASE }, { FEAT_PCID, CR4_PCIDE }, { FEAT_XSAVE, CR4_OSXSAVE },
    { FEAT_SMEP, CR4_SMEP }, { FEAT_SMAP, CR4_SMAP }, { FEAT_PKU, CR4_PKE }, { FEAT_LA57, CR4_LA57 },
};

uint32_t x86_cr4_valid(const X86Cpu *c)
{
    uint32_t valid = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(cr4_features); i++) {
        valid |= x86_feature(c, cr4_features[i].feature) ? cr4_features[i].cr4 : 0;
    }
    return valid;
}
