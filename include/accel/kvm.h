/*
 * accel/kvm.h - what can be said about the host's KVM without a machine: for `tinamou doctor` and tests.
 * Any thread.
 */
#ifndef ACCEL_KVM_H
#define ACCEL_KVM_H

#include <glib.h>
#include <stdbool.h>

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

#endif
