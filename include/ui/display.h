/*
 * ui/display.h - a picture that a device paints and any number of viewers show.
 *
 * Viewers pull: at their own pace they call display_refresh(), the device paints what the guest
 * changed and reports rectangles.  No viewer, no painting.  With the machine lock held.
 */
#ifndef UI_DISPLAY_H
#define UI_DISPLAY_H

#include <glib.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Display Display;

typedef struct DisplaySource {      /* the device's side */
    void (*refresh)(void *dev);     /* paint what changed into the surface, then display_damage() */
    void (*invalidate)(void *dev);  /* the next refresh paints all */
    char *(*text)(void *dev);       /* text mode: the screen's text, one line a row; else NULL */
} DisplaySource;

typedef struct DisplayViewer {      /* SDL, screenshot, test; any may be NULL */
    void (*resized)(void *v, pixman_image_t *surface);
    void (*damaged)(void *v, int x, int y, int w, int h);
} DisplayViewer;

Display *display_new(const DisplaySource *src, void *dev);
void display_free(Display *d);
/* A new x8r8g8b8 surface of this size (1x1 to 8192x8192), black; the old one is gone.  Without the
 * memory for it the old one is kept and returned: look at the size of what you get. */
pixman_image_t *display_resize(Display *d, int w, int h);
pixman_image_t *display_surface(Display *d);
void display_damage(Display *d, int x, int y, int w, int h);
void display_attach(Display *d, const DisplayViewer *v, void *opaque);
void display_detach(Display *d, void *opaque);
void display_refresh(Display *d);
char *display_text(Display *d);             /* NULL: a graphics mode */
bool display_screendump(Display *d, const char *path, GError **errp);   /* PNG */

#endif
