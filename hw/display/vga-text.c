/*
 * Text modes: from character, attribute and font to dots, and back to text for people.
 *
 * A cell is what one line of one character looks like: bits 8:0 the dots, the leftmost in bit 8; bits
 * 19:16 foreground, 27:24 background.
 */
#include "vga.h"

#include <string.h>

enum { ATTR_MODE_LINE_GRAPHICS = 1 << 2, ATTR_MODE_BLINK = 1 << 3 };
enum { CELL_FG = 16, CELL_BG = 24 };

static const uint8_t *planes_at(const Vga *v, uint32_t offset)
{
    return v->vram.ram + 4 * (size_t)offset;
}

static uint32_t glyph_dots(const Vga *v, const VgaFrame *f, uint8_t ch, uint8_t attr, unsigned row)
{
    uint8_t byte = planes_at(v, (f->font[attr >> 3 & 1] + ch * 32 + row) & 0xffff)[2];
    bool ninth = f->attr_mode & ATTR_MODE_LINE_GRAPHICS && ch >= 0xc0 && ch <= 0xdf;

    return byte << 1 | (ninth ? byte & 1 : 0);
}

uint32_t vga_text_cell(const Vga *v, const VgaFrame *f, uint32_t counter, unsigned row)
{
    const uint8_t *planes = planes_at(v, vga_fetch_address(f, counter, row));
    uint8_t ch = planes[0], attr = planes[1];
    unsigned fg = attr & 15, bg = attr >> 4;
    uint32_t dots = glyph_dots(v, f, ch, attr, row);

    if ((attr & 7) == 1 && row == (f->underline & 31)) {
        dots = 0x1ff;
    }
    if (f->attr_mode & ATTR_MODE_BLINK) {
        bg &= 7;
        if (attr & 0x80 && !f->blink_on) {
            dots = 0;
        }
    }
    if (f->cursor_on && (counter & 0xffff) == f->cursor_at && row >= f->cursor_first && row <= f->cursor_last) {
        dots = 0x1ff;
    }
    return dots | fg << CELL_FG | bg << CELL_BG;
}

void vga_text_dots(const VgaFrame *f, const uint32_t *palette, uint32_t cell, uint32_t *dots)
{
    uint32_t color[2] = { palette[cell >> CELL_BG & 15], palette[cell >> CELL_FG & 15] };

    for (unsigned i = 0; i < f->char_dots; i++) {
        dots[i] = color[cell >> (8 - i) & 1];
    }
}

/* IBM code page 437, from 0x80; below it the characters that are not ASCII show as spaces. */
static const char *const cp437[128] = {
    "Ç", "ü", "é", "â", "ä", "à", "å", "ç", "ê", "ë", "è", "ï", "î", "ì", "Ä", "Å",
    "É", "æ", "Æ", "ô", "ö", "ò", "û", "ù", "ÿ", "Ö", "Ü", "¢", "£", "¥", "₧", "ƒ",
    "á", "í", "ó", "ú", "ñ", "Ñ", "ª", "º", "¿", "⌐", "¬", "½", "¼", "¡", "«", "»",
    "░", "▒", "▓", "│", "┤", "╡", "╢", "╖", "╕", "╣", "║", "╗", "╝", "╜", "╛", "┐",
    "└", "┴", "┬", "├", "─", "┼", "╞", "╟", "╚", "╔", "╩", "╦", "╠", "═", "╬", "╧",
    "╨", "╤", "╥", "╙", "╘", "╒", "╓", "╫", "╪", "┘", "┌", "█", "▄", "▌", "▐", "▀",
    "α", "ß", "Γ", "π", "Σ", "σ", "µ", "τ", "Φ", "Θ", "Ω", "δ", "∞", "φ", "ε", "∩",
    "≡", "±", "≥", "≤", "⌠", "⌡", "÷", "≈", "°", "∙", "·", "√", "ⁿ", "²", "■", " ",
};

static void append_char(GString *line, uint8_t ch)
{
    if (ch >= 0x80) {
        g_string_append(line, cp437[ch - 0x80]);
    } else {
        g_string_append_c(line, ch >= 0x20 && ch < 0x7f ? ch : ' ');
    }
}

/* One line a row, without the spaces at its end. */
char *vga_text(void *dev)
{
    Vga *v = dev;
    VgaFrame f;

    as_flush_writes(v->pci.dev.machine->mem);
    vga_get_frame(v, &f);
    if (f.kind != FRAME_TEXT) {
        return NULL;
    }
    GString *text = g_string_new(NULL);
    unsigned row_lines = (f.rows_last + 1) * (f.double_scan ? 2 : 1);
    for (unsigned row = 0; row < f.height / row_lines; row++) {
        size_t line_start = text->len, line_end = text->len;
        for (unsigned i = 0; i < f.chars; i++) {
            uint32_t counter = f.start + row * f.pitch + (i >> f.count_shift);
            append_char(text, planes_at(v, vga_fetch_address(&f, counter, 0))[0]);
            if (text->str[text->len - 1] != ' ') {
                line_end = text->len;
            }
        }
        g_string_truncate(text, MAX(line_end, line_start));
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}
