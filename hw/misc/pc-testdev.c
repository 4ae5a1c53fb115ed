/*
 * Test device ("pc-testdev") for guest programs that test a processor: what kvm-unit-tests and its kin
 * look for on a PC.
 *
 *     port 0xe0..0xe3        read back what was written, at any width
 *     port 0xe4              a write of a physical address: translations of it and code from it are dropped
 *     port 0x2000 + n        a write is the level of interrupt line n: 0..15 of the ISA bus, above that
 *                            pins of the I/O APIC
 *     port 0x2020 + n        a write of any byte is a rising edge of line n of the ISA bus, 0..15.  Under KVM the
 *                            guest goes on meanwhile, and with kernel_irqchip=on nobody but the kernel takes part
 *     memory at 0xff000000   64 KiB that behave as RAM, by device accesses
 *
 * Not modelled: nothing, no such hardware exists.
 */
#include <string.h>
#include "core/doorbell.h"
#include "core/machine.h"
#include "hw/intc.h"
#include "hw/isa.h"
#include "util/error.h"

enum { ECHO_PORT = 0xe0, FLUSH_PORT = 0xe4, LINE_PORT = 0x2000, PULSE_PORT = 0x2020, LINES = 24, ISA_LINES = 16,
       MEM_SIZE = 0x10000 };
static const hwaddr MEM_AT = 0xff000000;

typedef struct PcTestdev {
    Device dev;
    uint8_t echo[4];
    uint8_t mem[MEM_SIZE];
    uint32_t lines;             /* levels, a bit each */
    uint16_t pulsed;            /* levels that pulses have left */
    IrqWire irq[ISA_LINES], pulse_irq[ISA_LINES];
    IrqPulse pulse[ISA_LINES];
    Doorbell bell[ISA_LINES];
    Region echo_io, flush_io, lines_io, pulse_io[ISA_LINES], mem_io;
} PcTestdev;

/* ---- bytes that are read back ---- */

static uint64_t load(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    return v;
}

static uint64_t echo_read(void *dev, hwaddr off, unsigned size)
{
    return load(((PcTestdev *)dev)->echo + off, size);
}

static void echo_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    memcpy(((PcTestdev *)dev)->echo + off, &val, size);
}

static uint64_t mem_read(void *dev, hwaddr off, unsigned size)
{
    return load(((PcTestdev *)dev)->mem + off, size);
}

static void mem_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    memcpy(((PcTestdev *)dev)->mem + off, &val, size);
}

static const RegionOps echo_ops = { .read = echo_read, .write = echo_write, .size_min = 1, .size_max = 4 };
static const RegionOps mem_ops = { .read = mem_read, .write = mem_write, .size_min = 1, .size_max = 8 };

/* ---- flushing ---- */

static uint64_t no_read(void *dev, hwaddr off, unsigned size)
{
    return 0;
}

static void drop_translations(Vcpu *v, void *arg)
{
    if (v->map_changed) {
        v->map_changed(v);
    }
}

static void flush_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Machine *m = ((PcTestdev *)dev)->dev.machine;
    hwaddr page = val & ~(uint64_t)(PAGE_SIZE - 1);

    for (guint i = 0; i < m->vcpus->len; i++) {
        vcpu_post(g_ptr_array_index(m->vcpus, i), drop_translations, NULL);
    }
    as_code_changed(m->mem, page, PAGE_SIZE);
}

static const RegionOps flush_ops = { .read = no_read, .write = flush_write, .size_min = 1, .size_max = 4 };

/* ---- interrupt lines ---- */

static void drive(PcTestdev *s, unsigned n)
{
    bool level = s->lines >> n & 1;

    if (n < ISA_LINES) {
        irq_set(&s->irq[n], level);
    } else {
        Device *ioapic = machine_find(s->dev.machine, "ioapic");
        if (ioapic) {
            ioapic_set_input(ioapic, (int)n, level);
        }
    }
}

static void line_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    PcTestdev *s = dev;
    uint32_t bit = 1u << off;

    s->lines = val ? s->lines | bit : s->lines & ~bit;
    drive(s, (unsigned)off);
}

static const RegionOps line_ops = { .read = no_read, .write = line_write, .size_min = 1, .size_max = 1 };

/* All writes are signals. */
static const RegionOps pulse_ops = { .read = no_read, .size_min = 1, .size_max = 1 };

/* ---- the device ---- */

static bool make_pulse(PcTestdev *s, unsigned n, GError **errp)
{
    if (!irq_pulse_init(&s->pulse[n], s->dev.machine, &s->pulse_irq[n], n, errp)) {
        return false;
    }
    isa_connect_irq(&s->dev, &s->pulse_irq[n], n);
    s->bell[n].pulse = &s->pulse[n];
    region_init_io(&s->pulse_io[n], "testdev-pulse", 1, &pulse_ops, s);
    region_set_doorbell(&s->pulse_io[n], &s->bell[n]);
    isa_map_io(&s->dev, &s->pulse_io[n], (uint16_t)(PULSE_PORT + n));
    return true;
}

static bool pc_testdev_realize(Device *d, GError **errp)
{
    PcTestdev *s = (PcTestdev *)d;

    region_init_io(&s->echo_io, "testdev-echo", sizeof(s->echo), &echo_ops, s);
    region_init_io(&s->flush_io, "testdev-flush", 4, &flush_ops, s);
    region_init_io(&s->lines_io, "testdev-lines", LINES, &line_ops, s);
    region_init_io(&s->mem_io, "testdev-memory", MEM_SIZE, &mem_ops, s);
    for (unsigned i = 0; i < ISA_LINES; i++) {
        isa_connect_irq(d, &s->irq[i], i);
    }
    isa_map_io(d, &s->echo_io, ECHO_PORT);
    isa_map_io(d, &s->flush_io, FLUSH_PORT);
    isa_map_io(d, &s->lines_io, LINE_PORT);
    region_map(isa_bus(d)->mem, MEM_AT, &s->mem_io, 0);
    for (unsigned i = 0; i < ISA_LINES; i++) {
        if (!make_pulse(s, i, errp)) {
            return false;
        }
    }
    return true;
}

static void pc_testdev_unrealize(Device *d)
{
    PcTestdev *s = (PcTestdev *)d;

    for (unsigned i = 0; i < ISA_LINES; i++) {
        region_fini(&s->pulse_io[i]);
        irq_pulse_fini(&s->pulse[i]);
    }
    region_fini(&s->mem_io);
    region_fini(&s->lines_io);
    region_fini(&s->flush_io);
    region_fini(&s->echo_io);
}

static void pc_testdev_reset(Device *d)
{
    PcTestdev *s = (PcTestdev *)d;

    memset(s->echo, 0, sizeof(s->echo));
    memset(s->mem, 0, sizeof(s->mem));
    s->lines = 0;
    s->pulsed = 0;
}

static void pc_testdev_settle(Device *d)
{
    PcTestdev *s = (PcTestdev *)d;

    for (unsigned n = 0; n < LINES; n++) {
        drive(s, n);
    }
    for (unsigned n = 0; n < ISA_LINES; n++) {
        irq_set(&s->pulse_irq[n], s->pulsed >> n & 1);
    }
}

static void pc_testdev_before_save(void *obj)
{
    PcTestdev *s = obj;

    s->pulsed = 0;
    for (unsigned n = 0; n < ISA_LINES; n++) {
        s->pulsed |= s->pulse_irq[n].level << n;
    }
}

static const StateField pc_testdev_fields[] = {
    STATE_NOT(PcTestdev, dev, "device core"),
    STATE_BUF(PcTestdev, echo),
    STATE_BUF(PcTestdev, mem),
    STATE_U(PcTestdev, lines),
    { STATE_F_(PcTestdev, pulsed, STATE_UINT), .count = 1, .since = 2 },
    STATE_NOT(PcTestdev, irq, "driven by settle"),
    STATE_NOT(PcTestdev, pulse_irq, "driven by settle, from pulsed"),
    STATE_NOT(PcTestdev, pulse, "made by realize"),
    STATE_NOT(PcTestdev, bell, "made by realize"),
    STATE_NOT(PcTestdev, pulse_io, "mapping, made by realize"),
    STATE_NOT(PcTestdev, echo_io, "mapping, made by realize"),
    STATE_NOT(PcTestdev, flush_io, "mapping, made by realize"),
    STATE_NOT(PcTestdev, lines_io, "mapping, made by realize"),
    STATE_NOT(PcTestdev, mem_io, "mapping, made by realize"),
    STATE_DONE,
};

static bool pc_testdev_after_load(void *obj, GError **errp)
{
    PcTestdev *s = obj;

    if (s->lines >> LINES) {
        error_set(errp, "pc-testdev: interrupt lines 0x%x, but there are %u", s->lines, LINES);
        return false;
    }
    return true;
}

static const StateTable pc_testdev_state = {
    .name = "pc-testdev", .version = 2, .fields = pc_testdev_fields, .before_save = pc_testdev_before_save,
    .after_load = pc_testdev_after_load,
};

const DeviceClass pc_testdev_class = {
    .name = "pc-testdev",
    .summary = "for programs that test a processor: echo, flush, interrupt lines, slow memory",
    .bus = "isa",
    .size = sizeof(PcTestdev),
    .state = &pc_testdev_state,
    .realize = pc_testdev_realize,
    .unrealize = pc_testdev_unrealize,
    .reset = pc_testdev_reset,
    .settle = pc_testdev_settle,
};
