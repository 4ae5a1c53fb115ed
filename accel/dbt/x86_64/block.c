/*
 * accel/dbt/x86_64/block.c - translating a block: one pass backwards for the flags, one forwards that
 * emits, then what lies out of line.
 *
 * A block's code:  the stub for when the block is invalid
 *                  entry with flags in EFLAGS: saves them, if the block does not set them before it shows any
 *                  entry with flags in AX   [count]  instructions ...  last exit
 *                  side exits; slow ways, one an access
 */
#include "trans.h"

#include <stdlib.h>
#include <string.h>
#include "target/x86/exec.h"
#include "target/x86/model.h"

/* Before a block's entry for flags in AX: the other entry, before that the stub. */
enum { EFLAGS_BYTES = 5, STUB_BYTES = 32 };

/* ---- flags ---- */

void emit_save_flags(Emit *e)
{
    emit8(e, 0x9f);                                                 /* lahf */
    emit_op(e, E_0F | E_BYTE_RM, 0x90, 0, host_reg(H_FLAGS));       /* seto al */
}

void trans_flags_saved(Trans *t)
{
    if (!(t->flags & FLAGS_AX)) {
        emit_save_flags(&t->e);
        t->flags |= FLAGS_AX;
    }
}

void trans_flags_clobbered(Trans *t)
{
    t->flags &= ~FLAGS_HOST;
}

/* 127 + OF overflows exactly when OF is set; SAHF loads the others. */
static void load_flags(Emit *e)
{
    emit8(e, 0x04);
    emit8(e, 0x7f);                                                 /* add al, 127 */
    emit8(e, 0x9e);                                                 /* sahf */
}

uint16_t trans_flags_killed(const X86Insn *in)
{
    const X86Row *r = in->row;
    unsigned bits = r->operand[0].size == OPS_b ? 8 : in->opsize;

    switch (r->op) {
    case OP_AND: case OP_OR: case OP_XOR: case OP_TEST:
        return FL_STATUS;               /* AF is undefined, and always the same here */
    case OP_SHL: case OP_SHR: case OP_SAR: case OP_ROL: case OP_ROR: case OP_RCL: case OP_RCR:
        if (r->operand[1].kind == OPK_1) {
            return r->flags_written;
        }
        if (r->operand[1].kind == OPK_I && (in->imm & (bits == 64 ? 63 : 31))) {
            return r->flags_written & ~FL_CF;       /* RCL of bytes by 9 leaves CF */
        }
        return 0;
    case OP_SHLD: case OP_SHRD:
        return 0;
    default:
        return r->flags_written;
    }
}

static uint16_t needed(const Trans *t)
{
    const X86Row *r = t->in->row;
    uint16_t touched = r->flags_written | r->flags_undefined;

    return r->flags_read | (touched ? t->live[t->i + 1] & ~trans_flags_killed(t->in) : 0);
}

void trans_flags_needed(Trans *t)
{
    if (!(t->flags & FLAGS_HOST) && needed(t)) {
        load_flags(&t->e);
        t->flags = FLAGS_HOST;
    }
}

void trans_flags_written(Trans *t)
{
    t->flags = FLAGS_HOST;
}

/* Operations that neither fault nor leave, whatever their registers. */
static bool is_quiet(const X86Cpu *c, const X86Insn *in)
{
    if (!in->row || !trans_table[in->row->op] || in->lock || !x86_has(c, in->row->cpu)) {
        return false;
    }
    if (in->row->words & (IN_SSE | IN_AVX | IN_AVX512 | IN_MMX | IN_X87)) {
        return false;                   /* they leave if what they need cannot be live */
    }
    switch (in->row->op) {
    case OP_LEA:
        return true;
    case OP_NOP: case OP_PAUSE:
        return true;
    case OP_PUSH: case OP_POP: case OP_CALL: case OP_RET: case OP_JMP: case OP_JCC: case OP_LOOP:
    case OP_JCXZ: case OP_LEAVE: case OP_DIV: case OP_IDIV: case OP_EMMS: case OP_WAIT:
    case OP_SWAPGS: case OP_STAC: case OP_CLAC:         /* at other levels they fault */
        return false;
    default:
        return in->mod3 && in->row->operand[0].kind != OPK_O && in->row->operand[1].kind != OPK_O;
    }
}

static void find_live_flags(Trans *t)
{
    uint16_t live = FL_STATUS;

    for (unsigned i = t->b->count; i-- > 0; ) {
        const X86Insn *in = &t->b->insns[i];
        t->live[i + 1] = live;
        live = is_quiet(t->c, in) ? (live & ~trans_flags_killed(in)) | in->row->flags_read : FL_STATUS;
    }
    t->live[0] = t->b->tail_page == NO_PAGE ? live : FL_STATUS;     /* the fetch may fault */
}

/* ---- leaving ---- */

static void count_back(Trans *t, unsigned executed)
{
    if ((t->b->key & KEY_COUNTED) && executed < t->b->count) {
        emit_alu_imm(&t->e, E_W, ALU_ADD, GS_OF(dbt.left), (int32_t)(t->b->count - executed));
        trans_flags_clobbered(t);
    }
}

/* To another page: by what is behind the jump, as long as this page and what is known of addresses are as
 * they were when somebody looked. */
static void emit_far_exit(Trans *t, int64_t offset)
{
    Emit *e = &t->e;
    int64_t delta = offset & ~(int64_t)(PAGE_SIZE - 1);

    emit_load(e, H_T1, GS_OF(dbt.page));
    uint8_t *page = emit_rip_op(e, E_W, 0x3b, H_T1);
    uint8_t *other = emit_jcc(e, CC_NE);
    uint8_t *which = emit_rip_op(e, E_W, 0x8b, H_T0);
    emit_load(e, H_T0, host_gs_at(H_T0));
    uint8_t *tag = emit_rip_op(e, E_W, 0x3b, H_T0);
    uint8_t *old = emit_jcc(e, CC_NE);
    emit_op(e, t->code64 ? E_W : 0, 0x8d, H_T1, host_mem(H_T1, (int32_t)delta));
    emit_store(e, GS_OF(dbt.page), H_T1);
    uint8_t *code = emit_rip_op(e, 0, 0xff, 4);         /* jmp */
    emit_land(e, other);
    emit_land(e, old);
    uint8_t *self = emit_rip_op(e, E_W, 0x8d, H_T0);    /* lea */
    emit_jmp_to(e, t->v->thunk.far);
    emit_align(e, 8);
    if (e->p + sizeof(DbtFar) > e->end) {
        e->full = true;
        return;
    }
    DbtFar *far = (DbtFar *)(void *)e->p;
    *far = (DbtFar){ .page = 1, .offset = offset };
    e->p += sizeof(DbtFar);
    emit_aim(page, (const uint8_t *)&far->page);
    emit_aim(which, (const uint8_t *)&far->which);
    emit_aim(tag, (const uint8_t *)&far->tag);
    emit_aim(code, (const uint8_t *)&far->code);
    emit_aim(self, (const uint8_t *)far);
}

/* `jump` goes to the block at `offset` once it is linked; until then to what this emits. */
static void emit_link(Trans *t, uint8_t *jump, int64_t offset)
{
    DbtVcpu *v = t->v;
    Emit *e = &t->e;
    DbtLink link = { .page = t->b->gpa & ~(hwaddr)(PAGE_SIZE - 1), .offset = (int32_t)offset, .jump = jump,
                     .in_eflags = !(t->flags & FLAGS_AX) };

    emit_land(e, jump);
    emit_imm(e, H_T0, v->links->len);
    emit_jmp_to(e, link.in_eflags ? v->thunk.link_eflags : v->thunk.link);
    g_array_append_val(v->links, link);
}

static bool is_near(int64_t offset) { return offset >= 0 && offset < PAGE_SIZE; }
static bool is_backward(const Trans *t, int64_t offset) { return offset <= t->at; }

static void add_side_exit(Trans *t, uint8_t *jump, int64_t offset, unsigned insn, bool disturbed)
{
    if (t->n_side == MAX_SIDE) {
        t->e.full = true;
        return;
    }
    t->side[t->n_side++] = (SideExit){ jump, offset, t->flags, (uint8_t)insn, t->x87_last, disturbed };
}

/* JRCXZ reaches 127 bytes, and leaves the flags. */
static void emit_out_if_disturbed(Trans *t, int64_t offset, unsigned insn, bool jump_follows)
{
    Emit *e = &t->e;

    emit_load32(e, H_T0, GS_OF(vcpu.calm));
    emit8(e, 0xe3);
    emit8(e, jump_follows ? 5 : 2);
    if (!jump_follows) {
        emit8(e, 0xeb);
        emit8(e, 5);
        add_side_exit(t, emit_jmp(e), offset, insn, true);
    }
}

static void emit_exit(Trans *t, int64_t offset, unsigned insn)
{
    Emit *e = &t->e;
    bool near = is_near(offset), backward = is_backward(t, offset);

    if (!near || (t->b->key & KEY_COUNTED)) {
        trans_flags_saved(t);
    }
    trans_live_point(t);
    count_back(t, insn + 1);
    if (backward) {                                 /* see whether somebody wants something */
        emit_out_if_disturbed(t, offset, insn, near);
    }
    if (!near) {
        emit_far_exit(t, offset);
        return;
    }
    uint8_t *jump = emit_jmp(e);
    if (backward) {
        add_side_exit(t, emit_jmp(e), offset, insn, true);
    }
    emit_link(t, jump, offset);
}

void trans_exit_to(Trans *t, int64_t offset)
{
    emit_exit(t, offset, t->i);
    t->ended = true;
}

void trans_exit_jump(Trans *t, uint8_t *jump, int64_t offset)
{
    add_side_exit(t, jump, offset, t->i, false);
}

/* The way round a loop is in line, with nothing but what looks for requests between the jump and the target. */
void trans_exit_if(Trans *t, unsigned cc, int64_t offset)
{
    if (is_near(offset) && is_backward(t, offset) && !(t->b->key & KEY_COUNTED)) {
        uint8_t flags = t->flags, *over = emit_jcc(&t->e, cc ^ 1);
        emit_exit(t, offset, t->i);
        t->flags = flags;
        emit_land(&t->e, over);
    } else {
        trans_exit_jump(t, emit_jcc(&t->e, cc), offset);
    }
}

/* ---- instructions that stay with their handlers ---- */

static bool leaves_block(const X86Insn *in)
{
    if (!in->row) {
        return true;
    }
    switch (in->row->op) {
    case OP_JCC: case OP_IN: case OP_OUT: case OP_INS: case OP_OUTS:
        return true;
    default:
        return (in->row->words & IN_ENDS) || (in->rep && (in->row->words & (IN_REP | IN_REPZ)));
    }
}

/* A copy stays when the code is there; NULL: a stop. */
static const X86Insn *keep(Trans *t, const X86Insn *in)
{
    static const X86Insn stop = { .exec = x86_exec_stop };
    X86Insn *kept = &t->kept[t->n_kept++];

    *kept = in ? *in : stop;
    kept->number = (uint8_t)t->i;
    return kept;
}

void trans_point_to(Trans *t, unsigned to, unsigned i)
{
    uint8_t *at = emit_rip_op(&t->e, E_W, 0x8d, to);

    t->use[t->n_uses % MAX_USES] = (InsnUse){ at, i };
    t->n_uses++;
}

/* The instructions that were pointed to, behind the code.  False: another processor is just changing them, or they
 * are too many. */
static bool emit_insns(Trans *t)
{
    uint8_t bytes[BLOCK_INSNS * X86_INSN_MAX];
    unsigned size = t->n_uses ? blocks_bytes(&t->v->engine, t->b, bytes, sizeof(bytes)) : 0, at = 0;

    for (unsigned i = 0; i < t->b->count && t->n_uses <= MAX_USES; at += t->b->insns[i++].len) {
        const uint8_t *to = t->e.p;
        unsigned len = t->b->insns[i].len;
        bool used = false;
        X86Insn again;

        for (unsigned k = 0; k < t->n_uses; k++) {
            if (t->use[k].insn == i) {
                used = true;
                emit_aim(t->use[k].at, to);
            }
        }
        if (!used) {
            continue;
        }
        if (at + len > size || x86_decode(&again, bytes + at, len, x86_code_bits(t->c)) != (int)len) {
            return false;
        }
        emit8(&t->e, i);
        emit8(&t->e, len);
        for (unsigned k = 0; k < len; k++) {
            emit8(&t->e, bytes[at + k]);
        }
    }
    return t->n_uses <= MAX_USES;
}

/* The call covers the instructions behind that have no translator either: x86_next() goes from one to
 * the next.  *call is where the thunk's displacement lies. */
static void emit_handlers(Trans *t, uint8_t **call)
{
    const X86Insn *in = keep(t, t->in);
    DbtVcpu *v = t->v;

    if (!*call) {
        trans_flags_saved(t);
        trans_live_point(t);
        emit_imm(&t->e, H_T0, (uintptr_t)in);
        emit_imm(&t->e, H_T1, (uint32_t)t->next);
        emit_call_to(&t->e, v->thunk.handlers);
        *call = t->e.p - 4;
        t->flags = FLAGS_AX;
        t->known = t->x87_last = t->x87_segment = 0;
        t->share.valid = 0;
    }
    if (leaves_block(t->in)) {
        if (!t->e.full) {
            emit_aim(*call, v->thunk.handlers_last);    /* which does not come back */
        }
        t->ended = true;
    }
}

/* ---- the parts out of line ---- */

/* Of instruction i, from the start of the page. */
static int32_t offset_of(const Block *b, unsigned i)
{
    int32_t at = (int32_t)(b->gpa & (PAGE_SIZE - 1));

    for (unsigned j = 0; j < i; j++) {
        at += b->insns[j].len;
    }
    return at;
}

static int by_insn(const void *a, const void *b)
{
    return ((const SlowJump *)a)->insn - ((const SlowJump *)b)->insn;
}

static void emit_slow_ways(Trans *t)
{
    qsort(t->slow, t->n_slow, sizeof(t->slow[0]), by_insn);
    for (unsigned k = 0; k < t->n_slow; ) {
        unsigned i = t->slow[k].insn;
        for (; k < t->n_slow && t->slow[k].insn == i; k++) {
            emit_land(&t->e, t->slow[k].jump);
        }
        t->x87_last = t->slow[k - 1].x87_last;
        trans_live_point(t);
        for (unsigned last = i + t->slow[k - 1].count; i < last; i++) {
            trans_point_to(t, H_T0, i);
            emit_imm(&t->e, H_T1, (uint32_t)offset_of(t->b, i + 1));
            emit_call_to(&t->e, t->resume[i] ? t->v->thunk.slow : t->v->thunk.slow_last);
        }
        i--;
        if (!t->resume[i]) {
            continue;                                   /* the call does not come back */
        }
        trans_live_again(t, i, t->resume_known[i], offset_of(t->b, i + 1));
        if (t->resume_flags[i] == FLAGS_HOST) {
            load_flags(&t->e);
        } else if (t->resume_flags[i] & FLAGS_HOST) {
            emit_mov32(&t->e, H_T0, H_FLAGS);
            load_flags(&t->e);
            emit_mov32(&t->e, H_FLAGS, H_T0);
        }
        emit_jmp_to(&t->e, t->resume[i]);
    }
}

static void emit_side_exits(Trans *t)
{
    for (unsigned k = 0; k < t->n_side; k++) {
        const SideExit s = t->side[k];
        t->flags = s.flags;
        t->x87_last = s.disturbed ? 0 : s.x87_last;     /* a disturbed one is behind its live point */
        t->at = offset_of(t->b, s.insn);
        if (s.disturbed) {
            emit_land(&t->e, s.jump);
            trans_flags_saved(t);
            trans_rip(t, H_T1, s.offset);
            emit_jmp_to(&t->e, t->v->thunk.lookup);
        } else if (is_near(s.offset) && !is_backward(t, s.offset) && !(t->b->key & KEY_COUNTED) && !s.x87_last) {
            emit_link(t, s.jump, s.offset);             /* the jump itself goes there */
        } else {
            emit_land(&t->e, s.jump);
            emit_exit(t, s.offset, s.insn);
        }
    }
}

/* ---- a block ---- */

static bool worth_it(const Trans *t)
{
    return (t->code64 || (t->b->key & MODE_FLAT)) && !(t->b->key & (MODE_TF | KEY_SINGLE | KEY_PLAIN | KEY_INVALID))
        && t->b->count;
}

/* What drives those that the host runs is their row: they need no entry in the table. */
static TransFn *translator(const Trans *t)
{
    const X86Row *r = t->in->row;

    if (!r || !x86_is_offered(t->c, t->in)) {
        return NULL;
    }
    return trans_table[r->op] ? trans_table[r->op] : !(r->words & IN_HOST) ? NULL
         : r->words & IN_X87 ? trans_host_x87 : trans_host;
}

/* Where a translator begins, for when it gives up. */
typedef struct Mark {
    uint8_t *p;
    uint8_t flags, known, last_live, x87_last, x87_segment;
    uint16_t shared;
    unsigned n_slow, n_side, n_load, n_links, n_miss, n_stack_miss;
} Mark;

static Mark mark(const Trans *t)
{
    return (Mark){ t->e.p, t->flags, t->known, t->last_live, t->x87_last, t->x87_segment, t->share.valid, t->n_slow,
                   t->n_side, t->n_load, t->v->links->len, t->share.n_miss, t->n_stack_miss };
}

static void back_to(Trans *t, const Mark *m)
{
    t->e.p = m->p;
    t->together = 1;
    t->flags = m->flags;
    t->known = m->known;
    t->last_live = m->last_live;
    t->x87_last = m->x87_last;
    t->x87_segment = m->x87_segment;
    t->n_slow = m->n_slow;
    t->n_side = m->n_side;
    t->n_load = m->n_load;
    t->share.valid = m->shared;
    t->share.n_miss = m->n_miss;
    t->n_stack_miss = m->n_stack_miss;
    g_array_set_size(t->v->links, m->n_links);
}

/* Nobody sees the flags that the block is entered with. */
static bool flags_are_dead(const Trans *t)
{
    return !t->live[0] && !(t->b->key & KEY_COUNTED) && t->b->tail_page == NO_PAGE;
}

static void emit_eflags_entry(Trans *t)
{
    static const uint8_t nop[EFLAGS_BYTES] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

    if (flags_are_dead(t)) {
        for (unsigned i = 0; i < EFLAGS_BYTES; i++) {
            emit8(&t->e, nop[i]);
        }
    } else {
        emit_save_flags(&t->e);
        emit_align(&t->e, 16);
    }
}

/* The block is remembered for those who have to know how much of it has been executed. */
static uint8_t *emit_count(Trans *t)
{
    if (!(t->b->key & KEY_COUNTED)) {
        return NULL;
    }
    emit_imm(&t->e, H_T0, (uintptr_t)t->b);
    emit_store(&t->e, GS_OF(dbt.what), H_T0);
    emit_alu_imm(&t->e, E_W, ALU_SUB, GS_OF(dbt.left), t->b->count);
    return emit_jcc(&t->e, CC_L);
}

static void emit_no_budget(Trans *t, uint8_t *jump)
{
    emit_land(&t->e, jump);
    emit_alu_imm(&t->e, E_W, ALU_ADD, GS_OF(dbt.left), t->b->count);
    emit_jmp_to(&t->e, t->v->thunk.budget);
}

/* Behind the last of the instructions that one call covers. */
static void end_of_calls(Trans *t, uint8_t **call)
{
    if (*call) {
        keep(t, NULL);
        *call = NULL;
    }
}

static void emit_body(Trans *t)
{
    Block *b = t->b;
    uint8_t *call = NULL;

    t->at = (int32_t)(b->gpa & (PAGE_SIZE - 1));
    t->flags = FLAGS_AX;
    t->v->handled = 0;
    for (t->i = 0; t->i < b->count && !t->e.full; t->i++) {
        t->in = &b->insns[t->i];
        t->next = t->at + t->in->len;
        Mark start = mark(t);
        TransFn *translate = translator(t);
        t->ended = false;
        t->together = 1;
        if (translate && translate(t)) {
            end_of_calls(t, &call);
        } else {
            back_to(t, &start);
            emit_handlers(t, &call);
            t->v->handled |= 1ull << t->i;
        }
        for (unsigned last = t->i + t->together - 1; ; t->i++) {
            t->resume[t->i] = t->ended ? NULL : t->e.p;
            t->resume_flags[t->i] = t->flags;
            t->resume_known[t->i] = t->known;
            t->at += b->insns[t->i].len;
            if (t->i == last) {
                break;
            }
        }
    }
    end_of_calls(t, &call);
    if (!t->ended) {
        t->i = b->count - 1;
        emit_exit(t, t->at, t->i);
    }
}

DbtResult dbt_translate(DbtVcpu *v, Block *b)
{
    X86Cpu *c = v->engine.cpu;
    Trans t = { .v = v, .c = c, .b = b, .code64 = (b->key & MODE_CODE) == MODE_CODE64 };

    if (!worth_it(&t)) {
        return DBT_NOT_WORTH_IT;
    }
    t.kept = blocks_room(&v->engine, KEPT_MOST);
    if (!t.kept) {
        return DBT_NO_ROOM;
    }
    uint8_t *start = v->cache.rw + ((v->cache.used + 15) & ~(size_t)15);
    t.e = (Emit){ .p = start, .end = v->cache.rw + v->cache.size };
    unsigned n_links = v->links->len;
    find_live_flags(&t);
    trans_share_plan(&t);
    emit_imm(&t.e, H_T0, (uintptr_t)b);                 /* for dbt_make_stale() */
    emit_jmp_to(&t.e, v->thunk.stale);
    while (t.e.p < start + STUB_BYTES - EFLAGS_BYTES && !t.e.full) {
        emit8(&t.e, 0x90);
    }
    emit_eflags_entry(&t);
    TailCheck tail;
    uint8_t *entry = t.e.p;
    trans_tail_check(&t, &tail);
    uint8_t *no_budget = emit_count(&t);
    emit_body(&t);
    emit_side_exits(&t);
    trans_share_misses(&t);
    trans_stack_misses(&t);
    trans_indirect_miss(&t);
    emit_slow_ways(&t);
    trans_live_emit_loads(&t);
    trans_tail_miss(&t, &tail);
    if (no_budget) {
        emit_no_budget(&t, no_budget);
    }
    v->code_end = t.e.p;
    bool same = t.e.full || emit_insns(&t);
    if (t.e.full || !same) {
        g_array_set_size(v->links, n_links);
        return t.e.full ? DBT_NO_ROOM : DBT_NOT_WORTH_IT;
    }
    blocks_hold(&v->engine, b, t.n_kept);
    v->cache.used = (size_t)(t.e.p - v->cache.rw);
    v->stats.translated++;
    v->stats.insns += b->count;
    v->stats.bytes += (uint64_t)(t.e.p - start);
    b->code = entry + v->cache.exec;
    return DBT_DONE;
}

void dbt_link(DbtVcpu *v, const DbtLink *l, const void *to)
{
    emit_aim(l->jump, (const uint8_t *)to - v->cache.exec - (l->in_eflags ? EFLAGS_BYTES : 0));
}

/* ---- entries ---- */

static void patch_entry(uint8_t *entry, const uint8_t *to)
{
    entry[0] = 0xe9;
    emit_aim(entry + 1, to);
}

void dbt_forward(DbtVcpu *v, Block *b, const void *to)
{
    patch_entry((uint8_t *)b->code - v->cache.exec, (const uint8_t *)to - v->cache.exec);
}

/* What comes then may want the flags. */
void dbt_make_stale(DbtVcpu *v, Block *b)
{
    uint8_t *entry = (uint8_t *)b->code - v->cache.exec;
    Emit e = { .p = entry - EFLAGS_BYTES, .end = entry };

    emit_save_flags(&e);
    emit_align(&e, 16);
    patch_entry(entry, entry - STUB_BYTES);
}
