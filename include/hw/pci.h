/*
 * hw/pci.h - the PCI bus: configuration space, base address registers, interrupt pins.
 *
 * PCI Local Bus Specification 3.0.  The host bridge embeds the PciBus and provides it as the
 * machine's "pci" service.  With the machine lock held.
 */
#ifndef HW_PCI_H
#define HW_PCI_H

#include "core/device.h"
#include "core/machine.h"

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

enum {                                      /* PCI 3.0, section 6.1: configuration header */
    PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08, PCI_CLASS_PROG = 0x09, PCI_CLASS_DEVICE = 0x0a,
    PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e, PCI_ROM_ADDRESS = 0x30, PCI_CAPABILITY_LIST = 0x34,
    PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d,
};
enum { PCI_COMMAND_IO = 1 << 0, PCI_COMMAND_MEMORY = 1 << 1, PCI_COMMAND_MASTER = 1 << 2,
       PCI_COMMAND_INTX_DISABLE = 1 << 10 };
enum { PCI_BAR_IO = 1 << 0, PCI_BAR_MEM64 = 1 << 2, PCI_BAR_PREFETCH = 1 << 3 };
enum { PCI_ROM_SLOT = 6, PCI_ADDR_AUTO = 0xffff };

typedef struct PciClass {                   /* a device's DeviceClass, with what PCI adds */
    DeviceClass dev;                        /* first; dev.bus is "pci" */
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class_code;                    /* 0xbbsspp: base, sub, programming interface */
    uint8_t interrupt_pin;                  /* 1..4: INTA..INTD; 0: none */
    bool multifunction;
    /* After the generic handling, once a write: registers reg .. reg+size-1 changed.  May be NULL. */
    void (*config_written)(PciDevice *d, unsigned reg, unsigned size);
} PciClass;

typedef struct PciBar {
    Region *region;                         /* NULL: no such BAR; its size is the BAR's */
    uint8_t flags;                          /* PCI_BAR_* */
    hwaddr mapped_at;                       /* ~0: not mapped */
} PciBar;

struct PciDevice {                          /* first member of a PCI device's struct */
    Device dev;
    uint16_t addr;                          /* property "addr" (PROP_PCI_ADDR); then devfn */
    uint8_t config[256], wmask[256], w1cmask[256];      /* writable bits; write-1-to-clear bits */
    PciBar bar[7];
    Region rom;                             /* pci_register_rom() */
    bool intx;                              /* level of the interrupt pin, as the device sets it */
    bool intx_driven;                       /* what the bus sees: off when INTx is disabled */
};

/* Every PCI device's property and state rows begin with these. */
#define PCI_PROPS(T) { .name = "addr", .help = "slot[.function] on the bus", .kind = PROP_PCI_ADDR, \
                       PROP_F_(T, pci.addr), .def = PCI_ADDR_AUTO }
extern const StateTable pci_device_state;   /* STATE_SUB(MyDevice, pci, &pci_device_state) */

typedef struct PciBusOps {                  /* the board's interrupt wiring */
    unsigned (*map_irq)(void *opaque, unsigned slot, unsigned pin);     /* pin 0..3 -> line */
    void (*set_irq)(void *opaque, unsigned line, bool level);
} PciBusOps;

/* Legacy ranges (VGA at 0xa0000, 0x3b0) are mapped by the device itself: region_map(pci_bus(d)->mem, ...). */
struct PciBus {
    Bus bus;
    Region *io, *mem;                       /* where BARs appear, at priority 0 */
    PciDevice *devices[256];                /* by devfn */
    const PciBusOps *ops;
    void *ops_opaque;
    unsigned lines[8];                      /* devices holding each line up */
};

extern const BusClass pci_bus_class;        /* name "pci" */
void pci_bus_init(PciBus *b, Device *controller, Region *io, Region *mem);
void pci_bus_set_irqs(PciBus *b, const PciBusOps *ops, void *opaque);
uint32_t pci_config_read(PciBus *b, uint8_t bus, uint8_t devfn, unsigned reg, unsigned size);
void pci_config_write(PciBus *b, uint8_t bus, uint8_t devfn, unsigned reg, uint32_t val, unsigned size);

static inline const PciClass *pci_class(const PciDevice *d) { return (const PciClass *)d->dev.cls; }
static inline PciBus *pci_bus(PciDevice *d) { return (PciBus *)d->dev.bus; }
/* In realize: BAR n (0..5; PCI_ROM_SLOT for a ROM) is this region, its size a power of two. */
void pci_register_bar(PciDevice *d, unsigned n, uint8_t flags, Region *region);
/* The expansion ROM from an image file of up to 16 MiB; freed by the bus when the device goes. */
bool pci_register_rom(PciDevice *d, const char *path, GError **errp);
void pci_set_intx(PciDevice *d, bool level);
/* The generic part of reset and settle, which every PCI device's own hooks call first.  Reset clears all
 * writable bits of config[] and lowers the pin; a device then sets its registers that do not start at 0. */
void pci_device_reset(PciDevice *d);
void pci_device_settle(PciDevice *d);
/* Bus-master DMA: fails unless the command register allows it. */
MemResult pci_dma_read(PciDevice *d, hwaddr addr, void *buf, size_t len);
MemResult pci_dma_write(PciDevice *d, hwaddr addr, const void *buf, size_t len);
void pci_info(PciBus *b, GString *out);     /* the monitor's `info pci` */

#endif
