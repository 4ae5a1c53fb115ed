; 5-level paging: on and off by way of compatibility mode, 57-bit addresses, what is canonical (SDM
; volume 3A 4.1.2, 4.5; volume 1 3.3.7.1).
%include "long.inc"

%define PML5 0x14000
%define CR4_LA57 (1 << 12)
%define HIGH 0x00ab000000000000         ; in the lower half of 57 bits: entry 0x56 of the PML5, PML4E 0
%define UPPER 0xff00000000000000        ; the first address of the upper half

main:
    CASE "CPUID, and no change of levels in IA-32e mode", "2A CPUID; 3A 2.5"
    mov eax, 7
    xor ecx, ecx
    cpuid
    test ecx, 1 << 16
    CHECK nz
    mov eax, 0x80000008
    cpuid
    CHECK_EQ ah, 57
    mov rax, cr4
    or eax, CR4_LA57
    EXPECT 13, 0, mov cr4, rax                  ; not in IA-32e mode
    mov rbx, HIGH | 0x7c00
    EXPECT 13, 0, mov eax, [rbx]                ; not canonical with four levels
    mov rbx, [0x7c00]

    CASE "on: 57-bit addresses, reserved bits, rights of the fifth level", "3A 4.5"
    mov edi, PML5
    mov ecx, 0x1000 / 4
    xor eax, eax
    rep stosd
    mov qword [PML5], PML4 | 7
    mov qword [PML5 + 8 * (HIGH >> 48 & 0x1ff)], PML4 | 7
    mov qword [PML5 + 8 * (UPPER >> 48 & 0x1ff)], PML4 | 7
    mov ebp, PML5
    mov esi, CR4_LA57
    call switch
    mov rax, cr4
    test eax, CR4_LA57
    CHECK nz
    xor eax, CR4_LA57
    EXPECT 13, 0, mov cr4, rax                  ; it stays while paging does
    mov rcx, HIGH | 0x7c00
    CHECK_EQ [rcx], rbx
    CHECK_EQ qword [PML5 + 8 * (HIGH >> 48 & 0x1ff)], PML4 | 0x27       ; accessed, not dirty
    mov rcx, UPPER | 0x7c00
    CHECK_EQ [rcx], rbx
    mov rcx, 0x0100000000000000
    EXPECT 13, 0, mov eax, [rcx]                ; canonical to 57 bits only
    mov rcx, 0x00ffffffffffffff
    EXPECT 13, 0, mov eax, [rcx]                ; its end is not
    mov rcx, 0x00cd000000000000
    EXPECT_PF 0x00cd000000000000, 0, mov eax, [rcx]
    mov dword [PML5 + 8 * 0xcd], PML4 | 0x87    ; PS is reserved in a PML5 entry
    EXPECT_PF 0x00cd000000000000, 9, mov eax, [rcx]
    mov dword [PML5 + 8 * 0xcd], PML4 | 7
    mov eax, [rcx]
    mov dword [PML5 + 8 * 0xcd], 0
    invlpg [rcx]
    EXPECT_PF 0x00cd000000000000, 0, mov eax, [rcx]
    ; rights of the fifth level count
    mov dword [PML5 + 8 * 0xcd], PML4 | 5
    EXPECT_PF 0x00cd000000007c00, 3, mov [rcx + 0x7c00], eax
    CASE "code and bases of 57 bits", "1 3.3.7.1"
    mov rcx, HIGH + .there
    jmp rcx
.there:
    lea rax, [rel .there]
    mov rcx, HIGH + .there
    CHECK_EQ rax, rcx
    mov eax, .back
    jmp rax
.back:
    mov ecx, 0xc0000100                         ; FS_BASE of 57 bits
    mov eax, 0
    mov edx, HIGH >> 32
    wrmsr
    CHECK_EQ [fs:0x7c00], rbx

    CASE "off again", "3A 4.1.2"
    ; bases keep their 57 bits, accesses do not
    mov ebp, PML4
    xor esi, esi
    call switch
    mov rax, cr4
    test eax, CR4_LA57
    CHECK z
    EXPECT 13, 0, mov eax, [fs:0x7c00]
    mov ecx, 0xc0000100
    rdmsr
    CHECK_EQ edx, HIGH >> 32
    wrmsr
    mov rcx, HIGH | 0x7c00
    EXPECT 13, 0, mov eax, [rcx]
    invlpg [rcx]                                ; no fault either way
    PASS

; Leave IA-32e mode and enter it again with CR3 = ebp and CR4.LA57 as in esi.
switch:
    push rbx
    push qword CODE32
    push qword .compat
    retfq
bits 32
.compat:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov eax, cr4
    and eax, ~CR4_LA57
    or eax, esi
    mov cr4, eax
    mov cr3, ebp
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp CODE64:.long
bits 64
.long:
    pop rbx
    ret
