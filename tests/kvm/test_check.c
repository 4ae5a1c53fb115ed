/*
 * The cross-check with KVM on one side: they agree about programs of 16, 32 and 64 bits, instruction by
 * instruction, with their faults, ports and device memory; and what cannot be is refused.
 */
#include "kvm_harness.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct Case { const char *a, *b, *program; } Case;

/* Whatever the guest says at its end, it is what both say. */
static void run_to_halt(Bench *b)
{
    g_autoptr(GError) err = NULL;
    RunExit why = RUN_BUDGET;

    while (why == RUN_BUDGET) {
        why = b->a->ops->run(b->a, &b->c[0]->vcpu, 1000, &err);
    }
    g_test_message("%s", err ? err->message : "they agree");
    g_assert_no_error(err);
    g_assert_cmpint(why, ==, RUN_HALTED);
    g_assert_cmpuint(b->reports, >, 0);
    g_assert_cmpuint(b->result, ==, 0);
}

static Bench *bench_checked(const char *a, const char *b)
{
    g_autofree char *accel = g_strdup_printf("check,a=%s,b=%s,file=%s/kvm-check-%d", a, b, g_get_tmp_dir(), getpid());

    return bench_new(1, accel);
}

static void agree(gconstpointer data)
{
    const Case *t = data;

    if (!kvm_runs(t->program)) {
        return;
    }
    Bench *b = bench_checked(t->a, t->b);
    bench_load_file(b, t->program);
    run_to_halt(b);
    bench_free(b);
}

/* What KVM steps over badly, or answers by a clock of its own: time, flags with TF in them,
 * string instructions that come again, HLT. */
static void awkward(gconstpointer data)
{
    static const uint8_t code[] = {
        0x0f, 0x31, 0x66, 0xa3, 0x00, 0x60,         /* rdtsc; mov [6000h], eax */
        0x9c, 0x58, 0xa3, 0x08, 0x60,               /* pushf; pop ax; mov [6008h], ax */
        0xfc, 0xb9, 0x20, 0x00, 0xbf, 0x10, 0x60,   /* cld; mov cx, 32; mov di, 6010h */
        0xf3, 0xaa,                                 /* rep stosb */
        0xcd, 0x40, 0xa3, 0x0a, 0x60,               /* int 40h; mov [600ah], ax */
        0xb8, 0x00, 0xd0, 0x8e, 0xc0, 0x31, 0xff,   /* mov ax, 0d000h; mov es, ax; xor di, di */
        0xb9, 0x03, 0x00, 0xf3, 0xab,               /* mov cx, 3; rep stosw: device memory */
        0x31, 0xc0, 0x66, 0xe7, 0xf4, 0xf4,         /* xor ax, ax; out 0f4h, eax; hlt */
    };
    static const uint8_t handler[] = { 0x8b, 0xec, 0x8b, 0x46, 0x04, 0xcf };    /* mov bp, sp; mov ax, [bp+4]; iret */
    const Case *t = data;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_checked(t->a, t->b);
    bench_load(b, code, sizeof(code));
    as_write(b->m->mem, 0x5000, handler, sizeof(handler));
    as_write(b->m->mem, 4 * 0x40, "\x00\x50\x00\x00", 4);
    run_to_halt(b);
    bench_free(b);
}

/* In long mode, with the first 2 MiB for all to use. */
static Bench *bench_64(const Case *t, const uint8_t *code, size_t len, unsigned cpl)
{
    enum { PML4 = 0x10000, PRESENT_USER = 7, LARGE = 1 << 7, GDT = 0x8000 };
    const uint64_t tables[3] = { (PML4 + 0x1000) | PRESENT_USER, (PML4 + 0x2000) | PRESENT_USER, PRESENT_USER | LARGE };
    const uint64_t gdt[2] = { 0, 0x00af9b000000ffff };
    Bench *b = bench_checked(t->a, t->b);
    X86Cpu *c = b->c[0];

    for (unsigned i = 0; i < 3; i++) {
        as_write(b->m->mem, PML4 + i * 0x1000, &tables[i], sizeof(tables[i]));
    }
    as_write(b->m->mem, GDT, gdt, sizeof(gdt));
    c->gdt.base = GDT;
    c->gdt.limit = sizeof(gdt) - 1;
    bench_load(b, code, len);
    c->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    c->cr3 = PML4;
    c->cr4 = CR4_PAE | CR4_OSFXSR;
    c->efer = EFER_LME | EFER_LMA;
    c->cpl = cpl;
    x86_seg_set(c, X86_CS, cpl ? 0x2b : 8, 0, ~0u, AR_P | AR_S | AR_CODE | AR_RW | AR_A | AR_L | AR_G | cpl << 5);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        if (i != X86_CS) {
            x86_seg_set(c, i, 0x20 | cpl, 0, ~0u, AR_P | AR_S | AR_RW | AR_A | AR_DB | AR_G | cpl << 5);
        }
    }
    c->tr = (X86Segment){ .selector = 0x40, .limit = 0xfff, .ar = AR_P | SYS_TSS32_BUSY | AR_G };   /* G is not kept */
    c->regs[X86_RSP] = 0x7000;
    c->regs[X86_R8] = 0x9e3779b97f4a7c15;
    c->regs[X86_RBX] = 1;
    x86_mode_changed(c);
    b->a->ops->flush(b->a, &c->vcpu);
    return b;
}

enum { STEPS_64 = 60 };

static void run_64(Bench *b)
{
    g_autoptr(GError) err = NULL;
    RunExit why = b->a->ops->run(b->a, &b->c[0]->vcpu, STEPS_64, &err);

    g_test_message("%s", err ? err->message : "they agree");
    g_assert_no_error(err);
    g_assert_cmpint(why, ==, RUN_BUDGET);
}

/* In ring 3, which runs on the hardware everywhere. */
static void ring3(gconstpointer data)
{
    static const uint8_t code[] = {
        0x48, 0x01, 0xd8, 0x49, 0x0f, 0xaf, 0xc0,                   /* add rax, rbx; imul rax, r8 */
        0x48, 0x31, 0x04, 0x25, 0x00, 0x60, 0x00, 0x00,             /* xor [6000h], rax */
        0x50, 0x41, 0x59, 0x49, 0xff, 0xc9,                         /* push rax; pop r9; dec r9 */
        0x66, 0x0f, 0xef, 0xc1, 0xf2, 0x0f, 0x2a, 0xc8,             /* pxor xmm0, xmm1; cvtsi2sd xmm1, eax */
        0x48, 0x83, 0xc3, 0x07, 0x75, 0xdd,                         /* add rbx, 7; jnz to the first */
    };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_64(data, code, sizeof(code), 3);
    run_64(b);
    g_assert_cmpuint(b->c[0]->regs[X86_RBX], >, 7 * STEPS_64 / 10 - 14);
    bench_free(b);
}

/* An IRETQ to a null SS, as in Linux's ring 0: what is kept of it is the processor's affair. */
static void null_stack_segment(gconstpointer data)
{
    static const uint8_t code[] = {
        0x48, 0x89, 0xe0, 0x6a, 0x00, 0x50, 0x9c, 0x6a, 0x08,       /* mov rax, rsp; push 0; push rax; pushfq; push 8 */
        0x48, 0x8d, 0x0d, 0x03, 0x00, 0x00, 0x00, 0x51,             /* lea rcx, [rip + 3]; push rcx */
        0x48, 0xcf, 0x48, 0xff, 0xc3, 0xeb, 0xe8,                   /* iretq; inc rbx; jmp to the first */
    };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_64(data, code, sizeof(code), 0);
    run_64(b);
    g_assert_cmpuint(b->c[0]->regs[X86_RBX], >, 2);
    g_assert_cmphex(b->c[0]->seg[X86_SS].selector, ==, 0);
    bench_free(b);
}

typedef struct Nuisance { Vcpu *vcpu; int enough; } Nuisance;

static gpointer stop_often(gpointer opaque)
{
    Nuisance *n = opaque;

    while (!g_atomic_int_get(&n->enough)) {
        vcpu_raise(n->vcpu, VCPU_STOP);
        g_usleep(2000);
    }
    return NULL;
}

/* Who asks to stop in the middle of a string instruction, of which a step does one element, finds none half done. */
static void stopped_often(gconstpointer data)
{
    static const uint8_t code[] = {
        0xfc, 0xb9, 0x00, 0x04, 0xbf, 0x10, 0x60, 0xf3, 0xaa,       /* cld; mov cx, 1024; mov di, 6010h; rep stosb */
        0x66, 0x31, 0xc0, 0x66, 0xe7, 0xf4, 0xf4,                   /* xor eax, eax; out 0f4h, eax; hlt */
    };
    const Case *t = data;
    g_autoptr(GError) err = NULL;
    RunExit why = RUN_BUDGET;
    unsigned stops = 0;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_checked(t->a, t->b);
    Nuisance n = { &b->c[0]->vcpu };
    bench_load(b, code, sizeof(code));
    GThread *thread = g_thread_new("nuisance", stop_often, &n);
    while (why == RUN_BUDGET || why == RUN_REQUEST) {
        why = b->a->ops->run(b->a, &b->c[0]->vcpu, 1000, &err);
        stops += why == RUN_REQUEST;
        vcpu_lower(&b->c[0]->vcpu, VCPU_STOP);
    }
    g_atomic_int_set(&n.enough, true);
    g_thread_join(thread);
    g_test_message("%s, %u stops", err ? err->message : "they agree", stops);
    g_assert_no_error(err);
    g_assert_cmpint(why, ==, RUN_HALTED);
    g_assert_cmpuint(stops, >, 0);
    bench_free(b);
}

static void nothing(int sig) { }

/* Nor do signals that the kernel comes out for change what a step does. */
static void signalled_often(gconstpointer data)
{
    static const uint8_t code[] = {
        0xfc, 0xb9, 0x00, 0x04, 0xbf, 0x10, 0x60, 0xf3, 0xaa,       /* cld; mov cx, 1024; mov di, 6010h; rep stosb */
        0xb9, 0x00, 0x02, 0x40, 0xe2, 0xfd,                         /* mov cx, 512; inc ax; loop to it */
        0x66, 0x31, 0xc0, 0x66, 0xe7, 0xf4, 0xf4,                   /* xor eax, eax; out 0f4h, eax; hlt */
    };
    const struct itimerval often = { { .tv_usec = 700 }, { .tv_usec = 700 } }, never = { 0 };
    const Case *t = data;
    g_autoptr(GError) err = NULL;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_checked(t->a, t->b);
    bench_load(b, code, sizeof(code));
    g_assert_cmpint(b->a->ops->run(b->a, &b->c[0]->vcpu, 1, &err), ==, RUN_BUDGET);     /* which makes B */
    signal(SIGALRM, nothing);
    setitimer(ITIMER_REAL, &often, NULL);
    run_to_halt(b);
    setitimer(ITIMER_REAL, &never, NULL);
    bench_free(b);
}

static void two_of_them(void)
{
    g_autoptr(GError) err = NULL;
    Machine *m = machine_new(clock_new_manual());

    g_assert_null(accel_open(m, "check,a=kvm,b=kvm", &err));
    g_assert_true(!kvm_usable() || strstr(err->message, "one has to be an accelerator of our own"));
    machine_free(m);
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        { "interp", "kvm", "real" }, { "interp", "kvm", "protected" }, { "interp", "kvm", "long" },
        { "kvm", "interp", "protected" }, { "dbt", "kvm", "long" },
    };
    static const Case both[] = { { "interp", "kvm" }, { "kvm", "dbt" } };
    static const struct { const char *name; GTestDataFunc fn; } tests[] = {
        { "awkward", awkward }, { "ring3", ring3 }, { "null-ss", null_stack_segment },
        { "stopped-often", stopped_often }, { "signalled-often", signalled_often },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("/kvm/check/%s-%s/%s", cases[i].a, cases[i].b, cases[i].program);
        g_test_add_data_func(name, &cases[i], agree);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(tests) * G_N_ELEMENTS(both); i++) {
        const Case *sides = &both[i % G_N_ELEMENTS(both)];
        const char *test = tests[i / G_N_ELEMENTS(both)].name;
        g_autofree char *name = g_strdup_printf("/kvm/check/%s-%s/%s", sides->a, sides->b, test);
        g_test_add_data_func(name, sides, tests[i / G_N_ELEMENTS(both)].fn);
    }
    g_test_add_func("/kvm/check/two-of-them", two_of_them);
    return g_test_run();
}
