/*
 * What two processors have in their registers and memory, side by side.
 */
#include "check.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include "target/x86/alu.h"

#define FIELD(name) { #name, offsetof(X86Cpu, name), sizeof(((X86Cpu *)0)->name), 1, 0 }
#define ELEMENTS(label, member, n, type, part) \
    { label, offsetof(X86Cpu, member) + offsetof(type, part), sizeof(((type *)0)->part), n, sizeof(type) }
#define ARRAY(label, member, n) \
    { label, offsetof(X86Cpu, member), sizeof(((X86Cpu *)0)->member[0]), n, sizeof(((X86Cpu *)0)->member[0]) }

const CpuField cpu_fields[] = {
    ARRAY("regs", regs, X86_RIP + 1), FIELD(cc), FIELD(rflags), FIELD(cpl),
    ELEMENTS("seg.selector", seg, X86_SEGS, X86Segment, selector),
    ELEMENTS("seg.base", seg, X86_SEGS, X86Segment, base),
    ELEMENTS("seg.limit", seg, X86_SEGS, X86Segment, limit), ELEMENTS("seg.ar", seg, X86_SEGS, X86Segment, ar),
    FIELD(ldt.selector), FIELD(ldt.base), FIELD(ldt.limit), FIELD(ldt.ar),
    FIELD(tr.selector), FIELD(tr.base), FIELD(tr.limit), FIELD(tr.ar),
    FIELD(gdt.base), FIELD(gdt.limit), FIELD(idt.base), FIELD(idt.limit),
    FIELD(cr0), FIELD(cr2), FIELD(cr3), FIELD(cr4), FIELD(xcr0), FIELD(efer), ARRAY("dr", dr, 8),
    FIELD(star), FIELD(lstar), FIELD(cstar), FIELD(fmask), FIELD(kernel_gs_base), FIELD(tsc_aux),
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

/* Of a register's place in its array: what a person calls it. */
static char *name_of(const CpuField *f, unsigned i)
{
    static const char *const regs[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
                                        "r11", "r12", "r13", "r14", "r15", "rip" };
    static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };

    if (!strcmp(f->name, "regs")) {
        return g_strdup(regs[i]);
    }
    if (g_str_has_prefix(f->name, "seg.")) {
        return g_strdup_printf("%s%s", segs[i], f->name + 3);
    }
    if (!strcmp(f->name, "vector")) {
        return g_strdup_printf("zmm%u[%u]", i / 8, i % 8);
    }
    return f->count > 1 ? g_strdup_printf("%s%u", f->name, i) : g_strdup(f->name);
}

bool compare_cpus(const X86Cpu *a, const X86Cpu *b, GString *out)
{
    bool same = true;

    if (x86_same_state(a, b)) {
        return true;                    /* as nearly always */
    }
    for (const CpuField *f = cpu_fields; f->name; f++) {
        const uint8_t *x = (const uint8_t *)a + f->offset, *y = (const uint8_t *)b + f->offset;
        for (unsigned i = 0; i < f->count; i++, x += f->stride, y += f->stride) {
            if (!memcmp(x, y, f->size)) {
                continue;
            }
            uint64_t u = 0, v = 0;
            memcpy(&u, x, f->size);
            memcpy(&v, y, f->size);
            if (f->offset == offsetof(X86Cpu, cc) && !((u ^ v) & CC_ALL)) {
                continue;               /* only what LAHF puts beside the flags */
            }
            g_autofree char *name = name_of(f, i);
            g_string_append_printf(out, "  %-14s A %016" PRIx64 "   B %016" PRIx64 "\n", name, u, v);
            same = false;
        }
    }
    return same;
}

bool compare_page(hwaddr page, const uint8_t *a, const uint8_t *b, GString *out)
{
    unsigned at = 0, last = PAGE_SIZE - 1;

    if (!memcmp(a, b, PAGE_SIZE)) {
        return true;
    }
    while (a[at] == b[at]) {
        at++;
    }
    while (a[last] == b[last]) {
        last--;
    }
    g_string_append_printf(out, "  memory %" PRIx64 " to %" PRIx64 ": A", page + at, page + last);
    for (unsigned i = at; i <= MIN(last, at + 15); i++) {
        g_string_append_printf(out, " %02x", a[i]);
    }
    g_string_append(out, "   B");
    for (unsigned i = at; i <= MIN(last, at + 15); i++) {
        g_string_append_printf(out, " %02x", b[i]);
    }
    g_string_append(out, last > at + 15 ? " ...\n" : "\n");
    return false;
}
