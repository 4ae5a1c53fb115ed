/*
 * core/past.h - what has a state to go back to, and is no device: disks under an overlay, keys that the monitor types.
 *
 * They register with the loop; accel/history.c asks them all.  With the machine lock held.
 */
#ifndef CORE_PAST_H
#define CORE_PAST_H

#include <stdbool.h>

typedef struct Past {
    bool (*busy)(void *opaque);                 /* something is under way that a mark would not have; NULL: never */
    char *(*stuck)(void *opaque);               /* why it cannot be taken back; NULL: it can; NULL member: always */
    void *(*mark)(void *opaque);                /* the state of now, for g_free(); NULL member: nothing to keep */
    void (*back)(void *opaque, const void *mark);
    void *opaque;
    struct Past *next;
} Past;

#endif
