/*
 * What the IDE tests share: the chip set with a piix3-ide, disks made of files or of a driver that
 * fails on demand, and a host that talks to them by polling.
 */
#ifndef TESTS_DEVICE_IDE_HARNESS_H
#define TESTS_DEVICE_IDE_HARNESS_H

#include "block/block.h"
#include "hw/ide.h"
#include "pc_harness.h"
#include "util/handoff.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

enum { IDE_DEVFN = 1 << 3 | 1, BM_PORT = 0xc000, PRIMARY = 0x1f0, SECONDARY = 0x170 };
enum { BSY = 0x80, DRDY = 0x40, DF = 0x20, DSC = 0x10, DRQ = 0x08, ERR = 0x01, READY = DRDY | DSC };

/* A disk in memory that fails where it is told to, and can be held up. */
typedef struct TestDisk {
    uint8_t *bytes;
    uint64_t size;
    uint64_t bad_from, bad_to;      /* requests that touch this fail with `err` */
    int err, flush_err;
    GMutex lock;
    GCond cond;
    bool hold;                      /* requests wait until it is cleared */
    unsigned reads, writes, flushes;
} TestDisk;

static inline int test_disk_touch(TestDisk *d, uint64_t offset, size_t len)
{
    g_mutex_lock(&d->lock);
    handoff_take(&d->lock);
    while (d->hold) {
        handoff_give(&d->lock);
        g_cond_wait(&d->cond, &d->lock);
        handoff_take(&d->lock);
    }
    handoff_give(&d->lock);
    g_mutex_unlock(&d->lock);
    g_assert_cmpuint(offset + len, <=, d->size);
    return offset < d->bad_to && offset + len > d->bad_from ? d->err : 0;
}

static inline int test_disk_read(void *disk, uint64_t offset, void *buf, size_t len)
{
    TestDisk *d = disk;
    int err = test_disk_touch(d, offset, len);

    d->reads++;
    if (!err) {
        memcpy(buf, d->bytes + offset, len);
    }
    return err;
}

static inline int test_disk_write(void *disk, uint64_t offset, const void *buf, size_t len)
{
    TestDisk *d = disk;
    int err = test_disk_touch(d, offset, len);

    d->writes++;
    if (!err) {
        memcpy(d->bytes + offset, buf, len);
    }
    return err;
}

static inline int test_disk_flush(void *disk)
{
    TestDisk *d = disk;

    d->flushes++;
    return d->flush_err;
}

static const BlockDriver test_disk_driver = {
    .name = "test", .read = test_disk_read, .write = test_disk_write, .flush = test_disk_flush,
};

static inline void test_disk_init(TestDisk *d, uint64_t size)
{
    memset(d, 0, sizeof(*d));
    d->size = size;
    d->bytes = g_malloc(size);
    for (uint64_t i = 0; i < size; i++) {
        d->bytes[i] = (i >> 9) * 13 + (i & 511) * 7 + (i >> 17);
    }
}

static inline void test_disk_hold(TestDisk *d, bool hold)
{
    g_mutex_lock(&d->lock);
    handoff_take(&d->lock);
    d->hold = hold;
    g_cond_broadcast(&d->cond);
    handoff_give(&d->lock);
    g_mutex_unlock(&d->lock);
}

static inline void test_disk_fini(TestDisk *d)
{
    g_free(d->bytes);
}

/* ---- the machine ---- */

typedef struct IdeTest {
    Chipset c;
    Machine *m;
    TestDisk disk, disc;
    unsigned irqs[16];              /* rising edges of ISA lines */
} IdeTest;

static inline void count_irq(void *opaque, int pin, bool level)
{
    ((IdeTest *)opaque)->irqs[pin] += level;
}

static inline Block *test_block(IdeTest *t, TestDisk *d, bool readonly)
{
    return block_new(t->m->loop, &test_disk_driver, d, d->size, readonly, NULL);
}

static inline void ide_test_enable(IdeTest *t)
{
    config_out(t->m, IDE_DEVFN, 0x40, 0x80008000, 4);
    config_out(t->m, IDE_DEVFN, 0x20, BM_PORT, 4);
    config_out(t->m, IDE_DEVFN, 0x04, 5, 2);
}

/* A disk on ide.0 unit 0 of `disk_bytes` (0: none), a CD on ide.1 unit 0 of `disc_bytes` (0: empty). */
static inline void ide_test_init(IdeTest *t, uint64_t disk_bytes, uint64_t disc_bytes)
{
    GError *err = NULL;

    memset(t, 0, sizeof(*t));
    chipset_init(&t->c);
    t->m = t->c.m;
    test_disk_init(&t->disk, disk_bytes);
    test_disk_init(&t->disc, disc_bytes);
    g_assert_nonnull(device_make(t->m, "piix3-ide", NULL, &t->c.pci->bus, "addr=1.1", &err));
    for (unsigned n = 14; n < 16; n++) {
        irq_connect(&t->c.isa->irq[n], count_irq, t, n);
    }
    if (disk_bytes) {
        g_assert_nonnull(ide_add_drive(t->m, 0, false, test_block(t, &t->disk, false), 0, "hd", &err));
    }
    g_assert_nonnull(ide_add_drive(t->m, 2, true, disc_bytes ? test_block(t, &t->disc, true) : NULL, -1, "cd",
                                   &err));
    g_assert_no_error(err);
    machine_reset(t->m);
    ide_test_enable(t);
}

static inline void ide_test_fini(IdeTest *t)
{
    chipset_fini(&t->c);
    test_disk_fini(&t->disk);
    test_disk_fini(&t->disc);
}

static inline void run_loop(IdeTest *t, int64_t max_ns)
{
    machine_unlock(t->m);
    loop_run(t->m->loop, max_ns);
    machine_lock(t->m);
}

/* Poll the alternate status until BSY is clear: INTRQ stays. */
static inline uint8_t wait_ready(IdeTest *t, uint16_t base)
{
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t status = in(t->m, base + 0x206, 1);
        if (!(status & BSY)) {
            return status;
        }
        run_loop(t, 10 * NS_PER_MS);
    }
    g_assert_not_reached();
}

static inline void write_lba28(IdeTest *t, uint16_t base, unsigned unit, uint32_t lba, uint8_t count)
{
    out(t->m, base + 6, 0xe0 | unit << 4 | (lba >> 24 & 15), 1);
    out(t->m, base + 2, count, 1);
    out(t->m, base + 3, lba & 0xff, 1);
    out(t->m, base + 4, lba >> 8 & 0xff, 1);
    out(t->m, base + 5, lba >> 16 & 0xff, 1);
}

static inline uint8_t command(IdeTest *t, uint16_t base, uint8_t cmd)
{
    out(t->m, base + 7, cmd, 1);
    return wait_ready(t, base);
}

static inline void pio_in(IdeTest *t, uint16_t base, void *buf, size_t len, unsigned size)
{
    for (size_t i = 0; i < len; i += size) {
        uint32_t val = in(t->m, base, size);
        memcpy((uint8_t *)buf + i, &val, MIN(size, len - i));
    }
}

static inline void pio_out(IdeTest *t, uint16_t base, const void *buf, size_t len, unsigned size)
{
    for (size_t i = 0; i < len; i += size) {
        uint32_t val = 0;
        memcpy(&val, (const uint8_t *)buf + i, MIN(size, len - i));
        out(t->m, base, val, size);
    }
}

/* One descriptor table at 0x1000 for the memory at `addr`; the end bit in the last. */
static inline void put_prd(IdeTest *t, unsigned n, uint32_t addr, uint32_t count)
{
    uint32_t prd[2] = { addr, count };

    g_assert_cmpint(as_write(t->m->mem, 0x1000 + 8 * n, prd, 8), ==, MEM_OK);
}

static inline void start_dma(IdeTest *t, unsigned channel, bool to_memory)
{
    uint16_t bm = BM_PORT + 8 * channel;

    out(t->m, bm, 0, 1);
    out(t->m, bm + 2, 6, 1);
    out(t->m, bm + 4, 0x1000, 4);
    out(t->m, bm, 1 | (to_memory ? 8 : 0), 1);
}

#endif
