/*
 * hw/i440fx.h - how a board puts the 82441FX host bridge and the PIIX chips together.
 *
 * In this order, with the machine lock held:
 *
 *     host = device_make(m, "i440FX-pcihost", ...);      the "pci" service: a PciBus
 *     mc = device_new(m, "i440FX", ...);
 *     i440fx_set_ram(mc, &ram, ...);
 *     device_realize(mc, &pci->bus, ...);                addr=0; maps RAM and the PCI hole
 *     device_make(m, "PIIX3", ..., &pci->bus, "addr=1");     the "isa" service: an IsaBus
 */
#ifndef HW_I440FX_H
#define HW_I440FX_H

#include "core/device.h"

/* All of the machine's RAM, of which the first below_4g bytes appear from address 0 and the rest from
 * 4 GiB.  Before the device is realized; the region stays the board's. */
void i440fx_set_ram(Device *i440fx, Region *ram, hwaddr below_4g);

/* Where the guest has put the ACPI registers of "PIIX4_PM"; 0: nowhere yet. */
uint16_t piix4_pm_base(Device *pm);

#endif
