/*
 * accel/hash.c - what a machine's processors and memory are, as one number.
 */
#include "accel/accel.h"

#include <string.h>
#include "target/x86/fields.h"

enum { LANES = 8 };
#define MULTIPLIER 0x9e3779b97f4a7c15ull        /* odd, and half of its bits are set: any such will do */

/* Lanes that do not wait for each other: memory is large. */
static uint64_t hash_bytes(uint64_t h, const uint8_t *p, size_t len)
{
    uint64_t lane[LANES], tail = len;

    for (unsigned i = 0; i < LANES; i++) {
        lane[i] = h + i;
    }
    for (; len >= LANES * 8; p += LANES * 8, len -= LANES * 8) {
        for (unsigned i = 0; i < LANES; i++) {
            uint64_t v;
            memcpy(&v, p + i * 8, 8);
            lane[i] = (lane[i] ^ v) * MULTIPLIER;
            lane[i] ^= lane[i] >> 32;
        }
    }
    for (; len; p++, len--) {
        tail = (tail ^ *p) * MULTIPLIER;
    }
    for (unsigned i = 0; i < LANES; i++) {
        h = (h ^ lane[i]) * MULTIPLIER;
        h ^= h >> 29;
    }
    return (h ^ tail) * MULTIPLIER;
}

static void add_section(const MemSection *s, void *opaque)
{
    uint64_t *h = opaque;

    if (s->host) {
        *h = hash_bytes(*h ^ s->at, s->host, s->len);
    }
}

uint64_t accel_hash(Machine *m, bool memory_too)
{
    uint64_t h = 0xcbf29ce484222325;

    for (guint i = 0; i < m->vcpus->len; i++) {
        h = x86_hash(x86_cpu(g_ptr_array_index(m->vcpus, i)), h);
    }
    if (memory_too) {
        as_for_each(m->mem, add_section, &h);
    }
    return h;
}
