/*
 * system/run.c - the main loop, and what the machine as a whole is asked to do: reset, power off,
 * pause, end.
 */
#include "machine.h"
#include "hw/rtc.h"
#include "target/x86/cpu.h"
#include "util/error.h"
#include "util/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- stop and go ---- */

void system_pause(System *s)
{
    if (runner_running(s->runner)) {
        runner_pause(s->runner);
        for (MachineWatch *w = s->m->watches; w; w = w->next) {
            if (w->paused) {
                w->paused(w->opaque);
            }
        }
    }
}

bool system_resume(System *s, GError **errp)
{
    if (s->powered_off) {
        error_set(errp, "the machine is powered off; system_reset starts it again");
        return false;
    }
    atomic_fetch_and(&s->m->requests, ~MACHINE_PAUSE);      /* it was paused: that is done */
    runner_resume(s->runner);
    return true;
}

static void end(System *s, int status)
{
    s->ended = true;
    s->status = status;
}

/* ---- reset ---- */

/* CMOS bytes 0x3d and 0x38 hold the boot order as three nibbles, first to last: 1 floppy, 2 disk, 3
 * CD-ROM, 4 network (SeaBIOS, docs/Runtime_config.md). */
static void set_boot_order(Machine *m, const char *order)
{
    static const char letters[] = "acdn";
    uint8_t nibble[3] = { 0 };
    Device *rtc = machine_find(m, "mc146818rtc");

    for (unsigned i = 0; i < G_N_ELEMENTS(nibble) && order[i]; i++) {
        nibble[i] = strchr(letters, order[i]) - letters + 1;
    }
    rtc_set_cmos(rtc, 0x3d, nibble[1] << 4 | nibble[0]);
    rtc_set_cmos(rtc, 0x38, nibble[2] << 4);
}

/* What x86_reset() logs before each reset, for the one that is not done. */
static void dump_registers(Machine *m)
{
    if (!log_on(LOG_CPU_RESET)) {
        return;
    }
    for (guint i = 0; i < m->vcpus->len; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        x86_info_registers(x86_cpu(g_ptr_array_index(m->vcpus, i)), text);
        log_printf("cpu%u: -no-reboot\n%s", i, text->str);
    }
}

static void reset(System *s)
{
    Machine *m = s->m;
    bool was_running = runner_running(s->runner) || s->powered_off;

    system_pause(s);
    machine_reset(m);
    runner_reset(s->runner);
    for (guint i = 0; i < m->vcpus->len; i++) {
        Vcpu *v = g_ptr_array_index(m->vcpus, i);
        x86_reset(x86_cpu(v));
        if (s->accel->ops->reset) {
            s->accel->ops->reset(s->accel, v);
        }
        s->accel->ops->flush(s->accel, v);
    }
    if (s->cfg->boot_once && !s->started_once) {
        s->started_once = true;
        set_boot_order(m, s->cfg->boot_order);
    }
    s->powered_off = false;
    if (was_running && !(atomic_load(&m->requests) & MACHINE_PAUSE)) {
        runner_resume(s->runner);
    }
}

/* ---- requests ---- */

static void power_off(System *s)
{
    if (s->cfg->no_shutdown) {
        system_pause(s);
        s->powered_off = true;
    } else {
        end(s, 0);
    }
}

/* A debugger may want to go back from where the guest ends the machine. */
static bool goes_back(const System *s)
{
    return s->m->icount && s->m->icount->stays;
}

/* Called with the lock.  What ends the machine comes first: nothing else matters then. */
static void serve(System *s)
{
    Machine *m = s->m;
    uint32_t asked = atomic_load(&m->requests);

    if (!asked) {
        return;
    }
    atomic_fetch_and(&m->requests, ~asked | MACHINE_QUIT);      /* machine_quit() looks: the first wins */
    if (asked & MACHINE_FAILED) {
        fprintf(stderr, "tinamou: %s\n", m->fail_text);
        end(s, 1);
    } else if (asked & MACHINE_QUIT) {
        end(s, m->quit_status);
    } else if (goes_back(s) && ((asked & MACHINE_POWEROFF) || ((asked & MACHINE_RESET) && s->cfg->no_reboot))) {
        /* The recording ends here, too, and its end stops the machine */
    } else if (asked & MACHINE_POWEROFF) {
        power_off(s);
    } else if ((asked & MACHINE_RESET) && s->cfg->no_reboot) {
        system_pause(s);
        dump_registers(m);
        end(s, 0);
    } else {
        if (asked & MACHINE_RESET) {
            reset(s);
        }
        if (asked & MACHINE_POWERDOWN) {
            for (MachineWatch *w = m->watches; w; w = w->next) {
                if (w->powerdown) {
                    w->powerdown(w->opaque);
                }
            }
        }
        if (asked & MACHINE_PAUSE) {
            system_pause(s);
        }
    }
}

static void log_stats(System *s)
{
    uint64_t n = 0;

    if (log_on(LOG_STATS)) {
        for (guint i = 0; s->accel->ops->insn_count && i < s->m->vcpus->len; i++) {
            n += s->accel->ops->insn_count(s->accel, g_ptr_array_index(s->m->vcpus, i));
        }
        log_printf("stats: %" PRIu64 " instructions in %.3f s", n, clock_now(s->m->clock) / (double)NS_PER_S);
        if (s->m->icount) {
            log_printf(", hash %016" PRIx64, accel_hash(s->m, true));
        }
        log_printf("\n");
    }
}

int system_run(System *s)
{
    Machine *m = s->m;

    machine_lock(m);
    signals_to_loop(s);
    if (!s->cfg->paused) {
        runner_resume(s->runner);
    }
    machine_unlock(m);
    daemon_ready();
    while (!s->ended) {
        loop_run(m->loop, -1);
        machine_lock(m);
        serve(s);
        machine_unlock(m);
    }
    machine_lock(m);
    system_pause(s);
    for (MachineWatch *w = m->watches; w; w = w->next) {
        if (w->ending) {
            w->ending(w->opaque, s->status);
        }
    }
    log_stats(s);
    system_replay_finish(s);
    signals_off();
    if (s->grace) {
        g_source_destroy(s->grace);
        g_source_unref(s->grace);
    }
    machine_unlock(m);
    return s->status;
}
