; The option ROM behind -kernel: fetches the pieces of a kernel by fw_cfg DMA and jumps to it.
;
; The board appends nothing and changes only the parameter block (ORDER: kernel-rom - struct RomParams of
; hw/pc/kernel.c) and the checksum.  The firmware finds the ROM as fw_cfg file genroms/kernel.bin and calls
; its bootstrap entry vector (Plug and Play BIOS Specification 1.0A, 3.2) as one of the boot devices.
;
; Linux is entered as its boot protocol says (real mode, offset 0x20 of the setup segment); multiboot and PVH
; kernels in flat 32-bit protected mode, with the firmware's memory map stored where the board asks.

bits 16
org 0

ROM_SIZE        equ 1024
MAX_LOADS       equ 24
LOAD_SIZE       equ 12
DMA_SELECT_READ equ 0x0a            ; control word of the fw_cfg DMA access structure
DMA_ERROR       equ 0x01
DMA_PORT_HIGH   equ 0x514
DMA_PORT_LOW    equ 0x518
SMAP            equ 0x534d4150
MAP_STRIDE      equ 24
KIND_LINUX      equ 0
STACK_TOP       equ 0x7c00

        dw      0xaa55
        db      ROM_SIZE / 512
        xor     ax, ax              ; offset 3: initialization, nothing to do
        retf
        times 0x1a - ($ - $$) db 0
        dw      pnp

        times 0x20 - ($ - $$) db 0
pnp:    db      '$PnP', 1, 2        ; revision, length in 16-byte units
        dw      0                   ; no further header
        db      0
        db      0                   ; checksum of these 32 bytes: filled in by the board
        dd      0
        dw      maker
        dw      product
        db      0, 0, 2             ; class code
        db      0x14                ; device indicators: may be a boot device, read cacheable
        dw      0                   ; no connection vector
        dw      0
        dw      boot                ; bootstrap entry vector
        dw      0
        dw      0

        times 0x40 - ($ - $$) db 0
kind:           dw 0
n_loads:        dw 0
entry:          dd 0                ; Linux: setup segment; else 32-bit address
eax_in:         dd 0
ebx_in:         dd 0                ; Linux: stack pointer
map_at:         dd 0                ; where memory map entries go, 16-byte aligned below 1 MiB
map_max:        dd 0                ; how many fit
map_next:       dd 0                ; written behind each entry of 20 bytes
count_at:       dd 0                ; where their number goes, times ...
count_unit:     dd 0
loads:          times MAX_LOADS * LOAD_SIZE db 0        ; key, address, length

maker:          db 'Tinamou', 0
product:        db 'Kernel given with -kernel', 0
failed:         db 'The kernel could not be loaded into memory.', 13, 10, 0

boot:
        cli
        cld
        xor     ax, ax
        mov     ss, ax
        mov     esp, STACK_TOP
        push    cs
        pop     ds
        mov     si, loads
        mov     cx, [n_loads]
.load:
        jcxz    .loaded
        mov     eax, [si + 4]       ; the access structure, big-endian, from its end
        bswap   eax
        push    eax
        push    dword 0
        mov     eax, [si + 8]
        bswap   eax
        push    eax
        mov     eax, [si]
        shl     eax, 16
        or      al, DMA_SELECT_READ
        bswap   eax
        push    eax
        xor     eax, eax
        mov     dx, DMA_PORT_HIGH
        out     dx, eax
        mov     eax, esp
        bswap   eax
        mov     dx, DMA_PORT_LOW
        out     dx, eax             ; starts the transfer
        mov     bp, sp
.wait:
        mov     eax, [bp]
        bswap   eax
        test    eax, DMA_ERROR
        jnz     fail
        test    eax, eax
        jnz     .wait
        add     sp, 16
        add     si, LOAD_SIZE
        dec     cx
        jmp     .load
.loaded:
        cmp     word [kind], KIND_LINUX
        je      linux
        sti
        call    memory_map
        cli
        jmp     flat

; Linux boot protocol, "Running the kernel": all segments are the setup's, no interrupts.
linux:
        mov     ebx, [ebx_in]
        mov     eax, [entry]
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        mov     ss, ax
        mov     esp, ebx
        add     ax, 0x20
        push    ax
        push    word 0
        xor     ebx, ebx
        xor     ebp, ebp
        retf

; INT 15h, AX=E820h (ACPI 6.4, chapter 15), until the firmware has no more or there is no more room.
memory_map:
        mov     eax, [map_at]
        shr     eax, 4
        mov     es, ax
        xor     di, di
        xor     ebx, ebx
        xor     bp, bp              ; entries so far
.next:
        cmp     bp, [map_max]
        jae     .done
        mov     eax, 0xe820
        mov     edx, SMAP
        mov     ecx, 20
        int     0x15
        jc      .done
        cmp     eax, SMAP
        jne     .done
        mov     eax, [map_next]
        mov     [es:di + 20], eax
        add     di, MAP_STRIDE
        inc     bp
        test    ebx, ebx
        jnz     .next
.done:
        movzx   eax, bp
        mul     dword [count_unit]
        mov     ebx, eax
        mov     eax, [count_at]
        mov     edi, eax
        shr     eax, 4
        mov     es, ax
        and     di, 15
        mov     [es:di], ebx
        ret

; Protected mode with flat segments.  Their accessed bits are set already: the ROM may be read-only.
flat:
        xor     eax, eax
        mov     ax, cs
        shl     eax, 4
        mov     ebp, eax            ; where the ROM is
        add     eax, gdt
        push    eax
        push    word gdt_end - gdt - 1
        mov     bx, sp
        o32 lgdt [ss:bx]
        mov     esi, [eax_in]
        mov     edi, [ebx_in]
        mov     edx, [entry]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        add     ebp, flat32
        push    dword 8
        push    ebp
        o32 retf

bits 32
flat32:
        mov     ecx, 16
        mov     ds, cx
        mov     es, cx
        mov     fs, cx
        mov     gs, cx
        mov     ss, cx
        mov     esp, STACK_TOP
        mov     eax, esi
        mov     ebx, edi
        jmp     edx

bits 16
fail:
        mov     si, failed
.next:
        lodsb
        test    al, al
        jz      .halt
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        jmp     .next
.halt:
        hlt
        jmp     .halt

        align   8
gdt:    dq      0
        dq      0x00cf9b000000ffff  ; code, 32 bits, 4 GiB
        dq      0x00cf93000000ffff  ; data
gdt_end:

        times ROM_SIZE - ($ - $$) db 0
