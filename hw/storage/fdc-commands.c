/*
 * The floppy controller's seeks and small commands, and the table of all commands.
 *
 * Intel 82077AA data sheet, sections 5.2 (control commands) and 8.1 (what SENSE INTERRUPT STATUS says).
 */
#include "fdc-int.h"
#include "util/log.h"

enum { VERSION_82077 = 0x90 };

static const int64_t EXECUTE_NS = 20 * NS_PER_US, SEEK_NS = 250 * NS_PER_US, STEP_NS = 50 * NS_PER_US;

/* ---- seeks ---- */

void fdc_move_head(Fdc *f, unsigned unit, uint8_t cylinder)
{
    Floppy *d = fdc_floppy(f, unit);

    f->present_cylinder[unit] = cylinder;
    if (d) {
        uint8_t track = MIN(cylinder, FDC_TRACK_MAX - 1);
        if (track != d->track && d->block) {
            d->changed = false;         /* a step pulse with a medium in resets the line */
        }
        d->track = track;
    }
}

void fdc_seek_done(Fdc *f, unsigned unit)
{
    bool no_track_0 = f->recalibrating[unit] && !fdc_floppy(f, unit);

    f->seeking[unit] = false;
    fdc_move_head(f, unit, f->seek_to[unit]);
    f->sense[unit] = ST0_SE | unit | (no_track_0 ? ST0_ABNORMAL | ST0_EC : 0);
    fdc_set_interrupt(f, true);
}

static void start_seek(Fdc *f, uint8_t to, bool recalibrate)
{
    unsigned unit = fdc_unit(f), from = f->present_cylinder[unit];
    const Floppy *d = fdc_floppy(f, unit);

    if (recalibrate && d) {
        from = d->track;
    }
    f->seek_to[unit] = to;
    f->seeking[unit] = true;
    f->recalibrating[unit] = recalibrate;
    timer_arm(&f->seek_timer[unit],
              clock_now(f->dev.machine->clock) + SEEK_NS + STEP_NS * ABS((int)from - to));
    fdc_await_command(f);
}

static void cmd_seek(Fdc *f)
{
    start_seek(f, f->fifo[2], false);
}

static void cmd_relative_seek(Fdc *f)
{
    int now = f->present_cylinder[fdc_unit(f)], steps = f->fifo[2];

    start_seek(f, CLAMP(f->fifo[0] & 0x40 ? now + steps : now - steps, 0, 255), false);
}

static void cmd_recalibrate(Fdc *f)
{
    start_seek(f, 0, true);
}

/* ---- the small commands ---- */

static void cmd_specify(Fdc *f)
{
    f->specify[0] = f->fifo[1];
    f->specify[1] = f->fifo[2];
    fdc_await_command(f);
}

static void cmd_sense_drive(Fdc *f)
{
    unsigned unit = fdc_unit(f);
    const Floppy *d = fdc_floppy(f, unit);
    uint8_t st3 = ST3_READY | ST3_TWO_SIDED | (f->fifo[1] & ST3_HEAD) | unit;

    if (d && d->track == 0) {
        st3 |= ST3_TRACK_0;
    }
    if (d && d->block && block_readonly(d->block)) {
        st3 |= ST3_WP;
    }
    f->fifo[0] = st3;
    fdc_result(f, 1, false);
}

static void cmd_sense_interrupt(Fdc *f)
{
    bool more = false;
    unsigned unit = 0;

    while (unit < FDC_UNITS && !f->sense[unit]) {
        unit++;
    }
    fdc_set_interrupt(f, false);
    if (unit == FDC_UNITS) {
        f->fifo[0] = ST0_INVALID;
        fdc_result(f, 1, false);
        return;
    }
    f->fifo[0] = f->sense[unit];
    f->fifo[1] = f->present_cylinder[unit];
    f->sense[unit] = 0;
    fdc_result(f, 2, false);
    for (unit = 0; unit < FDC_UNITS; unit++) {
        more |= f->sense[unit] & ST0_SE;    /* another seek is done; a reset's four need no new edge */
    }
    if (more) {
        fdc_set_interrupt(f, true);
    }
}

static void cmd_dumpreg(Fdc *f)
{
    uint8_t result[10] = {
        f->present_cylinder[0], f->present_cylinder[1], f->present_cylinder[2], f->present_cylinder[3],
        f->specify[0], f->specify[1], f->eot, (f->lock ? 0x80 : 0) | (f->perpendicular & 0x3f),
        f->config, f->precompensation_track,
    };

    memcpy(f->fifo, result, sizeof(result));
    fdc_result(f, sizeof(result), false);
}

static void cmd_version(Fdc *f)
{
    f->fifo[0] = VERSION_82077;
    fdc_result(f, 1, false);
}

static void cmd_perpendicular(Fdc *f)
{
    /* Section 5.2.8: the drive bits are only written with OW set. */
    f->perpendicular = f->fifo[1] & 0x80 ? f->fifo[1] & 0x3f : (f->perpendicular & 0x3c) | (f->fifo[1] & 3);
    fdc_await_command(f);
}

static void cmd_configure(Fdc *f)
{
    f->config = f->fifo[2] & 0x7f;
    f->precompensation_track = f->fifo[3];
    fdc_await_command(f);
}

static void cmd_lock(Fdc *f)
{
    f->lock = f->fifo[0] & 0x80;
    f->fifo[0] = f->lock ? 0x10 : 0;
    fdc_result(f, 1, false);
}

/* ---- the table ---- */

typedef struct FdcCommand {
    uint8_t op, mask, len;          /* mask: without the flag bits; len with the first byte */
    bool executes;                  /* begins a moment later */
    void (*run)(Fdc *f);
} FdcCommand;

static const FdcCommand commands[] = {
    { 0x02, 0x9f, 9, true, fdc_read_track },
    { 0x03, 0xff, 3, false, cmd_specify },
    { 0x04, 0xff, 2, false, cmd_sense_drive },
    { 0x05, 0x3f, 9, true, fdc_write_data },
    { 0x06, 0x1f, 9, true, fdc_read_data },
    { 0x07, 0xff, 2, false, cmd_recalibrate },
    { 0x08, 0xff, 1, false, cmd_sense_interrupt },
    { 0x09, 0x3f, 9, true, fdc_write_data },
    { 0x0a, 0xbf, 2, true, fdc_read_id },
    { 0x0c, 0x1f, 9, true, fdc_read_deleted },
    { 0x0d, 0xbf, 6, true, fdc_format_track },
    { 0x0e, 0xff, 1, false, cmd_dumpreg },
    { 0x0f, 0xff, 3, false, cmd_seek },
    { 0x10, 0xff, 1, false, cmd_version },
    { 0x12, 0xff, 2, false, cmd_perpendicular },
    { 0x13, 0xff, 4, false, cmd_configure },
    { 0x14, 0x7f, 1, false, cmd_lock },
    { 0x16, 0x1f, 9, true, fdc_verify },
    { 0x8f, 0xbf, 3, false, cmd_relative_seek },
};

/* NULL: an invalid code, PART ID among them (an 82077AA has none). */
static const FdcCommand *find_command(uint8_t first)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if ((first & commands[i].mask) == commands[i].op) {
            return &commands[i];
        }
    }
    return NULL;
}

void fdc_execute(Fdc *f)
{
    const FdcCommand *c = find_command(f->fifo[0]);

    if (!f->in_flight && c) {       /* else request_done() comes back here */
        c->run(f);
    }
}

void fdc_write_command(Fdc *f, uint8_t val)
{
    const FdcCommand *c = find_command(f->fifo_pos ? f->fifo[0] : val);

    if (!c) {
        log_guest(f->dev.id, "invalid command %02x", val);
        f->fifo[0] = ST0_INVALID;
        fdc_result(f, 1, false);
        return;
    }
    f->fifo[f->fifo_pos++ % FDC_FIFO] = val;
    if (f->fifo_pos < c->len) {
        return;
    }
    if (c->executes) {
        f->phase = FDC_EXECUTE;
        timer_arm(&f->execute_timer, clock_now(f->dev.machine->clock) + EXECUTE_NS);
    } else {
        c->run(f);
    }
}
