/*
 * The inside of an address space, shared by core/memory.c and core/memory-access.c.
 */
#ifndef CORE_MEMORY_VIEW_H
#define CORE_MEMORY_VIEW_H

#include <inttypes.h>
#include "core/memory.h"

typedef struct MemView {
    MemSection *sections;       /* by address */
    size_t count;
    uint64_t retired_at;        /* the generation that replaced it */
    struct MemView *next;
} MemView;

struct AddressSpace {
    const char *name;
    Region *root;
    Loop *loop;
    MemView *_Atomic view;
    _Atomic uint64_t generation;
    unsigned depth;             /* of memory_begin() */
    bool dirty;
    MemView *retired;
    MemListener *listeners;
    AsTap *tap;
    AsReader *readers;
};

#endif
