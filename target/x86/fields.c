/*
 * What a processor's state consists of, by name; and a hash of it.
 */
#include "target/x86/fields.h"

#include <stddef.h>
#include <string.h>
#include "target/x86/alu.h"

#define FIELD(name) { #name, offsetof(X86Cpu, name), sizeof(((X86Cpu *)0)->name), 1, 0 }
#define ELEMENTS(label, member, n, type, part) \
    { label, offsetof(X86Cpu, member) + offsetof(type, part), sizeof(((type *)0)->part), n, sizeof(type) }
#define ARRAY(label, member, n) \
    { label, offsetof(X86Cpu, member), sizeof(((X86Cpu *)0)->member[0]), n, sizeof(((X86Cpu *)0)->member[0]) }

const X86Field x86_fields[] = {
    ARRAY("regs", regs, X86_RIP + 1), FIELD(cc), FIELD(rflags), FIELD(cpl),
    ELEMENTS("seg.selector", seg, X86_SEGS, X86Segment, selector),
    ELEMENTS("seg.base", seg, X86_SEGS, X86Segment, base),
    ELEMENTS("seg.limit", seg, X86_SEGS, X86Segment, limit), ELEMENTS("seg.ar", seg, X86_SEGS, X86Segment, ar),
    FIELD(ldt.selector), FIELD(ldt.base), FIELD(ldt.limit), FIELD(ldt.ar),
    FIELD(tr.selector), FIELD(tr.base), FIELD(tr.limit), FIELD(tr.ar),
    FIELD(gdt.base), FIELD(gdt.limit), FIELD(idt.base), FIELD(idt.limit),
    FIELD(cr0), FIELD(cr2), FIELD(cr3), FIELD(cr4), FIELD(xcr0), FIELD(efer), ARRAY("dr", dr, 8),
    FIELD(star), FIELD(lstar), FIELD(cstar), FIELD(fmask), FIELD(kernel_gs_base), FIELD(tsc_aux), FIELD(umwait_control),
    FIELD(sysenter_cs), FIELD(sysenter_esp), FIELD(sysenter_eip),
    FIELD(pat), FIELD(mtrr_def_type), ARRAY("mtrr_fixed", mtrr_fixed, 11), ARRAY("mtrr_base", mtrr_base, 8),
    ARRAY("mtrr_mask", mtrr_mask, 8), FIELD(misc_enable), FIELD(tsc_adjust), FIELD(spec_ctrl),
    ARRAY("pdpte", pdpte, 4), FIELD(pkru),
    ELEMENTS("st.mantissa", fpu.st, 8, X86Float, mantissa), ELEMENTS("st.exponent", fpu.st, 8, X86Float, exponent),
    FIELD(fpu.fcw), FIELD(fpu.fsw), FIELD(fpu.ftw), FIELD(fpu.fop), FIELD(fpu.fcs), FIELD(fpu.fds), FIELD(fpu.fip),
    FIELD(fpu.fdp), FIELD(fpu.mxcsr), { "vector", offsetof(X86Cpu, fpu.v), 8, 32 * 8, 8 }, ARRAY("k", fpu.k, 8),
    FIELD(sti_shadow), FIELD(nmi_blocked), FIELD(wait_sipi), FIELD(vcpu.halted), FIELD(vcpu.tsc_offset),
    { NULL },
};

/* FNV-1a, with words for bytes */
static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * 0x100000001b3;
}

uint64_t x86_hash(const X86Cpu *c, uint64_t h)
{
    for (const X86Field *f = x86_fields; f->name; f++) {
        const uint8_t *x = (const uint8_t *)c + f->offset;
        for (unsigned i = 0; i < f->count; i++, x += f->stride) {
            uint64_t v = 0;
            memcpy(&v, x, f->size);
            h = mix(h, f->offset == offsetof(X86Cpu, cc) ? v & CC_ALL : v);     /* LAHF puts more beside the flags */
        }
    }
    return h;
}
