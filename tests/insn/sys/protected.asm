; 32-bit protected mode: faults and their error codes, levels, call gates, tasks, virtual-8086 mode
; (SDM volume 3A chapters 5, 6, 7 and 20).
%include "protected.inc"

main:
    ; ---- faults at level 0
    xor edx, edx
    xor ecx, ecx
    FAULTS "division by zero", "3A 6.15", 0, 0, {div ecx}
    FAULTS "UD2", "2 UD", 6, 0, {ud2}
    mov eax, FREE
    FAULTS "an empty descriptor", "2 MOV", 13, FREE, {mov es, ax}
    mov eax, 0x1000
    FAULTS "a selector beyond the GDT", "2 MOV", 13, 0x1000, {mov es, ax}
    SET_DESC FREE, 0, 0xfffff, 0x12, 0xc        ; not present
    mov eax, FREE
    FAULTS "a segment not present", "2 MOV", 11, FREE, {mov es, ax}
    FAULTS "the same into SS", "2 MOV", 12, FREE, {mov ss, ax}
    SET_DESC FREE, 0x100000, 0xfff, 0x92, 0x4   ; 4 KiB at 1 MiB
    CASE "within a limit of 4 KiB", "3A 5.3"
    mov es, ax
    mov dword [es:0xffc], 0x12345678
    CHECK_EQ dword [0x100ffc], 0x12345678
    FAULTS "across it", "3A 5.3", 13, 0, {mov dword [es:0xffd], eax}
    mov eax, FREE                               ; ES is flat again behind a fault
    mov es, ax
    FAULTS "beyond it", "3A 5.3", 13, 0, {mov dword [es:0x1000], eax}
    FAULTS "JMP to code of level 3", "2 JMP", 13, CODE3 & ~3, {jmp CODE3:0}
    FAULTS "JMP to a null selector", "2 JMP", 13, 0, {jmp 0:0}
    FAULTS "JMP to data", "2 JMP", 13, DATA0, {jmp DATA0:0}
    FAULTS "JMP beyond the GDT", "2 JMP", 13, 0x8000, {jmp 0x8000:0}
    mov ax, DATA0
    mov es, ax

    CASE "a stack fault whose delivery finds no stack: #DF, through a task gate", "3A 6.15"
    SET_DESC FREE, 0, 0xfff, 0x96, 0x4          ; expand down: nothing below 0x1000
    mov ax, FREE
    mov ss, ax
    mov esp, 0x1002
    ; its handler finds no stack either, and the fault in delivery is a double fault: that has a task
    SET_GATE IDT_AT + 8 * 8, 0x38, eax, 0x85
    SET_TSS 0x38, df_tss
    push eax
    jmp fail_here

    ; ---- reached through the task gate of vector 8
double_fault_task:
    pop eax                                     ; its error code
    CHECK_EQ eax, 0
    mov ax, [df_tss]
    cmp ax, TSS0                                ; linked to the task that failed
    CHECK e
    str ax
    cmp ax, 0x38
    CHECK e
    CHECK_EQ dword [tss + 0x38], 0x1002         ; its state is saved
    mov dword [tss + 0x20], after_double_fault  ; go on there, with a good stack
    mov dword [tss + 0x38], KERNEL_STACK
    mov word [tss + 0x50], DATA0
    iret
    jmp fail_here
after_double_fault:
    str ax
    cmp ax, TSS0
    CHECK e
    mov eax, cr0
    test al, 8                                  ; TS
    CHECK nz
    clts

    ; ---- level 3
    CASE "INT to level 0 switches to SS0:ESP0", "3A 6.12.1"
    USER .user1
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_cs], CODE3
    CHECK_EQ dword [fault_esp], USER_STACK
    CHECK_EQ dword [handler_esp], INNER_STACK - 5 * 4 - 8 - 8
    jmp .done1
.user1:
    mov ax, cs
    test al, 3
    CHECK nz
    int 0x80
.done1:
    CASE "HLT at level 3; IRET has taken DS away", "2 IRET"
    USER .user2
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0
    CHECK_EQ dword [fault_ip], .user2
    CHECK_EQ dword [fault_ds], 0                ; DS of level 0 was taken away by the IRET
    jmp .done2
.user2:
    hlt
.done2:
    CASE "INT n through a gate of DPL 0", "3A 6.12.1.1"
    USER .user3
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0x41 * 8 + 2
    jmp .done3
.user3:
    int 0x41                                    ; the gate's DPL is 0
.done3:
    CASE "data of DPL 0 at level 3", "3A 5.6"
    USER .user4
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], DATA0
    jmp .done4
.user4:
    mov ax, DATA0
    mov ds, ax
.done4:

    CASE "a call gate with two parameters, and the way back", "3A 5.8.5"
    SET_GATE gdt + FREE, CODE0, gate_code, 0xec
    mov byte [gdt + FREE + 4], 2
    USER .user5
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [gate_sum], 0x3333
    CHECK_EQ dword [fault_esp], USER_STACK
    jmp .done5
.user5:
    push dword 0x1111
    push dword 0x2222
    call FREE | 3:0
    mov ax, cs
    cmp ax, CODE3
    CHECK e
    int 0x80
.done5:

    CASE "CALL to a TSS, and IRET back", "3A 7.3"
    SET_TSS 0x40, other_tss
    mov ebx, 0x600d
    call 0x40:0
    CHECK_EQ dword [other_ran], 0x600d + 1
    pushf
    pop eax
    test eax, 0x4000                            ; NT is the other task's
    CHECK z
    mov al, [gdt + 0x40 + 5]
    cmp al, 0x89                                ; not busy any more
    CHECK e
    FAULTS "JMP to the current, busy TSS", "3A 7.3", 13, TSS0, {jmp TSS0:0}
    FAULTS "a TSS into DS", "2 MOV", 13, 0x40, {mov ds, [selector40]}

    CASE "into virtual-8086 mode by IRET, and out by a fault", "3A 20.2.5"
    mov word [0x500], 0x5a5a
    mov byte [0x600], 0xfb                      ; sti, which IOPL 0 does not let it
    mov byte [0x601], 0xf4
    mov [saved_esp], esp
    mov dword [resume], .vm
    push dword 0x44                             ; GS FS DS ES
    push dword 0x33
    push dword 0x22
    push dword 0x11
    push dword 0x0
    push dword 0x7000
    push dword 0x20002                          ; VM, IOPL 0
    push dword 0x60
    push dword 0
    iret
.vm:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], 0
    CHECK_EQ dword [fault_cs], 0x60
    test dword [fault_flags], 0x20000
    CHECK nz
    CHECK_EQ dword [fault_esp], 0x7000
    mov esi, [handler_esp]
    CHECK_EQ dword [esi + 36], 0x11             ; behind SS: ES DS FS GS
    CHECK_EQ dword [esi + 40], 0x22
    CHECK_EQ dword [esi + 44], 0x33
    CHECK_EQ dword [esi + 48], 0x44

    CASE "LAR, LSL, VERR, VERW, ARPL", "3A 5.10"
    mov ecx, DATA3
    lar eax, ecx
    CHECK z
    CHECK_EQ eax, 0x00c0f300
    lsl eax, ecx
    CHECK z
    CHECK_EQ eax, 0xffffffff
    mov ecx, 0x1000
    lar eax, ecx
    CHECK nz
    mov ecx, CODE0
    verr cx
    CHECK z
    verw cx
    CHECK nz
    mov ax, 0x10
    mov cx, 3
    arpl ax, cx
    CHECK z
    cmp ax, 0x13
    CHECK e
    PASS

fail_here:
    CHECK_EQ eax, 0xdeadbeef
    jmp fail_here

gate_code:
    mov ax, cs
    cmp ax, CODE0
    CHECK e
    push ds
    mov ax, DATA0
    mov ds, ax
    mov eax, [esp + 12]
    add eax, [esp + 16]
    mov [gate_sum], eax
    pop ds
    retf 8

other_code:
    inc ebx
    mov [other_ran], ebx
    iret
    jmp other_code

align 4
gate_sum: dd 0
other_ran: dd 0
selector40: dw 0x40
align 4
df_tss:
    dd 0
    times 7 dd 0
    dd double_fault_task, 2
    dd 0, 0, 0, 0, 0x70000, 0, 0, 0
    dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0, 0, 0
other_tss:
    dd 0
    times 7 dd 0
    dd other_code, 2
    dd 0, 0, 0, 0x600d, 0x60000, 0, 0, 0
    dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0, 0, 0
