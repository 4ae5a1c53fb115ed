/*
 * Work for the floating-point units: scalar doubles, vectors of SSE and AVX2, the x87, and an FFT.
 */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include "work.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* Planets around a sun: square roots and divisions among many multiplications. */
uint64_t work_double(unsigned rounds)
{
    enum { N = 5 };
    double x[N], y[N], z[N], vx[N] = { 0 }, vy[N] = { 0 }, vz[N] = { 0 }, m[N];

    for (unsigned i = 0; i < N; i++) {
        x[i] = 1.5 * i;
        y[i] = 2.0 - 0.75 * i;
        z[i] = 0.125 * i * i;
        vy[i] = i ? 0.5 / i : 0;
        m[i] = i ? 0.001 * i : 10;
    }
    for (unsigned step = 0; step < rounds * 10000; step++) {
        for (unsigned i = 0; i < N; i++) {
            for (unsigned k = i + 1; k < N; k++) {
                double dx = x[i] - x[k], dy = y[i] - y[k], dz = z[i] - z[k];
                double d2 = dx * dx + dy * dy + dz * dz + 0.01;
                double mag = 0.001 / (d2 * __builtin_sqrt(d2));
                vx[i] -= dx * m[k] * mag;
                vy[i] -= dy * m[k] * mag;
                vz[i] -= dz * m[k] * mag;
                vx[k] += dx * m[i] * mag;
                vy[k] += dy * m[i] * mag;
                vz[k] += dz * m[i] * mag;
            }
        }
        for (unsigned i = 0; i < N; i++) {
            x[i] += 0.001 * vx[i];
            y[i] += 0.001 * vy[i];
            z[i] += 0.001 * vz[i];
        }
    }
    return bits_of(x[0] + y[1] + z[2] + vx[3] + vy[4]);
}

enum { SIDE = 64 };

/* Square matrices of floats, four columns at a time. */
uint64_t work_sse(unsigned rounds)
{
    static _Alignas(64) float a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    uint64_t sum = 0;

    for (unsigned i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = (float)(i % 17) * 0.25f - 2;
        b[i / SIDE][i % SIDE] = (float)(i % 23) * 0.125f - 1;
    }
    for (unsigned r = 0; r < rounds * 20; r++) {
        for (unsigned i = 0; i < SIDE; i++) {
            for (unsigned k = 0; k < SIDE; k += 4) {
                __m128 s = _mm_setzero_ps();
                for (unsigned j = 0; j < SIDE; j++) {
                    s = _mm_add_ps(s, _mm_mul_ps(_mm_set1_ps(a[i][j]), _mm_load_ps(&b[j][k])));
                }
                _mm_store_ps(&c[i][k], _mm_min_ps(s, _mm_set1_ps(100)));
            }
        }
        a[r % SIDE][r / 7 % SIDE] = c[r % SIDE][r % SIDE] * 0.01f;
        sum = work_mix(sum, bits_of(c[r % SIDE][(r * 5) % SIDE]));
    }
    return sum;
}

__attribute__((target("avx2,fma"))) static uint64_t avx_rounds(unsigned rounds)
{
    static _Alignas(64) double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    __m256i shuffle = _mm256_set1_epi64x(0x0102040810204080);
    uint64_t sum = 0;

    for (unsigned i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = (i % 17) * 0.25 - 2;
        b[i / SIDE][i % SIDE] = (i % 23) * 0.125 - 1;
    }
    for (unsigned r = 0; r < rounds * 20; r++) {
        for (unsigned i = 0; i < SIDE; i++) {
            for (unsigned k = 0; k < SIDE; k += 4) {
                __m256d s = _mm256_setzero_pd();
                for (unsigned j = 0; j < SIDE; j++) {
                    s = _mm256_fmadd_pd(_mm256_broadcast_sd(&a[i][j]), _mm256_load_pd(&b[j][k]), s);
                }
                _mm256_store_pd(&c[i][k], _mm256_min_pd(s, _mm256_set1_pd(100)));
                shuffle = _mm256_add_epi8(_mm256_shuffle_epi8(shuffle, shuffle), _mm256_castpd_si256(s));
            }
        }
        a[r % SIDE][r / 7 % SIDE] = c[r % SIDE][r % SIDE] * 0.01;
        sum = work_mix(sum, bits_of(c[r % SIDE][(r * 5) % SIDE]) ^ (uint64_t)_mm256_movemask_epi8(shuffle));
    }
    return sum;
}

uint64_t work_avx(unsigned rounds)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        return 0;
    }
    return avx_rounds(rounds);
}

/* Continued fractions and polynomials in extended precision. */
uint64_t work_x87(unsigned rounds)
{
    long double sum = 0;

    for (unsigned r = 0; r < rounds * 10000; r++) {
        long double x = 1.0L / (r % 1000 + 3), p = 1, f = 2;
        for (unsigned i = 1; i < 20; i++) {
            p = p * x + i;
            f = i + x / f;
        }
        sum += p * 1e-3L - f + __builtin_sqrtl(p);
    }
    return bits_of((double)sum);
}

/* Complex numbers in place, radix 2; `sign` 1 forth, -1 back. */
static void fft(double *re, double *im, unsigned n, const double *cosine, const double *sine, double sign)
{
    for (unsigned i = 1, j = 0; i < n; i++) {
        unsigned bit = n >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
    }
    for (unsigned len = 2; len <= n; len <<= 1) {
        for (unsigned i = 0; i < n; i += len) {
            for (unsigned k = 0; k < len / 2; k++) {
                double c = cosine[k * (n / len)], s = sign * sine[k * (n / len)];
                double *ar = &re[i + k], *br = ar + len / 2, *ai = &im[i + k], *bi = ai + len / 2;
                double tr = *br * c - *bi * s, ti = *br * s + *bi * c;
                *br = *ar - tr;
                *bi = *ai - ti;
                *ar += tr;
                *ai += ti;
            }
        }
    }
}

/* A number of 2^13 decimal digits in groups of four, squared again and again. */
uint64_t work_fft(unsigned rounds)
{
    enum { N = 4096, BASE = 10000 };
    double *re = calloc(4 * N, sizeof(double)), *im = re + N, *cosine = im + N, *sine = cosine + N;
    unsigned digit[N / 2];
    uint64_t sum = 0;
    double c = 1, s = 0;
    const double turn_c = 0.99999882345170190993, turn_s = 0.00153398018628476561;  /* of 2 pi / 4096 */

    for (unsigned i = 0; i < N; i++) {
        cosine[i] = c;
        sine[i] = s;
        double t = c * turn_c - s * turn_s;
        s = c * turn_s + s * turn_c;
        c = t;
    }
    for (unsigned i = 0; i < N / 2; i++) {
        digit[i] = (i * 7919 + 31) % BASE;
    }
    for (unsigned r = 0; r < rounds * 10; r++) {
        for (unsigned i = 0; i < N; i++) {
            re[i] = i < N / 2 ? digit[i] : 0;
            im[i] = 0;
        }
        fft(re, im, N, cosine, sine, 1);
        for (unsigned i = 0; i < N; i++) {
            double a = re[i], b = im[i];
            re[i] = a * a - b * b;
            im[i] = 2 * a * b;
        }
        fft(re, im, N, cosine, sine, -1);
        uint64_t carry = 0;
        for (unsigned i = 0; i < N / 2; i++) {
            carry += (uint64_t)(re[i] / N + 0.5);
            digit[i] = carry % BASE;
            carry /= BASE;
        }
        digit[0] |= 1;
        sum = work_mix(sum, (uint64_t)digit[7] << 32 | digit[N / 2 - 1]);
    }
    free(re);
    return sum;
}
