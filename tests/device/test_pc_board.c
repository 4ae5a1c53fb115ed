/*
 * The board "pc": its memory map at every size, what it tells the firmware, and the options it refuses.
 */
#include "board_harness.h"

#include "util/bits.h"

static const uint64_t MIB = 1 << 20, GIB = 1 << 30;

static uint64_t load(Board *b, hwaddr at, unsigned size)
{
    return as_load(b->m->mem, at, size);
}

static bool is_ram(Board *b, hwaddr at)
{
    MemSection s;

    return as_find(b->m->mem, at, &s) && s.host && !s.readonly;
}

static void test_memory_sizes(void)
{
    static const struct { uint64_t ram, below, above; } sizes[] = {
        { 1, 1, 0 }, { 2, 2, 0 }, { 16, 16, 0 }, { 512, 512, 0 }, { 3072, 3072, 0 }, { 3584, 3584, 0 },
        { 3585, 3072, 513 }, { 4096, 3072, 1024 }, { 6144, 3072, 3072 }, { 65536, 3072, 62464 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Board b;
        GError *err = NULL;
        size_t len;

        board_open(&b, 1);
        PcConfig cfg = board_config(&b);
        cfg.ram_size = sizes[i].ram * MIB;
        board_build(&b, &cfg, &err);
        g_assert_no_error(err);

        uint64_t below = sizes[i].below * MIB, above = sizes[i].above * MIB;
        g_assert_true(is_ram(&b, 0));
        g_assert_true(is_ram(&b, 0x9ffff));
        g_assert_false(is_ram(&b, 0xa0000));
        g_assert_false(is_ram(&b, 0xf0000));
        g_assert_cmpint(is_ram(&b, below - 1), ==, below > MIB);
        g_assert_false(is_ram(&b, below));
        g_assert_false(is_ram(&b, 0xf0000000));
        g_assert_cmpint(is_ram(&b, 4 * GIB), ==, above > 0);
        g_assert_false(is_ram(&b, 4 * GIB + above));

        const uint8_t *e820 = fw_cfg_file(machine_service(b.m, "fw_cfg"), "etc/e820", &len);
        g_assert_cmpuint(len, ==, above ? 40 : 20);
        g_assert_cmphex(ld64le(e820), ==, 0);
        g_assert_cmphex(ld64le(e820 + 8), ==, below);
        if (above) {
            g_assert_cmphex(ld64le(e820 + 20), ==, 4 * GIB);
            g_assert_cmphex(ld64le(e820 + 28), ==, above);
        }
        board_close(&b);
    }
}

static uint8_t cmos(Board *b, uint8_t reg)
{
    as_store(b->m->io, 0x70, reg, 1);
    return as_load(b->m->io, 0x71, 1);
}

static void test_cmos(void)
{
    Board b;

    board_open(&b, 4);
    PcConfig cfg = board_config(&b);
    cfg.ram_size = 6 * GIB;
    cfg.boot_order = "dc";
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_cmpuint(cmos(&b, 0x15) | cmos(&b, 0x16) << 8, ==, 640);
    g_assert_cmpuint(cmos(&b, 0x17) | cmos(&b, 0x18) << 8, ==, 0xffff);
    g_assert_cmpuint(cmos(&b, 0x34) | cmos(&b, 0x35) << 8, ==, (3 * GIB - 16 * MIB) >> 16);
    g_assert_cmpuint(cmos(&b, 0x5b) | cmos(&b, 0x5c) << 8 | cmos(&b, 0x5d) << 16, ==, 3 * GIB >> 16);
    g_assert_cmpuint(cmos(&b, 0x5f), ==, 3);
    g_assert_cmphex(cmos(&b, 0x3d), ==, 0x23);          /* CD-ROM, then hard disk */
    g_assert_cmphex(cmos(&b, 0x38), ==, 0x00);
    board_close(&b);
}

static void test_bios_places(void)
{
    static const unsigned sizes[] = { 64, 128, 256, 1024, 16384 };     /* KiB */

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Board b;
        size_t len = sizes[i] << 10;
        g_autofree uint8_t *image = g_malloc0(len);

        board_open(&b, 1);
        st32le(image, 0x11111111);
        st32le(image + len - 4, 0x22222222);
        g_autofree char *path = board_file(&b, "own.bin", image, len);
        PcConfig cfg = board_config(&b);
        cfg.bios = path;
        g_assert_true(board_build(&b, &cfg, NULL));
        g_assert_cmphex(load(&b, 4 * GIB - len, 4), ==, 0x11111111);
        g_assert_cmphex(load(&b, 4 * GIB - 4, 4), ==, 0x22222222);
        g_assert_cmphex(load(&b, MIB - 4, 4), ==, 0x22222222);
        as_store(b.m->mem, 4 * GIB - 4, 0, 4);
        g_assert_cmphex(load(&b, 4 * GIB - 4, 4), ==, 0x22222222);
        board_close(&b);
    }
}

static void test_interrupts_reach_both_controllers(void)
{
    Board b;

    board_open(&b, 1);
    PcConfig cfg = board_config(&b);
    g_assert_true(board_build(&b, &cfg, NULL));
    /* 8259A: vector 0x20, all lines open. */
    static const struct { uint16_t port; uint8_t val; } init[] = {
        { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0x21, 0x00 },
        { 0xa0, 0x11 }, { 0xa1, 0x28 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0xa1, 0x00 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(init); i++) {
        as_store(b.m->io, init[i].port, init[i].val, 1);
    }
    IsaBus *isa = machine_service(b.m, "isa");
    IrqWire wire = { 0 };
    isa_bus_connect_irq(isa, &wire, 5);
    irq_set(&wire, true);
    g_assert_cmpuint(b.vcpu[0].requests & VCPU_INTR, !=, 0);
    g_assert_nonnull(b.vcpu[0].intctl);
    g_assert_cmphex(b.vcpu[0].intctl->acknowledge(b.vcpu[0].intctl_opaque), ==, 0x25);
    irq_set(&wire, false);
    board_close(&b);
}

/* 82371SB 2.5.6: FERR# is IRQ 13 until port 0xf0 is written; then IGNNE# lasts as long as FERR#. */
static void test_numeric_error(void)
{
    Board b;

    board_open(&b, 1);
    PcConfig cfg = board_config(&b);
    g_assert_true(board_build(&b, &cfg, NULL));
    machine_reset(b.m);
    IsaBus *isa = machine_service(b.m, "isa");
    Vcpu *v = &b.vcpu[0];
    g_assert_nonnull(v->ferr);
    g_assert_false(isa->irq[13].level);
    as_store(b.m->io, 0xf0, 0, 1);                      /* nothing to ignore */
    g_assert_false(atomic_load(&v->ignne));
    v->ferr(v->ferr_opaque, true);
    g_assert_true(isa->irq[13].level);
    g_assert_false(atomic_load(&v->ignne));
    as_store(b.m->io, 0xf0, 0, 1);
    g_assert_false(isa->irq[13].level);
    g_assert_true(atomic_load(&v->ignne));
    v->ferr(v->ferr_opaque, false);
    g_assert_false(atomic_load(&v->ignne));
    v->ferr(v->ferr_opaque, true);
    machine_reset(b.m);
    g_assert_false(isa->irq[13].level);
    board_close(&b);
}

static void test_a20(void)
{
    Board b;

    board_open(&b, 2);
    PcConfig cfg = board_config(&b);
    g_assert_true(board_build(&b, &cfg, NULL));
    as_store(b.m->io, 0x92, 0x00, 1);
    for (unsigned i = 0; i < 2; i++) {
        vcpu_run_work(&b.vcpu[i]);
        g_assert_cmphex(b.vcpu[i].a20_mask & 1 << 20, ==, 0);
    }
    as_store(b.m->io, 0x92, 0x02, 1);
    for (unsigned i = 0; i < 2; i++) {
        vcpu_run_work(&b.vcpu[i]);
        g_assert_cmphex(b.vcpu[i].a20_mask & 1 << 20, !=, 0);
    }
    board_close(&b);
}

static void test_boot_order_file(void)
{
    Board b;
    size_t len;

    board_open(&b, 1);
    PcConfig cfg = board_config(&b);
    cfg.drives[0] = (PcDrive){ PC_DRIVE_IDE, .index = 2, .cdrom = true, .boot_index = 1, .id = "cd" };
    cfg.drives[1] = (PcDrive){ PC_DRIVE_FLOPPY, .index = 1, .boot_index = 0, .id = "fd" };
    cfg.n_drives = 2;
    g_assert_true(board_build(&b, &cfg, NULL));
    const char *order = fw_cfg_file(machine_service(b.m, "fw_cfg"), "bootorder", &len);
    g_assert_cmpstr(order, ==, "/pci@i0cf8/isa@1/fdc@03f0/floppy@1\n"
                    "/pci@i0cf8/ide@1,1/drive@1/disk@0\n");
    g_assert_cmpuint(len, ==, strlen(order) + 1);
    g_assert_cmphex(cmos(&b, 0x10), ==, 0x04);
    g_assert_cmphex(cmos(&b, 0x14) & 0x41, ==, 0x01);
    board_close(&b);
}

static void test_no_acpi(void)
{
    Board b;
    size_t len;

    board_open(&b, 1);
    PcConfig cfg = board_config(&b);
    cfg.acpi = false;
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_null(fw_cfg_file(machine_service(b.m, "fw_cfg"), "etc/acpi/tables", &len));
    g_assert_null(machine_find(b.m, "PIIX4_PM"));
    board_close(&b);
}

static void test_refusals(void)
{
    static char *const bad_global[] = { "mc146818rtc.bse=5", NULL };
    Board b;

    for (unsigned i = 0; i < 9; i++) {
        board_open(&b, 1);
        PcConfig cfg = board_config(&b);
        g_autofree char *small = board_file(&b, "small.bin", "x", 1);
        switch (i) {
        case 0: cfg.ram_size = 512 << 10; board_refuses(&b, &cfg, "1 MiB to 512 GiB"); break;
        case 1: cfg.ram_size = 1ull << 50; board_refuses(&b, &cfg, "1 MiB to 512 GiB"); break;
        case 2: cfg.ram_size = MIB + 5; board_refuses(&b, &cfg, "multiple of 4 KiB"); break;
        case 3: cfg.bios = "/nowhere/bios.bin"; board_refuses(&b, &cfg, "/nowhere/bios.bin"); break;
        case 4: cfg.bios = small; board_refuses(&b, &cfg, "64 KiB to 16 MiB"); break;
        case 5: cfg.boot_order = "cx"; board_refuses(&b, &cfg, "'x'"); break;
        case 6: cfg.boot_order = "cc"; board_refuses(&b, &cfg, "twice"); break;
        case 7: cfg.vga = "sdt"; board_refuses(&b, &cfg, "std"); break;
        case 8: cfg.global_props = (char **)bad_global; board_refuses(&b, &cfg, "base"); break;
        }
        board_close(&b);
    }
    board_open(&b, 0);
    PcConfig cfg = board_config(&b);
    board_refuses(&b, &cfg, "1 to 64 processors");
    board_close(&b);
}

static void test_firmware_find(void)
{
    Board b;
    g_autoptr(GError) err = NULL;

    board_open(&b, 1);
    const char *dirs[] = { b.dir, NULL };
    g_autofree char *found = firmware_find(dirs, "bios.bin", NULL);
    g_assert_cmpstr(found, ==, b.bios);
    g_assert_null(firmware_find(dirs, "no-such-firmware.bin", &err));
    g_assert_nonnull(strstr(err->message, "install seabios"));
    g_assert_nonnull(strstr(err->message, b.dir));
    board_close(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pc/memory-sizes", test_memory_sizes);
    g_test_add_func("/pc/cmos", test_cmos);
    g_test_add_func("/pc/bios-places", test_bios_places);
    g_test_add_func("/pc/interrupts", test_interrupts_reach_both_controllers);
    g_test_add_func("/pc/numeric-error", test_numeric_error);
    g_test_add_func("/pc/a20", test_a20);
    g_test_add_func("/pc/boot-order", test_boot_order_file);
    g_test_add_func("/pc/no-acpi", test_no_acpi);
    g_test_add_func("/pc/refusals", test_refusals);
    g_test_add_func("/pc/firmware-find", test_firmware_find);
    return g_test_run();
}
