/*
 * accel/kvm/interpret.c - what the kernel hands back because it cannot do it: an instruction that its
 * emulator has not got, code in device memory, an exception that it could not deliver.
 *
 * The semantics are target/x86's, as in accel/interp, on the state brought back by kvm_pull().
 */
#include "kvm.h"

#include <string.h>
#include "target/x86/exec.h"
#include "target/x86/segments.h"
#include "util/bits.h"

static void exec_undefined(X86Cpu *c, const X86Insn *in)
{
    x86_raise(c, EXC_UD);
}

static void exec_too_long(X86Cpu *c, const X86Insn *in)
{
    x86_raise_error(c, EXC_GP, 0);
}

/* Bytes of code that lie in one page, device memory included; raises what fetching raises. */
static unsigned fetch(X86Cpu *c, uint64_t linear, uint8_t *to, unsigned len)
{
    hwaddr page;
    const uint8_t *host = x86_fetch_page(c, linear, &page, NULL);
    unsigned at = linear & (PAGE_SIZE - 1), n = MIN(len, PAGE_SIZE - at);

    for (unsigned i = 0; i < n; i++) {
        to[i] = host ? host[at + i] : (uint8_t)as_load(c->vcpu.mem, page + at + i, 1);
    }
    return n;
}

static void decode(X86Cpu *c, X86Insn *in)
{
    uint8_t bytes[X86_INSN_MAX];
    bool code64 = x86_code_bits(c) == 64;
    uint64_t rip = c->regs[X86_RIP], limit = c->seg[X86_CS].limit;
    uint64_t linear = kvm_linear_rip(c);
    unsigned most = code64 ? X86_INSN_MAX : rip > limit ? 0 : MIN(limit - rip + 1, (uint64_t)X86_INSN_MAX);

    if (!most) {
        x86_raise_error(c, EXC_GP, 0);
    }
    unsigned n = fetch(c, linear, bytes, most);
    int len = x86_decode(in, bytes, n, x86_code_bits(c));
    if (len == X86_DECODE_SHORT && n < most) {
        n += fetch(c, code64 ? linear + n : (uint32_t)(linear + n), bytes + n, most - n);
        len = x86_decode(in, bytes, n, x86_code_bits(c));
    }
    if (len == X86_DECODE_SHORT) {
        x86_raise_error(c, EXC_GP, 0);          /* it runs into CS's limit */
    }
    if (len > 0) {
        in->exec = x86_bind(c, in);
    } else {
        in->exec = len == X86_DECODE_LONG ? exec_too_long : exec_undefined;
        in->len = 0;
    }
}

static void one_instruction(X86Cpu *c)
{
    X86Insn in[2] = { { 0 } };
    bool tf = c->mode & MODE_TF;

    decode(c, in);
    in[1].exec = x86_exec_stop;
    c->cur = in;
    c->regs[X86_RIP] += in[0].len;
    c->debug.alone = true;                      /* what it hits of the watchpoints is noted */
    x86_insn_begin(c);
    in[0].exec(c, in);
    c->cur = NULL;
    x86_insn_done(c, in, tf);
}

/* An exception or interrupt that the kernel was about to deliver. */
static bool take_event(KvmVcpu *v)
{
    struct kvm_vcpu_events *e = &v->events;
    X86Cpu *c = v->cpu;

    if (e->exception.injected || e->exception.pending) {
        c->exc.vector = e->exception.nr;
        c->exc.has_error = e->exception.has_error_code;
        c->exc.error = e->exception.error_code;
        c->exc.cr2 = e->exception_has_payload && e->exception.nr == EXC_PF ? e->exception_payload : c->cr2;
        c->exc.dr6 = 0;
        e->exception.injected = e->exception.pending = 0;
        return true;
    }
    return false;
}

/* False: shutdown. */
static bool unwinding(KvmVcpu *v, bool (*fn)(KvmVcpu *v))
{
    X86Cpu *c = v->cpu;
    jmp_buf unwind;
    bool ok;

    c->cur = NULL;
    c->unwind = &unwind;
    if (setjmp(unwind)) {
        ok = x86_deliver(c);            /* its own faults come back here */
    } else {
        ok = fn(v);
    }
    c->unwind = NULL;
    c->cur = NULL;
    return ok;
}

static bool trap(KvmVcpu *v)
{
    x86_debug_due(v->cpu);
    return true;
}

static KvmInterpreted guarded(KvmVcpu *v, bool (*fn)(KvmVcpu *v))
{
    X86Cpu *c = v->cpu;

    x86_mmu_sync(c);
    bool ok = unwinding(v, fn) && unwinding(v, trap);
    x86_mode_changed(c);
    return !ok ? INTERPRETED_SHUTDOWN : c->debug.stop ? INTERPRETED_STOP : INTERPRETED;
}

/* The kernel has run: the guest may have changed its page tables and debug registers. */
static void come_back(X86Cpu *c)
{
    x86_debug_changed(c);
    x86_tlb_flush(c, true);
}

static bool event(KvmVcpu *v)
{
    X86Cpu *c = v->cpu;
    struct kvm_vcpu_events *e = &v->events;

    if (take_event(v)) {
        return x86_deliver(c);
    }
    if (e->interrupt.injected) {
        e->interrupt.injected = 0;
        if (e->interrupt.soft) {
            x86_software_interrupt(c, e->interrupt.nr, true);
            return true;
        }
        return x86_deliver_interrupt(c, e->interrupt.nr);
    }
    one_instruction(c);
    return true;
}

static bool instruction(KvmVcpu *v)
{
    struct kvm_vcpu_events *e = &v->events;

    /* An instruction is at its turn, so that these have been delivered: some kernels leave the mark. */
    e->exception.injected = e->interrupt.injected = e->nmi.injected = 0;
    one_instruction(v->cpu);
    return true;
}

uint64_t kvm_interpreted(const Vcpu *vcpu)
{
    const KvmVcpu *v = vcpu->accel_data;

    return v->stats.interpreted;
}

KvmInterpreted kvm_interpret(KvmVcpu *v, bool delivering)
{
    v->stats.interpreted++;
    come_back(v->cpu);
    return guarded(v, delivering ? event : instruction);
}

static bool next_instruction(KvmVcpu *v)
{
    if (v->cpu->debug.code) {
        x86_insn_check(v->cpu, kvm_linear_rip(v->cpu));
    }
    one_instruction(v->cpu);
    return true;
}

KvmInterpreted kvm_interpret_next(KvmVcpu *v)
{
    v->stats.interpreted++;
    return guarded(v, next_instruction);
}

/* What shows RFLAGS.TF, by which the kernel steps, or IDTR (kvm_hide_idt()); loads of SS, behind which there is no trap
 * before another instruction has run (SDM volume 3A, 6.8.3); HLT, which some kernels leave out when they report a step;
 * and what has to do the same each time (Vcpu.repeatable). */
bool kvm_steps_badly(KvmVcpu *v)
{
    enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b };
    X86Cpu *c = v->cpu;
    uint8_t bytes[X86_INSN_MAX];
    uint64_t linear = kvm_linear_rip(c);
    unsigned n = 0;
    X86Insn in;

    x86_tlb_flush(c, true);
    while (n < sizeof(bytes) && x86_read_debug(c, linear + n, bytes + n, 1)) {
        n++;
    }
    if (x86_decode(&in, bytes, n, x86_code_bits(c)) <= 0) {
        return false;
    }
    switch (in.row->op) {
    case OP_HLT:
        return v->kvm->irqchip == KVM_IRQCHIP_NONE;
    case OP_PUSHF: case OP_SYSCALL: case OP_LIDT: case OP_SIDT:
        return true;
    case OP_MOV_TO_SEG:
        return (in.reg & 7) == X86_SS;
    case OP_POP_SEG:
        return in.row->operand[0].kind == OPK_SS;
    case OP_RDTSC: case OP_RDTSCP: case OP_RDRAND: case OP_RDSEED:
        return c->vcpu.repeatable;
    case OP_RDMSR: case OP_WRMSR:
        return c->vcpu.repeatable &&
            ((uint32_t)c->regs[X86_RCX] == MSR_TSC || (uint32_t)c->regs[X86_RCX] == MSR_TSC_ADJUST);
    default:
        return false;
    }
}

static bool serve(KvmVcpu *v)
{
    bool shutdown;

    come_back(v->cpu);
    x86_serve_requests(v->cpu, &shutdown);
    return !shutdown;
}

KvmInterpreted kvm_serve_requests(KvmVcpu *v)
{
    return guarded(v, serve);
}
