/*
 * What the cpl0 and prot words of target/x86/insn/ mean, and other common conditions of system instructions.
 */
#ifndef TARGET_X86_EXEC_RIGHTS_H
#define TARGET_X86_EXEC_RIGHTS_H

#include "form.h"
#include "target/x86/model.h"
#include "target/x86/segments.h"

static inline void require_cpl0(X86Cpu *c)
{
    if (c->cpl != 0) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

/* As the row says: not in real and virtual-8086 mode; at level 0 only. */
static inline void require_row(X86Cpu *c, const X86Insn *in)
{
    if ((in->row->words & IN_PROT) && !x86_protected(c)) {
        x86_raise(c, EXC_UD);
    }
    if (in->row->words & IN_CPL0) {
        require_cpl0(c);
    }
}

/* User-mode instruction prevention: SGDT, SIDT, SLDT, STR, SMSW (volume 3A 2.5, CR4.UMIP). */
static inline void require_no_umip(X86Cpu *c)
{
    if (c->cpl != 0 && (c->cr4 & CR4_UMIP)) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

static inline void require_gp(X86Cpu *c, bool holds)
{
    if (!holds) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

/* Whoever asks for the time-stamp counter (volume 3A 2.5, CR4.TSD). */
static inline void require_tsc(X86Cpu *c)
{
    require_gp(c, c->cpl == 0 || !(c->cr4 & CR4_TSD));
    x86_apart(c);
}

static inline void require_ud(X86Cpu *c, bool holds)
{
    if (!holds) {
        x86_raise(c, EXC_UD);
    }
}

static inline uint64_t edx_eax(const X86Cpu *c)
{
    return (uint64_t)(uint32_t)c->regs[X86_RDX] << 32 | (uint32_t)c->regs[X86_RAX];
}

static inline void set_edx_eax(X86Cpu *c, uint64_t v)
{
    c->regs[X86_RAX] = (uint32_t)v;
    c->regs[X86_RDX] = v >> 32;
}

/* The linear address `by` bytes behind another. */
static inline uint64_t linear_after(const X86Cpu *c, uint64_t linear, unsigned by)
{
    return x86_in_code64(c) ? linear + by : (uint32_t)(linear + by);
}

/* The register operand of operand size: reg field, and r/m. */
static inline void put_sized(uint64_t *r, unsigned bits, uint64_t v)
{
    if (bits == 16) {
        put16(r, (uint16_t)v);
    } else if (bits == 32) {
        put32(r, (uint32_t)v);
    } else {
        put64(r, v);
    }
}

#endif
