/*
 * Debug registers, and the watchpoints of a debugger outside the guest (SDM volume 3B, 17.2 and 17.3).
 *
 * A page with a data breakpoint gets no entry in the software TLB, so that each access to it comes
 * here through the slow path of mmu.c; elsewhere breakpoints cost nothing.  An access that hits is not
 * made at once: the instruction is given up as if it had faulted, and executed again alone
 * (c->debug.alone), which notes what it hits; the run loop finds that behind it (x86_debug_due()).  What
 * is hit while an event is delivered is a trap behind the delivery.
 */
#include "target/x86/exec.h"

#include <string.h>
#include "target/x86/segments.h"

/* ---- DR7 ---- */

enum { ON_EXECUTE, ON_WRITE, ON_IO, ON_ACCESS };        /* its R/W fields */

static bool enabled(const X86Cpu *c, unsigned n) { return c->dr[7] >> (2 * n) & 3; }
static unsigned kind_of(const X86Cpu *c, unsigned n) { return c->dr[7] >> (16 + 4 * n) & 3; }

static unsigned length_of(const X86Cpu *c, unsigned n)
{
    static const uint8_t lengths[] = { 1, 2, 8, 4 };

    return lengths[c->dr[7] >> (18 + 4 * n) & 3];
}

/* 17.2.5: the low bits of the address that the length covers do not count. */
static bool covers(const X86Cpu *c, unsigned n, uint64_t at, unsigned len)
{
    uint64_t from = c->dr[n] & ~(uint64_t)(length_of(c, n) - 1);

    return at < from + length_of(c, n) && from < at + len;
}

static bool overlaps(const X86Watch *w, uint64_t at, unsigned len)
{
    return at < w->linear + w->len && w->linear < at + len;
}

void x86_debug_changed(X86Cpu *c)
{
    X86Debug *d = &c->debug;
    bool had_data = d->data;

    d->code = d->ports = 0;
    d->data = d->n != 0;
    for (unsigned n = 0; n < 4; n++) {
        if (!enabled(c, n)) {
            continue;
        }
        switch (kind_of(c, n)) {
        case ON_EXECUTE:
            d->code |= 1 << n;
            break;
        case ON_IO:                             /* without CR4.DE undefined: here, none */
            d->ports |= c->cr4 & CR4_DE ? 1 << n : 0;
            break;
        default:
            d->data = true;
        }
    }
    if (d->code) {
        d->alone = true;                        /* so that the run loop sees that it must look */
    }
    if (d->data || had_data) {
        x86_tlb_flush(c, true);
    }
}

bool x86_watch_set(X86Cpu *c, const X86Watch *list, unsigned n)
{
    if (n > X86_WATCHES) {
        return false;
    }
    if (n) {
        memcpy(c->debug.list, list, n * sizeof(*list));
    }
    c->debug.n = n;
    x86_debug_changed(c);
    return true;
}

/* ---- data and ports ---- */

unsigned x86_watch_page(const X86Cpu *c, uint64_t page)
{
    unsigned what = 0;

    for (unsigned n = 0; n < 4; n++) {
        if (enabled(c, n) && (kind_of(c, n) & ON_WRITE) && covers(c, n, page, PAGE_SIZE)) {
            what |= kind_of(c, n) == ON_WRITE ? X86_WATCH_WRITE : X86_WATCH_READ | X86_WATCH_WRITE;
        }
    }
    for (unsigned i = 0; i < c->debug.n; i++) {
        const X86Watch *w = &c->debug.list[i];
        if (overlaps(w, page, PAGE_SIZE)) {
            what |= (w->read ? X86_WATCH_READ : 0) | (w->write ? X86_WATCH_WRITE : 0);
        }
    }
    return what;
}

/* Executed alone the instruction may go on, and what it hits is noted; so is what hits between two. */
static bool noting(X86Cpu *c)
{
    if (c->debug.alone || !c->cur || c->exc.switched || c->exc.delivering >= 0) {
        return true;
    }
    c->debug.alone = true;
    x86_restart(c);
}

static unsigned data_hits(const X86Cpu *c, uint64_t linear, unsigned len, bool write)
{
    unsigned hits = 0;

    for (unsigned n = 0; n < 4; n++) {
        unsigned kind = kind_of(c, n);
        if (enabled(c, n) && (kind == ON_ACCESS || (kind == ON_WRITE && write)) && covers(c, n, linear, len)) {
            hits |= 1 << n;
        }
    }
    return hits;
}

void x86_watch_access(X86Cpu *c, uint64_t linear, unsigned len, bool write)
{
    unsigned hits = data_hits(c, linear, len, write);

    if (hits && noting(c)) {
        x86_trap_pending(c, hits);
    }
    for (unsigned i = 0; i < c->debug.n; i++) {
        const X86Watch *w = &c->debug.list[i];
        if (!(write ? w->write : w->read) || !overlaps(w, linear, len)) {
            continue;
        }
        /* Counted, a string instruction must not become more instructions because somebody watches */
        x86_apart(c);
        if ((c->counted || noting(c)) && !c->debug.stop) {
            c->debug.stop = true;
            c->debug.alone |= !c->counted;
            c->debug.hit = *w;
            c->debug.hit_write = write;
        }
    }
}

void x86_watch_probe(X86Cpu *c, uint64_t linear, unsigned len)
{
    bool hit = data_hits(c, linear, len, true);

    for (unsigned i = 0; !hit && i < c->debug.n; i++) {
        hit = overlaps(&c->debug.list[i], linear, len);
    }
    if (hit) {
        noting(c);
    }
}

void x86_watch_port(X86Cpu *c, uint16_t port, unsigned size)
{
    unsigned hits = 0;

    for (unsigned n = 0; n < 4; n++) {
        hits |= (c->debug.ports >> n & 1) && covers(c, n, port, size) ? 1 << n : 0;
    }
    if (hits && noting(c)) {
        x86_trap_pending(c, hits);
    }
}

/* ---- code ---- */

unsigned x86_code_breakpoint(const X86Cpu *c, uint64_t linear)
{
    unsigned hits = 0;

    for (unsigned n = 0; n < 4; n++) {
        hits |= (c->debug.code >> n & 1) && c->dr[n] == linear ? 1 << n : 0;
    }
    return hits;
}

bool x86_code_breakpoint_within(const X86Cpu *c, uint64_t linear, unsigned len)
{
    for (unsigned n = 0; n < 4; n++) {
        if ((c->debug.code >> n & 1) && c->dr[n] - linear < len) {
            return true;
        }
    }
    return false;
}

/* ---- around an instruction ---- */

void x86_trap_pending(X86Cpu *c, uint32_t dr6)
{
    c->debug.pending |= dr6;
    c->debug.alone = true;                      /* so that the run loop looks */
}

/* An instruction breakpoint is a fault, before everything else of its instruction (6.9, table 6-2). */
void x86_insn_check(X86Cpu *c, uint64_t linear)
{
    unsigned hits = x86_code_breakpoint(c, linear);

    if (hits && !(c->rflags & FL_RF) && !c->ss_shadow) {
        c->exc.dr6 = hits;
        x86_raise(c, EXC_DB);
    }
}

void x86_insn_begin(X86Cpu *c)
{
    c->sti_shadow = c->ss_shadow = false;
    c->rflags &= ~FL_RF;
}

/* TF when it was set as the instruction began (17.3.1.4).  INT n and its kin clear it and take no
 * step; SYSCALL and SYSRET go by what it is behind them, which they see to themselves. */
static bool steps(const X86Cpu *c, const X86Insn *in)
{
    switch (in->row ? in->row->op : OP_COUNT) {
    case OP_INT: case OP_INT3: case OP_INTO:
        return c->rflags & FL_TF;
    case OP_SYSCALL: case OP_SYSRET:
        return false;
    default:
        return true;
    }
}

void x86_insn_done(X86Cpu *c, const X86Insn *in, bool tf)
{
    if (tf && !c->ss_shadow && steps(c, in)) {
        c->debug.pending |= DR6_BS;
    }
    c->debug.alone = c->debug.pending || c->debug.stop;
}

/* Between two instructions.  Behind MOV SS and POP SS traps wait for one more (6.8.3). */
bool x86_debug_due(X86Cpu *c)
{
    if (c->debug.stop) {
        return true;
    }
    if (c->debug.pending && !c->ss_shadow) {
        c->exc.dr6 = c->debug.pending;
        c->debug.pending = 0;
        x86_raise_trap(c, EXC_DB, false);
    }
    return false;
}
