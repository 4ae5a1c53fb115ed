/*
 * A program without a C library that uses the processor as compilers do: it writes what it computed
 * to a buffer.  program_test.c runs it natively and in the interpreter, and compares.
 */
#include <stddef.h>
#include <stdint.h>

static uint8_t *out;
static uint64_t seed = 88172645463325252u;

void start(uint8_t *buffer);
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

void *memcpy(void *to, const void *from, size_t n)
{
    void *was = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return was;
}

void *memset(void *to, int value, size_t n)
{
    void *was = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return was;
}

static void emit(const void *p, size_t n)
{
    memcpy(out, p, n);
    out += n;
}

#define EMIT(v) do { __typeof__(v) emitted_ = (v); emit(&emitted_, sizeof(emitted_)); } while (0)

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- integers ---- */

static uint32_t rotate(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

/* FIPS 180-4, one block after another; round constants from cube roots would need a library, so any do. */
static void hash(void)
{
    uint32_t h[8] = { 1, 2, 3, 5, 7, 11, 13, 17 }, w[64];

    for (unsigned block = 0; block < 40; block++) {
        uint32_t v[8];
        for (unsigned i = 0; i < 16; i++) {
            w[i] = __builtin_bswap32((uint32_t)next());
        }
        for (unsigned i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7]
                 + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
        memcpy(v, h, sizeof(v));
        for (unsigned i = 0; i < 64; i++) {
            uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25))
                        + ((v[4] & v[5]) ^ (~v[4] & v[6])) + 0x428a2f98 * (i + 1) + w[i];
            uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22))
                        + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            for (unsigned k = 7; k > 0; k--) {
                v[k] = v[k - 1];
            }
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (unsigned i = 0; i < 8; i++) {
            h[i] += v[i];
        }
    }
    emit(h, sizeof(h));
}

static void wide_arithmetic(void)
{
    unsigned __int128 product = 1;
    __int128 sum = 0;
    int64_t quotients = 0;

    for (unsigned i = 0; i < 300; i++) {
        uint64_t a = next(), b = next() | 1;
        product = product * a + b;
        sum += (__int128)(int64_t)a * (int64_t)b;
        sum = i & 1 ? sum << (a & 31) : sum >> (b & 63);
        quotients += (int64_t)a / (int32_t)b + (int64_t)(a % b) + (int32_t)a / (int16_t)b;
        quotients += (uint16_t)a % (uint8_t)b;
        quotients ^= (int64_t)__builtin_popcountll(a) << (b & 15);
        quotients += __builtin_ctzll(b << (a & 31)) - __builtin_clzll(a | 1);
    }
    EMIT(product);
    EMIT(sum);
    EMIT(quotients);
}

static int compare_up(uint64_t a, uint64_t b) { return (int64_t)a < (int64_t)b; }
static int compare_unsigned(uint64_t a, uint64_t b) { return a > b; }

static int compare_bytes(uint64_t a, uint64_t b)
{
    return (int8_t)a < (int8_t)b || ((uint8_t)a == (uint8_t)b && a < b);
}

static void sort(uint64_t *v, int n, int (*before)(uint64_t, uint64_t))
{
    int i = 0, j = n - 1;
    uint64_t pivot = v[n / 2];

    while (i <= j) {
        while (before(v[i], pivot)) {
            i++;
        }
        while (before(pivot, v[j])) {
            j--;
        }
        if (i <= j) {
            uint64_t t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
    }
    if (j > 0) {
        sort(v, j + 1, before);
    }
    if (i < n - 1) {
        sort(v + i, n - i, before);
    }
}

static void sorting(void)
{
    static int (*const orders[])(uint64_t, uint64_t) = { compare_up, compare_unsigned, compare_bytes };
    uint64_t v[200];

    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < 200; i++) {
            v[i] = next();
        }
        sort(v, 200, orders[k]);
        emit(v, sizeof(v));
    }
}

static unsigned interpret(const uint8_t *code, unsigned n)
{
    unsigned a = 1, b = 2;

    for (unsigned i = 0; i < n; i++) {
        switch (code[i] & 15) {
        case 0: a += b; break;
        case 1: b -= a; break;
        case 2: a ^= b << 3; break;
        case 3: b = b >> 5 | b << 27; break;
        case 4: a *= 33; break;
        case 5: b ^= ~a; break;
        case 6: a = (a & 0xffff0000) | (uint16_t)(a + 7); break;
        case 7: b = (int8_t)b; break;
        case 8: a = a > b ? a - b : b - a; break;
        case 9: b += (int)a < 0; break;
        case 10: a = (a & 0xff00ff) << 8 | (a >> 8 & 0xff00ff); break;
        default: b += code[i]; break;
        }
    }
    return a ^ b;
}

static void switching(void)
{
    uint8_t code[512];

    for (unsigned i = 0; i < sizeof(code); i++) {
        code[i] = next();
    }
    EMIT(interpret(code, sizeof(code)));
}

static void strings(void)
{
    uint8_t a[256], b[256];
    uint16_t flags;

    for (unsigned i = 0; i < 256; i++) {
        a[i] = next();
        b[i] = i;
    }
    for (unsigned n = 0; n < 64; n += 7) {
        const uint8_t *from = a + n, *p = a;
        uint8_t *to = b + 255 - n;
        size_t count = n + 1, left = 200;
        __asm__ volatile("std\n\trep movsb\n\tcld" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        __asm__ volatile("repne scasb\n\tlahf\n\tmov %%ax, %0" : "=r"(flags), "+D"(p), "+c"(left)
                         : "a"(a[n * 3]) : "cc", "memory");
        EMIT(flags);
        EMIT(left);
        const uint32_t *x = (const uint32_t *)a, *y = (const uint32_t *)(a + n * 2);
        count = 20;
        __asm__ volatile("repe cmpsl" : "+S"(x), "+D"(y), "+c"(count) : : "cc", "memory");
        EMIT(count);
    }
    emit(b + 192, 64);
}

/* ---- vectors: what the compiler makes of loops ---- */

static void byte_loops(void)
{
    uint8_t a[256], b[256], c[256];
    int16_t w[256], x[256];
    uint32_t sum = 0;
    int32_t dot = 0;

    for (unsigned i = 0; i < 256; i++) {
        a[i] = next();
        b[i] = next();
        w[i] = next();
    }
    for (unsigned i = 0; i < 256; i++) {
        int v = a[i] + b[i];
        c[i] = v > 255 ? 255 : v;
        sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    }
    for (unsigned i = 0; i < 256; i++) {
        x[i] = (w[i] * 77 >> 5) + (a[i] ^ c[i]);
        dot += w[i] * (int16_t)(a[i] - 128);
    }
    emit(c, sizeof(c));
    emit(x, sizeof(x));
    EMIT(sum);
    EMIT(dot);
}

static void float_loops(void)
{
    float m[12][12], n[12][12], p[12][12];
    double sum = 0;
    int32_t rounded[12];

    for (unsigned i = 0; i < 12; i++) {
        for (unsigned k = 0; k < 12; k++) {
            m[i][k] = (int32_t)next() / 65536.0f;
            n[i][k] = (float)next() * 1e-18f;
        }
    }
    for (unsigned i = 0; i < 12; i++) {
        for (unsigned k = 0; k < 12; k++) {
            float s = 0;
            for (unsigned j = 0; j < 12; j++) {
                s += m[i][j] * n[j][k];
            }
            p[i][k] = s;
            sum += __builtin_sqrt((double)s * s + 1) / (1.5 + k);
        }
        rounded[i] = (int32_t)p[i][i % 7];
    }
    emit(p, sizeof(p));
    emit(rounded, sizeof(rounded));
    EMIT(sum);
}

static void mandelbrot(void)
{
    for (int y = -8; y < 8; y++) {
        uint32_t row = 0;
        for (int x = -16; x < 8; x++) {
            double a = 0, b = 0, c = x / 8.0, d = y / 7.0;
            unsigned n = 0;
            for (; n < 60 && a * a + b * b < 4; n++) {
                double t = a * a - b * b + c;
                b = 2 * a * b + d;
                a = t;
            }
            row = row * 61 + n;
        }
        EMIT(row);
    }
}

/* ---- x87 ---- */

static void emit_long(long double v)
{
    emit(&v, 10);
}

static void long_doubles(void)
{
    long double e = 1, term = 1, pi = 0, x = 0.1L;

    for (unsigned i = 1; i < 25; i++) {
        term /= i;
        e += term;
        pi += (i & 1 ? 4.0L : -4.0L) / (2 * i - 1);
        x = 3.7L * x * (1 - x);
    }
    emit_long(e);
    emit_long(pi);
    emit_long(x);
    EMIT((int64_t)(e * 1e15L));
    EMIT((float)pi);
    EMIT((double)x);
    EMIT((int16_t)(pi * 1000));
    EMIT(e > pi ? 1 : x < pi ? 2 : 3);
    for (unsigned i = 0; i < 12; i++) {         /* decimal digits, as printf finds them */
        int digit = (int)e;
        EMIT((uint8_t)digit);
        e = (e - digit) * 10;
    }
}

static void transcendentals(void)
{
    for (int i = -9; i < 9; i++) {
        long double x = i * 0.3L, s, c, t, l, r;
        uint16_t status;
        uint8_t bcd[10];
        __asm__("fsincos" : "=t"(c), "=u"(s) : "0"(x));
        __asm__("fpatan" : "=t"(t) : "0"(1.5L), "u"(x) : "st(1)");
        __asm__("fyl2x" : "=t"(l) : "0"(x * x + 1), "u"(3.0L) : "st(1)");
        __asm__("fprem1\n\tfnstsw %%ax" : "=t"(r), "=a"(status) : "0"(x * 1000), "u"(0.7L));
        __asm__("fbstp %0" : "=m"(bcd) : "t"(x * 123456789) : "st");
        emit_long(s);
        emit_long(c);
        emit_long(t);
        emit_long(l);
        emit_long(r);
        EMIT((uint16_t)(status & 0x4700));
        emit(bcd, 10);
    }
}

static void start_all(void)
{
    hash();
    wide_arithmetic();
    sorting();
    switching();
    strings();
    byte_loops();
    float_loops();
    mandelbrot();
    long_doubles();
    transcendentals();
}

/* The caller's stack is aligned as for a call. */
__attribute__((section(".start"))) void start(uint8_t *buffer)
{
    out = buffer;
    start_all();
}
