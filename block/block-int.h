/*
 * What the files of the block layer share: opening, probing and stacking drivers.
 */
#ifndef BLOCK_INT_H
#define BLOCK_INT_H

#include "block/block.h"

enum { BLOCK_SECTOR = 512, BLOCK_HEAD = 4096 };

/* Names for messages and `info block`; guess: the format was found by probing. */
void block_describe(Block *b, const BlockOptions *o, bool guess);

/* The name of the image format that begins with these bytes and is not ours to read; NULL: none. */
const char *block_foreign_format(const uint8_t *head, size_t len);

extern const BlockDriver block_raw, block_overlay;

/* A disk whose writes go to a temporary file; base is read only, and closed with it. */
void *block_overlay_new(const BlockDriver *base_driver, void *base, uint64_t size, GError **errp);

#endif
