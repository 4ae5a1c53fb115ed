/*
 * Registers to the kernel and back; steps and breakpoints; what the guest's memory looks like from both
 * sides.
 */
#include "kvm_harness.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "accel/kvm.h"
#include "target/x86/model.h"

static void fill(X86Cpu *c, GRand *r)
{
    for (unsigned i = 0; i < X86_RIP; i++) {
        c->regs[i] = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    }
    c->regs[X86_RIP] = 0x123456;
    for (unsigned i = 0; i < 8; i++) {
        c->fpu.st[i] = (X86Float){ 1ull << 63 | g_rand_int(r), (uint16_t)g_rand_int(r) };
    }
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned q = 0; q < 2; q++) {
            c->fpu.v[i].q[q] = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
        }
        for (unsigned q = 2; q < 4 && x86_feature(c, FEAT_AVX); q++) {
            c->fpu.v[i].q[q] = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
        }
    }
    c->fpu.fcw = 0x27f;
    c->fpu.fsw = 5 << 11 | 0x41;
    c->fpu.ftw = 0xa7;
    c->fpu.fop = 0x123;
    c->fpu.fip = 0x1122334455;
    c->fpu.fdp = 0x5544332211;
    c->fpu.mxcsr = 0x3f80;
    x86_set_rflags(c, FL_1 | FL_CF | FL_ZF | FL_OF | FL_DF | FL_ID | FL_AC);
    c->star = 0x0018000800000000;
    c->lstar = 0xffffffff81000000;
    c->cstar = 0xffffffff82000000;
    c->fmask = 0x47700;
    c->kernel_gs_base = 0xffff888000000000;
    c->sysenter_cs = 0x10;
    c->sysenter_esp = 0xffff888000001000;
    c->sysenter_eip = 0xffffffff81234000;
    c->pat = 0x0007010600070106;
    c->dr[0] = 0x1000;
    c->dr[3] = 0x7fffffff0000;
    c->cr2 = 0xffff888012345678;
}

static void enter_long_mode(X86Cpu *c)
{
    c->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    c->cr3 = 0x10000;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_PGE;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE;
    c->cpl = 0;
    x86_seg_set(c, X86_CS, 0x10, 0, 0xffffffff, AR_P | AR_S | AR_CODE | AR_RW | AR_A | AR_L | AR_G);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        if (i != X86_CS) {
            x86_seg_set(c, i, 0x18, i >= X86_FS ? 0xffff880000000000 + i : 0, 0xffffffff,
                        AR_P | AR_S | AR_RW | AR_A | AR_DB | AR_G);
        }
    }
    c->gdt.base = 0xfffffe0000001000;
    c->gdt.limit = 0x7f;
    c->idt.base = 0xfffffe0000000000;
    c->idt.limit = 0xfff;
    c->tr = (X86Segment){ .base = 0xfffffe0000003000, .limit = 0x206f, .selector = 0x40, .ar = AR_P | 11 };
    c->ldt = (X86Segment){ 0 };
    x86_mode_changed(c);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        x86_seg_changed(c, i);
    }
}

static void same_segment(const X86Segment *a, const X86Segment *b, const char *what)
{
    if (!(a->ar & AR_P) && !(b->ar & AR_P)) {
        return;                                 /* nothing else counts */
    }
    g_test_message("%s", what);
    g_assert_cmphex(a->base, ==, b->base);
    g_assert_cmphex(a->limit, ==, b->limit);
    g_assert_cmphex(a->selector, ==, b->selector);
    g_assert_cmphex(a->ar, ==, b->ar);
    g_assert_cmphex(a->read_lo, ==, b->read_lo);
    g_assert_cmphex(a->read_hi, ==, b->read_hi);
    g_assert_cmphex(a->write_hi, ==, b->write_hi);
}

static void same(const X86Cpu *a, const X86Cpu *b)
{
    static const char *const names[X86_SEGS] = { "es", "cs", "ss", "ds", "fs", "gs" };

#define SAME(field) \
    g_test_message(#field); \
    g_assert_cmpmem(&a->field, sizeof(a->field), &b->field, sizeof(b->field));
    SAME(regs) SAME(cc) SAME(rflags) SAME(mode) SAME(cr0) SAME(cr2) SAME(cr3) SAME(cr4) SAME(efer) SAME(xcr0)
    SAME(dr) SAME(star) SAME(lstar) SAME(cstar) SAME(fmask) SAME(kernel_gs_base) SAME(sysenter_cs)
    SAME(sysenter_esp) SAME(sysenter_eip) SAME(pat) SAME(cpl) SAME(sti_shadow) SAME(nmi_blocked) SAME(gdt.base)
    SAME(gdt.limit) SAME(idt.base) SAME(idt.limit) SAME(mtrr_fixed) SAME(mtrr_base) SAME(fpu.v) SAME(fpu.fcw)
    SAME(fpu.fsw) SAME(fpu.ftw) SAME(fpu.fop) SAME(fpu.fip) SAME(fpu.fdp) SAME(fpu.mxcsr) SAME(fpu.k)
#undef SAME
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(a->fpu.st[i].mantissa, ==, b->fpu.st[i].mantissa);
        g_assert_cmphex(a->fpu.st[i].exponent, ==, b->fpu.st[i].exponent);
    }
    for (unsigned i = 0; i < X86_SEGS; i++) {
        same_segment(&a->seg[i], &b->seg[i], names[i]);
    }
    same_segment(&a->tr, &b->tr, "tr");
}

/* What was set comes back the same, in real and in long mode, after other values were in between. */
static void round_trip(gconstpointer wide)
{
    g_autoptr(GRand) r = g_rand_new();

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    X86Cpu *c = b->c[0], *before = g_aligned_alloc0(1, sizeof(*before), 64);
    fill(c, r);
    if (wide) {
        enter_long_mode(c);
    }
    memcpy(before, c, sizeof(*c));
    b->a->ops->push(b->a, &c->vcpu);
    memset(c->regs, 0xee, X86_ZERO * sizeof(c->regs[0]));
    memset(&c->fpu, 0xee, sizeof(c->fpu));
    memset(c->seg, 0, sizeof(c->seg));
    c->star = c->lstar = c->pat = c->cr3 = c->cr0 = c->dr[3] = 0;
    b->a->ops->pull(b->a, &c->vcpu);
    memcpy(before->fpu.v + 16, c->fpu.v + 16, 16 * sizeof(X86Vector));          /* where there are 16 only ... */
    memcpy(before->fpu.k, c->fpu.k, sizeof(c->fpu.k));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(before->fpu.v[i].q + 4, c->fpu.v[i].q + 4, 32);                  /* ... of 256 bits */
    }
    same(before, c);
    g_aligned_free(before);
    bench_free(b);
}

/* Components of the XSAVE image that this kernel takes. */
static uint64_t xsave_components(void)
{
    enum { MOST = 256 };
    g_autofree struct kvm_cpuid2 *all = g_malloc0(sizeof(*all) + MOST * sizeof(struct kvm_cpuid_entry2));
    int fd = kvm_open_device(KVM_DEVICE, NULL);

    all->nent = MOST;
    g_assert_cmpint(ioctl(fd, KVM_GET_SUPPORTED_CPUID, all), >=, 0);
    close(fd);
    for (unsigned i = 0; i < all->nent; i++) {
        if (all->entries[i].function == 0xd && all->entries[i].index == 0) {
            return all->entries[i].eax;
        }
    }
    return XCR0_X87 | XCR0_SSE;
}

/* All of AVX-512's registers, as far as there are some here: whatever the model shows of them. */
static void round_trip_of_vectors(void)
{
    g_autoptr(GRand) r = g_rand_new();

    if (!kvm_usable()) {
        return;
    }
    uint64_t have = xsave_components();
    Bench *b = bench_new(1, "kvm");
    X86Cpu *c = b->c[0], *before = g_aligned_alloc0(1, sizeof(*before), 64);
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned q = 0; q < 8; q++) {
            c->fpu.v[i].q[q] = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        c->fpu.k[i] = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    }
    memcpy(before, c, sizeof(*c));
    b->a->ops->push(b->a, &c->vcpu);
    memset(c->fpu.v, 0xee, sizeof(c->fpu.v));
    memset(c->fpu.k, 0xee, sizeof(c->fpu.k));
    b->a->ops->pull(b->a, &c->vcpu);
    g_test_message("XCR0 bits that the kernel takes: %" G_GINT64_MODIFIER "x", have);
    for (unsigned i = 0; i < 32; i++) {
        unsigned quads = i >= 16 ? (have & XCR0_HI16_ZMM ? 8 : 0)
            : have & XCR0_ZMM_HI256 ? 8 : have & XCR0_AVX ? 4 : 2;
        g_assert_cmpmem(c->fpu.v[i].q, 8 * quads, before->fpu.v[i].q, 8 * quads);
    }
    if (have & XCR0_OPMASK) {
        g_assert_cmpmem(c->fpu.k, sizeof(c->fpu.k), before->fpu.k, sizeof(before->fpu.k));
    }
    g_aligned_free(before);
    bench_free(b);
}

/* The x87's registers lie in an XSAVE image by TOP (SDM volume 1, 10.5.1.1), MMX's do not. */
static void mmx_with_a_top(void)
{
    static const uint8_t code[] = {
        0x0f, 0x7f, 0x26, 0x00, 0x50,               /* movq [5000h], mm4 */
        0x0f, 0x6f, 0x36, 0x00, 0x50, 0xf4,         /* movq mm6, [5000h]; hlt */
    };
    uint64_t got = 0;

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    X86Fpu *f = &b->c[0]->fpu;
    bench_load(b, code, sizeof(code));
    b->c[0]->cr4 |= CR4_OSFXSR;
    f->fsw = 6 << 11;
    for (unsigned i = 0; i < 8; i++) {
        f->st[i] = (X86Float){ .mantissa = 0x1000 + i, .exponent = 0x3fff };
    }
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    as_read(b->m->mem, 0x5000, &got, sizeof(got));
    g_assert_cmphex(got, ==, 0x1004);
    g_assert_cmphex(f->st[6].mantissa, ==, 0x1004);
    g_assert_cmphex(f->st[5].mantissa, ==, 0x1005);
    bench_free(b);
}

/* A program stepped instruction by instruction has the registers that the interpreter has; where it faults, a
 * step leads to the handler.  In real mode up to its first fault: a kernel may ignore the IDT's limit there. */
typedef struct Steps { const char *program; unsigned n; } Steps;

static void steps_like_the_interpreter(gconstpointer data)
{
    const Steps *s = data;

    if (!kvm_runs(s->program)) {
        return;
    }
    Bench *k = bench_new(1, "kvm"), *i = bench_new_cpu("interp", x86_model_spec(k->c[0]->model));
    bench_load_file(k, s->program);
    bench_load_file(i, s->program);
    unsigned n = 0;
    for (RunExit why = RUN_BUDGET; why == RUN_BUDGET && n < s->n; n++) {
        why = bench_run(k, 1);
        g_assert_cmpint(why, ==, bench_run(i, 1));
        for (unsigned r = 0; r <= X86_RIP; r++) {
            g_assert_cmphex(k->c[0]->regs[r], ==, i->c[0]->regs[r]);
        }
        g_assert_cmphex(k->c[0]->seg[X86_ES].base, ==, i->c[0]->seg[X86_ES].base);
    }
    g_assert_cmpuint(n, ==, s->n);
    bench_free(k);
    bench_free(i);
}

static const uint8_t counting[] = {
    0x40, 0x43, 0x41, 0x42, 0x46, 0x47,         /* inc ax, bx, cx, dx, si, di */
    0xeb, 0xf8,                                 /* back to the first */
};

static void breakpoints(gconstpointer how_many)
{
    unsigned n = GPOINTER_TO_UINT(how_many);

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    bench_load(b, counting, sizeof(counting));
    for (unsigned i = 0; i < n; i++) {
        g_assert_true(b->a->ops->set_breakpoint(b->a, TEST_CODE + 1 + i, true));
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < n; i++) {
            g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_DEBUG);
            g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, TEST_CODE + 1 + i);
        }
        g_assert_cmpuint(b->c[0]->regs[X86_RAX], ==, round + 1);
    }
    b->a->ops->set_breakpoint(b->a, TEST_CODE + 1, false);
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_DEBUG);
    g_assert_cmphex(b->c[0]->regs[X86_RIP], ==, TEST_CODE + 2);
    bench_free(b);
}

/* With A20 off the second MiB is the first. */
static void a20(void)
{
    static const uint8_t code[] = {
        0xb8, 0xff, 0xff, 0x8e, 0xd8,           /* mov ax, 0ffffh; mov ds, ax */
        0xa0, 0x10, 0x70,                       /* mov al, [7010h]: 107000h */
        0xe6, 0xf4, 0xf4,                       /* out 0f4h, al; hlt */
    };

    if (!kvm_usable()) {
        return;
    }
    for (unsigned on = 0; on < 2; on++) {
        Bench *b = bench_new(1, "kvm");
        as_write(b->m->mem, 0x7000, "\x11", 1);
        as_write(b->m->mem, 0x107000, "\x22", 1);
        bench_load(b, code, sizeof(code));
        vcpu_set_a20(&b->c[0]->vcpu, on);
        g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
        g_assert_cmphex(b->result, ==, on ? 0x22 : 0x11);
        bench_free(b);
    }
}

/* Memory that is mapped while the guest runs is there for the guest. */
static void map_changes(void)
{
    static const uint8_t code[] = {
        0xb8, 0x00, 0xd0, 0x8e, 0xd8,           /* mov ax, 0d000h; mov ds, ax */
        0xa0, 0x00, 0x00, 0xe6, 0xf4, 0xf4,     /* mov al, [0]; out 0f4h, al; hlt */
    };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    b->memory[0] = 0x77;
    bench_load(b, code, sizeof(code));
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    g_assert_cmphex(b->result, ==, 0x77);
    machine_lock(b->m);
    region_enable(&b->device, false);
    machine_unlock(b->m);
    as_write(b->m->mem, 0xd0000, "\x55", 1);
    b->reports = 0;
    b->c[0]->vcpu.halted = false;
    bench_load(b, code, sizeof(code));
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    g_assert_cmphex(b->result, ==, 0x55);
    bench_free(b);
}

/* A guest that shuts down in real mode, where a reset changes no control register, runs again behind it. */
static void runs_after_shutdown(void)
{
    static const uint8_t down[] = { 0x0f, 0x01, 0x1e, 0x00, 0x60, 0xcd, 0x20 };     /* lidt [6000h]; int 20h */
    static const uint8_t up[] = { 0x40, 0xf4 };                                     /* inc ax; hlt */

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    for (unsigned round = 1; round <= 3; round++) {
        b->c[0]->vcpu.halted = false;
        bench_load(b, down, sizeof(down));
        g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_SHUTDOWN);
        b->c[0]->idt.limit = 0xffff;            /* AMD's kernel has lost all registers, too */
        b->c[0]->regs[X86_RAX] = round;
        bench_load(b, up, sizeof(up));
        g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
        g_assert_cmphex(b->c[0]->regs[X86_RAX], ==, round + 1);
    }
    bench_free(b);
}

int main(int argc, char **argv)
{
    static const Steps steps[] = { { "real", 120 }, { "protected", 200 } };

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/kvm/state/round-trip/real", NULL, round_trip);
    g_test_add_data_func("/kvm/state/round-trip/long", "long", round_trip);
    g_test_add_func("/kvm/state/round-trip/vectors", round_trip_of_vectors);
    g_test_add_func("/kvm/state/round-trip/mmx-with-a-top", mmx_with_a_top);
    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_autofree char *name = g_strdup_printf("/kvm/state/steps-like-the-interpreter/%s", steps[i].program);
        g_test_add_data_func(name, &steps[i], steps_like_the_interpreter);
    }
    g_test_add_data_func("/kvm/state/breakpoints/hardware", GUINT_TO_POINTER(4), breakpoints);
    g_test_add_data_func("/kvm/state/breakpoints/stepped", GUINT_TO_POINTER(5), breakpoints);
    g_test_add_func("/kvm/state/a20", a20);
    g_test_add_func("/kvm/state/map-changes", map_changes);
    g_test_add_func("/kvm/state/runs-after-shutdown", runs_after_shutdown);
    return g_test_run();
}
