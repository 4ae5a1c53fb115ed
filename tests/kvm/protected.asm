; 32-bit protected mode: limits, segments that are not there, ring 3 and the way back by a gate.
%include "report.inc"
bits 16
org 0x7c00

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    cld
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
    mov ax, 0x28
    ltr ax
    ; ---- a limit: #GP with no code; a segment that is not present: #NP with its selector
    mov ax, 0x30
    mov fs, ax
    mov eax, [fs:0xffc]
    mov dword [resume], .after_limit
    mov eax, [fs:0xffd]
    mov dword [vector], 0                       ; not reached
.after_limit:
    CHECK_EQ dword [vector], 13
    CHECK_EQ dword [code], 0
    mov dword [resume], .after_absent
    mov ax, 0x38
    mov fs, ax
    mov dword [vector], 0                       ; not reached
.after_absent:
    CHECK_EQ dword [vector], 11
    CHECK_EQ dword [code], 0x38
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

; Exceptions 11 and 13: notes them, goes on at [resume] in ring 0.
gp:
    mov dword [ss:vector], 13
    jmp caught
np:
    mov dword [ss:vector], 11
caught:
    pop dword [ss:code]
    mov esp, 0x7000
    jmp [ss:resume]

align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
    dw 0x67, tss, 0x8900, 0
    dq 0x0040930000000fff, 0x00cf13000000ffff
gdtr: dw $ - gdt - 1
    dd gdt
%macro GATE 1
    dw %1, 8, 0x8e00, 0
%endmacro
align 8
idt:
    times 11 dq 0
    GATE np
    dq 0
    GATE gp
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
