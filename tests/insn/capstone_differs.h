/*
 * tests/insn/capstone_differs.h - where our decoder and capstone 4.0.2 differ, and who is right.
 */
#ifndef CAPSTONE_DIFFERS_H
#define CAPSTONE_DIFFERS_H

#include <capstone/capstone.h>
#include "target/x86/decode.h"

/* One decoding of the same bytes by both. */
typedef struct Case {
    unsigned bits, map, op, modrm;
    const char *pfx;
    const uint8_t *buf;
    X86Insn in;
    int len;                        /* ours; negative: refused */
    bool ok;                        /* capstone's */
    unsigned cs_len;
    char ours[32], theirs[CS_MNEMONIC_SIZE];
} Case;

/* Why they differ, with the manual's word on it; NULL: no row of the table fits. */
const char *capstone_differs(const Case *c);

#endif
