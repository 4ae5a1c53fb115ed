/*
 * target/x86/exec/mov.c - MOV MOVZX MOVSX MOVSXD LEA MOVNTI BSWAP CBW CWD XLAT, SETcc and CMOVcc.
 *
 * Follows the Intel SDM, volume 2.
 */
#include "form.h"
#include "gen/x86-exec.h"

/* ---- MOV ---- */

#define MOV_WIDTH(bits) \
    static void mov##bits##_rr(X86Cpu *c, const X86Insn *in) \
    { \
        set_rm##bits(c, in, get_reg##bits(c, in)); \
        x86_next(c, in); \
    } \
    static void mov##bits##_rg(X86Cpu *c, const X86Insn *in) \
    { \
        set_reg##bits(c, in, get_rm##bits(c, in)); \
        x86_next(c, in); \
    } \
    static void mov##bits##_ri(X86Cpu *c, const X86Insn *in) \
    { \
        set_rm##bits(c, in, get_imm##bits(c, in)); \
        x86_next(c, in); \
    } \
    MOV_MEM(bits, at_flat) \
    MOV_MEM(bits, at_seg)
#define MOV_MEM(bits, at) \
    HANDLER_STORING(mov##bits##_##at##_mr, bits, at, get_reg##bits(c, in)) \
    HANDLER_STORING(mov##bits##_##at##_mi, bits, at, get_imm##bits(c, in)) \
    HANDLER_LOADING(mov##bits##_##at##_rm, bits, at, set_reg##bits(c, in, v))
MOV_WIDTH(8)
MOV_WIDTH(16)
MOV_WIDTH(32)
MOV_WIDTH(64)

#define FOUR(form) { mov8_##form, mov16_##form, mov32_##form, mov64_##form }
static X86ExecFn *const mov_forms[FORM_COUNT][4] = {
    [FORM_RR] = FOUR(rr), [FORM_RG] = FOUR(rg), [FORM_RI] = FOUR(ri),
    [FORM_MR] = FOUR(at_seg_mr), [FORM_MI] = FOUR(at_seg_mi), [FORM_RM] = FOUR(at_seg_rm),
    [FORM_FLAT_MR] = FOUR(at_flat_mr), [FORM_FLAT_MI] = FOUR(at_flat_mi), [FORM_FLAT_RM] = FOUR(at_flat_rm),
};
#undef FOUR

/* A0..A3: the address is an immediate as wide as addresses are. */
#define MOV_DIRECT(bits) \
    static void mov_direct##bits(X86Cpu *c, const X86Insn *in) \
    { \
        bool store = in->row->operand[0].kind == OPK_O; \
        uint64_t off = in->imm & ~0ull >> (64 - in->addrsize); \
        uint64_t at = x86_segmented(c, in->segment, off, bits / 8, store); \
        if (store) { \
            x86_store##bits(c, in->segment, at, get_acc##bits(c, in)); \
        } else { \
            set_acc##bits(c, in, x86_load##bits(c, in->segment, at)); \
        } \
    }
MOV_DIRECT(8)
MOV_DIRECT(16)
MOV_DIRECT(32)
MOV_DIRECT(64)

void exec_mov(X86Cpu *c, const X86Insn *in)
{
    X86Form form = x86_form(c, in);

    if (form != FORM_OTHER) {
        mov_forms[form][x86_width(in)](c, in);
        return;
    }
    switch (x86_width(in)) {
    case 0: mov_direct8(c, in); break;
    case 1: mov_direct16(c, in); break;
    case 2: mov_direct32(c, in); break;
    default: mov_direct64(c, in); break;
    }
    x86_next(c, in);
}

void exec_movnti(X86Cpu *c, const X86Insn *in)
{
    if (in->opsize == 64) {
        store_rm64(c, in, get_reg64(c, in));
    } else {
        store_rm32(c, in, get_reg32(c, in));
    }
    x86_next(c, in);
}

/* ---- MOVZX, MOVSX, MOVSXD: by width of destination and source ---- */

#define EXTEND(op, to, from, cast) \
    static void op##to##_##from##_r(X86Cpu *c, const X86Insn *in) \
    { \
        set_reg##to(c, in, (uint##to##_t)(cast)get_rm##from(c, in)); \
        x86_next(c, in); \
    } \
    EXTEND_MEM(op, to, from, cast, at_flat) \
    EXTEND_MEM(op, to, from, cast, at_seg)
#define EXTEND_MEM(op, to, from, cast, at) \
    HANDLER_LOADING(op##to##_##from##_##at, from, at, set_reg##to(c, in, (uint##to##_t)(cast)v))
EXTEND(movzx, 16, 8, uint8_t)
EXTEND(movzx, 32, 8, uint8_t)
EXTEND(movzx, 64, 8, uint8_t)
EXTEND(movzx, 16, 16, uint16_t)
EXTEND(movzx, 32, 16, uint16_t)
EXTEND(movzx, 64, 16, uint16_t)
EXTEND(movsx, 16, 8, int8_t)
EXTEND(movsx, 32, 8, int8_t)
EXTEND(movsx, 64, 8, int8_t)
EXTEND(movsx, 16, 16, int16_t)
EXTEND(movsx, 32, 16, int16_t)
EXTEND(movsx, 64, 16, int16_t)
EXTEND(movsxd, 16, 16, uint16_t)
EXTEND(movsxd, 32, 32, uint32_t)
EXTEND(movsxd, 64, 32, int32_t)

#define THREE(op, form) { op##16_8_##form, op##32_8_##form, op##64_8_##form }, \
                        { op##16_16_##form, op##32_16_##form, op##64_16_##form }
#define SXD(form) { movsxd16_16_##form, movsxd32_32_##form, movsxd64_32_##form }
/* [register, memory with segment, flat memory][MOVZX b, MOVZX w, MOVSX b, MOVSX w, MOVSXD][16, 32, 64] */
static X86ExecFn *const extend_forms[3][5][3] = {
    { THREE(movzx, r), THREE(movsx, r), SXD(r) },
    { THREE(movzx, at_seg), THREE(movsx, at_seg), SXD(at_seg) },
    { THREE(movzx, at_flat), THREE(movsx, at_flat), SXD(at_flat) },
};

static X86ExecFn *extend_form(const X86Insn *in, X86Form form, unsigned width)
{
    unsigned from = in->row->operand[1].size == OPS_b ? 0 : 1;
    unsigned op = in->row->op == OP_MOVSXD ? 4 : in->row->op == OP_MOVSX ? 2 + from : from;

    return extend_forms[form == FORM_RG ? 0 : form == FORM_RM ? 1 : 2][op][width - 1];
}

void exec_movzx(X86Cpu *c, const X86Insn *in) { extend_form(in, x86_form(c, in), x86_width(in))(c, in); }
void exec_movsx(X86Cpu *c, const X86Insn *in) { extend_form(in, x86_form(c, in), x86_width(in))(c, in); }
void exec_movsxd(X86Cpu *c, const X86Insn *in) { extend_form(in, x86_form(c, in), x86_width(in))(c, in); }

/* ---- LEA ---- */

static void lea64_flat(X86Cpu *c, const X86Insn *in)
{
    set_reg64(c, in, at_flat(c, in, 0, false));
    x86_next(c, in);
}

static void lea32_flat(X86Cpu *c, const X86Insn *in)
{
    set_reg32(c, in, (uint32_t)at_flat(c, in, 0, false));
    x86_next(c, in);
}

void exec_lea(X86Cpu *c, const X86Insn *in)
{
    BY_OPSIZE(in, set_reg, c, in, x86_offset(c, in));
    x86_next(c, in);
}

/* ---- SETcc, CMOVcc ---- */

#define CONDITIONS(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/* A CMOVcc loads its source whatever the condition; a 32-bit one clears the upper half always. */
#define CONDITION_HANDLERS(n) \
    static void set##n##_r(X86Cpu *c, const X86Insn *in) \
    { \
        set_rm8(c, in, cc_holds(c->cc, n)); \
        x86_next(c, in); \
    } \
    static void cmov##n##_32r(X86Cpu *c, const X86Insn *in) \
    { \
        set_reg32(c, in, cc_holds(c->cc, n) ? get_rm32(c, in) : get_reg32(c, in)); \
        x86_next(c, in); \
    } \
    static void cmov##n##_64r(X86Cpu *c, const X86Insn *in) \
    { \
        set_reg64(c, in, cc_holds(c->cc, n) ? get_rm64(c, in) : get_reg64(c, in)); \
        x86_next(c, in); \
    }
CONDITIONS(CONDITION_HANDLERS)

#define CONDITION_ROW(n) { set##n##_r, cmov##n##_32r, cmov##n##_64r },
static X86ExecFn *const condition_forms[16][3] = { CONDITIONS(CONDITION_ROW) };

void exec_setcc(X86Cpu *c, const X86Insn *in)
{
    store_rm8(c, in, cc_holds(c->cc, in->opcode & 15));
    x86_next(c, in);
}

#define CMOV(bits) \
    static void cmov##bits(X86Cpu *c, const X86Insn *in) \
    { \
        uint##bits##_t v = load_rm##bits(c, in); \
        set_reg##bits(c, in, cc_holds(c->cc, in->opcode & 15) ? v : get_reg##bits(c, in)); \
    }
CMOV(16)
CMOV(32)
CMOV(64)

void exec_cmov(X86Cpu *c, const X86Insn *in)
{
    BY_OPSIZE(in, cmov, c, in);
    x86_next(c, in);
}

X86ExecFn *bind_mov(const X86Insn *in, X86Form form, unsigned width)
{
    switch (in->row->op) {
    case OP_MOV:
        return mov_forms[form][width];
    case OP_MOVZX: case OP_MOVSX: case OP_MOVSXD:
        return extend_form(in, form, width);
    case OP_LEA:
        return form != FORM_FLAT_RM || width < 2 ? NULL : width == 3 ? lea64_flat : lea32_flat;
    case OP_SETCC:
        return in->mod3 ? condition_forms[in->opcode & 15][0] : NULL;
    case OP_CMOV:
        return in->mod3 && width >= 2 ? condition_forms[in->opcode & 15][width - 1] : NULL;
    default:
        return NULL;
    }
}

/* ---- the rest ---- */

/* With a 16-bit operand the result is undefined; zero is what processors give. */
void exec_bswap(X86Cpu *c, const X86Insn *in)
{
    switch (in->opsize) {
    case 64: set_rm64(c, in, __builtin_bswap64(get_rm64(c, in))); break;
    case 32: set_rm32(c, in, __builtin_bswap32(get_rm32(c, in))); break;
    default: set_rm16(c, in, 0); break;
    }
    x86_next(c, in);
}

void exec_cbw(X86Cpu *c, const X86Insn *in)
{
    uint64_t a = c->regs[X86_RAX];

    switch (in->opsize) {
    case 64: set_acc64(c, in, (uint64_t)(int64_t)(int32_t)a); break;
    case 32: set_acc32(c, in, (uint32_t)(int32_t)(int16_t)a); break;
    default: set_acc16(c, in, (uint16_t)(int16_t)(int8_t)a); break;
    }
    x86_next(c, in);
}

void exec_cwd(X86Cpu *c, const X86Insn *in)
{
    uint64_t a = c->regs[X86_RAX];

    switch (in->opsize) {
    case 64: put64(&c->regs[X86_RDX], (uint64_t)((int64_t)a >> 63)); break;
    case 32: put32(&c->regs[X86_RDX], (uint32_t)((int32_t)a >> 31)); break;
    default: put16(&c->regs[X86_RDX], (uint16_t)((int16_t)a >> 15)); break;
    }
    x86_next(c, in);
}

void exec_xlat(X86Cpu *c, const X86Insn *in)
{
    uint64_t off = (c->regs[X86_RBX] + (uint8_t)c->regs[X86_RAX]) & ~0ull >> (64 - in->addrsize);

    set_acc8(c, in, x86_load8(c, in->segment, x86_segmented(c, in->segment, off, 1, false)));
    x86_next(c, in);
}
