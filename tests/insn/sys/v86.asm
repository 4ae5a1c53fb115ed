; Virtual-8086 mode: what IOPL and the I/O map allow, virtual interrupts and the redirection of INT n
; (CR4.VME), protected-mode virtual interrupts (CR4.PVI) (SDM volume 3A 20.2 to 20.4; volume 1 19.5).
%include "protected.inc"

%define TSS_AT 0x6000       ; with a redirection map and an I/O map
%define MAP_AT (TSS_AT + 0x88)
%define VM_STACK 0x5000
%define VIF 0x80000
%define VIP 0x100000

; VM flags, label - virtual-8086 mode from here, with these flags and all segments 0; it comes back by a fault
%macro VM 2.nolist
    mov [saved_esp], esp
    mov dword [resume], %%after
    mov byte [vector], 0xff
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword VM_STACK
    push dword 0x20002 | (%1)
    push dword 0
    push dword %2
    iret
%%after:
%endmacro
; VM_FAULTS name, section, flags, vector, error, instruction
%macro VM_FAULTS 6+.nolist
    CASE %1, %2
    VM %3, %%vm
    CHECK_EQ byte [vector], %4
    CHECK_EQ dword [error], %5
    CHECK_EQ dword [fault_ip], %%vm
    jmp %%done
bits 16
%%vm:
    %6
    hlt
bits 32
%%done:
%endmacro
; VM_WORKS name, section, flags, instruction - then flags are in [fault_flags], AX and so on as they were
%macro VM_WORKS 4+.nolist
    CASE %1, %2
    VM %3, %%vm
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], %%end
    jmp %%done
bits 16
%%vm:
    %4
%%end:
    hlt
bits 32
%%done:
%endmacro
%macro FLAG_IS 2.nolist         ; mask, bits in [fault_flags]
    mov edx, [fault_flags]
    and edx, %1
    CHECK_EQ edx, %2
%endmacro

main:
    mov edi, TSS_AT
    mov ecx, 0x200
    xor eax, eax
    rep stosb
    mov dword [TSS_AT + 4], INNER_STACK
    mov dword [TSS_AT + 8], DATA0
    mov word [TSS_AT + 0x66], 0x88
    mov byte [MAP_AT + 0x600 / 8], 0x02         ; port 0x601 is not allowed
    SET_SYSTEM TSS0, TSS_AT, 0x188, 0x89
    mov ax, TSS0
    ltr ax

    ; ---- what IOPL decides (20.2.7, 20.2.8)
    VM_FAULTS "CLI below IOPL 3", "3A 20.2.8", 0, 13, 0, cli
    VM_FAULTS "STI below IOPL 3", "3A 20.2.8", 0, 13, 0, sti
    VM_FAULTS "PUSHF below IOPL 3", "3A 20.2.8", 0x2000, 13, 0, pushf
    VM_FAULTS "POPF below IOPL 3", "3A 20.2.8", 0, 13, 0, popf
    VM_FAULTS "INT n below IOPL 3", "3A 20.2.8", 0, 13, 0, int 0x21
    VM_FAULTS "IRET below IOPL 3", "3A 20.2.8", 0, 13, 0, iret
    VM_FAULTS "HLT", "3A 20.2.8", 0x3000, 13, 0, hlt
    VM_FAULTS "LGDT", "2 LGDT", 0x3000, 13, 0, lgdt [0x500]
    VM_FAULTS "MOV CR0", "2 MOV", 0x3000, 13, 0, mov eax, cr0
    VM_FAULTS "CLTS", "2 CLTS", 0x3000, 13, 0, clts
    mov eax, 7
    xor ecx, ecx
    cpuid
    bt ebx, 10                                  ; is there INVPCID?
    jnc .no_invpcid
    VM_FAULTS "INVPCID", "2 INVPCID", 0x3000, 13, 0, {invpcid eax, [0]}
.no_invpcid:
    VM_FAULTS "LLDT is not known", "2 LLDT", 0x3000, 6, 0, lldt ax
    VM_FAULTS "LAR", "2 LAR", 0x3000, 6, 0, lar ax, ax
    VM_FAULTS "ARPL", "2 ARPL", 0x3000, 6, 0, arpl ax, ax
    VM_FAULTS "STR", "2 STR", 0x3000, 6, 0, str ax
    VM_FAULTS "a DIV by zero comes to the monitor", "3A 20.3.1", 0x3000, 0, 0, div byte [0x4ff0]
    VM_FAULTS "a word at offset 0xffff", "3A 20.2.2", 0, 13, 0, mov ax, [dword 0xffff]
    VM_FAULTS "an offset above 64 KiB", "3A 20.2.2", 0, 13, 0, mov al, [dword 0x10000]
    VM_WORKS "CLI at IOPL 3", "3A 20.2.8", 0x3200, cli
    FLAG_IS 0x200, 0
    VM_WORKS "STI at IOPL 3", "3A 20.2.8", 0x3000, {sti}
    FLAG_IS 0x200, 0x200
    mov dword [VM_STACK], 0x00244fd7
    VM_WORKS "POPF leaves IOPL", "2 POPF", 0x3000, popf
    FLAG_IS 0x27000, 0x27000
    VM_WORKS "POPFD leaves VM and IOPL", "2 POPF", 0x3000, popfd
    FLAG_IS 0x227000, 0x227000
    VM_WORKS "SMSW", "2 SMSW", 0, smsw ax
    CASE "INT3 does not look at IOPL", "3A 20.3"
    mov byte [IDT_AT + 3 * 8 + 5], 0xee
    VM 0, .vm_int3
    CHECK_EQ byte [vector], 3
    CASE "INTO neither", "3A 20.3"
    mov byte [IDT_AT + 4 * 8 + 5], 0xee
    VM 0x800, .vm_into
    CHECK_EQ byte [vector], 4
    jmp .done1
bits 16
.vm_int3:
    int3
.vm_into:
    into
bits 32
.done1:
    CASE "INT n at IOPL 3 goes to its gate", "3A 20.3.1"
    VM 0x3000, .vm_int80
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_esp], VM_STACK
    jmp .done2
bits 16
.vm_int80:
    int 0x80
bits 32
.done2:
    VM_FAULTS "INT n through a gate of DPL 0", "3A 20.3.1", 0x3000, 13, 0x70 * 8 + 2, int 0x70
    CASE "the gate must lead to level 0", "3A 20.3.1"
    SET_DESC 0x30, 0, 0xfffff, 0xba, 0xc
    SET_GATE IDT_AT + 0x70 * 8, 0x30, stubs, 0xee
    VM 0x3000, .vm_int70
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0x30
    CASE "not to conforming code", "3A 20.3.1"
    SET_DESC 0x30, 0, 0xfffff, 0x9e, 0xc
    VM 0x3000, .vm_int70
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0x30
    jmp .done3
bits 16
.vm_int70:
    int 0x70
bits 32
.done3:
    CASE "IRET to CS beyond its limit", "2 IRET"
    mov [saved_esp], esp
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword VM_STACK
    push dword 0x20002
    push dword 0
    push dword 0x10000
    mov dword [resume], .iret_limit
    mov byte [vector], 0xff
.iret_at:
    iret
.iret_limit:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0
    CHECK_EQ dword [fault_ip], .iret_at
    test dword [fault_flags], 0x20000
    CHECK z
    CASE "segments are selector * 16, the limit 64 KiB", "3A 20.1.1"
    mov word [0x1237 * 16 + 4], 0x4321
    mov [saved_esp], esp
    mov dword [resume], .segments
    push dword 0
    push dword 0
    push dword 0x1237
    push dword 0
    push dword 0
    push dword VM_STACK
    push dword 0x20002
    push dword 0
    push dword .vm_segments
    iret
bits 16
.vm_segments:
    mov ax, [4]
    mov bx, ds
    mov cx, 0x1236
    mov ds, cx
    mov dx, [0x14]
    hlt
bits 32
.segments:
    CHECK_EQ bx, 0x1237
    cmp ax, 0x4321
    CHECK e
    CHECK_EQ dx, 0x4321

    ; ---- the I/O map, whatever IOPL is (volume 1, 19.5.2)
    mov edx, 0x600
    VM_WORKS "a port that the map allows", "1 19.5.2", 0, in al, dx
    mov edx, 0x601
    VM_FAULTS "one that it does not", "1 19.5.2", 0x3000, 13, 0, in al, dx
    mov edx, 0x600
    VM_FAULTS "a word, the second of it not", "1 19.5.2", 0x3000, 13, 0, in ax, dx
    VM_FAULTS "a dword", "1 19.5.2", 0x3000, 13, 0, in eax, dx
    mov edx, 0x602
    VM_WORKS "a dword behind it", "1 19.5.2", 0, in eax, dx
    mov edx, 0x7f8                              ; its byte is the last but one of the segment
    VM_WORKS "the last port that the limit holds", "1 19.5.2", 0, in al, dx
    mov edx, 0x800
    VM_FAULTS "a byte whose successor is beyond the limit", "1 19.5.2", 0, 13, 0, in al, dx
    mov dword [user_flags], 2
    mov edx, 0x601
    USER_FAULTS "level 3 and IOPL 0: the map counts", "1 19.5.2", 13, 0, {in al, dx}
    mov edx, 0x602
    USER_WORKS "and lets through", "1 19.5.2", {in al, dx}
    mov dword [user_flags], 0x3002
    mov edx, 0x601
    USER_WORKS "IOPL 3: it does not count", "1 19.5.1", {in al, dx}
    SET_SYSTEM TSS0, tss16, 0x2b, 0x81
    mov ax, TSS0
    ltr ax
    mov dword [user_flags], 2
    mov edx, 0x602
    USER_FAULTS "a 16-bit TSS has no map", "1 19.5.2", 13, 0, {in al, dx}
    mov dword [user_flags], 0x3002
    SET_SYSTEM TSS0, TSS_AT, 0x188, 0x89
    mov ax, TSS0
    ltr ax

    ; ---- VME (20.3.3, 20.4)
    mov eax, cr4
    or al, 1
    mov cr4, eax
    VM_WORKS "CLI clears VIF", "3A 20.3.3", VIF | 0x200, cli
    FLAG_IS VIF | 0x200, 0x200
    VM_WORKS "STI sets it", "3A 20.3.3", 0, {sti}
    FLAG_IS VIF | 0x200, VIF
    VM_FAULTS "STI with VIP", "3A 20.3.3", VIP, 13, 0, sti
    mov dword [VM_STACK - 4], 0
    VM_WORKS "PUSHF: IF is VIF, IOPL is 3", "3A 20.3.3", VIF, pushf
    CHECK_EQ word [VM_STACK - 2], 0x3202
    VM_WORKS "PUSHF: VIF clear, IF set", "3A 20.3.3", 0x200, pushf
    CHECK_EQ word [VM_STACK - 2], 0x3002
    VM_FAULTS "PUSHFD all the same", "3A 20.3.3", 0, 13, 0, pushfd
    mov word [VM_STACK], 0x0202
    VM_WORKS "POPF: IF goes to VIF", "3A 20.3.3", 0, popf
    FLAG_IS VIF | 0x3200, VIF
    mov word [VM_STACK], 0x3002
    VM_WORKS "POPF: and clears it; IOPL stays", "3A 20.3.3", VIF | 0x200, popf
    FLAG_IS VIF | 0x3200, 0x200
    mov word [VM_STACK], 0x0202
    VM_FAULTS "POPF of IF with VIP", "3A 20.3.3", VIP, 13, 0, popf
    mov word [VM_STACK], 0x0102
    VM_FAULTS "POPF of TF", "3A 20.3.3", 0, 13, 0, popf
    VM_FAULTS "POPFD all the same", "3A 20.3.3", 0, 13, 0, popfd
    mov word [VM_STACK], .vm_iret
    mov word [VM_STACK + 2], 0
    mov word [VM_STACK + 4], 0x0202
    CASE "IRET: IF goes to VIF", "3A 20.3.3"
    VM 0, .vm_do_iret
    CHECK_EQ dword [fault_ip], .vm_iret
    CHECK_EQ dword [fault_esp], VM_STACK + 6
    FLAG_IS VIF | 0x3200, VIF
    VM_FAULTS "IRET of IF with VIP", "3A 20.3.3", VIP, 13, 0, iret
    mov word [VM_STACK + 4], 0x0102
    VM_FAULTS "IRET of TF", "3A 20.3.3", 0, 13, 0, iret
    VM_FAULTS "IRETD all the same", "3A 20.3.3", 0, 13, 0, iretd
    jmp .done4
bits 16
.vm_do_iret:
    iret
.vm_iret:
    hlt
bits 32
.done4:
    ; INT n and the redirection map: a clear bit, the program's own handler
    mov dword [0x21 * 4], .vm_handler
    mov dword [VM_STACK - 6], 0
    CASE "INT n redirected, IOPL 3", "3A 20.3.3.4"
    VM 0x3200, .vm_int
    CHECK_EQ dword [fault_ip], .vm_handler
    CHECK_EQ dword [fault_esp], VM_STACK - 6
    CHECK_EQ word [VM_STACK - 6], .vm_int_back
    CHECK_EQ word [VM_STACK - 4], 0
    CHECK_EQ word [VM_STACK - 2], 0x3202
    FLAG_IS 0x3200, 0x3000                      ; IF is clear in the handler
    CASE "INT n redirected, IOPL 0: VIF", "3A 20.3.3.4"
    VM VIF | 0x200, .vm_int
    CHECK_EQ dword [fault_ip], .vm_handler
    CHECK_EQ word [VM_STACK - 2], 0x3202
    FLAG_IS VIF | 0x200, 0x200
    CASE "a set bit: to its gate, at IOPL 3", "3A 20.3.3.4"
    mov byte [TSS_AT + 0x68 + 0x21 / 8], 1 << (0x21 & 7)
    mov byte [IDT_AT + 0x21 * 8 + 5], 0xee
    VM 0x3000, .vm_int
    CHECK_EQ byte [vector], 0x21
    CASE "a set bit: #GP below", "3A 20.3.3.4"
    VM 0, .vm_int
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0
    CHECK_EQ dword [fault_ip], .vm_int
    CASE "INT3 is not redirected", "3A 20.3"
    VM 0, .vm_int3
    CHECK_EQ byte [vector], 3
    jmp .done5
bits 16
.vm_int:
    int 0x21
.vm_int_back:
    nop
.vm_handler:
    hlt
bits 32
.done5:
    ; ---- PVI (20.4)
    mov eax, cr4
    and al, ~1
    or al, 2
    mov cr4, eax
    mov dword [user_flags], VIF | 0x202
    USER_WORKS "PVI: CLI clears VIF", "3A 20.4", {cli}
    FLAG_IS VIF | 0x200, 0x200
    mov dword [user_flags], 0x202
    USER_WORKS "PVI: STI sets it", "3A 20.4", {sti}
    FLAG_IS VIF | 0x200, VIF | 0x200
    mov dword [user_flags], VIP | 0x202
    USER_FAULTS "PVI: STI with VIP", "3A 20.4", 13, 0, {sti}
    mov dword [user_flags], VIF | 0x202
    CASE "PVI: PUSHF shows IF", "3A 20.4"
    USER .user_pushf
    CHECK_EQ byte [vector], 0x80
    and eax, 0x200
    CHECK_EQ eax, 0x200
    jmp .done6
.user_pushf:
    pushf
    pop eax
    int 0x80
.done6:
    mov eax, cr4
    and al, ~3
    mov cr4, eax
    mov dword [user_flags], 0x202
    USER_FAULTS "CLI without PVI", "2 CLI", 13, 0, {cli}
    USER_FAULTS "STI without PVI", "2 STI", 13, 0, {sti}
    PASS

align 4
tss16:
    dw 0, INNER_STACK & 0xffff, DATA0
    times 20 dw 0
