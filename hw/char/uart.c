/*
 * 16550A asynchronous receiver and transmitter.
 *
 * National Semiconductor PC16550D data sheet.  The interrupt is gated by OUT2, as on every PC card.
 * A byte written leaves at once (the guest never waits for a baud rate, unless the option "pace" says
 * so), and stays in the transmitter while the back end is full, so that nothing is lost.  Bytes come
 * in as fast as the guest takes them; only the receive time-out follows the divisor.
 *
 * Not modelled: framing (all eight bits go through whatever the word length, no parity errors),
 * sending a break, DMA mode pins, modem lines of the other end (CTS, DSR and DCD are always on).
 */
#include "uart.h"

#include "util/error.h"

enum {                                  /* registers; at DLAB = 1 the first two are the divisor */
    REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR,
};
enum {
    IER_RDA = 0x01, IER_THRE = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08,
    IIR_MODEM = 0x00, IIR_NONE = 0x01, IIR_THRE = 0x02, IIR_RDA = 0x04, IIR_LINE = 0x06, IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,
    FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_DMA = 0x08, FCR_TRIGGER = 0xc0,
    LCR_DLAB = 0x80,
    MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10, MCR_WRITABLE = 0x1f,
    LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80, LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,
    MSR_DELTA = 0x0f, MSR_TERI = 0x04, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80,
    XTAL_HZ = 1843200, CLOCKS_PER_BIT = 16, TIMEOUT_CHARS = 4,
};

/* ---- FIFOs ---- */

static bool fifos_on(const Uart *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned capacity(const Uart *s)
{
    return fifos_on(s) ? UART_FIFO : 1;
}

static void fifo_push(UartFifo *f, uint8_t byte, uint8_t flags)
{
    unsigned at = (f->head + f->count) % UART_FIFO;

    f->data[at] = byte;
    f->flags[at] = flags;
    f->count++;
}

static uint8_t fifo_pop(UartFifo *f)
{
    uint8_t byte = f->data[f->head];

    f->head = (f->head + 1) % UART_FIFO;
    f->count--;
    return byte;
}

/* ---- interrupts ---- */

static unsigned trigger_level(const Uart *s)
{
    static const uint8_t level[4] = { 1, 4, 8, 14 };

    return fifos_on(s) ? level[s->fcr >> 6] : 1;
}

/* What IIR shows: the pending source of highest priority (data sheet, table III). */
static uint8_t pending(const Uart *s)
{
    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS)) {
        return IIR_LINE;
    }
    if ((s->ier & IER_RDA) && s->rx.count >= trigger_level(s)) {
        return IIR_RDA;
    }
    if ((s->ier & IER_RDA) && s->timeout) {
        return IIR_TIMEOUT;
    }
    if ((s->ier & IER_THRE) && s->thr_interrupt) {
        return IIR_THRE;
    }
    if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTA)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void uart_update_irq(Uart *s)
{
    irq_set(&s->irq, pending(s) != IIR_NONE && (s->mcr & MCR_OUT2));
}

/* Time one character takes on the wire. */
static int64_t char_ns(const Uart *s)
{
    static const uint8_t data_bits[4] = { 5, 6, 7, 8 };
    unsigned bits = 1u + data_bits[s->lcr & 3] + (s->lcr >> 3 & 1) + 1 + (s->lcr >> 2 & 1);
    unsigned divisor = s->divisor ? s->divisor : 1;

    return (int64_t)muldiv64((uint64_t)bits * divisor * CLOCKS_PER_BIT, NS_PER_S, XTAL_HZ);
}

/* ---- receiver ---- */

/* The time-out counts from the last byte that came or went while some are left. */
static void restart_timeout(Uart *s)
{
    s->timeout = false;
    if (fifos_on(s) && s->rx.count) {
        timer_arm(&s->timeout_timer, clock_now(s->clock) + TIMEOUT_CHARS * char_ns(s));
    } else {
        timer_cancel(&s->timeout_timer);
    }
}

static void timeout_due(void *opaque)
{
    Uart *s = opaque;

    s->timeout = s->rx.count > 0;
    uart_update_irq(s);
}

/* Errors show in LSR when their byte comes to the top. */
static void show_top(Uart *s)
{
    bool any = false;

    s->lsr &= (uint8_t)~(LSR_DR | LSR_FIFO_ERROR);
    if (s->rx.count) {
        s->lsr |= LSR_DR | s->rx.flags[s->rx.head];
        s->rx.flags[s->rx.head] = 0;
    }
    for (unsigned i = 0; i < s->rx.count; i++) {
        any |= s->rx.flags[(s->rx.head + i) % UART_FIFO] != 0;
    }
    if (fifos_on(s) && (any || (s->lsr & (LSR_PE | LSR_FE | LSR_BI)))) {
        s->lsr |= LSR_FIFO_ERROR;
    }
}

static void receive_byte(Uart *s, uint8_t byte, uint8_t flags)
{
    if (s->rx.count < capacity(s)) {
        fifo_push(&s->rx, byte, flags);
    } else {
        s->lsr |= LSR_OE;
        if (!fifos_on(s)) {
            s->rx.data[s->rx.head] = byte;      /* the new byte takes the old one's place */
        }
    }
    show_top(s);
    restart_timeout(s);
}

static size_t uart_room(void *dev)
{
    const Uart *s = dev;

    return s->mcr & MCR_LOOP ? 0 : capacity(s) - MIN(s->rx.count, capacity(s));
}

static void uart_receive(void *dev, const uint8_t *buf, size_t len)
{
    Uart *s = dev;

    for (size_t i = 0; i < len; i++) {
        receive_byte(s, buf[i], 0);
    }
    uart_update_irq(s);
}

static void uart_event(void *dev, CharEvent event)
{
    Uart *s = dev;

    if (event == CHAR_BREAK && !(s->mcr & MCR_LOOP)) {
        receive_byte(s, 0, LSR_BI | LSR_FE);
        uart_update_irq(s);
    }
}

static const CharFront uart_front = { uart_room, uart_receive, uart_event, .machine = true };

static uint8_t read_data(Uart *s)
{
    uint8_t byte = 0;

    if (s->rx.count) {
        byte = fifo_pop(&s->rx);
    }
    show_top(s);
    restart_timeout(s);
    uart_update_irq(s);
    if (s->chr) {
        chardev_room_changed(s->chr);
    }
    return byte;
}

/* ---- transmitter ---- */

static void uart_transmit(Uart *s);

static void back_end_writable(void *opaque)
{
    Uart *s = opaque;

    s->waiting = false;
    uart_transmit(s);
    uart_update_irq(s);
}

/* The oldest byte goes out; false: it has to wait. */
static bool send_byte(Uart *s)
{
    uint8_t byte = s->tx.data[s->tx.head];

    if (s->mcr & MCR_LOOP) {
        fifo_pop(&s->tx);
        receive_byte(s, byte, 0);
        return true;
    }
    if (s->chr && chardev_write(s->chr, &byte, 1) == 0) {
        s->waiting = true;
        chardev_on_writable(s->chr, back_end_writable, s);
        return false;
    }
    fifo_pop(&s->tx);
    return true;
}

/* A byte may go now: a full back end does not hold up what loops back. */
static bool can_send(const Uart *s)
{
    return s->tx.count && (!s->waiting || (s->mcr & MCR_LOOP));
}

static void show_transmitter(Uart *s)
{
    if (s->tx.count) {
        s->lsr &= (uint8_t)~(LSR_THRE | LSR_TEMT);
    } else if (!(s->lsr & LSR_THRE)) {
        s->lsr |= LSR_THRE | LSR_TEMT;
        s->thr_interrupt = true;
    }
}

static void tx_due(void *opaque)
{
    Uart *s = opaque;

    if (can_send(s) && send_byte(s) && s->tx.count) {
        timer_arm(&s->tx_timer, clock_now(s->clock) + char_ns(s));
    }
    show_transmitter(s);
    uart_update_irq(s);
}

static void uart_transmit(Uart *s)
{
    if (s->pace) {
        if (can_send(s) && !timer_armed(&s->tx_timer)) {
            timer_arm(&s->tx_timer, clock_now(s->clock) + char_ns(s));
        }
    } else {
        while (can_send(s) && send_byte(s)) {
        }
    }
    show_transmitter(s);
}

static void write_data(Uart *s, uint8_t byte)
{
    if (s->tx.count == capacity(s)) {
        s->tx.count--;                          /* the guest did not wait for THRE: the last byte is lost */
    }
    fifo_push(&s->tx, byte, 0);
    s->thr_interrupt = false;
    s->lsr &= (uint8_t)~(LSR_THRE | LSR_TEMT);
    uart_update_irq(s);
    uart_transmit(s);
}

/* ---- modem lines ---- */

/* The state of the four inputs: the other end's, or our own outputs in loopback. */
static void update_modem(Uart *s)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD, changed;

    if (s->mcr & MCR_LOOP) {
        lines = (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    changed = (s->msr ^ lines) & (MSR_CTS | MSR_DSR | MSR_DCD);
    if ((s->msr & MSR_RI) && !(lines & MSR_RI)) {
        s->msr |= MSR_TERI;                     /* only the trailing edge of RI counts */
    }
    s->msr = lines | (s->msr & MSR_DELTA) | changed >> 4;
}

/* ---- registers ---- */

static void write_fcr(Uart *s, uint8_t val)
{
    bool switched = (val ^ s->fcr) & FCR_ENABLE;

    if (switched || (val & FCR_CLEAR_RX)) {
        s->rx.count = 0;
        s->rx.head = 0;
        show_top(s);
    }
    if (switched || (val & FCR_CLEAR_TX)) {
        s->tx.count = 0;
        s->tx.head = 0;
        timer_cancel(&s->tx_timer);
        show_transmitter(s);
    }
    /* The other bits count only in a write that has the FIFOs on. */
    s->fcr = val & FCR_ENABLE ? val & (FCR_ENABLE | FCR_DMA | FCR_TRIGGER) : 0;
    restart_timeout(s);
    if (s->chr) {
        chardev_room_changed(s->chr);
    }
}

static void write_mcr(Uart *s, uint8_t val)
{
    bool left_loop = (s->mcr & MCR_LOOP) && !(val & MCR_LOOP);

    s->mcr = val & MCR_WRITABLE;
    update_modem(s);
    uart_transmit(s);
    if (left_loop && s->chr) {
        chardev_room_changed(s->chr);
    }
}

static void write_ier(Uart *s, uint8_t val)
{
    bool newly = (val & IER_THRE) && !(s->ier & IER_THRE);

    s->ier = val & 0x0f;
    if (newly && (s->lsr & LSR_THRE)) {
        s->thr_interrupt = true;                /* enabling it tells at once that there is room */
    }
}

static void uart_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Uart *s = dev;
    uint8_t byte = (uint8_t)val;
    bool dlab = s->lcr & LCR_DLAB;

    switch (off & 7) {
    case REG_DATA:
        if (dlab) {
            s->divisor = (uint16_t)((s->divisor & 0xff00) | byte);
        } else {
            write_data(s, byte);
        }
        break;
    case REG_IER:
        if (dlab) {
            s->divisor = (uint16_t)((s->divisor & 0xff) | byte << 8);
        } else {
            write_ier(s, byte);
        }
        break;
    case REG_IIR_FCR:
        write_fcr(s, byte);
        break;
    case REG_LCR:
        s->lcr = byte;
        break;
    case REG_MCR:
        write_mcr(s, byte);
        break;
    case REG_SCR:
        s->scr = byte;
        break;
    default:                                    /* LSR and MSR: factory test only */
        break;
    }
    uart_update_irq(s);
}

static uint8_t read_iir(Uart *s)
{
    uint8_t iir = pending(s);

    if (iir == IIR_THRE) {
        s->thr_interrupt = false;               /* reading it is the acknowledge */
        uart_update_irq(s);
    }
    return iir | (fifos_on(s) ? IIR_FIFOS : 0);
}

static uint64_t uart_read(void *dev, hwaddr off, unsigned size)
{
    Uart *s = dev;
    uint8_t v;

    switch (off & 7) {
    case REG_DATA:
        return s->lcr & LCR_DLAB ? s->divisor & 0xff : read_data(s);
    case REG_IER:
        return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
    case REG_IIR_FCR:
        return read_iir(s);
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        v = s->lsr;
        s->lsr &= (uint8_t)~LSR_ERRORS;
        show_top(s);
        uart_update_irq(s);
        return v;
    case REG_MSR:
        v = s->msr;
        s->msr &= (uint8_t)~MSR_DELTA;
        uart_update_irq(s);
        return v;
    default:
        return s->scr;
    }
}

const RegionOps uart_ops = { .read = uart_read, .write = uart_write, .size_min = 1, .size_max = 1 };

/* ---- life cycle ---- */

bool uart_realize(Uart *s, Clock *clock, GError **errp)
{
    if (s->chr && !chardev_attach(s->chr, &uart_front, s, errp)) {
        s->chr = NULL;
        return false;
    }
    s->clock = clock;
    timer_init(&s->timeout_timer, clock, timeout_due, s);
    timer_init(&s->tx_timer, clock, tx_due, s);
    s->divisor = 12;                            /* 9600 baud; reset does not touch it */
    return true;
}

void uart_unrealize(Uart *s)
{
    if (!s->clock) {
        return;
    }
    timer_cancel(&s->timeout_timer);
    timer_cancel(&s->tx_timer);
    irq_set(&s->irq, false);
    if (s->chr) {
        chardev_detach(s->chr, s);
    }
}

/* Data sheet, table I; the modem inputs show their state, no changes. */
void uart_reset(Uart *s)
{
    s->ier = s->fcr = s->lcr = s->mcr = 0;
    s->lsr = LSR_THRE | LSR_TEMT;
    s->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    s->rx = s->tx = (UartFifo){ 0 };
    s->thr_interrupt = s->timeout = false;
    timer_cancel(&s->timeout_timer);
    timer_cancel(&s->tx_timer);
}

void uart_settle(Uart *s)
{
    uart_transmit(s);
    uart_update_irq(s);
    if (s->chr) {
        chardev_room_changed(s->chr);
    }
}

void uart_info(const Uart *s, const char *id, GString *out)
{
    g_string_append_printf(out, "%s: ier=%02x fcr=%02x lcr=%02x mcr=%02x lsr=%02x msr=%02x divisor=%u\n", id, s->ier,
                           s->fcr, s->lcr, s->mcr, s->lsr, s->msr, s->divisor);
    g_string_append_printf(out, "  receive fifo %u, transmit fifo %u%s, chardev %s\n", s->rx.count, s->tx.count,
                           s->waiting ? " (back end full)" : "", s->chr ? chardev_id(s->chr) : "none");
}

static bool fifo_after_load(void *obj, GError **errp)
{
    const UartFifo *f = obj;

    if (f->head >= UART_FIFO || f->count > UART_FIFO) {
        error_set(errp, "uart: no such state: %u bytes from %u on in a FIFO of %u", f->count, f->head, UART_FIFO);
        return false;
    }
    return true;
}

static bool uart_after_load(void *obj, GError **errp)
{
    Uart *s = obj;

    if (s->rx.count > capacity(s) || s->tx.count > capacity(s)) {
        error_set(errp, "uart: no such state: %u and %u bytes without FIFOs", s->rx.count, s->tx.count);
        return false;
    }
    return true;
}

static const StateField fifo_fields[] = {
    STATE_BUF(UartFifo, data), STATE_BUF(UartFifo, flags), STATE_U(UartFifo, head), STATE_U(UartFifo, count),
    STATE_DONE,
};
static const StateTable fifo_state = {
    .name = "fifo", .version = 1, .fields = fifo_fields, .after_load = fifo_after_load,
};

static const StateField uart_fields[] = {
    STATE_NOT(Uart, chr, "back end"),
    STATE_NOT(Uart, clock, "set by realize"),
    STATE_NOT(Uart, pace, "option"),
    STATE_NOT(Uart, irq, "wire, driven by settle"),
    STATE_U(Uart, ier), STATE_U(Uart, fcr), STATE_U(Uart, lcr), STATE_U(Uart, mcr), STATE_U(Uart, lsr),
    STATE_U(Uart, msr), STATE_U(Uart, scr), STATE_U(Uart, divisor),
    STATE_SUB(Uart, rx, &fifo_state), STATE_SUB(Uart, tx, &fifo_state),
    STATE_U(Uart, thr_interrupt), STATE_U(Uart, timeout),
    STATE_NOT(Uart, waiting, "of the back end; settle tries again"),
    STATE_TIM(Uart, timeout_timer), STATE_TIM(Uart, tx_timer),
    STATE_DONE,
};
const StateTable uart_state = { .name = "uart", .version = 1, .fields = uart_fields, .after_load = uart_after_load };
