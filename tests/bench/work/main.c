/*
 * The benchmark's program: `work list` names its pieces of work, `work NAME [ROUNDS]` does one and prints
 * its checksum.  Linked statically, so that the same file runs here and in any Linux guest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "work.h"

static const struct {
    const char *name, *summary;
    uint64_t (*run)(unsigned rounds);
    unsigned rounds;            /* some tenths of a second on the processors of 2020 */
} works[] = {
    { "integer", "integer loops in registers", work_integer, 40 },
    { "sha256", "SHA-256 in C", work_sha256, 10 },
    { "compress", "dictionary compression and back", work_compress, 12 },
    { "sort", "sort through function pointers", work_sort, 5 },
    { "calls", "recursive calls", work_calls, 34 },
    { "switch", "an interpreter that is a switch", work_switch, 10 },
    { "double", "double arithmetic, scalar", work_double, 40 },
    { "sse", "SSE vector loops", work_sse, 60 },
    { "avx", "AVX2 and FMA vector loops", work_avx, 60 },
    { "x87", "x87 arithmetic", work_x87, 40 },
    { "fft", "FFT multiplication of long numbers, as in Super PI", work_fft, 24 },
    { "memcpy", "memory copied in pieces from 16 bytes to 1 MiB", work_memcpy, 20 },
    { "memset", "memory filled in pieces from 16 bytes to 1 MiB", work_memset, 20 },
    { "strings", "string scans", work_strings, 600 },
    { "chase", "a chain of pointers through 64 MiB", work_chase, 2 },
    { "syscall", "system calls", work_syscall, 5 },
    { "pipe", "two processes and two pipes", work_pipe, 3 },
    { "fork", "fork and wait", work_fork, 3 },
    { "faults", "page faults", work_faults, 6 },
    { "signals", "signals to itself", work_signals, 2 },
    { "two", "integer loops in two processes at once", work_two, 40 },
};

int main(int argc, char **argv)
{
    unsigned n = sizeof(works) / sizeof(works[0]);

    if (argc == 2 && !strcmp(argv[1], "list")) {
        for (unsigned i = 0; i < n; i++) {
            printf("%-10s %s\n", works[i].name, works[i].summary);
        }
        return 0;
    }
    for (unsigned i = 0; argc >= 2 && i < n; i++) {
        if (!strcmp(works[i].name, argv[1])) {
            unsigned rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : works[i].rounds;
            printf("%s %" PRIx64 "\n", argv[1], works[i].run(rounds));
            return 0;
        }
    }
    fprintf(stderr, "work: '%s' is no piece of work; 'work list' names them\n", argc > 1 ? argv[1] : "");
    return 2;
}
