; Where addresses and instruction pointers wrap, and where they do not: EIP at 4 GiB, IP at 64 KiB, stacks and
; strings of 16 bits (SDM volume 1 3.3.7, 6.2.3, 7.3.8; volume 3A 5.3, 20.1.1; volume 2 for the instructions).
%include "protected.inc"

%define LOW  FREE               ; code: base 0x2000, limit 4 GiB, 32 bits
%define LOW16 FREE + 8          ; code: base 0x4000, limit 64 KiB, 16 bits
%define BIG16 FREE + 16         ; code: base 0x4000, limit 4 GiB, 16 bits
%define DATA16 FREE + 24        ; data and stack: base 0x10000, limit 64 KiB, 16 bits
%define LOW_BASE 0x3000
%define LOW16_BASE 0x20000
%define DATA16_BASE 0x40000

; RUN_AT selector, its base, offset: what is there, until it faults
%macro RUN_AT 3.nolist
    mov [saved_esp], esp
    mov dword [resume], %%after
    mov byte [vector], 0xff
    jmp %1:%3
%%after:
%endmacro

main:
    SET_DESC LOW, LOW_BASE, 0xfffff, 0x9a, 0xc
    SET_DESC LOW16, LOW16_BASE, 0xffff, 0x9a, 0
    SET_DESC BIG16, LOW16_BASE, 0xfffff, 0x9a, 8
    SET_DESC DATA16, DATA16_BASE, 0xffff, 0x92, 0

    ; ---- 32-bit code at the end of its 4 GiB, which lie behind one another in low memory
    CASE "EIP goes from FFFFFFFF to 0", "1 3.3.7"
    mov word [LOW_BASE - 2], 0x9040             ; inc eax, nop: up to FFFFFFFF
    mov dword [LOW_BASE], 0x80cd40              ; inc eax, int 0x80
    xor eax, eax
    RUN_AT LOW, LOW_BASE, 0xfffffffe
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 3
    CHECK_EQ eax, 2
    CASE "an instruction goes on behind FFFFFFFF", "1 3.3.7"
    mov dword [LOW_BASE - 4], 0x2211b890        ; mov eax, 44332211
    mov dword [LOW_BASE], 0x80cd4433
    RUN_AT LOW, LOW_BASE, 0xfffffffd
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 4
    CHECK_EQ eax, 0x44332211
    CASE "a fault in what ends there", "1 3.3.7"
    mov dword [LOW_BASE - 4], 0x0b0f9090        ; ud2
    RUN_AT LOW, LOW_BASE, 0xfffffffe
    CHECK_EQ byte [vector], 6
    CHECK_EQ dword [fault_ip], 0xfffffffe
    CASE "a relative jump over 4 GiB", "2 JMP"
    mov dword [LOW_BASE - 4], 0x00eb9090        ; jmp +0: its next instruction is at 0
    mov dword [LOW_BASE], 0x80cd40
    RUN_AT LOW, LOW_BASE, 0xfffffffe
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 3
    CASE "and back", "2 JMP"
    mov word [LOW_BASE], 0xfaeb                 ; jmp -6: to FFFFFFFC
    mov dword [LOW_BASE - 4], 0x80cd
    RUN_AT LOW, LOW_BASE, 0
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 0xfffffffe
    CASE "a CALL whose return address is 0", "2 CALL"
    mov byte [LOW_BASE - 5], 0xe8
    mov dword [LOW_BASE - 4], 0x10              ; call 0x10
    mov dword [LOW_BASE + 0x10], 0x80cd59       ; pop ecx, int 0x80
    mov ecx, -1
    RUN_AT LOW, LOW_BASE, 0xfffffffb
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ ecx, 0

    ; ---- 16-bit code at the end of 64 KiB
    CASE "IP does not wrap: running over the limit is #GP behind it", "3A 5.3"
    mov byte [LOW16_BASE + 0xffff], 0x90
    mov word [LOW16_BASE], 0x80cd
    RUN_AT LOW16, LOW16_BASE, 0xffff
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0
    CHECK_EQ dword [fault_ip], 0x10000
    CASE "an instruction across the limit is #GP", "3A 5.3"
    mov byte [LOW16_BASE + 0xffff], 0x40
    mov byte [LOW16_BASE + 0xfffe], 0x66
    mov byte [LOW16_BASE + 0xffff], 0xb8
    RUN_AT LOW16, LOW16_BASE, 0xfffe
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], 0xfffe
    CASE "a relative jump of 16 bits wraps at 64 KiB", "2 JMP"
    mov word [LOW16_BASE + 0xfffe], 0x00eb      ; jmp +0
    RUN_AT LOW16, LOW16_BASE, 0xfffe
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 2
    CASE "whatever the limit", "2 JMP"
    RUN_AT BIG16, LOW16_BASE, 0xfffe
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 2
    CASE "a 16-bit CALL, too, and pushes 16 bits", "2 CALL"
    mov byte [LOW16_BASE + 0xfffd], 0xe8
    mov word [LOW16_BASE + 0xfffe], 0x10
    mov dword [LOW16_BASE + 0x10], 0x80cd59     ; pop cx, int 0x80
    mov ecx, -1
    RUN_AT BIG16, LOW16_BASE, 0xfffd
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ ecx, 0xffff0000
    CASE "a jump of 32 bits does not", "2 JMP"
    mov word [LOW16_BASE + 0xfffa], 0xe966      ; jmp near dword +0
    mov dword [LOW16_BASE + 0xfffc], 0
    mov word [LOW16_BASE + 0x10000], 0x80cd
    RUN_AT BIG16, LOW16_BASE, 0xfffa
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 0x10002
    CASE "and beyond the limit it faults at the jump", "2 JMP"
    RUN_AT LOW16, LOW16_BASE, 0xfffa
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], 0xfffa
    CASE "16-bit code has 32 bits of EIP: over 64 KiB", "3A 5.3"
    mov dword [LOW16_BASE + 0xffff], 0x0b0f4040 ; inc ax, inc ax, ud2
    RUN_AT BIG16, LOW16_BASE, 0xffff
    CHECK_EQ byte [vector], 6
    CHECK_EQ dword [fault_ip], 0x10001
    CASE "a 16-bit RET clears the upper half of EIP", "2 RET"
    mov byte [LOW16_BASE + 0x12000], 0xc3       ; ret
    push dword 0x1234fffe                       ; its upper half stays on the stack
    mov word [LOW16_BASE + 0xfffe], 0x80cd
    RUN_AT BIG16, LOW16_BASE, 0x12000
    CHECK_EQ byte [vector], 0x80
    CHECK_EQ dword [fault_ip], 0x10000
    pop eax

    ; ---- 16-bit addresses in 32-bit code: the sum wraps, the access does not
    mov ax, DATA16
    mov es, ax
    mov [handler_es], ax
    mov dword [DATA16_BASE + 0xfffc], 0x44332211
    mov dword [DATA16_BASE], 0x88776655
    CASE "base, index and displacement wrap at 64 KiB", "1 3.7.5"
    mov bx, 0xfff0
    mov si, 0x8000
    mov al, [es:bx + si + 0x8010]
    CHECK_EQ al, 0x55
    FAULTS "a word at FFFF does not", "3A 5.3", 13, 0, {a16 mov ax, [es:0xffff]}
    CASE "LEA neither faults nor keeps the carry", "2 LEA"
    mov bx, 0xffff
    lea eax, [bx + 2]
    CHECK_EQ eax, 1
    CASE "LODSB: SI goes from FFFF to 0", "1 3.3.7"
    mov esi, 0x5678ffff
    a16 es lodsb
    CHECK_EQ al, 0x44
    CHECK_EQ esi, 0x56780000
    CASE "and back with DF", "1 3.3.7"
    std
    mov esi, 0x56780000
    a16 es lodsb
    cld
    CHECK_EQ al, 0x55
    CHECK_EQ esi, 0x5678ffff
    CASE "REP MOVSB over it, CX alone counts", "2 REP"
    mov edi, 0x1234fffe
    mov esi, data
    mov ecx, 0xabcd0004
    mov ax, DATA16
    mov es, ax
    a16 rep movsb
    CHECK_EQ edi, 0x12340002
    CHECK_EQ ecx, 0xabcd0000
    CHECK_EQ word [DATA16_BASE + 0xfffe], 0xa2a1
    CHECK_EQ word [DATA16_BASE], 0xa4a3
    CASE "REP STOSW stops where a word crosses it", "3A 5.3"
    mov edi, 0xfffb
    mov ecx, 4
    EXPECT 13, 0, a16 rep stosw
    CHECK_EQ edi, 0xffff
    CHECK_EQ ecx, 2
    CASE "JCXZ and LOOP count CX", "2 LOOP"
    mov ecx, 0x10000
    a16 jecxz .cx
    CHECK_EQ ecx, 0
.cx:
    mov ecx, 0x10001
    a16 loop .not
    jmp .looped
.not:
    CHECK_EQ ecx, 0
.looped:
    CHECK_EQ ecx, 0x10000
    mov word [handler_es], DATA0

    ; ---- 32-bit addresses
    CASE "base, index and displacement wrap at 4 GiB", "1 3.3.7"
    mov ax, DATA0
    mov es, ax
    mov ebx, 0xfffffff0
    mov dword [data + 8], 0x12345678
    mov eax, [ebx + ebx + data + 8 + 0x20]
    CHECK_EQ eax, 0x12345678
    CASE "a bit far below its base", "2 BT"
    mov byte [data + 16], 1
    mov eax, -8 * 0x1000
    mov ebx, data + 16 + 0x1000
    bt [ebx], eax
    CHECK c

    ; ---- 16-bit stacks
    mov ax, DATA16
    mov ss, ax
    CASE "POP at FFFE ends at 0", "1 6.2.3"
    mov esp, 0x4321fffe
    pop ax
    CHECK_EQ esp, 0x43210000
    CASE "CALL and RET over 0", "1 6.2.3"
    mov esp, 0x43210002
    o16 call .called
.called:
    CHECK_EQ esp, 0x43210000
    CASE "PUSHA over 0", "2 PUSHA"
    mov esp, 0x43210008
    pushad
    CHECK_EQ esp, 0x4321ffe8
    CHECK_EQ dword [DATA16_BASE + 4], eax
    CASE "ENTER and LEAVE use SP", "2 ENTER"
    mov esp, 0x43210004
    mov ebp, 0x87650000
    enter 0x10, 0
    CHECK_EQ esp, 0x4321fff0
    CHECK_EQ ebp, 0x43210000                    ; by operand size
    mov dword [DATA16_BASE], 0x11112222
    leave
    CHECK_EQ ebp, 0x11112222
    CHECK_EQ esp, 0x43210004
    mov ax, DATA0
    mov ss, ax
    mov esp, KERNEL_STACK
    PASS

align 16
data: db 0xa1, 0xa2, 0xa3, 0xa4
    times 60 db 0
