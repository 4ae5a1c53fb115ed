/*
 * core/device.h - one const DeviceClass describes a device completely: name, options, saved state,
 * life cycle.
 *
 * There is no inheritance and no class code that runs at start-up.  A device owns its registers
 * (Regions), wires and timers by value and knows nothing of the board around it.
 *
 * Life: device_new -> device_set* -> device_realize -> reset -> settle -> (run, save, load, reset)*
 * -> device_free.  realize may fail at any point: unrealize is then called on what there is, and must
 * cope with a zeroed rest.  All calls hold the machine lock.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/irq.h"
#include "core/memory.h"
#include "core/state.h"

typedef struct Bus Bus;
typedef struct Device Device;
typedef struct Machine Machine;

typedef enum PropKind {
    PROP_END,
    PROP_BOOL,          /* bool */
    PROP_UINT,          /* uint8_t .. uint64_t, 0..max */
    PROP_SIZE,          /* uint64_t, with K M G suffixes */
    PROP_STR,           /* char *, owned */
    PROP_ENUM,          /* uint8_t: index in values */
    PROP_PCI_ADDR,      /* uint16_t devfn, "slot[.function]"; 0xffff: any free slot */
    PROP_CHARDEV,       /* CharBack * by id */
    PROP_BLOCK,         /* Block * by id; NULL: none, an empty drive */
} PropKind;

typedef struct Property {
    const char *name, *help;
    PropKind kind;
    uint32_t offset, size;
    uint64_t def, max;
    const char *def_str;
    const char *const *values;      /* PROP_ENUM, ends with NULL */
} Property;

#define PROP_F_(T, f) .offset = offsetof(T, f), .size = sizeof(((T *)0)->f)
#define PROP_U(T, f, n, d, m, h) \
    { .name = (n), .help = (h), .kind = PROP_UINT, PROP_F_(T, f), .def = (d), .max = (m) }
#define PROP_B(T, f, n, d, h) \
    { .name = (n), .help = (h), .kind = PROP_BOOL, PROP_F_(T, f), .def = (d), .max = 1 }
#define PROP_SZ(T, f, n, d, m, h) \
    { .name = (n), .help = (h), .kind = PROP_SIZE, PROP_F_(T, f), .def = (d), .max = (m) }
#define PROP_S(T, f, n, d, h) \
    { .name = (n), .help = (h), .kind = PROP_STR, PROP_F_(T, f), .def_str = (d) }
#define PROP_E(T, f, n, d, vals, h) \
    { .name = (n), .help = (h), .kind = PROP_ENUM, PROP_F_(T, f), .def = (d), .values = (vals) }
#define PROP_CHR(T, f, n, h) { .name = (n), .help = (h), .kind = PROP_CHARDEV, PROP_F_(T, f) }
#define PROP_BLK(T, f, n, h) { .name = (n), .help = (h), .kind = PROP_BLOCK, PROP_F_(T, f) }
#define PROP_DONE { .kind = PROP_END }

typedef struct DeviceClass {
    const char *name;               /* "isa-serial": option, monitor and snapshot name; permanent */
    const char *summary;            /* one line: -device help, docs, test report */
    const char *bus;                /* kind of bus it plugs into; NULL: wired by the board */
    size_t size;                    /* of the instance; Device is its first member */
    bool board_only;                /* made by the board; -device refuses it */
    const Property *props;          /* NULL: none */
    const StateTable *state;        /* NULL: no state of its own */
    bool (*realize)(Device *d, GError **errp);
    void (*unrealize)(Device *d);
    void (*reset)(Device *d);       /* own state only: touches no wire, region or other device */
    void (*settle)(Device *d);      /* after everyone's reset or load: drive wires, redo mappings */
    void (*info)(Device *d, GString *out);      /* the monitor's `info NAME` lines */
} DeviceClass;

struct Device {
    const DeviceClass *cls;
    char *id;                       /* never NULL: made up ("isa-serial.0") when not given */
    Machine *machine;
    Bus *bus;
    bool realized;
    Device *next;                   /* on the bus, in plug order */
};

typedef struct BusClass {
    const char *name;               /* what DeviceClass.bus says: "isa", "pci", "ide" */
    bool (*plug)(Bus *b, Device *d, GError **errp);     /* find a slot, or say why not */
    void (*unplug)(Bus *b, Device *d);
    void (*describe)(Bus *b, Device *d, GString *out);  /* `info qtree`: slot; may be NULL */
} BusClass;

struct Bus {                        /* embedded by value in the device that is its controller */
    const BusClass *cls;
    char *id;
    Device *controller, *devices;
    Bus *next;                      /* of the same controller / the machine's list */
};

void bus_init(Bus *b, const BusClass *cls, Device *controller, const char *id);
void bus_fini(Bus *b);              /* frees the devices still on it */

const DeviceClass *device_class_find(const char *name);         /* NULL: no such class */
Device *device_new(Machine *m, const char *cls, const char *id, GError **errp);
/* Unknown name or bad value: an error that names the nearest property or the range. */
bool device_set(Device *d, const char *prop, const char *value, GError **errp);
void device_set_ptr(Device *d, const char *prop, void *ptr);    /* PROP_CHARDEV, PROP_BLOCK, by the board */
bool device_realize(Device *d, Bus *bus, GError **errp);        /* bus NULL: wired by the board */
void device_free(Device *d);        /* unplugs, unrealizes */
/* All three in one: props is "name=value,..." or NULL. */
Device *device_make(Machine *m, const char *cls, const char *id, Bus *bus, const char *props, GError **errp);

/* One property (core/property.c). */
bool property_set(Device *d, const Property *p, const char *value, GError **errp);
char *property_get(const Device *d, const Property *p);         /* as text; freed by the caller */

/* hw/devices.def, one line per device, becomes this array (NULL at its end). */
extern const DeviceClass *const device_classes[];

#endif
