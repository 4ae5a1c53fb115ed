/*
 * hw/isa.h - the ISA bus: ports, sixteen interrupt lines, eight DMA channels.
 *
 * The controller (PIIX3) embeds an IsaBus and provides it as the machine's "isa" service; devices
 * reach it through their Device.bus.  With the machine lock held.
 */
#ifndef HW_ISA_H
#define HW_ISA_H

#include "core/device.h"
#include "core/machine.h"

typedef struct IsaBus IsaBus;

/* How a device moves bytes on its DMA channel: provided by the 8237. */
typedef struct IsaDmaOps {
    /* Up to len bytes between the device and memory; fewer at terminal count.  0 when the channel
     * is masked, not yet programmed, or set for the other direction. */
    size_t (*to_memory)(void *dma, unsigned channel, const void *buf, size_t len);
    size_t (*from_memory)(void *dma, unsigned channel, void *buf, size_t len);
    bool (*terminal_count)(void *dma, unsigned channel);        /* reached since last programmed */
} IsaDmaOps;

struct IsaBus {
    Bus bus;
    Region *io, *mem;           /* where devices map themselves */
    IrqWire irq[16];            /* the lines as the bus drives them; connected by the board */
    uint32_t irq_drivers[16];   /* how many devices hold a line up: lines are ORed */
    const IsaDmaOps *dma_ops;
    void *dma;
};

extern const BusClass isa_bus_class;        /* name "isa" */
void isa_bus_init(IsaBus *b, Device *controller, Region *io, Region *mem);
static inline IsaBus *isa_bus(Device *d) { return (IsaBus *)d->bus; }
/* Connect a device's wire to line n (0..15); several devices may share one. */
void isa_connect_irq(Device *d, IrqWire *w, unsigned n);
/* The same for a device of another bus that drives an ISA line: PIIX3 IDE, PIRQs, the ACPI interrupt. */
void isa_bus_connect_irq(IsaBus *b, IrqWire *w, unsigned n);
/* Map a device's port region; unmapped by region_fini(). */
void isa_map_io(Device *d, Region *r, uint16_t port);

#endif
