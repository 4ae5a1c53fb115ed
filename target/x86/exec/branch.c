/*
 * target/x86/exec/branch.c - near JMP, Jcc, CALL, RET, LOOPcc, JCXZ.
 *
 * Follows the Intel SDM, volume 2.  A target beyond CS's limit, or that is not canonical, is a fault
 * of the branch (volume 1, 6.3), so it is checked before any register changes; CALL has pushed by then, as on
 * silicon.  A Jcc that is not taken
 * goes on with the instruction behind it; all others return to the run loop.
 */
#include "form.h"
#include "gen/x86-exec.h"

/* The value RIP would get; raises #GP(0). */
static ALWAYS_INLINE uint64_t target(X86Cpu *c, const X86Insn *in, uint64_t to)
{
    if ((c->mode & MODE_CODE) == MODE_CODE64) {
        if (G_UNLIKELY(!x86_canonical(c, to))) {
            x86_raise_error(c, EXC_GP, 0);
        }
        return to;
    }
    to &= in->opsize == 16 ? 0xffff : 0xffffffff;
    if (G_UNLIKELY(to > c->seg[X86_CS].limit)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return to;
}

static ALWAYS_INLINE uint64_t relative(X86Cpu *c, const X86Insn *in)
{
    return target(c, in, c->regs[X86_RIP] + in->imm);
}

/* ---- jumps ---- */

#define CONDITIONS(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define JCC(n) \
    static void jcc##n(X86Cpu *c, const X86Insn *in) \
    { \
        if (cc_holds(c->cc, n)) { \
            c->regs[X86_RIP] = relative(c, in); \
        } else { \
            x86_next(c, in); \
        } \
    }
CONDITIONS(JCC)
#define ROW(n) jcc##n,
static X86ExecFn *const jcc_forms[16] = { CONDITIONS(ROW) };

void exec_jcc(X86Cpu *c, const X86Insn *in)
{
    jcc_forms[in->opcode & 15](c, in);
}

static uint64_t indirect(X86Cpu *c, const X86Insn *in)
{
    switch (in->opsize) {
    case 64: return load_rm64(c, in);
    case 32: return load_rm32(c, in);
    default: return load_rm16(c, in);
    }
}

static void jmp_relative(X86Cpu *c, const X86Insn *in)
{
    c->regs[X86_RIP] = relative(c, in);
}

void exec_jmp(X86Cpu *c, const X86Insn *in)
{
    c->regs[X86_RIP] = in->row->operand[0].kind == OPK_J ? relative(c, in) : target(c, in, indirect(c, in));
}

/* rCX as wide as addresses are, one less; the flags stay. */
static uint64_t count_down(X86Cpu *c, const X86Insn *in)
{
    uint64_t mask = ~0ull >> (64 - in->addrsize);

    return (c->regs[X86_RCX] - 1) & mask;
}

static void set_count(X86Cpu *c, const X86Insn *in, uint64_t v)
{
    if (in->addrsize == 16) {
        put16(&c->regs[X86_RCX], (uint16_t)v);
    } else {
        c->regs[X86_RCX] = v;
    }
}

static void loop_if(X86Cpu *c, const X86Insn *in, bool also)
{
    uint64_t n = count_down(c, in), to = n != 0 && also ? relative(c, in) : c->regs[X86_RIP];

    set_count(c, in, n);
    c->regs[X86_RIP] = to;
}

void exec_loop(X86Cpu *c, const X86Insn *in) { loop_if(c, in, true); }
void exec_loope(X86Cpu *c, const X86Insn *in) { loop_if(c, in, c->cc & CC_ZF); }
void exec_loopne(X86Cpu *c, const X86Insn *in) { loop_if(c, in, !(c->cc & CC_ZF)); }

void exec_jcxz(X86Cpu *c, const X86Insn *in)
{
    if ((c->regs[X86_RCX] & ~0ull >> (64 - in->addrsize)) == 0) {
        c->regs[X86_RIP] = relative(c, in);
    }
}

/* ---- calls ---- */

void exec_call(X86Cpu *c, const X86Insn *in)
{
    uint64_t to = in->row->operand[0].kind == OPK_J ? c->regs[X86_RIP] + in->imm : indirect(c, in);
    uint64_t old = c->regs[X86_RSP];

    switch (in->opsize) {
    case 64: x86_push64(c, c->regs[X86_RIP]); break;
    case 32: x86_push32(c, (uint32_t)c->regs[X86_RIP]); break;
    default: x86_push16(c, (uint16_t)c->regs[X86_RIP]); break;
    }
    uint64_t sp = c->regs[X86_RSP];
    c->regs[X86_RSP] = old;             /* so a fault finds it */
    c->regs[X86_RIP] = target(c, in, to);
    c->regs[X86_RSP] = sp;
}

static void call64_relative(X86Cpu *c, const X86Insn *in)
{
    uint64_t sp = c->regs[X86_RSP] - 8;

    x86_store64(c, X86_SS, sp, c->regs[X86_RIP]);
    c->regs[X86_RIP] = relative(c, in);
    c->regs[X86_RSP] = sp;
}

/* RET n drops n bytes of arguments. */
void exec_ret(X86Cpu *c, const X86Insn *in)
{
    uint64_t to = in->opsize == 64 ? x86_top64(c) : in->opsize == 32 ? x86_top32(c) : x86_top16(c);

    to = target(c, in, to);
    x86_set_sp(c, c->regs[X86_RSP] + in->opsize / 8 + in->imm);
    c->regs[X86_RIP] = to;
}

static void ret64(X86Cpu *c, const X86Insn *in)
{
    uint64_t to = target(c, in, x86_load64(c, X86_SS, c->regs[X86_RSP]));

    c->regs[X86_RSP] += 8 + in->imm;
    c->regs[X86_RIP] = to;
}

X86ExecFn *bind_branch(const X86Cpu *c, const X86Insn *in)
{
    bool mode64 = (c->mode & MODE_CODE) == MODE_CODE64, relative_target = in->row->operand[0].kind == OPK_J;

    switch (in->row->op) {
    case OP_JCC: return jcc_forms[in->opcode & 15];
    case OP_JMP: return relative_target ? jmp_relative : exec_jmp;
    case OP_CALL: return mode64 && relative_target ? call64_relative : exec_call;
    case OP_RET: return mode64 ? ret64 : exec_ret;
    default: return NULL;
    }
}
