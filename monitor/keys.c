/*
 * monitor/keys.c - sendkey, mouse_move, mouse_button.
 *
 * Keys are typed one after the other in guest time, so that a script that sends many at once types
 * as a person would: each combination is held, let go, and followed by a pause.
 */
#include "monitor/command.h"
#include "util/error.h"

#include <inttypes.h>
#include <string.h>

enum { COMBO_KEYS = 16, QUEUE_MAX = 1024, HOLD_MS = 100, PAUSE_MS = 20, HOLD_MAX_MS = 60000 };

typedef struct Combo {
    const InputKey *keys[COMBO_KEYS];
    unsigned count;
    int64_t hold_ns;
} Combo;

struct KeyQueue {
    Machine *m;
    Timer timer;
    Past past;
    GQueue combos;              /* of Combo *; the first one is being typed */
    bool down;
};

static Input *input_of(Machine *m)
{
    return machine_service(m, "input");
}

static void start(KeyQueue *q)
{
    const Combo *c = g_queue_peek_head(&q->combos);

    for (unsigned i = 0; i < c->count; i++) {
        input_key(input_of(q->m), c->keys[i], true);
    }
    q->down = true;
    timer_arm(&q->timer, clock_now(q->m->clock) + c->hold_ns);
}

static void let_go(KeyQueue *q)
{
    Combo *c = g_queue_pop_head(&q->combos);

    for (unsigned i = c->count; i > 0; i--) {
        input_key(input_of(q->m), c->keys[i - 1], false);
    }
    g_free(c);
    q->down = false;
    timer_arm(&q->timer, clock_now(q->m->clock) + PAUSE_MS * NS_PER_MS);
}

static void due(void *opaque)
{
    KeyQueue *q = opaque;

    if (q->down) {
        let_go(q);
    } else if (!g_queue_is_empty(&q->combos)) {
        start(q);
    }
}

static bool is_typing(void *opaque)
{
    const KeyQueue *q = opaque;

    return timer_armed(&q->timer);
}

KeyQueue *key_queue_new(Machine *m)
{
    KeyQueue *q = g_new0(KeyQueue, 1);

    q->m = m;
    g_queue_init(&q->combos);
    timer_init(&q->timer, m->clock, due, q);
    q->past = (Past){ .busy = is_typing, .opaque = q };
    loop_add_past(m->loop, &q->past);
    return q;
}

void key_queue_free(KeyQueue *q)
{
    timer_cancel(&q->timer);
    loop_remove_past(q->m->loop, &q->past);
    g_queue_clear_full(&q->combos, g_free);
    g_free(q);
}

void key_names(Session *s, GPtrArray *names)
{
    for (const char *const *n = input_key_names(); *n; n++) {
        g_ptr_array_add(names, (char *)*n);
    }
}

static bool has_input(Session *s, GError **errp)
{
    if (!input_of(s->all->m)) {
        error_set(errp, "this machine has no keyboard or mouse");
    }
    return input_of(s->all->m);
}

bool cmd_sendkey(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    KeyQueue *q = s->all->keys;
    int64_t hold = a[1].given ? a[1].number : HOLD_MS;
    g_autofree Combo *c = g_new0(Combo, 1);

    if (!has_input(s, errp) || !input_parse_combo(a[0].text, c->keys, &c->count, COMBO_KEYS, errp)) {
        return false;
    }
    if (hold < 1 || hold > HOLD_MAX_MS) {
        error_set(errp, "keys are held for 1 to %d ms, not %" PRId64, HOLD_MAX_MS, hold);
        return false;
    }
    if (q->combos.length >= QUEUE_MAX) {
        error_set(errp, "%d keys wait to be typed already", QUEUE_MAX);
        return false;
    }
    c->hold_ns = hold * NS_PER_MS;
    g_queue_push_tail(&q->combos, g_steal_pointer(&c));
    if (!timer_armed(&q->timer)) {
        start(q);
    }
    return true;
}

static int clamp(int64_t v)
{
    return CLAMP(v, -32768, 32767);
}

bool cmd_mouse_move(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    if (!has_input(s, errp)) {
        return false;
    }
    input_move(input_of(s->all->m), clamp(a[0].number), clamp(a[1].number), a[2].given ? clamp(a[2].number) : 0);
    return true;
}

bool cmd_mouse_button(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    if (!has_input(s, errp)) {
        return false;
    }
    if (a[0].number < 0 || a[0].number > 7) {
        error_set(errp, "the buttons are 1 left, 2 right, 4 middle, added up");
        return false;
    }
    input_buttons(input_of(s->all->m), a[0].number);
    return true;
}
