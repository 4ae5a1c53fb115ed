/*
 * accel/dbt/x86_64/branch.c - near branches and the stack.
 */
#include "trans.h"

/* The stack pointer as wide as the stack is; only 64-bit and flat 32-bit stacks get here. */
static unsigned address_flags(const Trans *t) { return t->code64 ? E_W : 0; }

static bool natural_size(const Trans *t)
{
    return t->in->opsize == (t->code64 ? 64 : 32);
}

static unsigned slot(const Trans *t) { return t->code64 ? 8 : 4; }

void trans_move_sp(Trans *t, int32_t by)
{
    unsigned sp = trans_pinned[X86_RSP];

    if (by) {
        emit_op(&t->e, address_flags(t), 0x8d, sp, host_mem(sp, by));
    }
}

/* Where a push goes: the slot below SP, which has not moved yet. */
static Operand push_slot(Trans *t, bool one_register)
{
    return trans_stack(t, -(int32_t)slot(t), slot(t), true, one_register);
}

static Operand pop_slot(Trans *t)
{
    return trans_stack(t, 0, slot(t), false, false);
}

/* ---- PUSH, POP, LEAVE ---- */

enum { MOST_TOGETHER = 8 };

/* Registers that are pushed or popped one after the other share a probe. */
static unsigned count_together(const Trans *t)
{
    const X86Insn *in = t->in;
    unsigned n = 0;

    while (n < MOST_TOGETHER && t->i + n < t->b->count && in[n].row && in[n].row->op == in->row->op && in[n].mod3
           && in[n].row->operand[0].kind != OPK_I && in[n].opsize == in->opsize && in[n].rm != X86_RSP) {
        n++;
    }
    return n;
}

static void push_together(Trans *t, unsigned n)
{
    int32_t size = (int32_t)slot(t);

    t->together = (uint8_t)n;
    Operand m = trans_stack(t, -(int32_t)n * size, n * slot(t), true, true);
    for (unsigned i = 0; i < n; i++) {
        m.disp = (int32_t)(n - 1 - i) * size;
        emit_op(&t->e, address_flags(t), 0x89, trans_use(t, t->in[i].rm, H_T0), m);
    }
    trans_move_sp(t, -(int32_t)n * size);
}

static void pop_together(Trans *t, unsigned n)
{
    t->together = (uint8_t)n;
    Operand m = trans_stack(t, 0, n * slot(t), false, true);
    for (unsigned i = 0; i < n; i++) {
        unsigned guest = t->in[i].rm, host = trans_pinned[guest] != H_NONE ? trans_pinned[guest] : H_T0;
        m.disp = (int32_t)(i * slot(t));
        emit_op(&t->e, address_flags(t), 0x8b, host, m);
        trans_put(t, guest, host);
    }
    trans_move_sp(t, (int32_t)(n * slot(t)));
}

bool trans_push_word(Trans *t, unsigned host)
{
    emit_store(&t->e, GS_OF(dbt.temp), host);
    Operand m = push_slot(t, true);
    emit_load(&t->e, H_T0, GS_OF(dbt.temp));
    emit_op(&t->e, address_flags(t), 0x89, H_T0, m);
    trans_move_sp(t, -(int32_t)slot(t));
    return true;
}

bool trans_push(Trans *t)
{
    const X86Insn *in = t->in;
    unsigned size = address_flags(t);

    if (!natural_size(t)) {
        return false;
    }
    unsigned n = count_together(t);
    if (n > 1) {
        push_together(t, n);
        return true;
    }
    if (in->row->operand[0].kind == OPK_I) {
        Operand m = push_slot(t, false);
        emit_op(&t->e, size, 0xc7, 0, m);
        emit32(&t->e, (uint32_t)in->imm);
    } else if (in->mod3) {
        bool load = trans_pinned[in->rm] == H_NONE;
        Operand m = push_slot(t, load);
        emit_op(&t->e, size, 0x89, trans_use(t, in->rm, H_T0), m);
    } else {
        Operand m;
        if (!trans_memory(t, slot(t), false, false, &m)) {
            return false;
        }
        emit_op(&t->e, size, 0x8b, H_T0, m);
        return trans_push_word(t, H_T0);
    }
    trans_move_sp(t, -(int32_t)slot(t));
    return true;
}

bool trans_pop(Trans *t)
{
    const X86Insn *in = t->in;

    if (!natural_size(t) || !in->mod3) {
        return false;
    }
    unsigned n = count_together(t);
    if (n) {
        pop_together(t, n);
        return true;
    }
    Operand m = pop_slot(t);
    emit_op(&t->e, address_flags(t), 0x8b, H_T0, m);
    trans_put(t, X86_RSP, H_T0);                        /* no other comes here */
    return true;
}

bool trans_leave(Trans *t)
{
    unsigned bp = trans_pinned[X86_RBP], sp = trans_pinned[X86_RSP];

    if (!natural_size(t)) {
        return false;
    }
    trans_flags_saved(t);
    emit_op(&t->e, address_flags(t), 0x8b, H_T1, host_reg(bp));
    Operand m = trans_probe(t, slot(t), false, false);
    emit_op(&t->e, address_flags(t), 0x8d, sp, host_mem(bp, (int32_t)slot(t)));
    emit_op(&t->e, address_flags(t), 0x8b, bp, m);
    return true;
}

/* ---- jumps ---- */

static int64_t target(const Trans *t) { return (int64_t)t->next + (int64_t)t->in->imm; }

/* Targets that wrap, or are so far that the sum of displacements does not fit, are the handler's. */
static bool reachable(const Trans *t)
{
    return natural_size(t) && target(t) == (int32_t)target(t);
}

bool trans_jcc(Trans *t)
{
    if (!reachable(t)) {
        return false;
    }
    trans_flags_needed(t);
    trans_exit_if(t, t->in->opcode & 15, target(t));
    return true;
}

void trans_check_canonical(Trans *t)
{
    if (t->code64) {
        emit_mov(&t->e, H_T0, H_T1);
        emit_op(&t->e, E_W, 0xc1, 7, host_reg(H_T0));               /* sar T0, 47 */
        emit8(&t->e, 47);
        emit_alu_imm(&t->e, E_W, ALU_ADD, host_reg(H_T0), 1);
        emit_alu_imm(&t->e, E_W, ALU_CMP, host_reg(H_T0), 1);
        trans_slow_if(t, CC_A);
        trans_flags_clobbered(t);
    }
}

/* The target that a register or memory names goes to T1. */
static bool load_target(Trans *t)
{
    const X86Insn *in = t->in;
    Operand m;

    if (!natural_size(t)) {
        return false;
    }
    trans_flags_saved(t);
    if (in->mod3) {
        emit_op(&t->e, address_flags(t), 0x8b, H_T1, trans_reg(in->rm));
    } else {
        if (!trans_memory(t, slot(t), false, false, &m)) {
            return false;
        }
        emit_op(&t->e, address_flags(t), 0x8b, H_T1, m);
    }
    return true;
}

bool trans_jmp(Trans *t)
{
    if (t->in->row->operand[0].kind == OPK_J) {
        if (!reachable(t)) {
            return false;
        }
        trans_exit_to(t, target(t));
        return true;
    }
    if (!load_target(t)) {
        return false;
    }
    trans_exit_indirect(t, 0);
    return true;
}

static void push_return_address(Trans *t)
{
    Operand m = push_slot(t, true);

    trans_rip(t, H_T0, t->next);
    emit_op(&t->e, address_flags(t), 0x89, H_T0, m);
    trans_move_sp(t, -(int32_t)slot(t));
}

bool trans_call(Trans *t)
{
    if (t->in->row->operand[0].kind == OPK_J) {
        if (!reachable(t)) {
            return false;
        }
        push_return_address(t);
        trans_exit_to(t, target(t));
        return true;
    }
    if (!load_target(t)) {
        return false;
    }
    trans_check_canonical(t);                           /* the push cannot be undone */
    emit_store(&t->e, GS_OF(dbt.temp), H_T1);
    push_return_address(t);
    emit_load(&t->e, H_T1, GS_OF(dbt.temp));
    trans_exit_indirect(t, 0);
    return true;
}

bool trans_ret(Trans *t)
{
    if (!natural_size(t)) {
        return false;
    }
    Operand m = pop_slot(t);
    emit_op(&t->e, address_flags(t), 0x8b, H_T1, m);
    trans_exit_indirect(t, slot(t) + (unsigned)t->in->imm);
    return true;
}

/* ---- by RCX ---- */

/* JRCXZ reaches 127 bytes: over a jump that goes anywhere. */
static void emit_jcxz(Trans *t, unsigned over)
{
    emit_op(&t->e, t->in->addrsize == 64 ? E_W : 0, 0x8b, H_RCX, host_reg(trans_pinned[X86_RCX]));
    emit8(&t->e, 0xe3);
    emit8(&t->e, over);
}

bool trans_loop(Trans *t)
{
    unsigned size = t->in->addrsize == 64 ? E_W : 0, rcx = trans_pinned[X86_RCX];

    if (!reachable(t) || t->in->addrsize == 16) {
        return false;
    }
    emit_op(&t->e, size, 0x8d, rcx, host_mem(rcx, -1));
    emit_jcxz(t, 5);
    trans_exit_jump(t, emit_jmp(&t->e), target(t));
    trans_exit_to(t, t->next);
    return true;
}

bool trans_jcxz(Trans *t)
{
    if (!reachable(t) || t->in->addrsize == 16) {
        return false;
    }
    emit_jcxz(t, 2);
    emit8(&t->e, 0xeb);
    emit8(&t->e, 5);
    trans_exit_jump(t, emit_jmp(&t->e), target(t));
    trans_exit_to(t, t->next);
    return true;
}
