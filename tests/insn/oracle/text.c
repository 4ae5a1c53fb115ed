/*
 * tests/insn/oracle/text.c - a case as one line of words, and back: what --replay takes.
 *
 *   bits=64 at=0 code=480fafc3 rax=2 flags=302 ds=2b fcw=37f st0=3fff:8000000000000000 v1=0,3ff0000000000000
 *   mem2000=00ff steps=1
 *
 * Only what differs from plain_case() is named; vectors are 64-bit pieces, the lowest first.
 */
#include "text.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/cpu.h"
#include "util/error.h"

static const char *const reg_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const seg_names[6] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* Members of fx that are plain numbers. */
static const struct { const char *name; uint8_t at, size; } fx_words[] = {
    { "fcw", FX_FCW, 2 }, { "fsw", FX_FSW, 2 }, { "ftw", FX_FTW, 1 }, { "mxcsr", FX_MXCSR, 4 },
};

static void append_hex(GString *s, const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(s, "%02x", p[i]);
    }
}

/* The eight pieces of vector n. */
static void get_vector(const OracleState *s, unsigned n, uint64_t v[8])
{
    if (n < 16) {
        memcpy(v, s->fx + FX_XMM + 16 * n, 16);
        memcpy(v + 2, s->ymm_high[n], 16);
        memcpy(v + 4, s->zmm_high[n], 32);
    } else {
        memcpy(v, s->zmm16[n - 16], 64);
    }
}

void set_vector(OracleState *s, unsigned n, const uint64_t v[8])
{
    if (n < 16) {
        memcpy(s->fx + FX_XMM + 16 * n, v, 16);
        memcpy(s->ymm_high[n], v + 2, 16);
        memcpy(s->zmm_high[n], v + 4, 32);
    } else {
        memcpy(s->zmm16[n - 16], v, 64);
    }
}

/* `have` of the processor that the case was run on: what it has not is not worth a word. */
static void append_vectors(GString *out, const OracleState *s, unsigned have)
{
    for (unsigned n = 0; n < (have & ORACLE_AVX512 ? 32 : 16); n++) {
        uint64_t v[8];
        unsigned last = have & ORACLE_AVX512 ? 8 : have & ORACLE_AVX ? 4 : 2;
        get_vector(s, n, v);
        while (last && v[last - 1] == 0) {
            last--;
        }
        for (unsigned i = 0; i < last; i++) {
            if (i) {
                g_string_append_printf(out, ",%" PRIx64, v[i]);
            } else {
                g_string_append_printf(out, " v%u=%" PRIx64, n, v[i]);
            }
        }
    }
}

static void append_number(GString *out, const char *name, uint64_t v, uint64_t plain)
{
    if (v != plain) {
        g_string_append_printf(out, " %s=%" PRIx64, name, v);
    }
}

void case_to_text(const OracleCase *c, GString *out)
{
    OracleCase *plain = g_aligned_alloc0(1, sizeof(*plain), 64);
    const OracleState *s = &c->in, *p = &plain->in;

    plain_case(plain, c->bits, c->code_at);
    g_string_append_printf(out, "bits=%u at=%x code=", c->bits, c->code_at);
    append_hex(out, c->code, c->len);
    for (unsigned i = 0; i < 16; i++) {
        append_number(out, reg_names[i], s->regs[i], 0);
    }
    append_number(out, "flags", s->flags, p->flags);
    for (unsigned i = 0; i < 6; i++) {
        append_number(out, seg_names[i], s->seg[i], p->seg[i]);
    }
    append_number(out, "rip", s->rip, p->rip);
    append_number(out, "fsbase", s->fs_base, 0);
    append_number(out, "gsbase", s->gs_base, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(fx_words); i++) {
        uint64_t v = 0, pv = 0;
        memcpy(&v, s->fx + fx_words[i].at, fx_words[i].size);
        memcpy(&pv, p->fx + fx_words[i].at, fx_words[i].size);
        append_number(out, fx_words[i].name, v, pv);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mantissa, exponent = 0;
        memcpy(&mantissa, s->fx + FX_ST + 16 * i, 8);
        memcpy(&exponent, s->fx + FX_ST + 16 * i + 8, 2);
        if (mantissa || exponent) {
            g_string_append_printf(out, " st%u=%" PRIx64 ":%" PRIx64, i, exponent, mantissa);
        }
    }
    append_vectors(out, s, c->out.state.vectors);
    for (unsigned i = 0; i < 8; i++) {
        if (s->k[i] && (c->out.state.vectors & ORACLE_AVX512)) {
            g_string_append_printf(out, " k%u=%" PRIx64, i, s->k[i]);
        }
    }
    for (unsigned i = 0; i < c->patches; i++) {
        g_string_append_printf(out, " mem%x=", c->patch[i].at);
        append_hex(out, c->patch[i].bytes, c->patch[i].len);
    }
    if (c->steps) {
        g_string_append_printf(out, " steps=%x", c->steps);
    }
    g_aligned_free(plain);
}

/* ---- reading ---- */

static int hex_bytes(const char *text, uint8_t *out, unsigned most)
{
    unsigned n = 0;

    for (; g_ascii_isxdigit(text[2 * n]) && g_ascii_isxdigit(text[2 * n + 1]) && n < most; n++) {
        out[n] = g_ascii_xdigit_value(text[2 * n]) << 4 | g_ascii_xdigit_value(text[2 * n + 1]);
    }
    return text[2 * n] ? -1 : (int)n;
}

static int name_in(const char *const *names, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++) {
        if (!strcmp(names[i], name)) {
            return i;
        }
    }
    return -1;
}

static bool read_vector(OracleState *s, unsigned n, const char *value)
{
    g_auto(GStrv) piece = g_strsplit(value, ",", 9);
    uint64_t v[8] = { 0 };

    for (unsigned i = 0; piece[i]; i++) {
        if (i == 8 || n > 31) {
            return false;
        }
        v[i] = strtoull(piece[i], NULL, 16);
    }
    set_vector(s, n, v);
    return true;
}

static bool read_patch(OracleCase *c, const char *at, const char *value)
{
    OraclePatch *p = &c->patch[c->patches];
    int n = c->patches < PATCHES ? hex_bytes(value, p->bytes, LINE) : -1;

    p->at = strtoul(at, NULL, 16);
    p->len = MAX(n, 0);
    c->patches++;
    return n > 0 && p->at >= 0x1000 && p->at + p->len <= 0x3000;
}

static bool read_word(OracleCase *c, const char *key, const char *value)
{
    OracleState *s = &c->in;
    uint64_t v = strtoull(value, NULL, 16);
    int i;

    if ((i = name_in(reg_names, 16, key)) >= 0) {
        s->regs[i] = v;
    } else if ((i = name_in(seg_names, 6, key)) >= 0) {
        s->seg[i] = v;
    } else if (!strcmp(key, "flags")) {
        s->flags = v;
    } else if (!strcmp(key, "rip")) {
        s->rip = v;
    } else if (!strcmp(key, "fsbase")) {
        s->fs_base = v;
    } else if (!strcmp(key, "gsbase")) {
        s->gs_base = v;
    } else if (!strcmp(key, "steps")) {
        c->steps = v;
    } else if (!strncmp(key, "mem", 3)) {
        return read_patch(c, key + 3, value);
    } else if (!strncmp(key, "st", 2) && key[2] >= '0' && key[2] < '8' && strchr(value, ':')) {
        uint64_t mantissa = strtoull(strchr(value, ':') + 1, NULL, 16);
        memcpy(s->fx + FX_ST + 16 * (key[2] - '0'), &mantissa, 8);
        memcpy(s->fx + FX_ST + 16 * (key[2] - '0') + 8, &v, 2);
    } else if (key[0] == 'v' && g_ascii_isdigit(key[1])) {
        return read_vector(s, strtoul(key + 1, NULL, 10), value);
    } else if (key[0] == 'k' && key[1] >= '0' && key[1] < '8') {
        s->k[key[1] - '0'] = v;
    } else {
        for (unsigned w = 0; w < G_N_ELEMENTS(fx_words); w++) {
            if (!strcmp(key, fx_words[w].name)) {
                memcpy(s->fx + fx_words[w].at, &v, fx_words[w].size);
                return true;
            }
        }
        return false;
    }
    return true;
}

bool case_from_text(const char *text, OracleCase *c, GError **errp)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);
    unsigned seen = 0;

    for (unsigned i = 0; words[i]; i++) {
        if (!*words[i]) {
            continue;
        }
        char *value = strchr(words[i], '=');
        if (!value) {
            error_set(errp, "'%s' is no name=value", words[i]);
            return false;
        }
        *value++ = 0;
        static const char *const head[] = { "bits", "at", "code" };
        if (seen < G_N_ELEMENTS(head) && strcmp(words[i], head[seen])) {
            error_set(errp, "a case begins with bits= at= code=, not '%s='", words[i]);
            return false;
        }
        bool ok = true;
        if (seen == 0) {
            c->bits = atoi(value);
            ok = c->bits == 16 || c->bits == 32 || c->bits == 64;
        } else if (seen == 1) {
            unsigned at = strtoul(value, NULL, 16);
            ok = at < ORACLE_PAGE;
            if (ok) {
                plain_case(c, c->bits, at);
            }
        } else if (seen == 2) {
            int n = hex_bytes(value, c->code, sizeof(c->code));
            ok = n > 0;
            c->len = MAX(n, 0);
        } else {
            ok = read_word(c, words[i], value);
        }
        if (!ok) {
            error_set(errp, "'%s=%s' is not understood", words[i], value);
            return false;
        }
        seen++;
    }
    if (seen < 3) {
        error_set(errp, "a case begins with bits= at= code=");
    }
    return seen >= 3;
}
