; SYSENTER and SYSEXIT outside IA-32e mode, from 32- and 16-bit code and virtual-8086 mode; what they load
; without a look at descriptors, and what they leave (SDM volume 3A 5.8.7; volume 2, SYSENTER, SYSEXIT).
; gates64.asm has them in IA-32e mode, real.asm in real mode.
%include "protected.inc"

%define ENTRY_CS CODE0          ; SS is the next, and level 3 has the two behind
%define CODE16_3 FREE | 3
%define MSR_CS 0x174
%define MSR_ESP 0x175
%define MSR_EIP 0x176
%define FL_IF 0x200
%define FL_VM 0x20000
%define FL_RF 0x10000

; WRMSR32 number, value
%macro WRMSR32 2.nolist
    mov ecx, %1
    mov eax, %2
    xor edx, edx
    wrmsr
%endmacro

main:
    CASE "the MSRs keep 32 bits and more", "2 SYSENTER"
    WRMSR32 MSR_CS, 0x12345678
    rdmsr
    CHECK_EQ eax, 0x12345678
    CHECK_EQ edx, 0
    WRMSR32 MSR_CS, 0
    USER_FAULTS "SYSENTER with a null selector, from level 3", "2 SYSENTER", 13, 0, {sysenter}
    FAULTS "and from level 0", "2 SYSENTER", 13, 0, {sysenter}
    FAULTS "SYSEXIT, too", "2 SYSEXIT", 13, 0, {sysexit}
    WRMSR32 MSR_CS, 3
    FAULTS "a null selector with an RPL", "2 SYSENTER", 13, 0, {sysenter}
    WRMSR32 MSR_CS, ENTRY_CS
    WRMSR32 MSR_ESP, 0x70000
    WRMSR32 MSR_EIP, entry
    USER_FAULTS "SYSEXIT at level 3", "2 SYSEXIT", 13, 0, {sysexit}

    CASE "SYSENTER from 32-bit code", "2 SYSENTER"
    mov dword [user_flags], 0x3002 | FL_IF
    USER .user32
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [entries], 1
    CHECK_EQ dword [entry_esp], 0x70000
    CHECK_EQ dword [entry_cs], CODE0
    CHECK_EQ dword [entry_ss], DATA0
    test dword [entry_flags], FL_IF | FL_VM | FL_RF
    CHECK z
    CASE "SYSEXIT: EIP and ESP from EDX and ECX", "2 SYSEXIT"
    CHECK_EQ dword [fault_cs], CODE3
    CHECK_EQ dword [fault_esp], USER_STACK - 64
    CASE "IF stays as SYSENTER left it", "2 SYSEXIT"
    test dword [fault_flags], FL_IF
    CHECK z
    jmp .no_rpl
.user32:
    mov edx, .back32
    mov ecx, USER_STACK - 64
    sysenter
.back32:
    int 0x80

.no_rpl:
    CASE "the RPL of IA32_SYSENTER_CS does not count", "2 SYSENTER"
    WRMSR32 MSR_CS, ENTRY_CS | 3
    USER .user32
    CHECK_EQ dword [entries], 2
    CHECK_EQ dword [entry_cs], CODE0
    CHECK_EQ dword [entry_ss], DATA0
    CHECK_EQ dword [fault_cs], CODE3

    CASE "descriptors are not looked at", "2 SYSENTER"
    WRMSR32 MSR_CS, ENTRY_CS
    push dword [gdt + DATA0 + 4]
    mov byte [gdt + DATA0 + 5], 0x12            ; not present
    mov dword [entry_go], .flat
    sysenter
.flat:
    pop eax                                     ; from the stack at 70000
    mov esp, KERNEL_STACK - 4
    pop dword [gdt + DATA0 + 4]
    CHECK_EQ dword [entries], 3
    mov dword [entry_go], 0
    CHECK_EQ dword [0x6fffc], 0x600d            ; SS is writable and flat all the same

    CASE "SYSENTER from 16-bit code", "2 SYSENTER"
    SET_DESC FREE, 0, 0xffff, 0xfa, 0
    mov [saved_esp], esp
    mov dword [resume], .after16
    mov byte [vector], 0xff
    push dword DATA3
    push dword USER_STACK
    push dword 0x3002
    push dword CODE16_3
    push dword .user16
    iret
bits 16
.user16:
    mov edx, .back16
    mov ecx, USER_STACK
    sysenter
bits 32
.back16:                                        ; SYSEXIT leads to 32-bit code
    int 0x80
.after16:
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [entries], 4
    CHECK_EQ dword [fault_cs], CODE3

    CASE "SYSENTER from virtual-8086 mode", "2 SYSENTER"
    mov [saved_esp], esp
    mov dword [resume], .after86
    mov byte [vector], 0xff
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0x7000
    push dword FL_VM | FL_IF | 2
    push dword 0
    push dword .user86
    iret
bits 16
.user86:
    mov edx, .back86
    mov ecx, USER_STACK
    o32 sysenter
bits 32
.back86:
    int 0x80
.after86:
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [entries], 5
    test dword [entry_flags], FL_VM | FL_IF
    CHECK z
    CHECK_EQ dword [fault_cs], CODE3
    CASE "SYSEXIT in virtual-8086 mode", "2 SYSEXIT"
    mov [saved_esp], esp
    mov dword [resume], .after_exit
    mov byte [vector], 0xff
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0x7000
    push dword FL_VM | 2
    push dword 0
    push dword .exit86
    iret
.exit86:
    sysexit
.after_exit:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0
    CHECK_EQ dword [fault_ip], .exit86
    PASS

; At level 0, with a stack at 70000; DS is what it was.
entry:
    push ds
    push eax
    mov ax, DATA0                               ; from virtual-8086 mode DS is a segment of that
    cmp dword [ss:entry_go], 0
    jne .go
    mov ds, ax
    inc dword [entries]
    mov [entry_cs], cs
    mov [entry_ss], ss
    lea eax, [esp + 8]
    mov [entry_esp], eax
    pushf
    pop dword [entry_flags]
    pop eax
    add esp, 4
    sysexit
.go:
    add esp, 8
    push dword 0x600d
    inc dword [entries]
    jmp [entry_go]

align 4
entries: dd 0
entry_cs: dd 0
entry_ss: dd 0
entry_esp: dd 0
entry_flags: dd 0
entry_go: dd 0
