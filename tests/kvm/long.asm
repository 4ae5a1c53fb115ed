; 64-bit mode: the way there, wide registers, RIP-relative data, an MSR, SWAPGS, CPUID's word for the mode.
%include "enter-long.inc"
    mov ecx, 0xc0000080
    rdmsr
    and eax, 0x500
    CHECK_EQ eax, 0x500                         ; LMA, LME
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    CHECK c
    ; ---- wide registers
    mov rax, 0x123456789abcdef0
    mov r9, rax
    mov eax, 1                                  ; clears the upper half
    CHECK_EQ rax, 1
    shr r9, 60
    CHECK_EQ r9, 1
    mov rax, -2
    mov rcx, 3
    mul rcx
    CHECK_EQ rdx, 2
    CHECK_EQ rax, -6
    lea rbx, [rel data]
    CHECK_EQ qword [rbx], 0x77
    cmp qword [rel data], 0x77
    CHECK e
    mov r15, 0x88
    xchg [rel data], r15
    CHECK_EQ r15, 0x77
    lock xadd [rel data], r15
    CHECK_EQ r15, 0x88
    CHECK_EQ qword [rel data], 0xff
    ; ---- an MSR of the kernel's: KERNEL_GS_BASE, by SWAPGS
    mov ecx, 0xc0000102
    mov eax, 0x5000
    xor edx, edx
    wrmsr
    mov qword [0x5008], 0x1234
    swapgs
    CHECK_EQ qword [gs:8], 0x1234
    swapgs
    PASS

align 8
gdt:                                            ; 8, 10
    dq 0, 0x00209b0000000000, 0x00cf93000000ffff
gdtr: dw $ - gdt - 1
    dd gdt
data: dq 0x77
