/*
 * accel/check.h - a difference that the cross-check has written to a file, run again.
 *
 * No machine is needed; any thread, one at a time.
 */
#ifndef ACCEL_CHECK_H
#define ACCEL_CHECK_H

#include <glib.h>
#include <stdbool.h>

/* Runs the piece in `file` under two accelerators; what they differ in, and from which instruction on,
 * goes to `out` as text.  True: they agree. */
bool check_replay(const char *file, const char *a, const char *b, GString *out, GError **errp);

#endif
