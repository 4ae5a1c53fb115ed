/*
 * The ATAPI CD-ROM drive: PACKET commands and how their data moves, reading, and the medium.
 *
 * SFF-8020i (ATAPI for CD-ROMs), MMC-3 (the commands), ATA/ATAPI-8 ACS 7.23 (PACKET).  Data to the
 * host is read ahead into the drive's buffer, 64 blocks at a time, and given out in DRQ blocks as
 * large as the host's byte count limit allows.
 *
 * Not modelled: audio tracks, sessions, DVD structures and writing; EDC and ECC of raw sectors,
 * which read as zeros.
 */
#include "ide-int.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum { REASON_COMMAND = 1 << 0, REASON_TO_HOST = 1 << 1 };     /* interrupt reason: the count register */
enum { FEATURE_DMA = 1 << 0, FEATURE_OVERLAP = 1 << 1 };
enum { CHUNK_BLOCKS = IDE_BUFFER / CD_SECTOR, RAW_SECTOR = 2352, RAW_HEAD = 16, PARAMETERS_MAX = 4096 };
enum { EVENT_NONE = 0, EVENT_EJECT_REQUEST = 1, EVENT_NEW_MEDIUM = 2, EVENT_REMOVED = 3 };

/* ---- how a command ends ---- */

static void set_reason(IdeDrive *d, uint8_t reason)
{
    d->regs.count[0] = reason;
}

void atapi_good(IdeDrive *d)
{
    set_reason(d, REASON_COMMAND | REASON_TO_HOST);
    ide_finish(d, true);
}

void atapi_check(IdeDrive *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    CdRom *cd = &d->cd;

    cd->sense_key = key;
    cd->asc = asc;
    cd->ascq = ascq;
    cd->blocks = 0;
    set_reason(d, REASON_COMMAND | REASON_TO_HOST);
    ide_fail(d, key << 4 | ERROR_ABRT);
}

/* ---- data ---- */

/* The next DRQ block: what is left, but no more than the limit, which counts as even when more follows
 * (ACS 7.23.5). */
static void offer_block(IdeDrive *d)
{
    CdRom *cd = &d->cd;
    uint32_t bytes = d->fill - d->pos;

    if (bytes > cd->limit) {
        bytes = cd->limit & ~1u;
    }
    d->regs.lba_mid[0] = bytes;
    d->regs.lba_high[0] = bytes >> 8;
    set_reason(d, cd->from_host ? 0 : REASON_TO_HOST);
    ide_offer(d, cd->from_host ? IDE_FROM_HOST : IDE_TO_HOST, d->pos + bytes, true);
}

static void start_data(IdeDrive *d)
{
    d->pos = 0;
    if (d->cd.dma) {
        d->end = d->fill;
        set_reason(d, d->cd.from_host ? 0 : REASON_TO_HOST);
        ide_wait_dma(d);
    } else {
        offer_block(d);
    }
}

/* PIO with room for nothing cannot end: ACS 7.23.5 has it aborted. */
static bool limit_is_zero(IdeDrive *d)
{
    if (d->cd.dma || d->cd.limit >= 2) {
        return false;
    }
    log_guest(d->dev.id, "PACKET %02x with a byte count limit of %u", d->cd.packet[0], d->cd.limit);
    atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
    return true;
}

void atapi_reply(IdeDrive *d, uint32_t len, uint32_t allocation)
{
    d->fill = MIN(MIN(len, allocation), IDE_BUFFER);
    if (d->fill == 0) {
        atapi_good(d);
    } else if (!limit_is_zero(d)) {
        start_data(d);
    }
}

void atapi_receive(IdeDrive *d, uint32_t len)
{
    if (len == 0) {
        atapi_good(d);
    } else if (len > PARAMETERS_MAX) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
    } else if (!limit_is_zero(d)) {
        d->cd.from_host = true;
        d->fill = len;
        start_data(d);
    }
}

/* ---- reading ---- */

uint32_t atapi_blocks(const IdeDrive *d)
{
    return d->block ? MIN(block_size(d->block) / CD_SECTOR, UINT32_MAX) : 0;
}

static void fetch(IdeDrive *d)
{
    CdRom *cd = &d->cd;

    if (!atapi_has_medium(d)) {         /* taken out between two blocks */
        atapi_check(d, SENSE_NOT_READY, ASC_NO_MEDIUM, 1);
        return;
    }
    if (cd->attention) {                /* no read begins with one: the disc was changed under this one */
        cd->attention = false;
        atapi_check(d, SENSE_UNIT_ATTENTION, ASC_MEDIUM_CHANGED, 0);
        return;
    }
    cd->chunk = cd->raw ? 1 : MIN(cd->blocks, cd->chunk_max);
    ide_submit(d, BLOCK_READ, (uint64_t)cd->lba * CD_SECTOR, d->buf + (cd->raw ? RAW_HEAD : 0),
               (uint64_t)cd->chunk * CD_SECTOR);
}

/* ECMA-130 section 14: sync, address in BCD minutes, seconds and frames, mode 1. */
static void add_raw_parts(IdeDrive *d)
{
    static const uint8_t sync[12] = { 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0 };
    uint32_t frame = d->cd.lba + 150;
    uint8_t part[3] = { frame / 75 / 60 % 100, frame / 75 % 60, frame % 75 };

    memcpy(d->buf, sync, sizeof(sync));
    for (unsigned i = 0; i < 3; i++) {
        d->buf[12 + i] = part[i] / 10 << 4 | part[i] % 10;
    }
    d->buf[15] = 1;
    memset(d->buf + RAW_HEAD + CD_SECTOR, 0, RAW_SECTOR - RAW_HEAD - CD_SECTOR);
}

void atapi_read_blocks(IdeDrive *d, uint32_t lba, uint32_t blocks, bool raw)
{
    CdRom *cd = &d->cd;
    uint32_t size = atapi_blocks(d);

    if (lba > size || blocks > size - lba) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
    } else if (blocks == 0) {
        atapi_good(d);
    } else if (!limit_is_zero(d)) {
        cd->lba = lba;
        cd->blocks = blocks;
        cd->chunk_max = CHUNK_BLOCKS;
        cd->raw = raw;
        fetch(d);
    }
}

static void atapi_media_done(IdeDrive *d, int err)
{
    CdRom *cd = &d->cd;

    if (err && cd->chunk > 1) {
        cd->chunk_max = 1;              /* give what is before the bad block */
        fetch(d);
        return;
    }
    if (err) {
        atapi_check(d, SENSE_MEDIUM_ERROR, ASC_READ_ERROR, 0);
        return;
    }
    if (cd->raw) {
        add_raw_parts(d);
    }
    d->fill = cd->raw ? RAW_SECTOR : cd->chunk * CD_SECTOR;
    cd->lba += cd->chunk;
    cd->blocks -= cd->chunk;
    start_data(d);
}

/* The buffer is through. */
static void go_on(IdeDrive *d)
{
    if (d->cd.from_host) {
        d->cd.from_host = false;
        atapi_mode_selected(d, d->fill);
    } else if (d->cd.blocks) {
        fetch(d);
    } else {
        atapi_good(d);
    }
}

static void atapi_dma(IdeDrive *d)
{
    d->pos += ide_dma_move(d, d->buf + d->pos, d->end - d->pos, !d->cd.from_host);
    if (d->pos == d->end) {
        go_on(d);
    }
}

/* ---- commands that act on the drive ---- */

static void cmd_test_unit_ready(IdeDrive *d)
{
    atapi_good(d);
}

static void cmd_read_10(IdeDrive *d)
{
    atapi_read_blocks(d, ld32be(d->cd.packet + 2), ld16be(d->cd.packet + 7), false);
}

static void cmd_read_12(IdeDrive *d)
{
    atapi_read_blocks(d, ld32be(d->cd.packet + 2), ld32be(d->cd.packet + 6), false);
}

/* MMC-3 6.1.15, byte 9: which parts of a sector; user data only, or all of it. */
static void read_parts(IdeDrive *d, uint32_t lba, uint32_t blocks)
{
    uint8_t parts = d->cd.packet[9] & 0xf8;

    if (parts == 0) {
        atapi_good(d);
    } else if (parts == 0x10 || parts == 0xf8) {
        atapi_read_blocks(d, lba, blocks, parts == 0xf8);
    } else {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
    }
}

static void cmd_read_cd(IdeDrive *d)
{
    read_parts(d, ld32be(d->cd.packet + 2), ld32be(d->cd.packet + 5) & 0xffffff);
}

static void cmd_read_cd_msf(IdeDrive *d)
{
    const uint8_t *p = d->cd.packet;
    uint32_t first = (p[3] * 60 + p[4]) * 75 + p[5], end = (p[6] * 60 + p[7]) * 75 + p[8];

    if (first < 150 || end < first) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
    } else {
        read_parts(d, first - 150, end - first);
    }
}

static void cmd_seek(IdeDrive *d)
{
    if (ld32be(d->cd.packet + 2) >= atapi_blocks(d)) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
    } else {
        atapi_good(d);
    }
}

static void cmd_prevent_removal(IdeDrive *d)
{
    d->cd.locked = d->cd.packet[4] & 1;
    atapi_good(d);
}

static void cmd_start_stop(IdeDrive *d)
{
    CdRom *cd = &d->cd;
    bool start = cd->packet[4] & 1, load_or_eject = cd->packet[4] & 2;

    if (load_or_eject && !start) {
        if (cd->locked) {
            atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, 2);
            return;
        }
        if (!cd->tray_open && d->block) {
            cd->event = EVENT_REMOVED;
        }
        cd->tray_open = true;
    } else if (load_or_eject && cd->tray_open) {
        cd->tray_open = false;
        if (d->block) {
            cd->attention = true;
            cd->attention_is_reset = false;
            cd->event = EVENT_NEW_MEDIUM;
        }
    }
    atapi_good(d);
}

static void cmd_set_speed(IdeDrive *d)
{
    atapi_good(d);
}

/* ---- the table ---- */

enum { NEEDS_MEDIUM = 1 << 0, DESPITE_ATTENTION = 1 << 1 };

typedef struct PacketCommand {
    void (*run)(IdeDrive *d);
    unsigned flags;
} PacketCommand;

static const PacketCommand packet_commands[256] = {
    [0x00] = { cmd_test_unit_ready, NEEDS_MEDIUM },
    [0x03] = { atapi_request_sense, DESPITE_ATTENTION },
    [0x12] = { atapi_inquiry, DESPITE_ATTENTION },
    [0x15] = { atapi_mode_select },
    [0x1a] = { atapi_mode_sense },
    [0x1b] = { cmd_start_stop },
    [0x1e] = { cmd_prevent_removal },
    [0x25] = { atapi_read_capacity, NEEDS_MEDIUM },
    [0x28] = { cmd_read_10, NEEDS_MEDIUM },
    [0x2b] = { cmd_seek, NEEDS_MEDIUM },
    [0x42] = { atapi_read_subchannel, NEEDS_MEDIUM },
    [0x43] = { atapi_read_toc, NEEDS_MEDIUM },
    [0x46] = { atapi_get_configuration, DESPITE_ATTENTION },
    [0x4a] = { atapi_get_event_status, DESPITE_ATTENTION },
    [0x51] = { atapi_read_disc_info, NEEDS_MEDIUM },
    [0x55] = { atapi_mode_select },
    [0x5a] = { atapi_mode_sense },
    [0xa8] = { cmd_read_12, NEEDS_MEDIUM },
    [0xb9] = { cmd_read_cd_msf, NEEDS_MEDIUM },
    [0xbb] = { cmd_set_speed },
    [0xbd] = { atapi_mechanism_status },
    [0xbe] = { cmd_read_cd, NEEDS_MEDIUM },
};

bool atapi_has_medium(const IdeDrive *d)
{
    return d->block && !d->cd.tray_open;
}

static void run_packet(IdeDrive *d)
{
    CdRom *cd = &d->cd;

    memcpy(cd->packet, d->buf, PACKET_BYTES);
    const PacketCommand *c = &packet_commands[cd->packet[0]];
    if (cd->packet[0] != 0x03) {
        cd->sense_key = cd->asc = cd->ascq = 0;
    }
    if (!c->run) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE, 0);
    } else if (cd->attention && !(c->flags & DESPITE_ATTENTION)) {
        cd->attention = false;
        atapi_check(d, SENSE_UNIT_ATTENTION, cd->attention_is_reset ? ASC_RESET : ASC_MEDIUM_CHANGED, 0);
    } else if ((c->flags & NEEDS_MEDIUM) && !atapi_has_medium(d)) {
        atapi_check(d, SENSE_NOT_READY, ASC_NO_MEDIUM, cd->tray_open ? 2 : 1);
    } else {
        c->run(d);
    }
}

static void atapi_data_done(IdeDrive *d)
{
    if (d->phase == IDE_PACKET) {
        run_packet(d);
    } else if (d->cd.identifying) {
        ide_finish(d, false);
    } else if (d->pos < d->fill) {
        offer_block(d);
    } else {
        go_on(d);
    }
}

/* ---- ATA commands of a packet device ---- */

static void start_packet(IdeDrive *d)
{
    CdRom *cd = &d->cd;

    if (d->regs.feature[0] & FEATURE_OVERLAP) {
        ide_fail(d, ERROR_ABRT);
        return;
    }
    cd->dma = d->regs.feature[0] & FEATURE_DMA;
    cd->limit = d->regs.lba_mid[0] | d->regs.lba_high[0] << 8;
    cd->limit = MIN(cd->limit, 0xfffe);
    cd->from_host = false;
    cd->blocks = 0;
    d->pos = 0;
    set_reason(d, REASON_COMMAND);
    ide_offer(d, IDE_PACKET, PACKET_BYTES, false);
}

static void identify_packet(IdeDrive *d)
{
    CdRom *cd = &d->cd;

    atapi_identify(d, d->buf);
    cd->from_host = false;
    cd->blocks = 0;
    d->pos = 0;
    d->fill = ATA_SECTOR;
    cd->identifying = true;
    ide_offer(d, IDE_TO_HOST, d->fill, true);
}

static void atapi_command(IdeDrive *d, uint8_t cmd)
{
    d->cd.identifying = false;
    switch (cmd) {
    case 0xa0:
        start_packet(d);
        break;
    case 0xa1:
        identify_packet(d);
        break;
    case 0xec:                      /* IDENTIFY DEVICE and READ SECTORS: abort, and say who is there */
    case 0x20:
        ide_set_signature(d);
        ide_fail(d, ERROR_ABRT);
        break;
    case 0xef:
        if (d->regs.feature[0] == 0x03) {
            d->ata.transfer_mode = d->regs.count[0];
        } else if (d->regs.feature[0] != 0x66 && d->regs.feature[0] != 0xcc) {
            ide_fail(d, ERROR_ABRT);
            break;
        }
        ide_finish(d, true);
        break;
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe6:
        ide_finish(d, true);
        break;
    case 0xe5:
        d->regs.count[0] = 0xff;
        ide_finish(d, true);
        break;
    default:                        /* NOP too: ACS 7.22 */
        ide_fail(d, ERROR_ABRT);
    }
}

static void atapi_reset(IdeDrive *d, bool power_on)
{
    static const uint8_t page_01[12] = { 0x01, 10, 0, 5 };
    static const uint8_t page_0e[16] = { 0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 255, 2, 255 };
    CdRom *cd = &d->cd;

    cd->locked = false;
    cd->blocks = cd->chunk = 0;
    cd->from_host = false;
    cd->sense_key = cd->asc = cd->ascq = 0;
    if (power_on) {
        cd->attention = cd->attention_is_reset = true;
        cd->event = d->block ? EVENT_NEW_MEDIUM : EVENT_NONE;
        cd->tray_open = false;
        cd->chunk_max = CHUNK_BLOCKS;
        d->ata.transfer_mode = 0;
        memcpy(cd->page_01, page_01, sizeof(page_01));
        memcpy(cd->page_0e, page_0e, sizeof(page_0e));
    }
}

const IdeKind atapi_kind = {
    .default_model = "TINAMOU CD-ROM",
    .signature = { 0x14, 0xeb },
    .reset_status = 0,
    .command = atapi_command,
    .data_done = atapi_data_done,
    .media_done = atapi_media_done,
    .dma = atapi_dma,
    .reset = atapi_reset,
};

/* ---- the user's hand at the tray ---- */

bool atapi_locked(BlockDrive *drive)
{
    return ((const IdeDrive *)drive->device)->cd.locked;
}

bool atapi_change(BlockDrive *drive, Block *medium, bool force, GError **errp)
{
    IdeDrive *d = drive->device;
    CdRom *cd = &d->cd;

    if (cd->locked && d->block && !force) {
        cd->event = EVENT_EJECT_REQUEST;        /* a guest that listens lets go of it */
        error_set(errp,
                  "the guest has locked the tray of '%s'; it was asked to open it: try again, or force it",
                  drive->id);
        return false;
    }
    if (medium && !block_claim(medium, drive->id, errp)) {
        return false;
    }
    if (d->owns_block) {
        block_close(d->block);                  /* a command in progress ends first */
    }
    d->block = drive->medium = medium;
    d->owns_block = medium;
    cd->locked = cd->locked && !force;
    cd->tray_open = false;
    cd->attention = medium;
    cd->attention_is_reset = false;
    cd->event = medium ? EVENT_NEW_MEDIUM : EVENT_REMOVED;
    return true;
}
