/*
 * accel/dbt/x86_64/share.c - accesses of a block that lie together share one probe of the TLB.
 *
 * Operands with the same base and index registers, unchanged in between, and displacements that are no further
 * apart than WINDOW, are a group; those by RSP have a way of their own (stack.c).  A group's first access probes for
 * all bytes of all of them, for a store if one of them is one, and leaves the host's address of the lowest byte in
 * X86Cpu; the others take it from there.  If that is no hit the address is 0, and each probes for itself, out of line.
 *
 * A hit is good to the end of the block: what would take it back (a flush, other rights, a page that gets code)
 * happens between blocks, or in handlers that the block calls in line: those end all groups.
 */
#include "trans.h"

enum { WINDOW = 128 };

/* ---- which registers an instruction changes ---- */

enum { ANY = ~0u };                     /* and perhaps more than registers */

static uint32_t bit_of(unsigned reg) { return 1u << reg; }

static uint32_t register_operand(const X86Insn *in, unsigned k)
{
    bool byte = in->row->operand[k].size == OPS_b;

    switch (in->row->operand[k].kind) {
    case OPK_G: return bit_of(byte ? in->reg8 >> 3 : in->reg);
    case OPK_E: case OPK_R: case OPK_Z: return in->mod3 ? bit_of(byte ? in->rm8 >> 3 : in->rm) : 0;
    case OPK_B: return bit_of(in->vvvv & 15);
    case OPK_AL: case OPK_rAX: return bit_of(X86_RAX);
    default: return 0;
    }
}

static uint32_t changed(const X86Insn *in)
{
    const X86Row *r = in->row;

    if (!r) {
        return ANY;
    }
    switch (r->op) {
    case OP_CMP: case OP_TEST: case OP_NOP: case OP_JCC:
        return 0;
    case OP_MULX:
        return register_operand(in, 0) | register_operand(in, 1);
    case OP_FNSTSW: case OP_CBW: case OP_LAHF:
        return bit_of(X86_RAX);
    case OP_CWD:
        return bit_of(X86_RDX);
    case OP_ADD: case OP_OR: case OP_ADC: case OP_SBB: case OP_AND: case OP_SUB: case OP_XOR: case OP_MOV:
    case OP_MOVZX: case OP_MOVSX: case OP_MOVSXD: case OP_LEA: case OP_INC: case OP_DEC: case OP_NEG: case OP_NOT:
    case OP_ROL: case OP_ROR: case OP_SHL: case OP_SHR: case OP_SAR: case OP_IMUL2: case OP_IMUL3: case OP_SETCC:
    case OP_CMOV: case OP_BSWAP: case OP_MOVBE: case OP_MOVNTI: case OP_KMOV:
        return register_operand(in, 0);
    default:
        return r->words & IN_HOST ? register_operand(in, 0) | (r->words & IN_ECX ? bit_of(X86_RCX) : 0) : ANY;
    }
}

/* ---- groups ---- */

static unsigned access_bytes(const X86Insn *in)
{
    const X86Row *r = in->row;

    return r->words & IN_HOST ? x86_memory_bytes(in)
         : trans_operand_bits(in, r->operand[0].kind == OPK_E || r->operand[0].kind == OPK_M ? 0 : 1) / 8;
}

/* Is the memory operand changed, too?  An operation that is not known here counts as one that does. */
static bool is_store(const X86Insn *in)
{
    unsigned first = in->row->operand[0].kind;

    return (first == OPK_E || first == OPK_M || first == OPK_W || first == OPK_Q)
        && in->row->op != OP_CMP && in->row->op != OP_TEST;
}

/* FDP is the address itself: the x87's accesses have their own probe, as those without a base register have. */
static bool may_share(const X86Insn *in)
{
    return in->row && in->row->has_modrm && !in->mod3 && !in->lock && in->base < 16 && in->base != X86_RSP
        && in->addrsize >= 32 && !(in->row->words & IN_X87) && !in->row->vsib && changed(in) != ANY
        && in->row->op != OP_LEA && in->row->op != OP_NOP;
}

static bool same_address(const X86Insn *a, const X86Insn *b)
{
    return a->base == b->base && a->index == b->index && a->scale == b->scale && a->segment == b->segment
        && a->addrsize == b->addrsize;
}

static bool joins(const ShareGroup *g, const X86Insn *first, const X86Insn *in, unsigned bytes)
{
    int64_t low = MIN(g->low, in->disp), high = MAX((int64_t)g->low + g->bytes, (int64_t)in->disp + bytes);

    return same_address(first, in) && high - low <= WINDOW;
}

static void extend(ShareGroup *g, const X86Insn *in, unsigned bytes)
{
    int32_t low = MIN(g->low, in->disp);

    g->bytes = (uint16_t)(MAX((int64_t)g->low + g->bytes, (int64_t)in->disp + bytes) - low);
    g->low = low;
    g->write |= is_store(in);
    g->members++;
}

static void close_groups(const Block *b, Share *s, bool *open, uint32_t registers)
{
    for (unsigned k = 0; k < s->n; k++) {
        const X86Insn *first = &b->insns[s->group[k].first];
        open[k] &= registers != ANY && !(registers >> first->base & 1)
            && (first->index >= 16 || !(registers >> first->index & 1));
    }
}

void trans_share_plan(Trans *t)
{
    Share *s = &t->share;
    bool open[SHARE_GROUPS] = { false };

    for (unsigned i = 0; i < t->b->count; i++) {
        const X86Insn *in = &t->b->insns[i];
        s->of[i] = SHARE_NONE;
        if (may_share(in)) {
            unsigned bytes = access_bytes(in), k = 0;
            while (k < s->n && !(open[k] && joins(&s->group[k], &t->b->insns[s->group[k].first], in, bytes))) {
                k++;
            }
            if (k < s->n) {
                extend(&s->group[k], in, bytes);
                s->of[i] = (uint8_t)k;
            } else if (k < SHARE_GROUPS) {
                s->group[k] = (ShareGroup){ .first = (uint8_t)i, .low = in->disp, .bytes = (uint16_t)bytes,
                                            .write = is_store(in), .members = 1 };
                s->of[i] = (uint8_t)k;
                open[k] = true;
                s->n++;
            }
        }
        close_groups(t->b, s, open, changed(in));
    }
}

/* ---- code ---- */

static Operand slot(unsigned k) { return host_gs((int32_t)(offsetof(X86Cpu, dbt.shared) + k * 8)); }

static bool address_at(Trans *t, int32_t disp)
{
    const X86Insn *in = t->in;
    X86Insn moved = *in;

    moved.disp = disp;
    t->in = &moved;
    bool ok = trans_address(t, H_T1);
    t->in = in;
    return ok;
}

static void add_miss(Trans *t, uint8_t *jump, unsigned bytes, bool write)
{
    Share *s = &t->share;

    if (s->n_miss == SHARE_MISSES) {
        t->e.full = true;
        return;
    }
    s->miss[s->n_miss++] = (ShareMiss){ jump, t->e.p, t->next, (uint8_t)t->i, (uint8_t)bytes, write, t->x87_last };
}

bool trans_share(Trans *t, unsigned bytes, bool write, Operand *out)
{
    Share *s = &t->share;
    unsigned k = s->of[t->i];

    if (k == SHARE_NONE || t->together > 1) {
        return false;
    }
    const ShareGroup *g = &s->group[k];
    int32_t from = t->in->disp - g->low;
    bool first = g->first == t->i;
    bool fits = from >= 0 && from + bytes <= g->bytes && (g->write || !write);
    if (g->members < 2 || !fits || (!first && !(s->valid >> k & 1))) {
        return false;
    }
    trans_flags_saved(t);
    if (first) {
        if (!address_at(t, g->low)) {
            return false;
        }
        uint8_t *jump = trans_lookup(t, g->bytes, g->write);
        trans_found(t, true);
        emit_store(&t->e, slot(k), H_T1);
        add_miss(t, jump, bytes, write);
        s->valid |= (uint16_t)(1 << k);
    } else {
        emit_load(&t->e, H_T1, slot(k));
        emit_op(&t->e, E_W, 0x85, H_T1, host_reg(H_T1));                /* test */
        uint8_t *jump = emit_jcc(&t->e, CC_E);
        add_miss(t, jump, bytes, write);
    }
    trans_flags_clobbered(t);
    *out = host_mem(H_T1, from);
    return true;
}

/* The access of its own, for when the group's bytes are not all to be had at once. */
void trans_share_misses(Trans *t)
{
    Share *s = &t->share;

    for (unsigned n = 0; n < s->n_miss; n++) {
        const ShareMiss *m = &s->miss[n];
        unsigned k = s->of[m->insn];
        emit_land(&t->e, m->jump);
        t->i = m->insn;
        t->in = &t->b->insns[m->insn];
        t->next = m->next;
        t->together = 1;
        t->x87_last = m->x87_last;
        if (s->group[k].first == m->insn) {
            emit_op(&t->e, E_W, 0xc7, 0, slot(k));
            emit32(&t->e, 0);
        }
        trans_address(t, H_T1);
        trans_probe(t, m->bytes, m->write, true);
        emit_op(&t->e, E_W, 0x8d, H_T1, host_mem(H_T1, s->group[k].low - t->in->disp));
        emit_jmp_to(&t->e, m->back);
    }
}
