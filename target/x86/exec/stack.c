/*
 * target/x86/exec/stack.c - PUSH POP PUSHA POPA ENTER LEAVE of general registers and memory; BOUND.
 *
 * Follows the Intel SDM, volume 2.  SP changes after the last access that can fault.
 */
#include "form.h"
#include "gen/x86-exec.h"

/* ---- PUSH, POP ---- */

#define PUSH(bits) \
    static void push##bits(X86Cpu *c, const X86Insn *in) \
    { \
        bool immediate = in->row->operand[0].kind == OPK_I; \
        x86_push##bits(c, immediate ? (uint##bits##_t)in->imm : load_rm##bits(c, in)); \
    }
PUSH(16)
PUSH(32)
PUSH(64)

void exec_push(X86Cpu *c, const X86Insn *in)
{
    BY_OPSIZE(in, push, c, in);
    x86_next(c, in);
}

/* An address based on SP is formed with SP as it is after the pop. */
#define POP(bits) \
    static void pop##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t v = x86_top##bits(c); \
        uint64_t old = c->regs[X86_RSP]; \
        x86_set_sp(c, old + bits / 8); \
        if (in->mod3) { \
            set_rm##bits(c, in, v); \
            return; \
        } \
        uint64_t off = x86_offset(c, in), sp = c->regs[X86_RSP]; \
        c->regs[X86_RSP] = old; \
        x86_store##bits(c, in->segment, x86_segmented(c, in->segment, off, bits / 8, true), v); \
        c->regs[X86_RSP] = sp; \
    }
POP(16)
POP(32)
POP(64)

void exec_pop(X86Cpu *c, const X86Insn *in)
{
    BY_OPSIZE(in, pop, c, in);
    x86_next(c, in);
}

static COLD void push64_miss(X86Cpu *c, const X86Insn *in, uint64_t sp)
{
    x86_store_miss(c, sp, c->regs[in->rm], 8, X86_SS);
    c->regs[X86_RSP] = sp;
    x86_next(c, in);
}

static void push64_register(X86Cpu *c, const X86Insn *in)
{
    uint64_t sp = c->regs[X86_RSP] - 8;
    X86Mem64 *p = x86_in_place(c, sp, 8);

    if (G_UNLIKELY(!p)) {
        push64_miss(c, in, sp);
        return;
    }
    *p = c->regs[in->rm];
    c->regs[X86_RSP] = sp;
    x86_next(c, in);
}

static COLD void pop64_miss(X86Cpu *c, const X86Insn *in)
{
    uint64_t v = x86_load_miss(c, c->regs[X86_RSP], 8, X86_SS);

    c->regs[X86_RSP] += 8;
    c->regs[in->rm] = v;
    x86_next(c, in);
}

static void pop64_register(X86Cpu *c, const X86Insn *in)
{
    const X86Mem64 *p = x86_readable(c, c->regs[X86_RSP], 8);

    if (G_UNLIKELY(!p)) {
        pop64_miss(c, in);
        return;
    }
    c->regs[X86_RSP] += 8;
    c->regs[in->rm] = *p;
    x86_next(c, in);
}

X86ExecFn *bind_stack(const X86Cpu *c, const X86Insn *in)
{
    bool fast = (c->mode & MODE_CODE) == MODE_CODE64 && in->opsize == 64 && in->mod3
        && in->row->operand[0].kind != OPK_I;

    switch (in->row->op) {
    case OP_PUSH: return fast ? push64_register : exec_push;
    case OP_POP: return fast ? pop64_register : exec_pop;
    default: return NULL;
    }
}

/* ---- all registers ---- */

static uint64_t stack_address(X86Cpu *c, uint64_t sp, unsigned size, bool write)
{
    return x86_segmented(c, X86_SS, sp & x86_stack_mask(c), size, write);
}

static void store_stack(X86Cpu *c, uint64_t sp, unsigned size, uint64_t v)
{
    uint64_t at = stack_address(c, sp, size, true);

    switch (size) {
    case 2: x86_store16(c, X86_SS, at, (uint16_t)v); break;
    case 4: x86_store32(c, X86_SS, at, (uint32_t)v); break;
    default: x86_store64(c, X86_SS, at, v); break;
    }
}

static uint64_t load_stack(X86Cpu *c, uint64_t sp, unsigned size)
{
    uint64_t at = stack_address(c, sp, size, false);

    return size == 2 ? x86_load16(c, X86_SS, at) : size == 4 ? x86_load32(c, X86_SS, at)
                                                             : x86_load64(c, X86_SS, at);
}

void exec_pusha(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    uint64_t sp = c->regs[X86_RSP];

    for (unsigned r = X86_RAX; r <= X86_RDI; r++) {
        sp -= size;
        store_stack(c, sp, size, c->regs[r]);
    }
    x86_set_sp(c, sp);
    x86_next(c, in);
}

void exec_popa(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    uint64_t sp = c->regs[X86_RSP];

    /* One after the other (volume 2, POPA): those before one that faults are loaded, and will be again */
    for (int r = X86_RDI; r >= X86_RAX; r--) {
        uint64_t v = load_stack(c, sp, size);
        sp += size;
        if (r == X86_RSP) {
            continue;
        }
        if (size == 2) {
            put16(&c->regs[r], (uint16_t)v);
        } else {
            put32(&c->regs[r], (uint32_t)v);
        }
    }
    x86_set_sp(c, sp);
    x86_next(c, in);
}

/* ---- frames ---- */

static void set_frame_pointer(X86Cpu *c, const X86Insn *in, uint64_t v)
{
    BY_OPSIZE(in, put, &c->regs[X86_RBP], v);
}

void exec_enter(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8, level = in->imm2 & 31;
    uint64_t sp = c->regs[X86_RSP] - size, bp = c->regs[X86_RBP], frame = sp;

    store_stack(c, sp, size, bp);
    for (unsigned i = 1; i < level; i++) {
        bp -= size;
        sp -= size;
        store_stack(c, sp, size, load_stack(c, bp, size));
    }
    if (level) {
        sp -= size;
        store_stack(c, sp, size, frame);
    }
    sp -= in->imm;
    /* The frame must be writable at its end (volume 2, ENTER), and aligned there as for a push */
    uint64_t end = x86_linear(c, X86_SS, sp & x86_stack_mask(c), size, true);
    x86_check_alignment(c, end, size);
    x86_probe_write(c, end, size);
    set_frame_pointer(c, in, frame);
    x86_set_sp(c, sp);
    x86_next(c, in);
}

void exec_leave(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    uint64_t sp = c->regs[X86_RBP], v = load_stack(c, sp, size);

    x86_set_sp(c, sp + size);
    set_frame_pointer(c, in, v);
    x86_next(c, in);
}

/* ---- BOUND ---- */

void exec_bound(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    uint64_t at = x86_operand(c, in, 2 * size, false);
    bool out;

    /* Below the lower bound the upper one is not read */
    if (size == 2) {
        int16_t index = get_reg16(c, in);
        out = index < (int16_t)x86_load16(c, in->segment, at)
            || index > (int16_t)x86_load16(c, in->segment, (uint32_t)(at + 2));
    } else {
        int32_t index = get_reg32(c, in);
        out = index < (int32_t)x86_load32(c, in->segment, at)
            || index > (int32_t)x86_load32(c, in->segment, (uint32_t)(at + 4));
    }
    if (out) {
        x86_raise(c, EXC_BR);
    }
    x86_next(c, in);
}
