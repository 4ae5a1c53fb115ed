/*
 * target/x86/exec/cache.c - fences, cache line flushes and the hardware random numbers.
 *
 * Follows the Intel SDM, volume 2.  The emulated machine has no cache that a guest could see, so a
 * flush only faults as a load would; fences order the host's accesses as the guest's.
 */
#include <sys/random.h>
#include "gen/x86-exec.h"
#include "target/x86/alu.h"
#include "target/x86/mem.h"

void exec_lfence(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }
void exec_mfence(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }
void exec_sfence(X86Cpu *c, const X86Insn *in) { atomic_thread_fence(memory_order_seq_cst); }

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
    bool ok = c->observer ? c->observer->random(c->observer, &v) : getrandom(&v, sizeof(v), GRND_NONBLOCK) == sizeof(v);

    v = ok ? v & ~0ull >> (64 - in->opsize) : 0;
    c->regs[in->rm] = in->opsize == 16 ? (c->regs[in->rm] & ~0xffffull) | v : v;
    c->cc = ok ? CC_CF : 0;
}

void exec_rdrand(X86Cpu *c, const X86Insn *in) { put_random(c, in); }
void exec_rdseed(X86Cpu *c, const X86Insn *in) { put_random(c, in); }
