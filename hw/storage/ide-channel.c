/*
 * An IDE channel: what the two drives on a cable have in common.
 *
 * ATA/ATAPI-8 ACS sections 6 and 9 (registers, resets), ATA/ATAPI-7 volume 2 (the host's view of the
 * cable: who answers for an absent drive, INTRQ, the data register).  Both drives see every register
 * write; only the selected one answers, and drives INTRQ unless nIEN is set.
 *
 * Not modelled: PIO and DMA timing, overlapped commands, the time a reset takes.
 */
#include "ide-int.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum { REG_DATA, REG_ERROR, REG_COUNT, REG_LBA_LOW, REG_LBA_MID, REG_LBA_HIGH, REG_DEVICE, REG_STATUS };
enum { CMD_DEVICE_RESET = 0x08, CMD_DIAGNOSTIC = 0x90 };
/* An empty cable: the host pulls DD7 down, so that nobody waits for BSY to end. */
enum { FLOATING = 0x7f };

static IdeDrive *selected(const IdeChannel *c)
{
    return c->drives[!!(c->device & DEVICE_DEV)];
}

/* ---- interrupt ---- */

void ide_update_irq(IdeChannel *c)
{
    const IdeDrive *d = selected(c);
    bool level = d && d->intrq && !(c->control & CONTROL_NIEN);

    if (level && !c->irq.level) {
        c->dma_ops->interrupt(c->dma);
    }
    irq_set(&c->irq, level);
}

void ide_raise(IdeDrive *d)
{
    d->intrq = true;
    ide_update_irq(d->channel);
}

/* ---- how commands go on and end ---- */

void ide_finish(IdeDrive *d, bool interrupt)
{
    d->phase = IDE_IDLE;
    d->status = STATUS_READY;
    if (interrupt) {
        ide_raise(d);
    }
}

void ide_fail(IdeDrive *d, uint8_t error)
{
    d->phase = IDE_IDLE;
    d->status = STATUS_READY | STATUS_ERR;
    d->error = error;
    ide_raise(d);
}

void ide_offer(IdeDrive *d, IdePhase phase, uint32_t end, bool interrupt)
{
    d->phase = phase;
    d->end = end;
    d->status = STATUS_READY | STATUS_DRQ;
    if (interrupt) {
        ide_raise(d);
    }
}

void ide_wait_dma(IdeDrive *d)
{
    d->phase = IDE_DMA;
    d->status = STATUS_READY | STATUS_DRQ;
    if (d->channel->dma_ops->active(d->channel->dma)) {
        d->kind->dma(d);
    }
}

void ide_channel_dma_started(IdeChannel *c)
{
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        IdeDrive *d = c->drives[unit];
        if (d && d->phase == IDE_DMA) {
            d->kind->dma(d);
            return;
        }
    }
}

static void request_done(BlockReq *r, int err)
{
    IdeDrive *d = r->opaque;

    d->in_flight = false;
    if (d->stale) {
        d->stale = false;
        d->phase = IDE_IDLE;
        d->status = d->kind->reset_status;
        return;
    }
    d->kind->media_done(d, err);
}

void ide_submit(IdeDrive *d, BlockOp op, uint64_t offset, void *buf, uint64_t len)
{
    d->phase = IDE_MEDIA;
    d->status = STATUS_BSY;
    d->in_flight = true;
    d->req = (BlockReq){
        .op = op, .offset = offset, .len = len, .buf = buf, .done = request_done, .opaque = d,
    };
    block_submit(d->block, &d->req);
}

/* ---- resets ---- */

void ide_set_signature(IdeDrive *d)
{
    d->regs.count[0] = 1;
    d->regs.lba_low[0] = 1;
    d->regs.lba_mid[0] = d->kind->signature[0];
    d->regs.lba_high[0] = d->kind->signature[1];
    d->channel->device &= DEVICE_DEV;
}

void ide_reset_drive(IdeDrive *d, bool power_on)
{
    memset(&d->regs, 0, sizeof(d->regs));
    ide_set_signature(d);
    d->error = ERROR_DIAG_PASSED;
    d->status = d->kind->reset_status;
    d->phase = IDE_IDLE;
    d->intrq = false;
    d->pos = d->end = d->fill = 0;
    d->kind->reset(d, power_on);
    if (d->in_flight) {
        d->stale = true;
        d->phase = IDE_MEDIA;
        d->status = STATUS_BSY;
    }
}

static void reset_drives(IdeChannel *c, bool power_on)
{
    c->device = 0;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        if (c->drives[unit]) {
            ide_reset_drive(c->drives[unit], power_on);
        }
    }
}

void ide_channel_reset(IdeChannel *c)
{
    c->control = 0;
    c->diagnosing = false;
    c->device = 0;
}

/* ---- commands ---- */

/* Both drives run it, drive 0 reports: ATA8-ACS 7.9. */
static void diagnose(IdeChannel *c)
{
    reset_drives(c, false);
    if (c->drives[0]) {
        ide_raise(c->drives[0]);
    }
}

static void write_command(IdeChannel *c, uint8_t cmd)
{
    IdeDrive *d = selected(c);

    if (cmd == CMD_DIAGNOSTIC) {
        diagnose(c);
        ide_update_irq(c);
        return;
    }
    if (!d) {
        return;
    }
    if (cmd == CMD_DEVICE_RESET && d->kind == &atapi_kind) {
        ide_reset_drive(d, false);
        ide_update_irq(c);
        return;
    }
    if (d->in_flight) {
        log_guest(d->dev.id, "command %02x while busy", cmd);
        return;
    }
    d->intrq = false;
    ide_update_irq(c);
    d->command = cmd;
    d->error = 0;
    d->status = STATUS_READY;
    d->phase = IDE_IDLE;
    d->pos = d->end = d->fill = 0;
    d->kind->command(d, cmd);
}

/* ---- the data port ---- */

static uint32_t read_data(IdeChannel *c, unsigned size)
{
    IdeDrive *d = selected(c);
    uint32_t val = 0;

    if (!d || d->phase != IDE_TO_HOST) {
        return mask64(8 * size);
    }
    memcpy(&val, d->buf + d->pos, MIN(size, d->end - d->pos));
    d->pos += MIN(size, d->end - d->pos);
    if (d->pos == d->end) {
        d->kind->data_done(d);
    }
    return val;
}

static void write_data(IdeChannel *c, uint32_t val, unsigned size)
{
    IdeDrive *d = selected(c);

    if (!d || (d->phase != IDE_FROM_HOST && d->phase != IDE_PACKET)) {
        return;
    }
    memcpy(d->buf + d->pos, &val, MIN(size, d->end - d->pos));
    d->pos += MIN(size, d->end - d->pos);
    if (d->pos == d->end) {
        d->kind->data_done(d);
    }
}

/* ---- registers ---- */

static uint8_t read_status(const IdeChannel *c)
{
    const IdeDrive *d = selected(c);

    if (!c->drives[0] && !c->drives[1]) {
        return FLOATING;
    }
    if (c->diagnosing) {
        return STATUS_BSY;
    }
    return d ? d->status : 0;       /* the other drive answers for an absent one */
}

static uint8_t read_register(IdeChannel *c, unsigned reg)
{
    IdeDrive *d = selected(c) ? selected(c) : c->drives[0] ? c->drives[0] : c->drives[1];
    unsigned hob = !!(c->control & CONTROL_HOB);

    if (!d) {
        return FLOATING;
    }
    switch (reg) {
    case REG_ERROR:
        return d->error;
    case REG_COUNT:
        return d->regs.count[hob];
    case REG_LBA_LOW:
        return d->regs.lba_low[hob];
    case REG_LBA_MID:
        return d->regs.lba_mid[hob];
    case REG_LBA_HIGH:
        return d->regs.lba_high[hob];
    case REG_DEVICE:
        return c->device | DEVICE_OBSOLETE;
    default:
        d = selected(c);
        if (d) {
            d->intrq = false;
            ide_update_irq(c);
        }
        return read_status(c);
    }
}

static void push(uint8_t reg[2], uint8_t val)
{
    reg[1] = reg[0];
    reg[0] = val;
}

static void write_register(IdeChannel *c, unsigned reg, uint8_t val)
{
    c->control &= ~CONTROL_HOB;
    if (c->diagnosing) {
        return;                     /* BSY: they hold what the reset put there (ATA/ATAPI-7 volume 2, 9.2) */
    }
    if (reg == REG_STATUS) {
        write_command(c, val);
        return;
    }
    if (reg == REG_DEVICE) {
        c->device = val;
        ide_update_irq(c);
        return;
    }
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        IdeDrive *d = c->drives[unit];
        if (!d || d->in_flight) {
            continue;               /* registers are the drive's while it is busy */
        }
        switch (reg) {
        case REG_ERROR:
            push(d->regs.feature, val);
            break;
        case REG_COUNT:
            push(d->regs.count, val);
            break;
        case REG_LBA_LOW:
            push(d->regs.lba_low, val);
            break;
        case REG_LBA_MID:
            push(d->regs.lba_mid, val);
            break;
        case REG_LBA_HIGH:
            push(d->regs.lba_high, val);
            break;
        }
    }
}

static uint64_t command_read(void *dev, hwaddr off, unsigned size)
{
    IdeChannel *c = dev;
    uint64_t val = 0;

    if (off == REG_DATA) {
        return read_data(c, size);
    }
    for (unsigned i = 0; i < size && off + i <= REG_STATUS; i++) {
        val |= (uint64_t)read_register(c, off + i) << (8 * i);
    }
    return val;
}

static void command_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    IdeChannel *c = dev;

    if (off == REG_DATA) {
        write_data(c, val, size);
        return;
    }
    for (unsigned i = 0; i < size && off + i <= REG_STATUS; i++) {
        write_register(c, off + i, val >> (8 * i));
    }
}

static const RegionOps command_ops = {
    .read = command_read, .write = command_write, .size_min = 1, .size_max = 4,
};

static uint64_t control_read(void *dev, hwaddr off, unsigned size)
{
    return read_status(dev);        /* the alternate status: INTRQ stays */
}

static void control_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    IdeChannel *c = dev;

    c->control = val;
    if (val & CONTROL_SRST) {
        if (!c->diagnosing) {
            reset_drives(c, false);
        }
        c->diagnosing = true;
    } else {
        c->diagnosing = false;
    }
    ide_update_irq(c);
}

static const RegionOps control_ops = {
    .read = control_read, .write = control_write, .size_min = 1, .size_max = 1,
};

/* ---- the bus ---- */

static bool ide_plug(Bus *b, Device *dev, GError **errp)
{
    IdeChannel *c = (IdeChannel *)b;
    IdeDrive *d = (IdeDrive *)dev;

    if (d->unit == IDE_UNIT_AUTO) {
        d->unit = c->drives[0] ? 1 : 0;
    }
    if (c->drives[d->unit]) {
        error_set(errp, "%s: unit %u of %s is taken by '%s'; %s", d->dev.id, d->unit, b->id,
                  c->drives[d->unit]->dev.id,
                  c->drives[!d->unit] ? "the other bus may have room (bus=ide.0 or ide.1)"
                                      : "the other unit is free");
        return false;
    }
    d->channel = c;
    c->drives[d->unit] = d;
    return true;
}

static void ide_unplug(Bus *b, Device *dev)
{
    IdeChannel *c = (IdeChannel *)b;
    IdeDrive *d = (IdeDrive *)dev;

    c->drives[d->unit] = NULL;
    ide_update_irq(c);
}

static void ide_describe(Bus *b, Device *dev, GString *out)
{
    g_string_append_printf(out, "unit %u", ((IdeDrive *)dev)->unit);
}

const BusClass ide_bus_class = {
    .name = "ide",
    .plug = ide_plug,
    .unplug = ide_unplug,
    .describe = ide_describe,
};

void ide_channel_init(IdeChannel *c, Device *controller, unsigned number, const IdeDmaOps *ops, void *dma)
{
    g_autofree char *id = g_strdup_printf("ide.%u", number);

    bus_init(&c->bus, &ide_bus_class, controller, id);
    c->number = number;
    c->dma_ops = ops;
    c->dma = dma;
    region_init_io(&c->command_io, number ? "ide1" : "ide0", 8, &command_ops, c);
    region_init_io(&c->control_io, number ? "ide1-control" : "ide0-control", 1, &control_ops, c);
}

void ide_channel_fini(IdeChannel *c)
{
    bus_fini(&c->bus);
    region_fini(&c->command_io);
    region_fini(&c->control_io);
}
