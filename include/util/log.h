/*
 * util/log.h - what -d and the monitor's `log` switch on, and what is said of a guest's mistakes.
 *
 * Any thread.  Lines go to the -D file, or to stderr.  log_channels[] is the one table of channels:
 * parser, help and documentation come from it.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum LogChannel {
    LOG_INT = 1 << 0,           /* interrupts and exceptions as they are delivered */
    LOG_IN_ASM = 1 << 1,        /* guest code when first decoded */
    LOG_EXEC = 1 << 2,          /* every block entered */
    LOG_CPU = 1 << 3,           /* registers with it */
    LOG_CPU_RESET = 1 << 4,     /* state before a reset */
    LOG_GUEST = 1 << 5,         /* things a guest does that hardware would frown at */
    LOG_UNIMP = 1 << 6,         /* registers and functions not modelled */
    LOG_MMU = 1 << 7,           /* page faults and their walks */
    LOG_IO = 1 << 8,            /* every access to a device register */
    LOG_STATS = 1 << 9,         /* at the end: instructions executed and how fast */
    LOG_OUT_ASM = 1 << 10,       /* host code when it is made */
    LOG_OP = 1 << 11,            /* who runs each instruction of it */
} LogChannel;

typedef struct LogName {
    const char *name;
    LogChannel channel;
    const char *help;
} LogName;
extern const LogName log_channels[];            /* ends with a NULL name */

extern _Atomic uint32_t log_mask;               /* read through log_on() */

static inline bool log_on(LogChannel ch)
{
    return G_UNLIKELY(atomic_load_explicit(&log_mask, memory_order_relaxed) & ch);
}

void log_printf(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* A guest's odd doing: counted, and printed (rate-limited) when LOG_GUEST is on. */
void log_guest(const char *who, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void log_unimp(const char *who, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* "int,guest" or "none"; an unknown name is an error that names the nearest. */
bool log_parse(const char *text, uint32_t *mask, GError **errp);
void log_set(uint32_t mask);
bool log_open(const char *path, GError **errp);

#endif
