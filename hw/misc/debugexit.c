/*
 * Debug exit ("isa-debug-exit"): a write of v ends the emulator with the exit status (v << 1) | 1,
 * which a test program's runner can tell from every other way to end (the status is never 0).
 *
 * The interface that kvm-unit-tests and its kin know.  Reads give 0.
 *
 * Not modelled: nothing, no such hardware exists.
 */
#include "core/machine.h"
#include "hw/isa.h"
#include "util/error.h"

typedef struct DebugExit {
    Device dev;
    uint16_t iobase;
    uint32_t iosize;
    Region io;
} DebugExit;

static uint64_t debug_exit_read(void *dev, hwaddr off, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    DebugExit *s = dev;

    machine_quit(s->dev.machine, (int)((uint32_t)val << 1 | 1));
}

static const RegionOps debug_exit_io = {
    .read = debug_exit_read, .write = debug_exit_write, .size_min = 1, .size_max = 4,
};

static bool debug_exit_realize(Device *d, GError **errp)
{
    DebugExit *s = (DebugExit *)d;

    if (s->iosize == 0 || s->iobase + s->iosize > 0x10000) {
        error_set(errp, "isa-debug-exit: ports 0x%x and on, %u of them, do not fit into the 65536 there are",
                  s->iobase, s->iosize);
        return false;
    }
    region_init_io(&s->io, "debug-exit", s->iosize, &debug_exit_io, s);
    isa_map_io(d, &s->io, s->iobase);
    return true;
}

static void debug_exit_unrealize(Device *d)
{
    region_fini(&((DebugExit *)d)->io);
}

static const Property debug_exit_props[] = {
    PROP_U(DebugExit, iobase, "iobase", 0x501, 0xffff, "first I/O port"),
    PROP_U(DebugExit, iosize, "iosize", 4, 0x10000, "number of ports"),
    PROP_DONE,
};

static const StateField debug_exit_fields[] = {
    STATE_NOT(DebugExit, dev, "device core"),
    STATE_NOT(DebugExit, iobase, "option"),
    STATE_NOT(DebugExit, iosize, "option"),
    STATE_NOT(DebugExit, io, "mapping, made by realize"),
    STATE_DONE,
};
static const StateTable debug_exit_state = {
    .name = "isa-debug-exit", .version = 1, .fields = debug_exit_fields,
};

const DeviceClass isa_debug_exit_class = {
    .name = "isa-debug-exit",
    .summary = "port that ends the emulator with a status",
    .bus = "isa",
    .size = sizeof(DebugExit),
    .props = debug_exit_props,
    .state = &debug_exit_state,
    .realize = debug_exit_realize,
    .unrealize = debug_exit_unrealize,
};
