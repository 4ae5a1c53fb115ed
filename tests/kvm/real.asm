; A boot sector as DOS-like programs are: real mode, segments, interrupt vectors of its own, string
; instructions, BCD, a far call, the stack.  Says what it found by ../insn/sys/report.inc.
%include "report.inc"
bits 16
org 0x7c00

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    cld

    ; ---- a service by INT 21h: AH=2 puts DL into a buffer, AH=30h gives a version
    mov word [0x21 * 4], service
    mov word [0x21 * 4 + 2], 0
    mov si, text
.next:
    lodsb
    test al, al
    jz .told
    mov dl, al
    mov ah, 2
    int 0x21
    jmp .next
.told:
    mov ah, 0x30
    int 0x21
    CHECK_EQ ax, 0x0007
    mov si, text
    mov di, buffer
    mov cx, text_end - text - 1
    repe cmpsb
    CHECK e
    CHECK_EQ cx, 0

    ; ---- another segment, far call and return
    mov ax, 0x2000
    mov es, ax
    xor di, di
    mov si, far_code
    mov cx, far_code_end - far_code
    rep movsb
    mov bx, 5
    call 0x2000:0
    CHECK_EQ bx, 12
    ; ---- 64 KiB wrap of an offset
    mov byte [es:0xffff], 0x34
    mov byte [es:0], 0x12
    mov di, 0xffff
    mov al, 0x34
    scasb
    CHECK e
    mov al, 0x12
    scasb
    CHECK e

    ; ---- arithmetic that only flags tell about
    mov al, 0x35
    sub al, 0x79
    das
    CHECK c
    mov al, 0x35
    sub al, 0x79
    das
    CHECK_EQ al, 0x56
    mov ax, 0x1234
    mov bx, 0x56
    mul bx
    CHECK_EQ dx, 0x0006
    CHECK_EQ ax, 0x1d78
    mov bx, 0x56
    div bx
    CHECK_EQ ax, 0x1234
    mov eax, 0xfffffff0
    mov ecx, 0x20
    imul ecx
    CHECK_EQ edx, -1
    ; ---- a divide error comes to its vector
    mov word [0], divide_error
    mov word [2], 0
    xor cx, cx
    xor bx, bx
    div bl
    CHECK_EQ cx, 1

    ; ---- ports: the echo at f8 gives back what it was given
    mov al, 0x5a
    out 0xf8, al
    xor al, al
    in al, 0xf8
    CHECK_EQ al, 0x5a
    mov si, text
    mov dx, 0xf8
    mov cx, 4
    rep outsb
    in al, dx
    CHECK_EQ al, 'l'
    ; ---- device memory at d0000: the same
    mov ax, 0xd000
    mov es, ax
    mov dword [es:0x10], 0x12345678
    mov eax, [es:0x10]
    CHECK_EQ eax, 0x12345678
    ; ---- ROM at e0000: what is written is lost
    mov ax, 0xe000
    mov es, ax
    mov al, [es:0]
    CHECK_EQ al, 0xa5
    mov byte [es:0], 0
    mov al, [es:0]
    CHECK_EQ al, 0xa5
    PASS

service:
    cmp ah, 2
    jne .version
    push di
    mov di, [cs:cursor]
    mov [cs:di], dl
    inc word [cs:cursor]
    pop di
    iret
.version:
    mov ax, 7
    iret

divide_error:
    inc cx
    push bp
    mov bp, sp
    add word [bp + 2], 2            ; behind div bl
    pop bp
    iret

far_code:
    add bx, 7
    retf
far_code_end:

text: db "Hello from DOS", 0
text_end:
cursor: dw buffer
buffer: times 16 db 0
