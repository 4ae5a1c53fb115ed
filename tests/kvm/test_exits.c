/*
 * What makes the guest leave the kernel, by counts.
 */
#include "kvm_harness.h"

#include <string.h>

/* 60 writes of 1, 2 and 4 bytes to device memory, 20 to a port, in turns; then both are read. */
static const uint8_t writes[] = {
    0xb8, 0x00, 0xd0, 0x8e, 0xc0,               /* mov ax, 0d000h; mov es, ax */
    0x31, 0xff, 0xb9, 0x14, 0x00, 0xfc,         /* xor di, di; mov cx, 20; cld */
    0x89, 0xc8, 0xaa, 0xab,                     /* again: mov ax, cx; stosb; stosw */
    0x66, 0xab,                                 /* stosd */
    0xe6, 0xf8,                                 /* out 0f8h, al */
    0xe2, 0xf6,                                 /* loop again */
    0xe4, 0xf8,                                 /* in al, 0f8h: 1 */
    0x26, 0x02, 0x06, 0x85, 0x00,               /* add al, es:[133]: 1 */
    0xe6, 0xf4, 0xf4,                           /* out 0f4h, al; hlt */
};

static uint64_t run_writes(bool coalesced, uint64_t *queued, uint8_t memory[140])
{
    Bench *b = bench_new(1, "kvm");

    machine_lock(b->m);
    region_set_coalesced(&b->device, coalesced);
    region_set_coalesced(&b->echo, coalesced);
    machine_unlock(b->m);
    bench_load(b, writes, sizeof(writes));
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    g_assert_cmpuint(b->result, ==, 2);
    memcpy(memory, b->memory, 140);
    uint64_t exits = bench_counted(b, "exits ");
    *queued = bench_counted(b, "writes without an exit ");
    bench_free(b);
    return exits;
}

static void coalesced(void)
{
    uint8_t plain[140], queued[140];
    uint64_t none, many;

    if (!kvm_usable()) {
        return;
    }
    uint64_t exits_plain = run_writes(false, &none, plain), exits_queued = run_writes(true, &many, queued);
    g_test_message("%" G_GUINT64_FORMAT " exits, and %" G_GUINT64_FORMAT " with %" G_GUINT64_FORMAT " writes queued",
                   exits_plain, exits_queued, many);
    g_assert_cmpmem(plain, sizeof(plain), queued, sizeof(queued));
    g_assert_cmpuint(none, ==, 0);
    g_assert_cmpuint(exits_plain, >=, 84);
    g_assert_cmpuint(many, ==, 80);
    g_assert_cmpuint(exits_queued, <=, exits_plain - 80);
}

/* More than the ring holds: the kernel leaves the guest when it is full, and nothing is lost. */
static void full_ring(void)
{
    static const uint8_t code[] = {
        0xb8, 0x00, 0xd0, 0x8e, 0xc0,           /* mov ax, 0d000h; mov es, ax */
        0x31, 0xff, 0xb9, 0xf4, 0x01, 0xfc,     /* xor di, di; mov cx, 500; cld */
        0x89, 0xc8, 0xab,                       /* again: mov ax, cx; stosw */
        0xe2, 0xfb, 0xf4,                       /* loop again; hlt */
    };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    machine_lock(b->m);
    region_set_coalesced(&b->device, true);
    machine_unlock(b->m);
    bench_load(b, code, sizeof(code));
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    for (unsigned i = 0; i < 500; i++) {
        g_assert_cmpuint(b->memory[2 * i] | b->memory[2 * i + 1] << 8, ==, 500 - i);
    }
    g_test_message("%" G_GUINT64_FORMAT " exits for 500 writes", bench_counted(b, "exits "));
    g_assert_cmpuint(bench_counted(b, "exits "), <, 20);
    bench_free(b);
}

/* What a processor has written while it goes on without an exit is there for a device that asks. */
static void asked_for(void)
{
    static const uint8_t code[] = {
        0xb8, 0x00, 0xd0, 0x8e, 0xd8,           /* mov ax, 0d000h; mov ds, ax */
        0xc6, 0x06, 0x00, 0x00, 0x5a,           /* mov byte [0], 5ah */
        0xeb, 0xfe,                             /* for ever */
    };
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new_running(1, "kvm");
    machine_lock(b->m);
    region_set_coalesced(&b->device, true);
    bench_load(b, code, sizeof(code));
    Runner *r = runner_new(b->a, &err);
    g_assert_no_error(err);
    runner_resume(r);
    machine_unlock(b->m);
    for (unsigned i = 0; i < 2000 && b->memory[0] != 0x5a; i++) {
        g_usleep(1000);
        machine_lock(b->m);
        as_flush_writes(b->m->mem);
        machine_unlock(b->m);
    }
    g_assert_cmphex(b->memory[0], ==, 0x5a);
    g_assert_cmpuint(bench_counted(b, "memory "), ==, 0);
    machine_lock(b->m);
    runner_pause(r);
    machine_unlock(b->m);
    runner_free(r);
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm/exits/coalesced", coalesced);
    g_test_add_func("/kvm/exits/full-ring", full_ring);
    g_test_add_func("/kvm/exits/asked-for", asked_for);
    return g_test_run();
}
