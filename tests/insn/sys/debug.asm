; Debug registers in protected mode: instruction, data and I/O breakpoints, general detect, single steps,
; and what DR6 and RF say of them (SDM volume 3B 17.2, 17.3; volume 3A 6.8.3).
%include "protected.inc"

%define SPOT 0x3000         ; what is watched
%define PORT 0x600          ; a port that nothing is at
%define ON0 2               ; G0
%define W1 0x00010000       ; DR0: a write of 1, 2, 4, 8 bytes
%define W2 0x00050000
%define W4 0x000d0000
%define W8 0x00090000
%define RW4 0x000f0000
%define IO1 0x00020000
%define IO2 0x00060000
%define IO4 0x000e0000
%define OTHER 0x30          ; a task

; DRS address in DR0, value of DR7
%macro DRS 2.nolist
    xor eax, eax
    mov dr7, eax
    mov eax, %1
    mov dr0, eax
    xor eax, eax
    mov dr6, eax
    mov eax, %2
    mov dr7, eax
%endmacro
%macro BEGIN 0.nolist
    mov [saved_esp], esp
    mov byte [vector], 0xff
%endmacro
; HIT DR6's bits of interest: there was a #DB, and these are set, no others
%macro HIT 1.nolist
    CHECK_EQ byte [vector], 1
    mov eax, dr6
    CHECK_EQ eax, 0xffff0ff0 | (%1)
%endmacro
; TRAP name, section, bits, instruction: a #DB behind it
%macro TRAP 4+.nolist
    CASE %1, %2
    xor eax, eax
    mov dr6, eax
    BEGIN
    mov dword [resume], %%after
    %4
%%after:
    HIT %3
    CHECK_EQ dword [fault_ip], %%after
    test dword [fault_flags], 0x10000           ; RF: a trap leaves it as it was
    CHECK z
%endmacro
; QUIET name, section, instructions: no #DB
%macro QUIET 3+.nolist
    CASE %1, %2
    xor eax, eax
    mov dr6, eax
    BEGIN
    mov dword [resume], %%after
    %3
%%after:
    CHECK_EQ byte [vector], 0xff
    mov eax, dr6
    CHECK_EQ eax, 0xffff0ff0
%endmacro

main:
    ; ---- the registers themselves (17.2)
    CASE "fixed bits of DR6", "3B 17.2.3"
    mov eax, 0xffffffff
    mov dr6, eax
    mov eax, dr6
    CHECK_EQ eax, 0xffffefff
    xor eax, eax
    mov dr6, eax
    mov eax, dr6
    CHECK_EQ eax, 0xffff0ff0
    CASE "fixed bits of DR7", "3B 17.2.4"
    mov eax, 0xffffd000                         ; nothing enabled, not GD
    mov dr7, eax
    mov eax, dr7
    CHECK_EQ eax, 0xffff0400
    xor eax, eax
    mov dr7, eax
    mov eax, dr7
    CHECK_EQ eax, 0x400
    CASE "DR4 and DR5 are DR6 and DR7", "3B 17.2.2"
    mov eax, 0xe00f
    db 0x0f, 0x23, 0xe0                         ; mov dr4, eax
    mov eax, dr6
    CHECK_EQ eax, 0xffffefff
    db 0x0f, 0x21, 0xe8                         ; mov eax, dr5
    CHECK_EQ eax, 0x400
    CASE "any address fits", "3B 17.2.1"
    mov eax, 0xfedcba98
    mov dr3, eax
    xor eax, eax
    mov eax, dr3
    CHECK_EQ eax, 0xfedcba98
    mov eax, cr4
    or al, 8                                    ; DE
    mov cr4, eax
    FAULTS "DR4 with CR4.DE", "3B 17.2.2", 6, 0, {db 0x0f, 0x21, 0xe0}
    FAULTS "a store to DR5 with CR4.DE", "3B 17.2.2", 6, 0, {db 0x0f, 0x23, 0xe8}
    USER_FAULTS "DR0 at level 3", "2 MOV", 13, 0, {mov eax, dr0}
    USER_FAULTS "a store to DR7 at level 3", "2 MOV", 13, 0, {mov dr7, eax}

    ; ---- general detect (17.2.4)
    CASE "general detect", "3B 17.2.4"
    DRS 0, 0x2000
    BEGIN
    mov dword [resume], .gd
.gd_at:
    mov eax, dr3
.gd:
    HIT 0x2000
    CHECK_EQ dword [fault_ip], .gd_at
    test dword [fault_flags], 0x10000           ; a fault: RF
    CHECK nz
    CASE "its handler may use the registers", "3B 17.2.4"
    mov eax, dr7
    CHECK_EQ eax, 0x400

    ; ---- data
    DRS SPOT, ON0 | W1
    TRAP "a write", "3B 17.2.5", 1, {mov [SPOT], al}
    QUIET "no read", "3B 17.2.4", {mov al, [SPOT]}
    QUIET "no write beside it", "3B 17.2.5", {mov [SPOT + 1], al}
    TRAP "a dword that ends in it", "3B 17.2.5", 1, {mov [SPOT - 3], eax}
    TRAP "a read-modify-write", "3B 17.2.5", 1, {inc dword [SPOT]}
    TRAP "a locked one", "3B 17.2.5", 1, {lock inc dword [SPOT]}
    TRAP "XCHG", "3B 17.2.5", 1, {xchg al, [SPOT]}
    mov edi, SPOT
    TRAP "STOSD", "3B 17.2.5", 1, {stosd}
    TRAP "FNSTCW", "3B 17.2.5", 1, {fnstcw [SPOT]}
    TRAP "FXSAVE, somewhere within", "3B 17.2.5", 1, {fxsave [SPOT - 0x100]}
    CASE "what was written is there", "3B 17.3.1.2"
    BEGIN
    mov dword [resume], .written
    mov byte [SPOT], 0x66
.written:
    CHECK_EQ byte [SPOT], 0x66
    DRS SPOT, ON0 | W2
    TRAP "two bytes: the second", "3B 17.2.5", 1, {mov [SPOT + 1], al}
    QUIET "two bytes: not the third", "3B 17.2.5", {mov [SPOT + 2], al}
    DRS SPOT + 1, ON0 | W2
    TRAP "two bytes: bit 0 of the address is ignored", "3B 17.2.5", 1, {mov [SPOT], al}
    DRS SPOT + 3, ON0 | W4
    TRAP "four bytes: two bits are ignored", "3B 17.2.5", 1, {mov [SPOT], al}
    QUIET "four bytes: not the fifth", "3B 17.2.5", {mov [SPOT + 4], al}
    DRS SPOT, ON0 | W8
    TRAP "eight bytes: the last", "3B 17.2.4", 1, {mov [SPOT + 7], al}
    QUIET "eight bytes: not the ninth", "3B 17.2.4", {mov [SPOT + 8], al}
    DRS SPOT, ON0 | RW4
    TRAP "a read", "3B 17.2.4", 1, {mov al, [SPOT + 3]}
    TRAP "and a write", "3B 17.2.4", 1, {mov [SPOT + 3], al}
    QUIET "no prefetch", "3B 17.2.4", {prefetcht0 [SPOT]}
    QUIET "no LEA", "3B 17.2.4", {lea eax, [SPOT]}
    TRAP "a PUSH's operand", "3B 17.2.5", 1, {push dword [SPOT]}
    CASE "a PUSH's stack", "3B 17.2.5"
    DRS KERNEL_STACK - 0x84, ON0 | W4
    BEGIN
    mov dword [resume], .pushed
    sub esp, 0x80
    push eax
.pushed:
    HIT 1
    CHECK_EQ dword [fault_ip], .pushed
    DRS 0, 0
    CASE "a CALL's", "3B 17.2.5"
    DRS KERNEL_STACK - 0x84, ON0 | W4
    BEGIN
    mov dword [resume], .called
    sub esp, 0x80
    call .callee
.called:
    HIT 1
    CHECK_EQ dword [fault_ip], .callee
.callee:
    DRS SPOT, W4 | 1
    TRAP "enabled locally", "3B 17.2.4", 1, {mov [SPOT], al}
    DRS SPOT, W4
    QUIET "not enabled", "3B 17.2.4", {mov [SPOT], al}
    CASE "two at once", "3B 17.2.3"
    DRS SPOT, 0x00dd0000 | 0xa                  ; DR0, DR1
    mov eax, SPOT + 2
    mov dr1, eax
    BEGIN
    mov dword [resume], .two
    mov [SPOT], al
.two:
    HIT 3
    CASE "DR3 is bit 3", "3B 17.2.3"
    DRS 0, 0xd0000080
    mov eax, SPOT
    mov dr3, eax
    BEGIN
    mov dword [resume], .three
    mov [SPOT], al
.three:
    HIT 8
    CASE "DR6 keeps BS, B0..3 are those of the last", "3B 17.2.3"
    DRS SPOT, ON0 | W4
    mov eax, 0x4008
    mov dr6, eax
    BEGIN
    mov dword [resume], .sticky
    mov [SPOT], al
.sticky:
    HIT 0x4001
    CASE "an access that faults does not trap", "3A 6.9"
    SET_DESC 0x38, 0, SPOT - 1, 0x92, 4
    DRS SPOT, ON0 | RW4
    mov ax, 0x38
    mov es, ax
    mov esi, SPOT
    mov edi, SPOT
    EXPECT 13, 0, movsb                         ; the read hits, the write is beyond ES's limit
    mov eax, dr6
    CHECK_EQ eax, 0xffff0ff0
    CASE "IDT and stack of a delivery count", "3B 17.2.5"
    DRS KERNEL_STACK - 12, ON0 | W4
    BEGIN
    mov dword [resume], .delivery
    mov esp, KERNEL_STACK
    int 0x70
.delivery:
    HIT 1                                       ; behind it, on the handler's first instruction
    CHECK_EQ dword [fault_ip], stubs + 0x70 * 16

    ; ---- REP: behind the iteration that hit (17.3.1.2)
    CASE "REP STOSB", "3B 17.3.1.2"
    DRS SPOT + 5, ON0 | W1
    BEGIN
    mov dword [resume], .stos
    mov edi, SPOT
    mov ecx, 16
.stos_at:
    rep stosb
.stos:
    HIT 1
    CHECK_EQ ecx, 10
    CHECK_EQ edi, SPOT + 6
    CHECK_EQ dword [fault_ip], .stos_at
    test dword [fault_flags], 0x10000           ; between two iterations
    CHECK nz
    CASE "REP STOSB, last iteration", "3B 17.3.1.1"
    DRS SPOT + 5, ON0 | W1
    BEGIN
    mov dword [resume], .stos6
    mov edi, SPOT
    mov ecx, 6
    rep stosb
.stos6:
    HIT 1
    CHECK_EQ dword [fault_ip], .stos6
    test dword [fault_flags], 0x10000
    CHECK z
    CASE "REP MOVSB reads it", "3B 17.3.1.2"
    DRS SPOT + 5, ON0 | RW4
    BEGIN
    mov dword [resume], .movs
    mov esi, SPOT
    mov edi, SPOT + 0x100
    mov ecx, 16
    rep movsb
.movs:
    HIT 1
    CHECK_EQ ecx, 11                            ; bytes 4..7 are watched

    ; ---- ports (17.2.4, CR4.DE)
    DRS PORT, ON0 | IO1
    mov dx, PORT
    TRAP "IN", "3B 17.2.4", 1, {in al, dx}
    TRAP "OUT", "3B 17.2.4", 1, {out dx, al}
    mov dx, PORT + 1
    QUIET "the port beside it", "3B 17.2.4", {in al, dx}
    mov dx, PORT - 1
    TRAP "a word that ends in it", "3B 17.2.4", 1, {in ax, dx}
    QUIET "memory at that address", "3B 17.2.4", {mov [PORT], al}
    DRS PORT + 1, ON0 | IO2
    mov dx, PORT
    TRAP "two ports: the low bit is ignored", "3B 17.2.4", 1, {in al, dx}
    DRS PORT, ON0 | IO4
    mov dx, PORT + 3
    TRAP "four ports", "3B 17.2.4", 1, {in al, dx}
    CASE "REP OUTSB", "3B 17.3.1.3"
    BEGIN
    mov dword [resume], .outs
    mov esi, SPOT
    mov ecx, 4
.outs_at:
    rep outsb
.outs:
    HIT 1
    CHECK_EQ ecx, 3
    CHECK_EQ dword [fault_ip], .outs_at
    mov eax, cr4
    and al, ~8
    mov cr4, eax
    QUIET "none without CR4.DE", "3B 17.2.4", {in al, dx}

    ; ---- instructions (17.3.1.1)
    CASE "an instruction", "3B 17.3.1.1"
    DRS .code, ON0
    BEGIN
    mov dword [resume], .coded
    xor ecx, ecx
    nop
.code:
    inc ecx
.coded:
    HIT 1
    CHECK_EQ dword [fault_ip], .code
    CHECK_EQ ecx, 0                             ; a fault: before it
    test dword [fault_flags], 0x10000           ; which does not set RF by itself
    CHECK z
    CASE "RF lets one instruction pass", "3B 17.3.1.1"
    DRS .rf_code, ON0
    BEGIN
    mov dword [resume], .rf_again
    xor ecx, ecx
    pushf
    or dword [esp], 0x10000
    push cs
    push dword .rf_code
    iret
.rf_code:
    inc ecx
    jmp .rf_code                                ; RF is clear again: caught here
.rf_again:
    HIT 1
    CHECK_EQ ecx, 1
    CHECK_EQ dword [fault_ip], .rf_code
    CASE "before the fault of its instruction", "3A 6.9"
    DRS .ud, ON0
    BEGIN
    mov dword [resume], .uded
.ud:
    ud2
.uded:
    HIT 1
    CASE "before general protection of a jump's target", "3A 6.9"
    DRS .div, ON0
    BEGIN
    mov dword [resume], .dived
    xor ecx, ecx
    jmp .div
.div:
    div ecx
.dived:
    HIT 1
    CASE "its first byte, prefixes included", "3B 17.2.5"
    DRS .prefixed + 1, ON0
    BEGIN
    mov dword [resume], .prefixed_on
.prefixed:
    db 0x3e, 0x90
.prefixed_on:
    CHECK_EQ byte [vector], 0xff
    CASE "not behind MOV SS", "3A 6.8.3"
    DRS .shadowed, ON0
    BEGIN
    mov dword [resume], .shadow_on
    mov eax, ss
    mov ss, eax
.shadowed:
    nop
.shadow_on:
    CHECK_EQ byte [vector], 0xff
    CASE "again and again in a loop", "3B 17.3.1.1"
    DRS .looped, ON0
    BEGIN
    mov dword [resume], .loop_on
    mov ecx, 3
    jmp .looped
    dec ecx
.looped:
    nop
.loop_on:
    HIT 1
    DRS 0, 0

    ; ---- single steps (17.3.1.4); what takes none is in steps.asm
%macro STEP_ON 0.nolist
    pushf
    or dword [esp], 0x100
    popf
%endmacro
    CASE "single step", "3B 17.3.1.4"
    BEGIN
    mov dword [resume], .stepped
    STEP_ON
    inc ecx
.stepped:
    HIT 0x4000
    CHECK_EQ dword [fault_ip], .stepped
    test dword [fault_flags], 0x100             ; TF, which the handler has not
    CHECK nz
    CASE "a step and a data breakpoint are one trap", "3B 17.3.1.4"
    DRS SPOT, ON0 | W4
    BEGIN
    mov dword [resume], .both
    STEP_ON
    mov [SPOT], al
.both:
    HIT 0x4001
    CASE "MOV SS holds a data breakpoint back", "3A 6.8.3"
    DRS 0, 0
    mov word [SPOT], DATA0
    DRS SPOT, ON0 | RW4
    BEGIN
    mov dword [resume], .held
    mov ss, [SPOT]
    nop
.held:
    HIT 1
    CHECK_EQ dword [fault_ip], .held
    CASE "LSS does not", "3A 6.8.3"
    DRS 0, 0
    mov [SPOT], esp
    mov word [SPOT + 4], DATA0
    DRS SPOT, ON0 | RW4
    BEGIN
    mov dword [resume], .lss
    lss esp, [SPOT]
.lss:
    HIT 1
    CHECK_EQ dword [fault_ip], .lss
    DRS 0, 0
    CASE "INT1 leaves DR6", "2 INT"
    BEGIN
    mov dword [resume], .int1
    db 0xf1
.int1:
    HIT 0
    CHECK_EQ dword [fault_ip], .int1

    ; ---- tasks (17.3.1.5, 17.2.4)
    CASE "the T flag of a TSS", "3B 17.3.1.5"
    SET_TSS OTHER, other
    mov word [other + 0x64], 1
    BEGIN
    mov dword [resume], .task
    jmp OTHER:0
.task:
    HIT 0x8000
    CHECK_EQ dword [fault_ip], other_code
    CASE "a task switch clears the local enables", "3B 17.2.4"
    SET_TSS TSS0, tss
    mov word [tss + 0x64], 0
    mov dword [tss + 0x20], .local
    DRS 0, 0x3ff
    jmp TSS0:0
.local:
    mov eax, dr7
    CHECK_EQ eax, 0x6aa
    PASS

other_code:
    jmp other_code
align 4
other:
    dd 0
    times 7 dd 0
    dd other_code, 2
    dd 0, 0, 0, 0, 0x60000, 0, 0, 0
    dd DATA0, CODE0, DATA0, DATA0, DATA0, DATA0, 0, 0
