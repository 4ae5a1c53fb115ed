/*
 * Two cascaded 8237A DMA controllers and the page registers, as in a PC/AT: channels 0 to 3 move
 * bytes (ports 0x00..0x0f), 5 to 7 words (0xc0..0xdf), 4 joins them; pages at 0x80..0x8f.
 *
 * Intel 8237A data sheet (231466-005); 82371SB (PIIX3) data sheet, section 2.5.1.
 * A device moves a run of bytes in one call; single, demand and block mode differ only in when the
 * bus is free, so they are one here.  Reset leaves channel 4 in cascade mode and unmasked, as PC
 * firmware would: software that programs a channel itself seldom knows of it.
 *
 * Not modelled: memory-to-memory transfers (not wired in a PC), rotating priority and compressed
 * timing (invisible), transfers by software request (the bit is kept and read back).
 */
#include <string.h>

#include "core/machine.h"
#include "hw/isa.h"
#include "util/error.h"
#include "util/log.h"

enum {
    REG_COMMAND = 0x8, REG_REQUEST = 0x9, REG_MASK_BIT = 0xa, REG_MODE = 0xb, REG_CLEAR_FLIPFLOP = 0xc,
    REG_MASTER_CLEAR = 0xd, REG_CLEAR_MASK = 0xe, REG_MASK_ALL = 0xf,
    COMMAND_DISABLE = 1 << 2,
    MODE_TYPE = 3 << 2, MODE_VERIFY = 0 << 2, MODE_WRITE = 1 << 2, MODE_READ = 2 << 2,
    MODE_AUTOINIT = 1 << 4, MODE_DECREMENT = 1 << 5, MODE_CASCADE = 3 << 6,
    PAGE_PORT = 0x80, PAGE_COUNT = 16,
};

typedef struct DmaChannel {
    uint16_t base_address, base_count, address, count;
    uint8_t mode;
    bool reached;               /* terminal count, since last programmed or moved */
} DmaChannel;

typedef struct DmaController {
    DmaChannel channel[4];
    uint8_t command, mask, request, tc;
    bool high_byte;             /* the flip-flop of address and count registers */
} DmaController;

typedef struct Dma {
    Device dev;
    DmaController half[2];
    uint8_t page[PAGE_COUNT];
    Region io[2], page_io;
} Dma;

/* ---- transfers ---- */

/* A channel's page register, by offset from port 0x80. */
static const uint8_t page_of[8] = { 0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa };

static bool channel_open(const Dma *s, unsigned n)
{
    const DmaController *c = &s->half[n >> 2];
    const DmaController *second = &s->half[1];

    if ((c->command & COMMAND_DISABLE) || (c->mask >> (n & 3) & 1) ||
        (c->channel[n & 3].mode & MODE_CASCADE) == MODE_CASCADE) {
        return false;
    }
    /* Channels 0 to 3 reach the bus through channel 4. */
    return n >= 4 || (!(second->command & COMMAND_DISABLE) && !(second->mask & 1) &&
                      (second->channel[0].mode & MODE_CASCADE) == MODE_CASCADE);
}

static hwaddr channel_address(const Dma *s, unsigned n)
{
    uint8_t page = s->page[page_of[n]];
    uint16_t address = s->half[n >> 2].channel[n & 3].address;

    return n < 4 ? (hwaddr)page << 16 | address : (hwaddr)(page & 0xfe) << 16 | (hwaddr)address << 1;
}

static void reach_terminal_count(DmaController *c, unsigned i)
{
    DmaChannel *ch = &c->channel[i];

    c->tc |= (uint8_t)(1 << i);
    c->request &= (uint8_t)~(1 << i);
    ch->reached = true;
    if (ch->mode & MODE_AUTOINIT) {
        ch->address = ch->base_address;
        ch->count = ch->base_count;
    } else {
        c->mask |= (uint8_t)(1 << i);
    }
}

/* How many units go on from here in one piece: to terminal count, or to where the address wraps. */
static size_t run_length(const DmaChannel *ch, size_t units)
{
    size_t left = (size_t)ch->count + 1;

    if (ch->mode & MODE_DECREMENT) {
        return 1;               /* each unit at a lower address than the one before */
    }
    return MIN(units, MIN(left, (size_t)0x10000 - ch->address));
}

static void advance(DmaChannel *ch, size_t units)
{
    ch->address += (uint16_t)(ch->mode & MODE_DECREMENT ? -(int)units : (int)units);
    ch->count -= (uint16_t)units;
}

static size_t transfer(Dma *s, unsigned n, uint8_t *buf, size_t len, bool to_memory)
{
    unsigned shift = n >= 4;
    size_t units = len >> shift, done = 0;
    DmaController *c;
    DmaChannel *ch;

    if (n > 7 || n == 4 || !channel_open(s, n)) {
        return 0;
    }
    c = &s->half[n >> 2];
    ch = &c->channel[n & 3];
    if ((ch->mode & MODE_TYPE) != (to_memory ? MODE_WRITE : MODE_READ) && (ch->mode & MODE_TYPE) != MODE_VERIFY) {
        return 0;
    }
    ch->reached = false;
    while (done < units && !ch->reached) {
        size_t run = run_length(ch, units - done);
        uint8_t *at = buf + (done << shift);

        if ((ch->mode & MODE_TYPE) == MODE_VERIFY) {
            if (!to_memory) {
                memset(at, 0xff, run << shift);         /* nobody drives the bus */
            }
        } else if (to_memory) {
            as_write(s->dev.machine->mem, channel_address(s, n), at, run << shift);
        } else {
            as_read(s->dev.machine->mem, channel_address(s, n), at, run << shift);
        }
        done += run;
        bool last = run == (size_t)ch->count + 1;
        advance(ch, run);
        if (last) {
            reach_terminal_count(c, n & 3);
        }
    }
    return done << shift;
}

static size_t dma_to_memory(void *dma, unsigned channel, const void *buf, size_t len)
{
    return transfer(dma, channel, (uint8_t *)(uintptr_t)buf, len, true);
}

static size_t dma_from_memory(void *dma, unsigned channel, void *buf, size_t len)
{
    return transfer(dma, channel, buf, len, false);
}

static bool dma_terminal_count(void *dma, unsigned channel)
{
    const Dma *s = dma;

    return channel < 8 && s->half[channel >> 2].channel[channel & 3].reached;
}

static const IsaDmaOps dma_ops = {
    .to_memory = dma_to_memory, .from_memory = dma_from_memory, .terminal_count = dma_terminal_count,
};

/* ---- registers ---- */

static void put_byte(uint16_t *reg, bool high, uint8_t val)
{
    *reg = high ? (uint16_t)((*reg & 0xff) | val << 8) : (uint16_t)((*reg & 0xff00) | val);
}

static void master_clear(DmaController *c)
{
    c->command = c->request = c->tc = 0;
    c->high_byte = false;
    c->mask = 0xf;
}

static void write_channel(DmaController *c, unsigned reg, uint8_t val)
{
    DmaChannel *ch = &c->channel[reg >> 1];

    put_byte(reg & 1 ? &ch->base_count : &ch->base_address, c->high_byte, val);
    put_byte(reg & 1 ? &ch->count : &ch->address, c->high_byte, val);
    ch->reached = false;
    c->high_byte = !c->high_byte;
}

static void write_control(DmaController *c, unsigned reg, uint8_t val)
{
    uint8_t bit = (uint8_t)(1 << (val & 3));

    switch (reg) {
    case REG_COMMAND:
        c->command = val;
        if (val & 1) {
            log_unimp("i8237", "memory-to-memory transfers (command 0x%02x)", val);
        }
        break;
    case REG_REQUEST:
        c->request = val & 4 ? c->request | bit : c->request & (uint8_t)~bit;
        break;
    case REG_MASK_BIT:
        c->mask = val & 4 ? c->mask | bit : c->mask & (uint8_t)~bit;
        break;
    case REG_MODE:
        c->channel[val & 3].mode = val & 0xfc;
        c->channel[val & 3].reached = false;
        break;
    case REG_CLEAR_FLIPFLOP:
        c->high_byte = false;
        break;
    case REG_MASTER_CLEAR:
        master_clear(c);
        break;
    case REG_CLEAR_MASK:
        c->mask = 0;
        break;
    case REG_MASK_ALL:
        c->mask = val & 0xf;
        break;
    }
}

static uint8_t read_controller(DmaController *c, unsigned reg)
{
    uint8_t v;

    if (reg < REG_COMMAND) {
        const DmaChannel *ch = &c->channel[reg >> 1];
        uint16_t value = reg & 1 ? ch->count : ch->address;

        v = (uint8_t)(c->high_byte ? value >> 8 : value);
        c->high_byte = !c->high_byte;
        return v;
    }
    switch (reg) {
    case REG_COMMAND:                           /* reads as status; reading clears the TC bits */
        v = (uint8_t)(c->request << 4 | c->tc);
        c->tc = 0;
        return v;
    case REG_MASK_ALL:
        return c->mask | 0xf0;
    default:
        return 0;                               /* the temporary register, and nothing */
    }
}

static void controller_write(DmaController *c, unsigned reg, uint8_t val)
{
    if (reg < REG_COMMAND) {
        write_channel(c, reg, val);
    } else {
        write_control(c, reg, val);
    }
}

static uint64_t first_read(void *dev, hwaddr off, unsigned size)
{
    Dma *s = dev;

    return read_controller(&s->half[0], off & 0xf);
}

static void first_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Dma *s = dev;

    controller_write(&s->half[0], off & 0xf, (uint8_t)val);
}

/* The second controller's address lines are shifted by one: its registers lie two ports apart. */
static uint64_t second_read(void *dev, hwaddr off, unsigned size)
{
    Dma *s = dev;

    return off & 1 ? 0xff : read_controller(&s->half[1], off >> 1 & 0xf);
}

static void second_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Dma *s = dev;

    if (!(off & 1)) {
        controller_write(&s->half[1], off >> 1 & 0xf, (uint8_t)val);
    }
}

static uint64_t page_read(void *dev, hwaddr off, unsigned size)
{
    const Dma *s = dev;

    return s->page[off % PAGE_COUNT];
}

static void page_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Dma *s = dev;

    s->page[off % PAGE_COUNT] = (uint8_t)val;
}

static const RegionOps first_io = { .read = first_read, .write = first_write, .size_min = 1, .size_max = 1 };
static const RegionOps second_io = { .read = second_read, .write = second_write, .size_min = 1, .size_max = 1 };
static const RegionOps page_io = { .read = page_read, .write = page_write, .size_min = 1, .size_max = 1 };

/* ---- life cycle ---- */

static bool i8237_realize(Device *d, GError **errp)
{
    Dma *s = (Dma *)d;
    IsaBus *bus = isa_bus(d);

    region_init_io(&s->io[0], "dma0", 0x10, &first_io, s);
    isa_map_io(d, &s->io[0], 0x00);
    region_init_io(&s->io[1], "dma1", 0x20, &second_io, s);
    isa_map_io(d, &s->io[1], 0xc0);
    region_init_io(&s->page_io, "dma-page", PAGE_COUNT, &page_io, s);
    isa_map_io(d, &s->page_io, PAGE_PORT);
    bus->dma_ops = &dma_ops;
    bus->dma = s;
    return true;
}

static void i8237_unrealize(Device *d)
{
    Dma *s = (Dma *)d;

    if (d->bus && isa_bus(d)->dma == s) {
        isa_bus(d)->dma_ops = NULL;
        isa_bus(d)->dma = NULL;
    }
    region_fini(&s->io[0]);
    region_fini(&s->io[1]);
    region_fini(&s->page_io);
}

static void i8237_reset(Device *d)
{
    Dma *s = (Dma *)d;

    memset(s->half, 0, sizeof(s->half));
    memset(s->page, 0, sizeof(s->page));
    master_clear(&s->half[0]);
    master_clear(&s->half[1]);
    s->half[1].channel[0].mode = MODE_CASCADE;
    s->half[1].mask &= (uint8_t)~1;
}

static void i8237_info(Device *d, GString *out)
{
    static const char *const type[] = { "verify", "to memory", "from memory", "illegal" };
    const Dma *s = (const Dma *)d;

    for (unsigned n = 0; n < 8; n++) {
        const DmaController *c = &s->half[n >> 2];
        const DmaChannel *ch = &c->channel[n & 3];

        g_string_append_printf(out, "channel %u: at 0x%06x count=%04x %s%s%s%s%s\n", n,
                               (unsigned)channel_address(s, n), ch->count,
                               (ch->mode & MODE_CASCADE) == MODE_CASCADE ? "cascade" : type[ch->mode >> 2 & 3],
                               ch->mode & MODE_AUTOINIT ? " autoinit" : "",
                               ch->mode & MODE_DECREMENT ? " down" : "",
                               c->mask >> (n & 3) & 1 ? " masked" : "", c->tc >> (n & 3) & 1 ? " tc" : "");
    }
}

static bool controller_after_load(void *obj, GError **errp)
{
    const DmaController *c = obj;

    if (c->mask > 0xf || c->request > 0xf || c->tc > 0xf) {
        error_set(errp, "i8237: no such state: mask 0x%x, requests 0x%x, terminal counts 0x%x", c->mask, c->request,
                  c->tc);
        return false;
    }
    return true;
}

static const StateField channel_fields[] = {
    STATE_U(DmaChannel, base_address), STATE_U(DmaChannel, base_count), STATE_U(DmaChannel, address),
    STATE_U(DmaChannel, count), STATE_U(DmaChannel, mode), STATE_U(DmaChannel, reached),
    STATE_DONE,
};
static const StateTable channel_state = { .name = "channel", .version = 1, .fields = channel_fields };

static const StateField controller_fields[] = {
    STATE_SUBS(DmaController, channel, &channel_state),
    STATE_U(DmaController, command), STATE_U(DmaController, mask), STATE_U(DmaController, request),
    STATE_U(DmaController, tc), STATE_U(DmaController, high_byte),
    STATE_DONE,
};
static const StateTable controller_state = {
    .name = "controller", .version = 1, .fields = controller_fields, .after_load = controller_after_load,
};

static const StateField i8237_fields[] = {
    STATE_NOT(Dma, dev, "device core"),
    STATE_SUBS(Dma, half, &controller_state),
    STATE_BUF(Dma, page),
    STATE_NOT(Dma, io, "mapping, made by realize"),
    STATE_NOT(Dma, page_io, "mapping, made by realize"),
    STATE_DONE,
};
static const StateTable i8237_state = { .name = "i8237", .version = 1, .fields = i8237_fields };

const DeviceClass i8237_class = {
    .name = "i8237",
    .summary = "pair of 8237A DMA controllers",
    .bus = "isa",
    .size = sizeof(Dma),
    .board_only = true,
    .state = &i8237_state,
    .realize = i8237_realize,
    .unrealize = i8237_unrealize,
    .reset = i8237_reset,
    .info = i8237_info,
};
