/*
 * tests/insn/oracle/guest.h - the emulated processor that cases run on.
 *
 * It is set up as Linux sets up the real one: long mode with paging, ring 3, the same selectors, alignment
 * checks on.  Exceptions are delivered through an IDT to ring 0, and what the handler finds on its stack is the
 * result, as it is for the child under the kernel.
 */
#ifndef TESTS_INSN_ORACLE_GUEST_H
#define TESTS_INSN_ORACLE_GUEST_H

#include <setjmp.h>
#include "core/machine.h"
#include "case.h"
#include "target/x86/cpu.h"
#include "target/x86/decode.h"

/* Where things lie in guest-physical memory; the first eight pages are also at KERNEL_AT. */
enum { PHYS_GDT = 0x1000, PHYS_LDT = 0x1800, PHYS_IDT = 0x2000, PHYS_TSS = 0x3000, PHYS_HANDLER = 0x4000,
       PHYS_STACK = 0x7000, KERNEL_SIZE = 0x8000, PHYS_CODE = 0x8000, PHYS_LEAVE = 0x9000,
       PHYS_DATA = 0x10000, PHYS_TABLES = 0x20000, RAM_SIZE = 0x40000, GDT_ENTRIES = 16 };
#define KERNEL_AT 0xffffffff81000000ull

/* In the page of handlers, 16 bytes for each vector: HLT, and behind it IRETQ. */
enum { HANDLER_SIZE = 16, HANDLER_IRET = 8 };

typedef struct Guest {
    Machine *m;
    Region ram;
    X86Cpu *c;
    uint8_t *mem;                       /* host address of guest-physical 0 */
    uint32_t tables_used;
    uint8_t background[DATA_PAGES * ORACLE_PAGE];
    X86Segment gdt[GDT_ENTRIES], ldt[LDT_USED];      /* what loading a selector gives */
    jmp_buf unwind;
} Guest;

bool guest_open(Guest *g, const uint8_t *background, GError **errp);
void guest_start(Guest *g);             /* the accelerator has had its say about the processor's features */
void guest_close(Guest *g);
bool guest_has(const Guest *g, const X86Row *row);      /* has its processor what the row needs? */
void guest_load(Guest *g, const OracleCase *c);
/* What guest_load() changed in memory is as before, then. */
void guest_save(Guest *g, const OracleCase *c, OracleResult *out);

#endif
