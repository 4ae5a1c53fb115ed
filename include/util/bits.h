/*
 * util/bits.h - little-endian loads and stores, and bit fields.  Any thread.
 */
#ifndef UTIL_BITS_H
#define UTIL_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t ld16le(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t ld32le(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t ld64le(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void st16le(void *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void st32le(void *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void st64le(void *p, uint64_t v) { memcpy(p, &v, 8); }
static inline uint16_t ld16be(const void *p) { return __builtin_bswap16(ld16le(p)); }
static inline uint32_t ld32be(const void *p) { return __builtin_bswap32(ld32le(p)); }
static inline void st16be(void *p, uint16_t v) { st16le(p, __builtin_bswap16(v)); }
static inline void st32be(void *p, uint32_t v) { st32le(p, __builtin_bswap32(v)); }

/* All ones in the low `n` bits, n from 0 to 64. */
static inline uint64_t mask64(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
