/*
 * tests/insn/fake_cpu.c - the fakes behind fake_cpu.h, and random states.
 */
#include "fake_cpu.h"
#include "core/icount.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "gen/x86-exec.h"
#include "native.h"
#include "target/x86/alu.h"
#include "target/x86/mem.h"
#include "target/x86/model.h"

X86Cpu *cpu;
uint64_t fake_fault_from;
bool fake_memory_faults;
bool fake_feature = true;
static jmp_buf unwind;
static int raised;                      /* vector of the last exception, -1: none */

static void fake_raise(unsigned vector)
{
    raised = vector;
    longjmp(unwind, 1);
}

void x86_raise(X86Cpu *c, unsigned vector) { fake_raise(vector); abort(); }
void x86_raise_error(X86Cpu *c, unsigned vector, uint32_t error) { fake_raise(vector); abort(); }
void x86_segment_fault(X86Cpu *c, unsigned seg) { fake_raise(seg == X86_SS ? EXC_SS : EXC_GP); abort(); }

static void check_access(uint64_t linear, unsigned len)
{
    uint64_t base = (uintptr_t)native_memory();

    if (fake_memory_faults || (fake_fault_from && linear + len > fake_fault_from)) {
        fake_raise(EXC_PF);
    }
    g_assert_true(linear >= base && linear + len <= base + NATIVE_MEMORY);
}

void x86_numeric_error(X86Cpu *c)
{
    if (c->cr0 & CR0_NE) {
        x86_raise(c, EXC_MF);
    }
}

void x86_numeric_clear(X86Cpu *c)
{
}

void x86_ld_bytes(X86Cpu *c, uint64_t linear, void *buf, unsigned len)
{
    check_access(linear, len);
    memcpy(buf, (const void *)(uintptr_t)linear, len);
}

void x86_st_bytes(X86Cpu *c, uint64_t linear, const void *buf, unsigned len)
{
    check_access(linear, len);
    memcpy((void *)(uintptr_t)linear, buf, len);
}

void x86_probe_read(X86Cpu *c, uint64_t linear) { check_access(linear, 1); }
void x86_probe_write(X86Cpu *c, uint64_t linear, unsigned len) { check_access(linear, len); }

uint64_t x86_ld(X86Cpu *c, uint64_t linear, unsigned size)
{
    uint64_t v = 0;

    x86_ld_bytes(c, linear, &v, size);
    return v;
}

void x86_st(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size) { x86_st_bytes(c, linear, &val, size); }

void x86_check_alignment(X86Cpu *c, uint64_t linear, unsigned align) { }
void x86_check_operand(X86Cpu *c, unsigned seg, uint64_t linear, unsigned size, unsigned align) { }

uint64_t x86_linear(X86Cpu *c, unsigned seg, uint64_t off, unsigned size, bool write)
{
    return x86_segmented(c, seg, off, size, write);
}

uint64_t x86_load_miss(X86Cpu *c, uint64_t linear, unsigned size, unsigned seg)
{
    return x86_ld(c, linear, size);
}

void x86_store_miss(X86Cpu *c, uint64_t linear, uint64_t v, unsigned size, unsigned seg)
{
    x86_st(c, linear, v, size);
}

void x86_write_pkru(X86Cpu *c, uint32_t value) { c->pkru = value; }
bool x86_feature(const X86Cpu *c, X86Feature feature) { return fake_feature; }
void exec_bsf(X86Cpu *c, const X86Insn *in) { c->regs[in->reg] = 0xb5f; }
void exec_bsr(X86Cpu *c, const X86Insn *in) { c->regs[in->reg] = 0xb54; }

void x86_exec_stop(X86Cpu *c, const X86Insn *in) { }

int fake_cpu_run(X86Insn *in, X86ExecFn *fn)
{
    X86Insn run[2] = { *in, { .exec = x86_exec_stop } };        /* handlers go on with the next */

    cpu->regs[X86_RIP] = 0x1000 + in->len;
    raised = -1;
    if (!setjmp(unwind)) {
        fn(cpu, run);
    }
    return raised;
}

void fake_cpu_set_mode(unsigned bits)
{
    cpu->mode = (bits == 64 ? MODE_CODE64 | MODE_LMA : MODE_CODE32) | MODE_PE | MODE_SSE_ON | MODE_AVX_ON
              | MODE_AVX512_ON;
    cpu->cr0 = CR0_PE | CR0_NE | CR0_MP;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512;
    for (unsigned i = 0; i < X86_SEGS; i++) {
        cpu->seg[i] = (X86Segment){ .read_hi = ~0ull, .write_hi = ~0ull };
    }
}

void fake_cpu_new(void)
{
    rnd = g_rand_new_with_seed(20);
    cpu = g_aligned_alloc0(1, sizeof(*cpu), 64);
    cpu->tlb = g_aligned_alloc0(X86_TLB_LEAST, sizeof(X86TlbEntry), 64);
    cpu->tlb_mask = X86_TLB_LEAST - 1;
    for (unsigned i = 0; i < X86_TLB_LEAST; i++) {
        cpu->tlb[i].read = cpu->tlb[i].write = x86_tlb_none(i);
    }
    g_assert_true(x86_hostrun_new(cpu, NULL));
}

void fake_cpu_free(void)
{
    x86_hostrun_free(cpu);
    g_aligned_free(cpu->tlb);
    g_aligned_free(cpu);
    g_rand_free(rnd);
}

/* ---- random states ---- */

GRand *rnd;

unsigned below(unsigned n) { return g_rand_int(rnd) % n; }

uint64_t random64(void)
{
    return (uint64_t)g_rand_int(rnd) << 32 | g_rand_int(rnd);
}

static uint32_t random_float(void)
{
    static const uint32_t special[] = {
        0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
        0xffbfffff, 1, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000,
        0x3f000000, 0x3fc00000, 0x34000000, 0x5f000000,
    };
    return below(3) ? special[below(G_N_ELEMENTS(special))] ^ (below(4) ? 0 : below(8)) : g_rand_int(rnd);
}

static uint64_t random_double(void)
{
    static const uint64_t special[] = {
        0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 0xfff7ffffffffffff, 1,
        0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x41e0000000000000,
        0xc1e0000000000001, 0x43e0000000000000, 0x3fe0000000000000, 0x3ff8000000000000,
        0x3810000000000000, 0x47efffffe0000001, 0x36a0000000000001,
    };
    return below(3) ? special[below(G_N_ELEMENTS(special))] ^ (below(4) ? 0 : below(8)) : random64();
}

uint64_t random_element(void)
{
    switch (below(5)) {
    case 0: return random64();
    case 1: return random_float() | (uint64_t)random_float() << 32;
    case 2: return random_double();
    case 3: return random64() & 0x0707070707070707;
    default: return below(2) ? (uint64_t)below(256) : (uint64_t)-(int64_t)below(256);
    }
}

void random_x87(uint64_t *mantissa, uint16_t *exponent)
{
    static const uint16_t exponents[] = {
        0x3fff, 0x4000, 0x3ffe, 0x7fff, 0, 1, 0x3fff - 63, 0x3fff + 63, 0x3fff + 31, 0x7ffe, 0x3fff
        - 1074, 0x3fff + 1024, 0x3fff - 127, 0x3fff + 128, 0x3fff + 15, 0x4022,
    };
    static const uint64_t mantissas[] = { 1ull << 63, 0, 0xc000000000000000, ~0ull, 0x8000000000000001, 1,
        0x7fffffffffffffff, 0xa000000000000000, 0xc90fdaa22168c235, 0xfffffffffffff800 };
    *exponent = (below(4) ? exponents[below(G_N_ELEMENTS(exponents))] : g_rand_int(rnd)) | (below(2) << 15);
    *mantissa =
        below(3) ? mantissas[below(G_N_ELEMENTS(mantissas))] : random64() | (below(4) ? 1ull << 63 : 0);
}

static void random_fpu(X86Fpu *f)
{
    memset(f, 0, sizeof(*f));
    for (unsigned i = 0; i < 8; i++) {
        random_x87(&f->st[i].mantissa, &f->st[i].exponent);
    }
    f->fcw = 0x40 | (below(3) ? 0x3f : below(64)) | below(16) << 8;
    f->fsw = (random64() & 0x7f00) | (below(4) ? 0 : below(64)) | (below(8) ? 0 : 0x40);
    f->ftw = below(4) ? 0xff : below(256);
    if (f->fsw & ~f->fcw & 0x3f) {
        if (below(4)) {
            f->fsw &= ~0x3f;
        } else {
            f->fsw |= 0x8080;
        }
    }
    f->mxcsr = (below(3) ? 0x1f80 : below(64) << 7) | below(4) << 13 | (below(3) ? 0 : 0x40) |
               (below(3) ? 0 : 0x8000) | (below(2) ? 0 : below(64));
    for (unsigned i = 0; i < 16; i++) {
        f->v[i].q[0] = random_element();
        f->v[i].q[1] = below(4) ? random_element() : f->v[i].q[0];
        f->v[i].q[2] = below(4) ? random_element() : f->v[i].q[1];
        f->v[i].q[3] = below(4) ? random_element() : f->v[i].q[0];
    }
    for (unsigned i = 0; i < 32 && native_has("avx512bw"); i++) {
        for (unsigned j = i < 16 ? 4 : 0; j < 8; j++) {
            f->v[i].q[j] = random_element();
        }
        f->k[i & 7] = below(4) ? random64() : below(2) ? ~0ull : 0;
    }
}

void random_cpu(unsigned bits)
{
    random_fpu(&cpu->fpu);
    for (unsigned i = 0; i < 16; i++) {
        cpu->regs[i] = below(2) ? random64() : random_element();
        cpu->regs[i] &= bits == 64 ? ~0ull : 0xffffffff;
    }
    cpu->regs[X86_ZERO] = 0;
    cpu->cc = cc_from_flags(random64());
    fake_cpu_set_mode(bits);
}

/* Never counted */
void x86_go_apart(X86Cpu *c) { }
uint64_t icount_random(Icount *ic) { return 0; }
