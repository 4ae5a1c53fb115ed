/*
 * Errors as GError: one domain, text for a person.
 */
#include "util/error.h"

#include <stdarg.h>

GQuark tinamou_error_quark(void)
{
    return g_quark_from_static_string("tinamou-error");
}

static void set_text(GError **errp, int code, char *text)
{
    g_set_error_literal(errp, TINAMOU_ERROR, code, text);
    g_free(text);
}

void error_set(GError **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_text(errp, 0, g_strdup_vprintf(fmt, ap));
    va_end(ap);
}

void error_set_errno(GError **errp, int os_errno, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    set_text(errp, os_errno, g_strdup_printf("%s: %s", text, g_strerror(os_errno)));
}
