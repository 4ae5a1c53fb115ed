/*
 * target/x86/exec/hostrun.c - stubs that run one instruction of the host on the guest's values.
 *
 * Encodings follow the Intel SDM, volume 2.  In a stub RDI points to the memory operand, RSI and R11
 * to the guest's registers that ModRM.reg and r/m name, R10 to the frame.  The operand of ModRM.reg
 * is XMM8, MM0 or R8, that of r/m XMM9, MM1, R9 or [RDI]; nothing clashes with the registers that
 * instructions use implicitly.  Stubs lie in one memfd mapped twice, once
 * writable and once executable.  When it is full it starts anew, so a guest cannot make it grow.
 * Stubs of VEX and EVEX instructions are hostrun-vex.c's.
 */
#include "hostrun-emit.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "util/error.h"

enum { ARENA_SIZE = 512 * 1024, STUB_MAX = 256, FORMS = 8192, FORMS_USED_MAX = FORMS / 2 };

struct X86HostRun {
    HostFrame frame;                    /* first: aligned with the allocation */
    uint8_t *rw, *rx;                   /* two views of the same pages */
    size_t used;
    unsigned count;
    HostForm form[FORMS];
};

/* The guest's instruction with its operands renamed. */
static void emit_instruction(Emit *e, const X86Insn *in, uint32_t use)
{
    static const uint8_t pfx_byte[9] = { [X86_PFX_66] = 0x66, [X86_PFX_F3] = 0xf3, [X86_PFX_F2] = 0xf2 };
    const X86Row *r = in->row;
    uint8_t pfx = r->pfx < sizeof(pfx_byte) ? pfx_byte[r->pfx] : 0;
    uint8_t modrm = in->modrm, rex = 0;

    if (!(use & USE_X87)) {
        bool named = use & (USE_VREG | USE_PREG | USE_GREG);
        rex = 0x40 | (in->rex & 8) | (named ? 4 : 0) | (in->mod3 ? 1 : 0);
        modrm = (r->reg == 8 ? 0 : r->reg << 3) | (in->mod3 ? 0xc1 : 0x07);
    } else if (!in->mod3) {
        modrm = (in->modrm & 0x38) | 0x07;
    }
    if (in->opsize == 16 && (r->operand[0].size == OPS_v || r->operand[1].size == OPS_v)) {
        *e->p++ = 0x66;
    }
    if (pfx) {
        *e->p++ = pfx;
    }
    if (rex) {
        *e->p++ = rex;
    }
    if (r->map) {
        *e->p++ = 0x0f;
    }
    if (r->map > 1) {
        *e->p++ = r->map == 2 ? 0x38 : 0x3a;
    }
    *e->p++ = in->opcode;
    if (r->has_modrm) {
        *e->p++ = modrm;
    }
    if (in->imm_at) {
        *e->p++ = in->imm;
    }
}

void emit_general_loads(Emit *e, uint32_t use)
{
    if (use & USE_GREG) {
        EMIT(e, "\x4c\x8b\x06");                                /* mov r8, [rsi] */
    }
    if (use & USE_GRM8) {
        EMIT(e, "\x45\x0f\xb6\x0b");                            /* movzx r9d, byte [r11] */
    } else if (use & USE_GRM) {
        EMIT(e, "\x4d\x8b\x0b");                                /* mov r9, [r11] */
    }
    if (use & USE_EAX) {
        EMIT_AT(e, "\x49\x8b\x82", rax);
    }
    if (use & USE_ECX) {
        EMIT_AT(e, "\x49\x8b\x8a", rcx);
    }
    if (use & USE_EDX) {
        EMIT_AT(e, "\x49\x8b\x92", rdx);
    }
    if (use & USE_FLAGS_IN) {
        EMIT_AT(e, "\x41\xff\xb2", flags);                      /* push; popfq */
        EMIT(e, "\x9d");
    }
}

void emit_general_stores(Emit *e, uint32_t use)
{
    if (use & USE_FLAGS_OUT) {
        EMIT(e, "\x9c");                                        /* pushfq; pop */
        EMIT_AT(e, "\x41\x8f\x82", flags);
    }
    if (use & PUT_XMM0) {
        EMIT_AT(e, "\x41\x0f\x11\x82", xmm0);
    }
    if (use & PUT_GREG) {
        EMIT(e, "\x4c\x89\x06");
    }
    if (use & PUT_GRM) {
        EMIT(e, "\x4d\x89\x0b");
    }
    if (use & PUT_ECX) {
        EMIT_AT(e, "\x49\x89\x8a", rcx);
    }
}

static void emit_loads(Emit *e, uint32_t use)
{
    EMIT(e, "\x49\x89\xca\x49\x89\xd3");                        /* mov r10, rcx; mov r11, rdx */
    if (use & USE_X87) {
        EMIT_AT(e, "\x41\xd9\xba", host_fcw);                   /* fnstcw */
        EMIT_AT(e, "\x41\x0f\xae\x9a", fx.mxcsr);               /* stmxcsr: FXRSTOR loads it again */
        EMIT_AT(e, "\x49\x0f\xae\x8a", fx);                     /* fxrstor64 */
    }
    if (use & USE_VREG) {
        EMIT(e, "\x44\x0f\x10\x06");                            /* movups xmm8, [rsi] */
    }
    if (use & USE_VRM) {
        EMIT(e, "\x45\x0f\x10\x0b");                            /* movups xmm9, [r11] */
    }
    if (use & USE_XMM0) {
        EMIT_AT(e, "\x41\x0f\x10\x82", xmm0);                   /* movups xmm0 */
    }
    if (use & USE_PREG) {
        EMIT(e, "\x0f\x6f\x06");                                /* movq mm0, [rsi] */
    }
    if (use & USE_PRM) {
        EMIT(e, "\x41\x0f\x6f\x0b");                            /* movq mm1, [r11] */
    }
    emit_general_loads(e, use);
}

static void emit_stores(Emit *e, uint32_t use)
{
    emit_general_stores(e, use);
    if (use & PUT_VREG) {
        EMIT(e, "\x44\x0f\x11\x06");
    }
    if (use & PUT_VRM) {
        EMIT(e, "\x45\x0f\x11\x0b");
    }
    if (use & PUT_PREG) {
        EMIT(e, "\x0f\x7f\x06");
    }
    if (use & PUT_PRM) {
        EMIT(e, "\x41\x0f\x7f\x0b");
    }
}

/* What puts the host's state in order; a trap goes on here. */
static void emit_tail(Emit *e, uint32_t use, unsigned vl)
{
    if (use & USE_X87) {
        EMIT_AT(e, "\x49\x0f\xae\x82", fx);                     /* fxsave64 */
        EMIT_AT(e, "\x41\xf6\x82", fx.fsw);                     /* test: ES, an exception to forget? */
        EMIT(e, "\x80\x74\x02\xdb\xe2");                        /* jz over fnclex */
        EMIT(e, "\x0f\x77");                                    /* emms: FNINIT takes ten times as long */
        EMIT_AT(e, "\x41\xd9\xaa", host_fcw);                   /* fldcw */
    } else if (use & (USE_PREG | USE_PRM)) {
        EMIT(e, "\x0f\x77");                                    /* emms */
    } else if (vl) {
        EMIT(e, "\xc5\xf8\x77");                                /* vzeroupper */
    }
    EMIT(e, "\xc3");
}

/* Operand `i` of the row: which register of the stub or memory, and whether it is the result. */
static uint32_t operand_use(const X86Insn *in, unsigned i, uint8_t *mem_size)
{
    unsigned kind = in->row->operand[i].kind, size = in->row->operand[i].size;
    /* What answers in the flags (PTEST, UCOMISS, PCMPISTRI) writes no vector that it names. */
    uint32_t put = i == 0 && !(kind == OPK_V && in->row->flags_written) ? ~0u : 0;

    if (!in->mod3 && (kind == OPK_W || kind == OPK_Q || kind == OPK_E || kind == OPK_M)) {
        *mem_size = x86_memory_bytes(in);
        return i == 0 ? USE_STORE : USE_LOAD;
    }
    switch (kind) {
    case OPK_V: return USE_VREG | (put & PUT_VREG);
    case OPK_W: case OPK_U: return USE_VRM | (put & PUT_VRM);
    case OPK_P: return USE_PREG | (put & PUT_PREG);
    case OPK_Q: case OPK_N: return USE_PRM | (put & PUT_PRM);
    case OPK_G: return USE_GREG | (put & PUT_GREG);
    case OPK_E: case OPK_R: return USE_GRM | (size == OPS_b ? USE_GRM8 : 0) | (put & PUT_GRM);
    case OPK_XMM0: return USE_XMM0;
    default: return 0;                                          /* immediates; ST, ST(i): all of the x87 */
    }
}

static uint32_t form_use(const X86Insn *in, uint8_t *mem_size)
{
    const X86Row *r = in->row;
    uint32_t use = 0;

    *mem_size = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand); i++) {
        use |= operand_use(in, i, mem_size);
    }
    use |= r->words & IN_EAX ? USE_EAX : 0;
    use |= r->words & IN_ECX ? USE_ECX | PUT_ECX : 0;
    use |= r->words & IN_EDX ? USE_EDX : 0;
    use |= r->words & IN_XMM0 ? USE_XMM0 | PUT_XMM0 : 0;
    use |= r->words & IN_FP ? USE_MXCSR : 0;
    use |= r->words & IN_X87 ? USE_X87 : 0;
    use |= r->flags_read || r->flags_undefined ? USE_FLAGS_IN : 0;       /* some leave them as they were */
    use |= r->flags_written ? USE_FLAGS_OUT : 0;
    return use;
}

/* What only VEX and EVEX name. */
static uint16_t form_vex(const X86Insn *in)
{
    const X86Row *r = in->row;
    uint16_t vex = in->mask ? VEX_MASK : 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(r->operand); i++) {
        switch (r->operand[i].kind) {
        case OPK_H: vex |= i != 0 ? VEX_H : in->mask ? VEX_PUT_H | VEX_H : VEX_PUT_H; break;
        case OPK_B: vex |= i == 0 || r->op == OP_MULX ? VEX_PUT_B : VEX_B; break;
        case OPK_L: vex |= VEX_L; break;
        case OPK_k: vex |= i == 0 ? VEX_PUT_K : VEX_K; break;
        case OPK_n: vex |= VEX_N; break;
        }
    }
    return vex | ((16u << in->vl) > 16u * r->mask && !r->lig ? VEX_WIDE_MASK : 0);
}

static uint64_t form_key(const X86Insn *in)
{
    const X86Row *r = in->row;
    unsigned modrm = r->words & IN_X87 && in->mod3 ? in->modrm : (in->modrm & 0x38u) * (r->reg != 8);

    return 1ull << 63 | (uint64_t)r->map << 40 | (uint64_t)in->opcode << 32 | (uint64_t)r->pfx << 28
         | (uint64_t)(in->opsize >> 4) << 24 | (in->rex >> 3 & 1) << 22 | in->mod3 << 21
         | (uint64_t)modrm << 8 | (in->imm_at ? in->imm & (r->operand[3].kind == OPK_L ? 0x0f : 0xff) : 0)
         | (uint64_t)in->enc << 43 | (uint64_t)in->vl << 45 | (uint64_t)in->evex_b << 47
         | (uint64_t)in->rounding << 48 | (uint64_t)!!in->mask << 50 | (uint64_t)in->zeroing << 51;
}

static void make_form(X86HostRun *h, HostForm *form, const X86Insn *in)
{
    Emit e = { h->rw + h->used };

    form->use = form_use(in, &form->mem_size);
    form->vex = form_vex(in);
    if (in->enc) {
        emit_vex_body(&e, in, form);
    } else {
        emit_loads(&e, form->use);
        emit_instruction(&e, in, form->use);
        emit_stores(&e, form->use);
    }
    form->tail = (uint8_t)(e.p - (h->rw + h->used));
    emit_tail(&e, form->use, in->vl);
    form->run = (HostStub *)(uintptr_t)(h->rx + h->used);
    h->used = ((size_t)(e.p - h->rw) + 15) & ~(size_t)15;
    h->count++;
}

const HostForm *hostrun_form(X86HostRun *h, const X86Insn *in)
{
    uint64_t key = form_key(in);
    unsigned i = (key * 0x9e3779b97f4a7c15ull) >> 51 & (FORMS - 1);

    while (h->form[i].key != key && h->form[i].key) {
        i = (i + 1) & (FORMS - 1);
    }
    if (!h->form[i].key) {
        if (h->count >= FORMS_USED_MAX || h->used + STUB_MAX > ARENA_SIZE) {
            memset(h->form, 0, sizeof(h->form));
            h->used = h->count = 0;
        }
        make_form(h, &h->form[i], in);
        h->form[i].key = key;
    }
    return &h->form[i];
}

HostFrame *hostrun_frame(X86HostRun *h)
{
    return &h->frame;
}

static void unmap(uint8_t *p)
{
    if (p && p != MAP_FAILED) {
        munmap(p, ARENA_SIZE);
    }
}

bool x86_hostrun_new(X86Cpu *c, GError **errp)
{
    X86HostRun *h = g_aligned_alloc0(1, sizeof(*h), _Alignof(X86HostRun));
    int fd = memfd_create("tinamou-stubs", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, ARENA_SIZE)) {
        error_set_errno(errp, errno, "no memory for instruction stubs");
        goto fail;
    }
    h->rw = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    h->rx = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (h->rw == MAP_FAILED || h->rx == MAP_FAILED) {
        error_set_errno(errp, errno, "the host does not let us execute generated code");
        goto fail;
    }
    close(fd);
    hostrun_catch_traps();
    c->hostrun = h;
    return true;
fail:
    unmap(h->rw);
    unmap(h->rx);
    if (fd >= 0) {
        close(fd);
    }
    g_aligned_free(h);
    return false;
}

void x86_hostrun_free(X86Cpu *c)
{
    if (c->hostrun) {
        unmap(c->hostrun->rw);
        unmap(c->hostrun->rx);
        g_aligned_free(c->hostrun);
        c->hostrun = NULL;
    }
}
