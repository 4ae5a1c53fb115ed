/*
 * IN, OUT, INS, OUTS, and who may use which port (SDM volume 1 chapter 19, volume 2).
 *
 * Repeated INS and OUTS move up to a page at a time: one look at the rights, one hold of the machine
 * lock, one copy.  That is what reading a sector by PIO costs.
 */
#include "rights.h"

#include "core/machine.h"
#include "gen/x86-exec.h"

enum { IO_CHUNK = 4096 };

uint32_t x86_in(X86Cpu *c, uint16_t port, unsigned size)
{
    return (uint32_t)as_load(c->vcpu.io, port, size);
}

void x86_out(X86Cpu *c, uint16_t port, uint32_t val, unsigned size)
{
    as_store(c->vcpu.io, port, val, size);
}

/* 19.5.2: the bitmap of a 32- or 64-bit TSS; the byte behind a map's last must exist, so that two
 * bytes can always be read. */
static void check_port(X86Cpu *c, uint16_t port, unsigned size)
{
    if (!(c->mode & MODE_PE) || (!(c->mode & MODE_VM) && c->cpl <= x86_iopl(c))) {
        return;
    }
    bool tss32 = (c->tr.ar & AR_P) && (c->tr.ar & AR_TYPE & ~2u) == SYS_TSS32;
    require_gp(c, tss32 && c->tr.limit >= 0x67);
    uint32_t at = x86_ld_sys(c, c->tr.base + 0x66, 2) + port / 8u;
    require_gp(c, at + 1 <= c->tr.limit);
    uint32_t map = x86_ld_sys(c, c->tr.base + at, 2) >> (port & 7);
    require_gp(c, !(map & ((1u << size) - 1)));
}

/* Odd opcodes are as wide as the operand size, at most 32 bits. */
static unsigned io_size(const X86Insn *in)
{
    return !(in->opcode & 1) ? 1 : in->opsize == 16 ? 2 : 4;
}

/* May the program use the ports, and does somebody wait for it? */
static void check_ports(X86Cpu *c, uint16_t port, unsigned size)
{
    x86_apart(c);
    check_port(c, port, size);
    if (c->debug.ports) {
        x86_watch_port(c, port, size);
    }
}

static uint16_t io_port(const X86Cpu *c, const X86Insn *in)
{
    return in->opcode & 8 ? (uint16_t)c->regs[X86_RDX] : (uint8_t)in->imm;
}

void exec_in(X86Cpu *c, const X86Insn *in)
{
    unsigned size = io_size(in);
    uint16_t port = io_port(c, in);

    check_ports(c, port, size);
    uint32_t v = x86_in(c, port, size);
    if (size == 1) {
        *x86_byte(c, 0) = (uint8_t)v;
    } else {
        put_sized(&c->regs[X86_RAX], size * 8, v);
    }
}

void exec_out(X86Cpu *c, const X86Insn *in)
{
    unsigned size = io_size(in);
    uint16_t port = io_port(c, in);

    check_ports(c, port, size);
    x86_out(c, port, (uint32_t)c->regs[X86_RAX], size);
}

/* ---- string forms ---- */

/* A step of a string instruction: `n` elements of `size` bytes at `linear`, all in one page, all
 * within the segment. */
typedef struct Step {
    uint64_t linear, mask;
    unsigned n, size;
    int64_t delta;
} Step;

/* 0 left to do: false.  Several elements only upwards and where no limit or page ends,
 * and when nobody steps or waits. */
static bool step_begin(X86Cpu *c, const X86Insn *in, Step *s, unsigned index, unsigned seg, bool write)
{
    s->size = io_size(in);
    s->mask = ~0ull >> (64 - in->addrsize);
    s->delta = c->rflags & FL_DF ? -(int64_t)s->size : s->size;
    uint64_t count = in->rep ? c->regs[X86_RCX] & s->mask : 1, off = c->regs[index] & s->mask;
    if (count == 0) {
        return false;
    }
    s->linear = x86_segmented(c, seg, off, s->size, write);
    uint64_t n = (PAGE_SIZE - (s->linear & (PAGE_SIZE - 1))) / s->size;
    if (!x86_in_code64(c)) {
        uint64_t hi = write ? c->seg[seg].write_hi : c->seg[seg].read_hi;
        n = MIN(n, (MIN(hi, s->mask) - off + 1) / s->size);
    }
    s->n = s->delta < 0 || n == 0 || c->debug.alone || (c->mode & MODE_TF) ? 1 : (unsigned)MIN(n, count);
    return true;
}

/* Moves the registers; when more is to do RIP goes back to the instruction, and interrupts and page
 * faults find whole elements done. */
static void step_end(X86Cpu *c, const X86Insn *in, const Step *s, unsigned index)
{
    uint64_t off = (c->regs[index] + s->delta * s->n) & s->mask;

    put_sized(&c->regs[index], in->addrsize, off);
    if (in->rep) {
        uint64_t left = (c->regs[X86_RCX] - s->n) & s->mask;
        put_sized(&c->regs[X86_RCX], in->addrsize, left);
        if (left) {
            c->regs[X86_RIP] -= in->len;
            c->rflags |= FL_RF;         /* as it is between two iterations (volume 3B, 17.3.1.1) */
        }
    }
}

void exec_ins(X86Cpu *c, const X86Insn *in)
{
    Step s;
    uint8_t buf[IO_CHUNK];
    uint16_t port = (uint16_t)c->regs[X86_RDX];

    check_ports(c, port, io_size(in));
    if (!step_begin(c, in, &s, X86_RDI, X86_ES, true)) {
        return;
    }
    x86_probe_write(c, s.linear, s.n * s.size);         /* the port must not be read in vain */
    machine_lock(c->vcpu.machine);
    for (unsigned i = 0; i < s.n; i++) {
        uint32_t v = x86_in(c, port, s.size);
        memcpy(buf + i * s.size, &v, s.size);
    }
    machine_unlock(c->vcpu.machine);
    x86_st_bytes(c, s.linear, buf, s.n * s.size);
    step_end(c, in, &s, X86_RDI);
}

void exec_outs(X86Cpu *c, const X86Insn *in)
{
    Step s;
    uint8_t buf[IO_CHUNK];
    uint16_t port = (uint16_t)c->regs[X86_RDX];

    check_ports(c, port, io_size(in));
    if (!step_begin(c, in, &s, X86_RSI, in->segment, false)) {
        return;
    }
    x86_ld_bytes(c, s.linear, buf, s.n * s.size);
    machine_lock(c->vcpu.machine);
    for (unsigned i = 0; i < s.n; i++) {
        uint32_t v = 0;
        memcpy(&v, buf + i * s.size, s.size);
        x86_out(c, port, v, s.size);
    }
    machine_unlock(c->vcpu.machine);
    step_end(c, in, &s, X86_RSI);
}
