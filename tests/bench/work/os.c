/*
 * Work for the way into the kernel and back: system calls, processes, faults, signals.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "work.h"

uint64_t work_syscall(unsigned rounds)
{
    uint64_t calls = 0;

    for (unsigned i = 0; i < rounds * 100000; i++) {
        calls += syscall(SYS_getppid) >= 0;
    }
    return calls;
}

static void end_badly(void) { _exit(3); }

uint64_t work_pipe(unsigned rounds)
{
    int there[2], back[2];
    uint32_t n = rounds * 10000, v;

    if (pipe(there) || pipe(back)) {
        end_badly();
    }
    pid_t child = fork();
    if (child == 0) {
        for (uint32_t i = 0; i < n; i++) {
            if (read(there[0], &v, sizeof(v)) != sizeof(v)) {
                end_badly();
            }
            v++;
            if (write(back[1], &v, sizeof(v)) != sizeof(v)) {
                end_badly();
            }
        }
        _exit(0);
    }
    v = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (write(there[1], &v, sizeof(v)) != sizeof(v) || read(back[0], &v, sizeof(v)) != sizeof(v)) {
            end_badly();
        }
    }
    waitpid(child, NULL, 0);
    return v;
}

uint64_t work_fork(unsigned rounds)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < rounds * 300; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            _exit(i & 63);
        }
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    return sum;
}

uint64_t work_faults(unsigned rounds)
{
    enum { PAGES = 1024 };
    uint64_t sum = 0;

    for (unsigned r = 0; r < rounds * 10; r++) {
        uint8_t *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            end_badly();
        }
        madvise(p, PAGES * 4096, MADV_NOHUGEPAGE);
        for (unsigned i = 0; i < PAGES; i++) {
            p[i * 4096]++;
        }
        mprotect(p, PAGES * 4096, PROT_READ);
        mprotect(p, PAGES * 4096, PROT_READ | PROT_WRITE);
        for (unsigned i = 0; i < PAGES; i += 4) {
            p[i * 4096 + 8]++;
            sum += p[i * 4096];
        }
        munmap(p, PAGES * 4096);
    }
    return sum;
}

static volatile sig_atomic_t caught;

static void on_signal(int number) { caught++; }

uint64_t work_signals(unsigned rounds)
{
    struct sigaction sa = { .sa_handler = on_signal };
    unsigned n = rounds * 20000;

    caught = 0;
    sigaction(SIGUSR1, &sa, NULL);
    for (unsigned i = 0; i < n; i++) {
        raise(SIGUSR1);
    }
    return caught;
}

uint64_t work_two(unsigned rounds)
{
    int result[2];
    uint64_t mine, other = 0;

    if (pipe(result)) {
        end_badly();
    }
    pid_t child = fork();
    mine = work_integer(rounds);
    if (child == 0) {
        _exit(write(result[1], &mine, sizeof(mine)) != sizeof(mine));
    }
    if (read(result[0], &other, sizeof(other)) != sizeof(other)) {
        end_badly();
    }
    waitpid(child, NULL, 0);
    return mine == other ? mine : 0;
}
