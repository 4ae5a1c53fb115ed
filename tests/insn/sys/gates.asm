; Call, interrupt and trap gates of 16 and 32 bits, RETF and IRET to other levels, and the error codes of
; what goes wrong (SDM volume 3A 5.8, 6.11 to 6.13; volume 2, CALL, JMP, RET, IRET, INT).
%include "protected.inc"

%define GATE 0x30
%define CODE1 0x38          ; DPL 1
%define DATA1 0x40
%define CONF 0x48           ; conforming, DPL 0
%define CODE16 0x50
%define BAD 0x58            ; what a case makes of it
%define CODE2 0x60          ; DPL 2
%define DATA2 0x68
%define VEC 0x70            ; a vector for gates

; GATE_TO selector, label, access byte, parameters
%macro GATE_TO 4.nolist
    SET_GATE gdt + GATE, %1, %2, %3
    mov byte [gdt + GATE + 4], %4
%endmacro
; INT_TO selector, label, access byte
%macro INT_TO 3.nolist
    SET_GATE IDT_AT + VEC * 8, %1, %2, %3
%endmacro
; RETURN_TO name, section, vector, error, CS, EIP, SS, ESP: RETF and IRET that must fault
%macro OUTER_FAULTS 6.nolist
    CASE %1, %2
    push dword %6
    push dword USER_STACK
    push dword 2
    push dword %5
    push dword main
    EXPECT %3, %4, iret
    add esp, 20
    push dword %6
    push dword USER_STACK
    push dword %5
    push dword main
    EXPECT %3, %4, retf
    add esp, 16
%endmacro

main:
    SET_DESC CODE1, 0, 0xfffff, 0xba, 0xc
    SET_DESC DATA1, 0, 0xfffff, 0xb2, 0xc
    SET_DESC CODE2, 0, 0xfffff, 0xda, 0xc
    SET_DESC DATA2, 0, 0xfffff, 0xd2, 0xc
    SET_DESC CONF, 0, 0xfffff, 0x9e, 0xc
    SET_DESC CODE16, 0, 0xffff, 0x9a, 0
    mov dword [tss + 0xc], INNER_STACK - 0x1000 ; level 1
    mov dword [tss + 0x10], DATA1 | 1
    mov dword [tss + 0x14], INNER_STACK - 0x2000
    mov dword [tss + 0x18], DATA2 | 2

    ; ---- far JMP and CALL to code (5.8.1)
    CASE "CPL stays in conforming code", "3A 5.8.1.2"
    jmp CONF:.conforming_code
.conforming_code:
    mov eax, cs
    CHECK_EQ eax, CONF
    jmp CODE0:.flat
.flat:
    FAULTS "JMP to code of an outer level", "2 JMP", 13, CODE1, {jmp CODE1 | 1:0}
    FAULTS "RPL above CPL, non-conforming", "2 JMP", 13, CODE0, {jmp CODE0 | 1:0}
    FAULTS "CALL to data", "2 CALL", 13, DATA0, {call DATA0:0}
    FAULTS "CALL to a null selector", "2 CALL", 13, 0, {call 0:0}
    SET_DESC BAD, 0, 0xfffff, 0x1a, 0xc
    FAULTS "CALL to code not present", "2 CALL", 11, BAD, {call BAD:0}
    SET_DESC BAD, 0, 0xfff, 0x9a, 0
    FAULTS "CALL beyond the limit", "2 CALL", 13, 0, {call BAD:0x1000}
    CASE "a CALL that faults pushes nothing", "2 CALL"
    mov dword [esp - 4], 0x1111
    mov ebx, esp
    EXPECT 13, 0, call BAD:0x1000
    CHECK_EQ esp, ebx
    SET_DESC BAD, 0, 0xfffff, 0x8e, 0xc
    SET_GATE gdt + BAD, CODE0, main, 0x8e
    FAULTS "CALL to an interrupt gate", "2 CALL", 13, BAD, {call BAD:0}
    CASE "CALL with a 16-bit operand", "2 CALL"
    mov ebx, esp
    mov dword [esp - 4], 0
    call word .call16                           ; near: 16-bit IP
.call16:
    lea ecx, [ebx - 2]
    CHECK_EQ esp, ecx
    CHECK_EQ word [esp], .call16
    mov esp, ebx

    ; ---- call gates (5.8.3, 5.8.4)
    GATE_TO CODE0, .same, 0x8c, 0
    CASE "a call gate to the same level", "3A 5.8.4"
    mov ebx, esp
    call GATE:0x12345678                        ; its offset does not count
.back1:
    jmp .done1
.same:
    lea ecx, [ebx - 8]
    CHECK_EQ esp, ecx
    CHECK_EQ dword [esp], .back1
    CHECK_EQ dword [esp + 4], CODE0
    retf
.done1:
    CASE "JMP through it", "3A 5.8.3"
    GATE_TO CODE0, .jumped, 0x8c, 0
    jmp GATE:0
.jumped:
    GATE_TO CODE0, main, 0x8c, 0
    mov byte [gdt + GATE + 5], 0x0c
    FAULTS "a gate not present", "2 CALL", 11, GATE, {call GATE:0}
    GATE_TO 0, main, 0x8c, 0
    FAULTS "a gate with a null selector", "2 CALL", 13, 0, {call GATE:0}
    GATE_TO 0x1000, main, 0x8c, 0
    FAULTS "a gate to beyond the GDT", "2 CALL", 13, 0x1000, {call GATE:0}
    GATE_TO DATA0, main, 0x8c, 0
    FAULTS "a gate to data", "2 CALL", 13, DATA0, {call GATE:0}
    GATE_TO CODE3, main, 0x8c, 0
    FAULTS "a gate to an outer level", "2 CALL", 13, CODE3 & ~3, {call GATE:0}
    SET_DESC BAD, 0, 0xfffff, 0x1a, 0xc
    GATE_TO BAD, main, 0x8c, 0
    FAULTS "a gate to code not present", "2 CALL", 11, BAD, {call GATE:0}
    SET_DESC BAD, 0, 0xfff, 0x9a, 0
    GATE_TO BAD, main, 0x8c, 0
    FAULTS "a gate to beyond the limit", "2 CALL", 13, 0, {call GATE:0}
    GATE_TO CODE0, main, 0x8c, 0
    USER_FAULTS "a gate of DPL 0 at level 3", "3A 5.8.4", 13, GATE, {call GATE:0}
    GATE_TO CODE0, main, 0xcc, 0
    FAULTS "RPL above the gate's DPL", "3A 5.8.4", 13, GATE, {call GATE | 3:0}
    GATE_TO CODE0, main, 0xec, 0
    USER_FAULTS "JMP through a gate to an inner level", "3A 5.8.4", 13, CODE0, {jmp GATE:0}

    ; a gate to an inner level: the frame (5.8.5)
    GATE_TO CODE0, .inner, 0xec, 2
    CASE "a gate to level 0 with two parameters", "3A 5.8.5"
    USER .user_inner
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_esp], USER_STACK
    jmp .done2
.user_inner:
    mov ebx, .inner_back
    push dword 0x1111
    push dword 0x2222
    call GATE | 3:0
.inner_back:
    int 0x80
.inner:
    mov cx, DATA0
    mov ds, cx
    CHECK_EQ esp, INNER_STACK - 24
    CHECK_EQ dword [esp], ebx
    CHECK_EQ dword [esp + 4], CODE3
    CHECK_EQ dword [esp + 8], 0x2222
    CHECK_EQ dword [esp + 12], 0x1111
    CHECK_EQ dword [esp + 16], USER_STACK - 8
    CHECK_EQ dword [esp + 20], DATA3
    mov ax, cs
    cmp ax, CODE0
    CHECK e
    retf 8
.done2:
    ; a 16-bit gate
    SET_DESC BAD, 0, 0xfffff, 0x9a, 0xc
    GATE_TO BAD, .inner16, 0xe4, 1
    CASE "a 16-bit gate with a word", "3A 5.8.5"
    USER .user_inner16
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_esp], USER_STACK
    jmp .done3
.user_inner16:
    mov ebx, .inner16_back
    push word 0x3333
    call GATE | 3:0
.inner16_back:
    int 0x80
.inner16:
    mov cx, DATA0
    mov ds, cx
    CHECK_EQ esp, INNER_STACK - 10
    CHECK_EQ word [esp], bx
    CHECK_EQ word [esp + 2], CODE3
    CHECK_EQ word [esp + 4], 0x3333
    CHECK_EQ word [esp + 6], (USER_STACK - 2) & 0xffff
    CHECK_EQ word [esp + 8], DATA3
    mov dword [esp - 0x20], USER_STACK          ; a 16-bit RETF keeps no upper half of ESP
    movzx eax, word [esp]
    push dword DATA3
    push dword USER_STACK
    push dword CODE3
    push eax
    retf
.done3:
    CASE "a gate to conforming code stays at level 3", "3A 5.8.4"
    GATE_TO CONF, .conforming, 0xec, 3
    USER .user_conforming
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_cs], CONF | 3
    CHECK_EQ dword [fault_esp], USER_STACK - 8  ; no stack switch, no parameters
    jmp .done4
.user_conforming:
    call GATE | 3:0
.conforming:
    int 0x80
.done4:
    CASE "a gate to level 1", "3A 5.8.5"
    GATE_TO CODE1 | 1, .level1, 0xec, 0
    USER .user_level1
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_cs], CODE1 | 1
    CHECK_EQ dword [fault_esp], INNER_STACK - 0x1000 - 16
    jmp .done5
.user_level1:
    call GATE | 3:0
.level1:
    int 0x80
.done5:
    CASE "the gate's RPL is not looked at", "3A 5.8.4"
    GATE_TO CODE1 | 3, .level1, 0xec, 0
    USER .user_level1
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_cs], CODE1 | 1
    ; the stack of level 1 is not as it must be: #TS, #SS (volume 2, CALL)
    mov dword [tss + 0x10], 0
    USER_FAULTS "inner SS null", "2 CALL", 10, 0, {call GATE | 3:0}
    mov dword [tss + 0x10], 0x1001
    USER_FAULTS "inner SS beyond the GDT", "2 CALL", 10, 0x1000, {call GATE | 3:0}
    mov dword [tss + 0x10], DATA1 | 2
    USER_FAULTS "inner SS with another RPL", "2 CALL", 10, DATA1, {call GATE | 3:0}
    mov dword [tss + 0x10], DATA2 | 1
    USER_FAULTS "inner SS with another DPL", "2 CALL", 10, DATA2, {call GATE | 3:0}
    SET_DESC BAD, 0, 0xfffff, 0xb0, 0xc
    mov dword [tss + 0x10], BAD | 1
    USER_FAULTS "inner SS read-only", "2 CALL", 10, BAD, {call GATE | 3:0}
    SET_DESC BAD, 0, 0xfffff, 0x32, 0xc
    USER_FAULTS "inner SS not present", "2 CALL", 12, BAD, {call GATE | 3:0}
    SET_DESC BAD, 0, 0xfff, 0xb2, 4
    mov dword [tss + 0xc], 0x2000
    USER_FAULTS "inner stack too small", "2 CALL", 12, BAD, {call GATE | 3:0}
    mov dword [tss + 0xc], 8
    USER_FAULTS "room for two of four", "2 CALL", 12, BAD, {call GATE | 3:0}
    mov dword [tss + 0xc], INNER_STACK - 0x1000
    mov dword [tss + 0x10], DATA1 | 1
    CASE "a call that faulted changed nothing", "2 CALL"
    CHECK_EQ dword [fault_esp], USER_STACK
    CHECK_EQ dword [fault_cs], CODE3
    SET_SYSTEM TSS0, tss, 0xb, 0x89             ; a TSS that ends behind level 0's
    mov ax, TSS0
    ltr ax
    USER_FAULTS "a TSS that has no SS1", "2 CALL", 10, TSS0, {call GATE | 3:0}
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    mov eax, CODE3
    GATE_TO CODE0, main, 0xec, 0
    CASE "a 16-bit TSS has 16-bit stacks", "3A 7.6"
    SET_SYSTEM TSS0, tss16, 0x2b, 0x81
    mov ax, TSS0
    ltr ax
    USER .user16
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [handler_esp], 0xa000 - 5 * 4 - 8 - 8
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    jmp .done6
.user16:
    int 0x80
.done6:

    ; ---- RETF and IRET to an outer level (volume 2, RET, IRET)
    OUTER_FAULTS "return to a null CS", "2 RET", 13, 0, 0, DATA3
    OUTER_FAULTS "return to CS beyond the GDT", "2 RET", 13, 0x1000, 0x1003, DATA3
    OUTER_FAULTS "return to data", "2 RET", 13, DATA3 & ~3, DATA3, DATA3
    OUTER_FAULTS "return to code whose DPL is not RPL", "2 RET", 13, CODE0, CODE0 | 3, DATA3
    OUTER_FAULTS "return with a null SS", "2 RET", 13, 0, CODE3, 0
    OUTER_FAULTS "return with an SS of another RPL", "2 RET", 13, DATA3 & ~3, CODE3, DATA3 & ~3
    OUTER_FAULTS "return with an SS of another DPL", "2 RET", 13, DATA1, CODE3, DATA1 | 3
    OUTER_FAULTS "return with code for SS", "2 RET", 13, CODE3 & ~3, CODE3, CODE3
    SET_DESC BAD, 0, 0xfffff, 0x72, 0xc
    OUTER_FAULTS "return with an SS not present", "2 RET", 12, BAD, CODE3, BAD | 3
    SET_DESC BAD, 0, 0xfffff, 0x7a, 0xc
    OUTER_FAULTS "return to code not present", "2 RET", 11, BAD, BAD | 3, DATA3
    SET_DESC BAD, 0, 0xff, 0xfa, 4
    OUTER_FAULTS "return to beyond the limit", "2 RET", 13, 0, BAD | 3, DATA3
    CASE "SS's accessed bit stays when EIP is out of bounds", "2 RET"
    SET_DESC DATA3 & ~3, 0, 0xfffff, 0xf2, 0xc
    push dword DATA3
    push dword USER_STACK
    push dword BAD | 3
    push dword main
    EXPECT 13, 0, retf
    add esp, 16
    CHECK_EQ byte [gdt + (DATA3 & ~3) + 5], 0xf2
    mov dword [USER_STACK], main
    mov dword [USER_STACK + 4], CODE0
    USER_FAULTS "RETF to an inner level", "2 RET", 13, CODE0, {retf}
    CASE "data segments of an inner level are taken away", "3A 5.8.6"
    mov ax, DATA0
    mov fs, ax
    mov ax, DATA3
    mov gs, ax
    mov ax, CONF
    mov es, ax
    USER .user_dropped
    CHECK_EQ eax, 0
    CHECK_EQ ebx, DATA3
    CHECK_EQ edx, CONF
    jmp .done7
.user_dropped:
    mov eax, fs
    mov ebx, gs
    mov edx, es
    int 0x80
.done7:
    mov ax, DATA0
    mov es, ax

    ; ---- IRET's flags (volume 2, IRET)
%macro FLAGS_AFTER 5.nolist     ; name, flags before IRET at level 3, image, mask, result
    CASE %1, "2 IRET"
    mov dword [user_flags], %2
    USER %%user
    mov eax, [fault_flags]
    and eax, %4
    CHECK_EQ eax, %5
    jmp %%done
%%user:
    pushf
    mov dword [esp], %3
    push dword CODE3
    push dword %%back
    iret
%%back:
    int 0x80
%%done:
%endmacro
    FLAGS_AFTER "IOPL cannot be changed at level 3", 0x3202, 0x0202, 0x3200, 0x3200
    FLAGS_AFTER "IF can, with IOPL 3", 0x3202, 0x3002, 0x3200, 0x3000
    FLAGS_AFTER "IF cannot, with IOPL 0", 0x0202, 0x3002, 0x3200, 0x0200
    FLAGS_AFTER "VM cannot at level 3", 0x3002, 0x23002, 0x20000, 0
    FLAGS_AFTER "VIF and VIP cannot at level 3", 0x3002, 0x183002, 0x180000, 0
    FLAGS_AFTER "AC and ID can", 0x3002, 0x243002, 0x240000, 0x240000
    mov dword [user_flags], 0x3002

    ; ---- interrupt and trap gates (6.12)
%macro INT_IS 5.nolist          ; name, access byte, flags before, mask, flags in the handler
    CASE %1, "3A 6.12.1.3"
    INT_TO CODE0, %%handler, %2
    push dword %3
    popf
    int VEC
%%handler:
    pushf
    pop eax
    add esp, 12
    push dword 2
    popf
    and eax, %4
    CHECK_EQ eax, %5
%endmacro
    INT_IS "an interrupt gate clears IF", 0x8e, 0x202, 0x200, 0
    INT_IS "a trap gate does not", 0x8f, 0x202, 0x200, 0x200
    INT_IS "both clear NT", 0x8f, 0x4002, 0x4000, 0
    INT_IS "status flags, DF and IOPL stay", 0x8e, 0x3cd7, 0x3cd7, 0x3cd7
    CASE "a 16-bit gate pushes words", "3A 6.12.1"
    INT_TO CODE0, .int16, 0x86
    mov ebx, esp
    int VEC
.int16_back:
    jmp .int16_bad
.int16:
    lea ecx, [ebx - 6]
    CHECK_EQ esp, ecx
    CHECK_EQ word [esp], .int16_back
    CHECK_EQ word [esp + 2], CODE0
    mov esp, ebx
.int16_bad:
    CHECK_EQ esp, ebx
    CASE "INT to conforming code stays at level 3", "3A 6.12.1.1"
    INT_TO CONF, .int_conf, 0xee
    USER .user_int_conf
    CHECK_EQ dword [fault_cs], CONF | 3
    CHECK_EQ dword [fault_esp], USER_STACK - 12
    jmp .done8
.user_int_conf:
    int VEC
.int_conf:
    int 0x80
.done8:
    ; errors: vector * 8 + 2, and EXT for what the program did not ask for (6.13)
    INT_TO CODE0, main, 0x8e
    FAULTS "INT beyond the IDT", "3A 6.13", 13, 0x81 * 8 + 2, {int 0x81}
    USER_FAULTS "INT through a gate of DPL 0", "3A 6.12.1.1", 13, VEC * 8 + 2, {int VEC}
    INT_TO CODE0, main, 0x0e
    FAULTS "a gate not present", "2 INT", 11, VEC * 8 + 2, {int VEC}
    INT_TO CODE0, main, 0x8c
    FAULTS "a call gate in the IDT", "2 INT", 13, VEC * 8 + 2, {int VEC}
    INT_TO CODE0, main, 0x80
    FAULTS "no gate", "2 INT", 13, VEC * 8 + 2, {int VEC}
    INT_TO 0, main, 0x8e
    FAULTS "a gate with a null selector", "2 INT", 13, 0, {int VEC}
    INT_TO 0x1000, main, 0x8e
    FAULTS "to beyond the GDT", "2 INT", 13, 0x1000, {int VEC}
    INT_TO DATA0, main, 0x8e
    FAULTS "to data", "2 INT", 13, DATA0, {int VEC}
    INT_TO CODE3, main, 0x8e
    FAULTS "to an outer level", "2 INT", 13, CODE3 & ~3, {int VEC}
    SET_DESC BAD, 0, 0xfffff, 0x1a, 0xc
    INT_TO BAD, main, 0x8e
    FAULTS "to code not present", "2 INT", 11, BAD, {int VEC}
    SET_DESC BAD, 0, 0xfff, 0x9a, 0
    INT_TO BAD, main, 0x8e
    FAULTS "to beyond the limit", "2 INT", 13, 0, {int VEC}
%macro INNER_INT_FAULTS 5.nolist        ; name, SS1, ESP1, vector, error
    mov dword [tss + 0x10], %2
    mov dword [tss + 0xc], %3
    USER_FAULTS %1, "2 INT", %4, %5, {int VEC}
%endmacro
    INT_TO CODE1, main, 0xee
    INNER_INT_FAULTS "INT: inner SS null", 0, 0x4000, 10, 0
    INNER_INT_FAULTS "INT: inner SS beyond the GDT", 0x1001, 0x4000, 10, 0x1000
    INNER_INT_FAULTS "INT: inner SS of another level", DATA0, 0x4000, 10, DATA0
    SET_DESC BAD, 0, 0xfffff, 0x32, 0xc
    INNER_INT_FAULTS "INT: inner SS not present", BAD | 1, 0x4000, 12, BAD
    SET_DESC BAD, 0, 0xfff, 0xb2, 4
    INNER_INT_FAULTS "INT: inner stack too small", BAD | 1, 16, 12, BAD
    mov dword [tss + 0x10], DATA1 | 1
    mov dword [tss + 0xc], INNER_STACK - 0x1000

    ; the handler of #UD is not as it must be: EXT is set, since an exception was being delivered
%macro UD_FAULTS 4.nolist       ; name, access byte, vector, error
    CASE %1, "3A 6.13"
    mov byte [IDT_AT + 6 * 8 + 5], %2
    EXPECT %3, %4, ud2
    mov byte [IDT_AT + 6 * 8 + 5], 0x8e
%endmacro
    UD_FAULTS "#UD whose gate is not present", 0x0e, 11, 6 * 8 + 3
    UD_FAULTS "#UD whose gate is none", 0x80, 13, 6 * 8 + 3
    mov word [IDT_AT + 6 * 8 + 2], 0
    UD_FAULTS "#UD through a null selector", 0x8e, 13, 1
    mov word [IDT_AT + 6 * 8 + 2], DATA0
    UD_FAULTS "#UD to data", 0x8e, 13, DATA0 | 1
    mov word [IDT_AT + 6 * 8 + 2], CODE0
    CASE "an interrupt whose gate is not present", "3A 6.13"
    mov byte [IDT_AT + VEC * 8 + 5], 0x0e
    mov eax, VEC
    out INTERRUPT_PORT, eax
    mov [saved_esp], esp
    mov dword [resume], .intr
    mov byte [vector], 0xff
    sti
    nop
    nop
.intr:
    CHECK_EQ byte [vector], 11
    CHECK_EQ dword [error], VEC * 8 + 3
    USER_FAULTS "INT3 through a gate of DPL 0", "3A 6.12.1.1", 13, 3 * 8 + 2, {int3}
    CASE "INT1 does not look at DPL", "2 INT"
    USER .user_int1
    CHECK_EQ byte [vector], 1
    jmp .done9
.user_int1:
    db 0xf1
.done9:
    mov ecx, 0x7fffffff
    mov dword [user_flags], 0x3802
    USER_FAULTS "INTO through a gate of DPL 0", "3A 6.12.1.1", 13, 4 * 8 + 2, {into}
    PASS

align 4
tss16:
    dw 0, 0xa000, DATA0
    times 20 dw 0
