; Alignment checks: what has to be aligned to how much, and when they are made (SDM volume 3A 6.15, "Interrupt
; 17", and table 6-7; 2.5, CR0.AM).
%include "protected.inc"

%define CR0_AM 0x40000
%define FL_AC  0x40000
%define CR4_OSFXSR 0x600

; ALIGNED name, alignment, instruction with an operand at [esi], or [edi]: at level 3 it is #AC beside that
; alignment
%macro ALIGNED 3+.nolist
    AT_OFFSET 1
    USER_FAULTS %1, "3A table 6-7", 17, 0, {%3}
    AT_OFFSET (%2) * 3 / 2
    USER_FAULTS %1, "3A table 6-7", 17, 0, {%3}
    AT_OFFSET %2
    USER_WORKS %1, "3A table 6-7", {%3}
%endmacro
%macro AT_OFFSET 1.nolist
    mov esi, data + (%1)
    lea edi, [esi + 64]
    xor eax, eax
%endmacro

; What leaves the x87 stack as it was
%macro MOVQ_EMMS 0.nolist
    movq mm0, [esi]
    emms
%endmacro
%macro FLD_M32 0.nolist
    fld dword [esi]
    ffree st0
%endmacro
%macro FLD_M64 0.nolist
    fld qword [esi]
    ffree st0
%endmacro
%macro FLD_M80 0.nolist
    fld tword [esi]
    ffree st0
%endmacro
%macro FBLD_M80 0.nolist
    fbld [esi]
    ffree st0
%endmacro
%macro FILD_M64 0.nolist
    fild qword [esi]
    ffree st0
%endmacro
%macro FRSTOR_FNINIT 0.nolist
    frstor [esi]
    fninit
%endmacro

main:
    fninit
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
    mov eax, cr0
    or eax, CR0_AM
    mov cr0, eax
    mov dword [user_flags], 0x3002 | FL_AC

    ALIGNED "a word", 2, mov ax, [esi]
    ALIGNED "a word is stored", 2, mov [edi], ax
    ALIGNED "a doubleword", 4, mov eax, [esi]
    ALIGNED "a doubleword is changed", 4, add dword [edi], 1
    ALIGNED "a locked one", 4, lock add dword [edi], 1
    ALIGNED "a bit string of words", 2, bt word [esi], 1
    ALIGNED "a bit string of doublewords", 4, bt dword [esi], 1
    ALIGNED "a near pointer", 4, push dword [esi]
    ALIGNED "a 32-bit far pointer", 2, les ax, [esi]
    ALIGNED "a 48-bit far pointer", 4, les eax, [esi]
    ALIGNED "a pair of bounds", 4, bound eax, [esi]
    ALIGNED "CMPXCHG8B", 8, cmpxchg8b [edi]
    ALIGNED "MOVQ of MMX", 8, MOVQ_EMMS
    ALIGNED "a single", 4, FLD_M32
    ALIGNED "a double", 8, FLD_M64
    ALIGNED "a double extended", 8, FLD_M80
    ALIGNED "it is stored", 8, fstp tword [edi]
    ALIGNED "packed decimals", 8, FBLD_M80
    ALIGNED "an integer of 64 bits", 8, FILD_M64
    ALIGNED "the x87 environment", 4, fnstenv [edi]
    ALIGNED "the x87 environment of 16 bits", 2, o16 fnstenv [edi]
    ALIGNED "the x87 state", 4, fnsave [edi]
    ALIGNED "the x87 state of 16 bits", 2, o16 fnsave [edi]
    ALIGNED "and it is loaded", 4, FRSTOR_FNINIT
    ALIGNED "STMXCSR", 4, stmxcsr [edi]
    ALIGNED "SLDT", 2, sldt [edi]
    ALIGNED "GDTR", 4, sgdt [edi]
    ALIGNED "IDTR", 4, sidt [edi]
    ALIGNED "IDTR with 16-bit operands", 4, o16 sidt [edi]
    ALIGNED "a string's source", 4, lodsd
    ALIGNED "a string's destination", 4, stosd
    CASE "a stack", "3A table 6-7"
    USER .stack
    CHECK_EQ byte [vector], 17
    CHECK_EQ dword [fault_ip], .push
    jmp .done
.stack:
    mov esp, USER_STACK - 2
.push:
    push eax
    int 0x80
.done:

    ; ---- when they are not made
    mov esi, data + 1
    mov dword [user_flags], 0x3002
    USER_WORKS "not without EFLAGS.AC", "3A 6.15", {mov eax, [esi]}
    mov dword [user_flags], 0x3002 | FL_AC
    USER_WORKS "bytes", "3A table 6-7", {mov al, [esi]}
    USER_WORKS "LEA", "3A 6.15", {lea eax, [esi]}
    CASE "not below level 3", "3A 6.15"
    push dword 2 | FL_AC
    popf
    mov eax, [esi]
    push dword 2
    popf
    CASE "the processor's own accesses are level 0's", "3A 6.15"
    mov dword [tss + 4], INNER_STACK + 2        ; a stack that is not aligned
    USER .own
    CHECK_EQ byte [vector], 0x80
    mov dword [tss + 4], INNER_STACK
    jmp .no_am
.own:
    mov cx, DATA3                               ; a descriptor, from a GDT that is not aligned
    mov ds, cx
    int 0x80
.no_am:
    mov eax, cr0
    and eax, ~CR0_AM
    mov cr0, eax
    USER_WORKS "not without CR0.AM", "3A 2.5", {mov eax, [esi]}
    PASS

align 16
data: times 512 db 0
