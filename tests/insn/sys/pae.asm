; PAE paging: the four PDPTE registers and what loads them, reserved bits, NX, 2 MiB pages, A and D (SDM
; volume 3A 4.4, 4.6 to 4.8).
%include "protected.inc"

%define PDPT 0x10020            ; 32-byte aligned, and not more
%define DIR  0x11000
%define TABLE 0x12000           ; maps 0x400000..0x5fffff
%define OTHER_DIR 0x13000
%define LINEAR(n) (0x400000 + (n) * 0x1000)
%define PTE(n) dword [TABLE + (n) * 8]
%define PTE_HIGH(n) dword [TABLE + (n) * 8 + 4]
%define CR4_PSE 0x10
%define CR4_PGE 0x80
%define CR4_SMEP 0x100000
%define EFER 0xc0000080

%macro EXPECT_PF 3+.nolist
    EXPECT 14, %2, %3
    mov eax, cr2
    CHECK_EQ eax, %1
%endmacro

; PDPTE n: low dword, high dword
%macro SET_PDPTE 3.nolist
    mov dword [PDPT + (%1) * 8], %2
    mov dword [PDPT + (%1) * 8 + 4], %3
%endmacro

; TOGGLE_CR4 bit: a change that loads the PDPTEs
%macro TOGGLE_CR4 1.nolist
    mov eax, cr4
    xor eax, %1
    mov cr4, eax
%endmacro

main:
    mov edi, 0x10000
    mov ecx, 0x4000 / 4
    xor eax, eax
    rep stosd
    SET_PDPTE 0, DIR | 1, 0
    mov dword [DIR], 0x83                       ; 2 MiB, identity
    mov dword [DIR + 16], TABLE | 7
    mov dword [OTHER_DIR], 0x83
    mov eax, cr4
    or al, 0x20
    mov cr4, eax
    mov eax, PDPT
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000
    mov cr0, eax

    CASE "a PDPTE counts when it is loaded, not when it is written", "3A 4.4.1"
    SET_PDPTE 1, OTHER_DIR | 1, 0
    EXPECT_PF 0x40007c00, 0, mov ecx, [0x40007c00]
    mov eax, cr3
    mov cr3, eax
    mov ecx, [0x40007c00]
    CHECK_EQ ecx, [0x7c00]
    SET_PDPTE 1, 0, 0
    invlpg [0x40007c00]
    mov ecx, [0x40007c00]                       ; the register still has it
    TOGGLE_CR4 CR4_PGE
    EXPECT_PF 0x40007c00, 0, mov ecx, [0x40007c00]
    SET_PDPTE 1, OTHER_DIR | 1, 0
    TOGGLE_CR4 CR4_PSE
    mov ecx, [0x40007c00]
    SET_PDPTE 1, 0, 0
    TOGGLE_CR4 CR4_SMEP
    EXPECT_PF 0x40007c00, 0, mov ecx, [0x40007c00]
    SET_PDPTE 1, OTHER_DIR | 1, 0
    mov eax, cr0
    and eax, 0x9fffffff                         ; CD and NW, which reset has set
    mov cr0, eax
    mov ecx, [0x40007c00]
    TOGGLE_CR4 CR4_SMEP

    CASE "reserved bits of a PDPTE are #GP, and nothing changes", "3A 4.4.1"
    mov eax, cr3
    mov ebx, cr4
    xor ebx, CR4_PGE
    SET_PDPTE 2, OTHER_DIR | 1, 0x80000000      ; bit 63: no NX here
    EXPECT 13, 0, mov cr3, eax
    EXPECT 13, 0, mov cr4, ebx
    SET_PDPTE 2, OTHER_DIR | 1, 1 << (52 - 32)
    EXPECT 13, 0, mov cr3, eax
    SET_PDPTE 2, OTHER_DIR | 3, 0               ; bits 2:1
    EXPECT 13, 0, mov cr3, eax
    SET_PDPTE 2, OTHER_DIR | 0x21, 0            ; bits 8:5
    EXPECT 13, 0, mov cr3, eax
    mov ecx, cr4
    xor ecx, ebx
    CHECK_EQ ecx, CR4_PGE
    EXPECT_PF 0x80000000, 0, mov ecx, [0x80000000]
    mov ecx, [0x40007c00]
    mov eax, cr3
    SET_PDPTE 2, OTHER_DIR | 0x1fe, 0xffffffff  ; not present: the rest is anybody's
    mov cr3, eax
    SET_PDPTE 2, OTHER_DIR | 1 | 0xe18, 0       ; PWT, PCD, ignored bits
    mov cr3, eax
    mov ecx, [0x80007c00]
    CHECK_EQ ecx, [0x7c00]

    CASE "accessed and dirty flags; PDPTEs have none", "3A 4.8"
    mov PTE(1), 0x20000 | 3
    mov ecx, [LINEAR(1)]
    CHECK_EQ PTE(1), 0x20000 | 0x23
    CHECK_EQ dword [DIR + 16], TABLE | 0x27
    mov [LINEAR(1)], ecx
    CHECK_EQ PTE(1), 0x20000 | 0x63
    CHECK_EQ dword [DIR + 16], TABLE | 0x27
    CHECK_EQ dword [PDPT], DIR | 1
    mov dword [DIR + 24], 0x81                  ; a read-only 2 MiB page: 0x600000
    mov ecx, [0x600000]
    EXPECT_PF 0x600004, 3, mov [0x600004], ecx
    CHECK_EQ dword [DIR + 24], 0xa1             ; a write that is refused leaves D alone

    CASE "reserved bits of entries", "3A 4.4.2"
    mov PTE_HIGH(2), 1 << (62 - 32)
    mov PTE(2), 0x21000 | 7
    EXPECT_PF LINEAR(2), 9, mov ecx, [LINEAR(2)]
    mov PTE_HIGH(2), 1 << (52 - 32)
    EXPECT_PF LINEAR(2), 11, mov [LINEAR(2)], ecx
    mov PTE_HIGH(2), 1 << (51 - 32)             ; beyond MAXPHYADDR
    EXPECT_PF LINEAR(2), 9, mov ecx, [LINEAR(2)]
    mov PTE_HIGH(2), 0x80000000                 ; NX without EFER.NXE
    EXPECT_PF LINEAR(2), 9, mov ecx, [LINEAR(2)]
    mov PTE(2), 0x21000 | 6                     ; not present: nothing is reserved
    EXPECT_PF LINEAR(2), 0, mov ecx, [LINEAR(2)]
    mov dword [DIR + 32], 0x102083              ; bits 20:13 of a 2 MiB page
    EXPECT_PF 0x800000, 9, mov ecx, [0x800000]

    CASE "no execution", "3A 4.6.1"
    mov ecx, EFER
    rdmsr
    or eax, 0x800                               ; NXE
    wrmsr
    mov PTE_HIGH(3), 0x80000000
    mov PTE(3), 0x22000 | 3
    mov byte [LINEAR(3)], 0xc3
    mov [saved_esp], esp
    mov dword [resume], .nx
    mov eax, LINEAR(3)
    call eax
.nx:
    CHECK_EQ byte [vector], 14
    CHECK_EQ dword [error], 0x11
    CHECK_EQ dword [fault_ip], LINEAR(3)
    mov PTE_HIGH(3), 0
    invlpg [LINEAR(3)]
    mov eax, LINEAR(3)
    call eax
    mov dword [DIR + 20], 0x80000000            ; the directory's bit counts as well
    mov eax, cr3
    mov cr3, eax
    mov dword [resume], .nx2
    mov eax, LINEAR(3)
    call eax
.nx2:
    CHECK_EQ dword [error], 0x11
    CHECK_EQ byte [LINEAR(3)], 0xc3
    mov dword [resume], .absent
    mov eax, LINEAR(9)
    call eax
.absent:
    CHECK_EQ dword [error], 0x10
    PASS
