/*
 * The twin: a machine without devices, for B.
 *
 * Its RAM is a copy of A's, region by region; its device registers are one region that answers with
 * what A's devices answered.  Both are mapped where A's map has them.
 */
#include "check.h"

#include <inttypes.h>
#include <string.h>
#include "target/x86/model.h"
#include "util/bits.h"
#include "util/error.h"

/* ---- answers ---- */

typedef struct Registers {              /* a stretch of the map that devices answer */
    Region region;                      /* first */
    Twin *twin;
    hwaddr at;
    bool ports;
} Registers;

/* What a device wrote to memory while A's instruction accessed its registers. */
static void apply_dma(Twin *t)
{
    const Input *i;

    while ((i = inputs_peek(t->inputs)) && i->kind == INPUT_DMA) {
        t->inputs->next++;
        twin_write(t, i->addr, t->inputs->bytes->data + i->data, i->len);
    }
}

static uint64_t registers_read(void *dev, hwaddr off, unsigned size)
{
    Registers *r = dev;
    Input want = { .kind = r->ports ? INPUT_PORT_IN : INPUT_LOAD, .addr = r->at + off, .size = size };
    const Input *had = inputs_take(r->twin->inputs, &want);
    uint64_t value = had ? had->value : ~0ull;

    apply_dma(r->twin);
    return value;
}

static void registers_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Registers *r = dev;
    Input want = { .kind = r->ports ? INPUT_PORT_OUT : INPUT_STORE, .addr = r->at + off, .size = size,
                   .value = val };

    inputs_take(r->twin->inputs, &want);
    apply_dma(r->twin);
}

static const RegionOps registers_ops = { .read = registers_read, .write = registers_write };

static const Input *intctl_call(Twin *t, unsigned op, uint64_t arg)
{
    const Input *had = inputs_take(t->inputs, &(Input){ .kind = INPUT_INTCTL, .op = op, .addr = arg });

    apply_dma(t);
    return had;
}

static int acknowledge(void *opaque)
{
    const Input *had = intctl_call(opaque, INTCTL_ACKNOWLEDGE, 0);

    vcpu_lower(&((Twin *)opaque)->cpu->vcpu, VCPU_INTR);
    return had && had->ok ? (int)had->value : -1;
}

static bool pending(void *opaque)
{
    const Input *i = inputs_peek(((Twin *)opaque)->inputs);

    return i && i->kind == INPUT_INTCTL && i->op == INTCTL_ACKNOWLEDGE;
}

static uint64_t get(void *opaque, unsigned op)
{
    const Input *had = intctl_call(opaque, op, 0);

    return had ? had->value : 0;
}

static void quiet_set_tpr(void *opaque, uint8_t cr8) { ((Twin *)opaque)->tpr = cr8; }
static uint8_t quiet_get_tpr(void *opaque) { return ((Twin *)opaque)->tpr; }
static void quiet_set_base(void *opaque, uint64_t value) { ((Twin *)opaque)->apic_base = value; }
static uint64_t quiet_get_base(void *opaque) { return ((Twin *)opaque)->apic_base; }

static void set_tpr(void *opaque, uint8_t cr8) { intctl_call(opaque, INTCTL_SET_TPR, cr8); }
static uint8_t get_tpr(void *opaque) { return get(opaque, INTCTL_GET_TPR); }
static void set_base(void *opaque, uint64_t value) { intctl_call(opaque, INTCTL_SET_BASE, value); }
static uint64_t get_base(void *opaque) { return get(opaque, INTCTL_GET_BASE); }
static uint64_t get_deadline(void *opaque) { return get(opaque, INTCTL_GET_DEADLINE); }

static bool set_deadline(void *opaque, uint64_t tsc)
{
    const Input *had = intctl_call(opaque, INTCTL_SET_DEADLINE, tsc);

    return had && had->ok;
}

static bool read_msr(void *opaque, unsigned reg, uint64_t *value)
{
    const Input *had = intctl_call(opaque, INTCTL_READ_MSR, reg);

    *value = had ? had->value : 0;
    return had && had->ok;
}

static bool write_msr(void *opaque, unsigned reg, uint64_t value)
{
    const Input *had = intctl_call(opaque, INTCTL_WRITE_MSR, reg);

    if (had && had->value != value) {
        inputs_wrong(((Twin *)opaque)->inputs, "B wrote %" PRIx64 " to x2APIC register %x, A %" PRIx64, value, reg,
                     had->value);
    }
    return had && had->ok;
}

static const IntCtl intctl_ops = {
    .acknowledge = acknowledge, .pending = pending, .set_tpr = set_tpr, .get_tpr = get_tpr, .set_base = set_base,
    .get_base = get_base, .read_msr = read_msr, .write_msr = write_msr, .set_deadline = set_deadline,
    .get_deadline = get_deadline,
};

static void answer(Twin *t, unsigned functions)
{
    enum { ENABLED_BOOT_PROCESSOR = 0xfee00900 };

    t->intctl = intctl_ops;
    intctl_keep(&t->intctl, functions);
    if (!(functions & INTCTL_QUIET)) {
        t->apic_base = ENABLED_BOOT_PROCESSOR;
        t->intctl.set_tpr = quiet_set_tpr;
        t->intctl.get_tpr = quiet_get_tpr;
        t->intctl.set_base = quiet_set_base;
        t->intctl.get_base = quiet_get_base;
    }
    vcpu_set_intctl(&t->cpu->vcpu, &t->intctl, t);
}

static bool random_number(X86Observer *o, uint64_t *value)
{
    Twin *t = container_of(o, Twin, observer);
    const Input *had = inputs_take(t->inputs, &(Input){ .kind = INPUT_RANDOM });

    *value = had ? had->value : 0;
    return had && had->ok;
}

/* ---- memory ---- */

uint8_t *twin_page(Twin *t, hwaddr page)
{
    MemSection s;

    return as_find(t->m->mem, page, &s) && s.host && s.len - (page - s.at) >= PAGE_SIZE ? s.host + (page - s.at)
                                                                                        : NULL;
}

static void keep(GHashTable *pages, const uint8_t *host)
{
    if (!g_hash_table_contains(pages, host)) {
        g_hash_table_insert(pages, (gpointer)host, g_memdup2(host, PAGE_SIZE));
    }
}

static void touched(X86Observer *o, X86Cpu *c, hwaddr page, const MemSection *s, bool write)
{
    Twin *t = container_of(o, Twin, observer);

    if (s->at > page || s->len - (page - s->at) < PAGE_SIZE) {
        return;                         /* a piece of a page: no guest has its data there */
    }
    if (write) {
        keep(t->before, s->host + (page - s->at));
    }
    if (t->read && !g_hash_table_contains(t->read, GSIZE_TO_POINTER(page))) {
        const uint8_t *host = s->host + (page - s->at), *was = g_hash_table_lookup(t->before, host);
        g_hash_table_insert(t->read, GSIZE_TO_POINTER(page), g_memdup2(was ? was : host, PAGE_SIZE));
    }
}

void twin_write(Twin *t, hwaddr addr, const void *buf, size_t len)
{
    const uint8_t *from = buf;

    while (len) {
        size_t n = MIN(len, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
        uint8_t *page = twin_page(t, addr & ~(hwaddr)(PAGE_SIZE - 1));
        if (page) {
            keep(t->before, page);
        }
        as_write_rom(t->m->mem, addr, from, n);
        addr += n;
        from += n;
        len -= n;
    }
}

void twin_begin(Twin *t)
{
    g_hash_table_remove_all(t->before);
    x86_forget_touched(t->cpu, false);
}

void twin_undo(Twin *t)
{
    GHashTableIter iter;
    gpointer host, bytes;

    g_hash_table_iter_init(&iter, t->before);
    while (g_hash_table_iter_next(&iter, &host, &bytes)) {
        memcpy(host, bytes, PAGE_SIZE);
    }
    t->accel->ops->flush(t->accel, &t->cpu->vcpu);
    twin_begin(t);
}

/* Pages that differ: most of a guest's memory was never written. */
static void copy_pages(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t at = 0; at < size; at += PAGE_SIZE) {
        size_t n = MIN(PAGE_SIZE, size - at);
        if (memcmp(to + at, from + at, n)) {
            memcpy(to + at, from + at, n);
        }
    }
}

static TwinRam *copy_of(Twin *t, const Region *of, GError **errp)
{
    for (guint i = 0; i < t->rams->len; i++) {
        TwinRam *r = g_ptr_array_index(t->rams, i);
        if (r->of == of) {
            return r;
        }
    }
    TwinRam *r = g_new0(TwinRam, 1);
    if (!region_init_ram(&r->copy, of->name, of->size, errp)) {
        g_free(r);
        return NULL;
    }
    r->of = of;
    r->devices_own = of->kind == REGION_RAM && of->size < 64 << 20 && t->rams->len;
    copy_pages(r->copy.ram, of->ram, of->size);
    g_ptr_array_add(t->rams, r);
    return r;
}

static void free_region(gpointer data)
{
    Region *r = data;

    region_fini(r);
    g_free(data);
}

static void free_ram(gpointer data)
{
    TwinRam *r = data;

    region_fini(&r->copy);
    g_free(r);
}

void twin_add_registers(Twin *t, hwaddr at, hwaddr len, bool ports)
{
    Registers *r = g_new0(Registers, 1);

    *r = (Registers){ .twin = t, .at = at, .ports = ports };
    region_init_io(&r->region, "registers", len, &registers_ops, r);
    region_map(ports ? &t->m->io_root : &t->m->mem_root, at, &r->region, 0);
    g_ptr_array_add(t->registers, &r->region);
}

bool twin_add_page(Twin *t, hwaddr page, const uint8_t *bytes, bool readonly, GError **errp)
{
    TwinRam *r = g_new0(TwinRam, 1);

    if (!region_init_ram(&r->copy, "page", PAGE_SIZE, errp)) {
        g_free(r);
        return false;
    }
    memcpy(r->copy.ram, bytes, PAGE_SIZE);
    region_set_readonly(&r->copy, readonly);
    region_map(&t->m->mem_root, page, &r->copy, 0);
    g_ptr_array_add(t->rams, r);
    return true;
}

typedef struct Follow {
    Twin *t;
    bool ports;
    GError **errp;
    bool failed;
} Follow;

static void add_section(const MemSection *s, void *opaque)
{
    Follow *f = opaque;
    Region *root = f->ports ? &f->t->m->io_root : &f->t->m->mem_root;

    if (!s->host) {
        twin_add_registers(f->t, s->at, s->len, f->ports);
        return;
    }
    TwinRam *ram = f->failed ? NULL : copy_of(f->t, s->region, f->errp);
    if (!ram) {
        f->failed = true;
        return;
    }
    Region *window = g_new0(Region, 1);
    region_init_alias(window, s->region->name, &ram->copy, s->off, s->len);
    region_set_readonly(window, s->readonly);
    region_map(root, s->at, window, 0);
    g_ptr_array_add(f->t->windows, window);
}

bool twin_follow_map(Twin *t, Machine *of, GError **errp)
{
    Follow mem = { t, false, errp, false }, io = { t, true, errp, false };

    memory_begin(t->m->mem);
    memory_begin(t->m->io);
    g_ptr_array_set_size(t->windows, 0);
    g_ptr_array_set_size(t->registers, 0);
    as_for_each(of->mem, add_section, &mem);
    if (!mem.failed) {
        as_for_each(of->io, add_section, &io);
    }
    memory_commit(t->m->io);
    memory_commit(t->m->mem);
    return !mem.failed && !io.failed;
}

void twin_copy_all(Twin *t)
{
    for (guint i = 0; i < t->rams->len; i++) {
        TwinRam *r = g_ptr_array_index(t->rams, i);
        copy_pages(r->copy.ram, r->of->ram, r->of->size);
    }
    t->accel->ops->flush(t->accel, &t->cpu->vcpu);
}

void twin_copy_devices_ram(Twin *t)
{
    enum { LEGACY = 512 << 10 };        /* what the VGA's window at A0000H reaches */

    for (guint i = 0; i < t->rams->len; i++) {
        TwinRam *r = g_ptr_array_index(t->rams, i);
        if (r->devices_own) {
            memcpy(r->copy.ram, r->of->ram, MIN(r->of->size, LEGACY));
        }
    }
}

/* ---- running ---- */

bool check_serve(X86Cpu *c)
{
    jmp_buf unwind;
    bool shutdown = false;

    c->cur = NULL;
    c->unwind = &unwind;
    if (setjmp(unwind)) {
        shutdown = !x86_deliver(c);
    } else {
        x86_serve_requests(c, &shutdown);
    }
    c->unwind = NULL;
    return !shutdown;
}

bool check_steps(const Accel *a)
{
    return !a->ops->insn_count;
}

uint64_t check_insn_count(const Accel *a, Vcpu *v)
{
    return check_steps(a) ? x86_cpu(v)->insn_count : a->ops->insn_count((Accel *)a, v);
}

/* Which comes again as long as its count is not zero: a step of each. */
static bool at_repeated_string(X86Cpu *c)
{
    uint8_t bytes[X86_INSN_MAX];
    uint64_t linear = c->regs[X86_RIP] + (x86_code_bits(c) == 64 ? 0 : c->seg[X86_CS].base);
    unsigned n = 0;
    X86Insn in;

    x86_tlb_flush(c, true);
    while (n < sizeof(bytes) && x86_read_debug(c, linear + n, bytes + n, 1)) {
        n++;
    }
    return x86_decode(&in, bytes, n, x86_code_bits(c)) > 0 && in.rep && !in.map &&
        ((in.opcode >= 0xa4 && in.opcode <= 0xaf) || (in.opcode >= 0x6c && in.opcode <= 0x6f));
}

/* Asked to stop in the middle of one it does so behind it, since the other side does not know of the middle. */
static RunExit step(Accel *a, Vcpu *v, GError **errp)
{
    X86Cpu *c = x86_cpu(v);
    uint64_t at = c->regs[X86_RIP];
    bool again = at_repeated_string(c), begun = false, stop = false;
    RunExit why;

    do {
        why = a->ops->run(a, v, 1, errp);
        if (why == RUN_REQUEST && begun) {
            vcpu_lower(v, VCPU_STOP);
            stop = true;
            why = RUN_BUDGET;
        }
        begun = true;
    } while (again && why == RUN_BUDGET && c->regs[X86_RIP] == at);
    if (stop) {
        vcpu_raise(v, VCPU_STOP);
    }
    if (why != RUN_REQUEST && why != RUN_FAILED) {
        c->insn_count++;
    }
    return why;
}

RunExit check_accel_run(Accel *a, Vcpu *v, uint64_t n, GError **errp)
{
    if (check_steps(a)) {
        return step(a, v, errp);
    }
    if (a->ops->lazy_state) {
        a->ops->push(a, v);
    }
    RunExit why = a->ops->run(a, v, n, errp);
    if (a->ops->lazy_state) {
        a->ops->pull(a, v);
    }
    return why;
}

RunExit twin_run(Twin *t, uint64_t n, GError **errp)
{
    Vcpu *v = &t->cpu->vcpu;
    uint64_t end = check_insn_count(t->accel, v) + n, done;
    RunExit why = RUN_BUDGET;

    v->hold_interrupts = true;
    while (why == RUN_BUDGET && !t->inputs->wrong && (done = check_insn_count(t->accel, v)) < end) {
        why = check_accel_run(t->accel, v, end - done, errp);
    }
    v->hold_interrupts = false;
    return why;
}

bool twin_serve(Twin *t, uint32_t requests)
{
    Vcpu *v = &t->cpu->vcpu;

    if (check_steps(t->accel)) {        /* the page tables have changed without the processor's knowledge */
        x86_tlb_flush(t->cpu, true);
    }
    vcpu_raise(v, requests & (VCPU_INTR | VCPU_NMI | VCPU_SMI | VCPU_INIT | VCPU_SIPI));
    bool ok = check_serve(t->cpu);
    vcpu_lower(v, VCPU_INTR);
    return ok;
}

void twin_load(Twin *t, const X86Cpu *state)
{
    x86_copy_state(t->cpu, state);
    if (t->accel->ops->lazy_state) {
        t->accel->ops->push(t->accel, &t->cpu->vcpu);
    }
    t->accel->ops->flush(t->accel, &t->cpu->vcpu);
}

/* ---- life ---- */

Twin *twin_new(Machine *of, const X86Cpu *cpu, const char *accel, unsigned intctl, Inputs *inputs, GError **errp)
{
    Twin *t = g_new0(Twin, 1);

    t->inputs = inputs;
    t->rams = g_ptr_array_new_with_free_func(free_ram);
    t->windows = g_ptr_array_new_with_free_func(free_region);
    t->registers = g_ptr_array_new_with_free_func(free_region);
    t->before = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    t->m = machine_new(clock_new_manual());
    t->cpu = x86_cpu_new(t->m, 0, x86_model_spec(cpu->model), errp);
    if (!t->cpu) {
        twin_free(t);
        return NULL;
    }
    g_ptr_array_add(t->m->vcpus, &t->cpu->vcpu);
    t->cpu->vcpu.repeatable = true;
    machine_lock(t->m);
    bool ok = !of || twin_follow_map(t, of, errp);
    t->accel = ok ? accel_open_one(t->m, accel, errp) : NULL;
    if (t->accel && !t->accel->ops->vcpu_create(t->accel, &t->cpu->vcpu, errp)) {
        t->accel->ops->destroy(t->accel);
        t->accel = NULL;
    }
    machine_unlock(t->m);
    if (!t->accel) {
        twin_free(t);
        return NULL;
    }
    if (intctl) {
        answer(t, intctl);
    }
    t->observer = (X86Observer){ .touched = touched, .random = random_number };
    x86_observe(t->cpu, &t->observer);
    return t;
}

void twin_free(Twin *t)
{
    if (t->accel) {
        t->accel->ops->vcpu_destroy(t->accel, &t->cpu->vcpu);
        machine_lock(t->m);
        t->accel->ops->destroy(t->accel);
        machine_unlock(t->m);
    }
    if (t->cpu) {
        g_ptr_array_set_size(t->m->vcpus, 0);
        x86_cpu_free(t->cpu);
    }
    machine_lock(t->m);
    g_ptr_array_free(t->windows, true);
    g_ptr_array_free(t->registers, true);
    g_ptr_array_free(t->rams, true);
    machine_unlock(t->m);
    machine_free(t->m);
    g_hash_table_destroy(t->before);
    g_clear_pointer(&t->read, g_hash_table_destroy);
    g_free(t);
}
