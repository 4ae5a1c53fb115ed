; Control transfers in long mode: gates, interrupt stacks, far JMP, CALL, RET and IRET between 64-bit,
; compatibility and 16-bit code, system descriptors of 16 bytes, SYSCALL and SYSENTER, single steps,
; breakpoints (SDM volume 3A 3.5, 5.8, 6.14; volume 2 for the instructions; volume 3B 17.2).
%include "long.inc"

%define GATE FREE           ; 16 bytes
%define BAD (FREE + 0x10)   ; 16 bytes
%define CONF (FREE + 0x20)  ; conforming 64-bit code, DPL 0
%define LDT (FREE + 0x30)   ; 16 bytes
%define VEC 0x70
%define NOT_CANONICAL 0x800000000000

; OUTER_FAULTS name, vector, error, CS, RIP, SS: IRETQ and RETFQ
%macro OUTER_FAULTS 6.nolist
    CASE %1, "2 IRET"
    mov rdx, %5
    push qword %6
    push qword USER_STACK
    push qword 2
    push qword %4
    push rdx
    EXPECT %2, %3, iretq
    add rsp, 40
    push qword %6
    push qword USER_STACK
    push qword %4
    push rdx
    EXPECT %2, %3, o64 retf
    add rsp, 32
%endmacro
%macro WRMSR 2.nolist
    mov ecx, %1
    mov rax, %2
    mov rdx, rax
    shr rdx, 32
    wrmsr
%endmacro

main:
    SET_DESC CONF, 0, 0x00209e00
    ; ---- addresses that are not canonical (volume 1, 3.3.7.1)
    mov rbx, NOT_CANONICAL
    FAULTS "JMP to one", "2 JMP", 13, 0, {jmp rbx}
    FAULTS "CALL to one", "2 CALL", 13, 0, {call rbx}
    push rbx
    FAULTS "RET to one", "2 RET", 13, 0, {ret}
    pop rcx
    FAULTS "a store there", "1 3.3.7.1", 13, 0, {mov [rbx], al}
    FAULTS "an access that ends there", "1 3.3.7.1", 13, 0, {mov eax, [rbx - 2]}
    mov rbp, rbx
    FAULTS "through RBP it is #SS", "1 3.3.7.1", 12, 0, {mov [rbp], al}
    FAULTS "with a DS prefix it is still SS's", "1 3.3.7.1", 12, 0, {db 0x3e, 0x88, 0x45, 0}
    mov rcx, rsp
    CASE "PUSH on a stack there: #SS, then on IST1 #DF", "3A 6.14.5"
    mov [saved_rsp], rsp
    mov qword [resume], .push_on
    mov byte [vector], 0xff
    mov rsp, rbx
    push rax
.push_on:
    CHECK_EQ byte [vector], 8
    CHECK_EQ qword [error], 0
    WORKS "LEA of one", "1 3.3.7.1", {lea rax, [rbx]}
    WORKS "INVLPG of one", "2 INVLPG", {invlpg [rbx]}

    ; ---- segments in 64-bit mode (3.4.4, 5.3.1)
    xor eax, eax
    WORKS "null selector into SS at level 0", "2 MOV", {mov ss, ax}
    mov ax, DATA0
    mov ss, ax
    mov eax, 3
    FAULTS "null selector with RPL 3 into SS at level 0", "2 MOV", 13, 0, {mov ss, ax}
    USER_FAULTS "null selector into SS at level 3", "2 MOV", 13, 0, {mov ss, ax}
    xor eax, eax
    mov ds, ax
    WORKS "DS null: no check", "3A 5.3.1", {mov al, [0x500]}
    mov ax, DATA0
    mov ds, ax
    CASE "DS's base does not count", "3A 3.4.4"
    SET_DESC BAD, 0x1000 << 16 | 0xffff, 0x00cf9300
    mov ax, BAD
    mov ds, ax
    mov dword [0x3000], 0x12345678
    CHECK_EQ dword [abs 0x3000], 0x12345678
    mov ax, DATA0
    mov ds, ax
    CASE "FS's base does, limit and type do not", "3A 3.4.4"
    SET_DESC BAD, 0x30000000, 0x00009100        ; base 0x3000, limit 0, read-only
    mov ax, BAD
    mov fs, ax
    CHECK_EQ dword [fs:0], 0x12345678
    mov byte [fs:0x10], 0x77
    CHECK_EQ byte [abs 0x3010], 0x77
    CASE "a null FS has base 0", "2 MOV"
    xor eax, eax
    mov fs, ax
    CHECK_EQ dword [fs:0x3000], 0x12345678

    ; ---- gates of the IDT (6.14)
    CASE "an interrupt at the same level switches no stack but aligns it", "3A 6.14.2"
    SET_GATE IDT_AT + VEC * 16, CODE64, .same, 0x8e, 0
    mov ax, DATA0
    mov ss, ax
    mov rsp, KERNEL_STACK - 4
    int VEC
.same:
    CHECK_EQ rsp, KERNEL_STACK - 16 - 40
    CHECK_EQ qword [rsp], .same
    CHECK_EQ qword [rsp + 8], CODE64
    CHECK_EQ qword [rsp + 24], KERNEL_STACK - 4
    CHECK_EQ qword [rsp + 32], DATA0
    mov ax, ss
    cmp ax, DATA0
    CHECK e
    mov rsp, KERNEL_STACK
    CASE "an interrupt stack at the same level", "3A 6.14.5"
    SET_GATE IDT_AT + VEC * 16, CODE64, .ist, 0x8e, 1
    int VEC
.ist:
    CHECK_EQ rsp, IST1 - 40
    CHECK_EQ qword [rsp + 24], KERNEL_STACK
    mov rsp, KERNEL_STACK
    CASE "from level 3 RSP0, SS null", "3A 6.14.2"
    SET_GATE IDT_AT + VEC * 16, CODE64, .rsp0, 0xee, 0
    USER .int_vec, CODE64_3
    jmp .done1
.int_vec:
    int VEC
.rsp0:
    CHECK_EQ rsp, INNER_STACK - 40
    CHECK_EQ qword [rsp + 8], CODE64_3 | 3
    CHECK_EQ qword [rsp + 24], USER_STACK
    CHECK_EQ qword [rsp + 32], DATA3 | 3
    mov eax, ss
    CHECK_EQ eax, 0
    mov ax, DATA0
    mov ss, ax
    mov rsp, KERNEL_STACK
.done1:
    CASE "from level 3 with an interrupt stack", "3A 6.14.5"
    SET_GATE IDT_AT + VEC * 16, CODE64, .user_ist, 0xee, 1
    USER .int_vec, CODE64_3
.user_ist:
    CHECK_EQ rsp, IST1 - 40
    mov ax, DATA0
    mov ss, ax
    mov rsp, KERNEL_STACK
    CASE "RSP0 not canonical", "3A 6.14.2"
    SET_GATE IDT_AT + VEC * 16, CODE64, main, 0xee, 0
    mov byte [IDT_AT + 12 * 16 + 4], 1
    mov rax, NOT_CANONICAL + 0x1000
    mov [tss + 4], rax
    USER .int_vec, CODE64_3
    CHECK_EQ byte [vector], 12
    CHECK_EQ qword [error], 0
    CHECK_EQ qword [fault_rip], .int_vec
    mov qword [tss + 4], INNER_STACK
    mov byte [IDT_AT + 12 * 16 + 4], 0
    mov ax, DATA0
    mov ss, ax
%macro GATE_FAULTS 6.nolist     ; name, selector, access, last dword of the gate, vector, error
    SET_GATE IDT_AT + VEC * 16, %2, main, %3, 0
    mov dword [IDT_AT + VEC * 16 + 12], %4
    FAULTS %1, "2 INT", %5, %6, {int VEC}
%endmacro
    GATE_FAULTS "a 16-bit interrupt gate", CODE64, 0x86, 0, 13, VEC * 8 + 2
    GATE_FAULTS "a task gate", CODE64, 0x85, 0, 13, VEC * 8 + 2
    GATE_FAULTS "a gate not present", CODE64, 0x0e, 0, 11, VEC * 8 + 2
    GATE_FAULTS "a gate to a null selector", 0, 0x8e, 0, 13, 0
    GATE_FAULTS "a gate to compatibility code", CODE32, 0x8e, 0, 13, CODE32
    GATE_FAULTS "a gate to 64-bit code of level 3", CODE64_3, 0x8e, 0, 13, CODE64_3
    GATE_FAULTS "a gate to data", DATA0, 0x8e, 0, 13, DATA0
    CASE "a gate whose offset is not canonical", "2 INT"
    SET_GATE IDT_AT + VEC * 16, CODE64, main, 0x8e, 0
    mov dword [IDT_AT + VEC * 16 + 8], 0x8000
    EXPECT 13, 0, int VEC
    USER_FAULTS "a gate of DPL 0 from level 3", "2 INT", 13, VEC * 8 + 2, {int VEC}
    FAULTS "a vector beyond the IDT", "2 INT", 13, 0x81 * 8 + 2, {int 0x81}
    CASE "#UD whose gate is not present: EXT", "3A 6.13"
    mov byte [IDT_AT + 6 * 16 + 5], 0x0e
    EXPECT 11, 6 * 8 + 3, ud2
    mov byte [IDT_AT + 6 * 16 + 5], 0x8e

    ; ---- call gates (5.8.3.1)
    SET_GATE gdt + GATE, CODE64, .gate, 0xec, 0
    CASE "a call gate from level 3", "3A 5.8.3.1"
    USER .user_gate, CODE64_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ qword [fault_rsp], USER_STACK
    jmp .done2
.user_gate:
    call far dword [far_gate]
.gate_back:
    int 0x80
.gate:
    CHECK_EQ rsp, INNER_STACK - 32
    CHECK_EQ qword [rsp], .gate_back
    CHECK_EQ qword [rsp + 8], CODE64_3 | 3
    CHECK_EQ qword [rsp + 16], USER_STACK
    CHECK_EQ qword [rsp + 24], DATA3 | 3
    o64 retf
.done2:
    mov ax, DATA0
    mov ss, ax
    CASE "a call gate from compatibility code", "3A 5.8.3.1"
    SET_GATE gdt + GATE, CODE64, .gate32, 0xec, 0
    USER .user_gate32, CODE32_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ qword [fault_cs], CODE32_3 | 3
    jmp .done3
bits 32
.user_gate32:
    call GATE | 3:0
.gate32_back:
    int 0x80
bits 64
.gate32:
    CHECK_EQ qword [rsp], .gate32_back
    CHECK_EQ qword [rsp + 8], CODE32_3 | 3
    o64 retf
.done3:
    mov ax, DATA0
    mov ss, ax
%macro CALL_FAULTS 6.nolist     ; name, selector, access, last dword of the gate, vector, error
    SET_GATE gdt + GATE, %2, main, %3, 0
    mov dword [gdt + GATE + 12], %4
    FAULTS %1, "2 CALL", %5, %6, {call far dword [far_gate0]}
%endmacro
    CALL_FAULTS "a 16-bit call gate", CODE64, 0x84, 0, 13, GATE
    CALL_FAULTS "a task gate", CODE64, 0x85, 0, 13, GATE
    CALL_FAULTS "a type in its upper half", CODE64, 0x8c, 0x100, 13, GATE
    CALL_FAULTS "a call gate to compatibility code", CODE32, 0x8c, 0, 13, CODE32
    CALL_FAULTS "a call gate not present", CODE64, 0x0c, 0, 11, GATE
    CALL_FAULTS "a call gate to a null selector", 0, 0x8c, 0, 13, 0
    CASE "a call gate whose offset is not canonical", "2 CALL"
    SET_GATE gdt + GATE, CODE64, main, 0x8c, 0
    mov dword [gdt + GATE + 8], 0x8000
    EXPECT 13, 0, call far dword [far_gate0]
    FAULTS "JMP to a TSS", "2 JMP", 13, TSS0, {jmp far dword [far_tss0]}

    ; ---- JMP, CALL and RET between widths
    SET_DESC BAD, 0xffff, 0x00ef9a00
    FAULTS "code with both L and D", "3A 5.2.1", 13, BAD, {jmp far dword [far_bad]}
    CASE "to compatibility code and back", "2 JMP"
    mov rax, 0x1122334455667788
    jmp far dword [far_compat]
bits 32
.compat:
    inc eax                                     ; 0x40: REX in 64-bit code
    jmp CODE64:.from_compat
bits 64
.from_compat:
    mov ecx, 0x55667789
    CHECK_EQ rax, rcx                           ; 32-bit results clear the rest
    CASE "to 16-bit code and back", "2 JMP"
    jmp far dword [far_code16]
bits 16
.code16:
    mov ax, sp
    jmp dword CODE64:.from16
bits 64
.from16:
    CASE "CALL and RETF with 64-bit operands", "2 CALL"
    mov rbx, rsp
    call far qword [far_call64]
.call64_back:
    CHECK_EQ rsp, rbx
    jmp .done4
.call64:
    CHECK_EQ qword [rsp], .call64_back
    CHECK_EQ qword [rsp + 8], CODE64
    o64 retf
.done4:
    OUTER_FAULTS "return to a null CS", 13, 0, 0, main, DATA3 | 3
    OUTER_FAULTS "return to an address that is not canonical", 13, 0, CODE64_3 | 3, NOT_CANONICAL, DATA3 | 3
    OUTER_FAULTS "return to level 3 with a null SS", 13, 0, CODE64_3 | 3, main, 3
    OUTER_FAULTS "return to data", 13, DATA3, DATA3 | 3, main, DATA3 | 3
    OUTER_FAULTS "return with an SS of level 0", 13, DATA0, CODE64_3 | 3, main, DATA0 | 3
    CASE "IRETQ at the same level pops SS:RSP, and SS may be null", "2 IRET"
    push qword 0
    push qword KERNEL_STACK - 0x100
    push qword 2
    push qword CODE64
    push qword .iret_same
    iretq
.iret_same:
    CHECK_EQ rsp, KERNEL_STACK - 0x100
    mov eax, ss
    CHECK_EQ eax, 0
    mov ax, DATA0
    mov ss, ax
    mov rsp, KERNEL_STACK
    CASE "IRET with NT", "2 IRET"
    push qword 0x4002
    popfq
    EXPECT 13, 0, iretq

    ; ---- system descriptors of 16 bytes (3.5.2)
    CASE "LLDT takes 64 bits of base", "2 LLDT"
    SET_DESC LDT, 0x30000007, 0x00008200        ; base 0x3000
    mov dword [gdt + LDT + 8], 0xffffff80       ; the same memory, at the top
    mov dword [gdt + LDT + 12], 0
    mov rax, 0x00209a0000000000
    mov [0x3000], rax
    mov eax, LDT
    lldt ax
    mov ecx, 4
    lar edx, ecx
    CHECK z
    mov dword [gdt + LDT + 12], 0x100
    FAULTS "LLDT: a type in the upper half", "3A 3.5.2", 13, LDT, {lldt ax}
    mov dword [gdt + LDT + 12], 0
    mov dword [gdt + LDT + 8], 0x8000
    FAULTS "LLDT: a base that is not canonical", "2 LLDT", 13, LDT, {lldt ax}
    mov eax, TSS0
    FAULTS "LTR of a busy TSS", "2 LTR", 13, TSS0, {ltr ax}
    SET_DESC BAD, 0x67, 0x00008100
    mov dword [gdt + BAD + 8], 0
    mov dword [gdt + BAD + 12], 0
    mov eax, BAD
    FAULTS "LTR of a 16-bit TSS", "2 LTR", 13, BAD, {ltr ax}
%macro LAR_IS 3.nolist          ; name, access, z or nz
    CASE %1, "2 LAR"
    SET_DESC BAD, 0x67, (%2) << 8
    mov ecx, BAD
    lar eax, ecx
    CHECK %3
%endmacro
    LAR_IS "LAR of a 16-bit TSS", 0x81, nz
    LAR_IS "LAR of a 64-bit TSS", 0x89, z
    LAR_IS "LAR of a 64-bit call gate", 0x8c, z
    LAR_IS "LAR of a 16-bit call gate", 0x84, nz
    LAR_IS "LAR of a task gate", 0x85, nz
    LAR_IS "LAR of an interrupt gate", 0x8e, nz

    ; ---- SYSCALL, SYSRET (5.8.8)
    WRMSR 0xc0000081, CODE64 << 32 | (CODE32_3 | 3) << 48
    WRMSR 0xc0000082, system_call
    WRMSR 0xc0000084, 0x40700                   ; AC, DF, IF, TF
    mov qword [user_flags], 0x243402
    CASE "SYSCALL", "2 SYSCALL"
    mov qword [call_hook], .in_call
    USER .do_syscall, CODE64_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ qword [fault_cs], CODE64_3 | 3
    CHECK_EQ qword [fault_rsp], USER_STACK
    mov rax, [fault_flags]
    CHECK_EQ eax, 0x243402                      ; all back by R11
    jmp .done5
.do_syscall:
    syscall
.syscall_back:
    int 0x80
.in_call:
    CHECK_EQ rcx, .syscall_back
    CHECK_EQ r11, 0x243402
    CHECK_EQ rsp, USER_STACK                    ; no stack switch
    pushfq
    pop rax
    xor al, al
    CHECK_EQ eax, 0x203000
    mov eax, cs
    CHECK_EQ eax, CODE64
    mov eax, ss
    CHECK_EQ eax, CODE64 + 8
    o64 sysret
.done5:
    CASE "SYSRET to compatibility code", "2 SYSRET"
    mov qword [call_hook], .ret32
    USER .do_syscall, CODE64_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ qword [fault_cs], CODE32_3 | 3
    jmp .done6
.ret32:
    o32 sysret
.done6:
    mov rcx, NOT_CANONICAL
    FAULTS "SYSRET to an address that is not canonical, at level 0", "2 SYSRET", 13, 0, {o64 sysret}
    USER_FAULTS "SYSRET at level 3", "2 SYSRET", 13, 0, {o64 sysret}
    CASE "SYSCALL in compatibility code", "2 SYSCALL"
    USER .syscall32, CODE32_3
    CHECK_EQ byte [vector], 6
    WRMSR 0xc0000080, 0xd00
    USER_FAULTS "SYSCALL without EFER.SCE", "2 SYSCALL", 6, 0, {syscall}
    WRMSR 0xc0000080, 0xd01
    jmp .done7
bits 32
.syscall32:
    syscall
bits 64
.done7:
    CASE "SYSCALL whose TF is masked takes no step", "2 SYSCALL"
    mov qword [user_flags], 0x3002
    mov qword [call_hook], .step_masked
    USER .step_syscall, CODE64_3
    CHECK_EQ byte [vector], 1
    CHECK_EQ qword [fault_rip], .step_back      ; the SYSRET that brings TF back does
    jmp .done8
.step_syscall:
    pushfq
    or dword [rsp], 0x100
    popfq
    syscall
.step_back:
    nop
    int 0x80
.step_masked:
    nop
    o64 sysret
.done8:
    mov ax, DATA0
    mov ss, ax
    CASE "SYSCALL whose TF is not masked steps in the kernel", "2 SYSCALL"
    WRMSR 0xc0000084, 0
    USER .step_syscall, CODE64_3
    CHECK_EQ byte [vector], 1
    CHECK_EQ qword [fault_rip], system_call
    CHECK_EQ qword [fault_cs], CODE64
    mov ax, DATA0
    mov ss, ax

    ; ---- SYSENTER, SYSEXIT (5.8.7)
    WRMSR 0x174, 0
    FAULTS "SYSENTER with a null selector", "2 SYSENTER", 13, 0, {sysenter}
    WRMSR 0x174, CODE64
    WRMSR 0x175, INNER_STACK
    WRMSR 0x176, .entered
    CASE "SYSENTER", "2 SYSENTER"
    mov qword [user_flags], 0x3202
    USER .do_sysenter, CODE64_3
    jmp .done9
.do_sysenter:
    sysenter
.entered:
    mov eax, cs
    CHECK_EQ eax, CODE64
    mov eax, ss
    CHECK_EQ eax, CODE64 + 8
    CHECK_EQ rsp, INNER_STACK
    pushfq
    pop rax
    test eax, 0x200
    CHECK z
    mov rsp, KERNEL_STACK
.done9:
    mov qword [user_flags], 0x3002
    mov rcx, USER_STACK
    mov rdx, NOT_CANONICAL
    FAULTS "SYSEXIT to an address that is not canonical", "2 SYSEXIT", 13, 0, {o64 sysexit}
    USER_FAULTS "SYSEXIT at level 3", "2 SYSEXIT", 13, 0, {o64 sysexit}
    CASE "SYSEXIT to 64-bit code: CS + 32", "2 SYSEXIT"
    mov [saved_rsp], rsp
    mov qword [resume], .exited
    mov byte [vector], 0xff
    mov rcx, USER_STACK - 0x100
    mov rdx, .exit_to
    o64 sysexit
.exit_to:
    ud2
.exited:
    CHECK_EQ qword [fault_rip], .exit_to
    CHECK_EQ qword [fault_cs], (CODE64 + 32) | 3
    CHECK_EQ qword [fault_rsp], USER_STACK - 0x100
    mov ax, DATA0
    mov ss, ax

    ; ---- debug registers (volume 3B 17.2.6)
    mov rax, 0x100000000
    FAULTS "DR6: upper half", "3B 17.2.6", 13, 0, {mov dr6, rax}
    FAULTS "DR7: upper half", "3B 17.2.6", 13, 0, {mov dr7, rax}
    mov rax, NOT_CANONICAL
    CASE "DR0 takes any address", "3B 17.2.6"
    mov dr0, rax
    mov rcx, dr0
    CHECK_EQ rcx, rax
    CASE "a breakpoint above 4 GiB", "3B 17.2.6"
    mov rax, 0xffffff8000003000
    mov dr0, rax
    mov ecx, 0x00090002                         ; a write of 8 bytes
    mov dr7, rcx
    mov [saved_rsp], rsp
    mov qword [resume], .high
    mov byte [vector], 0xff
    mov dword [abs 0x3000], 1                   ; the same memory elsewhere: not this one
    CHECK_EQ byte [vector], 0xff
    mov dword [rax + 4], 1
.high:
    CHECK_EQ byte [vector], 1
    xor eax, eax
    mov dr7, rax
    PASS

system_call:
    jmp [call_hook]

align 8
call_hook: dq 0
far_call64: dq main.call64
    dw CODE64
far_gate: dd 0
    dw GATE | 3
far_gate0: dd 0
    dw GATE
far_tss0: dd 0
    dw TSS0
far_bad: dd 0
    dw BAD
far_compat: dd main.compat
    dw CODE32
far_code16: dd main.code16
    dw CODE16
