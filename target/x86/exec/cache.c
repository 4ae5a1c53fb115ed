/*
 * target/x86/exec/cache.c - fences, cache line flushes, direct stores and the hardware random numbers.
 *
 * Follows the Intel SDM, volume 2.  The emulated machine has no cache that a guest could see, so a
 * flush only faults as a load would, and a direct store (MOVDIRI, MOVDIR64B) is a store; fences order
 * the host's accesses as the guest's.
 */
#include <sys/random.h>
#include "core/icount.h"
#include "fpu.h"
#include "gen/x86-exec.h"
#include "target/x86/alu.h"
#include "target/x86/mem.h"

void exec_lfence(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }
void exec_mfence(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }
void exec_sfence(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }

void exec_serialize(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }

void exec_movdiri(X86Cpu *c, const X86Insn *in)
{
    unsigned size = in->opsize == 64 ? 8 : 4;
    uint64_t linear = x86_operand(c, in, size, true);

    if (size == 8) {
        x86_store64(c, in->segment, linear, c->regs[in->reg]);
    } else {
        x86_store32(c, in->segment, linear, (uint32_t)c->regs[in->reg]);
    }
}

/* To ES:reg, which no prefix overrides and which must be aligned. */
void exec_movdir64b(X86Cpu *c, const X86Insn *in)
{
    uint8_t line[64];
    uint64_t off = c->regs[in->reg] & ~0ull >> (64 - in->addrsize);

    fpu_load(c, in, x86_operand(c, in, sizeof(line), false), line, sizeof(line), 1);
    uint64_t to = x86_segmented(c, X86_ES, off, sizeof(line), true);
    if (to & (sizeof(line) - 1)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_st_bytes(c, to, line, sizeof(line));
}

void exec_clflush(X86Cpu *c, const X86Insn *in)
{
    x86_probe_read(c, x86_linear(c, in->segment, x86_offset(c, in), 1, false));
}

void exec_clflushopt(X86Cpu *c, const X86Insn *in) { exec_clflush(c, in); }
void exec_clwb(X86Cpu *c, const X86Insn *in) { exec_clflush(c, in); }

/* CF says whether there was a number; without one the destination is 0. */
static void put_random(X86Cpu *c, const X86Insn *in)
{
    uint64_t v = 0;
    bool ok = true;

    if (c->observer) {
        ok = c->observer->random(c->observer, &v);
    } else if (c->counted) {
        v = icount_random(c->vcpu.machine->icount);
    } else {
        ok = getrandom(&v, sizeof(v), GRND_NONBLOCK) == sizeof(v);
    }
    v = ok ? v & ~0ull >> (64 - in->opsize) : 0;
    c->regs[in->rm] = in->opsize == 16 ? (c->regs[in->rm] & ~0xffffull) | v : v;
    c->cc = ok ? CC_CF : 0;
}

void exec_rdrand(X86Cpu *c, const X86Insn *in) { put_random(c, in); }
void exec_rdseed(X86Cpu *c, const X86Insn *in) { put_random(c, in); }
