/*
 * What only translated code can get wrong: jumps that stay linked when they should not, loops that hear
 * nothing, state in the middle of a block, a cache that fills up.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "accel/accel.h"
#include "target/x86/alu.h"
#include "x86_bench.h"

enum { FOR_EVER = 1 << 30 };

static Bench *b;
static X86Cpu *c;
static Accel *accel;

static void start_with(const char *name)
{
    GError *err = NULL;

    b = bench_new("max");
    c = b->c;
    bench_long(b, 0);
    accel = accel_open(b->m, name, &err);
    g_assert_no_error(err);
    g_assert_true(accel->ops->vcpu_create(accel, &c->vcpu, &err));
}

static void start(void) { start_with("dbt,first-runs=0"); }

static void finish(void)
{
    accel->ops->vcpu_destroy(accel, &c->vcpu);
    accel->ops->destroy(accel);
    bench_free(b);
}

static void put(uint64_t at, const uint8_t *code, size_t len)
{
    g_assert_cmpint(as_write(b->m->mem, at, code, len), ==, MEM_OK);
}
#define PUT(at, ...) put(at, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static RunExit run_at(uint64_t rip)
{
    GError *err = NULL;

    c->regs[X86_RIP] = rip;
    c->vcpu.halted = false;
    RunExit r = accel->ops->run(accel, &c->vcpu, FOR_EVER, &err);
    g_assert_no_error(err);
    return r;
}

/* Linear 0x40000000 and on, page by page: the entry of a page. */
static uint64_t entry_bits = 7;

static void map_page(unsigned n, uint64_t gpa)
{
    uint64_t table = AT_PAGES + 0x3000;

    poke(b, AT_PAGES + 0x1000 + 8, table | 7, 8);
    poke(b, table, (table + 0x1000) | 7, 8);
    poke(b, table + 0x1000 + n * 8, gpa ? gpa | entry_bits : 0, 8);
    x86_tlb_flush_page(c, 0x40000000 + n * 4096ull);
}

/* A direct jump, a call and its return, into a page that lies elsewhere later. */
static void target_page_is_mapped_elsewhere(void)
{
    map_page(0, 0x300000);
    map_page(1, 0x301000);
    PUT(0x300000, 0xe8, 0xfb, 0x0f, 0, 0, 0xe9, 0x06, 0x10, 0, 0);      /* call page 1; jmp page 1 + 0x10 */
    PUT(0x301000, 0xb8, 1, 0, 0, 0, 0xc3);                              /* mov eax, 1; ret */
    PUT(0x301010, 0x83, 0xc0, 0x10, 0xf4);                              /* add eax, 0x10; hlt */
    PUT(0x302000, 0xb8, 2, 0, 0, 0, 0xc3);
    PUT(0x302010, 0x83, 0xc0, 0x20, 0xf4);
    for (unsigned i = 0; i < 6; i++) {
        map_page(1, i & 1 ? 0x302000 : 0x301000);
        for (unsigned k = 0; k < 3; k++) {
            g_assert_cmpint(run_at(0x40000000), ==, RUN_HALTED);
            g_assert_cmphex(c->regs[X86_RAX], ==, i & 1 ? 0x22 : 0x11);
        }
    }
}

static void test_target_page_is_mapped_elsewhere(void)
{
    start();
    target_page_is_mapped_elsewhere();
    finish();
}

/* Global pages, to which jumps stay linked when CR3 is loaded, but not when they lie elsewhere. */
static void test_global_page_is_mapped_elsewhere(void)
{
    start();
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_PGE));
    entry_bits = 0x107;
    target_page_is_mapped_elsewhere();
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(x86_write_cr3(c, c->cr3));
        g_assert_cmpint(run_at(0x40000000), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RAX], ==, 0x22);
    }
    poke(b, AT_PAGES + 0x4000 + 8, 0x301000 | entry_bits, 8);           /* seen when global pages are flushed */
    g_assert_true(x86_write_cr4(c, c->cr4 & ~(uint64_t)CR4_PGE));
    g_assert_cmpint(run_at(0x40000000), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x11);
    entry_bits = 7;
    finish();
}

/* The same memory at two addresses: its code is translated once, and knows where it is. */
static void test_code_at_two_addresses(void)
{
    start();
    map_page(0, 0x300000);
    map_page(7, 0x300000);
    /* lea rax, [rip+0]; call 1f; hlt; 1: pop rbx; push rbx; ret */
    PUT(0x300000, 0x48, 0x8d, 0x05, 0, 0, 0, 0, 0xe8, 1, 0, 0, 0, 0xf4, 0x5b, 0x53, 0xc3);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t at = i & 1 ? 0x40007000 : 0x40000000;
        g_assert_cmpint(run_at(at), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RAX], ==, at + 7);
        g_assert_cmphex(c->regs[X86_RBX], ==, at + 12);
        g_assert_cmphex(c->regs[X86_RIP], ==, at + 13);
    }
    finish();
}

/* An instruction whose second half lies in another page: that is mapped elsewhere, changes, is absent; and the
 * first page is at two addresses, with another behind it each. */
static void test_instruction_that_crosses_a_page(void)
{
    start();
    map_page(0, 0x300000);
    map_page(7, 0x300000);
    map_page(8, 0x303000);
    PUT(0x300ff0, 0xeb, 0x0b);                                          /* jmp to ffd */
    PUT(0x300ffd, 0xb8, 0x34, 0x12);                                    /* mov eax, imm; hlt */
    PUT(0x301000, 0x01, 0x00, 0xf4);
    PUT(0x302000, 0x02, 0x00, 0xf4);
    PUT(0x303000, 0x03, 0x00, 0xf4);
    for (unsigned i = 0; i < 6; i++) {
        map_page(1, i & 1 ? 0x302000 : 0x301000);
        for (unsigned k = 0; k < 3; k++) {
            g_assert_cmpint(run_at(0x40000ff0), ==, RUN_HALTED);
            g_assert_cmphex(c->regs[X86_RAX], ==, i & 1 ? 0x21234 : 0x11234);
            g_assert_cmpint(run_at(0x40007ff0), ==, RUN_HALTED);
            g_assert_cmphex(c->regs[X86_RAX], ==, 0x31234);
        }
    }
    PUT(0x302000, 0x05);
    g_assert_cmpint(run_at(0x40000ff0), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x51234);
    map_page(1, 0);
    PUT(AT_HANDLER + EXC_PF * 16, 0xf4);
    c->regs[X86_RSP] = AT_STACK0;
    g_assert_cmpint(run_at(0x40000ff0), ==, RUN_HALTED);
    g_assert_cmphex(c->cr2, ==, 0x40001000);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 8), ==, 0x40000ffd);
    finish();
}

/* EMMS is left to its handler where an x87 exception is pending, whatever it does else: flags that only its fault
 * shows are not dead. */
static void test_flags_before_what_cannot_be_live(void)
{
    start();
    PUT(AT_CODE, 0xff, 0xc1, 0x0f, 0x77, 0x01, 0xc0, 0xf4);             /* inc ecx; emms; add eax, eax; hlt */
    PUT(AT_HANDLER + EXC_MF * 16, 0xf4);
    c->cr0 |= CR0_NE;
    c->fpu.fcw = 0x37e;
    c->fpu.fsw = 0x8081;
    for (unsigned i = 0; i < 3; i++) {
        c->regs[X86_RSP] = AT_STACK0;
        x86_set_rflags(c, FL_CF | FL_1);
        g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RIP], ==, AT_HANDLER + EXC_MF * 16 + 1);
        g_assert_cmphex(peek(b, c->regs[X86_RSP] + 16, 4) & FL_CF, ==, FL_CF);
    }
    finish();
}

/* Accesses that share a probe: what is good for one may be none for another. */
static void test_shared_probe(void)
{
    start();
    map_page(0, 0x300000);
    map_page(1, 0x305000);
    PUT(AT_HANDLER + EXC_PF * 16, 0xf4);
    /* mov [rbx], esi; add rbx, 0x1000; mov ecx, [rbx]; mov edx, [rbx-0x20]; mov [rbx+4], esi; hlt */
    PUT(AT_CODE, 0x89, 0x33, 0x48, 0x81, 0xc3, 0, 0x10, 0, 0, 0x8b, 0x0b, 0x8b, 0x53, 0xe0, 0x89, 0x73, 0x04, 0xf4);
    poke(b, 0x300fe8, 0x33333333, 4);
    poke(b, 0x305008, 0x22222222, 4);
    poke(b, 0x305108, 0x22222222, 4);
    poke(b, 0x3050e8, 0x33333333, 4);
    for (unsigned i = 0; i < 6; i++) {
        unsigned at = i & 1 ? 8 : 0x108;                        /* [rbx-0x20] is in the page before, or not */
        poke(b, 0x300000 + at, 0, 4);
        poke(b, 0x305004 + at, 0, 4);
        c->regs[X86_RSP] = AT_STACK0;
        c->regs[X86_RBX] = 0x40000000 + at;
        c->regs[X86_RSI] = 0x11111111;
        g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
        g_assert_cmphex(peek(b, 0x300000 + at, 4), ==, 0x11111111);     /* not at the new address */
        g_assert_cmphex(c->regs[X86_RCX], ==, 0x22222222);
        g_assert_cmphex(c->regs[X86_RDX], ==, 0x33333333);
        g_assert_cmphex(peek(b, 0x305004 + at, 4), ==, 0x11111111);
    }
    /* mov eax, [rbx]; inc rcx; mov [rbx], ecx; hlt: the page may be read only */
    PUT(AT_CODE + 0x100, 0x8b, 0x03, 0x48, 0xff, 0xc1, 0x89, 0x0b, 0xf4);
    poke(b, AT_PAGES + 0x4000, 0x300000 | 5, 8);
    c->cr0 |= CR0_WP;
    x86_tlb_flush(c, true);
    for (unsigned i = 0; i < 4; i++) {
        c->regs[X86_RSP] = AT_STACK0;
        c->regs[X86_RBX] = 0x40000008;
        c->regs[X86_RCX] = i;
        g_assert_cmpint(run_at(AT_CODE + 0x100), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RAX], ==, 0x11111111);
        g_assert_cmphex(c->regs[X86_RCX], ==, i + 1);
        g_assert_cmphex(c->cr2, ==, 0x40000008);
        g_assert_cmphex(c->regs[X86_RIP], ==, AT_HANDLER + EXC_PF * 16 + 1);
        g_assert_cmphex(peek(b, 0x300008, 4), ==, 0x11111111);
        c->cr2 = 0;
    }
    finish();
}

/* A block that others are linked to changes, again and again. */
static void test_linked_block_changes(void)
{
    start();
    PUT(AT_CODE, 0xeb, 0x3e);                                           /* jmp AT_CODE + 0x40 */
    PUT(AT_CODE + 0x40, 0xb0, 0, 0xf4);                                 /* mov al, imm; hlt */
    for (unsigned i = 0; i < 20; i++) {
        PUT(AT_CODE + 0x41, (uint8_t)i);
        for (unsigned k = 0; k < 3; k++) {
            g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
            g_assert_cmphex(c->regs[X86_RAX] & 0xff, ==, i);
        }
    }
    finish();
}

/* The third access of a block faults, and later the second of a run of pushes: registers and flags are
 * those of the instruction that faults. */
static void test_fault_in_the_middle(void)
{
    start();
    map_page(0, 0x300000);
    map_page(1, 0);
    PUT(AT_CODE,
        0x48, 0x8b, 0x03,                   /* mov rax, [rbx] */
        0x48, 0xff, 0xc0,                   /* inc rax */
        0x48, 0x89, 0x03,                   /* mov [rbx], rax */
        0x48, 0x83, 0xe8, 0x01,             /* sub rax, 1: flags of its own */
        0x48, 0x89, 0x01,                   /* mov [rcx], rax: faults */
        0x31, 0xc0, 0xf4);                  /* xor eax, eax; hlt */
    PUT(AT_HANDLER + EXC_PF * 16, 0xf4);
    for (unsigned i = 0; i < 3; i++) {
        c->regs[X86_RBX] = 0x40000010;
        c->regs[X86_RCX] = 0x40001000;
        c->regs[X86_RSP] = AT_STACK0;
        poke(b, 0x300010, 0, 8);
        g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
        g_assert_cmphex(c->cr2, ==, 0x40001000);
        g_assert_cmphex(c->regs[X86_RAX], ==, 0);
        g_assert_cmphex(peek(b, 0x300010, 8), ==, 1);
        g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 8), ==, AT_CODE + 13);
        g_assert_cmphex(peek(b, c->regs[X86_RSP] + 24, 4) & FL_STATUS, ==, FL_ZF | FL_PF);
    }
    /* push rax; push rbx; push rcx, of which the second faults, on a stack for that */
    PUT(AT_CODE + 0x100, 0x50, 0x53, 0x51, 0xf4);
    bench_gate(b, AT_IDT + EXC_PF * 16, SYS_INT32, 0, SEL_CODE64, AT_HANDLER + EXC_PF * 16, 1);
    map_page(1, 0x301000);
    for (unsigned i = 0; i < 3; i++) {
        map_page(0, i ? 0 : 0x300000);
        c->regs[X86_RSP] = 0x40001008;
        c->regs[X86_RAX] = 0x1111;
        poke(b, 0x301000, 0, 8);
        g_assert_cmpint(run_at(AT_CODE + 0x100), ==, RUN_HALTED);
        g_assert_cmphex(peek(b, 0x301000, 8), ==, 0x1111);
        if (i) {
            g_assert_cmphex(c->cr2, ==, 0x40000ff8);
            g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 8), ==, AT_CODE + 0x101);
            g_assert_cmphex(peek(b, c->regs[X86_RSP] + 32, 8), ==, 0x40001000);
        } else {
            g_assert_cmphex(c->regs[X86_RSP], ==, 0x40000ff0);
        }
    }
    finish();
}

static gpointer kick(gpointer arg)
{
    g_usleep(20000);
    vcpu_raise(arg, VCPU_STOP);
    return NULL;
}

/* Loops that never leave their code hear a request all the same. */
static void test_loops_hear_requests(void)
{
    start();
    PUT(AT_CODE, 0xeb, 0xfe);                                           /* jmp . */
    PUT(AT_CODE + 0x100, 0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, 0xff, 0xe0);     /* lea rax, [$]; jmp rax */
    PUT(AT_CODE + 0x200, 0xe9, 0xfb, 0x0d, 0, 0);                       /* jmp over to the next page ... */
    PUT(AT_CODE + 0x1000, 0xe9, 0xfb, 0xf1, 0xff, 0xff);                /* ... and back */
    for (unsigned i = 0; i < 3; i++) {
        GThread *t = g_thread_new("kick", kick, &c->vcpu);
        g_assert_cmpint(run_at(AT_CODE + i * 0x100), ==, RUN_REQUEST);
        g_thread_join(t);
        vcpu_lower(&c->vcpu, VCPU_STOP);
    }
    finish();
}

/* ... and show the flags as they are then, although they do not need them themselves. */
static void test_loops_that_are_left_have_flags(void)
{
    start();
    PUT(AT_CODE, 0x81, 0xc1, 0x77, 0x56, 0x34, 0x92, 0xeb, 0xf8);       /* 1: add ecx, 0x92345677; jmp 1b */
    for (unsigned i = 0; i < 4; i++) {
        GThread *t = g_thread_new("kick", kick, &c->vcpu);
        uint16_t cc = 0;
        g_assert_cmpint(run_at(AT_CODE), ==, RUN_REQUEST);
        g_thread_join(t);
        vcpu_lower(&c->vcpu, VCPU_STOP);
        alu_add32((uint32_t)c->regs[X86_RCX] - 0x92345677, 0x92345677, &cc);
        g_assert_cmphex(c->cc, ==, cc);
    }
    finish();
}

/* A block that sets all flags before anybody sees them is jumped to with the old ones in EFLAGS; then it changes
 * to one that reads them. */
static void test_flags_for_a_block_that_changes(void)
{
    start();
    PUT(AT_CODE, 0x39, 0xc3, 0x74, 0x0e, 0xf4);                         /* cmp ebx, eax; je AT_CODE + 0x12; hlt */
    PUT(AT_CODE + 0x100, 0x89, 0x0f, 0xf4);                             /* mov [rdi], ecx; hlt */
    for (unsigned i = 0; i < 6; i++) {
        /* sete cl; hlt; or xor ecx, ecx; nop; hlt: by a store, which drops nothing but what it hits */
        c->regs[X86_RCX] = i & 1 ? 0xf4c1940f : 0xf490c931;
        c->regs[X86_RDI] = AT_CODE + 0x12;
        g_assert_cmpint(run_at(AT_CODE + 0x100), ==, RUN_HALTED);
        for (unsigned k = 0; k < 3; k++) {
            x86_set_rflags(c, FL_1 | FL_SF);
            c->regs[X86_RCX] = 0x55;
            g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
            g_assert_cmphex(c->regs[X86_RCX], ==, i & 1);
        }
    }
    finish();
}

/* OF of a rotation by more than 1 is undefined, but the same for the translator and the interpreter. */
static void test_rotations_are_the_interpreters(void)
{
    static const char *const names[] = { "interp", "dbt,first-runs=0" };
    uint32_t flags[2][32];

    for (unsigned i = 0; i < 2; i++) {
        start_with(names[i]);
        for (unsigned k = 0; k < 32; k++) {
            PUT(AT_CODE, 0xc1, 0xc0 | (k & 1) << 3, 12, 0xf4);          /* rol or ror eax, 12; hlt */
            c->regs[X86_RAX] = k * 0x12345679u;
            x86_set_rflags(c, FL_1 | (k & 2 ? FL_OF : 0));
            g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
            flags[i][k] = x86_rflags(c);
        }
        finish();
    }
    g_assert_cmpmem(flags[0], sizeof(flags[0]), flags[1], sizeof(flags[1]));
}

/* More code than the cache holds, three times over. */
static void test_small_cache(void)
{
    enum { BLOCKS = 4000, STEP = 16 };

    start_with("dbt,first-runs=0,cache-size=64K");
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint64_t at = 0x200000 + i * STEP;
        PUT(at, 0x48, 0x83, 0xc0, 1, 0xe9, STEP - 9, 0, 0, 0);          /* add rax, 1; jmp on */
    }
    PUT(0x200000 + BLOCKS * STEP, 0xf4);
    for (unsigned i = 0; i < 3; i++) {
        c->regs[X86_RAX] = 0;
        g_assert_cmpint(run_at(0x200000), ==, RUN_HALTED);
        g_assert_cmpuint(c->regs[X86_RAX], ==, BLOCKS);
    }
    finish();
}

/* Instructions are counted although the jump at their end leads to a page that is not there. */
static void test_count_before_a_fetch_fault(void)
{
    GError *err = NULL;

    start();
    map_page(0, 0x300000);
    map_page(1, 0);
    PUT(0x300000, 0x90, 0x90, 0x90, 0xe9, 0xf8, 0x0f, 0, 0);            /* nop; nop; nop; jmp page 1 */
    PUT(AT_HANDLER + EXC_PF * 16, 0xf4);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t before = c->insn_count;
        c->regs[X86_RIP] = 0x40000000;
        c->regs[X86_RSP] = AT_STACK0;
        c->vcpu.halted = false;
        g_assert_cmpint(accel->ops->run(accel, &c->vcpu, 1000, &err), ==, RUN_HALTED);
        g_assert_cmphex(c->cr2, ==, 0x40001000);
        g_assert_cmpuint(c->insn_count - before, ==, 6);      /* one more, as the interpreter counts faults */
    }
    finish();
}

/* The budget ends with a jump to a page that is not there: the fault belongs to the next run, as interp has it. */
static void test_budget_before_a_fetch_fault(void)
{
    enum { ROUNDS = 250 };
    GError *err = NULL;

    start();
    map_page(0, 0x300000);
    map_page(1, 0);
    /* mov ecx, ROUNDS; again: nop; nop; dec ecx; jnz again; jmp page 1 */
    PUT(0x300000, 0xb9, ROUNDS, 0, 0, 0, 0x90, 0x90, 0xff, 0xc9, 0x75, 0xfa, 0xe9, 0xf0, 0x0f, 0, 0);
    PUT(AT_HANDLER + EXC_PF * 16, 0xf4);
    for (unsigned i = 0; i < 3; i++) {
        c->regs[X86_RIP] = 0x40000000;
        c->regs[X86_RSP] = AT_STACK0;
        c->cr2 = 0;
        c->vcpu.halted = false;
        g_assert_cmpint(accel->ops->run(accel, &c->vcpu, 1 + ROUNDS * 4 + 1, &err), ==, RUN_BUDGET);
        g_assert_cmphex(c->regs[X86_RIP], ==, 0x40001000);
        g_assert_cmphex(c->cr2, ==, 0);
        g_assert_cmpint(accel->ops->run(accel, &c->vcpu, 1000, &err), ==, RUN_HALTED);
        g_assert_cmphex(c->cr2, ==, 0x40001000);
    }
    finish();
}

/* An interrupt waits that IF keeps out, and an instruction crosses pages: it is executed all the same. */
static void test_across_pages_with_a_masked_interrupt(void)
{
    start();
    map_page(0, 0x300000);
    map_page(1, 0x301000);
    PUT(0x300ffc, 0x90, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xf4);      /* nop; mov rax, 0807060504030201H; hlt */
    c->rflags &= ~(uint64_t)FL_IF;
    vcpu_raise(&c->vcpu, VCPU_INTR);
    for (unsigned i = 0; i < 3; i++) {
        c->regs[X86_RAX] = 0;
        g_assert_cmpint(run_at(0x40000ffc), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RAX], ==, 0x0807060504030201);
    }
    vcpu_lower(&c->vcpu, VCPU_INTR);
    finish();
}

enum { VECTOR = 30, STI_ROUNDS = 20000000 };

static int acknowledge(void *opaque)
{
    vcpu_lower(&c->vcpu, VCPU_INTR);
    return VECTOR;
}

static bool pending(void *opaque) { return true; }

static atomic_bool interrupting;

static void *interrupt_again_and_again(void *arg)
{
    while (atomic_load(&interrupting)) {
        vcpu_raise(&c->vcpu, VCPU_INTR);
        g_usleep(1);
    }
    return NULL;
}

/* Whenever an interrupt comes, it is not between STI and the next instruction. */
static void test_sti_shadow(void)
{
    static const IntCtl intctl = { .acknowledge = acknowledge, .pending = pending };

    start();
    /* mov ecx, STI_ROUNDS; again: cli; sti; nop; nop; dec ecx; jnz again; cli; hlt */
    PUT(AT_CODE, 0xb9, STI_ROUNDS & 0xff, STI_ROUNDS >> 8 & 0xff, STI_ROUNDS >> 16 & 0xff, STI_ROUNDS >> 24, 0xfa, 0xfb,
        0x90, 0x90, 0xff, 0xc9, 0x75, 0xf8, 0xfa, 0xf4);
    /* cmp word [rsp], AT_CODE + 7; sete al; add bl, al; inc rdx; iretq */
    PUT(AT_HANDLER + VECTOR * 16, 0x66, 0x81, 0x3c, 0x24, (AT_CODE + 7) & 0xff, AT_CODE >> 8, 0x0f, 0x94, 0xc0,
        0x00, 0xc3, 0xff, 0xc2, 0x48, 0xcf);
    bench_idt(b, VECTOR, SYS_INT32, 0, SEL_CODE64);
    vcpu_set_intctl(&c->vcpu, &intctl, NULL);
    c->regs[X86_RBX] = c->regs[X86_RDX] = 0;
    c->regs[X86_RSP] = AT_STACK0;
    atomic_store(&interrupting, true);
    GThread *other = g_thread_new("interrupts", interrupt_again_and_again, NULL);
    g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
    atomic_store(&interrupting, false);
    g_thread_join(other);
    g_test_message("%u interrupts", (unsigned)c->regs[X86_RDX]);
    g_assert_cmpuint(c->regs[X86_RDX], >, 0);
    g_assert_cmpuint(c->regs[X86_RBX], ==, 0);
    vcpu_set_intctl(&c->vcpu, NULL, NULL);
    finish();
}

/* Through FS in 32-bit code: with a base, with a limit, and with a base that makes the address wrap. */
static void test_segments_with_a_base(void)
{
    start();
    bench_protected(b, 0);
    /* mov eax, fs:[ebx]; mov fs:[ebx + 4], eax; hlt */
    PUT(AT_CODE, 0x64, 0x8b, 0x03, 0x64, 0x89, 0x43, 0x04, 0xf4);
    PUT(AT_HANDLER + EXC_GP * 16, 0xf4);
    poke(b, 0x300010, 0x12345678, 4);
    for (unsigned i = 0; i < 9; i++) {
        uint32_t base = i % 3 == 1 ? 0x300020 : 0x300000, limit = i % 3 == 2 ? 0x13 : 0xffffffff;
        x86_seg_set(c, X86_FS, SEL_DATA0, base, limit, AR_DATA32);
        c->regs[X86_RBX] = 0x300010u - base;
        c->regs[X86_RAX] = 0;
        c->regs[X86_RSP] = AT_STACK0;
        poke(b, 0x300014, 0, 4);
        g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RAX], ==, 0x12345678);
        g_assert_cmphex(peek(b, 0x300014, 4), ==, limit == 0x13 ? 0 : 0x12345678);     /* #GP */
    }
    finish();
}

/* perf(1) finds the names of blocks where it looks for them. */
static void test_perfmap(void)
{
    g_autofree char *name = g_strdup_printf("/tmp/perf-%d.map", (int)getpid()), *text = NULL;

    start_with("dbt,first-runs=0,perfmap=on");
    PUT(AT_CODE, 0x90, 0xf4);
    g_assert_cmpint(run_at(AT_CODE), ==, RUN_HALTED);
    finish();
    g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, " guest-8000-cpl0\n"));
    g_assert_cmpint(remove(name), ==, 0);
}

/* Requests tell where the time goes. */
static void test_hottest_blocks(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    start();
    PUT(AT_CODE, 0xeb, 0xfe);
    GThread *t = g_thread_new("kick", kick, &c->vcpu);
    g_assert_cmpint(run_at(AT_CODE), ==, RUN_REQUEST);
    g_thread_join(t);
    accel->ops->info(accel, &c->vcpu, text);
    g_assert_nonnull(strstr(text->str, "0000000000008000        1\n"));
    finish();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dbt/target-page-mapped-elsewhere", test_target_page_is_mapped_elsewhere);
    g_test_add_func("/dbt/global-page-mapped-elsewhere", test_global_page_is_mapped_elsewhere);
    g_test_add_func("/dbt/instruction-that-crosses-a-page", test_instruction_that_crosses_a_page);
    g_test_add_func("/dbt/flags-before-what-cannot-be-live", test_flags_before_what_cannot_be_live);
    g_test_add_func("/dbt/shared-probe", test_shared_probe);
    g_test_add_func("/dbt/code-at-two-addresses", test_code_at_two_addresses);
    g_test_add_func("/dbt/linked-block-changes", test_linked_block_changes);
    g_test_add_func("/dbt/fault-in-the-middle", test_fault_in_the_middle);
    g_test_add_func("/dbt/loops-hear-requests", test_loops_hear_requests);
    g_test_add_func("/dbt/loops-that-are-left-have-flags", test_loops_that_are_left_have_flags);
    g_test_add_func("/dbt/flags-for-a-block-that-changes", test_flags_for_a_block_that_changes);
    g_test_add_func("/dbt/rotations-are-the-interpreters", test_rotations_are_the_interpreters);
    g_test_add_func("/dbt/small-cache", test_small_cache);
    g_test_add_func("/dbt/count-before-a-fetch-fault", test_count_before_a_fetch_fault);
    g_test_add_func("/dbt/budget-before-a-fetch-fault", test_budget_before_a_fetch_fault);
    g_test_add_func("/dbt/across-pages-with-a-masked-interrupt", test_across_pages_with_a_masked_interrupt);
    g_test_add_func("/dbt/sti-shadow", test_sti_shadow);
    g_test_add_func("/dbt/segments-with-a-base", test_segments_with_a_base);
    g_test_add_func("/dbt/perfmap", test_perfmap);
    g_test_add_func("/dbt/hottest-blocks", test_hottest_blocks);
    return g_test_run();
}
