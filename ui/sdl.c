/*
 * -display sdl: the machine's screen in a window, its keyboard and mouse from it.
 *
 * All of SDL runs on the loop thread, from a timer source of the loop that takes SDL's events and
 * asks the display for what changed: every 16 ms while something happens, every 40 ms otherwise.
 * The picture is one texture that the renderer scales to the window; only damaged rectangles are
 * sent to it.  The mouse belongs to the host until a click into the window, and again after
 * Ctrl+Alt+G or when the window loses the focus.
 *
 * Not modelled: absolute pointers, clipboard, several screens, OpenGL for the guest.
 */
#include <SDL.h>

#include "backends.h"
#include "sdl-keys.h"
#include "ui/display.h"
#include "ui/input.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

enum { BUSY_MS = 16, IDLE_MS = 40, IDLE_AFTER = 60 };       /* ticks without news */
enum { NOT_OURS = SDL_WINDOW_FULLSCREEN | SDL_WINDOW_MAXIMIZED };   /* the window's size is the desktop's */
enum { OPT_FULL_SCREEN, OPT_WINDOW_CLOSE, OPT_INTEGER };

typedef struct SdlUi {
    Ui ui;
    Machine *machine;
    Display *display;
    Input *input;               /* NULL: a machine without keyboard and mouse */
    char *name;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    pixman_region32_t dirty;    /* of the texture */
    GSource *tick;
    int width, height;          /* of the guest's picture */
    int asked_w, asked_h;       /* of the window, by fit_window() */
    unsigned quiet_ticks;
    unsigned buttons;           /* pressed, as the guest knows */
    bool held[SDL_NUM_SCANCODES];       /* keys likewise */
    bool window_close, integer;
    bool grabbed, user_sized, exposed;
    bool shown_running;         /* as the title says */
} SdlUi;

static const UiOption sdl_options[] = {
    [OPT_FULL_SCREEN] = { "full-screen", "start with the whole screen (Ctrl+Alt+F)", false },
    [OPT_WINDOW_CLOSE] = { "window-close", "closing the window quits", true },
    [OPT_INTEGER] = { "integer-scaling", "scale by whole numbers only", false },
    { NULL },
};

/* ---- window ---- */

static void show_title(SdlUi *s)
{
    g_autofree char *title = g_strdup_printf("Tinamou%s%s%s%s%s", s->name ? " (" : "", s->name ? s->name : "",
                                             s->name ? ")" : "", s->shown_running ? "" : " [paused]",
                                             s->grabbed ? " - Ctrl+Alt+G releases the mouse" : "");
    SDL_SetWindowTitle(s->window, title);
}

/* The window follows the guest's mode until the user has given it a size; never larger than the screen. */
static void fit_window(SdlUi *s)
{
    SDL_Rect room = { 0, 0, s->width, s->height };
    int w = s->width, h = s->height;

    if (s->user_sized || SDL_GetWindowFlags(s->window) & NOT_OURS) {
        return;
    }
    SDL_GetDisplayUsableBounds(MAX(SDL_GetWindowDisplayIndex(s->window), 0), &room);
    if (w > room.w && room.w > 0) {
        h = MAX(1, (int64_t)h * room.w / w);
        w = room.w;
    }
    if (h > room.h && room.h > 0) {
        w = MAX(1, (int64_t)w * room.h / h);
        h = room.h;
    }
    s->asked_w = w;
    s->asked_h = h;
    SDL_SetWindowSize(s->window, w, h);
}

static void sdl_resized(void *opaque, pixman_image_t *surface)
{
    SdlUi *s = opaque;

    s->width = pixman_image_get_width(surface);
    s->height = pixman_image_get_height(surface);
    if (s->texture) {
        SDL_DestroyTexture(s->texture);
    }
    s->texture = SDL_CreateTexture(s->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, s->width,
                                   s->height);
    pixman_region32_fini(&s->dirty);
    pixman_region32_init_rect(&s->dirty, 0, 0, s->width, s->height);
    SDL_RenderSetLogicalSize(s->renderer, s->width, s->height);
    fit_window(s);
}

static void sdl_damaged(void *opaque, int x, int y, int w, int h)
{
    SdlUi *s = opaque;

    pixman_region32_union_rect(&s->dirty, &s->dirty, x, y, w, h);
}

static const DisplayViewer sdl_viewer = { .resized = sdl_resized, .damaged = sdl_damaged };

static void present(SdlUi *s)
{
    pixman_image_t *surface = display_surface(s->display);
    const uint8_t *pixels = (const uint8_t *)pixman_image_get_data(surface);
    int stride = pixman_image_get_stride(surface), n;
    const pixman_box32_t *box = pixman_region32_rectangles(&s->dirty, &n);

    if ((!n && !s->exposed) || !s->texture) {
        return;
    }
    for (int i = 0; i < n; i++) {
        SDL_Rect r = { box[i].x1, box[i].y1, box[i].x2 - box[i].x1, box[i].y2 - box[i].y1 };
        SDL_UpdateTexture(s->texture, &r, pixels + (size_t)r.y * stride + (size_t)r.x * 4, stride);
    }
    pixman_region32_clear(&s->dirty);
    s->exposed = false;
    SDL_SetRenderDrawColor(s->renderer, 0, 0, 0, 255);
    SDL_RenderClear(s->renderer);
    SDL_RenderCopy(s->renderer, s->texture, NULL, NULL);
    SDL_RenderPresent(s->renderer);
}

/* ---- keyboard and mouse ---- */

static void send_key(SdlUi *s, SDL_Scancode code, bool down)
{
    const InputKey *key = sdl_key(code);

    if (key && s->input && (down || s->held[code])) {
        s->held[code] = down;
        input_key(s->input, key, down);
    }
}

/* The guest must not believe that a key is down whose release another window will see. */
static void release_all(SdlUi *s)
{
    for (int code = 0; code < SDL_NUM_SCANCODES; code++) {
        send_key(s, code, false);
    }
    if (s->buttons && s->input) {
        s->buttons = 0;
        input_buttons(s->input, 0);
    }
}

static void set_grab(SdlUi *s, bool on)
{
    if (s->grabbed != on) {
        s->grabbed = on;
        SDL_SetRelativeMouseMode(on);
        SDL_SetWindowKeyboardGrab(s->window, on);
        show_title(s);
    }
}

static void set_full_screen(SdlUi *s, bool on)
{
    SDL_SetWindowFullscreen(s->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    if (!on) {
        fit_window(s);
    }
}

/* The window's own keys, Ctrl+Alt with a letter; true: taken. */
static bool hot_key(SdlUi *s, const SDL_KeyboardEvent *e)
{
    SDL_Keycode sym = e->keysym.sym;

    if (!(e->keysym.mod & KMOD_CTRL) || !(e->keysym.mod & KMOD_LALT)
        || (sym != SDLK_g && sym != SDLK_f && sym != SDLK_q)) {
        return false;
    }
    if (e->repeat) {
        return true;
    }
    release_all(s);
    if (sym == SDLK_g) {
        set_grab(s, !s->grabbed);
    } else if (sym == SDLK_f) {
        set_full_screen(s, !(SDL_GetWindowFlags(s->window) & SDL_WINDOW_FULLSCREEN));
    } else {
        machine_request(s->machine, MACHINE_QUIT);
    }
    return true;
}

static void button(SdlUi *s, const SDL_MouseButtonEvent *e)
{
    bool down = e->type == SDL_MOUSEBUTTONDOWN;
    unsigned bit = e->button == SDL_BUTTON_LEFT     ? INPUT_LEFT
                   : e->button == SDL_BUTTON_RIGHT  ? INPUT_RIGHT
                   : e->button == SDL_BUTTON_MIDDLE ? INPUT_MIDDLE
                                                    : 0;

    if (!s->grabbed) {          /* the click that takes the mouse is not the guest's */
        if (down && bit == INPUT_LEFT) {
            set_grab(s, true);
        }
        return;
    }
    unsigned now = down ? s->buttons | bit : s->buttons & ~bit;
    if (now != s->buttons && s->input) {
        s->buttons = now;
        input_buttons(s->input, now);
    }
}

static void window_event(SdlUi *s, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SIZE_CHANGED:
        s->exposed = true;
        break;
    case SDL_WINDOWEVENT_RESIZED:       /* by the user, or fit_window()'s answer */
        s->user_sized |= !(SDL_GetWindowFlags(s->window) & NOT_OURS)
                         && (e->data1 != s->asked_w || e->data2 != s->asked_h);
        s->exposed = true;
        break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        release_all(s);
        set_grab(s, false);
        break;
    case SDL_WINDOWEVENT_CLOSE:
        if (s->window_close) {
            machine_request(s->machine, MACHINE_QUIT);
        }
        break;
    default:
        break;
    }
}

static void take_event(SdlUi *s, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_KEYDOWN:
        if (!hot_key(s, &e->key) && !e->key.repeat) {       /* the guest's keyboard repeats by itself */
            send_key(s, e->key.keysym.scancode, true);
        }
        break;
    case SDL_KEYUP:
        send_key(s, e->key.keysym.scancode, false);
        break;
    case SDL_MOUSEMOTION:
        if (s->grabbed && s->input) {
            input_move(s->input, e->motion.xrel, e->motion.yrel, 0);
        }
        break;
    case SDL_MOUSEWHEEL:                /* SDL counts away from the user */
        if (s->grabbed && s->input) {
            input_move(s->input, 0, 0, -e->wheel.y);
        }
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        button(s, &e->button);
        break;
    case SDL_WINDOWEVENT:
        window_event(s, &e->window);
        break;
    case SDL_RENDER_TARGETS_RESET:      /* the texture's contents are lost */
    case SDL_RENDER_DEVICE_RESET:
        sdl_resized(s, display_surface(s->display));
        break;
    default:
        break;
    }
}

static gboolean tick(gpointer opaque)
{
    SdlUi *s = opaque;
    bool news = false;
    SDL_Event e;

    while (SDL_PollEvent(&e)) {
        news = true;
        take_event(s, &e);
    }
    if (s->shown_running != clock_running(s->machine->clock)) {
        s->shown_running = !s->shown_running;
        show_title(s);
    }
    if (!(SDL_GetWindowFlags(s->window) & (SDL_WINDOW_MINIMIZED | SDL_WINDOW_HIDDEN))) {
        display_refresh(s->display);
        news |= pixman_region32_not_empty(&s->dirty);
        present(s);
    }
    s->quiet_ticks = news ? 0 : s->quiet_ticks + 1;
    g_source_set_ready_time(s->tick, g_get_monotonic_time()
                            + 1000 * (s->quiet_ticks < IDLE_AFTER ? BUSY_MS : IDLE_MS));
    return G_SOURCE_CONTINUE;
}

/* ---- life cycle ---- */

static gboolean tick_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    return fn(opaque);
}

static const GSourceFuncs tick_funcs = { .dispatch = tick_dispatch };

/* SDL would go on to drivers that draw into nothing, or take over the console; SDL_VIDEODRIVER can still ask
 * for those. */
static bool start_video(void)
{
    SDL_SetMainReady();
    SDL_SetHint(SDL_HINT_VIDEODRIVER, "x11,wayland");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    return !SDL_InitSubSystem(SDL_INIT_VIDEO);
}

static bool sdl_usable(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

    if (!(x11 && *x11) && !(wayland && *wayland)) {
        return false;
    }
    /* It stays up until open(): an X server starts over when its last client goes, and is away meanwhile. */
    return SDL_WasInit(SDL_INIT_VIDEO) || start_video();
}

static void sdl_close(Ui *ui)
{
    SdlUi *s = (SdlUi *)ui;

    if (s->tick) {
        g_source_destroy(s->tick);
        g_source_unref(s->tick);
    }
    display_detach(s->display, s);
    pixman_region32_fini(&s->dirty);
    if (s->texture) {
        SDL_DestroyTexture(s->texture);
    }
    if (s->renderer) {
        SDL_DestroyRenderer(s->renderer);
    }
    if (s->window) {
        SDL_DestroyWindow(s->window);
    }
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
    g_free(s->name);
    g_free(s);
}

static bool open_window(SdlUi *s, bool full_screen)
{
    s->window = SDL_CreateWindow("Tinamou", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
                                 pixman_image_get_width(display_surface(s->display)),
                                 pixman_image_get_height(display_surface(s->display)),
                                 SDL_WINDOW_RESIZABLE | (full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0));
    if (!s->window) {
        return false;
    }
    /* Never SDL_RENDERER_PRESENTVSYNC: it would wait with the machine lock held. */
    s->renderer = SDL_CreateRenderer(s->window, -1, 0);
    if (!s->renderer) {
        s->renderer = SDL_CreateRenderer(s->window, -1, SDL_RENDERER_SOFTWARE);
    }
    return s->renderer;
}

static Ui *sdl_open(const UiConfig *cfg, const bool *options, GError **errp)
{
    Display *display = machine_service(cfg->machine, "display");

    if (!display) {
        error_set(errp, "the machine has no screen to show: use -display none, or give it a -vga");
        return NULL;
    }
    if (!SDL_WasInit(SDL_INIT_VIDEO) && !start_video()) {
        error_set(errp, "cannot open a window: %s; use -display none", SDL_GetError());
        return NULL;
    }
    SdlUi *s = g_new0(SdlUi, 1);
    s->machine = cfg->machine;
    s->display = display;
    s->input = machine_service(cfg->machine, "input");
    s->name = g_strdup(cfg->name);
    s->window_close = options[OPT_WINDOW_CLOSE];
    s->integer = options[OPT_INTEGER];
    pixman_region32_init(&s->dirty);
    if (!open_window(s, options[OPT_FULL_SCREEN])) {
        error_set(errp, "cannot open a window: %s; use -display none", SDL_GetError());
        sdl_close(&s->ui);
        return NULL;
    }
    SDL_EnableScreenSaver();
    SDL_RenderSetIntegerScale(s->renderer, s->integer);
    display_attach(display, &sdl_viewer, s);
    show_title(s);
    s->tick = g_source_new((GSourceFuncs *)&tick_funcs, sizeof(GSource));     /* not written to */
    g_source_set_callback(s->tick, tick, s, NULL);
    g_source_set_ready_time(s->tick, 0);
    g_source_attach(s->tick, loop_context(cfg->machine->loop));
    return &s->ui;
}

const UiBackend ui_sdl = {
    .name = "sdl",
    .summary = "a window on this screen",
    .options = sdl_options,
    .usable = sdl_usable,
    .open = sdl_open,
    .close = sdl_close,
};
