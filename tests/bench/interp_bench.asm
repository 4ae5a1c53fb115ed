; Guest loops for tests/bench/interp_bench.c: 64-bit, flat, loaded at 0x8000.  Each part begins at a
; multiple of 256 bytes, runs for ever, and uses memory from 0x200000 on.
bits 64
org 0x8000

%macro part 0
    align 256, db 0xcc
%endmacro

; 0: arithmetic in registers
    mov ecx, 12345
    mov rax, 1
    mov rdx, 0x9e3779b97f4a7c15
.loop:
    add rax, rdx
    mov rbx, rax
    shr rbx, 7
    xor rax, rbx
    lea rsi, [rax + rbx*4 + 3]
    and esi, 0xffff
    sub rax, rsi
    inc ecx
    cmp rax, rsi
    jne .loop
    jmp .loop

; 1: memory: sums and stores in an array of 64 KiB, byte and word accesses
    part
memory:
    mov ebx, 0x200000
.again:
    xor ecx, ecx
.loop:
    mov rax, [rbx + rcx*8]
    add rax, [rbx + rcx*8 + 8]
    mov [rbx + rcx*8], rax
    movzx edx, byte [rbx + rcx]
    add [rbx + rcx*4 + 64], edx
    mov byte [rbx + rcx + 7], dl
    inc rcx
    cmp rcx, 8192
    jb .loop
    jmp .again

; 2: calls: a recursive Fibonacci
    part
calls:
    mov edi, 20
    call fib
    jmp calls
fib:
    push rbp
    mov rbp, rsp
    push rbx
    push rdi
    mov eax, edi
    cmp edi, 2
    jb .done
    dec edi
    call fib
    mov ebx, eax
    mov edi, [rbp - 16]
    sub edi, 2
    call fib
    add eax, ebx
.done:
    pop rdi
    pop rbx
    pop rbp
    ret

; 3: like a kernel: list walks, bit tests, indirect calls, string moves of a few words, flags kept
    part
kernel:
    mov ebx, 0x210000
    xor ecx, ecx
.build:                             ; 1024 nodes of 32 bytes, linked with a stride
    lea eax, [rcx*8 + rcx + 5]
    and eax, 1023
    shl eax, 5
    add eax, ebx
    mov edx, ecx
    shl edx, 5
    mov [rbx + rdx], rax
    mov [rbx + rdx + 8], ecx
    inc ecx
    cmp ecx, 1024
    jb .build
.walk:
    mov r12, rbx
    mov r13d, 1024
.node:
    mov eax, [r12 + 8]
    test eax, eax
    je .skip
    mov ecx, eax
    and ecx, 3
    lea rdx, [rel .table]
    movsxd r8, dword [rdx + rcx*4]
    add rdx, r8
    mov rdi, r12
    call rdx
    bt eax, 3
    jnc .skip
    cmp byte [r12 + 20], 0
    setne al
    movzx eax, al
    add [r12 + 24], eax
.skip:
    mov r12, [r12]
    dec r13d
    jne .node
    jmp .walk
.table:
    dd .f0 - .table, .f1 - .table, .f2 - .table, .f3 - .table
.f0:
    push rbx
    mov eax, [rdi + 12]
    add eax, 3
    mov [rdi + 12], eax
    pop rbx
    ret
.f1:
    mov eax, [rdi + 16]
    xor eax, 0x55
    cmp eax, [rdi + 12]
    cmovb eax, [rdi + 12]
    mov [rdi + 16], eax
    ret
.f2:
    push rdi
    push rsi
    mov rsi, rdi
    lea edi, [rbx + 0x10000]
    mov ecx, 4
    rep movsq
    pop rsi
    pop rdi
    mov eax, 8
    ret
.f3:
    lock inc dword [rdi + 20]
    mov eax, [rdi + 20]
    neg eax
    sbb eax, eax
    and eax, 8
    ret
