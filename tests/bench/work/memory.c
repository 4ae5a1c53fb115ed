/*
 * Work for the memory operands: copies, fills, scans, and a chain of pointers that fits no cache.
 */
#include <stdlib.h>
#include <string.h>
#include "work.h"

enum { AREA = 1 << 20 };

/* Pieces of all sizes; about 64 MiB a round. */
static uint64_t in_pieces(unsigned rounds, void (*piece)(uint8_t *area, unsigned at, unsigned size))
{
    uint8_t *area = malloc(2 * AREA);
    uint64_t sum = 0;

    memset(area, 1, 2 * AREA);
    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned size = 16; size <= AREA; size *= 4) {
            for (unsigned done = 0, at = r; done < 8 * AREA; done += size, at = at * 5 + 64) {
                piece(area, at & (AREA - size), size);
            }
        }
        area[r * 4099 & (AREA - 1)] = r;
        sum = work_mix(sum, area[AREA + (r * 4099 & (AREA - 1))] + area[r * 77 & (AREA - 1)]);
    }
    free(area);
    return sum;
}

static void copy(uint8_t *area, unsigned at, unsigned size)
{
    memcpy(area + AREA + at, area + at, size);
}

static void fill(uint8_t *area, unsigned at, unsigned size)
{
    memset(area + AREA + at, size >> 4, size);
}

uint64_t work_memcpy(unsigned rounds) { return in_pieces(rounds, copy); }

uint64_t work_memset(unsigned rounds) { return in_pieces(rounds, fill); }

uint64_t work_strings(unsigned rounds)
{
    char *text = malloc(AREA), *other = malloc(AREA);
    uint64_t sum = 0;

    memset(text, 'x', AREA);
    for (unsigned i = 99; i < AREA; i += 100 + i % 37) {
        text[i] = i % 3 ? '\n' : 0;
    }
    text[AREA - 1] = 0;
    memcpy(other, text, AREA);
    for (unsigned r = 0; r < rounds; r++) {
        for (char *p = text; p < text + AREA - 1; ) {
            size_t n = strlen(p);
            char *line = memchr(p, '\n', n);
            sum += n + (line ? line - p : 0) + (strcmp(p, other + (p - text)) == 0);
            sum += strchr(p, 'y') != NULL;
            p += n + 1;
        }
        sum = work_mix(sum, memcmp(text, other, AREA) == 0);
    }
    free(text);
    free(other);
    return sum;
}

/* One cycle through all cache lines, in no order that hardware foresees (Sattolo's shuffle). */
uint64_t work_chase(unsigned rounds)
{
    enum { LINES = 1 << 20, LINE = 64 / sizeof(uint32_t) };
    uint32_t *line = malloc((size_t)LINES * 64), *order = malloc(LINES * sizeof(*order)), seed = 99, at = 0;

    for (unsigned i = 0; i < LINES; i++) {
        order[i] = i;
    }
    for (unsigned i = LINES - 1; i > 0; i--) {
        unsigned k = work_random(&seed) % i;
        uint32_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    for (unsigned i = 0; i < LINES; i++) {
        line[(size_t)order[i] * LINE] = order[(i + 1) % LINES];
    }
    free(order);
    for (unsigned i = 0; i < rounds * (LINES / 2) + 12345; i++) {
        at = line[(size_t)at * LINE];
    }
    free(line);
    return at;
}
