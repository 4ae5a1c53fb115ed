/*
 * CR0, CR3, CR4 and EFER: which values they take, and what follows from a change (SDM volume 3A 2.5,
 * 4.1.2, 4.4.1, 4.10.4.1).
 *
 * Not modelled: caching (CR0.CD and NW are only remembered).
 */
#include "target/x86/model.h"

#include "target/x86/mem.h"
#include "target/x86/segments.h"

enum { CR0_DEFINED = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD };
#define CR3_NO_FLUSH (1ull << 63)

bool x86_load_pdptes(X86Cpu *c, uint64_t cr3)
{
    const uint64_t reserved = 0x1e6 | ~c->phys_mask;
    uint64_t entry[4];

    for (unsigned i = 0; i < 4; i++) {
        entry[i] = as_load(c->vcpu.mem, ((cr3 & 0xffffffe0) + i * 8) & c->vcpu.a20_mask, 8);
        if ((entry[i] & 1) && (entry[i] & reserved)) {
            return false;
        }
    }
    memcpy(c->pdpte, entry, sizeof(entry));
    return true;
}

/* Processors with five-level paging heed CR4.LA57 at accesses and branches only (Intel's white paper on
 * 5-level paging, 2.2.3 and 2.3): what loads a base for later takes 57 bits in any case. */
bool x86_canonical_base(const X86Cpu *c, uint64_t linear)
{
    unsigned shift = x86_feature(c, FEAT_LA57) ? 7 : 16;

    return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

static bool uses_pdptes(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LME);
}

/* 9.8.5: paging switched on with EFER.LME enters long mode, off leaves it. */
static bool check_paging_change(const X86Cpu *c, uint64_t value)
{
    bool tss16 = (c->tr.ar & (AR_S | AR_TYPE) & ~2u) == SYS_TSS16;

    if (value & CR0_PG) {
        return !(c->efer & EFER_LME) || ((c->cr4 & CR4_PAE) && !(c->seg[X86_CS].ar & AR_L) && !tss16);
    }
    return !x86_in_code64(c) && !(c->cr4 & CR4_PCIDE);
}

bool x86_write_cr0(X86Cpu *c, uint64_t value)
{
    uint64_t old = c->cr0;

    if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD))) {
        return false;
    }
    value = (value & (CR0_DEFINED | CR0_PG)) | CR0_ET;
    uint64_t changed = value ^ old;
    if ((changed & CR0_PG) && !check_paging_change(c, value)) {
        return false;
    }
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && uses_pdptes(value, c->cr4, c->efer)
        && !x86_load_pdptes(c, c->cr3)) {
        return false;
    }
    c->cr0 = value;
    if (changed & CR0_PG) {
        bool active = (value & CR0_PG) && (c->efer & EFER_LME);
        c->efer = active ? c->efer | EFER_LMA : c->efer & ~(uint64_t)EFER_LMA;
    }
    x86_mode_changed(c);
    if (changed & CR0_PE) {
        for (unsigned i = 0; i < X86_SEGS; i++) {
            x86_seg_changed(c, i);      /* real mode and protected mode see rights differently */
        }
    }
    if (changed & (CR0_PG | CR0_PE | CR0_WP)) {
        x86_tlb_flush(c, true);
    }
    return true;
}

bool x86_write_cr3(X86Cpu *c, uint64_t value)
{
    bool keep = false;

    if (x86_long_mode(c)) {
        keep = (c->cr4 & CR4_PCIDE) && (value & CR3_NO_FLUSH);
        if (c->cr4 & CR4_PCIDE) {
            value &= ~CR3_NO_FLUSH;
        }
        if (value & ~c->phys_mask) {
            return false;
        }
    } else if (uses_pdptes(c->cr0, c->cr4, c->efer) && !x86_load_pdptes(c, value)) {
        return false;
    }
    c->cr3 = value;
    x86_tlb_load_cr3(c, keep);
    return true;
}

bool x86_write_cr4(X86Cpu *c, uint64_t value)
{
    uint64_t changed = value ^ c->cr4;

    if (value & ~(uint64_t)x86_cr4_valid(c)) {
        return false;
    }
    if (x86_long_mode(c) && (!(value & CR4_PAE) || (changed & CR4_LA57))) {
        return false;
    }
    if ((changed & value & CR4_PCIDE) && (!x86_long_mode(c) || (c->cr3 & CR3_PCID))) {
        return false;
    }
    if ((changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) && uses_pdptes(c->cr0, value, c->efer)
        && !x86_load_pdptes(c, c->cr3)) {
        return false;
    }
    c->cr4 = value;
    x86_mode_changed(c);
    if (changed & CR4_DE) {
        x86_debug_changed(c);
    }
    if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_PKE)) {
        x86_tlb_flush(c, true);
    }
    return true;
}

bool x86_write_efer(X86Cpu *c, uint64_t value)
{
    uint64_t valid = 0, old = c->efer;

    valid |= x86_feature(c, FEAT_SYSCALL) ? EFER_SCE : 0;
    valid |= x86_feature(c, FEAT_LM) ? EFER_LME : 0;
    valid |= x86_feature(c, FEAT_NX) && !(c->misc_enable & MISC_XD_DISABLE) ? EFER_NXE : 0;
    value &= ~(uint64_t)EFER_LMA;                       /* read-only: writes are ignored (2.2.1) */
    if ((value & ~valid) || ((c->cr0 & CR0_PG) && ((value ^ old) & EFER_LME))) {
        return false;
    }
    c->efer = value | (old & EFER_LMA);
    x86_mode_changed(c);
    if ((value ^ old) & EFER_NXE) {
        x86_tlb_flush(c, true);
    }
    return true;
}
