; The stack where something happens to its page: whoever remembers where that lies must forget it in time (SDM
; volume 3A 4.10.4, 4.6; volume 2 PUSH, POP, RET).
%include "long.inc"

%define CR4_SMAP (1 << 21)
%define CR4_PKE  (1 << 22)
%define TOP(n) (LINEAR(n) + 0x800)
%define LOST 1 << 62        ; not canonical

; ON address - the stack there; OFF - the program's own again.  R15 keeps that.
%macro ON 1.nolist
    mov r15, rsp
    mov rsp, %1
%endmacro
%macro OFF 0.nolist
    mov rsp, r15
%endmacro

; ON_STACK address, vector, error code, instruction: what it does with the stack there
%macro ON_STACK 4+.nolist
    mov [saved_rsp], rsp
    mov qword [resume], %%after
    mov byte [vector], 0xff
    ON %1
%%at:
    %4
    OFF
%%after:
    CHECK_EQ byte [vector], %2
    CHECK_EQ qword [error], %3
    CHECK_EQ qword [fault_rip], %%at
    mov rax, %1
    CHECK_EQ qword [fault_rsp], rax             ; the instruction has left it as it was
%endmacro

; PRIME n - the page has been the stack for a while
%macro PRIME 1.nolist
    ON TOP(%1)
  %rep 10
    push rax
    pop rax
  %endrep
    OFF
%endmacro

main:
    mov byte [IDT_AT + 12 * 16 + 4], 1          ; the stack is no good where #SS, #GP and #PF come from
    mov byte [IDT_AT + 13 * 16 + 4], 1
    mov byte [IDT_AT + 14 * 16 + 4], 1
    mov qword [PTE(1)], 0x20000 | 3
    mov qword [PTE(2)], 0x23000 | 3
    mov qword [PTE(3)], 0x21000 | 3
    mov qword [0x20800], 0x2020
    mov qword [0x21800], 0x2121

    CASE "another page behind INVLPG", "3A 4.10.4.1"
    PRIME 1
    mov qword [PTE(1)], 0x21000 | 3
    invlpg [LINEAR(1)]
    ON TOP(1)
    pop rax
    push rax
    mov rbx, [rsp]
    OFF
    CHECK_EQ rax, 0x2121
    CHECK_EQ rbx, 0x2121
    CASE "another page behind a load of CR3", "3A 4.10.4.1"
    PRIME 1
    mov qword [PTE(1)], 0x20000 | 3
    mov rax, cr3
    mov cr3, rax
    ON TOP(1)
    mov rax, [rsp]
    push qword 0x77
    OFF
    CHECK_EQ rax, 0x2020
    CHECK_EQ qword [0x207f8], 0x77

    CASE "a page that must not be written any more", "3A 4.6.1"
    PRIME 1
    mov qword [PTE(1)], 0x20000 | 1
    invlpg [LINEAR(1)]
    ON_STACK TOP(1), 14, 3, push rax
    ON_STACK TOP(1), 14, 3, call main
    ON_STACK TOP(1), 14, 3, mov [rsp + 8], eax
    ON TOP(1)
    pop rax
    OFF
    CHECK_EQ rax, 0x2020                        ; read it may be
    CASE "a page that is there no more", "3A 4.7"
    mov qword [PTE(1)], 0x20000 | 3
    invlpg [LINEAR(1)]
    PRIME 1
    mov qword [PTE(1)], 0
    invlpg [LINEAR(1)]
    ON_STACK TOP(1), 14, 0, pop rax
    ON_STACK TOP(1), 14, 2, push rax
    ON_STACK TOP(1), 14, 0, ret
    ON_STACK TOP(1), 14, 0, add rax, [rsp - 0x40]
    mov qword [PTE(1)], 0x20000 | 3

    CASE "across the border of two pages", "1 6.2.3"
    PRIME 1
    mov qword [0x20ff8], 0
    mov qword [0x23000], 0
    ON LINEAR(2) + 4
    mov rax, 0x1122334455667788
    push rax
    pop rbx
    push rax
    OFF
    CHECK_EQ rax, rbx
    CHECK_EQ dword [0x20ffc], 0x55667788
    CHECK_EQ dword [0x23000], 0x11223344
    ON LINEAR(2) + 16
    push rax
    push rbx
    push rax
    push rbx
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    mov rbp, rsp
    OFF
    CHECK_EQ rcx, rax
    CHECK_EQ rdi, rax
    CHECK_EQ rbp, LINEAR(2) + 16
    CHECK_EQ qword [0x20ff0], rax
    CHECK_EQ qword [0x20ff8], rax
    CHECK_EQ qword [0x23000], rax
    CHECK_EQ qword [0x23008], rax
    CASE "a frame in two pages, to and fro", "1 6.2.3"
    mov ecx, 100
    xor edx, edx
    ON LINEAR(2) - 16
.frame:
    mov [rsp], rcx
    mov [rsp + 16], rcx
    add rdx, [rsp]
    add rdx, [rsp + 16]
    dec ecx
    jnz .frame
    OFF
    CHECK_EQ rdx, 100 * 101
    CASE "down through three pages and up again", "1 6.2.3"
    mov ecx, 1400                               ; 11,200 bytes
    ON LINEAR(4)
.down:
    push rcx
    dec ecx
    jnz .down
    xor edx, edx
    mov ecx, 1400
.up:
    pop rax
    add rdx, rax
    dec ecx
    jnz .up
    mov rbx, rsp
    OFF
    CHECK_EQ rdx, 1400 * 1401 / 2
    CHECK_EQ rbx, LINEAR(4)

    CASE "code on the stack, which a push changes", "3A 8.1.3"
    mov dword [0x21700], 0x00c3c031             ; xor eax, eax; ret
    mov ebx, LINEAR(3) + 0x700
    PRIME 3
    ON TOP(3)
    mov eax, 1
    call rbx
    mov edx, eax
    OFF
    CHECK_EQ edx, 0
    mov rcx, 0xc300000005b8                     ; mov eax, 5; ret
    ON LINEAR(3) + 0x708
    push rcx
    OFF
    ON TOP(3)
    call rbx
    OFF
    CHECK_EQ eax, 5
    mov dword [0x21700], 0x00c3c031
    ON TOP(3)
    call rbx
    mov dword [rsp - 0xff], 0xc340c031          ; xor eax, eax; inc
    mov byte [rsp - 0x100], 0x90
    mov dword [rsp - 0xff], 0x90c3c0ff          ; inc eax; ret
    call rbx
    OFF
    CHECK_EQ eax, 1

    CASE "addresses that are not canonical", "1 3.3.7.1"
    PRIME 1
    ON_STACK LOST, 12, 0, push rax
    ON_STACK LOST, 12, 0, pop rax
    ON_STACK LOST, 12, 0, mov [rsp + 8], rax
    ON_STACK LOST, 12, 0, ret
    mov qword [0x20800], 2
    PRIME 1
    mov rbx, LOST
    ON TOP(1)
    mov [rsp], rbx
    OFF
    ON_STACK TOP(1), 13, 0, ret
    ON_STACK TOP(1), 13, 0, ret 8
    ON_STACK TOP(1), 13, 0, jmp rbx
    ON_STACK TOP(1), 13, 0, jmp [rsp]

    CASE "the x87's last instruction, where a return faults behind it", "1 8.1.8"
    mov qword [PTE(1)], 0
    invlpg [LINEAR(1)]
    fninit
    mov [saved_rsp], rsp
    mov qword [resume], .ret_faulted
    ON TOP(1)
.fld_ret:
    fld1
    ret
.ret_faulted:
    fnstenv [environment]
    CHECK_EQ dword [environment + 12], .fld_ret
    mov ebx, LINEAR(1)
    fninit
    mov [saved_rsp], rsp
    mov qword [resume], .jmp_faulted
.fld_jmp:
    fldpi
    jmp [rbx]
.jmp_faulted:
    fnstenv [environment]
    CHECK_EQ dword [environment + 12], .fld_jmp
    mov qword [PTE(1)], 0x20000 | 3

    CASE "what the kernel has had as its stack is not the user's", "3A 4.6.1"
    mov qword [PTE(5)], 0x24000 | 3
    mov ecx, 20
.levels:
    PRIME 5
    USER .pushes, CODE64_3
    CHECK_EQ byte [vector], 14
    CHECK_EQ qword [error], 7
    USER .pops, CODE64_3
    CHECK_EQ byte [vector], 14
    CHECK_EQ qword [error], 5
    dec ecx
    jnz .levels
    jmp .levels_done
.pushes:
    mov esp, TOP(5)
    push rax
    int 0x80
.pops:
    mov esp, TOP(5)
    pop rax
    int 0x80
.levels_done:

    CASE "SMAP: the user's page as the kernel's stack", "3A 4.6.1"
    WITHOUT 7, ebx, 20, .no_smap
    mov dword [PD], 0x83
    invlpg [0]
    mov qword [PTE(6)], 0x25000 | 7
    CR4_SET CR4_SMAP
    mov ecx, 20
.smap:
    stac
    PRIME 6
    clac
    ON_STACK TOP(6), 14, 1, pop rax
    ON_STACK TOP(6), 14, 3, push rax
    stac
    ON TOP(6)
    push rcx
    pop rdx
    OFF
    clac
    CHECK_EQ ecx, edx
    dec ecx
    jnz .smap
    CR4_CLEAR CR4_SMAP
    mov dword [PD], 0x87
    invlpg [0]
.no_smap:

    CASE "protection keys", "3A 4.6.2"
    WITHOUT 7, ecx, 3, .no_keys
    mov rax, 5 << 59 | 0x25000 | 7              ; key 5
    mov [PTE(6)], rax
    invlpg [LINEAR(6)]
    CR4_SET CR4_PKE
    xor eax, eax
    xor ecx, ecx
    xor edx, edx
    wrpkru
    PRIME 6
    mov eax, 2 << 10                            ; WD
    wrpkru
    ON_STACK TOP(6), 14, 0x23, push rax
    mov eax, 1 << 10                            ; AD
    xor ecx, ecx
    xor edx, edx
    wrpkru
    ON_STACK TOP(6), 14, 0x21, pop rax
    xor eax, eax
    wrpkru
    CR4_CLEAR CR4_PKE
.no_keys:
    PASS

align 8
environment: times 28 db 0
