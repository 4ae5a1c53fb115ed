/*
 * tests/insn/capstone_differs.c - the one table of what our decoder and capstone 4.0.2 see differently.
 *
 * The first row that fits gives the reason.  "Volume 2" is the Intel SDM's.  A difference without a row fails
 * the test: capstone is a partner, not an oracle, and each row has to be checked against the manual.
 */
#include "capstone_differs.h"

#include <glib.h>
#include <string.h>

enum { LEGACY = 1, VEX = 2, EVEX = 4 };
enum { REFUSED = 1, ACCEPTED = 2, LENGTH = 4, NAME = 8, ANY = 15 };     /* by us; both take it, but */
enum { LOCK = 1, REP = 2, P66 = 4 };

typedef struct Difference {
    uint8_t encodings, kinds;
    uint8_t maps, first, last;                  /* maps: bits 0 to 3; 0: whatever the opcode */
    uint8_t prefix;                             /* one of these; 0: whatever */
    uint8_t bits;                               /* 64: in 64-bit code; 32: in other; 0: in all */
    const char *ours, *theirs;                  /* names, with * and ? */
    bool (*when)(const Case *c);
    const char *why;
} Difference;

/* ---- what no column says ---- */

static bool forgets_prefix(const Case *c)
{
    return (c->in.rep && c->bits == 16 && c->len > 0 && c->in.row->pfx != 15)
        || (c->map && c->in.opsize_prefix && (c->bits == 16 || c->in.addrsize * 2 == c->bits)
            && (c->len < 0 || c->in.row->pfx == X86_PFX_66));
}

static bool rep_and_66(const Case *c) { return c->in.rep && c->in.opsize_prefix; }
static bool is_xabort(const Case *c) { return c->modrm == 0xf8; }
static bool has_reg_field(const Case *c) { return c->modrm >> 3 & 7; }
static bool has_rex_r(const Case *c) { return c->in.rex & 4; }
static bool beats_66(const Case *c) { return (c->in.rex & 8) && !strncmp(c->ours, c->theirs, 3); }
static bool is_f64(const Case *c) { return c->in.row->words & IN_F64; }
static bool same_beginning(const Case *c) { return !strncmp(c->ours, c->theirs, 4); }
static bool is_16_bit(const Case *c) { return c->in.opsize == 16; }
static bool is_suffixed(const Case *c) { return g_str_has_prefix(c->theirs, c->ours); }
static bool is_opmask(const Case *c) { return c->in.row->words & IN_AVX512; }

static bool is_predicate(const Case *c)
{
    return strlen(c->ours) == 5 && g_str_has_suffix(c->theirs, c->ours + 3);
}

static bool is_young(const Case *c)
{
    unsigned feature = c->in.vl ? c->in.row->cpu256 : c->in.row->cpu;

    return feature == CPUF_VAES || feature == CPUF_VPCLMULQDQ || feature == CPUF_GFNI || feature == CPUF_AVX_VNNI;
}

/* Would it be an instruction with the other W? */
static bool only_w_is_wrong(const Case *c)
{
    uint8_t flipped[16];
    unsigned at = 0;
    X86Insn in;

    memcpy(flipped, c->buf, sizeof(flipped));
    while (at < 12 && flipped[at] != 0xc4) {
        at++;
    }
    flipped[at + 2] ^= 0x80;
    return at < 12 && x86_decode(&in, flipped, sizeof(flipped), c->bits) > 0;
}

/* ---- the table ---- */

#define UD_MODRM "ud0, ud1 have a ModRM (volume 2, UD); capstone does not know it"
#define YOUNG "younger than capstone 4.0.2, or refused by it in this form"
#define NO_VMX "virtualization, SGX and their kin are not offered (volume 2, appendix A, tables A-3, A-6)"
#define NO_3DNOW "3DNow! and JMPE are not offered"
#define NOT_FOR_RTM "transactional memory is not offered (volume 2, XABORT: #UD without RTM)"
#define ONLY_INTEL "AMD has syscall outside long mode, Intel not (volume 2, SYSCALL)"
#define XOP "FMA4 and XOP are AMD's"
#define NO_CBW "name only: capstone has no cbw, cwd where 16 bits come from the mode or with 67"
#define NEW_NAME "name only: younger than capstone 4.0.2"
#define PREFETCHES "name only: kinds of prefetch"
#define IMMEDIATE_NAME "name only: the immediate in the name of VCMPPS, VPCLMULQDQ"

#define OPS(map, lo, hi) .maps = 1 << (map), .first = 0x##lo, .last = 0x##hi
#define OP(map, op) OPS(map, op, op)

static const Difference differences[] = {
    { LEGACY, ANY, .when = forgets_prefix,
      .why = "capstone forgets a mandatory prefix in 16-bit code, and a 66 beside a 67" },
    { LEGACY, ANY, OPS(0, 00, ff), .when = rep_and_66,
      .why = "capstone forgets a 66 beside an F2 or F3 that selects nothing" },

    { LEGACY, REFUSED, .prefix = LOCK,
      .why = "LOCK is #UD on this form (volume 2, LOCK); capstone prints it" },
    { LEGACY, REFUSED, .bits = 32, .theirs = "syscall", .why = ONLY_INTEL },
    { LEGACY, REFUSED, .bits = 32, .theirs = "sysret", .why = ONLY_INTEL },
    { LEGACY, REFUSED, OPS(1, 20, 23),
      .why = "control registers that do not exist are #UD (volume 2, MOV CR); capstone prints them" },
    { LEGACY, REFUSED, OP(0, 8e),
      .why = "mov cs, ... and segment registers 6, 7 are #UD (volume 2, MOV); capstone prints them" },
    { LEGACY, REFUSED, OP(0, 8f), .why = "XOP is AMD's" },
    { LEGACY, REFUSED, OPS(0, c6, c7), .when = is_xabort, .why = NOT_FOR_RTM },
    { LEGACY, REFUSED, OPS(1, 00, 01), .why = NO_VMX },
    { LEGACY, REFUSED, OP(1, c7), .why = NO_VMX },
    { LEGACY, REFUSED, OP(1, 78), .why = NO_VMX },
    { LEGACY, REFUSED, OPS(1, a6, a7), .why = "PadLock is VIA's" },
    { LEGACY, REFUSED, OP(1, 37), .why = "SMX is not offered (volume 2, GETSEC)" },
    { LEGACY, REFUSED, OP(1, 79), .why = NO_VMX },
    { LEGACY, REFUSED, OP(1, ae),
      .why = "0f ae with prefixes: later extensions, or reserved (NP in volume 2, 3.1.1.1, and table A-6)" },
    { LEGACY, REFUSED, OP(1, b8), .why = NO_3DNOW },
    { LEGACY, REFUSED, OPS(1, 0e, 0f), .why = NO_3DNOW },
    { LEGACY, REFUSED, .maps = 0xe, .first = 0, .last = 0xff, .prefix = REP | P66,
      .why = "a mandatory prefix that selects nothing (NP in volume 2, 3.1.1.1); capstone ignores it" },
    { LEGACY, REFUSED, OPS(0, d8, df), .when = has_reg_field,
      .why = "x87 forms only the 8087 and 287 had (volume 2, A.5: reserved)" },

    { LEGACY, ACCEPTED, OPS(1, 18, 1f),
      .why = "0f 18 to 0f 1f are NOPs in all forms (volume 2, table A-3 and NOP); capstone refuses some" },
    { LEGACY, ACCEPTED, OP(1, 0d),
      .why = "0f 0d is a NOP or prefetch in all forms (volume 2, PREFETCHW); capstone refuses some" },
    { LEGACY, ACCEPTED, OP(1, ff), .why = UD_MODRM },
    { LEGACY, ACCEPTED, OP(1, b9), .why = UD_MODRM },
    { LEGACY, ACCEPTED, OP(0, 8c), .when = has_rex_r,
      .why = "REX.R does not count for segment registers (volume 2, 2.2.1.2); capstone refuses it" },
    { LEGACY, ACCEPTED, OP(0, 8e), .when = has_rex_r,
      .why = "REX.R does not count for segment registers (volume 2, 2.2.1.2); capstone refuses it" },
    { LEGACY, ACCEPTED, OP(1, ae), .ours = "*fence",
      .why = "the fences ignore the r/m field (volume 2, LFENCE); capstone wants 0" },
    { LEGACY, ACCEPTED, .ours = "??pkru", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "rdpid", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "clwb", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "clflushopt", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "xsavec*", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "xsaves*", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "xrstors*", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "gf2p8*", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "movdir*", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "serialize", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "umonitor", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "umwait", .why = YOUNG },
    { LEGACY, ACCEPTED, .ours = "tpause", .why = YOUNG },

    { LEGACY, LENGTH, .theirs = "ud0", .why = UD_MODRM },
    { LEGACY, LENGTH, .theirs = "ud2b", .why = UD_MODRM },
    { LEGACY, LENGTH, OP(0, c2), .prefix = P66, .bits = 64,
      .why = "66 REX.W ret has imm16 (volume 2, RET); capstone takes two bytes too many" },
    { LEGACY, LENGTH, .prefix = P66, .bits = 64, .when = is_f64,
      .why = "66 on a near branch in long mode: AMD shortens it, Intel ignores it (volume 2, A.2.5: f64)" },

    { LEGACY, NAME, .ours = "ud1", .theirs = "ud2b", .why = "name only: ud1, once ud2b" },
    { LEGACY, NAME, .ours = "movq", .theirs = "movd",
      .why = "name only: movq, which capstone calls movd with REX.W" },
    { LEGACY, NAME, OPS(0, 00, ff), .bits = 64, .when = same_beginning,
      .why = "name only: a REX that does not count (volume 2, 2.2.1), which capstone heeds" },
    { LEGACY, NAME, .theirs = "endbr*",
      .why = "name only: ENDBR is a NOP on processors without CET (volume 2, ENDBR64)" },
    { LEGACY, NAME, .ours = "rdpid", .why = NEW_NAME },
    { LEGACY, NAME, .ours = "clwb", .why = NEW_NAME },
    { LEGACY, NAME, .ours = "umonitor", .why = NEW_NAME },
    { LEGACY, NAME, .ours = "umwait", .why = NEW_NAME },
    { LEGACY, NAME, .ours = "tpause", .why = NEW_NAME },
    { LEGACY, NAME, .ours = "pause", .why = "name only: pause with another prefix between its bytes" },
    { LEGACY, NAME, OP(0, e3),
      .why = "name only: jcxz goes by the address size (volume 2, Jcc), in capstone by 66 too" },
    { LEGACY, NAME, .theirs = "movabs", .why = "name only: movabs" },
    { LEGACY, NAME, .ours = "cbw", .when = is_16_bit, .why = NO_CBW },
    { LEGACY, NAME, .ours = "cwd", .when = is_16_bit, .why = NO_CBW },
    { LEGACY, NAME, .prefix = P66, .when = beats_66, .why = "name only: REX.W beats 66 (volume 2, 2.2.1.2)" },
    { LEGACY, NAME, .ours = "shl", .theirs = "sal",
      .why = "name only: /6 of the shift group, which is SHL (volume 2, table A-6 leaves it open)" },
    { LEGACY, NAME, .ours = "cmp*", .theirs = "cmp*", .when = is_predicate,
      .why = "name only: the predicate in the name of CMPPS" },
    { LEGACY, NAME, OP(1, 0d), .theirs = "prefetch*", .why = PREFETCHES },
    { LEGACY, NAME, OP(1, 0d), .theirs = "nop", .why = PREFETCHES },
    { LEGACY, NAME, OP(1, 18), .theirs = "prefetch*", .why = PREFETCHES },
    { LEGACY, NAME, OP(1, 18), .theirs = "nop", .why = PREFETCHES },

    { EVEX, REFUSED, .why = "EVEX fields that volume 2, 2.7 reserves; capstone 4.0.2 looks at few of them" },
    { EVEX, ACCEPTED, .why = "EVEX instructions that capstone 4.0.2 does not know" },
    { VEX, REFUSED, .prefix = LOCK | REP | P66,
      .why = "LOCK, 66, F2, F3 before VEX are #UD (volume 2, 2.3.2); capstone ignores it" },
    { VEX, REFUSED, OPS(3, 48, 49), .why = XOP },
    { VEX, REFUSED, OPS(3, 5c, 5f), .why = XOP },
    { VEX, REFUSED, OPS(3, 68, 6f), .why = XOP },
    { VEX, REFUSED, OPS(3, 78, 7f), .why = XOP },
    { VEX, REFUSED, OPS(2, 90, 93),
      .why = "a gather's three registers must differ (volume 2, VPGATHERDD); capstone prints it" },
    { VEX, REFUSED, .when = only_w_is_wrong,
      .why = "VEX.W that volume 2 reserves for this form (3.1.1.2: W0, W1); capstone ignores it" },
    { VEX, ACCEPTED, .ours = "vbroadcasti128", .why = "capstone 4.0.2 does not know VBROADCASTI128" },
    { VEX, ACCEPTED, .when = is_young,
      .why = "younger than capstone 4.0.2: VAES, VPCLMULQDQ, GFNI, AVX-VNNI" },
    { VEX, ACCEPTED, .when = is_opmask, .why = "opmask instructions that capstone 4.0.2 does not know" },
    { VEX | EVEX, NAME, .ours = "vpcmp*", .theirs = "vpcmp*",
      .why = "name only: the predicate in the name of VPCMPD" },
    { VEX | EVEX, NAME, OP(1, c2), .ours = "vcmp*", .theirs = "vcmp*", .why = IMMEDIATE_NAME },
    { VEX | EVEX, NAME, .ours = "vpclmul*", .theirs = "vpclmul*", .why = IMMEDIATE_NAME },
    { VEX | EVEX, NAME, .theirs = "*x", .when = is_suffixed,
      .why = "name only: an assembler's suffix for the size of the source (vcvtpd2psx)" },
    { VEX | EVEX, NAME, .bits = 32, .theirs = "*q",
      .why = "W1 is W0 for general registers outside 64-bit mode (volume 2, PEXTRD): vpinsrd, vpextrd" },
};

/* ---- which row ---- */

static unsigned kind_of(const Case *c)
{
    return c->len < 0 ? REFUSED : !c->ok ? ACCEPTED : c->len != (int)c->cs_len ? LENGTH : NAME;
}

static unsigned prefixes_of(const X86Insn *in)
{
    return (in->lock ? LOCK : 0) | (in->rep ? REP : 0) | (in->opsize_prefix ? P66 : 0);
}

static bool is_called(const char *pattern, const char *name)
{
    return !pattern || g_pattern_match_simple(pattern, name);
}

static bool fits(const Difference *d, const Case *c)
{
    unsigned encoding = c->in.enc == X86_EVEX ? EVEX : c->in.enc ? VEX : LEGACY;
    unsigned map = encoding == LEGACY ? c->map : c->in.map, op = encoding == LEGACY ? c->op : c->in.opcode;

    return (d->encodings & encoding) && (d->kinds & kind_of(c))
        && (!d->maps || ((d->maps >> map & 1) && op >= d->first && op <= d->last))
        && (!d->prefix || (d->prefix & prefixes_of(&c->in)))
        && (!d->bits || (d->bits == 64) == (c->bits == 64))
        && is_called(d->ours, c->ours) && is_called(d->theirs, c->theirs)
        && (!d->when || d->when(c));
}

const char *capstone_differs(const Case *c)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(differences); i++) {
        if (fits(&differences[i], c)) {
            return differences[i].why;
        }
    }
    return NULL;
}
