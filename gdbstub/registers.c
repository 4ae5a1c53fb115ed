/*
 * gdbstub/registers.c - the table of registers, and the target description made from it.
 *
 * Features and register names are those that gdb demands of an x86 target (GDB manual, appendix G.5.6 "x86
 * Features"); what it has no names for is in a feature of our own, which it shows as it is.
 *
 * gdb knows addresses without segments.  So that $pc names the instruction that is executed, the
 * program counter is the linear address, CS's base included; the offset itself is rip_offset.
 */
#include "registers.h"

#include <string.h>
#include "target/x86/exec.h"
#include "target/x86/mem.h"
#include "target/x86/model.h"
#include "target/x86/segments.h"

const char *const gdb_arch_names[] = { "i8086", "i386", "i386:x86-64", NULL };

typedef struct Row Row;
struct Row {
    const char *name;           /* with %u: `count` of them, numbered from `first` */
    uint16_t first, count;      /* count 0: one, without a number */
    uint16_t bits;
    const char *type, *group;
    uint64_t (*get)(X86Cpu *c, unsigned arg);
    bool (*set)(X86Cpu *c, unsigned arg, uint64_t v);           /* NULL: read-only */
    unsigned arg;               /* of the first; the next has one more */
    /* instead of get and set, for more than 64 bits */
    uint64_t *(*wide)(X86Cpu *c, unsigned arg);
};

/* ---- general ---- */

uint64_t gdb_pc(const X86Cpu *c)
{
    uint64_t rip = c->regs[X86_RIP];

    return x86_in_code64(c) ? rip : (uint32_t)(rip + c->seg[X86_CS].base);
}

static uint64_t get_general(X86Cpu *c, unsigned n) { return c->regs[n]; }
static bool set_general(X86Cpu *c, unsigned n, uint64_t v)
{
    c->regs[n] = v;
    return true;
}

static uint64_t get_pc(X86Cpu *c, unsigned n) { return gdb_pc(c); }
static bool set_pc(X86Cpu *c, unsigned n, uint64_t v)
{
    uint64_t rip = x86_in_code64(c) ? v : (uint32_t)(v - c->seg[X86_CS].base);

    if (rip != c->regs[X86_RIP]) {
        c->regs[X86_RIP] = rip;
        c->vcpu.halted = c->wait_sipi;          /* whoever says where to go on does not mean to halt */
    }
    return true;
}

static uint64_t get_offset(X86Cpu *c, unsigned n) { return c->regs[X86_RIP]; }
static uint64_t get_flags(X86Cpu *c, unsigned n) { return x86_rflags(c); }
static bool set_flags(X86Cpu *c, unsigned n, uint64_t v)
{
    uint32_t old = x86_rflags(c);

    if ((v ^ old) & FL_VM) {                    /* the segments would have to follow */
        return false;
    }
    x86_set_rflags(c, (uint32_t)v | FL_1);
    return true;
}

/* ---- segments ---- */

static uint64_t get_selector(X86Cpu *c, unsigned n) { return c->seg[n].selector; }
/* A selector says what its segment is in real mode only; else the descriptor tables do, and reading them
 * here could fault. */
static bool set_selector(X86Cpu *c, unsigned n, uint64_t v)
{
    if (v == c->seg[n].selector) {
        return true;
    }
    if (v > 0xffff || x86_protected(c)) {
        return false;
    }
    x86_seg_set_real(c, n, (uint16_t)v);
    return true;
}

static uint64_t get_base(X86Cpu *c, unsigned n) { return c->seg[n].base; }
static bool set_base(X86Cpu *c, unsigned n, uint64_t v)
{
    if (!x86_canonical(c, v)) {
        return false;
    }
    c->seg[n].base = v;
    x86_seg_changed(c, n);
    return true;
}

static uint64_t get_limit(X86Cpu *c, unsigned n) { return c->seg[n].limit; }

enum { GDT, IDT };
static uint64_t get_table_base(X86Cpu *c, unsigned n) { return n == GDT ? c->gdt.base : c->idt.base; }
static uint64_t get_table_limit(X86Cpu *c, unsigned n) { return n == GDT ? c->gdt.limit : c->idt.limit; }
static bool set_table_base(X86Cpu *c, unsigned n, uint64_t v)
{
    *(n == GDT ? &c->gdt.base : &c->idt.base) = v;
    return true;
}
static bool set_table_limit(X86Cpu *c, unsigned n, uint64_t v)
{
    *(n == GDT ? &c->gdt.limit : &c->idt.limit) = (uint16_t)v;
    return v <= 0xffff;
}

enum { LDT, TR };
static uint64_t get_system_selector(X86Cpu *c, unsigned n) { return n == LDT ? c->ldt.selector : c->tr.selector; }
static uint64_t get_system_base(X86Cpu *c, unsigned n) { return n == LDT ? c->ldt.base : c->tr.base; }

/* ---- control and debug registers, MSRs ---- */

static uint64_t get_control(X86Cpu *c, unsigned n)
{
    switch (n) {
    case 0: return c->cr0;
    case 2: return c->cr2;
    case 3: return c->cr3;
    case 4: return c->cr4;
    default: return c->vcpu.intctl ? c->vcpu.intctl->get_tpr(c->vcpu.intctl_opaque) : 0;
    }
}

static bool set_control(X86Cpu *c, unsigned n, uint64_t v)
{
    switch (n) {
    case 0: return x86_write_cr0(c, v);
    case 2: c->cr2 = v; return true;
    case 3: return x86_write_cr3(c, v);
    case 4: return x86_write_cr4(c, v);
    default:
        if (v <= 15 && c->vcpu.intctl) {
            c->vcpu.intctl->set_tpr(c->vcpu.intctl_opaque, (uint8_t)v);
        }
        return v <= 15 && c->vcpu.intctl;
    }
}

static uint64_t get_efer(X86Cpu *c, unsigned n) { return c->efer; }
static bool set_efer(X86Cpu *c, unsigned n, uint64_t v) { return x86_write_efer(c, v); }
static uint64_t get_debug(X86Cpu *c, unsigned n) { return c->dr[n]; }
static bool set_debug(X86Cpu *c, unsigned n, uint64_t v)
{
    if (v > UINT32_MAX && (n > 3 || !x86_canonical(c, v))) {
        return false;
    }
    c->dr[n] = n == 6 ? (v & DR6_WRITABLE) | DR6_FIXED : n == 7 ? (v & DR7_WRITABLE) | DR7_FIXED : v;
    x86_debug_changed(c);
    return true;
}

static uint64_t get_xcr0(X86Cpu *c, unsigned n) { return c->xcr0; }
static uint64_t get_cpl(X86Cpu *c, unsigned n) { return c->cpl; }
static uint64_t get_apic_base(X86Cpu *c, unsigned n)
{
    return c->vcpu.intctl ? c->vcpu.intctl->get_base(c->vcpu.intctl_opaque) : 0;
}

static uint64_t get_msr(X86Cpu *c, unsigned n)
{
    uint64_t v;

    return x86_msr_read(c, n, &v) ? v : 0;
}
static bool set_msr(X86Cpu *c, unsigned n, uint64_t v) { return x86_msr_write(c, n, v); }

/* ---- floating point and vectors ---- */

static X86Float *stack_register(X86Cpu *c, unsigned n) { return &c->fpu.st[((c->fpu.fsw >> 11) + n) & 7]; }

/* The two bits of a register in the tag word: valid, zero, special, empty (SDM volume 1, 8.1.7). */
static unsigned tag(const X86Fpu *f, unsigned physical)
{
    const X86Float *r = &f->st[physical];

    if (!(f->ftw >> physical & 1)) {
        return 3;
    }
    if (!(r->exponent & 0x7fff)) {
        return r->mantissa ? 2 : 1;
    }
    return (r->exponent & 0x7fff) == 0x7fff || !(r->mantissa >> 63) ? 2 : 0;
}

enum { FCTRL, FSTAT, FTAG, FISEG, FIOFF, FOSEG, FOOFF, FOP };
static uint64_t get_fpu(X86Cpu *c, unsigned n)
{
    const X86Fpu *f = &c->fpu;
    uint64_t v = 0;

    switch (n) {
    case FCTRL: return f->fcw;
    case FSTAT: return f->fsw;
    case FTAG:
        for (unsigned i = 0; i < 8; i++) {
            v |= tag(f, i) << 2 * i;
        }
        return v;
    case FISEG: return f->fcs;
    case FIOFF: return (uint32_t)f->fip;
    case FOSEG: return f->fds;
    case FOOFF: return (uint32_t)f->fdp;
    default: return f->fop;
    }
}

static bool set_fpu(X86Cpu *c, unsigned n, uint64_t v)
{
    X86Fpu *f = &c->fpu;

    switch (n) {
    case FCTRL: f->fcw = (uint16_t)v; break;
    case FSTAT: f->fsw = (uint16_t)v; break;
    case FTAG:
        f->ftw = 0;
        for (unsigned i = 0; i < 8; i++) {
            f->ftw |= (v >> 2 * i & 3) != 3 ? 1 << i : 0;
        }
        break;
    case FISEG: f->fcs = (uint16_t)v; break;
    case FIOFF: f->fip = (uint32_t)v; break;
    case FOSEG: f->fds = (uint16_t)v; break;
    case FOOFF: f->fdp = (uint32_t)v; break;
    default: f->fop = v & 0x7ff; break;
    }
    return true;
}

static uint64_t get_mxcsr(X86Cpu *c, unsigned n) { return c->fpu.mxcsr; }
static bool set_mxcsr(X86Cpu *c, unsigned n, uint64_t v)
{
    if (v > 0xffff) {                           /* the reserved bits: LDMXCSR would fault */
        return false;
    }
    c->fpu.mxcsr = (uint32_t)v;
    return true;
}

static uint64_t get_pkru(X86Cpu *c, unsigned n) { return c->pkru; }
static bool set_pkru(X86Cpu *c, unsigned n, uint64_t v)
{
    c->pkru = (uint32_t)v;
    return true;
}

static uint64_t get_opmask(X86Cpu *c, unsigned n) { return c->fpu.k[n]; }
static bool set_opmask(X86Cpu *c, unsigned n, uint64_t v)
{
    c->fpu.k[n] = v;
    return true;
}

static uint64_t *xmm(X86Cpu *c, unsigned n) { return &c->fpu.v[n].q[0]; }
static uint64_t *ymm_high(X86Cpu *c, unsigned n) { return &c->fpu.v[n].q[2]; }
static uint64_t *zmm_high(X86Cpu *c, unsigned n) { return &c->fpu.v[n].q[4]; }

/* ---- the table ---- */

#define GENERAL(nm, bit, typ, n) { nm, 0, 0, bit, typ, NULL, get_general, set_general, n }
#define SELECTOR(nm, n) { nm, 0, 0, 32, "int32", NULL, get_selector, set_selector, n }
#define FPU_STACK { "st%u", 0, 8, 80, "i387_ext", "float" }
#define FPU(nm, n) { nm, 0, 0, 32, "int", "float", get_fpu, set_fpu, n }
#define FPU_CONTROL FPU("fctrl", FCTRL), FPU("fstat", FSTAT), FPU("ftag", FTAG), FPU("fiseg", FISEG), \
    FPU("fioff", FIOFF), FPU("foseg", FOSEG), FPU("fooff", FOOFF), FPU("fop", FOP)
#define SELECTORS SELECTOR("cs", X86_CS), SELECTOR("ss", X86_SS), SELECTOR("ds", X86_DS), \
    SELECTOR("es", X86_ES), SELECTOR("fs", X86_FS), SELECTOR("gs", X86_GS)

static const Row core64[] = {
    GENERAL("rax", 64, "int64", X86_RAX), GENERAL("rbx", 64, "int64", X86_RBX),
    GENERAL("rcx", 64, "int64", X86_RCX), GENERAL("rdx", 64, "int64", X86_RDX),
    GENERAL("rsi", 64, "int64", X86_RSI), GENERAL("rdi", 64, "int64", X86_RDI),
    GENERAL("rbp", 64, "data_ptr", X86_RBP), GENERAL("rsp", 64, "data_ptr", X86_RSP),
    { "r%u", 8, 8, 64, "int64", NULL, get_general, set_general, X86_R8 },
    { "rip", 0, 0, 64, "code_ptr", NULL, get_pc, set_pc },
    { "eflags", 0, 0, 32, "i386_eflags", NULL, get_flags, set_flags },
    SELECTORS, FPU_STACK, FPU_CONTROL, { NULL },
};

static const Row core32[] = {
    GENERAL("eax", 32, "int32", X86_RAX), GENERAL("ecx", 32, "int32", X86_RCX),
    GENERAL("edx", 32, "int32", X86_RDX), GENERAL("ebx", 32, "int32", X86_RBX),
    GENERAL("esp", 32, "data_ptr", X86_RSP), GENERAL("ebp", 32, "data_ptr", X86_RBP),
    GENERAL("esi", 32, "int32", X86_RSI), GENERAL("edi", 32, "int32", X86_RDI),
    { "eip", 0, 0, 32, "code_ptr", NULL, get_pc, set_pc },
    { "eflags", 0, 0, 32, "i386_eflags", NULL, get_flags, set_flags },
    SELECTORS, FPU_STACK, FPU_CONTROL, { NULL },
};

#define MXCSR { "mxcsr", 0, 0, 32, "i386_mxcsr", "vector", get_mxcsr, set_mxcsr }
#define WIDE(nm, from, n, ty, fn) { nm, from, n, 128, ty, "vector", .arg = from, .wide = fn }
static const Row sse64[] = { WIDE("xmm%u", 0, 16, "vec128", xmm), MXCSR, { NULL } };
static const Row sse32[] = { WIDE("xmm%u", 0, 8, "vec128", xmm), MXCSR, { NULL } };
static const Row avx64[] = { WIDE("ymm%uh", 0, 16, "uint128", ymm_high), { NULL } };
static const Row avx32[] = { WIDE("ymm%uh", 0, 8, "uint128", ymm_high), { NULL } };
#define OPMASKS { "k%u", 0, 8, 64, "uint64", "vector", get_opmask, set_opmask }
#define ZMM_HIGH(n) { "zmm%uh", 0, n, 256, "v2ui128", "vector", .wide = zmm_high }
static const Row avx512_64[] = {
    WIDE("xmm%u", 16, 16, "vec128", xmm), WIDE("ymm%uh", 16, 16, "uint128", ymm_high), OPMASKS, ZMM_HIGH(32),
    { NULL },
};
static const Row avx512_32[] = { OPMASKS, ZMM_HIGH(8), { NULL } };
static const Row pkeys[] = { { "pkru", 0, 0, 32, "uint32", "vector", get_pkru, set_pkru }, { NULL } };
static const Row segments64[] = {
    { "fs_base", 0, 0, 64, "int", NULL, get_base, set_base, X86_FS },
    { "gs_base", 0, 0, 64, "int", NULL, get_base, set_base, X86_GS }, { NULL },
};

#define SYSTEM(nm, ty, get, set, n) { nm, 0, 0, 64, ty, "system", get, set, n }
#define MSR(nm, n) { nm, 0, 0, 64, "uint64", "system", get_msr, set_msr, n }
static const Row bases32[] = {
    SYSTEM("fs_base", "uint64", get_base, set_base, X86_FS), SYSTEM("gs_base", "uint64", get_base, set_base, X86_GS),
    { NULL },
};
static const Row system_rows[] = {
    SYSTEM("rip_offset", "uint64", get_offset, NULL, 0),
    SYSTEM("cs_base", "uint64", get_base, NULL, X86_CS), SYSTEM("ss_base", "uint64", get_base, NULL, X86_SS),
    SYSTEM("ds_base", "uint64", get_base, NULL, X86_DS), SYSTEM("es_base", "uint64", get_base, NULL, X86_ES),
    SYSTEM("cs_limit", "uint64", get_limit, NULL, X86_CS), SYSTEM("ss_limit", "uint64", get_limit, NULL, X86_SS),
    SYSTEM("ds_limit", "uint64", get_limit, NULL, X86_DS), SYSTEM("es_limit", "uint64", get_limit, NULL, X86_ES),
    SYSTEM("k_gs_base", "uint64", get_msr, set_msr, 0xc0000102),
    SYSTEM("cr0", "x86_cr0", get_control, set_control, 0), SYSTEM("cr2", "uint64", get_control, set_control, 2),
    SYSTEM("cr3", "uint64", get_control, set_control, 3), SYSTEM("cr4", "x86_cr4", get_control, set_control, 4),
    SYSTEM("cr8", "uint64", get_control, set_control, 8), SYSTEM("efer", "x86_efer", get_efer, set_efer, 0),
    SYSTEM("dr0", "uint64", get_debug, set_debug, 0), SYSTEM("dr1", "uint64", get_debug, set_debug, 1),
    SYSTEM("dr2", "uint64", get_debug, set_debug, 2), SYSTEM("dr3", "uint64", get_debug, set_debug, 3),
    SYSTEM("dr6", "uint64", get_debug, set_debug, 6), SYSTEM("dr7", "uint64", get_debug, set_debug, 7),
    SYSTEM("gdt_base", "uint64", get_table_base, set_table_base, GDT),
    SYSTEM("gdt_limit", "uint64", get_table_limit, set_table_limit, GDT),
    SYSTEM("idt_base", "uint64", get_table_base, set_table_base, IDT),
    SYSTEM("idt_limit", "uint64", get_table_limit, set_table_limit, IDT),
    SYSTEM("ldt", "uint64", get_system_selector, NULL, LDT), SYSTEM("ldt_base", "uint64", get_system_base, NULL, LDT),
    SYSTEM("tr", "uint64", get_system_selector, NULL, TR), SYSTEM("tr_base", "uint64", get_system_base, NULL, TR),
    SYSTEM("cpl", "uint64", get_cpl, NULL, 0),
    SYSTEM("xcr0", "uint64", get_xcr0, NULL, 0),
    SYSTEM("apic_base", "uint64", get_apic_base, NULL, 0),
    MSR("star", 0xc0000081), MSR("lstar", 0xc0000082), MSR("cstar", 0xc0000083), MSR("fmask", 0xc0000084),
    MSR("tsc_aux", 0xc0000103), MSR("sysenter_cs", 0x174), MSR("sysenter_esp", 0x175),
    MSR("sysenter_eip", 0x176), MSR("misc_enable", 0x1a0), MSR("pat", 0x277), MSR("mtrr_def_type", 0x2ff),
    { NULL },
};

/* ---- types ---- */

typedef struct Flag { const char *name; uint8_t first, last; } Flag;
static const Flag eflags_bits[] = {
    { "CF", 0, 0 }, { "", 1, 1 }, { "PF", 2, 2 }, { "AF", 4, 4 }, { "ZF", 6, 6 }, { "SF", 7, 7 }, { "TF", 8, 8 },
    { "IF", 9, 9 }, { "DF", 10, 10 }, { "OF", 11, 11 }, { "IOPL", 12, 13 }, { "NT", 14, 14 }, { "RF", 16, 16 },
    { "VM", 17, 17 }, { "AC", 18, 18 }, { "VIF", 19, 19 }, { "VIP", 20, 20 }, { "ID", 21, 21 }, { NULL },
};
static const Flag mxcsr_bits[] = {
    { "IE", 0, 0 }, { "DE", 1, 1 }, { "ZE", 2, 2 }, { "OE", 3, 3 }, { "UE", 4, 4 }, { "PE", 5, 5 },
    { "DAZ", 6, 6 }, { "IM", 7, 7 }, { "DM", 8, 8 }, { "ZM", 9, 9 }, { "OM", 10, 10 }, { "UM", 11, 11 },
    { "PM", 12, 12 }, { "RC", 13, 14 }, { "FZ", 15, 15 }, { NULL },
};
static const Flag cr0_bits[] = {
    { "PE", 0, 0 }, { "MP", 1, 1 }, { "EM", 2, 2 }, { "TS", 3, 3 }, { "ET", 4, 4 }, { "NE", 5, 5 },
    { "WP", 16, 16 }, { "AM", 18, 18 }, { "NW", 29, 29 }, { "CD", 30, 30 }, { "PG", 31, 31 }, { NULL },
};
static const Flag cr4_bits[] = {
    { "VME", 0, 0 }, { "PVI", 1, 1 }, { "TSD", 2, 2 }, { "DE", 3, 3 }, { "PSE", 4, 4 }, { "PAE", 5, 5 },
    { "MCE", 6, 6 }, { "PGE", 7, 7 }, { "PCE", 8, 8 }, { "OSFXSR", 9, 9 }, { "OSXMMEXCPT", 10, 10 },
    { "UMIP", 11, 11 }, { "LA57", 12, 12 }, { "FSGSBASE", 16, 16 }, { "PCIDE", 17, 17 }, { "OSXSAVE", 18, 18 },
    { "SMEP", 20, 20 }, { "SMAP", 21, 21 }, { "PKE", 22, 22 }, { NULL },
};
static const Flag efer_bits[] = { { "SCE", 0, 0 }, { "LME", 8, 8 }, { "LMA", 10, 10 }, { "NXE", 11, 11 }, { NULL } };

static const struct { const char *id; unsigned bytes; const Flag *bits; } flag_types[] = {
    { "i386_eflags", 4, eflags_bits }, { "i386_mxcsr", 4, mxcsr_bits }, { "x86_cr0", 8, cr0_bits },
    { "x86_cr4", 8, cr4_bits }, { "x86_efer", 8, efer_bits },
};

static const char vector_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>\n"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>\n"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
    "<union id=\"vec128\">\n<field name=\"v4_float\" type=\"v4f\"/>\n<field name=\"v2_double\" type=\"v2d\"/>\n"
    "<field name=\"v16_int8\" type=\"v16i8\"/>\n<field name=\"v8_int16\" type=\"v8i16\"/>\n"
    "<field name=\"v4_int32\" type=\"v4i32\"/>\n<field name=\"v2_int64\" type=\"v2i64\"/>\n"
    "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>\n";

/* ---- a layout ---- */

typedef struct Reg {
    const Row *row;
    unsigned arg;
} Reg;

struct GdbLayout {
    GdbArch arch;
    GArray *regs;               /* of Reg, by gdb's number */
    GString *xml;
};

enum { NO_FEATURE = -1 };
static const struct Feature {
    const char *name;
    const Row *rows[2];         /* for 32 and for 64 bits; NULL: gdb knows none there */
    int needs;                  /* X86Feature */
} features[] = {
    { "org.gnu.gdb.i386.core", { core32, core64 }, NO_FEATURE },
    { "org.gnu.gdb.i386.sse", { sse32, sse64 }, FEAT_SSE },
    { "org.gnu.gdb.i386.segments", { NULL, segments64 }, NO_FEATURE },
    { "org.gnu.gdb.i386.avx", { avx32, avx64 }, FEAT_AVX },
    { "org.gnu.gdb.i386.avx512", { avx512_32, avx512_64 }, FEAT_AVX512F },
    { "org.gnu.gdb.i386.pkeys", { pkeys, pkeys }, FEAT_PKU },
    { "org.tinamou.x86.bases", { bases32, NULL }, NO_FEATURE },
    { "org.tinamou.x86.system", { system_rows, system_rows }, NO_FEATURE },
};

static void put_types(GString *xml, const Row *rows)
{
    bool vectors = false;

    for (unsigned i = 0; i < G_N_ELEMENTS(flag_types); i++) {
        const Row *r = rows;
        while (r->name && strcmp(r->type, flag_types[i].id)) {
            r++;
        }
        if (r->name) {
            g_string_append_printf(xml, "<flags id=\"%s\" size=\"%u\">\n", flag_types[i].id, flag_types[i].bytes);
            for (const Flag *f = flag_types[i].bits; f->name; f++) {
                g_string_append_printf(xml, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", f->name, f->first,
                                       f->last);
            }
            g_string_append(xml, "</flags>\n");
        }
    }
    for (const Row *r = rows; r->name; r++) {
        vectors |= r->bits >= 128;
    }
    g_string_append(xml, vectors ? vector_types : "");
}

static void put_register(GdbLayout *l, const Row *r, unsigned i)
{
    Reg reg = { r, r->arg + i };
    const char *percent = strchr(r->name, '%');
    g_autofree char *name = percent ? g_strdup_printf("%.*s%u%s", (int)(percent - r->name), r->name, r->first + i,
                                                      percent + 2) : g_strdup(r->name);

    g_string_append_printf(l->xml, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"", name, r->bits,
                           r->type, l->regs->len);
    if (r->group) {
        g_string_append_printf(l->xml, " group=\"%s\"", r->group);
    }
    if (!g_strcmp0(r->group, "system")) {       /* calling a function in the guest leaves these alone */
        g_string_append(l->xml, " save-restore=\"no\"");
    }
    g_string_append(l->xml, "/>\n");
    g_array_append_val(l->regs, reg);
}

static bool has_register(X86Cpu *c, const Row *r)
{
    uint64_t v;

    return r->get != get_msr || x86_msr_read(c, r->arg, &v);
}

GdbLayout *gdb_layout_new(X86Cpu *c, GdbArch arch)
{
    GdbLayout *l = g_new0(GdbLayout, 1);

    l->arch = arch;
    l->regs = g_array_new(false, false, sizeof(Reg));
    l->xml = g_string_new("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n");
    g_string_append_printf(l->xml, "<architecture>%s</architecture>\n", gdb_arch_names[arch]);
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        const struct Feature *f = &features[i];
        const Row *rows = f->rows[arch == GDB_X86_64];
        if (!rows || (f->needs != NO_FEATURE && !x86_feature(c, (X86Feature)f->needs))) {
            continue;
        }
        g_string_append_printf(l->xml, "<feature name=\"%s\">\n", f->name);
        put_types(l->xml, rows);
        for (const Row *r = rows; r->name; r++) {
            for (unsigned n = 0; has_register(c, r) && n < MAX(r->count, 1); n++) {
                put_register(l, r, n);
            }
        }
        g_string_append(l->xml, "</feature>\n");
    }
    g_string_append(l->xml, "</target>\n");
    return l;
}

void gdb_layout_free(GdbLayout *l)
{
    if (l) {
        g_array_free(l->regs, true);
        g_string_free(l->xml, true);
        g_free(l);
    }
}

GdbArch gdb_layout_arch(const GdbLayout *l) { return l->arch; }
const char *gdb_layout_xml(const GdbLayout *l) { return l->xml->str; }
unsigned gdb_layout_count(const GdbLayout *l) { return l->regs->len; }

unsigned gdb_register_size(const GdbLayout *l, unsigned n)
{
    return g_array_index(l->regs, Reg, n).row->bits / 8;
}

/* Bytes lie in little-endian order on both sides. */
void gdb_register_get(const GdbLayout *l, X86Cpu *c, unsigned n, uint8_t *buf)
{
    const Reg *reg = &g_array_index(l->regs, Reg, n);
    const Row *r = reg->row;

    if (r->wide) {
        memcpy(buf, r->wide(c, reg->arg), r->bits / 8);
    } else if (r->get) {
        uint64_t v = r->get(c, reg->arg);
        memcpy(buf, &v, r->bits / 8);
    } else {
        const X86Float *f = stack_register(c, reg->arg);
        memcpy(buf, &f->mantissa, 8);
        memcpy(buf + 8, &f->exponent, 2);
    }
}

bool gdb_register_set(const GdbLayout *l, X86Cpu *c, unsigned n, const uint8_t *buf)
{
    const Reg *reg = &g_array_index(l->regs, Reg, n);
    const Row *r = reg->row;

    if (r->wide) {
        memcpy(r->wide(c, reg->arg), buf, r->bits / 8);
        return true;
    }
    if (r->get) {
        uint64_t v = 0;
        memcpy(&v, buf, r->bits / 8);
        return v == (r->get(c, reg->arg) & ~0ull >> (64 - r->bits)) || (r->set && r->set(c, reg->arg, v));
    }
    X86Float *f = stack_register(c, reg->arg);
    memcpy(&f->mantissa, buf, 8);
    memcpy(&f->exponent, buf + 8, 2);
    return true;
}

GdbArch gdb_arch_of_model(const X86Cpu *c)
{
    return x86_feature(c, FEAT_LM) ? GDB_X86_64 : GDB_I386;
}

GdbArch gdb_arch_of_mode(const X86Cpu *c)
{
    return (GdbArch)(c->mode & MODE_CODE);
}
