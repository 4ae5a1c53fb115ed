/*
 * system/doctor.c - `tinamou doctor`: what this host gives a guest, what is missing, what to do about it.
 *
 * One row a check.  The exit status is 0 when a guest can run at all.
 */
#include "doctor.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "accel/accel.h"
#include "accel/kvm.h"
#include "hw/pc.h"
#include "ui/ui.h"

typedef enum Verdict { GOOD, COULD_BE_BETTER, BAD /* no guest can run */ } Verdict;

typedef struct Finding {
    Verdict verdict;
    GString *text;              /* what is */
    GString *advice;            /* what to do; empty: nothing */
} Finding;

/* ---- the processor ---- */

static void check_processor(Finding *f)
{
    static const struct { const char *name; uint32_t leaf; uint8_t reg, bit; } wanted[] = {
        { "SSE4.2", 1, 2, 20 }, { "AVX", 1, 2, 28 }, { "AVX2", 7, 1, 5 }, { "BMI2", 7, 1, 8 },
        { "FMA", 1, 2, 12 }, { "AES", 1, 2, 25 }, { "SHA", 7, 1, 29 }, { "AVX-512", 7, 1, 16 },
        { "invariant TSC", 0x80000007, 3, 8 },
    };
    g_autoptr(GString) missing = g_string_new(NULL);
    const char *sep = "";

    for (unsigned i = 0; i < G_N_ELEMENTS(wanted); i++) {
        uint32_t r[4] = { 0 };
        bool there = __get_cpuid_count(wanted[i].leaf, 0, &r[0], &r[1], &r[2], &r[3])
            && r[wanted[i].reg] >> wanted[i].bit & 1;
        if (there) {
            g_string_append_printf(f->text, "%s%s", sep, wanted[i].name);
            sep = ", ";
        } else {
            g_string_append_printf(missing, "%s%s", missing->len ? ", " : "", wanted[i].name);
        }
    }
    if (missing->len) {
        g_string_append_printf(f->advice, "guests do without %s: -cpu max offers what the host has", missing->str);
    }
}

/* ---- /dev/kvm ---- */

static void check_kvm(Finding *f)
{
    g_autoptr(GError) err = NULL;
    int fd = kvm_open_device(KVM_DEVICE, &err);
    KvmQuality q = { -1, -1 };

    if (fd < 0 || !kvm_quality(fd, true, &q, &err)) {
        f->verdict = COULD_BE_BETTER;
        g_string_append(f->text, err->message);
        if (access(KVM_DEVICE, F_OK)) {
            g_string_append(f->advice, "switch virtualisation on in the firmware (SVM, VT-x) and load the module: "
                            "'sudo modprobe kvm_amd' or 'sudo modprobe kvm_intel'; in a virtual machine, its host "
                            "must allow nesting.  Without it guests run, more slowly");
        }
    } else {
        g_autofree char *poor = kvm_why_poor(&q);
        g_string_append_printf(f->text, "an instruction takes %.1f ns in ring 0, %.1f ns in ring 3", q.ring0_ns,
                               q.ring3_ns);
        if (poor) {
            f->verdict = COULD_BE_BETTER;
            g_string_append_printf(f->advice, "%s: a default start uses the next accelerator, -accel kvm uses it "
                                   "nevertheless.  A host with hardware virtualisation would be fast", poor);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- the default accelerator ---- */

static void check_accelerator(Finding *f)
{
    g_autoptr(KeyVals) none = keyvals_parse("", NULL, (const KeySpec[]){ { NULL } }, NULL);

    for (const AccelOps *const *a = accel_list; *a; a++) {
        g_autoptr(GError) err = NULL;
        AccelProbe result = (*a)->probe ? (*a)->probe(none, &err) : PROBE_GOOD;
        if (result == PROBE_GOOD || (result == PROBE_POOR && !a[1])) {
            g_string_append_printf(f->text, "a start without -accel uses %s: %s", (*a)->name, (*a)->summary);
            return;
        }
    }
    f->verdict = BAD;
    g_string_append(f->text, "none works here");
    g_string_append(f->advice, "this is a defect of the program: please report it");
}

/* ---- memory ---- */

static void check_huge_pages(Finding *f)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/sys/kernel/mm/transparent_hugepage/enabled", &text, NULL, NULL)) {
        f->verdict = COULD_BE_BETTER;
        g_string_append(f->text, "this kernel has no transparent huge pages");
        g_string_append(f->advice, "guest memory lies in small pages: some speed is lost");
        return;
    }
    const char *open = strchr(text, '['), *shut = open ? strchr(open, ']') : NULL;
    g_autofree char *mode = shut ? g_strndup(open + 1, shut - open - 1) : g_strdup("unknown");
    g_string_append_printf(f->text, "transparent huge pages: %s", mode);
    if (strcmp(mode, "always")) {
        f->verdict = COULD_BE_BETTER;
        g_string_append(f->advice, "guest memory gets them with 'echo always | sudo tee "
                        "/sys/kernel/mm/transparent_hugepage/enabled'");
    }
}

/* ---- pictures and sound ---- */

static void check_display(Finding *f)
{
    for (const UiBackend *const *b = ui_backends; *b; b++) {
        bool usable = !(*b)->usable || (*b)->usable();
        g_string_append_printf(f->text, "%s%s%s", b == ui_backends ? "" : ", ", (*b)->name,
                               usable ? "" : " (finds no screen)");
    }
    g_string_append_printf(f->text, "; the default here is %s", ui_default()->name);
    if (!strcmp(ui_default()->name, "none")) {
        f->verdict = COULD_BE_BETTER;
        g_string_append(f->advice, "set DISPLAY or WAYLAND_DISPLAY for a window, or use -nographic for guests "
                        "that talk on a serial port");
    }
}

static void check_sound(Finding *f)
{
    g_string_append(f->text, "this version has no sound devices: nothing is needed");
}

/* ---- firmware ---- */

static void check_firmware(Finding *f)
{
    static const char *const names[] = { "bios-256k.bin", "vgabios-stdvga.bin" };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) err = NULL;
        g_autofree char *path = firmware_find(NULL, names[i], &err);
        g_string_append_printf(f->text, "%s%s", i ? "; " : "", path ? path : err->message);
        f->verdict = path ? f->verdict : BAD;
    }
    if (f->verdict == BAD) {
        g_string_append(f->advice, "'sudo apt install seabios', or name a directory that has them with -L");
    }
}

/* ---- the table ---- */

static const struct { const char *name; void (*check)(Finding *f); } checks[] = {
    { "processor", check_processor }, { "KVM", check_kvm }, { "accelerator", check_accelerator },
    { "huge pages", check_huge_pages }, { "display", check_display }, { "sound", check_sound },
    { "firmware", check_firmware },
};

bool doctor(GString *out)
{
    static const char *const verdicts[] = { "ok", "could be better", "missing" };
    bool can_run = true;

    for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++) {
        Finding f = { GOOD, g_string_new(NULL), g_string_new(NULL) };
        checks[i].check(&f);
        g_string_append_printf(out, "%-12s %s: %s\n", checks[i].name, verdicts[f.verdict], f.text->str);
        if (f.advice->len) {
            g_string_append_printf(out, "%-12s   %s.\n", "", f.advice->str);
        }
        can_run &= f.verdict != BAD;
        g_string_free(f.text, true);
        g_string_free(f.advice, true);
    }
    g_string_append(out, can_run ? "\nGuests can run here.\n" : "\nGuests cannot run here yet.\n");
    return can_run;
}
