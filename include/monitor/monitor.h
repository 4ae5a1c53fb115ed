/*
 * monitor/monitor.h - the human monitor: commands typed on a character device.
 *
 * Any number of monitors serve one machine.  What only the program around the machine can do it does
 * through MonitorHost.  On the loop thread with the machine lock held.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <glib.h>
#include <stdbool.h>
#include "accel/accel.h"
#include "chardev/chardev.h"
#include "core/machine.h"

typedef struct Monitors Monitors;

typedef struct MonitorHost {
    bool (*running)(void *opaque);
    void (*pause)(void *opaque);                    /* returns when no vCPU runs */
    bool (*resume)(void *opaque, GError **errp);
    Accel *(*accel)(void *opaque);
    const char *(*name)(void *opaque);              /* of the machine; NULL: none given */
    const char *(*version)(void *opaque);
    CharBack *(*chardev)(void *opaque, unsigned i); /* the i-th; NULL after the last */
    /* The debugger's line: as -gdb, "none" or NULL to ask; says what there is now. */
    bool (*gdbserver)(void *opaque, const char *dev, GString *out, GError **errp);
    void *opaque;
} MonitorHost;

Monitors *monitors_new(Machine *m, const MonitorHost *host);
void monitors_free(Monitors *ms);                   /* NULL is fine */
bool monitors_add(Monitors *ms, CharBack *back, GError **errp);
/* One command line, as if typed; what it says, and its error as "error: ...", go to `out`. */
void monitors_run(Monitors *ms, const char *line, GString *out);
void monitors_run_on(Monitors *ms, unsigned cpu, const char *line, GString *out);   /* about this processor */

#endif
