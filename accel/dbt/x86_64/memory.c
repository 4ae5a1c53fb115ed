/*
 * accel/dbt/x86_64/memory.c - memory operands: the guest's address, and the probe of the TLB.
 */
#include "trans.h"

#include "target/x86/mem.h"

const uint8_t trans_pinned[16] = { H_R12, H_R14, H_RDX, H_RBX, H_R13, H_RBP, H_RSI, H_RDI,
                                   H_R8, H_R9, H_R10, H_R11, H_NONE, H_NONE, H_NONE, H_NONE };

unsigned trans_use(Trans *t, unsigned guest, unsigned scratch)
{
    if (trans_pinned[guest] != H_NONE) {
        return trans_pinned[guest];
    }
    emit_load(&t->e, scratch, trans_gs_reg(guest));
    return scratch;
}

void trans_put(Trans *t, unsigned guest, unsigned host)
{
    if (trans_pinned[guest] == H_NONE) {
        emit_store(&t->e, trans_gs_reg(guest), host);
    } else if (trans_pinned[guest] != host) {
        emit_mov(&t->e, trans_pinned[guest], host);
    }
}

void trans_rip(Trans *t, unsigned to, int64_t offset)
{
    emit_load(&t->e, to, GS_OF(dbt.page));
    if (offset) {
        emit_op(&t->e, t->code64 ? E_W : 0, 0x8d, to, host_mem(to, (int32_t)offset));
    }
}

bool trans_effective(Trans *t, unsigned to)
{
    const X86Insn *in = t->in;
    Operand a = { OPERAND_MEM, H_NONE, H_NONE, in->scale, in->disp };
    bool has_base = in->base != X86_ZERO, has_index = in->index != X86_ZERO;

    if (in->addrsize == 16) {
        return false;
    }
    if (in->base == X86_RIP) {
        int64_t offset = (int64_t)t->next + in->disp;
        if (in->addrsize != 64 || offset != (int32_t)offset) {
            return false;
        }
        trans_rip(t, to, offset);
        return true;
    }
    if (has_base) {
        a.reg = trans_use(t, in->base, to);
    }
    if (has_index) {
        a.index = trans_use(t, in->index, has_base && a.reg == to ? H_T0 : to);
    }
    if (in->addrsize == 64 && !has_index && has_base && a.disp == 0) {
        if (a.reg != to) {
            emit_mov(&t->e, to, a.reg);
        }
    } else if (!has_base && !has_index) {
        emit_imm(&t->e, to, in->addrsize == 64 ? (uint64_t)(int64_t)in->disp : (uint32_t)in->disp);
    } else {
        emit_op(&t->e, in->addrsize == 64 ? E_W : 0, 0x8d, to, a);
    }
    return true;
}

static bool offset_of_operand(Trans *t, unsigned to)
{
    const X86Insn *in = t->in;

    if (in->row->operand[0].kind == OPK_O || in->row->operand[1].kind == OPK_O) {
        if (in->addrsize == 16) {
            return false;
        }
        emit_imm(&t->e, to, in->imm);
        return true;
    }
    return trans_effective(t, to);
}

static Operand segment_field(unsigned seg, size_t field)
{
    return host_gs((int32_t)(offsetof(X86Cpu, seg) + seg * sizeof(X86Segment) + field));
}

bool trans_address(Trans *t, unsigned to)
{
    const X86Insn *in = t->in;

    if (!offset_of_operand(t, to)) {
        return false;
    }
    if (in->segment < X86_FS && (t->code64 || in->segment != X86_CS)) {
        return true;                        /* no base, and no limit but for CS, which may not be written */
    }
    if (!t->code64) {
        return false;
    }
    emit_op(&t->e, E_W, 0x03, to, segment_field(in->segment, offsetof(X86Segment, base)));
    return true;
}

/* Through FS or GS in 32-bit code, where a C library has its thread's data: without limit, else the slow way.
 * A segment whose last offset is ~0 begins at 0 (X86Segment). */
static bool address_with_base(Trans *t, bool write)
{
    const size_t last = write ? offsetof(X86Segment, write_hi) : offsetof(X86Segment, read_hi);

    if (!offset_of_operand(t, H_T1)) {
        return false;
    }
    emit_alu_imm(&t->e, E_W, ALU_CMP, segment_field(t->in->segment, last), -1);
    trans_slow_if(t, CC_NE);
    trans_flags_clobbered(t);
    emit_op(&t->e, 0, 0x03, H_T1, segment_field(t->in->segment, offsetof(X86Segment, base)));
    return true;
}

static void slow_by(Trans *t, uint8_t *jump)
{
    if (t->n_slow == MAX_SLOW) {
        t->e.full = true;
        return;
    }
    t->slow[t->n_slow++] = (SlowJump){ jump, (uint8_t)t->i, t->together, t->x87_last };
}

void trans_slow_if(Trans *t, unsigned cc)
{
    slow_by(t, emit_jcc(&t->e, cc));
}

static int32_t tag_of(bool write)
{
    return write ? offsetof(X86TlbEntry, write) : offsetof(X86TlbEntry, read);
}

uint8_t *emit_tlb_lookup(Emit *e, const X86Cpu *c, unsigned bytes, bool write)
{
    G_STATIC_ASSERT(sizeof(X86TlbEntry) == 32);
    emit_ror(e, H_T0, H_T1, PAGE_BITS - 5);
    emit_alu_imm(e, 0, ALU_AND, host_reg(H_T0), (int32_t)(c->tlb_mask << 5));
    emit_op(e, E_W, 0x03, H_T0, GS_OF(tlb));
    emit_op(e, E_W, 0x2b, H_T1, host_mem(H_T0, tag_of(write)));     /* the offset in the page, if it is a hit */
    emit_alu_imm(e, E_W, ALU_CMP, host_reg(H_T1), (int32_t)(PAGE_SIZE - bytes));
    return emit_jcc(e, CC_A);
}

uint8_t *trans_lookup(Trans *t, unsigned bytes, bool write)
{
    return emit_tlb_lookup(&t->e, t->c, bytes, write);
}

Operand trans_found(Trans *t, bool one_register)
{
    Emit *e = &t->e;

    if (one_register) {
        emit_op(e, E_W, 0x03, H_T1, host_mem(H_T0, offsetof(X86TlbEntry, host)));
        return host_mem(H_T1, 0);
    }
    emit_load(e, H_T0, host_mem(H_T0, offsetof(X86TlbEntry, host)));
    return host_mem_index(H_T0, H_T1, 0, 0);
}

Operand trans_probe(Trans *t, unsigned bytes, bool write, bool one_register)
{
    slow_by(t, trans_lookup(t, bytes, write));
    trans_flags_clobbered(t);
    return trans_found(t, one_register);
}

bool trans_memory(Trans *t, unsigned bytes, bool write, bool one_register, Operand *out)
{
    bool based = !t->code64 && t->in->segment >= X86_FS;

    if (trans_is_on_stack(t, bytes)) {
        *out = trans_stack(t, t->in->disp, bytes, write, one_register);
        return true;
    }
    if (!based && trans_share(t, bytes, write, out)) {
        return true;
    }
    trans_flags_saved(t);
    if (!(based ? address_with_base(t, write) : trans_address(t, H_T1))) {
        return false;
    }
    *out = trans_probe(t, bytes, write, one_register);
    return true;
}
