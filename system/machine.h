/*
 * system/machine.h - the built machine, for build.c and run.c.
 */
#ifndef SYSTEM_MACHINE_H
#define SYSTEM_MACHINE_H

#include "accel/accel.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "core/machine.h"
#include "gdbstub/gdbstub.h"
#include "monitor/monitor.h"
#include "system/system.h"
#include "ui/input.h"
#include "ui/ui.h"

struct System {
    const Config *cfg;
    Machine *m;
    Accel *accel;
    Runner *runner;
    Ui *ui;
    Input *input;
    Monitors *monitors;
    GdbServer *gdb;                 /* NULL: nobody waits for a debugger */
    GPtrArray *chardevs;            /* of CharBack * */
    GPtrArray *blocks;              /* of Block *, until a device owns them */
    bool powered_off;               /* with -no-shutdown: only a reset leads on */
    bool started_once;              /* -boot once= has been used up */
    GSource *grace;                 /* after SIGTERM: the guest has until then */
    bool rr_failed;                 /* a replay did not go as recorded, a recording is not whole */
    bool ended;
    int status;
};

/* monitor-host.c: what monitors ask of us */
void system_monitor_host(System *s, MonitorHost *host);
/* gdb.c */
bool system_gdb_open(System *s, CharBack *back, GError **errp);
/* MonitorHost.gdbserver */
bool system_gdbserver(void *opaque, const char *dev, GString *out, GError **errp);
/* replay.c: after the processors and back ends are made; at the end */
bool system_replay_start(System *s, GError **errp);
void system_replay_debugger(System *s);         /* with -gdb, a replay can go back */
void system_replay_finish(System *s);
/* build.c */
CharBack *system_find_chardev(System *s, const char *id);
/* run.c */
void system_pause(System *s);
bool system_resume(System *s, GError **errp);

/* signals.c: before the first terminal is changed; then, with a machine to ask. */
void signals_early(void);
void signals_to_loop(System *s);
void signals_off(void);

/* daemon.c */
bool daemon_start(GError **errp);       /* returns in the child; the parent waits and ends */
void daemon_ready(void);                /* the parent may report success; nothing if there is none */
bool pidfile_write(const char *path, GError **errp);
void pidfile_remove(void);

#endif
