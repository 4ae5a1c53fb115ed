/*
 * The counter of an 8254: six modes, binary or BCD, latches, gate.
 *
 * Intel 8254 data sheet (231164-005), "Mode Definitions", "Read Operations".
 * A count written takes one tick to reach the counting element, as there.
 *
 * Not modelled: counts of 1 in modes 2 and 3 (illegal; they count as 2), digits above 9 in BCD.
 */
#include "pit-channel.h"

#include "util/error.h"

enum {
    CONTROL_BCD = 1 << 0, RW_LOW = 1, RW_HIGH = 2, RW_BOTH = 3,
    STATUS_OUT = 1 << 7, STATUS_NULL = 1 << 6,
};

static unsigned access_mode(const PitChannel *c)
{
    return c->control >> 4 & 3;
}

static bool periodic(const PitChannel *c)
{
    return pit_channel_mode(c) == 2 || pit_channel_mode(c) == 3;
}

static bool triggered(const PitChannel *c)
{
    return pit_channel_mode(c) == 1 || pit_channel_mode(c) == 5;
}

static uint32_t wrap(const PitChannel *c)
{
    return c->control & CONTROL_BCD ? 10000 : 65536;
}

/* The number that the count register means: 0 is the largest. */
static uint32_t programmed(const PitChannel *c)
{
    uint32_t n = c->count;

    if (c->control & CONTROL_BCD) {
        n = (n >> 12) * 1000 + (n >> 8 & 15) * 100 + (n >> 4 & 15) * 10 + (n & 15);
        n %= 10000;
    }
    if (n == 0) {
        n = wrap(c);
    }
    return periodic(c) && n < 2 ? 2 : n;
}

static uint16_t shown(const PitChannel *c, uint32_t v)
{
    v %= wrap(c);
    if (c->control & CONTROL_BCD) {
        v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
    }
    return (uint16_t)v;
}

/* Mode 3 is high for the longer half. */
static uint32_t high_half(uint32_t n)
{
    return (n + 1) / 2;
}

/* A new count takes over where the old one's period (mode 3: half period) ends. */
static void catch_up(PitChannel *c, int64_t now)
{
    if (c->reload && c->running && now >= c->reload_at) {
        int64_t into = (c->reload_at - c->base) % c->n;

        c->n = programmed(c);
        c->base = c->reload_at;
        if (into != 0) {                        /* after the high half: go on with the new low half */
            c->base -= high_half(c->n);
        }
        c->reload = false;
    }
}

static int64_t elapsed(PitChannel *c, int64_t now)
{
    int64_t e;

    catch_up(c, now);
    e = c->running ? now - c->base : c->elapsed;
    return e < 0 ? 0 : e;
}

static void start(PitChannel *c, int64_t now)
{
    c->n = programmed(c);
    c->base = now + 1;
    c->elapsed = 0;
    c->running = true;
    c->reload = false;
}

static void stop(PitChannel *c, int64_t now)
{
    c->elapsed = elapsed(c, now);
    c->running = false;
}

static bool started(const PitChannel *c)
{
    return c->loaded && (c->running || c->elapsed > 0);
}

bool pit_channel_out(PitChannel *c, int64_t now)
{
    int64_t e = elapsed(c, now);

    if (!started(c)) {
        return pit_channel_mode(c) != 0;
    }
    switch (pit_channel_mode(c)) {
    case 0:
    case 1:
        return e >= c->n;
    case 2:
        return !c->running || e % c->n != c->n - 1;
    case 3:
        return !c->running || e % c->n < high_half(c->n);
    default:
        return e != c->n;
    }
}

uint16_t pit_channel_value(PitChannel *c, int64_t now)
{
    int64_t e = elapsed(c, now);
    uint32_t into = (uint32_t)(e % c->n);

    if (!started(c)) {
        return shown(c, c->loaded ? c->n : 0);
    }
    switch (pit_channel_mode(c)) {
    case 2:
        return shown(c, c->n - into);
    case 3:                                     /* counts by two in each half */
        return shown(c, (c->n & ~1u) - 2 * (into < high_half(c->n) ? into : into - high_half(c->n)));
    default:
        return shown(c, wrap(c) + c->n - (uint32_t)(e % wrap(c)));
    }
}

int64_t pit_channel_next_edge(PitChannel *c, int64_t now)
{
    int64_t e = elapsed(c, now), into, half;

    if (!started(c) || !c->running) {
        return -1;
    }
    if (now < c->base) {                        /* the count is on its way; OUT moves with it in mode 1 only */
        if (pit_channel_mode(c) == 1) {
            return c->base;
        }
        now = c->base;
    }
    into = e % c->n;
    half = high_half(c->n);
    switch (pit_channel_mode(c)) {
    case 0:
    case 1:
        return e < c->n ? c->base + c->n : -1;
    case 2:
        return now + c->n - into;
    case 3:
        return now + (into < half ? half : c->n) - into;
    default:
        return e < c->n ? c->base + c->n : e == c->n ? now + 1 : -1;
    }
}

static void count_written(PitChannel *c, uint16_t count, int64_t now)
{
    bool first = !c->loaded;

    catch_up(c, now);
    c->count = count;
    c->loaded = true;
    if (triggered(c)) {
        if (first) {
            c->n = programmed(c);               /* shown until the trigger comes */
        }
    } else if (periodic(c) && !first && c->running) {
        int64_t into = elapsed(c, now) % c->n, half = high_half(c->n);

        c->reload = true;
        c->reload_at = now - into + (pit_channel_mode(c) == 3 && into < half ? half : c->n);
    } else {
        start(c, now);
        if (!c->gate) {
            stop(c, now);
        }
    }
}

void pit_channel_write(PitChannel *c, uint8_t val, int64_t now)
{
    switch (access_mode(c)) {
    case RW_LOW:
        count_written(c, val, now);
        break;
    case RW_HIGH:
        count_written(c, (uint16_t)(val << 8), now);
        break;
    default:
        if (c->write_high) {
            count_written(c, (uint16_t)(val << 8 | c->low), now);
        } else {
            c->low = val;
            if (pit_channel_mode(c) == 0) {     /* the first byte stops the count, OUT is low at once */
                c->running = false;
                c->loaded = false;
                c->elapsed = 0;
            }
        }
        c->write_high = !c->write_high;
        break;
    }
}

uint8_t pit_channel_read(PitChannel *c, int64_t now)
{
    uint16_t v;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->latched_bytes) {
        c->latched_bytes--;
        v = c->latched;
        if (access_mode(c) == RW_BOTH) {
            return (uint8_t)(c->latched_bytes ? v : v >> 8);
        }
    } else {
        v = pit_channel_value(c, now);
        if (access_mode(c) == RW_BOTH) {
            c->read_high = !c->read_high;
            return (uint8_t)(c->read_high ? v : v >> 8);
        }
    }
    return (uint8_t)(access_mode(c) == RW_HIGH ? v >> 8 : v);
}

void pit_channel_latch_count(PitChannel *c, int64_t now)
{
    if (!c->latched_bytes) {                    /* the first of several latches counts */
        c->latched = pit_channel_value(c, now);
        c->latched_bytes = access_mode(c) == RW_BOTH ? 2 : 1;
    }
}

void pit_channel_latch_status(PitChannel *c, int64_t now)
{
    bool null_count;

    if (!c->status_latched) {
        bool out = pit_channel_out(c, now);

        null_count = !c->loaded || c->reload || (c->running && now < c->base) ||
                     (triggered(c) && c->n != programmed(c));
        c->status = (uint8_t)((c->control & 0x3f) | (out ? STATUS_OUT : 0) | (null_count ? STATUS_NULL : 0));
        c->status_latched = true;
    }
}

void pit_channel_control(PitChannel *c, uint8_t control, int64_t now)
{
    c->control = control & 0x3f;
    c->loaded = c->running = c->reload = false;
    c->elapsed = 0;
    c->write_high = c->read_high = c->status_latched = false;
    c->latched_bytes = 0;
}

void pit_channel_set_gate(PitChannel *c, bool gate, int64_t now)
{
    bool rising = gate && !c->gate;

    if (gate == c->gate) {
        return;
    }
    catch_up(c, now);
    c->gate = gate;
    if (!c->loaded) {
        return;
    }
    if (rising && (triggered(c) || periodic(c))) {
        start(c, now);
    } else if (rising) {
        c->base = now - c->elapsed;
        c->running = true;
    } else if (!triggered(c) && c->running) {
        stop(c, now);
    }
}

void pit_channel_reset(PitChannel *c, bool gate)
{
    *c = (PitChannel){ .control = RW_BOTH << 4 | 3 << 1, .gate = gate, .n = 65536 };
}

static bool channel_after_load(void *obj, GError **errp)
{
    const PitChannel *c = obj;

    if (c->control > 0x3f || access_mode(c) == 0 || c->n == 0 || c->n > 65536 || c->latched_bytes > 2 ||
        c->elapsed < 0 || c->elapsed > PIT_MAX_TICK || c->base < -65536 || c->base > PIT_MAX_TICK ||
        c->reload_at < 0 || c->reload_at > PIT_MAX_TICK || (c->reload && c->reload_at < c->base)) {
        error_set(errp, "i8254: no such state: control 0x%02x, count %u", c->control, c->n);
        return false;
    }
    return true;
}

static const StateField channel_fields[] = {
    STATE_U(PitChannel, control), STATE_U(PitChannel, count), STATE_U(PitChannel, loaded),
    STATE_U(PitChannel, running), STATE_U(PitChannel, gate), STATE_U(PitChannel, n),
    STATE_U(PitChannel, base), STATE_U(PitChannel, elapsed),
    STATE_U(PitChannel, reload), STATE_U(PitChannel, reload_at),
    STATE_U(PitChannel, write_high), STATE_U(PitChannel, read_high), STATE_U(PitChannel, low),
    STATE_U(PitChannel, latched), STATE_U(PitChannel, latched_bytes),
    STATE_U(PitChannel, status), STATE_U(PitChannel, status_latched),
    STATE_DONE,
};
const StateTable pit_channel_state = {
    .name = "channel", .version = 1, .fields = channel_fields, .after_load = channel_after_load,
};
