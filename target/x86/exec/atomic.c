/*
 * target/x86/exec/atomic.c - LOCK, XCHG, XADD, CMPXCHG, CMPXCHG8B and CMPXCHG16B.
 *
 * Follows the Intel SDM, volume 3A, 8.1 (locked operations).  In RAM the host's own locked
 * instruction runs on the guest's memory, at any alignment within a page.  Device registers and
 * operands that cross a page are read and written under the machine lock: locked against each other
 * and against devices.
 */
#include "atomic.h"
#include "form.h"
#include "core/machine.h"
#include "gen/x86-exec.h"

typedef void AtomicFn(void *p, Atomic *a);

#define SAVE "\n\tlahf\n\tseto %%al"
#define LOAD "addb $127, %%al\n\tsahf\n\t"

#define BINARY(op, before, bits, suffix, type) \
    static void op##bits(void *p, Atomic *a) \
    { \
        uint16_t f = a->cc; \
        __asm__ volatile(before "lock " #op suffix " %2, %0" SAVE \
                         : "+m"(*(type *)p), "+&a"(f) : "r"((type)a->value) : "cc", "memory"); \
        a->cc = f; \
    }
#define UNARY(op, bits, suffix, type) \
    static void op##bits(void *p, Atomic *a) \
    { \
        uint16_t f = a->cc; \
        __asm__ volatile(LOAD "lock " #op suffix " %0" SAVE \
                         : "+m"(*(type *)p), "+&a"(f) : : "cc", "memory"); \
        a->cc = f; \
    }
#define XADD(bits, suffix, type) \
    static void xadd##bits(void *p, Atomic *a) \
    { \
        uint16_t f; \
        type v = (type)a->value; \
        __asm__ volatile("lock xadd" suffix " %2, %0" SAVE \
                         : "+m"(*(type *)p), "=&a"(f), "+r"(v) : : "cc", "memory"); \
        a->cc = f; \
        a->value = v; \
    }
#define XCHG(bits, suffix, type) \
    static void xchg##bits(void *p, Atomic *a) \
    { \
        type v = (type)a->value; \
        __asm__ volatile("xchg" suffix " %1, %0" : "+m"(*(type *)p), "+r"(v) : : "memory"); \
        a->value = v; \
    }
#define CMPXCHG(bits, suffix, type) \
    static void cmpxchg##bits(void *p, Atomic *a) \
    { \
        uint16_t f; \
        __asm__ volatile("movq %2, %%rax\n\tlock cmpxchg" suffix " %3, %0\n\tmovq %%rax, %2" SAVE \
                         : "+m"(*(type *)p), "=&a"(f), "+&r"(a->acc) \
                         : "r"((type)a->value) : "cc", "memory"); \
        a->cc = f; \
    }
#define ANY(bits, suffix, type) \
    BINARY(add, "", bits, suffix, type) BINARY(or, "", bits, suffix, type) \
    BINARY(adc, LOAD, bits, suffix, type) BINARY(sbb, LOAD, bits, suffix, type) \
    BINARY(and, "", bits, suffix, type) BINARY(sub, "", bits, suffix, type) \
    BINARY(xor, "", bits, suffix, type) \
    UNARY(inc, bits, suffix, type) UNARY(dec, bits, suffix, type) UNARY(neg, bits, suffix, type) \
    UNARY(not, bits, suffix, type) \
    XADD(bits, suffix, type) XCHG(bits, suffix, type) CMPXCHG(bits, suffix, type)
#define WIDE(bits, suffix, type) \
    BINARY(bts, LOAD, bits, suffix, type) BINARY(btr, LOAD, bits, suffix, type) \
    BINARY(btc, LOAD, bits, suffix, type)

ANY(8, "b", uint8_t)
ANY(16, "w", X86Mem16)
ANY(32, "l", X86Mem32)
ANY(64, "q", X86Mem64)
WIDE(16, "w", X86Mem16)
WIDE(32, "l", X86Mem32)
WIDE(64, "q", X86Mem64)

#define FOUR(op) [ATOMIC_##op] = { op##8, op##16, op##32, op##64 }
static AtomicFn *const functions[ATOMIC_KINDS][4] = {
    FOUR(add), FOUR(or), FOUR(adc), FOUR(sbb), FOUR(and), FOUR(sub), FOUR(xor), FOUR(inc), FOUR(dec),
    FOUR(neg), FOUR(not), FOUR(xchg), FOUR(xadd), FOUR(cmpxchg),
    [ATOMIC_bts] = { NULL, bts16, bts32, bts64 },
    [ATOMIC_btr] = { NULL, btr16, btr32, btr64 },
    [ATOMIC_btc] = { NULL, btc16, btc32, btc64 },
};

/* ---- what is not in one page of RAM ---- */

typedef void LockedFn(X86Cpu *c, void *opaque);

/* A fault inside must not keep the machine lock. */
static void under_machine_lock(X86Cpu *c, LockedFn *fn, void *opaque)
{
    Loop *loop = c->vcpu.machine->loop;
    jmp_buf here, *volatile outer = c->unwind;

    loop_lock(loop);
    c->unwind = &here;
    int raised = setjmp(here);
    if (!raised) {
        fn(c, opaque);
    }
    c->unwind = outer;
    loop_unlock(loop);
    if (raised) {
        longjmp(*outer, raised);
    }
}

typedef struct SlowAtomic {
    uint64_t linear;
    unsigned width;
    AtomicFn *fn;
    Atomic *a;
} SlowAtomic;

static void slow_atomic(X86Cpu *c, void *opaque)
{
    SlowAtomic *s = opaque;
    uint64_t v = x86_change_miss(c, s->linear, 1 << s->width, X86_DS);
    Atomic a = *s->a;

    s->fn(&v, &a);
    x86_st(c, s->linear, v, 1 << s->width);
    *s->a = a;
}

void x86_atomic(X86Cpu *c, uint64_t linear, unsigned width, AtomicKind kind, Atomic *a)
{
    AtomicFn *fn = functions[kind][width];
    void *p = x86_rmw(c, linear, 1 << width);

    if (G_LIKELY(p)) {
        fn(p, a);
    } else {
        under_machine_lock(c, slow_atomic, &(SlowAtomic){ linear, width, fn, a });
    }
}

void x86_locked(X86Cpu *c, const X86Insn *in, AtomicKind kind)
{
    unsigned width = x86_width(in);
    uint64_t linear = x86_linear(c, in->segment, x86_offset(c, in), 1 << width, true);
    Atomic a = { .cc = c->cc };

    switch (in->row->operand[1].kind) {
    case OPK_G: a.value = width == 0 ? get_reg8(c, in) : c->regs[in->reg]; break;
    case OPK_I: a.value = in->imm; break;
    }
    x86_atomic(c, linear, width, kind, &a);
    c->cc = a.cc;
    x86_next(c, in);
}

/* ---- instructions that are locked with memory, prefix or not ---- */

static uint64_t reg_value(X86Cpu *c, const X86Insn *in, unsigned width)
{
    return width == 0 ? get_reg8(c, in) : c->regs[in->reg];
}

static void put_register(uint64_t *r, unsigned width, uint64_t v)
{
    switch (width) {
    case 1: put16(r, (uint16_t)v); break;
    case 2: put32(r, (uint32_t)v); break;
    case 3: put64(r, v); break;
    }
}

static void set_reg_value(X86Cpu *c, const X86Insn *in, unsigned width, uint64_t v)
{
    if (width == 0) {
        set_reg8(c, in, (uint8_t)v);
    } else {
        put_register(&c->regs[in->reg], width, v);
    }
}

static void set_rm_value(X86Cpu *c, const X86Insn *in, unsigned width, uint64_t v)
{
    if (width == 0) {
        set_rm8(c, in, (uint8_t)v);
    } else {
        put_register(&c->regs[in->rm], width, v);
    }
}

/* r/m on which a function of memory can work: the register's value when it names one. */
static void apply(X86Cpu *c, const X86Insn *in, unsigned width, AtomicKind kind, Atomic *a)
{
    if (!in->mod3) {
        x86_atomic(c, x86_linear(c, in->segment, x86_offset(c, in), 1 << width, true), width, kind, a);
        return;
    }
    uint64_t v = width == 0 ? get_rm8(c, in) : c->regs[in->rm];
    functions[kind][width](&v, a);
    set_rm_value(c, in, width, v);
}

void exec_xchg(X86Cpu *c, const X86Insn *in)
{
    unsigned width = x86_width(in);

    if (in->row->operand[0].kind == OPK_Z) {
        uint64_t old = c->regs[in->rm];
        put_register(&c->regs[in->rm], width, c->regs[X86_RAX]);
        put_register(&c->regs[X86_RAX], width, old);
    } else {
        Atomic a = { .value = reg_value(c, in, width), .cc = c->cc };
        apply(c, in, width, ATOMIC_xchg, &a);
        set_reg_value(c, in, width, a.value);
    }
    x86_next(c, in);
}

/* With both operands the same register the sum remains: the destination is written last. */
void exec_xadd(X86Cpu *c, const X86Insn *in)
{
    unsigned width = x86_width(in);
    Atomic a = { .value = reg_value(c, in, width) };

    if (in->mod3) {
        uint64_t v = width == 0 ? get_rm8(c, in) : c->regs[in->rm];
        functions[ATOMIC_xadd][width](&v, &a);
        set_reg_value(c, in, width, a.value);
        set_rm_value(c, in, width, v);
    } else {
        apply(c, in, width, ATOMIC_xadd, &a);
        set_reg_value(c, in, width, a.value);
    }
    c->cc = a.cc;
    x86_next(c, in);
}

/* In registers the host's instruction decides what becomes of upper halves. */
static void cmpxchg_registers(X86Cpu *c, const X86Insn *in, unsigned width)
{
    uint64_t dst = c->regs[in->rm], src = c->regs[in->reg], acc = c->regs[X86_RAX], f = 0;

#define CMPXCHG_REG(form) \
    __asm__("movq %2, %%rax\n\tcmpxchg" form "\n\tmovq %%rax, %2" SAVE \
            : "+&r"(dst), "=&a"(f), "+&r"(acc) : "r"(src) : "cc")
    switch (width) {
    case 1: CMPXCHG_REG("w %w3, %w0"); break;
    case 2: CMPXCHG_REG("l %k3, %k0"); break;
    case 3: CMPXCHG_REG("q %3, %0"); break;
    }
#undef CMPXCHG_REG
    c->regs[X86_RAX] = acc;
    c->regs[in->rm] = in->rm == X86_RAX ? acc : dst;
    c->cc = (uint16_t)f;
}

void exec_cmpxchg(X86Cpu *c, const X86Insn *in)
{
    unsigned width = x86_width(in);

    if (in->mod3 && width != 0 && in->rm != X86_RAX) {
        cmpxchg_registers(c, in, width);
    } else {
        Atomic a = { .value = reg_value(c, in, width), .acc = c->regs[X86_RAX] };
        apply(c, in, width, ATOMIC_cmpxchg, &a);
        /* CMPXCHG AL, r and its wider kin: equal always, so that the destination counts. */
        if (!(in->mod3 && (width == 0 ? in->rm8 == 0 : in->rm == X86_RAX))) {
            if (width == 0) {               /* the destination may have been AH */
                set_acc8(c, in, (uint8_t)a.acc);
            } else {
                c->regs[X86_RAX] = a.acc;
            }
        }
        c->cc = a.cc;
    }
    x86_next(c, in);
}

typedef struct Pair { uint64_t linear, low, high, new_low, new_high; bool equal; } Pair;

static void slow_pair(X86Cpu *c, void *opaque)
{
    Pair *p = opaque;
    uint64_t low = x86_change_miss(c, p->linear, 8, X86_DS), high = x86_change_miss(c, p->linear + 8, 8, X86_DS);

    p->equal = low == p->low && high == p->high;
    x86_st(c, p->linear, p->equal ? p->new_low : low, 8);
    x86_st(c, p->linear + 8, p->equal ? p->new_high : high, 8);
    p->low = low;
    p->high = high;
}

static void cmpxchg16b(X86Cpu *c, const X86Insn *in)
{
    Pair p = { .linear = x86_operand(c, in, 16, true),
               .low = c->regs[X86_RAX], .high = c->regs[X86_RDX],
               .new_low = c->regs[X86_RBX], .new_high = c->regs[X86_RCX] };

    if (p.linear & 15) {                /* before it is looked at whether it is canonical */
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_check_operand(c, in->segment, p.linear, 16, 1);
    void *host = x86_rmw(c, p.linear, 16);
    if (host) {
        __asm__ volatile("lock cmpxchg16b %0\n\tsetz %1"
                         : "+m"(*(unsigned __int128 *)host), "=q"(p.equal), "+a"(p.low), "+d"(p.high)
                         : "b"(p.new_low), "c"(p.new_high) : "cc", "memory");
    } else {
        under_machine_lock(c, slow_pair, &p);
    }
    if (!p.equal) {
        c->regs[X86_RAX] = p.low;
        c->regs[X86_RDX] = p.high;
    }
    c->cc = (uint16_t)((c->cc & ~CC_ZF) | (p.equal ? CC_ZF : 0));
}

/* CMPXCHG of 64 bits, with the values in register pairs. */
static void cmpxchg8b(X86Cpu *c, const X86Insn *in)
{
    uint64_t linear = x86_linear(c, in->segment, x86_offset(c, in), 8, true);
    uint64_t want = c->regs[X86_RDX] << 32 | (uint32_t)c->regs[X86_RAX];
    Atomic a = { .value = c->regs[X86_RCX] << 32 | (uint32_t)c->regs[X86_RBX], .acc = want };

    x86_atomic(c, linear, 3, ATOMIC_cmpxchg, &a);
    if (!(a.cc & CC_ZF)) {
        c->regs[X86_RAX] = (uint32_t)a.acc;
        c->regs[X86_RDX] = a.acc >> 32;
    }
    c->cc = (uint16_t)((c->cc & ~CC_ZF) | (a.cc & CC_ZF));
}

void exec_cmpxchg8b(X86Cpu *c, const X86Insn *in)
{
    if (in->opsize == 64) {
        cmpxchg16b(c, in);
    } else {
        cmpxchg8b(c, in);
    }
    x86_next(c, in);
}
