/*
 * Registers as text, and registers by name: for the monitor, the logs and the debugger.
 */
#include "target/x86/cpu.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/model.h"
#include "target/x86/segments.h"

static const char *const names64[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip" };
static const char *const names32[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
static const char *const names16[] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };
static const char *const names8[] = { "al", "cl", "dl", "bl", "ah", "ch", "dh", "bh" };
static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* The letters people know: "D-SZAPC I3 ..." with the set ones shown. */
static void print_flags(GString *out, uint32_t f)
{
    static const struct { uint32_t bit; char letter; } letters[] = {
        { FL_DF, 'D' }, { FL_OF, 'O' }, { FL_SF, 'S' }, { FL_ZF, 'Z' }, { FL_AF, 'A' }, { FL_PF, 'P' },
        { FL_CF, 'C' }, { FL_IF, 'I' }, { FL_TF, 'T' }, { FL_NT, 'N' }, { FL_RF, 'R' }, { FL_VM, 'V' },
    };

    g_string_append_c(out, '[');
    for (unsigned i = 0; i < G_N_ELEMENTS(letters); i++) {
        g_string_append_c(out, f & letters[i].bit ? letters[i].letter : '-');
    }
    g_string_append_c(out, ']');
}

static const char *system_type(unsigned type)
{
    switch (type) {
    case SYS_TSS16: return "TSS16-avl";
    case SYS_LDT: return "LDT";
    case SYS_TSS16_BUSY: return "TSS16-busy";
    case SYS_TSS32: return "TSS-avl";
    case SYS_TSS32_BUSY: return "TSS-busy";
    default: return "?";
    }
}

static void print_segment(const X86Cpu *c, GString *out, const char *name, const X86Segment *s)
{
    int width = c->mode & MODE_LMA ? 16 : 8;
    unsigned ar = s->ar;

    g_string_append_printf(out, "%-3s=%04x %0*" PRIx64 " %08x %04x", name, s->selector, width, s->base, s->limit, ar);
    if (!(ar & AR_P)) {
        g_string_append(out, " unusable\n");
    } else if (!(ar & AR_S)) {
        g_string_append_printf(out, " DPL=%u %s\n", x86_ar_dpl(ar), system_type(ar & AR_TYPE));
    } else if (ar & AR_CODE) {
        g_string_append_printf(out, " DPL=%u CS%s [%c%c%c]\n", x86_ar_dpl(ar),
                               ar & AR_L ? "64" : ar & AR_DB ? "32" : "16", ar & AR_EC ? 'C' : '-',
                               ar & AR_RW ? 'R' : '-', ar & AR_A ? 'A' : '-');
    } else {
        g_string_append_printf(out, " DPL=%u DS%s [%c%c%c]\n", x86_ar_dpl(ar), ar & AR_DB ? "32" : "16",
                               ar & AR_EC ? 'E' : '-', ar & AR_RW ? 'W' : '-', ar & AR_A ? 'A' : '-');
    }
}

static void print_general(const X86Cpu *c, GString *out)
{
    static const uint8_t order[] = { X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_RBP, X86_RSP,
                                     X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15 };
    bool lm = c->mode & MODE_LMA;

    for (unsigned i = 0; i < (lm ? 16 : 8); i++) {
        g_autofree char *name = g_ascii_strup(lm ? names64[order[i]] : names32[order[i]], -1);
        g_string_append_printf(out, "%-3s=%0*" PRIx64 "%c", name, lm ? 16 : 8,
                               lm ? c->regs[order[i]] : (uint32_t)c->regs[order[i]], i % 4 == 3 ? '\n' : ' ');
    }
    g_string_append_printf(out, "%s=%0*" PRIx64 " %s=%08x ", lm ? "RIP" : "EIP", lm ? 16 : 8, c->regs[X86_RIP],
                           lm ? "RFL" : "EFL", x86_rflags(c));
    print_flags(out, x86_rflags(c));
    g_string_append_printf(out, " CPL=%u IOPL=%u II=%d NMI=%d HLT=%d%s\n", c->cpl, x86_iopl(c), c->sti_shadow,
                           c->nmi_blocked, c->vcpu.halted, c->wait_sipi ? " (waits for SIPI)" : "");
}

static void print_float(const X86Fpu *f, GString *out)
{
    g_string_append_printf(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", f->fcw, f->fsw, f->fsw >> 11 & 7,
                           f->ftw, f->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        g_string_append_printf(out, "FPR%u=%016" PRIx64 " %04x%c", i, f->st[i].mantissa, f->st[i].exponent,
                               i & 1 ? '\n' : ' ');
    }
}

void x86_info_registers(X86Cpu *c, GString *out)
{
    int width = c->mode & MODE_LMA ? 16 : 8;
    bool lm = c->mode & MODE_LMA;

    print_general(c, out);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        g_autofree char *name = g_ascii_strup(seg_names[i], -1);
        print_segment(c, out, name, &c->seg[i]);
    }
    print_segment(c, out, "LDT", &c->ldt);
    print_segment(c, out, "TR", &c->tr);
    g_string_append_printf(out, "GDT=     %0*" PRIx64 " %08x\nIDT=     %0*" PRIx64 " %08x\n", width, c->gdt.base,
                           c->gdt.limit, width, c->idt.base, c->idt.limit);
    g_string_append_printf(out, "CR0=%08" PRIx64 " CR2=%0*" PRIx64 " CR3=%0*" PRIx64 " CR4=%08" PRIx64 "\n", c->cr0,
                           width, c->cr2, width, c->cr3, c->cr4);
    for (unsigned i = 0; i < 8; i++) {
        if (i != 4 && i != 5) {
            g_string_append_printf(out, "DR%u=%0*" PRIx64 "%c", i, width, c->dr[i], i == 3 || i == 7 ? '\n' : ' ');
        }
    }
    g_string_append_printf(out, "EFER=%016" PRIx64 "\n", c->efer);
    print_float(&c->fpu, out);
    for (unsigned i = 0; i < (lm ? 16 : 8); i++) {
        g_string_append_printf(out, "XMM%02u=%016" PRIx64 "%016" PRIx64 "%c", i, c->fpu.v[i].q[1], c->fpu.v[i].q[0],
                               i & 1 ? '\n' : ' ');
    }
}

/* ---- by name ---- */

static int find_name(const char *const *names, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++) {
        if (g_ascii_strcasecmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static bool numbered(const char *name, const char *prefix, unsigned max, unsigned *n)
{
    size_t len = strlen(prefix);

    if (g_ascii_strncasecmp(name, prefix, len) != 0 || !g_ascii_isdigit(name[len])) {
        return false;
    }
    char *end;
    guint64 v = g_ascii_strtoull(name + len, &end, 10);
    *n = (unsigned)v;
    return !*end && v < max;
}

bool x86_register_value(X86Cpu *c, const char *name, uint64_t *value)
{
    unsigned n;
    int i;

    if ((i = find_name(names64, G_N_ELEMENTS(names64), name)) >= 0) {
        *value = c->regs[i];
    } else if ((i = find_name(names32, G_N_ELEMENTS(names32), name)) >= 0) {
        *value = (uint32_t)c->regs[i];
    } else if ((i = find_name(names16, G_N_ELEMENTS(names16), name)) >= 0) {
        *value = (uint16_t)c->regs[i];
    } else if ((i = find_name(names8, G_N_ELEMENTS(names8), name)) >= 0) {
        *value = (uint8_t)(c->regs[i & 3] >> (i & 4 ? 8 : 0));
    } else if ((i = find_name(seg_names, G_N_ELEMENTS(seg_names), name)) >= 0) {
        *value = c->seg[i].selector;
    } else if (g_ascii_strcasecmp(name, "eip") == 0 || g_ascii_strcasecmp(name, "pc") == 0) {
        *value = c->regs[X86_RIP];
    } else if (g_ascii_strcasecmp(name, "eflags") == 0 || g_ascii_strcasecmp(name, "rflags") == 0) {
        *value = x86_rflags(c);
    } else if (g_ascii_strcasecmp(name, "efer") == 0) {
        *value = c->efer;
    } else if (g_ascii_strcasecmp(name, "mxcsr") == 0) {
        *value = c->fpu.mxcsr;
    } else if (numbered(name, "dr", 8, &n)) {
        *value = c->dr[n];
    } else if (numbered(name, "cr", 5, &n) && n != 1) {
        *value = n == 0 ? c->cr0 : n == 2 ? c->cr2 : n == 3 ? c->cr3 : c->cr4;
    } else {
        return false;
    }
    return true;
}
