/*
 * util/host.h - what the host is to be taken for.  Any thread.
 */
#ifndef UTIL_HOST_H
#define UTIL_HOST_H

#include <stdbool.h>

/* Tests of what happens elsewhere set TINAMOU_HOST_LACKS to patterns of processor features, "avx512*,gfni", that
 * this host is to be taken not to have. */
bool host_is_said_to_lack(const char *feature);

#endif
