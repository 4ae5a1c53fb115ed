/*
 * tests/insn/native.c - the trampoline behind native.h.
 */
#include "native.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "util/host.h"

typedef struct Area {                   /* one mapping: reached by absolute addresses */
    NativeState state;
    uint64_t host_rsp;
    uint32_t host_mxcsr;
    uint16_t host_fcw;
    _Alignas(4096) uint8_t memory[NATIVE_MEMORY];
} Area;

static struct sigaction before[NSIG];   /* what was there: hostrun-trap.c's, say */
static Area *area;
static uint8_t *code;
static uintptr_t after;                 /* where a trap goes on */

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

#define PUT(p, bytes) put(p, bytes, sizeof(bytes) - 1)

/* An instruction with a memory operand [abs32]; `bytes` end before ModRM. */
static uint8_t *put_abs(uint8_t *p, const char *bytes, unsigned reg, const void *where)
{
    uint32_t addr = (uintptr_t)where;

    p = put(p, bytes, strlen(bytes));
    *p++ = 0x04 | reg << 3;
    *p++ = 0x25;
    return put(p, &addr, 4);
}

static uint8_t *put_mov(uint8_t *p, unsigned opcode, unsigned reg, const void *where)
{
    char bytes[3] = { reg & 8 ? 0x4c : 0x48, opcode, 0 };

    return put_abs(p, bytes, reg & 7, where);
}

/* VINSERTF128 (18) or VEXTRACTF128 (19) of upper halves. */
static uint8_t *put_ymm_high(uint8_t *p, unsigned opcode, NativeState *s)
{
    for (unsigned i = 0; i < 16; i++) {
        uint8_t vvvv = opcode == 0x18 ? ~i & 15 : 15;
        char bytes[5] = { 0xc4, i & 8 ? 0x63 : 0xe3, vvvv << 3 | 5, opcode, 0 };
        p = put_abs(p, bytes, i & 7, s->ymm_high[i]);
        *p++ = 1;
    }
    return p;
}

/* VMOVUPS of all of ZMM and KMOVQ, to load (opcodes 10, 90) or to store (11, 91). */
static uint8_t *put_avx512(uint8_t *p, unsigned opcode, NativeState *s)
{
    for (unsigned i = 0; i < 32; i++) {
        char bytes[6] = { 0x62, 0x61 | (~i & 8) << 4 | (~i & 16), 0x7c, 0x48, opcode, 0 };
        p = put_abs(p, bytes, i & 7, s->zmm[i]);
    }
    for (unsigned i = 0; i < 8; i++) {
        char bytes[5] = { 0xc4, 0xe1, 0xf8, opcode | 0x80, 0 };
        p = put_abs(p, bytes, i, &s->k[i]);
    }
    return p;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;

    if ((uintptr_t)u->uc_mcontext.gregs[REG_RIP] - (uintptr_t)code > 4096) {
        if (before[sig].sa_flags & SA_SIGINFO) {
            before[sig].sa_sigaction(sig, info, context);
        } else {
            signal(sig, SIG_DFL);       /* neither ours nor awaited */
        }
        return;
    }
    area->state.signal = sig;
    u->uc_mcontext.gregs[REG_RIP] = after;
}

static void set_up(void)
{
    struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
    static const int traps[] = { SIGFPE, SIGSEGV, SIGBUS, SIGILL };

    area = mmap(NULL, sizeof(Area), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    g_assert_true(area != MAP_FAILED && code != MAP_FAILED);
    for (unsigned i = 0; i < G_N_ELEMENTS(traps); i++) {
        sigaction(traps[i], &sa, &before[traps[i]]);
    }
}

NativeState *native_state(void)
{
    if (!area) {
        set_up();
    }
    return &area->state;
}

uint8_t *native_memory(void)
{
    native_state();
    return area->memory;
}

void native_run(const uint8_t *insn, size_t len)
{
    NativeState *s = native_state();
    uint8_t *p = code;

    p = PUT(p, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57");     /* push rbx rbp r12..r15 */
    p = put_mov(p, 0x89, 4, &area->host_rsp);
    p = put_abs(p, "\x0f\xae", 3, &area->host_mxcsr);           /* stmxcsr */
    p = put_abs(p, "\xd9", 7, &area->host_fcw);                 /* fnstcw */
    p = put_abs(p, "\xff", 6, &s->flags);                       /* push */
    p = put_abs(p, "\x48\x0f\xae", 1, s->fx);                   /* fxrstor64 */
    p = native_has("avx") ? put_ymm_high(p, 0x18, s) : p;
    p = native_has("avx512bw") ? put_avx512(p, 0x10, s) : p;
    p = PUT(p, "\x9d");
    for (unsigned r = 0; r < 16; r++) {
        p = r == 4 ? p : put_mov(p, 0x8b, r, &s->regs[r]);
    }
    p = put(p, insn, len);
    after = (uintptr_t)p;
    for (unsigned r = 0; r < 16; r++) {
        p = r == 4 ? p : put_mov(p, 0x89, r, &s->regs[r]);
    }
    p = put_mov(p, 0x8b, 4, &area->host_rsp);
    p = PUT(p, "\x9c");
    p = put_abs(p, "\x8f", 0, &s->flags);                       /* pop */
    p = put_abs(p, "\x48\x0f\xae", 0, s->fx);                   /* fxsave64 */
    p = native_has("avx512bw") ? put_avx512(p, 0x11, s) : p;
    if (native_has("avx")) {
        p = put_ymm_high(p, 0x19, s);
        p = PUT(p, "\xc5\xf8\x77");                             /* vzeroupper */
    }
    p = PUT(p, "\xdb\xe3\xfc");                                 /* fninit; cld */
    p = put_abs(p, "\x0f\xae", 2, &area->host_mxcsr);           /* ldmxcsr */
    p = put_abs(p, "\xd9", 5, &area->host_fcw);                 /* fldcw */
    p = PUT(p, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3");
    s->signal = 0;
    ((void (*)(void))(uintptr_t)code)();
}

bool native_has(const char *feature)
{
    static char *flags;

    if (!flags) {
        g_autofree char *text = NULL;
        g_assert_true(g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL));
        char *line = strstr(text, "\nflags");
        g_assert_nonnull(line);
        line = strchr(line, ':');
        flags = g_strdup_printf("%.*s ", (int)strcspn(line, "\n"), line);
    }
    g_autofree char *word = g_strdup_printf(" %s ", feature);
    return strstr(flags, word) && !host_is_said_to_lack(feature);
}
