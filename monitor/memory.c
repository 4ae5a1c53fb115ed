/*
 * monitor/memory.c - looking at memory and ports, and calculating: x, xp, print, i, o.
 */
#include "monitor/command.h"
#include "util/error.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_COUNT = 16384 };

static unsigned size_bytes(char size)
{
    return size == 'b' ? 1 : size == 'h' ? 2 : size == 'g' ? 8 : 4;
}

bool format_parse(const char *text, Format *f, GError **errp)
{
    uint64_t count = 0;
    const char *p = text;

    *f = (Format){ 1, 'x', 0 };
    for (; g_ascii_isdigit(*p); p++) {
        count = MIN(count * 10 + (*p - '0'), MAX_COUNT + 1);
    }
    if (p != text) {
        f->count = count;
    }
    for (; *p; p++) {
        if (strchr("xduoci", *p)) {
            f->how = *p;
        } else if (strchr("bhwg", *p)) {
            f->size = *p;
        } else {
            error_set(errp, "format '/%s': '%c' is none of x d u o c i (how) and b h w g (size)", text, *p);
            return false;
        }
    }
    if (!f->count || f->count > MAX_COUNT) {
        error_set(errp, "format '/%s': the count is 1 to %d", text, MAX_COUNT);
        return false;
    }
    if (!f->size) {
        f->size = f->how == 'c' ? 'b' : 'w';
    }
    return true;
}

static void print_value(GString *out, char how, unsigned bytes, uint64_t v)
{
    unsigned shift = 64 - 8 * bytes;

    v = v << shift >> shift;
    switch (how) {
    case 'd':
        g_string_append_printf(out, "%" PRId64, (int64_t)(v << shift) >> shift);
        break;
    case 'u':
        g_string_append_printf(out, "%" PRIu64, v);
        break;
    case 'o':
        g_string_append_printf(out, "0%" PRIo64, v);
        break;
    case 'c':
        if (v < 0x80 && g_ascii_isprint((char)v)) {
            g_string_append_printf(out, v == '\'' || v == '\\' ? "'\\%c'" : "'%c'", (char)v);
        } else {
            g_string_append_printf(out, "'\\x%02" PRIx64 "'", v);
        }
        break;
    default:
        g_string_append_printf(out, "0x%0*" PRIx64, (int)bytes * 2, v);
        break;
    }
}

typedef struct Reader {
    X86Cpu *cpu;                /* linear addresses; NULL: physical ones */
    AddressSpace *as;
} Reader;

static bool read_bytes(const Reader *r, uint64_t addr, void *buf, size_t len)
{
    return r->cpu ? x86_read_debug(r->cpu, addr, buf, len) : as_read(r->as, addr, buf, len) != MEM_UNMAPPED;
}

static void cannot_read(const Reader *r, uint64_t addr, GError **errp)
{
    error_set(errp, r->cpu ? "cannot read linear address 0x%" PRIx64 ": not mapped, or not memory"
                           : "cannot read physical address 0x%" PRIx64 ": no memory there", addr);
}

static bool disassemble(const Reader *r, X86Cpu *cpu, uint64_t addr, unsigned count, GString *out, GError **errp)
{
    while (count--) {
        uint8_t code[15];
        unsigned avail = sizeof(code), n;

        while (avail && !read_bytes(r, addr, code, avail)) {
            avail--;
        }
        if (!avail) {
            cannot_read(r, addr, errp);
            return false;
        }
        g_string_append_printf(out, "0x%08" PRIx64 ":  ", addr);
        n = x86_disas(code, avail, addr, x86_code_bits(cpu), out);
        if (!n) {
            g_string_append_printf(out, "(no instruction: %02x)", code[0]);
            n = 1;
        }
        g_string_append_c(out, '\n');
        addr += n;
    }
    return true;
}

static bool dump(const Reader *r, X86Cpu *cpu, uint64_t addr, const Format *f, GString *out, GError **errp)
{
    unsigned bytes = size_bytes(f->size), in_line = f->how == 'c' ? 8 : 16 / bytes;

    if (f->how == 'i') {
        return disassemble(r, cpu, addr, f->count, out, errp);
    }
    for (unsigned i = 0; i < f->count; i++) {
        uint64_t v = 0;

        if (!read_bytes(r, addr, &v, bytes)) {
            g_string_append(out, i % in_line ? "\n" : "");
            cannot_read(r, addr, errp);
            return false;
        }
        if (i % in_line == 0) {
            g_string_append_printf(out, "%s%016" PRIx64 ":", i ? "\n" : "", addr);
        }
        g_string_append_c(out, ' ');
        print_value(out, f->how, bytes, v);
        addr += bytes;
    }
    g_string_append_c(out, '\n');
    return true;
}

static Format format_of(const ArgValue *a)
{
    return a->given ? a->format : (Format){ 1, 'x', 'w' };
}

bool cmd_x(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    X86Cpu *cpu = session_cpu(s, errp);
    Reader r = { .cpu = cpu };
    Format f = format_of(&a[0]);

    return cpu && dump(&r, cpu, a[1].number, &f, out, errp);
}

bool cmd_xp(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    X86Cpu *cpu = session_cpu(s, errp);
    Reader r = { .as = s->all->m->mem };
    Format f = format_of(&a[0]);

    return cpu && dump(&r, cpu, a[1].number, &f, out, errp);
}

bool cmd_print(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    Format f = a[0].given ? a[0].format : (Format){ 1, 'x', 'g' };

    if (f.how == 'i') {
        error_set(errp, "print has no format i");
        return false;
    }
    if (f.how == 'x') {
        g_string_append_printf(out, "0x%" PRIx64 "\n", a[1].number);
    } else {
        print_value(out, f.how, f.how == 'c' ? 1 : 8, a[1].number);
        g_string_append_c(out, '\n');
    }
    return true;
}

/* The size of a port access; 0 and an error for what ports have not. */
static unsigned port_size(const ArgValue *format, int64_t port, GError **errp)
{
    Format f = format->given ? format->format : (Format){ 1, 'x', 'b' };
    unsigned bytes = size_bytes(f.size);

    if (bytes == 8 || f.how == 'i' || f.count != 1) {
        error_set(errp, "ports are read and written once, as b, h or w");
        return 0;
    }
    if (port < 0 || port > 0xffff) {
        error_set(errp, "port 0x%" PRIx64 " is out of range: ports are 0 to 0xffff", port);
        return 0;
    }
    return bytes;
}

bool cmd_in(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    unsigned bytes = port_size(&a[0], a[1].number, errp);

    if (!bytes) {
        return false;
    }
    g_string_append_printf(out, "port%c[0x%04x] = ", a[0].given ? a[0].format.size : 'b', (unsigned)a[1].number);
    print_value(out, a[0].given ? a[0].format.how : 'x', bytes, as_load(s->all->m->io, a[1].number, bytes));
    g_string_append_c(out, '\n');
    return true;
}

bool cmd_out(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    unsigned bytes = port_size(&a[0], a[1].number, errp);

    if (bytes) {
        as_store(s->all->m->io, a[1].number, a[2].number, bytes);
    }
    return bytes;
}
