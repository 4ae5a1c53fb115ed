/*
 * block/block.h - a disk, asked in byte ranges.
 *
 * Drivers are plain blocking functions (read, write, flush) that run on worker threads; done() is
 * called by the loop, with the machine lock held, never before block_submit() has returned.  Each
 * request completes exactly once, also when the disk is closed under it (-ECANCELED).
 * All functions here are called with the machine lock held, except the driver's own.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "core/machine.h"

typedef struct Block Block;
typedef enum BlockOp { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD } BlockOp;

typedef struct BlockReq {           /* owned by the caller until done() */
    BlockOp op;
    uint64_t offset, len;           /* bytes; beyond the end is -EINVAL */
    void *buf;                      /* len bytes; NULL for flush and discard */
    void (*done)(struct BlockReq *r, int err);      /* 0 or -errno */
    void *opaque;
    struct BlockReq *next;          /* this and the rest belong to block/block.c */
    int err;
} BlockReq;

typedef struct BlockOptions {
    const char *id;                 /* "ide0-hd0", "drive0"; NULL: none */
    const char *path;
    const char *format;             /* NULL: by probing, and then "raw" images stay raw */
    bool readonly;                  /* writes fail with -EROFS; other readers may share the file */
    bool snapshot;                  /* writes go to a temporary file, gone at close */
    bool cdrom;                     /* implies readonly */
    bool no_lock;                   /* do not lock the file (file.locking=off) */
} BlockOptions;

typedef struct BlockDriver {        /* raw, snapshot overlay ... and the test's failing disk */
    const char *name, *summary;
    int (*probe)(const uint8_t *head, size_t len);  /* 0: not mine ... 100: certainly mine */
    /* NULL: made by block_new(), not by name */
    void *(*open)(const BlockOptions *o, uint64_t *size, GError **errp);
    void (*close)(void *disk);
    /* Any worker thread, several at once; 0 or -errno, never short. */
    int (*read)(void *disk, uint64_t offset, void *buf, size_t len);
    int (*write)(void *disk, uint64_t offset, const void *buf, size_t len);
    int (*flush)(void *disk);
    int (*discard)(void *disk, uint64_t offset, uint64_t len);     /* NULL: nothing to do */
    /* The contents of now, to go back to; to be freed.  NULL: that cannot be. */
    void *(*mark)(void *disk);
    void (*back)(void *disk, const void *mark);
} BlockDriver;

extern const BlockDriver *const block_drivers[];    /* NULL at its end */
/* By format name; NULL and an error that knows the formats that are yet to come. */
const BlockDriver *block_find_driver(const char *format, GError **errp);

Block *block_open(Loop *loop, const BlockOptions *o, GError **errp);
/* For tests: a disk of a driver's own making.  On failure the disk is still the caller's. */
Block *block_new(Loop *loop, const BlockDriver *drv, void *disk, uint64_t size, bool readonly, GError **errp);
/* Completes what is in flight, cancels what has not begun (-ECANCELED); NULL is fine. */
void block_close(Block *b);
/* A disk has one user, who then owns and closes it: a device, in realize.  An error names the earlier one. */
bool block_claim(Block *b, const char *user, GError **errp);
const char *block_user(const Block *b);         /* NULL: nobody yet, whoever opened it must close it */
const char *block_id(const Block *b);
const char *block_path(const Block *b);
const char *block_format(const Block *b);
uint64_t block_size(const Block *b);
bool block_readonly(const Block *b);
bool block_can_discard(const Block *b);
void block_submit(Block *b, BlockReq *r);
void block_drain(Block *b);         /* wait until nothing is in flight; done()s are called */
/* Blocking, for loaders and start-up only; never on behalf of a running guest. */
int block_read_sync(Block *b, uint64_t offset, void *buf, size_t len);
void block_info(const Block *b, GString *out);      /* one line for `info block` */

/* A drive with a medium that can be changed: the device registers itself, monitor and UI ask. */
typedef struct BlockDrive {
    const char *id;                 /* the monitor's name: "ide1-cd0", "floppy0" */
    bool removable;
    bool cdrom;                     /* takes CD-ROM images, which are opened read-only */
    Block *medium;                  /* NULL: empty */
    /* New medium (or NULL: eject); the device signals the change to its guest and then owns it.
     * force: even when the guest has locked the door. */
    bool (*change)(struct BlockDrive *d, Block *medium, bool force, GError **errp);
    bool (*locked)(struct BlockDrive *d);
    void *device;
    struct BlockDrive *next;
} BlockDrive;

void block_drive_add(Machine *m, BlockDrive *d);
void block_drive_remove(Machine *m, BlockDrive *d);
BlockDrive *block_drive_find(Machine *m, const char *id);       /* NULL: none of that name */
BlockDrive *block_drive_first(Machine *m);                      /* then ->next */

#endif
