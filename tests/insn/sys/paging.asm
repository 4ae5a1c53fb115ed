; 32-bit paging: 4 KiB and 4 MiB pages, global pages, what flushes the TLB; PAE (SDM volume 3A 4.3, 4.4,
; 4.6, 4.7, 4.10).
%include "protected.inc"

%define PAGE_DIR 0x10000
%define PAGE_TABLE 0x11000      ; maps 0x400000..0x7fffff
%define LINEAR(n) (0x400000 + (n) * 0x1000)
%define PTE(n) dword [PAGE_TABLE + (n) * 4]
%define PAE_PDPT 0x14000
%define PAE_DIR 0x15000

%macro EXPECT_PF 3+.nolist
    EXPECT 14, %2, %3
    mov eax, cr2
    CHECK_EQ eax, %1
%endmacro

main:
    mov edi, PAGE_DIR
    mov ecx, 0x8000 / 4
    xor eax, eax
    rep stosd
    mov dword [PAGE_DIR], 0x87                  ; 4 MiB, identity, for everyone
    mov dword [PAGE_DIR + 4], PAGE_TABLE | 7
    mov dword [PAGE_DIR + 0xffc], PAGE_DIR | 3  ; the tables themselves, at the top
    mov eax, cr4
    or al, 0x90                                 ; PSE, PGE
    mov cr4, eax
    mov eax, PAGE_DIR
    mov cr3, eax
    CASE "a 4 MiB page: accessed, then dirty", "3A 4.8"
    mov eax, cr0
    or eax, 0x80010000                          ; PG, WP
    mov cr0, eax
    jmp .on
.on:
    CHECK_EQ dword [0xfffff000], 0x87 | 0x20    ; the directory through itself: accessed, not yet dirty
    mov byte [vector], 0xff
    CHECK_EQ dword [0xfffff000], 0x87 | 0x60
    CASE "not present, then there, read-only, supervisor's", "3A 4.6, 4.7"
    EXPECT_PF LINEAR(0), 0, mov ecx, [LINEAR(0)]
    EXPECT_PF LINEAR(0) + 8, 2, mov [LINEAR(0) + 8], ecx
    mov PTE(0), 0x20000 | 1
    mov dword [0x20000], 0x1234
    CHECK_EQ dword [LINEAR(0)], 0x1234
    CHECK_EQ PTE(0), 0x20000 | 0x21
    EXPECT_PF LINEAR(0), 3, mov [LINEAR(0)], ecx
    EXPECT_PF LINEAR(0), 3, inc dword [LINEAR(0)]
    CHECK_EQ dword [0x20000], 0x1234
    USER .user1
    CHECK_EQ byte [vector], 14
    CHECK_EQ dword [error], 5
    jmp .done1
.user1:
    mov ax, DATA3
    mov ds, ax
    mov ecx, [LINEAR(0)]
.done1:
    CASE "the directory's bits count too", "3A 4.6"
    mov PTE(0), 0x20000 | 7
    invlpg [LINEAR(0)]
    mov dword [PAGE_DIR + 4], PAGE_TABLE | 5    ; read-only as a whole
    mov eax, cr3
    mov cr3, eax
    EXPECT_PF LINEAR(0), 3, mov [LINEAR(0)], ecx
    mov dword [PAGE_DIR + 4], PAGE_TABLE | 7
    mov eax, cr3
    mov cr3, eax
    mov dword [LINEAR(0)], 0x5678
    CHECK_EQ dword [0x20000], 0x5678
    CHECK_EQ PTE(0), 0x20000 | 0x67
    CASE "a change is seen behind INVLPG and behind a load of CR3", "3A 4.10.4.1"
    mov dword [0x21000], 0x2222
    mov PTE(0), 0x21000 | 7
    invlpg [LINEAR(0)]
    CHECK_EQ dword [LINEAR(0)], 0x2222
    mov PTE(0), 0x20000 | 7
    mov eax, cr3
    mov cr3, eax
    CHECK_EQ dword [LINEAR(0)], 0x5678
    CASE "a global page outlives CR3, but not CR4.PGE", "3A 4.10.2.4"
    mov PTE(1), 0x21000 | 0x103
    CHECK_EQ dword [LINEAR(1)], 0x2222
    mov PTE(1), 0
    mov eax, cr3
    mov cr3, eax
    mov [saved_esp], esp
    mov dword [resume], .either
    mov ecx, [LINEAR(1)]                        ; from the TLB, or a fault: both are allowed ...
.either:
    mov eax, cr4
    and al, 0x7f
    mov cr4, eax
    EXPECT_PF LINEAR(1), 0, mov ecx, [LINEAR(1)]        ; ... now it must be one
    mov eax, cr4
    or al, 0x80
    mov cr4, eax
    CASE "an access across two pages", "3A 6.5"
    mov PTE(2), 0x22000 | 7
    mov PTE(3), 0x30000 | 7
    mov dword [LINEAR(2) + 0xffe], 0x11223344
    CHECK_EQ word [0x22ffe], 0x3344
    CHECK_EQ word [0x30000], 0x1122
    CHECK_EQ dword [LINEAR(2) + 0xffe], 0x11223344
    mov PTE(3), 0
    invlpg [LINEAR(3)]
    EXPECT_PF LINEAR(3), 2, mov dword [LINEAR(2) + 0xffd], 0x99999999
    CHECK_EQ dword [0x22ffc], 0x33440000        ; nothing of it was stored
    CASE "string instructions stop where the page does", "2 REP"
    mov PTE(4), 0x23000 | 7
    mov PTE(5), 0
    mov edi, LINEAR(4) + 0xff0
    mov ecx, 10
    mov eax, 0x77777777
    mov [saved_esp], esp
    mov dword [resume], .strings
    mov byte [vector], 0xff
.rep:
    rep stosd
.strings:
    CHECK_EQ byte [vector], 14
    CHECK_EQ dword [fault_ip], .rep
    CHECK_EQ ecx, 6
    CHECK_EQ edi, LINEAR(5)
    CHECK_EQ dword [0x23ffc], 0x77777777
    CASE "reserved bits of a 4 MiB page", "3A 4.3"
    mov dword [PAGE_DIR + 8], 0x200087
    EXPECT_PF 0x800000, 9, mov ecx, [0x800000]
    CASE "code and data of one page under two names", "3A 8.1.3"
    mov PTE(6), 0x24000 | 7
    mov byte [0x24000], 0xb8                    ; mov eax, 1; ret
    mov dword [0x24001], 1
    mov byte [0x24005], 0xc3
    mov edx, LINEAR(6)
    call edx
    CHECK_EQ eax, 1
    mov dword [0x24001], 2                      ; changed by its other name
    call edx
    CHECK_EQ eax, 2

    ; ---- faults of a delivery (3A table 6-5): vector 14 is the first of LINEAR(8), the others before it
    mov PTE(7), 0x25000 | 3
    mov PTE(8), 0x26000 | 3
    mov esi, IDT_AT
    mov edi, LINEAR(8) - 14 * 8
    mov ecx, 0x20 * 2
    rep movsd
    lidt [idtr_pages]
    CASE "#GP whose gate is not there: a page fault, which is served", "3A 6.15"
    mov PTE(7), 0
    invlpg [LINEAR(7)]
    mov ax, 0x1000
    EXPECT_PF LINEAR(8) - 8, 0, mov es, ax
    CASE "#UD the same", "3A 6.15"
    EXPECT_PF LINEAR(8) - 8 * 8, 0, ud2
    CASE "a page fault whose gate is not there is a double fault", "3A 6.15"
    mov PTE(7), 0x25000 | 3
    mov PTE(8), 0
    invlpg [LINEAR(8)]
    EXPECT 8, 0, mov eax, [LINEAR(9)]
    mov eax, cr2
    CHECK_EQ eax, LINEAR(8)                     ; that of the second
    CASE "so is one whose gate is not present", "3A 6.15"
    mov PTE(8), 0x26000 | 3
    mov byte [LINEAR(8) + 5], 0x0e
    EXPECT 8, 0, mov eax, [LINEAR(9)]
    mov eax, cr2
    CHECK_EQ eax, LINEAR(9)
    CASE "or with a null selector", "3A 6.15"
    mov byte [LINEAR(8) + 5], 0x8e
    mov word [LINEAR(8) + 2], 0
    EXPECT 8, 0, mov eax, [LINEAR(9)]
    lidt [idtr]

    CASE "PAE: four directories by CR3", "3A 4.4.1"
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov dword [PAE_PDPT], PAE_DIR | 1
    mov dword [PAE_DIR], 0x87                   ; 2 MiB, identity
    mov dword [PAE_DIR + 16], 0x200087          ; 4 MiB -> 2 MiB
    mov dword [0x200000], 0x4444
    mov eax, cr4
    or al, 0x20
    mov cr4, eax
    mov eax, PAE_PDPT
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    CHECK_EQ dword [0x400000], 0x4444
    EXPECT_PF 0x40000000, 0, mov ecx, [0x40000000]
    mov dword [PAE_PDPT + 8], PAE_DIR | 1       ; seen by the next load of CR3
    mov eax, cr3
    mov cr3, eax
    CHECK_EQ dword [0x40400000], 0x4444
    CASE "reserved bits of a PDPTE", "3A 4.4.1"
    mov dword [PAE_PDPT + 16], 3                ; bit 1 is reserved there
    mov eax, cr3
    EXPECT 13, 0, mov cr3, eax
    PASS

align 4
idtr_pages: dw 0x1f * 8 - 1
    dd LINEAR(8) - 14 * 8
