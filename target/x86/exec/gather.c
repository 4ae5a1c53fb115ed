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

static uint64_t load_element(X86Cpu *c, const X86Insn *in, uint64_t linear, unsigned size)
{
    uint64_t v = 0;

    fpu_load(c, in, linear, &v, size, 1);       /* no #AC (volume 2, VMASKMOV) */
    return v;
}

static void store_element(X86Cpu *c, const X86Insn *in, uint64_t linear, uint64_t v, unsigned size)
{
    fpu_store(c, in, linear, &v, size, 1);
}

/* Element `i` of the operand whose offset is `off`: offsets wrap at the address size. */
static uint64_t element_linear(X86Cpu *c, const X86Insn *in, uint64_t off, unsigned i, unsigned size, bool write)
{
    return x86_segmented(c, in->segment, (off + i * size) & ~0ull >> (64 - in->addrsize), size, write);
}

/* The active elements at `off` to `buf`, elsewhere 0. */
static void load_active(X86Cpu *c, const X86Insn *in, uint64_t off, unsigned size, unsigned n, uint64_t mask,
                        uint8_t *buf)
{
    memset(buf, 0, size * n);
    for (unsigned i = 0; i < n; i++) {
        if (mask >> i & 1) {
            uint64_t v = load_element(c, in, element_linear(c, in, off, i, size, false), size);
            memcpy(buf + i * size, &v, size);
        }
    }
}

/* All or nothing: what would fault does so before the first byte is stored. */
static void store_active(X86Cpu *c, const X86Insn *in, uint64_t off, unsigned size, unsigned n, uint64_t mask,
                         const uint8_t *buf)
{
    for (unsigned i = 0; i < n; i++) {
        if (mask >> i & 1) {
            uint64_t linear = element_linear(c, in, off, i, size, true);
            fpu_check_address(c, in, linear, size, 1);
            x86_probe_write(c, linear, size);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (mask >> i & 1) {
            uint64_t v = 0;
            memcpy(&v, buf + i * size, size);
            store_element(c, in, element_linear(c, in, off, i, size, true), v, size);
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
    unsigned bytes = 16u << in->vl, n = bytes / size;
    X86Vector v = { 0 };

    vex_check_state(c, in);
    uint64_t mask = sign_bits(&c->fpu.v[in->vvvv], size, n), off = x86_offset(c, in);
    if (in->row->operand[0].kind == OPK_M) {
        store_active(c, in, off, size, n, mask, (const uint8_t *)&c->fpu.v[in->reg]);
    } else {
        load_active(c, in, off, size, n, mask, (uint8_t *)&v);
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
    uint64_t v = load_element(c, in, indexed_linear(c, in, x, i, false), x->size);

    memcpy((uint8_t *)c->fpu.v[in->reg].q + i * x->size, &v, x->size);
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
            uint64_t v = 0;
            memcpy(&v, (const uint8_t *)c->fpu.v[in->reg].q + i * x.size, x.size);
            store_element(c, in, indexed_linear(c, in, &x, i, true), v, x.size);
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

/* How the operand is cut: elements in memory, their size, and which of them are needed. */
typedef struct Cut { unsigned n, size; uint64_t active; } Cut;

static Cut cut(const X86Insn *in, unsigned mem_size, uint64_t mask)
{
    const X86Row *r = in->row;
    unsigned first = r->operand[0].kind, size = r->operand[0].size, elements;
    bool whole = false;

    if (r->evex & EVEX_EXPAND) {        /* as many as are active, one behind the other */
        elements = (16u << in->vl) / r->mask;
        unsigned active = (unsigned)__builtin_popcountll(mask & (elements == 64 ? ~0ull : (1ull << elements) - 1));
        return (Cut){ active, r->mask, ~0ull };
    }
    if (r->lig) {
        return (Cut){ 1, mem_size, mask & 1 };
    }
    elements = (first == OPK_k ? 16u << in->vl : x86_operand_bytes(in, size)) / r->mask;
    uint64_t all = elements == 64 ? ~0ull : (1ull << elements) - 1;
    for (unsigned i = 1; i < G_N_ELEMENTS(r->operand); i++) {
        unsigned kind = r->operand[i].kind, bytes = r->operand[i].size;
        if ((kind == OPK_W || kind == OPK_M) && bytes != OPS_x && bytes != OPS_h && bytes != OPS_f && bytes != OPS_e) {
            whole = true;               /* a count, an inserted lane, or what is broadcast */
        }
    }
    if (r->evex & EVEX_WHOLE) {
        return (Cut){ 1, mem_size, 1 };     /* classes E4NF, E5NF, E6NF: read whatever the mask is */
    }
    if (in->evex_b || whole) {
        return (Cut){ 1, mem_size, (mask & all) != 0 };
    }
    return (Cut){ elements, mem_size / elements, mask & all };
}

void *masked_operand(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t mask, uint64_t *linear)
{
    HostFrame *f = hostrun_frame(c->hostrun);
    Cut x = cut(in, form->mem_size, mask);

    *linear = x86_offset(c, in);
    if ((in->row->words & IN_ALIGNED) && (x86_operand(c, in, 1, false) & (form->mem_size - 1u))) {
        x86_raise_error(c, EXC_GP, 0);
    }
    memset(f->mem, 0, sizeof(f->mem));
    if (!(form->use & USE_STORE)) {
        if (x.n == 1 && x.size > 8) {
            if (x.active) {
                fpu_load(c, in, x86_operand(c, in, x.size, false), f->mem, x.size, x.size);
            }
        } else {
            load_active(c, in, *linear, x.size, x.n, x.active, f->mem);
        }
    }
    return f->mem;
}

void masked_operand_store(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t mask, uint64_t offset)
{
    Cut x = cut(in, form->mem_size, mask);

    store_active(c, in, offset, x.size, x.n, x.active, hostrun_frame(c->hostrun)->mem);
}
