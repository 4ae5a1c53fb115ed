/*
 * target/x86/exec/hostrun.h - the host's own instructions as semantics of the guest's.
 *
 * A `host` row of target/x86/insn/ only computes.  For each form met (opcode, prefixes, immediate, operand
 * kinds) one stub is emitted that loads the operands, runs the instruction with its operands renamed,
 * and stores the results.  exec/vector.c, exec/vex.c and exec/fpu.c call it; MXCSR is the caller's business where
 * a form says USE_MXCSR.  Belongs to one vCPU's thread.
 */
#ifndef TARGET_X86_HOSTRUN_PRIVATE_H
#define TARGET_X86_HOSTRUN_PRIVATE_H

#include "target/x86/cpu.h"
#include "target/x86/decode.h"

/* The memory image of FXSAVE64 (volume 1, 10.5.1.1). */
typedef struct FxImage {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct { uint64_t mantissa; uint16_t exponent; uint8_t pad[6]; } st[8];     /* stack order */
    uint8_t xmm[16][16];
    uint8_t rest[96];
} FxImage;
_Static_assert(sizeof(FxImage) == 512, "FXSAVE image");

/* What a stub uses beside the operands that ModRM names. */
typedef struct HostFrame {
    X86Vector xmm0;                     /* implicit operands */
    uint64_t rax, rcx, rdx;
    uint64_t flags;
    uint16_t host_fcw;
    void *h, *l;                        /* VEX: the vectors that vvvv and an immediate name */
    uint64_t b;                         /* the general register that vvvv names */
    uint64_t k, n, mask;                /* EVEX: opmasks that ModRM.reg, r/m and aaa name */
    _Alignas(16) FxImage fx;            /* x87 rows */
    /* For the callers: an operand that is not to be touched in place */
    _Alignas(64) uint8_t mem[64];
} HostFrame;

/* The memory operand; where the registers are that ModRM.reg and r/m name; the rest. */
typedef void HostStub(void *mem, void *reg, void *rm, HostFrame *f);

/* What a form needs: made once, with its stub. */
enum { USE_VREG = 1 << 0, USE_VRM = 1 << 1, USE_XMM0 = 1 << 2, USE_PREG = 1 << 3, USE_PRM = 1 << 4,
       USE_GREG = 1 << 5, USE_GRM = 1 << 6, USE_GRM8 = 1 << 7, USE_EAX = 1 << 8, USE_ECX = 1 << 9,
       USE_EDX = 1 << 10, USE_LOAD = 1 << 11, USE_STORE = 1 << 12, USE_FLAGS_IN = 1 << 13,
       USE_FLAGS_OUT = 1 << 14, USE_MXCSR = 1 << 15, USE_X87 = 1 << 16,
       /* and where the result is, besides memory and flags */
       PUT_VREG = 1 << 20, PUT_VRM = 1 << 21, PUT_PREG = 1 << 22, PUT_PRM = 1 << 23, PUT_GREG = 1 << 24,
       PUT_GRM = 1 << 25, PUT_XMM0 = 1 << 26, PUT_ECX = 1 << 27,
       USE_IMPLICIT = USE_XMM0 | USE_EAX | USE_ECX | USE_EDX | USE_FLAGS_IN | USE_FLAGS_OUT };

/* The same for what only VEX and EVEX have. */
enum { VEX_H = 1 << 0, VEX_PUT_H = 1 << 1, VEX_B = 1 << 2, VEX_PUT_B = 1 << 3, VEX_L = 1 << 4, VEX_K = 1 << 5,
       VEX_PUT_K = 1 << 6, VEX_N = 1 << 7, VEX_MASK = 1 << 8, VEX_WIDE_MASK = 1 << 9 /* more than 16 elements */ };

typedef struct HostForm {
    uint64_t key;
    HostStub *run;
    uint32_t use;                       /* USE_*, PUT_* */
    uint16_t vex;                       /* VEX_* */
    uint8_t mem_size;                   /* bytes of the memory operand */
    uint8_t tail;                       /* from `run` to what ends it without results */
} HostForm;

typedef struct X86HostRun X86HostRun;

HostFrame *hostrun_frame(X86HostRun *h);
/* Good until the next call. */
const HostForm *hostrun_form(X86HostRun *h, const X86Insn *in);
/* ---- hostrun-trap.c ---- */
void hostrun_catch_traps(void);         /* once for the process */
/* The stub under this MXCSR, which gets its flags.  False: an exception came that it does not mask, and nothing
 * else was changed. */
bool hostrun_with_mxcsr(const HostForm *form, void *mem, void *reg, void *rm, HostFrame *f, uint32_t *mxcsr);

#endif
