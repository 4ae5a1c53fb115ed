/*
 * A processor's life: made, reset, stopped by INIT, started by SIPI; and the views of its state that
 * everything else derives from (SDM volume 3A 9.1).
 */
#include "target/x86/cpu.h"

#include "core/machine.h"
#include "target/x86/alu.h"
#include "target/x86/exec.h"
#include "target/x86/model.h"
#include "target/x86/segments.h"
#include "util/bits.h"
#include "util/log.h"

static void map_changed(Vcpu *v)
{
    x86_tlb_flush(x86_cpu(v), true);
}

X86Cpu *x86_cpu_new(Machine *m, unsigned index, const char *model, GError **errp)
{
    X86Model *made = x86_model_new(model, errp);

    if (!made) {
        return NULL;
    }
    X86Cpu *c = g_aligned_alloc0(1, sizeof(*c), 64);    /* vector registers want their alignment */
    c->model = made;
    c->phys_mask = mask64(x86_phys_bits(c));
    vcpu_init(&c->vcpu, m, index);
    c->vcpu.tsc_khz = x86_tsc_khz(c);
    c->counted = clock_counted(m->clock);
    x86_mmu_new(c);
    if (!x86_hostrun_new(c, errp)) {
        x86_cpu_free(c);
        return NULL;
    }
    c->vcpu.map_changed = map_changed;
    x86_reset(c);
    return c;
}

void x86_cpu_free(X86Cpu *c)
{
    if (c) {
        x86_hostrun_free(c);
        x86_mmu_free(c);
        vcpu_fini(&c->vcpu);
        x86_model_free((X86Model *)c->model);
        g_aligned_free(c);
    }
}

enum { STATE_FIRST = offsetof(X86Cpu, regs), STATE_SIZE = offsetof(X86Cpu, debug) - STATE_FIRST };

bool x86_same_state(const X86Cpu *a, const X86Cpu *b)
{
    return !memcmp((const uint8_t *)a + STATE_FIRST, (const uint8_t *)b + STATE_FIRST, STATE_SIZE)
        && a->vcpu.halted == b->vcpu.halted && a->vcpu.tsc_offset == b->vcpu.tsc_offset;
}

void x86_copy_state(X86Cpu *to, const X86Cpu *from)
{
    memcpy((uint8_t *)to + STATE_FIRST, (const uint8_t *)from + STATE_FIRST, STATE_SIZE);
    to->vcpu.halted = from->vcpu.halted;
    to->vcpu.tsc_offset = from->vcpu.tsc_offset;
    to->vcpu.tsc_khz = from->vcpu.tsc_khz;
    to->vcpu.a20_mask = from->vcpu.a20_mask;
    if (to->mmu) {                                      /* a processor, and no mere copy of its state */
        for (unsigned i = 0; i < X86_SEGS; i++) {
            x86_seg_changed(to, i);
        }
        x86_mode_changed(to);
        x86_debug_changed(to);
        x86_tlb_flush(to, true);
    }
}

uint32_t x86_rflags(const X86Cpu *c)
{
    return c->rflags | cc_to_flags(c->cc) | FL_1;
}

void x86_set_rflags(X86Cpu *c, uint32_t rflags)
{
    const uint32_t defined = FL_STATUS | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF
        | FL_VIP | FL_ID;

    c->cc = cc_from_flags(rflags);
    c->rflags = (rflags & defined & ~FL_STATUS) | FL_1;
    x86_mode_changed(c);
}

static bool is_flat(const X86Cpu *c)
{
    static const uint8_t data[] = { X86_SS, X86_DS, X86_ES };
    bool flat = !c->seg[X86_CS].base && c->seg[X86_CS].limit == ~0u;

    for (unsigned i = 0; i < G_N_ELEMENTS(data); i++) {
        const X86Segment *s = &c->seg[data[i]];
        flat = flat && !s->base && !s->read_lo && !s->write_lo && !~s->read_hi && !~s->write_hi;
    }
    return flat;
}

void x86_mode_changed(X86Cpu *c)
{
    uint32_t mode = 0;
    bool fpu_off = c->cr0 & (CR0_EM | CR0_TS);

    if (c->cr0 & CR0_PE) {
        mode |= MODE_PE | (c->rflags & FL_VM ? MODE_VM : 0);
    }
    if (c->efer & EFER_LMA) {
        mode |= MODE_LMA;
    }
    if ((mode & MODE_LMA) && (c->seg[X86_CS].ar & AR_L)) {
        mode |= MODE_CODE64;            /* whose stack has 64 bits, whatever SS says: behind a gate it is null */
    } else {
        mode |= (c->seg[X86_CS].ar & AR_DB ? MODE_CODE32 : 0) | (c->seg[X86_SS].ar & AR_DB ? MODE_SS32 : 0);
    }
    mode |= c->cr0 & CR0_PG ? MODE_PG : 0;
    mode |= c->rflags & FL_TF ? MODE_TF : 0;
    mode |= fpu_off ? MODE_FPU_OFF : 0;
    mode |= (c->cr4 & CR4_OSFXSR) && !(c->cr0 & CR0_EM) ? MODE_SSE_ON : 0;
    if ((c->cr4 & CR4_OSXSAVE) && (c->xcr0 & (XCR0_SSE | XCR0_AVX)) == (XCR0_SSE | XCR0_AVX)) {
        mode |= MODE_AVX_ON | ((c->xcr0 & XCR0_AVX512) == XCR0_AVX512 ? MODE_AVX512_ON : 0);
    }
    mode |= (uint32_t)c->cpl << MODE_CPL_SHIFT;
    if ((mode & (MODE_CODE | MODE_SS32)) == (MODE_CODE32 | MODE_SS32) && is_flat(c)) {
        mode |= MODE_FLAT;
    }
    mode |= c->rflags & FL_IOPL;                        /* MODE_IOPL lies where the flags have it */
    c->mode = mode;
}

/* Table 9-1: what INIT and RESET have in common. */
static void reset_core(X86Cpu *c)
{
    static const uint16_t data = AR_P | AR_S | AR_RW | AR_A;

    memset(c->regs, 0, sizeof(c->regs));
    c->regs[X86_RDX] = x86_signature(c);
    c->regs[X86_RIP] = 0xfff0;
    c->cpl = 0;
    c->cr0 = CR0_ET | (c->cr0 & (CR0_CD | CR0_NW));     /* the cache bits survive INIT */
    c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
    c->kernel_gs_base = 0;
    memset(c->pdpte, 0, sizeof(c->pdpte));
    x86_set_rflags(c, FL_1);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        x86_seg_set(c, i, 0, 0, 0xffff, data);
    }
    x86_seg_set(c, X86_CS, 0xf000, 0xffff0000, 0xffff, data);
    c->gdt.base = c->idt.base = 0;
    c->gdt.limit = c->idt.limit = 0xffff;
    c->ldt = (X86Segment){ .limit = 0xffff, .ar = AR_P | SYS_LDT };
    c->tr = (X86Segment){ .limit = 0xffff, .ar = AR_P | SYS_TSS32_BUSY };
    memset(c->dr, 0, sizeof(c->dr));
    c->dr[6] = DR6_FIXED;
    c->dr[7] = DR7_FIXED;
    c->debug.pending = 0;
    c->debug.alone = c->debug.stop = c->debug.apart = false;
    c->sti_shadow = c->ss_shadow = c->nmi_blocked = false;
    memset(&c->exc, 0, sizeof(c->exc));
    c->exc.vector = c->exc.delivering = -1;
    memset(&c->monitor, 0, sizeof(c->monitor));
    c->cur = NULL;
    /* 8.4.2: the boot processor starts; the others wait for SIPI. */
    c->wait_sipi = c->vcpu.halted = c->vcpu.index != 0;
    x86_mode_changed(c);
    x86_debug_changed(c);
    x86_tlb_flush(c, true);
}

static void reset_fpu(X86Fpu *f)
{
    memset(f, 0, sizeof(*f));
    f->fcw = 0x40;
    f->mxcsr = 0x1f80;
}

void x86_reset(X86Cpu *c)
{
    if (log_on(LOG_CPU_RESET)) {
        g_autoptr(GString) s = g_string_new(NULL);
        x86_info_registers(c, s);
        log_printf("cpu%u: reset\n%s", c->vcpu.index, s->str);
    }
    vcpu_lower(&c->vcpu, VCPU_NMI | VCPU_SMI | VCPU_INIT | VCPU_SIPI);
    c->cr0 = CR0_CD | CR0_NW;
    reset_core(c);
    reset_fpu(&c->fpu);
    c->xcr0 = 1;
    c->pkru = 0;
    c->ferr = false;                                    /* the board resets its end */
    c->star = c->lstar = c->cstar = c->fmask = c->tsc_aux = 0;
    c->umwait_control = 0;
    c->sysenter_cs = 0;
    c->sysenter_esp = c->sysenter_eip = 0;
    c->pat = 0x0007040600070406;                        /* 11.12.4 */
    c->mtrr_def_type = 0;
    memset(c->mtrr_fixed, 0, sizeof(c->mtrr_fixed));
    memset(c->mtrr_base, 0, sizeof(c->mtrr_base));
    memset(c->mtrr_mask, 0, sizeof(c->mtrr_mask));
    c->misc_enable = MISC_FAST_STRING | MISC_NO_BTS | MISC_NO_PEBS
        | (x86_feature(c, FEAT_MONITOR) ? MISC_MONITOR : 0);
    c->mcg_status = c->mcg_ctl = 0;
    memset(c->mc_ctl, 0, sizeof(c->mc_ctl));
    c->spec_ctrl = 0;
    c->tsc_adjust = 0;
    c->vcpu.tsc_offset = -(vcpu_tsc(&c->vcpu) - c->vcpu.tsc_offset);    /* the TSC starts at 0 */
}

void x86_init(X86Cpu *c)
{
    uint64_t kernel_gs = c->kernel_gs_base;

    reset_core(c);
    c->kernel_gs_base = kernel_gs;                      /* MSRs are as they were */
}

/* 8.4.3: at CS = vector << 8, IP 0. */
void x86_sipi(X86Cpu *c, uint8_t vector)
{
    x86_seg_set(c, X86_CS, vector << 8, (uint64_t)vector << 12, 0xffff, c->seg[X86_CS].ar);
    c->regs[X86_RIP] = 0;
    c->wait_sipi = c->vcpu.halted = false;
}
