/*
 * The memory map: overlap, aliases, priorities, access sizes, DMA rules, retired views, and random
 * trees against a byte-by-byte model.
 */
#include <string.h>
#include "core/machine.h"

typedef struct Regs {
    Region region;
    uint64_t value;
    unsigned reads, writes, last_size;
    hwaddr last_off;
} Regs;

static uint64_t regs_read(void *dev, hwaddr off, unsigned size)
{
    Regs *r = dev;

    r->reads++;
    r->last_off = off;
    r->last_size = size;
    return r->value >> (8 * (off & 7));
}

static void regs_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Regs *r = dev;

    r->writes++;
    r->last_off = off;
    r->last_size = size;
    r->value = val;
}

static const RegionOps any_size = { .read = regs_read, .write = regs_write };
static const RegionOps bytes_only = { .read = regs_read, .write = regs_write, .size_min = 1, .size_max = 1 };
static const RegionOps dwords_only = { .read = regs_read, .write = regs_write, .size_min = 4, .size_max = 4 };

static void test_memory_higher_priority_wins(void)
{
    Machine *m = machine_new(clock_new_manual());
    Region low, high;
    uint8_t b[4];

    g_assert_true(region_init_ram(&low, "low", 0x3000, NULL));
    g_assert_true(region_init_ram(&high, "high", 0x1000, NULL));
    memset(low.ram, 0x11, 0x3000);
    memset(high.ram, 0x22, 0x1000);
    region_map(&m->mem_root, 0x1000, &low, 0);
    region_map(&m->mem_root, 0x2000, &high, 1);
    g_assert_cmpint(as_read(m->mem, 0x1ffe, b, 4), ==, MEM_OK);
    g_assert_cmpmem(b, 4, "\x11\x11\x22\x22", 4);
    g_assert_cmphex(as_load(m->mem, 0x2fff, 2), ==, 0x1122);
    region_enable(&high, false);
    g_assert_cmphex(as_load(m->mem, 0x2fff, 2), ==, 0x1111);
    region_unmap(&low);
    g_assert_cmphex(as_load(m->mem, 0x2fff, 2), ==, 0xffff);
    region_fini(&low);
    region_fini(&high);
    machine_free(m);
}

static void test_memory_alias_shows_the_middle_and_follows_changes(void)
{
    Machine *m = machine_new(clock_new_manual());
    Region ram, window, box, regs_alias;
    Regs regs = { 0 };

    g_assert_true(region_init_ram(&ram, "ram", 0x10000, NULL));
    ram.ram[0x8123] = 0x77;
    region_init_alias(&window, "window", &ram, 0x8000, 0x1000);
    region_map(&m->mem_root, 0x100000, &window, 0);
    g_assert_cmphex(as_load(m->mem, 0x100123, 1), ==, 0x77);
    region_set_readonly(&window, true);
    as_store(m->mem, 0x100123, 0, 1);
    g_assert_cmphex(ram.ram[0x8123], ==, 0x77);
    g_assert_cmpint(as_write(m->mem, 0x100123, "", 1), ==, MEM_READONLY);
    g_assert_cmpint(as_write_rom(m->mem, 0x100123, "x", 1), ==, MEM_OK);
    g_assert_cmphex(ram.ram[0x8123], ==, 'x');

    /* What is mapped into a container shows through an alias of it, also later. */
    region_init(&box, "box", 0x10000);
    region_init_alias(&regs_alias, "box alias", &box, 0x4000, 0x1000);
    region_map(&m->mem_root, 0x200000, &regs_alias, 0);
    region_init_io(&regs.region, "regs", 0x10, &any_size, &regs);
    regs.value = 0xabcd;
    region_map(&box, 0x4010, &regs.region, 0);
    g_assert_cmphex(as_load(m->mem, 0x200010, 2), ==, 0xabcd);
    region_fini(&regs.region);
    g_assert_cmphex(as_load(m->mem, 0x200010, 2), ==, 0xffff);
    region_fini(&regs_alias);
    region_fini(&box);
    region_fini(&window);
    region_fini(&ram);
    machine_free(m);
}

static void test_memory_access_sizes_are_the_devices(void)
{
    Machine *m = machine_new(clock_new_manual());
    Regs b = { .value = 0x0807060504030201 }, d = { .value = 0x0807060504030201 };

    region_init_io(&b.region, "bytes", 8, &bytes_only, &b);
    region_init_io(&d.region, "dwords", 8, &dwords_only, &d);
    region_map(&m->io_root, 0x100, &b.region, 0);
    region_map(&m->io_root, 0x200, &d.region, 0);
    g_assert_cmphex(as_load(m->io, 0x101, 4), ==, 0x05040302);
    g_assert_cmpuint(b.reads, ==, 4);
    g_assert_cmphex(as_load(m->io, 0x202, 1), ==, 0x03);
    g_assert_cmpuint(d.last_off, ==, 0);
    g_assert_cmpuint(d.last_size, ==, 4);
    as_store(m->io, 0x205, 0xaa, 1);
    g_assert_cmphex(d.value, ==, 0xaa00);
    g_assert_cmpuint(d.last_off, ==, 4);
    /* An access over the end: the device's bytes, then all ones. */
    g_assert_cmphex(as_load(m->io, 0x107, 2), ==, 0xff08);
    region_fini(&b.region);
    region_fini(&d.region);
    machine_free(m);
}

/* The class of bug in which one device is made to call into another, or itself. */
static void test_memory_dma_never_reaches_a_device(void)
{
    Machine *m = machine_new(clock_new_manual());
    Regs r = { 0 };
    uint32_t v = 0;

    region_init_io(&r.region, "regs", 0x1000, &any_size, &r);
    region_map(&m->mem_root, 0xf0000000, &r.region, 0);
    g_assert_cmpint(as_read(m->mem, 0xf0000000, &v, 4), ==, MEM_UNMAPPED);
    g_assert_cmphex(v, ==, 0xffffffff);
    g_assert_cmpint(as_write(m->mem, 0xf0000000, &v, 4), ==, MEM_UNMAPPED);
    g_assert_cmpuint(r.reads + r.writes, ==, 0);
    region_fini(&r.region);
    machine_free(m);
}

static hwaddr told_at, told_len;
static unsigned told;

static void code_changed(MemListener *l, hwaddr at, hwaddr len)
{
    told++;
    told_at = at;
    told_len = len;
}

static void test_memory_writes_to_code_pages_are_told_once(void)
{
    Machine *m = machine_new(clock_new_manual());
    MemListener l = { .code_changed = code_changed };
    MemSection s;
    Region ram;

    told = 0;
    g_assert_true(region_init_ram(&ram, "ram", 0x4000, NULL));
    region_map(&m->mem_root, 0, &ram, 0);
    as_listen(m->mem, &l);
    g_assert_true(as_find(m->mem, 0x2000, &s));
    *section_page_flags(&s, 0x2000) |= RAM_PAGE_CODE;
    as_store(m->mem, 0x1ff8, 0, 8);
    g_assert_cmpuint(told, ==, 0);
    uint8_t two[0x20] = { 0 };
    as_write(m->mem, 0x1ff0, two, sizeof(two));
    g_assert_cmpuint(told, ==, 1);
    g_assert_cmphex(told_at, ==, 0x1ff0);
    g_assert_cmphex(told_len, ==, 0x20);
    as_store(m->mem, 0x2000, 0, 8);
    g_assert_cmpuint(told, ==, 1);
    as_unlisten(m->mem, &l);
    region_fini(&ram);
    machine_free(m);
}

/* Random trees: every byte of the flat view must be what a walk of the tree from the top finds. */
static Region *model_find(Region *r, hwaddr off, hwaddr *leaf_off, unsigned depth)
{
    if (!r->enabled || off >= r->size || depth > 8) {
        return NULL;
    }
    if (r->kind == REGION_ALIAS) {
        bool was = r->target->enabled;
        r->target->enabled = true;
        Region *hit = model_find(r->target, off + r->target_off, leaf_off, depth + 1);
        r->target->enabled = was;
        return hit;
    }
    for (Region *c = r->children; c; c = c->next) {
        Region *hit = off >= c->at ? model_find(c, off - c->at, leaf_off, depth + 1) : NULL;
        if (hit) {
            return hit;
        }
    }
    *leaf_off = off;
    return r->kind == REGION_CONTAINER ? NULL : r;
}

static void test_memory_flat_view_equals_the_tree(void)
{
    enum { REGIONS = 24, SPACE = 0x400 };

    for (unsigned round = 0; round < 200; round++) {
        Machine *m = machine_new(clock_new_manual());
        Region r[REGIONS], root;
        Regs dev = { 0 };

        region_init(&root, "root", SPACE);
        AddressSpace *as = as_new("test", &root, m->loop);
        for (int i = 0; i < REGIONS; i++) {
            hwaddr size = g_random_int_range(1, SPACE / 2);
            int kind = g_random_int_range(0, i ? 3 : 2);
            if (kind == 0) {
                region_init(&r[i], "box", size);
            } else if (kind == 1) {
                region_init_io(&r[i], "io", size, &any_size, &dev);
            } else {
                region_init_alias(&r[i], "alias", &r[g_random_int_range(0, i)], g_random_int_range(0, SPACE / 2), size);
            }
            Region *parent = &root;
            for (int tries = 0; i && kind != 2 && tries < 4; tries++) {    /* aliases: no circles */
                Region *p = &r[g_random_int_range(0, i)];
                if (p->kind == REGION_CONTAINER) {
                    parent = p;
                }
            }
            region_map(parent, g_random_int_range(0, SPACE), &r[i], g_random_int_range(-2, 3));
            region_enable(&r[i], g_random_int_range(0, 8) != 0);
        }
        for (hwaddr a = 0; a < SPACE; a++) {
            MemSection s;
            hwaddr off = 0;
            Region *want = model_find(&root, a, &off, 0);
            bool found = as_find(as, a, &s);
            g_assert_true(found == (want != NULL));
            if (found) {
                g_assert_true(s.region == want);
                g_assert_cmphex(s.off + (a - s.at), ==, off);
            }
        }
        for (int i = REGIONS; i--;) {
            region_fini(&r[i]);
        }
        as_free(as);
        machine_free(m);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/priority", test_memory_higher_priority_wins);
    g_test_add_func("/memory/alias", test_memory_alias_shows_the_middle_and_follows_changes);
    g_test_add_func("/memory/sizes", test_memory_access_sizes_are_the_devices);
    g_test_add_func("/memory/dma", test_memory_dma_never_reaches_a_device);
    g_test_add_func("/memory/code", test_memory_writes_to_code_pages_are_told_once);
    g_test_add_func("/memory/random", test_memory_flat_view_equals_the_tree);
    return g_test_run();
}
