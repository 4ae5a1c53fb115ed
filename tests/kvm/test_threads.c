/*
 * Processors on threads of their own: coming out when asked, pausing with the clock, reset, a second
 * processor by INIT and SIPI, interrupts.
 */
#include "kvm_harness.h"

#include <string.h>
#include "hw/intc.h"

enum { PATIENCE_US = 20000000 };

static const uint8_t endless[] = { 0x40, 0xeb, 0xfd };          /* again: inc ax; jmp again */

static Runner *start(Bench *b)
{
    g_autoptr(GError) err = NULL;

    machine_lock(b->m);
    Runner *r = runner_new(b->a, &err);
    g_assert_no_error(err);
    runner_resume(r);
    machine_unlock(b->m);
    return r;
}

static void until(const char *what, bool (*met)(Bench *b), Bench *b)
{
    int64_t end = g_get_monotonic_time() + PATIENCE_US;

    while (!met(b)) {
        if (g_get_monotonic_time() > end) {
            g_error("did not come: %s", what);
        }
        g_usleep(1000);
    }
}

static void stop(Bench *b, Runner *r)
{
    machine_lock(b->m);
    runner_pause(r);
    machine_unlock(b->m);
}

static void end(Bench *b, Runner *r)
{
    stop(b, r);
    runner_free(r);
    bench_free(b);
}

/* A guest that never leaves is brought out by a signal; the bound is generous, the median is said. */
static void kick(void)
{
    int64_t took[21];

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_running(1, "kvm");
    bench_load(b, endless, sizeof(endless));
    Runner *r = start(b);
    for (unsigned i = 0; i < G_N_ELEMENTS(took); i++) {
        uint64_t ax = b->c[0]->regs[X86_RAX];
        g_usleep(2000);
        int64_t start_us = g_get_monotonic_time();
        machine_lock(b->m);
        runner_pause(r);
        took[i] = g_get_monotonic_time() - start_us;
        g_assert_cmphex(b->c[0]->regs[X86_RIP] - TEST_CODE, <, sizeof(endless));
        g_assert_true(i == 0 || b->c[0]->regs[X86_RAX] != ax || took[i] < 1000000);
        runner_resume(r);
        machine_unlock(b->m);
    }
    for (unsigned i = 1; i < G_N_ELEMENTS(took); i++) {
        for (unsigned j = i; j && took[j] < took[j - 1]; j--) {
            int64_t t = took[j];
            took[j] = took[j - 1];
            took[j - 1] = t;
        }
    }
    g_test_message("median %" G_GINT64_FORMAT " us, worst %" G_GINT64_FORMAT " us", took[10], took[20]);
    g_assert_cmpint(took[10], <, 200000);
    end(b, r);
}

static bool reported(Bench *b)
{
    return b->reports > 0;
}

/* The TSC stands still while the machine is paused; in the kernel, too, when that is more than the second within which
 * Linux takes a new value for an attempt to keep processors in step.  One that emulates ring 0 cannot move it. */
static void pause_stops_the_tsc(void)
{
    enum { PAUSE_US = 1500000 };

    if (!kvm_usable()) {
        return;
    }
    bool moves = !kvm_emulates_ring0();
    Bench *b = bench_new_running(1, "kvm");
    X86Cpu *c = b->c[0];
    bench_load(b, endless, sizeof(endless));
    Runner *r = start(b);
    g_usleep(5000);
    stop(b, r);
    uint64_t before = vcpu_tsc(&c->vcpu), second = (uint64_t)c->vcpu.tsc_khz * 1000;
    g_assert_cmpuint(before, >, 0);
    g_usleep(moves ? PAUSE_US : PAUSE_US / 10);
    g_assert_cmpuint(vcpu_tsc(&c->vcpu), ==, before);
    int64_t start_us = g_get_monotonic_time();
    machine_lock(b->m);
    runner_resume(r);
    machine_unlock(b->m);
    g_usleep(20000);                            /* for a look at the kernel's counter */
    stop(b, r);
    uint64_t ran_us = g_get_monotonic_time() - start_us;
    g_assert_cmpuint(vcpu_tsc(&c->vcpu), >=, before);
    g_assert_true(!moves || vcpu_tsc(&c->vcpu) - before < (ran_us + 100000) * (second / 1000000));
    end(b, r);
}

static void reset(void)
{
    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_running(1, "kvm");
    X86Cpu *c = b->c[0];
    bench_load(b, endless, sizeof(endless));
    Runner *r = start(b);
    g_usleep(3000);
    for (stop(b, r); !c->regs[X86_RAX]; stop(b, r)) {          /* on a busy machine it has had no turn yet */
        machine_lock(b->m);
        runner_resume(r);
        machine_unlock(b->m);
        g_usleep(100000);
    }
    x86_reset(c);
    b->a->ops->reset(b->a, &c->vcpu);
    b->a->ops->flush(b->a, &c->vcpu);
    bench_load_file(b, "real");
    machine_lock(b->m);
    runner_resume(r);
    machine_unlock(b->m);
    until("the program's report after a reset", reported, b);
    g_assert_cmpuint(b->result, ==, 0);
    end(b, r);
}

/* Processor 0 starts processor 1 through their local APICs and waits for what it writes. */
static void second_processor(gconstpointer accel)
{
    static const uint8_t first[] = {
        0x66, 0xbb, 0x00, 0x03, 0xe0, 0xfe,                     /* mov ebx, 0fee00300h */
        0x66, 0x67, 0xc7, 0x43, 0x10, 0, 0, 0, 0x01,            /* mov dword [ebx+10h], 1 << 24 */
        0x66, 0x67, 0xc7, 0x03, 0x00, 0x45, 0x00, 0x00,         /* mov dword [ebx], INIT */
        0x66, 0x67, 0xc7, 0x03, 0x08, 0x46, 0x00, 0x00,         /* mov dword [ebx], SIPI to 8000h */
        0x80, 0x3e, 0x00, 0x60, 0x77,                           /* wait: cmp byte [6000h], 77h */
        0x75, 0xf9,                                             /* jne wait */
        0x31, 0xc0, 0xe7, 0xf4, 0xf4,                           /* xor ax, ax; out 0f4h, ax; hlt */
    };
    static const uint8_t second[] = {
        0x31, 0xc0, 0x8e, 0xd8, 0xc6, 0x06, 0x00, 0x60, 0x77,   /* ds = 0; mov byte [6000h], 77h */
        0xf4, 0xeb, 0xfd,                                       /* hlt */
    };
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_running(2, accel);
    machine_lock(b->m);
    Device *apics = device_make(b->m, "apic-bus", NULL, NULL, NULL, &err);
    g_assert_no_error(err);
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *props = g_strdup_printf("cpu=%u", i);
        device_make(b->m, "apic", NULL, apic_bus(apics), props, &err);
        g_assert_no_error(err);
    }
    machine_reset(b->m);
    machine_unlock(b->m);
    bench_load(b, first, sizeof(first));
    /* 4 GiB segments ("unreal mode") to reach the APIC */
    x86_seg_set(b->c[0], X86_DS, 0, 0, 0xffffffff, AR_P | AR_S | AR_RW | AR_A | AR_G);
    as_write(b->m->mem, 0x8000, second, sizeof(second));
    Runner *r = start(b);
    until("the second processor", reported, b);
    g_assert_cmpuint(b->result, ==, 0);
    stop(b, r);
    runner_free(r);
    machine_lock(b->m);
    device_free(apics);
    machine_unlock(b->m);
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/threads/kick", kick);
    g_test_add_func("/kvm/threads/pause-stops-the-tsc", pause_stops_the_tsc);
    g_test_add_func("/kvm/threads/reset", reset);
    g_test_add_data_func("/kvm/threads/second-processor/off", "kvm", second_processor);
    g_test_add_data_func("/kvm/threads/second-processor/split", "kvm,kernel_irqchip=split", second_processor);
    g_test_add_data_func("/kvm/threads/second-processor/on", "kvm,kernel_irqchip=on", second_processor);
    return g_test_run();
}
