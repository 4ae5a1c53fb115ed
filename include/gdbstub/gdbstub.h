/*
 * gdbstub/gdbstub.h - the GDB remote serial protocol: a debugger on a character device.
 *
 * One server has one debugger at a time; another may come when it has gone.  On the loop thread with
 * the machine lock held.  docs/gdb.md is the user's guide.
 */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include "accel/accel.h"
#include "chardev/chardev.h"
#include "monitor/monitor.h"

typedef struct GdbServer GdbServer;

typedef struct GdbHost {                /* what only the program around the machine can do */
    void (*pause)(void *opaque);
    bool (*resume)(void *opaque, GError **errp);
    Runner *runner;
    Monitors *monitors;                 /* gdb's `monitor`; NULL: there is none */
    void *opaque;
} GdbHost;

GdbServer *gdb_server_new(Machine *m, const GdbHost *host, CharBack *back, GError **errp);
void gdb_server_free(GdbServer *g);     /* NULL is fine; the character device stays open */
CharBack *gdb_server_line(const GdbServer *g);
bool gdb_server_busy(const GdbServer *g);       /* it is answering its debugger: not to be freed now */
/* -gdb DEV as the long form of a -chardev: sockets are servers, do not wait, and listen on this host
 * only, unless it says something else. */
char *gdb_chardev_spec(const char *dev, const char *id, GError **errp);

#endif
