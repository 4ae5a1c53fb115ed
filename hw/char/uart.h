/*
 * The 16550A itself, without the bus it sits on: eight registers, an interrupt wire, a back end.
 */
#ifndef CHAR_UART_H
#define CHAR_UART_H

#include "chardev/chardev.h"
#include "core/clock.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/state.h"

enum { UART_FIFO = 16 };

typedef struct UartFifo {
    uint8_t data[UART_FIFO], flags[UART_FIFO];  /* flags: line status bits that came with the byte */
    uint8_t head, count;
} UartFifo;

typedef struct Uart {
    CharBack *chr;                      /* NULL: nobody at the other end */
    Clock *clock;
    bool pace;                          /* option: a byte takes its time on the wire */
    IrqWire irq;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    UartFifo rx, tx;
    bool thr_interrupt;                 /* the transmitter became empty, and nobody was told */
    bool timeout;                       /* bytes below the trigger level have waited long enough */
    bool waiting;                       /* for the back end to take more */
    Timer timeout_timer, tx_timer;
} Uart;

extern const StateTable uart_state;
extern const RegionOps uart_ops;        /* for a region of eight ports; its dev is the Uart */

bool uart_realize(Uart *s, Clock *clock, GError **errp);
void uart_unrealize(Uart *s);
void uart_reset(Uart *s);
void uart_settle(Uart *s);
void uart_info(const Uart *s, const char *id, GString *out);

#endif
