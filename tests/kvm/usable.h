/*
 * tests/kvm/usable.h - can a test use /dev/kvm?
 */
#ifndef TESTS_KVM_USABLE_H
#define TESTS_KVM_USABLE_H

#include <stdbool.h>

/* False: this test was skipped, and why was said. */
bool kvm_usable(void);

#endif
