; A boot sector under SeaBIOS with -device pc-testdev: rings 20 times for an interrupt of line 5, each when the last has
; come, and says so at port e9h.
%define LINE 5
%define VECTOR (0x08 + LINE)
bits 16
org 0x7c00

    cli
    cld
    xor ax, ax
    mov ds, ax
    mov word [VECTOR * 4], handler
    mov word [VECTOR * 4 + 2], 0
    in al, 0x21
    and al, ~(1 << LINE) & 0xff
    out 0x21, al
    sti

    mov dx, 0x2020 + LINE
    mov bl, 0
ring:
    out dx, al
    inc bl
arrived:
    cmp [count], bl
    jb arrived
    cmp bl, 20
    jb ring

    mov si, text
next:
    lodsb
    test al, al
    jz done
    out 0xe9, al
    jmp next
done:
    hlt
    jmp done

handler:
    push ax
    inc byte [count]
    mov al, 0x20                ; end of interrupt
    out 0x20, al
    pop ax
    iret

count: db 0
text: db "20 rings, 20 interrupts", 0
    times 510 - ($ - $$) db 0
    dw 0xaa55
