/*
 * The accelerators there are, in the order of the default chain.  In a file of its own, so that a test
 * can bring a list with an accelerator of its own in it.
 */
#include "accel/accel.h"

const AccelOps *const accel_list[] = { &accel_kvm, &accel_dbt, &accel_interp, &accel_check, NULL };
