/*
 * The PCI bus and the chip set through ports: sizing, mapping, PAM, interrupt routing, ACPI registers.
 */
#include <stdatomic.h>
#include "pc_harness.h"

#include <string.h>
#include "util/bits.h"

enum { HOST = 0x00, ISA = 0x08, PM = 0x0b, CARD = 3 << 3, PM_BASE = 0x600 };

/* A card with one BAR of each kind. */
typedef struct Card {
    PciDevice pci;
    Region io, mem, wide;
    uint32_t last;
} Card;

static uint64_t card_read(void *dev, hwaddr off, unsigned size)
{
    return ((Card *)dev)->last + off;
}

static void card_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    ((Card *)dev)->last = val;
}

static const RegionOps card_ops = { .read = card_read, .write = card_write, .size_min = 1, .size_max = 4 };

static bool card_realize(Device *d, GError **errp)
{
    Card *s = (Card *)d;

    region_init_io(&s->io, "card-io", 32, &card_ops, s);
    region_init_io(&s->mem, "card-mem", 4096, &card_ops, s);
    region_init_io(&s->wide, "card-wide", 1 << 20, &card_ops, s);
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, &s->io);
    pci_register_bar(&s->pci, 1, 0, &s->mem);
    pci_register_bar(&s->pci, 2, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &s->wide);
    return true;
}

static void card_unrealize(Device *d)
{
    Card *s = (Card *)d;

    region_fini(&s->io);
    region_fini(&s->mem);
    region_fini(&s->wide);
}

static void card_reset(Device *d)
{
    pci_device_reset((PciDevice *)d);
}

static void card_settle(Device *d)
{
    pci_device_settle((PciDevice *)d);
}

static const Property card_props[] = { PCI_PROPS(Card), PROP_DONE };
static const PciClass card_class = {
    .dev = { .name = "test-card", .summary = "Test card", .bus = "pci", .size = sizeof(Card),
             .props = card_props, .realize = card_realize, .unrealize = card_unrealize, .reset = card_reset,
             .settle = card_settle },
    .vendor = 0x1234, .device = 0x5678, .class_code = 0xff0000, .interrupt_pin = 1,
};

static Card *card_plug(Chipset *c, uint16_t addr, GError **errp)
{
    Device *d = g_malloc0(sizeof(Card));

    d->cls = &card_class.dev;
    d->machine = c->m;
    d->id = g_strdup("card");
    ((PciDevice *)d)->addr = addr;
    if (!device_realize(d, &c->pci->bus, errp)) {
        device_free(d);
        return NULL;
    }
    card_reset(d);
    card_settle(d);
    return (Card *)d;
}

static void test_config_ports(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    g_assert_cmphex(config_in(c.m, HOST, 0, 4), ==, 0x12378086);
    g_assert_cmphex(config_in(c.m, HOST, 2, 2), ==, 0x1237);
    g_assert_cmphex(config_in(c.m, HOST, 1, 1), ==, 0x80);
    g_assert_cmphex(config_in(c.m, ISA, 0x0e, 1), ==, 0x80);
    g_assert_cmphex(config_in(c.m, ISA, 0x0a, 2), ==, 0x0601);
    g_assert_cmphex(config_in(c.m, PM, 0, 4), ==, 0x71138086);
    g_assert_cmphex(config_in(c.m, 31 << 3, 0, 4), ==, 0xffffffff);
    config_out(c.m, HOST, 0, 0, 4);
    g_assert_cmphex(config_in(c.m, HOST, 0, 4), ==, 0x12378086);
    out(c.m, 0xcf8, 0x00000000, 4);                 /* not enabled */
    g_assert_cmphex(in(c.m, 0xcfc, 4), ==, 0xffffffff);
    out(c.m, 0xcf8, 0x80010000, 4);                 /* bus 1 */
    g_assert_cmphex(in(c.m, 0xcfc, 4), ==, 0xffffffff);
    out(c.m, 0xcf8, 0x80000004, 4);                 /* only double words reach CONFADD */
    out(c.m, 0xcf8, 0xff, 1);
    out(c.m, 0xcf8, 0xffff, 2);
    g_assert_cmphex(in(c.m, 0xcf8, 4), ==, 0x80000004);
    chipset_fini(&c);
}

static void test_reset_control(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    out(c.m, 0xcf9, 0x02, 1);
    g_assert_cmphex(in(c.m, 0xcf9, 1), ==, 0x02);
    g_assert_cmpuint(c.m->requests & MACHINE_RESET, ==, 0);
    out(c.m, 0xcf9, 0x06, 1);
    g_assert_cmpuint(c.m->requests & MACHINE_RESET, !=, 0);
    chipset_fini(&c);
}

static void test_bars(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    Card *card = card_plug(&c, CARD, NULL);
    static const struct { unsigned reg; uint32_t sized; } bars[] = {
        { 0x10, 0xffffffe1 }, { 0x14, 0xfffff000 }, { 0x18, 0xfff0000c }, { 0x1c, 0xffffffff }, { 0x20, 0 },
        { 0x30, 0 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(bars); i++) {
        config_out(c.m, CARD, bars[i].reg, 0xffffffff, 4);
        g_assert_cmphex(config_in(c.m, CARD, bars[i].reg, 4), ==, bars[i].sized);
    }
    config_out(c.m, CARD, PCI_COMMAND, 0x3, 2);
    g_assert_cmphex(card->pci.bar[0].mapped_at, ==, ~0ull);      /* all ones are no address */
    g_assert_cmphex(card->pci.bar[2].mapped_at, ==, ~0ull);
    config_out(c.m, CARD, 0x10, 0xc000, 4);
    config_out(c.m, CARD, 0x14, 0xe0000000, 4);
    config_out(c.m, CARD, 0x18, 0x00000000, 4);
    config_out(c.m, CARD, 0x1c, 0x00000080, 4);
    out(c.m, 0xc000, 0x12340000, 4);
    g_assert_cmphex(in(c.m, 0xc004, 4), ==, 0x12340004);
    g_assert_cmphex(as_load(c.m->mem, 0xe0000008, 4), ==, 0x12340008);
    g_assert_cmphex(as_load(c.m->mem, 0x8000000010, 4), ==, 0x12340010);
    config_out(c.m, CARD, PCI_COMMAND, 0x1, 2);                 /* memory decode off */
    g_assert_cmphex(as_load(c.m->mem, 0xe0000008, 4), ==, 0xffffffff);
    g_assert_cmphex(in(c.m, 0xc004, 4), ==, 0x12340004);
    config_out(c.m, CARD, 0x10, 0xd000, 4);                     /* moved while it decodes */
    g_assert_cmphex(in(c.m, 0xc004, 4), ==, 0xffffffff);
    g_assert_cmphex(in(c.m, 0xd004, 4), ==, 0x12340004);
    config_out(c.m, CARD, PCI_COMMAND, 0x3, 2);
    config_out(c.m, CARD, 0x14, 0x00001000, 4);                 /* over RAM: RAM wins */
    as_store(c.m->mem, 0x1000, 0x55aa55aa, 4);
    g_assert_cmphex(as_load(c.m->mem, 0x1000, 4), ==, 0x55aa55aa);
    machine_reset(c.m);
    card_reset(&card->pci.dev);
    card_settle(&card->pci.dev);
    g_assert_cmphex(in(c.m, 0xd004, 4), ==, 0xffffffff);
    g_assert_cmphex(config_in(c.m, CARD, 0x10, 4), ==, 0x00000001);
    chipset_fini(&c);
}

static void test_slots(void)
{
    Chipset c = { 0 };
    GError *err = NULL;

    chipset_init(&c);
    g_assert_null(card_plug(&c, 1 << 3, &err));
    g_assert_nonnull(strstr(err->message, "taken by PIIX3"));
    g_clear_error(&err);
    g_assert_null(card_plug(&c, 5 << 3 | 1, &err));
    g_assert_nonnull(strstr(err->message, "multi-function"));
    g_clear_error(&err);
    g_assert_cmpuint(card_plug(&c, PCI_ADDR_AUTO, NULL)->pci.addr, ==, 2 << 3);
    g_assert_cmpuint(card_plug(&c, 1 << 3 | 5, NULL)->pci.addr, ==, 1 << 3 | 5);
    chipset_fini(&c);
}

static void test_dma_needs_master(void)
{
    Chipset c = { 0 };
    uint32_t val = 0x01020304;

    chipset_init(&c);
    Card *card = card_plug(&c, CARD, NULL);
    g_assert_cmpint(pci_dma_write(&card->pci, 0x2000, &val, 4), ==, MEM_UNMAPPED);
    g_assert_cmphex(as_load(c.m->mem, 0x2000, 4), ==, 0);
    config_out(c.m, CARD, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
    g_assert_cmpint(pci_dma_write(&card->pci, 0x2000, &val, 4), ==, MEM_OK);
    g_assert_cmphex(as_load(c.m->mem, 0x2000, 4), ==, 0x01020304);
    val = 0;
    g_assert_cmpint(pci_dma_read(&card->pci, 0x2000, &val, 4), ==, MEM_OK);
    g_assert_cmphex(val, ==, 0x01020304);
    chipset_fini(&c);
}

static void test_pirq(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    Card *card = card_plug(&c, CARD, NULL);             /* slot 3, INTA: PIRQC */
    pci_set_intx(&card->pci, true);
    for (unsigned n = 0; n < 16; n++) {
        g_assert_false(c.isa->irq[n].level);
    }
    config_out(c.m, ISA, 0x60, 0x0b0b0b0b, 4);
    g_assert_true(c.isa->irq[11].level);
    config_out(c.m, ISA, 0x62, 0x05, 1);
    g_assert_false(c.isa->irq[11].level);
    g_assert_true(c.isa->irq[5].level);
    config_out(c.m, ISA, 0x62, 0x08, 1);                /* reserved */
    g_assert_false(c.isa->irq[8].level);
    config_out(c.m, ISA, 0x62, 0x0b, 1);
    g_assert_cmphex(config_in(c.m, CARD, PCI_STATUS, 2) & 8, ==, 8);
    config_out(c.m, CARD, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
    g_assert_false(c.isa->irq[11].level);
    config_out(c.m, CARD, PCI_COMMAND, 0, 2);
    g_assert_true(c.isa->irq[11].level);
    Card *other = card_plug(&c, 7 << 3, NULL);          /* shares PIRQC */
    pci_set_intx(&other->pci, true);
    pci_set_intx(&card->pci, false);
    g_assert_true(c.isa->irq[11].level);
    pci_set_intx(&other->pci, false);
    g_assert_false(c.isa->irq[11].level);
    chipset_fini(&c);
}

static void test_pam(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    /* Put the ROM's tail below 1 MiB, as a board does. */
    Region isa_bios;
    region_init_alias(&isa_bios, "isa-bios", &c.bios, 0, 0x10000);
    region_map(c.pci->mem, 0xf0000, &isa_bios, 1);
    uint8_t rom = 0x34 ^ 0x12;

    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 1), ==, rom);
    as_store(c.m->mem, 0xf1234, 0x77, 1);
    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 1), ==, rom);
    config_out(c.m, HOST, 0x59, 0x20, 1);               /* write to RAM, read ROM */
    as_store(c.m->mem, 0xf1234, 0x66554433, 4);
    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 1), ==, rom);
    config_out(c.m, HOST, 0x59, 0x10, 1);               /* read RAM, write nowhere */
    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 4), ==, 0x66554433);
    as_store(c.m->mem, 0xf1234, 0, 4);
    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 4), ==, 0x66554433);
    config_out(c.m, HOST, 0x59, 0x30, 1);
    as_store(c.m->mem, 0xf1234, 0x11, 1);
    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 4), ==, 0x66554411);
    config_out(c.m, HOST, 0x59, 0x00, 1);
    g_assert_cmphex(as_load(c.m->mem, 0xf1234, 1), ==, rom);

    for (unsigned i = 0; i < 12; i++) {                 /* each half of PAM1..6 */
        hwaddr at = 0xc0000 + i * 0x4000 + 0x3ffc;
        unsigned reg = 0x5a + i / 2, shift = 4 * (i & 1);

        g_assert_cmphex(as_load(c.m->mem, at, 4), ==, 0xffffffff);
        config_out(c.m, HOST, reg, 3 << shift, 1);
        as_store(c.m->mem, at, i, 4);
        g_assert_cmphex(as_load(c.m->mem, at, 4), ==, i);
        config_out(c.m, HOST, reg, 0, 1);
        g_assert_cmphex(as_load(c.m->mem, at, 4), ==, 0xffffffff);
    }
    region_fini(&isa_bios);
    chipset_fini(&c);
}

static void test_smram(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    g_assert_cmphex(config_in(c.m, HOST, 0x72, 1), ==, 0x02);
    g_assert_cmphex(as_load(c.m->mem, 0xa0000, 1), ==, 0xff);
    config_out(c.m, HOST, 0x72, 0x48, 1);
    as_store(c.m->mem, 0xa0000, 0x42, 1);
    g_assert_cmphex(as_load(c.m->mem, 0xa0000, 1), ==, 0x42);
    config_out(c.m, HOST, 0x72, 0x18, 1);               /* locked */
    g_assert_cmphex(as_load(c.m->mem, 0xa0000, 1), ==, 0xff);
    config_out(c.m, HOST, 0x72, 0x48, 1);
    g_assert_cmphex(as_load(c.m->mem, 0xa0000, 1), ==, 0xff);
    machine_reset(c.m);
    config_out(c.m, HOST, 0x72, 0x48, 1);
    g_assert_cmphex(as_load(c.m->mem, 0xa0000, 1), ==, 0x42);
    chipset_fini(&c);
}

static void pm_map(Chipset *c)
{
    config_out(c->m, PM, 0x40, PM_BASE | 1, 4);
    config_out(c->m, PM, 0x80, 1, 1);
}

static void test_pm_timer(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    g_assert_cmphex(in(c.m, PM_BASE + 8, 4), ==, 0xffffffff);
    pm_map(&c);
    g_assert_cmpuint(piix4_pm_base(c.pm), ==, PM_BASE);
    g_assert_cmphex(config_in(c.m, PM, 0x40, 4), ==, PM_BASE | 1);
    clock_step(c.m->clock, NS_PER_S - clock_now(c.m->clock));
    g_assert_cmpuint(in(c.m, PM_BASE + 8, 4), ==, 3579545);
    clock_step(c.m->clock, 4 * NS_PER_S);               /* 24 bits wrap at 4.687 s */
    g_assert_cmpuint(in(c.m, PM_BASE + 8, 4), ==, 5 * 3579545 % (1 << 24));
    g_assert_cmphex(in(c.m, PM_BASE, 2) & 1, ==, 1);    /* bit 23 has changed */
    out(c.m, PM_BASE, 1, 2);
    g_assert_cmphex(in(c.m, PM_BASE, 2) & 1, ==, 0);
    g_assert_false(c.isa->irq[9].level);
    out(c.m, PM_BASE + 2, 1, 2);
    out(c.m, 0xb2, 0xf1, 1);                            /* ACPI on */
    g_assert_cmphex(in(c.m, PM_BASE + 4, 2) & 1, ==, 1);
    clock_step(c.m->clock, 2 * NS_PER_S);
    g_assert_false(c.isa->irq[9].level);
    clock_step(c.m->clock, 1 * NS_PER_S);               /* 7.03 s: the third change */
    g_assert_true(c.isa->irq[9].level);
    out(c.m, PM_BASE, 1, 1);
    g_assert_false(c.isa->irq[9].level);
    chipset_fini(&c);
}

typedef struct Ticking { Clock *clock; int64_t now; _Atomic int64_t until; atomic_bool stop; } Ticking;

enum { TICK_NS = 100 * 1000, TICKS_A_READ = 100 };

static gpointer tick(gpointer opaque)
{
    Ticking *t = opaque;

    while (!atomic_load(&t->stop)) {
        if (t->now < atomic_load(&t->until)) {
            t->now += TICK_NS;
            clock_set(t->clock, t->now);
        }
    }
    return NULL;
}

/* Both halves of the timer are of one time: it never goes backwards, though time goes on while it is read. */
static void test_pm_timer_is_read_at_once(void)
{
    Chipset c = { 0 };
    uint32_t last = 0;

    chipset_init(&c);
    pm_map(&c);
    Ticking t = { .clock = c.m->clock, .now = clock_now(c.m->clock), .until = clock_now(c.m->clock) };
    GThread *thread = g_thread_new("tick", tick, &t);
    for (unsigned i = 0; i < 400000; i++) {
        atomic_store(&t.until, clock_now(c.m->clock) + TICK_NS * TICKS_A_READ);
        uint32_t now = in(c.m, PM_BASE + 8, 4);
        g_assert_cmphex((now - last) & 0xffffff, <, 1 << 23);
        last = now;
    }
    atomic_store(&t.stop, true);
    g_thread_join(thread);
    chipset_fini(&c);
}

static void test_power_button(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    pm_map(&c);
    for (MachineWatch *w = c.m->watches; w; w = w->next) {
        w->powerdown(w->opaque);
    }
    g_assert_cmphex(in(c.m, PM_BASE, 2), ==, 0x100);
    g_assert_false(c.isa->irq[9].level);
    out(c.m, PM_BASE + 2, 0x0120, 2);
    out(c.m, 0xb2, 0xf1, 1);
    g_assert_true(c.isa->irq[9].level);
    out(c.m, PM_BASE + 1, 0x01, 1);                     /* the high byte alone */
    g_assert_false(c.isa->irq[9].level);
    g_assert_cmphex(in(c.m, PM_BASE, 2), ==, 0);
    out(c.m, 0xb2, 0xf0, 1);
    g_assert_cmphex(in(c.m, PM_BASE + 4, 2) & 1, ==, 0);
    chipset_fini(&c);
}

static void test_soft_off(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    pm_map(&c);
    out(c.m, PM_BASE + 4, 0x2400, 2);                   /* SUS_TYP 1: not S5 */
    g_assert_cmpuint(c.m->requests & MACHINE_POWEROFF, ==, 0);
    out(c.m, PM_BASE + 4, 0x2001, 2);
    g_assert_cmpuint(c.m->requests & MACHINE_POWEROFF, !=, 0);
    g_assert_cmphex(in(c.m, PM_BASE + 4, 2), ==, 0x0001);
    chipset_fini(&c);
}

static void test_smbus_idle(void)
{
    Chipset c = { 0 };

    chipset_init(&c);
    config_out(c.m, PM, 0x90, 0x701, 4);
    config_out(c.m, PM, 0xd2, 0x09, 1);
    g_assert_cmphex(in(c.m, 0x700, 1), ==, 0);
    out(c.m, 0x704, 0xa1, 1);
    out(c.m, 0x702, 0x48, 1);
    g_assert_cmphex(in(c.m, 0x700, 1), ==, 0x04);       /* nobody answers */
    out(c.m, 0x700, 0x1e, 1);
    g_assert_cmphex(in(c.m, 0x700, 1), ==, 0);
    chipset_fini(&c);
}

/* Every dword of every function's configuration space, written with anything. */
static void test_config_fuzz(void)
{
    Chipset c = { 0 };
    g_autoptr(GRand) r = g_rand_new_with_seed(1);

    chipset_init(&c);
    card_plug(&c, CARD, NULL);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned devfn = (unsigned[]){ HOST, ISA, PM, CARD }[g_rand_int_range(r, 0, 4)];
        unsigned size = 1u << g_rand_int_range(r, 0, 3), reg = g_rand_int_range(r, 0, 256) & ~(size - 1);

        config_out(c.m, devfn, reg, g_rand_int(r), size);
        config_in(c.m, devfn, reg, size);
        as_load(c.m->mem, g_rand_int(r), 4);
    }
    g_autoptr(GString) info = g_string_new(NULL);
    pci_info(c.pci, info);
    g_assert_nonnull(strstr(info->str, "8086:7113"));
    chipset_fini(&c);
}

static void test_state(void)
{
    Chipset a = { 0 }, b = { 0 };
    g_autoptr(GByteArray) saved = g_byte_array_new();
    GError *err = NULL;

    chipset_init(&a);
    chipset_init(&b);
    pm_map(&a);
    out(a.m, 0xb2, 0xf1, 1);
    out(a.m, PM_BASE + 2, 0x0100, 2);
    state_save(a.pm->cls->state, a.pm, saved);
    g_assert_true(state_load(b.pm->cls->state, b.pm, saved->data, saved->len, &err));
    b.pm->cls->settle(b.pm);
    g_assert_cmphex(in(b.m, PM_BASE + 2, 2), ==, 0x0100);
    g_assert_cmphex(in(b.m, PM_BASE + 4, 2), ==, 0x0001);
    chipset_fini(&a);
    chipset_fini(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci/config-ports", test_config_ports);
    g_test_add_func("/pci/reset-control", test_reset_control);
    g_test_add_func("/pci/bars", test_bars);
    g_test_add_func("/pci/slots", test_slots);
    g_test_add_func("/pci/dma-needs-master", test_dma_needs_master);
    g_test_add_func("/pci/config-fuzz", test_config_fuzz);
    g_test_add_func("/piix3/pirq", test_pirq);
    g_test_add_func("/i440fx/pam", test_pam);
    g_test_add_func("/i440fx/smram", test_smram);
    g_test_add_func("/piix4/timer", test_pm_timer);
    g_test_add_func("/piix4/timer-is-read-at-once", test_pm_timer_is_read_at_once);
    g_test_add_func("/piix4/power-button", test_power_button);
    g_test_add_func("/piix4/soft-off", test_soft_off);
    g_test_add_func("/piix4/smbus", test_smbus_idle);
    g_test_add_func("/piix4/state", test_state);
    return g_test_run();
}
