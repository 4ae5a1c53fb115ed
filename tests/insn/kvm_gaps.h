/*
 * What the kernel's emulator gets wrong, where it emulates ring 0: kvm-gaps.txt, for one program of sys/.
 */
#ifndef TESTS_INSN_KVM_GAPS_H
#define TESTS_INSN_KVM_GAPS_H

#include <glib.h>
#include <stdbool.h>

typedef struct KvmGaps {
    char *why;                  /* the first of them, in words */
    GHashTable *cases;          /* names of those that fail */
    char *end;                  /* the one behind which the program cannot go on; NULL: it can */
    bool complete;              /* the list was made for this kernel and processor: there are no others */
} KvmGaps;

/* NULL: the file cannot be read, which errp says.  A program that it does not name has no gaps. */
KvmGaps *kvm_gaps_read(const char *path, const char *program, GError **errp);
void kvm_gaps_free(KvmGaps *g);

#endif
