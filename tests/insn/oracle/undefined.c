/*
 * tests/insn/oracle/undefined.c - the one table of results that are not compared, each with its reason.
 *
 * Flags that the instruction table calls undefined (`u:`) are left out without a line here.  References
 * are to the Intel SDM; "AMD" and "Intel" lines hold on hosts of that vendor only.
 */
#include "compare.h"

#include <cpuid.h>
#include <string.h>
#include "target/x86/cpu.h"

typedef enum Host { ANY_HOST, AMD_HOST, INTEL_HOST } Host;
typedef enum When {
    ALWAYS,
    AFTER_PF_ABOVE,                     /* a page fault in the kernel's half */
    OFFSET_NOT_CANONICAL,               /* of an operand whose segment has a base */
    WRAPS_4G,                           /* an operand at the end of the address space of 32-bit code */
    NEAR_BRANCH_66,                     /* in 64-bit code */
    TO_NOT_CANONICAL,                   /* a branch in 64-bit code, to an address that is not canonical */
    PUSHES_SEGMENT_32,                  /* with a 32-bit operand size */
    SHA_NOT_ALIGNED,
    PREFETCH_OF_REGISTER,
    PUSHES_SEGMENT_32_FAULTS,           /* natively */
    BOTH_FAULT,
    FAULTING_GATHER,
    VEX_W_OUTSIDE_64,                   /* PEXTRQ, PINSRQ */
    FAULT_MAY_SHOW,                     /* the host has one, we have none */
    FAULT_MAY_HIDE,                     /* the other way round */
    VECTOR_NOT_ALIGNED,                 /* where it must be */
    FAR_POINTER_64,                     /* with REX.W */
    SIZE_16,
    REPEATED,                           /* F2 or F3 before it */
    LONG_AND_UNDEFINED,
    LONG_NEAR_BRANCH_66,                /* in 64-bit code: too long with a displacement of 32 bits */
    UNDEFINED_AT_PAGE_END,
    WIDE_NOT_CHECKED,                   /* #AC natively, of a vector of 16 bytes or more, or of a loose row */
    MMX_STORE_FAULTS,
    STORE_80_FAULTS,                    /* of ten bytes */
    ALIGNMENT_OR_CANONICAL,             /* #AC to us, natively an address that is not canonical */
    REP_NOT_DONE,                       /* a fault, or a trap after an element */
    REP_WITH_32_BITS,                   /* of address, in 64-bit code: it faults, or has nothing to do */
    X87_STORE_STOPPED,                  /* by an exception, and natively a fault of its address */
    REX_B,
    WRAPS,                              /* the operand, at the address size */
    OPMASKED_BOTH_FAULT,                /* an operand in memory under an opmask, or of VPCOMPRESS, VPEXPAND */
    OPMASKED_AC_HIDES,                  /* #AC to us, nothing natively */
} When;

typedef struct Rule {
    int op;                             /* OP_*; -1: all */
    When when;
    Host host;
    Undefined what;
    const char *why;
} Rule;

#define MASKED_STORE_OF_AMD "AMD takes element by element; Intel looks at all limits, and at a page's last byte"

static const Rule rules[] = {
    { -1, AFTER_PF_ABOVE, ANY_HOST, { .error = PF_P },
      "Linux says of every address of its own half that the page is there, so as not to tell which are" },
    { -1, OFFSET_NOT_CANONICAL, AMD_HOST, { .all = true },
      "#GP although the sum with the base of FS or GS is canonical (APM volume 2, 4.8.1 asks for the sum)" },
    { -1, WRAPS_4G, ANY_HOST, { .all = true },
      "volume 3A, 5.3: with a limit of FFFFFFFFH accesses that wrap may or may not cause #GP or #SS" },
    { -1, NEAR_BRANCH_66, AMD_HOST, { .all = true },
      "AMD's near branches take a 66 prefix for 16 bits (APM volume 1, 3.7.7), Intel's ignore it: so do ours" },
    { -1, TO_NOT_CANONICAL, AMD_HOST, { .all = true },
      "Intel's branch faults itself (volume 2, JMP, CALL, RET), AMD's next fetch does" },
    { -1, PUSHES_SEGMENT_32, AMD_HOST, { .memory = true, .which_fault = true },
      "volume 2, PUSH: Intel's processors write the selector alone, AMD's a zero-extended one" },
    { -1, SHA_NOT_ALIGNED, AMD_HOST, { .all = true }, "AMD's SHA instructions take unaligned memory" },
    { OP_NOP, PREFETCH_OF_REGISTER, AMD_HOST, { .all = true }, "0F 0D with a register: Intel's NOP, #UD on AMD" },
    { OP_MASKMOVQ, FAULT_MAY_SHOW, ANY_HOST, { .all = true },
      "volume 2, MASKMOVQ: with a mask of zero page faults may be signaled, or not" },
    { OP_MASKMOVDQU, FAULT_MAY_SHOW, ANY_HOST, { .all = true },
      "volume 2, MASKMOVDQU: with a mask of zero page faults may be signaled, or not" },
    { OP_MASKMOVQ, ALWAYS, AMD_HOST, { .x87 = true }, "AMD leaves TOP and tags changed when the store faults" },
    { OP_SYSEXIT, BOTH_FAULT, AMD_HOST, { .which_fault = true },
      "#UD in long mode (APM volume 3, SYSEXIT); to Intel's guests on AMD's hosts KVM gives Intel's #GP" },
    { OP_RET_FAR, ALWAYS, AMD_HOST, { .which_fault = true }, "AMD reads CS before the offset" },
    { OP_IRET, ALWAYS, AMD_HOST, { .which_fault = true }, "AMD reads CS before the offset" },
    { OP_CALL_FAR, ALWAYS, AMD_HOST, { .which_fault = true, .memory = true },
      "AMD looks at the stack before the descriptor, and may have pushed when that faults" },
    { OP_CALL_FAR, FAULT_MAY_HIDE, AMD_HOST, { .all = true }, "AMD pushes in the mode of the new CS" },
    { OP_CALL_FAR, FAULT_MAY_SHOW, AMD_HOST, { .all = true }, "AMD pushes in the mode of the new CS" },
    { OP_CALL, ALWAYS, AMD_HOST, { .which_fault = true }, "AMD looks at the stack before the limit of CS" },
    { OP_CMPS, ALWAYS, AMD_HOST, { .which_fault = true }, "AMD reads ES:rDI first" },
    { OP_FNSTENV, ALWAYS, ANY_HOST, { .which_fault = true }, "the order within a block is the processor's own" },
    { OP_FLDENV, ALWAYS, ANY_HOST, { .which_fault = true }, "the order within a block is the processor's own" },
    { OP_FNSAVE, ALWAYS, ANY_HOST, { .which_fault = true }, "the order within a block is the processor's own" },
    { OP_FRSTOR, ALWAYS, ANY_HOST, { .which_fault = true }, "the order within a block is the processor's own" },
    { OP_FXSAVE, ALWAYS, ANY_HOST, { .which_fault = true },
      "volume 2, FXSAVE: #GP or #AC; and the order within a block is the processor's own" },
    { OP_FXRSTOR, ALWAYS, ANY_HOST, { .which_fault = true },
      "volume 2, FXRSTOR: #GP or #AC; and the order within a block is the processor's own" },
    { -1, VECTOR_NOT_ALIGNED, AMD_HOST, { .which_fault = true }, "AMD looks at the alignment before the limit" },
    { -1, FAR_POINTER_64, AMD_HOST, { .all = true },
      "AMD's LSS, LFS, LGS and far branches have no 64-bit offsets (APM volume 3, LFS; CALL (Far))" },
    { OP_FXSAVE, FAULT_MAY_SHOW, ANY_HOST, { .all = true }, "bytes from 416 on are not written, but may be probed" },
    { OP_FXSAVE, ALWAYS, AMD_HOST, { .operand_byte = 30 }, "AMD's MXCSR_MASK has bit 17, MM" },
    { OP_FXRSTOR, FAULT_MAY_HIDE, AMD_HOST, { .all = true }, "AMD's MXCSR has bit 17, MM" },
    { OP_LDMXCSR, FAULT_MAY_HIDE, AMD_HOST, { .all = true }, "AMD's MXCSR has bit 17, MM" },
    { OP_VLDMXCSR, FAULT_MAY_HIDE, AMD_HOST, { .all = true }, "AMD's MXCSR has bit 17, MM" },
    { OP_MASKMOVQ, ALWAYS, ANY_HOST, { .which_fault = true }, "as above, #AC included" },
    { OP_MASKMOVDQU, ALWAYS, ANY_HOST, { .which_fault = true }, "as above, #AC included" },
    { OP_VMASKMOVDQU, FAULT_MAY_SHOW, ANY_HOST, { .all = true }, "as MASKMOVDQU" },
    { OP_VMASKMOVDQU, ALWAYS, ANY_HOST, { .which_fault = true }, "as MASKMOVDQU" },
    { -1, FAULTING_GATHER, ANY_HOST, { .all = true },
      "volume 2, VPGATHERDD: elements behind the one that faults may or may not be completed; so may their masks" },
    { -1, VEX_W_OUTSIDE_64, AMD_HOST, { .all = true },
      "volume 2, PEXTRQ, PINSRQ: VEX.W is ignored outside 64-bit code; on AMD it is #UD" },
    { OP_POPA, BOTH_FAULT, AMD_HOST, { .all = true }, "AMD has written some registers before the fault" },
    { -1, PUSHES_SEGMENT_32_FAULTS, AMD_HOST, { .all = true }, "and it is all four bytes that must be writable" },
    { OP_ENTER, BOTH_FAULT, AMD_HOST, { .all = true },
      "AMD tries a store at the new top of the stack: #AC and #PF may come from that" },
    { OP_ENTER, FAULT_MAY_SHOW, AMD_HOST, { .all = true },
      "AMD tries a store at the new top of the stack: #AC and #PF may come from that" },
    { -1, MMX_STORE_FAULTS, INTEL_HOST, { .fsw = 7 << 11, .ftw = true },
      "a store that faults has cleared TOP and the tags all the same; it is executed again" },
    { -1, STORE_80_FAULTS, INTEL_HOST, { .memory = true },
      "volume 3A, 8.1.1: of a store larger than a quadword one access may complete and another fault" },
    { -1, ALIGNMENT_OR_CANONICAL, AMD_HOST, { .which_fault = true },
      "AMD looks at the address's end before alignment" },
    { OP_CMPS, REP_NOT_DONE, AMD_HOST, { .flags = FL_STATUS },
      "volume 2, REP: a fault restores EFLAGS, and on Intel a trap, too; AMD's are the last comparison's" },
    { OP_SCAS, REP_NOT_DONE, AMD_HOST, { .flags = FL_STATUS }, "as CMPS" },
    { -1, REP_WITH_32_BITS, AMD_HOST, { .upper_halves = true },
      "Intel's clear the upper halves of count and pointers at first, AMD's with the first element" },
    { OP_POP_SEG, FAULT_MAY_SHOW, AMD_HOST, { .all = true }, "AMD reads all of the slot, Intel the selector alone" },
    { OP_POP_SEG, BOTH_FAULT, AMD_HOST, { .which_fault = true }, "as above" },
    { OP_RET_FAR, FAULT_MAY_SHOW, AMD_HOST, { .all = true },
      "AMD reads all of CS's slot; and does not cut the offset to 32 bits for compatibility mode" },
    { OP_IRET, FAULT_MAY_SHOW, AMD_HOST, { .all = true },
      "AMD does not cut the offset to 32 bits for compatibility mode" },
    { OP_CALL, BOTH_FAULT, AMD_HOST, { .memory = true }, "Intel's have pushed when the target is beyond the limit" },
    { OP_BOUND, BOTH_FAULT, AMD_HOST, { .which_fault = true },
      "below the lower bound Intel does not read the upper one" },
    { -1, X87_STORE_STOPPED, AMD_HOST, { .all = true }, "a fault of the address although nothing is stored" },
    { OP_PAUSE, REX_B, AMD_HOST, { .all = true }, "with REX.B it is XCHG R8, rAX on AMD, PAUSE on Intel" },
    { OP_VMASKMOVPS, WRAPS, AMD_HOST, { .all = true }, "AMD wraps each element's offset" },
    { OP_VMASKMOVPD, WRAPS, AMD_HOST, { .all = true }, "AMD wraps each element's offset" },
    { OP_VPMASKMOVD, WRAPS, AMD_HOST, { .all = true }, "AMD wraps each element's offset" },
    { OP_VPMASKMOVQ, WRAPS, AMD_HOST, { .all = true }, "AMD wraps each element's offset" },
    { OP_UD0, ALWAYS, AMD_HOST, { .all = true }, "AMD's UD0 has no ModRM to fetch, and so no page fault for it" },
    { OP_UD1, ALWAYS, AMD_HOST, { .all = true }, "AMD's UD1 has no ModRM to fetch, and so no page fault for it" },
    { OP_ARPL, BOTH_FAULT, AMD_HOST, { .which_fault = true }, "for AMD it is a read at first" },
    { OP_ARPL, FAULT_MAY_HIDE, AMD_HOST, { .all = true },
      "AMD looks whether it may write only when it does write" },
    { OP_MOVSXD, SIZE_16, AMD_HOST, { .all = true }, "AMD's MOVSXD reads 32 bits for a 16-bit result too, Intel's 16" },
    { OP_LOOPE, REPEATED, AMD_HOST, { .all = true }, "AMD's LOOPE and LOOPNE take F2 and F3 for their condition" },
    { OP_LOOPNE, REPEATED, AMD_HOST, { .all = true }, "AMD's LOOPE and LOOPNE take F2 and F3 for their condition" },
    { -1, LONG_AND_UNDEFINED, ANY_HOST, { .which_fault = true },
      "what is no instruction has no length, and AMD's UD1 no ModRM: too long (#GP), or undefined (#UD)" },
    { -1, LONG_NEAR_BRANCH_66, AMD_HOST, { .all = true }, "and so it is two bytes shorter on AMD" },
    { -1, UNDEFINED_AT_PAGE_END, ANY_HOST, { .which_fault = true },
      "what is no instruction, or EVEX to a processor without AVX-512, has no length: how much is fetched before #UD" },
    { -1, WIDE_NOT_CHECKED, AMD_HOST, { .all = true },
      "AMD's #AC is of vectors of 16 bytes and more, too; Intel's (volume 2, 2.4) of operands up to 8 bytes" },
    { OP_VMASKMOVPS, BOTH_FAULT, AMD_HOST, { .which_fault = true, .cr2 = ~0ull }, MASKED_STORE_OF_AMD },
    { OP_VMASKMOVPD, BOTH_FAULT, AMD_HOST, { .which_fault = true, .cr2 = ~0ull }, MASKED_STORE_OF_AMD },
    { OP_VPMASKMOVD, BOTH_FAULT, AMD_HOST, { .which_fault = true, .cr2 = ~0ull }, MASKED_STORE_OF_AMD },
    { OP_VPMASKMOVQ, BOTH_FAULT, AMD_HOST, { .which_fault = true, .cr2 = ~0ull }, MASKED_STORE_OF_AMD },
    { -1, OPMASKED_BOTH_FAULT, AMD_HOST, { .which_fault = true, .cr2 = ~0ull, .mxcsr = 0x3f },
      "AMD takes the elements that the opmask leaves one by one, and may have computed with them; Intel looks at "
      "limits, ends and alignment first" },
    { -1, OPMASKED_AC_HIDES, AMD_HOST, { .all = true }, "and so what is aligned is the element, not the operand" },
    { OP_VCVTPS2PH, BOTH_FAULT, AMD_HOST, { .which_fault = true }, "AMD looks at the operand before it computes" },
    { OP_VCVTPS2PH, ALWAYS, AMD_HOST, { .mxcsr = 0x3f }, "and sets no flags when that faults" },
};

static Host host(void)
{
    uint32_t a, b, c, d;

    __cpuid(0, a, b, c, d);
    return b == 0x756e6547 ? INTEL_HOST : AMD_HOST;     /* "Genu" */
}

static bool is_canonical(uint64_t v) { return (uint64_t)((int64_t)(v << 16) >> 16) == v; }

static bool in_memory(const X86Insn *in) { return in->row && !in->mod3; }

static bool is_of_address(int vector) { return vector >= EXC_SS && vector <= EXC_AC && vector != EXC_MF; }

static bool is_mmx_store(const X86Insn *in)
{
    unsigned to = in->row ? in->row->operand[0].kind : OPK_none;

    return in->row && (in->row->words & IN_MMX)
        && (in->row->op == OP_MASKMOVQ || (!in->mod3 && (to == OPK_E || to == OPK_Q || to == OPK_M)));
}

static bool is_near_branch(const X86Insn *in)
{
    return in->row && (in->row->words & IN_F64) && (in->row->words & IN_ENDS);
}

static bool applies(const Rule *r, const OracleCase *c, const X86Insn *in, const OracleResult *ours,
                    const OracleResult *native)
{
    static Host here;

    if (here == ANY_HOST) {
        here = host();
    }
    if (r->host != ANY_HOST && r->host != here) {
        return false;
    }
    switch (r->when) {
    case AFTER_PF_ABOVE: return native->vector == EXC_PF && native->cr2 >= 0x7ffffffff000;
    case OFFSET_NOT_CANONICAL:
        return in->row && c->bits == 64 && in->segment >= X86_FS && !is_canonical(operand_offset(c, in));
    case WRAPS_4G:
        return c->bits != 64 && ((in_memory(in) && operand_offset(c, in) > 0xffffff00)
                                 || (uint32_t)(c->in.regs[X86_RSP] - 1) < 64);
    case NEAR_BRANCH_66:
        return is_near_branch(in) && c->bits == 64 && in->opsize_prefix;
    case TO_NOT_CANONICAL:
        return is_near_branch(in) && c->bits == 64 && ours->vector == EXC_GP;
    case PUSHES_SEGMENT_32:
        return in->row && in->row->op == OP_PUSH_SEG && in->opsize == 32;
    case SHA_NOT_ALIGNED:
        return in_memory(in) && in->row->cpu == CPUF_SHA_NI && ours->vector == EXC_GP;
    case PREFETCH_OF_REGISTER:
        return in->mod3 && in->map == 1 && in->opcode == 0x0d;
    case FAULT_MAY_SHOW:
        return ours->vector == ORACLE_NONE;
    case PUSHES_SEGMENT_32_FAULTS:
        return in->row && in->row->op == OP_PUSH_SEG && in->opsize == 32 && native->vector != ORACLE_NONE;
    case FAULTING_GATHER:
        return in->row && in->row->vsib && native->vector != ORACLE_NONE;
    case VEX_W_OUTSIDE_64:
        return in->row && c->bits != 64 && in->enc == X86_VEX && (in->rex & 8) && has_operand(in->row, OPK_E)
            && in->row->map == 3;
    case BOTH_FAULT:
        return ours->vector != ORACLE_NONE && native->vector != ORACLE_NONE;
    case FAULT_MAY_HIDE:
        return native->vector == ORACLE_NONE;
    case VECTOR_NOT_ALIGNED:
        return in_memory(in) && ((in->row->words & IN_ALIGNED) || (in->row->op == OP_CMPXCHG8B && in->opsize == 64));
    case FAR_POINTER_64:
        return in_memory(in) && c->bits == 64 && in->opsize == 64
            && (in->row->operand[0].size == OPS_p || in->row->operand[1].size == OPS_p);
    case SIZE_16:
        return in->opsize == 16;
    case REPEATED:
        return in->rep;
    case LONG_AND_UNDEFINED:
        return !in->row && (ours->vector == EXC_GP || (native->vector == EXC_GP && c->len >= X86_INSN_MAX));
    case LONG_NEAR_BRANCH_66:
        return !in->row && ours->vector == EXC_GP && c->bits == 64 && c->len >= X86_INSN_MAX && in->opsize_prefix
            && (in->map == 0 ? in->opcode == 0xe8 || in->opcode == 0xe9 : in->map == 1 && (in->opcode & 0xf0) == 0x80);
    case UNDEFINED_AT_PAGE_END:
        return (!in->row || in->enc == X86_EVEX) && (native->vector == EXC_PF || ours->vector == EXC_PF)
            && c->code_at + X86_INSN_MAX > ORACLE_PAGE;
    case WIDE_NOT_CHECKED:
        return in_memory(in) && native->vector == EXC_AC && (in->row->words & (IN_SSE | IN_AVX | IN_AVX512))
            && (x86_memory_bytes(in) > 8 || (in->row->words & IN_LOOSE));
    case MMX_STORE_FAULTS: return is_mmx_store(in) && is_of_address(native->vector);
    case STORE_80_FAULTS:
        return in_memory(in) && is_of_address(native->vector) && in->row->operand[0].size == OPS_t;
    case ALIGNMENT_OR_CANONICAL:
        return c->bits == 64 && ours->vector == EXC_AC && (native->vector == EXC_GP || native->vector == EXC_SS);
    case REP_NOT_DONE: return in->rep && native->state.rip == c->in.rip;
    case REP_WITH_32_BITS:
        return in->row && in->rep && (in->row->words & (IN_REP | IN_REPZ)) && c->bits == 64 && in->addrsize == 32
            && (native->vector != ORACLE_NONE || !(uint32_t)c->in.regs[X86_RCX]);
    case X87_STORE_STOPPED:
        return in_memory(in) && (in->row->words & IN_X87) && ours->vector == ORACLE_NONE
            && is_of_address(native->vector);
    case REX_B: return in->rex & 1;
    case WRAPS:
        return in_memory(in) && in->addrsize != 64 && operand_offset(c, in) + 64 > ~0ull >> (64 - in->addrsize);
    case OPMASKED_BOTH_FAULT:
        return in_memory(in) && (in->mask || (in->row->evex & EVEX_EXPAND)) && ours->vector != ORACLE_NONE
            && native->vector != ORACLE_NONE;
    case OPMASKED_AC_HIDES:
        return in_memory(in) && in->mask && ours->vector == EXC_AC && native->vector == ORACLE_NONE;
    default: return true;
    }
}

void undefined_results(const OracleCase *c, const X86Insn *in, const OracleResult *ours, const OracleResult *native,
                       Undefined *u)
{
    *u = (Undefined){ .flags = in->row && native->vector == ORACLE_NONE ? in->row->flags_undefined : 0 };
    for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
        const Rule *r = &rules[i];
        if ((r->op == -1 || (in->row && in->row->op == r->op)) && applies(r, c, in, ours, native)) {
            u->flags |= r->what.flags;
            u->mxcsr |= r->what.mxcsr;
            u->fsw |= r->what.fsw;
            u->ftw |= r->what.ftw;
            u->upper_halves |= r->what.upper_halves;
            u->error |= r->what.error;
            u->cr2 |= r->what.cr2;
            u->which_fault |= r->what.which_fault;
            if (r->what.operand_byte) {
                u->not_compared = operand_linear(c, in) + r->what.operand_byte;
            }
            u->x87 |= r->what.x87;
            u->memory |= r->what.memory;
            u->bases |= r->what.bases;
            u->all |= r->what.all;
        }
    }
}
