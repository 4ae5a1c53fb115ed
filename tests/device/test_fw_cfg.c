/*
 * The firmware configuration device as a guest uses it: selector, data port, DMA, and guests that lie.
 */
#include <string.h>
#include <unistd.h>
#include "core/machine.h"
#include "hw/fw_cfg.h"
#include "util/bits.h"

enum { RAM = 1 << 20, DESC = 0x1000, BUF = 0x2000, DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8,
       DMA_WRITE = 16 };

typedef struct Bench {
    Machine *m;
    FwCfg *f;
    Region ram;
} Bench;

static void bench_init(Bench *b)
{
    GError *err = NULL;

    b->m = machine_new(clock_new_manual());
    machine_lock(b->m);
    region_init_ram(&b->ram, "ram", RAM, &err);
    region_map(&b->m->mem_root, 0, &b->ram, 0);
    g_assert_nonnull(device_make(b->m, "fw_cfg", NULL, NULL, NULL, &err));
    g_assert_no_error(err);
    b->f = machine_service(b->m, "fw_cfg");
    machine_reset(b->m);
}

static void bench_fini(Bench *b)
{
    device_free(machine_find(b->m, "fw_cfg"));
    region_fini(&b->ram);
    machine_unlock(b->m);
    machine_free(b->m);
}

static void read_bytes(Bench *b, uint16_t key, uint8_t *buf, size_t len)
{
    as_store(b->m->io, 0x510, key, 2);
    for (size_t i = 0; i < len; i++) {
        buf[i] = as_load(b->m->io, 0x511, 1);
    }
}

/* One DMA access; the control word that the device leaves. */
static uint32_t dma(Bench *b, uint64_t desc_at, uint32_t control, uint32_t len, uint64_t addr)
{
    uint8_t desc[16];

    st32be(desc, control);
    st32be(desc + 4, len);
    st32be(desc + 8, addr >> 32);
    st32be(desc + 12, addr);
    as_write(b->m->mem, desc_at, desc, sizeof(desc));
    as_store(b->m->io, 0x514, GUINT32_SWAP_LE_BE((uint32_t)(desc_at >> 32)), 4);
    as_store(b->m->io, 0x518, GUINT32_SWAP_LE_BE((uint32_t)desc_at), 4);
    as_read(b->m->mem, desc_at, desc, 4);
    return ld32be(desc);
}

static uint16_t key_of(Bench *b, const char *name, uint32_t *size)
{
    uint8_t head[4], entry[64];
    uint16_t key = 0;

    read_bytes(b, FW_CFG_FILE_DIR, head, 4);
    for (uint32_t i = 0; i < ld32be(head); i++) {
        for (unsigned k = 0; k < 64; k++) {
            entry[k] = as_load(b->m->io, 0x511, 1);
        }
        if (!strcmp((char *)entry + 8, name)) {
            *size = ld32be(entry);
            key = ld16be(entry + 4);
        }
    }
    return key;
}

static void test_ports(void)
{
    Bench b;
    uint8_t buf[8];

    bench_init(&b);
    read_bytes(&b, FW_CFG_SIGNATURE, buf, 6);
    g_assert_cmpmem(buf, 6, "QEMU\0\0", 6);             /* zeros behind the end */
    read_bytes(&b, FW_CFG_ID, buf, 4);
    g_assert_cmphex(ld32le(buf), ==, 3);
    fw_cfg_add_u64(b.f, FW_CFG_RAM_SIZE, 0x123456789aull);
    read_bytes(&b, FW_CFG_RAM_SIZE, buf, 8);
    g_assert_cmphex(ld64le(buf), ==, 0x123456789aull);
    read_bytes(&b, 0x7777, buf, 4);                     /* no such item */
    g_assert_cmphex(ld32le(buf), ==, 0);
    g_assert_cmphex(as_load(b.m->io, 0x514, 4), ==, GUINT32_SWAP_LE_BE(0x51454d55));
    g_assert_cmphex(as_load(b.m->io, 0x518, 4), ==, GUINT32_SWAP_LE_BE(0x20434647));
    bench_fini(&b);
}

static void test_directory(void)
{
    Bench b;
    GError *err = NULL;
    uint8_t dir[4 + 3 * 64];
    g_autofree char *long_name = g_strnfill(56, 'x');

    bench_init(&b);
    g_assert_true(fw_cfg_add_file(b.f, "etc/b", "bb", 2, NULL));
    g_assert_true(fw_cfg_add_file(b.f, "etc/c", "ccc", 3, NULL));
    g_assert_true(fw_cfg_add_file(b.f, "etc/a", "a", 1, NULL));
    g_assert_false(fw_cfg_add_file(b.f, long_name, "", 0, &err));
    g_assert_nonnull(err);
    g_clear_error(&err);
    read_bytes(&b, FW_CFG_FILE_DIR, dir, sizeof(dir));
    g_assert_cmpuint(ld32be(dir), ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        char name[] = { 'e', 't', 'c', '/', 'a' + i, 0 };

        g_assert_cmpstr((char *)dir + 4 + 64 * i + 8, ==, name);
        g_assert_cmpuint(ld32be(dir + 4 + 64 * i), ==, i + 1);
    }
    g_assert_true(fw_cfg_add_file(b.f, "etc/a", "aaaa", 4, NULL));      /* replaces */
    uint32_t size = 0;
    uint8_t buf[4];
    read_bytes(&b, key_of(&b, "etc/a", &size), buf, 4);
    g_assert_cmpuint(size, ==, 4);
    g_assert_cmpmem(buf, 4, "aaaa", 4);
    bench_fini(&b);
}

static void test_dma(void)
{
    Bench b;
    uint8_t buf[8] = { 0 };
    uint32_t size;

    bench_init(&b);
    fw_cfg_add_file(b.f, "etc/x", "0123456789", 10, NULL);
    uint32_t select = (uint32_t)key_of(&b, "etc/x", &size) << 16 | DMA_SELECT;

    g_assert_cmphex(dma(&b, DESC, select | DMA_READ, 4, BUF), ==, 0);
    as_read(b.m->mem, BUF, buf, 4);
    g_assert_cmpmem(buf, 4, "0123", 4);
    g_assert_cmphex(dma(&b, DESC, DMA_SKIP, 2, 0), ==, 0);
    g_assert_cmphex(dma(&b, DESC, DMA_READ, 6, BUF), ==, 0);
    as_read(b.m->mem, BUF, buf, 6);
    g_assert_cmpmem(buf, 6, "6789\0\0", 6);
    g_assert_cmphex(dma(&b, DESC, select, 0, 0), ==, 0);
    g_assert_cmphex(as_load(b.m->io, 0x511, 1), ==, '0');
    bench_fini(&b);
}

/* A part of a file: as it is in the file when it is read; zeros where that has become shorter. */
static void test_part(void)
{
    g_autofree char *path = g_strdup_printf("%s/fw_cfg-part-%d", g_get_tmp_dir(), (int)getpid());
    g_autoptr(GError) err = NULL;
    uint8_t buf[8] = { 0 };
    Bench b;

    bench_init(&b);
    g_assert_false(fw_cfg_add_part(b.f, 0x8100, path, 3, 6, &err));
    g_assert_nonnull(strstr(err->message, path));
    g_assert_true(g_file_set_contents(path, "abc0123456789", 13, NULL));
    fw_cfg_add_string(b.f, 0x8101, "replaced");
    g_assert_true(fw_cfg_add_part(b.f, 0x8101, path, 3, 6, NULL));
    g_assert_cmphex(dma(&b, DESC, 0x8101u << 16 | DMA_SELECT | DMA_READ, 8, BUF), ==, 0);
    as_read(b.m->mem, BUF, buf, 8);
    g_assert_cmpmem(buf, 8, "012345\0\0", 8);
    g_assert_cmpint(truncate(path, 5), ==, 0);
    g_assert_cmphex(dma(&b, DESC, 0x8101u << 16 | DMA_SELECT | DMA_READ, 8, BUF), ==, 0);
    as_read(b.m->mem, BUF, buf, 8);
    g_assert_cmpmem(buf, 8, "01\0\0\0\0\0\0", 8);
    unlink(path);
    fw_cfg_add_string(b.f, 0x8101, "once more");
    g_assert_cmphex(dma(&b, DESC, 0x8101u << 16 | DMA_SELECT | DMA_READ, 8, BUF), ==, 0);
    as_read(b.m->mem, BUF, buf, 8);
    g_assert_cmpmem(buf, 8, "once mor", 8);
    bench_fini(&b);
}

static void test_writable(void)
{
    Bench b;
    uint32_t size;
    size_t len;

    bench_init(&b);
    fw_cfg_add_file(b.f, "etc/fixed", "fixed", 5, NULL);
    fw_cfg_add_writable_file(b.f, "etc/open", "12345678", 8, NULL);
    as_write(b.m->mem, BUF, "ABCDEFGHIJ", 10);
    uint32_t fixed = (uint32_t)key_of(&b, "etc/fixed", &size) << 16 | DMA_SELECT;
    uint32_t open = (uint32_t)key_of(&b, "etc/open", &size) << 16 | DMA_SELECT;

    g_assert_cmphex(dma(&b, DESC, fixed | DMA_WRITE, 2, BUF), ==, DMA_ERROR);
    g_assert_cmphex(dma(&b, DESC, open | DMA_WRITE, 9, BUF), ==, DMA_ERROR);
    g_assert_cmphex(dma(&b, DESC, open | DMA_WRITE, 2, BUF), ==, 0);
    g_assert_cmphex(dma(&b, DESC, DMA_SKIP, 4, 0), ==, 0);
    g_assert_cmphex(dma(&b, DESC, DMA_WRITE, 3, BUF), ==, DMA_ERROR);
    g_assert_cmphex(dma(&b, DESC, DMA_WRITE, 2, BUF), ==, 0);
    g_assert_cmpmem(fw_cfg_file(b.f, "etc/open", &len), 8, "AB3456AB", 8);
    g_assert_cmpmem(fw_cfg_file(b.f, "etc/fixed", &len), 5, "fixed", 5);
    g_assert_null(fw_cfg_file(b.f, "etc/none", &len));
    bench_fini(&b);
}

static void test_hostile_dma(void)
{
    Bench b;
    g_autoptr(GRand) r = g_rand_new_with_seed(7);

    bench_init(&b);
    uint32_t select = FW_CFG_ID << 16 | DMA_SELECT;

    g_assert_cmphex(dma(&b, DESC, select | DMA_READ, 0xffffffff, BUF), ==, DMA_ERROR);
    g_assert_cmphex(dma(&b, DESC, select | DMA_READ, 4, ~0ull - 1), ==, DMA_ERROR);
    g_assert_cmphex(dma(&b, DESC, select | DMA_READ, 4, RAM), ==, DMA_ERROR);
    g_assert_cmphex(dma(&b, DESC, select | DMA_SKIP, 0xffffffff, 0), ==, 0);
    g_assert_cmphex(dma(&b, DESC, DMA_SKIP, 0xffffffff, 0), ==, 0);
    g_assert_cmphex(dma(&b, DESC, DMA_READ, 4, BUF), ==, 0);
    dma(&b, RAM - 8, select | DMA_READ, 4, BUF);        /* structures that are not (all) there */
    dma(&b, 0xfee00000, select | DMA_READ, 4, BUF);
    dma(&b, ~0ull - 7, select | DMA_READ, 4, BUF);
    dma(&b, DESC, select | DMA_READ, 4, DESC);          /* onto its own structure */
    for (unsigned i = 0; i < 20000; i++) {
        dma(&b, g_rand_int(r) % (2 * RAM), g_rand_int(r), g_rand_int(r) >> g_rand_int_range(r, 8, 32),
            g_rand_int(r) >> g_rand_int_range(r, 0, 24));
    }
    bench_fini(&b);
}

static void refill(void *opaque)
{
    Bench *b = opaque;

    fw_cfg_add_file(b->f, "etc/lazy", "after", 5, NULL);
}

static void test_on_select(void)
{
    Bench b;
    uint8_t buf[5];
    uint32_t size;

    bench_init(&b);
    fw_cfg_add_file(b.f, "etc/lazy", "prior", 5, NULL);
    fw_cfg_on_select(b.f, "etc/lazy", refill, &b);
    read_bytes(&b, key_of(&b, "etc/lazy", &size), buf, 5);
    g_assert_cmpmem(buf, 5, "after", 5);
    bench_fini(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw_cfg/ports", test_ports);
    g_test_add_func("/fw_cfg/directory", test_directory);
    g_test_add_func("/fw_cfg/dma", test_dma);
    g_test_add_func("/fw_cfg/part", test_part);
    g_test_add_func("/fw_cfg/writable", test_writable);
    g_test_add_func("/fw_cfg/hostile-dma", test_hostile_dma);
    g_test_add_func("/fw_cfg/on-select", test_on_select);
    return g_test_run();
}
