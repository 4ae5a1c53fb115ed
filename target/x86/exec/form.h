/*
 * target/x86/exec/form.h - what the integer handlers share: operands, and how handlers are made.
 *
 * Hot instructions have a handler for each form (which operands, how wide, how addressed), made by
 * macros from one line of semantics; bind.c picks it when the instruction is decoded.  A handler
 * ends with x86_next(), which goes on with the instruction behind it, or returns if it has changed
 * RIP.
 */
#ifndef TARGET_X86_EXEC_FORM_H
#define TARGET_X86_EXEC_FORM_H

#include "target/x86/alu.h"
#include "target/x86/mem.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Operands of a row, destination first.  FLAT: 64-bit mode, 64-bit address, no segment base. */
typedef enum X86Form {
    FORM_RR,                    /* r/m names a register, reg */
    FORM_RG,                    /* reg, r/m names a register */
    FORM_RI,                    /* register in r/m or opcode, immediate */
    FORM_AI,                    /* accumulator, immediate */
    FORM_R,                     /* register alone, or with an operand that the handler knows */
    FORM_MR, FORM_MI, FORM_RM, FORM_M,                          /* the same with memory */
    FORM_FLAT_MR, FORM_FLAT_MI, FORM_FLAT_RM, FORM_FLAT_M,
    FORM_OTHER, FORM_COUNT
} X86Form;

X86Form x86_form(const X86Cpu *c, const X86Insn *in);
unsigned x86_width(const X86Insn *in);                  /* of operand 0: 0..3 for 8..64 bits */

/* Each file's choice; NULL: none. */
X86ExecFn *bind_alu(const X86Insn *in, X86Form form, unsigned width);
X86ExecFn *bind_unary(const X86Insn *in, X86Form form, unsigned width);
X86ExecFn *bind_shift(const X86Insn *in, X86Form form, unsigned width);
X86ExecFn *bind_mov(const X86Insn *in, X86Form form, unsigned width);
X86ExecFn *bind_multiply(const X86Insn *in, X86Form form, unsigned width);
X86ExecFn *bind_stack(const X86Cpu *c, const X86Insn *in);
X86ExecFn *bind_branch(const X86Cpu *c, const X86Insn *in);

static ALWAYS_INLINE void x86_next(X86Cpu *c, const X86Insn *in)
{
    in++;
    c->cur = in;
    c->regs[X86_RIP] += in->len;
    in->exec(c, in);
}

/* ---- registers ---- */

static ALWAYS_INLINE uint8_t *x86_byte(X86Cpu *c, unsigned offset) { return (uint8_t *)c->regs + offset; }

static ALWAYS_INLINE uint8_t get_reg8(X86Cpu *c, const X86Insn *in) { return *x86_byte(c, in->reg8); }
static ALWAYS_INLINE uint8_t get_rm8(X86Cpu *c, const X86Insn *in) { return *x86_byte(c, in->rm8); }
static ALWAYS_INLINE uint8_t get_acc8(X86Cpu *c, const X86Insn *in) { return (uint8_t)c->regs[X86_RAX]; }
static ALWAYS_INLINE void set_reg8(X86Cpu *c, const X86Insn *in, uint8_t v) { *x86_byte(c, in->reg8) = v; }
static ALWAYS_INLINE void set_rm8(X86Cpu *c, const X86Insn *in, uint8_t v) { *x86_byte(c, in->rm8) = v; }
static ALWAYS_INLINE void set_acc8(X86Cpu *c, const X86Insn *in, uint8_t v) { *x86_byte(c, 0) = v; }

/* 16-bit results leave the rest of the register, 32-bit results clear it (volume 1, 3.4.1.1). */
static ALWAYS_INLINE void put16(uint64_t *r, uint16_t v) { memcpy(r, &v, 2); }
static ALWAYS_INLINE void put32(uint64_t *r, uint32_t v) { *r = v; }
static ALWAYS_INLINE void put64(uint64_t *r, uint64_t v) { *r = v; }

#define REGISTERS(bits, type) \
    static ALWAYS_INLINE type get_reg##bits(X86Cpu *c, const X86Insn *in) { return (type)c->regs[in->reg]; } \
    static ALWAYS_INLINE type get_rm##bits(X86Cpu *c, const X86Insn *in) { return (type)c->regs[in->rm]; } \
    static ALWAYS_INLINE type get_acc##bits(X86Cpu *c, const X86Insn *in) { return (type)c->regs[X86_RAX]; } \
    static ALWAYS_INLINE void set_reg##bits(X86Cpu *c, const X86Insn *in, type v) \
    { \
        put##bits(&c->regs[in->reg], v); \
    } \
    static ALWAYS_INLINE void set_rm##bits(X86Cpu *c, const X86Insn *in, type v) \
    { \
        put##bits(&c->regs[in->rm], v); \
    } \
    static ALWAYS_INLINE void set_acc##bits(X86Cpu *c, const X86Insn *in, type v) \
    { \
        put##bits(&c->regs[X86_RAX], v); \
    }
REGISTERS(16, uint16_t)
REGISTERS(32, uint32_t)
REGISTERS(64, uint64_t)
#undef REGISTERS

static ALWAYS_INLINE uint8_t get_imm8(X86Cpu *c, const X86Insn *in) { return (uint8_t)in->imm; }
static ALWAYS_INLINE uint16_t get_imm16(X86Cpu *c, const X86Insn *in) { return (uint16_t)in->imm; }
static ALWAYS_INLINE uint32_t get_imm32(X86Cpu *c, const X86Insn *in) { return (uint32_t)in->imm; }
static ALWAYS_INLINE uint64_t get_imm64(X86Cpu *c, const X86Insn *in) { return in->imm; }

/* ---- memory operands: `at_flat` and `at_seg` are the two ways to their linear address ---- */

static ALWAYS_INLINE uint64_t at_flat(X86Cpu *c, const X86Insn *in, unsigned size, bool write)
{
    return c->regs[in->base] + (c->regs[in->index] << in->scale) + (int64_t)in->disp;
}

static ALWAYS_INLINE uint64_t at_seg(X86Cpu *c, const X86Insn *in, unsigned size, bool write)
{
    return x86_operand(c, in, size, write);
}

/* Handlers of memory forms come in two parts, so that the hot one needs no stack frame: a TLB hit is
 * done in the first; all else is a tail call of the second, with the linear address.  BODY uses the
 * loaded value as `v`; flags change behind the last access. */
#define COLD __attribute__((noinline, cold))

#define HANDLER_LOADING(name, bits, at, ...) \
    static COLD void name##_miss(X86Cpu *c, const X86Insn *in, uint64_t linear) \
    { \
        uint##bits##_t v = (uint##bits##_t)x86_load_miss(c, linear, bits / 8, in->segment); \
        __VA_ARGS__; \
        x86_next(c, in); \
    } \
    static void name(X86Cpu *c, const X86Insn *in) \
    { \
        uint64_t linear = at(c, in, bits / 8, false); \
        const X86Mem##bits *p = x86_readable(c, linear, bits / 8); \
        if (G_UNLIKELY(!p)) { \
            name##_miss(c, in, linear); \
            return; \
        } \
        uint##bits##_t v = *p; \
        __VA_ARGS__; \
        x86_next(c, in); \
    }
#define HANDLER_STORING(name, bits, at, value) \
    static COLD void name##_miss(X86Cpu *c, const X86Insn *in, uint64_t linear) \
    { \
        x86_store_miss(c, linear, value, bits / 8, in->segment); \
        x86_next(c, in); \
    } \
    static void name(X86Cpu *c, const X86Insn *in) \
    { \
        uint64_t linear = at(c, in, bits / 8, true); \
        X86Mem##bits *p = x86_in_place(c, linear, bits / 8); \
        if (G_UNLIKELY(!p)) { \
            name##_miss(c, in, linear); \
            return; \
        } \
        *p = value; \
        x86_next(c, in); \
    }
/* `new_value` is made of `v` and `cc`, a pointer to the flags. */
#define HANDLER_CHANGING(name, bits, at, new_value) \
    static COLD void name##_miss(X86Cpu *c, const X86Insn *in, uint64_t linear) \
    { \
        uint16_t flags = c->cc, *cc = &flags; \
        uint##bits##_t v = (uint##bits##_t)x86_change_miss(c, linear, bits / 8, in->segment); \
        v = new_value; \
        x86_store_miss(c, linear, v, bits / 8, in->segment); \
        c->cc = flags; \
        x86_next(c, in); \
    } \
    static void name(X86Cpu *c, const X86Insn *in) \
    { \
        uint64_t linear = at(c, in, bits / 8, true); \
        uint16_t *cc = &c->cc; \
        X86Mem##bits *p = x86_in_place(c, linear, bits / 8); \
        if (G_UNLIKELY(!p)) { \
            name##_miss(c, in, linear); \
            return; \
        } \
        uint##bits##_t v = *p; \
        *p = new_value; \
        x86_next(c, in); \
    }

/* The r/m operand whatever it is, for handlers that are not hot. */
#define ANY_RM(bits, type) \
    static inline type load_rm##bits(X86Cpu *c, const X86Insn *in) \
    { \
        if (in->mod3) { \
            return get_rm##bits(c, in); \
        } \
        return x86_load##bits(c, in->segment, x86_operand(c, in, bits / 8, false)); \
    } \
    static inline type change_rm##bits(X86Cpu *c, const X86Insn *in)    /* store_rm follows */ \
    { \
        if (in->mod3) { \
            return get_rm##bits(c, in); \
        } \
        uint64_t linear = x86_operand(c, in, bits / 8, true); \
        const X86Mem##bits *p = x86_in_place(c, linear, bits / 8); \
        return p ? *p : (type)x86_change_miss(c, linear, bits / 8, in->segment); \
    } \
    static inline void store_rm##bits(X86Cpu *c, const X86Insn *in, type v) \
    { \
        if (in->mod3) { \
            set_rm##bits(c, in, v); \
        } else { \
            x86_store##bits(c, in->segment, x86_operand(c, in, bits / 8, true), v); \
        } \
    }
ANY_RM(8, uint8_t)
ANY_RM(16, uint16_t)
ANY_RM(32, uint32_t)
ANY_RM(64, uint64_t)
#undef ANY_RM

/* `bits` to 16, 32 and 64, by operand size. */
#define BY_OPSIZE(in, fn, ...) \
    do { \
        if ((in)->opsize == 64) { \
            fn##64(__VA_ARGS__); \
        } else if ((in)->opsize == 32) { \
            fn##32(__VA_ARGS__); \
        } else { \
            fn##16(__VA_ARGS__); \
        } \
    } while (0)

/* ---- the stack (volume 1, 6.2) ---- */

static ALWAYS_INLINE uint64_t x86_stack_mask(const X86Cpu *c)
{
    return (c->mode & MODE_CODE) == MODE_CODE64 ? ~0ull : c->mode & MODE_SS32 ? 0xffffffff : 0xffff;
}

/* SP as wide as the stack is. */
static ALWAYS_INLINE void x86_set_sp(X86Cpu *c, uint64_t sp)
{
    uint64_t mask = x86_stack_mask(c);

    c->regs[X86_RSP] = mask == 0xffff ? (c->regs[X86_RSP] & ~mask) | (sp & mask) : sp & mask;
}

#define STACK(bits, type) \
    static ALWAYS_INLINE void x86_push##bits(X86Cpu *c, type v) \
    { \
        uint64_t sp = (c->regs[X86_RSP] - bits / 8) & x86_stack_mask(c); \
        x86_store##bits(c, X86_SS, x86_segmented(c, X86_SS, sp, bits / 8, true), v); \
        x86_set_sp(c, sp); \
    } \
    /* Does not move SP: the caller does, after what else can fault. */ \
    static ALWAYS_INLINE type x86_top##bits(X86Cpu *c) \
    { \
        uint64_t sp = c->regs[X86_RSP] & x86_stack_mask(c); \
        return x86_load##bits(c, X86_SS, x86_segmented(c, X86_SS, sp, bits / 8, false)); \
    }
STACK(16, uint16_t)
STACK(32, uint32_t)
STACK(64, uint64_t)
#undef STACK

#endif
