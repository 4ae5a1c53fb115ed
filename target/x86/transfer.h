/*
 * What the files that move control share: stacks that are filled or emptied before anything is
 * committed, checks of a code segment, and the two ways into another task or a handler.
 */
#ifndef TARGET_X86_TRANSFER_H
#define TARGET_X86_TRANSFER_H

#include "target/x86/mem.h"
#include "target/x86/segments.h"

/* A stack in use by a transfer.  The registers take it over with frame_commit(). */
typedef struct Frame {
    X86Cpu *c;
    X86Segment ss;
    X86Desc desc;           /* of ss, when it is a new one */
    uint64_t sp, mask;      /* mask: the width of the stack pointer */
    bool flat;              /* 64-bit: no base, no limit, canonical instead */
    bool supervisor;        /* its accesses have the rights of a level below 3 */
    uint16_t error;         /* the selector in #SS when something does not fit */
} Frame;

void frame_init(Frame *f, X86Cpu *c);           /* the current stack */
/* The stack that the TSS names for an inner level; ist: 0, or 1..7 in long mode (7.7).  All checks
 * of volume 3A 5.8.5 and 6.12.1 done. */
void frame_init_inner(Frame *f, X86Cpu *c, unsigned level, unsigned ist);
void frame_push(Frame *f, uint64_t val, unsigned size);
uint64_t frame_pop(Frame *f, unsigned size);
uint64_t frame_peek(Frame *f, uint64_t above, unsigned size);   /* `above` bytes above the top */
void frame_commit_sp(Frame *f);                 /* RSP only */
void frame_commit(Frame *f, unsigned level);    /* SS and RSP, of this privilege level */

/* A far transfer's new code segment: volume 2, JMP, CALL, RET.  Raises #GP or #NP. */
void code_check_present(X86Cpu *c, const X86Desc *d, uint16_t selector);
/* What RIP gets: of the offset, compatibility mode takes 32 bits. */
uint64_t code_check_offset(X86Cpu *c, const X86Desc *d, uint64_t offset);
/* CS, CPL and RIP; the last step of a transfer. */
void code_commit(X86Cpu *c, X86Desc *d, uint16_t selector, unsigned cpl, uint64_t rip);
static inline bool code_is_64(const X86Cpu *c, const X86Desc *d)
{
    return x86_long_mode(c) && (d->ar & AR_L);
}

/* The halves of RET and IRET to another level. */
void return_check_code(X86Cpu *c, X86Desc *d, uint16_t selector);
/* d->ar 0: null, which 64-bit code below level 3 may have. */
void return_check_stack(X86Cpu *c, X86Desc *d, uint16_t selector, unsigned rpl, bool to_64);
void return_set_accessed(X86Cpu *c, X86Desc *d);
void return_commit_stack(X86Cpu *c, const X86Desc *d, uint16_t selector, uint64_t sp);
void return_drop_segments(X86Cpu *c);

/* target/x86/task.c: volume 3A 7.3 */
typedef enum TaskSwitch { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET } TaskSwitch;
/* The TSS descriptor that a selector (of a JMP, CALL or task gate) must name; raises `vector`. */
void task_find(X86Cpu *c, uint16_t selector, X86Desc *d, unsigned vector, bool busy);
/* flags: what the old TSS keeps. */
void task_switch(X86Cpu *c, uint16_t selector, const X86Desc *d, TaskSwitch how, uint32_t flags);

/* target/x86/deliver.c: through the IVT or IDT.  `flags` is the image to push. */
typedef struct Event {
    uint8_t vector;
    bool soft;              /* INT n, INT3, INTO: the gate's DPL counts */
    bool has_error;
    uint32_t error, flags;
} Event;
void event_deliver(X86Cpu *c, const Event *e);
void event_deliver_real(X86Cpu *c, unsigned vector, uint32_t flags);

#endif
