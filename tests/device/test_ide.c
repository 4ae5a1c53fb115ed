/*
 * ATA disks and the PIIX3 bus master through their ports, against the bytes of the image.
 */
#include "ide_harness.h"
#include "util/bits.h"

enum { DISK = 4 << 20, SECTORS = DISK / 512 };

static uint8_t status(IdeTest *t)
{
    return in(t->m, PRIMARY + 7, 1);
}

static void test_identify(void)
{
    IdeTest t;
    uint8_t id[512], sum = 0;

    ide_test_init(&t, DISK, 0);
    out(t.m, PRIMARY + 6, 0xa0, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0xec), ==, READY | DRQ);
    g_assert_cmpuint(t.irqs[14], ==, 1);
    g_assert_cmphex(status(&t), ==, READY | DRQ);
    pio_in(&t, PRIMARY, id, 512, 2);
    g_assert_cmphex(status(&t), ==, READY);
    g_assert_cmpuint(t.irqs[14], ==, 1);                /* none after the last block */
    g_assert_cmpuint(ld32le(id + 120), ==, SECTORS);
    g_assert_cmpuint(ld64le(id + 200), ==, SECTORS);
    g_assert_cmpmem(id + 54, 16, "ITANOM UAHDRIDKS", 16);
    g_assert_cmphex(ld16le(id + 2 * 83) & 0xc000, ==, 0x4000);
    for (unsigned i = 0; i < 512; i++) {
        sum += id[i];
    }
    g_assert_cmpuint(sum, ==, 0);
    ide_test_fini(&t);
}

static void test_signature_and_absent_drives(void)
{
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, 1);
    g_assert_cmphex(in(t.m, PRIMARY + 2, 4), ==, 0x00000101);
    g_assert_cmphex(in(t.m, SECONDARY + 4, 2), ==, 0xeb14);
    g_assert_cmphex(in(t.m, SECONDARY + 7, 1), ==, 0);
    out(t.m, PRIMARY + 6, 0xb0, 1);                     /* drive 1 is not there: drive 0 answers for it */
    g_assert_cmphex(status(&t), ==, 0);
    g_assert_cmphex(command(&t, PRIMARY, 0xec), ==, 0);
    g_assert_cmpuint(t.irqs[14], ==, 0);
    g_assert_cmphex(in(t.m, PRIMARY, 2), ==, 0xffff);
    device_free(machine_find(t.m, "hd"));
    g_assert_cmphex(status(&t), ==, 0x7f);
    ide_test_fini(&t);
}

static void test_decode_follows_configuration(void)
{
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    config_out(t.m, IDE_DEVFN, 0x40, 0, 2);
    g_assert_cmphex(status(&t), ==, 0xff);
    g_assert_cmphex(in(t.m, SECONDARY + 2, 1), ==, 1);
    config_out(t.m, IDE_DEVFN, 0x40, 0x8000, 2);
    g_assert_cmphex(status(&t), ==, READY);
    config_out(t.m, IDE_DEVFN, 0x04, 4, 2);
    g_assert_cmphex(status(&t), ==, 0xff);
    g_assert_cmphex(in(t.m, BM_PORT + 4, 4), ==, 0xffffffff);
    ide_test_fini(&t);
}

/* ---- PIO ---- */

static void test_pio_read(void)
{
    static const struct { uint8_t cmd; unsigned block, size; } ways[] = {
        { 0x20, 1, 2 }, { 0x21, 1, 4 }, { 0xc4, 8, 2 },
    };
    IdeTest t;
    uint8_t buf[256 * 512];

    ide_test_init(&t, DISK, 0);
    out(t.m, PRIMARY + 2, 8, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0xc6), ==, READY);
    for (unsigned w = 0; w < G_N_ELEMENTS(ways); w++) {
        for (unsigned count = 1; count <= 256; count += count < 20 ? 6 : 79) {
            uint32_t lba = count * 31;
            unsigned blocks = (count + ways[w].block - 1) / ways[w].block;
            status(&t);
            unsigned irqs = t.irqs[14];
            write_lba28(&t, PRIMARY, 0, lba, count);
            command(&t, PRIMARY, ways[w].cmd);
            for (unsigned i = 0; i < count; i += ways[w].block) {
                g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY | DRQ);
                status(&t);
                pio_in(&t, PRIMARY, buf + i * 512, MIN(ways[w].block, count - i) * 512, ways[w].size);
            }
            g_assert_cmphex(status(&t), ==, READY);
            g_assert_cmpuint(t.irqs[14] - irqs, ==, blocks);
            g_assert_cmpmem(buf, count * 512, t.disk.bytes + lba * 512, count * 512);
        }
    }
    ide_test_fini(&t);
}

static void test_pio_write(void)
{
    static const struct { uint8_t cmd; unsigned block; } ways[] = { { 0x30, 1 }, { 0xc5, 16 } };
    IdeTest t;
    uint8_t *model, buf[256 * 512];

    ide_test_init(&t, DISK, 0);
    model = g_memdup2(t.disk.bytes, DISK);
    for (unsigned w = 0; w < G_N_ELEMENTS(ways); w++) {
        for (unsigned count = 1; count <= 256; count += 51) {
            uint32_t lba = 100 + count * 7 + w;
            for (unsigned i = 0; i < count * 512; i++) {
                buf[i] = i * 5 + count + w;
            }
            memcpy(model + lba * 512, buf, count * 512);
            write_lba28(&t, PRIMARY, 0, lba, count);
            unsigned irqs = t.irqs[14];
            g_assert_cmphex(command(&t, PRIMARY, ways[w].cmd), ==, READY | DRQ);
            g_assert_cmpuint(t.irqs[14], ==, irqs);     /* none before the first block */
            for (unsigned i = 0; i < count; i += ways[w].block) {
                g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY | DRQ);
                status(&t);
                pio_out(&t, PRIMARY, buf + i * 512, MIN(ways[w].block, count - i) * 512, 2);
            }
            g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY);
            g_assert_cmpuint(t.irqs[14] - irqs, ==, (count + ways[w].block - 1) / ways[w].block);
            status(&t);
        }
    }
    g_assert_cmpmem(t.disk.bytes, DISK, model, DISK);
    g_assert_cmpuint(t.disk.flushes, ==, 0);
    g_free(model);
    ide_test_fini(&t);
}

static void test_48_bit_and_chs(void)
{
    IdeTest t;
    uint8_t buf[512];

    ide_test_init(&t, DISK, 0);
    out(t.m, PRIMARY + 6, 0xe0, 1);
    static const uint8_t regs[] = { 2, 0, 2, 1, 3, 0, 3, 0x34, 4, 0, 4, 0x12, 5, 0, 5, 0 };
    for (unsigned i = 0; i < sizeof(regs); i += 2) {
        out(t.m, PRIMARY + regs[i], regs[i + 1], 1);
    }
    g_assert_cmphex(command(&t, PRIMARY, 0x24), ==, READY | DRQ);
    pio_in(&t, PRIMARY, buf, 512, 2);
    g_assert_cmpmem(buf, 512, t.disk.bytes + 0x1234 * 512, 512);
    out(t.m, 0x3f6, 0x80, 1);                           /* HOB */
    g_assert_cmphex(in(t.m, PRIMARY + 3, 1), ==, 0);
    out(t.m, PRIMARY + 2, 1, 1);                        /* any write takes HOB back */
    g_assert_cmphex(in(t.m, PRIMARY + 3, 1), ==, 0x34);

    out(t.m, PRIMARY + 2, 17, 1);                       /* 17 sectors, 4 heads */
    out(t.m, PRIMARY + 6, 0xa3, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0x91), ==, READY);
    out(t.m, PRIMARY + 2, 1, 1);
    out(t.m, PRIMARY + 3, 5, 1);
    out(t.m, PRIMARY + 4, 20, 1);
    out(t.m, PRIMARY + 5, 0, 1);
    out(t.m, PRIMARY + 6, 0xa2, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0x20), ==, READY | DRQ);
    pio_in(&t, PRIMARY, buf, 512, 2);
    g_assert_cmpmem(buf, 512, t.disk.bytes + ((20 * 4 + 2) * 17 + 4) * 512, 512);
    static const struct { uint8_t sector, device; } bad[] = { { 0, 0xa0 }, { 18, 0xa0 }, { 1, 0xa4 } };
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        out(t.m, PRIMARY + 3, bad[i].sector, 1);
        out(t.m, PRIMARY + 6, bad[i].device, 1);
        g_assert_cmphex(command(&t, PRIMARY, 0x20), ==, READY | ERR);
        g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, 0x10);
    }
    ide_test_fini(&t);
}

static void test_beyond_the_end(void)
{
    static const uint8_t commands[] = { 0x20, 0x30, 0xc8, 0xca, 0x40, 0xc4, 0x70 };
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    for (unsigned i = 0; i < sizeof(commands); i++) {
        write_lba28(&t, PRIMARY, 0, commands[i] == 0x70 ? SECTORS : SECTORS - 1, 2);
        g_assert_cmphex(command(&t, PRIMARY, commands[i]), ==, READY | ERR);
        g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, 0x10);
    }
    write_lba28(&t, PRIMARY, 0, SECTORS - 1, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0x40), ==, READY);
    g_assert_cmpuint(t.disk.writes, ==, 0);
    ide_test_fini(&t);
}

/* ---- DMA ---- */

static void dma_done(IdeTest *t, uint8_t master_status)
{
    wait_ready(t, PRIMARY);
    g_assert_cmphex(in(t->m, BM_PORT + 2, 1), ==, master_status);
    out(t->m, BM_PORT, 0, 1);
    out(t->m, BM_PORT + 2, 6, 1);
}

static void test_dma_both_ways(void)
{
    IdeTest t;
    uint8_t buf[256 * 512];

    ide_test_init(&t, DISK, 0);
    /* Pieces of odd sizes, the whole 64 KiB written as 0, and the rest */
    put_prd(&t, 0, 0x20000, 510);
    put_prd(&t, 1, 0x40002, 0);
    put_prd(&t, 2, 0x60000, (256 * 512 - 510 - 65536) | 0x80000000);
    write_lba28(&t, PRIMARY, 0, 77, 0);
    out(t.m, PRIMARY + 7, 0xc8, 1);
    start_dma(&t, 0, true);
    for (unsigned i = 0; i < 1000 && t.irqs[14] == 0; i++) {
        run_loop(&t, 10 * NS_PER_MS);
    }
    g_assert_cmpuint(t.irqs[14], ==, 1);
    dma_done(&t, 4);
    g_assert_cmphex(status(&t), ==, READY);
    as_read(t.m->mem, 0x20000, buf, 510);
    as_read(t.m->mem, 0x40002, buf + 510, 65536);
    as_read(t.m->mem, 0x60000, buf + 510 + 65536, sizeof(buf) - 510 - 65536);
    g_assert_cmpmem(buf, sizeof(buf), t.disk.bytes + 77 * 512, sizeof(buf));
    g_assert_cmpuint(t.disk.reads, ==, 1);              /* one request for all of it */

    write_lba28(&t, PRIMARY, 0, 3000, 0);               /* and back to another place */
    start_dma(&t, 0, false);                            /* the bus master may be started first */
    command(&t, PRIMARY, 0xca);
    dma_done(&t, 4);
    g_assert_cmpmem(buf, sizeof(buf), t.disk.bytes + 3000 * 512, sizeof(buf));
    ide_test_fini(&t);
}

static void test_a_long_dma_command(void)
{
    enum { COUNT = 2000 };
    IdeTest t;
    g_autofree uint8_t *buf = g_malloc(COUNT * 512);

    ide_test_init(&t, DISK, 0);
    for (unsigned i = 0; i < 16; i++) {
        put_prd(&t, i, 0x100000 + i * 0x10000, i == 15 ? (COUNT * 512 - 15 * 65536) | 0x80000000 : 0);
    }
    out(t.m, PRIMARY + 6, 0xe0, 1);
    static const uint8_t regs[] = { 2, COUNT >> 8, 2, COUNT & 255, 3, 0, 3, 9, 4, 0, 4, 1, 5, 0, 5, 0 };
    for (unsigned i = 0; i < sizeof(regs); i += 2) {
        out(t.m, PRIMARY + regs[i], regs[i + 1], 1);
    }
    out(t.m, PRIMARY + 7, 0x25, 1);
    start_dma(&t, 0, true);
    dma_done(&t, 4);
    as_read(t.m->mem, 0x100000, buf, COUNT * 512);
    g_assert_cmpmem(buf, COUNT * 512, t.disk.bytes + 0x109 * 512, COUNT * 512);
    ide_test_fini(&t);
}

static void test_hostile_descriptors(void)
{
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    /* Longer than the transfer: interrupt, and still active (SFF-8038i 3.1) */
    put_prd(&t, 0, 0x20000, 4096 | 0x80000000);
    write_lba28(&t, PRIMARY, 0, 0, 1);
    out(t.m, PRIMARY + 7, 0xc8, 1);
    start_dma(&t, 0, true);
    dma_done(&t, 5);
    /* Shorter: no interrupt, not active; the drive waits until it is reset, or the DMA goes on */
    unsigned irqs = t.irqs[14];
    status(&t);
    put_prd(&t, 0, 0x20000, 512 | 0x80000000);
    write_lba28(&t, PRIMARY, 0, 0, 4);
    out(t.m, PRIMARY + 7, 0xc8, 1);
    start_dma(&t, 0, true);
    dma_done(&t, 0);
    g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY | DRQ);
    g_assert_cmpuint(t.irqs[14], ==, irqs);
    out(t.m, 0x3f6, 4, 1);
    g_assert_cmphex(status(&t), ==, BSY);
    out(t.m, 0x3f6, 0, 1);
    g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY);
    /* To nowhere, to a device, from a table that is nowhere, with the direction wrong: an error bit */
    static const struct { uint32_t addr, table; bool to_memory; } bad[] = {
        { 0x8000000, 0x1000, true }, { 0x1ffe00, 0xfffffff8, true }, { 0x20000, 0x1000, false },
        { 0xfffffffe, 0x1000, true }, { 0x1fff00, 0x1000, true },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        put_prd(&t, 0, bad[i].addr, 0x10000 - 2);
        write_lba28(&t, PRIMARY, 0, 0, 8);
        out(t.m, PRIMARY + 7, 0xc8, 1);
        out(t.m, BM_PORT + 4, bad[i].table, 4);
        out(t.m, BM_PORT, bad[i].to_memory ? 9 : 1, 1);
        dma_done(&t, 2);
        out(t.m, 0x3f6, 4, 1);
        out(t.m, 0x3f6, 0, 1);
        wait_ready(&t, PRIMARY);
    }
    /* Bus mastering off */
    config_out(t.m, IDE_DEVFN, 0x04, 1, 2);
    put_prd(&t, 0, 0x20000, 0x80000200);
    write_lba28(&t, PRIMARY, 0, 0, 1);
    out(t.m, PRIMARY + 7, 0xc8, 1);
    start_dma(&t, 0, true);
    dma_done(&t, 2);
    ide_test_fini(&t);
}

/* ---- errors of the host ---- */

static void test_a_bad_sector_is_named(void)
{
    IdeTest t;
    uint8_t buf[512];

    ide_test_init(&t, DISK, 0);
    t.disk.err = -EIO;
    t.disk.bad_from = 1010 * 512;
    t.disk.bad_to = 1011 * 512;
    write_lba28(&t, PRIMARY, 0, 1000, 100);
    command(&t, PRIMARY, 0x20);
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY | DRQ);
        pio_in(&t, PRIMARY, buf, 512, 2);
        g_assert_cmpmem(buf, 512, t.disk.bytes + (1000 + i) * 512, 512);
    }
    g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY | ERR);
    g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, 0x40);
    g_assert_cmphex(in(t.m, PRIMARY + 3, 1) | in(t.m, PRIMARY + 4, 1) << 8, ==, 1010);
    put_prd(&t, 0, 0x20000, 0x80000000);
    write_lba28(&t, PRIMARY, 0, 1005, 100);
    out(t.m, PRIMARY + 7, 0xc8, 1);
    start_dma(&t, 0, true);
    dma_done(&t, 5);
    g_assert_cmphex(in(t.m, PRIMARY + 7, 1), ==, READY | ERR);
    g_assert_cmphex(in(t.m, PRIMARY + 3, 1) | in(t.m, PRIMARY + 4, 1) << 8, ==, 1010);
    as_read(t.m->mem, 0x20000 + 4 * 512, buf, 512);
    g_assert_cmpmem(buf, 512, t.disk.bytes + 1009 * 512, 512);
    write_lba28(&t, PRIMARY, 0, 1000, 100);
    g_assert_cmphex(command(&t, PRIMARY, 0x40), ==, READY | ERR);
    ide_test_fini(&t);
}

static void test_a_full_host_disk(void)
{
    IdeTest t;
    uint8_t buf[512] = { 0 };

    ide_test_init(&t, DISK, 0);
    t.disk.err = -ENOSPC;
    t.disk.bad_to = DISK;
    write_lba28(&t, PRIMARY, 0, 50, 1);
    command(&t, PRIMARY, 0x30);
    pio_out(&t, PRIMARY, buf, 512, 2);
    g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY | DF | ERR);
    g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, 0x04);
    t.disk.bad_to = 0;
    t.disk.flush_err = -EIO;
    g_assert_cmphex(command(&t, PRIMARY, 0xe7), ==, READY | DF | ERR);
    t.disk.flush_err = 0;
    g_assert_cmphex(command(&t, PRIMARY, 0xea), ==, READY);
    out(t.m, PRIMARY + 1, 0x82, 1);                     /* write cache off: each write is flushed */
    g_assert_cmphex(command(&t, PRIMARY, 0xef), ==, READY);
    unsigned flushes = t.disk.flushes;
    write_lba28(&t, PRIMARY, 0, 50, 1);
    command(&t, PRIMARY, 0x30);
    pio_out(&t, PRIMARY, buf, 512, 2);
    g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY);
    g_assert_cmpuint(t.disk.flushes, ==, flushes + 1);
    ide_test_fini(&t);
}

/* ---- resets ---- */

static void test_reset_during_a_request(void)
{
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    for (unsigned way = 0; way < 3; way++) {
        test_disk_hold(&t.disk, true);
        write_lba28(&t, PRIMARY, 0, 0, 8);
        out(t.m, PRIMARY + 7, 0x20, 1);
        g_assert_cmphex(in(t.m, 0x3f6, 1), ==, BSY);
        out(t.m, PRIMARY + 7, 0xec, 1);                 /* ignored: busy */
        unsigned irqs = t.irqs[14];
        if (way == 0) {
            out(t.m, 0x3f6, 4, 1);
            out(t.m, 0x3f6, 0, 1);
        } else if (way == 1) {
            out(t.m, PRIMARY + 7, 0x90, 1);
            irqs++;
        } else {
            machine_reset(t.m);
            ide_test_enable(&t);
        }
        g_assert_cmphex(in(t.m, 0x3f6, 1), ==, BSY);    /* until the old request is through */
        test_disk_hold(&t.disk, false);
        g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY);
        g_assert_cmpuint(t.irqs[14], ==, irqs);
        g_assert_cmphex(in(t.m, PRIMARY + 2, 4), ==, 0x00000101);
        g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, 1);
        g_assert_cmphex(in(t.m, PRIMARY, 2), ==, 0xffff);
        g_assert_cmphex(status(&t), ==, READY);
    }
    ide_test_fini(&t);
}

/* While SRST is held the registers are not the host's: drive 0 is selected after it, and busy if it was. */
static void test_registers_while_srst_is_held(void)
{
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    test_disk_hold(&t.disk, true);
    write_lba28(&t, PRIMARY, 0, 0, 8);
    out(t.m, PRIMARY + 7, 0x20, 1);
    out(t.m, 0x3f6, 4, 1);
    out(t.m, PRIMARY + 6, 0xb0, 1);
    out(t.m, PRIMARY + 2, 0x55, 1);
    out(t.m, PRIMARY + 7, 0x90, 1);
    out(t.m, 0x3f6, 0, 1);
    g_assert_cmphex(in(t.m, 0x3f6, 1), ==, BSY);
    test_disk_hold(&t.disk, false);
    g_assert_cmphex(wait_ready(&t, PRIMARY), ==, READY);
    g_assert_cmphex(in(t.m, PRIMARY + 6, 1) & 0x10, ==, 0);
    g_assert_cmphex(in(t.m, PRIMARY + 2, 4), ==, 0x00000101);
    g_assert_cmpuint(t.irqs[14], ==, 0);
    ide_test_fini(&t);
}

static void test_reset_during_a_transfer(void)
{
    IdeTest t;
    uint8_t buf[512];

    ide_test_init(&t, DISK, 0);
    write_lba28(&t, PRIMARY, 0, 0, 8);
    g_assert_cmphex(command(&t, PRIMARY, 0x20), ==, READY | DRQ);
    pio_in(&t, PRIMARY, buf, 100, 2);
    out(t.m, 0x3f6, 4, 1);
    out(t.m, 0x3f6, 0, 1);
    g_assert_cmphex(status(&t), ==, READY);
    g_assert_cmphex(in(t.m, PRIMARY, 4), ==, 0xffffffff);
    write_lba28(&t, PRIMARY, 0, 5, 1);                  /* and a new one is not confused by it */
    command(&t, PRIMARY, 0x20);
    pio_in(&t, PRIMARY, buf, 512, 2);
    g_assert_cmpmem(buf, 512, t.disk.bytes + 5 * 512, 512);
    test_disk_hold(&t.disk, true);
    write_lba28(&t, PRIMARY, 0, 5, 1);
    out(t.m, PRIMARY + 7, 0x20, 1);                     /* the machine goes while it is busy */
    test_disk_hold(&t.disk, false);
    ide_test_fini(&t);
}

/* ---- the other commands ---- */

static void test_interrupt_enable(void)
{
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    out(t.m, 0x3f6, 2, 1);
    out(t.m, PRIMARY + 6, 0xe0, 1);
    command(&t, PRIMARY, 0xe5);
    g_assert_cmpuint(t.irqs[14], ==, 0);
    out(t.m, 0x3f6, 0, 1);                              /* still pending: shows now */
    g_assert_cmpuint(t.irqs[14], ==, 1);
    in(t.m, 0x3f6, 1);
    g_assert_true(t.c.isa->irq[14].level);
    out(t.m, PRIMARY + 6, 0xf0, 1);                     /* another drive is selected */
    g_assert_false(t.c.isa->irq[14].level);
    out(t.m, PRIMARY + 6, 0xe0, 1);
    g_assert_true(t.c.isa->irq[14].level);
    status(&t);
    g_assert_false(t.c.isa->irq[14].level);
    ide_test_fini(&t);
}

static void test_small_commands(void)
{
    static const struct { uint8_t cmd, feature, count, status, error; } cases[] = {
        { 0x00, 0, 0, READY | ERR, 4 }, { 0x10, 0, 0, READY, 0 }, { 0x08, 0, 0, READY | ERR, 4 },
        { 0xc6, 0, 3, READY | ERR, 4 }, { 0xc6, 0, 32, READY | ERR, 4 }, { 0xc4, 0, 1, READY | ERR, 4 },
        { 0xc6, 0, 16, READY, 0 }, { 0xef, 3, 0x45, READY, 0 }, { 0xef, 3, 0x47, READY | ERR, 4 },
        { 0xef, 3, 0x22, READY, 0 }, { 0xef, 0x77, 0, READY | ERR, 4 }, { 0xef, 0xaa, 0, READY, 0 },
        { 0x91, 0, 0, READY | ERR, 4 }, { 0xa1, 0, 0, READY | ERR, 4 }, { 0xa0, 0, 0, READY | ERR, 4 },
        { 0xf5, 0, 0, READY | ERR, 4 }, { 0xff, 0, 0, READY | ERR, 4 }, { 0xe0, 0, 0, READY, 0 },
    };
    IdeTest t;

    ide_test_init(&t, DISK, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        out(t.m, PRIMARY + 6, 0xe0, 1);
        out(t.m, PRIMARY + 1, cases[i].feature, 1);
        out(t.m, PRIMARY + 2, cases[i].count, 1);
        unsigned irqs = t.irqs[14];
        g_assert_cmphex(command(&t, PRIMARY, cases[i].cmd), ==, cases[i].status);
        g_assert_cmphex(in(t.m, PRIMARY + 1, 1), ==, cases[i].error);
        g_assert_cmpuint(t.irqs[14], ==, irqs + 1);
        status(&t);
    }
    command(&t, PRIMARY, 0xe5);
    g_assert_cmphex(in(t.m, PRIMARY + 2, 1), ==, 0x00);     /* standby, from the last row */
    command(&t, PRIMARY, 0xe1);
    command(&t, PRIMARY, 0xe5);
    g_assert_cmphex(in(t.m, PRIMARY + 2, 1), ==, 0x80);
    command(&t, PRIMARY, 0xf8);
    g_assert_cmphex(in(t.m, PRIMARY + 3, 1) | in(t.m, PRIMARY + 4, 1) << 8, ==, SECTORS - 1);
    command(&t, PRIMARY, 0xe6);                             /* asleep: silent until a reset */
    status(&t);
    unsigned irqs = t.irqs[14];
    command(&t, PRIMARY, 0xec);
    g_assert_cmpuint(t.irqs[14], ==, irqs);
    out(t.m, 0x3f6, 4, 1);
    out(t.m, 0x3f6, 0, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0xec), ==, READY | DRQ);
    ide_test_fini(&t);
}

static void test_log_directory(void)
{
    IdeTest t;
    uint8_t buf[512];

    ide_test_init(&t, DISK, 0);
    write_lba28(&t, PRIMARY, 0, 0, 0);
    write_lba28(&t, PRIMARY, 0, 0, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0x2f), ==, READY | DRQ);
    pio_in(&t, PRIMARY, buf, 512, 2);
    g_assert_cmphex(ld32le(buf), ==, 1);
    write_lba28(&t, PRIMARY, 0, 0x30, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0x2f), ==, READY | ERR);
    ide_test_fini(&t);
}

static void test_smart(void)
{
    IdeTest t;
    uint8_t buf[512], sum = 0;

    ide_test_init(&t, DISK, 0);
    write_lba28(&t, PRIMARY, 0, 0xc24f00, 1);
    out(t.m, PRIMARY + 1, 0xd0, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0xb0), ==, READY | DRQ);
    pio_in(&t, PRIMARY, buf, 512, 2);
    for (unsigned i = 0; i < 512; i++) {
        sum += buf[i];
    }
    g_assert_cmpuint(sum, ==, 0);
    out(t.m, PRIMARY + 1, 0xda, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0xb0), ==, READY);
    g_assert_cmphex(in(t.m, PRIMARY + 4, 2), ==, 0xc24f);
    out(t.m, PRIMARY + 1, 0xd9, 1);
    command(&t, PRIMARY, 0xb0);
    out(t.m, PRIMARY + 1, 0xda, 1);
    g_assert_cmphex(command(&t, PRIMARY, 0xb0), ==, READY | ERR);
    ide_test_fini(&t);
}

/* ---- building one ---- */

static void refuse(IdeTest *t, unsigned index, bool cdrom, Block *b, const char *words)
{
    g_autoptr(GError) err = NULL;

    g_assert_null(ide_add_drive(t->m, index, cdrom, b, -1, NULL, &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, words)) {
        g_test_message("'%s' does not say '%s'", err->message, words);
        g_test_fail();
    }
}

static void test_what_the_board_asks(void)
{
    IdeTest t;
    uint32_t boot;
    GError *err = NULL;

    ide_test_init(&t, DISK, 0);
    refuse(&t, 0, true, NULL, "taken by 'hd'");
    refuse(&t, 1, false, NULL, "needs an image");
    refuse(&t, 1, false, test_block(&t, &t.disk, true), "must be writable");
    refuse(&t, 4, true, NULL, "no bus ide.2");
    g_autofree char *path = ide_boot_path(machine_find(t.m, "hd"), &boot);
    g_assert_cmpstr(path, ==, "/pci@i0cf8/ide@1,1/drive@0/disk@0");
    g_assert_cmpuint(boot, ==, 0);
    g_autofree char *cd_path = ide_boot_path(machine_find(t.m, "cd"), &boot);
    g_assert_cmpstr(cd_path, ==, "/pci@i0cf8/ide@1,1/drive@1/disk@0");
    g_assert_cmpuint(boot, ==, BOOT_INDEX_NONE);
    Device *d = device_make(t.m, "ide-cd", NULL, machine_find_bus(t.m, "ide.1"), "serial=XYZ", &err);
    g_assert_no_error(err);
    g_assert_cmpstr(block_drive_first(t.m)->id, ==, "hd");
    g_assert_nonnull(block_drive_find(t.m, d->id));
    g_assert_null(device_make(t.m, "ide-cd", NULL, machine_find_bus(t.m, "ide.1"), NULL, &err));
    g_clear_error(&err);
    device_free(d);
    g_assert_null(block_drive_find(t.m, "ide-cd.0"));
    ide_test_fini(&t);
}

static void test_state_survives(void)
{
    IdeTest a, b;
    uint8_t buf[1024];
    GError *err = NULL;

    ide_test_init(&a, DISK, 0);
    ide_test_init(&b, DISK, 0);
    write_lba28(&a, PRIMARY, 0, 20, 3);
    command(&a, PRIMARY, 0x20);
    pio_in(&a, PRIMARY, buf, 700, 2);
    for (unsigned i = 0; i < a.m->devices->len; i++) {
        Device *from = g_ptr_array_index(a.m->devices, i), *to = g_ptr_array_index(b.m->devices, i);
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        if (from->cls->state) {
            state_save(from->cls->state, from, bytes);
            g_assert_true(state_load(to->cls->state, to, bytes->data, bytes->len, &err));
        }
    }
    for (unsigned i = 0; i < b.m->devices->len; i++) {
        Device *d = g_ptr_array_index(b.m->devices, i);
        if (d->cls->settle) {
            d->cls->settle(d);
        }
    }
    pio_in(&b, PRIMARY, buf, 324, 2);
    g_assert_cmpmem(buf, 324, b.disk.bytes + 21 * 512 + 188, 324);
    g_assert_cmphex(wait_ready(&b, PRIMARY), ==, READY | DRQ);
    pio_in(&b, PRIMARY, buf, 512, 2);
    g_assert_cmpmem(buf, 512, b.disk.bytes + 22 * 512, 512);
    g_assert_cmphex(status(&b), ==, READY);
    ide_test_fini(&a);
    ide_test_fini(&b);
}

/* Whatever the guest writes where, nothing breaks, and a reset brings the disk back. */
static void test_random_accesses(void)
{
    IdeTest t;
    uint8_t buf[512];

    ide_test_init(&t, DISK, 1 << 20);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 400; i++) {
            static const uint16_t bases[] = { PRIMARY, SECONDARY, PRIMARY + 0x206, SECONDARY + 0x206,
                                              BM_PORT };
            unsigned which = g_test_rand_int_range(0, 5), size = 1 << g_test_rand_int_range(0, 3);
            uint16_t port = bases[which] + (which == 4 ? g_test_rand_int_range(0, 16)
                                          : which < 2 ? g_test_rand_int_range(0, 8) : 0);
            if (g_test_rand_int_range(0, 3)) {
                out(t.m, port, g_test_rand_int(), size);
            } else {
                in(t.m, port, size);
            }
            if (i % 32 == 0) {
                run_loop(&t, 0);
            }
        }
        for (unsigned channel = 0; channel < 2; channel++) {
            uint16_t base = channel ? SECONDARY : PRIMARY;
            out(t.m, base + 0x206, 4, 1);
            out(t.m, base + 0x206, 0, 1);
            wait_ready(&t, base);
        }
        ide_test_enable(&t);
        write_lba28(&t, PRIMARY, 0, round, 1);
        g_assert_cmphex(command(&t, PRIMARY, 0x20), ==, READY | DRQ);
        pio_in(&t, PRIMARY, buf, 512, 2);
        g_assert_cmpmem(buf, 512, t.disk.bytes + round * 512, 512);
    }
    ide_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ide/identify", test_identify);
    g_test_add_func("/ide/signature-and-absent-drives", test_signature_and_absent_drives);
    g_test_add_func("/ide/decode-follows-configuration", test_decode_follows_configuration);
    g_test_add_func("/ide/pio-read", test_pio_read);
    g_test_add_func("/ide/pio-write", test_pio_write);
    g_test_add_func("/ide/48-bit-and-chs", test_48_bit_and_chs);
    g_test_add_func("/ide/beyond-the-end", test_beyond_the_end);
    g_test_add_func("/ide/dma-both-ways", test_dma_both_ways);
    g_test_add_func("/ide/long-dma", test_a_long_dma_command);
    g_test_add_func("/ide/hostile-descriptors", test_hostile_descriptors);
    g_test_add_func("/ide/bad-sector", test_a_bad_sector_is_named);
    g_test_add_func("/ide/full-host-disk", test_a_full_host_disk);
    g_test_add_func("/ide/reset-during-request", test_reset_during_a_request);
    g_test_add_func("/ide/registers-while-srst-is-held", test_registers_while_srst_is_held);
    g_test_add_func("/ide/reset-during-transfer", test_reset_during_a_transfer);
    g_test_add_func("/ide/interrupt-enable", test_interrupt_enable);
    g_test_add_func("/ide/small-commands", test_small_commands);
    g_test_add_func("/ide/log-directory", test_log_directory);
    g_test_add_func("/ide/smart", test_smart);
    g_test_add_func("/ide/board", test_what_the_board_asks);
    g_test_add_func("/ide/state", test_state_survives);
    g_test_add_func("/ide/random", test_random_accesses);
    return g_test_run();
}
