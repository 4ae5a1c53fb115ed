; A kernel that says on the first serial port what its loader told it, then ends the machine through
; isa-debug-exit (port 0x501).  Assembled three times: -DMULTIBOOT (addresses in the header),
; -DMULTIBOOT -DELF (an ELF file) and -DPVH.

bits 32
LOAD    equ 0x200000
COM1    equ 0x3f8
%ifdef PVH
%define ELF
%endif

        org LOAD
file:
%ifdef ELF
        db      0x7f, 'ELF', 1, 1, 1        ; 32 bits, little-endian
        times 16 - ($ - file) db 0
        dw      2, 3                        ; executable, 386
        dd      1, start
        dd      headers - file, 0, 0
        dw      52, 32
%ifdef PVH
        dw      2
%else
        dw      1
%endif
        dw      0, 0, 0
headers:
        dd      1, 0, LOAD, LOAD, file_end - file, memory_end - file, 7, 4096
%ifdef PVH
        dd      4, note - file, note, note, note_end - note, note_end - note, 4, 4
note:   dd      4, 4, 18
        db      'Xen', 0
        dd      start
note_end:
%endif
%endif

%ifdef MULTIBOOT
%ifdef ELF
FLAGS   equ 3
%else
FLAGS   equ 0x10003
%endif
        align   4
header: dd      0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
        dd      header, LOAD, file_end, memory_end, start
%endif

start:
        cld
        cli
        mov     esp, stack_end
        mov     ebp, ebx
%ifdef MULTIBOOT
        mov     esi, bad_magic
        cmp     eax, 0x2badb002
        jne     say_and_end
        mov     esi, hello
        call    say
        mov     esi, [ebp + 16]
        call    say_line
        mov     ecx, [ebp + 20]         ; modules
        mov     edi, [ebp + 24]
.modules:
        jecxz   .map
        mov     esi, module
        call    say
        mov     esi, [edi + 8]
        call    say
        mov     eax, [edi + 4]
        sub     eax, [edi]
        call    hex
        mov     esi, [edi]              ; the test's modules are lines of text with a NUL behind
        call    say
        add     edi, 16
        dec     ecx
        jmp     .modules
.map:
        mov     edi, [ebp + 48]
        mov     ebx, edi
        add     ebx, [ebp + 44]
.entries:
        cmp     edi, ebx
        jae     done
        add     edi, 4
        call    entry
        add     edi, [edi - 4]
        jmp     .entries
%endif
%ifdef PVH
        mov     esi, bad_magic
        cmp     dword [ebp], 0x336ec578
        jne     say_and_end
        mov     esi, hello
        call    say
        mov     esi, [ebp + 24]
        call    say_line
        cmp     dword [ebp + 12], 1
        jne     .map
        mov     edi, [ebp + 16]
        mov     esi, module
        call    say
        mov     eax, [edi + 8]
        call    hex
        mov     esi, [edi]
        call    say
.map:
        mov     edi, [ebp + 40]
        mov     ebx, [ebp + 48]
.entries:
        test    ebx, ebx
        jz      done
        call    entry
        add     edi, 24
        dec     ebx
        jmp     .entries
%endif

done:
        mov     esi, bye
say_and_end:
        call    say
        mov     dx, 0x501
        mov     al, 1
        out     dx, al
        hlt
        jmp     $ - 1

; A memory map entry at edi: base, length, type.
entry:
        mov     esi, map
        call    say
        mov     eax, [edi + 4]
        call    hex
        mov     eax, [edi]
        call    hex
        mov     eax, [edi + 12]
        call    hex
        mov     eax, [edi + 8]
        call    hex
        mov     eax, [edi + 16]
        call    hex
        mov     esi, newline
        jmp     say

say_line:
        call    say
        mov     esi, newline
say:
        lodsb
        test    al, al
        jz      .end
        call    putc
        jmp     say
.end:
        ret

; eax in hexadecimal, with a space in front.
hex:
        pushad
        mov     ebx, eax
        mov     al, ' '
        call    putc
        mov     ecx, 8
.digit:
        rol     ebx, 4
        mov     al, bl
        and     al, 15
        cmp     al, 10
        sbb     al, 0x69
        das
        call    putc
        loop    .digit
        popad
        ret

putc:
        push    edx
        push    eax
        mov     dx, COM1 + 5
.wait:
        in      al, dx
        test    al, 0x20
        jz      .wait
        pop     eax
        mov     dx, COM1
        out     dx, al
        pop     edx
        ret

%ifdef PVH
hello:  db      'PVH kernel, command line: ', 0
%else
hello:  db      'multiboot kernel, command line: ', 0
%endif
module: db      'module: ', 0
map:    db      'map:', 0
bad_magic: db   'the magic number is wrong', 10
newline: db     10, 0
bye:    db      'done', 10, 0
file_end:
        absolute file_end
        resb    4096
stack_end:
memory_end:
