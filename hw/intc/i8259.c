/*
 * Two cascaded 8259A interrupt controllers, as in a PC: ports 0x20/0x21 and 0xa0/0xa1, the second
 * on input 2 of the first, with the edge/level registers of the PCI chip sets at 0x4d0/0x4d1.
 *
 * Intel 8259A data sheet (231468-003); 82371SB (PIIX3) data sheet, sections 2.5.2 and 2.5.4 (ELCR).
 * An edge request whose line falls before it is acknowledged goes away again, and the acknowledge
 * then finds nothing: that is where IRQ 7 and IRQ 15 come from.
 *
 * Not modelled: MCS-80/85 vectors (uPM = 0: treated as 8086 mode), buffered mode, other cascades.
 */
#include "hw/intc.h"
#include "hw/isa.h"
#include "util/error.h"

enum {
    ICW1_SELECT = 1 << 4, ICW1_LTIM = 1 << 3, ICW1_SNGL = 1 << 1, ICW1_IC4 = 1 << 0,
    ICW4_SFNM = 1 << 4, ICW4_AEOI = 1 << 1,
    OCW3_SELECT = 1 << 3, OCW3_ESMM = 1 << 6, OCW3_SMM = 1 << 5, OCW3_POLL = 1 << 2,
    OCW3_RR = 1 << 1, OCW3_RIS = 1 << 0,
    POLL_INTERRUPT = 1 << 7,
    CASCADE = 2,                    /* the first controller's input that the second drives */
    SPURIOUS = 7,
};

typedef struct PicPair PicPair;

typedef struct Pic {
    PicPair *pair;
    uint8_t lines;                  /* levels at the inputs: not the chip's, and not reset with it */
    uint8_t irr, isr, imr, elcr;
    uint8_t vector_base;            /* ICW2, upper five bits */
    uint8_t lowest;                 /* input of lowest priority: 7, unless rotated */
    uint8_t init_step;              /* the ICW expected next at the odd port: 2, 3, 4; 0: none */
    bool single, want_icw4, level_mode;         /* from ICW1 */
    bool auto_eoi, fully_nested;                /* from ICW4 (fully_nested: the special kind) */
    bool rotate_on_aeoi, special_mask, poll, read_isr;
} Pic;

struct PicPair {
    Device dev;
    Pic pic[2];
    Region io[2], elcr_io[2];
    IrqWire intr;
    uint64_t irq_count[16];
};

static void pic_update(PicPair *s);

static bool is_slave(const Pic *p)
{
    return p == &p->pair->pic[1];
}

/* Inputs that are level-triggered: all by ICW1, or chosen ones by the chip set's register. */
static uint8_t level_inputs(const Pic *p)
{
    return p->level_mode ? 0xff : p->elcr;
}

/* Distance from the highest priority, 0..7; 8 when no bit of `set` is on. */
static unsigned best_rank(const Pic *p, uint8_t set)
{
    unsigned rank;

    for (rank = 0; rank < 8; rank++) {
        if (set & (1 << ((p->lowest + 1 + rank) & 7))) {
            break;
        }
    }
    return rank;
}

static unsigned input_at(const Pic *p, unsigned rank)
{
    return (p->lowest + 1 + rank) & 7;
}

/* The input that INT is raised for, or -1. */
static int pic_request(const Pic *p)
{
    unsigned request = best_rank(p, p->irr & (uint8_t)~p->imr);
    uint8_t in_service = p->isr;
    unsigned busy;

    if (request == 8) {
        return -1;
    }
    if (p->special_mask) {
        in_service &= (uint8_t)~p->imr;         /* a masked level in service blocks nobody */
    }
    if (p->fully_nested && !is_slave(p)) {
        in_service &= (uint8_t)~(1 << CASCADE); /* the slave may interrupt its own service */
    }
    busy = best_rank(p, in_service);
    return request < busy ? (int)input_at(p, request) : -1;
}

static void pic_line(Pic *p, unsigned n, bool level)
{
    uint8_t bit = (uint8_t)(1 << n);

    if (level) {
        if (!(p->lines & bit) || (level_inputs(p) & bit)) {
            p->irr |= bit;
        }
        p->lines |= bit;
    } else {
        p->lines &= (uint8_t)~bit;
        p->irr &= (uint8_t)~bit;
    }
}

/* The first INTA as one controller sees it: its input, in service now; -1: nothing was there. */
static int pic_accept(Pic *p)
{
    int n = pic_request(p);

    if (n < 0) {
        return -1;
    }
    if (!(level_inputs(p) & (1 << n))) {
        p->irr &= (uint8_t)~(1 << n);
    }
    if (!p->auto_eoi) {
        p->isr |= (uint8_t)(1 << n);
    } else if (p->rotate_on_aeoi) {
        p->lowest = (uint8_t)n;
    }
    if (is_slave(p)) {
        /* INT drops during the cycle, so that what is still pending makes a new edge. */
        pic_line(&p->pair->pic[0], CASCADE, false);
    }
    return n;
}

/* Carry the second controller's output to the first, and the first's to the processor. */
static void pic_update(PicPair *s)
{
    pic_line(&s->pic[0], CASCADE, pic_request(&s->pic[1]) >= 0);
    irq_set(&s->intr, pic_request(&s->pic[0]) >= 0);
}

bool pic_pending(Device *pic)
{
    return ((PicPair *)pic)->intr.level;
}

int pic_acknowledge(Device *pic)
{
    PicPair *s = (PicPair *)pic;
    int n = pic_accept(&s->pic[0]);
    int vector;

    if (n == CASCADE) {
        n = pic_accept(&s->pic[1]);
        vector = s->pic[1].vector_base | (n < 0 ? SPURIOUS : n);
        n = 8 + (n < 0 ? SPURIOUS : n);
    } else {
        n = n < 0 ? SPURIOUS : n;
        vector = s->pic[0].vector_base | n;
    }
    s->irq_count[n]++;
    pic_update(s);
    return vector;
}

void pic_set_input(void *pic, int irq, bool level)
{
    PicPair *s = pic;

    const Irqchip *kernel = s->dev.machine->irqchip;

    if (irq < 0 || irq > 15 || irq == CASCADE) {
        return;
    }
    if (kernel && kernel->all) {
        kernel->set_line(kernel->opaque, (unsigned)irq, level);
        return;
    }
    pic_line(&s->pic[irq >> 3], irq & 7, level);
    pic_update(s);
}

void pic_connect_intr(Device *pic, IrqSink *sink, void *opaque, int pin)
{
    irq_connect(&((PicPair *)pic)->intr, sink, opaque, pin);
}

/* ---- registers ---- */

static void pic_init(Pic *p, uint8_t icw1)
{
    p->level_mode = icw1 & ICW1_LTIM;
    p->single = icw1 & ICW1_SNGL;
    p->want_icw4 = icw1 & ICW1_IC4;
    p->isr = p->imr = 0;
    p->irr = p->lines & level_inputs(p);        /* edges must come anew */
    p->lowest = 7;
    p->special_mask = p->read_isr = p->poll = false;
    p->rotate_on_aeoi = false;
    p->auto_eoi = p->fully_nested = false;      /* ICW4, unless one follows */
    p->init_step = 2;
}

static void end_of_interrupt(Pic *p, unsigned n, bool rotate)
{
    p->isr &= (uint8_t)~(1 << n);
    if (rotate) {
        p->lowest = (uint8_t)n;
    }
}

static void pic_ocw2(Pic *p, uint8_t val)
{
    bool rotate = val & 0x80;
    uint8_t in_service = p->special_mask ? p->isr & (uint8_t)~p->imr : p->isr;
    unsigned rank = best_rank(p, in_service);

    switch ((val >> 5) & 3) {
    case 0:
        p->rotate_on_aeoi = rotate;
        break;
    case 1:                                     /* non-specific EOI */
        if (rank < 8) {
            end_of_interrupt(p, input_at(p, rank), rotate);
        }
        break;
    case 2:
        if (rotate) {                           /* set priority; without R: no operation */
            p->lowest = val & 7;
        }
        break;
    case 3:
        end_of_interrupt(p, val & 7, rotate);
        break;
    }
}

static void pic_ocw3(Pic *p, uint8_t val)
{
    if (val & OCW3_ESMM) {
        p->special_mask = val & OCW3_SMM;
    }
    if (val & OCW3_POLL) {
        p->poll = true;
    } else if (val & OCW3_RR) {
        p->read_isr = val & OCW3_RIS;
    }
}

static void pic_write_odd(Pic *p, uint8_t val)
{
    switch (p->init_step) {
    case 2:
        p->vector_base = val & 0xf8;
        p->init_step = !p->single ? 3 : p->want_icw4 ? 4 : 0;
        break;
    case 3:                                     /* the cascade is wired: ICW3 changes nothing */
        p->init_step = p->want_icw4 ? 4 : 0;
        break;
    case 4:
        p->auto_eoi = val & ICW4_AEOI;
        p->fully_nested = val & ICW4_SFNM;
        p->init_step = 0;
        break;
    default:
        p->imr = val;
        break;
    }
}

static void pic_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Pic *p = dev;

    if (off & 1) {
        pic_write_odd(p, (uint8_t)val);
    } else if (val & ICW1_SELECT) {
        pic_init(p, (uint8_t)val);
    } else if (val & OCW3_SELECT) {
        pic_ocw3(p, (uint8_t)val);
    } else {
        pic_ocw2(p, (uint8_t)val);
    }
    pic_update(p->pair);
}

static uint64_t pic_read(void *dev, hwaddr off, unsigned size)
{
    Pic *p = dev;

    if (p->poll) {                              /* the read is the acknowledge, at either port */
        int n = pic_accept(p);

        p->poll = false;
        pic_update(p->pair);
        return n < 0 ? 0 : POLL_INTERRUPT | (uint64_t)n;
    }
    if (off & 1) {
        return p->imr;
    }
    return p->read_isr ? p->isr : p->irr;
}

static const RegionOps pic_io = { .read = pic_read, .write = pic_write, .size_min = 1, .size_max = 1 };

static uint64_t elcr_read(void *dev, hwaddr off, unsigned size)
{
    const Pic *p = dev;

    return p->elcr;
}

static void elcr_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Pic *p = dev;

    /* IRQ 0, 1, 2, 8 and 13 are always edge-triggered. */
    p->elcr = val & (is_slave(p) ? 0xde : 0xf8);
    p->irr = (p->irr & (uint8_t)~p->elcr) | (p->lines & p->elcr);
    pic_update(p->pair);
}

static const RegionOps elcr_io = { .read = elcr_read, .write = elcr_write, .size_min = 1, .size_max = 1 };

/* ---- life cycle ---- */

static bool i8259_realize(Device *d, GError **errp)
{
    static const uint16_t port[2] = { 0x20, 0xa0 };
    static const char *const name[2] = { "pic0", "pic1" };
    PicPair *s = (PicPair *)d;

    for (unsigned i = 0; i < 2; i++) {
        s->pic[i].pair = s;
        region_init_io(&s->io[i], name[i], 2, &pic_io, &s->pic[i]);
        isa_map_io(d, &s->io[i], port[i]);
        region_init_io(&s->elcr_io[i], "elcr", 1, &elcr_io, &s->pic[i]);
        isa_map_io(d, &s->elcr_io[i], (uint16_t)(0x4d0 + i));
    }
    return true;
}

static void i8259_unrealize(Device *d)
{
    PicPair *s = (PicPair *)d;

    for (unsigned i = 0; i < 2; i++) {
        region_fini(&s->io[i]);
        region_fini(&s->elcr_io[i]);
    }
}

static void i8259_reset(Device *d)
{
    PicPair *s = (PicPair *)d;

    for (unsigned i = 0; i < 2; i++) {
        Pic *p = &s->pic[i];

        p->elcr = 0;
        pic_init(p, 0);
        p->vector_base = 0;
        p->init_step = 0;
    }
}

static void i8259_settle(Device *d)
{
    pic_update((PicPair *)d);
}

static void i8259_info(Device *d, GString *out)
{
    const PicPair *s = (const PicPair *)d;

    const Irqchip *kernel = d->machine->irqchip;
    if (kernel && kernel->all) {
        kernel->describe(kernel->opaque, IRQCHIP_PIC, out);
        return;
    }

    for (unsigned i = 0; i < 2; i++) {
        const Pic *p = &s->pic[i];

        g_string_append_printf(out, "pic%u: irr=%02x imr=%02x isr=%02x base=%02x lowest=%u elcr=%02x lines=%02x",
                               i, p->irr, p->imr, p->isr, p->vector_base, p->lowest, p->elcr, p->lines);
        g_string_append_printf(out, "%s%s%s\n", p->auto_eoi ? " aeoi" : "", p->special_mask ? " smm" : "",
                               p->fully_nested ? " sfnm" : "");
    }
    for (unsigned i = 0; i < 16; i++) {
        if (s->irq_count[i]) {
            g_string_append_printf(out, "irq %2u: %" G_GUINT64_FORMAT "\n", i, s->irq_count[i]);
        }
    }
}

static bool pic_after_load(void *obj, GError **errp)
{
    const Pic *p = obj;

    if (p->lowest > 7 || p->init_step == 1 || p->init_step > 4 || (p->vector_base & 7)) {
        error_set(errp, "i8259: no such state: lowest priority %u, initialisation step %u, vector base 0x%x",
                  p->lowest, p->init_step, p->vector_base);
        return false;
    }
    return true;
}

static const StateField pic_fields[] = {
    STATE_NOT(Pic, pair, "back pointer"),
    STATE_U(Pic, lines), STATE_U(Pic, irr), STATE_U(Pic, isr), STATE_U(Pic, imr), STATE_U(Pic, elcr),
    STATE_U(Pic, vector_base), STATE_U(Pic, lowest), STATE_U(Pic, init_step),
    STATE_U(Pic, single), STATE_U(Pic, want_icw4), STATE_U(Pic, level_mode),
    STATE_U(Pic, auto_eoi), STATE_U(Pic, fully_nested),
    STATE_U(Pic, rotate_on_aeoi), STATE_U(Pic, special_mask), STATE_U(Pic, poll), STATE_U(Pic, read_isr),
    STATE_DONE,
};
static const StateTable pic_state = {
    .name = "pic", .version = 1, .fields = pic_fields, .after_load = pic_after_load,
};

static const StateField i8259_fields[] = {
    STATE_NOT(PicPair, dev, "device core"),
    STATE_SUBS(PicPair, pic, &pic_state),
    STATE_NOT(PicPair, io, "mapping, made by realize"),
    STATE_NOT(PicPair, elcr_io, "mapping, made by realize"),
    STATE_NOT(PicPair, intr, "wire, driven by settle"),
    STATE_NOT(PicPair, irq_count, "statistics"),
    STATE_DONE,
};
static const StateTable i8259_state = { .name = "i8259", .version = 1, .fields = i8259_fields };

const DeviceClass i8259_class = {
    .name = "i8259",
    .summary = "pair of 8259A interrupt controllers",
    .bus = "isa",
    .size = sizeof(PicPair),
    .board_only = true,
    .state = &i8259_state,
    .realize = i8259_realize,
    .unrealize = i8259_unrealize,
    .reset = i8259_reset,
    .settle = i8259_settle,
    .info = i8259_info,
};
