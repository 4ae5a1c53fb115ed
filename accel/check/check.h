/*
 * accel/check/check.h - the inside of the cross-check: one guest under two accelerators.
 *
 * A runs the machine.  The twin is a second machine without devices: its own processor, copies of all
 * RAM, and registers that answer with what A's devices answered.  After a piece of A's execution (an
 * instruction, a block, or a number of instructions) B executes as many instructions on the twin, and
 * all that both did is compared.
 *
 *   check.c     the accelerator: pieces, and what comes between them
 *   twin.c      the second machine: its memory map follows A's
 *   inputs.c    what came from outside, noted for A and given to B
 *   compare.c   registers and memory, and the report
 *   observe.c   A, watched
 *   report.c    a difference, as text and as a file
 *   capture.c   a piece as a file: written, read, run again
 *
 * Everything here runs on the vCPU's thread with the machine lock held, but where it says otherwise.
 */
#ifndef ACCEL_CHECK_PRIVATE_H
#define ACCEL_CHECK_PRIVATE_H

#include <stdio.h>
#include "accel/accel.h"
#include "target/x86/cpu.h"
#include "target/x86/exec.h"

/* ---- inputs.c ---- */

typedef enum InputKind {
    INPUT_LOAD, INPUT_STORE,            /* device registers: address, size, value */
    INPUT_PORT_IN, INPUT_PORT_OUT,
    INPUT_INTCTL,                       /* a call of an IntCtl function: which, argument, result */
    INPUT_RANDOM,                       /* RDRAND, RDSEED */
    INPUT_DMA,                          /* bytes that a device wrote meanwhile */
} InputKind;

typedef struct Input {
    uint8_t kind, size, op;
    bool ok;
    uint64_t addr, value;
    uint32_t data, len;                 /* INPUT_DMA: where in Inputs.bytes */
} Input;

typedef struct Inputs {                 /* of one piece */
    GArray *list;                       /* of Input */
    GByteArray *bytes;
    guint next;                         /* B's place in it */
    char *wrong;                        /* the first thing that B did otherwise; NULL */
} Inputs;

/* Functions of IntCtl, as Input.op; a mask of them says which a controller has */
enum { INTCTL_ACKNOWLEDGE, INTCTL_SET_TPR, INTCTL_GET_TPR, INTCTL_SET_BASE, INTCTL_GET_BASE, INTCTL_READ_MSR,
       INTCTL_WRITE_MSR, INTCTL_SET_DEADLINE, INTCTL_GET_DEADLINE };

/* Those that a kernel calls when it likes to: inputs they are only where none runs the guest. */
enum { INTCTL_QUIET = 1 << INTCTL_SET_TPR | 1 << INTCTL_GET_TPR | 1 << INTCTL_SET_BASE | 1 << INTCTL_GET_BASE };

unsigned intctl_functions(const IntCtl *of);            /* NULL: none */
void intctl_keep(IntCtl *ops, unsigned functions);      /* the others become NULL */

void inputs_init(Inputs *n);
void inputs_fini(Inputs *n);
void inputs_clear(Inputs *n);
void inputs_rewind(Inputs *n);          /* B begins again */
void inputs_note(Inputs *n, const Input *i);
void inputs_note_dma(Inputs *n, hwaddr addr, const void *buf, size_t len);
const Input *inputs_peek(const Inputs *n);              /* what B has to do next; NULL: no more */
/* B does `want`; what A had of it, or NULL and n->wrong. */
const Input *inputs_take(Inputs *n, const Input *want);
/* B did something that A did not, or not now. */
void inputs_wrong(Inputs *n, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* All used, nothing wrong?  Else n->wrong says what. */
bool inputs_settled(Inputs *n);
/* As text, a line each, and back. */
void inputs_print(const Inputs *n, GString *out);
bool inputs_read_line(Inputs *n, const char *line);

/* ---- twin.c ---- */

typedef struct TwinRam {                /* a copy of a RAM or ROM region of A's machine */
    const Region *of;
    Region copy;
    bool devices_own;                   /* a device may write it by other ways than DMA */
} TwinRam;

typedef struct Twin {
    Machine *m;
    X86Cpu *cpu;
    Accel *accel;
    Inputs *inputs;                     /* where its registers' answers come from */
    GPtrArray *rams, *windows, *registers;      /* TwinRam; Regions of the map as it is now */
    X86Observer observer;
    IntCtl intctl;
    uint8_t tpr;                        /* what it answers, where these are no inputs (INTCTL_QUIET) */
    uint64_t apic_base;
    GHashTable *before;                 /* host address of a page -> its bytes before this piece */
    GHashTable *read;                   /* address of a page -> the same; NULL: nobody wants to know */
} Twin;

/* A machine with the map of `of` (NULL: an empty one), and a processor of the same model as `cpu`, run
 * by `accel` ("dbt,cache-size=1M"), with these functions of an IntCtl. */
Twin *twin_new(Machine *of, const X86Cpu *cpu, const char *accel, unsigned intctl, Inputs *inputs, GError **errp);
void twin_free(Twin *t);
/* The memory map of `of` as it is now; copies of RAM not seen before. */
bool twin_follow_map(Twin *t, Machine *of, GError **errp);
void twin_add_registers(Twin *t, hwaddr at, hwaddr len, bool ports);
bool twin_add_page(Twin *t, hwaddr page, const uint8_t *bytes, bool readonly, GError **errp);
void twin_copy_all(Twin *t);                            /* contents of all RAM */
void twin_copy_devices_ram(Twin *t);                    /* what devices write behind our back */
void twin_write(Twin *t, hwaddr addr, const void *buf, size_t len);
void twin_load(Twin *t, const X86Cpu *state);           /* registers */
void twin_begin(Twin *t);                               /* a new piece: pages are as before it now */
void twin_undo(Twin *t);                                /* memory as it was at twin_begin() */
/* Host memory of a page; NULL: not RAM. */
uint8_t *twin_page(Twin *t, hwaddr page);
/* Exactly n instructions, unless it stops by itself.  check_steps(): or n + 1, where one of them faults: some
 * kernels stop only behind the handler's first. */
RunExit twin_run(Twin *t, uint64_t n, GError **errp);
/* Takes what a processor with these requests takes now: interrupt, NMI, INIT. */
bool twin_serve(Twin *t, uint32_t requests);
/* Between two instructions: requests that are due; false: shutdown. */
bool check_serve(X86Cpu *c);
/* An accelerator that counts no instructions, and tells no observer what memory they touch: KVM. */
bool check_steps(const Accel *a);
/* run() of about n instructions, with the registers where the comparison finds them; check_steps(): of one. */
RunExit check_accel_run(Accel *a, Vcpu *v, uint64_t n, GError **errp);
uint64_t check_insn_count(const Accel *a, Vcpu *v);

/* ---- compare.c ---- */

/* True: they agree; else a line for each register that differs goes to `out`.  hidden_too: so does what is kept of a
 * descriptor and no instruction shows, which hardware keeps in its own way. */
bool compare_cpus(const X86Cpu *a, const X86Cpu *b, bool hidden_too, GString *out);
bool compare_page(hwaddr page, const uint8_t *a, const uint8_t *b, GString *out);

/* ---- capture.c ---- */

typedef struct Capture {                /* a piece of execution that can be run again */
    char *model;
    X86Cpu *before;
    uint64_t insns;
    uint32_t requests;                  /* served first, when not 0 */
    unsigned intctl;                    /* functions of the interrupt controller */
    int64_t clock;
    Inputs inputs;
    GHashTable *pages;                  /* address -> PAGE_SIZE bytes, as they were before */
    GArray *registers;                  /* of CaptureRange: what devices answer */
} Capture;

typedef struct CaptureRange { hwaddr at, len; bool ports; } CaptureRange;

Capture *capture_new(const char *model);
void capture_free(Capture *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Capture, capture_free)
bool capture_write(const Capture *c, const char *file, GError **errp);
Capture *capture_read(const char *file, GError **errp);
/* Runs the first n instructions under both: true: they agree, else the differences go to out. */
bool capture_compare(Capture *c, const char *a, const char *b, uint64_t n, GString *out, GError **errp);
/* The first instruction after which they disagree, and how, as text for a person. */
bool capture_explain(Capture *c, const char *a, const char *b, GString *out, GError **errp);

/* ---- check.c ---- */

enum { LAST = 16 };

typedef struct Check {
    Accel accel;                        /* first */
    Accel *a;
    char *name_a, *name_b, *file;
    uint64_t granularity;               /* instructions; BY_BLOCK */
    uint64_t start_at;                  /* instructions that A executes alone first */
    FILE *log;
    bool started, map_changed, in_piece, vga_written;
    bool steps_a, steps_b;              /* check_steps(): KVM, which is compared after each instruction */
    X86Cpu *cpu, *before;               /* before: a copy of its state, no processor */
    uint32_t requests;                  /* those that this piece served */
    int64_t clock;
    Twin *twin;
    Inputs inputs;
    GHashTable *written;                /* pages that A wrote in this piece */
    GHashTable *kept;                   /* page -> its bytes before A touched it; NULL: B's observer keeps them */
    X86Observer observer;
    AsTap mem_tap, io_tap;
    MemListener mem_listener, io_listener;
    const IntCtl *intctl;               /* the processor's own */
    void *intctl_opaque;
    IntCtl wrapped;                     /* what it calls now */
    uint64_t last[LAST];                /* RIP at the beginning of the last pieces */
    uint64_t pieces, insns;
    uint64_t random;                    /* state of the generator behind RDRAND */
} Check;

/* ---- observe.c ---- */

void check_observe(Check *k, Vcpu *vcpu);               /* A's processor and machine, from now on */
void check_unobserve(Check *k, Vcpu *vcpu);
unsigned check_noted_functions(const Check *k);         /* of IntCtl, that are inputs */
void check_written_by_a(void *opaque, hwaddr page);     /* for AccelOps.dirty */
void check_written_by_b(void *opaque, hwaddr page);

/* ---- report.c ---- */

/* Memory that either has written; what differs goes to `out`. */
bool check_compare_memory(Check *k, GString *out);
RunExit check_differ(Check *k, uint64_t n, const char *differences, GError **errp);

#endif
