/*
 * ui/display: damage and viewers, PNG screenshots read back with libpng; ui/ui: the -display table.
 */
#include <glib/gstdio.h>
#include <png.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ui/display.h"
#include "ui/ui.h"

typedef struct Painter {
    Display *display;
    unsigned refreshes;
    bool paint;
    char *text;
} Painter;

static void painter_refresh(void *dev)
{
    Painter *p = dev;

    p->refreshes++;
    if (p->paint) {     /* two touching rectangles, one that sticks out, one outside */
        display_damage(p->display, 0, 0, 10, 4);
        display_damage(p->display, 0, 4, 10, 4);
        display_damage(p->display, 30, -5, 100, 10);
        display_damage(p->display, 50, 50, 5, 5);
    }
}

static char *painter_text(void *dev)
{
    return g_strdup(((Painter *)dev)->text);
}

static const DisplaySource painter_source = { .refresh = painter_refresh, .text = painter_text };

typedef struct Seen {
    GString *text;
} Seen;

static void seen_resized(void *v, pixman_image_t *surface)
{
    g_string_append_printf(((Seen *)v)->text, "%dx%d ", pixman_image_get_width(surface),
                           pixman_image_get_height(surface));
}

static void seen_damaged(void *v, int x, int y, int w, int h)
{
    g_string_append_printf(((Seen *)v)->text, "[%d,%d %dx%d] ", x, y, w, h);
}

static const DisplayViewer seen_viewer = { .resized = seen_resized, .damaged = seen_damaged };

static void test_viewers(void)
{
    Painter p = { .paint = true };
    Seen seen = { g_string_new(NULL) };

    p.display = display_new(&painter_source, &p);
    display_resize(p.display, 40, 30);
    display_attach(p.display, &seen_viewer, &seen);
    g_assert_cmpstr(seen.text->str, ==, "40x30 [0,0 40x30] ");
    g_string_truncate(seen.text, 0);
    display_refresh(p.display);
    g_assert_cmpuint(p.refreshes, ==, 1);
    g_assert_cmpstr(seen.text->str, ==, "[0,0 10x5] [30,0 10x5] [0,5 10x3] ");
    g_string_truncate(seen.text, 0);
    display_resize(p.display, 0, 20000);
    g_assert_cmpstr(seen.text->str, ==, "1x8192 [0,0 1x8192] ");
    g_string_truncate(seen.text, 0);
    display_detach(p.display, &seen);
    display_refresh(p.display);
    g_assert_cmpstr(seen.text->str, ==, "");
    g_assert_null(display_text(p.display));
    p.text = "C:\\>";
    g_autofree char *text = display_text(p.display);
    g_assert_cmpstr(text, ==, "C:\\>");
    display_free(p.display);
    g_string_free(seen.text, TRUE);
}

static void test_screendump_round_trip(void)
{
    g_autofree char *dir = g_dir_make_tmp("tinamou-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "screen.png", NULL);
    Painter p = { 0 };
    GError *err = NULL;
    enum { W = 37, H = 11 };

    p.display = display_new(&painter_source, &p);
    pixman_image_t *img = display_resize(p.display, W, H);
    uint32_t *pixels = pixman_image_get_data(img);
    unsigned stride = pixman_image_get_stride(img) / 4;
    for (unsigned y = 0; y < H; y++) {
        for (unsigned x = 0; x < W; x++) {
            pixels[y * stride + x] = 0xaa000000u | (x * 7) << 16 | (y * 23) << 8 | (x ^ y);
        }
    }
    g_assert_true(g_file_set_contents(path, "an older file", -1, NULL));
    g_assert_true(display_screendump(p.display, path, &err));
    g_assert_no_error(err);
    g_assert_cmpuint(p.refreshes, ==, 1);

    png_image png = { .version = PNG_IMAGE_VERSION };
    g_assert_true(png_image_begin_read_from_file(&png, path));
    png.format = PNG_FORMAT_RGB;
    g_assert_cmpuint(png.width, ==, W);
    g_assert_cmpuint(png.height, ==, H);
    uint8_t rgb[W * H * 3];
    g_assert_true(png_image_finish_read(&png, NULL, rgb, 0, NULL));
    for (unsigned y = 0; y < H; y++) {
        for (unsigned x = 0; x < W; x++) {
            const uint8_t *at = rgb + (y * W + x) * 3;
            g_assert_cmphex(at[0] << 16 | at[1] << 8 | at[2], ==, pixels[y * stride + x] & 0xffffff);
        }
    }
    /* Nothing but the picture is left in the folder. */
    GDir *d = g_dir_open(dir, 0, NULL);
    g_assert_cmpstr(g_dir_read_name(d), ==, "screen.png");
    g_assert_null(g_dir_read_name(d));
    g_dir_close(d);
    g_unlink(path);
    g_rmdir(dir);
    display_free(p.display);
}

static void test_screendump_refusals(void)
{
    Painter p = { 0 };
    GError *err = NULL;
    struct stat before, after;

    p.display = display_new(&painter_source, &p);
    g_assert_false(display_screendump(p.display, "/no/such/folder/x.png", &err));
    g_assert_nonnull(strstr(err->message, "/no/such/folder/x.png"));
    g_clear_error(&err);
    stat("/dev/null", &before);
    g_assert_false(display_screendump(p.display, "/dev/null", &err));
    g_assert_nonnull(strstr(err->message, "not a regular file"));
    g_clear_error(&err);
    stat("/dev/null", &after);
    g_assert_cmpuint(before.st_ino, ==, after.st_ino);
    display_free(p.display);
}

static void test_backends(void)
{
    GError *err = NULL;
    UiConfig cfg = { .machine = machine_new(clock_new_manual()) };

    g_assert_cmpstr(ui_find("none", &err)->name, ==, "none");
    g_assert_cmpstr(ui_find("sdl,full-screen=on", &err)->name, ==, "sdl");
    g_assert_null(ui_find("non", &err));
    g_assert_nonnull(strstr(err->message, "'none'"));
    g_clear_error(&err);
    g_unsetenv("DISPLAY");
    g_unsetenv("WAYLAND_DISPLAY");
    g_assert_cmpstr(ui_default()->name, ==, "none");

    Ui *ui = ui_open(ui_find("none", NULL), &cfg, &err);
    g_assert_nonnull(ui);
    ui_close(ui);
    ui_close(NULL);
    cfg.options = "full-screen=on";
    g_assert_null(ui_open(ui_find("none", NULL), &cfg, &err));
    g_clear_error(&err);
    cfg.options = "full-scren=on";
    g_assert_null(ui_open(ui_find("sdl", NULL), &cfg, &err));
    g_assert_nonnull(strstr(err->message, "'full-screen'"));
    g_clear_error(&err);
    cfg.options = "window-close=maybe";
    g_assert_null(ui_open(ui_find("sdl", NULL), &cfg, &err));
    g_assert_nonnull(strstr(err->message, "maybe"));
    g_clear_error(&err);
    cfg.options = NULL;
    g_assert_null(ui_open(ui_find("sdl", NULL), &cfg, &err));
    g_assert_nonnull(strstr(err->message, "no screen"));
    g_clear_error(&err);
    machine_free(cfg.machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/display/viewers", test_viewers);
    g_test_add_func("/display/screendump-round-trip", test_screendump_round_trip);
    g_test_add_func("/display/screendump-refusals", test_screendump_refusals);
    g_test_add_func("/display/backends", test_backends);
    return g_test_run();
}
