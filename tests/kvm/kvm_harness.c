/*
 * The machine of kvm_harness.h.
 */
#include "kvm_harness.h"

#include <cpuid.h>
#include <string.h>
#include <unistd.h>
#include "accel/kvm.h"

static uint64_t device_read(void *dev, hwaddr off, unsigned size)
{
    Bench *b = dev;
    uint64_t v = 0;

    memcpy(&v, b->memory + off, size);
    return v;
}

static void device_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Bench *b = dev;

    memcpy(b->memory + off, &val, size);
}

static uint64_t echo_read(void *dev, hwaddr off, unsigned size)
{
    return ((Bench *)dev)->last;
}

static void echo_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    ((Bench *)dev)->last = (uint8_t)val;
}

static void report_write(void *dev, hwaddr off, uint64_t val, unsigned size)
{
    Bench *b = dev;

    if (atomic_fetch_add(&b->reports, 1) == 0) {
        atomic_store(&b->result, (uint32_t)val);
    }
}

bool kvm_emulates_ring0(void)
{
    KvmQuality q = { -1, -1 };
    int fd = kvm_open_device(KVM_DEVICE, NULL);
    g_autofree char *emulated = kvm_quality(fd, false, &q, NULL) ? kvm_why_poor(&q) : NULL;

    close(fd);
    return emulated;
}

bool kvm_below_is_tcg(void)
{
    unsigned a, id[3];

    __cpuid(0x40000000, a, id[0], id[1], id[2]);
    return !memcmp(id, "TCGTCGTCGTCG", sizeof(id));
}

bool kvm_runs(const char *program)
{
    static const struct { const char *program; bool (*here)(void); const char *gap; } gaps[] = {
        { "paging", kvm_emulates_ring0, "this host's kernel emulates ring 0, and turns paging on in long mode only ("
          "MOV to CR0 is #GP otherwise)" },
        { "syscall", kvm_emulates_ring0, "this host's kernel emulates ring 0, and runs 64-bit ring 3 under the host's "
          "own selectors, with a SYSCALL that stays there" },
        { "protected", kvm_below_is_tcg, "the processor is emulated by QEMU, which does not look at segment limits" },
    };

    if (!kvm_usable()) {
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(gaps); i++) {
        if (!strcmp(gaps[i].program, program) && gaps[i].here()) {
            g_test_skip(gaps[i].gap);
            return false;
        }
    }
    return true;
}

static void map_everything(Bench *b)
{
    static const RegionOps device = { .read = device_read, .write = device_write };
    static const RegionOps echo = { .read = echo_read, .write = echo_write, .size_max = 1 };
    static const RegionOps report = { .read = echo_read, .write = report_write };
    g_autofree uint8_t *rom = g_malloc(0x10000);

    memset(rom, 0xa5, 0x10000);
    g_assert_true(region_init_ram(&b->ram, "ram", TEST_RAM, NULL));
    g_assert_true(region_init_rom(&b->rom, "rom", rom, 0x10000, 0x10000, NULL));
    region_init_io(&b->device, "device", 4096, &device, b);
    region_init_io(&b->echo, "echo", 1, &echo, b);
    region_init_io(&b->report, "report", 4, &report, b);
    memory_begin(b->m->mem);
    region_map(&b->m->mem_root, 0, &b->ram, 0);
    region_map(&b->m->mem_root, 0xd0000, &b->device, 1);
    region_map(&b->m->mem_root, 0xe0000, &b->rom, 1);
    memory_commit(b->m->mem);
    memory_begin(b->m->io);
    region_map(&b->m->io_root, 0xf8, &b->echo, 0);
    region_map(&b->m->io_root, 0xf4, &b->report, 0);
    memory_commit(b->m->io);
}

static Bench *make(unsigned cpus, const char *accel, const char *model, Clock *clock, bool running)
{
    Bench *b = g_new0(Bench, 1);
    g_autoptr(GError) err = NULL;

    b->m = machine_new(clock);
    b->cpus = cpus;
    machine_lock(b->m);
    map_everything(b);
    machine_unlock(b->m);
    for (unsigned i = 0; i < cpus; i++) {
        b->c[i] = x86_cpu_new(b->m, i, model, &err);
        g_assert_no_error(err);
        g_ptr_array_add(b->m->vcpus, &b->c[i]->vcpu);
    }
    b->a = accel_open(b->m, accel, &err);
    g_assert_no_error(err);
    for (unsigned i = 0; !running && i < cpus; i++) {
        b->a->ops->vcpu_create(b->a, &b->c[i]->vcpu, &err);
        g_assert_no_error(err);
    }
    return b;
}

Bench *bench_new(unsigned cpus, const char *accel)
{
    return make(cpus, accel, "max", clock_new_manual(), false);
}

Bench *bench_new_cpu(const char *accel, const char *model)
{
    return make(1, accel, model, clock_new_manual(), false);
}

Bench *bench_new_running(unsigned cpus, const char *accel)
{
    return make(cpus, accel, "max", clock_new_host(), true);
}

void bench_free(Bench *b)
{
    for (unsigned i = 0; i < b->cpus; i++) {
        if (b->c[i]->vcpu.accel_data) {
            b->a->ops->vcpu_destroy(b->a, &b->c[i]->vcpu);
        }
    }
    machine_lock(b->m);
    b->a->ops->destroy(b->a);
    machine_unlock(b->m);
    for (unsigned i = 0; i < b->cpus; i++) {
        x86_cpu_free(b->c[i]);
    }
    g_ptr_array_set_size(b->m->vcpus, 0);
    machine_lock(b->m);
    region_fini(&b->ram);
    region_fini(&b->rom);
    region_fini(&b->device);
    region_fini(&b->echo);
    region_fini(&b->report);
    machine_unlock(b->m);
    machine_free(b->m);
    g_free(b);
}

void bench_load(Bench *b, const void *code, size_t len)
{
    as_write(b->m->mem, TEST_CODE, code, len);
    x86_seg_set_real(b->c[0], X86_CS, 0);
    b->c[0]->regs[X86_RIP] = TEST_CODE;
    b->c[0]->regs[X86_RSP] = 0x7000;
    b->a->ops->flush(b->a, &b->c[0]->vcpu);
}

void bench_load_file(Bench *b, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%s.bin", g_getenv("KVM_PROGRAMS"), name);
    g_autofree char *code = NULL;
    g_autoptr(GError) err = NULL;
    gsize len;

    g_file_get_contents(path, &code, &len, &err);
    g_assert_no_error(err);
    bench_load(b, code, len);
}

RunExit bench_run(Bench *b, uint64_t insns)
{
    g_autoptr(GError) err = NULL;
    RunExit why = b->a->ops->run(b->a, &b->c[0]->vcpu, insns, &err);

    g_assert_no_error(err);
    return why;
}

uint64_t bench_counted(Bench *b, const char *what)
{
    g_autoptr(GString) info = g_string_new(NULL);

    b->a->ops->info(b->a, &b->c[0]->vcpu, info);
    const char *at = strstr(info->str, what);
    g_assert_nonnull(at);
    return g_ascii_strtoull(at + strlen(what), NULL, 10);
}
