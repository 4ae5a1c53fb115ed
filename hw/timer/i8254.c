/*
 * 8254 interval timer at ports 0x40..0x43, and system control port B at 0x61, which gates its
 * third counter and shows what it puts out.  Counter 0 drives IRQ 0.
 *
 * Intel 8254 data sheet (231164-005); 82371SB (PIIX3) data sheet, section 2.5.6.1 (port 0x61).
 * The counters run on a tick of 1.193182 MHz of guest time, common to all three.
 *
 * Not modelled: sound of the speaker, counter 1 as the source of DRAM refresh (bit 4 of port 0x61
 * toggles every 15 us whatever it does), parity and I/O check NMIs.  OUT 0 changes that come faster
 * than every 10 us fall together.
 */
#include "core/machine.h"
#include "hw/isa.h"
#include "pit-channel.h"
#include "util/error.h"

enum {
    TICK_HZ = 1193182, REFRESH_NS = 15085, MIN_EDGE_TICKS = 12,
    PORT_B_GATE2 = 1 << 0, PORT_B_SPEAKER = 1 << 1, PORT_B_WRITABLE = 0x0f,
    PORT_B_REFRESH = 1 << 4, PORT_B_OUT2 = 1 << 5,
    CONTROL_PORT = 3, READ_BACK = 3, READ_BACK_NO_COUNT = 1 << 5, READ_BACK_NO_STATUS = 1 << 4,
};

typedef struct Pit {
    Device dev;
    Region io, port_b_io;
    PitChannel channel[3];
    uint8_t port_b;
    IrqWire irq;
    Timer edge;                         /* the next change of OUT 0 */
    int64_t last_edge;                  /* tick of the last one that the timer saw */
    bool level;                         /* of the wire: behind OUT 0 while edges fall together */
} Pit;

static int64_t tick_now(const Pit *s)
{
    return (int64_t)muldiv64((uint64_t)clock_now(s->dev.machine->clock), TICK_HZ, NS_PER_S);
}

/* The first nanosecond that belongs to a tick. */
static int64_t tick_ns(int64_t tick)
{
    uint64_t ns = muldiv64((uint64_t)tick, NS_PER_S, TICK_HZ);

    return (int64_t)(muldiv64(ns, TICK_HZ, NS_PER_S) < (uint64_t)tick ? ns + 1 : ns);
}

static void drive_irq(Pit *s, bool level)
{
    s->level = level;
    irq_set(&s->irq, level);
}

/* Be there when OUT 0 changes next. */
static void arm_edge(Pit *s)
{
    int64_t next = pit_channel_next_edge(&s->channel[0], tick_now(s));

    if (next < 0) {
        timer_cancel(&s->edge);
    } else {
        timer_arm(&s->edge, tick_ns(MAX(next, s->last_edge + MIN_EDGE_TICKS)));
    }
}

/* Put OUT 0 on the wire, as it is now. */
static void pit_update(Pit *s)
{
    drive_irq(s, pit_channel_out(&s->channel[0], tick_now(s)));
    arm_edge(s);
}

static void edge_due(void *opaque)
{
    Pit *s = opaque;
    const PitChannel *c = &s->channel[0];

    s->last_edge = tick_now(s);
    /* A whole pulse has passed: one tick low in mode 2, or periods too short to follow. */
    if (pit_channel_mode(c) == 2 || (pit_channel_mode(c) == 3 && c->n < 2 * MIN_EDGE_TICKS)) {
        drive_irq(s, false);
    }
    pit_update(s);
}

/* ---- ports 0x40..0x43 ---- */

static void write_control(Pit *s, uint8_t val, int64_t now)
{
    unsigned select = val >> 6;

    if (select == READ_BACK) {
        for (unsigned i = 0; i < 3; i++) {
            if (!(val & (2 << i))) {
                continue;
            }
            if (!(val & READ_BACK_NO_COUNT)) {
                pit_channel_latch_count(&s->channel[i], now);
            }
            if (!(val & READ_BACK_NO_STATUS)) {
                pit_channel_latch_status(&s->channel[i], now);
            }
        }
    } else if ((val & 0x30) == 0) {
        pit_channel_latch_count(&s->channel[select], now);
    } else {
        pit_channel_control(&s->channel[select], val, now);
    }
}

static void pit_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Pit *s = dev;
    int64_t now = tick_now(s);

    if (off == CONTROL_PORT) {
        write_control(s, (uint8_t)val, now);
    } else {
        pit_channel_write(&s->channel[off % 3], (uint8_t)val, now);
    }
    pit_update(s);
}

static uint64_t pit_read(void *dev, hwaddr off, unsigned size)
{
    Pit *s = dev;

    if (off == CONTROL_PORT) {
        return 0xff;                    /* write-only */
    }
    return pit_channel_read(&s->channel[off % 3], tick_now(s));
}

static const RegionOps pit_io = { .read = pit_read, .write = pit_write, .size_min = 1, .size_max = 1 };

/* ---- port 0x61 ---- */

static uint64_t port_b_read(void *dev, hwaddr off, unsigned size)
{
    Pit *s = dev;
    bool refresh = clock_now(s->dev.machine->clock) / REFRESH_NS & 1;

    return s->port_b | (refresh ? PORT_B_REFRESH : 0) |
           (pit_channel_out(&s->channel[2], tick_now(s)) ? PORT_B_OUT2 : 0);
}

static void port_b_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Pit *s = dev;

    s->port_b = val & PORT_B_WRITABLE;
    pit_channel_set_gate(&s->channel[2], val & PORT_B_GATE2, tick_now(s));
}

static const RegionOps port_b_io = {
    .read = port_b_read, .write = port_b_write, .size_min = 1, .size_max = 1,
};

/* ---- life cycle ---- */

static bool pit_realize(Device *d, GError **errp)
{
    Pit *s = (Pit *)d;

    timer_init(&s->edge, d->machine->clock, edge_due, s);
    region_init_io(&s->io, "pit", 4, &pit_io, s);
    isa_map_io(d, &s->io, 0x40);
    region_init_io(&s->port_b_io, "port61", 1, &port_b_io, s);
    isa_map_io(d, &s->port_b_io, 0x61);
    isa_connect_irq(d, &s->irq, 0);
    return true;
}

static void pit_unrealize(Device *d)
{
    Pit *s = (Pit *)d;

    if (d->realized) {
        timer_cancel(&s->edge);
        irq_set(&s->irq, false);
    }
    region_fini(&s->io);
    region_fini(&s->port_b_io);
}

static void pit_reset(Device *d)
{
    Pit *s = (Pit *)d;

    for (unsigned i = 0; i < 3; i++) {
        pit_channel_reset(&s->channel[i], i != 2);
    }
    s->port_b = 0;
    s->last_edge = 0;
    s->level = true;                    /* OUT of mode 3 without a count */
    timer_cancel(&s->edge);
}

static void pit_settle(Device *d)
{
    Pit *s = (Pit *)d;

    irq_set(&s->irq, s->level);
}

static void pit_info(Device *d, GString *out)
{
    Pit *s = (Pit *)d;
    int64_t now = tick_now(s);

    const Irqchip *kernel = d->machine->irqchip;
    if (kernel && kernel->all) {
        kernel->describe(kernel->opaque, IRQCHIP_PIT, out);
        return;
    }

    for (unsigned i = 0; i < 3; i++) {
        PitChannel *c = &s->channel[i];

        g_string_append_printf(out, "counter %u: mode %u%s count=%04x value=%04x gate=%d out=%d%s\n", i,
                               pit_channel_mode(c), c->control & 1 ? " bcd" : "", c->count,
                               pit_channel_value(c, now), c->gate, pit_channel_out(c, now),
                               c->running ? "" : " stopped");
    }
    g_string_append_printf(out, "port 61: %02x%s\n", s->port_b, s->port_b & PORT_B_SPEAKER ? " speaker on" : "");
}

/* Counts that have taken over since anyone looked: settled before the state is told. */
static void pit_before_save(void *obj)
{
    Pit *s = obj;

    for (unsigned i = 0; i < 3; i++) {
        pit_channel_out(&s->channel[i], tick_now(s));
    }
}

static bool pit_after_load(void *obj, GError **errp)
{
    const Pit *s = obj;

    if (s->last_edge < 0 || s->last_edge > PIT_MAX_TICK) {
        error_set(errp, "i8254: no such state: last edge at tick %" G_GINT64_FORMAT, s->last_edge);
        return false;
    }
    return true;
}

static const StateField pit_fields[] = {
    STATE_NOT(Pit, dev, "device core"),
    STATE_NOT(Pit, io, "mapping, made by realize"),
    STATE_NOT(Pit, port_b_io, "mapping, made by realize"),
    STATE_SUBS(Pit, channel, &pit_channel_state),
    STATE_U(Pit, port_b),
    STATE_NOT(Pit, irq, "wire, driven by settle"),
    STATE_TIM(Pit, edge),               /* it may be late for an edge, which the counter does not tell of */
    STATE_U(Pit, last_edge), STATE_U(Pit, level),
    STATE_DONE,
};
static const StateTable pit_state = {
    .name = "i8254", .version = 1, .fields = pit_fields, .before_save = pit_before_save,
    .after_load = pit_after_load,
};

const DeviceClass i8254_class = {
    .name = "i8254",
    .summary = "8254 interval timer and speaker port",
    .bus = "isa",
    .size = sizeof(Pit),
    .board_only = true,
    .state = &pit_state,
    .realize = pit_realize,
    .unrealize = pit_unrealize,
    .reset = pit_reset,
    .settle = pit_settle,
    .info = pit_info,
};
