/*
 * core/memory.h - what answers at a guest-physical address, or at an I/O port.
 *
 * A Region is RAM, ROM, device registers, a window on another region, or a container.  Regions
 * form a tree; where siblings overlap the higher priority wins.  An AddressSpace is one viewer's
 * flat picture of a tree.  A device sees offsets into its own region, never where it was mapped.
 *
 * Threads: the tree is changed with the machine lock held, between memory_begin() and
 * memory_commit(), which publishes a new flat view.  as_find() and the RAM part of as_read() and
 * as_write() need no lock: a vCPU thread registers an AsReader and calls as_quiescent() when it
 * holds nothing of an old view, which is then freed.  Device callbacks run with the lock held.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t hwaddr;
typedef struct AddressSpace AddressSpace;
typedef struct Region Region;
typedef struct Loop Loop;
typedef struct Doorbell Doorbell;      /* core/doorbell.h */

enum { PAGE_BITS = 12, PAGE_SIZE = 1 << PAGE_BITS };

typedef struct RegionOps {
    uint64_t (*read)(void *dev, hwaddr off, unsigned size);
    void (*write)(void *dev, hwaddr off, uint64_t val, unsigned size);
    /* Sizes the calls take; the core splits wider accesses (low address first) and serves narrower
     * ones by a wider read and shift; a narrower write arrives widened with zeros, at its own
     * offset rounded down.  0 means 1 and 8: anything goes. */
    uint8_t size_min, size_max;
} RegionOps;

typedef enum RegionKind {
    REGION_CONTAINER, REGION_RAM, REGION_ROM, REGION_IO, REGION_ALIAS
} RegionKind;

struct Region {                 /* embedded by value; fields belong to core/memory.c */
    const char *name;
    RegionKind kind;
    hwaddr size, at;
    const RegionOps *ops;
    void *dev;
    uint8_t *ram;               /* RAM and ROM: host memory */
    uint8_t *page_flags;        /* RAM and ROM: a byte a page, RAM_PAGE_* */
    Region *parent, *children, *next, *target;
    Region *aliases, *next_alias;       /* aliases that show this region */
    hwaddr target_off;
    int priority;
    bool enabled, readonly, owns_ram, coalesced;
    const Doorbell *doorbell;   /* NULL: none */
    AddressSpace *as;           /* roots only */
};

void region_init(Region *r, const char *name, hwaddr size);             /* container */
void region_init_io(Region *r, const char *name, hwaddr size, const RegionOps *ops, void *dev);
bool region_init_ram(Region *r, const char *name, hwaddr size, GError **errp);  /* zeroed */
bool region_init_rom(Region *r, const char *name, const void *image, hwaddr len, hwaddr size,
                     GError **errp);                                    /* 0xff behind the image */
void region_init_alias(Region *r, const char *name, Region *target, hwaddr off, hwaddr size);
void region_set_readonly(Region *r, bool readonly);     /* RAM or alias: writes are dropped */
/* Device registers: writes may be queued.  They come in order, before any other access of that processor to any
 * device, but maybe much later; a device that looks at what they wrote by itself (a timer, a screen) calls
 * as_flush_writes() first.  None may change the memory map such that RAM goes away. */
void region_set_coalesced(Region *r, bool coalesced);
/* Device registers, before they are mapped: a write is a signal. */
void region_set_doorbell(Region *r, const Doorbell *d);
void region_map(Region *parent, hwaddr at, Region *child, int priority);
void region_unmap(Region *child);                       /* not mapped is fine */
void region_enable(Region *r, bool on);
void region_fini(Region *r);                            /* unmaps, frees RAM; needs no view left */

/* ---- address spaces ---- */

AddressSpace *as_new(const char *name, Region *root, Loop *loop);
void as_free(AddressSpace *as);
const char *as_name(const AddressSpace *as);
void memory_begin(AddressSpace *as);    /* batch map changes (nests) ... */
void memory_commit(AddressSpace *as);   /* ... and publish them once */

typedef struct MemSection {             /* one stretch of the flat view */
    hwaddr at, len;                     /* guest-physical */
    Region *region;                     /* RAM, ROM or IO */
    hwaddr off;                         /* of `at` in the region */
    uint8_t *host;                      /* RAM, ROM: of `at`; NULL for IO */
    bool readonly;
    bool coalesced;                     /* IO: region_set_coalesced() */
} MemSection;

/* The section that holds addr; false: nothing is there. */
bool as_find(AddressSpace *as, hwaddr addr, MemSection *out);
void as_for_each(AddressSpace *as, void (*fn)(const MemSection *s, void *opaque), void *opaque);
void as_print_tree(AddressSpace *as, GString *out);     /* the monitor's `info mtree` */

typedef enum MemResult { MEM_OK, MEM_UNMAPPED, MEM_READONLY } MemResult;

/* Device DMA and the debugger.  RAM and ROM only: an address of device registers counts as
 * unmapped, so that no device can be made to call into another (or itself).  Reads of what is not
 * there give 0xff.  The worst result of all pieces is returned. */
MemResult as_read(AddressSpace *as, hwaddr addr, void *buf, size_t len);
MemResult as_write(AddressSpace *as, hwaddr addr, const void *buf, size_t len);
/* As as_write, ROM included: loaders and the debugger. */
MemResult as_write_rom(AddressSpace *as, hwaddr addr, const void *buf, size_t len);
/* RAM in place while the lock is held, at most *len bytes; NULL: not (writable) RAM. */
void *as_ram(AddressSpace *as, hwaddr addr, hwaddr *len, bool for_write);

/* A processor's own access of 1 to 8 bytes, registers included; takes the machine lock itself
 * (unless this thread holds it) when it reaches a device.  Nothing there: all ones, write ignored. */
uint64_t as_load(AddressSpace *as, hwaddr addr, unsigned size);
void as_store(AddressSpace *as, hwaddr addr, uint64_t val, unsigned size);
/* The same for a section already found. */
uint64_t section_load(AddressSpace *as, const MemSection *s, hwaddr addr, unsigned size);
void section_store(AddressSpace *as, const MemSection *s, hwaddr addr, uint64_t val, unsigned size);

/* ---- pages with translated or decoded code in them ---- */

enum { RAM_PAGE_CODE = 1 << 0 };        /* an accelerator has cached code of this page */

/* Accelerators set the flag before they decode; whoever writes such RAM by as_write() or
 * as_store() clears it and every listener's code_changed is called.  KVM sets it for what it logs. */
static inline uint8_t *section_page_flags(const MemSection *s, hwaddr addr)
{
    return &s->region->page_flags[(s->off + (addr - s->at)) >> PAGE_BITS];
}

typedef struct MemListener {            /* accelerators follow the map this way */
    void (*changed)(struct MemListener *l);                     /* a new view was published */
    void (*code_changed)(struct MemListener *l, hwaddr at, hwaddr len);     /* any thread */
    void (*flush)(struct MemListener *l);       /* make the writes that are queued; NULL: it queues none */
    bool (*take_dirty)(struct MemListener *l, Region *r, uint64_t *pages);      /* as_take_dirty(); NULL: no log */
    struct MemListener *next;
} MemListener;
void as_listen(AddressSpace *as, MemListener *l);
void as_unlisten(AddressSpace *as, MemListener *l);
void as_flush_writes(AddressSpace *as);                 /* memory's: ports as well */
void as_code_changed(AddressSpace *as, hwaddr at, hwaddr len);  /* tell all listeners */
/* Sets a bit for each page of this RAM that was written since the last call, by processors or as_write(), which an
 * accelerator logs from the first call on.  False: it may have been any: there is no log (only KVM has one), or a gap
 * in it.  With the machine lock; what is written from now on is in the next answer. */
bool as_take_dirty(AddressSpace *as, Region *r, uint64_t *pages);

/* Who wants to know what goes through an address space beside RAM accesses of processors: the
 * cross-check.  With the machine lock held; after the device has answered, before it is told. */
typedef struct AsTap {
    void (*loaded)(struct AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val);
    void (*stored)(struct AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val);
    void (*written)(struct AsTap *t, AddressSpace *as, hwaddr addr, const void *buf, size_t len);  /* as_write() */
} AsTap;
void as_set_tap(AddressSpace *as, AsTap *t);            /* NULL: nobody */
bool as_tapped(const AddressSpace *as);                 /* listeners are told of a change, too */

typedef struct AsReader {               /* one per lock-free reader thread and space */
    AddressSpace *as;
    _Atomic uint64_t seen;
    struct AsReader *next;
} AsReader;
void as_reader_add(AddressSpace *as, AsReader *r);
void as_reader_remove(AsReader *r);
void as_quiescent(AsReader *r);         /* this thread holds nothing of an earlier view */

#endif
