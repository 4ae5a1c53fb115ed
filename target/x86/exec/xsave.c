/*
 * target/x86/exec/xsave.c - FXSAVE, FXRSTOR, the XSAVE family, MXCSR and XCR0.
 *
 * Follows the Intel SDM, volume 1, 10.5 and chapter 13.  State components are a table, so that the
 * next (AVX-512) is a line.  A component counts as in use always, which 13.6 allows.
 *
 * Not modelled: IA32_XSS, in which no bit can be set.
 */
#include "fpu.h"
#include "gen/x86-exec.h"
#include "util/bits.h"

enum { LEGACY_SIZE = 512, HEADER_SIZE = 64, AREA_MAX = 832 };
enum { AT_MXCSR = 24, AT_ST = 32, AT_XMM = 160, AT_XSTATE_BV = 512, AT_XCOMP_BV = 520 };
#define XCOMP_COMPACTED (1ull << 63)

static void check_fxsave(X86Cpu *c)
{
    if (c->mode & MODE_FPU_OFF) {
        x86_raise(c, EXC_NM);
    }
}

static void check_mxcsr(X86Cpu *c, uint32_t mxcsr)
{
    if (mxcsr & ~(uint32_t)MXCSR_VALID) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

static uint64_t aligned_operand(X86Cpu *c, const X86Insn *in, unsigned size, unsigned align, bool write)
{
    uint64_t linear = x86_operand(c, in, size, write);

    if (linear & (align - 1)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return linear;
}

static unsigned xmm_count(const X86Cpu *c)
{
    return (c->mode & MODE_CODE) == MODE_CODE64 ? 16 : 8;
}

static void put_x87(const X86Fpu *f, const X86Insn *in, uint8_t *p)
{
    st16le(p, f->fcw);
    st16le(p + 2, f->fsw);
    st16le(p + 4, f->ftw);
    st16le(p + 6, f->fop);
    st64le(p + 8, in->opsize == 64 ? f->fip : (uint32_t)f->fip | (uint64_t)f->fcs << 32);
    st64le(p + 16, in->opsize == 64 ? f->fdp : (uint32_t)f->fdp | (uint64_t)f->fds << 32);
    for (unsigned i = 0; i < 8; i++) {
        const X86Float *st = &f->st[(fpu_top(f) + i) & 7];
        st64le(p + AT_ST + 16 * i, st->mantissa);
        st64le(p + AT_ST + 16 * i + 8, st->exponent);
    }
}

static void take_x87(X86Fpu *f, const X86Insn *in, const uint8_t *p)
{
    f->fsw = ld16le(p + 2);
    fpu_set_control(f, ld16le(p));
    f->ftw = p[4];
    f->fop = ld16le(p + 6) & 0x7ff;
    f->fip = in->opsize == 64 ? ld64le(p + 8) : ld32le(p + 8);
    f->fcs = in->opsize == 64 ? 0 : ld16le(p + 12);
    f->fdp = in->opsize == 64 ? ld64le(p + 16) : ld32le(p + 16);
    f->fds = in->opsize == 64 ? 0 : ld16le(p + 20);
    for (unsigned i = 0; i < 8; i++) {
        X86Float *st = &f->st[(fpu_top(f) + i) & 7];
        st->mantissa = ld64le(p + AT_ST + 16 * i);
        st->exponent = ld16le(p + AT_ST + 16 * i + 8);
    }
}

static void put_mxcsr(const X86Fpu *f, uint8_t *p)
{
    st32le(p + AT_MXCSR, f->mxcsr);
    st32le(p + AT_MXCSR + 4, MXCSR_VALID);
}

static void put_xmm(const X86Cpu *c, uint8_t *p)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        memcpy(p + AT_XMM + 16 * i, c->fpu.v[i].q, 16);
    }
}

static void take_xmm(X86Cpu *c, const uint8_t *p)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        memcpy(c->fpu.v[i].q, p + AT_XMM + 16 * i, 16);
    }
}

void exec_fxsave(X86Cpu *c, const X86Insn *in)
{
    uint8_t area[LEGACY_SIZE];

    check_fxsave(c);
    unsigned size = AT_XMM + 16 * xmm_count(c);
    uint64_t linear = aligned_operand(c, in, LEGACY_SIZE, 16, true);
    put_x87(&c->fpu, in, area);
    put_mxcsr(&c->fpu, area);
    put_xmm(c, area);
    fpu_store(c, in, linear, area, size);
}

void exec_fxrstor(X86Cpu *c, const X86Insn *in)
{
    uint8_t area[LEGACY_SIZE];

    check_fxsave(c);
    fpu_load(c, in, aligned_operand(c, in, LEGACY_SIZE, 16, false), area, LEGACY_SIZE);
    check_mxcsr(c, ld32le(area + AT_MXCSR));
    take_x87(&c->fpu, in, area);
    c->fpu.mxcsr = ld32le(area + AT_MXCSR);
    take_xmm(c, area);
}

void exec_ldmxcsr(X86Cpu *c, const X86Insn *in)
{
    fpu_check_sse(c);
    uint32_t mxcsr = x86_load32(c, in->segment, x86_operand(c, in, 4, false));
    check_mxcsr(c, mxcsr);
    c->fpu.mxcsr = mxcsr;
}

void exec_stmxcsr(X86Cpu *c, const X86Insn *in)
{
    fpu_check_sse(c);
    x86_store32(c, in->segment, x86_operand(c, in, 4, true), c->fpu.mxcsr);
}

/* ---- XSAVE ---- */

static void put_component_x87(const X86Cpu *c, const X86Insn *in, uint8_t *area, uint8_t *p)
{
    put_x87(&c->fpu, in, area);
}

static void take_component_x87(X86Cpu *c, const X86Insn *in, const uint8_t *area, const uint8_t *p)
{
    take_x87(&c->fpu, in, area);
}

static void init_component_x87(X86Cpu *c)
{
    fpu_init(&c->fpu);
    memset(c->fpu.st, 0, sizeof(c->fpu.st));
}

static void put_component_sse(const X86Cpu *c, const X86Insn *in, uint8_t *area, uint8_t *p)
{
    put_xmm(c, area);
}

static void take_component_sse(X86Cpu *c, const X86Insn *in, const uint8_t *area, const uint8_t *p)
{
    take_xmm(c, area);
}

static void init_component_sse(X86Cpu *c)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        memset(c->fpu.v[i].q, 0, 16);
    }
}

static void put_component_avx(const X86Cpu *c, const X86Insn *in, uint8_t *area, uint8_t *p)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        memcpy(p + 16 * i, c->fpu.v[i].q + 2, 16);
    }
}

static void take_component_avx(X86Cpu *c, const X86Insn *in, const uint8_t *area, const uint8_t *p)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        memcpy(c->fpu.v[i].q + 2, p + 16 * i, 16);
    }
}

static void init_component_avx(X86Cpu *c)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        memset(c->fpu.v[i].q + 2, 0, 16);
    }
}

static const struct {
    uint64_t bit;
    unsigned offset, size;              /* in the standard form; size 0: in the legacy area */
    void (*put)(const X86Cpu *c, const X86Insn *in, uint8_t *area, uint8_t *p);
    void (*take)(X86Cpu *c, const X86Insn *in, const uint8_t *area, const uint8_t *p);
    void (*init)(X86Cpu *c);
} components[] = {
    { XCR0_X87, 0, 0, put_component_x87, take_component_x87, init_component_x87 },
    { XCR0_SSE, 0, 0, put_component_sse, take_component_sse, init_component_sse },
    { XCR0_AVX, 576, 256, put_component_avx, take_component_avx, init_component_avx },
};

/* Where component `i` lies: behind those before it that `compact` names, or at its own place. */
static unsigned component_at(unsigned i, bool compacted, uint64_t compact)
{
    unsigned at = LEGACY_SIZE + HEADER_SIZE;

    if (!compacted) {
        return components[i].offset;
    }
    for (unsigned k = 0; k < i; k++) {
        at += components[k].bit & compact ? components[k].size : 0;
    }
    return at;
}

static unsigned area_size(uint64_t mask, bool compacted)
{
    unsigned size = LEGACY_SIZE + HEADER_SIZE;

    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        if ((mask & components[i].bit) && components[i].size) {
            size = component_at(i, compacted, mask) + components[i].size;
        }
    }
    return size;
}

static uint64_t requested(X86Cpu *c)
{
    if (!(c->cr4 & CR4_OSXSAVE)) {
        x86_raise(c, EXC_UD);
    }
    if (c->cr0 & CR0_TS) {
        x86_raise(c, EXC_NM);
    }
    return c->xcr0 & ((uint32_t)c->regs[X86_RAX] | c->regs[X86_RDX] << 32);
}

/* Components that are not asked for keep their bytes: the area is read, changed and written. */
static void save(X86Cpu *c, const X86Insn *in, bool compacted)
{
    uint8_t area[AREA_MAX];
    uint64_t mask = requested(c);
    unsigned size = area_size(mask, compacted);
    uint64_t linear = aligned_operand(c, in, size, 64, true);

    fpu_load(c, in, linear, area, size);
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        if (mask & components[i].bit) {
            components[i].put(c, in, area, area + component_at(i, compacted, mask));
        }
    }
    if (mask & (XCR0_SSE | XCR0_AVX)) {
        put_mxcsr(&c->fpu, area);
    }
    if (compacted) {
        memset(area + AT_XSTATE_BV, 0, HEADER_SIZE);
        st64le(area + AT_XSTATE_BV, mask);
        st64le(area + AT_XCOMP_BV, mask | XCOMP_COMPACTED);
    } else {
        st64le(area + AT_XSTATE_BV, ld64le(area + AT_XSTATE_BV) | mask);
    }
    fpu_store(c, in, linear, area, size);
}

void exec_xsave(X86Cpu *c, const X86Insn *in) { save(c, in, false); }
void exec_xsaveopt(X86Cpu *c, const X86Insn *in) { save(c, in, false); }
void exec_xsavec(X86Cpu *c, const X86Insn *in) { save(c, in, true); }
void exec_xsaves(X86Cpu *c, const X86Insn *in) { save(c, in, true); }

/* 13.8.1, 13.8.2: what in the header is #GP. */
static void check_header(X86Cpu *c, const uint8_t *area, bool compacted)
{
    uint64_t state = ld64le(area + AT_XSTATE_BV), comp = ld64le(area + AT_XCOMP_BV);
    uint64_t allowed = compacted ? comp & ~XCOMP_COMPACTED & c->xcr0 : c->xcr0;
    bool good = !(state & ~allowed) && (compacted ? !(comp & ~XCOMP_COMPACTED & ~c->xcr0) : comp == 0);

    for (unsigned i = AT_XCOMP_BV + 8; i < (compacted ? LEGACY_SIZE + HEADER_SIZE : AT_XCOMP_BV + 16u); i++) {
        good = good && area[i] == 0;
    }
    if (!good) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

static void restore(X86Cpu *c, const X86Insn *in, bool must_be_compacted)
{
    uint8_t area[AREA_MAX];
    uint64_t mask = requested(c), linear = aligned_operand(c, in, LEGACY_SIZE + HEADER_SIZE, 64, false);
    unsigned head = LEGACY_SIZE + HEADER_SIZE;

    fpu_load(c, in, linear, area, head);
    uint64_t state = ld64le(area + AT_XSTATE_BV), comp = ld64le(area + AT_XCOMP_BV);
    bool compacted = comp & XCOMP_COMPACTED;
    if (must_be_compacted && !compacted) {
        x86_raise_error(c, EXC_GP, 0);
    }
    check_header(c, area, compacted);
    unsigned size = area_size(compacted ? comp : mask, compacted);
    if (size > head) {
        fpu_load(c, in, linear + head, area + head, size - head);
    }
    bool loads_mxcsr = compacted ? mask & state & XCR0_SSE : mask & (XCR0_SSE | XCR0_AVX);
    if (loads_mxcsr) {
        check_mxcsr(c, ld32le(area + AT_MXCSR));
        c->fpu.mxcsr = ld32le(area + AT_MXCSR);
    } else if (mask & XCR0_SSE) {
        c->fpu.mxcsr = MXCSR_RESET;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        if (mask & state & components[i].bit) {
            components[i].take(c, in, area, area + component_at(i, compacted, comp));
        } else if (mask & components[i].bit) {
            components[i].init(c);
        }
    }
}

void exec_xrstor(X86Cpu *c, const X86Insn *in) { restore(c, in, false); }
void exec_xrstors(X86Cpu *c, const X86Insn *in) { restore(c, in, true); }
