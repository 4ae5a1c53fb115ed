/*
 * target/x86/exec/gather.h - memory operands of which only some elements are touched.  The vCPU's own
 * thread; the functions raise, or return.
 */
#ifndef TARGET_X86_EXEC_GATHER_H
#define TARGET_X86_EXEC_GATHER_H

#include "hostrun.h"

/* The memory operand of an EVEX row under an opmask: the active elements in the frame's buffer, zeros
 * elsewhere.  Of a store nothing is read; masked_operand_store() brings the active ones to the guest. */
void *masked_operand(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t mask);
void masked_operand_store(X86Cpu *c, const X86Insn *in, const HostForm *form, uint64_t mask);

#endif
