/*
 * PS/2 mouse with the IntelliMouse extensions: a wheel (ID 3), five buttons (ID 4).
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft IntelliMouse: sample rates set
 * to 200, 100, 80 make the ID 3, 200, 200, 80 make it 4.  Motion that the guest has no time for adds up.
 *
 * Not modelled: resolution (kept and reported, the counts are the host's), buttons 4 and 5 (no host
 * event brings them; their bits read 0), the overflow bits (what does not fit comes in the next packet).
 */
#include "ps2.h"
#include "util/error.h"
#include "util/log.h"

enum {
    CMD_SCALE_1 = 0xe6, CMD_SCALE_2 = 0xe7, CMD_RESOLUTION = 0xe8, CMD_STATUS = 0xe9, CMD_STREAM = 0xea,
    CMD_READ = 0xeb, CMD_UNWRAP = 0xec, CMD_WRAP = 0xee, CMD_REMOTE = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3,
    CMD_ENABLE = 0xf4, CMD_DISABLE = 0xf5, CMD_DEFAULTS = 0xf6, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
    ACK = 0xfa, ERROR = 0xfc, RESEND = 0xfe, BAT_OK = 0xaa,
    PACKET_ALWAYS = 0x08, PACKET_X_SIGN = 0x10, PACKET_Y_SIGN = 0x20,
    STATUS_REMOTE = 0x40, STATUS_ENABLED = 0x20, STATUS_DOUBLE = 0x10,
    ID_PLAIN = 0, ID_WHEEL = 3, ID_BUTTONS = 4,
    DEFAULT_RATE = 100, DEFAULT_RESOLUTION = 2,
    MAX_MOTION = 4096, MAX_PACKET = 4,
    FIRST_COMMAND = 0xe0,
};
/* Which commands from FIRST_COMMAND on there are: E6..EC, EE, F0, F2..F6, FF. */
static const uint32_t COMMANDS = 0x807d5fc0;

/* ---- packets ---- */

/* 2:1 scaling makes slow motion slower and fast motion faster (Technical Reference, "Scaling"). */
static int scaled(const Ps2Mouse *s, int v)
{
    static const int slow[6] = { 0, 1, 1, 3, 6, 9 };
    int size = v < 0 ? -v : v;

    if (!s->double_scale || s->remote) {
        return v;
    }
    size = size < 6 ? slow[size] : 2 * size;
    return v < 0 ? -size : size;
}

static int take_motion(int32_t *from, int low, int high)
{
    int v = CLAMP(*from, low, high);

    *from -= v;
    return v;
}

static unsigned make_packet(Ps2Mouse *s, uint8_t out[MAX_PACKET])
{
    int limit = s->double_scale ? 127 : 255;
    int dx = scaled(s, take_motion(&s->dx, -limit, limit));
    int dy = scaled(s, take_motion(&s->dy, -limit, limit));
    int dz;

    out[0] = (uint8_t)(PACKET_ALWAYS | s->buttons | (dx < 0 ? PACKET_X_SIGN : 0) | (dy < 0 ? PACKET_Y_SIGN : 0));
    out[1] = (uint8_t)dx;
    out[2] = (uint8_t)dy;
    s->told_buttons = s->buttons;
    if (s->id == ID_PLAIN) {
        s->dz = 0;
        return 3;
    }
    dz = take_motion(&s->dz, -8, 7);
    out[3] = (uint8_t)(s->id == ID_BUTTONS ? dz & 0x0f : dz);
    return 4;
}

static bool something_new(const Ps2Mouse *s)
{
    return s->dx || s->dy || (s->dz && s->id != ID_PLAIN) || s->buttons != s->told_buttons;
}

/* In stream mode a packet goes out at most once a sample, and only when the last one is away. */
static void stream(Ps2Mouse *s)
{
    uint8_t packet[MAX_PACKET];

    if (!s->reporting || s->remote || s->wrap || !something_new(s) || s->port.events.count ||
        timer_armed(&s->sample_timer)) {
        return;
    }
    ps2_put(&s->port.events, packet, make_packet(s, packet));
    timer_arm(&s->sample_timer, clock_now(s->clock) + NS_PER_S / s->rate);
    s->changed(s->opaque);
}

static void sample_due(void *opaque)
{
    stream(opaque);
}

void ps2_mouse_taken(Ps2Mouse *s)
{
    stream(s);
}

static void mouse_moved(void *dev, int dx, int dy, int dz)
{
    Ps2Mouse *s = dev;

    /* Down on the screen is negative here; the wheel towards the user is positive in both. */
    s->dx = CLAMP(s->dx + CLAMP(dx, -MAX_MOTION, MAX_MOTION), -MAX_MOTION, MAX_MOTION);
    s->dy = CLAMP(s->dy - CLAMP(dy, -MAX_MOTION, MAX_MOTION), -MAX_MOTION, MAX_MOTION);
    s->dz = CLAMP(s->dz + CLAMP(dz, -MAX_MOTION, MAX_MOTION), -MAX_MOTION, MAX_MOTION);
    stream(s);
}

static void mouse_buttons(void *dev, unsigned mask)
{
    Ps2Mouse *s = dev;

    s->buttons = mask & (INPUT_LEFT | INPUT_RIGHT | INPUT_MIDDLE);      /* the packet's own order */
    stream(s);
}

/* ---- commands ---- */

static void answer(Ps2Mouse *s, uint8_t byte)
{
    ps2_put(&s->port.reply, &byte, 1);
}

static void clear_motion(Ps2Mouse *s)
{
    s->dx = s->dy = s->dz = 0;
    s->port.events.count = 0;
}

static void set_defaults(Ps2Mouse *s)
{
    clear_motion(s);
    s->rate = DEFAULT_RATE;
    s->resolution = DEFAULT_RESOLUTION;
    s->reporting = s->remote = s->wrap = s->double_scale = false;
    timer_cancel(&s->sample_timer);
}

static void set_rate(Ps2Mouse *s, uint8_t rate)
{
    if (s->knock[0] == 200 && rate == 80) {
        s->id = s->knock[1] == 100 ? ID_WHEEL : s->knock[1] == 200 ? ID_BUTTONS : s->id;
    }
    s->knock[0] = s->knock[1];
    s->knock[1] = rate;
    s->rate = rate;
}

static void argument(Ps2Mouse *s, uint8_t command, uint8_t val)
{
    if (command == CMD_RATE && val >= 10 && val <= 200) {
        set_rate(s, val);
    } else if (command == CMD_RESOLUTION && val <= 3) {
        s->resolution = val;
    } else {
        answer(s, ERROR);
        return;
    }
    answer(s, ACK);
}

static void command(Ps2Mouse *s, uint8_t val)
{
    uint8_t packet[MAX_PACKET];

    if (val < FIRST_COMMAND || !(COMMANDS >> (val - FIRST_COMMAND) & 1)) {
        log_guest("ps2 mouse", "command 0x%02x does not exist", val);
        answer(s, RESEND);
        return;
    }
    answer(s, ACK);
    switch (val) {
    case CMD_SCALE_1:
    case CMD_SCALE_2:
        s->double_scale = val == CMD_SCALE_2;
        break;
    case CMD_RESOLUTION:
    case CMD_RATE:
        s->port.command = val;
        break;
    case CMD_STATUS:
        /* Buttons lie the other way round here: left is bit 2, middle bit 1. */
        answer(s, (uint8_t)((s->remote ? STATUS_REMOTE : 0) | (s->reporting ? STATUS_ENABLED : 0) |
                            (s->double_scale ? STATUS_DOUBLE : 0) | (s->buttons & INPUT_LEFT ? 4 : 0) |
                            (s->buttons & INPUT_MIDDLE ? 2 : 0) | (s->buttons & INPUT_RIGHT ? 1 : 0)));
        answer(s, s->resolution);
        answer(s, s->rate);
        break;
    case CMD_STREAM:
    case CMD_REMOTE:
        clear_motion(s);
        s->remote = val == CMD_REMOTE;
        break;
    case CMD_READ:
        ps2_put(&s->port.reply, packet, make_packet(s, packet));
        break;
    case CMD_UNWRAP:
        break;
    case CMD_WRAP:
        clear_motion(s);
        s->wrap = true;
        break;
    case CMD_ID:
        answer(s, s->id);
        break;
    case CMD_ENABLE:
        s->reporting = true;
        break;
    case CMD_DISABLE:
        s->reporting = false;
        break;
    case CMD_DEFAULTS:
        set_defaults(s);
        break;
    case CMD_RESET:
        ps2_mouse_reset(s);
        answer(s, ACK);
        answer(s, BAT_OK);
        answer(s, ID_PLAIN);
        break;
    }
}

void ps2_mouse_write(Ps2Mouse *s, uint8_t byte)
{
    uint8_t waiting = s->port.command;

    s->port.command = 0;
    if (s->wrap && byte == CMD_UNWRAP) {
        s->wrap = false;
        answer(s, ACK);
    } else if (s->wrap && byte != CMD_RESET) {
        answer(s, byte);
    } else if (byte == CMD_RESEND && !waiting) {
        answer(s, s->port.last);
    } else if (waiting && byte < CMD_SCALE_1) {
        argument(s, waiting, byte);
    } else {
        command(s, byte);                       /* also where an argument was due */
    }
    stream(s);
    s->changed(s->opaque);
}

/* ---- life cycle ---- */

void ps2_mouse_init(Ps2Mouse *s, Clock *clock, Input *input, void (*changed)(void *opaque), void *opaque)
{
    s->clock = clock;
    s->input = input;
    s->changed = changed;
    s->opaque = opaque;
    s->rate = DEFAULT_RATE;
    timer_init(&s->sample_timer, clock, sample_due, s);
    s->sink = (InputSink){ .move = mouse_moved, .buttons = mouse_buttons, .dev = s };
    if (input) {
        input_add(input, &s->sink);
    }
}

void ps2_mouse_fini(Ps2Mouse *s)
{
    if (s->clock) {
        timer_cancel(&s->sample_timer);
    }
    if (s->input) {
        input_remove(s->input, &s->sink);
    }
}

/* The power-on state; which buttons are down is the user's. */
void ps2_mouse_reset(Ps2Mouse *s)
{
    ps2_clear(&s->port);
    set_defaults(s);
    s->id = ID_PLAIN;
    s->knock[0] = s->knock[1] = 0;
    s->told_buttons = s->buttons;
}

static bool mouse_after_load(void *obj, GError **errp)
{
    const Ps2Mouse *s = obj;

    if (s->rate < 10 || s->rate > 200 || s->resolution > 3 || (s->buttons | s->told_buttons) > 7 ||
        ABS((int64_t)s->dx) > MAX_MOTION || ABS((int64_t)s->dy) > MAX_MOTION || ABS((int64_t)s->dz) > MAX_MOTION) {
        error_set(errp, "ps2 mouse: no such state: rate %u, resolution %u, buttons 0x%x", s->rate, s->resolution,
                  s->buttons);
        return false;
    }
    return true;
}

static const StateField mouse_fields[] = {
    STATE_SUB(Ps2Mouse, port, &ps2_port_state),
    STATE_NOT(Ps2Mouse, changed, "set by init"),
    STATE_NOT(Ps2Mouse, opaque, "set by init"),
    STATE_NOT(Ps2Mouse, clock, "set by init"),
    STATE_NOT(Ps2Mouse, input, "set by init"),
    STATE_NOT(Ps2Mouse, sink, "set by init"),
    STATE_U(Ps2Mouse, reporting), STATE_U(Ps2Mouse, remote), STATE_U(Ps2Mouse, wrap),
    STATE_U(Ps2Mouse, double_scale), STATE_U(Ps2Mouse, id), STATE_U(Ps2Mouse, resolution),
    STATE_U(Ps2Mouse, rate), STATE_ARRAY(Ps2Mouse, knock),
    STATE_U(Ps2Mouse, buttons), STATE_U(Ps2Mouse, told_buttons),
    STATE_U(Ps2Mouse, dx), STATE_U(Ps2Mouse, dy), STATE_U(Ps2Mouse, dz), STATE_TIM(Ps2Mouse, sample_timer),
    STATE_DONE,
};
const StateTable ps2_mouse_state = {
    .name = "mouse", .version = 1, .fields = mouse_fields, .after_load = mouse_after_load,
};
