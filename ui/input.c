/*
 * Keys and pointers on their way from windows and the monitor to the guest's devices.
 *
 * The last sink added that has a member for an event gets the event, so a USB mouse plugged in
 * takes over from the PS/2 one, and gives it back when it goes.
 */
#include "ui/input.h"
#include "util/error.h"
#include "util/suggest.h"

#include <stdlib.h>
#include <string.h>

struct Input {
    InputSink *sinks;           /* newest first */
    unsigned leds;
    bool (*gate)(void *opaque, const InputEvent *e);
    void *gate_opaque;
};

const InputKey input_keys[] = {
#define KEY(name, evdev, set1, set2, ascii) { name, evdev, set1, set2, ascii },
#include "keys.def"
#undef KEY
    { NULL },
};

static const char *const key_names[] = {
#define KEY(name, evdev, set1, set2, ascii) name,
#include "keys.def"
#undef KEY
    NULL,
};

const char *const *input_key_names(void)
{
    return key_names;
}

const InputKey *input_key_find(const char *name)
{
    for (const InputKey *k = input_keys; k->name; k++) {
        if (!strcmp(k->name, name)) {
            return k;
        }
    }
    return NULL;
}

const InputKey *input_key_by_evdev(uint16_t code)
{
    for (const InputKey *k = input_keys; k->name && code; k++) {
        if (k->evdev == code) {
            return k;
        }
    }
    return NULL;
}

const InputKey *input_key_by_set1(uint16_t code)
{
    for (const InputKey *k = input_keys; k->name; k++) {
        if (k->set1 == code) {
            return k;
        }
    }
    return NULL;
}

const InputKey *input_key_by_char(char ch, bool *shift)
{
    if (ch == '\r') {
        ch = '\n';
    }
    for (const InputKey *k = input_keys; k->name && ch; k++) {
        const char *at = strchr(k->ascii, ch);
        if (at) {
            *shift = at != k->ascii;
            return k;
        }
    }
    return NULL;
}

/* ---- routing ---- */

Input *input_new(void)
{
    return g_new0(Input, 1);
}

void input_free(Input *in)
{
    g_free(in);
}

void input_add(Input *in, InputSink *s)
{
    s->next = in->sinks;
    in->sinks = s;
}

void input_remove(Input *in, InputSink *s)
{
    for (InputSink **p = &in->sinks; *p; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            s->next = NULL;
            return;
        }
    }
}

void input_set_gate(Input *in, bool (*gate)(void *opaque, const InputEvent *e), void *opaque)
{
    in->gate = gate;
    in->gate_opaque = opaque;
}

static bool passes(const Input *in, InputEvent e)
{
    return !in->gate || in->gate(in->gate_opaque, &e);
}

void input_key(Input *in, const InputKey *key, bool down)
{
    if (!passes(in, (InputEvent){ .kind = INPUT_EVENT_KEY, .key = key, .down = down })) {
        return;
    }
    for (InputSink *s = in->sinks; s; s = s->next) {
        if (s->key) {
            s->key(s->dev, key, down);
            return;
        }
    }
}

void input_move(Input *in, int dx, int dy, int dz)
{
    if (!passes(in, (InputEvent){ .kind = INPUT_EVENT_MOVE, .move = { dx, dy, dz } })) {
        return;
    }
    for (InputSink *s = in->sinks; s; s = s->next) {
        if (s->move) {
            s->move(s->dev, dx, dy, dz);
            return;
        }
    }
}

void input_buttons(Input *in, unsigned mask)
{
    if (!passes(in, (InputEvent){ .kind = INPUT_EVENT_BUTTONS, .mask = mask })) {
        return;
    }
    for (InputSink *s = in->sinks; s; s = s->next) {
        if (s->buttons) {
            s->buttons(s->dev, mask & (INPUT_LEFT | INPUT_RIGHT | INPUT_MIDDLE));
            return;
        }
    }
}

void input_set_leds(Input *in, unsigned leds)
{
    in->leds = leds & 7;
}

unsigned input_leds(const Input *in)
{
    return in->leds;
}

bool input_type_char(Input *in, char ch)
{
    const InputKey *shift_key = input_key_find("shift");
    bool shift;
    const InputKey *key = input_key_by_char(ch, &shift);

    if (!key) {
        return false;
    }
    if (shift) {
        input_key(in, shift_key, true);
    }
    input_key(in, key, true);
    input_key(in, key, false);
    if (shift) {
        input_key(in, shift_key, false);
    }
    return true;
}

/* ---- combinations as a person writes them ---- */

/* "0x1c", "0xe048": a key by its set 1 code. */
static const InputKey *parse_raw(const char *name, GError **errp)
{
    char *end;
    unsigned long code = strtoul(name, &end, 16);
    const InputKey *key = NULL;

    /* The E0 prefix is also written as bit 7 of a one-byte code: 0xc8 is 0xe048. */
    if (code > 0x7f && code <= 0xff) {
        code = 0xe000 | (code & 0x7f);
    }
    if (*end == '\0' && code && code <= 0xffff) {
        key = input_key_by_set1(code);
    }
    if (!key) {
        error_set(errp, "no key has the scan code '%s' (set 1, 0x01 to 0x7f, or 0xe0 and the second byte)", name);
    }
    return key;
}

static const InputKey *parse_key(const char *name, GError **errp)
{
    const InputKey *key = input_key_find(name);
    bool shift;

    if (key) {
        return key;
    }
    if (g_str_has_prefix(name, "0x")) {
        return parse_raw(name, errp);
    }
    if (strlen(name) == 1 && (key = input_key_by_char(g_ascii_tolower(*name), &shift)) && !shift) {
        return key;
    }
    g_autofree char *tail = suggest_tail(name, key_names);
    error_set(errp, "unknown key '%s'%s", name, tail);
    return NULL;
}

bool input_parse_combo(const char *text, const InputKey **keys, unsigned *count, unsigned max, GError **errp)
{
    g_auto(GStrv) names = g_strsplit(text, "-", -1);

    *count = 0;
    if (!*text) {
        error_set(errp, "no key is named: write one, or several joined by '-' as in ctrl-alt-delete");
        return false;
    }
    for (unsigned i = 0; names[i]; i++) {
        if (!*names[i]) {
            error_set(errp, "'%s' names no key beside a '-': write minus for that key", text);
            return false;
        }
        if (*count == max) {
            error_set(errp, "'%s' is more than %u keys at once", text, max);
            return false;
        }
        if (!(keys[*count] = parse_key(names[i], errp))) {
            return false;
        }
        ++*count;
    }
    return true;
}
