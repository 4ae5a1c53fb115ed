; 32-bit paging: page faults with error code and address, write protection for the supervisor, accessed
; and dirty bits, then ring 3.
%include "report.inc"
bits 16
org 0x7c00
%define DIRECTORY 0x10000
%define TABLE 0x11000

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    cld
    mov ax, DIRECTORY >> 4
    mov es, ax
    xor di, di
    xor eax, eax
    mov cx, 0x800
    rep stosd
    mov dword [es:0], TABLE + 7
    mov di, TABLE - DIRECTORY
    mov eax, 7
.fill:
    stosd
    add eax, 0x1000
    cmp eax, 0x100007
    jne .fill
    lgdt [gdtr]
    lidt [idtr]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    jmp dword 8:entered

bits 32
entered:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x7000
    mov eax, DIRECTORY
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000                          ; PG, WP
    mov cr0, eax
    mov ax, 0x28
    ltr ax
    ; ---- a page that is not there
    mov dword [resume], .after_fault
    mov eax, [0x200000]
    CHECK_EQ eax, 0                             ; not reached
.after_fault:
    CHECK_EQ dword [vector], 14
    CHECK_EQ dword [code], 0
    mov eax, cr2
    CHECK_EQ eax, 0x200000
    ; ---- read-only, for the supervisor too
    and dword [TABLE + 0x20 * 4], ~2
    mov eax, cr3
    mov cr3, eax
    mov dword [resume], .after_write
    mov byte [0x20004], 1
.after_write:
    CHECK_EQ dword [vector], 14
    CHECK_EQ dword [code], 3
    ; ---- accessed and dirty
    mov byte [0x21000], 1
    mov eax, [TABLE + 0x21 * 4]
    and eax, 0x60
    CHECK_EQ eax, 0x60
    ; ---- ring 3 and back by int 30h; a privileged instruction there is #GP
    mov dword [resume], .back
    push dword 0x23
    push dword 0x6000
    push dword 2
    push dword 0x1b
    push dword user
    iretd
.back:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    CHECK_EQ dword [vector], 13
    CHECK_EQ dword [user_sum], 5050
    PASS

user:
    mov ax, 0x23
    mov ds, ax
    mov ecx, 100
    xor eax, eax
.sum:
    add eax, ecx
    loop .sum
    mov [user_sum], eax
    cli

; Exceptions 13 and 14: notes them, goes on at [resume] in ring 0.
gp:
    mov dword [ss:vector], 13
    jmp caught
pf:
    mov dword [ss:vector], 14
caught:
    pop dword [ss:code]
    mov esp, 0x7000
    jmp [ss:resume]

align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dw 0x67, tss, 0x8900, 0
gdtr: dw $ - gdt - 1
    dd gdt
%macro GATE 1
    dw %1, 8, 0x8e00, 0
%endmacro
align 8
idt:
    times 13 dq 0
    GATE gp
    GATE pf
idtr: dw $ - idt - 1
    dd idt
resume: dd 0
vector: dd 0
code: dd 0
user_sum: dd 0
align 4
tss:
    dd 0, 0x7000, 0x10
    times 0x68 - 12 db 0
