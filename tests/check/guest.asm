; A guest for the cross-check: real mode, a loop with memory, ports, a device's registers, time, string and vector
; instructions in it.  Says 0 to port f4 at its end.
bits 16
org 0x7c00
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov cx, 200
again:
    push cx
    mov ax, cx
    imul ax, ax, 77
    in eax, 0xe0                ; what a device says: another value each time
    add [0x9000], eax
    rdtsc
    xor [0x9004], eax
    mov si, 0x7c00
    mov di, 0x9100
    mov cx, 64
    rep movsb
    mov eax, [0x9000]
    out 0xe0, eax               ; the device writes to memory, too
    mov eax, [0x9200]
    imul ebx, eax, 3
    mov [0x9300], ebx
    pop cx
    loop again
    mov eax, cr4
    or ax, 0x200                ; OSFXSR
    mov cr4, eax
    movd xmm1, ebx
    paddd xmm0, xmm1
    xor al, al
    out 0xf4, al
    hlt
