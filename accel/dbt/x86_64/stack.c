/*
 * accel/dbt/x86_64/stack.c - accesses by RSP: one page is remembered, so that they need not look into the TLB.
 *
 * Most of them are to one page for a long time.  X86Cpu.stack has its linear address, where it lies, and for each
 * number of words up to STACK_WORDS the offset from which on they do not fit.  The page is one that may be read
 * and written; another one is probed for in the TLB, out of line, and remembered if it is one of those.  Whatever
 * takes from the TLB forgets the page: all offsets are 0 then, and no address can be a hit.
 */
#include "trans.h"

#include "target/x86/mem.h"

/* PATIENCE: misses before another page is remembered, as a frame may lie across the border of two. */
enum { WORD = 8, PATIENCE = 8 };

static Operand limit_of(unsigned bytes)
{
    return host_gs((int32_t)(offsetof(X86Cpu, stack.beyond) + ((bytes + WORD - 1) / WORD - 1) * sizeof(uint64_t)));
}

bool trans_is_on_stack(const Trans *t, unsigned bytes)
{
    const X86Insn *in = t->in;

    return in->base == X86_RSP && in->index == X86_ZERO && in->addrsize == (t->code64 ? 64 : 32)
        && in->segment < X86_FS && in->segment != X86_CS && bytes <= X86_STACK_WORDS * WORD;
}

Operand trans_stack(Trans *t, int32_t disp, unsigned bytes, bool write, bool one_register)
{
    Emit *e = &t->e;

    trans_flags_saved(t);
    emit_op(e, t->code64 ? E_W : 0, 0x8d, H_T1, host_mem(trans_pinned[X86_RSP], disp));
    emit_op(e, E_W, 0x2b, H_T1, GS_OF(stack.page));
    emit_op(e, E_W, 0x3b, H_T1, limit_of(bytes));
    uint8_t *jump = emit_jcc(e, CC_AE);
    trans_flags_clobbered(t);
    emit_op(e, E_W, one_register ? 0x03 : 0x8b, one_register ? H_T1 : H_T0, GS_OF(stack.host));
    if (t->n_stack_miss == STACK_MISSES) {
        e->full = true;
    } else {
        t->stack_miss[t->n_stack_miss++] = (StackMiss){ jump, e->p, (uint8_t)t->i, t->together, (uint8_t)bytes, write,
                                                        one_register, t->x87_last };
    }
    return one_register ? host_mem(H_T1, 0) : host_mem_index(H_T0, H_T1, 0, 0);
}

void trans_stack_misses(Trans *t)
{
    Emit *e = &t->e;

    for (unsigned n = 0; n < t->n_stack_miss; n++) {
        const StackMiss *m = &t->stack_miss[n];
        t->i = m->insn;
        t->together = m->together;
        t->x87_last = m->x87_last;
        emit_land(e, m->jump);
        emit_call_to(e, m->write ? t->v->thunk.stack_write : t->v->thunk.stack_read);
        emit_alu_imm(e, E_W, ALU_CMP, host_reg(H_T1), (int32_t)(PAGE_SIZE - m->bytes));
        trans_slow_if(t, CC_A);
        if (m->one_register) {
            emit_op(e, E_W, 0x03, H_T1, host_reg(H_T0));
        }
        emit_jmp_to(e, m->back);
    }
}

/* With SMAP, what is open to the kernel while AC is set must not be remembered: CLAC would have to forget it. */
static uint8_t *emit_if_for_ac_only(Emit *e)
{
    emit_load(e, H_T1, GS_OF(tlb_by_ac[1]));
    emit_op(e, E_W, 0x3b, H_T1, GS_OF(tlb_by_ac[0]));
    uint8_t *same = emit_jcc(e, CC_E);
    emit_op(e, E_W, 0x3b, H_T1, GS_OF(tlb));
    uint8_t *only = emit_jcc(e, CC_E);
    emit_land(e, same);
    return only;
}

static void emit_remember(Emit *e)
{
    emit_load(e, H_T1, host_mem(H_T0, offsetof(X86TlbEntry, read)));
    emit_store(e, GS_OF(stack.page), H_T1);
    emit_load(e, H_T1, host_mem(H_T0, offsetof(X86TlbEntry, host)));
    emit_store(e, GS_OF(stack.host), H_T1);
    for (unsigned words = 1; words <= X86_STACK_WORDS; words++) {
        emit_op(e, E_W, 0xc7, 0, limit_of(words * WORD));
        emit32(e, PAGE_SIZE - words * WORD + 1);
    }
    emit_op(e, 0, 0xc7, 0, GS_OF(stack.patience));
    emit32(e, PATIENCE);
}

/* Called with the address less X86Cpu.stack.page in T1, which becomes the offset in the page, and its place in T0; or
 * ~0 if the TLB does not have it. */
static const uint8_t *make_miss(DbtVcpu *v, Emit *e, bool write)
{
    const uint8_t *at = e->p;

    emit_op(e, E_W, 0x03, H_T1, GS_OF(stack.page));
    uint8_t *none = emit_tlb_lookup(e, v->engine.cpu, 1, write);
    emit_alu_imm(e, 0, ALU_SUB, GS_OF(stack.patience), 1);
    uint8_t *patient = emit_jcc(e, CC_NS);
    emit_store(e, GS_OF(stack.offset), H_T1);
    emit_load(e, H_T1, host_mem(H_T0, offsetof(X86TlbEntry, read)));
    emit_op(e, E_W, 0x3b, H_T1, host_mem(H_T0, offsetof(X86TlbEntry, write)));
    uint8_t *one_way = emit_jcc(e, CC_NE);
    uint8_t *ac_only = emit_if_for_ac_only(e);
    emit_remember(e);
    emit_land(e, one_way);
    emit_land(e, ac_only);
    emit_load(e, H_T1, GS_OF(stack.offset));
    emit_land(e, patient);
    emit_load(e, H_T0, host_mem(H_T0, offsetof(X86TlbEntry, host)));
    emit8(e, 0xc3);
    emit_land(e, none);
    emit_imm(e, H_T1, ~0ull);
    emit8(e, 0xc3);
    return at;
}

void stack_make_misses(DbtVcpu *v, Emit *e)
{
    v->thunk.stack_read = make_miss(v, e, false);
    v->thunk.stack_write = make_miss(v, e, true);
}
