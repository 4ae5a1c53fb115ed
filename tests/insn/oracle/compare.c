/*
 * tests/insn/oracle/compare.c - the comparison itself.
 */
#include "compare.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/cpu.h"

static bool differ(Difference *d, const char *what, unsigned index, uint64_t ours, uint64_t native)
{
    *d = (Difference){ what, index, ours, native };
    return ours != native;
}

static uint64_t bytes_at(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

static bool outcomes_differ(const OracleResult *a, const OracleResult *b, const Undefined *u, Difference *d)
{
    bool with_error = b->vector == EXC_PF || b->vector == EXC_AC || (b->vector >= EXC_TS && b->vector <= EXC_GP);

    if (u->which_fault && a->vector != ORACLE_NONE && b->vector != ORACLE_NONE) {
        return false;
    }
    return differ(d, "exception", 0, a->vector, b->vector)
        || (with_error && differ(d, "error code", 0, a->error & ~u->error, b->error & ~u->error))
        || (b->vector == EXC_PF && differ(d, "CR2", 0, a->cr2 & ~u->cr2, b->cr2 & ~u->cr2));
}

static bool registers_differ(const OracleCase *c, const OracleState *a, const OracleState *b, const Undefined *u,
                             Difference *d)
{
    const uint32_t flags = ~(u->flags | FL_RF);
    /* Outside 64-bit code upper halves are not defined; returning to a 16-bit stack leaves some in RSP. */
    const uint64_t mask = c->bits == 64 && b->seg[X86_CS] == SEL_USER64 ? ~0ull : 0xffffffff;

    for (unsigned i = 0; i < (c->bits == 64 ? 16 : 8); i++) {
        uint64_t m = u->upper_halves && (i == X86_RCX || i == X86_RSI || i == X86_RDI) ? 0xffffffff : mask;
        if (differ(d, "register", i, a->regs[i] & m, b->regs[i] & m)) {
            return true;
        }
    }
    for (unsigned i = 0; i < X86_SEGS; i++) {
        bool null = i != X86_CS && a->seg[i] < 4 && b->seg[i] < 4;  /* the kernel's IRET forgets their RPL */
        if (!null && differ(d, "segment", i, a->seg[i], b->seg[i])) {
            return true;
        }
    }
    return differ(d, "rip", 0, a->rip, b->rip) || differ(d, "flags", 0, a->flags & flags, b->flags & flags)
        || (c->bits == 64 && !u->bases && (differ(d, "fs base", 0, a->fs_base, b->fs_base)
                                           || differ(d, "gs base", 0, a->gs_base, b->gs_base)));
}

static const uint8_t *x87_register(const uint8_t *fx, unsigned number)
{
    return fx + FX_ST + 16 * ((number - (fx[FX_FSW + 1] >> 3)) & 7);
}

static bool x87_differs(const uint8_t *a, const uint8_t *b, const Undefined *u, Difference *d)
{
    const uint16_t fsw = ~u->fsw;

    if (differ(d, "fcw", 0, bytes_at(a + FX_FCW, 2), bytes_at(b + FX_FCW, 2))
        || differ(d, "fsw", 0, bytes_at(a + FX_FSW, 2) & fsw, bytes_at(b + FX_FSW, 2) & fsw)
        || (!u->ftw && differ(d, "ftw", 0, a[FX_FTW], b[FX_FTW]))) {
        return true;
    }
    for (unsigned i = 0; i < 8; i++) {  /* as R0 to R7: where TOP is left out, they still must agree */
        const uint8_t *x = x87_register(a, i), *y = x87_register(b, i);
        if (differ(d, "mantissa of R", i, bytes_at(x, 8), bytes_at(y, 8))
            || differ(d, "exponent of R", i, bytes_at(x + 8, 2), bytes_at(y + 8, 2))) {
            return true;
        }
    }
    return false;
}

/* As 64-bit pieces: register i / 8, piece i % 8. */
static bool pieces_differ(Difference *d, const void *a, const void *b, size_t size, unsigned each, unsigned first)
{
    if (!memcmp(a, b, size)) {
        return false;
    }
    for (unsigned i = 0; i < size / 8; i++) {
        if (differ(d, "vector piece", i / each * 8 + i % each + first, bytes_at((const uint8_t *)a + i * 8, 8),
                   bytes_at((const uint8_t *)b + i * 8, 8))) {
            return true;
        }
    }
    return false;
}

static bool vectors_differ(const OracleState *a, const OracleState *b, const Undefined *u, Difference *d)
{
    const uint32_t mxcsr = ~u->mxcsr;

    if (differ(d, "mxcsr", 0, bytes_at(a->fx + FX_MXCSR, 4) & mxcsr, bytes_at(b->fx + FX_MXCSR, 4) & mxcsr)
        || pieces_differ(d, a->fx + FX_XMM, b->fx + FX_XMM, 256, 2, 0)) {
        return true;
    }
    if ((b->vectors & ORACLE_AVX) && pieces_differ(d, a->ymm_high, b->ymm_high, sizeof(a->ymm_high), 2, 2)) {
        return true;
    }
    if (!(b->vectors & ORACLE_AVX512)) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (differ(d, "opmask", i, a->k[i], b->k[i])) {
            return true;
        }
    }
    return pieces_differ(d, a->zmm_high, b->zmm_high, sizeof(a->zmm_high), 4, 4)
        || pieces_differ(d, a->zmm16, b->zmm16, sizeof(a->zmm16), 8, 128);
}

static bool memory_differs(const OracleResult *a, const OracleResult *b, const Undefined *u, Difference *d)
{
    for (unsigned i = 0; i < a->lines || i < b->lines; i++) {
        const OracleLine *x = &a->line[i], *y = &b->line[i];
        if (i >= b->lines || (i < a->lines && x->at < y->at)) {
            return differ(d, "line changed by the first alone", DATA_AT + x->at, 1, 0);
        }
        if (i >= a->lines || x->at != y->at) {
            return differ(d, "line changed by the second alone", DATA_AT + y->at, 0, 1);
        }
        for (unsigned k = 0; k < LINE; k++) {
            unsigned at = DATA_AT + x->at + k;
            if (at != u->not_compared && differ(d, "memory", at, x->bytes[k], y->bytes[k])) {
                return true;
            }
        }
    }
    return false;
}

bool results_differ(const OracleCase *c, const OracleResult *ours, const OracleResult *native, const Undefined *u,
                    Difference *d)
{
    const OracleState *a = &ours->state, *b = &native->state;

    return !u->all
        && (outcomes_differ(ours, native, u, d) || registers_differ(c, a, b, u, d)
            || (!u->memory && memory_differs(ours, native, u, d)) || (!u->x87 && x87_differs(a->fx, b->fx, u, d))
            || vectors_differ(a, b, u, d));
}

void difference_print(const Difference *d, const OracleCase *c, const char *other, GString *out)
{
    static const char *const regs[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const segs[6] = { "es", "cs", "ss", "ds", "fs", "gs" };

    if (!strcmp(d->what, "register")) {
        g_string_append(out, regs[d->index]);
    } else if (!strcmp(d->what, "segment")) {
        g_string_append(out, segs[d->index]);
    } else if (!strcmp(d->what, "vector piece")) {
        g_string_append_printf(out, "vector %u.%u", d->index / 8, d->index % 8);
    } else if (d->index) {
        g_string_append_printf(out, "%s %x", d->what, d->index);
    } else {
        g_string_append(out, d->what);
    }
    if (!strcmp(d->what, "exception")) {
        g_string_append_printf(out, " %d, %s %d", (int)d->ours, other, (int)d->native);
    } else {
        g_string_append_printf(out, " %" PRIx64 ", %s %" PRIx64, d->ours, other, d->native);
    }
}
