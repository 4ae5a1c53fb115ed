; Ring 3 of 64-bit mode: there by SYSRET, back by SYSCALL (SDM volume 2).
%include "report.inc"
bits 16
org 0x7c00
%define PML4 0x10000
%define PDPT 0x11000
%define PD   0x12000

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    cld
    mov ax, PML4 >> 4
    mov es, ax
    xor di, di
    xor eax, eax
    mov cx, 0xc00
    rep stosd
    mov dword [es:0], PDPT + 7
    mov dword [es:0x1000], PD + 7
    mov dword [es:0x2000], 0x87                 ; 2 MiB, for everybody
    lgdt [gdtr]
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, PML4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x101                               ; LME, SCE
    wrmsr
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
    jmp dword 8:entered

bits 64
entered:
    mov ax, 0x10
    mov ds, ax
    mov ss, ax
    mov rsp, 0x7000
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
