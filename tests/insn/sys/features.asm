; Instructions that came one by one, each with what CPUID says of it, its control bit and its level: FSGSBASE, UMIP,
; RDTSCP, RDPID, RDRAND, RDSEED, direct stores, cache hints, CMPXCHG16B, MONITOR and MWAIT (SDM volume 2, under their
; names; volume 3A 2.5 for the control bits).  What the processor has not got is #UD, or the NOP it always was.
%include "long.inc"

%define CR4_TSD (1 << 2)
%define CR4_UMIP (1 << 11)
%define CR4_FSGSBASE (1 << 16)
%define MISC_ENABLE 0x1a0
%define MISC_MONITOR (1 << 18)
%define TSC_AUX 0xc0000103

main:
    ; ---- FSGSBASE (CPUID.7:EBX[0], CR4[16])
    WITHOUT 7, ebx, 0, .no_fsgsbase
    FAULTS "RDFSBASE without CR4.FSGSBASE", "2 RDFSBASE", 6, 0, rdfsbase rax
    FAULTS "WRGSBASE without it", "2 WRGSBASE", 6, 0, wrgsbase rax
    CR4_SET CR4_FSGSBASE
    CASE "WRFSBASE and RDFSBASE", "2 WRFSBASE"
    mov rax, 0xffff800000012345
    wrfsbase rax
    rdfsbase rdx
    CHECK_EQ rax, rdx
    CASE "32 bits: zero-extended both ways", "2 WRGSBASE"
    mov rax, 0x8000000012345678
    wrgsbase eax
    rdgsbase rdx
    mov eax, 0x12345678
    CHECK_EQ rdx, rax
    mov rdx, -1
    rdgsbase edx
    CHECK_EQ rdx, rax
    CASE "one that is not canonical", "2 WRFSBASE"
    mov rax, 1 << 62
    EXPECT 13, 0, wrfsbase rax
    USER_WORKS "at level 3", "2 WRFSBASE", wrfsbase rsp
    rdfsbase rax
    CHECK_EQ rax, USER_STACK
    CASE "not in compatibility mode", "2 RDFSBASE"
    USER .compat_base, CODE32_3
    CHECK_EQ byte [vector], 6
    jmp .fsgsbase_done
bits 32
.compat_base:
    db 0xf3, 0x0f, 0xae, 0xc0                   ; rdfsbase eax
bits 64
.fsgsbase_done:
    CR4_CLEAR CR4_FSGSBASE
.no_fsgsbase:

    ; ---- UMIP (CPUID.7:ECX[2], CR4[11])
    USER_WORKS "SGDT at level 3 without UMIP", "2 SGDT", {sgdt [data]}
    WITHOUT 7, ecx, 2, .no_umip
    CR4_SET CR4_UMIP
    USER_FAULTS "UMIP: SGDT", "3A 2.5", 13, 0, {sgdt [data]}
    USER_FAULTS "UMIP: SIDT", "3A 2.5", 13, 0, {sidt [data]}
    USER_FAULTS "UMIP: SLDT", "3A 2.5", 13, 0, {sldt eax}
    USER_FAULTS "UMIP: SLDT to memory", "3A 2.5", 13, 0, {sldt [data]}
    USER_FAULTS "UMIP: STR", "3A 2.5", 13, 0, {str eax}
    USER_FAULTS "UMIP: SMSW", "3A 2.5", 13, 0, {smsw eax}
    USER_FAULTS "UMIP: before a page fault of its operand", "3A 2.5", 13, 0, {sgdt [LINEAR(9)]}
    WORKS "UMIP: not at level 0", "3A 2.5", {sgdt [data]}
    USER_WORKS "UMIP: LAR is none of them", "3A 2.5", {lar eax, ecx}
    CR4_CLEAR CR4_UMIP
.no_umip:

    ; ---- time-stamp counter (CR4[2])
    USER_WORKS "RDTSC at level 3", "2 RDTSC", rdtsc
    CASE "WRMSR of the counter is seen by RDTSC", "3B 17.17.3"
    mov ecx, 0x10
    mov eax, 0x9abcdef0
    mov edx, 0x1234
    wrmsr
    rdtsc
    CHECK_EQ edx, 0x1234                        ; it cannot have gone far
    CASE "and moves TSC_ADJUST", "3B 17.17.3"
    WITHOUT 7, ebx, 1, .no_adjust
    mov ecx, 0x3b
    rdmsr
    mov esi, eax
    mov edi, edx
    add edx, 0x100
    wrmsr
    mov ecx, 0x10
    rdmsr
    CHECK_EQ edx, 0x1334
    mov ecx, 0x3b
    rdmsr
    sub edx, 0x100
    CHECK_EQ eax, esi
    CHECK_EQ edx, edi
.no_adjust:
    CR4_SET CR4_TSD
    USER_FAULTS "TSD: RDTSC at level 3", "2 RDTSC", 13, 0, rdtsc
    WORKS "TSD: at level 0", "2 RDTSC", rdtsc
    WITHOUT 0x80000001, edx, 27, .no_rdtscp
    USER_FAULTS "TSD: RDTSCP", "2 RDTSCP", 13, 0, rdtscp
    CR4_CLEAR CR4_TSD
    CASE "RDTSCP gives TSC_AUX", "2 RDTSCP"
    mov ecx, TSC_AUX
    mov eax, 0x89abcdef
    xor edx, edx
    wrmsr
    mov rcx, -1
    rdtscp
    mov eax, 0x89abcdef
    CHECK_EQ rcx, rax
    mov ecx, TSC_AUX
    mov edx, 1
    FAULTS "TSC_AUX has 32 bits", "4 table 2-2", 13, 0, wrmsr
    WITHOUT 7, ecx, 22, .no_rdtscp
    CASE "RDPID, the same", "2 RDPID"
    CR4_SET CR4_TSD
    rdpid rdx
    mov eax, 0x89abcdef
    CHECK_EQ rdx, rax
    USER_WORKS "at level 3, whatever TSD is", "2 RDPID", {rdpid rax}
.no_rdtscp:
    CR4_CLEAR CR4_TSD
    USER_FAULTS "RDPMC of a counter that there is not", "2 RDPMC", 13, 0, rdpmc

    ; ---- random numbers: CF says whether there is one; the other flags are cleared
%macro RANDOM 2.nolist          ; instruction, section
    CASE "numbers at random", %2
    mov ebx, 100
    xor esi, esi
%%again:
    mov rax, -1
    stc
    %1 rax
    pushfq
    pop rdx
    and edx, 0x8d5
    cmp edx, 1
    CHECK e
    or rsi, rax                                 ; each bit comes sometime
    dec ebx
    jnz %%again
    not rsi
    CHECK_EQ rsi, 0
    mov rax, -1
    %1 eax
    shr rax, 32
    CHECK_EQ eax, 0
    mov rax, -1
    %1 ax
    shr rax, 16
    inc rax
    shr rax, 48
    CHECK_EQ rax, 1
%endmacro
    WITHOUT 1, ecx, 30, .no_rdrand
    RANDOM rdrand, "2 RDRAND"
    FAULTS "RDRAND of memory", "2 RDRAND", 6, 0, {db 0x0f, 0xc7, 0x37}
.no_rdrand:
    WITHOUT 7, ebx, 18, .no_rdseed
    RANDOM rdseed, "2 RDSEED"
.no_rdseed:

    ; ---- direct stores (CPUID.7:ECX[27, 28])
    WITHOUT 7, ecx, 27, .no_movdiri
    CASE "MOVDIRI", "2 MOVDIRI"
    mov rax, 0x1122334455667788
    movdiri [data + 1], rax
    CHECK_EQ rax, [data + 1]
    movdiri [data + 4], eax
    CHECK_EQ eax, [data + 4]
    CHECK_EQ dword [data + 1], 0x88667788
    FAULTS "MOVDIRI of a register", "2 MOVDIRI", 6, 0, {db 0x0f, 0x38, 0xf9, 0xc0}
.no_movdiri:
    WITHOUT 7, ecx, 28, .no_movdir64b
    CASE "MOVDIR64B: 64 bytes", "2 MOVDIR64B"
    mov edi, data + 64
    mov qword [data + 3], 0x77
    mov qword [data + 3 + 56], 0x99
    movdir64b rdi, [data + 3]
    CHECK_EQ qword [data + 64], 0x77
    CHECK_EQ qword [data + 64 + 56], 0x99
    mov edi, data + 68
    FAULTS "a destination that is not aligned", "2 MOVDIR64B", 13, 0, {movdir64b rdi, [data]}
    mov edi, LINEAR(9)
    CASE "one that is not there", "2 MOVDIR64B"
    EXPECT_PF LINEAR(9), 2, movdir64b rdi, [data]
    CASE "the source is read first", "2 MOVDIR64B"
    EXPECT_PF LINEAR(8), 0, movdir64b rdi, [LINEAR(8)]
.no_movdir64b:

    ; ---- what only touches caches: a NOP, or the faults of a byte's load
    CASE "CLDEMOTE and PREFETCH never fault", "2 CLDEMOTE"
    cldemote [LINEAR(9)]
    prefetcht0 [LINEAR(9)]
    prefetchw [LINEAR(9)]
    mov rbx, 1 << 62
    cldemote [rbx]
    prefetchnta [rbx]
    CASE "CLFLUSH does", "2 CLFLUSH"
    EXPECT_PF LINEAR(9), 0, clflush [LINEAR(9)]
    WORKS "WBNOINVD", "2 WBNOINVD", wbnoinvd
    USER_FAULTS "WBNOINVD at level 3", "2 WBNOINVD", 13, 0, wbnoinvd
    USER_FAULTS "WBINVD at level 3", "2 WBINVD", 13, 0, wbinvd
    USER_FAULTS "INVD at level 3", "2 INVD", 13, 0, invd
    USER_FAULTS "INVLPG at level 3", "2 INVLPG", 13, 0, {invlpg [data]}
    WITHOUT 7, edx, 14, .no_serialize
    USER_WORKS "SERIALIZE at level 3", "2 SERIALIZE", {db 0x0f, 0x01, 0xe8}
.no_serialize:

    ; ---- CMPXCHG16B
    WITHOUT 1, ecx, 13, .no_cx16
    CASE "CMPXCHG16B", "2 CMPXCHG16B"
    mov qword [data], 1
    mov qword [data + 8], 2
    mov eax, 1
    mov edx, 2
    mov ebx, 3
    mov ecx, 4
    lock cmpxchg16b [data]
    CHECK z
    CHECK_EQ qword [data], 3
    CHECK_EQ qword [data + 8], 4
    cmpxchg16b [data]
    CHECK nz
    CHECK_EQ rax, 3
    CHECK_EQ rdx, 4
    FAULTS "CMPXCHG16B that is not aligned", "2 CMPXCHG16B", 13, 0, {cmpxchg16b [data + 8]}
.no_cx16:

    ; ---- SMAP's flag, XGETBV
    WITHOUT 7, ebx, 20, .no_smap
    CASE "STAC and CLAC", "2 STAC"
    stac
    pushfq
    pop rax
    bt eax, 18
    CHECK c
    clac
    pushfq
    pop rax
    bt eax, 18
    CHECK nc
    USER_FAULTS "STAC at level 3", "2 STAC", 6, 0, stac
    USER_FAULTS "CLAC at level 3", "2 CLAC", 6, 0, clac
.no_smap:
    FAULTS "XGETBV without CR4.OSXSAVE", "2 XGETBV", 6, 0, xgetbv
    FAULTS "XSETBV without it", "2 XSETBV", 6, 0, xsetbv

    ; ---- MONITOR and MWAIT (CPUID.1:ECX[3], IA32_MISC_ENABLE[18])
    WITHOUT 1, ecx, 3, .no_monitor
    mov eax, data
    xor ecx, ecx
    xor edx, edx
    USER_FAULTS "MONITOR at level 3", "2 MONITOR", 6, 0, monitor
    USER_FAULTS "MWAIT at level 3", "2 MWAIT", 6, 0, mwait
    CASE "hints that there are not", "2 MONITOR"
    mov eax, data
    mov ecx, 1
    EXPECT 13, 0, monitor
    mov ecx, 2
    EXPECT 13, 0, mwait
    CASE "MONITOR loads its address", "2 MONITOR"
    xor ecx, ecx
    xor edx, edx
    mov eax, LINEAR(9)
    EXPECT_PF LINEAR(9), 0, monitor
    CASE "MWAIT with nothing monitored goes on", "2 MWAIT"
    xor eax, eax
    mwait
    CASE "and where the line has changed", "2 MWAIT"
    mov eax, data
    monitor
    inc dword [data + 8]
    xor eax, eax
    mwait
    CASE "IA32_MISC_ENABLE switches them off, CPUID too", "4 table 2-2"
    mov ecx, MISC_ENABLE
    rdmsr
    and eax, ~MISC_MONITOR
    wrmsr
    EXPECT 6, 0, monitor
    EXPECT 6, 0, mwait
    WITHOUT 1, ecx, 3, .no_monitor
    CHECK_EQ eax, 0                             ; not reached
.no_monitor:

    ; ---- UMONITOR, UMWAIT, TPAUSE (CPUID.7:ECX[5]; IA32_UMWAIT_CONTROL)
    WITHOUT 7, ecx, 5, .no_waitpkg
%define UMWAIT_CONTROL 0xe1
%define UMONITOR_RBX db 0xf3, 0x0f, 0xae, 0xf3
%define UMWAIT_ECX db 0xf2, 0x0f, 0xae, 0xf1
%define TPAUSE_ECX db 0x66, 0x0f, 0xae, 0xf1
    mov ecx, UMWAIT_CONTROL
    mov eax, 2
    xor edx, edx
    FAULTS "UMWAIT_CONTROL: bit 1", "4", 13, 0, wrmsr
    CASE "UMWAIT_CONTROL is kept", "4"
    mov eax, 0x1001
    wrmsr
    xor eax, eax
    rdmsr
    CHECK_EQ eax, 0x1001
    xor eax, eax
    wrmsr                                       ; no limit
    mov rbx, LINEAR(9)
    CASE "UMONITOR loads its address", "2 UMONITOR"
    EXPECT_PF LINEAR(9), 0, UMONITOR_RBX
    mov rbx, 1 << 62
    FAULTS "UMONITOR of one that is not canonical", "2 UMONITOR", 13, 0, UMONITOR_RBX
    mov ebx, data
    USER_WORKS "UMONITOR at level 3", "2 UMONITOR", {UMONITOR_RBX}
    mov ecx, 2
    FAULTS "UMWAIT: a reserved state", "2 UMWAIT", 13, 0, UMWAIT_ECX
    FAULTS "TPAUSE: a reserved state", "2 TPAUSE", 13, 0, TPAUSE_ECX
    CASE "UMWAIT, time is over: flags are clear", "2 UMWAIT"
    mov ecx, 1
    xor eax, eax
    xor edx, edx
    push qword 0x8d7
    popfq
    UMWAIT_ECX
    pushfq
    pop rax
    and eax, 0x8d5
    CHECK_EQ eax, 0
    CASE "TPAUSE comes back", "2 TPAUSE"
    rdtsc
    add eax, 100000
    adc edx, 0
    TPAUSE_ECX
    CASE "UMWAIT where the line has changed, too", "2 UMWAIT"
    UMONITOR_RBX
    inc dword [data]
    mov eax, -1
    mov edx, eax
    UMWAIT_ECX
    CASE "the system's limit is no longer than it says", "2 TPAUSE"
    mov ecx, UMWAIT_CONTROL
    mov eax, 4
    xor edx, edx
    wrmsr
    mov ecx, 1
    mov eax, -1
    mov edx, eax
    TPAUSE_ECX
    mov ecx, UMWAIT_CONTROL
    xor eax, eax
    xor edx, edx
    wrmsr
    CR4_SET CR4_TSD
    xor ecx, ecx
    xor eax, eax
    USER_FAULTS "TSD: TPAUSE at level 3", "2 TPAUSE", 13, 0, {TPAUSE_ECX}
    USER_FAULTS "TSD: UMWAIT", "2 UMWAIT", 13, 0, {UMWAIT_ECX}
    WORKS "TSD: at level 0", "2 TPAUSE", {TPAUSE_ECX}
    CR4_CLEAR CR4_TSD
.no_waitpkg:
    PASS

align 64
data: times 256 db 0
