/*
 * The machine's drives by name, for the monitor's `info block`, `change` and `eject`.
 *
 * The list hangs on the machine's "drives" service; it is gone when the last drive is.
 */
#include "block/block.h"

#include "core/machine.h"

void block_drive_add(Machine *m, BlockDrive *d)
{
    BlockDrive *first = machine_service(m, "drives");

    d->next = NULL;
    if (!first) {
        machine_provide(m, "drives", d);
        return;
    }
    while (first->next) {
        first = first->next;
    }
    first->next = d;
}

void block_drive_remove(Machine *m, BlockDrive *d)
{
    BlockDrive *before = machine_service(m, "drives");

    if (before == d) {
        machine_provide(m, "drives", d->next);
        return;
    }
    for (; before; before = before->next) {
        if (before->next == d) {
            before->next = d->next;
            return;
        }
    }
}

BlockDrive *block_drive_find(Machine *m, const char *id)
{
    for (BlockDrive *d = block_drive_first(m); d; d = d->next) {
        if (strcmp(d->id, id) == 0) {
            return d;
        }
    }
    return NULL;
}

BlockDrive *block_drive_first(Machine *m)
{
    return machine_service(m, "drives");
}
