/*
 * What a monitor says of itself: one EDID block of 128 bytes.
 *
 * VESA E-EDID Standard release A, EDID structure 1.3; the preferred mode's blanking as in VESA
 * Coordinated Video Timings with reduced blanking.
 */
#include "vga.h"

#include <string.h>
#include "util/bits.h"

enum { RB_H_BLANK = 160, RB_H_FRONT = 48, RB_H_SYNC = 32, RB_V_BLANK = 35, RB_V_FRONT = 3, RB_V_SYNC = 6 };
enum { ASPECT_16_10, ASPECT_4_3, ASPECT_5_4, ASPECT_16_9 };

static void detailed_timing(uint8_t *d, unsigned x, unsigned y)
{
    unsigned width_mm = x * 254 / 960, height_mm = y * 254 / 960;       /* 96 dots an inch */

    st16le(d, MIN((x + RB_H_BLANK) * (y + RB_V_BLANK) * 60 / 10000, UINT16_MAX));      /* 10 kHz */
    d[2] = x;
    d[3] = RB_H_BLANK;
    d[4] = x >> 8 << 4;
    d[5] = y;
    d[6] = RB_V_BLANK;
    d[7] = y >> 8 << 4;
    d[8] = RB_H_FRONT;
    d[9] = RB_H_SYNC;
    d[10] = RB_V_FRONT << 4 | RB_V_SYNC;
    d[12] = width_mm;
    d[13] = height_mm;
    d[14] = (width_mm >> 8 & 15) << 4 | (height_mm >> 8 & 15);
    d[17] = 0x1e;               /* separate digital sync, both positive */
}

void edid_make(uint8_t edid[static EDID_SIZE], unsigned xres, unsigned yres)
{
    static const uint8_t header[8] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };
    static const uint8_t srgb[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    static const struct { uint16_t x; uint8_t aspect; } standard[8] = {
        { 1152, ASPECT_4_3 }, { 1280, ASPECT_4_3 }, { 1280, ASPECT_5_4 }, { 1280, ASPECT_16_10 },
        { 1440, ASPECT_16_10 }, { 1600, ASPECT_4_3 }, { 1680, ASPECT_16_10 }, { 1920, ASPECT_16_9 },
    };
    /* 50 to 125 Hz, 30 to 160 kHz, up to 660 MHz */
    static const uint8_t limits[18] = { 0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 66, 0, 10, 32, 32, 32, 32, 32, 32 };
    static const uint8_t name[18] = "\0\0\0\xfc\0Tinamou\n    ";
    static const uint8_t unused[18] = { 0, 0, 0, 0x10 };
    uint8_t sum = 0;

    memset(edid, 0, EDID_SIZE);
    memcpy(edid, header, sizeof(header));
    st16be(edid + 8, ('T' - '@') << 10 | ('N' - '@') << 5 | ('M' - '@'));
    st16le(edid + 10, 1);
    edid[16] = 1;               /* week and year of manufacture */
    edid[17] = 2026 - 1990;
    edid[18] = 1;
    edid[19] = 3;
    edid[20] = 0x80;            /* digital */
    edid[21] = MIN(xres * 254 / 9600, 255);     /* cm */
    edid[22] = MIN(yres * 254 / 9600, 255);
    edid[23] = 220 - 100;       /* gamma 2.2 */
    edid[24] = 0x0a;            /* RGB; the first detailed timing is the preferred one */
    memcpy(edid + 25, srgb, sizeof(srgb));
    edid[35] = 0x21;            /* 640x480 and 800x600 at 60 Hz */
    edid[36] = 0x08;            /* 1024x768 at 60 Hz */
    for (unsigned i = 0; i < G_N_ELEMENTS(standard); i++) {
        edid[38 + 2 * i] = standard[i].x / 8 - 31;
        edid[39 + 2 * i] = standard[i].aspect << 6 | (60 - 60);
    }
    detailed_timing(edid + 54, xres, yres);
    memcpy(edid + 72, limits, sizeof(limits));
    memcpy(edid + 90, name, sizeof(name));
    memcpy(edid + 108, unused, sizeof(unused));
    for (unsigned i = 0; i < EDID_SIZE - 1; i++) {
        sum += edid[i];
    }
    edid[EDID_SIZE - 1] = -sum;
}
