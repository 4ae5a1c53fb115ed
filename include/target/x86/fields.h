/*
 * target/x86/fields.h - what a processor's state consists of, by name: for whoever compares two.
 *
 * While the processor is paused.
 */
#ifndef TARGET_X86_FIELDS_H
#define TARGET_X86_FIELDS_H

#include "target/x86/cpu.h"

typedef struct X86Field {
    const char *name;
    uint16_t offset, size, count, stride;       /* of one element, in bytes; how many, how far apart */
} X86Field;
extern const X86Field x86_fields[];         /* ends with a NULL name */

/* Of all that they name, going on from `h`. */
uint64_t x86_hash(const X86Cpu *c, uint64_t h);

#endif
