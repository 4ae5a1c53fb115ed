/*
 * Local APICs and the I/O APIC: vectors and priorities, EOI, IPIs, timers, x2APIC, the 8259 through
 * LINT0, redirection entries.  SDM vol. 3, chapter 11; 82093AA data sheet.
 */
#include "harness.h"

#include "hw/intc.h"

enum { LAPIC = 0xfee00000, IOAPIC = 0xfec00000 };
enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0,
       ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR_HIGH = 0x310, TIMER = 0x320,
       LINT0 = 0x350, LINT1 = 0x360, ERROR = 0x370, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0 };

static Harness *two_cpus(void)
{
    Harness *h = harness_empty();

    harness_add(h, "i8259", NULL);
    harness_add(h, "apic", "cpu=0");
    harness_add(h, "apic", "cpu=1");
    harness_add(h, "ioapic", NULL);
    apic_bus_connect_pic(machine_find(h->m, "apic-bus"), machine_find(h->m, "i8259"));
    machine_reset(h->m);
    for (unsigned i = 0; i < 2; i++) {
        vcpu_set_current(&h->vcpu[i]);
        mem_write(h, LAPIC + SVR, 4, 0x1ff);
    }
    vcpu_set_current(&h->vcpu[0]);
    return h;
}

static void done(Harness *h)
{
    vcpu_set_current(NULL);
    harness_free(h);
}

static uint32_t rd(Harness *h, unsigned reg)
{
    return (uint32_t)mem_read(h, LAPIC + reg, 4);
}

static void wr(Harness *h, unsigned reg, uint32_t val)
{
    mem_write(h, LAPIC + reg, 4, val);
}

static bool requested(Harness *h, unsigned cpu, VcpuRequest what)
{
    return atomic_load(&h->vcpu[cpu].requests) & what;
}

static int take(Harness *h, unsigned cpu)
{
    return h->vcpu[cpu].intctl->acknowledge(h->vcpu[cpu].intctl_opaque);
}

static void self_ipi(Harness *h, uint8_t vector)
{
    wr(h, ICR, 0x40000 | vector);
}

static void test_registers(void)
{
    Harness *h = two_cpus();

    g_assert_cmphex(rd(h, ID), ==, 0);
    g_assert_cmphex(rd(h, VERSION), ==, 0x50014);
    g_assert_cmphex(rd(h, DFR), ==, 0xffffffff);
    g_assert_cmphex(rd(h, TIMER), ==, 0x10000);
    g_assert_cmphex(rd(h, LINT0), ==, 0x700);
    g_assert_cmphex(rd(h, LINT1), ==, 0x10000);
    vcpu_set_current(&h->vcpu[1]);              /* the same page, another APIC */
    g_assert_cmphex(rd(h, ID), ==, 0x01000000);
    g_assert_cmphex(rd(h, LINT0), ==, 0x10000);
    g_assert_cmphex(rd(h, 0x400), ==, 0);       /* no such register */
    wr(h, ESR, 0);
    g_assert_cmphex(rd(h, ESR), ==, 0x80);
    wr(h, ESR, 0);
    g_assert_cmphex(rd(h, ESR), ==, 0);
    done(h);
}

static void test_narrow_write(void)
{
    Harness *h = two_cpus();

    wr(h, LINT1, 0x107ff);
    mem_write(h, LAPIC + LINT1, 1, 0xabcd42);   /* a byte of a wider value: the rest of it is not written */
    g_assert_cmphex(rd(h, LINT1), ==, 0x42);
    done(h);
}

static void test_priority_and_eoi(void)
{
    Harness *h = two_cpus();

    self_ipi(h, 0x41);
    self_ipi(h, 0x55);
    self_ipi(h, 0x52);
    g_assert_true(requested(h, 0, VCPU_INTR));
    g_assert_cmphex(rd(h, IRR + 0x20), ==, 1u << 0x15 | 1u << 0x12 | 1u << 1);
    g_assert_cmphex(take(h, 0), ==, 0x55);
    g_assert_cmphex(rd(h, ISR + 0x20), ==, 1u << 0x15);
    g_assert_cmphex(rd(h, PPR), ==, 0x50);
    g_assert_false(requested(h, 0, VCPU_INTR)); /* 52 is of the same class */
    g_assert_cmphex(take(h, 0), ==, -1);
    self_ipi(h, 0x61);
    g_assert_cmphex(take(h, 0), ==, 0x61);
    wr(h, EOI, 0);
    wr(h, EOI, 0);
    g_assert_cmphex(take(h, 0), ==, 0x52);
    wr(h, TPR, 0x42);
    wr(h, EOI, 0);
    g_assert_false(requested(h, 0, VCPU_INTR));
    g_assert_cmphex(rd(h, PPR), ==, 0x42);
    h->vcpu[0].intctl->set_tpr(h->vcpu[0].intctl_opaque, 3);    /* CR8 */
    g_assert_cmphex(rd(h, TPR), ==, 0x30);
    g_assert_true(requested(h, 0, VCPU_INTR));
    g_assert_cmphex(take(h, 0), ==, 0x41);
    done(h);
}

static void test_ipi_destinations(void)
{
    Harness *h = two_cpus();

    wr(h, ICR_HIGH, 1u << 24);
    wr(h, ICR, 0x30);                           /* physical, to 1 */
    g_assert_false(requested(h, 0, VCPU_INTR));
    g_assert_cmphex(take(h, 1), ==, 0x30);
    wr(h, ICR_HIGH, 0xffu << 24);
    wr(h, ICR, 0x40);                           /* physical broadcast */
    g_assert_cmphex(take(h, 0), ==, 0x40);
    g_assert_cmphex(take(h, 1), ==, 0x40);
    wr(h, ICR, 0xc0050);                        /* all but self */
    g_assert_cmphex(take(h, 0), ==, -1);
    g_assert_cmphex(take(h, 1), ==, 0x50);
    wr(h, ICR, 0x80060);                        /* all */
    g_assert_cmphex(take(h, 0), ==, 0x60);
    g_assert_cmphex(take(h, 1), ==, 0x60);

    wr(h, LDR, 1u << 24);
    vcpu_set_current(&h->vcpu[1]);
    wr(h, LDR, 2u << 24);
    wr(h, ICR_HIGH, 2u << 24);
    wr(h, ICR, 0x870);                          /* logical flat */
    g_assert_cmphex(take(h, 0), ==, -1);
    g_assert_cmphex(take(h, 1), ==, 0x70);

    wr(h, DFR, 0x0fffffff);                     /* cluster 2, member 1 */
    wr(h, LDR, 0x21u << 24);
    wr(h, ICR_HIGH, 0x31u << 24);
    wr(h, ICR, 0x880);
    g_assert_cmphex(take(h, 1), ==, -1);
    wr(h, ICR_HIGH, 0x21u << 24);
    wr(h, ICR, 0x880);
    g_assert_cmphex(take(h, 1), ==, 0x80);
    done(h);
}

/* IDs have gaps where a package does not hold a power of two: messages go by ID, not by number. */
static void test_ids_with_gaps(void)
{
    Harness *h = two_cpus();
    const IntCtl *ops = h->vcpu[1].intctl;
    void *a = h->vcpu[1].intctl_opaque;
    uint64_t v;

    h->vcpu[1].apic_id = 0x25;
    wr(h, ICR_HIGH, 1u << 24);
    wr(h, ICR, 0x30);                           /* nobody */
    g_assert_cmphex(take(h, 1), ==, -1);
    wr(h, ICR_HIGH, 0x25u << 24);
    wr(h, ICR, 0x31);
    g_assert_cmphex(take(h, 1), ==, 0x31);
    vcpu_set_current(&h->vcpu[1]);
    g_assert_cmphex(rd(h, ID), ==, 0x25000000);
    ops->set_base(a, 0xfee00c00);
    g_assert_true(ops->read_msr(a, 0x02, &v));
    g_assert_cmphex(v, ==, 0x25);
    g_assert_true(ops->read_msr(a, 0x0d, &v));
    g_assert_cmphex(v, ==, 2 << 16 | 1 << 5);   /* cluster, and the bit in it */
    h->vcpu[1].apic_id = 1;
    done(h);
}

static void test_lowest_priority(void)
{
    Harness *h = two_cpus();

    wr(h, LDR, 1u << 24);
    wr(h, TPR, 0x80);
    vcpu_set_current(&h->vcpu[1]);
    wr(h, LDR, 2u << 24);
    wr(h, TPR, 0x20);
    wr(h, ICR_HIGH, 3u << 24);
    wr(h, ICR, 0x991);                          /* logical, lowest priority: 1 is less busy */
    g_assert_cmphex(rd(h, IRR + 0x40), ==, 1u << 0x11);
    vcpu_set_current(&h->vcpu[0]);
    g_assert_cmphex(rd(h, IRR + 0x40), ==, 0);
    done(h);
}

static void test_init_and_sipi(void)
{
    Harness *h = two_cpus();

    wr(h, ICR_HIGH, 1u << 24);
    wr(h, ICR, 0x400);
    g_assert_true(requested(h, 1, VCPU_NMI));
    wr(h, ICR, 0xc500);
    g_assert_true(requested(h, 1, VCPU_INIT));
    g_assert_false(requested(h, 1, VCPU_SIPI));
    wr(h, ICR, 0x8500);                         /* de-assert: nothing */
    wr(h, ICR, 0x69f);
    g_assert_true(requested(h, 1, VCPU_SIPI));
    g_assert_cmphex(h->vcpu[1].sipi_vector, ==, 0x9f);
    vcpu_set_current(&h->vcpu[1]);
    g_assert_cmphex(rd(h, SVR), ==, 0xff);      /* INIT resets the APIC */
    g_assert_cmphex(rd(h, ID), ==, 0x01000000);
    done(h);
}

static void test_illegal_vector(void)
{
    Harness *h = two_cpus();

    wr(h, ERROR, 0xfe);
    self_ipi(h, 3);
    g_assert_cmphex(take(h, 0), ==, 0xfe);
    wr(h, ESR, 0);
    g_assert_cmphex(rd(h, ESR), ==, 0x20);
    done(h);
}

static void test_software_disable(void)
{
    Harness *h = two_cpus();

    wr(h, TIMER, 0x40);
    wr(h, SVR, 0xff);
    g_assert_cmphex(rd(h, TIMER), ==, 0x10040);
    wr(h, TIMER, 0x40);
    g_assert_cmphex(rd(h, TIMER), ==, 0x10040); /* masks cannot be cleared */
    self_ipi(h, 0x44);
    g_assert_cmphex(take(h, 0), ==, -1);
    done(h);
}

static void test_timer_one_shot(void)
{
    Harness *h = two_cpus();

    wr(h, DIVIDE, 0xb);                         /* by 1: a nanosecond a count */
    wr(h, TIMER, 0x50);
    wr(h, INITIAL, 100000);
    step(h, 40000);
    g_assert_cmpuint(rd(h, CURRENT), ==, 60000);
    g_assert_false(requested(h, 0, VCPU_INTR));
    step(h, 60000);
    g_assert_cmphex(take(h, 0), ==, 0x50);
    g_assert_cmpuint(rd(h, CURRENT), ==, 0);
    wr(h, EOI, 0);
    step(h, 1000000);
    g_assert_false(requested(h, 0, VCPU_INTR));

    wr(h, DIVIDE, 3);                           /* by 16 */
    wr(h, INITIAL, 1000);
    step(h, 15999);
    g_assert_false(requested(h, 0, VCPU_INTR));
    g_assert_cmpuint(rd(h, CURRENT), ==, 1);
    step(h, 1);
    g_assert_cmphex(take(h, 0), ==, 0x50);
    done(h);
}

/* A larger divisor moves the beginning back, to before power-on perhaps: that was refused as a state. */
static void test_timer_began_before_power_on(void)
{
    Harness *h = two_cpus();
    Device *apic = h->vcpu[0].intctl_opaque;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GError *err = NULL;

    wr(h, DIVIDE, 0xb);
    wr(h, INITIAL, 1000000);
    step(h, 500000);
    wr(h, DIVIDE, 0xa);                         /* by 128 */
    state_save(apic->cls->state, apic, bytes);
    wr(h, INITIAL, 1);
    g_assert_true(state_load(apic->cls->state, apic, bytes->data, bytes->len, &err));
    g_assert_no_error(err);
    g_assert_cmpuint(rd(h, CURRENT), ==, 500000);
    step(h, 128 * 1000);
    g_assert_cmpuint(rd(h, CURRENT), ==, 499000);
    done(h);
}

static void test_timer_periodic(void)
{
    Harness *h = two_cpus();

    wr(h, DIVIDE, 0xb);
    wr(h, TIMER, 0x20051);
    wr(h, INITIAL, 1000000);
    for (unsigned i = 0; i < 5; i++) {
        step(h, 999999);
        g_assert_false(requested(h, 0, VCPU_INTR));
        step(h, 1);
        g_assert_cmphex(take(h, 0), ==, 0x51);
        wr(h, EOI, 0);
    }
    wr(h, TIMER, 0x30051);                      /* masked: counts on, asks nobody */
    step(h, 1500000);
    g_assert_cmpuint(rd(h, CURRENT), ==, 500000);
    g_assert_false(requested(h, 0, VCPU_INTR));
    wr(h, TIMER, 0x20051);
    step(h, 500000);
    g_assert_cmphex(take(h, 0), ==, 0x51);
    wr(h, INITIAL, 0);                          /* stops it */
    wr(h, EOI, 0);
    step(h, 5000000);
    g_assert_false(requested(h, 0, VCPU_INTR));
    done(h);
}

static void test_timer_tsc_deadline(void)
{
    Harness *h = two_cpus();
    const IntCtl *ops = h->vcpu[0].intctl;
    void *a = h->vcpu[0].intctl_opaque;

    ops->set_deadline(a, 5000);                 /* not in the mode: ignored */
    g_assert_cmpuint(ops->get_deadline(a), ==, 0);
    wr(h, TIMER, 0x40052);
    h->vcpu[0].tsc_offset = 1000000;
    ops->set_deadline(a, vcpu_tsc(&h->vcpu[0]) + 70000);
    step(h, 69000);
    g_assert_false(requested(h, 0, VCPU_INTR));
    g_assert_cmpuint(ops->get_deadline(a), !=, 0);
    step(h, 1100);
    g_assert_cmphex(take(h, 0), ==, 0x52);
    g_assert_cmpuint(ops->get_deadline(a), ==, 0);
    wr(h, EOI, 0);
    ops->set_deadline(a, 1);                    /* long past: at once */
    g_assert_cmphex(take(h, 0), ==, 0x52);
    wr(h, EOI, 0);
    ops->set_deadline(a, vcpu_tsc(&h->vcpu[0]) + 1000);
    ops->set_deadline(a, 0);                    /* disarmed */
    step(h, 1000000);
    g_assert_false(requested(h, 0, VCPU_INTR));
    h->vcpu[0].tsc_khz = 2 * VCPU_TSC_KHZ;      /* twice the ticks in the same time */
    ops->set_deadline(a, vcpu_tsc(&h->vcpu[0]) + 100000);
    step(h, 49000);
    g_assert_false(requested(h, 0, VCPU_INTR));
    step(h, 1100);
    g_assert_cmphex(take(h, 0), ==, 0x52);
    done(h);
}

static void test_x2apic(void)
{
    Harness *h = two_cpus();
    const IntCtl *ops = h->vcpu[1].intctl;
    void *a = h->vcpu[1].intctl_opaque;
    uint64_t v;

    g_assert_cmphex(ops->get_base(a), ==, 0xfee00800);
    g_assert_cmphex(h->vcpu[0].intctl->get_base(h->vcpu[0].intctl_opaque), ==, 0xfee00900);
    g_assert_false(ops->read_msr(a, 0x02, &v));             /* not in the mode */
    ops->set_base(a, 0xfee00c00);
    g_assert_cmphex(ops->get_base(a), ==, 0xfee00c00);
    g_assert_true(ops->read_msr(a, 0x02, &v));
    g_assert_cmphex(v, ==, 1);
    g_assert_true(ops->read_msr(a, 0x0d, &v));
    g_assert_cmphex(v, ==, 2);
    g_assert_false(ops->read_msr(a, 0x0e, &v));             /* no DFR */
    g_assert_false(ops->write_msr(a, 0x0b, 1));             /* EOI takes 0 only */
    g_assert_true(ops->write_msr(a, 0x0b, 0));
    g_assert_true(ops->write_msr(a, 0x3f, 0x77));           /* self IPI */
    g_assert_cmphex(take(h, 1), ==, 0x77);
    g_assert_true(ops->write_msr(a, 0x30, 0x55));           /* to processor 0, 64 bits at once */
    g_assert_cmphex(take(h, 0), ==, 0x55);
    g_assert_true(ops->write_msr(a, 0x30, 0xffffffff00000056ull));
    g_assert_cmphex(take(h, 1), ==, -1);                    /* 77 is in service */
    g_assert_true(ops->write_msr(a, 0x0b, 0));
    g_assert_cmphex(take(h, 1), ==, 0x56);
    vcpu_set_current(&h->vcpu[1]);
    g_assert_cmphex(rd(h, ID), ==, 0xffffffff);             /* the page is gone */
    ops->set_base(a, 0xfee00800);                           /* no way back but through off */
    g_assert_cmphex(ops->get_base(a), ==, 0xfee00c00);
    ops->set_base(a, 0xfee00000);
    ops->set_base(a, 0xfee00800);
    g_assert_cmphex(rd(h, ID), ==, 0x01000000);
    done(h);
}

static void pic_init(Harness *h)
{
    outb(h, 0x20, 0x11);
    outb(h, 0x21, 0x08);
    outb(h, 0x21, 0x04);
    outb(h, 0x21, 0x01);
}

static void test_virtual_wire(void)
{
    Harness *h = two_cpus();
    Device *pic = machine_find(h->m, "i8259");

    pic_init(h);
    wr(h, LINT0, 0x700);
    pic_set_input(pic, 3, true);
    g_assert_true(requested(h, 0, VCPU_INTR));
    g_assert_false(requested(h, 1, VCPU_INTR));
    g_assert_cmphex(take(h, 0), ==, 0x0b);
    g_assert_false(requested(h, 0, VCPU_INTR));
    outb(h, 0x20, 0x20);
    pic_set_input(pic, 3, false);

    wr(h, LINT0, 0x10700);                      /* masked */
    pic_set_input(pic, 3, true);
    g_assert_false(requested(h, 0, VCPU_INTR));
    h->vcpu[0].intctl->set_base(h->vcpu[0].intctl_opaque, 0xfee00100);  /* no APIC: straight to the pin */
    g_assert_true(requested(h, 0, VCPU_INTR));
    g_assert_cmphex(take(h, 0), ==, 0x0b);
    done(h);
}

/* ---- I/O APIC ---- */

static uint32_t io_rd(Harness *h, unsigned reg)
{
    mem_write(h, IOAPIC, 4, reg);
    return (uint32_t)mem_read(h, IOAPIC + 0x10, 4);
}

static void io_wr(Harness *h, unsigned reg, uint32_t val)
{
    mem_write(h, IOAPIC, 4, reg);
    mem_write(h, IOAPIC + 0x10, 4, val);
}

static void test_ioapic_registers(void)
{
    Harness *h = two_cpus();

    g_assert_cmphex(io_rd(h, 1), ==, 0x170011);
    io_wr(h, 0, 0xff000000);
    g_assert_cmphex(io_rd(h, 0), ==, 0x0f000000);
    g_assert_cmphex(io_rd(h, 0x10), ==, 0x10000);
    io_wr(h, 0x3e, 0xffffffff);
    io_wr(h, 0x3f, 0xffffffff);
    g_assert_cmphex(io_rd(h, 0x3e), ==, 0x1afff);           /* status and remote IRR are read-only */
    g_assert_cmphex(io_rd(h, 0x3f), ==, 0xff000000);
    g_assert_cmphex(io_rd(h, 0x40), ==, 0);
    done(h);
}

static void test_ioapic_edge(void)
{
    Harness *h = two_cpus();
    Device *io = machine_find(h->m, "ioapic");

    ioapic_set_input(io, 4, true);                          /* masked: lost */
    ioapic_set_input(io, 4, false);
    io_wr(h, 0x19, 1u << 24);
    io_wr(h, 0x18, 0x61);
    g_assert_false(requested(h, 1, VCPU_INTR));
    ioapic_set_input(io, 4, true);
    g_assert_cmphex(take(h, 1), ==, 0x61);
    vcpu_set_current(&h->vcpu[1]);
    wr(h, EOI, 0);
    g_assert_false(requested(h, 1, VCPU_INTR));
    done(h);
}

static void test_ioapic_level(void)
{
    Harness *h = two_cpus();
    Device *io = machine_find(h->m, "ioapic");

    io_wr(h, 0x24, 0x8062);                                 /* pin 10, level, processor 0 */
    ioapic_set_input(io, 10, true);
    g_assert_cmphex(take(h, 0), ==, 0x62);
    g_assert_cmphex(rd(h, TMR + 0x30), ==, 1u << 2);
    g_assert_cmphex(io_rd(h, 0x24), ==, 0xc062);            /* remote IRR */
    ioapic_set_input(io, 10, true);
    g_assert_false(requested(h, 0, VCPU_INTR));
    wr(h, EOI, 0);                                          /* still up: again */
    g_assert_cmphex(take(h, 0), ==, 0x62);
    ioapic_set_input(io, 10, false);
    wr(h, EOI, 0);
    g_assert_false(requested(h, 0, VCPU_INTR));
    g_assert_cmphex(io_rd(h, 0x24), ==, 0x8062);

    /* Kernels clear a stuck remote IRR by switching to edge and back. */
    ioapic_set_input(io, 10, true);
    take(h, 0);
    io_wr(h, 0x24, 0x10062);
    g_assert_cmphex(io_rd(h, 0x24), ==, 0x10062);
    done(h);
}

static void test_msi(void)
{
    Harness *h = two_cpus();
    Device *bus = machine_find(h->m, "apic-bus");

    g_assert_true(apic_bus_deliver_msi(bus, 0xfee01000, 0x45));
    g_assert_cmphex(take(h, 1), ==, 0x45);
    g_assert_false(apic_bus_deliver_msi(bus, 0xfee05000, 0x45));        /* nobody has ID 5 */
    g_assert_false(apic_bus_deliver_msi(bus, 0x1000, 0x45));
    apic_bus_nmi(bus);
    g_assert_false(requested(h, 0, VCPU_NMI));              /* LINT1 is masked */
    wr(h, LINT1, 0x400);
    apic_bus_nmi(bus);
    g_assert_true(requested(h, 0, VCPU_NMI));
    done(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/apic/registers", test_registers);
    g_test_add_func("/apic/narrow-write", test_narrow_write);
    g_test_add_func("/apic/priority-and-eoi", test_priority_and_eoi);
    g_test_add_func("/apic/ipi-destinations", test_ipi_destinations);
    g_test_add_func("/apic/ids-with-gaps", test_ids_with_gaps);
    g_test_add_func("/apic/lowest-priority", test_lowest_priority);
    g_test_add_func("/apic/init-and-sipi", test_init_and_sipi);
    g_test_add_func("/apic/illegal-vector", test_illegal_vector);
    g_test_add_func("/apic/software-disable", test_software_disable);
    g_test_add_func("/apic/timer-one-shot", test_timer_one_shot);
    g_test_add_func("/apic/timer-began-before-power-on", test_timer_began_before_power_on);
    g_test_add_func("/apic/timer-periodic", test_timer_periodic);
    g_test_add_func("/apic/timer-tsc-deadline", test_timer_tsc_deadline);
    g_test_add_func("/apic/x2apic", test_x2apic);
    g_test_add_func("/apic/virtual-wire", test_virtual_wire);
    g_test_add_func("/ioapic/registers", test_ioapic_registers);
    g_test_add_func("/ioapic/edge", test_ioapic_edge);
    g_test_add_func("/ioapic/level", test_ioapic_level);
    g_test_add_func("/apic/msi-and-nmi", test_msi);
    return g_test_run();
}
