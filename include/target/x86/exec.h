/*
 * target/x86/exec.h - what an accelerator uses to run one instruction after another.
 *
 * The vCPU's own thread.  The contract between the run loop (accel/engine) and the handlers
 * (target/x86/exec):
 *  - before a handler is called: c->cur is the instruction, c->regs[X86_RIP] the address behind it;
 *  - a handler that faults calls x86_raise*(), which does not return: it sets RIP back to the
 *    instruction's start, fills c->exc and longjmps to *c->unwind.  A handler therefore changes no
 *    register, flag or memory before its last access that can fault; branches write RIP last;
 *  - REP instructions run some iterations, and set RIP back to themselves when there is more to do;
 *  - after c->unwind was taken the loop calls x86_deliver(), under the same unwind buffer: a fault
 *    inside delivery comes back the same way and becomes #DF, then shutdown.
 */
#ifndef TARGET_X86_EXEC_H
#define TARGET_X86_EXEC_H

#include "target/x86/cpu.h"
#include "target/x86/decode.h"

/* ---- exceptions and interrupts (target/x86/exceptions.c) ---- */
G_NORETURN void x86_raise(X86Cpu *c, unsigned vector);                  /* faults without error code */
G_NORETURN void x86_raise_error(X86Cpu *c, unsigned vector, uint32_t error);
G_NORETURN void x86_raise_pf(X86Cpu *c, uint64_t linear, uint32_t error);
/* An x87 exception is pending and the instruction does not ignore it: #MF, or with CR0.NE clear FERR# and a
 * wait for an interrupt (volume 1, 8.7.2); returns when IGNNE# says so.  And: there is none any more. */
void x86_numeric_error(X86Cpu *c);
void x86_numeric_clear(X86Cpu *c);
/* Traps and INT n: RIP stays behind the instruction. */
G_NORETURN void x86_raise_trap(X86Cpu *c, unsigned vector, bool soft_int);
/* The instruction is given up, and nothing raised: the run loop comes to it again. */
G_NORETURN void x86_restart(X86Cpu *c);
/* Where time is a number of instructions: what reaches a device or asks for the time begins with this, before it
 * changes anything.  It returns when the instruction is a block by itself, so that c->insn_count is exact and requests
 * are looked at before the next; else it gives the instruction up, and it comes again so. */
void x86_go_apart(X86Cpu *c);
static inline void x86_apart(X86Cpu *c)
{
    if (G_UNLIKELY(c->counted)) {
        x86_go_apart(c);
    }
}
/* Take c->exc, or an external interrupt; false: shutdown (triple fault). */
bool x86_deliver(X86Cpu *c);
bool x86_deliver_interrupt(X86Cpu *c, unsigned vector);
/* Requests that are due now (NMI, INTR with IF, INIT, SIPI, work); true: state changed, look up the
 * block again.  Called between instructions under c->unwind, without the machine lock. */
bool x86_serve_requests(X86Cpu *c, bool *shutdown);
/* For a halted processor: does MWAIT end without an interrupt?  Then it is not halted any more.  While
 * x86_in_mwait() somebody has to ask now and then: a store to the line is seen by looking. */
bool x86_in_mwait(const X86Cpu *c);
bool x86_mwait_over(X86Cpu *c);
bool x86_interrupt_due(X86Cpu *c);      /* something in requests would be served now, or is VCPU_STOP */

/* ---- memory as instructions see it (target/x86/mmu.c): they raise, or succeed ---- */
/* Linear addresses; size 1, 2, 4, 8.  CPL-dependent; the _sys forms are supervisor accesses to
 * descriptor tables and TSS (4.6). */
uint64_t x86_ld(X86Cpu *c, uint64_t linear, unsigned size);
void x86_st(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size);
uint64_t x86_ld_sys(X86Cpu *c, uint64_t linear, unsigned size);
void x86_st_sys(X86Cpu *c, uint64_t linear, uint64_t val, unsigned size);
void x86_ld_bytes(X86Cpu *c, uint64_t linear, void *buf, unsigned len);         /* at most 4096 */
void x86_st_bytes(X86Cpu *c, uint64_t linear, const void *buf, unsigned len);   /* all or nothing */
/* #AC, where it is on: the other two do not check it for blocks of bytes (volume 3A, 6.15, table 6-7). */
void x86_check_alignment(X86Cpu *c, uint64_t linear, unsigned align);
/* What x86_ld_bytes() and x86_st_bytes() do not know: the segment (its limit is checked before), and that. */
void x86_check_operand(X86Cpu *c, unsigned seg, uint64_t linear, unsigned size, unsigned align);
void x86_probe_read(X86Cpu *c, uint64_t linear);        /* raises if a load of the byte would */
void x86_probe_write(X86Cpu *c, uint64_t linear, unsigned len);                 /* raises if a store would */
/* Host address for a locked operation of `size` bytes that lies in one page of RAM, else NULL: the
 * caller then uses x86_ld and x86_st under the machine lock. */
void *x86_rmw(X86Cpu *c, uint64_t linear, unsigned size);
/* Segment checks: offset -> linear; raises #GP or #SS. */
uint64_t x86_linear(X86Cpu *c, unsigned seg, uint64_t off, unsigned size, bool write);

/* The TLB: made with the processor; sync after CPL, RFLAGS.AC, CR0.AM or CR4.SMAP changed.  The run
 * loop does so when it starts and after it delivered or served something, x86_bind()'s handlers for
 * what they call, and x86_ld() and its kin each time. */
void x86_mmu_new(X86Cpu *c);
void x86_mmu_free(X86Cpu *c);
void x86_mmu_sync(X86Cpu *c);
void x86_tlb_flush(X86Cpu *c, bool global);     /* all pages but global ones, of this PCID; true: all, of all */
void x86_tlb_flush_page(X86Cpu *c, uint64_t linear);
/* CR3 has been loaded; keep: without a flush of what is known of its PCID. */
void x86_tlb_load_cr3(X86Cpu *c, bool keep);
/* INVPCID: one address or all of a PCID, all of all; global pages stay. */
void x86_tlb_flush_page_of_pcid(X86Cpu *c, unsigned pcid, uint64_t linear);
void x86_tlb_flush_pcid(X86Cpu *c, unsigned pcid);
void x86_tlb_flush_all_pcids(X86Cpu *c);
void x86_write_pkru(X86Cpu *c, uint32_t value); /* the only way to change PKRU: the TLB knows of its rights */
/* For accelerators that keep decoded code.  Stores to the page go the slow way from now on, which
 * calls the hook when the page is RAM_PAGE_CODE, after the bytes have changed. */
void x86_tlb_protect(X86Cpu *c, hwaddr page);
void x86_mmu_code_hook(X86Cpu *c, void (*stored)(X86Cpu *c, hwaddr gpa, unsigned len));
void x86_mmu_stats(const X86Cpu *c, uint64_t *misses, uint64_t *flushes);
/* Code bytes at a linear address for the decoder: the host pointer and gpa of its page. */
const uint8_t *x86_fetch_page(X86Cpu *c, uint64_t linear, hwaddr *gpa, MemSection *s);  /* raises; NULL: not RAM */
/* As long as which of c->fetch_gen and c->global_gen is what it is now, that page is where it was. */
uint64_t x86_fetch_generation(X86Cpu *c, uint64_t linear);

/* ---- somebody who watches: the cross-check ---- */
typedef struct X86Observer {
    /* A page of RAM or ROM is about to be read, fetched or walked through, or written, for the first
     * time since the last x86_forget_touched(); pages come again. */
    void (*touched)(struct X86Observer *o, X86Cpu *c, hwaddr page, const MemSection *s, bool write);
    /* RDRAND and RDSEED: false: no number. */
    bool (*random)(struct X86Observer *o, uint64_t *value);
} X86Observer;
void x86_observe(X86Cpu *c, X86Observer *o);            /* NULL: nobody */
void x86_forget_touched(X86Cpu *c, bool reads_too);

/* ---- run-time binding ---- */
typedef void X86ExecFn(X86Cpu *c, const X86Insn *in);
/* The handler for exactly this form (mode, sizes, memory or register); never NULL: #UD when the
 * CPU model has not got it.  A handler may go on with the instruction behind its own in memory, and
 * so on: c->cur tells the last that it executed.  Behind the last there must be one whose exec is
 * x86_exec_stop, which does nothing but return; len 0. */
X86ExecFn *x86_bind(const X86Cpu *c, const X86Insn *in);
bool x86_is_offered(const X86Cpu *c, const X86Insn *in);        /* false: #UD, for want of a CPUID feature */
void x86_exec_stop(X86Cpu *c, const X86Insn *in);

/* ---- breakpoints (target/x86/debug.c) ----
 * The debugger's watchpoints.  A hit makes run() return RUN_DEBUG behind the instruction, and
 * c->debug.stop says that it was one, c->debug.hit which; whoever runs on clears `stop`.  While paused,
 * or on the vCPU's thread.  False: more than X86_WATCHES. */
bool x86_watch_set(X86Cpu *c, const X86Watch *list, unsigned n);
void x86_debug_changed(X86Cpu *c);      /* after DR0..3, DR7 or CR4.DE changed */
/* DR6.B0..3 of the instruction breakpoints at an address; is there one in [linear, linear + len)? */
unsigned x86_code_breakpoint(const X86Cpu *c, uint64_t linear);
bool x86_code_breakpoint_within(const X86Cpu *c, uint64_t linear, unsigned len);
/* For run loops.  Blocks just run while x86_insn_alone() and c->debug.code are false.  Else, before each
 * instruction: x86_debug_due() (true: return RUN_DEBUG; may raise #DB), before interrupts are looked at;
 * x86_insn_check() when c->debug.code (may raise #DB), before the instruction is fetched;
 * x86_insn_begin(); then this one alone; then x86_insn_done(), tf: RFLAGS.TF was set at its begin. */
static inline bool x86_insn_alone(const X86Cpu *c)
{
    return c->sti_shadow || (c->rflags & FL_RF) || (c->mode & MODE_TF) || c->debug.alone;
}
void x86_insn_check(X86Cpu *c, uint64_t linear);
void x86_insn_begin(X86Cpu *c);
void x86_insn_done(X86Cpu *c, const X86Insn *in, bool tf);
bool x86_debug_due(X86Cpu *c);
void x86_trap_pending(X86Cpu *c, uint32_t dr6);         /* a #DB behind this instruction, with these bits */
/* For the MMU and ports: an access is about to be made.  These may not return (x86_restart()). */
enum { X86_WATCH_READ = 1, X86_WATCH_WRITE = 2 };
unsigned x86_watch_page(const X86Cpu *c, uint64_t page);        /* what is watched in it */
void x86_watch_access(X86Cpu *c, uint64_t linear, unsigned len, bool write);
void x86_watch_probe(X86Cpu *c, uint64_t linear, unsigned len); /* a store will come */
void x86_watch_port(X86Cpu *c, uint16_t port, unsigned size);

/* ---- ports (target/x86/exec/io.c): rights are checked by the caller ---- */
uint32_t x86_in(X86Cpu *c, uint16_t port, unsigned size);
void x86_out(X86Cpu *c, uint16_t port, uint32_t val, unsigned size);


#endif
