/*
 * target/x86/exec/xsave.c - FXSAVE, FXRSTOR, the XSAVE family, MXCSR.
 *
 * Follows the Intel SDM, volume 1, 10.5 and chapter 13.  State components are rows of xstate.h.
 *
 * Not modelled: the modified optimization of XSAVEOPT and XSAVES, which 13.6 leaves to the processor;
 * supervisor components: no bit of IA32_XSS can be set.
 */
#include "fpu.h"
#include "gen/x86-exec.h"
#include "target/x86/xstate.h"
#include "util/bits.h"

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
    uint8_t area[XSAVE_LEGACY_SIZE];

    check_fxsave(c);
    unsigned size = AT_XMM + 16 * xmm_count(c);
    uint64_t linear = aligned_operand(c, in, XSAVE_LEGACY_SIZE, 16, true);
    put_x87(&c->fpu, in, area);
    put_mxcsr(&c->fpu, area);
    put_xmm(c, area);
    fpu_store(c, in, linear, area, size, 1);
}

void exec_fxrstor(X86Cpu *c, const X86Insn *in)
{
    uint8_t area[XSAVE_LEGACY_SIZE];

    check_fxsave(c);
    fpu_load(c, in, aligned_operand(c, in, XSAVE_LEGACY_SIZE, 16, false), area, XSAVE_LEGACY_SIZE, 1);
    check_mxcsr(c, ld32le(area + AT_MXCSR));
    take_x87(&c->fpu, in, area);
    c->fpu.mxcsr = ld32le(area + AT_MXCSR);
    take_xmm(c, area);
}

void fpu_load_mxcsr(X86Cpu *c, const X86Insn *in)
{
    uint32_t mxcsr = x86_load32(c, in->segment, x86_operand(c, in, 4, false));

    check_mxcsr(c, mxcsr);
    c->fpu.mxcsr = mxcsr;
}

void fpu_store_mxcsr(X86Cpu *c, const X86Insn *in)
{
    x86_store32(c, in->segment, x86_operand(c, in, 4, true), c->fpu.mxcsr);
}

void exec_ldmxcsr(X86Cpu *c, const X86Insn *in)
{
    fpu_check_sse(c);
    fpu_load_mxcsr(c, in);
}

void exec_stmxcsr(X86Cpu *c, const X86Insn *in)
{
    fpu_check_sse(c);
    fpu_store_mxcsr(c, in);
}

/* ---- XSAVE ---- */

enum { X87, SSE, OPMASK = 5, PKRU = 9 };

/* Registers of a vector component that this mode can reach (13.5.2, 13.5.3). */
static unsigned component_registers(const X86Cpu *c, const XComponent *x)
{
    return xmm_count(c) == 16 ? 16 : x->first ? 0 : 8;
}

static void put_component(const X86Cpu *c, const X86Insn *in, const XComponent *x, uint8_t *area, uint8_t *p)
{
    switch (x->number) {
    case X87:
        put_x87(&c->fpu, in, area);
        return;
    case SSE:
        p = area + AT_XMM;
        break;
    case OPMASK:
        memcpy(p, c->fpu.k, sizeof(c->fpu.k));
        return;
    case PKRU:
        st64le(p, c->pkru);
        return;
    }
    for (unsigned i = 0; i < component_registers(c, x); i++) {
        memcpy(p + x->bytes * i, c->fpu.v[x->first + i].q + x->q, x->bytes);
    }
}

static void take_component(X86Cpu *c, const X86Insn *in, const XComponent *x, const uint8_t *area, const uint8_t *p)
{
    switch (x->number) {
    case X87:
        take_x87(&c->fpu, in, area);
        return;
    case SSE:
        p = area + AT_XMM;
        break;
    case OPMASK:
        memcpy(c->fpu.k, p, sizeof(c->fpu.k));
        return;
    case PKRU:
        x86_write_pkru(c, ld32le(p));
        return;
    }
    for (unsigned i = 0; i < component_registers(c, x); i++) {
        memcpy(c->fpu.v[x->first + i].q + x->q, p + x->bytes * i, x->bytes);
    }
}

static void init_component(X86Cpu *c, const XComponent *x)
{
    switch (x->number) {
    case X87:
        fpu_init(&c->fpu);
        memset(c->fpu.st, 0, sizeof(c->fpu.st));
        return;
    case OPMASK:
        memset(c->fpu.k, 0, sizeof(c->fpu.k));
        return;
    case PKRU:
        x86_write_pkru(c, 0);
        return;
    }
    for (unsigned i = 0; i < component_registers(c, x); i++) {
        memset(c->fpu.v[x->first + i].q + x->q, 0, x->bytes);
    }
}

static bool any_byte(const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++) {
        if (b[i]) {
            return true;
        }
    }
    return false;
}

static bool x87_in_use(const X86Fpu *f)
{
    return f->fcw != FCW_RESET || f->fsw || f->ftw || f->fop || f->fip || f->fdp || f->fcs || f->fds
        || any_byte(f->st, sizeof(f->st));
}

static bool in_use(const X86Cpu *c, const XComponent *x)
{
    switch (x->number) {
    case X87: return x87_in_use(&c->fpu);
    case OPMASK: return any_byte(c->fpu.k, sizeof(c->fpu.k));
    case PKRU: return c->pkru;
    }
    for (unsigned i = 0; i < component_registers(c, x); i++) {
        if (any_byte(c->fpu.v[x->first + i].q + x->q, x->bytes)) {
            return true;
        }
    }
    return false;
}

uint64_t x86_xinuse(const X86Cpu *c)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(x86_components); i++) {
        bits |= (uint64_t)in_use(c, &x86_components[i]) << x86_components[i].number;
    }
    return bits;
}

/* Where a component lies: behind those before it that `compact` names, or at its own place. */
static unsigned component_at(const XComponent *x, bool compacted, uint64_t compact)
{
    return compacted ? x86_xsave_size(compact & ((1ull << x->number) - 1), true) : x->offset;
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

/* What is not asked for, or need not be saved, keeps its bytes: the area is read, changed and written.
 * `all`: XSAVE writes components in their initial state too. */
static void save(X86Cpu *c, const X86Insn *in, bool compacted, bool all)
{
    uint8_t area[XSAVE_AREA_MAX];
    uint64_t mask = requested(c), used = mask & x86_xinuse(c);
    unsigned size = x86_xsave_size(mask, compacted);
    uint64_t linear = aligned_operand(c, in, size, 64, true);

    if (compacted && (mask & XCR0_SSE) && c->fpu.mxcsr != MXCSR_RESET) {
        used |= XCR0_SSE;               /* 13.10: MXCSR is part of it there */
    }
    fpu_load(c, in, linear, area, size, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(x86_components); i++) {
        const XComponent *x = &x86_components[i];
        if ((all ? mask : used) >> x->number & 1) {
            put_component(c, in, x, area, area + component_at(x, compacted, mask));
        }
    }
    if (compacted ? used & XCR0_SSE : mask & (XCR0_SSE | XCR0_AVX)) {
        put_mxcsr(&c->fpu, area);
    }
    if (compacted) {
        memset(area + AT_XSTATE_BV, 0, XSAVE_HEADER_SIZE);
        st64le(area + AT_XSTATE_BV, used);
        st64le(area + AT_XCOMP_BV, mask | XCOMP_COMPACTED);
    } else {
        st64le(area + AT_XSTATE_BV, (ld64le(area + AT_XSTATE_BV) & ~mask) | used);
    }
    fpu_store(c, in, linear, area, size, 1);
}

void exec_xsave(X86Cpu *c, const X86Insn *in) { save(c, in, false, true); }
void exec_xsaveopt(X86Cpu *c, const X86Insn *in) { save(c, in, false, false); }
void exec_xsavec(X86Cpu *c, const X86Insn *in) { save(c, in, true, false); }
void exec_xsaves(X86Cpu *c, const X86Insn *in) { save(c, in, true, false); }

/* 13.8.1, 13.8.2: what in the header is #GP. */
static void check_header(X86Cpu *c, const uint8_t *area, bool compacted)
{
    uint64_t state = ld64le(area + AT_XSTATE_BV), comp = ld64le(area + AT_XCOMP_BV);
    uint64_t allowed = compacted ? comp & ~XCOMP_COMPACTED & c->xcr0 : c->xcr0;
    bool good = !(state & ~allowed) && (compacted ? !(comp & ~XCOMP_COMPACTED & ~c->xcr0) : comp == 0);

    for (unsigned i = AT_XCOMP_BV + 8; i < (compacted ? (unsigned)XSAVE_EXTENDED : AT_XCOMP_BV + 16u); i++) {
        good = good && area[i] == 0;
    }
    if (!good) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

static void restore(X86Cpu *c, const X86Insn *in, bool must_be_compacted)
{
    uint8_t area[XSAVE_AREA_MAX];
    uint64_t mask = requested(c), linear = aligned_operand(c, in, XSAVE_EXTENDED, 64, false);

    fpu_load(c, in, linear, area, XSAVE_EXTENDED, 1);
    uint64_t state = ld64le(area + AT_XSTATE_BV), comp = ld64le(area + AT_XCOMP_BV);
    bool compacted = comp & XCOMP_COMPACTED;
    if (must_be_compacted && !compacted) {
        x86_raise_error(c, EXC_GP, 0);
    }
    check_header(c, area, compacted);
    unsigned size = x86_xsave_size(compacted ? comp & c->xcr0 : mask, compacted);
    if (size > XSAVE_EXTENDED) {
        fpu_load(c, in, linear + XSAVE_EXTENDED, area + XSAVE_EXTENDED, size - XSAVE_EXTENDED, 1);
    }
    bool loads_mxcsr = compacted ? mask & state & XCR0_SSE : mask & (XCR0_SSE | XCR0_AVX);
    if (loads_mxcsr) {
        check_mxcsr(c, ld32le(area + AT_MXCSR));
        c->fpu.mxcsr = ld32le(area + AT_MXCSR);
    } else if (mask & XCR0_SSE) {
        c->fpu.mxcsr = MXCSR_RESET;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(x86_components); i++) {
        const XComponent *x = &x86_components[i];
        if (mask & state & 1ull << x->number) {
            take_component(c, in, x, area, area + component_at(x, compacted, comp));
        } else if (mask >> x->number & 1) {
            init_component(c, x);
        }
    }
}

void exec_xrstor(X86Cpu *c, const X86Insn *in) { restore(c, in, false); }
void exec_xrstors(X86Cpu *c, const X86Insn *in) { restore(c, in, true); }
