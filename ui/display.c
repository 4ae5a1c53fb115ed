/*
 * The picture between the device that paints it and those who show it; screenshots of it.
 *
 * Damage that a device reports while it refreshes is gathered in a region, and told to the viewers
 * as few rectangles once the refresh is over.
 */
#include "ui/display.h"
#include "util/error.h"

#include <png.h>
#include <sys/stat.h>

enum { MAX_SIDE = 8192 };

typedef struct Viewer {
    const DisplayViewer *ops;
    void *opaque;
    struct Viewer *next;
} Viewer;

struct Display {
    const DisplaySource *src;
    void *dev;
    pixman_image_t *surface;
    pixman_region32_t damage;
    Viewer *viewers;
    bool refreshing;
};

Display *display_new(const DisplaySource *src, void *dev)
{
    Display *d = g_new0(Display, 1);

    d->src = src;
    d->dev = dev;
    pixman_region32_init(&d->damage);
    display_resize(d, 640, 400);
    g_assert(d->surface);
    return d;
}

void display_free(Display *d)
{
    if (!d) {
        return;
    }
    while (d->viewers) {
        display_detach(d, d->viewers->opaque);
    }
    pixman_region32_fini(&d->damage);
    pixman_image_unref(d->surface);
    g_free(d);
}

pixman_image_t *display_surface(Display *d)
{
    return d->surface;
}

pixman_image_t *display_resize(Display *d, int w, int h)
{
    w = CLAMP(w, 1, MAX_SIDE);
    h = CLAMP(h, 1, MAX_SIDE);
    pixman_image_t *surface = pixman_image_create_bits(PIXMAN_x8r8g8b8, w, h, NULL, 0);     /* zeroed */
    if (!surface) {
        return d->surface;
    }
    if (d->surface) {
        pixman_image_unref(d->surface);
    }
    d->surface = surface;
    pixman_region32_clear(&d->damage);
    for (Viewer *v = d->viewers; v; v = v->next) {
        if (v->ops->resized) {
            v->ops->resized(v->opaque, d->surface);
        }
    }
    display_damage(d, 0, 0, w, h);
    return d->surface;
}

static void tell_damage(Display *d)
{
    int n;
    const pixman_box32_t *box = pixman_region32_rectangles(&d->damage, &n);

    for (Viewer *v = d->viewers; v; v = v->next) {
        for (int i = 0; i < n && v->ops->damaged; i++) {
            v->ops->damaged(v->opaque, box[i].x1, box[i].y1, box[i].x2 - box[i].x1, box[i].y2 - box[i].y1);
        }
    }
    pixman_region32_clear(&d->damage);
}

void display_damage(Display *d, int x, int y, int w, int h)
{
    int x2 = MIN(x + w, pixman_image_get_width(d->surface));
    int y2 = MIN(y + h, pixman_image_get_height(d->surface));

    x = MAX(x, 0);
    y = MAX(y, 0);
    if (x < x2 && y < y2) {
        pixman_region32_union_rect(&d->damage, &d->damage, x, y, x2 - x, y2 - y);
    }
    if (!d->refreshing) {
        tell_damage(d);
    }
}

void display_attach(Display *d, const DisplayViewer *ops, void *opaque)
{
    Viewer *v = g_new(Viewer, 1);

    *v = (Viewer){ ops, opaque, d->viewers };
    d->viewers = v;
    if (ops->resized) {
        ops->resized(opaque, d->surface);
    }
    if (ops->damaged) {
        ops->damaged(opaque, 0, 0, pixman_image_get_width(d->surface), pixman_image_get_height(d->surface));
    }
}

void display_detach(Display *d, void *opaque)
{
    for (Viewer **p = &d->viewers; *p; p = &(*p)->next) {
        if ((*p)->opaque == opaque) {
            Viewer *v = *p;
            *p = v->next;
            g_free(v);
            return;
        }
    }
}

void display_refresh(Display *d)
{
    d->refreshing = true;
    d->src->refresh(d->dev);
    d->refreshing = false;
    tell_damage(d);
}

char *display_text(Display *d)
{
    return d->src->text ? d->src->text(d->dev) : NULL;
}

/* ---- screenshots ---- */

static void png_append(png_structp png, png_bytep data, size_t len)
{
    g_byte_array_append(png_get_io_ptr(png), data, len);
}

static void png_flush_nothing(png_structp png)
{
}

static void png_failed(png_structp png, png_const_charp text)
{
    g_strlcpy(png_get_error_ptr(png), text, 80);
    png_longjmp(png, 1);
}

/* In a function of its own, for nothing in it is freed or changed across the longjmp. */
static bool png_encode(pixman_image_t *img, GByteArray *out, char why[static 80])
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, why, png_failed, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;

    if (!info) {
        g_strlcpy(why, "out of memory", 80);
        png_destroy_write_struct(&png, NULL);
        return false;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_set_write_fn(png, out, png_append, png_flush_nothing);
    png_set_IHDR(png, info, pixman_image_get_width(img), pixman_image_get_height(img), 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_set_filler(png, 0, PNG_FILLER_AFTER);       /* x8r8g8b8 in a little-endian word is B G R x */
    png_set_bgr(png);
    for (int y = 0; y < pixman_image_get_height(img); y++) {
        png_write_row(png, (png_bytep)pixman_image_get_data(img) + (size_t)y * pixman_image_get_stride(img));
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}

/* The file appears whole or not at all: written beside its place under another name, then renamed. */
bool display_screendump(Display *d, const char *path, GError **errp)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GError *err = NULL;
    struct stat st;
    char why[80];

    display_refresh(d);
    /* Renaming over a device node would replace it. */
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        error_set(errp, "cannot write a screenshot to '%s': it is not a regular file", path);
        return false;
    }
    if (!png_encode(d->surface, bytes, why)) {
        error_set(errp, "cannot make a PNG of the screen: %s", why);
        return false;
    }
    if (!g_file_set_contents_full(path, (const char *)bytes->data, bytes->len,
                                  G_FILE_SET_CONTENTS_CONSISTENT, 0666, &err)) {
        error_set(errp, "cannot write a screenshot to '%s': %s", path, err->message);
        g_error_free(err);
        return false;
    }
    return true;
}
