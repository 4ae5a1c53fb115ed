/*
 * Clock, loop, saved state, and the words that errors use.
 */
#include <string.h>
#include "core/doorbell.h"
#include "core/machine.h"
#include "util/log.h"
#include "util/size.h"
#include "util/suggest.h"

static GString *trail;

static void note(void *opaque)
{
    g_string_append(trail, opaque);
}

static void test_clock_fires_in_order_at_their_time(void)
{
    Clock *c = clock_new_manual();
    Timer a, b, d;

    trail = g_string_new(NULL);
    timer_init(&a, c, note, "a");
    timer_init(&b, c, note, "b");
    timer_init(&d, c, note, "d");
    timer_arm(&a, 300);
    timer_arm(&b, 100);
    timer_arm(&d, 300);
    clock_step(c, 99);
    g_assert_cmpstr(trail->str, ==, "");
    clock_step(c, 1);
    g_assert_cmpstr(trail->str, ==, "b");
    g_assert_false(timer_armed(&b));
    timer_cancel(&d);
    timer_arm(&b, 250);
    clock_step(c, 1000);
    g_assert_cmpstr(trail->str, ==, "bba");
    g_assert_cmpint(clock_now(c), ==, 1100);
    g_assert_cmpint(clock_next_deadline(c), ==, -1);
    g_string_free(trail, TRUE);
    clock_free(c);
}

static void again(void *opaque)
{
    Timer *t = opaque;

    timer_arm(t, 0);
}

/* A guest may program a timer that is always due: the loop must still get its turn. */
static void test_clock_always_due_timer_does_not_hang(void)
{
    Clock *c = clock_new_host();
    Timer t;

    clock_resume(c);
    timer_init(&t, c, again, &t);
    timer_arm(&t, 0);
    clock_run(c);
    g_assert_true(timer_armed(&t));
    timer_cancel(&t);
    clock_free(c);
}

static void test_clock_stops_with_the_machine(void)
{
    Clock *c = clock_new_host();

    g_assert_cmpint(clock_now(c), ==, 0);
    clock_resume(c);
    g_usleep(2000);
    clock_stop(c);
    int64_t at = clock_now(c);
    g_assert_cmpint(at, >=, 2 * NS_PER_MS);
    g_usleep(2000);
    g_assert_cmpint(clock_now(c), ==, at);
    clock_resume(c);
    g_assert_cmpint(clock_now(c) - at, <, NS_PER_S);
    clock_free(c);
}

static gpointer post_from_thread(gpointer loop)
{
    g_usleep(1000);
    loop_post(loop, note, "p");
    return NULL;
}

static void test_loop_runs_posts_of_other_threads_with_the_lock(void)
{
    Clock *c = clock_new_host();
    Loop *l = loop_new(c);

    trail = g_string_new(NULL);
    GThread *t = g_thread_new("post", post_from_thread, l);
    for (int i = 0; i < 100 && !trail->len; i++) {
        loop_run(l, 100 * NS_PER_MS);
    }
    g_thread_join(t);
    g_assert_cmpstr(trail->str, ==, "p");
    g_assert_false(loop_locked(l));
    g_string_free(trail, TRUE);
    loop_free(l);
    clock_free(c);
}

typedef struct Hog {
    Loop *loop;
    _Atomic bool stop;
    uint64_t turns;
} Hog;

/* A vCPU that polls a device register: it drops the lock only to take it again. */
static gpointer hog_lock(gpointer opaque)
{
    Hog *h = opaque;

    while (!h->stop) {
        loop_lock(h->loop);
        int64_t until = g_get_monotonic_time() + 2;      /* us */
        while (g_get_monotonic_time() < until) {
        }
        h->turns++;
        loop_unlock(h->loop);
    }
    return NULL;
}

static int64_t counted_ns(void *opaque)
{
    return *(int64_t *)opaque;
}

/* The loop leaves a counted clock's timers alone; a state brings back the time, and timers in their order. */
static void test_counted_clock_goes_back(void)
{
    Clock *c = clock_new_counted();
    int64_t ns = 0;
    Timer t[3];

    trail = g_string_new(NULL);
    clock_count_by(c, counted_ns, &ns);
    for (unsigned i = 0; i < 3; i++) {
        timer_init(&t[i], c, note, (char *[]){ "a", "b", "c" }[i]);
    }
    timer_arm(&t[2], 100);
    timer_arm(&t[0], 100);
    timer_arm(&t[1], 200);
    clock_skip(c, 50);
    ns = 20;
    g_assert_cmpint(clock_now(c), ==, 70);
    ClockState *s = clock_state_new(c);
    for (unsigned times = 0; times < 2; times++) {
        g_string_truncate(trail, 0);
        ns = 50;
        g_assert_cmpint(clock_host_wait(c), ==, -1);
        clock_run(c);
        g_assert_cmpstr(trail->str, ==, "");
        g_assert_cmpuint(clock_fire(c), ==, 2);
        clock_skip(c, 1000);
        g_assert_cmpuint(clock_fire(c), ==, 1);
        g_assert_cmpstr(trail->str, ==, "cab");
        ns = 20;
        clock_state_load(c, s);
        g_assert_cmpint(clock_now(c), ==, 70);
    }
    clock_state_free(s);
    g_string_free(trail, TRUE);
    clock_free(c);
}

static void test_loop_gets_the_lock_from_one_who_polls(void)
{
    Clock *c = clock_new_manual();
    Hog h = { .loop = loop_new(c) };
    GThread *thread = g_thread_new("hog", hog_lock, &h);
    int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    unsigned turns = 0;

    for (; turns < 20 && g_get_monotonic_time() < end; turns++) {
        loop_run(h.loop, NS_PER_MS);        /* sleeps, so that it asks for the lock late */
    }
    h.stop = true;
    g_thread_join(thread);
    g_assert_cmpuint(turns, ==, 20);
    g_assert_cmpuint(h.turns, >, 10);
    loop_free(h.loop);
    clock_free(c);
}

typedef struct Inner {
    uint16_t x[3];
} Inner;

typedef struct Outer {
    uint8_t a;
    bool b;
    char text[5];
    Inner in[2];
    Timer t;
} Outer;

static bool check_outer(void *obj, GError **errp)
{
    const Outer *o = obj;

    if (o->a > 100) {
        g_set_error_literal(errp, g_quark_from_static_string("test"), 0, "a is too large");
        return false;
    }
    return true;
}

static const StateField inner_fields[] = { STATE_ARRAY(Inner, x), STATE_DONE };
static const StateTable inner_state = { .name = "inner", .version = 1, .fields = inner_fields };
static const StateField outer_fields[] = {
    STATE_U(Outer, a), STATE_U(Outer, b), STATE_BUF(Outer, text), STATE_SUBS(Outer, in, &inner_state),
    STATE_TIM(Outer, t), STATE_DONE,
};
static const StateTable outer_state = {
    .name = "outer", .version = 2, .fields = outer_fields, .after_load = check_outer,
};

static void count_rises(void *opaque, int pin, bool level)
{
    *(unsigned *)opaque += level;
}

static gpointer pulse_without_the_lock(gpointer p)
{
    irq_pulse(p);
    irq_pulse(p);
    return NULL;
}

/* On the loop's thread, with the lock; pulses that it has not seen yet are one, and none comes behind the end. */
static void test_pulse_of_another_thread(void)
{
    Machine *m = machine_new(clock_new_manual());
    unsigned rises = 0;
    IrqWire wire = { 0 };
    IrqPulse p;

    irq_connect(&wire, count_rises, &rises, 0);
    machine_lock(m);
    g_assert_true(irq_pulse_init(&p, m, &wire, 5, NULL));
    machine_unlock(m);
    g_thread_join(g_thread_new("pulse", pulse_without_the_lock, &p));
    g_assert_cmpuint(rises, ==, 0);
    loop_run(m->loop, 0);
    g_assert_cmpuint(rises, ==, 1);
    machine_lock(m);
    irq_pulse(&p);
    g_assert_cmpuint(rises, ==, 2);
    machine_unlock(m);
    g_thread_join(g_thread_new("pulse", pulse_without_the_lock, &p));
    machine_lock(m);
    irq_pulse_fini(&p);
    irq_pulse_fini(&p);
    machine_unlock(m);
    loop_run(m->loop, 0);
    g_assert_cmpuint(rises, ==, 2);
    machine_free(m);
}

static void count_rings(void *opaque, uint64_t times)
{
    *(uint64_t *)opaque += times;
}

static void count_writes(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    ++*(unsigned *)dev;
}

/* Its value, all of it and at once; the rest is an ordinary write. */
static void test_doorbell(void)
{
    static const RegionOps ops = { .write = count_writes, .size_max = 1 };
    Machine *m = machine_new(clock_new_manual());
    unsigned writes = 0;
    uint64_t rings = 0;
    Doorbell any = { .ring = count_rings, .opaque = &rings }, seven = any;
    Region r[2];

    seven.matches = true;
    seven.value = 0x77777777;
    machine_lock(m);
    for (unsigned i = 0; i < 2; i++) {
        region_init_io(&r[i], "bell", 4, &ops, &writes);
        region_set_doorbell(&r[i], i ? &seven : &any);
        region_map(&m->mem_root, 0x1000 + 4 * i, &r[i], 0);
    }
    as_store(m->mem, 0x1000, 1, 4);
    as_store(m->mem, 0x1004, 0xff77777777, 4);
    g_assert_cmpuint(rings, ==, 2);
    g_assert_cmpuint(writes, ==, 0);
    as_store(m->mem, 0x1000, 1, 2);
    as_store(m->mem, 0x1001, 1, 1);
    as_store(m->mem, 0x1004, 0x77777776, 4);
    g_assert_cmpuint(rings, ==, 2);
    g_assert_cmpuint(writes, ==, 2 + 1 + 4);
    region_fini(&r[0]);
    region_fini(&r[1]);
    machine_unlock(m);
    machine_free(m);
}

static void test_state_round_trip_and_refusals(void)
{
    Clock *c = clock_new_manual();
    Outer o = { .a = 7, .b = true, .text = "abcd", .in = { { { 1, 2, 3 } }, { { 4, 5, 0xffff } } } }, p = { 0 };
    g_autoptr(GByteArray) out = g_byte_array_new(), out2 = g_byte_array_new();
    g_autoptr(GError) err = NULL;

    timer_init(&o.t, c, note, "");
    timer_init(&p.t, c, note, "");
    timer_arm(&o.t, 1234);
    state_save(&outer_state, &o, out);
    g_assert_true(state_load(&outer_state, &p, out->data, out->len, NULL));
    g_assert_cmpint(p.t.deadline, ==, 1234);
    g_assert_cmphex(p.in[1].x[2], ==, 0xffff);
    state_save(&outer_state, &p, out2);
    g_assert_cmpmem(out->data, out->len, out2->data, out2->len);

    for (guint cut = 0; cut < out->len; cut++) {
        g_assert_false(state_load(&outer_state, &p, out->data, cut, NULL));
    }
    /* Any single damaged byte: taken or refused, never a crash. */
    for (guint i = 0; i < out->len; i++) {
        g_autofree uint8_t *bad = g_memdup2(out->data, out->len);
        bad[i] ^= 1 << g_random_int_range(0, 8);
        state_load(&outer_state, &p, bad, out->len, NULL);
    }
    o.a = 101;
    g_byte_array_set_size(out, 0);
    state_save(&outer_state, &o, out);
    g_assert_false(state_load(&outer_state, &p, out->data, out->len, &err));
    g_assert_cmpstr(err->message, ==, "a is too large");
    g_clear_error(&err);
    o.a = 7;
    memset(&o.b, 2, 1);                         /* no truth value */
    g_byte_array_set_size(out, 0);
    state_save(&outer_state, &o, out);
    g_assert_false(state_load(&outer_state, &p, out->data, out->len, &err));
    g_assert_cmpstr(err->message, ==, "outer: field b is 2, not a truth value");
    timer_cancel(&o.t);
    timer_cancel(&p.t);
    clock_free(c);
}

static void test_suggest_finds_the_near_and_not_the_far(void)
{
    static const char *const names[] = { "cdrom", "serial", "snapshot", "smp", NULL };

    g_assert_cmpstr(suggest_nearest("crdom", names), ==, "cdrom");
    g_assert_cmpstr(suggest_nearest("seriall", names), ==, "serial");
    g_assert_cmpstr(suggest_nearest("snap", names), ==, "snapshot");
    g_assert_null(suggest_nearest("xyzzy", names));
}

static void test_size_reads_what_people_write(void)
{
    static const struct {
        const char *text;
        char unit;
        uint64_t want;
        bool ok;
    } cases[] = {
        { "512", 'M', 512ull << 20, true },  { "6G", 'M', 6ull << 30, true },
        { "1.5G", 'M', 3ull << 29, true },   { "0x200", 'B', 512, true },
        { "64k", 'B', 65536, true },         { "2GB", 'M', 2ull << 30, true },
        { "-1", 'M', 0, false },             { "", 'M', 0, false },
        { "12Q", 'M', 0, false },            { "99999999999999999999", 'B', 0, false },
        { "18446744073709551615G", 'B', 0, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t v = 0;
        bool ok = size_parse(cases[i].text, cases[i].unit, &v, NULL);
        g_assert_true(ok == cases[i].ok);
        g_assert_cmpuint(v, ==, cases[i].want);
    }
}

static void test_log_names_the_nearest_channel(void)
{
    g_autoptr(GError) err = NULL;
    uint32_t mask;

    g_assert_true(log_parse("int,guest_errors", &mask, NULL));
    g_assert_cmphex(mask, ==, LOG_INT | LOG_GUEST);
    g_assert_false(log_parse("in_asn", &mask, &err));
    g_assert_nonnull(strstr(err->message, "did you mean 'in_asm'"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/counted-goes-back", test_counted_clock_goes_back);
    g_test_add_func("/clock/order", test_clock_fires_in_order_at_their_time);
    g_test_add_func("/clock/always-due", test_clock_always_due_timer_does_not_hang);
    g_test_add_func("/clock/stops", test_clock_stops_with_the_machine);
    g_test_add_func("/loop/post", test_loop_runs_posts_of_other_threads_with_the_lock);
    g_test_add_func("/loop/turns", test_loop_gets_the_lock_from_one_who_polls);
    g_test_add_func("/signals/pulse", test_pulse_of_another_thread);
    g_test_add_func("/signals/doorbell", test_doorbell);
    g_test_add_func("/state/round-trip", test_state_round_trip_and_refusals);
    g_test_add_func("/util/suggest", test_suggest_finds_the_near_and_not_the_far);
    g_test_add_func("/util/size", test_size_reads_what_people_write);
    g_test_add_func("/util/log", test_log_names_the_nearest_channel);
    return g_test_run();
}
