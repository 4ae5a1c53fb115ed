/*
 * A device alone, in process: a machine with a clock that the test steps, 2 MiB of RAM, two
 * processors that run nothing, an ISA and a PCI bus, a keyboard to type on and a character back end
 * that remembers.  The machine is locked by the test's thread all the time.
 *
 *     Harness *h = harness_new("isa-serial", "iobase=0x3f8,irq=4,chardev=fake");
 *     io_write(h, 0x3f9, 1, 0x02);                 interrupt when the transmitter is empty
 *     g_assert_true(wire_level(h, 4));
 *
 * Programs that use it bring chardev.h's functions themselves (harness-chardev.c): the devices in
 * them talk to FakeChardev.
 */
#ifndef TESTS_DEVICE_HARNESS_H
#define TESTS_DEVICE_HARNESS_H

#include "chardev/chardev.h"
#include "core/machine.h"
#include "hw/isa.h"
#include "hw/pci.h"
#include "ui/input.h"

enum { HARNESS_RAM = 2 << 20, HARNESS_CPUS = 2 };

/* What stands behind property chardev=fake. */
typedef struct FakeChardev {
    CharBack *back;                     /* itself, as devices see it */
    GString *output;                    /* what the device wrote */
    GByteArray *input;                  /* what it has not taken yet */
    size_t limit;                       /* bytes of output it takes before it is full */
    const CharFront *front;
    void *dev;
    void (*writable)(void *opaque);
    void *writable_opaque;
} FakeChardev;

typedef struct Harness {
    Machine *m;
    Device *dev;                        /* the device under test; the machine may hold others */
    Device root;                        /* stands for the buses' controllers */
    IsaBus isa;
    PciBus pci;
    Region ram;
    Vcpu vcpu[HARNESS_CPUS];
    Input *input;
    FakeChardev chr;
    unsigned edges[16];                 /* rising edges of the ISA lines since harness_new() */
    bool pci_line[4];
} Harness;

/* Made, reset and settled; props as in -device, or NULL.  Fails the test when it cannot be made. */
Harness *harness_new(const char *cls, const char *props);
/* NULL and an error instead. */
Harness *harness_try(const char *cls, const char *props, GError **errp);
/* Without a device: the test makes its own on h->isa, h->pci or without a bus. */
Harness *harness_empty(void);
/* The whole board "pc" instead, with 4 MiB, a firmware that does nothing and empty drives: dev is NULL. */
Harness *harness_board(GError **errp);
Device *harness_add(Harness *h, const char *cls, const char *props);
/* The bus a class plugs into, its controller made if need be; NULL: none, or no way to make one. */
Bus *harness_bus(Harness *h, const DeviceClass *cls, GError **errp);
void harness_free(Harness *h);

uint64_t io_read(Harness *h, uint16_t port, unsigned size);
void io_write(Harness *h, uint16_t port, unsigned size, uint64_t val);
uint8_t inb(Harness *h, uint16_t port);
void outb(Harness *h, uint16_t port, uint8_t val);
uint64_t mem_read(Harness *h, uint64_t addr, unsigned size);
void mem_write(Harness *h, uint64_t addr, unsigned size, uint64_t val);

bool wire_level(Harness *h, unsigned irq);          /* an ISA interrupt line */
unsigned wire_edges(Harness *h, unsigned irq);      /* rising edges since the last call */
void step(Harness *h, int64_t ns);
void type_key(Harness *h, const char *name, bool down);

/* The other end of the fake character device. */
void chr_type(Harness *h, const char *text, size_t len);
void chr_break(Harness *h);
void chr_set_limit(Harness *h, size_t limit);       /* room for more output: tells a waiting device */

/* All devices' states, and back: reset, load, settle, as a snapshot does. */
GByteArray *harness_save(Harness *h);
bool harness_load(Harness *h, GByteArray *state, GError **errp);

#endif
