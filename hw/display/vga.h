/*
 * The VGA's parts, shared by the files of this folder: registers (vga-regs.c), the window at 0xa0000
 * (vga-mem.c), Bochs VBE (vga-vbe.c), the picture (vga-frame.c, vga-paint.c, vga-text.c).
 *
 * Display memory holds the four planes interleaved: byte 4 * n + p is offset n of plane p, which makes
 * one 32-bit word of what the hardware fetches or latches at once.
 */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H

#include "hw/pci.h"
#include "ui/display.h"

enum {                                          /* IBM VGA register indexes, by their usual names */
    SEQ_RESET = 0, SEQ_CLOCKING = 1, SEQ_MAP_MASK = 2, SEQ_CHARACTER_MAP = 3, SEQ_MEMORY_MODE = 4,
    CRTC_H_TOTAL = 0x00, CRTC_H_DISPLAY_END = 0x01, CRTC_V_TOTAL = 0x06, CRTC_OVERFLOW = 0x07,
    CRTC_PRESET_ROW_SCAN = 0x08, CRTC_MAX_SCAN_LINE = 0x09, CRTC_CURSOR_START = 0x0a, CRTC_CURSOR_END = 0x0b,
    CRTC_START_HIGH = 0x0c, CRTC_START_LOW = 0x0d, CRTC_CURSOR_HIGH = 0x0e, CRTC_CURSOR_LOW = 0x0f,
    CRTC_V_RETRACE_START = 0x10, CRTC_V_RETRACE_END = 0x11, CRTC_V_DISPLAY_END = 0x12, CRTC_OFFSET = 0x13,
    CRTC_UNDERLINE = 0x14, CRTC_MODE = 0x17, CRTC_LINE_COMPARE = 0x18,
    GFX_SET_RESET = 0, GFX_ENABLE_SET_RESET = 1, GFX_COLOR_COMPARE = 2, GFX_DATA_ROTATE = 3,
    GFX_READ_MAP = 4, GFX_MODE = 5, GFX_MISC = 6, GFX_COLOR_DONT_CARE = 7, GFX_BIT_MASK = 8,
    ATTR_MODE = 0x10, ATTR_OVERSCAN = 0x11, ATTR_PLANE_ENABLE = 0x12, ATTR_PANNING = 0x13,
    ATTR_COLOR_SELECT = 0x14,
};
enum { ATTR_INDEX_PAS = 0x20 };                 /* palette address source: off, the screen is blank */

enum {                                          /* Bochs VBE ("dispi") register indexes */
    VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT,
    VBE_X_OFFSET, VBE_Y_OFFSET, VBE_VIDEO_MEMORY_64K, VBE_REGISTERS
};
enum {                                          /* VBE_ENABLE */
    VBE_ENABLED = 1 << 0, VBE_GETCAPS = 1 << 1, VBE_8BIT_DAC = 1 << 5, VBE_LFB = 1 << 6,
    VBE_NOCLEARMEM = 1 << 7,
};
enum { VBE_MAX_X = 5120, VBE_MAX_Y = 4096 };

enum { VGA_MAX_CHARS = 256, VGA_MAX_LINES = 2048, VGA_LEGACY_SIZE = 0x20000, EDID_SIZE = 128 };

/* How a frame is fetched from display memory and turned into dots; made anew by every refresh. */
typedef struct VgaFrame {
    enum { FRAME_BLANK, FRAME_TEXT, FRAME_PLANAR, FRAME_LINEAR } kind;
    unsigned width, height;     /* of the picture */
    /* linear: packed pixels */
    unsigned bpp;
    uint32_t start, pitch;      /* bytes; otherwise in units of the address counter */
    /* text and planar: what the CRT controller and the attribute controller are set to */
    unsigned chars;             /* character clocks a line */
    unsigned char_dots;         /* 8 or 9 */
    unsigned rows_last;         /* last row scan of a character row */
    unsigned first_row;         /* preset row scan */
    unsigned line_compare;
    unsigned pan;               /* dots */
    unsigned count_shift;       /* the counter moves every 1, 2 or 4 characters */
    uint32_t address_mask;
    uint8_t crtc_mode, underline, attr_mode, gfx_mode;
    bool double_dots, double_scan, pan_reset;
    /* text */
    uint32_t font[2];           /* offsets in plane 2 for attribute bit 3 clear and set */
    uint32_t cursor_at;
    unsigned cursor_first, cursor_last;
    bool cursor_on, blink_on;
} VgaFrame;

/* The parts of a frame that decide how fetched data look: when they change all is painted. */
typedef struct VgaLook {
    uint32_t kind, width, height, bpp, char_dots, pan, attr_mode, gfx_mode, double_dots, pan_reset;
    uint32_t palette[256];
} VgaLook;

typedef struct VgaPorts {
    Region region;
    struct Vga *vga;
    uint16_t base;
} VgaPorts;

enum { VGA_CRTC_MONO, VGA_STATUS_MONO, VGA_PORTS, VGA_CRTC, VGA_STATUS, VGA_PORT_RANGES };

typedef struct Vga {
    PciDevice pci;
    /* options */
    uint32_t vgamem_mb;
    uint16_t xres, yres;
    char *romfile;
    /* registers */
    uint8_t misc, feature, enable;
    uint8_t seq_index, seq[8];
    uint8_t crtc_index, crtc[32];
    uint8_t gfx_index, gfx[16];
    uint8_t attr_index, attr[32];
    bool attr_data_next;                /* the flip-flop of port 3c0 */
    uint8_t dac_mask, dac_state, dac_read_index, dac_write_index, dac_component, dac_latch[3];
    uint8_t dac[768];
    uint32_t latch;
    uint16_t vbe_index, vbe[VBE_REGISTERS];
    /* mappings */
    Region vram, mmio, legacy, bank;
    VgaPorts ports[VGA_PORT_RANGES], vbe_ports;
    uint8_t edid[EDID_SIZE];
    /* picture */
    Display *display;
    VgaLook look;
    bool look_valid;
    uint8_t *shadow;                    /* what each line was painted from */
    size_t shadow_pitch, shadow_size;
    uint32_t painted_start, painted_pitch;      /* of a linear mode */
    uint64_t *written;                  /* pages of the memory: room for the accelerator's answer */
    bool written_by_us;                 /* since the last refresh, and so in nobody's log */
} Vga;

static inline bool vga_vbe_on(const Vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}

static inline uint32_t vga_vram_mask(const Vga *v)      /* its size is a power of two */
{
    return v->vram.size - 1;
}

/* vga-regs.c */
uint8_t vga_port_read(Vga *v, uint16_t port);
void vga_port_write(Vga *v, uint16_t port, uint8_t val);
extern const RegionOps vga_port_ops;            /* dev: VgaPorts * */

/* vga-mem.c */
extern const RegionOps vga_legacy_ops;

/* vga-vbe.c */
extern const RegionOps vga_vbe_ops, vga_mmio_ops;       /* dev: VgaPorts *, Vga * */
void vga_vbe_reset(Vga *v);
void vga_vbe_normalize(Vga *v);                 /* registers to what the memory can show */
void vga_update_bank(Vga *v);                   /* the window follows the VBE bank, or the planes */
unsigned vga_vbe_pitch(const Vga *v);           /* bytes a line; 4 bits a pixel: of one plane */

/* vga-frame.c */
void vga_get_frame(const Vga *v, VgaFrame *f);
const char *vga_frame_name(const VgaFrame *f);
uint32_t vga_fetch_address(const VgaFrame *f, uint32_t counter, unsigned row);

/* vga-paint.c */
extern const DisplaySource vga_display_source;

/* vga-text.c */
uint32_t vga_text_cell(const Vga *v, const VgaFrame *f, uint32_t counter, unsigned row);
void vga_text_dots(const VgaFrame *f, const uint32_t *palette, uint32_t cell, uint32_t *dots);
char *vga_text(void *dev);

/* edid.c */
void edid_make(uint8_t edid[static EDID_SIZE], unsigned xres, unsigned yres);

#endif
