; Segments in protected mode: what may be loaded, limits, types, privilege, the questions LAR, LSL, VERR,
; VERW and ARPL (SDM volume 3A 3.4, 5.2 to 5.6, 5.10; volume 2 for the instructions).
%include "protected.inc"

%define A 0x30              ; descriptors that cases make as they need them
%define B 0x38
%define LDT 0x40

; ES_IS base, limit, access, flags - makes descriptor A and loads it into ES, for good
%macro ES_IS 4.nolist
    SET_DESC A, %1, %2, %3, %4
    mov ax, A
    mov es, ax
    mov word [handler_es], A
%endmacro
; SS_FAULTS name, section, base, limit, access, flags, ESP, instruction - #SS(0) on such a stack.  A handler
; needs one that works: the gate of #SS leads to a task, which goes on for good
%macro SS_FAULTS 8+.nolist
    CASE %1, %2
    SET_DESC A, %3, %4, %5, %6
    SET_TSS TSS0, tss
    SET_TSS B, fault_task
    mov ax, TSS0
    ltr ax
    mov dword [fault_task + 0x20], %%after
    mov ebp, esp
    mov ax, A
    mov ss, ax
    mov esp, %7
%%at:
    %8
    mov ax, DATA0
    mov ss, ax
    mov esp, KERNEL_STACK
    xor eax, eax
    CHECK ne                                    ; it did not fault
%%after:
    clts
    pop eax
    CHECK_EQ eax, 0
    push dword 2                                ; NT goes
    popf
    CHECK_EQ dword [tss + 0x20], %%at
    CHECK_EQ dword [tss + 0x38], %7             ; ESP as it was
%endmacro

main:
    ; ---- loading DS, ES, FS, GS (volume 2, MOV; 3A 5.5, 5.6)
    xor eax, eax
    WORKS "null selector into ES", "3A 3.4.2", {mov es, ax}
    FAULTS "access through a null selector", "3A 5.4.1", 13, 0, {mov cl, [es:0]}
    mov ax, 3
    WORKS "null selector with RPL 3", "3A 3.4.2", {mov es, ax}
    mov eax, 0x1000
    FAULTS "beyond the GDT", "3A 5.3", 13, 0x1000, {mov es, ax}
    mov eax, gdt_end - gdt + 3
    FAULTS "error code has no RPL", "3A 6.13", 13, gdt_end - gdt, {mov fs, ax}
    mov word [gdtr_short], A + 6                ; the last byte of A is beyond the limit
    SET_DESC A, 0, 0xfffff, 0x92, 0xc
    lgdt [gdtr_short]
    mov ax, A
    FAULTS "last byte beyond the GDT's limit", "3A 5.3", 13, A, {mov es, ax}
    lgdt [gdtr]
    WORKS "the whole of it within", "3A 5.3", {mov es, ax}
    SET_DESC A, 0, 0xfffff, 0x12, 0xc
    FAULTS "not present into ES", "2 MOV", 11, A, {mov es, ax}
    FAULTS "not present into FS", "2 MOV", 11, A, {mov fs, ax}
    push dword A
    FAULTS "not present by POP GS", "2 POP", 11, A, {pop gs}
    pop eax
    mov ax, A
    SET_DESC A, 0, 0xfffff, 0x98, 0xc           ; execute-only
    FAULTS "execute-only code into ES", "3A 5.5", 13, A, {mov es, ax}
    SET_DESC A, 0, 0xfffff, 0x18, 0xc
    FAULTS "type before presence", "2 MOV", 13, A, {mov es, ax}
    SET_DESC A, 0, 0xfffff, 0x9a, 0xc
    WORKS "readable code into ES", "3A 5.5", {mov es, ax}
    WORKS "a load from it", "3A 5.4.1", {mov cl, [es:0x500]}
    FAULTS "a store to it", "3A 5.4.1", 13, 0, {mov [es:0x500], cl}
    SET_DESC A, 0x67, 0x67, 0x89, 0
    FAULTS "a TSS into ES", "3A 5.5", 13, A, {mov es, ax}
    SET_GATE gdt + A, CODE0, main, 0x8c
    mov ax, A
    FAULTS "a call gate into ES", "3A 5.5", 13, A, {mov es, ax}
    mov ax, DATA0
    mov es, ax
    mov fs, ax
    CASE "the accessed bit is set by the load", "3A 3.4.5.1"
    SET_DESC A, 0, 0xfffff, 0x92, 0xc
    mov ax, A
    mov es, ax
    CHECK_EQ byte [gdt + A + 5], 0x93
    SET_DESC A, 0, 0xfffff, 0x12, 0xc
    EXPECT 11, A, mov es, ax
    CHECK_EQ byte [gdt + A + 5], 0x12           ; not by one that faults
    FAULTS "LDS of a null pointer keeps the register", "2 LDS", 13, 0x1000, {les edx, [far_bad]}
    CASE "the offset of a LES that faulted is not taken", "2 LDS"
    mov edx, 0x55
    EXPECT 13, 0x1000, les edx, [far_bad]
    CHECK_EQ edx, 0x55
    mov eax, 0x1000
    FAULTS "CS by MOV", "2 MOV", 6, 0, {db 0x8e, 0xc8}
    FAULTS "a segment register that is none", "2 MOV", 6, 0, {db 0x8e, 0xf0}
    CASE "MOV r32 from a segment register zero-extends", "2 MOV"
    mov edx, -1
    mov edx, ds
    CHECK_EQ edx, DATA0

    ; ---- levels (5.6, 5.7)
    SET_DESC A, 0, 0xfffff, 0xb2, 0xc           ; DPL 1
    mov eax, A | 1
    USER_FAULTS "DPL 1 data at level 3", "3A 5.6", 13, A, {mov es, ax}
    WORKS "DPL 1 data at level 0, RPL 1", "3A 5.6", {mov es, ax}
    mov eax, A | 2
    FAULTS "RPL 2 counts at level 0", "3A 5.6", 13, A, {mov es, ax}
    SET_DESC A, 0, 0xfffff, 0xf2, 0xc
    mov eax, A
    USER_WORKS "RPL 0 of DPL 3 data at level 3", "3A 5.6", {mov es, ax}
    SET_DESC A, 0, 0xfffff, 0x9e, 0xc           ; conforming
    mov eax, A | 3
    USER_WORKS "conforming code of DPL 0 at level 3", "3A 5.6.1", {mov es, ax}
    SET_DESC A, 0, 0xfffff, 0x9a, 0xc
    USER_FAULTS "non-conforming code of DPL 0 at level 3", "3A 5.6.1", 13, A, {mov es, ax}

    ; ---- SS (5.7; volume 2, MOV)
    xor eax, eax
    FAULTS "null selector into SS", "2 MOV", 13, 0, {mov ss, ax}
    SET_DESC A, 0, 0xfffff, 0xf2, 0xc
    mov eax, A
    FAULTS "DPL 3 into SS at level 0", "3A 5.7", 13, A, {mov ss, ax}
    mov eax, A | 3
    FAULTS "RPL 3 into SS at level 0", "3A 5.7", 13, A, {mov ss, ax}
    SET_DESC A, 0, 0xfffff, 0x90, 0xc
    mov eax, A
    FAULTS "read-only into SS", "3A 5.5", 13, A, {mov ss, ax}
    SET_DESC A, 0, 0xfffff, 0x9a, 0xc
    FAULTS "code into SS", "3A 5.5", 13, A, {mov ss, ax}
    SET_DESC A, 0, 0xfffff, 0x12, 0xc
    FAULTS "not present into SS is #SS", "2 MOV", 12, A, {mov ss, ax}
    FAULTS "LSS the same", "2 LSS", 12, A, {lss edx, [far_a]}
    SET_DESC A, 0, 0xfffff, 0x92, 0xc
    mov eax, A | 1
    FAULTS "RPL 1 into SS at level 0", "3A 5.7", 13, A, {mov ss, ax}
    mov eax, DATA0
    USER_FAULTS "DPL 0 into SS at level 3", "3A 5.7", 13, DATA0, {mov ss, ax}

    ; ---- limits (5.3)
    ES_IS 0x100000, 0xfff, 0x92, 4              ; 4 KiB, byte granular
    WORKS "last byte", "3A 5.3", {mov [es:0xfff], al}
    FAULTS "one beyond", "3A 5.3", 13, 0, {mov [es:0x1000], al}
    WORKS "last dword", "3A 5.3", {mov eax, [es:0xffc]}
    FAULTS "dword across the limit", "3A 5.3", 13, 0, {mov eax, [es:0xffd]}
    FAULTS "word across the limit", "3A 5.3", 13, 0, {mov ax, [es:0xfff]}
    FAULTS "10 bytes across the limit", "3A 5.3", 13, 0, {fld tword [es:0xff7]}
    FAULTS "16 bytes across the limit", "3A 5.3", 13, 0, {fxsave [es:0xff0]}
    FAULTS "offset 4 GiB - 1", "3A 5.3", 13, 0, {mov al, [es:-1]}
    FAULTS "a read-modify-write across it", "3A 5.3", 13, 0, {inc dword [es:0xffe]}
    FAULTS "a locked one", "3A 5.3", 13, 0, {lock inc dword [es:0xffe]}
    CASE "REP STOSB stops at the limit", "3A 5.3"
    mov edi, 0xff0
    mov ecx, 0x100
    EXPECT 13, 0, rep stosb
    CHECK_EQ edi, 0x1000
    CHECK_EQ ecx, 0xf0
    mov ax, A
    mov es, ax
    CASE "CMPXCHG8B's 8 bytes", "3A 5.3"
    EXPECT 13, 0, cmpxchg8b [es:0xff9]
    ES_IS 0x100000, 1, 0x92, 0xc                ; 8 KiB, granularity 4 KiB
    WORKS "granularity: the low 12 bits are ones", "3A 3.4.5", {mov [es:0x1fff], al}
    FAULTS "granularity: one beyond", "3A 3.4.5", 13, 0, {mov [es:0x2000], al}
    ES_IS 0x100000, 0, 0x92, 4
    WORKS "limit 0 holds one byte", "3A 5.3", {mov [es:0], al}
    FAULTS "and no word", "3A 5.3", 13, 0, {mov [es:0], ax}
    ES_IS 0x100000, 0xfffff, 0x90, 0xc
    FAULTS "a store to read-only data", "3A 5.4.1", 13, 0, {mov [es:0], al}
    FAULTS "a read-modify-write of it", "3A 5.4.1", 13, 0, {add [es:0], al}
    FAULTS "BTS of it", "3A 5.4.1", 13, 0, {bts dword [es:0], 1}
    WORKS "BT of it", "3A 5.4.1", {bt dword [es:0], 1}

    ; ---- expand down (3.4.5.1, 5.3)
    ES_IS 0x100000, 0xfff, 0x96, 4              ; 32-bit
    FAULTS "expand down: at the limit", "3A 5.3", 13, 0, {mov al, [es:0xfff]}
    WORKS "expand down: above it", "3A 5.3", {mov al, [es:0x1000]}
    FAULTS "expand down: across it", "3A 5.3", 13, 0, {mov eax, [es:0xffe]}
    WORKS "expand down: to 4 GiB", "3A 5.3", {mov al, [es:0xfffff]}
    ES_IS 0x100000, 0xfff, 0x96, 0              ; 16-bit
    WORKS "expand down, B clear: up to 64 KiB", "3A 5.3", {mov al, [es:0xffff]}
    FAULTS "expand down, B clear: not above", "3A 5.3", 13, 0, {mov al, [es:0x10000]}
    FAULTS "expand down, B clear: across 64 KiB", "3A 5.3", 13, 0, {mov ax, [es:0xffff]}
    ES_IS 0x100000, 0xf, 0x96, 0xc              ; limit 0xffff by granularity
    FAULTS "expand down, granular: at the limit", "3A 5.3", 13, 0, {mov al, [es:0xffff]}
    WORKS "expand down, granular: above it", "3A 5.3", {mov al, [es:0x10000]}
    ES_IS 0x100000, 0xfffff, 0x96, 0xc
    FAULTS "expand down, limit 4 GiB: nothing left", "3A 5.3", 13, 0, {mov al, [es:-1]}

    ; ---- wrapping: linear addresses are 32 bits
    CASE "base plus offset wraps at 4 GiB", "3A 3.4"
    ES_IS 0xfffff000, 0xfffff, 0x92, 0xc
    mov dword [0x5000], 0x12345678
    CHECK_EQ dword [es:0x6000], 0x12345678
    CASE "an access across 4 GiB goes on at 0", "3A 3.4"
    mov dword [0], 0xaabbccdd
    mov eax, [es:0xffe]                         ; two bytes at the top, where there is nothing
    CHECK_EQ eax, 0xccddffff
    CASE "16-bit addresses wrap at 64 KiB", "1 3.3.7"
    mov ax, DATA0
    mov word [handler_es], DATA0
    mov es, ax
    mov word [0x500], 0x1357
    mov bx, 0xff00
    mov ax, [bx + 0x600]
    CHECK_EQ ax, 0x1357

    ; ---- the stack segment: a fault is #SS (5.3), and goes through a task
    SET_GATE IDT_AT + 12 * 8, B, eax, 0x85
    SS_FAULTS "PUSH across the limit", "3A 5.3", 0x100000, 0xfff, 0x92, 4, 0x1002, {push eax}
    SS_FAULTS "PUSH below 0 wraps to 4 GiB", "3A 5.3", 0x100000, 0xfff, 0x92, 4, 2, {push eax}
    SS_FAULTS "POP beyond the limit", "3A 5.3", 0x100000, 0xfff, 0x92, 4, 0x1000, {pop eax}
    SS_FAULTS "RET whose address is not all there", "3A 5.3", 0x100000, 0xfff, 0x92, 4, 0xffe, {ret}
    SS_FAULTS "PUSH into the limit of expand down", "3A 5.3", 0x100000, 0xfff, 0x96, 4, 0x1002, {push eax}
    SS_FAULTS "PUSHA that has room for four", "3A 5.3", 0x100000, 0xfff, 0x96, 4, 0x1010, {pusha}
    SS_FAULTS "ENTER that has no room", "2 ENTER", 0x100000, 0xfff, 0x92, 4, 0x10, {enter 0x100, 0}
    SS_FAULTS "an operand by EBP", "3A 5.3", 0x100000, 0xfff, 0x92, 4, 0x800, {mov eax, [ebp + 0x100000]}
    SS_FAULTS "an operand with an SS prefix", "3A 5.3", 0x100000, 0xfff, 0x92, 4, 0x800, {mov al, [ss:0x1000]}
    SS_FAULTS "an IRET whose frame is not all there", "2 IRET", 0x100000, 0xfff, 0x92, 4, 0xffc, {iret}
    SS_FAULTS "a RETF", "2 RET", 0x100000, 0xfff, 0x92, 4, 0xffc, {retf}
    SS_FAULTS "a far CALL", "2 CALL", 0x100000, 0xfff, 0x92, 4, 4, {call CODE0:main}
    mov esp, KERNEL_STACK
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    SET_GATE IDT_AT + 12 * 8, CODE0, stubs + 12 * 16, 0x8e

    ; ---- a 16-bit stack in 32-bit code: SP only (volume 1, 6.2.3)
    CASE "B clear: PUSH wraps within 64 KiB", "1 6.2.3"
    SET_DESC A, 0x100000, 0xffff, 0x92, 0
    mov ax, A
    mov ss, ax
    mov esp, 0x12340002                         ; its upper half stays
    push word 0x7788
    CHECK_EQ esp, 0x12340000
    CHECK_EQ word [0x100000], 0x7788
    push dword 0x11223344
    CHECK_EQ esp, 0x1234fffc
    CHECK_EQ dword [0x10fffc], 0x11223344
    pop eax
    CHECK_EQ esp, 0x12340000
    mov ax, DATA0
    mov ss, ax
    mov esp, KERNEL_STACK
    CASE "PUSH of a segment register writes 16 bits", "2 PUSH"
    push dword -1
    add esp, 4
    push ds
    pop eax
    CHECK_EQ eax, 0xffff0000 | DATA0

    ; ---- code segments: what is executed (5.3, 5.4)
    CASE "a jump beyond CS's limit faults at the jump", "2 JMP"
    SET_DESC A, 0, 0xefff, 0x9a, 4
    mov [saved_esp], esp
    mov dword [resume], .limit
    mov byte [vector], 0xff
    jmp A:.in_small
.in_small:
    mov eax, 0xf000
.jump:
    jmp eax
.limit:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [error], 0
    CHECK_EQ dword [fault_ip], .jump
    CASE "running over CS's limit faults behind it", "3A 5.3"
    mov dword [0xeffe], 0x90909090
    mov dword [resume], .over
    mov byte [vector], 0xff
    jmp A:0xeffe
.over:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], 0xf000
    CASE "an instruction across CS's limit", "3A 5.3"
    mov dword [0xeffe], 0x909066b8              ; mov eax, imm32: four bytes too few
    mov dword [resume], .across
    mov byte [vector], 0xff
    jmp A:0xeffe
.across:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], 0xeffe
    FAULTS "far JMP beyond the limit", "2 JMP", 13, 0, {jmp A:0xf000}
    FAULTS "a store through CS", "3A 5.4.1", 13, 0, {mov [cs:0x500], al}
    SET_DESC A, 0, 0xfffff, 0x98, 0xc           ; execute-only
    CASE "a load through an execute-only CS", "3A 5.4.1"
    mov [saved_esp], esp
    mov dword [resume], .xo
    mov byte [vector], 0xff
    jmp A:.in_xo
.in_xo:
    mov al, [cs:0x500]
.xo:
    CHECK_EQ byte [vector], 13
    CHECK_EQ dword [fault_ip], .in_xo

    ; ---- LDT (3.5.1; volume 2, LLDT)
    SET_SYSTEM LDT, ldt, 0xf, 0x82
    mov eax, LDT
    WORKS "LLDT", "2 LLDT", {lldt ax}
    CASE "SLDT", "2 SLDT"
    mov edx, -1
    sldt edx
    CHECK_EQ dx, LDT
    mov eax, 8 | 4
    WORKS "a selector of the LDT", "3A 3.4.2", {mov es, ax}
    mov eax, 0x10 | 4
    FAULTS "beyond the LDT", "3A 5.3", 13, 0x14, {mov es, ax}
    mov eax, 4
    FAULTS "index 0 of the LDT is no null selector", "3A 3.4.2", 13, 4, {mov es, ax}
    FAULTS "LLDT of a selector of the LDT", "2 LLDT", 13, 4, {lldt ax}
    mov eax, DATA0
    FAULTS "LLDT of data", "2 LLDT", 13, DATA0, {lldt ax}
    SET_SYSTEM B, ldt, 0xf, 0x02
    mov eax, B
    FAULTS "LLDT of one not present", "2 LLDT", 11, B, {lldt ax}
    xor eax, eax
    WORKS "LLDT of a null selector", "2 LLDT", {lldt ax}
    mov eax, 8 | 4
    FAULTS "without an LDT", "3A 3.5.1", 13, 0xc, {mov es, ax}
    USER_FAULTS "LLDT at level 3", "2 LLDT", 13, 0, {lldt ax}

    ; ---- TR (volume 2, LTR)
    mov eax, TSS0
    FAULTS "LTR of a busy TSS", "2 LTR", 13, TSS0, {ltr ax}
    xor eax, eax
    FAULTS "LTR of a null selector", "2 LTR", 13, 0, {ltr ax}
    SET_SYSTEM B, tss, 0x67, 0x09
    mov eax, B
    FAULTS "LTR of one not present", "2 LTR", 11, B, {ltr ax}
    mov eax, 0xc
    FAULTS "LTR of a selector of the LDT", "2 LTR", 13, 0xc, {ltr ax}
    CASE "STR", "2 STR"
    mov edx, -1
    str edx
    CHECK_EQ edx, TSS0

    ; ---- LAR, LSL, VERR, VERW (5.10)
%macro LAR_IS 5.nolist          ; name, access, flags nibble, selector, result (0: ZF clear)
    CASE %1, "2 LAR"
    SET_DESC A, 0x123456, 0xabcde, %2, %3
    mov ecx, %4
    mov edx, 0x5a5a5a5a
    lar edx, ecx
  %if %5
    CHECK z
    and edx, 0xfff0ffff
    CHECK_EQ edx, %5
  %else
    CHECK nz
    CHECK_EQ edx, 0x5a5a5a5a
  %endif
%endmacro
    LAR_IS "LAR of data", 0x93, 0xc, A, 0xc09300
    LAR_IS "LAR of an available TSS", 0x89, 0, A, 0x8900
    LAR_IS "LAR of a call gate", 0x8c, 0, A, 0x8c00
    LAR_IS "LAR of a 16-bit TSS", 0x81, 0, A, 0x8100
    LAR_IS "LAR of a task gate", 0x85, 0, A, 0x8500
    LAR_IS "LAR of an interrupt gate", 0x8e, 0, A, 0
    LAR_IS "LAR of a trap gate", 0x8f, 0, A, 0
    LAR_IS "LAR of type 0", 0x80, 0, A, 0
    LAR_IS "LAR of type 13", 0x8d, 0, A, 0
    LAR_IS "LAR of what is not present", 0x13, 0xc, A, 0xc01300
    LAR_IS "LAR with an RPL above DPL", 0x93, 0xc, A | 3, 0
    LAR_IS "LAR of conforming code with RPL 3", 0x9f, 0xc, A | 3, 0xc09f00
    CASE "LAR of a null selector", "2 LAR"
    xor ecx, ecx
    lar edx, ecx
    CHECK nz
    CASE "LAR r16", "2 LAR"
    SET_DESC A, 0, 0xfffff, 0x93, 0xc
    mov ecx, A
    mov edx, 0x5a5a5a5a
    lar dx, cx
    CHECK_EQ edx, 0x5a5a9300
%macro LSL_IS 5.nolist          ; name, access, flags nibble, selector, result (0: ZF clear)
    CASE %1, "2 LSL"
    SET_DESC A, 0x123456, 0xabcde, %2, %3
    mov ecx, %4
    mov edx, 0x5a5a5a5a
    lsl edx, ecx
  %if %5
    CHECK z
    CHECK_EQ edx, %5
  %else
    CHECK nz
    CHECK_EQ edx, 0x5a5a5a5a
  %endif
%endmacro
    LSL_IS "LSL of bytes", 0x93, 4, A, 0xabcde
    LSL_IS "LSL of pages", 0x93, 0xc, A, 0xabcdefff
    LSL_IS "LSL of an LDT", 0x82, 0, A, 0xabcde
    LSL_IS "LSL of a TSS", 0x89, 0, A, 0xabcde
    LSL_IS "LSL of a call gate", 0x8c, 0, A, 0
    LSL_IS "LSL of a task gate", 0x85, 0, A, 0
    LSL_IS "LSL of what is not present", 0x13, 0xc, A, 0xabcdefff
    LSL_IS "LSL with an RPL above DPL", 0x93, 0xc, A | 1, 0
%macro VER_IS 5.nolist          ; name, access, selector, VERR says z or nz, VERW says
    CASE %1, "2 VERR"
    SET_DESC A, 0, 0xfffff, %2, 0xc
    mov ecx, %3
    verr cx
    CHECK %4
    verw cx
    CHECK %5
%endmacro
    VER_IS "VERR and VERW of data", 0x92, A, z, z
    VER_IS "of read-only data", 0x90, A, z, nz
    VER_IS "of readable code", 0x9a, A, z, nz
    VER_IS "of execute-only code", 0x98, A, nz, nz
    VER_IS "of conforming readable code with RPL 3", 0x9e, A | 3, z, nz
    VER_IS "of data with RPL 3", 0x92, A | 3, nz, nz
    VER_IS "of what is not present", 0x12, A, z, z
    VER_IS "of a TSS", 0x89, A, nz, nz
    VER_IS "of a null selector", 0x92, 0, nz, nz
%macro ARPL_IS 5.nolist         ; name, destination, source, result, z or nz
    CASE %1, "2 ARPL"
    mov eax, 0x77770000 | (%2)
    mov ecx, %3
    arpl ax, cx
    CHECK %5
    CHECK_EQ eax, 0x77770000 | (%4)
%endmacro
    ARPL_IS "ARPL raises", 0x1000, 3, 0x1003, z
    ARPL_IS "ARPL 1 to 2", 0x1001, 2, 0x1002, z
    ARPL_IS "ARPL equal", 0x1002, 2, 0x1002, nz
    ARPL_IS "ARPL never lowers", 0x1003, 1, 0x1003, nz
    PASS

align 4
gdtr_short: dw 0
    dd gdt
far_bad: dd 0x99
    dw 0x1000
far_a: dd 0x99
    dw A
align 8
ldt: dq 0
    DESC 0, 0xfffff, 0x92, 0xc
fault_task:
    dd 0
    times 7 dd 0
    dd 0, 2
    dd 0, 0, 0, 0, KERNEL_STACK, 0, 0, 0
    dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0, 0, 0
