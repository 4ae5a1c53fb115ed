/*
 * Page walks and the TLB: rights and error codes in every paging mode, A and D, flushes, accesses that
 * cross pages, device registers, ROM, A20 (SDM volume 3A chapter 4).
 */
#include "x86_bench.h"

#include "target/x86/mem.h"

static Bench *b;
static X86Cpu *c;

/* Page tables of the tests lie here; pages they map from AT_FRAMES on. */
enum { AT_TABLES = 0x200000, AT_FRAMES = 0x300000 };
enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)

typedef struct Access { uint64_t linear, value; unsigned size; bool write, fetch, sys; } Access;

static void do_access(X86Cpu *cpu, void *arg)
{
    Access *a = arg;
    hwaddr gpa;

    if (a->fetch) {
        x86_fetch_page(cpu, a->linear, &gpa, NULL);
        a->value = gpa;
    } else if (a->write) {
        (a->sys ? x86_st_sys : x86_st)(cpu, a->linear, a->value, a->size);
    } else {
        a->value = (a->sys ? x86_ld_sys : x86_ld)(cpu, a->linear, a->size);
    }
}

/* -1, or vector << 16 | error code. */
static int outcome(Access a, uint64_t *value)
{
    int v;

    c->cur = NULL;
    c->exc.error = 0;
    c->exc.delivering = -1;
    v = bench_call(b, do_access, &a);
    if (value) {
        *value = a.value;
    }
    return v < 0 ? -1 : v << 16 | (int)c->exc.error;
}

static int load(uint64_t at) { return outcome((Access){ .linear = at, .size = 4 }, NULL); }
static int store(uint64_t at) { return outcome((Access){ .linear = at, .size = 4, .write = true }, NULL); }
static int fetch(uint64_t at) { return outcome((Access){ .linear = at, .fetch = true }, NULL); }

static uint64_t value_at(uint64_t at)
{
    uint64_t v;

    g_assert_cmpint(outcome((Access){ .linear = at, .size = 4 }, &v), ==, -1);
    return v;
}

#define PF(bits) (EXC_PF << 16 | (bits))
#define FAULTS(call, bits) g_assert_cmphex(call, ==, PF(bits))
#define WORKS(call) g_assert_cmpint(call, ==, -1)

static void setup(void (*mode)(Bench *bench, unsigned cpl), unsigned cpl)
{
    b = bench_new("max");
    c = b->c;
    mode(b, cpl);
    for (unsigned i = 0; i < 16; i++) {
        poke(b, AT_FRAMES + i * PAGE_SIZE, 0x1000 + i, 4);
    }
}

static void set_cpl(unsigned cpl)
{
    c->cpl = cpl;
    x86_mode_changed(c);
}

static uint64_t frame(unsigned i) { return AT_FRAMES + i * PAGE_SIZE; }

/* ---- 32-bit paging ---- */

static void paging32(void)
{
    setup(bench_protected, 0);
    poke(b, AT_TABLES, (AT_TABLES + 0x1000) | P | W | U, 4);        /* directory entry 0 */
    poke(b, AT_TABLES + 4, (AT_TABLES + 0x1000) | P | U, 4);        /* 1: no writes */
    poke(b, AT_TABLES + 8, (AT_TABLES + 0x1000) | P | W, 4);        /* 2: supervisor */
    poke(b, AT_TABLES + 0x1000, frame(0) | P | W | U, 4);
    poke(b, AT_TABLES + 0x1004, frame(1) | P | U, 4);
    poke(b, AT_TABLES + 0x1008, frame(2) | P | W, 4);
    poke(b, AT_TABLES + 0x100c, 0, 4);
    g_assert_true(x86_write_cr3(c, AT_TABLES));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET | CR0_PG));
}

static void test_32_rights(void)
{
    paging32();
    g_assert_cmphex(value_at(0), ==, 0x1000);
    g_assert_cmphex(value_at(0x1000), ==, 0x1001);
    WORKS(store(0x1000));                       /* supervisor, WP clear */
    FAULTS(load(0x3000), 0);
    g_assert_cmphex(c->exc.cr2, ==, 0x3000);
    FAULTS(store(0x3008), PF_W);
    FAULTS(fetch(0x3000), 0);                   /* no NX, no SMEP: fetches are not told apart */
    g_assert_true(x86_write_cr0(c, c->cr0 | CR0_WP));
    FAULTS(store(0x1000), PF_P | PF_W);
    FAULTS(store(0x400000), PF_P | PF_W);       /* the directory forbids */
    WORKS(load(0x400000));
    set_cpl(3);
    WORKS(load(0x1000));
    FAULTS(store(0x1000), PF_P | PF_W | PF_U);
    FAULTS(load(0x2000), PF_P | PF_U);
    FAULTS(store(0x2000), PF_P | PF_W | PF_U);
    FAULTS(load(0x800000), PF_P | PF_U);
    FAULTS(load(0x3000), PF_U);
    WORKS(store(0));
    bench_free(b);
}

static void test_32_accessed_dirty(void)
{
    paging32();
    poke(b, AT_TABLES + 0x1000, frame(0) | P | W | U, 4);
    g_assert_cmphex(peek(b, AT_TABLES + 4, 4) & A, ==, 0);
    WORKS(load(0x400000));
    g_assert_cmphex(peek(b, AT_TABLES + 4, 4) & (A | D), ==, A);
    g_assert_cmphex(peek(b, AT_TABLES + 0x1000, 4) & (A | D), ==, A);
    WORKS(store(0));                            /* the TLB holds a clean page: D is set now */
    g_assert_cmphex(peek(b, AT_TABLES + 0x1000, 4) & (A | D), ==, A | D);
    g_assert_cmphex(peek(b, AT_TABLES, 4) & (A | D), ==, A);
    FAULTS(load(0x3000), 0);
    g_assert_cmphex(peek(b, AT_TABLES + 0x100c, 4), ==, 0);
    bench_free(b);
}

static void test_32_large(void)
{
    paging32();
    poke(b, AT_TABLES + 12, 0 | P | W | U | PS, 4);             /* 3: 4 MiB at 0 */
    FAULTS(load(0xc00000 + AT_FRAMES), 0);                      /* PSE is off: a table at 0 */
    g_assert_true(x86_write_cr4(c, CR4_PSE));
    g_assert_cmphex(value_at(0xc00000 + frame(5)), ==, 0x1005);
    WORKS(store(0xc00000 + frame(5)));
    g_assert_cmphex(peek(b, AT_TABLES + 12, 4) & (A | D), ==, A | D);
    poke(b, AT_TABLES + 16, 1 << 21 | P | W | U | PS, 4);
    FAULTS(load(0x1000000), PF_P | PF_RSVD);
    poke(b, AT_TABLES + 20, 1 << 13 | P | W | U | PS, 4);       /* PSE-36: at 4 GiB, where nothing is */
    g_assert_cmphex(value_at(0x1400000), ==, 0xffffffff);
    bench_free(b);
}

/* ---- PAE ---- */

static void paging_pae(void)
{
    setup(bench_protected, 0);
    poke(b, AT_TABLES, (AT_TABLES + 0x1000) | P, 8);
    poke(b, AT_TABLES + 8, 0, 8);
    poke(b, AT_TABLES + 0x1000, (AT_TABLES + 0x2000) | P | W | U, 8);
    poke(b, AT_TABLES + 0x1008, AT_TABLES | P | W | U | PS, 8); /* 2 MiB at AT_TABLES */
    for (unsigned i = 0; i < 8; i++) {
        poke(b, AT_TABLES + 0x2000 + i * 8, frame(i) | P | W | U, 8);
    }
    g_assert_true(x86_write_cr4(c, CR4_PAE));
    g_assert_true(x86_write_cr3(c, AT_TABLES));
    g_assert_true(x86_write_efer(c, EFER_NXE));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET | CR0_PG | CR0_WP));
}

static void test_pae(void)
{
    paging_pae();
    g_assert_cmphex(value_at(0x3000), ==, 0x1003);
    g_assert_cmphex(value_at(0x300000), ==, 0x1000);            /* through the large page */
    FAULTS(load(0x40000000), 0);                                /* PDPTE 1 */
    poke(b, AT_TABLES + 0x2000 + 8, frame(1) | P | W | U | NX, 8);
    WORKS(load(0x1000));
    FAULTS(fetch(0x1000), PF_P | PF_I);
    set_cpl(3);
    FAULTS(fetch(0x1000), PF_P | PF_I | PF_U);
    FAULTS(fetch(0x400000), PF_I | PF_U);
    WORKS(fetch(0x2000));
    set_cpl(0);
    poke(b, AT_TABLES + 0x2000 + 16, frame(2) | P | W | U | 1ull << 55, 8);
    x86_tlb_flush_page(c, 0x2000);
    FAULTS(load(0x2000), PF_P | PF_RSVD);
    FAULTS(store(0x2000), PF_P | PF_RSVD | PF_W);
    poke(b, AT_TABLES + 0x2000 + 24, frame(3) | P | W | U | (c->phys_mask + 1), 8);
    x86_tlb_flush_page(c, 0x3000);
    FAULTS(load(0x3000), PF_P | PF_RSVD);
    g_assert_true(x86_write_efer(c, 0));                        /* NX is a reserved bit now */
    x86_tlb_flush(c, true);
    FAULTS(load(0x1000), PF_P | PF_RSVD);
    FAULTS(fetch(0x400000), 0);
    bench_free(b);
}

/* ---- four levels ---- */

static const uint64_t high = 0xffff800000000000ull;

static void paging64(unsigned cpl)
{
    setup(bench_long, cpl);
    /* The upper half: entry 256; its first 2 MiB from AT_FRAMES page by page, then large pages. */
    poke(b, AT_PAGES + 256 * 8, AT_TABLES | P | W | U, 8);
    poke(b, AT_TABLES, (AT_TABLES + 0x1000) | P | W | U, 8);
    poke(b, AT_TABLES + 8, 0 | P | W | U | PS, 8);              /* 1 GiB at 0 */
    poke(b, AT_TABLES + 0x1000, (AT_TABLES + 0x2000) | P | W | U, 8);
    poke(b, AT_TABLES + 0x1008, 0x200000 | P | W | U | PS, 8);
    for (unsigned i = 0; i < 16; i++) {
        poke(b, AT_TABLES + 0x2000 + i * 8, frame(i) | P | W | U, 8);
    }
    x86_tlb_flush(c, true);
}

static void test_64_sizes(void)
{
    paging64(0);
    g_assert_cmphex(value_at(high + 0x4000), ==, 0x1004);
    g_assert_cmphex(value_at(high + 0x200000 + frame(6) - 0x200000), ==, 0x1006);
    g_assert_cmphex(value_at(high + (1ull << 30) + frame(7)), ==, 0x1007);
    poke(b, AT_TABLES + 16, 0x2000 | P | W | PS, 8);            /* 1 GiB, not aligned */
    FAULTS(load(high + (2ull << 30)), PF_P | PF_RSVD);
    poke(b, AT_PAGES + 257 * 8, AT_TABLES | P | W | PS, 8);     /* no 512 GiB pages */
    FAULTS(load(high + (1ull << 39)), PF_P | PF_RSVD);
    g_assert_cmphex(load(1ull << 47), ==, EXC_GP << 16);
    g_assert_cmphex(store(high - 1), ==, EXC_GP << 16);
    g_assert_cmphex(load(0x7ffffffffffe), ==, EXC_GP << 16);    /* its end is not canonical */
    g_assert_cmphex(fetch(1ull << 47), ==, EXC_GP << 16);
    /* So it is for a descriptor that begins in the last page below. */
    poke(b, AT_PAGES + 255 * 8, (AT_PAGES + 0x1000) | P | W | U, 8);
    poke(b, AT_PAGES + 0x1000 + 511 * 8, 0xc0000000 | P | W | U | PS, 8);
    WORKS(outcome((Access){ .linear = 0x7ffffffffff8, .size = 8, .sys = true }, NULL));
    g_assert_cmphex(outcome((Access){ .linear = 0x7ffffffffffc, .size = 8, .sys = true }, NULL), ==, EXC_GP << 16);
    g_assert_cmphex(outcome((Access){ .linear = 0x7ffffffffffc, .size = 8, .sys = true, .write = true }, NULL), ==,
                    EXC_GP << 16);
    bench_free(b);
}

static void test_smep_smap(void)
{
    paging64(0);
    poke(b, AT_TABLES + 0x2000 + 8, frame(1) | P | W, 8);       /* supervisor's own */
    WORKS(fetch(high));
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_SMEP));
    x86_tlb_flush(c, true);
    FAULTS(fetch(high), PF_P | PF_I);
    WORKS(load(high));
    poke(b, AT_PAGES + 256 * 8, AT_TABLES | P | W | U, 8);
    WORKS(fetch(high + 0x1000));
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_SMAP));
    FAULTS(load(high), PF_P);
    FAULTS(store(high), PF_P | PF_W);
    WORKS(store(high + 0x1000));
    c->rflags |= FL_AC;
    WORKS(load(high));
    WORKS(store(high));
    /* Accesses to descriptor tables do not heed AC. */
    FAULTS(outcome((Access){ .linear = high, .size = 4, .sys = true }, NULL), PF_P);
    c->rflags &= ~FL_AC;
    FAULTS(load(high), PF_P);
    set_cpl(3);
    WORKS(load(high));
    FAULTS(load(high + 0x1000), PF_P | PF_U);
    WORKS(outcome((Access){ .linear = high + 0x1000, .size = 4, .sys = true }, NULL));
    bench_free(b);
}

static void test_protection_keys(void)
{
    paging64(3);
    poke(b, AT_TABLES + 0x2000, frame(0) | P | W | U | 5ull << 59, 8);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_PKE));
    x86_write_pkru(c, 2 << 10);                                 /* key 5: no writes */
    WORKS(load(high));
    FAULTS(store(high), PF_P | PF_W | PF_U | PF_PK);
    x86_write_pkru(c, 0);
    WORKS(store(high));
    x86_write_pkru(c, 2 << 10);                                 /* the TLB knew of a right that is gone */
    FAULTS(store(high), PF_P | PF_W | PF_U | PF_PK);
    x86_write_pkru(c, 1 << 10);                                 /* no access */
    FAULTS(load(high), PF_P | PF_U | PF_PK);
    WORKS(fetch(high));
    bench_free(b);
}

/* Rights that go while another PCID is in use are gone in the first as well. */
static void test_protection_keys_of_other_pcids(void)
{
    paging64(0);
    poke(b, AT_TABLES + 0x2000, frame(0) | P | W | U | 3ull << 59, 8);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_PKE | CR4_PCIDE));
    g_assert_true(x86_write_cr3(c, AT_PAGES | 1));
    set_cpl(3);
    WORKS(store(high));
    g_assert_true(x86_write_cr3(c, AT_PAGES | 2));
    x86_write_pkru(c, 1 << 6);
    g_assert_true(x86_write_cr3(c, 1ull << 63 | AT_PAGES | 1));
    FAULTS(store(high), PF_P | PF_W | PF_U | PF_PK);
    bench_free(b);
}

static void test_alignment_check(void)
{
    paging64(3);
    WORKS(load(high + 1));
    c->cr0 |= CR0_AM;
    WORKS(load(high + 1));
    c->rflags |= FL_AC;
    g_assert_cmphex(load(high + 1), ==, EXC_AC << 16);
    g_assert_cmphex(store(high + 2), ==, EXC_AC << 16);
    WORKS(load(high + 4));
    WORKS(outcome((Access){ .linear = high + 1, .size = 1 }, NULL));
    bench_free(b);
}

/* ---- the TLB ---- */

static void test_flushes(void)
{
    paging64(0);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_PGE));
    poke(b, AT_TABLES + 0x2000 + 8, frame(1) | P | W | U | G, 8);
    g_assert_cmphex(value_at(high), ==, 0x1000);
    g_assert_cmphex(value_at(high + 0x1000), ==, 0x1001);
    poke(b, AT_TABLES + 0x2000, frame(8) | P | W | U, 8);
    poke(b, AT_TABLES + 0x2000 + 8, frame(9) | P | W | U | G, 8);
    g_assert_cmphex(value_at(high), ==, 0x1000);                /* still the old ones */
    x86_tlb_flush(c, false);
    g_assert_cmphex(value_at(high), ==, 0x1008);
    g_assert_cmphex(value_at(high + 0x1000), ==, 0x1001);       /* a global page stays */
    x86_tlb_flush_page(c, high + 0x1000);
    g_assert_cmphex(value_at(high + 0x1000), ==, 0x1009);
    poke(b, AT_TABLES + 0x2000 + 8, frame(1) | P | W | U | G, 8);
    x86_tlb_flush(c, true);
    g_assert_cmphex(value_at(high + 0x1000), ==, 0x1001);
    bench_free(b);
}

/* Each PCID keeps what it knew, code included, until it is flushed (4.10.1). */
static void test_pcids(void)
{
    paging64(0);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_PCIDE));
    g_assert_true(x86_write_cr3(c, AT_PAGES | 1));
    g_assert_cmphex(value_at(high), ==, 0x1000);
    WORKS(fetch(high + 0x1000));
    uint64_t gen = c->fetch_gen;
    poke(b, AT_TABLES + 0x2000, frame(8) | P | W | U, 8);
    g_assert_true(x86_write_cr3(c, AT_PAGES | 2));
    g_assert_cmpuint(c->fetch_gen, !=, gen);
    g_assert_cmphex(value_at(high), ==, 0x1008);
    g_assert_true(x86_write_cr3(c, 1ull << 63 | AT_PAGES | 1));
    g_assert_cmpuint(c->fetch_gen, ==, gen);
    g_assert_cmphex(value_at(high), ==, 0x1000);                /* not flushed: the old page */
    x86_tlb_flush_pcid(c, 2);
    g_assert_cmphex(value_at(high), ==, 0x1000);
    poke(b, AT_TABLES + 0x2000, frame(9) | P | W | U, 8);
    g_assert_true(x86_write_cr3(c, 1ull << 63 | AT_PAGES | 2));
    g_assert_cmphex(value_at(high), ==, 0x1009);
    g_assert_true(x86_write_cr3(c, AT_PAGES | 1));              /* flushed */
    g_assert_cmphex(value_at(high), ==, 0x1009);
    /* More of them than are kept; stores to code are noticed in all of them. */
    for (unsigned i = 0; i < 40; i++) {
        g_assert_true(x86_write_cr3(c, 1ull << 63 | AT_PAGES | (100 + i % 20)));
        g_assert_cmphex(value_at(high + 0x2000), ==, 0x1002);
        WORKS(store(high + 0x3000));
        x86_tlb_protect(c, frame(3));
    }
    g_assert_true(x86_write_cr3(c, 1ull << 63 | AT_PAGES | 119));
    g_assert_null(x86_in_place(c, high + 0x3000, 4));
    bench_free(b);
}

/* INVLPG of any address of a large page makes all of it new. */
static void test_flush_of_a_large_page(void)
{
    paging64(0);
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmphex(value_at(high + 0x200000 + 0x100000 + i * 0x1000), ==, 0x1000 + i);
        WORKS(fetch(high + 0x200000 + 0x100000 + i * 0x1000));
    }
    poke(b, AT_TABLES + 0x1008, 0, 8);
    g_assert_cmphex(value_at(high + 0x300000), ==, 0x1000);
    x86_tlb_flush_page(c, high + 0x200000 + 0x5123);
    for (unsigned i = 0; i < 16; i++) {
        FAULTS(load(high + 0x300000 + i * 0x1000), 0);
        FAULTS(fetch(high + 0x300000 + i * 0x1000), 0);
    }
    bench_free(b);
}

/* Whoever keeps code by linear address hears of every change that can concern it. */
static void test_fetch_generation(void)
{
    paging64(0);
    WORKS(fetch(high));
    uint64_t gen = c->fetch_gen;
    x86_tlb_flush_page(c, high + 0x5000);
    g_assert_cmpuint(c->fetch_gen, ==, gen);
    x86_tlb_flush_page(c, high);
    g_assert_cmpuint(c->fetch_gen, !=, gen);
    gen = c->fetch_gen;
    x86_tlb_flush(c, false);
    g_assert_cmpuint(c->fetch_gen, !=, gen);
    bench_free(b);
}

/* ... and those of global pages live longer, but no longer than the pages. */
static void test_fetch_generation_of_global_pages(void)
{
    paging64(0);
    g_assert_true(x86_write_cr4(c, c->cr4 | CR4_PGE));
    poke(b, AT_TABLES + 0x2000, frame(0) | P | W | U | G, 8);
    x86_tlb_flush_page(c, high);
    WORKS(fetch(high));
    WORKS(fetch(high + 0x1000));
    g_assert_cmpuint(x86_fetch_generation(c, high), ==, c->global_gen);
    g_assert_cmpuint(x86_fetch_generation(c, high + 0x1000), ==, c->fetch_gen);
    uint64_t gen = c->global_gen;
    g_assert_true(x86_write_cr3(c, c->cr3));
    g_assert_cmpuint(c->global_gen, ==, gen);
    x86_tlb_flush_page(c, high + 0x1000);
    g_assert_cmpuint(c->global_gen, ==, gen);
    x86_tlb_flush_page(c, high);
    g_assert_cmpuint(c->global_gen, !=, gen);
    g_assert_cmpuint(x86_fetch_generation(c, high), ==, c->fetch_gen);  /* until it is fetched again */
    gen = c->global_gen;
    x86_tlb_flush(c, true);
    g_assert_cmpuint(c->global_gen, !=, gen);
    bench_free(b);
}

/* More pages than there are slots, again and again, each with its own content. */
static void test_many_pages(void)
{
    paging64(0);
    for (unsigned i = 0; i < 512; i++) {
        poke(b, AT_TABLES + 0x3000 + i * 8, frame(i % 16) | P | W | U, 8);
    }
    for (unsigned t = 2; t < 10; t++) {
        poke(b, AT_TABLES + 0x1000 + t * 8, (AT_TABLES + 0x3000) | P | W | U, 8);
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8 * 512; i++) {
            g_assert_cmphex(value_at(high + 0x400000 + i * 0x1000), ==, 0x1000 + i % 16);
        }
        x86_tlb_flush(c, round == 1);
    }
    bench_free(b);
}

/* ---- accesses ---- */

static void test_crossing(void)
{
    uint64_t v;

    paging64(0);
    poke(b, frame(0) + 0xffc, 0x11223344, 4);
    poke(b, frame(1), 0x55667788, 4);
    g_assert_cmpint(outcome((Access){ .linear = high + 0xffd, .size = 4 }, &v), ==, -1);
    g_assert_cmphex(v, ==, 0x88112233);
    WORKS(outcome((Access){ .linear = high + 0xffe, .size = 8, .write = true, .value = 0xa1a2a3a4a5a6a7a8 },
                  NULL));
    g_assert_cmphex(peek(b, frame(0) + 0xffe, 2), ==, 0xa7a8);
    g_assert_cmphex(peek(b, frame(1), 8), ==, 0xa1a2a3a4a5a6);
    /* The second half faults: nothing has been written, CR2 is in the second page. */
    poke(b, AT_TABLES + 0x2000 + 16, 0, 8);
    poke(b, frame(1) + 0xff8, 0, 8);
    FAULTS(outcome((Access){ .linear = high + 0x1ffe, .size = 4, .write = true, .value = ~0u }, NULL), PF_W);
    g_assert_cmphex(c->exc.cr2, ==, high + 0x2000);
    g_assert_cmphex(peek(b, frame(1) + 0xff8, 8), ==, 0);
    bench_free(b);
}

static void change(X86Cpu *cpu, void *arg)
{
    const Access *a = arg;

    x86_change_miss(cpu, a->linear, a->size, X86_DS);
}

/* What reads first and writes then faults as a write, on either page. */
static void test_changing(void)
{
    Access a = { .linear = high + 0x1ffe, .size = 4 };

    paging64(0);
    poke(b, AT_TABLES + 0x2000 + 16, 0, 8);
    g_assert_cmpint(bench_call(b, change, &a), ==, EXC_PF);
    g_assert_cmphex(c->exc.error, ==, PF_W);
    g_assert_cmphex(c->exc.cr2, ==, high + 0x2000);
    a.linear = high + 0x2ffe;
    g_assert_cmpint(bench_call(b, change, &a), ==, EXC_PF);
    g_assert_cmphex(c->exc.error, ==, PF_W);
    g_assert_cmphex(c->exc.cr2, ==, high + 0x2ffe);
    bench_free(b);
}

/* What the model has not got is a reserved bit: 1 GiB pages, address bits beyond MAXPHYADDR (4.3, 4.5). */
static void test_models(void)
{
    b = bench_new("core2duo");
    c = b->c;
    bench_long(b, 0);
    poke(b, AT_PAGES + 0x1000 + 8, 0 | P | W | U | PS, 8);
    FAULTS(load(1 << 30), PF_P | PF_RSVD);
    g_assert_false(x86_write_cr3(c, 1ull << 36 | AT_PAGES));
    g_assert_false(x86_write_cr4(c, c->cr4 | CR4_LA57));
    bench_free(b);

    b = bench_new("pentium3");
    c = b->c;
    bench_protected(b, 0);
    poke(b, AT_TABLES, 0 | P | W | PS, 4);
    poke(b, AT_TABLES + 4, 1 << 17 | P | W | PS, 4);            /* bit 36 of the address */
    poke(b, AT_TABLES + 8, 1 << 16 | P | W | PS, 4);            /* bit 35 */
    g_assert_true(x86_write_cr4(c, CR4_PSE));
    g_assert_true(x86_write_cr3(c, AT_TABLES));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET | CR0_PG));
    FAULTS(load(4 << 20), PF_P | PF_RSVD);
    WORKS(load(8 << 20));
    bench_free(b);

    b = bench_new("pentium");                                   /* no PSE-36: all of 20:13 are */
    c = b->c;
    bench_protected(b, 0);
    poke(b, AT_TABLES, 0 | P | W | PS, 4);
    poke(b, AT_TABLES + 4, 1 << 13 | P | W | PS, 4);
    g_assert_true(x86_write_cr4(c, CR4_PSE));
    g_assert_true(x86_write_cr3(c, AT_TABLES));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET | CR0_PG));
    FAULTS(load(4 << 20), PF_P | PF_RSVD);
    WORKS(load(0x1000));
    bench_free(b);
}

static uint64_t last_write;

static uint64_t io_read(void *dev, hwaddr off, unsigned size) { return off << 8 | size; }
static void io_write(void *dev, hwaddr off, uint64_t v, unsigned size)
{
    last_write = off << 40 | (uint64_t)size << 32 | v;
}

static void test_registers_and_rom(void)
{
    static const RegionOps ops = { .read = io_read, .write = io_write };
    Region io, rom, piece;
    GError *err = NULL;
    uint8_t image[16] = { 1, 2, 3, 4 };

    paging64(0);
    machine_lock(b->m);
    memory_begin(b->m->mem);
    region_init_io(&io, "io", 0x1000, &ops, NULL);
    region_map(&b->m->mem_root, 0x10000000, &io, 1);
    g_assert_true(region_init_rom(&rom, "rom", image, sizeof(image), 0x1000, &err));
    region_map(&b->m->mem_root, 0x10001000, &rom, 1);
    region_init_io(&piece, "piece", 0x10, &ops, NULL);          /* within a page of RAM */
    region_map(&b->m->mem_root, frame(3) + 0x100, &piece, 1);
    memory_commit(b->m->mem);
    machine_unlock(b->m);
    x86_tlb_flush(c, true);
    for (unsigned i = 0; i < 2; i++) {                          /* the second time from the cache */
        g_assert_cmphex(value_at(0x10000010), ==, 0x1004);
        WORKS(outcome((Access){ .linear = 0x10000020, .size = 2, .write = true, .value = 0xabcd }, NULL));
        g_assert_cmphex(last_write, ==, 0x200000000000ull | 2ull << 32 | 0xabcd);
        g_assert_cmphex(value_at(0x10001000), ==, 0x04030201);
        WORKS(store(0x10001000));
        g_assert_cmphex(value_at(0x10001000), ==, 0x04030201);
        g_assert_cmphex(value_at(high + 0x3104), ==, 0x404);
        g_assert_cmphex(value_at(high + 0x3000), ==, 0x1003);
        WORKS(outcome((Access){ .linear = high + 0x3108, .size = 1, .write = true, .value = 7 }, NULL));
        g_assert_cmphex(last_write, ==, 8ull << 40 | 1ull << 32 | 7);
        g_assert_cmphex(value_at(0x20000000), ==, 0xffffffff);
        WORKS(store(0x20000000));
    }
    machine_lock(b->m);
    region_unmap(&io);
    region_unmap(&rom);
    region_unmap(&piece);
    region_fini(&io);
    region_fini(&rom);
    region_fini(&piece);
    machine_unlock(b->m);
    bench_free(b);
}

static void test_a20(void)
{
    b = bench_new("max");
    c = b->c;
    bench_protected(b, 0);
    poke(b, 0x1234, 0xaaaa, 4);
    poke(b, 0x101234, 0xbbbb, 4);
    g_assert_cmphex(value_at(0x101234), ==, 0xbbbb);
    c->vcpu.a20_mask = ~(1ull << 20);
    c->vcpu.map_changed(&c->vcpu);
    g_assert_cmphex(value_at(0x101234), ==, 0xaaaa);
    g_assert_cmphex(value_at(0x201234), ==, 0);
    bench_free(b);
}

static void test_listing(void)
{
    g_autoptr(GString) mem = g_string_new(NULL), tlb = g_string_new(NULL);
    hwaddr gpa;
    uint32_t v;

    paging64(0);
    g_assert_true(x86_write_efer(c, c->efer | EFER_NXE));
    poke(b, AT_TABLES + 0x2000 + 3 * 8, frame(3) | P | U | NX, 8);
    x86_info_mem(c, mem);
    g_assert_nonnull(strstr(mem->str, "ffff800000000000-ffff800000003000 0000000000003000 urwx\n"
                            "ffff800000003000-ffff800000004000 0000000000001000 ur--\n"
                            "ffff800000004000-ffff800000010000 000000000000c000 urwx\n"));
    x86_info_tlb(c, tlb);
    g_assert_nonnull(strstr(tlb->str, "ffff800000003000: 0000000000303000 X------U-"));
    g_assert_nonnull(strstr(tlb->str, "ffff800000200000: 0000000000200000 --P----UW"));
    g_assert_true(x86_translate_debug(c, high + 0x3123, &gpa));
    g_assert_cmphex(gpa, ==, frame(3) + 0x123);
    g_assert_false(x86_translate_debug(c, high + 0x10000, &gpa));
    g_assert_true(x86_read_debug(c, high + 0x3000, &v, 4));
    g_assert_cmphex(v, ==, 0x1003);
    g_assert_false(x86_read_debug(c, high + 0xfffe, &v, 4));
    g_assert_cmphex(peek(b, AT_TABLES + 0x2000 + 3 * 8, 8) & A, ==, 0);
    /* A table that is its own: listed, but not for ever. */
    poke(b, AT_PAGES + 300 * 8, AT_PAGES | P | W | U, 8);
    poke(b, AT_PAGES, AT_PAGES | P | W | U, 8);
    g_string_truncate(mem, 0);
    x86_info_mem(c, mem);
    x86_info_tlb(c, mem);
    g_assert_cmpuint(mem->len, <, 1 << 20);
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mmu/32/rights", test_32_rights);
    g_test_add_func("/mmu/32/accessed-dirty", test_32_accessed_dirty);
    g_test_add_func("/mmu/32/large", test_32_large);
    g_test_add_func("/mmu/pae", test_pae);
    g_test_add_func("/mmu/64/sizes", test_64_sizes);
    g_test_add_func("/mmu/64/smep-smap", test_smep_smap);
    g_test_add_func("/mmu/64/protection-keys", test_protection_keys);
    g_test_add_func("/mmu/alignment-check", test_alignment_check);
    g_test_add_func("/mmu/tlb/flushes", test_flushes);
    g_test_add_func("/mmu/64/protection-keys-of-other-pcids", test_protection_keys_of_other_pcids);
    g_test_add_func("/mmu/tlb/pcids", test_pcids);
    g_test_add_func("/mmu/models", test_models);
    g_test_add_func("/mmu/changing", test_changing);
    g_test_add_func("/mmu/tlb/large-page", test_flush_of_a_large_page);
    g_test_add_func("/mmu/tlb/fetch-generation", test_fetch_generation);
    g_test_add_func("/mmu/tlb/fetch-generation-global", test_fetch_generation_of_global_pages);
    g_test_add_func("/mmu/tlb/many-pages", test_many_pages);
    g_test_add_func("/mmu/crossing", test_crossing);
    g_test_add_func("/mmu/registers-and-rom", test_registers_and_rom);
    g_test_add_func("/mmu/a20", test_a20);
    g_test_add_func("/mmu/listing", test_listing);
    return g_test_run();
}
