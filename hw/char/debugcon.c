/*
 * Debug console ("isa-debugcon"): one I/O port whose writes appear on a character back end.
 *
 * The convention of Bochs' port 0xe9: a read returns a fixed byte (0xe9 unless set) by which
 * firmware finds out whether anyone listens.  docs/adding-a-device.md walks through this file.
 *
 * Not modelled: being busy.  The port has no way to say so: what a full back end does not take is lost.
 */
#include "chardev/chardev.h"
#include "hw/isa.h"
#include "util/error.h"

typedef struct Debugcon {
    Device dev;
    uint16_t iobase;
    uint8_t readback;
    CharBack *chr;
    Region io;
} Debugcon;

static uint64_t debugcon_read(void *dev, hwaddr off, unsigned size)
{
    const Debugcon *s = dev;

    return s->readback;
}

static void debugcon_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Debugcon *s = dev;
    uint8_t byte = (uint8_t)val;

    chardev_write(s->chr, &byte, 1);
}

static const RegionOps debugcon_io = {
    .read = debugcon_read, .write = debugcon_write, .size_min = 1, .size_max = 1,
};

/* Nothing is ever received. */
static size_t debugcon_room(void *dev)
{
    return 0;
}

static const CharFront debugcon_front = { .room = debugcon_room };

static bool debugcon_realize(Device *d, GError **errp)
{
    Debugcon *s = (Debugcon *)d;

    if (!s->chr) {
        error_set(errp, "isa-debugcon shows what the guest writes on a character device: say which, chardev=ID");
        return false;
    }
    if (!chardev_attach(s->chr, &debugcon_front, s, errp)) {
        s->chr = NULL;
        return false;
    }
    region_init_io(&s->io, "debugcon", 1, &debugcon_io, s);
    isa_map_io(d, &s->io, s->iobase);
    return true;
}

static void debugcon_unrealize(Device *d)
{
    Debugcon *s = (Debugcon *)d;

    if (d->realized) {
        chardev_detach(s->chr, s);
        region_fini(&s->io);
    }
}

static void debugcon_info(Device *d, GString *out)
{
    const Debugcon *s = (const Debugcon *)d;

    g_string_append_printf(out, "%s: port 0x%x to chardev %s\n", d->id, s->iobase, chardev_id(s->chr));
}

static const Property debugcon_props[] = {
    PROP_U(Debugcon, iobase, "iobase", 0xe9, 0xffff, "I/O port"),
    PROP_U(Debugcon, readback, "readback", 0xe9, 0xff, "byte that reads return"),
    PROP_CHR(Debugcon, chr, "chardev", "where writes go"),
    PROP_DONE,
};

static const StateField debugcon_fields[] = {
    STATE_NOT(Debugcon, dev, "device core"),
    STATE_NOT(Debugcon, iobase, "option"),
    STATE_NOT(Debugcon, readback, "option"),
    STATE_NOT(Debugcon, chr, "back end"),
    STATE_NOT(Debugcon, io, "mapping, made by realize"),
    STATE_DONE,
};
static const StateTable debugcon_state = { .name = "isa-debugcon", .version = 1, .fields = debugcon_fields };

const DeviceClass isa_debugcon_class = {
    .name = "isa-debugcon",
    .summary = "debug console port",
    .bus = "isa",
    .size = sizeof(Debugcon),
    .props = debugcon_props,
    .state = &debugcon_state,
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
    .info = debugcon_info,
};
