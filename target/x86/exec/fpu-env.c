/*
 * target/x86/exec/fpu-env.c - x87 environment and state in memory: FNSTENV, FLDENV, FNSAVE, FRSTOR.
 *
 * Follows the Intel SDM, volume 1, 8.1.10: four layouts, by operand size and by whether addresses
 * are selector and offset (protected mode) or linear (real and virtual-8086 mode).
 */
#include "fpu.h"
#include "gen/x86-exec.h"
#include "util/bits.h"

enum { ENV_MAX = 28, STATE_MAX = ENV_MAX + 80 };

static unsigned env_size(const X86Insn *in) { return in->opsize == 16 ? 14 : 28; }

static bool selectors(const X86Cpu *c) { return (c->mode & (MODE_PE | MODE_VM)) == MODE_PE; }

/* Two bits a physical register: 0 valid, 1 zero, 2 special, 3 empty. */
static unsigned full_tags(const X86Fpu *f)
{
    unsigned tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        const X86Float *st = &f->st[i];
        unsigned exponent = st->exponent & 0x7fff, tag = 0;
        if (!(f->ftw >> i & 1)) {
            tag = 3;
        } else if (exponent == 0 && st->mantissa == 0) {
            tag = 1;
        } else if (exponent == 0 || exponent == 0x7fff || !(st->mantissa >> 63)) {
            tag = 2;
        }
        tags |= tag << (2 * i);
    }
    return tags;
}

static void put_env16(const X86Cpu *c, uint8_t *p)
{
    const X86Fpu *f = &c->fpu;
    uint32_t ip = f->fip + (uint32_t)f->fcs * 16, dp = f->fdp + (uint32_t)f->fds * 16;

    st16le(p, f->fcw);
    st16le(p + 2, f->fsw);
    st16le(p + 4, full_tags(f));
    if (selectors(c)) {
        st16le(p + 6, f->fip);
        st16le(p + 8, f->fcs);
        st16le(p + 10, f->fdp);
        st16le(p + 12, f->fds);
    } else {
        st16le(p + 6, ip);
        st16le(p + 8, (ip >> 4 & 0xf000) | f->fop);
        st16le(p + 10, dp);
        st16le(p + 12, dp >> 4 & 0xf000);
    }
}

static void put_env32(const X86Cpu *c, uint8_t *p)
{
    const X86Fpu *f = &c->fpu;
    uint32_t ip = f->fip + (uint32_t)f->fcs * 16, dp = f->fdp + (uint32_t)f->fds * 16;

    st32le(p, 0xffff0000 | f->fcw);
    st32le(p + 4, 0xffff0000 | f->fsw);
    st32le(p + 8, 0xffff0000 | full_tags(f));
    if (selectors(c)) {
        st32le(p + 12, f->fip);
        st32le(p + 16, (uint32_t)f->fop << 16 | f->fcs);
        st32le(p + 20, f->fdp);
        st32le(p + 24, 0xffff0000 | f->fds);
    } else {
        st32le(p + 12, 0xffff0000 | (ip & 0xffff));
        st32le(p + 16, (ip >> 16 & 0xffff) << 12 | f->fop);
        st32le(p + 20, 0xffff0000 | (dp & 0xffff));
        st32le(p + 24, (dp >> 16 & 0xffff) << 12);
    }
}

static void put_env(const X86Cpu *c, const X86Insn *in, uint8_t *p)
{
    if (in->opsize == 16) {
        put_env16(c, p);
    } else {
        put_env32(c, p);
    }
}

static void take_env(X86Cpu *c, const X86Insn *in, const uint8_t *p)
{
    X86Fpu *f = &c->fpu;
    unsigned step = in->opsize == 16 ? 2 : 4, tags = ld16le(p + 2 * step);
    const uint8_t *ptr = p + 3 * step;

    f->fsw = ld16le(p + step);
    fpu_set_control(f, ld16le(p));
    f->ftw = 0;
    for (unsigned i = 0; i < 8; i++) {
        f->ftw |= (tags >> (2 * i) & 3) != 3 ? 1 << i : 0;
    }
    f->fcs = f->fds = f->fop = 0;
    if (in->opsize == 16 && selectors(c)) {
        f->fip = ld16le(ptr);
        f->fcs = ld16le(ptr + 2);
        f->fdp = ld16le(ptr + 4);
        f->fds = ld16le(ptr + 6);
    } else if (in->opsize == 16) {
        f->fip = ld16le(ptr) | (ld16le(ptr + 2) & 0xf000u) << 4;
        f->fop = ld16le(ptr + 2) & 0x7ff;
        f->fdp = ld16le(ptr + 4) | (ld16le(ptr + 6) & 0xf000u) << 4;
    } else if (selectors(c)) {
        f->fip = ld32le(ptr);
        f->fcs = ld16le(ptr + 4);
        f->fop = ld16le(ptr + 6) & 0x7ff;
        f->fdp = ld32le(ptr + 8);
        f->fds = ld16le(ptr + 12);
    } else {
        f->fip = ld16le(ptr) | (ld32le(ptr + 4) & 0x0ffff000) << 4;
        f->fop = ld16le(ptr + 4) & 0x7ff;
        f->fdp = ld16le(ptr + 8) | (ld32le(ptr + 12) & 0x0ffff000) << 4;
    }
}

void exec_fnstenv(X86Cpu *c, const X86Insn *in)
{
    uint8_t env[ENV_MAX];

    fpu_check_x87(c, false);
    put_env(c, in, env);
    fpu_store(c, in, x86_operand(c, in, env_size(in), true), env, env_size(in), in->opsize == 16 ? 2 : 4);
    fpu_set_control(&c->fpu, c->fpu.fcw | FSW_EXCEPTIONS);      /* and masks all */
    x86_numeric_clear(c);
}

void exec_fldenv(X86Cpu *c, const X86Insn *in)
{
    uint8_t env[ENV_MAX];

    fpu_check_x87(c, true);
    fpu_load(c, in, x86_operand(c, in, env_size(in), false), env, env_size(in), in->opsize == 16 ? 2 : 4);
    take_env(c, in, env);
}

void exec_fnsave(X86Cpu *c, const X86Insn *in)
{
    uint8_t state[STATE_MAX];
    unsigned size = env_size(in);

    fpu_check_x87(c, false);
    put_env(c, in, state);
    for (unsigned i = 0; i < 8; i++, size += 10) {
        const X86Float *st = &c->fpu.st[(fpu_top(&c->fpu) + i) & 7];
        st64le(state + size, st->mantissa);
        st16le(state + size + 8, st->exponent);
    }
    fpu_store(c, in, x86_operand(c, in, size, true), state, size, in->opsize == 16 ? 2 : 4);
    fpu_init(&c->fpu);
    x86_numeric_clear(c);
}

void exec_frstor(X86Cpu *c, const X86Insn *in)
{
    uint8_t state[STATE_MAX];
    unsigned size = env_size(in), at = size;

    fpu_check_x87(c, true);
    size += 80;
    fpu_load(c, in, x86_operand(c, in, size, false), state, size, in->opsize == 16 ? 2 : 4);
    take_env(c, in, state);
    for (unsigned i = 0; i < 8; i++, at += 10) {
        X86Float *st = &c->fpu.st[(fpu_top(&c->fpu) + i) & 7];
        st->mantissa = ld64le(state + at);
        st->exponent = ld16le(state + at + 8);
    }
}
