/*
 * core/state.h - which fields of a struct are the guest's, and survive save and load.
 *
 * One table per struct.  Every member is either in the table or named by a STATE_NOT line with the
 * reason; scripts/check-state.py fails on any member that is neither.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum StateKind {
    STATE_END, STATE_UINT, STATE_BOOL, STATE_BYTES, STATE_STRUCT, STATE_TIMER, STATE_SKIP
} StateKind;

typedef struct StateField {
    const char *name;
    StateKind kind;
    uint32_t offset, size, count;   /* size of one element */
    uint16_t since;                 /* first table version that had it */
    const struct StateTable *sub;
    const char *why_not;            /* STATE_SKIP only */
} StateField;

typedef struct StateTable {
    const char *name;
    uint16_t version;               /* raise it when a field is added; never remove a field */
    const StateField *fields;
    void (*before_save)(void *obj);
    bool (*after_load)(void *obj, GError **errp);    /* refuse what the hardware cannot be in */
} StateTable;

#define STATE_F_(T, f, k) .name = #f, .kind = (k), .offset = offsetof(T, f), .size = sizeof(((T *)0)->f)
#define STATE_E_(T, f, k) .name = #f, .kind = (k), .offset = offsetof(T, f), \
    .size = sizeof(((T *)0)->f[0]), .count = sizeof(((T *)0)->f) / sizeof(((T *)0)->f[0])
/* A bool is told from an integer: anything but 0 and 1 in it is not C. */
#define STATE_KIND_(x) _Generic((x), bool: STATE_BOOL, default: STATE_UINT)
#define STATE_U(T, f) { STATE_F_(T, f, STATE_KIND_(((T *)0)->f)), .count = 1 }  /* integer, enum, bool */
#define STATE_ARRAY(T, f) { STATE_E_(T, f, STATE_KIND_(((T *)0)->f[0])) }       /* of them */
#define STATE_BUF(T, f) { STATE_F_(T, f, STATE_BYTES), .count = 1 }         /* bytes as they lie */
#define STATE_TIM(T, f) { STATE_F_(T, f, STATE_TIMER), .count = 1 }
#define STATE_SUB(T, f, table) { STATE_F_(T, f, STATE_STRUCT), .count = 1, .sub = (table) }
#define STATE_SUBS(T, f, table) { STATE_E_(T, f, STATE_STRUCT), .sub = (table) }
#define STATE_NOT(T, f, why) { STATE_F_(T, f, STATE_SKIP), .count = 1, .why_not = (why) }
#define STATE_DONE { .kind = STATE_END }

/* Append an object's state; read it back.  The form is self-describing and untrusted. */
void state_save(const StateTable *t, void *obj, GByteArray *out);
bool state_load(const StateTable *t, void *obj, const uint8_t *data, size_t len, GError **errp);
/* One line a field, for `info` and for comparing two objects in tests. */
void state_print(const StateTable *t, const void *obj, GString *out);

#endif
