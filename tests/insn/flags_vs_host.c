/*
 * Ask this processor whether the flag columns of target/x86/insn/ are true.
 *
 * Every row that a user program can run on registers alone is built for long mode and executed with
 * random operands, from clear and from set flags:
 *   - a flag that is neither written nor undefined must come out as it went in;
 *   - a flag that is written must not depend on what went in, unless the row reads flags.
 */
#include <glib.h>
#include <string.h>
#include "native.h"
#include "target/x86/cpu.h"
#include "target/x86/decode.h"

static GRand *rnd;

static uint64_t random_value(void)
{
    uint64_t v = (uint64_t)g_rand_int(rnd) << 32 | g_rand_int(rnd);

    return g_rand_int(rnd) & 1 ? v : v >> (v & 63);
}

/* What faults, jumps, waits or changes what this program stands on. */
static bool runnable(const X86Row *r)
{
    static const uint16_t unsafe[] = {
        OP_DIV, OP_IDIV, OP_ENTER, OP_LEAVE, OP_PUSH, OP_POP, OP_PUSHF, OP_POPF, OP_XLAT,
        OP_PUSH_SEG, OP_POP_SEG, OP_MOV_TO_SEG, OP_SLDT, OP_STR, OP_SMSW, OP_STD, OP_RDPMC, OP_RSM,
        OP_STI, OP_CLI, OP_XGETBV, OP_RDPKRU, OP_WRPKRU, OP_RDFSBASE, OP_RDGSBASE, OP_WRFSBASE,
        OP_WRGSBASE, OP_RDTSCP, OP_RDPID, OP_RDRAND, OP_RDSEED, OP_ADCX, OP_ADOX, OP_TZCNT,
        OP_LZCNT, OP_POPCNT, OP_CRC32, OP_WAIT, OP_MONITOR,
        OP_UMONITOR, OP_UMWAIT, OP_TPAUSE,
    };
    static const uint8_t kinds[] = { OPK_X, OPK_Y, OPK_O, OPK_M, OPK_A, OPK_J, OPK_V,
                                     OPK_W, OPK_U, OPK_P, OPK_Q, OPK_N, OPK_T, OPK_ST };

    if (r->map == 1 && r->opcode == 0x0d) {
        return false;                   /* Intel runs PREFETCHW of a register, for AMD it is #UD */
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(unsafe); i++) {
        if (r->op == unsafe[i]) {
            return false;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand); i++) {
        if (r->operand[i].kind && memchr(kinds, r->operand[i].kind, sizeof(kinds))) {
            return false;
        }
    }
    return r->mode != 1 && !(r->words & (IN_CPL0 | IN_ENDS | IN_PROT | IN_REP | IN_REPZ | IN_IOPL | IN_X87))
        && r->op != OP_EMMS;
}

/* On RAX, RCX, RDX and RBX: ModRM names RCX (or the reg field of the opcode) and RBX. */
static int build(const X86Row *r, unsigned opcode, unsigned size, X86Insn *in, uint8_t b[X86_INSN_MAX + 1])
{
    unsigned n = 0;
    uint64_t imm = random_value();

    memset(b, 0, X86_INSN_MAX + 1);
    if (size == 16) {
        b[n++] = 0x66;
    }
    if (r->pfx == X86_PFX_F3 || r->pfx == X86_PFX_F2) {
        b[n++] = r->pfx == X86_PFX_F3 ? 0xf3 : 0xf2;
    }
    if (size == 64 || (r->rex & X86_REX_B1)) {
        b[n++] = 0x40 | (size == 64 ? 8 : 0) | (r->rex & X86_REX_B1 ? 1 : 0);
    }
    if (r->map) {
        b[n++] = 0x0f;
    }
    b[n++] = opcode;
    if (r->has_modrm) {
        b[n++] = r->modrm ? r->modrm : 0xc0 | (r->reg == 8 ? 1 : r->reg) << 3 | 3;
    }
    if (r->operand[1].kind == OPK_I || r->operand[2].kind == OPK_I) {
        imm |= 1;                       /* a shift by 0 writes no flags */
        imm &= ~0x20ull;
    }
    memcpy(b + n, &imm, MIN(8, X86_INSN_MAX + 1 - n));
    int len = x86_decode(in, b, X86_INSN_MAX + 1, 64);
    return in->row == r ? len : -1;
}

static uint32_t run_with(const X86Insn *in, const uint8_t *bytes, const uint64_t regs[16], uint32_t flags)
{
    NativeState *s = native_state();

    memset(s, 0, sizeof(*s));
    s->fx[0] = 0x7f;
    s->fx[1] = 0x03;
    s->fx[24] = 0x80;
    s->fx[25] = 0x1f;
    memcpy(s->regs, regs, sizeof(s->regs));
    s->flags = FL_1 | FL_IF | flags;
    native_run(bytes, in->len);
    if (s->signal && in->row->op == OP_NOP && in->opcode == 0x0d) {
        return flags;                   /* 0F 0D with a register: Intel's NOP, #UD on AMD */
    }
    if (s->signal) {
        g_printerr("%s (map %u, %02x): signal %d\n", in->row->names, in->row->map, in->opcode, s->signal);
        g_test_fail();
    }
    return s->flags & FL_STATUS;
}

static void check(const X86Insn *in, const uint8_t *bytes)
{
    const X86Row *r = in->row;
    uint64_t regs[16];

    for (unsigned i = 0; i < 16; i++) {
        regs[i] = random_value();
    }
    regs[X86_RCX] = (regs[X86_RCX] & ~0x1eull) | 1;     /* the count in CL: 1 */
    uint32_t clear = run_with(in, bytes, regs, 0), set = run_with(in, bytes, regs, FL_STATUS);
    uint32_t kept = FL_STATUS & ~(r->flags_written | r->flags_undefined);
    uint32_t wrong = ((clear & kept) | (~set & kept));

    if (!r->flags_read) {
        wrong |= (clear ^ set) & r->flags_written;
    }
    if (wrong) {
        g_printerr("%s (map %u, %02x/%u, %u bits): flags %x\n", r->names, r->map, in->opcode, r->reg,
                   in->opsize, wrong);
        g_test_fail();
    }
}

static void test_flag_columns(void)
{
    unsigned rows = 0, runs = 0;

    for (unsigned map = 0; map < 2; map++) {
        for (unsigned op = 0; op < 256; op++) {
            const X86Row *r;
            for (unsigned k = 0; (r = x86_row(map, op, k)); k++) {
                bool in_opcode = r->operand[0].kind == OPK_Z || r->operand[1].kind == OPK_Z;
                if (!runnable(r) || (in_opcode && (op & 7) > 3)) {
                    continue;
                }
                rows++;
                for (unsigned size = 16; size <= 64; size *= 2) {
                    for (unsigned n = 0; n < 40; n++) {
                        X86Insn in;
                        uint8_t bytes[X86_INSN_MAX + 1];
                        if (build(r, op, size, &in, bytes) > 0) {
                            check(&in, bytes);
                            runs++;
                        }
                    }
                }
            }
        }
    }
    g_test_message("%u rows, %u runs", rows, runs);
    g_assert_cmpuint(rows, >, 230);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rnd = g_rand_new_with_seed(3);
    g_test_add_func("/insn/flags/columns", test_flag_columns);
    int rc = g_test_run();
    g_rand_free(rnd);
    return rc;
}
