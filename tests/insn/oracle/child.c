/*
 * tests/insn/oracle/child.c - runs the cases of insn-oracle on this very processor.
 *
 * A program of its own so that little else is in its address space.
 *
 * A case is entered by IRETQ, which loads 16-, 32- and 64-bit code segments alike, XRSTOR before it
 * (`enter` in trampoline.S).  Where the instruction runs on to what is behind it, that is a jump back
 * (`leave`), and the kernel has no part in it.  All other cases end with a trap or a fault, whose signal
 * frame holds the state: the handler stores that, and goes back to the loop without returning.
 *
 * The traps are INT3, with which the page is filled: one by TF costs ten times as much where a
 * hypervisor intercepts the debug registers, which Linux then reads and writes.
 *
 * Code here runs with whatever FS base a case left: it must not use thread-local storage.
 *
 * Confined by a seccomp filter: return from a signal, wait, wake, exit.  Anything else is a SIGSYS, which
 * is a case's result like any other.
 *
 * Usage: by insn-oracle alone; descriptor 3 is the shared memory.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>
#include "case.h"
#include "trampoline.h"

enum { SHARED_FD = 3, XSAVE_HEADER = 512 };
enum { FLAG_TF = 1 << 8, FLAG_NT = 1 << 14, FLAG_RF = 1 << 16, FLAG_AC = 1 << 18, FLAG_ID = 1 << 21 };
enum { XCR_X87 = 1, XCR_SSE = 2, XCR_AVX = 4, XCR_AVX512 = 0xe0 };

static High *const high = (High *)HIGH_AT;
static OracleShared *shared;
static OracleCase *now;                 /* in execution */
static bool by_frame;                   /* the next signal is there to load it */
static uint8_t *code, *data, *low;           /* where they can be written */
static uint64_t components;             /* of XSAVE, that cases have */
static uint32_t ymm_at, k_at, zmm_at, zmm16_at;
static unsigned steps;

static long system_call(long nr, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long ret;

    __asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return ret;
}

static uint64_t get_base(bool fs)
{
    uint64_t base = 0;

    if (shared->host.fsgsbase && fs) {
        __asm__ volatile("rdfsbase %0" : "=r"(base));
    } else if (shared->host.fsgsbase) {
        __asm__ volatile("rdgsbase %0" : "=r"(base));
    } else {
        system_call(SYS_arch_prctl, fs ? ARCH_GET_FS : ARCH_GET_GS, (long)&base, 0, 0);
    }
    return base;
}

static void set_base(bool fs, uint64_t base)
{
    if (shared->host.fsgsbase && fs) {
        __asm__ volatile("wrfsbase %0" : : "r"(base));
    } else if (shared->host.fsgsbase) {
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    } else {
        system_call(SYS_arch_prctl, fs ? ARCH_SET_FS : ARCH_SET_GS, base, 0, 0);
    }
}

/* ---- memory ---- */

static void patch_memory(const OracleCase *c)
{
    for (unsigned i = 0; i < c->patches; i++) {
        memcpy(data + c->patch[i].at, c->patch[i].bytes, c->patch[i].len);
    }
    for (unsigned i = 0; i < c->len && c->code_at + i < ORACLE_PAGE; i++) {
        code[c->code_at + i] = c->code[i];
    }
    put_jump(c, code);
}

/* What changed goes to the result, and back to what it was. */
static void collect_memory(OracleCase *c)
{
    OracleResult *out = &c->out;

    out->lines = 0;
    for (unsigned page = 0; page < DATA_PAGES; page++) {
        unsigned at = page * ORACLE_PAGE;
        if (data_page_kind[page] != DATA_RW || !memcmp(data + at, shared->background + at, ORACLE_PAGE)) {
            continue;
        }
        for (unsigned end = at + ORACLE_PAGE; at < end; at += LINE) {
            if (memcmp(data + at, shared->background + at, LINE)) {
                out->line[out->lines].at = at;
                memcpy(out->line[out->lines++].bytes, data + at, LINE);
                memcpy(data + at, shared->background + at, LINE);
            }
        }
    }
    for (unsigned i = 0; i < (unsigned)c->len + JUMP_MAX && c->code_at + i < ORACLE_PAGE; i++) {
        code[c->code_at + i] = CODE_FILL;
    }
}

/* ---- registers ---- */

static const uint8_t greg_of[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

#define GET_SEG(name, to) do { uint32_t v_; __asm__ volatile("mov %%" name ", %0" : "=r"(v_)); to = v_; } while (0)
#define SET_SEG(name, from) __asm__ volatile("mov %0, %%" name : : "r"((uint32_t)(from)))

static void get_component(void *to, const uint8_t *xsave, uint32_t at, size_t size, uint64_t bit, uint64_t in_use)
{
    if (in_use & bit) {
        memcpy(to, xsave + at, size);
    } else {
        memset(to, 0, size);            /* in its initial state: the area is not written */
    }
}

/* From where XSAVE put it. */
static void save_vectors(OracleState *s, const uint8_t *x)
{
    uint64_t used;

    s->fs_base = get_base(true);
    s->gs_base = get_base(false);
    s->vectors = (components & XCR_AVX ? ORACLE_AVX : 0) | (components & XCR_AVX512 ? ORACLE_AVX512 : 0);
    memcpy(&used, x + XSAVE_HEADER, 8);
    memcpy(s->fx, x, FX_END);
    if (!(used & XCR_X87)) {
        memset(s->fx + FX_FCW, 0, FX_MXCSR);
        memset(s->fx + FX_ST, 0, FX_XMM - FX_ST);
        memcpy(s->fx + FX_FCW, "\x7f\x03", 2);
    }
    if (!(used & XCR_SSE)) {
        memset(s->fx + FX_XMM, 0, FX_END - FX_XMM);
    }
    if (components & XCR_AVX) {
        get_component(s->ymm_high, x, ymm_at, sizeof(s->ymm_high), XCR_AVX, used);
    }
    if (components & XCR_AVX512) {
        get_component(s->k, x, k_at, sizeof(s->k), 0x20, used);
        get_component(s->zmm_high, x, zmm_at, sizeof(s->zmm_high), 0x40, used);
        get_component(s->zmm16, x, zmm16_at, sizeof(s->zmm16), 0x80, used);
    }
}

static void save_frame(OracleState *s, const ucontext_t *u)
{
    const greg_t *g = u->uc_mcontext.gregs;

    for (unsigned i = 0; i < 16; i++) {
        s->regs[i] = g[greg_of[i]];
    }
    s->rip = g[REG_RIP];
    s->flags = g[REG_EFL];
    GET_SEG("es", s->seg[0]);
    s->seg[1] = g[REG_CSGSFS];
    s->seg[2] = (uint64_t)g[REG_CSGSFS] >> 48;
    GET_SEG("ds", s->seg[3]);
    GET_SEG("fs", s->seg[4]);
    GET_SEG("gs", s->seg[5]);
    save_vectors(s, (const uint8_t *)u->uc_mcontext.fpregs);
}

/* What `leave` found. */
static void save_left(const OracleCase *c, OracleState *s)
{
    memcpy(s->regs, high->regs, sizeof(s->regs));
    s->rip = c->in.rip + c->len;
    s->flags = high->flags;
    memcpy(s->seg, high->seg, sizeof(s->seg));
    s->seg[1] = c->in.seg[1];
    save_vectors(s, high->xsave);
}

/* sigreturn leaves these two as they are. */
static void load_flags(uint64_t flags)
{
    __asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq" : : "r"(flags & (FLAG_NT | FLAG_ID)) : "cc", "memory");
}

static void load_segments(const OracleState *s, unsigned bits)
{
    uint16_t es, ds;

    GET_SEG("es", es);
    GET_SEG("ds", ds);
    if (es != s->seg[0]) {
        SET_SEG("es", s->seg[0]);
    }
    if (ds != s->seg[3]) {
        SET_SEG("ds", s->seg[3]);
    }
    SET_SEG("fs", s->seg[4]);           /* always: their bases may have been changed */
    SET_SEG("gs", s->seg[5]);
    if (bits == 64) {
        set_base(true, s->fs_base);
        set_base(false, s->gs_base);
    }
}

static void load_vectors(const OracleState *s, uint8_t *x)
{
    uint64_t used;

    memcpy(x, s->fx, 6);
    memset(x + 6, 0, FX_MXCSR - 6);
    memcpy(x + FX_MXCSR, s->fx + FX_MXCSR, 4);
    memcpy(x + FX_ST, s->fx + FX_ST, FX_END - FX_ST);
    memcpy(&used, x + XSAVE_HEADER, 8);
    used |= components;
    memcpy(x + XSAVE_HEADER, &used, 8);
    if (components & XCR_AVX) {
        memcpy(x + ymm_at, s->ymm_high, sizeof(s->ymm_high));
    }
    if (components & XCR_AVX512) {
        memcpy(x + k_at, s->k, sizeof(s->k));
        memcpy(x + zmm_at, s->zmm_high, sizeof(s->zmm_high));
        memcpy(x + zmm16_at, s->zmm16, sizeof(s->zmm16));
    }
}

/* For sigreturn. */
static void load_frame(const OracleCase *c, ucontext_t *u)
{
    const OracleState *s = &c->in;
    greg_t *g = u->uc_mcontext.gregs;

    for (unsigned i = 0; i < 16; i++) {
        g[greg_of[i]] = s->regs[i];
    }
    g[REG_RIP] = s->rip;
    g[REG_EFL] = s->flags;
    g[REG_CSGSFS] = (greg_t)((uint64_t)s->seg[2] << 48 | s->seg[1]);
    load_vectors(s, (uint8_t *)u->uc_mcontext.fpregs);
    load_segments(s, c->bits);
    load_flags(s->flags);
}

/* IRETQ to a stack of 16 bits loads SP alone. */
static bool has_small_stack(const OracleState *s)
{
    unsigned i = s->seg[2] >> 3;

    return (s->seg[2] & 4) && i < LDT_USED && !oracle_ldt[i].big;
}

/* For `enter`. */
static void load_high(const OracleCase *c)
{
    const OracleState *s = &c->in;
    bool small = has_small_stack(s);
    Frame far = { s->rip, s->seg[1], s->flags, s->regs[4], s->seg[2] };

    memcpy(high->regs, s->regs, sizeof(s->regs));
    load_vectors(s, high->xsave);
    if (small) {                        /* by way of 32-bit code, which loads SS and jumps */
        uint32_t off = (uint32_t)s->rip;
        memcpy(low + LOW_SS, &s->seg[2], 2);
        memcpy(low + LOW_TARGET, &off, 4);
        memcpy(low + LOW_TARGET + 4, &s->seg[1], 2);
        far.rip = LOW_AT + LOW_SMALL;
        far.cs = SEL_USER32;
        far.ss = SEL_USER_DATA;
    }
    high->frame = far;
    high->mask = components;
    load_segments(s, c->bits);
}

/* ---- one case after the other ---- */

/* A REP instruction with TF traps after each element: let it go on. */
static bool goes_on(const OracleCase *c, const ucontext_t *u)
{
    return u->uc_mcontext.gregs[REG_TRAPNO] == 1 && (uint64_t)u->uc_mcontext.gregs[REG_RIP] == c->in.rip
           && steps++ < c->steps;
}

/* Its target, or what is behind it, cannot be executed: the instruction itself has ended. */
static bool is_fetch_of_next(const OracleCase *c)
{
    enum { FETCH = 1 << 4 };
    const OracleState *s = &c->out.state;
    bool based = (s->seg[1] & 4) != 0;  /* code of our LDT begins at CODE_AT */

    return c->out.vector == 14 && (c->out.error & FETCH) && s->rip != c->in.rip
        && c->out.cr2 == (based ? (uint32_t)(s->rip + CODE_AT) : s->rip);
}

static void finish(OracleCase *c, const ucontext_t *u, int sig)
{
    OracleResult *out = &c->out;

    save_frame(&out->state, u);
    out->vector = sig == SIGSYS ? ORACLE_SYSCALL : (int32_t)u->uc_mcontext.gregs[REG_TRAPNO];
    out->error = (uint32_t)u->uc_mcontext.gregs[REG_ERR];
    out->cr2 = u->uc_mcontext.gregs[REG_CR2];
    if (out->vector == 1 || is_fetch_of_next(c)) {
        out->vector = ORACLE_NONE;
    } else if (out->vector == 3 && out->state.rip != c->in.rip + c->len) {
        out->vector = ORACLE_NONE;      /* no INT3 of its own: it ran on to the filling */
        out->state.rip--;
    }
}

static void run_case(OracleCase *c)
{
    now = c;
    steps = 0;
    patch_memory(c);
    by_frame = (c->in.flags & FLAG_TF) && has_small_stack(&c->in);
    if (!by_frame) {
        load_high(c);
    }
    if (((int (*)(void))(uintptr_t)(LOW_AT + (by_frame ? LOW_TRAP : LOW_ENTER)))() == 0) {
        save_left(c, &c->out.state);
        c->out.vector = ORACLE_NONE;
        c->out.error = 0;
        c->out.cr2 = 0;
    }
    collect_memory(c);
}

static void wait_for_batch(void)
{
    uint32_t done = atomic_load(&shared->done);

    while (atomic_load(&shared->posted) == done) {
        system_call(SYS_futex, (long)&shared->posted, FUTEX_WAIT, done, 0);
    }
}

static void batch_is_done(void)
{
    atomic_fetch_add(&shared->done, 1);
    system_call(SYS_futex, (long)&shared->done, FUTEX_WAKE, 1, 0);
}

void oracle_on_signal(int sig, siginfo_t *info, ucontext_t *u);
void oracle_signal_entry(int sig, siginfo_t *info, void *u);

/* The kernel clears DF, RF and TF only. */
__asm__(".pushsection .text\n\t.globl oracle_signal_entry\n\t.type oracle_signal_entry, @function\n"
        "oracle_signal_entry:\n\tpushfq\n\tandq $~0x244000, (%rsp)\n\tpopfq\n\tjmp oracle_on_signal\n\t.popsection");

void oracle_on_signal(int sig, siginfo_t *info, ucontext_t *u)
{
    if (by_frame) {
        by_frame = false;
        load_frame(now, u);
    } else if (goes_on(now, u)) {
        load_flags(u->uc_mcontext.gregs[REG_EFL]);
    } else {
        finish(now, u, sig);
        ((void (*)(void))(uintptr_t)(LOW_AT + LOW_BACK))();
    }
}

/* ---- set-up ---- */

static bool map_at(uint64_t at, size_t size, int prot, int fd, off_t offset)
{
    int flags = MAP_FIXED_NOREPLACE | MAP_POPULATE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

    return mmap((void *)at, size, prot, flags, fd, offset) == (void *)at;
}

static int map_memory(void)
{
    int fd = memfd_create("oracle", 0);
    const size_t size = (2 + DATA_PAGES) * ORACLE_PAGE;

    if (fd < 0 || ftruncate(fd, size)) {
        return NO_MEMORY;
    }
    code = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    data = code + ORACLE_PAGE;
    low = data + sizeof(shared->background);
    if (code == MAP_FAILED) {
        return NO_MEMORY;
    }
    memset(code, CODE_FILL, ORACLE_PAGE);
    memcpy(low, oracle_trampoline, oracle_trampoline_end - oracle_trampoline);
    if (!map_at(LOW_AT, ORACLE_PAGE, PROT_READ | PROT_EXEC, fd, (1 + DATA_PAGES) * ORACLE_PAGE)
        || !map_at(HIGH_AT, sizeof(*high), PROT_READ | PROT_WRITE, -1, 0)
        || !map_at(CODE_AT, ORACLE_PAGE, PROT_READ | PROT_EXEC, fd, 0)) {
        return NO_MEMORY;
    }
    memcpy(data, shared->background, sizeof(shared->background));
    for (unsigned page = 0; page < DATA_PAGES; page++) {
        int prot = data_page_kind[page] == DATA_RW ? PROT_READ | PROT_WRITE : PROT_READ;
        if (data_page_kind[page] != DATA_ABSENT
            && !map_at(DATA_AT + page * ORACLE_PAGE, ORACLE_PAGE, prot, fd, (1 + page) * ORACLE_PAGE)) {
            return NO_MEMORY;
        }
    }
    return READY;
}

static int make_ldt(void)
{
    for (unsigned i = 0; i < LDT_USED; i++) {
        const OracleSegment *s = &oracle_ldt[i];
        struct user_desc d = {
            .entry_number = i, .base_addr = s->base, .limit = s->limit, .seg_32bit = s->big,
            .contents = s->contents, .read_exec_only = s->read_only, .limit_in_pages = s->pages,
            .seg_not_present = s->absent, .useable = 1,
        };
        if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d))) {
            return NO_LDT;
        }
    }
    return READY;
}

/* Some hypervisors give a kernel's programs neither 32-bit code nor a table of their own, and modify_ldt() succeeds all
 * the same. */
static bool may_load(uint16_t selector)
{
    uint32_t rights;
    bool valid;

    __asm__("lar %2, %0" : "=r"(rights), "=@ccz"(valid) : "r"((uint32_t)selector));
    return valid;
}

static void find_components(void)
{
    uint32_t a, b, c, d;

    components = XCR_X87 | XCR_SSE;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) {
        return;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (low & XCR_AVX) {
        components |= XCR_AVX;
        __cpuid_count(13, 2, a, ymm_at, c, d);
    }
    if ((low & XCR_AVX512) == XCR_AVX512) {
        components |= XCR_AVX512;
        __cpuid_count(13, 5, a, k_at, c, d);
        __cpuid_count(13, 6, a, zmm_at, c, d);
        __cpuid_count(13, 7, a, zmm16_at, c, d);
    }
}

static int confine(void)
{
    struct sock_filter allow[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog prog = { .len = sizeof(allow) / sizeof(allow[0]), .filter = allow };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? NO_SECCOMP
                                                                                                    : READY;
}

static int set_up(void)
{
    static uint8_t stack[256 << 10];
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction sa = { .sa_sigaction = oracle_signal_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    int ok = map_memory();

    if (ok == READY) {
        ok = make_ldt();
    }
    shared->host.fsgsbase = getauxval(AT_HWCAP2) >> 1 & 1;
    shared->host.descriptors = may_load(SEL_USER32) && may_load(LDT_SEL(LDT_CODE16));
    find_components();
    sigaltstack(&alternate, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &sa, NULL);
    }
    return ok == READY ? confine() : ok;
}

int main(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
    if (shared == MAP_FAILED) {
        return 1;
    }
    uint32_t ready = set_up();
    shared->ready = ready;
    batch_is_done();
    while (ready == READY) {
        wait_for_batch();
        for (uint32_t i = 0; i < shared->count; i++) {
            shared->current = i;
            run_case(&shared->item[i]);
        }
        batch_is_done();
    }
    _exit(2);
}
