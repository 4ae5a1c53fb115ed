/*
 * A machine for tests of -accel kvm: 16 MiB of RAM, ROM at e0000 (all a5), a page of device memory at
 * d0000 and port f8 that echo what was written, port f4 for a program's report (insn/sys/report.inc).
 */
#ifndef TESTS_KVM_HARNESS_H
#define TESTS_KVM_HARNESS_H

#include "accel/accel.h"
#include "core/machine.h"
#include "target/x86/cpu.h"
#include "target/x86/segments.h"
#include "usable.h"

enum { TEST_RAM = 16 << 20, TEST_CODE = 0x7c00, TEST_CPUS = 2 };

typedef struct Bench {
    Machine *m;
    X86Cpu *c[TEST_CPUS];
    unsigned cpus;
    Region ram, rom, device, echo, report;
    uint8_t memory[4096], last;         /* of the device; of the port */
    _Atomic uint32_t reports, result;   /* how many; the first */
    Accel *a;
} Bench;

/* The kernel has no hardware to run ring 0 on. */
bool kvm_emulates_ring0(void);
/* It runs on a processor that QEMU's TCG emulates (scripts/kvm-host.sh). */
bool kvm_below_is_tcg(void);
/* This program of tests/kvm can be run here; false: the test was skipped, and why was said. */
bool kvm_runs(const char *program);
/* One with a clock that stands still and a processor that the test runs; one with a real clock. */
Bench *bench_new(unsigned cpus, const char *accel);
Bench *bench_new_cpu(const char *accel, const char *model);
Bench *bench_new_running(unsigned cpus, const char *accel);
void bench_free(Bench *b);
void bench_load(Bench *b, const void *code, size_t len);        /* processor 0 starts there, in real mode */
void bench_load_file(Bench *b, const char *name);               /* of tests/kvm */
RunExit bench_run(Bench *b, uint64_t insns);                    /* processor 0, on this thread */
uint64_t bench_counted(Bench *b, const char *what);             /* the number behind it in `info accel` */

#endif
