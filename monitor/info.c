/*
 * monitor/info.c - `info`: one row an item, and beyond the rows any device by name or class.
 */
#include "monitor/command.h"
#include "block/block.h"
#include "core/icount.h"
#include "hw/isa.h"
#include "hw/pci.h"
#include "ui/display.h"
#include "util/error.h"
#include "util/suggest.h"

#include <inttypes.h>
#include <string.h>

typedef bool Info(Session *s, bool all, GString *out, GError **errp);

/* ---- processors ---- */

/* Where an accelerator keeps the registers of running processors, they are asked for. */
static void sync_registers(Session *s)
{
    Accel *a = s->all->host.accel(s->all->host.opaque);
    GPtrArray *vcpus = s->all->m->vcpus;

    for (guint i = 0; a->ops->sync && i < vcpus->len; i++) {
        a->ops->sync(a, g_ptr_array_index(vcpus, i));
    }
}

static bool each_cpu(Session *s, bool all, GString *out, GError **errp, void (*fn)(X86Cpu *c, GString *out))
{
    GPtrArray *vcpus = s->all->m->vcpus;
    X86Cpu *c = session_cpu(s, errp);

    if (!c) {
        return false;
    }
    sync_registers(s);
    for (guint i = 0; all && i < vcpus->len; i++) {
        g_string_append_printf(out, "CPU#%u\n", i);
        fn(x86_cpu(g_ptr_array_index(vcpus, i)), out);
    }
    if (!all) {
        fn(c, out);
    }
    return true;
}

static bool info_registers(Session *s, bool all, GString *out, GError **errp)
{
    return each_cpu(s, all, out, errp, x86_info_registers);
}

static bool info_icount(Session *s, bool all, GString *out, GError **errp)
{
    Machine *m = s->all->m;

    if (!m->icount) {
        g_string_append(out, "guest time is the host's: -icount counts instructions instead\n");
        return true;
    }
    IcountPosition at = icount_position(m);
    g_string_append_printf(out, "%" PRIu64 " instructions, %" PRIu64 " timers\n", at.insns, at.fired);
    g_string_append_printf(out, "guest time %.9f s, 2^%u ns an instruction\n", clock_now(m->clock) / (double)NS_PER_S,
                           m->icount->shift);
    g_string_append_printf(out, "hash %016" PRIx64 "\n", accel_hash(m, true));
    return true;
}

static bool info_mem(Session *s, bool all, GString *out, GError **errp)
{
    return each_cpu(s, all, out, errp, x86_info_mem);
}

static bool info_tlb(Session *s, bool all, GString *out, GError **errp)
{
    return each_cpu(s, all, out, errp, x86_info_tlb);
}

static bool info_cpus(Session *s, bool all, GString *out, GError **errp)
{
    GPtrArray *vcpus = s->all->m->vcpus;

    sync_registers(s);
    for (guint i = 0; i < vcpus->len; i++) {
        const X86Cpu *c = x86_cpu(g_ptr_array_index(vcpus, i));
        g_string_append_printf(out, "%c CPU #%u: pc=0x%016" PRIx64 "%s\n", i == s->cpu ? '*' : ' ', i,
                               c->regs[X86_RIP], c->vcpu.halted ? " (halted)" : "");
    }
    return true;
}

static bool info_accel(Session *s, bool all, GString *out, GError **errp)
{
    Accel *a = s->all->host.accel(s->all->host.opaque);
    GPtrArray *vcpus = s->all->m->vcpus;

    g_string_append_printf(out, "%s: %s\n", a->ops->name, a->ops->summary);
    for (guint i = 0; i < vcpus->len; i++) {
        Vcpu *v = g_ptr_array_index(vcpus, i);
        if (a->ops->insn_count) {
            g_string_append_printf(out, "CPU #%u: %" PRIu64 " instructions\n", i, a->ops->insn_count(a, v));
        }
        if (a->ops->info) {
            a->ops->info(a, v, out);
        }
    }
    return true;
}

static bool info_dbt(Session *s, bool all, GString *out, GError **errp)
{
    const Accel *a = s->all->host.accel(s->all->host.opaque);

    if (strcmp(a->ops->name, "dbt")) {
        g_string_append_printf(out, "guest code is run by %s: see info accel\n", a->ops->name);
        return true;
    }
    return info_accel(s, all, out, errp);
}

/* ---- devices ---- */

static void device_info(Device *d, GString *out)
{
    g_string_append_printf(out, "%s (%s)\n", d->id, d->cls->name);
    if (d->cls->info) {
        d->cls->info(d, out);
    } else if (d->cls->state) {
        state_print(d->cls->state, d, out);
    }
    if (out->len && out->str[out->len - 1] != '\n') {
        g_string_append_c(out, '\n');
    }
}

/* All devices of this id or class; their number. */
static unsigned info_device(Session *s, const char *name, GString *out)
{
    GPtrArray *devices = s->all->m->devices;
    unsigned n = 0;

    for (guint i = 0; i < devices->len; i++) {
        Device *d = g_ptr_array_index(devices, i);
        if (!strcmp(d->id, name) || !strcmp(d->cls->name, name)) {
            device_info(d, out);
            n++;
        }
    }
    return n;
}

static bool info_classes(Session *s, const char *const *classes, const char *what, GString *out, GError **errp)
{
    unsigned n = 0;

    for (; *classes; classes++) {
        n += info_device(s, *classes, out);
    }
    if (!n) {
        error_set(errp, "this machine has no %s", what);
    }
    return n;
}

static bool info_pic(Session *s, bool all, GString *out, GError **errp)
{
    static const char *const classes[] = { "i8259", "ioapic", NULL };

    return info_classes(s, classes, "interrupt controller", out, errp);
}

static bool info_lapic(Session *s, bool all, GString *out, GError **errp)
{
    static const char *const classes[] = { "apic", NULL };

    return info_classes(s, classes, "local APIC", out, errp);
}

static bool info_irq(Session *s, bool all, GString *out, GError **errp)
{
    IsaBus *isa = machine_service(s->all->m, "isa");

    if (!isa) {
        error_set(errp, "this machine has no ISA bus");
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(isa->irq); i++) {
        if (isa->irq_drivers[i] || isa->irq[i].level) {
            g_string_append_printf(out, "IRQ %u: asserted by %u\n", i, isa->irq_drivers[i]);
        } else {
            g_string_append_printf(out, "IRQ %u: idle\n", i);
        }
    }
    return true;
}

static bool info_pci(Session *s, bool all, GString *out, GError **errp)
{
    PciBus *pci = machine_service(s->all->m, "pci");

    if (!pci) {
        error_set(errp, "this machine has no PCI bus");
        return false;
    }
    pci_info(pci, out);
    return true;
}

static void print_device(Session *s, Device *d, unsigned depth, GString *out)
{
    g_string_append_printf(out, "%*sdev: %s, id \"%s\"", depth * 2, "", d->cls->name, d->id);
    if (d->bus && d->bus->cls->describe) {
        g_string_append(out, ", ");
        d->bus->cls->describe(d->bus, d, out);
    }
    g_string_append_c(out, '\n');
    for (const Property *p = d->cls->props; p && p->kind != PROP_END; p++) {
        g_autofree char *value = property_get(d, p);
        g_string_append_printf(out, "%*s%s = %s\n", depth * 2 + 2, "", p->name, value);
    }
    for (Bus *b = s->all->m->buses; b; b = b->next) {
        if (b->controller == d) {
            g_string_append_printf(out, "%*sbus: %s (%s)\n", depth * 2 + 2, "", b->id ? b->id : b->cls->name,
                                   b->cls->name);
            for (Device *child = b->devices; child; child = child->next) {
                print_device(s, child, depth + 2, out);
            }
        }
    }
}

static bool info_qtree(Session *s, bool all, GString *out, GError **errp)
{
    GPtrArray *devices = s->all->m->devices;

    for (guint i = 0; i < devices->len; i++) {
        Device *d = g_ptr_array_index(devices, i);
        if (!d->bus) {
            print_device(s, d, 0, out);
        }
    }
    return true;
}

static bool info_mtree(Session *s, bool all, GString *out, GError **errp)
{
    as_print_tree(s->all->m->mem, out);
    as_print_tree(s->all->m->io, out);
    return true;
}

static bool info_block(Session *s, bool all, GString *out, GError **errp)
{
    for (BlockDrive *d = block_drive_first(s->all->m); d; d = d->next) {
        g_string_append_printf(out, "%s: ", d->id);
        if (d->medium) {
            block_info(d->medium, out);
        } else {
            g_string_append(out, "empty");
        }
        while (out->str[out->len - 1] == '\n') {
            g_string_truncate(out, out->len - 1);
        }
        g_string_append_printf(out, "%s%s\n", d->removable ? ", removable" : "",
                               d->locked && d->locked(d) ? ", locked by the guest" : "");
    }
    return true;
}

static bool info_display(Session *s, bool all, GString *out, GError **errp)
{
    Display *d = machine_service(s->all->m, "display");
    g_autofree char *text = NULL;
    pixman_image_t *image;

    if (!d) {
        error_set(errp, "this machine has no display");
        return false;
    }
    display_refresh(d);
    image = display_surface(d);
    text = display_text(d);
    g_string_append_printf(out, "%d x %d, %s\n", pixman_image_get_width(image), pixman_image_get_height(image),
                           text ? "text:" : "graphics");
    if (text) {
        g_string_append_printf(out, "%s%s", text, g_str_has_suffix(text, "\n") ? "" : "\n");
    }
    return true;
}

/* ---- the rest ---- */

static bool info_status(Session *s, bool all, GString *out, GError **errp)
{
    g_string_append_printf(out, "VM status: %s\n", s->was_running ? "running" : "paused");
    return true;
}

static bool info_version(Session *s, bool all, GString *out, GError **errp)
{
    g_string_append_printf(out, "%s\n", s->all->host.version(s->all->host.opaque));
    return true;
}

static bool info_name(Session *s, bool all, GString *out, GError **errp)
{
    const char *name = s->all->host.name(s->all->host.opaque);

    g_string_append_printf(out, "%s\n", name ? name : "no name was given");
    return true;
}

static bool info_chardev(Session *s, bool all, GString *out, GError **errp)
{
    CharBack *c;

    for (unsigned i = 0; (c = s->all->host.chardev(s->all->host.opaque, i)); i++) {
        g_autofree char *text = chardev_describe(c);
        g_string_append_printf(out, "%s: %s\n", chardev_id(c), text);
    }
    return true;
}

static const struct InfoItem {
    const char *name;
    Info *run;
    const char *help;
} items[] = {
    { "accel", info_accel, "how guest code is run, and its counters" },
    { "block", info_block, "drives and what is in them" },
    { "chardev", info_chardev, "character devices" },
    { "cpus", info_cpus, "processors and where they are" },
    { "dbt", info_dbt, "the translator's counters: what it translated and what not, exits, the hottest blocks" },
    { "display", info_display, "size of the screen, and its text in a text mode" },
    { "icount", info_icount, "with -icount: instructions executed, guest time, hash of registers and memory" },
    { "irq", info_irq, "interrupt lines of the ISA bus" },
    { "lapic", info_lapic, "local APICs" },
    { "mem", info_mem, "mapped linear addresses and their rights (-a: of all processors)" },
    { "mtree", info_mtree, "memory and port regions" },
    { "name", info_name, "the machine's name" },
    { "pci", info_pci, "PCI devices" },
    { "pic", info_pic, "interrupt controllers" },
    { "qtree", info_qtree, "devices, buses and properties" },
    { "registers", info_registers, "registers of the processor (-a: of all)" },
    { "status", info_status, "whether the machine runs" },
    { "tlb", info_tlb, "mappings page by page (-a: of all processors)" },
    { "version", info_version, "which Tinamou this is" },
};

void info_names(Session *s, GPtrArray *names)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        g_ptr_array_add(names, (char *)items[i].name);
    }
}

static void list_items(GString *out)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        g_string_append_printf(out, "info %-12s %s\n", items[i].name, items[i].help);
    }
    g_string_append(out, "info DEVICE       state of a device, by its id or kind (info qtree lists them)\n");
}

bool cmd_info(Session *s, const ArgValue *a, GString *out, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *tail = NULL;

    if (!a[0].given) {
        list_items(out);
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        if (!strcmp(items[i].name, a[0].text)) {
            return items[i].run(s, a[1].given, out, errp);
        }
    }
    if (info_device(s, a[0].text, out)) {
        return true;
    }
    info_names(s, names);
    for (guint i = 0; i < s->all->m->devices->len; i++) {
        Device *d = g_ptr_array_index(s->all->m->devices, i);
        g_ptr_array_add(names, (char *)d->cls->name);
    }
    g_ptr_array_add(names, NULL);
    tail = suggest_tail(a[0].text, (const char *const *)names->pdata);
    error_set(errp, "there is no item '%s'%s", a[0].text, *tail ? tail : "; info lists them");
    return false;
}
