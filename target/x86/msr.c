/*
 * Model-specific registers, one table (SDM volume 4, chapter 2; volume 3A chapter 11 for MTRRs).
 *
 * An MSR that no row names is #GP and is counted as not modelled.
 *
 * Not modelled: machine checks (the banks are there and stay empty), performance counters, the effect
 * of memory types.
 */
#include "target/x86/model.h"

#include "core/machine.h"
#include "target/x86/mem.h"
#include "util/bits.h"
#include "util/log.h"

typedef struct Msr Msr;
struct Msr {
    uint32_t first, count;
    const char *name;
    uint16_t feature;           /* X86Feature, or ANY */
    size_t field;               /* offset in X86Cpu of a plain register (an array for count > 1) */
    uint8_t size;               /* of the field; 0: read and write do it */
    uint64_t valid;             /* bits that may be set; others are #GP */
    bool (*read)(X86Cpu *c, uint32_t n, uint64_t *v);
    bool (*write)(X86Cpu *c, uint32_t n, uint64_t v);
};

enum { ANY = 0xffff, MTRR_VARIABLE = 8 };

/* ---- registers that are more than a value ---- */

/* It comes with the first feature that has a bit in it. */
static bool has_efer(X86Cpu *c)
{
    return x86_feature(c, FEAT_SYSCALL) || x86_feature(c, FEAT_LM) || x86_feature(c, FEAT_NX);
}

static bool read_efer(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = c->efer;
    return has_efer(c);
}

static bool write_efer(X86Cpu *c, uint32_t n, uint64_t v)
{
    return has_efer(c) && x86_write_efer(c, v);
}

/* Volume 4, table 2-2: the bits that say what the processor has not got cannot be changed. */
static bool write_misc_enable(X86Cpu *c, uint32_t n, uint64_t v)
{
    const uint64_t fixed = MISC_PERFMON | MISC_NO_BTS | MISC_NO_PEBS;

    if ((v & MISC_MONITOR) && !x86_feature(c, FEAT_MONITOR)) {
        return false;
    }
    if ((v & MISC_XD_DISABLE) && (!x86_feature(c, FEAT_NX) || (c->efer & EFER_NXE))) {
        return false;
    }
    c->misc_enable = (v & ~fixed) | (c->misc_enable & fixed);
    return true;
}

/* ---- machine checks (volume 3B 15.3): banks that report nothing ---- */

enum { MCG_CTL_P = 1 << 8 };

static bool read_mcg_cap(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = X86_MC_BANKS | MCG_CTL_P;
    return true;
}

/* CTL, STATUS, ADDR and MISC of each bank. */
static bool read_mc_bank(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = n % 4 == 0 ? c->mc_ctl[n / 4] : 0;
    return true;
}

static bool write_mc_bank(X86Cpu *c, uint32_t n, uint64_t v)
{
    if (n % 4 != 0) {
        return v == 0;                                  /* 15.3.2.2 to 15.3.2.4 */
    }
    c->mc_ctl[n / 4] = v;
    return true;
}

static bool write_canonical(X86Cpu *c, uint32_t n, uint64_t v);

static bool read_fs_base(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = c->seg[n ? X86_GS : X86_FS].base;
    return true;
}

static bool write_fs_base(X86Cpu *c, uint32_t n, uint64_t v)
{
    if (!x86_canonical_base(c, v)) {
        return false;
    }
    c->seg[n ? X86_GS : X86_FS].base = v;
    return true;
}

static bool read_tsc(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = vcpu_tsc(&c->vcpu);
    return true;
}

/* Volume 3B 17.17.3: TSC and TSC_ADJUST move together.  The local APIC's deadline is a value of this
 * TSC, so it is armed again. */
static void move_tsc(X86Cpu *c, uint64_t by)
{
    Vcpu *v = &c->vcpu;

    machine_lock(v->machine);
    v->tsc_offset += by;
    if (v->intctl && v->intctl->get_deadline) {
        uint64_t deadline = v->intctl->get_deadline(v->intctl_opaque);
        if (deadline) {
            v->intctl->set_deadline(v->intctl_opaque, deadline);
        }
    }
    machine_unlock(v->machine);
    c->tsc_adjust += by;
}

static bool write_tsc(X86Cpu *c, uint32_t n, uint64_t v)
{
    move_tsc(c, v - vcpu_tsc(&c->vcpu));
    return true;
}

static bool write_tsc_adjust(X86Cpu *c, uint32_t n, uint64_t v)
{
    move_tsc(c, v - c->tsc_adjust);
    return true;
}

/* ---- the local APIC's (chapter 10) ---- */

enum { APIC_BASE_BSP = 1 << 8, APIC_BASE_X2APIC = 1 << 10, APIC_BASE_ENABLE = 1 << 11 };

static bool read_apic_base(X86Cpu *c, uint32_t n, uint64_t *v)
{
    Vcpu *cpu = &c->vcpu;

    if (!cpu->intctl) {
        return false;
    }
    machine_lock(cpu->machine);
    *v = cpu->intctl->get_base(cpu->intctl_opaque);
    machine_unlock(cpu->machine);
    return true;
}

/* 10.12.5: which modes follow which; the others are #GP. */
static bool apic_mode_follows(uint64_t old, uint64_t new)
{
    const uint64_t both = APIC_BASE_ENABLE | APIC_BASE_X2APIC;

    old &= both;
    new &= both;
    return new != APIC_BASE_X2APIC && !(old == 0 && new == both) && !(old == both && new == APIC_BASE_ENABLE);
}

static bool write_apic_base(X86Cpu *c, uint32_t n, uint64_t v)
{
    Vcpu *cpu = &c->vcpu;
    uint64_t old;
    uint64_t valid = (c->phys_mask & ~0xfffull) | APIC_BASE_BSP | APIC_BASE_ENABLE;

    if (x86_feature(c, FEAT_X2APIC)) {
        valid |= APIC_BASE_X2APIC;
    }
    if ((v & ~valid) || !read_apic_base(c, n, &old) || !apic_mode_follows(old, v)) {
        return false;
    }
    machine_lock(cpu->machine);
    cpu->intctl->set_base(cpu->intctl_opaque, v);
    machine_unlock(cpu->machine);
    return true;
}

static bool read_x2apic(X86Cpu *c, uint32_t n, uint64_t *v)
{
    Vcpu *cpu = &c->vcpu;

    if (!cpu->intctl || !cpu->intctl->read_msr) {
        return false;
    }
    machine_lock(cpu->machine);
    bool ok = cpu->intctl->read_msr(cpu->intctl_opaque, n, v);
    machine_unlock(cpu->machine);
    return ok;
}

static bool write_x2apic(X86Cpu *c, uint32_t n, uint64_t v)
{
    Vcpu *cpu = &c->vcpu;

    if (!cpu->intctl || !cpu->intctl->write_msr) {
        return false;
    }
    machine_lock(cpu->machine);
    bool ok = cpu->intctl->write_msr(cpu->intctl_opaque, n, v);
    machine_unlock(cpu->machine);
    return ok;
}

static bool read_deadline(X86Cpu *c, uint32_t n, uint64_t *v)
{
    Vcpu *cpu = &c->vcpu;

    if (!cpu->intctl || !cpu->intctl->get_deadline) {
        return false;
    }
    machine_lock(cpu->machine);
    *v = cpu->intctl->get_deadline(cpu->intctl_opaque);
    machine_unlock(cpu->machine);
    return true;
}

static bool write_deadline(X86Cpu *c, uint32_t n, uint64_t v)
{
    Vcpu *cpu = &c->vcpu;

    if (!cpu->intctl || !cpu->intctl->set_deadline) {
        return false;
    }
    machine_lock(cpu->machine);
    bool ok = cpu->intctl->set_deadline(cpu->intctl_opaque, v);
    machine_unlock(cpu->machine);
    return ok;
}

/* ---- memory types (11.11, 11.12) ---- */

static bool valid_type(uint8_t type, bool uc_minus)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (uc_minus && type == 7);
}

static bool valid_types(uint64_t v, bool uc_minus)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!valid_type(v >> (i * 8), uc_minus)) {
            return false;
        }
    }
    return true;
}

static bool write_pat(X86Cpu *c, uint32_t n, uint64_t v)
{
    if (!valid_types(v, true)) {
        return false;
    }
    c->pat = v;
    return true;
}

static bool write_mtrr_fixed(X86Cpu *c, uint32_t n, uint64_t v)
{
    if (!valid_types(v, false)) {
        return false;
    }
    c->mtrr_fixed[n] = v;
    return true;
}

static bool write_mtrr_def_type(X86Cpu *c, uint32_t n, uint64_t v)
{
    if (!valid_type(v, false)) {
        return false;
    }
    c->mtrr_def_type = v;
    return true;
}

static bool read_mtrr_variable(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = n & 1 ? c->mtrr_mask[n / 2] : c->mtrr_base[n / 2];
    return true;
}

static bool write_mtrr_variable(X86Cpu *c, uint32_t n, uint64_t v)
{
    if (v & ~c->phys_mask) {
        return false;
    }
    if (n & 1) {
        if (v & 0x7ff) {
            return false;
        }
        c->mtrr_mask[n / 2] = v;
    } else {
        if ((v & 0xf00) || !valid_type(v, false)) {
            return false;
        }
        c->mtrr_base[n / 2] = v;
    }
    return true;
}

/* Fixed ranges of 4 KiB: 268H..26FH, behind 250H, 258H and 259H. */
static bool read_mtrr_fixed(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = c->mtrr_fixed[n];
    return true;
}
static bool read_mtrr_64k(X86Cpu *c, uint32_t n, uint64_t *v) { return read_mtrr_fixed(c, 0, v); }
static bool read_mtrr_16k(X86Cpu *c, uint32_t n, uint64_t *v) { return read_mtrr_fixed(c, 1 + n, v); }
static bool read_mtrr_4k(X86Cpu *c, uint32_t n, uint64_t *v) { return read_mtrr_fixed(c, 3 + n, v); }
static bool write_mtrr_64k(X86Cpu *c, uint32_t n, uint64_t v) { return write_mtrr_fixed(c, 0, v); }
static bool write_mtrr_16k(X86Cpu *c, uint32_t n, uint64_t v) { return write_mtrr_fixed(c, 1 + n, v); }
static bool write_mtrr_4k(X86Cpu *c, uint32_t n, uint64_t v) { return write_mtrr_fixed(c, 3 + n, v); }

static bool read_mtrr_cap(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = MTRR_VARIABLE | 1 << 8 | 1 << 10;              /* fixed ranges, write combining */
    return true;
}

/* ---- constants ---- */

static bool read_zero(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = 0;
    return true;
}

/* Locked, with nothing enabled: writes are #GP, and software leaves it alone. */
static bool read_feature_control(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = 1;
    return true;
}

static bool ignore(X86Cpu *c, uint32_t n, uint64_t v)
{
    return true;
}

/* After WRMSR 0 and CPUID.1 its upper half is the revision; ours is always there. */
static bool read_microcode(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = 1ull << 32;
    return true;
}

/* 100 degrees Celsius: what THERM_STATUS counts down from. */
static bool read_temperature_target(X86Cpu *c, uint32_t n, uint64_t *v)
{
    *v = 100 << 16;
    return true;
}

static bool read_platform_info(X86Cpu *c, uint32_t n, uint64_t *v)
{
    uint64_t ratio = c->vcpu.tsc_khz / 100000;           /* of 100 MHz */

    *v = ratio << 8 | ratio << 40;
    return true;
}

/* Nothing is executed ahead of time: immune to Meltdown, L1TF, MDS, SSB and their kin; IBRS needs no
 * switching (volume 4, IA32_ARCH_CAPABILITIES). */
static bool read_arch_capabilities(X86Cpu *c, uint32_t n, uint64_t *v)
{
    enum { RDCL_NO = 1 << 0, IBRS_ALL = 1 << 1, SKIP_L1DFL = 1 << 3, SSB_NO = 1 << 4, MDS_NO = 1 << 5,
           PSCHANGE_NO = 1 << 6, TAA_NO = 1 << 8, SBDR_NO = 1 << 13, FBSDP_NO = 1 << 14, PSDP_NO = 1 << 15,
           BHI_NO = 1 << 20, PBRSB_NO = 1 << 24, GDS_NO = 1 << 26, RFDS_NO = 1 << 27 };

    *v = RDCL_NO | IBRS_ALL | SKIP_L1DFL | SSB_NO | MDS_NO | PSCHANGE_NO | TAA_NO | SBDR_NO | FBSDP_NO | PSDP_NO
        | BHI_NO | PBRSB_NO | GDS_NO | RFDS_NO;
    return true;
}

/* ---- the table ---- */

#define FIELD(f) .field = offsetof(X86Cpu, f), .size = sizeof(((X86Cpu *)0)->f)

static const Msr msrs[] = {
    { 0x000, 2, "P5_MC_ADDR", FEAT_MCE, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x010, 1, "TIME_STAMP_COUNTER", FEAT_TSC, .read = read_tsc, .write = write_tsc, .valid = ~0ull },
    { 0x017, 1, "PLATFORM_ID", FEAT_MSR, .read = read_zero },
    { 0x01b, 1, "APIC_BASE", FEAT_APIC, .read = read_apic_base, .write = write_apic_base, .valid = ~0ull },
    { 0x02a, 1, "EBL_CR_POWERON", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x034, 1, "SMI_COUNT", FEAT_MSR, .read = read_zero },
    { 0x03a, 1, "FEATURE_CONTROL", FEAT_MSR, .read = read_feature_control },
    { 0x03b, 1, "TSC_ADJUST", FEAT_TSC_ADJUST, FIELD(tsc_adjust), .write = write_tsc_adjust, .valid = ~0ull },
    { 0x048, 1, "SPEC_CTRL", FEAT_SPEC_CTRL, FIELD(spec_ctrl), .valid = 3 },
    { 0x049, 1, "PRED_CMD", FEAT_SPEC_CTRL, .write = ignore, .valid = 1 },
    { 0x079, 1, "BIOS_UPDT_TRIG", FEAT_MSR, .write = ignore, .valid = ~0ull },
    { 0x08b, 1, "BIOS_SIGN_ID", FEAT_MSR, .read = read_microcode, .write = ignore, .valid = ~0ull },
    { 0x0ce, 1, "PLATFORM_INFO", FEAT_MSR, .read = read_platform_info, .write = ignore, .valid = ~0ull },
    { 0x0cd, 1, "FSB_FREQ", FEAT_MSR, .read = read_zero },
    { 0x0e1, 1, "UMWAIT_CONTROL", FEAT_WAITPKG, FIELD(umwait_control), .valid = 0xfffffffd },
    { 0x0e2, 1, "PKG_CST_CONFIG_CONTROL", FEAT_MONITOR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x0fe, 1, "MTRRCAP", FEAT_MTRR, .read = read_mtrr_cap },
    { 0x10a, 1, "ARCH_CAPABILITIES", FEAT_ARCH_CAPABILITIES, .read = read_arch_capabilities },
    { 0x119, 1, "BBL_CR_CTL", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x11e, 1, "BBL_CR_CTL3", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x140, 1, "MISC_FEATURES_ENABLES", FEAT_MSR, .read = read_zero, .write = ignore, .valid = 0 },
    { 0x174, 1, "SYSENTER_CS", FEAT_SEP, FIELD(sysenter_cs), .valid = 0xffffffff },
    { 0x175, 1, "SYSENTER_ESP", FEAT_SEP, FIELD(sysenter_esp), .write = write_canonical, .valid = ~0ull },
    { 0x176, 1, "SYSENTER_EIP", FEAT_SEP, FIELD(sysenter_eip), .write = write_canonical, .valid = ~0ull },
    { 0x179, 1, "MCG_CAP", FEAT_MCA, .read = read_mcg_cap },
    { 0x17a, 1, "MCG_STATUS", FEAT_MCA, FIELD(mcg_status), .valid = 7 },
    { 0x17b, 1, "MCG_CTL", FEAT_MCA, FIELD(mcg_ctl), .valid = ~0ull },
    { 0x198, 1, "PERF_STATUS", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x199, 1, "PERF_CTL", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x19b, 1, "THERM_INTERRUPT", FEAT_MSR, .read = read_zero, .write = ignore, .valid = 0xffffffff },
    { 0x19c, 1, "THERM_STATUS", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x1a0, 1, "MISC_ENABLE", FEAT_MSR, FIELD(misc_enable), .write = write_misc_enable,
      .valid = 0x44ffffffffull },
    { 0x1a2, 1, "TEMPERATURE_TARGET", FEAT_MSR, .read = read_temperature_target },
    { 0x1a4, 1, "MISC_FEATURE_CONTROL", FEAT_MSR, .read = read_zero, .write = ignore, .valid = 0xf },
    { 0x1fc, 1, "POWER_CTL", FEAT_MSR, .read = read_zero, .write = ignore, .valid = ~0ull },
    { 0x1d9, 1, "DEBUGCTL", FEAT_MSR, .read = read_zero, .write = ignore, .valid = 3 },
    { 0x1db, 4, "LASTBRANCH", FEAT_MSR, .read = read_zero },
    { 0x200, 2 * MTRR_VARIABLE, "MTRR_PHYSBASE", FEAT_MTRR, .read = read_mtrr_variable,
      .write = write_mtrr_variable, .valid = ~0ull },
    { 0x250, 1, "MTRR_FIX64K", FEAT_MTRR, .read = read_mtrr_64k, .write = write_mtrr_64k, .valid = ~0ull },
    { 0x258, 2, "MTRR_FIX16K", FEAT_MTRR, .read = read_mtrr_16k, .write = write_mtrr_16k, .valid = ~0ull },
    { 0x268, 8, "MTRR_FIX4K", FEAT_MTRR, .read = read_mtrr_4k, .write = write_mtrr_4k, .valid = ~0ull },
    { 0x277, 1, "PAT", FEAT_PAT, FIELD(pat), .write = write_pat, .valid = ~0ull },
    { 0x2ff, 1, "MTRR_DEF_TYPE", FEAT_MTRR, FIELD(mtrr_def_type), .write = write_mtrr_def_type, .valid = 0xcff },
    { 0x400, 4 * X86_MC_BANKS, "MC_BANK", FEAT_MCA, .read = read_mc_bank, .write = write_mc_bank, .valid = ~0ull },
    { 0x6e0, 1, "TSC_DEADLINE", FEAT_TSC_DEADLINE, .read = read_deadline, .write = write_deadline,
      .valid = ~0ull },
    { 0x800, 0x100, "X2APIC", FEAT_X2APIC, .read = read_x2apic, .write = write_x2apic, .valid = ~0ull },
    { 0xda0, 1, "XSS", FEAT_XSAVES, .read = read_zero, .write = ignore, .valid = 0 },
    { 0xc0000080, 1, "EFER", ANY, .read = read_efer, .write = write_efer, .valid = ~0ull },
    { 0xc0000081, 1, "STAR", FEAT_SYSCALL, FIELD(star), .valid = ~0ull },
    { 0xc0000082, 1, "LSTAR", FEAT_SYSCALL, FIELD(lstar), .write = write_canonical, .valid = ~0ull },
    { 0xc0000083, 1, "CSTAR", FEAT_SYSCALL, FIELD(cstar), .write = write_canonical, .valid = ~0ull },
    { 0xc0000084, 1, "FMASK", FEAT_SYSCALL, FIELD(fmask), .valid = 0xffffffff },
    { 0xc0000100, 2, "FS_BASE", FEAT_LM, .read = read_fs_base, .write = write_fs_base, .valid = ~0ull },
    { 0xc0000102, 1, "KERNEL_GS_BASE", FEAT_LM, FIELD(kernel_gs_base), .write = write_canonical,
      .valid = ~0ull },
    { 0xc0000103, 1, "TSC_AUX", FEAT_RDTSCP, FIELD(tsc_aux), .valid = 0xffffffff },
};

static const Msr *find(uint32_t number)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++) {
        if (number - msrs[i].first < msrs[i].count) {
            return &msrs[i];
        }
    }
    return NULL;
}

static void put(X86Cpu *c, const Msr *m, uint64_t v)
{
    memcpy((char *)c + m->field, &v, m->size);
}

static bool write_canonical(X86Cpu *c, uint32_t n, uint64_t v)
{
    return x86_canonical_base(c, v);
}

const char *x86_msr_name(uint32_t number)
{
    const Msr *m = find(number);

    return m ? m->name : NULL;
}

static const Msr *find_for(X86Cpu *c, uint32_t number, const char *what)
{
    const Msr *m = find(number);

    if (!m || (m->feature != ANY && !x86_feature(c, m->feature))) {
        log_unimp("cpu", "%s of MSR 0x%x%s%s: #GP", what, number, m ? " " : "", m ? m->name : "");
        return NULL;
    }
    return m;
}

bool x86_msr_read(X86Cpu *c, uint32_t number, uint64_t *value)
{
    const Msr *m = find_for(c, number, "read");

    *value = 0;
    if (!m) {
        return false;
    }
    if (m->read) {
        return m->read(c, number - m->first, value);
    }
    memcpy(value, (const char *)c + m->field, m->size);
    return m->size != 0;                /* some are only written */
}

bool x86_msr_write(X86Cpu *c, uint32_t number, uint64_t value)
{
    const Msr *m = find_for(c, number, "write");

    if (!m || (value & ~m->valid) || (!m->write && !m->size)) {
        return false;
    }
    if (m->write && !m->write(c, number - m->first, value)) {
        return false;
    }
    /* Those with a write function of their own store too, except where it did all. */
    if (m->size && (!m->write || m->write == write_canonical)) {
        put(c, m, value);
    }
    return true;
}
