/*
 * accel/check/check.c - -accel check,a=A,b=B: one guest under two accelerators, compared as it runs.
 *
 * A runs the machine and B the twin (check.h).  While a piece runs the machine lock is held and the
 * guest's clock stands, so that devices, DMA and time move between pieces only, and the same for both.
 * Interrupts are taken between pieces, by A first.
 *
 * Not modelled: more than one processor.
 */
#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "target/x86/model.h"
#include "util/bits.h"
#include "util/error.h"

enum { BY_BLOCK = 0, WARM_UP = 10000 };

/* ---- pieces ---- */

/* B becomes what A is. */
static bool start(Check *k, GError **errp)
{
    k->twin = twin_new(k->accel.machine, k->cpu, k->name_b, check_noted_functions(k), &k->inputs, errp);
    if (!k->twin) {
        return false;
    }
    k->started = true;
    k->map_changed = false;
    if (k->steps_a) {
        k->a->ops->dirty(k->a, check_written_by_a, k);        /* the log begins */
    }
    if (k->steps_b) {
        k->twin->accel->ops->dirty(k->twin->accel, check_written_by_b, k);
    }
    vcpu_run_work(&k->twin->cpu->vcpu);
    twin_load(k->twin, k->cpu);
    return true;
}

static bool prepare(Check *k, GError **errp)
{
    Twin *t = k->twin;

    if (k->map_changed) {
        k->map_changed = false;
        if (!twin_follow_map(t, k->accel.machine, errp)) {
            return false;
        }
        vcpu_run_work(&t->cpu->vcpu);
    }
    if (t->cpu->vcpu.a20_mask != k->cpu->vcpu.a20_mask) {
        t->cpu->vcpu.a20_mask = k->cpu->vcpu.a20_mask;
        t->cpu->vcpu.map_changed(&t->cpu->vcpu);
    }
    t->cpu->vcpu.sipi_vector = k->cpu->vcpu.sipi_vector;
    k->clock = clock_now(k->accel.machine->clock);
    clock_set(t->m->clock, k->clock);
    inputs_clear(&k->inputs);
    g_hash_table_remove_all(k->written);
    x86_forget_touched(k->cpu, k->kept != NULL);
    if (k->kept) {
        g_hash_table_remove_all(k->kept);
    }
    if (k->intctl && !(check_noted_functions(k) & INTCTL_QUIET)) {
        t->tpr = k->intctl->get_tpr(k->intctl_opaque);
        t->apic_base = k->intctl->get_base(k->intctl_opaque);
    }
    twin_begin(t);
    x86_copy_state(k->before, k->cpu);
    k->last[k->pieces++ % LAST] = k->cpu->regs[X86_RIP];
    k->requests = 0;
    k->vga_written = false;
    return true;
}

static RunExit run_a(Check *k, uint64_t n, GError **errp)
{
    Vcpu *v = &k->cpu->vcpu;

    v->hold_interrupts = true;
    v->return_at = RETURN_AT_WORK | (k->granularity == BY_BLOCK ? RETURN_AT_BLOCK : 0);
    k->in_piece = true;
    RunExit why = check_accel_run(k->a, v, n, errp);
    k->in_piece = false;
    v->hold_interrupts = false;
    v->return_at = 0;
    if (k->steps_a) {
        k->a->ops->dirty(k->a, check_written_by_a, k);
    }
    return why;
}

static RunExit run_b(Check *k, uint64_t n, GError **errp)
{
    RunExit why = twin_run(k->twin, n, errp);

    if (k->steps_b) {
        k->twin->accel->ops->dirty(k->twin->accel, check_written_by_b, k);
    }
    return why;
}

static bool compare(Check *k, RunExit why, RunExit why_b, GString *out)
{
    bool same = compare_cpus(k->cpu, k->twin->cpu, !k->steps_a && !k->steps_b, out);

    same &= check_compare_memory(k, out);
    if ((why == RUN_SHUTDOWN) != (why_b == RUN_SHUTDOWN)) {
        g_string_append_printf(out, "  %s has a triple fault\n", why == RUN_SHUTDOWN ? "A" : "B");
        same = false;
    }
    if (!inputs_settled(&k->inputs)) {
        g_string_append_printf(out, "  %s\n", k->inputs.wrong);
        same = false;
    }
    return same;
}

/* Host memory of a byte that both have, at a linear address of A's processor. */
static bool both_bytes(Check *k, uint64_t linear, uint8_t **a, uint8_t **b)
{
    hwaddr gpa;
    MemSection s;

    if (!x86_translate_debug(k->cpu, linear, &gpa) || !as_find(k->accel.machine->mem, gpa, &s) || !s.host) {
        return false;
    }
    uint8_t *page = twin_page(k->twin, gpa & ~(hwaddr)(PAGE_SIZE - 1));
    *a = s.host + (gpa - s.at);
    *b = page + (gpa & (PAGE_SIZE - 1));
    return page;
}

/* KVM steps by RFLAGS.TF, and the flags that a fault pushes meanwhile have it, too: out of the frame again. */
static void clear_pushed_tf(Check *k, uint64_t frame)
{
    enum { FRAME = 48, TF = FL_TF >> 8 };       /* bytes of the longest; TF is in the second byte of the flags */

    for (unsigned i = 0; i < FRAME; i++) {
        uint8_t *a, *b;
        if (both_bytes(k, frame + i, &a, &b) && *a != *b) {
            uint8_t *theirs = k->steps_a ? a : b, ours = k->steps_a ? *b : *a;
            *theirs = (*theirs ^ TF) == ours ? ours : *theirs;
            return;
        }
    }
}

/* Some kernels step over a fault and the first instruction of its handler at once: the other one follows. */
static bool follow(Check *k, RunExit *why, RunExit *why_b)
{
    const X86Cpu *ours = k->steps_b ? k->cpu : k->twin->cpu;
    uint64_t frame = ours->regs[X86_RSP] + (x86_code_bits(ours) == 64 ? 0 : ours->seg[X86_SS].base);
    g_autoptr(GString) ignored = g_string_new(NULL);

    if (k->steps_a == k->steps_b || *why != RUN_BUDGET || *why_b != RUN_BUDGET) {
        return false;
    }
    g_clear_pointer(&k->inputs.wrong, g_free);
    if (k->steps_b) {
        *why = run_a(k, 1, NULL);
    } else {
        *why_b = twin_run(k->twin, 1, NULL);
    }
    clear_pushed_tf(k, frame);
    return compare(k, *why, *why_b, ignored);
}

static RunExit finish(Check *k, RunExit why, RunExit why_b, uint64_t n, GError **errp)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (why == RUN_FAILED || why_b == RUN_FAILED) {
        return RUN_FAILED;
    }
    if (!compare(k, why, why_b, out) && !(n && follow(k, &why, &why_b))) {
        return check_differ(k, n, out->str, errp);
    }
    if (k->log) {
        fprintf(k->log, "%" PRIu64 " %04x:%" PRIx64 " +%" PRIu64 ", %u inputs, %u pages\n", k->insns,
                k->before->seg[X86_CS].selector, k->before->regs[X86_RIP], n, k->inputs.list->len,
                g_hash_table_size(k->written));
    }
    if (k->vga_written) {
        twin_copy_devices_ram(k->twin);
    }
    return why;
}

/* An interrupt, NMI or INIT that is due. */
static RunExit serve(Check *k, GError **errp)
{
    Vcpu *v = &k->cpu->vcpu;

    if (!prepare(k, errp)) {
        return RUN_FAILED;
    }
    k->requests = atomic_load(&v->requests) & ~(uint32_t)(VCPU_WORK | VCPU_STOP);
    k->in_piece = true;
    if (k->steps_a) {                   /* the page tables have changed without the processor's knowledge */
        x86_tlb_flush(k->cpu, true);
    }
    bool ok = check_serve(k->cpu);
    k->in_piece = false;
    bool ok_b = twin_serve(k->twin, k->requests);
    return finish(k, ok ? RUN_BUDGET : RUN_SHUTDOWN, ok_b ? RUN_BUDGET : RUN_SHUTDOWN, 0, errp);
}

static RunExit execute(Check *k, GError **errp)
{
    Vcpu *v = &k->cpu->vcpu;

    if (!prepare(k, errp)) {
        return RUN_FAILED;
    }
    uint64_t from = check_insn_count(k->a, v);
    RunExit why = run_a(k, k->granularity == BY_BLOCK ? WARM_UP : k->granularity, errp);
    if (why == RUN_FAILED) {
        return why;
    }
    uint64_t n = check_insn_count(k->a, v) - from;
    RunExit why_b = run_b(k, n, errp);
    k->insns += n;
    return finish(k, why, why_b, n, errp);
}

/* With the machine lock. */
static RunExit piece(Check *k, GError **errp)
{
    Vcpu *v = &k->cpu->vcpu;

    if (atomic_load(&v->requests) & VCPU_WORK) {
        vcpu_run_work(v);
    }
    if (!k->started && !start(k, errp)) {
        return RUN_FAILED;
    }
    if (x86_interrupt_due(k->cpu)) {
        return serve(k, errp);
    }
    return v->halted ? RUN_HALTED : execute(k, errp);
}

static RunExit check_run(Accel *accel, Vcpu *vcpu, uint64_t max_insns, GError **errp)
{
    Check *k = (Check *)accel;
    Machine *m = accel->machine;
    uint64_t first = check_insn_count(k->a, vcpu), done = 0;
    RunExit why = RUN_BUDGET;

    while (why == RUN_BUDGET && done < max_insns) {
        if (atomic_load(&vcpu->requests) & VCPU_STOP) {
            return RUN_REQUEST;
        }
        if (!k->started && k->insns < k->start_at) {
            why = check_accel_run(k->a, vcpu, MIN(WARM_UP, k->start_at - k->insns), errp);
            k->insns = check_insn_count(k->a, vcpu);
        } else {
            machine_lock(m);
            bool running = clock_running(m->clock);
            clock_stop(m->clock);
            why = piece(k, errp);
            if (running) {
                clock_resume(m->clock);
            }
            machine_unlock(m);
        }
        done = check_insn_count(k->a, vcpu) - first;
    }
    if (why == RUN_HALTED) {
        loop_wake(m->loop);             /* to look again at a clock that may have stood when it looked last */
    }
    return why;
}

/* ---- the accelerator ---- */

static const KeySpec check_options[] = {
    { "a", KEY_STR, "the accelerator that runs the machine (default interp)" },
    { "b", KEY_STR, "the one that is compared with it (default interp)" },
    { "granularity", KEY_STR, "insn, block or a number of instructions between two comparisons (default block)" },
    { "start-at", KEY_UINT, "instructions that A executes alone first (default 0)", 0, UINT64_MAX },
    { "log", KEY_STR, "file that gets a line for each piece that was compared" },
    { "file", KEY_STR, "where a difference is written, to be run again (default tinamou-difference.txt)" },
    { NULL },
};

static bool parse_granularity(const char *text, uint64_t *n, GError **errp)
{
    char *end;

    if (!text || !strcmp(text, "block")) {
        *n = BY_BLOCK;
        return true;
    }
    if (!strcmp(text, "insn")) {
        *n = 1;
        return true;
    }
    *n = g_ascii_strtoull(text, &end, 10);
    if (*end || *n == 0 || *n > 1000000) {
        error_set(errp, "granularity=%s: it is insn, block, or a number of instructions from 1 to 1000000", text);
        return false;
    }
    return true;
}

static void check_destroy(Accel *accel)
{
    Check *k = (Check *)accel;

    if (k->a) {
        k->a->ops->destroy(k->a);
    }
    if (k->log) {
        fclose(k->log);
    }
    g_free(k->name_a);
    g_free(k->name_b);
    g_free(k->file);
    inputs_fini(&k->inputs);
    g_hash_table_destroy(k->written);
    g_clear_pointer(&k->kept, g_hash_table_destroy);
    g_free(k);
}

/* KVM is compared after each instruction, and with one of our own. */
static bool choose_steps(Check *k, const AccelOps *b, GError **errp)
{
    k->steps_a = check_steps(k->a);
    k->steps_b = !b->insn_count;
    if (k->steps_a && k->steps_b) {
        error_set(errp, "of a=%s and b=%s one has to be an accelerator of our own, dbt or interp", k->name_a,
                  k->name_b);
        return false;
    }
    if (k->steps_a || k->steps_b) {
        k->granularity = 1;
    }
    if (k->steps_b) {
        k->kept = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    return true;
}

static Accel *check_create(Machine *m, const KeyVals *options, GError **errp)
{
    const char *a = keyvals_str(options, "a"), *b = keyvals_str(options, "b"), *log = keyvals_str(options, "log");
    const char *file = keyvals_str(options, "file");
    Check *k = g_new0(Check, 1);

    k->name_a = g_strdup(a ? a : "interp");
    k->name_b = g_strdup(b ? b : "interp");
    k->file = g_strdup(file ? file : "tinamou-difference.txt");
    k->start_at = keyvals_num(options, "start-at", 0);
    k->written = g_hash_table_new(NULL, NULL);
    inputs_init(&k->inputs);
    bool ok = parse_granularity(keyvals_str(options, "granularity"), &k->granularity, errp);
    if (ok && (g_str_has_prefix(k->name_a, "check") || g_str_has_prefix(k->name_b, "check"))) {
        error_set(errp, "a and b are two accelerators to compare; 'check' compares, and is none of them");
        ok = false;
    }
    if (ok && log && !(k->log = fopen(log, "w"))) {
        error_set_errno(errp, errno, "log=%s", log);
        ok = false;
    }
    const AccelOps *b_ops = ok ? accel_find(k->name_b, errp) : NULL;
    k->a = b_ops ? accel_open_one(m, k->name_a, errp) : NULL;
    if (k->a && !choose_steps(k, b_ops, errp)) {
        k->a->ops->destroy(k->a);
        k->a = NULL;
    }
    if (!k->a) {
        check_destroy(&k->accel);
        return NULL;
    }
    return &k->accel;
}

/* The processor has what both can give. */
static bool limit_to_b(Check *k, Vcpu *vcpu, GError **errp)
{
    const AccelOps *b = accel_find(k->name_b, errp);
    uint32_t words[CPUID_WORDS];

    return !b->features || (b->features(words, errp) && x86_limit_features(x86_cpu(vcpu), words, "B", errp));
}

static bool check_vcpu_create(Accel *accel, Vcpu *vcpu, GError **errp)
{
    Check *k = (Check *)accel;

    if (k->cpu) {
        error_set(errp, "a cross-check runs one processor: say -smp 1");
        return false;
    }
    vcpu->repeatable = true;
    if (!limit_to_b(k, vcpu, errp) || !k->a->ops->vcpu_create(k->a, vcpu, errp)) {
        return false;
    }
    k->cpu = x86_cpu(vcpu);
    k->before = g_aligned_alloc0(1, sizeof(X86Cpu), 64);
    check_observe(k, vcpu);
    return true;
}

static void check_vcpu_destroy(Accel *accel, Vcpu *vcpu)
{
    Check *k = (Check *)accel;

    check_unobserve(k, vcpu);
    k->a->ops->vcpu_destroy(k->a, vcpu);
    g_clear_pointer(&k->twin, twin_free);
    g_aligned_free(k->before);
    k->cpu = NULL;
}

/* After a reset, or what the monitor and the debugger did: B takes it over. */
static void check_flush(Accel *accel, Vcpu *vcpu)
{
    Check *k = (Check *)accel;

    k->a->ops->flush(k->a, vcpu);
    if (k->started) {
        twin_copy_all(k->twin);
        twin_load(k->twin, k->cpu);
    }
}

static bool check_set_breakpoint(Accel *accel, uint64_t linear, bool on)
{
    Check *k = (Check *)accel;

    return k->a->ops->set_breakpoint && k->a->ops->set_breakpoint(k->a, linear, on);
}

static uint64_t insn_count(Accel *accel, Vcpu *vcpu)
{
    Check *k = (Check *)accel;

    return check_insn_count(k->a, vcpu);
}

static void check_info(Accel *accel, Vcpu *vcpu, GString *out)
{
    Check *k = (Check *)accel;

    g_string_append_printf(out, "cross-check             A %s, B %s\npieces compared         %" PRIu64
                           "\ninstructions in them    %" PRIu64 "\n", k->name_a, k->name_b, k->pieces, k->insns);
    if (k->a->ops->info) {
        g_string_append(out, "A:\n");
        k->a->ops->info(k->a, vcpu, out);
    }
    if (k->twin && k->twin->accel->ops->info) {
        g_string_append(out, "B:\n");
        k->twin->accel->ops->info(k->twin->accel, &k->twin->cpu->vcpu, out);
    }
}

const AccelOps accel_check = {
    .name = "check",
    .summary = "runs the guest under two accelerators at once and stops at the first difference",
    .only_by_name = true,
    .options = check_options,
    .create = check_create,
    .destroy = check_destroy,
    .vcpu_create = check_vcpu_create,
    .vcpu_destroy = check_vcpu_destroy,
    .run = check_run,
    .flush = check_flush,
    .set_breakpoint = check_set_breakpoint,
    .insn_count = insn_count,
    .info = check_info,
};
