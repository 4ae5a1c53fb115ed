/*
 * accel/dbt/cache.c - memory for code: one file, mapped twice, writable here and executable there.
 */
#include "dbt.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "util/error.h"

bool dbt_cache_init(DbtCache *c, size_t size, GError **errp)
{
    *c = (DbtCache){ .size = size, .fd = memfd_create("tinamou-code", MFD_CLOEXEC) };
    if (c->fd < 0 || ftruncate(c->fd, (off_t)size)) {
        error_set_errno(errp, errno, "no file of %zu KiB for translated code", size >> 10);
        goto no_memory;
    }
    c->rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    uint8_t *exec = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, c->fd, 0);
    if (c->rw == MAP_FAILED || exec == MAP_FAILED) {
        error_set_errno(errp, errno, "no memory of %zu KiB for translated code", size >> 10);
        if (c->rw != MAP_FAILED) {
            munmap(c->rw, size);
        }
        goto no_memory;
    }
    c->exec = exec - c->rw;
    return true;

no_memory:
    if (c->fd >= 0) {
        close(c->fd);
    }
    return false;
}

void dbt_cache_fini(DbtCache *c)
{
    munmap(c->rw + c->exec, c->size);
    munmap(c->rw, c->size);
    close(c->fd);
}
