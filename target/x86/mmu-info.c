/*
 * target/x86/mmu-info.c - the page tables for the monitor and the debugger.
 *
 * Nothing is changed and nothing raised.  What a guest can make long is cut: tables that map each
 * other would otherwise be listed for ever.
 */
#include "mmu.h"

#include <inttypes.h>
#include "util/bits.h"

bool x86_translate_debug(X86Cpu *c, uint64_t linear, hwaddr *gpa)
{
    PageWalk w;

    if (!mmu_walk_debug(c, linear, &w)) {
        return false;
    }
    *gpa = w.gpa;
    return true;
}

bool x86_read_debug(X86Cpu *c, uint64_t linear, void *buf, size_t len)
{
    for (size_t done = 0; done < len; ) {
        hwaddr gpa;
        size_t n = MIN(len - done, PAGE_SIZE - ((linear + done) & ~X86_PAGE_MASK));
        if (!x86_translate_debug(c, linear + done, &gpa)
            || as_read(c->vcpu.mem, gpa, (uint8_t *)buf + done, n) == MEM_UNMAPPED) {
            return false;
        }
        done += n;
    }
    return true;
}

/* ---- listing ---- */

enum { MAX_LINES = 4096, MAX_ENTRIES = 1 << 20 };

typedef struct Mapping {
    uint64_t linear, size;
    hwaddr gpa;
    uint64_t entry;             /* the last one, its rights those of all levels together */
} Mapping;

typedef struct Listing {
    X86Cpu *c;
    GString *out;
    void (*found)(struct Listing *l, const Mapping *m);
    unsigned entry_size, lines, entries;
    Mapping run;                /* info mem: what the next page may continue */
} Listing;

static bool spent(const Listing *l)
{
    return l->lines >= MAX_LINES || l->entries >= MAX_ENTRIES;
}

/* Bits 47 (56) and up are alike. */
static uint64_t canonical(const X86Cpu *c, uint64_t linear)
{
    unsigned shift = !x86_long_mode(c) ? 0 : c->cr4 & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(linear << shift) >> shift);
}

static void list_table(Listing *l, hwaddr table, unsigned level, uint64_t linear, uint64_t rights)
{
    X86Cpu *c = l->c;
    bool small = l->entry_size == 4;
    unsigned shift = 12 + (small ? 10 : 9) * (level - 1), n = small ? 1024 : 512;

    for (unsigned i = 0; i < n && !spent(l); i++) {
        uint64_t e = 0;
        l->entries++;
        if (as_read(c->vcpu.mem, (table + i * l->entry_size) & c->vcpu.a20_mask, &e, l->entry_size) != MEM_OK
            || !(e & PTE_P)) {
            continue;
        }
        uint64_t at = linear | (uint64_t)i << shift;
        uint64_t both = (e & rights & (PTE_W | PTE_U)) | ((e | rights) & PTE_NX);
        hwaddr to = small ? e & 0xfffff000 : e & c->phys_mask & ~mask64(12);
        bool large = (level == 2 && (!small || (c->cr4 & CR4_PSE))) || (level == 3 && !small);
        if (level > 1 && !(large && (e & PTE_PS))) {
            list_table(l, to, level - 1, at, both);
            continue;
        }
        if (level > 1) {
            to = small ? (e & 0xffc00000) | (e >> 13 & 0xff) << 32 : to & ~mask64(shift);
        }
        Mapping m = { canonical(c, at), 1ull << shift, to, (e & ~(PTE_W | PTE_U | PTE_NX)) | both };
        l->found(l, &m);
    }
}

static void list_all(Listing *l)
{
    X86Cpu *c = l->c;
    unsigned levels = mmu_levels(c, &l->entry_size);
    const uint64_t all = PTE_W | PTE_U;

    if (levels == 0) {
        g_string_append(l->out, "paging is off\n");
        return;
    }
    if (levels == 3) {
        for (unsigned i = 0; i < 4; i++) {
            if (c->pdpte[i] & PTE_P) {
                list_table(l, c->pdpte[i] & c->phys_mask & ~mask64(12), 2, (uint64_t)i << 30, all);
            }
        }
    } else {
        hwaddr root = l->entry_size == 4 ? c->cr3 & 0xfffff000 : c->cr3 & c->phys_mask & ~mask64(12);
        list_table(l, root, levels, 0, all);
    }
}

static void say_if_cut(const Listing *l)
{
    if (spent(l)) {
        g_string_append(l->out, "... and more, not listed\n");
    }
}

static void tlb_line(Listing *l, const Mapping *m)
{
    uint64_t e = m->entry;

    l->lines++;
    g_string_append_printf(l->out, "%016" PRIx64 ": %016" PRIx64 " %c%c%c%c%c%c%c%c%c\n", m->linear, m->gpa,
                           e & PTE_NX ? 'X' : '-', e & PTE_G ? 'G' : '-', m->size > PAGE_SIZE ? 'P' : '-',
                           e & PTE_D ? 'D' : '-', e & PTE_A ? 'A' : '-', e & 1 << 4 ? 'C' : '-',
                           e & 1 << 3 ? 'T' : '-', e & PTE_U ? 'U' : '-', e & PTE_W ? 'W' : '-');
}

void x86_info_tlb(X86Cpu *c, GString *out)
{
    Listing l = { .c = c, .out = out, .found = tlb_line };

    list_all(&l);
    say_if_cut(&l);
}

static void mem_line(Listing *l)
{
    const Mapping *m = &l->run;

    if (m->size) {
        l->lines++;
        g_string_append_printf(l->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %c%c%c%c\n", m->linear,
                               m->linear + m->size, m->size, m->entry & PTE_U ? 'u' : '-', 'r',
                               m->entry & PTE_W ? 'w' : '-', m->entry & PTE_NX ? '-' : 'x');
    }
}

static void mem_extend(Listing *l, const Mapping *m)
{
    const uint64_t rights = PTE_U | PTE_W | PTE_NX;

    if (l->run.size && l->run.linear + l->run.size == m->linear && !((l->run.entry ^ m->entry) & rights)) {
        l->run.size += m->size;
        return;
    }
    mem_line(l);
    l->run = *m;
}

void x86_info_mem(X86Cpu *c, GString *out)
{
    Listing l = { .c = c, .out = out, .found = mem_extend };

    list_all(&l);
    mem_line(&l);
    say_if_cut(&l);
}
