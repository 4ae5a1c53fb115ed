; A firmware image of 64 KiB that is a kernel for debuggers: it goes from 16 through 32 to 64 bits, calls
; functions with frames, changes a variable, wakes the other processors, and resets, faults or ends when a
; debugger sets `want`.  Linked at 0xf0000 (its ELF file has the symbols), variables at 0x9000.

APIC    equ 0xfee00000
TABLES  equ 0x10000                     ; PML4, PDPT, four page directories: 4 GiB as they are

        section .text
        global  start16, start32, start64, kmain, outer, inner, ap_main, ap_step, wake_others
        bits    16
rom:
start16:
        cli
        cs lgdt [gdt_pointer - rom]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword 8:start32

        bits    32
start32:
        mov     eax, 16
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     esp, [APIC + 0x20]      ; the APIC ID, in the upper byte: 4 KiB of stack for each
        shr     esp, 12
        add     esp, 0x80000
        mov     edi, TABLES             ; every processor writes the same
        mov     dword [edi], TABLES + 0x1003
        mov     dword [edi + 4], 0
        mov     eax, TABLES + 0x2003
        mov     ecx, 4
        add     edi, 0x1000
.pdpt:  mov     [edi], eax
        mov     dword [edi + 4], 0
        add     eax, 0x1000
        add     edi, 8
        loop    .pdpt
        mov     edi, TABLES + 0x2000
        mov     eax, 0x83
        mov     ecx, 2048
.pd:    mov     [edi], eax
        mov     dword [edi + 4], 0
        add     eax, 0x200000
        add     edi, 8
        loop    .pd
        mov     eax, TABLES
        mov     cr3, eax
        mov     eax, cr4
        or      al, 0x20
        mov     cr4, eax
        mov     ecx, 0xc0000080
        rdmsr
        or      ah, 1
        wrmsr
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        jmp     24:start64

        bits    64
start64:
        mov     ebx, APIC
        mov     eax, [rbx + 0x20]
        shr     eax, 24
        mov     r15, rax                ; which processor
        test    eax, eax
        jnz     ap_main

kmain:
        push    rbp
        mov     rbp, rsp
        call    wake_others
.again:
        mov     rdi, 5
        call    outer
        jmp     .again

outer:
        push    rbp
        mov     rbp, rsp
        inc     rdi
        call    inner
        pop     rbp
        ret

inner:
        push    rbp
        mov     rbp, rsp
        mov     rax, [abs source]
        inc     qword [abs counter]
        mov     eax, [abs want]
        cmp     eax, 1
        je      triple_fault
        cmp     eax, 2
        je      reset
        cmp     eax, 3
        je      end
        pop     rbp
        ret

triple_fault:
        lidt    [rel nothing]
        int3
reset:
        mov     al, 0xfe
        out     0x64, al
        hlt
        jmp     reset
end:
        mov     al, 20
        mov     dx, 0x501
        out     dx, al
        hlt
        jmp     end

; INIT and SIPI to all but this one; they start where this one did.
wake_others:
        push    rbp
        mov     rbp, rsp
        mov     ecx, APIC
        mov     dword [rcx + 0xf0], 0x1ff
        mov     dword [rcx + 0x300], 0xc4500
        mov     dword [rcx + 0x300], 0xc46f0
        pop     rbp
        ret

ap_main:
        push    rbp
        mov     rbp, rsp
        mov     r14, 0x1234
.again:
        call    ap_step
        jmp     .again

ap_step:
        push    rbp
        mov     rbp, rsp
        inc     qword [abs ap_counter]
        pop     rbp
        ret

        align   8
gdt:    dq      0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_pointer:
        dw      31
        dd      gdt
nothing:
        times 10 db 0
        times 0xfff0 - ($ - rom) db 0xf4
        bits    16
        jmp     0xf000:0
        times 0x10000 - ($ - rom) db 0

        section .bss
        global  counter, ap_counter, source, want
counter:    resq 1
ap_counter: resq 1
source:     resq 1
want:       resd 1
