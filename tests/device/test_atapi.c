/*
 * The CD-ROM drive through its ports: packets, their data by PIO and DMA, the medium.
 */
#include "ide_harness.h"
#include "util/bits.h"

enum { DISC = 3 << 20, BLOCKS = DISC / 2048 };
enum { PIO = 0, DMA = 1 };

static uint8_t status(IdeTest *t)
{
    return in(t->m, SECONDARY + 7, 1);
}

/* Give the drive a packet; returns its status when it wants something or is through. */
static uint8_t packet(IdeTest *t, unsigned feature, uint16_t limit, const uint8_t *bytes, unsigned n)
{
    uint8_t cdb[12] = { 0 };

    memcpy(cdb, bytes, n);
    out(t->m, SECONDARY + 6, 0xa0, 1);
    out(t->m, SECONDARY + 1, feature, 1);
    out(t->m, SECONDARY + 4, limit & 255, 1);
    out(t->m, SECONDARY + 5, limit >> 8, 1);
    out(t->m, SECONDARY + 7, 0xa0, 1);
    g_assert_cmphex(wait_ready(t, SECONDARY), ==, READY | DRQ);
    g_assert_cmphex(in(t->m, SECONDARY + 2, 1) & 3, ==, 1);     /* command, from the host */
    unsigned irqs = t->irqs[15];
    status(t);
    pio_out(t, SECONDARY, cdb, 12, 2);
    uint8_t s = wait_ready(t, SECONDARY);
    if (!(feature & DMA)) {
        g_assert_cmpuint(t->irqs[15], ==, irqs + 1);
    }
    return s;
}
#define PACKET(t, limit, ...) \
    packet(t, PIO, limit, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* All data of the command that has begun; returns how much, and checks each DRQ block. */
static unsigned take(IdeTest *t, uint8_t *buf, unsigned room, unsigned limit)
{
    unsigned len = 0;

    while (wait_ready(t, SECONDARY) == (READY | DRQ)) {
        unsigned n = in(t->m, SECONDARY + 4, 1) | in(t->m, SECONDARY + 5, 1) << 8;
        g_assert_cmphex(in(t->m, SECONDARY + 2, 1) & 3, ==, 2);
        g_assert_cmpuint(n, >, 0);
        g_assert_cmpuint(n, <=, limit);
        g_assert_cmpuint(len + n, <=, room);
        unsigned irqs = t->irqs[15];
        status(t);
        pio_in(t, SECONDARY, buf + len, n, 2);
        len += n;
        wait_ready(t, SECONDARY);
        g_assert_cmpuint(t->irqs[15], ==, irqs + 1);            /* next block, or the end */
    }
    g_assert_cmphex(in(t->m, SECONDARY + 2, 1) & 3, ==, 3);
    return len;
}

static void expect_sense(IdeTest *t, uint8_t key, uint8_t asc, uint8_t ascq)
{
    uint8_t sense[18];

    g_assert_cmphex(in(t->m, SECONDARY + 7, 1) & 0x89, ==, ERR);
    g_assert_cmphex(in(t->m, SECONDARY + 1, 1) >> 4, ==, key);
    PACKET(t, 18, 0x03, 0, 0, 0, 18);
    g_assert_cmpuint(take(t, sense, 18, 18), ==, 18);
    g_assert_cmphex(sense[2], ==, key);
    g_assert_cmphex(sense[12], ==, asc);
    g_assert_cmphex(sense[13], ==, ascq);
}

static unsigned ask(IdeTest *t, uint8_t *buf, unsigned room, const uint8_t *cdb, unsigned n)
{
    g_assert_cmphex(packet(t, PIO, 2048, cdb, n), ==, READY | DRQ);
    unsigned len = take(t, buf, room, 2048);
    g_assert_cmphex(status(t), ==, READY);
    return len;
}
#define ASK(t, buf, ...) \
    ask(t, buf, sizeof(buf), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void begin(IdeTest *t, uint64_t disc)
{
    ide_test_init(t, 0, disc);
    PACKET(t, 0, 0x00);
    expect_sense(t, 6, 0x29, 0);        /* the reset is told once */
}

static void test_identify_and_signature(void)
{
    IdeTest t;
    uint8_t id[512];

    ide_test_init(&t, 0, DISC);
    g_assert_cmphex(command(&t, SECONDARY, 0xec), ==, READY | ERR);
    g_assert_cmphex(in(t.m, SECONDARY + 1, 1), ==, 4);
    g_assert_cmphex(in(t.m, SECONDARY + 4, 2), ==, 0xeb14);
    g_assert_cmphex(command(&t, SECONDARY, 0xa1), ==, READY | DRQ);
    unsigned irqs = t.irqs[15];
    pio_in(&t, SECONDARY, id, 512, 2);
    g_assert_cmphex(status(&t), ==, READY);
    g_assert_cmpuint(t.irqs[15], ==, irqs);
    g_assert_cmphex(ld16le(id), ==, 0x85c0);
    g_assert_cmpmem(id + 54, 14, "ITANOM UDCR-MO", 14);
    out(t.m, SECONDARY + 7, 0x08, 1);                   /* DEVICE RESET */
    g_assert_cmphex(status(&t), ==, 0);
    g_assert_cmphex(in(t.m, SECONDARY + 4, 2), ==, 0xeb14);
    ide_test_fini(&t);
}

static void test_read_by_pio(void)
{
    static const uint16_t limits[] = { 2048, 0xfffe, 0xffff, 512, 3, 4099 };
    IdeTest t;
    g_autofree uint8_t *buf = g_malloc(DISC);

    begin(&t, DISC);
    for (unsigned i = 0; i < G_N_ELEMENTS(limits); i++) {
        unsigned lba = 7 * i, n = limits[i] < 512 ? 1 : i == 1 ? 150 : 20;
        uint8_t cdb[] = { i & 1 ? 0xa8 : 0x28, 0, 0, 0, 0, lba, 0, 0, n, 0, 0, 0 };
        if (i & 1) {
            cdb[8] = 0;
            cdb[9] = n;
        }
        g_assert_cmphex(packet(&t, PIO, limits[i], cdb, 12), ==, READY | DRQ);
        g_assert_cmpuint(take(&t, buf, DISC, limits[i]), ==, n * 2048);
        g_assert_cmpmem(buf, n * 2048, t.disc.bytes + lba * 2048, n * 2048);
    }
    unsigned reads = t.disc.reads;
    PACKET(&t, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 64);
    take(&t, buf, DISC, 2048);
    g_assert_cmpuint(t.disc.reads, ==, reads + 1);      /* read ahead as one request */
    g_assert_cmphex(PACKET(&t, 2048, 0x28, 0, 0, 0, 0, 5), ==, READY);      /* no blocks is no error */
    ide_test_fini(&t);
}

static void test_read_by_dma(void)
{
    IdeTest t;
    uint8_t *buf = g_malloc(200 * 2048);
    const uint8_t cdb[] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 200, 0, 0, 0 };

    begin(&t, DISC);
    for (unsigned i = 0; i < 7; i++) {
        put_prd(&t, i, 0x100000 + i * 0x10000, i == 6 ? (200 * 2048 - 6 * 65536) | 0x80000000 : 0);
    }
    start_dma(&t, 1, true);
    unsigned irqs = t.irqs[15];
    packet(&t, DMA, 0, cdb, 12);
    while (t.irqs[15] == irqs) {
        run_loop(&t, 10 * NS_PER_MS);
    }
    g_assert_cmpuint(t.irqs[15], ==, irqs + 1);
    g_assert_cmphex(in(t.m, BM_PORT + 10, 1), ==, 4);
    g_assert_cmphex(in(t.m, SECONDARY + 2, 1) & 3, ==, 3);
    g_assert_cmphex(status(&t), ==, READY);
    as_read(t.m->mem, 0x100000, buf, 200 * 2048);
    g_assert_cmpmem(buf, 200 * 2048, t.disc.bytes + 9 * 2048, 200 * 2048);
    out(t.m, BM_PORT + 8, 0, 1);
    put_prd(&t, 0, 0x20000, 36 | 0x80000000);           /* small answers go by DMA as well */
    start_dma(&t, 1, true);
    packet(&t, DMA, 0, (const uint8_t[]){ 0x12, 0, 0, 0, 36 }, 5);
    wait_ready(&t, SECONDARY);
    as_read(t.m->mem, 0x20000, buf, 36);
    g_assert_cmpmem(buf + 8, 8, "TINAMOU ", 8);
    g_free(buf);
    ide_test_fini(&t);
}

static void test_read_cd(void)
{
    IdeTest t;
    uint8_t buf[3 * 2352];

    begin(&t, DISC);
    g_assert_cmpuint(ASK(&t, buf, 0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0x10), ==, 4096);
    g_assert_cmpmem(buf, 4096, t.disc.bytes + 20 * 2048, 4096);
    g_assert_cmpuint(ASK(&t, buf, 0xbe, 0, 0, 0, 0x02, 0xee, 0, 0, 3, 0xf8), ==, 3 * 2352);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *raw = buf + i * 2352;
        g_assert_cmpmem(raw, 12, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0", 12);
        g_assert_cmphex(ld32be(raw + 12), ==, 0x00120001u + (i << 8));      /* 750 + 150 frames: 0:12.00 */
        g_assert_cmpmem(raw + 16, 2048, t.disc.bytes + (750 + i) * 2048, 2048);
    }
    g_assert_cmpuint(ASK(&t, buf, 0xb9, 0, 0, 0, 2, 30, 0, 2, 31, 0x10), ==, 2048);
    g_assert_cmpmem(buf, 2048, t.disc.bytes + 30 * 2048, 2048);
    PACKET(&t, 2048, 0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0x50);
    expect_sense(&t, 5, 0x24, 0);
    g_assert_cmphex(PACKET(&t, 2048, 0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0), ==, READY);
    ide_test_fini(&t);
}

static void test_what_is_refused(void)
{
    static const struct { uint8_t cdb[12], key, asc; } cases[] = {
        { { 0x28, 0, 0, 0, BLOCKS >> 8, BLOCKS & 255, 0, 0, 1 }, 5, 0x21 },
        { { 0x28, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 5, 0x21 },
        { { 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 }, 5, 0x21 },
        { { 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff }, 5, 0x21 },
        { { 0xbe, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10 }, 5, 0x21 },
        { { 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, 0x10 }, 5, 0x24 },
        { { 0xb9, 0, 0, 9, 9, 9, 1, 1, 1, 0x10 }, 5, 0x24 },
        { { 0x2b, 0, 0xff }, 5, 0x21 },
        { { 0xff }, 5, 0x20 },
        { { 0x45 }, 5, 0x20 },
        { { 0x5a, 0, 0xc1, 0, 0, 0, 0, 0, 99 }, 5, 0x39 },
        { { 0x5a, 0, 0x05, 0, 0, 0, 0, 0, 99 }, 5, 0x24 },
        { { 0x43, 0, 3, 0, 0, 0, 0, 0, 99 }, 5, 0x24 },
        { { 0x43, 0, 0, 0, 0, 0, 9, 0, 99 }, 5, 0x24 },
        { { 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8 }, 5, 0x24 },
        { { 0x46, 3 }, 5, 0x24 },
        { { 0x51, 1 }, 5, 0x24 },
        { { 0x42, 0, 0x40, 9, 0, 0, 0, 0, 99 }, 5, 0x24 },
        { { 0x55, 1, 0, 0, 0, 0, 0, 0, 16 }, 5, 0x24 },
        { { 0x55, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 5, 0x24 },
    };
    IdeTest t;

    begin(&t, DISC);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        packet(&t, PIO, 2048, cases[i].cdb, 12);
        expect_sense(&t, cases[i].key, cases[i].asc, 0);
    }
    PACKET(&t, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);        /* a byte count limit that fits nothing */
    expect_sense(&t, 5, 0x24, 0);
    PACKET(&t, 1, 0x12, 0, 0, 0, 36);
    expect_sense(&t, 5, 0x24, 0);
    out(t.m, SECONDARY + 1, 2, 1);                      /* overlapped */
    g_assert_cmphex(command(&t, SECONDARY, 0xa0), ==, READY | ERR);
    g_assert_cmpuint(t.disc.reads, ==, 0);
    ide_test_fini(&t);
}

static void test_read_errors(void)
{
    IdeTest t;
    g_autofree uint8_t *buf = g_malloc(DISC);

    begin(&t, DISC);
    t.disc.err = -EIO;
    t.disc.bad_from = 12 * 2048;
    t.disc.bad_to = 13 * 2048;
    PACKET(&t, 2048, 0x28, 0, 0, 0, 0, 10, 0, 0, 20);
    g_assert_cmpuint(take(&t, buf, DISC, 2048), ==, 2 * 2048);
    g_assert_cmpmem(buf, 4096, t.disc.bytes + 10 * 2048, 4096);
    expect_sense(&t, 3, 0x11, 0);
    ide_test_fini(&t);
}

static void test_information(void)
{
    IdeTest t;
    uint8_t buf[512];

    begin(&t, DISC);
    g_assert_cmpuint(ASK(&t, buf, 0x12, 0, 0, 0, 36), ==, 36);
    g_assert_cmphex(buf[0], ==, 5);
    g_assert_cmpmem(buf + 8, 22, "TINAMOU TINAMOU CD-ROM", 22);
    g_assert_cmpuint(ASK(&t, buf, 0x12, 0, 0, 0, 5), ==, 5);
    g_assert_cmpuint(ASK(&t, buf, 0x25), ==, 8);
    g_assert_cmpuint(ld32be(buf), ==, BLOCKS - 1);
    g_assert_cmpuint(ld32be(buf + 4), ==, 2048);
    g_assert_cmpuint(ASK(&t, buf, 0x43, 0, 0, 0, 0, 0, 0, 2, 0), ==, 20);
    g_assert_cmpuint(ld16be(buf), ==, 18);
    g_assert_cmpuint(ld32be(buf + 8), ==, 0);
    g_assert_cmphex(buf[14], ==, 0xaa);
    g_assert_cmpuint(ld32be(buf + 16), ==, BLOCKS);
    g_assert_cmpuint(ASK(&t, buf, 0x43, 2, 0, 0, 0, 0, 0xaa, 2, 0), ==, 12);
    g_assert_cmphex(ld32be(buf + 8), ==, (BLOCKS + 150) / 75 << 8 | (BLOCKS + 150) % 75);
    g_assert_cmpuint(ASK(&t, buf, 0x43, 0, 0, 0, 0, 0, 0, 2, 0, 0x40), ==, 12);     /* SFF-8020i's place */
    g_assert_cmpuint(ASK(&t, buf, 0x43, 0, 1, 0, 0, 0, 0, 2, 0), ==, 12);
    g_assert_cmpuint(ASK(&t, buf, 0x43, 0, 2, 0, 0, 0, 0, 2, 0), ==, 48);
    g_assert_cmphex(buf[4 + 2 * 11 + 3], ==, 0xa2);
    g_assert_cmpuint(ASK(&t, buf, 0x51, 0, 0, 0, 0, 0, 0, 2, 0), ==, 34);
    g_assert_cmpuint(ASK(&t, buf, 0x42, 0, 0x40, 1, 0, 0, 0, 2, 0), ==, 16);
    g_assert_cmpuint(ASK(&t, buf, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), ==, 8);
    g_assert_cmpuint(ASK(&t, buf, 0x46, 0, 0, 0, 0, 0, 0, 2, 0), ==, 8 + 12 + 8 + 8 + 12 + 4 + 4);
    g_assert_cmphex(ld16be(buf + 6), ==, 8);
    g_assert_cmpuint(ASK(&t, buf, 0x46, 2, 0, 0x1e, 0, 0, 0, 2, 0), ==, 12);
    g_assert_cmpuint(ASK(&t, buf, 0x46, 1, 0, 0x10, 0, 0, 0, 2, 0), ==, 8 + 12 + 4);
    ide_test_fini(&t);
}

static void test_modes(void)
{
    IdeTest t;
    uint8_t buf[512], list[20] = { 0 };

    begin(&t, DISC);
    g_assert_cmpuint(ASK(&t, buf, 0x5a, 0, 0x2a, 0, 0, 0, 0, 2, 0), ==, 30);
    g_assert_cmphex(buf[8], ==, 0x2a);
    g_assert_cmphex(buf[14], ==, 0x29);
    g_assert_cmpuint(ASK(&t, buf, 0x5a, 0, 0x3f, 0, 0, 0, 0, 2, 0), ==, 8 + 12 + 16 + 22);
    g_assert_cmpuint(ASK(&t, buf, 0x1a, 0, 0x01, 0, 255), ==, 16);
    g_assert_cmpuint(ASK(&t, buf, 0x5a, 0, 0x4e, 0, 0, 0, 0, 2, 0), ==, 24);    /* changeable bits */
    g_assert_cmphex(buf[10], ==, 0xff);
    list[8] = 0x01;
    list[9] = 10;
    list[11] = 77;
    g_assert_cmphex(PACKET(&t, 2048, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 20), ==, READY | DRQ);
    g_assert_cmphex(in(t.m, SECONDARY + 2, 1) & 3, ==, 0);
    g_assert_cmphex(in(t.m, SECONDARY + 4, 2), ==, 20);
    pio_out(&t, SECONDARY, list, 20, 2);
    g_assert_cmphex(wait_ready(&t, SECONDARY), ==, READY);
    ASK(&t, buf, 0x5a, 0, 0x01, 0, 0, 0, 0, 2, 0);
    g_assert_cmphex(buf[11], ==, 77);
    list[9] = 200;                                      /* longer than the list */
    PACKET(&t, 2048, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 20);
    pio_out(&t, SECONDARY, list, 20, 2);
    wait_ready(&t, SECONDARY);
    expect_sense(&t, 5, 0x26, 0);
    ide_test_fini(&t);
}

/* ---- the tray and the disc ---- */

static void test_no_medium(void)
{
    static const uint8_t needs[] = { 0x00, 0x25, 0x28, 0x2b, 0x42, 0x43, 0x51, 0xa8, 0xb9, 0xbe };
    IdeTest t;
    uint8_t buf[64];

    begin(&t, 0);
    for (unsigned i = 0; i < sizeof(needs); i++) {
        PACKET(&t, 2048, needs[i]);
        expect_sense(&t, 2, 0x3a, 1);
    }
    ASK(&t, buf, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(buf[4], ==, 0);
    g_assert_cmphex(buf[5], ==, 0);
    ASK(&t, buf, 0x46, 0, 0, 0, 0, 0, 0, 0, 8);
    g_assert_cmphex(ld16be(buf + 6), ==, 0);
    g_assert_cmphex(PACKET(&t, 2048, 0x1b, 0, 0, 0, 2), ==, READY);     /* opens */
    PACKET(&t, 2048, 0x00);
    expect_sense(&t, 2, 0x3a, 2);
    ide_test_fini(&t);
}

static void test_guest_ejects(void)
{
    IdeTest t;
    uint8_t buf[64];

    begin(&t, DISC);
    ASK(&t, buf, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(buf[4], ==, 2);                     /* there since power-on */
    PACKET(&t, 0, 0x1e, 0, 0, 0, 1);
    PACKET(&t, 0, 0x1b, 0, 0, 0, 2);
    expect_sense(&t, 5, 0x53, 2);
    PACKET(&t, 0, 0x1e, 0, 0, 0, 0);
    g_assert_cmphex(PACKET(&t, 0, 0x1b, 0, 0, 0, 2), ==, READY);
    ASK(&t, buf, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(buf[4], ==, 3);
    g_assert_cmphex(buf[5], ==, 1);
    PACKET(&t, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    expect_sense(&t, 2, 0x3a, 2);
    g_assert_cmphex(PACKET(&t, 0, 0x1b, 0, 0, 0, 3), ==, READY);
    PACKET(&t, 0, 0x00);
    expect_sense(&t, 6, 0x28, 0);
    g_assert_cmphex(PACKET(&t, 0, 0x00), ==, READY);
    ide_test_fini(&t);
}

static void test_user_changes_the_disc(void)
{
    IdeTest t;
    TestDisk other;
    GError *err = NULL;
    uint8_t buf[2048];
    g_autoptr(GError) why = NULL;

    begin(&t, DISC);
    test_disk_init(&other, 1 << 20);
    BlockDrive *d = block_drive_find(t.m, "cd");
    g_assert_true(d->removable && d->cdrom && d->medium);
    PACKET(&t, 0, 0x1e, 0, 0, 0, 1);
    g_assert_true(d->locked(d));
    g_assert_false(d->change(d, NULL, false, &why));
    g_assert_nonnull(strstr(why->message, "locked"));
    ASK(&t, buf, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(buf[4], ==, 1);                     /* the button was pressed */
    PACKET(&t, 0, 0x1e, 0, 0, 0, 0);
    g_assert_true(d->change(d, NULL, false, &err));
    PACKET(&t, 0, 0x00);
    expect_sense(&t, 2, 0x3a, 1);
    g_assert_true(d->change(d, test_block(&t, &other, true), false, &err));
    ASK(&t, buf, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(buf[4], ==, 2);
    PACKET(&t, 0, 0x25);
    expect_sense(&t, 6, 0x28, 0);
    ASK(&t, buf, 0x25);
    g_assert_cmpuint(ld32be(buf), ==, (1 << 20) / 2048 - 1);
    ASK(&t, buf, 0x28, 0, 0, 0, 0, 5, 0, 0, 1);
    g_assert_cmpmem(buf, 2048, other.bytes + 5 * 2048, 2048);
    ide_test_fini(&t);
    test_disk_fini(&other);
}

static void test_change_under_a_read(void)
{
    IdeTest t;
    TestDisk other;
    GError *err = NULL;
    g_autofree uint8_t *buf = g_malloc(DISC);

    begin(&t, DISC);
    test_disk_init(&other, 1 << 20);
    BlockDrive *d = block_drive_find(t.m, "cd");
    for (unsigned way = 0; way < 3; way++) {
        PACKET(&t, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 200);
        pio_in(&t, SECONDARY, buf, 2048, 2);
        g_assert_true(
            d->change(d, way == 1 ? NULL : test_block(&t, way ? &t.disc : &other, true), true, &err));
        take(&t, buf, DISC, 2048);                      /* what was read ahead, then no more */
        if (way == 1) {
            expect_sense(&t, 2, 0x3a, 1);
            g_assert_true(d->change(d, test_block(&t, &t.disc, true), true, &err));
            PACKET(&t, 0, 0x00);
            expect_sense(&t, 6, 0x28, 0);
        } else {
            expect_sense(&t, 6, 0x28, 0);
        }
    }
    ide_test_fini(&t);
    test_disk_fini(&other);
}

static void test_reset_during_a_read(void)
{
    IdeTest t;

    begin(&t, DISC);
    test_disk_hold(&t.disc, true);
    out(t.m, SECONDARY + 6, 0xa0, 1);
    out(t.m, SECONDARY + 1, 0, 1);
    out(t.m, SECONDARY + 4, 0x0800, 2);
    out(t.m, SECONDARY + 7, 0xa0, 1);
    static const uint8_t cdb[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 9 };
    pio_out(&t, SECONDARY, cdb, 12, 2);
    g_assert_cmphex(status(&t), ==, BSY);
    unsigned irqs = t.irqs[15];
    out(t.m, SECONDARY + 7, 0x08, 1);                   /* DEVICE RESET is heard even now */
    g_assert_cmphex(status(&t), ==, BSY);
    test_disk_hold(&t.disc, false);
    g_assert_cmphex(wait_ready(&t, SECONDARY), ==, 0);
    g_assert_cmpuint(t.irqs[15], ==, irqs);
    g_assert_cmphex(in(t.m, SECONDARY + 4, 2), ==, 0xeb14);
    g_assert_cmphex(PACKET(&t, 0, 0x00), ==, READY);
    ide_test_fini(&t);
}

/* Any packet, taken or given as it comes, leaves a drive that answers. */
static void test_random_packets(void)
{
    IdeTest t;

    begin(&t, DISC);
    for (unsigned i = 0; i < 1500; i++) {
        static const uint8_t known[] = { 0x00, 0x03, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x42,
                                         0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a, 0xa8, 0xb9, 0xbb, 0xbd, 0xbe };
        uint8_t cdb[12], data[2048];
        for (unsigned j = 0; j < 12; j++) {
            cdb[j] = g_test_rand_int_range(0, 3) ? 0 : g_test_rand_int();
        }
        cdb[0] =
            g_test_rand_int_range(0, 8) ? known[g_test_rand_int_range(0, sizeof(known))] : g_test_rand_int();
        memset(data, g_test_rand_int(), sizeof(data));
        out(t.m, SECONDARY + 6, 0xa0, 1);
        out(t.m, SECONDARY + 1, g_test_rand_int_range(0, 6) == 0, 1);
        out(t.m, SECONDARY + 4, g_test_rand_int() & 0xffff, 2);
        out(t.m, SECONDARY + 7, 0xa0, 1);
        pio_out(&t, SECONDARY, cdb, 12, 2);
        for (unsigned j = 0; j < 6; j++) {
            uint8_t s = wait_ready(&t, SECONDARY);
            if (!(s & DRQ)) {
                break;
            }
            pio_in(&t, SECONDARY, data, g_test_rand_int_range(0, 2048), 2);
            pio_out(&t, SECONDARY, data, g_test_rand_int_range(0, 2048), 4);
        }
        out(t.m, SECONDARY + 7, 0x08, 1);
        g_assert_cmphex(wait_ready(&t, SECONDARY), ==, 0);
        g_assert_cmphex(PACKET(&t, 36, 0x12, 0, 0, 0, 36), ==, READY | DRQ);
        g_assert_cmpuint(take(&t, data, 36, 36), ==, 36);
    }
    ide_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/atapi/identify", test_identify_and_signature);
    g_test_add_func("/atapi/read-by-pio", test_read_by_pio);
    g_test_add_func("/atapi/read-by-dma", test_read_by_dma);
    g_test_add_func("/atapi/read-cd", test_read_cd);
    g_test_add_func("/atapi/refused", test_what_is_refused);
    g_test_add_func("/atapi/read-errors", test_read_errors);
    g_test_add_func("/atapi/information", test_information);
    g_test_add_func("/atapi/modes", test_modes);
    g_test_add_func("/atapi/no-medium", test_no_medium);
    g_test_add_func("/atapi/guest-ejects", test_guest_ejects);
    g_test_add_func("/atapi/user-changes", test_user_changes_the_disc);
    g_test_add_func("/atapi/change-under-a-read", test_change_under_a_read);
    g_test_add_func("/atapi/reset-during-a-read", test_reset_during_a_read);
    g_test_add_func("/atapi/random", test_random_packets);
    return g_test_run();
}
