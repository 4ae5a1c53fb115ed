; Triple faults: an exception on the way to the double fault's handler shuts the processor down, and a reset
; brings it back (SDM volume 3A 6.15, "Interrupt 8"; 20.1.4; 9.1.1; volume 2, PUSH).
;
; Each case is a run of its own from the reset on; how many there were is kept in memory.
%include "report.inc"

%define RUNS 0x600              ; memory is 0 at first
%define CODE0 0x08
%define DATA0 0x10
%define TSS0  0x18
%define CODE64 0x20
%define PML4 0x10000

bits 16
org 0x7c00
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    movzx ebx, byte [RUNS]
    inc byte [RUNS]
    jmp [cases + ebx * 2]
cases:
    dw real_idt, push_at_1, no_gates, no_df_gate, busy_task, tss_gone, page_fault, rsp_gone, done

real_idt:
    CASE "real mode: no room in the IDT", "3A 20.1.4"
    lidt [nothing]
    SHUTDOWN_EXPECTED
    ud2
    jmp fail

push_at_1:
    CASE "real mode: PUSH with SP 1", "2 PUSH"
    mov word [12 * 4], fail                     ; #SS has a handler, but not a stack
    mov word [12 * 4 + 2], 0
    mov word [8 * 4], fail
    mov word [8 * 4 + 2], 0
    SHUTDOWN_EXPECTED
    mov sp, 1
    push ax
    jmp fail

no_gates:
    CASE "protected mode: no room in the IDT", "3A 6.15"
    lidt [nothing]
    mov ebp, .run
    jmp protected
.run:
    int3

no_df_gate:
    CASE "the gate of vector 8 is not present", "3A 6.15"
    mov ebp, .run
    mov byte [idt + 8 * 8 + 5], 0x0e
    lidt [idtr]
    jmp protected
.run:
    int 13                                      ; its gate has a null selector: #GP, #GP, #DF

busy_task:
    CASE "vector 8 is a gate to a busy task", "3A 6.15"
    mov ebp, .run
    lidt [idtr]
    mov byte [idt + 8 * 8 + 5], 0x85
    mov word [idt + 8 * 8 + 2], TSS0
    jmp protected
.run:
bits 32
    mov ax, TSS0
    ltr ax
    int 13
bits 16

tss_gone:
    CASE "from level 3, with a TSS that is too small", "3A 6.15"
    mov ebp, .run
    lidt [idtr]
    mov byte [gdt + TSS0 + 5], 0x89
    mov byte [gdt + TSS0], 0x67
    jmp protected
.run:
bits 32
    mov ax, TSS0
    ltr ax
    mov dword [tss + 8], 0                      ; SS0 null: #TS, and again
    push dword 0x2b | 3
    push dword 0x80000
    push dword 2
    push dword 0x33
    push dword .user
    iret
.user:
    ud2
bits 16

page_fault:
    CASE "a page fault on the way, and again", "3A 6.15"
    mov ebp, .run
    mov word [idt + 8 * 8 + 2], CODE0           ; gates that are good, on a stack that is not
    mov byte [idt + 8 * 8 + 5], 0x8e
    lidt [idtr]
    jmp protected
.run:
bits 32
    mov edi, PML4                               ; 4 MiB, and nothing behind
    mov dword [edi], 0x83
    mov eax, cr4
    or al, 0x10
    mov cr4, eax
    mov cr3, edi
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov esp, 0x800000
    push eax
bits 16

rsp_gone:
    CASE "long mode: an interrupt stack that is not canonical", "3A 6.14.5"
    mov ebp, .run
    mov word [gdt + TSS0], 0x67
    mov byte [gdt + TSS0 + 5], 0x89
    mov byte [idt64 + 8 * 16 + 4], 1
    lidt [idtr64]
    jmp protected
.run:
bits 32
    mov edi, PML4
    mov dword [edi], 0x11007
    mov dword [edi + 0x1000], 0x12007
    mov dword [edi + 0x2000], 0x87
    mov eax, cr4
    or al, 0x20
    mov cr4, eax
    mov cr3, edi
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp CODE64:.run64
bits 64
.run64:
    mov ax, TSS0
    ltr ax
    mov eax, 0x80000000
    shl rax, 16
    mov [tss + 0x24], rax                       ; IST1
    int 13
    ud2
bits 16

done:
    CASE "a reset puts all back", "3A 9.1.1"
    mov eax, cr0
    test eax, 0x80000001
    CHECK z
    mov eax, cr4
    CHECK_EQ eax, 0
    mov eax, cr3
    CHECK_EQ eax, 0
    sidt [RUNS + 4]
    CHECK_EQ word [RUNS + 4], 0xffff
    CHECK_EQ dword [RUNS + 6], 0
    PASS
fail:
    mov eax, __LINE__
    out REPORT_PORT, eax
    hlt

; On in protected mode at EBP
protected:
    lgdt [gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE0:.in
bits 32
.in:
    mov ax, DATA0
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x90000
    SHUTDOWN_EXPECTED
    jmp ebp

align 8
gdt:
    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
    dw 0x67, tss, 0x8900, 0
    dq 0x00209a0000000000, 0x00cff2000000ffff, 0x00cffa000000ffff
gdt_end:
nothing: dw 0
    dd 0
gdtr: dw gdt_end - gdt - 1
    dd gdt
idtr: dw 14 * 8 - 1
    dd idt
idtr64: dw 15 * 16 - 1
    dd idt64
align 8
idt:                            ; handlers of which none is good: null selectors
%rep 14
    dw fail, 0, 0x8e00, 0
%endrep
idt64:
%rep 15
    dw fail, 0, 0x8e00, 0
    dq 0
%endrep
tss: times 0x68 db 0
