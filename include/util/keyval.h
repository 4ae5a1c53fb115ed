/*
 * util/keyval.h - "socket,path=/tmp/x,server=on": the form that most option values have, checked
 * against a table.
 *
 * A comma inside a value is doubled.  A yes/no key may stand alone ("server", and "nowait" for
 * wait=off).  Unknown keys, keys given twice and bad values are errors that name the nearest key or
 * the range.  The same tables give the help texts.  Any thread.
 */
#ifndef UTIL_KEYVAL_H
#define UTIL_KEYVAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum KeyKind { KEY_STR, KEY_BOOL, KEY_UINT, KEY_SIZE, KEY_ENUM } KeyKind;

typedef struct KeySpec {
    const char *name;           /* NULL at the end of a table */
    KeyKind kind;
    const char *help;
    uint64_t min, max;          /* KEY_UINT and KEY_SIZE; both 0: anything */
    const char *const *values;  /* KEY_ENUM, ends with NULL */
    char unit;                  /* KEY_SIZE: what a bare number means, as size_parse(); 0: bytes */
} KeySpec;

typedef struct KeyVal {
    char *key, *value;
    uint64_t number;            /* KEY_UINT, KEY_SIZE, KEY_BOOL (0, 1), KEY_ENUM (index) */
} KeyVal;

typedef struct KeyVals {        /* in the order given */
    KeyVal *item;
    unsigned count;
} KeyVals;

/* `first`: the key that a first item without '=' is a value of; NULL: none.  specs NULL: any key is
 * taken, unchecked. */
KeyVals *keyvals_parse(const char *text, const char *first, const KeySpec *specs, GError **errp);
void keyvals_free(KeyVals *k);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyVals, keyvals_free)

const char *keyvals_str(const KeyVals *k, const char *key);         /* NULL: not given */
uint64_t keyvals_num(const KeyVals *k, const char *key, uint64_t def);
bool keyvals_bool(const KeyVals *k, const char *key, bool def);
/* "a=b,c=d" of all items but those named in `skip` (ends with NULL; may be NULL). */
char *keyvals_print(const KeyVals *k, const char *const *skip);
/* A value with its commas doubled, to stand in such a text. */
char *keyval_escape(const char *value);
/* "on|off", "1..255", "ide|floppy|none": what a key takes, for help. */
char *keyspec_form(const KeySpec *s);
void keyspec_help(const KeySpec *specs, GString *out);              /* a line a key */

#endif
