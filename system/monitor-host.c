/*
 * system/monitor-host.c - what monitors ask of the program around the machine.
 */
#include "machine.h"
#include "system/options.h"

static bool host_running(void *opaque)
{
    System *s = opaque;

    return runner_running(s->runner);
}

static void host_pause(void *opaque)
{
    system_pause(opaque);
}

static bool host_resume(void *opaque, GError **errp)
{
    return system_resume(opaque, errp);
}

static Accel *host_accel(void *opaque)
{
    System *s = opaque;

    return s->accel;
}

static const char *host_name(void *opaque)
{
    System *s = opaque;

    return s->cfg->name;
}

static const char *host_version(void *opaque)
{
    return tinamou_version;
}

static CharBack *host_chardev(void *opaque, unsigned i)
{
    System *s = opaque;

    return i < s->chardevs->len ? g_ptr_array_index(s->chardevs, i) : NULL;
}

void system_monitor_host(System *s, MonitorHost *host)
{
    *host = (MonitorHost){
        .running = host_running, .pause = host_pause, .resume = host_resume, .accel = host_accel,
        .name = host_name, .version = host_version, .chardev = host_chardev, .gdbserver = system_gdbserver, .opaque = s,
    };
}
