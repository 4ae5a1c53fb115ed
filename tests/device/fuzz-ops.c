/*
 * The operations of the device fuzzer: one table row each, with when it applies, how arguments are
 * picked and what it does.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "hw/intc.h"

/* ---- picking ---- */

static uint32_t below(Fuzz *f, uint32_t n)
{
    return n ? g_rand_int(f->rand) % n : 0;
}

/* Values that hit edges more often than chance would. */
static uint64_t pick_value(Fuzz *f)
{
    static const uint64_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
                                      0xffffffff, ~0ull };
    uint64_t v = (uint64_t)g_rand_int(f->rand) << 32 | g_rand_int(f->rand);

    switch (below(f, 8)) {
    case 0:
        return edges[below(f, G_N_ELEMENTS(edges))];
    case 1:
        return 1ull << (v & 31);
    case 2:
        return v & 0xf;
    case 3:
        return v & 0xffffff;                    /* an address in RAM, or nearly */
    case 4:
        return f->n_seen ? f->seen[below(f, MIN(f->n_seen, G_N_ELEMENTS(f->seen)))] + below(f, 3) - 1 : v;
    case 5:
        return v & 0xff;
    default:
        return v;
    }
}

void fuzz_note(Fuzz *f, uint64_t value)
{
    f->seen[f->n_seen++ % G_N_ELEMENTS(f->seen)] = value;
}

static void look_at(const MemSection *s, void *opaque)
{
    Fuzz *f = opaque;

    if (s->region == &f->h->ram) {
        return;
    }
    if (s->region->as) {
        return;                                 /* a root: nothing is there */
    }
    if (f->n_mem < FUZZ_SECTIONS) {
        f->mem[f->n_mem++] = *s;
    }
}

static void look_at_io(const MemSection *s, void *opaque)
{
    Fuzz *f = opaque;

    if (f->n_io < FUZZ_SECTIONS) {
        f->io[f->n_io++] = *s;
    }
}

void fuzz_look(Fuzz *f)
{
    f->n_io = f->n_mem = 0;
    as_for_each(f->h->m->io, look_at_io, f);
    as_for_each(f->h->m->mem, look_at, f);
}

static uint64_t pick_address(Fuzz *f, const MemSection *s)
{
    uint64_t reach = below(f, 4) ? MIN(s->len, 64) : MIN(s->len, 1u << 24);

    return s->at + below(f, (uint32_t)reach);
}

static bool have_io(Fuzz *f)
{
    return f->n_io;
}

static bool have_mem(Fuzz *f)
{
    return f->n_mem;
}

static void pick_io(Fuzz *f, Op *op)
{
    op->size = 1u << below(f, 3);
    op->addr = pick_address(f, &f->io[below(f, f->n_io)]) & 0xffff;
}

static void pick_mem(Fuzz *f, Op *op)
{
    op->size = below(f, 2) ? 4 : 1u << below(f, 4);
    op->addr = pick_address(f, &f->mem[below(f, f->n_mem)]);
    if (below(f, 4)) {
        op->addr &= ~(uint64_t)(op->size - 1);
    }
}

static PciDevice *pci_of(Harness *h)
{
    return h->dev && h->dev->cls->bus && !strcmp(h->dev->cls->bus, "pci") ? (PciDevice *)h->dev : NULL;
}

static bool is_pci(Fuzz *f)
{
    return pci_of(f->h);
}

static void pick_config(Fuzz *f, Op *op)
{
    op->size = 1u << below(f, 3);
    op->addr = below(f, 256) & ~(op->size - 1);
    /* Mostly leave the BARs and the enable bits where the device can be reached. */
    if (op->addr < 0x34 && below(f, 8)) {
        op->addr += 0x40;
    }
}

static void pick_ram(Fuzz *f, Op *op)
{
    op->size = 8;
    op->addr = below(f, HARNESS_RAM - 8);
}

static void pick_step(Fuzz *f, Op *op)
{
    static const uint32_t most[] = { 1000, 20000, 500000, 5000000, 20000000 };

    op->val = below(f, most[below(f, G_N_ELEMENTS(most))]);
    if (below(f, 500) == 0) {
        op->val = NS_PER_S;
    }
}

/* ---- devices with something beside registers ---- */

static bool is_class(const Harness *h, const char *name)
{
    return h->dev && !strcmp(h->dev->cls->name, name);
}

static bool has_pins(Fuzz *f)
{
    return is_class(f->h, "i8259") || is_class(f->h, "ioapic");
}

static bool is_pic(Fuzz *f)
{
    return is_class(f->h, "i8259");
}

static bool has_intctl(Fuzz *f)
{
    return ((Vcpu *)g_ptr_array_index(f->h->m->vcpus, 0))->intctl;
}

static bool has_dma(Fuzz *f)
{
    return f->h->isa.dma_ops;
}

static bool has_input(Fuzz *f)
{
    return is_class(f->h, "i8042") || !f->h->dev;
}

static bool has_chardev(Fuzz *f)
{
    return f->h->chr.front;
}

static bool always(Fuzz *f)
{
    return true;
}

static void pick_pin(Fuzz *f, Op *op)
{
    op->addr = below(f, 26);
    op->val = below(f, 2);
}

static void pick_msr(Fuzz *f, Op *op)
{
    op->addr = below(f, 0x44);
    op->val &= below(f, 2) ? 0xff : ~0ull;
}

static void pick_base(Fuzz *f, Op *op)
{
    op->val = 0xfee00000 | below(f, 4) << 10 | (below(f, 16) ? 0 : pick_value(f));
}

static void pick_deadline(Fuzz *f, Op *op)
{
    if (below(f, 2)) {
        op->val = (uint64_t)clock_now(f->h->m->clock) + below(f, 100000);
    }
}

static void pick_dma(Fuzz *f, Op *op)
{
    op->addr = below(f, 10);
    op->size = below(f, 600);
}

static void pick_key(Fuzz *f, Op *op)
{
    unsigned n = 0;

    while (input_keys[n].name) {
        n++;
    }
    op->addr = below(f, n);
    op->val = below(f, 2);
}

static void pick_nothing(Fuzz *f, Op *op)
{
}

/* ---- doing ---- */

static Vcpu *cpu0(Harness *h)
{
    return g_ptr_array_index(h->m->vcpus, 0);
}

static uint64_t run_in(Harness *h, const Op *op)
{
    return as_load(h->m->io, op->addr & 0xffff, op->size);
}

static uint64_t run_out(Harness *h, const Op *op)
{
    as_store(h->m->io, op->addr & 0xffff, op->val, op->size);
    return 0;
}

static uint64_t run_load(Harness *h, const Op *op)
{
    return as_load(h->m->mem, op->addr, op->size);
}

static uint64_t run_store(Harness *h, const Op *op)
{
    as_store(h->m->mem, op->addr, op->val, op->size);
    return 0;
}

static uint64_t run_config_read(Harness *h, const Op *op)
{
    return pci_config_read(&h->pci, 0, (uint8_t)pci_of(h)->addr, (unsigned)op->addr & 0xff, op->size);
}

static uint64_t run_config_write(Harness *h, const Op *op)
{
    pci_config_write(&h->pci, 0, (uint8_t)pci_of(h)->addr, (unsigned)op->addr & 0xff, (uint32_t)op->val, op->size);
    return 0;
}

/* BARs where they do not meet, decoding on: what firmware would do. */
static uint64_t run_map(Harness *h, const Op *op)
{
    PciDevice *d = pci_of(h);
    uint8_t devfn = (uint8_t)d->addr;

    for (unsigned i = 0; i < 6; i++) {
        uint32_t at = d->bar[i].flags & PCI_BAR_IO ? 0xc000 + i * 0x400 : 0xe0000000 + i * 0x2000000;

        if (d->bar[i].region) {
            pci_config_write(&h->pci, 0, devfn, PCI_BAR0 + 4 * i, at, 4);
        }
    }
    pci_config_write(&h->pci, 0, devfn, PCI_COMMAND, 7, 2);
    return 0;
}

static uint64_t run_ram(Harness *h, const Op *op)
{
    as_write(h->m->mem, op->addr % (HARNESS_RAM - 8), &op->val, 8);
    return 0;
}

static uint64_t run_step(Harness *h, const Op *op)
{
    step(h, (int64_t)(op->val % (2 * NS_PER_S)));
    machine_unlock(h->m);
    loop_run(h->m->loop, 0);                    /* what was posted */
    machine_lock(h->m);
    return 0;
}

static uint64_t run_pin(Harness *h, const Op *op)
{
    if (is_class(h, "i8259")) {
        pic_set_input(h->dev, (int)(op->addr % 32), op->val & 1);
    } else if (is_class(h, "ioapic")) {
        ioapic_set_input(h->dev, (int)(op->addr % 32), op->val & 1);
    }
    return 0;
}

static uint64_t run_inta(Harness *h, const Op *op)
{
    return (uint64_t)pic_acknowledge(h->dev);
}

static uint64_t run_acknowledge(Harness *h, const Op *op)
{
    Vcpu *c = cpu0(h);

    return (uint64_t)c->intctl->acknowledge(c->intctl_opaque) << 8 | c->intctl->pending(c->intctl_opaque);
}

static uint64_t run_rdmsr(Harness *h, const Op *op)
{
    Vcpu *c = cpu0(h);
    uint64_t v = 0;

    return c->intctl->read_msr(c->intctl_opaque, op->addr & 0xff, &v) ? v : 0xbad;
}

static uint64_t run_wrmsr(Harness *h, const Op *op)
{
    Vcpu *c = cpu0(h);

    return c->intctl->write_msr(c->intctl_opaque, op->addr & 0xff, op->val);
}

static uint64_t run_tpr(Harness *h, const Op *op)
{
    Vcpu *c = cpu0(h);

    c->intctl->set_tpr(c->intctl_opaque, op->val & 15);
    return c->intctl->get_tpr(c->intctl_opaque);
}

static uint64_t run_base(Harness *h, const Op *op)
{
    Vcpu *c = cpu0(h);

    c->intctl->set_base(c->intctl_opaque, op->val);
    return c->intctl->get_base(c->intctl_opaque);
}

static uint64_t run_deadline(Harness *h, const Op *op)
{
    Vcpu *c = cpu0(h);

    c->intctl->set_deadline(c->intctl_opaque, op->val);
    return c->intctl->get_deadline(c->intctl_opaque);
}

static uint64_t run_dma(Harness *h, const Op *op)
{
    uint8_t buf[1024];
    size_t n;

    if (!h->isa.dma_ops) {
        return 0;
    }
    memset(buf, (int)op->val, sizeof(buf));
    n = op->val & 1 ? h->isa.dma_ops->to_memory(h->isa.dma, (unsigned)op->addr, buf, op->size % sizeof(buf))
                    : h->isa.dma_ops->from_memory(h->isa.dma, (unsigned)op->addr, buf, op->size % sizeof(buf));
    return n << 8 | buf[n / 2];
}

static uint64_t run_key(Harness *h, const Op *op)
{
    unsigned n = 0;

    while (input_keys[n].name) {
        n++;
    }
    input_key(h->input, &input_keys[op->addr % n], op->val & 1);
    return 0;
}

static uint64_t run_move(Harness *h, const Op *op)
{
    input_move(h->input, (int32_t)op->val, (int16_t)op->addr, (int8_t)(op->val >> 40));
    return 0;
}

static uint64_t run_buttons(Harness *h, const Op *op)
{
    input_buttons(h->input, (unsigned)op->val);
    return 0;
}

static uint64_t run_type(Harness *h, const Op *op)
{
    if (h->chr.input->len < 4096) {
        chr_type(h, (const char *)&op->val, 1 + op->addr % 8);
    }
    return h->chr.input->len;
}

static uint64_t run_break(Harness *h, const Op *op)
{
    chr_break(h);
    return 0;
}

static uint64_t run_limit(Harness *h, const Op *op)
{
    chr_set_limit(h, h->chr.output->len + op->val % 64);
    return 0;
}

static uint64_t run_reset(Harness *h, const Op *op)
{
    machine_reset(h->m);
    return 0;
}

static const struct {
    const char *name;
    unsigned weight;
    bool (*applies)(Fuzz *f);
    void (*pick)(Fuzz *f, Op *op);
    uint64_t (*run)(Harness *h, const Op *op);
} ops[] = {
    { "in", 200, have_io, pick_io, run_in },
    { "out", 400, have_io, pick_io, run_out },
    { "load", 150, have_mem, pick_mem, run_load },
    { "store", 300, have_mem, pick_mem, run_store },
    { "cfgr", 40, is_pci, pick_config, run_config_read },
    { "cfgw", 60, is_pci, pick_config, run_config_write },
    { "map", 30, is_pci, pick_nothing, run_map },
    { "ram", 20, always, pick_ram, run_ram },
    { "step", 100, always, pick_step, run_step },
    { "pin", 200, has_pins, pick_pin, run_pin },
    { "inta", 50, is_pic, pick_nothing, run_inta },
    { "ack", 100, has_intctl, pick_nothing, run_acknowledge },
    { "rdmsr", 50, has_intctl, pick_msr, run_rdmsr },
    { "wrmsr", 100, has_intctl, pick_msr, run_wrmsr },
    { "tpr", 20, has_intctl, pick_nothing, run_tpr },
    { "base", 10, has_intctl, pick_base, run_base },
    { "deadline", 50, has_intctl, pick_deadline, run_deadline },
    { "dma", 100, has_dma, pick_dma, run_dma },
    { "key", 100, has_input, pick_key, run_key },
    { "move", 50, has_input, pick_nothing, run_move },
    { "buttons", 20, has_input, pick_nothing, run_buttons },
    { "type", 100, has_chardev, pick_nothing, run_type },
    { "break", 10, has_chardev, pick_nothing, run_break },
    { "limit", 50, has_chardev, pick_nothing, run_limit },
    { "reset", 1, always, pick_nothing, run_reset },
};

Op fuzz_pick(Fuzz *f)
{
    unsigned total = 0, at;
    Op op = { .val = pick_value(f) };

    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        total += ops[i].applies(f) ? ops[i].weight : 0;
    }
    at = below(f, total);
    for (op.kind = 0;; op.kind++) {
        unsigned weight = ops[op.kind].applies(f) ? ops[op.kind].weight : 0;

        if (at < weight) {
            break;
        }
        at -= weight;
    }
    ops[op.kind].pick(f, &op);
    return op;
}

uint64_t fuzz_run(Harness *h, const Op *op)
{
    return ops[op->kind].run(h, op);
}

void fuzz_print(const Op *op, FILE *to)
{
    fprintf(to, "%s %x %" PRIx64 " %" PRIx64 "\n", ops[op->kind].name, op->size, op->addr, op->val);
}

bool fuzz_parse(const char *line, Op *op)
{
    char name[16];

    if (sscanf(line, "%15s %x %" SCNx64 " %" SCNx64, name, &op->size, &op->addr, &op->val) != 4) {
        return false;
    }
    for (op->kind = 0; op->kind < G_N_ELEMENTS(ops); op->kind++) {
        if (!strcmp(name, ops[op->kind].name)) {
            return true;
        }
    }
    return false;
}
