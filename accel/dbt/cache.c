/*
 * accel/dbt/cache.c - memory for code, mapped twice, writable here and executable there.
 */
#include "dbt.h"

#include <errno.h>
#include <sys/mman.h>
#include "util/error.h"

/* MREMAP of nothing maps shared memory a second time (mremap(2)).  A file would do as well, but perf looks for names
 * only in memory that has none. */
bool dbt_cache_init(DbtCache *c, size_t size, GError **errp)
{
    *c = (DbtCache){ .size = size };
    c->rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->rw == MAP_FAILED) {
        error_set_errno(errp, errno, "no memory of %zu KiB for translated code", size >> 10);
        return false;
    }
    uint8_t *exec = mremap(c->rw, 0, size, MREMAP_MAYMOVE);
    if (exec == MAP_FAILED || mprotect(exec, size, PROT_READ | PROT_EXEC)) {
        error_set_errno(errp, errno, "no executable memory of %zu KiB for translated code", size >> 10);
        if (exec != MAP_FAILED) {
            munmap(exec, size);
        }
        munmap(c->rw, size);
        return false;
    }
    c->exec = exec - c->rw;
    return true;
}

void dbt_cache_fini(DbtCache *c)
{
    munmap(c->rw + c->exec, c->size);
    munmap(c->rw, c->size);
}
