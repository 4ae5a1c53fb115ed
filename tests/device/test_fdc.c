/*
 * The floppy controller through its ports and the 8237's, against the bytes of the image.
 */
#include "ide_harness.h"

enum { IMAGE = 1440 * 1024, DMA_AT = 0x20000 };
enum { MSR_READY = 0x80, MSR_RESULT = 0xd0, MSR_IN = 0xf0, MSR_OUT = 0xb0 };

typedef struct FdcTest {
    IdeTest t;                      /* its run_loop() and disks; no IDE in it */
    Machine *m;
    Device *fdc;
    Block *b;
} FdcTest;

static void fdc_init(FdcTest *f, uint64_t size, bool readonly)
{
    GError *err = NULL;

    memset(f, 0, sizeof(*f));
    chipset_init(&f->t.c);
    f->m = f->t.m = f->t.c.m;
    g_assert_nonnull(device_make(f->m, "i8237", NULL, &f->t.c.isa->bus, NULL, &err));
    f->fdc = device_new(f->m, "isa-fdc", NULL, &err);
    g_assert_no_error(err);
    if (size) {
        test_disk_init(&f->t.disk, size);
        f->b = test_block(&f->t, &f->t.disk, readonly);
        device_set_ptr(f->fdc, "driveA", f->b);
    }
    g_assert_true(device_realize(f->fdc, &f->t.c.isa->bus, &err));
    irq_connect(&f->t.c.isa->irq[6], count_irq, &f->t, 6);
    machine_reset(f->m);
    out(f->m, 0x3f2, 0x1c, 1);
    clock_step(f->m->clock, NS_PER_MS);
    g_assert_cmpuint(f->t.irqs[6], ==, 1);
}

static void fdc_fini(FdcTest *f)
{
    chipset_fini(&f->t.c);
    test_disk_fini(&f->t.disk);
}

static uint8_t msr(FdcTest *f)
{
    return in(f->m, 0x3f4, 1);
}

static void put(FdcTest *f, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(msr(f) & 0xc0, ==, MSR_READY);
        out(f->m, 0x3f5, bytes[i], 1);
    }
}
#define PUT(f, ...) put(f, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Time passes and block requests are served until the controller wants something. */
static uint8_t settle(FdcTest *f)
{
    for (unsigned i = 0; i < 1000; i++) {
        clock_step(f->m->clock, 100 * NS_PER_US);
        if (msr(f) & 0x80) {
            return msr(f) & 0xf0;
        }
        run_loop(&f->t, 10 * NS_PER_MS);
    }
    g_assert_not_reached();
}

static unsigned get(FdcTest *f, uint8_t *result)
{
    unsigned n = 0;

    g_assert_cmphex(settle(f), ==, MSR_RESULT);
    while ((msr(f) & 0xc0) == 0xc0) {
        g_assert_cmpuint(n, <, 16);
        result[n++] = in(f->m, 0x3f5, 1);
    }
    return n;
}

static void expect(FdcTest *f, const uint8_t *want, unsigned n)
{
    uint8_t result[16];
    unsigned len = get(f, result);

    for (unsigned i = 0; i < MIN(len, n); i++) {
        if (result[i] != want[i]) {
            g_test_message("result byte %u is %02x, not %02x", i, result[i], want[i]);
        }
    }
    g_assert_cmpmem(result, len, want, n);
}
#define EXPECT(f, ...) expect(f, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void sense_all(FdcTest *f)
{
    for (unsigned unit = 0; unit < 4; unit++) {
        PUT(f, 0x08);
        EXPECT(f, 0xc0 | unit, 0);
    }
}

static void rate(FdcTest *f, uint8_t rate)
{
    out(f->m, 0x3f7, rate, 1);
}

static void seek(FdcTest *f, uint8_t cylinder)
{
    unsigned irqs = f->t.irqs[6];

    PUT(f, 0x0f, 0, cylinder);
    clock_step(f->m->clock, 20 * NS_PER_MS);
    g_assert_cmpuint(f->t.irqs[6], ==, irqs + 1);
    PUT(f, 0x08);
    EXPECT(f, 0x20, cylinder);
}

/* Channel 2 of the 8237: `mode` 0x46 to memory, 0x4a from it. */
static void program_dma(FdcTest *f, uint8_t mode, unsigned bytes)
{
    out(f->m, 0x0a, 6, 1);
    out(f->m, 0x0c, 0, 1);
    out(f->m, 0x0b, mode, 1);
    out(f->m, 0x04, DMA_AT & 255, 1);
    out(f->m, 0x04, DMA_AT >> 8 & 255, 1);
    out(f->m, 0x81, DMA_AT >> 16, 1);
    out(f->m, 0x05, (bytes - 1) & 255, 1);
    out(f->m, 0x05, (bytes - 1) >> 8, 1);
    out(f->m, 0x0a, 2, 1);
}

static void begin(FdcTest *f)
{
    sense_all(f);
    PUT(f, 0x03, 0xdf, 0x02);
    rate(f, 0);
    PUT(f, 0x07, 0);
    clock_step(f->m->clock, 20 * NS_PER_MS);
    PUT(f, 0x08);
    EXPECT(f, 0x20, 0);
}

/* ---- the small commands ---- */

static void test_reset_and_small_commands(void)
{
    FdcTest f;

    fdc_init(&f, IMAGE, false);
    sense_all(&f);
    PUT(&f, 0x08);
    EXPECT(&f, 0x80);
    PUT(&f, 0x10);
    EXPECT(&f, 0x90);
    PUT(&f, 0x18);
    EXPECT(&f, 0x80);
    PUT(&f, 0x03, 0xaf, 0x1e);
    PUT(&f, 0x13, 0, 0x57, 12);
    PUT(&f, 0x12, 0x84);
    PUT(&f, 0x94);
    EXPECT(&f, 0x10);
    PUT(&f, 0x0e);
    EXPECT(&f, 0, 0, 0, 0, 0xaf, 0x1e, 0, 0x84, 0x57, 12);
    PUT(&f, 0x04, 0);
    EXPECT(&f, 0x38);
    PUT(&f, 0x04, 5);
    EXPECT(&f, 0x3d);
    out(f.m, 0x3f4, 0x80, 1); /* DSR reset: locked values stay, polling is off: no interrupt */
    g_assert_cmphex(msr(&f), ==, 0);
    unsigned irqs = f.t.irqs[6];
    clock_step(f.m->clock, NS_PER_MS);
    g_assert_cmpuint(f.t.irqs[6], ==, irqs);
    PUT(&f, 0x0e);
    EXPECT(&f, 0, 0, 0, 0, 0xaf, 0x1e, 0, 0x84, 0x57, 12);
    PUT(&f, 0x14);
    EXPECT(&f, 0);
    out(f.m, 0x3f2, 0x08, 1);
    g_assert_cmphex(msr(&f), ==, 0);
    out(f.m, 0x3f5, 0x10, 1);                   /* not heard */
    out(f.m, 0x3f2, 0x0c, 1);
    clock_step(f.m->clock, NS_PER_MS);
    g_assert_cmpuint(f.t.irqs[6], ==, irqs + 1);
    sense_all(&f);
    PUT(&f, 0x0e);
    EXPECT(&f, 0, 0, 0, 0, 0xaf, 0x1e, 0, 0x04, 0x20, 0);
    fdc_fini(&f);
}

static void test_seeks(void)
{
    FdcTest f;

    fdc_init(&f, IMAGE, false);
    begin(&f);
    g_assert_cmphex(in(f.m, 0x3f7, 1) & 0x80, ==, 0x80);    /* the disk is new to the drive */
    seek(&f, 40);
    g_assert_cmphex(in(f.m, 0x3f7, 1) & 0x80, ==, 0);
    PUT(&f, 0xcf, 0, 7);
    g_assert_cmphex(msr(&f), ==, 0x81);                     /* drive 0 is busy seeking */
    clock_step(f.m->clock, 20 * NS_PER_MS);
    PUT(&f, 0x08);
    EXPECT(&f, 0x20, 47);
    PUT(&f, 0x8f, 0, 50);
    clock_step(f.m->clock, 20 * NS_PER_MS);
    PUT(&f, 0x08);
    EXPECT(&f, 0x20, 0);
    PUT(&f, 0x07, 3);                                       /* no such drive: no track 0 */
    clock_step(f.m->clock, 20 * NS_PER_MS);
    PUT(&f, 0x08);
    EXPECT(&f, 0x73, 0);
    PUT(&f, 0x0f, 0, 10);                                   /* two at once */
    PUT(&f, 0x0f, 1, 20);
    clock_step(f.m->clock, 20 * NS_PER_MS);
    PUT(&f, 0x08);
    EXPECT(&f, 0x20, 10);
    PUT(&f, 0x08);
    EXPECT(&f, 0x21, 20);
    PUT(&f, 0x0f, 0, 255);
    clock_step(f.m->clock, 50 * NS_PER_MS);
    PUT(&f, 0x08);
    EXPECT(&f, 0x20, 255);
    PUT(&f, 0x4a, 0);
    EXPECT(&f, 0x40, 0x01, 0, 84, 0, 1, 2);                 /* nothing is written out there */
    fdc_fini(&f);
}

/* ---- DMA ---- */

static uint32_t lba(unsigned c, unsigned h, unsigned r)
{
    return ((c * 2 + h) * 18 + r - 1) * 512;
}

static void test_dma_read(void)
{
    FdcTest f;
    uint8_t buf[36 * 512];

    fdc_init(&f, IMAGE, false);
    begin(&f);
    program_dma(&f, 0x46, 512);
    PUT(&f, 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 0, 0, 0, 0, 0, 2, 2);
    as_read(f.m->mem, DMA_AT, buf, 512);
    g_assert_cmpmem(buf, 512, f.t.disk.bytes, 512);
    seek(&f, 33);
    program_dma(&f, 0x46, 36 * 512);                        /* a cylinder */
    PUT(&f, 0xe6, 0, 33, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 4, 0, 0, 34, 0, 1, 2);
    as_read(f.m->mem, DMA_AT, buf, 36 * 512);
    g_assert_cmpmem(buf, 36 * 512, f.t.disk.bytes + lba(33, 0, 1), 36 * 512);
    g_assert_cmpuint(f.t.disk.reads, ==, 2);
    program_dma(&f, 0x46, 700);                             /* terminal count inside a sector */
    PUT(&f, 0x46, 4, 33, 1, 4, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 4, 0, 0, 33, 1, 6, 2);
    as_read(f.m->mem, DMA_AT, buf, 1024);
    g_assert_cmpmem(buf, 700, f.t.disk.bytes + lba(33, 1, 4), 700);
    g_assert_cmpint(memcmp(buf + 700, f.t.disk.bytes + lba(33, 1, 4) + 700, 100), !=, 0);
    program_dma(&f, 0x46, 4096);                            /* past the end of the track */
    PUT(&f, 0x46, 0, 33, 0, 17, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 0x40, 0x80, 0, 34, 0, 1, 2);
    PUT(&f, 0x46, 0, 33, 0, 17, 2, 18, 0x1b, 0xff);         /* the channel still has room: same again */
    EXPECT(&f, 0x40, 0x80, 0, 34, 0, 1, 2);
    out(f.m, 0x0a, 6, 1);                                   /* masked: overrun */
    PUT(&f, 0x46, 0, 33, 0, 17, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 0x40, 0x10, 0, 33, 0, 17, 2);
    fdc_fini(&f);
}

static void test_dma_write(void)
{
    FdcTest f;
    uint8_t buf[20 * 512], *model;

    fdc_init(&f, IMAGE, false);
    begin(&f);
    model = g_memdup2(f.t.disk.bytes, IMAGE);
    for (unsigned i = 0; i < sizeof(buf); i++) {
        buf[i] = i * 11 + 3;
    }
    as_write(f.m->mem, DMA_AT, buf, sizeof(buf));
    seek(&f, 5);
    program_dma(&f, 0x4a, sizeof(buf));                     /* over both heads */
    PUT(&f, 0xc5, 0, 5, 0, 10, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 4, 0, 0, 5, 1, 12, 2);
    memcpy(model + lba(5, 0, 10), buf, sizeof(buf));
    g_assert_cmpmem(f.t.disk.bytes, IMAGE, model, IMAGE);
    program_dma(&f, 0x4a, 100);                             /* the rest of the sector becomes zeros */
    PUT(&f, 0x49, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 0, 0, 0, 5, 0, 2, 2);
    memset(model + lba(5, 0, 1), 0, 512);
    memcpy(model + lba(5, 0, 1), buf, 100);
    g_assert_cmpmem(f.t.disk.bytes, IMAGE, model, IMAGE);
    f.t.disk.err = -ENOSPC;
    f.t.disk.bad_to = IMAGE;
    program_dma(&f, 0x4a, 512);
    PUT(&f, 0x45, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(&f, 0x40, 0x20, 0x20, 5, 0, 2, 2);
    g_free(model);
    fdc_fini(&f);
}

static void test_format(void)
{
    FdcTest f;
    uint8_t ids[18 * 4];

    fdc_init(&f, IMAGE, false);
    begin(&f);
    seek(&f, 79);
    for (unsigned i = 0; i < 18; i++) {
        memcpy(ids + 4 * i, (uint8_t[]){ 79, 1, i * 5 % 18 + 1, 2 }, 4);
    }
    as_write(f.m->mem, DMA_AT, ids, sizeof(ids));
    program_dma(&f, 0x4a, sizeof(ids));
    PUT(&f, 0x4d, 4, 2, 18, 0x6c, 0xf6);
    uint8_t result[16];
    g_assert_cmpuint(get(&f, result), ==, 7);
    g_assert_cmphex(result[0], ==, 4);
    for (unsigned i = 0; i < 18 * 512; i++) {
        g_assert_cmphex(f.t.disk.bytes[lba(79, 1, 1) + i], ==, 0xf6);
    }
    g_assert_cmphex(f.t.disk.bytes[lba(79, 1, 1) - 1], !=, 0xf6);
    ids[2] = 19;
    as_write(f.m->mem, DMA_AT, ids, sizeof(ids));
    program_dma(&f, 0x4a, sizeof(ids));
    PUT(&f, 0x4d, 0, 2, 18, 0x6c, 0xf6);
    get(&f, result);
    g_assert_cmphex(result[0], ==, 0x40);
    fdc_fini(&f);
}

/* ---- non-DMA mode ---- */

static void test_pio(void)
{
    FdcTest f;
    uint8_t buf[512];

    fdc_init(&f, IMAGE, false);
    begin(&f);
    PUT(&f, 0x03, 0xdf, 0x03);
    PUT(&f, 0x46, 0, 0, 0, 7, 2, 7, 0x1b, 0xff);
    g_assert_cmphex(settle(&f), ==, MSR_IN);
    unsigned irqs = f.t.irqs[6];
    for (unsigned i = 0; i < 512; i++) {
        g_assert_cmphex(msr(&f), ==, MSR_IN);
        buf[i] = in(f.m, 0x3f5, 1);
    }
    g_assert_cmpuint(f.t.irqs[6], >=, irqs + 511);          /* one a byte */
    g_assert_cmpmem(buf, 512, f.t.disk.bytes + 6 * 512, 512);
    EXPECT(&f, 0x40, 0x80, 0, 1, 0, 1, 2);                  /* no terminal count in this mode */
    PUT(&f, 0x45, 0, 0, 0, 3, 2, 3, 0x1b, 0xff);
    g_assert_cmphex(settle(&f), ==, MSR_OUT);
    for (unsigned i = 0; i < 512; i++) {
        out(f.m, 0x3f5, i * 3, 1);
    }
    EXPECT(&f, 0x40, 0x80, 0, 1, 0, 1, 2);
    for (unsigned i = 0; i < 512; i++) {
        g_assert_cmphex(f.t.disk.bytes[1024 + i], ==, (uint8_t)(i * 3));
    }
    fdc_fini(&f);
}

/* ---- what can go wrong ---- */

static void test_errors(void)
{
    static const struct { uint8_t command[9], result[7]; } cases[] = {
        { { 0x46, 0, 1, 0, 1, 2, 18, 27, 255 }, { 0x40, 0x04, 0x10, 1, 0, 1, 2 } },     /* another cylinder */
        { { 0x46, 0, 0, 1, 1, 2, 18, 27, 255 }, { 0x40, 0x04, 0, 0, 1, 1, 2 } },        /* another head */
        { { 0x46, 0, 0, 0, 19, 2, 19, 27, 255 }, { 0x40, 0x04, 0, 0, 0, 19, 2 } },
        { { 0x46, 0, 0, 0, 0, 2, 18, 27, 255 }, { 0x40, 0x04, 0, 0, 0, 0, 2 } },
        { { 0x46, 0, 0, 0, 1, 3, 18, 27, 255 }, { 0x40, 0x04, 0, 0, 0, 1, 2 } },        /* 1024 bytes */
        { { 0x46, 1, 0, 0, 1, 2, 18, 27, 255 }, { 0x41, 0x01, 0, 0, 0, 1, 2 } },        /* an empty drive */
        { { 0x46, 2, 0, 0, 1, 2, 18, 27, 255 }, { 0x42, 0x01, 0, 0, 0, 1, 2 } },        /* no drive */
        { { 0x45, 0, 0, 0, 1, 2, 18, 27, 255 }, { 0x40, 0x02, 0, 0, 0, 1, 2 } },        /* write-protected */
        { { 0x56, 0, 0, 0, 3, 2, 18, 27, 255 }, { 0x00, 0, 0, 1, 0, 1, 2 } },           /* verify to EOT */
        { { 0x56, 0x80, 0, 0, 3, 2, 18, 27, 4 }, { 0x00, 0, 0, 0, 0, 7, 2 } },          /* verify 4 */
        { { 0x4c, 0, 0, 0, 3, 2, 18, 27, 255 }, { 0x00, 0, 0x40, 0, 0, 4, 2 } },        /* not deleted */
        { { 0x6c, 0, 0, 0, 3, 2, 18, 27, 255 }, { 0x40, 0x04, 0, 0, 0, 3, 2 } },
    };
    FdcTest f;

    fdc_init(&f, IMAGE, true);
    begin(&f);
    program_dma(&f, 0x46, 60000);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        put(&f, cases[i].command, 9);
        expect(&f, cases[i].result, 7);
    }
    PUT(&f, 0x04, 0);
    EXPECT(&f, 0x78);                                       /* write-protected */
    rate(&f, 2);
    PUT(&f, 0x46, 0, 0, 0, 1, 2, 18, 27, 255);
    EXPECT(&f, 0x40, 0x01, 0, 0, 0, 1, 2);
    rate(&f, 0);
    f.t.disk.err = -EIO;
    f.t.disk.bad_to = 512;
    PUT(&f, 0x46, 0, 0, 0, 1, 2, 1, 27, 255);
    EXPECT(&f, 0x40, 0x20, 0x20, 0, 0, 1, 2);
    PUT(&f, 0x13, 0, 0x40, 0);                              /* implied seeks */
    PUT(&f, 0x46, 0, 20, 0, 1, 2, 1, 27, 255);
    EXPECT(&f, 0x40, 0x80, 0, 21, 0, 1, 2);
    PUT(&f, 0x4a, 0);
    EXPECT(&f, 0, 0, 0, 20, 0, 1, 2);
    PUT(&f, 0x4a, 0);
    EXPECT(&f, 0, 0, 0, 20, 0, 2, 2);
    fdc_fini(&f);
}

static void test_formats_by_size(void)
{
    static const struct { unsigned kib; uint8_t cmos, rate, heads, spt; } cases[] = {
        { 160, 6, 2, 1, 8 },   { 180, 7, 1, 1, 9 },   { 320, 8, 2, 2, 8 },
        { 360, 1, 1, 2, 9 },   { 720, 3, 2, 2, 9 },   { 1200, 2, 0, 2, 15 },
        { 1440, 4, 0, 2, 18 }, { 1680, 4, 0, 2, 21 }, { 2880, 5, 3, 2, 36 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        FdcTest f;
        uint8_t buf[512];
        fdc_init(&f, cases[i].kib * 1024, false);
        begin(&f);
        g_assert_cmpuint(floppy_cmos_type(f.fdc, 0), ==, cases[i].cmos);
        g_assert_cmpuint(floppy_cmos_type(f.fdc, 1), ==, 4);
        rate(&f, cases[i].rate);
        seek(&f, 3);
        uint8_t head = cases[i].heads - 1;
        program_dma(&f, 0x46, 512);
        PUT(&f, 0x46, head << 2, 3, head, cases[i].spt, 2, cases[i].spt, 27, 255);
        EXPECT(&f, head << 2, 0, 0, 4, head, 1, 2);
        as_read(f.m->mem, DMA_AT, buf, 512);
        unsigned at = (3 * cases[i].heads + head) * cases[i].spt + cases[i].spt - 1;
        g_assert_cmpmem(buf, 512, f.t.disk.bytes + at * 512, 512);
        fdc_fini(&f);
    }
    FdcTest f;                              /* a boot sector alone is the beginning of a 1.44 MB disk */
    fdc_init(&f, 512, false);
    begin(&f);
    program_dma(&f, 0x46, 512);
    PUT(&f, 0x46, 0, 0, 0, 1, 2, 18, 27, 255);
    EXPECT(&f, 0, 0, 0, 0, 0, 2, 2);
    PUT(&f, 0x46, 0, 0, 0, 2, 2, 18, 27, 255);
    EXPECT(&f, 0x40, 0x04, 0, 0, 0, 2, 2);
    fdc_fini(&f);
}

static void test_medium_change(void)
{
    FdcTest f;
    TestDisk other;
    GError *err = NULL;

    fdc_init(&f, IMAGE, false);
    begin(&f);
    seek(&f, 1);
    BlockDrive *d = block_drive_find(f.m, "floppy0");
    g_assert_true(d->medium == f.b);
    g_assert_true(d->change(d, NULL, false, &err));
    g_assert_cmphex(in(f.m, 0x3f7, 1), ==, 0x80);
    seek(&f, 2);
    g_assert_cmphex(in(f.m, 0x3f7, 1), ==, 0x80);           /* stays while the drive is empty */
    program_dma(&f, 0x46, 512);
    PUT(&f, 0x46, 0, 2, 0, 1, 2, 18, 27, 255);
    EXPECT(&f, 0x40, 0x01, 0, 2, 0, 1, 2);
    test_disk_init(&other, 8 << 20);
    Block *large = test_block(&f.t, &other, false);
    g_assert_false(d->change(d, large, false, &err));
    g_assert_nonnull(strstr(err->message, "no floppy disk"));
    g_clear_error(&err);
    block_close(large);
    test_disk_fini(&other);
    test_disk_init(&other, 720 * 1024);
    g_assert_true(d->change(d, test_block(&f.t, &other, true), false, &err));
    g_assert_cmphex(in(f.m, 0x3f7, 1), ==, 0x80);
    seek(&f, 3);
    g_assert_cmphex(in(f.m, 0x3f7, 1), ==, 0);
    rate(&f, 2);
    PUT(&f, 0x46, 0, 3, 0, 9, 2, 18, 27, 255);
    EXPECT(&f, 0, 0, 0, 3, 0, 10, 2);
    fdc_fini(&f);
    test_disk_fini(&other);
}

static void test_change_while_the_host_gives_data(void)
{
    FdcTest f;
    GError *err = NULL;

    fdc_init(&f, IMAGE, false);
    begin(&f);
    PUT(&f, 0x03, 0xdf, 0x03);
    BlockDrive *d = block_drive_find(f.m, "floppy0");
    PUT(&f, 0x45, 0, 0, 0, 3, 2, 3, 0x1b, 0xff);
    g_assert_cmphex(settle(&f), ==, MSR_OUT);
    g_assert_true(d->change(d, NULL, false, &err));
    for (unsigned i = 0; i < 512; i++) {
        out(f.m, 0x3f5, i, 1);
    }
    EXPECT(&f, 0x40, 0x01, 0, 0, 0, 3, 2);
    fdc_fini(&f);
}

static void test_reset_during_a_request(void)
{
    FdcTest f;
    uint8_t buf[512];

    fdc_init(&f, IMAGE, false);
    begin(&f);
    test_disk_hold(&f.t.disk, true);
    program_dma(&f, 0x46, 512);
    PUT(&f, 0x46, 0, 0, 0, 1, 2, 18, 27, 255);
    clock_step(f.m->clock, NS_PER_MS);
    g_assert_cmphex(msr(&f), ==, 0x10);
    out(f.m, 0x3f2, 0x00, 1);
    out(f.m, 0x3f2, 0x1c, 1);
    clock_step(f.m->clock, NS_PER_MS);
    sense_all(&f);
    PUT(&f, 0x46, 0, 0, 0, 2, 2, 18, 27, 255);              /* waits for the old request */
    clock_step(f.m->clock, NS_PER_MS);
    g_assert_cmphex(msr(&f), ==, 0x10);
    test_disk_hold(&f.t.disk, false);
    EXPECT(&f, 0, 0, 0, 0, 0, 3, 2);
    as_read(f.m->mem, DMA_AT, buf, 512);
    g_assert_cmpmem(buf, 512, f.t.disk.bytes + 512, 512);
    test_disk_hold(&f.t.disk, true);
    PUT(&f, 0x46, 0, 0, 0, 2, 2, 18, 27, 255);
    clock_step(f.m->clock, NS_PER_MS);
    machine_reset(f.m);
    test_disk_hold(&f.t.disk, false);
    fdc_fini(&f);
}

static void test_state_survives(void)
{
    FdcTest a, b;
    GError *err = NULL;

    fdc_init(&a, IMAGE, false);
    fdc_init(&b, IMAGE, false);
    begin(&a);
    PUT(&a, 0x03, 0xdf, 0x03);
    PUT(&a, 0x46, 0, 0, 0, 7, 2, 8, 0x1b, 0xff);
    settle(&a);
    for (unsigned i = 0; i < 700; i++) {
        in(a.m, 0x3f5, 1);
    }
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    state_save(a.fdc->cls->state, a.fdc, bytes);
    g_assert_true(state_load(b.fdc->cls->state, b.fdc, bytes->data, bytes->len, &err));
    b.fdc->cls->settle(b.fdc);
    for (unsigned i = 700; i < 1024; i++) {
        g_assert_cmphex(in(b.m, 0x3f5, 1), ==, b.t.disk.bytes[6 * 512 + i]);
    }
    EXPECT(&b, 0x40, 0x80, 0, 1, 0, 1, 2);
    fdc_fini(&a);
    fdc_fini(&b);
}

/* Any bytes in any order leave a controller that a reset brings back. */
static void test_random_accesses(void)
{
    FdcTest f;
    uint8_t buf[512];

    fdc_init(&f, IMAGE, false);
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 600; i++) {
            static const uint16_t ports[] = { 0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f2,
                                              0x3f4, 0x3f7, 0x3f3, 0x0a,  0x0b };
            uint16_t port = ports[g_test_rand_int_range(0, G_N_ELEMENTS(ports))];
            if (g_test_rand_int_range(0, 3)) {
                uint32_t val = g_test_rand_int();
                out(f.m, port, port == 0x3f2 ? val | 0x0c : port == 0x3f4 ? val & 0x7f : val, 1);
            } else {
                in(f.m, port, 1);
            }
            if (i % 16 == 0) {
                clock_step(f.m->clock, NS_PER_MS);
                run_loop(&f.t, 0);
            }
        }
        out(f.m, 0x3f2, 0, 1);
        out(f.m, 0x3f2, 0x1c, 1);
        block_drain(f.b);
        clock_step(f.m->clock, NS_PER_MS);
        PUT(&f, 0x14);
        EXPECT(&f, 0);
        out(f.m, 0x3f4, 0x80, 1);
        clock_step(f.m->clock, NS_PER_MS);
        begin(&f);
        out(f.m, 0x0d, 0, 1);
        out(f.m, 0xda, 0, 1);
        out(f.m, 0xd6, 0xc0, 1);
        out(f.m, 0xd4, 0, 1);
        program_dma(&f, 0x46, 512);
        PUT(&f, 0x46, 0, 0, 0, 1, 2, 18, 27, 255);
        EXPECT(&f, 0, 0, 0, 0, 0, 2, 2);
        as_read(f.m->mem, DMA_AT, buf, 512);
        g_assert_cmpmem(buf, 512, f.t.disk.bytes, 512);
    }
    fdc_fini(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fdc/reset-and-small-commands", test_reset_and_small_commands);
    g_test_add_func("/fdc/seeks", test_seeks);
    g_test_add_func("/fdc/dma-read", test_dma_read);
    g_test_add_func("/fdc/dma-write", test_dma_write);
    g_test_add_func("/fdc/format", test_format);
    g_test_add_func("/fdc/pio", test_pio);
    g_test_add_func("/fdc/errors", test_errors);
    g_test_add_func("/fdc/formats-by-size", test_formats_by_size);
    g_test_add_func("/fdc/medium-change", test_medium_change);
    g_test_add_func("/fdc/change-during-data", test_change_while_the_host_gives_data);
    g_test_add_func("/fdc/reset-during-request", test_reset_during_a_request);
    g_test_add_func("/fdc/state", test_state_survives);
    g_test_add_func("/fdc/random", test_random_accesses);
    return g_test_run();
}
