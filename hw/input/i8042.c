/*
 * 8042 keyboard controller of a PS/2: ports 0x60 and 0x64, a keyboard (IRQ 1) and a mouse (IRQ 12),
 * the A20 gate, the reset line; and port 0x92, the fast way to the last two.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller";
 * 82371SB (PIIX3) data sheet, section 2.5.6.3 (port 0x92).
 * Port 0x92 and the controller's output port set one gate: the last to speak is right, as on chip
 * sets that watch the 8042's commands.  After a byte was read the data register keeps it for the time
 * a cable needs for the next one: handlers that read port 0x60 twice see one key.
 *
 * Not modelled: the password lock, the keyboard lock, polling the input port (C1, C2).
 */
#include <string.h>

#include "core/machine.h"
#include "hw/i8042.h"
#include "hw/isa.h"
#include "ps2.h"
#include "util/error.h"
#include "util/log.h"

enum {
    STATUS_OBF = 0x01, STATUS_SYSTEM = 0x04, STATUS_COMMAND = 0x08, STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20,
    MODE_KBD_INT = 0x01, MODE_AUX_INT = 0x02, MODE_SYSTEM = 0x04, MODE_KBD_OFF = 0x10, MODE_AUX_OFF = 0x20,
    MODE_TRANSLATE = 0x40,
    OUT_NRESET = 0x01, OUT_A20 = 0x02, OUT_KBD_FULL = 0x10, OUT_AUX_FULL = 0x20, OUT_HIGH = 0xc0,
    PORT92_RESET = 0x01, PORT92_A20 = 0x02,
    BREAK_PREFIX = 0xf0, RELEASED = 0x80,
    CABLE_NS = 500000,
};
enum {
    CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_PASSWORD_TEST = 0xa4, CMD_PASSWORD_LOAD = 0xa5,
    CMD_PASSWORD_ENABLE = 0xa6, CMD_AUX_OFF = 0xa7, CMD_AUX_ON = 0xa8, CMD_AUX_TEST = 0xa9, CMD_SELF_TEST = 0xaa,
    CMD_KBD_TEST = 0xab, CMD_KBD_OFF = 0xad, CMD_KBD_ON = 0xae, CMD_READ_IN = 0xc0, CMD_READ_OUT = 0xd0,
    CMD_WRITE_OUT = 0xd1, CMD_PUT_KBD = 0xd2, CMD_PUT_AUX = 0xd3, CMD_WRITE_AUX = 0xd4, CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf, CMD_READ_TEST = 0xe0, CMD_PULSE = 0xf0,
    RAM_SIZE = 32, RAM_MODE = 0,
    NO_PASSWORD = 0xf1, SELF_TEST_OK = 0x55, LINE_OK = 0x00, INPUT_PORT = 0xa0,
};
typedef enum Source { FROM_KEYBOARD, FROM_AUX, FROM_CONTROLLER } Source;

typedef struct I8042 {
    Device dev;
    Region data_io, command_io, port92_io;
    Ps2Keyboard keyboard;
    Ps2Mouse mouse;
    uint8_t ram[RAM_SIZE];              /* byte 0 is the mode ("command byte") */
    uint8_t output, status;             /* output: the data register */
    uint8_t source;                     /* of the byte in it */
    uint8_t command;                    /* waits for its argument at port 0x60; 0: none */
    bool breaking;                      /* translation: F0 was seen */
    bool a20;
    int64_t cable_free;                 /* guest time from which on the next byte may come in */
    Timer cable;
    IrqWire kbd_irq, aux_irq, a20_wire;
} I8042;

/* Set 2 to set 1, as the controller's ROM has it for every code; from 0x80 on only two change. */
static const uint8_t translation[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

static uint8_t translate(uint8_t code)
{
    return code < 0x80 ? translation[code] : code == 0x83 ? 0x41 : code == 0x84 ? 0x54 : code;
}

/* ---- the output buffer ---- */

static void i8042_update_irqs(I8042 *s)
{
    bool full = s->status & STATUS_OBF, aux = s->status & STATUS_AUX;

    irq_set(&s->kbd_irq, full && !aux && (s->ram[RAM_MODE] & MODE_KBD_INT));
    irq_set(&s->aux_irq, full && aux && (s->ram[RAM_MODE] & MODE_AUX_INT));
}

static void put_output(I8042 *s, uint8_t byte, Source source)
{
    s->output = byte;
    s->source = source;
    s->status = (s->status & (uint8_t)~STATUS_AUX) | STATUS_OBF | (source == FROM_AUX ? STATUS_AUX : 0);
    i8042_update_irqs(s);
}

/* One byte of the keyboard's, translated; false: it was a break prefix, and only remembered. */
static bool from_keyboard(I8042 *s, uint8_t *byte)
{
    if (!(s->ram[RAM_MODE] & MODE_TRANSLATE)) {
        return true;
    }
    if (*byte == BREAK_PREFIX) {
        s->breaking = true;
        return false;
    }
    *byte = translate(*byte) | (s->breaking ? RELEASED : 0);
    s->breaking = false;
    return true;
}

/* Fetch the next byte off a cable, when there is one and the buffer and the cable are free. */
static void fetch(void *opaque)
{
    I8042 *s = opaque;
    int64_t now = clock_now(s->dev.machine->clock);
    bool kbd = ps2_ready(&s->keyboard.port) && !(s->ram[RAM_MODE] & MODE_KBD_OFF);
    bool aux = ps2_ready(&s->mouse.port) && !(s->ram[RAM_MODE] & MODE_AUX_OFF);

    if ((s->status & STATUS_OBF) || (!kbd && !aux)) {
        timer_cancel(&s->cable);
        return;
    }
    if (now < s->cable_free) {
        timer_arm(&s->cable, s->cable_free);
        return;
    }
    while (kbd && !(s->status & STATUS_OBF)) {
        uint8_t byte = ps2_take(&s->keyboard.port);

        if (from_keyboard(s, &byte)) {
            put_output(s, byte, FROM_KEYBOARD);
        }
        kbd = ps2_ready(&s->keyboard.port);
    }
    if (aux && !(s->status & STATUS_OBF)) {
        put_output(s, ps2_take(&s->mouse.port), FROM_AUX);
        ps2_mouse_taken(&s->mouse);
    }
}

static uint8_t read_data(I8042 *s)
{
    if (s->status & STATUS_OBF) {
        s->status &= (uint8_t)~(STATUS_OBF | STATUS_AUX);
        if (s->source != FROM_CONTROLLER) {
            s->cable_free = clock_now(s->dev.machine->clock) + CABLE_NS;
        }
        i8042_update_irqs(s);
        fetch(s);
    }
    return s->output;
}

/* ---- A20 and reset ---- */

static void set_a20(I8042 *s, bool on)
{
    s->a20 = on;
    irq_set(&s->a20_wire, on);
}

static uint8_t output_port(const I8042 *s)
{
    bool full = s->status & STATUS_OBF, aux = s->status & STATUS_AUX;

    return (uint8_t)(OUT_HIGH | OUT_NRESET | (s->a20 ? OUT_A20 : 0) | (full && !aux ? OUT_KBD_FULL : 0) |
                     (full && aux ? OUT_AUX_FULL : 0));
}

static void write_output_port(I8042 *s, uint8_t val)
{
    set_a20(s, val & OUT_A20);
    if (!(val & OUT_NRESET)) {
        machine_request(s->dev.machine, MACHINE_RESET);
    }
}

void i8042_connect_a20(Device *d, IrqSink *sink, void *opaque, int pin)
{
    irq_connect(&((I8042 *)d)->a20_wire, sink, opaque, pin);
}

/* ---- commands ---- */

static void set_mode(I8042 *s, uint8_t mode)
{
    s->ram[RAM_MODE] = mode;
    s->status = (s->status & (uint8_t)~STATUS_SYSTEM) | (mode & MODE_SYSTEM ? STATUS_SYSTEM : 0);
    i8042_update_irqs(s);
    fetch(s);
}

static void controller_command(I8042 *s, uint8_t val)
{
    uint8_t mode = s->ram[RAM_MODE];

    s->command = 0;
    if (val >= CMD_READ_RAM && val < CMD_READ_RAM + RAM_SIZE) {
        put_output(s, s->ram[val - CMD_READ_RAM], FROM_CONTROLLER);
        return;
    }
    if (val >= CMD_WRITE_RAM && val < CMD_WRITE_RAM + RAM_SIZE) {
        s->command = val;
        return;
    }
    if (val >= CMD_PULSE) {                     /* the low four bits that are 0 are pulsed low */
        if (!(val & OUT_NRESET)) {
            machine_request(s->dev.machine, MACHINE_RESET);
        }
        return;
    }
    switch (val) {
    case CMD_PASSWORD_TEST:
        put_output(s, NO_PASSWORD, FROM_CONTROLLER);
        break;
    case CMD_AUX_OFF:
        set_mode(s, mode | MODE_AUX_OFF);
        break;
    case CMD_AUX_ON:
        set_mode(s, mode & (uint8_t)~MODE_AUX_OFF);
        break;
    case CMD_AUX_TEST:
    case CMD_KBD_TEST:
        put_output(s, LINE_OK, FROM_CONTROLLER);
        break;
    case CMD_SELF_TEST:
        set_mode(s, mode | MODE_SYSTEM);
        put_output(s, SELF_TEST_OK, FROM_CONTROLLER);
        break;
    case CMD_KBD_OFF:
        set_mode(s, mode | MODE_KBD_OFF);
        break;
    case CMD_KBD_ON:
        set_mode(s, mode & (uint8_t)~MODE_KBD_OFF);
        break;
    case CMD_READ_IN:
        put_output(s, INPUT_PORT, FROM_CONTROLLER);
        break;
    case CMD_READ_OUT:
        put_output(s, output_port(s), FROM_CONTROLLER);
        break;
    case CMD_WRITE_OUT:
    case CMD_PUT_KBD:
    case CMD_PUT_AUX:
    case CMD_WRITE_AUX:
        s->command = val;
        break;
    case CMD_A20_OFF:
    case CMD_A20_ON:
        set_a20(s, val == CMD_A20_ON);
        break;
    case CMD_READ_TEST:
        put_output(s, 0, FROM_CONTROLLER);
        break;
    default:
        log_guest("i8042", "command 0x%02x does nothing", val);
        break;
    }
}

static void write_data(I8042 *s, uint8_t val)
{
    uint8_t command = s->command;

    s->command = 0;
    if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + RAM_SIZE) {
        if (command == CMD_WRITE_RAM + RAM_MODE) {
            set_mode(s, val);
        } else {
            s->ram[command - CMD_WRITE_RAM] = val;
        }
        return;
    }
    switch (command) {
    case CMD_WRITE_OUT:
        write_output_port(s, val);
        break;
    case CMD_PUT_KBD:
        put_output(s, val, FROM_KEYBOARD);
        break;
    case CMD_PUT_AUX:
        put_output(s, val, FROM_AUX);
        break;
    case CMD_WRITE_AUX:
        set_mode(s, s->ram[RAM_MODE] & (uint8_t)~MODE_AUX_OFF);
        ps2_mouse_write(&s->mouse, val);
        break;
    default:                                    /* data for the keyboard turn its line on */
        set_mode(s, s->ram[RAM_MODE] & (uint8_t)~MODE_KBD_OFF);
        ps2_keyboard_write(&s->keyboard, val);
        break;
    }
}

/* ---- ports ---- */

static uint64_t data_read(void *dev, hwaddr off, unsigned size)
{
    return read_data(dev);
}

static void data_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    I8042 *s = dev;

    s->status &= (uint8_t)~STATUS_COMMAND;
    write_data(s, (uint8_t)val);
}

static uint64_t status_read(void *dev, hwaddr off, unsigned size)
{
    const I8042 *s = dev;

    return s->status | STATUS_UNLOCKED;
}

static void command_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    I8042 *s = dev;

    s->status |= STATUS_COMMAND;
    controller_command(s, (uint8_t)val);
}

static uint64_t port92_read(void *dev, hwaddr off, unsigned size)
{
    const I8042 *s = dev;

    return s->a20 ? PORT92_A20 : 0;
}

static void port92_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    I8042 *s = dev;

    set_a20(s, val & PORT92_A20);
    if (val & PORT92_RESET) {
        machine_request(s->dev.machine, MACHINE_RESET);
    }
}

static const RegionOps data_ops = { .read = data_read, .write = data_write, .size_min = 1, .size_max = 1 };
static const RegionOps command_ops = { .read = status_read, .write = command_write, .size_min = 1, .size_max = 1 };
static const RegionOps port92_ops = { .read = port92_read, .write = port92_write, .size_min = 1, .size_max = 1 };

/* ---- life cycle ---- */

static bool i8042_realize(Device *d, GError **errp)
{
    I8042 *s = (I8042 *)d;
    Input *input = machine_service(d->machine, "input");

    timer_init(&s->cable, d->machine->clock, fetch, s);
    ps2_keyboard_init(&s->keyboard, d->machine->clock, input, fetch, s);
    ps2_mouse_init(&s->mouse, d->machine->clock, input, fetch, s);
    region_init_io(&s->data_io, "i8042-data", 1, &data_ops, s);
    isa_map_io(d, &s->data_io, 0x60);
    region_init_io(&s->command_io, "i8042-command", 1, &command_ops, s);
    isa_map_io(d, &s->command_io, 0x64);
    region_init_io(&s->port92_io, "port92", 1, &port92_ops, s);
    isa_map_io(d, &s->port92_io, 0x92);
    isa_connect_irq(d, &s->kbd_irq, 1);
    isa_connect_irq(d, &s->aux_irq, 12);
    return true;
}

static void i8042_unrealize(Device *d)
{
    I8042 *s = (I8042 *)d;

    if (d->realized) {
        timer_cancel(&s->cable);
        irq_set(&s->kbd_irq, false);
        irq_set(&s->aux_irq, false);
    }
    ps2_keyboard_fini(&s->keyboard);
    ps2_mouse_fini(&s->mouse);
    region_fini(&s->data_io);
    region_fini(&s->command_io);
    region_fini(&s->port92_io);
}

static void i8042_reset(Device *d)
{
    I8042 *s = (I8042 *)d;

    memset(s->ram, 0, sizeof(s->ram));
    s->ram[RAM_MODE] = MODE_KBD_INT | MODE_AUX_INT | MODE_TRANSLATE;    /* as firmware leaves it */
    s->output = s->source = s->command = 0;
    s->status = 0;
    s->breaking = false;
    s->a20 = true;
    s->cable_free = 0;
    timer_cancel(&s->cable);
    ps2_keyboard_reset(&s->keyboard);
    ps2_mouse_reset(&s->mouse);
}

static void i8042_settle(Device *d)
{
    I8042 *s = (I8042 *)d;

    ps2_keyboard_settle(&s->keyboard);
    irq_set(&s->a20_wire, s->a20);
    i8042_update_irqs(s);
    fetch(s);
}

static void i8042_info(Device *d, GString *out)
{
    const I8042 *s = (const I8042 *)d;

    g_string_append_printf(out, "i8042: mode=%02x status=%02x output=%02x A20 %s\n", s->ram[RAM_MODE], s->status,
                           s->output, s->a20 ? "on" : "off");
    g_string_append_printf(out, "  keyboard: set %u%s%s, leds=%x, %u bytes waiting\n", s->keyboard.scan_set,
                           s->ram[RAM_MODE] & MODE_TRANSLATE ? " translated" : "",
                           s->keyboard.scanning ? "" : " (disabled)", s->keyboard.leds,
                           s->keyboard.port.reply.count + s->keyboard.port.events.count);
    g_string_append_printf(out, "  mouse: id %u%s, rate %u, buttons=%x, %u bytes waiting\n", s->mouse.id,
                           s->mouse.reporting ? "" : " (disabled)", s->mouse.rate, s->mouse.buttons,
                           s->mouse.port.reply.count + s->mouse.port.events.count);
}

static bool i8042_after_load(void *obj, GError **errp)
{
    const I8042 *s = obj;

    if (s->source > FROM_CONTROLLER || s->cable_free < 0) {
        error_set(errp, "i8042: no such state: output from %u", s->source);
        return false;
    }
    return true;
}

static const StateField i8042_fields[] = {
    STATE_NOT(I8042, dev, "device core"),
    STATE_NOT(I8042, data_io, "mapping, made by realize"),
    STATE_NOT(I8042, command_io, "mapping, made by realize"),
    STATE_NOT(I8042, port92_io, "mapping, made by realize"),
    STATE_SUB(I8042, keyboard, &ps2_keyboard_state),
    STATE_SUB(I8042, mouse, &ps2_mouse_state),
    STATE_BUF(I8042, ram), STATE_U(I8042, output), STATE_U(I8042, status), STATE_U(I8042, source),
    STATE_U(I8042, command), STATE_U(I8042, breaking), STATE_U(I8042, a20), STATE_U(I8042, cable_free),
    STATE_NOT(I8042, cable, "armed by settle from cable_free"),
    STATE_NOT(I8042, kbd_irq, "wire, driven by settle"),
    STATE_NOT(I8042, aux_irq, "wire, driven by settle"),
    STATE_NOT(I8042, a20_wire, "wire, driven by settle"),
    STATE_DONE,
};
static const StateTable i8042_state = {
    .name = "i8042", .version = 1, .fields = i8042_fields, .after_load = i8042_after_load,
};

const DeviceClass i8042_class = {
    .name = "i8042",
    .summary = "keyboard controller with PS/2 keyboard and mouse",
    .bus = "isa",
    .size = sizeof(I8042),
    .board_only = true,
    .state = &i8042_state,
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
    .settle = i8042_settle,
    .info = i8042_info,
};
