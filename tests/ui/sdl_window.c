/*
 * A machine that is only a screen, a keyboard and a mouse, shown by -display sdl; test_sdl.py looks at
 * the window from outside and compares what it sees with what this prints.
 *
 * On stdin a line each: paint, resize, pause, resume.  On stdout: what arrives at the input sink.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ui/display.h"
#include "ui/input.h"
#include "ui/ui.h"

enum { PATIENCE_S = 60 };

typedef struct Guest {
    Machine *m;
    Display *display;
    bool changed;
    uint32_t middle;            /* colour of the rectangle in the middle */
    int w, h;
} Guest;

/* Four quarters in four colours, a rectangle of 40x20 in the middle. */
static void guest_refresh(void *dev)
{
    Guest *g = dev;
    pixman_image_t *s = display_surface(g->display);

    if (!g->changed) {
        return;
    }
    g->changed = false;
    if (pixman_image_get_width(s) != g->w || pixman_image_get_height(s) != g->h) {
        s = display_resize(g->display, g->w, g->h);
    }
    uint32_t *pixels = pixman_image_get_data(s);
    for (int y = 0; y < g->h; y++) {
        for (int x = 0; x < g->w; x++) {
            uint32_t c = y < g->h / 2 ? (x < g->w / 2 ? 0xff0000 : 0x00ff00) : (x < g->w / 2 ? 0x0000ff : 0xffff00);
            bool in_middle = ABS(x - g->w / 2) < 20 && ABS(y - g->h / 2) < 10;
            pixels[y * (pixman_image_get_stride(s) / 4) + x] = in_middle ? g->middle : c;
        }
    }
    display_damage(g->display, g->w / 2 - 20, g->h / 2 - 10, 40, 20);
}

static const DisplaySource guest_source = { .refresh = guest_refresh };

static void say(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

static void say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    fflush(stdout);
}

static void sink_key(void *dev, const InputKey *key, bool down)
{
    say("key %s %s\n", key->name, down ? "down" : "up");
}

static void sink_move(void *dev, int dx, int dy, int dz)
{
    say("move %d %d %d\n", dx, dy, dz);
}

static void sink_buttons(void *dev, unsigned mask)
{
    say("buttons %u\n", mask);
}

static void command(void *opaque, int fd, unsigned events)
{
    Guest *g = opaque;
    char text[256];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    if (n <= 0) {
        machine_request(g->m, MACHINE_QUIT);
        return;
    }
    text[n] = '\0';
    if (strstr(text, "paint")) {
        g->middle = 0xff00ff;
        g->changed = true;
    }
    if (strstr(text, "resize")) {
        g->w = 400;
        g->h = 300;
        g->changed = true;
    }
    if (strstr(text, "pause")) {
        clock_stop(g->m->clock);
    }
    if (strstr(text, "resume")) {
        clock_resume(g->m->clock);
    }
}

int main(int argc, char **argv)
{
    Guest g = { .m = machine_new(clock_new_host()), .changed = true, .middle = 0xffffff, .w = 320, .h = 240 };
    InputSink sink = { .key = sink_key, .move = sink_move, .buttons = sink_buttons };
    UiConfig cfg = { .machine = g.m, .name = "test", .options = argc > 1 ? argv[1] : NULL };
    GError *err = NULL;
    Input *in = input_new();

    machine_lock(g.m);
    clock_resume(g.m->clock);
    g.display = display_new(&guest_source, &g);
    machine_provide(g.m, "display", g.display);
    machine_provide(g.m, "input", in);
    input_add(in, &sink);
    const UiBackend *backend = ui_default();
    say("default %s\n", backend->name);
    Ui *ui = ui_open(backend, &cfg, &err);
    if (!ui) {
        say("error %s\n", err->message);
        return 1;
    }
    LoopWatch *watch = loop_watch(g.m->loop, 0, LOOP_IN, command, &g);
    machine_unlock(g.m);
    int64_t end = g_get_monotonic_time() + PATIENCE_S * G_USEC_PER_SEC;
    while (!(g.m->requests & MACHINE_QUIT) && g_get_monotonic_time() < end) {
        loop_run(g.m->loop, NS_PER_S);
    }
    machine_lock(g.m);
    say("quit\n");
    loop_unwatch(watch);
    ui_close(ui);
    display_free(g.display);
    input_free(in);
    machine_unlock(g.m);
    machine_free(g.m);
    return 0;
}
