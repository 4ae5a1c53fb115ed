/*
 * system/system.h - a machine made from a resolved Config, and its life until the program ends.
 *
 * The thread that calls these becomes the loop thread.
 */
#ifndef SYSTEM_SYSTEM_H
#define SYSTEM_SYSTEM_H

#include <glib.h>
#include "system/config.h"

typedef struct System System;

/* On failure the process is expected to end: what was opened stays open. */
System *system_build(const Config *cfg, GError **errp);
int system_run(System *s);              /* until power-off, reset with -no-reboot, quit; the exit status */
void system_free(System *s);

#endif
