/*
 * What local APICs share ("apic-bus"): who gets a message, the register page at 0xfee00000 that
 * shows each processor its own APIC, and the wire from the 8259 to the first one's LINT0.
 *
 * Intel SDM vol. 3, 11.6 (destinations), 11.11 (message-signalled interrupts).
 * Lowest-priority arbitration picks the lowest arbitration priority, and the lowest ID among equals.
 *
 * Not modelled: the bus of three wires that carried the messages, its arbitration IDs, focus.
 */
#include "apic.h"

#include "util/error.h"

enum {
    PAGE_AT = 0xfee00000,
    MSI_LOGICAL = 1 << 2, MSI_HINT = 1 << 3, MSI_ASSERT = 1 << 14, MSI_LEVEL = 1 << 15,
    MAX_IOAPICS = 4,
};

typedef struct EoiListener {
    void (*eoi)(void *ioapic, uint8_t vector);
    void *ioapic;
} EoiListener;

struct ApicBus {
    Device dev;
    Bus bus;
    Region page;
    Device *pic;
    Apic *apics[APIC_MAX];
    EoiListener listeners[MAX_IOAPICS];
    unsigned count, n_listeners;        /* apics[] are used up to count, with gaps */
};

static bool apic_bus_plug(Bus *b, Device *d, GError **errp)
{
    return true;        /* realize takes the place: only it knows the processor */
}

const BusClass apic_bus_class = { .name = "apic", .plug = apic_bus_plug };

Bus *apic_bus(Device *apics)
{
    return &((ApicBus *)apics)->bus;
}

Device *apic_bus_find(Machine *m)
{
    return machine_service(m, "apic");
}

Device *apic_bus_pic(ApicBus *s)
{
    return s->pic;
}

bool apic_bus_attach(ApicBus *s, Apic *a, GError **errp)
{
    if (s->apics[a->cpu]) {
        error_set(errp, "apic: processor %u has one already", a->cpu);
        return false;
    }
    s->apics[a->cpu] = a;
    s->count = MAX(s->count, a->cpu + 1);
    return true;
}

void apic_bus_detach(ApicBus *s, Apic *a)
{
    s->apics[a->cpu] = NULL;
}

void apic_bus_add_ioapic(Device *apics, void (*eoi)(void *ioapic, uint8_t vector), void *ioapic)
{
    ApicBus *s = (ApicBus *)apics;

    g_assert(s->n_listeners < MAX_IOAPICS);     /* boards have one or two */
    s->listeners[s->n_listeners++] = (EoiListener){ eoi, ioapic };
}

void apic_bus_remove_ioapic(Device *apics, void *ioapic)
{
    ApicBus *s = (ApicBus *)apics;

    for (unsigned i = 0; i < s->n_listeners; i++) {
        if (s->listeners[i].ioapic == ioapic) {
            s->listeners[i] = s->listeners[--s->n_listeners];
        }
    }
}

void apic_bus_eoi(ApicBus *s, uint8_t vector)
{
    for (unsigned i = 0; i < s->n_listeners; i++) {
        s->listeners[i].eoi(s->listeners[i].ioapic, vector);
    }
}

/* ---- messages ---- */

static bool deliver(ApicBus *s, const ApicMessage *msg, unsigned shorthand, const Apic *from)
{
    Apic *best = NULL;
    bool taken = false;

    for (unsigned i = 0; i < s->count; i++) {
        Apic *a = s->apics[i];

        if (!a || (shorthand == 1 && a != from) || (shorthand == 3 && a == from) ||
            (shorthand == 0 && !apic_matches(a, msg))) {
            continue;
        }
        if (msg->mode != APIC_LOWEST) {
            taken |= apic_accept(a, msg);
        } else if (apic_takes_vectors(a) &&
                   (!best || apic_arbitration_priority(a) < apic_arbitration_priority(best))) {
            best = a;
        }
    }
    return best ? apic_accept(best, msg) : taken;
}

void apic_bus_send(ApicBus *s, Apic *from, unsigned shorthand, const ApicMessage *msg)
{
    deliver(s, msg, shorthand, from);
}

void apic_message_to_msi(const ApicMessage *msg, uint64_t *address, uint32_t *data)
{
    *address = PAGE_AT | (uint64_t)(msg->dest & 0xff) << 12 | (msg->logical ? MSI_LOGICAL : 0);
    *data = msg->vector | (uint32_t)msg->mode << 8 | (msg->level ? MSI_LEVEL | MSI_ASSERT : 0);
}

bool apic_bus_deliver(Device *apics, const ApicMessage *msg)
{
    const Irqchip *kernel = apics->machine->irqchip;

    if (kernel) {
        uint64_t address;
        uint32_t data;

        apic_message_to_msi(msg, &address, &data);
        return kernel->send(kernel->opaque, address, data);
    }
    return deliver((ApicBus *)apics, msg, 0, NULL);
}

bool apic_bus_deliver_msi(Device *apics, uint64_t addr, uint32_t data)
{
    ApicMessage msg = {
        .dest = addr >> 12 & 0xff, .logical = addr & MSI_LOGICAL, .mode = (ApicMode)(data >> 8 & 7),
        .vector = (uint8_t)data, .level = data & MSI_LEVEL,
    };

    if ((addr & ~0xfffffull) != PAGE_AT) {
        return false;
    }
    if ((addr & MSI_HINT) && msg.logical && msg.mode == APIC_FIXED) {
        msg.mode = APIC_LOWEST;
    }
    return apic_bus_deliver(apics, &msg);
}

void apic_bus_nmi(Device *apics)
{
    ApicBus *s = (ApicBus *)apics;

    for (unsigned i = 0; i < s->count; i++) {
        if (s->apics[i]) {
            apic_lint1_edge(s->apics[i]);
        }
    }
}

static void pic_changed(void *opaque, int pin, bool level)
{
    ApicBus *s = opaque;

    if (s->apics[0]) {
        apic_set_lint0(s->apics[0], level);
    }
}

void apic_bus_connect_pic(Device *apics, Device *pic)
{
    ((ApicBus *)apics)->pic = pic;
    pic_connect_intr(pic, pic_changed, apics, 0);
}

/* ---- the register page ---- */

/* Whose APIC is meant: the asking processor's; outside one (a debugger, a test), the first one's. */
static Apic *asked(ApicBus *s)
{
    const Vcpu *c = vcpu_current();
    unsigned index = c ? c->index : 0;

    return index < APIC_MAX ? s->apics[index] : NULL;
}

static uint64_t page_read(void *dev, hwaddr off, unsigned size)
{
    Apic *a = asked(dev);

    if (!a || !apic_uses_mmio(a)) {
        return 0xffffffff;
    }
    return off & 0xc ? 0 : apic_read(a, off >> 4);      /* a register has 32 bits of its 16 bytes */
}

static void page_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Apic *a = asked(dev);

    if (a && apic_uses_mmio(a) && !(off & 0xc)) {
        apic_write(a, off >> 4, (uint32_t)val);
    }
}

static const RegionOps page_ops = { .read = page_read, .write = page_write, .size_min = 4, .size_max = 4 };

/* ---- life cycle ---- */

static bool apic_bus_realize(Device *d, GError **errp)
{
    ApicBus *s = (ApicBus *)d;

    bus_init(&s->bus, &apic_bus_class, d, NULL);
    region_init_io(&s->page, "apic", PAGE_SIZE, &page_ops, s);
    region_map(&d->machine->mem_root, PAGE_AT, &s->page, 1);
    machine_provide(d->machine, "apic", d);
    return true;
}

static void apic_bus_unrealize(Device *d)
{
    ApicBus *s = (ApicBus *)d;

    if (s->bus.cls) {
        bus_fini(&s->bus);
        region_fini(&s->page);
        machine_provide(d->machine, "apic", NULL);
    }
}

static const StateField apic_bus_fields[] = {
    STATE_NOT(ApicBus, dev, "device core"),
    STATE_NOT(ApicBus, bus, "made by realize"),
    STATE_NOT(ApicBus, page, "mapping, made by realize"),
    STATE_NOT(ApicBus, pic, "wired by the board"),
    STATE_NOT(ApicBus, apics, "made by the board"),
    STATE_NOT(ApicBus, listeners, "made by the board"),
    STATE_NOT(ApicBus, count, "made by the board"),
    STATE_NOT(ApicBus, n_listeners, "made by the board"),
    STATE_DONE,
};
static const StateTable apic_bus_state = { .name = "apic-bus", .version = 1, .fields = apic_bus_fields };

const DeviceClass apic_bus_device_class = {
    .name = "apic-bus",
    .summary = "message bus and register page of the local APICs",
    .size = sizeof(ApicBus),
    .board_only = true,
    .state = &apic_bus_state,
    .realize = apic_bus_realize,
    .unrealize = apic_bus_unrealize,
};
