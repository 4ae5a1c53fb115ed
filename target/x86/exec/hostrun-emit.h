/*
 * target/x86/exec/hostrun-emit.h - how hostrun.c and hostrun-vex.c put bytes into a stub.
 */
#ifndef TARGET_X86_HOSTRUN_EMIT_H
#define TARGET_X86_HOSTRUN_EMIT_H

#include <stddef.h>
#include <string.h>
#include "hostrun.h"

typedef struct Emit { uint8_t *p; } Emit;

static inline void emit(Emit *e, const char *bytes, size_t n)
{
    memcpy(e->p, bytes, n);
    e->p += n;
}

static inline void emit_offset(Emit *e, uint32_t offset)
{
    memcpy(e->p, &offset, 4);
    e->p += 4;
}

#define EMIT(e, bytes) emit(e, bytes, sizeof(bytes) - 1)
/* An instruction with the memory operand [r10 + offset]: `bytes` end with its ModRM byte. */
#define EMIT_AT(e, bytes, member) (EMIT(e, bytes), emit_offset(e, (uint32_t)offsetof(HostFrame, member)))

/* ---- hostrun.c: parts that all stubs have ---- */
void emit_general_loads(Emit *e, uint32_t use);         /* r/m and implicit registers, flags */
void emit_general_stores(Emit *e, uint32_t use);
/* ---- hostrun-vex.c ---- */
void emit_vex_body(Emit *e, const X86Insn *in, const HostForm *form);      /* all but the tail */

#endif
