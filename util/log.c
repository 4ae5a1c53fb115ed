/*
 * Log channels and the file they go to.  The mask and the file are the process's: trace switches
 * are the one mutable global below system/.
 */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "util/error.h"
#include "util/suggest.h"

const LogName log_channels[] = {
    { "int", LOG_INT, "interrupts and exceptions as they are delivered" },
    { "in_asm", LOG_IN_ASM, "guest code when it is first decoded" },
    { "op", LOG_OP, "for each instruction of a translated block whether code runs it or its handler" },
    { "out_asm", LOG_OUT_ASM, "the host code that a block is translated to" },
    { "exec", LOG_EXEC, "every block entered (large)" },
    { "cpu", LOG_CPU, "registers at every block entered (larger)" },
    { "cpu_reset", LOG_CPU_RESET, "processor state before a reset" },
    { "guest_errors", LOG_GUEST, "things the guest does that hardware would frown at" },
    { "unimp", LOG_UNIMP, "registers and functions that are not modelled" },
    { "mmu", LOG_MMU, "page faults and their walks" },
    { "io", LOG_IO, "every access to a device register (large)" },
    { "stats", LOG_STATS, "at the end: instructions executed, and in what time" },
    { NULL, 0, NULL },
};

enum { GUEST_LINES_PER_S = 50 };

_Atomic uint32_t log_mask;
static FILE *log_file;
static GMutex log_lock;

static void log_vprintf(const char *prefix, const char *fmt, va_list ap)
{
    g_mutex_lock(&log_lock);
    FILE *f = log_file ? log_file : stderr;
    fputs(prefix, f);
    vfprintf(f, fmt, ap);
    g_mutex_unlock(&log_lock);
}

void log_printf(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vprintf("", fmt, ap);
    va_end(ap);
}

/* A guest must not fill the disk with complaints about itself. */
static bool within_rate(void)
{
    static int64_t second;
    static unsigned lines;
    int64_t now = g_get_monotonic_time() / G_USEC_PER_SEC;
    bool ok;

    g_mutex_lock(&log_lock);
    if (now != second) {
        second = now;
        lines = 0;
    }
    ok = lines++ < GUEST_LINES_PER_S;
    g_mutex_unlock(&log_lock);
    return ok;
}

static void log_about(LogChannel ch, const char *who, const char *fmt, va_list ap)
{
    if (log_on(ch) && within_rate()) {
        g_autofree char *prefix = g_strdup_printf("%s: ", who);
        g_autofree char *line = g_strdup_printf("%s\n", fmt);
        log_vprintf(prefix, line, ap);
    }
}

void log_guest(const char *who, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_about(LOG_GUEST, who, fmt, ap);
    va_end(ap);
}

void log_unimp(const char *who, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_about(LOG_UNIMP, who, fmt, ap);
    va_end(ap);
}

bool log_parse(const char *text, uint32_t *mask, GError **errp)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);
    uint32_t m = 0;

    for (char **item = items; *item; item++) {
        const LogName *n = log_channels;
        while (n->name && strcmp(n->name, *item)) {
            n++;
        }
        if (n->name) {
            m |= n->channel;
        } else if (strcmp(*item, "none")) {
            const char *names[G_N_ELEMENTS(log_channels)];
            for (unsigned i = 0; i < G_N_ELEMENTS(log_channels); i++) {
                names[i] = log_channels[i].name;
            }
            g_autofree char *tail = suggest_tail(*item, names);
            error_set(errp, "no log channel '%s'%s", *item, tail);
            return false;
        }
    }
    *mask = m;
    return true;
}

void log_set(uint32_t mask)
{
    atomic_store(&log_mask, mask);
}

bool log_open(const char *path, GError **errp)
{
    FILE *f = fopen(path, "we");

    if (!f) {
        error_set_errno(errp, errno, "cannot write the log file %s", path);
        return false;
    }
    setvbuf(f, NULL, _IOLBF, 0);
    g_mutex_lock(&log_lock);
    if (log_file) {
        fclose(log_file);
    }
    log_file = f;
    g_mutex_unlock(&log_lock);
    return true;
}
