/*
 * The VGA's ports: sequencer, CRT controller, graphics controller, attribute controller, DAC, and the
 * status bits that follow the electron beam.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"; J. D. Neal, FreeVGA.
 *
 * Not modelled: the vertical retrace interrupt, light pen, feature connector, and the colour outputs
 * that input status 1 can feed back for diagnosis.
 */
#include "vga.h"

#include <string.h>
#include "util/bits.h"

enum { MISC_COLOR = 1 << 0, MISC_CLOCK_SHIFT = 2 };
enum { STATUS0_SENSE = 1 << 4, STATUS1_BLANK = 1 << 0, STATUS1_VRETRACE = 1 << 3 };
enum { DAC_STATE_WRITE = 0, DAC_STATE_READ = 3 };
enum { CRTC_PROTECT = 1 << 7 };     /* of V_RETRACE_END: registers 0 to 7 cannot be written */

/* The bits that exist. */
static const uint8_t seq_bits[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gfx_bits[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t crtc_bits[32] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0x3f, 0x7f, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xef, 0xff,
};
static const uint8_t attr_bits[32] = {
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0xef, 0xff, 0x3f, 0x0f, 0x0f,
};

/* ---- where the beam is ---- */

/* Lines from `first` to the line whose low bits are `end`, as the CRT controller compares them. */
static bool in_retrace(unsigned line, unsigned first, unsigned end_bits, unsigned mask)
{
    unsigned length = (end_bits - first) & mask;

    return line >= first && line < first + (length ? length : mask + 1);
}

static uint8_t beam_status(const Vga *v)
{
    static const uint32_t clock_khz[4] = { 25175, 28322, 25175, 25175 };
    const uint8_t *c = v->crtc;
    unsigned over = c[CRTC_OVERFLOW];
    unsigned char_dots = v->seq[SEQ_CLOCKING] & 1 ? 8 : 9;
    unsigned h_total = c[CRTC_H_TOTAL] + 5;
    unsigned v_total = (c[CRTC_V_TOTAL] | (over & 1) << 8 | (over >> 5 & 1) << 9) + 2;
    unsigned v_display = (c[CRTC_V_DISPLAY_END] | (over >> 1 & 1) << 8 | (over >> 6 & 1) << 9) + 1;
    unsigned v_retrace = c[CRTC_V_RETRACE_START] | (over >> 2 & 1) << 8 | (over >> 7 & 1) << 9;
    unsigned v_retrace_end = c[CRTC_V_RETRACE_END] & 15;
    uint32_t khz = clock_khz[v->misc >> MISC_CLOCK_SHIFT & 3];

    if (vga_vbe_on(v)) {                /* its timing is in no register: 1024x768 at 60 Hz will do */
        h_total = 168, char_dots = 8, v_total = 806, v_display = 768, v_retrace = 771, v_retrace_end = 1;
        khz = 65000;
    } else if (v->seq[SEQ_CLOCKING] & 8) {
        char_dots *= 2;
    }
    uint64_t chars = muldiv64(clock_now(v->pci.dev.machine->clock), khz, 1000000ull * char_dots);
    unsigned in_line = chars % h_total, line = chars / h_total % v_total;
    unsigned h_display = vga_vbe_on(v) ? 128 : c[CRTC_H_DISPLAY_END] + 1;
    uint8_t status = 0;

    if (line >= v_display || in_line >= h_display) {
        status |= STATUS1_BLANK;
    }
    if (in_retrace(line, v_retrace, v_retrace_end, 15)) {
        status |= STATUS1_VRETRACE;
    }
    return status;
}

/* ---- attribute controller: index and data take turns at one port ---- */

static void attr_write(Vga *v, uint8_t val)
{
    if (v->attr_data_next) {
        unsigned i = v->attr_index & 31;
        v->attr[i] = val & attr_bits[i];
    } else {
        v->attr_index = val & 0x3f;
    }
    v->attr_data_next = !v->attr_data_next;
}

/* ---- DAC ---- */

static void dac_write(Vga *v, uint8_t val)
{
    bool wide = vga_vbe_on(v) && v->vbe[VBE_ENABLE] & VBE_8BIT_DAC;

    v->dac_latch[v->dac_component] = wide ? val : val & 0x3f;
    if (++v->dac_component == 3) {
        memcpy(v->dac + 3 * v->dac_write_index, v->dac_latch, 3);
        v->dac_component = 0;
        v->dac_write_index++;
    }
}

static uint8_t dac_read(Vga *v)
{
    uint8_t val = v->dac[3 * v->dac_read_index + v->dac_component];

    if (++v->dac_component == 3) {
        v->dac_component = 0;
        v->dac_read_index++;
    }
    return val;
}

/* ---- ports ---- */

/* The CRT controller and status 1 answer at 3dx in colour and at 3bx in monochrome. */
static bool answers(const Vga *v, uint16_t port)
{
    bool color_port = port >= 0x3d0, mono_port = port < 0x3c0;

    return v->misc & MISC_COLOR ? !mono_port : !color_port;
}

static void crtc_write(Vga *v, uint8_t val)
{
    unsigned i = v->crtc_index;

    if (i <= CRTC_OVERFLOW && v->crtc[CRTC_V_RETRACE_END] & CRTC_PROTECT) {
        if (i == CRTC_OVERFLOW) {       /* bit 8 of the line compare is not protected */
            v->crtc[i] = (v->crtc[i] & ~0x10) | (val & 0x10);
        }
        return;
    }
    v->crtc[i] = val & crtc_bits[i];
}

void vga_port_write(Vga *v, uint16_t port, uint8_t val)
{
    if (!answers(v, port)) {
        return;
    }
    switch (port) {
    case 0x3c0:
        attr_write(v, val);
        break;
    case 0x3c2:
        v->misc = val & 0xef;
        break;
    case 0x3c3:
        v->enable = val & 1;
        break;
    case 0x3c4:
        v->seq_index = val & 7;
        break;
    case 0x3c5:
        v->seq[v->seq_index] = val & seq_bits[v->seq_index];
        break;
    case 0x3c6:
        v->dac_mask = val;
        break;
    case 0x3c7:
        v->dac_read_index = val;
        v->dac_component = 0;
        v->dac_state = DAC_STATE_READ;
        break;
    case 0x3c8:
        v->dac_write_index = val;
        v->dac_component = 0;
        v->dac_state = DAC_STATE_WRITE;
        break;
    case 0x3c9:
        dac_write(v, val);
        break;
    case 0x3ce:
        v->gfx_index = val & 15;
        break;
    case 0x3cf:
        v->gfx[v->gfx_index] = val & gfx_bits[v->gfx_index];
        if (v->gfx_index == GFX_MISC) {
            vga_update_bank(v);
        }
        break;
    case 0x3b4:
    case 0x3d4:
        v->crtc_index = val & 31;
        break;
    case 0x3b5:
    case 0x3d5:
        crtc_write(v, val);
        break;
    case 0x3ba:
    case 0x3da:
        v->feature = val & 0x0b;
        break;
    default:
        break;
    }
}

uint8_t vga_port_read(Vga *v, uint16_t port)
{
    if (!answers(v, port)) {
        return 0xff;
    }
    switch (port) {
    case 0x3c0:
        return v->attr_index;
    case 0x3c1:
        return v->attr[v->attr_index & 31];
    case 0x3c2:
        return STATUS0_SENSE;
    case 0x3c3:
        return v->enable;
    case 0x3c4:
        return v->seq_index;
    case 0x3c5:
        return v->seq[v->seq_index];
    case 0x3c6:
        return v->dac_mask;
    case 0x3c7:
        return v->dac_state;
    case 0x3c8:
        return v->dac_write_index;
    case 0x3c9:
        return dac_read(v);
    case 0x3ca:
        return v->feature;
    case 0x3cc:
        return v->misc;
    case 0x3ce:
        return v->gfx_index;
    case 0x3cf:
        return v->gfx[v->gfx_index];
    case 0x3b4:
    case 0x3d4:
        return v->crtc_index;
    case 0x3b5:
    case 0x3d5:
        return v->crtc[v->crtc_index];
    case 0x3ba:
    case 0x3da:
        v->attr_data_next = false;
        return beam_status(v);
    default:
        return 0xff;
    }
}

static uint64_t ports_read(void *dev, hwaddr off, unsigned size)
{
    VgaPorts *p = dev;

    return vga_port_read(p->vga, p->base + off);
}

static void ports_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    VgaPorts *p = dev;

    vga_port_write(p->vga, p->base + off, val);
}

const RegionOps vga_port_ops = { .read = ports_read, .write = ports_write, .size_min = 1, .size_max = 1 };
