/*
 * The machine around a device under test; see harness.h.
 */
#include "harness.h"

#include <string.h>
#include <unistd.h>
#include "hw/intc.h"
#include "hw/pc.h"
#include "util/error.h"

static void isa_edge(void *opaque, int pin, bool level)
{
    Harness *h = opaque;

    h->edges[pin] += level;
}

static unsigned map_pci_irq(void *opaque, unsigned slot, unsigned pin)
{
    return (slot + pin) & 3;
}

static void set_pci_irq(void *opaque, unsigned line, bool level)
{
    Harness *h = opaque;

    h->pci_line[line & 3] = level;
}

static const PciBusOps pci_ops = { .map_irq = map_pci_irq, .set_irq = set_pci_irq };

static void *resolve(void *opaque, PropKind kind, const char *id, GError **errp)
{
    Harness *h = opaque;

    if (kind == PROP_CHARDEV && !strcmp(id, "fake")) {
        return h->chr.back;
    }
    error_set(errp, "there is no '%s'", id);
    return NULL;
}

/* What a bare machine and a board have in common: processors and a user. */
static Harness *harness_base(void)
{
    Harness *h = g_new0(Harness, 1);

    h->m = machine_new(clock_new_manual());
    machine_lock(h->m);
    h->m->resolve = resolve;
    h->m->resolve_opaque = h;
    for (unsigned i = 0; i < HARNESS_CPUS; i++) {
        vcpu_init(&h->vcpu[i], h->m, i);
        g_ptr_array_add(h->m->vcpus, &h->vcpu[i]);
    }
    h->input = input_new();
    machine_provide(h->m, "input", h->input);
    h->chr.back = (CharBack *)&h->chr;
    h->chr.output = g_string_new(NULL);
    h->chr.input = g_byte_array_new();
    h->chr.limit = 1 << 20;
    return h;
}

Harness *harness_empty(void)
{
    Harness *h = harness_base();
    GError *err = NULL;

    region_init_ram(&h->ram, "ram", HARNESS_RAM, &err);
    g_assert_no_error(err);
    region_map(&h->m->mem_root, 0, &h->ram, 0);
    h->root.machine = h->m;
    h->root.id = (char *)"harness";
    isa_bus_init(&h->isa, &h->root, &h->m->io_root, &h->m->mem_root);
    machine_provide(h->m, "isa", &h->isa);
    for (int i = 0; i < 16; i++) {
        irq_connect(&h->isa.irq[i], isa_edge, h, i);
    }
    pci_bus_init(&h->pci, &h->root, &h->m->io_root, &h->m->mem_root);
    pci_bus_set_irqs(&h->pci, &pci_ops, h);
    return h;
}

/* A ROM image of so many KiB with nothing but its signature in it. */
static char *empty_rom(unsigned kib, GError **errp)
{
    g_autofree uint8_t *image = g_malloc0(kib << 10);
    char *path = NULL;
    int fd = g_file_open_tmp("tinamou-rom-XXXXXX", &path, errp);

    if (fd < 0) {
        return NULL;
    }
    close(fd);
    memcpy(image, "\x55\xaa", 2);
    image[2] = (uint8_t)(kib * 2);
    if (!g_file_set_contents(path, (const char *)image, kib << 10, errp)) {
        g_clear_pointer(&path, g_free);
    }
    return path;
}

Harness *harness_board(GError **errp)
{
    g_autofree char *bios = empty_rom(64, errp), *vga_bios = bios ? empty_rom(32, errp) : NULL;
    Harness *h = harness_base();
    PcConfig cfg = {
        .ram_size = 4 << 20, .cpus = HARNESS_CPUS, .bios = bios, .vga_bios = vga_bios, .acpi = true, .vga = "std",
        .rtc_base = 951782399, .graphics = true, .serial = { h->chr.back },
        .drives = { { .interface = PC_DRIVE_IDE, .index = 2, .cdrom = true, .boot_index = 0, .id = "cd0" },
                    { .interface = PC_DRIVE_FLOPPY, .boot_index = 1, .id = "fd0" } },
        .n_drives = 2,
    };
    bool ok = vga_bios && board_find("pc")->build(h->m, &cfg, errp);

    if (bios) {
        unlink(bios);
    }
    if (vga_bios) {
        unlink(vga_bios);
    }
    if (!ok) {
        harness_free(h);
        return NULL;
    }
    machine_reset(h->m);
    return h;
}

Bus *harness_bus(Harness *h, const DeviceClass *cls, GError **errp)
{
    Device *apics;

    if (!cls->bus) {
        return NULL;
    }
    if (!strcmp(cls->bus, "isa")) {
        return &h->isa.bus;
    }
    if (!strcmp(cls->bus, "pci")) {
        return &h->pci.bus;
    }
    if (!strcmp(cls->bus, "apic")) {
        apics = machine_service(h->m, "apic");
        if (!apics) {
            apics = device_make(h->m, "apic-bus", NULL, NULL, NULL, errp);
        }
        return apics ? apic_bus(apics) : NULL;
    }
    error_set(errp, "the harness has no bus of the kind '%s'", cls->bus);
    return NULL;
}

static Device *try_add(Harness *h, const char *cls, const char *props, GError **errp)
{
    const DeviceClass *c = device_class_find(cls);
    GError *err = NULL;
    Bus *bus = c ? harness_bus(h, c, &err) : NULL;

    if (err) {
        g_propagate_error(errp, err);
        return NULL;
    }
    return device_make(h->m, cls, NULL, bus, props, errp);
}

Device *harness_add(Harness *h, const char *cls, const char *props)
{
    GError *err = NULL;
    Device *d = try_add(h, cls, props, &err);

    g_assert_no_error(err);
    return d;
}

Harness *harness_try(const char *cls, const char *props, GError **errp)
{
    Harness *h = harness_empty();

    h->dev = try_add(h, cls, props, errp);
    if (!h->dev) {
        harness_free(h);
        return NULL;
    }
    machine_reset(h->m);
    return h;
}

Harness *harness_new(const char *cls, const char *props)
{
    GError *err = NULL;
    Harness *h = harness_try(cls, props, &err);

    g_assert_no_error(err);
    return h;
}

void harness_free(Harness *h)
{
    while (h->m->devices->len) {
        device_free(g_ptr_array_index(h->m->devices, h->m->devices->len - 1));
    }
    bus_fini(&h->isa.bus);
    bus_fini(&h->pci.bus);
    for (unsigned i = 0; i < HARNESS_CPUS; i++) {
        vcpu_fini(&h->vcpu[i]);
    }
    region_fini(&h->ram);
    input_free(h->input);
    machine_unlock(h->m);
    machine_free(h->m);
    g_string_free(h->chr.output, TRUE);
    g_byte_array_unref(h->chr.input);
    g_free(h);
}

/* ---- what a processor and the board's wires see ---- */

uint64_t io_read(Harness *h, uint16_t port, unsigned size)
{
    return as_load(h->m->io, port, size);
}

void io_write(Harness *h, uint16_t port, unsigned size, uint64_t val)
{
    as_store(h->m->io, port, val, size);
}

uint8_t inb(Harness *h, uint16_t port)
{
    return (uint8_t)io_read(h, port, 1);
}

void outb(Harness *h, uint16_t port, uint8_t val)
{
    io_write(h, port, 1, val);
}

uint64_t mem_read(Harness *h, uint64_t addr, unsigned size)
{
    return as_load(h->m->mem, addr, size);
}

void mem_write(Harness *h, uint64_t addr, unsigned size, uint64_t val)
{
    as_store(h->m->mem, addr, val, size);
}

bool wire_level(Harness *h, unsigned irq)
{
    return h->isa.irq[irq].level;
}

unsigned wire_edges(Harness *h, unsigned irq)
{
    unsigned n = h->edges[irq];

    h->edges[irq] = 0;
    return n;
}

void step(Harness *h, int64_t ns)
{
    clock_step(h->m->clock, ns);
}

void type_key(Harness *h, const char *name, bool down)
{
    const InputKey *key = input_key_find(name);

    g_assert_nonnull(key);
    input_key(h->input, key, down);
}

/* ---- state ---- */

GByteArray *harness_save(Harness *h)
{
    GByteArray *out = g_byte_array_new();

    for (guint i = 0; i < h->m->devices->len; i++) {
        Device *d = g_ptr_array_index(h->m->devices, i);

        if (d->cls->state) {
            guint at = out->len;
            uint32_t len = 0;

            g_byte_array_append(out, (uint8_t *)&len, 4);
            state_save(d->cls->state, d, out);
            len = out->len - at - 4;
            memcpy(out->data + at, &len, 4);
        }
    }
    return out;
}

bool harness_load(Harness *h, GByteArray *state, GError **errp)
{
    size_t at = 0;

    for (guint i = 0; i < h->m->devices->len; i++) {
        Device *d = g_ptr_array_index(h->m->devices, i);

        if (d->cls->state) {
            uint32_t len;

            g_assert_cmpuint(at + 4, <=, state->len);
            memcpy(&len, state->data + at, 4);
            g_assert_cmpuint(at + 4 + len, <=, state->len);
            if (!state_load(d->cls->state, d, state->data + at + 4, len, errp)) {
                return false;
            }
            at += 4 + len;
        }
    }
    for (guint i = 0; i < h->m->devices->len; i++) {
        Device *d = g_ptr_array_index(h->m->devices, i);

        if (d->cls->settle) {
            d->cls->settle(d);
        }
    }
    return true;
}
