/*
 * target/x86/alu.h - integer arithmetic with flags, as pure functions of 8, 16, 32 and 64 bits.
 *
 * Each function is the host's own instruction, so that results, and the flags that the SDM (volume
 * 2) leaves undefined, are those of a real processor.  Flags travel as `cc`, which is AX after LAHF
 * and SETO AL: SF ZF AF PF CF in bits 15, 14, 12, 10 and 8, OF in bit 0.  No CPU state, any thread.
 *
 * Not modelled: the BCD instructions are plain C, because long mode has not got them.
 */
#ifndef TARGET_X86_ALU_H
#define TARGET_X86_ALU_H

#include <stdbool.h>
#include <stdint.h>

enum { CC_OF = 1 << 0, CC_CF = 1 << 8, CC_PF = 1 << 10, CC_AF = 1 << 12, CC_ZF = 1 << 14, CC_SF = 1 << 15,
       CC_ALL = CC_OF | CC_CF | CC_PF | CC_AF | CC_ZF | CC_SF };

/* The status bits of RFLAGS, and back. */
static inline uint32_t cc_to_flags(uint16_t cc) { return (cc >> 8 & 0xd5) | (uint32_t)(cc & CC_OF) << 11; }
static inline uint16_t cc_from_flags(uint32_t flags)
{
    return (uint16_t)((flags & 0xd5) << 8 | (flags >> 11 & 1));
}

/* The sixteen conditions of Jcc, SETcc and CMOVcc (SDM volume 1, appendix B). */
static inline __attribute__((always_inline)) bool cc_holds(uint16_t cc, unsigned condition)
{
    bool yes;

    switch (condition >> 1 & 7) {
    case 0: yes = cc & CC_OF; break;
    case 1: yes = cc & CC_CF; break;
    case 2: yes = cc & CC_ZF; break;
    case 3: yes = cc & (CC_CF | CC_ZF); break;
    case 4: yes = cc & CC_SF; break;
    case 5: yes = cc & CC_PF; break;
    case 6: yes = (cc >> 15 ^ cc) & 1; break;
    default: yes = ((cc >> 15 ^ cc) & 1) || (cc & CC_ZF); break;
    }
    return yes != (condition & 1);
}

/* What every sequence below ends with; and, where the instruction keeps or reads flags, begins
 * with: 127 + OF overflows exactly when OF is set, and SAHF loads the others. */
#define ALU_SAVE "\n\tlahf\n\tseto %%al"
#define ALU_LOAD "addb $127, %%al\n\tsahf\n\t"

/* a op b, all flags written. */
#define ALU_BINARY(name, insn, bits, suffix, type) \
    static inline __attribute__((always_inline)) type alu_##name##bits(type a, type b, uint16_t *cc) \
    { \
        uint16_t f; \
        __asm__(insn suffix " %2, %0" ALU_SAVE : "+r"(a), "=&a"(f) : "rm"(b) : "cc"); \
        *cc = f; \
        return a; \
    }
/* The same for instructions that only set flags. */
#define ALU_COMPARE(name, insn, bits, suffix, type) \
    static inline __attribute__((always_inline)) void alu_##name##bits(type a, type b, uint16_t *cc) \
    { \
        uint16_t f; \
        __asm__(insn suffix " %2, %1" ALU_SAVE : "=&a"(f) : "r"(a), "rm"(b) : "cc"); \
        *cc = f; \
    }
/* a op b op CF. */
#define ALU_CARRY(name, insn, bits, suffix, type) \
    static inline __attribute__((always_inline)) type alu_##name##bits(type a, type b, uint16_t *cc) \
    { \
        uint16_t f = *cc; \
        __asm__("btw $8, %1\n\t" insn suffix " %2, %0" ALU_SAVE : "+r"(a), "+&a"(f) : "rm"(b) : "cc"); \
        *cc = f; \
        return a; \
    }
/* INC and DEC keep CF, which makes them the same as an instruction that loads all flags first. */
#define ALU_STEP(name, insn, bits, suffix, type) \
    static inline __attribute__((always_inline)) type alu_##name##bits(type a, uint16_t *cc) \
    { \
        uint16_t f; \
        __asm__(insn suffix " %0" ALU_SAVE : "+r"(a), "=&a"(f) : : "cc"); \
        *cc = (uint16_t)((f & ~CC_CF) | (*cc & CC_CF)); \
        return a; \
    }
#define ALU_UNARY(name, insn, bits, suffix, type) \
    static inline __attribute__((always_inline)) type alu_##name##bits(type a, uint16_t *cc) \
    { \
        uint16_t f; \
        __asm__(insn suffix " %0" ALU_SAVE : "+r"(a), "=&a"(f) : : "cc"); \
        *cc = f; \
        return a; \
    }
/* Shifts and rotates: the count is masked by the host as by the guest; count 0 keeps all flags. */
#define ALU_SHIFT(name, insn, bits, suffix, type) \
    static inline type alu_##name##bits(type a, uint8_t count, uint16_t *cc) \
    { \
        uint16_t f = *cc; \
        __asm__(ALU_LOAD insn suffix " %%cl, %0" ALU_SAVE : "+r"(a), "+&a"(f) : "c"(count) : "cc"); \
        *cc = f; \
        return a; \
    }
#define ALU_DOUBLE_SHIFT(name, insn, bits, suffix, type) \
    static inline type alu_##name##bits(type a, type b, uint8_t count, uint16_t *cc) \
    { \
        uint16_t f = *cc; \
        __asm__(ALU_LOAD insn suffix " %%cl, %3, %0" ALU_SAVE \
                : "+r"(a), "+&a"(f) : "c"(count), "r"(b) : "cc"); \
        *cc = f; \
        return a; \
    }
/* Bit tests: b is the bit's number, taken modulo the width. */
#define ALU_BIT(name, insn, bits, suffix, type) \
    static inline type alu_##name##bits(type a, type b, uint16_t *cc) \
    { \
        uint16_t f = *cc; \
        __asm__(ALU_LOAD insn suffix " %2, %0" ALU_SAVE : "+r"(a), "+&a"(f) : "r"(b) : "cc"); \
        *cc = f; \
        return a; \
    }
/* Bit scans: the whole destination register goes in, since a zero source leaves it. */
#define ALU_SCAN(name, insn, bits, suffix, modifier) \
    static inline uint64_t alu_##name##bits(uint64_t old, uint64_t src, uint16_t *cc) \
    { \
        uint16_t f = *cc; \
        __asm__(ALU_LOAD insn suffix " %" modifier "2, %" modifier "0" ALU_SAVE \
                : "+r"(old), "+&a"(f) : "r"(src) : "cc"); \
        *cc = f; \
        return old; \
    }
/* low * b to high:low. */
#define ALU_MULTIPLY(name, insn, bits, suffix, type, modifier) \
    static inline type alu_##name##bits(type a, type b, type *high, uint16_t *cc) \
    { \
        uint64_t f = *cc, hi, lo = a, by = b; \
        __asm__(ALU_LOAD "movq %2, %%rax\n\t" insn suffix " %" modifier "3\n\tmovq %%rax, %2" ALU_SAVE \
                : "+&a"(f), "=&d"(hi), "+&r"(lo) : "r"(by) : "cc"); \
        *cc = (uint16_t)f; \
        *high = (type)hi; \
        return (type)lo; \
    }
/* high:low / b; the caller has made sure that the quotient fits. */
#define ALU_DIVIDE(name, insn, bits, suffix, type, modifier) \
    static inline type alu_##name##bits(type low, type high, type b, type *rest, uint16_t *cc) \
    { \
        uint64_t f = *cc, lo = low, hi = high, by = b; \
        __asm__(ALU_LOAD "movq %2, %%rax\n\t" insn suffix " %" modifier "3\n\tmovq %%rax, %2" ALU_SAVE \
                : "+&a"(f), "+&d"(hi), "+&r"(lo) : "r"(by) : "cc"); \
        *cc = (uint16_t)f; \
        *rest = (type)hi; \
        return (type)lo; \
    }

#define ALU_WIDE(bits, suffix, type, modifier) \
    ALU_DOUBLE_SHIFT(shld, "shld", bits, suffix, type) \
    ALU_DOUBLE_SHIFT(shrd, "shrd", bits, suffix, type) \
    ALU_BIT(bt, "bt", bits, suffix, type) \
    ALU_BIT(bts, "bts", bits, suffix, type) \
    ALU_BIT(btr, "btr", bits, suffix, type) \
    ALU_BIT(btc, "btc", bits, suffix, type) \
    ALU_BIT(imul2_, "imul", bits, suffix, type) \
    ALU_SCAN(bsf, "bsf", bits, suffix, modifier) \
    ALU_SCAN(bsr, "bsr", bits, suffix, modifier) \
    ALU_MULTIPLY(mul, "mul", bits, suffix, type, modifier) \
    ALU_MULTIPLY(imul, "imul", bits, suffix, type, modifier) \
    ALU_DIVIDE(div, "div", bits, suffix, type, modifier) \
    ALU_DIVIDE(idiv, "idiv", bits, suffix, type, modifier)

#define ALU_ANY(bits, suffix, type) \
    ALU_BINARY(add, "add", bits, suffix, type) \
    ALU_BINARY(sub, "sub", bits, suffix, type) \
    ALU_BINARY(and, "and", bits, suffix, type) \
    ALU_BINARY(or, "or", bits, suffix, type) \
    ALU_BINARY(xor, "xor", bits, suffix, type) \
    ALU_COMPARE(cmp, "cmp", bits, suffix, type) \
    ALU_COMPARE(test, "test", bits, suffix, type) \
    ALU_CARRY(adc, "adc", bits, suffix, type) \
    ALU_CARRY(sbb, "sbb", bits, suffix, type) \
    ALU_STEP(inc, "inc", bits, suffix, type) \
    ALU_STEP(dec, "dec", bits, suffix, type) \
    ALU_UNARY(neg, "neg", bits, suffix, type) \
    ALU_SHIFT(rol, "rol", bits, suffix, type) \
    ALU_SHIFT(ror, "ror", bits, suffix, type) \
    ALU_SHIFT(rcl, "rcl", bits, suffix, type) \
    ALU_SHIFT(rcr, "rcr", bits, suffix, type) \
    ALU_SHIFT(shl, "shl", bits, suffix, type) \
    ALU_SHIFT(shr, "shr", bits, suffix, type) \
    ALU_SHIFT(sar, "sar", bits, suffix, type)

ALU_ANY(8, "b", uint8_t)
ALU_ANY(16, "w", uint16_t)
ALU_ANY(32, "l", uint32_t)
ALU_ANY(64, "q", uint64_t)
ALU_WIDE(16, "w", uint16_t, "w")
ALU_WIDE(32, "l", uint32_t, "k")
ALU_WIDE(64, "q", uint64_t, "q")

#undef ALU_BINARY
#undef ALU_COMPARE
#undef ALU_CARRY
#undef ALU_STEP
#undef ALU_UNARY
#undef ALU_SHIFT
#undef ALU_DOUBLE_SHIFT
#undef ALU_BIT
#undef ALU_SCAN
#undef ALU_MULTIPLY
#undef ALU_DIVIDE
#undef ALU_WIDE
#undef ALU_ANY

/* The byte forms work on AX.  AX = AL * b. */
#define ALU_MULTIPLY8(name, insn) \
    static inline uint16_t alu_##name##8(uint8_t a, uint8_t b, uint16_t *cc) \
    { \
        uint64_t f = *cc, lo = a; \
        __asm__(ALU_LOAD "movq %1, %%rax\n\t" insn " %b2\n\tmovq %%rax, %1" ALU_SAVE \
                : "+&a"(f), "+&r"(lo) : "r"(b) : "cc"); \
        *cc = (uint16_t)f; \
        return (uint16_t)lo; \
    }
/* AX / b: remainder in the high byte, quotient in the low one; the caller knows that it fits. */
#define ALU_DIVIDE8(name, insn) \
    static inline uint16_t alu_##name##8(uint16_t ax, uint8_t b, uint16_t *cc) \
    { \
        uint64_t f = *cc, lo = ax; \
        __asm__(ALU_LOAD "movq %1, %%rax\n\t" insn " %b2\n\tmovq %%rax, %1" ALU_SAVE \
                : "+&a"(f), "+&r"(lo) : "r"(b) : "cc"); \
        *cc = (uint16_t)f; \
        return (uint16_t)lo; \
    }
ALU_MULTIPLY8(mul, "mulb")
ALU_MULTIPLY8(imul, "imulb")
ALU_DIVIDE8(div, "divb")
ALU_DIVIDE8(idiv, "idivb")
#undef ALU_MULTIPLY8
#undef ALU_DIVIDE8

/* Would DIV not raise #DE?  high is the upper half of the dividend. */
static inline bool alu_div_fits(uint64_t high, uint64_t divisor)
{
    return divisor != 0 && high < divisor;
}

static inline bool alu_idiv_fits(__int128 dividend, int64_t divisor, unsigned bits)
{
    if (divisor == 0) {
        return false;
    }
    if (divisor == -1) {                    /* the one division whose quotient can overflow in C */
        return dividend <= (__int128)1 << (bits - 1) && dividend > -((__int128)1 << (bits - 1));
    }
    if (dividend == (int64_t)dividend) {    /* spares a call of the 128-bit division */
        int64_t q = (int64_t)dividend / divisor;
        return bits == 64 || (q < 1ll << (bits - 1) && q >= -(1ll << (bits - 1)));
    }
    __int128 q = dividend / divisor;
    return q < (__int128)1 << (bits - 1) && q >= -((__int128)1 << (bits - 1));
}

#undef ALU_SAVE
#undef ALU_LOAD

#endif
