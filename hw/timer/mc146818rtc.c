/*
 * MC146818A real-time clock with 128 bytes of CMOS memory, ports 0x70 and 0x71, IRQ 8.
 *
 * Motorola MC146818A data sheet; PC/AT use of the memory and of bit 7 of port 0x70 (NMI mask).
 * The clock is the option "base" plus guest time: it does not tick while it is not asked, but for one
 * update a second (alarm, update-ended) and the periodic interrupt while the guest has enabled it.
 *
 * Not modelled: daylight saving (DSE), square wave, a day of the week of its own (it follows the
 * date), the low-power divider settings (any setting but reset runs).
 */
#include <string.h>
#include <time.h>

#include "core/machine.h"
#include "hw/isa.h"
#include "hw/rtc.h"
#include "util/error.h"

enum {
    REG_SECONDS, REG_SECONDS_ALARM, REG_MINUTES, REG_MINUTES_ALARM, REG_HOURS, REG_HOURS_ALARM,
    REG_DAY_OF_WEEK, REG_DAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D,
    REG_CENTURY = 0x32,
    CMOS_SIZE = 128,
};
enum {
    A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_RESET = 0x60, A_RATE = 0x0f,
    B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08, B_BINARY = 0x04, B_24H = 0x02,
    C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
    D_VALID = 0x80,
    HOUR_PM = 0x80, ALARM_ANY = 0xc0,
    CRYSTAL_HZ = 32768,
    UPDATE_NS = (244 + 1984) * 1000,    /* UIP rises t_BUC before the cycle, which lasts t_UC */
};
static const int64_t MIN_SECONDS = -62135596800ll, MAX_SECONDS = 253402300799ll;    /* years 1 to 9999 */

typedef struct Rtc {
    Device dev;
    uint64_t base;              /* option: seconds since 1970 at guest time 0 */
    Region io;
    uint8_t index;              /* port 0x70; bit 7 masks NMI */
    uint8_t cmos[CMOS_SIZE];
    int64_t second0;            /* the clock at the phase: it shows second0 + (now - phase) / 1 s */
    int64_t phase;              /* ns, 0..1 s: where in guest seconds the clock's seconds begin */
    int64_t period_seen;        /* crystal cycles at which the periodic flag was last looked at */
    IrqWire irq;
    Timer update, periodic;
} Rtc;

static int64_t now_ns(const Rtc *s)
{
    return clock_now(s->dev.machine->clock);
}

/* ---- the clock ---- */

static bool running(const Rtc *s)
{
    return !(s->cmos[REG_B] & B_SET) && (s->cmos[REG_A] & A_DIVIDER_RESET) != A_DIVIDER_RESET;
}

static int64_t whole_seconds(const Rtc *s)
{
    int64_t ns = now_ns(s) - s->phase;

    return ns < 0 ? -1 : ns / NS_PER_S;
}

static int64_t next_second_ns(const Rtc *s)
{
    return s->phase + (whole_seconds(s) + 1) * NS_PER_S;
}

static uint8_t encode(const Rtc *s, int v)
{
    return (uint8_t)(s->cmos[REG_B] & B_BINARY ? v : (v / 10 % 10) << 4 | v % 10);
}

static int decode(const Rtc *s, uint8_t v)
{
    return s->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const Rtc *s, int hour)
{
    if (s->cmos[REG_B] & B_24H) {
        return encode(s, hour);
    }
    return encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const Rtc *s, uint8_t v)
{
    if (s->cmos[REG_B] & B_24H) {
        return decode(s, v);
    }
    return decode(s, v & 0x7f) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* Bring the ten time registers to now; while SET holds them, they are what was written. */
static void registers_from_clock(Rtc *s)
{
    time_t t;
    struct tm tm;

    if (!running(s)) {
        return;
    }
    t = CLAMP(s->second0 + whole_seconds(s), MIN_SECONDS, MAX_SECONDS);
    gmtime_r(&t, &tm);
    s->cmos[REG_SECONDS] = encode(s, tm.tm_sec);
    s->cmos[REG_MINUTES] = encode(s, tm.tm_min);
    s->cmos[REG_HOURS] = encode_hour(s, tm.tm_hour);
    s->cmos[REG_DAY_OF_WEEK] = encode(s, tm.tm_wday + 1);
    s->cmos[REG_DAY] = encode(s, tm.tm_mday);
    s->cmos[REG_MONTH] = encode(s, tm.tm_mon + 1);
    s->cmos[REG_YEAR] = encode(s, (tm.tm_year + 1900) % 100);
    s->cmos[REG_CENTURY] = encode(s, (tm.tm_year + 1900) / 100);
}

/* Let the clock go on from what the registers say. */
static void clock_from_registers(Rtc *s)
{
    struct tm tm = {
        .tm_sec = decode(s, s->cmos[REG_SECONDS]), .tm_min = decode(s, s->cmos[REG_MINUTES]),
        .tm_hour = decode_hour(s, s->cmos[REG_HOURS]), .tm_mday = decode(s, s->cmos[REG_DAY]),
        .tm_mon = decode(s, s->cmos[REG_MONTH]) - 1,
        .tm_year = decode(s, s->cmos[REG_YEAR]) + decode(s, s->cmos[REG_CENTURY]) * 100 - 1900,
    };
    int64_t t = timegm(&tm);

    s->second0 = CLAMP(t, MIN_SECONDS, MAX_SECONDS) - whole_seconds(s);
}

/* ---- interrupts ---- */

static void rtc_update_irq(Rtc *s)
{
    bool on = s->cmos[REG_B] & s->cmos[REG_C] & (C_PF | C_AF | C_UF);

    s->cmos[REG_C] = (s->cmos[REG_C] & (uint8_t)~C_IRQF) | (on ? C_IRQF : 0);
    irq_set(&s->irq, on);
}

/* Crystal cycles between two periodic events; 0: none (data sheet, table 3). */
static int64_t period_cycles(const Rtc *s)
{
    unsigned rate = s->cmos[REG_A] & A_RATE;

    if (rate == 0 || (s->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET) {
        return 0;
    }
    return 1ll << ((rate <= 2 ? rate + 7 : rate) - 1);
}

static int64_t cycles_now(const Rtc *s)
{
    return (int64_t)muldiv64((uint64_t)now_ns(s), CRYSTAL_HZ, NS_PER_S);
}

/* Set PF when a period has ended since it was last looked at. */
static void check_period(Rtc *s)
{
    int64_t period = period_cycles(s), cycles = cycles_now(s);

    if (period && cycles / period != s->period_seen / period) {
        s->cmos[REG_C] |= C_PF;
    }
    s->period_seen = cycles;
}

/* One event is enough: the flag stays until register C is read. */
static void arm_periodic(Rtc *s)
{
    int64_t period = period_cycles(s);

    if (!period || !(s->cmos[REG_B] & B_PIE) || (s->cmos[REG_C] & C_PF)) {
        timer_cancel(&s->periodic);
    } else {
        uint64_t next = (uint64_t)((s->period_seen / period + 1) * period);
        uint64_t ns = muldiv64(next, NS_PER_S, CRYSTAL_HZ);

        timer_arm(&s->periodic, (int64_t)(muldiv64(ns, CRYSTAL_HZ, NS_PER_S) < next ? ns + 1 : ns));
    }
}

static void periodic_due(void *opaque)
{
    Rtc *s = opaque;

    check_period(s);
    rtc_update_irq(s);
    arm_periodic(s);
}

static bool alarm_matches(const Rtc *s, unsigned alarm, unsigned reg)
{
    return (s->cmos[alarm] & ALARM_ANY) == ALARM_ANY || s->cmos[alarm] == s->cmos[reg];
}

static void arm_update(Rtc *s)
{
    if (running(s)) {
        timer_arm(&s->update, next_second_ns(s));
    } else {
        timer_cancel(&s->update);
    }
}

static void update_due(void *opaque)
{
    Rtc *s = opaque;

    registers_from_clock(s);
    s->cmos[REG_C] |= C_UF;
    if (alarm_matches(s, REG_SECONDS_ALARM, REG_SECONDS) && alarm_matches(s, REG_MINUTES_ALARM, REG_MINUTES) &&
        alarm_matches(s, REG_HOURS_ALARM, REG_HOURS)) {
        s->cmos[REG_C] |= C_AF;
    }
    rtc_update_irq(s);
    arm_update(s);
}

/* What is due has happened, even when the loop has not come to it yet. */
static void catch_up(Rtc *s)
{
    if (timer_armed(&s->update) && s->update.deadline <= now_ns(s)) {
        timer_cancel(&s->update);
        update_due(s);
    }
    check_period(s);
}

/* ---- registers ---- */

static bool is_time(unsigned reg)
{
    return (reg <= REG_YEAR && reg != REG_SECONDS_ALARM && reg != REG_MINUTES_ALARM && reg != REG_HOURS_ALARM) ||
           reg == REG_CENTURY;
}

static bool update_in_progress(const Rtc *s)
{
    return running(s) && next_second_ns(s) - now_ns(s) <= UPDATE_NS;
}

static uint8_t read_register(Rtc *s, unsigned reg)
{
    uint8_t v;

    catch_up(s);
    registers_from_clock(s);
    v = s->cmos[reg];
    if (reg == REG_A && update_in_progress(s)) {
        v |= A_UIP;
    } else if (reg == REG_C) {
        rtc_update_irq(s);
        v = s->cmos[REG_C];
        s->cmos[REG_C] = 0;
        rtc_update_irq(s);
        arm_periodic(s);
    }
    return v;
}

/* Registers A and B start, stop and reset the clock, and turn interrupts on. */
static void write_control(Rtc *s, unsigned reg, uint8_t val)
{
    bool was_running = running(s), was_reset = (s->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;

    registers_from_clock(s);
    if (reg == REG_A) {
        s->cmos[REG_A] = val & (uint8_t)~A_UIP;
        if (was_reset && (val & A_DIVIDER_RESET) != A_DIVIDER_RESET) {
            /* The first update comes half a second after the divider is let go. */
            s->phase = (now_ns(s) + NS_PER_S / 2) % NS_PER_S;
        }
    } else {
        s->cmos[REG_B] = val & B_SET ? val & (uint8_t)~B_UIE : val;     /* SET clears UIE */
    }
    if (running(s) && !was_running) {
        clock_from_registers(s);
    }
    arm_update(s);
    rtc_update_irq(s);
    arm_periodic(s);
}

static void write_register(Rtc *s, unsigned reg, uint8_t val)
{
    catch_up(s);
    switch (reg) {
    case REG_A:
    case REG_B:
        write_control(s, reg, val);
        break;
    case REG_C:
    case REG_D:
        break;                                  /* read-only */
    default:
        registers_from_clock(s);
        s->cmos[reg] = val;
        if (is_time(reg) && running(s)) {
            clock_from_registers(s);
        }
        break;
    }
}

static uint64_t rtc_read(void *dev, hwaddr off, unsigned size)
{
    Rtc *s = dev;

    return off == 0 ? 0xff : read_register(s, s->index % CMOS_SIZE);    /* port 0x70 is write-only */
}

static void rtc_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Rtc *s = dev;

    if (off == 0) {
        s->index = (uint8_t)val;
    } else {
        write_register(s, s->index % CMOS_SIZE, (uint8_t)val);
    }
}

static const RegionOps rtc_io = { .read = rtc_read, .write = rtc_write, .size_min = 1, .size_max = 1 };

void rtc_set_cmos(Device *rtc, uint8_t reg, uint8_t val)
{
    Rtc *s = (Rtc *)rtc;

    g_return_if_fail(reg > REG_D && reg < CMOS_SIZE && reg != REG_CENTURY);
    s->cmos[reg] = val;
}

/* ---- life cycle ---- */

static bool rtc_realize(Device *d, GError **errp)
{
    Rtc *s = (Rtc *)d;

    timer_init(&s->update, d->machine->clock, update_due, s);
    timer_init(&s->periodic, d->machine->clock, periodic_due, s);
    region_init_io(&s->io, "rtc", 2, &rtc_io, s);
    isa_map_io(d, &s->io, 0x70);
    isa_connect_irq(d, &s->irq, 8);
    s->second0 = (int64_t)s->base;
    s->cmos[REG_A] = 0x26;                      /* 32.768 kHz, 1024 Hz: as PC firmware leaves it */
    s->cmos[REG_B] = B_24H;
    s->cmos[REG_D] = D_VALID;
    registers_from_clock(s);
    return true;
}

static void rtc_unrealize(Device *d)
{
    Rtc *s = (Rtc *)d;

    if (d->realized) {
        timer_cancel(&s->update);
        timer_cancel(&s->periodic);
        irq_set(&s->irq, false);
    }
    region_fini(&s->io);
}

/* The RESET pin clears interrupts only: time and memory are on a battery. */
static void rtc_reset(Device *d)
{
    Rtc *s = (Rtc *)d;

    s->index = 0;
    s->cmos[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->cmos[REG_C] = 0;
    s->period_seen = cycles_now(s);
}

static void rtc_settle(Device *d)
{
    Rtc *s = (Rtc *)d;

    rtc_update_irq(s);
    arm_update(s);
    arm_periodic(s);
}

static void rtc_info(Device *d, GString *out)
{
    Rtc *s = (Rtc *)d;
    g_autoptr(GDateTime) t = NULL;

    registers_from_clock(s);
    t = g_date_time_new_from_unix_utc(s->second0 + whole_seconds(s));
    g_autofree char *text = t ? g_date_time_format(t, "%F %T") : g_strdup("out of range");
    g_string_append_printf(out, "rtc: %s%s a=%02x b=%02x c=%02x index=%02x%s\n", text,
                           running(s) ? "" : " (held)", s->cmos[REG_A], s->cmos[REG_B], s->cmos[REG_C],
                           s->index & 0x7f, s->index & 0x80 ? " NMI masked" : "");
}

static bool rtc_after_load(void *obj, GError **errp)
{
    const Rtc *s = obj;

    if (s->phase < 0 || s->phase >= NS_PER_S || s->second0 < 2 * MIN_SECONDS || s->second0 > 2 * MAX_SECONDS ||
        s->period_seen < 0) {
        error_set(errp, "mc146818rtc: no such state: phase %" G_GINT64_FORMAT " ns, second %" G_GINT64_FORMAT,
                  s->phase, s->second0);
        return false;
    }
    return true;
}

static const Property rtc_props[] = {
    PROP_U(Rtc, base, "base", 946684800, 253402300799, "seconds since 1970 that the clock shows at start"),
    PROP_DONE,
};

static const StateField rtc_fields[] = {
    STATE_NOT(Rtc, dev, "device core"),
    STATE_NOT(Rtc, base, "option"),
    STATE_NOT(Rtc, io, "mapping, made by realize"),
    STATE_U(Rtc, index), STATE_BUF(Rtc, cmos),
    STATE_U(Rtc, second0), STATE_U(Rtc, phase), STATE_U(Rtc, period_seen),
    STATE_NOT(Rtc, irq, "wire, driven by settle"),
    STATE_NOT(Rtc, update, "armed by settle from the clock"),
    STATE_NOT(Rtc, periodic, "armed by settle from the clock"),
    STATE_DONE,
};
static const StateTable rtc_state = {
    .name = "mc146818rtc", .version = 1, .fields = rtc_fields, .after_load = rtc_after_load,
};

const DeviceClass mc146818rtc_class = {
    .name = "mc146818rtc",
    .summary = "MC146818 real-time clock and CMOS memory",
    .bus = "isa",
    .size = sizeof(Rtc),
    .board_only = true,
    .props = rtc_props,
    .state = &rtc_state,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .settle = rtc_settle,
    .info = rtc_info,
};
