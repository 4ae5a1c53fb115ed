/*
 * The board "pc": 440FX host bridge, PIIX3 and PIIX4, and everything that a PC of 1996 to 2006 has on it.
 *
 * What lies where in memory, from the top: RAM above 4 GiB; the firmware's ROM below 4 GiB; local and I/O
 * APICs; PCI memory; RAM up to 3.5 GiB, of which 0xa0000..0xfffff belong to VGA, ROMs and the firmware.
 * Interrupt lines 0..15 go to both the 8259A pair and the I/O APIC (0 to its pin 2).
 *
 * Not modelled: system management mode.
 */
#include "board.h"

#include <string.h>
#include "hw/i440fx.h"
#include "hw/i8042.h"
#include "hw/ide.h"
#include "hw/intc.h"
#include "util/error.h"
#include "util/suggest.h"

enum { MAX_CPUS = 64, PIN_TIMER = 2 };
static const uint64_t MIN_RAM = 1 << 20, MAX_RAM = 512ull << 30;

/* ---- wires ---- */

static void isa_irq(void *opaque, int n, bool level)
{
    PcBoard *b = opaque;

    pic_set_input(b->pic, n, level);
    ioapic_set_input(b->ioapic, n == 0 ? PIN_TIMER : n, level);
}

static void set_a20(void *opaque, int pin, bool level)
{
    PcBoard *b = opaque;
    GPtrArray *vcpus = b->dev.machine->vcpus;

    for (guint i = 0; i < vcpus->len; i++) {
        vcpu_set_a20(g_ptr_array_index(vcpus, i), level);
    }
}

/* ---- steps of building ---- */

static bool check(Machine *m, const PcConfig *cfg, GError **errp)
{
    if (cfg->ram_size < MIN_RAM || cfg->ram_size > MAX_RAM) {
        error_set(errp, "a pc has 1 MiB to %" G_GUINT64_FORMAT " GiB of memory, not %" G_GUINT64_FORMAT
                  " MiB", MAX_RAM >> 30, cfg->ram_size >> 20);
        return false;
    }
    if (cfg->ram_size % PAGE_SIZE) {
        error_set(errp, "the memory size must be a multiple of 4 KiB, not %" G_GUINT64_FORMAT " bytes",
                  cfg->ram_size);
        return false;
    }
    if (m->vcpus->len < 1 || m->vcpus->len > MAX_CPUS) {
        error_set(errp, "a pc has 1 to %u processors, not %u", MAX_CPUS, m->vcpus->len);
        return false;
    }
    if (cfg->vga && strcmp(cfg->vga, "std") && strcmp(cfg->vga, "none")) {
        g_autofree char *tail = suggest_tail(cfg->vga, (const char *const[]){ "std", "none", NULL });

        error_set(errp, "a pc has no display adapter '%s', but std and none%s", cfg->vga, tail);
        return false;
    }
    return !cfg->boot_order || pc_boot_order_valid(cfg->boot_order, errp);
}

static PcBoard *make_board(Machine *m, const PcConfig *cfg, GError **errp)
{
    PcBoard *b = (PcBoard *)device_new(m, "pc-board", NULL, errp);

    if (!b) {
        return NULL;
    }
    if (!pc_memory_init(b, cfg->ram_size, cfg->bios, errp) || !device_realize(&b->dev, NULL, errp)) {
        device_free(&b->dev);
        return NULL;
    }
    return b;
}

static bool make_chipset(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    Machine *m = b->dev.machine;
    Device *mc;

    if (!device_make(m, "i440FX-pcihost", NULL, NULL, NULL, errp)) {
        return false;
    }
    b->pci = machine_service(m, "pci");
    mc = device_new(m, "i440FX", NULL, errp);
    if (!mc) {
        return false;
    }
    i440fx_set_ram(mc, &b->ram, b->below_4g);
    if (!device_set(mc, "addr", "0", errp) || !device_realize(mc, &b->pci->bus, errp)) {
        device_free(mc);
        return false;
    }
    pc_memory_map_bios(b);
    if (!device_make(m, "PIIX3", NULL, &b->pci->bus, "addr=1", errp)) {
        return false;
    }
    b->isa = machine_service(m, "isa");
    return true;
}

static bool make_interrupts(PcBoard *b, GError **errp)
{
    Machine *m = b->dev.machine;

    b->pic = device_make(m, "i8259", NULL, &b->isa->bus, NULL, errp);
    b->apics = b->pic ? device_make(m, "apic-bus", NULL, NULL, NULL, errp) : NULL;
    if (!b->apics) {
        return false;
    }
    for (guint i = 0; i < m->vcpus->len; i++) {
        g_autofree char *props = g_strdup_printf("cpu=%u", i);

        if (!device_make(m, "apic", NULL, apic_bus(b->apics), props, errp)) {
            return false;
        }
    }
    b->ioapic = device_make(m, "ioapic", NULL, NULL, NULL, errp);
    if (!b->ioapic) {
        return false;
    }
    apic_bus_connect_pic(b->apics, b->pic);
    for (unsigned n = 0; n < G_N_ELEMENTS(b->isa->irq); n++) {
        irq_connect(&b->isa->irq[n], isa_irq, b, n);
    }
    return true;
}

static bool make_ports(PcBoard *b, const char *cls, CharBack *const *backs, unsigned n, GError **errp)
{
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *index = g_strdup_printf("%u", i);

        if (!backs[i]) {
            continue;
        }
        Device *d = device_new(b->dev.machine, cls, NULL, errp);

        if (!d) {
            return false;
        }
        device_set_ptr(d, "chardev", backs[i]);
        if (!device_set(d, "index", index, errp) || !device_realize(d, &b->isa->bus, errp)) {
            device_free(d);
            return false;
        }
    }
    return true;
}

static bool make_isa_chips(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    Machine *m = b->dev.machine;
    Bus *isa = &b->isa->bus;
    g_autofree char *base = g_strdup_printf("base=%" G_GINT64_FORMAT, cfg->rtc_base);
    Device *keyboard;

    b->rtc = device_make(m, "mc146818rtc", NULL, isa, base, errp);
    if (!b->rtc || !device_make(m, "i8254", NULL, isa, NULL, errp) ||
        !device_make(m, "i8237", NULL, isa, NULL, errp)) {
        return false;
    }
    keyboard = device_make(m, "i8042", NULL, isa, NULL, errp);
    if (!keyboard) {
        return false;
    }
    i8042_connect_a20(keyboard, set_a20, b, 0);
    return make_ports(b, "isa-serial", cfg->serial, G_N_ELEMENTS(cfg->serial), errp) &&
           make_ports(b, "isa-parallel", cfg->parallel, G_N_ELEMENTS(cfg->parallel), errp);
}

/* The controller always has two drives; firmware is told of those that were asked for. */
static bool make_floppies(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    static const char *const props[] = { "driveA", "driveB" };
    Device *fdc = device_new(b->dev.machine, "isa-fdc", NULL, errp);

    if (!fdc) {
        return false;
    }
    for (unsigned i = 0; i < cfg->n_drives; i++) {
        const PcDrive *d = &cfg->drives[i];

        if (d->interface == PC_DRIVE_FLOPPY && d->index < G_N_ELEMENTS(props)) {
            device_set_ptr(fdc, props[d->index], d->block);
        }
    }
    if (!device_realize(fdc, &b->isa->bus, errp)) {
        device_free(fdc);
        return false;
    }
    for (unsigned i = 0; i < cfg->n_drives; i++) {
        const PcDrive *d = &cfg->drives[i];

        if (d->interface == PC_DRIVE_FLOPPY && d->index < G_N_ELEMENTS(props)) {
            b->floppy_boot_index[d->index] = d->boot_index;
            b->drive_types |= floppy_cmos_type(fdc, d->index) << (d->index == 0 ? 4 : 0);
        }
    }
    return true;
}

static bool make_drives(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    Machine *m = b->dev.machine;

    if (!device_make(m, "piix3-ide", NULL, &b->pci->bus, "addr=1.1", errp)) {
        return false;
    }
    for (unsigned i = 0; i < cfg->n_drives; i++) {
        const PcDrive *d = &cfg->drives[i];

        if (d->interface == PC_DRIVE_IDE &&
            !ide_add_drive(m, d->index, d->cdrom, d->block, d->boot_index, d->id, errp)) {
            return false;
        }
    }
    return make_floppies(b, cfg, errp);
}

static bool make_vga(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    g_autofree char *found = NULL;
    const char *rom = cfg->vga_bios;

    if (cfg->vga && !strcmp(cfg->vga, "none")) {
        return true;
    }
    if (!rom) {
        found = firmware_find(NULL, "vgabios-stdvga.bin", errp);
        rom = found;
    }
    if (!rom) {
        return false;
    }
    Device *vga = device_new(b->dev.machine, "VGA", NULL, errp);

    if (!vga) {
        return false;
    }
    if (!device_set(vga, "romfile", rom, errp) || !device_set(vga, "addr", "2", errp) ||
        !device_realize(vga, &b->pci->bus, errp)) {
        device_free(vga);
        return false;
    }
    return true;
}

static bool make_firmware_config(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    Machine *m = b->dev.machine;

    if (!device_make(m, "fw_cfg", NULL, NULL, NULL, errp)) {
        return false;
    }
    b->fw_cfg = machine_service(m, "fw_cfg");
    if (cfg->acpi) {
        b->pm = device_make(m, "PIIX4_PM", NULL, &b->pci->bus, "addr=1.3", errp);
        if (!b->pm || !pc_acpi_init(b, errp)) {
            return false;
        }
    }
    pc_cmos_init(b, cfg);
    return pc_boot_init(b, cfg, errp) && pc_kernel_init(b, cfg, errp);
}

static void pc_reset_done(void *opaque)
{
    pc_boot_update(opaque);
}

static bool pc_build(Machine *m, const PcConfig *cfg, GError **errp)
{
    PcBoard *b;

    if (!check(m, cfg, errp)) {
        return false;
    }
    if (cfg->global_props && !m->globals) {
        m->globals = g_strdupv(cfg->global_props);
    }
    b = make_board(m, cfg, errp);
    if (!b || !make_chipset(b, cfg, errp) || !make_interrupts(b, errp) || !make_isa_chips(b, cfg, errp) ||
        !make_vga(b, cfg, errp) || !make_drives(b, cfg, errp) || !make_firmware_config(b, cfg, errp)) {
        return false;
    }
    b->watch = (MachineWatch){ .reset_done = pc_reset_done, .opaque = b };
    machine_watch(m, &b->watch);
    return true;
}

/* ---- the board as a device: it owns what no chip does, and is the first made and the last freed ---- */

static bool board_realize(Device *d, GError **errp)
{
    PcBoard *b = (PcBoard *)d;

    b->floppy_boot_index[0] = b->floppy_boot_index[1] = -1;
    return true;
}

static void board_unrealize(Device *d)
{
    PcBoard *b = (PcBoard *)d;

    machine_unwatch(d->machine, &b->watch);
    pc_memory_fini(b);
}

static void board_info(Device *d, GString *out)
{
    const PcBoard *b = (const PcBoard *)d;

    g_string_append_printf(out, "RAM: %" G_GUINT64_FORMAT " MiB from 0", b->below_4g >> 20);
    if (b->above_4g) {
        g_string_append_printf(out, ", %" G_GUINT64_FORMAT " MiB from 4 GiB", b->above_4g >> 20);
    }
    g_string_append_printf(out, "; firmware: %" G_GUINT64_FORMAT " KiB\n", b->bios.size >> 10);
}

/* RAM itself is saved by who saves machines; the rest is wiring and options. */
const DeviceClass pc_board_class = {
    .name = "pc-board",
    .summary = "Main board: RAM, firmware ROM, wiring",
    .size = sizeof(PcBoard),
    .board_only = true,
    .realize = board_realize,
    .unrealize = board_unrealize,
    .info = board_info,
};

static const BoardClass pc_class = {
    .name = "pc",
    .summary = "PC with i440FX host bridge, PIIX3 and PIIX4 (1996)",
    .max_cpus = MAX_CPUS,
    .max_ram = 512ull << 30,
    .build = pc_build,
};

const BoardClass *const board_classes[] = { &pc_class, NULL };

const BoardClass *board_find(const char *name)
{
    for (const BoardClass *const *c = board_classes; *c; c++) {
        if (!strcmp((*c)->name, name)) {
            return *c;
        }
    }
    return NULL;
}
