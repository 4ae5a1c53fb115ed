; Task switches by JMP, CALL, interrupts and IRET, of 32 and 16 bits, and what goes wrong before and behind
; the point of no return (SDM volume 3A chapter 7, table 7-1).
%include "protected.inc"

%define T 0x30              ; the other task
%define T16 0x38            ; a 16-bit one
%define TGATE 0x40
%define BAD 0x48
%define LDT 0x50
%define VEC 0x70

; TSS_IS entry: the other task as it begins
%macro TSS_IS 1.nolist
    SET_TSS T, other
    mov dword [other], 0
    mov dword [other + 0x20], %1
    mov dword [other + 0x24], 2
    mov dword [other + 0x38], 0x60000
    mov dword [other + 0x48], DATA0
    mov dword [other + 0x4c], CODE0
    mov dword [other + 0x50], DATA0
    mov dword [other + 0x54], DATA0
    mov dword [other + 0x58], 0
    mov dword [other + 0x5c], 0
    mov dword [other + 0x60], 0
    mov dword [other + 0x64], 0
%endmacro
; HOME: back in the first task, as if it had never left
%macro HOME 0.nolist
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    mov ax, DATA0
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, KERNEL_STACK
    push dword 2
    popf
    clts
%endmacro
; ARRIVES name, field, value, vector, error: a task whose segment is not as it must be.  The switch is done;
; the fault comes in the new task, before its first instruction
%macro ARRIVES 5.nolist
    CASE %1, "3A 7.3"
    TSS_IS not_reached
    mov word [other + %2], %3
    SET_GATE IDT_AT + (%4) * 8, TGATE + 0x20, eax, 0x85
    SET_TSS TGATE + 0x20, fault_task
    mov dword [fault_task + 0x20], %%fault
    mov dword [fault_task + 0x38], KERNEL_STACK
    jmp T:0
    jmp not_reached
%%fault:
    pop eax
    CHECK_EQ eax, %5
    CHECK_EQ word [fault_task], T               ; the new task was interrupted
    CHECK_EQ dword [other + 0x20], not_reached
    CHECK_EQ byte [gdt + TSS0 + 5], 0x89        ; the old one was left
    SET_GATE IDT_AT + (%4) * 8, CODE0, stubs + (%4) * 16, 0x8e
    HOME
%endmacro

main:
    ; ---- JMP
    CASE "JMP to a TSS", "3A 7.3"
    TSS_IS .jumped
    mov dword [other + 0x28], 0x11111111
    mov dword [other + 0x44], 0x22222222
    mov ecx, 0x33333333
    stc
    jmp T:0x12345678
.jump_back:
    jmp not_reached
.jumped:
    CHECK_EQ eax, 0x11111111
    CHECK_EQ edi, 0x22222222
    CHECK_EQ esp, 0x60000
    CHECK_EQ dword [tss + 0x2c], 0x33333333
    CHECK_EQ dword [tss + 0x20], .jump_back
    CHECK_EQ dword [tss + 0x4c], CODE0
    mov eax, [tss + 0x24]
    and eax, 0x4001
    CHECK_EQ eax, 1                             ; CF; no NT
    CASE "busy flags, TR, CR0.TS, the link", "3A 7.3"
    CHECK_EQ byte [gdt + TSS0 + 5], 0x89
    CHECK_EQ byte [gdt + T + 5], 0x8b
    str eax
    CHECK_EQ eax, T
    mov eax, cr0
    test al, 8
    CHECK nz
    CHECK_EQ dword [other], 0                   ; a JMP does not link
    pushf
    pop eax
    test ah, 0x40
    CHECK z
    HOME

    ; ---- CALL and IRET
    CASE "CALL links and sets NT", "3A 7.4"
    TSS_IS .called
    mov ebx, 0x44
    call T:0
.call_back:
    CHECK_EQ ebx, 0x44                          ; each task has its own registers
    CHECK_EQ byte [gdt + T + 5], 0x89
    CHECK_EQ byte [gdt + TSS0 + 5], 0x8b
    pushf
    pop eax
    test ah, 0x40
    CHECK z
    CHECK_EQ dword [other + 0x20], .called2     ; where it goes on next time
    test dword [other + 0x24], 0x4000           ; IRET clears NT in what it saves
    CHECK z
    jmp .done1
.called:
    CHECK_EQ word [other], TSS0
    CHECK_EQ byte [gdt + TSS0 + 5], 0x8b        ; still busy
    pushf
    pop eax
    test ah, 0x40
    CHECK nz
    CHECK_EQ dword [tss + 0x20], .call_back
    inc ebx
    iret
.called2:
    iret
    jmp .called2
.done1:
    CASE "the second CALL goes on behind the IRET", "3A 7.4"
    call T:0
    CASE "CALL through a task gate", "3A 7.2.5"
    SET_GATE gdt + TGATE, T, eax, 0x85
    call TGATE:0
    CASE "a task gate of DPL 3 lets level 3 in", "3A 7.2.5"
    TSS_IS .from_user
    SET_GATE gdt + TGATE, T, eax, 0xe5
    USER .user1
    CHECK_EQ byte [vector], 0x80
    jmp .done2
.user1:
    call TGATE | 3:0
    int 0x80
.from_user:
    CHECK_EQ dword [tss + 0x4c], CODE3
    iret
.done2:
    CASE "an interrupt through a task gate", "3A 6.12.2"
    TSS_IS .interrupted
    SET_GATE IDT_AT + VEC * 8, T, eax, 0x85
    int VEC
.int_back:
    CHECK_EQ esp, KERNEL_STACK
    jmp .done3
.interrupted:
    CHECK_EQ dword [tss + 0x20], .int_back
    CHECK_EQ esp, 0x60000                       ; no error code
    iret
.done3:
    CASE "a fault's error code is pushed in its task", "3A 6.13"
    TSS_IS .faulted
    SET_GATE IDT_AT + 13 * 8, T, eax, 0x85
    mov ax, 0x1000
.fault_at:
    mov es, ax
.fault_on:
    jmp .done4
.faulted:
    pop eax
    CHECK_EQ eax, 0x1000
    CHECK_EQ dword [tss + 0x20], .fault_at
    test dword [tss + 0x24], 0x10000            ; RF in what is saved: a fault
    CHECK nz
    mov dword [tss + 0x20], .fault_on
    iret
.done4:
    SET_GATE IDT_AT + 13 * 8, CODE0, stubs + 13 * 16, 0x8e
    CASE "an interrupt from outside", "3A 6.12.2"
    TSS_IS .outside
    mov eax, VEC
    out INTERRUPT_PORT, eax
    sti
    nop
    nop
    cli
    CHECK_EQ dword [other + 0x28], 0            ; (saved EAX of the task that ran)
    jmp .done5
.outside:
    xor eax, eax
    iret
.done5:
    ; ---- a 16-bit TSS (7.6)
    CASE "CALL to a 16-bit TSS", "3A 7.6"
    SET_SYSTEM T16, other16, 0x2b, 0x81
    mov word [other16 + 14], .task16
    mov dword [gs_was], 0
    mov ax, DATA0
    mov gs, ax
    call T16:0
    CHECK_EQ byte [gdt + T16 + 5], 0x81
    mov eax, gs
    CHECK_EQ eax, DATA0                         ; it is the 32-bit TSS's again
    jmp .done6
.task16:
    CHECK_EQ sp, 0x7000
    CHECK_EQ ax, 0x1234
    mov eax, gs
    CHECK_EQ eax, 0                             ; it has no FS and GS
    CHECK_EQ word [other16], TSS0
    iret
.done6:

    ; ---- before anything happens: in the old task, at the instruction
    TSS_IS not_reached
    FAULTS "JMP to a busy TSS", "3A 7.3", 13, TSS0, {jmp TSS0:0}
    FAULTS "CALL to a busy TSS", "3A 7.3", 13, TSS0, {call TSS0:0}
    mov byte [gdt + T + 5], 0x09
    FAULTS "a TSS not present", "3A 7.3", 11, T, {jmp T:0}
    mov byte [gdt + T + 5], 0x89
    mov word [gdt + T], 0x66
    FAULTS "a TSS that is too small", "3A 7.3", 10, T, {jmp T:0}
    mov word [gdt + T], 0x67
    SET_SYSTEM T16, other16, 0x2a, 0x81
    FAULTS "a 16-bit TSS that is too small", "3A 7.6", 10, T16, {jmp T16:0}
    FAULTS "RPL above the TSS's DPL", "3A 7.3", 13, T, {jmp T | 1:0}
    USER_FAULTS "a TSS of DPL 0 at level 3", "3A 7.3", 13, T, {jmp T:0}
    SET_GATE gdt + TGATE, T, eax, 0x05
    FAULTS "a task gate not present", "3A 7.2.5", 11, TGATE, {jmp TGATE:0}
    SET_GATE gdt + TGATE, TSS0, eax, 0x85
    FAULTS "a task gate to a busy TSS", "3A 7.3", 13, TSS0, {jmp TGATE:0}
    SET_GATE gdt + TGATE, DATA0, eax, 0x85
    FAULTS "a task gate to data", "3A 7.3", 13, DATA0, {jmp TGATE:0}
    SET_GATE gdt + TGATE, 0, eax, 0x85
    FAULTS "a task gate with a null selector", "3A 7.3", 13, 0, {jmp TGATE:0}
    SET_GATE gdt + TGATE, 0xc, eax, 0x85
    FAULTS "a task gate into the LDT", "3A 7.3", 13, 0xc, {jmp TGATE:0}
    SET_GATE gdt + TGATE, T, eax, 0x85
    USER_FAULTS "a task gate of DPL 0 at level 3", "3A 7.2.5", 13, TGATE, {jmp TGATE:0}
    CASE "nothing has changed", "3A 7.3"
    CHECK_EQ byte [gdt + T + 5], 0x89
    CHECK_EQ byte [gdt + TSS0 + 5], 0x8b
    str eax
    CHECK_EQ eax, TSS0
    SET_GATE IDT_AT + VEC * 8, TSS0, eax, 0x85
    FAULTS "an interrupt to a busy TSS", "2 INT", 13, TSS0, {int VEC}
    mov word [gdt + T], 0x66
    SET_GATE IDT_AT + VEC * 8, T, eax, 0x85
    FAULTS "an interrupt to a TSS that is too small", "3A 7.3", 10, T, {int VEC}
    mov word [gdt + T], 0x67
    ; IRET with NT (7.4)
%macro IRET_FAULTS 4.nolist     ; name, link, vector, error
    CASE %1, "2 IRET"
    mov word [tss], %2
    push dword 0x4002
    popf
    EXPECT %3, %4, iret
%endmacro
    IRET_FAULTS "IRET to a task that is not busy", T, 10, T
    IRET_FAULTS "IRET to data", DATA0, 10, DATA0
    IRET_FAULTS "IRET to a null selector", 0, 10, 0
    IRET_FAULTS "IRET to beyond the GDT", 0x1000, 10, 0x1000
    IRET_FAULTS "IRET into the LDT", 0xc, 10, 0xc
    mov byte [gdt + T + 5], 0x0b
    IRET_FAULTS "IRET to a task not present", T, 11, T
    mov word [tss], 0

    ; ---- behind the point of no return: in the new task (table 7-1)
    SET_DESC BAD, 0, 0xfffff, 0x12, 0xc
    ARRIVES "DS not present", 0x54, BAD, 11, BAD
    ARRIVES "FS beyond the GDT", 0x58, 0x1000, 10, 0x1000
    ARRIVES "ES of a system segment", 0x48, TSS0, 10, TSS0
    ARRIVES "SS not present", 0x50, BAD, 12, BAD
    ARRIVES "SS null", 0x50, 0, 10, 0
    ARRIVES "SS of another level", 0x50, DATA3, 10, DATA3 & ~3
    ARRIVES "SS with code", 0x50, CODE0, 10, CODE0
    ARRIVES "CS null", 0x4c, 0, 10, 0
    ARRIVES "CS with data", 0x4c, DATA0, 10, DATA0
    ARRIVES "CS whose DPL is not RPL", 0x4c, CODE0 | 3, 10, CODE0
    SET_DESC BAD, 0, 0xfffff, 0x1a, 0xc
    ARRIVES "CS not present", 0x4c, BAD, 11, BAD
    ARRIVES "LDT of data", 0x60, DATA0, 10, DATA0
    ARRIVES "LDT in the LDT", 0x60, 0xc, 10, 0xc
    SET_SYSTEM LDT, tss, 7, 0x02
    ARRIVES "LDT not present", 0x60, LDT, 10, LDT
    SET_DESC BAD, 0, 0xff, 0x9a, 4
    ARRIVES "EIP beyond the limit", 0x4c, BAD, 13, 0

    ; ---- with paging: the new task's CR3 (7.2.1)
    CASE "CR3 is the new task's", "3A 7.3"
    mov edi, 0x10000
    mov ecx, 0x3000 / 4
    xor eax, eax
    rep stosd
    mov dword [0x10000], 0x87                   ; 4 MiB, identity; the second directory maps 4 MiB more
    mov dword [0x11000], 0x87
    mov dword [0x11004], 0x87
    mov eax, cr4
    or al, 0x10
    mov cr4, eax
    mov eax, 0x10000
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    TSS_IS .paged
    mov dword [other + 0x1c], 0x11000
    mov dword [tss + 0x1c], 0x10000
    mov dword [0x500], 0xabcd
    call T:0
    mov eax, cr3
    CHECK_EQ eax, 0x10000
    EXPECT 14, 0, mov eax, [0x400500]
    jmp .done7
.paged:
    mov eax, cr3
    CHECK_EQ eax, 0x11000
    CHECK_EQ dword [0x400500], 0xabcd
    iret
.done7:
    PASS

not_reached:
    xor eax, eax
    CHECK ne

align 4
gs_was: dd 0
other: times 26 dd 0
fault_task:
    dd 0
    times 7 dd 0
    dd 0, 2
    dd 0, 0, 0, 0, KERNEL_STACK, 0, 0, 0
    dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0, 0, 0
other16:
    dw 0, 0, 0, 0, 0, 0, 0
    dw 0, 2, 0x1234, 0, 0, 0, 0x7000, 0, 0, 0
    dw DATA0, CODE0, DATA0, DATA0, 0
