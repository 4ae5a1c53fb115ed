/*
 * accel/dbt/dbt.c - the translator as an accelerator: when blocks are translated, what happens when
 * their code comes back, and what it calls.
 */
#include "dbt.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/mem.h"
#include "util/error.h"
#include "util/log.h"

/* Budgets below this are counted exactly; above, nobody asks for so much but to run until stopped. */
enum { COUNTED_BELOW = 1 << 28 };
enum { CACHE_LEAST = 64 << 10, CACHE_DEFAULT = 48 << 20, CACHE_MOST = 1 << 30 };
enum { FIRST_RUNS_DEFAULT = 1, FIRST_RUNS_MOST = 1 << 20 };

static uint64_t rip_of(const X86Cpu *c, uint64_t offset)
{
    uint64_t rip = c->dbt.page + offset;

    return (c->mode & MODE_CODE) == MODE_CODE64 ? rip : (uint32_t)rip;
}

static uint64_t offset_in_page(hwaddr gpa) { return gpa & (PAGE_SIZE - 1); }

/* ---- what translated code calls ---- */

/* Only the first `done` of the running block's counted instructions have been executed. */
static void count_back(DbtVcpu *v, X86Cpu *c, unsigned done)
{
    if (v->engine.key_bits & KEY_COUNTED) {
        c->dbt.left += ((const Block *)(uintptr_t)c->dbt.what)->count - done;
    }
}

static void set_tags(X86Cpu *c, uint32_t key)
{
    c->dbt.tag = jump_tag(c->fetch_gen, key);
    c->dbt.global_tag = jump_tag(c->global_gen, key);
}

/* `last` has been executed; were those all that were to be? */
static DbtExit after_handler(DbtVcpu *v, X86Cpu *c, uint32_t mode, uint64_t invalidated, const X86Insn *last,
                             bool all)
{
    c->cur = NULL;
    if (!all || c->mode != mode || v->engine.stats.invalidated != invalidated) {
        if (v->engine.key_bits & KEY_COUNTED) {
            count_back(v, c, last->number + 1u);
        }
        return EXIT_LOOKUP;
    }
    set_tags(c, mode | v->engine.key_bits);                     /* it may have been INVLPG */
    return EXIT_NONE;
}

int dbt_run_handlers(DbtVcpu *v, const X86Insn *in, uint32_t behind)
{
    X86Cpu *c = v->engine.cpu;
    uint32_t mode = c->mode;
    uint64_t invalidated = v->engine.stats.invalidated;

    v->calling = in->number;
    v->slow = false;
    v->stats.handled[in->row ? in->row->op : OP_COUNT]++;
    c->regs[X86_RIP] = rip_of(c, behind);
    c->cur = in;
    in->exec(c, in);
    return after_handler(v, c, mode, invalidated, c->cur, c->cur[1].exec == x86_exec_stop);
}

/* Its mode is that of the code, so that the handler stays the same as long as the code is there. */
static const X86Insn *decoded(DbtVcpu *v, X86Cpu *c, const DbtInsn *in)
{
    DbtSlow *s = &v->slow_ways[((uintptr_t)in >> 3 ^ (uintptr_t)in >> 13) % DBT_SLOW_WAYS];

    if (s->of != in) {
        s->of = in;
        x86_decode(s->insn, in->bytes, in->len, x86_code_bits(c));
        s->insn[0].exec = x86_bind(c, s->insn);
        s->insn[0].number = in->number;
        s->insn[1].exec = x86_exec_stop;
    }
    return s->insn;
}

int dbt_run_slow(DbtVcpu *v, const DbtInsn *in, uint32_t behind)
{
    X86Cpu *c = v->engine.cpu;
    uint32_t mode = c->mode;
    uint64_t invalidated = v->engine.stats.invalidated;
    const X86Insn *alone = decoded(v, c, in);

    v->stats.slow++;
    v->calling = in->number;
    v->slow = true;
    c->regs[X86_RIP] = rip_of(c, behind);
    c->cur = alone;
    alone->exec(c, alone);
    return after_handler(v, c, mode, invalidated, alone, true);
}

static void begin_in(X86Cpu *c, const Block *b)
{
    c->dbt.page = c->regs[X86_RIP] - offset_in_page(b->gpa);
    set_tags(c, b->key);
}

static bool has_code(DbtVcpu *v, Block **b);

/* The block at RIP, where finding it cannot raise a fault. */
static Block *known(DbtVcpu *v, X86Cpu *c)
{
    return engine_known(&v->engine, c, engine_linear_rip(c), c->mode | v->engine.key_bits);
}

/* Behind STI, where engine_known() knows the one instruction that run_blocks() would run alone: that STI's page
 * has been fetched from, and the first instruction does not reach into the next. */
static Block *behind_sti(DbtVcpu *v, X86Cpu *c)
{
    uint64_t offset = offset_in_page(engine_linear_rip(c));
    Block *b = NULL;

    if (offset != 0 && offset <= PAGE_SIZE - X86_INSN_MAX) {
        b = engine_find(&v->engine, c, engine_linear_rip(c), c->mode | v->engine.key_bits);
    }
    return b && has_code(v, &b) ? b : NULL;
}

/* RIP is where it may: its code, if nothing is to be done before it; NULL: run() has to see.  Where instructions
 * are counted they are accounted for on the way out: time may depend on them.
 *
 * STI's shadow ends here: nobody looks for interrupts between a block's entry and its second instruction. */
static const void *next_code(DbtVcpu *v, X86Cpu *c)
{
    bool shadow = c->sti_shadow && !c->ss_shadow;

    if (v->engine.key_bits & KEY_COUNTED) {
        return NULL;
    }
    c->sti_shadow &= !shadow;
    const Block *b = !engine_undisturbed(&v->engine, c) ? NULL : shadow ? behind_sti(v, c) : known(v, c);
    if (!b || !b->code) {
        c->sti_shadow |= shadow;
        return NULL;
    }
    begin_in(c, b);
    return b->code;
}

const void *dbt_run_handlers_last(DbtVcpu *v, const X86Insn *in, uint32_t behind)
{
    dbt_run_handlers(v, in, behind);
    return next_code(v, v->engine.cpu);
}

const void *dbt_run_slow_last(DbtVcpu *v, const DbtInsn *in, uint32_t behind)
{
    dbt_run_slow(v, in, behind);
    return next_code(v, v->engine.cpu);
}

int dbt_not_live(DbtVcpu *v, const DbtInsn *in, uint32_t at)
{
    X86Cpu *c = v->engine.cpu;

    c->regs[X86_RIP] = rip_of(c, at);
    if (v->engine.key_bits & KEY_COUNTED) {
        count_back(v, c, in->number);
    }
    return EXIT_HANDLERS;
}

/* An exception has come out of what translated code called. */
static bool unwound(EngineVcpu *ev, X86Cpu *c)
{
    DbtVcpu *v = (DbtVcpu *)ev;

    if (!v->in_code) {
        return false;
    }
    v->in_code = false;
    if (ev->key_bits & KEY_COUNTED) {
        /* c->cur is the instruction, or what dbt_run_slow() has decoded of it; given up, it comes again */
        unsigned done = (v->slow || !c->cur ? v->calling : c->cur->number) + 1u;
        count_back(v, c, done - c->exc.again);
        c->insn_count += ev->left - (uint64_t)c->dbt.left;
        ev->left = (uint64_t)c->dbt.left;
    }
    c->cur = NULL;
    return true;
}

/* ---- running ---- */

/* What a jump to the block at RIP, which has just been found, goes by.  The table in front of blocks says whether
 * the page is global when the MMU's own has room for its entry no more. */
static uint64_t tag_here(DbtVcpu *v, X86Cpu *c, const Block *b)
{
    uint64_t linear = engine_linear_rip(c);
    const JumpEntry *j = jump_entry(&v->engine, linear);

    return j->linear == linear && j->block == b ? j->tag : jump_tag(x86_fetch_generation(c, linear), b->key);
}

static void note_jump(DbtVcpu *v, X86Cpu *c, const Block *b)
{
    uint64_t rip = c->regs[X86_RIP];

    v->jump[rip & (DBT_JUMP_SIZE - 1)] = (DbtJump){ rip, tag_here(v, c, b), b->code, c->dbt.page };
}

/* The block at RIP, if it is translated; NULL too when looking for it has emptied the cache, or when the budget has
 * ended: looking may raise the fault of its fetch, which is the next run's. */
static Block *find_translated(DbtVcpu *v, X86Cpu *c)
{
    if (v->engine.left == 0) {
        return NULL;
    }
    uint64_t flushes = v->engine.stats.flushes;
    Block *b = engine_find(&v->engine, c, engine_linear_rip(c), c->mode | v->engine.key_bits);

    return b->code && v->engine.stats.flushes == flushes ? b : NULL;
}

static void follow_link(DbtVcpu *v, X86Cpu *c)
{
    DbtLink l = g_array_index(v->links, DbtLink, c->dbt.what);

    c->regs[X86_RIP] = rip_of(c, (uint64_t)l.offset);
    Block *b = find_translated(v, c);
    if (b && (b->gpa & ~(hwaddr)(PAGE_SIZE - 1)) == l.page) {
        dbt_link(v, &l, b->code);
        v->stats.links++;
    }
}

/* dbt.what is the address in the executable mapping. */
static void follow_far(DbtVcpu *v, X86Cpu *c)
{
    DbtFar *far = (DbtFar *)(uintptr_t)(c->dbt.what - (uint64_t)v->cache.exec);
    uint64_t page = c->dbt.page;

    c->regs[X86_RIP] = rip_of(c, (uint64_t)far->offset);
    Block *b = find_translated(v, c);
    if (b) {
        uint64_t tag = tag_here(v, c, b);
        bool global = tag == jump_tag(c->global_gen, b->key);
        *far = (DbtFar){ page, tag, b->code, far->offset,
                         global ? offsetof(X86Cpu, dbt.global_tag) : offsetof(X86Cpu, dbt.tag) };
        v->stats.links++;
    }
}

/* find_translated() has seen whether the block at RIP goes on where it did. */
static void follow_tail(DbtVcpu *v, X86Cpu *c)
{
    DbtTail *tail = (DbtTail *)(uintptr_t)(c->dbt.what - (uint64_t)v->cache.exec);
    uint64_t page = c->dbt.page;

    c->regs[X86_RIP] = rip_of(c, tail->offset);
    Block *b = find_translated(v, c);
    if (b && b->code == tail->code) {
        tail->page = page;
        tail->tag = jump_tag(c->fetch_gen, b->key);
    }
}

static void follow_stale(DbtVcpu *v, X86Cpu *c)
{
    Block *old = (Block *)(uintptr_t)c->dbt.what;
    uint32_t key = c->mode | v->engine.key_bits;

    c->regs[X86_RIP] = rip_of(c, offset_in_page(old->gpa));
    Block *b = find_translated(v, c);
    if (b && b->gpa == old->gpa && b->key == key) {
        dbt_forward(v, old, b->code);
        v->stats.forwards++;
    }
}

static void run_handlers(DbtVcpu *v, X86Cpu *c)
{
    uint32_t key = v->engine.key_bits | KEY_PLAIN | (v->engine.left < BLOCK_INSNS ? KEY_SINGLE : 0);

    engine_run_block(&v->engine, c, engine_find(&v->engine, c, engine_linear_rip(c), c->mode | key));
}

/* A request takes the table away, so that the next jump by it leaves; here it comes back. */
static void kick(Vcpu *vcpu)
{
    X86Cpu *c = x86_cpu(vcpu);

    atomic_store(&c->dbt.jump, c->dbt.no_jump);
}

/* If a request comes behind the look at it, its kick comes behind the store. */
static void use_jumps(const DbtVcpu *v, X86Cpu *c)
{
    atomic_store(&c->dbt.jump, (uintptr_t)v->jump);
    if (atomic_load(&c->vcpu.requests)) {
        kick(&c->vcpu);
    }
}

static void run_code(DbtVcpu *v, X86Cpu *c, const Block *b)
{
    begin_in(c, b);
    c->dbt.left = (int64_t)v->engine.left;
    note_jump(v, c, b);
    use_jumps(v, c);
    v->in_code = true;
    DbtExit why = v->thunk.enter(c, b->code);
    v->in_code = false;
    v->stats.exits[why]++;
    /* Before what follows, which may raise the fault of a fetch */
    c->insn_count += v->engine.left - (uint64_t)c->dbt.left;
    v->engine.left = (uint64_t)c->dbt.left;
    if (G_UNLIKELY(atomic_load_explicit(&c->vcpu.requests, memory_order_relaxed))) {
        dbt_sample(v);
    }
    switch (why) {
    case EXIT_LINK:
        follow_link(v, c);
        break;
    case EXIT_FAR:
        follow_far(v, c);
        break;
    case EXIT_TAIL:
        follow_tail(v, c);
        break;
    case EXIT_STALE:
        follow_stale(v, c);
        break;
    case EXIT_BUDGET:
        b = (const Block *)(uintptr_t)c->dbt.what;
        c->regs[X86_RIP] = rip_of(c, offset_in_page(b->gpa));
        break;
    case EXIT_HANDLERS:
        run_handlers(v, c);
        break;
    default:
        break;
    }
    if (c->regs[X86_RIP] == c->dbt.behind_sti) {
        c->sti_shadow = true;           /* if another way has led here, an interrupt comes one instruction later */
        behind_sti(v, c);               /* which is run alone now: else it would not be translated, ever */
    }
    c->dbt.behind_sti = ~0ull;
}

/* Is there code for the block?  NULL: look for it again, all blocks are gone. */
static bool has_code(DbtVcpu *v, Block **b)
{
    if ((*b)->code) {
        return true;
    }
    if ((*b)->runs == DBT_NEVER || (*b)->runs++ < ((const Dbt *)v->engine.engine)->first_runs) {
        return false;
    }
    switch (dbt_translate(v, *b)) {
    case DBT_DONE:
        dbt_report_translated(v, *b);
        return true;
    case DBT_NO_ROOM:
        blocks_flush(&v->engine);
        v->stats.full++;
        *b = NULL;
        return false;
    default:
        (*b)->runs = DBT_NEVER;
        return false;
    }
}

static void run(EngineVcpu *ev, X86Cpu *c, Block *b, bool alone)
{
    DbtVcpu *v = (DbtVcpu *)ev;

    for (;;) {
        if (!alone && has_code(v, &b)) {
            run_code(v, c, b);
        } else if (b) {
            engine_run_block(ev, c, b);
        }
        if (alone || !engine_undisturbed(ev, c)) {
            return;
        }
        b = engine_find(ev, c, engine_linear_rip(c), c->mode | ev->key_bits);
    }
}

static void flushed(EngineVcpu *ev)
{
    DbtVcpu *v = (DbtVcpu *)ev;

    v->cache.used = v->cache.start;
    g_array_set_size(v->links, 0);
    memset(v->jump, 0, sizeof(DbtJump) * DBT_JUMP_SIZE);
    memset(v->slow_ways, 0, sizeof(v->slow_ways));
}

static void invalidated(EngineVcpu *ev, Block *b)
{
    if (b->code) {
        dbt_make_stale((DbtVcpu *)ev, b);
    }
}

/* ---- the accelerator ---- */

static bool init(EngineVcpu *ev, GError **errp)
{
    DbtVcpu *v = (DbtVcpu *)ev;

    if (!dbt_cache_init(&v->cache, ((Dbt *)ev->engine)->cache_size, errp)) {
        return false;
    }
    v->links = g_array_new(false, false, sizeof(DbtLink));
    v->jump = g_new0(DbtJump, 2 * DBT_JUMP_SIZE);
    v->stats.handled = g_new0(uint64_t, OP_COUNT + 1);
    ev->cpu->dbt.no_jump = (uintptr_t)(v->jump + DBT_JUMP_SIZE);
    vcpu_set_kick(&ev->cpu->vcpu, kick);
    x86_tlb_resize(ev->cpu, ((Dbt *)ev->engine)->tlb_size);
    dbt_make_thunks(v);
    return !((Dbt *)ev->engine)->perfmap || dbt_perfmap_open(v, errp);
}

static void fini(EngineVcpu *ev)
{
    DbtVcpu *v = (DbtVcpu *)ev;

    vcpu_set_kick(&ev->cpu->vcpu, NULL);
    dbt_perfmap_close(v);
    dbt_cache_fini(&v->cache);
    g_array_free(v->links, true);
    g_free(v->jump);
    g_free(v->stats.handled);
}

static AccelProbe probe(const KeyVals *options, GError **errp)
{
    return dbt_host_supported(errp) ? PROBE_GOOD : PROBE_NO;
}

static Accel *create(Machine *m, const KeyVals *options, GError **errp)
{
    static const EngineOps code = {
        .vcpu_size = sizeof(DbtVcpu), .vcpu_init = init, .vcpu_fini = fini, .flushed = flushed,
        .invalidated = invalidated, .unwound = unwound, .run = run,
    };
    uint64_t tlb_size = keyvals_num(options, "tlb-size", X86_TLB_DEFAULT);

    if (tlb_size & (tlb_size - 1)) {
        error_set(errp, "tlb-size=%" PRIu64 ": it is a power of two, from %u to %u", tlb_size, X86_TLB_LEAST,
                  X86_TLB_MOST);
        return NULL;
    }
    Dbt *a = (Dbt *)engine_create(m, sizeof(Dbt), &code);

    a->cache_size = keyvals_num(options, "cache-size", CACHE_DEFAULT);
    a->tlb_size = (unsigned)tlb_size;
    a->perfmap = keyvals_bool(options, "perfmap", false);
    a->first_runs = (uint32_t)keyvals_num(options, "first-runs", FIRST_RUNS_DEFAULT);
    return &a->engine.accel;
}

static RunExit dbt_run(Accel *accel, Vcpu *vcpu, uint64_t max_insns, GError **errp)
{
    EngineVcpu *ev = vcpu->accel_data;

    ev->key_bits = max_insns < COUNTED_BELOW ? KEY_COUNTED : 0;
    dbt_enter_thread(ev->cpu);
    return engine_run(accel, vcpu, max_insns, errp);
}

static const KeySpec options[] = {
    { "cache-size", KEY_SIZE, "memory for translated code (default 48M)",
      .min = CACHE_LEAST, .max = CACHE_MOST },
    { "tlb-size", KEY_UINT, "entries of the software TLB for each privilege, a power of two (default 4096)",
      .min = X86_TLB_LEAST, .max = X86_TLB_MOST },
    { "perfmap", KEY_BOOL, "name translated blocks in /tmp/perf-PID.map, for perf report (default off)" },
    { "first-runs", KEY_UINT, "how often a block is run by handlers before it is translated (default 1)",
      .max = FIRST_RUNS_MOST },
    { NULL }
};

const AccelOps accel_dbt = {
    .name = "dbt",
    .summary = "translates guest code to host code",
    .options = options,
    .probe = probe,
    .create = create,
    .destroy = engine_destroy,
    .vcpu_create = engine_vcpu_create,
    .vcpu_destroy = engine_vcpu_destroy,
    .run = dbt_run,
    .flush = engine_flush,
    .reset = engine_reset,
    .set_breakpoint = engine_set_breakpoint,
    .set_watchpoints = engine_set_watchpoints,
    .insn_count = engine_insn_count,
    .info = dbt_info,
};
