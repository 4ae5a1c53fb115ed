/*
 * The loop of our own accelerators: blocks, code that changes, budgets, faults in the middle, breakpoints,
 * requests, single steps, several processors.
 */
#include "accel/accel.h"
#include "target/x86/mem.h"
#include "x86_bench.h"

static Bench *b;
static X86Cpu *c;
static Accel *accel;
static const char *accel_name = "interp";

static void start(void (*mode)(Bench *b))
{
    GError *err = NULL;

    b = bench_new("max");
    c = b->c;
    mode(b);
    accel = accel_open(b->m, accel_name, &err);
    g_assert_no_error(err);
    g_assert_true(accel->ops->vcpu_create(accel, &c->vcpu, &err));
}

static void finish(void)
{
    accel->ops->vcpu_destroy(accel, &c->vcpu);
    accel->ops->destroy(accel);
    bench_free(b);
}

static void long0(Bench *bench) { bench_long(bench, 0); }
static void protected0(Bench *bench) { bench_protected(bench, 0); }

static void put(uint64_t at, const uint8_t *code, size_t len)
{
    g_assert_cmpint(as_write(b->m->mem, at, code, len), ==, MEM_OK);
}
#define PUT(at, ...) put(at, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static RunExit run(uint64_t n)
{
    GError *err = NULL;
    RunExit r = accel->ops->run(accel, &c->vcpu, n, &err);

    g_assert_no_error(err);
    g_assert_null(c->cur);
    return r;
}

/* mov ecx, 1000; 1: add rax, rcx; dec ecx; jnz 1b; jmp . */
static void test_budget_is_exact(void)
{
    start(long0);
    PUT(AT_CODE, 0xb9, 0xe8, 3, 0, 0, 0x48, 1, 0xc8, 0xff, 0xc9, 0x75, 0xf9, 0xeb, 0xfe);
    c->regs[X86_RAX] = 0;
    for (unsigned i = 0; i < 3001; i++) {
        g_assert_cmpint(run(1), ==, RUN_BUDGET);
        g_assert_cmpuint(c->insn_count, ==, i + 1);
    }
    g_assert_cmpuint(c->regs[X86_RAX], ==, 500500);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 12);
    /* The same in one go, and in odd pieces. */
    for (unsigned step = 7; step <= 3001; step += 2994) {
        uint64_t before = c->insn_count;
        c->regs[X86_RIP] = AT_CODE;
        c->regs[X86_RAX] = 0;
        for (unsigned left = 3001; left; left -= MIN(left, step)) {
            g_assert_cmpint(run(MIN(left, step)), ==, RUN_BUDGET);
        }
        g_assert_cmpuint(c->insn_count - before, ==, 3001);
        g_assert_cmpuint(c->regs[X86_RAX], ==, 500500);
        g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 12);
    }
    finish();
}

/* A store changes the very next instruction: it is the new one that runs. */
static void test_code_changes_itself(void)
{
    start(long0);
    /* mov byte [rip+0], 0xff: the next instruction becomes dec eax; before, inc eax (ff c0) */
    PUT(AT_CODE, 0xb8, 10, 0, 0, 0,                     /* mov eax, 10 */
        0xc6, 0x05, 1, 0, 0, 0, 0xc8,                   /* mov byte [rip+1], 0xc8 */
        0xff, 0xc0,                                     /* inc eax, changed to dec eax */
        0xf4);
    g_assert_cmpint(run(100), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 9);
    g_assert_cmpuint(c->insn_count, ==, 4);
    /* Again, the other way: what was decoded is the changed code. */
    c->vcpu.halted = false;
    PUT(AT_CODE + 11, 0xc0);
    c->regs[X86_RIP] = AT_CODE;
    g_assert_cmpint(run(100), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 11);
    finish();
}

/* hlt from another page through a call; the called code is rewritten each time round. */
static void test_code_changes_elsewhere(void)
{
    start(long0);
    PUT(AT_CODE,
        0xb9, 200, 0, 0, 0,                             /* mov ecx, 200 */
        0xbb, 0, 0x80, 1, 0,                            /* mov ebx, AT_DATA */
        0x31, 0xc0,                                     /* xor eax, eax */
        0x88, 0x4b, 1,                                  /* 1: mov [rbx+1], cl */
        0xff, 0xd3,                                     /* call rbx */
        0xff, 0xc9,                                     /* dec ecx */
        0x75, 0xf7,                                     /* jnz 1b */
        0xf4);
    PUT(AT_DATA, 0x83 - 0x83 + 0x04, 0, 0xc3);          /* add al, imm; ret */
    g_assert_cmpint(run(10000), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX] & 0xff, ==, (200 * 201 / 2) & 0xff);
    finish();
}


/* An instruction across two pages, the second of which is mapped elsewhere later, and rewritten. */
static void test_instruction_across_pages(void)
{
    start(long0);
    /* Linear 0x40000000 and on: pages of their own */
    uint64_t at = 0x40000ffd, table = AT_PAGES + 0x3000;
    poke(b, AT_PAGES + 0x1000 + 8, table | 7, 8);
    poke(b, table, (table + 0x1000) | 7, 8);
    poke(b, table + 0x1000, 0x300000 | 7, 8);
    poke(b, table + 0x1008, 0x301000 | 7, 8);
    PUT(0x300ffd, 0xb8, 1, 2);                          /* mov eax, 0x..0201 */
    PUT(0x301000, 3, 4, 0xf4);
    PUT(0x302000, 5, 6, 0xf4);
    for (unsigned i = 0; i < 2; i++) {
        c->vcpu.halted = false;
        c->regs[X86_RIP] = at;
        g_assert_cmpint(run(10), ==, RUN_HALTED);
        g_assert_cmphex(c->regs[X86_RAX], ==, 0x04030201);
    }
    poke(b, table + 0x1008, 0x302000 | 7, 8);
    x86_tlb_flush_page(c, 0x40001000);
    c->vcpu.halted = false;
    c->regs[X86_RIP] = at;
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x06050201);
    PUT(0x302000, 9);                                   /* as a device would */
    c->vcpu.halted = false;
    c->regs[X86_RIP] = at;
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RAX], ==, 0x06090201);
    /* Without the second page: a fetch fault there, of the instruction that began before. */
    poke(b, table + 0x1008, 0, 8);
    x86_tlb_flush_page(c, 0x40001000);
    c->vcpu.halted = false;
    c->regs[X86_RIP] = at;
    run(1);
    assert_in_handler(b, EXC_PF);
    g_assert_cmphex(c->cr2, ==, 0x40001000);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 8), ==, at);
    finish();
}

/* Two neighbouring pages that are the same memory: code that crosses from it into itself. */
static void test_page_next_to_itself(void)
{
    start(long0);
    uint64_t table = AT_PAGES + 0x3000;
    poke(b, AT_PAGES + 0x1000 + 8, table | 7, 8);
    poke(b, table, (table + 0x1000) | 7, 8);
    for (unsigned i = 0; i < 512; i++) {
        poke(b, table + 0x1000 + i * 8, 0x300000 | 7, 8);
    }
    PUT(0x300ffe, 0xb0, 7);                             /* mov al, 7: ends the page */
    PUT(0x300000, 0x04, 1, 0xe9, 0xf5, 0x0f, 0, 0);     /* add al, 1; jmp 0xffc of the next page */
    PUT(0x300ffc, 0x66, 0x05, 0x90, 0x90);              /* add ax, imm16, and then on into the page */
    PUT(0x300fff, 0xb8);                                /* mov eax, imm32 across */
    for (unsigned i = 0; i < 20; i++) {
        c->regs[X86_RIP] = 0x40000fff;
        run(3);
        PUT(0x300000, (uint8_t)i);
    }
    finish();
}

/* REP MOVS into a page that is not there: registers tell exactly how far it came. */
static void test_rep_faults_in_the_middle(void)
{
    start(long0);
    uint64_t table = AT_PAGES + 0x3000;
    poke(b, AT_PAGES + 0x1000 + 8, table | 7, 8);
    poke(b, table, (table + 0x1000) | 7, 8);
    poke(b, table + 0x1000, 0x300000 | 7, 8);
    for (unsigned i = 0; i < 0x2000; i++) {
        poke(b, 0x310000 + i, i * 7 & 0xff, 1);
    }
    PUT(AT_CODE, 0xf3, 0x48, 0xa5, 0xf4);
    c->regs[X86_RSI] = 0x310001;
    c->regs[X86_RDI] = 0x40000004;
    c->regs[X86_RCX] = 1000;
    c->regs[X86_RIP] = AT_CODE;
    run(1);
    assert_in_handler(b, EXC_PF);
    g_assert_cmphex(c->cr2, ==, 0x40001000);
    g_assert_cmpuint(c->regs[X86_RCX], ==, 1000 - 511);
    g_assert_cmphex(c->regs[X86_RDI], ==, 0x40000ffc);
    g_assert_cmphex(c->regs[X86_RSI], ==, 0x310001 + 511 * 8);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 8, 8), ==, AT_CODE);
    for (unsigned i = 0; i < 511 * 8; i++) {
        g_assert_cmphex(peek(b, 0x300004 + i, 1), ==, (i + 1) * 7 & 0xff);
    }
    g_assert_cmphex(peek(b, 0x300ffc, 4), ==, 0);       /* nothing of the element that faulted */
    finish();
}

/* Overlap: upwards a pattern spreads, downwards it is a plain move. */
static void test_rep_overlap(void)
{
    start(protected0);
    PUT(0x300000, 1, 2, 3, 4, 5, 6, 7, 8);
    PUT(AT_CODE, 0xf3, 0xa4, 0xf4);
    c->regs[X86_RSI] = 0x300000;
    c->regs[X86_RDI] = 0x300003;
    c->regs[X86_RCX] = 20;
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    for (unsigned i = 0; i < 23; i++) {
        g_assert_cmphex(peek(b, 0x300000 + i, 1), ==, i % 3 + 1);
    }
    PUT(0x300000, 1, 2, 3, 4, 5, 6, 7, 8);
    c->vcpu.halted = false;
    c->regs[X86_RIP] = AT_CODE;
    c->rflags |= FL_DF;
    c->regs[X86_RSI] = 0x300007;
    c->regs[X86_RDI] = 0x30000a;
    c->regs[X86_RCX] = 8;
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(peek(b, 0x300003 + i, 1), ==, i + 1);
    }
    g_assert_cmphex(c->regs[X86_RSI], ==, 0x2fffff);
    g_assert_cmpuint(c->regs[X86_RCX], ==, 0);
    finish();
}

/* Pages that share a slot of the TLB: copied page by page all the same, upwards and downwards. */
static void test_rep_between_pages_of_one_slot(void)
{
    enum { FROM = 0x200000, TO = FROM + X86_TLB_LEAST * PAGE_SIZE, BYTES = 3 * PAGE_SIZE, MOST_MISSES = 30 };
    uint64_t before, misses, flushes;

    for (unsigned down = 0; down < 2; down++) {
        start(protected0);
        x86_tlb_resize(c, X86_TLB_LEAST);
        for (unsigned i = 0; i < BYTES; i += 4) {
            poke(b, FROM + i, 0x12345678u * (i + 1), 4);
        }
        PUT(AT_CODE, 0xf3, 0xa5, 0xf4);
        c->rflags |= down ? FL_DF : 0;
        c->regs[X86_RSI] = FROM + (down ? BYTES - 4 : 0);
        c->regs[X86_RDI] = TO + (down ? BYTES - 4 : 0);
        c->regs[X86_RCX] = BYTES / 4;
        x86_mmu_stats(c, &before, &flushes);
        g_assert_cmpint(run(10), ==, RUN_HALTED);
        x86_mmu_stats(c, &misses, &flushes);
        g_assert_cmpuint(misses - before, <, MOST_MISSES);
        g_assert_cmphex(c->regs[X86_RDI], ==, down ? TO - 4 : TO + BYTES);
        for (unsigned i = 0; i < BYTES; i += 4) {
            g_assert_cmphex(peek(b, TO + i, 4), ==, 0x12345678u * (i + 1));
        }
        finish();
    }
}

/* A long REP STOS over code and data, in 16-bit addresses that wrap. */
static void test_rep_wraps(void)
{
    start(bench_real);
    PUT(AT_CODE, 0xf3, 0xaa, 0xf4);
    c->regs[X86_RAX] = 0x5a;
    c->regs[X86_RDI] = 0xfff0;
    c->regs[X86_RCX] = 0x20;
    for (unsigned i = 0; i < 0x20; i++) {
        poke(b, 0x10000 + i, 0, 1);
    }
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RDI] & 0xffff, ==, 0x10);
    g_assert_cmphex(peek(b, 0xfff0, 8), ==, 0x5a5a5a5a5a5a5a5aull);
    g_assert_cmphex(peek(b, 8, 8), ==, 0x5a5a5a5a5a5a5a5aull);
    g_assert_cmphex(peek(b, 0x10000, 8), ==, 0);
    finish();
}

/* RFLAGS.TF: #DB behind every instruction, one element of a REP at a time. */
static void test_single_step(void)
{
    start(long0);
    PUT(AT_CODE, 0xff, 0xc0, 0xff, 0xc0, 0xf3, 0xaa);
    c->regs[X86_RDI] = 0x300000;
    c->regs[X86_RCX] = 2;
    c->regs[X86_RAX] = 0;
    static const uint64_t rips[] = { AT_CODE + 2, AT_CODE + 4, AT_CODE + 4, AT_CODE + 6 };
    for (unsigned i = 0; i < G_N_ELEMENTS(rips); i++) {
        x86_set_rflags(c, FL_TF);
        run(1);
        run(1);                                         /* the trap is taken; its handler's first */
        g_assert_cmphex(peek(b, c->regs[X86_RSP] + 0, 8), ==, rips[i]);
        g_assert_cmphex(c->dr[6] & 0x4000, ==, 0x4000);
        c->regs[X86_RIP] = rips[i];
        c->regs[X86_RSP] = AT_STACK0;
    }
    g_assert_cmphex(c->regs[X86_RAX], ==, 2);
    finish();
}

/* An interrupt waits for the instruction behind STI. */
static void test_sti_shadow(void)
{
    start(long0);
    PUT(AT_CODE, 0xfb, 0xff, 0xc0, 0xff, 0xc0);
    c->regs[X86_RAX] = 0;
    vcpu_raise(&c->vcpu, VCPU_NMI);
    c->nmi_blocked = true;
    c->sti_shadow = false;
    x86_set_rflags(c, 0);
    g_assert_cmpint(run(1), ==, RUN_BUDGET);
    g_assert_true(c->sti_shadow);
    c->nmi_blocked = false;
    g_assert_cmpint(run(1), ==, RUN_BUDGET);
    g_assert_cmphex(c->regs[X86_RAX], ==, 1);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 3);
    g_assert_false(c->sti_shadow);
    PUT(AT_HANDLER + EXC_NMI * 16, 0x90);
    run(1);
    g_assert_cmphex(c->regs[X86_RIP], ==, AT_HANDLER + EXC_NMI * 16 + 1);
    finish();
}

static void test_breakpoints(void)
{
    start(long0);
    PUT(AT_CODE, 0xff, 0xc0, 0xff, 0xc0, 0xff, 0xc0, 0xeb, 0xf8);
    c->regs[X86_RAX] = 0;
    run(30);
    c->regs[X86_RIP] = AT_CODE;
    c->regs[X86_RAX] = 0;
    g_assert_true(accel->ops->set_breakpoint(accel, AT_CODE + 4, true));
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(run(100), ==, RUN_DEBUG);
        g_assert_cmphex(c->regs[X86_RIP], ==, AT_CODE + 4);
        g_assert_cmpuint(c->regs[X86_RAX], ==, 2 + 3 * i);
    }
    g_assert_true(accel->ops->set_breakpoint(accel, AT_CODE + 4, false));
    g_assert_cmpint(run(100), ==, RUN_BUDGET);
    finish();
}

/* A jump beyond CS's limit is a fault of the jump; running beyond it one of what would be next. */
static void test_code_limit(void)
{
    start(protected0);
    c->seg[X86_CS].limit = AT_CODE + 3;
    x86_seg_changed(c, X86_CS);
    PUT(AT_CODE, 0xeb, 0x10, 0x90, 0x90, 0x90);
    run(1);
    assert_in_handler(b, EXC_GP);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 4, 4), ==, AT_CODE);
    finish();

    start(protected0);
    c->seg[X86_CS].limit = AT_CODE + 2;
    x86_seg_changed(c, X86_CS);
    PUT(AT_CODE, 0x40, 0x40, 0xb8, 1, 2, 3, 4);         /* inc eax; inc eax; mov eax, imm32 */
    c->regs[X86_RAX] = 0;
    run(3);
    assert_in_handler(b, EXC_GP);
    g_assert_cmpuint(c->regs[X86_RAX], ==, 2);
    g_assert_cmphex(peek(b, c->regs[X86_RSP] + 4, 4), ==, AT_CODE + 2);
    finish();
}

/* Bytes that are no instruction raise #UD, and are looked at again when they have changed. */
static void test_undefined(void)
{
    start(long0);
    PUT(AT_CODE, 0xff, 0xc0, 0x06, 0xf4);               /* inc eax; push es, which long mode has not */
    c->regs[X86_RAX] = 0;
    run(2);
    assert_in_handler(b, EXC_UD);
    g_assert_cmphex(peek(b, c->regs[X86_RSP], 8), ==, AT_CODE + 2);
    PUT(AT_CODE + 2, 0x90);
    c->regs[X86_RIP] = AT_CODE;
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    g_assert_cmpuint(c->regs[X86_RAX], ==, 2);
    finish();
}

/* Device registers as code: every byte is read each time. */
static uint64_t code_read(void *dev, hwaddr off, unsigned size) { return off < 3 ? 0x90 : 0xf4; }

static void test_code_in_registers(void)
{
    static const RegionOps ops = { .read = code_read, .size_max = 1 };
    Region io;

    start(long0);
    machine_lock(b->m);
    memory_begin(b->m->mem);
    region_init_io(&io, "code", 0x1000, &ops, NULL);
    region_map(&b->m->mem_root, 0x10000000, &io, 0);
    memory_commit(b->m->mem);
    machine_unlock(b->m);
    c->regs[X86_RIP] = 0x10000000;
    g_assert_cmpint(run(10), ==, RUN_HALTED);
    g_assert_cmphex(c->regs[X86_RIP], ==, 0x10000004);
    machine_lock(b->m);
    region_unmap(&io);
    region_fini(&io);
    machine_unlock(b->m);
    finish();
}

/* ---- two processors ---- */

typedef struct Other { X86Cpu *c; uint64_t n; } Other;

static gpointer run_other(gpointer arg)
{
    Other *o = arg;
    GError *err = NULL;

    vcpu_set_current(&o->c->vcpu);
    while (!o->c->vcpu.halted && accel->ops->run(accel, &o->c->vcpu, 100000, &err) == RUN_BUDGET) {
    }
    vcpu_set_current(NULL);
    return NULL;
}

/* Both count to 100000 in the same words, locked; unaligned and across pages too. */
static void test_locked_counters(void)
{
    GError *err = NULL;

    start(long0);
    X86Cpu *second = x86_cpu_new(b->m, 1, "max", &err);
    g_assert_no_error(err);
    g_ptr_array_add(b->m->vcpus, second);
    g_assert_true(accel->ops->vcpu_create(accel, &second->vcpu, &err));
    PUT(AT_CODE,
        0xb9, 0xa0, 0x86, 1, 0,                         /* mov ecx, 100000 */
        0xf0, 0xff, 0x03,                               /* 1: lock inc dword [rbx] */
        0xf0, 0x48, 0x83, 0x43, 0x11, 3,                /* lock add qword [rbx+0x11], 3 */
        0xf0, 0x48, 0x83, 0x83, 0xfd, 0x0f, 0, 0, 1,    /* lock add qword [rbx+0xffd], 1 */
        0xba, 1, 0, 0, 0,                               /* mov edx, 1 */
        0xf0, 0x0f, 0xc1, 0x53, 0x20,                   /* lock xadd [rbx+0x20], edx */
        0x8b, 0x43, 0x28,                               /* 2: mov eax, [rbx+0x28] */
        0x8d, 0x50, 1,                                  /* lea edx, [rax+1] */
        0xf0, 0x0f, 0xb1, 0x53, 0x28,                   /* lock cmpxchg [rbx+0x28], edx */
        0x75, 0xf3,                                     /* jne 2b */
        0xff, 0xc9,                                     /* dec ecx */
        0x75, 0xd3,                                     /* jne 1b */
        0xf4);
    c->regs[X86_RBX] = 0x300000;
    memcpy(second->regs, c->regs, sizeof(c->regs));
    memcpy(second->seg, c->seg, sizeof(c->seg));
    second->gdt.base = c->gdt.base;
    second->gdt.limit = c->gdt.limit;
    second->cr0 = c->cr0;
    second->cr3 = c->cr3;
    second->cr4 = c->cr4;
    second->efer = c->efer;
    second->cpl = 0;
    second->wait_sipi = second->vcpu.halted = false;
    x86_mode_changed(second);
    Other o[2] = { { c, 0 }, { second, 0 } };
    GThread *t[2] = { g_thread_new("cpu0", run_other, &o[0]), g_thread_new("cpu1", run_other, &o[1]) };
    g_thread_join(t[0]);
    g_thread_join(t[1]);
    g_assert_true(c->vcpu.halted && second->vcpu.halted);
    g_assert_cmpuint(peek(b, 0x300000, 4), ==, 200000);
    g_assert_cmpuint(peek(b, 0x300011, 8), ==, 600000);
    g_assert_cmpuint(peek(b, 0x300ffd, 8), ==, 200000);
    g_assert_cmpuint(peek(b, 0x300020, 4), ==, 200000);
    g_assert_cmpuint(peek(b, 0x300028, 4), ==, 200000);
    accel->ops->vcpu_destroy(accel, &second->vcpu);
    g_ptr_array_remove(b->m->vcpus, second);
    x86_cpu_free(second);
    finish();
}

/* Who steps over the last byte of 4 GiB sees EIP at 0 at once; what is done there returns to 0. */
static void test_step_over_4g(void)
{
    static void (*const modes[])(Bench *bench) = { protected0, long0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        X86Desc d;

        start(modes[i]);
        bench_desc(b, AT_GDT, SEL_FREE, AT_DATA, ~0u, AR_CODE32);
        g_assert_true(x86_desc_find(c, SEL_FREE, &d));
        x86_seg_set_desc(c, X86_CS, SEL_FREE, &d);
        x86_mode_changed(c);
        PUT(AT_DATA - 1, 0x90, 0x90, 0xeb, 0xfe);       /* nop; 0: nop; jmp . */
        for (unsigned steps = 1; steps <= 2; steps++) { /* decoded now; found again */
            c->regs[X86_RIP] = UINT32_MAX;
            g_assert_cmpint(run(1), ==, RUN_BUDGET);
            g_assert_cmphex(c->regs[X86_RIP], ==, 0);
            g_assert_cmpint(run(1), ==, RUN_BUDGET);
            g_assert_cmphex(c->regs[X86_RIP], ==, 1);
        }
        PUT(AT_DATA - 2, 0xcd, 0x80);                   /* int 0x80 */
        c->regs[X86_RIP] = UINT32_MAX - 1;
        g_assert_cmpint(run(1), ==, RUN_BUDGET);
        assert_in_handler(b, 0x80);
        g_assert_cmphex(peek(b, c->regs[X86_RSP], x86_long_mode(c) ? 8 : 4), ==, 0);
        finish();
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc > 1) {
        accel_name = argv[1];
    }
    g_test_add_func("/interp/budget", test_budget_is_exact);
    g_test_add_func("/interp/smc-next", test_code_changes_itself);
    g_test_add_func("/interp/smc-elsewhere", test_code_changes_elsewhere);
    g_test_add_func("/interp/across-pages", test_instruction_across_pages);
    g_test_add_func("/interp/page-next-to-itself", test_page_next_to_itself);
    g_test_add_func("/interp/rep-fault", test_rep_faults_in_the_middle);
    g_test_add_func("/interp/rep-overlap", test_rep_overlap);
    g_test_add_func("/interp/rep-between-pages-of-one-slot", test_rep_between_pages_of_one_slot);
    g_test_add_func("/interp/rep-wrap", test_rep_wraps);
    g_test_add_func("/interp/single-step", test_single_step);
    g_test_add_func("/interp/sti-shadow", test_sti_shadow);
    g_test_add_func("/interp/breakpoints", test_breakpoints);
    g_test_add_func("/interp/code-limit", test_code_limit);
    g_test_add_func("/interp/step-over-4g", test_step_over_4g);
    g_test_add_func("/interp/undefined", test_undefined);
    g_test_add_func("/interp/code-in-registers", test_code_in_registers);
    g_test_add_func("/interp/locked-counters", test_locked_counters);
    return g_test_run();
}
