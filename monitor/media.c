/*
 * monitor/media.c - changing disks, and pictures of the screen.
 */
#include "monitor/command.h"
#include "block/block.h"
#include "ui/display.h"
#include "util/error.h"
#include "util/suggest.h"

#include <string.h>

void drive_names(Session *s, GPtrArray *names)
{
    for (BlockDrive *d = block_drive_first(s->all->m); d; d = d->next) {
        g_ptr_array_add(names, (char *)d->id);
    }
}

static BlockDrive *find_drive(Session *s, const char *id, GError **errp)
{
    BlockDrive *d = block_drive_find(s->all->m, id);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *tail = NULL;

    if (d && !d->removable) {
        error_set(errp, "drive '%s' has no removable medium", id);
        return NULL;
    }
    if (!d) {
        drive_names(s, names);
        g_ptr_array_add(names, NULL);
        tail = suggest_tail(id, (const char *const *)names->pdata);
        error_set(errp, "there is no drive '%s'%s", id, *tail ? tail : "; info block lists them");
    }
    return d;
}

bool cmd_eject(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    BlockDrive *d = find_drive(s, a[1].text, errp);

    return d && d->change(d, NULL, a[0].given, errp);
}

bool cmd_change(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    BlockDrive *d = find_drive(s, a[1].text, errp);
    BlockOptions o = { .path = a[2].text, .format = a[3].text };
    Block *b;

    if (!d) {
        return false;
    }
    o.id = d->id;
    o.cdrom = d->cdrom;
    b = block_open(s->all->m->loop, &o, errp);
    if (!b) {
        return false;
    }
    if (!d->change(d, b, a[0].given, errp)) {
        block_close(b);
        return false;
    }
    return true;
}

bool cmd_screendump(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    Display *d = machine_service(s->all->m, "display");

    if (!d) {
        error_set(errp, "this machine has no display");
        return false;
    }
    return display_screendump(d, a[0].text, errp);
}
