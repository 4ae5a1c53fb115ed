/*
 * PS/2 keyboard: commands, scan code sets 1 to 3, repeat, lamps.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)".
 * A key's set 1 and set 2 codes come from ui/keys.def.  The keyboard repeats by itself; a "down" for a
 * key that is down already (a host that repeats, too) counts for nothing.
 *
 * Not modelled: the shifts that the grey keys add around themselves while Num Lock or Shift is on.
 */
#include <string.h>

#include "ps2.h"
#include "util/error.h"
#include "util/log.h"

enum {
    CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SCAN_SET = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3, CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5, CMD_DEFAULTS = 0xf6, CMD_ALL_REPEAT = 0xf7, CMD_ALL_BREAK = 0xf8, CMD_ALL_MAKE = 0xf9,
    CMD_ALL_BOTH = 0xfa, CMD_KEY_REPEAT = 0xfb, CMD_KEY_BREAK = 0xfc, CMD_KEY_MAKE = 0xfd, CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
    ACK = 0xfa, RESEND = 0xfe, BAT_OK = 0xaa, ID_1 = 0xab, ID_2 = 0x83,
    BREAK_PREFIX = 0xf0, EXTENDED = 0xe0, RELEASED = 0x80,
    DEFAULT_RATE = 0x2b,                        /* 10.9 a second after half a second */
    MAX_SEQUENCE = 8,
};
enum { SET3_BREAK = 1 << 0, SET3_REPEAT = 1 << 1, SET3_BOTH = SET3_BREAK | SET3_REPEAT };
enum {                                          /* set 2 codes with a meaning of their own */
    KEY_PRINT = 0xe07c, KEY_PAUSE = 0xe114, KEY_LEFT_ALT = 0x11, KEY_RIGHT_ALT = 0xe011, KEY_LEFT_CTRL = 0x14,
    KEY_RIGHT_CTRL = 0xe014, SYSRQ_SET1 = 0x54, SYSRQ_SET2 = 0x84,
};

/* Set 3 where it differs from set 2 (Technical Reference, "Scan Code Set 3"). */
static const struct {
    uint16_t set2;
    uint8_t set3;
} set3_codes[] = {
    { 0x76, 0x08 }, { 0x05, 0x07 }, { 0x06, 0x0f }, { 0x04, 0x17 }, { 0x0c, 0x1f }, { 0x03, 0x27 },
    { 0x0b, 0x2f }, { 0x83, 0x37 }, { 0x0a, 0x3f }, { 0x01, 0x47 }, { 0x09, 0x4f }, { 0x78, 0x56 },
    { 0x07, 0x5e }, { KEY_PRINT, 0x57 }, { 0x7e, 0x5f }, { KEY_PAUSE, 0x62 }, { 0xe070, 0x67 },
    { 0xe06c, 0x6e }, { 0xe07d, 0x6f }, { 0x77, 0x76 }, { 0xe04a, 0x77 }, { 0x7c, 0x7e }, { 0x7b, 0x84 },
    { 0x5d, 0x5c }, { 0xe071, 0x64 }, { 0xe069, 0x65 }, { 0xe07a, 0x6d }, { 0x79, 0x7c }, { 0x58, 0x14 },
    { 0xe075, 0x63 }, { 0xe05a, 0x79 }, { 0x14, 0x11 }, { 0x11, 0x19 }, { 0xe011, 0x39 }, { 0xe014, 0x58 },
    { 0xe06b, 0x61 }, { 0xe072, 0x60 }, { 0xe074, 0x6a }, { 0xe01f, 0x8b }, { 0xe027, 0x8c },
    { 0xe02f, 0x8d }, { 0x61, 0x13 },
};

/* 0: the key has none. */
static uint8_t set3_code(uint16_t set2)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(set3_codes); i++) {
        if (set3_codes[i].set2 == set2) {
            return set3_codes[i].set3;
        }
    }
    return set2 < 0x100 ? (uint8_t)set2 : 0;
}

/* ---- keys ---- */

static unsigned pressed_index(uint16_t set2)
{
    return (set2 & 0xff) | (set2 >> 8 == 0xe1 ? 0x200 : set2 > 0xff ? 0x100 : 0);
}

static bool is_pressed(const Ps2Keyboard *k, uint16_t set2)
{
    unsigned i = pressed_index(set2);

    return k->pressed[i >> 3] >> (i & 7) & 1;
}

static void set_pressed(Ps2Keyboard *k, uint16_t set2, bool down)
{
    unsigned i = pressed_index(set2);

    k->pressed[i >> 3] = (uint8_t)((k->pressed[i >> 3] & ~(1 << (i & 7))) | down << (i & 7));
}

static unsigned copy(uint8_t *to, const char *bytes, unsigned n)
{
    memcpy(to, bytes, n);
    return n;
}

/* What set 1 or set 2 sends for an ordinary key. */
static unsigned ordinary(uint8_t *out, uint16_t code, bool down, unsigned set)
{
    unsigned n = 0;

    if (code > 0xff) {
        out[n++] = EXTENDED;
    }
    if (set == 1) {
        out[n++] = (uint8_t)(code | (down ? 0 : RELEASED));
    } else {
        if (!down) {
            out[n++] = BREAK_PREFIX;
        }
        out[n++] = (uint8_t)code;
    }
    return n;
}

static unsigned set3_sequence(const Ps2Keyboard *k, uint8_t *out, uint16_t set2, bool down)
{
    uint8_t code = set3_code(set2);
    unsigned n = 0;

    if (code == 0 || (!down && !(k->set3_type[code] & SET3_BREAK))) {
        return 0;
    }
    if (!down) {
        out[n++] = BREAK_PREFIX;
    }
    out[n++] = code;
    return n;
}

/* The bytes for a key going down or up; keys with a history send more than a code. */
static unsigned key_sequence(const Ps2Keyboard *k, uint8_t out[MAX_SEQUENCE], uint16_t set1, uint16_t set2, bool down)
{
    bool one = k->scan_set == 1;
    bool alt = is_pressed(k, KEY_LEFT_ALT) || is_pressed(k, KEY_RIGHT_ALT);
    bool ctrl = is_pressed(k, KEY_LEFT_CTRL) || is_pressed(k, KEY_RIGHT_CTRL);

    if (k->scan_set == 3) {
        return set3_sequence(k, out, set2, down);
    }
    if (set2 == KEY_PAUSE) {                    /* all of it when pressed, nothing when released */
        if (!down) {
            return 0;
        }
        if (ctrl) {
            return one ? copy(out, "\xe0\x46\xe0\xc6", 4) : copy(out, "\xe0\x7e\xe0\xf0\x7e", 5);
        }
        return one ? copy(out, "\xe1\x1d\x45\xe1\x9d\xc5", 6) : copy(out, "\xe1\x14\x77\xe1\xf0\x14\xf0\x77", 8);
    }
    if (set2 == KEY_PRINT && alt) {
        return ordinary(out, one ? SYSRQ_SET1 : SYSRQ_SET2, down, k->scan_set);
    }
    if (set2 == KEY_PRINT && !ctrl) {           /* within a shift of its own */
        if (one) {
            return down ? copy(out, "\xe0\x2a\xe0\x37", 4) : copy(out, "\xe0\xb7\xe0\xaa", 4);
        }
        return down ? copy(out, "\xe0\x12\xe0\x7c", 4) : copy(out, "\xe0\xf0\x7c\xe0\xf0\x12", 6);
    }
    return ordinary(out, one ? set1 : set2, down, k->scan_set);
}

static void send_key(Ps2Keyboard *k, uint16_t set1, uint16_t set2, bool down)
{
    uint8_t bytes[MAX_SEQUENCE];

    ps2_put(&k->port.events, bytes, key_sequence(k, bytes, set1, set2, down));
    k->changed(k->opaque);
}

/* The F3 command's argument: delay in bits 6:5, period as (8 + bits 2:0) << bits 4:3 in units of 1/240 s. */
static int64_t repeat_delay_ns(const Ps2Keyboard *k)
{
    return ((k->rate >> 5 & 3) + 1) * 250 * NS_PER_MS;
}

static int64_t repeat_period_ns(const Ps2Keyboard *k)
{
    return ((8 + (k->rate & 7)) << (k->rate >> 3 & 3)) * NS_PER_S / 240;
}

static bool repeats(const Ps2Keyboard *k, uint16_t set2)
{
    return set2 != KEY_PAUSE && (k->scan_set != 3 || (k->set3_type[set3_code(set2)] & SET3_REPEAT));
}

static uint16_t set1_of(uint16_t set2)
{
    for (const InputKey *key = input_keys; key->name; key++) {
        if (key->set2 == set2) {
            return key->set1;
        }
    }
    return 0;
}

static void stop_repeat(Ps2Keyboard *k)
{
    k->repeat = 0;
    timer_cancel(&k->repeat_timer);
}

static void repeat_due(void *opaque)
{
    Ps2Keyboard *k = opaque;

    /* A guest that does not look gets no more: the events queue stays short. */
    if (k->port.events.count < PS2_QUEUE / 4) {
        send_key(k, set1_of(k->repeat), k->repeat, true);
    }
    timer_arm(&k->repeat_timer, clock_now(k->clock) + repeat_period_ns(k));
}

static void key_event(void *dev, const InputKey *key, bool down)
{
    Ps2Keyboard *k = dev;

    if (!key->set2 || (down && is_pressed(k, key->set2))) {
        return;
    }
    set_pressed(k, key->set2, down);
    if (!down && k->repeat == key->set2) {
        stop_repeat(k);
    }
    if (!k->scanning) {
        return;
    }
    send_key(k, key->set1, key->set2, down);
    if (down && repeats(k, key->set2)) {
        k->repeat = key->set2;
        timer_arm(&k->repeat_timer, clock_now(k->clock) + repeat_delay_ns(k));
    }
}

/* ---- commands ---- */

static void answer(Ps2Keyboard *k, uint8_t byte)
{
    ps2_put(&k->port.reply, &byte, 1);
}

static void set_leds(Ps2Keyboard *k, uint8_t leds)
{
    k->leds = leds & 7;
    if (k->input) {
        input_set_leds(k->input, k->leds);
    }
}

static void clear_events(Ps2Keyboard *k)
{
    k->port.events.count = 0;
    stop_repeat(k);
}

static void set_defaults(Ps2Keyboard *k)
{
    clear_events(k);
    k->rate = DEFAULT_RATE;
    memset(k->set3_type, SET3_BOTH, sizeof(k->set3_type));
}

static void argument(Ps2Keyboard *k, uint8_t command, uint8_t val)
{
    static const uint8_t type[] = { SET3_REPEAT, SET3_BREAK, 0 };       /* FB, FC, FD */

    answer(k, ACK);
    switch (command) {
    case CMD_LEDS:
        set_leds(k, val);
        break;
    case CMD_SCAN_SET:
        if (val == 0) {
            answer(k, k->scan_set);
        } else if (val <= 3) {
            clear_events(k);
            k->scan_set = val;
        }
        break;
    case CMD_RATE:
        k->rate = val & 0x7f;
        break;
    case CMD_KEY_REPEAT:
    case CMD_KEY_BREAK:
    case CMD_KEY_MAKE:
        k->set3_type[val] = type[command - CMD_KEY_REPEAT];
        k->port.command = command;              /* more keys may follow, until the next command */
        break;
    }
}

static void command(Ps2Keyboard *k, uint8_t val)
{
    static const uint8_t type[] = { SET3_REPEAT, SET3_BREAK, 0, SET3_BOTH };    /* F7 .. FA */

    switch (val) {
    case CMD_ECHO:
        answer(k, CMD_ECHO);
        return;
    case CMD_RESEND:
        answer(k, k->port.last);
        return;
    case CMD_LEDS:
    case CMD_SCAN_SET:
    case CMD_RATE:
    case CMD_KEY_REPEAT:
    case CMD_KEY_BREAK:
    case CMD_KEY_MAKE:
        k->port.command = val;
        answer(k, ACK);
        return;
    case CMD_ID:
        answer(k, ACK);
        answer(k, ID_1);
        answer(k, ID_2);
        return;
    case CMD_ENABLE:
        clear_events(k);
        k->scanning = true;
        break;
    case CMD_DISABLE:
        set_defaults(k);
        k->scanning = false;
        break;
    case CMD_DEFAULTS:
        set_defaults(k);
        break;
    case CMD_ALL_REPEAT:
    case CMD_ALL_BREAK:
    case CMD_ALL_MAKE:
    case CMD_ALL_BOTH:
        memset(k->set3_type, type[val - CMD_ALL_REPEAT], sizeof(k->set3_type));
        break;
    case CMD_RESET:
        ps2_keyboard_reset(k);
        set_leds(k, 0);
        answer(k, ACK);
        answer(k, BAT_OK);
        return;
    default:
        log_guest("ps2 keyboard", "command 0x%02x does not exist", val);
        answer(k, RESEND);
        return;
    }
    answer(k, ACK);
}

void ps2_keyboard_write(Ps2Keyboard *k, uint8_t byte)
{
    uint8_t waiting = k->port.command;

    k->port.command = 0;
    if (waiting && byte < CMD_LEDS) {
        argument(k, waiting, byte);
    } else {
        command(k, byte);                       /* also where an argument was due */
    }
    k->changed(k->opaque);
}

/* ---- life cycle ---- */

void ps2_keyboard_init(Ps2Keyboard *k, Clock *clock, Input *input, void (*changed)(void *opaque), void *opaque)
{
    k->clock = clock;
    k->input = input;
    k->changed = changed;
    k->opaque = opaque;
    timer_init(&k->repeat_timer, clock, repeat_due, k);
    k->sink = (InputSink){ .key = key_event, .dev = k };
    if (input) {
        input_add(input, &k->sink);
    }
}

void ps2_keyboard_fini(Ps2Keyboard *k)
{
    if (k->clock) {
        timer_cancel(&k->repeat_timer);
    }
    if (k->input) {
        input_remove(k->input, &k->sink);
    }
}

/* The power-on state; which keys are down is the user's. */
void ps2_keyboard_reset(Ps2Keyboard *k)
{
    ps2_clear(&k->port);
    set_defaults(k);
    k->scan_set = 2;
    k->leds = 0;
    k->scanning = true;
}

void ps2_keyboard_settle(Ps2Keyboard *k)
{
    set_leds(k, k->leds);
}

static bool keyboard_after_load(void *obj, GError **errp)
{
    const Ps2Keyboard *k = obj;

    if (k->scan_set < 1 || k->scan_set > 3 || k->rate > 0x7f) {
        error_set(errp, "ps2 keyboard: no such state: scan code set %u, rate 0x%02x", k->scan_set, k->rate);
        return false;
    }
    return true;
}

static const StateField keyboard_fields[] = {
    STATE_SUB(Ps2Keyboard, port, &ps2_port_state),
    STATE_NOT(Ps2Keyboard, changed, "set by init"),
    STATE_NOT(Ps2Keyboard, opaque, "set by init"),
    STATE_NOT(Ps2Keyboard, clock, "set by init"),
    STATE_NOT(Ps2Keyboard, input, "set by init"),
    STATE_NOT(Ps2Keyboard, sink, "set by init"),
    STATE_U(Ps2Keyboard, scanning), STATE_U(Ps2Keyboard, scan_set), STATE_U(Ps2Keyboard, leds),
    STATE_U(Ps2Keyboard, rate), STATE_BUF(Ps2Keyboard, pressed), STATE_BUF(Ps2Keyboard, set3_type),
    STATE_U(Ps2Keyboard, repeat), STATE_TIM(Ps2Keyboard, repeat_timer),
    STATE_DONE,
};
const StateTable ps2_keyboard_state = {
    .name = "keyboard", .version = 1, .fields = keyboard_fields, .after_load = keyboard_after_load,
};
