/*
 * system/signals.c - signals, and the terminal that must be as it was whatever ends us.
 *
 *   SIGINT, SIGHUP   end at once
 *   SIGTERM          presses the power button, and ends when the guest has powered off, on the second
 *                    SIGTERM, or after POWER_GRACE_MS; at once when the guest does not listen
 *   SIGTSTP/SIGCONT  the terminal is put back for the shell, and made raw again
 *   fatal ones       the terminal is put back, then whatever would have happened happens
 */
#include "machine.h"
#include "hw/i440fx.h"
#include "util/log.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

enum { POWER_GRACE_MS = 20000 };

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGSYS };
static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction before[NSIG];
static GSource *sources[G_N_ELEMENTS(ending)];

/* Put the earlier action back and let it happen: a fault is repeated by its instruction, the rest
 * we raise again. */
static void on_fatal(int sig)
{
    chardev_restore_terminal();
    sigaction(sig, &before[sig], NULL);
    raise(sig);
}

static void on_stop(int sig)
{
    chardev_restore_terminal();
    raise(SIGSTOP);
}

static void on_continue(int sig)
{
    chardev_reapply_terminal();
}

void signals_early(void)
{
    struct sigaction act = { .sa_handler = on_fatal };

    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < G_N_ELEMENTS(fatal); i++) {
        sigaction(fatal[i], &act, &before[fatal[i]]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ending); i++) {
        sigaction(ending[i], &act, &before[ending[i]]);
    }
    act.sa_flags = SA_RESTART;
    act.sa_handler = on_stop;
    sigaction(SIGTSTP, &act, NULL);
    act.sa_handler = on_continue;
    sigaction(SIGCONT, &act, NULL);
}

static gboolean end_now(gpointer opaque)
{
    System *s = opaque;

    machine_quit(s->m, 0);
    return G_SOURCE_CONTINUE;
}

static gboolean grace_over(gpointer opaque)
{
    System *s = opaque;

    log_printf("tinamou: the guest has not powered off within %d s of SIGTERM: ending\n", POWER_GRACE_MS / 1000);
    machine_quit(s->m, 0);
    return G_SOURCE_CONTINUE;
}

/* Has the guest asked to hear of the power button?  ACPI 6.4, 4.8.3.1.2: PWRBTN_EN of PM1_EN. */
static bool guest_listens(Machine *m)
{
    enum { PM1_EN = 2, PWRBTN_EN = 1 << 8 };
    Device *pm = machine_find(m, "PIIX4_PM");
    uint16_t base = pm ? piix4_pm_base(pm) : 0;

    return base && (as_load(m->io, base + PM1_EN, 2) & PWRBTN_EN);
}

static gboolean press_power(gpointer opaque)
{
    System *s = opaque;

    if (s->grace || !runner_running(s->runner) || !guest_listens(s->m)) {
        return end_now(s);
    }
    machine_request(s->m, MACHINE_POWERDOWN);
    s->grace = g_timeout_source_new(POWER_GRACE_MS);
    g_source_set_callback(s->grace, grace_over, s, NULL);
    g_source_attach(s->grace, loop_context(s->m->loop));
    return G_SOURCE_CONTINUE;
}

void signals_to_loop(System *s)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ending); i++) {
        sources[i] = g_unix_signal_source_new(ending[i]);
        g_source_set_callback(sources[i], ending[i] == SIGTERM ? press_power : end_now, s, NULL);
        g_source_attach(sources[i], loop_context(s->m->loop));
    }
}

void signals_off(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ending); i++) {
        g_source_destroy(sources[i]);
        g_source_unref(sources[i]);
    }
}
