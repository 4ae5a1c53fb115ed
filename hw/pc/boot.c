/*
 * What the firmware reads from fw_cfg: sizes, the memory map, and which drive to boot first.
 *
 * File names and contents as SeaBIOS documents them (docs/Runtime_config.md); device paths in "bootorder"
 * are those of Open Firmware.
 */
#include "board.h"

#include <string.h>
#include "hw/ide.h"
#include "util/bits.h"
#include "util/error.h"

enum { E820_RAM = 1, E820_ENTRY = 20 };
enum { SERCON_PORT = 0x3f8 };
enum { SLEEP_STATES = 6, STATE_ENABLED = 0x80 };

bool pc_boot_order_valid(const char *letters, GError **errp)
{
    for (const char *c = letters; *c; c++) {
        if (!strchr("acdn", *c)) {
            error_set(errp, "boot order '%s': no drive is called '%c'; there are a (floppy), c (hard disk), "
                      "d (CD-ROM) and n (network)", letters, *c);
            return false;
        }
        if (strchr(c + 1, *c)) {
            error_set(errp, "boot order '%s': drive '%c' is named twice", letters, *c);
            return false;
        }
    }
    return true;
}

static bool add_e820(PcBoard *b, GError **errp)
{
    uint8_t map[2 * E820_ENTRY];
    unsigned n = b->above_4g ? 2 : 1;

    st64le(map, 0);
    st64le(map + 8, b->below_4g);
    st32le(map + 16, E820_RAM);
    st64le(map + 20, 4ull << 30);
    st64le(map + 28, b->above_4g);
    st32le(map + 36, E820_RAM);
    return fw_cfg_add_file(b->fw_cfg, "etc/e820", map, n * E820_ENTRY, errp);
}

static bool add_u64_file(PcBoard *b, const char *name, uint64_t val, GError **errp)
{
    uint8_t bytes[8];

    st64le(bytes, val);
    return fw_cfg_add_file(b->fw_cfg, name, bytes, sizeof(bytes), errp);
}

bool pc_boot_init(PcBoard *b, const PcConfig *cfg, GError **errp)
{
    static const uint8_t sleep_states[SLEEP_STATES] = { [0] = STATE_ENABLED, [5] = STATE_ENABLED };
    unsigned cpus = b->dev.machine->vcpus->len;
    g_autofree uint8_t *numa = g_malloc0(8 * (1 + cpus));       /* no nodes; each processor in none */
    FwCfg *f = b->fw_cfg;

    fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, b->ram.size);
    fw_cfg_add_u16(f, FW_CFG_NB_CPUS, cpus);
    fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, (uint16_t)(machine_apic_id(b->dev.machine, cpus - 1) + 1));     /* APIC IDs */
    fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, !cfg->graphics);
    fw_cfg_add_u16(f, FW_CFG_BOOT_MENU, cfg->boot_menu);
    fw_cfg_add_u32(f, FW_CFG_IRQ0_OVERRIDE, 1);
    fw_cfg_add_bytes(f, FW_CFG_NUMA, numa, 8 * (1 + cpus));
    if (!add_e820(b, errp) || !fw_cfg_add_file(f, "etc/system-states", sleep_states, SLEEP_STATES, errp)) {
        return false;
    }
    /* No drive has a system: stay there and say so, instead of trying again for ever. */
    if (!add_u64_file(b, "etc/boot-fail-wait", UINT32_MAX, errp)) {
        return false;
    }
    if (!cfg->graphics && cfg->serial[0] && !add_u64_file(b, "etc/sercon-port", SERCON_PORT, errp)) {
        return false;
    }
    return true;
}

/* ---- "bootorder" ---- */

typedef struct BootEntry {
    uint32_t index;
    char *path;
} BootEntry;

static void entry_clear(gpointer p)
{
    g_free(((BootEntry *)p)->path);
}

static gint by_index(gconstpointer a, gconstpointer b)
{
    uint32_t x = ((const BootEntry *)a)->index, y = ((const BootEntry *)b)->index;

    return x < y ? -1 : x > y;
}

/* Files must be there before the guest reads their directory, devices come until it runs: so this is called
 * after each reset. */
void pc_boot_update(PcBoard *b)
{
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(BootEntry));
    g_autoptr(GString) text = g_string_new(NULL);
    Machine *m = b->dev.machine;
    size_t had;

    g_array_set_clear_func(entries, entry_clear);
    for (guint i = 0; i < m->devices->len; i++) {
        BootEntry e = { 0 };

        e.path = ide_boot_path(g_ptr_array_index(m->devices, i), &e.index);
        if (e.path && e.index != BOOT_INDEX_NONE) {
            g_array_append_val(entries, e);
        } else {
            g_free(e.path);
        }
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(b->floppy_boot_index); n++) {
        if (b->floppy_boot_index[n] >= 0) {
            BootEntry e = { .index = b->floppy_boot_index[n],
                            .path = g_strdup_printf("/pci@i0cf8/isa@1/fdc@03f0/floppy@%u", n) };

            g_array_append_val(entries, e);
        }
    }
    g_array_sort(entries, by_index);
    if (b->boots_kernel) {
        g_string_append(text, "/rom@genroms/kernel.bin\n");
    }
    for (guint i = 0; i < entries->len; i++) {
        g_string_append_printf(text, "%s\n", g_array_index(entries, BootEntry, i).path);
    }
    fw_cfg_file(b->fw_cfg, "bootorder", &had);
    if (text->len || had) {
        fw_cfg_add_file(b->fw_cfg, "bootorder", text->str, text->len + 1, NULL);
    }
}
