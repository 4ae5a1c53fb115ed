/*
 * The list of all device models, from hw/devices.def.
 */
#include "core/device.h"
#include "hw/pci.h"

#define DEVICE(cls) extern const DeviceClass cls;
#define PCI_DEVICE(cls) extern const PciClass cls;
#include "devices.def"
#undef DEVICE
#undef PCI_DEVICE

const DeviceClass *const device_classes[] = {
#define DEVICE(cls) &cls,
#define PCI_DEVICE(cls) &cls.dev,
#include "devices.def"
#undef DEVICE
#undef PCI_DEVICE
    NULL,
};
