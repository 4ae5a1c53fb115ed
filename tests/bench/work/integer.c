/*
 * Work for the integer units: loops in registers, SHA-256 (FIPS 180-4), compression, sorting, calls, and
 * a small interpreter.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "work.h"

uint64_t work_integer(unsigned rounds)
{
    uint64_t sum = 0;

    for (unsigned r = 0; r < rounds; r++) {
        uint32_t a = r * 2654435761u + 1, b = ~a, c = 7;
        for (unsigned i = 0; i < 1000000; i++) {
            a = (a << 5 | a >> 27) + b;
            b ^= a * 2654435769u;
            c += (b >> 3) - (a & i);
            if (c & 0x40) {
                b += c;
            }
        }
        sum = work_mix(sum, (uint64_t)a << 32 | (b ^ c));
    }
    return sum;
}

static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static void sha256_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], s[8];

    for (unsigned i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) + w[i - 7]
             + (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10);
    }
    memcpy(s, h, sizeof(s));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25))
                    + ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_k[i] + w[i];
        uint32_t t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22))
                    + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        h[i] += s[i];
    }
}

uint64_t work_sha256(unsigned rounds)
{
    uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    uint8_t block[64];

    for (unsigned i = 0; i < sizeof(block); i++) {
        block[i] = i * 37;
    }
    for (unsigned i = 0; i < rounds * 16384; i++) {
        block[i & 63]++;
        sha256_block(h, block);
    }
    return (uint64_t)h[0] << 32 | h[7];
}

/* Text with repetitions: words from a small dictionary. */
static void fill_text(uint8_t *p, unsigned size)
{
    static const char *const words[] = { "the ", "guest ", "memory ", "reads ", "writes ", "a page, ", "and ",
                                         "its table ", "is walked\n", "again ", "0x80 ", "interrupt " };
    uint32_t seed = 42;

    for (unsigned at = 0; at < size; ) {
        const char *w = words[work_random(&seed) % (sizeof(words) / sizeof(words[0]))];
        unsigned n = strlen(w);
        n = n < size - at ? n : size - at;
        memcpy(p + at, w, n);
        at += n;
    }
}

enum { TEXT = 256 * 1024, HASH = 4096 };

/* Literals with their top bits as they are; a match is 0x80 | length - 4, then a distance of two bytes. */
static unsigned squeeze(const uint8_t *in, unsigned n, uint8_t *out)
{
    static uint32_t last[HASH];
    unsigned o = 0;

    memset(last, 0, sizeof(last));
    for (unsigned i = 0; i < n; ) {
        unsigned len = 0, at = 0;
        if (i + 4 < n) {
            uint32_t word;
            memcpy(&word, in + i, 4);
            uint32_t slot = word * 2654435761u >> 20;
            at = last[slot];
            last[slot] = i;
            if (at < i && i - at < 65536) {
                while (len < 131 && i + len < n && in[at + len] == in[i + len]) {
                    len++;
                }
            }
        }
        if (len >= 4) {
            out[o++] = 0x80 | (len - 4);
            out[o++] = (i - at) & 0xff;
            out[o++] = (i - at) >> 8;
            i += len;
        } else {
            out[o++] = in[i++] & 0x7f;
        }
    }
    return o;
}

static unsigned expand(const uint8_t *in, unsigned n, uint8_t *out)
{
    unsigned o = 0;

    for (unsigned i = 0; i < n; ) {
        if (in[i] & 0x80) {
            unsigned len = (in[i] & 0x7f) + 4, distance = in[i + 1] | in[i + 2] << 8;
            for (unsigned k = 0; k < len; k++, o++) {
                out[o] = out[o - distance];
            }
            i += 3;
        } else {
            out[o++] = in[i++];
        }
    }
    return o;
}

uint64_t work_compress(unsigned rounds)
{
    uint8_t *text = malloc(TEXT), *small = malloc(TEXT), *back = malloc(TEXT);
    uint64_t sum = 0;

    fill_text(text, TEXT);
    for (unsigned r = 0; r < rounds; r++) {
        text[r * 977 % TEXT] = 'a' + r % 26;
        for (unsigned again = 0; again < 10; again++) {
            unsigned n = squeeze(text, TEXT, small);
            unsigned m = expand(small, n, back);
            sum = work_mix(sum, (uint64_t)n << 32 | m | (memcmp(text, back, TEXT) ? 1u << 31 : 0));
        }
    }
    free(text);
    free(small);
    free(back);
    return sum;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static int by_low_bits(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a << 16, y = *(const uint32_t *)b << 16;

    return x < y ? -1 : x > y ? 1 : ascending(a, b);
}

/* Shell's sort: the order is asked through the pointer each time. */
static void sort(uint32_t *v, unsigned n, int (*order)(const void *, const void *))
{
    for (unsigned gap = n / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (unsigned i = gap; i < n; i++) {
            uint32_t x = v[i];
            unsigned k = i;
            for (; k >= gap && order(&v[k - gap], &x) > 0; k -= gap) {
                v[k] = v[k - gap];
            }
            v[k] = x;
        }
    }
}

uint64_t work_sort(unsigned rounds)
{
    enum { N = 100000 };
    uint32_t *v = malloc(N * sizeof(*v)), seed = 7;
    uint64_t sum = 0;

    for (unsigned r = 0; r < rounds; r++) {
        int (*volatile order)(const void *, const void *) = r & 1 ? by_low_bits : ascending;
        for (unsigned i = 0; i < N; i++) {
            v[i] = work_random(&seed);
        }
        sort(v, N, order);
        for (unsigned i = 0; i < N; i += 1000) {
            sum = work_mix(sum, v[i]);
        }
    }
    free(v);
    return sum;
}

static __attribute__((noinline)) unsigned fibonacci(unsigned n)
{
    unsigned (*volatile self)(unsigned) = fibonacci;

    if (n < 2) {
        return n;
    }
    return fibonacci(n - 1) + (n & 7 ? fibonacci(n - 2) : self(n - 2));
}

uint64_t work_calls(unsigned rounds)
{
    return fibonacci(rounds);
}

/* A machine with an accumulator, a counter and a stack. */
enum { I_PUSH, I_ADD, I_XOR, I_MUL, I_DUP, I_SWAP, I_SHIFT, I_LOOP, I_JUMP_ODD, I_NOT, I_END };

uint64_t work_switch(unsigned rounds)
{
    static const uint8_t program[] = {
        I_PUSH, 3, I_DUP, I_MUL, I_ADD, I_PUSH, 77, I_XOR, I_DUP, I_SHIFT, I_ADD, I_JUMP_ODD, 2, I_NOT, I_DUP,
        I_SWAP, I_ADD, I_PUSH, 9, I_SWAP, I_XOR, I_ADD, I_LOOP, 22, I_END,
    };
    uint64_t sum = 0;

    for (unsigned r = 0; r < rounds; r++) {
        uint32_t stack[16] = { r + 1, r + 2 }, left = 100000;
        unsigned sp = 2, pc = 0;
        bool running = true;
        while (running) {
            switch (program[pc++]) {
            case I_PUSH: stack[sp++ & 15] = program[pc++]; break;
            case I_ADD: sp--; stack[(sp - 1) & 15] += stack[sp & 15]; break;
            case I_XOR: sp--; stack[(sp - 1) & 15] ^= stack[sp & 15]; break;
            case I_MUL: sp--; stack[(sp - 1) & 15] *= stack[sp & 15] | 1; break;
            case I_DUP: stack[sp & 15] = stack[(sp - 1) & 15]; sp++; break;
            case I_SWAP: {
                uint32_t t = stack[(sp - 1) & 15];
                stack[(sp - 1) & 15] = stack[(sp - 2) & 15];
                stack[(sp - 2) & 15] = t;
                break;
            }
            case I_SHIFT: stack[(sp - 1) & 15] >>= 7; break;
            case I_NOT: stack[(sp - 1) & 15] = ~stack[(sp - 1) & 15]; break;
            case I_JUMP_ODD: pc += stack[(sp - 1) & 15] & 1 ? program[pc] : 1; break;
            case I_LOOP: pc = left-- ? pc - program[pc] : pc + 1; break;
            default: running = false; break;
            }
        }
        sum = work_mix(sum, (uint64_t)stack[0] << 32 | stack[1]);
    }
    return sum;
}
