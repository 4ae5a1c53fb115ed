/*
 * The VGA as a PCI card: a register-level VGA with Bochs VBE linear modes, vendor 1234, device 1111.
 *
 * BAR 0 is display memory, BAR 2 the registers of vga-vbe.c; the legacy ports and the window at
 * 0xa0000 are there besides, as soon as the card is.
 *
 * Not modelled: switching the legacy ranges by the PCI command register, VGA palette snooping, 2-D
 * acceleration (there is none in this card).
 */
#include "vga.h"

#include <string.h>
#include "util/error.h"

enum { LEGACY_AT = 0xa0000, VBE_PORTS = 0x1ce, PRIO_LEGACY = 1 };

static const struct { const char *name; uint16_t base, count; } port_ranges[VGA_PORT_RANGES] = {
    [VGA_CRTC_MONO] = { "vga-crtc-mono", 0x3b4, 2 }, [VGA_STATUS_MONO] = { "vga-status-mono", 0x3ba, 1 },
    [VGA_PORTS] = { "vga", 0x3c0, 16 }, [VGA_CRTC] = { "vga-crtc", 0x3d4, 2 },
    [VGA_STATUS] = { "vga-status", 0x3da, 1 },
};

static void map_ports(Vga *v, VgaPorts *p, const char *name, const RegionOps *ops, uint16_t base, unsigned count)
{
    p->vga = v;
    p->base = base;
    region_init_io(&p->region, name, count, ops, p);
    region_map(pci_bus(&v->pci)->io, base, &p->region, PRIO_LEGACY);
}

static bool vga_realize(Device *d, GError **errp)
{
    Vga *v = (Vga *)d;
    uint32_t mb = v->vgamem_mb;

    if (!mb || mb & (mb - 1)) {
        error_set(errp, "%s: vgamem_mb=%u is not a power of two from 1 to 256", d->id, mb);
        return false;
    }
    if (machine_service(d->machine, "display")) {
        error_set(errp, "%s: the machine has a screen already; start it with -vga none to add this one", d->id);
        return false;
    }
    if (!region_init_ram(&v->vram, "vga-vram", (hwaddr)mb << 20, errp)) {
        return false;
    }
    v->written = g_malloc0(v->vram.size / PAGE_SIZE / 8);
    g_ptr_array_add(d->machine->rams, &v->vram);
    region_init_io(&v->mmio, "vga-mmio", 0x1000, &vga_mmio_ops, v);
    pci_register_bar(&v->pci, 0, PCI_BAR_PREFETCH, &v->vram);
    pci_register_bar(&v->pci, 2, 0, &v->mmio);
    if (v->romfile && *v->romfile && !pci_register_rom(&v->pci, v->romfile, errp)) {
        return false;
    }
    region_init_io(&v->legacy, "vga-window", VGA_LEGACY_SIZE, &vga_legacy_ops, v);
    region_init_alias(&v->bank, "vga-bank", &v->vram, 0, 0x10000);
    region_enable(&v->bank, false);
    region_map(&v->legacy, 0, &v->bank, 1);
    region_map(pci_bus(&v->pci)->mem, LEGACY_AT, &v->legacy, PRIO_LEGACY);
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        map_ports(v, &v->ports[i], port_ranges[i].name, &vga_port_ops, port_ranges[i].base, port_ranges[i].count);
    }
    region_set_coalesced(&v->legacy, true);
    region_set_coalesced(&v->ports[VGA_CRTC].region, true);
    region_set_coalesced(&v->ports[VGA_CRTC_MONO].region, true);
    map_ports(v, &v->vbe_ports, "vga-dispi", &vga_vbe_ops, VBE_PORTS, 4);
    edid_make(v->edid, v->xres, v->yres);
    v->display = display_new(&vga_display_source, v);
    machine_provide(d->machine, "display", v->display);
    return true;
}

static void vga_unrealize(Device *d)
{
    Vga *v = (Vga *)d;

    if (v->display) {
        machine_provide(d->machine, "display", NULL);
        display_free(v->display);
    }
    region_fini(&v->vbe_ports.region);
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        region_fini(&v->ports[i].region);
    }
    region_fini(&v->bank);
    region_fini(&v->legacy);
    region_fini(&v->mmio);
    g_ptr_array_remove(d->machine->rams, &v->vram);
    region_fini(&v->vram);
    g_free(v->shadow);
    g_free(v->written);
}

static void vga_reset(Device *d)
{
    Vga *v = (Vga *)d;

    pci_device_reset(&v->pci);
    v->misc = v->feature = v->enable = 0;
    v->seq_index = v->crtc_index = v->gfx_index = v->attr_index = 0;
    v->attr_data_next = false;
    memset(v->seq, 0, sizeof(v->seq));
    memset(v->crtc, 0, sizeof(v->crtc));
    memset(v->gfx, 0, sizeof(v->gfx));
    memset(v->attr, 0, sizeof(v->attr));
    memset(v->dac, 0, sizeof(v->dac));
    memset(v->dac_latch, 0, sizeof(v->dac_latch));
    v->dac_mask = 0xff;
    v->dac_state = v->dac_read_index = v->dac_write_index = v->dac_component = 0;
    v->latch = 0;
    vga_vbe_reset(v);
}

static void vga_settle(Device *d)
{
    Vga *v = (Vga *)d;

    pci_device_settle(&v->pci);
    vga_update_bank(v);
    v->look_valid = false;
}

static void vga_info(Device *d, GString *out)
{
    Vga *v = (Vga *)d;
    VgaFrame f;

    as_flush_writes(d->machine->mem);
    vga_get_frame(v, &f);
    g_string_append_printf(out, "mode: %s", vga_frame_name(&f));
    if (f.kind != FRAME_BLANK) {
        g_string_append_printf(out, ", %ux%u", f.width, f.height);
    }
    if (f.kind == FRAME_LINEAR) {
        g_string_append_printf(out, ", %u bits a pixel", f.bpp);
    }
    g_string_append_printf(out, ", start %x, pitch %u\nmemory: %u MiB\n", f.start, f.pitch,
                           v->vgamem_mb);
}

/* What indexes an array must lie in it; the rest may be anything that the guest could have written. */
static bool vga_after_load(void *obj, GError **errp)
{
    Vga *v = obj;

    if (v->seq_index > 7 || v->crtc_index > 31 || v->gfx_index > 15 || v->dac_component > 2) {
        error_set(errp, "VGA: the saved state has a register index out of range");
        return false;
    }
    v->vbe[VBE_VIDEO_MEMORY_64K] = v->vram.size >> 16;
    if (vga_vbe_on(v)) {
        vga_vbe_normalize(v);
    }
    return true;
}

static const StateField vga_fields[] = {
    STATE_SUB(Vga, pci, &pci_device_state),
    STATE_NOT(Vga, vgamem_mb, "option"),
    STATE_NOT(Vga, xres, "option"),
    STATE_NOT(Vga, yres, "option"),
    STATE_NOT(Vga, romfile, "option"),
    STATE_U(Vga, misc),
    STATE_U(Vga, feature),
    STATE_U(Vga, enable),
    STATE_U(Vga, seq_index),
    STATE_ARRAY(Vga, seq),
    STATE_U(Vga, crtc_index),
    STATE_ARRAY(Vga, crtc),
    STATE_U(Vga, gfx_index),
    STATE_ARRAY(Vga, gfx),
    STATE_U(Vga, attr_index),
    STATE_ARRAY(Vga, attr),
    STATE_U(Vga, attr_data_next),
    STATE_U(Vga, dac_mask),
    STATE_U(Vga, dac_state),
    STATE_U(Vga, dac_read_index),
    STATE_U(Vga, dac_write_index),
    STATE_U(Vga, dac_component),
    STATE_ARRAY(Vga, dac_latch),
    STATE_BUF(Vga, dac),
    STATE_U(Vga, latch),
    STATE_U(Vga, vbe_index),
    STATE_ARRAY(Vga, vbe),
    STATE_NOT(Vga, vram, "memory, saved with all RAM"),
    STATE_NOT(Vga, mmio, "mapping, made by realize"),
    STATE_NOT(Vga, legacy, "mapping, made by realize"),
    STATE_NOT(Vga, bank, "mapping, redone by settle"),
    STATE_NOT(Vga, ports, "mapping, made by realize"),
    STATE_NOT(Vga, vbe_ports, "mapping, made by realize"),
    STATE_NOT(Vga, edid, "made from options"),
    STATE_NOT(Vga, display, "back end"),
    STATE_NOT(Vga, look, "what the picture was painted with"),
    STATE_NOT(Vga, look_valid, "what the picture was painted with"),
    STATE_NOT(Vga, shadow, "what the picture was painted from"),
    STATE_NOT(Vga, shadow_pitch, "what the picture was painted from"),
    STATE_NOT(Vga, shadow_size, "what the picture was painted from"),
    STATE_NOT(Vga, painted_start, "what the picture was painted from"),
    STATE_NOT(Vga, painted_pitch, "what the picture was painted from"),
    STATE_NOT(Vga, written, "for painting"),
    STATE_NOT(Vga, written_by_us, "for painting"),
    STATE_DONE,
};
static const StateTable vga_state = {
    .name = "VGA", .version = 1, .fields = vga_fields, .after_load = vga_after_load,
};

static const Property vga_props[] = {
    PCI_PROPS(Vga),
    PROP_U(Vga, vgamem_mb, "vgamem_mb", 16, 256, "display memory in MiB, a power of two"),
    PROP_U(Vga, xres, "xres", 1280, 4095, "width that the monitor prefers"),
    PROP_U(Vga, yres, "yres", 800, 4095, "height that the monitor prefers"),
    PROP_S(Vga, romfile, "romfile", NULL, "image of the VGA BIOS; empty: none"),
    PROP_DONE,
};

const PciClass vga_class = {
    .dev = {
        .name = "VGA",
        .summary = "VGA with Bochs VBE linear modes",
        .bus = "pci",
        .size = sizeof(Vga),
        .props = vga_props,
        .state = &vga_state,
        .realize = vga_realize,
        .unrealize = vga_unrealize,
        .reset = vga_reset,
        .settle = vga_settle,
        .info = vga_info,
    },
    .vendor = 0x1234,
    .device = 0x1111,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .revision = 2,
    .class_code = 0x030000,
};
