/*
 * accel/dbt.h - what a test asks of the translator beside what every accelerator answers.
 *
 * On the vCPU's own thread, with the accelerator dbt.
 */
#ifndef ACCEL_DBT_H
#define ACCEL_DBT_H

#include "core/vcpu.h"

/* Translates the block at RIP, and counts the host instructions that lie in line: from the entry to the first
 * call, or to the block's end.  0: its first instruction is left to its handler. */
unsigned dbt_count_in_line(Vcpu *vcpu);

#endif
