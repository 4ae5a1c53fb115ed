/*
 * Signals that do not leave the guest: doorbells by ioeventfd, interrupts by irqfd (core/doorbell.h).
 */
#include "kvm_harness.h"

#include <string.h>
#include "core/doorbell.h"
#include "util/bits.h"

enum { ROUNDS = 20 };

/* Bells at port 150h (a byte), port 154h (a word, 1234h only) and d1000h (a dword). */
typedef struct Bells {
    Bench *b;
    Region io[3];
    Doorbell bell[3];
    uint64_t rung[3], calls;
    unsigned ordinary;          /* writes to those registers that are none of theirs */
} Bells;

static void ring(void *opaque, uint64_t times)
{
    *(uint64_t *)opaque += times;
}

static void ordinary_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    ((Bells *)dev)->ordinary++;
}

static void map_bells(Bells *s, Bench *b)
{
    static const RegionOps ops = { .write = ordinary_write };
    static const struct { hwaddr at, size; bool ports, matches; } where[] = {
        { 0x150, 1, true, false }, { 0x154, 2, true, true }, { 0xd1000, 4, false, false },
    };

    *s = (Bells){ .b = b };
    machine_lock(b->m);
    for (unsigned i = 0; i < G_N_ELEMENTS(where); i++) {
        s->bell[i] = (Doorbell){ where[i].matches, 0x1234, NULL, ring, &s->rung[i] };
        region_init_io(&s->io[i], "bell", where[i].size, &ops, s);
        region_set_doorbell(&s->io[i], &s->bell[i]);
        region_map(where[i].ports ? &b->m->io_root : &b->m->mem_root, where[i].at, &s->io[i], 1);
    }
    machine_unlock(b->m);
}

static void unmap_bells(Bells *s)
{
    machine_lock(s->b->m);
    for (unsigned i = 0; i < G_N_ELEMENTS(s->io); i++) {
        region_fini(&s->io[i]);
    }
    machine_unlock(s->b->m);
}

/* 20 times: each bell once, and what is not its value or not all of it once. */
static const uint8_t rings[] = {
    0xb8, 0x00, 0xd1, 0x8e, 0xc0,               /* mov ax, 0d100h; mov es, ax */
    0xb9, ROUNDS, 0x00,                         /* mov cx, 20 */
    0xba, 0x50, 0x01, 0xee,                     /* again: mov dx, 150h; out dx, al */
    0xb2, 0x54, 0xb8, 0x34, 0x12, 0xef,         /* mov dl, 54h; mov ax, 1234h; out dx, ax */
    0xb8, 0x21, 0x43, 0xef,                     /* mov ax, 4321h; out dx, ax */
    0x66, 0x26, 0xa3, 0x00, 0x00,               /* mov es:[0], eax */
    0x26, 0xa2, 0x00, 0x00,                     /* mov es:[0], al */
    0xe2, 0xe7, 0xf4,                           /* loop again; hlt */
};

static uint64_t run_rings(Bells *s)
{
    uint64_t before = bench_counted(s->b, "exits ");

    bench_load(s->b, rings, sizeof(rings));
    s->b->c[0]->vcpu.halted = false;
    g_assert_cmpint(bench_run(s->b, 1 << 20), ==, RUN_HALTED);
    return bench_counted(s->b, "exits ") - before;
}

static void assert_rung(const Bells *s, uint64_t times)
{
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(s->rung[i], ==, times);
    }
}

static void never_tapped(AsTap *t, AddressSpace *as, hwaddr addr, unsigned size, uint64_t val)
{
}

/* Whoever watches all stores sees these, too: each is an exit then. */
static void doorbells(void)
{
    AsTap tap = { .loaded = never_tapped, .stored = never_tapped };
    Bells s;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    map_bells(&s, b);
    uint64_t without = run_rings(&s);
    g_assert_cmpuint(s.ordinary, ==, 2 * ROUNDS);
    loop_run(b->m->loop, 0);                    /* its thread hears them ... */
    assert_rung(&s, ROUNDS);
    run_rings(&s);
    machine_lock(b->m);
    as_flush_writes(b->m->mem);                 /* ... or who asks for them */
    assert_rung(&s, 2 * ROUNDS);
    g_assert_cmpuint(bench_counted(b, "rung without an exit "), ==, 6 * ROUNDS);
    as_set_tap(b->m->io, &tap);
    machine_unlock(b->m);
    uint64_t with = run_rings(&s);
    assert_rung(&s, 3 * ROUNDS);
    g_assert_cmpuint(s.ordinary, ==, 6 * ROUNDS);
    g_test_message("%" G_GUINT64_FORMAT " exits, and %" G_GUINT64_FORMAT " where all are watched", without, with);
    g_assert_cmpuint(with, >=, 5 * ROUNDS);
    g_assert_cmpuint(without, <=, with - 3 * ROUNDS);
    machine_lock(b->m);
    as_set_tap(b->m->io, NULL);
    machine_unlock(b->m);
    g_assert_cmpuint(run_rings(&s), ==, without);
    unmap_bells(&s);                            /* what has been rung is heard before it goes */
    assert_rung(&s, 4 * ROUNDS);
    bench_free(b);
}

/* ---- interrupts ---- */

static void sink(void *opaque, int pin, bool level)
{
    *(unsigned *)opaque += level;
}

static uint8_t guest_byte(Bench *b, hwaddr at)
{
    uint8_t v;

    as_read(b->m->mem, at, &v, 1);
    return v;
}

static void until_byte(Bench *b, hwaddr at, uint8_t want)
{
    int64_t end = g_get_monotonic_time() + 20000000;

    while (guest_byte(b, at) < want) {
        if (g_get_monotonic_time() > end) {
            g_error("byte %x is %u, and not yet %u", (unsigned)at, guest_byte(b, at), want);
        }
        g_usleep(100);
    }
}

/* From this thread without the machine lock, and by the guest itself: neither leaves the kernel. */
static void pulses(void)
{
    enum { LINE = 5, COUNT = 0x6000, READY = 0x6001 };
    g_autoptr(GError) err = NULL;
    static const RegionOps none = { 0 };
    unsigned ours = 0;
    IrqWire wire = { 0 };
    IrqPulse pulse;
    Doorbell bell = { .pulse = &pulse };
    Region port;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_running(1, "kvm,kernel_irqchip=on");
    irq_connect(&wire, sink, &ours, 0);
    machine_lock(b->m);
    g_assert_true(irq_pulse_init(&pulse, b->m, &wire, LINE, &err));
    region_init_io(&port, "bell", 1, &none, NULL);
    region_set_doorbell(&port, &bell);
    region_map(&b->m->io_root, 0x2020 + LINE, &port, 0);
    bench_load_file(b, "pulse");
    Runner *r = runner_new(b->a, &err);
    g_assert_no_error(err);
    runner_resume(r);
    machine_unlock(b->m);
    until_byte(b, READY, 1);
    uint64_t before = bench_counted(b, "exits ");
    for (unsigned i = 0; i < 20; i++) {
        irq_pulse(&pulse);
        until_byte(b, COUNT, (uint8_t)(i + 1));
    }
    for (int64_t end = g_get_monotonic_time() + 20000000; !b->reports; g_usleep(100)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    uint64_t exits = bench_counted(b, "exits ") - before;
    g_test_message("%" G_GUINT64_FORMAT " exits with 40 interrupts", exits);
    g_assert_cmpuint(b->result, ==, 0);
    g_assert_cmpuint(exits, <=, 3);             /* its report, and maybe a signal to the thread */
    machine_lock(b->m);
    runner_pause(r);
    region_fini(&port);
    irq_pulse_fini(&pulse);
    machine_unlock(b->m);
    g_assert_cmpuint(ours, ==, 0);
    runner_free(r);
    bench_free(b);
}

/* Lines that the kernel has itself, and all of them without its interrupt controllers or with local APICs alone, are
 * pulsed by us: one that was there before the accelerator, one that comes later, and both when it is gone. */
static void pulsed_by_us(gconstpointer accel)
{
    static const unsigned lines[] = { 0, 2, 5, 15 };
    IrqWire wire[G_N_ELEMENTS(lines)] = { 0 };
    IrqPulse pulse[G_N_ELEMENTS(lines)];
    unsigned ours[G_N_ELEMENTS(lines)] = { 0 };
    bool all = strstr(accel, "=on");
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    Machine *m = machine_new(clock_new_manual());
    Accel *a = NULL;
    machine_lock(m);
    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        irq_connect(&wire[i], sink, &ours[i], 0);
        if (i == 2) {
            a = accel_open(m, accel, &err);
            g_assert_no_error(err);
        }
        g_assert_true(irq_pulse_init(&pulse[i], m, &wire[i], lines[i], &err));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        irq_pulse(&pulse[i]);
        g_assert_cmpuint(ours[i], ==, all && lines[i] >= 5 ? 0 : 1);
    }
    a->ops->destroy(a);
    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        ours[i] = 0;
        irq_pulse(&pulse[i]);
        g_assert_cmpuint(ours[i], ==, 1);
        irq_pulse_fini(&pulse[i]);
    }
    machine_unlock(m);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/signals/doorbells", doorbells);
    g_test_add_func("/kvm/signals/pulses", pulses);
    g_test_add_data_func("/kvm/signals/pulsed-by-us/off", "kvm", pulsed_by_us);
    g_test_add_data_func("/kvm/signals/pulsed-by-us/split", "kvm,kernel_irqchip=split", pulsed_by_us);
    g_test_add_data_func("/kvm/signals/pulsed-by-us/on", "kvm,kernel_irqchip=on", pulsed_by_us);
    return g_test_run();
}
