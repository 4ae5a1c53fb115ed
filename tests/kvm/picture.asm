; A boot sector that draws through the VGA's window in a linear mode, 640x480 with 32 bits: three lines of green, then,
; after a key, one dot further down.  Says so at port e9h each time.
bits 16
org 0x7c00
%define LINE (640 * 4)
%define DOT (400 * LINE)

    cli
    cld
    xor ax, ax
    mov ds, ax
    sti
    mov si, mode
    mov cx, 5
next:
    lodsw
    call set
    loop next
    mov dx, 0x3ce               ; the window: 64 KiB at a0000h
    mov ax, 0x0506
    out dx, ax

    mov ax, 0xa000
    mov es, ax
    xor di, di
    mov eax, 0x00ff00
    mov cx, 640 * 3
    rep stosd
    mov ax, 5
    mov si, bank
    call set                    ; not later: another map of memory is painted anew
    mov al, '1'
    out 0xe9, al

    xor ax, ax                  ; a key
    int 0x16
    mov dword [es:DOT % 0x10000], 0xff00ff
    mov al, '2'
    out 0xe9, al
stop:
    hlt
    jmp stop

; Dispi register AX becomes what SI points to.
set:
    mov dx, 0x1ce
    out dx, ax
    lodsw
    inc dx
    out dx, ax
    ret

mode: dw 4, 0,  1, 640,  2, 480,  3, 32,  4, 0x41
bank: dw DOT / 0x10000
    times 510 - ($ - $$) db 0
    dw 0xaa55
