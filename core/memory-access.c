/*
 * Loads, stores and DMA through a flat view.
 */
#include <string.h>
#include "core/doorbell.h"
#include "core/loop.h"
#include "core/memory.h"
#include "memory-view.h"
#include "util/bits.h"
#include "util/log.h"

bool as_find(AddressSpace *as, hwaddr addr, MemSection *out)
{
    const MemView *v = atomic_load_explicit(&as->view, memory_order_acquire);
    size_t lo = 0, hi = v->count;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const MemSection *s = &v->sections[mid];
        if (addr < s->at) {
            hi = mid;
        } else if (addr - s->at >= s->len) {
            lo = mid + 1;
        } else {
            *out = *s;
            return true;
        }
    }
    return false;
}

/* ---- device registers ---- */

static uint64_t io_read(const Region *r, hwaddr off, unsigned size)
{
    unsigned most = r->ops->size_max ? r->ops->size_max : 8, least = MAX(r->ops->size_min, 1);
    uint64_t v = 0;

    if (!r->ops->read) {
        return mask64(8 * size);
    }
    if (size < least) {
        hwaddr down = off & ~(hwaddr)(least - 1);
        v = r->ops->read(r->dev, down, least) >> (8 * (off - down));
    } else {
        for (unsigned i = 0; i < size; i += MIN(size, most)) {
            v |= (r->ops->read(r->dev, off + i, MIN(size, most)) & mask64(8 * MIN(size, most))) << (8 * i);
        }
    }
    v &= mask64(8 * size);
    if (log_on(LOG_IO)) {
        log_printf("io: %s+%" PRIx64 " read%u %" PRIx64 "\n", r->name, off, size, v);
    }
    return v;
}

static void io_write(const Region *r, hwaddr off, uint64_t val, unsigned size)
{
    unsigned most = r->ops->size_max ? r->ops->size_max : 8, least = MAX(r->ops->size_min, 1);

    val &= mask64(8 * size);            /* a processor hands over its whole register */
    if (log_on(LOG_IO)) {
        log_printf("io: %s+%" PRIx64 " write%u %" PRIx64 "\n", r->name, off, size, val);
    }
    if (doorbell_hit(r, off, val, size)) {
        doorbell_ring(r->doorbell, 1);
        return;
    }
    if (!r->ops->write) {
        return;
    }
    if (size < least) {
        hwaddr down = off & ~(hwaddr)(least - 1);
        r->ops->write(r->dev, down, val << (8 * (off - down)), least);
        return;
    }
    for (unsigned i = 0; i < size; i += MIN(size, most)) {
        r->ops->write(r->dev, off + i, (val >> (8 * i)) & mask64(8 * MIN(size, most)), MIN(size, most));
    }
}

static void drop_code_flag(AddressSpace *as, const MemSection *s, hwaddr addr, hwaddr len)
{
    uint8_t *first = section_page_flags(s, addr), *last = section_page_flags(s, addr + len - 1);
    bool any = false;

    for (uint8_t *f = first; f <= last; f++) {
        if (__atomic_load_n(f, __ATOMIC_RELAXED) & RAM_PAGE_CODE) {
            __atomic_and_fetch(f, (uint8_t)~RAM_PAGE_CODE, __ATOMIC_RELAXED);
            any = true;
        }
    }
    if (any) {
        as_code_changed(as, addr, len);
    }
}

uint64_t section_load(AddressSpace *as, const MemSection *s, hwaddr addr, unsigned size)
{
    uint64_t v = 0;

    if (s->host) {
        memcpy(&v, s->host + (addr - s->at), size);
        return v;
    }
    loop_lock(as->loop);
    v = io_read(s->region, s->off + (addr - s->at), size);
    if (as->tap) {
        as->tap->loaded(as->tap, as, addr, size, v);
    }
    loop_unlock(as->loop);
    return v;
}

void section_store(AddressSpace *as, const MemSection *s, hwaddr addr, uint64_t val, unsigned size)
{
    if (s->readonly) {
        return;
    }
    if (s->host) {
        memcpy(s->host + (addr - s->at), &val, size);
        drop_code_flag(as, s, addr, size);
        return;
    }
    loop_lock(as->loop);
    if (as->tap) {
        as->tap->stored(as->tap, as, addr, size, val & mask64(8 * size));
    }
    io_write(s->region, s->off + (addr - s->at), val, size);
    loop_unlock(as->loop);
}

/* Bytes from addr that lie in one section, at most size. */
static unsigned piece(const MemSection *s, hwaddr addr, unsigned size)
{
    return MIN(s->at + s->len - addr, size);
}

uint64_t as_load(AddressSpace *as, hwaddr addr, unsigned size)
{
    MemSection s;
    uint64_t v = 0;

    if (as_find(as, addr, &s) && piece(&s, addr, size) == size) {
        return section_load(as, &s, addr, size);
    }
    for (unsigned i = 0; i < size; i++) {
        uint64_t byte = as_find(as, addr + i, &s) ? section_load(as, &s, addr + i, 1) : 0xff;
        v |= byte << (8 * i);
    }
    return v;
}

void as_store(AddressSpace *as, hwaddr addr, uint64_t val, unsigned size)
{
    MemSection s;

    if (as_find(as, addr, &s) && piece(&s, addr, size) == size) {
        section_store(as, &s, addr, val, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        if (as_find(as, addr + i, &s)) {
            section_store(as, &s, addr + i, (val >> (8 * i)) & 0xff, 1);
        }
    }
}

/* ---- DMA and the debugger ---- */

MemResult as_read(AddressSpace *as, hwaddr addr, void *buf, size_t len)
{
    MemResult worst = MEM_OK;
    uint8_t *to = buf;

    while (len) {
        MemSection s;
        bool found = as_find(as, addr, &s);
        size_t n = found ? MIN(s.at + s.len - addr, len) : 1;
        if (found && s.host) {
            memcpy(to, s.host + (addr - s.at), n);
        } else {
            memset(to, 0xff, n);
            worst = MEM_UNMAPPED;
        }
        addr += n;
        to += n;
        len -= n;
    }
    return worst;
}

static MemResult write_bytes(AddressSpace *as, hwaddr addr, const void *buf, size_t len, bool rom_too)
{
    MemResult worst = MEM_OK;
    const uint8_t *from = buf;

    while (len) {
        MemSection s;
        bool found = as_find(as, addr, &s);
        size_t n = found ? MIN(s.at + s.len - addr, len) : 1;
        if (!found || !s.host) {
            worst = MEM_UNMAPPED;
        } else if (s.readonly && !rom_too) {
            worst = worst == MEM_OK ? MEM_READONLY : worst;
        } else {
            memcpy(s.host + (addr - s.at), from, n);
            drop_code_flag(as, &s, addr, n);
            if (as->tap) {
                as->tap->written(as->tap, as, addr, from, n);
            }
        }
        addr += n;
        from += n;
        len -= n;
    }
    return worst;
}

MemResult as_write(AddressSpace *as, hwaddr addr, const void *buf, size_t len)
{
    return write_bytes(as, addr, buf, len, false);
}

MemResult as_write_rom(AddressSpace *as, hwaddr addr, const void *buf, size_t len)
{
    return write_bytes(as, addr, buf, len, true);
}

void *as_ram(AddressSpace *as, hwaddr addr, hwaddr *len, bool for_write)
{
    MemSection s;

    if (!as_find(as, addr, &s) || !s.host || (for_write && s.readonly)) {
        return NULL;
    }
    *len = MIN(*len, s.at + s.len - addr);
    return s.host + (addr - s.at);
}
