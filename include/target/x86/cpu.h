/*
 * target/x86/cpu.h - the registers of an x86 processor, in the one form that all accelerators, the
 * debugger and saved state share.
 *
 * Belongs to the vCPU's thread while it runs; to whoever holds the machine lock while it is paused.
 * References are to the Intel SDM, volume 3A unless another is named.
 */
#ifndef TARGET_X86_CPU_H
#define TARGET_X86_CPU_H

#include <glib.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/vcpu.h"

enum { X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
       X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
       X86_RIP, X86_ZERO /* always 0: the base or index that an address has not */, X86_REGS };
enum { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_SEGS };

enum { FL_CF = 1 << 0, FL_1 = 1 << 1, FL_PF = 1 << 2, FL_AF = 1 << 4, FL_ZF = 1 << 6, FL_SF = 1 << 7,
       FL_TF = 1 << 8, FL_IF = 1 << 9, FL_DF = 1 << 10, FL_OF = 1 << 11, FL_IOPL = 3 << 12,
       FL_NT = 1 << 14, FL_RF = 1 << 16, FL_VM = 1 << 17, FL_AC = 1 << 18, FL_VIF = 1 << 19,
       FL_VIP = 1 << 20, FL_ID = 1 << 21,
       FL_STATUS = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF };
enum { CR0_PE = 1 << 0, CR0_MP = 1 << 1, CR0_EM = 1 << 2, CR0_TS = 1 << 3, CR0_ET = 1 << 4,
       CR0_NE = 1 << 5, CR0_WP = 1 << 16, CR0_AM = 1 << 18, CR0_NW = 1 << 29, CR0_CD = 1 << 30 };
#define CR0_PG 0x80000000u
enum { CR4_VME = 1 << 0, CR4_PVI = 1 << 1, CR4_TSD = 1 << 2, CR4_DE = 1 << 3, CR4_PSE = 1 << 4,
       CR4_PAE = 1 << 5, CR4_MCE = 1 << 6, CR4_PGE = 1 << 7, CR4_PCE = 1 << 8, CR4_OSFXSR = 1 << 9,
       CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11, CR4_LA57 = 1 << 12, CR4_FSGSBASE = 1 << 16,
       CR4_PCIDE = 1 << 17, CR4_OSXSAVE = 1 << 18, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21,
       CR4_PKE = 1 << 22 };
enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11 };
enum { EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_TS = 10, EXC_NP,
       EXC_SS, EXC_GP, EXC_PF, EXC_MF = 16, EXC_AC, EXC_MC, EXC_XM };
enum { PF_P = 1 << 0, PF_W = 1 << 1, PF_U = 1 << 2, PF_RSVD = 1 << 3, PF_I = 1 << 4, PF_PK = 1 << 5 };

enum { CR3_PCID = 0xfff };

/* Access rights of a descriptor: bits 8..23 of its second dword, moved down by 8 (3.4.5). */
enum { AR_TYPE = 0xf, AR_A = 1 << 0, AR_RW = 1 << 1, AR_EC = 1 << 2 /* expand down; conforming */,
       AR_CODE = 1 << 3, AR_S = 1 << 4, AR_DPL = 3 << 5, AR_P = 1 << 7, AR_AVL = 1 << 12,
       AR_L = 1 << 13, AR_DB = 1 << 14, AR_G = 1 << 15 };

typedef struct X86Segment {
    uint64_t base;
    uint32_t limit;             /* in bytes, granularity applied */
    uint16_t selector;
    uint16_t ar;                /* AR_*; 0 present bit: unusable (null selector) */
    /* Derived by x86_seg_changed(): offsets lo..hi inclusive may be read / written.  A flat segment
     * has lo 0, hi ~0 (32-bit wrap included); an unusable one has lo > hi. */
    uint64_t read_lo, read_hi, write_lo, write_hi;
} X86Segment;

typedef struct X86Vector { _Alignas(64) uint64_t q[8]; } X86Vector;      /* ZMM; XMM is q[0..1] */
typedef struct X86Float { uint64_t mantissa; uint16_t exponent; } X86Float;     /* with its sign */

typedef struct X86Fpu {
    X86Float st[8];             /* physical registers R0..R7, not stack order */
    uint16_t fcw, fsw;          /* TOP is in fsw */
    uint8_t ftw;                /* a bit a physical register: 1 not empty (the FXSAVE form) */
    uint16_t fop, fcs, fds;
    uint64_t fip, fdp;
    uint32_t mxcsr;
    X86Vector v[32];
    uint64_t k[8];              /* opmasks */
} X86Fpu;

/* The mode that decoding and the meaning of an address depend on: part of a block's key. */
enum { MODE_CODE16 = 0, MODE_CODE32 = 1, MODE_CODE64 = 2, MODE_CODE = 3, MODE_SS32 = 1 << 2,
       MODE_CPL = 3 << 3, MODE_CPL_SHIFT = 3, MODE_PE = 1 << 5, MODE_VM = 1 << 6, MODE_LMA = 1 << 7,
       MODE_PG = 1 << 8, MODE_TF = 1 << 9, MODE_FPU_OFF = 1 << 10 /* CR0.EM or TS */,
       MODE_SSE_ON = 1 << 11 /* CR4.OSFXSR, no EM */, MODE_IOPL = 3 << 12,
       MODE_AVX_ON = 1 << 14, MODE_AVX512_ON = 1 << 15 /* CR4.OSXSAVE and their bits in XCR0 */,
       /* 32-bit code and stack; CS, SS, DS and ES are all of memory, and but for CS writable */
       MODE_FLAT = 1 << 16 };
enum { XCR0_X87 = 1 << 0, XCR0_SSE = 1 << 1, XCR0_AVX = 1 << 2, XCR0_OPMASK = 1 << 5, XCR0_ZMM_HI256 = 1 << 6,
       XCR0_HI16_ZMM = 1 << 7, XCR0_PKRU = 1 << 9, XCR0_AVX512 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM };

/* DR6 (volume 3B 17.2.3): breakpoints 0..3 in its low bits, and why else.  The fixed bits read as 1. */
enum { DR6_B = 0xf, DR6_BD = 1 << 13, DR6_BS = 1 << 14, DR6_BT = 1 << 15 };
#define DR6_FIXED 0xffff0ff0u
#define DR6_WRITABLE 0x0000e00fu
#define DR7_WRITABLE 0xffff23ffu        /* the rest is 0, but bit 10; bit 11 belongs to RTM */
enum { DR7_LOCAL = 0x155, DR7_FIXED = 1 << 10, DR7_GD = 1 << 13 };

/* Bytes that somebody wants to know about.  The debugger's own; those of DR0..3 are the guest's. */
typedef struct X86Watch {
    uint64_t linear;
    uint32_t len;
    bool read, write;
} X86Watch;

enum { X86_WATCHES = 64 };

/* Breakpoints in force: target/x86/debug.c keeps it. */
typedef struct X86Debug {
    X86Watch list[X86_WATCHES];         /* x86_watch_set() */
    unsigned n;
    uint8_t code, ports;                /* DR0..3 that are enabled for execution, for ports */
    bool data;                          /* some access may hit something */
    bool alone;                         /* the next instruction hits something: execute it alone */
    uint32_t pending;                   /* DR6 bits of a trap behind the instruction */
    bool apart;                         /* this instruction, or the next, is a block by itself: x86_apart() */
    bool stop, hit_write;               /* the debugger's list was hit: run() returns RUN_DEBUG */
    X86Watch hit;                       /* which of it, and whether by a store */
} X86Debug;

enum { X86_MC_BANKS = 4 };              /* machine checks: banks that never report anything */
/* IA32_MISC_ENABLE (volume 4, table 2-2): what changes how the processor behaves. */
enum { MISC_FAST_STRING = 1 << 0, MISC_PERFMON = 1 << 7, MISC_NO_BTS = 1 << 11, MISC_NO_PEBS = 1 << 12,
       MISC_MONITOR = 1 << 18, MISC_LIMIT_CPUID = 1 << 22 };
#define MISC_XD_DISABLE (1ull << 34)

/* MONITOR's line or UMONITOR's, and MWAIT waiting for it to change (8.10.2): target/x86/exec/monitor.c. */
enum { X86_MONITOR_LINE = 64 };
typedef struct X86Monitor {
    hwaddr at;
    bool armed;
    bool user;                          /* by UMONITOR, for UMWAIT */
    bool waiting;                       /* it is MWAIT that halts the processor */
    bool masked_too;                    /* an interrupt ends it even when RFLAGS.IF is clear */
    uint8_t line[X86_MONITOR_LINE];     /* what was there */
} X86Monitor;

typedef struct X86Insn X86Insn;
typedef struct X86Mmu X86Mmu;
typedef struct X86Model X86Model;

enum { X86_STACK_WORDS = 8 };

typedef struct X86Cpu {
    Vcpu vcpu;                          /* first */
    uint64_t regs[X86_REGS];            /* RIP: of the next instruction while one executes */
    /* Status flags live in cc, as LAHF and SETO leave them: AH (SF ZF AF PF CF) in bits 15..8, OF in
     * bit 0.  rflags holds the rest; its status bits are 0.  x86_rflags() puts them together. */
    uint16_t cc;
    uint32_t rflags;
    uint32_t mode;                      /* MODE_*: kept by x86_mode_changed() */
    X86Segment seg[X86_SEGS], ldt, tr;
    struct { uint64_t base; uint16_t limit; } gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, xcr0, efer;
    uint64_t dr[8];
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint32_t umwait_control;
    uint32_t sysenter_cs;
    uint64_t sysenter_esp, sysenter_eip;
    uint64_t pat, mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    uint64_t misc_enable, tsc_adjust, spec_ctrl;
    uint64_t mcg_status, mcg_ctl, mc_ctl[X86_MC_BANKS];
    uint64_t pdpte[4];                  /* PAE paging: loaded with CR3 (4.4.1) */
    uint32_t pkru;
    X86Fpu fpu;
    /* Between two instructions */
    bool sti_shadow;                    /* interrupts wait for one instruction (STI, MOV SS) */
    bool ss_shadow;                     /* debug exceptions do, too (MOV SS, POP SS) */
    bool nmi_blocked;                   /* until IRET */
    bool ferr;                          /* FERR# is asserted */
    bool wait_sipi;                     /* after INIT: nothing but INIT and SIPI is heard (8.4.2) */
    uint8_t cpl;
    /* An exception on its way: written by x86_raise(), taken by x86_deliver() */
    struct {
        int vector;                     /* -1: none */
        uint32_t error;
        bool has_error, software, soft_int /* INT n, INT3, INTO, INT1 */, ext;
        uint64_t cr2;
        uint32_t dr6;                   /* of a #DB */
        bool again;                     /* the instruction was given up, and nothing raised */
        bool switched;                  /* a task switch is past its commit point: RIP is the new task's */
        int delivering;                 /* vector being delivered when another fault came; -1 */
    } exc;
    X86Debug debug;
    X86Monitor monitor;
    const X86Insn *cur;                 /* the instruction in execution; NULL between two */
    jmp_buf *unwind;                    /* where x86_raise() goes */
    X86Mmu *mmu;                        /* TLB: belongs to target/x86/mmu.c, as the next two do */
    struct X86TlbEntry *tlb;            /* its table for the privilege of now: x86_mmu_sync() */
    uint32_t tlb_mask;                  /* entries of a table - 1 */
    struct X86TlbEntry *tlb_by_ac[2];   /* what that is at level 0 with RFLAGS.AC clear and set: CLAC, STAC */
    /* The stack's page, for accel/dbt/x86_64/stack.c: its linear address, where it lies, and for each number of
     * words the offset from which on they do not fit; 0 when the page has been forgotten (target/x86/mmu-tlb.c).
     * `offset`: an access's, while its page is looked for */
    struct {
        uint64_t page, beyond[X86_STACK_WORDS], offset;
        uint8_t *host;
        int32_t patience;               /* misses before it is another one */
    } stack;
    uint64_t fetch_gen;                 /* another value: code may lie elsewhere now; the same again: as then */
    uint64_t global_gen;                /* the same for code in global pages, which CR3 does not move */
    struct X86Observer *observer;       /* see exec.h; NULL */
    struct X86HostRun *hostrun;         /* stubs of target/x86/exec/hostrun.c */
    const X86Model *model;              /* -cpu: what CPUID says; target/x86/cpuid.c */
    uint64_t phys_mask;                 /* all ones in a physical address's bits: MAXPHYADDR of the model */
    uint64_t insn_count;                /* executed so far, kept by the accelerator */
    bool counted;                       /* time is a number of instructions: core/icount.h */
    uint64_t *rows_bound;               /* a bit for each row that x86_bind() met, if a test asks; or NULL */
    /* Words that translated code reaches as it reaches the registers (accel/dbt/dbt.h) */
    struct {
        uint64_t page;                  /* RIP of the start of the running block's page */
        uint64_t tag, global_tag;       /* what an entry of the jump table must have to be good: either */
        _Atomic uint64_t jump;          /* address of the jump table; while there are requests, of an empty one */
        uint64_t no_jump;               /* that one's */
        int64_t left;                   /* instructions to go, where they are counted */
        uint64_t temp;                  /* between two accesses of an instruction */
        uint64_t what;                  /* of an exit: the number of its record, or its block */
        uint64_t target;                /* where dbt_enter() goes */
        uint64_t behind_sti;            /* RIP behind the last STI that was translated */
        uint32_t x87_env[7];            /* as FLDENV takes it */
        uint64_t shared[16];            /* host addresses that accesses of the running block share; 0: none */
        uint8_t live;                   /* LIVE_*: parts of `fpu` that are in the host's registers now */
    } dbt;
} X86Cpu;

static inline X86Cpu *x86_cpu(Vcpu *v) { return (X86Cpu *)v; }

/* ---- life (target/x86/cpu.c) ---- */
X86Cpu *x86_cpu_new(Machine *m, unsigned index, const char *model, GError **errp);  /* "max,+x,-y" */
void x86_cpu_free(X86Cpu *c);
void x86_reset(X86Cpu *c);              /* power-up or RESET#: 9.1.1 */
void x86_init(X86Cpu *c);               /* INIT: keeps caches and the FPU */
void x86_sipi(X86Cpu *c, uint8_t vector);
/* The stubs that run vector and x87 instructions (target/x86/exec/hostrun.c): made with the processor. */
bool x86_hostrun_new(X86Cpu *c, GError **errp);
void x86_hostrun_free(X86Cpu *c);

/* All that the architecture knows of `from`; both of one model. */
void x86_copy_state(X86Cpu *to, const X86Cpu *from);
/* The same to the bit, padding and what is left of earlier exceptions included? */
bool x86_same_state(const X86Cpu *a, const X86Cpu *b);

/* ---- views ---- */
uint32_t x86_rflags(const X86Cpu *c);
void x86_set_rflags(X86Cpu *c, uint32_t rflags);        /* all bits; derived mode updated */
void x86_mode_changed(X86Cpu *c);       /* after CR0, CR4, XCR0, EFER, CS, SS, RFLAGS.VM changed */
void x86_seg_changed(X86Cpu *c, unsigned seg);          /* after base, limit or ar changed */
static inline unsigned x86_code_bits(const X86Cpu *c) { return 16u << (c->mode & MODE_CODE); }
static inline bool x86_long_mode(const X86Cpu *c) { return c->mode & MODE_LMA; }

/* ---- for the monitor and the debugger: no side effects, no exceptions ---- */
void x86_info_registers(X86Cpu *c, GString *out);
void x86_info_mem(X86Cpu *c, GString *out);             /* mapped ranges and their rights */
void x86_info_tlb(X86Cpu *c, GString *out);             /* page by page */
bool x86_translate_debug(X86Cpu *c, uint64_t linear, hwaddr *gpa);
bool x86_read_debug(X86Cpu *c, uint64_t linear, void *buf, size_t len);
/* "rip", "eax", "cs", "cr3": for the monitor's expressions */
bool x86_register_value(X86Cpu *c, const char *name, uint64_t *value);
/* One instruction as text (capstone, Intel syntax); its length, 0 when it is none. */
unsigned x86_disas(const uint8_t *code, size_t avail, uint64_t pc, unsigned bits, GString *out);

#endif
