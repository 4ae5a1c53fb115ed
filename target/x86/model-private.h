/*
 * The inside of a processor model, shared by model.c and cpuid.c.
 */
#ifndef TARGET_X86_MODEL_PRIVATE_H
#define TARGET_X86_MODEL_PRIVATE_H

#include "target/x86/decode.h"
#include "target/x86/model.h"

struct X86Model {
    char *name, *spec;                  /* spec: with the features added and taken away */
    char *asked;                        /* what it was made of */
    bool host;                          /* -cpu host: what this processor is */
    char vendor[12];
    uint8_t family, model, stepping, phys_bits;         /* phys_bits: of a physical address, MAXPHYADDR */
    uint32_t tsc_khz;
    bool tsc_asked;                     /* by tsc-frequency= */
    uint32_t level, xlevel;             /* highest basic and extended leaf */
    char brand[48];
    uint32_t word[CPUID_WORDS];         /* feature bits */
    uint32_t firm[CPUID_WORDS];         /* those of them without which it is not what was asked for */
    bool gate[CPUF_COUNT];              /* the same by the names that target/x86/insn/ use */
};

/* ---- host-cpu.c ---- */
bool x86_host_bit(unsigned feature);            /* CPUID of the host has it */
void x86_host_identity(X86Model *m);            /* vendor, family, brand, width of an address */

#endif
