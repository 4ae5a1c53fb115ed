/*
 * Descriptor tables and questions about descriptors: LGDT and its kin, LLDT, LTR, LAR, LSL, VERR,
 * VERW, ARPL, and the machine status word (SDM volume 2, under their names).
 */
#include "rights.h"

#include "gen/x86-exec.h"
#include "util/bits.h"

/* ---- GDTR and IDTR ---- */

static void store_table(X86Cpu *c, const X86Insn *in, uint64_t base, uint16_t limit)
{
    unsigned size = x86_in_code64(c) ? 8 : 4;

    require_no_umip(c);
    uint64_t linear = x86_operand(c, in, size + 2, true);
    uint8_t image[2 + 8];
    st16le(image, limit);
    st64le(image + 2, base);
    x86_check_alignment(c, linear, 4);          /* volume 3A table 6-7; its base is nowhere aligned */
    x86_st_bytes(c, linear, image, size + 2);
}

/* A 16-bit operand size loads 24 bits of base. */
static void load_table(X86Cpu *c, const X86Insn *in, uint64_t *base, uint16_t *limit)
{
    unsigned size = x86_in_code64(c) ? 8 : 4;

    require_row(c, in);
    uint64_t linear = x86_operand(c, in, size + 2, false);
    uint16_t new_limit = x86_ld(c, linear, 2);
    uint64_t new_base = x86_ld(c, linear_after(c, linear, 2), size);
    if (size == 4 && in->opsize == 16) {
        new_base &= 0xffffff;
    }
    require_gp(c, size == 4 || x86_canonical_base(c, new_base));
    *limit = new_limit;
    *base = new_base;
}

void exec_sgdt(X86Cpu *c, const X86Insn *in)
{
    store_table(c, in, c->gdt.base, c->gdt.limit);
}

void exec_sidt(X86Cpu *c, const X86Insn *in)
{
    store_table(c, in, c->idt.base, c->idt.limit);
}

void exec_lgdt(X86Cpu *c, const X86Insn *in)
{
    load_table(c, in, &c->gdt.base, &c->gdt.limit);
}

void exec_lidt(X86Cpu *c, const X86Insn *in)
{
    load_table(c, in, &c->idt.base, &c->idt.limit);
}

/* ---- LDTR, TR, machine status word ---- */

/* A register gets the operand size, memory always 16 bits. */
static void store_word(X86Cpu *c, const X86Insn *in, uint64_t v)
{
    require_no_umip(c);
    if (in->mod3) {
        put_sized(&c->regs[in->rm], in->opsize, v);
    } else {
        store_rm16(c, in, (uint16_t)v);
    }
}

void exec_sldt(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    store_word(c, in, c->ldt.selector);
}

void exec_str(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    store_word(c, in, c->tr.selector);
}

void exec_lldt(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    x86_load_ldt(c, load_rm16(c, in), EXC_GP);
}

void exec_ltr(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    x86_load_tr(c, load_rm16(c, in));
}

void exec_smsw(X86Cpu *c, const X86Insn *in)
{
    store_word(c, in, c->cr0);
}

/* PE, MP, EM and TS; PE can be set but not cleared. */
void exec_lmsw(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    uint64_t low = load_rm16(c, in) & 0xf;
    require_gp(c, x86_write_cr0(c, (c->cr0 & ~0xeull) | low));
}

void exec_clts(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    c->cr0 &= ~(uint64_t)CR0_TS;
    x86_mode_changed(c);
}

/* ---- questions ---- */

static void set_zf(X86Cpu *c, bool on)
{
    c->cc = on ? c->cc | CC_ZF : c->cc & ~CC_ZF;
}

/* Types that LAR and LSL accept, as bit masks by system type; the tables of volume 2. */
enum { LAR_LEGACY = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12,
       LAR_LONG = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12,
       LSL_LEGACY = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11,
       LSL_LONG = 1 << 2 | 1 << 9 | 1 << 11 };

static bool visible(X86Cpu *c, uint16_t selector, X86Desc *d, unsigned system_types)
{
    if (!x86_desc_find(c, selector, d)) {
        return false;
    }
    if (!(d->ar & AR_S) && !(system_types >> (d->ar & AR_TYPE) & 1)) {
        return false;
    }
    return x86_ar_is_conforming(d->ar) || x86_dpl_admits(c, d, selector);
}

void exec_lar(X86Cpu *c, const X86Insn *in)
{
    X86Desc d;

    require_row(c, in);
    bool ok = visible(c, load_rm16(c, in), &d, x86_long_mode(c) ? LAR_LONG : LAR_LEGACY);
    if (ok) {
        put_sized(&c->regs[in->reg], in->opsize, d.hi & 0x00f0ff00);
    }
    set_zf(c, ok);
}

void exec_lsl(X86Cpu *c, const X86Insn *in)
{
    X86Desc d;

    require_row(c, in);
    bool ok = visible(c, load_rm16(c, in), &d, x86_long_mode(c) ? LSL_LONG : LSL_LEGACY);
    if (ok) {
        put_sized(&c->regs[in->reg], in->opsize, d.limit);
    }
    set_zf(c, ok);
}

void exec_verr(X86Cpu *c, const X86Insn *in)
{
    X86Desc d;

    require_row(c, in);
    set_zf(c, visible(c, load_rm16(c, in), &d, 0) && x86_ar_is_readable(d.ar));
}

void exec_verw(X86Cpu *c, const X86Insn *in)
{
    X86Desc d;

    require_row(c, in);
    set_zf(c, visible(c, load_rm16(c, in), &d, 0) && x86_ar_is_writable(d.ar));
}

void exec_arpl(X86Cpu *c, const X86Insn *in)
{
    require_row(c, in);
    uint16_t dst = load_rm16(c, in), rpl = c->regs[in->reg] & 3;
    bool raise = (dst & 3) < rpl;

    if (raise) {                        /* else a page without write access is good enough */
        store_rm16(c, in, (dst & ~3) | rpl);
    }
    set_zf(c, raise);
}
