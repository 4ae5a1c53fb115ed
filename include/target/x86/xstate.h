/*
 * target/x86/xstate.h - the state components of XSAVE: where CPUID says that they lie, and exec/xsave.c
 * puts them (SDM volume 1, 13.4 and 13.5).  Any thread; x86_xinuse() the vCPU's own.
 */
#ifndef TARGET_X86_XSTATE_H
#define TARGET_X86_XSTATE_H

#include "target/x86/cpu.h"

enum { XSAVE_LEGACY_SIZE = 512, XSAVE_HEADER_SIZE = 64, XSAVE_EXTENDED = XSAVE_LEGACY_SIZE + XSAVE_HEADER_SIZE,
       XSAVE_AREA_MAX = 2696 };

typedef struct XComponent {
    uint8_t number;                     /* of its bit in XCR0 */
    uint16_t offset, size;              /* in the standard form; size 0: in the legacy area */
    uint8_t first, q, bytes;            /* vectors: first register, its part from q[] on, bytes of each */
} XComponent;

static const XComponent x86_components[] = {
    { 0, 0, 0, 0, 0, 0 },                               /* x87 */
    { 1, 0, 0, 0, 0, 16 },                              /* SSE: XMM */
    { 2, 576, 256, 0, 2, 16 },                          /* AVX: the upper halves of YMM */
    { 5, 1088, 64, 0, 0, 0 },                           /* opmask */
    { 6, 1152, 512, 0, 4, 32 },                         /* ZMM_Hi256 */
    { 7, 1664, 1024, 16, 0, 64 },                       /* Hi16_ZMM */
    { 9, 2688, 8, 0, 0, 0 },                            /* PKRU */
};

/* State components that are not as after a reset (13.6). */
uint64_t x86_xinuse(const X86Cpu *c);
/* Bytes of an area that holds the components of `mask`; compacted: one behind the other. */
static inline unsigned x86_xsave_size(uint64_t mask, bool compacted)
{
    unsigned size = XSAVE_EXTENDED;

    for (unsigned i = 0; i < G_N_ELEMENTS(x86_components); i++) {
        if (mask >> x86_components[i].number & 1 && x86_components[i].size) {
            size = (compacted ? size : x86_components[i].offset) + x86_components[i].size;
        }
    }
    return size;
}

#endif
