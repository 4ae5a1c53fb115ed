; Between instructions: interrupt shadows, NMIs, single steps; priorities of exceptions; double faults (SDM
; volume 3A 6.7, 6.8, 6.9, 6.15 table 6-5; volume 3B 17.3.1.4).
%include "protected.inc"

%define A 0x30
%define DF_TASK 0x38
%define VEC 0x70

%macro WANT 1.nolist            ; an interrupt, or WANT_NMI
    mov eax, %1
    out INTERRUPT_PORT, eax
%endmacro
%macro BEGIN 1.nolist
    mov [saved_esp], esp
    mov dword [resume], %1
    mov byte [vector], 0xff
%endmacro
; CAUGHT vector, where: the handler came there
%macro CAUGHT 2.nolist
    CHECK_EQ byte [vector], %1
    CHECK_EQ dword [fault_ip], %2
%endmacro
; DOUBLE name, instruction: it ends in #DF, error code 0, through the task
%macro DOUBLE 2+.nolist
    CASE %1, "3A 6.15"
    SET_TSS DF_TASK, df_task
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    mov dword [df_task + 0x20], %%df
    mov dword [df_task + 0x38], KERNEL_STACK
    BEGIN %%missed
    %2
%%missed:
    CHECK_EQ byte [vector], 8
%%df:
    clts
    pop eax
    CHECK_EQ eax, 0
    push dword 2
    popf
    mov esp, KERNEL_STACK
%endmacro

main:
    SET_GATE IDT_AT + 8 * 8, DF_TASK, eax, 0x85

    ; ---- shadows (6.8.1, 6.8.3)
    CASE "an interrupt waits for IF", "3A 6.8.1"
    BEGIN .if_on
    WANT VEC
    nop
    nop
    CHECK_EQ byte [vector], 0xff
    sti
    nop
.if_at:
    nop
.if_on:
    CAUGHT VEC, .if_at
    CASE "STI lets one more instruction through", "3A 6.8.1"
    BEGIN .sti_on
    WANT VEC
    xor ecx, ecx
    sti
    inc ecx
.sti_at:
    inc ecx
.sti_on:
    CAUGHT VEC, .sti_at
    CHECK_EQ ecx, 1
    CASE "STI and CLI: none", "2 STI"
    BEGIN .stcl_on
    WANT VEC
    sti
    cli
    nop
    sti
    nop
.stcl_at:
    nop
.stcl_on:
    CAUGHT VEC, .stcl_at
    CASE "NMI comes whatever IF is", "3A 6.7"
    BEGIN .nmi_on
    WANT WANT_NMI
.nmi_at:
    nop
.nmi_on:
    CAUGHT 2, .nmi_at
    CASE "no NMI in an NMI handler, until IRET", "3A 6.7.1"
    BEGIN .nmi2_on
    WANT WANT_NMI                               ; (the last one's handler did not IRET)
    nop
    nop
    CHECK_EQ byte [vector], 0xff
    pushf
    push cs
    push dword .nmi2_at
    iret
.nmi2_at:
    nop
.nmi2_on:
    CAUGHT 2, .nmi2_at
    pushf
    push cs
    push dword .nmi_open
    iret
.nmi_open:
    CASE "an IRET that faults opens NMIs, too", "3A 6.7.1"
    BEGIN .nmi3_first
    WANT WANT_NMI
    nop
.nmi3_first:
    CHECK_EQ byte [vector], 2
    BEGIN .nmi3_gp
    push dword 2
    push dword 0                                ; a null CS
    push dword main
    iret
.nmi3_gp:
    CHECK_EQ byte [vector], 13
    BEGIN .nmi3_on
    WANT WANT_NMI
.nmi3_at:
    nop
.nmi3_on:
    CAUGHT 2, .nmi3_at
    pushf
    push cs
    push dword .nmi3_open
    iret
.nmi3_open:
    CASE "HLT ends at an interrupt, behind it", "2 HLT"
    BEGIN .hlt_on
    WANT VEC
    sti
    hlt
.hlt_at:
    nop
.hlt_on:
    CAUGHT VEC, .hlt_at

    ; ---- single steps (17.3.1.4)
%macro STEP 2+.nolist           ; the trap is right behind it
    CASE %1, "3B 17.3.1.4"
    BEGIN %%on
    xor eax, eax
    mov dr6, eax
    pushf
    or dword [esp], 0x100
    popf
    %2
%%next:
    nop
    nop
%%on:
    CAUGHT 1, %%next
    mov eax, dr6
    CHECK_EQ eax, 0xffff4ff0
%endmacro
    STEP "a step", inc ecx
    STEP "of STI: its shadow does not hold traps", sti
    STEP "of CPUID", cpuid
    STEP "of an untaken jump", jecxz $ + 3
    STEP "of LSS", lss esp, [stack_pointer]
    STEP "of a load of DS", mov ds, [data0]
    STEP "of CLI", cli
    STEP "of MOV from CR0", mov eax, cr0
    STEP "of OUT", out 0x80, al
    CASE "POPF that clears TF takes its step", "3B 17.3.1.4"
    BEGIN .popf_on
    push dword 2
    pushf
    or dword [esp], 0x100
    popf
    popf
.popf_next:
    nop
.popf_on:
    CAUGHT 1, .popf_next
    test dword [fault_flags], 0x100
    CHECK z
    CASE "MOV SS puts it off by one", "3A 6.8.3"
    mov ecx, ss
    BEGIN .mss_on
    pushf
    or dword [esp], 0x100
    popf
    mov ss, ecx
    nop
.mss_next:
    nop
.mss_on:
    CAUGHT 1, .mss_next
    CASE "POP SS, too", "3A 6.8.3"
    BEGIN .pss_on
    push ss
    pushf
    or dword [esp], 0x100
    popf
    pop ss
    nop
.pss_next:
    nop
.pss_on:
    CAUGHT 1, .pss_next
    CASE "INT n takes none, and its handler has no TF", "3B 17.3.1.4"
    BEGIN .int_on
    pushf
    or dword [esp], 0x100
    popf
    int VEC
    nop
.int_on:
    CHECK_EQ byte [vector], VEC
    test dword [fault_flags], 0x100
    CHECK nz
    CASE "IRET that sets TF: behind the next", "3B 17.3.1.4"
    BEGIN .iret_on
    pushf
    or dword [esp], 0x100
    push cs
    push dword .iret_to
    iret
.iret_to:
    nop
.iret_next:
    nop
.iret_on:
    CAUGHT 1, .iret_next
    CASE "REP: behind each iteration", "3B 17.3.1.4"
    mov edi, 0x3000
    mov ecx, 3
    BEGIN .rep_on
    pushf
    or dword [esp], 0x100
    popf
.rep_at:
    rep stosb
    nop
.rep_on:
    CAUGHT 1, .rep_at
    CHECK_EQ ecx, 2
    test dword [fault_flags], 0x10000           ; RF between two iterations
    CHECK nz
    CASE "a REP with nothing to do is one step", "3B 17.3.1.4"
    xor ecx, ecx
    BEGIN .rep0_on
    pushf
    or dword [esp], 0x100
    popf
    rep stosb
.rep0_next:
    nop
.rep0_on:
    CAUGHT 1, .rep0_next
    CASE "HLT under TF does not halt", "3B 17.3.1.4"
    BEGIN .hlts_on
    pushf
    or dword [esp], 0x100
    popf
    hlt
.hlts_next:
    nop
.hlts_on:
    CAUGHT 1, .hlts_next
    CASE "a fault takes no step; its handler has no TF", "3A 6.9"
    xor eax, eax
    mov dr6, eax
    BEGIN .ud_on
    pushf
    or dword [esp], 0x100
    popf
.ud_at:
    ud2
.ud_on:
    CAUGHT 6, .ud_at
    test dword [fault_flags], 0x100
    CHECK nz
    mov eax, dr6
    CHECK_EQ eax, 0xffff0ff0
    CASE "a step comes before an interrupt", "3A 6.9"
    BEGIN .prio_on
    mov eax, VEC
    pushf
    or dword [esp], 0x300
    popf
    out INTERRUPT_PORT, eax
.prio_next:
    nop
.prio_on:
    CHECK_EQ byte [vector], 1
    CHECK_EQ dword [fault_ip], .prio_next
    BEGIN .prio2_on
    sti
    nop
    nop
.prio2_on:
    CHECK_EQ byte [vector], VEC

    ; ---- which of several faults (6.9)
    FAULTS "LOCK that may not be: before the segment", "3A 6.9", 6, 0, {db 0x26, 0xf0, 0x8b, 5, 0, 0, 0, 0}
    FAULTS "15 bytes and more", "3A 6.9", 13, 0, {times 15 db 0x26}
    CASE "14 prefixes and NOP are an instruction", "2 2.3.11"
    times 14 db 0x26
    nop
    USER_FAULTS "privilege before the operand's limit", "3A 6.9", 13, 0, {lgdt [0x500]}
    USER_FAULTS "a MOV from CR5: no such register, before privilege", "2 MOV", 6, 0, {db 0x0f, 0x20, 0xe8}
    FAULTS "a MOV to CR1", "2 MOV", 6, 0, {db 0x0f, 0x22, 0xc8}
    SET_DESC A, 0, 0xfff, 0x92, 4
    mov ax, A
    mov fs, ax
    xor ecx, ecx
    FAULTS "the operand's segment before division by zero", "3A 6.9", 13, 0, {div dword [fs:0x1000]}

    ; ---- CR0.TS, MP, EM (2.5; volume 1, 8.1)
%macro CR0_IS 1.nolist          ; of EM, TS and MP
    mov eax, cr0
    and al, ~0xe
    or al, %1
    mov cr0, eax
%endmacro
    CR0_IS 8
    FAULTS "TS: x87 is #NM, before the operand's segment", "3A 2.5", 7, 0, {fld dword [fs:0x1000]}
    WORKS "TS without MP: WAIT does not", "3A 2.5", {wait}
    CR0_IS 0xa
    FAULTS "TS with MP: WAIT does", "3A 2.5", 7, 0, {wait}
    FAULTS "TS: MMX", "3A 2.5", 7, 0, {pxor mm0, mm0}
    CR0_IS 4
    FAULTS "EM: x87 is #NM", "3A 2.5", 7, 0, {fninit}
    FAULTS "EM: MMX is #UD", "3A 2.5", 6, 0, {pxor mm0, mm0}
    WORKS "EM: WAIT is nothing to it", "3A 2.5", {wait}
    CR0_IS 2
    WORKS "MP alone", "3A 2.5", {wait}
    CASE "CLTS", "2 CLTS"
    CR0_IS 0xa
    clts
    mov eax, cr0
    and eax, 0xe
    CHECK_EQ eax, 2
    CASE "LMSW clears TS, but not PE", "2 LMSW"
    CR0_IS 0xa
    xor eax, eax
    lmsw ax
    mov eax, cr0
    and eax, 0xf
    CHECK_EQ eax, 1
    USER_FAULTS "CLTS at level 3", "2 CLTS", 13, 0, {clts}
    USER_FAULTS "LMSW at level 3", "2 LMSW", 13, 0, {lmsw ax}
    USER_FAULTS "HLT at level 3", "2 HLT", 13, 0, {hlt}
    USER_WORKS "SMSW at level 3", "2 SMSW", {smsw eax}

    ; ---- double faults (6.15, table 6-5)
    mov ecx, 0x1000
    mov byte [IDT_AT + 13 * 8 + 5], 0x0e
    DOUBLE "#GP, then #NP", mov es, ecx
    mov byte [IDT_AT + 13 * 8 + 5], 0x8e
    mov word [IDT_AT + 13 * 8 + 2], 0x1000
    mov ecx, 0x1000
    DOUBLE "#GP, then #GP", mov es, ecx
    mov word [IDT_AT + 13 * 8 + 2], CODE0
    mov byte [IDT_AT + 0 * 8 + 5], 0x0e
    xor ecx, ecx
    DOUBLE "#DE, then #NP", div ecx
    mov byte [IDT_AT + 0 * 8 + 5], 0x8e
    SET_DESC A, 0, 0xfff, 0x96, 4
    mov ecx, A
    CASE "#SS, then #SS", "3A 6.15"
    SET_TSS DF_TASK, df_task
    mov dword [df_task + 0x20], .ss_df
    mov dword [df_task + 0x38], KERNEL_STACK
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    mov ss, ecx
    mov esp, 0x1002
    push eax
    jmp .missed
.ss_df:
    clts
    pop eax
    CHECK_EQ eax, 0
    push dword 2
    popf
    mov ax, DATA0
    mov ss, ax
    mov esp, KERNEL_STACK
    SET_TSS TSS0, tss
    mov ax, TSS0
    ltr ax
    ; benign first: no double fault, but the second one
    mov byte [IDT_AT + 6 * 8 + 5], 0x0e
    FAULTS "#UD, then #NP", "3A 6.15", 11, 6 * 8 + 3, {ud2}
    mov byte [IDT_AT + 6 * 8 + 5], 0x8e
    mov byte [IDT_AT + VEC * 8 + 5], 0x0e
    FAULTS "INT n, then #NP", "3A 6.15", 11, VEC * 8 + 2, {int VEC}
    PASS
.missed:
    xor eax, eax
    CHECK ne

align 4
stack_pointer: dd KERNEL_STACK
    dw DATA0
align 4
df_task:
    dd 0
    times 7 dd 0
    dd 0, 2
    dd 0, 0, 0, 0, KERNEL_STACK, 0, 0, 0
    dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0, 0, 0
