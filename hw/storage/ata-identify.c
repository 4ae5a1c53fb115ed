/*
 * What an ATA disk says of itself: IDENTIFY DEVICE and SMART data.
 *
 * ATA/ATAPI-8 ACS 7.16 (IDENTIFY DEVICE), ATA-3 for words 1-6 and 53-58 (geometry), SFF-8035i for
 * the layout of SMART attributes.
 */
#include "ide-int.h"

#include "util/bits.h"

enum { SMART_BYTES = ATA_SECTOR, CHECKSUM_AT = 511 };

static void put_word(uint8_t *out, unsigned word, uint16_t val)
{
    st16le(out + 2 * word, val);
}

/* Bit n set for the mode selected, when it is of this kind (SET FEATURES 03h: kind << 3 | n). */
static uint16_t selected_mode(const AtaDisk *a, uint8_t kind)
{
    return a->transfer_mode >> 3 == kind ? 0x100 << (a->transfer_mode & 7) : 0;
}

/* The last byte makes the sum of all 512 zero. */
static void put_checksum(uint8_t *out)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < CHECKSUM_AT; i++) {
        sum += out[i];
    }
    out[CHECKSUM_AT] = -sum;
}

static void identify_geometry(const AtaDisk *a, uint8_t *out)
{
    AtaDisk native;
    uint32_t chs = (uint32_t)a->cylinders * a->heads * a->track_sectors;

    ata_geometry(a->sectors, &native);
    put_word(out, 1, native.cylinders);
    put_word(out, 3, native.heads);
    put_word(out, 6, native.track_sectors);
    put_word(out, 54, a->cylinders);
    put_word(out, 55, a->heads);
    put_word(out, 56, a->track_sectors);
    st32le(out + 2 * 57, chs);
}

void ata_identify(const IdeDrive *d, uint8_t *out)
{
    const AtaDisk *a = &d->ata;

    memset(out, 0, ATA_SECTOR);
    put_word(out, 0, 0x0040);                       /* fixed disk */
    identify_geometry(a, out);
    ide_put_text(out + 2 * 10, d->serial, 20);
    ide_put_text(out + 2 * 23, d->ver, 8);
    ide_put_text(out + 2 * 27, d->model, 40);
    put_word(out, 47, 0x8000 | ATA_MULTIPLE_MAX);
    put_word(out, 48, 0x4000);                      /* no trusted computing */
    put_word(out, 49, 0x0f00);                      /* IORDY, LBA, DMA */
    put_word(out, 50, 0x4000);
    put_word(out, 51, 0x0200);                      /* PIO 2 and DMA 2, as before word 53 */
    put_word(out, 52, 0x0200);
    put_word(out, 53, 0x0007);                      /* words 54-58, 64-70 and 88 are valid */
    put_word(out, 59, a->multiple ? 0x0100 | a->multiple : 0);
    st32le(out + 2 * 60, MIN(a->sectors, 0x0fffffff));
    put_word(out, 63, 0x0007 | selected_mode(a, 4));
    put_word(out, 64, 0x0003);                      /* PIO 3 and 4 */
    for (unsigned word = 65; word <= 68; word++) {
        put_word(out, word, 120);                   /* ns a cycle */
    }
    put_word(out, 80, 0x01f0);                      /* ATA-4 to ATA8-ACS */
    put_word(out, 82, 0x4061);                      /* NOP, look-ahead, write cache, SMART */
    put_word(out, 83, 0x7400);                      /* FLUSH CACHE (EXT), 48-bit addresses */
    put_word(out, 84, 0x4060);                      /* WRITE DMA FUA EXT, general purpose logs */
    put_word(out, 85, 0x4000 | (a->read_ahead ? 0x40 : 0) | (a->write_cache ? 0x20 : 0) | (a->smart ? 1 : 0));
    put_word(out, 86, 0x3400);
    put_word(out, 87, 0x4060);
    put_word(out, 88, 0x003f | selected_mode(a, 8));
    put_word(out, 93, d->unit ? 0x6b00 : 0x600b);    /* reset: passed; number by jumper; 80 wires */
    st64le(out + 2 * 100, a->sectors);
    put_word(out, 255, 0x00a5);                     /* checksum follows */
    put_checksum(out);
}

typedef struct SmartAttribute {
    uint8_t id, flags, value, threshold;
} SmartAttribute;

static const SmartAttribute attributes[] = {        /* nothing wears out here */
    { 1, 3, 100, 6 }, { 3, 3, 100, 0 }, { 4, 2, 100, 20 }, { 5, 3, 100, 36 }, { 9, 3, 100, 0 },
    { 12, 3, 100, 0 }, { 190, 3, 69, 50 },
};

void ata_smart_data(uint8_t *out)
{
    memset(out, 0, SMART_BYTES);
    put_word(out, 0, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(attributes); i++) {
        uint8_t *at = out + 2 + 12 * i;
        at[0] = attributes[i].id;
        at[1] = attributes[i].flags;
        at[3] = at[4] = attributes[i].value;
    }
    out[362] = 2;                                   /* no off-line collection was started */
    put_checksum(out);
}

void ata_smart_thresholds(uint8_t *out)
{
    memset(out, 0, SMART_BYTES);
    put_word(out, 0, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(attributes); i++) {
        out[2 + 12 * i] = attributes[i].id;
        out[3 + 12 * i] = attributes[i].threshold;
    }
    put_checksum(out);
}

/* ACS A.2: the directory of general purpose logs, which lists none. */
void ata_log_directory(uint8_t *out)
{
    memset(out, 0, ATA_SECTOR);
    put_word(out, 0, 1);
}

/* ACS A.2, A.4, A.17: the directory, the summary error log and the self-test log, the last two empty. */
bool ata_smart_log(uint8_t *out, uint8_t address)
{
    memset(out, 0, SMART_BYTES);
    put_word(out, 0, 1);
    switch (address) {
    case 0x00:
        out[2] = out[12] = 1;
        return true;
    case 0x01: case 0x06:
        put_checksum(out);
        return true;
    default:
        return false;
    }
}
