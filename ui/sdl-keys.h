/*
 * The key that stands at SDL's scan code; NULL: none that a PC keyboard has.
 */
#ifndef UI_SDL_KEYS_H
#define UI_SDL_KEYS_H

#include <SDL.h>
#include "ui/input.h"

const InputKey *sdl_key(SDL_Scancode code);

#endif
