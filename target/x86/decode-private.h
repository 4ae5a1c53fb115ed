/*
 * target/x86/decode-private.h - between decode.c and decode-vex.c.  Any thread, as decode.h.
 */
#ifndef TARGET_X86_DECODE_PRIVATE_H
#define TARGET_X86_DECODE_PRIVATE_H

#include <stdbool.h>
#include "target/x86/decode.h"

typedef struct Cursor {
    const uint8_t *p;
    size_t avail, pos;
    int fault;                          /* X86_DECODE_SHORT or _LONG once a byte was missing */
} Cursor;

uint64_t decode_take(Cursor *c, unsigned n);

/* ---- decode-vex.c: what VEX and EVEX add ---- */
/* Is this byte such a prefix here?  C4, C5 and 62 are LES, LDS and BOUND outside 64-bit mode where
 * what follows is a ModRM that names memory. */
bool decode_is_vex(Cursor *c, uint8_t byte, unsigned bits);
/* The rest of the prefix and the opcode; false: #UD. */
bool decode_take_vex(Cursor *c, X86Insn *in, uint8_t first, unsigned bits);
bool decode_vex_row_fits(const X86Row *r, const X86Insn *in);
/* Registers beyond what REX can name, once ModRM and SIB are there. */
void decode_vex_registers(X86Insn *in, unsigned bits);
/* What an eight-bit displacement is multiplied by (volume 2, 2.7.5). */
unsigned decode_disp8_scale(const X86Insn *in);
/* Fields that the row does not allow. */
bool decode_vex_is_undefined(const X86Insn *in, unsigned bits);

#endif
