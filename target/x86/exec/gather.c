/*
 * target/x86/exec/gather.c - gathers, scatters, VMASKMOV and opmasked memory operands: elements are
 * loaded and stored one by one, and those that are masked off neither fault nor show.
 *
 * Follows the Intel SDM, volume 2: VPGATHERDD and its kin, VPSCATTERDD, VMASKMOV, VPMASKMOV, and 2.7.
 * A gather or scatter that faults has done, and struck from its mask, the elements before.
 */
#include "gather.h"

#include "form.h"
#include "fpu.h"
#include "gen/x86-exec.h"
#include "vector.h"

/* How an operand is cut: elements in memory, their size, and which of them are needed. */
typedef struct Cut { unsigned n, size; uint64_t active; } Cut;

/* No #AC: see vector_alignment(), and volume 2, VMASKMOV. */
static void load_element(X86Cpu *c, const X86Insn *in, uint64_t linear, void *to, unsigned size)
{
    fpu_load(c, in, linear, to, size, 1);
}

static void store_element(X86Cpu *c, const X86Insn *in, uint64_t linear, const void *from, unsigned size)
{
    fpu_store(c, in, linear, from, size, 1);
}

/* Of the operand whose offset is `off`: it is the whole operand's offset that wraps, not an element's. */
static uint64_t element_linear(X86Cpu *c, const X86Insn *in, uint64_t off, const Cut *x, unsigned i, bool write)
{
    return x86_segmented(c, in->segment, off + i * x->size, x->size, write);
}

/* Segment limits and canonical addresses come before page faults, whichever element has them, and before #AC, which
 * is of an operand as a whole (`align`); but for a scalar's store, of which they are as without a mask. */
static void check_active(X86Cpu *c, const X86Insn *in, uint64_t off, const Cut *x, unsigned align, bool write)
{
    uint64_t linear[64] = { 0 };
    unsigned first = (unsigned)__builtin_ctzll(x->active);

    for (unsigned i = first; i < x->n; i++) {
        if (x->active >> i & 1) {
            linear[i] = element_linear(c, in, off, x, i, write);
        }
    }
    if (write && in->row->lig) {
        x86_check_operand(c, in->segment, linear[0], x->size, align);
    }
    for (unsigned i = first; i < x->n; i++) {
        if (x->active >> i & 1) {
            x86_check_operand(c, in->segment, linear[i], x->size, 1);
        }
    }
    x86_check_alignment(c, linear[first] - first * x->size, align);
}

/* The active elements to `buf`, elsewhere 0. */
static void load_active(X86Cpu *c, const X86Insn *in, uint64_t off, const Cut *x, uint8_t *buf)
{
    memset(buf, 0, x->size * x->n);
    for (unsigned i = 0; i < x->n; i++) {
        if (x->active >> i & 1) {
            load_element(c, in, element_linear(c, in, off, x, i, false), buf + i * x->size, x->size);
        }
    }
}

/* All or nothing: what would fault does so before the first byte is stored.  A vector is in one page or two, which
 * silicon tries at the first and the last byte of it. */
static void store_active(X86Cpu *c, const X86Insn *in, uint64_t off, const Cut *x, const uint8_t *buf)
{
    if (!x->active) {
        return;
    }
    unsigned first = (unsigned)__builtin_ctzll(x->active), last = 63 - (unsigned)__builtin_clzll(x->active);
    x86_probe_write(c, element_linear(c, in, off, x, first, true), in->row->lig ? x->size : 1);
    x86_probe_write(c, element_linear(c, in, off, x, last, true) + x->size - 1, 1);
    for (unsigned i = first; i <= last; i++) {
        if (x->active >> i & 1) {
            store_element(c, in, element_linear(c, in, off, x, i, true), buf + i * x->size, x->size);
        }
    }
}

/* ---- VMASKMOV, VPMASKMOV: the mask is the top bits of the elements of vvvv ---- */

static uint64_t sign_bits(const X86Vector *v, unsigned size, unsigned n)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < n; i++) {
        mask |= (uint64_t)(((const uint8_t *)v->q)[i * size + size - 1] >> 7) << i;
    }
    return mask;
}

static void masked_move(X86Cpu *c, const X86Insn *in, unsigned size)
{
    unsigned n = (16u << in->vl) / size;
    bool store = in->row->operand[0].kind == OPK_M;
    X86Vector v = { 0 };

    vex_check_state(c, in);
    Cut x = { n, size, sign_bits(&c->fpu.v[in->vvvv], size, n) };
    uint64_t off = x86_offset(c, in);
    if (x.active) {
        check_active(c, in, off, &x, 1, store);
    }
    if (store) {
        store_active(c, in, off, &x, (const uint8_t *)&c->fpu.v[in->reg]);
    } else {
        load_active(c, in, off, &x, (uint8_t *)&v);
        c->fpu.v[in->reg] = v;
    }
}

void exec_vmaskmovps(X86Cpu *c, const X86Insn *in) { masked_move(c, in, 4); }
void exec_vmaskmovpd(X86Cpu *c, const X86Insn *in) { masked_move(c, in, 8); }
void exec_vpmaskmovd(X86Cpu *c, const X86Insn *in) { masked_move(c, in, 4); }
void exec_vpmaskmovq(X86Cpu *c, const X86Insn *in) { masked_move(c, in, 8); }

/* ---- gathers and scatters ---- */

typedef struct Indexed {
    unsigned size, index_size, n;       /* of an element, of an index, elements */
    uint64_t base;                      /* base and displacement */
} Indexed;

static Indexed indexed(const X86Cpu *c, const X86Insn *in)
{
    unsigned size = x86_memory_bytes(in), index_size = in->row->vsib;

    return (Indexed){ size, index_size, (16u << in->vl) / MAX(size, index_size),
                      c->regs[in->base] + (int64_t)in->disp };
}

static uint64_t indexed_linear(X86Cpu *c, const X86Insn *in, const Indexed *x, unsigned i, bool write)
{
    const uint8_t *index = (const uint8_t *)c->fpu.v[in->vindex].q + i * x->index_size;
    uint64_t v = x->index_size == 8 ? *(const X86Mem64 *)index : (uint64_t)(int32_t)*(const X86Mem32 *)index;
    uint64_t off = (x->base + (v << in->scale)) & ~0ull >> (64 - in->addrsize);

    return x86_segmented(c, in->segment, off, x->size, write);
}

static void gather_element(X86Cpu *c, const X86Insn *in, const Indexed *x, unsigned i)
{
    uint8_t *to = (uint8_t *)c->fpu.v[in->reg].q + i * x->size;

    load_element(c, in, indexed_linear(c, in, x, i, false), to, x->size);
}

static void gather_vex(X86Cpu *c, const X86Insn *in, const Indexed *x)
{
    X86Vector *mask = &c->fpu.v[in->vvvv];
    uint64_t active = sign_bits(mask, x->size, x->n);

    for (unsigned i = 0; i < x->n; i++) {
        if (active >> i & 1) {
            gather_element(c, in, x, i);
            memset((uint8_t *)mask->q + i * x->size, 0, x->size);
        }
    }
    vex_zero_above(mask, 0);
}

static void gather_evex(X86Cpu *c, const X86Insn *in, const Indexed *x)
{
    uint64_t *mask = &c->fpu.k[in->mask];

    for (unsigned i = 0; i < x->n; i++) {
        if (*mask >> i & 1) {
            gather_element(c, in, x, i);
            *mask &= ~(1ull << i);
        }
    }
    *mask = 0;
}

static void gather(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    Indexed x = indexed(c, in);
    if (in->enc == X86_VEX) {
        gather_vex(c, in, &x);
    } else {
        gather_evex(c, in, &x);
    }
    vex_zero_above(&c->fpu.v[in->reg], x.n * x.size);
}

void exec_vpgatherdd(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vpgatherdq(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vpgatherqd(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vpgatherqq(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vgatherdps(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vgatherdpd(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vgatherqps(X86Cpu *c, const X86Insn *in) { gather(c, in); }
void exec_vgatherqpd(X86Cpu *c, const X86Insn *in) { gather(c, in); }

static void scatter(X86Cpu *c, const X86Insn *in)
{
    vex_check_state(c, in);
    Indexed x = indexed(c, in);
    uint64_t *mask = &c->fpu.k[in->mask];

    for (unsigned i = 0; i < x.n; i++) {
        if (*mask >> i & 1) {
            const uint8_t *from = (const uint8_t *)c->fpu.v[in->reg].q + i * x.size;
            store_element(c, in, indexed_linear(c, in, &x, i, true), from, x.size);
            *mask &= ~(1ull << i);
        }
    }
    *mask = 0;
}

void exec_vpscatterdd(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vpscatterdq(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vpscatterqd(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vpscatterqq(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vscatterdps(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vscatterdpd(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vscatterqps(X86Cpu *c, const X86Insn *in) { scatter(c, in); }
void exec_vscatterqpd(X86Cpu *c, const X86Insn *in) { scatter(c, in); }

/* ---- memory operands under an opmask ---- */

/* Is memory as wide for all vector lengths?  Of rows that heed the mask that is what is broadcast. */
static bool has_fixed_source(const X86Row *r)
{
    for (unsigned i = 1; i < G_N_ELEMENTS(r->operand); i++) {
        unsigned kind = r->operand[i].kind, size = r->operand[i].size;
        if ((kind == OPK_W || kind == OPK_M) && size != OPS_x && size != OPS_h && size != OPS_f && size != OPS_e) {
            return true;
        }
    }
    return false;
}

static Cut cut(const X86Insn *in, unsigned mem_size, uint64_t mask, bool store)
{
    const X86Row *r = in->row;
    unsigned bytes = r->operand[0].kind == OPK_k ? 16u << in->vl : x86_operand_bytes(in, r->operand[0].size);

    if ((r->evex & EVEX_WHOLE) && !store) {
        return (Cut){ 1, mem_size, 1 };     /* classes E4NF, E5NF: read whatever the mask is */
    }
    if (r->lig) {
        return (Cut){ 1, mem_size, mask & 1 };
    }
    unsigned elements = bytes / r->mask;
    mask &= elements == 64 ? ~0ull : (1ull << elements) - 1;
    if (in->evex_b) {
        return (Cut){ 1, mem_size, mask != 0 };
    }
    if (r->evex & EVEX_EXPAND) {        /* as many as are active, one behind the other */
        unsigned active = (unsigned)__builtin_popcountll(mask);
        return (Cut){ active, r->mask, active ? ~0ull >> (64 - active) : 0 };
    }
    if (has_fixed_source(r)) {          /* each element of it is needed for several */
        unsigned n = mem_size / r->mask;
        uint64_t active = 0;
        for (; mask; mask >>= n) {
            active |= mask & ((1ull << n) - 1);
        }
        return (Cut){ n, r->mask, active };
    }
    return (Cut){ elements, mem_size / elements, mask };
}

/* With no element active there is no access, and no fault of any kind; but for what is whole. */
static void check_operand(X86Cpu *c, const X86Insn *in, unsigned mem_size, const Cut *x, uint64_t off, bool store)
{
    if (in->row->evex & EVEX_WHOLE) {
        uint64_t linear = x86_operand(c, in, mem_size, store);
        x86_check_operand(c, in->segment, linear, mem_size, vector_alignment(in, mem_size));
        if (store) {
            x86_probe_write(c, linear, mem_size);
        }
    } else if (x->active) {
        vector_check_aligned(c, in, mem_size);
        check_active(c, in, off, x, vector_alignment(in, mem_size), store);
    }
}

void *masked_operand(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t mask)
{
    uint8_t *buf = hostrun_frame(c->hostrun)->mem;

    memset(buf, 0, form->mem_size);
    if (!(form->use & USE_STORE)) {
        Cut x = cut(in, form->mem_size, mask, false);
        uint64_t off = x86_offset(c, in);
        check_operand(c, in, form->mem_size, &x, off, false);
        load_active(c, in, off, &x, buf);
    }
    return buf;
}

void masked_operand_store(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t mask)
{
    Cut x = cut(in, form->mem_size, mask, true);
    uint64_t off = x86_offset(c, in);

    check_operand(c, in, form->mem_size, &x, off, true);
    store_active(c, in, off, &x, hostrun_frame(c->hostrun)->mem);
}
