/*
 * gdbstub/registers.h - the registers as gdb numbers and describes them.
 *
 * A layout is made for one kind of description (16, 32 or 64 bits) and one CPU model; it does not
 * change.  Its functions look at and change a paused processor.
 */
#ifndef GDBSTUB_REGISTERS_H
#define GDBSTUB_REGISTERS_H

#include "target/x86/cpu.h"

typedef enum GdbArch { GDB_I8086, GDB_I386, GDB_X86_64, GDB_ARCHS } GdbArch;
extern const char *const gdb_arch_names[];      /* as `set architecture` has them; NULL at the end */

typedef struct GdbLayout GdbLayout;

GdbLayout *gdb_layout_new(X86Cpu *c, GdbArch arch);
void gdb_layout_free(GdbLayout *l);             /* NULL is fine */
GdbArch gdb_layout_arch(const GdbLayout *l);
const char *gdb_layout_xml(const GdbLayout *l);         /* target.xml */
unsigned gdb_layout_count(const GdbLayout *l);
unsigned gdb_register_size(const GdbLayout *l, unsigned n);     /* bytes, at most GDB_REGISTER_MAX */
enum { GDB_REGISTER_MAX = 32 };
void gdb_register_get(const GdbLayout *l, X86Cpu *c, unsigned n, uint8_t *buf);
/* False: it is read-only, or the processor would not take this value. */
bool gdb_register_set(const GdbLayout *l, X86Cpu *c, unsigned n, const uint8_t *buf);

GdbArch gdb_arch_of_model(const X86Cpu *c);     /* the widest that it has */
GdbArch gdb_arch_of_mode(const X86Cpu *c);      /* what it executes now */
uint64_t gdb_pc(const X86Cpu *c);               /* linear, as gdb sees it */

#endif
