/*
 * target/x86/exec/hostrun-trap.c - stubs under the guest's MXCSR, and what a SIMD floating-point exception
 * in one leads to.
 *
 * An exception that MXCSR does not mask comes as SIGFPE, with nothing changed but MXCSR's flags (Intel SDM,
 * volume 1, 11.5.1).  Which of them silicon sets then follows no simple rule, so they are taken as they come.
 * A signal's action belongs to the process: there is one for all processors, and other uses of SIGFPE go on.
 */
#include "hostrun.h"

#include <signal.h>
#include <ucontext.h>
#include <xmmintrin.h>

static struct sigaction before_traps;
static _Thread_local uintptr_t trap_to;         /* in a stub that may trap: where it ends; else 0 */

static void on_sigfpe(int sig, siginfo_t *info, void *opaque)
{
    if (trap_to) {
        ((ucontext_t *)opaque)->uc_mcontext.gregs[REG_RIP] = (greg_t)trap_to;
        trap_to = 0;
    } else if (before_traps.sa_flags & SA_SIGINFO) {
        before_traps.sa_sigaction(sig, info, opaque);
    } else {
        sigaction(sig, &before_traps, NULL);    /* a fault comes again, what was sent does not */
        if (info->si_code <= 0) {
            raise(sig);
        }
    }
}

void hostrun_catch_traps(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        struct sigaction act = { .sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO };
        sigaction(SIGFPE, &act, &before_traps);
        g_once_init_leave(&done, 1);
    }
}

bool hostrun_with_mxcsr(const HostForm *form, void *mem, void *reg, void *rm, HostFrame *f, uint32_t *mxcsr)
{
    uint32_t host = _mm_getcsr();

    trap_to = (uintptr_t)form->run + form->tail;
    _mm_setcsr(*mxcsr);
    form->run(mem, reg, rm, f);
    *mxcsr = _mm_getcsr();
    _mm_setcsr(host);

    bool done = trap_to != 0;
    trap_to = 0;
    return done;
}
