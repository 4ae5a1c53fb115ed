/*
 * accel/interp/interp.c - the interpreter: runs decoded blocks, and takes what comes between them.
 *
 * It is the definition of what an instruction does; other accelerators are measured by it.  Each
 * handler goes on with the next by itself (target/x86/exec.h), so that this loop turns once a block.
 *
 * Not modelled: breakpoints of DR0..3.
 */
#include "interp.h"

#include <inttypes.h>
#include <string.h>
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

enum { UNDISTURBED = 100000 };          /* instructions between two looks at what seldom changes */

/* ---- following the memory map, from any thread ---- */

static void map_changed_posted(Vcpu *vcpu, void *arg)
{
    if (vcpu->accel_data) {
        blocks_flush(vcpu->accel_data);
    }
    x86_tlb_flush(x86_cpu(vcpu), true);
    as_quiescent(&vcpu->mem_reader);
}

static void io_changed_posted(Vcpu *vcpu, void *arg)
{
    as_quiescent(&vcpu->io_reader);
}

static void for_each_vcpu(Interp *a, void (*fn)(Vcpu *vcpu, void *arg))
{
    interp_lock(a);
    for (guint i = 0; i < a->vcpus->len; i++) {
        InterpVcpu *v = g_ptr_array_index(a->vcpus, i);
        vcpu_post(&v->cpu->vcpu, fn, NULL);
    }
    interp_unlock(a);
}

static void mem_changed(MemListener *l)
{
    for_each_vcpu(container_of(l, Interp, mem_listener), map_changed_posted);
}

static void io_changed(MemListener *l)
{
    for_each_vcpu(container_of(l, Interp, io_listener), io_changed_posted);
}

typedef struct Range { hwaddr first, last; } Range;         /* pages */

static void code_changed_posted(Vcpu *vcpu, void *arg)
{
    Range *r = arg;

    for (hwaddr page = r->first; vcpu->accel_data && page <= r->last; page += PAGE_SIZE) {
        blocks_drop_page(vcpu->accel_data, page);
    }
    g_free(r);
}

static void code_changed(MemListener *l, hwaddr at, hwaddr len)
{
    Interp *a = container_of(l, Interp, mem_listener);

    interp_lock(a);
    for (guint i = 0; i < a->vcpus->len; i++) {
        InterpVcpu *v = g_ptr_array_index(a->vcpus, i);
        Range *r = g_new(Range, 1);
        *r = (Range){ at & ~(hwaddr)(PAGE_SIZE - 1), (at + len - 1) & ~(hwaddr)(PAGE_SIZE - 1) };
        vcpu_post(&v->cpu->vcpu, code_changed_posted, r);
    }
    interp_unlock(a);
}

/* ---- running ---- */

static uint64_t linear_rip(const X86Cpu *c)
{
    uint64_t rip = c->regs[X86_RIP];

    return (c->mode & MODE_CODE) == MODE_CODE64 ? rip : (uint32_t)(rip + c->seg[X86_CS].base);
}

static ALWAYS_INLINE const Block *find(InterpVcpu *v, X86Cpu *c, uint64_t linear, uint32_t key)
{
    const JumpEntry *j = jump_entry(v, linear);

    if (G_LIKELY(j->linear == linear && j->tag == jump_tag(c, key) && j->block->key == key)
        && ((key & MODE_CODE) == MODE_CODE64
            || c->regs[X86_RIP] + j->block->bytes - 1 <= c->seg[X86_CS].limit)) {
        return j->block;
    }
    return blocks_find(v, linear, key);
}

static void log_entry(X86Cpu *c, const Block *b)
{
    if (log_on(LOG_EXEC)) {
        log_printf("exec: cpu%u %04x:%" PRIx64 " %u\n", c->vcpu.index, c->seg[X86_CS].selector,
                   c->regs[X86_RIP], b->count);
    }
    if (log_on(LOG_CPU)) {
        g_autoptr(GString) s = g_string_new(NULL);
        x86_info_registers(c, s);
        log_printf("%s", s->str);
    }
}

/* What the block has done: its instructions up to c->cur. */
static ALWAYS_INLINE void account(InterpVcpu *v, X86Cpu *c)
{
    uint64_t n = (uint64_t)(c->cur - v->running->insns) + 1;

    v->left -= n;
    c->insn_count += n;
    c->cur = NULL;
}

/* The instruction that raised something counts; so does a fault of fetching or delivering, else a run
 * could last for ever. */
static void account_fault(InterpVcpu *v, X86Cpu *c)
{
    if (c->cur) {
        account(v, c);
    } else if (v->left) {
        v->left--;
    }
}

/* One instruction has been executed with RFLAGS.TF set at its start (volume 3A, 17.3.1.4).  Loading
 * SS puts it off (6.8.3); a software interrupt clears TF and takes no step. */
static void single_step(X86Cpu *c, const Block *b)
{
    unsigned op = b->insns[0].row ? b->insns[0].row->op : OP_COUNT;
    bool soft_int = (op == OP_INT || op == OP_INT3 || op == OP_INTO) && !(c->rflags & FL_TF);

    if (!soft_int && !(c->sti_shadow && op != OP_STI)) {
        c->exc.dr6 |= 1 << 14;
        x86_raise_trap(c, EXC_DB, false);
    }
}

static bool at_breakpoint(const InterpVcpu *v, uint64_t linear)
{
    const GArray *list = v->interp->breakpoints;

    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, uint64_t, i) == linear) {
            return linear != v->stopped_at;
        }
    }
    return false;
}

/* Something to do between two blocks but to find the next. */
static bool attention(const X86Cpu *c)
{
    return atomic_load_explicit(&c->vcpu.requests, memory_order_relaxed) || c->vcpu.halted || c->sti_shadow;
}

static ALWAYS_INLINE void run_block(InterpVcpu *v, X86Cpu *c, const Block *b)
{
    const X86Insn *in = b->insns;

    v->running = b;
    c->cur = in;
    c->regs[X86_RIP] += in->len;
    in->exec(c, in);
    account(v, c);
}

/* As long as nothing comes between; a while only, so that logging and the like are noticed. */
static void run_undisturbed(InterpVcpu *v, X86Cpu *c)
{
    uint64_t until = v->left > UNDISTURBED ? v->left - UNDISTURBED : BLOCK_INSNS;

    while (v->left >= until && !attention(c) && !(c->mode & MODE_TF)) {
        run_block(v, c, find(v, c, linear_rip(c), c->mode));
    }
}

static RunExit run_blocks(InterpVcpu *v, X86Cpu *c)
{
    Vcpu *vcpu = &c->vcpu;

    x86_mmu_sync(c);
    for (;;) {
        if (v->left == 0) {
            return RUN_BUDGET;
        }
        uint32_t requests = atomic_load_explicit(&vcpu->requests, memory_order_relaxed);
        if (requests) {
            bool shutdown;
            if (requests & VCPU_STOP) {
                return RUN_REQUEST;
            }
            if (x86_interrupt_due(c) && x86_serve_requests(c, &shutdown)) {
                if (shutdown) {
                    return RUN_SHUTDOWN;
                }
                x86_mmu_sync(c);
                continue;
            }
        }
        if (vcpu->halted) {
            return RUN_HALTED;
        }
        uint64_t linear = linear_rip(c);
        if (v->interp->breakpoints->len) {
            if (at_breakpoint(v, linear)) {
                v->stopped_at = linear;
                return RUN_DEBUG;
            }
            v->stopped_at = ~0ull;
        }
        uint32_t key = c->mode | (c->sti_shadow || v->left < BLOCK_INSNS ? KEY_SINGLE : 0);
        const Block *b = find(v, c, linear, key);
        c->sti_shadow = false;
        bool logging = log_on(LOG_EXEC | LOG_CPU);
        if (logging) {
            log_entry(c, b);
        }
        run_block(v, c, b);
        if (key & MODE_TF) {
            single_step(c, b);
        }
        if (!logging && !v->interp->breakpoints->len) {
            run_undisturbed(v, c);
        }
    }
}

static RunExit interp_run(Accel *a, Vcpu *vcpu, uint64_t max_insns, GError **errp)
{
    InterpVcpu *v = vcpu->accel_data;
    X86Cpu *c = x86_cpu(vcpu);

    v->left = max_insns;
    c->cur = NULL;
    c->unwind = &v->unwind;
    if (setjmp(v->unwind)) {
        account_fault(v, c);
        if (!x86_deliver(c)) {
            c->unwind = NULL;
            return RUN_SHUTDOWN;
        }
    }
    RunExit why = run_blocks(v, c);
    c->unwind = NULL;
    return why;
}

/* ---- the accelerator ---- */

static Accel *interp_create(Machine *m, const KeyVals *options, GError **errp)
{
    Interp *a = g_new0(Interp, 1);

    a->accel.machine = m;
    g_mutex_init(&a->lock);
    a->pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    a->vcpus = g_ptr_array_new();
    a->breakpoints = g_array_new(false, false, sizeof(uint64_t));
    a->mem_listener = (MemListener){ .changed = mem_changed, .code_changed = code_changed };
    a->io_listener = (MemListener){ .changed = io_changed };
    as_listen(m->mem, &a->mem_listener);
    as_listen(m->io, &a->io_listener);
    return &a->accel;
}

static void interp_destroy(Accel *accel)
{
    Interp *a = (Interp *)accel;

    as_unlisten(accel->machine->mem, &a->mem_listener);
    as_unlisten(accel->machine->io, &a->io_listener);
    g_hash_table_destroy(a->pages);
    g_ptr_array_free(a->vcpus, true);
    g_array_free(a->breakpoints, true);
    g_mutex_clear(&a->lock);
    g_free(a);
}

static bool interp_vcpu_create(Accel *accel, Vcpu *vcpu, GError **errp)
{
    Interp *a = (Interp *)accel;
    InterpVcpu *v = g_new0(InterpVcpu, 1);

    v->interp = a;
    v->cpu = x86_cpu(vcpu);
    v->stopped_at = ~0ull;
    if (!blocks_init(v, errp)) {
        g_free(v);
        return false;
    }
    vcpu->accel_data = v;
    x86_mmu_code_hook(v->cpu, blocks_stored);
    x86_tlb_flush(v->cpu, true);
    interp_lock(a);
    g_ptr_array_add(a->vcpus, v);
    interp_unlock(a);
    return true;
}

static void interp_vcpu_destroy(Accel *accel, Vcpu *vcpu)
{
    Interp *a = (Interp *)accel;
    InterpVcpu *v = vcpu->accel_data;

    interp_lock(a);
    g_ptr_array_remove(a->vcpus, v);
    interp_unlock(a);
    vcpu_run_work(vcpu);                /* what was posted owns memory */
    x86_mmu_code_hook(v->cpu, NULL);
    vcpu->accel_data = NULL;
    blocks_fini(v);
    g_free(v);
}

static void interp_flush(Accel *accel, Vcpu *vcpu)
{
    blocks_flush(vcpu->accel_data);
    x86_tlb_flush(x86_cpu(vcpu), true);
}

static bool interp_set_breakpoint(Accel *accel, uint64_t linear, bool on)
{
    Interp *a = (Interp *)accel;

    for (guint i = 0; i < a->breakpoints->len; i++) {
        if (g_array_index(a->breakpoints, uint64_t, i) == linear) {
            g_array_remove_index_fast(a->breakpoints, i);
            break;
        }
    }
    if (on) {
        g_array_append_val(a->breakpoints, linear);
    }
    for (guint i = 0; i < a->vcpus->len; i++) {
        blocks_flush(g_ptr_array_index(a->vcpus, i));       /* blocks end before a breakpoint */
    }
    return true;
}

static uint64_t interp_insn_count(Accel *accel, Vcpu *vcpu)
{
    return x86_cpu(vcpu)->insn_count;
}

static void interp_info(Accel *accel, Vcpu *vcpu, GString *out)
{
    InterpVcpu *v = vcpu->accel_data;
    uint64_t misses, flushes;

    x86_mmu_stats(v->cpu, &misses, &flushes);
    g_string_append_printf(out, "instructions executed   %" PRIu64 "\n", v->cpu->insn_count);
    g_string_append_printf(out, "blocks decoded          %" PRIu64 ", instructions in them %" PRIu64 "\n",
                           v->stats.blocks, v->stats.insns);
    g_string_append_printf(out, "blocks looked up        %" PRIu64 "\n", v->stats.lookups);
    g_string_append_printf(out, "blocks invalidated      %" PRIu64 ", pages of code given up %" PRIu64 "\n",
                           v->stats.invalidated, v->stats.dropped_pages);
    g_string_append_printf(out, "code cache              %zu of %u KiB used, emptied %" PRIu64 " times\n",
                           v->arena_used >> 10, ARENA_BYTES >> 10, v->stats.flushes);
    g_string_append_printf(out, "TLB misses              %" PRIu64 ", flushes %" PRIu64 "\n", misses,
                           flushes);
}

const AccelOps accel_interp = {
    .name = "interp",
    .summary = "interprets every instruction: exact, on any host",
    .create = interp_create,
    .destroy = interp_destroy,
    .vcpu_create = interp_vcpu_create,
    .vcpu_destroy = interp_vcpu_destroy,
    .run = interp_run,
    .flush = interp_flush,
    .set_breakpoint = interp_set_breakpoint,
    .insn_count = interp_insn_count,
    .info = interp_info,
};
