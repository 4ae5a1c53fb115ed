/*
 * Prints encodings of VEX and EVEX instructions and what our decoder makes of each, for a disassembler
 * to be asked about (vex_vs_objdump.py): "62f17c48 58c3... 6 vaddps", or "- -" where it is none.
 *
 * usage: vex_encodings rows SEED     encodings at random of every row: registers, masks, rounding, addresses
 *        vex_encodings opcodes       every opcode of every map, in a register and a memory form
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "target/x86/decode.h"

enum { BYTES = 15, FORMS = 40 };

static GRand *rng;

static unsigned below(unsigned n)
{
    return g_rand_int_range(rng, 0, n);
}

static unsigned pp_of(const X86Row *r)
{
    return r->pfx == X86_PFX_66 ? 1 : r->pfx == X86_PFX_F3 ? 2 : r->pfx == X86_PFX_F2 ? 3 : 0;
}

static void print(const uint8_t *b)
{
    X86Insn in;
    char name[32] = "-";
    int len = x86_decode(&in, b, BYTES, 64);

    if (len > 0) {
        x86_mnemonic(&in, name, sizeof(name));
    }
    for (unsigned i = 0; i < BYTES; i++) {
        printf("%02x", b[i]);
    }
    printf(" %d %s\n", MAX(len, 0), name);
}

/* The prefix with fields at random, where the row does not say what they are. */
static unsigned put_prefix(const X86Row *r, uint8_t *b)
{
    unsigned w = r->rex & X86_REX_W1 ? 1 : r->rex & X86_REX_W0 ? 0 : below(2);
    unsigned length = below(3), rxb = below(8) << 5, vvvv = below(2) ? 15 : below(16);

    if (r->enc == X86_VEX) {
        b[0] = 0xc4;
        b[1] = rxb | r->map;
        b[2] = w << 7 | vvvv << 3 | (length & 1) << 2 | pp_of(r);
        return 3;
    }
    b[0] = 0x62;
    b[1] = rxb | (below(2) << 4) | r->map;
    b[2] = w << 7 | vvvv << 3 | 4 | pp_of(r);
    b[3] = (below(4) == 0) << 7 | length << 5 | (below(3) == 0) << 4 | (below(4) != 0) << 3
         | (below(2) ? below(8) : 0);
    return 4;
}

static void random_form(const X86Row *r, uint8_t *b)
{
    unsigned n = put_prefix(r, b), mod = r->mod == 1 ? below(3) : r->mod == 2 || below(2) ? 3 : below(3);
    unsigned rm = r->vsib ? 4 : below(8);

    b[n++] = r->opcode;
    b[n++] = r->modrm ? r->modrm : mod << 6 | (r->reg == 8 ? below(8) : r->reg) << 3 | rm;
    while (n < BYTES) {
        b[n++] = below(256);
    }
}

static void print_row(const X86Row *r)
{
    unsigned printed = 0;

    for (unsigned tries = 0; printed < FORMS && tries < 400 * FORMS; tries++) {
        uint8_t b[BYTES];
        X86Insn in;
        random_form(r, b);
        if (x86_decode(&in, b, BYTES, 64) > 0 && in.row == r) {
            print(b);
            printed++;
        }
    }
    if (!printed) {
        printf("%s map %u opcode %02x: no encoding found\n", r->names, r->map, r->opcode);
    }
}

static void print_rows(void)
{
    for (unsigned map = 8 * X86_VEX; map < X86_MAPS; map++) {
        for (unsigned op = 0; op < 256; op++) {
            const X86Row *r;
            for (unsigned k = 0; (r = x86_row(map, op, k)); k++) {
                if (r->opcode == op && r->mode != 1) {
                    print_row(r);
                }
            }
        }
    }
}

static void print_opcode(unsigned map, unsigned op, unsigned w_pp)
{
    static const uint8_t modrm[] = { 0xd1, 0x11, 0x54 };        /* a register, [rcx], [rax*1+disp8] */

    for (unsigned k = 0; k < 2 * G_N_ELEMENTS(modrm) * 2; k++) {
        unsigned vvvv = k & 1 ? 14 : 15, length = k & 2 ? 2 : 0;
        uint8_t b[BYTES] = { 0x62, 0xf0 | map, (w_pp & 4) << 5 | vvvv << 3 | 4 | (w_pp & 3),
                             length << 5 | 8 | (k & 1), op, modrm[k / 4],
                             modrm[k / 4] == 0x54 ? 0x00 : 0x12, 0x34 };
        print(b);
    }
}

static void print_opcodes(void)
{
    for (unsigned map = 1; map <= 6; map++) {
        for (unsigned op = 0; op < 256 && map != 4; op++) {
            for (unsigned w_pp = 0; w_pp < 8; w_pp++) {
                print_opcode(map, op, w_pp);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "opcodes")) {
        print_opcodes();
    } else if (argc == 3 && !strcmp(argv[1], "rows")) {
        rng = g_rand_new_with_seed(strtoul(argv[2], NULL, 0));
        print_rows();
        g_rand_free(rng);
    } else {
        fprintf(stderr, "usage: vex_encodings rows SEED | opcodes\n");
        return 2;
    }
    return 0;
}
