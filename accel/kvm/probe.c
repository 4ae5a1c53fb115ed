/*
 * accel/kvm/probe.c - is there a /dev/kvm, may we use it, and is it worth it?
 *
 * Some kernels have no hardware to run guest ring 0 on and emulate it in software, an instruction at
 * a time.  That shows only by measuring: a scratch machine runs a loop in ring 0, and its time is
 * compared with what an interpreter needs.  Both have to fit in the time that nobody notices at start.
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "util/bits.h"
#include "util/error.h"

static const char *const irqchips[] = { "off", "split", "on", NULL };

const KeySpec kvm_options[] = {
    { "kernel_irqchip", KEY_ENUM, "interrupt controllers in the host's kernel: none, the local APICs, or all "
      "and the timer chip (default off)", .values = irqchips },
    { "dirty-ring-size", KEY_UINT, "entries of a processor's ring of written pages, a power of two from 1024 to 65536; "
      "0: bitmaps (default 0, and 4096 for -accel check)", .max = 65536 },
    { "device", KEY_STR, "instead of " KVM_DEVICE },
    { NULL },
};

/* What this program relies on, and which Linux first had it. */
static const struct { unsigned capability; const char *name, *since; } required[] = {
    { KVM_CAP_USER_MEMORY, "user memory", "2.6.25" },
    { KVM_CAP_SET_TSS_ADDR, "a TSS address", "2.6.25" },
    { KVM_CAP_EXT_CPUID, "extended CPUID", "2.6.26" },
    { KVM_CAP_MP_STATE, "processor states", "2.6.27" },
    { KVM_CAP_VCPU_EVENTS, "vCPU events", "2.6.33" },
    { KVM_CAP_XSAVE, "XSAVE state", "2.6.36" },
    { KVM_CAP_XCRS, "XCR0", "2.6.36" },
    { KVM_CAP_DEBUGREGS, "debug registers", "2.6.35" },
    { KVM_CAP_READONLY_MEM, "read-only memory", "3.7" },
    { KVM_CAP_IMMEDIATE_EXIT, "immediate exits", "4.13" },
    { KVM_CAP_X86_USER_SPACE_MSR, "MSRs in user space", "5.10" },
    { KVM_CAP_TSC_DEADLINE_TIMER, "TSC deadlines", "3.1" },
    { KVM_CAP_SREGS2, "KVM_GET_SREGS2", "5.14" },
};

static void set_permission_error(const char *path, int why, GError **errp)
{
    struct stat st;
    const struct group *g = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;
    const char *group = g && st.st_mode & S_IRGRP && st.st_gid ? g->gr_name : "kvm";

    error_set_errno(errp, why, "Could not access KVM kernel module: %s is for the group %s: 'sudo usermod -aG %s %s' "
                    "and a new login give it to you (if the group may not either: 'sudo chgrp kvm %s; sudo chmod "
                    "g+rw %s')", path, group, group, g_get_user_name(), path, path);
}

static bool check_capabilities(int fd, GError **errp)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(required); i++) {
        if (ioctl(fd, KVM_CHECK_EXTENSION, required[i].capability) <= 0) {
            error_set_errno(errp, ENOSYS, "the host's KVM has no %s: it takes Linux %s or newer", required[i].name,
                            required[i].since);
            return false;
        }
    }
    return true;
}

bool kvm_check_version(const char *path, int version, GError **errp)
{
    return version == KVM_API_VERSION ||
           kvm_failed(errp, EPROTO, "%s speaks version %d of the KVM interface, this program version %d", path,
                      version, KVM_API_VERSION);
}

int kvm_open_device(const char *path, GError **errp)
{
    int fd = open(path, O_RDWR | O_CLOEXEC), version;

    if (fd < 0) {
        if (errno == EACCES || errno == EPERM) {
            set_permission_error(path, errno, errp);
        } else {
            error_set_errno(errp, errno, "Could not access KVM kernel module");
        }
        return -1;
    }
    version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version < 0) {
        error_set_errno(errp, errno, "%s is no KVM device", path);
    } else if (kvm_check_version(path, version, errp) && check_capabilities(fd, errp)) {
        return fd;
    }
    close(fd);
    return -1;
}

/* ---- how fast ---- */

enum {
    SCRATCH_SIZE = 64 << 10, CODE_AT = 0x1000, PML4_AT = 0x2000, PDPT_AT = 0x3000, PD_AT = 0x4000, DATA_AT = 0x5000,
    WARM_LOOPS = 50, SHORT_LOOPS = 250, LONG_LOOPS = 1000, LOOP_INSNS = 3, TRIES = 3,
    POOR_NS = 15,               /* an instruction: about what the interpreter needs */
};

/* 64-bit code: a loop of three instructions, one of which touches memory; then a port that ends it. */
static const uint8_t probe_code[] = {
    0x01, 0x04, 0x25, 0x00, DATA_AT >> 8, 0x00, 0x00,           /* again: add [DATA_AT], eax */
    0xff, 0xc9,                                                 /* dec ecx */
    0x75, 0xf5,                                                 /* jnz again */
    0xe6, 0xf4,                                                 /* out 0xf4, al */
};

typedef struct Scratch {
    int vm, vcpu;
    uint8_t *ram;
    struct kvm_run *run;
    size_t run_size;
} Scratch;

static bool make_scratch(int fd, Scratch *s)
{
    enum { PRESENT_USER = 7, LARGE = 1 << 7 };
    int size = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);

    *s = (Scratch){ .vm = ioctl(fd, KVM_CREATE_VM, 0), .vcpu = -1, .run = MAP_FAILED, .run_size = size };
    s->ram = mmap(NULL, SCRATCH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->vm < 0 || size <= 0 || s->ram == MAP_FAILED) {
        return false;
    }
    memcpy(s->ram + CODE_AT, probe_code, sizeof(probe_code));
    st64le(s->ram + PML4_AT, PDPT_AT | PRESENT_USER);
    st64le(s->ram + PDPT_AT, PD_AT | PRESENT_USER);
    st64le(s->ram + PD_AT, LARGE | PRESENT_USER);
    struct kvm_userspace_memory_region m = { .memory_size = SCRATCH_SIZE, .userspace_addr = (uintptr_t)s->ram };
    if (ioctl(s->vm, KVM_SET_TSS_ADDR, TSS_AT) < 0 || ioctl(s->vm, KVM_SET_USER_MEMORY_REGION, &m) < 0) {
        return false;
    }
    s->vcpu = ioctl(s->vm, KVM_CREATE_VCPU, 0);
    s->run = s->vcpu < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->vcpu, 0);
    return s->run != MAP_FAILED;
}

static void free_scratch(Scratch *s)
{
    if (s->run != MAP_FAILED) {
        munmap(s->run, s->run_size);
    }
    if (s->ram != MAP_FAILED) {
        munmap(s->ram, SCRATCH_SIZE);
    }
    if (s->vcpu >= 0) {
        close(s->vcpu);
    }
    if (s->vm >= 0) {
        close(s->vm);
    }
}

/* Long mode at this privilege, ports open; SDM volume 3A 10.8.5 and 2.5. */
static bool enter_code(Scratch *s, unsigned cpl, unsigned loops)
{
    struct kvm_regs regs = { .rip = CODE_AT, .rflags = FL_1 | FL_IOPL, .rsp = SCRATCH_SIZE, .rcx = loops };
    struct kvm_sregs r;

    if (ioctl(s->vcpu, KVM_GET_SREGS, &r) < 0) {
        return false;
    }
    r.cs = (struct kvm_segment){ .limit = ~0u, .selector = 8 | cpl, .type = 11, .present = 1, .dpl = cpl, .s = 1,
                                 .l = 1, .g = 1 };
    r.ss = (struct kvm_segment){ .limit = ~0u, .selector = 16 | cpl, .type = 3, .present = 1, .dpl = cpl, .s = 1,
                                 .db = 1, .g = 1 };
    r.ds = r.es = r.fs = r.gs = r.ss;
    r.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    r.cr3 = PML4_AT;
    r.cr4 = CR4_PAE;
    r.efer = EFER_LME | EFER_LMA;
    return ioctl(s->vcpu, KVM_SET_SREGS, &r) >= 0 && ioctl(s->vcpu, KVM_SET_REGS, &regs) >= 0;
}

/* Of this thread: others on the same processor do not count. */
static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Nanoseconds of so many rounds, with the way in and out; negative: the loop did not come to its end. */
static int64_t time_loop(Scratch *s, unsigned cpl, unsigned loops)
{
    if (!enter_code(s, cpl, loops)) {
        return -1;
    }
    int64_t start = cpu_ns();
    if (ioctl(s->vcpu, KVM_RUN, 0) < 0 || s->run->exit_reason != KVM_EXIT_IO) {
        return -1;
    }
    return cpu_ns() - start;
}

/* The least of a few runs: an interrupt of the host's takes longer than the loop. */
static int64_t least_time(Scratch *s, unsigned cpl, unsigned loops)
{
    int64_t least = INT64_MAX;

    for (unsigned i = 0; i < TRIES; i++) {
        least = MIN(least, time_loop(s, cpl, loops));
    }
    return least;
}

/* Nanoseconds an instruction: by the difference of two runs, since the way in and out may cost more than
 * the loop.  The first run is for caches and page tables. */
static double measure(Scratch *s, unsigned cpl)
{
    int64_t warm = time_loop(s, cpl, WARM_LOOPS), few = least_time(s, cpl, SHORT_LOOPS);
    int64_t many = least_time(s, cpl, LONG_LOOPS);

    if (warm < 0 || few < 0 || many < 0) {
        return -1;
    }
    return MAX(0.0, (double)(many - few)) / ((LONG_LOOPS - SHORT_LOOPS) * LOOP_INSNS);
}

bool kvm_quality(int fd, bool ring3, KvmQuality *q, GError **errp)
{
    Scratch s;
    bool ok = make_scratch(fd, &s);

    if (!ok) {
        error_set_errno(errp, errno, "KVM cannot make a small test machine");
    } else {
        q->ring0_ns = measure(&s, 0);
        q->ring3_ns = ring3 ? measure(&s, 3) : -1;
    }
    free_scratch(&s);
    return ok;
}

/* A kernel that emulates instructions may not look for data breakpoints; an emulated processor that a kernel runs on
 * may load no debug registers at all when it enters a guest. */
static bool stops_by_dr0(int fd, uint64_t linear, uint64_t type)
{
    enum { DR0_ON = 1 << 0 };
    struct kvm_guest_debug d = {
        .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
        .arch.debugreg = { [0] = linear, [7] = DR7_FIXED | DR0_ON | type << 16 },
    };
    Scratch s;
    bool ok = make_scratch(fd, &s) && enter_code(&s, 0, 1) && ioctl(s.vcpu, KVM_SET_GUEST_DEBUG, &d) >= 0 &&
        ioctl(s.vcpu, KVM_RUN, 0) >= 0 && s.run->exit_reason == KVM_EXIT_DEBUG && (s.run->debug.arch.dr6 & 1);

    free_scratch(&s);
    return ok;
}

bool kvm_reports_accesses(int fd)
{
    enum { WRITES = 1 };

    return stops_by_dr0(fd, DATA_AT, WRITES);
}

bool kvm_reports_breakpoints(int fd)
{
    enum { EXECUTION = 0, SECOND = 7 };

    return stops_by_dr0(fd, CODE_AT + SECOND, EXECUTION);
}

/* Nor does each report a step in ring 3: one that emulates ring 0 may leave the #DB to the guest. */
bool kvm_reports_user_steps(int fd)
{
    struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
    Scratch s;
    bool ok = make_scratch(fd, &s) && enter_code(&s, 3, 1) && ioctl(s.vcpu, KVM_SET_GUEST_DEBUG, &d) >= 0 &&
        ioctl(s.vcpu, KVM_RUN, 0) >= 0 && s.run->exit_reason == KVM_EXIT_DEBUG;

    free_scratch(&s);
    return ok;
}

char *kvm_why_poor(const KvmQuality *q)
{
    if (q->ring0_ns < 0) {
        return g_strdup("kvm: this host's KVM did not run a loop of 64-bit code in ring 0 to its end");
    }
    if (q->ring0_ns > POOR_NS) {
        return g_strdup_printf("kvm: this host's kernel emulates ring 0 in software, at %.0f ns an instruction",
                               q->ring0_ns);
    }
    return NULL;
}

AccelProbe kvm_probe(const KeyVals *options, GError **errp)
{
    const char *path = keyvals_str(options, "device");
    int fd = kvm_open_device(path ? path : KVM_DEVICE, errp);
    AccelProbe result = PROBE_NO;
    KvmQuality q;

    if (fd < 0) {
        return PROBE_NO;
    }
    if (kvm_quality(fd, false, &q, errp)) {
        g_autofree char *why = kvm_why_poor(&q);
        result = why ? PROBE_POOR : PROBE_GOOD;
        if (why) {
            error_set(errp, "%s", why);
        }
    }
    close(fd);
    return result;
}
