/*
 * target/x86/disas.c - instructions as text for the monitor and logs, by capstone in Intel syntax.
 *
 * A capstone handle costs far more to open than to use, so each thread keeps one a mode.
 */
#include <capstone/capstone.h>
#include "target/x86/cpu.h"

typedef struct Handles { csh mode[3]; } Handles;        /* 16, 32, 64 bits; 0: not open */

static void handles_free(gpointer p)
{
    Handles *h = p;

    for (unsigned i = 0; i < G_N_ELEMENTS(h->mode); i++) {
        if (h->mode[i]) {
            cs_close(&h->mode[i]);
        }
    }
    g_free(h);
}

static GPrivate thread_handles = G_PRIVATE_INIT(handles_free);

static csh handle_for(unsigned bits)
{
    static const cs_mode modes[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    unsigned i = bits == 16 ? 0 : bits == 32 ? 1 : 2;
    Handles *h = g_private_get(&thread_handles);

    if (!h) {
        h = g_new0(Handles, 1);
        g_private_set(&thread_handles, h);
    }
    if (!h->mode[i] && cs_open(CS_ARCH_X86, modes[i], &h->mode[i]) != CS_ERR_OK) {
        h->mode[i] = 0;
    }
    return h->mode[i];
}

unsigned x86_disas(const uint8_t *code, size_t avail, uint64_t pc, unsigned bits, GString *out)
{
    csh h = handle_for(bits);
    cs_insn *insn = h ? cs_malloc(h) : NULL;
    unsigned len = 0;

    if (insn && cs_disasm_iter(h, &code, &avail, &pc, insn)) {
        len = insn->size;
        g_string_append_printf(out, "%s%s%s", insn->mnemonic, *insn->op_str ? " " : "", insn->op_str);
    }
    if (insn) {
        cs_free(insn, 1);
    }
    return len;
}
