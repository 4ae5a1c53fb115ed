/*
 * gdbstub/server.h - the inside of the server: the connection, who is stopped and why, and the packets.
 */
#ifndef GDBSTUB_SERVER_H
#define GDBSTUB_SERVER_H

#include "core/icount.h"
#include "gdbstub/gdbstub.h"
#include "gdbstub/packet.h"
#include "registers.h"

enum { GDB_SIGINT = 2, GDB_SIGTRAP = 5, GDB_SIGABRT = 6 };      /* gdb's own numbers (gdb/signals.def) */
enum { GDB_PID = 1 };                                           /* the machine; threads are vCPUs, from 1 */
enum { GDB_BY_MODEL = -1, GDB_BY_MODE = -2 };
enum { GDB_BREAKPOINTS_MAX = 1024 };

enum { GDB_SOFTWARE, GDB_HARDWARE, GDB_WRITE, GDB_READ, GDB_ACCESS };    /* types of Z packets */

typedef struct GdbBreakpoint {
    uint64_t at;
    uint32_t len;
    uint8_t type;
} GdbBreakpoint;

typedef enum GdbCatch { CATCH_RESET = 1 << 0, CATCH_SHUTDOWN = 1 << 1 } GdbCatch;

struct GdbServer {
    Machine *m;
    GdbHost host;
    CharBack *back;
    MachineWatch watch;
    GSource *check;             /* gdb_check_stop() is about to be called; or NULL */
    /* the connection */
    GByteArray *in;             /* not yet looked at */
    GString *out;               /* not yet taken by the back end */
    GString *last;              /* the last packet, for the case that it has to be sent again */
    bool out_waiting, answering;
    bool greeted;               /* a packet has come since the connection was made */
    bool no_ack, multiprocess, error_text, swbreak, hwbreak, extended;
    bool physical;              /* m, M and X mean guest-physical addresses */
    /* the debuggee */
    bool attached;
    bool waiting;               /* gdb waits to hear that it has stopped */
    bool restarting;            /* gdb's `run`: waits for the reset */
    bool reset_seen;
    unsigned catches;           /* GdbCatch */
    int general, resume;        /* threads of Hg, Hc */
    bool *ran, *news;           /* by vCPU: took part in the last run; has stopped, and gdb does not know */
    bool *changed;              /* by vCPU: registers were written */
    int arch;                   /* of the next description: a GdbArch, or GDB_BY_MODEL, GDB_BY_MODE */
    GdbLayout *layout;
    GArray *breakpoints;        /* of GdbBreakpoint */
};

static inline unsigned gdb_vcpus(const GdbServer *g) { return g->m->vcpus->len; }
static inline X86Cpu *gdb_cpu(const GdbServer *g, unsigned i) { return x86_cpu(g_ptr_array_index(g->m->vcpus, i)); }

/* ---- server.c ---- */
void gdb_send(GdbServer *g, const GString *payload);
void gdb_console(GdbServer *g, const char *text);       /* an O packet: gdb prints it */
void gdb_pause(GdbServer *g);
/* Registers or memory are about to be.  False: what is in a recording must not, as nobody would know when it is
 * replayed. */
bool gdb_may_change(GdbServer *g);

/* ---- packets.c ---- */
/* Handles one packet.  The reply is sent, unless it is put off until something stops. */
void gdb_handle_packet(GdbServer *g, const uint8_t *data, size_t len);
void gdb_session_start(GdbServer *g);                   /* a new connection: nothing agreed yet */
GString *gdb_error(const GdbServer *g, int number, const char *text);
unsigned gdb_general_cpu(const GdbServer *g);
typedef GString *GdbHandler(GdbServer *g, GdbText *t);  /* the reply, or NULL: none now */

/* ---- query.c: q, Q and v packets ---- */
GdbHandler gdb_query, gdb_set, gdb_verbose;
void gdb_choose_layout(GdbServer *g);

/* ---- control.c: running, stopping, attaching ---- */
GdbHandler gdb_vcont, gdb_continue, gdb_step, gdb_backwards, gdb_stop_reason, gdb_detach, gdb_kill, gdb_restart;
GdbHandler gdb_vattach, gdb_vrun, gdb_vkill;
void gdb_check_stop(GdbServer *g);                      /* the machine has paused: does gdb want to know? */
void gdb_attach(GdbServer *g);
void gdb_let_go(GdbServer *g);                          /* no debugger any more: no breakpoints, nothing caught */
void gdb_ending(GdbServer *g, int status);
void gdb_put_thread(const GdbServer *g, GString *out, unsigned cpu);

/* ---- breakpoints.c ---- */
GdbHandler gdb_insert, gdb_remove;
void gdb_remove_breakpoints(GdbServer *g);
bool gdb_has_breakpoint(const GdbServer *g, uint64_t at, unsigned type);
const GdbBreakpoint *gdb_hit_watchpoint(const GdbServer *g, const X86Cpu *c);   /* NULL: it is gone */

/* ---- memory.c ---- */
GdbHandler gdb_read_memory, gdb_write_memory, gdb_write_binary;

#endif
