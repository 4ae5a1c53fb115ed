/*
 * What two processors have in their registers and memory, side by side.
 */
#include "check.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/alu.h"
#include "target/x86/fields.h"
#include "target/x86/segments.h"

/* Of a register's place in its array: what a person calls it. */
static char *name_of(const X86Field *f, unsigned i)
{
    static const char *const regs[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
                                        "r11", "r12", "r13", "r14", "r15", "rip" };
    static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };

    if (!strcmp(f->name, "regs")) {
        return g_strdup(regs[i]);
    }
    if (g_str_has_prefix(f->name, "seg.")) {
        return g_strdup_printf("%s%s", segs[i], f->name + 3);
    }
    if (!strcmp(f->name, "vector")) {
        return g_strdup_printf("zmm%u[%u]", i / 8, i % 8);
    }
    if (f->offset == offsetof(X86Cpu, cc)) {
        return g_strdup("flags");
    }
    return f->count > 1 ? g_strdup_printf("%s%u", f->name, i) : g_strdup(f->name);
}

/* Once a descriptor is loaded its G is in the limit (SDM volume 3A, 3.4.3), and no instruction shows it again: KVM on
 * AMD's processors makes it up from the limit. */
static bool only_granularity(const X86Field *f, uint64_t a, uint64_t b)
{
    return g_str_has_suffix(f->name, ".ar") && !((a ^ b) & ~(uint64_t)AR_G);
}

/* In IA-32e mode a null selector may be loaded, and what the processor keeps of it is its own (volume 3A, 5.4.1.1). */
static bool of_null_selector(const X86Field *f, const X86Cpu *c, unsigned i)
{
    return (c->efer & EFER_LMA) && (!strcmp(f->name, "seg.limit") || !strcmp(f->name, "seg.ar"))
        && x86_selector_is_null(c->seg[i].selector);
}

bool compare_cpus(const X86Cpu *a, const X86Cpu *b, bool hidden_too, GString *out)
{
    bool same = true;

    if (x86_same_state(a, b)) {
        return true;                    /* as nearly always */
    }
    for (const X86Field *f = x86_fields; f->name; f++) {
        const uint8_t *x = (const uint8_t *)a + f->offset, *y = (const uint8_t *)b + f->offset;
        for (unsigned i = 0; i < f->count; i++, x += f->stride, y += f->stride) {
            if (!memcmp(x, y, f->size)) {
                continue;
            }
            uint64_t u = 0, v = 0;
            memcpy(&u, x, f->size);
            memcpy(&v, y, f->size);
            if (!hidden_too && (only_granularity(f, u, v) || of_null_selector(f, a, i))) {
                continue;
            }
            if (f->offset == offsetof(X86Cpu, cc)) {
                if (!((u ^ v) & CC_ALL)) {
                    continue;           /* only what LAHF puts beside the flags */
                }
                u = x86_rflags(a);      /* as a person knows them */
                v = x86_rflags(b);
            }
            g_autofree char *name = name_of(f, i);
            g_string_append_printf(out, "  %-14s A %016" PRIx64 "   B %016" PRIx64 "\n", name, u, v);
            same = false;
        }
    }
    return same;
}

bool compare_page(hwaddr page, const uint8_t *a, const uint8_t *b, GString *out)
{
    unsigned at = 0, last = PAGE_SIZE - 1;

    if (!memcmp(a, b, PAGE_SIZE)) {
        return true;
    }
    while (a[at] == b[at]) {
        at++;
    }
    while (a[last] == b[last]) {
        last--;
    }
    g_string_append_printf(out, "  memory %" PRIx64 " to %" PRIx64 ": A", page + at, page + last);
    for (unsigned i = at; i <= MIN(last, at + 15); i++) {
        g_string_append_printf(out, " %02x", a[i]);
    }
    g_string_append(out, "   B");
    for (unsigned i = at; i <= MIN(last, at + 15); i++) {
        g_string_append_printf(out, " %02x", b[i]);
    }
    g_string_append(out, last > at + 15 ? " ...\n" : "\n");
    return false;
}
