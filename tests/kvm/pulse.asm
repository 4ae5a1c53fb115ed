; Counts interrupts of line 5 by an 8259A in the kernel: 20 that somebody sends from outside, then 20 that it rings for
; at port 2025h.  [6000h] is the count.
%include "report.inc"
%define COUNT 0x6000
%define VECTORS 0x20
%define LINE 5
bits 16
org 0x7c00

start:
    cli
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7000
    mov word [COUNT], ax
    mov word [(VECTORS + LINE) * 4], handler
    mov word [(VECTORS + LINE) * 4 + 2], 0

    mov al, 0x11                ; ICW1 to ICW4: edges, cascaded, 8086
    out 0x20, al
    mov al, VECTORS
    out 0x21, al
    mov al, 1 << 2
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, ~(1 << LINE) & 0xff
    out 0x21, al
    sti
    mov byte [COUNT + 1], 1     ; ready

outside:
    cmp byte [COUNT], 20
    jb outside

    mov dx, 0x2020 + LINE
    mov bl, 20
ring:
    out dx, al
    inc bl
arrived:
    cmp [COUNT], bl
    jb arrived
    cmp bl, 40
    jb ring
    CHECK_EQ byte [COUNT], 40
    PASS

handler:
    push ax
    inc byte [COUNT]
    mov al, 0x20                ; end of interrupt
    out 0x20, al
    pop ax
    iret
