/*
 * target/x86/model.h - what kind of processor it is: its CPUID leaves, features and MSRs.
 *
 * A model is immutable once its processor runs; x86_has(), x86_feature() and x86_cpuid() are for any thread.
 * MSR functions belong to the vCPU's thread and take the machine lock where they reach a device.
 */
#ifndef TARGET_X86_MODEL_H
#define TARGET_X86_MODEL_H

#include "target/x86/cpu.h"

/* CPUID registers that hold feature bits: a feature is its word times 32 plus its bit. */
enum { CPUID_1_EDX, CPUID_1_ECX, CPUID_6_EAX, CPUID_7_EBX, CPUID_7_ECX, CPUID_7_EDX, CPUID_7_1_EAX, CPUID_D1_EAX,
       CPUID_8000_0001_EDX, CPUID_8000_0001_ECX, CPUID_8000_0007_EDX, CPUID_8000_0008_EBX, CPUID_WORDS };

typedef enum X86Feature {
#define FEATURE(id, name, word, bit, done, needs) FEAT_##id = (word) * 32 + (bit),
#include "target/x86/features.def"
#undef FEATURE
} X86Feature;

/* "max", "pentium3,+pae,-apic": an unknown name is an error that names the nearest; what cannot be given
 * is one error that lists all of it. */
X86Model *x86_model_new(const char *spec, GError **errp);
void x86_model_free(X86Model *m);

/* Before its first instruction, an accelerator says which features it can run: `max` and `host` lose the
 * others, and so says x86_model_spec() then; another model, or what was asked for by +name, is one error
 * that lists all that `who` cannot. */
bool x86_limit_features(X86Cpu *c, const uint32_t *words, const char *who, GError **errp);
/* What -cpu asks for again, and its TSC's rate: it has been limited for an accelerator that does not run it. */
void x86_restore_model(X86Cpu *c);

/* -cpu help, from the tables. */
typedef struct X86CpuGiver {    /* an accelerator, and which features it can run */
    const char *name;
    const char *why_not;        /* it does not work here at all, and why; or NULL */
    const uint32_t *words;      /* CPUID_WORDS of them; NULL: all that the interpreter runs */
} X86CpuGiver;
void x86_cpu_help(GString *out, const X86CpuGiver *givers, unsigned n);
const char *x86_model_name(const X86Model *m);
const char *x86_model_spec(const X86Model *m);          /* what x86_model_new() made it of */
bool x86_model_is_host(const X86Model *m);              /* -cpu host: features that only KVM may be able to run */

bool x86_feature(const X86Cpu *c, X86Feature feature);
void x86_drop_feature(X86Cpu *c, X86Feature feature);   /* before its first instruction; and what needs it */
bool x86_has(const X86Cpu *c, unsigned cpuf);           /* CPUF_* of target/x86/insn/; 0 is always there */
/* A linear address for a base register or INVLPG: 57 bits where there are five levels, on or off. */
bool x86_canonical_base(const X86Cpu *c, uint64_t linear);
void x86_cpuid(const X86Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);  /* EAX EBX ECX EDX */
uint32_t x86_cr4_valid(const X86Cpu *c);                /* bits that may be set */
uint64_t x86_xcr0_valid(const X86Cpu *c);               /* the same of XCR0 */
uint32_t x86_signature(const X86Cpu *c);                /* CPUID.1:EAX, in EDX after reset */
unsigned x86_tsc_khz(const X86Cpu *c);                  /* that -cpu asks for */
bool x86_tsc_asked(const X86Cpu *c);                    /* it does, and another will not do */
unsigned x86_phys_bits(const X86Cpu *c);                /* of a physical address: MAXPHYADDR */

/* False: #GP(0). */
bool x86_msr_read(X86Cpu *c, uint32_t msr, uint64_t *value);
bool x86_msr_write(X86Cpu *c, uint32_t msr, uint64_t value);
const char *x86_msr_name(uint32_t msr);                 /* NULL: unknown */

/* CR0, CR3, CR4 and EFER with all their checks and effects; false: #GP(0), nothing changed.
 * A page fault of the PDPTE loads does not exist: they are physical reads (4.4.1). */
bool x86_write_cr0(X86Cpu *c, uint64_t value);
bool x86_write_cr3(X86Cpu *c, uint64_t value);
bool x86_write_cr4(X86Cpu *c, uint64_t value);
bool x86_write_efer(X86Cpu *c, uint64_t value);
/* PAE's four entries from CR3; false: a reserved bit is set. */
bool x86_load_pdptes(X86Cpu *c, uint64_t cr3);

#endif
