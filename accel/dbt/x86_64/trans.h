/*
 * accel/dbt/x86_64/trans.h - translating one block: what the translators of operations share.
 *
 * Where things are while translated code runs:
 *
 *   guest RDX RBX RBP RSI RDI R8..R11       in the host register of the same name
 *   guest RAX, RSP, RCX                     in R12, R13, R14
 *   guest R12..R15                          in X86Cpu
 *   RAX                                     scratch; AX holds saved status flags (FLAGS_AX)
 *   RCX, R15                                scratch: T0 (which JRCXZ tests without flags), T1
 *   GS                                      X86Cpu
 *
 * Status flags are in EFLAGS (FLAGS_HOST), in AX as LAHF and SETO leave them (FLAGS_AX), or in both;
 * so they are between blocks, each of which has an entry for the one and for the other.  Every access to
 * memory can fault, and then the guest sees its flags: so they are in AX before anything overwrites EFLAGS
 * but the instruction that sets them anew.
 *
 * To add a translator: write `bool trans_x(Trans *t)`, which emits code for t->in or returns false to
 * leave this form to the handler (whatever it has emitted is dropped), and name it in table.c.  It
 *  - gets memory operands by trans_memory(), which may be called once or twice, before any guest
 *    register has changed: a miss runs the whole instruction by its handler;
 *  - says trans_flags_needed() behind that and before an instruction that reads EFLAGS, or leaves some of
 *    them as they are; trans_flags_written() behind one that sets them; and trans_flags_saved() before
 *    one that overwrites EFLAGS although the guest's instruction does not;
 *  - may take more instructions than one, by setting t->together before its first access;
 *  - reads and writes registers by trans_use() and trans_put(), or as operands by trans_reg().
 */
#ifndef ACCEL_DBT_X86_64_TRANS_H
#define ACCEL_DBT_X86_64_TRANS_H

#include "../dbt.h"
#include "emit.h"

enum { H_FLAGS = H_RAX, H_T0 = H_RCX, H_T1 = H_R15 };
enum { FLAGS_AX = 1, FLAGS_HOST = 2 };
enum { MAX_SLOW = 4 * BLOCK_INSNS, MAX_SIDE = 2 * BLOCK_INSNS + 2 };

typedef struct SlowJump {       /* to what runs `count` instructions from `insn` on by their handlers */
    uint8_t *jump;
    uint8_t insn, count, x87_last;
} SlowJump;

typedef struct SideExit {       /* a jump out of the middle: where it leaves, and with what */
    uint8_t *jump;
    int64_t offset;             /* of the target, from the start of the page */
    uint8_t flags, insn, x87_last;
    bool disturbed;             /* somebody wants something: not to code, but out */
} SideExit;

/* Parts of X86Fpu that are in the host's registers.  AVX512 says that AVX is, too, and AVX that SSE is. */
enum { LIVE_SSE = 1, LIVE_AVX = 2, LIVE_AVX512 = 4, LIVE_X87 = 8 /* and MMX */ };
enum { MAX_LOAD = BLOCK_INSNS };

typedef struct LoadSite {       /* a jump to what loads a part that is not live, and back */
    uint8_t *jump, *back;
    int32_t at;
    uint8_t insn, part, x87_last;
} LoadSite;

/* Accesses that share a probe (share.c). */
enum { SHARE_GROUPS = 16, SHARE_MISSES = BLOCK_INSNS, SHARE_NONE = 0xff };

typedef struct ShareGroup {
    int32_t low;                /* the least displacement, and bytes from there on */
    uint16_t bytes;
    uint8_t first, members;
    bool write;
} ShareGroup;

typedef struct ShareMiss {      /* a jump to what probes for one access alone, and back */
    uint8_t *jump, *back;
    int32_t next;
    uint8_t insn, bytes;
    bool write;
    uint8_t x87_last;
} ShareMiss;

typedef struct Share {
    ShareGroup group[SHARE_GROUPS];
    uint8_t of[BLOCK_INSNS];    /* the group of an instruction's operand */
    uint16_t valid;             /* a bit each: its first access is behind, and no handler since */
    ShareMiss miss[SHARE_MISSES];
    unsigned n, n_miss;
} Share;

/* Accesses that are not to the page that is remembered for the stack (stack.c): a jump to what probes, and back. */
enum { STACK_MISSES = 2 * BLOCK_INSNS };

typedef struct StackMiss {
    uint8_t *jump, *back;
    uint8_t insn, together, bytes;
    bool write, one_register;
    uint8_t x87_last;
} StackMiss;

/* A displacement in the code that leads to a DbtInsn. */
enum { MAX_USES = 2 * BLOCK_INSNS };

typedef struct InsnUse {
    uint8_t *at;
    unsigned insn;
} InsnUse;

typedef struct IndirectMiss {   /* jumps of trans_exit_indirect() to what asks for the block; NULL: none */
    uint8_t *other, *old;
    int32_t pop;
    uint8_t x87_last;           /* before the live point: one slow way serves the instruction's other accesses, too */
} IndirectMiss;

typedef struct Trans {
    Emit e;
    DbtVcpu *v;
    X86Cpu *c;
    Block *b;
    const X86Insn *in;          /* the instruction in work */
    unsigned i;                 /* its number */
    int32_t at, next;           /* offsets from the start of the page: its own, and what is behind it */
    bool code64;
    uint8_t together;           /* instructions from this one on that are translated as one */
    bool ended;                 /* the last one has left the block on all its ways */
    uint8_t flags;              /* FLAGS_*: where the guest's are */
    uint16_t live[BLOCK_INSNS + 1];         /* FL_* that somebody may see before instruction i; behind the last */
    uint8_t resume_flags[BLOCK_INSNS];      /* `flags` behind instruction i ... */
    uint8_t *resume[BLOCK_INSNS];           /* ... and where that is; NULL: it does not go on */
    SlowJump slow[MAX_SLOW];
    SideExit side[MAX_SIDE];
    unsigned n_slow, n_side;
    uint8_t known;              /* LIVE_*: what is live whatever happened before the block */
    uint8_t last_live;          /* the last instruction that needs something live */
    uint8_t x87_last;           /* number + 1 of the last x87 instruction, where FIP has not followed yet; 0 */
    uint8_t x87_segment;        /* number + 1 of the one that FDS has been set to in this block; 0 */
    uint8_t resume_known[BLOCK_INSNS];      /* as resume_flags */
    LoadSite load[MAX_LOAD];
    unsigned n_load;
    Share share;
    StackMiss stack_miss[STACK_MISSES];
    unsigned n_stack_miss;
    IndirectMiss indirect;
    X86Insn *kept;              /* what is always left to handlers: at the end of the arena */
    unsigned n_kept;
    InsnUse use[MAX_USES];
    unsigned n_uses;
} Trans;

enum { KEPT_MOST = 2 * BLOCK_INSNS };   /* a stop behind those that a call runs one after another */

/* The host's register `to` points to the DbtInsn of instruction i. */
void trans_point_to(Trans *t, unsigned to, unsigned i);

typedef bool TransFn(Trans *t);
extern TransFn *const trans_table[OP_COUNT];

/* ---- flags (block.c) ---- */
void emit_save_flags(Emit *e);
void trans_flags_saved(Trans *t);           /* EFLAGS may be overwritten now; FLAGS_AX */
void trans_flags_clobbered(Trans *t);       /* ... and has been */
void trans_flags_needed(Trans *t);          /* those that the instruction reads or leaves are in EFLAGS */
void trans_flags_written(Trans *t);
uint16_t trans_flags_killed(const X86Insn *in);     /* those that it sets whatever they were */

/* ---- memory (memory.c) ---- */
/* The operand of t->in in host memory; the slow way if it cannot be.  Takes T1, and T0 unless
 * `one_register`.  false: this form is not translated. */
bool trans_memory(Trans *t, unsigned bytes, bool write, bool one_register, Operand *out);
/* The same for an address that is in T1 already. */
Operand trans_probe(Trans *t, unsigned bytes, bool write, bool one_register);
/* Its two halves: the jump is for no hit; behind the second T1 is the offset in the page, or, if `one_register`, the
 * host's address. */
uint8_t *trans_lookup(Trans *t, unsigned bytes, bool write);
uint8_t *emit_tlb_lookup(Emit *e, const X86Cpu *c, unsigned bytes, bool write);
Operand trans_found(Trans *t, bool one_register);
void trans_share_plan(Trans *t);            /* share.c */
bool trans_share(Trans *t, unsigned bytes, bool write, Operand *out);   /* false: it has a probe of its own */
void trans_share_misses(Trans *t);
bool trans_address(Trans *t, unsigned to);  /* of t->in, with the segment's base; clobbers T0 */
bool trans_effective(Trans *t, unsigned to);            /* without it: LEA */
void trans_slow_if(Trans *t, unsigned cc);  /* by the handler if cc; flags are saved */

/* ---- a block whose one instruction crosses into another page (tail.c) ---- */
typedef struct TailCheck { uint8_t *entry, *page, *tag, *other, *old; } TailCheck;
void trans_tail_check(Trans *t, TailCheck *k);          /* at the entry; flags are in AX */
void trans_tail_miss(Trans *t, const TailCheck *k);     /* out of line */

/* ---- registers ---- */
extern const uint8_t trans_pinned[16];      /* the host register of a guest register, or H_NONE */
static inline Operand trans_gs_reg(unsigned guest)
{
    return host_gs((int32_t)(offsetof(X86Cpu, regs) + guest * 8));
}
static inline Operand trans_reg(unsigned guest)
{
    return trans_pinned[guest] != H_NONE ? host_reg(trans_pinned[guest]) : trans_gs_reg(guest);
}
/* A guest register's value in a host register: its own, or `scratch` after a load. */
unsigned trans_use(Trans *t, unsigned guest, unsigned scratch);
/* What is in `host` becomes the guest register's value: all 64 bits. */
void trans_put(Trans *t, unsigned guest, unsigned host);
#define GS_OF(field) host_gs((int32_t)offsetof(X86Cpu, field))

/* ---- operands (operand.c) ---- */
/* A register operand as the instruction will name it.  Those that are not pinned, and AH..BH, are in a
 * scratch register meanwhile; trans_finish() takes them back, without touching the flags. */
typedef struct RegOperand {
    uint8_t host, guest;
    bool scratch, high;
} RegOperand;

static inline bool trans_is_high(unsigned byte_offset) { return byte_offset & 7; }
bool trans_reg_is_scratch(const X86Insn *in, unsigned bits);
RegOperand trans_take(Trans *t, unsigned guest, bool high, unsigned scratch, bool read);
RegOperand trans_take_reg(Trans *t, unsigned bits, unsigned scratch, bool read);    /* ModRM.reg */
RegOperand trans_take_rm(Trans *t, unsigned bits, unsigned scratch, bool read);     /* ModRM.rm, a register */
void trans_finish(Trans *t, RegOperand r);
void trans_immediate(Trans *t, unsigned bits, bool byte);

/* How an instruction uses its operands.  ONLY_READS: the first is no destination; ONLY_WRITES: it is no
 * source; IN_REGISTER: memory would mean something else;
 * COUNT_IN_CL: it is a shift whose count goes to CL, T0, whatever it was.  These emit it, with all that belongs to it;
 * false: this form is not translated. */
enum { SETS_FLAGS = 1, READS_FLAGS = 2, ONLY_READS = 4, ONLY_WRITES = 8, IN_REGISTER = 16,
       COUNT_IN_CL = 32 };
void trans_before(Trans *t, unsigned how);
void trans_after(Trans *t, unsigned how);
/* r/m alone, `reg` being part of the opcode; imm_bytes: 0, 1, or -1 for as many as the size has. */
bool trans_rm(Trans *t, unsigned bits, unsigned flags, unsigned opcode, unsigned reg, unsigned how, int imm_bytes);
bool trans_rm_reg(Trans *t, unsigned bits, unsigned how, bool imm_byte);
bool trans_reg_rm(Trans *t, unsigned bits, unsigned rm_bits, unsigned flags, unsigned how, int imm_bytes);

/* ---- leaving (block.c) ---- */
void trans_exit_to(Trans *t, int64_t offset);           /* always, to a known address */
void trans_exit_if(Trans *t, unsigned cc, int64_t offset);
void trans_exit_jump(Trans *t, uint8_t *jump, int64_t offset);  /* from a jump that has been emitted */
void trans_rip(Trans *t, unsigned to, int64_t offset);  /* to = RIP of an offset in the page */

/* ---- ... to an address that is not known before (indirect.c) ---- */
/* To the RIP in T1, which may be anything; flags are saved.  Then `pop` is added to the stack pointer. */
void trans_exit_indirect(Trans *t, unsigned pop);
void trans_indirect_miss(Trans *t);         /* out of line */
uint8_t *emit_jump_entry(Emit *e);          /* parts for the thunk */
void emit_jump_by_entry(Emit *e);

/* ---- vectors and x87 (live.c) ---- */
/* The registers that `need` (LIVE_*) stands for are in the host's; to be said before the first access.  false:
 * this mode does not have them. */
bool trans_live(Trans *t, unsigned need);
void trans_live_again(Trans *t, unsigned i, unsigned known, int32_t behind);
void trans_live_emit_loads(Trans *t);
/* The guest's state is about to be seen: FIP and its kin follow the last x87 instruction.  Takes T0. */
void trans_live_point(Trans *t);
void live_make_spill(DbtVcpu *v, Emit *e);
void live_make_loads(DbtVcpu *v, Emit *e);              /* when there is v->thunk.not_live */
void live_emit_spill(const DbtVcpu *v, Emit *e);        /* in other thunks: all to X86Cpu; takes RAX and RDX */
void emit_vzeroupper(Emit *e);

static inline unsigned trans_operand_bits(const X86Insn *in, unsigned k)
{
    switch (in->row->operand[k].kind) {
    case OPK_AL: return 8;
    case OPK_rAX: case OPK_1: case OPK_CL: return in->opsize;
    default: break;
    }
    switch (in->row->operand[k].size) {
    case OPS_b: case OPS_c: return 8;
    case OPS_w: return 16;
    case OPS_d: return 32;
    case OPS_q: return 64;
    case OPS_z: return in->opsize == 16 ? 16 : 32;
    case OPS_y: return in->opsize == 64 ? 64 : 32;
    default: return in->opsize;
    }
}

static inline unsigned trans_size_flags(unsigned bits)
{
    return bits == 16 ? E_66 : bits == 64 ? E_W : 0;
}

/* ---- the stack (stack.c, branch.c) ---- */
bool trans_is_on_stack(const Trans *t, unsigned bytes); /* that of t->in, which has a memory operand */
/* The operand at SP + disp, as trans_probe() has it. */
Operand trans_stack(Trans *t, int32_t disp, unsigned bytes, bool write, bool one_register);
void trans_stack_misses(Trans *t);
void stack_make_misses(DbtVcpu *v, Emit *e);            /* its part of the thunks */
bool trans_push_word(Trans *t, unsigned host);          /* a word of the stack's width, which T1 may hold */
void trans_move_sp(Trans *t, int32_t by);               /* without flags */
/* The RIP in T1 is canonical in the narrower sense of 48 bits; else the handler decides.  Takes T0; flags are saved. */
void trans_check_canonical(Trans *t);

/* ---- translators ---- */
TransFn trans_alu, trans_mov, trans_extend, trans_lea, trans_unary, trans_shift, trans_multiply1,
    trans_multiply, trans_divide, trans_widen, trans_setcc, trans_cmov, trans_bit, trans_scan,
    trans_double_shift, trans_xchg, trans_xadd, trans_cmpxchg, trans_cmpxchg8b, trans_bswap, trans_nothing,
    trans_fence, trans_carry, trans_push, trans_pop, trans_leave, trans_call, trans_ret, trans_jmp, trans_jcc,
    trans_loop, trans_jcxz, trans_swapgs, trans_cli, trans_sti, trans_stac, trans_clac, trans_pushf,
    trans_host, trans_host_x87, trans_vzeroupper, trans_mxcsr, trans_emms,
    trans_fnstsw, trans_x87_word, trans_wait, trans_sahf, trans_lahf;

#endif
