/*
 * target/x86/exec/fpu.h - what the handlers of x87, MMX and SSE instructions share.
 *
 * The vCPU's own thread.  The check functions raise, or return.
 */
#ifndef TARGET_X86_EXEC_FPU_H
#define TARGET_X86_EXEC_FPU_H

#include "target/x86/exec.h"
#include "target/x86/mem.h"

enum { FSW_IE = 1 << 0, FSW_DE = 1 << 1, FSW_ZE = 1 << 2, FSW_OE = 1 << 3, FSW_UE = 1 << 4, FSW_PE = 1 << 5,
       FSW_SF = 1 << 6, FSW_ES = 1 << 7, FSW_TOP_SHIFT = 11, FSW_TOP = 7 << 11, FSW_B = 1 << 15,
       FSW_EXCEPTIONS = 0x3f };
enum { FCW_WRITABLE = 0x1f3f, FCW_ONE = 1 << 6, FCW_RESET = 0x37f };
enum { MXCSR_FLAGS = 0x3f, MXCSR_VALID = 0xffff, MXCSR_RESET = 0x1f80 };

static inline unsigned fpu_top(const X86Fpu *f) { return f->fsw >> FSW_TOP_SHIFT & 7; }

/* ES and B follow the exceptions and their masks (volume 1, 8.1.3.3). */
static inline void fpu_update_summary(X86Fpu *f)
{
    f->fsw &= ~(FSW_ES | FSW_B);
    f->fsw |= f->fsw & ~f->fcw & FSW_EXCEPTIONS ? FSW_ES | FSW_B : 0;
}

static inline void fpu_set_control(X86Fpu *f, uint16_t fcw)
{
    f->fcw = (fcw & FCW_WRITABLE) | FCW_ONE;
    fpu_update_summary(f);
}

void fpu_init(X86Fpu *f);               /* FNINIT */
void fpu_check_x87(X86Cpu *c, bool waits);      /* #NM, #MF */
void fpu_check_pending(X86Cpu *c);      /* #MF or FERR# */
void fpu_check_mmx(X86Cpu *c);          /* #UD, #NM, #MF */
void fpu_check_sse(X86Cpu *c);          /* #UD, #NM */
void fpu_load_mxcsr(X86Cpu *c, const X86Insn *in);      /* LDMXCSR, STMXCSR without their checks */
void fpu_store_mxcsr(X86Cpu *c, const X86Insn *in);
/* MMX instructions leave TOP 0 and no register empty (volume 1, 9.5.1). */
void fpu_enter_mmx(X86Fpu *f);

/* Memory operands of any size, the fast way where they lie in one page. */
static inline void fpu_load(X86Cpu *c, const X86Insn *in, uint64_t linear, void *buf, unsigned size, unsigned align)
{
    const X86TlbEntry *e = x86_tlb_entry(c, linear);

    if (x86_tlb_hit(e->read, linear, size)) {
        memcpy(buf, x86_tlb_host(e, linear), size);
    } else {
        x86_check_operand(c, in->segment, linear, size, align);
        x86_ld_bytes(c, linear, buf, size);
    }
}

static inline void fpu_store(X86Cpu *c, const X86Insn *in, uint64_t linear, const void *buf, unsigned size,
                             unsigned align)
{
    void *host = x86_in_place(c, linear, size);

    if (G_LIKELY(host)) {
        memcpy(host, buf, size);
    } else {
        x86_check_operand(c, in->segment, linear, size, align);
        x86_st_bytes(c, linear, buf, size);
    }
}

#endif
