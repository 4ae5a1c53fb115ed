; 64-bit mode: the way there, wide registers, RIP-relative data, an MSR, SWAPGS, CPUID's word for the mode.
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
