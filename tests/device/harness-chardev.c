/*
 * The functions of chardev/chardev.h that devices call, for FakeChardev: linked into the device
 * tests before the library, they take the place of the real ones.
 */
#include "harness.h"

#include "util/error.h"

static FakeChardev *fake(const CharBack *c)
{
    return (FakeChardev *)c;
}

static void deliver(FakeChardev *f)
{
    while (f->front && f->input->len) {
        size_t n = MIN(f->front->room(f->dev), f->input->len);

        if (n == 0) {
            return;
        }
        g_autoptr(GByteArray) chunk = g_byte_array_new();
        g_byte_array_append(chunk, f->input->data, n);
        g_byte_array_remove_range(f->input, 0, n);
        f->front->receive(f->dev, chunk->data, n);
    }
}

bool chardev_attach(CharBack *c, const CharFront *front, void *dev, GError **errp)
{
    if (fake(c)->front) {
        error_set(errp, "chardev 'fake' is in use already");
        return false;
    }
    fake(c)->front = front;
    fake(c)->dev = dev;
    return true;
}

void chardev_detach(CharBack *c, void *dev)
{
    if (c && fake(c)->dev == dev) {
        fake(c)->front = NULL;
        fake(c)->dev = NULL;
        fake(c)->writable = NULL;
    }
}

size_t chardev_write(CharBack *c, const uint8_t *buf, size_t len)
{
    size_t n = c ? MIN(len, fake(c)->limit - MIN(fake(c)->limit, fake(c)->output->len)) : len;

    if (c) {
        g_string_append_len(fake(c)->output, (const char *)buf, n);
    }
    return n;
}

void chardev_on_writable(CharBack *c, void (*fn)(void *opaque), void *opaque)
{
    fake(c)->writable = fn;
    fake(c)->writable_opaque = opaque;
}

void chardev_room_changed(CharBack *c)
{
    if (c) {
        deliver(fake(c));
    }
}

const char *chardev_id(const CharBack *c)
{
    return "fake";
}

void chr_type(Harness *h, const char *text, size_t len)
{
    g_byte_array_append(h->chr.input, (const uint8_t *)text, len);
    deliver(&h->chr);
}

void chr_break(Harness *h)
{
    if (h->chr.front && h->chr.front->event) {
        h->chr.front->event(h->chr.dev, CHAR_BREAK);
    }
}

void chr_set_limit(Harness *h, size_t limit)
{
    void (*fn)(void *opaque) = h->chr.writable;

    h->chr.limit = limit;
    if (fn && h->chr.output->len < limit) {
        h->chr.writable = NULL;
        fn(h->chr.writable_opaque);
    }
}
