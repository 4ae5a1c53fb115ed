/*
 * tests/insn/oracle/shrink.c - makes a case smaller, a part at a time, as long as it still differs.
 *
 * In turn: prefixes out, code to the page's start, registers, segments, flags, control words, vectors and
 * memory as in plain_case(), then single bytes; again until nothing more goes.
 */
#include "shrink.h"

#include <string.h>
#include "target/x86/cpu.h"
#include "text.h"

typedef struct Shrink {
    OracleCase *c, *trial, *plain;
    ShrinkTest *test;
    void *opaque;
    bool progress;
} Shrink;

/* Keep the trial if it still differs. */
static bool keep(Shrink *s)
{
    if (!memcmp(s->trial, s->c, offsetof(OracleCase, out)) || !s->test(s->opaque, s->trial)) {
        memcpy(s->trial, s->c, offsetof(OracleCase, out));
        return false;
    }
    memcpy(s->c, s->trial, offsetof(OracleCase, out));
    s->progress = true;
    return true;
}

static void bring_to(Shrink *s, void *at, const void *plain, size_t size)
{
    if (memcmp(at, plain, size)) {
        memcpy(at, plain, size);
        keep(s);
    }
}

/* Zero a number's bytes one by one, the highest first. */
static void shrink_bytes(Shrink *s, void *at, unsigned size)
{
    for (unsigned i = size; i--; ) {
        uint8_t *p = (uint8_t *)at + i;
        if (*p) {
            *p = 0;
            keep(s);
        }
    }
}

static bool is_prefix(const Shrink *s, uint8_t b)
{
    static const uint8_t legacy[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

    return memchr(legacy, b, sizeof(legacy)) || (s->c->bits == 64 && (b & 0xf0) == 0x40);
}

static void shrink_code(Shrink *s)
{
    OracleCase *t = s->trial;

    for (unsigned i = 0; i < t->len && is_prefix(s, t->code[i]); ) {
        X86Insn in;
        memmove(t->code + i, t->code + i + 1, sizeof(t->code) - i - 1);
        decode_case(t, &in);
        t->len = in.row ? in.len : t->len - 1;
        i += !keep(s);
    }
    if (t->code_at) {
        t->in.rip -= t->code_at;        /* CS stays */
        t->code_at = 0;
        keep(s);
    }
    X86Insn in;
    if (decode_case(s->c, &in) && in.row && in.imm_at) {
        for (unsigned i = in.imm_at; i < t->len; i++) {
            t->code[i] = 0;
            keep(s);
        }
    }
}

static void shrink_memory(Shrink *s)
{
    OracleCase *t = s->trial;

    for (unsigned i = 0; i < t->patches; ) {
        memmove(&t->patch[i], &t->patch[i + 1], sizeof(t->patch[0]) * (PATCHES - i - 1));
        t->patches--;
        i += !keep(s);
    }
    for (unsigned i = 0; i < t->patches; i++) {
        while (t->patch[i].len > 1) {
            t->patch[i].len--;
            if (!keep(s)) {
                break;
            }
        }
        shrink_bytes(s, t->patch[i].bytes, t->patch[i].len);
    }
}

static void shrink_registers(Shrink *s)
{
    OracleState *t = &s->trial->in, *p = &s->plain->in;

    plain_case(s->plain, s->c->bits, s->c->code_at);
    for (unsigned i = 0; i < 16; i++) {
        bring_to(s, &t->regs[i], &p->regs[i], 8);
    }
    for (unsigned i = 0; i < 6; i++) {
        if (i != X86_CS) {
            bring_to(s, &t->seg[i], &p->seg[i], 2);
        }
    }
    t->seg[X86_CS] = p->seg[X86_CS];
    t->rip = p->rip;
    keep(s);
    bring_to(s, &t->fs_base, &p->fs_base, 8);
    bring_to(s, &t->gs_base, &p->gs_base, 8);
    for (unsigned bit = 0; bit < 22; bit++) {       /* TF may be what keeps it from running on */
        if (bit != 8 && (t->flags ^ p->flags) >> bit & 1) {
            t->flags ^= 1ull << bit;
            keep(s);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        shrink_bytes(s, &t->regs[i], 8);
    }
}

static void shrink_fpu(Shrink *s)
{
    static const uint64_t zero[8];
    OracleState *t = &s->trial->in, *p = &s->plain->in;

    for (unsigned n = 0; n < 32; n++) {
        set_vector(t, n, zero);
        keep(s);
    }
    for (unsigned i = 0; i < 8; i++) {
        bring_to(s, &t->k[i], &p->k[i], 8);
        bring_to(s, t->fx + FX_ST + 16 * i, p->fx + FX_ST + 16 * i, 10);
    }
    bring_to(s, t->fx + FX_FCW, p->fx + FX_FCW, 5);
    bring_to(s, t->fx + FX_FCW, p->fx + FX_FCW, 2);
    bring_to(s, t->fx + FX_FSW, p->fx + FX_FSW, 2);
    bring_to(s, t->fx + FX_FTW, p->fx + FX_FTW, 1);
    bring_to(s, t->fx + FX_MXCSR, p->fx + FX_MXCSR, 4);
    for (unsigned i = 0; i < 256; i += 4) {
        bring_to(s, t->fx + FX_XMM + i, p->fx + FX_XMM + i, 4);
    }
    bring_to(s, t->ymm_high, p->ymm_high, sizeof(t->ymm_high));
    bring_to(s, t->zmm_high, p->zmm_high, sizeof(t->zmm_high));
}

void shrink_case(OracleCase *c, ShrinkTest *test, void *opaque)
{
    Shrink s = { .c = c, .test = test, .opaque = opaque };

    s.trial = g_aligned_alloc0(1, sizeof(OracleCase), 64);
    s.plain = g_aligned_alloc0(1, sizeof(OracleCase), 64);
    memcpy(s.trial, c, offsetof(OracleCase, out));
    do {
        s.progress = false;
        shrink_code(&s);
        if (s.trial->steps) {
            s.trial->steps--;
            keep(&s);
        }
        shrink_memory(&s);
        shrink_registers(&s);
        shrink_fpu(&s);
    } while (s.progress);
    g_aligned_free(s.trial);
    g_aligned_free(s.plain);
}
