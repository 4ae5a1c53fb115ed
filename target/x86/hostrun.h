/*
 * target/x86/hostrun.h - the host's own instructions as semantics of the guest's.
 *
 * A `host` row of insn.tab only computes.  For each form met (opcode, prefixes, immediate, operand
 * kinds) one stub is emitted that loads operands from a frame, runs the instruction with its
 * operands renamed, and stores the results to the frame.  exec/vector.c and exec/fpu.c fill the
 * frame and apply what comes out.  Belongs to one vCPU's thread.
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

typedef struct HostFrame {
    _Alignas(64) uint8_t mem[64];       /* the memory operand: offset 0, where stubs expect it */
    X86Vector vreg, vrm, vxmm0;         /* operands by ModRM reg and r/m (XMM or MMX), implicit XMM0 */
    uint64_t greg, grm, rax, rcx, rdx;
    uint64_t flags;
    uint32_t mxcsr, host_mxcsr;
    uint16_t host_fcw;
    _Alignas(16) FxImage fx;            /* x87 rows */
} HostFrame;

/* What a form needs: made once, with its stub. */
enum { USE_VREG = 1 << 0, USE_VRM = 1 << 1, USE_XMM0 = 1 << 2, USE_PREG = 1 << 3, USE_PRM = 1 << 4,
       USE_GREG = 1 << 5, USE_GRM = 1 << 6, USE_GRM8 = 1 << 7, USE_EAX = 1 << 8, USE_ECX = 1 << 9,
       USE_EDX = 1 << 10, USE_LOAD = 1 << 11, USE_STORE = 1 << 12, USE_FLAGS_IN = 1 << 13,
       USE_FLAGS_OUT = 1 << 14, USE_MXCSR = 1 << 15, USE_X87 = 1 << 16,
       /* and where the result is, besides memory and flags */
       PUT_VREG = 1 << 20, PUT_VRM = 1 << 21, PUT_PREG = 1 << 22, PUT_PRM = 1 << 23, PUT_GREG = 1 << 24,
       PUT_GRM = 1 << 25, PUT_XMM0 = 1 << 26, PUT_ECX = 1 << 27 };

typedef struct HostForm {
    uint64_t key;
    void (*run)(HostFrame *f);
    uint32_t use;                       /* USE_*, PUT_* */
    uint8_t mem_size;                   /* bytes of the memory operand */
} HostForm;

typedef struct X86HostRun X86HostRun;

HostFrame *hostrun_frame(X86HostRun *h);
/* Good until the next call. */
const HostForm *hostrun_form(X86HostRun *h, const X86Insn *in);

#endif
