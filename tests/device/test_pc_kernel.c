/*
 * -kernel: Linux, multiboot and PVH images made here, whole and damaged; what the option ROM is told.
 */
#include "board_harness.h"

#include <elf.h>
#include "util/bits.h"

enum { SETUP = 3 * 512, BODY = 5000, KEY_PIECES = 0x2000, PARAMS = 0x40, LOADS = 36, LOAD = 12 };

typedef struct Piece {
    uint32_t key, addr, len;
} Piece;

static const uint8_t *rom(Board *b)
{
    size_t len;
    const uint8_t *r = fw_cfg_file(machine_service(b->m, "fw_cfg"), "genroms/kernel.bin", &len);

    g_assert_nonnull(r);
    return r;
}

static uint32_t param(Board *b, unsigned n)     /* entry, eax, ebx, map_at, ... */
{
    return ld32le(rom(b) + PARAMS + 4 + 4 * n);
}

/* The piece that goes to addr. */
static Piece piece_at(Board *b, uint32_t addr)
{
    const uint8_t *p = rom(b) + PARAMS;

    for (unsigned i = 0; i < ld16le(p + 2); i++) {
        const uint8_t *l = p + LOADS + LOAD * i;

        if (ld32le(l + 4) == addr) {
            return (Piece){ ld32le(l), addr, ld32le(l + 8) };
        }
    }
    g_error("nothing is loaded at 0x%x", addr);
}

static void fetch(Board *b, Piece p, void *buf, size_t len)
{
    as_store(b->m->io, 0x510, p.key, 2);
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)buf)[i] = as_load(b->m->io, 0x511, 1);
    }
}

/* ---- Linux ---- */

static uint8_t *linux_image(unsigned version, bool high)
{
    uint8_t *k = g_malloc0(SETUP + BODY);

    k[0x1f1] = SETUP / 512 - 1;
    st16le(k + 0x1fe, 0xaa55);
    memcpy(k + 0x202, "HdrS", 4);
    st16le(k + 0x206, version);
    k[0x211] = high;
    st32le(k + 0x22c, 0x7fffffff);
    st32le(k + 0x238, 2047);
    st64le(k + 0x258, 0x1000000);
    st32le(k + 0x260, 0x300000);
    memset(k + SETUP, 0x5a, BODY);
    return k;
}

static void test_linux(void)
{
    Board b;
    g_autofree uint8_t *k = linux_image(0x20f, true);
    uint8_t setup[SETUP], text[32];

    board_open(&b, 1);
    g_autofree char *path = board_file(&b, "bzImage", k, SETUP + BODY);
    g_autofree char *initrd = board_file(&b, "initrd", "initrd!", 7);
    PcConfig cfg = board_config(&b);
    cfg.kernel = path;
    cfg.initrd = initrd;
    cfg.append = "console=ttyS0 vga=0x317";
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_cmpuint(ld16le(rom(&b) + PARAMS), ==, 0);
    g_assert_cmphex(param(&b, 0), ==, 0x1000);
    fetch(&b, piece_at(&b, 0x10000), setup, SETUP);
    g_assert_cmphex(setup[0x210], ==, 0xff);
    g_assert_cmphex(setup[0x211], ==, 0x81);
    g_assert_cmphex(ld16le(setup + 0x1fa), ==, 0x317);
    uint32_t initrd_at = ld32le(setup + 0x218);
    g_assert_cmpuint(ld32le(setup + 0x21c), ==, 7);
    g_assert_cmphex(initrd_at, ==, (64 << 20) - (1 << 20) - 4096);
    fetch(&b, piece_at(&b, initrd_at), text, 7);
    g_assert_cmpmem(text, 7, "initrd!", 7);
    fetch(&b, piece_at(&b, ld32le(setup + 0x228)), text, 24);
    g_assert_cmpstr((char *)text, ==, "console=ttyS0 vga=0x317");
    g_assert_cmpuint(piece_at(&b, 0x100000).len, ==, BODY);

    uint8_t sum = 0;
    for (unsigned i = 0; i < 512u * rom(&b)[2]; i++) {
        sum += rom(&b)[i];
    }
    g_assert_cmpuint(sum, ==, 0);
    size_t len;
    g_assert_cmpstr(fw_cfg_file(machine_service(b.m, "fw_cfg"), "bootorder", &len), ==,
                    "/rom@genroms/kernel.bin\n");
    board_close(&b);
}

static void test_old_linux(void)
{
    Board b;
    g_autofree uint8_t *k = linux_image(0x201, false);
    uint8_t setup[SETUP], text[8];

    board_open(&b, 1);
    g_autofree char *path = board_file(&b, "zImage", k, SETUP + BODY);
    PcConfig cfg = board_config(&b);
    cfg.kernel = path;
    cfg.append = "ro";
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_cmphex(param(&b, 0), ==, 0x9000);
    fetch(&b, piece_at(&b, 0x90000), setup, SETUP);
    g_assert_cmphex(ld16le(setup + 0x20), ==, 0xa33f);
    fetch(&b, piece_at(&b, 0x90000 + ld16le(setup + 0x22)), text, 3);
    g_assert_cmpstr((char *)text, ==, "ro");
    g_assert_cmpuint(piece_at(&b, 0x10000).len, ==, BODY);
    board_close(&b);
}

/* ---- ELF: multiboot and PVH ---- */

typedef struct Elf {
    Elf64_Ehdr head;
    Elf64_Phdr load, note;
    struct { uint32_t name_size, desc_size, type; char name[4]; uint32_t entry; } pvh;
    uint32_t multiboot[3], code[4];
} Elf;

static Elf elf_image(bool multiboot, bool pvh)
{
    Elf e = {
        .head = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_entry = 0xffffffff80000010,
                  .e_phoff = offsetof(Elf, load), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = pvh ? 2 : 1 },
        .load = { .p_type = PT_LOAD, .p_offset = offsetof(Elf, code), .p_vaddr = 0xffffffff80000000,
                  .p_paddr = 0x200000, .p_filesz = 16, .p_memsz = 0x5000 },
        .note = { .p_type = PT_NOTE, .p_offset = offsetof(Elf, pvh), .p_filesz = sizeof(e.pvh) },
        .pvh = { 4, 4, 18, "Xen", 0x200004 },
        .code = { 1, 2, 3, 4 },
    };

    memcpy(e.head.e_ident, ELFMAG, SELFMAG);
    e.head.e_ident[EI_CLASS] = ELFCLASS64;
    e.head.e_ident[EI_DATA] = ELFDATA2LSB;
    if (multiboot) {
        e.multiboot[0] = 0x1badb002;
        e.multiboot[1] = 3;
        e.multiboot[2] = -(0x1badb002 + 3);
    }
    return e;
}

static void test_multiboot_elf(void)
{
    Board b;
    Elf e = elf_image(true, false);
    uint8_t info[128], text[64];

    board_open(&b, 1);
    g_autofree char *path = board_file(&b, "mb.elf", &e, sizeof(e));
    g_autofree char *one = board_file(&b, "one", "1", 1), *two = board_file(&b, "two", "22", 2);
    g_autofree char *modules = g_strdup_printf("%s a=b,%s", one, two);
    PcConfig cfg = board_config(&b);
    cfg.kernel = path;
    cfg.append = "hello";
    cfg.initrd = modules;
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_cmpuint(ld16le(rom(&b) + PARAMS), ==, 1);
    g_assert_cmphex(param(&b, 0), ==, 0x200010);        /* the entry, made physical */
    g_assert_cmphex(param(&b, 1), ==, 0x2badb002);
    uint32_t at = param(&b, 2);
    g_assert_cmpuint(piece_at(&b, 0x200000).len, ==, 0x5000);
    Piece p = piece_at(&b, at);
    g_autofree uint8_t *all = g_malloc(p.len);
    fetch(&b, p, all, p.len);
    memcpy(info, all, sizeof(info));
    g_assert_cmphex(ld32le(info), ==, 0x24d);
    g_assert_true(g_str_has_suffix((char *)all + (ld32le(info + 16) - at), "mb.elf hello"));
    g_assert_cmpuint(ld32le(info + 20), ==, 2);
    const uint8_t *mods = all + (ld32le(info + 24) - at);
    g_assert_cmphex(ld32le(mods), ==, 0x205000);
    g_assert_cmphex(ld32le(mods + 4), ==, 0x205001);
    g_assert_true(g_str_has_suffix((char *)all + (ld32le(mods + 8) - at), "one a=b"));
    g_assert_cmphex(ld32le(mods + 16), ==, 0x206000);
    fetch(&b, piece_at(&b, 0x206000), text, 2);
    g_assert_cmpmem(text, 2, "22", 2);
    g_assert_cmphex(param(&b, 3), ==, ld32le(info + 48) + 4);   /* the map: first size before it */
    g_assert_cmpuint(ld32le(all + (ld32le(info + 48) - at)), ==, 20);
    board_close(&b);
}

static void test_multiboot_addresses(void)
{
    Board b;
    uint8_t k[4096] = { 0 };

    board_open(&b, 1);
    st32le(k + 64, 0x1badb002);
    st32le(k + 68, 0x10000);
    st32le(k + 72, -(0x1badb002 + 0x10000));
    st32le(k + 76, 0x100040);           /* header */
    st32le(k + 80, 0x100010);           /* the image leaves out the file's first 16 bytes */
    st32le(k + 84, 0x100810);
    st32le(k + 88, 0x102000);
    st32le(k + 92, 0x100123);
    k[16] = 0x77;
    g_autofree char *path = board_file(&b, "mb.bin", k, sizeof(k));
    PcConfig cfg = board_config(&b);
    cfg.kernel = path;
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_cmphex(param(&b, 0), ==, 0x100123);
    Piece p = piece_at(&b, 0x100010);
    g_assert_cmphex(p.len, ==, 0x1ff0);
    fetch(&b, p, k, 1);
    g_assert_cmphex(k[0], ==, 0x77);
    board_close(&b);
}

static void test_pvh(void)
{
    Board b;
    Elf e = elf_image(false, true);
    uint8_t info[128];

    board_open(&b, 1);
    g_autofree char *path = board_file(&b, "vmlinux", &e, sizeof(e));
    g_autofree char *initrd = board_file(&b, "initrd", "initrd!", 7);
    PcConfig cfg = board_config(&b);
    cfg.kernel = path;
    cfg.initrd = initrd;
    g_assert_true(board_build(&b, &cfg, NULL));
    g_assert_cmphex(param(&b, 0), ==, 0x200004);
    uint32_t at = param(&b, 2);
    fetch(&b, piece_at(&b, at), info, sizeof(info));
    g_assert_cmphex(ld32le(info), ==, 0x336ec578);
    g_assert_cmpuint(ld32le(info + 4), ==, 1);
    g_assert_cmpuint(ld32le(info + 12), ==, 1);
    const uint8_t *module = info + (ld64le(info + 16) - at);
    g_assert_cmpuint(ld64le(module + 8), ==, 7);
    g_assert_cmpuint(piece_at(&b, ld64le(module)).len, ==, 7);
    g_assert_cmphex(param(&b, 3), ==, ld64le(info + 40));
    g_assert_cmphex(param(&b, 6), ==, at + 48);
    board_close(&b);
}

/* ---- what is no kernel, or a damaged one ---- */

static void refuse_image(const void *data, size_t len, const char *word)
{
    Board b;

    board_open(&b, 1);
    g_autofree char *path = board_file(&b, "image", data, len);
    PcConfig cfg = board_config(&b);
    cfg.kernel = path;
    board_refuses(&b, &cfg, word);
    board_close(&b);
}

static void test_not_kernels(void)
{
    g_autofree uint8_t *zeros = g_malloc0(40000);
    g_autofree uint8_t *k = linux_image(0x20f, true);
    Elf e = elf_image(false, false);

    refuse_image("", 0, "empty");
    refuse_image("x", 1, "nothing known");
    refuse_image(zeros, 40000, "nothing known");
    memcpy(zeros + 0x8001, "CD001", 5);
    refuse_image(zeros, 40000, "-cdrom");
    refuse_image("\x1f\x8b\x08", 3, "gzip");
    refuse_image(&e, sizeof(e), "PVH entry note");
    refuse_image(k, SETUP, "cut off");
    refuse_image(k, 0x268, "cut off");
    st16le(k + 0x206, 0x1ff);
    refuse_image(k, SETUP + BODY, "protocol 1.255");
}

static void test_damaged_elf(void)
{
    static const struct { size_t at; uint64_t val; const char *word; } damage[] = {
        { offsetof(Elf, load.p_offset), 1 << 20, "cut off or damaged" },
        { offsetof(Elf, load.p_offset), ~0ull, "cut off or damaged" },
        { offsetof(Elf, load.p_filesz), ~0ull, "cut off or damaged" },
        { offsetof(Elf, load.p_memsz), 8, "cut off or damaged" },
        { offsetof(Elf, load.p_memsz), ~0ull, "-m" },
        { offsetof(Elf, load.p_memsz), 1ull << 30, "-m" },
        { offsetof(Elf, load.p_paddr), ~0ull - 4, "-m" },
        { offsetof(Elf, load.p_paddr), 0x1000, "below 1 MiB" },
        { offsetof(Elf, load.p_memsz), 0, "nothing to load" },
        { offsetof(Elf, head.e_phoff), ~0ull - 8, "nothing known" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(damage); i++) {
        Elf e = elf_image(true, false);

        st64le((uint8_t *)&e + damage[i].at, damage[i].val);
        refuse_image(&e, sizeof(e), i == 9 ? "nothing to load" : damage[i].word);
    }
    Elf e = elf_image(true, true);
    e.head.e_machine = EM_AARCH64;
    refuse_image(&e, sizeof(e), "another processor");
    e = elf_image(true, false);
    e.multiboot[1] = 7;
    e.multiboot[2] = -(0x1badb002 + 7);
    refuse_image(&e, sizeof(e), "graphics mode");
}

static void test_options_that_do_not_fit(void)
{
    Board b;
    g_autofree uint8_t *k = linux_image(0x20f, true);
    g_autofree char *long_line = g_strnfill(3000, 'a');
    g_autofree uint8_t *big = g_malloc0(4 << 20);

    for (unsigned i = 0; i < 5; i++) {
        board_open(&b, 1);
        g_autofree char *path = board_file(&b, "bzImage", k, SETUP + BODY);
        g_autofree char *initrd = board_file(&b, "initrd", big, 4 << 20);
        PcConfig cfg = board_config(&b);
        cfg.kernel = path;
        cfg.ram_size = 5 << 20;
        switch (i) {
        case 0: cfg.append = long_line; board_refuses(&b, &cfg, "3000 characters"); break;
        case 1: cfg.initrd = initrd; board_refuses(&b, &cfg, "do not fit"); break;
        case 2: cfg.initrd = "/nowhere/initrd"; board_refuses(&b, &cfg, "no such file"); break;
        case 3: cfg.kernel = NULL; cfg.append = "x"; board_refuses(&b, &cfg, "-kernel"); break;
        case 4: cfg.kernel = b.dir; board_refuses(&b, &cfg, "plain file"); break;
        }
        board_close(&b);
    }
}

/* Any byte changed: loaded or refused with words, nothing else. */
static void test_random_damage(void)
{
    g_autoptr(GRand) r = g_rand_new_with_seed(3);
    g_autofree uint8_t *bz = linux_image(0x20f, true);
    Elf mb = elf_image(true, false), pvh = elf_image(false, true);
    const struct { const void *data; size_t len, head; } images[] = {
        { bz, SETUP + BODY, SETUP }, { &mb, sizeof(mb), sizeof(mb) }, { &pvh, sizeof(pvh), sizeof(pvh) },
    };

    for (unsigned i = 0; i < 300; i++) {
        unsigned which = i % G_N_ELEMENTS(images);
        g_autofree uint8_t *data = g_memdup2(images[which].data, images[which].len);
        g_autoptr(GError) err = NULL;
        Board b;

        for (unsigned n = g_rand_int_range(r, 1, 6); n; n--) {
            data[g_rand_int_range(r, 0, images[which].head)] = g_rand_int(r);
        }
        board_open(&b, 1);
        g_autofree char *path = board_file(&b, "image", data, g_rand_int_range(r, 1, images[which].len + 1));
        PcConfig cfg = board_config(&b);
        cfg.kernel = path;
        g_assert_cmpint(board_build(&b, &cfg, &err), ==, !err);
        board_close(&b);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kernel/linux", test_linux);
    g_test_add_func("/kernel/old-linux", test_old_linux);
    g_test_add_func("/kernel/multiboot-elf", test_multiboot_elf);
    g_test_add_func("/kernel/multiboot-addresses", test_multiboot_addresses);
    g_test_add_func("/kernel/pvh", test_pvh);
    g_test_add_func("/kernel/not-kernels", test_not_kernels);
    g_test_add_func("/kernel/damaged-elf", test_damaged_elf);
    g_test_add_func("/kernel/options", test_options_that_do_not_fit);
    g_test_add_func("/kernel/random-damage", test_random_damage);
    return g_test_run();
}
