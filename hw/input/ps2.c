/*
 * Queues of PS/2 devices: bounded, answers before events, the last byte kept for a resend.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 *
 * Not modelled: the overrun byte (a full queue drops whole key strokes instead).
 */
#include "ps2.h"

#include "util/error.h"

bool ps2_ready(const Ps2Port *p)
{
    return p->reply.count || p->events.count;
}

uint8_t ps2_take(Ps2Port *p)
{
    Ps2Queue *q = p->reply.count ? &p->reply : &p->events;

    if (q->count) {
        p->last = q->data[q->head % PS2_QUEUE];
        q->head = (q->head + 1) % PS2_QUEUE;
        q->count--;
    }
    return p->last;
}

void ps2_put(Ps2Queue *q, const uint8_t *bytes, unsigned n)
{
    if (q->count + n > PS2_QUEUE) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        q->data[(q->head + q->count + i) % PS2_QUEUE] = bytes[i];
    }
    q->count += (uint8_t)n;
}

void ps2_clear(Ps2Port *p)
{
    *p = (Ps2Port){ 0 };
}

static bool queue_after_load(void *obj, GError **errp)
{
    const Ps2Queue *q = obj;

    if (q->head >= PS2_QUEUE || q->count > PS2_QUEUE) {
        error_set(errp, "ps2: no such state: %u bytes from %u on in a queue of %u", q->count, q->head, PS2_QUEUE);
        return false;
    }
    return true;
}

static const StateField queue_fields[] = {
    STATE_BUF(Ps2Queue, data), STATE_U(Ps2Queue, head), STATE_U(Ps2Queue, count),
    STATE_DONE,
};
static const StateTable queue_state = {
    .name = "queue", .version = 1, .fields = queue_fields, .after_load = queue_after_load,
};

static const StateField port_fields[] = {
    STATE_SUB(Ps2Port, reply, &queue_state), STATE_SUB(Ps2Port, events, &queue_state),
    STATE_U(Ps2Port, last), STATE_U(Ps2Port, command),
    STATE_DONE,
};
const StateTable ps2_port_state = { .name = "port", .version = 1, .fields = port_fields };
