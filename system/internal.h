/*
 * system/internal.h - what the files that read the command line share.
 */
#ifndef SYSTEM_INTERNAL_H
#define SYSTEM_INTERNAL_H

#include "system/options.h"

/* options-take.c: one an option, named in the table */
typedef bool OptionTake(Config *c, const OptionUse *use, GError **errp);
OptionTake take_accel, take_machine, take_memory, take_smp, take_boot, take_disk, take_floppy, take_cdrom,
    take_drive, take_device, take_global, take_serial, take_parallel, take_chardev, take_monitor, take_mon,
    take_debugcon, take_icount, take_rr,
    take_rtc, take_display, take_log, take_gdb, take_action, take_name, take_vga, take_cpu;

/* Is it a date, as -rtc base= takes it? */
bool config_is_date(const char *text);
/* replay.c: -icount and -rr: what they fix of the machine */
bool config_counted(Config *c, GError **errp);

/* options-help.c: what "-option help" lists */
void values_accel(GString *out);
void values_machine(GString *out);
void values_cpu(GString *out);
void values_device(GString *out);
void values_display(GString *out);
void values_log(GString *out);
/* "-device NAME,help"; false: no such device */
bool help_device(const char *name, GString *out);

/* replay-check.c: `tinamou replay-check FILE ...`: an exit status; -1: errp says why */
int replay_check(int argc, const char *const *argv, GError **errp);

extern const char *const vga_kinds[];

/* build.c: a file of -bios, or the name of one in the directories where firmware is */
char *find_bios(const Config *cfg, GError **errp);

/* image.c: what a file given alone is, by its contents and size */
typedef enum ImageKind { IMAGE_DISK, IMAGE_CDROM, IMAGE_FLOPPY } ImageKind;
bool image_kind(const char *path, ImageKind *kind, GError **errp);
/* The volume is this much larger than the file; 0: all there, or no ISO 9660 volume. */
uint64_t image_iso_missing(const char *path);

#endif
