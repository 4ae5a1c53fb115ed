/*
 * accel/dbt/x86_64/tail.c - an instruction that crosses into the next page, a block of its own.
 *
 * Code belongs to the page where it begins, and goes on being good wherever that is mapped.  What lies behind
 * that page may have changed since: so at its entry such a block looks whether it runs at the address, and with
 * the page tables, for which somebody has seen that the second page is the one that it was decoded from.
 */
#include "trans.h"

void trans_tail_check(Trans *t, TailCheck *k)
{
    Emit *e = &t->e;

    *k = (TailCheck){ .entry = e->p };
    if (t->b->tail_page == NO_PAGE) {
        return;
    }
    emit_load(e, H_T1, GS_OF(dbt.page));
    k->page = emit_rip_op(e, E_W, 0x3b, H_T1);
    k->other = emit_jcc(e, CC_NE);
    emit_load(e, H_T1, GS_OF(dbt.tag));
    k->tag = emit_rip_op(e, E_W, 0x3b, H_T1);
    k->old = emit_jcc(e, CC_NE);
}

void trans_tail_miss(Trans *t, const TailCheck *k)
{
    Emit *e = &t->e;

    if (!k->page) {
        return;
    }
    emit_land(e, k->other);
    emit_land(e, k->old);
    uint8_t *self = emit_rip_op(e, E_W, 0x8d, H_T0);            /* lea */
    emit_jmp_to(e, t->v->thunk.tail);
    emit_align(e, 8);
    if (e->p + sizeof(DbtTail) > e->end) {
        e->full = true;
    }
    if (e->full) {
        return;
    }
    DbtTail *tail = (DbtTail *)(void *)e->p;
    *tail = (DbtTail){ .page = 1, .offset = t->b->gpa & (PAGE_SIZE - 1),
                       .code = k->entry + t->v->cache.exec };
    e->p += sizeof(DbtTail);
    emit_aim(k->page, (const uint8_t *)&tail->page);
    emit_aim(k->tag, (const uint8_t *)&tail->tag);
    emit_aim(self, (const uint8_t *)tail);
}
