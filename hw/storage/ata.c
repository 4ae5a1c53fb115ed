/*
 * The ATA disk's commands.
 *
 * ATA/ATAPI-8 ACS section 7 (commands), ATA-3 for the old ones: CHS addresses, INITIALIZE DEVICE
 * PARAMETERS, RECALIBRATE, SEEK.  Data moves through a buffer of 256 sectors: a command of many
 * sectors is one block request a buffer, whatever its DRQ blocks are.
 *
 * Not modelled: the security, host protected area, streaming and queued feature sets; the media
 * errors of single sectors beyond what the host reports.
 */
#include "ide-int.h"

#include "util/log.h"

enum { CHUNK_SECTORS = IDE_BUFFER / ATA_SECTOR };
enum { POWER_ACTIVE = 0xff, POWER_IDLE = 0x80, POWER_STANDBY = 0x00 };  /* what CHECK POWER MODE answers */
enum {                              /* kinds of transfer command */
    X_WRITE = 1 << 0, X_EXT = 1 << 1, X_DMA = 1 << 2, X_MULTIPLE = 1 << 3, X_VERIFY = 1 << 4, X_FUA = 1 << 5,
};

/* ---- addresses ---- */

static bool uses_lba(const IdeDrive *d)
{
    return d->channel->device & DEVICE_LBA;
}

/* What the address registers say; false: no such sector (ACS 4.1, CHS: ATA-3 section 6.2). */
static bool get_address(const IdeDrive *d, bool extended, uint64_t *lba)
{
    const IdeRegs *r = &d->regs;
    uint8_t head = d->channel->device & DEVICE_HEAD;

    if (extended) {
        *lba = r->lba_low[0] | r->lba_mid[0] << 8 | r->lba_high[0] << 16 | (uint64_t)r->lba_low[1] << 24 |
               (uint64_t)r->lba_mid[1] << 32 | (uint64_t)r->lba_high[1] << 40;
        return true;
    }
    if (uses_lba(d)) {
        *lba = r->lba_low[0] | r->lba_mid[0] << 8 | r->lba_high[0] << 16 | (uint32_t)head << 24;
        return true;
    }
    unsigned cylinder = r->lba_mid[0] | r->lba_high[0] << 8, sector = r->lba_low[0];
    if (sector == 0 || sector > d->ata.track_sectors || head >= d->ata.heads) {
        return false;
    }
    *lba = ((uint64_t)cylinder * d->ata.heads + head) * d->ata.track_sectors + sector - 1;
    return true;
}

static void set_lba(IdeDrive *d, bool extended, uint64_t lba)
{
    IdeRegs *r = &d->regs;

    r->lba_low[0] = lba;
    r->lba_mid[0] = lba >> 8;
    r->lba_high[0] = lba >> 16;
    if (extended) {
        r->lba_low[1] = lba >> 24;
        r->lba_mid[1] = lba >> 32;
        r->lba_high[1] = lba >> 40;
    } else {
        d->channel->device = (d->channel->device & ~DEVICE_HEAD) | (lba >> 24 & DEVICE_HEAD);
    }
}

/* The registers name the sector a command stopped at. */
static void set_address(IdeDrive *d, uint64_t lba)
{
    const AtaDisk *a = &d->ata;

    if (a->extended || uses_lba(d)) {
        set_lba(d, a->extended, lba);
        return;
    }
    uint64_t track = lba / a->track_sectors;
    d->regs.lba_low[0] = lba % a->track_sectors + 1;
    d->regs.lba_mid[0] = track / a->heads;
    d->regs.lba_high[0] = track / a->heads >> 8;
    d->channel->device = (d->channel->device & ~DEVICE_HEAD) | (track % a->heads & DEVICE_HEAD);
}

/* Heads and sectors of a track as disks of this size have them; IDENTIFY names at most 16383 cylinders
 * (ATA-5 8.12.9). */
void ata_geometry(uint64_t sectors, AtaDisk *a)
{
    a->heads = 16;
    a->track_sectors = 63;
    a->cylinders = CLAMP(sectors / (16 * 63), 1, 16383);
}

/* ---- reading and writing ---- */

static void fetch(IdeDrive *d)
{
    AtaDisk *a = &d->ata;

    a->chunk = MIN(a->left, a->chunk_max);
    ide_submit(d, BLOCK_READ, a->lba * ATA_SECTOR, d->buf, (uint64_t)a->chunk * ATA_SECTOR);
}

/* The next DRQ block of a buffer that is `bytes` long. */
static void offer_block(IdeDrive *d, uint32_t bytes, bool interrupt)
{
    ide_offer(d, d->ata.writes ? IDE_FROM_HOST : IDE_TO_HOST,
              MIN(d->pos + d->ata.drq_sectors * ATA_SECTOR, bytes), interrupt);
}

/* Have the buffer filled by the host. */
static void collect(IdeDrive *d, bool interrupt)
{
    AtaDisk *a = &d->ata;

    a->chunk = MIN(a->left, CHUNK_SECTORS);
    d->pos = 0;
    if (a->dma) {
        d->end = a->chunk * ATA_SECTOR;
        ide_wait_dma(d);
    } else {
        offer_block(d, a->chunk * ATA_SECTOR, interrupt);
    }
}

static void complete(IdeDrive *d, bool interrupt)
{
    d->regs.count[0] = 0;
    ide_finish(d, interrupt);
}

static void store(IdeDrive *d)
{
    const AtaDisk *a = &d->ata;

    ide_submit(d, BLOCK_WRITE, a->lba * ATA_SECTOR, d->buf, (uint64_t)a->chunk * ATA_SECTOR);
}

static void ata_transfer(IdeDrive *d, unsigned flags)
{
    AtaDisk *a = &d->ata;
    bool extended = flags & X_EXT;
    uint32_t count = extended ? d->regs.count[0] | d->regs.count[1] << 8 : d->regs.count[0];
    uint64_t lba;

    if ((flags & X_MULTIPLE) && !a->multiple) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    if (count == 0) {
        count = extended ? 65536 : 256;
    }
    if (!get_address(d, extended, &lba) || lba >= a->sectors || count > a->sectors - lba) {
        ide_fail(d, ERROR_IDNF);
        return;
    }
    a->lba = lba;
    a->left = count;
    a->chunk_max = CHUNK_SECTORS;
    a->writes = flags & X_WRITE;
    a->dma = flags & X_DMA;
    a->extended = extended;
    a->verify = flags & X_VERIFY;
    a->flush_after = (flags & X_FUA) || !a->write_cache;
    a->flushing = false;
    a->drq_sectors = flags & X_MULTIPLE ? a->multiple : 1;
    if (a->writes) {
        collect(d, false);          /* PIO out: no interrupt before the first block */
    } else {
        fetch(d);
    }
}

static void ata_data_done(IdeDrive *d)
{
    AtaDisk *a = &d->ata;

    if (a->writes) {
        if (d->pos < a->chunk * ATA_SECTOR) {
            offer_block(d, a->chunk * ATA_SECTOR, true);
        } else {
            store(d);
        }
    } else if (d->pos < d->fill) {
        offer_block(d, d->fill, true);
    } else if (a->left) {
        fetch(d);
    } else {
        complete(d, false);         /* PIO in: the last block has had its interrupt */
    }
}

/* All of the buffer that memory takes or gives; the rest waits for the bus master to be started again. */
static void ata_dma(IdeDrive *d)
{
    AtaDisk *a = &d->ata;

    d->pos += ide_dma_move(d, d->buf + d->pos, d->end - d->pos, !a->writes);
    if (d->pos < d->end) {
        return;
    }
    if (a->writes) {
        store(d);
    } else if (a->left) {
        fetch(d);
    } else {
        complete(d, true);
    }
}

static void media_failed(IdeDrive *d)
{
    AtaDisk *a = &d->ata;

    if (!a->writes && a->chunk > 1) {
        a->chunk_max = 1;           /* give what is before the bad sector, then name it */
        fetch(d);
        return;
    }
    set_address(d, a->lba);
    d->regs.count[0] = a->left;
    if (a->extended) {
        d->regs.count[1] = a->left >> 8;
    }
    ide_fail(d, a->writes ? ERROR_ABRT : ERROR_UNC);
    if (a->writes) {
        d->status |= STATUS_DF;     /* the host cannot write: not the sector's fault */
    }
}

static void read_done(IdeDrive *d)
{
    AtaDisk *a = &d->ata;

    d->pos = 0;
    d->fill = a->chunk * ATA_SECTOR;
    a->lba += a->chunk;
    a->left -= a->chunk;
    set_address(d, a->lba - 1);
    if (a->verify) {
        if (a->left) {
            fetch(d);
        } else {
            complete(d, true);
        }
    } else if (a->dma) {
        d->end = d->fill;
        ide_wait_dma(d);
    } else {
        offer_block(d, d->fill, true);
    }
}

static void write_done(IdeDrive *d)
{
    AtaDisk *a = &d->ata;

    a->lba += a->chunk;
    a->left -= a->chunk;
    a->chunk = 0;
    set_address(d, a->lba - 1);
    if (a->left) {
        collect(d, true);
    } else if (a->flush_after) {
        a->flushing = true;
        ide_submit(d, BLOCK_FLUSH, 0, NULL, 0);
    } else {
        complete(d, true);
    }
}

static void ata_media_done(IdeDrive *d, int err)
{
    if (d->ata.flushing) {
        d->ata.flushing = false;
        if (err) {
            ide_fail(d, ERROR_ABRT);
            d->status |= STATUS_DF;
        } else {
            ide_finish(d, true);
        }
    } else if (err) {
        media_failed(d);
    } else if (d->ata.writes) {
        write_done(d);
    } else {
        read_done(d);
    }
}

/* ---- commands without data ---- */

static void ata_abort(IdeDrive *d, unsigned arg)
{
    ide_fail(d, ERROR_ABRT);
}

static void ata_recalibrate(IdeDrive *d, unsigned arg)
{
    d->regs.lba_mid[0] = d->regs.lba_high[0] = 0;
    ide_finish(d, true);
}

static void ata_seek(IdeDrive *d, unsigned arg)
{
    uint64_t lba;

    if (get_address(d, false, &lba) && lba < d->ata.sectors) {
        ide_finish(d, true);
    } else {
        ide_fail(d, ERROR_IDNF);
    }
}

static void ata_init_params(IdeDrive *d, unsigned arg)
{
    AtaDisk *a = &d->ata;

    if (d->regs.count[0] == 0) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    a->heads = (d->channel->device & DEVICE_HEAD) + 1;
    a->track_sectors = d->regs.count[0];
    a->cylinders = MIN(a->sectors / (a->heads * a->track_sectors), 65535);
    ide_finish(d, true);
}

static void ata_flush(IdeDrive *d, unsigned arg)
{
    d->ata.flushing = true;
    ide_submit(d, BLOCK_FLUSH, 0, NULL, 0);
}

static void ata_set_multiple(IdeDrive *d, unsigned arg)
{
    uint8_t n = d->regs.count[0];

    if (n > ATA_MULTIPLE_MAX || (n & (n - 1))) {
        d->ata.multiple = 0;
        ide_fail(d, ERROR_ABRT);
        return;
    }
    d->ata.multiple = n;
    ide_finish(d, true);
}

static void ata_power(IdeDrive *d, unsigned state)
{
    d->ata.power = state;
    ide_finish(d, true);
}

static void ata_sleep(IdeDrive *d, unsigned arg)
{
    ata_power(d, POWER_STANDBY);
    d->ata.asleep = true;
}

static void ata_check_power(IdeDrive *d, unsigned arg)
{
    d->regs.count[0] = d->ata.power;
    ide_finish(d, true);
}

static void ata_native_max(IdeDrive *d, unsigned flags)
{
    uint64_t last = d->ata.sectors - 1;

    if (!uses_lba(d)) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    set_lba(d, flags & X_EXT, flags & X_EXT ? last : MIN(last, 0x0fffffff));
    ide_finish(d, true);
}

/* SET FEATURES subcommand 03h, transfer mode: PIO by default or 0..4, multiword DMA 0..2, Ultra DMA 0..5. */
static bool mode_exists(uint8_t mode)
{
    unsigned n = mode & 7;

    switch (mode >> 3) {
    case 0:
        return n <= 1;
    case 1:
        return n <= 4;
    case 4:
        return n <= 2;
    case 8:
        return n <= 5;
    default:
        return false;
    }
}

static void ata_set_features(IdeDrive *d, unsigned arg)
{
    AtaDisk *a = &d->ata;
    uint8_t feature = d->regs.feature[0];

    switch (feature) {
    case 0x02: case 0x82:
        a->write_cache = feature == 0x02;
        if (!a->write_cache) {
            ata_flush(d, 0);        /* what is cached must not stay so */
            return;
        }
        break;
    case 0x03:
        if (!mode_exists(d->regs.count[0])) {
            ide_fail(d, ERROR_ABRT);
            return;
        }
        a->transfer_mode = d->regs.count[0];
        break;
    case 0x55: case 0xaa:
        a->read_ahead = feature == 0xaa;
        break;
    case 0x66: case 0xcc:           /* keep settings over a soft reset, or not: they are kept */
        break;
    default:
        ide_fail(d, ERROR_ABRT);
        return;
    }
    ide_finish(d, true);
}

/* ---- commands that read a block of facts ---- */

static void give_sector(IdeDrive *d)
{
    d->ata.writes = false;
    d->ata.dma = false;
    d->ata.left = 0;
    d->ata.drq_sectors = 1;
    d->pos = 0;
    d->fill = ATA_SECTOR;
    offer_block(d, d->fill, true);
}

static void ata_identify_device(IdeDrive *d, unsigned arg)
{
    ata_identify(d, d->buf);
    give_sector(d);
}

/* READ LOG EXT, ACS 7.24 */
static void ata_read_log(IdeDrive *d, unsigned arg)
{
    const IdeRegs *r = &d->regs;

    if (r->lba_low[0] != 0 || r->count[0] != 1 || r->count[1] != 0) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    ata_log_directory(d->buf);
    give_sector(d);
}

static void ata_smart(IdeDrive *d, unsigned arg)
{
    uint8_t what = d->regs.feature[0];

    /* ACS 7.47: the key in LBA mid and high; all but ENABLE need SMART to be on */
    if (d->regs.lba_mid[0] != 0x4f || d->regs.lba_high[0] != 0xc2 || (!d->ata.smart && what != 0xd8)) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    switch (what) {
    case 0xd0:
        ata_smart_data(d->buf);
        give_sector(d);
        return;
    case 0xd1:
        ata_smart_thresholds(d->buf);
        give_sector(d);
        return;
    case 0xd5:
        if (d->regs.count[0] != 1 || !ata_smart_log(d->buf, d->regs.lba_low[0])) {
            break;
        }
        give_sector(d);
        return;
    case 0xd8: case 0xd9:
        d->ata.smart = what == 0xd8;
        ide_finish(d, true);
        return;
    case 0xd2: case 0xd4: case 0xda:    /* autosave; self-test; status: 4Fh C2h stay, nothing failed */
        ide_finish(d, true);
        return;
    }
    ide_fail(d, ERROR_ABRT);
}

/* ---- the table ---- */

typedef struct AtaCommand {
    void (*run)(IdeDrive *d, unsigned arg);
    unsigned arg;
} AtaCommand;

static const AtaCommand commands[256] = {
    [0x00] = { ata_abort },                                 /* NOP always ends so: ACS 7.22 */
    [0x10 ... 0x1f] = { ata_recalibrate },
    [0x20] = { ata_transfer, 0 },
    [0x21] = { ata_transfer, 0 },
    [0x24] = { ata_transfer, X_EXT },
    [0x25] = { ata_transfer, X_EXT | X_DMA },
    [0x27] = { ata_native_max, X_EXT },
    [0x29] = { ata_transfer, X_EXT | X_MULTIPLE },
    [0x2f] = { ata_read_log },
    [0x30] = { ata_transfer, X_WRITE },
    [0x31] = { ata_transfer, X_WRITE },
    [0x34] = { ata_transfer, X_WRITE | X_EXT },
    [0x35] = { ata_transfer, X_WRITE | X_EXT | X_DMA },
    [0x39] = { ata_transfer, X_WRITE | X_EXT | X_MULTIPLE },
    [0x3d] = { ata_transfer, X_WRITE | X_EXT | X_DMA | X_FUA },
    [0x40] = { ata_transfer, X_VERIFY },
    [0x41] = { ata_transfer, X_VERIFY },
    [0x42] = { ata_transfer, X_VERIFY | X_EXT },
    [0x70 ... 0x7f] = { ata_seek },
    [0x91] = { ata_init_params },
    [0x94] = { ata_power, POWER_STANDBY },                  /* 94h..99h: the numbers of ATA-1 */
    [0x95] = { ata_power, POWER_IDLE },
    [0x96] = { ata_power, POWER_STANDBY },
    [0x97] = { ata_power, POWER_IDLE },
    [0x98] = { ata_check_power },
    [0x99] = { ata_sleep },
    [0xb0] = { ata_smart },
    [0xc4] = { ata_transfer, X_MULTIPLE },
    [0xc5] = { ata_transfer, X_WRITE | X_MULTIPLE },
    [0xc6] = { ata_set_multiple },
    [0xc8] = { ata_transfer, X_DMA },
    [0xc9] = { ata_transfer, X_DMA },
    [0xca] = { ata_transfer, X_WRITE | X_DMA },
    [0xcb] = { ata_transfer, X_WRITE | X_DMA },
    [0xce] = { ata_transfer, X_WRITE | X_EXT | X_MULTIPLE | X_FUA },
    [0xe0] = { ata_power, POWER_STANDBY },
    [0xe1] = { ata_power, POWER_IDLE },
    [0xe2] = { ata_power, POWER_STANDBY },
    [0xe3] = { ata_power, POWER_IDLE },
    [0xe5] = { ata_check_power },
    [0xe6] = { ata_sleep },
    [0xe7] = { ata_flush },
    [0xea] = { ata_flush },
    [0xec] = { ata_identify_device },
    [0xef] = { ata_set_features },
    [0xf8] = { ata_native_max, 0 },
};

static void ata_command(IdeDrive *d, uint8_t cmd)
{
    const AtaCommand *c = &commands[cmd];

    if (d->ata.asleep) {
        log_guest(d->dev.id, "command %02x to a sleeping disk: only a reset wakes it", cmd);
        return;
    }
    if (!c->run) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    if (c->run == ata_transfer || c->run == ata_seek) {
        d->ata.power = POWER_ACTIVE;
    }
    c->run(d, c->arg);
}

static void ata_reset(IdeDrive *d, bool power_on)
{
    AtaDisk *a = &d->ata;

    a->asleep = false;
    a->power = POWER_ACTIVE;
    a->left = a->chunk = 0;
    a->flushing = false;
    if (power_on) {
        ata_geometry(a->sectors, a);
        a->multiple = ATA_MULTIPLE_MAX;
        a->transfer_mode = 0;
        a->write_cache = a->read_ahead = a->smart = true;
        a->lba = 0;
        a->chunk_max = CHUNK_SECTORS;
        a->drq_sectors = 1;
    }
}

const IdeKind ata_kind = {
    .default_model = "TINAMOU HARDDISK",
    .signature = { 0, 0 },
    .reset_status = STATUS_READY,
    .command = ata_command,
    .data_done = ata_data_done,
    .media_done = ata_media_done,
    .dma = ata_dma,
    .reset = ata_reset,
};
