; Long mode: entering and leaving it, faults, interrupt stacks, levels, SYSCALL, compatibility mode,
; paging rights (SDM volume 3A 4.5, 4.6, 5.8.7, 6.14, 9.8.5).
%include "long.inc"

main:
    CASE "EFER.LMA", "3A 9.8.5"
    mov ecx, 0xc0000080
    rdmsr
    test eax, 0x400                             ; LMA
    CHECK nz

    ; ---- faults at level 0
    xor edx, edx
    xor ecx, ecx
    FAULTS "division by zero", "3A 6.15", 0, 0, {div ecx}
    FAULTS "UD2", "2 UD", 6, 0, {ud2}
    mov rbx, 0x800000000000
    FAULTS "an address that is not canonical", "1 3.3.7.1", 13, 0, {mov eax, [rbx]}
    mov rbp, rbx
    FAULTS "the same through SS", "1 3.3.7.1", 12, 0, {mov eax, [rbp]}
    mov rbx, 0xffff800000000000
    CASE "not present", "3A 4.7"
    EXPECT_PF 0xffff800000000000, 0, mov ecx, [rbx]
    CASE "the last PML4 entry", "3A 4.5"
    mov rbx, 0xffffff8000000000 | 0x7c00        ; the last PML4 entry maps the same
    mov eax, [rbx]
    CHECK_EQ eax, [0x7c00]
    FAULTS "JMP to a null selector", "2 JMP", 13, 0, {jmp dword far [far_null]}
    FAULTS "JMP to code of level 3", "2 JMP", 13, CODE32_3, {jmp dword far [far_code3]}
    FAULTS "JMP to a TSS", "2 JMP", 13, TSS0, {jmp dword far [far_tss]}
    mov rax, 0x10000000000000
    FAULTS "CR3 beyond MAXPHYADDR", "2 MOV", 13, 0, {mov cr3, rax}
    FAULTS "CR8 above 15", "3A 10.8.6", 13, 0, {mov cr8, rax}
    mov rax, cr4
    and al, ~0x20
    FAULTS "CR4.PAE stays in IA-32e mode", "3A 2.5", 13, 0, {mov cr4, rax}
    mov rax, cr0
    and eax, 0x7fffffff
    FAULTS "paging stays in 64-bit code", "2 MOV", 13, 0, {mov cr0, rax}
    mov ecx, 0x12345678
    FAULTS "an MSR that there is not", "2 RDMSR", 13, 0, {rdmsr}

    ; ---- pages: not present, read-only under CR0.WP, no execution, reserved bits; A and D
    CASE "rights of a page, CR0.WP, accessed and dirty", "3A 4.6, 4.8"
    mov rbx, LINEAR(1)
    EXPECT_PF LINEAR(1), 0, mov ecx, [rbx]
    EXPECT_PF LINEAR(1), 2, mov [rbx], ecx
    mov qword [PTE(1)], 0x20000 | 5             ; present, user, read-only
    mov ecx, [rbx]
    CHECK_EQ qword [PTE(1)], 0x20000 | 0x25     ; accessed
    EXPECT_PF LINEAR(1), 3, mov [rbx], ecx
    mov rax, cr0
    and eax, ~0x10000
    mov cr0, rax
    mov dword [rbx], 0x11                       ; WP off: level 0 may
    CHECK_EQ qword [PTE(1)], 0x20000 | 0x65     ; dirty
    or eax, 0x10000
    mov cr0, rax
    EXPECT_PF LINEAR(1), 3, mov [rbx], ecx
    CASE "no execution", "3A 4.6.1"
    mov rcx, 1 << 63
    mov qword [PTE(2)], 0x21000 | 7
    or [PTE(2)], rcx                            ; NX
    mov byte [LINEAR(2)], 0xc3
    mov [saved_rsp], rsp
    mov qword [resume], .nx
    mov eax, LINEAR(2)
    call rax
.nx:
    CHECK_EQ byte [vector], 14
    CHECK_EQ qword [error], 0x11
    CHECK_EQ qword [fault_rip], LINEAR(2)
    mov qword [PTE(2)], 0x21000 | 7
    invlpg [LINEAR(2)]
    mov eax, LINEAR(2)
    call rax
    CASE "reserved bits", "3A 4.7"
    mov rcx, 1 << 51                            ; beyond MAXPHYADDR
    mov qword [PTE(3)], 0x22000 | 7
    or [PTE(3)], rcx
    EXPECT_PF LINEAR(3), 9, mov al, [LINEAR(3)]
    CASE "a store that crosses into a page that is not there leaves the first alone", "3A 6.5"
    mov dword [LINEAR(2) + 0xffc], 0x55555555
    mov qword [PTE(3)], 0
    invlpg [LINEAR(3)]
    mov rcx, -1
    EXPECT_PF LINEAR(3), 2, mov [LINEAR(2) + 0xffc], rcx
    CHECK_EQ dword [LINEAR(2) + 0xffc], 0x55555555

    ; ---- level 3
    CASE "INT from level 3: SS null, RSP0 aligned", "3A 6.14.2"
    USER .user1, CODE64_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ qword [fault_cs], CODE64_3 | 3
    CHECK_EQ qword [fault_rsp], USER_STACK
    CHECK_EQ qword [fault_ss_now], 0            ; null in the handler
    CHECK_EQ qword [handler_rsp], INNER_STACK - 7 * 8 - 8
    jmp .done1
.user1:
    int 0x80
.done1:
    CASE "a supervisor's page at level 3", "3A 4.6.1"
    mov ax, DATA0
    mov ss, ax
    mov qword [PTE(4)], 0x23000 | 3             ; supervisor's
    USER .user2, CODE64_3
    CHECK_EQ byte [vector], 14
    CHECK_EQ qword [error], 5
    jmp .done2
.user2:
    mov al, [LINEAR(4)]
.done2:
    CASE "a gate of DPL 0 from level 3", "2 INT"
    USER .user3, CODE64_3
    CHECK_EQ byte [vector], 13
    CHECK_EQ qword [error], 0x41 * 8 + 2
    jmp .done3
.user3:
    int 0x41
.done3:
    CASE "compatibility mode has no REX", "3A 5.2.1"
    USER .user4, CODE32_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ rbx, 0x12345679
    jmp .done4
bits 32
.user4:
    mov ebx, 0x12345678
    inc ebx                                     ; one byte, 0x43: a REX prefix in 64-bit code
    int 0x80
bits 64
.done4:

    CASE "SYSCALL and SYSRET", "3A 5.8.8"
    mov ecx, 0xc0000081
    xor eax, eax
    mov edx, CODE64 | (CODE32_3 | 3) << 16
    wrmsr
    mov ecx, 0xc0000082
    mov eax, system_call
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084
    mov eax, 0x401                              ; clears DF and CF
    xor edx, edx
    wrmsr
    USER .user5, CODE64_3
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ rbx, 0x600e
    CHECK_EQ qword [fault_rsp], USER_STACK
    test qword [fault_flags], 0x400             ; DF is the user's again
    CHECK nz
    jmp .done5
.user5:
    std
    mov ebx, 0x600d
    syscall
    mov ax, cs
    cmp ax, CODE64_3 | 3
    CHECK e
    int 0x80
.done5:
    cld

    CASE "FS and GS base, SWAPGS", "2 SWAPGS"
    mov ecx, 0xc0000100
    mov eax, 0x500
    xor edx, edx
    wrmsr
    mov qword [0x500], 0x77
    mov rax, [fs:0]
    CHECK_EQ rax, 0x77
    mov ecx, 0xc0000102
    mov eax, 0x508
    xor edx, edx
    wrmsr
    mov qword [0x508], 0x88
    swapgs
    mov rax, [gs:0]
    CHECK_EQ rax, 0x88
    mov ecx, 0xc0000101
    mov eax, 0
    mov edx, 0x80000000
    FAULTS "GS base not canonical", "2 WRMSR", 13, 0, {wrmsr}

    CASE "a stack that is not there: double fault, on its own stack", "3A 6.14.5"
    mov [saved_rsp], rsp
    mov qword [resume], .df
    mov rsp, 0x40000000
    mov byte [vector], 0xff
    push rax
.df:
    CHECK_EQ byte [vector], 8
    CHECK_EQ qword [error], 0
    CHECK_EQ qword [handler_rsp], IST1 - 7 * 8 - 8
    CHECK_EQ qword [fault_rsp], 0x40000000

    PASS

system_call:
    inc ebx
    o64 sysret

align 8
far_null: dd 0
    dw 0
far_code3: dd 0
    dw CODE32_3 | 3
far_tss: dd 0
    dw TSS0
