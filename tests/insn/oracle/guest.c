/*
 * tests/insn/oracle/guest.c - see guest.h: tables and pages, a case's state in, the result out.
 */
#include "guest.h"

#include <string.h>
#include "encode.h"
#include "trampoline.h"
#include "target/x86/alu.h"
#include "target/x86/exec.h"
#include "target/x86/model.h"
#include "target/x86/segments.h"
#include "../coverage.h"
#include "../native.h"

enum { SEL_KERNEL = 0x10, SEL_TSS = 0x40, HLT = 0xf4 };
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4 };
#define PTE_NX (1ull << 63)

/* ---- set-up ---- */

static void put64(Guest *g, uint64_t at, uint64_t v) { memcpy(g->mem + at, &v, 8); }

static uint64_t *table_entry(Guest *g, uint64_t table, uint64_t linear, unsigned level)
{
    return (uint64_t *)(g->mem + table + (linear >> (12 + 9 * level) & 511) * 8);
}

static void map_page(Guest *g, uint64_t linear, uint64_t phys, uint64_t rights)
{
    uint64_t table = PHYS_TABLES;

    for (unsigned level = 3; level > 0; level--) {
        uint64_t *e = table_entry(g, table, linear, level);
        if (!*e) {
            g->tables_used += ORACLE_PAGE;
            *e = (PHYS_TABLES + g->tables_used) | PTE_P | PTE_W | PTE_U;
        }
        table = *e & ~0xfffull;
    }
    *table_entry(g, table, linear, 0) = phys | PTE_P | rights;
}

static void put_desc(Guest *g, uint64_t at, uint64_t base, uint32_t limit, unsigned ar)
{
    put64(g, at, (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)(ar & 0xf0ff) << 40
                 | (uint64_t)(limit & 0xf0000) << 32 | (base & 0xff000000) << 32);
}

static void fill_tables(Guest *g)
{
    enum { USER = AR_P | AR_DPL | AR_S | AR_RW | AR_A, KERNEL = AR_P | AR_S | AR_RW | AR_A };

    put_desc(g, PHYS_GDT + 0x08, 0, 0xfffff, KERNEL | AR_CODE | AR_DB | AR_G);
    put_desc(g, PHYS_GDT + SEL_KERNEL, 0, 0xfffff, KERNEL | AR_CODE | AR_L | AR_G);
    put_desc(g, PHYS_GDT + 0x18, 0, 0xfffff, KERNEL | AR_DB | AR_G);
    put_desc(g, PHYS_GDT + (SEL_USER32 & ~7), 0, 0xfffff, USER | AR_CODE | AR_DB | AR_G);
    put_desc(g, PHYS_GDT + (SEL_USER_DATA & ~7), 0, 0xfffff, USER | AR_DB | AR_G);
    put_desc(g, PHYS_GDT + (SEL_USER64 & ~7), 0, 0xfffff, USER | AR_CODE | AR_L | AR_G);
    put_desc(g, PHYS_GDT + SEL_TSS, KERNEL_AT + PHYS_TSS, 0x67, AR_P | SYS_TSS32_BUSY);
    put64(g, PHYS_GDT + SEL_TSS + 8, KERNEL_AT >> 32);
    put_desc(g, PHYS_GDT + 0x50, KERNEL_AT + PHYS_LDT, LDT_USED * 8 - 1, AR_P | SYS_LDT);
    put64(g, PHYS_GDT + 0x58, KERNEL_AT >> 32);
    put_desc(g, PHYS_GDT + 0x78, 0, 0, AR_P | AR_DPL | AR_S | AR_A);    /* the kernel's processor number */
    for (unsigned i = 0; i < LDT_USED; i++) {
        const OracleSegment *s = &oracle_ldt[i];
        unsigned ar = AR_DPL | AR_S | AR_A | s->contents << 2 | (s->read_only ? 0 : AR_RW) | (s->absent ? 0 : AR_P)
                    | (s->big ? AR_DB : 0) | (s->pages ? AR_G : 0) | AR_AVL;
        put_desc(g, PHYS_LDT + i * 8, s->base, s->limit, ar);
    }
    for (unsigned v = 0; v < 256; v++) {
        uint64_t to = KERNEL_AT + PHYS_HANDLER + v * HANDLER_SIZE;
        unsigned dpl = v == EXC_BP || v == EXC_OF ? AR_DPL : 0;
        put64(g, PHYS_IDT + v * 16, (to & 0xffff) | SEL_KERNEL << 16 | (uint64_t)(AR_P | dpl | SYS_INT32) << 40
                                    | (to & 0xffff0000) << 32);
        put64(g, PHYS_IDT + v * 16 + 8, to >> 32);
    }
    put64(g, PHYS_TSS + 4, KERNEL_AT + PHYS_STACK);
    put64(g, PHYS_TSS + 0x60, 0x68ull << 48);           /* no I/O permission map */
}

static void map_pages(Guest *g)
{
    for (uint64_t at = 0; at < KERNEL_SIZE; at += ORACLE_PAGE) {
        map_page(g, KERNEL_AT + at, at, PTE_W);
    }
    map_page(g, CODE_AT, PHYS_CODE, PTE_U);
    map_page(g, LOW_AT, PHYS_LEAVE, PTE_U);
    for (unsigned i = 0; i < DATA_PAGES; i++) {
        if (data_page_kind[i] != DATA_ABSENT) {
            map_page(g, DATA_AT + i * ORACLE_PAGE, PHYS_DATA + i * ORACLE_PAGE,
                     PTE_U | PTE_NX | (data_page_kind[i] == DATA_RW ? PTE_W : 0));
        }
    }
}

static void learn_segment(X86Cpu *c, uint16_t selector, X86Segment *s)
{
    X86Desc d;

    *s = (X86Segment){ .read_lo = 1, .write_lo = 1 };
    if (x86_desc_find(c, selector, &d) && (d.ar & AR_S)) {
        *s = (X86Segment){ .base = d.base, .limit = d.limit, .ar = d.ar };
        x86_seg_range(s, false);
    }
}

void guest_start(Guest *g)
{
    X86Cpu *c = g->c;

    c->unwind = &g->unwind;
    if (setjmp(g->unwind)) {
        g_assert_not_reached();
    }
    c->gdt.base = KERNEL_AT + PHYS_GDT;
    c->gdt.limit = GDT_ENTRIES * 8 - 1;
    c->idt.base = KERNEL_AT + PHYS_IDT;
    c->idt.limit = 0xfff;
    uint32_t cr4 = CR4_PAE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE;
    g_assert_true(x86_write_cr4(c, cr4 & x86_cr4_valid(c)));
    c->xcr0 = x86_xcr0_valid(c) & 0xe7;  /* not PKRU: excluded.c */
    g_assert_true(x86_write_cr3(c, PHYS_TABLES));
    g_assert_true(x86_write_efer(c, EFER_LME | EFER_SCE | EFER_NXE));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_AM));
    x86_seg_set(c, X86_CS, SEL_KERNEL, 0, 0, AR_P | AR_S | AR_CODE | AR_RW | AR_L | AR_A);
    x86_load_ldt(c, 0x50, EXC_GP);
    put_desc(g, PHYS_GDT + SEL_TSS, KERNEL_AT + PHYS_TSS, 0x67, AR_P | SYS_TSS32);
    x86_load_tr(c, SEL_TSS);
    for (unsigned i = 0; i < GDT_ENTRIES; i++) {
        learn_segment(c, i * 8, &g->gdt[i]);
    }
    for (unsigned i = 0; i < LDT_USED; i++) {
        learn_segment(c, LDT_SEL(i), &g->ldt[i]);
    }
}

void guest_close(Guest *g)
{
    if (g->c) {
        coverage_write(g->c);
        x86_cpu_free(g->c);
    }
    machine_lock(g->m);
    region_unmap(&g->ram);
    region_fini(&g->ram);
    machine_unlock(g->m);
    machine_free(g->m);
}

bool guest_open(Guest *g, const uint8_t *background, GError **errp)
{
    g->m = machine_new(clock_new_manual());
    machine_lock(g->m);
    memory_begin(g->m->mem);
    bool ok = region_init_ram(&g->ram, "ram", RAM_SIZE, errp);
    if (ok) {
        region_map(&g->m->mem_root, 0, &g->ram, 0);
    }
    memory_commit(g->m->mem);
    machine_unlock(g->m);
    if (ok) {
        g->mem = g->ram.ram;
        memcpy(g->background, background, sizeof(g->background));
        memcpy(g->mem + PHYS_DATA, background, sizeof(g->background));
        memset(g->mem + PHYS_CODE, CODE_FILL, ORACLE_PAGE);
        g->mem[PHYS_LEAVE + LOW_LEAVE] = HLT;
        for (unsigned v = 0; v < 256; v++) {
            g->mem[PHYS_HANDLER + v * HANDLER_SIZE] = HLT;
            memcpy(g->mem + PHYS_HANDLER + v * HANDLER_SIZE + HANDLER_IRET, "\x48\xcf", 2);
        }
        fill_tables(g);
        map_pages(g);
        /* How many bits of a base are checked depends on the processor, not on its mode (volume 3A, 4.5.2). */
        g->c = x86_cpu_new(g->m, 0, native_has("la57") ? "max" : "max,-la57", errp);
    }
    if (g->c) {
        g_ptr_array_add(g->m->vcpus, g->c);
        coverage_watch(g->c);
    }
    return g->c;
}

bool guest_has(const Guest *g, const X86Row *row)
{
    return x86_has(g->c, row->cpu) && (row->op != OP_TZCNT || x86_feature(g->c, FEAT_BMI1))
        && (row->op != OP_LZCNT || x86_feature(g->c, FEAT_ABM));
}

/* ---- state in ---- */

static void load_fpu(X86Fpu *f, const OracleState *s)
{
    const uint8_t *x = s->fx;
    unsigned top = x[FX_FSW + 1] >> 3 & 7;

    memcpy(&f->fcw, x + FX_FCW, 2);
    memcpy(&f->fsw, x + FX_FSW, 2);
    f->ftw = x[FX_FTW];
    memcpy(&f->mxcsr, x + FX_MXCSR, 4);
    f->fop = f->fcs = f->fds = 0;
    f->fip = f->fdp = 0;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&f->st[(top + i) & 7].mantissa, x + FX_ST + 16 * i, 8);
        memcpy(&f->st[(top + i) & 7].exponent, x + FX_ST + 16 * i + 8, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(f->v[i].q, x + FX_XMM + 16 * i, 16);
        memcpy(f->v[i].q + 2, s->ymm_high[i], 16);
    }
    if (s->vectors & ORACLE_AVX512) {
        for (unsigned i = 0; i < 16; i++) {
            memcpy(f->v[i].q + 4, s->zmm_high[i], 32);
            memcpy(f->v[i + 16].q, s->zmm16[i], 64);
        }
        memcpy(f->k, s->k, sizeof(f->k));
    }
}

static void set_segment(Guest *g, unsigned seg, uint16_t selector)
{
    static const X86Segment none = { .read_lo = 1, .write_lo = 1 };
    unsigned i = selector >> 3;

    g->c->seg[seg] = x86_selector_is_null(selector) ? none
                   : selector & 4 ? (i < LDT_USED ? g->ldt[i] : none) : i < GDT_ENTRIES ? g->gdt[i] : none;
    g->c->seg[seg].selector = selector;
}

void guest_load(Guest *g, const OracleCase *oc)
{
    X86Cpu *c = g->c;
    const OracleState *s = &oc->in;

    memcpy(c->regs, s->regs, sizeof(s->regs));
    c->regs[X86_RIP] = s->rip;
    for (unsigned i = 0; i < X86_SEGS; i++) {
        if (c->seg[i].selector != s->seg[i] || i >= X86_FS) {
            set_segment(g, i, s->seg[i]);
        }
    }
    if (oc->bits == 64) {
        c->seg[X86_FS].base = s->fs_base;
        c->seg[X86_GS].base = s->gs_base;
    }
    load_fpu(&c->fpu, s);
    c->cpl = 3;
    c->cr2 = 0;
    c->sti_shadow = false;
    c->exc.vector = c->exc.delivering = -1;
    x86_set_rflags(c, (uint32_t)s->flags);
    x86_mmu_sync(c);
    for (unsigned i = 0; i < oc->patches; i++) {
        memcpy(g->mem + PHYS_DATA + oc->patch[i].at, oc->patch[i].bytes, oc->patch[i].len);
    }
    for (unsigned i = 0; i < oc->len && oc->code_at + i < ORACLE_PAGE; i++) {
        g->mem[PHYS_CODE + oc->code_at + i] = oc->code[i];
    }
    put_jump(oc, g->mem + PHYS_CODE);
}

/* ---- state out ---- */

static void save_fpu(const X86Fpu *f, OracleState *s)
{
    uint8_t *x = s->fx;
    unsigned top = f->fsw >> 11 & 7;

    memcpy(x + FX_FCW, &f->fcw, 2);
    memcpy(x + FX_FSW, &f->fsw, 2);
    x[FX_FTW] = f->ftw;
    memcpy(x + FX_MXCSR, &f->mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(x + FX_ST + 16 * i, &f->st[(top + i) & 7].mantissa, 8);
        memcpy(x + FX_ST + 16 * i + 8, &f->st[(top + i) & 7].exponent, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(x + FX_XMM + 16 * i, f->v[i].q, 16);
        memcpy(s->ymm_high[i], f->v[i].q + 2, 16);
    }
    if (s->vectors & ORACLE_AVX512) {
        for (unsigned i = 0; i < 16; i++) {
            memcpy(s->zmm_high[i], f->v[i].q + 4, 32);
            memcpy(s->zmm16[i], f->v[i + 16].q, 64);
        }
        memcpy(s->k, f->k, sizeof(f->k));
    }
}

static void save_memory(Guest *g, OracleResult *out)
{
    uint8_t *data = g->mem + PHYS_DATA;

    out->lines = 0;
    for (unsigned page = 0; page < DATA_PAGES; page++) {
        unsigned at = page * ORACLE_PAGE;
        if (data_page_kind[page] != DATA_RW || !memcmp(data + at, g->background + at, ORACLE_PAGE)) {
            continue;
        }
        for (unsigned end = at + ORACLE_PAGE; at < end; at += LINE) {
            if (memcmp(data + at, g->background + at, LINE)) {
                out->line[out->lines].at = at;
                memcpy(out->line[out->lines++].bytes, data + at, LINE);
                memcpy(data + at, g->background + at, LINE);
            }
        }
    }
}

/* In ring 0 now: what the exception's handler finds is what the program was. */
static void leave_handler(Guest *g, OracleResult *out)
{
    X86Cpu *c = g->c;
    OracleState *s = &out->state;
    const unsigned with_error = 1 << EXC_DF | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS | 1 << EXC_GP | 1 << EXC_PF
                              | 1 << EXC_AC;
    unsigned vector = (c->regs[X86_RIP] - KERNEL_AT - PHYS_HANDLER) / HANDLER_SIZE;
    uint64_t frame[6] = { 0 };
    unsigned has_error = vector < 32 ? with_error >> vector & 1 : 0;

    memcpy(frame + !has_error, g->mem + (c->regs[X86_RSP] - KERNEL_AT), (5 + has_error) * 8);
    out->vector = vector;
    out->error = (uint32_t)frame[0];
    out->cr2 = c->cr2;
    s->rip = frame[1];
    s->seg[X86_CS] = frame[2];
    s->flags = frame[3];
    s->regs[X86_RSP] = frame[4];
    s->seg[X86_SS] = frame[5];
    if (vector == EXC_DB) {             /* INT1: for the child no other trap than that of TF */
        out->vector = ORACLE_NONE;
    }
}

void guest_save(Guest *g, const OracleCase *oc, OracleResult *out)
{
    X86Cpu *c = g->c;
    OracleState *s = &out->state;

    out->vector = ORACLE_NONE;
    s->vectors = oc->in.vectors;
    memcpy(s->regs, c->regs, sizeof(s->regs));
    s->rip = c->regs[X86_RIP];
    s->flags = x86_rflags(c);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        s->seg[i] = c->seg[i].selector;
    }
    s->fs_base = c->seg[X86_FS].base;
    s->gs_base = c->seg[X86_GS].base;
    save_fpu(&c->fpu, s);
    if (c->cpl != 3) {
        leave_handler(g, out);
    }
    save_memory(g, out);
    for (unsigned i = 0; i < (unsigned)oc->len + JUMP_MAX && oc->code_at + i < ORACLE_PAGE; i++) {
        g->mem[PHYS_CODE + oc->code_at + i] = CODE_FILL;
    }
}
