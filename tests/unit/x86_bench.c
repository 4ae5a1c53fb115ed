/*
 * The bench: see x86_bench.h.
 */
#include "x86_bench.h"

#include "../insn/coverage.h"
#include "util/bits.h"

static uint64_t port_read(void *dev, hwaddr off, unsigned size)
{
    Bench *b = dev;

    b->port_reads++;
    return b->port_value++;
}

static void port_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Bench *b = dev;

    b->port_writes++;
    b->port_written = (uint32_t)val;
}

static const RegionOps port_ops = { .read = port_read, .write = port_write };

Bench *bench_new(const char *model)
{
    Bench *b = g_new0(Bench, 1);
    GError *err = NULL;
    static Region *ram;

    b->m = machine_new(clock_new_manual());
    ram = g_new0(Region, 1);
    machine_lock(b->m);
    memory_begin(b->m->mem);
    g_assert_true(region_init_ram(ram, "ram", BENCH_RAM, &err));
    region_map(&b->m->mem_root, 0, ram, 0);
    memory_commit(b->m->mem);
    memory_begin(b->m->io);
    region_init_io(&b->ports, "ports", 0x100, &port_ops, b);
    region_map(&b->m->io_root, 0x300, &b->ports, 0);
    memory_commit(b->m->io);
    machine_unlock(b->m);
    b->c = x86_cpu_new(b->m, 0, model, &err);
    g_assert_no_error(err);
    g_ptr_array_add(b->m->vcpus, b->c);
    coverage_watch(b->c);
    return b;
}

void bench_free(Bench *b)
{
    MemSection s;
    Region *ram = as_find(b->m->mem, 0, &s) ? s.region : NULL;

    coverage_write(b->c);
    x86_cpu_free(b->c);
    machine_lock(b->m);
    region_unmap(&b->ports);
    region_fini(&b->ports);
    if (ram) {
        region_unmap(ram);
        region_fini(ram);
        g_free(ram);
    }
    machine_unlock(b->m);
    machine_free(b->m);
    g_free(b);
}

uint64_t peek(Bench *b, uint64_t gpa, unsigned size)
{
    uint64_t v = 0;

    g_assert_cmpint(as_read(b->m->mem, gpa, &v, size), ==, MEM_OK);
    return v;
}

void poke(Bench *b, uint64_t gpa, uint64_t val, unsigned size)
{
    g_assert_cmpint(as_write(b->m->mem, gpa, &val, size), ==, MEM_OK);
}

void bench_desc(Bench *b, uint32_t table, uint16_t selector, uint64_t base, uint32_t limit, unsigned ar)
{
    uint64_t at = table + (selector & 0xfff8);
    uint32_t lim = ar & AR_G ? limit >> 12 : limit;

    poke(b, at, (lim & 0xffff) | (base & 0xffff) << 16, 4);
    poke(b, at + 4, (base >> 16 & 0xff) | (ar & 0xf0ff) << 8 | (lim & 0xf0000) | (base & 0xff000000), 4);
}

void bench_gate(Bench *b, uint32_t at, unsigned type, unsigned dpl, uint16_t selector, uint64_t offset,
                unsigned extra)
{
    poke(b, at, (offset & 0xffff) | (uint32_t)selector << 16, 4);
    poke(b, at + 4, (offset & 0xffff0000) | (AR_P | dpl << 5 | type) << 8 | extra, 4);
    if (x86_long_mode(b->c)) {
        poke(b, at + 8, offset >> 32, 8);
    }
}

void bench_idt(Bench *b, unsigned vector, unsigned type, unsigned dpl, uint16_t selector)
{
    bench_gate(b, AT_IDT + vector * (x86_long_mode(b->c) ? 16 : 8), type, dpl, selector, AT_HANDLER + vector * 16, 0);
}

void bench_real(Bench *b)
{
    X86Cpu *c = b->c;

    x86_reset(c);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        x86_seg_set_real(c, i, 0);
    }
    for (unsigned v = 0; v < 256; v++) {
        poke(b, v * 4, AT_HANDLER + v * 16, 4);
    }
    c->regs[X86_RIP] = AT_CODE;
    c->regs[X86_RSP] = 0x7000;
    c->idt.limit = 0x3ff;
}

static void fill_gdt(Bench *b)
{
    uint32_t t = AT_GDT;

    for (unsigned i = 0; i <= GDT_LIMIT; i += 8) {
        poke(b, t + i, 0, 8);
    }
    bench_desc(b, t, SEL_CODE0, 0, ~0u, AR_CODE32);
    bench_desc(b, t, SEL_DATA0, 0, ~0u, AR_DATA32);
    bench_desc(b, t, SEL_CODE3, 0, ~0u, AR_CODE32 | DPL(3));
    bench_desc(b, t, SEL_DATA3, 0, ~0u, AR_DATA32 | DPL(3));
    bench_desc(b, t, SEL_CODE1, 0, ~0u, AR_CODE32 | DPL(1));
    bench_desc(b, t, SEL_DATA1, 0, ~0u, AR_DATA32 | DPL(1));
    bench_desc(b, t, SEL_TSS, AT_TSS, 0x200, AR_P | SYS_TSS32);
    bench_desc(b, t, SEL_TSS_B, AT_TSS_B, 0x67, AR_P | SYS_TSS32);
    bench_desc(b, t, SEL_TSS16, AT_TSS16, 0x2b, AR_P | SYS_TSS16);
    bench_desc(b, t, SEL_CODE64, 0, 0, AR_P | AR_S | AR_CODE | AR_RW | AR_L);
    bench_desc(b, t, SEL_CODE64_3, 0, 0, AR_P | AR_S | AR_CODE | AR_RW | AR_L | DPL(3));
    bench_desc(b, t, SEL_CODE16, 0, 0xffff, AR_P | AR_S | AR_CODE | AR_RW);
    bench_desc(b, t, SEL_DATA16, 0, 0xffff, AR_P | AR_S | AR_RW);
    bench_desc(b, t, SEL_CONFORMING, 0, ~0u, AR_CODE32 | AR_EC);
    bench_desc(b, t, SEL_LDT, AT_LDT, 0x7f, AR_P | SYS_LDT);
    bench_desc(b, t, SEL_ABSENT, 0, ~0u, AR_DATA32 & ~AR_P);
    bench_desc(b, t, SEL_READ_ONLY, 0, ~0u, AR_DATA32 & ~AR_RW);
    bench_desc(b, t, SEL_EXEC_ONLY, 0, ~0u, AR_CODE32 & ~AR_RW);
    bench_desc(b, t, SEL_DOWN, 0, 0xfff, (AR_DATA32 | AR_EC) & ~AR_G);
}

static void set_segments(Bench *b, uint16_t code, uint16_t data, unsigned cpl)
{
    X86Cpu *c = b->c;
    X86Desc d;

    c->cpl = cpl;
    g_assert_true(x86_desc_find(c, code, &d));
    x86_seg_set_desc(c, X86_CS, code | cpl, &d);
    g_assert_true(x86_desc_find(c, data, &d));
    for (unsigned i = 0; i < X86_SEGS; i++) {
        if (i != X86_CS) {
            x86_seg_set_desc(c, i, data | cpl, &d);
        }
    }
    x86_mode_changed(c);
    c->regs[X86_RIP] = AT_CODE;
    c->regs[X86_RSP] = cpl == 3 ? AT_STACK3 : AT_STACK0;
}

static void common_protected(Bench *b)
{
    X86Cpu *c = b->c;

    x86_reset(c);
    fill_gdt(b);
    c->gdt.base = AT_GDT;
    c->gdt.limit = GDT_LIMIT;
    c->idt.base = AT_IDT;
    c->tr = (X86Segment){ .selector = SEL_TSS, .base = AT_TSS, .limit = 0x200, .ar = AR_P | SYS_TSS32_BUSY };
    poke(b, AT_GDT + SEL_TSS + 5, AR_P | SYS_TSS32_BUSY, 1);
    c->ldt = (X86Segment){ 0 };
}

void bench_protected(Bench *b, unsigned cpl)
{
    X86Cpu *c = b->c;

    common_protected(b);
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET));
    c->idt.limit = 256 * 8 - 1;
    for (unsigned v = 0; v < 256; v++) {
        bench_idt(b, v, SYS_INT32, 0, SEL_CODE0);
    }
    poke(b, AT_TSS + 4, AT_INNER, 4);
    poke(b, AT_TSS + 8, SEL_DATA0, 4);
    poke(b, AT_TSS + 0xc, AT_INNER - 0x1000, 4);
    poke(b, AT_TSS + 0x10, SEL_DATA1 | 1, 4);
    set_segments(b, cpl == 3 ? SEL_CODE3 : SEL_CODE0, cpl == 3 ? SEL_DATA3 : SEL_DATA0, cpl);
}

void bench_vm86(Bench *b)
{
    X86Cpu *c = b->c;

    bench_protected(b, 0);
    c->cpl = 3;
    x86_set_rflags(c, FL_VM | FL_IOPL | FL_IF);
    for (unsigned i = 0; i < X86_SEGS; i++) {
        x86_seg_set_real(c, i, 0);
    }
    for (unsigned v = 0; v < 256; v++) {
        poke(b, v * 4, AT_HANDLER + 8 + v * 16, 4);
    }
    c->regs[X86_RIP] = AT_CODE;
    c->regs[X86_RSP] = 0x7000;
}

void bench_long(Bench *b, unsigned cpl)
{
    X86Cpu *c = b->c;

    common_protected(b);
    poke(b, AT_PAGES, (AT_PAGES + 0x1000) | 7, 8);
    poke(b, AT_PAGES + 0x1000, (AT_PAGES + 0x2000) | 7, 8);
    for (unsigned i = 0; i < 512; i++) {
        poke(b, AT_PAGES + 0x2000 + i * 8, (uint64_t)i << 21 | 0x87, 8);
    }
    g_assert_true(x86_write_cr4(c, CR4_PAE));
    g_assert_true(x86_write_cr3(c, AT_PAGES));
    g_assert_true(x86_write_efer(c, EFER_LME | EFER_SCE));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET));
    g_assert_true(x86_write_cr0(c, CR0_PE | CR0_ET | CR0_PG));
    g_assert_cmphex(c->efer, ==, EFER_LME | EFER_LMA | EFER_SCE);
    c->idt.limit = 256 * 16 - 1;
    for (unsigned v = 0; v < 256; v++) {
        bench_idt(b, v, SYS_INT32, 0, SEL_CODE64);
    }
    poke(b, AT_TSS + 4, AT_INNER, 8);
    poke(b, AT_TSS + 0xc, AT_INNER - 0x1000, 8);
    for (unsigned i = 1; i <= 7; i++) {
        poke(b, AT_TSS + 0x1c + i * 8, AT_IST + i * 0x100, 8);
    }
    set_segments(b, cpl == 3 ? SEL_CODE64_3 : SEL_CODE64, cpl == 3 ? SEL_DATA3 : SEL_DATA0, cpl);
}

/* ---- running ---- */

int bench_call(Bench *b, void (*fn)(X86Cpu *c, void *arg), void *arg)
{
    jmp_buf buf;
    X86Cpu *c = b->c;

    c->unwind = &buf;
    if (setjmp(buf) == 0) {
        fn(c, arg);
        c->cur = NULL;
        return NOTHING;
    }
    return c->exc.vector;
}

static void run_insn(X86Cpu *c, void *arg)
{
    const X86Insn *in = arg;

    c->cur = in;
    c->regs[X86_RIP] += in->len;
    in->exec(c, in);
}

int bench_exec(Bench *b, const uint8_t *bytes, size_t len)
{
    X86Insn in[2] = { [1] = { .exec = x86_exec_stop } };
    int n = x86_decode(in, bytes, len, x86_code_bits(b->c));

    if (n == X86_DECODE_UD) {
        return EXC_UD;
    }
    g_assert_cmpint(n, ==, (int)len);
    b->rip_before = b->c->regs[X86_RIP];
    b->c->exc.error = 0;
    in->exec = x86_bind(b->c, in);
    return bench_call(b, run_insn, in);
}

static void deliver(X86Cpu *c, void *arg)
{
    Bench *b = arg;

    b->shutdown = !x86_deliver(c);
}

bool bench_deliver(Bench *b)
{
    b->shutdown = false;
    while (bench_call(b, deliver, b) != NOTHING) {
    }
    return !b->shutdown;
}

static void raise_one(X86Cpu *c, void *arg)
{
    const int *what = arg;

    if (what[0] == EXC_PF) {
        x86_raise_pf(c, c->cr2, what[1]);
    } else if (what[1] < 0) {
        x86_raise(c, what[0]);
    } else {
        x86_raise_error(c, what[0], what[1]);
    }
}

bool bench_fault(Bench *b, unsigned vector, int error)
{
    int what[2] = { (int)vector, error };

    b->c->cur = NULL;
    bench_call(b, raise_one, what);
    return bench_deliver(b);
}

static void serve(X86Cpu *c, void *arg)
{
    Bench *b = arg;
    bool shutdown;

    b->shutdown = false;
    x86_serve_requests(c, &shutdown);
    b->shutdown = shutdown;
}

bool bench_serve(Bench *b)
{
    if (bench_call(b, serve, b) != NOTHING) {
        return bench_deliver(b);
    }
    return !b->shutdown;
}
