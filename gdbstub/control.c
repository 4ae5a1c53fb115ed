/*
 * gdbstub/control.c - running and stopping: vCont, c, s, ?, and who may be debugged at all.
 *
 * All-stop: when one processor stops, all do, and gdb hears of one of them.  What happened to the others
 * (`news`) it hears when it lets them run again, if that still matters.
 */
#include "server.h"

#include <errno.h>
#include <string.h>
#include "core/replay.h"

/* ---- stop replies ---- */

void gdb_put_thread(const GdbServer *g, GString *out, unsigned cpu)
{
    if (g->multiprocess) {
        g_string_append_printf(out, "p%x.", GDB_PID);
    }
    g_string_append_printf(out, "%x", cpu + 1);
}

static GString *stopped(GdbServer *g, unsigned signal, unsigned cpu, const char *why)
{
    GString *s = g_string_new(NULL);

    g_string_append_printf(s, "T%02xthread:", signal);
    gdb_put_thread(g, s, cpu);
    g_string_append_printf(s, ";%s", why);
    g->general = (int)cpu + 1;
    return s;
}

static bool paused(const GdbServer *g)
{
    return !runner_running(g->host.runner);
}

/* Is what stopped it still there: has gdb not taken the breakpoint away, or gone elsewhere, since? */
static bool still_news(const GdbServer *g, unsigned cpu)
{
    const X86Cpu *c = gdb_cpu(g, cpu);
    uint64_t pc = gdb_pc(c);

    if (!g->news[cpu] || runner_stop(g->host.runner, cpu) != STOP_DEBUG) {
        return g->news[cpu];
    }
    return c->debug.stop ? gdb_hit_watchpoint(g, c) != NULL
                         : gdb_has_breakpoint(g, pc, GDB_SOFTWARE) || gdb_has_breakpoint(g, pc, GDB_HARDWARE);
}

static GString *breakpoint_hit(GdbServer *g, unsigned cpu)
{
    static const char *const names[] = { [GDB_WRITE] = "watch", [GDB_READ] = "rwatch", [GDB_ACCESS] = "awatch" };
    const X86Cpu *c = gdb_cpu(g, cpu);
    const GdbBreakpoint *w = c->debug.stop ? gdb_hit_watchpoint(g, c) : NULL;
    g_autofree char *why = NULL;

    if (w) {
        why = g_strdup_printf("%s:%" G_GINT64_MODIFIER "x;", names[w->type], w->at);
    } else if (g->swbreak && gdb_has_breakpoint(g, gdb_pc(c), GDB_SOFTWARE)) {
        why = g_strdup("swbreak:;");
    } else if (g->hwbreak && gdb_has_breakpoint(g, gdb_pc(c), GDB_HARDWARE)) {
        why = g_strdup("hwbreak:;");
    }
    return stopped(g, GDB_SIGTRAP, cpu, why ? why : "");
}

static GString *report(GdbServer *g, unsigned cpu)
{
    g_autofree char *text = NULL;

    g->news[cpu] = false;
    switch (runner_stop(g->host.runner, cpu)) {
    case STOP_SHUTDOWN:
        text = g_strdup_printf("Tinamou: triple fault of processor %u; going on resets the machine.\n", cpu);
        gdb_console(g, text);
        return stopped(g, GDB_SIGABRT, cpu, "");
    case STOP_DEBUG:
        return breakpoint_hit(g, cpu);
    case STOP_BEGIN:
        return stopped(g, GDB_SIGTRAP, cpu, "replaylog:begin;");
    case STOP_END:
        return stopped(g, GDB_SIGTRAP, cpu, "replaylog:end;");
    case STOP_STEP:
    case STOP_NONE:
        break;
    }
    return stopped(g, GDB_SIGTRAP, cpu, "");
}

/* The processor to hear of first: one that was to do a step, else the first with news; -1: none. */
static int pick(const GdbServer *g)
{
    int found = -1;

    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        if (g->news[i] && (found < 0 || runner_stop(g->host.runner, i) == STOP_STEP)) {
            found = (int)i;
        }
    }
    return found;
}

void gdb_check_stop(GdbServer *g)
{
    g_autoptr(GString) s = NULL;
    int cpu;

    if (!paused(g)) {
        return;
    }
    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        g->news[i] = g->news[i] || (g->ran[i] && runner_stop(g->host.runner, i) != STOP_NONE);
        g->ran[i] = false;
    }
    if (!g->waiting || (g->restarting && !g->reset_seen)) {
        return;
    }
    g->waiting = false;
    if (runner_reversing(g->host.runner)) {
        runner_reverse(g->host.runner, REVERSE_NOT, 0);         /* interrupted on its way: it stays here */
    }
    cpu = pick(g);
    if (g->reset_seen) {
        if (!g->restarting) {
            gdb_console(g, "Tinamou: the machine was reset.\n");
        }
        memset(g->news, 0, gdb_vcpus(g) * sizeof(bool));
        s = stopped(g, GDB_SIGTRAP, 0, "");
    } else if (cpu >= 0) {
        s = report(g, (unsigned)cpu);
    } else {
        s = stopped(g, GDB_SIGINT, gdb_general_cpu(g), "");
    }
    g->reset_seen = g->restarting = false;
    gdb_send(g, s);
}

void gdb_ending(GdbServer *g, int status)
{
    g_autoptr(GString) s = g_string_new(NULL);

    if (g->attached && g->waiting) {
        g_string_append_printf(s, "W%02x", status & 0xff);
        if (g->multiprocess) {
            g_string_append_printf(s, ";process:%x", GDB_PID);
        }
        gdb_send(g, s);
    }
    g->attached = g->waiting = false;
}

GString *gdb_stop_reason(GdbServer *g, GdbText *t)
{
    return g->attached ? stopped(g, GDB_SIGTRAP, gdb_general_cpu(g), "") : g_string_new("W00");
}

/* ---- going on ---- */

static void tell_accelerator(GdbServer *g)
{
    Accel *a = runner_accel(g->host.runner);

    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        if (g->changed[i]) {
            a->ops->flush(a, &gdb_cpu(g, i)->vcpu);
            g->changed[i] = false;
        }
    }
}

/* Lets them run; the reply comes when one stops, unless something had stopped already. */
static GString *go(GdbServer *g, const RunPlan *plan)
{
    g_autoptr(GError) err = NULL;

    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        if (plan[i] != PLAN_STAY && still_news(g, i)) {
            return report(g, i);
        }
    }
    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        runner_plan(g->host.runner, i, plan[i]);
        g->ran[i] = plan[i] != PLAN_STAY;
        g->news[i] = g->news[i] && !g->ran[i];
    }
    tell_accelerator(g);
    g->reset_seen = false;
    if (!g->host.resume(g->host.opaque, &err)) {
        return gdb_error(g, EBUSY, err->message);
    }
    g->waiting = true;
    return NULL;
}

static bool take_action(GdbText *t, RunPlan *plan)
{
    uint64_t signal;

    if (gdb_take(t, "c")) {
        *plan = PLAN_RUN;
    } else if (gdb_take(t, "s")) {
        *plan = PLAN_STEP;
    } else if (gdb_take(t, "C") || gdb_take(t, "S")) {         /* a machine takes no signals */
        *plan = t->p[-1] == 'C' ? PLAN_RUN : PLAN_STEP;
        return gdb_take_number(t, &signal);
    } else {
        return false;
    }
    return true;
}

/* vCont;action[:thread]...: the leftmost that fits a thread is the thread's. */
GString *gdb_vcont(GdbServer *g, GdbText *t)
{
    g_autofree RunPlan *plan = g_new(RunPlan, gdb_vcpus(g));
    g_autofree bool *set = g_new0(bool, gdb_vcpus(g));
    bool any = false;

    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        plan[i] = PLAN_STAY;
    }
    while (gdb_take(t, ";")) {
        int pid = GDB_ALL, tid = GDB_ALL;
        RunPlan action;

        if (!take_action(t, &action) || (gdb_take(t, ":") && !gdb_take_thread(t, &pid, &tid))) {
            return gdb_error(g, EINVAL, "vCont takes c, s, C and S");
        }
        for (unsigned i = 0; i < gdb_vcpus(g); i++) {
            if (!set[i] && (pid <= 0 || pid == GDB_PID) && (tid == GDB_ALL || (unsigned)tid == i + 1)) {
                plan[i] = action;
                set[i] = any = true;
            }
        }
    }
    if (!gdb_empty(t) || !any || !g->attached) {
        return gdb_error(g, EINVAL, g->attached ? "vCont names no thread that there is" : "nothing is debugged");
    }
    return go(g, plan);
}

/* c, s, Csig, Ssig for the thread of Hc, or for all. */
static GString *plain(GdbServer *g, GdbText *t, RunPlan what)
{
    uint64_t signal;

    g_autofree RunPlan *plan = g_new(RunPlan, gdb_vcpus(g));
    unsigned one = g->resume > 0 ? (unsigned)g->resume - 1 : gdb_general_cpu(g);

    if ((t->p[-1] < 'a' && !gdb_take_number(t, &signal)) || !gdb_empty(t) || !g->attached) {
        return gdb_error(g, EINVAL, "an address to go on at is not taken: set $pc");
    }
    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        plan[i] = i == one ? what : g->resume > 0 ? PLAN_STAY : PLAN_RUN;
    }
    return go(g, plan);
}

/* bs, bc: backwards.  What has stopped in the future is no news. */
GString *gdb_backwards(GdbServer *g, GdbText *t)
{
    bool step = gdb_take(t, "s");
    g_autofree RunPlan *plan = g_new(RunPlan, gdb_vcpus(g));
    g_autofree char *refused = runner_no_reverse(g->host.runner);

    if ((!step && !gdb_take(t, "c")) || !gdb_empty(t) || !g->attached) {
        return gdb_error(g, EINVAL, "bs and bc take nothing, and want to be attached");
    }
    if (refused) {
        g_autofree char *text = g_strdup_printf("Tinamou: no way back: %s\n", refused);
        gdb_console(g, text);           /* of this error gdb shows no more than its number */
        return gdb_error(g, EINVAL, refused);
    }
    for (unsigned i = 0; i < gdb_vcpus(g); i++) {
        plan[i] = PLAN_RUN;
        g->news[i] = false;
    }
    runner_reverse(g->host.runner, step ? REVERSE_STEP : REVERSE_CONTINUE,
                   g->resume > 0 ? (unsigned)g->resume - 1 : gdb_general_cpu(g));
    return go(g, plan);
}

GString *gdb_continue(GdbServer *g, GdbText *t) { return plain(g, t, PLAN_RUN); }
GString *gdb_step(GdbServer *g, GdbText *t) { return plain(g, t, PLAN_STEP); }

/* ---- attaching and leaving ---- */

void gdb_let_go(GdbServer *g)
{
    bool running = !paused(g);

    if (g->breakpoints->len) {          /* they are changed only while nobody runs */
        gdb_pause(g);
        gdb_remove_breakpoints(g);
        if (running) {
            g->host.resume(g->host.opaque, NULL);
        }
    }
    tell_accelerator(g);
    runner_catch_shutdown(g->host.runner, false);
    runner_keep_history(g->host.runner, false);
    g->attached = g->waiting = false;
}

void gdb_attach(GdbServer *g)
{
    gdb_pause(g);
    if (!g->attached) {
        runner_keep_history(g->host.runner, true);
    }
    g->attached = true;
    runner_catch_shutdown(g->host.runner, g->catches & CATCH_SHUTDOWN);
}

GString *gdb_detach(GdbServer *g, GdbText *t)
{
    g_autoptr(GString) ok = g_string_new("OK");

    gdb_let_go(g);
    gdb_send(g, ok);
    g->host.resume(g->host.opaque, NULL);           /* a machine that is powered off stays so */
    return NULL;
}

GString *gdb_vattach(GdbServer *g, GdbText *t)
{
    uint64_t pid;

    if (!gdb_take(t, ";") || !gdb_take_number(t, &pid) || pid != GDB_PID) {
        return gdb_error(g, ESRCH, "the machine is process 1");
    }
    gdb_attach(g);
    return stopped(g, GDB_SIGTRAP, 0, "");
}

/* A reset comes from outside: what is replayed, or is in a recording's past, does not take it. */
static bool may_reset(GdbServer *g)
{
    return !g->m->icount || !replay_replaying(g->m->icount->replay) || gdb_may_change(g);
}

/* `run`: from the first instruction after a reset. */
GString *gdb_vrun(GdbServer *g, GdbText *t)
{
    if (!may_reset(g)) {
        return gdb_error(g, EPERM, "a recording cannot be changed: neither is its machine reset");
    }
    gdb_attach(g);
    machine_request(g->m, MACHINE_RESET);
    g->restarting = g->waiting = true;
    return NULL;
}

GString *gdb_restart(GdbServer *g, GdbText *t)
{
    if (g->extended && may_reset(g)) {
        gdb_attach(g);
        machine_request(g->m, MACHINE_RESET);
    }
    return NULL;
}

GString *gdb_kill(GdbServer *g, GdbText *t)
{
    gdb_let_go(g);
    machine_quit(g->m, 0);
    return NULL;
}

/* In extended mode there may be another `run`: then the machine waits for it; else it ends. */
GString *gdb_vkill(GdbServer *g, GdbText *t)
{
    gdb_let_go(g);
    if (!g->extended) {
        machine_quit(g->m, 0);
    }
    return g_string_new("OK");
}
