/*
 * Instructions that load segment registers or leave the segment: the operands here, the rules in
 * segments.c and transfer.c (SDM volume 2, under their names).
 */
#include "rights.h"

#include "gen/x86-exec.h"

/* ---- segment registers ---- */

/* Loading SS holds interrupts and debug traps off for one instruction (volume 3A 6.8.3). */
static void load_segment(X86Cpu *c, unsigned seg, uint16_t selector)
{
    x86_seg_load(c, seg, selector);
    if (seg == X86_SS) {
        c->sti_shadow = c->ss_shadow = true;
    }
}

void exec_mov_to_seg(X86Cpu *c, const X86Insn *in)
{
    unsigned seg = in->reg & 7;

    require_ud(c, seg < X86_SEGS && seg != X86_CS);
    load_segment(c, seg, load_rm16(c, in));
}

void exec_mov_from_seg(X86Cpu *c, const X86Insn *in)
{
    unsigned seg = in->reg & 7;

    require_ud(c, seg < X86_SEGS);
    if (in->mod3) {
        put_sized(&c->regs[in->rm], in->opsize, c->seg[seg].selector);
    } else {
        store_rm16(c, in, c->seg[seg].selector);
    }
}

/* The register that an ES, CS ... operand of the row names. */
static unsigned named_segment(const X86Insn *in)
{
    switch (in->row->operand[0].kind) {
    case OPK_ES: return X86_ES;
    case OPK_CS: return X86_CS;
    case OPK_SS: return X86_SS;
    case OPK_DS: return X86_DS;
    case OPK_FS: return X86_FS;
    default: return X86_GS;
    }
}

/* With a 32-bit operand size only the low half of the slot is written, as Intel's processors do; and whatever the
 * size, they read no more than that (volume 2, PUSH). */
void exec_push_seg(X86Cpu *c, const X86Insn *in)
{
    uint16_t selector = c->seg[named_segment(in)].selector;

    if (in->opsize == 32) {
        uint64_t sp = (c->regs[X86_RSP] - 4) & x86_stack_mask(c);
        x86_store16(c, X86_SS, x86_segmented(c, X86_SS, sp, 2, true), selector);
        x86_set_sp(c, sp);
    } else if (in->opsize == 64) {
        x86_push64(c, selector);
    } else {
        x86_push16(c, selector);
    }
}

void exec_pop_seg(X86Cpu *c, const X86Insn *in)
{
    uint64_t mask = x86_stack_mask(c), sp = (c->regs[X86_RSP] + in->opsize / 8) & mask;

    uint16_t selector = x86_top16(c);

    load_segment(c, named_segment(in), selector);
    c->regs[X86_RSP] = mask == 0xffff ? (c->regs[X86_RSP] & ~mask) | sp : sp;
}

/* ---- far pointers ---- */

typedef struct FarPointer {
    uint64_t offset;
    uint16_t selector;
} FarPointer;

static FarPointer load_far(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    uint64_t linear = x86_operand(c, in, size + 2, false);
    FarPointer p;

    x86_check_operand(c, in->segment, linear, size + 2, size);
    p.offset = x86_ld(c, linear, size);
    p.selector = x86_ld(c, linear_after(c, linear, size), 2);
    return p;
}

static void load_pointer(X86Cpu *c, const X86Insn *in, unsigned seg)
{
    FarPointer p = load_far(c, in);

    load_segment(c, seg, p.selector);
    put_sized(&c->regs[in->reg], in->opsize, p.offset);
}

void exec_les(X86Cpu *c, const X86Insn *in)
{
    load_pointer(c, in, X86_ES);
}

void exec_lds(X86Cpu *c, const X86Insn *in)
{
    load_pointer(c, in, X86_DS);
}

void exec_lss(X86Cpu *c, const X86Insn *in)
{
    load_pointer(c, in, X86_SS);
    c->sti_shadow = c->ss_shadow = false;       /* it loads SP too: nothing to protect */
}

void exec_lfs(X86Cpu *c, const X86Insn *in)
{
    load_pointer(c, in, X86_FS);
}

void exec_lgs(X86Cpu *c, const X86Insn *in)
{
    load_pointer(c, in, X86_GS);
}

/* ---- far transfers ---- */

static FarPointer target_of(X86Cpu *c, const X86Insn *in)
{
    if (in->row->operand[0].kind == OPK_A) {
        return (FarPointer){ in->imm, in->imm2 };
    }
    return load_far(c, in);
}

void exec_call_far(X86Cpu *c, const X86Insn *in)
{
    FarPointer p = target_of(c, in);

    x86_far_call(c, p.selector, p.offset, in->opsize / 8);
}

void exec_jmp_far(X86Cpu *c, const X86Insn *in)
{
    FarPointer p = target_of(c, in);

    x86_far_jump(c, p.selector, p.offset, in->opsize / 8);
}

void exec_ret_far(X86Cpu *c, const X86Insn *in)
{
    x86_far_return(c, in->opsize / 8, in->opcode == 0xca ? (uint16_t)in->imm : 0);
}

/* ---- interrupts ---- */

void exec_int(X86Cpu *c, const X86Insn *in)
{
    x86_software_interrupt(c, (uint8_t)in->imm, true);
}

void exec_int3(X86Cpu *c, const X86Insn *in)
{
    x86_software_interrupt(c, EXC_BP, false);
}

void exec_into(X86Cpu *c, const X86Insn *in)
{
    if (c->cc & CC_OF) {
        x86_software_interrupt(c, EXC_OF, false);
    }
}

/* Neither IOPL nor the gate's DPL matter, and DR6 does not change (volume 2, INT1). */
void exec_int1(X86Cpu *c, const X86Insn *in)
{
    x86_raise_trap(c, EXC_DB, false);
}

void exec_iret(X86Cpu *c, const X86Insn *in)
{
    x86_iret(c, in->opsize / 8);
}
