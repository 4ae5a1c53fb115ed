; Real mode: interrupts, far transfers, flags, segment limits, unreal mode (SDM volume 3A chapter 20.1,
; 9.9; volume 2 for the instructions).
%include "report.inc"
bits 16
org 0x7c00

start:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    ; every vector to `fault`, which tells them apart by the stub it came through
    xor di, di
    mov cx, 32
    mov bx, stubs
.fill:
    mov [di], bx
    mov word [di + 2], 0
    add di, 4
    add bx, 4
    loop .fill
    jmp tests

stubs:
%assign i 0
%rep 32
    push byte i
    jmp short fault_near_ %+ i
%assign i i + 1
%endrep
%assign i 0
%rep 32
fault_near_ %+ i: jmp near fault
%assign i i + 1
%endrep

; EXPECT vector, instruction: it must fault at its own address
%macro EXPECT 2+.nolist
    mov [saved_sp], sp
    mov word [resume], %%after
    mov byte [vector], 0xff
%%at:
    %2
%%after:
    CHECK_EQ byte [vector], %1
    CHECK_EQ word [fault_ip], %%at
%endmacro

; FAULTS name, section, vector, instruction: a case of its own
%macro FAULTS 4+.nolist
    CASE %1, %2
    EXPECT %3, %4
%endmacro

fault:
    push bp
    mov bp, sp
    push ax
    mov ax, [ss:bp + 2]
    mov [cs:vector], al
    mov ax, [ss:bp + 4]
    mov [cs:fault_ip], ax
    mov ax, [ss:bp + 6]
    mov [cs:fault_cs], ax
    mov ax, [ss:bp + 8]
    mov [cs:fault_flags], ax
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, [saved_sp]
    mov ax, [bp - 2]
    jmp [resume]

tests:
    ; ---- faults at their instruction, traps behind it
    xor dx, dx
    xor cx, cx
    FAULTS "division by zero", "3A 6.15", 0, div cx
    FAULTS "UD2", "2 UD", 6, ud2
    mov word [bounds], 1
    mov word [bounds + 2], 5
    mov ax, 6
    FAULTS "BOUND beyond the upper bound", "2 BOUND", 5, bound ax, [bounds]
    CASE "BOUND at it", "2 BOUND"
    mov ax, 5
    bound ax, [bounds]
    CASE "INT3 is a trap", "3A 6.5"
    mov byte [vector], 0xff
    mov [saved_sp], sp
    mov word [resume], .int3
    int3
.int3:
    CHECK_EQ byte [vector], 3
    CHECK_EQ word [fault_ip], .int3
    CASE "INTO is one", "3A 6.5"
    mov word [resume], .into
    mov al, 0x7f
    add al, 1
    into
.into:
    CHECK_EQ byte [vector], 4
    ; a word at offset 0xffff is beyond the limit: #GP, through SS #SS
    mov bx, 0xffff
    FAULTS "a word at offset 0xffff", "3A 20.1.1", 13, mov ax, [bx]
    mov bp, 0xffff
    FAULTS "the same through SS", "3A 20.1.1", 12, mov ax, [bp]
    mov ebx, 0x10000
    FAULTS "an offset above 64 KiB", "3A 20.1.1", 13, mov al, [ebx]

    ; ---- INT and IRET: flags saved, IF and TF cleared
    CASE "INT n saves the flags, and clears IF and TF", "3A 20.1.4"
    mov word [0x60 * 4], handler
    mov word [0x60 * 4 + 2], 0
    sti
    std
    stc
    int 0x60
    pushf
    pop ax
    test ax, 0x200
    CHECK nz
    test ax, 0x400
    CHECK nz
    cld
    cli
    mov ax, [in_handler]
    and ax, 0x0701                      ; DF, IF, TF, CF
    CHECK_EQ ax, 0x0401
    CHECK_EQ sp, 0x7000

    ; ---- far calls and returns
    CASE "RETF from a near call with CS pushed", "2 RET"
    push cs
    call near .near_far
    jmp .after_far
.near_far:
    retf
.after_far:
    CHECK_EQ sp, 0x7000
    CASE "far CALL: CS is selector * 16", "3A 20.1.1"
    call 0x0010:(far_target - 0x100)
    CHECK_EQ ax, 0x1234
    CHECK_EQ sp, 0x7000
    CASE "far CALL through memory, RETF n", "2 RET"
    push word 7                         ; a parameter that RETF n drops
    call far [far_pointer]
    CHECK_EQ sp, 0x7000
    CHECK_EQ bx, 7

    ; ---- POPF and PUSHF
    CASE "POPF changes all flags, IOPL and NT too", "2 POPF"
    push word 0x7ed7                    ; all but TF
    popf
    pushf
    pop ax
    cld
    cli
    push word 2
    popf
    CHECK_EQ ax, 0x7ed7

    CASE "IRET of 16 bits leaves the upper half of EFLAGS", "2 IRET"
    push dword 0x40002                          ; AC
    popfd
    push word 0x0ad7
    push word 0
    push word .iret16
    iret
.iret16:
    pushfd
    pop eax
    CHECK_EQ eax, 0x40ad7
    CASE "IRET of 32 bits takes it, but VM, VIF and VIP", "2 IRET"
    push dword 0x1e0002                         ; VIP, VIF, AC, VM
    push dword 0
    push dword .iret32
    o32 iret
.iret32:
    pushfd
    pop eax
    CHECK_EQ eax, 0x40002
    push dword 2
    push dword 0
    push dword 0x10000
    FAULTS "IRET of 32 bits to beyond the limit", "2 IRET", 13, o32 iret
    add sp, 12
    push dword 2
    popfd

    ; ---- single step: a trap behind each instruction, not behind MOV SS, not behind INT n
    CASE "single steps", "3B 17.3.1.4"
    mov byte [steps], 0
    mov word [1 * 4], step
    pushf
    pop ax
    or ax, 0x100
    push ax
    popf                                ; no step of its own: TF was clear at its start
    nop                                 ; 1
    mov cx, 2                           ; 2
.again:
    loop .again                         ; 3, 4
    mov dx, ss                          ; 5
    mov ss, dx                          ; none: SS was loaded
    nop                                 ; 6: one for both
    int 0x60                            ; none: it clears TF
    nop                                 ; 7: behind the IRET (TF set again) comes this one
    pushf                               ; 8
    pop ax                              ; 9
    and ax, 0xfeff                      ; 10
    push ax                             ; 11
    popf                                ; 12: TF was set at its start
    CHECK_EQ byte [steps], 12

    ; ---- unreal mode: limits outlive protected mode
    CASE "unreal mode: a limit outlives protected mode", "3A 9.9.2"
    lgdt [gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp short .pe
.pe:
    mov bx, 8
    mov es, bx
    and al, 0xfe
    mov cr0, eax
    jmp 0:.real
.real:
    xor bx, bx
    mov es, bx                          ; base 0 again; the limit stays 4 GiB
    mov edi, 0x123456
    mov dword [es:edi], 0xcafebabe
    CHECK_EQ dword [es:edi], 0xcafebabe
    FAULTS "DS still has 64 KiB", "3A 9.9.2", 13, mov al, [edi]

    ; ---- tables, and what there is not in real mode
    CASE "SGDT gives back what LGDT took", "2 SGDT"
    sgdt [bounds]
    CHECK_EQ word [bounds], 15
    CHECK_EQ word [bounds + 2], gdt
    CASE "SMSW", "2 SMSW"
    smsw ax
    test al, 1
    CHECK z
    FAULTS "LLDT is not known", "2 LLDT", 6, lldt ax
    FAULTS "nor LTR", "2 LTR", 6, ltr ax
    FAULTS "nor SLDT", "2 SLDT", 6, sldt ax
    FAULTS "nor STR", "2 STR", 6, str ax
    FAULTS "nor ARPL", "2 ARPL", 6, arpl ax, bx
    FAULTS "nor VERR", "2 VERR", 6, verr ax
    FAULTS "nor LAR", "2 LAR", 6, lar ax, bx
    FAULTS "nor LSL", "2 LSL", 6, lsl ax, bx
    FAULTS "SYSENTER in real mode", "2 SYSENTER", 13, sysenter
    FAULTS "SYSEXIT in real mode", "2 SYSEXIT", 13, sysexit
    lidt [short_idt]
    FAULTS "a vector beyond the IDT's limit", "3A 20.1.4", 13, int 0x60
    lidt [whole_idt]
    PASS

handler:
    pushf
    pop word [in_handler]
    iret

step:
    inc byte [cs:steps]
    iret

far_target:
    mov ax, cs
    cmp ax, 0x10
    CHECK e
    mov ax, 0x1234
    retf
far_with_parameter:
    push bp
    mov bp, sp
    mov bx, [bp + 6]
    pop bp
    retf 2

align 4
far_pointer: dw far_with_parameter, 0
gdt:    dq 0, 0x008f92000000ffff
gdtr:   dw 15
        dd gdt
short_idt: dw 0x60 * 4 + 2
        dd 0
whole_idt: dw 0x3ff
        dd 0
saved_sp: dw 0
resume: dw 0
fault_ip: dw 0
fault_cs: dw 0
fault_flags: dw 0
bounds: dd 0, 0
in_handler: dw 0
vector: db 0xff
steps:  db 0
