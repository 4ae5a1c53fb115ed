/*
 * The floppy disk controller: registers, the phases of a command, resets.
 *
 * Intel 82077AA data sheet (290166-007), in PC/AT mode; sections 2 (registers), 6 (status), 8.1
 * (interrupts).  Seeks take a short fixed time a step of guest time, other commands
 * begin shortly after their last byte.
 *
 * Not modelled: status registers A and B (PS/2 modes), tape, step and head-load times as specified,
 * the SCAN commands, FM encoding, precompensation, power-down modes.
 */
#include "fdc-int.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

enum { REG_DOR = 2, REG_TDR, REG_MSR, REG_FIFO, REG_COUNT, PORT_DIR = 7 };
enum { DOR_RUN = 1 << 2, DOR_GATE = 1 << 3, DSR_RESET = 1 << 7, DIR_CHANGED = 1 << 7, RATE = 3 };
enum { MSR_CB = 1 << 4, MSR_NON_DMA = 1 << 5, MSR_DIO = 1 << 6, MSR_RQM = 1 << 7 };
enum { CONFIG_POLL_OFF = 1 << 4, CONFIG_DEFAULT = 1 << 5 };

static const int64_t RESET_NS = 5 * NS_PER_US;

void fdc_update_irq(Fdc *f)
{
    irq_set(&f->irq, f->interrupt && (f->dor & DOR_GATE));
}

void fdc_set_interrupt(Fdc *f, bool on)
{
    f->interrupt = on;
    fdc_update_irq(f);
}

void fdc_result(Fdc *f, unsigned len, bool interrupt)
{
    f->phase = FDC_RESULT;
    f->fifo_pos = 0;
    f->fifo_len = len;
    if (interrupt) {
        fdc_set_interrupt(f, true);
    }
}

void fdc_await_command(Fdc *f)
{
    f->phase = FDC_COMMAND;
    f->fifo_pos = f->fifo_len = 0;
}

/* ---- reset ---- */

/* What every reset stops. */
static void stop_all(Fdc *f)
{
    fdc_await_command(f);
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        timer_cancel(&f->seek_timer[unit]);
        f->seeking[unit] = f->recalibrating[unit] = false;
        f->sense[unit] = 0;
        f->present_cylinder[unit] = 0;
    }
    timer_cancel(&f->execute_timer);
    timer_cancel(&f->reset_timer);
    f->stale = f->in_flight;
    f->interrupt = false;
    f->perpendicular &= ~3;         /* section 5.2.8: the drive bits stay */
    if (!f->lock) {
        f->config = CONFIG_DEFAULT;
        f->precompensation_track = 0;
    }
}

/* Section 8.1: with polling on, all four drives are reported after a reset. */
static void reset_over(void *opaque)
{
    Fdc *f = opaque;

    if (f->config & CONFIG_POLL_OFF) {
        return;
    }
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        f->sense[unit] = ST0_READY_CHANGED | unit;
    }
    fdc_set_interrupt(f, true);
}

static void leave_reset(Fdc *f)
{
    timer_arm(&f->reset_timer, clock_now(f->dev.machine->clock) + RESET_NS);
}

static void write_dor(Fdc *f, uint8_t val)
{
    bool running = f->dor & DOR_RUN;

    f->dor = val;
    if (!(val & DOR_RUN)) {
        stop_all(f);
    } else if (!running) {
        leave_reset(f);
    }
    fdc_update_irq(f);
}

static void write_dsr(Fdc *f, uint8_t val)
{
    f->dsr = val & ~DSR_RESET;
    if ((val & DSR_RESET) && (f->dor & DOR_RUN)) {
        stop_all(f);
        fdc_update_irq(f);
        leave_reset(f);
    }
}

/* ---- registers ---- */

static uint8_t read_msr(const Fdc *f)
{
    static const uint8_t by_phase[FDC_PHASES] = {
        [FDC_COMMAND] = MSR_RQM, [FDC_EXECUTE] = MSR_CB,
        [FDC_TO_HOST] = MSR_RQM | MSR_DIO | MSR_NON_DMA | MSR_CB,
        [FDC_FROM_HOST] = MSR_RQM | MSR_NON_DMA | MSR_CB, [FDC_RESULT] = MSR_RQM | MSR_DIO | MSR_CB,
    };
    uint8_t msr = by_phase[f->phase % FDC_PHASES];

    if (!(f->dor & DOR_RUN) || timer_armed(&f->reset_timer)) {
        return 0;
    }
    if (f->phase == FDC_COMMAND && f->fifo_pos) {
        msr |= MSR_CB;
    }
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        msr |= f->seeking[unit] << unit;
    }
    return msr;
}

static uint8_t read_fifo(Fdc *f)
{
    if (f->phase == FDC_TO_HOST) {
        return fdc_data_read(f);
    }
    if (f->phase != FDC_RESULT) {
        return 0;
    }
    if (f->fifo_pos == 0 && f->interrupt) {
        fdc_set_interrupt(f, false);
    }
    uint8_t val = f->fifo[f->fifo_pos++ % FDC_FIFO];
    if (f->fifo_pos >= f->fifo_len) {
        fdc_await_command(f);
    }
    return val;
}

static void write_fifo(Fdc *f, uint8_t val)
{
    if (!(f->dor & DOR_RUN)) {
        return;
    }
    if (f->phase == FDC_COMMAND) {
        fdc_write_command(f, val);
    } else if (f->phase == FDC_FROM_HOST) {
        fdc_data_write(f, val);
    } else {
        log_guest(f->dev.id, "byte %02x written while a command is in progress", val);
    }
}

static uint64_t fdc_read(void *dev, hwaddr off, unsigned size)
{
    Fdc *f = dev;

    switch (off) {
    case REG_DOR:
        return f->dor;
    case REG_TDR:
        return f->tdr;
    case REG_MSR:
        return read_msr(f);
    case REG_FIFO:
        return read_fifo(f);
    default:
        return 0xff;                /* status registers A and B are not driven in AT mode */
    }
}

static void fdc_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Fdc *f = dev;

    switch (off) {
    case REG_DOR:
        write_dor(f, val);
        break;
    case REG_TDR:
        f->tdr = val & 3;
        break;
    case REG_MSR:
        write_dsr(f, val);
        break;
    case REG_FIFO:
        write_fifo(f, val);
        break;
    }
}

static const RegionOps fdc_ops = { .read = fdc_read, .write = fdc_write, .size_min = 1, .size_max = 1 };

static uint64_t dir_read(void *dev, hwaddr off, unsigned size)
{
    Fdc *f = dev;
    const Floppy *d = fdc_floppy(f, f->dor & 3);

    return d && (d->changed || !d->block) ? DIR_CHANGED : 0;
}

static void ccr_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Fdc *f = dev;

    f->dsr = (f->dsr & ~RATE) | (val & RATE);
}

static const RegionOps dir_ops = { .read = dir_read, .write = ccr_write, .size_min = 1, .size_max = 1 };

/* ---- life cycle ---- */

static void seek_0_done(void *opaque) { fdc_seek_done(opaque, 0); }
static void seek_1_done(void *opaque) { fdc_seek_done(opaque, 1); }
static void seek_2_done(void *opaque) { fdc_seek_done(opaque, 2); }
static void seek_3_done(void *opaque) { fdc_seek_done(opaque, 3); }

static void execute_due(void *opaque)
{
    fdc_execute(opaque);
}

static bool fdc_device_realize(Device *dev, GError **errp)
{
    static TimerFn *const seek_timers[FDC_UNITS] = { seek_0_done, seek_1_done, seek_2_done, seek_3_done };
    Fdc *f = (Fdc *)dev;
    Clock *clock = dev->machine->clock;

    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        timer_init(&f->seek_timer[unit], clock, seek_timers[unit], f);
    }
    timer_init(&f->execute_timer, clock, execute_due, f);
    timer_init(&f->reset_timer, clock, reset_over, f);
    if (f->dma_channel > 3) {
        error_set(errp, "%s: dma=%u is no channel for a floppy disk; 0 to 3 move bytes", dev->id,
                  f->dma_channel);
        return false;
    }
    for (unsigned n = 0; n < FLOPPY_DRIVES; n++) {
        if (!floppy_init(&f->floppy[n], dev, n, errp)) {
            return false;
        }
    }
    region_init_io(&f->io, "fdc", REG_COUNT, &fdc_ops, f);
    region_init_io(&f->io7, "fdc-dir", 1, &dir_ops, f);
    isa_map_io(dev, &f->io, f->port);
    isa_map_io(dev, &f->io7, f->port + PORT_DIR);
    isa_connect_irq(dev, &f->irq, f->irq_line);
    return true;
}

static void fdc_device_unrealize(Device *dev)
{
    Fdc *f = (Fdc *)dev;

    f->stale = true;                /* what comes back now is nobody's */
    f->phase = FDC_COMMAND;
    for (unsigned n = 0; n < FLOPPY_DRIVES; n++) {
        floppy_fini(&f->floppy[n], dev->machine);
    }
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        timer_cancel(&f->seek_timer[unit]);
    }
    timer_cancel(&f->execute_timer);
    timer_cancel(&f->reset_timer);
    irq_set(&f->irq, false);
    region_fini(&f->io);
    region_fini(&f->io7);
}

static void fdc_device_reset(Device *dev)
{
    Fdc *f = (Fdc *)dev;

    f->lock = false;
    f->dor = f->tdr = 0;
    f->dsr = 2;                     /* 250 kbit/s: data sheet section 2.1.6 */
    f->specify[0] = f->specify[1] = 0;
    f->eot = f->perpendicular = 0;
    f->pos = f->len = 0;
    f->st1 = f->st2 = 0;
    stop_all(f);
    for (unsigned n = 0; n < FLOPPY_DRIVES; n++) {
        f->floppy[n].changed = true;
        f->floppy[n].next_id = 0;
    }
}

static void fdc_device_settle(Device *dev)
{
    fdc_update_irq((Fdc *)dev);
}

static void fdc_device_info(Device *dev, GString *out)
{
    static const char *const phases[FDC_PHASES] = { "command", "busy", "data to host", "data from host",
                                                    "result" };
    const Fdc *f = (const Fdc *)dev;

    g_string_append_printf(out, "%s: %s, DOR %02x MSR %02x rate %u, last command %02x\n", dev->id,
                           phases[f->phase % FDC_PHASES], f->dor, read_msr(f), f->dsr & RATE, f->fifo[0]);
    for (unsigned n = 0; n < FLOPPY_DRIVES; n++) {
        const Floppy *d = &f->floppy[n];
        g_string_append_printf(out, "  %s: %s, motor %s, track %u%s\n", d->name,
                               d->block ? d->format->name : "empty", f->dor & 0x10 << n ? "on" : "off",
                               d->track, d->changed ? ", disk changed" : "");
    }
}

static void fdc_before_save(void *obj)
{
    Fdc *f = obj;

    for (unsigned n = 0; n < FLOPPY_DRIVES; n++) {
        if (f->floppy[n].block) {
            block_drain(f->floppy[n].block);
        }
    }
}

static bool fdc_after_load(void *obj, GError **errp)
{
    const Fdc *f = obj;
    bool ok = f->phase < FDC_PHASES && f->fifo_pos < FDC_FIFO && f->fifo_len <= FDC_FIFO &&
              f->len <= FDC_BUFFER && f->pos <= f->len;

    ok = ok && (f->phase != FDC_EXECUTE || timer_armed(&f->execute_timer));
    ok = ok && (f->phase != FDC_RESULT || f->fifo_pos < f->fifo_len);
    ok = ok && ((f->phase != FDC_TO_HOST && f->phase != FDC_FROM_HOST) || f->pos < f->len);
    for (unsigned unit = 0; unit < FDC_UNITS; unit++) {
        ok = ok && f->seeking[unit] == timer_armed(&f->seek_timer[unit]);
    }
    for (unsigned n = 0; n < FLOPPY_DRIVES; n++) {
        ok = ok && f->floppy[n].track < FDC_TRACK_MAX;
    }
    if (!ok) {
        error_set(errp, "%s: the saved state is none that a controller can be in", f->dev.id);
    }
    return ok;
}

static const StateField floppy_fields[] = {
    STATE_NOT(Floppy, block, "back end"),
    STATE_NOT(Floppy, format, "of the medium"),
    STATE_NOT(Floppy, drive, "back end"),
    STATE_NOT(Floppy, name, "wiring"),
    STATE_NOT(Floppy, owns_block, "back end"),
    STATE_U(Floppy, changed),
    STATE_U(Floppy, track),
    STATE_U(Floppy, next_id),
    STATE_DONE,
};
static const StateTable floppy_state = { .name = "floppy", .version = 1, .fields = floppy_fields };

static const StateField fdc_fields[] = {
    STATE_NOT(Fdc, dev, "device core"),
    STATE_NOT(Fdc, port, "option"),
    STATE_NOT(Fdc, irq_line, "option"),
    STATE_NOT(Fdc, dma_channel, "option"),
    STATE_NOT(Fdc, io, "mapping, made by realize"),
    STATE_NOT(Fdc, io7, "mapping, made by realize"),
    STATE_NOT(Fdc, irq, "driven by settle"),
    STATE_SUBS(Fdc, floppy, &floppy_state),
    STATE_U(Fdc, dor),
    STATE_U(Fdc, tdr),
    STATE_U(Fdc, dsr),
    STATE_BUF(Fdc, specify),
    STATE_U(Fdc, config),
    STATE_U(Fdc, precompensation_track),
    STATE_U(Fdc, perpendicular),
    STATE_U(Fdc, lock),
    STATE_U(Fdc, interrupt),
    STATE_U(Fdc, phase),
    STATE_BUF(Fdc, fifo),
    STATE_U(Fdc, fifo_pos),
    STATE_U(Fdc, fifo_len),
    STATE_BUF(Fdc, present_cylinder),
    STATE_BUF(Fdc, seek_to),
    STATE_ARRAY(Fdc, seeking),
    STATE_ARRAY(Fdc, recalibrating),
    STATE_BUF(Fdc, sense),
    STATE_TIM(Fdc, seek_timer[0]),
    STATE_TIM(Fdc, seek_timer[1]),
    STATE_TIM(Fdc, seek_timer[2]),
    STATE_TIM(Fdc, seek_timer[3]),
    STATE_TIM(Fdc, execute_timer),
    STATE_TIM(Fdc, reset_timer),
    STATE_U(Fdc, cylinder),
    STATE_U(Fdc, head),
    STATE_U(Fdc, sector),
    STATE_U(Fdc, eot),
    STATE_U(Fdc, st1),
    STATE_U(Fdc, st2),
    STATE_U(Fdc, pos),
    STATE_U(Fdc, len),
    STATE_BUF(Fdc, buf),
    STATE_NOT(Fdc, req, "drained before saving"),
    STATE_NOT(Fdc, in_flight, "drained before saving"),
    STATE_NOT(Fdc, stale, "drained before saving"),
    STATE_DONE,
};
static const StateTable fdc_state = {
    .name = "isa-fdc", .version = 1, .fields = fdc_fields,
    .before_save = fdc_before_save, .after_load = fdc_after_load,
};

static const Property fdc_props[] = {
    PROP_U(Fdc, port, "iobase", 0x3f0, 0xfff8, "first I/O port"),
    PROP_U(Fdc, irq_line, "irq", 6, 15, "interrupt line"),
    PROP_U(Fdc, dma_channel, "dma", 2, 3, "DMA channel"),
    PROP_BLK(Fdc, floppy[0].block, "driveA", "the -drive in drive A:"),
    PROP_BLK(Fdc, floppy[1].block, "driveB", "the -drive in drive B:"),
    PROP_DONE,
};

const DeviceClass isa_fdc_class = {
    .name = "isa-fdc",
    .summary = "82077AA floppy disk controller with two drives",
    .bus = "isa",
    .size = sizeof(Fdc),
    .board_only = true,
    .props = fdc_props,
    .state = &fdc_state,
    .realize = fdc_device_realize,
    .unrealize = fdc_device_unrealize,
    .reset = fdc_device_reset,
    .settle = fdc_device_settle,
    .info = fdc_device_info,
};
