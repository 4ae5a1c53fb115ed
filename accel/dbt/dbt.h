/*
 * accel/dbt/dbt.h - the inside of the translator: what its files share, whatever the host.
 *
 * A block (accel/engine) that has been run a few times by its handlers is translated to host code.
 * Instructions that have no translator stay with their handlers, which the code calls.  docs/dbt.md
 * tells how it all works; to make a translator for an operation, see x86_64/trans.h.
 *
 * Everything belongs to the vCPU's own thread: each has its own code, so that no lock is needed.
 */
#ifndef ACCEL_DBT_DBT_H
#define ACCEL_DBT_DBT_H

#include <stdio.h>
#include "accel/engine.h"

/* Why translated code comes back.  The registers are in X86Cpu by then, RIP too. */
typedef enum DbtExit {
    EXIT_NONE,                  /* of what the code calls: go on */
    EXIT_LOOKUP,                /* find the block at RIP */
    EXIT_LINK,                  /* the same; the exit with the number dbt.what may jump there from now on */
    EXIT_FAR,                   /* the same for a jump to another page, whose DbtFar is at dbt.what */
    EXIT_STALE,                 /* the block dbt.what is invalid */
    EXIT_BUDGET,                /* nothing left of the counted instructions */
    EXIT_TAIL,                  /* the block at dbt.what (a DbtTail) crosses a page: is the second the same? */
    EXIT_HANDLERS,              /* the instruction at RIP, and some behind it, by their handlers */
    EXIT_COUNT
} DbtExit;

/* A jump out of a block to an address that is known, in the same page. */
typedef struct DbtLink {
    hwaddr page;                /* where both are */
    int32_t offset;             /* of the target in it */
    uint8_t *jump;              /* its displacement, in the writable mapping */
    bool in_eflags;             /* where it leaves the flags: not in AX */
} DbtLink;

/* What a jump to a known address in another page goes by: in the code, behind it. */
typedef struct DbtFar {
    uint64_t page, tag;         /* what dbt.page and a tag must be for it to be good; page 1: never */
    const void *code;
    int64_t offset;             /* of the target from the start of `page` */
    uint64_t which;             /* where in X86Cpu that tag is: dbt.tag or dbt.global_tag */
} DbtFar;

/* What a block that goes on in another page must find to be as it was decoded.  Lies in the code, behind it. */
typedef struct DbtTail {
    uint64_t page, tag;         /* dbt.page and dbt.tag; page 1: never */
    uint64_t offset;            /* of the block in its page */
    const void *code;           /* its entry */
} DbtTail;

typedef struct DbtJump {        /* an entry of the table for jumps whose target is not known before */
    uint64_t rip, tag;
    const void *code;
    uint64_t page;              /* of rip */
} DbtJump;

enum { DBT_JUMP_BITS = 16, DBT_JUMP_SIZE = 1 << DBT_JUMP_BITS };
/* Blocks with this key bit count their instructions: for small budgets. */
enum { KEY_COUNTED = KEY_ACCEL };
enum { DBT_NEVER = 0xffffffff /* Block.runs of one that is not worth translating */ };

/* Where requests found the processor. */
enum { DBT_SAMPLES = 64 };
typedef struct DbtSample {
    uint64_t rip, n;
} DbtSample;

typedef struct DbtCache {
    uint8_t *rw;                /* the memory, writable; and executable `exec` bytes further on */
    ptrdiff_t exec;
    size_t size, used, start;   /* code of blocks begins at `start` */
} DbtCache;

/* An instruction that code leaves to its handler now and then, behind the code: it is decoded again then, as it would
 * take ten times the room decoded. */
typedef struct DbtInsn {
    uint8_t number, len;        /* in its block */
    uint8_t bytes[];
} DbtInsn;

enum { DBT_SLOW_WAYS = 1024 };

typedef struct DbtSlow {
    const DbtInsn *of;          /* NULL: nothing */
    X86Insn insn[2];            /* with its handler; and a stop */
} DbtSlow;

typedef struct DbtVcpu {
    EngineVcpu engine;          /* first */
    DbtCache cache;
    GArray *links;              /* of DbtLink: numbers are in the code */
    DbtJump *jump;              /* as many again are empty: for when there is a request */
    DbtSlow slow_ways[DBT_SLOW_WAYS];           /* by a hash of the DbtInsn's address: those that came last */
    uint64_t handled;           /* of the block translated last: a bit for each instruction left to handlers ... */
    const uint8_t *code_end;    /* ... and where its code ends, in the writable mapping: its DbtInsns follow */
    unsigned calling;           /* number of the first instruction whose handler runs for translated code ... */
    bool slow;                  /* ... and it is dbt_run_slow() that calls it */
    FILE *perfmap;              /* or NULL */
    bool in_code;               /* between `enter` and its return */
    struct {                    /* stubs that all code shares: x86_64/thunks.c */
        int (*enter)(X86Cpu *c, const void *code);
        const uint8_t *handlers, *handlers_last, *slow, *slow_last, *link, *link_eflags, *far, *stale, *budget;
        const uint8_t *jump_other, *lookup;             /* to the RIP in T1: by the jump table; by EXIT_LOOKUP */
        const uint8_t *stack_read, *stack_write;        /* x86_64/stack.c */
        const uint8_t *load_sse, *load_avx, *load_avx512, *load_zmm, *load_x87, *spill, *not_live, *tail;
    } thunk;
    struct {
        uint64_t translated, insns, bytes, full, links, forwards;
        uint64_t exits[EXIT_COUNT], slow;
        uint64_t *handled;      /* by operation: calls of handlers for what has no translator */
        DbtSample hot[DBT_SAMPLES];
    } stats;
} DbtVcpu;

typedef struct Dbt {
    Engine engine;              /* first */
    size_t cache_size;
    unsigned tlb_size;          /* entries for each privilege */
    uint32_t first_runs;        /* by handlers, before a block is worth translating */
    bool perfmap;
} Dbt;

/* ---- cache.c ---- */
bool dbt_cache_init(DbtCache *c, size_t size, GError **errp);
void dbt_cache_fini(DbtCache *c);

/* ---- report.c ---- */
void dbt_info(Accel *accel, Vcpu *vcpu, GString *out);
void dbt_sample(DbtVcpu *v);
void dbt_report_translated(const DbtVcpu *v, const Block *b);       /* that at RIP, the last in the cache */
bool dbt_perfmap_open(DbtVcpu *v, GError **errp);
void dbt_perfmap_close(DbtVcpu *v);

/* ---- dbt.c: called by translated code ---- */
/* The instruction at `in` by its handler, and those behind it that have no translation; `behind` is the
 * offset in the page of what is behind the first.  A DbtExit. */
int dbt_run_handlers(DbtVcpu *v, const X86Insn *in, uint32_t behind);
/* One instruction that has a translation by its handler: an access that is not a TLB hit, a division that
 * may fault. */
int dbt_run_slow(DbtVcpu *v, const DbtInsn *in, uint32_t behind);
/* The same for what ends a block: where to go on; NULL: out. */
const void *dbt_run_handlers_last(DbtVcpu *v, const X86Insn *in, uint32_t behind);
const void *dbt_run_slow_last(DbtVcpu *v, const DbtInsn *in, uint32_t behind);
/* The instruction at this offset needs vectors or the x87 as they cannot be had in the host's registers. */
int dbt_not_live(DbtVcpu *v, const DbtInsn *in, uint32_t at);

/* ---- x86_64/: what knows the host ---- */
bool dbt_host_supported(GError **errp);
void dbt_make_thunks(DbtVcpu *v);                       /* at the start of the cache */
typedef enum DbtResult { DBT_DONE /* b->code */, DBT_NOT_WORTH_IT, DBT_NO_ROOM } DbtResult;
DbtResult dbt_translate(DbtVcpu *v, Block *b);
void dbt_link(DbtVcpu *v, const DbtLink *l, const void *to);
/* The code at a block's entry becomes a jump to code of another. */
void dbt_forward(DbtVcpu *v, Block *b, const void *to);
void dbt_make_stale(DbtVcpu *v, Block *b);              /* ... or to the stub that asks for another */
void dbt_enter_thread(X86Cpu *c);                       /* this thread is about to run code of c */

#endif
