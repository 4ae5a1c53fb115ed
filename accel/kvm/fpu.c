/*
 * accel/kvm/fpu.c - x87, SSE and wider registers: the kernel speaks in XSAVE images of the standard
 * form (SDM volume 1, 13.4), with components where the host's CPUID.0DH puts them.
 */
#include "kvm.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "util/bits.h"

enum { AT_MXCSR = 24, AT_ST = 32, AT_XMM = 160, AT_BV = 512, TOP_SHIFT = 11 };

/* Components behind the legacy area: `count` pieces of `size` bytes, each at q[quad] of vector
 * register `first` + i, or of an array of its own. */
typedef struct Component {
    uint8_t bit, first, count, size, quad;
    size_t array;                       /* offset in X86Cpu; 0: vector registers */
} Component;

static const Component components[] = {
    { .bit = 2, .count = 16, .size = 16, .quad = 2 },                               /* AVX */
    { .bit = 5, .count = 8, .size = 8, .array = offsetof(X86Cpu, fpu.k) },          /* opmasks */
    { .bit = 6, .count = 16, .size = 32, .quad = 4 },                               /* ZMM, upper half */
    { .bit = 7, .count = 16, .size = 64, .first = 16 },                             /* ZMM16..31 */
    { .bit = 9, .count = 1, .size = 4, .array = offsetof(X86Cpu, pkru) },
};

static uint64_t supported(const Kvm *k)
{
    for (unsigned i = 0; i < k->cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &k->cpuid->entries[i];
        if (e->function == 0xd && e->index == 0) {
            return (uint64_t)e->edx << 32 | e->eax;
        }
    }
    return 3;
}

static uint8_t *piece(X86Cpu *c, const Component *p, unsigned i)
{
    return p->array ? (uint8_t *)c + p->array + i * p->size : (uint8_t *)&c->fpu.v[p->first + i].q[p->quad];
}

/* Asked once: CPUID costs tens of microseconds where the host is itself a guest. */
static void find_components(KvmVcpu *v)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(components); n++) {
        uint32_t size, at, ecx, edx;
        __cpuid_count(0xd, components[n].bit, size, at, ecx, edx);
        v->xsave_at[components[n].bit] = size && at + size <= v->xsave_size ? at : 0;
    }
}

static uint8_t *component_at(const KvmVcpu *v, unsigned bit)
{
    return v->xsave_at[bit] ? (uint8_t *)v->xsave + v->xsave_at[bit] : NULL;
}

bool kvm_fpu_init(KvmVcpu *v, GError **errp)
{
    int size = ioctl(v->kvm->vm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

    v->xsave_size = MAX(size, (int)sizeof(struct kvm_xsave));
    v->xsave = g_malloc0(v->xsave_size);
    bool big = v->xsave_size > sizeof(struct kvm_xsave);
    if (kvm_ioctl(v->fd, big ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, v->xsave) < 0) {
        return kvm_failed(errp, errno, "KVM_GET_XSAVE");
    }
    v->xsave_components = supported(v->kvm);
    find_components(v);
    return true;
}

static void take_legacy(X86Fpu *f, const uint8_t *p, uint64_t bv)
{
    static const uint8_t initial[512] = { 0x7f, 0x03 };         /* FCW 37FH, all else 0 */
    const uint8_t *x87 = bv & 1 ? p : initial;

    f->fcw = ld16le(x87);
    f->fsw = ld16le(x87 + 2);
    f->ftw = x87[4];
    f->fop = ld16le(x87 + 6);
    f->fip = ld64le(x87 + 8);
    f->fdp = ld64le(x87 + 16);
    for (unsigned i = 0; i < 8; i++) {
        X86Float *st = &f->st[((f->fsw >> TOP_SHIFT) + i) & 7];
        st->mantissa = ld64le(x87 + AT_ST + 16 * i);
        st->exponent = ld16le(x87 + AT_ST + 16 * i + 8);
    }
    f->mxcsr = ld32le(p + AT_MXCSR);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(f->v[i].q, (bv & 2 ? p : initial) + AT_XMM + 16 * i, 16);
    }
}

bool kvm_fpu_get(KvmVcpu *v)
{
    X86Cpu *c = v->cpu;
    bool big = v->xsave_size > sizeof(struct kvm_xsave);

    if (kvm_ioctl(v->fd, big ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, v->xsave) < 0) {
        return false;
    }
    const uint8_t *p = v->xsave;
    uint64_t bv = ld64le(p + AT_BV);
    take_legacy(&c->fpu, p, bv);
    for (unsigned n = 0; n < G_N_ELEMENTS(components); n++) {
        const Component *k = &components[n];
        const uint8_t *at = component_at(v, k->bit);
        if (!at || !(v->xsave_components >> k->bit & 1)) {
            continue;
        }
        for (unsigned i = 0; i < k->count; i++) {
            if (bv >> k->bit & 1) {
                memcpy(piece(c, k, i), at + i * k->size, k->size);
            } else {
                memset(piece(c, k, i), 0, k->size);
            }
        }
    }
    return true;
}

static void put_legacy(const X86Fpu *f, uint8_t *p)
{
    st16le(p, f->fcw);
    st16le(p + 2, f->fsw);
    st16le(p + 4, f->ftw);
    st16le(p + 6, f->fop);
    st64le(p + 8, f->fip);
    st64le(p + 16, f->fdp);
    st32le(p + AT_MXCSR, f->mxcsr);             /* its mask, behind it, stays as the kernel gave it */
    for (unsigned i = 0; i < 8; i++) {
        const X86Float *st = &f->st[((f->fsw >> TOP_SHIFT) + i) & 7];
        st64le(p + AT_ST + 16 * i, st->mantissa);
        st64le(p + AT_ST + 16 * i + 8, st->exponent);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(p + AT_XMM + 16 * i, f->v[i].q, 16);
    }
}

bool kvm_fpu_put(KvmVcpu *v)
{
    uint8_t *p = v->xsave;
    uint64_t bv = 3;

    put_legacy(&v->cpu->fpu, p);
    for (unsigned n = 0; n < G_N_ELEMENTS(components); n++) {
        const Component *k = &components[n];
        uint8_t *at = component_at(v, k->bit);
        if (!at || !(v->xsave_components >> k->bit & 1)) {
            continue;
        }
        for (unsigned i = 0; i < k->count; i++) {
            memcpy(at + i * k->size, piece(v->cpu, k, i), k->size);
        }
        bv |= 1ull << k->bit;
    }
    st64le(p + AT_BV, bv);
    return kvm_ioctl(v->fd, KVM_SET_XSAVE, p) >= 0;
}
