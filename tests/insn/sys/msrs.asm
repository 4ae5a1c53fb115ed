; Model-specific registers: RDMSR and WRMSR, reserved bits, what may only be read or only be written, memory types
; in PAT and MTRRs, canonical bases, EFER, IA32_APIC_BASE, machine-check banks, and XCR0 (SDM volume 4, table 2-2, "4"
; below; volume 2 and 3A, under the sections named).
%include "long.inc"

%define APIC_BASE 0x1b
%define FEATURE_CONTROL 0x3a
%define TSC_ADJUST 0x3b
%define SPEC_CTRL 0x48
%define PRED_CMD 0x49
%define BIOS_SIGN_ID 0x8b
%define MTRRCAP 0xfe
%define ARCH_CAPABILITIES 0x10a
%define SYSENTER_ESP 0x175
%define SYSENTER_EIP 0x176
%define MCG_CAP 0x179
%define MCG_STATUS 0x17a
%define MISC_ENABLE 0x1a0
%define MTRR_PHYSBASE0 0x200
%define MTRR_PHYSMASK0 0x201
%define PAT 0x277
%define MTRR_DEF_TYPE 0x2ff
%define MC0_CTL 0x400
%define MC0_STATUS 0x401
%define X2APIC_ID 0x802
%define XSS 0xda0
%define EFER 0xc0000080
%define STAR 0xc0000081
%define LSTAR 0xc0000082
%define CSTAR 0xc0000083
%define FMASK 0xc0000084
%define FS_BASE 0xc0000100
%define GS_BASE 0xc0000101
%define KERNEL_GS_BASE 0xc0000102
%define UNKNOWN 0x12345678

%define NOT_CANONICAL 0x40000000        ; upper half, with four levels of paging and with five

; BAD name, section, MSR, upper half, lower half: WRMSR is #GP(0)
%macro BAD 5.nolist
    mov ecx, %3
    mov edx, %4
    mov eax, %5
    FAULTS %1, %2, 13, 0, wrmsr
%endmacro

; KEEPS name, section, MSR, upper half, lower half: what is written is read
%macro KEEPS 5.nolist
    CASE %1, %2
    mov ecx, %3
    mov edx, %4
    mov eax, %5
    wrmsr
    xor eax, eax
    xor edx, edx
    rdmsr
    CHECK_EQ edx, %4
    CHECK_EQ eax, %5
%endmacro

; BECOMES MSR, bits to clear, bits to set, in its lower half
%macro BECOMES 3.nolist
    mov ecx, %1
    rdmsr
    and eax, ~(%2)
    or eax, %3
    wrmsr
%endmacro

main:
    ; ---- the instructions
    mov ecx, UNKNOWN
    FAULTS "RDMSR of a register that there is not", "2 RDMSR", 13, 0, rdmsr
    FAULTS "WRMSR of one", "2 WRMSR", 13, 0, wrmsr
    mov ecx, PAT
    USER_FAULTS "RDMSR at level 3", "2 RDMSR", 13, 0, rdmsr
    USER_FAULTS "WRMSR at level 3", "2 WRMSR", 13, 0, wrmsr
    CASE "the upper halves of RCX, RAX and RDX", "2 RDMSR"
    mov rcx, 0xffffffff00000000 | PAT
    mov rax, -1
    mov rdx, -1
    rdmsr
    mov esi, 0x00070406                         ; PAT's value out of reset: 3A 11.12.4
    CHECK_EQ rax, rsi
    CHECK_EQ rdx, rsi

    ; ---- page attribute table (3A 11.12)
    KEEPS "PAT: all its types", "3A 11.12.2", PAT, 0x00010405, 0x06070001
    BAD "PAT: type 2", "3A 11.12.2", PAT, 0, 2
    BAD "PAT: type 3", "3A 11.12.2", PAT, 0x03000000, 0
    BAD "PAT: a reserved bit", "3A 11.12.2", PAT, 0, 8
    CASE "PAT: none of them was written", "3A 11.12.4"
    rdmsr
    CHECK_EQ eax, 0x06070001
    KEEPS "PAT: as after reset", "3A 11.12.4", PAT, 0x00070406, 0x00070406

    ; ---- MTRRs (3A 11.11)
    CASE "MTRRCAP: fixed ranges, write combining", "3A 11.11.1"
    mov ecx, MTRRCAP
    rdmsr
    and eax, 0x500
    CHECK_EQ eax, 0x500
    BAD "MTRRCAP can only be read", "3A 11.11.1", MTRRCAP, 0, 0x508
    CASE "no variable range more than VCNT says", "3A 11.11.2.3"
    mov ecx, MTRRCAP
    rdmsr
    movzx ecx, al
    lea ecx, [rcx * 2 + MTRR_PHYSBASE0]
    mov edi, ecx
    EXPECT 13, 0, rdmsr
    CASE "but the last of them", "3A 11.11.2.3"
    lea ecx, [rdi - 1]
    rdmsr
    KEEPS "variable range: its base", "3A 11.11.2.3", MTRR_PHYSBASE0, 0, 0xc0000006
    BAD "variable range: type 2", "3A 11.11.2.3", MTRR_PHYSBASE0, 0, 2
    BAD "variable range: type 7, PAT's alone", "3A 11.11.2.3", MTRR_PHYSBASE0, 0, 7
    BAD "variable range: a reserved bit", "3A 11.11.2.3", MTRR_PHYSBASE0, 0, 0x100
    KEEPS "variable range: its mask", "3A 11.11.2.3", MTRR_PHYSMASK0, 0xf, 0xe0000800
    BAD "variable range: a reserved bit of the mask", "3A 11.11.2.3", MTRR_PHYSMASK0, 0, 0x400
    CASE "variable range: beyond the physical addresses", "3A 11.11.2.3"
    mov eax, 0x80000008
    cpuid
    movzx ecx, al
    xor ebx, ebx
    bts rbx, rcx
    mov rdx, rbx
    shr rdx, 32
    mov eax, 0
    mov ecx, MTRR_PHYSBASE0
    EXPECT 13, 0, wrmsr
    mov rdx, rbx
    shr rdx, 33
    wrmsr                                       ; the last one that there is
    xor edx, edx
    wrmsr
    mov ecx, MTRR_PHYSMASK0
    wrmsr
%assign i 0
%rep 11
  %if i == 0
    %assign number 0x250
  %elif i < 3
    %assign number 0x258 + i - 1
  %else
    %assign number 0x268 + i - 3
  %endif
    KEEPS "a fixed range", "3A 11.11.2.2", number, 0x06050401, 0x00010600 + i % 2
    BAD "a fixed range: type 7", "3A 11.11.2.2", number, 0, 0x07000000
%assign i i + 1
%endrep
    KEEPS "default type, E and FE", "3A 11.11.2.1", MTRR_DEF_TYPE, 0, 0xc06
    BAD "default type: 3", "3A 11.11.2.1", MTRR_DEF_TYPE, 0, 0xc03
    BAD "default type: bit 8", "3A 11.11.2.1", MTRR_DEF_TYPE, 0, 0xd06
    BAD "default type: bit 12", "3A 11.11.2.1", MTRR_DEF_TYPE, 0, 0x1c06

    ; ---- EFER (3A 2.2.1)
    BAD "EFER: a reserved bit", "3A 2.2.1", EFER, 0, 0x903 | 0x400
    BAD "EFER: LME cannot change while paging is on", "3A 9.8.5", EFER, 0, 0x801
    CASE "EFER: LMA cannot be written", "3A 2.2.1"
    mov ecx, EFER
    mov eax, 0x901
    xor edx, edx
    wrmsr
    rdmsr
    CHECK_EQ eax, 0xd01
    CASE "EFER: without SCE SYSCALL is #UD", "2 SYSCALL"
    BECOMES EFER, 1, 0
    EXPECT 6, 0, syscall
    BECOMES EFER, 0, 1

    ; ---- where SYSCALL and SYSENTER go
    KEEPS "STAR", "4", STAR, 0x00180008, 0x12345678
    KEEPS "LSTAR", "2 WRMSR", LSTAR, 0xffff8000, 0
    BAD "LSTAR that is not canonical", "2 WRMSR", LSTAR, NOT_CANONICAL, 0
    BAD "CSTAR that is not", "2 WRMSR", CSTAR, NOT_CANONICAL, 0
    KEEPS "FMASK", "4", FMASK, 0, 0xfffffffd
    BAD "FMASK has 32 bits", "4", FMASK, 1, 0
    KEEPS "SYSENTER_EIP", "2 WRMSR", SYSENTER_EIP, 0xffffffff, 0x81000000
    BAD "SYSENTER_EIP that is not canonical", "2 WRMSR", SYSENTER_EIP, NOT_CANONICAL, 0
    BAD "SYSENTER_ESP that is not", "2 WRMSR", SYSENTER_ESP, NOT_CANONICAL, 0

    ; ---- bases
    KEEPS "FS_BASE", "3A 3.4.4", FS_BASE, 0, data
    CASE "FS goes by it", "3A 3.4.4"
    CHECK_EQ dword [fs:4], 0x89abcdef
    BAD "FS_BASE that is not canonical", "2 WRMSR", FS_BASE, NOT_CANONICAL, 0
    BAD "GS_BASE that is not", "2 WRMSR", GS_BASE, NOT_CANONICAL, 0
    BAD "KERNEL_GS_BASE that is not", "2 WRMSR", KERNEL_GS_BASE, NOT_CANONICAL, 0
    CASE "SWAPGS: GS_BASE and KERNEL_GS_BASE", "2 SWAPGS"
    mov ecx, GS_BASE
    mov eax, 0x11111111
    mov edx, 0x1111
    wrmsr
    mov ecx, KERNEL_GS_BASE
    mov eax, data
    xor edx, edx
    wrmsr
    swapgs
    CHECK_EQ dword [gs:4], 0x89abcdef
    rdmsr
    CHECK_EQ eax, 0x11111111
    CHECK_EQ edx, 0x1111
    mov ecx, GS_BASE
    rdmsr
    CHECK_EQ eax, data

    ; ---- the local APIC's base (3A 10.4.4, 10.12)
    CASE "APIC_BASE: at FEE00000, enabled, the first processor", "3A 10.4.4"
    mov ecx, APIC_BASE
    rdmsr
    CHECK_EQ eax, 0xfee00900
    CHECK_EQ edx, 0
    BAD "APIC_BASE: a reserved bit", "3A 10.4.4", APIC_BASE, 0, 0xfee00901
    BAD "APIC_BASE: bit 9", "3A 10.4.4", APIC_BASE, 0, 0xfee00b00
    BAD "APIC_BASE: x2APIC without being enabled", "3A 10.12.1", APIC_BASE, 0, 0xfee00500
    WITHOUT 1, ecx, 21, .no_x2apic
    mov ecx, X2APIC_ID
    FAULTS "x2APIC's registers outside x2APIC mode", "3A 10.12.1.2", 13, 0, rdmsr
    KEEPS "APIC_BASE: from xAPIC to x2APIC", "3A 10.12.5", APIC_BASE, 0, 0xfee00d00
    BAD "APIC_BASE: not back to xAPIC", "3A 10.12.5", APIC_BASE, 0, 0xfee00900
    KEEPS "APIC_BASE: but off", "3A 10.12.5", APIC_BASE, 0, 0xfee00100
    BAD "APIC_BASE: and not to x2APIC from there", "3A 10.12.5", APIC_BASE, 0, 0xfee00d00
    KEEPS "APIC_BASE: to xAPIC", "3A 10.12.5", APIC_BASE, 0, 0xfee00900
.no_x2apic:

    ; ---- machine checks (3B 15.3)
    BAD "MCG_CAP can only be read", "3B 15.3.1.1", MCG_CAP, 0, 0
    BAD "MCG_STATUS: a reserved bit", "3B 15.3.1.2", MCG_STATUS, 0, 0x10
    KEEPS "a bank's control", "3B 15.3.2.1", MC0_CTL, -1, -1
    WORKS "a bank's status can be cleared", "3B 15.3.2.2", {call .clear_status}
    BAD "and not set", "3B 15.3.2.2", MC0_STATUS, 0, 1
    CASE "no bank more than MCG_CAP says", "3B 15.3.1.1"
    mov ecx, MCG_CAP
    rdmsr
    movzx ecx, al
    lea ecx, [rcx * 4 + MC0_CTL]
    EXPECT 13, 0, rdmsr

    ; ---- IA32_MISC_ENABLE, and others of one processor or another
    CASE "MISC_ENABLE: what says that BTS and PEBS are not there stays", "4"
    BECOMES MISC_ENABLE, 0x1800, 0
    rdmsr
    and eax, 0x1800
    CHECK_EQ eax, 0x1800
    BAD "MISC_ENABLE: a reserved bit", "4", MISC_ENABLE, 0x80000000, 0x1801
    CASE "MISC_ENABLE: XD disable takes NX from CPUID and EFER", "4"
    BECOMES EFER, 0x800, 0
    mov ecx, MISC_ENABLE
    rdmsr
    or edx, 4
    wrmsr
    mov eax, 0x80000001
    cpuid
    bt edx, 20
    CHECK nc
    mov ecx, EFER
    rdmsr
    or eax, 0x800
    EXPECT 13, 0, wrmsr
    mov ecx, MISC_ENABLE
    rdmsr
    and edx, ~4
    wrmsr
    BECOMES EFER, 0, 0x800
    BAD "FEATURE_CONTROL is locked", "4", FEATURE_CONTROL, 0, 5
    CASE "BIOS_SIGN_ID: a revision, once CPUID was executed", "3A 9.11.7.1"
    mov ecx, BIOS_SIGN_ID
    xor eax, eax
    xor edx, edx
    wrmsr
    mov eax, 1
    cpuid
    mov ecx, BIOS_SIGN_ID
    rdmsr
    test edx, edx
    CHECK nz
    WITHOUT 7, edx, 26, .no_spec_ctrl
    KEEPS "SPEC_CTRL: IBRS and STIBP", "4", SPEC_CTRL, 0, 3
    BAD "SPEC_CTRL: a reserved bit", "4", SPEC_CTRL, 0, 0x100
    KEEPS "SPEC_CTRL: 0", "4", SPEC_CTRL, 0, 0
    mov ecx, PRED_CMD
    FAULTS "PRED_CMD can only be written", "4", 13, 0, rdmsr
    BAD "PRED_CMD: a reserved bit", "4", PRED_CMD, 0, 2
.no_spec_ctrl:
    WITHOUT 7, edx, 29, .no_arch_capabilities
    BAD "ARCH_CAPABILITIES can only be read", "4", ARCH_CAPABILITIES, 0, 0
.no_arch_capabilities:

    ; ---- what is not there without its feature
%macro NEEDS 6.nolist           ; name, leaf, register, bit, subleaf, MSR: #GP without it
    mov eax, %2
    mov ecx, %5
    cpuid
    bt %3, %4
    jc %%there
    mov ecx, %6
    FAULTS %1, "4", 13, 0, rdmsr
%%there:
%endmacro
    NEEDS "TSC_ADJUST on a processor without it", 7, ebx, 1, 0, TSC_ADJUST
    NEEDS "SPEC_CTRL on a processor without it", 7, edx, 26, 0, SPEC_CTRL
    NEEDS "X2APIC's on a processor without it", 1, ecx, 21, 0, X2APIC_ID
    NEEDS "XSS on a processor without it", 0xd, eax, 3, 1, XSS

    ; ---- XCR0, and XSS (volume 1, 13.3; volume 2, XSETBV)
    WITHOUT 1, ecx, 26, .no_xsave
    xor ecx, ecx
    FAULTS "XSETBV without CR4.OSXSAVE", "2 XSETBV", 6, 0, xsetbv
    CR4_SET 1 << 18
    CASE "XCR0 is 1 out of reset", "1 13.3"
    xor ecx, ecx
    xgetbv
    CHECK_EQ eax, 1
    CHECK_EQ edx, 0
    mov eax, 3
    USER_FAULTS "XSETBV at level 3", "2 XSETBV", 13, 0, xsetbv
    WORKS "SSE's state", "2 XSETBV", xsetbv
    mov eax, 2
    FAULTS "not without the x87's", "2 XSETBV", 13, 0, xsetbv
    mov eax, 5
    FAULTS "AVX's not without SSE's", "1 13.3", 13, 0, xsetbv
    mov eax, 0x27
    FAULTS "the opmasks' not without ZMM's", "1 13.3", 13, 0, xsetbv
    mov eax, 3
    mov edx, 0x80000000
    FAULTS "a reserved bit", "2 XSETBV", 13, 0, xsetbv
    xor edx, edx
    mov ecx, 2
    FAULTS "a register that there is not", "2 XSETBV", 13, 0, xsetbv
    mov eax, 0xd
    mov ecx, 1
    cpuid
    bt eax, 3
    jnc .no_xsave
    BAD "XSS: a reserved bit", "1 13.3", XSS, 0x80000000, 0
.no_xsave:
    PASS

.clear_status:
    mov ecx, MC0_STATUS
    xor eax, eax
    xor edx, edx
    wrmsr
    ret

align 8
data: dd 0x01234567, 0x89abcdef
