/*
 * accel/engine.h - what the accelerators of our own share: decoded blocks, and the loop that
 * takes what comes between them.
 *
 * An accelerator (accel/interp, accel/dbt) brings EngineOps, which run one block after another, and
 * embeds EngineVcpu in what it keeps for each processor.  Everything here belongs to the vCPU's own
 * thread unless it says otherwise.
 */
#ifndef ACCEL_ENGINE_H
#define ACCEL_ENGINE_H

#include <setjmp.h>
#include "accel/accel.h"
#include "target/x86/exec.h"
#include "util/handoff.h"

#define ENGINE_INLINE inline __attribute__((always_inline))

enum { BLOCK_INSNS = 32, JUMP_SIZE = 16384, HASH_BITS = 17, ARENA_BYTES = 56 << 20 };

/* Key of a block, beside its address: MODE_*; what the accelerator adds (EngineVcpu.key_bits); whether
 * it is run alone and by handlers, for a log or a breakpoint; whether it is one instruction on purpose.
 * An invalid block has a key that no lookup asks for. */
enum { KEY_ACCEL = 1 << 28, KEY_PLAIN = 1 << 29, KEY_SINGLE = 1 << 30, KEY_INVALID = 1 << 31 };
#define NO_PAGE (~(hwaddr)0)

typedef struct Block Block;
struct Block {
    uint32_t key;
    uint16_t count;             /* instructions, the stop behind them not counted */
    uint16_t bytes;
    hwaddr gpa;
    uint32_t runs;              /* how often handlers ran it: the accelerator's to count */
    void *code;                 /* translated; NULL: not */
    hwaddr tail_page;           /* where its one instruction goes on, in another page; or NO_PAGE */
    Block *hash_next;
    Block *page_next[2];        /* in the lists of gpa's page, and of tail_page */
    X86Insn *insns;             /* the block's, and a stop; of translated code: those that it hands to handlers */
    unsigned held;              /* how many these are, stops included */
};

typedef struct JumpEntry {      /* from a linear address straight to its block */
    uint64_t linear, tag;       /* tag: x86_fetch_generation() and key */
    Block *block;
} JumpEntry;

/* What all processors know of a page with decoded code; under Engine.lock. */
typedef struct CodePage {
    uint64_t granules;          /* 64-byte pieces that somebody decoded from */
    unsigned stores, patience;  /* stores beside the code, and how many until the code is dropped */
} CodePage;

typedef struct EngineVcpu EngineVcpu;

/* How blocks are run.  `run` does one block, and unless `alone` goes on with those that follow as
 * long as engine_undisturbed(); it counts with engine_account(). */
typedef struct EngineOps {
    size_t vcpu_size;           /* of the struct that begins with an EngineVcpu */
    bool (*vcpu_init)(EngineVcpu *v, GError **errp);        /* these five may be NULL */
    void (*vcpu_fini)(EngineVcpu *v);
    void (*flushed)(EngineVcpu *v);                         /* all blocks are gone */
    void (*invalidated)(EngineVcpu *v, Block *b);           /* nothing finds b any more */
    /* An exception is on its way; true: what ran has been counted. */
    bool (*unwound)(EngineVcpu *v, X86Cpu *c);
    void (*run)(EngineVcpu *v, X86Cpu *c, Block *b, bool alone);
} EngineOps;

typedef struct Engine {
    Accel accel;                /* first */
    const EngineOps *code;
    GMutex lock;                /* pages, vcpus */
    GHashTable *pages;          /* page number -> CodePage */
    GPtrArray *vcpus;           /* of EngineVcpu */
    MemListener mem_listener, io_listener;
    GArray *breakpoints;        /* of uint64_t; changed only while paused */
} Engine;

struct EngineVcpu {
    Engine *engine;
    X86Cpu *cpu;
    jmp_buf unwind;
    const Block *running;       /* the block in execution, when handlers execute it */
    uint64_t left;              /* of the instructions that run() was given */
    uint32_t key_bits;          /* KEY_ACCEL or 0 */
    uint64_t until;             /* engine_undisturbed() ends where `left` is less */
    uint64_t stopped_at;        /* linear address of the breakpoint that stopped the last run */
    JumpEntry jump[JUMP_SIZE];
    Block *hash[1 << HASH_BITS];
    GHashTable *page_blocks;    /* page number -> first Block */
    uint8_t *arena;
    size_t arena_used;
    void *spare[BLOCK_INSNS + 2];       /* arrays of so many instructions that are free again: first words are links */
    X86Insn work[BLOCK_INSNS + 1];      /* of the block that is being built */
    Block outside;              /* for code that is not RAM: built anew each time */
    struct { uint64_t blocks, insns, invalidated, dropped_pages, flushes, lookups; } stats;
};

static inline void engine_lock(Engine *a)
{
    g_mutex_lock(&a->lock);
    handoff_take(&a->lock);
}

static inline void engine_unlock(Engine *a)
{
    handoff_give(&a->lock);
    g_mutex_unlock(&a->lock);
}

/* ---- blocks.c: the vCPU's own thread ---- */
bool blocks_init(EngineVcpu *v, GError **errp);
void blocks_fini(EngineVcpu *v);
void blocks_flush(EngineVcpu *v);
/* The block at a linear address, decoded if need be; raises what fetching raises. */
Block *blocks_find(EngineVcpu *v, uint64_t linear, uint32_t key);
/* For translated code: room for so many instructions at the arena's end, NULL: there is none; and those that were put
 * there, in the place of all of the block's. */
X86Insn *blocks_room(EngineVcpu *v, unsigned most);
void blocks_hold(EngineVcpu *v, Block *b, unsigned n);
/* The bytes of a block in RAM, as they are now: at most `size`.  How many there are. */
unsigned blocks_bytes(const EngineVcpu *v, const Block *b, uint8_t *to, unsigned size);
/* Bytes of a page that is flagged as code have changed. */
void blocks_stored(X86Cpu *c, hwaddr gpa, unsigned len);
void blocks_drop_page(EngineVcpu *v, hwaddr page);

static inline uint64_t jump_tag(uint64_t generation, uint32_t key)
{
    return generation << 32 | key;
}

static inline JumpEntry *jump_entry(EngineVcpu *v, uint64_t linear)
{
    return &v->jump[(linear ^ linear >> 12) & (JUMP_SIZE - 1)];
}

/* ---- loop.c: for the AccelOps of those who bring EngineOps ---- */
Accel *engine_create(Machine *m, size_t size, const EngineOps *code);
void engine_destroy(Accel *accel);
bool engine_vcpu_create(Accel *accel, Vcpu *vcpu, GError **errp);
void engine_vcpu_destroy(Accel *accel, Vcpu *vcpu);
RunExit engine_run(Accel *accel, Vcpu *vcpu, uint64_t max_insns, GError **errp);
void engine_flush(Accel *accel, Vcpu *vcpu);
void engine_reset(Accel *accel, Vcpu *vcpu);
bool engine_set_breakpoint(Accel *accel, uint64_t linear, bool on);
bool engine_set_watchpoints(Accel *accel, const X86Watch *list, unsigned n, GError **errp);
uint64_t engine_insn_count(Accel *accel, Vcpu *vcpu);
void engine_info(Accel *accel, Vcpu *vcpu, GString *out);

static inline uint64_t engine_linear_rip(const X86Cpu *c)
{
    uint64_t rip = c->regs[X86_RIP];

    return (c->mode & MODE_CODE) == MODE_CODE64 ? rip : (uint32_t)(rip + c->seg[X86_CS].base);
}

/* With a limit of 4 GiB EIP goes on at 0 (volume 3A 5.3 leaves that open; processors do it), within an instruction,
 * too.  A block ends there. */
static inline bool engine_eip_wraps(const X86Cpu *c)
{
    return (c->mode & MODE_CODE) != MODE_CODE64 && c->seg[X86_CS].limit == UINT32_MAX;
}

/* Behind a block, before anyone looks: the next block, who steps, a saved state. */
static inline void engine_wrap_eip(X86Cpu *c)
{
    if (G_UNLIKELY(c->regs[X86_RIP] > UINT32_MAX) && engine_eip_wraps(c)) {
        c->regs[X86_RIP] = (uint32_t)c->regs[X86_RIP];
    }
}

/* The block at RIP, if nobody need look for it; NULL. */
static ENGINE_INLINE Block *engine_known(EngineVcpu *v, X86Cpu *c, uint64_t linear, uint32_t key)
{
    const JumpEntry *j = jump_entry(v, linear);

    if (G_LIKELY(j->linear == linear
                 && (j->tag == jump_tag(c->fetch_gen, key) || j->tag == jump_tag(c->global_gen, key))
                 && j->block->key == key)
        && ((key & MODE_CODE) == MODE_CODE64
            || c->regs[X86_RIP] + j->block->bytes - 1 <= c->seg[X86_CS].limit)) {
        return j->block;
    }
    return NULL;
}

static ENGINE_INLINE Block *engine_find(EngineVcpu *v, X86Cpu *c, uint64_t linear, uint32_t key)
{
    Block *b = engine_known(v, c, linear, key);

    return b ? b : blocks_find(v, linear, key);
}

/* What the running block has done: its instructions up to c->cur. */
static ENGINE_INLINE void engine_account(EngineVcpu *v, X86Cpu *c)
{
    uint64_t n = (uint64_t)(c->cur - v->running->insns) + 1;

    v->left -= n;
    c->insn_count += n;
    c->cur = NULL;
}

/* Runs a block by its handlers. */
static ENGINE_INLINE void engine_run_block(EngineVcpu *v, X86Cpu *c, const Block *b)
{
    const X86Insn *in = b->insns;

    v->running = b;
    c->cur = in;
    c->regs[X86_RIP] += in->len;
    in->exec(c, in);
    engine_account(v, c);
}

/* Nothing to do between two blocks but to find the next. */
static ENGINE_INLINE bool engine_undisturbed(const EngineVcpu *v, const X86Cpu *c)
{
    return v->left >= v->until && !atomic_load_explicit(&c->vcpu.requests, memory_order_relaxed)
        && !c->vcpu.halted && !x86_insn_alone(c);
}

#endif
