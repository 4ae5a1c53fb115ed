/*
 * What came from outside while A ran a piece: noted in order, and given to B in that order.
 *
 * A store is an input as well: B must make the same one.  DMA that a device did while A's instruction
 * accessed it is done to the twin's memory when B has made the same access.
 */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const kind_names[] = {
    [INPUT_LOAD] = "load", [INPUT_STORE] = "store", [INPUT_PORT_IN] = "in", [INPUT_PORT_OUT] = "out",
    [INPUT_INTCTL] = "intctl", [INPUT_RANDOM] = "random", [INPUT_DMA] = "dma",
};

#define FUNCTIONS(X) \
    X(INTCTL_ACKNOWLEDGE, acknowledge) X(INTCTL_SET_TPR, set_tpr) X(INTCTL_GET_TPR, get_tpr) \
    X(INTCTL_SET_BASE, set_base) X(INTCTL_GET_BASE, get_base) X(INTCTL_READ_MSR, read_msr) \
    X(INTCTL_WRITE_MSR, write_msr) X(INTCTL_SET_DEADLINE, set_deadline) X(INTCTL_GET_DEADLINE, get_deadline)

unsigned intctl_functions(const IntCtl *of)
{
    unsigned mask = 0;

#define ADD(op, member) mask |= of && of->member ? 1u << op : 0;
    FUNCTIONS(ADD)
#undef ADD
    return mask;
}

void intctl_keep(IntCtl *ops, unsigned functions)
{
#define KEEP(op, member) ops->member = functions >> op & 1 ? ops->member : NULL;
    FUNCTIONS(KEEP)
#undef KEEP
}

void inputs_init(Inputs *n)
{
    *n = (Inputs){ .list = g_array_new(false, true, sizeof(Input)), .bytes = g_byte_array_new() };
}

void inputs_fini(Inputs *n)
{
    g_array_free(n->list, true);
    g_byte_array_free(n->bytes, true);
    g_free(n->wrong);
}

void inputs_clear(Inputs *n)
{
    g_array_set_size(n->list, 0);
    g_byte_array_set_size(n->bytes, 0);
    g_clear_pointer(&n->wrong, g_free);
    n->next = 0;
}

void inputs_rewind(Inputs *n)
{
    n->next = 0;
    g_clear_pointer(&n->wrong, g_free);
}

void inputs_wrong(Inputs *n, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (!n->wrong) {
        n->wrong = g_strdup_vprintf(fmt, ap);
    }
    va_end(ap);
}

static char *describe(const Input *i)
{
    return g_strdup_printf("%s%s %" PRIx64 " size %u value %" PRIx64, kind_names[i->kind],
                           i->kind == INPUT_INTCTL ? i->op == INTCTL_ACKNOWLEDGE ? " acknowledge" : " call" : "",
                           i->addr, i->kind == INPUT_DMA ? i->len : i->size, i->value);
}

void inputs_note(Inputs *n, const Input *i)
{
    g_array_append_val(n->list, *i);
}

void inputs_note_dma(Inputs *n, hwaddr addr, const void *buf, size_t len)
{
    Input i = { .kind = INPUT_DMA, .ok = true, .addr = addr, .data = n->bytes->len, .len = (uint32_t)len };

    g_byte_array_append(n->bytes, buf, len);
    inputs_note(n, &i);
}

const Input *inputs_peek(const Inputs *n)
{
    return n->next < n->list->len ? &g_array_index(n->list, Input, n->next) : NULL;
}

const Input *inputs_take(Inputs *n, const Input *want)
{
    const Input *i = inputs_peek(n);
    bool gives = want->kind == INPUT_STORE || want->kind == INPUT_PORT_OUT;

    if (!i || i->kind != want->kind || i->addr != want->addr || i->size != want->size || i->op != want->op
        || (gives && i->value != want->value)) {
        g_autofree char *did = describe(want), *had = i ? describe(i) : NULL;
        inputs_wrong(n, "B did %s; A %s%s", did, had ? "did " : "did nothing of the kind any more", had ? had : "");
        return NULL;
    }
    n->next++;
    return i;
}

bool inputs_settled(Inputs *n)
{
    const Input *i = inputs_peek(n);

    if (i && !n->wrong) {
        g_autofree char *had = describe(i);
        inputs_wrong(n, "A did %s; B did not", had);
    }
    return !n->wrong;
}

/* One a line, as capture.c reads them again. */
void inputs_print(const Inputs *n, GString *out)
{
    for (guint k = 0; k < n->list->len; k++) {
        const Input *i = &g_array_index(n->list, Input, k);
        g_string_append_printf(out, "input %u %u %u %u %" PRIx64 " %" PRIx64 " ", i->kind, i->op, i->ok, i->size,
                               i->addr, i->value);
        for (uint32_t b = 0; b < i->len; b++) {
            g_string_append_printf(out, "%02x", n->bytes->data[i->data + b]);
        }
        g_string_append(out, i->len ? "\n" : "-\n");
    }
}

bool inputs_read_line(Inputs *n, const char *line)
{
    unsigned kind, op, ok, size;
    uint64_t addr, value;
    int at = 0;

    if (sscanf(line, "input %u %u %u %u %" SCNx64 " %" SCNx64 " %n", &kind, &op, &ok, &size, &addr, &value, &at) < 6
        || !at || kind > INPUT_DMA || ok > 1 || size > 8) {
        return false;
    }
    Input i = { .kind = kind, .op = op, .ok = ok, .size = size, .addr = addr, .value = value, .data = n->bytes->len };
    for (const char *p = line + at; *p != '-' && g_ascii_isxdigit(p[0]) && g_ascii_isxdigit(p[1]); p += 2) {
        guint8 byte = g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]);
        g_byte_array_append(n->bytes, &byte, 1);
        i.len++;
    }
    inputs_note(n, &i);
    return true;
}
