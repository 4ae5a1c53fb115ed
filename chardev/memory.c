/*
 * chardev/memory.c - back ends that are in this process: null, which swallows everything, and
 * ringbuf, which keeps the last bytes written for the monitor and for tests.
 */
#include "internal.h"

static ssize_t null_write(CharBack *c, const uint8_t *buf, size_t len)
{
    return len;
}

static bool null_open(CharBack *c, const KeyVals *k, GError **errp)
{
    return true;
}

const CharKind char_null = {
    .name = "null",
    .summary = "nothing comes, everything is swallowed",
    .open = null_open,
    .write = null_write,
};

/* ---- ringbuf ---- */

enum { RING_DEFAULT = 64 * 1024, RING_MAX = 64 * 1024 * 1024 };

typedef struct Ring {
    size_t size, start, len;
    uint8_t data[];
} Ring;

static bool ringbuf_open(CharBack *c, const KeyVals *k, GError **errp)
{
    size_t size = keyvals_num(k, "size", RING_DEFAULT);
    Ring *r = g_malloc(sizeof(Ring) + size);

    *r = (Ring){ .size = size };
    c->priv = r;
    return true;
}

static void ringbuf_close(CharBack *c)
{
    g_free(c->priv);
}

static ssize_t ringbuf_write(CharBack *c, const uint8_t *buf, size_t len)
{
    Ring *r = c->priv;

    for (size_t i = 0; i < len; i++) {
        r->data[(r->start + r->len) % r->size] = buf[i];
        if (r->len < r->size) {
            r->len++;
        } else {
            r->start = (r->start + 1) % r->size;
        }
    }
    return len;
}

size_t chardev_ringbuf_read(CharBack *c, uint8_t *buf, size_t len)
{
    Ring *r = c->priv;
    size_t n;

    if (c->kind != &char_ringbuf) {
        return 0;
    }
    n = MIN(len, r->len);
    for (size_t i = 0; i < n; i++) {
        buf[i] = r->data[(r->start + i) % r->size];
    }
    r->start = (r->start + n) % r->size;
    r->len -= n;
    return n;
}

static char *ringbuf_describe(const CharBack *c)
{
    const Ring *r = c->priv;

    return g_strdup_printf("%zu of %zu bytes", r->len, r->size);
}

static const KeySpec ringbuf_keys[] = {
    { "size", KEY_SIZE, "how many bytes are kept (default 64K)", 1, RING_MAX },
    { NULL },
};

const CharKind char_ringbuf = {
    .name = "ringbuf",
    .summary = "keeps the last bytes written; the monitor's ringbuf_read takes them out",
    .keys = ringbuf_keys,
    .open = ringbuf_open,
    .close = ringbuf_close,
    .write = ringbuf_write,
    .describe = ringbuf_describe,
};
