/*
 * ui/input.h - keys and pointers, from windows and the monitor to the guest's devices.
 *
 * One Input per machine.  Keys are named once, in ui/keys.def: name ("ret", "f1", "kp_add"), Linux
 * evdev code, PS/2 set 1 and set 2 scan codes.  With the machine lock held.
 */
#ifndef UI_INPUT_H
#define UI_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Input Input;

typedef struct InputKey {
    const char *name;
    uint16_t evdev;             /* linux/input-event-codes.h */
    uint16_t set1, set2;        /* 0xe0xx: extended; 0xe11d: Pause, a sequence of its own */
    const char *ascii;          /* characters it types: unshifted, shifted ("a" "A"), US layout */
} InputKey;
extern const InputKey input_keys[];     /* ends with a NULL name */
const InputKey *input_key_find(const char *name);
const InputKey *input_key_by_evdev(uint16_t code);
const InputKey *input_key_by_set1(uint16_t code);
const InputKey *input_key_by_char(char ch, bool *shift);        /* NULL: no key types it */
const char *const *input_key_names(void);           /* for suggestions; ends with NULL */

enum { INPUT_LEFT = 1 << 0, INPUT_RIGHT = 1 << 1, INPUT_MIDDLE = 1 << 2 };

typedef struct InputSink {      /* a keyboard or a pointing device; unused members NULL */
    void (*key)(void *dev, const InputKey *key, bool down);
    void (*move)(void *dev, int dx, int dy, int dz);    /* right, down, wheel towards the user */
    void (*buttons)(void *dev, unsigned mask);
    void *dev;
    struct InputSink *next;
} InputSink;

typedef struct InputEvent {
    enum { INPUT_EVENT_KEY, INPUT_EVENT_MOVE, INPUT_EVENT_BUTTONS } kind;
    const InputKey *key;
    bool down;
    int move[3];                /* dx, dy, dz */
    unsigned mask;
} InputEvent;

Input *input_new(void);
void input_free(Input *in);
void input_add(Input *in, InputSink *s);            /* the latest added of a kind gets the events */
void input_remove(Input *in, InputSink *s);
/* Asked before anything reaches a device; false: it is dropped. */
void input_set_gate(Input *in, bool (*gate)(void *opaque, const InputEvent *e), void *opaque);
void input_key(Input *in, const InputKey *key, bool down);
void input_move(Input *in, int dx, int dy, int dz);
void input_buttons(Input *in, unsigned mask);
/* Press and release what types this ASCII character; false: no key does. */
bool input_type_char(Input *in, char ch);
/* Lamps of the keyboard, reported by the device: bit 0 scroll, 1 num, 2 caps. */
void input_set_leds(Input *in, unsigned leds);
unsigned input_leds(const Input *in);
/* "ctrl-alt-f1" pressed together, as the monitor's sendkey; released hold_ms later by the caller. */
bool input_parse_combo(const char *text, const InputKey **keys, unsigned *count, unsigned max, GError **errp);

#endif
