; Long mode: entering and leaving it, faults, interrupt stacks, levels, SYSCALL, compatibility mode,
; paging rights (SDM volume 3A 4.5, 4.6, 5.8.7, 6.14, 9.8.5).
%include "long.inc"

main:
    mov ecx, 0xc0000080
    rdmsr
    test eax, 0x400                             ; LMA
    CHECK nz

    ; ---- faults at level 0
    xor edx, edx
    xor ecx, ecx
    EXPECT 0, 0, div ecx
    EXPECT 6, 0, ud2
    mov rbx, 0x800000000000
    EXPECT 13, 0, mov eax, [rbx]                ; not canonical
    mov rbp, rbx
    EXPECT 12, 0, mov eax, [rbp]                ; the same through SS
    mov rbx, 0xffff800000000000
    EXPECT_PF 0xffff800000000000, 0, mov ecx, [rbx]
    mov rbx, 0xffffff8000000000 | 0x7c00        ; the last PML4 entry maps the same
    mov eax, [rbx]
    CHECK_EQ eax, [0x7c00]
    EXPECT 13, 0, jmp dword far [far_null]
    EXPECT 13, CODE32_3, jmp dword far [far_code3]
    EXPECT 13, TSS0, jmp dword far [far_tss]
    mov rax, 0x10000000000000
    EXPECT 13, 0, mov cr3, rax
    EXPECT 13, 0, mov cr8, rax
    mov rax, cr4
    and al, ~0x20
    EXPECT 13, 0, mov cr4, rax                  ; PAE stays
    mov rax, cr0
    and eax, 0x7fffffff
    EXPECT 13, 0, mov cr0, rax                  ; paging stays, in 64-bit code
    mov ecx, 0x12345678
    EXPECT 13, 0, rdmsr

    ; ---- pages: not present, read-only under CR0.WP, no execution, reserved bits; A and D
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
    mov rcx, 1 << 51                            ; beyond MAXPHYADDR
    mov qword [PTE(3)], 0x22000 | 7
    or [PTE(3)], rcx
    EXPECT_PF LINEAR(3), 9, mov al, [LINEAR(3)]
    ; a store that crosses into a page that is not there leaves the first page alone
    mov dword [LINEAR(2) + 0xffc], 0x55555555
    mov qword [PTE(3)], 0
    invlpg [LINEAR(3)]
    mov rcx, -1
    EXPECT_PF LINEAR(3), 2, mov [LINEAR(2) + 0xffc], rcx
    CHECK_EQ dword [LINEAR(2) + 0xffc], 0x55555555

    ; ---- level 3
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
    USER .user3, CODE64_3
    CHECK_EQ byte [vector], 13
    CHECK_EQ qword [error], 0x41 * 8 + 2
    jmp .done3
.user3:
    int 0x41
.done3:
    ; compatibility mode: 32-bit registers, segments that count
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

    ; ---- SYSCALL and SYSRET
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

    ; ---- FS and GS
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
    EXPECT 13, 0, wrmsr                         ; not canonical

    ; ---- a stack that is not there: double fault, on its own stack
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
