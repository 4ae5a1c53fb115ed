/*
 * The CD-ROM drive's commands that answer with a table: what it is, what its disc is, its modes.
 *
 * MMC-3 sections 5 (mode pages, features, profiles) and 6 (commands); SPC-2 for INQUIRY, REQUEST
 * SENSE and the headers of MODE SENSE.  Every answer is built in the drive's buffer and cut to the
 * length the host has room for.
 */
#include "ide-int.h"

#include "util/bits.h"

enum { LEAD_OUT = 0xaa, MEDIUM_DATA_CD = 0x01, MEDIUM_NONE = 0x70 };
enum { PROFILE_CD_ROM = 0x08, PROFILE_DVD_ROM = 0x10 };
/* More than any CD has (99 minutes): a DVD. */
enum { CD_BLOCKS_MAX = 99 * 60 * 75 };

static uint8_t *clear(IdeDrive *d, size_t len)
{
    return memset(d->buf, 0, len);
}

static void put_padded(uint8_t *at, const char *text, size_t n)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < n; i++) {
        at[i] = i < len ? text[i] : ' ';
    }
}

/* An address as minutes, seconds and frames, or as a block number. */
static void put_address(uint8_t *at, uint32_t lba, bool msf)
{
    if (msf) {
        uint32_t frame = lba + 150;
        at[0] = 0;
        at[1] = MIN(frame / 75 / 60, 255);
        at[2] = frame / 75 % 60;
        at[3] = frame % 75;
    } else {
        st32be(at, lba);
    }
}

void atapi_identify(const IdeDrive *d, uint8_t *out)
{
    uint8_t mode = d->ata.transfer_mode;

    memset(out, 0, ATA_SECTOR);
    st16le(out, 0x85c0);                            /* ATAPI, CD-ROM, removable, DRQ at once, 12 bytes */
    ide_put_text(out + 2 * 10, d->serial, 20);
    ide_put_text(out + 2 * 23, d->ver, 8);
    ide_put_text(out + 2 * 27, d->model, 40);
    st16le(out + 2 * 49, 0x0f00);                   /* IORDY, LBA, DMA */
    st16le(out + 2 * 53, 0x0006);
    st16le(out + 2 * 63, 0x0007 | (mode >> 3 == 4 ? 0x100 << (mode & 7) : 0));
    st16le(out + 2 * 64, 0x0003);
    for (unsigned word = 65; word <= 68; word++) {
        st16le(out + 2 * word, 120);
    }
    st16le(out + 2 * 80, 0x001e);                   /* ATA-1 to ATA/ATAPI-4 */
    st16le(out + 2 * 82, 0x4210);                   /* NOP, DEVICE RESET, PACKET */
    st16le(out + 2 * 83, 0x4000);
    st16le(out + 2 * 84, 0x4000);
    st16le(out + 2 * 85, 0x4210);
    st16le(out + 2 * 87, 0x4000);
    st16le(out + 2 * 88, 0x003f | (mode >> 3 == 8 ? 0x100 << (mode & 7) : 0));
    st16le(out + 2 * 93, d->unit ? 0x6b00 : 0x600b);
}

void atapi_inquiry(IdeDrive *d)
{
    uint8_t *out = clear(d, 36);

    out[0] = 5;                                     /* CD-ROM */
    out[1] = 0x80;                                  /* removable */
    out[3] = 0x21;                                  /* ATAPI; response format 1: SFF-8020i */
    out[4] = 36 - 5;
    put_padded(out + 8, "TINAMOU", 8);
    put_padded(out + 16, d->model, 16);
    put_padded(out + 32, d->ver, 4);
    atapi_reply(d, 36, ld16be(d->cd.packet + 3));
}

void atapi_request_sense(IdeDrive *d)
{
    CdRom *cd = &d->cd;
    uint8_t *out = clear(d, 18);

    if (cd->sense_key == SENSE_NONE && cd->attention) {     /* not told yet: this tells it */
        cd->attention = false;
        cd->sense_key = SENSE_UNIT_ATTENTION;
        cd->asc = cd->attention_is_reset ? ASC_RESET : ASC_MEDIUM_CHANGED;
        cd->ascq = 0;
    }
    out[0] = 0x70;
    out[2] = cd->sense_key;
    out[7] = 18 - 8;
    out[12] = cd->asc;
    out[13] = cd->ascq;
    cd->sense_key = cd->asc = cd->ascq = 0;
    atapi_reply(d, 18, cd->packet[4]);
}

/* ---- mode pages ---- */

static const uint8_t page_2a[22] = {    /* MMC-3 5.5.10: capabilities and mechanical status */
    0x2a, 20, 0x3b, 0x00,               /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
    0x70, 0x00,                         /* mode 2 forms 1 and 2, multi-session */
    0x29,                               /* tray, eject, lock */
    0x00,
    0x02, 0xc2, 0x00, 0x02,             /* 4x as older readers count, 2 volume levels */
    0x00, 0x80,                         /* buffer: 128 KiB */
    0x02, 0xc2,
};

/* A page's values now (0), what MODE SELECT can change (1), or its defaults (2). */
static uint32_t put_page(uint8_t *out, const uint8_t *page, uint32_t len, unsigned which, bool changeable)
{
    memcpy(out, page, len);
    if (which == 1) {
        memset(out + 2, changeable ? 0xff : 0, len - 2);
    }
    return len;
}

void atapi_mode_sense(IdeDrive *d)
{
    CdRom *cd = &d->cd;
    bool six = cd->packet[0] == 0x1a;
    unsigned which = cd->packet[2] >> 6, page = cd->packet[2] & 0x3f;
    uint32_t head = six ? 4 : 8, len = head;
    uint8_t *out = clear(d, 128);

    if (which == 3) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED, 0);
        return;
    }
    if (page == 0x01 || page == 0x3f) {
        len += put_page(out + len, cd->page_01, sizeof(cd->page_01), which, true);
    }
    if (page == 0x0e || page == 0x3f) {
        len += put_page(out + len, cd->page_0e, sizeof(cd->page_0e), which, true);
    }
    if (page == 0x2a || page == 0x3f) {
        uint8_t *at = out + len;
        len += put_page(at, page_2a, sizeof(page_2a), which, false);
        at[6] |= which == 0 && cd->locked ? 2 : 0;
    }
    if (len == head) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    uint8_t medium = cd->tray_open ? MEDIUM_NONE + 1 : d->block ? MEDIUM_DATA_CD : MEDIUM_NONE;
    if (six) {
        out[0] = len - 1;
        out[1] = medium;
    } else {
        st16be(out, len - 2);
        out[2] = medium;
    }
    atapi_reply(d, len, six ? cd->packet[4] : ld16be(cd->packet + 7));
}

void atapi_mode_select(IdeDrive *d)
{
    const uint8_t *p = d->cd.packet;

    if (p[1] & 1) {                                 /* save pages */
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    atapi_receive(d, p[0] == 0x15 ? p[4] : ld16be(p + 7));
}

/* The parameter list is in the buffer: a header, block descriptors, pages. */
void atapi_mode_selected(IdeDrive *d, uint32_t len)
{
    CdRom *cd = &d->cd;
    const uint8_t *in = d->buf;
    bool six = cd->packet[0] == 0x15;
    uint32_t at = six ? 4 : 8;

    if (len >= at) {
        at += six ? in[3] : ld16be(in + 6);
    }
    while (at + 2 <= len) {
        uint8_t page = in[at] & 0x3f;
        uint32_t size = 2 + in[at + 1];
        uint8_t *to = page == 0x01 ? cd->page_01 : page == 0x0e ? cd->page_0e : NULL;
        if (at + size > len || !to || size != 2u + to[1]) {
            atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_PARAMETER, 0);
            return;
        }
        memcpy(to + 2, in + at + 2, size - 2);
        at += size;
    }
    atapi_good(d);
}

/* ---- the disc ---- */

void atapi_read_capacity(IdeDrive *d)
{
    uint8_t *out = clear(d, 8);
    uint32_t blocks = atapi_blocks(d);

    st32be(out, blocks ? blocks - 1 : 0);
    st32be(out + 4, CD_SECTOR);
    atapi_reply(d, 8, 8);
}

/* One data track and the lead-out; MMC-3 6.1.27. */
static uint32_t toc_tracks(IdeDrive *d, bool msf)
{
    uint8_t *out = clear(d, 20);
    uint8_t from = d->cd.packet[6];
    uint32_t len = 4;

    if (from > 1 && from != LEAD_OUT) {
        return 0;
    }
    out[2] = out[3] = 1;
    if (from <= 1) {
        out[len + 1] = 0x14;                        /* ADR 1, data track */
        out[len + 2] = 1;
        put_address(out + len + 4, 0, msf);
        len += 8;
    }
    out[len + 1] = 0x14;
    out[len + 2] = LEAD_OUT;
    put_address(out + len + 4, atapi_blocks(d), msf);
    return len + 8;
}

static uint32_t toc_session(IdeDrive *d, bool msf)
{
    uint8_t *out = clear(d, 12);

    out[2] = out[3] = 1;
    out[5] = 0x14;
    out[6] = 1;
    put_address(out + 8, 0, msf);
    return 12;
}

/* As in the lead-in's Q channel: points A0, A1, A2 and the track. */
static uint32_t toc_raw(IdeDrive *d)
{
    static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 1 };
    uint8_t *out = clear(d, 4 + 11 * sizeof(points));

    out[2] = out[3] = 1;
    for (unsigned i = 0; i < sizeof(points); i++) {
        uint8_t *at = out + 4 + 11 * i, address[4];
        at[0] = 1;
        at[1] = 0x14;
        at[3] = points[i];
        if (i < 2) {
            at[8] = 1;                              /* first and last track */
        } else {
            put_address(address, points[i] == 1 ? 0 : atapi_blocks(d), true);
            memcpy(at + 8, address + 1, 3);
        }
    }
    return 4 + 11 * sizeof(points);
}

void atapi_read_toc(IdeDrive *d)
{
    const uint8_t *p = d->cd.packet;
    bool msf = p[1] & 2;
    /* SFF-8020i has the format in the last byte, MMC in byte 2. */
    unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6;
    uint32_t len = format == 0 ? toc_tracks(d, msf) : format == 1 ? toc_session(d, msf)
                                                    : format == 2 ? toc_raw(d) : 0;

    if (len == 0) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    st16be(d->buf, len - 2);
    atapi_reply(d, len, ld16be(p + 7));
}

void atapi_read_subchannel(IdeDrive *d)
{
    const uint8_t *p = d->cd.packet;
    uint8_t *out = clear(d, 24);
    uint32_t len = 4;

    out[1] = 0x15;                                  /* no audio status to report */
    if (p[2] & 0x40) {
        if (p[3] < 1 || p[3] > 3) {
            atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
            return;
        }
        out[4] = p[3];
        if (p[3] == 1) {
            out[5] = 0x14;
            out[6] = out[7] = 1;
            put_address(out + 8, 0, p[1] & 2);
            put_address(out + 12, 0, p[1] & 2);
            len = 16;
        } else {
            len = 24;                               /* no catalogue number, no ISRC */
        }
        st16be(out + 2, len - 4);
    }
    atapi_reply(d, len, ld16be(p + 7));
}

void atapi_read_disc_info(IdeDrive *d)
{
    uint8_t *out = clear(d, 34);

    if (d->cd.packet[1] & 7) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    st16be(out, 32);
    out[2] = 0x0e;                                  /* complete disc, complete last session */
    out[3] = out[4] = out[5] = out[6] = 1;
    out[7] = 0x20;                                  /* unrestricted use */
    atapi_reply(d, 34, ld16be(d->cd.packet + 7));
}

/* ---- the drive ---- */

void atapi_mechanism_status(IdeDrive *d)
{
    uint8_t *out = clear(d, 8);

    out[1] = d->cd.tray_open ? 0x10 : 0;
    out[5] = 1;
    atapi_reply(d, 8, ld16be(d->cd.packet + 8));
}

void atapi_get_configuration(IdeDrive *d)
{
    static const uint8_t profile_list[] = { 0, 0, 3, 8, 0, PROFILE_DVD_ROM, 0, 0, 0, PROFILE_CD_ROM, 0, 0 };
    static const uint8_t core[] = { 0, 1, 7, 4, 0, 0, 0, 2 };               /* ATAPI */
    static const uint8_t removable[] = { 0, 3, 3, 4, 0x29, 0, 0, 0 };       /* tray, eject, lock */
    static const uint8_t random_read[] = { 0, 0x10, 1, 8, 0, 0, CD_SECTOR >> 8, 0, 0, 1, 0, 0 };
    static const uint8_t cd_read[] = { 0, 0x1e, 5, 0 };
    static const uint8_t dvd_read[] = { 0, 0x1f, 1, 0 };
    static const struct { const uint8_t *bytes, len, profile; } features[] = {
        { profile_list, sizeof(profile_list), 0 },    { core, sizeof(core), 0 },
        { removable, sizeof(removable), 0 },          { random_read, sizeof(random_read), 1 },
        { cd_read, sizeof(cd_read), PROFILE_CD_ROM }, { dvd_read, sizeof(dvd_read), PROFILE_DVD_ROM },
    };
    const uint8_t *p = d->cd.packet;
    unsigned type = p[1] & 3, from = ld16be(p + 2);
    uint8_t *out = clear(d, 256);
    uint32_t len = 8;
    uint8_t profile = !atapi_has_medium(d)              ? 0
                      : atapi_blocks(d) > CD_BLOCKS_MAX ? PROFILE_DVD_ROM
                                                        : PROFILE_CD_ROM;

    if (type == 3) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        unsigned code = ld16be(features[i].bytes);
        bool always = features[i].profile == 0;
        bool current = always || (profile && (features[i].profile == 1 || features[i].profile == profile));
        if ((type == 2 && code != from) || code < from || (type == 1 && !current)) {
            continue;
        }
        memcpy(out + len, features[i].bytes, features[i].len);
        out[len + 2] = (out[len + 2] & ~1) | current;
        if (code == 0) {
            out[len + 6] = profile == PROFILE_DVD_ROM;
            out[len + 10] = profile == PROFILE_CD_ROM;
        }
        len += features[i].len;
    }
    st32be(out, len - 4);
    out[7] = profile;
    atapi_reply(d, len, ld16be(p + 7));
}

/* MMC-3 6.1.5: polled only, class 4 (media). */
void atapi_get_event_status(IdeDrive *d)
{
    CdRom *cd = &d->cd;
    uint8_t *out = clear(d, 8);
    bool media = cd->packet[4] & 1 << 4;
    uint32_t len = media ? 8 : 4;

    if (!(cd->packet[1] & 1)) {
        atapi_check(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
        return;
    }
    st16be(out, len - 2);
    out[2] = media ? 4 : 0x80;                      /* the class, or: none of those asked for */
    out[3] = 1 << 4;
    if (media) {
        out[4] = cd->event;
        out[5] = (cd->tray_open ? 1 : 0) | (atapi_has_medium(d) ? 2 : 0);
    }
    uint32_t room = ld16be(cd->packet + 7);
    if (media && room > 4) {
        cd->event = 0;                              /* reported */
    }
    atapi_reply(d, len, room);
}
