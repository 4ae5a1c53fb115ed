/*
 * accel/kvm.h - what can be said about KVM without a machine: for `tinamou doctor` and tests.
 * Any thread.
 */
#ifndef ACCEL_KVM_H
#define ACCEL_KVM_H

#include <glib.h>
#include <stdbool.h>
#include "core/machine.h"
#include "target/x86/cpu.h"

#define KVM_DEVICE "/dev/kvm"

typedef struct KvmQuality {
    double ring0_ns, ring3_ns;      /* an instruction of the guest; negative: it did not run */
} KvmQuality;

/* The device, opened, of the right version and able enough; -1: why not. */
int kvm_open_device(const char *path, GError **errp);
bool kvm_check_version(const char *path, int version, GError **errp);
/* Measured on a scratch machine; ring 3 only when it is asked for. */
bool kvm_quality(int fd, bool ring3, KvmQuality *q, GError **errp);
/* Why a chain goes on to the next accelerator, to be freed; NULL: it does not. */
char *kvm_why_poor(const KvmQuality *q);

/* Of a processor that KVM runs: instructions and events that the kernel left to the interpreter, so far. */
uint64_t kvm_interpreted(const Vcpu *vcpu);

/* Watchpoints in debug registers, from DR0 on: as many as it takes, each for 1, 2, 4 or 8 bytes at a multiple
 * of that.  False: they cannot hold all of the list, or are too few. */
enum { KVM_BREAKPOINTS = 4 };
typedef struct KvmWatches { X86Watch at[KVM_BREAKPOINTS]; unsigned n; } KvmWatches;
bool kvm_watches_fit(KvmWatches *w, const X86Watch *list, unsigned n);
/* DR7 for them and for so many breakpoints in the registers behind. */
uint64_t kvm_watches_dr7(const KvmWatches *w, unsigned breakpoints);
/* The one of `list` that an access has hit, as DR6 says; NULL: none. */
const X86Watch *kvm_watches_hit(const KvmWatches *w, uint64_t dr6, const X86Watch *list, unsigned n);

#endif
