/*
 * target/x86/decode.h - bytes to instruction, from the rows of target/x86/insn/.  No CPU state, no memory,
 * any thread.
 */
#ifndef TARGET_X86_DECODE_H
#define TARGET_X86_DECODE_H

#include <stddef.h>
#include <stdint.h>
#include "gen/x86-ops.h"

typedef struct X86Cpu X86Cpu;

typedef struct X86Row {             /* one line of target/x86/insn/ */
    uint16_t op;                    /* OP_* */
    uint8_t enc;                    /* X86Encoding */
    uint8_t map, opcode;            /* 0 one byte, 1 0f, 2 0f38, 3 0f3a, 5, 6; of +r and +c rows the first */
    uint8_t pfx, rex;               /* mandatory prefixes it fits: X86_PFX_* set; X86_REX_* demanded */
    uint8_t reg, modrm;             /* the ModRM reg field or whole byte that is opcode; 8, 0: any */
    uint8_t mod;                    /* 1 memory, 2 register, 0 either */
    uint8_t mode, has_modrm;        /* 1 not in long mode, 2 only there, 0 either */
    uint32_t words;                 /* IN_* attribute words */
    struct { uint8_t kind, size; } operand[4];      /* OPK_*, OPS_* */
    uint16_t flags_read, flags_written, flags_undefined;
    uint8_t cpu, cpu256;            /* CPUF_*: CPUID feature that gates it; 0: none; with 256-bit vectors */
    /* VEX and EVEX: vector lengths it has (bit 0 128, 1 256, 2 512), whether the length is ignored */
    uint8_t lengths, lig;
    uint8_t evex;                   /* EVEX_* */
    uint8_t mask, bcst, vsib;       /* bytes of an element under the opmask, broadcast, of the index; 0: none */
    const char *names;
} X86Row;

typedef struct X86Insn {
    void (*exec)(X86Cpu *c, const struct X86Insn *in);      /* by x86_bind(), not by the decoder */
    const X86Row *row;
    /* Sign-extended as the operand says (Ic Iz Iv J: yes; Ib Iw: no); far pointers: the offset; O: the
     * address, with base and index X86_ZERO. */
    uint64_t imm;
    int32_t disp;
    uint16_t imm2;                  /* second immediate: selector of a far pointer, ENTER's level */
    uint8_t len, opcode, modrm, rex;
    uint8_t opsize, addrsize;       /* 16, 32, 64 */
    uint8_t lock, rep;              /* prefix bytes, 0 when absent */
    uint8_t segment;                /* X86_ES.. of the memory operand, default applied */
    uint8_t segment_prefix;         /* the byte, 0 when absent */
    uint8_t opsize_prefix;          /* 66 or 0 */
    uint8_t mod3;                   /* 1: ModRM names a register, or there is no ModRM */
    uint8_t reg, rm;                /* register numbers, REX applied; reg also for +r opcodes in rm */
    uint8_t reg8, rm8;              /* byte offset in regs[] of the 8-bit register they would name */
    uint8_t base, index, scale;     /* memory: regs[base] + (regs[index] << scale) + disp */
    uint8_t enc, map;               /* as in the row */
    /* VEX and EVEX; registers up to 31.  vl: 0 128-bit, 1 256, 2 512; 0 where the length is ignored. */
    uint8_t pp, vl, vvvv, vindex;   /* vindex: the index vector of VSIB addressing */
    uint8_t mask, zeroing;          /* opmask register, 0: none; clear masked elements */
    uint8_t evex_b, rounding;       /* broadcast, or rounding (0 to even, 1 down, 2 up, 3 to zero) and SAE */
    uint8_t evex_r;                 /* EVEX.R', in `reg` already where that is a vector */
    uint8_t modrm_at, imm_at;       /* where they lie in the instruction's bytes */
    uint8_t number;                 /* in its block: the accelerator's */
} X86Insn;

enum { X86_DECODE_UD = -1, X86_DECODE_SHORT = -2, X86_DECODE_LONG = -3 };
enum { X86_INSN_MAX = 15 };

/* bits: 16, 32 or 64.  Returns the length, or one of the reasons above (LONG is #GP). */
int x86_decode(X86Insn *in, const uint8_t *p, size_t avail, unsigned bits);
/* The k-th row that claims an opcode of a map, NULL after the last; map: enc * 8 + map of the row. */
enum { X86_MAPS = 24 };
const X86Row *x86_row(unsigned map, unsigned opcode, unsigned k);
/* Bytes of an operand of this size (OPS_*), and of the memory operand. */
unsigned x86_operand_bytes(const X86Insn *in, unsigned size);
unsigned x86_memory_bytes(const X86Insn *in);
/* All rows by number, NULL behind the last; and back. */
const X86Row *x86_row_at(unsigned number);
unsigned x86_row_number(const X86Row *r);
size_t x86_mnemonic(const X86Insn *in, char *buf, size_t size);

#endif
