/*
 * util/error.h - how a function says why it failed.
 *
 * A function that can fail takes `GError **errp` last and returns bool (false: failed) or a
 * pointer (NULL: failed).  It sets *errp exactly when it fails, and never prints.  The text is for
 * a person: what was wrong, with which value, and what to do.  Any thread.
 */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <glib.h>

#define TINAMOU_ERROR (tinamou_error_quark())
GQuark tinamou_error_quark(void);

void error_set(GError **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The same, with ": No such file or directory" behind it; the GError's code is os_errno. */
void error_set_errno(GError **errp, int os_errno, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

#endif
