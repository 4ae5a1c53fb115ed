; Ring 3 of 64-bit mode: there by SYSRET, back by SYSCALL (SDM volume 2).
%include "enter-long.inc"
    mov ecx, 0xc0000080
    rdmsr
    and eax, 0x500
    CHECK_EQ eax, 0x500                         ; LMA, LME
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    CHECK c
    ; ---- ring 3
    mov ecx, 0xc0000081                         ; STAR
    xor eax, eax
    mov edx, 0x00180008
    wrmsr
    mov ecx, 0xc0000082                         ; LSTAR
    mov eax, back
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084                         ; FMASK
    mov eax, 0x200
    xor edx, edx
    wrmsr
    mov rcx, user
    mov r11, 2
    o64 sysret

user:
    mov rcx, 1000
    xor rax, rax
.sum:
    add rax, rcx
    dec rcx
    jnz .sum
    mov rbx, cs
    syscall

back:
    CHECK_EQ rax, 500500
    CHECK_EQ ebx, 0x2b
    PASS

align 8
gdt:                                            ; 8, 10: ring 0; 20, 28: ring 3's data and code (SYSRET)
    dq 0, 0x00209b0000000000, 0x00cf93000000ffff, 0, 0x00cff3000000ffff, 0x0020fb0000000000
gdtr: dw $ - gdt - 1
    dd gdt
