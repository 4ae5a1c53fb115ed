/*
 * util/suggest.h - the nearest valid name to a mistyped one, for error messages.  Any thread.
 */
#ifndef UTIL_SUGGEST_H
#define UTIL_SUGGEST_H

#include <stddef.h>

/* The name of `names` (ends with NULL) closest to `wrong`, or NULL when none is close. */
const char *suggest_nearest(const char *wrong, const char *const *names);
/* "" or "; did you mean 'x'?": freshly allocated, to stand at the end of a message. */
char *suggest_tail(const char *wrong, const char *const *names);

#endif
