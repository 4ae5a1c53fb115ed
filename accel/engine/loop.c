/*
 * accel/engine/loop.c - what comes between two blocks: requests, budgets, breakpoints, single steps,
 * exceptions; and following the memory map.
 */
#include "accel/engine.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/model.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

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

static void for_each_vcpu(Engine *a, void (*fn)(Vcpu *vcpu, void *arg))
{
    engine_lock(a);
    for (guint i = 0; i < a->vcpus->len; i++) {
        EngineVcpu *v = g_ptr_array_index(a->vcpus, i);
        vcpu_post(&v->cpu->vcpu, fn, NULL);
    }
    engine_unlock(a);
}

static void mem_changed(MemListener *l)
{
    for_each_vcpu(container_of(l, Engine, mem_listener), map_changed_posted);
}

static void io_changed(MemListener *l)
{
    for_each_vcpu(container_of(l, Engine, io_listener), io_changed_posted);
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
    Engine *a = container_of(l, Engine, mem_listener);

    engine_lock(a);
    for (guint i = 0; i < a->vcpus->len; i++) {
        EngineVcpu *v = g_ptr_array_index(a->vcpus, i);
        Range *r = g_new(Range, 1);
        *r = (Range){ at & ~(hwaddr)(PAGE_SIZE - 1), (at + len - 1) & ~(hwaddr)(PAGE_SIZE - 1) };
        vcpu_post(&v->cpu->vcpu, code_changed_posted, r);
    }
    engine_unlock(a);
}

/* ---- running ---- */

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

/* The instruction that raised something counts; so does a fault of fetching, else a run could last for ever.
 * One that was given up to be executed alone raised nothing, and comes again; a fault of delivering something
 * belongs to what led to that. */
static void account_fault(EngineVcpu *v, X86Cpu *c)
{
    if (c->cur) {
        engine_account(v, c);
        c->insn_count -= c->exc.again;
        v->left += c->exc.again;
    } else if (v->left && c->exc.delivering < 0) {
        v->left--;
        c->insn_count++;
    }
}

static bool at_breakpoint(const EngineVcpu *v, uint64_t linear)
{
    const GArray *list = v->engine->breakpoints;

    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, uint64_t, i) == linear) {
            return linear != v->stopped_at;
        }
    }
    return false;
}

static RunExit run_blocks(EngineVcpu *v, X86Cpu *c)
{
    Vcpu *vcpu = &c->vcpu;

    x86_mmu_sync(c);
    for (;;) {
        engine_wrap_eip(c);
        /* Counted, what comes behind the last instruction is the next slice's: it may cost an instruction */
        if (!(c->counted && v->left == 0 && !c->debug.stop) && x86_debug_due(c)) {
            return RUN_DEBUG;
        }
        if (v->left == 0) {
            return RUN_BUDGET;
        }
        uint32_t requests = atomic_load_explicit(&vcpu->requests, memory_order_relaxed);
        if (requests) {
            bool shutdown;
            if (requests & VCPU_STOP) {
                return RUN_REQUEST;
            }
            if ((requests & VCPU_WORK) && (vcpu->return_at & RETURN_AT_WORK)) {
                return RUN_BUDGET;
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
        uint64_t linear = engine_linear_rip(c);
        if (v->engine->breakpoints->len) {
            if (at_breakpoint(v, linear)) {
                v->stopped_at = linear;
                return RUN_DEBUG;
            }
            v->stopped_at = ~0ull;
        }
        bool logging = log_on(LOG_EXEC | LOG_CPU), alone = x86_insn_alone(c), tf = c->mode & MODE_TF;
        if (c->debug.code) {
            x86_insn_check(c, linear);
        }
        bool single = alone || v->left < BLOCK_INSNS || c->debug.apart;
        uint32_t key = c->mode | v->key_bits
            | (logging || v->engine->breakpoints->len || c->debug.code ? KEY_PLAIN : 0) | (single ? KEY_SINGLE : 0);
        Block *b = engine_find(v, c, linear, key);
        if (b->count > 1 && c->debug.code && x86_code_breakpoint_within(c, linear + 1, b->bytes - 1)) {
            key |= KEY_SINGLE;
            b = engine_find(v, c, linear, key);
        }
        c->debug.apart = key & KEY_SINGLE;
        const X86Insn *first = b->insns;
        x86_insn_begin(c);
        if (logging) {
            log_entry(c, b);
        }
        /* A while only, so that logging and the like are noticed */
        v->until = v->left > UNDISTURBED ? v->left - UNDISTURBED : BLOCK_INSNS;
        v->engine->code->run(v, c, b, (key & (KEY_PLAIN | KEY_SINGLE)) || (vcpu->return_at & RETURN_AT_BLOCK));
        c->debug.apart = false;
        if (alone) {
            x86_insn_done(c, first, tf);
        }
        if (vcpu->return_at & RETURN_AT_BLOCK) {
            v->left = 0;
        }
    }
}

RunExit engine_run(Accel *a, Vcpu *vcpu, uint64_t max_insns, GError **errp)
{
    EngineVcpu *v = vcpu->accel_data;
    X86Cpu *c = x86_cpu(vcpu);

    v->left = max_insns;
    c->cur = NULL;
    c->debug.stop = false;
    c->unwind = &v->unwind;
    if (setjmp(v->unwind)) {
        bool again = c->cur && c->exc.again;            /* given up half-way, for a watchpoint */

        c->debug.apart &= again;
        if (!v->engine->code->unwound || !v->engine->code->unwound(v, c)) {
            account_fault(v, c);
        }
        if (!x86_deliver(c)) {
            c->unwind = NULL;
            return RUN_SHUTDOWN;
        }
        if ((vcpu->return_at & RETURN_AT_BLOCK) && !again) {
            v->left = 0;
        }
    }
    RunExit why = run_blocks(v, c);
    c->unwind = NULL;
    return why;
}

/* ---- the accelerator ---- */

Accel *engine_create(Machine *m, size_t size, const EngineOps *code)
{
    Engine *a = g_malloc0(size);

    a->accel.machine = m;
    a->code = code;
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

void engine_destroy(Accel *accel)
{
    Engine *a = (Engine *)accel;

    as_unlisten(accel->machine->mem, &a->mem_listener);
    as_unlisten(accel->machine->io, &a->io_listener);
    g_hash_table_destroy(a->pages);
    g_ptr_array_free(a->vcpus, true);
    g_array_free(a->breakpoints, true);
    g_mutex_clear(&a->lock);
    g_free(a);
}

bool engine_vcpu_create(Accel *accel, Vcpu *vcpu, GError **errp)
{
    Engine *a = (Engine *)accel;

    if (x86_model_is_host(x86_cpu(vcpu)->model)) {
        error_set(errp, "-cpu host is the host's processor, which only -accel kvm can hand to a guest; -cpu max has "
                  "all that %s can do here", accel->ops->name);
        return false;
    }
    EngineVcpu *v = g_malloc0(a->code->vcpu_size);
    v->engine = a;
    v->cpu = x86_cpu(vcpu);
    v->stopped_at = ~0ull;
    if (!blocks_init(v, errp)) {
        g_free(v);
        return false;
    }
    if (a->code->vcpu_init && !a->code->vcpu_init(v, errp)) {
        blocks_fini(v);
        g_free(v);
        return false;
    }
    vcpu->accel_data = v;
    x86_mmu_code_hook(v->cpu, blocks_stored);
    x86_tlb_flush(v->cpu, true);
    engine_lock(a);
    g_ptr_array_add(a->vcpus, v);
    engine_unlock(a);
    return true;
}

void engine_vcpu_destroy(Accel *accel, Vcpu *vcpu)
{
    Engine *a = (Engine *)accel;
    EngineVcpu *v = vcpu->accel_data;

    engine_lock(a);
    g_ptr_array_remove(a->vcpus, v);
    engine_unlock(a);
    vcpu_run_work(vcpu);                /* what was posted owns memory */
    x86_mmu_code_hook(v->cpu, NULL);
    vcpu->accel_data = NULL;
    if (a->code->vcpu_fini) {
        a->code->vcpu_fini(v);
    }
    blocks_fini(v);
    g_free(v);
}

void engine_flush(Accel *accel, Vcpu *vcpu)
{
    blocks_flush(vcpu->accel_data);
    x86_tlb_flush(x86_cpu(vcpu), true);
}

/* Another state, which has stopped at no breakpoint yet */
void engine_reset(Accel *accel, Vcpu *vcpu)
{
    EngineVcpu *v = vcpu->accel_data;

    v->stopped_at = ~0ull;
}

bool engine_set_breakpoint(Accel *accel, uint64_t linear, bool on)
{
    Engine *a = (Engine *)accel;

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

bool engine_set_watchpoints(Accel *accel, const X86Watch *list, unsigned n, GError **errp)
{
    GPtrArray *vcpus = accel->machine->vcpus;
    bool ok = n <= X86_WATCHES;

    for (guint i = 0; i < vcpus->len; i++) {
        x86_watch_set(x86_cpu(g_ptr_array_index(vcpus, i)), list, ok ? n : 0);
    }
    if (!ok) {
        error_set(errp, "%u is the most that can be watched", X86_WATCHES);
    }
    return ok;
}

uint64_t engine_insn_count(Accel *accel, Vcpu *vcpu)
{
    return x86_cpu(vcpu)->insn_count;
}

void engine_info(Accel *accel, Vcpu *vcpu, GString *out)
{
    EngineVcpu *v = vcpu->accel_data;
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
