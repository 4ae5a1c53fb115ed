/*
 * chardev/mux.c - several fronts on one back: Ctrl-A and a letter switch, quit, send a break.
 *
 * Input is always read, so that Ctrl-A x works with a guest that hangs; what the front with the
 * focus does not take waits in a bounded buffer, and is dropped (and counted) beyond it.
 */
#include "internal.h"

#include <string.h>

enum { ESCAPE = 0x01 };     /* Ctrl-A */

static void say(CharBack *c, const char *text)
{
    chardev_write(c, (const uint8_t *)text, strlen(text));
}

static void mux_help(CharBack *c)
{
    say(c, "\r\n"
           "Ctrl-A h   this help\r\n"
           "Ctrl-A x   quit the emulator\r\n"
           "Ctrl-A c   switch between the console and the monitor\r\n"
           "Ctrl-A b   send a break\r\n"
           "Ctrl-A Ctrl-A   send Ctrl-A\r\n");
}

size_t mux_room(CharBack *c)
{
    return 4096;
}

void mux_deliver(CharBack *c)
{
    for (unsigned i = 0; i < c->n_slots; i++) {
        CharSlot *s = &c->slot[i];
        while (s->input->len) {
            uint8_t chunk[256];
            size_t n = MIN(s->front->room(s->dev), sizeof(chunk));

            n = MIN(n, s->input->len);
            if (!n) {
                break;
            }
            memcpy(chunk, s->input->data, n);
            g_byte_array_remove_range(s->input, 0, n);
            char_give(c, i, chunk, n);
        }
    }
}

void mux_focus(CharBack *c, unsigned slot)
{
    c->focus = slot;
    if (c->slot[slot].front->event) {
        c->slot[slot].front->event(c->slot[slot].dev, CHAR_FOCUS);
    }
}

static void typed(CharBack *c, uint8_t byte)
{
    GByteArray *input;

    if (!c->n_slots) {
        return;
    }
    input = c->slot[c->focus].input;
    if (input->len < MUX_INPUT_MAX) {
        g_byte_array_append(input, &byte, 1);
    } else {
        c->dropped++;
    }
}

static void escaped(CharBack *c, uint8_t byte)
{
    switch (byte) {
    case 'h':
    case '?':
        mux_help(c);
        break;
    case 'x':
        if (c->quit) {
            c->quit(c->quit_opaque);
        }
        break;
    case 'c':
        if (c->n_slots) {
            mux_focus(c, (c->focus + 1) % c->n_slots);
        }
        break;
    case 'b':
        if (c->n_slots) {
            char_break(c, c->focus);
        }
        break;
    case ESCAPE:
        typed(c, ESCAPE);
        break;
    default:            /* not an escape of ours: nothing of it is lost */
        typed(c, ESCAPE);
        typed(c, byte);
        break;
    }
}

void mux_received(CharBack *c, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (c->escape) {
            c->escape = false;
            mux_deliver(c);
            escaped(c, buf[i]);
        } else if (buf[i] == ESCAPE) {
            c->escape = true;
        } else {
            typed(c, buf[i]);
        }
    }
    mux_deliver(c);
}
