/*
 * Guest programs that check themselves, under kvm and under the interpreter: 16, 32 and 64 bits.
 */
#include "kvm_harness.h"

#include <string.h>

static void run_to_report(const char *accel, const char *program)
{
    Bench *b = bench_new(1, accel);

    bench_load_file(b, program);
    RunExit why = RUN_BUDGET;
    while (why == RUN_BUDGET) {
        why = bench_run(b, 1 << 20);
    }
    if (why != RUN_HALTED || b->result || !b->reports) {
        g_autoptr(GString) s = g_string_new(NULL);
        x86_info_registers(b->c[0], s);
        g_test_message("%s under %s: exit %d, %u reports, check in line %u\n%s", program, accel, why, b->reports,
                       b->result, s->str);
        g_test_fail();
    }
    bench_free(b);
}

static void program(gconstpointer name)
{
    run_to_report("interp", name);
    if (kvm_runs(name)) {
        run_to_report("kvm", name);
    }
}

/* The kernel's emulator, where one runs ring 0, has no x87 and AVX; hardware has.  Either way the guest
 * sees what the processor does. */
static void what_the_kernel_cannot_do(void)
{
    static const uint8_t code[] = {
        0xdb, 0xe3,                                 /* fninit */
        0xd9, 0xe8,                                 /* fld1 */
        0xd8, 0xc0,                                 /* fadd st0, st0 */
        0xdf, 0x1e, 0x00, 0x60,                     /* fistp word [6000h] */
        0xa1, 0x00, 0x60,                           /* mov ax, [6000h] */
        0xe7, 0xf4,                                 /* out 0f4h, ax */
        0xf4,                                       /* hlt */
    };

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    bench_load(b, code, sizeof(code));
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    g_assert_cmpuint(b->result, ==, 2);
    bench_free(b);
}

/* Code in device memory: no kernel runs it, the interpreter does. */
static void code_in_device_memory(void)
{
    static const uint8_t jump[] = { 0xea, 0x00, 0x00, 0x00, 0xd0 };             /* jmp 0d000h:0 */
    static const uint8_t code[] = { 0xb0, 0x2a, 0xe6, 0xf4, 0xf4 };             /* mov al, 42; out 0f4h, al; hlt */

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    bench_load(b, jump, sizeof(jump));
    memcpy(b->memory, code, sizeof(code));
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_HALTED);
    g_assert_cmpuint(b->result, ==, 42);
    g_autoptr(GString) info = g_string_new(NULL);
    b->a->ops->info(b->a, &b->c[0]->vcpu, info);
    g_assert_null(strstr(info->str, "left to the interpreter 0\n"));
    bench_free(b);
}

static void triple_fault(void)
{
    static const uint8_t code[] = { 0xcc, 0xf4 };   /* int3; hlt */

    if (!kvm_usable()) {
        return;
    }
    Bench *b = bench_new(1, "kvm");
    X86Cpu *c = b->c[0];
    bench_load(b, code, sizeof(code));
    c->cr0 |= CR0_PE;
    x86_seg_set(c, X86_CS, 8, 0, 0xffffffff, AR_P | AR_S | AR_CODE | AR_RW | AR_A | AR_DB | AR_G);
    x86_seg_set(c, X86_SS, 16, 0, 0xffffffff, AR_P | AR_S | AR_RW | AR_A | AR_DB | AR_G);
    c->idt.limit = 0;
    x86_mode_changed(c);
    g_assert_cmpint(bench_run(b, 1 << 20), ==, RUN_SHUTDOWN);
    bench_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/kvm/programs/real", "real", program);
    g_test_add_data_func("/kvm/programs/protected", "protected", program);
    g_test_add_data_func("/kvm/programs/paging", "paging", program);
    g_test_add_data_func("/kvm/programs/long", "long", program);
    g_test_add_data_func("/kvm/programs/syscall", "syscall", program);
    g_test_add_func("/kvm/programs/what-the-kernel-cannot-do", what_the_kernel_cannot_do);
    g_test_add_func("/kvm/programs/code-in-device-memory", code_in_device_memory);
    g_test_add_func("/kvm/programs/triple-fault", triple_fault);
    return g_test_run();
}
