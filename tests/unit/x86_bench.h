/*
 * A processor on a bench: RAM, a few ports, tables set up for one of the modes, and a step that
 * executes one instruction by its handler.  Without an accelerator, so that what is tested is
 * target/x86 alone.
 */
#ifndef TESTS_UNIT_X86_BENCH_H
#define TESTS_UNIT_X86_BENCH_H

#include "core/machine.h"
#include "target/x86/exec.h"
#include "target/x86/model.h"
#include "target/x86/segments.h"

/* Where things lie in the bench's memory. */
enum { AT_GDT = 0x1000, AT_IDT = 0x2000, AT_LDT = 0x3000, AT_TSS = 0x4000, AT_TSS_B = 0x5000, AT_TSS16 = 0x5800,
       AT_CODE = 0x8000, AT_HANDLER = 0x9000 /* + 16 * vector */, AT_DATA = 0x18000, AT_STACK0 = 0x20000,
       AT_INNER = 0x24000 /* what the TSS names for level 0 */, AT_IST = 0x28000, AT_STACK3 = 0x30000,
       AT_PAGES = 0x100000, BENCH_RAM = 4 << 20 };

/* Selectors of the bench's GDT. */
enum { SEL_CODE0 = 0x08, SEL_DATA0 = 0x10, SEL_CODE3 = 0x18, SEL_DATA3 = 0x20, SEL_TSS = 0x28, SEL_CODE64 = 0x38,
       SEL_CODE64_3 = 0x40, SEL_CODE16 = 0x48, SEL_DATA16 = 0x50, SEL_CONFORMING = 0x58, SEL_LDT = 0x60,
       SEL_TSS_B = 0x70, SEL_TSS16 = 0x78, SEL_ABSENT = 0x80, SEL_READ_ONLY = 0x88, SEL_EXEC_ONLY = 0x90,
       SEL_DOWN = 0x98, SEL_CODE1 = 0xa0, SEL_DATA1 = 0xa8, SEL_FREE = 0xb0 /* .. 0xf8: for gates and such */,
       GDT_LIMIT = 0xff };

/* Rights that descriptors often have. */
enum { AR_CODE32 = AR_P | AR_S | AR_CODE | AR_RW | AR_DB | AR_G, AR_DATA32 = AR_P | AR_S | AR_RW | AR_DB | AR_G };
#define DPL(n) ((n) << 5)

typedef struct Bench {
    Machine *m;
    X86Cpu *c;
    bool shutdown;
    Region ports;
    uint32_t port_value, port_written;
    unsigned port_reads, port_writes;
    uint64_t rip_before;
} Bench;

Bench *bench_new(const char *model);
void bench_free(Bench *b);

/* Modes: IP at AT_CODE, SP at AT_STACK0 (AT_STACK3 at level 3), an IDT whose handlers tell their vector. */
void bench_real(Bench *b);
void bench_protected(Bench *b, unsigned cpl);           /* 32-bit, flat, no paging */
void bench_vm86(Bench *b);                              /* segments 0, IOPL 3 */
void bench_long(Bench *b, unsigned cpl);                /* identity-mapped */

void bench_desc(Bench *b, uint32_t table, uint16_t selector, uint64_t base, uint32_t limit, unsigned ar);
void bench_gate(Bench *b, uint32_t at, unsigned type, unsigned dpl, uint16_t selector, uint64_t offset,
                unsigned extra);                        /* extra: parameters or IST; 16 bytes in long mode */
void bench_idt(Bench *b, unsigned vector, unsigned type, unsigned dpl, uint16_t selector);

uint64_t peek(Bench *b, uint64_t gpa, unsigned size);
void poke(Bench *b, uint64_t gpa, uint64_t val, unsigned size);

enum { NOTHING = -1 };
/* Execute these bytes at CS:RIP.  The vector that they raised, or NOTHING; not delivered yet. */
int bench_exec(Bench *b, const uint8_t *bytes, size_t len);
#define EXEC(b, ...) bench_exec(b, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
/* Run fn(c) as the run loop would: its exception stays to be delivered. */
int bench_call(Bench *b, void (*fn)(X86Cpu *c, void *arg), void *arg);
/* Deliver what was raised, and what that raises; false: shutdown. */
bool bench_deliver(Bench *b);
/* Raise an exception with c->cur NULL and deliver it. */
bool bench_fault(Bench *b, unsigned vector, int error /* < 0: none */);
bool bench_serve(Bench *b);                             /* x86_serve_requests() */

/* The handler of `vector` is the next instruction. */
#define assert_in_handler(b, vector) \
    g_assert_cmphex((b)->c->regs[X86_RIP], ==, AT_HANDLER + (vector) * 16)
#define assert_raised(b, got, want, want_error) \
    do { \
        g_assert_cmpint(got, ==, want); \
        g_assert_cmphex((b)->c->exc.error, ==, want_error); \
        g_assert_cmphex((b)->c->regs[X86_RIP], ==, (b)->rip_before); \
    } while (0)

/* run_NAME(): test_NAME() on a bench of its own, which is the file's `b`, its processor `c`. */
#define BENCH_TEST(name) \
    static void run_##name(void) \
    { \
        b = bench_new("max"); \
        c = b->c; \
        test_##name(); \
        bench_free(b); \
    }

#endif
