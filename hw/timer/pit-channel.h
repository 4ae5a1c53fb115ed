/*
 * One counter of an 8254, as a function of time: everything is asked and told with the tick it is
 * asked at, and nothing happens in between.
 */
#ifndef TIMER_PIT_CHANNEL_H
#define TIMER_PIT_CHANNEL_H

#include "core/state.h"

static const int64_t PIT_MAX_TICK = 1ll << 50;  /* of a loaded state: thirty years */

typedef struct PitChannel {
    uint8_t control;            /* control word: bits 5:4 RW, 3:1 mode, 0 BCD */
    uint16_t count;             /* count register, as written */
    bool loaded;                /* a whole count was written since the control word */
    bool running;               /* the counting element counts */
    bool gate;
    uint32_t n;                 /* what the counting element started from: 1..65536 */
    int64_t base;               /* tick it started at, while running */
    int64_t elapsed;            /* ticks it had counted, while stopped */
    bool reload;                /* modes 2 and 3: `count` takes over at tick reload_at */
    int64_t reload_at;
    bool write_high, read_high; /* RW 3: which byte is next */
    uint8_t low;                /* ... its first byte */
    uint16_t latched;
    uint8_t latched_bytes;      /* of `latched` still to be read */
    uint8_t status;
    bool status_latched;
} PitChannel;

extern const StateTable pit_channel_state;

void pit_channel_reset(PitChannel *c, bool gate);
void pit_channel_control(PitChannel *c, uint8_t control, int64_t now);
void pit_channel_write(PitChannel *c, uint8_t val, int64_t now);
uint8_t pit_channel_read(PitChannel *c, int64_t now);
void pit_channel_latch_count(PitChannel *c, int64_t now);
void pit_channel_latch_status(PitChannel *c, int64_t now);
void pit_channel_set_gate(PitChannel *c, bool gate, int64_t now);
bool pit_channel_out(PitChannel *c, int64_t now);
uint16_t pit_channel_value(PitChannel *c, int64_t now);     /* as a read would show it */
/* The next tick after `now` at which OUT may change; -1: none.  A mode 2 pulse, low for one tick, is
 * told by its end. */
int64_t pit_channel_next_edge(PitChannel *c, int64_t now);
static inline unsigned pit_channel_mode(const PitChannel *c)
{
    unsigned mode = c->control >> 1 & 7;

    return mode > 5 ? mode - 4 : mode;  /* 6 and 7 are 2 and 3: the top bit does not count there */
}

#endif
