/*
 * What the host's own processor says of itself, for -cpu host and for features that the host's instructions
 * run (SDM volume 2A, CPUID; AMD's volume 3, appendix E, has the same leaves).
 */
#include "model-private.h"

#include <cpuid.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

bool x86_host_bit(unsigned feature)
{
    static const struct { uint32_t leaf, subleaf; uint8_t reg; } where[CPUID_WORDS] = {
        [CPUID_1_EDX] = { 1, 0, EDX }, [CPUID_1_ECX] = { 1, 0, ECX }, [CPUID_6_EAX] = { 6, 0, EAX },
        [CPUID_7_EBX] = { 7, 0, EBX }, [CPUID_7_ECX] = { 7, 0, ECX }, [CPUID_7_EDX] = { 7, 0, EDX },
        [CPUID_7_1_EAX] = { 7, 1, EAX }, [CPUID_D1_EAX] = { 0xd, 1, EAX },
        [CPUID_8000_0001_EDX] = { 0x80000001, 0, EDX }, [CPUID_8000_0001_ECX] = { 0x80000001, 0, ECX },
        [CPUID_8000_0007_EDX] = { 0x80000007, 0, EDX }, [CPUID_8000_0008_EBX] = { 0x80000008, 0, EBX },
    };
    uint32_t out[4];
    unsigned word = feature / 32;

    return __get_cpuid_count(where[word].leaf, where[word].subleaf, &out[EAX], &out[EBX], &out[ECX], &out[EDX])
        && (out[where[word].reg] >> (feature % 32) & 1);
}

static void take_brand(X86Model *m)
{
    for (unsigned i = 0; i < 3; i++) {
        uint32_t out[4];
        if (__get_cpuid(0x80000002 + i, &out[EAX], &out[EBX], &out[ECX], &out[EDX])) {
            memcpy(m->brand + 16 * i, out, sizeof(out));
        }
    }
}

void x86_host_identity(X86Model *m)
{
    uint32_t eax, ebx, ecx, edx;

    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx)) {
        memcpy(m->vendor, &ebx, 4);
        memcpy(m->vendor + 4, &edx, 4);
        memcpy(m->vendor + 8, &ecx, 4);
    }
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        unsigned family = eax >> 8 & 0xf, model = eax >> 4 & 0xf;
        m->family = family + (family == 15 ? eax >> 20 & 0xff : 0);
        m->model = model | (family == 6 || family == 15 ? eax >> 12 & 0xf0 : 0);
        m->stepping = eax & 0xf;
    }
    if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx)) {
        m->phys_bits = eax & 0xff;
    }
    take_brand(m);
}
