/*
 * The two devices on an 8042's cables: a keyboard and a mouse.  The controller hands them bytes and
 * takes bytes from them; they call `changed` when one is ready to be taken.
 */
#ifndef INPUT_PS2_H
#define INPUT_PS2_H

#include "core/clock.h"
#include "core/state.h"
#include "ui/input.h"

enum { PS2_QUEUE = 128 };                       /* a power of two */

typedef struct Ps2Queue {
    uint8_t data[PS2_QUEUE];
    uint8_t head, count;
} Ps2Queue;

/* What both have: answers to commands go before what the user did. */
typedef struct Ps2Port {
    Ps2Queue reply, events;
    uint8_t last;                               /* sent last: for the resend command */
    uint8_t command;                            /* waits for its argument; 0: none */
} Ps2Port;

typedef struct Ps2Keyboard {
    Ps2Port port;
    void (*changed)(void *opaque);
    void *opaque;
    Clock *clock;
    Input *input;                               /* NULL: no one types */
    InputSink sink;
    bool scanning;
    uint8_t scan_set;                           /* 1, 2, 3 */
    uint8_t leds, rate;                         /* rate: as the F3 command has it */
    uint8_t pressed[96];                        /* bit for each set 2 code; E0 from 256 on, E1 from 512 on */
    uint8_t set3_type[256];                     /* SET3_* for each set 3 code */
    uint16_t repeat;                            /* set 2 code of the key that repeats; 0: none */
    Timer repeat_timer;
} Ps2Keyboard;

typedef struct Ps2Mouse {
    Ps2Port port;
    void (*changed)(void *opaque);
    void *opaque;
    Clock *clock;
    Input *input;
    InputSink sink;
    bool reporting, remote, wrap, double_scale;
    uint8_t id, resolution, rate;               /* id: 0, 3 with a wheel, 4 with five buttons */
    uint8_t knock[2];                           /* the last two sample rates set */
    uint8_t buttons, told_buttons;
    int32_t dx, dy, dz;                         /* moved since the last packet */
    Timer sample_timer;
} Ps2Mouse;

extern const StateTable ps2_keyboard_state, ps2_mouse_state, ps2_port_state;

bool ps2_ready(const Ps2Port *p);
uint8_t ps2_take(Ps2Port *p);                   /* when ready */
void ps2_put(Ps2Queue *q, const uint8_t *bytes, unsigned n);    /* all of them or, when full, none */
void ps2_clear(Ps2Port *p);

void ps2_keyboard_init(Ps2Keyboard *k, Clock *clock, Input *input, void (*changed)(void *opaque), void *opaque);
void ps2_keyboard_fini(Ps2Keyboard *k);
void ps2_keyboard_reset(Ps2Keyboard *k);
void ps2_keyboard_settle(Ps2Keyboard *k);
void ps2_keyboard_write(Ps2Keyboard *k, uint8_t byte);

void ps2_mouse_init(Ps2Mouse *s, Clock *clock, Input *input, void (*changed)(void *opaque), void *opaque);
void ps2_mouse_fini(Ps2Mouse *s);
void ps2_mouse_reset(Ps2Mouse *s);
void ps2_mouse_write(Ps2Mouse *s, uint8_t byte);
void ps2_mouse_taken(Ps2Mouse *s);              /* the queue has room again */

#endif
