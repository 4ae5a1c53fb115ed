/*
 * What the PCI and board tests share: a bare machine with the chip set and 2 MiB of RAM, reached through
 * ports and addresses as a processor would.
 */
#ifndef TESTS_DEVICE_PC_HARNESS_H
#define TESTS_DEVICE_PC_HARNESS_H

#include "core/machine.h"
#include "hw/i440fx.h"
#include "hw/isa.h"
#include "hw/pci.h"

typedef struct Chipset {
    Machine *m;
    Region ram, bios;
    PciBus *pci;
    IsaBus *isa;
    Device *pm;
} Chipset;

static inline uint32_t in(Machine *m, uint16_t port, unsigned size)
{
    return as_load(m->io, port, size);
}

static inline void out(Machine *m, uint16_t port, uint32_t val, unsigned size)
{
    as_store(m->io, port, val, size);
}

static inline void config_select(Machine *m, unsigned devfn, unsigned reg)
{
    out(m, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc), 4);
}

static inline uint32_t config_in(Machine *m, unsigned devfn, unsigned reg, unsigned size)
{
    config_select(m, devfn, reg);
    return in(m, 0xcfc + (reg & 3), size);
}

static inline void config_out(Machine *m, unsigned devfn, unsigned reg, uint32_t val, unsigned size)
{
    config_select(m, devfn, reg);
    out(m, 0xcfc + (reg & 3), val, size);
}

/* The machine stays locked by this thread, as it is for every device callback. */
static inline void chipset_init(Chipset *c)
{
    g_autofree uint8_t *rom = g_malloc(0x10000);
    GError *err = NULL;

    c->m = machine_new(clock_new_manual());
    machine_lock(c->m);
    region_init_ram(&c->ram, "ram", 2 << 20, &err);
    g_assert_no_error(err);
    for (unsigned i = 0; i < 0x10000; i++) {
        rom[i] = i ^ i >> 8;
    }
    region_init_rom(&c->bios, "bios", rom, 0x10000, 0x10000, &err);
    g_assert_no_error(err);
    g_assert_nonnull(device_make(c->m, "i440FX-pcihost", NULL, NULL, NULL, &err));
    c->pci = machine_service(c->m, "pci");
    Device *mc = device_new(c->m, "i440FX", NULL, &err);
    i440fx_set_ram(mc, &c->ram, c->ram.size);
    g_assert_true(device_set(mc, "addr", "0", &err));
    g_assert_true(device_realize(mc, &c->pci->bus, &err));
    region_map(c->pci->mem, 0xffff0000, &c->bios, 1);
    g_assert_nonnull(device_make(c->m, "PIIX3", NULL, &c->pci->bus, "addr=1", &err));
    c->isa = machine_service(c->m, "isa");
    c->pm = device_make(c->m, "PIIX4_PM", NULL, &c->pci->bus, "addr=1.3", &err);
    g_assert_no_error(err);
    machine_reset(c->m);
}

static inline void chipset_fini(Chipset *c)
{
    region_unmap(&c->bios);
    while (c->m->devices->len) {
        device_free(g_ptr_array_index(c->m->devices, c->m->devices->len - 1));
    }
    region_fini(&c->bios);
    region_fini(&c->ram);
    machine_unlock(c->m);
    machine_free(c->m);
}

#endif
