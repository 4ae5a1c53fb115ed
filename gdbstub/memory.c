/*
 * gdbstub/memory.c - m, M and X: guest memory by the general thread's linear addresses, or by physical ones.
 *
 * Device registers are not memory here: looking must not change anything.
 */
#include "server.h"

#include <errno.h>

/* What lies in one page; false: no RAM or ROM is there. */
static bool one_piece(GdbServer *g, uint64_t addr, uint8_t *buf, size_t len, bool write)
{
    X86Cpu *c = gdb_cpu(g, gdb_general_cpu(g));
    hwaddr gpa = addr;
    MemResult r;

    if (!g->physical && !x86_translate_debug(c, addr, &gpa)) {
        return false;
    }
    r = write ? as_write_rom(g->m->mem, gpa, buf, len) : as_read(g->m->mem, gpa, buf, len);
    return r != MEM_UNMAPPED;
}

/* How many bytes went well. */
static size_t transfer(GdbServer *g, uint64_t addr, uint8_t *buf, size_t len, bool write)
{
    size_t done = 0;

    while (done < len) {
        size_t n = MIN(len - done, PAGE_SIZE - ((addr + done) & (PAGE_SIZE - 1)));
        if (!one_piece(g, addr + done, buf + done, n, write)) {
            break;
        }
        done += n;
    }
    return done;
}

static GString *no_memory(GdbServer *g, uint64_t addr)
{
    g_autofree char *text = g_strdup_printf("there is no memory at %s address 0x%" G_GINT64_MODIFIER "x",
                                            g->physical ? "physical" : "linear", addr);

    return gdb_error(g, EFAULT, text);
}

static bool take_range(GdbText *t, uint64_t *addr, uint64_t *len)
{
    return gdb_take_number(t, addr) && gdb_take(t, ",") && gdb_take_number(t, len);
}

GString *gdb_read_memory(GdbServer *g, GdbText *t)
{
    uint8_t buf[GDB_PACKET_MAX / 2];
    uint64_t addr, len;
    size_t n;

    if (!take_range(t, &addr, &len)) {
        return gdb_error(g, EINVAL, "m needs an address and a length");
    }
    n = transfer(g, addr, buf, MIN(len, sizeof(buf)), false);
    if (!n && len) {
        return no_memory(g, addr);
    }
    GString *out = g_string_new(NULL);
    gdb_put_hex(out, buf, n);
    return out;
}

static GString *written(GdbServer *g, uint64_t addr, uint8_t *buf, size_t len)
{
    if (len && !gdb_may_change(g)) {
        return gdb_error(g, EPERM, "a recording cannot be changed");
    }
    size_t n = transfer(g, addr, buf, len, true);

    return n == len ? g_string_new("OK") : no_memory(g, addr + n);
}

GString *gdb_write_memory(GdbServer *g, GdbText *t)
{
    uint8_t buf[GDB_PACKET_MAX / 2];
    uint64_t addr, len;

    if (!take_range(t, &addr, &len) || !gdb_take(t, ":") || len > sizeof(buf) || !gdb_take_hex(t, buf, len)) {
        return gdb_error(g, EINVAL, "M needs an address, a length and as many bytes");
    }
    return written(g, addr, buf, len);
}

GString *gdb_write_binary(GdbServer *g, GdbText *t)
{
    uint64_t addr, len;

    if (!take_range(t, &addr, &len) || !gdb_take(t, ":")) {
        return gdb_error(g, EINVAL, "X needs an address and a length");
    }
    g_autoptr(GByteArray) data = gdb_unescape(t);
    if (data->len != len) {
        return gdb_error(g, EINVAL, "X has another number of bytes than it says");
    }
    return written(g, addr, data->data, data->len);
}
