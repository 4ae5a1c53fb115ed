/*
 * CPUID (SDM volume 2A): what a model's features, caches and place among its siblings look like.
 *
 * The time-stamp counter and the local APIC's timer share one crystal, so that leaf 15H lets a kernel
 * skip calibrating both.
 *
 * Not modelled: performance monitoring (leaf 0AH is 0), power management beyond ARAT.
 */
#include "model-private.h"

#include "core/machine.h"
#include "target/x86/xstate.h"
#include "util/bits.h"

enum { EAX, EBX, ECX, EDX };

/* Widths of the fields of an APIC ID, and how many processors a package has. */
typedef struct IdFields { unsigned thread, core, die, package, processors; } IdFields;

static IdFields id_fields(const X86Cpu *c)
{
    CpuTopology t = machine_topology(c->vcpu.machine);
    IdFields f = { machine_id_bits(t.threads), machine_id_bits(t.cores), machine_id_bits(t.dies) };

    f.package = f.thread + f.core + f.die;
    f.processors = t.threads * t.cores * t.dies;
    return f;
}

uint32_t x86_signature(const X86Cpu *c)
{
    const X86Model *m = c->model;
    uint32_t more = m->family > 15 ? m->family - 15u : 0;

    return more << 20 | (m->family - more) << 8 | (m->model & 0xf) << 4 | m->stepping
        | (m->family == 6 || m->family >= 15 ? (m->model >> 4) << 16 : 0);
}

static void leaf_vendor(const X86Model *m, uint32_t out[4], uint32_t highest)
{
    out[EAX] = highest;
    out[EBX] = ld32le(m->vendor);
    out[EDX] = ld32le(m->vendor + 4);
    out[ECX] = ld32le(m->vendor + 8);
}

/* A local APIC that IA32_APIC_BASE has switched off does not show (volume 3A 10.4.3). */
static bool apic_is_off(const X86Cpu *c)
{
    const Vcpu *v = &c->vcpu;

    if (!v->intctl) {
        return true;
    }
    machine_lock(v->machine);
    bool off = !(v->intctl->get_base(v->intctl_opaque) & 0x800);
    machine_unlock(v->machine);
    return off;
}

static void leaf_1(const X86Cpu *c, uint32_t out[4])
{
    const X86Model *m = c->model;
    IdFields f = id_fields(c);

    out[EAX] = x86_signature(c);
    out[EBX] = c->vcpu.apic_id << 24;
    out[ECX] = m->word[CPUID_1_ECX];
    out[EDX] = m->word[CPUID_1_EDX];
    if (x86_feature(c, FEAT_CLFLUSH)) {
        out[EBX] |= 8 << 8;                             /* 64-byte lines */
    }
    if (x86_feature(c, FEAT_HT)) {
        out[EBX] |= MIN(1u << f.package, 255u) << 16;
        if (f.processors == 1) {
            out[EDX] &= ~(1u << (FEAT_HT % 32));
        }
    }
    if (c->cr4 & CR4_OSXSAVE) {
        out[ECX] |= 1 << 27;
    }
    if (!(c->misc_enable & MISC_MONITOR)) {
        out[ECX] &= ~(1u << (FEAT_MONITOR % 32));
    }
    if (apic_is_off(c)) {
        out[EDX] &= ~(1u << (FEAT_APIC % 32));
    }
}

/* One less than the number of IDs in so many bits. */
static uint32_t mask_of(unsigned bits, uint32_t most)
{
    return MIN((1u << bits) - 1, most);
}

/* Deterministic cache parameters: level, ways, sets, shared by all. */
static void leaf_4(const X86Cpu *c, uint32_t subleaf, uint32_t out[4])
{
    static const struct { uint8_t type, level, ways; uint16_t sets; bool shared; } cache[] = {
        { 1, 1, 8, 64, false },                         /* 32 KiB data, a core's */
        { 2, 1, 4, 128, false },                        /* 32 KiB instructions */
        { 3, 2, 8, 1024, false },                       /* 512 KiB */
        { 3, 3, 16, 8192, true },                       /* 8 MiB, a die's */
    };
    IdFields f = id_fields(c);

    if (subleaf >= G_N_ELEMENTS(cache)) {
        return;
    }
    out[EAX] = cache[subleaf].type | cache[subleaf].level << 5 | 1 << 8
        | mask_of(cache[subleaf].shared ? f.thread + f.core : f.thread, 0xfff) << 14
        | mask_of(f.core + f.die, 63) << 26;
    out[EBX] = (64 - 1) | (cache[subleaf].ways - 1u) << 22;
    out[ECX] = cache[subleaf].sets - 1u;
}

enum { LEVEL_THREAD = 1, LEVEL_CORE = 2, LEVEL_DIE = 5 };

/* Extended topology: how far to shift the APIC ID to come to the next level up, and how many processors
 * are below that.  0BH knows no dies: its cores fill the package. */
static void leaf_topology(const X86Cpu *c, bool with_dies, uint32_t subleaf, uint32_t out[4])
{
    CpuTopology t = machine_topology(c->vcpu.machine);
    IdFields f = id_fields(c);
    bool dies = with_dies && t.dies > 1;
    const struct { unsigned shift, count, type; } levels[] = {
        { f.thread, t.threads, LEVEL_THREAD },
        { dies ? f.thread + f.core : f.package, dies ? t.threads * t.cores : f.processors, LEVEL_CORE },
        { f.package, f.processors, LEVEL_DIE },
    };

    out[ECX] = subleaf & 0xff;
    out[EDX] = c->vcpu.apic_id;
    if (subleaf < (dies ? 3u : 2u)) {
        out[EAX] = levels[subleaf].shift;
        out[EBX] = levels[subleaf].count;
        out[ECX] |= levels[subleaf].type << 8;
    }
}

uint64_t x86_xcr0_valid(const X86Cpu *c)
{
    return XCR0_X87 | XCR0_SSE | (x86_feature(c, FEAT_AVX) ? XCR0_AVX : 0)
        | (x86_feature(c, FEAT_AVX512F) ? XCR0_AVX512 : 0) | (x86_feature(c, FEAT_PKU) ? XCR0_PKRU : 0);
}

/* Sub-leaf n of 0DH is component n; no supervisor component (IA32_XSS) is there. */
static void leaf_d_component(const X86Cpu *c, uint32_t number, uint32_t out[4])
{
    for (unsigned i = 0; i < G_N_ELEMENTS(x86_components); i++) {
        const XComponent *x = &x86_components[i];
        if (x->number == number && x->size && (x86_xcr0_valid(c) >> number & 1)) {
            out[EAX] = x->size;
            out[EBX] = x->offset;
        }
    }
}

static void leaf_d(const X86Cpu *c, uint32_t subleaf, uint32_t out[4])
{
    if (!x86_feature(c, FEAT_XSAVE)) {
        return;
    }
    if (subleaf == 0) {
        out[EAX] = (uint32_t)x86_xcr0_valid(c);
        out[EBX] = x86_xsave_size(c->xcr0, false);
        out[ECX] = x86_xsave_size(x86_xcr0_valid(c), false);
    } else if (subleaf == 1) {
        out[EAX] = c->model->word[CPUID_D1_EAX];
        out[EBX] = out[EAX] & 2 ? x86_xsave_size(c->xcr0, true) : 0;
    } else {
        leaf_d_component(c, subleaf, out);
    }
}

/* TSC = crystal * EBX / EAX; the crystal is the local APIC timer's. */
static void leaf_15(const X86Cpu *c, uint32_t out[4])
{
    uint32_t a = VCPU_TSC_KHZ, b = c->vcpu.tsc_khz, gcd = a, rest = b;

    while (rest) {
        uint32_t next = gcd % rest;
        gcd = rest;
        rest = next;
    }
    out[EAX] = a / gcd;
    out[EBX] = b / gcd;
    out[ECX] = VCPU_TSC_KHZ * 1000u;
}

/* Old systems cannot take more than 2, and their firmware says so in an MSR (volume 4, table 2-2). */
static uint32_t highest_leaf(const X86Cpu *c)
{
    return c->misc_enable & MISC_LIMIT_CPUID ? MIN(c->model->level, 2u) : c->model->level;
}

static void basic(const X86Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const X86Model *m = c->model;

    switch (leaf) {
    case 0:
        leaf_vendor(m, out, highest_leaf(c));
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
    case 5:                                             /* MONITOR's line; one C1 state, ended by interrupts */
        if (x86_feature(c, FEAT_MONITOR)) {
            out[EAX] = out[EBX] = X86_MONITOR_LINE;
            out[ECX] = 3;
            out[EDX] = 1 << 4;
        }
        break;
    case 6:
        out[EAX] = m->word[CPUID_6_EAX];
        break;
    case 7:
        if (subleaf == 1) {
            out[EAX] = m->word[CPUID_7_1_EAX];
        } else if (subleaf == 0) {
            out[EAX] = m->word[CPUID_7_1_EAX] ? 1 : 0;  /* highest sub-leaf */
            out[EBX] = m->word[CPUID_7_EBX];
            out[ECX] = m->word[CPUID_7_ECX] | (c->cr4 & CR4_PKE ? 1 << 4 : 0);
            out[EDX] = m->word[CPUID_7_EDX];
        }
        break;
    case 0xb: case 0x1f:
        if (x86_feature(c, FEAT_APIC)) {
            leaf_topology(c, leaf == 0x1f, subleaf, out);
        }
        break;
    case 0xd:
        leaf_d(c, subleaf, out);
        break;
    case 0x15:
        leaf_15(c, out);
        break;
    case 0x16:                                          /* MHz: base, maximum, bus */
        out[EAX] = out[EBX] = c->vcpu.tsc_khz / 1000;
        out[ECX] = 100;
        break;
    }
}

/* 40000000H..: nobody's but ours, behind CPUID.1:ECX.31 (the generic timing leaf is 40000010H). */
static void hypervisor(const X86Cpu *c, uint32_t leaf, uint32_t out[4])
{
    if (leaf == 0x40000000) {
        out[EAX] = 0x40000010;
        out[EBX] = ld32le("Tina");
        out[ECX] = ld32le("mouT");
        out[EDX] = ld32le("inam");
    } else if (leaf == 0x40000010) {
        out[EAX] = c->vcpu.tsc_khz;
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
        if (c->misc_enable & MISC_XD_DISABLE) {
            out[EDX] &= ~(1u << (FEAT_NX % 32));
        }
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
        out[EBX] = m->word[CPUID_8000_0008_EBX];
        out[EAX] = m->phys_bits | (!x86_feature(c, FEAT_LM) ? 32u : x86_feature(c, FEAT_LA57) ? 57u : 48u) << 8;
        break;
    }
}

void x86_cpuid(const X86Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const X86Model *m = c->model;

    memset(out, 0, 4 * sizeof(*out));
    if (leaf >= 0x40000000 && leaf <= 0x400000ff && x86_feature(c, FEAT_HYPERVISOR)) {
        hypervisor(c, leaf, out);
    } else if (leaf >= 0x80000000 && leaf <= m->xlevel) {
        extended(c, leaf, out);
    } else {
        /* Volume 2A: what is beyond the highest leaf reads as the highest basic one. */
        uint32_t highest = highest_leaf(c);
        basic(c, MIN(leaf, highest), leaf > highest ? 0 : subleaf, out);
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
