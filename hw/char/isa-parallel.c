/*
 * A parallel port on the ISA bus ("isa-parallel"): data, status and control registers in the standard
 * (output) mode, a strobed byte goes to a character back end.
 *
 * IEEE 1284-1994, compatibility mode; IBM PC printer adapter.  The printer is always on line; it is
 * busy while the back end is full.  The acknowledge holds the interrupt until the guest reads the
 * status or strobes again (the pulse of a real printer is too short for a guest that looks away).
 *
 * Not modelled: EPP, ECP, data coming in (bit 5 of control reads the data register back).
 */
#include "chardev/chardev.h"
#include "core/machine.h"
#include "hw/isa.h"
#include "util/error.h"

enum { REG_DATA, REG_STATUS, REG_CONTROL, REG_COUNT };
enum {
    STATUS_READY = 0x80, STATUS_NACK = 0x40, STATUS_SELECTED = 0x10, STATUS_NERROR = 0x08, STATUS_UNUSED = 0x07,
    CONTROL_STROBE = 0x01, CONTROL_NINIT = 0x04, CONTROL_IRQ = 0x10, CONTROL_WRITABLE = 0x3f, CONTROL_UNUSED = 0xc0,
    PORTS = 3, AUTO = 0xff,
};

typedef struct IsaParallel {
    Device dev;
    uint8_t index, irq_number;          /* options; AUTO: the next free one, and what belongs to it */
    uint16_t iobase;                    /* option; 0: by index */
    CharBack *chr;
    Region io;
    IrqWire irq;
    uint8_t data, control;
    uint8_t byte;                       /* strobed, and not yet taken by the back end */
    bool busy, acknowledged;
    bool waiting;                       /* for the back end to take the byte */
} IsaParallel;

static const struct {
    uint16_t iobase;
    uint8_t irq;
} lpt[PORTS] = { { 0x378, 7 }, { 0x278, 5 }, { 0x3bc, 7 } };

static void parallel_update_irq(IsaParallel *s)
{
    irq_set(&s->irq, s->acknowledged && (s->control & CONTROL_IRQ));
}

static void parallel_send(IsaParallel *s);

static void back_end_writable(void *opaque)
{
    IsaParallel *s = opaque;

    s->waiting = false;
    parallel_send(s);
}

static void parallel_send(IsaParallel *s)
{
    if (!s->busy || s->waiting) {
        return;
    }
    if (s->chr && chardev_write(s->chr, &s->byte, 1) == 0) {
        s->waiting = true;
        chardev_on_writable(s->chr, back_end_writable, s);
        return;
    }
    s->busy = false;
    s->acknowledged = true;
    parallel_update_irq(s);
}

static uint64_t parallel_read(void *dev, hwaddr off, unsigned size)
{
    IsaParallel *s = dev;
    uint8_t status;

    switch (off) {
    case REG_DATA:
        return s->data;
    case REG_STATUS:
        status = STATUS_SELECTED | STATUS_NERROR | STATUS_NACK | STATUS_UNUSED | (s->busy ? 0 : STATUS_READY);
        s->acknowledged = false;
        parallel_update_irq(s);
        return status;
    default:
        return s->control | CONTROL_UNUSED;
    }
}

static void parallel_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    IsaParallel *s = dev;
    bool strobe;

    switch (off) {
    case REG_DATA:
        s->data = (uint8_t)val;
        break;
    case REG_CONTROL:
        strobe = (val & CONTROL_STROBE) && !(s->control & CONTROL_STROBE);
        s->control = val & CONTROL_WRITABLE;
        if (strobe && (val & CONTROL_NINIT) && !s->busy) {
            s->acknowledged = false;
            parallel_update_irq(s);
            s->byte = s->data;
            s->busy = true;
            parallel_send(s);
        }
        parallel_update_irq(s);
        break;
    default:
        break;                                  /* status is read-only */
    }
}

static const RegionOps parallel_io = {
    .read = parallel_read, .write = parallel_write, .size_min = 1, .size_max = 1,
};

/* ---- life cycle ---- */

static unsigned free_index(Device *d)
{
    unsigned used = 0, n = 0;

    for (const Device *o = d->bus->devices; o; o = o->next) {
        if (o != d && o->realized && o->cls == d->cls) {
            used |= 1u << ((const IsaParallel *)o)->index;
        }
    }
    while (n < PORTS && (used >> n & 1)) {
        n++;
    }
    return n;
}

/* Nothing is ever received. */
static size_t parallel_room(void *dev)
{
    return 0;
}

static const CharFront parallel_front = { .room = parallel_room };

static bool parallel_realize(Device *d, GError **errp)
{
    IsaParallel *s = (IsaParallel *)d;

    if (s->index == AUTO) {
        s->index = (uint8_t)free_index(d);
    }
    if (s->index >= PORTS) {
        error_set(errp, "isa-parallel: there are %u parallel ports, index 0 to %u, and no more", PORTS, PORTS - 1);
        return false;
    }
    if (s->iobase == 0) {
        s->iobase = lpt[s->index].iobase;
    }
    if (s->irq_number == AUTO) {
        s->irq_number = lpt[s->index].irq;
    }
    if (s->irq_number > 15 || s->iobase > 0x10000 - REG_COUNT) {
        error_set(errp, "isa-parallel: there is no interrupt %u or no port 0x%x: interrupts are 0 to 15, "
                  "ports below 0xfffe", s->irq_number, s->iobase);
        return false;
    }
    if (s->chr && !chardev_attach(s->chr, &parallel_front, s, errp)) {
        s->chr = NULL;
        return false;
    }
    region_init_io(&s->io, "parallel", REG_COUNT, &parallel_io, s);
    isa_map_io(d, &s->io, s->iobase);
    isa_connect_irq(d, &s->irq, s->irq_number);
    return true;
}

static void parallel_unrealize(Device *d)
{
    IsaParallel *s = (IsaParallel *)d;

    if (d->realized) {
        irq_set(&s->irq, false);
        if (s->chr) {
            chardev_detach(s->chr, s);
        }
    }
    region_fini(&s->io);
}

static void parallel_reset(Device *d)
{
    IsaParallel *s = (IsaParallel *)d;

    s->data = 0;
    s->control = CONTROL_NINIT | 0x08;          /* as the BIOS leaves it: initialised, selected */
    s->byte = 0;
    s->busy = s->acknowledged = false;
}

static void parallel_settle(Device *d)
{
    IsaParallel *s = (IsaParallel *)d;

    parallel_send(s);
    parallel_update_irq(s);
}

static void parallel_info(Device *d, GString *out)
{
    const IsaParallel *s = (const IsaParallel *)d;

    g_string_append_printf(out, "%s: data=%02x control=%02x%s, chardev %s\n", d->id, s->data, s->control,
                           s->busy ? " busy" : "", s->chr ? chardev_id(s->chr) : "none");
}

static const Property parallel_props[] = {
    PROP_U(IsaParallel, iobase, "iobase", 0, 0xffff, "first of 3 I/O ports; 0: by index"),
    PROP_U(IsaParallel, irq_number, "irq", AUTO, AUTO, "interrupt line 0 to 15; 255: by index"),
    PROP_U(IsaParallel, index, "index", AUTO, AUTO, "which LPT port, 0 to 2; 255: the next free one"),
    PROP_CHR(IsaParallel, chr, "chardev", "where what is printed goes"),
    PROP_DONE,
};

static const StateField parallel_fields[] = {
    STATE_NOT(IsaParallel, dev, "device core"),
    STATE_NOT(IsaParallel, index, "option"),
    STATE_NOT(IsaParallel, irq_number, "option"),
    STATE_NOT(IsaParallel, iobase, "option"),
    STATE_NOT(IsaParallel, chr, "back end"),
    STATE_NOT(IsaParallel, io, "mapping, made by realize"),
    STATE_NOT(IsaParallel, irq, "wire, driven by settle"),
    STATE_U(IsaParallel, data), STATE_U(IsaParallel, control), STATE_U(IsaParallel, byte),
    STATE_U(IsaParallel, busy), STATE_U(IsaParallel, acknowledged),
    STATE_NOT(IsaParallel, waiting, "of the back end; settle tries again"),
    STATE_DONE,
};
static const StateTable parallel_state = { .name = "isa-parallel", .version = 1, .fields = parallel_fields };

const DeviceClass isa_parallel_class = {
    .name = "isa-parallel",
    .summary = "parallel printer port",
    .bus = "isa",
    .size = sizeof(IsaParallel),
    .props = parallel_props,
    .state = &parallel_state,
    .realize = parallel_realize,
    .unrealize = parallel_unrealize,
    .reset = parallel_reset,
    .settle = parallel_settle,
    .info = parallel_info,
};
