/*
 * PIIX4 power management, function 3: ACPI registers, power button, soft-off, SMBus host.
 *
 * 82371AB data sheet, order number 290562: 7.1 (configuration), 7.2 (I/O registers), 7.3 (SMBus); ACPI 6.4,
 * 4.8 (fixed hardware).  ACPI is switched on and off by SMI_CMD values that our FADT names; with no system
 * management mode to do it, the device answers itself.
 *
 * Not modelled: SMI, suspend to RAM and clock control, device monitors, general-purpose inputs and outputs;
 * the SMBus has no devices on it: a transaction ends with "no answer".
 */
#include <string.h>
#include "hw/i440fx.h"
#include "hw/isa.h"
#include "hw/pci.h"
#include "util/bits.h"
#include "util/log.h"

enum {                                  /* configuration space */
    PMBA = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2,
    PMIOSE = 1 << 0, SMB_HST_EN = 1 << 0, DEVACTB_APMC_EN = 1 << 25,
};
enum {                                  /* offsets from PMBA */
    PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08, GPSTS = 0x0c, GPEN = 0x0e, PM_SIZE = 0x40,
};
enum {                                  /* bits of PMSTS and PMEN */
    TMROF = 1 << 0, BM = 1 << 4, GBL = 1 << 5, PWRBTN = 1 << 8, RTC = 1 << 10, RSM = 1 << 15,
    STS_W1C = TMROF | BM | GBL | PWRBTN | RTC | RSM,
    EN_MASK = TMROF | GBL | PWRBTN | RTC,
    SCI_EVENTS = TMROF | GBL | PWRBTN | RTC,
};
enum {                                  /* PMCNTRL */
    SCI_EN = 1 << 0, BRLD_EN_BM = 1 << 1, GBL_RLS = 1 << 2, SUS_TYP_SHIFT = 10, SUS_TYP = 7 << 10,
    SUS_EN = 1 << 13, SUS_SOFF = 0,
};
enum {                                  /* offsets from SMBBA, and bits */
    SMBHSTSTS = 0, SMBHSTCNT = 2, SMBHSTCMD = 3, SMBHSTADD = 4, SMBHSTDAT0 = 5, SMBHSTDAT1 = 6, SMB_SIZE = 16,
    SMBHSTSTS_W1C = 0x1e, SMBHSTSTS_DEV_ERR = 1 << 2, SMBHSTCNT_START = 1 << 6,
};
enum { APMC = 0xb2, ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0, SCI_IRQ = 9 };
enum { PM_TIMER_HZ = 3579545, PM_TIMER_BITS = 24 };

typedef struct Piix4Pm {
    PciDevice pci;
    Region pm_io, smb_io, apm_io;
    bool pm_mapped, smb_mapped;
    IrqWire sci;
    Timer overflow;
    MachineWatch watch;
    uint16_t status, enable, control, gp_enable;
    int64_t overflow_at;                /* ns: when the timer's top bit next changes and sets TMROF */
    uint8_t apmc, apms;
    uint8_t smb[SMB_SIZE];
} Piix4Pm;

/* ---- PM timer ---- */

static uint64_t timer_ticks(const Piix4Pm *s)
{
    return muldiv64(clock_now(s->pci.dev.machine->clock), PM_TIMER_HZ, NS_PER_S);
}

/* TMROF is set whenever bit 23 toggles (7.2.1).  The status bit is computed when it is looked at; a host
 * timer runs only while someone waits for its interrupt. */
static void plan_overflow(Piix4Pm *s)
{
    uint64_t half = 1ull << (PM_TIMER_BITS - 1);
    uint64_t next = (timer_ticks(s) / half + 1) * half;

    s->overflow_at = muldiv64(next, NS_PER_S, PM_TIMER_HZ) + 1;
}

static void update(Piix4Pm *s)
{
    if (!(s->status & TMROF) && clock_now(s->pci.dev.machine->clock) >= s->overflow_at) {
        s->status |= TMROF;
    }
    irq_set(&s->sci, (s->control & SCI_EN) && (s->status & s->enable & SCI_EVENTS));
    if ((s->enable & TMROF) && !(s->status & TMROF)) {
        timer_arm(&s->overflow, s->overflow_at);
    } else {
        timer_cancel(&s->overflow);
    }
}

static void overflow_fired(void *opaque)
{
    update(opaque);
}

/* ---- ACPI registers ---- */

static uint16_t pm_word(Piix4Pm *s, unsigned reg, uint64_t ticks)
{
    switch (reg) {
    case PMSTS:
        update(s);
        return s->status;
    case PMEN:
        return s->enable;
    case PMCNTRL:
        return s->control;
    case PMTMR:
        return ticks;
    case PMTMR + 2:
        return ticks >> 16 & 0xff;
    case GPEN:
        return s->gp_enable;
    default:
        return 0;
    }
}

static uint64_t pm_read(void *dev, hwaddr off, unsigned size)
{
    Piix4Pm *s = dev;
    uint64_t ticks = timer_ticks(s);            /* once: both halves of the timer are of one time */
    uint32_t val = pm_word(s, off & ~1u, ticks);

    if (size == 4) {
        val |= (uint32_t)pm_word(s, (off & ~1u) + 2, ticks) << 16;
    }
    return val >> (8 * (off & 1));
}

static void write_status(Piix4Pm *s, uint16_t clear)
{
    update(s);
    s->status &= ~(clear & STS_W1C);
    if (clear & TMROF) {
        plan_overflow(s);
    }
}

static void write_control(Piix4Pm *s, uint16_t val)
{
    s->control = val & (SCI_EN | BRLD_EN_BM | SUS_TYP);
    if (val & SUS_EN) {
        unsigned type = (val & SUS_TYP) >> SUS_TYP_SHIFT;

        if (type == SUS_SOFF) {
            machine_request(s->pci.dev.machine, MACHINE_POWEROFF);
        } else {
            log_unimp(s->pci.dev.id, "sleep type %u", type);
        }
    }
}

/* Writes come in words; a byte is put together with the register's other half, of which the status
 * register's is written as 0 so that it clears nothing. */
static void pm_write_word(Piix4Pm *s, unsigned reg, uint16_t val)
{
    switch (reg) {
    case PMSTS:
        write_status(s, val);
        break;
    case PMEN:
        s->enable = val & EN_MASK;
        break;
    case PMCNTRL:
        write_control(s, val);
        break;
    case GPEN:
        s->gp_enable = val;
        break;
    default:
        break;
    }
    update(s);
}

static void pm_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Piix4Pm *s = dev;
    unsigned reg = off & ~1u;

    if (size == 1) {
        unsigned shift = 8 * (off & 1);
        uint16_t rest = reg == PMSTS ? 0 : pm_word(s, reg, 0) & ~(0xff << shift);

        val = rest | (uint16_t)(val << shift);
    }
    pm_write_word(s, reg, val);
    if (size == 4) {
        pm_write_word(s, reg + 2, val >> 16);
    }
}

static const RegionOps pm_ops = { .read = pm_read, .write = pm_write, .size_min = 1, .size_max = 4 };

/* ---- APM control and status, ports 0xb2 and 0xb3 ---- */

static uint64_t apm_read(void *dev, hwaddr off, unsigned size)
{
    const Piix4Pm *s = dev;

    return off == 0 ? s->apmc : s->apms;
}

static void apm_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Piix4Pm *s = dev;

    if (off != 0) {
        s->apms = val;
        return;
    }
    s->apmc = val;
    if (val == ACPI_ENABLE) {
        s->control |= SCI_EN;
    } else if (val == ACPI_DISABLE) {
        s->control &= ~SCI_EN;
    }
    update(s);
}

static const RegionOps apm_ops = { .read = apm_read, .write = apm_write, .size_min = 1, .size_max = 1 };

/* ---- SMBus host ---- */

static uint64_t smb_read(void *dev, hwaddr off, unsigned size)
{
    const Piix4Pm *s = dev;

    return s->smb[off % SMB_SIZE];
}

static void smb_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Piix4Pm *s = dev;

    switch (off) {
    case SMBHSTSTS:
        s->smb[SMBHSTSTS] &= ~(val & SMBHSTSTS_W1C);
        break;
    case SMBHSTCNT:
        s->smb[SMBHSTCNT] = val & 0x1f;
        if (val & SMBHSTCNT_START) {
            s->smb[SMBHSTSTS] |= SMBHSTSTS_DEV_ERR;
        }
        break;
    case SMBHSTCMD:
    case SMBHSTADD:
    case SMBHSTDAT0:
    case SMBHSTDAT1:
        s->smb[off] = val;
        break;
    default:
        break;
    }
}

static const RegionOps smb_ops = { .read = smb_read, .write = smb_write, .size_min = 1, .size_max = 1 };

/* ---- configuration, life cycle ---- */

static void remap(Piix4Pm *s, Region *r, bool *mapped, bool enabled, uint32_t base, uint32_t size)
{
    uint32_t at = base & 0xffff & ~(size - 1);

    if (*mapped && enabled && r->at == at) {
        return;
    }
    region_unmap(r);
    *mapped = enabled && at != 0;
    if (*mapped) {
        region_map(pci_bus(&s->pci)->io, at, r, 0);
    }
}

static void update_mappings(Piix4Pm *s)
{
    const uint8_t *c = s->pci.config;
    Machine *m = s->pci.dev.machine;

    memory_begin(m->io);
    remap(s, &s->pm_io, &s->pm_mapped, c[PMREGMISC] & PMIOSE, ld32le(c + PMBA), PM_SIZE);
    remap(s, &s->smb_io, &s->smb_mapped, c[SMBHSTCFG] & SMB_HST_EN, ld32le(c + SMBBA), SMB_SIZE);
    memory_commit(m->io);
}

static void piix4_pm_config_written(PciDevice *d, unsigned reg, unsigned size)
{
    if (reg + size > PMBA) {
        update_mappings((Piix4Pm *)d);
    }
}

uint16_t piix4_pm_base(Device *d)
{
    const Piix4Pm *s = (const Piix4Pm *)d;

    return s->pm_mapped ? s->pm_io.at : 0;
}

static void power_button(void *opaque)
{
    Piix4Pm *s = opaque;

    s->status |= PWRBTN;
    update(s);
}

static bool piix4_pm_realize(Device *d, GError **errp)
{
    Piix4Pm *s = (Piix4Pm *)d;
    IsaBus *isa = machine_service(d->machine, "isa");
    uint8_t *wmask = s->pci.wmask;

    region_init_io(&s->pm_io, "piix4-pm", PM_SIZE, &pm_ops, s);
    region_init_io(&s->smb_io, "piix4-smbus", SMB_SIZE, &smb_ops, s);
    region_init_io(&s->apm_io, "apm", 2, &apm_ops, s);
    region_map(pci_bus(&s->pci)->io, APMC, &s->apm_io, 0);
    timer_init(&s->overflow, d->machine->clock, overflow_fired, s);
    if (isa) {
        isa_bus_connect_irq(isa, &s->sci, SCI_IRQ);
    }
    s->watch = (MachineWatch){ .powerdown = power_button, .opaque = s };
    machine_watch(d->machine, &s->watch);

    st32le(s->pci.config + PMBA, PCI_BAR_IO);
    st32le(wmask + PMBA, 0xffff & ~(PM_SIZE - 1));
    memset(wmask + DEVACTB, 0xff, 4);
    wmask[PMREGMISC] = PMIOSE;
    st32le(s->pci.config + SMBBA, PCI_BAR_IO);
    st32le(wmask + SMBBA, 0xffff & ~(SMB_SIZE - 1));
    wmask[SMBHSTCFG] = 0x0f;
    return true;
}

static void piix4_pm_unrealize(Device *d)
{
    Piix4Pm *s = (Piix4Pm *)d;

    machine_unwatch(d->machine, &s->watch);
    if (s->overflow.clock) {
        timer_cancel(&s->overflow);
    }
    irq_set(&s->sci, false);
    region_fini(&s->pm_io);
    region_fini(&s->smb_io);
    region_fini(&s->apm_io);
}

static void piix4_pm_reset(Device *d)
{
    Piix4Pm *s = (Piix4Pm *)d;

    pci_device_reset(&s->pci);
    st16le(s->pci.config + PCI_STATUS, 0x0280);
    /* Firmware takes a set APMC_EN as "SMM is set up already", and then leaves SMM alone. */
    st32le(s->pci.config + DEVACTB, DEVACTB_APMC_EN);
    s->status = s->enable = s->control = s->gp_enable = 0;
    s->apmc = s->apms = 0;
    memset(s->smb, 0, sizeof(s->smb));
    plan_overflow(s);
}

static void piix4_pm_settle(Device *d)
{
    Piix4Pm *s = (Piix4Pm *)d;

    pci_device_settle(&s->pci);
    update_mappings(s);
    update(s);
}

static void piix4_pm_info(Device *d, GString *out)
{
    const Piix4Pm *s = (const Piix4Pm *)d;

    g_string_append_printf(out, "ACPI registers at 0x%04x, %s; status 0x%04x, enabled 0x%04x\n",
                           piix4_pm_base(d), s->control & SCI_EN ? "ACPI mode" : "legacy mode", s->status,
                           s->enable);
}

static const StateField piix4_pm_fields[] = {
    STATE_SUB(Piix4Pm, pci, &pci_device_state),
    STATE_NOT(Piix4Pm, pm_io, "mapping, redone by settle"),
    STATE_NOT(Piix4Pm, smb_io, "mapping, redone by settle"),
    STATE_NOT(Piix4Pm, apm_io, "mapping, made by realize"),
    STATE_NOT(Piix4Pm, pm_mapped, "mapping, redone by settle"),
    STATE_NOT(Piix4Pm, smb_mapped, "mapping, redone by settle"),
    STATE_NOT(Piix4Pm, sci, "wire, redone by settle"),
    STATE_NOT(Piix4Pm, overflow, "armed by settle from overflow_at"),
    STATE_NOT(Piix4Pm, watch, "made by realize"),
    STATE_U(Piix4Pm, status),
    STATE_U(Piix4Pm, enable),
    STATE_U(Piix4Pm, control),
    STATE_U(Piix4Pm, gp_enable),
    STATE_U(Piix4Pm, overflow_at),
    STATE_U(Piix4Pm, apmc),
    STATE_U(Piix4Pm, apms),
    STATE_BUF(Piix4Pm, smb),
    STATE_DONE,
};

/* An overflow that nobody has looked at yet belongs to the state. */
static void piix4_pm_before_save(void *obj)
{
    update(obj);
}

static const StateTable piix4_pm_state = {
    .name = "PIIX4_PM", .version = 1, .fields = piix4_pm_fields, .before_save = piix4_pm_before_save,
};

static const Property piix4_pm_props[] = { PCI_PROPS(Piix4Pm), PROP_DONE };

const PciClass piix4_pm_class = {
    .dev = {
        .name = "PIIX4_PM",
        .summary = "Power management",
        .bus = "pci",
        .size = sizeof(Piix4Pm),
        .board_only = true,
        .props = piix4_pm_props,
        .state = &piix4_pm_state,
        .realize = piix4_pm_realize,
        .unrealize = piix4_pm_unrealize,
        .reset = piix4_pm_reset,
        .settle = piix4_pm_settle,
        .info = piix4_pm_info,
    },
    .vendor = 0x8086, .device = 0x7113, .revision = 3, .class_code = 0x068000,
    .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
    .config_written = piix4_pm_config_written,
};
