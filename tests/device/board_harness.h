/*
 * A whole board without an engine: processors that never run, a firmware image of the test's own.
 */
#ifndef TESTS_DEVICE_BOARD_HARNESS_H
#define TESTS_DEVICE_BOARD_HARNESS_H

#include <glib/gstdio.h>
#include <string.h>
#include "core/machine.h"
#include "hw/fw_cfg.h"
#include "hw/isa.h"
#include "hw/pc.h"
#include "hw/pci.h"

enum { BOARD_MAX_CPUS = 64 };

typedef struct Board {
    Machine *m;
    Vcpu vcpu[BOARD_MAX_CPUS];
    unsigned cpus;
    char *dir, *bios;                   /* a directory for this test's files */
} Board;

static inline char *board_file(Board *b, const char *name, const void *data, size_t len)
{
    char *path = g_build_filename(b->dir, name, NULL);

    g_assert_true(g_file_set_contents(path, data, len, NULL));
    return path;
}

static inline void board_open(Board *b, unsigned cpus)
{
    g_autofree uint8_t *image = g_malloc(0x20000);

    *b = (Board){ .m = machine_new(clock_new_manual()), .cpus = cpus };
    machine_lock(b->m);
    for (unsigned i = 0; i < cpus; i++) {
        vcpu_init(&b->vcpu[i], b->m, i);
        g_ptr_array_add(b->m->vcpus, &b->vcpu[i]);
    }
    b->dir = g_dir_make_tmp("tinamou-board-XXXXXX", NULL);
    g_assert_nonnull(b->dir);
    for (unsigned i = 0; i < 0x20000; i++) {
        image[i] = i ^ i >> 8 ^ i >> 16;
    }
    b->bios = board_file(b, "bios.bin", image, 0x20000);
}

static inline PcConfig board_config(Board *b)
{
    return (PcConfig){ .ram_size = 64 << 20, .cpus = b->cpus, .bios = b->bios, .acpi = true, .vga = "none",
                       .graphics = true, .rtc_base = 1700000000 };
}

static inline bool board_build(Board *b, const PcConfig *cfg, GError **errp)
{
    if (!board_find("pc")->build(b->m, cfg, errp)) {
        return false;
    }
    machine_reset(b->m);
    return true;
}

/* The board must not build, and its error must speak of `word`. */
static inline void board_refuses(Board *b, const PcConfig *cfg, const char *word)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(board_find("pc")->build(b->m, cfg, &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, word)) {
        g_error("no '%s' in: %s", word, err->message);
    }
}

static inline void board_close(Board *b)
{
    const char *name;
    GDir *dir = g_dir_open(b->dir, 0, NULL);

    while (b->m->devices->len) {        /* they know the processors */
        device_free(g_ptr_array_index(b->m->devices, b->m->devices->len - 1));
    }
    for (unsigned i = 0; i < b->cpus; i++) {
        vcpu_fini(&b->vcpu[i]);
    }
    machine_unlock(b->m);
    machine_free(b->m);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(b->dir, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(b->dir);
    g_free(b->dir);
    g_free(b->bios);
}

#endif
