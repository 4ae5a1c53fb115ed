/*
 * accel/check/observe.c - what goes in and out of A, noted for B: device registers, DMA, the interrupt
 * controller, random numbers; and which memory A touches.
 */
#include "check.h"

#include <string.h>
#include "util/bits.h"

static void note(Check *k, Input i)
{
    if (k->in_piece) {
        inputs_note(&k->inputs, &i);
    }
}

static void mem_loaded(AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val)
{
    note(container_of(t, Check, mem_tap), (Input){ .kind = INPUT_LOAD, .addr = addr, .size = size, .value = val });
}

static void mem_stored(AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val)
{
    Check *k = container_of(t, Check, mem_tap);

    note(k, (Input){ .kind = INPUT_STORE, .addr = addr, .size = size, .value = val });
    k->vga_written |= addr >= 0xa0000 && addr < 0xc0000;
}

static void io_loaded(AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val)
{
    note(container_of(t, Check, io_tap), (Input){ .kind = INPUT_PORT_IN, .addr = addr, .size = size, .value = val });
}

static void io_stored(AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val)
{
    note(container_of(t, Check, io_tap), (Input){ .kind = INPUT_PORT_OUT, .addr = addr, .size = size, .value = val });
}

static void dma_written(AsTap *t, AddressSpace *as, hwaddr addr, const void *buf, size_t len)
{
    Check *k = container_of(t, Check, mem_tap);

    if (k->in_piece) {
        inputs_note_dma(&k->inputs, addr, buf, len);
    } else if (k->started) {
        twin_write(k->twin, addr, buf, len);
    }
}

static void no_ports_written(AsTap *t, AddressSpace *as, hwaddr addr, const void *buf, size_t len)
{
}

static void mem_changed(MemListener *l) { container_of(l, Check, mem_listener)->map_changed = true; }
static void io_changed(MemListener *l) { container_of(l, Check, io_listener)->map_changed = true; }

static void touched(X86Observer *o, X86Cpu *c, hwaddr page, const MemSection *s, bool write)
{
    Check *k = container_of(o, Check, observer);

    if (write) {
        g_hash_table_add(k->written, GSIZE_TO_POINTER(page));
    }
    if (k->kept && !g_hash_table_contains(k->kept, GSIZE_TO_POINTER(page)) && s->at <= page &&
        s->len - (page - s->at) >= PAGE_SIZE) {
        g_hash_table_insert(k->kept, GSIZE_TO_POINTER(page), g_memdup2(s->host + (page - s->at), PAGE_SIZE));
    }
}

void check_written_by_a(void *opaque, hwaddr page)
{
    g_hash_table_add(((Check *)opaque)->written, GSIZE_TO_POINTER(page));
}

/* What was there before: as A has it, unless A has written it, too. */
void check_written_by_b(void *opaque, hwaddr page)
{
    Check *k = opaque;
    const uint8_t *host = twin_page(k->twin, page), *kept = g_hash_table_lookup(k->kept, GSIZE_TO_POINTER(page));
    MemSection s;

    if (!host || g_hash_table_contains(k->twin->before, host)) {
        return;
    }
    if (!kept && as_find(k->accel.machine->mem, page, &s) && s.host && s.len - (page - s.at) >= PAGE_SIZE) {
        kept = s.host + (page - s.at);
    }
    if (kept) {
        g_hash_table_insert(k->twin->before, (gpointer)host, g_memdup2(kept, PAGE_SIZE));
    }
}

static bool random_number(X86Observer *o, uint64_t *value)
{
    Check *k = container_of(o, Check, observer);
    static const uint64_t multiplier = 6364136223846793005u;   /* Knuth's MMIX generator: any will do */

    k->random = k->random * multiplier + 1442695040888963407u;
    *value = k->random ^ k->random >> 32;
    note(k, (Input){ .kind = INPUT_RANDOM, .ok = true, .value = *value });
    return true;
}

unsigned check_noted_functions(const Check *k)
{
    return intctl_functions(k->intctl) & ~(k->steps_a || k->steps_b ? (unsigned)INTCTL_QUIET : 0);
}

static void note_call(Check *k, unsigned op, uint64_t arg, bool ok, uint64_t value)
{
    if (!(check_noted_functions(k) >> op & 1)) {
        return;
    }
    note(k, (Input){ .kind = INPUT_INTCTL, .op = op, .addr = arg, .ok = ok, .value = value });
}

static int acknowledge(void *opaque)
{
    Check *k = opaque;
    int vector = k->intctl->acknowledge(k->intctl_opaque);

    note_call(k, INTCTL_ACKNOWLEDGE, 0, vector >= 0, (uint64_t)MAX(vector, 0));
    return vector;
}

static bool pending(void *opaque)
{
    Check *k = opaque;

    return k->intctl->pending(k->intctl_opaque);
}

static void set_tpr(void *opaque, uint8_t cr8)
{
    Check *k = opaque;

    note_call(k, INTCTL_SET_TPR, cr8, true, 0);
    k->intctl->set_tpr(k->intctl_opaque, cr8);
}

static uint8_t get_tpr(void *opaque)
{
    Check *k = opaque;
    uint8_t v = k->intctl->get_tpr(k->intctl_opaque);

    note_call(k, INTCTL_GET_TPR, 0, true, v);
    return v;
}

static void set_base(void *opaque, uint64_t value)
{
    Check *k = opaque;

    note_call(k, INTCTL_SET_BASE, value, true, 0);
    k->intctl->set_base(k->intctl_opaque, value);
}

static uint64_t get_base(void *opaque)
{
    Check *k = opaque;
    uint64_t v = k->intctl->get_base(k->intctl_opaque);

    note_call(k, INTCTL_GET_BASE, 0, true, v);
    return v;
}

static bool read_msr(void *opaque, unsigned reg, uint64_t *value)
{
    Check *k = opaque;
    bool ok = k->intctl->read_msr(k->intctl_opaque, reg, value);

    note_call(k, INTCTL_READ_MSR, reg, ok, *value);
    return ok;
}

static bool write_msr(void *opaque, unsigned reg, uint64_t value)
{
    Check *k = opaque;
    bool ok = k->intctl->write_msr(k->intctl_opaque, reg, value);

    note_call(k, INTCTL_WRITE_MSR, reg, ok, value);
    return ok;
}

static bool set_deadline(void *opaque, uint64_t tsc)
{
    Check *k = opaque;
    bool ok = k->intctl->set_deadline(k->intctl_opaque, tsc);

    note_call(k, INTCTL_SET_DEADLINE, tsc, ok, 0);
    return ok;
}

static uint64_t get_deadline(void *opaque)
{
    Check *k = opaque;
    uint64_t v = k->intctl->get_deadline(k->intctl_opaque);

    note_call(k, INTCTL_GET_DEADLINE, 0, true, v);
    return v;
}

static const IntCtl intctl_ops = {
    .acknowledge = acknowledge, .pending = pending, .set_tpr = set_tpr, .get_tpr = get_tpr, .set_base = set_base,
    .get_base = get_base, .read_msr = read_msr, .write_msr = write_msr, .set_deadline = set_deadline,
    .get_deadline = get_deadline,
};

/* ---- life ---- */

void check_observe(Check *k, Vcpu *vcpu)
{
    Machine *m = k->accel.machine;

    k->observer = (X86Observer){ .touched = touched, .random = random_number };
    x86_observe(k->cpu, &k->observer);
    k->mem_tap = (AsTap){ .loaded = mem_loaded, .stored = mem_stored, .written = dma_written };
    k->io_tap = (AsTap){ .loaded = io_loaded, .stored = io_stored, .written = no_ports_written };
    as_set_tap(m->mem, &k->mem_tap);
    as_set_tap(m->io, &k->io_tap);
    k->mem_listener = (MemListener){ .changed = mem_changed };
    k->io_listener = (MemListener){ .changed = io_changed };
    as_listen(m->mem, &k->mem_listener);
    as_listen(m->io, &k->io_listener);
    if (vcpu->intctl) {
        k->intctl = vcpu->intctl;
        k->intctl_opaque = vcpu->intctl_opaque;
        k->wrapped = intctl_ops;
        intctl_keep(&k->wrapped, intctl_functions(k->intctl));
        vcpu_set_intctl(vcpu, &k->wrapped, k);
    }
}

void check_unobserve(Check *k, Vcpu *vcpu)
{
    Machine *m = k->accel.machine;

    if (k->intctl) {
        vcpu_set_intctl(vcpu, k->intctl, k->intctl_opaque);
    }
    as_set_tap(m->mem, NULL);
    as_set_tap(m->io, NULL);
    as_unlisten(m->mem, &k->mem_listener);
    as_unlisten(m->io, &k->io_listener);
    x86_observe(k->cpu, NULL);
}
