; A firmware image of 64 KiB for runs that must go the same way each time.  Timer interrupts come between any two
; instructions; the main loop mixes what it sees of time, random numbers and the serial port into memory, echoes what is
; typed, waits for interrupts, and ends after 600 rounds, or at `q`.  Other processors count with it.

APIC    equ 0xfee00000
VARS    equ 0x9000
rounds  equ VARS                        ; of the main loop
ticks   equ VARS + 4                    ; timer interrupts
mix     equ VARS + 8                    ; what all came to
shared  equ VARS + 12                   ; all processors add to it
typed   equ VARS + 16                   ; characters that came
TRAIL   equ 0xa000                      ; of the last ticks: RIP and time

        bits    16
        org     0
start16:
        cli
        cs lgdt [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword 8:start32 + 0xf0000

        bits    32
start32:
        mov     eax, 16
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     esp, [APIC + 0x20]      ; the APIC ID: a stack for each
        shr     esp, 12
        add     esp, 0x80000
        cmp     dword [APIC + 0x20], 0
        jne     other
        mov     edi, VARS
        mov     ecx, 0x800
        xor     eax, eax
        rep stosd
        mov     al, 0x11                ; 8259A: vectors from 0x20, IRQ 0 open
        out     0x20, al
        mov     al, 0x20
        out     0x21, al
        mov     al, 4
        out     0x21, al
        mov     al, 1
        out     0x21, al
        mov     al, 0xfe
        out     0x21, al
        mov     edi, 0x8000 + 0x20 * 8  ; the IDT's one gate
        mov     eax, tick + 0xf0000
        mov     [edi], ax
        mov     word [edi + 2], 8
        mov     word [edi + 4], 0x8e00
        shr     eax, 16
        mov     [edi + 6], ax
        lidt    [idt_pointer + 0xf0000]
        mov     dword [APIC + 0xf0], 0x1ff
        mov     dword [APIC + 0x350], 0x700     ; LINT0: ExtINT
        mov     dword [APIC + 0x300], 0xc4500   ; INIT, SIPI to the others
        mov     dword [APIC + 0x300], 0xc46f0
        mov     al, 0x34                ; 8254: 1 kHz
        out     0x43, al
        mov     al, 0xa9
        out     0x40, al
        mov     al, 4
        out     0x40, al
        sti

again:  inc     dword [rounds]
        cmp     dword [rounds], 600
        ja      over
        rdtsc
        add     [mix], eax
        rdrand  ecx
        xor     [mix], ecx
        and     ecx, 0x1ff              ; so much work, of changing length
        inc     ecx
.work:  mov     eax, [mix]
        imul    eax, eax, 1664525
        add     eax, 1013904223
        mov     [mix], eax
        lock inc dword [shared]
        push    ecx
        mov     esi, 0xf0000
        mov     edi, 0xc000
        mov     ecx, 40
        rep movsb
        pop     ecx
        dec     ecx
        jnz     .work
        mov     edx, 0x3fd              ; has somebody typed?
        in      al, dx
        test    al, 1
        jz      .wait
        mov     edx, 0x3f8
        in      al, dx
        inc     dword [typed]
        movzx   ecx, al
        ror     dword [mix], 5
        add     [mix], ecx
        out     dx, al
        cmp     al, 'q'
        je      over
.wait:  hlt
        jmp     again
over:   xor     eax, eax
        mov     edx, 0x501
        out     dx, al
        hlt
        jmp     $ - 1

tick:   push    eax
        push    edx
        push    ecx
        inc     dword [ticks]
        mov     ecx, [ticks]
        and     ecx, 0xff
        mov     eax, [esp + 12]
        mov     [TRAIL + ecx * 8], eax
        rdtsc
        mov     [TRAIL + ecx * 8 + 4], eax
        mov     al, 0x20
        out     0x20, al
        pop     ecx
        pop     edx
        pop     eax
        iret

other:  lock inc dword [shared]
        rdtsc
        xor     [esp], eax
        mov     eax, [shared]
        add     [esp - 4], eax
        pause
        jmp     other

        align   8
gdt:    dq      0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        dw      23
        dd      gdt + 0xf0000
idt_pointer:
        dw      0x21 * 8 - 1
        dd      0x8000

        times   0xfff0 - ($ - $$) db 0
        bits    16
        jmp     0xf000:start16
        times   0x10000 - ($ - $$) db 0
