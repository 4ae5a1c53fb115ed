/*
 * Runs the programs of tests/insn/sys under an accelerator: 16 MiB of RAM, one processor, and three
 * ports.  0xf4: 0 for success, or the line of the check that failed; 0xf8: where the name of the case lies
 * that begins now; 0xfc: an interrupt of this vector is wanted, or with bit 8 an NMI.  fffffffe to 0xf4: the
 * processor has not got what the case is named for; all the rest is skipped.  ffffffff: the processor will shut
 * down, and is to be reset and to start again, as boards do it.
 *
 * Under KVM on a host whose kernel emulates ring 0 the run goes on behind a check that fails by a known gap of that
 * emulator: KVM_GAPS names the file (kvm_gaps.h).
 *
 * Usage: sys_run ACCEL PROGRAM.bin [MODEL]
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "accel/accel.h"
#include "accel/kvm.h"
#include "coverage.h"
#include "core/machine.h"
#include "kvm_gaps.h"
#include "target/x86/cpu.h"
#include "target/x86/segments.h"

enum { RAM_SIZE = 16 << 20, LOAD_AT = 0x7c00, REPORT_PORT = 0xf4, MAX_INSNS = 5000000, NAME_MAX_LEN = 100 };
#define SHUTDOWN_WANTED 0xffffffffu
#define SKIPPED 0xfffffffeu
enum { EXIT_SKIPPED = 77 };
enum { REPORT_RESULT = 0, REPORT_CASE = 4, REPORT_INTERRUPT = 8, REPORT_SIZE = 12 };

typedef struct Run {
    Machine *m;
    X86Cpu *c;
    Region ram, report;
    uint32_t result;
    bool reported, shutdown_wanted;
    char name[NAME_MAX_LEN];    /* of the case at work */
    unsigned cases;
    KvmGaps *gaps;              /* NULL: none is excused */
    unsigned excused, last_excused;     /* cases: how many; the number of the last */
    bool go_on;                 /* a check has failed that is excused: the HLT behind it is none */
    bool cut_off;               /* by a gap, behind which the program cannot go on */
    uint8_t vector;             /* of the interrupt that is wanted */
    uint8_t tpr;                /* what there is of a local APIC */
    uint64_t base;
} Run;

static uint64_t report_read(void *dev, hwaddr off, unsigned size)
{
    return 0;
}

/* A check has failed, in this case. */
static bool excuse(Run *r)
{
    const KvmGaps *g = r->gaps;

    if (g && g->end && !strcmp(g->end, r->name)) {
        r->cut_off = true;
        return false;
    }
    r->go_on = g && g_hash_table_contains(g->cases, r->name);
    if (r->go_on && r->last_excused != r->cases) {
        r->last_excused = r->cases;
        r->excused++;
    }
    return r->go_on;
}

static void report_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Run *r = dev;

    switch (off) {
    case REPORT_RESULT:
        if ((uint32_t)val == SHUTDOWN_WANTED) {
            r->shutdown_wanted = true;
            break;
        }
        if (val && (uint32_t)val != SKIPPED && !r->reported && excuse(r)) {
            break;
        }
        r->result = r->reported ? r->result : (uint32_t)val;
        r->reported = true;
        break;
    case REPORT_CASE:
        as_read(r->m->mem, val, r->name, sizeof(r->name) - 1);
        r->cases++;
        break;
    case REPORT_INTERRUPT:
        r->vector = (uint8_t)val;
        vcpu_raise(&r->c->vcpu, val & 0x100 ? VCPU_NMI : VCPU_INTR);
        break;
    }
}

static int acknowledge(void *opaque)
{
    Run *r = opaque;

    vcpu_lower(&r->c->vcpu, VCPU_INTR);
    return r->vector;
}

static bool pending(void *opaque)
{
    return true;
}

static uint8_t get_tpr(void *opaque) { return ((Run *)opaque)->tpr; }
static void set_tpr(void *opaque, uint8_t tpr) { ((Run *)opaque)->tpr = tpr; }
static uint64_t get_base(void *opaque) { return ((Run *)opaque)->base; }
static void set_base(void *opaque, uint64_t base) { ((Run *)opaque)->base = base; }

static void to_start(X86Cpu *c)
{
    x86_seg_set_real(c, X86_CS, 0);
    c->regs[X86_RIP] = LOAD_AT;
    c->regs[X86_RSP] = 0x7000;
}

static bool make_machine(Run *r, const char *program, const char *model, GError **errp)
{
    static const RegionOps ops = { .read = report_read, .write = report_write };
    static const IntCtl intctl = { .acknowledge = acknowledge, .pending = pending, .get_tpr = get_tpr,
                                   .set_tpr = set_tpr, .get_base = get_base, .set_base = set_base };
    g_autofree char *code = NULL;
    gsize len;

    if (!g_file_get_contents(program, &code, &len, errp)) {
        return false;
    }
    r->m = machine_new(clock_new_manual());
    machine_lock(r->m);
    memory_begin(r->m->mem);
    bool ok = region_init_ram(&r->ram, "ram", RAM_SIZE, errp);
    if (ok) {
        region_map(&r->m->mem_root, 0, &r->ram, 0);
    }
    memory_commit(r->m->mem);
    memory_begin(r->m->io);
    region_init_io(&r->report, "report", REPORT_SIZE, &ops, r);
    region_map(&r->m->io_root, REPORT_PORT, &r->report, 0);
    memory_commit(r->m->io);
    machine_unlock(r->m);
    r->c = ok ? x86_cpu_new(r->m, 0, model, errp) : NULL;
    if (!r->c) {
        return false;
    }
    g_ptr_array_add(r->m->vcpus, &r->c->vcpu);
    vcpu_set_intctl(&r->c->vcpu, &intctl, r);
    coverage_watch(r->c);
    as_write(r->m->mem, LOAD_AT, code, len);
    r->base = 0xfee00900;
    to_start(r->c);
    return true;
}

static void say_where(Run *r, const char *what)
{
    g_autoptr(GString) s = g_string_new(NULL);

    x86_info_registers(r->c, s);
    fprintf(stderr, "%s, in case %u: %s\n%s", what, r->cases, r->cases ? r->name : "(none)", s->str);
}

static bool run(Run *r, const char *accel, GError **errp)
{
    Accel *a = accel_open(r->m, accel, errp);
    uint64_t done = 0;

    if (!a || !a->ops->vcpu_create(a, &r->c->vcpu, errp)) {
        return false;
    }
    RunExit why = RUN_BUDGET;
    while (!r->reported && why == RUN_BUDGET && done < MAX_INSNS) {
        why = a->ops->run(a, &r->c->vcpu, 10000, errp);
        done += 10000;
        if (why == RUN_HALTED && r->go_on) {
            r->go_on = r->c->vcpu.halted = false;
            why = RUN_BUDGET;
        }
        if (why == RUN_SHUTDOWN && r->shutdown_wanted) {
            r->shutdown_wanted = false;
            x86_reset(r->c);
            to_start(r->c);
            why = RUN_BUDGET;
        }
    }
    a->ops->vcpu_destroy(a, &r->c->vcpu);
    a->ops->destroy(a);
    if (why == RUN_FAILED) {
        return false;
    }
    r->cut_off |= r->gaps && r->gaps->end && !strcmp(r->gaps->end, r->name) && (!r->reported || r->result);
    if (r->cut_off) {
        return true;
    }
    if (!r->reported) {
        say_where(r, why == RUN_SHUTDOWN ? "triple fault" : why == RUN_HALTED ? "halted" : "it does not end");
        return true;
    }
    if (r->result == SKIPPED) {
        printf("skipped: this host has not got %s\n", r->name);
    } else if (r->result) {
        g_autofree char *what = g_strdup_printf("check in line %u", r->result);
        say_where(r, what);
    }
    return true;
}

static void unmake_machine(Run *r)
{
    coverage_write(r->c);
    x86_cpu_free(r->c);
    g_ptr_array_set_size(r->m->vcpus, 0);
    machine_lock(r->m);
    region_unmap(&r->report);
    region_fini(&r->report);
    region_unmap(&r->ram);
    region_fini(&r->ram);
    machine_unlock(r->m);
    machine_free(r->m);
}

/* NULL: the accelerator is not kvm, or its kernel emulates nothing: all has to pass. */
static KvmGaps *find_gaps(const char *accel, const char *program, GError **errp)
{
    g_autofree char *base = g_path_get_basename(program), *name = g_strndup(base, strcspn(base, "."));
    KvmQuality q = { -1, -1 };
    int fd = strcmp(accel, "kvm") ? -1 : kvm_open_device(KVM_DEVICE, NULL);
    g_autofree char *emulated = fd >= 0 && kvm_quality(fd, false, &q, NULL) ? kvm_why_poor(&q) : NULL;

    if (fd >= 0) {
        close(fd);
    }
    return emulated ? kvm_gaps_read(g_getenv("KVM_GAPS") ? g_getenv("KVM_GAPS") : "kvm-gaps.txt", name, errp) : NULL;
}

static int exit_status(const Run *r)
{
    bool failed = !r->reported || (r->result && r->result != SKIPPED);

    if (r->excused) {
        printf("%u of them fail: this host's kernel emulates ring 0, and %s\n", r->excused, r->gaps->why);
    }
    if (r->cut_off) {
        printf("skipped from '%s' on: this host's kernel emulates ring 0, and %s\n", r->name, r->gaps->why);
        return EXIT_SKIPPED;
    }
    if (failed && r->gaps && !r->gaps->complete) {
        printf("skipped: this host's kernel emulates ring 0, with a gap that is not in the list\n");
        return EXIT_SKIPPED;
    }
    return failed ? 1 : r->result == SKIPPED ? EXIT_SKIPPED : 0;
}

static bool no_kvm(const char *accel)
{
    g_autoptr(GError) err = NULL;
    int fd = strcmp(accel, "kvm") ? -1 : kvm_open_device(KVM_DEVICE, &err);

    if (fd >= 0) {
        close(fd);
    }
    if (err) {
        printf("skipped: %s\n", err->message);
    }
    return err;
}

int main(int argc, char **argv)
{
    Run r = { 0 };
    GError *err = NULL;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: sys_run ACCEL PROGRAM.bin [MODEL]\n");
        return 2;
    }
    if (no_kvm(argv[1])) {
        return EXIT_SKIPPED;
    }
    r.gaps = find_gaps(argv[1], argv[2], &err);
    if (err || !make_machine(&r, argv[2], argv[3] ? argv[3] : "max", &err) || !run(&r, argv[1], &err)) {
        fprintf(stderr, "%s\n", err->message);
        return 2;
    }
    printf("%u cases\n", r.cases);
    unmake_machine(&r);
    int status = exit_status(&r);
    kvm_gaps_free(r.gaps);
    return status;
}
