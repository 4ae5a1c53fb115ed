/*
 * The user interfaces that ui.c lists.
 */
#ifndef UI_BACKENDS_H
#define UI_BACKENDS_H

#include "ui/ui.h"

extern const UiBackend ui_sdl;

#endif
