/*
 * tests/insn/oracle/trampoline.S - see trampoline.h.  Copied to LOW_AT, so what it names in High is told
 * by its distance.
 */
#include "trampoline.h"

#define HIGH(offset) HIGH_AT - LOW_AT + (offset) + oracle_trampoline(%rip)

        .section .rodata
        .globl oracle_trampoline, oracle_trampoline_end
oracle_trampoline:
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, HIGH(HIGH_STACK)
        mov HIGH(HIGH_MASK), %eax
        mov HIGH(HIGH_MASK + 4), %edx
        xrstor64 HIGH(0)
        lea HIGH(HIGH_FRAME), %rsp
        mov HIGH(HIGH_REGS + 0), %rax
        mov HIGH(HIGH_REGS + 8), %rcx
        mov HIGH(HIGH_REGS + 16), %rdx
        mov HIGH(HIGH_REGS + 24), %rbx
        mov HIGH(HIGH_REGS + 40), %rbp
        mov HIGH(HIGH_REGS + 48), %rsi
        mov HIGH(HIGH_REGS + 56), %rdi
        mov HIGH(HIGH_REGS + 64), %r8
        mov HIGH(HIGH_REGS + 72), %r9
        mov HIGH(HIGH_REGS + 80), %r10
        mov HIGH(HIGH_REGS + 88), %r11
        mov HIGH(HIGH_REGS + 96), %r12
        mov HIGH(HIGH_REGS + 104), %r13
        mov HIGH(HIGH_REGS + 112), %r14
        mov HIGH(HIGH_REGS + 120), %r15
        iretq

        .org oracle_trampoline + LOW_LEAVE
        mov %rax, HIGH(HIGH_REGS + 0)
        mov %rcx, HIGH(HIGH_REGS + 8)
        mov %rdx, HIGH(HIGH_REGS + 16)
        mov %rbx, HIGH(HIGH_REGS + 24)
        mov %rsp, HIGH(HIGH_REGS + 32)
        mov %rbp, HIGH(HIGH_REGS + 40)
        mov %rsi, HIGH(HIGH_REGS + 48)
        mov %rdi, HIGH(HIGH_REGS + 56)
        mov %r8, HIGH(HIGH_REGS + 64)
        mov %r9, HIGH(HIGH_REGS + 72)
        mov %r10, HIGH(HIGH_REGS + 80)
        mov %r11, HIGH(HIGH_REGS + 88)
        mov %r12, HIGH(HIGH_REGS + 96)
        mov %r13, HIGH(HIGH_REGS + 104)
        mov %r14, HIGH(HIGH_REGS + 112)
        mov %r15, HIGH(HIGH_REGS + 120)
        mov HIGH(HIGH_STACK), %rsp
        pushfq
        popq HIGH(HIGH_FLAGS)
        pushq $2
        popfq
        mov %es, HIGH(HIGH_SEG + 0)
        mov %ss, HIGH(HIGH_SEG + 4)
        mov %ds, HIGH(HIGH_SEG + 6)
        mov %fs, HIGH(HIGH_SEG + 8)
        mov %gs, HIGH(HIGH_SEG + 10)
        mov $0x2b, %eax                 /* SEL_USER_DATA */
        mov %eax, %ss
        mov HIGH(HIGH_MASK), %eax
        mov HIGH(HIGH_MASK + 4), %edx
        xsave64 HIGH(0)
        xor %eax, %eax
.Lreturn:
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

        .org oracle_trampoline + LOW_BACK
        mov HIGH(HIGH_STACK), %rsp
        mov $1, %eax
        jmp .Lreturn

        .org oracle_trampoline + LOW_TRAP
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, HIGH(HIGH_STACK)
        int3

        .org oracle_trampoline + LOW_SMALL
        .code32
        mov %cs:(LOW_AT + LOW_SS), %ss
        ljmp *%cs:(LOW_AT + LOW_TARGET)
        .code64
oracle_trampoline_end:

        .section .note.GNU-stack, "", @progbits
