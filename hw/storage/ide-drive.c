/*
 * The devices ide-hd and ide-cd: properties, saved state, life cycle, and the board's way to add them.
 */
#include "hw/pci.h"
#include "ide-int.h"
#include "util/error.h"

void ide_put_text(uint8_t *at, const char *text, size_t n)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < n; i++) {
        at[i ^ 1] = i < len ? text[i] : ' ';
    }
}

/* ---- saved state ---- */

static const StateField regs_fields[] = {
    STATE_BUF(IdeRegs, feature),
    STATE_BUF(IdeRegs, count),
    STATE_BUF(IdeRegs, lba_low),
    STATE_BUF(IdeRegs, lba_mid),
    STATE_BUF(IdeRegs, lba_high),
    STATE_DONE,
};
static const StateTable regs_state = { .name = "ide-regs", .version = 1, .fields = regs_fields };

static const StateField ata_fields[] = {
    STATE_NOT(AtaDisk, sectors, "size of the medium"),
    STATE_U(AtaDisk, cylinders),
    STATE_U(AtaDisk, heads),
    STATE_U(AtaDisk, track_sectors),
    STATE_U(AtaDisk, multiple),
    STATE_U(AtaDisk, transfer_mode),
    STATE_U(AtaDisk, power),
    STATE_U(AtaDisk, write_cache),
    STATE_U(AtaDisk, read_ahead),
    STATE_U(AtaDisk, smart),
    STATE_U(AtaDisk, asleep),
    STATE_U(AtaDisk, lba),
    STATE_U(AtaDisk, left),
    STATE_U(AtaDisk, chunk),
    STATE_U(AtaDisk, chunk_max),
    STATE_U(AtaDisk, drq_sectors),
    STATE_U(AtaDisk, writes),
    STATE_U(AtaDisk, dma),
    STATE_U(AtaDisk, extended),
    STATE_U(AtaDisk, verify),
    STATE_U(AtaDisk, flush_after),
    STATE_U(AtaDisk, flushing),
    STATE_DONE,
};
static const StateTable ata_state = { .name = "ata", .version = 1, .fields = ata_fields };

static const StateField cd_fields[] = {
    STATE_BUF(CdRom, packet),
    STATE_U(CdRom, sense_key),
    STATE_U(CdRom, asc),
    STATE_U(CdRom, ascq),
    STATE_U(CdRom, locked),
    STATE_U(CdRom, tray_open),
    STATE_U(CdRom, attention),
    STATE_U(CdRom, attention_is_reset),
    STATE_U(CdRom, event),
    STATE_BUF(CdRom, page_01),
    STATE_BUF(CdRom, page_0e),
    STATE_U(CdRom, lba),
    STATE_U(CdRom, blocks),
    STATE_U(CdRom, chunk),
    STATE_U(CdRom, chunk_max),
    STATE_U(CdRom, limit),
    STATE_U(CdRom, dma),
    STATE_U(CdRom, raw),
    STATE_U(CdRom, from_host),
    STATE_U(CdRom, identifying),
    STATE_DONE,
};
static const StateTable cd_state = { .name = "cd", .version = 1, .fields = cd_fields };

static const StateField drive_fields[] = {
    STATE_NOT(IdeDrive, dev, "device core"),
    STATE_NOT(IdeDrive, kind, "class"),
    STATE_NOT(IdeDrive, channel, "wiring"),
    STATE_NOT(IdeDrive, block, "back end"),
    STATE_NOT(IdeDrive, unit, "option"),
    STATE_NOT(IdeDrive, serial, "option"),
    STATE_NOT(IdeDrive, model, "option"),
    STATE_NOT(IdeDrive, ver, "option"),
    STATE_NOT(IdeDrive, boot_index, "option"),
    STATE_NOT(IdeDrive, drive, "back end"),
    STATE_NOT(IdeDrive, owns_block, "back end"),
    STATE_NOT(IdeDrive, listed, "back end"),
    STATE_NOT(IdeDrive, req, "drained before saving"),
    STATE_NOT(IdeDrive, in_flight, "drained before saving"),
    STATE_NOT(IdeDrive, stale, "drained before saving"),
    STATE_SUB(IdeDrive, regs, &regs_state),
    STATE_U(IdeDrive, status),
    STATE_U(IdeDrive, error),
    STATE_U(IdeDrive, command),
    STATE_U(IdeDrive, intrq),
    STATE_U(IdeDrive, phase),
    STATE_U(IdeDrive, pos),
    STATE_U(IdeDrive, end),
    STATE_U(IdeDrive, fill),
    STATE_BUF(IdeDrive, buf),
    STATE_SUB(IdeDrive, ata, &ata_state),
    STATE_SUB(IdeDrive, cd, &cd_state),
    STATE_DONE,
};

static void drive_before_save(void *obj)
{
    IdeDrive *d = obj;

    if (d->block) {
        block_drain(d->block);
    }
}

static bool disk_is_possible(const AtaDisk *a)
{
    return a->heads >= 1 && a->heads <= 16 && a->track_sectors >= 1 && a->multiple <= ATA_MULTIPLE_MAX &&
           a->drq_sectors >= 1 && a->drq_sectors <= ATA_MULTIPLE_MAX && a->chunk_max >= 1 &&
           a->chunk_max <= IDE_BUFFER / ATA_SECTOR && a->chunk <= IDE_BUFFER / ATA_SECTOR &&
           a->lba <= a->sectors && a->left <= a->sectors - a->lba && (!a->writes || a->chunk <= a->left);
}

/* Only what a drive between two block requests can be in. */
static bool drive_after_load(void *obj, GError **errp)
{
    const IdeDrive *d = obj;
    bool ok = d->phase < IDE_PHASES && d->phase != IDE_MEDIA && d->pos <= d->end && d->end <= IDE_BUFFER &&
              d->fill <= IDE_BUFFER;

    ok = ok && (d->phase == IDE_IDLE || d->pos < d->end);
    ok = ok && (d->kind != &ata_kind || (d->phase != IDE_PACKET && disk_is_possible(&d->ata)));
    ok = ok && (d->phase != IDE_PACKET || d->end == PACKET_BYTES);
    ok = ok && d->cd.chunk <= IDE_BUFFER / CD_SECTOR && d->cd.chunk_max <= IDE_BUFFER / CD_SECTOR;
    if (!ok) {
        error_set(errp, "%s: the saved state is none that a drive can be in", d->dev.id);
    }
    return ok;
}

static const StateTable drive_state = {
    .name = "ide-drive", .version = 1, .fields = drive_fields,
    .before_save = drive_before_save, .after_load = drive_after_load,
};

/* ---- media ---- */

static bool disk_change(BlockDrive *drive, Block *medium, bool force, GError **errp)
{
    error_set(errp, "'%s' is a hard disk; only CD-ROM and floppy media can be changed", drive->id);
    return false;
}

static bool never_locked(BlockDrive *drive)
{
    return false;
}

/* ---- life cycle ---- */

static void set_default(char **property, char *text)
{
    if (*property) {
        g_free(text);
    } else {
        *property = text;
    }
}

static bool text_fits(const IdeDrive *d, const char *name, const char *text, size_t max, GError **errp)
{
    if (strlen(text) > max) {
        error_set(errp, "%s: %s='%s' is longer than the %zu characters that IDENTIFY has room for", d->dev.id,
                  name, text, max);
        return false;
    }
    return true;
}

static bool drive_realize(IdeDrive *d, const IdeKind *kind, GError **errp)
{
    unsigned number = d->channel->number * IDE_UNITS + d->unit + 1;

    d->kind = kind;
    set_default(&d->serial, g_strdup_printf("TN%05u", number));
    set_default(&d->model, g_strdup(kind->default_model));
    set_default(&d->ver, g_strdup("1.0"));
    if (!text_fits(d, "serial", d->serial, 20, errp) || !text_fits(d, "model", d->model, 40, errp) ||
        !text_fits(d, "ver", d->ver, 8, errp)) {
        return false;
    }
    if (d->block) {
        if (!block_claim(d->block, d->dev.id, errp)) {
            return false;
        }
        d->owns_block = true;
    }
    d->drive.id = d->dev.id;
    d->drive.medium = d->block;
    d->drive.device = d;
    return true;
}

static void list_drive(IdeDrive *d)
{
    block_drive_add(d->dev.machine, &d->drive);
    d->listed = true;
}

static bool hd_realize(Device *dev, GError **errp)
{
    IdeDrive *d = (IdeDrive *)dev;

    if (!d->block) {
        error_set(errp, "%s: a hard disk needs an image: drive=ID of a -drive with if=none", dev->id);
        return false;
    }
    if (block_readonly(d->block)) {
        error_set(errp, "%s: a hard disk must be writable; with snapshot=on the image itself is only read",
                  dev->id);
        return false;
    }
    if (!drive_realize(d, &ata_kind, errp)) {
        return false;
    }
    d->ata.sectors = block_size(d->block) / ATA_SECTOR;
    d->drive.change = disk_change;
    d->drive.locked = never_locked;
    list_drive(d);
    return true;
}

static bool cd_realize(Device *dev, GError **errp)
{
    IdeDrive *d = (IdeDrive *)dev;

    if (!drive_realize(d, &atapi_kind, errp)) {
        return false;
    }
    d->drive.removable = d->drive.cdrom = true;
    d->drive.change = atapi_change;
    d->drive.locked = atapi_locked;
    list_drive(d);
    return true;
}

static void drive_unrealize(Device *dev)
{
    IdeDrive *d = (IdeDrive *)dev;

    if (d->listed) {
        block_drive_remove(dev->machine, &d->drive);
    }
    if (d->owns_block) {
        d->stale = true;            /* what comes back now is nobody's */
        block_close(d->block);
        d->block = NULL;
    }
}

static void drive_reset(Device *dev)
{
    ide_reset_drive((IdeDrive *)dev, true);
}

static void drive_settle(Device *dev)
{
    ide_update_irq(((IdeDrive *)dev)->channel);
}

static void drive_info(Device *dev, GString *out)
{
    static const char *const phases[IDE_PHASES] = {
        [IDE_IDLE] = "idle", [IDE_MEDIA] = "busy", [IDE_TO_HOST] = "data to host",
        [IDE_FROM_HOST] = "data from host", [IDE_PACKET] = "packet", [IDE_DMA] = "DMA",
    };
    const IdeDrive *d = (const IdeDrive *)dev;

    g_string_append_printf(out, "%s: %s, status %02x error %02x, last command %02x\n", dev->id,
                           phases[d->phase], d->status, d->error, d->command);
    if (d->kind == &ata_kind) {
        g_string_append_printf(out,
                               "  %" G_GUINT64_FORMAT " sectors, geometry %u/%u/%u, transfer mode %02x%s\n",
                               d->ata.sectors, d->ata.cylinders, d->ata.heads, d->ata.track_sectors,
                               d->ata.transfer_mode, d->ata.write_cache ? ", write cache" : "");
    } else {
        g_string_append_printf(out, "  tray %s%s, sense %x/%02x/%02x\n", d->cd.tray_open ? "open" : "closed",
                               d->cd.locked ? ", locked" : "", d->cd.sense_key, d->cd.asc, d->cd.ascq);
    }
}

/* ---- the board's side ---- */

Device *ide_add_drive(Machine *m, unsigned index, bool cdrom, Block *block, int boot_index, const char *id,
                      GError **errp)
{
    g_autofree char *bus_name = g_strdup_printf("ide.%u", index / IDE_UNITS);
    g_autofree char *unit = g_strdup_printf("%u", index % IDE_UNITS);
    g_autofree char *boot = g_strdup_printf("%d", boot_index);
    Bus *bus = machine_find_bus(m, bus_name);
    Device *dev = NULL;

    if (!bus || bus->cls != &ide_bus_class) {
        error_set(errp, "there is no IDE disk number %u: the machine has no bus %s", index, bus_name);
    } else {
        dev = device_new(m, cdrom ? "ide-cd" : "ide-hd", id, errp);
    }
    if (!dev) {
        block_close(block);
        return NULL;
    }
    device_set_ptr(dev, "drive", block);
    if (!device_set(dev, "unit", unit, errp) ||
        (boot_index >= 0 && !device_set(dev, "bootindex", boot, errp)) || !device_realize(dev, bus, errp)) {
        bool owned = ((IdeDrive *)dev)->owns_block;
        device_free(dev);
        if (!owned) {
            block_close(block);
        }
        return NULL;
    }
    return dev;
}

char *ide_boot_path(const Device *dev, uint32_t *boot_index)
{
    if (!dev->bus || dev->bus->cls != &ide_bus_class) {
        return NULL;
    }
    const IdeDrive *d = (const IdeDrive *)dev;
    unsigned addr = ((const PciDevice *)dev->bus->controller)->addr;

    *boot_index = d->boot_index;
    return g_strdup_printf("/pci@i0cf8/ide@%x,%x/drive@%x/disk@%x", addr >> 3, addr & 7, d->channel->number,
                           d->unit);
}

static const Property drive_props[] = {
    PROP_BLK(IdeDrive, block, "drive", "the -drive that is its medium"),
    PROP_U(IdeDrive, unit, "unit", IDE_UNIT_AUTO, 1,
           "0: master, 1: slave; the first free one when not given"),
    PROP_S(IdeDrive, serial, "serial", NULL, "serial number, up to 20 characters"),
    PROP_S(IdeDrive, model, "model", NULL, "model name, up to 40 characters"),
    PROP_S(IdeDrive, ver, "ver", NULL, "firmware revision, up to 8 characters"),
    PROP_U(IdeDrive, boot_index, "bootindex", BOOT_INDEX_NONE, 0x7fffffff,
           "place in the boot order, 0 first"),
    PROP_DONE,
};

const DeviceClass ide_hd_class = {
    .name = "ide-hd",
    .summary = "ATA hard disk",
    .bus = "ide",
    .size = sizeof(IdeDrive),
    .props = drive_props,
    .state = &drive_state,
    .realize = hd_realize,
    .unrealize = drive_unrealize,
    .reset = drive_reset,
    .settle = drive_settle,
    .info = drive_info,
};

const DeviceClass ide_cd_class = {
    .name = "ide-cd",
    .summary = "ATAPI CD-ROM drive",
    .bus = "ide",
    .size = sizeof(IdeDrive),
    .props = drive_props,
    .state = &drive_state,
    .realize = cd_realize,
    .unrealize = drive_unrealize,
    .reset = drive_reset,
    .settle = drive_settle,
    .info = drive_info,
};
