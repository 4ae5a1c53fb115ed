/*
 * system/config.h - what the command line says, first as given, then with every default filled in.
 *
 * config_new() -> options_parse() -> config_resolve() -> build (system/build.h) or config_show().
 * Start-up thread only.
 */
#ifndef SYSTEM_CONFIG_H
#define SYSTEM_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/icount.h"

typedef enum DriveInterface { DRIVE_IDE, DRIVE_FLOPPY, DRIVE_NONE } DriveInterface;

typedef struct DriveConfig {
    char *origin;                   /* "-hda disk.img": stands before its errors */
    char *id, *file, *format;       /* file NULL: an empty drive; format NULL: by probing */
    DriveInterface interface;
    int index;                      /* IDE 0..3, floppy 0..1; -1: the next free one */
    bool cdrom, readonly, snapshot, no_lock;
} DriveConfig;

typedef struct DeviceConfig {
    char *origin;
    char *driver, *id, *bus;        /* id, bus NULL: not given */
    char *props;                    /* "a=b,c=d", checked names; "" when there are none */
} DeviceConfig;

typedef struct ChardevConfig {
    char *origin;
    char *id, *spec;                /* the long form */
    bool used;                      /* something refers to it */
} ChardevConfig;

typedef struct Config {
    /* the machine */
    char *machine, *cpu;            /* NULL: the default */
    char *kernel_irqchip;           /* of -machine: for kvm in that chain; NULL: not given */
    GPtrArray *accels;              /* of char *: "name" or "name,key=value", a fallback chain */
    uint64_t ram;
    unsigned cpus;
    CpuTopology topology;           /* of the cpus; its product is their number */
    bool no_acpi, no_graphics;      /* no_graphics: firmware talks on the serial port */
    char *vga, *name;
    char *rtc_base;                 /* "utc", "localtime" or a date */
    char *bios;
    GPtrArray *firmware_dirs;       /* of char * */
    /* what it boots */
    char *image;                    /* given alone, without an option */
    char *kernel, *initrd, *append;
    char *boot_order, *boot_once;
    bool boot_menu;
    uint64_t splash_ms, fail_ms;    /* UINT64_MAX: not given */
    /* disks, devices, back ends */
    GPtrArray *drives;              /* of DriveConfig * */
    bool snapshot;
    GPtrArray *devices;             /* of DeviceConfig * */
    GPtrArray *globals;             /* of char *: "driver.property=value" */
    GPtrArray *chardevs;            /* of ChardevConfig * */
    GPtrArray *serial, *parallel;   /* of char *: id of a chardev, or "none" */
    GPtrArray *monitors;            /* of char *: id of a chardev, or "none" */
    GPtrArray *gdb;                 /* the same, one at most */
    /* how it runs */
    char *display;
    bool nographic, nodefaults;
    bool gdb_default;               /* -s */
    bool no_reboot, no_shutdown, paused, daemonize;
    char *log_items, *log_file, *pidfile;
    bool icount, icount_awake;      /* time is counted in instructions; idle guests do not sleep */
    unsigned icount_shift;
    uint64_t icount_seed;
    uint64_t history;               /* bytes for going back; 0: not at all */
    char *rr_record, *rr_replay;    /* NULL: not asked for */
    Replay *rr;                     /* rr_replay, read; the machine's from when it is built */
    bool show_config;
    bool resolved;
} Config;

Config *config_new(void);
void config_free(Config *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

DriveConfig *config_add_drive(Config *c, const char *origin);
/* A chardev in long form; an id used twice is an error. */
ChardevConfig *config_add_chardev(Config *c, const char *origin, const char *spec, GError **errp);

/* Fill in what was not said, look at the image, check what depends on several options. */
bool config_resolve(Config *c, GError **errp);
/* The resolved machine: one command line that gives it again, then lines for a reader. */
void config_show(const Config *c, GString *out);
int64_t config_rtc_seconds(const Config *c);            /* what the clock shows when it starts */

#endif
