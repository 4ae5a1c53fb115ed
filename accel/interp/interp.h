/*
 * accel/interp/interp.h - the inside of the interpreter: decoded blocks, and who runs them.
 */
#ifndef ACCEL_INTERP_PRIVATE_H
#define ACCEL_INTERP_PRIVATE_H

#include <setjmp.h>
#include "accel/accel.h"
#include "target/x86/exec.h"
#include "util/handoff.h"

enum { BLOCK_INSNS = 32, JUMP_SIZE = 4096, HASH_BITS = 15, ARENA_BYTES = 48 << 20 };

/* Key of a block, beside its address: MODE_*, and whether it is one instruction on purpose.  An
 * invalid block has a key that no lookup asks for. */
enum { KEY_SINGLE = 1 << 30, KEY_INVALID = 1 << 31 };
#define NO_PAGE (~(hwaddr)0)

typedef struct Block Block;
struct Block {
    uint32_t key;
    uint16_t count;             /* instructions, the stop behind them not counted */
    uint16_t bytes;
    hwaddr gpa;
    hwaddr tail_page;           /* where its one instruction goes on, in another page; or NO_PAGE */
    Block *hash_next;
    Block *page_next[2];        /* in the lists of gpa's page, and of tail_page */
    X86Insn insns[];
};

typedef struct JumpEntry {      /* from a linear address straight to its block */
    uint64_t linear, tag;       /* tag: fetch_gen and key */
    Block *block;
} JumpEntry;

/* What all processors know of a page with decoded code; under Interp.lock. */
typedef struct CodePage {
    uint64_t granules;          /* 64-byte pieces that somebody decoded from */
    unsigned stores, patience;  /* stores beside the code, and how many until the code is dropped */
} CodePage;

typedef struct Interp {
    Accel accel;                /* first */
    GMutex lock;                /* pages, vcpus */
    GHashTable *pages;          /* page number -> CodePage */
    GPtrArray *vcpus;           /* of InterpVcpu */
    MemListener mem_listener, io_listener;
    GArray *breakpoints;        /* of uint64_t; changed only while paused */
} Interp;

typedef struct InterpVcpu {
    Interp *interp;
    X86Cpu *cpu;
    jmp_buf unwind;
    const Block *running;       /* the block in execution */
    uint64_t left;              /* of the instructions that run() was given */
    uint64_t stopped_at;        /* linear address of the breakpoint that stopped the last run */
    JumpEntry jump[JUMP_SIZE];
    Block *hash[1 << HASH_BITS];
    GHashTable *page_blocks;    /* page number -> first Block */
    uint8_t *arena;
    size_t arena_used;
    Block *outside;             /* for code that is not RAM: built anew each time */
    struct { uint64_t blocks, insns, invalidated, dropped_pages, flushes, lookups; } stats;
} InterpVcpu;

static inline void interp_lock(Interp *a)
{
    g_mutex_lock(&a->lock);
    handoff_take(&a->lock);
}

static inline void interp_unlock(Interp *a)
{
    handoff_give(&a->lock);
    g_mutex_unlock(&a->lock);
}

/* ---- blocks.c: the vCPU's own thread ---- */
bool blocks_init(InterpVcpu *v, GError **errp);
void blocks_fini(InterpVcpu *v);
void blocks_flush(InterpVcpu *v);
/* The block at a linear address, decoded if need be; raises what fetching raises. */
Block *blocks_find(InterpVcpu *v, uint64_t linear, uint32_t key);
/* Bytes of a page that is flagged as code have changed. */
void blocks_stored(X86Cpu *c, hwaddr gpa, unsigned len);
void blocks_drop_page(InterpVcpu *v, hwaddr page);

static inline uint64_t jump_tag(const X86Cpu *c, uint32_t key)
{
    return c->fetch_gen << 32 | key;
}

static inline JumpEntry *jump_entry(InterpVcpu *v, uint64_t linear)
{
    return &v->jump[(linear ^ linear >> 12) & (JUMP_SIZE - 1)];
}

#endif
