; AVX-512 as a kernel sees it: what switches it on, state components, faults that the mask suppresses,
; gathers and scatters that stop in the middle (SDM volume 1 13, 15; volume 2 2.8).
%include "long.inc"

%define CR0_TS (1 << 3)
%define CR0_AM (1 << 18)
%define CR4_OSFXSR (3 << 9)
%define CR4_OSXSAVE (1 << 18)
%define AREA 0x20000
%define INDICES 0x22000
%define EDGE LINEAR(2)                  ; page 1 is there and page 2 is not

%macro SET_XCR0 1.nolist
    xor ecx, ecx
    xor edx, edx
    mov eax, %1
    xsetbv
%endmacro

; SAVE instruction, components - in the area, which was all ones but for its header
%macro SAVE 2.nolist
    mov edi, AREA
    mov ecx, 2816 / 8
    mov rax, -1
    rep stosq
    mov edi, AREA + 512
    mov ecx, 8
    xor eax, eax
    rep stosq
    mov eax, %2
    xor edx, edx
    %1 [AREA]
%endmacro

; ALL_ONES opmask: as many bits as there are
%macro ALL_ONES 1.nolist
    kxnorq %1, %1, %1
%endmacro

main:
    CASE "a processor with AVX-512 F, CD, BW, DQ and VL", "2 CPUID"
    mov eax, 7
    xor ecx, ecx
    cpuid
    and ebx, 0xd0030000
    cmp ebx, 0xd0030000
    je .there
    SKIP
.there:
    CASE "without CR4.OSXSAVE", "2 2.8"
    mov rax, cr4
    or eax, CR4_OSFXSR
    mov cr4, rax
    EXPECT 6, 0, vmovups zmm0, [0x500]
    EXPECT 6, 0, kmovw k1, eax
    CASE "what XCR0 takes", "1 13.3"
    mov rax, cr4
    or eax, CR4_OSXSAVE
    mov cr4, rax
    xor ecx, ecx
    xor edx, edx
%assign bits 0x27
%rep 3
    mov eax, bits                               ; one of the three is none
    EXPECT 13, 0, xsetbv
  %assign bits bits + 0x40
%endrep
    mov eax, 0xe3                               ; nor are they without AVX's
    EXPECT 13, 0, xsetbv
    CASE "without its bits in XCR0", "2 2.8"
    SET_XCR0 7
    vmovups ymm0, [0x500]
    EXPECT 6, 0, vmovups zmm0, [0x500]
    EXPECT 6, 0, vmovups xmm16, [0x500]
    EXPECT 6, 0, kmovw k1, eax
    mov rax, cr0
    or eax, CR0_TS
    mov cr0, rax
    EXPECT 6, 0, vmovups zmm0, [0x500]          ; before #NM
    CASE "#NM", "2 2.8"
    SET_XCR0 0xe7
    EXPECT 7, 0, vmovups zmm0, [0x500]
    EXPECT 7, 0, kmovw k1, eax
    mov rbx, LINEAR(2)
    EXPECT 7, 0, vmovups zmm0, [rbx]            ; before the page fault
    clts
    vmovups zmm0, [0x500]

    CASE "where CPUID says that the components lie", "1 13.5"
    mov eax, 0xd
    xor ecx, ecx
    cpuid
    and eax, 0xe7
    CHECK_EQ eax, 0xe7
    CHECK_EQ ebx, 2688
%macro COMPONENT 3.nolist
    mov eax, 0xd
    mov ecx, %1
    cpuid
    CHECK_EQ eax, %2
    CHECK_EQ ebx, %3
%endmacro
    COMPONENT 5, 64, 1088
    COMPONENT 6, 512, 1152
    COMPONENT 7, 1024, 1664

    ; ---- XSAVE and its kin
    CASE "nothing is in use", "1 13.6"
    vzeroall
    mov eax, 0xe6
    xor edx, edx
    mov dword [AREA + 24], 0x1f80
    xrstor [AREA]                               ; the header is zero: initial
    mov ecx, 1
    xgetbv
    and eax, 0xe6
    CHECK_EQ eax, 0
    CASE "what each part of a register makes be in use", "1 13.6"
%macro USES 2+.nolist
    %2
    mov ecx, 1
    xgetbv
    and eax, 0xe6
    CHECK_EQ eax, %1
%endmacro
    inc eax
    USES 0x20, kmovw k3, eax
    mov rax, 0x1122334455667788
    USES 0xa0, vpbroadcastq zmm31, rax
    mov rax, 0x1122334455667788
    kmovq k7, rax
    lea rbx, [rax + 1]
    USES 0xe6, vpbroadcastq zmm2, rbx
    CASE "XSAVE", "1 13.7"
    SAVE xsave, 0xe6
    mov rax, 0x1122334455667788
    CHECK_EQ qword [AREA + 512], 0xe6
    CHECK_EQ [AREA + 1088 + 7 * 8], rax
    CHECK_EQ [AREA + 1664 + 15 * 64 + 56], rax
    inc rax
    CHECK_EQ [AREA + 160 + 2 * 16], rax
    CHECK_EQ [AREA + 576 + 2 * 16], rax
    CHECK_EQ [AREA + 1152 + 2 * 32 + 24], rax
    CHECK_EQ qword [AREA + 1152], 0             ; ZMM0
    CHECK_EQ qword [AREA + 2688], -1            ; no more than that
    CASE "XSAVEC puts one component behind the other", "1 13.10"
    SAVE xsavec, 0xe0
    mov rax, 0x80000000000000e0
    CHECK_EQ [AREA + 520], rax
    CHECK_EQ qword [AREA + 512], 0xe0
    mov rax, 0x1122334455667788
    CHECK_EQ [AREA + 576 + 7 * 8], rax
    CHECK_EQ [AREA + 576 + 64 + 512 + 15 * 64 + 56], rax
    CHECK_EQ qword [AREA + 576 + 64 + 512 + 1024], -1
    CASE "XRSTOR of all but one, which becomes initial", "1 13.8"
    ALL_ONES k7
    vpternlogd zmm31, zmm31, zmm31, 0xff
    vpternlogd zmm2, zmm2, zmm2, 0xff
    and byte [AREA + 512], ~0x40
    mov eax, 0xe0
    xor edx, edx
    xrstor [AREA]
    kmovq rbx, k7
    mov rax, 0x1122334455667788
    CHECK_EQ rbx, rax
    vextracti32x4 xmm3, zmm31, 3
    vpextrq rbx, xmm3, 1
    CHECK_EQ rbx, rax
    vextracti64x4 ymm3, zmm2, 1                 ; ZMM_Hi256
    vptest ymm3, ymm3
    CHECK z
    vpmovq2m k1, ymm2                           ; what was below it was not asked for
    kmovw eax, k1
    CHECK_EQ eax, 0xf
    CASE "XRSTOR of a component that XCR0 has not", "1 13.8"
    or byte [AREA + 512], 0x10
    mov eax, 0xe0
    EXPECT 13, 0, xrstor [AREA]
    CASE "VZEROUPPER and VZEROALL leave ZMM16 and up, and opmasks", "2 VZEROALL"
    vzeroupper
    vzeroall
    vptestmq k1, zmm31, zmm31
    kmovw eax, k1
    CHECK_EQ eax, 0xff
    kmovq rbx, k7
    mov rax, 0x1122334455667788
    CHECK_EQ rbx, rax

    CASE "KORTEST and KTEST", "2 KORTESTW"
    ALL_ONES k1
    kshiftrq k2, k1, 32
    stc
    kortestq k2, k2
    CHECK nc
    kortestd k2, k2
    CHECK c
    setc al
    CHECK c
    kxorq k3, k3, k3
    kortestd k3, k3
    CHECK z
    CHECK nc
    ktestq k2, k1
    CHECK nz
    CHECK nc
    kshiftlq k3, k1, 32
    ktestd k2, k3
    CHECK z
    ktestd k1, k2
    CHECK c

    ; ---- faults and the mask
    mov qword [PTE(1)], LINEAR(1) | 7
    mov qword [PTE(2)], 0
    invlpg [LINEAR(1)]
    invlpg [LINEAR(2)]
    mov rbx, EDGE - 16                          ; four elements are there
    CASE "a load whose absent elements are masked off", "2 2.8"
    mov eax, 0xf
    kmovw k1, eax
    vmovdqu32 zmm1{k1}, [rbx]
    vaddps zmm1{k1}{z}, zmm1, [rbx]
    kxorw k2, k2, k2
    vmovdqa32 zmm1{k2}, [rbx]                   ; no element: not even alignment
    CASE "one that is not", "2 2.8"
    mov eax, 0x101
    kmovw k1, eax
    EXPECT_PF EDGE + 16, 0, {vmovdqu32 zmm1{k1}, [rbx]}
    vpternlogd zmm1, zmm1, zmm1, 0xff
    EXPECT 13, 0, {vmovdqa32 zmm1{k1}, [rbx]}   ; alignment comes first
    CASE "a broadcast is by element of its tuple", "2 VBROADCAST"
    mov rcx, EDGE - 8
    mov eax, 0x55
    kmovw k1, eax
    vbroadcasti64x2 zmm1{k1}, [rcx]
    mov eax, 0x80
    kmovw k1, eax
    EXPECT_PF EDGE, 0, {vbroadcasti64x2 zmm1{k1}, [rcx]}
    CASE "no fault suppression", "2 2.8.7"
    EXPECT_PF EDGE, 0, {vpermd zmm1{k2}, zmm1, [rbx]}
    EXPECT_PF EDGE, 2, {vextracti32x4 [rcx]{k2}, zmm1, 0}
    CASE "a store is all or nothing", "2 2.8"
    mov eax, 0xf
    kmovw k1, eax
    mov dword [rbx], 0
    vpternlogd zmm1, zmm1, zmm1, 0xff
    vmovdqu32 [rbx]{k1}, zmm1
    CHECK_EQ dword [rbx + 12], -1
    mov dword [rbx], 0
    mov eax, 0x1f
    kmovw k1, eax
    EXPECT_PF EDGE + 3, 2, {vmovdqu32 [rbx]{k1}, zmm1}  ; its last byte tells
    CHECK_EQ dword [rbx], 0
    mov eax, 0xf000                             ; four, which are packed
    kmovw k1, eax
    vpcompressd [rbx]{k1}, zmm1
    CHECK_EQ dword [rbx], -1
    vpexpandd zmm2{k1}{z}, [rbx]
    vptestmd k3, zmm2, zmm2
    kmovw eax, k3
    CHECK_EQ eax, 0xf000
    CASE "an address that is not canonical, masked off or not", "2 2.8"
    mov rcx, 0x7ffffffffffc
    mov eax, 2
    kmovw k1, eax
    EXPECT 13, 0, {vmovdqu32 zmm1{k1}, [rcx]}
    EXPECT_PF 0x7ffffffffffc, 0, {vmovd xmm1, [rcx]}
    vmovdqu32 zmm1{k2}, [rcx]

    ; ---- gathers and scatters
    CASE "a gather that faults at its third element", "2 VPGATHERDD"
    mov dword [EDGE - 8], 0x11111111
    mov dword [EDGE - 4], 0x22222222
    mov edi, INDICES
    xor eax, eax
.index:
    stosd
    add eax, 4
    cmp eax, 64
    jne .index
    vmovdqu32 zmm5, [INDICES]
    mov rbx, EDGE - 8
    vpternlogd zmm1, zmm1, zmm1, 0xff
    ALL_ONES k1
    EXPECT_PF EDGE, 0, {vpgatherdd zmm1{k1}, [rbx + zmm5]}
    kmovw eax, k1
    CHECK_EQ eax, 0xfffc                        ; two are done
    vmovq rax, xmm1
    mov rcx, 0x2222222211111111
    CHECK_EQ rax, rcx
    vpextrq rax, xmm1, 1
    CHECK_EQ rax, -1
    CASE "and goes on", "2 VPGATHERDD"
    mov dword [EDGE - 8], 0                     ; what is done is not done again
    mov qword [PTE(2)], LINEAR(1) | 7
    mov dword [EDGE + 0], 0x33333333
    vpgatherdd zmm1{k1}, [rbx + zmm5]
    kortestw k1, k1
    CHECK z
    vmovq rax, xmm1
    CHECK_EQ rax, rcx
    vpextrd eax, xmm1, 2
    CHECK_EQ eax, 0x33333333
    CASE "a scatter that faults at its third element", "2 VPSCATTERDD"
    mov qword [PTE(2)], 0
    invlpg [EDGE]
    vpternlogd zmm1, zmm1, zmm1, 0xff
    ALL_ONES k1
    EXPECT_PF EDGE, 2, {vpscatterdd [rbx + zmm5]{k1}, zmm1}
    kmovw eax, k1
    CHECK_EQ eax, 0xfffc
    CHECK_EQ qword [rbx], -1
    CASE "of two elements at one place the last one stays", "2 VPSCATTERDD"
    vpxord zmm6, zmm6, zmm6
    ALL_ONES k1
    vpscatterdd [rbx + zmm6]{k1}, zmm5
    CHECK_EQ dword [rbx], 60

    ; ---- alignment checks
    mov rax, cr0
    or eax, CR0_AM
    mov cr0, rax
    or dword [user_flags], 1 << 18
    mov rbx, LINEAR(1) + 1
    mov eax, 1
    kmovw k1, eax
    USER_FAULTS "#AC of a broadcast element", "2 2.8", 17, 0, {vaddps zmm1, zmm1, [rbx]{1to16}}
    mov rcx, 0x7fffffffffff
    USER_FAULTS "before that the end is not canonical", "2 2.8", 17, 0, {vaddpd zmm1, zmm1, [rcx]{1to8}}
    USER_FAULTS "behind it under a mask", "2 2.8", 13, 0, {vaddpd zmm1{k1}, zmm1, [rcx]{1to8}}
    USER_FAULTS "but not of a store", "2 2.8", 17, 0, {vmovsd [rcx]{k1}, xmm1}
    USER_FAULTS "of a scalar", "2 2.8", 17, 0, {vmovss xmm1{k1}, [rbx]}
    USER_WORKS "not of one that is masked off", "2 2.8", {vmovss xmm1{k2}, [rbx]}
    USER_WORKS "nor of a vector", "2 2.8", {vaddps xmm1{k1}, xmm1, [rbx]}
    USER_WORKS "nor of class E11", "2 2.8.10", {vcvtps2ph [rbx]{k1}, xmm1, 0}
    PASS
