/*
 * core/machine.h - what all parts of one emulated computer share, and how a part asks for the whole
 * to reset, power off or pause.  Two machines fit in one process.
 *
 * machine_request() is for any thread; the rest holds the machine lock.
 */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/clock.h"
#include "core/device.h"
#include "core/irqchip.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/vcpu.h"

typedef enum MachineRequest {
    MACHINE_RESET = 1 << 0,         /* reset button, keyboard controller, triple fault */
    MACHINE_POWEROFF = 1 << 1,      /* ACPI S5 */
    MACHINE_POWERDOWN = 1 << 2,     /* someone pressed the power button: tell the guest */
    MACHINE_PAUSE = 1 << 3,         /* stop, debugger, host I/O error */
    MACHINE_QUIT = 1 << 4,          /* the process ends; exit status in quit_status */
    MACHINE_FAILED = 1 << 5,        /* the accelerator cannot go on; text in fail_text */
} MachineRequest;

/* Who is told of what happens to the machine as a whole; by the loop, lock held. */
typedef struct MachineWatch {
    void (*powerdown)(void *opaque);            /* the power-management device */
    void (*reset_done)(void *opaque);           /* may ask for MACHINE_PAUSE: it stays paused then */
    void (*paused)(void *opaque);               /* no vCPU runs any more; the monitor may resume at once */
    void (*ending)(void *opaque, int status);   /* the process ends: power-off, quit, failure */
    void *opaque;
    struct MachineWatch *next;
} MachineWatch;

/* How processors sit together: threads of a core, cores of a die, dies of a package.  Processors that
 * follow each other by index are siblings.  All 0: one package of cores with one thread each. */
typedef struct CpuTopology { unsigned sockets, dies, cores, threads; } CpuTopology;

typedef struct IrqPulse IrqPulse;   /* core/doorbell.h */
typedef struct Icount Icount;       /* core/icount.h */

struct Machine {
    Loop *loop;
    Clock *clock;
    Region mem_root, io_root;       /* 2^52 bytes of memory, 64 KiB of ports */
    AddressSpace *mem, *io;
    GPtrArray *vcpus;               /* of Vcpu *; owned by whoever added them */
    CpuTopology topology;           /* set before the first processor is made */
    GPtrArray *devices;             /* of Device *, in order of realize */
    Bus *buses;
    MachineWatch *watches;
    _Atomic uint32_t requests;      /* MachineRequest bits, served by system/ */
    int quit_status;
    char *fail_text;
    GHashTable *next_ids;           /* class name -> number of the next made-up id */
    char **globals;                 /* "driver.property=value" for every device made; or NULL */
    GPtrArray *rams;                /* of Region *: all memory that a guest can write; devices add theirs */
    GHashTable *services;           /* what parts offer each other by name: see machine_provide() */
    /* Names from -chardev, -drive to objects, for device properties; set by system/ or a test. */
    void *(*resolve)(void *opaque, PropKind kind, const char *id, GError **errp);
    void *resolve_opaque;
    Icount *icount;                 /* time is a number of instructions; NULL: it is the host's */
    const Irqchip *irqchip;         /* interrupt controllers in the host's kernel; NULL: the models do it all */
    IrqPulse *pulses;               /* interrupts that any thread may raise */
};

Machine *machine_new(Clock *clock);             /* takes the clock over */
void machine_free(Machine *m);                  /* devices in reverse order of realize */
void machine_reset(Machine *m);                 /* every device: reset, then every device: settle */
void machine_request(Machine *m, MachineRequest what);
void machine_quit(Machine *m, int status);      /* MACHINE_QUIT with a status; first one wins */
void machine_fail(Machine *m, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void machine_watch(Machine *m, MachineWatch *w);
void machine_unwatch(Machine *m, MachineWatch *w);    /* not watching is fine */
Device *machine_find(Machine *m, const char *id);       /* by id, or by class name (first) */
Bus *machine_find_bus(Machine *m, const char *name);    /* by id, else first of that kind */

/* One object of a kind for all: "input" (Input *, made before the devices), "display" (Display *, by
 * the VGA device), "drives" (block/block.h), "fw_cfg" (FwCfg *), "isa" (IsaBus *), "pci" (PciBus *).
 * NULL when nobody provides it. */
void machine_provide(Machine *m, const char *service, void *object);
void *machine_service(Machine *m, const char *service);

/* The topology as numbers above 0. */
CpuTopology machine_topology(const Machine *m);
/* Bits of an APIC ID that count to n: each level of the topology has its own, so that IDs have gaps where
 * numbers are not powers of two (SDM volume 3A 9.9.1). */
unsigned machine_id_bits(unsigned n);
uint32_t machine_apic_id(const Machine *m, unsigned index);

static inline void machine_lock(Machine *m) { loop_lock(m->loop); }
static inline void machine_unlock(Machine *m) { loop_unlock(m->loop); }

#endif
