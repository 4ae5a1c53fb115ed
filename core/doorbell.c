/*
 * Doorbells and pulses, as they work without help from an accelerator.
 */
#include "core/doorbell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "core/machine.h"
#include "util/error.h"

static void rise(const IrqPulse *p)
{
    irq_set(p->wire, false);
    irq_set(p->wire, true);
}

/* Pulses that nobody has seen yet are one. */
static void take(void *opaque, int fd, unsigned events)
{
    const IrqPulse *p = opaque;
    uint64_t times;

    if (read(fd, &times, sizeof(times)) == sizeof(times)) {
        rise(p);
    }
}

static void attach(IrqPulse *p)
{
    const Irqchip *chip = p->machine->irqchip;

    if (chip && chip->all && chip->attach(chip->opaque, p->line, p->fd, true)) {
        loop_unwatch(p->watch);
        p->watch = NULL;
    }
}

static void detach(IrqPulse *p)
{
    const Irqchip *chip = p->machine->irqchip;

    if (!p->watch) {
        chip->attach(chip->opaque, p->line, p->fd, false);
        p->watch = loop_watch(p->machine->loop, p->fd, LOOP_IN, take, p);
    }
}

bool irq_pulse_init(IrqPulse *p, Machine *m, IrqWire *wire, unsigned line, GError **errp)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0) {
        error_set_errno(errp, errno, "cannot make an event file for interrupt line %u", line);
        return false;
    }
    *p = (IrqPulse){ .machine = m, .wire = wire, .line = line, .fd = fd, .next = m->pulses };
    p->watch = loop_watch(m->loop, fd, LOOP_IN, take, p);
    m->pulses = p;
    attach(p);
    return true;
}

void irq_pulse_fini(IrqPulse *p)
{
    if (!p->machine) {
        return;
    }
    detach(p);
    loop_unwatch(p->watch);
    for (IrqPulse **at = &p->machine->pulses; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    close(p->fd);
    *p = (IrqPulse){ 0 };
}

void irq_pulse(IrqPulse *p)
{
    const uint64_t once = 1;

    if (loop_locked(p->machine->loop) && p->watch) {
        rise(p);
    } else if (write(p->fd, &once, sizeof(once)) < 0) {
        return;                 /* the counter is full: there is a pulse under way */
    }
}

void irq_pulses_attach(Machine *m)
{
    for (IrqPulse *p = m->pulses; p; p = p->next) {
        attach(p);
    }
}

void irq_pulses_detach(Machine *m)
{
    for (IrqPulse *p = m->pulses; p; p = p->next) {
        detach(p);
    }
}

bool doorbell_hit(const Region *r, hwaddr off, uint64_t val, unsigned size)
{
    const Doorbell *d = r->doorbell;

    return d && off == 0 && size == r->size && (!d->matches || val == d->value);
}

void doorbell_ring(const Doorbell *d, uint64_t times)
{
    if (d->pulse) {
        irq_pulse(d->pulse);
    } else {
        d->ring(d->opaque, times);
    }
}
