/*
 * tests/insn/oracle/excluded.c - what ring 3 of a Linux host cannot show, and why.
 *
 * These rows have directed tests instead (tests/insn/sys, tests/unit/test_x86_*.c), as the coverage test
 * makes sure of.
 */
#include "encode.h"
#include "target/x86/cpu.h"
#include "trampoline.h"

#include <string.h>

/* arch_prctl() refuses bases from here on: the end of user space with four levels of page tables. */
#define BASE_END 0x7ffffffff000ull

static const struct { uint16_t op; const char *why; } excluded[] = {
    { OP_SYSCALL, "calls the host's kernel" },
    { OP_SYSENTER, "calls the host's kernel" },
    { OP_RDTSC, "reads the host's clock" },
    { OP_RDTSCP, "reads the host's clock and processor number" },
    { OP_RDPID, "reads the host's processor number" },
    { OP_RDPMC, "the host decides whether counters may be read" },
    { OP_UMONITOR, "watches memory of the host" },
    { OP_UMWAIT, "waits by the host's clock" },
    { OP_TPAUSE, "waits by the host's clock" },
    { OP_CPUID, "describes the host" },
    { OP_RDRAND, "random" },
    { OP_RDSEED, "random" },
    { OP_SGDT, "Linux answers with dummies (UMIP)" },
    { OP_SIDT, "Linux answers with dummies (UMIP)" },
    { OP_SLDT, "Linux answers with dummies (UMIP)" },
    { OP_STR, "Linux answers with dummies (UMIP)" },
    { OP_SMSW, "Linux answers with dummies (UMIP)" },
    { OP_LAR, "reads the host's descriptor table" },
    { OP_LSL, "reads the host's descriptor table" },
    { OP_VERR, "reads the host's descriptor table" },
    { OP_VERW, "reads the host's descriptor table" },
    { OP_XGETBV, "the host's XCR0" },
    { OP_XSAVE, "the layout is that of the host's XCR0" },
    { OP_XSAVEC, "the layout is that of the host's XCR0" },
    { OP_XSAVEOPT, "the layout is that of the host's XCR0" },
    { OP_XRSTOR, "the layout is that of the host's XCR0" },
    { OP_INT1, "hypervisors on AMD deliver its trap with RIP at the instruction" },
    { OP_RSM, "no SMM: #UD by definition here" },
    { OP_RDPKRU, "the host decides whether there are protection keys" },
    { OP_WRPKRU, "the host decides whether there are protection keys" },
};

const char *row_excluded(const X86Row *row)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(excluded); i++) {
        if (excluded[i].op == row->op) {
            return excluded[i].why;
        }
    }
    return NULL;
}

/*
 * IRET of 64-bit code takes RFLAGS.AC from its frame before it has read all of it, and on Intel's processors is
 * #AC where that is not aligned.  Linux takes the exception of a program whose AC is clear for a split lock, waits,
 * and lets it happen again for ever.
 */
static bool iret_sets_ac(const OracleCase *c, const X86Insn *in)
{
    unsigned size = in->opsize / 8;
    uint64_t sp = c->in.regs[X86_RSP];

    return in->row->op == OP_IRET && c->bits == 64 && size > 2 && (sp & (size - 1)) && !(c->in.flags & FL_AC)
        && (case_word(c, sp + 2 * size) & FL_AC);
}

/*
 * A far call from 16- or 32-bit code to 64-bit code pushes in 64-bit mode on AMD's processors: an address above
 * 4 GiB is a page fault that Linux, for an erratum of the K8, lets happen for ever.
 */
static bool calls_64_bit_code(const OracleCase *c, const X86Insn *in)
{
    uint32_t selector;

    if (c->bits == 64 || in->row->op != OP_CALL_FAR) {
        return false;
    }
    selector = in->mod3 ? in->imm2 : case_word(c, operand_linear(c, in) + in->opsize / 8);
    return (selector & 0xfffc) == (SEL_USER64 & ~3);
}

/* Opcodes of the 0F map that are no instructions of ours, but of the host. */
static bool host_has_more(const OracleCase *c)
{
    static const uint8_t more[] = {
        0x05, 0x34,                     /* system calls; in 32-bit code SYSCALL is AMD's alone */
        0x2b, 0x78, 0x79,               /* AMD's SSE4A */
    };
    static const uint8_t tsx[] = { 0xd5, 0xd6, 0xe8, 0xe9 };   /* XEND, XTEST, XSUSLDTRK, XRESLDTRK */

    for (unsigned i = 0; i + 1 < c->len; i++) {
        bool xsaves = c->code[i + 1] == 0xc7 && (c->code[i + 2] >> 3 & 7) % 2;     /* XSAVES, XRSTORS */
        bool transaction = c->code[i + 1] == 0x01 && memchr(tsx, c->code[i + 2], sizeof(tsx));
        if (c->code[i] == 0x0f && (xsaves || transaction || memchr(more, c->code[i + 1], sizeof(more)))) {
            return true;
        }
        if ((c->code[i] & 0xfe) == 0xc6 && c->code[i + 1] == 0xf8) {        /* XABORT, XBEGIN */
            return true;
        }
    }
    return false;
}

/*
 * Zen 4 does not look at all bits that have to be clear (volume 2, 2.3.5 and 2.7.11.2: #UD): at the one that would make
 * an opmask's number 8 or more, VEX.R or the highest of vvvv, and at EVEX.b of instructions that have neither memory
 * nor rounding.  Zen 5 and Intel's do.
 */
static bool host_ignores_reserved_bits(const OracleCase *c, const X86Insn *in)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67 };
    const uint8_t *p = c->code, *end = c->code + c->len;

    while (p < end && memchr(prefixes, *p, sizeof(prefixes))) {
        p++;
    }
    if (in->row || end - p < 4 || !(__builtin_cpu_is("amdfam19h") && __builtin_cpu_supports("avx512f"))) {
        return false;
    }
    if (p[0] == 0x62) {
        return end - p >= 6 && (p[3] & 0x10) && p[5] >= 0xc0;
    }
    bool three = p[0] == 0xc4, map_0f = !three || (p[1] & 0x1f) == 1, map_0f3a = three && (p[1] & 0x1f) == 3;
    const uint8_t *last = p + (three ? 2 : 1);
    unsigned opcode = last[1];
    bool opmask = (map_0f && ((opcode >= 0x41 && opcode <= 0x4b) || (opcode >= 0x90 && opcode <= 0x99)))
        || (map_0f3a && opcode >= 0x30 && opcode <= 0x33);
    return (three || p[0] == 0xc5) && opmask && (!(p[1] & 0x80) || !(*last & 0x40));
}

/* Which fault comes first if MOVDIR64B has more than one of #AC for its source, #GP for its destination and #PF is the
 * processor's choice (SDM volume 3, table 7-2: faults of one class): #AC for Zen 5. */
static bool moves_unaligned_64_bytes(const OracleCase *c, const X86Insn *in)
{
    return in->row->op == OP_MOVDIR64B && (c->in.flags & FL_AC) && operand_linear(c, in) % LINE;
}

bool case_excluded(const OracleCase *c, const X86Insn *in)
{
    if (host_ignores_reserved_bits(c, in)) {
        return true;
    }
    if (!in->row || in->row->op == OP_XSAVES || in->row->op == OP_XRSTORS) {
        return host_has_more(c);
    }
    /* Code of the child itself: what its jumps there look like may come back as a case's bytes. */
    if (in->row->operand[0].kind == OPK_J
        && ((uint32_t)(CODE_AT + c->code_at + in->len + in->imm) & ~(uint32_t)(ORACLE_PAGE - 1)) == LOW_AT) {
        return true;
    }
    return row_excluded(in->row) || iret_sets_ac(c, in) || moves_unaligned_64_bytes(c, in) || calls_64_bit_code(c, in)
        || (in->row->op == OP_INT && in->imm == 0x80);
}

/*
 * Where there are no descriptors, a hypervisor in software stands between the kernel and its ring 3 (Linux as a guest
 * of PVM, for one).  That takes some of the numbers of INT n as its own, and its way back to ring 3 may lose NT and
 * does not take every RSP; a REP that traps behind each element goes that way in the middle of a case.
 */
static bool hypervisor_alters(const OracleCase *c, const X86Insn *in)
{
    static const uint16_t ops[] = {
        OP_MOV_TO_SEG, OP_LSS, OP_LFS, OP_LGS, OP_POP_SEG, OP_JMP_FAR, OP_CALL_FAR, OP_RET_FAR, OP_IRET, OP_SYSEXIT,
        OP_INT,
    };
    int64_t rsp = (int64_t)c->in.regs[X86_RSP];

    for (unsigned i = 0; in->row && i < G_N_ELEMENTS(ops); i++) {
        if (in->row->op == ops[i]) {
            return true;
        }
    }
    return c->bits != 64 || c->steps || (c->in.flags & FL_NT) || rsp != (int64_t)((uint64_t)rsp << 16) >> 16;
}

bool host_can(const OracleHost *h, const OracleCase *c, const X86Insn *in)
{
    bool bases = h->fsgsbase || (c->in.fs_base < BASE_END && c->in.gs_base < BASE_END);

    return bases && (h->descriptors || !hypervisor_alters(c, in));
}
