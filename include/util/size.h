/*
 * util/size.h - numbers and sizes as a person writes them: 512, 0x200, 6G, 1.5M.  Any thread.
 */
#ifndef UTIL_SIZE_H
#define UTIL_SIZE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Bytes; `unit` is what a bare number means ('M' for -m, 'B' for most).  Overflow is an error. */
bool size_parse(const char *text, char unit, uint64_t *bytes, GError **errp);
/* A whole number in C notation, at most `max`. */
bool number_parse(const char *text, uint64_t max, uint64_t *value, GError **errp);
/* on, off, yes, no, true, false */
bool bool_parse(const char *text, bool *value, GError **errp);

#endif
