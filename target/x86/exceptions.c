/*
 * Exceptions from the moment an instruction raises one until its handler's first instruction, and
 * the requests that other parts of the machine make of the processor (SDM volume 3A, chapter 6).
 *
 * Not modelled: machine checks, SMI (no SMM).
 */
#include "target/x86/exec.h"

#include <inttypes.h>
#include "core/machine.h"
#include "target/x86/segments.h"
#include "transfer.h"
#include "util/log.h"

/* exc.delivering while an interrupt or NMI is: it is benign whatever its vector (6.15, table 6-5). */
enum { DELIVERING_INTERRUPT = 256 };

/* ---- raising ---- */

static G_NORETURN void unwind(X86Cpu *c)
{
    longjmp(*c->unwind, 1);
}

/* A fault belongs to the instruction: RIP goes back to its start. */
static void rewind_rip(X86Cpu *c)
{
    if (c->cur && !c->exc.switched) {
        uint64_t rip = c->regs[X86_RIP] - c->cur->len;
        c->regs[X86_RIP] = x86_code_bits(c) == 64 ? rip : (uint32_t)rip;    /* EIP in 16-bit code, too */
    }
}

static G_NORETURN void raise_fault(X86Cpu *c, unsigned vector, bool has_error, uint32_t error)
{
    rewind_rip(c);
    c->exc.switched = c->exc.again = false;
    c->debug.pending = 0;               /* what the instruction had hit is hit again */
    c->debug.alone = c->debug.stop = false;
    c->exc.vector = vector;
    c->exc.has_error = has_error;
    c->exc.error = error;
    c->exc.software = c->exc.soft_int = false;
    unwind(c);
}

void x86_restart(X86Cpu *c)
{
    rewind_rip(c);
    c->exc.again = true;
    unwind(c);
}

/* Between two instructions, while an event is delivered, the count is exact. */
void x86_go_apart(X86Cpu *c)
{
    if (!c->debug.apart && c->cur && !c->exc.switched && c->exc.delivering < 0) {
        c->debug.apart = true;
        x86_restart(c);
    }
}

void x86_raise(X86Cpu *c, unsigned vector)
{
    raise_fault(c, vector, false, 0);
}

/* 6.13: EXT says that something outside the program was being delivered. */
void x86_raise_error(X86Cpu *c, unsigned vector, uint32_t error)
{
    bool selector = vector >= EXC_TS && vector <= EXC_GP;

    raise_fault(c, vector, true, error | (selector && c->exc.delivering >= 0 && c->exc.ext));
}

void x86_raise_pf(X86Cpu *c, uint64_t linear, uint32_t error)
{
    c->exc.cr2 = linear;
    raise_fault(c, EXC_PF, true, error);
}

void x86_raise_trap(X86Cpu *c, unsigned vector, bool soft_int)
{
    c->debug.alone = c->exc.again = false;
    if (soft_int) {
        x86_software_interrupt(c, vector, false);
        c->exc.vector = -1;
    } else {
        c->exc.vector = vector;
        c->exc.has_error = false;
        c->exc.software = true;
        c->exc.soft_int = false;
    }
    unwind(c);
}

/* ---- x87 exceptions in the way of MS-DOS ---- */

static void set_ferr(X86Cpu *c, bool level)
{
    Vcpu *v = &c->vcpu;

    c->ferr = level;
    machine_lock(v->machine);
    v->ferr(v->ferr_opaque, level);
    machine_unlock(v->machine);
}

void x86_numeric_error(X86Cpu *c)
{
    x86_apart(c);
    if (c->cr0 & CR0_NE) {
        x86_raise(c, EXC_MF);
    }
    if (!c->vcpu.ferr || atomic_load(&c->vcpu.ignne)) {
        return;                         /* nothing is connected: IGNNE# is held active */
    }
    if (!c->ferr) {
        set_ferr(c, true);
    }
    c->vcpu.halted = true;
    x86_restart(c);
}

void x86_numeric_clear(X86Cpu *c)
{
    if (G_UNLIKELY(c->ferr)) {
        set_ferr(c, false);
    }
}

/* ---- delivering ---- */

typedef enum Class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT } Class;

static Class class_of(int vector)
{
    switch (vector) {
    case EXC_DE: case EXC_TS: case EXC_NP: case EXC_SS: case EXC_GP:
        return CONTRIBUTORY;
    case EXC_PF:
        return PAGE_FAULT;
    case EXC_DF:
        return DOUBLE_FAULT;
    default:
        return BENIGN;
    }
}

/* What two exceptions make: vol 3A table 6-5.  -1: shutdown. */
static int combine(int first, int second)
{
    Class a = class_of(first), b = class_of(second);

    if (b == BENIGN || a == BENIGN) {
        return second;
    }
    if (a == DOUBLE_FAULT) {
        return -1;
    }
    return a == CONTRIBUTORY && b == PAGE_FAULT ? second : EXC_DF;
}

/* Faults push RF set, so that their instruction is not stopped by its breakpoint again; instruction
 * breakpoints themselves do not, general detect (DR6.BD) does (17.3.1.1). */
static bool pushes_rf(const X86Cpu *c, int vector, uint32_t dr6)
{
    return !c->exc.software && vector != EXC_DF && (vector != EXC_DB || (dr6 & DR6_BD));
}

static void log_event(X86Cpu *c, const char *what, int vector, bool has_error, uint32_t error)
{
    if (log_on(LOG_INT)) {
        log_printf("cpu%u: %s %02x", c->vcpu.index, what, vector);
        if (has_error) {
            log_printf(" error %04x", error);
        }
        log_printf(" at %04x:%" PRIx64 " cpl %u rsp %" PRIx64 " cr2 %" PRIx64 "\n", c->seg[X86_CS].selector,
                   c->regs[X86_RIP], c->cpl, c->regs[X86_RSP], c->cr2);
    }
}

bool x86_deliver(X86Cpu *c)
{
    int vector = c->exc.vector;

    if (vector < 0) {
        return true;
    }
    c->cur = NULL;
    if (vector == EXC_PF) {
        c->cr2 = c->exc.cr2;
    }
    if (c->exc.delivering >= 0) {
        int both = combine(c->exc.delivering, vector);
        if (both < 0) {
            log_event(c, "shutdown after", vector, c->exc.has_error, c->exc.error);
            c->exc.vector = c->exc.delivering = -1;
            return false;
        }
        if (both != vector) {
            log_event(c, "exception, then in its delivery", vector, c->exc.has_error, c->exc.error);
            vector = both;
            c->exc.has_error = true;
            c->exc.error = 0;
            c->exc.software = false;
        }
    }
    bool rf = pushes_rf(c, vector, c->exc.dr6);
    if (vector == EXC_DB) {
        c->dr[6] = (c->dr[6] & ~(uint64_t)DR6_B) | c->exc.dr6;
        c->dr[7] &= ~(uint64_t)DR7_GD;          /* 17.2.4 */
        c->exc.dr6 = 0;
    }
    log_event(c, "exception", vector, c->exc.has_error, c->exc.error);
    Event e = {
        .vector = vector, .has_error = c->exc.has_error, .error = c->exc.error,
        .flags = x86_rflags(c) | (rf ? FL_RF : 0),
    };
    c->exc.vector = -1;
    c->exc.delivering = vector;
    c->exc.ext = true;
    event_deliver(c, &e);
    c->exc.delivering = -1;
    return true;
}

static void deliver_benign(X86Cpu *c, unsigned vector, const char *what)
{
    log_event(c, what, vector, false, 0);
    /* RF is set between two iterations of a REP instruction, and behind an IRET that set it (17.3.1.1). */
    Event e = { .vector = vector, .flags = x86_rflags(c) };
    c->cur = NULL;
    c->exc.vector = -1;
    c->exc.delivering = DELIVERING_INTERRUPT;
    c->exc.ext = true;
    c->vcpu.halted = false;
    c->sti_shadow = c->ss_shadow = false;
    event_deliver(c, &e);
    c->exc.delivering = -1;
}

bool x86_deliver_interrupt(X86Cpu *c, unsigned vector)
{
    deliver_benign(c, vector, "interrupt");
    return true;
}

void x86_software_interrupt(X86Cpu *c, unsigned vector, bool is_int_n)
{
    Event e = { .vector = vector, .soft = true, .flags = x86_rflags(c) & ~FL_RF };

    /* 20.3.3: in virtual-8086 mode INT n (not INT3 and INTO) depends on IOPL, and with CR4.VME on the
     * redirection bitmap, the 32 bytes below the TSS's I/O bitmap. */
    if (is_int_n && (c->mode & MODE_VM)) {
        if (c->cr4 & CR4_VME) {
            uint32_t map = (uint32_t)x86_ld_sys(c, c->tr.base + 0x66, 2) - 32 + vector / 8;
            bool redirect = map <= c->tr.limit && !(x86_ld_sys(c, c->tr.base + map, 1) >> (vector & 7) & 1);
            if (redirect) {
                uint32_t flags = x86_rflags(c);
                if (x86_iopl(c) < 3) {
                    flags = (flags & ~FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
                }
                event_deliver_real(c, vector, flags);
                return;
            }
        }
        if (x86_iopl(c) < 3) {
            x86_raise_error(c, EXC_GP, 0);
        }
    }
    log_event(c, "software interrupt", vector, false, 0);
    event_deliver(c, &e);
}

/* ---- requests ---- */

static bool interrupts_open(const X86Cpu *c)
{
    return (c->rflags & FL_IF) && !c->sti_shadow;
}

/* What of the requests is to be seen to now; STOP is the run loop's.  A processor that waits for SIPI
 * hears nothing else (8.4.2); one that is not waiting drops it. */
static uint32_t due(const X86Cpu *c)
{
    uint32_t r = atomic_load_explicit(&c->vcpu.requests, memory_order_acquire);
    uint32_t mask = VCPU_STOP | VCPU_WORK | VCPU_INIT | VCPU_SIPI;

    if (!c->wait_sipi && !c->vcpu.hold_interrupts) {
        mask |= interrupts_open(c) ? VCPU_INTR : 0;
        mask |= c->nmi_blocked || c->sti_shadow ? 0 : VCPU_NMI;
        mask |= VCPU_SMI;
    }
    return r & mask;
}

bool x86_interrupt_due(X86Cpu *c)
{
    return due(c) != 0;
}

/* The vector, or -1 when the controller has changed its mind. */
static int acknowledge(X86Cpu *c)
{
    Vcpu *v = &c->vcpu;
    int vector = -1;

    machine_lock(v->machine);
    if (v->intctl) {
        vector = v->intctl->acknowledge(v->intctl_opaque);
    } else {
        vcpu_lower(v, VCPU_INTR);
    }
    machine_unlock(v->machine);
    return vector;
}

bool x86_serve_requests(X86Cpu *c, bool *shutdown)
{
    Vcpu *v = &c->vcpu;
    uint32_t r = due(c);

    *shutdown = false;
    if (r & VCPU_INIT) {
        vcpu_lower(v, VCPU_INIT);
        x86_init(c);
        return true;
    }
    if (r & VCPU_SIPI) {
        vcpu_lower(v, VCPU_SIPI);
        if (c->wait_sipi) {
            x86_sipi(c, v->sipi_vector);
            return true;
        }
    }
    if (r & VCPU_WORK) {
        vcpu_run_work(v);
        return true;
    }
    if (r & VCPU_SMI) {
        vcpu_lower(v, VCPU_SMI);
        log_unimp("cpu", "SMI: this processor has no system management mode");
    }
    if (r & VCPU_NMI) {
        vcpu_lower(v, VCPU_NMI);
        c->nmi_blocked = true;
        deliver_benign(c, EXC_NMI, "NMI");
        return true;
    }
    if (r & VCPU_INTR) {
        int vector = acknowledge(c);
        if (vector >= 0) {
            *shutdown = !x86_deliver_interrupt(c, vector);
            return true;
        }
    }
    return false;
}
