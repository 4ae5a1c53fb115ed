/*
 * The floppy controller's commands that move data.
 *
 * Intel 82077AA data sheet, sections 5.1 (data transfer commands), 5.1.5 (verify), 5.1.7 (format),
 * table 5-5 (the address a command ends with).  A command moves at most a cylinder; it is read or
 * written as one block request, and its bytes go over DMA channel 2 at once, or through the FIFO
 * register in non-DMA mode.
 */
#include "fdc-int.h"

enum { FIFO_CYLINDER = 2, FIFO_HEAD, FIFO_SECTOR, FIFO_SIZE, FIFO_EOT, FIFO_GAP, FIFO_LENGTH };
enum { FORMAT_SIZE = 2, FORMAT_SECTORS, FORMAT_GAP, FORMAT_FILL };
enum { SPECIFY_NON_DMA = 1 << 0, DOR_DMA_GATE = 1 << 3, CONFIG_IMPLIED_SEEK = 1 << 6, SIZE_512 = 2 };
enum { OP = 0x1f, OP_READ_TRACK = 0x02, OP_WRITE = 0x05, OP_WRITE_DELETED = 0x09, OP_READ_DELETED = 0x0c,
       OP_FORMAT = 0x0d, OP_VERIFY = 0x16, VERIFY_EC = 1 << 7 };

static uint8_t op(const Fdc *f)
{
    return f->fifo[0] & OP;
}

static bool multi_track(const Fdc *f)
{
    return (f->fifo[0] & CMD_MT) && op(f) != OP_READ_TRACK;
}

static bool from_host(const Fdc *f)
{
    return op(f) == OP_WRITE || op(f) == OP_WRITE_DELETED || op(f) == OP_FORMAT;
}

/* ---- how it ends ---- */

static void end_transfer(Fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t head = f->fifo[1] & ST0_HEAD, unit = fdc_unit(f);
    uint8_t result[7] = {
        st0 | head | unit, st1 | f->st1, st2 | f->st2, f->cylinder, f->head, f->sector, SIZE_512,
    };

    memcpy(f->fifo, result, sizeof(result));
    fdc_result(f, sizeof(result), true);
}

static void fail(Fdc *f, uint8_t st1, uint8_t st2)
{
    end_transfer(f, ST0_ABNORMAL, st1, st2);
}

/* Table 5-5: one sector further, in the way the command goes; true: that was the last it names. */
static bool next_sector(Fdc *f)
{
    if (f->sector != f->fifo[FIFO_EOT]) {
        f->sector++;
        return false;
    }
    f->sector = 1;
    if (!multi_track(f)) {
        f->cylinder++;
        return true;
    }
    bool last = f->head & 1;
    f->head ^= 1;
    f->cylinder += last;
    if (!last) {
        f->fifo[1] |= ST0_HEAD;     /* the head in use, which ST0 tells */
    }
    return last;
}

/* ---- which sectors ---- */

/* The head is over the track the command names, and this medium can be read: else the command has ended.
 * Asked again before a write: the medium may have been changed while the host was giving data. */
static bool find_track(Fdc *f)
{
    const Floppy *d = fdc_floppy(f, fdc_unit(f));

    if (d && (f->config & CONFIG_IMPLIED_SEEK) && op(f) != OP_FORMAT) {
        fdc_move_head(f, fdc_unit(f), f->cylinder);
    }
    if (!floppy_readable(f, d) || d->track >= d->format->cylinders || (f->head & 1) >= d->format->heads) {
        fail(f, ST1_MA, 0);
        return false;
    }
    if (f->cylinder != d->track) {
        fail(f, ST1_ND, ST2_WC);
        return false;
    }
    return true;
}

static void set_address(Fdc *f)
{
    f->cylinder = f->fifo[FIFO_CYLINDER];
    f->head = f->fifo[FIFO_HEAD];
    f->sector = f->fifo[FIFO_SECTOR];
    f->eot = f->fifo[FIFO_EOT];
    f->st1 = f->st2 = 0;
    f->pos = f->len = 0;
}

/* How many sectors there are from the address to where the command or the medium ends. */
static unsigned sectors_ahead(const Fdc *f, const Floppy *d)
{
    unsigned spt = d->format->track_sectors, eot = MIN(f->fifo[FIFO_EOT], spt);
    unsigned n = f->sector <= eot ? eot - f->sector + 1 : 0;

    /* Past EOT the controller looks on for sectors that are one higher, until it meets it again. */
    if (f->sector > f->fifo[FIFO_EOT]) {
        return spt - f->sector + 1;
    }
    if (multi_track(f) && !(f->head & 1) && d->format->heads == 2 && eot == f->fifo[FIFO_EOT]) {
        n += eot;
    }
    return n;
}

static uint64_t address_bytes(const Fdc *f, const Floppy *d)
{
    const FloppyFormat *m = d->format;

    return ((d->track * m->heads + (f->head & 1)) * m->track_sectors + f->sector - 1) *
           (uint64_t)FLOPPY_SECTOR;
}

/* Check the address and count the bytes; false: the command has ended. */
static bool begin(Fdc *f)
{
    const Floppy *d;

    set_address(f);
    if (op(f) == OP_READ_TRACK) {
        f->sector = 1;
    }
    if (!find_track(f)) {
        return false;
    }
    d = fdc_floppy(f, fdc_unit(f));
    if ((f->head & 1) != !!(f->fifo[1] & ST0_HEAD) || f->head > 1 || f->fifo[FIFO_SIZE] != SIZE_512 ||
        f->sector == 0 || f->sector > d->format->track_sectors) {
        fail(f, ST1_ND, 0);
        return false;
    }
    uint64_t end = block_size(d->block), at = address_bytes(f, d);
    f->len = MIN(sectors_ahead(f, d) * FLOPPY_SECTOR, FDC_BUFFER);
    if (at >= end) {
        fail(f, ST1_ND, 0);         /* the image is shorter than its format */
        return false;
    }
    f->len = MIN(f->len, end - at);
    return true;
}

/* ---- the medium ---- */

static void transfer_to_host(Fdc *f);

static void request_done(BlockReq *r, int err)
{
    Fdc *f = r->opaque;

    f->in_flight = false;
    if (f->stale) {
        f->stale = false;
        if (f->phase == FDC_EXECUTE && !timer_armed(&f->execute_timer)) {
            fdc_execute(f);
        }
        return;
    }
    if (err) {
        /* A host that cannot is a medium that cannot: CRC error in the data, or a write fault. */
        fail(f, err == -EROFS ? ST1_NW : ST1_DE, err == -EROFS ? 0 : ST2_DD);
    } else if (from_host(f)) {
        end_transfer(f, f->st1 ? ST0_ABNORMAL : 0, 0, 0);
    } else {
        transfer_to_host(f);
    }
}

static void submit(Fdc *f, BlockOp what, uint64_t offset)
{
    Floppy *d = fdc_floppy(f, fdc_unit(f));

    f->in_flight = true;
    f->req = (BlockReq){ .op = what, .offset = offset, .len = f->len, .buf = f->buf, .done = request_done,
                         .opaque = f };
    block_submit(d->block, &f->req);
}

/* ---- to the host ---- */

static bool non_dma(const Fdc *f)
{
    return f->specify[1] & SPECIFY_NON_DMA;
}

/* Sectors are through without terminal count: the command ends at EOT (EN), or meets no more (ND). */
static void ran_out(Fdc *f, bool at_eot)
{
    fail(f, at_eot ? ST1_EN : ST1_ND, 0);
}

static size_t dma_move(Fdc *f, uint8_t *buf, size_t len, bool to_memory)
{
    const IsaBus *isa = isa_bus(&f->dev);

    if (!isa->dma_ops || !(f->dor & DOR_DMA_GATE)) {
        return 0;
    }
    return to_memory ? isa->dma_ops->to_memory(isa->dma, f->dma_channel, buf, len)
                     : isa->dma_ops->from_memory(isa->dma, f->dma_channel, buf, len);
}

static bool terminal_count(const Fdc *f)
{
    const IsaBus *isa = isa_bus((Device *)&f->dev);

    return isa->dma_ops && isa->dma_ops->terminal_count(isa->dma, f->dma_channel);
}

/* READ DELETED DATA meets only ordinary sectors: the first is given, marked, and ends it. */
static bool stops_at_mark(Fdc *f)
{
    if (op(f) != OP_READ_DELETED) {
        return false;
    }
    f->st2 |= ST2_CM;
    return true;
}

static void dma_to_host(Fdc *f)
{
    bool at_eot = false;

    while (f->pos < f->len) {
        size_t n = dma_move(f, f->buf + f->pos, FLOPPY_SECTOR, true);
        if (n == 0) {
            fail(f, ST1_OR, 0);     /* nobody took the byte in time */
            return;
        }
        f->pos += FLOPPY_SECTOR;
        at_eot = next_sector(f);
        if (n < FLOPPY_SECTOR || terminal_count(f) || stops_at_mark(f)) {
            end_transfer(f, 0, 0, 0);
            return;
        }
    }
    ran_out(f, at_eot);
}

static void end_verify(Fdc *f)
{
    bool at_eot = false;
    unsigned wanted = f->fifo[1] & VERIFY_EC ? f->fifo[FIFO_LENGTH] : 0;    /* a count besides EOT */

    for (f->pos = 0; f->pos < f->len && !at_eot; f->pos += FLOPPY_SECTOR) {
        at_eot = next_sector(f);
        if (wanted && --wanted == 0) {
            at_eot = true;
        }
    }
    if (at_eot) {
        end_transfer(f, 0, 0, 0);
    } else {
        ran_out(f, false);
    }
}

static void transfer_to_host(Fdc *f)
{
    f->pos = 0;
    if (op(f) == OP_VERIFY) {
        end_verify(f);
    } else if (non_dma(f)) {
        f->phase = FDC_TO_HOST;
        f->interrupt = true;
        fdc_update_irq(f);
    } else {
        dma_to_host(f);
    }
}

/* One byte has gone: INT falls, and rises for the next. */
static void pulse(Fdc *f)
{
    f->interrupt = false;
    fdc_update_irq(f);
    f->interrupt = true;
    fdc_update_irq(f);
}

uint8_t fdc_data_read(Fdc *f)
{
    uint8_t val = f->pos < f->len ? f->buf[f->pos] : 0;
    bool at_eot = false;

    f->pos++;
    if (f->pos % FLOPPY_SECTOR == 0) {
        at_eot = next_sector(f);
        if (stops_at_mark(f)) {
            end_transfer(f, 0, 0, 0);
            return val;
        }
    }
    if (f->pos >= f->len) {
        ran_out(f, at_eot);
    } else {
        pulse(f);
    }
    return val;
}

/* ---- from the host ---- */

/* Everything up to pos goes to the medium, the last sector filled with zeros. */
static void store(Fdc *f)
{
    Floppy *d = fdc_floppy(f, fdc_unit(f));
    uint64_t at;

    f->sector = f->fifo[FIFO_SECTOR];
    if (!find_track(f)) {
        return;
    }
    at = address_bytes(f, d);
    uint32_t rest = -f->pos % FLOPPY_SECTOR;
    memset(f->buf + f->pos, 0, MIN(rest, FDC_BUFFER - f->pos));
    f->len = MIN(f->pos + rest, FDC_BUFFER);
    bool at_eot = false;
    for (uint32_t i = 0; i < f->len; i += FLOPPY_SECTOR) {
        at_eot = next_sector(f);
    }
    /* No terminal count: the command ran to EOT, or out of sectors. */
    if (non_dma(f) || !terminal_count(f)) {
        f->st1 |= at_eot ? ST1_EN : ST1_ND;
    }
    submit(f, BLOCK_WRITE, at);
}

static void format_store(Fdc *f);

static void transfer_from_host(Fdc *f)
{
    void (*done)(Fdc *) = op(f) == OP_FORMAT ? format_store : store;

    if (non_dma(f)) {
        f->phase = FDC_FROM_HOST;
        f->interrupt = true;
        fdc_update_irq(f);
        return;
    }
    f->pos = dma_move(f, f->buf, f->len, false);
    if (f->pos == 0) {
        fail(f, ST1_OR, 0);
    } else {
        done(f);
    }
}

void fdc_data_write(Fdc *f, uint8_t val)
{
    if (f->pos < f->len) {
        f->buf[f->pos++] = val;
    }
    if (f->pos < f->len) {
        pulse(f);
        return;
    }
    f->interrupt = false;
    fdc_update_irq(f);
    f->phase = FDC_EXECUTE;
    if (op(f) == OP_FORMAT) {
        format_store(f);
    } else {
        store(f);
    }
}

/* ---- the commands ---- */

static void read_sectors(Fdc *f)
{
    if (begin(f)) {
        submit(f, BLOCK_READ, address_bytes(f, fdc_floppy(f, fdc_unit(f))));
    }
}

void fdc_read_data(Fdc *f)
{
    read_sectors(f);
}

void fdc_read_track(Fdc *f)
{
    read_sectors(f);
}

void fdc_verify(Fdc *f)
{
    read_sectors(f);
}

void fdc_read_deleted(Fdc *f)
{
    if (f->fifo[0] & CMD_SK) {
        set_address(f);
        if (find_track(f)) {
            fail(f, ST1_ND, 0);     /* every sector is skipped */
        }
        return;
    }
    read_sectors(f);
}

static bool write_protected(Fdc *f)
{
    const Floppy *d = fdc_floppy(f, fdc_unit(f));

    if (d && d->block && block_readonly(d->block)) {
        fail(f, ST1_NW, 0);
        return true;
    }
    return false;
}

void fdc_write_data(Fdc *f)
{
    set_address(f);
    if (!write_protected(f) && begin(f)) {
        transfer_from_host(f);
    }
}

/* The host names each sector: cylinder, head, sector, size.  The track is erased whole. */
static void format_store(Fdc *f)
{
    const Floppy *d = fdc_floppy(f, fdc_unit(f));

    if (!find_track(f)) {
        return;
    }
    const FloppyFormat *m = d->format;
    uint8_t fill = f->fifo[FORMAT_FILL];
    for (uint32_t i = 0; i + 4 <= f->pos; i += 4) {
        const uint8_t *id = f->buf + i;
        if (id[0] != d->track || id[1] != f->head || id[2] == 0 || id[2] > m->track_sectors ||
            id[3] != SIZE_512) {
            fail(f, ST1_ND, 0);     /* no image can hold such a sector */
            return;
        }
    }
    f->sector = 1;
    f->len = m->track_sectors * FLOPPY_SECTOR;
    memset(f->buf, fill, f->len);
    uint64_t at = address_bytes(f, d), end = block_size(d->block);
    f->len = at < end ? MIN(f->len, end - at) : 0;
    submit(f, BLOCK_WRITE, MIN(at, end));
}

void fdc_format_track(Fdc *f)
{
    const Floppy *d = fdc_floppy(f, fdc_unit(f));

    f->cylinder = d ? d->track : 0;
    f->head = !!(f->fifo[1] & ST0_HEAD);
    f->sector = 1;
    f->st1 = f->st2 = 0;
    f->pos = 0;
    f->len = f->fifo[FORMAT_SECTORS] * 4;
    if (write_protected(f) || !find_track(f)) {
        return;
    }
    if (f->fifo[FORMAT_SIZE] != SIZE_512 || f->len == 0) {
        fail(f, ST1_ND, 0);
        return;
    }
    transfer_from_host(f);
}

void fdc_read_id(Fdc *f)
{
    Floppy *d = fdc_floppy(f, fdc_unit(f));

    f->cylinder = d ? d->track : 0;
    f->head = !!(f->fifo[1] & ST0_HEAD);
    f->sector = 1;
    f->st1 = f->st2 = 0;
    if (find_track(f)) {
        f->sector = d->next_id % d->format->track_sectors + 1;
        d->next_id = f->sector % d->format->track_sectors;
        end_transfer(f, 0, 0, 0);
    }
}
