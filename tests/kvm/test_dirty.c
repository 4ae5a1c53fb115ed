/*
 * Which pages were written, as a device asks of its memory (as_take_dirty()): by rings, and by bitmaps.
 */
#include "kvm_harness.h"

#include <string.h>

enum { PAGES = TEST_RAM / PAGE_SIZE };

/* Exactly these, in this order; -1 ends them. */
static void assert_written(Bench *b, const int *want)
{
    uint64_t pages[PAGES / 64] = { 0 };

    machine_lock(b->m);
    g_assert_true(as_take_dirty(b->m->mem, &b->ram, pages));
    machine_unlock(b->m);
    for (int n = 0; n < PAGES; n++) {
        bool is = pages[n / 64] >> n % 64 & 1;
        if (is != (n == *want)) {
            g_error("page %d is %s", n, is ? "written" : "not written");
        }
        want += n == *want;
    }
}

static bool take_any(Bench *b)
{
    uint64_t pages[PAGES / 64];

    machine_lock(b->m);
    bool known = as_take_dirty(b->m->mem, &b->ram, pages);
    machine_unlock(b->m);
    return known;
}

static void run(Bench *b, const void *code, size_t len)
{
    bench_load(b, code, len);
    b->c[0]->vcpu.halted = false;
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
}

/* mov [9000h], ax; mov [0b000h], ax; hlt */
static const uint8_t two_pages[] = { 0xa3, 0x00, 0x90, 0xa3, 0x00, 0xb0, 0xf4 };

static void by_the_guest(gconstpointer accel)
{
    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, accel);
    run(b, two_pages, sizeof(two_pages));
    g_assert_false(take_any(b));                    /* from the first call on */
    assert_written(b, (int[]){ -1 });
    run(b, two_pages, sizeof(two_pages));
    assert_written(b, (int[]){ TEST_CODE / PAGE_SIZE, 9, 11, -1 });
    assert_written(b, (int[]){ -1 });
    run(b, two_pages, sizeof(two_pages));           /* they count again */
    assert_written(b, (int[]){ TEST_CODE / PAGE_SIZE, 9, 11, -1 });
    bench_free(b);
}

/* Devices and the debugger; the interpreter, here for code in device memory. */
static void by_us(gconstpointer accel)
{
    static const uint8_t jump[] = { 0xea, 0x00, 0x00, 0x00, 0xd0 };     /* jmp 0d000h:0 */
    static const uint8_t across[5000] = { 1 };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, accel);
    memcpy(b->memory, two_pages, sizeof(two_pages));
    take_any(b);
    for (unsigned i = 0; i < 3; i++) {
        as_write(b->m->mem, 0x20ff0, across, sizeof(across));
        as_store(b->m->mem, 0x30000, 1, 4);
        as_write(b->m->mem, TEST_RAM - 4, across, 4);
        assert_written(b, (int[]){ 0x20, 0x21, 0x22, 0x30, PAGES - 1, -1 });
        run(b, jump, sizeof(jump));
        assert_written(b, (int[]){ TEST_CODE / PAGE_SIZE, 9, 11, -1 });
    }
    g_assert_cmpuint(bench_counted(b, "left to the interpreter "), >=, 6);
    bench_free(b);
}

/* Memory that goes away and comes again leaves a gap; what was in a ring is not taken for another slot's. */
static void gap(gconstpointer accel)
{
    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, accel);
    take_any(b);
    run(b, two_pages, sizeof(two_pages));
    machine_lock(b->m);
    region_enable(&b->device, false);               /* two slots become one */
    machine_unlock(b->m);
    g_assert_false(take_any(b));
    assert_written(b, (int[]){ -1 });
    run(b, two_pages, sizeof(two_pages));
    assert_written(b, (int[]){ TEST_CODE / PAGE_SIZE, 9, 11, -1 });
    bench_free(b);
}

/* A kernel that emulates ring 0 may look too late whether there is room, and lose entries: that is known, or an error,
 * and no guest that hangs. */
static bool overrun(Bench *b, uint64_t *pages)
{
    g_autoptr(GError) err = NULL;
    RunExit why = b->a->ops->run(b->a, &b->c[0]->vcpu, 1 << 20, &err);

    machine_lock(b->m);
    bool known = as_take_dirty(b->m->mem, &b->ram, pages);
    machine_unlock(b->m);
    g_assert_true(why == RUN_HALTED ||
                  g_str_has_prefix(err->message, "the host's kernel says that its ring of written pages is full"));
    g_assert_true((known && why == RUN_HALTED) || kvm_emulates_ring0());
    return !known || why != RUN_HALTED;
}

/* More pages than a ring has entries. */
static void full_ring(gconstpointer accel)
{
    static const uint8_t all[] = {
        0x66, 0xbf, 0x00, 0x00, 0x10, 0x00,         /* mov edi, 100000h */
        0x26, 0x67, 0x88, 0x07,                     /* again: mov es:[edi], al */
        0x66, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,   /* add edi, 1000h */
        0x66, 0x81, 0xff, 0x00, 0x00, 0x00, 0x01,   /* cmp edi, 1000000h */
        0x72, 0xec, 0xf4,                           /* jb again; hlt */
    };
    uint64_t pages[PAGES / 64] = { 0 };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, accel);
    x86_seg_set(b->c[0], X86_ES, 0, 0, 0xffffffff, AR_P | AR_S | AR_RW | AR_A | AR_G);
    take_any(b);
    bench_load(b, all, sizeof(all));
    if (overrun(b, pages)) {
        g_test_skip("this kernel emulates ring 0, and wrote more than its ring holds");
        bench_free(b);
        return;
    }
    for (unsigned i = 0x100 / 64; i < PAGES / 64; i++) {
        g_assert_cmphex(pages[i], ==, ~0ull);
    }
    bench_free(b);
}

static void seen(void *opaque, hwaddr at)
{
    ((uint64_t *)opaque)[at / PAGE_SIZE / 64] |= 1ull << at / PAGE_SIZE % 64;
}

/* The cross-check's log beside a device's: neither takes from the other.  Hardware marks a page that could be mapped
 * writable when it was only fetched from: the program's own may be there, too. */
static void both(gconstpointer accel)
{
    uint64_t pages[1 << 14] = { 0 };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, accel);
    machine_lock(b->m);
    b->a->ops->dirty(b->a, seen, pages);
    machine_unlock(b->m);
    take_any(b);
    run(b, two_pages, sizeof(two_pages));
    assert_written(b, (int[]){ TEST_CODE / PAGE_SIZE, 9, 11, -1 });
    machine_lock(b->m);
    b->a->ops->dirty(b->a, seen, pages);
    machine_unlock(b->m);
    g_assert_cmphex(pages[0] & ~(1ull << TEST_CODE / PAGE_SIZE), ==, 1 << 9 | 1 << 11);
    bench_free(b);
}

static void bad_sizes(void)
{
    static const char *const bad[] = { "1000", "512", "3000" };

    if (!kvm_usable()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *spec = g_strdup_printf("kvm,dirty-ring-size=%s", bad[i]);
        g_autofree char *want = g_strdup_printf("dirty-ring-size=%s: must be a power of two from 1024*", bad[i]);
        g_autoptr(GError) err = NULL;
        Machine *m = machine_new(clock_new_manual());
        g_assert_null(accel_open(m, spec, &err));
        g_assert_true(g_pattern_match_simple(want, err->message));
        machine_free(m);
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *name; GTestDataFunc run; } cases[] = {
        { "by-the-guest", by_the_guest }, { "by-us", by_us }, { "gap", gap }, { "full-ring", full_ring },
        { "both", both },
    };
    static const struct { const char *name, *accel; } kinds[] = {
        { "bitmap", "kvm" }, { "ring", "kvm,dirty-ring-size=8192" }, { "small-ring", "kvm,dirty-ring-size=1024" },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        for (unsigned n = 0; n < G_N_ELEMENTS(cases); n++) {
            g_autofree char *name = g_strdup_printf("/kvm/dirty/%s/%s", kinds[i].name, cases[n].name);
            g_test_add_data_func(name, kinds[i].accel, cases[n].run);
        }
    }
    g_test_add_func("/kvm/dirty/bad-sizes", bad_sizes);
    return g_test_run();
}
