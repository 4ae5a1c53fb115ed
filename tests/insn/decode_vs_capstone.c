/*
 * Decode the same bytes with our table and with capstone: validity, length and mnemonic must agree,
 * in all modes, for every opcode of the table under the prefixes that matter, on random bytes, and on a whole
 * C library; or, with arguments BITS=FILE, on the code in those files instead (decode_kernel.py).
 *
 * capstone is a partner, not an oracle: where it (4.0.2) or a vendor differs, the difference is a
 * line of explain() with a reason that can be checked in a manual.  One that is not fails the test.
 */
#include <capstone/capstone.h>
#include <glib.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "target/x86/decode.h"

typedef struct Case {
    unsigned bits, map, op, modrm;
    const char *pfx;
    const uint8_t *buf;
    X86Insn in;
    int len;                        /* ours; negative: refused */
    bool ok;                        /* capstone's */
    unsigned cs_len;
    char ours[32], theirs[CS_MNEMONIC_SIZE];
} Case;

static bool is(const char *a, const char *b) { return !strcmp(a, b); }

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* capstone prints the predicate of CMPPS and its kin as part of the name. */
static bool is_compare_alias(const char *ours, const char *theirs)
{
    return starts(ours, "cmp") && starts(theirs, "cmp") && strlen(ours) == 5
        && g_str_has_suffix(theirs, ours + 3);
}

static const char *explain_refused(const Case *c)
{
    unsigned reg = c->modrm >> 3 & 7;

    if (c->in.lock) {
        return "LOCK is #UD on this form (volume 2, LOCK); capstone prints it";
    }
    if (c->bits != 64 && (is(c->theirs, "syscall") || is(c->theirs, "sysret"))) {
        return "AMD has syscall outside long mode, Intel not (volume 2, SYSCALL)";
    }
    if (c->map == 1 && c->op >= 0x20 && c->op <= 0x23) {
        return "control registers that do not exist are #UD (volume 2, MOV CR); capstone prints them";
    }
    if (c->map == 0 && c->op == 0x8e) {
        return "mov cs, ... and segment registers 6, 7 are #UD (volume 2, MOV); capstone prints them";
    }
    if (c->map == 0 && c->op == 0x8f) {
        return "XOP is AMD's";
    }
    if (c->map == 0 && (c->op == 0xc6 || c->op == 0xc7) && c->modrm == 0xf8) {
        return "transactional memory is not offered (volume 2, XABORT: #UD without RTM)";
    }
    if (c->map == 1 && (c->op == 0x01 || c->op == 0xc7 || c->op == 0x00 || c->op == 0x78)) {
        return "virtualization, SGX and their kin are not offered (volume 2, appendix A, tables A-3, A-6)";
    }
    if (c->map == 1 && (c->op == 0xa6 || c->op == 0xa7)) {
        return "PadLock is VIA's";
    }
    if (c->map == 1 && (c->op == 0x37 || c->op == 0x79)) {
        return "SMX and VMX are not offered";
    }
    if (c->map == 1 && c->op == 0xae) {
        return "0f ae with prefixes: later extensions, or reserved (NP in volume 2, 3.1.1.1, and table A-6)";
    }
    if (c->map == 1 && (c->op == 0xb8 || c->op == 0x0e || c->op == 0x0f)) {
        return "3DNow! and JMPE are not offered";
    }
    if (c->map && (c->in.rep || c->in.opsize_prefix)) {
        return "a mandatory prefix that selects nothing (NP in volume 2, 3.1.1.1); capstone ignores it";
    }
    if (c->map == 0 && c->op >= 0xd8 && c->op <= 0xdf && reg) {
        return "x87 forms only the 8087 and 287 had (volume 2, A.5: reserved)";
    }
    return NULL;
}

static const char *explain_accepted(const Case *c)
{
    if (c->map == 1 && c->op >= 0x18 && c->op <= 0x1f) {
        return "0f 18 to 0f 1f are NOPs in all forms (volume 2, table A-3 and NOP); capstone refuses some";
    }
    if (c->map == 1 && c->op == 0x0d) {
        return "0f 0d is a NOP or prefetch in all forms (volume 2, PREFETCHW); capstone refuses some";
    }
    if (c->map == 1 && (c->op == 0xff || c->op == 0xb9)) {
        return "ud0, ud1 have a ModRM; capstone does not know it";
    }
    if (c->map == 0 && (c->op == 0x8c || c->op == 0x8e) && (c->in.rex & 4)) {
        return "REX.R does not count for segment registers (volume 2, 2.2.1.2); capstone refuses it";
    }
    if (c->map == 1 && c->op == 0xae && g_str_has_suffix(c->ours, "fence")) {
        return "the fences ignore the r/m field (volume 2, LFENCE); capstone wants 0";
    }
    if (is(c->ours, "rdpkru") || is(c->ours, "wrpkru") || is(c->ours, "rdpid") || is(c->ours, "clwb")
        || is(c->ours, "clflushopt") || starts(c->ours, "xsavec") || starts(c->ours, "xsaves")
        || starts(c->ours, "xrstors") || starts(c->ours, "gf2p8") || starts(c->ours, "movdir")
        || is(c->ours, "serialize")) {
        return "younger than capstone 4.0.2, or refused by it in this form";
    }
    return NULL;
}

static const char *explain_length(const Case *c)
{
    if (is(c->theirs, "ud0") || is(c->theirs, "ud2b")) {
        return "ud0, ud1 have a ModRM; capstone does not know it";
    }
    if (c->bits == 64 && c->in.opsize_prefix && c->map == 0 && c->op == 0xc2) {
        return "66 REX.W ret has imm16 (volume 2, RET); capstone takes two bytes too many";
    }
    if (c->bits == 64 && c->in.opsize_prefix && (c->in.row->words & IN_F64)) {
        return "66 on a near branch in long mode: AMD shortens it, Intel ignores it (volume 2, A.2.5: f64)";
    }
    return NULL;
}

static const char *explain_name(const Case *c)
{
    if (is(c->ours, "ud1") && is(c->theirs, "ud2b")) {
        return "name only: ud1, once ud2b";
    }
    if (is(c->ours, "movq") && is(c->theirs, "movd")) {
        return "name only: movq, which capstone calls movd with REX.W";
    }
    if (c->bits == 64 && c->map == 0 && !strncmp(c->ours, c->theirs, 4)) {
        return "name only: a REX that does not count (volume 2, 2.2.1), which capstone heeds";
    }
    if (starts(c->theirs, "endbr")) {
        return "name only: ENDBR is a NOP on processors without CET (volume 2, ENDBR64)";
    }
    if (is(c->ours, "rdpid") || is(c->ours, "clwb")) {
        return "name only: rdpid and clwb, younger than capstone 4.0.2";
    }
    if (is(c->ours, "pause")) {
        return "name only: pause with another prefix between its bytes";
    }
    if (c->map == 0 && c->op == 0xe3) {
        return "name only: jcxz goes by the address size (volume 2, Jcc), in capstone by 66 too";
    }
    if (is(c->theirs, "movabs")) {
        return "name only: movabs";
    }
    if (c->in.opsize == 16 && (is(c->ours, "cbw") || is(c->ours, "cwd"))) {
        return "name only: capstone has no cbw, cwd where 16 bits come from the mode or with 67";
    }
    if (c->in.opsize_prefix && (c->in.rex & 8) && !strncmp(c->ours, c->theirs, 3)) {
        return "name only: REX.W beats 66 (volume 2, 2.2.1.2)";
    }
    if (is(c->ours, "shl") && is(c->theirs, "sal")) {
        return "name only: /6 of the shift group, which is SHL (volume 2, table A-6 leaves it open)";
    }
    if (is_compare_alias(c->ours, c->theirs)) {
        return "name only: the predicate in the name of CMPPS";
    }
    if (c->map == 1 && (c->op == 0x0d || c->op == 0x18)
        && (starts(c->theirs, "prefetch") || is(c->theirs, "nop"))) {
        return "name only: kinds of prefetch";
    }
    return NULL;
}

/* ---- VEX and EVEX ---- */

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

static const char *feature_name(unsigned cpuf)
{
    static const char *const names[CPUF_COUNT] = {
#define X(id, name) [id] = name,
        X86_CPU_FEATURES(X)
#undef X
    };
    return names[cpuf] ? names[cpuf] : "";
}

static const char *explain_vex_refused(const Case *c)
{
    unsigned op = c->in.opcode;

    if (c->in.lock || c->in.rep || c->in.opsize_prefix) {
        return "LOCK, 66, F2, F3 before VEX are #UD (volume 2, 2.3.2); capstone ignores it";
    }
    if (c->in.map == 3 && (op == 0x48 || op == 0x49 || ((op & 0xdc) == 0x5c) || (op & 0xe8) == 0x68)) {
        return "FMA4 and XOP are AMD's";
    }
    if (c->in.map == 2 && op >= 0x90 && op <= 0x93) {
        return "a gather's three registers must differ (volume 2, VPGATHERDD); capstone prints it";
    }
    if (only_w_is_wrong(c)) {
        return "VEX.W that volume 2 reserves for this form (3.1.1.2: W0, W1); capstone ignores it";
    }
    return NULL;
}

static const char *explain_vex(const Case *c)
{
    static const char *const young[] = { "vaes", "vpclmulqdq", "gfni", "avx_vnni" };

    if (c->in.enc == X86_EVEX && (c->len < 0 || !c->ok)) {
        return c->ok ? "EVEX fields that volume 2, 2.7 reserves; capstone 4.0.2 looks at few of them"
             : "EVEX instructions that capstone 4.0.2 does not know";
    }
    if (c->len == (int)c->cs_len && starts(c->ours, "vpcmp") && starts(c->theirs, "vpcmp")) {
        return "name only: the predicate in the name of VPCMPD";
    }
    if (c->len < 0) {
        return explain_vex_refused(c);
    }
    if (!c->ok && is(c->ours, "vbroadcasti128")) {
        return "capstone 4.0.2 does not know VBROADCASTI128";
    }
    if (!c->ok) {
        const char *feature = feature_name(c->in.vl ? c->in.row->cpu256 : c->in.row->cpu);
        for (unsigned i = 0; i < G_N_ELEMENTS(young); i++) {
            if (is(feature, young[i])) {
                return "younger than capstone 4.0.2: VAES, VPCLMULQDQ, GFNI, AVX-VNNI";
            }
        }
        return c->in.row->words & IN_AVX512 ? "opmask instructions that capstone 4.0.2 does not know" : NULL;
    }
    if (c->len == (int)c->cs_len && (starts(c->ours, "vcmp") || starts(c->ours, "vpclmul"))
        && starts(c->theirs, c->in.opcode == 0xc2 ? "vcmp" : "vpclmul")) {
        return "name only: the immediate in the name of VCMPPS, VPCLMULQDQ";
    }
    if (c->len == (int)c->cs_len && g_str_has_suffix(c->theirs, "x") && starts(c->theirs, c->ours)) {
        return "name only: an assembler's suffix for the size of the source (vcvtpd2psx)";
    }
    if (c->len == (int)c->cs_len && c->bits != 64 && g_str_has_suffix(c->theirs, "q")) {
        return "W1 is W0 for general registers outside 64-bit mode (volume 2, PEXTRD): vpinsrd, vpextrd";
    }
    return NULL;
}

static const char *explain(const Case *c)
{
    if (c->in.enc) {
        return explain_vex(c);
    }
    if ((c->in.rep && c->bits == 16 && c->len > 0 && c->in.row->pfx != 15)
        || (c->map && c->in.opsize_prefix && (c->bits == 16 || c->in.addrsize * 2 == c->bits)
            && (c->len < 0 || c->in.row->pfx == X86_PFX_66))) {
        return "capstone forgets a mandatory prefix in 16-bit code, and a 66 beside a 67";
    }
    if (c->map == 0 && c->in.rep && c->in.opsize_prefix) {
        return "capstone forgets a 66 beside an F2 or F3 that selects nothing";
    }
    if (c->len < 0) {
        return explain_refused(c);
    }
    if (!c->ok) {
        return explain_accepted(c);
    }
    return c->len != (int)c->cs_len ? explain_length(c) : explain_name(c);
}

typedef struct Totals {
    unsigned long total, agreed, valid;
    GHashTable *reasons, *unexplained;
} Totals;

static void count(GHashTable *h, char *key)
{
    g_hash_table_insert(h, key, GSIZE_TO_POINTER(GPOINTER_TO_SIZE(g_hash_table_lookup(h, key)) + 1));
}

static char *hex(const uint8_t *p, int n)
{
    GString *s = g_string_new(NULL);

    for (int i = 0; i < n; i++) {
        g_string_append_printf(s, "%02x", p[i]);
    }
    return g_string_free(s, FALSE);
}

static void compare(Totals *t, csh h, cs_insn *ci, Case *c)
{
    const uint8_t *code = c->buf;
    size_t left = X86_INSN_MAX;
    uint64_t addr = 0x1000;

    c->len = x86_decode(&c->in, c->buf, 16, c->bits);
    c->ok = cs_disasm_iter(h, &code, &left, &addr, ci);
    c->cs_len = c->ok ? ci->size : 0;
    strcpy(c->ours, "invalid");
    strcpy(c->theirs, "invalid");
    if (c->len > 0) {
        x86_mnemonic(&c->in, c->ours, sizeof(c->ours));
    }
    if (c->ok) {                    /* capstone prints rep and repne as part of the name */
        const char *space = strrchr(ci->mnemonic, ' ');
        strcpy(c->theirs, space ? space + 1 : ci->mnemonic);
    }
    t->total++;
    if ((c->len > 0) == c->ok && (!c->ok || (c->len == ci->size && is(c->ours, c->theirs)))) {
        t->agreed++;
        t->valid += c->ok;
        return;
    }
    const char *why = explain(c);
    if (why) {
        count(t->reasons, (char *)why);
    } else {
        static const char *const maps[4] = { "", "0f ", "0f38 ", "0f3a " };
        g_autofree char *bytes = hex(c->buf, MAX(c->len, (int)c->cs_len));
        count(t->unexplained,
              g_strdup_printf("%u-bit pfx[%-6s] %s%02x/%u %s  ours %s (%d)  capstone %s (%u)  %s", c->bits,
                              c->pfx, maps[c->map], c->op, c->modrm >> 3 & 7,
                              c->modrm >= 0xc0 ? "reg" : "mem", c->ours, c->len, c->theirs, c->cs_len, bytes));
    }
}

static const struct { const char *name; uint8_t len, byte[3]; bool only64; } prefixes[] = {
    { "", 0, { 0 }, false }, { "66", 1, { 0x66 }, false }, { "67", 1, { 0x67 }, false },
    { "67 66", 2, { 0x67, 0x66 }, false }, { "f0", 1, { 0xf0 }, false }, { "f2", 1, { 0xf2 }, false },
    { "f3", 1, { 0xf3 }, false }, { "48", 1, { 0x48 }, true }, { "41", 1, { 0x41 }, true },
    { "66 48", 2, { 0x66, 0x48 }, true }, { "f3 48", 2, { 0xf3, 0x48 }, true },
    { "f2 4f", 2, { 0xf2, 0x4f }, true },
};

static void compare_opcode(Totals *t, csh h, cs_insn *ci, Case *c, unsigned pfx)
{
    static const uint8_t rms[] = { 0, 4, 5, 6 };
    static const uint8_t sibs[] = { 0x24, 0x65, 0x8d };
    bool x87 = c->map == 0 && c->op >= 0xd8 && c->op <= 0xdf;

    for (unsigned modrm = 0; modrm < 256; modrm++) {
        bool all = modrm >= 0xc0 && (x87 || (c->map == 1 && (c->op == 0x01 || c->op == 0xae)));
        if (!all && !memchr(rms, modrm & 7, sizeof(rms))) {
            continue;
        }
        bool has_sib = modrm < 0xc0 && (modrm & 7) == 4;
        for (unsigned s = 0; s < (has_sib ? sizeof(sibs) : 1); s++) {
            uint8_t buf[16] = { 0 };
            unsigned n = prefixes[pfx].len;
            memcpy(buf, prefixes[pfx].byte, n);
            if (c->map) {
                buf[n++] = 0x0f;
            }
            if (c->map > 1) {
                buf[n++] = c->map == 2 ? 0x38 : 0x3a;
            }
            buf[n++] = c->op;
            buf[n++] = modrm;
            buf[n++] = sibs[s];
            for (unsigned k = n; k < sizeof(buf); k++) {
                buf[k] = 0x11 * (k - n + 1);
            }
            c->buf = buf;
            c->modrm = modrm;
            compare(t, h, ci, c);
        }
    }
}

static void compare_mode(Totals *t, unsigned bits)
{
    csh h;
    Case c = { .bits = bits };
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;

    g_assert_cmpint(cs_open(CS_ARCH_X86, mode, &h), ==, CS_ERR_OK);
    cs_insn *ci = cs_malloc(h);
    for (unsigned pfx = 0; pfx < G_N_ELEMENTS(prefixes); pfx++) {
        if (prefixes[pfx].only64 && bits != 64) {
            continue;
        }
        c.pfx = prefixes[pfx].name;
        for (c.map = 0; c.map < 4; c.map++) {
            for (c.op = 0; c.op < 256; c.op++) {
                if (x86_row(c.map, c.op, 0) && !(bits == 64 && c.map == 0 && (c.op & 0xf0) == 0x40)) {
                    compare_opcode(t, h, ci, &c, pfx);
                }
            }
        }
    }
    cs_free(ci, 1);
    cs_close(&h);
}

static void compare_vex_opcode(Totals *t, csh h, cs_insn *ci, Case *c, unsigned last, unsigned vvvv)
{
    static const uint8_t rms[] = { 0x01, 0x44, 0x85, 0xc1, 0xd3, 0xee, 0xfc };

    for (unsigned i = 0; i < sizeof(rms); i++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            unsigned modrm = (rms[i] & 0xc7) | reg << 3;
            uint8_t buf[16] = { 0xc4, 0xe0 | c->map, last | (~vvvv & 15) << 3, c->op, modrm, 0x5a, 0x11, 0x22, 0x33,
                                0x44, 0x55, 0x66 };
            c->buf = buf;
            c->modrm = modrm;
            compare(t, h, ci, c);
        }
    }
}

static void compare_vex(Totals *t, unsigned bits)
{
    csh h;
    Case c = { .bits = bits, .pfx = "c4" };

    g_assert_cmpint(cs_open(CS_ARCH_X86, bits == 32 ? CS_MODE_32 : CS_MODE_64, &h), ==, CS_ERR_OK);
    cs_insn *ci = cs_malloc(h);
    for (c.map = 1; c.map < 4; c.map++) {
        for (c.op = 0; c.op < 256; c.op++) {
            for (unsigned w_l_pp = 0; w_l_pp < 16; w_l_pp++) {
                unsigned last = (w_l_pp & 8) << 4 | (w_l_pp & 7);
                compare_vex_opcode(t, h, ci, &c, last, 0);
                compare_vex_opcode(t, h, ci, &c, last, 6);
            }
        }
    }
    cs_free(ci, 1);
    cs_close(&h);
}

/* Bytes as they come: where neither side finds an instruction, one byte on. */
static void compare_stream(Totals *t, unsigned bits, const uint8_t *p, size_t n, const char *name)
{
    csh h;
    Case c = { .bits = bits, .pfx = name };
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;

    g_assert_cmpint(cs_open(CS_ARCH_X86, mode, &h), ==, CS_ERR_OK);
    cs_insn *ci = cs_malloc(h);
    for (size_t at = 0; at + 16 <= n; at += c.len > 0 ? (size_t)c.len : 1) {
        c.buf = p + at;
        c.len = x86_decode(&c.in, c.buf, 16, bits);
        c.map = c.in.enc ? 0 : c.in.map;
        c.op = c.in.opcode;
        c.modrm = c.in.modrm;
        compare(t, h, ci, &c);
    }
    cs_free(ci, 1);
    cs_close(&h);
}

/* DECODE_SEED=n for other bytes than last time. */
static void compare_random(Totals *t)
{
    static uint8_t bytes[400000];
    const char *seed = g_getenv("DECODE_SEED");
    GRand *r = g_rand_new_with_seed(seed ? (guint32)g_ascii_strtoull(seed, NULL, 0) : 1);

    for (unsigned bits = 16; bits <= 64; bits *= 2) {
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = g_rand_int(r) >> 8;
        }
        compare_stream(t, bits, bytes, sizeof(bytes), "random");
    }
    g_rand_free(r);
}

/* The C library that this program runs with. */
static int compare_libc(struct dl_phdr_info *info, size_t size, void *opaque)
{
    if (!strstr(info->dlpi_name, "libc.so")) {
        return 0;
    }
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X)) {
            compare_stream(opaque, 64, (const uint8_t *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz, "libc");
        }
    }
    return 1;
}

/* Code of another program, a whole one: argument BITS=FILE. */
static void compare_file(Totals *t, const char *arg)
{
    g_auto(GStrv) half = g_strsplit(arg, "=", 2);
    g_autofree char *bytes = NULL;
    gsize n;

    g_assert_cmpuint(g_strv_length(half), ==, 2);
    g_assert_true(g_file_get_contents(half[1], &bytes, &n, NULL));
    compare_stream(t, (unsigned)atoi(half[0]), (const uint8_t *)bytes, n, "file");
}

static void compare_all(Totals *t)
{
    for (unsigned bits = 16; bits <= 64; bits *= 2) {
        compare_mode(t, bits);
    }
    compare_vex(t, 32);
    compare_vex(t, 64);
    compare_random(t);
    g_assert_cmpint(dl_iterate_phdr(compare_libc, t), ==, 1);
}

static void test_agrees(gconstpointer opaque)
{
    const char *const *files = opaque;
    Totals t = { .reasons = g_hash_table_new(g_str_hash, g_str_equal),
                 .unexplained = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };
    GHashTableIter it;
    gpointer key, value;

    if (!*files) {
        compare_all(&t);
    }
    for (; *files; files++) {
        compare_file(&t, *files);
    }
    g_test_message("%lu encodings, %lu agree (%lu of them valid), %u unexplained", t.total, t.agreed, t.valid,
                   g_hash_table_size(t.unexplained));
    g_hash_table_iter_init(&it, t.reasons);
    while (g_hash_table_iter_next(&it, &key, &value)) {
        g_test_message("%8zu explained: %s", GPOINTER_TO_SIZE(value), (char *)key);
    }
    g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(t.unexplained), (GCompareFunc)strcmp);
    for (GList *k = keys; k; k = k->next) {
        g_printerr("%6zu  %s\n", GPOINTER_TO_SIZE(g_hash_table_lookup(t.unexplained, k->data)),
                   (char *)k->data);
    }
    g_assert_cmpuint(g_hash_table_size(t.unexplained), ==, 0);
    g_assert_cmpuint(t.valid, >, 500000);
    g_hash_table_unref(t.reasons);
    g_hash_table_unref(t.unexplained);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/insn/decode/agrees-with-capstone", argv + 1, test_agrees);
    return g_test_run();
}
