/*
 * accel/dbt/report.c - the translator looked at from outside: what `info dbt` says, `-d out_asm`, and the map of
 * names for perf.
 */
#include "accel/dbt.h"
#include "dbt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/error.h"
#include "util/log.h"

enum { HANDLED_SHOWN = 40, HOT_SHOWN = 10 };

/* ---- the hottest blocks ---- */

/* A request finds the processor in the middle of something: what that is, is noted.  When there is no place left, the
 * block that was seen least makes room, and its successor takes over its count, so that what is really hot stays. */
void dbt_sample(DbtVcpu *v)
{
    uint64_t rip = v->engine.cpu->regs[X86_RIP];
    DbtSample *least = v->stats.hot;

    for (unsigned i = 0; i < DBT_SAMPLES; i++) {
        DbtSample *s = &v->stats.hot[i];
        if (s->rip == rip && s->n) {
            s->n++;
            return;
        }
        least = s->n < least->n ? s : least;
    }
    *least = (DbtSample){ rip, least->n + 1 };
}

static int by_count(const void *a, const void *b)
{
    const DbtSample *x = a, *y = b;

    return (x->n < y->n) - (x->n > y->n);
}

static void info_hot(const DbtVcpu *v, GString *out)
{
    DbtSample hot[DBT_SAMPLES];

    memcpy(hot, v->stats.hot, sizeof(hot));
    qsort(hot, DBT_SAMPLES, sizeof(*hot), by_count);
    g_string_append(out, "hottest blocks, by where requests found the processor:\n");
    for (unsigned i = 0; i < HOT_SHOWN && hot[i].n; i++) {
        g_string_append_printf(out, "%016" PRIx64 "        %" PRIu64 "\n", hot[i].rip, hot[i].n);
    }
}

/* ---- counters ---- */

static void count(GString *out, const char *what, uint64_t n)
{
    g_string_append_printf(out, "%-23s %" PRIu64 "\n", what, n);
}

/* What the table calls an operation. */
static char *op_name(unsigned op)
{
    for (unsigned at = 0; at < 4 * 256; at++) {
        const X86Row *r;
        for (unsigned k = 0; (r = x86_row(at / 256, at % 256, k)); k++) {
            if (r->op == op) {
                return g_strndup(r->names, strcspn(r->names, "|{"));
            }
        }
    }
    return g_strdup_printf("operation %u", op);
}

/* The operations that were left to handlers most often. */
static void info_handled(const DbtVcpu *v, GString *out)
{
    bool shown[OP_COUNT + 1] = { false };

    g_string_append(out, "calls of handlers by operation:\n");
    for (unsigned n = 0; n < HANDLED_SHOWN; n++) {
        unsigned best = OP_COUNT;
        for (unsigned op = 0; op < OP_COUNT; op++) {
            if (!shown[op] && (best == OP_COUNT || v->stats.handled[op] > v->stats.handled[best])) {
                best = op;
            }
        }
        if (best == OP_COUNT || !v->stats.handled[best]) {
            break;
        }
        shown[best] = true;
        g_autofree char *name = op_name(best);
        count(out, name, v->stats.handled[best]);
    }
}

void dbt_info(Accel *accel, Vcpu *vcpu, GString *out)
{
    const DbtVcpu *v = vcpu->accel_data;
    static const char *const exits[EXIT_COUNT] = {
        [EXIT_LOOKUP] = "exits to look up", [EXIT_LINK] = "exits to link",
        [EXIT_FAR] = "exits to another page", [EXIT_STALE] = "exits, stale block",
        [EXIT_BUDGET] = "exits, budget", [EXIT_HANDLERS] = "exits, not live",
        [EXIT_TAIL] = "exits, page crossing",
    };

    engine_info(accel, vcpu, out);
    g_string_append_printf(out, "translated blocks       %" PRIu64 ", instructions in them %" PRIu64
                           ", bytes %" PRIu64 "\n", v->stats.translated, v->stats.insns, v->stats.bytes);
    g_string_append_printf(out, "translated code         %zu of %zu KiB used, full %" PRIu64 " times\n",
                           v->cache.used >> 10, v->cache.size >> 10, v->stats.full);
    count(out, "links", v->stats.links);
    count(out, "forwards", v->stats.forwards);
    count(out, "accesses the slow way", v->stats.slow);
    for (unsigned i = 0; i < EXIT_COUNT; i++) {
        if (exits[i]) {
            count(out, exits[i], v->stats.exits[i]);
        }
    }
    info_handled(v, out);
    info_hot(v, out);
}

/* ---- code ---- */

/* From the entry on, as far as it is code; positions are those in the cache. */
static void log_code(const DbtVcpu *v, const X86Cpu *c, const Block *b)
{
    const uint8_t *p = (const uint8_t *)b->code - v->cache.exec, *end = v->code_end;
    g_autoptr(GString) text = g_string_new(NULL);

    log_printf("OUT: cpu%u %" PRIx64 ", %u instructions, %zu bytes\n", c->vcpu.index, c->regs[X86_RIP], b->count,
               (size_t)(end - p));
    for (unsigned n; p < end; p += n) {
        g_string_truncate(text, 0);
        n = x86_disas(p, (size_t)(end - p), (uint64_t)(p - v->cache.rw), 64, text);
        if (!n) {
            break;
        }
        log_printf("0x%08zx:  %s\n", (size_t)(p - v->cache.rw), text->str);
    }
}

static void log_ops(const DbtVcpu *v, const Block *b)
{
    uint8_t bytes[BLOCK_INSNS * X86_INSN_MAX];
    unsigned size = blocks_bytes(&v->engine, b, bytes, sizeof(bytes)), at = 0;
    const X86Cpu *c = v->engine.cpu;
    uint64_t rip = c->regs[X86_RIP];
    g_autoptr(GString) text = g_string_new(NULL);

    log_printf("OP: cpu%u %" PRIx64 "\n", c->vcpu.index, rip);
    for (unsigned i = 0, len = 1; i < b->count && len; i++, at += len) {
        g_string_truncate(text, 0);
        len = x86_disas(bytes + at, size - at, rip + at, x86_code_bits(c), text);
        log_printf("0x%08" PRIx64 ":  %-8s %s\n", rip + at, v->handled >> i & 1 ? "handler" : "code", text->str);
    }
}

unsigned dbt_count_in_line(Vcpu *vcpu)
{
    DbtVcpu *v = vcpu->accel_data;
    X86Cpu *c = x86_cpu(vcpu);
    Block *b = blocks_find(&v->engine, engine_linear_rip(c), c->mode);
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned n = 0, len;

    if (dbt_translate(v, b) != DBT_DONE || (v->handled & 1)) {
        return 0;
    }
    const uint8_t *p = (const uint8_t *)b->code - v->cache.exec, *end = v->code_end;
    for (; p < end; p += len, n++) {
        g_string_truncate(text, 0);
        len = x86_disas(p, (size_t)(end - p), 0, 64, text);
        if (!len || g_str_has_prefix(text->str, "call")) {
            break;
        }
    }
    return n;
}

/* A line a block: where it is, how long, and what it is called (tools/perf/Documentation/jit-interface.txt). */
static void name_for_perf(const DbtVcpu *v, const X86Cpu *c, const Block *b)
{
    const uint8_t *code = b->code, *end = v->cache.rw + v->cache.exec + v->cache.used;

    fprintf(v->perfmap, "%" PRIxPTR " %zx guest-%" PRIx64 "-cpl%u\n", (uintptr_t)code, (size_t)(end - code),
            c->regs[X86_RIP], c->cpl);
}

bool dbt_perfmap_open(DbtVcpu *v, GError **errp)
{
    g_autofree char *name = g_strdup_printf("/tmp/perf-%d.map", (int)getpid());

    v->perfmap = fopen(name, "ae");
    if (!v->perfmap) {
        error_set_errno(errp, errno, "perfmap: cannot write %s", name);
        return false;
    }
    setvbuf(v->perfmap, NULL, _IOLBF, 0);           /* whole lines, as other processors write there, too */
    return true;
}

void dbt_perfmap_close(DbtVcpu *v)
{
    if (v->perfmap) {
        fclose(v->perfmap);
    }
}

void dbt_report_translated(const DbtVcpu *v, const Block *b)
{
    if (log_on(LOG_OP)) {
        log_ops(v, b);
    }
    if (log_on(LOG_OUT_ASM)) {
        log_code(v, v->engine.cpu, b);
    }
    if (v->perfmap) {
        name_for_perf(v, v->engine.cpu, b);
    }
}
