; 4-level paging beyond the basics of long.asm: reserved bits, 1 GiB pages, read-modify-write, SMEP,
; SMAP, protection keys, global pages, PCIDs and INVPCID (SDM volume 3A 4.5 to 4.10).
%include "long.inc"

%define PML4_B 0x14000      ; the same linear addresses, but LINEAR(n) leads to other pages
%define PDPT_B 0x15000
%define PD_B   0x16000
%define PT_B   0x17000
%define PTE_B(n) (PT_B + (n) * 8)
%define CR4_PGE  (1 << 7)
%define CR4_PCIDE (1 << 17)
%define CR4_SMEP (1 << 20)
%define CR4_SMAP (1 << 21)
%define CR4_PKE  (1 << 22)

; LOAD_CR3 value (64 bits)
%macro LOAD_CR3 1.nolist
    mov rax, %1
    mov cr3, rax
%endmacro

; INVPCID type, pcid, linear address
%macro INVPCID 3.nolist
    mov qword [descriptor], %2
    mov rax, %3
    mov [descriptor + 8], rax
    mov eax, %1
    invpcid rax, [descriptor]
%endmacro

; PKRU rights of all keys
%macro WRPKRU 1.nolist
    mov eax, %1
    xor ecx, ecx
    xor edx, edx
    wrpkru
%endmacro

main:
    CASE "what reads and writes faults as a write does", "3A 4.7"
    EXPECT_PF LINEAR(0), 2, inc dword [LINEAR(0)]
    EXPECT_PF LINEAR(0), 2, lock add [LINEAR(0)], eax
    EXPECT_PF LINEAR(0), 2, shld [LINEAR(0)], eax, 3
    EXPECT_PF LINEAR(0), 2, bts dword [LINEAR(0)], 3
    EXPECT_PF LINEAR(0), 2, xchg [LINEAR(0)], eax
    EXPECT_PF LINEAR(0), 0, cmp [LINEAR(0)], eax
    mov qword [PTE(1)], 0x20000 | 7
    mov dword [LINEAR(1) + 0xffc], 0x11112222
    EXPECT_PF LINEAR(2), 2, lock inc qword [LINEAR(1) + 0xffc]
    EXPECT_PF LINEAR(2), 2, not qword [LINEAR(1) + 0xffc]
    CHECK_EQ dword [0x20ffc], 0x11112222        ; nothing of it was stored

    CASE "reserved bits, whatever the access", "3A 4.5"
    mov rcx, 1 << 51                            ; beyond MAXPHYADDR
    mov rax, PDPT | 7
    or rax, rcx
    mov [PML4 + 8 * 2], rax
    mov rbx, 2 << 39
    EXPECT_PF 2 << 39, 9, mov eax, [rbx]
    EXPECT_PF 2 << 39, 11, mov [rbx], eax
    mov qword [PML4 + 8 * 2], PDPT | 0x87       ; PS in a PML4 entry
    EXPECT_PF 2 << 39, 9, mov eax, [rbx]
    mov qword [PML4 + 8 * 2], 0
    mov qword [PD + 8 * 3], 0x2087              ; a 2 MiB page that does not begin at 2 MiB: bits 20:13
    mov ebx, 0x600000
    EXPECT_PF 0x600000, 9, mov eax, [rbx]
    mov qword [PD + 8 * 3], 0x1087              ; bit 12 is PAT there
    mov eax, [rbx]
    mov qword [PD + 8 * 3], 0
%macro RESERVED_IN 4.nolist     ; entry, what it would be, bit, address
    mov rax, %2
    mov rcx, 1 << (%3)
    or rax, rcx
    mov [%1], rax
    mov rbx, %4
    invlpg [rbx]
    EXPECT_PF %4, 9, mov eax, [rbx]
    EXPECT_PF %4, 11, mov [rbx], eax
    mov qword [%1], 0
%endmacro
    CASE "bits beyond MAXPHYADDR in a PDPTE, PDE and PTE", "3A 4.5"
    RESERVED_IN PDPT + 8 * 5, PD | 7, 51, 5 << 30
    RESERVED_IN PDPT + 8 * 5, 0x87, 51, 5 << 30
    RESERVED_IN PD + 8 * 3, PT | 7, 51, 0x600000
    RESERVED_IN PD + 8 * 3, 0x87, 51, 0x600000
    RESERVED_IN PTE(9), 0x21007, 51, LINEAR(9)
    CASE "bit 63 without EFER.NXE, at all levels", "3A 4.5"
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~0x800
    wrmsr
    RESERVED_IN PML4 + 8 * 2, PDPT | 7, 63, 2 << 39
    RESERVED_IN PDPT + 8 * 5, PD | 7, 63, 5 << 30
    RESERVED_IN PD + 8 * 3, PT | 7, 63, 0x600000
    RESERVED_IN PTE(9), 0x21007, 63, LINEAR(9)
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x800
    wrmsr
    CASE "bits 62:52 are ignored", "3A 4.5"
    mov rax, 0x7ff0000000000000 | 0x21000 | 7
    mov [PTE(9)], rax
    mov dword [0x21000], 0x5a5a
    CHECK_EQ dword [LINEAR(9)], 0x5a5a
    mov qword [PTE(9)], 0
    invlpg [LINEAR(9)]
    CASE "1 GiB pages, and INVLPG of any address in one", "3A 4.5, 4.10.4.1"
    ; 4 GiB up shows the first GiB again
    mov qword [PDPT + 8 * 4], 0x87
    mov rbx, (4 << 30) + 0x20ffc
    CHECK_EQ dword [rbx], 0x11112222
    CHECK_EQ qword [PDPT + 8 * 4], 0xa7
    mov dword [rbx], 0x33334444
    CHECK_EQ qword [PDPT + 8 * 4], 0xe7         ; dirty
    CHECK_EQ dword [0x20ffc], 0x33334444
    mov qword [PDPT + 8 * 4], 0x200087          ; bits 29:13 are reserved
    mov rdx, (4 << 30) + 0x123456
    invlpg [rdx]                                ; of any address in it
    EXPECT_PF (4 << 30) + 0x20ffc, 9, mov eax, [rbx]

    CASE "SMEP", "3A 4.6.1"
    ; the program itself moves into a supervisor's page.
    mov dword [PD], 0x83
    invlpg [0]
    mov byte [LINEAR(1)], 0xc3
    mov eax, LINEAR(1)
    call rax
    CR4_SET CR4_SMEP
    mov [saved_rsp], rsp
    mov qword [resume], .smep
    mov byte [vector], 0xff
    mov eax, LINEAR(1)
    call rax
.smep:
    CHECK_EQ byte [vector], 14
    CHECK_EQ qword [error], 0x11
    CHECK_EQ qword [fault_rip], LINEAR(1)
    EXPECT_PF LINEAR(2), 0, mov eax, [LINEAR(2)]
    mov qword [resume], .smep2                  ; with SMEP fetches are told apart, NX or not
    mov eax, LINEAR(2)
    call rax
.smep2:
    CHECK_EQ qword [error], 0x10
    CR4_CLEAR CR4_SMEP
    mov eax, LINEAR(1)
    call rax

    CASE "SMAP", "3A 4.6.1"
    CR4_SET CR4_SMAP
    EXPECT_PF LINEAR(1), 1, mov eax, [LINEAR(1)]
    EXPECT_PF LINEAR(1), 3, mov [LINEAR(1)], eax
    stac
    mov dword [LINEAR(1)], 0x5555
    clac
    EXPECT_PF LINEAR(1), 1, mov eax, [LINEAR(1)]
    mov eax, LINEAR(1)
    mov byte [0x20000], 0xc3
    call rax                                    ; SMAP has no say in fetches
    ; a descriptor table is read as the processor's own: AC does not help.  The code segment's
    ; descriptor, which the handler needs, stays in a supervisor's page
    mov qword [PTE(0)], 0x28000 | 3
    mov rsi, gdt
    mov edi, LINEAR(1) - DATA0
    mov ecx, gdt_end - gdt
    stac
    rep movsb
    sub rsp, 16
    mov word [rsp], gdt_end - gdt - 1
    mov qword [rsp + 2], LINEAR(1) - DATA0
    lgdt [rsp]
    mov ax, DATA0
    EXPECT_PF LINEAR(1), 1, mov ds, ax
    mov qword [PTE(0)], 0
    invlpg [LINEAR(0)]
    lgdt [gdtr64]
    add rsp, 16
    mov ax, DATA0
    mov ds, ax
    CR4_CLEAR CR4_SMAP
    mov dword [PD], 0x87
    invlpg [0]

    CASE "protection keys", "3A 4.6.2"
    EXPECT 6, 0, rdpkru                         ; without CR4.PKE
    mov rcx, 5 << 59
    mov rax, 0x21000 | 7
    or rax, rcx
    mov [PTE(3)], rax                           ; key 5
    mov qword [PTE(4)], 0x22000 | 3
    or [PTE(4)], rcx                            ; the same for a supervisor's page: no effect
    CR4_SET CR4_PKE
    mov eax, 7
    xor ecx, ecx
    cpuid
    test ecx, 1 << 4                            ; OSPKE
    CHECK nz
    WRPKRU 0
    mov dword [LINEAR(3)], 0x7777
    WRPKRU 2 << 10                              ; WD: what the TLB knows is not enough any more
    CHECK_EQ dword [LINEAR(3)], 0x7777
    EXPECT_PF LINEAR(3), 0x23, mov [LINEAR(3)], eax         ; level 0 with CR0.WP
    mov rax, cr0
    and eax, ~0x10000
    mov cr0, rax
    mov dword [LINEAR(3)], 0x8888
    or eax, 0x10000
    mov cr0, rax
    EXPECT_PF LINEAR(3), 0x23, mov [LINEAR(3)], eax
    WRPKRU 1 << 10                              ; AD
    EXPECT_PF LINEAR(3), 0x21, mov eax, [LINEAR(3)]
    EXPECT_PF LINEAR(3), 0x23, mov [LINEAR(3)], eax
    mov dword [LINEAR(4)], 0x9999               ; a supervisor-mode address
    mov byte [0x21000], 0xc3
    mov eax, LINEAR(3)
    call rax                                    ; fetches do not ask
    USER .key, CODE64_3
    CHECK_EQ byte [vector], 14
    CHECK_EQ qword [error], 0x25
    WRPKRU 0
    CHECK_EQ byte [LINEAR(3)], 0xc3
    CASE "the error code tells of the key even where other rights forbid", "3A 4.7"
    and byte [PTE(3)], ~2
    invlpg [LINEAR(3)]
    EXPECT_PF LINEAR(3), 3, mov [LINEAR(3)], eax
    WRPKRU 2 << 10
    EXPECT_PF LINEAR(3), 0x23, mov [LINEAR(3)], eax
    mov ecx, 1
    xor eax, eax
    xor edx, edx
    EXPECT 13, 0, wrpkru                        ; ECX and EDX must be 0
    EXPECT 13, 0, rdpkru
    WRPKRU 0
    CR4_CLEAR CR4_PKE
    jmp .keys_done
.key:
    mov al, [LINEAR(3)]
    int 0x80
.keys_done:

    CASE "PCIDs", "3A 4.10.1"
    ; two address spaces, LINEAR(5) is 0x23000 in one, 0x24000 in the other
    mov esi, PML4
    mov edi, PML4_B
    mov ecx, 0x4000 / 8
    rep movsq
    mov qword [PML4_B], PDPT_B | 7
    mov qword [PDPT_B], PD_B | 7
    mov qword [PD_B + 16], PT_B | 7
    mov qword [PTE(5)], 0x23000 | 7
    mov qword [PTE_B(5)], 0x24000 | 7
    mov dword [0x23000], 0xa
    mov dword [0x24000], 0xb
    mov rax, PML4 | 1
    mov cr3, rax
    mov rax, cr4
    or eax, CR4_PCIDE
    EXPECT 13, 0, mov cr4, rax                  ; needs CR3[11:0] = 0
    LOAD_CR3 PML4
    CR4_SET CR4_PCIDE | CR4_PGE
    mov rax, cr0
    and eax, 0x7fffffff
    EXPECT 13, 0, mov cr0, rax                  ; paging stays while there are PCIDs
    LOAD_CR3 PML4 | 1
    CHECK_EQ dword [LINEAR(5)], 0xa
    LOAD_CR3 PML4_B | 2
    CHECK_EQ dword [LINEAR(5)], 0xb
    mov rbx, cr3
    CHECK_EQ rbx, PML4_B | 2
    LOAD_CR3 (1 << 63) | PML4 | 1
    mov rbx, cr3
    CHECK_EQ rbx, PML4 | 1                      ; bit 63 is not kept
    CHECK_EQ dword [LINEAR(5)], 0xa
    LOAD_CR3 (1 << 63) | PML4_B | 2
    CHECK_EQ dword [LINEAR(5)], 0xb
    CASE "INVPCID", "2A INVPCID; 3A 4.10.4.1"
    ; a page taken away in PCID 1 while 2 is in use: gone behind each kind of flush
    mov qword [PTE(5)], 0
    INVPCID 0, 1, LINEAR(5)
    CHECK_EQ dword [LINEAR(5)], 0xb
    LOAD_CR3 (1 << 63) | PML4 | 1
    EXPECT_PF LINEAR(5), 0, mov eax, [LINEAR(5)]
    mov qword [PTE(5)], 0x23000 | 7
    CHECK_EQ dword [LINEAR(5)], 0xa
    LOAD_CR3 (1 << 63) | PML4_B | 2
    mov qword [PTE(5)], 0
    INVPCID 1, 1, 0
    LOAD_CR3 (1 << 63) | PML4 | 1
    EXPECT_PF LINEAR(5), 0, mov eax, [LINEAR(5)]
    mov qword [PTE(5)], 0x23000 | 7
    CHECK_EQ dword [LINEAR(5)], 0xa
    mov qword [PTE_B(5)], 0
    INVPCID 3, 0, 0                             ; all PCIDs
    LOAD_CR3 (1 << 63) | PML4_B | 2
    EXPECT_PF LINEAR(5), 0, mov eax, [LINEAR(5)]
    mov qword [PTE_B(5)], 0x24000 | 7
    CHECK_EQ dword [LINEAR(5)], 0xb
    mov qword [PTE(5)], 0x23000 | 7
    LOAD_CR3 (1 << 63) | PML4 | 1
    CHECK_EQ dword [LINEAR(5)], 0xa
    mov qword [PTE_B(5)], 0
    LOAD_CR3 PML4_B | 2                         ; with a flush of PCID 2
    EXPECT_PF LINEAR(5), 0, mov eax, [LINEAR(5)]
    CASE "code of several PCIDs", "3A 4.10.1"
    ; code by linear address changes with the address space, too
    mov qword [PTE(6)], 0x25000 | 7
    mov qword [PTE_B(6)], 0x26000 | 7
    mov dword [0x25000], 0xc3bbb0               ; mov al, 0xbb; ret - there
    mov dword [0x26000], 0xc3ccb0
    mov ecx, 3
.code:
    LOAD_CR3 (1 << 63) | PML4 | 1
    mov ebx, LINEAR(6)
    call rbx
    CHECK_EQ al, 0xbb
    LOAD_CR3 (1 << 63) | PML4_B | 2
    call rbx
    CHECK_EQ al, 0xcc
    loop .code
    mov byte [0x25001], 0xdd                    ; changed from the other address space
    LOAD_CR3 (1 << 63) | PML4 | 1
    call rbx
    CHECK_EQ al, 0xdd
    CASE "many PCIDs", "3A 4.10.1"
    ; more PCIDs than anybody keeps: each has its own page
    mov ecx, 20
.many:
    mov rax, PML4
    or rax, rcx
    mov cr3, rax
    CHECK_EQ dword [LINEAR(5)], 0xa
    loop .many
    CASE "global pages", "3A 4.10.2.4"
    ; a global page is every PCID's: INVLPG and INVPCID 2 find it, INVPCID 3 need not
    mov qword [PTE(7)], 0x27000 | 0x107
    mov qword [PTE_B(7)], 0x27000 | 0x107
    mov dword [0x27000], 0x1717
    LOAD_CR3 PML4 | 1
    CHECK_EQ dword [LINEAR(7)], 0x1717
    LOAD_CR3 PML4_B | 2
    CHECK_EQ dword [LINEAR(7)], 0x1717
    mov qword [PTE(7)], 0
    mov qword [PTE_B(7)], 0
    invlpg [LINEAR(7)]
    EXPECT_PF LINEAR(7), 0, mov eax, [LINEAR(7)]
    LOAD_CR3 (1 << 63) | PML4 | 1
    EXPECT_PF LINEAR(7), 0, mov eax, [LINEAR(7)]
    mov qword [PTE(7)], 0x27000 | 0x107
    CHECK_EQ dword [LINEAR(7)], 0x1717
    mov qword [PTE(7)], 0
    LOAD_CR3 PML4_B | 2
    INVPCID 2, 0, 0
    LOAD_CR3 (1 << 63) | PML4 | 1
    EXPECT_PF LINEAR(7), 0, mov eax, [LINEAR(7)]
    CASE "faults of INVPCID", "2A INVPCID"
    mov qword [descriptor], 0x1000
    mov qword [descriptor + 8], 0
    xor eax, eax
    EXPECT 13, 0, invpcid rax, [descriptor]     ; a PCID above 4095
    mov qword [descriptor], 1
    mov eax, 4
    EXPECT 13, 0, invpcid rax, [descriptor]     ; no such type
    mov rcx, 1 << 62
    mov [descriptor + 8], rcx
    xor eax, eax
    EXPECT 13, 0, invpcid rax, [descriptor]     ; not canonical
    CASE "without CR4.PCIDE there is PCID 0 only", "3A 4.10.1"
    LOAD_CR3 PML4
    CR4_CLEAR CR4_PCIDE
    CHECK_EQ dword [LINEAR(5)], 0xa
    mov qword [descriptor], 1
    mov qword [descriptor + 8], 0
    mov eax, 1
    EXPECT 13, 0, invpcid rax, [descriptor]
    mov rax, (1 << 63) | PML4
    EXPECT 13, 0, mov cr3, rax
    PASS

align 16
descriptor: dq 0, 0
gdtr64:
    dw gdt_end - gdt - 1
    dq gdt
